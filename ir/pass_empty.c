/* pass_empty.c - what has no element, or is made of none: a tensor with a dimension of 0 becomes a map of one number,
 * a reduction over nothing the number that it is then, a loop of no steps the values that it begins with.
 *
 * In, out: a graph without grad. A width of 0 or a slice `x[:0]` is seldom meant, but it is no mistake. After this
 * pass no index whose extent is known runs over nothing but those of maps of one number: no tile is cut, no row is
 * kept and no loop is laid out for what is never there. At every level, because what comes after relies on that. Open
 * dimensions may still be 0 when the program runs. */
#include "ir/pass.h"

static bool has_zero(int n, Dim *const *extents) {
  int64_t extent;
  for (int i = 0; i < n; i++)
    if (dim_is_const(extents[i], &extent) && extent == 0) return true;
  return false;
}

/* The value of each element of n, a number; false: it is none, or not known here. */
static bool element_of(const Node *n, double *value) {
  *value = n->kind == NODE_scatter && n->reducer == RED_max ? -1 : 0;
  if (has_zero(n->rank, n->shape)) return true;
  if (!has_zero(n->nred, n->red)) return false;
  return n->kind == NODE_scatter || reducer_identity(n->reducer, n->dtype, value);
}

/* What a loop of no steps begins with, as the only row of its carry. */
static Node *first_row(Graph *g, const Node *carry) {
  Var **v = NEW_ARRAY(g->arena, Var *, carry->rank), **in_row = NEW_ARRAY(g->arena, Var *, carry->rank);
  int rank = 0;
  for (int i = 0; i < carry->rank; i++) {
    v[i] = var_fresh(g->ir, carry->shape[i]);
    if (i != carry->axis) in_row[rank++] = v[i];
  }
  return graph_comp(g, carry->rank, v, RED_none, 0, NULL, expr_read_vars(g->ir, carry->in[0], in_row), carry->span);
}

static Node *without_steps(Graph *g, const Node *n) {
  return n->kind == NODE_carry && has_zero(1, &n->in[1]->shape[n->axis]) ? first_row(g, n) : NULL;
}

/* n again without indices that run over nothing; NULL: it has none, or stays as it is. */
static Node *written_down(Graph *g, const Node *n) {
  double value;
  if (!n->body && n->kind != NODE_carry) return NULL;
  bool done = node_is_map(n) && n->body->kind == EXPR_CONST;
  if (!done && element_of(n, &value)) return graph_filled(g, n->dtype, n->rank, n->shape, value, n->span);
  return without_steps(g, n);
}

bool pass_empty(Graph *g, PassContext *cx) {
  (void)cx;
  bool changed = false;
  for (int i = 0, n = g->nodes.n; i < n; i++) {
    Node *node = g->nodes.at[i];
    if (!(node->forward = written_down(g, node))) continue;
    node->forward->name = node->name;
    changed = true;
  }
  return changed && graph_renew(g);
}
