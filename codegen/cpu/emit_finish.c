/* emit_finish.c - what follows a contraction's sums: the scale, the maps after it, and the stores. From a tile's
 * registers, or from scratch memory: where K came in blocks, where long maps follow, and where addresses jump within
 * the result's vectors, which are then finished in pieces. */
#include "codegen/cpu/product.h"
#include "ir/cost.h"

enum { LONG_EPILOGUE = 10, CACHE_LINE = 64 };

/* Of llvm.prefetch. */
enum { TO_WRITE = 1, ALL_CACHES = 3, DATA = 1 };

/* ---- one vector ---- */

static Form **straight_slots(Product *p, Pieces *q) {
  int n = p->node->rank;
  Form **at = NEW_ARRAY(p->e->arena, Form *, n + 1);
  for (int i = 0; i < n; i++) at[i] = pieces_form(q, p->at[i]);
  return at;
}

static Expr *at_result(Product *p, Pieces *q, Expr *body) {
  Expr *x = emit_at(p->e, body, p->at);
  return q ? pieces_expr(q, x) : x;
}

/* Value `sum` at the rows and columns that are bound, of a piece if there is one: scaled, the maps after it, stored.
 */
static void finish_vector(Product *p, Pieces *q, Value sum) {
  Emit *e = p->e;
  Form **at = q ? straight_slots(p, q) : p->at;
  if (p->c->scale) {
    Value a[3] = {sum, emit_expr(e, at_result(p, q, p->c->scale)), NULL};
    sum = emit_scalar(&e->b, OP_mul, p->t, p->t, a);
  }
  for (int i = 0; i < p->nmembers; i++) {
    const Member *m = p->members[i];
    if (i) sum = emit_expr(e, at_result(p, q, m->node->body));
    if (m->storage == STORE_buffer) emit_store_at(e, m->buffer, m->node, at, sum);
    emit_known(e, expr_read(e->ir, m->node, at), sum);
  }
}

/* Vector j of row r of the tile; what depends on the column only is kept for the next row. */
static void finish_at(Tile *t, Value m, int j, Value sum) {
  Product *p = t->p;
  Emit *e = p->e;
  int mark = emit_mark(e);
  e->scopes[e->depth + 1] = e->scopes[e->depth]; /* a scope for the row, in the same block */
  e->depth++;
  emit_bind(e, p->m.flat, lanes_scalar(m));
  if (t->masked) e->tail = t->mask[j];
  int outer = e->grid_depth;
  e->grid_depth = e->depth;
  finish_vector(p, NULL, sum);
  e->grid_depth = outer;
  e->tail = NULL;
  e->bound.n--;
  e->generation++;
  e->depth--;
  emit_forget(e, mark, e->depth + 1, false);
  emit_enter(e, e->depth);
}

/* Panels begin at multiples of the lanes: an address like n // 64 does not change within a vector. */
static void finish_column(Tile *t, int j) {
  t->p->e->aligned[0] = t->p->n.flat;
  t->p->e->naligned = 1;
  emit_bind(t->p->e, t->p->n.flat, lanes_from(t->p->e, plus(t->p, t->n0, (int64_t)j * t->p->e->lanes), 1));
}

static void drop_column(Tile *t, int mark) {
  Emit *e = t->p->e;
  e->naligned = 0;
  e->bound.n--;
  e->generation++;
  emit_forget(e, mark, e->depth, false);
}

/* ---- pieces ---- */

static Pieces jumps_of(Product *p, bool aligned) {
  Emit *e = p->e;
  Pieces q = {.e = e, .lane = p->n.flat};
  e->aligned[0] = p->n.flat; /* panels begin at whole vectors */
  e->naligned = aligned;
  if (p->c->scale) pieces_reads(&q, emit_at(e, p->c->scale, p->at));
  for (int i = 0; i < p->nmembers; i++) {
    const Member *m = p->members[i];
    if (i) pieces_reads(&q, emit_at(e, m->node->body, p->at));
    if (m->storage == STORE_buffer) pieces_address(&q, flat_address(e, m->node, p->at));
  }
  e->naligned = 0;
  return q;
}

bool finished_in_pieces(Product *p) {
  if (jumps_of(p, true).jumps.n == 0) return false;
  return !jumps_of(p, false).hopeless;
}

