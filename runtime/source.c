/* source.c - see source.h. */
#include "runtime/source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Rows become windows of rows; what is left at the end is left out. */
static int make_windows(NnrtSource *s, NnrtError *e) {
  const NnrtSourceOptions *o = &s->options;
  if (!o->window || s->reader->windows) return NNRT_OK;
  if (s->count < o->window)
    return nnrt_fail(e, NNRT_EDATA, "%s: %lld rows, but one example takes %lld", s->files[0].path,
                     (long long)s->count, (long long)o->window);
  s->count = (s->count - o->window) / o->stride + 1;
  return NNRT_OK;
}

int nnrt_source_open(NnrtSource *s, const NnrtReader *reader, const NnrtSourceFile *files, int n,
                     const NnrtSourceOptions *options, NnrtError *e) {
  *s = (NnrtSource){.reader = reader, .n = n};
  if (options) s->options = *options;
  if (n < 1 || (reader->single && n != 1)) return nnrt_fail(e, NNRT_EUSAGE, "%s data from %d files", reader->name, n);
  s->files = calloc((size_t)n, sizeof *s->files);
  if (!s->files) return nnrt_fail_memory(e, (size_t)n * sizeof *s->files, "a source");
  memcpy(s->files, files, (size_t)n * sizeof *files);
  int status = reader->open(s, e);
  if (status == NNRT_OK) status = make_windows(s, e);
  if (status != NNRT_OK) nnrt_source_close(s);
  return status;
}

void nnrt_source_close(NnrtSource *s) {
  if (s->own) s->reader->close(s);
  free(s->own);
  free(s->files);
  *s = (NnrtSource){0};
}

int nnrt_source_view(const NnrtSource *s, const NnrtColumn *c, NnrtView *v, NnrtError *e) {
  int status = s->reader->view(s, c, v, e);
  if (status == NNRT_OK && c->length) {
    v->lengths = true;
    v->rank = 0;
    return NNRT_OK;
  }
  if (status != NNRT_OK || !s->options.window || s->reader->windows) return status;
  if (v->rank == NNRT_MAX_RANK || __builtin_mul_overflow(v->width, s->options.window, &v->width))
    return nnrt_fail(e, NNRT_EDATA, "%s: an example is too large", s->files[0].path);
  for (int i = v->rank++; i > 0; i--) v->shape[i] = v->shape[i - 1];
  v->shape[0] = v->window = s->options.window;
  return NNRT_OK;
}

/* One row of a view of windows. */
static NnrtView row_of(const NnrtView *v) {
  NnrtView row = *v;
  row.width = v->width / v->window;
  return row;
}

const char *nnrt_source_place(const NnrtSource *s, const NnrtView *v, int64_t example, int64_t i, char text[256]) {
  if (v->window) {
    NnrtView row = row_of(v);
    s->reader->place(s, &row, example * s->options.stride + i / row.width, i % row.width, text);
  } else {
    s->reader->place(s, v, example, i, text);
  }
  return text;
}

int nnrt_source_refuse(const NnrtSource *s, const NnrtView *v, int64_t example, int64_t i, NnrtDtype t, double value,
                       NnrtError *e) {
  char place[256];
  s->reader->place(s, v, example, i, place);
  return nnrt_fail(e, NNRT_EDATA, "%s: %.17g is not %s %s", place, value,
                   t == NNRT_I64 || t == NNRT_I32 || t == NNRT_I16 || t == NNRT_I8 ? "an" : "a", nnrt_dtype(t)->name);
}

int nnrt_source_fill(const NnrtSource *s, const NnrtView *v, int64_t example, NnrtDtype from, const void *tokens,
                     int64_t k, NnrtDtype t, void *to, NnrtError *e) {
  int64_t done = k ? nnrt_convert(from, tokens, false, t, to, k) : 0, bytes = nnrt_dtype(t)->bytes;
  if (done < k) {
    const char *at = (const char *)tokens + done * nnrt_dtype(from)->bytes;
    return nnrt_source_refuse(s, v, example, done, t, nnrt_element(from, at, false), e);
  }
  memset((char *)to + k * bytes, 0, (size_t)((v->width - k) * bytes));
  return NNRT_OK;
}

int64_t nnrt_source_length(const NnrtSource *s, const NnrtView *v, int64_t example) {
  return v->ragged ? s->reader->length(s, v, example) : v->shape[0];
}

static int read_lengths(const NnrtSource *s, const NnrtView *v, int64_t first, int64_t n, NnrtDtype t, void *to,
                        NnrtError *e) {
  for (int64_t i = 0; i < n; i++) {
    int64_t length = nnrt_source_length(s, v, first + i);
    if (nnrt_convert(NNRT_I64, &length, false, t, (char *)to + i * nnrt_dtype(t)->bytes, 1) != 1)
      return nnrt_source_refuse(s, v, first + i, 0, t, (double)length, e);
  }
  return NNRT_OK;
}

int nnrt_source_read(const NnrtSource *s, const NnrtView *v, int64_t first, int64_t n, NnrtDtype t, void *to,
                     NnrtError *e) {
  if (v->lengths) return read_lengths(s, v, first, n, t, to, e);
  if (!v->window) return s->reader->read(s, v, first, n, t, to, e);
  NnrtView row = row_of(v);
  char *at = to;
  int status = NNRT_OK;
  for (int64_t i = first; status == NNRT_OK && i < first + n; i++, at += v->width * nnrt_dtype(t)->bytes)
    status = s->reader->read(s, &row, i * s->options.stride, v->window, t, at, e);
  return status;
}
