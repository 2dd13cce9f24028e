/* split_test.c - what classifier, split and assembly make of convolutions, poolings and their kin: the contractions'
 * M, N, K and batch, products visited against products that exist, and that parts are not copied together. */
#include "ir/cost.h"
#include "tests/unit/ir/scheduled.h"

#include <stdio.h>
#include <string.h>

/* ---- convolutions ---- */

typedef struct Conv {
  int channels, out, groups, size, kernel, stride, pad, dilation;
} Conv;

static int conv_size(const Conv *c) {
  return (c->size + 2 * c->pad - (c->kernel - 1) * c->dilation - 1) / c->stride + 1;
}

/* x (B, channels, size, size) by w (out, channels/groups, kernel, kernel), and the gradient of sum(g*y) by x or w. */
static const char *conv_text(const Conv *c, const char *of) {
  int o = conv_size(c), cg = c->channels / c->groups, og = c->out / c->groups;
  const char *at[2];
  for (int d = 0; d < 2; d++)
    at[d] = arena_printf(a, "%d*i%d + %d*r%d - %d", c->stride, d + 2, c->dilation, d + 1, c->pad);
  const char *channel = c->groups > 1 ? arena_printf(a, "%d*(i1 // %d) + r0", cg, og) : "r0";
  const char *text = arena_printf(
      a,
      "dim B >= 0 batch\n%%0 = input x : f32[B, %d, %d, %d]\n%%1 = param w : f32[%d, %d, %d, %d]\n"
      "%%2 = comp f32[B, %d, %d, %d] [i0, i1, i2, i3] sum(r0 < %d, r1 < %d, r2 < %d: mul(select(and(and(ge0(%s), "
      "ge0(%d - (%s))), and(ge0(%s), ge0(%d - (%s)))), %%0[i0, %s, %s, %s], 0), %%1[i1, r0, r1, r2]))\n",
      c->channels, c->size, c->size, c->out, cg, c->kernel, c->kernel, c->out, o, o, cg, c->kernel, c->kernel, at[0],
      c->size - 1, at[0], at[1], c->size - 1, at[1], channel, at[0], at[1]);
  if (!strcmp(of, "y")) return arena_printf(a, "%soutput y = %%2\n", text);
  return arena_printf(
      a,
      "%s%%3 = input g : f32[B, %d, %d, %d]\n"
      "%%4 = comp f32[] [] sum(r0 < B, r1 < %d, r2 < %d, r3 < %d: mul(%%2[r0, r1, r2, r3], %%3[r0, r1, r2, "
      "r3]))\n%%5 = grad %%4 by %s\noutput d = %%5\n",
      text, c->out, o, o, c->out, o, o, !strcmp(of, "x") ? "%0" : "%1");
}

/* Of one dimension: the pairs of an output and a tap that meet an element of x. */
static double useful_pairs(const Conv *c) {
  double n = 0;
  for (int i = 0; i < conv_size(c); i++)
    for (int u = 0; u < c->kernel; u++) {
      int at = i * c->stride + u * c->dilation - c->pad;
      n += at >= 0 && at < c->size;
    }
  return n;
}

/* Of one dimension: the taps that each element's residue has, the outermost elements' absent ones too. */
static double class_pairs(const Conv *c) {
  double n = 0;
  for (int at = 0; at < c->size; at++)
    for (int u = 0; u < c->kernel; u++) n += (at + c->pad - u * c->dilation) % c->stride == 0;
  return n;
}

static double visited_points(const Schedule *s) {
  double n = 0;
  for (int i = 0; i < s->kernels.n; i++)
    for (int m = 0; m < s->kernels.at[i]->members.n; m++)
      if (s->kernels.at[i]->members.at[m].node->nred) n += node_point_count(s->kernels.at[i]->members.at[m].node);
  return n;
}

/* Products of a batch with so many pairs in each dimension. */
static double products(const Conv *c, double pairs) {
  return 64.0 * c->channels * c->out / c->groups * pairs * pairs;
}

