/* tokenizer_bpe.c - byte pair encoding as GPT-2 has it: a text is cut into words, numbers, signs and spaces; the
 * bytes of each are tokens, of which neighbours are merged as long as the vocabulary says so, the pair of the lowest
 * rank first, of equal ones the leftmost. Sennrich, Haddow, Birch 2016, arXiv:1508.07909; Radford and others 2019.
 *
 * Pairs wait in a heap, so that a word of any length takes n log n. */
#include "runtime/tokenizer.h"
#include "runtime/unicode.h"
#include "runtime/utf8.h"

#include <stdlib.h>
#include <string.h>

/* ---- the cut: 's|'t|'re|'ve|'m|'ll|'d| ?L+| ?N+| ?[^SLN]+|S+(?!not S)|S+ ---- */

/* L, N, S or O for all else; 0: not UTF-8. */
static char class_at(const char *at, const char *end, size_t *n) {
  uint32_t c;
  *n = nnrt_utf8_read(at, end, &c);
  if (*n == 0) return 0;
  char k = nnrt_unicode_class(c);
  return k == 'V' ? 'S' : k == 'L' || k == 'N' || k == 'S' ? k : 'O';
}

static size_t contraction(const char *at, const char *end) {
  static const char *const endings[] = {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"};
  for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
    size_t n = strlen(endings[i]);
    if ((size_t)(end - at) >= n && memcmp(at, endings[i], n) == 0) return n;
  }
  return 0;
}

/* Characters of one class; *last is where the last of them begins. */
static const char *same_class(const char *at, const char *end, char class, const char **last) {
  size_t n;
  for (; at < end && class_at(at, end, &n) == class; at += n) *last = at;
  return at;
}

/* The end of the piece; `at`: not UTF-8. */
static const char *piece_end(const char *at, const char *end) {
  size_t n, short_form = contraction(at, end);
  const char *last = at, *start = at;
  if (short_form) return at + short_form;
  char k = class_at(at, end, &n);
  if (*at == ' ' && at + 1 < end) {
    char next = class_at(at + 1, end, &n);
    if (next && next != 'S') k = next, start = at + 1;
  }
  if (!k) return at;
  const char *stop = same_class(start, end, k, &last);
  return k == 'S' && stop < end && last > at ? last : stop; /* the last space before a word belongs to it */
}

/* ---- the merges ---- */

typedef struct Symbol { /* of the word, a list; of one that was merged into its left neighbour the token is -1 */
  int32_t token, before, after;
} Symbol;

typedef struct Pair { /* symbols that may be merged */
  int32_t rank, at, left, right, token;
} Pair;

typedef struct Word {
  const NnrtVocabulary *v;
  Symbol *symbol;
  Pair *heap;
  int32_t n;
} Word;

static bool comes_first(const Pair *a, const Pair *b) {
  return a->rank != b->rank ? a->rank < b->rank : a->at < b->at;
}

static void swap(Pair *a, Pair *b) {
  Pair t = *a;
  *a = *b;
  *b = t;
}

static void push(Word *w, Pair p) {
  int32_t i = w->n++;
  for (w->heap[i] = p; i && comes_first(&w->heap[i], &w->heap[(i - 1) / 2]); i = (i - 1) / 2)
    swap(&w->heap[i], &w->heap[(i - 1) / 2]);
}

static Pair pop(Word *w) {
  Pair top = w->heap[0];
  w->heap[0] = w->heap[--w->n];
  for (int32_t i = 0;;) {
    int32_t least = i;
    for (int32_t k = 2 * i + 1; k <= 2 * i + 2 && k < w->n; k++)
      if (comes_first(&w->heap[k], &w->heap[least])) least = k;
    if (least == i) return top;
    swap(&w->heap[i], &w->heap[least]);
    i = least;
  }
}

/* The merge of two tokens: its row; NULL. */
static const int32_t *find_merge(const NnrtVocabulary *v, int32_t left, int32_t right) {
  int32_t low = 0, high = v->merges;
  while (low < high) {
    int32_t middle = low + (high - low) / 2;
    const int32_t *row = v->merge + 4 * (int64_t)middle;
    if (row[0] == left && row[1] == right) return row;
    if (row[0] < left || (row[0] == left && row[1] < right)) low = middle + 1;
    else high = middle;
  }
  return NULL;
}

static void consider(Word *w, int32_t at) {
  if (at < 0 || w->symbol[at].after < 0) return;
  int32_t left = w->symbol[at].token, right = w->symbol[w->symbol[at].after].token;
  const int32_t *row = find_merge(w->v, left, right);
  if (row) push(w, (Pair){row[2], at, left, right, row[3]});
}

static void merge_all(Word *w) {
  while (w->n) {
    Pair p = pop(w);
    Symbol *s = &w->symbol[p.at];
    if (s->token != p.left || s->after < 0 || w->symbol[s->after].token != p.right) continue; /* is no more */
    int32_t gone = s->after;
    s->token = p.token;
    s->after = w->symbol[gone].after;
    w->symbol[gone].token = -1;
    if (s->after >= 0) w->symbol[s->after].before = p.at;
    consider(w, s->before);
    consider(w, p.at);
  }
}

static const char *take(const NnrtVocabulary *v, const char *at, const char *end, NnrtTokens *to) {
  const char *stop = piece_end(at, end);
  int64_t n = stop - at;
  if (n == 0 || n > INT32_MAX / 4) return at;
  for (const char *p = at; p < stop; p++)
    if (v->bytes[(unsigned char)*p] < 0) return p > at ? p : at;
  Symbol few[64];
  Pair few_pairs[192]; /* a pair for each neighbours, and two for each merge */
  Word w = {.v = v, .symbol = few, .heap = few_pairs};
  if (n > 64) {
    w.symbol = malloc((size_t)n * sizeof *w.symbol);
    w.heap = malloc(3 * (size_t)n * sizeof *w.heap);
  }
  to->failed |= !w.symbol || !w.heap;
  for (int32_t i = 0; !to->failed && i < n; i++)
    w.symbol[i] = (Symbol){v->bytes[(unsigned char)at[i]], i - 1, i + 1 < n ? i + 1 : -1};
  for (int32_t i = 0; !to->failed && i < n; i++) consider(&w, i);
  if (!to->failed) merge_all(&w);
  for (int32_t i = 0; !to->failed && i >= 0; i = w.symbol[i].after) nnrt_tokens_add(to, w.symbol[i].token);
  if (w.symbol != few) free(w.symbol);
  if (w.heap != few_pairs) free(w.heap);
  return stop;
}

const NnrtTokenizer nnrt_tokenizer_bpe = {take};
