/* mutate_program.c - one change of a random program (random_program.h). The text is taken as tokens; a mutation looks
 * for the places that it may change, and one of them is drawn. Those that are certain leave no program, whatever the
 * rest of it is: a name that nothing defines, a dimension that its value cannot have, a bracket that is not closed.
 */
#include "tests/unit/random_program.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Token {
  const char *at;
  int n;
  int line;   /* from 0 */
  bool first; /* of its line */
} Token;

enum { MAX_TOKENS = 4000 };

typedef struct Mutation {
  const RandomProgram *program;
  uint64_t state;
  int n, body; /* tokens; the first of the line after the head of `e` or `each` */
  int head;    /* the first of that head */
  Token token[MAX_TOKENS];
  /* the change: the text [at, at + n) becomes this */
  const char *at;
  int cut;
  char text[200];
} Mutation;

static int below(Mutation *m, int n) {
  m->state = m->state * 6364136223846793005u + 1442695040888963407u;
  return (int)((m->state >> 33) % (uint64_t)n);
}

static bool is(const Token *t, const char *text) {
  return (int)strlen(text) == t->n && !memcmp(t->at, text, (size_t)t->n);
}
static bool is_name(const Token *t) { return isalpha((unsigned char)t->at[0]) || t->at[0] == '_'; }
static bool is_number(const Token *t) {
  return isdigit((unsigned char)t->at[0]) && !memchr(t->at, '.', (size_t)t->n);
}
/* v3, x0: a tensor of the body. */
static bool is_tensor(const Token *t) {
  return t->n > 1 && strchr("vx", t->at[0]) && isdigit((unsigned char)t->at[1]);
}

static const RandomTensor *tensor_named(const Mutation *m, const Token *t) {
  for (int i = 0; i < m->program->n; i++)
    if (is(t, m->program->tensors[i].name)) return &m->program->tensors[i];
  return NULL;
}

static const Token *token(const Mutation *m, int i) {
  static const Token none = {"", 0, -1, true};
  return i >= 0 && i < m->n ? &m->token[i] : &none;
}

static int token_length(const char *s) {
  static const char *const signs[] = {"=>", "->", "<-", "|>", "==", "!=", "<=", ">=", "**", "//"};
  int n = 0;
  if (*s == '"') return (int)strcspn(s + 1, "\"") + 2;
  if (isalpha((unsigned char)*s) || *s == '_')
    while (isalnum((unsigned char)s[n]) || s[n] == '_') n++;
  else if (isdigit((unsigned char)*s))
    while (isdigit((unsigned char)s[n]) || (s[n] == '.' && isdigit((unsigned char)s[n + 1]))) n++;
  for (size_t i = 0; !n && i < sizeof signs / sizeof *signs; i++)
    if (!strncmp(s, signs[i], 2)) return 2;
  return n ? n : 1;
}

static void read_tokens(Mutation *m) {
  int line = 0;
  bool first = true;
  for (const char *s = m->program->text.text; *s && m->n < MAX_TOKENS;) {
    if (*s == '\n') line++, first = true;
    if (*s == '\n' || *s == ' ') {
      s++;
      continue;
    }
    Token t = {s, token_length(s), line, first};
    m->token[m->n++] = t;
    s += t.n, first = false;
  }
  for (int i = 0; i < m->n && !m->head; i++)
    if (is(token(m, i), "entry") || (is(token(m, i), "fn") && is(token(m, i + 1), "each"))) m->head = i;
  m->body = m->head;
  while (m->body < m->n && token(m, m->body)->line == token(m, m->head)->line) m->body++;
}

static void replace(Mutation *m, const Token *t, const char *text) {
  m->at = t->at, m->cut = t->n;
  snprintf(m->text, sizeof m->text, "%s", text);
}

/* A place that fits, drawn; -1 if there is none. */
static int find(Mutation *m, bool (*fits)(const Mutation *m, int i)) {
  int chosen = -1, seen = 0;
  for (int i = 0; i < m->n; i++)
    if (fits(m, i) && below(m, ++seen) == 0) chosen = i;
  return chosen;
}

/* ---- places ---- */

static bool in_body(const Mutation *m, int i) { return i >= m->body && m->head < i; }

/* A name that is read: no definition, no name of an argument. */
static bool is_use(const Mutation *m, int i) {
  const Token *next = token(m, i + 1);
  return in_body(m, i) && is_tensor(token(m, i)) && !token(m, i)->first && !is(token(m, i - 1), "state") &&
         !is(next, ":") && !is(next, "=") && !is(token(m, i - 1), ",") && !is(token(m, i - 1), "{");
}

