/* flow_units.c - a stream's products on units that multiply matrices, as FlashAttention-2 has them (Dao 2023,
 * arXiv:2307.08691): each warp has 16 rows of the block's, and all columns of a tile. What it makes of them stays in
 * its registers, where sums of a product lie as rows of the next one want them: those of the columns' values take
 * their weights without a way through memory. A row's columns are four neighbouring threads'.
 *
 * The rows' operands come once, the columns' tile by tile through two stages: one is multiplied while the next tile
 * that masks leave something of is on its way. Slices come as those of a product do (slice.h).
 *
 * In tf32, where a product's sums of a thread are at columns 2 t and 2 t + 1 of each 8, and a row's fragment wants t
 * and t + 4, the columns' lines are exchanged as they are read. */
#include "codegen/cuda/flow.h"
#include "codegen/cuda/slice.h"

enum {
  WARP_ROWS = 16,
  UNIT_N = 8,
  STAGES = 2,
  MOST_LINES = 64,        /* of which fragments are in registers at a time */
  MOST_SHARED = 96 << 10, /* bytes: what every sm_80 and later has for a block */
  MOST_REGISTERS = 152,   /* of a thread, for sums and weights */
  MANY_REGISTERS = 112,   /* that leave few for what brings operands */
};

struct Units {
  DType type;
  int warps;
  int left, stage;         /* bytes of what comes once, of a stage */
  Slices *slices;          /* by member */
  int *left_at, *right_at; /* by member, bytes: in what comes once, in a stage */
};

static int unit_k(const Units *u) { return u->type == DT_f32 ? 8 : 16; }
static int round_up(int n, int of) { return (n + of - 1) / of * of; }

/* ---- tiles ---- */

/* The length of what a product made here sums over, or of a row's results. */
static int own_length(const Flow *f, int i) {
  const Product *p = &f->product[i];
  int64_t n;
  return dim_is_const(is_made_here(f, i) ? p->k.volume : p->n.volume, &n) && n < 1 << 16 ? (int)n : 0;
}

static bool can_be_made(const Flow *f, int i) {
  const Product *p = &f->product[i];
  if (!mma_takes(p) || product_factors(p) != f->units->type || own_length(f, i) == 0) return false;
  return is_made_here(f, i) || !p->mask;
}

static int slices_of_product(const Flow *f, int i) {
  const Slices *x = &f->units->slices[i];
  return is_made_here(f, i) ? (own_length(f, i) + x->steps - 1) / x->steps : f->tile_columns / x->steps;
}

/* Bytes of a slice of the columns' operand. */
static int slice_bytes(const Slices *x) {
  return x->b.way == ACROSS_K ? round_up(x->b.lines, 64) / 64 * x->steps * ROW : x->b.lines * ROW;
}

static void set_tile(Flow *f, int i) {
  Product *p = &f->product[i];
  Units *u = f->units;
  Slices *x = &u->slices[i];
  p->rows = f->rows;
  p->tile_m = f->tile_rows;
  p->tile_n = is_made_here(f, i) ? f->tile_columns : round_up(own_length(f, i), 16);
  p->columns = p->tile_n / 4;
  *x = slices_of(p, u->warps * 32);
  if (!is_made_here(f, i) && x->steps > f->tile_columns) x->steps = f->tile_columns;
  u->left_at[i] = u->left;
  u->right_at[i] = u->stage;
  u->stage += slices_of_product(f, i) * slice_bytes(x);
  if (is_made_here(f, i)) u->left += slices_of_product(f, i) * f->tile_rows * ROW;
}

/* Of a thread, for sums and weights. */
static int registers(const Flow *f) {
  int n = f->tile_columns / 2;
  for (int i = 0; i < f->k->members.n; i++)
    if (f->product[i].node) n += f->product[i].tile_n / 2;
  return n;
}

static bool try_tile(Flow *f, int warps, int columns) {
  Units *u = f->units;
  u->warps = warps;
  u->left = u->stage = 0;
  f->rows = 2;
  f->columns = columns / 4;
  f->tile_rows = warps * WARP_ROWS;
  f->tile_columns = columns;
  for (int i = 0; i < f->k->members.n; i++)
    if (f->product[i].node) set_tile(f, i);
  for (int i = 0; i < f->k->members.n; i++) u->slices[i].tight = registers(f) > MANY_REGISTERS;
  return u->left + STAGES * u->stage <= MOST_SHARED && registers(f) <= MOST_REGISTERS;
}

