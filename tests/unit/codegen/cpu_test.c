/* cpu_test.c - kernels of every kind as CPU code, against the interpreter: contiguous, strided, reversed and gathered
 * reads, guards, tails, rows, columns, full reductions, contractions, scatters, sorts; for small and odd batches, at
 * -O0 and -O2. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/codegen/kernel_run.h"
#include "tests/unit/row_sums.h"
#include "tests/unit/term_sums.h"
#include "tests/unit/unit.h"

static const int64_t batches[] = {1, 2, 3, 7, 31, 32, 33};

static Graph *read_text(Arena *a, const char *text) {
  char error[256] = "";
  Graph *g = graph_read(ir_new(a, str_table_new(a)), text, strlen(text), error);
  if (!g) fail_msg("%s", error);
  return g;
}

/* Where passes change the graph, the interpreter is given it as it was. */
static const char *text_run(const char *text, KernelRun *how) {
  Arena *a = arena_new();
  how->reference = how->passes ? read_text(a, text) : NULL;
  const char *fault = kernel_run(read_text(a, text), how);
  static char kept[400];
  if (fault) snprintf(kept, sizeof kept, "%s", fault);
  arena_free(a);
  return fault ? kept : NULL;
}

static void check_with(const char *text, bool passes) {
  static const char *const marches[] = {"native", "x86-64-v2", "x86-64-v3", "x86-64-v4"};
  for (size_t i = 0; i < sizeof batches / sizeof *batches; i++)
    for (int variant = 0; variant < 5; variant++) {
      int march = variant < 2 ? 0 : variant - 1;
      if (march == 2 && !__builtin_cpu_supports("fma")) continue;
      if (march == 3 && !__builtin_cpu_supports("avx512vl")) continue;
      if (march && batches[i] != 7 && batches[i] != 33) continue;
      KernelRun how = {.march = marches[march], .level = variant == 0 ? 0 : 2, .batch = batches[i]};
      how.chunks = 1 + (int)i % 3;
      how.seed = 1;
      how.passes = passes;
      how.show = getenv("SHOW") != NULL;
      const char *fault = text_run(text, &how);
      if (fault) fail_msg("B = %d, -O%d, %s: %s\n%s", (int)batches[i], how.level, how.march, fault, text);
    }
}

static void check(const char *text) { check_with(text, false); }

#define HEAD "graph t\ndim B >= 0 batch\n"

static void maps(void **state) {
  (void)state;
  check(HEAD "%0 = input x : f32[B, 5, 7]\n"
             "%1 = comp f32[B, 5, 7] [i0, i1, i2] add(mul(%0[i0, i1, i2], 2), 1)\n"
             "output y = %1\n");
  check(HEAD "%0 = input x : f32[B, 20]\n"
             "%1 = param b : f32[20]\n"
             "%2 = comp f32[B, 20] [i0, i1] add(%0[i0, i1], %1[i1])\n"
             "output y = %2\n");
  check(HEAD "%0 = input x : f32[B, 20]\n" /* transposed, reversed, strided */
             "%1 = comp f32[20, B] [i0, i1] %0[i1, i0]\n"
             "%2 = comp f32[B, 20] [i0, i1] %0[i0, 19 - i1]\n"
             "%3 = comp f32[B, 10] [i0, i1] %0[i0, 2*i1]\n"
             "output y = %1\noutput z = %2\noutput w = %3\n");
  check(HEAD "%0 = input x : f32[B, 37, 17]\n%1 = input z : f64[B, 40, 8]\n" /* strides up to the lanes and beyond */
             "%2 = comp f32[B, 100] [i0, i1] %0[i0, ((5*i1 + 2) // 17), (5*i1 + 2) - 17*((5*i1 + 2) // 17)]\n"
             "%3 = comp f32[B, 3, 5, 32] [i0, i1, i2, i3] %0[i0, i3 + i1, 3*i2 + 1]\n"
             "%4 = comp f32[B, 34] [i0, i1] %0[i0, ((16*i1 + 9) // 17), (16*i1 + 9) - 17*((16*i1 + 9) // 17)]\n"
             "%5 = comp f64[B, 8, 40] [i0, i1, i2] %1[i0, i2, i1]\n"
             "%6 = comp f64[B, 44] [i0, i1] %1[i0, ((7*i1 + 3) // 8), (7*i1 + 3) - 8*((7*i1 + 3) // 8)]\n"
             "output a = %2\noutput b = %3\noutput c = %4\noutput d = %5\noutput e = %6\n");
  check(HEAD "%0 = input x : f64[B, 20]\n"
             "%1 = comp f64[B, 20] [i0, i1] exp(mul(%0[i0, i1], %0[i0, i1]))\n"
             "output y = %1\n");
}

