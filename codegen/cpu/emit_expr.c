/* emit_expr.c - scalar expressions and index forms at a position, for one or for many lanes. See emit.h. */
#include <string.h>

#include "codegen/cpu/emit.h"

/* ---- scopes ---- */

void emit_enter(Emit *e, int depth) {
  LLVMBasicBlockRef block = e->scopes[depth];
  LLVMValueRef end = LLVMGetBasicBlockTerminator(block);
  if (end) LLVMPositionBuilderBefore(e->b.b, end);
  else LLVMPositionBuilderAtEnd(e->b.b, block);
}

void emit_bind(Emit *e, Var *v, Lanes value) {
  vec_push(e->arena, &e->bound, (Bound){v, value, e->depth});
  e->generation++;
}

int emit_mark(const Emit *e) { return e->memo.n; }

void emit_forget(Emit *e, int mark, int depth, bool all) {
  int n = mark;
  for (int i = mark; i < e->memo.n; i++) {
    int d = e->memo.at[i].depth;
    if (d == ENTRY || (!all && d < depth)) e->memo.at[n++] = e->memo.at[i];
  }
  e->memo.n = n;
}

static const Bound *bound_of(const Emit *e, const Var *v) {
  for (int i = e->bound.n - 1; i >= 0; i--)
    if (e->bound.at[i].var == v) return &e->bound.at[i];
  ice("an index of slot %d is used outside its loop", v->slot);
}

static int form_depth(Emit *e, Form *f);

static int *depth_entry(Emit *e, const void *key, bool *known) {
  size_t i = ((uintptr_t)key >> 4) * 2654435761u % DEPTHS;
  *known = e->depths[i].key == key && e->depths[i].generation == e->generation;
  e->depths[i].key = key;
  e->depths[i].generation = e->generation;
  return &e->depths[i].depth;
}

static int deeper(int a, int b) { return a > b ? a : b; }

static const Memo *find_memo(const Emit *e, const void *key, const Mask *mask) {
  for (;; mask = mask->outer) {
    for (int i = e->memo.n - 1; i >= 0; i--)
      if (e->memo.at[i].key == key && e->memo.at[i].mask == mask) return &e->memo.at[i];
    if (!mask) return NULL;
  }
}

static bool is_member(const Emit *e, const Node *n) {
  for (int i = 0; i < e->k->members.n; i++)
    if (e->k->members.at[i].node == n) return true;
  return false;
}

static int expr_depth(Emit *e, Expr *x) {
  const Memo *known_value = find_memo(e, x, NULL);
  if (known_value) return known_value->depth;
  bool known;
  int *entry = depth_entry(e, x, &known), d = 0;
  if (known) return *entry;
  for (int i = 0; i < x->n; i++) d = deeper(d, expr_depth(e, x->arg[i]));
  if (x->kind == EXPR_RANDOM)
    for (int i = 0; i < 3; i++) d = deeper(d, expr_depth(e, x->arg[i]));
  if (x->form) d = deeper(d, form_depth(e, x->form));
  if (x->kind == EXPR_READ) {
    for (int i = 0; i < x->node->rank; i++) d = deeper(d, form_depth(e, x->at[i]));
    if (is_member(e, x->node)) d = deeper(d, e->grid_depth); /* it is written at each grid position */
  }
  *depth_entry(e, x, &known) = d;
  return d;
}

static int atom_depth(Emit *e, const Atom *a) {
  switch (a->kind) {
  case ATOM_VAR: return bound_of(e, a->var)->depth;
  case ATOM_DIV: return form_depth(e, a->form);
  case ATOM_DATA: return expr_depth(e, a->data);
  case ATOM_DIM: return 0;
  }
  ice("an unknown atom");
}

static int form_depth(Emit *e, Form *f) {
  int d = 0;
  for (int i = 0; i < f->n; i++) d = deeper(d, atom_depth(e, f->terms[i].atom));
  return d;
}

/* ---- integers by lane ---- */

Lanes lanes_scalar(Value v) { return (Lanes){.base = v}; }

Lanes lanes_from(Emit *e, Value base, int64_t step) {
  (void)e;
  return (Lanes){.base = base, .step = step};
}

Value lanes_vector(Emit *e, Lanes l, Type element) {
  Build *b = &e->b;
  if (l.vector) return convert_int(b, l.vector, element, true);
  Value base = splat(b, convert_int(b, l.base, element, true), e->lanes);
  return l.step ? iadd(b, base, iota(b, element, e->lanes, l.step)) : base;
}

