/* layout.c - the second step of lexing: which newlines end a statement, and which words are words of the language.
 * In: raw tokens. Out: the tokens that the grammar is written for. The rules are those of the manual's "Lexical
 * rules": they ask only for the brackets open, the token before and the one or two after. */
#include "lang/lex.h"
#include "lang/parse.h"

#include <string.h>

#define AFTER    TOKEN_AFTER
#define BEFORE   TOKEN_BEFORE
#define RESERVED TOKEN_RESERVED
#define WORD     TOKEN_WORD
#define CONTEXT  TOKEN_CONTEXT

static const struct {
  const char *name, *text;
  int flags;
} tokens[] = {
#define TOKEN(kind, text, flags) [T_##kind] = {#kind, text, flags},
#include "lang/token.def"
};

int token_kinds(void) { return (int)(sizeof tokens / sizeof *tokens); }
const char *token_kind_name(int kind) { return tokens[kind].name; }
const char *token_text(int kind) { return tokens[kind].text; }
int token_flags(int kind) { return tokens[kind].flags; }

int token_word(Str word, int flags) {
  for (int i = 0; i < token_kinds(); i++)
    if ((tokens[i].flags & flags) && tokens[i].text[0] == word[0] && !strcmp(tokens[i].text, word)) return i;
  return 0;
}

void lexer_init(Lexer *l, Arena *arena, StrTable *names, const Sources *sources, uint32_t source, DiagSink *sink) {
  *l = (Lexer){.arena = arena, .names = names, .sink = sink, .number = source};
  l->source = sources_get(sources, source);
  l->cursor = l->source->text;
  if (l->source->n >= 3 && !memcmp(l->cursor, "\xef\xbb\xbf", 3)) l->cursor += 3; /* a byte order mark */
  l->line_start = l->at_start = true;
  l->last = T_NEWLINE;
}

/* Raw token number i after those already used, without using it. */
static Token *peek(Lexer *l, int i) {
  while (l->n_ahead <= i) l->ahead[l->n_ahead++] = lexer_raw(l);
  return &l->ahead[i];
}

const Token *lexer_peek(Lexer *l) { return peek(l, 0); }

static Token take(Lexer *l) {
  Token t = *peek(l, 0);
  l->ahead[0] = l->ahead[1];
  l->n_ahead--;
  return t;
}

static bool in_brackets(const Lexer *l) { return l->open.n && l->open.at[l->open.n - 1].kind != T_LBRACE; }

/* Whether the newline that comes next ends a statement. */
static bool newline_counts(Lexer *l) {
  if (in_brackets(l) || l->last == T_NEWLINE || (token_flags(l->last) & TOKEN_AFTER)) return false;
  return !(token_flags(peek(l, 1)->kind) & TOKEN_BEFORE);
}

/* The kind of the next token that will be given. */
static int next_kind(Lexer *l) {
  int kind = peek(l, 0)->kind;
  if (kind == T_NEWLINE && (token_flags(peek(l, 1)->kind) & TOKEN_BEFORE)) return peek(l, 1)->kind;
  return kind;
}

/* A statement's word is a name before these. */
static bool makes_name(int next) {
  return next == T_EQUALS || next == T_COLON || next == T_TILDE || next == T_COMMA || next == T_DOT ||
         next == T_LBRACKET || next == T_LARROW;
}

/* Keeps the list of open brackets. A closing bracket that does not fit is left for the parser to complain about. */
static void note_bracket(Lexer *l, Token t) {
  static const int opener[][2] = {{T_RPAREN, T_LPAREN}, {T_RBRACKET, T_LBRACKET}, {T_RBRACE, T_LBRACE}};
  if (t.kind == T_LPAREN || t.kind == T_LBRACKET || t.kind == T_LBRACE) vec_push(l->arena, &l->open, t);
  l->unmatched = false;
  for (int i = 0; i < 3; i++) {
    if (t.kind != opener[i][0]) continue;
    l->unmatched = !l->open.n || l->open.at[l->open.n - 1].kind != opener[i][1];
    if (l->unmatched) continue;
    Token o = l->open.at[--l->open.n];
    if (t.kind == T_RBRACE && t.first_on_line && !l->misfit.kind && o.indent > t.indent) l->misfit = o;
  }
}

static void begin_statement(Lexer *l, Token *t) {
  int word = t->kind == T_NAME ? token_word(t->text, TOKEN_WORD) : 0;
  if (word && !makes_name(next_kind(l))) t->kind = word;
  t->starts = true;
  l->statement_indent = t->indent;
}

void lexer_drop(Lexer *l) {
  while (in_brackets(l)) l->open.n--;
}

void lexer_restart(Lexer *l, Token *t) {
  lexer_drop(l);
  begin_statement(l, t);
  l->last = t->kind;
}

Token lexer_next(Lexer *l) {
  while (peek(l, 0)->kind == T_NEWLINE && l->source->text[peek(l, 0)->span.begin] == '\n' && !newline_counts(l))
    take(l);
  Token t = take(l);
  if (l->at_start && t.kind != T_NEWLINE && t.kind != T_RBRACE) begin_statement(l, &t);
  note_bracket(l, t);
  l->last = t.kind;
  l->at_start =
      t.kind == T_NEWLINE || t.kind == T_LBRACE || t.kind == T_RBRACE || t.kind == T_SAMPLE || t.kind == T_KEEP;
  return t;
}

Str lexer_doc(const Lexer *l, uint32_t offset) {
  int lo = 0, hi = l->docs.n;
  while (lo < hi) {
    int mid = (lo + hi) / 2;
    if (l->docs.at[mid].at < offset) lo = mid + 1;
    else hi = mid;
  }
  return lo < l->docs.n && l->docs.at[lo].at == offset ? l->docs.at[lo].text : NULL;
}

void tokens_print(Buf *out, Arena *arena, StrTable *names, const Sources *sources, uint32_t source, DiagSink *sink) {
  Lexer l;
  lexer_init(&l, arena, names, sources, source, sink);
  PositionCursor at = {.source = l.source, .line = 1, .column = 1};
  for (;;) {
    Token t = lexer_next(&l);
    position_seek(&at, t.span.begin);
    buf_printf(out, "%d:%d\t%s", at.line, at.column, token_kind_name(t.kind));
    if (t.kind != T_NEWLINE && t.kind != T_END) {
      buf_puts(out, "\t");
      buf_write(out, l.source->text + t.span.begin, t.span.end - t.span.begin);
    }
    Str doc = lexer_doc(&l, t.span.begin);
    if (doc && t.kind != T_NEWLINE) {
      buf_puts(out, "\t## ");
      for (; *doc; doc++) *doc == '\n' ? buf_puts(out, "\\n") : buf_write(out, doc, 1);
    }
    buf_puts(out, "\n");
    if (t.kind == T_END) return;
  }
}
