/* contraction.c - sums of products in tiles: a block has a tile of the result, each of its 16 x 16 threads some rows
 * and columns of it in registers. Slices of K come through shared memory, read through the operands' own maps and
 * guards, so a convolution is a product like any other. Results go through shared memory, too: the maps after the
 * product are applied to neighbours in memory, in a loop and not once for each of a thread's registers.
 *
 * Tiles are chosen by a model, not by trying: multiplications against loads from shared memory, and how full the last
 * round of blocks is. */
#include "codegen/cuda/product.h"

#include "codegen/cuda/lanes.h"
#include "ir/cost.h"
#include "ir/gpu_tile.h"

enum { ALWAYS_SHARED = 48 << 10 /* bytes that every launch may have */, PAD = 16 /* bytes of a staged row */ };

static Dim *slot_extent(const Node *n, int s) { return s < n->rank ? n->shape[s] : n->red[s - n->rank]; }

static void take_slots(Product *p, Slots *s, int n, const int *slot) {
  if (n > MAX_SLOTS) ice("kernel %s has too many indices", p->t->k->symbol);
  s->n = n;
  s->volume = dim_const(p->t->ir, 1);
  for (int i = 0; i < n; i++) {
    s->extent[i] = slot_extent(p->node, slot[i]);
    s->var[i] = var_fresh(p->t->ir, s->extent[i]);
    p->at[slot[i]] = form_var(p->t->ir, s->var[i]);
    s->volume = dim_mul(p->t->ir, s->volume, s->extent[i]);
  }
}

/* ---- tiles ---- */

static GpuTarget target_of(const Product *p) {
  return p->t->s->processors ? (GpuTarget){p->t->s->processors} : gpu_h100;
}

void product_choose_tile(Product *p, const int *lines_m, const int *lines_n, int edge) {
  GpuTarget target = target_of(p);
  GpuProduct own = {(double)dim_nominal(p->batch.volume), (double)dim_nominal(p->m.volume),
                    (double)dim_nominal(p->n.volume)};
  GpuTile tile = gpu_choose_tile(&target, &own, lines_m, lines_n, edge);
  p->tile_m = tile.m;
  p->tile_n = tile.n;
}

static void choose_tile(Product *p) {
  static const int lines[] = {SIDE, 2 * SIDE, 4 * SIDE, 8 * SIDE, 0};
  product_choose_tile(p, lines, lines, GPU_EDGE);
  p->rows = p->tile_m / SIDE;
  p->columns = p->tile_n / SIDE;
}

/* ---- slices ---- */

typedef struct Stride {
  Text *t;
  const Var *var;
  bool found;
} Stride;

static void look_for_step(void *cx, Expr *x) {
  Stride *s = cx;
  if (x->kind != EXPR_READ || x->node->rank == 0) return;
  if (form_coefficient(x->at[x->node->rank - 1], s->var) == 1) s->found = true;
}

/* Neighbouring threads take neighbours in memory: along the line, or along K. */
static bool runs_along(Product *p, const Slice *s, const Slots *slots) {
  if (slots->n == 0) return false;
  Stride x = {p->t, slots->var[slots->n - 1], false};
  expr_visit(s->value, look_for_step, &x);
  return x.found;
}

static const char *converted(Product *p, const Expr *x, const char *v) {
  return x->dtype == p->node->body->dtype ? v : text_printf(p->t, "(%s)%s", p->type, v);
}

static int type_bytes(const Product *p) { return dtype_bytes(type_of_sums(p->node->body->dtype)); }

/* The operand's neighbours along its line, or along K, in memory. */
static bool choose_lanes(Product *p, const Slice *s, const Slots *slots, Lanes *l) {
  if (slots->n == 0) return false;
  *l = lanes_along(p->t, slots->var[slots->n - 1]);
  lanes_read(l, s->value);
  return lanes_choose(l) > 1;
}

