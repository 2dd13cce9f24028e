/* feed.h - gives a graph of a training (step, eval, grads) its batches: the data's fields, and the numbers with a $.
 */
#ifndef NNRT_FEED_H
#define NNRT_FEED_H

#include "runtime/stream.h"

typedef struct NnrtFeedPort {
  int set;   /* into NnrtFeed.sets; -1: not a field */
  int field; /* of that data set */
  int open;  /* the open dimension that is as long as the batch's longest example; -1: none is */
  void *gathered;
} NnrtFeedPort;

typedef struct NnrtFeed {
  NnrtRun run;
  const NnrtShare *sets; /* the caller's: data sets from which a batch is drawn */
  int n_sets;
  int64_t batch;       /* the largest */
  NnrtFeedPort *ports; /* of each input of the graph */
  int64_t *sizes;      /* of the graph's open dimensions */
  int64_t *places;     /* of the batch's examples in each data set: the first one's are $place, others' $place.NAME */
  int64_t seed;        /* mixed */
  int32_t step, steps, epoch;
} NnrtFeed;

/* After a failure there is nothing to close. */
int nnrt_feed_open(NnrtFeed *f, NnrtModel *m, int64_t graph, const NnrtShare *sets, int n_sets, int64_t batch,
                   int64_t seed, NnrtError *e);
void nnrt_feed_close(NnrtFeed *f);

/* Whether the graph has to be bound to other sizes for these examples. */
bool nnrt_feed_resizes(NnrtFeed *f, const int64_t *const *places, int64_t n);

/* Runs the graph on n <= batch examples of each data set, places[set][n], at this step. */
int nnrt_feed_run(NnrtFeed *f, const int64_t *const *places, int64_t n, int64_t step, int64_t steps, int64_t epoch,
                  NnrtError *e);

#endif
