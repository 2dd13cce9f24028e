/* emit_contraction.c - sums of products in register tiles (Goto, van de Geijn 2008, without packing what need not
 * be).
 *
 * A tile is mr rows by nr vectors of the result, held in registers while it runs through K: at each k, nr vectors of
 * B and mr broadcasts of A. An operand that is a plain read, walked through in straight lines, is used where it lies;
 * any other (a map, a guard, a transposed or windowed read) is packed: A by rows, B in panels [K][nr vectors]. The
 * maps after the contraction are applied to the tile before it is stored. Rows beyond whole tiles have tiles of their
 * own, the last columns a narrower panel under a mask. Every result is the sum over K in one order, whatever tile it
 * falls in.
 *
 * Where packing would need more than KC of K at once, K is cut: partial sums wait in scratch memory, and the maps
 * follow in a pass of their own. */
#include "codegen/cpu/emit.h"

enum { MAX_ROWS = 24, MAX_VECTORS = 4, LONG_EPILOGUE = 10, LARGEST_K = 2048 };

typedef struct Operand { /* of one side, over vm, vk (A) or vk, vn (B) */
  Expr *value;
  bool packed;
  Form *address;  /* in place: position in the tensor */
  int64_t stride; /* of the tile's rows (A) or of one column (B: 1) */
  int64_t k_stride;
  Value buffer; /* packed */
  bool crossed; /* B, packed: K is the contiguous index, so squares are transposed in registers */
} Operand;

typedef struct Product {
  Emit *e;
  const Contraction *c;
  const Member *main;
  const Node *node;
  DType t;
  int64_t size; /* bytes of an element */
  Form **at;    /* by slot, over the indices below */
  Var **batch;
  Var *vm, *vn, *vk; /* flat */
  Operand a, b;
  bool blocked;
  int64_t kc, row; /* of packed A: elements in a row */
  int64_t mc, nc;
  Value partial; /* blocked: [mc][nc] */
  Value m_from, m_to, n_from, n_to, k_from, k_to, k_all;
  int epilogue; /* size of the maps */
  Value spill;  /* memory for one tile */
} Product;

/* ---- what is in place, what is packed ---- */

static int slot_extents(const Product *p, const int *slots, int n, Dim **extent) {
  for (int i = 0; i < n; i++) {
    int s = slots[i];
    extent[i] = s < p->node->rank ? p->node->shape[s] : p->node->red[s - p->node->rank];
  }
  return n;
}

static Dim *volume(const Product *p, const int *slots, int n) {
  Dim *extent[32], *d = dim_const(p->e->ir, 1);
  slot_extents(p, slots, n, extent);
  for (int i = 0; i < n; i++) d = dim_mul(p->e->ir, d, extent[i]);
  return d;
}

/* The forms of some slots in one flat index; false where an inner extent is open. */
static bool flatten(Product *p, const int *slots, int n, Var **flat) {
  Ir *ir = p->e->ir;
  Dim *extent[32];
  slot_extents(p, slots, n, extent);
  *flat = var_fresh(ir, volume(p, slots, n));
  Form *rest = form_var(ir, *flat);
  for (int i = n - 1; i > 0; i--) {
    int64_t c;
    if (!dim_is_const(extent[i], &c) || c < 1) return false;
    p->at[slots[i]] = form_mod(ir, rest, c);
    rest = form_floordiv(ir, rest, c);
  }
  if (n) p->at[slots[0]] = rest;
  return true;
}

static bool walks_straight(const Form *f, const Var *v) { return !form_divides(f, v); }

static bool proved_inside(Emit *e, const Expr *x) {
  for (int i = 0; i < x->node->rank; i++)
    if (!form_proves_inside(e->ir, x->at[i], x->node->shape[i])) return false;
  return true;
}

static void place_operand(Product *p, Operand *o, const Var *line, bool vectors) {
  o->packed = true;
  Expr *x = o->value;
  if (x->kind != EXPR_READ || x->dtype != p->t || !proved_inside(p->e, x)) return;
  Form *f = flat_address(p->e, x->node, x->at);
  if (!f || !walks_straight(f, line) || !walks_straight(f, p->vk)) return;
  o->address = f;
  o->stride = form_coefficient(f, line);
  o->k_stride = form_coefficient(f, p->vk);
  o->crossed = vectors && o->stride != 1 && o->k_stride == 1;
  o->packed = vectors && o->stride != 1;
}