/* Of width elements from `line` and `step` on: one value, or those of all lanes in an array. */
static const char *loaded(Product *p, const Slice *s, const char *k0, Lanes *l) {
  Text *t = p->t;
  const char *x = text_name(t, 'x'), *k = text_name(t, 'x'), *v = text_name(t, 'v');
  text_line(t, "const i64 %s = %s + line, %s = %s + step;", x, s->first, k, k0);
  if (l) text_line(t, "NN_WIDE %s %s[%d] = {0};", p->type, v, l->width);
  else text_line(t, "%s %s = 0;", p->type, v);
  text_open(t, "if (%s < %s && %s < %s)", x, text_dim(t, s->line->volume), k, text_dim(t, p->k.volume));
  text_positions(t, x, s->line->n, s->line->var, s->line->extent);
  text_positions(t, k, p->k.n, p->k.var, p->k.extent);
  if (l) lanes_open(l, text_form(t, form_var(t->ir, l->var)));
  const char *place = l ? text_printf(t, "%s[%s]", v, l->lane) : v;
  text_line(t, "%s = %s;", place, converted(p, s->value, text_expr(t, s->value)));
  if (l) lanes_close(l);
  text_close(t);
  return v;
}

static void put_loaded(Product *p, const Slice *s, const Lanes *l, bool along_k, const char *v) {
  Text *t = p->t;
  const char *to = text_printf(t, "%s[step * %d + line]", s->name, s->lines);
  if (!l) text_line(t, "%s = %s;", to, v);
  else if (!along_k) text_move(t, text_printf(t, "&%s", to), v, l->width * type_bytes(p));
  for (int i = 0; l && along_k && i < l->width; i++)
    text_line(t, "%s[(step + %d) * %d + line] = %s[%d];", s->name, i, s->lines, v, i);
}

void product_load(Product *p, const Slice *s, const char *k0) {
  Text *t = p->t;
  Lanes of_line, of_k, *l = NULL;
  bool along_k = !runs_along(p, s, s->line) && runs_along(p, s, &p->k);
  if (!along_k && choose_lanes(p, s, s->line, &of_line)) l = &of_line;
  else if (along_k && choose_lanes(p, s, &p->k, &of_k)) l = &of_k;
  int width = l ? l->width : 1, items = SLICE * s->lines / width, inner = (along_k ? SLICE : s->lines) / width;
  if (l) text_line(t, "NN_UNROLL");
  text_open(t, "for (int u = 0; u < %d; u++)", (items + SIDE * SIDE - 1) / (SIDE * SIDE));
  text_line(t, "const int x = nn_thread() + u * %d;", SIDE * SIDE);
  if (items < SIDE * SIDE) text_line(t, "if (x >= %d) break;", items);
  const char *many = text_printf(t, " * %d", width), *one = "";
  text_line(t, "const int line = x %s %d%s, step = x %s %d%s;", along_k ? "/" : "%", inner, along_k ? one : many,
            along_k ? "%" : "/", inner, along_k ? many : one);
  put_loaded(p, s, l, along_k, loaded(p, s, k0, l));
  text_close(t);
}

/* ---- products ---- */

/* Of n lines of a thread so many are read from shared memory at once. */
static int beside(const Product *p, int n) {
  int most = 16 / type_bytes(p);
  return n < most ? n : most;
}

/* Where line `number` of the thread's is in the tile. */
static const char *line_text(Text *t, const char *thread, const char *number, int beside) {
  if (beside == 1) return text_printf(t, "%s + %s * %d", thread, number, SIDE);
  return text_printf(t, "%s * %d + %s / %d * %d + %s %% %d", thread, beside, number, beside, beside * SIDE, number,
                     beside);
}

static const char *row_text(const Product *p) {
  return line_text(p->t, text_printf(p->t, "nn_thread() / %d", SIDE), "r", beside(p, p->rows));
}

static const char *column_text(const Product *p) {
  return line_text(p->t, text_printf(p->t, "nn_thread() %% %d", SIDE), "c", beside(p, p->columns));
}

/* A thread's n lines of the step, from shared memory. */
static void load_lines(Product *p, const Slice *s, const char *to, const char *thread, int n) {
  Text *t = p->t;
  int together = s->beside ? s->beside : 1;
  if (together == 1) {
    text_line(t, "NN_UNROLL");
    text_line(t, "for (int i = 0; i < %d; i++) %s[i] = %s[step * %d + %s];", n, to, s->name, s->lines,
              line_text(t, thread, "i", 1));
    return;
  }
  for (int i = 0; i < n; i += together)
    text_move(t, text_printf(t, "%s + %d", to, i),
              text_printf(t, "&%s[step * %d + %s * %d + %d]", s->name, s->lines, thread, together, i * SIDE),
              together * type_bytes(p));
}

