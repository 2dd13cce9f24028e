/* training.h - what the files of the verb `train` share: train.c (set-up, the loop), train_state.c (checkpoints,
 * resume), train_log.c (events, logs, progress), folds.c (cross-validation). Internal. */
#ifndef NNRT_TRAINING_H
#define NNRT_TRAINING_H

#include "runtime/checkpoint.h"
#include "runtime/cli.h"
#include "runtime/evaluate.h"
#include "runtime/pieces.h"
#include "runtime/progress.h"
#include "runtime/rundir.h"

typedef enum NnrtSaveUnit { NNRT_SAVE_SECONDS, NNRT_SAVE_STEPS, NNRT_SAVE_EPOCHS } NnrtSaveUnit;

typedef struct NnrtSeen { /* a step of the feed's graph, and what it was */
  int64_t n, step, position;
} NnrtSeen;
enum { NNRT_MOST_LATE = 2 };

typedef struct NnrtTraining {
  NnrtCli *cli;
  NnrtError *error; /* the cli's */
  const NnrtTrain *table;
  NnrtPool *pool;
  NnrtModel model;              /* from the block before, where there was one */
  bool goes_on;                 /* there was */
  int64_t run_seed;             /* of the run that was resumed before; -1: none was */
  const NnrtTrain *first_block; /* of those that are run one after the other */
  int64_t fold;                 /* from 1; 0: the block has none */
  const char *folder;           /* of all its folds */
  int n_sets;                   /* data sets, of which the first has */
  int64_t n, n_validation;      /* so many examples for training and for validation */
  NnrtStream *streams;          /* of each */
  NnrtShare *sets, *validation; /* of each: the data, and what validates */
  int64_t *taken;               /* the places of a batch, of each */
  const int64_t **places;       /* where in `taken` the piece at hand begins, of each */
  NnrtFeed feed;                /* of graph step, or of grads where batches are taken in pieces */
  NnrtPieces pieces;
  NnrtMeter meter;
  NnrtEvaluation evaluation;

  /* Settings: the command line's, else the source's. */
  int64_t epochs, steps, batch, seed; /* steps: in all */
  bool by_steps, shuffle;
  NnrtSaveUnit save_unit;
  double save_every;

  /* Where the training stands: all that a checkpoint must hold beside the variables. */
  int64_t step, epoch, position; /* done: steps, epochs, examples of the current epoch */
  int late, n_under_way;         /* steps whose outputs are read later than the next one begins; of these, how many */
  NnrtSeen under_way[NNRT_MOST_LATE + 1];
  NnrtSeen seen;   /* the last step whose outputs were read */
  double best;     /* value of the watched metric; NAN: none yet */
  int64_t stalled; /* epochs since */

  int watched;     /* metric that decides what is best, an index into `values`; -1: none */
  bool watched_up; /* larger is better */
  bool stop;       /* `stop when` holds */
  double *values;  /* training metrics, then validation metrics, of the last finished epoch */
  bool have_values;
  int64_t best_step, best_epoch;
  void *best_block; /* a copy of the model's memory at the best epoch, waiting to be written; NULL: none kept */
  bool best_waits;
  double last_save; /* seconds */
  int64_t last_save_step, last_save_epoch;

  NnrtRunDir run;
  NnrtProgress progress;
} NnrtTraining;

/* ---- train.c ---- */

/* Trains the block, or its fold; `resumed`: goes on from this checkpoint of t->run. */
int nnrt_training_run(NnrtTraining *t, NnrtSafetensors *resumed);
/* Closes all but the model and what it runs on, and leaves t as it is before a block. */
void nnrt_training_renew(NnrtTraining *t, const NnrtTrain *block);

/* ---- folds.c ---- */

/* Trains each fold of the block; `run`: goes on with this one, which is taken. */
int nnrt_training_folds(NnrtTraining *t, NnrtRunDir *run);
/* The folder of a fold. */
char *nnrt_fold_path(const char *folder, int64_t fold, char *text, size_t room);

/* ---- train_state.c ---- */

/* Writes best.safetensors where a better one waits, then last.safetensors, and reports the save. */
int nnrt_training_save(NnrtTraining *t);
/* Is a checkpoint due after this step? */
bool nnrt_training_save_is_due(const NnrtTraining *t, bool epoch_ended);
int nnrt_training_parse_save_every(NnrtTraining *t);
/* Reads last.safetensors of the run: the seed first, then, when the data are there, all the rest. */
int nnrt_training_resume_seed(NnrtTraining *t, NnrtSafetensors *s);
int nnrt_training_resume(NnrtTraining *t, const NnrtSafetensors *s);
/* Remembers the model as the best so far. */
int nnrt_training_keep_best(NnrtTraining *t);

/* ---- train_log.c ---- */

int nnrt_training_log_args(NnrtTraining *t);
int nnrt_training_log_step(NnrtTraining *t);
/* t->values: to the logs, to the progress, with --json to standard output. */
int nnrt_training_log_epoch(NnrtTraining *t);
void nnrt_training_log_save(NnrtTraining *t, const char *path);
/* report.json in the run's folder; and, but for a fold, the result on standard output. */
int nnrt_training_log_result(NnrtTraining *t);

/* The metrics of `values` by index: prefix "val_" from the validation on. */
int nnrt_training_metrics(const NnrtTraining *t);
const char *nnrt_training_metric_prefix(const NnrtTraining *t, int i);
const NnrtMetric *nnrt_training_metric(const NnrtTraining *t, int i);

#endif
