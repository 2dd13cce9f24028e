/* source.h - a data set's files as columns of examples, whatever their format: csv (columns by number, range or
 * header name), npy and idx (one array a file, its first dimension counting the examples; a scalar array is one
 * example), text (windows of tokens). Opening checks the files; reading converts to the wanted type and refuses what
 * would lose meaning, by file and line. */
#ifndef NNRT_SOURCE_H
#define NNRT_SOURCE_H

#include "runtime/array.h"
#include "runtime/csv.h"
#include "runtime/text.h"

typedef struct NnrtSourceFile {
  const char *column; /* NULL: the only one, under any name */
  const char *path;
} NnrtSourceFile;

typedef enum NnrtFormat { NNRT_CSV, NNRT_TEXT, NNRT_NPY, NNRT_IDX, NNRT_FORMAT_COUNT } NnrtFormat;

typedef struct NnrtSource {
  NnrtFormat format;
  NnrtSourceFile *files; /* one for csv and text */
  NnrtArray *arrays;     /* npy and idx: one a file */
  int n;
  NnrtCsv csv;
  NnrtText text;
  int64_t count; /* examples */
} NnrtSource;

/* Some of a source's numbers: adjacent columns of a csv, one array, or a text's window. */
typedef struct NnrtView {
  int first, width; /* csv: columns first .. first+width-1; else: array `first`, width its elements an example */
  int rank;         /* of one example */
  int64_t shape[NNRT_MAX_RANK];
} NnrtView;

/* Formats: "csv", "text", "npy", "idx". Texts of `files` are kept, not copied. csv and text take one file; `text` is
 * for that format alone. NNRT_EDATA: a file is missing, damaged, or has another number of examples than the first.
 * After a failure there is nothing to close. */
int nnrt_source_open(NnrtSource *s, const char *format, const NnrtSourceFile *files, int n,
                     const NnrtTextOptions *text, NnrtError *e);
void nnrt_source_close(NnrtSource *s);

/* By name (from < 0), else columns from .. to-1. `single`: a scalar an example, not a row of one. A text has one
 * view, its window. */
int nnrt_source_view(const NnrtSource *s, int64_t from, int64_t to, const char *name, bool single, NnrtView *v,
                     NnrtError *e);

/* Examples first .. first+n-1 of the view as `t`, row-major. NNRT_EDATA names file, line or row, and column. */
int nnrt_source_read(const NnrtSource *s, const NnrtView *v, int64_t first, int64_t n, NnrtDtype t, void *to,
                     NnrtError *e);

/* Where element `i` of an example stands, for messages: `train.csv:17: column "y"`, `train-y.npy: row 16`,
 * `train.txt:3: column 9`. */
const char *nnrt_source_place(const NnrtSource *s, const NnrtView *v, int64_t example, int64_t i, char text[256]);

#endif
