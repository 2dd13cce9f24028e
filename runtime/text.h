/* text.h - a text as windows of tokens: a token is a byte's place in a vocabulary, an example is `window` tokens that
 * follow each other, and the next example begins `stride` bytes later. Bytes after the last whole window are left
 * out. Every byte is looked up when the file is opened, so reading cannot fail. */
#ifndef NNRT_TEXT_H
#define NNRT_TEXT_H

#include "runtime/dtype.h"
#include "runtime/file.h"

typedef struct NnrtTextOptions {
  int64_t window, stride;          /* at least 1 */
  const unsigned char *vocabulary; /* the byte that each token stands for, each once */
  int64_t tokens;                  /* at most 256 */
} NnrtTextOptions;

typedef struct NnrtText {
  NnrtFile file;
  int64_t window, stride, count; /* count: windows */
  int16_t token[256];            /* of a byte; -1: none */
} NnrtText;

/* NNRT_EDATA with "PATH: ..." or "PATH:LINE: ...": not even one window, or a byte that is no token. After a failure
 * there is nothing to close. */
int nnrt_text_open(NnrtText *t, const char *path, const NnrtTextOptions *o, NnrtError *e);
void nnrt_text_close(NnrtText *t);

/* Windows first .. first+n-1 as integers of type `to_type`. Returns how many tokens were converted: all, or up to
 * the one that to_type cannot hold. */
int64_t nnrt_text_read(const NnrtText *t, int64_t first, int64_t n, NnrtDtype to_type, void *to);

/* The line (from 1) and the column (bytes, from 1) of a byte. */
void nnrt_text_position(const NnrtText *t, int64_t byte, int64_t *line, int64_t *column);

#endif