/* Rows [from, to) of the panel at t->n0, whose sums lie at `sums`, `pitch` elements from row to row. */
static void finish_pieces(Tile *t, Value from, Value to, Value sums, int64_t pitch) {
  Product *p = t->p;
  Emit *e = p->e;
  Pieces q = jumps_of(p, false);
  Value end = plus(p, t->n0, (int64_t)t->vectors * e->lanes);
  Loop rows;
  pieces_open(&q, t->n0, t->masked ? less(p, end, p->n_to) : end);
  Value first = at_element(p, sums, isub(&e->b, q.loop.index, t->n0));
  loop_open(e, &rows, from, to, 1, NULL, 0);
  emit_bind(e, p->m.flat, lanes_scalar(rows.index));
  Value row = imul(&e->b, isub(&e->b, rows.index, from), index64(&e->b, pitch));
  int outer = e->grid_depth;
  e->grid_depth = e->depth;
  e->tail = q.mask;
  e->tail_depth = q.depth;
  finish_vector(p, &q, masked_load(p, at_element(p, first, row), q.mask));
  e->tail = NULL;
  e->tail_depth = 0;
  e->grid_depth = outer;
  loop_close(e, &rows, NULL);
  pieces_close(&q);
}

/* ---- lines of the result ---- */

/* Adds where row 0 of the panel lies, a line apart, of one member's result. Where it is written in steps, that is, in
 * pieces of several lines, and larger than the second cache: elsewhere the processor fetches as well by itself. */
static void add_lines(Product *p, ResultLines *l, const Member *m, Value n0, int vectors) {
  Emit *e = p->e;
  Form *f = flat_address(e, m->node, p->at);
  int64_t step = f ? form_coefficient(f, p->n.flat) : 0, columns = step > 1 ? CACHE_LINE / (step * p->size) : 0;
  int64_t count = columns ? (int64_t)vectors * e->lanes / columns : 0;
  if (dim_nominal(m->buffer->bytes) <= cpu_module_target(e->m)->l2 || !count || l->n + count > MAX_LINES) return;
  if (form_divides(f, p->m.flat) || run_along(f, p->n.flat) * step < 2 * columns) return;
  for (int64_t i = 0; i < count; i++) {
    int mark = emit_mark(e), bound = e->bound.n;
    emit_bind(e, p->n.flat, lanes_scalar(plus(p, n0, i * columns)));
    emit_bind(e, p->m.flat, lanes_scalar(index64(&e->b, 0)));
    l->at[l->n] = at_element(p, emit_operand(e, m->buffer), emit_form(e, f).base);
    l->row[l->n++] = form_coefficient(f, p->m.flat);
    e->bound.n = bound;
    e->generation++;
    emit_forget(e, mark, e->depth, false);
  }
}

static bool same_lines(Product *p, const Member *m, const Member *other) {
  if (other->buffer != m->buffer) return false;
  Form *f = flat_address(p->e, m->node, p->at), *g = flat_address(p->e, other->node, p->at);
  int64_t apart, step = f ? form_coefficient(f, p->n.flat) : 0;
  return f && g && form_is_const(form_sub(p->e->ir, f, g), &apart) && apart < step && -apart < step;
}

/* Whether what stands before p, side by side, has written other elements of the same lines. */
static bool fetched_before(Product *p, const Member *m) {
  for (const Product *q = p->first; q != p; q = q->next)
    for (int i = 0; i < q->nmembers; i++)
      if (same_lines(p, m, q->members[i])) return true;
  return false;
}

void find_result_lines(Product *p, ResultLines *l, Value n0, int vectors) {
  l->n = 0;
  emit_enter(p->e, p->e->depth);
  for (int i = 0; i < p->nmembers && !p->blocked; i++) {
    const Member *m = p->members[i];
    if (m->storage == STORE_buffer && !fetched_before(p, m)) add_lines(p, l, m, n0, vectors);
  }
}

void fetch_result(Tile *t, const ResultLines *l) {
  Build *b = &t->p->e->b;
  for (int r = 0; r < t->rows; r++)
    for (int i = 0; i < l->n; i++) {
      Value at = at_element(t->p, l->at[i], imul(b, plus(t->p, t->m0, r), index64(b, l->row[i])));
      Value args[] = {at, int_const(b->i32, TO_WRITE), int_const(b->i32, ALL_CACHES), int_const(b->i32, DATA)};
      intrinsic(b, "llvm.prefetch", (Type[]){b->ptr}, 1, args, 4);
    }
}

/* ---- a tile ---- */

static void finish_in_line(Tile *t) {
  for (int j = 0; j < t->vectors; j++) {
    int mark = emit_mark(t->p->e);
    finish_column(t, j);
    for (int r = 0; r < t->rows; r++) finish_at(t, plus(t->p, t->m0, r), j, t->acc[r * t->vectors + j]);
    drop_column(t, mark);
  }
}

