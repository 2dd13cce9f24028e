/* group.c - maps, and groups around reductions.
 *
 * Either each thread has a grid position of its own, and walks through the rows of its members alone (maps, columns,
 * windows, very short rows: neighbours in the grid are neighbours in memory); or a block has a position, and its
 * threads share the row: element e is thread e % threads's, in every loop over a row. Then what all of a row makes is
 * joined in a fixed tree, every thread has the value, and one of them stores it. Between two loops over a row the
 * block meets, so that what one thread stored another may read. Or, where rows are long and positions few, a block
 * has some neighbours in the grid, and as many threads for each as it can.
 *
 * Sums over positions: a block has all positions of a unit, one after the other. */
#include "codegen/cuda/lanes.h"

#include "ir/cost.h"

enum { SHORT_ROW = 16, POSITIONS = 128 /* of a block, a thread each */, MOST_SHARED = 40 << 10, MOST = 1 << 20 };
enum { LONG_COLUMN = 32, SIDE_BY_SIDE = 256 /* threads */, BUSY = 132 * 1024 /* threads */ };

typedef struct Group {
  Text *t;
  const Kernel *k;
  bool shared;                 /* threads share a position */
  int width;                   /* positions of a block, side by side: 1, or a thread's is its number % width */
  const char *thread, *active; /* which of the position's it is; whether it has a position, NULL: it does */
  Var **grid;
  Form **at; /* by grid index */
} Group;

static Form **slots_of(Group *g, const Member *m, Form **row) {
  return member_slots(g->t->ir, g->t->arena, g->k, m, g->at, row);
}

/* ---- results ---- */

static void keep_result(Group *g, const Member *m, Form **at, const char *v) {
  Text *t = g->t;
  const char *place = NULL;
  if (m->storage != STORE_register) place = text_place(t, m->buffer, m->node, at);
  text_known(t, expr_read(t->ir, m->node, at), v);
  const char *unless = g->active && m->storage == STORE_buffer ? text_printf(t, "if (%s) ", g->active) : "";
  if (place) text_line(t, "%s%s = %s;", unless, place, text_stored(t, m->node->dtype, v));
}

/* One value of a position: of a block every thread has it. Others may still have to read what it is written over. */
static void keep_plain(Group *g, const Member *m, Form **at, const char *v) {
  Text *t = g->t;
  text_known(t, expr_read(t->ir, m->node, at), v);
  if (m->storage == STORE_register) return;
  const char *place = text_place(t, m->buffer, m->node, at);
  const char *stored = text_stored(t, m->node->dtype, v);
  if (!g->shared) {
    text_line(t, "%s = %s;", place, stored);
    return;
  }
  text_line(t, "nn_sync();");
  const char *also = g->active ? text_printf(t, " && %s", g->active) : "";
  text_line(t, "if (%s == 0%s) %s = %s;", g->thread, also, place, stored);
}

/* Of a sum over positions: whether this is the first, whose terms begin it. */
static const char *is_first(Group *g, const Member *m, Form **at) {
  Text *t = g->t;
  Form *before = form_const(t->ir, 0);
  for (int i = 0; i < m->node->nred; i++) before = form_add(t->ir, before, at[m->node->rank + i]);
  return text_printf(t, "%s == 0", text_form(t, before));
}

/* A sum over positions: the first's terms, then each other's, in order. */
static void add_to_result(Group *g, const Member *m, Form **at, const char *v) {
  Text *t = g->t;
  DType d = m->node->dtype;
  const char *place = text_place(t, m->buffer, m->node, at);
  const char *sum = text_printf(t, "nn_add_%s(%s, %s)", dtype_name(type_of_sums(d)), text_loaded(t, d, place), v);
  const char *value = text_printf(t, "(%s ? %s : %s)", is_first(g, m, at), v, text_rounded(t, d, sum));
  text_line(t, "%s = %s;", place, text_stored(t, d, value));
}

/* ---- a loop over the row ---- */

typedef struct Row {
  Group *g;
  const RowLoop *l;
  Var **index;
  Form **at;
  Sum *sums; /* by member of the loop */
  const char *position;
} Row;

static const Member *member_of(const Row *r, int i) { return &r->g->k->members.at[r->l->members[i]]; }

static void row_element(Row *r) {
  Text *t = r->g->t;
  for (int i = 0; i < r->l->n; i++) {
    const Member *m = member_of(r, i);
    Form **at = slots_of(r->g, m, r->at);
    const char *v = text_expr(t, expr_at_slots(t->ir, m->node->body, at));
    if (m->summed) add_to_result(r->g, m, at, v);
    else if (m->node->nred) sum_add(t, &r->sums[i], v, r->position);
    else keep_result(r->g, m, at, v);
  }
}

