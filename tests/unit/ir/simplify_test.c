/* simplify_test.c - each rule of pass_simplify on the smallest graph that needs it. Expected graphs are compared by
 * their printed text; that values stay the same is derive_test's and the interpreter's business. */
#include <math.h>
#include <string.h>

#include "ir/pass.h"
#include "ir/interpret.h"
#include "tests/unit/unit.h"

#define X1 "%0 = input x : f64[6]\n"
#define X2 "%0 = input x : f64[3, 5]\n"

static const struct {
  const char *rule, *before, *after;
} cases[] = {
    {"stop goes after the last derivative",
     X1 "%1 = comp f64[6] [i0] exp(stop(%0[i0]))\n"
        "output y = %1\n",
     X1 "%1 = comp f64[6] [i0] exp(%0[i0])\n"
        "output y = %1\n"},
    {"stop stays before it",
     X1 "%1 = comp f64[] [] sum(r0 < 6: mul(%0[r0], stop(%0[r0])))\n"
        "%2 = grad %1 by %0\n"
        "output y = %2\n",
     X1 "%1 = comp f64[] [] sum(r0 < 6: mul(%0[r0], stop(%0[r0])))\n"
        "%2 = grad %1 by %0\n"
        "output y = %2\n"},
    {"identity",
     X1 "%1 = comp f64[6] [i0] %0[i0]\n"
        "%2 = comp f64[6] [i0] exp(%1[i0])\n"
        "output y = %2\n",
     X1 "%1 = comp f64[6] [i0] exp(%0[i0])\n"
        "output y = %1\n"},
    {"a map that is one number",
     X1 "%1 = comp f64[6] [i0] 3\n"
        "%2 = comp f64[6] [i0] mul(%1[i0], %0[i0])\n"
        "output y = %2\n",
     X1 "%1 = comp f64[6] [i0] mul(3, %0[i0])\n"
        "output y = %1\n"},
    {"S2 whole powers",
     X1 "%1 = comp f64[6] [i0] add(pow(%0[i0], 2), add(pow(%0[i0], -1), pow(%0[i0], 0.5)))\n"
        "output y = %1\n",
     X1 "%1 = comp f64[6] [i0] add(mul(%0[i0], %0[i0]), add(div(1, %0[i0]), pow(%0[i0], 0.5)))\n"
        "output y = %1\n"},
    {"S4 a + a",
     X1 "%1 = comp f64[6] [i0] t0 = sin(%0[i0]); add(t0, t0)\n"
        "output y = %1\n",
     X1 "%1 = comp f64[6] [i0] mul(2, sin(%0[i0]))\n"
        "output y = %1\n"},
    {"S6 a factor without the reduction's index",
     X2 "%1 = input w : f64[3]\n"
        "%2 = comp f64[3] [i0] sum(r0 < 5: mul(%1[i0], %0[i0, r0]))\n"
        "output y = %2\n",
     X2 "%1 = input w : f64[3]\n"
        "%2 = comp f64[3] [i0] sum(r0 < 5: %0[i0, r0])\n"
        "%3 = comp f64[3] [i0] mul(%1[i0], %2[i0])\n"
        "output y = %3\n"},
    {"S6 leaves a factor that only its guard holds inside",
     X2 "%1 = input w : f64[3]\n"
        "%2 = comp f64[4] [i0] sum(r0 < 5: select(ge0(2 - i0), mul(%1[i0], %0[i0, r0]), 0))\n"
        "output y = %2\n",
     X2 "%1 = input w : f64[3]\n"
        "%2 = comp f64[4] [i0] sum(r0 < 5: select(ge0(2 - i0), mul(%1[i0], %0[i0, r0]), 0))\n"
        "output y = %2\n"},
    {"S7 an absent index",
     X1 "%1 = comp f64[6] [i0] sum(r0 < 4: %0[i0])\n"
        "output y = %1\n",
     X1 "%1 = comp f64[6] [i0] mul(4, %0[i0])\n"
        "output y = %1\n"},
    {"S8 an index fixed by a guard",
     X1 "%1 = comp f64[3] [i0] sum(r0 < 6: select(eq0(r0 - 2*i0), %0[r0], 0))\n"
        "output y = %1\n",
     X1 "%1 = comp f64[3] [i0] %0[2*i0]\n"
        "output y = %1\n"},
    {"S10 the sum over j first",
     "%0 = input a : f64[3, 4]\n%1 = input b : f64[4, 5]\n%2 = input c : f64[5, 6]\n"
     "%3 = comp f64[3, 6] [i0, i1] sum(r0 < 4, r1 < 5: mul(mul(%0[i0, r0], %1[r0, r1]), %2[r1, i1]))\n"
     "output y = %3\n",
     "%0 = input a : f64[3, 4]\n%1 = input b : f64[4, 5]\n%2 = input c : f64[5, 6]\n"
     "%3 = comp f64[3, 5] [i0, i1] sum(r0 < 4: mul(%0[i0, r0], %1[r0, i1]))\n"
     "%4 = comp f64[3, 6] [i0, i1] sum(r0 < 5: mul(%2[r0, i1], %3[i0, r0]))\n"
     "output y = %4\n"},
    {"S11 log(sum(exp))",
     X2 "%1 = comp f64[3] [i0] sum(r0 < 5: exp(%0[i0, r0]))\n"
        "%2 = comp f64[3] [i0] log(%1[i0])\n"
        "output y = %2\n",
     X2 "%1 = comp f64[3] [i0] max(r0 < 5: %0[i0, r0])\n"
        "%2 = comp f64[3] [i0] sum(r0 < 5: exp(sub(%0[i0, r0], select(is_finite(%1[i0]), %1[i0], 0))))\n"
        "%3 = comp f64[3] [i0] add(select(is_finite(%1[i0]), %1[i0], 0), log(%2[i0]))\n"
        "output y = %3\n"},
    {"S11 shifted already",
     X2 "%1 = comp f64[3] [i0] max(r0 < 5: %0[i0, r0])\n"
        "%2 = comp f64[3] [i0] sum(r0 < 5: exp(sub(%0[i0, r0], %1[i0])))\n"
        "%3 = comp f64[3] [i0] log(%2[i0])\n"
        "output y = %3\n",
     X2 "%1 = comp f64[3] [i0] max(r0 < 5: %0[i0, r0])\n"
        "%2 = comp f64[3] [i0] sum(r0 < 5: exp(sub(%0[i0, r0], %1[i0])))\n"
        "%3 = comp f64[3] [i0] log(%2[i0])\n"
        "output y = %3\n"},
    {"S11 log(exp / sum)",
     X2 "%1 = input s : f64[3]\n"
        "%2 = comp f64[3, 5] [i0, i1] exp(%0[i0, i1])\n"
        "%3 = comp f64[3, 5] [i0, i1] div(%2[i0, i1], %1[i0])\n"
        "%4 = comp f64[3] [i0] log(%3[i0, 2])\n"
        "output y = %4\n",
     X2 "%1 = input s : f64[3]\n"
        "%2 = comp f64[3] [i0] sub(%0[i0, 2], log(%1[i0]))\n"
        "output y = %2\n"},
    {"S11 log(sigmoid)",
     X1 "%1 = comp f64[6] [i0] sigmoid(%0[i0])\n"
        "%2 = comp f64[6] [i0] log(%1[i0])\n"
        "output y = %2\n",
     X1 "%1 = comp f64[6] [i0] neg(softplus(neg(%0[i0])))\n"
        "output y = %1\n"},
    {"S11 log(1 - sigmoid)",
     X1 "%1 = comp f64[6] [i0] sigmoid(%0[i0])\n"
        "%2 = comp f64[6] [i0] sub(1, %1[i0])\n"
        "%3 = comp f64[6] [i0] log(%2[i0])\n"
        "output y = %3\n",
     X1 "%1 = comp f64[6] [i0] neg(softplus(%0[i0]))\n"
        "output y = %1\n"},
    {"S11 log(1 + exp)",
     X1 "%1 = comp f64[6] [i0] log(add(1, exp(%0[i0])))\n"
        "output y = %1\n",
     X1 "%1 = comp f64[6] [i0] softplus(%0[i0])\n"
        "output y = %1\n"},
    {"S11 log1p",
     X1 "%1 = comp f64[6] [i0] add(log(add(1, %0[i0])), log(sub(1, %0[i0])))\n"
        "output y = %1\n",
     X1 "%1 = comp f64[6] [i0] add(log1p(%0[i0]), log1p(neg(%0[i0])))\n"
        "output y = %1\n"},
    {"S11 expm1",
     X1 "%1 = comp f64[6] [i0] sub(exp(%0[i0]), 1)\n"
        "output y = %1\n",
     X1 "%1 = comp f64[6] [i0] expm1(%0[i0])\n"
        "output y = %1\n"},
    {"S12 deviations from the mean",
     X2 "%1 = comp f64[3] [i0] sum(r0 < 5: %0[i0, r0])\n"
        "%2 = comp f64[3] [i0] div(%1[i0], 5)\n"
        "%3 = comp f64[3] [i0] sum(r0 < 5: sub(%0[i0, r0], %2[i0]))\n"
        "%4 = comp f64[3] [i0] add(%2[i0], %3[i0])\n"
        "output y = %4\n",
     X2 "%1 = comp f64[3] [i0] sum(r0 < 5: %0[i0, r0])\n"
        "%2 = comp f64[3] [i0] div(%1[i0], 5)\n"
        "output y = %2\n"},
    {"S12 with factors, in maps that are read",
     X2 "%1 = comp f64[3] [i0] sum(r0 < 5: %0[i0, r0])\n"
        "%2 = input c : f64[3]\n"
        "%3 = comp f64[3, 5] [i0, i1] %2[i0]\n"
        "%4 = comp f64[3, 5] [i0, i1] sub(%0[i0, i1], div(%1[i0], 5))\n"
        "%5 = comp f64[3, 5] [i0, i1] mul(2, mul(%3[i0, i1], %4[i0, i1]))\n"
        "%6 = comp f64[3] [i0] sum(r0 < 5: %5[i0, r0])\n"
        "%7 = comp f64[3] [i0] add(%1[i0], %6[i0])\n"
        "output y = %7\n",
     X2 "%1 = comp f64[3] [i0] sum(r0 < 5: %0[i0, r0])\n"
        "output y = %1\n"},
    {"S12 not of another mean",
     X2 "%1 = comp f64[3] [i0] sum(r0 < 5: %0[i0, r0])\n"
        "%2 = comp f64[3] [i0] sum(r0 < 5: sub(%0[i0, r0], div(%1[i0], 4)))\n"
        "output y = %2\n",
     X2 "%1 = comp f64[3] [i0] sum(r0 < 5: %0[i0, r0])\n"
        "%2 = comp f64[3] [i0] sum(r0 < 5: sub(%0[i0, r0], div(%1[i0], 4)))\n"
        "output y = %2\n"},
    {"S13 a / b / c",
     X1 "%1 = comp f64[6] [i0] div(div(2, %0[i0]), exp(%0[i0]))\n"
        "output y = %1\n",
     X1 "%1 = comp f64[6] [i0] div(2, mul(%0[i0], exp(%0[i0])))\n"
        "output y = %1\n"},
};

