/* csv.h - a table of numbers in text: RFC 4180 (quotes, CRLF), fields separated by commas, a first row that is not
 * all numbers taken as the columns' names. The whole file is read and checked when it is opened: every row has the
 * same number of fields, every field is a finite number. A message names file, line and column. */
#ifndef NNRT_CSV_H
#define NNRT_CSV_H

#include "runtime/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct NnrtCsv {
  int64_t rows;
  int columns;
  double *values;  /* [rows][columns]; correctly rounded */
  char **names;    /* NULL without a header row */
  char *text;      /* the names */
  int64_t *breaks; /* pairs (row, line): from this row on, lines run from this line */
  int n_breaks;
} NnrtCsv;

typedef struct NnrtCell { /* of a column of texts: as it stands in the file, inside its quotes */
  const char *text;
  size_t n;
  bool doubled; /* "" stands for one quote */
  int64_t line;
} NnrtCell;

/* Columns that are not just numbers: texts, and numbers that a row may lack, its cells being empty, or not there with
 * all that follow. In the table their values are 0. */
typedef struct NnrtCsvCells {
  void *cx;
  bool named; /* one of them by a name: the first row is a header, whatever stands in it */
  bool (*has)(void *cx, const NnrtCsv *c, int column); /* by its number, and its name once it is known */
  bool (*may_hold)(void *cx, const NnrtCsv *c, int column, bool empty); /* what is no number, below a header */
  bool (*may_lack)(void *cx, NnrtCsv *c, int n); /* may a row have n fields? Where the first had less, c grows */
  int (*take)(void *cx, const NnrtCsv *c, int column, const NnrtCell *cell, NnrtError *e); /* row by row */
} NnrtCsvCells;

/* cells: NULL, all are numbers. NNRT_EDATA with "PATH:LINE: what is wrong"; after a failure nothing is to be freed.
 * Needs 8 bytes a number, and the file mapped. A blank line is skipped. An empty file, and one of a header alone, are
 * refused. */
int nnrt_csv_open(NnrtCsv *c, const char *path, const NnrtCsvCells *cells, NnrtError *e);
void nnrt_csv_close(NnrtCsv *c);

int64_t nnrt_csv_line(const NnrtCsv *c, int64_t row);
int nnrt_csv_column(const NnrtCsv *c, const char *name); /* -1: none */

/* Parses a decimal number (no spaces, no hexadecimal, no inf or nan), correctly rounded. Returns whether [text,
 * text+n) is one; an overflow is not. */
bool nnrt_number(const char *text, size_t n, double *v);

#endif
