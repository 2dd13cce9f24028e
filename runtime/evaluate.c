/* evaluate.c - see evaluate.h. */
#include "runtime/evaluate.h"

#include <stdlib.h>

int nnrt_evaluation_open(NnrtEvaluation *v, NnrtModel *m, const NnrtTrain *t, const NnrtShare *sets, int64_t batch,
                         int64_t seed, NnrtError *e) {
  int n = (int)t->n_data;
  if (batch > sets[0].n) batch = sets[0].n;
  int status = nnrt_feed_open(&v->feed, m, t->eval, sets, n, batch, seed, e);
  if (status != NNRT_OK) return status;
  v->sets = sets;
  v->n = sets[0].n;
  v->batch = batch;
  v->again = malloc(((size_t)n * (size_t)batch + 1) * sizeof *v->again);
  v->places = calloc((size_t)n + 1, sizeof *v->places);
  if (!v->again || !v->places) return nnrt_fail_memory(e, (unsigned long long)batch * 8, "a batch");
  for (int s = 1; s < n; s++) v->places[s] = v->again + s * batch;
  return nnrt_meter_open(&v->meter, t, &v->feed.run, v->n, e);
}

void nnrt_evaluation_close(NnrtEvaluation *v) {
  if (!v->n) return; /* never opened */
  nnrt_meter_close(&v->meter);
  nnrt_feed_close(&v->feed);
  free(v->again);
  free(v->places);
  *v = (NnrtEvaluation){0};
}

/* Examples first .. first + n - 1; of a data set with fewer, from the beginning again. */
static void take(NnrtEvaluation *v, int64_t first, int64_t n) {
  v->places[0] = v->sets[0].places + first;
  for (int s = 1; s < v->feed.n_sets; s++)
    for (int64_t i = 0; i < n; i++) v->again[s * v->batch + i] = v->sets[s].places[(first + i) % v->sets[s].n];
}

int nnrt_evaluation_run(NnrtEvaluation *v, int64_t step, int64_t steps, int64_t epoch, double *values, NnrtError *e) {
  nnrt_meter_reset(&v->meter);
  for (int64_t first = 0; first < v->n; first += v->batch) {
    int64_t n = v->n - first < v->batch ? v->n - first : v->batch;
    take(v, first, n);
    int status = nnrt_feed_run(&v->feed, v->places, n, step, steps, epoch, e);
    if (status != NNRT_OK) return status;
    nnrt_meter_add(&v->meter, &v->feed.run, n);
  }
  return nnrt_meter_values(&v->meter, values, e);
}
