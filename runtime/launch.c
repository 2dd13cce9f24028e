/* launch.c - one launch of a run on the processor's threads. In a file of its own: a program for a GPU has another,
 * and runs that are under way while the host does something else. */
#include "runtime/run.h"

typedef struct Launch {
  const NnrtRun *run;
  const NnrtStep *step;
  int64_t from; /* its first unit */
} Launch;

static void run_chunk(void *context, int64_t chunk, int thread) {
  const Launch *l = context;
  const NnrtStep *s = l->step;
  int64_t begin = chunk * s->grain, end = begin + s->grain < s->units ? begin + s->grain : s->units;
  char *scratch = l->run->model->scratch + thread * l->run->model->scratch_bytes;
  s->kernel(s->operands, l->run->dims, l->from + begin, l->from + end, scratch);
}

void nnrt_run_launch(NnrtRun *r, int64_t i, int64_t step) {
  const NnrtStep *s = &r->steps[i];
  if (s->units <= 0) return;
  Launch l = {r, s, step * s->units};
  if (s->chunks == 1) s->kernel(s->operands, r->dims, l.from, l.from + s->units, r->model->scratch);
  else nnrt_pool_run(r->model->pool, run_chunk, &l, s->chunks);
}

int nnrt_run_most_late(const NnrtRun *r) {
  (void)r;
  return 0;
}

void nnrt_run_arrive(NnrtRun *r, int back) { (void)r, (void)back; }