/* ---- scratch memory ---- */

static int64_t round_up(int64_t x, int64_t to) { return (x + to - 1) / to * to; }

static Value scratch_at(Emit *e, int64_t offset) {
  Value at = index64(&e->b, offset);
  return LLVMBuildGEP2(e->b.b, e->b.i8, e->scratch, &at, 1, "");
}

static int panel_columns(const Product *p) { return p->c->nr * p->e->lanes; }

static void plan_scratch(Product *p) {
  Emit *e = p->e;
  int64_t k = 0, m = 0, used = 0;
  bool known = dim_is_const(p->vk->extent, &k), packs = p->a.packed || p->b.packed;
  p->blocked = packs && (!known || k > LARGEST_K);
  p->kc = p->blocked ? round_up(p->c->kc > 64 ? p->c->kc : 64, e->lanes) : k;
  p->mc = p->c->mc;
  p->nc = p->c->nc;
  if (dim_is_const(p->vm->extent, &m) && m < p->mc) p->mc = m > 0 ? m : 1;
  p->row = round_up(p->kc, e->lanes) + 16; /* rows not a power of two apart */
  emit_enter(e, 0);
  if (p->a.packed) {
    p->a.buffer = scratch_at(e, used);
    p->a.stride = p->row;
    p->a.k_stride = 1;
    used += round_up(p->mc * p->row * p->size, 64);
  }
  if (p->b.packed) {
    p->b.buffer = scratch_at(e, used);
    used += round_up(round_up(p->kc, e->lanes) * panel_columns(p) * p->size, 64);
  }
  if (p->blocked) {
    p->partial = scratch_at(e, used);
    used += round_up(p->mc * p->nc * p->size, 64);
  }
  e->scratch_bytes = used;
  e->scratch_times = 0;
}

static Value at_element(Product *p, Value base, Value index) {
  return LLVMBuildGEP2(p->e->b.b, type_of(&p->e->b, p->t, 0), base, &index, 1, "");
}

static Value at_number(Product *p, Value base, int64_t index) {
  return index ? at_element(p, base, index64(&p->e->b, index)) : base;
}

static Value scalar_load(Product *p, Value pointer) {
  Value v = LLVMBuildLoad2(p->e->b.b, type_of(&p->e->b, p->t, 0), pointer, "");
  LLVMSetAlignment(v, (unsigned)p->size);
  return v;
}

static Value vector_load(Product *p, Value pointer, unsigned align) {
  Value v = LLVMBuildLoad2(p->e->b.b, type_of(&p->e->b, p->t, p->e->lanes), pointer, "");
  LLVMSetAlignment(v, align);
  return v;
}

static void vector_store(Product *p, Value v, Value pointer) {
  LLVMSetAlignment(LLVMBuildStore(p->e->b.b, splat(&p->e->b, v, p->e->lanes), pointer), (unsigned)p->size);
}

static Value plus(Product *p, Value x, int64_t n) {
  return n ? LLVMBuildNSWAdd(p->e->b.b, x, index64(&p->e->b, n), "") : x;
}

static Value less(Product *p, Value x, Value y) { return choose(&p->e->b, icmp(&p->e->b, LLVMIntSLT, x, y), x, y); }

/* ---- packing ---- */

static void pack_a_lanes(Emit *e, void *cx, Value *carried, int instance) {
  (void)carried, (void)instance;
  Product *p = cx;
  Value v = emit_expr(e, p->a.value);
  Lanes m = emit_form(e, form_var(e->ir, p->vm)), k = emit_form(e, form_var(e->ir, p->vk));
  Value at = imul(&e->b, isub(&e->b, m.base, p->m_from), index64(&e->b, p->row));
  at = iadd(&e->b, at, isub(&e->b, k.base, p->k_from));
  emit_store(e, p->a.buffer, p->t, lanes_from(e, at, 1), v);
}

