/* warpgroups.c - barriers and products of groups of four warps (sm_90a), in the simulator. A group's products take
 * place when it waits for them, which is the latest moment: until then their operands have to stay. Operands have to
 * be written in a way that the units see (nn_written), and lie as the words that name them say. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ir/scalar.h"
#include "tests/gpu/device.h"
#include "tests/gpu/races.h"
#include "tests/gpu/simulator.h"

/* ---- barriers ---- */

enum { BARRIERS = (227 << 10) / 8 };

typedef struct Barrier { /* in 8 bytes of shared memory */
  int16_t threads, pending;
  int32_t state; /* twice the bytes that still come, and the round's parity */
} Barrier;

/* What who arrives at a barrier did, known to who waits for it; by its place. */
static Times *times_of(const void *at) {
  static Times times[BARRIERS];
  return &times[simulated_offset(at) / 8 % BARRIERS];
}

static Barrier *barrier_at(u64 *at) {
  Barrier *b = (Barrier *)at;
  if (!simulated_is_shared(at, sizeof *b, sizeof *b)) return NULL;
  if (b->state < 0 || b->threads <= 0 || b->pending < 0)
    simulated_fault("a barrier that is none, or at which too many arrive");
  return b;
}

void nn_barrier(u64 *at, int threads) {
  if (!simulated_is_shared(at, sizeof(Barrier), sizeof(Barrier))) return;
  *(Barrier *)at = (Barrier){(int16_t)threads, (int16_t)threads, 0};
  *times_of(at) = (Times){0};
}

void nn_barriers_begin(void) {}

static void end_round(u64 *at, Barrier *b) {
  if (b->pending || b->state > 1) return;
  b->pending = b->threads;
  b->state ^= 1;
  simulated_wake(at);
}

static void arrive(u64 *at, int bytes) {
  Barrier *b = barrier_at(at);
  if (!b) return;
  races_release(times_of(at));
  b->pending--;
  b->state += 2 * bytes;
  end_round(at, b);
}

void nn_arrive(u64 *at) { arrive(at, 0); }
void nn_expect(u64 *at, int bytes) { arrive(at, bytes); }

void simulated_hand_over(void *barrier) { races_release(times_of(barrier)); }

void simulated_arrived(void *at, int bytes) {
  Barrier *b = barrier_at(at);
  if (!b) return;
  b->state -= 2 * bytes;
  end_round(at, b);
}

void nn_wait(u64 *at, int parity) {
  for (;;) {
    const Barrier *b = barrier_at(at);
    if (!b) return;
    if ((b->state & 1) != (parity & 1)) {
      races_acquire(times_of(at));
      return;
    }
    simulated_wait(at, "nn_wait");
  }
}

/* ---- products ---- */

enum { MOST_COLUMNS = 256, ROWS = 64, STEPS = 16, UNDERWAY = 64, GROUPS = SIMULATED_THREADS / WARPGROUP };

typedef struct Work { /* one product of a group */
  int n, commit;      /* commit: the group's number of it; -1: not yet */
  DType type;
  bool across_a, across_b;
  u64 a, b;
  const u32 *words[WARPGROUP]; /* a, where it is in registers; else NULL */
  float *sum[WARPGROUP];
} Work;

static struct {
  Work work[UNDERWAY];
  int n, commits, done; /* commits that ever were, and were waited for */
} groups[GROUPS];

void simulated_groups_begin(void) { memset(groups, 0, sizeof groups); }

/* Element of line l and step k of the tile that the word tells: where the unit reads it. */
static float element(u64 word, DType type, bool across, int l, int k) {
  int64_t base = (int64_t)(word & 0x3fff) << 4, apart = (int64_t)(word >> 16 & 0x3fff) << 4,
          eight = (int64_t)(word >> 32 & 0x3fff) << 4;
  int64_t at = across ? base + l / 64 * apart + k / 8 * eight + k % 8 * 128 + l % 64 * 2
                      : base + l / 8 * eight + l % 8 * 128 + k * 2;
  if (word >> 62 != 1) simulated_fault("a tile whose chunks are exchanged in another way");
  at ^= at >> 7 << 4 & 0x70;
  const char *p = simulated_at(at);
  if (!simulated_is_shared(p, 2, 2)) return 0;
  races_read(simulated_thread(), p, 2);
  if (!simulated_is_seen(p, 2)) simulated_fault("products of what was written but not made known (nn_written)");
  return (float)dtype_load_real(type, p, 0);
}

