/* rt_dtype.c - element types and their conversion. */
#include "rt_test.h"

#include "runtime/dtype.h"
#include "runtime/error.h"

#include <math.h>

static void names(void **state) {
  (void)state;
  for (int t = 0; t < NNRT_DTYPE_COUNT; t++) {
    assert_int_equal(nnrt_dtype_named(nnrt_dtype((NnrtDtype)t)->name), t);
    assert_int_equal(nnrt_dtype_safetensors(nnrt_dtype((NnrtDtype)t)->safetensors), t);
  }
  assert_int_equal(nnrt_dtype_named("f33"), NNRT_DTYPE_COUNT);
}

/* Every half-width value widens and narrows to itself; values between two go to the nearer, ties to even. */
static void half(void **state) {
  (void)state;
  for (uint32_t h = 0; h < 0x10000; h++) {
    float f = nnrt_f16_to_f32((uint16_t)h);
    if (f == f) assert_int_equal(nnrt_f64_to_f16((double)f), h);
    uint32_t word = h << 16;
    memcpy(&f, &word, 4);
    if (f == f) assert_int_equal(nnrt_f64_to_bf16((double)f), h);
  }
  assert_int_equal(nnrt_f64_to_f16(1 + 0x1p-11), 0x3C00);
  assert_int_equal(nnrt_f64_to_f16(1 + 3 * 0x1p-11), 0x3C02);
  assert_int_equal(nnrt_f64_to_f16(65519), 0x7BFF);
  assert_int_equal(nnrt_f64_to_f16(65520), 0x7C00);
  assert_int_equal(nnrt_f64_to_f16(0x1p-25), 0);
  assert_int_equal(nnrt_f64_to_f16(0x1.8p-25), 1);
  assert_int_equal(nnrt_f64_to_bf16(-1e300), 0xFF80);
  assert_true(isnan(nnrt_f16_to_f32(nnrt_f64_to_f16(NAN))));
}

static void convert(void **state) {
  (void)state;
  double d[3] = {1, -2, 2.5};
  int32_t i[3];
  assert_int_equal(nnrt_convert(NNRT_F64, d, false, NNRT_I32, i, 3), 2); /* 2.5 is refused */
  assert_int_equal(i[1], -2);
  uint8_t u[2];
  assert_int_equal(nnrt_convert(NNRT_F64, d, false, NNRT_U8, u, 2), 1); /* -2 */
  double wide = 0x1p31;
  assert_int_equal(nnrt_convert(NNRT_F64, &wide, false, NNRT_I32, i, 1), 0);
  double nan_value = NAN;
  assert_int_equal(nnrt_convert(NNRT_F64, &nan_value, false, NNRT_I64, i, 1), 0);
  unsigned char big[4] = {0x3F, 0x80, 0, 0}; /* 1.0f, big endian */
  double out;
  assert_int_equal(nnrt_convert(NNRT_F32, big, true, NNRT_F64, &out, 1), 1);
  assert_true(out == 1);
  uint8_t two = 2, b;
  assert_int_equal(nnrt_convert(NNRT_U8, &two, false, NNRT_BOOL, &b, 1), 0);
  /* The largest that is not infinite, and the next; what is infinite stays. */
  const double near[] = {3.4028235677973362e38, 3.4028235677973366e38}, far[] = {INFINITY, -INFINITY, NAN};
  float f[3];
  assert_int_equal(nnrt_convert(NNRT_F64, near, false, NNRT_F32, f, 2), 1);
  assert_int_equal(nnrt_convert(NNRT_F64, far, false, NNRT_F32, f, 3), 3);
  assert_true(isinf(f[0]) && isinf(f[1]) && isnan(f[2]));
  const int64_t whole[] = {65519, -65520};
  uint16_t half[2];
  assert_int_equal(nnrt_convert(NNRT_I64, whole, false, NNRT_F16, half, 2), 1);
}

static void shapes(void **state) {
  (void)state;
  int64_t n, large[] = {INT64_MAX, 4}, empty[] = {INT64_MAX, 4, 0}, negative[] = {-1};
  assert_false(nnrt_shape_count(large, 2, &n));
  assert_true(nnrt_shape_count(empty, 3, &n) && n == 0);
  assert_false(nnrt_shape_count(negative, 1, &n));
  assert_false(nnrt_shape_bytes(large, 1, NNRT_F32, &n));
  assert_true(nnrt_shape_bytes(NULL, 0, NNRT_F32, &n) && n == 4);
  char text[64];
  assert_string_equal(nnrt_shape_text((int64_t[]){3, 4}, 2, text, sizeof text), "[3, 4]");
  assert_string_equal(nnrt_shape_text(NULL, 0, text, sizeof text), "[]");
}

static void error_is_one_line(void **state) {
  (void)state;
  NnrtError e;
  assert_int_equal(nnrt_fail(&e, NNRT_EDATA, "a\nb%s", "\x7f"), NNRT_EDATA);
  assert_string_equal(e.text, "a?b?");
  char big[1200];
  memset(big, 'x', sizeof big);
  memcpy(big + 510, "\xC3\xA9\xC3\xA9", 4);
  big[1199] = 0;
  nnrt_fail(&e, NNRT_EDATA, "%s", big);
  assert_int_equal(strlen(e.text), 510);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(names), cmocka_unit_test(half), cmocka_unit_test(convert),
                                     cmocka_unit_test(shapes), cmocka_unit_test(error_is_one_line)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