/* [m_to - m_from][k_to - k_from], rows `row` apart. */
static void pack_a(Product *p) {
  Emit *e = p->e;
  Loop rows;
  loop_open(e, &rows, p->m_from, p->m_to, 1, NULL, 0);
  emit_bind(e, p->vm, lanes_scalar(rows.index));
  e->aligned = p->vk;
  lane_loop(e, p->vk, p->k_from, p->k_to, 1, NULL, 0, pack_a_lanes, p);
  e->aligned = NULL;
  loop_close(e, &rows, NULL);
}

static Value lanes_left(Product *p, Value n0, int j) { /* mask of vector j of a panel that ends at n_to */
  Emit *e = p->e;
  Value left = isub(&e->b, p->n_to, plus(p, n0, (int64_t)j * e->lanes));
  left = less(p, left, index64(&e->b, e->lanes));
  left = choose(&e->b, icmp(&e->b, LLVMIntSGT, left, index64(&e->b, 0)), left, index64(&e->b, 0));
  Value count = convert_int(&e->b, left, e->b.i32, true);
  return icmp(&e->b, LLVMIntULT, iota(&e->b, e->b.i32, e->lanes, 1), splat(&e->b, count, e->lanes));
}

/* The panel [k_to - k_from][vectors] of columns from n0 on. */
static void pack_b(Product *p, Value n0, int vectors, bool masked) {
  Emit *e = p->e;
  Loop rows;
  loop_open(e, &rows, p->k_from, p->k_to, 1, NULL, 0);
  emit_bind(e, p->vk, lanes_scalar(rows.index));
  Value at = imul(&e->b, isub(&e->b, rows.index, p->k_from), index64(&e->b, (int64_t)vectors * e->lanes));
  Value to = at_element(p, p->b.buffer, at), outer = e->tail;
  e->aligned = p->vn;
  for (int j = 0; j < vectors; j++) {
    int mark = emit_mark(e);
    emit_enter(e, e->depth);
    if (masked) e->tail = lanes_left(p, n0, j);
    emit_bind(e, p->vn, lanes_from(e, plus(p, n0, (int64_t)j * e->lanes), 1));
    Value v = emit_expr(e, p->b.value);
    vector_store(p, v, at_number(p, to, (int64_t)j * e->lanes));
    e->bound.n--;
    e->generation++;
    e->tail = outer;
    emit_forget(e, mark, e->depth, false);
  }
  e->aligned = NULL;
  loop_close(e, &rows, NULL);
}

/* Rows and lanes change places: of both, one bit of the number after the other. */
static void transpose(Product *p, Value *row) {
  Emit *e = p->e;
  int n = e->lanes;
  for (int bit = 1; bit < n; bit *= 2) {
    Value at[2][64];
    for (int l = 0; l < n; l++) {
      at[0][l] = int_const(e->b.i32, l & bit ? n + (l ^ bit) : l);
      at[1][l] = int_const(e->b.i32, l & bit ? n + l : l ^ bit);
    }
    for (int i = 0; i < n; i++) {
      if (i & bit) continue;
      Value x = row[i], y = row[i | bit];
      row[i] = LLVMBuildShuffleVector(e->b.b, x, y, LLVMConstVector(at[0], (unsigned)n), "");
      row[i | bit] = LLVMBuildShuffleVector(e->b.b, x, y, LLVMConstVector(at[1], (unsigned)n), "");
    }
  }
}

static Value address_at(Product *p, const Operand *o, const Var *line, Value at, Value k);

/* One square of the panel: K from k on, columns from n on. Columns beyond the last repeat it; nobody uses them. */
static void pack_square(Product *p, Value k, Value n, Value to, int vectors, bool masked) {
  Emit *e = p->e;
  Value row[64];
  Type v = type_of(&e->b, p->t, e->lanes), over[] = {v, e->b.ptr};
  Value left = less(p, isub(&e->b, p->k_to, k), index64(&e->b, e->lanes));
  Value ids = iota(&e->b, e->b.i32, e->lanes, 1);
  Value mask = icmp(&e->b, LLVMIntULT, ids, splat(&e->b, convert_int(&e->b, left, e->b.i32, true), e->lanes));
  Value base = address_at(p, &p->b, p->vn, n, k), last = isub(&e->b, isub(&e->b, p->n_to, n), index64(&e->b, 1));
  int64_t whole;
  bool full = !p->blocked && dim_is_const(p->vk->extent, &whole) && whole % e->lanes == 0;
  for (int i = 0; i < e->lanes; i++) {
    Value at = masked ? less(p, index64(&e->b, i), last) : index64(&e->b, i);
    Value from = at_element(p, base, imul(&e->b, at, index64(&e->b, p->b.stride)));
    Value args[] = {from, int_const(e->b.i32, p->size), mask, LLVMConstNull(v)};
    row[i] = full ? vector_load(p, from, (unsigned)p->size) : intrinsic(&e->b, "llvm.masked.load", over, 2, args, 4);
  }
  transpose(p, row);
  for (int i = 0; i < e->lanes; i++) vector_store(p, row[i], at_number(p, to, (int64_t)i * vectors * e->lanes));
}

