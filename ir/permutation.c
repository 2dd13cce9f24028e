/* permutation.c - see permutation.h. Each row of a sort holds every position once, so what was gathered through it is
 * gathered back through the inverse permutation, which is the order of the order: no element is added to another, and
 * no scatter is needed. Of an order that is an inverse already, the inverse is what it was made of. */
#include "ir/permutation.h"

/* The read of a sort that f is, or NULL. */
static const Expr *read_of_sort(const Form *f) {
  if (f->n != 1 || f->c0 || f->terms[0].coefficient != 1 || f->terms[0].atom->kind != ATOM_DATA) return NULL;
  const Expr *e = f->terms[0].atom->data;
  while (e->kind == EXPR_OP && e->op == OP_cast) e = e->arg[0];
  return e->kind == EXPR_READ && e->node->kind == NODE_sort ? e : NULL;
}

/* The sort that n puts in order, if n is its inverse. */
static Node *inverted_already(Graph *g, const Node *n) {
  const Expr *e = n->body;
  if (n->descending || e->kind != EXPR_READ || e->node->kind != NODE_sort || e->node->rank != n->rank) return NULL;
  for (int i = 0; i < n->rank; i++)
    if (form_as_var(e->at[i]) != node_result_var(g, n, i) || e->node->shape[i] != n->shape[i]) return NULL;
  return e->node;
}

static Node *inverse_of(Graph *g, Node *order) {
  Node *before = inverted_already(g, order);
  if (before) return before;
  Var *v[8];
  Form *at[8];
  for (int i = 0; i < order->rank; i++) {
    v[i] = var_fresh(g->ir, order->shape[i]);
    at[i] = form_var(g->ir, v[i]);
  }
  return graph_sort(g, order->rank, v, false, expr_read(g->ir, order, at), order->span);
}

/* What form p of a sort's rows is once the equations hold; NULL where they do not say. */
static Form *row_where(int rank, Form *const *at, Form *const *wanted, Form *p, int except) {
  if (form_is_const(p, NULL)) return p;
  for (int d = 0; d < rank; d++)
    if (d != except && at[d] == p) return wanted[d];
  return NULL;
}

static void turn(Graph *g, int rank, Dim **shape, Form **at, Form **wanted, int d) {
  const Expr *read = read_of_sort(at[d]);
  int last = read ? read->node->rank - 1 : 0;
  if (!read || !dim_at_least(g->ir, dim_sub(g->ir, read->node->shape[last], shape[d]), 0)) return;
  Form *place[8];
  for (int i = 0; i < last; i++)
    if (!(place[i] = row_where(rank, at, wanted, read->at[i], d))) return;
  place[last] = wanted[d];
  wanted[d] = form_data(g->ir, expr_read(g->ir, inverse_of(g, read->node), place));
  at[d] = read->at[last];
}

void permutations_turn(Graph *g, int rank, Dim **shape, Form **at, Form **wanted) {
  for (int d = 0; d < rank; d++) turn(g, rank, shape, at, wanted, d);
}
