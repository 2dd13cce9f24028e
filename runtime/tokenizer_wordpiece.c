/* tokenizer_wordpiece.c - word pieces as BERT has them: words end at spaces and signs; of each, the longest beginning
 * that is in the vocabulary is a token, then of the rest the longest that is there with "##". Devlin and others 2019,
 * arXiv:1810.04805; Wu and others 2016, arXiv:1609.08144. */
#include "runtime/tokenizer.h"
#include "runtime/unicode.h"
#include "runtime/utf8.h"

#include <string.h>

enum { LONGEST = 100 /* characters of a word; a longer one is unknown */ };

typedef struct Word {
  char text[4 * LONGEST];
  int start[LONGEST + 1]; /* of each character */
  int n;                  /* LONGEST + 1: too long */
} Word;

static void add_character(Word *w, uint32_t c) {
  if (w->n >= LONGEST) {
    w->n = LONGEST + 1;
    return;
  }
  int at = w->n ? w->start[w->n] : 0;
  w->start[w->n++] = at;
  w->start[w->n] = at + (int)nnrt_utf8_write(w->text + at, c);
}

/* Chinese characters are words of their own: BERT's list of blocks. */
static bool is_chinese(uint32_t c) {
  static const uint32_t blocks[][2] = {{0x4E00, 0x9FFF},   {0x3400, 0x4DBF},   {0x20000, 0x2A6DF},
                                       {0x2A700, 0x2B73F}, {0x2B740, 0x2B81F}, {0x2B920, 0x2CEAF},
                                       {0xF900, 0xFAFF},   {0x2F800, 0x2FA1F}};
  for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
    if (c >= blocks[i][0] && c <= blocks[i][1]) return true;
  return false;
}

static bool is_dropped(uint32_t c, char class) { return class == 'C' || class == 'V' || c == 0; }

/* The word's tokens, or the unknown one for all of it. */
static void add_tokens(const NnrtVocabulary *v, const Word *w, NnrtTokens *to) {
  int64_t before = to->n;
  if (w->n == 0) return;
  for (int first = 0, last; w->n <= LONGEST && first < w->n; first = last) {
    int32_t token = -1;
    for (last = w->n + 1; token < 0 && --last > first;)
      token =
          nnrt_vocabulary_find(v, first > 0, w->text + w->start[first], (size_t)(w->start[last] - w->start[first]));
    if (token < 0) {
      to->n = before;
      break;
    }
    nnrt_tokens_add(to, token);
  }
  if (to->n == before) nnrt_tokens_add(to, v->unknown);
}

/* What is left of a character: nothing, itself, or several. */
static int folded(const NnrtVocabulary *v, uint32_t c, uint32_t to[NNRT_FOLD_MOST]) {
  to[0] = c;
  return v->flags & NNRT_VOCABULARY_LOWER ? nnrt_unicode_fold(c, to) : 1;
}

/* Spaces, a sign, or a word up to the next of these. */
static const char *take(const NnrtVocabulary *v, const char *at, const char *end, NnrtTokens *to) {
  Word w = {.n = 0};
  const char *p = at;
  for (size_t n; p < end; p += n) {
    uint32_t c, left[NNRT_FOLD_MOST];
    if (!(n = nnrt_utf8_read(p, end, &c))) break;
    char class = nnrt_unicode_class(c);
    if (is_dropped(c, class)) continue;
    int k = folded(v, c, left);
    bool alone = class == 'S' || is_chinese(c) || (k == 1 && nnrt_unicode_class(left[0]) == 'P');
    if (alone && w.n) break;
    for (int i = 0; class != 'S' && i < k; i++) add_character(&w, left[i]);
    if (!alone) continue;
    p += n;
    break;
  }
  add_tokens(v, &w, to);
  return p;
}

const NnrtTokenizer nnrt_tokenizer_wordpiece = {take};
