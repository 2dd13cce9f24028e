/* schedule_test.c - the structure of schedules: which kernels, of what kind, and that nothing is copied. */
#include "ir/derive.h"
#include "ir/kernel.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const Target avx512 = {.vector_bytes = 64, .registers = 32, .fma = true, .l1 = 48 << 10, .l2 = 1 << 20};

/* The schedule of the graph that text gives, verified. SHOW=1 in the environment prints it. */
static Schedule *scheduled(const char *text) {
  Arena *a = arena_new();
  Ir *ir = ir_new(a, str_table_new(a));
  char error[256] = "";
  Graph *g = graph_read(ir, text, strlen(text), error);
  if (!g) fail_msg("%s", error);
  Schedule *s = schedule(g, &avx512, a, 2);
  if (getenv("SHOW")) {
    Buf b = {0};
    schedule_print(&b, s, NULL);
    plan_print(&b, s);
    fputs(b.text, stdout);
    buf_free(&b);
  }
  const char *fault = schedule_verify(s);
  if (fault) fail_msg("%s", fault);
  return s;
}

static int kernels_of(const Schedule *s, KernelKind kind) {
  int n = 0;
  for (int i = 0; i < s->kernels.n; i++) n += s->kernels.at[i]->kind == kind;
  return n;
}

static int copies(const Schedule *s) {
  int n = 0;
  for (int i = 0; i < s->kernels.n; i++)
    for (int j = 0; j < s->kernels.at[i]->members.n; j++)
      n += s->kernels.at[i]->members.at[j].node->body->kind == EXPR_READ &&
           s->kernels.at[i]->members.at[j].node->reducer == RED_none;
  return n;
}

/* One step of a two-layer network with cross-entropy and plain descent, as the passes leave it. */
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
  "%7 = comp f32[B, 128] [i0, i1] max(add(%6[i0, i1], %3[i1]), 0)\n"                                                 \
  "%8 = comp f32[B, 10] [i0, i1] sum(r0 < 128: mul(%7[i0, r0], %4[i1, r0]))\n"                                       \
  "%9 = comp f32[B, 10] [i0, i1] add(%8[i0, i1], %5[i1])\n"                                                          \
  "%10 = comp f32[B] [i0] max(r0 < 10: %9[i0, r0])\n"                                                                \
  "%11 = comp f32[B] [i0] sum(r0 < 10: exp(sub(%9[i0, r0], %10[i0])))\n"                                             \
  "%12 = comp f32[B] [i0] sub(add(log(%11[i0]), %10[i0]), %9[i0, %1[i0]])\n"                                         \
  "%13 = comp f32[] [] sum(r0 < B: %12[r0])\n"                                                                       \
  "%14 = comp f32[] [] div(%13[], cast(f32, i32(B)))\n"                                                              \
  "%15 = comp f32[B, 10] [i0, i1] t0 = exp(sub(%9[i0, i1], %10[i0])); "                                              \
  "mul(div(1, cast(f32, i32(B))), sub(div(t0, %11[i0]), select(eq(%1[i0], i32(i1)), 1, 0)))\n"                       \
  "%16 = comp f32[10] [i0] sum(r0 < B: %15[r0, i0])\n"                                                               \
  "%17 = comp f32[10, 128] [i0, i1] sum(r0 < B: mul(%15[r0, i0], %7[r0, i1]))\n"                                     \
  "%18 = comp f32[B, 128] [i0, i1] sum(r0 < 10: mul(%15[i0, r0], %4[r0, i1]))\n"                                     \
  "%19 = comp f32[B, 128] [i0, i1] select(gt(%7[i0, i1], 0), %18[i0, i1], 0)\n"                                      \
  "%20 = comp f32[128] [i0] sum(r0 < B: %19[r0, i0])\n"                                                              \
  "%21 = comp f32[128, 64] [i0, i1] sum(r0 < B: mul(%19[r0, i0], %0[r0, i1]))\n"                                     \
  "%22 = comp f32[128, 64] [i0, i1] sub(%2[i0, i1], mul(0.1, %21[i0, i1]))\n"                                        \
  "%23 = comp f32[128] [i0] sub(%3[i0], mul(0.1, %20[i0]))\n"                                                        \
  "%24 = comp f32[10, 128] [i0, i1] sub(%4[i0, i1], mul(0.1, %17[i0, i1]))\n"                                        \
  "%25 = comp f32[10] [i0] sub(%5[i0], mul(0.1, %16[i0]))\n"                                                         \
  "%26 = store w1 = %22\n"                                                                                           \
  "%27 = store b1 = %23\n"                                                                                           \
  "%28 = store w2 = %24\n"                                                                                           \
  "%29 = store b2 = %25\n"                                                                                           \
  "output loss = %14\n"

static void mlp_step(void **state) {
  (void)state;
  Schedule *s = scheduled(MLP_STEP);
  assert_int_equal(kernels_of(s, KERNEL_contraction), 5); /* two forward, the data gradient, two weight updates */
  assert_int_equal(kernels_of(s, KERNEL_row), 1);         /* max, sum, losses, their derivative */
  assert_int_equal(kernels_of(s, KERNEL_full), 1);        /* the mean */
  assert_int_equal(kernels_of(s, KERNEL_column), 2);      /* two bias updates */
  assert_int_equal(kernels_of(s, KERNEL_map), 0);
  assert_int_equal(copies(s), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(mlp_step),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
