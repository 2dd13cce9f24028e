/* evaluate.h - one pass over examples without training: a feed, and the meter that adds it up. */
#ifndef NNRT_EVALUATE_H
#define NNRT_EVALUATE_H

#include "runtime/feed.h"
#include "runtime/meter.h"

typedef struct NnrtEvaluation {
  NnrtFeed feed;
  NnrtMeter meter;
  const NnrtShare *sets; /* the caller's; all examples of the first, with as many of each other */
  int64_t n, batch;
  int64_t *again;         /* places of a batch, of each set but the first */
  const int64_t **places; /* of each set */
} NnrtEvaluation;

/* Evaluates the `eval` graph of `t` on examples of as many data sets as it is trained on, from the beginning again
 * where one has fewer than the first. Another data set may stand for one of them by its fields' names. After a
 * failure: close. */
int nnrt_evaluation_open(NnrtEvaluation *v, NnrtModel *m, const NnrtTrain *t, const NnrtShare *sets, int64_t batch,
                         int64_t seed, NnrtError *e);
void nnrt_evaluation_close(NnrtEvaluation *v);

/* Runs it: values[losses + reports]. A loss may be not finite; that is for the caller to judge. */
int nnrt_evaluation_run(NnrtEvaluation *v, int64_t step, int64_t steps, int64_t epoch, double *values, NnrtError *e);

#endif
