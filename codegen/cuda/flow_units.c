/* flow_units.c - a stream's products on units that multiply matrices, as FlashAttention-2 has them (Dao 2023,
 * arXiv:2307.08691): each warp has 16 rows of the block's, and all columns of a tile. What it makes of them stays in
 * its registers, where sums of a product lie as rows of the next one want them: those of the columns' values take
 * their weights without a way through memory. A row's columns are four neighbouring threads'.
 *
 * The rows' operands come once, the columns' tile by tile through two stages: one is multiplied while the next tile
 * that masks leave something of is on its way. Slices come as those of a product do (slice.h).
 *
 * On sm_90a the four warps multiply as a group (warpgroup.h), from tiles in shared memory, which lie as they do for
 * one warp; sums and weights are in the same registers.
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
  MOST_OF_GROUP = 176,    /* which has no fragments in registers */
  MANY_REGISTERS = 112,   /* that leave few for what brings operands */
};

struct Units {
  DType type;
  bool groups; /* of four warps multiply together */
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

/* Bytes of a slice of an operand. */
static int slice_bytes(const Slices *x, const Operand *o) {
  return o->way == ACROSS_K ? round_up(o->lines, 64) / 64 * x->steps * ROW : o->lines * ROW;
}

/* Groups of warps have products of so many columns. */
static int result_lines(const Units *u, int n) {
  int lines = 16;
  while (u->groups && lines < n) lines *= 2;
  return u->groups ? lines : round_up(n, 16);
}

static void set_tile(Flow *f, int i) {
  Product *p = &f->product[i];
  Units *u = f->units;
  Slices *x = &u->slices[i];
  p->rows = f->rows;
  p->tile_m = f->tile_rows;
  p->tile_n = is_made_here(f, i) ? f->tile_columns : result_lines(u, own_length(f, i));
  p->columns = p->tile_n / 4;
  *x = slices_of(p, u->warps * 32);
  if (!is_made_here(f, i) && x->steps > f->tile_columns) x->steps = f->tile_columns;
  u->left_at[i] = u->left;
  u->right_at[i] = u->stage;
  u->stage += slices_of_product(f, i) * slice_bytes(x, &x->b);
  if (is_made_here(f, i)) u->left += slices_of_product(f, i) * slice_bytes(x, &x->a);
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
  int most = u->groups ? MOST_OF_GROUP : MOST_REGISTERS;
  return u->left + STAGES * u->stage <= MOST_SHARED && registers(f) <= most;
}

/* The widest that fits: wider tiles meet less often, and more rows read the columns' operands less often. */
static bool choose_tile(Flow *f, bool groups) {
  f->units->groups = groups;
  if (groups && f->units->type == DT_f32) return false; /* whose tiles they take along K alone */
  for (int warps = 4; warps >= (groups ? 4 : 2); warps /= 2)
    for (int columns = 64; columns >= 16; columns /= 2)
      if (try_tile(f, warps, columns)) return true;
  return false;
}

static bool all_can_be_made(Flow *f) {
  Units *u = f->units;
  for (int i = 0; i < f->k->members.n; i++) {
    if (!f->product[i].node) continue;
    if (u->type == DT_f64) u->type = product_factors(&f->product[i]);
    if (!can_be_made(f, i)) return false;
  }
  return true;
}

bool units_choose(Flow *f) {
  int n = f->k->members.n;
  Text *t = f->t;
  Units *u = f->units = NEW(t->arena, Units);
  *u = (Units){.type = DT_f64,
               .slices = NEW_ARRAY(t->arena, Slices, n),
               .left_at = NEW_ARRAY(t->arena, int, n),
               .right_at = NEW_ARRAY(t->arena, int, n)};
  bool can = all_can_be_made(f);
  t->how.has_90a = can && choose_tile(f, true);
  if (!can || !choose_tile(f, t->on_90a)) {
    f->units = NULL;
    return false;
  }
  f->row_at = "nn_thread() / 32 * 16 + nn_thread() % 32 / 4 + r * 8";
  f->free_at = "nn_thread() % 4 * 2 + c / 2 * 8 + c % 2";
  f->column_at = u->type == DT_f32 ? "nn_thread() % 4 + c / 2 * 8 + c % 2 * 4" : f->free_at;
  f->sum_at = "[c / 2 * 4 + r * 2 + c % 2]";
  f->weight = "weight[c / 2 * 4 + r * 2 + c % 2]";
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
static void bring(Flow *f, int i, const Operand *o, const char *number, const char *to) {
  Text *t = f->t;
  const Slices *x = &f->units->slices[i];
  text_line(t, x->tight ? "NN_ROLLED" : "NN_UNROLL");
  text_open(t, "for (int s = 0; s < %d; s++)", slices_of_product(f, i));
  slice_begin(x, o, number, text_printf(t, "(%s + s * %d)", to, slice_bytes(x, o)));
  text_close(t);
}

static void bring_rows(Flow *f) {
  Text *t = f->t;
  for (int i = 0; i < f->k->members.n; i++) {
    if (!is_made_here(f, i)) continue;
    Operand *a = &f->units->slices[i].a;
    a->first = f->m0;
    bring(f, i, a, "s", text_printf(t, "left_tile + %d", f->units->left_at[i]));
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
          text_printf(t, "next + %d", u->right_at[i]));
  }
}

/* ---- products of a warp ---- */

static int steps_of_slice(const Flow *f, int i) { return f->units->slices[i].steps / unit_k(f->units); }

/* Where the slice of step `step` begins. */
static const char *slice_at(Flow *f, int i, bool left) {
  const Units *u = f->units;
  const Slices *x = &u->slices[i];
  const char *tile = left ? "left_tile" : "now_tile";
  return text_printf(f->t, "(%s + %d + step / %d * %d)", tile, (left ? u->left_at : u->right_at)[i],
                     steps_of_slice(f, i), slice_bytes(x, left ? &x->a : &x->b));
}

static const char *step_at(Flow *f, int i) { return text_printf(f->t, "step %% %d", steps_of_slice(f, i)); }

/* Step `step` of a product, of those in all slices of a tile, by left[at] and the columns' operand. */
static void multiply_step(Flow *f, int i, bool spread, const char *at) {
  Text *t = f->t;
  Slices *x = &f->units->slices[i];
  int lines = f->product[i].tile_n, most = x->tight ? 16 : MOST_LINES;
  for (int from = 0; from < lines; from += most) {
    int n = lines - from < most ? lines - from : most;
    text_open(t, "%s", "");
    text_line(t, "u32 right[%d][4];", n / 16);
    slice_fragments(x, &x->b, slice_at(f, i, false), text_printf(t, "%d", from), n, step_at(f, i), spread);
    text_line(t, "NN_UNROLL");
    text_line(t, "for (int j = 0; j < %d; j++) %s(%s + (j + %d) * 4, left[%s], right[j / 2] + j %% 2 * 2);",
              n / UNIT_N, slice_products(x), f->sum[i], from / UNIT_N, at);
    text_close(t);
  }
}

static int steps_of(const Flow *f, int i) {
  int n = is_made_here(f, i) ? own_length(f, i) : f->tile_columns, unit = unit_k(f->units);
  return (n + unit - 1) / unit;
}

static void open_steps(Flow *f, int i) {
  text_line(f->t, "NN_UNROLL");
  text_open(f->t, "for (int step = 0; step < %d; step++)", steps_of(f, i));
  f->t->how.products += steps_of(f, i) * (f->product[i].tile_n / UNIT_N);
}

static void make_product(Flow *f, int i) {
  Text *t = f->t;
  const Units *u = f->units;
  const Slices *x = &u->slices[i];
  open_steps(f, i);
  text_line(t, "u32 left[1][4];");
  slice_fragments(x, &x->a, slice_at(f, i, true), text_printf(t, "nn_thread() / 32 * %d", WARP_ROWS), WARP_ROWS,
                  step_at(f, i), false);
  multiply_step(f, i, u->type == DT_f32, "0");
  text_close(t);
}

static void add_product(Flow *f, int i) {
  open_steps(f, i);
  multiply_step(f, i, false, "step");
  text_close(f->t);
}

/* ---- products of a group of warps ---- */

static const char *tile_word(Flow *f, int i, bool left) {
  const Slices *x = &f->units->slices[i];
  bool across = (left ? &x->a : &x->b)->way == ACROSS_K;
  return text_printf(f->t, "nn_tile_word(%s + %s * %d, %d)", slice_at(f, i, left), step_at(f, i),
                     across ? 16 * ROW : 2 * CHUNK, across ? x->steps * ROW : CHUNK);
}

static void begin_group_products(Flow *f, int i) {
  const Slices *x = &f->units->slices[i];
  text_line(f->t, "NN_UNROLL");
  text_line(f->t, "for (int step = 0; step < %d; step++) NN_GROUP_PRODUCTS_%d(\"%s\", \"%d\", \"%d\", %s, %s, %s);",
            steps_of(f, i), f->product[i].tile_n, dtype_name(x->type), x->a.way == ACROSS_K, x->b.way == ACROSS_K,
            f->sum[i], tile_word(f, i, true), tile_word(f, i, false));
  f->t->how.products += steps_of(f, i);
}

static void begin_group_sums(Flow *f, int i) {
  const Slices *x = &f->units->slices[i];
  text_line(f->t, "NN_UNROLL");
  text_line(f->t, "for (int step = 0; step < %d; step++) NN_GROUP_WEIGHTED_%d(\"%s\", \"%d\", %s, left[step], %s);",
            steps_of(f, i), f->product[i].tile_n, dtype_name(x->type), x->b.way == ACROSS_K, f->sum[i],
            tile_word(f, i, false));
  f->t->how.products += steps_of(f, i);
}

/* The sums of all products made here, or of the one with the columns' values, are read or written here. */
static void settle_sums(Flow *f, int only) {
  for (int i = 0; i < f->k->members.n; i++)
    if (only >= 0 ? i == only : is_made_here(f, i))
      text_line(f->t, "NN_GROUP_SUMS_%d(%s);", f->product[i].tile_n, f->sum[i]);
}

static void open_group_products(Flow *f, int only) {
  settle_sums(f, only); /* or the assembler would have to let products wait for what is written later */
  text_line(f->t, "nn_group_begin();");
}

static void close_group_products(Flow *f, int only) {
  text_line(f->t, "nn_group_commit();");
  text_line(f->t, "nn_group_wait(0);");
  settle_sums(f, only);
}

/* ---- of either ---- */

static void make_products(Flow *f) {
  for (int i = 0; i < f->k->members.n; i++)
    if (is_made_here(f, i)) flow_open_sum(f, i);
  if (f->units->groups) open_group_products(f, -1);
  for (int i = 0; i < f->k->members.n; i++)
    if (is_made_here(f, i)) (f->units->groups ? begin_group_products : make_product)(f, i);
  if (f->units->groups) close_group_products(f, -1);
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
    text_line(t, "for (int w = 0; w < 4; w++) left[i][w] = nn_tf32(weight[i * 4 + w %% 2 * 2 + w / 2]);");
  else
    text_line(
        t, "for (int w = 0; w < 4; w++) left[i][w] = nn_pair_%s(weight[i * 8 + w * 2], weight[i * 8 + w * 2 + 1]);",
        dtype_name(u->type));
  text_close(t);
}

static void use_weights(Flow *f, int i, bool first) {
  Text *t = f->t;
  text_open(t, "%s", "");
  text_line(t, "float weight[%d];", f->tile_columns / 2);
  flow_weigh(f, i, first);
  pack_weights(f);
  if (f->units->groups) {
    open_group_products(f, i);
    begin_group_sums(f, i);
    close_group_products(f, i);
  } else add_product(f, i);
  text_close(t);
}

/* ---- the whole ---- */

static void use_tile(Flow *f) {
  Text *t = f->t;
  bool first = true;
  text_line(t, "char *now_tile = right_tile + (turn - 1) %% %d * %d;", STAGES, f->units->stage);
  make_products(f);
  flow_reduce(f);
  for (int i = 0; i < f->k->members.n; i++) {
    if (!is_over_columns(f, i)) continue;
    use_weights(f, i, first);
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
  if (f->units->groups) text_line(t, "nn_written();");
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
