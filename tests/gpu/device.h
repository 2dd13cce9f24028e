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

#define NN_SIMULATED
#define NN_KERNEL(threads) static void
#define NN_UNROLL
#define NN_UNROLL_4

#define PRIMITIVE(result, name, parameters, body) result name parameters;
#include "codegen/cuda/primitives.def"
#undef PRIMITIVE

#endif
