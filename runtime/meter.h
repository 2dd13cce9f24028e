/* meter.h - what is measured over many batches: each loss and each report of a training. Averages are weighted by the
 * batches' true sizes; a collected report (r2) keeps its arguments and is computed from the whole set at once; a
 * report that streams has states, which the graph reads and gives anew. */
#ifndef NNRT_METER_H
#define NNRT_METER_H

#include "runtime/run.h"
#include "runtime/safetensors.h"

typedef struct NnrtMetric {
  const char *name;
  bool loss;
  bool single;      /* f32: print as such */
  int port;         /* averaged: the graph's output */
  int when;         /* the output that says whether it was computed; -1: it was */
  double sum, last; /* last: of the last batch, so far */
  double step_sum;
  bool none;                 /* averaged: it had no value in all that nnrt_meter_values measured last */
  int64_t count, step_count; /* averaged: examples since the reset, and of the batch */
  int n_parts;               /* collected: arguments; streamed: states */
  struct NnrtPart *parts;
  int64_t graph;
} NnrtMetric;

typedef struct NnrtPart {
  int port;
  NnrtDtype dtype;
  int rank; /* with the examples' dimension */
  int64_t shape[NNRT_MAX_RANK];
  int64_t bytes; /* of one example */
  char *data;
  char *first; /* a state: its value at first; NULL: an argument that is collected */
  char name[160];
} NnrtPart;

typedef struct NnrtMeter {
  NnrtModel *model;
  NnrtMetric *metrics; /* losses, then reports */
  int n, n_losses;
  int64_t count, room; /* examples so far; at most */
} NnrtMeter;

/* For a run of the step or eval graph of `t`, already bound; at most `room` examples between resets. */
int nnrt_meter_open(NnrtMeter *m, const NnrtTrain *t, NnrtRun *run, int64_t room, NnrtError *e);
void nnrt_meter_close(NnrtMeter *m);
void nnrt_meter_reset(NnrtMeter *m);

/* A batch begins, which comes in one run or in several. */
void nnrt_meter_step(NnrtMeter *m);
/* Takes the outputs of the run for n examples. */
void nnrt_meter_add(NnrtMeter *m, const NnrtRun *run, int64_t n);

/* Whether a metric has states, which each run gives to the next. */
bool nnrt_meter_streams(const NnrtMeter *m);
bool nnrt_meter_has(const NnrtMetric *m); /* the last batch has a value of this average */

/* The first loss of the last batch that is not finite; NULL: all are. */
const NnrtMetric *nnrt_meter_bad(const NnrtMeter *m);

/* values[n]: each metric over all examples since the reset; NaN where it has none. */
int nnrt_meter_values(NnrtMeter *m, double *values, NnrtError *e);

/* For a checkpoint in the middle of an epoch: collected arguments so far, as tensors `epoch/<name>.<k>`; returns how
 * many. The room must be n_parts of all. */
int nnrt_meter_tensors(const NnrtMeter *m, NnrtTensor *to);
int nnrt_meter_parts(const NnrtMeter *m);
/* Takes them back: count examples. */
int nnrt_meter_restore(NnrtMeter *m, const NnrtSafetensors *s, int64_t count, NnrtError *e);

#endif
