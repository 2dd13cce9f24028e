/* tokenizer.h - texts as tokens, numbers below the vocabulary's size, and back.
 *
 * nnc reads the vocabulary's files when it compiles a program, and writes what is here as one block of bytes into it:
 * a header of NNRT_VOCABULARY_WORDS 32-bit integers, then integer tables, then the tokens' texts. The block is the
 * compiler's own, so nothing of it is checked again. How a text is cut is one of the tokenizers of tokenizer.def; a
 * program has the one that it names. */
#ifndef NNRT_TOKENIZER_H
#define NNRT_TOKENIZER_H

#include "runtime/dtype.h"
#include "runtime/error.h"

enum { NNRT_VOCABULARY_WORDS = 8 };

typedef enum NnrtVocabularyFlags {
  NNRT_VOCABULARY_LOWER = 1,      /* capitals and marks do not count */
  NNRT_VOCABULARY_WORDS_APART = 2 /* tokens are words, or with "##" what goes on with one */
} NnrtVocabularyFlags;

/* A token that a text is searched for before it is cut, as "<|endoftext|>". */
typedef enum NnrtSpecialFlags {
  NNRT_SPECIAL_LEFT = 1, /* spaces before it are its own, */
  NNRT_SPECIAL_RIGHT = 2 /* those after it */
} NnrtSpecialFlags;

typedef struct NnrtVocabulary {
  int32_t tokens, merges, unknown, flags; /* unknown: the token of what has none; -1 */
  int32_t begin, end, specials;           /* tokens before and after each text; -1 */
  const int32_t *bytes;                   /* [256] the token that is this byte alone; -1 */
  const int32_t *start;                   /* [tokens + 1] into text */
  const int32_t *order;                   /* [tokens] tokens in the order of their texts */
  const int32_t *merge;                   /* [merges][4] left, right, rank, token: in the order of left, right */
  const int32_t *special;                 /* [specials][2] token, NnrtSpecialFlags */
  const char *text;
} NnrtVocabulary;

/* The block of a program's table. */
void nnrt_vocabulary_open(NnrtVocabulary *v, const void *block);
/* The token whose text is prefix + text, the prefix "" or "##"; -1: there is none. */
int32_t nnrt_vocabulary_find(const NnrtVocabulary *v, bool goes_on, const char *text, size_t n);
/* The text of a token where `first` of a text or further on, without its end; *space: one comes before it. */
const char *nnrt_vocabulary_text(const NnrtVocabulary *v, int64_t token, bool first, size_t *n, bool *space);

typedef struct NnrtTokens { /* start with {0}; free() at */
  int32_t *at;
  int64_t n, room;
  bool failed; /* memory is out */
} NnrtTokens;

void nnrt_tokens_add(NnrtTokens *t, int32_t token);

typedef struct NnrtTokenizer {
  /* Takes the piece of text that begins at `at`, before `end`, and adds its tokens, none or more. Returns its end;
   * `at` where the character there is none (not UTF-8), or is not in the vocabulary. Pieces do not depend on what was
   * before them. */
  const char *(*take)(const NnrtVocabulary *v, const char *at, const char *end, NnrtTokens *to);
} NnrtTokenizer;

#define ROW(name) extern const NnrtTokenizer nnrt_tokenizer_##name;
#include "runtime/tokenizer.def"
#undef ROW

typedef struct NnrtCut { /* of a text, piece by piece */
  const NnrtTokenizer *tokenizer;
  const NnrtVocabulary *vocabulary;
  const char *end;
  int32_t token;         /* the next special one; -1: there is none */
  const char *from, *to; /* where it stands, with its spaces; from = end without one */
} NnrtCut;

void nnrt_cut_begin(NnrtCut *c, const NnrtTokenizer *z, const NnrtVocabulary *v, const char *text, const char *end);
/* As `take`, special tokens among the pieces. */
const char *nnrt_cut_take(NnrtCut *c, const char *at, NnrtTokens *to);

/* All tokens of a text, with those before and after it. NNRT_EDATA with "WHAT:LINE: column C: ...", lines counted
 * from `line`. */
int nnrt_tokenize(const NnrtTokenizer *z, const NnrtVocabulary *v, const char *text, size_t n, const char *what,
                  int64_t line, NnrtTokens *to, NnrtError *e);

#endif
