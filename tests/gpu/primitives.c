/* primitives.c - the twins of codegen/cuda/primitives.def: what each does on the device, in the simulator. */
#include <math.h>
#include <string.h>

#include "ir/scalar.h"
#include "tests/gpu/device.h"
#include "tests/gpu/simulator.h"

int nn_thread(void) { return simulated_thread(); }
int nn_block(void) { return simulated_block(); }
int nn_blocks(void) { return simulated_blocks(); }
char *nn_shared(void) { return simulated_shared(); }

static void nothing(int first, int last) { (void)first, (void)last; }

void nn_sync(void) { simulated_meeting(true, "nn_sync", NULL, nothing); }

/* ---- exchanges within a warp ---- */

typedef struct Exchange {
  u64 given, got;
  int mask;
} Exchange;

static void exchange(int first, int last) {
  for (int i = first; i < last; i++) {
    Exchange *e = simulated_argument(i), *other = simulated_argument(first + ((i - first) ^ e->mask));
    e->got = other->given;
  }
}

#define BUTTERFLY(T, S)                                                                                              \
  T nn_butterfly_##S(T x, int mask) {                                                                                \
    Exchange e = {.mask = mask};                                                                                     \
    memcpy(&e.given, &x, sizeof x);                                                                                  \
    simulated_meeting(false, "nn_butterfly_" #S, &e, exchange);                                                      \
    memcpy(&x, &e.got, sizeof x);                                                                                    \
    return x;                                                                                                        \
  }
BUTTERFLY(float, f32)
BUTTERFLY(double, f64)
BUTTERFLY(int, i32)
BUTTERFLY(i64, i64)

/* ---- numbers ---- */

float nn_product_f32(float x, float y) { return x * y; }
double nn_product_f64(double x, double y) { return x * y; }

#define SAME_BITS(To, name, From)                                                                                    \
  To name(From x) {                                                                                                  \
    To y;                                                                                                            \
    memcpy(&y, &x, sizeof y);                                                                                        \
    return y;                                                                                                        \
  }
SAME_BITS(u32, nn_bits_f32, float)
SAME_BITS(float, nn_float_of, u32)
SAME_BITS(u64, nn_bits_f64, double)
SAME_BITS(double, nn_double_of, u64)

u64 nn_high_u64(u64 x, u64 y) { return (u64)((unsigned __int128)x * y >> 64); }

#define FUNCTION(name, f32, f64)                                                                                     \
  float nn_##name##_f32(float x) { return f32(x); }                                                                  \
  double nn_##name##_f64(double x) { return f64(x); }
FUNCTION(abs, fabsf, fabs)
FUNCTION(floor, floorf, floor)
FUNCTION(ceil, ceilf, ceil)
FUNCTION(round, rintf, rint)
FUNCTION(sqrt, sqrtf, sqrt)
FUNCTION(exp, expf, exp)
FUNCTION(expm1, expm1f, expm1)
FUNCTION(log, logf, log)
FUNCTION(log1p, log1pf, log1p)
FUNCTION(atan, atanf, atan)
FUNCTION(tanh, tanhf, tanh)
FUNCTION(erf, erff, erf)

float nn_normal_icdf_f32(float x) { return (float)scalar_fold(OP_normal_icdf, DT_f32, (double[]){x}); }
double nn_normal_icdf_f64(double x) { return scalar_fold(OP_normal_icdf, DT_f64, &x); }