static void guards(void **state) {
  (void)state;
  check(HEAD "%0 = input x : f32[B, 6, 6]\n" /* padding */
             "%1 = comp f32[B, 9, 8] [i0, i1, i2] select(and(and(ge0(i1 - 1), ge0(6 - i1)), and(ge0(i2 - 1), ge0(6 - "
             "i2))), %0[i0, i1 - 1, i2 - 1], 0.5)\n"
             "output y = %1\n");
}

/* Of a row's indices the last ones lie one after the other, those before them do not; extents inside may be open. */
static void partly_straight_rows(void **state) {
  (void)state;
  check(HEAD "%0 = input x : f32[B, 3, 7, 5]\n"
             "%1 = comp i32[3] [i0] argmax(r0 < B, r1 < 7, r2 < 5: %0[r0, i0, r1, r2])\n"
             "%2 = comp f32[3] [i0] sum(r0 < B, r1 < 7, r2 < 5: %0[r0, i0, r1, r2])\n"
             "%3 = comp f32[B, 3, 7, 5] [i0, i1, i2, i3] sub(%0[i0, i1, i2, i3], %2[i1])\n"
             "output p = %1\noutput y = %3\n");
  check(HEAD "%0 = input x : f64[4, 3, B, 6]\n%1 = input z : f64[2, 3, 5, 4, 6]\n"
             "%2 = comp f64[3] [i0] sum(r0 < 4, r1 < B, r2 < 6: %0[r0, i0, r1, r2])\n"
             "%3 = comp i32[3] [i0] argmin(r0 < 2, r1 < 5, r2 < 4, r3 < 6: %1[r0, i0, r1, r2, r3])\n"
             "%4 = comp i32[3] [i0] argmax(r0 < 2, r1 < 4, r2 < 5, r3 < 6: %1[r0, i0, r2, r1, r3])\n"
             "output y = %2\noutput p = %3\noutput q = %4\n");
}

/* What the second operand of `and` or `or` reads is nowhere where the first has settled it: behind the memory's end.
 */
static void lazy_conditions(void **state) {
  (void)state;
  check(HEAD
        "%0 = input x : f32[B, 18]\n"
        "%1 = comp f32[B, 300] [i0, i1] select(and(ge0(17 - i1), gt(%0[i0, i1], 0)), 1, 2)\n"
        "%2 = comp f32[B, 300] [i0, i1] select(or(ge0(i1 - 18), gt(%0[i0, i1], 0)), 1, 2)\n"
        "%3 = comp bool[B] [i0] all(r0 < 300: or(ge0(r0 - 18), gt(%0[i0, r0], -1)))\n"
        "%4 = comp f32[B] [i0] sum(r0 < 3000: select(and(and(ge0(17 - r0), gt(%0[i0, r0], -1)), lt(%0[i0, r0], 0)), "
        "%0[i0, r0], 0))\n"
        "output a = %1\noutput b = %2\noutput c = %3\noutput d = %4\n");
}

static void gathers(void **state) {
  (void)state;
  check(HEAD "%0 = input x : f32[3, 18]\n"
             "%1 = input y : i32[B]\n"
             "%2 = comp f32[B, 18] [i0, i1] %0[%1[i0], i1]\n"
             "%3 = comp f32[B, 18] [i0, i1] select(eq(%1[i0], i32(i1)), 1, 0)\n"
             "output a = %2\noutput b = %3\n");
}

