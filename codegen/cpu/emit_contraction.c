/* emit_contraction.c - sums of products in register tiles (Goto, van de Geijn 2008, without packing what need not
 * be).
 *
 * A tile is mr rows by nr vectors of the result, held in registers while it runs through K: at each k, nr vectors of
 * B and mr broadcasts of A. An operand that is a plain read, walked through in straight and short steps, is used
 * where it lies; any other is packed (emit_pack.c). The maps after the contraction are applied to the tile before it
 * is stored. Rows beyond whole tiles have tiles of their own, the last columns a narrower panel under a mask. Every
 * result is the sum over K in one order, whatever tile it falls in.
 *
 * A long K is cut into blocks along one of its indices (those before it then have one value in a block): partial sums
 * wait in scratch memory, and the maps follow in a pass of their own.
 *
 * Contractions side by side have their rows packed at once, and their tiles made in turn for each panel of columns.
 */
#include "codegen/cpu/product.h"

enum { FEW_ROWS = 4 };

/* ---- indices ---- */

static Dim *slot_extent(const Product *p, int s) {
  return s < p->node->rank ? p->node->shape[s] : p->node->red[s - p->node->rank];
}

/* The forms of slots `first` .. n-1 in one flat index, and of those before it in their own; false where an extent
 * inside the flat index is open. */
static bool flatten(Product *p, Slots *s, const int *slots, int n, int first) {
  Ir *ir = p->e->ir;
  if (n > MAX_SLOTS) return false;
  *s = (Slots){.n = n, .slot = slots};
  Dim *volume = dim_const(ir, 1);
  int64_t place = 1;
  for (int i = n - 1; i >= 0; i--) {
    s->extent[i] = slot_extent(p, slots[i]);
    s->var[i] = var_fresh(ir, s->extent[i]);
    s->place[i] = place;
    if (i >= first) volume = dim_mul(ir, volume, s->extent[i]);
    int64_t c = 1;
    if (i > first && (!dim_is_const(s->extent[i], &c) || c < 1)) return false;
    if (i > first) place *= c;
  }
  s->flat = var_fresh(ir, volume);
  Form *rest = form_var(ir, s->flat);
  for (int i = n - 1; i >= 0; i--) {
    if (i <= first) p->at[slots[i]] = i < first ? form_var(ir, s->var[i]) : rest;
    else {
      p->at[slots[i]] = form_mod(ir, rest, dim_value(s->extent[i]));
      rest = form_floordiv(ir, rest, dim_value(s->extent[i]));
    }
  }
  return true;
}

/* ---- scratch memory ---- */

static int64_t round_up(int64_t x, int64_t to) { return (x + to - 1) / to * to; }

static Value scratch_at(Emit *e, int64_t offset) {
  Value at = index64(&e->b, offset);
  return LLVMBuildGEP2(e->b.b, e->b.i8, e->scratch, &at, 1, "");
}

static int panel_columns(const Product *p) { return p->c->nr * p->e->lanes; }

static Value reserve(Product *p, int64_t *used, int64_t bytes) {
  Value at = bytes ? scratch_at(p->e, *used) : NULL;
  *used += round_up(bytes, 64);
  return at;
}

/* Lines along K and rows of sums are not a power of two apart. */
int64_t partial_pitch(const Product *p) { return p->nc + 16; }

/* Rows in whole vectors: they may be read as squares. */
static int64_t partial_elements(const Product *p) { return round_up(p->mc, p->e->lanes) * partial_pitch(p); }

