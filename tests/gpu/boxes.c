/* boxes.c - copies of boxes of tensors (sm_90a), in the simulator: maps as the driver makes them, and boxes that come
 * when nothing else goes on, or, by some seeds, at once. From when one is asked for until it comes its place is NaN.
 */
#include "tests/gpu/boxes.h"

#include <stdlib.h>
#include <string.h>

#include "tests/gpu/device.h"
#include "tests/gpu/races.h"
#include "tests/gpu/simulator.h"

enum { RANK = 5, MOST_BOX = 256, ROW = 128, POISON = 0xff, EXCHANGED = 3, INVALID = 1 };

typedef struct Map { /* in the 128 bytes of one */
  const char *base;
  uint64_t extent[RANK], stride[RANK]; /* stride: bytes */
  int16_t box[RANK];
  int16_t rank, bytes; /* of an element */
} Map;
_Static_assert(sizeof(Map) <= sizeof(NnMap), "a map has 128 bytes");

typedef struct Box {
  struct Box *next;
  char *to;
  const Map *map;
  int at[RANK];
  u64 *barrier;
} Box;

static Box *coming;

/* ---- maps ---- */

int cuTensorMapEncodeTiled(void *out, int type, unsigned rank, void *base, const uint64_t *extent,
                           const uint64_t *stride, const unsigned *box, const unsigned *step, int interleave,
                           int swizzle, int l2, int fill) {
  Map m = {.base = base, .rank = (int16_t)rank, .bytes = 2};
  (void)l2;
  if ((type != 6 && type != 9) || rank < 2 || rank > RANK || interleave || swizzle != EXCHANGED || fill)
    return INVALID;
  if ((uintptr_t)base % 16 || (uintptr_t)out % 64 || (int)box[0] * m.bytes > ROW || box[0] * 2 % 16) return INVALID;
  for (unsigned d = 0; d < rank; d++) {
    m.extent[d] = extent[d];
    m.stride[d] = d ? stride[d - 1] : (uint64_t)m.bytes;
    m.box[d] = (int16_t)box[d];
    if (!extent[d] || extent[d] >> 32 || !box[d] || box[d] > MOST_BOX || step[d] != 1) return INVALID;
    if (d && (stride[d - 1] % 16 || stride[d - 1] >> 40)) return INVALID;
    if (d > 1 && stride[d - 1] % stride[d - 2]) return INVALID; /* as the driver's documentation has it */
  }
  memset(out, 0, sizeof(NnMap));
  memcpy(out, &m, sizeof m);
  return 0;
}

void nn_map_begin(const NnMap *map) {
  if ((uintptr_t)map % 64) simulated_fault("a map that is not aligned");
}

/* ---- boxes ---- */

static bool is_outside(const Box *b, const int *index) {
  for (int d = 0; d < b->map->rank; d++) {
    int64_t x = (int64_t)b->at[d] + index[d];
    if (x < 0 || x >= (int64_t)b->map->extent[d]) return true;
  }
  return false;
}

static const char *element_of(const Box *b, const int *index) {
  int64_t at = 0;
  for (int d = 0; d < b->map->rank; d++) at += ((int64_t)b->at[d] + index[d]) * (int64_t)b->map->stride[d];
  return b->map->base + at;
}

static int box_bytes(const Box *b) {
  int n = b->map->bytes;
  for (int d = 0; d < b->map->rank; d++) n *= b->map->box[d];
  return n;
}

static void write_element(const Box *b, const int *index, int64_t number) {
  int64_t at = simulated_offset(b->to) + number * b->map->bytes;
  at ^= at >> 7 << 4 & 0x70;
  size_t bytes = (size_t)b->map->bytes;
  if (is_outside(b, index)) {
    memset(simulated_at(at), 0, bytes);
    return;
  }
  if (!races_is_written(element_of(b, index), bytes)) simulated_fault("a box of memory that nobody wrote");
  memcpy(simulated_at(at), element_of(b, index), bytes);
}

static void deliver(const Box *b) {
  int index[RANK] = {0}, d = 0;
  for (int64_t number = 0; d < b->map->rank; number++) {
    write_element(b, index, number);
    for (d = 0; d < b->map->rank && ++index[d] == b->map->box[d]; d++) index[d] = 0;
  }
  simulated_arrived(b->barrier, box_bytes(b));
}

bool simulated_boxes_come(void) {
  Box *b = coming;
  if (!b) return false;
  coming = b->next;
  deliver(b);
  free(b);
  return true;
}

void simulated_boxes_begin(void) {
  for (Box *b; (b = coming); free(b)) coming = b->next;
}

static void ask(void *to, const NnMap *map, u64 *barrier, int rank, const int *at) {
  Box *b = calloc(1, sizeof *b);
  *b = (Box){.next = coming, .to = to, .map = (const Map *)map, .barrier = barrier};
  memcpy(b->at, at, (size_t)rank * sizeof *at);
  if (b->map->rank != rank) simulated_fault("a box of another rank than its map");
  else if (simulated_is_shared(to, box_bytes(b), 128)) {
    memset(to, POISON, (size_t)box_bytes(b));
    races_write(simulated_thread(), to, (size_t)box_bytes(b));
    simulated_hand_over(barrier);
    simulated_made_known(to, box_bytes(b));
    coming = b;
    if (simulated_seed() % 4 == 3) simulated_boxes_come();
    return;
  }
  free(b);
}

void nn_box_2(void *to, const NnMap *m, u64 *b, int c0, int c1) { ask(to, m, b, 2, (int[]){c0, c1}); }
void nn_box_3(void *to, const NnMap *m, u64 *b, int c0, int c1, int c2) { ask(to, m, b, 3, (int[]){c0, c1, c2}); }
void nn_box_4(void *to, const NnMap *m, u64 *b, int c0, int c1, int c2, int c3) {
  ask(to, m, b, 4, (int[]){c0, c1, c2, c3});
}
void nn_box_5(void *to, const NnMap *m, u64 *b, int c0, int c1, int c2, int c3, int c4) {
  ask(to, m, b, 5, (int[]){c0, c1, c2, c3, c4});
}
