/* mma.c - sums of products on the units that multiply matrices (sm_80 and later): of factors that are bf16 or f16
 * values, whose products are exact, with sums in f32; and of f32 in tf32 where the program was compiled for it.
 *
 * A block has a tile of the result, each of its warps a part of it in registers. Slices of K of both operands come
 * through a ring of stages in shared memory, in rows of 128 bytes whose 16-byte chunks are exchanged (nn_chunk): each
 * operand by the widest way that its map allows, copies of 16 bytes along K or across it, copies of a word, or values
 * computed by the threads. So a convolution and an operand that fusion made are products like any other. The maps
 * after it are applied in registers.
 *
 * Tiles are chosen by a model: products against what the tile's edges bring, as often as blocks take turns. Layout of
 * fragments: PTX ISA, mma.m16n8k16 and m16n8k8; ring and exchange of chunks as in CUTLASS (Kerr and others 2017). */
#include "codegen/cuda/product.h"

#include "ir/cost.h"

enum {
  ROW = 128 /* bytes */,
  CHUNK = 16,
  WORD = 4,
  STEPS = ROW / (2 * CHUNK), /* a unit takes two chunks at a time */
  EDGE = 32,                 /* products in the time in which one line of a tile comes */
  UNIT_M = 16,
  UNIT_N = 8
};

typedef enum Way { BY_VALUE, BY_WORD, ALONG_K, ACROSS_K } Way;

typedef struct Operand {
  Expr *value;
  const Slots *line;
  const char *name, *first; /* line of the tile's beginning */
  int lines, part, warps;   /* lines of a tile, of a warp; warps along them */
  Way way;
  bool lines_first; /* neighbouring threads take neighbouring lines */
} Operand;

typedef struct Mma {
  Product *p;
  Text *t;
  DType type; /* of the factors; f32: tf32 */
  int slice;  /* elements of K in a row */
  int threads, stages;
  Operand a, b;
} Mma;

/* ---- which products ---- */

static bool is_value_of(const Expr *x, DType type) {
  if (x->dtype == type) return true;
  if (x->kind == EXPR_CONST) return x->real == 0;
  if (x->kind != EXPR_OP) return false;
  if (x->op == OP_cast) return dtype_is_float(x->arg[0]->dtype) && is_value_of(x->arg[0], type);
  return x->op == OP_select && is_value_of(x->arg[1], type) && is_value_of(x->arg[2], type);
}

/* What both factors are values of; f64: nothing that a unit takes. */
static DType type_of_factors(const Product *p) {
  static const DType narrow[] = {DT_bf16, DT_f16};
  if (type_of_sums(p->node->body->dtype) != DT_f32) return DT_f64;
  for (int i = 0; i < 2; i++)
    if (is_value_of(p->a, narrow[i]) && is_value_of(p->b, narrow[i])) return narrow[i];
  return p->t->s->tf32 && p->node->body->dtype == DT_f32 ? DT_f32 : DT_f64;
}

bool mma_takes(const Product *p) { return type_of_factors(p) != DT_f64 && !product_mask_uses_k(p); }

/* ---- tiles ---- */

static double rounded_up(double x, double to) { return (double)(int64_t)((x + to - 1) / to); }

static double cost_of(const Product *p, int lines_m, int lines_n) {
  double m = (double)dim_nominal(p->m.volume), n = (double)dim_nominal(p->n.volume);
  double tiles = rounded_up(m, lines_m) * rounded_up(n, lines_n) * (double)dim_nominal(p->batch.volume);
  return rounded_up(tiles, PROCESSORS) * (lines_m * lines_n + EDGE * (lines_m + lines_n));
}

