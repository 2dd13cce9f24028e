/* syntax_error.c - what is said about a token that does not fit. From the most particular to the general: a bracket,
 * a word or sign that means something else here, and at last what the grammar's tables expect. One message for a
 * cause: parse.c passes over the rest of the statement. */
#include "lang/closest.h"
#include "lang/parser.h"

#include <string.h>

typedef struct Case { /* one error: who found it, and the token that does not fit */
  Parser *p;
  void *machine;
  Token t;
} Case;

static bool accepts(const Case *c, int kind) { return grammar_accepts(c->machine, kind); }

static bool at_end(const Case *c) { return c->t.span.begin >= c->p->lexer.source->n; }

/* The token as it stands in the text, in quotes; or its name, where its text says nothing. */
static const char *found(const Case *c) {
  Token t = c->t;
  if (at_end(c)) return token_text(T_END);
  const char *text = c->p->lexer.source->text + t.span.begin;
  if (t.kind == T_NEWLINE && *text == '\n') return token_text(T_NEWLINE);
  int n = (int)(t.span.end - t.span.begin);
  return arena_printf(c->p->arena, n > 40 ? "`%.*s…`" : "`%.*s`", n > 40 ? 40 : n, text);
}

static const char *source_text(const Case *c, Span s) {
  return arena_strndup(c->p->arena, c->p->lexer.source->text + s.begin, s.end - s.begin);
}

/* ---- brackets */

static const Token *innermost(const Lexer *l) { return l->open.n ? &l->open.at[l->open.n - 1] : NULL; }

/* The bracket around the token that does not fit, which may be one itself. */
static const Token *around(const Case *c) {
  const Token *o = innermost(&c->p->lexer);
  if (o && o->span.begin == c->t.span.begin) o = o == c->p->lexer.open.at ? NULL : o - 1;
  return o;
}

static int line_of(const Parser *p, Span at) {
  int line, column;
  source_position(p->lexer.source, at.begin, &line, &column);
  return line;
}

/* Whether a token that did not fit was found on this line: then a bracket is most likely of that. */
static bool erred_on_line(const Parser *p, Span at) {
  for (int i = 0; i < p->sink->all.n; i++) {
    const Diag *d = p->sink->all.at[i];
    if (d->code == DIAG_UNEXPECTED && d->at.source == at.source && line_of(p, d->at) == line_of(p, at)) return true;
  }
  return false;
}

static void unclosed(Parser *p, const Token *o, Span here, const char *what) {
  if (erred_on_line(p, o->span)) return;
  Diag *d = diag_add(p->sink, DIAG_UNCLOSED, o->span, "this `%s` is not closed", token_text(o->kind));
  diag_place(d, here, "%s", what);
}

static const Token *unclosed_brace(const Lexer *l) { return l->misfit.kind ? &l->misfit : innermost(l); }

void unclosed_at_end(Parser *p) {
  const Token *o = innermost(&p->lexer);
  if (o->kind == T_LBRACE) o = unclosed_brace(&p->lexer);
  unclosed(p, o, p->end, "the file ends here");
}

static bool is_closer(int kind) { return kind == T_RPAREN || kind == T_RBRACKET || kind == T_RBRACE; }

static bool is_inside(const Token *o) { return o && o->kind != T_LBRACE; } /* of ( or [ */

/* A closing bracket that fits none. */
static bool closer_case(const Case *c) {
  const Token *o = around(c);
  Token t = c->t;
  if (!is_closer(t.kind) || !c->p->lexer.unmatched) return false;
  if (is_inside(o)) {
    unclosed(c->p, o, t.span, arena_printf(c->p->arena, "before this `%s`", token_text(t.kind)));
    return true;
  }
  bool of_before = (t.kind == T_RBRACE && c->p->erred) ||
                   erred_on_line(c->p, t.span); /* what was passed over had the opening one, or should have */
  if (!of_before) diag_add(c->p->sink, DIAG_UNOPENED, t.span, "this `%s` closes nothing", token_text(t.kind));
  if (t.kind == T_RBRACE && !o) c->p->recovery = RECOVER_NEXT;
  return true;
}

