/* parse.c - drives scanner and grammar over one source, and recovers from errors: a statement that does not parse is
 * passed over with the blocks in it, and the next one is read as if nothing had been. */
#include "lang/parse.h"
#include "lang/parser.h"

#include <stdlib.h>
#include <string.h>

/* The byte length of the UTF-8 character at s, 0 if there is none (overlong and surrogates included). */
static size_t utf8_length(const unsigned char *s, size_t left) {
  if (s[0] < 0x80) return 1;
  size_t n = s[0] >= 0xc2 && s[0] < 0xe0 ? 2 : (s[0] & 0xf0) == 0xe0 ? 3 : s[0] >= 0xf0 && s[0] < 0xf5 ? 4 : 0;
  if (n == 0 || n > left) return 0;
  for (size_t i = 1; i < n; i++)
    if ((s[i] & 0xc0) != 0x80) return 0;
  if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f)) return 0;
  if ((s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f)) return 0;
  return n;
}

static bool check_encoding(Parser *p) {
  const Source *s = p->lexer.source;
  for (size_t i = 0; i < s->n;) {
    size_t n = utf8_length((const unsigned char *)s->text + i, s->n - i);
    if (n == 0) {
      Span at = {p->lexer.number, (uint32_t)i, (uint32_t)i + 1, 0};
      diag_help(diag_add(p->sink, DIAG_BAD_ENCODING, at, "this is no UTF-8 text"),
                "save the file as UTF-8 (byte %zu is the first that is not)", i + 1);
      return false;
    }
    i += n;
  }
  return true;
}

static void feed(Parser *p, Token t) {
  Grammar(p->machine, t.kind, t, p);
  if (p->lone && p->recovery == RECOVER_NOT) report_lone(p);
  p->lone = NULL;
  p->before_last = p->last;
  p->last = t;
  if (t.kind != T_NEWLINE && t.span.source) p->end = (Span){t.span.source, t.span.end, t.span.end, 0};
}

static Token token_here(int kind, Token at) {
  Token t = {.kind = kind, .span = {at.span.source, at.span.begin, at.span.begin, 0}};
  return t;
}

/* Takes back the scanner's message about a token that is passed over: the statement has its message. */
static void drop_message(Parser *p, Token t) {
  DiagSink *s = p->sink;
  for (int i = s->all.n - 1; t.kind == T_BAD && i >= 0 && i >= s->all.n - 4; i--) {
    if (s->all.at[i]->labels.at[0].span.begin != t.span.begin) continue;
    diag_drop(s, i);
  }
}

/* Passes over the rest of a statement from token t on: the first that ends it is returned, a newline, the `}` of the
 * block around it, or the end. A line that begins no further right than the statement ends it too, for a bracket may
 * have been left open; but not one that begins with a closing bracket, or with what belongs to the statement. */
static Token skip_statement(Parser *p, Token t) {
  Lexer *l = &p->lexer;
  int indent = l->statement_indent, braces = 0;
  for (bool first = true;; t = lexer_next(l), first = false) {
    if (t.kind == T_END) return t;
    if (!first) drop_message(p, t);
    if (t.kind == T_LBRACE) braces++;
    if (t.kind == T_RBRACE) {
      if (braces-- == 0) return t;
      continue;
    }
    if (t.kind == T_NEWLINE && braces == 0) return t;
    bool bracket = t.kind == T_RPAREN || t.kind == T_RBRACKET || t.kind == T_LPAREN || t.kind == T_LBRACKET ||
                   t.kind == T_LBRACE;
    if (!first && t.first_on_line && braces == 0 && !bracket && t.indent <= indent) return t;
  }
}

/* Gives the grammar token t, as the first of a new statement. */
static void restart(Parser *p, Token t) {
  lexer_restart(&p->lexer, &t);
  feed(p, token_here(T_NEWLINE, t));
  grammar_recovered(p->machine);
  feed(p, t);
}

static void close_blocks(Parser *p, Token at) {
  Lexer *l = &p->lexer;
  for (; l->open.n; l->open.n--)
    if (l->open.at[l->open.n - 1].kind == T_LBRACE) feed(p, token_here(T_RBRACE, at));
}

/* Token t did not fit, and the grammar has dropped what it had of the statement. Gives it what makes it ready for the
 * next one. That may be an error again; every turn passes over a token or forgets an open bracket. */
static void recover(Parser *p, Token t) {
  Lexer *l = &p->lexer;
  bool taken = p->recovery != RECOVER_NOT && t.kind == T_RBRACE && grammar_took(p->machine);
  for (uint32_t misfit = t.span.begin; p->recovery != RECOVER_NOT;) {
    Recovery how = p->recovery;
    p->recovery = RECOVER_NOT;
    if (how == RECOVER_LAST) {
      Token name = p->before_last; /* `last` is the one that did not fit */
      restart(p, name);
      if (p->recovery == RECOVER_NOT) feed(p, t);
      continue;
    }
    if (how == RECOVER_NEXT) t = lexer_next(l);
    if (how == RECOVER_CLOSE) close_blocks(p, t);
    if (how == RECOVER_SKIP || how == RECOVER_NEXT) t = skip_statement(p, t);
    lexer_drop(l);
    bool ends = t.kind == T_NEWLINE || t.kind == T_RBRACE || t.kind == T_END;
    if (!ends) {
      restart(p, t);
      continue;
    }
    if (t.kind == T_RBRACE && l->unmatched && l->open.n) l->open.n--;
    if (t.kind == T_END) return; /* finish() ends the statement */
    if (t.kind == T_RBRACE) grammar_recovered(p->machine);
    if (taken && t.span.begin == misfit) return;
    feed(p, t);
    if (p->recovery == RECOVER_NOT) grammar_recovered(p->machine);
    else p->recovery = RECOVER_NEXT; /* not even the end of a statement fits: go on after it */
  }
}

/* Ends the last statement and closes what is open, so that what was understood becomes a tree. */
static void finish(Parser *p, Token end) {
  Lexer *l = &p->lexer;
  const Token *o = l->open.n ? &l->open.at[l->open.n - 1] : NULL;
  bool in_brackets = o && o->kind != T_LBRACE;
  if (!in_brackets) {
    Token t = token_here(T_NEWLINE, end);
    feed(p, t);
    recover(p, t);
  }
  if (l->open.n) {
    unclosed_at_end(p);
    if (in_brackets) feed(p, token_here(T_BAD, end));
    lexer_drop(l);
    close_blocks(p, end);
  }
  feed(p, end);
}

static void run(Parser *p) {
  feed(p, (Token){.kind = T_NEWLINE}); /* Lemon can't recover on an empty stack */
  for (;;) {
    Token t = lexer_next(&p->lexer);
    if (t.kind == T_END) {
      finish(p, t);
      return;
    }
    feed(p, t);
    recover(p, t);
    if (p->abandoned) return;
  }
}

Ast *parse_source(Arena *arena, StrTable *names, const Sources *sources, uint32_t source, DiagSink *sink) {
  Parser p = {.arena = arena, .sink = sink, .last = {.kind = T_NEWLINE}};
  lexer_init(&p.lexer, arena, names, sources, source, sink);
  p.machine = GrammarAlloc(malloc);
  if (!p.machine) ice("out of memory");
  if (check_encoding(&p)) run(&p);
  GrammarFree(p.machine, free);
  Ast *file = node(&p, AST_FILE, (Span){source, 0, (uint32_t)p.lexer.source->n, 0});
  if (p.file) take_items(&p, file, p.file);
  return file;
}