static bool is_call(const Mutation *m, int i) {
  static const char *const words[] = {"if",    "then",  "else",   "and",  "or",   "not", "in",
                                      "while", "where", "return", "over", "with", "npy"};
  if (!in_body(m, i) || !is_name(token(m, i)) || !is(token(m, i + 1), "(")) return false;
  for (size_t k = 0; k < sizeof words / sizeof *words; k++)
    if (is(token(m, i), words[k])) return false;
  return !is(token(m, i - 1), "fn") && !is(token(m, i - 1), "|>");
}

/* A call of a function that takes one argument and nothing else. */
static bool is_call_of_one(const Mutation *m, int i) {
  static const char *const names[] = {"tanh",    "sin",         "cos",       "sigmoid", "erf",     "softmax",
                                      "centred", "log_softmax", "reverse",   "cumsum",  "squares", "spread",
                                      "parted",  "square",      "transpose", "flatten"};
  for (size_t k = 0; k < sizeof names / sizeof *names; k++)
    if (is(token(m, i), names[k])) return is_call(m, i) && !is(token(m, i + 2), ")");
  return false;
}

static bool is_closing(const Mutation *m, int i) { return is(token(m, i), ")") || is(token(m, i), "]"); }

/* The number in `[2]`, all that a tensor is read at. */
static bool is_only_index(const Mutation *m, int i) {
  return in_body(m, i) && is_number(token(m, i)) && is(token(m, i - 1), "[") && is(token(m, i + 1), "]") &&
         is_tensor(token(m, i - 2)) && !token(m, i - 2)->first && !is(token(m, i + 2), "=") &&
         !is(token(m, i - 3), "state");
}

/* A dimension of the result's type, which stands in the head. */
static bool is_result_dim(const Mutation *m, int i) {
  if (i < m->head || i >= m->body || !is_number(token(m, i))) return false;
  int arrow = i;
  while (arrow > m->head && !is(token(m, arrow), "->") && !is(token(m, arrow), "where")) arrow--;
  return is(token(m, arrow), "->");
}

/* A dimension of the type in `  v3: f32[2, 4] = `, whose value has no indices of its own to take it from. */
static bool is_declared_dim(const Mutation *m, int i) {
  int start = i;
  while (start > m->body && !token(m, start)->first) start--;
  if (!in_body(m, i) || !is_number(token(m, i)) || !is_tensor(token(m, start)) || !is(token(m, start + 1), ":"))
    return false;
  for (int k = start; k < i; k++)
    if (is(token(m, k), "=")) return false;
  return true;
}

static bool is_used_below(const Mutation *m, int i) {
  for (int k = i + 1; k < m->n; k++)
    if (token(m, k)->line > token(m, i)->line && is_use(m, k) && token(m, k)->n == token(m, i)->n &&
        !memcmp(token(m, k)->at, token(m, i)->at, (size_t)token(m, i)->n))
      return true;
  return false;
}

/* A definition on one line of a name that is read later. */
static bool is_needed_definition(const Mutation *m, int i) {
  return in_body(m, i) && token(m, i)->first && is_tensor(token(m, i)) && !is(token(m, i + 1), ",") &&
         token(m, i)->at[-3] == '\n' && is_used_below(m, i);
}

static bool is_plain_definition(const Mutation *m, int i) {
  return in_body(m, i) && token(m, i)->first && is_tensor(token(m, i)) && is(token(m, i + 1), "=") &&
         !is(token(m, i + 2), "parted");
}

static bool is_return(const Mutation *m, int i) {
  return in_body(m, i) && token(m, i)->first && is(token(m, i), "return");
}

/* In a line that only computes element by element, one of two tensors or more; or one whose type is declared. */
static bool is_elementwise(const Mutation *m, int i) {
  if (!is_use(m, i) || !tensor_named(m, token(m, i)) || !tensor_named(m, token(m, i))->rank) return false;
  int start = i, others = 0;
  while (!token(m, start)->first) start--;
  bool typed = is(token(m, start + 1), ":");
  if (!typed && !is(token(m, start + 1), "=")) return false;
  int k = start + 2;
  while (typed && !is(token(m, k), "=")) k++;
  for (; token(m, k)->line == token(m, i)->line; k++) {
    const RandomTensor *other = tensor_named(m, token(m, k));
    if (strchr("[{:", token(m, k)->at[0]) || is(token(m, k), "grad") || is(token(m, k), "jvp")) return false;
    /* a function of a whole dimension may give another shape */
    if (is_call(m, k) && !is_call_of_one(m, k) && !is(token(m, k), "max") && !is(token(m, k), "min")) return false;
    if (is(token(m, k), "squares") || is(token(m, k), "spread") || is(token(m, k), "transpose") ||
        is(token(m, k), "flatten"))
      return false;
    if (is(token(m, k), "|>")) return false;
    others += other && k != i && other->rank > 0;
  }
  return typed || others > 0;
}

