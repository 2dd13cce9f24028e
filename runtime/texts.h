/* texts.h - arguments and results of entries that are texts: their tokens are those of a data set's vocabulary. A
 * program without such entries has none of this. */
#ifndef NNRT_TEXTS_H
#define NNRT_TEXTS_H

#include "runtime/array.h"
#include "runtime/nnrt.h"

typedef struct NnrtTexts {
  /* The tokens of a text as an array [*n] of i32, to be closed; with `room` >= 0 an array [room], the rest 0, if
   * there is room. NNRT_EDATA: it does not consist of them. */
  int (*open)(const NnrtData *d, const char *text, int64_t room, NnrtArray *a, int64_t *n, NnrtError *e);
  /* Writes n tokens as text to standard output. */
  void (*print)(const NnrtData *d, NnrtDtype t, const void *tokens, int64_t n);
} NnrtTexts;

extern const NnrtTexts nnrt_texts;

#endif