static void reductions(void **state) {
  (void)state;
  check(HEAD "%0 = input x : f32[B, 50]\n"
             "%1 = comp f32[B] [i0] sum(r0 < 50: %0[i0, r0])\n"
             "%2 = comp f32[50] [i0] sum(r0 < B: %0[r0, i0])\n"
             "%3 = comp f32[] [] sum(r0 < B, r1 < 50: %0[r0, r1])\n"
             "output a = %1\noutput b = %2\noutput c = %3\n");
  check(HEAD "%0 = input x : f32[B, 50]\n"
             "%1 = comp f32[B] [i0] max(r0 < 50: %0[i0, r0])\n"
             "%2 = comp i32[B] [i0] argmax(r0 < 50: %0[i0, r0])\n"
             "%3 = comp i32[] [] argmin(r0 < 9, r1 < 50: %0[0, r1])\n"
             "%4 = comp bool[B] [i0] any(r0 < 50: gt(%0[i0, r0], 1.4))\n"
             "%5 = comp bool[50] [i0] all(r0 < B: gt(%0[r0, i0], -1.2))\n"
             "%6 = comp f32[B] [i0] prod(r0 < 3: %0[i0, r0])\n"
             "output a = %1\noutput b = %2\noutput c = %3\noutput d = %4\noutput e = %5\noutput f = %6\n");
}

/* Few positions that share what they read, in one loop over the row: guarded windows, steps of two with more places
 * than are done together, two accumulators a place. */
static void taps(void **state) {
  (void)state;
  check(HEAD "%0 = input x : f32[B, 12, 9, 21]\n%1 = input g : f32[B, 12, 9, 21]\n"
             "%2 = comp f32[12, 1, 3, 3] [i0, i1, i2, i3] sum(r0 < B, r1 < 9, r2 < 21: select(and(ge0(i2 + r1 - 1), "
             "and(ge0(-i2 - r1 + 9), and(ge0(i3 + r2 - 1), ge0(-i3 - r2 + 21)))), "
             "mul(%1[r0, i0, r1, r2], %0[r0, i0, i2 + r1 - 1, i3 + r2 - 1]), 0))\noutput y = %2\n");
  check(HEAD "%0 = input x : f64[B, 8, 19, 43]\n%1 = input g : f64[B, 8, 8, 20]\n"
             "%2 = comp f64[B, 8, 5, 5] [i0, i1, i2, i3] sum(r0 < 8, r1 < 20: mul(%1[i0, i1, r0, r1], "
             "%0[i0, i1, 2*r0 + i2, 2*r1 + i3]))\noutput y = %2\n");
  check(HEAD "%0 = input x : f32[B, 9, 60]\n%1 = input g : f32[B, 9, 57]\n"
             "%2 = comp i32[B, 9, 4] [i0, i1, i2] argmax(r0 < 57: add(%1[i0, i1, r0], %0[i0, i1, r0 + i2]))\n"
             "output y = %2\n");
}

static void softmax(void **state) {
  (void)state;
  check(HEAD "%0 = input x : f32[B, 37]\n"
             "%1 = comp f32[B] [i0] max(r0 < 37: %0[i0, r0])\n"
             "%2 = comp f32[B, 37] [i0, i1] exp(sub(%0[i0, i1], %1[i0]))\n"
             "%3 = comp f32[B] [i0] sum(r0 < 37: %2[i0, r0])\n"
             "%4 = comp f32[B, 37] [i0, i1] div(%2[i0, i1], %3[i0])\n"
             "output y = %4\n");
  check(HEAD "%0 = input x : f32[B, 3]\n"
             "%1 = comp f32[B] [i0] max(r0 < 3: %0[i0, r0])\n"
             "%2 = comp f32[B, 3] [i0, i1] exp(sub(%0[i0, i1], %1[i0]))\n"
             "%3 = comp f32[B] [i0] sum(r0 < 3: %2[i0, r0])\n"
             "%4 = comp f32[B, 3] [i0, i1] div(%2[i0, i1], %3[i0])\n"
             "output y = %4\n");
}