/* The widest that fits: wider tiles meet less often, and more rows read the columns' operands less often. */
static bool choose_tile(Flow *f) {
  for (int warps = 4; warps >= 2; warps /= 2)
    for (int columns = 64; columns >= 16; columns /= 2)
      if (try_tile(f, warps, columns)) return true;
  return false;
}

bool units_choose(Flow *f) {
  int n = f->k->members.n;
  Text *t = f->t;
  Units *u = f->units = NEW(t->arena, Units);
  *u = (Units){.type = DT_f64,
               .slices = NEW_ARRAY(t->arena, Slices, n),
               .left_at = NEW_ARRAY(t->arena, int, n),
               .right_at = NEW_ARRAY(t->arena, int, n)};
  bool can = true;
  for (int i = 0; i < n && can; i++) {
    if (!f->product[i].node) continue;
    if (u->type == DT_f64) u->type = product_factors(&f->product[i]);
    can = can_be_made(f, i);
  }
  if (!can || !choose_tile(f)) {
    f->units = NULL;
    return false;
  }
  f->row_at = "nn_thread() / 32 * 16 + nn_thread() % 32 / 4 + r * 8";
  f->free_at = "nn_thread() % 4 * 2 + c / 2 * 8 + c % 2";
  f->column_at = u->type == DT_f32 ? "nn_thread() % 4 + c / 2 * 8 + c % 2 * 4" : f->free_at;
  f->sum_at = "[c / 2][r * 2 + c % 2]";
  f->weight = "weight[c / 2][r * 2 + c % 2]";
  f->sharers = 4;
  return true;
}

void units_place(Flow *f) {
  Text *t = f->t;
  const Units *u = f->units;
  t->how.threads = u->warps * 32;
  t->how.shared = u->left + STAGES * u->stage;
  text_line(t, "char *left_tile = nn_shared(), *right_tile = nn_shared() + %d;", u->left);
}

/* ---- operands come ---- */

/* All slices of one operand of product i, from `number` on, begin to come to `to`. */
static void bring(Flow *f, int i, const Operand *o, const char *number, const char *to, int bytes) {
  Text *t = f->t;
  text_line(t, f->units->slices[i].tight ? "NN_ROLLED" : "NN_UNROLL");
  text_open(t, "for (int s = 0; s < %d; s++)", slices_of_product(f, i));
  slice_begin(&f->units->slices[i], o, number, text_printf(t, "(%s + s * %d)", to, bytes));
  text_close(t);
}

static void bring_rows(Flow *f) {
  Text *t = f->t;
  for (int i = 0; i < f->k->members.n; i++) {
    if (!is_made_here(f, i)) continue;
    Operand *a = &f->units->slices[i].a;
    a->first = f->m0;
    bring(f, i, a, "s", text_printf(t, "left_tile + %d", f->units->left_at[i]), f->tile_rows * ROW);
  }
}

/* The tile of columns that begins at `ahead`, to the stage of this turn. */
static void bring_columns(Flow *f) {
  Text *t = f->t;
  const Units *u = f->units;
  text_line(t, "char *next = right_tile + turn %% %d * %d;", STAGES, u->stage);
  for (int i = 0; i < f->k->members.n; i++) {
    if (!f->product[i].node) continue;
    Slices *x = &u->slices[i];
    bool made = is_made_here(f, i);
    x->b.first = made ? "ahead" : "0";
    bring(f, i, &x->b, made ? "s" : text_printf(t, "(ahead / %d + s)", x->steps),
          text_printf(t, "next + %d", u->right_at[i]), slice_bytes(x));
  }
}

/* ---- products ---- */

/* Step `step` of a product, of those in all slices of a tile, by left[at] and the columns' operand. */
static void multiply_step(Flow *f, int i, bool spread, const char *at) {
  Text *t = f->t;
  const Units *u = f->units;
  Slices *x = &u->slices[i];
  int of_slice = x->steps / unit_k(u), lines = f->product[i].tile_n;
  const char *tile = text_printf(t, "(now_tile + %d + step / %d * %d)", u->right_at[i], of_slice, slice_bytes(x));
  int most = x->tight ? 16 : MOST_LINES;
  for (int from = 0; from < lines; from += most) {
    int n = lines - from < most ? lines - from : most;
    text_open(t, "%s", "");
    text_line(t, "u32 right[%d][4];", n / 16);
    slice_fragments(x, &x->b, tile, text_printf(t, "%d", from), n, text_printf(t, "step %% %d", of_slice), spread);
    text_line(t, "NN_UNROLL");
    text_line(t, "for (int j = 0; j < %d; j++) %s(%s[j + %d], left[%s], right[j / 2] + j %% 2 * 2);", n / UNIT_N,
              slice_products(x), f->sum[i], from / UNIT_N, at);
    text_close(t);
  }
}