/* One step of K. */
static void load_step(Product *p, const Slice *a, const Slice *b) {
  Text *t = p->t;
  text_line(t, "NN_WIDE %s left[%d];", p->type, p->rows);
  text_line(t, "NN_WIDE %s right[%d];", p->type, p->columns);
  load_lines(p, a, "left", text_printf(t, "(nn_thread() / %d)", SIDE), p->rows);
  load_lines(p, b, "right", text_printf(t, "(nn_thread() %% %d)", SIDE), p->columns);
}

static void add_products(Product *p, const char *sum) {
  Text *t = p->t;
  text_line(t, "NN_UNROLL");
  text_open(t, "for (int r = 0; r < %d; r++)", p->rows);
  text_line(t, "NN_UNROLL");
  text_line(t, "for (int c = 0; c < %d; c++) %s[r][c] += left[r] * right[c];", p->columns, sum);
  text_close(t);
}

/* Four steps at a time: all of them take the assembler twice as long. */
void product_multiply(Product *p, const Slice *a, const Slice *b, const char *sum) {
  text_line(p->t, "NN_UNROLL_4");
  text_open(p->t, "for (int step = 0; step < %d; step++)", SLICE);
  load_step(p, a, b);
  add_products(p, sum);
  text_close(p->t);
}

/* A mask on rows, columns and K together: asked at each product. */
static void add_masked(Product *p, const char *k0) {
  Text *t = p->t;
  const char *k = text_name(t, 'x');
  text_line(t, "const i64 %s = %s + step;", k, k0);
  text_line(t, "if (%s >= %s) break;", k, text_dim(t, p->k.volume));
  text_positions(t, k, p->k.n, p->k.var, p->k.extent);
  product_each(p, row_text(p), column_text(p));
  const char *holds = text_expr(t, p->mask);
  text_line(t, "if (%s) sum[r][c] += left[r] * right[c];", holds);
  text_close(t);
  text_close(t);
}

static void multiply_masked(Product *p, const Slice *a, const Slice *b) {
  text_line(p->t, "NN_UNROLL_4");
  text_open(p->t, "for (int step = 0; step < %d; step++)", SLICE);
  load_step(p, a, b);
  add_masked(p, "k0");
  text_close(p->t);
}

static void run_through_k(Product *p, const Slice *a, const Slice *b) {
  Text *t = p->t;
  text_open(t, "for (i64 k0 = 0; k0 < %s; k0 += %d)", text_dim(t, p->k.volume), SLICE);
  product_load(p, a, "k0");
  product_load(p, b, "k0");
  text_line(t, "nn_sync();");
  if (product_mask_uses_k(p)) multiply_masked(p, a, b);
  else product_multiply(p, a, b, "sum");
  text_line(t, "nn_sync();");
  text_close(t);
}

/* The results go through the slices' memory, when these are done with. */
static void multiply_tile(Product *p) {
  Text *t = p->t;
  int left = p->tile_m * SLICE * type_bytes(p), both = left + p->tile_n * SLICE * type_bytes(p);
  t->how.threads = SIDE * SIDE;
  Stage stage = product_stage(p, p->tile_m, ALWAYS_SHARED, "nn_shared()");
  int64_t staged = stage_bytes(p, &stage);
  t->how.shared = staged > both ? staged : both;
  text_line(t, "%s *left_slice = (%s *)nn_shared(), *right_slice = (%s *)(nn_shared() + %d);", p->type, p->type,
            p->type, left);
  product_tiles(p);
  Slice a = {p->a, &p->m, "left_slice", p->m0, p->tile_m, beside(p, p->rows)};
  Slice b = {p->b, &p->n, "right_slice", p->n0, p->tile_n, beside(p, p->columns)};
  text_line(t, "%s sum[%d][%d];", p->type, p->rows, p->columns);
  product_clear(p, "sum[r][c]");
  run_through_k(p, &a, &b);
  product_finish(p, &stage, row_text(p), column_text(p), "sum[r][c]");
  text_close(t);
}

/* ---- results ---- */

bool product_mask_uses_k(const Product *p) { return p->mask && expr_uses_any(p->mask, p->k.n, p->k.var); }

void product_clear(Product *p, const char *name) {
  Text *t = p->t;
  text_line(t, "NN_UNROLL");
  text_open(t, "for (int r = 0; r < %d; r++)", p->rows);
  text_line(t, "NN_UNROLL");
  text_line(t, "for (int c = 0; c < %d; c++) %s = 0;", p->columns, name);
  text_close(t);
}

