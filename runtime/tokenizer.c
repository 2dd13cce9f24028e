/* tokenizer.c - vocabularies, and texts piece by piece; see tokenizer.h. */
#include "runtime/tokenizer.h"
#include "runtime/utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the vocabulary ---- */

void nnrt_vocabulary_open(NnrtVocabulary *v, const void *block) {
  const int32_t *words = block;
  *v = (NnrtVocabulary){.tokens = words[0], .merges = words[1], .unknown = words[2], .flags = words[3]};
  v->begin = words[4];
  v->end = words[5];
  v->specials = words[6];
  v->bytes = words + NNRT_VOCABULARY_WORDS;
  v->start = v->bytes + 256;
  v->order = v->start + v->tokens + 1;
  v->merge = v->order + v->tokens;
  v->special = v->merge + 4 * v->merges;
  v->text = (const char *)(v->special + 2 * v->specials);
}

/* How `text` after the prefix compares with a token's text, as memcmp; a beginning is less. */
static int compare(const NnrtVocabulary *v, int32_t token, const char *prefix, size_t m, const char *text, size_t n) {
  const char *own = v->text + v->start[token];
  size_t k = (size_t)(v->start[token + 1] - v->start[token]);
  int c = memcmp(prefix, own, m < k ? m : k);
  if (c || k < m) return c ? c : 1;
  size_t rest = k - m;
  if ((c = memcmp(text, own + m, n < rest ? n : rest))) return c;
  return n < rest ? -1 : n > rest;
}

int32_t nnrt_vocabulary_find(const NnrtVocabulary *v, bool goes_on, const char *text, size_t n) {
  int32_t low = 0, high = v->tokens;
  while (low < high) {
    int32_t middle = low + (high - low) / 2, token = v->order[middle];
    int c = compare(v, token, "##", goes_on ? 2 : 0, text, n);
    if (c == 0) return token;
    if (c < 0) high = middle;
    else low = middle + 1;
  }
  return -1;
}

const char *nnrt_vocabulary_text(const NnrtVocabulary *v, int64_t token, bool first, size_t *n, bool *space) {
  const char *text = v->text + v->start[token];
  *n = (size_t)(v->start[token + 1] - v->start[token]);
  bool apart = v->flags & NNRT_VOCABULARY_WORDS_APART;
  bool goes_on = apart && *n > 2 && memcmp(text, "##", 2) == 0;
  *space = apart && !goes_on && !first;
  if (!goes_on || first) return text;
  *n -= 2;
  return text + 2;
}

/* ---- texts ---- */

void nnrt_tokens_add(NnrtTokens *t, int32_t token) {
  if (t->n == t->room && !t->failed) {
    int64_t room = t->room ? 2 * t->room : 64;
    int32_t *more = realloc(t->at, (size_t)room * sizeof *more);
    t->failed = !more;
    if (more) t->at = more, t->room = room;
  }
  if (!t->failed) t->at[t->n++] = token;
}

static int refuse(const char *text, const char *at, const char *end, const char *what, int64_t line, NnrtError *e) {
  char name[32];
  int64_t column = 1;
  for (const char *p = text; p < at; p++, column++)
    if (*p == '\n') line++, column = 0;
  size_t n = nnrt_utf8_length(at, end);
  unsigned byte = (unsigned char)*at;
  if (n > 1 || (byte > 32 && byte < 127)) snprintf(name, sizeof name, "`%.*s`", n ? (int)n : 1, at);
  else snprintf(name, sizeof name, "byte %u", byte);
  return nnrt_fail(e, NNRT_EDATA, "%s:%lld: column %lld: %s is not in the vocabulary%s", what, (long long)line,
                   (long long)column, name, n ? "" : ", nor is it UTF-8");
}

/* ---- special tokens ---- */

static bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

/* The longest special token that stands at `at`: its row; NULL. */
static const int32_t *special_at(const NnrtVocabulary *v, const char *at, const char *end, size_t *length) {
  const int32_t *found = NULL;
  for (int32_t i = 0; i < v->specials; i++) {
    const int32_t *row = v->special + 2 * i;
    size_t n = (size_t)(v->start[row[0] + 1] - v->start[row[0]]);
    if (n > (size_t)(end - at) || memcmp(v->text + v->start[row[0]], at, n) != 0 || (found && n <= *length)) continue;
    found = row;
    *length = n;
  }
  return found;
}

/* Finds the next special token of [at, end). */
static void find_special(NnrtCut *c, const char *at) {
  const int32_t *row = NULL;
  const char *start = at, *end = c->end;
  size_t n = 0;
  c->token = -1;
  c->from = end;
  if (!c->vocabulary->specials) return;
  while (at < end && !(row = special_at(c->vocabulary, at, end, &n))) at++;
  if (!row) return;
  c->token = row[0];
  c->from = at;
  c->to = at + n;
  while ((row[1] & NNRT_SPECIAL_LEFT) && c->from > start && is_space(c->from[-1])) c->from--;
  while ((row[1] & NNRT_SPECIAL_RIGHT) && c->to < end && is_space(*c->to)) c->to++;
}

void nnrt_cut_begin(NnrtCut *c, const NnrtTokenizer *z, const NnrtVocabulary *v, const char *text, const char *end) {
  *c = (NnrtCut){.tokenizer = z, .vocabulary = v, .end = end};
  find_special(c, text);
}

const char *nnrt_cut_take(NnrtCut *c, const char *at, NnrtTokens *to) {
  if (at < c->from || c->token < 0) return c->tokenizer->take(c->vocabulary, at, c->from, to);
  const char *next = c->to;
  nnrt_tokens_add(to, c->token);
  find_special(c, next);
  return next;
}

int nnrt_tokenize(const NnrtTokenizer *z, const NnrtVocabulary *v, const char *text, size_t n, const char *what,
                  int64_t line, NnrtTokens *to, NnrtError *e) {
  NnrtCut cut;
  nnrt_cut_begin(&cut, z, v, text, text + n);
  if (v->begin >= 0) nnrt_tokens_add(to, v->begin);
  for (const char *at = text, *end = text + n; at < end;) {
    const char *next = nnrt_cut_take(&cut, at, to);
    if (to->failed) return nnrt_fail_memory(e, (unsigned long long)to->n * sizeof *to->at, what);
    if (next == at) return refuse(text, at, end, what, line, e);
    at = next;
  }
  if (v->end >= 0) nnrt_tokens_add(to, v->end);
  return to->failed ? nnrt_fail_memory(e, (unsigned long long)to->n * sizeof *to->at, what) : NNRT_OK;
}
