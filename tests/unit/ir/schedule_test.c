/* schedule_test.c - the structure of schedules: which kernels, of what kind, and that nothing is copied. */
#include "ir/derive.h"
#include "tests/unit/ir/scheduled.h"
#include "tests/unit/row_sums.h"

#include <string.h>

static int copies(const Schedule *s) {
  int n = 0;
  for (int i = 0; i < s->kernels.n; i++)
    for (int j = 0; j < s->kernels.at[i]->members.n; j++)
      n += s->kernels.at[i]->members.at[j].node->body->kind == EXPR_READ &&
           s->kernels.at[i]->members.at[j].node->reducer == RED_none;
  return n;
}

static void expect(const Schedule *s, const char *kinds) { assert_string_equal(kinds_of(s), kinds); }

static const Kernel *first_of(const Schedule *s, KernelKind kind) {
  for (int i = 0; i < s->kernels.n; i++)
    if (s->kernels.at[i]->kind == kind) return s->kernels.at[i];
  fail_msg("no such kernel");
  return NULL;
}

static int stored(const Kernel *k) {
  int n = 0;
  for (int i = 0; i < k->members.n; i++) n += k->members.at[i].storage == STORE_buffer;
  return n;
}

/* ---- forward ---- */

static void linear_relu(void **state) {
  (void)state;
  Schedule *s = scheduled("dim B >= 0 batch\n"
                          "%0 = input x : f32[B, 64]\n"
                          "%1 = param w : f32[128, 64]\n"
                          "%2 = param b : f32[128]\n"
                          "%3 = comp f32[B, 128] [i0, i1] sum(r0 < 64: mul(%0[i0, r0], %1[i1, r0]))\n"
                          "%4 = comp f32[B, 128] [i0, i1] add(%3[i0, i1], %2[i1])\n"
                          "%5 = comp f32[B, 128] [i0, i1] select(gt(%4[i0, i1], 0), %4[i0, i1], 0)\n"
                          "output y = %5\n");
  expect(s, "contraction=1");
  assert_int_equal(s->kernels.at[0]->members.n, 2); /* the products; bias and activation as one map */
  assert_int_equal(stored(s->kernels.at[0]), 1);
  assert_int_equal(s->kernels.at[0]->operands.n, 4);
}

/* A padded convolution over images that come as rows of pixels: the guard keeps the flat index inside. */
static void convolution(void **state) {
  (void)state;
  Schedule *s =
      scheduled("dim B >= 0 batch\n"
                "%0 = input x : f32[B, 64]\n"
                "%1 = param w : f32[16, 3, 3]\n"
                "%2 = param b : f32[16]\n"
                "%3 = comp f32[B, 8, 8] [i0, i1, i2] %0[i0, 8*i1 + i2]\n"
                "%4 = comp f32[B, 8, 8, 16] [i0, i1, i2, i3] sum(r0 < 3, r1 < 3: select(and(and(ge0(i1 + r0 "
                "- 1), ge0(8 - i1 - r0)), and(ge0(i2 + r1 - 1), ge0(8 - i2 - r1))), mul(%3[i0, i1 + r0 - 1, "
                "i2 + r1 - 1], %1[i3, r0, r1]), 0))\n"
                "%5 = comp f32[B, 8, 8, 16] [i0, i1, i2, i3] max(add(%4[i0, i1, i2, i3], %2[i3]), 0)\n"
                "output y = %5\n");
  expect(s, "contraction=1");
  const Contraction *c = s->kernels.at[0]->contraction;
  assert_int_equal(c->nm, 3);
  assert_int_equal(c->nn, 1);
  assert_int_equal(c->nk, 2);
  assert_null(c->tile_mask);
  assert_int_equal(c->b->kind, EXPR_READ); /* the guard is the image's */
}

#define SOFTMAX                                                                                                      \
  "%1 = comp f32[B] [i0] max(r0 < 1000: %0[i0, r0])\n"                                                               \
  "%2 = comp f32[B, 1000] [i0, i1] exp(sub(%0[i0, i1], stop(%1[i0])))\n"                                             \
  "%3 = comp f32[B] [i0] sum(r0 < 1000: %2[i0, r0])\n"                                                               \
  "%4 = comp f32[B, 1000] [i0, i1] div(%2[i0, i1], %3[i0])\n"

