/* sort.c - see sort.h. Keys become unsigned integers of the same order; these are sorted by digits of 8 bits, from
 * the lowest, each pass stable (Knuth, The Art of Computer Programming 3, 5.2.5). A digit that all keys share is
 * passed over, so small integers cost one pass. Short rows are sorted by insertion: there the counts would cost more.
 */
#include "runtime/sort.h"

enum { DIGITS = 8, VALUES = 256, SHORT = 48 };

typedef struct Item {
  uint64_t key;
  int64_t position;
} Item;

_Static_assert(2 * sizeof(Item) == NNRT_SORT_BYTES, "two lists of items");

static uint64_t load_bits(const void *keys, int bytes, int64_t i) {
  switch (bytes) {
  case 8: return ((const uint64_t *)keys)[i];
  case 4: return ((const uint32_t *)keys)[i];
  case 2: return ((const uint16_t *)keys)[i];
  default: return ((const uint8_t *)keys)[i];
  }
}

static uint64_t infinity_of(NnrtDtype t) {
  switch (t) {
  case NNRT_F64: return (uint64_t)0x7ff << 52;
  case NNRT_F32: return (uint64_t)0xff << 23;
  case NNRT_F16: return (uint64_t)0x1f << 10;
  default: return (uint64_t)0xff << 7;
  }
}

/* An integer without sign that is in the same order as the values are. */
static uint64_t ordered(uint64_t bits, char class, uint64_t sign, uint64_t infinity) {
  uint64_t all = sign | (sign - 1), magnitude = bits & (sign - 1);
  if (class == 'i') return bits ^ sign;
  if (class != 'f') return bits;
  if (magnitude > infinity) return all;
  if (magnitude == 0) return sign;
  return bits & sign ? ~bits & all : bits | sign;
}

static void sort_short(Item *items, int64_t n) {
  for (int64_t i = 1; i < n; i++) {
    Item item = items[i];
    int64_t j = i;
    for (; j > 0 && items[j - 1].key > item.key; j--) items[j] = items[j - 1];
    items[j] = item;
  }
}

/* How many keys have each value of each digit. */
static void count_digits(const Item *items, int64_t n, uint32_t count[DIGITS][VALUES]) {
  for (int d = 0; d < DIGITS; d++)
    for (int v = 0; v < VALUES; v++) count[d][v] = 0;
  for (int64_t i = 0; i < n; i++)
    for (int d = 0; d < DIGITS; d++) count[d][items[i].key >> 8 * d & 255]++;
}

/* Gives where the result is: items or other. */
static Item *sort_digits(Item *items, Item *other, int64_t n) {
  uint32_t count[DIGITS][VALUES];
  count_digits(items, n, count);
  for (int d = 0; d < DIGITS; d++) {
    if (count[d][items[0].key >> 8 * d & 255] == (uint64_t)n) continue;
    uint32_t start = 0;
    for (int v = 0; v < VALUES; v++) {
      uint32_t c = count[d][v];
      count[d][v] = start;
      start += c;
    }
    for (int64_t i = 0; i < n; i++) other[count[d][items[i].key >> 8 * d & 255]++] = items[i];
    Item *swap = items;
    items = other;
    other = swap;
  }
  return items;
}

void nnrt_sort(const void *keys, int64_t t, int64_t n, int64_t descending, int32_t *order, void *work) {
  const NnrtDtypeInfo *type = nnrt_dtype((NnrtDtype)t);
  uint64_t sign = (uint64_t)1 << (8 * type->bytes - 1), all = sign | (sign - 1), infinity = infinity_of((NnrtDtype)t);
  Item *items = work;
  for (int64_t i = 0; i < n; i++) {
    uint64_t key = ordered(load_bits(keys, type->bytes, i), type->class, sign, infinity);
    items[i] = (Item){descending ? ~key & all : key, i};
  }
  if (n <= SHORT) sort_short(items, n);
  else items = sort_digits(items, items + n, n);
  for (int64_t i = 0; i < n; i++) order[i] = (int32_t)items[i].position;
}
