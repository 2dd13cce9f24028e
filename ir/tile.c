/* tile.c - the register tile and cache blocks of a contraction, from a model of the processor (no search).
 *
 * A tile of mr rows and nr vectors needs mr * nr accumulators, nr vectors of B and one broadcast of A; a few
 * registers stay free, or LLVM spills. Among the tiles that fit, the one with the least estimated time: multiply-adds
 * with the padding at the edges, loads, and a penalty for fewer accumulators than the latency of a multiply-add
 * hides. */
#include "ir/classify.h"
#include "ir/cost.h"
#include "ir/scheduler.h"

enum { MAX_NR = 4, MAX_MR = 16, BUSY_ACCUMULATORS = 8, SMALL = 1 << 20 };

/* Blocks. K in pieces of KC, if it is longer than WHOLE_K: each piece costs a pass over the sums that wait, which
 * those of a WHOLE_IMAGE are worth. What is copied and stays, packed rows and waiting sums, has at most COPIED
 * elements (the second cache); rows read where they lie may come from further away, and so may those that
 * contractions side by side have together, BESIDE elements at most, if less than ROWS_BESIDE rows of all would stay
 * in the second cache. UNITS pieces for threads to share, where there are WORTH multiply-adds for each. */
enum {
  KC = 1024,
  WHOLE_IMAGE = 128,
  WHOLE_K = 2048,
  COPIED = 1024 * 1024,
  BESIDE = 2 * COPIED,
  ROWS_BESIDE = 64,
  UNITS = 4,
  WORTH = 1 << 19,
  OPEN_ROWS = 256,
  MOST_STEP = 144,
  SHORT = 16,
  NEAR = 32 * 1024,
  FEW = 4,
  LONG_SUM = 16,
  PAGE = 4096,
  SAVED = 40
};

/* Cycles for packing an element, where memory runs on for a vector, for FEW elements, and where each is elsewhere. */
#define RUNS      0.4
#define GATHERS   1.2
#define SCATTERED 4.0
/* Where what lies between the elements is packed at once, for others. */
#define AT_ONCE 1.0

/* What it costs where packed rows, in vectors, leave all lanes empty, and where a tile's rows, read where they lie,
 * are in two lines at some k. */
#define EMPTY   0.05
#define CROSSES 0.04

/* What an accumulator more may cost a small product, where code is read as often as data. */
#define CODE_GROWTH 0.004

typedef struct Extent { /* of several indices together */
  int64_t value;        /* nominal */
  bool open;
} Extent;

static Extent extent_of(Graph *g, const Node *n, const int *slots, int count) {
  Extent e = {1, false};
  for (int i = 0; i < count; i++) {
    const Dim *d = node_slot_var(g, n, slots[i])->extent;
    e.value *= dim_nominal(d);
    e.open |= !dim_is_const(d, NULL);
  }
  return e;
}

static int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

/* A vector of B that comes from `far`, where a panel is larger than NEAR (the first cache), counts twice. */
static double tile_time(int mr, int nr, bool far) {
  double fmas = mr * nr, loads = mr + (far ? 2 : 1) * nr;
  double busy = fmas < BUSY_ACCUMULATORS ? BUSY_ACCUMULATORS : fmas;
  return busy + 0.25 * loads;
}

/* All tiles; those of the last columns have `last` vectors. */
static double tiles_time(int mr, int nr, int last, int64_t m, int64_t vectors, bool far) {
  double others = (double)(ceil_div(vectors, nr) - 1);
  return (double)ceil_div(m, mr) * (others * tile_time(mr, nr, far) + tile_time(mr, last, far));
}

static int spare_registers(const Target *t) { return t->registers >= 32 ? 3 : t->fma ? 1 : 5; }

/* ---- blocks ---- */

static Dim *slot_extent(Graph *g, const Node *n, int s) { return node_slot_var(g, n, s)->extent; }

/* An operand that may not have to be packed within one image, and has to where blocks go on in the next. */
static bool reads_plainly(const Contraction *c) { return c->a->kind == EXPR_READ || c->b->kind == EXPR_READ; }

/* K whole, or in ranges of one of its indices: the outermost within which the others stay below KC. Ranges of one are
 * all of the next index: what lies before the cut is a number in a block, and reads are straight there. */