static void choose_tile(Mma *x) {
  static const int sizes[] = {64, 128};
  Product *p = x->p;
  double best = -1;
  for (int i = 0; i < 4; i++) {
    double cost = cost_of(p, sizes[i / 2], sizes[i % 2]);
    if (best >= 0 && cost >= best) continue;
    best = cost;
    p->tile_m = sizes[i / 2];
    p->tile_n = sizes[i % 2];
  }
  bool large = p->tile_m == 128 && p->tile_n == 128;
  x->threads = large ? 256 : 128;
  x->stages = 3;
  x->a.lines = p->tile_m, x->b.lines = p->tile_n;
  x->a.warps = 2, x->b.warps = large ? 4 : 2;
  x->a.part = x->a.lines / x->a.warps, x->b.part = x->b.lines / x->b.warps;
  p->rows = x->a.part / 8, p->columns = x->b.part / 4; /* of a thread: two of 16 rows, two of 8 columns */
}

/* ---- ways of operands ---- */

static bool is_copied(const Operand *o) { return o->way != BY_VALUE; }

static Var *last_of(const Slots *s) { return s->n ? s->var[s->n - 1] : NULL; }

static bool runs(const Mma *x, const Expr *value, const Slots *s, int width) {
  return s->n && text_runs(x->t, value, last_of(s), width);
}

static void choose_way(Mma *x, Operand *o) {
  const Expr *read = text_plain_read(o->value);
  int width = CHUNK / dtype_bytes(x->type);
  o->way = BY_VALUE;
  o->lines_first = read && runs(x, o->value, o->line, 1);
  if (!read || read->dtype != x->type) return;
  if (runs(x, o->value, &x->p->k, width)) o->way = ALONG_K;
  else if (x->type == DT_f32) o->way = BY_WORD; /* units transpose elements of two bytes alone */
  else if (runs(x, o->value, o->line, width)) o->way = ACROSS_K;
}

/* ---- slices into stages ---- */

typedef struct Item { /* what a thread brings at once */
  const char *l, *k, *place;
} Item;

/* What a thread brings of a slice, one after the other: closed by text_close. */
static Item each_item(Mma *x, const Operand *o) {
  Text *t = x->t;
  int width = (o->way == ALONG_K || o->way == ACROSS_K ? CHUNK : WORD) / dtype_bytes(x->type);
  int rows = o->way == ACROSS_K ? x->slice : o->lines, of_row = (o->way == ACROSS_K ? o->lines : x->slice) / width;
  const char *l = text_name(t, 'x'), *k = text_name(t, 'x');
  text_line(t, o->way == ALONG_K || o->way == ACROSS_K ? "NN_UNROLL" : "NN_UNROLL_4"); /* or registers run short */
  text_open(t, "for (int u = 0; u < %d; u++)", rows * of_row / x->threads);
  text_line(t, "const int item = nn_thread() + u * %d;", x->threads);
  if (o->lines_first && o->way != ACROSS_K) text_line(t, "const int row = item %% %d, part = item / %d;", rows, rows);
  else text_line(t, "const int row = item / %d, part = item %% %d;", of_row, of_row);
  const char *row = "row", *part = text_printf(t, "part * %d", width);
  text_line(t, "const %s %s = %s + %s;", text_index_type(o->line->volume), l, o->first,
            o->way == ACROSS_K ? part : row);
  const char *type = text_index_type(x->p->k.volume);
  text_line(t, "const %s %s = (%s)ahead * %d + %s;", type, k, type, x->slice, o->way == ACROSS_K ? row : part);
  if (o->way == ACROSS_K)
    return (Item){l, k, text_printf(t, "nn_chunk(%s_next, part / 8 * %d + row, part %% 8)", o->name, x->slice)};
  if (o->way == ALONG_K) return (Item){l, k, text_printf(t, "nn_chunk(%s_next, row, part)", o->name)};
  return (Item){l, k, text_printf(t, "(nn_chunk(%s_next, row, part / 4) + part %% 4 * 4)", o->name)};
}

/* Where line l and step k of K are inside the operand: closed by text_close. */
static void inside(Mma *x, const Operand *o, const char *l, const char *k) {
  Text *t = x->t;
  text_open(t, "if (%s < %s && %s < %s)", l, text_dim(t, o->line->volume), k, text_dim(t, x->p->k.volume));
  text_positions(t, l, o->line->n, o->line->var, o->line->extent);
  text_positions(t, k, x->p->k.n, x->p->k.var, x->p->k.extent);
}

