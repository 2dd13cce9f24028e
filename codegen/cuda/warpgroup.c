/* warpgroup.c - sums of products of bf16 or f16 values on sm_90a: a block is a group of four warps that brings slices
 * of K to a ring of stages in shared memory, and one or two groups that multiply them, each 64 rows of the tile. Who
 * brings and who multiplies wait for each other at barriers, one for a stage that is full and one for a stage that is
 * empty again, and never all together. A stage is given back when the products after those that read it have begun:
 * so one slice's are always going on.
 *
 * Blocks stay and take one tile after the other; the ring does not notice. Roles, ring and the moment of release as
 * in CUTLASS's persistent warp-specialised kernels; tiles by the model of mma.c. */
#include "codegen/cuda/slice.h"

enum {
  GROUP = 128, /* threads */
  UNIT_M = 64,
  EDGE = 64,               /* products in the time in which one line of a tile comes */
  MOST_SHARED = 227 << 10, /* bytes that a block may have */
  BARRIERS = 1024,         /* bytes before the tiles, which begin at multiples of it */
  MOST_STAGES = 6,
  PANEL = 64 * ROW /* bytes: 64 lines, or 64 steps of K and 64 lines */
};

typedef struct Groups {
  Product *p;
  Text *t;
  Slices s;
  int multiply; /* groups that multiply */
  int stages;
  bool copied; /* some operand comes by copies */
} Groups;

bool warpgroup_takes(const Product *p) {
  DType type = product_factors(p);
  return (type == DT_bf16 || type == DT_f16) && !product_mask_uses_k(p);
}

/* ---- tiles ---- */

static double cost_of(const Product *p, int lines_m, int lines_n) {
  return product_rounds(p, lines_m, lines_n) * (lines_m * lines_n + EDGE * (lines_m + lines_n));
}

static void choose_tile(Product *p) {
  static const int sizes_m[] = {64, 128}, sizes_n[] = {64, 128, 256};
  double best = -1;
  for (int i = 0; i < 6; i++) {
    double cost = cost_of(p, sizes_m[i / 3], sizes_n[i % 3]);
    if (best >= 0 && cost >= best) continue;
    best = cost;
    p->tile_m = sizes_m[i / 3];
    p->tile_n = sizes_n[i % 3];
  }
}

static Groups groups_of(Product *p) {
  choose_tile(p);
  Groups x = {.p = p, .t = p->t, .s = slices_of(p, GROUP), .multiply = p->tile_m / UNIT_M};
  x.stages = (MOST_SHARED - BARRIERS) / ((p->tile_m + p->tile_n) * ROW);
  if (x.stages > MOST_STAGES) x.stages = MOST_STAGES;
  x.copied = slice_is_copied(&x.s.a) || slice_is_copied(&x.s.b);
  p->rows = 2, p->columns = p->tile_n / 4; /* of a thread */
  return x;
}

static const char *stage_of(Groups *x, const char *turn) { return text_printf(x->t, "(%s %% %d)", turn, x->stages); }
static const char *round_of(Groups *x, const char *turn) {
  return text_printf(x->t, "(%s / %d %% 2)", turn, x->stages);
}

/* ---- slices come ---- */

/* What was brought before the last group of copies is there, for products too. */
static void hand_over(Groups *x, int going, const char *turn) {
  if (x->copied) text_line(x->t, "nn_copies_wait(%d);", going);
  text_line(x->t, "nn_written();");
  text_line(x->t, "nn_arrive(&full[%s]);", stage_of(x, turn));
}

static void begin_slice(Groups *x, const Operand *o) {
  const char *to = text_printf(x->t, "%s_next", o->name);
  text_line(x->t, "char *%s = %s_tile + turn %% %d * %d;", to, o->name, x->stages, o->lines * ROW);
  slice_begin(&x->s, o, "slice", to);
}

static void open_tiles(Groups *x) {
  text_line(x->t, "int turn = 0;"); /* slices of all tiles */
  product_tiles(x->p);
  x->s.a.first = x->p->m0;
  x->s.b.first = x->p->n0;
}

static void bring(Groups *x) {
  Text *t = x->t;
  open_tiles(x);
  text_line(t, "NN_ROLLED");
  text_open(t, "for (int slice = 0; slice < %s; slice++, turn++)", slices_count(&x->s));
  text_line(t, "nn_wait(&empty[%s], 1 - %s);", stage_of(x, "turn"), round_of(x, "turn"));
  begin_slice(x, &x->s.a);
  begin_slice(x, &x->s.b);
  if (x->copied) text_line(t, "nn_copies_commit();");
  text_open(t, "if (turn > 0)");
  hand_over(x, 1, "(turn - 1)");
  text_close(t);
  text_close(t);
  text_close(t);
  text_open(t, "if (turn > 0)");
  hand_over(x, 0, "(turn - 1)");
  text_close(t);
}