static bool is_zero(Value v) { return LLVMIsAConstantInt(v) && LLVMConstIntGetZExtValue(v) == 0; }

static Value add64(Build *b, Value x, Value y) {
  if (is_zero(x)) return y;
  if (is_zero(y)) return x;
  return LLVMBuildNSWAdd(b->b, x, y, "");
}

static Lanes lanes_add(Emit *e, Lanes x, Lanes y, Type element) {
  if (!x.vector && !y.vector) return (Lanes){.base = add64(&e->b, x.base, y.base), .step = x.step + y.step};
  return (Lanes){.vector = iadd(&e->b, lanes_vector(e, x, element), lanes_vector(e, y, element))};
}

static Lanes lanes_scale(Emit *e, Lanes x, int64_t k, Type element) {
  if (k == 1) return x;
  if (!x.vector) return (Lanes){.base = LLVMBuildNSWMul(e->b.b, x.base, index64(&e->b, k), ""), .step = x.step * k};
  Value v = convert_int(&e->b, x.vector, element, true);
  return (Lanes){.vector = imul(&e->b, v, int_like_const(v, k))};
}

/* Lanes hold a form's values in 32 bits where its range fits. */
static Type lane_type(Emit *e, Form *f) {
  Range r = form_range(e->ir, f);
  bool fits = r.has_lower && r.has_upper && r.lower >= INT32_MIN && r.upper <= INT32_MAX;
  return fits ? e->b.i32 : e->b.i64;
}

static Value floor_by(Emit *e, Value x, int64_t c, bool not_negative) {
  Build *b = &e->b;
  Value d = int_like_const(x, c);
  if (not_negative) return LLVMBuildUDiv(b->b, x, d, "");
  if ((c & (c - 1)) == 0) return LLVMBuildAShr(b->b, x, int_like_const(x, __builtin_ctzll((uint64_t)c)), "");
  Value q = LLVMBuildSDiv(b->b, x, d, ""), r = isub(b, x, imul(b, q, d));
  Value below = icmp(b, LLVMIntSLT, r, int_like_const(r, 0));
  return isub(b, q, LLVMBuildZExt(b->b, below, LLVMTypeOf(q), ""));
}

static Value emit_masked(Emit *e, Expr *x, const Mask *mask);
static Lanes emit_form_masked(Emit *e, Form *f, const Mask *mask);

/* Where code for an atom goes: a value that was loaded under a mask is known where the mask is. */
static void enter_masked(Emit *e, int depth, const Mask *mask) {
  emit_enter(e, mask ? deeper(depth, mask->depth) : depth);
}

static bool is_aligned(const Emit *e, const Atom *a) {
  for (int i = 0; i < e->naligned; i++)
    if (a->kind == ATOM_VAR && a->var == e->aligned[i]) return true;
  return false;
}

bool emit_stays_between_multiples(Emit *e, const Form *f, int64_t c) {
  if (!e->naligned || c % e->lanes != 0 || f->c0 % e->lanes != 0) return false;
  for (int i = 0; i < f->n; i++) {
    const FormTerm *t = &f->terms[i];
    if (is_aligned(e, t->atom) ? t->coefficient != 1 : t->coefficient % e->lanes != 0) return false;
  }
  return true;
}

static Lanes atom_lanes(Emit *e, const Atom *a, const Mask *mask) {
  switch (a->kind) {
  case ATOM_VAR: return bound_of(e, a->var)->value;
  case ATOM_DIM: return lanes_scalar(emit_dim(e, a->dim));
  case ATOM_DIV: {
    Lanes x = emit_form_masked(e, a->form, mask);
    bool plain = form_proves_ge(e->ir, a->form, 0);
    enter_masked(e, form_depth(e, a->form), mask);
    if (!x.vector && (!x.step || emit_stays_between_multiples(e, a->form, a->divisor)))
      return lanes_scalar(floor_by(e, x.base, a->divisor, plain));
    return (Lanes){.vector = floor_by(e, lanes_vector(e, x, lane_type(e, a->form)), a->divisor, plain)};
  }
  case ATOM_DATA: {
    Value v = emit_masked(e, a->data, mask);
    enter_masked(e, expr_depth(e, a->data), mask);
    bool is_signed = dtype_is_signed(a->data->dtype);
    if (!lanes_of(v)) return lanes_scalar(convert_int(&e->b, v, e->b.i64, is_signed));
    return (Lanes){.vector = bits_of(LLVMTypeOf(v)) < 32 ? convert_int(&e->b, v, e->b.i32, is_signed) : v};
  }
  }
  ice("an unknown atom");
}

