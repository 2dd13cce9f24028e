/* rt_letters.h - for tests: a vocabulary of the bytes a, b, c and the line's end, and readers by name. */
#ifndef NNC_TESTS_RT_LETTERS_H
#define NNC_TESTS_RT_LETTERS_H

#include "runtime/source.h"

#include <string.h>

/* Tokens 0 to 3, laid out as runtime/tokenizer.h says. */
static inline const void *letter_vocabulary(void) {
  static int32_t block[NNRT_VOCABULARY_WORDS + 256 + 5 + 4 + 1] = {4, 0, -1, 0, -1, -1};
  static const char letters[4] = {'a', 'b', 'c', '\n'};
  static const int32_t order[4] = {3, 0, 1, 2};
  int32_t *bytes = block + NNRT_VOCABULARY_WORDS, *start = bytes + 256;
  for (int i = 0; i < 256; i++) bytes[i] = -1;
  for (int i = 0; i < 4; i++) bytes[(unsigned char)letters[i]] = i;
  for (int i = 0; i < 5; i++) start[i] = i;
  memcpy(start + 5, order, sizeof order);
  memcpy(start + 9, letters, 4);
  return block;
}

/* Windows of three of them, two apart. */
static inline NnrtSourceOptions letter_options(void) {
  return (NnrtSourceOptions){
      .window = 3, .stride = 2, .tokenizer = &nnrt_tokenizer_bytes, .vocabulary = letter_vocabulary(), .tokens = 300};
}

static inline const NnrtReader *reader_named(const char *name) {
  static const NnrtReader *const readers[] = {
#define ROW(name) &nnrt_reader_##name,
#include "runtime/reader.def"
#undef ROW
  };
  for (size_t i = 0; i < sizeof readers / sizeof *readers; i++)
    if (strcmp(readers[i]->name, name) == 0) return readers[i];
  return NULL;
}

#endif
