/* vocabulary.c - vocabularies in the formats that people have, as the block that runtime/tokenizer.h describes:
 *
 * - no file: every byte is a token;
 * - a .json file, { "token": number }, and merges: byte pairs, as GPT-2 has them. Its tokens are written in
 * characters that stand for bytes: those that print as themselves, the others as U+0100 and following;
 * - a tokenizer.json of HuggingFace's tokenizers: byte pairs or word pieces, with all that says how they are cut;
 * - a .json file alone: characters, and one longer token, if any, for all that it lacks;
 * - another file with a line [UNK]: word pieces, a token each line, as BERT has them;
 * - another file: bytes, each line the number of one. */
#include "frontend/driver/vocabulary.h"

#include <stdlib.h>
#include <string.h>

#include "frontend/driver/json_value.h"
#include "frontend/driver/output.h"
#include "runtime/json.h"
#include "runtime/tokenizer.h"
#include "runtime/utf8.h"

enum { MOST = 1 << 21 }; /* tokens */

typedef struct Token {
  const char *key, *text; /* as it is written, and what it stands for */
  size_t key_n, n;
} Token;

typedef struct Special {
  int32_t token, flags;
} Special;

typedef struct Merge {
  int32_t left, right, rank, token;
} Merge;

typedef struct Reading {
  Arena *arena;
  const VocabularyFiles *files;
  char *text;
  size_t size;
  Vec(Token) tokens; /* by number */
  int32_t *sorted;   /* by key */
  Vec(Merge) merges;
  Vec(Special) specials;
  int32_t unknown, flags, begin, end;
  bool whole; /* a tokenizer.json */
  const char *tokenizer, *error;
} Reading;

static bool wrong(Reading *r, const char *error) {
  if (!r->error) r->error = error;
  return false;
}

static bool wrong_line(Reading *r, const char *path, int line, const char *what) {
  return wrong(r, arena_printf(r->arena, "%s:%d: %s", path, line, what));
}

static bool ends_in(const char *text, const char *ending) {
  size_t n = strlen(text), m = strlen(ending);
  return n > m && !strcmp(text + n - m, ending);
}

/* ---- tokens by their keys ---- */

static int compare_bytes(const char *a, size_t n, const char *b, size_t m) {
  int c = memcmp(a, b, n < m ? n : m);
  return c ? c : (n > m) - (n < m);
}

typedef struct Key { /* sorted with its place */
  const Token *token;
  int32_t at;
} Key;

static int by_key(const void *a, const void *b) {
  const Token *x = ((const Key *)a)->token, *y = ((const Key *)b)->token;
  return compare_bytes(x->key, x->key_n, y->key, y->key_n);
}

static int by_text(const void *a, const void *b) {
  const Token *x = ((const Key *)a)->token, *y = ((const Key *)b)->token;
  return compare_bytes(x->text, x->n, y->text, y->n);
}

static int32_t *sorted(Reading *r, int (*order)(const void *, const void *)) {
  Key *keys = NEW_ARRAY(r->arena, Key, r->tokens.n + 1);
  int32_t *out = NEW_ARRAY(r->arena, int32_t, r->tokens.n + 1);
  for (int i = 0; i < r->tokens.n; i++) keys[i] = (Key){&r->tokens.at[i], i};
  qsort(keys, (size_t)r->tokens.n, sizeof *keys, order);
  for (int i = 0; i < r->tokens.n; i++) out[i] = keys[i].at;
  return out;
}

static int32_t find_key(const Reading *r, const char *key, size_t n) {
  int low = 0, high = r->tokens.n;
  while (low < high) {
    int middle = (low + high) / 2;
    const Token *t = &r->tokens.at[r->sorted[middle]];
    int c = compare_bytes(key, n, t->key, t->key_n);
    if (c == 0) return r->sorted[middle];
    if (c < 0) high = middle;
    else low = middle + 1;
  }
  return -1;
}

/* Two that are written alike; NULL: none. */
static const Token *written_twice(Reading *r) {
  r->sorted = sorted(r, by_key);
  for (int i = 0; i + 1 < r->tokens.n; i++) {
    const Token *a = &r->tokens.at[r->sorted[i]], *b = &r->tokens.at[r->sorted[i + 1]];
    if (compare_bytes(a->key, a->key_n, b->key, b->key_n) == 0) return a;
  }
  return NULL;
}

/* ---- lines ---- */