static void plan_blocks(Product *p) {
  Emit *e = p->e;
  int64_t k = 0, m = 0, block = p->c->k_block * p->k_inner;
  bool known = dim_is_const(p->k.flat->extent, &k), packs = p->a.way != PACK_none || p->b.way != PACK_none;
  p->turned = p->c->m[p->c->nm - 1] > p->c->n[p->c->nn - 1];
  p->blocked = p->turned || p->c->k_cut > 0 || (packs && (!known || k > block));
  p->kc = p->blocked || !known ? block : k;
  p->mc = p->c->mc;
  p->nc = p->c->nc;
  if (dim_is_const(p->m.flat->extent, &m) && m < p->mc) p->mc = m > 0 ? m : 1;
  p->pitch = round_up(p->kc, TOGETHER * e->lanes) + 16;
  if (p->a.way == PACK_k) p->a.stride = p->pitch, p->a.k_stride = 1;
  if (p->a.way == PACK_lines || p->a.way == PACK_copy) p->a.stride = 1, p->a.k_stride = e->lanes;
  if (p->blocked && (p->next || p->first != p)) ice("contractions side by side whose sums wait");
}

/* Side by side, all have their rows packed at the same time, but one panel of columns after the other. */
static void plan_scratch(Product *first) {
  Emit *e = first->e;
  int64_t rows = 0, most = 0;
  emit_enter(e, 0);
  for (Product *p = first; p; p = p->next) {
    plan_blocks(p);
    p->a.buffer = reserve(p, &rows, packed_a_bytes(p));
  }
  first->in_turn = first->next && rows <= target_stays(cpu_module_target(e->m));
  if (first->in_turn) share_panels(first);
  for (Product *p = first; p; p = p->next) {
    int64_t used = rows;
    p->b.buffer = reserve(p, &used, packed_b_bytes(p));
    p->columns = reserve(p, &used, columns_bytes(p));
    p->partial = reserve(p, &used, p->blocked ? partial_elements(p) * p->size : 0);
    if (used > most) most = used;
  }
  e->scratch_bytes = most;
  e->scratch_times = 0;
}

Value at_element(Product *p, Value base, Value index) {
  return LLVMBuildGEP2(p->e->b.b, type_of(&p->e->b, p->t, 0), base, &index, 1, "");
}

Value at_number(Product *p, Value base, int64_t index) {
  return index ? at_element(p, base, index64(&p->e->b, index)) : base;
}

static Value scalar_load(Product *p, Value pointer) {
  Value v = LLVMBuildLoad2(p->e->b.b, type_of(&p->e->b, p->t, 0), pointer, "");
  LLVMSetAlignment(v, (unsigned)p->size);
  return v;
}

Value vector_load(Product *p, Value pointer, unsigned align) {
  Value v = LLVMBuildLoad2(p->e->b.b, type_of(&p->e->b, p->t, p->e->lanes), pointer, "");
  LLVMSetAlignment(v, align);
  return v;
}

Value masked_load(Product *p, Value pointer, Value mask) {
  Build *b = &p->e->b;
  return load_masked(b, type_of(b, p->t, p->e->lanes), pointer, (unsigned)p->size, mask);
}

void vector_store(Product *p, Value v, Value pointer) {
  LLVMSetAlignment(LLVMBuildStore(p->e->b.b, splat(&p->e->b, v, p->e->lanes), pointer), (unsigned)p->size);
}

void masked_store(Product *p, Value v, Value pointer, Value mask) {
  Build *b = &p->e->b;
  store_masked(b, splat(b, v, p->e->lanes), pointer, (unsigned)p->size, mask);
}

Value plus(Product *p, Value x, int64_t n) { return n ? LLVMBuildNSWAdd(p->e->b.b, x, index64(&p->e->b, n), "") : x; }

Value less(Product *p, Value x, Value y) { return choose(&p->e->b, icmp(&p->e->b, LLVMIntSLT, x, y), x, y); }

Value first_lanes(Product *p, Value count) {
  Emit *e = p->e;
  count = less(p, count, index64(&e->b, e->lanes));
  count = choose(&e->b, icmp(&e->b, LLVMIntSGT, count, index64(&e->b, 0)), count, index64(&e->b, 0));
  count = convert_int(&e->b, count, e->b.i32, true);
  return icmp(&e->b, LLVMIntULT, iota(&e->b, e->b.i32, e->lanes, 1), splat(&e->b, count, e->lanes));
}

