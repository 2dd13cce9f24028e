/* texts.c - see texts.h. */
#include "runtime/texts.h"
#include "runtime/tokenizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int open_text(const NnrtData *d, const char *text, int64_t room, NnrtArray *a, int64_t *length, NnrtError *e) {
  NnrtVocabulary v;
  NnrtTokens found = {0};
  nnrt_vocabulary_open(&v, d->vocabulary);
  int status = nnrt_tokenize(d->tokenizer, &v, text, strlen(text), "--input", 1, &found, e);
  *length = found.n;
  while (status == NNRT_OK && found.n < room && !found.failed) nnrt_tokens_add(&found, 0);
  int64_t n = found.n;
  if (status == NNRT_OK && n == 0) nnrt_tokens_add(&found, 0); /* no array is NULL; this one has no elements */
  if (status == NNRT_OK && found.failed) status = nnrt_fail_memory(e, 64, "a text");
  if (status != NNRT_OK) {
    free(found.at);
    return status;
  }
  *a = (NnrtArray){.dtype = NNRT_I32, .rank = 1, .shape = {n}, .count = n, .data = found.at};
  a->file = (NnrtFile){.data = (const unsigned char *)found.at, .size = 1};
  return NNRT_OK;
}

static void print_text(const NnrtData *d, NnrtDtype t, const void *tokens, int64_t n) {
  NnrtVocabulary v;
  nnrt_vocabulary_open(&v, d->vocabulary);
  for (int64_t i = 0; i < n; i++) {
    int64_t token;
    size_t length;
    bool space;
    nnrt_convert(t, (const char *)tokens + i * nnrt_dtype(t)->bytes, false, NNRT_I64, &token, 1);
    if (token < 0 || token >= v.tokens) continue;
    const char *text = nnrt_vocabulary_text(&v, token, i == 0, &length, &space);
    if (space) putchar(' ');
    fwrite(text, 1, length, stdout);
  }
}

const NnrtTexts nnrt_texts = {open_text, print_text};