static int64_t block_k(Graph *g, const Node *n, Contraction *c, Extent k, int lanes) {
  int64_t inner = 1, extent = 1;
  int s = c->nk - 1;
  int64_t most = !k.open && k.value <= WHOLE_K ? WHOLE_K : KC;
  while (s > 0 && dim_is_const(slot_extent(g, n, c->k[s]), &extent) && inner * extent <= most) {
    inner *= extent;
    s--;
  }
  c->k_cut = s;
  most = most > inner ? most / (inner > 0 ? inner : 1) : 1;
  if (dim_is_const(slot_extent(g, n, c->k[s]), &extent) && extent > 0)
    most = ceil_div(extent, ceil_div(extent, most)); /* equal parts */
  if (inner == 1 && most < extent) most = ceil_div(most, lanes) * lanes;
  bool one = most == 1 || (inner >= WHOLE_IMAGE && most < extent && reads_plainly(c));
  if (one && s + 1 < c->nk && dim_is_const(slot_extent(g, n, c->k[s + 1]), &most)) {
    c->k_cut = s + 1;
    c->k_block = (int)most;
    return inner;
  }
  c->k_block = (int)most;
  return most * inner;
}

/* Units that the batch gives in any case: an open index may be 1, and steps come one after the other. */
static int64_t known_positions(Graph *g, const Node *n, const Contraction *c) {
  int64_t positions = 1, extent;
  for (int i = 0; i < c->nbatch; i++)
    if (c->batch[i] >= node_times(n) && dim_is_const(slot_extent(g, n, c->batch[i]), &extent)) positions *= extent;
  return positions;
}

/* Cycles for packing one element of an operand; a cycle does 32 multiply-adds. Rows that lie in one piece through a
 * block of K are not packed. */
static double packing(Graph *g, const Node *n, const Contraction *c, int64_t kc, Expr *e) {
  const Expr *read = expr_largest_read(g->ir->arena, e);
  if (!read) return RUNS;
  int64_t k = read_run(g, n, read, c->k, c->nk), m = read_run(g, n, read, c->m, c->nm);
  int64_t columns = read_run(g, n, read, c->n, c->nn), line = m > columns ? m : columns;
  if (e == c->a && e->kind == EXPR_READ && line == 0 && k >= SHORT && k >= kc) return 0;
  int64_t run = k > line ? k : line;
  return run < FEW ? SCATTERED : run < SHORT ? GATHERS : RUNS;
}

typedef struct Blocking {
  Extent m, n;
  double work; /* multiply-adds */
  int64_t k, kc, beside, batch, step;
  int64_t stays;  /* elements in the second cache */
  double a, b;    /* packing */
  bool b_at_once; /* of all columns of a block, not of a panel at a time */
} Blocking;

/* How often an operand is packed that `blocks` units in a row share: between once, where one thread has them all, and
 * as often. */
static double shared(double blocks) { return (1 + blocks) / 2; }

/* Time lost by blocks of mc rows and nc columns: packing each operand for every block that needs it, and threads that
 * wait for the last unit. Units go through the columns first. */
static double loss(const Blocking *b, int64_t mc, int64_t nc) {
  double rows = (double)ceil_div(b->m.value, mc), columns = (double)ceil_div(b->n.value, nc);
  bool whole = b->kc >= b->k;
  double of_a = whole ? shared(columns) : columns;
  double of_b = whole && columns == 1 && b->b_at_once ? shared(rows) : rows;
  double copies = b->a * (double)b->m.value * of_a + b->b * (double)b->n.value * of_b;
  double packed = (double)b->batch * (double)b->k * copies;
  double wanted = b->work / WORTH < UNITS ? b->work / WORTH : UNITS, units = rows * columns * (double)b->batch;
  double waste = b->work / 32 * (rows * (double)mc / (double)b->m.value - 1);
  return packed + (b->m.open ? 0 : waste) + (units < wanted ? b->work / 32 * (1 - units / wanted) : 0);
}

/* Elements of rows that are packed together: what stays in the second cache, if that is ROWS_BESIDE or all of them.
 */
static int64_t most_beside(const Blocking *b) {
  int64_t rows = b->m.value < ROWS_BESIDE ? b->m.value : ROWS_BESIDE;
  return b->stays >= rows * (b->kc + b->beside) ? b->stays : BESIDE;
}

static bool fits(const Blocking *b, int64_t mc, int64_t nc) {
  bool rows_fit = b->a == 0 || (mc * b->kc <= COPIED && (!b->beside || mc * (b->kc + b->beside) <= most_beside(b)));
  return rows_fit && (b->kc >= b->k || mc * nc <= COPIED);
}

