/* order.c - see order.h. */
#include "runtime/order.h"
#include "runtime/philox.h"

#include <stdlib.h>

void nnrt_shuffle(uint64_t seed, const char *name, int64_t epoch, int64_t n, int64_t *order) {
  uint64_t key = nnrt_draw_key(seed, name);
  for (int64_t i = n - 1; i > 0; i--) {
    uint64_t draw = nnrt_draw_u64(key, (uint64_t)epoch, 0, (uint64_t)i);
    int64_t j = (int64_t)((unsigned __int128)draw * (uint64_t)(i + 1) >> 64); /* in [0, i], bias < n / 2^64 */
    int64_t t = order[i];
    order[i] = order[j];
    order[j] = t;
  }
}

typedef struct Hashed {
  uint64_t hash;
  int64_t place;
} Hashed;

static int by_hash(const void *a, const void *b) {
  const Hashed *x = a, *y = b;
  return x->hash != y->hash ? (x->hash > y->hash) - (x->hash < y->hash)
                            : (x->place > y->place) - (x->place < y->place);
}
static int by_place(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

int nnrt_split(uint64_t seed, int64_t n, int64_t from, int64_t to, int64_t *order, NnrtError *e) {
  for (int64_t i = 0; i < n; i++) order[i] = i;
  if (from == to) return NNRT_OK;
  Hashed *all = malloc((size_t)n * sizeof *all);
  if (!all) return nnrt_fail_memory(e, (size_t)n * sizeof *all, "the split");
  uint64_t key = nnrt_draw_key(seed, "validate");
  for (int64_t i = 0; i < n; i++) all[i] = (Hashed){nnrt_draw_u64(key, 0, (uint64_t)i, 0), i};
  qsort(all, (size_t)n, sizeof *all, by_hash);
  int64_t rest = n - (to - from), *train = order, *held = order + rest;
  for (int64_t i = 0; i < n; i++) *(i >= from && i < to ? held++ : train++) = all[i].place;
  free(all);
  qsort(order, (size_t)rest, sizeof *order, by_place);
  qsort(order + rest, (size_t)(n - rest), sizeof *order, by_place);
  return NNRT_OK;
}