/* Of a row that is in registers. */
static float word_element(const Work *w, int row, int k) {
  int thread = row / 16 * WARP + row % 8 * 4 + k % 8 / 2;
  return (float)dtype_load_real(w->type, &w->words[thread][k / 8 * 2 + row % 16 / 8], k % 2);
}

static void multiply(const Work *w) {
  static float a[ROWS][STEPS], b[MOST_COLUMNS][STEPS];
  for (int k = 0; k < STEPS; k++) {
    for (int l = 0; l < ROWS; l++)
      a[l][k] = w->words[0] ? word_element(w, l, k) : element(w->a, w->type, w->across_a, l, k);
    for (int l = 0; l < w->n; l++) b[l][k] = element(w->b, w->type, w->across_b, l, k);
  }
  for (int thread = 0; thread < WARPGROUP; thread++)
    for (int i = 0; i < w->n / 2; i++) {
      int row = thread / 32 * 16 + thread % 32 / 4 + i / 2 % 2 * 8, column = i / 4 * 8 + thread % 4 * 2 + i % 2;
      double sum = (double)w->sum[thread][i];
      for (int k = 0; k < STEPS; k++) sum += (double)a[row][k] * (double)b[column][k];
      w->sum[thread][i] = (float)sum;
    }
}

/* ---- what a group's threads do together ---- */

static int group_of(int first) { return first / WARPGROUP; }

static void add_work(int first, int last) {
  const Work *own = simulated_argument(first);
  int g = group_of(first);
  if (groups[g].n == UNDERWAY) {
    simulated_fault("too many products of a group");
    return;
  }
  Work *w = &groups[g].work[groups[g].n++];
  *w = *own;
  w->commit = -1;
  for (int i = first; i < last; i++) {
    const Work *other = simulated_argument(i);
    if (other->a != own->a || other->b != own->b) simulated_fault("a group's threads name other tiles");
    w->sum[i - first] = other->sum[0];
    w->words[i - first] = other->words[0];
  }
}

void nn_group_products(int n, const char *type, const char *across_a, const char *across_b, float *sum, u64 a,
                       u64 b) {
  DType t;
  if (!dtype_from_name(type, &t)) simulated_fault("products of an unknown type");
  Work w = {.n = n, .type = t, .across_a = *across_a == '1', .across_b = *across_b == '1', .a = a, .b = b};
  w.sum[0] = sum;
  simulated_group_meeting("nn_group_products", &w, add_work);
}

void nn_group_weighted(int n, const char *type, const char *across_b, float *sum, const u32 *a, u64 b) {
  DType t;
  if (!dtype_from_name(type, &t)) simulated_fault("products of an unknown type");
  Work w = {.n = n, .type = t, .across_b = *across_b == '1', .b = b, .words = {a}};
  w.sum[0] = sum;
  simulated_group_meeting("nn_group_weighted", &w, add_work);
}

static void begin(int first, int last) { (void)first, (void)last; }

static void commit(int first, int last) {
  int g = group_of(first);
  (void)last;
  for (int i = 0; i < groups[g].n; i++)
    if (groups[g].work[i].commit < 0) groups[g].work[i].commit = groups[g].commits;
  groups[g].commits++;
}

static void wait_for(int first, int last) {
  int g = group_of(first), left = 0, until = groups[g].commits - *(const int *)simulated_argument(first);
  (void)last;
  for (int i = 0; i < groups[g].n; i++) {
    Work *w = &groups[g].work[i];
    if (w->commit >= 0 && w->commit < until) multiply(w);
    else groups[g].work[left++] = *w;
  }
  groups[g].n = left;
}

void nn_group_begin(void) { simulated_group_meeting("nn_group_begin", NULL, begin); }
void nn_group_commit(void) { simulated_group_meeting("nn_group_commit", NULL, commit); }
void nn_group_wait(int n) { simulated_group_meeting("nn_group_wait", &n, wait_for); }

u64 nn_tile_word(const void *at, int apart) {
  simulated_is_shared(at, 16, 16);
  return ((u64)simulated_offset(at) & 0x3ffff) >> 4 | (u64)(apart >> 4) << 16 | (u64)64 << 32 | (u64)1 << 62;
}

void nn_registers_fewer(void) {}
void nn_registers_more(void) {}