/* What a loop's members read and store at their slots. */
static void use_lanes(Lanes *l, Group *g, const RowLoop *loop, Form **row) {
  for (int i = 0; i < loop->n; i++) lanes_make(l, g->k->members.at[loop->members[i]].node);
  for (int i = 0; i < loop->n; i++) {
    const Member *m = &g->k->members.at[loop->members[i]];
    Form **at = slots_of(g, m, row);
    lanes_read(l, expr_at_slots(g->t->ir, m->node->body, at));
    if (m->storage != STORE_register && !member_reduces(m))
      lanes_store(l, m->buffer, m->node, at, m->summed ? is_first(g, m, at) : NULL);
  }
}

/* Element by element, or some neighbours at a time: e is the row-major position. */
static void shared_row(Row *r) {
  Text *t = r->g->t;
  Var *v = r->index[r->l->nd - 1];
  Lanes lanes = lanes_along(t, v);
  if (r->g->width == 1) {
    use_lanes(&lanes, r->g, r->l, r->at);
    lanes_choose(&lanes);
  }
  const char *e = text_name(t, 'e'), *size = text_product(t, r->l->nd, r->l->extent), *first = r->g->thread;
  if (lanes.width > 1) first = text_printf(t, "%s * %d", first, lanes.width);
  if (r->g->active) first = text_printf(t, "%s ? %s : (i64)%s", r->g->active, first, size);
  if (lanes.width > 1) text_line(t, "NN_ROLLED");
  text_open(t, "for (i64 %s = %s; %s < %s; %s += %d)", e, first, e, size, e,
            t->how.threads / r->g->width * lanes.width);
  text_positions(t, e, r->l->nd, r->index, r->l->extent);
  r->position = e;
  if (lanes.width > 1) {
    lanes_open(&lanes, text_form(t, form_var(t->ir, v)));
    r->position = text_printf(t, "(%s + %s)", e, lanes.lane);
  }
  row_element(r);
  if (lanes.width > 1) lanes_close(&lanes);
  text_close(t);
}

static void own_row(Row *r, int level) {
  Text *t = r->g->t;
  if (level == r->l->nd) {
    r->position = text_form(t, r->at[0]);
    for (int i = 1; i < r->l->nd; i++)
      r->position =
          text_printf(t, "(%s * %s + %s)", r->position, text_dim(t, r->l->extent[i]), text_form(t, r->at[i]));
    row_element(r);
    return;
  }
  text_loop(t, r->index[level]);
  own_row(r, level + 1);
  text_close(t);
}

static void run_loop(Group *g, const RowLoop *l) {
  Text *t = g->t;
  Row r = {.g = g, .l = l, .sums = NEW_ARRAY(t->arena, Sum, l->n)};
  r.index = NEW_ARRAY(t->arena, Var *, l->nd);
  for (int i = 0; i < l->nd; i++) r.index[i] = var_fresh(t->ir, l->extent[i]);
  r.at = form_vars(t->ir, l->nd, r.index);
  for (int i = 0; i < l->n; i++)
    if (member_reduces(member_of(&r, i))) r.sums[i] = sum_open(t, member_of(&r, i)->node);
  if (g->shared) shared_row(&r);
  else own_row(&r, 0);
  for (int i = 0; i < l->n; i++)
    if (g->shared && member_reduces(member_of(&r, i))) sum_of_block(t, &r.sums[i], g->width);
  if (g->shared) text_line(t, "nn_sync();");
  for (int i = 0; i < l->n; i++)
    if (member_reduces(member_of(&r, i)))
      keep_plain(g, member_of(&r, i), slots_of(g, member_of(&r, i), r.at), sum_value(t, &r.sums[i]));
}

/* ---- a position ---- */

static void position(Group *g, const RowLoops *loops) {
  for (int i = 0; i < loops->n; i++) {
    const RowLoop *l = &loops->at[i];
    const Member *m = &g->k->members.at[l->members[0]];
    if (l->nd) {
      run_loop(g, l);
      continue;
    }
    Form **at = slots_of(g, m, NULL);
    keep_plain(g, m, at, text_expr(g->t, expr_at_slots(g->t->ir, m->node->body, at)));
  }
  if (g->shared) text_line(g->t, "nn_sync();");
}

/* Positions of a unit from grid index i on, in order. */
static void unit_positions(Group *g, const RowLoops *loops, int i, const char *from, const char *to) {
  Text *t = g->t;
  if (i == g->k->ngrid) {
    position(g, loops);
    return;
  }
  const char *name = text_name(t, 'x');
  text_open(t, "for (i64 %s = %s; %s < %s; %s++)", name, from, name, to, name);
  text_bind(t, g->grid[i], name);
  unit_positions(g, loops, i + 1, "0", i + 1 < g->k->ngrid ? text_dim(t, g->k->grid[i + 1]) : NULL);
  text_close(t);
}