static void contractions(void **state) {
  (void)state;
  check(HEAD "%0 = input x : f32[B, 64]\n"
             "%1 = param w : f32[40, 64]\n"
             "%2 = param b : f32[40]\n"
             "%3 = comp f32[B, 40] [i0, i1] sum(r0 < 64: mul(%0[i0, r0], %1[i1, r0]))\n"
             "%4 = comp f32[B, 40] [i0, i1] max(add(%3[i0, i1], %2[i1]), 0)\n"
             "output y = %4\n");
  check(HEAD "%0 = input x : f64[B, 30]\n"
             "%1 = input g : f64[B, 20]\n"
             "%2 = comp f64[20, 30] [i0, i1] sum(r0 < B: mul(%1[r0, i0], %0[r0, i1]))\n"
             "output dw = %2\n");
  check(
      HEAD
      "%0 = input x : f32[B, 9, 9, 8]\n" /* a convolution with padding */
      "%1 = param w : f32[24, 3, 3, 8]\n"
      "%2 = comp f32[B, 9, 9, 24] [i0, i1, i2, i3] sum(r0 < 3, r1 < 3, r2 < 8: mul(select(and(and(ge0(i1 + r0 - 1), "
      "ge0(9 - i1 - r0)), and(ge0(i2 + r1 - 1), ge0(9 - i2 - r1))), %0[i0, i1 + r0 - 1, i2 + r1 - 1, r2], 0), "
      "%1[i3, r0, r1, r2]))\n"
      "output y = %2\n");
  check(
      HEAD
      "%0 = input x : f32[B, 9, 9, 32]\n" /* whose channels are whole vectors */
      "%1 = param w : f32[24, 3, 3, 32]\n"
      "%2 = comp f32[B, 9, 9, 24] [i0, i1, i2, i3] sum(r0 < 3, r1 < 3, r2 < 32: mul(select(and(and(ge0(i1 + r0 - 1), "
      "ge0(9 - i1 - r0)), and(ge0(i2 + r1 - 1), ge0(9 - i2 - r1))), %0[i0, i1 + r0 - 1, i2 + r1 - 1, r2], 0), "
      "%1[i3, r0, r1, r2]))\n"
      "output y = %2\n");
}

/* K in blocks: too long to pack at once, or open. */
static void long_contractions(void **state) {
  (void)state;
  check(HEAD "%0 = input x : f32[B, 2500]\n"
             "%1 = param w : f32[21, 2500]\n"
             "%2 = param b : f32[21]\n"
             "%3 = comp f32[B, 21] [i0, i1] sum(r0 < 2500: mul(%0[i0, r0], %1[i1, r0]))\n"
             "%4 = comp f32[B, 21] [i0, i1] tanh(mul(add(%3[i0, i1], %2[i1]), 0.01))\n"
             "output y = %4\n");
  check(HEAD
        "%0 = input x : f32[B, 7, 9]\n" /* a window's gradient */
        "%1 = input g : f32[B, 7, 16]\n"
        "%2 = comp f32[16, 3, 9] [i0, i1, i2] sum(r0 < B, r1 < 7: mul(%1[r0, r1, i0], select(and(ge0(r1 + i1 - 1), "
        "ge0(7 - r1 - i1)), %0[r0, r1 + i1 - 1, i2], 0)))\n"
        "output dw = %2\n");
}

