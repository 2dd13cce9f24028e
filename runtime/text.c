/* text.c - see text.h. */
#include "runtime/text.h"

#include <stdio.h>

void nnrt_text_position(const NnrtText *t, int64_t byte, int64_t *line, int64_t *column) {
  *line = 1;
  *column = 1;
  for (int64_t i = 0; i < byte; i++) {
    bool ends = t->file.data[i] == '\n';
    *line += ends;
    *column = ends ? 1 : *column + 1;
  }
}

static int refuse_byte(const NnrtText *t, const char *path, int64_t at, NnrtError *e) {
  int64_t line, column;
  nnrt_text_position(t, at, &line, &column);
  unsigned byte = t->file.data[at];
  char text[16];
  snprintf(text, sizeof text, byte > 32 && byte < 127 ? "`%c`" : "byte %u", byte);
  return nnrt_fail(e, NNRT_EDATA, "%s:%lld: column %lld: %s is not in the vocabulary", path, (long long)line,
                   (long long)column, text);
}

static int check(NnrtText *t, const char *path, const NnrtTextOptions *o, NnrtError *e) {
  int64_t size = (int64_t)t->file.size;
  if (size < t->window)
    return nnrt_fail(e, NNRT_EDATA, "%s: %lld characters, but one example takes %lld", path, (long long)size,
                     (long long)t->window);
  t->count = (size - t->window) / t->stride + 1;
  for (int i = 0; i < 256; i++) t->token[i] = -1;
  for (int64_t k = 0; k < o->tokens; k++) t->token[o->vocabulary[k]] = (int16_t)k;
  for (int64_t i = 0; i < size; i++)
    if (t->token[t->file.data[i]] < 0) return refuse_byte(t, path, i, e);
  return NNRT_OK;
}

int nnrt_text_open(NnrtText *t, const char *path, const NnrtTextOptions *o, NnrtError *e) {
  *t = (NnrtText){.window = o->window, .stride = o->stride};
  int status = nnrt_file_open(&t->file, path, e);
  if (status != NNRT_OK) return status;
  status = check(t, path, o, e);
  if (status != NNRT_OK) nnrt_text_close(t);
  return status;
}

void nnrt_text_close(NnrtText *t) {
  nnrt_file_close(&t->file);
  *t = (NnrtText){0};
}

int64_t nnrt_text_read(const NnrtText *t, int64_t first, int64_t n, NnrtDtype to_type, void *to) {
  int64_t bytes = nnrt_dtype(to_type)->bytes, done = 0;
  for (int64_t row = first; row < first + n; row++)
    for (int64_t i = 0; i < t->window; i++, done++) {
      const int16_t *token = &t->token[t->file.data[row * t->stride + i]];
      if (nnrt_convert(NNRT_I16, token, false, to_type, (char *)to + done * bytes, 1) != 1) return done;
    }
  return done;
}