static void pack_b_crossed(Product *p, Value n0, int vectors, bool masked) {
  Emit *e = p->e;
  Loop columns, rows;
  loop_open(e, &columns, index64(&e->b, 0), index64(&e->b, vectors), 1, NULL, 0);
  Value j = imul(&e->b, columns.index, index64(&e->b, e->lanes));
  loop_open(e, &rows, p->k_from, p->k_to, e->lanes, NULL, 0);
  Value row = isub(&e->b, rows.index, p->k_from), width = index64(&e->b, (int64_t)vectors * e->lanes);
  Value to = at_element(p, p->b.buffer, iadd(&e->b, imul(&e->b, row, width), j));
  pack_square(p, rows.index, iadd(&e->b, n0, j), to, vectors, masked);
  loop_close(e, &rows, NULL);
  loop_close(e, &columns, NULL);
}

/* ---- the tile ---- */

typedef struct Tile {
  Product *p;
  int rows, vectors;
  bool masked;
  Value m0, n0;
  Value mask[MAX_VECTORS];
  int64_t b_row; /* elements from one k of B to the next */
  Value acc[MAX_ROWS * MAX_VECTORS];
} Tile;

/* The element of an operand at one place of its line and of K. */
static Value address_at(Product *p, const Operand *o, const Var *line, Value at, Value k) {
  Emit *e = p->e;
  int mark = emit_mark(e), bound = e->bound.n;
  emit_bind(e, (Var *)(uintptr_t)line, lanes_scalar(at));
  emit_bind(e, p->vk, lanes_scalar(k));
  Lanes l = emit_form(e, o->address);
  e->bound.n = bound;
  e->generation++;
  emit_forget(e, mark, e->depth, false);
  return at_element(p, emit_operand(e, kernel_buffer(e->s, e->k, o->value->node)), l.base);
}

static Value a_pointer(Tile *t) {
  Product *p = t->p;
  if (!p->a.packed) return address_at(p, &p->a, p->vm, t->m0, p->k_from);
  Value row = isub(&p->e->b, t->m0, p->m_from);
  return at_element(p, p->a.buffer, imul(&p->e->b, row, index64(&p->e->b, p->row)));
}

static Value b_vector(Tile *t, Value pointer, int j) {
  Product *p = t->p;
  Emit *e = p->e;
  pointer = at_number(p, pointer, (int64_t)j * e->lanes);
  if (p->b.packed)
    return vector_load(p, pointer, e->lanes * (int)p->size >= 64 ? 64 : (unsigned)(e->lanes * p->size));
  if (!t->masked) return vector_load(p, pointer, (unsigned)p->size);
  Type v = type_of(&e->b, p->t, e->lanes), over[] = {v, e->b.ptr};
  Value args[] = {pointer, int_const(e->b.i32, p->size), t->mask[j], LLVMConstNull(v)};
  return intrinsic(&e->b, "llvm.masked.load", over, 2, args, 4);
}

/* acc += a[rows] * b[vectors] at one k. */
static void multiply(Tile *t, Value a, Value b, Value *acc) {
  Product *p = t->p;
  Value vector[MAX_VECTORS];
  for (int j = 0; j < t->vectors; j++) vector[j] = b_vector(t, b, j);
  for (int r = 0; r < t->rows; r++) {
    Value x = splat(&p->e->b, scalar_load(p, at_number(p, a, r * p->a.stride)), p->e->lanes);
    for (int j = 0; j < t->vectors; j++) {
      Value *c = &acc[r * t->vectors + j];
      *c = fmuladd(&p->e->b, x, vector[j], *c);
    }
  }
}