/* Parts of about 1/parts of the extent, in whole steps. */
static int64_t part(Extent e, int64_t parts, int64_t step) {
  return ceil_div(ceil_div(e.value > 0 ? e.value : 1, parts), step) * step;
}

static void block_rows_and_columns(const Blocking *b, Contraction *c, int64_t columns, int64_t rows) {
  double best = -1;
  c->mc = (int)(rows ? rows : b->step); /* if nothing fits */
  c->nc = (int)columns;
  for (int64_t i = 1; i <= (rows ? 1 : ceil_div(b->m.value, b->step)); i += 1 + i / 8)
    for (int64_t j = 1; j <= ceil_div(b->n.value, columns); j += 1 + j / 8) {
      int64_t mc = rows ? rows : part(b->m, i, b->step), nc = part(b->n, j, columns);
      double lost = loss(b, mc, nc);
      if (!fits(b, mc, nc) || (best >= 0 && lost >= best)) continue;
      best = lost;
      c->mc = (int)mc;
      c->nc = (int)nc;
    }
}

/* ---- sides ---- */

/* Whether b's memory runs with K, and within that with a few columns: the windows of a gradient by weight. As columns
 * they would be transposed; as rows they are packed as they lie, and only the finished result is transposed, which
 * long sums make up for. */
static bool better_as_rows(Graph *g, const Node *n, const Contraction *c) {
  const Expr *largest = expr_largest_read(g->ir->arena, c->b);
  if (!largest) return false;
  int64_t columns = read_run(g, n, largest, c->n, c->nn);
  bool long_sums = extent_of(g, n, c->k, c->nk).value > LONG_SUM * extent_of(g, n, c->m, c->nm).value;
  return columns > 1 && columns < read_run(g, n, largest, c->k, c->nk) && long_sums;
}

static void exchange_sides(Contraction *c) {
  Contraction old = *c;
  c->a = old.b;
  c->b = old.a;
  c->m = old.n;
  c->nm = old.nn;
  c->n = old.m;
  c->nn = old.nm;
}

/* Rows come in whole inner indices of M, where these are few: then each is a loop of its own when they are packed. */
static int row_step(Graph *g, const Node *n, const Contraction *c) {
  int64_t inner = 1, extent;
  for (int i = 1; i < c->nm; i++) {
    if (!dim_is_const(slot_extent(g, n, c->m[i]), &extent)) return c->mr;
    inner *= extent;
  }
  int64_t step = inner > 0 ? inner : 1;
  while (step % c->mr != 0 && step <= MOST_STEP) step += inner;
  return step <= MOST_STEP ? (int)step : c->mr;
}

/* Columns in a panel, where B lies as [columns / width][K][width]: the width is the last dimension, walked through by
 * a remainder, in whole vectors. 0: it does not. */
static int64_t panel_width(const Expr *e, int lanes) {
  int64_t width;
  if (e->kind != EXPR_READ || e->node->rank < 2) return 0;
  const Form *last = e->at[e->node->rank - 1];
  if (!dim_is_const(e->node->shape[e->node->rank - 1], &width) || width % lanes != 0) return 0;
  for (int i = 0; i < last->n; i++) {
    const FormTerm *t = &last->terms[i];
    if (t->atom->kind == ATOM_DIV && t->atom->divisor == width && t->coefficient == -width) return width;
  }
  return 0;
}

/* Whether an operand, if it is packed, has its lines in lanes: the indices of `slots`. */
static bool runs_across(Graph *g, const Node *n, const Contraction *c, Expr *operand, const int *slots, int count) {
  const Expr *read = expr_largest_read(g->ir->arena, operand);
  return read && read_run(g, n, read, slots, count) > read_run(g, n, read, c->k, c->nk);
}

/* Elements of memory from one value of index v to the next; 0 where that is no number. */
static int64_t read_step(const Expr *read, const Var *v) {
  int64_t stride = 1, step = 0, extent;
  for (int d = read->node->rank - 1; d >= 0; d--) {
    step += form_coefficient(read->at[d], v) * stride;
    if (!dim_is_const(read->node->shape[d], &extent)) return d == 0 ? step : 0;
    stride *= extent;
  }
  return step;
}

/* Whether rows, neighbours in memory, are read where they lie, at each k from other lines: they are from the second
 * cache, and so are B's. Further apart they are packed. */
