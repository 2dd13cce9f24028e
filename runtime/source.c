/* source.c - see source.h. */
#include "runtime/source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int nnrt_source_open(NnrtSource *s, const NnrtReader *reader, const NnrtSourceFile *files, int n,
                     const NnrtSourceOptions *options, NnrtError *e) {
  *s = (NnrtSource){.reader = reader, .n = n};
  if (options) s->options = *options;
  if (n < 1 || (reader->single && n != 1)) return nnrt_fail(e, NNRT_EUSAGE, "%s data from %d files", reader->name, n);
  s->files = calloc((size_t)n, sizeof *s->files);
  if (!s->files) return nnrt_fail_memory(e, (size_t)n * sizeof *s->files, "a source");
  memcpy(s->files, files, (size_t)n * sizeof *files);
  int status = reader->open(s, e);
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
  return s->reader->view(s, c, v, e);
}

const char *nnrt_source_place(const NnrtSource *s, const NnrtView *v, int64_t example, int64_t i, char text[256]) {
  s->reader->place(s, v, example, i, text);
  return text;
}

int nnrt_source_refuse(const NnrtSource *s, const NnrtView *v, int64_t example, int64_t i, NnrtDtype t, double value,
                       NnrtError *e) {
  char place[256];
  return nnrt_fail(e, NNRT_EDATA, "%s: %.17g is not %s %s", nnrt_source_place(s, v, example, i, place), value,
                   t == NNRT_I64 || t == NNRT_I32 || t == NNRT_I16 || t == NNRT_I8 ? "an" : "a", nnrt_dtype(t)->name);
}

int nnrt_source_read(const NnrtSource *s, const NnrtView *v, int64_t first, int64_t n, NnrtDtype t, void *to,
                     NnrtError *e) {
  return s->reader->read(s, v, first, n, t, to, e);
}
