/* choice_test.c - which kernels a scalar condition leaves out, and which it must not. */
#include "tests/unit/ir/run_schedule.h"
#include "tests/unit/ir/scheduled.h"

#include "ir/scalar.h"

#include <string.h>

enum { ELEMENTS = 64 };

/* Kernels that the condition leaves out where the scalar input `s` has this value; every other source is 1, and the
 * arena starts as NaN. *first: the first element of the state `w` after the run if there is one, else of the output.
 */
static int left_out(const Schedule *s, int32_t value, double *first) {
  ScheduleRun run = {.arena = a};
  const Node *state = NULL;
  for (int i = 0; i < s->buffers.n; i++) {
    const Node *n = s->buffers.at[i]->node;
    if (n->kind != NODE_input && n->kind != NODE_param && n->kind != NODE_state) continue;
    Tensor t = {.dtype = n->dtype, .rank = n->rank, .data = arena_alloc(a, ELEMENTS * sizeof(double))};
    for (int k = 0; k < n->rank; k++) t.extent[k] = dim_value(n->shape[k]);
    for (int64_t k = 0; k < tensor_count(&t); k++) {
      if (dtype_is_float(n->dtype)) dtype_store_real(n->dtype, t.data, k, 1);
      else dtype_store_int(n->dtype, t.data, k, n->rank ? 1 : value);
    }
    vec_push(a, &run.given, (Binding){n->name, t});
    if (n->kind == NODE_state) state = n;
  }
  run_schedule(s, &run);
  Tensor t = {0};
  for (int i = 0; state && i < run.given.n; i++)
    if (run.given.at[i].name == state->name) t = run.given.at[i].tensor;
  if (!state) t = run_value(s, &run, s->graph->outputs.at[0].node);
  *first = dtype_load_real(t.dtype, t.data, 0);
  return run.left_out;
}

static void expect(const char *text, int kernels, int where_holds, double holds, int where_not, double fails) {
  const Schedule *s = scheduled(text);
  double first;
  assert_int_equal(s->kernels.n, kernels);
  assert_int_equal(left_out(s, 1, &first), where_holds);
  assert_float_equal(first, holds, 1e-6);
  assert_int_equal(left_out(s, 0, &first), where_not);
  assert_float_equal(first, fails, 1e-6);
}

#define SOURCES                                                                                                      \
  "%0 = input s : i32[]\n%1 = input x : f32[4, 8]\n%2 = comp bool[] [] eq(%0[], 1)\n"                                \
  "%3 = comp f32[4] [i0] sum(r0 < 8: %1[i0, r0])\n"                                                                  \
  "%4 = comp f32[4] [i0] sum(r0 < 8: sqrt(%1[i0, 7 - r0]))\n"

static void each_side_alone(void **state) {
  (void)state;
  expect(SOURCES "%5 = comp f32[4] [i0] select(%2[], mul(%3[i0], 3), %4[i0])\noutput y = %5\n", 4, 1, 24, 1, 8);
}

/* What somebody else reads is computed in any case. */
static void other_readers(void **state) {
  (void)state;
  expect(SOURCES "%5 = comp f32[4] [i0] select(%2[], mul(%3[i0], 3), %4[i0])\n"
                 "%6 = comp f32[4] [i0] tanh(%3[3 - i0])\noutput y = %5\noutput z = %6\n",
         4, 1, 24, 0, 8);
}

/* The condition waits for a sum that one of its sides reads. */
static void what_decides(void **state) {
  (void)state;
  expect("%0 = input s : i32[]\n%1 = input x : f32[4, 8]\n%2 = comp f32[4] [i0] sum(r0 < 8: %1[i0, r0])\n"
         "%3 = comp f32[] [] max(r0 < 4: %2[r0])\n%4 = comp bool[] [] gt(mul(%3[], cast(f32, %0[])), 1)\n"
         "%5 = comp f32[4] [i0] sum(r0 < 8: sqrt(mul(%1[i0, r0], %1[3 - i0, r0])))\n"
         "%6 = comp f32[4] [i0] select(%4[], %2[i0], sub(%5[i0], 8))\noutput y = %6\n",
         4, 1, 8, 0, 0);
}

/* A next value that is the old one where the condition does not hold: nothing is written. */
static void next_values(void **state) {
  (void)state;
  expect("%0 = input s : i32[]\n%1 = input x : f32[4, 8]\n%2 = state w : f32[4]\n%3 = comp bool[] [] eq(%0[], 1)\n"
         "%4 = comp f32[4] [i0] sum(r0 < 8: %1[i0, r0])\n%5 = comp f32[4] [i0] sub(%2[i0], %4[i0])\n"
         "%6 = comp f32[4] [i0] select(%3[], %5[i0], %2[i0])\n%7 = store w = %6\n",
         2, 0, -7, 1, 1);
}

/* A place that data gives may be read before it is known whether what is there is chosen. */
static void places(void **state) {
  (void)state;
  expect("%0 = input s : i32[]\n%1 = input x : f32[4, 8]\n%2 = comp bool[] [] eq(%0[], 1)\n"
         "%3 = comp i32[4] [i0] argmax(r0 < 8: mul(%1[i0, r0], cast(f32, i32(r0))))\n"
         "%4 = comp f32[4] [i0] sum(r0 < 8: mul(%1[i0, r0], %1[i0, %3[i0]]))\n"
         "%5 = comp f32[4] [i0] select(%2[], add(%4[i0], %1[i0, %3[3 - i0]]), 5)\noutput y = %5\n",
         4, 0, 9, 1, 5);
}

/* A few additions are not worth a condition. */
static void cheap_sides(void **state) {
  (void)state;
  expect("%0 = input s : i32[]\n%1 = input x : f32[4, 8]\n%2 = comp bool[] [] eq(%0[], 1)\n"
         "%3 = comp f32[4, 8] [i0, i1] mul(%1[i0, i1], 3)\n"
         "%4 = comp f32[4, 8] [i0, i1] select(%2[], %3[i0, i1], %1[i0, i1])\noutput y = %4\n",
         1, 0, 3, 0, 1);
}

/* The derivative of what is not chosen is 0, though it is added to what is. */
static void derivatives(void **state) {
  (void)state;
  expect("%0 = input s : i32[]\n%1 = input x : f32[4, 8]\n%2 = comp bool[] [] eq(%0[], 1)\n"
         "%3 = comp f32[4] [i0] sum(r0 < 8: mul(%1[i0, r0], %1[i0, 7 - r0]))\n"
         "%4 = comp f32[] [] sum(r0 < 4: mul(%3[r0], %3[r0]))\n%5 = comp f32[] [] sum(r0 < 4: tanh(%1[r0, 0]))\n"
         "%6 = comp f32[] [] select(%2[], %4[], %5[])\n%7 = grad %6 by %1\noutput dx = %7\n",
         4, 1, 32, 1, 1 - 0.580025658);
}

int main(void) {
  const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
      TEST(each_side_alone), TEST(other_readers), TEST(what_decides), TEST(next_values),
      TEST(places),          TEST(cheap_sides),   TEST(derivatives),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