/* The accumulators run through k_from .. k_to, `unroll` at a time. */
static void run_through_k(Tile *t, Value *a, Value *b, Value from, Value to, int unroll) {
  Product *p = t->p;
  Emit *e = p->e;
  int n = t->rows * t->vectors;
  Value carried[ACCUMULATORS + 2], next[ACCUMULATORS + 2];
  for (int i = 0; i < n; i++) carried[i] = t->acc[i];
  carried[n] = *a;
  carried[n + 1] = *b;
  Loop l;
  loop_open(e, &l, from, to, unroll, carried, n + 2);
  for (int i = 0; i < n + 2; i++) next[i] = l.phi[i];
  for (int u = 0; u < unroll; u++) {
    multiply(t, next[n], next[n + 1], next);
    next[n] = at_number(p, next[n], p->a.k_stride);
    next[n + 1] = at_number(p, next[n + 1], t->b_row);
  }
  loop_close(e, &l, next);
  for (int i = 0; i < n; i++) t->acc[i] = l.out[i];
  *a = l.out[n];
  *b = l.out[n + 1];
}

static void sum_products(Tile *t) {
  Product *p = t->p;
  Emit *e = p->e;
  Value a = a_pointer(t), b = p->b.packed ? p->b.buffer : address_at(p, &p->b, p->vn, t->n0, p->k_from);
  Value count = isub(&e->b, p->k_to, p->k_from), zero = index64(&e->b, 0);
  int unroll = t->rows == p->c->mr ? 4 : 1;
  if (unroll == 1) {
    run_through_k(t, &a, &b, zero, count, 1);
    return;
  }
  int64_t known;
  Value four = index64(&e->b, unroll);
  Value whole = imul(&e->b, LLVMBuildUDiv(e->b.b, count, four, ""), four);
  bool exact = LLVMIsAConstantInt(count) && (known = LLVMConstIntGetSExtValue(count), known % unroll == 0);
  run_through_k(t, &a, &b, zero, whole, unroll);
  if (!exact) run_through_k(t, &a, &b, whole, count, 1);
}

/* ---- what follows the sum ---- */

/* Value `sum` at (vm, vn): scaled, stored, and the maps after it. */
static void finish_vector(Product *p, Value sum) {
  Emit *e = p->e;
  Kernel *k = e->k;
  if (p->c->scale) {
    Value a[3] = {sum, emit_expr(e, emit_at(e, p->c->scale, p->at)), NULL};
    sum = emit_scalar(&e->b, OP_mul, p->t, p->t, a);
  }
  for (int i = 0; i < k->members.n; i++) {
    const Member *m = &k->members.at[i];
    if (i) sum = emit_expr(e, emit_at(e, m->node->body, p->at));
    if (m->storage == STORE_buffer) emit_store_at(e, m->buffer, m->node, p->at, sum);
    emit_known(e, expr_read(e->ir, m->node, p->at), sum);
  }
}

/* Vector j of row r of the tile; what depends on the column only is kept for the next row. */
static void finish_at(Tile *t, Value m, int j, Value sum) {
  Product *p = t->p;
  Emit *e = p->e;
  int mark = emit_mark(e);
  e->scopes[e->depth + 1] = e->scopes[e->depth]; /* a scope for the row, in the same block */
  e->depth++;
  emit_bind(e, p->vm, lanes_scalar(m));
  if (t->masked) e->tail = t->mask[j];
  int outer = e->grid_depth;
  e->grid_depth = e->depth;
  finish_vector(p, sum);
  e->grid_depth = outer;
  e->tail = NULL;
  e->bound.n--;
  e->generation++;
  e->depth--;
  emit_forget(e, mark, e->depth + 1, false);
  emit_enter(e, e->depth);
}

static void finish_column(Tile *t, int j) {
  emit_bind(t->p->e, t->p->vn, lanes_from(t->p->e, plus(t->p, t->n0, (int64_t)j * t->p->e->lanes), 1));
}

static void drop_column(Tile *t, int mark) {
  Emit *e = t->p->e;
  e->bound.n--;
  e->generation++;
  emit_forget(e, mark, e->depth, false);
}

