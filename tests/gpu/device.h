/* device.h - what a kernel's text is given in place of the device: types, and the primitives as functions of the
 * simulator. */
#ifndef NNC_TESTS_GPU_DEVICE_H
#define NNC_TESTS_GPU_DEVICE_H

#include <stdbool.h>

typedef long long i64;
typedef unsigned long long u64;
typedef unsigned int u32;
typedef unsigned short u16;
typedef short i16;
typedef signed char i8;
typedef unsigned char u8;

typedef struct NnMap {
  _Alignas(64) u64 words[16];
} NnMap;

#define NN_SIMULATED
#define NN_KERNEL(threads) static void
#define NN_UNROLL
#define NN_UNROLL_4
#define NN_ROLLED

#define NN_GROUP_PRODUCTS_16(...)  nn_group_products(16, __VA_ARGS__)
#define NN_GROUP_PRODUCTS_32(...)  nn_group_products(32, __VA_ARGS__)
#define NN_GROUP_PRODUCTS_64(...)  nn_group_products(64, __VA_ARGS__)
#define NN_GROUP_PRODUCTS_128(...) nn_group_products(128, __VA_ARGS__)
#define NN_GROUP_PRODUCTS_256(...) nn_group_products(256, __VA_ARGS__)
#define NN_GROUP_WEIGHTED_16(...)  nn_group_weighted(16, __VA_ARGS__)
#define NN_GROUP_WEIGHTED_32(...)  nn_group_weighted(32, __VA_ARGS__)
#define NN_GROUP_WEIGHTED_64(...)  nn_group_weighted(64, __VA_ARGS__)
#define NN_GROUP_WEIGHTED_128(...) nn_group_weighted(128, __VA_ARGS__)
#define NN_GROUP_WEIGHTED_256(...) nn_group_weighted(256, __VA_ARGS__)
#define NN_GROUP_SUMS_16(sum)
#define NN_GROUP_SUMS_32(sum)
#define NN_GROUP_SUMS_64(sum)
#define NN_GROUP_SUMS_128(sum)
#define NN_GROUP_SUMS_256(sum)
void nn_group_products(int n, const char *type, const char *across_a, const char *across_b, float *sum, u64 a, u64 b);
void nn_group_weighted(int n, const char *type, const char *across_b, float *sum, const u32 *a, u64 b);

#define PRIMITIVE(result, name, parameters, body) result name parameters;
#include "codegen/cuda/primitives.def"
#undef PRIMITIVE

#endif