static void finish_by_rows(Tile *t) {
  Product *p = t->p;
  Emit *e = p->e;
  Loop rows;
  loop_open(e, &rows, index64(&e->b, 0), index64(&e->b, t->rows), 1, NULL, 0);
  for (int j = 0; j < t->vectors; j++) {
    int mark = emit_mark(e);
    emit_enter(e, e->depth);
    Value at = imul(&e->b, rows.index, index64(&e->b, (int64_t)t->vectors * e->lanes));
    Value sum = vector_load(p, at_number(p, at_element(p, p->spill, at), (int64_t)j * e->lanes), (unsigned)p->size);
    finish_column(t, j);
    finish_at(t, iadd(&e->b, t->m0, rows.index), j, sum);
    drop_column(t, mark);
  }
  loop_close(e, &rows, NULL);
}

/* Short maps follow for each vector in line; long ones, and pieces, from memory. */
void finish_tile(Tile *t) {
  Product *p = t->p;
  Emit *e = p->e;
  int64_t width = (int64_t)t->vectors * e->lanes;
  bool in_line = !p->in_pieces && (p->epilogue <= LONG_EPILOGUE || t->rows == 1);
  for (int i = 0; i < t->rows * t->vectors && !in_line; i++)
    vector_store(p, t->acc[i], at_number(p, p->spill, (int64_t)i * e->lanes));
  if (p->in_pieces) finish_pieces(t, t->m0, plus(p, t->m0, t->rows), p->spill, width);
  else if (in_line) finish_in_line(t);
  else finish_by_rows(t);
}

/* ---- sums that waited ---- */

Value partial_at(Tile *t, Value m, int j) {
  Product *p = t->p;
  Value row = imul(&p->e->b, isub(&p->e->b, m, p->m_from), index64(&p->e->b, partial_pitch(p)));
  Value at = iadd(&p->e->b, row, isub(&p->e->b, t->n0, p->n_from));
  return at_number(p, at_element(p, p->partial, at), (int64_t)j * p->e->lanes);
}

void finish_panel(Product *p, Value n0, int vectors, bool masked) {
  Emit *e = p->e;
  Tile t = {.p = p, .rows = 1, .vectors = vectors, .masked = masked, .n0 = n0};
  if (p->in_pieces) {
    finish_pieces(&t, p->m_from, p->m_to, partial_at(&t, p->m_from, 0), partial_pitch(p));
    return;
  }
  Loop l;
  loop_open(e, &l, p->m_from, p->m_to, 1, NULL, 0);
  t.m0 = l.index;
  for (int j = 0; j < vectors && masked; j++) t.mask[j] = lanes_left(p, n0, j);
  for (int j = 0; j < vectors; j++) t.acc[j] = vector_load(p, partial_at(&t, t.m0, j), (unsigned)p->size);
  finish_tile(&t);
  loop_close(e, &l, NULL);
}

/* One square of sums: column n in the lanes of its rows. */
static void finish_square(Product *p, Value m, Value n) {
  Emit *e = p->e;
  Tile t = {.p = p, .n0 = n};
  Value mask = first_lanes(p, isub(&e->b, p->m_to, m));
  Square square = {.from = partial_at(&t, m, 0), .stride = partial_pitch(p), .to = p->spill, .to_stride = e->lanes};
  emit_square(p, &square);
  emit_bind(e, p->m.flat, lanes_from(e, m, 1));
  e->aligned[0] = p->m.flat;
  e->naligned = p->c->mc % e->lanes == 0;
  Loop columns;
  loop_open(e, &columns, n, less(p, plus(p, n, e->lanes), p->n_to), 1, NULL, 0);
  Value at = imul(&e->b, isub(&e->b, columns.index, n), index64(&e->b, e->lanes));
  emit_bind(e, p->n.flat, lanes_scalar(columns.index));
  int outer = e->grid_depth;
  e->grid_depth = e->depth;
  e->tail = mask;
  finish_vector(p, NULL, vector_load(p, at_element(p, p->spill, at), (unsigned)p->size));
  e->tail = NULL;
  e->naligned = 0;
  e->grid_depth = outer;
  loop_close(e, &columns, NULL);
}

void finish_squares(Product *p) {
  Emit *e = p->e;
  Loop rows, columns;
  loop_open(e, &rows, p->m_from, p->m_to, e->lanes, NULL, 0);
  loop_open(e, &columns, p->n_from, p->n_to, e->lanes, NULL, 0);
  finish_square(p, rows.index, columns.index);
  loop_close(e, &columns, NULL);
  loop_close(e, &rows, NULL);
}