/* Short maps follow for each vector in line; long ones in a loop over the rows, from memory. */
static void finish_tile(Tile *t) {
  Product *p = t->p;
  Emit *e = p->e;
  int lanes = e->lanes;
  if (p->epilogue <= LONG_EPILOGUE || t->rows == 1) {
    for (int j = 0; j < t->vectors; j++) {
      int mark = emit_mark(e);
      finish_column(t, j);
      for (int r = 0; r < t->rows; r++) finish_at(t, plus(p, t->m0, r), j, t->acc[r * t->vectors + j]);
      drop_column(t, mark);
    }
    return;
  }
  for (int i = 0; i < t->rows * t->vectors; i++)
    vector_store(p, t->acc[i], at_number(p, p->spill, (int64_t)i * lanes));
  Loop rows;
  loop_open(e, &rows, index64(&e->b, 0), index64(&e->b, t->rows), 1, NULL, 0);
  for (int j = 0; j < t->vectors; j++) {
    int mark = emit_mark(e);
    emit_enter(e, e->depth);
    Value at = imul(&e->b, rows.index, index64(&e->b, (int64_t)t->vectors * lanes));
    Value sum = vector_load(p, at_number(p, at_element(p, p->spill, at), (int64_t)j * lanes), (unsigned)p->size);
    finish_column(t, j);
    finish_at(t, iadd(&e->b, t->m0, rows.index), j, sum);
    drop_column(t, mark);
  }
  loop_close(e, &rows, NULL);
}

static Value partial_at(Tile *t, Value m, int j) {
  Product *p = t->p;
  Value row = imul(&p->e->b, isub(&p->e->b, m, p->m_from), index64(&p->e->b, p->nc));
  Value at = iadd(&p->e->b, row, isub(&p->e->b, t->n0, p->n_from));
  return at_number(p, at_element(p, p->partial, at), (int64_t)j * p->e->lanes);
}

static void emit_tile(Tile *t) {
  Product *p = t->p;
  Emit *e = p->e;
  for (int j = 0; j < t->vectors && t->masked; j++) t->mask[j] = lanes_left(p, t->n0, j);
  t->b_row = p->b.packed ? (int64_t)t->vectors * e->lanes : p->b.k_stride;
  for (int r = 0; r < t->rows; r++)
    for (int j = 0; j < t->vectors; j++)
      t->acc[r * t->vectors + j] = p->blocked ? vector_load(p, partial_at(t, plus(p, t->m0, r), j), (unsigned)p->size)
                                              : LLVMConstNull(type_of(&e->b, p->t, e->lanes));
  sum_products(t);
  if (!p->blocked) {
    finish_tile(t);
    return;
  }
  for (int r = 0; r < t->rows; r++)
    for (int j = 0; j < t->vectors; j++)
      vector_store(p, t->acc[r * t->vectors + j], partial_at(t, plus(p, t->m0, r), j));
}

/* ---- loops over tiles ---- */

/* Tiles of `rows` rows from m on, while they fit; returns the first row left. */
static Value row_tiles(Product *p, Value m, int rows, Value n0, int vectors, bool masked) {
  Emit *e = p->e;
  Value step = index64(&e->b, rows), count = isub(&e->b, p->m_to, m);
  Value end = iadd(&e->b, m, imul(&e->b, LLVMBuildUDiv(e->b.b, count, step, ""), step));
  Tile t = {.p = p, .rows = rows, .vectors = vectors, .masked = masked, .n0 = n0};
  Loop l;
  loop_open(e, &l, m, end, rows, NULL, 0);
  t.m0 = l.index;
  emit_tile(&t);
  loop_close(e, &l, NULL);
  return end;
}

/* One panel: whole tiles, then the rows left: one more tile where M is a number, else tiles of falling powers of two.
 */
