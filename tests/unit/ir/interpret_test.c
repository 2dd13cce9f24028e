/* interpret_test.c - the reference interpreter against values computed here or known: contractions, convolution,
 * softmax, pooling, gather, scatter, sort, ties and NaN, guards, draws, every scalar operation's folding. */
#include "ir/evaluate.h"
#include "ir/scalar.h"
#include "ir/text.h"
#include "runtime/philox.h"
#include "tests/unit/unit.h"

#include <math.h>
#include <string.h>

typedef struct Case {
  Arena *arena;
  Ir *ir;
  Graph *g;
  Interpretation in;
} Case;

static Case read_case(const char *text) {
  Case c = {.arena = arena_new()};
  c.ir = ir_new(c.arena, str_table_new(c.arena));
  char error[256];
  c.g = graph_read(c.ir, text, strlen(text), error);
  if (!c.g) fail_msg("%s", error);
  c.in.arena = c.arena;
  return c;
}

static void give(Case *c, const char *name, DType t, int rank, const int64_t *extent, const void *data) {
  Tensor x = {.dtype = t, .rank = rank, .data = (void *)data};
  for (int i = 0; i < rank; i++) x.extent[i] = extent[i];
  vec_push(c->arena, &c->in.given, (Binding){str_internz(c->ir->strings, name), x});
}

#define EXTENTS(...) ((const int64_t[]){__VA_ARGS__})

static const Tensor *run(Case *c) { /* the first output */
  const char *error = interpret(c->g, &c->in);
  if (error) fail_msg("%s", error);
  return &c->in.values[c->g->outputs.at[0].node->id];
}

static void done(Case *c) { arena_free(c->arena); }

static void matmul(void **state) {
  (void)state;
  Case c = read_case("dim B >= 0 batch\n"
                     "%0 = input x : f32[B, 3]\n"
                     "%1 = param w : f32[2, 3]\n"
                     "%2 = comp f32[B, 2] [i0, i1] sum(r0 < 3: mul(%0[i0, r0], %1[i1, r0]))\n"
                     "output y = %2\n");
  float x[] = {1, 2, 3, 4, 5, 6}, w[] = {1, 0, -1, 2, 1, 0.5f};
  give(&c, "x", DT_f32, 2, EXTENTS(2, 3), x);
  give(&c, "w", DT_f32, 2, EXTENTS(2, 3), w);
  const Tensor *y = run(&c);
  float expected[] = {-2, 5.5f, -2, 16};
  assert_int_equal(y->extent[0], 2);
  assert_memory_equal(y->data, expected, sizeof expected);
  done(&c);
}

static void convolution(void **state) { /* stride 2, padding 1, kernel 3, on a line */
  (void)state;
  Case c = read_case("%0 = input x : f32[5]\n"
                     "%1 = param w : f32[3]\n"
                     "%2 = comp f32[3] [i0] sum(r0 < 3: select(and(ge0(2*i0 + r0 - 1), ge0(5 - 2*i0 - r0)), "
                     "mul(%0[2*i0 + r0 - 1], %1[r0]), 0))\n"
                     "output y = %2\n");
  float x[] = {1, 2, 3, 4, 5}, w[] = {1, 10, 100};
  give(&c, "x", DT_f32, 1, EXTENTS(5), x);
  give(&c, "w", DT_f32, 1, EXTENTS(3), w);
  const Tensor *y = run(&c);
  float expected[] = {210, 432, 54};
  assert_memory_equal(y->data, expected, sizeof expected);
  done(&c);
}

static void softmax(void **state) {
  (void)state;
  Case c = read_case("%0 = input x : f64[2, 4]\n"
                     "%1 = comp f64[2] [i0] max(r0 < 4: %0[i0, r0])\n"
                     "%2 = comp f64[2] [i0] sum(r0 < 4: exp(sub(%0[i0, r0], %1[i0])))\n"
                     "%3 = comp f64[2, 4] [i0, i1] div(exp(sub(%0[i0, i1], %1[i0])), %2[i0])\n"
                     "output p = %3\n");
  double x[] = {1, 2, 3, 4, 1000, 1001, -1000, 1000};
  give(&c, "x", DT_f64, 2, EXTENTS(2, 4), x);
  const double *p = run(&c)->data;
  double z = exp(-3) + exp(-2) + exp(-1) + 1;
  for (int i = 0; i < 4; i++) assert_true(fabs(p[i] - exp(i - 3) / z) < 1e-15);
  assert_true(p[6] == 0 && fabs(p[4] + p[5] + p[7] - 1) < 1e-15);
  done(&c);
}

