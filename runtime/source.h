/* source.h - a data set's files as columns of examples, whatever their format: one of the readers of reader.def, of
 * which a program has those that its data name. Opening checks the files; reading converts to the wanted type and
 * refuses what would lose meaning, by file and line. */
#ifndef NNRT_SOURCE_H
#define NNRT_SOURCE_H

#include "runtime/nnrt.h"
#include "runtime/tokenizer.h"

typedef struct NnrtReader NnrtReader;

typedef struct NnrtSourceFile {
  const char *column; /* NULL: the only one, under any name */
  const char *path;
} NnrtSourceFile;

typedef struct NnrtSourceOptions {
  int64_t window, stride; /* an example is so many rows (tokens), the next begins so many later; 0: a row each, of a
                             text a line */
  const NnrtTokenizer *tokenizer; /* NULL: none */
  const void *vocabulary;
  int64_t tokens;          /* there are */
  const char *first;       /* a column that is read; NULL: not known */
  const NnrtField *fields; /* of the data */
  int64_t n_fields;
} NnrtSourceOptions;

/* Some of a source's numbers: adjacent columns of a csv, one array, or a text's tokens. */
typedef struct NnrtView {
  int first;     /* the reader's own: a column, an array */
  int64_t width; /* elements of an example; of examples that differ in length, of the longest */
  int rank;      /* of one example */
  int64_t shape[NNRT_MAX_RANK];
  int64_t window; /* rows of an example, its first dimension; 0: it is one row */
  bool lengths;   /* not the elements, but how many there are */
  bool resized;   /* pictures, which are made of this size */
  bool ragged;    /* examples differ in length, the one dimension; the rest of a shorter one is 0 */
} NnrtView;

typedef struct NnrtSource {
  const NnrtReader *reader;
  NnrtSourceFile *files;
  int n;
  int64_t count; /* examples */
  NnrtSourceOptions options;
  void *own; /* the reader's; NULL: nothing is open */
} NnrtSource;

struct NnrtReader {
  const char *name;
  bool single;  /* one file */
  bool windows; /* makes windows itself */
  /* Sets s->own, which `close` frees, after a failure too, and s->count. */
  int (*open)(NnrtSource *s, NnrtError *e);
  void (*close)(NnrtSource *s);
  int (*view)(const NnrtSource *s, const NnrtColumn *c, NnrtView *v, NnrtError *e);
  int (*read)(const NnrtSource *s, const NnrtView *v, int64_t first, int64_t n, NnrtDtype t, void *to, NnrtError *e);
  void (*place)(const NnrtSource *s, const NnrtView *v, int64_t example, int64_t i, char text[256]);
  int64_t (*length)(const NnrtSource *s, const NnrtView *v, int64_t example); /* NULL: no view is ragged */
};

#define ROW(name) extern const NnrtReader nnrt_reader_##name;
#include "runtime/reader.def"
#undef ROW

/* Texts of `files` are kept, not copied. NNRT_EDATA: a file is missing, damaged, or has another number of examples
 * than the first. After a failure there is nothing to close. */
int nnrt_source_open(NnrtSource *s, const NnrtReader *reader, const NnrtSourceFile *files, int n,
                     const NnrtSourceOptions *options, NnrtError *e);
void nnrt_source_close(NnrtSource *s);

/* What the column of the program's table is in these files. */
int nnrt_source_view(const NnrtSource *s, const NnrtColumn *c, NnrtView *v, NnrtError *e);

/* Examples first .. first+n-1 of the view as `t`, row-major. NNRT_EDATA names file, line or row, and column. */
int nnrt_source_read(const NnrtSource *s, const NnrtView *v, int64_t first, int64_t n, NnrtDtype t, void *to,
                     NnrtError *e);

/* How many elements of the first dimension an example has. */
int64_t nnrt_source_length(const NnrtSource *s, const NnrtView *v, int64_t example);

/* Where element `i` of an example stands, for messages: `train.csv:17: column "y"`, `train-y.npy: row 16`,
 * `train.txt:3: column 9`. */
const char *nnrt_source_place(const NnrtSource *s, const NnrtView *v, int64_t example, int64_t i, char text[256]);

/* For readers: example `example` of a ragged view as k tokens of type `from`, the rest of its room 0. */
int nnrt_source_fill(const NnrtSource *s, const NnrtView *v, int64_t example, NnrtDtype from, const void *tokens,
                     int64_t k, NnrtDtype t, void *to, NnrtError *e);

/* For readers: the message that `value` of the element is not of type t. */
int nnrt_source_refuse(const NnrtSource *s, const NnrtView *v, int64_t example, int64_t i, NnrtDtype t, double value,
                       NnrtError *e);

#endif
