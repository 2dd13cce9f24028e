/* dim_test.c - dimensions: the normal form, exact division, proofs, overflow, printing. */
#include "ir/expr.h"
#include "tests/unit/unit.h"

static Ir *ir;
static Dim *B, *H, *K;

static int setup(void **state) {
  Arena *a = arena_new();
  *state = a;
  ir = ir_new(a, str_table_new(a));
  B = dim_symbol(ir, str_internz(ir->strings, "B"), 0);
  H = dim_symbol(ir, str_internz(ir->strings, "H"), 1);
  K = dim_symbol(ir, str_internz(ir->strings, "K"), 1);
  return 0;
}

static Dim *number(int64_t v) { return dim_const(ir, v); }
static Dim *plus(Dim *a, int64_t v) { return dim_add(ir, a, number(v)); }
static Dim *times(int64_t v, Dim *a) { return dim_mul(ir, number(v), a); }
static Dim *over(Dim *a, int64_t v) { return dim_floordiv(ir, a, number(v)); }
static void prints(Dim *d, const char *text) { assert_string_equal(dim_text(ir->arena, d), text); }

static void normal_form(void **state) {
  (void)state;
  assert_ptr_equal(dim_add(ir, H, K), dim_add(ir, K, H));
  assert_ptr_equal(dim_mul(ir, plus(H, 1), plus(H, -1)), plus(dim_mul(ir, H, H), -1));
  assert_ptr_equal(dim_sub(ir, H, H), number(0));
  assert_ptr_equal(over(times(6, H), 3), times(2, H));
  assert_ptr_equal(over(plus(times(6, H), 7), 3), plus(times(2, H), 2));
  assert_ptr_equal(over(plus(times(2, H), 1), 4), over(H, 2));
  assert_ptr_equal(over(over(H, 2), 3), over(H, 6));
  assert_ptr_equal(over(plus(over(H, 2), 1), 3), over(plus(H, 2), 6));
  assert_ptr_equal(over(plus(H, -3), 2), plus(over(plus(H, 1), 2), -2));
  assert_ptr_equal(dim_mod(ir, times(4, H), number(2)), number(0));
  assert_ptr_equal(dim_floordiv(ir, dim_mul(ir, H, K), K), H);
  assert_ptr_equal(dim_floordiv(ir, plus(dim_mul(ir, H, K), 0), dim_mul(ir, H, K)), number(1));
  assert_ptr_equal(over(number(-7), 2), number(-4));
  assert_ptr_not_equal(dim_symbol(ir, str_internz(ir->strings, "H"), 1), H);
}

static void exact_division(void **state) {
  (void)state;
  Dim *a = dim_mul(ir, plus(H, 1), dim_add(ir, K, H));
  assert_ptr_equal(dim_exact_div(ir, a, plus(H, 1)), dim_add(ir, K, H));
  assert_null(dim_exact_div(ir, plus(a, 1), plus(H, 1)));
  assert_null(dim_exact_div(ir, H, number(2)));
  assert_ptr_equal(dim_exact_div(ir, number(0), H), number(0));
}

static void proofs(void **state) {
  (void)state;
  assert_true(dim_at_least(ir, B, 0));
  assert_false(dim_at_least(ir, B, 1));
  assert_true(dim_at_least(ir, dim_mul(ir, H, K), 1));
  assert_true(dim_at_least(ir, plus(dim_mul(ir, H, plus(H, -1)), 0), 0));
  assert_false(dim_at_least(ir, dim_sub(ir, H, K), 0));
  assert_true(dim_at_least(ir, dim_sub(ir, H, over(H, 2)), 0));
  assert_true(dim_at_least(ir, over(H, 2), 0));
  assert_false(dim_at_least(ir, over(plus(H, -2), 2), 0)); /* -1 for H = 1 */
  Dim *P = dim_symbol(ir, str_internz(ir->strings, "P"), 1);
  assert_false(dim_at_least(ir, dim_sub(ir, number(64), P), 0));
  dim_bound(ir, dim_as_symbol(P), 2, 64);
  assert_true(dim_at_least(ir, P, 2));
  assert_true(dim_at_least(ir, dim_sub(ir, number(64), P), 0));
  assert_false(dim_at_least(ir, dim_sub(ir, number(63), P), 0));
  assert_true(dim_at_least(ir, dim_sub(ir, times(64, H), dim_mul(ir, P, H)), 0));
  assert_false(dim_at_least(ir, dim_sub(ir, H, P), 0));
  assert_true(dim_at_least(ir, dim_sub(ir, number(32), over(P, 2)), 0));
  /* the last element that a convolution of stride 2 reads: 2*((H - K) // 2) + K - 1 < H */
  Dim *last = dim_add(ir, times(2, over(dim_sub(ir, H, K), 2)), plus(K, -1));
  assert_true(dim_at_least(ir, dim_sub(ir, H, last), 1));
}