/* A bracket is open, and the token looks like the beginning of another statement, or is one token after it. */
static bool open_case(const Case *c) {
  Parser *p = c->p;
  const Token *o = around(c);
  Token t = c->t, last = p->last;
  if (!is_inside(o)) return false;
  int indent = p->lexer.statement_indent;
  bool names = last.first_on_line && !last.starts && last.span.begin > o->span.begin && last.indent <= indent;
  if (names && t.kind == T_EQUALS) {
    unclosed(p, o, last.span, "before this");
    p->recovery = RECOVER_LAST;
    return true;
  }
  bool begins = t.first_on_line && !t.starts && t.indent <= indent;
  bool result = t.kind == T_RARROW && !accepts(c, T_ARROW);
  if (!begins && t.kind != T_LBRACE && !result && !at_end(c)) return false;
  unclosed(p, o, t.span, at_end(c) ? "the file ends here" : "before this");
  if (begins && !is_closer(t.kind)) p->recovery = RECOVER_STATEMENT;
  return true;
}

/* The block of a statement begins on the next line. */
static bool block_case(const Case *c) {
  Lexer *l = &c->p->lexer;
  if (c->t.kind != T_NEWLINE || !accepts(c, T_LBRACE) || lexer_peek(l)->kind != T_LBRACE) return false;
  Diag *d = diag_add(c->p->sink, DIAG_UNEXPECTED, lexer_peek(l)->span, "a block begins on the line of its statement");
  diag_place(d, (Span){c->t.span.source, c->t.span.begin, c->t.span.begin, 0}, "put `{` here");
  c->p->recovery = RECOVER_NEXT;
  return true;
}

/* `{{`: the second is passed over, and opens nothing. */
static bool doubled_case(const Case *c) {
  Lexer *l = &c->p->lexer;
  if (c->t.kind != T_LBRACE || c->p->last.kind != T_LBRACE) return false;
  Diag *d = diag_add(c->p->sink, DIAG_UNEXPECTED, c->t.span, "a block begins with one `{`");
  diag_fix(diag_help(d, "take this one away"), c->t.span, "%s", "");
  l->open.n--;
  c->p->recovery = RECOVER_NEXT;
  return true;
}

static bool declaration_case(const Case *c) {
  static const int words[] = {T_MODEL,  T_OPTIMIZER, T_METRIC, T_DATA, T_TRAIN, T_ENTRY,
                              T_SAMPLE, T_KEEP,      T_HYPER,  T_TEST, T_IMPORT};
  Lexer *l = &c->p->lexer;
  bool declares = false;
  for (size_t i = 0; i < sizeof words / sizeof *words; i++) declares |= c->t.kind == words[i];
  if (!declares || !l->open.n) return false;
  const Token *o = innermost(l);
  if (c->t.first_on_line && c->t.indent <= o->indent) {
    unclosed(c->p, unclosed_brace(l), c->t.span, arena_printf(c->p->arena, "`%s` begins something new", c->t.text));
    c->p->recovery = RECOVER_CLOSE;
    return true;
  }
  Diag *d = diag_add(c->p->sink, DIAG_NESTED_DECLARATION, c->t.span, "`%s` can't stand inside a block", c->t.text);
  diag_place(d, o->span, "the block begins here");
  diag_help(d, "move it out of the block; if this is a name, write `%s = …`", c->t.text);
  return true;
}

/* ---- words and signs that mean something else here */

static bool word_case(const Case *c) {
  Parser *p = c->p;
  Token t = c->t, word = t;
  bool reserved = (token_flags(t.kind) & TOKEN_RESERVED) && accepts(c, T_NAME) && t.kind != T_NOT;
  bool defined = t.kind == T_EQUALS || t.kind == T_COLON || t.kind == T_TILDE || t.kind == T_COMMA;
  if (!reserved && defined && p->last.starts && (token_flags(p->last.kind) & TOKEN_RESERVED)) word = p->last;
  else if (!reserved) return false;
  Diag *d = diag_add(p->sink, DIAG_RESERVED_NAME, word.span, "`%s` is a word of the language, not a name", word.text);
  if (word.kind == T_WHERE && lexer_peek(&p->lexer)->kind == T_LPAREN)
    diag_help(d, "a choice for each element is written `if c then a else b`");
  else diag_help(d, "choose another name, `%s_` for instance", word.text);
  return true;
}

