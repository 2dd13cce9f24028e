/* source.c - see source.h. */
#include "runtime/source.h"
#include "runtime/closest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- opening ---- */

static int open_array(NnrtArray *a, NnrtFormat format, const char *path, NnrtError *e) {
  return format == NNRT_NPY ? nnrt_npy_open(a, path, e) : nnrt_idx_open(a, path, e);
}

static int64_t examples(const NnrtArray *a) { return a->rank ? a->shape[0] : 1; }

static int open_arrays(NnrtSource *s, NnrtError *e) {
  s->arrays = calloc((size_t)s->n, sizeof *s->arrays);
  if (!s->arrays) return nnrt_fail_memory(e, (size_t)s->n * sizeof *s->arrays, "a source");
  for (int i = 0; i < s->n; i++) {
    int status = open_array(&s->arrays[i], s->format, s->files[i].path, e);
    if (status != NNRT_OK) return status;
    if (i == 0) s->count = examples(&s->arrays[0]);
    if (examples(&s->arrays[i]) != s->count)
      return nnrt_fail(e, NNRT_EDATA, "%s: %lld examples, but %s has %lld", s->files[i].path,
                       (long long)examples(&s->arrays[i]), s->files[0].path, (long long)s->count);
  }
  return NNRT_OK;
}

/* The place in NnrtFormat of its name; NNRT_FORMAT_COUNT: none. */
static NnrtFormat format_named(const char *name) {
  static const char *const names[] = {"csv", "text", "npy", "idx"};
  int f = 0;
  while (f < NNRT_FORMAT_COUNT && strcmp(names[f], name) != 0) f++;
  return (NnrtFormat)f;
}

static int open_files(NnrtSource *s, const NnrtTextOptions *text, NnrtError *e) {
  int status;
  if (s->format == NNRT_CSV) {
    status = nnrt_csv_open(&s->csv, s->files[0].path, e);
    s->count = s->csv.rows;
  } else if (s->format == NNRT_TEXT) {
    status = nnrt_text_open(&s->text, s->files[0].path, text, e);
    s->count = s->text.count;
  } else {
    status = open_arrays(s, e);
  }
  return status;
}

int nnrt_source_open(NnrtSource *s, const char *format, const NnrtSourceFile *files, int n,
                     const NnrtTextOptions *text, NnrtError *e) {
  *s = (NnrtSource){.format = format_named(format)};
  if (s->format == NNRT_FORMAT_COUNT)
    return nnrt_fail(e, NNRT_EINVAL, "sources of format \"%s\" are not known", format);
  bool single = s->format == NNRT_CSV || s->format == NNRT_TEXT;
  if (n < 1 || (single && n != 1)) return nnrt_fail(e, NNRT_EUSAGE, "%s data from %d files", format, n);
  s->files = calloc((size_t)n, sizeof *s->files);
  if (!s->files) return nnrt_fail_memory(e, (size_t)n * sizeof *s->files, "a source");
  memcpy(s->files, files, (size_t)n * sizeof *files);
  s->n = n;
  int status = open_files(s, text, e);
  if (status != NNRT_OK) nnrt_source_close(s);
  return status;
}

void nnrt_source_close(NnrtSource *s) {
  for (int i = 0; s->arrays && i < s->n; i++) nnrt_array_close(&s->arrays[i]);
  nnrt_csv_close(&s->csv);
  nnrt_text_close(&s->text);
  free(s->arrays);
  free(s->files);
  *s = (NnrtSource){0};
}

/* ---- views ---- */

static int view_csv(const NnrtSource *s, int64_t from, int64_t to, const char *name, bool single, NnrtView *v,
                    NnrtError *e) {
  const char *path = s->files[0].path;
  if (from < 0) {
    from = nnrt_csv_column(&s->csv, name);
    to = from + 1;
  }
  if (from < 0) {
    NnrtClosest c = {0};
    char hint[96];
    if (!s->csv.names)
      return nnrt_fail(e, NNRT_EDATA, "%s:1: column \"%s\" is asked for, but the file has no header", path, name);
    for (int k = 0; k < s->csv.columns; k++) nnrt_closest_try(&c, name, s->csv.names[k]);
    return nnrt_fail(e, NNRT_EDATA, "%s:1: there is no column \"%s\"%s", path, name,
                     nnrt_closest_text(&c, name, hint));
  }
  if (to > s->csv.columns)
    return nnrt_fail(e, NNRT_EDATA, "%s:1: column %lld is asked for, but the file has %d (numbered from 0)", path,
                     (long long)to - 1, s->csv.columns);
  *v = (NnrtView){.first = (int)from, .width = (int)(to - from), .rank = single ? 0 : 1, .shape = {to - from}};
  return NNRT_OK;
}

