/* mutate.c - see mutate.h. The tokens are cut roughly: words, numbers, texts, runs of signs that belong together. */
#include "tests/fuzz/mutate.h"

#include <ctype.h>

typedef struct Piece { /* white space before a token, and the token */
  const char *at;
  size_t space, n;
} Piece;

typedef struct Mutation {
  Arena *arena;
  uint64_t random;
  Vec(Piece) pieces;
} Mutation;

static const char *const numbers[] = {
    "0",   "1",   "2",    "3",     "7",          "8",          "9",
    "64",  "100", "1000", "65536", "2147483648", "4294967297", "9223372036854775807",
    "0.5", "-1",  "1e30", "inf",   "nan",        "N"};
static const char *const words[] = {"f32",    "f64",      "f16",     "i32",    "i64",     "u8",     "bool",
                                    "float",  "num",      "int",     "real",   "flag",    "fn",     "B",
                                    "N",      "step",     "true",    "false",  "x",       "y",      "net",
                                    "sum",    "mean",     "max",     "prod",   "argmax",  "any",    "all",
                                    "count",  "softmax",  "grad",    "stop",   "exp",     "Linear", "Adam",
                                    "if",     "return",   "for",     "in",     "then",    "else",   "where",
                                    "over",   "with",     "param",   "state",  "train",   "entry",  "model",
                                    "data",   "frozen",   "classes", "weight", "concat",  "relu",   "cross_entropy",
                                    "normal", "training", "i",       "j",      "dropout", "column", "columns",
                                    "epochs", "batch",    "report"};
static const char *const signs[] = {
    "+",  "-",  "*",   "/",   "//",    "%",   "**",     "==",  "<",      "<=",    "=",    "~",    "<-",
    "|>", "=>", "->",  ":",   ",",     ".",   "(",      ")",   "[",      "]",     "{",    "}",    ";",
    "..", "\n", "[0]", "[i]", "[1:2]", "(x)", "i32<3>", "[N]", "[2, 3]", " and ", " or ", " not "};

static uint64_t next_random(Mutation *m) { /* splitmix64 */
  uint64_t z = m->random += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

static int below(Mutation *m, int n) { return n > 0 ? (int)(next_random(m) % (uint64_t)n) : 0; }

static bool is_word(char c) { return isalnum((unsigned char)c) || c == '_'; }

static size_t token_length(const char *s, size_t n) {
  size_t k = 1;
  if (is_word(s[0])) {
    while (k < n && (is_word(s[k]) || (s[k] == '.' && isdigit((unsigned char)s[0])))) k++;
  } else if (s[0] == '"') {
    while (k < n && s[k] != '"' && s[k] != '\n') k++;
    if (k < n) k++;
  } else if (s[0] == '#') {
    while (k < n && s[k] != '\n') k++;
  } else if (n > 1 && (!memcmp(s, "->", 2) || !memcmp(s, "=>", 2) || !memcmp(s, "|>", 2) || !memcmp(s, "<-", 2) ||
                       !memcmp(s, "==", 2) || !memcmp(s, "<=", 2) || !memcmp(s, "**", 2) || !memcmp(s, "//", 2))) {
    k = 2;
  }
  return k;
}

static void cut(Mutation *m, const char *text, size_t n) {
  for (size_t i = 0; i < n;) {
    Piece p = {.at = text + i};
    while (i + p.space < n && (p.at[p.space] == ' ' || p.at[p.space] == '\t')) p.space++;
    i += p.space;
    p.n = i < n ? token_length(text + i, n - i) : 0;
    i += p.n;
    vec_push(m->arena, &m->pieces, p);
  }
}

static char first(const Piece *p) { return p->n ? p->at[p->space] : 0; }

static void replace(Mutation *m, Piece *p, const char *token) {
  char *s = arena_printf(m->arena, "%.*s%s", (int)p->space, p->at, token);
  *p = (Piece){s, p->space, strlen(token)};
}

static void leave_out(Mutation *m, int from, int n) {
  for (int i = from; i + n < m->pieces.n; i++) m->pieces.at[i] = m->pieces.at[i + n];
  m->pieces.n -= n;
}

static void put_in(Mutation *m, int where, const Piece *pieces, int n) {
  for (int i = 0; i < n; i++) vec_push(m->arena, &m->pieces, (Piece){0});
  for (int i = m->pieces.n - 1; i >= where + n; i--) m->pieces.at[i] = m->pieces.at[i - n];
  for (int i = 0; i < n; i++) m->pieces.at[where + i] = pieces[i];
}

/* The line that piece i stands on, with the newline that ends it. */
static void line_of(const Mutation *m, int i, int *from, int *n) {
  int end = i;
  while (i > 0 && first(&m->pieces.at[i - 1]) != '\n') i--;
  while (end < m->pieces.n && first(&m->pieces.at[end]) != '\n') end++;
  *from = i;
  *n = (end < m->pieces.n ? end + 1 : end) - i;
}

static void change_line(Mutation *m, int i) {
  int from, n, to, other;
  line_of(m, i, &from, &n);
  Piece *copy = NEW_ARRAY(m->arena, Piece, n + 1);
  if (n) memcpy(copy, m->pieces.at + from, sizeof *copy * (size_t)n);
  int what = below(m, 3);
  if (what != 1) leave_out(m, from, n);
  if (what == 0 || !m->pieces.n) return;
  line_of(m, below(m, m->pieces.n), &to, &other);
  put_in(m, to, copy, n);
}

/* Another token of the same sort: a number for a number, a word for a word. */
static void change_token(Mutation *m, Piece *p) {
  char c = first(p);
  const Piece *other = &m->pieces.at[below(m, m->pieces.n)];
  bool known = below(m, 2);
  if (isdigit((unsigned char)c)) {
    replace(m, p, numbers[below(m, sizeof numbers / sizeof *numbers)]);
  } else if (is_word(c) && known) {
    for (int tries = 0; tries < 40 && !(is_word(first(other)) && !isdigit((unsigned char)first(other))); tries++)
      other = &m->pieces.at[below(m, m->pieces.n)];
    replace(m, p, arena_strndup(m->arena, other->at + other->space, other->n));
  } else if (is_word(c)) {
    replace(m, p, words[below(m, sizeof words / sizeof *words)]);
  } else {
    replace(m, p, signs[below(m, sizeof signs / sizeof *signs)]);
  }
}

static void mutate_once(Mutation *m) {
  int n = m->pieces.n;
  if (!n) return;
  int i = below(m, n), k = below(m, n);
  Piece p = m->pieces.at[i];
  for (int tries = 0; tries < 8 && (first(&p) == '#' || first(&p) == '\n'); tries++)
    p = m->pieces.at[i = below(m, n)];
  switch (below(m, 12)) {
  case 0: leave_out(m, i, 1); break;
  case 1: put_in(m, i, &p, 1); break;
  case 2:
    m->pieces.at[i] = m->pieces.at[k];
    m->pieces.at[k] = p;
    break;
  case 3: put_in(m, k, &p, 1); break;
  case 4:
  case 5: change_line(m, i); break;
  default: change_token(m, &m->pieces.at[i]); break;
  }
}

void program_mutate(Buf *out, const char *text, size_t n, uint64_t seed) {
  Mutation m = {.arena = arena_new(), .random = seed};
  cut(&m, text, n);
  for (int times = 1 + below(&m, 3); times > 0; times--) mutate_once(&m);
  for (int i = 0; i < m.pieces.n; i++) buf_write(out, m.pieces.at[i].at, m.pieces.at[i].space + m.pieces.at[i].n);
  arena_free(m.arena);
}
