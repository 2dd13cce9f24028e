/* affine_test.c - index forms against brute force: random forms with // and % have the values, ranges and proofs that
 * evaluation at every point gives; and the canonical forms that the rules N1-N3 promise. */
#include "ir/expr.h"
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

enum { NVARS = 3 };

static Ir *ir;
static Var *vars[NVARS];
static int64_t point[NVARS];
static uint64_t seed;

static int64_t any(int64_t low, int64_t high) { /* inclusive */
  seed = seed * 6364136223846793005u + 1442695040888963407u;
  return low + (int64_t)((seed >> 33) % (uint64_t)(high - low + 1));
}

static int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b != 0 && (a < 0) != (b < 0)); }

static int64_t value(const Form *f) {
  int64_t v = f->c0;
  for (int i = 0; i < f->n; i++) {
    const Atom *a = f->terms[i].atom;
    int64_t x = 0;
    if (a->kind == ATOM_DIV) x = floor_div(value(a->form), a->divisor);
    else
      for (int k = 0; k < NVARS; k++)
        if (a->var == vars[k]) x = point[k];
    v += f->terms[i].coefficient * x;
  }
  return v;
}

/* A recipe for a form, evaluated without the code under test: a small stack machine. */
typedef struct Step {
  char op;
  int64_t k;
} Step;

typedef struct Recipe {
  int n;
  Step at[12];
} Recipe;

static Recipe random_recipe(void) {
  Recipe r = {.n = (int)any(2, 10)};
  r.at[0] = (Step){'v', any(0, NVARS - 1)};
  for (int i = 1; i < r.n; i++) {
    char op = "va+v//%*"[any(0, 7)];
    r.at[i].op = op == 'a' ? 'v' : op;
    r.at[i].k = op == 'v' || op == 'a'   ? any(0, NVARS - 1)
                : op == '/' || op == '%' ? any(1, 8)
                : op == '*'              ? any(-3, 6)
                                         : any(-9, 9);
  }
  return r;
}

/* 'v': add c * variable, c from the step's place. */
static int64_t coefficient_at(int i) { return 1 + i % 4; }

static Form *build(const Recipe *r) {
  Form *f = form_const(ir, 0);
  for (int i = 0; i < r->n; i++) {
    int64_t k = r->at[i].k;
    switch (r->at[i].op) {
    case 'v': f = form_add(ir, f, form_scale(ir, form_var(ir, vars[k]), coefficient_at(i))); break;
    case '+': f = form_add(ir, f, form_const(ir, k)); break;
    case '*': f = form_scale(ir, f, k); break;
    case '/': f = form_floordiv(ir, f, k); break;
    default: f = form_mod(ir, f, k); break;
    }
  }
  return f;
}

static int64_t compute(const Recipe *r) {
  int64_t v = 0;
  for (int i = 0; i < r->n; i++) {
    int64_t k = r->at[i].k;
    switch (r->at[i].op) {
    case 'v': v += coefficient_at(i) * point[k]; break;
    case '+': v += k; break;
    case '*': v *= k; break;
    case '/': v = floor_div(v, k); break;
    default: v -= k * floor_div(v, k); break;
    }
  }
  return v;
}

static void compare_everywhere(const Recipe *r) {
  Form *f = build(r);
  Range range = form_range(ir, f);
  int64_t n[NVARS], least = INT64_MAX;
  for (int k = 0; k < NVARS; k++) n[k] = dim_value(vars[k]->extent);
  for (point[0] = 0; point[0] < n[0]; point[0]++)
    for (point[1] = 0; point[1] < n[1]; point[1]++)
      for (point[2] = 0; point[2] < n[2]; point[2]++) {
        int64_t v = compute(r);
        assert_int_equal(value(f), v);
        assert_true(range.has_lower && range.lower <= v);
        assert_true(range.has_upper && range.upper >= v);
        if (v < least) least = v;
      }
  assert_false(form_proves_ge(ir, f, least + 1));
}

static void choose_extents(void) {
  for (int k = 0; k < NVARS; k++) vars[k] = var_get(ir, k, dim_const(ir, any(1, 7)));
}

static void random_forms(void **state) {
  (void)state;
  for (seed = 1; seed < 100;) {
    uint64_t next = seed + 1;
    choose_extents();
    for (int i = 0; i < 60; i++) {
      Recipe r = random_recipe();
      compare_everywhere(&r);
    }
    seed = next;
  }
}

static Form *v(int k) { return form_var(ir, vars[k]); }
static Form *plus(Form *a, int64_t c) { return form_add(ir, a, form_const(ir, c)); }
static Form *times(int64_t c, Form *a) { return form_scale(ir, a, c); }

