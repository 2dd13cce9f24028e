/* stream.h - one of the data sets that a training draws from: its parts, and which of its examples come when.
 *
 * Examples are counted from the training's begin. A data set is gone through in passes, each in an order of its own;
 * the first of a training's data sets says what an epoch is, the others go on where they were. So what comes at a
 * step follows from how many examples came before it, and a checkpoint need not hold it. */
#ifndef NNRT_STREAM_H
#define NNRT_STREAM_H

#include "runtime/data.h"

/* Examples of a data set. */
typedef struct NnrtShare {
  const NnrtDataset *data;
  int64_t index; /* the data set of the program that it is, or stands for */
  const int64_t *places;
  int64_t n;
} NnrtShare;

typedef struct NnrtStream {
  NnrtDataset data;
  NnrtDataset other; /* which validates in place of a part of `data`; no table: there is none */
  int64_t index;     /* of `data` in the program */
  int64_t *places;   /* of the training part in rising order, then of what validates */
  int64_t n, held;   /* how many */
  int64_t *order;    /* the training part as it comes in the pass */
  int64_t pass;      /* from 0; -1: none yet */
  char name[160];    /* of the draws that order it */
} NnrtStream;

/* What of a data set is held back for validation: a fraction of it, or one of so many folds. */
typedef struct NnrtHeld {
  double fraction;
  int64_t fold, folds; /* from 1 on; 0: there are none */
} NnrtHeld;

/* Divides the examples of s->data: all train, or a part is held back, or s->other validates. `first`: s is the first
 * of its training. */
int nnrt_stream_divide(NnrtStream *s, uint64_t seed, NnrtHeld held, bool first, NnrtError *e);
void nnrt_stream_close(NnrtStream *s);

/* The places of the training's n examples from `first` on, to places[n]. */
void nnrt_stream_take(NnrtStream *s, uint64_t seed, bool shuffle, int64_t first, int64_t n, int64_t *places);

/* What validates; n = 0: nothing. */
NnrtShare nnrt_stream_validation(const NnrtStream *s);

#endif