static bool is_any(const Mutation *m, int i) {
  (void)m;
  (void)i;
  return true;
}
static bool is_any_number(const Mutation *m, int i) { return is_number(token(m, i)); }
static bool is_any_name(const Mutation *m, int i) { return is_name(token(m, i)); }
static bool is_type_word(const Mutation *m, int i) {
  return is(token(m, i), "f32") || is(token(m, i), "float") || is(token(m, i), "i32");
}
static bool is_operator(const Mutation *m, int i) {
  static const char *const signs[] = {"+", "-", "*", "/", "<", ">", "<=", ">=", "==", "!=", "%", "**", "//"};
  for (size_t k = 0; k < sizeof signs / sizeof *signs; k++)
    if (is(token(m, i), signs[k])) return true;
  return false;
}
/* `i, j` and `2, 4`: what an exchange would turn round. */
static bool is_pair(const Mutation *m, int i) {
  const Token *a = token(m, i), *b = token(m, i + 2);
  return is(token(m, i + 1), ",") && a->line == b->line && (is_name(a) || is_number(a)) &&
         (is_name(b) || is_number(b));
}

/* ---- mutations: false if there is no place for it ---- */

static bool undefined_name(Mutation *m) {
  int i = find(m, is_use);
  if (i >= 0) replace(m, token(m, i), "nowhere");
  return i >= 0;
}

static bool undefined_function(Mutation *m) {
  int i = find(m, is_call);
  if (i >= 0) replace(m, token(m, i), "nothing_is_called_so");
  return i >= 0;
}

static bool dropped_argument(Mutation *m) {
  int i = find(m, is_call_of_one), depth = 0, k = i + 1;
  if (i < 0) return false;
  do depth += is(token(m, k), "(") - is(token(m, k), ")"), k++;
  while (depth && k < m->n);
  m->at = token(m, i + 1)->at;
  m->cut = (int)(token(m, k - 1)->at - m->at) + 1;
  snprintf(m->text, sizeof m->text, "()");
  return true;
}

static bool added_argument(Mutation *m) {
  int i = find(m, is_call_of_one);
  if (i >= 0) replace(m, token(m, i + 1), "(x0, ");
  return i >= 0;
}

static bool unclosed_bracket(Mutation *m) {
  int i = find(m, is_closing);
  if (i >= 0) replace(m, token(m, i), "");
  return i >= 0;
}

static bool index_outside(Mutation *m) {
  int i = find(m, is_only_index);
  if (i >= 0) replace(m, token(m, i), below(m, 2) ? "97" : "-98");
  return i >= 0;
}

static bool other_number(Mutation *m, int i) {
  char text[16];
  if (i < 0) return false;
  int by = 1 + below(m, 3), was = atoi(token(m, i)->at);
  snprintf(text, sizeof text, "%d", below(m, 2) && was > by ? was - by : was + by);
  replace(m, token(m, i), text);
  return true;
}

static bool result_dim(Mutation *m) { return other_number(m, find(m, is_result_dim)); }
static bool declared_dim(Mutation *m) { return other_number(m, find(m, is_declared_dim)); }

static bool removed_line(Mutation *m, int i) {
  if (i < 0) return false;
  while (i > 0 && !token(m, i)->first) i--;
  m->at = token(m, i)->at;
  m->cut = (int)strcspn(m->at, "\n");
  m->text[0] = 0;
  return true;
}

static bool removed_definition(Mutation *m) { return removed_line(m, find(m, is_needed_definition)); }
static bool removed_return(Mutation *m) { return removed_line(m, find(m, is_return)); }

static bool comparison_for_definition(Mutation *m) {
  int i = find(m, is_plain_definition);
  if (i >= 0) replace(m, token(m, i + 1), "==");
  return i >= 0;
}

static bool too_many_names(Mutation *m) {
  int i = find(m, is_plain_definition);
  if (i >= 0) replace(m, token(m, i + 1), ", more =");
  return i >= 0;
}

