/* solve_test.c - solve() against enumeration, on the named shapes of reads and on random ones. */
#include <stdlib.h>
#include <string.h>

#include "ir/reduce_indices.h"
#include "tests/unit/unit.h"

enum { MAX_VARS = 8, MAX_DIMS = 2 };

typedef struct Env {
  int n;
  Var *var[4 * MAX_VARS];
  int64_t value[4 * MAX_VARS];
} Env;

static void bind(Env *e, Var *v, int64_t value) {
  e->var[e->n] = v;
  e->value[e->n++] = value;
}

static int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b < 0); }

static int64_t eval_form(const Env *env, const Form *f) {
  int64_t sum = f->c0;
  for (int i = 0; i < f->n; i++) {
    const Atom *a = f->terms[i].atom;
    int64_t value = 0;
    if (a->kind == ATOM_DIV) value = floor_div(eval_form(env, a->form), a->divisor);
    else {
      assert_int_equal(a->kind, ATOM_VAR);
      int k = 0;
      while (k < env->n && env->var[k] != a->var) k++;
      assert_true(k < env->n);
      value = env->value[k];
    }
    sum += f->terms[i].coefficient * value;
  }
  return sum;
}

static bool eval_guard(const Env *env, const Expr *e) {
  double v;
  if (!e) return true;
  if (expr_is_const(e, &v)) return v != 0;
  if (e->kind == EXPR_GE0) return eval_form(env, e->form) >= 0;
  if (e->kind == EXPR_EQ0) return eval_form(env, e->form) == 0;
  assert_true(e->kind == EXPR_OP && e->op == OP_and);
  return eval_guard(env, e->arg[0]) && eval_guard(env, e->arg[1]);
}

/* Steps the last n bindings through their extents; false after the last combination. */
static bool next(Env *e, int first) {
  for (int i = e->n - 1; i >= first; i--) {
    if (++e->value[i] < dim_value(e->var[i]->extent)) return true;
    e->value[i] = 0;
  }
  return false;
}

static bool nonempty(int n, Var *const *v) {
  for (int i = 0; i < n; i++)
    if (dim_value(v[i]->extent) < 1) return false;
  return true;
}

typedef struct Read {
  int nvars, rank;
  Var *var[MAX_VARS];
  Form *at[MAX_DIMS];
  Dim *extent[MAX_DIMS]; /* of what is read; A may leave it */
} Read;

/* Number of the values v as one integer, to compare sets of them. */
static int64_t code_of(const Read *r, const int64_t *v) {
  int64_t code = 0;
  for (int i = 0; i < r->nvars; i++) code = code * dim_value(r->var[i]->extent) + v[i];
  return code;
}

static bool in_range(const Read *r, const int64_t *v) {
  for (int i = 0; i < r->nvars; i++)
    if (v[i] < 0 || v[i] >= dim_value(r->var[i]->extent)) return false;
  return true;
}

/* Marks in seen[] how often each v with A(v) = j is met by the solution; returns the points visited. */
static int64_t visit_solution(const Read *r, const Solution *s, Var **target, const int64_t *j, int *seen) {
  Env env = {0};
  for (int d = 0; d < r->rank; d++) bind(&env, target[d], j[d]);
  int first = env.n;
  for (int i = 0; i < s->free.n; i++) bind(&env, s->free.at[i], 0);
  if (!nonempty(s->free.n, s->free.at)) return 0;
  int64_t visited = 0;
  do {
    visited++;
    if (!eval_guard(&env, s->guard)) continue;
    int64_t v[MAX_VARS];
    for (int i = 0; i < r->nvars; i++) v[i] = eval_form(&env, s->value[i]);
    assert_true(in_range(r, v));
    seen[code_of(r, v)]++;
  } while (next(&env, first));
  return visited;
}

static int number; /* of the random read under test */