/* Masked across rows and columns of the result, batched, of integers, and with a mapped operand. */
static void odd_contractions(void **state) {
  (void)state;
  check(HEAD "%0 = input q : f32[B, 12, 16]\n"
             "%1 = input k : f32[B, 12, 16]\n"
             "%2 = comp f32[B, 12, 12] [i0, i1, i2] sum(r0 < 16: mul(%0[i0, i1, r0], %1[i0, i2, r0]))\n"
             "%3 = comp f32[B, 12, 12] [i0, i1, i2] select(ge0(i1 - i2), %2[i0, i1, i2], -1e30)\n"
             "%4 = comp f32[B, 12] [i0, i1] max(r0 < 12: %3[i0, i1, r0])\n"
             "%5 = comp f32[B, 12, 12] [i0, i1, i2] exp(sub(%3[i0, i1, i2], %4[i0, i1]))\n"
             "%6 = comp f32[B, 12] [i0, i1] sum(r0 < 12: %5[i0, i1, r0])\n"
             "%7 = comp f32[B, 12, 12] [i0, i1, i2] div(%5[i0, i1, i2], %6[i0, i1])\n"
             "%8 = comp f32[B, 12, 16] [i0, i1, i2] sum(r0 < 12: select(ge0(i1 - r0), mul(%7[i0, i1, r0], %1[i0, r0, "
             "i2]), 0))\n"
             "output y = %8\n");
  check(HEAD "%0 = input x : i32[B, 18]\n"
             "%1 = param w : i32[18, 20]\n"
             "%2 = comp i32[B, 20] [i0, i1] sum(r0 < 18: mul(%0[i0, r0], %1[r0, i1]))\n"
             "output y = %2\n");
  check(HEAD "%0 = input x : f64[B, 18]\n"
             "%1 = param w : f64[35, 18]\n"
             "%2 = comp f64[B, 35] [i0, i1] sum(r0 < 18: mul(max(%0[i0, r0], 0), exp(%1[i1, r0])))\n"
             "output y = %2\n");
}

/* Groups along columns, with values kept for each position. */
static void column_groups(void **state) {
  (void)state;
  check(HEAD "%0 = input x : f32[B, 37]\n"
             "%1 = comp f32[37] [i0] max(r0 < B: %0[r0, i0])\n"
             "%2 = comp f32[B, 37] [i0, i1] exp(sub(%0[i0, i1], %1[i1]))\n"
             "%3 = comp f32[37] [i0] sum(r0 < B: %2[r0, i0])\n"
             "%4 = comp f32[B, 37] [i0, i1] div(%2[i0, i1], %3[i1])\n"
             "output y = %4\n");
}

/* NaN wins in max and min, and its first place is their position; comparisons with it are false. */
static void not_numbers(void **state) {
  (void)state;
  check(HEAD
        "%0 = input x : f32[B, 21]\n"
        "%1 = comp f32[B, 21] [i0, i1] sqrt(add(%0[i0, i1], 1.2))\n"
        "%2 = comp f32[B] [i0] max(r0 < 21: %1[i0, r0])\n"
        "%3 = comp i32[B] [i0] argmax(r0 < 21: %1[i0, r0])\n"
        "%4 = comp i32[21] [i0] argmin(r0 < B: %1[r0, i0])\n"
        "%5 = comp f32[B, 21] [i0, i1] max(%1[i0, i1], 0.5)\n"
        "%6 = comp f32[B, 21] [i0, i1] min(0.5, %1[i0, i1])\n"
        "%7 = comp bool[B, 21] [i0, i1] le(%1[i0, i1], 0.5)\n"
        "%8 = comp f32[B, 21] [i0, i1] max(%1[i0, i1], %1[i0, 20 - i1])\n"
        "output a = %2\noutput b = %3\noutput c = %4\noutput d = %5\noutput e = %6\noutput f = %7\noutput g = %8\n");
}

/* A view of a tensor with dimensions of one element, read beside it: the reads of both stay what they are. */
static void views(void **state) {
  (void)state;
  check(HEAD "%0 = input x : f32[5, 1, 1]\n"
             "%1 = comp f32[5, 1, 1] [i0, i1, i2] tanh(%0[i0, i1, i2])\n"
             "%2 = comp f32[5] [i0] %1[i0, 0, 0]\n"
             "%3 = comp f32[5] [i0] sub(%1[i0, 0, 0], mul(2, %2[i0]))\n"
             "output y = %3\n");
  check(HEAD "%0 = input x : f32[B, B, 13]\n" /* the transposed view is whole only after the kernel that makes it */
             "%1 = comp f32[B, B, 13] [i0, i1, i2] tanh(%0[i0, i1, i2])\n"
             "%2 = comp f32[B, B, 13] [i0, i1, i2] %1[i1, i0, i2]\n"
             "%3 = comp f32[B, B, 13] [i0, i1, i2] sub(%1[i0, i1, i2], mul(2, %2[i0, i1, i2]))\n"
             "output y = %3\n");
}

