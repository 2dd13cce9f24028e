/* transpose.c - see transpose.h. */
#include "ir/transpose.h"

enum { MAX_RANK = 8 };

Node *transposed(Graph *g, Node *n, const int *order, bool computed, Span at) {
  Var *v[MAX_RANK];
  Form *from[MAX_RANK];
  for (int d = 0; d < n->rank; d++) {
    v[d] = var_fresh(g->ir, n->shape[order[d]]);
    from[order[d]] = form_var(g->ir, v[d]);
  }
  Expr *body = computed ? node_body_at(g, n, from) : expr_read(g->ir, n, from);
  return graph_comp(g, n->rank, v, RED_none, 0, NULL, body, at);
}

Expr *read_transposed(Ir *ir, const Expr *read, Node *copy, const int *order) {
  Form *at[MAX_RANK];
  for (int d = 0; d < read->node->rank; d++) at[d] = read->at[order[d]];
  return expr_read(ir, copy, at);
}