/* Every v must be met exactly once, at the j that it reads. */
static Solution *check(Ir *ir, const Read *r) {
  Var *target[MAX_DIMS];
  Form *targets[MAX_DIMS];
  for (int d = 0; d < r->rank; d++) {
    target[d] = var_fresh(ir, r->extent[d]);
    targets[d] = form_var(ir, target[d]);
  }
  Solution *s = solve(ir, r->nvars, (Var **)r->var, r->rank, (Form **)r->at, targets);
  int64_t volume = 1;
  for (int i = 0; i < r->nvars; i++) volume *= dim_value(r->var[i]->extent);
  int *seen = calloc((size_t)volume, sizeof *seen);

  Env j = {0};
  for (int d = 0; d < r->rank; d++) bind(&j, target[d], 0);
  do {
    memset(seen, 0, sizeof *seen * (size_t)volume);
    visit_solution(r, s, target, j.value, seen);
    Env v = {0};
    for (int i = 0; i < r->nvars; i++) bind(&v, r->var[i], 0);
    do {
      bool equal = true;
      for (int d = 0; d < r->rank; d++) equal &= eval_form(&v, r->at[d]) == j.value[d];
      if (seen[code_of(r, v.value)] != equal)
        fail_msg("random read %d: a point is met %d times", number, seen[code_of(r, v.value)]);
    } while (next(&v, 0));
  } while (next(&j, 0));
  free(seen);
  return s;
}

static uint64_t random_state;
static int64_t random_in(int64_t lo, int64_t hi) {
  random_state = random_state * 6364136223846793005u + 1442695040888963407u;
  return lo + (int64_t)((random_state >> 33) % (uint64_t)(hi - lo + 1));
}

static Form *random_form(Ir *ir, const Read *r) {
  Form *f = form_const(ir, random_in(-3, 3));
  for (int i = 0; i < r->nvars; i++)
    if (random_in(0, 2)) f = form_add(ir, f, form_scale(ir, form_var(ir, r->var[i]), random_in(-2, 6)));
  return f;
}

static Read random_read(Ir *ir) {
  Read r = {.nvars = (int)random_in(1, 3), .rank = (int)random_in(1, 2)};
  for (int i = 0; i < r.nvars; i++) r.var[i] = var_fresh(ir, dim_const(ir, random_in(1, 6)));
  for (int d = 0; d < r.rank; d++) {
    Form *f = random_form(ir, &r);
    int64_t kind = random_in(0, 4), c = random_in(2, 4);
    if (kind == 0) f = form_floordiv(ir, f, c);
    if (kind == 1) f = form_mod(ir, f, c);
    if (kind == 2) f = form_add(ir, form_floordiv(ir, f, c), random_form(ir, &r));
    r.at[d] = f;
    r.extent[d] = dim_const(ir, random_in(1, 8));
  }
  return r;
}

static void random_reads(void **state) {
  (void)state;
  random_state = 1;
  int slow = 0;
  for (number = 0; number < 3000; number++) {
    Arena *a = arena_new();
    Ir *ir = ir_new(a, str_table_new(a));
    Read r = random_read(ir);
    slow += check(ir, &r)->slow;
    arena_free(a);
  }
  print_message("3000 random reads, %d by the slow row\n", slow);
  assert_true(slow <= 30);
}

/* ---- named cases: what the solution must look like ---- */

typedef struct Fixture {
  Arena *a;
  Ir *ir;
} Fixture;

static Fixture fixture(void) {
  Arena *a = arena_new();
  return (Fixture){a, ir_new(a, str_table_new(a))};
}

static Var *var(Fixture *f, int64_t extent) { return var_fresh(f->ir, dim_const(f->ir, extent)); }

/* k0*a + k1*b + c */
static Form *sum(Fixture *f, int64_t k0, Var *a, int64_t k1, Var *b, int64_t c) {
  Form *x = form_scale(f->ir, form_var(f->ir, a), k0);
  return form_add(f->ir, form_add(f->ir, x, form_scale(f->ir, form_var(f->ir, b), k1)), form_const(f->ir, c));
}

