/* philox.h - draws: Philox4x32-10 (Salmon, Moraes, Dror, Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3").
 * A draw is a function of the key (mixed seed xor the draw's key), the step, the example's place and the element's
 * number, so the same whatever the order of evaluation. The runtime and generated code compute the same words.
 *
 *   counter  low(block), low(step), low(place), high(place) xor high(block) << 16    block = element/4 (f64: /2)
 *   f32      (word >> 8) * 2^-24, the word of lane element % 4
 *   f64      ((w0 << 32 | w1) >> 11) * 2^-53, lanes 2*(element % 2) and the next */
#ifndef NNC_IR_PHILOX_H
#define NNC_IR_PHILOX_H

#include <stdint.h>

static inline void philox4x32_10(const uint32_t counter[4], uint32_t key0, uint32_t key1, uint32_t out[4]) {
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

static inline void draw_block(uint64_t key, uint64_t step, uint64_t place, uint64_t block, uint32_t out[4]) {
  uint32_t counter[4] = {(uint32_t)block, (uint32_t)step, (uint32_t)place,
                         (uint32_t)(place >> 32) ^ (uint32_t)(block >> 32) << 16};
  philox4x32_10(counter, (uint32_t)key, (uint32_t)(key >> 32), out);
}

static inline double draw_f32(uint64_t key, uint64_t step, uint64_t place, uint64_t element) {
  uint32_t w[4];
  draw_block(key, step, place, element / 4, w);
  return (w[element % 4] >> 8) * 0x1p-24;
}

static inline double draw_f64(uint64_t key, uint64_t step, uint64_t place, uint64_t element) {
  uint32_t w[4];
  draw_block(key, step, place, element / 2, w);
  const uint32_t *p = &w[2 * (element % 2)];
  return (double)(((uint64_t)p[0] << 32 | p[1]) >> 11) * 0x1p-53;
}

#endif