static void softmax(void **state) {
  (void)state;
  Schedule *s = scheduled("dim B >= 0 batch\n%0 = input x : f32[B, 1000]\n" SOFTMAX "output y = %4\n");
  expect(s, "row=1");
  const Kernel *k = s->kernels.at[0];
  assert_int_equal(stored(k), 1);
  for (int i = 0; i < k->members.n; i++)
    if (k->members.at[i].storage == STORE_buffer) assert_int_equal(k->members.at[i].level, 2); /* after max and sum */
}

static void softmax_backward(void **state) {
  (void)state;
  Schedule *s = scheduled("dim B >= 0 batch\n%0 = input x : f32[B, 1000]\n" SOFTMAX "%5 = input t : f32[B, 1000]\n"
                          "%6 = comp f32[] [] sum(r0 < B, r1 < 1000: mul(%4[r0, r1], %5[r0, r1]))\n"
                          "%7 = grad %6 by %0\n"
                          "output dx = %7\n");
  expect(s, "row=1"); /* max, sum, the sum of p*t, the derivative */
}

static void layer_norm(void **state) {
  (void)state;
  Schedule *s = scheduled("dim B >= 0 batch\n"
                          "%0 = input x : f32[B, 256]\n"
                          "%1 = param gamma : f32[256]\n"
                          "%2 = param beta : f32[256]\n"
                          "%3 = comp f32[B] [i0] sum(r0 < 256: mul(0.00390625, %0[i0, r0]))\n"
                          "%4 = comp f32[B, 256] [i0, i1] sub(%0[i0, i1], %3[i0])\n"
                          "%5 = comp f32[B] [i0] sum(r0 < 256: mul(0.00390625, mul(%4[i0, r0], %4[i0, r0])))\n"
                          "%6 = comp f32[B] [i0] rsqrt(add(%5[i0], 1e-05))\n"
                          "%7 = comp f32[B, 256] [i0, i1] add(mul(mul(%4[i0, i1], %6[i0]), %1[i1]), %2[i1])\n"
                          "output y = %7\n");
  expect(s, "row=1");
}

static void cross_entropy(void **state) {
  (void)state;
  Schedule *s = scheduled("dim B >= 0 batch\n"
                          "%0 = param x : f32[64, 10]\n"
                          "%1 = input y : i32[64]\n"
                          "%2 = comp f32[64] [i0] max(r0 < 10: %0[i0, r0])\n"
                          "%3 = comp f32[64] [i0] stop(%2[i0])\n"
                          "%4 = comp f32[64] [i0] sum(r0 < 10: exp(sub(%0[i0, r0], %3[i0])))\n"
                          "%5 = comp f32[64] [i0] sub(add(log(%4[i0]), %3[i0]), %0[i0, %1[i0]])\n"
                          "%6 = comp f32[] [] sum(r0 < 64: %5[r0])\n"
                          "%7 = comp f32[] [] mul(%6[], 0.015625)\n"
                          "%8 = grad %7 by %0\n"
                          "output loss = %7\n"
                          "output dx = %8\n");
  expect(s, "row=1 full=1"); /* forward and backward are one pass over the logits */
}

/* ---- a training step ---- */

/* One step of a two-layer network with cross-entropy; UPDATE's texts use the gradients %18 .. %21. */
#define MLP_STEP                                                                                                     \
  "graph step\n"                                                                                                     \
  "dim B >= 0 batch\n"                                                                                               \
  "%0 = input x : f32[B, 64]\n"                                                                                      \
  "%1 = input y : i32[B]\n"                                                                                          \
  "%2 = param w1 : f32[128, 64]\n"                                                                                   \
  "%3 = param b1 : f32[128]\n"                                                                                       \
  "%4 = param w2 : f32[10, 128]\n"                                                                                   \
  "%5 = param b2 : f32[10]\n"                                                                                        \
  "%6 = comp f32[B, 128] [i0, i1] sum(r0 < 64: mul(%0[i0, r0], %2[i1, r0]))\n"                                       \
  "%7 = comp f32[B, 128] [i0, i1] add(%6[i0, i1], %3[i1])\n"                                                         \
  "%8 = comp f32[B, 128] [i0, i1] select(le(%7[i0, i1], 0), 0, %7[i0, i1])\n"                                        \
  "%9 = comp f32[B, 10] [i0, i1] sum(r0 < 128: mul(%8[i0, r0], %4[i1, r0]))\n"                                       \
  "%10 = comp f32[B, 10] [i0, i1] add(%9[i0, i1], %5[i1])\n"                                                         \
  "%11 = comp f32[B] [i0] max(r0 < 10: %10[i0, r0])\n"                                                               \
  "%12 = comp f32[B] [i0] stop(%11[i0])\n"                                                                           \
  "%13 = comp f32[B] [i0] sum(r0 < 10: exp(sub(%10[i0, r0], %12[i0])))\n"                                            \
  "%14 = comp f32[B] [i0] sub(add(log(%13[i0]), %12[i0]), %10[i0, %1[i0]])\n"                                        \
  "%15 = comp f32[] [] sum(r0 < B: %14[r0])\n"                                                                       \
  "%16 = comp f32[] [] div(%15[], cast(f32, i32(B)))\n"                                                              \
  "%17 = input $step : i32[]\n"                                                                                      \
  "%18 = grad %16 by %2\n"                                                                                           \
  "%19 = grad %16 by %3\n"                                                                                           \
  "%20 = grad %16 by %4\n"                                                                                           \
  "%21 = grad %16 by %5\n"