/* Terms are added from the outermost scope inwards: what is fixed in a loop is added up before it. */
static Lanes emit_form_masked(Emit *e, Form *f, const Mask *mask) {
  if (!form_has_data(f)) mask = NULL;
  const Memo *m = find_memo(e, f, mask);
  if (m) return m->lanes;
  int depth = form_depth(e, f);
  if (mask) depth = deeper(depth, mask->depth);
  Type element = lane_type(e, f);
  Lanes sum = lanes_scalar(index64(&e->b, f->c0));
  for (int d = 0; d <= depth; d++)
    for (int i = 0; i < f->n; i++) {
      const Atom *a = f->terms[i].atom;
      int at = atom_depth(e, a);
      if (mask && a->kind != ATOM_VAR && a->kind != ATOM_DIM) at = deeper(at, mask->depth);
      if (at != d) continue;
      Lanes x = atom_lanes(e, a, mask);
      emit_enter(e, d);
      sum = lanes_add(e, sum, lanes_scale(e, x, f->terms[i].coefficient, element), element);
    }
  vec_push(e->arena, &e->memo, (Memo){.key = f, .mask = mask, .lanes = sum, .depth = depth});
  return sum;
}

Lanes emit_form(Emit *e, Form *f) {
  Lanes l = emit_form_masked(e, f, NULL);
  emit_enter(e, e->depth);
  return l;
}

/* ---- dimensions: once, at the function's beginning ---- */

static Value atom_of_dim(Emit *e, const DimAtom *a) {
  for (int i = 0; i < e->s->dims.n; i++)
    if (e->s->dims.at[i] == a) {
      Value at = index64(&e->b, i);
      Value p = LLVMBuildGEP2(e->b.b, e->b.i64, e->dims, &at, 1, "");
      return LLVMBuildLoad2(e->b.b, e->b.i64, p, "");
    }
  if (a->name) ice("the dimension %s is not one of the kernel's", a->name);
  Value x = emit_dim(e, a->a), y = emit_dim(e, a->b); /* sizes: neither is negative */
  LLVMPositionBuilderBefore(e->b.b, LLVMGetBasicBlockTerminator(e->entry));
  return LLVMBuildUDiv(e->b.b, x, y, "");
}

Value emit_dim(Emit *e, Dim *d) {
  const Memo *m = find_memo(e, d, NULL);
  if (m) return m->value;
  LLVMPositionBuilderBefore(e->b.b, LLVMGetBasicBlockTerminator(e->entry));
  Value sum = index64(&e->b, 0);
  for (int i = 0; i < d->n; i++) {
    Value product = index64(&e->b, d->terms[i].coefficient);
    for (int j = 0; j < d->terms[i].n; j++) product = imul(&e->b, product, atom_of_dim(e, d->terms[i].atoms[j]));
    sum = add64(&e->b, sum, product);
  }
  vec_push(e->arena, &e->memo, (Memo){.key = d, .value = sum, .depth = ENTRY});
  emit_enter(e, e->depth);
  return sum;
}

/* ---- memory ---- */

Value emit_operand(Emit *e, const Buffer *buffer) {
  for (int i = 0; i < e->k->operands.n; i++)
    if (e->k->operands.at[i] == buffer) return e->operands[i];
  ice("kernel %s does not list a buffer that it uses", e->k->symbol);
}

static Value element_pointer(Emit *e, Value pointer, DType t, Value at) {
  return LLVMBuildGEP2(e->b.b, memory_type(&e->b, t, 0), pointer, &at, 1, "");
}

static unsigned align_of(DType t) { return (unsigned)dtype_bytes(t); }

static Value all_lanes(Emit *e, Value mask) {
  return mask ? splat(&e->b, mask, e->lanes) : int_const(with_lanes(e->b.i1, e->lanes), 1);
}

/* Elements step apart lie in `step` vectors that follow each other; element i of vector j is that of lane
 * (j*lanes + i) / step, where step divides. A few shuffles are much cheaper than a gather or a scatter. */
static bool is_strided(Lanes at) { return !at.vector && at.step > 1 && at.step <= MAX_STEP; }