/* Rows, columns and a whole of which a condition leaves nothing: inputs are at most 3/2. */
static void infinities(void **state) {
  (void)state;
  check(HEAD "%0 = input x : f32[B, 37]\n"
             "%1 = comp f32[B] [i0] max(r0 < 37: select(gt(%0[i0, r0], 100), %0[i0, r0], -inf))\n"
             "%2 = comp f32[B] [i0] min(r0 < 37: select(gt(%0[i0, r0], 100), %0[i0, r0], inf))\n"
             "%3 = input y : f32[20, 37]\n"
             "%4 = comp f32[37] [i0] max(r0 < 20: select(gt(%3[r0, i0], 100), %3[r0, i0], -inf))\n"
             "%5 = comp f32[] [] min(r0 < 20, r1 < 37: select(gt(%3[r0, r1], 100), %3[r0, r1], inf))\n"
             "output a = %1\noutput b = %2\noutput c = %4\noutput d = %5\n");
}

/* Integers: division and remainder round down, also where the divisor is 0 or negative; casts truncate and saturate.
 */
static void integers(void **state) {
  (void)state;
  check(HEAD "%0 = input x : i32[B, 21]\n"
             "%1 = input y : i32[B, 21]\n"
             "%2 = input z : f32[B, 21]\n"
             "%3 = comp i32[B, 21] [i0, i1] floordiv(sub(mul(%0[i0, i1], 7), 9), sub(mul(%1[i0, i1], 2), 3))\n"
             "%4 = comp i32[B, 21] [i0, i1] mod(sub(mul(%0[i0, i1], 7), 9), sub(mul(%1[i0, i1], 2), 3))\n"
             "%5 = comp i32[B, 21] [i0, i1] cast(i32, mul(%2[i0, i1], 3))\n"
             "%6 = comp u8[B, 21] [i0, i1] cast(u8, mul(%2[i0, i1], 300))\n"
             "%7 = comp f32[B, 21] [i0, i1] cast(f32, %6[i0, i1])\n"
             "%8 = comp i64[B, 21] [i0, i1] mul(cast(i64, %0[i0, i1]), 5000000000)\n"
             "%9 = comp i32[B, 21] [i0, i1] floordiv(%0[i0, i1], sub(%1[i0, i1], 1))\n"
             "%10 = comp i32[B, 21] [i0, i1] mod(%0[i0, i1], sub(%1[i0, i1], 1))\n"
             "output a = %3\noutput b = %4\noutput c = %5\noutput d = %6\noutput e = %7\noutput f = %8\noutput g = "
             "%9\noutput h = %10\n");
}

/* f16 and bf16: arithmetic in f32, rounded after each operation; sums rounded once. */
static void narrow_floats(void **state) {
  (void)state;
  check(HEAD "%0 = input x : f16[B, 21]\n"
             "%1 = input y : bf16[B, 21]\n"
             "%2 = comp f16[B, 21] [i0, i1] add(mul(%0[i0, i1], %0[i0, i1]), 0.1)\n"
             "%3 = comp bf16[B, 21] [i0, i1] div(%1[i0, i1], 3)\n"
             "%4 = comp f16[B, 21] [i0, i1] mul(cast(f16, %1[i0, i1]), 1e-5)\n"
             "%5 = comp f16[B, 21] [i0, i1] mul(%0[i0, i1], 60000)\n"
             "%6 = comp f32[B] [i0] sum(r0 < 21: cast(f32, %1[i0, r0]))\n"
             "%7 = comp f16[B] [i0] max(r0 < 21: %0[i0, r0])\n"
             "output a = %2\noutput b = %3\noutput c = %4\noutput d = %5\noutput e = %6\noutput f = %7\n");
}

