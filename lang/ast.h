/* ast.h - the tree: what the parser makes of one file. One node type for all; ast.def says for each kind which fields
 * it uses and what they mean. The parser takes a superset of the language (any statement in any block): what may
 * stand where is the checker's to say.
 *
 *     for (int i = 0; i < fn->params->items.n; i++) {
 *       Ast *p = fn->params->items.at[i];                 // PARAMETER: p->name, p->type (or NULL), p->value (or
 * NULL)
 *     }
 *     if (e->kind == AST_BINARY && e->op == OP_LT) check(e->left), check(e->right);
 *
 * Spans are exact: `span` is the whole construct, `name_span` the name alone. Nodes live in the parser's arena and
 * are not changed after parsing. */
#ifndef NNC_LANG_AST_H
#define NNC_LANG_AST_H

#include "lang/source.h"

#define SMALL_ENUM __attribute__((packed)) /* one byte: there are many nodes */

typedef enum SMALL_ENUM AstKind {
#define AST(kind, word, roles, meaning) AST_##kind,
#include "lang/ast.def"
  AST_KIND_COUNT
} AstKind;

typedef enum SMALL_ENUM Op {
#define OP(name, spelling, tightness) OP_##name,
#include "lang/ast.def"
  OP_COUNT
} Op;

typedef enum AstFlags {
  AST_DRAW = 1,      /* `~` instead of `=` */
  AST_FROZEN = 2,    /* `frozen` after the value */
  AST_NODECAY = 4,   /* `nodecay` after the value */
  AST_SAMPLE = 8,    /* `sample entry` */
  AST_BRACKETS = 16, /* an expression in brackets of its own */
  AST_KEEP = 32,     /* `keep entry` */
} AstFlags;

typedef struct Ast Ast;
typedef Vec(Ast *) AstList;

struct Ast {
  AstKind kind;
  Op op; /* of UNARY and BINARY */
  uint16_t flags;
  uint16_t height; /* of the tree below; at most 1000, so that walks may recurse */
  Span span;
  Span name_span; /* source 0 where there is no name */
  Str name;       /* NULL where there is none */
  Str doc;        /* a declaration's `##` lines, joined by newlines without the signs; or NULL */
  union {
    int64_t integer;
    double real;
    Str text; /* NULL where there is none */
  };
  union { /* by role, or all of them */
    struct {
      union {
        Ast *params, *left, *cond, *callee, *base, *target, *low;
      };
      union {
        Ast *type, *right, *then, *binders, *high, *bound;
      };
      union {
        Ast *where, *range, *shape, *stalls, *step;
      };
      union {
        Ast *value, *body;
      };
      union {
        Ast *with, *args, *otherwise, *from;
      };
    };
    Ast *slots[5];
  };
  AstList items;
};

const char *ast_word(AstKind kind); /* as printed: "fn", "define-at" */
const char *op_spelling(Op op);     /* "+", "and" */
int op_tightness(Op op);            /* higher binds tighter */

/* Child i of a node by its slot, then its items; for walks that do not care for roles. A child that is absent is
 * NULL; i counts to ast_child_count. */
enum { AST_SLOTS = sizeof((Ast *)0)->slots / sizeof(Ast *) };
static inline int ast_child_count(const Ast *n) { return AST_SLOTS + n->items.n; }
static inline Ast *ast_child(const Ast *n, int i) { return i < AST_SLOTS ? n->slots[i] : n->items.at[i - AST_SLOTS]; }

/* Writes the tree as --emit=ast shows it: one node a line with its place (line:column-column), children indented and
 * named by their role. */
void ast_print(Buf *out, const Ast *root, const Sources *sources);

#endif