/* Without masks that holds, where one shuffle takes from two whole vectors, as long as a gather has no fewer loads.
 */
static bool shuffles_all(const Emit *e, Lanes at) {
  if (at.vector || at.step <= 1 || at.step > e->lanes) return false;
  return at.step <= MAX_STEP || cpu_module_target(e->m)->vector_bytes == 64;
}

/* The lane mask as a mask of vector j's elements. */
static Value part_of_mask(Emit *e, Value mask, int64_t step, int j) {
  Value used[128];
  int lane[128];
  for (int i = 0; i < e->lanes; i++) {
    int at = j * e->lanes + i;
    lane[i] = at / (int)step;
    used[i] = int_const(e->b.i1, at % step == 0);
  }
  Value own = LLVMConstVector(used, (unsigned)e->lanes);
  if (!mask) return own;
  mask = all_lanes(e, mask);
  return both(&e->b, shuffle(&e->b, mask, lane, e->lanes), own);
}

static const Mask *mask_under(Emit *e, const Mask *outer, Value condition, bool negated, int depth);

/* The mask of the lanes that are needed and exist, where it is known in which scope. */
static Mask *whole_mask(Emit *e, const Mask *needed) {
  const Mask *m = e->tail && e->tail_depth ? mask_under(e, needed, e->tail, false, e->tail_depth) : needed;
  return e->tail && !e->tail_depth ? NULL : (Mask *)(uintptr_t)m;
}

/* part_of_mask of the lanes that are needed and exist, in their mask's own scope. */
static Value strided_mask(Emit *e, const Mask *needed, int64_t step, int j) {
  LLVMBasicBlockRef here = LLVMGetInsertBlock(e->b.b);
  Mask *m = whole_mask(e, needed);
  Value part = m ? m->part[step][j] : NULL;
  if (m && !part) {
    emit_enter(e, m->depth);
    part = m->part[step][j] = part_of_mask(e, m->value, step, j);
  }
  Value end = LLVMGetBasicBlockTerminator(here);
  if (end) LLVMPositionBuilderBefore(e->b.b, end);
  else LLVMPositionBuilderAtEnd(e->b.b, here);
  return part ? part : part_of_mask(e, both(&e->b, needed ? needed->value : NULL, e->tail), step, j);
}

static Value part_at(Emit *e, Value pointer, DType t, Value base, int64_t element) {
  return element_pointer(e, pointer, t, iadd(&e->b, base, index64(&e->b, element)));
}

/* v with the lanes whose elements are among those of `part`, which begin at `first`. */
static Value take_part(Emit *e, Value v, Value part, int64_t step, int64_t first) {
  int from[128];
  for (int l = 0; l < e->lanes; l++) {
    int64_t element = l * step - first;
    from[l] = element < 0 ? l : element < e->lanes ? e->lanes + (int)element : -1;
  }
  return shuffle_two(&e->b, v, part, from, e->lanes);
}

/* Where all lanes are read, whole vectors lie between the first element and the last. */
static Value load_all_strided(Emit *e, Value pointer, DType t, Lanes at) {
  Type vector = memory_type(&e->b, t, e->lanes);
  int64_t last = (e->lanes - 1) * (at.step - 1);
  Value v = LLVMGetUndef(vector);
  for (int64_t j = 0; j < at.step; j++) {
    int64_t first = j * e->lanes < last ? j * e->lanes : last;
    Value part = LLVMBuildLoad2(e->b.b, vector, part_at(e, pointer, t, at.base, first), "");
    LLVMSetAlignment(part, align_of(t));
    v = take_part(e, v, part, at.step, first);
  }
  return v;
}

static Value load_strided(Emit *e, Value pointer, DType t, Lanes at, const Mask *mask) {
  Type vector = memory_type(&e->b, t, e->lanes);
  Value v = LLVMGetUndef(vector);
  for (int j = 0; j < at.step; j++) {
    Value from = part_at(e, pointer, t, at.base, (int64_t)j * e->lanes), there = strided_mask(e, mask, at.step, j);
    v = take_part(e, v, load_masked(&e->b, vector, from, align_of(t), there), at.step, (int64_t)j * e->lanes);
  }
  return v;
}

