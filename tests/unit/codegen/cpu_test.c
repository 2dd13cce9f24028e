/* cpu_test.c - kernels of every kind as CPU code, against the interpreter: contiguous, strided, reversed and gathered
 * reads, guards, tails, rows, columns, full reductions, contractions, scatters; for small and odd batches, at -O0 and
 * -O2. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/codegen/kernel_run.h"
#include "tests/unit/unit.h"

static const int64_t batches[] = {1, 2, 3, 7, 31, 32, 33};

static const char *text_run(const char *text, const KernelRun *how) {
  Arena *a = arena_new();
  Ir *ir = ir_new(a, str_table_new(a));
  char error[256] = "";
  Graph *g = graph_read(ir, text, strlen(text), error);
  if (!g) fail_msg("%s", error);
  const char *fault = kernel_run(g, how);
  static char kept[400];
  if (fault) snprintf(kept, sizeof kept, "%s", fault);
  arena_free(a);
  return fault ? kept : NULL;
}

static void check(const char *text) {
  static const char *const marches[] = {"native", "x86-64-v2", "x86-64-v3"};
  for (size_t i = 0; i < sizeof batches / sizeof *batches; i++)
    for (int variant = 0; variant < 4; variant++) {
      int march = variant < 2 ? 0 : variant - 1;
      if (march == 2 && !__builtin_cpu_supports("fma")) continue;
      if (march && batches[i] != 7 && batches[i] != 33) continue;
      KernelRun how = {.march = marches[march], .level = variant == 0 ? 0 : 2, .batch = batches[i]};
      how.chunks = 1 + (int)i % 3;
      how.seed = 1;
      how.show = getenv("SHOW") != NULL;
      const char *fault = text_run(text, &how);
      if (fault) fail_msg("B = %d, -O%d, %s: %s\n%s", (int)batches[i], how.level, how.march, fault, text);
    }
}

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

static void softmax(void **state) {
  (void)state;
  check(HEAD "%0 = input x : f32[B, 37]\n"
             "%1 = comp f32[B] [i0] max(r0 < 37: %0[i0, r0])\n"
             "%2 = comp f32[B, 37] [i0, i1] exp(sub(%0[i0, i1], %1[i0]))\n"
             "%3 = comp f32[B] [i0] sum(r0 < 37: %2[i0, r0])\n"
             "%4 = comp f32[B, 37] [i0, i1] div(%2[i0, i1], %3[i0])\n"
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
}

static void scatters(void **state) {
  (void)state;
  check(HEAD "%0 = input x : f32[B, 18]\n"
             "%1 = input y : i32[B]\n"
             "%2 = scatter f32[3, 18] (r0 < B, r1 < 18) [%1[r0], r1] += %0[r0, r1]\n"
             "output y = %2\n");
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
      cmocka_unit_test(maps),       cmocka_unit_test(guards),  cmocka_unit_test(gathers),
      cmocka_unit_test(reductions), cmocka_unit_test(softmax), cmocka_unit_test(contractions),
      cmocka_unit_test(scatters),   cmocka_unit_test(draws),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