static void copy_items(Mma *x, const Operand *o) {
  Text *t = x->t;
  const char *when;
  Item i = each_item(x, o);
  text_line(t, "const void *from = %s;", text_buffer_of(t, o->value)); /* not asked, but it has to be one */
  text_line(t, "bool there = false;");
  inside(x, o, i.l, i.k);
  const char *address = text_address(t, o->value, &when);
  if (when) text_line(t, "if (%s) from = %s;", when, address);
  else text_line(t, "from = %s;", address);
  text_line(t, "there = %s;", when ? when : "true");
  text_close(t);
  int bytes = o->way == BY_WORD ? WORD : CHUNK;
  text_line(t, "nn_copy_%d(%s, from, there ? %d : 0);", bytes, i.place, bytes);
  text_close(t);
}

static const char *value_at(Mma *x, const Operand *o, const char *l, const char *k, int e) {
  Text *t = x->t;
  const char *v = text_name(t, 'v'), *at = text_name(t, 'x');
  text_line(t, "float %s = 0;", v);
  text_line(t, "const %s %s = %s + %d;", text_index_type(x->p->k.volume), at, k, e);
  inside(x, o, l, at);
  text_line(t, "%s = (float)%s;", v, text_expr(t, o->value));
  text_close(t);
  return v;
}

static void put_values(Mma *x, const Operand *o) {
  Text *t = x->t;
  Item i = each_item(x, o);
  const char *v = value_at(x, o, i.l, i.k, 0);
  if (x->type == DT_f32) v = text_printf(t, "nn_bits_f32(%s)", v);
  else v = text_printf(t, "nn_pair_%s(%s, %s)", dtype_name(x->type), v, value_at(x, o, i.l, i.k, 1));
  text_line(t, "*(u32 *)%s = %s;", i.place, v);
  text_close(t);
}

static void begin_slice(Mma *x, const Operand *o) {
  text_line(x->t, "char *%s_next = %s_tile + ahead %% %d * %d;", o->name, o->name, x->stages, o->lines * ROW);
  if (is_copied(o)) copy_items(x, o);
  else put_values(x, o);
}

/* ---- products ---- */

/* Fragment i of a warp: of a, 16 lines; of b, two of 8 lines. */
static void load_fragments(Mma *x, const Operand *o) {
  Text *t = x->t;
  bool left = o == &x->a;
  const char *low = "nn_thread() % 8", *middle = "nn_thread() / 8 % 2", *high = "nn_thread() % 32 / 16";
  const char *of_line = left ? middle : high, *of_k = left ? high : middle, *to = "[i]";
  text_line(t, "NN_UNROLL");
  text_open(t, "for (int i = 0; i < %d; i++)", o->part / 16);
  const char *line = text_printf(t, "warp_%s * %d + i * 16 + %s * 8", o->name, o->part, of_line);
  if (o->way == ACROSS_K) {
    text_line(t, "const int line = %s;", line);
    text_line(
        t, "nn_matrices_transposed(%s%s, nn_chunk(%s_now, line / 64 * %d + step * 16 + %s * 8 + %s, line / 8 %% 8));",
        o->name, to, o->name, x->slice, of_k, low);
  } else
    text_line(t, "nn_matrices(%s%s, nn_chunk(%s_now, %s + %s, step * 2 + %s));", o->name, to, o->name, line, low,
              of_k);
  if (x->type == DT_f32) {
    text_line(t, "NN_UNROLL");
    text_line(t, "for (int w = 0; w < 4; w++) %s[i][w] = nn_tf32(nn_float_of(%s[i][w]));", o->name, o->name);
  }
  text_close(t);
}