#define DESCENT                                                                                                      \
  "%22 = comp f32[128, 64] [i0, i1] sub(%2[i0, i1], mul(0.1, %18[i0, i1]))\n"                                        \
  "%23 = comp f32[128] [i0] sub(%3[i0], mul(0.1, %19[i0]))\n"                                                        \
  "%24 = comp f32[10, 128] [i0, i1] sub(%4[i0, i1], mul(0.1, %20[i0, i1]))\n"                                        \
  "%25 = comp f32[10] [i0] sub(%5[i0], mul(0.1, %21[i0]))\n"                                                         \
  "%26 = store w1 = %22\n"                                                                                           \
  "%27 = store b1 = %23\n"                                                                                           \
  "%28 = store w2 = %24\n"                                                                                           \
  "%29 = store b2 = %25\n"                                                                                           \
  "output loss = %16\n"

static void mlp_step(void **state) {
  (void)state;
  Schedule *s = scheduled(MLP_STEP DESCENT);
  /* Two layers forward, the data gradient with its mask, two weight gradients with their updates; the loss and its
   * derivative, its mean; two bias gradients with their updates. */
  expect(s, "row=1 column=2 full=1 contraction=5");
  assert_int_equal(copies(s), 0);
  assert_int_equal(stored(first_of(s, KERNEL_contraction)), 1); /* the mask asks for the activation, not its input */
}

/* Adam on one weight: its two moments and the weight are written by the kernel of the gradient, in place. */
static void adam_step(void **state) {
  (void)state;
  Schedule *s =
      scheduled(MLP_STEP "%22 = state m : f32[128, 64]\n"
                         "%23 = state v : f32[128, 64]\n"
                         "%24 = comp f32[128, 64] [i0, i1] add(mul(0.9, %22[i0, i1]), mul(0.1, %18[i0, i1]))\n"
                         "%25 = comp f32[128, 64] [i0, i1] t0 = %18[i0, i1]; "
                         "add(mul(0.999, %23[i0, i1]), mul(0.001, mul(t0, t0)))\n"
                         "%26 = comp f32[] [] sub(1, pow(0.9, cast(f32, %17[])))\n"
                         "%27 = comp f32[] [] sub(1, pow(0.999, cast(f32, %17[])))\n"
                         "%28 = comp f32[128, 64] [i0, i1] sub(%2[i0, i1], div(mul(0.001, div(%24[i0, i1], %26[])), "
                         "add(sqrt(div(%25[i0, i1], %27[])), 1e-08)))\n"
                         "%29 = store w1 = %28\n"
                         "%30 = store m = %24\n"
                         "%31 = store v = %25\n");
  expect(s, "row=1 contraction=4"); /* no map, for the step's corrections neither */
  const Kernel *last = s->kernels.at[s->kernels.n - 1];
  assert_int_equal(stored(last), 3);
  for (int i = 0; i < last->members.n; i++)
    if (last->members.at[i].buffer) assert_int_not_equal(last->members.at[i].buffer->place, BUFFER_arena);
  assert_int_equal(copies(s), 0);
}

/* ---- several results, equal kernels, memory ---- */

