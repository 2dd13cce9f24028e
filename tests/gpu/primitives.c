/* primitives.c - the twins of codegen/cuda/primitives.def: what each does on the device, in the simulator. */
#include <math.h>
#include <string.h>

#include "ir/scalar.h"
#include "tests/gpu/device.h"
#include "tests/gpu/races.h"
#include "tests/gpu/simulator.h"
#include "tests/gpu/translate.h"

int nn_thread(void) { return simulated_thread(); }
int nn_block(void) { return simulated_block(); }
int nn_blocks(void) { return simulated_blocks(); }
char *nn_shared(void) { return simulated_shared(); }

static void nothing(int first, int last) { (void)first, (void)last; }

void nn_sync(void) { simulated_meeting(true, "nn_sync", NULL, nothing); }

void nn_group_sync(void) { simulated_group_meeting("nn_group_sync", NULL, nothing); }

/* A move is an access as the kernel's others are, of which nothing may be known. */
static void move(void *to, const void *from, size_t bytes) {
  if (((uintptr_t)to | (uintptr_t)from) % bytes)
    simulated_fault("neighbours are moved that do not begin at a multiple");
  if (simulated_tells()) races_read(simulated_thread(), from, bytes);
  memcpy(to, from, bytes);
  if (simulated_tells()) races_write(simulated_thread(), to, bytes);
}

void nn_move_16(void *to, const void *from) { move(to, from, 16); }
void nn_move_8(void *to, const void *from) { move(to, from, 8); }
void nn_move_4(void *to, const void *from) { move(to, from, 4); }

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

/* ---- matrices ---- */

typedef struct Matrices {
  u32 *x;
  const void *row;
} Matrices;

static u16 element(int first, int matrix, int row, int column) {
  const Matrices *m = simulated_argument(first + matrix * 8 + row);
  u16 v;
  memcpy(&v, (const char *)m->row + 2 * column, sizeof v);
  return v;
}

static void read_matrices(int first, bool transposed) {
  for (int i = 0; i < WARP; i++) {
    const Matrices *m = simulated_argument(first + i);
    if (!simulated_is_shared(m->row, 16, 16)) return;
    races_read(first + i, m->row, 16);
  }
  for (int i = 0; i < WARP; i++)
    for (int q = 0; q < 4; q++) {
      int r = i / 4, c = i % 4 * 2;
      u32 low = transposed ? element(first, q, c, r) : element(first, q, r, c),
          high = transposed ? element(first, q, c + 1, r) : element(first, q, r, c + 1);
      ((Matrices *)simulated_argument(first + i))->x[q] = low | high << 16;
    }
}

static void plain_matrices(int first, int last) { (void)last, read_matrices(first, false); }
static void transposed_matrices(int first, int last) { (void)last, read_matrices(first, true); }

void nn_matrices(u32 *x, const void *row) {
  Matrices m = {x, row};
  simulated_meeting(false, "nn_matrices", &m, plain_matrices);
}

void nn_matrices_transposed(u32 *x, const void *row) {
  Matrices m = {x, row};
  simulated_meeting(false, "nn_matrices_transposed", &m, transposed_matrices);
}

static void put_row(int first, int thread) {
  const Matrices *m = simulated_argument(first + thread);
  char *row = (char *)(uintptr_t)m->row;
  if (!simulated_is_shared(row, 16, 16)) return;
  races_write(first + thread, row, 16);
  simulated_unseen(first + thread, row, 16);
  for (int c = 0; c < 4; c++)
    memcpy(row + 4 * c, &((const Matrices *)simulated_argument(first + thread % 8 * 4 + c))->x[thread / 8], 4);
}

static void put_matrices(int first, int last) {
  for (int i = 0; i < last - first; i++) put_row(first, i);
}

void nn_matrices_put(void *row, const u32 *x) {
  Matrices m = {(u32 *)(uintptr_t)x, row};
  simulated_meeting(false, "nn_matrices_put", &m, put_matrices);
}

/* ---- products of matrices ---- */

typedef struct Products {
  float *sum;
  const u32 *a, *b;
} Products;

static float word_value(DType type, const u32 *words, int half) {
  if (type != DT_f32) return (float)dtype_load_real(type, words, half);
  float v;
  memcpy(&v, words, sizeof v);
  return v;
}

/* Each thread's words put where they belong in a (16 x K) and b (8 x K), products in double, rounded once. */
static void multiply(int first, DType type) {
  float a[16][16], b[8][16];
  const int of_word = type == DT_f32 ? 1 : 2, k = 8 * of_word;
  for (int i = 0; i < WARP; i++) {
    const Products *p = simulated_argument(first + i);
    int g = i / 4, t = i % 4;
    for (int w = 0; w < 4; w++)
      for (int h = 0; h < of_word; h++)
        a[g + w % 2 * 8][(t + w / 2 * 4) * of_word + h] = word_value(type, &p->a[w], h);
    for (int w = 0; w < 2; w++)
      for (int h = 0; h < of_word; h++) b[g][(t + w * 4) * of_word + h] = word_value(type, &p->b[w], h);
  }
  for (int i = 0; i < WARP; i++) {
    const Products *p = simulated_argument(first + i);
    for (int w = 0; w < 4; w++) {
      double sum = (double)p->sum[w];
      for (int e = 0; e < k; e++) sum += (double)a[i / 4 + w / 2 * 8][e] * (double)b[i % 4 * 2 + w % 2][e];
      p->sum[w] = (float)sum;
    }
  }
}

#define PRODUCTS(name, type)                                                                                         \
  static void together_##name(int first, int last) { (void)last, multiply(first, type); }                            \
  void name(float *sum, const u32 *a, const u32 *b) {                                                                \
    Products p = {sum, a, b};                                                                                        \
    simulated_meeting(false, #name, &p, together_##name);                                                            \
  }
PRODUCTS(nn_products_bf16, DT_bf16)
PRODUCTS(nn_products_f16, DT_f16)
PRODUCTS(nn_products_tf32, DT_f32)

u32 nn_tf32(float x) {
  u32 bits;
  memcpy(&bits, &x, sizeof bits);
  return isfinite(x) ? (bits + 0x1000) & ~0x1fffu : bits;
}

static u32 pair(DType type, float low, float high) {
  u32 words;
  dtype_store_real(type, &words, 0, (double)low);
  dtype_store_real(type, &words, 1, (double)high);
  return words;
}

u32 nn_pair_bf16(float low, float high) { return pair(DT_bf16, low, high); }
u32 nn_pair_f16(float low, float high) { return pair(DT_f16, low, high); }

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
