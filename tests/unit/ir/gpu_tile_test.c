/* gpu_tile_test.c - which tiles the model takes on an H100, and in which order. */
#include "ir/gpu_tile.h"
#include "tests/unit/unit.h"

static GpuTile tile_of(double batch, double m, double n) {
  static const int lines_m[] = {64, 128, 0}, lines_n[] = {64, 128, 256, 0};
  return gpu_choose_tile(&gpu_h100, &(GpuProduct){batch, m, n}, lines_m, lines_n, GPU_EDGE_OF_GROUP);
}

/* Large products have the largest tiles; of small ones smaller tiles are more blocks. */
static void sizes(void **state) {
  (void)state;
  GpuTile large = tile_of(1, 8192, 8192), small = tile_of(1, 512, 1024), many = tile_of(64, 512, 1024);
  assert_int_equal(large.m, 128);
  assert_int_equal(large.n, 256);
  assert_int_equal(small.m, 64);
  assert_int_equal(small.n, 64);
  assert_int_equal(many.m * many.n, 128 * 256);
  assert_true(small.time < many.time && many.time < large.time);
}

/* 132 tiles of 128 x 256 are a square of the result when 16 are below each other. */
static void bands(void **state) {
  (void)state;
  assert_int_equal(gpu_band(&gpu_h100, &(GpuTile){128, 256, 0}), 16);
  assert_int_equal(gpu_band(&gpu_h100, &(GpuTile){128, 128, 0}), 11);
  assert_int_equal(gpu_band(&(GpuTarget){1}, &(GpuTile){128, 64, 0}), 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(sizes), cmocka_unit_test(bands)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