static void open_steps(Flow *f, int i, int steps) {
  Text *t = f->t;
  text_line(t, "NN_UNROLL");
  text_open(t, "for (int step = 0; step < %d; step++)", steps);
  t->how.products += steps * (f->product[i].tile_n / UNIT_N);
}

static void make_product(Flow *f, int i) {
  Text *t = f->t;
  const Units *u = f->units;
  Slices *x = &u->slices[i];
  int of_slice = x->steps / unit_k(u);
  flow_open_sum(f, i);
  open_steps(f, i, round_up(own_length(f, i), unit_k(u)) / unit_k(u));
  text_line(t, "u32 left[1][4];");
  const char *tile = text_printf(t, "(left_tile + %d + step / %d * %d)", u->left_at[i], of_slice, f->tile_rows * ROW);
  slice_fragments(x, &x->a, tile, text_printf(t, "nn_thread() / 32 * %d", WARP_ROWS), WARP_ROWS,
                  text_printf(t, "step %% %d", of_slice), false);
  multiply_step(f, i, u->type == DT_f32, "0");
  text_close(t);
}

/* Weights as they lie in the registers of sums become fragments of rows. */
static void pack_weights(Flow *f) {
  Text *t = f->t;
  const Units *u = f->units;
  text_line(t, "u32 left[%d][4];", f->tile_columns / unit_k(u));
  text_line(t, "NN_UNROLL");
  text_open(t, "for (int i = 0; i < %d; i++)", f->tile_columns / unit_k(u));
  text_line(t, "NN_UNROLL");
  if (u->type == DT_f32)
    text_line(t, "for (int w = 0; w < 4; w++) left[i][w] = nn_tf32(weight[i][w %% 2 * 2 + w / 2]);");
  else {
    text_open(t, "for (int w = 0; w < 4; w++)");
    text_line(t, "const float *pair = weight[2 * i + w / 2] + w %% 2 * 2;");
    text_line(t, "left[i][w] = nn_pair_%s(pair[0], pair[1]);", dtype_name(u->type));
    text_close(t);
  }
  text_close(t);
}

static void add_product(Flow *f, int i, bool first) {
  Text *t = f->t;
  text_open(t, "%s", "");
  text_line(t, "float weight[%d][4];", f->tile_columns / UNIT_N);
  flow_weigh(f, i, first);
  pack_weights(f);
  open_steps(f, i, f->tile_columns / unit_k(f->units));
  multiply_step(f, i, false, "step");
  text_close(t);
  text_close(t);
}

/* ---- the whole ---- */

static void use_tile(Flow *f) {
  Text *t = f->t;
  bool first = true;
  text_line(t, "char *now_tile = right_tile + (turn - 1) %% %d * %d;", STAGES, f->units->stage);
  for (int i = 0; i < f->k->members.n; i++)
    if (is_made_here(f, i)) make_product(f, i);
  flow_reduce(f);
  for (int i = 0; i < f->k->members.n; i++) {
    if (!is_over_columns(f, i)) continue;
    add_product(f, i, first);
    first = false;
  }
}

/* The tile at `ahead` comes while the one before it, at c0, is used. */
void units_run(Flow *f) {
  Text *t = f->t;
  const char *end = text_dim(t, f->column.volume);
  text_line(t, "%s ahead = -%d, %s = 0;", text_index_type(f->column.volume), f->tile_columns, f->c0);
  bring_rows(f);
  text_line(t, "NN_ROLLED");
  text_open(t, "for (int turn = 0; turn == 0 || %s < %s; turn++)", f->c0, end);
  text_open(t, "if (turn > 0)");
  text_line(t, "nn_copies_wait(0);");
  text_line(t, "nn_sync();");
  text_close(t);
  text_open(t, "for (ahead += %d; ahead < %s; ahead += %d)", f->tile_columns, end, f->tile_columns);
  flow_skip(f, "ahead");
  text_line(t, "break;");
  text_close(t);
  text_open(t, "if (ahead < %s)", end);
  bring_columns(f);
  text_close(t);
  text_line(t, "nn_copies_commit();");
  text_open(t, "if (turn > 0)");
  use_tile(f);
  text_close(t);
  text_line(t, "%s = ahead;", f->c0);
  text_close(t);
  text_line(t, "nn_copies_wait(0);");
}
