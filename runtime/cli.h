/* cli.h - the parsed command line of a generated program, and how a verb speaks: results on standard output, all else
 * on standard error. The only part of the runtime that prints. */
#ifndef NNRT_CLI_H
#define NNRT_CLI_H

#include "runtime/json.h"
#include "runtime/nnrt.h"
#include "runtime/data.h"
#include "runtime/safetensors.h"

typedef enum NnrtOptionId {
#define ROW(id, ...)   NNRT_OPT_##id,
#define TRAIN(id, ...) NNRT_OPT_##id,
#define GPU(id, ...)   NNRT_OPT_##id,
#include "runtime/options.def"
#undef ROW
#undef TRAIN
#undef GPU
  NNRT_OPT_COUNT
} NnrtOptionId;

typedef struct NnrtOption {
  const char *name;
  char letter;
  const char *argument, *verbs, *fallback, *help;
} NnrtOption;

/* What only the verbs that train bring into a program: options_train.c. */
typedef struct NnrtTrainCli {
  const NnrtOption *options; /* the TRAIN rows */
  /* What the source says about an option, as text; NULL: nothing. */
  const char *(*source)(const struct NnrtCli *c, int id, char text[32]);
} NnrtTrainCli;
/* options.c has weak ones without a row, for programs that bring neither: an undefined weak symbol would do, but
 * linkers disagree about what a hidden one is at run time. */
extern const NnrtTrainCli nnrt_train_cli;
extern const NnrtOption nnrt_gpu_options[]; /* the GPU rows: cuda_open.c */

/* The row of an option; one without name and verbs where the program can't train. */
const NnrtOption *nnrt_option(int id);

typedef struct NnrtGiven { /* an option as it stood on the command line */
  NnrtOptionId id;
  const char *value; /* "" for a flag and for an optional argument left out */
} NnrtGiven;

typedef struct NnrtCli NnrtCli;
struct NnrtCli {
  const NnrtProgram *program;
  const NnrtVerbRow *verb;
  char kind; /* of the verb, as in options.def */
  NnrtGiven *given;
  int n_given;
  const char **files; /* what is not an option */
  int n_files;
  bool json, quiet;
  int (*load)(NnrtCli *c, NnrtModel *m); /* instead of a checkpoint; NULL */
  NnrtLine line;                         /* for events */
  NnrtError error;
};

/* Takes `argv` (after the verb). NNRT_EUSAGE names the argument and, where an option is unknown, the closest. */
int nnrt_cli_parse(NnrtCli *c, const NnrtProgram *p, const NnrtVerbRow *verb, char kind, int argc, char **argv);
void nnrt_cli_free(NnrtCli *c);

/* An option's last value: from the command line, else from the environment (NN_SAVE_EVERY); NULL: not given. */
const char *nnrt_cli_text(const NnrtCli *c, NnrtOptionId id);
bool nnrt_cli_flag(const NnrtCli *c, NnrtOptionId id);
/* A natural number; `fallback` where it is not given. NNRT_EUSAGE where it is not one or is below `least`. */
int nnrt_cli_natural(NnrtCli *c, NnrtOptionId id, int64_t least, int64_t fallback, int64_t *value);
/* "1,8,64" -> at most `room` numbers, each at least 1. *n stays where not given. */
int nnrt_cli_list(NnrtCli *c, NnrtOptionId id, int64_t *values, int room, int *n);

/* The --data options that concern data set `index`. `main`: a PATH without a name means this one. Free the list. */
int nnrt_cli_data(NnrtCli *c, int64_t index, bool main, NnrtOverride **list, int *n);

/* The `train` block of a name. NULL after a message: there is none. */
const NnrtTrain *nnrt_cli_block(NnrtCli *c, const char *name);

/* Data and model of a verb: threads from --threads. */
int nnrt_cli_pool(NnrtCli *c, NnrtPool **pool);

/* runs/MODEL, or the given run's folder; FILE in it. Returns text. */
char *nnrt_cli_run_file(const NnrtCli *c, const char *run, const char *file, char *text, size_t room);

/* What a file of weights says of the run that made them; `read` takes it. */
typedef struct NnrtOrigin {
  void (*read)(struct NnrtOrigin *o, const NnrtSafetensors *s);
  int64_t seed;
  int64_t fold, folds; /* which it did not see, of so many; 0: none */
} NnrtOrigin;

/* The weights that eval and the entries use: --weights, else best.safetensors of --run-dir or of the latest run, else
 * its last.safetensors. `origin`: may be NULL. */
int nnrt_cli_load(NnrtCli *c, NnrtModel *m, NnrtOrigin *origin);

/* Says c->error: one line on standard error, with --json an event too. Returns the exit code. */
int nnrt_cli_fail(NnrtCli *c);

/* Prints c->line as a line of standard output at once, and empties it. */
void nnrt_cli_print_line(NnrtCli *c);

/* Flushes standard output: NNRT_EFAIL where something could not be written, without a text where its reader has left.
 */
int nnrt_cli_finish(NnrtCli *c);

/* --help of the verb. */
void nnrt_cli_help(const NnrtCli *c);

/* Checks the processor for the features that the program was compiled for. */
int nnrt_check_processor(const NnrtProgram *p, NnrtError *e);

#endif