void product_each(Product *p, const char *row, const char *column) {
  Text *t = p->t;
  const char *m = text_name(t, 'x'), *n = text_name(t, 'x');
  text_line(t, "NN_UNROLL");
  text_open(t, "for (int r = 0; r < %d; r++)", p->rows);
  text_line(t, "const %s %s = %s + %s;", text_index_type(p->m.volume), m, p->m0, row);
  text_positions(t, m, p->m.n, p->m.var, p->m.extent);
  text_line(t, "NN_UNROLL");
  text_open(t, "for (int c = 0; c < %d; c++)", p->columns);
  text_line(t, "const %s %s = %s + %s;", text_index_type(p->n.volume), n, p->n0, column);
  text_positions(t, n, p->n.n, p->n.var, p->n.extent);
  text_line(t, "if (%s >= %s || %s >= %s) continue;", m, text_dim(t, p->m.volume), n, text_dim(t, p->n.volume));
}

/* ---- the maps after a product ---- */

typedef struct Direct {
  const Product *p;
  bool found;
} Direct;

static int part_columns(const Product *p, const Stage *s) { return p->tile_n / s->parts; }

/* Elements from one row of the stage to the next. */
static int pitch(const Product *p, const Stage *s) { return part_columns(p, s) + PAD / type_bytes(p); }

int64_t stage_bytes(const Product *p, const Stage *s) { return (int64_t)s->lines * pitch(p, s) * type_bytes(p); }

Stage product_stage(const Product *p, int lines, int64_t most, const char *memory) {
  Stage s = {.threads = p->t->how.threads,
             .thread = "nn_thread()",
             .first = "0",
             .sync = "nn_sync();",
             .lines = lines,
             .parts = 1,
             .memory = memory};
  while (stage_bytes(p, &s) > most) s.parts *= 2;
  return s;
}

/* What rounds to this type anew may be left as it is. */
static Expr *unrounded(Expr *e, DType type) {
  bool rounds =
      e->kind == EXPR_OP && e->op == OP_cast && type_is_narrow(type) && type_of_sums(type) == e->arg[0]->dtype;
  return rounds ? e->arg[0] : e;
}

void product_results(Product *p, const char *v, const char *to) {
  Text *t = p->t;
  DType d = p->node->dtype;
  if (p->mask && !product_mask_uses_k(p)) v = text_printf(t, "(%s ? %s : 0)", text_expr(t, p->mask), v);
  if (p->c->scale) {
    const char *scale = text_expr(t, expr_at_slots(t->ir, p->c->scale, p->at));
    v = text_printf(t, "nn_mul_%s(%s, %s)", dtype_name(type_of_sums(d)), v, scale);
  }
  const char *name = text_name(t, 'v');
  bool last = to && t->k->members.n == 1;
  text_line(t, "const %s %s = %s;", type_name(d), name, last ? v : text_rounded(t, d, v));
  for (int i = 0; i < t->k->members.n; i++) {
    const Member *m = &t->k->members.at[i];
    Expr *body = i ? expr_at_slots(t->ir, m->node->body, p->at) : NULL;
    bool is_put = to && m->storage == STORE_buffer;
    if (i) name = text_expr(t, is_put ? unrounded(body, m->node->dtype) : body);
    if (is_put) text_line(t, "%s = %s;", to, name);
    if (is_put) return;
    const char *place = m->storage == STORE_buffer ? text_place(t, m->buffer, m->node, p->at) : NULL;
    text_known(t, expr_read(t->ir, m->node, p->at), name);
    if (place) text_line(t, "%s = %s;", place, text_stored(t, m->node->dtype, name));
  }
}

/* Reads at a position of the result are for loops over neighbours. */
static void look_for_element(void *cx, Expr *x) {
  Direct *d = cx;
  bool is_member = x->kind == EXPR_READ && kernel_member(d->p->t->k, x->node);
  if (x->kind != EXPR_READ || is_member) return;
  d->found |= expr_uses_any(x, d->p->m.n, d->p->m.var) && expr_uses_any(x, d->p->n.n, d->p->n.var);
}