Value lanes_left(Product *p, Value n0, int j) {
  return first_lanes(p, isub(&p->e->b, p->n_to, plus(p, n0, (int64_t)j * p->e->lanes)));
}

/* ---- the tile ---- */

Value address_at(Product *p, const Operand *o, Value line, Value k) {
  Emit *e = p->e;
  int mark = emit_mark(e), bound = e->bound.n;
  emit_bind(e, o->line->flat, lanes_scalar(line));
  emit_bind(e, p->k.flat, lanes_scalar(k));
  Lanes l = emit_form(e, o->address);
  e->bound.n = bound;
  e->generation++;
  emit_forget(e, mark, e->depth, false);
  return at_element(p, emit_operand(e, kernel_buffer(e->s, e->k, o->value->node)), l.base);
}

static Value a_pointer(Tile *t) {
  Product *p = t->p;
  Build *b = &p->e->b;
  if (p->a.way == PACK_none) return address_at(p, &p->a, t->m0, p->k_from);
  Value row = isub(b, t->m0, p->m_from);
  if (p->a.way == PACK_k) return at_element(p, p->a.buffer, imul(b, row, index64(b, p->pitch)));
  Value rows = index64(b, panel_rows(p)), panel = LLVMBuildUDiv(b->b, row, rows, "");
  Value base = at_element(p, p->a.buffer, imul(b, panel, index64(b, panel_step(p, p->e->lanes))));
  return at_element(p, base, isub(b, row, imul(b, panel, rows)));
}

static Value b_pointer(Tile *t) {
  Product *p = t->p;
  Build *b = &p->e->b;
  if (p->b.way == PACK_none) return address_at(p, &p->b, t->n0, p->k_from);
  if (p->packed) return at_number(p, p->packed->b.buffer, p->b_first * t->b_row);
  if (p->b.way != PACK_copy) return p->b.buffer;
  Value columns = index64(b, panel_columns(p)), panel = LLVMBuildUDiv(b->b, isub(b, t->n0, p->n_from), columns, "");
  return at_element(p, p->b.buffer, imul(b, panel, index64(b, panel_step(p, panel_columns(p)))));
}

static Value b_vector(Tile *t, Value pointer, int j) {
  Product *p = t->p;
  Emit *e = p->e;
  pointer = at_number(p, pointer, (int64_t)j * e->lanes);
  if (p->b.way != PACK_none)
    return vector_load(p, pointer, e->lanes * (int)p->size >= 64 ? 64 : (unsigned)(e->lanes * p->size));
  if (!t->masked) return vector_load(p, pointer, (unsigned)p->size);
  return masked_load(p, pointer, t->mask[j]);
}

/* The condition that rows, columns and K have together, in vector j of row r. */
static Value tile_condition(Tile *t, int r, int j, Value k) {
  Product *p = t->p;
  Emit *e = p->e;
  int mark = emit_mark(e), bound = e->bound.n;
  emit_bind(e, p->n.flat, lanes_from(e, plus(p, t->n0, (int64_t)j * e->lanes), 1));
  emit_bind(e, p->m.flat, lanes_scalar(plus(p, t->m0, r)));
  emit_bind(e, p->k.flat, lanes_scalar(k));
  if (t->masked) e->tail = t->mask[j];
  Value holds = splat(&e->b, emit_expr(e, emit_at(e, p->c->tile_mask, p->at)), e->lanes);
  e->tail = NULL;
  e->bound.n = bound;
  e->generation++;
  emit_forget(e, mark, e->depth, false);
  return holds;
}

