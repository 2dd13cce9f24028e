/* entry.h - what the files of the verbs that are entries share: entry.c; entry_lengths.c, which only programs with
 * arguments that differ in length have; and entry_packs.c, for arguments of any number of dimensions. Internal. */
#ifndef NNRT_ENTRY_H
#define NNRT_ENTRY_H

#include "runtime/array.h"
#include "runtime/cli.h"
#include "runtime/data.h"

enum { NNRT_MAX_OPEN = 16 };

typedef struct NnrtEntryValue { /* an argument, or a result: all examples of it */
  const NnrtArgument *table;
  char name[80];
  int port;
  NnrtDtype dtype;
  int rank; /* of one example */
  int64_t shape[NNRT_MAX_RANK];
  int64_t width, bytes; /* elements and bytes of one example */
  int64_t n;            /* examples */
  char *data;
  const char *file; /* that gave the argument as a tensor, or NULL */
  int32_t length; /* of an argument whose length goes with it: of the one example; all of it, unless it was a text */
  int pack_rank;  /* of an argument with a pack: */
  int64_t pack_shape[NNRT_MAX_RANK]; /* what it stands for */
} NnrtEntryValue;

typedef struct NnrtEntryCall {
  NnrtCli *cli;
  NnrtError *error;
  const NnrtEntry *table;
  NnrtPool *pool;
  NnrtModel model;
  NnrtRun run;
  NnrtEntryValue *arguments, *results;
  int n_arguments, n_results, n_shown;
  int64_t n, batch; /* examples */
  int64_t open[NNRT_MAX_OPEN];
  int64_t seed, *places;
  int32_t step;
  NnrtArray folded; /* see NnrtPacks */
} NnrtEntryCall;

/* Is the next argument the length of argument k? */
static inline bool nnrt_entry_has_length(const NnrtEntryCall *x, int k) {
  return k + 1 < x->n_arguments && x->arguments[k + 1].name[0] == '$';
}

/* Arguments whose examples differ in length. */
typedef struct NnrtLengths {
  /* Adds the data set's examples to those of v. */
  int (*take)(NnrtEntryCall *x, NnrtEntryValue *v, const NnrtDataset *d);
  /* Once all arguments are there: makes them as long as each other, and fills in the lengths of those given as
   * tensors or texts. */
  int (*settle)(NnrtEntryCall *x);
  int (*file)(const NnrtEntryCall *x, int k); /* which of the files argument k is read from, where each has one */
} NnrtLengths;
extern const NnrtLengths nnrt_lengths;

/* Arguments of any number of dimensions, `f32[..S]`. The graph has one dimension for those of a pack, and a file is
 * one example. */
typedef struct NnrtPacks {
  /* Of an argument with a pack: *a becomes the array with one dimension for those that the pack stands for. */
  int (*fold)(NnrtEntryCall *x, NnrtEntryValue *v, const NnrtArray **a, const char *file);
  /* A result's shape, with the dimensions of its packs; returns its rank. */
  int (*shape)(const NnrtEntryCall *x, const NnrtEntryValue *v, int64_t shape[NNRT_MAX_RANK]);
} NnrtPacks;
extern const NnrtPacks nnrt_packs;

/* Of a `keep entry`: its states go from each call to the next, and by --session FILE from one run to another. */
typedef struct NnrtSession {
  int (*begin)(NnrtEntryCall *x, const char *path); /* takes the states that are in the file, if it is there */
  int (*end)(NnrtEntryCall *x, const char *path);   /* leaves them there, durably */
} NnrtSession;
extern const NnrtSession nnrt_session;

#endif