const Member *product_direct(Product *p) {
  enum { MOST_COST = 8 /* additions */ };
  const Member *stored = NULL;
  Direct d = {p, false};
  double cost = 0;
  if (p->mask) return NULL;
  for (int i = 0; i < p->t->k->members.n; i++) {
    const Member *m = &p->t->k->members.at[i];
    Expr *e = i ? m->node->body : p->c->scale;
    if (stored) return NULL;
    if (m->storage == STORE_buffer) stored = m;
    if (e) e = expr_at_slots(p->t->ir, e, p->at);
    if (e) expr_visit(e, look_for_element, &d);
    if (e) cost += expr_cost(e);
  }
  return d.found || cost > MOST_COST ? NULL : stored;
}

/* What is read and stored at a result's position. */
static Lanes result_lanes(Product *p, const Slots *s) {
  Text *t = p->t;
  Lanes l = {.width = 1};
  if (s->n == 0) return l;
  l = lanes_along(t, s->var[s->n - 1]);
  for (int i = 0; i < t->k->members.n; i++) lanes_make(&l, t->k->members.at[i].node);
  if (!product_mask_uses_k(p)) lanes_read(&l, p->mask);
  if (p->c->scale) lanes_read(&l, expr_at_slots(t->ir, p->c->scale, p->at));
  for (int i = 0; i < t->k->members.n; i++) {
    const Member *m = &t->k->members.at[i];
    if (i) lanes_read(&l, expr_at_slots(t->ir, m->node->body, p->at));
    if (m->storage == STORE_buffer) lanes_store(&l, m->buffer, m->node, p->at, NULL);
  }
  lanes_choose(&l);
  return l;
}

static bool result_lies_along(Product *p, const Slots *s) {
  const Member *last = &p->t->k->members.at[p->t->k->members.n - 1];
  return s->n && text_lies_along(p->t, last->node, p->at, s->var[s->n - 1], 1);
}

static void put_part(Product *p, const Stage *s, const char *m, const char *n, const char *sum) {
  Text *t = p->t;
  text_line(t, "NN_UNROLL");
  text_open(t, "for (int r = 0; r < %d; r++)", p->rows);
  text_line(t, "NN_UNROLL");
  const char *when = s->parts > 1 ? text_printf(t, "if (c / %d == part) ", p->columns / s->parts) : "";
  const char *from = s->parts > 1 ? text_printf(t, " - part * %d", part_columns(p, s)) : "";
  text_line(t, "for (int c = 0; c < %d; c++) %sstage[(%s) * %d + %s%s] = %s;", p->columns, when, m, pitch(p, s), n,
            from, sum);
  text_close(t);
}

/* The stage's rows, or its columns, some neighbours at a time. */
static void finish_part(Product *p, const Stage *s) {
  Text *t = p->t;
  bool along_m = !result_lies_along(p, &p->n) && result_lies_along(p, &p->m);
  Lanes l = result_lanes(p, along_m ? &p->m : &p->n);
  int lines = along_m ? s->lines / l.width : s->lines,
      columns = along_m ? part_columns(p, s) : part_columns(p, s) / l.width;
  int inner = along_m ? lines : columns;
  text_line(t, "NN_ROLLED");
  text_open(t, "for (int item = %s; item < %d; item += %d)", s->thread, lines * columns, s->threads);
  text_line(t, "const int row = item %s %d%s, column = item %s %d%s;", along_m ? "%" : "/", inner,
            along_m ? text_printf(t, " * %d", l.width) : "", along_m ? "/" : "%", inner,
            along_m ? "" : text_printf(t, " * %d", l.width));
  const char *m = text_name(t, 'x'), *n = text_name(t, 'x');
  text_line(t, "const %s %s = %s + %s + row;", text_index_type(p->m.volume), m, p->m0, s->first);
  text_line(t, "const %s %s = %s + column%s;", text_index_type(p->n.volume), n, p->n0,
            s->parts > 1 ? text_printf(t, " + part * %d", part_columns(p, s)) : "");
  text_line(t, "if (%s >= %s || %s >= %s) continue;", m, text_dim(t, p->m.volume), n, text_dim(t, p->n.volume));
  text_positions(t, m, p->m.n, p->m.var, p->m.extent);
  text_positions(t, n, p->n.n, p->n.var, p->n.extent);
  const char *at = text_printf(t, "stage[row * %d + column", pitch(p, s));
  if (l.width > 1) lanes_open(&l, text_form(t, form_var(t->ir, l.var)));
  product_results(p,
                  l.width == 1 ? text_printf(t, "%s]", at)
                               : text_printf(t, "%s + %s * %d]", at, l.lane, along_m ? pitch(p, s) : 1),
                  NULL);
  if (l.width > 1) lanes_close(&l);
  text_close(t);
}

