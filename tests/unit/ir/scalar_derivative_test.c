/* scalar_derivative_test.c - every row of scalar.def: its derivative by each argument against central differences.
 * |d - fd| <= 1e-6 * max(1, |fd|) in f64, at points at least 1e-2 away from kinks; a row marked "0" must give 0. */
#include <math.h>
#include <string.h>

#include "ir/derive.h"
#include "ir/pass.h"
#include "ir/scalar.h"
#include "tests/unit/row_model.h"
#include "tests/unit/unit.h"

/* Evaluates output number `output` into out[POINTS]. */
static void evaluate(Row *r, int output, double *out) {
  Interpretation in = row_values(r);
  const char *error = interpret(r->g, &in);
  if (error) fail_msg("%s", error);
  memcpy(out, in.values[r->g->outputs.at[output].node->id].data, sizeof(double) * POINTS);
}

static void check_argument(Row *r, int k) {
  double derivative[POINTS], above[POINTS], below[POINTS], h = 1e-6;
  const char *text = scalar_rows[r->op].derivative[k];
  evaluate(r, 1 + k, derivative);
  for (int i = 0; i < POINTS; i++) r->at[k][i] += h;
  evaluate(r, 0, above);
  for (int i = 0; i < POINTS; i++) r->at[k][i] -= 2 * h;
  evaluate(r, 0, below);
  for (int i = 0; i < POINTS; i++) r->at[k][i] += h;
  for (int i = 0; i < POINTS; i++) {
    double fd = strcmp(text, "0") ? (above[i] - below[i]) / (2 * h) : 0;
    if (!(fabs(derivative[i] - fd) <= 1e-6 * fmax(1, fabs(fd))))
      fail_msg("%s by argument %d at (%.17g, %.17g, %.17g): %.17g, by differences %.17g", scalar_rows[r->op].name, k,
               r->at[0][i], r->at[1][i], r->at[2][i], derivative[i], fd);
  }
}

static void every_derivative(void **state) {
  (void)state;
  for (int op = 0; op < SCALAR_OP_COUNT; op++) {
    Row r = row_model((ScalarOp)op);
    pass_derive(r.g, &(PassContext){0});
    assert_null(graph_verify(r.g));
    for (int k = 0; k < scalar_rows[op].arity; k++) check_argument(&r, k);
    arena_free(r.arena);
  }
}

/* A row states each derivative: a text or "0" for every argument, "-" for those that it has not. */
static void every_row_states_them(void **state) {
  (void)state;
  for (int op = 0; op < SCALAR_OP_COUNT; op++)
    for (int k = 0; k < 3; k++) {
      const char *text = scalar_rows[op].derivative[k];
      bool none = text[0] == '\0' || !strcmp(text, "-");
      if (none != (k >= scalar_rows[op].arity))
        fail_msg("scalar.def: %s has %s derivative by argument %d", scalar_rows[op].name, none ? "no" : "a", k);
    }
}

/* a ** 0 is 1 at a = 0 too, and 0 ** b does not depend on b there: neither is 0 * inf. */
static void powers_of_zero(void **state) {
  (void)state;
  Row r = row_model(OP_pow);
  r.at[0][0] = r.at[1][0] = 0;
  r.at[0][1] = 0, r.at[1][1] = 2;
  pass_derive(r.g, &(PassContext){0});
  for (int k = 0; k < 2; k++) {
    double derivative[POINTS];
    evaluate(&r, 1 + k, derivative);
    assert_true(derivative[0] == 0 && derivative[1] == 0);
  }
  arena_free(r.arena);
}

/* A cast to an integer cuts. */
static void integers_cut(void **state) {
  (void)state;
  Arena *a = arena_new();
  Ir *ir = ir_new(a, str_table_new(a));
  Graph *g = graph_new(ir, NULL);
  Node *x = graph_input(g, str_internz(ir->strings, "x"), DT_f64, 0, NULL, (Span){0});
  Expr *e = expr_cast(ir, DT_f64, expr_cast(ir, DT_i32, expr_read(ir, x, NULL)));
  Node *y = graph_comp(g, 0, NULL, RED_none, 0, NULL, e, (Span){0});
  assert_false(derive_depends(g, y, x));
  assert_true(derive_depends(g, x, x));
  arena_free(a);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_row_states_them),
      cmocka_unit_test(every_derivative),
      cmocka_unit_test(powers_of_zero),
      cmocka_unit_test(integers_cut),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
