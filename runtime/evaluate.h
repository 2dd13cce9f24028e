/* evaluate.h - one pass over examples without training: a feed, and the meter that adds it up. */
#ifndef NNRT_EVALUATE_H
#define NNRT_EVALUATE_H

#include "runtime/feed.h"
#include "runtime/meter.h"

typedef struct NnrtEvaluation {
  NnrtFeed feed;
  NnrtMeter meter;
  const int64_t *places; /* the caller's */
  int64_t n, batch;
} NnrtEvaluation;

/* Evaluates the `eval` graph of `t` on these examples of `data`, whose name may differ from the training's: its
 * fields stand in for those of the training data by name. After a failure there is nothing to close. */
int nnrt_evaluation_open(NnrtEvaluation *v, NnrtModel *m, const NnrtTrain *t, const NnrtDataset *data,
                         const int64_t *places, int64_t n, int64_t batch, int64_t seed, NnrtError *e);
void nnrt_evaluation_close(NnrtEvaluation *v);

/* Runs it: values[losses + reports]. A loss may be not finite; that is for the caller to judge. */
int nnrt_evaluation_run(NnrtEvaluation *v, int64_t step, int64_t steps, int64_t epoch, double *values, NnrtError *e);

#endif