static bool sign_case(const Case *c) {
  DiagSink *s = c->p->sink;
  Token t = c->t;
  if (t.kind == T_LARROW) {
    Diag *d = diag_add(s, DIAG_ARROW_COMPARISON, t.span,
                       "`<-` gives a state its next value and can't stand inside a value");
    diag_help(d, "for a comparison with a negative number write a space, `x < -1`");
    if (accepts(c, T_LT)) diag_fix(d, t.span, " < -");
    return true;
  }
  const Token *after = t.kind == T_EQUALS ? lexer_peek(&c->p->lexer) : NULL;
  if (after && (after->kind == T_LT || after->kind == T_GT) && after->span.begin == t.span.end) {
    Span both = span_join(t.span, after->span);
    const char *sign = after->kind == T_LT ? "<" : ">";
    Diag *d = diag_add(s, DIAG_UNEXPECTED, both, "no sign is written `=%s`", sign);
    diag_write(d, both, "%s=", sign);
    return true;
  }
  if (t.kind == T_EQUALS && (accepts(c, T_EQ) || accepts(c, T_NEWLINE))) {
    Diag *d = diag_add(s, DIAG_ASSIGN_IN_EXPRESSION, t.span, "`=` defines a name and can't stand inside a value");
    diag_help(d, "a comparison is written `==`; each name is defined by a statement of its own");
    diag_fix(d, t.span, "==");
    return true;
  }
  return false;
}

/* A value where a statement begins, `x + 1`. */
static bool lone_case(const Case *c) {
  bool goes_on = (token_flags(c->t.kind) & TOKEN_BEFORE) && accepts(c, T_NEWLINE);
  if (c->p->lone && goes_on) report_lone(c->p);
  return c->p->lone && goes_on;
}

/* Words that other languages begin statements with. */
static const struct {
  const char *word, *help, *text; /* what takes the word's place: NULL, where more has to change */
} foreign_words[] = {
    {"def", "functions are defined by `fn name(x: f32[N]) -> f32[N] = …`", NULL},
    {"func", "functions are defined by `fn name(x: f32[N]) -> f32[N] = …`", "fn"},
    {"function", "functions are defined by `fn name(x: f32[N]) -> f32[N] = …`", "fn"},
    {"fun", "functions are defined by `fn name(x: f32[N]) -> f32[N] = …`", "fn"},
    {"class", "models are defined by `model Name(D: int) { … }`", NULL},
    {"struct", "models are defined by `model Name(D: int) { … }`", "model"},
    {"module", "models are defined by `model Name(D: int) { … }`", "model"},
    {"let", "names are defined without a word before them, `name = value`", ""},
    {"var", "names are defined without a word before them, `name = value`", ""},
    {"const", "names are defined without a word before them, `name = value`", ""},
    {"val", "names are defined without a word before them, `name = value`", ""},
    {"elif", "write `else if`", NULL},
    {"elseif", "write `else if`", NULL},
    {"dataset", "data are declared by `data name from csv(\"file.csv\") { … }`", "data"},
    {"maximize", "write `minimize -value over …`", NULL},
    {"print", "nothing prints while a model runs; `report value` logs a value of each step", NULL},
    {"from", "the library needs no import; a file of yours is imported by `import \"file.nn\"`", NULL},
    {"use", "files are imported by `import \"file.nn\"`", "import"},
    {"include", "files are imported by `import \"file.nn\"`", "import"},
    {"lambda", "a function of indices is written `[i] => …`; name other functions by `fn`", NULL},
};

static const char *closest_word(const char *word) {
  const char *words[64];
  int n = 0;
  for (int i = 0; i < token_kinds() && n < 64; i++)
    if (token_flags(i) & (TOKEN_WORD | TOKEN_RESERVED)) words[n++] = token_text(i);
  return name_closest(word, words, n);
}

/* Whether t begins a line further in than the one before, where a statement ended too early: it is the rest of it. */
static bool continues(const Parser *p, Token t) {
  const Diag *d = p->sink->all.n ? p->sink->all.at[p->sink->all.n - 1] : NULL;
  if (!d || d->code != DIAG_UNEXPECTED || d->at.source != t.span.source || d->at.begin > t.span.begin) return false;
  const char *text = p->lexer.source->text, *line = text + d->at.begin;
  if (*line != '\n' || 1 + strspn(line + 1, " \t") != t.span.begin - d->at.begin) return false;
  while (line > text && line[-1] != '\n') line--;
  return t.span.begin - d->at.begin - 1 > strspn(line, " \t");
}