static void store_strided(Emit *e, Value pointer, DType t, Lanes at, Value v) {
  Build *b = &e->b;
  for (int j = 0; j < at.step; j++) {
    int from[128];
    for (int i = 0; i < e->lanes; i++) from[i] = (j * e->lanes + i) / (int)at.step;
    Value part = shuffle(b, v, from, e->lanes), to = part_at(e, pointer, t, at.base, (int64_t)j * e->lanes);
    store_masked(b, part, to, align_of(t), strided_mask(e, NULL, at.step, j));
  }
}

static Value load_raw(Emit *e, Value pointer, DType t, Lanes at, const Mask *needed) {
  Build *b = &e->b;
  Value mask = needed ? needed->value : NULL;
  Type scalar = memory_type(b, t, 0), vector = memory_type(b, t, e->lanes);
  if (!at.vector && !at.step) {
    Value p = element_pointer(e, pointer, t, at.base);
    if (mask && lanes_of(mask)) mask = any_lane(b, both(b, mask, e->tail));
    if (mask) p = LLVMBuildSelect(b->b, mask, p, e->spare, "");
    Value v = LLVMBuildLoad2(b->b, scalar, p, "");
    LLVMSetAlignment(v, align_of(t));
    return v;
  }
  mask = both(b, mask, e->tail);
  if (!mask && shuffles_all(e, at)) return load_all_strided(e, pointer, t, at);
  if (is_strided(at)) return load_strided(e, pointer, t, at, needed);
  if (!at.vector && at.step == 1) {
    Value p = element_pointer(e, pointer, t, at.base);
    if (!mask) {
      Value v = LLVMBuildLoad2(b->b, vector, p, "");
      LLVMSetAlignment(v, align_of(t));
      return v;
    }
    return load_masked(b, vector, p, align_of(t), all_lanes(e, mask));
  }
  Value index = at.vector;
  if (!index) {
    pointer = element_pointer(e, pointer, t, at.base);
    index = iota(b, b->i32, e->lanes, at.step);
  }
  Value p = LLVMBuildGEP2(b->b, scalar, pointer, &index, 1, "");
  Type over[] = {vector, LLVMTypeOf(p)};
  Value args[] = {p, int_const(b->i32, align_of(t)), all_lanes(e, mask), LLVMConstNull(vector)};
  return intrinsic(b, "llvm.masked.gather", over, 2, args, 4);
}

Value emit_load(Emit *e, Value pointer, DType t, Lanes at, const Mask *needed) {
  Value v = load_raw(e, pointer, t, at, needed);
  if (dtype_is_narrow(t)) return narrow_widen(&e->b, t, v);
  return t == DT_bool ? icmp(&e->b, LLVMIntNE, v, int_like_const(v, 0)) : v;
}

void emit_store(Emit *e, Value pointer, DType t, Lanes at, Value v) {
  Build *b = &e->b;
  if (t == DT_bool) v = LLVMBuildZExt(b->b, v, like(b->i8, v), "");
  if (dtype_is_narrow(t)) v = narrow_bits(b, t, v);
  if (!at.vector && !at.step) {
    if (lanes_of(v)) ice("kernel %s stores many lanes in one place", e->k->symbol);
    LLVMSetAlignment(LLVMBuildStore(b->b, v, element_pointer(e, pointer, t, at.base)), align_of(t));
    return;
  }
  v = splat(b, v, e->lanes);
  Value align = int_const(b->i32, align_of(t));
  if (!at.vector && at.step == 1) {
    Value p = element_pointer(e, pointer, t, at.base);
    if (!e->tail) {
      LLVMSetAlignment(LLVMBuildStore(b->b, v, p), align_of(t));
      return;
    }
    store_masked(b, v, p, align_of(t), all_lanes(e, e->tail));
    return;
  }
  if (is_strided(at)) {
    store_strided(e, pointer, t, at, v);
    return;
  }
  Value index = at.vector;
  if (!index) {
    pointer = element_pointer(e, pointer, t, at.base);
    index = iota(b, b->i32, e->lanes, at.step);
  }
  Value p = LLVMBuildGEP2(b->b, memory_type(b, t, 0), pointer, &index, 1, "");
  intrinsic(b, "llvm.masked.scatter", (Type[]){LLVMTypeOf(v), LLVMTypeOf(p)}, 2,
            (Value[]){v, p, align, all_lanes(e, e->tail)}, 4);
}

/* ---- addresses ---- */

static const Kept *kept_row(const Emit *e, const Node *n) {
  for (int i = 0; i < e->kept.n; i++)
    if (e->kept.at[i].node == n) return &e->kept.at[i];
  return NULL;
}

