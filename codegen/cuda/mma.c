/* mma.c - sums of products on the units that multiply matrices (sm_80 and later): of factors that are bf16 or f16
 * values, whose products are exact, with sums in f32; and of f32 in tf32 where the program was compiled for it.
 *
 * A block has a tile of the result, each of its warps a part of it in registers. Slices of K of both operands come
 * through a ring of stages in shared memory, in rows of 128 bytes whose 16-byte chunks are exchanged (nn_chunk),
 * while those before are multiplied. However they come (slice.h), a convolution and an operand that fusion made are
 * products like any other. The maps after it are contraction.c's.
 *
 * Tiles are chosen by a model: products against what the tile's edges bring, as often as blocks take turns. Layout of
 * fragments: PTX ISA, mma.m16n8k16 and m16n8k8; ring and exchange of chunks as in CUTLASS (Kerr and others 2017). */
#include "codegen/cuda/slice.h"
#include "ir/gpu_tile.h"

enum { STAGES = 3, UNIT_M = 16, UNIT_N = 8 };

typedef struct Share { /* of a tile's lines: a warp's */
  int warps, lines;
} Share;

typedef struct Mma {
  Product *p;
  Text *t;
  Slices s;
  Share a, b;
} Mma;

bool mma_takes(const Product *p) { return product_factors(p) != DT_f64 && !product_mask_uses_k(p); }

/* ---- tiles ---- */

static Mma mma_of(Product *p) {
  static const int lines[] = {64, 128, 0};
  product_choose_tile(p, lines, lines, GPU_EDGE);
  bool large = p->tile_m == 128 && p->tile_n == 128;
  Mma x = {.p = p, .t = p->t, .s = slices_of(p, large ? 256 : 128), .a = {2, p->tile_m / 2}};
  x.b.warps = large ? 4 : 2;
  x.b.lines = p->tile_n / x.b.warps;
  p->rows = x.a.lines / 8, p->columns = x.b.lines / 4; /* of a thread: two of 16 rows, two of 8 columns */
  return x;
}

/* ---- products ---- */

static void load_fragments(Mma *x, const Operand *o, const Share *part) {
  Text *t = x->t;
  slice_fragments(&x->s, o, text_printf(t, "%s_now", o->name), text_printf(t, "warp_%s * %d", o->name, part->lines),
                  part->lines, "step", false);
}

static void multiply(Mma *x) {
  Text *t = x->t;
  int64_t k;
  int unit = x->s.steps / STEPS, steps = STEPS;
  if (dim_is_const(x->p->k.volume, &k) && k < x->s.steps) steps = (int)((k + unit - 1) / unit);
  text_line(t, "const int now = ahead - %d;", STAGES - 1);
  text_line(t, "char *left_now = left_tile + now %% %d * %d, *right_now = right_tile + now %% %d * %d;", STAGES,
            x->s.a.lines * ROW, STAGES, x->s.b.lines * ROW);
  text_line(t, "NN_UNROLL");
  text_open(t, "for (int step = 0; step < %d; step++)", steps);
  text_line(t, "u32 left[%d][4], right[%d][4];", x->a.lines / 16, x->b.lines / 16);
  load_fragments(x, &x->s.a, &x->a);
  load_fragments(x, &x->s.b, &x->b);
  text_line(t, "NN_UNROLL");
  text_open(t, "for (int i = 0; i < %d; i++)", x->a.lines / UNIT_M);
  text_line(t, "NN_UNROLL");
  text_line(t, "for (int j = 0; j < %d; j++) %s(sum[i][j], left[i], right[j / 2] + j %% 2 * 2);", x->b.lines / UNIT_N,
            slice_products(&x->s));
  text_close(t);
  text_close(t);
  t->how.products = steps * (x->a.lines / UNIT_M) * (x->b.lines / UNIT_N);
}

static void begin_slice(Mma *x, const Operand *o) {
  const char *to = text_printf(x->t, "%s_next", o->name);
  text_line(x->t, "char *%s = %s_tile + ahead %% %d * %d;", to, o->name, STAGES, o->lines * ROW);
  slice_begin(&x->s, o, "ahead", to);
}

/* Slice `ahead` begins to come while the one of STAGES - 1 before it is multiplied. */
static void run_through_k(Mma *x) {
  Text *t = x->t;
  const char *slices = slices_count(&x->s);
  bool copied = slice_is_copied(&x->s.a) || slice_is_copied(&x->s.b);
  text_line(t, "NN_ROLLED");
  text_open(t, "for (int ahead = 0; ahead < %s + %d; ahead++)", slices, STAGES - 1);
  text_open(t, "if (ahead >= %d)", STAGES - 1);
  if (copied) text_line(t, "nn_copies_wait(%d);", STAGES - 2);
  text_line(t, "nn_sync();");
  text_close(t);
  text_open(t, "if (ahead < %s)", slices);
  begin_slice(x, &x->s.a);
  begin_slice(x, &x->s.b);
  text_close(t);
  if (copied) text_line(t, "nn_copies_commit();");
  text_open(t, "if (ahead >= %d)", STAGES - 1);
  multiply(x);
  text_close(t);
  text_close(t);
  text_line(t, "nn_sync();"); /* the next tile's first slices go where the last ones are */
}

/* ---- the whole ---- */

void mma_text(Product *p) {
  Text *t = p->t;
  Mma x = mma_of(p);
  int left = STAGES * p->tile_m * ROW;
  t->how.threads = x.s.threads;
  t->how.shared = left + STAGES * p->tile_n * ROW;
  text_line(t, "char *left_tile = nn_shared(), *right_tile = nn_shared() + %d;", left);
  text_line(t, "const int warp_left = nn_thread() / 32 / %d, warp_right = nn_thread() / 32 %% %d;", x.b.warps,
            x.b.warps);
  product_tiles(p);
  x.s.a.first = p->m0;
  x.s.b.first = p->n0;
  text_line(t, "float sum[%d][%d][4];", x.a.lines / UNIT_M, x.b.lines / UNIT_N);
  static const char *const sum = "sum[r / 2][c / 2][r % 2 * 2 + c % 2]";
  product_clear(p, sum);
  run_through_k(&x);
  Stage stage = product_stage(p, p->tile_m, t->how.shared, "nn_shared()");
  product_finish(p, &stage, text_printf(t, "warp_left * %d + nn_thread() %% 32 / 4 + r * 8", x.a.lines),
                 text_printf(t, "warp_right * %d + nn_thread() %% 4 * 2 + c / 2 * 8 + c %% 2", x.b.lines), sum);
  text_close(t);
}