static void canonical(void **state) {
  (void)state;
  int64_t extents[] = {6, 4, 5};
  for (int k = 0; k < NVARS; k++) vars[k] = var_get(ir, k, dim_const(ir, extents[k]));
  Form *flat = form_add(ir, times(20, v(0)), form_add(ir, times(5, v(1)), v(2)));
  assert_ptr_equal(form_floordiv(ir, flat, 20), v(0));
  assert_ptr_equal(form_floordiv(ir, form_mod(ir, flat, 20), 5), v(1));
  assert_ptr_equal(form_mod(ir, flat, 5), v(2));
  assert_ptr_equal(form_floordiv(ir, flat, 40), form_floordiv(ir, v(0), 2));
  Form *z = plus(times(3, v(0)), 1);
  assert_ptr_equal(form_add(ir, times(4, form_floordiv(ir, z, 4)), form_mod(ir, z, 4)), z);
  assert_ptr_equal(form_floordiv(ir, form_sub(ir, z, form_mod(ir, z, 4)), 4), form_floordiv(ir, z, 4));
  assert_ptr_equal(form_floordiv(ir, form_floordiv(ir, z, 2), 3), form_floordiv(ir, z, 6));
  assert_int_equal(form_range(ir, form_mod(ir, z, 4)).upper, 3);
  Form *bit = form_var(ir, var_get(ir, 9, dim_const(ir, 2))), *three = form_var(ir, var_get(ir, 9, dim_const(ir, 3)));
  assert_ptr_equal(form_mod(ir, times(-1, bit), 2), bit); /* two points lie on a line */
  assert_ptr_equal(form_floordiv(ir, times(4, three), 3), three);
  assert_true(form_uses(form_floordiv(ir, plus(three, 1), 2), form_as_var(three)));
  assert_null(form_as_var(form_floordiv(ir, plus(three, 1), 2))); /* 0, 1, 1 do not */
  assert_int_equal(form_coefficient(flat, vars[1]), 5);
  assert_true(form_uses(form_floordiv(ir, z, 4), vars[0]));
  assert_false(form_uses(form_floordiv(ir, z, 4), vars[1]));
}

static void open_extents(void **state) {
  (void)state;
  Dim *B = dim_symbol(ir, "B", 0), *H = dim_symbol(ir, "H", 5);
  Form *b = form_var(ir, var_get(ir, 0, B)), *h = form_var(ir, var_get(ir, 1, H));
  assert_true(form_proves_inside(ir, b, B));
  assert_true(form_proves_inside(ir, form_sub(ir, plus(form_dim(ir, B), -1), b), B)); /* reversed */
  assert_false(form_proves_inside(ir, plus(b, 1), B));
  assert_true(form_proves_ge(ir, plus(form_dim(ir, B), -1), 0) == false);
  assert_true(form_proves_ge(ir, form_add(ir, plus(form_dim(ir, B), -1), b), 0)); /* b exists: B >= 1 */
  /* 2*i + u < H where i < (H - 5) // 2 + 1, u < 5 */
  Dim *n = dim_add(ir, dim_floordiv(ir, dim_sub(ir, H, dim_const(ir, 5)), dim_const(ir, 2)), dim_const(ir, 1));
  Form *i = form_var(ir, var_get(ir, 2, n)), *u = form_var(ir, var_get(ir, 3, dim_const(ir, 5)));
  assert_true(form_proves_inside(ir, form_add(ir, times(2, i), u), H));
  assert_false(form_proves_inside(ir, form_add(ir, times(2, i), plus(u, 1)), H));
  assert_true(form_proves_inside(ir, form_floordiv(ir, h, 2), H));
  assert_true(form_proves_ge(ir, form_sub(ir, h, form_floordiv(ir, h, 2)), 0));
  /* n // 16 where n < 16*B */
  Form *of16 = form_floordiv(ir, form_var(ir, var_get(ir, 4, dim_mul(ir, dim_const(ir, 16), B))), 16);
  assert_true(form_proves_inside(ir, of16, B));
  assert_false(form_proves_inside(ir, plus(of16, 1), B));
  assert_ptr_equal(form_floordiv(ir, form_dim(ir, H), 2), form_dim(ir, dim_floordiv(ir, H, dim_const(ir, 2))));
}

/* Windows of a shifted image: i % 8 // 4 stays below 2, though as i // 4 and i // 8 no interval says so. */
static void quotients_of_one_index(void **state) {
  (void)state;
  Form *i = form_var(ir, var_get(ir, 0, dim_const(ir, 8))), *j = form_var(ir, var_get(ir, 1, dim_const(ir, 8)));
  Form *row = form_floordiv(ir, form_mod(ir, plus(i, 6), 8), 4), *column = form_mod(ir, plus(j, 6), 4);
  Range r = form_range(ir, form_add(ir, form_scale(ir, row, 4), column));
  assert_true(r.has_lower && r.has_upper);
  assert_int_equal(r.lower, 0);
  assert_int_equal(r.upper, 7);
  r = form_range(ir, form_sub(ir, form_floordiv(ir, i, 2), form_floordiv(ir, j, 2)));
  assert_int_equal(r.lower, -3);
  assert_int_equal(r.upper, 3);
  r = form_range(ir, form_sub(ir, i, form_floordiv(ir, i, 2)));
  assert_int_equal(r.lower, 0);
  assert_int_equal(r.upper, 4);
}

static int setup(void **state) {
  (void)state;
  Arena *a = arena_new();
  ir = ir_new(a, str_table_new(a));
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(random_forms),
      cmocka_unit_test(canonical),
      cmocka_unit_test(open_extents),
      cmocka_unit_test(quotients_of_one_index),
  };
  return cmocka_run_group_tests(tests, setup, NULL);
}
