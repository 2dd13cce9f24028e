/* tangent.c - write the derivative that a NODE_jvp asks for, in forward mode: from the variable to the value, each
 * comp that depends on the variable gets a tangent, the comp over the same indices of how its body changes. A carry's
 * is a carry the same way, made before the loop's members, which read it, and closed after them. No equation is
 * solved, and no node is visited twice. Positions do not change, so orders, argmax and data indices have none. The
 * result is comps again, so both modes nest in any order. */
#include "ir/tangent.h"

#include "ir/adjoint.h"
#include "ir/custom.h"
#include "ir/derive.h"
#include "ir/reduce_indices.h"
#include "ir/seed.h"

typedef struct Tangents {
  Graph *g;
  Arena *scratch;
  int n;
  Node **of;    /* by node id: its tangent; NULL: it does not change */
  bool *wanted; /* by node id: the value depends on it */
} Tangents;

static Expr *tangent_of_read(void *cx, Expr *read) {
  const Tangents *t = cx;
  Node *n = read->node->id < t->n ? t->of[read->node->id] : NULL;
  return n ? expr_read(t->g->ir, n, read->at) : NULL;
}

static Node *tangent_of_custom(Tangents *t, const Node *y) {
  Node **tangents = NEW_ARRAY(t->scratch, Node *, custom_count(y));
  for (int i = 0; i < custom_count(y); i++) tangents[i] = t->of[custom_variable(y, i)->id];
  return custom_tangent(t->g, y, tangents);
}

static Node *tangent_of(Tangents *t, Node *y) {
  if (y->kind == NODE_custom) return tangent_of_custom(t, y);
  if (!y->body || !dtype_is_float(y->dtype) || y->reducer > RED_prod) return NULL;
  VarList v = {0};
  for (int i = 0; i < node_result_slots(y); i++) vec_push(t->scratch, &v, node_result_var(t->g, y, i));
  for (int i = 0; i < y->nred; i++) vec_push(t->scratch, &v, node_reduction_var(t->g, y, i));
  bool map = y->kind == NODE_comp && !y->nred;
  Expr *value = map ? expr_read_vars(t->g->ir, y, v.at) : NULL;
  Expr *d = scalar_forward(t->g->ir, y->body, value, (ReadTangent){tangent_of_read, t});
  if (!d) return NULL;
  if (y->kind == NODE_scatter) return graph_with_body(t->g, y, d, y->at);
  Var **reduced = y->nred ? v.at + y->rank : NULL;
  return graph_comp(t->g, y->rank, v.at, map ? RED_none : RED_sum, y->nred, reduced,
                    map ? d : reduction_seed(t->g, t->scratch, y, &v, d), y->span);
}

static void want(void *cx, Node *n) {
  Tangents *t = cx;
  if (t->wanted[n->id]) return;
  t->wanted[n->id] = true;
  node_operands(n, want, t);
}

static Node *zero_like(Graph *g, const Node *n) { return graph_filled(g, n->dtype, n->rank, n->shape, 0, n->span); }

static bool is_moving_carry(const Tangents *t, const Node *n, Node *x) {
  if (!t->wanted[n->id] || n->kind != NODE_carry || n == x || !n->nin || !dtype_is_float(n->dtype)) return false;
  return derive_depends(t->g, n->in[0], x) || derive_depends(t->g, n->in[1], x);
}

static void close_tangent(const Tangents *t, const Node *carry) {
  Node *in[2];
  for (int k = 0; k < 2; k++)
    in[k] = t->of[carry->in[k]->id] ? t->of[carry->in[k]->id] : zero_like(t->g, carry->in[k]);
  graph_close(t->g, t->of[carry->id], in[0], in[1]);
}

Node *tangent_along(Graph *g, Node *y, Node *x, Node *direction) {
  Arena *scratch = arena_new();
  Tangents t = {.g = g, .scratch = scratch, .n = g->nodes.n};
  t.of = NEW_ARRAY(scratch, Node *, t.n);
  t.wanted = NEW_ARRAY(scratch, bool, t.n);
  want(&t, y);
  NodeOrder carries = {0};
  for (int i = 0; i < t.n; i++) {
    Node *n = g->nodes.at[i];
    if (!is_moving_carry(&t, n, x)) continue;
    t.of[i] = graph_carry(g, n->dtype, n->rank, n->shape, n->axis, n->down, n->span);
    vec_push(scratch, &carries, n);
  }
  t.of[x->id] = direction;
  for (int i = 0; i < t.n; i++)
    if (t.wanted[i] && !t.of[i]) t.of[i] = tangent_of(&t, g->nodes.at[i]);
  for (int i = 0; i < carries.n; i++) close_tangent(&t, carries.at[i]);
  Node *r = t.of[y->id] ? t.of[y->id] : zero_like(g, y);
  arena_free(scratch);
  return r;
}