/* The positions of grid indices before `cut`, times blocks of index `cut`. */
static void units(Group *g, const RowLoops *loops) {
  Text *t = g->t;
  const Kernel *k = g->k;
  Dim *blocks = dim_ceil_div(t->ir, k->grid[k->cut], k->block);
  const char *u = text_parts(t, k->step_units), *count = text_dim(t, blocks), *from = text_name(t, 'f'),
             *to = text_name(t, 'l');
  if (k->cut) text_positions(t, text_printf(t, "(%s / %s)", u, count), k->cut, g->grid, k->grid);
  const char *block = text_integer(t, DT_i32, k->block), *end = text_dim(t, k->grid[k->cut]);
  text_line(t, "const i64 %s = %s %% %s * %s;", from, u, count, block);
  text_line(t, "const i64 %s = %s + %s < %s ? %s + %s : %s;", to, from, block, end, from, block, end);
  unit_positions(g, loops, k->cut, from, to);
  text_close(t);
}

/* ---- rows that are kept ---- */

static Dim *row_bytes(Text *t, const Member *m) {
  Dim **extent = member_row_extents(t->arena, t->k, m), *bytes = dim_const(t->ir, dtype_bytes(m->node->dtype));
  for (int i = 0; i < member_row_rank(t->k, m); i++) bytes = dim_mul(t->ir, bytes, extent[i]);
  return dim_round_up(t->ir, bytes, 64);
}

/* In shared memory where they fit, else in scratch memory; there threads that have a row each have it side by side.
 */
static void kept_rows(Group *g) {
  Text *t = g->t;
  const Kernel *k = g->k;
  Dim *end = dim_const(t->ir, 0);
  int64_t bytes, apart = g->shared ? g->width : t->how.threads;
  for (int i = 0; i < k->members.n; i++)
    if (k->members.at[i].storage == STORE_row)
      end = dim_add(t->ir, k->members.at[i].offset, row_bytes(t, &k->members.at[i]));
  bool fits = g->shared && dim_is_const(end, &bytes) && bytes * apart <= MOST_SHARED;
  if (fits) t->how.shared = bytes * apart;
  else t->how.scratch = dim_mul(t->ir, end, dim_const(t->ir, apart));
  const char *own = apart > 1 ? text_printf(t, " + nn_thread() %% %d", (int)apart) : "";
  for (int i = 0; i < k->members.n; i++) {
    const Member *m = &k->members.at[i];
    if (m->storage != STORE_row) continue;
    KeptRow row = {m->node, text_name(t, 'r'), NEW_ARRAY(t->arena, bool, m->node->rank + 1), (int)apart};
    for (int j = 0; j < k->ngrid; j++) row.is_grid[m->grid_slot[j]] = true;
    const char *type = type_in_memory(m->node->dtype), *offset = text_dim(t, m->offset);
    if (fits)
      text_line(t, "%s *%s = (%s *)(nn_shared() + %s * %d)%s;", type, row.name, type, offset, (int)apart, own);
    else
      text_line(t, "%s *%s = (%s *)(scratch + nn_block() * (i64)%s + %s * %d)%s;", type, row.name, type,
                text_dim(t, t->how.scratch), offset, (int)apart, own);
    vec_push(t->arena, &t->kept, row);
  }
}

/* ---- the whole ---- */

static double longest_row(Text *t, const Kernel *k) {
  double longest = 0;
  for (int i = 0; i < k->members.n; i++) {
    Dim **extent = member_row_extents(t->arena, k, &k->members.at[i]);
    double n = 1;
    for (int j = 0; j < member_row_rank(k, &k->members.at[i]); j++) n *= (double)dim_nominal(extent[j]);
    if (n > longest) longest = n;
  }
  return longest;
}

static bool is_shared(Text *t, const Kernel *k) {
  if (k->kind == KERNEL_full || k->sums) return true;
  return k->kind == KERNEL_row && longest_row(t, k) > SHORT_ROW;
}

static Dim *positions_of_step(Text *t, const Kernel *k) {
  Dim *positions = dim_const(t->ir, 1);
  for (int i = k->times; i < k->ngrid; i++) positions = dim_mul(t->ir, positions, k->grid[i]);
  return positions;
}

/* Side by side: few positions, of long rows, whose sums find room; of enough neighbours for a read of memory. */
static int width_of(Text *t, const Kernel *k) {
  double positions = (double)dim_nominal(positions_of_step(t, k));
  int sums = 0;
  for (int i = 0; i < k->members.n; i++)
    if (member_reduces(&k->members.at[i])) sums += reducer_width(k->members.at[i].node->reducer);
  if (k->kind != KERNEL_column || k->times || positions > BUSY || longest_row(t, k) < LONG_COLUMN ||
      sums * SIDE_BY_SIDE * 8 > MOST_SHARED / 2)
    return 1;
  return positions > 32 * BUSY / SIDE_BY_SIDE ? 32 : positions > 16 * BUSY / SIDE_BY_SIDE ? 16 : 8;
}