Form *flat_address(Emit *e, const Node *n, Form **at) {
  const Kept *row = kept_row(e, n);
  n = schedule_layout(e->s, n, &at);
  Form *sum = form_const(e->ir, 0);
  int64_t stride = 1;
  bool known = true; /* stride is a number */
  for (int i = n->rank - 1; i >= 0; i--) {
    if (row && row->is_grid[i]) continue;
    int64_t zero = -1;
    if (!known && !(form_is_const(at[i], &zero) && zero == 0)) return NULL;
    if (known) sum = form_add(e->ir, sum, form_scale(e->ir, at[i], stride));
    int64_t extent;
    if (dim_is_const(node_kept_extent(e->ir, n, i), &extent)) stride *= extent;
    else known = false;
  }
  return sum;
}

/* Strides that are not numbers: multiplied at run time. */
static Lanes open_address(Emit *e, const Node *n, Form **at, const Mask *mask) {
  const Kept *row = kept_row(e, n);
  n = schedule_layout(e->s, n, &at);
  Lanes sum = lanes_scalar(index64(&e->b, 0));
  Dim *stride = dim_const(e->ir, 1);
  for (int i = n->rank - 1; i >= 0; i--) {
    if (row && row->is_grid[i]) continue;
    Lanes x = emit_form_masked(e, at[i], mask);
    int64_t k;
    if (dim_is_const(stride, &k)) {
      emit_enter(e, e->depth);
      sum = lanes_add(e, sum, lanes_scale(e, x, k, e->b.i64), e->b.i64);
    } else {
      Value s = emit_dim(e, stride);
      emit_enter(e, e->depth);
      if (!x.vector && !x.step) x = lanes_scalar(imul(&e->b, x.base, s));
      else x = (Lanes){.vector = imul(&e->b, lanes_vector(e, x, e->b.i64), s)};
      sum = lanes_add(e, sum, x, e->b.i64);
    }
    stride = dim_mul(e->ir, stride, node_kept_extent(e->ir, n, i));
  }
  return sum;
}

static Lanes emit_address(Emit *e, const Node *n, Form **at, const Mask *mask, int depth) {
  Form *flat = flat_address(e, n, at);
  int here = e->depth;
  e->depth = depth;
  Lanes l = flat ? emit_form_masked(e, flat, mask) : open_address(e, n, at, mask);
  e->depth = here;
  emit_enter(e, depth);
  return l;
}

Lanes emit_element(Emit *e, const Node *n, Form **at) { return emit_address(e, n, at, NULL, e->depth); }

void emit_store_at(Emit *e, const Buffer *buffer, const Node *n, Form **at, Value v) {
  Value p = emit_operand(e, buffer);
  Lanes l = emit_address(e, n, at, NULL, e->depth);
  emit_store(e, p, n->dtype, l, v);
}

/* Row elements of many grid positions lie beside each other: [element][position]. */
static Lanes spread(Emit *e, const Kept *row, Lanes at) {
  if (!row->lanes) return at;
  if (at.vector) {
    Value v = imul(&e->b, at.vector, int_like_const(at.vector, row->lanes));
    return (Lanes){.vector = iadd(&e->b, v, iota(&e->b, element_of(LLVMTypeOf(v)), e->lanes, 1))};
  }
  return (Lanes){.base = imul(&e->b, at.base, index64(&e->b, row->lanes)), .step = at.step * row->lanes + 1};
}

void emit_store_row(Emit *e, const Node *n, Form **at, Value v) {
  const Kept *row = kept_row(e, n);
  Lanes l = emit_address(e, n, at, NULL, e->depth);
  emit_store(e, row->base, n->dtype, spread(e, row, l), v);
}

void emit_kept_rows(Emit *e, bool across) {
  Kernel *k = e->k;
  int lanes = across ? e->lanes : 0;
  for (int i = 0; i < k->members.n; i++) {
    const Member *m = &k->members.at[i];
    if (m->storage != STORE_row) continue;
    Kept row = {.node = m->node, .lanes = lanes, .is_grid = NEW_ARRAY(e->arena, bool, m->node->rank + 1)};
    for (int j = 0; j < k->ngrid; j++) row.is_grid[m->grid_slot[j]] = true;
    Dim *offset = dim_mul(e->ir, m->offset, dim_const(e->ir, lanes ? lanes : 1));
    Value at = emit_dim(e, offset);
    emit_enter(e, 0);
    row.base = LLVMBuildGEP2(e->b.b, e->b.i8, e->scratch, &at, 1, "");
    vec_push(e->arena, &e->kept, row);
  }
  if (lanes && e->kept.n) e->scratch_times = lanes;
}