static void pooling(void **state) {
  (void)state;
  Case c = read_case("%0 = input x : f32[4, 4]\n"
                     "%1 = comp f32[2, 2] [i0, i1] max(r0 < 2, r1 < 2: %0[2*i0 + r0, 2*i1 + r1])\n"
                     "%2 = comp i32[2, 2] [i0, i1] argmax(r0 < 2, r1 < 2: %0[2*i0 + r0, 2*i1 + r1])\n"
                     "output m = %1\n");
  float x[] = {1, 2, 3, 3, 4, 0, 3, 3, 9, 9, 0, NAN, 9, 9, 7, 8};
  give(&c, "x", DT_f32, 2, EXTENTS(4, 4), x);
  const float *m = run(&c)->data;
  const int32_t *at = c.in.values[2].data;
  assert_true(m[0] == 4 && m[1] == 3 && m[2] == 9 && isnan(m[3]));
  assert_true(at[0] == 2 && at[1] == 0 && at[2] == 0 && at[3] == 1);
  done(&c);
}

static void gather_and_scatter(void **state) {
  (void)state;
  Case c = read_case("dim B >= 0 batch\n"
                     "%0 = input y : u8[B]\n"
                     "%1 = param table : f32[3, 2]\n"
                     "%2 = comp f32[B, 2] [i0, i1] %1[%0[i0], i1]\n"
                     "%3 = scatter f32[3, 2] (r0 < B, r1 < 2) [%0[r0], r1] += %2[r0, r1]\n"
                     "%4 = store table = %3\n"
                     "output e = %2\n");
  uint8_t y[] = {2, 0, 2, 2};
  float table[] = {1, 2, 3, 4, 5, 6}, expected[] = {5, 6, 1, 2, 5, 6, 5, 6}, sums[] = {1, 2, 0, 0, 15, 18};
  give(&c, "y", DT_u8, 1, EXTENTS(4), y);
  give(&c, "table", DT_f32, 2, EXTENTS(3, 2), table);
  assert_memory_equal(run(&c)->data, expected, sizeof expected);
  assert_memory_equal(c.in.values[c.g->stores.at[0]->id].data, sums, sizeof sums);
  done(&c);
}

static void scatter_of_the_largest(void **state) {
  (void)state;
  Case c = read_case("dim B >= 0 batch\n"
                     "%0 = input y : u8[B]\n"
                     "%1 = scatter i32[4] (r0 < B) [%0[r0]] max= i32(2*r0)\n"
                     "output last = %1\n");
  uint8_t y[] = {2, 0, 2, 3};
  int32_t expected[] = {2, -1, 4, 6};
  give(&c, "y", DT_u8, 1, EXTENTS(4), y);
  assert_memory_equal(run(&c)->data, expected, sizeof expected);
  done(&c);
}

/* Of equals the first comes first, either way; NaN is the largest; -0 equals 0. */
static void sorts(void **state) {
  (void)state;
  Case c = read_case("%0 = input x : f32[2, 7]\n"
                     "%1 = sort i32[2, 7] [i0, i1] ascending %0[i0, i1]\n"
                     "%2 = sort i32[2, 7] [i0, i1] descending %0[i0, i1]\n"
                     "%3 = sort i32[7] [i0] descending mod(i64(i0), 3)\n"
                     "output y = %1\n");
  float x[] = {2, (float)NAN, -1, 2, (float)INFINITY, -1, (float)NAN, 0, -0.0f, 0, 1, -0.0f, -1, 1};
  give(&c, "x", DT_f32, 2, EXTENTS(2, 7), x);
  int32_t up[] = {2, 5, 0, 3, 4, 1, 6, 5, 0, 1, 2, 4, 3, 6}, down[] = {1, 6, 4, 0, 3, 2, 5, 3, 6, 0, 1, 2, 4, 5};
  int32_t remainders[] = {2, 5, 1, 4, 0, 3, 6};
  assert_memory_equal(run(&c)->data, up, sizeof up);
  assert_memory_equal(c.in.values[2].data, down, sizeof down);
  assert_memory_equal(c.in.values[3].data, remainders, sizeof remainders);
  done(&c);
}