static Graph *read_graph(Ir *ir, const char *rule, const char *body) {
  char *text = arena_printf(ir->arena, "graph g\n%s", body), error[256];
  Graph *g = graph_read(ir, text, strlen(text), error);
  if (!g) fail_msg("%s: %s", rule, error);
  return g;
}

static char *print_graph(Graph *g) {
  Buf b = {0};
  graph_print(&b, g);
  char *text = arena_strndup(g->arena, b.text, b.n);
  buf_free(&b);
  return text;
}

static void every_rule(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    Arena *a = arena_new();
    Ir *ir = ir_new(a, str_table_new(a));
    Graph *g = read_graph(ir, cases[i].rule, cases[i].before);
    bool changed = pass_simplify(g, &(PassContext){0});
    char *got = print_graph(g), *expected = print_graph(read_graph(ir, cases[i].rule, cases[i].after));
    if (strcmp(got, expected)) fail_msg("%s gives\n%s", cases[i].rule, got);
    assert_int_equal(changed, strcmp(cases[i].before, cases[i].after) != 0);
    arena_free(a);
  }
}

static void evaluate(Graph *g, double *x, int rank, const int64_t *extent, int output, double *out, int n) {
  Interpretation in = {.arena = g->arena, .f64 = true};
  Tensor t = {.dtype = DT_f64, .rank = rank, .data = x};
  for (int d = 0; d < rank; d++) t.extent[d] = extent[d];
  vec_push(g->arena, &in.given, (Binding){str_internz(g->ir->strings, "x"), t});
  const char *error = interpret(g, &in);
  if (error) fail_msg("%s", error);
  memcpy(out, in.values[g->outputs.at[output].node->id].data, sizeof(double) * (size_t)n);
}

