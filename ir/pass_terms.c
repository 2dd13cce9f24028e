/* pass_terms.c - S9: a sum of terms becomes a sum of each term that alone is a contraction, and one of the others.
 *
 * In, out: a graph without grad, after fuse, which may have put such a sum together. sum(r: a*b + c*d) is no product
 * of two operands, and as it stands a matrix-vector product for each result; sum(r: a*b) and sum(r: c*d) are
 * contractions, of which the second adds the first to its finished tile. Other sums are left: every sum passes over
 * its operands. */
#include "ir/classify.h"
#include "ir/cost.h"
#include "ir/pass.h"
#include "ir/reduce_indices.h"

enum { MAX_TERMS = 8 };

typedef struct Terms {
  Graph *g;
  Arena *scratch;
  const Node *n;
  Var **result, **reduced;
  Expr *guard, *term[MAX_TERMS + 1];
  int count;
} Terms;

static void find_terms(Terms *t, Expr *e, bool negative) {
  Ir *ir = t->g->ir;
  bool sum = e->kind == EXPR_OP && (e->op == OP_add || e->op == OP_sub);
  if (sum && t->count < MAX_TERMS) {
    find_terms(t, e->arg[0], negative);
    find_terms(t, e->arg[1], negative != (e->op == OP_sub));
  } else if (t->count <= MAX_TERMS) t->term[t->count++] = negative ? expr_op1(ir, OP_neg, e) : e;
}

static Node *sum_of(Terms *t, Expr *term) {
  return graph_comp(t->g, t->n->rank, t->result, RED_sum, t->n->nred, t->reduced,
                    expr_guard(t->g->ir, t->guard, term), t->n->span);
}

static bool is_contraction(Terms *t, const Node *n) {
  Contraction *c;
  return classify(t->g, n, t->scratch, &c) == KERNEL_contraction;
}

static Expr *plus(Ir *ir, Expr *a, Expr *b) { return a ? expr_op2(ir, OP_add, a, b) : b; }

/* The map that adds the sums; NULL where no term is a contraction. */
static Node *split(Terms *t) {
  Ir *ir = t->g->ir;
  Expr *total = NULL, *rest = NULL;
  for (int i = 0; i < t->count; i++) {
    Node *sum = sum_of(t, t->term[i]);
    if (is_contraction(t, sum)) total = plus(ir, total, expr_read_vars(ir, sum, t->result));
    else rest = plus(ir, rest, t->term[i]);
  }
  if (!total) return NULL;
  if (rest) total = plus(ir, total, expr_read_vars(ir, sum_of(t, rest), t->result));
  Node *map = graph_comp(t->g, t->n->rank, t->result, RED_none, 0, NULL, total, t->n->span);
  map->name = t->n->name;
  return map;
}

/* Narrow sums would be rounded one by one. */
static bool may_split(Terms *t) {
  const Node *n = t->n;
  bool wide = n->dtype == DT_f32 || n->dtype == DT_f64;
  if (n->kind != NODE_comp || n->reducer != RED_sum || !wide || n->scan || n->rank < 2) return false;
  Guarded body = expr_guarded(t->g->ir, n->body);
  t->guard = body.guard;
  find_terms(t, body.value, false);
  return t->count > 1 && t->count <= MAX_TERMS && !is_contraction(t, n);
}

bool pass_terms(Graph *g, PassContext *cx) {
  (void)cx;
  Arena *a = arena_new();
  for (int i = 0, count = g->nodes.n; i < count; i++) {
    Node *n = g->nodes.at[i];
    Terms t = {.g = g, .scratch = a, .n = n};
    if (!may_split(&t)) continue;
    t.result = NEW_ARRAY(a, Var *, n->rank + 1);
    t.reduced = NEW_ARRAY(a, Var *, n->nred + 1);
    for (int k = 0; k < n->rank; k++) t.result[k] = node_result_var(g, n, k);
    for (int k = 0; k < n->nred; k++) t.reduced[k] = node_reduction_var(g, n, k);
    n->forward = split(&t);
  }
  arena_free(a);
  return graph_renew(g);
}
