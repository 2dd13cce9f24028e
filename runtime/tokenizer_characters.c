/* tokenizer_characters.c - a token is a character of Unicode; see tokenizer.h. */
#include "runtime/tokenizer.h"
#include "runtime/utf8.h"

static const char *take(const NnrtVocabulary *v, const char *at, const char *end, NnrtTokens *to) {
  size_t n = nnrt_utf8_length(at, end);
  if (n == 0) return at;
  int32_t token = n == 1 ? v->bytes[(unsigned char)*at] : nnrt_vocabulary_find(v, false, at, n);
  if (token < 0) token = v->unknown;
  if (token < 0) return at;
  nnrt_tokens_add(to, token);
  return at + n;
}

const NnrtTokenizer nnrt_tokenizer_characters = {take};