static bool divides(const Form *f) {
  for (int i = 0; i < f->n; i++)
    if (f->terms[i].atom->kind == ATOM_DIV) return true;
  return false;
}

static void check_forms(void *cx, Expr *e) {
  (void)cx;
  if (e->form) assert_false(divides(e->form));
  for (int i = 0; e->kind == EXPR_READ && i < e->node->rank; i++) assert_false(divides(e->at[i]));
}

/* No kernel divides an index, none only copies. */
static void check_plain(const Schedule *s) {
  for (int i = 0; i < s->kernels.n; i++)
    for (int m = 0; m < s->kernels.at[i]->members.n; m++) {
      const Node *n = s->kernels.at[i]->members.at[m].node;
      expr_visit(n->body, check_forms, NULL);
      assert_true(n->nred || n->body->kind != EXPR_READ);
    }
}

/* A strided convolution's gradient by its input visits the taps that an element's residue has, no other: those of its
 * products that are too many are of the padding, and so no more than the convolution itself has. At most 1.05 times
 * the products that there are where it is padded by half its kernel of 3. */
static void data_gradients(void **state) {
  (void)state;
  static const struct {
    Conv c;
    const char *kinds;
    double most;
  } rows[] = {
      {{8, 16, 1, 32, 3, 2, 1, 1}, "contraction=1", 1.05},       {{8, 16, 1, 32, 3, 3, 1, 1}, "contraction=4", 1.0},
      {{8, 16, 1, 32, 3, 4, 1, 1}, "map=7 contraction=1", 1.09}, /* nobody reads the fourth row and column */
      {{8, 16, 1, 33, 3, 2, 1, 1}, "contraction=4", 1.0},        {{8, 16, 1, 32, 5, 2, 2, 1}, "contraction=1", 1.08},
      {{8, 16, 1, 32, 7, 2, 3, 1}, "contraction=1", 1.12},       {{8, 16, 1, 32, 7, 4, 3, 1}, "contraction=1", 1.12},
      {{8, 16, 1, 32, 3, 2, 2, 2}, "map=3 contraction=1", 1.09}, {{8, 16, 1, 32, 3, 3, 2, 2}, "contraction=4", 1.14},
      {{16, 32, 2, 32, 3, 2, 1, 1}, "contraction=1", 1.05},      {{8, 16, 1, 32, 2, 2, 0, 1}, "contraction=1", 1.0},
      {{8, 16, 1, 32, 4, 4, 0, 1}, "contraction=1", 1.0},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    const Conv *c = &rows[i].c;
    Schedule *s = scheduled(conv_text(c, "x"));
    double visited = visited_points(s), excess = visited / products(c, useful_pairs(c));
    print_message("stride %d, kernel %d, pad %d, dilation %d: %s, %.3f products for each useful one\n", c->stride,
                  c->kernel, c->pad, c->dilation, kinds_of(s), excess);
    assert_string_equal(kinds_of(s), rows[i].kinds);
    assert_true(visited == products(c, class_pairs(c)));
    assert_true(excess <= rows[i].most);
    assert_true(visited <= visited_points(scheduled(conv_text(c, "y"))));
    check_plain(s);
    assert_int_equal(s->buffers.n, 3); /* g, w and the gradient: parts have no memory of their own */
  }
}

/* ---- what each operation is ---- */

static const char *extents(const Schedule *s, const Node *n, const char *name, const int *slots, int count) {
  Buf b = {0};
  for (int i = 0; i < count; i++) {
    int slot = slots[i];
    if (b.n) buf_puts(&b, "*");
    dim_print(&b, slot < n->rank ? n->shape[slot] : n->red[slot - n->rank]);
  }
  const char *text = count ? arena_printf(s->arena, " %s %s", name, b.text) : "";
  buf_free(&b);
  return text;
}

