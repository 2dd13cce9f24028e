/* custom.c - see custom.h. */
#include "ir/custom.h"

typedef struct Substitution {
  Node **of; /* by node id: what stands for it; NULL: itself */
  int n;
} Substitution;

static Node *substituted(void *cx, Node *n) {
  const Substitution *s = cx;
  return n->id < s->n && s->of[n->id] ? s->of[n->id] : n;
}

typedef struct Dependence {
  const bool *depends; /* by node id */
  bool found;
} Dependence;

static void find_dependent(void *cx, Node *n) {
  Dependence *d = cx;
  d->found |= d->depends[n->id];
}

/* What is computed from the seed, by node id; loops may be among it, so a carry is looked at again as long as what it
 * goes on with is found to be. */
static bool *find_dependents(Arena *scratch, Graph *g, const Node *seed) {
  bool *depends = NEW_ARRAY(scratch, bool, g->nodes.n);
  depends[seed->id] = true;
  for (bool again = true; again;) {
    again = false;
    for (int k = seed->id + 1; k < g->nodes.n; k++) {
      Dependence d = {depends, depends[k]};
      if (!d.found) node_operands(g->nodes.at[k], find_dependent, &d);
      again |= d.found && !depends[k];
      depends[k] = d.found;
    }
  }
  return depends;
}

static void mark_needed(void *cx, Node *n) {
  bool *needed = cx;
  if (needed[n->id]) return;
  needed[n->id] = true;
  node_operands(n, mark_needed, needed);
}

Node *custom_adjoint(Graph *g, const Node *n, int i, Node *adjoint) {
  Node *seed = n->in[1], *derivative = n->in[3 + 2 * i];
  Arena *scratch = arena_new();
  int count = g->nodes.n;
  const bool *depends = find_dependents(scratch, g, seed);
  bool *needed = NEW_ARRAY(scratch, bool, count);
  Substitution s = {NEW_ARRAY(scratch, Node *, count), count};
  mark_needed(needed, derivative);
  s.of[seed->id] = adjoint;
  for (int k = seed->id + 1; k < count; k++) {
    Node *from = g->nodes.at[k];
    if (!depends[k] || !needed[k]) continue;
    if (from->kind != NODE_carry) s.of[k] = graph_copy(g, from, substituted, &s);
    else s.of[k] = graph_carry(g, from->dtype, from->rank, from->shape, from->axis, from->down, from->span);
  }
  for (int k = seed->id + 1; k < count; k++) { /* what a carry goes on with is there now */
    const Node *from = g->nodes.at[k];
    if (!s.of[k] || from->kind != NODE_carry) continue;
    s.of[k]->name = from->name;
    graph_close(g, s.of[k], substituted(&s, from->in[0]), substituted(&s, from->in[1]));
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