/* The next line of [*at, end), its end left out. */
static Token next_line(const char **at, const char *end) {
  const char *start = *at, *stop = memchr(start, '\n', (size_t)(end - start));
  *at = stop ? stop + 1 : end;
  if (!stop) stop = end;
  if (stop > start && stop[-1] == '\r') stop--;
  return (Token){.key = start, .key_n = (size_t)(stop - start)};
}

/* The number on a line; -1: it is not one of a byte. */
static int byte_number(const Token *line) {
  int v = 0;
  if (line->key_n == 0 || line->key_n > 3) return -1;
  for (size_t i = 0; i < line->key_n; i++) {
    if (line->key[i] < '0' || line->key[i] > '9') return -1;
    v = 10 * v + line->key[i] - '0';
  }
  return v < 256 ? v : -1;
}

static void add_byte(Reading *r, int byte) {
  char *text = NEW(r->arena, char);
  *text = (char)byte;
  vec_push(r->arena, &r->tokens, ((Token){text, text, 1, 1}));
}

static bool read_bytes(Reading *r) {
  bool seen[256] = {false};
  int line = 1;
  r->tokenizer = "bytes";
  if (!r->size) return wrong_line(r, r->files->vocabulary, 1, "the vocabulary is empty");
  for (const char *at = r->text, *end = at + r->size; at < end; line++) {
    Token t = next_line(&at, end);
    int v = byte_number(&t);
    if (v < 0 || seen[v])
      return wrong_line(r, r->files->vocabulary, line,
                        v < 0 ? "this is no byte's number" : "this byte was on a line before");
    seen[v] = true;
    add_byte(r, v);
  }
  return true;
}

static bool read_pieces(Reading *r) {
  int line = 1;
  r->tokenizer = "wordpiece";
  r->flags = NNRT_VOCABULARY_WORDS_APART | (r->files->lower ? NNRT_VOCABULARY_LOWER : 0);
  for (const char *at = r->text, *end = at + r->size; at < end; line++) {
    Token t = next_line(&at, end);
    if (t.key_n == 0) return wrong_line(r, r->files->vocabulary, line, "this line holds no token");
    t.text = t.key;
    t.n = t.key_n;
    vec_push(r->arena, &r->tokens, t);
  }
  const Token *twice = written_twice(r);
  if (twice) {
    line = 1;
    for (const char *p = r->text; p < twice->key; p++) line += *p == '\n';
    return wrong_line(r, r->files->vocabulary, line, "this token stands on two lines");
  }
  r->unknown = find_key(r, "[UNK]", 5);
  return true;
}

static bool has_line(const Reading *r, const char *line) {
  for (const char *at = r->text, *end = at + r->size; at < end;) {
    Token t = next_line(&at, end);
    if (t.key_n == strlen(line) && !memcmp(t.key, line, t.key_n)) return true;
  }
  return false;
}

/* ---- JSON ---- */

/* { "token": number, ... } */
static void read_numbers(Reading *r, NnrtJson *j) {
  for (bool more = nnrt_json_object(j); more;) {
    size_t room = (size_t)(j->end - j->at) + 1, n;
    const char *start = j->at;
    while (start < j->end && *start != '"') start++;
    const char *quote = start < j->end ? memchr(start + 1, '"', (size_t)(j->end - start - 1)) : NULL;
    while (quote && quote[-1] == '\\') quote = memchr(quote + 1, '"', (size_t)(j->end - quote - 1));
    if (quote) room = (size_t)(quote - j->at) + 2; /* a key is never longer than its source */
    char *key = NEW_ARRAY(r->arena, char, room);
    int64_t number;
    more = nnrt_json_key(j, key, room, &n) && nnrt_json_natural(j, &number);
    if (!more) break;
    if (number >= MOST) more = nnrt_json_refuse(j, "the token %lld, which is too large", (long long)number);
    if (!more) break;
    while (r->tokens.n <= number) vec_push(r->arena, &r->tokens, (Token){0});
    if (r->tokens.at[number].key) more = nnrt_json_refuse(j, "two tokens have the number %lld", (long long)number);
    r->tokens.at[number] = (Token){key, key, n, n};
  }
}

