/* mixes_test.c - which losses may be had from the pieces of a batch. */
#include "ir/mixes.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

static const char *const head = "graph g\n"
                                "dim B >= 1 batch\n"
                                "%0 = input x : f32[B, 8]\n"
                                "%1 = param w : f32[4, 8]\n"
                                "%2 = input y : i32[B]\n"
                                "%3 = comp f32[B, 4] [i0, i1] sum(r0 < 8: mul(%0[i0, r0], %1[i1, r0]))\n"
                                "%4 = comp f32[B] [i0] sub(%3[i0, %2[i0]], 1)\n"
                                "%5 = comp f32[] [] sum(r0 < B: %4[r0])\n"
                                "%6 = comp f32[] [] div(%5[], cast(f32, i64(B)))\n";

/* The node where the loss, the last node of `tail`, mixes; -1: nowhere. */
static int mixed_at(const char *tail, const char **why) {
  Arena *a = arena_new();
  Ir *ir = ir_new(a, str_table_new(a));
  char text[2048], error[256] = "";
  snprintf(text, sizeof text, "%s%s", head, tail);
  Graph *g = graph_read(ir, text, strlen(text), error);
  if (!g) fail_msg("%s", error);
  Node *n = batch_mixed_at(g, g->outputs.at[0].node, why);
  int id = n ? n->id : -1;
  arena_free(a);
  return id;
}

static void means(void **state) {
  (void)state;
  static const char *const tails[] = {
      "output loss = %6\n",
      /* divided before it is summed; a mean and the weights' decay; half a mean less another */
      "%7 = comp f32[] [] sum(r0 < B: div(%4[r0], cast(f32, i64(B))))\noutput loss = %7\n",
      "%7 = comp f32[] [] sum(r0 < 4, r1 < 8: mul(%1[r0, r1], %1[r0, r1]))\n"
      "%8 = comp f32[] [] add(%6[], mul(0.01, %7[]))\noutput loss = %8\n",
      "%7 = comp f32[] [] sum(r0 < B, r1 < 4: exp(%3[r0, r1]))\n"
      "%8 = comp f32[] [] sub(mul(0.5, %6[]), div(%7[], cast(f32, i64(B))))\noutput loss = %8\n",
      /* the largest of each example's own */
      "%7 = comp f32[B] [i0] max(r0 < 4: %3[i0, r0])\n"
      "%8 = comp f32[] [] sum(r0 < B: mul(%7[r0], %4[r0]))\n"
      "%9 = comp f32[] [] div(%8[], cast(f32, i64(B)))\noutput loss = %9\n",
  };
  const char *why;
  for (size_t i = 0; i < sizeof tails / sizeof *tails; i++) assert_int_equal(mixed_at(tails[i], &why), -1);
}

static void mixtures(void **state) {
  (void)state;
  static const struct {
    const char *tail;
    int at;
    const char *why;
  } cases[] = {
      {"output loss = %5\n", 5, "sum"},
      /* no linear function of the mean; a product of means; the mean taken from each; times B; by the place */
      {"%7 = comp f32[] [] sqrt(%6[])\noutput loss = %7\n", 7, "mixes"},
      {"%7 = comp f32[] [] mul(%6[], %6[])\noutput loss = %7\n", 7, "mixes"},
      {"%7 = comp f32[B] [i0] sub(%4[i0], %6[])\n%8 = comp f32[] [] sum(r0 < B: %7[r0])\noutput loss = %8\n", 7,
       "mixes"},
      {"%7 = comp f32[] [] mul(%6[], cast(f32, i64(B)))\noutput loss = %7\n", 7, "sum"},
      {"%7 = comp f32[B] [i0] mul(%4[i0], cast(f32, i64(i0)))\n%8 = comp f32[] [] sum(r0 < B: %7[r0])\n"
       "%9 = comp f32[] [] div(%8[], cast(f32, i64(B)))\noutput loss = %9\n",
       7, "mixes"},
      /* the largest of the batch; pairs; the example before; a sum with a number */
      {"%7 = comp f32[] [] max(r0 < B: %4[r0])\noutput loss = %7\n", 7, "mixes"},
      {"%7 = comp f32[B, B] [i0, i1] mul(%4[i0], %4[i1])\n%8 = comp f32[] [] sum(r0 < B, r1 < B: %7[r0, r1])\n"
       "output loss = %8\n",
       7, "mixes"},
      {"%7 = comp f32[B] [i0] select(ge0(i0 - 1), %4[i0 - 1], 0)\n%8 = comp f32[] [] sum(r0 < B: %7[r0])\n"
       "output loss = %8\n",
       7, "mixes"},
      {"%7 = comp f32[] [] div(add(%5[], 1), cast(f32, i64(B)))\noutput loss = %7\n", 7, "mixes"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const char *why = "";
    if (mixed_at(cases[i].tail, &why) != cases[i].at || !strstr(why, cases[i].why))
      fail_msg("case %zu: node %d, '%s'", i, mixed_at(cases[i].tail, &why), why);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(means), cmocka_unit_test(mixtures)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