static void maps_with_several_results(void **state) {
  (void)state;
  Schedule *s = scheduled("%0 = param w : f32[1000]\n"
                          "%1 = state m : f32[1000]\n"
                          "%2 = input g : f32[1000]\n"
                          "%3 = comp f32[1000] [i0] add(mul(0.9, %1[i0]), %2[i0])\n"
                          "%4 = comp f32[1000] [i0] sub(%0[i0], mul(0.1, %3[i0]))\n"
                          "%5 = store m = %3\n"
                          "%6 = store w = %4\n");
  expect(s, "map=1");
  assert_int_equal(stored(s->kernels.at[0]), 2);
  assert_int_equal(s->kernels.at[0]->operands.n, 3);
  assert_int_equal(dim_value(s->arena_bytes), 0);
}

static void equal_layers(void **state) {
  (void)state;
  Schedule *s = scheduled("dim B >= 0 batch\n"
                          "%0 = input x : f32[B, 64]\n"
                          "%1 = param w1 : f32[64, 64]\n"
                          "%2 = param w2 : f32[64, 64]\n"
                          "%3 = param w3 : f32[64, 32]\n"
                          "%4 = comp f32[B, 64] [i0, i1] sum(r0 < 64: mul(%0[i0, r0], %1[r0, i1]))\n"
                          "%5 = comp f32[B, 64] [i0, i1] sum(r0 < 64: mul(%4[i0, r0], %2[r0, i1]))\n"
                          "%6 = comp f32[B, 32] [i0, i1] sum(r0 < 64: mul(%5[i0, r0], %3[r0, i1]))\n"
                          "output y = %6\n");
  expect(s, "contraction=3");
  assert_string_equal(s->kernels.at[0]->symbol, s->kernels.at[1]->symbol);
  assert_string_not_equal(s->kernels.at[0]->symbol, s->kernels.at[2]->symbol);
}

static int64_t value(void *cx, DimAtom *symbol) {
  (void)symbol;
  return *(int64_t *)cx;
}

#define CHAIN                                                                                                        \
  "dim B >= 0 batch\n"                                                                                               \
  "%0 = input x : f32[B, 64]\n"                                                                                      \
  "%1 = param w1 : f32[64, 256]\n"                                                                                   \
  "%2 = param w2 : f32[256, 128]\n"                                                                                  \
  "%3 = param w3 : f32[128, 256]\n"                                                                                  \
  "%4 = comp f32[B, 256] [i0, i1] sum(r0 < 64: mul(%0[i0, r0], %1[r0, i1]))\n"                                       \
  "%5 = comp f32[B, 128] [i0, i1] sum(r0 < 256: mul(%4[i0, r0], %2[r0, i1]))\n"                                      \
  "%6 = comp f32[B, 256] [i0, i1] sum(r0 < 128: mul(%5[i0, r0], %3[r0, i1]))\n"                                      \
  "output y = %6\n"

/* A chain of layers needs two activations at a time, whatever the batch. */
static void peak(void **state) {
  (void)state;
  Schedule *s = scheduled(CHAIN);
  for (int64_t batch = 0; batch < 100; batch += 33)
    assert_int_equal(dim_evaluate(s->arena_bytes, value, &batch), batch * (256 + 128) * 4);
}

static void expect_fault(const Schedule *s, const char *words) {
  const char *fault = schedule_verify(s);
  if (!fault || !strstr(fault, words)) fail_msg("'%s' instead of '%s'", fault ? fault : "no fault", words);
}

/* What the verifier is there for: schedules that are wrong. */
static void faults(void **state) {
  (void)state;
  Schedule *s = scheduled(CHAIN);
  Kernel **k = s->kernels.at, *first = k[0];
  k[0] = k[1];
  k[1] = first;
  expect_fault(s, "before it is made");
  s = scheduled(CHAIN);
  schedule_buffer(s, s->kernels.at[1]->members.at[0].node)->offset =
      schedule_buffer(s, s->kernels.at[0]->members.at[0].node)->offset;
  expect_fault(s, "overlap");
  s = scheduled(CHAIN);
  s->kernels.at[1]->operands.n--;
  expect_fault(s, "not among its operands");
  s = scheduled("%0 = param w : f32[64]\n"
                "%1 = comp f32[] [] sum(r0 < 64: %0[r0])\n"
                "%2 = comp f32[64] [i0] mul(2, %0[i0])\n"
                "%3 = store w = %2\n"
                "output sum = %1\n");
  k = s->kernels.at;
  first = k[0]; /* the sum, which has to come before w is overwritten */
  k[0] = k[1];
  k[1] = first;
  expect_fault(s, "overwritten");
}