/* What S11 is for: -log(softmax(x)[2]) and its gradient, written in the naive way, at logits of 1e4; and a row whose
 * elements are all masked. */
static void stable_at_large_logits(void **state) {
  (void)state;
  Arena *a = arena_new();
  Ir *ir = ir_new(a, str_table_new(a));
  Graph *g = read_graph(ir, "softmax",
                        "%0 = input x : f64[4]\n"
                        "%1 = comp f64[4] [i0] exp(%0[i0])\n"
                        "%2 = comp f64[] [] sum(r0 < 4: %1[r0])\n"
                        "%3 = comp f64[4] [i0] div(%1[i0], %2[])\n"
                        "%4 = comp f64[] [] neg(log(%3[2]))\n"
                        "%5 = grad %4 by %0\n"
                        "output y = %4\n"
                        "output dx = %5\n");
  pass_simplify(g, &(PassContext){0});
  pass_derive(g, &(PassContext){0});
  pass_simplify(g, &(PassContext){0});
  double x[] = {1e4, -1e4, 9999, 0}, y, dx[4], p = 1 / (1 + exp(1));
  evaluate(g, x, 1, (int64_t[]){4}, 0, &y, 1);
  evaluate(g, x, 1, (int64_t[]){4}, 1, dx, 4);
  assert_true(fabs(y - (1 + log1p(exp(-1)))) < 1e-12);
  double expected[] = {1 - p, 0, p - 1, 0};
  for (int i = 0; i < 4; i++) assert_true(fabs(dx[i] - expected[i]) < 1e-12);
  arena_free(a);
}

/* A row without elements: log(sum of nothing) stays -inf, not NaN. */
static void nothing_to_sum(void **state) {
  (void)state;
  Arena *a = arena_new();
  Ir *ir = ir_new(a, str_table_new(a));
  Graph *g = read_graph(ir, "masked",
                        "%0 = input x : f64[4]\n"
                        "%1 = comp f64[] [] sum(r0 < 4: select(gt(%0[r0], 5), exp(%0[r0]), 0))\n"
                        "%2 = comp f64[] [] log(%1[])\n"
                        "output y = %2\n");
  pass_simplify(g, &(PassContext){0});
  assert_non_null(strstr(print_graph(g), "max("));
  double x[] = {1, 2, 3, 4}, y;
  evaluate(g, x, 1, (int64_t[]){4}, 0, &y, 1);
  assert_true(isinf(y) && y < 0);
  arena_free(a);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_rule),
      cmocka_unit_test(stable_at_large_logits),
      cmocka_unit_test(nothing_to_sum),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
