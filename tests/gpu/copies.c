/* copies.c - copies that go on by themselves, in the simulator: a copy takes place when its thread waits for it,
 * which is the latest moment; from when it is asked for until then its target is NaN, as if it were on its way at the
 * earliest. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/gpu/device.h"
#include "tests/gpu/races.h"
#include "tests/gpu/simulator.h"

enum { POISON = 0xff, GROUPS = 64, MOST_SHARED = 227 << 10 };

typedef struct Copy {
  struct Copy *next;
  void *to;
  const void *from;
  int size, bytes;
} Copy;

typedef struct Queue { /* of a thread */
  Copy *group[GROUPS], *open;
  int committed, done; /* groups that ever were */
} Queue;

static Queue queues[SIMULATED_THREADS];
static short unseen_by[MOST_SHARED / 4]; /* by word: 1 + the thread that wrote it and did not say so yet, or 0 */

void simulated_unseen(int thread, const void *at, int64_t bytes) {
  for (int64_t i = 0; i < bytes; i += 4) unseen_by[(simulated_offset(at) + i) / 4] = (short)(1 + thread);
}

void simulated_made_known(const void *at, int64_t bytes) {
  for (int64_t i = 0; i < bytes; i += 4) unseen_by[(simulated_offset(at) + i) / 4] = 0;
}

bool simulated_is_seen(const void *at, int64_t bytes) {
  for (int64_t i = 0; i < bytes; i += 4)
    if (unseen_by[(simulated_offset(at) + i) / 4]) return false;
  return true;
}

/* The thread's own writes. Copies that go on are not among them: they are not there yet. */
void nn_written(void) {
  for (int i = 0; i < MOST_SHARED / 4; i++)
    if (unseen_by[i] == 1 + simulated_thread()) unseen_by[i] = 0;
}

void nn_put(void *to, u32 word) {
  if (!simulated_is_shared(to, 4, 4)) return;
  memcpy(to, &word, sizeof word);
  races_write(simulated_thread(), to, sizeof word);
  simulated_unseen(simulated_thread(), to, 4);
}

void nn_put_pair(void *to, u32 low, u32 high) {
  if (!simulated_is_shared(to, 8, 8)) return;
  nn_put(to, low);
  nn_put((char *)to + 4, high);
}

static void take_place(Copy *c) {
  for (Copy *next; c; c = next) {
    next = c->next;
    memset(c->to, 0, (size_t)c->size);
    memcpy(c->to, c->from, (size_t)c->bytes);
    races_write(simulated_thread(), c->to, (size_t)c->size);
    simulated_unseen(simulated_thread(), c->to, c->size);
    free(c);
  }
}

static void forget(Copy *c) {
  for (Copy *next; c; c = next) {
    next = c->next;
    free(c);
  }
}

void simulated_copies_begin(int threads) {
  for (int i = 0; i < threads; i++) {
    Queue *q = &queues[i];
    forget(q->open);
    for (; q->done < q->committed; q->done++) forget(q->group[q->done % GROUPS]);
    *q = (Queue){0};
  }
  memset(unseen_by, 0, sizeof unseen_by);
}

static void begin_copy(void *to, const void *from, int size, int bytes) {
  Queue *q = &queues[simulated_thread()];
  if (!simulated_is_shared(to, size, size)) return;
  races_write(simulated_thread(), to, (size_t)size);
  if (bytes > 0) races_read(simulated_thread(), from, (size_t)bytes);
  if ((uintptr_t)from % (uintptr_t)size) simulated_fault("a copy from an address that is no multiple of its size");
  if (bytes < 0 || bytes > size) simulated_fault("a copy of more bytes than it has");
  Copy *c = malloc(sizeof *c);
  *c = (Copy){q->open, to, from, size, bytes};
  q->open = c;
  memset(to, POISON, (size_t)size);
}

void nn_copy_16(void *to, const void *from, int bytes) { begin_copy(to, from, 16, bytes); }
void nn_copy_4(void *to, const void *from, int bytes) { begin_copy(to, from, 4, bytes); }

void nn_copies_commit(void) {
  Queue *q = &queues[simulated_thread()];
  if (q->committed - q->done == GROUPS) {
    simulated_fault("too many groups of copies");
    return;
  }
  q->group[q->committed++ % GROUPS] = q->open;
  q->open = NULL;
}

void nn_copies_wait(int n) {
  Queue *q = &queues[simulated_thread()];
  for (; q->committed - q->done > n; q->done++) take_place(q->group[q->done % GROUPS]);
}