static void reducers(void **state) {
  (void)state;
  Case c = read_case("dim N >= 0\n"
                     "%0 = input x : i32[N]\n"
                     "%1 = comp i32[] [] sum(r0 < N: %0[r0])\n"
                     "%2 = comp i32[] [] prod(r0 < N: %0[r0])\n"
                     "%3 = comp i32[] [] min(r0 < N: %0[r0])\n"
                     "%4 = comp i32[] [] argmin(r0 < N: %0[r0])\n"
                     "%5 = comp bool[] [] any(r0 < N: eq(%0[r0], 2))\n"
                     "%6 = comp bool[] [] all(r0 < N: ge(%0[r0], 2))\n"
                     "output s = %1\n");
  int32_t x[] = {3, -5, 2, -5};
  give(&c, "x", DT_i32, 1, EXTENTS(4), x);
  run(&c);
  int expected[] = {-5, 150, -5, 1};
  for (int i = 0; i < 4; i++) assert_int_equal(*(int32_t *)c.in.values[1 + i].data, expected[i]);
  assert_int_equal(*(uint8_t *)c.in.values[5].data, 1);
  assert_int_equal(*(uint8_t *)c.in.values[6].data, 0);
  done(&c);
}

static void empty_batch(void **state) {
  (void)state;
  Case c = read_case("dim B >= 0 batch\n"
                     "%0 = input x : f32[B, 2]\n"
                     "%1 = comp f32[B] [i0] sum(r0 < 2: %0[i0, r0])\n"
                     "%2 = comp f32[2] [i0] sum(r0 < B: %0[r0, i0])\n"
                     "output y = %2\n");
  float x[] = {0}, zeros[] = {0, 0};
  give(&c, "x", DT_f32, 2, EXTENTS(0, 2), x);
  assert_memory_equal(run(&c)->data, zeros, sizeof zeros);
  assert_int_equal(tensor_count(&c.in.values[1]), 0);
  done(&c);
}

static void missing_values(void **state) {
  (void)state;
  Case c = read_case("dim B >= 0 batch\ndim T >= 0\n"
                     "%0 = input x : f32[B]\n"
                     "%1 = comp f32[T] [i0] 1\n"
                     "output y = %1\n");
  float x[] = {0};
  assert_string_equal(interpret(c.g, &c.in), "no value is given for x");
  give(&c, "x", DT_f32, 2, EXTENTS(1, 1), x);
  assert_string_equal(interpret(c.g, &c.in), "the value given for x does not fit its type or shape");
  c.in.given.n = 0;
  give(&c, "x", DT_f32, 1, EXTENTS(1), x);
  assert_string_equal(interpret(c.g, &c.in), "the extent T is not known from any input");
  done(&c);
}

static void in_f64(void **state) {
  (void)state;
  Case c = read_case("%0 = input x : f32[1]\n"
                     "%1 = comp f32[1] [i0] exp(%0[i0])\n"
                     "output y = %1\n");
  double x[] = {0.1};
  c.in.f64 = true;
  give(&c, "x", DT_f64, 1, EXTENTS(1), x);
  const Tensor *y = run(&c);
  assert_int_equal(y->dtype, DT_f64);
  assert_true(*(double *)y->data == exp(0.1));
  done(&c);
}

static void draws(void **state) {
  (void)state;
  Case c = read_case("%0 = input seed : i64[]\n"
                     "%1 = input step : i32[]\n"
                     "%2 = comp f32[3, 5] [i0, i1] random(f32, 0x1234, %0[], %1[], i64(i0), i1)\n"
                     "%3 = comp f64[3, 5] [i0, i1] random(f64, 0x1234, %0[], %1[], i64(i0), i1)\n"
                     "output u = %2\n");
  int64_t seed = -77;
  int32_t step = 9;
  give(&c, "seed", DT_i64, 0, NULL, &seed);
  give(&c, "step", DT_i32, 0, NULL, &step);
  const float *u = run(&c)->data;
  const double *v = c.in.values[3].data;
  for (uint64_t i = 0; i < 3; i++)
    for (uint64_t j = 0; j < 5; j++) {
      assert_true(u[i * 5 + j] == nnrt_draw_f32((uint64_t)seed ^ 0x1234, 9, i, j));
      assert_true(v[i * 5 + j] == nnrt_draw_f64((uint64_t)seed ^ 0x1234, 9, i, j));
      assert_true(u[i * 5 + j] >= 0 && u[i * 5 + j] < 1);
    }
  done(&c);
}

