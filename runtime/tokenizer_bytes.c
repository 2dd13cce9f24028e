/* tokenizer_bytes.c - a token is a byte; see tokenizer.h. */
#include "runtime/tokenizer.h"

static const char *take(const NnrtVocabulary *v, const char *at, const char *end, NnrtTokens *to) {
  (void)end;
  int32_t token = v->bytes[(unsigned char)*at];
  if (token < 0) return at;
  nnrt_tokens_add(to, token);
  return at + 1;
}

const NnrtTokenizer nnrt_tokenizer_bytes = {take};