static void share_block(Group *g) {
  double row = longest_row(g->t, g->k);
  g->shared = true;
  g->width = 1;
  g->thread = "nn_thread()";
  g->t->how.threads = row <= 256 ? 32 : row <= 4096 ? 128 : 256;
}

static void share_side_by_side(Group *g, int width) {
  g->shared = true;
  g->width = width;
  g->thread = text_printf(g->t, "nn_thread() / %d", width);
  g->t->how.threads = SIDE_BY_SIDE;
}

/* The number of the position, in a loop that text_close ends. */
static const char *open_positions(Group *g, Dim *positions) {
  Text *t = g->t;
  if (!g->shared) return text_threads(t, positions, t->how.threads);
  if (g->width == 1) return text_parts(t, positions);
  const char *part = text_parts(t, dim_ceil_div(t->ir, positions, g->width)), *p = text_name(t, 'p');
  const char *count = text_dim(t, positions);
  g->active = text_name(t, 'h');
  text_line(t, "const bool %s = %s * %d + nn_thread() %% %d < %s;", g->active, part, g->width, g->width, count);
  text_line(t, "const i64 %s = %s ? %s * %d + nn_thread() %% %d : %s - 1;", p, g->active, part, g->width, g->width,
            count);
  return p;
}

/* Maps alone: a thread has some neighbours of the last grid index at a time. */
static Lanes map_lanes(Group *g, const RowLoops *loops) {
  const Kernel *k = g->k;
  Var *v = k->ngrid > k->times ? g->grid[k->ngrid - 1] : NULL;
  Lanes lanes = {.width = 1};
  if (g->shared || k->sums || !v) return lanes;
  for (int i = 0; i < loops->n; i++)
    if (loops->at[i].nd) return lanes;
  lanes = lanes_along(g->t, v);
  for (int i = 0; i < loops->n; i++) use_lanes(&lanes, g, &loops->at[i], NULL);
  lanes_choose(&lanes);
  return lanes;
}

/* What follows, until text_close, is for positions that are not passed over; false: all are as the others. */
static bool open_condition(Group *g, bool in_lanes) {
  Expr *e = g->shared ? NULL : kernel_condition(g->t->s, g->k);
  if (!e || (in_lanes && expr_uses(e, var_get(g->t->ir, g->k->ngrid - 1, g->k->grid[g->k->ngrid - 1])))) return false;
  text_open(g->t, "if (%s)", text_expr(g->t, expr_at_slots(g->t->ir, e, g->at)));
  return true;
}

static void map_by_lanes(Group *g, const RowLoops *loops, Lanes *lanes) {
  Text *t = g->t;
  const Kernel *k = g->k;
  Var *v = g->grid[k->ngrid - 1];
  const char *part = text_threads(t, dim_ceil_div(t->ir, positions_of_step(t, k), lanes->width), t->how.threads);
  text_positions(t, text_printf(t, "(%s * %d)", part, lanes->width), k->ngrid, g->grid, k->grid);
  bool decides = open_condition(g, true);
  lanes_open(lanes, text_form(t, form_var(t->ir, v)));
  position(g, loops);
  lanes_close(lanes);
  if (decides) text_close(t);
  text_close(t);
}

void text_group(Text *t) {
  const Kernel *k = t->k;
  Group g = {.t = t, .k = k, .width = 1, .grid = NEW_ARRAY(t->arena, Var *, k->ngrid + 1)};
  int width = width_of(t, k);
  for (int i = 0; i < k->ngrid; i++) g.grid[i] = var_fresh(t->ir, k->grid[i]);
  g.at = form_vars(t->ir, k->ngrid, g.grid);
  t->how.threads = POSITIONS;
  if (is_shared(t, k)) share_block(&g);
  else if (width > 1) share_side_by_side(&g, width);
  kept_rows(&g);
  RowLoops loops = kernel_row_loops(t->s, k, MOST, MOST);
  if (k->sums) {
    units(&g, &loops);
    return;
  }
  Lanes lanes = map_lanes(&g, &loops);
  if (lanes.width > 1) {
    map_by_lanes(&g, &loops, &lanes);
    return;
  }
  text_positions(t, open_positions(&g, positions_of_step(t, k)), k->ngrid, g.grid, k->grid);
  bool decides = open_condition(&g, false);
  position(&g, &loops);
  if (decides) text_close(t);
  text_close(t);
}