static void panel(Product *p, Value n0, int vectors, bool masked) {
  int mr = p->c->mr;
  int64_t m;
  if (p->b.crossed) pack_b_crossed(p, n0, vectors, masked);
  else if (p->b.packed) pack_b(p, n0, vectors, masked);
  bool known = dim_is_const(p->vm->extent, &m);
  Value at = p->m_from;
  if (!known || m >= mr) at = row_tiles(p, at, mr, n0, vectors, masked);
  if (known && (m <= p->c->mc || p->c->mc % mr == 0)) {
    int64_t rest = (m % p->c->mc) % mr;
    if (rest) row_tiles(p, at, (int)rest, n0, vectors, masked);
    return;
  }
  int power = 1;
  while (power * 2 < mr) power *= 2;
  for (; power >= 1 && mr > 1; power /= 2) at = row_tiles(p, at, power, n0, vectors, masked);
}

/* All panels of [n_from, n_to): whole ones, and the last columns. */
static void panels(Product *p, void (*each)(Product *p, Value n0, int vectors, bool masked)) {
  Emit *e = p->e;
  int64_t columns = panel_columns(p), n = 0;
  bool known = dim_is_const(p->vn->extent, &n);
  Value step = index64(&e->b, columns), at = p->n_from;
  Loop l;
  if (!known || n >= columns) {
    Value whole = imul(&e->b, LLVMBuildUDiv(e->b.b, isub(&e->b, p->n_to, at), step, ""), step);
    Value end = iadd(&e->b, at, whole);
    loop_open(e, &l, at, end, columns, NULL, 0);
    each(p, l.index, p->c->nr, false);
    loop_close(e, &l, NULL);
    at = end;
  }
  int64_t rest = known ? n % columns : columns - 1;
  if (rest == 0) return;
  loop_open(e, &l, at, p->n_to, columns, NULL, 0);
  each(p, l.index, (int)((rest + e->lanes - 1) / e->lanes), !known || rest % e->lanes != 0);
  loop_close(e, &l, NULL);
}

static void finish_panel(Product *p, Value n0, int vectors, bool masked) {
  Emit *e = p->e;
  Tile t = {.p = p, .rows = 1, .vectors = vectors, .masked = masked, .n0 = n0};
  Loop l;
  loop_open(e, &l, p->m_from, p->m_to, 1, NULL, 0);
  t.m0 = l.index;
  for (int j = 0; j < vectors && masked; j++) t.mask[j] = lanes_left(p, n0, j);
  for (int j = 0; j < vectors; j++) t.acc[j] = vector_load(p, partial_at(&t, t.m0, j), (unsigned)p->size);
  finish_tile(&t);
  loop_close(e, &l, NULL);
}

static void clear_partial(Product *p) {
  Emit *e = p->e;
  LLVMBuildMemSet(e->b.b, p->partial, int_const(e->b.i8, 0), index64(&e->b, p->mc * p->nc * p->size), 16);
}

static void block(Product *p) {
  Emit *e = p->e;
  Loop l;
  p->k_from = index64(&e->b, 0);
  p->k_to = p->k_all = emit_dim(e, p->vk->extent);
  emit_enter(e, e->depth);
  if (!p->blocked) {
    if (p->a.packed) pack_a(p);
    panels(p, panel);
    return;
  }
  clear_partial(p);
  loop_open(e, &l, p->k_from, p->k_all, p->kc, NULL, 0);
  p->k_from = l.index;
  p->k_to = less(p, plus(p, l.index, p->kc), p->k_all);
  if (p->a.packed) pack_a(p);
  panels(p, panel);
  loop_close(e, &l, NULL);
  panels(p, finish_panel);
}

/* ---- units: batch positions, times blocks of mc rows, times blocks of nc columns ---- */

static Value blocks_of(Product *p, Value extent, int64_t size) {
  return LLVMBuildUDiv(p->e->b.b, plus(p, extent, size - 1), index64(&p->e->b, size), "");
}

static Value split(Product *p, Value *position, Value by) {
  Value outer = LLVMBuildUDiv(p->e->b.b, *position, by, "");
  Value rest = isub(&p->e->b, *position, imul(&p->e->b, outer, by));
  *position = outer;
  return rest;
}

