/* progress.h - the line on a terminal while training, and the line an epoch that stays. All to standard error. */
#ifndef NNRT_PROGRESS_H
#define NNRT_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct NnrtProgress {
  bool quiet, terminal;
  bool drawn;                           /* a line stands that will be replaced */
  int64_t epochs, steps;                /* in all; epochs 0: trained by steps */
  double start, epoch_start, last_draw; /* seconds */
  int64_t start_step, epoch_examples;
} NnrtProgress;

typedef struct NnrtValue {
  const char *prefix, *name; /* "val_", "loss" */
  double value;
} NnrtValue;

double nnrt_seconds(void); /* monotonic */

/* On a terminal, unless CI is set or TERM is dumb. */
void nnrt_progress_start(NnrtProgress *p, bool quiet, int64_t epochs, int64_t steps, int64_t step);
void nnrt_progress_epoch(NnrtProgress *p);

/* After a step; draws at most ten times a second. `done` of `all` batches, `examples` of this epoch so far. */
void nnrt_progress_step(NnrtProgress *p, int64_t epoch, int64_t done, int64_t all, int64_t step, int64_t examples,
                        const NnrtValue *values, int n);

/* The line of a finished epoch. */
void nnrt_progress_end_epoch(NnrtProgress *p, int64_t epoch, const NnrtValue *values, int n);

/* A sentence beside the progress. */
void nnrt_progress_say(NnrtProgress *p, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
