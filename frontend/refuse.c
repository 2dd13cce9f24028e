/* refuse.c - what the parser takes and elaboration would pass over: said here, so that nothing in a source is ignored
 * in silence. A case goes when elaboration has it. */
#include "frontend/refuse.h"

static void refuse(DiagSink *sink, Span at, const char *what) {
  diag_add(sink, DIAG_NOT_COMPILED, at, "this version of nnc does not compile %s yet", what);
}

void refuse_ignored(DiagSink *sink, const Ast *n) {
  if (n->kind == AST_FN && n->with) refuse(sink, n->with->span, "a function's own derivative");
  if ((n->kind == AST_FN || n->kind == AST_ENTRY) && n->where)
    refuse(sink, n->where->span, "a `where` of a signature");
  if (n->flags & AST_NODECAY) refuse(sink, n->name_span, "`nodecay`");
  for (int i = 0; i < ast_child_count(n); i++) {
    const Ast *child = ast_child(n, i);
    if (child && child->kind != AST_LIST) refuse_ignored(sink, child); /* lists hold no statements */
  }
}
