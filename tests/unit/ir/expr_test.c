/* expr_test.c - expressions: each rule that builders apply, what they must not do, and random expressions whose value
 * is computed beside them without any rule. */
#include "ir/interpret.h"
#include "ir/scalar.h"
#include "ir/text.h"
#include "tests/unit/unit.h"

#include <math.h>
#include <string.h>

static Ir *ir;
static Graph *g;
static Expr *x, *y, *p, *q, *k; /* reads: f64, f64, bool, bool, i64 */

static Expr *scalar_read(const char *name, DType t) {
  return expr_read(ir, graph_input(g, str_internz(ir->strings, name), t, 0, NULL, (Span){0}), NULL);
}

static int setup(void **state) {
  (void)state;
  Arena *a = arena_new();
  ir = ir_new(a, str_table_new(a));
  g = graph_new(ir, NULL);
  x = scalar_read("x", DT_f64);
  y = scalar_read("y", DT_f64);
  p = scalar_read("p", DT_bool);
  q = scalar_read("q", DT_bool);
  k = scalar_read("k", DT_i64);
  return 0;
}

static Expr *parsed(const char *text) {
  const char *names[] = {"x", "y", "p", "q", "k"};
  Expr *values[] = {x, y, p, q, k};
  char error[256];
  Expr *e = expr_parse(ir, text, names, values, 5, error);
  if (!e) fail_msg("%s: %s", text, error);
  return e;
}

static void becomes(const char *from, const char *to) {
  Expr *e = parsed(from), *f = parsed(to);
  if (e == f) return;
  Buf b = {0};
  expr_print(&b, e);
  fail_msg("%s becomes %s instead of %s", from, b.text, to);
}

static void rules(void **state) {
  (void)state;
  becomes("add(x, 0)", "x");
  becomes("mul(x, 1)", "x");
  becomes("mul(0, x)", "0");
  becomes("div(x, 1)", "x");
  becomes("sub(0, x)", "neg(x)");
  becomes("neg(neg(x))", "x");
  becomes("mul(-1, x)", "neg(x)");
  becomes("add(x, neg(y))", "sub(x, y)");
  becomes("sub(x, neg(y))", "add(x, y)");
  becomes("neg(sub(x, y))", "sub(y, x)");
  becomes("mul(x, 3)", "mul(3, x)");
  becomes("mul(2, mul(3, x))", "mul(6, x)");
  becomes("mul(x, y)", "mul(y, x)");
  becomes("exp(log(2))", "exp(0.69314718055994531)");
  becomes("add(add(k, 1), 2)", "add(k, 3)");
  becomes("and(p, true)", "p");
  becomes("or(p, true)", "true");
  becomes("and(p, p)", "p");
  becomes("and(and(p, q), p)", "and(p, q)");
  becomes("not(not(p))", "p");
  becomes("select(true, x, y)", "x");
  becomes("select(p, x, x)", "x");
  becomes("select(not(p), x, y)", "select(p, y, x)");
  becomes("select(p, true, false)", "p");
  becomes("select(p, select(p, x, y), 1)", "select(p, x, 1)");
  becomes("mul(select(p, x, 0), y)", "select(p, mul(x, y), 0)");
  becomes("div(select(p, x, 0), y)", "select(p, div(x, y), 0)");
  becomes("add(select(p, x, 0), select(p, y, 0))", "select(p, add(x, y), 0)");
  becomes("cast(f32, select(p, x, 0))", "select(p, cast(f32, x), 0)");
  becomes("stop(stop(x))", "stop(x)");
}

static void stays(const char *a, const char *b) { assert_ptr_not_equal(parsed(a), parsed(b)); }

static void not_rules(void **state) {
  (void)state;
  stays("sub(x, x)", "0");                /* NaN and infinities */
  stays("add(add(x, 1e16), -1e16)", "x"); /* sums of floats keep their order */
  stays("stop(x)", "x");                  /* cuts derivatives */
  stays("max(x, y)", "max(y, x)");        /* the first wins a tie */
  stays("mul(1e300, mul(1e300, x))", "mul(inf, x)");
  /* the inner condition reads: it may be out of bounds where p is false */
  stays("select(p, select(q, x, 0), 0)", "select(and(p, q), x, 0)");
  stays("floordiv(k, 0)", "0:i64");
}