/* ---- and are multiplied ---- */

/* The operand's tile from step of K `step` on; the part of this group, if it is the left one. */
static const char *tile_word(Groups *x, const Operand *o, const char *from) {
  bool across = o->way == ACROSS_K;
  return text_printf(x->t, "nn_tile_word(%s + step * %d, %d)", from, across ? 16 * ROW : 2 * CHUNK,
                     across ? PANEL : CHUNK);
}

static void multiply(Groups *x) {
  Text *t = x->t;
  const Operand *a = &x->s.a, *b = &x->s.b;
  text_line(t, "nn_wait(&full[%s], %s);", stage_of(x, "turn"), round_of(x, "turn"));
  text_line(t, "char *left_now = left_tile + turn %% %d * %d + (nn_thread() / %d - 1) * %d;", x->stages,
            a->lines * ROW, GROUP, PANEL);
  text_line(t, "char *right_now = right_tile + turn %% %d * %d;", x->stages, b->lines * ROW);
  text_line(t, "nn_group_begin();");
  text_line(t, "NN_UNROLL");
  text_line(t, "for (int step = 0; step < %d; step++) NN_GROUP_PRODUCTS_%d(\"%s\", \"%d\", \"%d\", sum, %s, %s);",
            STEPS, b->lines, dtype_name(x->s.type), a->way == ACROSS_K, b->way == ACROSS_K,
            tile_word(x, a, "left_now"), tile_word(x, b, "right_now"));
  text_line(t, "nn_group_commit();");
}

/* The stage before, when no more than this many slices' products go on. */
static void give_back(Groups *x, int going, const char *when) {
  text_line(x->t, "nn_group_wait(%d);", going); /* never in a branch: the assembler would wait by itself */
  text_line(x->t, "if (%s && nn_thread() %% %d == 0) nn_arrive(&empty[%s]);", when, GROUP, stage_of(x, "(turn - 1)"));
}

static void multiply_tiles(Groups *x) {
  Text *t = x->t;
  open_tiles(x);
  text_line(t, "float sum[%d];", x->p->tile_n / 2);
  static const char *const sum = "sum[c / 2 * 4 + r * 2 + c % 2]";
  product_clear(x->p, sum);
  text_line(t, "NN_ROLLED");
  text_open(t, "for (int slice = 0; slice < %s; slice++, turn++)", slices_count(&x->s));
  multiply(x);
  give_back(x, 1, "slice > 0");
  text_close(t);
  give_back(x, 0, text_printf(t, "%s > 0", slices_count(&x->s)));
  text_line(t, "NN_GROUP_SUMS_%d(sum);", x->p->tile_n);
  product_finish(
      x->p,
      text_printf(t, "(nn_thread() / %d - 1) * %d + nn_thread() %% %d / 32 * 16 + nn_thread() %% 32 / 4 + r * 8",
                  GROUP, UNIT_M, GROUP),
      "nn_thread() % 4 * 2 + c / 2 * 8 + c % 2", sum);
  text_close(t);
}

/* ---- the whole ---- */

static void begin_barriers(Groups *x) {
  Text *t = x->t;
  text_line(t, "u64 *full = (u64 *)nn_shared(), *empty = full + %d;", x->stages);
  text_open(t, "if (nn_thread() == 0)");
  text_open(t, "for (int i = 0; i < %d; i++)", x->stages);
  text_line(t, "nn_barrier(&full[i], %d);", GROUP);
  text_line(t, "nn_barrier(&empty[i], %d);", x->multiply);
  text_close(t);
  text_line(t, "nn_barriers_begin();");
  text_close(t);
  text_line(t, "nn_sync();");
}

void warpgroup_text(Product *p) {
  Text *t = p->t;
  Groups x = groups_of(p);
  int left = x.stages * p->tile_m * ROW;
  t->how.products = STEPS;
  t->how.stays = true;
  t->how.threads = GROUP * (1 + x.multiply);
  t->how.shared = BARRIERS + left + x.stages * p->tile_n * ROW;
  text_line(t, "char *left_tile = nn_shared() + %d, *right_tile = left_tile + %d;", BARRIERS, left);
  begin_barriers(&x);
  text_open(t, "if (nn_thread() < %d)", GROUP);
  if (x.multiply == 2) text_line(t, "nn_registers_fewer();");
  bring(&x);
  text_close(t);
  text_open(t, "else");
  if (x.multiply == 2) text_line(t, "nn_registers_more();");
  multiply_tiles(&x);
  text_close(t);
}