/* acc += a[rows] * b[vectors] at one k. */
static void multiply(Tile *t, Value a, Value b, Value *acc, Value k) {
  Product *p = t->p;
  Value vector[MAX_VECTORS];
  for (int j = 0; j < t->vectors; j++) vector[j] = b_vector(t, b, j);
  for (int r = 0; r < t->rows; r++) {
    Value x = splat(&p->e->b, scalar_load(p, at_number(p, a, r * p->a.stride)), p->e->lanes);
    for (int j = 0; j < t->vectors; j++) {
      Value *c = &acc[r * t->vectors + j];
      Value sum = fmuladd(&p->e->b, x, vector[j], *c);
      *c = p->c->tile_mask ? choose(&p->e->b, tile_condition(t, r, j, k), sum, *c) : sum;
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
  if (!l.trips) l.trips = p->kc / unroll;
  for (int i = 0; i < n + 2; i++) next[i] = l.phi[i];
  for (int u = 0; u < unroll; u++) {
    multiply(t, next[n], next[n + 1], next, iadd(&e->b, p->k_from, l.index));
    next[n] = at_number(p, next[n], p->a.k_stride);
    next[n + 1] = at_number(p, next[n + 1], t->b_row * (p->packed ? p->b_steps[u] : 1));
  }
  loop_close(e, &l, next);
  for (int i = 0; i < n; i++) t->acc[i] = l.out[i];
  *a = l.out[n];
  *b = l.out[n + 1];
}

static void sum_products(Tile *t) {
  Product *p = t->p;
  Emit *e = p->e;
  Value a = a_pointer(t), b = b_pointer(t);
  Value count = isub(&e->b, p->k_to, p->k_from), zero = index64(&e->b, 0);
  int unroll = p->packed || (t->rows == p->c->mr && !p->c->tile_mask) ? UNROLL : 1;
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

/* ---- loops over tiles ---- */

static void emit_tile(Tile *t) {
  Product *p = t->p;
  Emit *e = p->e;
  for (int j = 0; j < t->vectors && t->masked; j++) t->mask[j] = lanes_left(p, t->n0, j);
  t->b_row = p->b.way != PACK_none ? (int64_t)t->vectors * e->lanes : p->b.k_stride;
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

/* Tiles of `rows` rows from m on, while they fit; returns the first row left. */
static Value row_tiles(Product *p, Value m, int rows, Value n0, int vectors, bool masked) {
  Emit *e = p->e;
  Value step = index64(&e->b, rows), count = isub(&e->b, p->m_to, m);
  Value end = iadd(&e->b, m, imul(&e->b, LLVMBuildUDiv(e->b.b, count, step, ""), step));
  Tile t = {.p = p, .rows = rows, .vectors = vectors, .masked = masked, .n0 = n0};
  ResultLines lines;
  find_result_lines(p, &lines, n0, vectors);
  Loop l;
  loop_open(e, &l, m, end, rows, NULL, 0);
  if (!l.trips) l.trips = p->mc / rows;
  t.m0 = l.index;
  fetch_result(&t, &lines);
  emit_tile(&t);
  loop_close(e, &l, NULL);
  return end;
}

/* One panel: whole tiles, then the rows left: one more tile where M is a number, else tiles of four and of one. */
static void panel(Product *p, Value n0, int vectors, bool masked) {
  int mr = p->c->mr;
  int64_t m;
  if (!p->packed) pack_b(p, n0, vectors, masked);
  bool known = dim_is_const(p->m.flat->extent, &m);
  Value at = p->m_from;
  if (!known || m >= mr) at = row_tiles(p, at, mr, n0, vectors, masked);
  if (known && (m <= p->c->mc || p->c->mc % mr == 0)) {
    int64_t rest = (m <= p->c->mc ? m : m % p->c->mc) % mr;
    if (rest) row_tiles(p, at, (int)rest, n0, vectors, masked);
    return;
  }
  if (mr > FEW_ROWS) at = row_tiles(p, at, FEW_ROWS, n0, vectors, masked);
  if (mr > 1) row_tiles(p, at, 1, n0, vectors, masked);
}

static void panel_of_each(Product *first, Value n0, int vectors, bool masked) {
  for (Product *p = first; p; p = p->next) {
    if (p->packed) continue;
    panel(p, n0, vectors, masked);
    for (Product *q = first; q; q = q->next)
      if (q->packed == p) panel(q, n0, vectors, masked);
  }
}

bool has_mask_registers(const Product *p) { return cpu_module_target(p->e->m)->vector_bytes == 64; }

LastPanel last_panel(const Product *p) {
  int64_t columns = panel_columns(p), n = 0;
  bool known = dim_is_const(p->n.flat->extent, &n);
  int64_t rest = known ? n % columns : columns - 1;
  if (rest == 0) return (LastPanel){0};
  int vectors = (int)((rest + p->e->lanes - 1) / p->e->lanes);
  bool alone = known && n < columns;
  bool alike = has_mask_registers(p) && !alone && p->c->last_nr == p->c->nr;
  if (alike) vectors = p->c->nr;
  return (LastPanel){
      .vectors = vectors, .masked = !known || rest % p->e->lanes != 0 || alike, .alone = alone, .alike = alike};
}

/* All panels of [n_from, n_to): whole ones, and the last columns. Where the processor has masks, which cost next to
 * nothing, the last panel is one like all others: half the code. */
static void panels(Product *p, void (*each)(Product *p, Value n0, int vectors, bool masked)) {
  Emit *e = p->e;
  LastPanel last = last_panel(p);
  int64_t columns = panel_columns(p);
  Value at = p->n_from;
  Loop l;
  if (!last.alone && !last.alike) {
    Value step = index64(&e->b, columns), count = LLVMBuildUDiv(e->b.b, isub(&e->b, p->n_to, at), step, "");
    Value end = iadd(&e->b, at, imul(&e->b, count, step));
    loop_open(e, &l, at, end, columns, NULL, 0);
    each(p, l.index, p->c->nr, false);
    loop_close(e, &l, NULL);
    at = end;
  }
  if (!last.vectors) return;
  loop_open(e, &l, at, p->n_to, columns, NULL, 0);
  each(p, l.index, last.vectors, last.masked);
  loop_close(e, &l, NULL);
}

static void clear_partial(Product *p) {
  Emit *e = p->e;
  Value bytes = index64(&e->b, partial_elements(p) * p->size);
  LLVMBuildMemSet(e->b.b, p->partial, int_const(e->b.i8, 0), bytes, 16);
}

/* One block of K after the other: along slot k_cut, at each value of the slots before it. */
static void blocks_of_k(Product *p, int slot) {
  Emit *e = p->e;
  Value inner = index64(&e->b, p->k_inner), zero = index64(&e->b, 0), extent = emit_dim(e, p->k.extent[slot]);
  emit_enter(e, e->depth);
  Loop l;
  bool cut = slot == p->c->k_cut;
  loop_open(e, &l, zero, extent, cut ? p->c->k_block : 1, NULL, 0);
  if (cut) {
    p->k_from = imul(&e->b, l.index, inner);
    p->k_to = imul(&e->b, less(p, plus(p, l.index, p->c->k_block), extent), inner);
    pack_a(p);
    pack_all_b(p);
    panels(p, panel);
  } else {
    emit_bind(e, p->k.var[slot], lanes_scalar(l.index));
    blocks_of_k(p, slot + 1);
  }
  loop_close(e, &l, NULL);
}

/* Not where the unit before left the same block packed. */
static void pack_unless(Product *p, Value packed, void (*pack)(Product *p)) {
  Emit *e = p->e;
  Loop once;
  loop_open(e, &once, LLVMBuildZExt(e->b.b, packed, e->b.i64, ""), index64(&e->b, 1), 1, NULL, 0);
  pack(p);
  loop_close(e, &once, NULL);
}

static void block(Product *p) {
  Emit *e = p->e;
  if (p->blocked) {
    clear_partial(p);
    blocks_of_k(p, 0);
    if (p->turned) finish_squares(p);
    else panels(p, finish_panel);
    return;
  }
  for (Product *q = p; q; q = q->next) {
    q->k_from = index64(&e->b, 0);
    q->k_to = emit_dim(e, q->k.flat->extent);
  }
  emit_enter(e, e->depth);
  if (p->next || p->a.way != PACK_none) pack_unless(p, p->same_rows, pack_rows);
  if (p->b.way == PACK_copy) pack_unless(p, p->same_columns, pack_all_b);
  if (p->in_turn) panels(p, panel_of_each);
  for (Product *q = p; q && !p->in_turn; q = q->next) panels(q, panel);
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

/* Whether the unit has the rows, or the columns, of the one before, if there was one: columns go by fastest. */
static void compare_with_last(Product *p, Value unit, Value row_blocks, Value column_blocks) {
  Build *b = &p->e->b;
  Value one = index64(b, 1), zero = index64(b, 0), later = icmp(b, LLVMIntSGT, unit, p->e->begin);
  Value column = LLVMBuildURem(b->b, unit, column_blocks, "");
  Value row = LLVMBuildURem(b->b, unit, row_blocks, "");
  p->same_rows = both(b, later, icmp(b, LLVMIntNE, column, zero));
  Value alone = icmp(b, LLVMIntEQ, column_blocks, one);
  p->same_columns = both(b, later, both(b, alone, icmp(b, LLVMIntNE, row, zero)));
}

static void units(Product *p) {
  Emit *e = p->e;
  const Contraction *c = p->c;
  Value m = emit_dim(e, p->m.flat->extent), n = emit_dim(e, p->n.flat->extent);
  emit_enter(e, e->depth);
  Value mb = blocks_of(p, m, c->mc), nb = blocks_of(p, n, c->nc);
  Loop l;
  loop_open(e, &l, e->begin, e->end, 1, NULL, 0);
  Value at = l.index;
  compare_with_last(p, at, mb, nb);
  p->n_from = imul(&e->b, split(p, &at, nb), index64(&e->b, c->nc));
  p->m_from = imul(&e->b, split(p, &at, mb), index64(&e->b, c->mc));
  p->n_to = less(p, plus(p, p->n_from, c->nc), n);
  p->m_to = less(p, plus(p, p->m_from, c->mc), m);
  for (int i = c->nbatch - 1; i >= 0; i--) {
    Value extent = emit_dim(e, p->batch[i]->extent);
    emit_enter(e, e->depth);
    emit_bind(e, p->batch[i], lanes_scalar(split(p, &at, extent)));
  }
  for (Product *q = p->next; q; q = q->next) {
    q->n_from = p->n_from, q->n_to = p->n_to;
    q->m_from = p->m_from, q->m_to = p->m_to;
  }
  block(p);
  loop_close(e, &l, NULL);
}

/* ---- what tiles do not do ---- */

/* As a group of columns, in one piece: the first unit, or the first of each step, does all. */
static void emit_plain_sum(Emit *e) {
  Kernel whole = *e->k;
  Kernel *outer = e->k;
  Build *b = &e->b;
  e->k = &whole;
  whole.kind = KERNEL_column;
  whole.cut = whole.times;
  whole.block = INT32_MAX;
  for (int i = 0; i < whole.members.n; i++) whole.members.at[i].level = i > whole.beside.n ? whole.beside.n + 1 : i;
  Value step = emit_dim(e, whole.step_units), more = isub(b, step, index64(b, 1));
  emit_enter(e, 0);
  e->begin = LLVMBuildUDiv(b->b, iadd(b, e->begin, more), step, "");
  e->end = LLVMBuildUDiv(b->b, iadd(b, e->end, more), step, "");
  emit_group(e);
  e->k = outer;
}

/* NULL, or why tiles can't do it. */
static const char *unfit(Product *p) {
  const Contraction *c = p->c;
  if (p->t == DT_f16 || p->t == DT_bf16) return "sums of f16 and bf16 are not done in tiles";
  if (p->node->dtype != p->t || c->a->dtype != p->t || c->b->dtype != p->t) return "the factors' types differ";
  if (c->nr > MAX_VECTORS || c->mr > MAX_ROWS || c->mr < 1 || c->nr < 1 || c->mr * c->nr + 2 > ACCUMULATORS)
    return "no tile fits the registers";
  return c->nc % panel_columns(p) ? "columns are not cut at panels" : NULL;
}

static void bind_batch(Product *p) {
  p->batch = NEW_ARRAY(p->e->arena, Var *, p->c->nbatch + 1);
  for (int i = 0; i < p->c->nbatch; i++) {
    p->batch[i] = var_fresh(p->e->ir, slot_extent(p, p->c->batch[i]));
    p->at[p->c->batch[i]] = form_var(p->e->ir, p->batch[i]);
  }
}

static void find_members(Product *p, int product) {
  const Kernel *k = p->e->k;
  p->members = NEW_ARRAY(p->e->arena, const Member *, k->members.n);
  for (int i = 0; i < k->members.n; i++)
    if (member_product(k, i) == product) p->members[p->nmembers++] = &k->members.at[i];
}

/* Member `member`; over the same rows and columns as `first`, if there is one. NULL, or why tiles can't do it. */
static const char *open_product(Emit *e, Product *p, Product *first, int member) {
  Kernel *k = e->k;
  *p = (Product){.e = e, .c = member ? k->beside.at[member - 1] : k->contraction, .main = &k->members.at[member]};
  p->first = first ? first : p;
  find_members(p, member);
  p->node = p->main->node;
  p->t = p->node->body->dtype;
  p->size = dtype_bytes(p->t);
  p->at = NEW_ARRAY(e->arena, Form *, p->node->rank + p->node->nred + 1);
  bool flat = true;
  if (first) {
    p->m = first->m, p->n = first->n, p->batch = first->batch;
    for (int i = 0; i < p->node->rank; i++) p->at[i] = first->at[i];
  } else {
    bind_batch(p);
    flat = flatten(p, &p->m, p->c->m, p->c->nm, 0) && flatten(p, &p->n, p->c->n, p->c->nn, 0);
  }
  flat = flat && flatten(p, &p->k, p->c->k, p->c->nk, p->c->k_cut);
  return flat ? unfit(p) : "an extent inside the tile is open";
}

static void reserve_tile(Product *first) {
  Emit *e = first->e;
  int64_t vectors = first->c->mr * first->c->nr;
  Type tile = LLVMArrayType2(type_of(&e->b, first->t, e->lanes), (uint64_t)(vectors > e->lanes ? vectors : e->lanes));
  LLVMPositionBuilderBefore(e->b.b, LLVMGetBasicBlockTerminator(e->entry));
  Value spill = LLVMBuildAlloca(e->b.b, tile, "");
  LLVMSetAlignment(spill, 64);
  for (Product *p = first; p; p = p->next) p->spill = spill;
}

void emit_contraction(Emit *e) {
  int n = 1 + e->k->beside.n;
  Product *p = NEW_ARRAY(e->arena, Product, n);
  for (int i = 0; i < n; i++) {
    const char *why = open_product(e, &p[i], i ? p : NULL, i);
    if (why) {
      e->note = why;
      emit_plain_sum(e);
      return;
    }
    if (i) p[i - 1].next = &p[i];
  }
  for (int i = 0; i < n; i++) {
    p[i].k_inner = p[i].k.place[p[i].c->k_cut];
    place_operands(&p[i]);
    for (int j = 1; j < p[i].nmembers; j++) p[i].epilogue += count_nodes(p[i].members[j]->node->body);
  }
  plan_scratch(p);
  for (int i = 0; i < n; i++) p[i].in_pieces = !p[i].turned && finished_in_pieces(&p[i]);
  reserve_tile(p);
  emit_enter(e, 0);
  units(p);
}