static void index_values(void **state) {
  (void)state;
  Var *i = var_get(ir, 0, dim_const(ir, 10)), *j = var_get(ir, 1, dim_const(ir, 10));
  Form *fi = form_var(ir, i), *fj = form_var(ir, j), *ten = form_const(ir, 10);
  Expr *a = expr_index(ir, DT_i64, fi), *b = expr_index(ir, DT_i64, fj), *three = expr_int(ir, DT_i64, 3);
  assert_ptr_equal(expr_op2(ir, OP_add, a, b), expr_index(ir, DT_i64, form_add(ir, fi, fj)));
  assert_ptr_equal(expr_op2(ir, OP_mod, a, three), expr_index(ir, DT_i64, form_mod(ir, fi, 3)));
  assert_ptr_equal(expr_op2(ir, OP_eq, a, b), expr_eq0(ir, form_sub(ir, fi, fj)));
  assert_ptr_equal(expr_op2(ir, OP_eq, b, a), expr_op2(ir, OP_eq, a, b));
  assert_ptr_equal(expr_op2(ir, OP_lt, a, b), expr_op1(ir, OP_not, expr_op2(ir, OP_ge, a, b)));
  assert_true(expr_ge0(ir, fi)->kind == EXPR_CONST);
  assert_null(expr_inside(ir, fi, i->extent));
  assert_true(expr_ge0(ir, form_sub(ir, fi, ten))->integer == 0);
  assert_ptr_equal(expr_ge0(ir, form_add(ir, form_scale(ir, fi, 2), form_const(ir, -5))),
                   expr_ge0(ir, form_add(ir, fi, form_const(ir, -3))));
  assert_ptr_equal(form_data(ir, expr_op2(ir, OP_add, k, three)), form_add(ir, form_data(ir, k), form_const(ir, 3)));
  assert_true(expr_uses(expr_op2(ir, OP_add, expr_cast(ir, DT_f64, a), x), i));
  assert_false(expr_uses(expr_cast(ir, DT_f64, a), j));
}

/* ---- random expressions ---- */

enum { MAX_PARTS = 60 };

typedef struct Parts { /* expressions and their values */
  Expr *real[MAX_PARTS], *truth[MAX_PARTS], *integer[MAX_PARTS];
  double r[MAX_PARTS];
  bool t[MAX_PARTS];
  int64_t i[MAX_PARTS];
  int nreal, ntruth, ninteger;
} Parts;

static uint64_t chance = 1;
static int below(int n) {
  chance = chance * 6364136223846793005u + 1442695040888963407u;
  return (int)(chance >> 33) % n;
}

static void add_real(Parts *s, Expr *e, double v) { s->real[s->nreal] = e, s->r[s->nreal++] = v; }
static void add_truth(Parts *s, Expr *e, bool v) { s->truth[s->ntruth] = e, s->t[s->ntruth++] = v; }
static void add_integer(Parts *s, Expr *e, int64_t v) { s->integer[s->ninteger] = e, s->i[s->ninteger++] = v; }

