/* pool.c - see pool.h. Chunks are claimed from one atomic word, (job's number, chunks left): a claim that succeeds
 * holds the job open, because its caller waits for every chunk; a thread that comes late finds no chunk left and
 * touches nothing of the job. So no one ever waits for a sleeping thread.
 *
 * Threads spin for some 20-50 us after a job (a hand-off to a spinning thread takes 0.1 us, to a sleeping one 45 us),
 * then sleep. All waits yield after a bounded spin: with another process on a core, pure spinning costs 2-4 times. */
#define _GNU_SOURCE
#include "runtime/pool.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Once in a program's life: compiled for size, unlike the rest of this file. */
#define COLD __attribute__((cold))

enum { SPINS = 1000, YIELDS = 16, MAX_THREADS = 256 };

struct NnrtPool {
  _Alignas(64) _Atomic uint64_t work; /* job's number << 32 | chunks left */
  _Alignas(64) _Atomic uint32_t done; /* chunks of the job that are finished */
  /* Of the job; read only by who has claimed one of its chunks. */
  NnrtChunk *f;
  void *context;
  uint32_t chunks;
  _Alignas(64) _Atomic int sleepers;
  _Atomic bool stop;
  _Atomic uint32_t wakes; /* the futex that sleepers wait on: counts wake-ups */
  int threads, started;
  struct Worker {
    struct NnrtPool *pool;
    pthread_t id;
    int number;
  } worker[MAX_THREADS];
};

static void pause_briefly(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

/* Claims and runs one chunk; false where none is left. */
static bool run_one(NnrtPool *p, int thread) {
  uint64_t w = atomic_load(&p->work);
  do {
    if ((uint32_t)w == 0) return false;
  } while (!atomic_compare_exchange_weak(&p->work, &w, w - 1));
  p->f(p->context, (int64_t)(p->chunks - (uint32_t)w), thread);
  atomic_fetch_add(&p->done, 1);
  return true;
}

static bool waiting(NnrtPool *p) { return (uint32_t)atomic_load(&p->work) == 0 && !atomic_load(&p->stop); }

static void futex(_Atomic uint32_t *word, int operation, uint32_t value) {
  syscall(SYS_futex, word, operation | FUTEX_PRIVATE_FLAG, value, NULL, NULL, 0);
}

/* May return early; the caller looks again. Whoever gives work after `sleepers` was raised changes `wakes`, and
 * whoever gave it before is seen by the test: either way nobody sleeps through a job. */
static void sleep_until_work(NnrtPool *p) {
  uint32_t wakes = atomic_load(&p->wakes);
  atomic_fetch_add(&p->sleepers, 1);
  if (waiting(p)) futex(&p->wakes, FUTEX_WAIT, wakes);
  atomic_fetch_sub(&p->sleepers, 1);
}

static void *work(void *argument) {
  struct Worker *me = argument;
  NnrtPool *p = me->pool;
  while (!atomic_load(&p->stop)) {
    while (run_one(p, me->number)) {}
    for (int i = 0; i < SPINS && waiting(p); i++) pause_briefly();
    for (int i = 0; i < YIELDS && waiting(p); i++) sched_yield();
    if (waiting(p)) sleep_until_work(p);
  }
  return NULL;
}

static void wake_sleepers(NnrtPool *p) {
  if (atomic_load(&p->sleepers) == 0) return;
  atomic_fetch_add(&p->wakes, 1);
  futex(&p->wakes, FUTEX_WAKE, INT32_MAX);
}

COLD int nnrt_processors(void) {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  int n = 0;
  for (size_t i = 0; i < CPU_SETSIZE; i++) n += CPU_ISSET(i, &set) != 0;
  return n;
}

/* Signals are for the thread that opened the pool: it may block and poll them. */
COLD static void start_workers(NnrtPool *p) {
  sigset_t all, before;
  memset(&all, 0xff, sizeof all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  for (p->started = 0; p->started < p->threads - 1; p->started++) {
    struct Worker *w = &p->worker[p->started];
    *w = (struct Worker){.pool = p, .number = p->started + 1};
    if (pthread_create(&w->id, NULL, work, w) != 0) break;
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);
}

COLD int nnrt_pool_open(NnrtPool **pool, int threads, NnrtError *e) {
  *pool = NULL;
  if (threads == 0) threads = nnrt_processors();
  if (threads < 1) return nnrt_fail(e, NNRT_EINVAL, "%d threads", threads);
  if (threads > MAX_THREADS) threads = MAX_THREADS;
  NnrtPool *p = aligned_alloc(64, (sizeof *p + 63) / 64 * 64);
  if (!p) return nnrt_fail_memory(e, sizeof *p, "the threads");
  atomic_init(&p->work, 0);
  atomic_init(&p->done, 0);
  atomic_init(&p->sleepers, 0);
  atomic_init(&p->stop, false);
  atomic_init(&p->wakes, 0);
  p->threads = threads;
  start_workers(p);
  *pool = p;
  if (p->started == threads - 1) return NNRT_OK;
  nnrt_pool_close(p);
  *pool = NULL;
  return nnrt_fail(e, NNRT_EDEVICE, "%d threads cannot be started", threads);
}

COLD void nnrt_pool_close(NnrtPool *p) {
  if (!p) return;
  atomic_store(&p->stop, true);
  wake_sleepers(p);
  for (int i = 0; i < p->started; i++) pthread_join(p->worker[i].id, NULL);
  free(p);
}

int nnrt_pool_threads(const NnrtPool *p) { return p->threads; }

void nnrt_pool_run(NnrtPool *p, NnrtChunk *f, void *context, int64_t chunks) {
  if (chunks == 1 || p->threads == 1) {
    for (int64_t i = 0; i < chunks; i++) f(context, i, 0);
    return;
  }
  if (chunks <= 0) return;
  p->f = f;
  p->context = context;
  p->chunks = (uint32_t)chunks;
  atomic_store(&p->done, 0);
  uint64_t job = (atomic_load(&p->work) >> 32) + 1;
  atomic_store(&p->work, job << 32 | (uint32_t)chunks);
  wake_sleepers(p);
  while (run_one(p, 0)) {}
  for (int i = 0; atomic_load(&p->done) != (uint32_t)chunks; i++)
    if (i < SPINS) pause_briefly();
    else sched_yield();
}
