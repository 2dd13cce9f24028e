/* cpu_derivative_test.c - the graphs of tests/graphs with their gradients and Hessian-vector products, and every
 * row of scalar.def with its derivatives, as CPU code against the interpreter, which derive_test.c holds against
 * differences. GRAPH=NAME runs one, SHOW=1 prints it. */
#include <stdlib.h>

#include "ir/scalar.h"
#include "tests/unit/codegen/kernel_run.h"
#include "tests/unit/derivative_model.h"
#include "tests/unit/row_model.h"
#include "tests/unit/unit.h"

static int check(const Case *c, int level, bool second) {
  char error[256];
  Model m = model_read(c, error);
  if (!m.g) fail_msg("%s: %s", c->name, error);
  model_add_gradients(&m);
  if (second) model_add_products(&m);
  KernelRun how = {.march = "native",
                   .level = level,
                   .batch = 3,
                   .chunks = 2,
                   .seed = 7,
                   .passes = true,
                   .show = getenv("SHOW") != NULL};
  const char *fault = kernel_run(m.g, &how);
  if (fault) print_message("%s, -O%d%s: %s\n", c->name, level, second ? ", second" : "", fault);
  arena_free(m.arena);
  return fault != NULL;
}

static void every_graph(void **state) {
  (void)state;
  Arena *a = arena_new();
  Cases cases = {0};
  cases_read(a, NNC_GRAPHS, &cases);
  vec_push(a, &cases, case_convolution(a, 2, 3, 1, 1));
  vec_push(a, &cases, case_convolution(a, 3, 2, 1, 6));
  int bad = 0;
  for (int i = 0; i < cases.n; i++) {
    bad += check(&cases.at[i], 0, false);
    bad += check(&cases.at[i], 2, false);
    bad += check(&cases.at[i], 2, true);
  }
  if (bad) fail_msg("%d of %d differ", bad, 3 * cases.n);
  arena_free(a);
}

/* Each row and its derivatives in f64; scalar_derivative_test.c holds the same graphs against differences. */
static void every_row(void **state) {
  (void)state;
  int bad = 0;
  for (int op = 0; op < SCALAR_OP_COUNT; op++)
    for (int level = 0; level <= 2; level += 2) {
      Row r = row_model((ScalarOp)op);
      Interpretation in = row_values(&r);
      KernelRun how = {.march = "native", .level = level, .batch = 1, .chunks = 1, .given = &in, .passes = true};
      const char *fault = kernel_run(r.g, &how);
      if (fault) print_message("%s, -O%d: %s\n", scalar_rows[op].name, level, fault);
      bad += fault != NULL;
      arena_free(r.arena);
    }
  if (bad) fail_msg("%d rows differ", bad);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(every_graph), cmocka_unit_test(every_row)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