/* The sums are made by the rows' kernel; what is left of those over all rows is to add the slices. */
static void sums_beside_rows(void **state) {
  (void)state;
  Schedule *s = scheduled(ROW_SUMS_OPEN("f32"));
  expect(s, "row=1 column=1");
  assert_int_equal(first_of(s, KERNEL_row)->members.n, 6);
  assert_int_equal(first_of(s, KERNEL_row)->block, 8);
  assert_int_equal(first_of(s, KERNEL_column)->members.n, 2);
  s = scheduled(ROW_SUMS_INNER("f32"));
  expect(s, "row=1 column=1");
  assert_int_equal(first_of(s, KERNEL_row)->block, 8);
  s = scheduled(ROW_SUMS_SECOND("f32"));
  expect(s, "row=1 column=1");
  assert_int_equal(first_of(s, KERNEL_row)->cut, 1);
  assert_int_equal(first_of(s, KERNEL_row)->block, 6);
  expect(scheduled(ROW_SUMS_KEPT("f32")), "row=1");
  expect(scheduled(ROW_SUMS_FEW("f32")), "row=1");
  s = scheduled(ROW_SUMS_OPEN("bf16")); /* a sum is rounded once, not at every row */
  assert_false(first_of(s, KERNEL_row)->sums);
}

/* Statistics of eight channels each: what is read by channel // 8 becomes a map over the group's row, written where
 * it lies in the whole. */
static void group_norm(void **state) {
  (void)state;
  Schedule *s = scheduled("dim B >= 0 batch\n"
                          "%0 = input x : f32[B, 32, 9]\n"
                          "%1 = comp f32[B, 4] [i0, i1] sum(r0 < 8, r1 < 9: %0[i0, 8*i1 + r0, r1])\n"
                          "%2 = comp f32[B, 4] [i0, i1] mul(%1[i0, i1], 0.1)\n"
                          "%3 = comp f32[B, 32, 9] [i0, i1, i2] sub(%0[i0, i1, i2], %2[i0, (i1 // 8)])\n"
                          "output y = %3\n");
  expect(s, "row=1");
  assert_int_equal(s->parts.n, 1);
  s = scheduled("dim B >= 0 batch\n" /* of an input there is no row at hand */
                "%0 = input x : f32[B, 32, 9]\n"
                "%1 = input m : f32[B, 4]\n"
                "%2 = comp f32[B, 32, 9] [i0, i1, i2] sub(%0[i0, i1, i2], %1[i0, (i1 // 8)])\n"
                "output y = %2\n");
  expect(s, "map=1");
  assert_int_equal(s->parts.n, 0);
}

/* A sum that the rows wait for is no sum beside them. */
static void sums_before_rows(void **state) {
  (void)state;
  Schedule *s = scheduled("dim B >= 0 batch\n"
                          "%0 = input x : f32[B, 600]\n"
                          "%1 = comp f32[600] [i0] sum(r0 < B: %0[r0, i0])\n"
                          "%2 = comp f32[B, 600] [i0, i1] sub(%0[i0, i1], %1[i1])\n"
                          "%3 = comp f32[B] [i0] sum(r0 < 600: mul(%2[i0, r0], %0[i0, r0]))\n"
                          "output y = %3\n");
  expect(s, "row=1 column=1");
  assert_int_equal(first_of(s, KERNEL_column)->members.n, 1);
}

static void printed(void **state) {
  (void)state;
  Schedule *s = scheduled(CHAIN);
  Buf b = {0};
  schedule_print(&b, s, NULL);
  plan_print(&b, s);
  assert_non_null(strstr(b.text, "  1 contraction grid [B, 128] k [256] tile "));
  assert_non_null(strstr(b.text, "bytes 1536*B + 131072 at - nn_contraction_"));
  assert_non_null(strstr(b.text, "arena 1536*B bytes"));
  buf_free(&b);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(linear_relu),
      TEST(convolution),
      TEST(softmax),
      TEST(softmax_backward),
      TEST(layer_norm),
      TEST(cross_entropy),
      TEST(mlp_step),
      TEST(adam_step),
      TEST(maps_with_several_results),
      TEST(equal_layers),
      TEST(peak),
      TEST(faults),
      TEST(printed),
      TEST(sums_beside_rows),
      TEST(sums_before_rows),
      TEST(group_norm),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