static void multiply(Mma *x) {
  Text *t = x->t;
  int64_t k;
  int unit = x->slice / STEPS, steps = STEPS;
  if (dim_is_const(x->p->k.volume, &k) && k < x->slice) steps = (int)((k + unit - 1) / unit);
  text_line(t, "const int now = ahead - %d;", x->stages - 1);
  text_line(t, "char *left_now = left_tile + now %% %d * %d, *right_now = right_tile + now %% %d * %d;", x->stages,
            x->a.lines * ROW, x->stages, x->b.lines * ROW);
  text_line(t, "NN_UNROLL");
  text_open(t, "for (int step = 0; step < %d; step++)", steps);
  text_line(t, "u32 left[%d][4], right[%d][4];", x->a.part / 16, x->b.part / 16);
  load_fragments(x, &x->a);
  load_fragments(x, &x->b);
  text_line(t, "NN_UNROLL");
  text_open(t, "for (int i = 0; i < %d; i++)", x->a.part / UNIT_M);
  text_line(t, "NN_UNROLL");
  text_line(t, "for (int j = 0; j < %d; j++) nn_products_%s(sum[i][j], left[i], right[j / 2] + j %% 2 * 2);",
            x->b.part / UNIT_N, x->type == DT_f32 ? "tf32" : dtype_name(x->type));
  text_close(t);
  text_close(t);
}

/* Slice `ahead` begins to come while the one of stages - 1 before it is multiplied. */
static void run_through_k(Mma *x) {
  Text *t = x->t;
  const char *slices = text_dim(t, dim_ceil_div(t->ir, x->p->k.volume, x->slice));
  bool copied = is_copied(&x->a) || is_copied(&x->b);
  text_open(t, "for (int ahead = 0; ahead < %s + %d; ahead++)", slices, x->stages - 1);
  text_open(t, "if (ahead >= %d)", x->stages - 1);
  if (copied) text_line(t, "nn_copies_wait(%d);", x->stages - 2);
  text_line(t, "nn_sync();");
  text_close(t);
  text_open(t, "if (ahead < %s)", slices);
  begin_slice(x, &x->a);
  begin_slice(x, &x->b);
  text_close(t);
  if (copied) text_line(t, "nn_copies_commit();");
  text_open(t, "if (ahead >= %d)", x->stages - 1);
  multiply(x);
  text_close(t);
  text_close(t);
  text_line(t, "nn_sync();"); /* the next tile's first slices go where the last ones are */
}

/* ---- the whole ---- */

void mma_text(Product *p) {
  Text *t = p->t;
  Mma x = {.p = p, .t = t, .type = type_of_factors(p)};
  x.slice = ROW
  / dtype_bytes(x.type);
  x.a = (Operand){.value = p->a, .line = &p->m, .name = "left"};
  x.b = (Operand){.value = p->b, .line = &p->n, .name = "right"};
  choose_tile(&x);
  choose_way(&x, &x.a);
  choose_way(&x, &x.b);
  int left = x.stages * x.a.lines * ROW;
  t->how.threads = x.threads;
  t->how.shared = left + x.stages * x.b.lines * ROW;
  text_line(t, "char *left_tile = nn_shared(), *right_tile = nn_shared() + %d;", left);
  text_line(t, "const int warp_left = nn_thread() / 32 / %d, warp_right = nn_thread() / 32 %% %d;", x.b.warps,
            x.b.warps);
  product_tiles(p);
  x.a.first = p->m0;
  x.b.first = p->n0;
  text_line(t, "float sum[%d][%d][4];", x.a.part / UNIT_M, x.b.part / UNIT_N);
  static const char *const sum = "sum[r / 2][c / 2][r % 2 * 2 + c % 2]";
  product_clear(p, sum);
  run_through_k(&x);
  product_finish(p, text_printf(t, "warp_left * %d + nn_thread() %% 32 / 4 + r * 8", x.a.part),
                 text_printf(t, "warp_right * %d + nn_thread() %% 4 * 2 + c / 2 * 8 + c %% 2", x.b.part), sum);
  text_close(t);
}