/* A name where a statement begins, and then something that no definition goes on with. */
static bool unknown_word_case(const Case *c) {
  Token last = c->p->last;
  bool follows = c->t.kind == T_NAME || c->t.kind == T_STRING || c->t.kind == T_LBRACE ||
                 (token_flags(c->t.kind) & TOKEN_CONTEXT) || c->t.kind == T_INTEGER || c->t.kind == T_REAL ||
                 c->t.kind == T_TRUE || c->t.kind == T_FALSE;
  bool names = last.kind == T_NAME || (last.kind == T_FROM && last.starts);
  if (!names || !follows) return false;
  const char *help = NULL, *text = NULL;
  for (size_t i = 0; i < sizeof foreign_words / sizeof *foreign_words; i++)
    if (!strcmp(last.text, foreign_words[i].word)) help = foreign_words[i].help, text = foreign_words[i].text;
  const char *close = help || !last.starts || strlen(last.text) < 4 ? NULL : closest_word(last.text);
  if (!last.starts && !help) return false;
  if (last.starts && continues(c->p, last)) return true;
  Diag *d = diag_add(c->p->sink, DIAG_UNKNOWN_WORD, last.span,
                     last.starts ? "no statement begins like this" : "`%s` is no word of the language", last.text);
  bool typed = c->t.kind == T_NAME && lexer_peek(&c->p->lexer)->kind == T_EQUALS; /* `f32 x = 3` */
  if (help) diag_help(d, "%s", help);
  else if (typed) diag_help(d, "a name's type stands after it, `%s: %s = …`", c->t.text, last.text);
  else if (close) diag_meant(d, last.span, close);
  else diag_help(d, "a definition is written `%s = …`", last.text);
  if (text) diag_fix(d, last.span, "%s", text); /* after the help, which a fix keeps */
  return true;
}

/* ---- what was expected */

static const int value_starts[] = {T_INTEGER, T_REAL,     T_STRING, T_NAME, T_TRUE, T_FALSE,
                                   T_LPAREN,  T_LBRACKET, T_MINUS,  T_NOT,  T_IF};
static const int value_goes_on[] = {T_PIPE, T_OR,     T_AND,      T_EQ,   T_NE,     T_LT,      T_LE,      T_GT,
                                    T_GE,   T_PLUS,   T_MINUS,    T_STAR, T_SLASH,  T_DSLASH,  T_PERCENT, T_POW,
                                    T_DOT,  T_LPAREN, T_LBRACKET, T_FROM, T_FROZEN, T_NODECAY, T_SKIP};
static const int type_starts[] = {T_NAME, T_TYPE_LT, T_FN, T_LPAREN};

static bool among(int kind, const int *kinds, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (kinds[i] == kind) return true;
  return false;
}
#define AMONG(kind, list) among((kind), (list), sizeof(list) / sizeof *(list))

static const char *expected(const Case *c) {
  const char *what[8];
  int n = 0;
  bool value = accepts(c, T_REAL), goes_on = accepts(c, T_PLUS) && accepts(c, T_STAR);
  bool type = !value && accepts(c, T_TYPE_LT), dimension = !value && !type && accepts(c, T_INTEGER);
  if (accepts(c, T_STATE)) return "a statement";
  if (value) what[n++] = "a value";
  if (type) what[n++] = "a type";
  if (dimension) what[n++] = "a dimension";
  for (int kind = 0; kind < token_kinds(); kind++) {
    if (kind == T_END || kind == T_BAD || !token_text(kind) ||
        ((token_flags(kind) & TOKEN_CONTEXT) && accepts(c, T_NAME)))
      continue;
    if ((value && AMONG(kind, value_starts)) || (type && AMONG(kind, type_starts)) ||
        (goes_on && AMONG(kind, value_goes_on)) ||
        (dimension && (kind == T_NAME || kind == T_INTEGER || kind == T_LPAREN || kind == T_MINUS)) ||
        !accepts(c, kind))
      continue;
    if (n == 5) return NULL;
    const char *text = token_text(kind);
    bool named = kind == T_NEWLINE || kind == T_NAME || kind == T_INTEGER || kind == T_STRING || kind == T_TYPE_LT;
    what[n++] = named ? text : arena_printf(c->p->arena, "`%s`", text);
  }
  Buf b = {0};
  for (int i = 0; i < n; i++) buf_printf(&b, "%s%s", i == 0 ? "" : i == n - 1 ? " or " : ", ", what[i]);
  const char *text = n ? arena_strndup(c->p->arena, b.text, b.n) : NULL;
  buf_free(&b);
  return text;
}