/* "row", or "contraction M 8 N B*16*16 K 16*2", of each kernel in order; "and ..." for each contraction beside the
 * first. M is the operand without the result's
 * fastest index, or with it where a long sum's result is transposed instead (tile.c). */
static const char *classification(const Schedule *s) {
  const char *text = "";
  for (int i = 0; i < s->kernels.n; i++) {
    const Kernel *k = s->kernels.at[i];
    text = arena_printf(a, "%s%s%s", text, i ? "; " : "", kernel_kind_name(k->kind));
    for (int j = 0; k->contraction && j <= k->beside.n; j++) {
      const Contraction *c = j ? k->beside.at[j - 1] : k->contraction;
      const Node *n = k->members.at[j].node;
      text = arena_printf(a, "%s%s%s%s%s%s", text, j ? " and" : "", extents(s, n, "M", c->m, c->nm),
                          extents(s, n, "N", c->n, c->nn), extents(s, n, "K", c->k, c->nk),
                          extents(s, n, "batch", c->batch, c->nbatch));
    }
  }
  return text;
}

static void expect(const char *what, const char *text, const char *classes) {
  Schedule *s = scheduled(text);
  if (strcmp(classification(s), classes)) fail_msg("%s: %s\ninstead of %s", what, classification(s), classes);
  check_plain(s);
}

