/* reader_csv.c - tables in text as a source: columns by number, range or header name. */
#include "runtime/csv.h"
#include "runtime/closest.h"
#include "runtime/source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int open_csv(NnrtSource *s, NnrtError *e) {
  NnrtCsv *c = s->own = calloc(1, sizeof *c);
  if (!c) return nnrt_fail_memory(e, sizeof *c, "a source");
  int status = nnrt_csv_open(c, s->files[0].path, NULL, e);
  s->count = c->rows;
  return status;
}

static void close_csv(NnrtSource *s) { nnrt_csv_close(s->own); }

static int no_column(const NnrtSource *s, const char *name, NnrtError *e) {
  const NnrtCsv *c = s->own;
  NnrtClosest near = {0};
  char hint[96];
  if (!c->names)
    return nnrt_fail(e, NNRT_EDATA, "%s:1: column \"%s\" is asked for, but the file has no header", s->files[0].path,
                     name);
  for (int k = 0; k < c->columns; k++) nnrt_closest_try(&near, name, c->names[k]);
  return nnrt_fail(e, NNRT_EDATA, "%s:1: there is no column \"%s\"%s", s->files[0].path, name,
                   nnrt_closest_text(&near, name, hint));
}

static int view_csv(const NnrtSource *s, const NnrtColumn *c, NnrtView *v, NnrtError *e) {
  const NnrtCsv *csv = s->own;
  int64_t from = c->from, to = c->to;
  if (from < 0) {
    from = nnrt_csv_column(csv, c->name);
    to = from + 1;
  }
  if (from < 0) return no_column(s, c->name, e);
  for (int64_t k = to; c->from < 0 && k < csv->columns; k++)
    if (strcmp(csv->names[k], c->name) == 0)
      return nnrt_fail(e, NNRT_EDATA, "%s:1: two columns are called \"%s\"", s->files[0].path, c->name);
  if (to > csv->columns)
    return nnrt_fail(e, NNRT_EDATA, "%s:1: column %lld is asked for, but the file has %d (numbered from 0)",
                     s->files[0].path, (long long)to - 1, csv->columns);
  *v = (NnrtView){.first = (int)from, .width = to - from, .rank = c->single ? 0 : 1, .shape = {to - from}};
  return NNRT_OK;
}

static void place_csv(const NnrtSource *s, const NnrtView *v, int64_t example, int64_t i, char text[256]) {
  const NnrtCsv *c = s->own;
  int column = v->first + (int)i;
  long long line = (long long)nnrt_csv_line(c, example);
  if (c->names) snprintf(text, 256, "%.150s:%lld: column \"%.60s\"", s->files[0].path, line, c->names[column]);
  else snprintf(text, 256, "%.150s:%lld: column %d", s->files[0].path, line, column);
}

static int read_csv(const NnrtSource *s, const NnrtView *v, int64_t first, int64_t n, NnrtDtype t, void *to,
                    NnrtError *e) {
  const NnrtCsv *c = s->own;
  char *at = to;
  for (int64_t row = first; row < first + n; row++) {
    const double *from = c->values + row * c->columns + v->first;
    int64_t done = nnrt_convert(NNRT_F64, from, false, t, at, v->width);
    if (done < v->width) return nnrt_source_refuse(s, v, row, done, t, from[done], e);
    at += v->width * nnrt_dtype(t)->bytes;
  }
  return NNRT_OK;
}

const NnrtReader nnrt_reader_csv = {.name = "csv",
                                    .single = true,
                                    .open = open_csv,
                                    .close = close_csv,
                                    .view = view_csv,
                                    .read = read_csv,
                                    .place = place_csv};