static int view_array(const NnrtSource *s, int64_t from, const char *name, NnrtView *v, NnrtError *e) {
  int k = 0;
  NnrtClosest c = {0};
  if (from >= 0) k = from < s->n ? (int)from : s->n;
  for (; from < 0 && k < s->n && s->files[k].column && strcmp(s->files[k].column, name) != 0; k++)
    nnrt_closest_try(&c, name, s->files[k].column);
  if (k == s->n) {
    char hint[96];
    if (from >= 0) return nnrt_fail(e, NNRT_EDATA, "%s: there is no array %lld", s->files[0].path, (long long)from);
    return nnrt_fail(e, NNRT_EDATA, "%s: there is no array \"%s\"%s", s->files[0].path, name,
                     nnrt_closest_text(&c, name, hint));
  }
  const NnrtArray *a = &s->arrays[k];
  *v = (NnrtView){.first = k, .rank = a->rank ? a->rank - 1 : 0};
  int64_t width = 1;
  for (int i = 0; i < v->rank; i++) v->shape[i] = a->shape[i + 1];
  if (!nnrt_shape_count(v->shape, v->rank, &width) || width > INT32_MAX)
    return nnrt_fail(e, NNRT_EDATA, "%s: more than 2^31 numbers in an example", s->files[k].path);
  v->width = (int)width;
  return NNRT_OK;
}

int nnrt_source_view(const NnrtSource *s, int64_t from, int64_t to, const char *name, bool single, NnrtView *v,
                     NnrtError *e) {
  if (s->format == NNRT_CSV) return view_csv(s, from, to, name, single, v, e);
  if (s->format != NNRT_TEXT) return view_array(s, from, name, v, e);
  *v = (NnrtView){.width = (int)s->text.window, .rank = 1, .shape = {s->text.window}};
  return NNRT_OK;
}

/* ---- reading ---- */

const char *nnrt_source_place(const NnrtSource *s, const NnrtView *v, int64_t example, int64_t i, char text[256]) {
  if (s->format == NNRT_TEXT) {
    int64_t at, column;
    nnrt_text_position(&s->text, example * s->text.stride + i, &at, &column);
    snprintf(text, 256, "%.200s:%lld: column %lld", s->files[0].path, (long long)at, (long long)column);
    return text;
  }
  if (s->arrays) {
    snprintf(text, 256, "%.200s: row %lld", s->files[v->first].path, (long long)example);
    return text;
  }
  int column = v->first + (int)i;
  long long line = (long long)nnrt_csv_line(&s->csv, example);
  if (s->csv.names)
    snprintf(text, 256, "%.150s:%lld: column \"%.60s\"", s->files[0].path, line, s->csv.names[column]);
  else snprintf(text, 256, "%.150s:%lld: column %d", s->files[0].path, line, column);
  return text;
}

static int refuse(const NnrtSource *s, const NnrtView *v, int64_t example, int64_t i, NnrtDtype t, double value,
                  NnrtError *e) {
  char place[256];
  return nnrt_fail(e, NNRT_EDATA, "%s: %.17g is not %s %s", nnrt_source_place(s, v, example, i, place), value,
                   t == NNRT_I64 || t == NNRT_I32 || t == NNRT_I16 || t == NNRT_I8 ? "an" : "a", nnrt_dtype(t)->name);
}

static int read_csv(const NnrtSource *s, const NnrtView *v, int64_t first, int64_t n, NnrtDtype t, void *to,
                    NnrtError *e) {
  char *at = to;
  for (int64_t row = first; row < first + n; row++) {
    const double *from = s->csv.values + row * s->csv.columns + v->first;
    int64_t done = nnrt_convert(NNRT_F64, from, false, t, at, v->width);
    if (done < v->width) return refuse(s, v, row, done, t, from[done], e);
    at += (int64_t)v->width * nnrt_dtype(t)->bytes;
  }
  return NNRT_OK;
}

int nnrt_source_read(const NnrtSource *s, const NnrtView *v, int64_t first, int64_t n, NnrtDtype t, void *to,
                     NnrtError *e) {
  if (s->format == NNRT_CSV) return read_csv(s, v, first, n, t, to, e);
  const NnrtArray *a = s->arrays ? &s->arrays[v->first] : NULL;
  int64_t done =
      a ? nnrt_array_read(a, first * v->width, n * v->width, t, to) : nnrt_text_read(&s->text, first, n, t, to);
  if (done == n * v->width) return NNRT_OK;
  double value;
  int64_t row = first + done / v->width, i = done % v->width;
  if (a) nnrt_array_read(a, row * v->width + i, 1, NNRT_F64, &value);
  else value = s->text.token[s->text.file.data[row * s->text.stride + i]];
  return refuse(s, v, row, i, t, value, e);
}