/* ---- expressions ---- */

typedef struct Risk {
  Emit *e;
  bool found;
} Risk;

static void look_at_read(void *cx, Expr *x) {
  Risk *r = cx;
  if (x->kind == EXPR_READ && !r->found && !find_memo(r->e, x, NULL)) r->found = !read_is_inside(r->e->ir, x);
}

static bool has_risky_read(Emit *e, Expr *x) {
  if (!x->reads) return false;
  Risk r = {e, false};
  expr_visit(x, look_at_read, &r);
  return r.found;
}

/* A constant condition is one value in every scope: the depth tells a closed scope's mask from this one's. */
static const Mask *mask_under(Emit *e, const Mask *outer, Value condition, bool negated, int depth) {
  if (outer) depth = deeper(depth, outer->depth);
  for (int i = 0; i < e->masks.n; i++) {
    Mask *m = e->masks.at[i];
    if (m->outer == outer && m->condition == condition && m->negated == negated && m->depth == depth) return m;
  }
  Mask *m = NEW(e->arena, Mask);
  m->depth = depth;
  emit_enter(e, m->depth);
  Value own = negated ? inverted(&e->b, condition) : condition;
  m->value = outer ? both(&e->b, outer->value, own) : own;
  m->condition = condition;
  m->negated = negated;
  m->outer = (Mask *)(uintptr_t)outer;
  vec_push(e->arena, &e->masks, m);
  return m;
}

static Value read_value(Emit *e, Expr *x, const Mask *mask, int depth) {
  const Kept *row = kept_row(e, x->node);
  if (mask && read_is_inside(e->ir, x)) mask = NULL;
  Lanes at = emit_address(e, x->node, x->at, mask, depth);
  if (row) return emit_load(e, row->base, x->dtype, spread(e, row, at), mask);
  return emit_load(e, emit_operand(e, kernel_buffer(e->s, e->k, x->node)), x->dtype, at, mask);
}

static Value index_value(Emit *e, Expr *x, const Mask *mask, int depth) {
  Lanes l = emit_form_masked(e, x->form, mask);
  emit_enter(e, depth);
  Type t = type_of(&e->b, x->dtype, 0);
  return l.vector || l.step ? lanes_vector(e, l, t) : convert_int(&e->b, l.base, t, true);
}

static Value compare_form(Emit *e, Expr *x, const Mask *mask, int depth) {
  Lanes l = emit_form_masked(e, x->form, mask);
  emit_enter(e, depth);
  Value v = l.vector || l.step ? lanes_vector(e, l, lane_type(e, x->form)) : l.base;
  return icmp(&e->b, x->kind == EXPR_GE0 ? LLVMIntSGE : LLVMIntEQ, v, int_like_const(v, 0));
}

static Value random_value(Emit *e, Expr *x, const Mask *mask, int depth) {
  Value a[3];
  for (int i = 0; i < 3; i++) a[i] = emit_masked(e, x->arg[i], mask);
  Lanes l = emit_form_masked(e, x->form, mask);
  emit_enter(e, depth);
  Value element = l.vector || l.step ? lanes_vector(e, l, e->b.i64) : l.base;
  Value key = LLVMBuildXor(e->b.b, a[0], int_like_const(a[0], (int64_t)x->key), "");
  return emit_random(&e->b, x->dtype, key, a[1], a[2], element);
}

static Value select_value(Emit *e, Expr *x, const Mask *mask, int depth) {
  Value p = emit_masked(e, x->arg[0], mask), side[2];
  for (int i = 0; i < 2; i++) {
    Expr *arg = x->arg[i + 1];
    const Mask *m = mask;
    if (has_risky_read(e, arg)) m = mask_under(e, mask, p, i == 1, expr_depth(e, x->arg[0]));
    side[i] = emit_masked(e, arg, m);
  }
  emit_enter(e, depth);
  Value a[3] = {p, side[0], side[1]};
  return emit_scalar(&e->b, OP_select, x->dtype, x->dtype, a);
}

