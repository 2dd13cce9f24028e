/* philox.h - draws as pure functions of (seed, name of the draw, step, the example's place, element): the same
 * whatever the order or the number of threads. Philox4x32-10: Salmon, Moraes, Dror, Shaw 2011, "Parallel random
 * numbers: as easy as 1, 2, 3".
 *
 *   key      k = mix64(seed) xor fnv1a64(name); words low(k), high(k)
 *   counter  low(block), low(step), low(place), high(place) xor high(block) << 16     block = element / 4 (f64: / 2)
 *   f32      (word >> 8) * 2^-24, word = lane element % 4
 *   f64      ((hi << 32 | lo) >> 11) * 2^-53, hi, lo = lanes 2 * (element % 2), + 1 */
#ifndef NNRT_PHILOX_H
#define NNRT_PHILOX_H

#include <stdint.h>

typedef struct NnrtBlock {
  uint32_t word[4];
} NnrtBlock;

static inline NnrtBlock nnrt_philox(NnrtBlock c, uint32_t key0, uint32_t key1) {
  for (int round = 0; round < 10; round++) {
    uint64_t a = (uint64_t)0xD2511F53u * c.word[0], b = (uint64_t)0xCD9E8D57u * c.word[2];
    c = (NnrtBlock){
        {(uint32_t)(b >> 32) ^ c.word[1] ^ key0, (uint32_t)b, (uint32_t)(a >> 32) ^ c.word[3] ^ key1, (uint32_t)a}};
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return c;
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

static inline NnrtBlock nnrt_draw_block(uint64_t key, uint64_t step, uint64_t place, uint64_t block) {
  NnrtBlock counter = {
      {(uint32_t)block, (uint32_t)step, (uint32_t)place, (uint32_t)(place >> 32) ^ (uint32_t)(block >> 32) << 16}};
  return nnrt_philox(counter, (uint32_t)key, (uint32_t)(key >> 32));
}

static inline float nnrt_draw_f32(uint64_t key, uint64_t step, uint64_t place, uint64_t element) {
  return (float)(nnrt_draw_block(key, step, place, element / 4).word[element % 4] >> 8) * 0x1p-24f;
}

static inline uint64_t nnrt_draw_u64(uint64_t key, uint64_t step, uint64_t place, uint64_t element) {
  NnrtBlock b = nnrt_draw_block(key, step, place, element / 2);
  return (uint64_t)b.word[element % 2 * 2] << 32 | b.word[element % 2 * 2 + 1];
}

static inline double nnrt_draw_f64(uint64_t key, uint64_t step, uint64_t place, uint64_t element) {
  return (double)(nnrt_draw_u64(key, step, place, element) >> 11) * 0x1p-53;
}

#endif
