/* evaluate.c - see evaluate.h. */
#include "runtime/evaluate.h"

int nnrt_evaluation_open(NnrtEvaluation *v, NnrtModel *m, const NnrtTrain *t, const NnrtDataset *data,
                         const int64_t *places, int64_t n, int64_t batch, int64_t seed, NnrtError *e) {
  if (batch > n) batch = n;
  *v = (NnrtEvaluation){.places = places, .n = n, .batch = batch};
  int status = nnrt_feed_open(&v->feed, m, t->eval, data, batch, seed, e);
  if (status != NNRT_OK) return status;
  status = nnrt_meter_open(&v->meter, t, &v->feed.run, n, e);
  if (status != NNRT_OK) nnrt_feed_close(&v->feed);
  return status;
}

void nnrt_evaluation_close(NnrtEvaluation *v) {
  if (!v->n) return; /* never opened */
  nnrt_meter_close(&v->meter);
  nnrt_feed_close(&v->feed);
  *v = (NnrtEvaluation){0};
}

int nnrt_evaluation_run(NnrtEvaluation *v, int64_t step, int64_t steps, int64_t epoch, double *values, NnrtError *e) {
  nnrt_meter_reset(&v->meter);
  for (int64_t first = 0; first < v->n; first += v->batch) {
    int64_t n = v->n - first < v->batch ? v->n - first : v->batch;
    int status = nnrt_feed_run(&v->feed, v->places + first, n, step, steps, epoch, e);
    if (status != NNRT_OK) return status;
    nnrt_meter_add(&v->meter, &v->feed.run, n);
  }
  return nnrt_meter_values(&v->meter, values, e);
}