static void units(Product *p) {
  Emit *e = p->e;
  const Contraction *c = p->c;
  Value m = emit_dim(e, p->vm->extent), n = emit_dim(e, p->vn->extent);
  emit_enter(e, e->depth);
  Value mb = blocks_of(p, m, c->mc), nb = blocks_of(p, n, c->nc);
  Loop l;
  loop_open(e, &l, e->begin, e->end, 1, NULL, 0);
  Value at = l.index;
  p->n_from = imul(&e->b, split(p, &at, nb), index64(&e->b, c->nc));
  p->m_from = imul(&e->b, split(p, &at, mb), index64(&e->b, c->mc));
  p->n_to = less(p, plus(p, p->n_from, c->nc), n);
  p->m_to = less(p, plus(p, p->m_from, c->mc), m);
  for (int i = c->nbatch - 1; i >= 0; i--) {
    Value extent = emit_dim(e, p->batch[i]->extent);
    emit_enter(e, e->depth);
    emit_bind(e, p->batch[i], lanes_scalar(split(p, &at, extent)));
  }
  block(p);
  loop_close(e, &l, NULL);
}

/* ---- what tiles do not do ---- */

/* As a group of columns, in one piece: the first unit does all. */
static void emit_plain_sum(Emit *e) {
  Kernel whole = *e->k;
  Kernel *outer = e->k;
  Build *b = &e->b;
  e->k = &whole;
  whole.kind = KERNEL_column;
  whole.cut = 0;
  whole.block = 1;
  for (int i = 0; i < whole.members.n; i++) whole.members.at[i].level = i ? 1 : 0;
  Value first = both(b, icmp(b, LLVMIntEQ, e->begin, index64(b, 0)), icmp(b, LLVMIntSGT, e->end, index64(b, 0)));
  Value extent = emit_dim(e, whole.grid[0]);
  emit_enter(e, 0);
  e->begin = index64(b, 0);
  e->end = choose(b, first, extent, index64(b, 0));
  emit_group(e);
  e->k = outer;
}

static bool tiles_fit(Product *p) {
  if (!dtype_is_float(p->t) || p->t == DT_f16 || p->t == DT_bf16) return false;
  if (p->c->tile_mask || p->node->dtype != p->t || p->c->a->dtype != p->t || p->c->b->dtype != p->t) return false;
  if (p->c->nr > MAX_VECTORS || p->c->mr > MAX_ROWS || p->c->mr < 1 || p->c->nr < 1) return false;
  if (p->c->mr * p->c->nr + 2 > ACCUMULATORS) return false;
  return p->c->nc % (p->c->nr * p->e->lanes) == 0;
}

void emit_contraction(Emit *e) {
  Product p = {.e = e, .c = e->k->contraction, .main = &e->k->members.at[0]};
  p.node = p.main->node;
  p.t = p.node->body->dtype;
  p.size = dtype_bytes(p.t);
  p.at = NEW_ARRAY(e->arena, Form *, p.node->rank + p.node->nred + 1);
  p.batch = NEW_ARRAY(e->arena, Var *, p.c->nbatch + 1);
  Dim *extent[32];
  slot_extents(&p, p.c->batch, p.c->nbatch, extent);
  for (int i = 0; i < p.c->nbatch; i++) {
    p.batch[i] = var_fresh(e->ir, extent[i]);
    p.at[p.c->batch[i]] = form_var(e->ir, p.batch[i]);
  }
  bool flat = flatten(&p, p.c->m, p.c->nm, &p.vm);
  flat = flat && flatten(&p, p.c->n, p.c->nn, &p.vn) && flatten(&p, p.c->k, p.c->nk, &p.vk);
  if (!flat || !tiles_fit(&p)) {
    emit_plain_sum(e);
    return;
  }
  p.a.value = emit_at(e, p.c->a, p.at);
  p.b.value = emit_at(e, p.c->b, p.at);
  place_operand(&p, &p.a, p.vm, false);
  place_operand(&p, &p.b, p.vn, true);
  for (int i = 1; i < e->k->members.n; i++) p.epilogue += count_nodes(e->k->members.at[i].node->body);
  plan_scratch(&p);
  Type tile = LLVMArrayType2(type_of(&e->b, p.t, e->lanes), (uint64_t)(p.c->mr * p.c->nr));
  LLVMPositionBuilderBefore(e->b.b, LLVMGetBasicBlockTerminator(e->entry));
  p.spill = LLVMBuildAlloca(e->b.b, tile, "");
  LLVMSetAlignment(p.spill, 64);
  emit_enter(e, 0);
  units(&p);
}