/* `and`, `or`: the second operand where the first leaves it open. */
static Value lazy_value(Emit *e, Expr *x, const Mask *mask, int depth) {
  Value first = emit_masked(e, x->arg[0], mask);
  const Mask *open = mask_under(e, mask, first, x->op == OP_or, expr_depth(e, x->arg[0]));
  Value second = emit_masked(e, x->arg[1], open), settled = int_const(e->b.i1, x->op == OP_or);
  emit_enter(e, depth);
  Value a[3] = {first, x->op == OP_or ? settled : second, x->op == OP_or ? second : settled};
  return emit_scalar(&e->b, OP_select, DT_bool, DT_bool, a);
}

/* S13: a division by what is fixed in the loop, one value a row, is a product with its reciprocal: 1 ulp. Divisors
 * that the source writes as numbers stay: there whole quotients are expected to come out whole. */
static bool divides_by_fixed(Emit *e, Expr *x) {
  if (x->op != OP_div || !dtype_is_float(x->dtype) || x->arg[1]->kind == EXPR_CONST) return false;
  return expr_depth(e, x->arg[1]) < expr_depth(e, x->arg[0]);
}

static Value op_value(Emit *e, Expr *x, const Mask *mask, int depth) {
  if (x->op == OP_select) return select_value(e, x, mask, depth);
  if ((x->op == OP_and || x->op == OP_or) && has_risky_read(e, x->arg[1])) return lazy_value(e, x, mask, depth);
  if (divides_by_fixed(e, x)) {
    Expr *reciprocal = expr_op2(e->ir, OP_div, expr_real(e->ir, x->dtype, 1), x->arg[1]);
    return emit_masked(e, expr_op2(e->ir, OP_mul, x->arg[0], reciprocal), mask);
  }
  Value a[3];
  for (int i = 0; i < x->n; i++) a[i] = emit_masked(e, x->arg[i], mask);
  emit_enter(e, depth);
  return emit_scalar(&e->b, x->op, x->arg[0]->dtype, x->dtype, a);
}

static Value const_value(Emit *e, Expr *x) {
  Type t = type_of(&e->b, x->dtype, 0);
  return dtype_is_float(x->dtype) ? LLVMConstReal(t, x->real) : int_const(t, x->integer);
}

static Value emit_masked(Emit *e, Expr *x, const Mask *mask) {
  if (x->kind == EXPR_CONST) return const_value(e, x);
  if (!x->reads) mask = NULL;
  const Memo *m = find_memo(e, x, mask);
  if (m) return m->value;
  int depth = expr_depth(e, x);
  if (mask) depth = deeper(depth, mask->depth);
  emit_enter(e, depth);
  Value v = NULL;
  switch (x->kind) {
  case EXPR_CONST: break;
  case EXPR_INDEX: v = index_value(e, x, mask, depth); break;
  case EXPR_GE0:
  case EXPR_EQ0: v = compare_form(e, x, mask, depth); break;
  case EXPR_READ: v = read_value(e, x, mask, depth); break;
  case EXPR_RANDOM: v = random_value(e, x, mask, depth); break;
  case EXPR_OP: v = op_value(e, x, mask, depth); break;
  }
  vec_push(e->arena, &e->memo, (Memo){.key = x, .mask = mask, .value = v, .depth = depth});
  return v;
}

Value emit_expr(Emit *e, Expr *x) {
  Value v = emit_masked(e, x, NULL);
  emit_enter(e, e->depth);
  return v;
}

Value emit_under(Emit *e, Expr *condition, Expr *x, Value *holds) {
  *holds = emit_masked(e, condition, NULL);
  const Mask *m = has_risky_read(e, x) ? mask_under(e, NULL, *holds, false, expr_depth(e, condition)) : NULL;
  Value v = emit_masked(e, x, m);
  emit_enter(e, e->depth);
  return v;
}

void emit_known(Emit *e, Expr *x, Value v) {
  vec_push(e->arena, &e->memo, (Memo){.key = x, .value = v, .depth = e->depth});
  e->generation++;
}

/* ---- moving a member to its position ---- */

Expr *emit_at(Emit *e, Expr *body, Form **at) { return expr_at_slots(e->ir, body, at); }

bool form_divides(const Form *f, const Var *v) {
  for (int i = 0; i < f->n; i++) {
    const Atom *a = f->terms[i].atom;
    if (a->kind == ATOM_DIV && form_uses(a->form, v)) return true;
    if (a->kind == ATOM_DATA && expr_uses(a->data, v)) return true;
  }
  return false;
}
