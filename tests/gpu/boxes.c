/* boxes.c - copies of boxes of tensors (sm_90a), in the simulator: maps as the driver makes them, and boxes that come
 * when nothing else goes on, or, by some seeds, at once. From when one is asked for until it comes its place is NaN.
 * A box that leaves is read when its thread waits for it, which is the latest moment, or, by some seeds, at once. */
#include "tests/gpu/boxes.h"

#include <stdlib.h>
#include <string.h>

#include "tests/gpu/device.h"
#include "tests/gpu/races.h"
#include "tests/gpu/simulator.h"

enum { RANK = 5, MOST_BOX = 256, ROW = 128, POISON = 0xff, EXCHANGED = 3, INVALID = 1 };

typedef struct Map { /* in the 128 bytes of one */
  char *base;
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

typedef struct Leaving {
  struct Leaving *next;
  Box box;           /* to: where it is read */
  int thread, group; /* -1: not committed yet */
} Leaving;

static Box *coming;
static Leaving *leaving; /* the first asked for first */
static int commits[SIMULATED_THREADS];

/* ---- maps ---- */

int cuTensorMapEncodeTiled(void *out, int type, unsigned rank, void *base, const uint64_t *extent,
                           const uint64_t *stride, const unsigned *box, const unsigned *step, int interleave,
                           int swizzle, int l2, int fill) {
  Map m = {.base = base, .rank = (int16_t)rank, .bytes = type == 7 ? 4 : 2};
  (void)l2;
  if ((type != 6 && type != 7 && type != 9) || rank < 2 || rank > RANK || interleave || swizzle != EXCHANGED || fill)
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

static char *element_of(const Box *b, const int *index) {
  int64_t at = 0;
  for (int d = 0; d < b->map->rank; d++) at += ((int64_t)b->at[d] + index[d]) * (int64_t)b->map->stride[d];
  return b->map->base + at;
}

static int box_bytes(const Box *b) {
  int n = b->map->bytes;
  for (int d = 0; d < b->map->rank; d++) n *= b->map->box[d];
  return n;
}

/* Element `number` of the box in shared memory, and in the tensor: NULL outside. */
typedef void Each(char *own, char *element, size_t bytes);

static void each_element(const Box *b, Each *each) {
  int index[RANK] = {0}, d = 0;
  for (int64_t number = 0; d < b->map->rank; number++) {
    int64_t at = simulated_offset(b->to) + number * b->map->bytes;
    at ^= at >> 7 << 4 & 0x70;
    each(simulated_at(at), is_outside(b, index) ? NULL : element_of(b, index), (size_t)b->map->bytes);
    for (d = 0; d < b->map->rank && ++index[d] == b->map->box[d]; d++) index[d] = 0;
  }
}

static void come(char *own, char *element, size_t bytes) {
  if (element && !races_is_written(element, bytes)) simulated_fault("a box of memory that nobody wrote");
  if (element) memcpy(own, element, bytes);
  else memset(own, 0, bytes);
}

static void deliver(const Box *b) {
  each_element(b, come);
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
  for (Leaving *l; (l = leaving); free(l)) leaving = l->next;
  memset(commits, 0, sizeof commits);
}

void simulated_boxes_end(void) {
  if (leaving) simulated_fault("a box leaves that nobody waited for");
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

/* ---- the way back ---- */

static void look_at(char *own, char *element, size_t bytes) {
  if (!simulated_is_seen(own, (int64_t)bytes))
    simulated_fault("a box of what was written but not made known (nn_written)");
  races_read(simulated_thread(), own, bytes);
  if (element) races_write(simulated_thread(), element, bytes);
}

static void leave(char *own, char *element, size_t bytes) {
  if (element) memcpy(element, own, bytes);
}

/* What the thread's first `until` groups put; all: also what has no group yet. */
static void leave_until(int until, bool all) {
  int thread = simulated_thread();
  for (Leaving **at = &leaving; *at;) {
    Leaving *l = *at;
    bool now = l->thread == thread && (l->group >= 0 ? l->group < until : all);
    if (now) {
      each_element(&l->box, leave);
      *at = l->next;
      free(l);
    } else at = &l->next;
  }
}

static void put(const NnMap *map, const void *from, int rank, const int *at) {
  Leaving *l = calloc(1, sizeof *l), **last = &leaving;
  *l = (Leaving){
      .box = {.to = (char *)(uintptr_t)from, .map = (const Map *)map}, .thread = simulated_thread(), .group = -1};
  memcpy(l->box.at, at, (size_t)rank * sizeof *at);
  if (l->box.map->rank != rank) simulated_fault("a box of another rank than its map");
  else if (simulated_is_shared(from, box_bytes(&l->box), 128)) {
    each_element(&l->box, look_at);
    while (*last) last = &(*last)->next;
    *last = l;
    if (simulated_seed() % 4 == 3) leave_until(commits[simulated_thread()], true);
    return;
  }
  free(l);
}

void nn_put_box_2(const NnMap *m, const void *from, int c0, int c1) { put(m, from, 2, (int[]){c0, c1}); }
void nn_put_box_3(const NnMap *m, const void *from, int c0, int c1, int c2) { put(m, from, 3, (int[]){c0, c1, c2}); }
void nn_put_box_4(const NnMap *m, const void *from, int c0, int c1, int c2, int c3) {
  put(m, from, 4, (int[]){c0, c1, c2, c3});
}
void nn_put_box_5(const NnMap *m, const void *from, int c0, int c1, int c2, int c3, int c4) {
  put(m, from, 5, (int[]){c0, c1, c2, c3, c4});
}

void nn_boxes_commit(void) {
  int thread = simulated_thread();
  for (Leaving *l = leaving; l; l = l->next)
    if (l->thread == thread && l->group < 0) l->group = commits[thread];
  commits[thread]++;
}

void nn_boxes_wait(int n) { leave_until(commits[simulated_thread()] - n, false); }
