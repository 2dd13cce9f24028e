/* scalar_derivative_test.c - every row of scalar.def: its derivative by each argument against central differences.
 * |d - fd| <= 1e-6 * max(1, |fd|) in f64, at points at least 1e-2 away from kinks; a row marked "0" must give 0. */
#include <math.h>
#include <string.h>

#include "ir/derive.h"
#include "ir/interpret.h"
#include "ir/scalar.h"
#include "tests/unit/unit.h"

enum { POINTS = 64 };

typedef struct Row {
  ScalarOp op;
  Arena *arena;
  Ir *ir;
  double at[3][POINTS]; /* the arguments */
} Row;

static uint64_t random_state = 1;
static double uniform(double lo, double hi) {
  random_state = random_state * 6364136223846793005u + 1442695040888963407u;
  return lo + (hi - lo) * ((double)(random_state >> 11) / 9007199254740992.0);
}

/* Where argument k of a row is drawn from; [-2, 2] unless listed. */
static const struct {
  ScalarOp op;
  int k;
  double lo, hi;
} domains[] = {
    {OP_sqrt, 0, 0.02, 3}, {OP_rsqrt, 0, 0.1, 3},           {OP_log, 0, 0.02, 3}, {OP_log1p, 0, -0.9, 3},
    {OP_pow, 0, 0.1, 3},   {OP_tan, 0, -1.2, 1.2},          {OP_div, 1, 0.1, 2},  {OP_floordiv, 1, 0.5, 2},
    {OP_mod, 1, 0.5, 2},   {OP_normal_icdf, 0, 0.03, 0.97},
};

static double draw(ScalarOp op, int k) {
  for (size_t i = 0; i < sizeof domains / sizeof *domains; i++)
    if (domains[i].op == op && domains[i].k == k) return uniform(domains[i].lo, domains[i].hi);
  return uniform(-2, 2);
}

static bool near(double x, double period) { return fabs(x / period - rint(x / period)) * period < 1e-2; }

static bool is_kink(ScalarOp op, double a, double b) {
  switch (op) {
  case OP_abs:
  case OP_sign: return fabs(a) < 1e-2;
  case OP_floor:
  case OP_ceil:
  case OP_cast: return near(a, 1);
  case OP_round: return near(a - 0.5, 1);
  case OP_max:
  case OP_min:
  case OP_eq:
  case OP_ne:
  case OP_lt:
  case OP_le:
  case OP_gt:
  case OP_ge: return fabs(a - b) < 1e-2;
  case OP_floordiv:
  case OP_mod: return near(a, b);
  default: return false;
  }
}

/* A float value that depends on the row's operation as directly as its types allow. */
static Expr *value_of_row(Ir *ir, ScalarOp op, Expr **x) {
  Expr *zero = expr_real(ir, DT_f64, 0), *one = expr_real(ir, DT_f64, 1), *p[3], *y = NULL;
  switch (scalar_rows[op].rule) {
  case RULE_BOOL:
    for (int k = 0; k < 3; k++) p[k] = expr_op2(ir, OP_ge, x[k], zero);
    y = expr_op(ir, op, p);
    break;
  case RULE_SELECT: return expr_select(ir, expr_op2(ir, OP_ge, x[0], zero), x[1], x[2]);
  case RULE_CAST: return expr_cast(ir, DT_f64, expr_cast(ir, DT_f32, x[0]));
  default: y = expr_op(ir, op, x); break;
  }
  return y->dtype == DT_bool ? expr_select(ir, y, one, zero) : y;
}

/* y[i] = op(x0[i], x1[i], x2[i]), its sum's gradient by each x that the row has. */
static Graph *graph_of_row(Row *r, Node **x) {
  Graph *g = graph_new(r->ir, str_internz(r->ir->strings, "row"));
  Dim *n = dim_const(r->ir, POINTS);
  Var *i = var_fresh(r->ir, n);
  Form *at = form_var(r->ir, i);
  Expr *read[3];
  static const char *const names[] = {"a", "b", "c"};
  for (int k = 0; k < 3; k++) {
    x[k] = graph_input(g, str_internz(r->ir->strings, names[k]), DT_f64, 1, &n, (Span){0});
    read[k] = expr_read(r->ir, x[k], &at);
  }
  Node *y = graph_comp(g, 1, &i, RED_none, 0, NULL, value_of_row(r->ir, r->op, read), (Span){0});
  graph_output(g, str_internz(r->ir->strings, "y"), y);
  Node *sum = graph_comp(g, 0, NULL, RED_sum, 1, &i, expr_read(r->ir, y, &at), (Span){0});
  for (int k = 0; k < scalar_rows[r->op].arity; k++)
    graph_output(g, str_internz(r->ir->strings, names[k]), graph_grad(g, sum, x[k], (Span){0}));
  return g;
}

/* Evaluates output number `output` into out[POINTS]. */
static void evaluate(Row *r, Graph *g, int output, double *out) {
  Interpretation in = {.arena = r->arena, .f64 = true};
  static const char *const names[] = {"a", "b", "c"};
  for (int k = 0; k < 3; k++) {
    Tensor t = {.dtype = DT_f64, .rank = 1, .extent = {POINTS}, .data = r->at[k]};
    vec_push(r->arena, &in.given, (Binding){str_internz(r->ir->strings, names[k]), t});
  }
  const char *error = interpret(g, &in);
  if (error) fail_msg("%s", error);
  memcpy(out, in.values[g->outputs.at[output].node->id].data, sizeof(double) * POINTS);
}

static void check_argument(Row *r, Graph *g, int k) {
  double derivative[POINTS], above[POINTS], below[POINTS], h = 1e-6;
  const char *text = scalar_rows[r->op].derivative[k];
  evaluate(r, g, 1 + k, derivative);
  for (int i = 0; i < POINTS; i++) r->at[k][i] += h;
  evaluate(r, g, 0, above);
  for (int i = 0; i < POINTS; i++) r->at[k][i] -= 2 * h;
  evaluate(r, g, 0, below);
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
    Arena *a = arena_new();
    Row r = {.op = (ScalarOp)op, .arena = a, .ir = ir_new(a, str_table_new(a))};
    for (int i = 0; i < POINTS; i++) do
        for (int k = 0; k < 3; k++) r.at[k][i] = draw(r.op, k);
      while (is_kink(r.op, r.at[0][i], r.at[1][i]));
    Node *x[3];
    Graph *g = graph_of_row(&r, x);
    pass_derive(g, &(PassContext){0});
    assert_null(graph_verify(g));
    for (int k = 0; k < scalar_rows[op].arity; k++) check_argument(&r, g, k);
    arena_free(a);
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
      cmocka_unit_test(integers_cut),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