/* An operand becomes a tensor of another shape. */
static bool other_shape(Mutation *m) {
  int i = find(m, is_elementwise);
  if (i < 0) return false;
  const RandomTensor *was = tensor_named(m, token(m, i));
  for (int tries = 0; tries < 20; tries++) {
    const RandomTensor *t = &m->program->tensors[below(m, m->program->n)];
    bool same = t->rank == was->rank && !memcmp(t->dim, was->dim, sizeof(int) * (size_t)t->rank);
    if (t >= was || !t->rank || same) continue; /* defined before */
    replace(m, token(m, i), t->name);
    return true;
  }
  return false;
}

static bool any_number(Mutation *m) { return other_number(m, find(m, is_any_number)); }

static bool exchanged_pair(Mutation *m) {
  int i = find(m, is_pair);
  if (i < 0) return false;
  const Token *a = token(m, i), *b = token(m, i + 2);
  m->at = a->at;
  m->cut = (int)(b->at - a->at) + b->n;
  snprintf(m->text, sizeof m->text, "%.*s, %.*s", b->n, b->at, a->n, a->at);
  return true;
}

static bool exchanged_neighbours(Mutation *m) {
  int i = find(m, is_any);
  const Token *a = token(m, i), *b = token(m, i + 1);
  if (!b->n || a->n + b->n > 150) return false;
  m->at = a->at;
  m->cut = (int)(b->at - a->at) + b->n;
  snprintf(m->text, sizeof m->text, "%.*s %.*s", b->n, b->at, a->n, a->at);
  return true;
}

static bool dropped_token(Mutation *m) {
  replace(m, token(m, find(m, is_any)), "");
  return true;
}

static bool doubled_token(Mutation *m) {
  const Token *t = token(m, find(m, is_any));
  m->at = t->at, m->cut = 0;
  snprintf(m->text, sizeof m->text, "%.*s ", t->n < 150 ? t->n : 0, t->at);
  return true;
}

static bool other_type(Mutation *m) {
  static const char *const words[] = {"i32", "bool", "f64", "f16", "i64", "num", "f32[2]", "string", "u8"};
  int i = find(m, is_type_word);
  if (i >= 0) replace(m, token(m, i), words[below(m, 9)]);
  return i >= 0;
}

static bool other_operator(Mutation *m) {
  static const char *const signs[] = {"+", "*", "//", "%", "<", "==", "**", "and", "|>", "<-", ":", "=", ".", ".."};
  int i = find(m, is_operator);
  if (i >= 0) replace(m, token(m, i), signs[below(m, 14)]);
  return i >= 0;
}

static bool other_name(Mutation *m) {
  int i = find(m, is_any_name), k = find(m, is_any_name);
  char text[200];
  snprintf(text, sizeof text, "%.*s", token(m, k)->n, token(m, k)->at);
  replace(m, token(m, i), text);
  return true;
}

static bool any_line(Mutation *m) { return removed_line(m, find(m, is_any)); }

static const struct {
  const char *what;
  bool certain;
  bool (*make)(Mutation *m);
} mutations[] = {
    {"a name that nothing defines", true, undefined_name},
    {"a function that does not exist", true, undefined_function},
    {"an argument dropped", true, dropped_argument},
    {"an argument more", true, added_argument},
    {"a bracket not closed", true, unclosed_bracket},
    {"an index outside", true, index_outside},
    {"another dimension of a result", true, result_dim},
    {"another dimension in a definition's type", true, declared_dim},
    {"a definition removed", true, removed_definition},
    {"the return removed", true, removed_return},
    {"a comparison in place of a definition", true, comparison_for_definition},
    {"two names for one value", true, too_many_names},
    {"an operand of another shape", true, other_shape},
    {"another number", false, any_number},
    {"two things of a list exchanged", false, exchanged_pair},
    {"two tokens exchanged", false, exchanged_neighbours},
    {"a token dropped", false, dropped_token},
    {"a token doubled", false, doubled_token},
    {"another type", false, other_type},
    {"another operator", false, other_operator},
    {"another name", false, other_name},
    {"a line removed", false, any_line},
};

bool random_mutation(Buf *out, const RandomProgram *program, uint64_t seed, const char **what) {
  static Mutation m;
  m = (Mutation){.program = program, .state = seed * 0x9e3779b97f4a7c15u + 11};
  read_tokens(&m);
  int k;
  do k = below(&m, (int)(sizeof mutations / sizeof *mutations));
  while (!mutations[k].make(&m));
  const char *text = program->text.text, *rest = m.at + m.cut;
  buf_write(out, text, (size_t)(m.at - text));
  buf_puts(out, m.text);
  buf_puts(out, rest);
  *what = mutations[k].what;
  return mutations[k].certain;
}