static bool rows_in_place(Graph *g, const Node *n, const Contraction *c, Extent m, Extent k) {
  if (c->a->kind != EXPR_READ || c->nk != 1) return false;
  int64_t step = read_step(c->a, node_slot_var(g, n, c->k[0])) * dtype_bytes(n->dtype);
  return step > 0 && step < PAGE && m.value * k.value * dtype_bytes(n->dtype) > NEAR;
}

/* Where the processor has masks, the last panel is one like all others, which costs next to nothing, unless a
 * SAVED-th of the columns of a product that is not small makes up for twice the code. */
static int last_panel(Extent columns, int nr, int lanes, double work) {
  int64_t vectors = ceil_div(columns.value, lanes), rest = vectors % nr;
  bool saves = vectors > nr && work > SMALL && (nr - rest) * SAVED >= vectors;
  return rest && saves && !columns.open ? (int)rest : nr;
}

/* Whether a panel of B passes the rows of all that stand side by side out of the second cache, most of which they
 * have. A narrow one in any case does not. */
static bool crowds_out(const Target *t, int64_t rows, int64_t k, int64_t beside, int64_t columns, int bytes) {
  int64_t packed = (rows < ROWS_BESIDE ? rows : ROWS_BESIDE) * (k + beside);
  return beside && columns > 2 * t->vector_bytes / bytes && (packed + k * columns) * bytes >= t->l2 / 4 * 3;
}

void tile_contraction(const Target *t, const Node *n, Contraction *c, Graph *g, int64_t rows, int64_t beside) {
  int lanes = t->vector_bytes / dtype_bytes(n->dtype), room = t->registers - spare_registers(t);
  if (!rows && better_as_rows(g, n, c)) exchange_sides(c);
  Extent m = extent_of(g, n, c->m, c->nm), columns = extent_of(g, n, c->n, c->nn), k = extent_of(g, n, c->k, c->nk);
  int64_t vectors = ceil_div(columns.value, lanes);
  int64_t width = panel_width(c->b, lanes);
  bool in_lanes = runs_across(g, n, c, c->a, c->m, c->nm);
  bool in_place = in_lanes && rows_in_place(g, n, c, m, k);
  double each = (double)m.value * (double)columns.value * (double)k.value; /* position of the batch */
  double best = 0, growth = each <= SMALL ? CODE_GROWTH : 0;
  for (int nr = 1; nr <= MAX_NR; nr++)
    for (int mr = 1; mr <= MAX_MR && mr * nr + nr + 1 <= room; mr++) {
      bool far = (width || in_place) && k.value * nr * t->vector_bytes > NEAR;
      if (width % (nr * lanes) || rows % mr) continue;
      if (crowds_out(t, m.value, k.value, beside, nr * lanes, dtype_bytes(n->dtype))) continue;
      int last = last_panel(columns, nr, lanes, each);
      double time = tiles_time(mr, nr, last, m.value, vectors, far) * (1 + growth * mr * nr);
      if (in_lanes) time *= 1 + EMPTY * (lanes % mr) / lanes + (in_place && lanes % mr ? CROSSES : 0);
      if (best > 0 && time >= best) continue;
      best = time;
      c->mr = mr;
      c->nr = nr;
      c->last_nr = last;
    }
  Blocking b = {.m = m, .n = columns, .k = k.value};
  b.kc = block_k(g, n, c, k, lanes);
  b.a = packing(g, n, c, b.kc, c->a);
  if (beside && b.a > AT_ONCE) b.a = AT_ONCE;
  b.b = width ? 0 : packing(g, n, c, b.kc, c->b);
  b.b_at_once = c->b->kind == EXPR_READ && runs_across(g, n, c, c->b, c->n, c->nn);
  if (m.open && m.value < OPEN_ROWS) b.m.value = OPEN_ROWS;
  b.beside = beside;
  b.stays = target_stays(t) / dtype_bytes(n->dtype);
  b.batch = known_positions(g, n, c);
  b.work = (double)b.batch * (double)b.m.value * (double)columns.value * (double)k.value;
  b.step = c->m[c->nm - 1] > c->n[c->nn - 1] ? row_step(g, n, c) : c->mr;
  block_rows_and_columns(&b, c, (int64_t)c->nr * lanes, rows);
}

/* ---- side by side ---- */