/* Folding a constant and evaluating the same operation on a read of that constant give the same bits. */
static void folding_is_evaluation(void **state) {
  (void)state;
  const double samples[][3] = {{0.3, 0.7, -1}, {-2.5, 1.5, 3}, {2, 0.5, 0}, {0.999, -3, 2}, {7, 2, 1}};
  const DType types[] = {DT_f64, DT_f32, DT_f16, DT_bf16, DT_i64, DT_i32, DT_u8, DT_bool};
  for (int op = 0; op < SCALAR_OP_COUNT; op++)
    for (size_t s = 0; s < sizeof samples / sizeof *samples; s++)
      for (size_t k = 0; k < sizeof types / sizeof *types; k++) {
        if (op == OP_cast) continue;
        Case c = read_case("");
        DType t[3] = {types[k], types[k], types[k]}, result;
        if (op == OP_select) t[0] = DT_bool;
        if (!scalar_type((ScalarOp)op, t, &result)) {
          done(&c);
          continue;
        }
        Expr *constants[3], *reads[3];
        for (int i = 0; i < scalar_rows[op].arity; i++) {
          constants[i] = expr_real(c.ir, t[i], samples[s][i]);
          int64_t data[1];
          if (dtype_is_float(t[i])) dtype_store_real(t[i], data, 0, constants[i]->real);
          else dtype_store_int(t[i], data, 0, constants[i]->integer);
          reads[i] = expr_read(c.ir, graph_const(c.g, t[i], 0, NULL, data, (Span){0}), NULL);
        }
        bool by_zero = (op == OP_floordiv || op == OP_mod) && !dtype_is_float(t[1]) && constants[1]->integer == 0;
        Expr *folded = expr_op(c.ir, (ScalarOp)op, constants);
        assert_true(by_zero || folded->kind == EXPR_CONST);
        assert_int_equal(folded->dtype, result);
        Node *n = graph_comp(c.g, 0, NULL, RED_none, 0, NULL, expr_op(c.ir, (ScalarOp)op, reads), (Span){0});
        graph_output(c.g, "y", n);
        const Tensor *y = run(&c);
        if (by_zero) assert_int_equal(dtype_load_int(result, y->data, 0), 0);
        else if (dtype_is_float(result)) {
          double v = dtype_load_real(result, y->data, 0);
          if (!(isnan(v) && isnan(folded->real)) && v != folded->real)
            fail_msg("%s of %s: %g and %g", scalar_rows[op].name, dtype_name(types[k]), v, folded->real);
        } else assert_int_equal(dtype_load_int(result, y->data, 0), folded->integer);
        done(&c);
      }
}

static void special_functions(void **state) {
  (void)state;
  for (double p = 1e-300; p < 0.5; p *= 3) {
    double x = scalar_fold(OP_normal_icdf, DT_f64, &p), back = 0.5 * erfc(-x / sqrt(2));
    assert_true(fabs(back - p) < 1e-12 * p);
    double q = 1 - p;
    if (p > 1e-3) assert_true(fabs(scalar_fold(OP_normal_icdf, DT_f64, &q) + x) < 1e-10);
  }
  double big = 800, half = 0.5;
  assert_true(scalar_fold(OP_softplus, DT_f64, &big) == 800);
  assert_true(scalar_fold(OP_normal_icdf, DT_f64, &half) == 0);
  assert_true(dtype_round(DT_f16, 65519.99) == 65504 && isinf(dtype_round(DT_f16, 65520)));
  assert_true(dtype_round(DT_f16, 1 + 0x1p-11) == 1 && dtype_round(DT_f16, 1 + 0x1.8p-10) == 1 + 0x1p-9);
  assert_true(dtype_round(DT_f16, 0x1p-24) == 0x1p-24 && dtype_round(DT_f16, 0x1p-26) == 0);
  assert_true(dtype_round(DT_bf16, 1 + 0x1p-8) == 1 && dtype_round(DT_bf16, 3.1415927) == 3.140625);
  assert_true(dtype_round(DT_bf16, 1 + 0x1.8p-7) == 1 + 0x1p-6 && dtype_round(DT_bf16, -257) == -256);
  assert_int_equal(dtype_truncate(DT_i32, -2.9), -2);
  assert_int_equal(dtype_truncate(DT_i64, 1e30), INT64_MAX);
  assert_int_equal(dtype_truncate(DT_u8, 300), 255);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(matmul),
      cmocka_unit_test(convolution),
      cmocka_unit_test(softmax),
      cmocka_unit_test(pooling),
      cmocka_unit_test(gather_and_scatter),
      cmocka_unit_test(scatter_of_the_largest),
      cmocka_unit_test(sorts),
      cmocka_unit_test(reducers),
      cmocka_unit_test(empty_batch),
      cmocka_unit_test(missing_values),
      cmocka_unit_test(in_f64),
      cmocka_unit_test(draws),
      cmocka_unit_test(folding_is_evaluation),
      cmocka_unit_test(special_functions),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