void product_finish(Product *p, const Stage *s, const char *m, const char *n, const char *sum) {
  Text *t = p->t;
  text_line(t, "%s *stage = (%s *)(%s);", p->type, p->type, s->memory);
  if (s->parts > 1) {
    text_line(t, "NN_ROLLED");
    text_open(t, "for (int part = 0; part < %d; part++)", s->parts);
  }
  put_part(p, s, m, n, sum);
  text_line(t, "%s", s->sync);
  finish_part(p, s);
  text_line(t, "%s", s->sync);
  if (s->parts > 1) text_close(t);
}

/* ---- tiles of the result ---- */

/* Batch indices that are steps of loops come first: parts are counted through the steps. */
static Dim *parts_of(const Product *p, Dim *tiles) {
  const Kernel *k = p->t->k;
  Dim *parts = tiles;
  for (int i = 0; i < p->batch.n; i++) {
    bool step = false;
    for (int j = 0; j < k->times; j++) step = step || k->members.at[0].grid_slot[j] == p->c->batch[i];
    if (!step) parts = dim_mul(p->t->ir, parts, p->batch.extent[i]);
  }
  return parts;
}

static const char *at_tile(Text *t, const Slots *s, const char *number, int lines) {
  const char *name = text_name(t, 'x'), *type = text_index_type(s->volume);
  text_line(t, "const %s %s = (%s)%s * %d;", type, name, type, number, lines);
  return name;
}

/* Blocks that run together have tiles near each other: down a few rows of tiles, then across. */
void product_tiles(Product *p) {
  Text *t = p->t;
  GpuTarget target = target_of(p);
  const int wide = gpu_band(&target, &(GpuTile){.m = p->tile_m, .n = p->tile_n});
  Dim *m_tiles = dim_ceil_div(t->ir, p->m.volume, p->tile_m), *n_tiles = dim_ceil_div(t->ir, p->n.volume, p->tile_n);
  Dim *tiles = dim_mul(t->ir, m_tiles, n_tiles);
  const char *part = text_parts(t, parts_of(p, tiles)), *type = text_index_type(tiles), *here = text_name(t, 'q');
  const char *across = text_dim(t, n_tiles), *down = text_dim(t, m_tiles), *band = text_name(t, 'q'),
             *rows = text_name(t, 'q');
  text_line(t, "const %s %s = (%s)(%s %% %s), %s = %s / (%s * %d) * %d;", type, here, type, part, text_dim(t, tiles),
            band, here, across, wide, wide);
  text_line(t, "const %s %s = %s - %s < %d ? %s - %s : %d;", type, rows, down, band, wide, down, band, wide);
  p->n0 = at_tile(t, &p->n, text_printf(t, "(%s %% (%s * %d) / %s)", here, across, wide, rows), p->tile_n);
  p->m0 =
      at_tile(t, &p->m, text_printf(t, "(%s + %s %% (%s * %d) %% %s)", band, here, across, wide, rows), p->tile_m);
  text_positions(t, text_printf(t, "(%s / %s)", part, text_dim(t, tiles)), p->batch.n, p->batch.var, p->batch.extent);
}

void text_contraction(Text *t) {
  const Kernel *k = t->k;
  Product p = {.t = t, .c = k->contraction, .node = k->members.at[0].node};
  p.type = type_name(p.node->body->dtype);
  p.at = NEW_ARRAY(t->arena, Form *, p.node->rank + p.node->nred + 1);
  take_slots(&p, &p.batch, p.c->nbatch, p.c->batch);
  take_slots(&p, &p.m, p.c->nm, p.c->m);
  take_slots(&p, &p.n, p.c->nn, p.c->n);
  take_slots(&p, &p.k, p.c->nk, p.c->k);
  p.a = expr_at_slots(t->ir, p.c->a, p.at);
  p.b = expr_at_slots(t->ir, p.c->b, p.at);
  p.mask = p.c->tile_mask ? expr_at_slots(t->ir, p.c->tile_mask, p.at) : NULL;
  t->how.has_90a = warpgroup_takes(&p);
  if (t->on_90a) {
    warpgroup_text(&p);
    return;
  }
  if (mma_takes(&p)) {
    mma_text(&p);
    return;
  }
  choose_tile(&p);
  multiply_tile(&p);
}
