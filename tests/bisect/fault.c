/* fault.c - passes that may break a graph, in the place of those that the linker wraps. The environment's NNC_FAULT
 * says which does so to which graph: `fuse:train`. Behind that pass the last float computed is larger by a hundredth.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ir/pass.h"

static bool is_asked_for(const char *pass, const Graph *g) {
  const char *fault = getenv("NNC_FAULT");
  size_t n = strlen(pass);
  return fault && !strncmp(fault, pass, n) && fault[n] == ':' && !strcmp(fault + n + 1, g->name);
}

static bool with_fault(const char *pass, bool changed, Graph *g) {
  for (int i = g->nodes.n - 1; i >= 0 && is_asked_for(pass, g); i--) {
    Node *n = g->nodes.at[i];
    if (n->kind != NODE_comp || n->scan || !dtype_is_float(n->dtype)) continue;
    Expr *more = expr_op2(g->ir, OP_mul, n->body, expr_real(g->ir, n->dtype, 1.01));
    n->forward = graph_with_body(g, n, more, n->at);
    return graph_renew(g) || changed;
  }
  return changed;
}

#define FAULTY(pass)                                                                                                 \
  bool __real_pass_##pass(Graph *g, PassContext *cx);                                                                \
  bool __wrap_pass_##pass(Graph *g, PassContext *cx);                                                                \
  bool __wrap_pass_##pass(Graph *g, PassContext *cx) { return with_fault(#pass, __real_pass_##pass(g, cx), g); }
FAULTY(shift)
FAULTY(cse)
FAULTY(fuse)
FAULTY(slice)
