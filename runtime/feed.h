/* feed.h - gives a graph of a training (step, eval, grads) its batches: the data's fields, and the numbers with a $.
 */
#ifndef NNRT_FEED_H
#define NNRT_FEED_H

#include "runtime/data.h"

typedef struct NnrtFeed {
  NnrtRun run;
  const NnrtDataset *data;
  int64_t batch; /* the largest */
  int *field;    /* of each input port; -1: not a field */
  void **gathered;
  int64_t *places;
  int64_t seed; /* mixed */
  int32_t step, steps, epoch;
} NnrtFeed;

/* After a failure there is nothing to close. */
int nnrt_feed_open(NnrtFeed *f, NnrtModel *m, int64_t graph, const NnrtDataset *data, int64_t batch, int64_t seed,
                   NnrtError *e);
void nnrt_feed_close(NnrtFeed *f);

/* Runs the graph on the examples `places` (n <= batch), at this step. */
int nnrt_feed_run(NnrtFeed *f, const int64_t *places, int64_t n, int64_t step, int64_t steps, int64_t epoch,
                  NnrtError *e);

#endif
