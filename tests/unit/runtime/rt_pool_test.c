/* rt_pool_test.c - every chunk once, whatever the threads; jobs back to back and with sleeps between. */
#include "rt_test.h"

#include "runtime/pool.h"

#include <stdatomic.h>
#include <unistd.h>

typedef struct Job {
  int *count; /* one for each chunk: written by its owner alone */
  _Atomic int64_t sum;
  int threads;
} Job;

static void chunk(void *context, int64_t i, int thread) {
  Job *j = context;
  if (thread < 0 || thread >= j->threads) abort();
  j->count[i]++;
  atomic_fetch_add(&j->sum, i);
}

static void many_jobs(void **state) {
  (void)state;
  for (int threads = 1; threads <= 7; threads += 2) {
    NnrtPool *p;
    NnrtError e;
    assert_int_equal(nnrt_pool_open(&p, threads, &e), NNRT_OK);
    assert_int_equal(nnrt_pool_threads(p), threads);
    for (int job = 0; job < 2000; job++) {
      int64_t n = job % 23;
      int count[23] = {0};
      Job j = {.count = count, .threads = threads};
      nnrt_pool_run(p, chunk, &j, n);
      for (int64_t i = 0; i < n; i++) assert_int_equal(count[i], 1);
      assert_int_equal(atomic_load(&j.sum), n * (n - 1) / 2);
      if (job % 500 == 0) usleep(2000); /* let them fall asleep */
    }
    nnrt_pool_close(p);
  }
}

static void open_and_close(void **state) {
  (void)state;
  NnrtError e;
  NnrtPool *p;
  for (int i = 0; i < 50; i++) {
    assert_int_equal(nnrt_pool_open(&p, 4, &e), NNRT_OK);
    nnrt_pool_close(p);
  }
  assert_int_equal(nnrt_pool_open(&p, 0, &e), NNRT_OK);
  assert_true(nnrt_pool_threads(p) >= 1);
  nnrt_pool_close(p);
  assert_int_equal(nnrt_pool_open(&p, -1, &e), NNRT_EINVAL);
  nnrt_pool_close(NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(many_jobs), cmocka_unit_test(open_and_close)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
