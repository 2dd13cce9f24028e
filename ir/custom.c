/* custom.c - see custom.h. */
#include "ir/custom.h"

typedef struct Substitution {
  Node **of; /* by node id: what stands for it; NULL: itself */
  int n;
  bool differs;
} Substitution;

static Node *substituted(void *cx, Node *n) {
  const Substitution *s = cx;
  return n->id < s->n && s->of[n->id] ? s->of[n->id] : n;
}

static void note_difference(void *cx, Node *n) {
  Substitution *s = cx;
  s->differs |= substituted(s, n) != n;
}

Node *custom_adjoint(Graph *g, const Node *n, int i, Node *adjoint) {
  Node *seed = n->in[1], *derivative = n->in[3 + 2 * i];
  Arena *scratch = arena_new();
  Substitution s = {NEW_ARRAY(scratch, Node *, g->nodes.n), g->nodes.n, false};
  s.of[seed->id] = adjoint;
  for (int k = seed->id + 1; k <= derivative->id; k++) {
    s.differs = false;
    node_operands(g->nodes.at[k], note_difference, &s);
    if (s.differs) s.of[k] = graph_copy(g, g->nodes.at[k], substituted, &s);
  }
  Node *r = substituted(&s, derivative);
  arena_free(scratch);
  return r;
}

/* sum(a * b), added to `before` if that is not NULL. */
static Node *add_product(Graph *g, Node *a, Node *b, Node *before) {
  Var **v = NEW_ARRAY(g->arena, Var *, a->rank + 1);
  Form **at = NEW_ARRAY(g->arena, Form *, a->rank + 1);
  for (int i = 0; i < a->rank; i++) {
    v[i] = var_fresh(g->ir, a->shape[i]);
    at[i] = form_var(g->ir, v[i]);
  }
  Expr *product = expr_op2(g->ir, OP_mul, expr_read(g->ir, a, at), expr_read(g->ir, b, at));
  Node *sum = graph_comp(g, 0, NULL, RED_sum, a->rank, v, product, a->span);
  if (!before) return sum;
  Expr *both = expr_op2(g->ir, OP_add, expr_read(g->ir, before, NULL), expr_read(g->ir, sum, NULL));
  return graph_comp(g, 0, NULL, RED_none, 0, NULL, both, a->span);
}

Node *custom_tangent(Graph *g, const Node *n, Node *const *tangent) {
  Node *sum = NULL;
  for (int i = 0; i < custom_count(n); i++)
    if (tangent[i]) sum = add_product(g, n->in[3 + 2 * i], tangent[i], sum);
  return sum ? graph_grad(g, sum, n->in[1], n->span) : NULL;
}

const Node *custom_settle(Graph *g) {
  bool any = false;
  for (int i = 0; i < g->nodes.n; i++) {
    Node *n = g->nodes.at[i];
    if (n->kind != NODE_custom) continue;
    n->forward = n->in[0];
    any = true;
  }
  if (any) graph_renew(g);
  for (int i = 0; i < g->nodes.n; i++)
    if (g->nodes.at[i]->kind == NODE_adjoint) return g->nodes.at[i];
  return NULL;
}