static double volume(const Solution *s) {
  double v = 1;
  for (int i = 0; i < s->free.n; i++) v *= (double)dim_value(s->free.at[i]->extent);
  return v;
}

/* A reshape and its inverse leave no index and no guard. */
static void reshape_is_exact(void **state) {
  (void)state;
  Fixture f = fixture();
  Var *a = var(&f, 4), *b = var(&f, 6), *k = var(&f, 24);
  Read flatten = {2, 1, {a, b}, {sum(&f, 6, a, 1, b, 0)}, {dim_const(f.ir, 24)}};
  Solution *s = check(f.ir, &flatten);
  assert_int_equal(s->free.n, 0);
  assert_null(s->guard);
  Form *row = form_floordiv(f.ir, form_var(f.ir, k), 6), *column = form_mod(f.ir, form_var(f.ir, k), 6);
  Read split = {1, 2, {k}, {row, column}, {dim_const(f.ir, 4), dim_const(f.ir, 6)}};
  s = check(f.ir, &split);
  assert_int_equal(s->free.n, 0);
  assert_null(s->guard);
  arena_free(f.a);
}

/* x[2*i + u - 1], u < 3: one index of ceil(3/2) values is left. */
static void stride_leaves_half_the_kernel(void **state) {
  (void)state;
  Fixture f = fixture();
  Var *i = var(&f, 7), *u = var(&f, 3);
  Read r = {2, 1, {i, u}, {sum(&f, 2, i, 1, u, -1)}, {dim_const(f.ir, 14)}};
  assert_true(volume(check(f.ir, &r)) == 2);
  arena_free(f.a);
}

/* Kernel = stride: mixed radix, nothing is left. */
static void patches_leave_no_index(void **state) {
  (void)state;
  Fixture f = fixture();
  Var *i = var(&f, 5), *u = var(&f, 3);
  Read r = {2, 1, {i, u}, {sum(&f, 3, i, 1, u, 0)}, {dim_const(f.ir, 15)}};
  Solution *s = check(f.ir, &r);
  assert_int_equal(s->free.n, 0);
  assert_null(s->guard);
  arena_free(f.a);
}

/* Strides that share a factor with the dilation. */
static void dilation_with_common_factor(void **state) {
  (void)state;
  Fixture f = fixture();
  Var *i = var(&f, 6), *u = var(&f, 5);
  Read r = {2, 1, {i, u}, {sum(&f, 4, i, 6, u, -2)}, {dim_const(f.ir, 40)}};
  assert_true(volume(check(f.ir, &r)) <= 3);
  arena_free(f.a);
}

/* x[B - 1 - b] with an open B: reversed, without a guard. */
static void open_extents(void **state) {
  (void)state;
  Fixture f = fixture();
  Dim *B = dim_symbol(f.ir, str_internz(f.ir->strings, "B"), 0);
  Var *b = var_fresh(f.ir, B), *j = var_fresh(f.ir, B);
  Form *last = form_dim(f.ir, dim_sub(f.ir, B, dim_const(f.ir, 1)));
  Form *at = form_sub(f.ir, last, form_var(f.ir, b)), *target = form_var(f.ir, j);
  Solution *s = solve(f.ir, 1, &b, 1, &at, &target);
  assert_int_equal(s->free.n, 0);
  assert_null(s->guard);
  assert_ptr_equal(s->value[0], form_sub(f.ir, last, target));
  arena_free(f.a);
}

/* ---- the normal form of sums ---- */

