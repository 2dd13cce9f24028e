/* rt_sort_test.c - nnrt_sort against sorting by insertion: every type, lengths on both sides of the short one, ties,
 * NaN, both zeros, infinities. */
#include "rt_test.h"

#include "runtime/sort.h"

#include <math.h>

static uint64_t state = 7;
static uint64_t next(void) { return (state = state * 6364136223846793005u + 1442695040888963407u) >> 16; }

/* A key of type t: few different values, so that there are ties, and every odd one that the type has. */
static void draw_key(NnrtDtype t, void *keys, int64_t i) {
  static const double odd[] = {NAN, -NAN, INFINITY, -INFINITY, 0.0, -0.0};
  uint64_t r = next();
  double x = r % 4 == 0 ? odd[r / 4 % 6] : ((double)(r / 4 % 64) - 32) * 0.75;
  int64_t k = r % 4 == 0 ? (int64_t)(next() << 20) : (int64_t)(r / 4 % 64) - 32;
  switch (t) {
  case NNRT_F64: ((double *)keys)[i] = x; break;
  case NNRT_F32: ((float *)keys)[i] = (float)x; break;
  case NNRT_F16: ((uint16_t *)keys)[i] = nnrt_f64_to_f16(x); break;
  case NNRT_BF16: ((uint16_t *)keys)[i] = nnrt_f64_to_bf16(x); break;
  case NNRT_I64: ((int64_t *)keys)[i] = k; break;
  case NNRT_I32: ((int32_t *)keys)[i] = (int32_t)k; break;
  case NNRT_I16: ((int16_t *)keys)[i] = (int16_t)k; break;
  case NNRT_I8: ((int8_t *)keys)[i] = (int8_t)k; break;
  case NNRT_U8: ((uint8_t *)keys)[i] = (uint8_t)k; break;
  default: ((uint8_t *)keys)[i] = r / 4 % 2; break;
  }
}

static int greater(NnrtDtype t, const char *keys, int64_t a, int64_t b) {
  int bytes = nnrt_dtype(t)->bytes;
  if (t == NNRT_I64) return ((const int64_t *)keys)[a] > ((const int64_t *)keys)[b];
  double x = nnrt_element(t, keys + a * bytes, false), y = nnrt_element(t, keys + b * bytes, false);
  return isnan(x) ? !isnan(y) : x > y;
}

static void check(NnrtDtype t, int64_t n, bool descending) {
  char *keys = malloc((size_t)n * 8 + 8), *work = malloc((size_t)n * NNRT_SORT_BYTES + 8);
  int32_t *order = malloc((size_t)n * 4 + 4), *expected = malloc((size_t)n * 4 + 4);
  for (int64_t i = 0; i < n; i++) draw_key(t, keys, i);
  for (int64_t i = 0, j; i < n; i++) {
    for (j = i; j > 0; j--) {
      int32_t before = expected[j - 1];
      if (!(descending ? greater(t, keys, i, before) : greater(t, keys, before, i))) break;
      expected[j] = before;
    }
    expected[j] = (int32_t)i;
  }
  nnrt_sort(keys, t, n, descending, order, work);
  if (memcmp(order, expected, (size_t)n * 4))
    fail_msg("%d keys of %s, %s", (int)n, nnrt_dtype(t)->name, descending ? "descending" : "ascending");
  free(keys), free(work), free(order), free(expected);
}

static void every_type(void **unused) {
  (void)unused;
  static const int64_t lengths[] = {0, 1, 2, 7, 47, 48, 49, 50, 255, 256, 1000};
  for (int t = 0; t < NNRT_DTYPE_COUNT; t++)
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
      for (int descending = 0; descending < 2; descending++) check((NnrtDtype)t, lengths[i], descending);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(every_type)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
