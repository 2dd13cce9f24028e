/* shift_test.c - pass shift: which maxima are not derived, and which must be. That the derivative stays right is
 * derive_test's business, on graphs with and without stops. */
#include <stdio.h>
#include <string.h>

#include "ir/pass.h"
#include "tests/unit/unit.h"

#define ROWS                                                                                                         \
  "%0 = input x : f64[4, 6]\n"                                                                                       \
  "%1 = comp f64[4] [i0] max(r0 < 6: %0[i0, r0])\n"

static const struct {
  const char *what, *rest;
  bool stops;
} cases[] = {
    {"softmax",
     "%2 = comp f64[4, 6] [i0, i1] exp(sub(%0[i0, i1], %1[i0]))\n"
     "%3 = comp f64[4] [i0] sum(r0 < 6: %2[i0, r0])\n"
     "%4 = comp f64[] [] sum(r0 < 4, r1 < 6: mul(div(%2[r0, r1], %3[r0]), %0[r0, r1]))\n",
     true},
    {"logsumexp",
     "%2 = comp f64[4] [i0] sum(r0 < 6: exp(sub(%0[i0, r0], %1[i0])))\n"
     "%3 = comp f64[4] [i0] add(%1[i0], log(%2[i0]))\n"
     "%4 = comp f64[] [] sum(r0 < 4: %3[r0])\n",
     true},
    {"a masked row, and half of the shift twice",
     "%2 = comp f64[4, 6] [i0, i1] select(ge0(i0 - i1), sub(%0[i0, i1], mul(0.5, %1[i0])), -inf)\n"
     "%3 = comp f64[4, 6] [i0, i1] exp(sub(%2[i0, i1], mul(0.5, %1[i0])))\n"
     "%4 = comp f64[] [] sum(r0 < 4, r1 < 6: div(%3[r0, r1], sqrt(mul(%3[r0, r1], %3[r0, r1]))))\n",
     true},
    {"a sum that the shift moves",
     "%2 = comp f64[4] [i0] sum(r0 < 6: sub(%0[i0, r0], %1[i0]))\n"
     "%3 = comp f64[4] [i0] mul(%2[i0], 2)\n"
     "%4 = comp f64[] [] sum(r0 < 4: %3[r0])\n",
     false},
    {"another row's maximum: equal shifts cancel, but each is its own",
     "%2 = comp f64[4] [i0] sub(%1[i0], %1[3 - i0])\n"
     "%3 = comp f64[4] [i0] mul(%2[i0], %0[i0, 0])\n"
     "%4 = comp f64[] [] sum(r0 < 4: %3[r0])\n",
     false},
    {"a sum over rows, each scaled by its own",
     "%2 = comp f64[6] [i0] sum(r0 < 4: exp(sub(%0[r0, i0], %1[r0])))\n"
     "%3 = comp f64[6] [i0] div(%2[i0], %2[0])\n"
     "%4 = comp f64[] [] sum(r0 < 6: %3[r0])\n",
     false},
    {"a maximum that is the result",
     "%2 = comp f64[4] [i0] mul(%1[i0], 2)\n"
     "%3 = comp f64[4] [i0] tanh(%2[i0])\n"
     "%4 = comp f64[] [] sum(r0 < 4: %3[r0])\n",
     false},
    {"a comparison with it",
     "%2 = comp f64[4, 6] [i0, i1] select(lt(%0[i0, i1], %1[i0]), 1, 2)\n"
     "%3 = comp f64[4] [i0] sum(r0 < 6: %2[i0, r0])\n"
     "%4 = comp f64[] [] sum(r0 < 4: mul(%3[r0], %0[r0, 0]))\n",
     false},
};

static int count(const char *text, const char *what) {
  int n = 0;
  for (; (text = strstr(text, what)); text++) n++;
  return n;
}

static Graph *read(Ir *ir, const char *text) {
  char error[256] = "";
  Graph *g = graph_read(ir, text, strlen(text), error);
  if (!g) fail_msg("%s", error);
  return g;
}

static void expect_stops(const char *what, const char *text, bool stops) {
  Arena *a = arena_new();
  Graph *g = read(ir_new(a, str_table_new(a)), text);
  bool changed = pass_shift(g, &(PassContext){0});
  const char *fault = graph_verify(g);
  if (fault) fail_msg("%s: %s", what, fault);
  Buf b = {0};
  graph_print(&b, g);
  bool stopped = count(b.text, "stop(") > 0;
  if (changed != stops || stopped != stops) fail_msg("%s:\n%s", what, b.text);
  buf_free(&b);
  arena_free(a);
}

static void maxima(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char text[2000];
    snprintf(text, sizeof text, "%s%s%%5 = grad %%4 by %%0\noutput d = %%5\n", ROWS, cases[i].rest);
    expect_stops(cases[i].what, text, cases[i].stops);
    snprintf(text, sizeof text, "%s%s%%5 = grad %%4 by %%0\noutput d = %%5\noutput m = %%1\n", ROWS, cases[i].rest);
    expect_stops("the maximum is seen too", text, false);
    snprintf(text, sizeof text, "%s%soutput y = %%4\n", ROWS, cases[i].rest);
    expect_stops("nothing is derived", text, false);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(maxima)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