/* Numbers half way between two narrow ones go to the even one, down (257 to 256 in bf16) and up (259 to 260). As
 * integers, which are compared exactly: where floats differ, the test asks what roundings change, and there it is as
 * much. */
static void ties(void **state) {
  (void)state;
  check(HEAD "%0 = comp i32[256] [i0] cast(i32, cast(bf16, i32(i0 + 256)))\n"
             "%1 = comp i32[256] [i0] cast(i32, neg(cast(bf16, i32(2*i0 + 512))))\n"
             "%2 = comp i32[256] [i0] cast(i32, cast(f16, i32(i0 + 2048)))\n"
             "%3 = input n : i32[B, 19]\n"
             "%4 = comp i32[B, 19] [i0, i1] cast(i32, mul(cast(bf16, add(mul(%3[i0, i1], 2), 129)), 3))\n"
             "output a = %0\noutput b = %1\noutput c = %2\noutput d = %4\n");
}

static void sums_beside_rows(void **state) {
  (void)state;
  check_with(ROW_SUMS_OPEN("f32"), true);
  check_with(ROW_SUMS_INNER("f32"), true);
  check_with(ROW_SUMS_KEPT("f32"), true);
  check_with(ROW_SUMS_FEW("f32"), true);
  check_with(ROW_SUMS_SECOND("f64"), true);
}

/* Reductions to one number, long enough for slices: of an extent that eight divide, and of one with a rest. */
static void slices(void **state) {
  (void)state;
  check_with(HEAD "%0 = input x : f32[B, 40, 31]\n%1 = input y : f32[B, 37, 31]\n"
                  "%2 = comp f32[] [] sum(r0 < B, r1 < 40, r2 < 31: %0[r0, r1, r2])\n"
                  "%3 = comp f32[] [] max(r0 < B, r1 < 67, r2 < 31: %1[r0, r1 // 2, r2])\n"
                  "%4 = comp f32[] [] min(r0 < B, r1 < 67, r2 < 31: neg(%1[r0, r1 // 2, r2]))\n"
                  "%5 = comp bool[] [] all(r0 < B, r1 < 67, r2 < 31: gt(%1[r0, r1 // 2, r2], -2))\n"
                  "output a = %2\noutput b = %3\noutput c = %4\noutput d = %5\n",
             true);
}

static void sums_of_terms(void **state) {
  (void)state;
  check_with(TERM_SUMS("f32"), true);
}

static void scatters(void **state) {
  (void)state;
  check(HEAD "%0 = input x : f32[B, 18]\n"
             "%1 = input y : i32[B]\n"
             "%2 = scatter f32[3, 18] (r0 < B, r1 < 18) [%1[r0], r1] += %0[r0, r1]\n"
             "output y = %2\n");
  check(HEAD "%0 = input x : f32[B, 4, 45]\n" /* rows long enough for several owners */
             "%1 = input y : i32[B, 4]\n"
             "%2 = scatter f32[13, 45] (r0 < B, r1 < 4, r2 < 45) [add(mul(%1[r0, r1], 5), i32(r1 // 3)), r2] += "
             "exp(%0[r0, r1, r2])\n"
             "%3 = scatter f32[B, 3, 45] (r0 < B, r1 < 4, r2 < 45) [r0, %1[r0, r1], r2] += %0[r0, r1, r2]\n"
             "%4 = scatter f32[3, 57] (r0 < B, r1 < 4, r2 < 45) [%1[r0, r1], 3*r1 + r2] += %0[r0, r1, r2]\n"
             "output y = %2\noutput z = %3\noutput w = %4\n");
  check(HEAD "%0 = input y : i32[B, 4]\n" /* the largest */
             "%1 = scatter i32[13] (r0 < B, r1 < 4) [mul(%0[r0, r1], 5)] max= i32(4*r0 + r1)\n"
             "%2 = scatter i32[3, 45] (r0 < B, r1 < 45) [%0[r0, 0], r1] max= i32(r0)\n"
             "output y = %1\noutput z = %2\n");
}