static bool same_slots(const int *a, int na, const int *b, int nb) {
  for (int i = 0; na == nb && i < na; i++)
    if (a[i] != b[i]) return false;
  return na == nb;
}

static bool same_roles(const Contraction *c, const Contraction *d) {
  return same_slots(c->batch, c->nbatch, d->batch, d->nbatch) && same_slots(c->m, c->nm, d->m, d->nm) &&
         same_slots(c->n, c->nn, d->n, d->nn);
}

/* Tiles in whole vectors that need no transposition, and no sums that wait. */
static bool is_simple(Graph *g, const Node *n, const Contraction *c) {
  Extent k = extent_of(g, n, c->k, c->nk);
  bool same_types = c->a->dtype == n->dtype && c->b->dtype == n->dtype && n->body->dtype == n->dtype;
  for (int i = 1; i < c->nm; i++)
    if (!dim_is_const(slot_extent(g, n, c->m[i]), NULL)) return false;
  for (int i = 1; i < c->nn; i++)
    if (!dim_is_const(slot_extent(g, n, c->n[i]), NULL)) return false;
  return same_types && (n->dtype == DT_f32 || n->dtype == DT_f64) && !c->tile_mask && !k.open && k.value <= WHOLE_K &&
         c->m[c->nm - 1] < c->n[c->nn - 1] && !better_as_rows(g, n, c);
}

bool tiles_alike(Graph *g, const Node *n, const Contraction *c, const Node *other, const Contraction *d) {
  return node_same_type(n, other) && same_roles(c, d) && is_simple(g, n, c) && is_simple(g, other, d);
}

/* ---- small products ---- */

/* Cycles of a position of the batch, measured: what a tile begins and ends with; a row's sum is gathered from its
 * lanes, or from elements of a row too short for them; a vector of columns has a load and a broadcast for each
 * multiply-add. Tiles have to be better than they by MARGIN. */
#define TILE_STARTS     8.0
#define ROW_ENDS        3.0
#define ROW_VECTOR      2.2
#define COLUMN_MULTIPLY 2.6
#define MARGIN          1.25
enum { SHORT_ROW = 4 };

static bool lies_in_columns(Graph *g, const Node *n, const Contraction *c, Extent columns) {
  return c->b->kind == EXPR_READ && read_run(g, n, c->b, c->n, c->nn) >= columns.value;
}

static double tiled_cycles(const Target *t, Graph *g, const Node *n, Contraction *c) {
  Extent m = extent_of(g, n, c->m, c->nm), columns = extent_of(g, n, c->n, c->nn), k = extent_of(g, n, c->k, c->nk);
  tile_contraction(t, n, c, g, 0, 0);
  int64_t vectors = ceil_div(columns.value, t->vector_bytes / dtype_bytes(n->dtype));
  double cycles = (double)k.value / 2 * tiles_time(c->mr, c->nr, c->last_nr, m.value, vectors, false) + TILE_STARTS;
  bool rows_lie = c->a->kind == EXPR_READ && c->nm == 1 && c->nk == 1;
  if (!rows_lie) cycles += packing(g, n, c, k.value, c->a) * (double)(m.value * k.value);
  if (!lies_in_columns(g, n, c, columns))
    cycles += packing(g, n, c, k.value, c->b) * (double)(columns.value * k.value);
  return cycles;
}

static double untiled_cycles(const Target *t, Graph *g, const Node *n, const Contraction *c, KernelKind kind) {
  int64_t m = extent_of(g, n, c->m, c->nm).value, columns = extent_of(g, n, c->n, c->nn).value;
  int64_t k = extent_of(g, n, c->k, c->nk).value, lanes = t->vector_bytes / dtype_bytes(n->dtype);
  if (kind == KERNEL_column) return (double)(m * ceil_div(columns, lanes)) * (COLUMN_MULTIPLY * (double)k + 1);
  if (k <= SHORT_ROW) return (double)(m * columns * (k + 1));
  return (double)(m * columns) * (ROW_VECTOR * (double)ceil_div(k, lanes) + ROW_ENDS);
}

bool tiles_pay(const Target *t, Graph *g, const Node *n, Contraction *c, KernelKind kind) {
  bool open = extent_of(g, n, c->m, c->nm).open || extent_of(g, n, c->n, c->nn).open;
  return !open && is_simple(g, n, c) && MARGIN * tiled_cycles(t, g, n, c) < untiled_cycles(t, g, n, c, kind);
}
