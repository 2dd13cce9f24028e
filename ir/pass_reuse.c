/* pass_reuse.c - compare an activation's output with 0 where its derivative compares the input.
 *
 * For h = select(z <= 0, 0, z), or select(z > 0, z, 0), the conditions z <= 0 and z > 0 hold exactly where h <= 0 and
 * h > 0 do (NaN included). A derivative asks for them with z; asked with h, which is kept for the next layer anyway,
 * z is needed by nobody but h, and fusion makes it a value in a register. Before fuse, which hides z; only where
 * every other use of z is such a comparison, or z would be kept as well. */
#include "ir/classify.h"
#include "ir/cost.h"
#include "ir/pass.h"

typedef Vec(Node *) Users;

typedef struct Reuse {
  Graph *g;
  Arena *scratch;
  Users *users; /* of each node, by id: what reads it or has it among its inputs */
  Node *z, *h;
  bool other_use; /* of z, besides h and comparisons with 0 */
} Reuse;

/* `x <= 0` or `x > 0`, with x a read; the read, or NULL. */
static Expr *compared_with_zero(const Expr *e) {
  if (e->kind != EXPR_OP || (e->op != OP_le && e->op != OP_gt)) return NULL;
  return expr_is_number(e->arg[1], 0) && e->arg[0]->kind == EXPR_READ ? e->arg[0] : NULL;
}

/* What h is the activation of: the node z, read at h's own position. NULL if h is none. */
static Node *activated(Graph *g, const Node *h) {
  const Expr *e = h->body;
  if (h->kind != NODE_comp || h->reducer != RED_none || e->kind != EXPR_OP || e->op != OP_select) return NULL;
  Expr *z = compared_with_zero(e->arg[0]);
  bool negative = e->arg[0]->op == OP_le;
  if (!z || e->arg[negative ? 2 : 1] != z || !expr_is_number(e->arg[negative ? 1 : 2], 0)) return NULL;
  bool computed = z->node->kind == NODE_comp;
  return computed && read_is_identity(g, h, z) ? z->node : NULL;
}

/* ---- uses ---- */

static void find_other_use(void *cx, Expr *e) {
  Reuse *r = cx;
  if (compared_with_zero(e)) return;
  for (int i = 0; e->kind == EXPR_OP && i < e->n; i++)
    r->other_use |= e->arg[i]->kind == EXPR_READ && e->arg[i]->node == r->z;
}

static void add_user(Reuse *r, const Node *of, Node *user) {
  Users *u = &r->users[of->id];
  if (!u->n || u->at[u->n - 1] != user) vec_push(r->scratch, u, user);
}

static void find_users(Reuse *r) {
  r->users = NEW_ARRAY(r->scratch, Users, r->g->nodes.n);
  for (int i = 0; i < r->g->nodes.n; i++) {
    Node *n = r->g->nodes.at[i];
    for (int k = 0; k < n->nin; k++) add_user(r, n->in[k], n);
    ExprList list = n->body ? node_reads(r->scratch, n) : (ExprList){0};
    for (int k = 0; k < list.n; k++) add_user(r, list.at[k]->node, n);
  }
}

static void look_at_uses(Reuse *r, const Node *n) {
  for (int i = 0; i < n->nin; i++) r->other_use |= n->in[i] == r->z;
  if (n == r->h || !n->body) return;
  if (n->kind != NODE_comp || n->body->kind == EXPR_READ) r->other_use = true;
  expr_visit(n->body, find_other_use, r);
}

/* A user that was replaced already is looked at when it is a node of the graph. */
static bool only_compared(Reuse *r) {
  const Graph *g = r->g;
  const Users *u = &r->users[r->z->id];
  r->other_use = false;
  for (int i = 0; i < u->n && !r->other_use; i++) {
    look_at_uses(r, u->at[i]);
    r->other_use |= u->at[i]->forward != NULL;
  }
  for (int i = 0; i < g->outputs.n; i++) r->other_use |= g->outputs.at[i].node == r->z;
  return !r->other_use;
}

/* ---- replacing ---- */

static Expr *read_output(void *cx, Expr *read) {
  Reuse *r = cx;
  return read->node == r->z ? expr_read(r->g->ir, r->h, read->at) : NULL;
}

static void replace(Reuse *r, Node *n) {
  Graph *g = r->g;
  ExprMap m = {.ir = g->ir, .read = read_output, .cx = r};
  Var **result = NEW_ARRAY(g->arena, Var *, n->rank + 1), **reduced = NEW_ARRAY(g->arena, Var *, n->nred + 1);
  for (int i = 0; i < n->rank; i++) result[i] = node_result_var(g, n, i);
  for (int i = 0; i < n->nred; i++) reduced[i] = node_reduction_var(g, n, i);
  n->forward = graph_comp(g, n->rank, result, n->reducer, n->nred, reduced, expr_map(&m, n->body), n->span);
  n->forward->name = n->name;
}

/* Every use of z but h's is a comparison, so all reads of z there become reads of h. */
static bool reuse_output(Reuse *r, Node *h) {
  r->h = h;
  r->z = activated(r->g, h);
  if (!r->z || h->forward || !only_compared(r)) return false;
  const Users *u = &r->users[r->z->id];
  bool changed = false;
  for (int i = 0; i < u->n; i++) {
    if (u->at[i] == h || u->at[i]->kind != NODE_comp) continue;
    replace(r, u->at[i]);
    changed = true;
  }
  return changed;
}

static bool reuse_outputs(Graph *g) {
  Reuse r = {.g = g, .scratch = arena_new()};
  bool changed = false;
  find_users(&r);
  for (int i = 0, n = g->nodes.n; i < n; i++) changed = reuse_output(&r, g->nodes.at[i]) || changed;
  arena_free(r.scratch);
  if (changed) graph_renew(g);
  return changed;
}

bool pass_reuse(Graph *g, PassContext *cx) {
  (void)cx;
  bool changed = false;
  while (reuse_outputs(g)) changed = true;
  return changed;
}