static void expect_sum(Fixture *f, Expr *guard, Expr *value, int n, Var **vars, double visits) {
  Sum s = {expr_guard(f->ir, guard, value), {0}};
  for (int i = 0; i < n; i++) vec_push(f->a, &s.vars, vars[i]);
  assert_true(sum_normalise(f->ir, &s));
  double v = 1;
  for (int i = 0; i < s.vars.n; i++) v *= (double)dim_value(s.vars.at[i]->extent);
  assert_true(v == visits);
  Guarded g = expr_guarded(f->ir, s.body);
  if (visits > 1) assert_null(g.guard);
}

static Expr *value_of(Fixture *f, Form *x) { return expr_cast(f->ir, DT_f64, expr_index(f->ir, DT_i64, x)); }

/* N5: 2*a + b, b < 2, is one index; 3*a + b is not. */
static void merge(void **state) {
  (void)state;
  Fixture f = fixture();
  Var *v[] = {var(&f, 3), var(&f, 2)};
  expect_sum(&f, NULL, value_of(&f, sum(&f, 2, v[0], 1, v[1], 5)), 2, v, 6);
  Expr *guard = expr_ge0(f.ir, sum(&f, -2, v[0], -1, v[1], 2)); /* must survive until the merged index is bounded */
  expect_sum(&f, guard, value_of(&f, sum(&f, 2, v[0], 1, v[1], 5)), 2, v, 3);
  Sum s = {value_of(&f, sum(&f, 3, v[0], 1, v[1], 5)), {v, 2, 2}};
  assert_false(sum_normalise(f.ir, &s));
  arena_free(f.a);
}

/* An index with one value is that value. */
static void unit(void **state) {
  (void)state;
  Fixture f = fixture();
  Var *v[] = {var(&f, 1), var(&f, 4)};
  Sum s = {value_of(&f, sum(&f, 5, v[0], 1, v[1], 0)), {v, 2, 2}};
  assert_true(sum_normalise(f.ir, &s));
  assert_int_equal(s.vars.n, 1);
  assert_ptr_equal(s.body, value_of(&f, form_var(f.ir, v[1])));
  arena_free(f.a);
}

/* N6: 7 - 2*u >= 0 and u >= 1 leave u in 1..3. */
static void shrink(void **state) {
  (void)state;
  Fixture f = fixture();
  Var *u = var(&f, 9);
  Expr *guard = expr_and(f.ir, expr_ge0(f.ir, sum(&f, -2, u, 0, u, 7)), expr_ge0(f.ir, sum(&f, 1, u, 0, u, -1)));
  expect_sum(&f, guard, value_of(&f, form_var(f.ir, u)), 1, &u, 3);
  arena_free(f.a);
}

/* N8: (3*u + 1) % 4 == 0 leaves every fourth u. */
static void congruence(void **state) {
  (void)state;
  Fixture f = fixture();
  Var *u = var(&f, 12);
  Expr *guard = expr_eq0(f.ir, form_mod(f.ir, sum(&f, 3, u, 0, u, 1), 4));
  expect_sum(&f, guard, value_of(&f, form_var(f.ir, u)), 1, &u, 3);
  arena_free(f.a);
}

/* S8: r == 2*j fixes r; S7: an absent index is a factor. */
static void fixed_and_absent(void **state) {
  (void)state;
  Fixture f = fixture();
  Var *j = var(&f, 4), *v[] = {var(&f, 9), var(&f, 5)};
  Expr *guard = expr_eq0(f.ir, sum(&f, 1, v[0], -2, j, 0));
  expect_sum(&f, guard, value_of(&f, form_var(f.ir, v[0])), 2, v, 1);
  arena_free(f.a);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(random_reads),
      cmocka_unit_test(reshape_is_exact),
      cmocka_unit_test(stride_leaves_half_the_kernel),
      cmocka_unit_test(patches_leave_no_index),
      cmocka_unit_test(dilation_with_common_factor),
      cmocka_unit_test(open_extents),
      cmocka_unit_test(unit),
      cmocka_unit_test(merge),
      cmocka_unit_test(shrink),
      cmocka_unit_test(congruence),
      cmocka_unit_test(fixed_and_absent),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
