/* row_model.c - see row_model.h. */
#include "tests/unit/row_model.h"

#include <math.h>

#include "ir/scalar.h"

static uint64_t random_state;
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

static const char *const names[] = {"a", "b", "c"};

/* y[i] = op(a[i], b[i], c[i]), and its sum's gradient by each input that the row has. */
static Graph *graph_of_row(Ir *ir, ScalarOp op) {
  Graph *g = graph_new(ir, str_internz(ir->strings, scalar_rows[op].name));
  Dim *n = dim_const(ir, POINTS);
  Var *i = var_fresh(ir, n);
  Form *at = form_var(ir, i);
  Node *x[3];
  Expr *read[3];
  for (int k = 0; k < 3; k++) {
    x[k] = graph_input(g, str_internz(ir->strings, names[k]), DT_f64, 1, &n, (Span){0});
    read[k] = expr_read(ir, x[k], &at);
  }
  Node *y = graph_comp(g, 1, &i, RED_none, 0, NULL, value_of_row(ir, op, read), (Span){0});
  graph_output(g, str_internz(ir->strings, "y"), y);
  Node *sum = graph_comp(g, 0, NULL, RED_sum, 1, &i, expr_read(ir, y, &at), (Span){0});
  for (int k = 0; k < scalar_rows[op].arity; k++)
    graph_output(g, str_internz(ir->strings, names[k]), graph_grad(g, sum, x[k], (Span){0}));
  return g;
}

Row row_model(ScalarOp op) {
  Arena *a = arena_new();
  Row r = {.op = op, .arena = a, .ir = ir_new(a, str_table_new(a))};
  random_state = 1;
  for (int i = 0; i < POINTS; i++) do
      for (int k = 0; k < 3; k++) r.at[k][i] = draw(op, k);
    while (is_kink(op, r.at[0][i], r.at[1][i]));
  r.g = graph_of_row(r.ir, op);
  return r;
}

Interpretation row_values(Row *r) {
  Interpretation in = {.arena = r->arena, .f64 = true};
  for (int k = 0; k < 3; k++) {
    Tensor t = {.dtype = DT_f64, .rank = 1, .extent = {POINTS}, .data = r->at[k]};
    vec_push(r->arena, &in.given, (Binding){str_internz(r->ir->strings, names[k]), t});
  }
  return in;
}
