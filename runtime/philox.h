/* philox.h - draws as pure functions of (seed, name of the draw, step, the example's place, element): the same
 * whatever the order or the number of threads. Philox4x32-10: Salmon, Moraes, Dror, Shaw 2011, "Parallel random
 * numbers: as easy as 1, 2, 3".
 *
 *   key      k = mix64(seed) xor fnv1a64(name); words low(k), high(k)
 *   counter  low(block), low(step), low(place), high(place) xor high(block) << 16     block = element / 4 (f64: / 2)
 *   f32      (word >> 8) * 2^-24, word = lane element % 4
 *   f64      ((hi << 32 | lo) >> 11) * 2^-53, hi, lo = lanes 2 * (element % 2), + 1
 *
 * This text is also the device's (codegen/cuda/program.c): no array is indexed by what is known later, which would
 * be a stack there. */
#ifndef NNRT_PHILOX_H
#define NNRT_PHILOX_H

#include <stdint.h>

static inline void nnrt_philox(const uint32_t counter[4], uint32_t key0, uint32_t key1, uint32_t out[4]) {
  uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
  for (int round = 0; round < 10; round++) {
    uint64_t a = (uint64_t)0xD2511F53u * c0, b = (uint64_t)0xCD9E8D57u * c2;
    c0 = (uint32_t)(b >> 32) ^ c1 ^ key0;
    c1 = (uint32_t)b;
    c2 = (uint32_t)(a >> 32) ^ c3 ^ key1;
    c3 = (uint32_t)a;
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
}

/* The finaliser of splitmix64 (Steele, Lea, Flood 2014), its increment included. */
static inline uint64_t nnrt_mix64(uint64_t z) {
  z += 0x9E3779B97F4A7C15u;
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
  z = (z ^ z >> 27) * 0x94D049BB133111EBu;
  return z ^ z >> 31;
}

static inline uint64_t nnrt_fnv1a64(const char *text) {
  uint64_t h = 0xCBF29CE484222325u;
  for (; *text; text++) h = (h ^ (unsigned char)*text) * 0x100000001B3u;
  return h;
}

static inline uint64_t nnrt_draw_key(uint64_t seed, const char *name) {
  return nnrt_mix64(seed) ^ nnrt_fnv1a64(name);
}

static inline void nnrt_draw_block(uint64_t key, uint64_t step, uint64_t place, uint64_t block, uint32_t out[4]) {
  const uint32_t counter[4] = {(uint32_t)block, (uint32_t)step, (uint32_t)place,
                               (uint32_t)(place >> 32) ^ (uint32_t)(block >> 32) << 16};
  nnrt_philox(counter, (uint32_t)key, (uint32_t)(key >> 32), out);
}

static inline float nnrt_draw_f32(uint64_t key, uint64_t step, uint64_t place, uint64_t element) {
  uint32_t w[4];
  nnrt_draw_block(key, step, place, element / 4, w);
  const uint32_t first = element & 1 ? w[1] : w[0], second = element & 1 ? w[3] : w[2];
  return (float)((element & 2 ? second : first) >> 8) * 0x1p-24f;
}

static inline uint64_t nnrt_draw_u64(uint64_t key, uint64_t step, uint64_t place, uint64_t element) {
  uint32_t w[4];
  nnrt_draw_block(key, step, place, element / 2, w);
  return element & 1 ? (uint64_t)w[2] << 32 | w[3] : (uint64_t)w[0] << 32 | w[1];
}

static inline double nnrt_draw_f64(uint64_t key, uint64_t step, uint64_t place, uint64_t element) {
  return (double)(nnrt_draw_u64(key, step, place, element) >> 11) * 0x1p-53;
}

#endif
