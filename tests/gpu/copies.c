/* copies.c - copies that go on by themselves, in the simulator: a copy takes place when its thread waits for it,
 * which is the latest moment; from when it is asked for until then its target is NaN, as if it were on its way at the
 * earliest. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/gpu/device.h"
#include "tests/gpu/simulator.h"

enum { POISON = 0xff, GROUPS = 64 };

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

static void take_place(Copy *c) {
  for (Copy *next; c; c = next) {
    next = c->next;
    memset(c->to, 0, (size_t)c->size);
    memcpy(c->to, c->from, (size_t)c->bytes);
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
}

static void begin_copy(void *to, const void *from, int size, int bytes) {
  Queue *q = &queues[simulated_thread()];
  if (!simulated_is_shared(to, size, size)) return;
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