/* Every number has a token, and no two are alike. */
static bool check_numbers(Reading *r) {
  if (!r->tokens.n) return wrong(r, arena_printf(r->arena, "%s: the vocabulary is empty", r->files->vocabulary));
  for (int i = 0; i < r->tokens.n; i++)
    if (!r->tokens.at[i].key)
      return wrong(r, arena_printf(r->arena, "%s: no token has the number %d", r->files->vocabulary, i));
  const Token *twice = written_twice(r);
  return !twice ||
         wrong(r, arena_printf(r->arena, "%s: the token `%s` stands twice", r->files->vocabulary, twice->key));
}

static bool read_json(Reading *r) {
  NnrtJson j;
  NnrtError e = {0};
  nnrt_json_begin(&j, r->text, r->size, r->files->vocabulary, &e);
  j.part = "";
  read_numbers(r, &j);
  if (nnrt_json_finish(&j) != NNRT_OK) return wrong(r, arena_printf(r->arena, "%s", e.text));
  return check_numbers(r);
}

/* The byte for which a character of a token stands; -1: none. */
static int byte_of(uint32_t c) {
  static const int plain[][2] = {{33, 126}, {161, 172}, {174, 255}};
  int next = 256;
  for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
    if ((int)c >= plain[i][0] && (int)c <= plain[i][1]) return (int)c;
  for (int b = 0; b < 256; b++) {
    if ((b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174) continue;
    if (next++ == (int)c) return b;
  }
  return -1;
}

/* A key as bytes; one that holds other characters, which no merge makes, stays as it is. */
static void spell(Reading *r, Token *t) {
  char *text = NEW_ARRAY(r->arena, char, t->key_n + 1);
  size_t n = 0;
  for (const char *at = t->key, *end = at + t->key_n; at < end;) {
    uint32_t c;
    at += nnrt_utf8_read(at, end, &c);
    int byte = byte_of(c);
    if (byte < 0) return;
    text[n++] = (char)byte;
  }
  t->text = text;
  t->n = n;
}

static bool is_special(const Reading *r, int32_t token) {
  for (int i = 0; i < r->specials.n; i++)
    if (r->specials.at[i].token == token) return true;
  return false;
}

static bool read_merge(Reading *r, const char *path, const Token *line, int number) {
  const char *space = memchr(line->key, ' ', line->key_n), *end = line->key + line->key_n;
  if (!space || space == line->key || space + 1 == end || memchr(space + 1, ' ', (size_t)(end - space - 1)))
    return wrong_line(r, path, number, "two tokens with a space between them are wanted");
  size_t n = (size_t)(space - line->key), m = (size_t)(end - space - 1);
  char *whole = arena_printf(r->arena, "%.*s%.*s", (int)n, line->key, (int)m, space + 1);
  Merge merge = {find_key(r, line->key, n), find_key(r, space + 1, m), r->merges.n, find_key(r, whole, n + m)};
  const char *missing = merge.left < 0    ? arena_printf(r->arena, "%.*s", (int)n, line->key)
                        : merge.right < 0 ? space + 1
                        : merge.token < 0 ? whole
                                          : NULL;
  if (missing)
    return wrong_line(r, path, number,
                      arena_printf(r->arena, "`%.*s` is not in the vocabulary",
                                   (int)(missing == space + 1 ? m : strlen(missing)), missing));
  vec_push(r->arena, &r->merges, merge);
  return true;
}

static int by_parts(const void *a, const void *b) {
  const Merge *x = a, *y = b;
  return x->left != y->left ? (x->left > y->left) - (x->left < y->left)
                            : (x->right > y->right) - (x->right < y->right);
}

static bool finish_merges(Reading *r, const char *path) {
  qsort(r->merges.at, (size_t)r->merges.n, sizeof *r->merges.at, by_parts);
  for (int i = 0; i + 1 < r->merges.n; i++)
    if (by_parts(&r->merges.at[i], &r->merges.at[i + 1]) == 0)
      return wrong(r, arena_printf(r->arena, "%s: `%s %s` stands twice", path, r->tokens.at[r->merges.at[i].left].key,
                                   r->tokens.at[r->merges.at[i].right].key));
  for (int i = 0; i < r->tokens.n; i++)
    if (!is_special(r, i)) spell(r, &r->tokens.at[i]);
  return true;
}

static bool read_merges(Reading *r) {
  char *text;
  size_t n;
  const char *error = input_read(r->arena, r->files->merges, &text, &n);
  if (error) return wrong(r, arena_printf(r->arena, "`%s` cannot be read", r->files->merges));
  int line = 1;
  for (const char *at = text, *end = at + n; at < end; line++) {
    Token t = next_line(&at, end);
    bool skipped = t.key_n == 0 || (line == 1 && t.key_n >= 8 && !memcmp(t.key, "#version", 8));
    if (!skipped && !read_merge(r, r->files->merges, &t, line)) return false;
  }
  return finish_merges(r, r->files->merges);
}

static bool read_characters(Reading *r) {
  r->tokenizer = "characters";
  for (int i = 0; i < r->tokens.n; i++) {
    const Token *t = &r->tokens.at[i];
    if (t->n && nnrt_utf8_length(t->text, t->text + t->n) == t->n) continue;
    if (r->unknown >= 0)
      return wrong(r, arena_printf(r->arena,
                                   "%s: `%s` and `%s` are more than one character; byte pairs have `merges` beside "
                                   "their vocabulary",
                                   r->files->vocabulary, r->tokens.at[r->unknown].key, t->key));
    r->unknown = i;
  }
  return true;
}

/* ---- tokenizer.json ---- */

static bool wrong_part(Reading *r, const char *what) {
  return wrong(r, arena_printf(r->arena, "%s: %s", r->files->vocabulary, what));
}

/* "its model is `Unigram`, and BPE or WordPiece is read" */
static bool wrong_kind(Reading *r, const char *part, const char *kind, const char *read) {
  return wrong_part(r, arena_printf(r->arena, "its %s is %s%s%s, and %s is read", part, kind ? "`" : "",
                                    kind ? kind : "none", kind ? "`" : "", read));
}

/* The type of the part, which must be the one that is read. */
static bool part_is(Reading *r, const NnrtJson *file, const char *part, const char *read, NnrtJson *value) {
  const char *type = json_member(file, part, value) ? json_member_text(r->arena, value, "type") : NULL;
  return (type && !strcmp(type, read)) || wrong_kind(r, part, type, read);
}

/* Texts and truths of a part that, where they stand, must be the ones that the tokenizers here have. */
static bool setting_is(Reading *r, const NnrtJson *part, const char *name, const char *wanted) {
  NnrtJson value;
  if (!json_member(part, name, &value)) return true;
  const char *text = json_text(r->arena, &value);
  bool word = !text && (size_t)(value.end - value.at) >= strlen(wanted) && !memcmp(value.at, wanted, strlen(wanted));
  return word || (text && !strcmp(text, wanted)) ||
         wrong_part(
             r, arena_printf(r->arena, "its `%s` is not %s, which is read alone", name, *wanted ? wanted : "empty"));
}

static bool read_byte_pairs(Reading *r, const NnrtJson *file, const NnrtJson *model) {
  static const char *const settings[][2] = {{"continuing_subword_prefix", ""},
                                            {"end_of_word_suffix", ""},
                                            {"byte_fallback", "false"},
                                            {"ignore_merges", "false"},
                                            {"dropout", "0.0"}};
  NnrtJson cut, normalizer;
  r->tokenizer = "bpe";
  if (json_member(file, "normalizer", &normalizer))
    return wrong_kind(r, "normalizer", json_member_text(r->arena, &normalizer, "type"), "none");
  if (!part_is(r, file, "pre_tokenizer", "ByteLevel", &cut) || !setting_is(r, &cut, "add_prefix_space", "false") ||
      !setting_is(r, &cut, "use_regex", "true"))
    return false;
  for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
    if (!setting_is(r, model, settings[i][0], settings[i][1])) return false;
  return true;
}

static bool read_word_pieces(Reading *r, const NnrtJson *file, const NnrtJson *model) {
  NnrtJson cut, normalizer;
  r->tokenizer = "wordpiece";
  if (!part_is(r, file, "pre_tokenizer", "BertPreTokenizer", &cut) ||
      !part_is(r, file, "normalizer", "BertNormalizer", &normalizer))
    return false;
  bool lower = json_member_true(&normalizer, "lowercase");
  r->flags = NNRT_VOCABULARY_WORDS_APART | (lower ? NNRT_VOCABULARY_LOWER : 0);
  return setting_is(r, &normalizer, "clean_text", "true") &&
         setting_is(r, &normalizer, "handle_chinese_chars", "true") &&
         setting_is(r, &normalizer, "strip_accents", lower ? "true" : "false") &&
         setting_is(r, model, "continuing_subword_prefix", "##") &&
         setting_is(r, model, "max_input_chars_per_word", "100");
}

/* { "id": 0, "content": "[CLS]", "lstrip": false, ... } */
static bool read_added(Reading *r, const NnrtJson *added) {
  const char *text = json_member_text(r->arena, added, "content");
  NnrtJson id;
  int64_t number = -1;
  if (!text || !*text || !json_member(added, "id", &id) || !nnrt_json_natural(&id, &number) || number >= MOST)
    return wrong_part(r, "one of its `added_tokens` has no `content`, or no `id`");
  bool normalized = json_member_true(added, "normalized") && (r->flags & NNRT_VOCABULARY_LOWER);
  if (normalized || json_member_true(added, "single_word"))
    return wrong_part(r, arena_printf(r->arena, "the added token `%s` is %s, which is not read", text,
                                      normalized ? "`normalized`" : "a `single_word`"));
  while (r->tokens.n <= number) vec_push(r->arena, &r->tokens, (Token){0});
  Token *t = &r->tokens.at[number];
  if (t->key && strcmp(t->key, text) != 0)
    return wrong_part(
        r, arena_printf(r->arena, "the tokens `%s` and `%s` have the number %lld", t->key, text, (long long)number));
  *t = (Token){text, text, strlen(text), strlen(text)};
  int32_t flags = (json_member_true(added, "lstrip") ? NNRT_SPECIAL_LEFT : 0) |
                  (json_member_true(added, "rstrip") ? NNRT_SPECIAL_RIGHT : 0);
  vec_push(r->arena, &r->specials, ((Special){(int32_t)number, flags}));
  return true;
}

/* "a b", or in later versions ["a", "b"]. */
static bool read_pair(Reading *r, NnrtJson *j, int number) {
  NnrtJson at = *j;
  const char *line = json_text(r->arena, &at), *first = NULL, *second = NULL;
  if (!line && nnrt_json_array(&at) && nnrt_json_element(&at) && (first = json_text(r->arena, &at)) &&
      json_skip(&at) && nnrt_json_element(&at))
    second = json_text(r->arena, &at);
  if (!line && second && !strchr(first, ' ') && !strchr(second, ' '))
    line = arena_printf(r->arena, "%s %s", first, second);
  if (!line) line = "";
  return read_merge(r, r->files->vocabulary, &(Token){.key = line, .key_n = strlen(line)}, number) && json_skip(j);
}

static bool read_model(Reading *r, const NnrtJson *file) {
  NnrtJson model, part;
  const char *type = json_member(file, "model", &model) ? json_member_text(r->arena, &model, "type") : NULL;
  bool pairs = type && !strcmp(type, "BPE");
  if (!pairs && !(type && !strcmp(type, "WordPiece"))) return wrong_kind(r, "model", type, "BPE or WordPiece");
  if (!(pairs ? read_byte_pairs : read_word_pieces)(r, file, &model)) return false;
  if (!json_member(&model, "vocab", &part)) return wrong_part(r, "its model has no `vocab`");
  read_numbers(r, &part);
  if (part.status != NNRT_OK) return wrong(r, arena_printf(r->arena, "%s", part.error->text));
  if (json_member(file, "added_tokens", &part))
    for (bool more = nnrt_json_array(&part); more && nnrt_json_element(&part); more = json_skip(&part))
      if (!read_added(r, &part)) return false;
  if (!check_numbers(r)) return false;
  const char *unknown = json_member_text(r->arena, &model, "unk_token");
  r->unknown = unknown ? find_key(r, unknown, strlen(unknown)) : -1;
  if (!pairs) return r->unknown >= 0 || wrong_part(r, "its `unk_token` is not in the vocabulary");
  if (!json_member(&model, "merges", &part)) return wrong_part(r, "its model has no `merges`");
  int number = 0;
  for (bool more = nnrt_json_array(&part); more && nnrt_json_element(&part);)
    if (!read_pair(r, &part, ++number)) return false;
  return finish_merges(r, r->files->vocabulary);
}

static bool read_tokenizer(Reading *r) {
  NnrtJson j;
  NnrtError e = {0};
  nnrt_json_begin(&j, r->text, r->size, r->files->vocabulary, &e);
  j.part = "";
  r->whole = true;
  NnrtJson all = j;
  if (!json_skip(&all) || nnrt_json_finish(&all) != NNRT_OK) return wrong(r, arena_printf(r->arena, "%s", e.text));
  if (r->files->merges) return wrong_part(r, "a tokenizer.json has its merges in itself");
  return read_model(r, &j);
}

/* A vocabulary has numbers; a tokenizer.json begins with something else. */
static bool is_tokenizer(const Reading *r) {
  NnrtError ignored;
  NnrtJson j;
  char key[256];
  nnrt_json_begin(&j, r->text, r->size, "", &ignored);
  if (!nnrt_json_object(&j) || !nnrt_json_key(&j, key, sizeof key, NULL)) return false;
  while (j.at < j.end && *j.at == ' ') j.at++;
  return j.at < j.end && (*j.at < '0' || *j.at > '9');
}

/* ---- special tokens that the source names ---- */

static bool find_named(Reading *r, const char *name, int32_t *token) {
  if (!name) return true;
  r->sorted = sorted(r, by_key);
  *token = find_key(r, name, strlen(name));
  if (*token < 0)
    return wrong(r, arena_printf(r->arena, "`%s` is no token of %s", name,
                                 r->files->vocabulary ? r->files->vocabulary : "bytes"));
  if (!is_special(r, *token)) vec_push(r->arena, &r->specials, ((Special){*token, 0}));
  return true;
}

static bool read_named(Reading *r) {
  const VocabularyFiles *f = r->files;
  int32_t token;
  for (int i = 0; i < f->n_special; i++)
    if (!find_named(r, f->special[i], &token)) return false;
  return find_named(r, f->begin, &r->begin) && find_named(r, f->end, &r->end);
}

/* ---- the block ---- */

static void byte_tokens(const Reading *r, int32_t *bytes) {
  for (int b = 0; b < 256; b++) bytes[b] = -1;
  for (int i = r->tokens.n; i-- > 0;)
    if (r->tokens.at[i].n == 1) bytes[(unsigned char)*r->tokens.at[i].text] = i;
}

static void make_block(Reading *r, Vocabulary *out) {
  size_t n = (size_t)r->tokens.n, m = (size_t)r->merges.n, texts = 0;
  for (int i = 0; i < r->tokens.n; i++) texts += r->tokens.at[i].n;
  size_t s = (size_t)r->specials.n, words = NNRT_VOCABULARY_WORDS + 256 + n + 1 + n + 4 * m + 2 * s;
  int32_t *block = NEW_ARRAY(r->arena, int32_t, words + texts / 4 + 1), *at = block + NNRT_VOCABULARY_WORDS;
  const int32_t head[] = {(int32_t)n, (int32_t)m, r->unknown, r->flags, r->begin, r->end, (int32_t)s};
  memcpy(block, head, sizeof head);
  byte_tokens(r, at);
  char *text = (char *)(block + words);
  int32_t used = 0;
  at += 256;
  for (size_t i = 0; i < n; i++) {
    *at++ = used;
    memcpy(text + used, r->tokens.at[i].text, r->tokens.at[i].n);
    used += (int32_t)r->tokens.at[i].n;
  }
  *at++ = used;
  memcpy(at, sorted(r, by_text), n * sizeof *at);
  if (m) memcpy(at + n, r->merges.at, m * sizeof(Merge));
  if (s) memcpy(at + n + 4 * m, r->specials.at, s * sizeof(Special));
  *out = (Vocabulary){.whole = r->whole,
                      .tokenizer = r->tokenizer,
                      .block = block,
                      .bytes = words * sizeof *block + texts,
                      .tokens = r->tokens.n};
}

static bool read_files(Reading *r) {
  const VocabularyFiles *f = r->files;
  r->tokenizer = "bytes";
  for (int b = 0; !f->vocabulary && b < 256; b++) add_byte(r, b);
  if (!f->vocabulary) return true;
  if (input_read(r->arena, f->vocabulary, &r->text, &r->size))
    return wrong(r, arena_printf(r->arena, "`%s` cannot be read", f->vocabulary));
  if (!ends_in(f->vocabulary, ".json")) return has_line(r, "[UNK]") ? read_pieces(r) : read_bytes(r);
  if (is_tokenizer(r)) return read_tokenizer(r);
  if (!read_json(r)) return false;
  if (!f->merges) return read_characters(r);
  r->tokenizer = "bpe";
  return read_merges(r);
}

const char *vocabulary_read(Arena *a, const VocabularyFiles *files, Vocabulary *out) {
  Reading r = {.arena = a, .files = files, .unknown = -1, .begin = -1, .end = -1};
  if (read_files(&r) && read_named(&r)) make_block(&r, out);
  return r.error;
}