static void convolutions(void **state) {
  (void)state;
  static const struct {
    Conv c;
    const char *of, *classes;
  } rows[] = {
      {{8, 16, 1, 32, 3, 1, 1, 1}, "y", "contraction M 16 N B*32*32 K 8*3*3"},
      {{8, 16, 1, 32, 3, 1, 1, 1}, "x", "contraction M 8 N B*32*32 K 16*3*3"},
      {{8, 16, 1, 32, 3, 1, 1, 1}, "w", "contraction M 8*3*3 N 16 K B*32*32"},
      {{8, 16, 1, 32, 3, 2, 1, 1}, "y", "contraction M 16 N B*16*16 K 8*3*3"},
      {{8, 16, 1, 32, 3, 2, 1, 1},
       "x",
       "contraction M 8 N B*16*16 K 16 and M 8 N B*16*16 K 16*2 and M 8 N B*16*16 K 16*2 and M 8 N B*16*16 K 16*2*2"},
      {{8, 16, 1, 32, 3, 2, 1, 1}, "w", "contraction M 8*3*3 N 16 K B*16*16"},
      {{8, 16, 1, 32, 4, 4, 0, 1}, "y", "contraction M 16 N B*8*8 K 8*4*4"},
      {{8, 16, 1, 32, 4, 4, 0, 1}, "x", "contraction M B*8*8 N 8*4*4 K 16"},
      {{8, 16, 1, 32, 4, 4, 0, 1}, "w", "contraction M 16 N 8*4*4 K B*8*8"},
      {{16, 32, 2, 32, 3, 2, 1, 1}, "y", "contraction M 16 N B*16*16 K 8*3*3 batch 2"},
      {{16, 32, 2, 32, 3, 2, 1, 1},
       "x",
       "contraction M 8 N B*16*16 K 16 batch 2 and M 8 N B*16*16 K 16*2 batch 2 and M 8 N B*16*16 K 16*2 batch 2 and "
       "M 8 N B*16*16 K 16*2*2 batch 2"},
      {{16, 32, 2, 32, 3, 2, 1, 1}, "w", "contraction M 8*3*3 N 16 K B*16*16 batch 2"},
      {{16, 16, 16, 32, 3, 1, 1, 1}, "y", "window"},
      {{16, 16, 16, 32, 3, 1, 1, 1}, "x", "window"},
      {{16, 16, 16, 32, 3, 1, 1, 1}, "w", "row"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    expect(arena_printf(a, "row %zu", i), conv_text(&rows[i].c, rows[i].of), rows[i].classes);
}

/* The table of comprehensions, but for convolutions: what each operation and its derivatives by all operands are. */
static void table(void **state) {
  (void)state;
  static const struct {
    const char *what, *text, *classes;
  } rows[] = {
      {"matmul",
       "%0 = input x : f32[96, 64]\n%1 = input w : f32[64, 80]\n%2 = input g : f32[96, 80]\n"
       "%3 = comp f32[96, 80] [i0, i1] sum(r0 < 64: mul(%0[i0, r0], %1[r0, i1]))\n"
       "%4 = comp f32[] [] sum(r0 < 96, r1 < 80: mul(%2[r0, r1], %3[r0, r1]))\n"
       "%5 = grad %4 by %0\n%6 = grad %4 by %1\noutput y = %3\noutput dx = %5\noutput dw = %6\n",
       "contraction M 96 N 80 K 64; contraction M 64 N 80 K 96; contraction M 96 N 64 K 80"},
      {"batched matmul",
       "%0 = input x : f32[6, 96, 64]\n%1 = input w : f32[6, 64, 80]\n%2 = input g : f32[6, 96, 80]\n"
       "%3 = comp f32[6, 96, 80] [i0, i1, i2] sum(r0 < 64: mul(%0[i0, i1, r0], %1[i0, r0, i2]))\n"
       "%4 = comp f32[] [] sum(r0 < 6, r1 < 96, r2 < 80: mul(%2[r0, r1, r2], %3[r0, r1, r2]))\n"
       "%5 = grad %4 by %0\n%6 = grad %4 by %1\noutput y = %3\noutput dx = %5\noutput dw = %6\n",
       "contraction M 96 N 80 K 64 batch 6; contraction M 64 N 80 K 96 batch 6; contraction M 96 N 64 K 80 batch 6"},
      {"linear and cross-entropy",
       "%0 = input x : f32[96, 64]\n%1 = input w : f32[40, 64]\n%2 = input y : i32[96]\n"
       "%3 = comp f32[96, 40] [i0, i1] sum(r0 < 64: mul(%0[i0, r0], %1[i1, r0]))\n"
       "%4 = comp f32[96] [i0] max(r0 < 40: %3[i0, r0])\n%5 = comp f32[96] [i0] stop(%4[i0])\n"
       "%6 = comp f32[96] [i0] sum(r0 < 40: exp(sub(%3[i0, r0], %5[i0])))\n"
       "%7 = comp f32[96] [i0] sub(add(log(%6[i0]), %5[i0]), %3[i0, %2[i0]])\n"
       "%8 = comp f32[] [] sum(r0 < 96: %7[r0])\n%9 = grad %8 by %0\n%10 = grad %8 by %1\n"
       "output l = %8\noutput dx = %9\noutput dw = %10\n",
       "contraction M 96 N 40 K 64; row; full; contraction M 40 N 64 K 96; contraction M 96 N 64 K 40"},
      {"attention",
       "dim B >= 0 batch\n%0 = input q : f32[B, 48, 16]\n%1 = input k : f32[B, 48, 16]\n"
       "%2 = input v : f32[B, 48, 16]\n%3 = input g : f32[B, 48, 16]\n"
       "%4 = comp f32[B, 48, 48] [i0, i1, i2] sum(r0 < 16: mul(%0[i0, i1, r0], %1[i0, i2, r0]))\n"
       "%5 = comp f32[B, 48, 48] [i0, i1, i2] select(ge0(i1 - i2), %4[i0, i1, i2], -inf)\n"
       "%6 = comp f32[B, 48] [i0, i1] max(r0 < 48: %5[i0, i1, r0])\n%7 = comp f32[B, 48] [i0, i1] stop(%6[i0, i1])\n"
       "%8 = comp f32[B, 48, 48] [i0, i1, i2] exp(sub(%5[i0, i1, i2], %7[i0, i1]))\n"
       "%9 = comp f32[B, 48] [i0, i1] sum(r0 < 48: %8[i0, i1, r0])\n"
       "%10 = comp f32[B, 48, 48] [i0, i1, i2] div(%8[i0, i1, i2], %9[i0, i1])\n"
       "%11 = comp f32[B, 48, 16] [i0, i1, i2] sum(r0 < 48: mul(%10[i0, i1, r0], %2[i0, r0, i2]))\n"
       "%12 = comp f32[] [] sum(r0 < B, r1 < 48, r2 < 16: mul(%3[r0, r1, r2], %11[r0, r1, r2]))\n"
       "%13 = grad %12 by %0\n%14 = grad %12 by %1\n%15 = grad %12 by %2\n"
       "output y = %11\noutput dq = %13\noutput dk = %14\noutput dv = %15\n",
       "contraction M 48 N 48 K 16 batch B; contraction M 48 N 48 K 16 batch B; row; contraction M 48 N 16 K 48 "
       "batch B; contraction M 48 N 16 K 48 batch B; contraction M 48 N 16 K 48 batch B; contraction M 48 N 16 K 48 "
       "batch B"},
      {"softmax",
       "%0 = input x : f32[48, 100]\n%1 = input g : f32[48, 100]\n"
       "%2 = comp f32[48] [i0] max(r0 < 100: %0[i0, r0])\n%3 = comp f32[48] [i0] stop(%2[i0])\n"
       "%4 = comp f32[48, 100] [i0, i1] exp(sub(%0[i0, i1], %3[i0]))\n"
       "%5 = comp f32[48] [i0] sum(r0 < 100: %4[i0, r0])\n"
       "%6 = comp f32[48, 100] [i0, i1] div(%4[i0, i1], %5[i0])\n"
       "%7 = comp f32[] [] sum(r0 < 48, r1 < 100: mul(%1[r0, r1], %6[r0, r1]))\n"
       "%8 = grad %7 by %0\noutput y = %6\noutput dx = %8\n",
       "row"},
      {"layer norm",
       "dim B >= 0 batch\n%0 = input x : f32[B, 768]\n%1 = input w : f32[768]\n%2 = input b : f32[768]\n"
       "%3 = input g : f32[B, 768]\n"
       "%4 = comp f32[B] [i0] sum(r0 < 768: mul(0.0013020833333333333, %0[i0, r0]))\n"
       "%5 = comp f32[B, 768] [i0, i1] sub(%0[i0, i1], %4[i0])\n"
       "%6 = comp f32[B] [i0] sum(r0 < 768: mul(0.0013020833333333333, mul(%5[i0, r0], %5[i0, r0])))\n"
       "%7 = comp f32[B, 768] [i0, i1] add(mul(mul(%5[i0, i1], rsqrt(add(%6[i0], 1e-05))), %1[i1]), %2[i1])\n"
       "%8 = comp f32[] [] sum(r0 < B, r1 < 768: mul(%3[r0, r1], %7[r0, r1]))\n"
       "%9 = grad %8 by %0\n%10 = grad %8 by %1\n%11 = grad %8 by %2\n"
       "output y = %7\noutput dx = %9\noutput dw = %10\noutput db = %11\n",
       "row; column"},
      {"batch norm",
       "%0 = input x : f32[64, 40]\n%1 = input w : f32[40]\n%2 = input g : f32[64, 40]\n"
       "%3 = comp f32[40] [i0] sum(r0 < 64: mul(0.015625, %0[r0, i0]))\n"
       "%4 = comp f32[64, 40] [i0, i1] sub(%0[i0, i1], %3[i1])\n"
       "%5 = comp f32[40] [i0] sum(r0 < 64: mul(0.015625, mul(%4[r0, i0], %4[r0, i0])))\n"
       "%6 = comp f32[64, 40] [i0, i1] mul(mul(%4[i0, i1], rsqrt(add(%5[i1], 1e-05))), %1[i1])\n"
       "%7 = comp f32[] [] sum(r0 < 64, r1 < 40: mul(%2[r0, r1], %6[r0, r1]))\n"
       "%8 = grad %7 by %0\n%9 = grad %7 by %1\noutput y = %6\noutput dx = %8\noutput dw = %9\n",
       "column"},
      {"embedding",
       "dim B >= 0 batch\n%0 = input token : i32[B, 9]\n%1 = input table : f32[500, 32]\n%2 = input g : f32[B, 9, "
       "32]\n"
       "%3 = comp f32[B, 9, 32] [i0, i1, i2] exp(%1[%0[i0, i1], i2])\n"
       "%4 = comp f32[] [] sum(r0 < B, r1 < 9, r2 < 32: mul(%2[r0, r1, r2], %3[r0, r1, r2]))\n"
       "%5 = grad %4 by %1\noutput y = %3\noutput dt = %5\n",
       "map; scatter"},
      {"two products",
       "%0 = input x : f32[96, 64]\n%1 = input w : f32[64, 80]\n%2 = input u : f32[96, 64]\n%3 = input v : f32[64, "
       "80]\n%4 = input b : f32[96, 64]\n"
       "%5 = comp f32[96, 80] [i0, i1] sum(r0 < 64: add(sub(mul(%0[i0, r0], %1[r0, i1]), mul(%2[i0, r0], %3[r0, "
       "i1])), "
       "%4[i0, r0]))\noutput y = %5\n",
       "contraction M 96 N 80 K 64; row; contraction M 96 N 80 K 64"},
      {"no product", /* one pass over both is all there is to have */
       "%0 = input x : f32[96, 64]\n%1 = input w : f32[64, 80]\n"
       "%2 = comp f32[96, 80] [i0, i1] sum(r0 < 64: exp(add(%0[i0, r0], %1[r0, i1])))\noutput y = %2\n",
       "row"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) expect(rows[i].what, rows[i].text, rows[i].classes);
}

/* y[b, o, i, j] = sum(c, u, v: x[b, c, (i + 1 - u)/2, (j + 1 - v)/2] * w[c, o, u, v]) where 2 divides both. */
#define TRANSPOSED_AT(i, r) "((" i " + 1 - " r ") // 2)"
#define TRANSPOSED_IF(i, r)                                                                                          \
  "and(eq0(" i " + 1 - " r " - 2*" TRANSPOSED_AT(i, r) "), and(ge0(" i " + 1 - " r "), ge0(30 - " i " - 1 + " r "))" \
                                                       ")"
#define TRANSPOSED                                                                                                   \
  "dim B >= 0 batch\n%0 = input x : f32[B, 8, 16, 16]\n%1 = param w : f32[8, 12, 3, 3]\n"                            \
  "%2 = comp f32[B, 12, 31, 31] [i0, i1, i2, i3] sum(r0 < 8, r1 < 3, r2 < 3: mul(select(and(" TRANSPOSED_IF(         \
      "i2",                                                                                                          \
      "r1") ", " TRANSPOSED_IF("i3",                                                                                 \
                               "r2") "), %0[i0, r0, " TRANSPOSED_AT("i2",                                            \
                                                                    "r1") ", " TRANSPOSED_AT("i3",                   \
                                                                                             "r2") "], 0), %1[r0, "  \
                                                                                                   "i1, r1, r2]))\n"
#define TRANSPOSED_LOSS                                                                                              \
  "%3 = input g : f32[B, 12, 31, 31]\n%4 = comp f32[] [] sum(r0 < B, r1 < 12, r2 < 31, r3 < 31: mul(%2[r0, r1, r2, " \
  "r3], %3[r0, r1, r2, r3]))\n"

static void transposed_convolution(void **state) {
  (void)state;
  expect("transposed", TRANSPOSED "output y = %2\n",
         "contraction M 12 N B*16*16 K 8; contraction M 12 N B*16*15 K 8*2; contraction M 12 N B*15*16 K 8*2; "
         "contraction M 12 N B*15*15 K 8*2*2");
  expect("transposed, by x", TRANSPOSED TRANSPOSED_LOSS "%5 = grad %4 by %0\noutput d = %5\n",
         "contraction M 8 N B*16*16 K 12*3*3");
  expect("transposed, by w", TRANSPOSED TRANSPOSED_LOSS "%5 = grad %4 by %1\noutput d = %5\n",
         "contraction M 12 N 8*2*2 K B*15*15; contraction M 12 N 8*2*1 K B*15*16; "
         "contraction M 12 N 8*1*2 K B*16*15; contraction M 12 N 8*1*1 K B*16*16");
}

/* Windows of 2x2 and 3x3, 2 apart. */
#define POOLED(reducer, k, n)                                                                                        \
  "dim B >= 0 batch\n%0 = input x : f32[B, 8, 32, 32]\n%1 = comp f32[B, 8, " n ", " n "] [i0, i1, i2, i3] " reducer  \
  "(r0 < " k ", r1 < " k ": %0[i0, i1, 2*i2 + r0, 2*i3 + r1])\n"
#define POOLED_GRAD(n)                                                                                               \
  "%2 = input g : f32[B, 8, " n ", " n "]\n%3 = comp f32[] [] sum(r0 < B, r1 < 8, r2 < " n ", r3 < " n               \
  ": mul(%1[r0, r1, r2, r3], %2[r0, r1, r2, r3]))\n%4 = grad %3 by %0\noutput d = %4\n"

/* The position is compared in the argmax's own kernel; of a pooling that overlaps, by residue. */
static void pooling(void **state) {
  (void)state;
  expect("max", POOLED("max", "2", "16") "output y = %1\n", "window");
  expect("max, gradient", POOLED("max", "2", "16") POOLED_GRAD("16"), "window");
  expect("max 3", POOLED("max", "3", "15") "output y = %1\n", "window");
  expect("max 3, gradient", POOLED("max", "3", "15") POOLED_GRAD("15"), "window; window; window; window; map");
  expect("sum", POOLED("sum", "2", "16") "output y = %1\n", "window");
  expect("sum 3, gradient", POOLED("sum", "3", "15") POOLED_GRAD("15"), "window; window; window; map");
}

/* ---- parts in place ---- */

/* The mask of the layer below rides on each residue class of the data gradient. */
static void finished_parts(void **state) {
  (void)state;
  const Conv c = {8, 16, 1, 32, 3, 2, 1, 1};
  const char *text = conv_text(&c, "x"), *end = strstr(text, "output");
  text = arena_printf(a,
                      "%.*s%%6 = input h : f32[B, 8, 32, 32]\n%%7 = comp f32[B, 8, 32, 32] [i0, i1, i2, i3] "
                      "select(gt(%%6[i0, i1, i2, i3], 0), %%5[i0, i1, i2, i3], 0)\noutput d = %%7\n",
                      (int)(end - text), text);
  Schedule *s = scheduled(text);
  assert_string_equal(kinds_of(s), "contraction=1");
  assert_int_equal(s->kernels.at[0]->members.n, 8);
  for (int i = 0; i < 4; i++) assert_int_equal(member_product(s->kernels.at[0], 4 + i), i);
  assert_int_equal(s->buffers.n, 4);
}

#define TWO_PRODUCTS                                                                                                 \
  "dim B >= 0 batch\n%0 = input x : f32[B, 32]\n%1 = param v : f32[24, 32]\n%2 = param w : f32[40, 32]\n"            \
  "%3 = comp f32[B, 24] [i0, i1] sum(r0 < 32: mul(%0[i0, r0], %1[i1, r0]))\n"                                        \
  "%4 = comp f32[B, 40] [i0, i1] sum(r0 < 32: mul(%0[i0, r0], %2[i1, r0]))\n"

/* What is joined is made where it lies, also when one side is read elsewhere, and joins of joins. */
static void joined(void **state) {
  (void)state;
  Schedule *s =
      scheduled(TWO_PRODUCTS "%5 = comp f32[B, 64] [i0, i1] select(ge0(23 - i1), %3[i0, i1], %4[i0, i1 - 24])\n"
                             "output y = %5\n");
  assert_string_equal(kinds_of(s), "contraction=2");
  assert_int_equal(s->buffers.n, 4);
  s = scheduled(TWO_PRODUCTS "%5 = comp f32[B, 64] [i0, i1] select(ge0(23 - i1), %3[i0, i1], %4[i0, i1 - 24])\n"
                             "%6 = comp f32[B] [i0] max(r0 < 24: %3[i0, r0])\noutput y = %5\noutput m = %6\n");
  assert_string_equal(kinds_of(s), "row=1 contraction=2");
  assert_int_equal(s->buffers.n, 5);
  s = scheduled(TWO_PRODUCTS
                "%5 = comp f32[B, 64] [i0, i1] select(ge0(23 - i1), %3[i0, i1], %4[i0, i1 - 24])\n"
                "%6 = comp f32[B] [i0] max(r0 < 32: %0[i0, r0])\n"
                "%7 = comp f32[B, 65] [i0, i1] select(ge0(63 - i1), %5[i0, i1], %6[i0])\noutput y = %7\n");
  assert_string_equal(kinds_of(s), "row=1 contraction=2");
  assert_int_equal(s->buffers.n, 4);
}

/* What is open is the first of the rows' indices: the others are numbers, and the sum is made in tiles. */
static void open_rows(void **state) {
  (void)state;
  expect("steps of a batch",
         "graph t\ndim B >= 0 batch\n%0 = input x : f32[B, 5, 23]\n%1 = input w : f32[17, 23]\n"
         "%2 = comp f32[5, B, 17] [i0, i1, i2] sum(r0 < 23: mul(%0[i1, i0, r0], %1[i2, r0]))\noutput y = %2\n",
         "contraction M B*5 N 17 K 23");
}

/* Not what leaves a place empty, takes an element twice, is an output itself, or would be written across. */
static void not_parts(void **state) {
  (void)state;
  static const char *const wholes[] = {
      "%5 = comp f32[B, 65] [i0, i1] select(ge0(23 - i1), %3[i0, i1], select(ge0(63 - i1), %4[i0, i1 - 24], 0))\n"
      "output y = %5\n",
      "%5 = comp f32[B, 63] [i0, i1] add(select(ge0(23 - i1), %3[i0, i1], 0), select(ge0(i1 - 23), %4[i0, i1 - 23], "
      "0))\noutput y = %5\n", /* one place has both */
      "%5 = comp f32[B, 48] [i0, i1] select(ge0(23 - i1), %3[i0, i1], %3[i0, i1 - 24])\noutput y = %5\n",
      "%5 = comp f32[B, 64] [i0, i1] select(ge0(23 - i1), %3[i0, i1], %4[i0, i1 - 24])\noutput y = %5\noutput p = "
      "%3\n",
      "%5 = comp f32[64, B] [i0, i1] select(ge0(23 - i0), %3[i1, i0], %4[i1, i0 - 24])\noutput y = %5\n",
  };
  for (size_t i = 0; i < sizeof wholes / sizeof *wholes; i++) {
    Schedule *s = scheduled(arena_printf(a, "%s%s", TWO_PRODUCTS, wholes[i]));
    assert_int_equal(s->parts.n, 0);
    assert_non_null(strstr(kinds_of(s), "map=1"));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(data_gradients, setup, teardown),
      cmocka_unit_test_setup_teardown(convolutions, setup, teardown),
      cmocka_unit_test_setup_teardown(table, setup, teardown),
      cmocka_unit_test_setup_teardown(transposed_convolution, setup, teardown),
      cmocka_unit_test_setup_teardown(pooling, setup, teardown),
      cmocka_unit_test_setup_teardown(finished_parts, setup, teardown),
      cmocka_unit_test_setup_teardown(joined, setup, teardown),
      cmocka_unit_test_setup_teardown(open_rows, setup, teardown),
      cmocka_unit_test_setup_teardown(not_parts, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