/* Rows that data names are updated, some twice; the others are as they were. */
static void rows_of_tables(void **state) {
  (void)state;
  check_with(HEAD "%0 = param w : f32[300, 19]\n%1 = state m : f32[300, 19]\n"
                  "%2 = input t : i32[B]\n%3 = input u : i32[5, 2]\n%4 = input x : f32[B, 19]\n"
                  "%5 = scatter f32[300, 19] (r0 < B, r1 < 19) [mul(%2[r0], 9), r1] += %4[r0, r1]\n"
                  "%6 = scatter f32[300, 19] (r0 < 5, r1 < 19, r2 < 2) [mul(%3[r0, r2], 7), r1] += "
                  "mul(cast(f32, i32(r0)), %0[%3[r0, r2], r1])\n"
                  "%7 = comp f32[300, 19] [i0, i1] add(%5[i0, i1], %6[i0, i1])\n"
                  "%8 = comp f32[] [] sum(r0 < 300, r1 < 19: abs(%7[r0, r1]))\n"
                  "%9 = comp bool[300] [i0] any(r0 < 19: ne(%7[i0, r0], 0))\n"
                  "%10 = comp f32[300, 19] [i0, i1] add(mul(0.9, %1[i0, i1]), div(%7[i0, i1], add(1, %8[])))\n"
                  "%11 = comp f32[300, 19] [i0, i1] select(%9[i0], sub(%0[i0, i1], %10[i0, i1]), %0[i0, i1])\n"
                  "%12 = comp f32[300, 19] [i0, i1] select(%9[i0], %10[i0, i1], %1[i0, i1])\n"
                  "%13 = store w = %11\n%14 = store m = %12\noutput y = %8\n",
             true);
}

static void sorts(void **state) {
  (void)state;
  check(HEAD "%0 = input x : f32[B, 3, 57]\n"
             "%1 = input y : i32[B, 5]\n"
             "%2 = input z : f16[300]\n"
             "%3 = sort i32[B, 3, 57] [i0, i1, i2] ascending floor(mul(%0[i0, i1, i2], 9))\n"
             "%4 = sort i32[B, 5] [i0, i1] descending %1[i0, i1]\n"
             "%5 = sort i32[300] [i0] descending %2[i0]\n"
             "%6 = sort i32[3, B] [i0, i1] ascending cast(f64, %0[i1, i0, 0])\n"
             "%7 = comp f32[B, 3, 57] [i0, i1, i2] %0[i0, i1, %3[i0, i1, i2]]\n"
             "output a = %3\noutput b = %4\noutput c = %5\noutput d = %6\noutput e = %7\n");
}

static void draws(void **state) {
  (void)state;
  check(HEAD "%0 = input seed : i64[]\n"
             "%1 = input step : i32[]\n"
             "%2 = input place : i64[B]\n"
             "%3 = comp f32[B, 21] [i0, i1] random(f32, 0x77, %0[], %1[], %2[i0], i1)\n"
             "%4 = comp f64[B, 21] [i0, i1] random(f64, 0x78, %0[], %1[], %2[i0], i1)\n"
             "output y = %3\noutput z = %4\n");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(maps),
      cmocka_unit_test(guards),
      cmocka_unit_test(partly_straight_rows),
      cmocka_unit_test(gathers),
      cmocka_unit_test(lazy_conditions),
      cmocka_unit_test(reductions),
      cmocka_unit_test(taps),
      cmocka_unit_test(softmax),
      cmocka_unit_test(contractions),
      cmocka_unit_test(long_contractions),
      cmocka_unit_test(odd_contractions),
      cmocka_unit_test(column_groups),
      cmocka_unit_test(not_numbers),
      cmocka_unit_test(views),
      cmocka_unit_test(infinities),
      cmocka_unit_test(integers),
      cmocka_unit_test(narrow_floats),
      cmocka_unit_test(ties),
      cmocka_unit_test(sums_beside_rows),
      cmocka_unit_test(slices),
      cmocka_unit_test(sums_of_terms),
      cmocka_unit_test(scatters),
      cmocka_unit_test(rows_of_tables),
      cmocka_unit_test(sorts),
      cmocka_unit_test(draws),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
