/* parser.h - what the grammar's actions, the driver (parse.c) and the messages (syntax_error.c) share. Private to
 * lang/. The builders are in build.c; each takes tokens and nodes and returns a node whose span covers them. */
#ifndef NNC_LANG_PARSER_H
#define NNC_LANG_PARSER_H

#include "lang/ast.h"
#include "lang/lex.h"

enum {
  MAX_HEIGHT = 1000, /* of a tree: everything after the parser may recurse */
  MAX_ERRORS = 200,  /* then the rest is not read: it is no program */
};

/* What to do after an error; syntax_error() decides, parse.c does it. */
typedef enum Recovery {
  RECOVER_NOT,
  RECOVER_SKIP,      /* pass over the rest of the statement, with the blocks in it */
  RECOVER_NEXT,      /* the same from the next token on */
  RECOVER_STATEMENT, /* the statement ended before this token, which begins the next one */
  RECOVER_LAST,      /* the same before the token before this one */
  RECOVER_CLOSE,     /* all open blocks ended before this token */
} Recovery;

typedef struct Parser {
  Arena *arena;
  DiagSink *sink;
  Lexer lexer;
  void *machine; /* Lemon's */
  Ast *file;     /* the list of the file's nodes, once it is whole */
  Ast *lone;     /* an expression that stood as a statement, if what follows fits */
  Token last, before_last;
  Span end; /* of the last token that is no newline */
  Recovery recovery;
  bool too_deep, abandoned;
  bool erred; /* there was a syntax error */
} Parser;

/* Lemon's entry points, and three of grammar.y's own: whether a token could come next; make the next error be
 * told; whether a token that did not fit was taken nevertheless, as the end of what was dropped. */
void *GrammarAlloc(void *(*allocate)(size_t));
void GrammarFree(void *machine, void (*release)(void *));
void Grammar(void *machine, int kind, Token t, Parser *p);
bool grammar_accepts(void *machine, int token);
void grammar_recovered(void *machine);
bool grammar_took(const void *machine);

/* syntax_error.c: says what is wrong with the token that does not fit, and sets p->recovery. */
void syntax_error(Parser *p, void *machine, Token t);
void unclosed_at_end(Parser *p);
void parser_too_deep(Parser *p);

/* build.c */
Ast *node(Parser *p, AstKind kind, Span span);
/* Makes x the child of n in this field (x may be NULL) and stretches n's span over it. */
void set(Parser *p, Ast *n, Ast **field, Ast *x);
Ast *with_name(Parser *p, Ast *n, Token name);
Ast *documented(Parser *p, Ast *n); /* gives it the comment that stood before it */

Ast *list_empty(Parser *p, Token near);
Ast *list_start(Parser *p, Ast *x); /* x may be NULL: no element */
Ast *list_add(Parser *p, Ast *list, Ast *x);
Ast *list_before(Parser *p, Ast *x, Ast *list); /* x, then the list's elements */
Ast *list_span(Ast *list, Token open, Token close);
Ast *take_items(Parser *p, Ast *n, Ast *list);

Ast *text_node(Parser *p, AstKind kind, Token keyword, Token text);
Ast *declare(Parser *p, AstKind kind, Token keyword, Token name, Ast *params, Ast *body);
Ast *parameter(Parser *p, Token name, Ast *type, Ast *value);
Ast *type_node(Parser *p, Token name, Ast *bound, Ast *shape, Token last);
Ast *part(Parser *p, const Token *name, Ast *type);
Ast *named_result(Ast *type, Token name, Token open, Token close); /* `(total: f32)`, a type whose value has a name */

Ast *define(Parser *p, Ast *target, Ast *type, const Token *sign, Ast *value, Ast *tails);
void assign(Parser *p, Ast *n, Token sign, Ast *value, Ast *tails);
Ast *tail_where(Parser *p, Ast *tails, Ast *where);
Ast *tail_from(Parser *p, Ast *tails, Ast *from);
Ast *tail_skip(Parser *p, Ast *tails, Token word, Ast *names);
Ast *tail_as(Parser *p, Ast *tails, Token text);
Ast *tail_flag(Parser *p, Ast *tails, AstFlags flag, Token word);
Ast *unpack(Parser *p, Ast *targets, Ast *value);
Ast *next_value(Parser *p, Ast *target, Ast *value);
Ast *lone_expression(Parser *p, Ast *e);
void report_lone(Parser *p);
Ast *if_node(Parser *p, Token keyword, Ast *cond, Ast *then, Ast *otherwise);
Ast *repeat(Parser *p, Token keyword, const Token *name, Ast *range, Ast *cond, Ast *body);

Ast *literal(Parser *p, Token t);
Ast *name_node(Parser *p, Token t);
Ast *bracketed(Ast *e, Token open, Token close);
Ast *ast_unary(Parser *p, Op op, Token sign, Ast *e);
Ast *binary(Parser *p, Op op, Ast *left, Ast *right);
Ast *compare(Parser *p, Op op, Ast *left, Ast *right);
Ast *pipe_into(Parser *p, Ast *left, Ast *right);
Ast *ast_choose(Parser *p, Token keyword, Ast *cond, Ast *then, Ast *otherwise);
Ast *comprehension(Parser *p, Ast *indices, Ast *body);
Ast *guard(Parser *p, Token open, Ast *value, Ast *otherwise, Token close);
Ast *member(Parser *p, Ast *base, Token name);
Ast *index_node(Parser *p, Ast *base, Ast *indices, Token close);
Ast *ast_slice(Parser *p, Ast *low, Token colon, Ast *high, Token last_colon, Ast *step);
Ast *call(Parser *p, Ast *callee, Ast *args, Token close);
Ast *apply(Parser *p, Ast *callee, Ast *binders, Ast *where, Ast *args, Token close);
Ast *argument(Parser *p, const Token *name, Ast *value);

#endif