/* What a division leaves is known from where it is said: what it takes apart goes together again. */
static void divisions(void **state) {
  (void)state;
  Dim *n = dim_symbol(ir, "N", 1), *m = dim_symbol(ir, "M", 1);
  Dim *half = dim_divided(ir, n, number(2));
  assert_ptr_equal(times(2, half), n);
  assert_ptr_equal(dim_mod(ir, n, number(2)), number(0));
  assert_ptr_equal(dim_mul(ir, times(6, half), m), times(3, dim_mul(ir, n, m)));
  Dim *part = dim_divided(ir, n, m);
  assert_ptr_equal(dim_mul(ir, m, part), n);
  assert_ptr_equal(dim_sub(ir, dim_mul(ir, n, m), dim_mul(ir, dim_mul(ir, m, m), part)), number(0));
  dim_leaves(ir, m, number(4), number(3));
  assert_ptr_equal(plus(times(4, over(m, 4)), 3), m);
  assert_ptr_equal(dim_mod(ir, times(2, m), number(8)), number(6));
  prints(times(2, over(m, 4)), "2*(M // 4)");
  /* (M // 2) / 3 says nothing of M // 6, which leaves a rest of M. */
  Dim *k = dim_symbol(ir, "K", 1), *sixth = dim_divided(ir, over(k, 2), number(3));
  prints(times(6, sixth), "6*(K // 6)");
}

static void overflow(void **state) {
  (void)state;
  Dim *big = number(INT64_MAX);
  assert_true(dim_overflowed(dim_mul(ir, big, number(2))));
  assert_true(dim_overflowed(dim_add(ir, big, number(1))));
  assert_true(dim_overflowed(dim_add(ir, dim_mul(ir, big, times(3, H)), B)));
  assert_false(dim_is_const(dim_add(ir, big, big), NULL));
}

static void printing(void **state) {
  (void)state;
  prints(number(-3), "-3");
  prints(plus(times(2, H), 1), "2*H + 1");
  prints(plus(over(dim_sub(ir, H, K), 2), 1), "(H - K) // 2 + 1");
  prints(dim_sub(ir, times(3, dim_mul(ir, K, H)), over(H, 2)), "3*H*K - H // 2");
}

static Dim *map_h(void *cx, DimAtom *s) { return s == dim_as_symbol(H) ? cx : NULL; }
static int64_t value_of(void *cx, DimAtom *s) { return ((int64_t *)cx)[s->id]; }

static void substitution(void **state) {
  (void)state;
  Dim *d = plus(over(dim_sub(ir, H, K), 2), 1);
  assert_ptr_equal(dim_substitute(ir, d, map_h, plus(K, 4)), number(3));
  int64_t values[16] = {0};
  values[dim_as_symbol(H)->id] = 4;
  values[dim_as_symbol(K)->id] = 7;
  assert_int_equal(dim_evaluate(d, value_of, values), -1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(normal_form),  cmocka_unit_test(exact_division), cmocka_unit_test(proofs),
      cmocka_unit_test(divisions),    cmocka_unit_test(overflow),       cmocka_unit_test(printing),
      cmocka_unit_test(substitution),
  };
  return cmocka_run_group_tests(tests, setup, NULL);
}
