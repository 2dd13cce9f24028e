/* refuse.c - what the parser takes and elaboration would pass over: said here, so that nothing in a source is ignored
 * in silence. */
#include "frontend/refuse.h"

/* What a body computes is a value; it is not loaded or frozen. */
static bool is_body(AstKind kind) {
  return kind == AST_FN || kind == AST_ENTRY || kind == AST_METRIC || kind == AST_TRAIN || kind == AST_DATA ||
         kind == AST_TEST;
}

static bool is_field(const Ast *n, const Ast *block, const Ast *around) {
  return n->kind == AST_DEFINE && block->kind == AST_BLOCK && around && around->kind == AST_DATA;
}

static void walk(DiagSink *sink, const Ast *n, const Ast *around, bool in_body, bool in_model) {
  if (n->kind == AST_DEFINE && in_body && (n->from || (n->flags & (AST_FROZEN | AST_NODECAY)))) {
    const char *word = n->from ? "from" : n->flags & AST_FROZEN ? "frozen" : "nodecay";
    Diag *d = diag_add(sink, DIAG_STATEMENT_HERE, n->span,
                       "`%s` is said of an instance or parameter, and this is a value", word);
    diag_help(d, n->flags & AST_FROZEN ? "`stop(x)` is a value without its derivative"
                                       : "it stands where the instance is made: in the file, or in a model");
  }
  if (n->kind == AST_DEFINE && n->text && !in_model) {
    Diag *d = diag_add(sink, DIAG_STATEMENT_HERE, n->span, "`as` names the parameters of a model's members");
    diag_help(d, "leave it out");
  }
  for (int i = 0; i < ast_child_count(n); i++) {
    const Ast *child = ast_child(n, i);
    if (child && child->kind == AST_DEFINE && child->where && !is_field(child, n, around)) {
      Diag *d =
          diag_add(sink, DIAG_STATEMENT_HERE, child->where->span, "`where` limits a data field, and this is none");
      diag_help(d, "of values, a choice is `if c then a else b`; elements are left out by `sum(i where c: …)`");
    }
    if (child && child->kind != AST_LIST)
      walk(sink, child, n, in_body || is_body(n->kind),
           (in_model && !is_body(n->kind)) || n->kind == AST_MODEL); /* lists hold no statements */
  }
}

void refuse_ignored(DiagSink *sink, const Ast *file) { walk(sink, file, NULL, false, false); }
