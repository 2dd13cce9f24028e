/* data.h - a data set in memory: its source read, its fields computed by the program's own code, every value checked.
 * All that can be wrong with the data is found here, before the first step. */
#ifndef NNRT_DATA_H
#define NNRT_DATA_H

#include "runtime/run.h"
#include "runtime/source.h"

typedef struct NnrtDataset {
  const NnrtData *table;
  int64_t index;   /* in the program */
  int64_t count;   /* examples */
  char **fields;   /* of table->fields: [count, shape...], aligned to 64; NULL: not read */
  int64_t *bytes;  /* of one example of each, as it is given out */
  NnrtDtype *kept; /* in what type fields[] are: bounded integers in the smallest; NULL: all as they are given out */
} NnrtDataset;

/* Another file than the source states: for `column` (NULL: for the only file, or the first). */
typedef struct NnrtOverride {
  const char *column, *path;
} NnrtOverride;

/* Reads the fields of data set `index`; `only` >= 0: that field alone. NNRT_EDATA names file and line or row; a data
 * set without examples is refused. After a failure there is nothing to close. */
int nnrt_data_open(NnrtDataset *d, NnrtModel *m, int64_t index, const NnrtOverride *overrides, int n_overrides,
                   int only, NnrtError *e);
void nnrt_data_close(NnrtDataset *d);

/* Runs the data set's `stats` graph over the examples listed: the statistics are stored in the model. */
int nnrt_data_statistics(const NnrtDataset *d, NnrtModel *m, const int64_t *places, int64_t n, NnrtError *e);

/* How long the longest of the examples is, at least 1, where examples have lengths of their own, in all fields with
 * the same one; else -1. */
int64_t nnrt_data_longest(const NnrtDataset *d, int field, const int64_t *places, int64_t n);
/* How many elements are in one of the first dimension. */
int64_t nnrt_data_inner(int64_t rank, const int64_t *shape);
int64_t nnrt_data_elements(const NnrtDataset *d, int field, int64_t rows); /* of a field, in so many */
/* Copies rows `places` of a field (NULL: the first n) into `to`; `width` >= 0: so many elements of each, or
 * with zeros behind it. */
void nnrt_data_gather(const NnrtDataset *d, int field, const int64_t *places, int64_t n, int64_t width, void *to);

/* Which field an input port named "data.field" reads, whatever the data set's name there: test data stand in for
 * training data by their fields' names. -1: it has no such field. */
int nnrt_data_field(const NnrtDataset *d, const char *port);

#endif