/* A line that ended in a sign that makes it go on, and what follows is another statement. */
static bool unfinished_case(const Case *c) {
  Parser *p = c->p;
  bool goes_on = p->last.first_on_line && !p->last.starts && (token_flags(p->before_last.kind) & TOKEN_AFTER) &&
                 !(around(c) && around(c)->kind != T_LBRACE);
  if (!goes_on || c->t.kind == T_NEWLINE) return false;
  Token sign = p->before_last;
  Diag *d =
      diag_add(p->sink, DIAG_UNEXPECTED, sign.span, "something is missing after `%s`", source_text(c, sign.span));
  diag_place(d, p->last.span, "a line that ends in `%s` goes on here", source_text(c, sign.span));
  return true;
}

/* Helps for what is written otherwise in other languages: the token found, one that would have fit, and the one
 * before (0: any), and a token that follows. The first that applies is shown. */
static const struct {
  int found, fits, last, next;
  const char *help, *text; /* text: what takes the token's place, where that is all */
} hints[] = {
    {T_RPAREN, 0, T_COMMA, 0, "no comma stands after the last one", NULL},
    {T_RBRACKET, 0, T_COMMA, 0, "no comma stands after the last one", NULL},
    {T_RBRACKET, 0, T_LBRACKET, 0, "an empty array has no type; leave it away", NULL},
    {T_COLON, T_LBRACE, T_RPAREN, T_NAME, "a result's type is written `-> type`", " ->"},
    {T_COLON, T_LBRACE, T_RPAREN, T_TYPE_LT, "a result's type is written `-> type`", " ->"},
    {T_COLON, T_LBRACE, 0, 0, "a block stands in braces, `{ … }`", NULL},
    {T_LBRACE, 0, T_ARROW, 0,
     "one expression follows `=>`; what takes several statements is a function, `[i] => f(x[i])`", NULL},
    {T_LBRACE, T_THEN, 0, 0, "a choice inside a value is written `if c then a else b`", NULL},
    {T_THEN, T_LBRACE, 0, 0,
     "a statement is written `if c { … } else { … }`, a choice inside a value `if c then a else b`", NULL},
    {T_IF, T_NEWLINE, 0, 0, "a choice is written `if c then a else b`", NULL},
    {T_NEWLINE, T_ELSE, 0, 0, "a choice has a value on both sides, `if c then a else b`", NULL},
    {T_FOR, T_COMMA, 0, 0, "a tensor's elements are given by `[i] => …`, several sub-models by `Model(…) * n`", NULL},
    {T_IN, T_COLON, 0, 0, "the range of an index is written `i < N`", "<"},
    {T_ARROW, T_EQUALS, 0, 0, "a body is written `= expression`, or `{ … return expression }`", "="},
    {T_RARROW, T_ARROW, 0, 0, "a tensor's elements are given by `[i] => …`", NULL},
    {T_WITH, T_OVER, 0, 0, "write `minimize loss over model with optimizer`", NULL},
    {T_NEWLINE, T_OVER, 0, 0, "write `minimize loss over model with optimizer`", NULL},
    {T_NEWLINE, T_WITH, 0, 0, "an optimizer follows, `with Adam(lr = 1e-3)`", NULL},
    {T_NEWLINE, T_TILDE, 0, 0, "its first values follow, `~ normal(0, 0.02)` or `= 0`", NULL},
    {T_RBRACE, T_TILDE, 0, 0, "its first values follow, `~ normal(0, 0.02)` or `= 0`", NULL},
    {T_TILDE, T_COLON, T_NAME, 0, "a parameter has a type, `param w: f32[N] ~ …`", NULL},
    {T_EQUALS, T_COLON, T_NAME, 0, "it has a type, `name: f32[N] = …`", NULL},
    {T_LPAREN, T_NAME, T_FOR, 0, "no brackets stand around it: `for x in y { … }`", NULL},
    {T_NAME, T_LBRACE, T_NAME, T_NAME,
     "a block in braces follows; that of a training says what is trained: `train digits { minimize loss over net }`",
     NULL},
    {T_WITH, T_LBRACE, T_NAME, T_NAME,
     "an optimizer stands inside: `train digits { minimize loss over net with Adam() }`", NULL},
    {T_NAME, T_COMMA, T_RPAREN, 0, "a comma is missing before it", NULL},
    {T_NAME, T_COMMA, T_NAME, 0, "a comma is missing; a parameter is written with its type after it, `x: f32`", NULL},
    {T_ELSE, 0, T_RBRACKET, 0, "what stands outside is written in brackets, `(x[i] else 0)`", NULL},
    {T_WHILE, 0, 0, 0, "a loop is written `repeat n in N while c { … }`", NULL},
    {T_DOTDOT, T_COLON, T_LBRACKET, 0,
     "`x[:, 0]` names the dimensions that are taken whole; those at the end may be left out", NULL},
    {T_DOTDOT, T_LBRACE, 0, 0, "a loop that runs N times is written `for i in N { … }`", NULL},
    {T_DOTDOT, 0, 0, 0, "a range has its bounds as arguments, `f(0, 64)`; a slice is written `x[0:64]`", NULL},
    {T_DOT, T_NEWLINE, T_NAME, 0, "the library needs no import; a file of yours is imported by `import \"file.nn\"`",
     NULL},
    {T_LBRACKET, T_TYPE_LT, 0, 0, "dimensions stand after the type of the elements, `f32[4, 3]`", NULL},
    {T_LBRACKET, T_RPAREN, T_RBRACKET, 0, "dimensions stand in one pair of brackets, `f32[4, 3]`", NULL},
    {T_DSLASH, 0, 0, 0, "a comment begins with `#`", "#"},
    {T_SLASH, 0, 0, T_STAR, "a comment begins with `#` and ends with its line", NULL},
    {T_TYPE_LT, T_REAL, 0, 0, "a type can't stand inside a value; a cast is written `i32(x)`", NULL},
};