static void grow(Parts *s) {
  static const ScalarOp reals[] = {OP_add, OP_sub, OP_mul, OP_max, OP_min, OP_div, OP_neg, OP_abs, OP_tanh, OP_stop},
                        integers[] = {OP_add, OP_sub, OP_mul, OP_neg, OP_floordiv, OP_mod, OP_max},
                        tests[] = {OP_eq, OP_ne, OP_lt, OP_le, OP_gt, OP_ge}, logic[] = {OP_and, OP_or, OP_not};
  int a = below(s->nreal), b = below(s->nreal), c = below(s->ntruth), d = below(s->ntruth), e = below(s->ninteger),
      f = below(s->ninteger);
  ScalarOp op;
  switch (below(8)) {
  case 0:
  case 1:
    op = reals[below(10)];
    add_real(s, expr_op(ir, op, (Expr *[]){s->real[a], s->real[b]}),
             scalar_fold(op, DT_f64, (double[]){s->r[a], s->r[b]}));
    break;
  case 2:
    op = integers[below(7)];
    add_integer(s, expr_op(ir, op, (Expr *[]){s->integer[e], s->integer[f]}),
                scalar_fold_int(op, DT_i64, (int64_t[]){s->i[e], s->i[f]}));
    break;
  case 3:
    op = tests[below(6)];
    add_truth(s, expr_op2(ir, op, s->real[a], s->real[b]),
              scalar_fold(op, DT_f64, (double[]){s->r[a], s->r[b]}) != 0);
    break;
  case 4:
    op = tests[below(6)];
    add_truth(s, expr_op2(ir, op, s->integer[e], s->integer[f]),
              scalar_fold_int(op, DT_i64, (int64_t[]){s->i[e], s->i[f]}));
    break;
  case 5:
    op = logic[below(3)];
    add_truth(s, expr_op(ir, op, (Expr *[]){s->truth[c], s->truth[d]}),
              scalar_fold_int(op, DT_bool, (int64_t[]){s->t[c], s->t[d]}));
    break;
  case 6: add_real(s, expr_select(ir, s->truth[c], s->real[a], s->real[b]), s->t[c] ? s->r[a] : s->r[b]); break;
  default: add_real(s, expr_cast(ir, DT_f64, s->integer[e]), (double)s->i[e]); break;
  }
}

static void give(Interpretation *in, const char *name, DType t, void *data) {
  vec_push(in->arena, &in->given, (Binding){str_internz(ir->strings, name), {.dtype = t, .data = data}});
}

/* Reads with the values given, constants, and 0 and 1 for the rules to find. */
static void leaves(Parts *s, double vx, double vy, bool vp, int64_t vk) {
  add_real(s, x, vx);
  add_real(s, y, vy);
  const double numbers[] = {0, 1, -1, 2, 0.5};
  for (int i = 0; i < 5; i++) add_real(s, expr_real(ir, DT_f64, numbers[i]), numbers[i]);
  add_truth(s, p, vp);
  add_truth(s, q, !vp);
  add_truth(s, expr_int(ir, DT_bool, 1), true);
  add_integer(s, k, vk);
  for (int i = 0; i < 4; i++) add_integer(s, expr_int(ir, DT_i64, i), i);
}

static bool close_enough(double a, double b) {
  return a == b || (isnan(a) && isnan(b)) || fabs(a - b) <= 1e-12 * fmax(fabs(a), fabs(b));
}

static void random_expressions(void **state) {
  (void)state;
  for (int round = 0; round < 3000; round++) {
    Parts s = {0};
    double vx = (below(2000) - 1000) / 300.0, vy = (below(2000) - 1000) / 300.0;
    uint8_t vp = (uint8_t)below(2), vq = !vp;
    int64_t vk = below(21) - 10;
    leaves(&s, vx, vy, vp, vk);
    for (int i = 0; i < 30; i++) grow(&s);
    Expr *e = s.real[s.nreal - 1];
    double expected = s.r[s.nreal - 1];
    Graph *h = graph_new(ir, NULL);
    for (int i = 0; i < 5; i++) vec_push(h->arena, &h->nodes, g->nodes.at[i]);
    Node *n = graph_comp(h, 0, NULL, RED_none, 0, NULL, e, (Span){0});
    Interpretation in = {.arena = arena_new()};
    give(&in, "x", DT_f64, &vx);
    give(&in, "y", DT_f64, &vy);
    give(&in, "p", DT_bool, &vp);
    give(&in, "q", DT_bool, &vq);
    give(&in, "k", DT_i64, &vk);
    assert_null(interpret(h, &in));
    double v = *(double *)in.values[n->id].data;
    bool dropped_nan = !isfinite(expected); /* S3: x * 0 is 0 whatever x is */
    if (!dropped_nan && !close_enough(v, expected)) {
      Buf b = {0};
      expr_print(&b, e);
      fail_msg("round %d: %s is %.17g, not %.17g", round, b.text, v, expected);
    }
    arena_free(in.arena);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(rules),
      cmocka_unit_test(not_rules),
      cmocka_unit_test(index_values),
      cmocka_unit_test(random_expressions),
  };
  return cmocka_run_group_tests(tests, setup, NULL);
}