static const char *hint_of(const Case *c, const char **text) {
  Parser *p = c->p;
  int next = lexer_peek(&p->lexer)->kind;
  for (size_t i = 0; i < sizeof hints / sizeof *hints; i++)
    if (hints[i].found == c->t.kind && (!hints[i].fits || accepts(c, hints[i].fits)) &&
        (!hints[i].last || hints[i].last == p->last.kind) && (!hints[i].next || hints[i].next == next))
      return *text = hints[i].text, hints[i].help;
  return NULL;
}

static void general_case(const Case *c) {
  const char *what = expected(c), *text = NULL, *help = hint_of(c, &text);
  DiagSink *s = c->p->sink;
  Span at = at_end(c) ? c->p->end : c->t.span; /* not the empty line after the text */
  Diag *d;
  bool after = c->p->last.kind == T_RBRACE && c->t.starts && accepts(c, T_NEWLINE);
  if (after) d = diag_add(s, DIAG_UNEXPECTED, at, "expected the end of the line or `;`, found %s", found(c));
  else if (c->t.starts) d = diag_add(s, DIAG_UNEXPECTED, at, "no statement begins with %s", found(c));
  else if (what) d = diag_add(s, DIAG_UNEXPECTED, at, "expected %s, found %s", what, found(c));
  else d = diag_add(s, DIAG_UNEXPECTED, at, "did not expect %s here", found(c));
  if (help) diag_help(d, "%s", help);
  if (text) diag_fix(d, at, "%s", text);
}

void syntax_error(Parser *p, void *machine, Token t) {
  Case c = {p, machine, t};
  p->recovery = RECOVER_SKIP;
  p->abandoned |= p->sink->errors >= MAX_ERRORS;
  if (t.kind == T_BAD) return; /* the scanner gave the message */
  if (closer_case(&c)) return;
  bool said = open_case(&c) || block_case(&c) || doubled_case(&c) || declaration_case(&c) || unfinished_case(&c) ||
              word_case(&c) || sign_case(&c) || unknown_word_case(&c) || lone_case(&c);
  if (!said) general_case(&c);
  p->erred = true;
}

void parser_too_deep(Parser *p) {
  p->abandoned = true;
  if (p->too_deep) return;
  p->too_deep = true;
  diag_help(diag_add(p->sink, DIAG_TOO_DEEP, p->lexer.open.n ? innermost(&p->lexer)->span : p->last.span,
                     "this is nested more than %d levels deep", MAX_HEIGHT),
            "give names to some of its parts");
}
