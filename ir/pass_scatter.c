/* pass_scatter.c - sums that look for their terms by data become scatters.
 *
 *   y[j, d] = sum(k: select(j == index[k], e[k, d], 0))   is   y[index[k], d] += e[k, d]
 *
 * The sum visits every k for every j; the scatter visits every k once. This is how a program says that it adds at
 * places, and what the derivative of a one-hot product is. Where j has few values the sum stays: it runs in vectors
 * and on all threads (MOST_VALUES). In, out: a graph without grad, after its derivatives, whose rules know sums best.
 */
#include "ir/cost.h"
#include "ir/pass.h"
#include "ir/reduce_indices.h"

enum { MOST_VALUES = 64 };

typedef struct Places {
  Graph *g;
  const Node *n;
  Form **at;     /* by result index: where data puts it; NULL: it stays an index */
  double values; /* of the indices that data determines */
  Expr *guard;   /* the other conditions */
} Places;

/* Which result index f == 0 determines, and by what; -1 if by no data. */
static int determined(const Places *p, Form *f, Form **by) {
  Ir *ir = p->g->ir;
  for (int i = 0; i < p->n->rank; i++) {
    Var *v = node_result_var(p->g, p->n, i);
    int64_t c = form_coefficient(f, v);
    if (p->at[i] || (c != 1 && c != -1)) continue;
    Form *rest = form_sub(ir, f, form_scale(ir, form_var(ir, v), c));
    if (form_uses(rest, v) || !form_has_data(rest)) continue;
    *by = form_scale(ir, rest, -c);
    return i;
  }
  return -1;
}

static void take_conditions(Places *p, Expr *e) {
  if (e->kind == EXPR_OP && e->op == OP_and) {
    take_conditions(p, e->arg[0]);
    take_conditions(p, e->arg[1]);
    return;
  }
  Form *by;
  int i = e->kind == EXPR_EQ0 ? determined(p, e->form, &by) : -1;
  if (i < 0) {
    p->guard = expr_and(p->g->ir, p->guard, e);
    return;
  }
  p->at[i] = by;
  p->values *= (double)dim_nominal(p->n->shape[i]);
}

static Form *placed(void *cx, Var *v) {
  const Places *p = cx;
  for (int i = 0; i < p->n->rank; i++)
    if (p->at[i] && node_result_var(p->g, p->n, i) == v) return p->at[i];
  return NULL;
}

/* Whether no place depends on an index that data determines too. */
static bool independent(const Places *p) {
  for (int i = 0; i < p->n->rank; i++)
    for (int k = 0; p->at[i] && k < p->n->rank; k++)
      if (p->at[k] && form_uses(p->at[i], node_result_var(p->g, p->n, k))) return false;
  return true;
}

/* The loops: outer results, what was summed, and the last index of the result, if it still is one. */
static int loops_of(const Places *p, Var **out) {
  const Node *n = p->n;
  int count = 0, last = n->rank - 1;
  for (int i = 0; i < last; i++)
    if (!p->at[i]) out[count++] = node_result_var(p->g, n, i);
  for (int i = 0; i < n->nred; i++) out[count++] = node_reduction_var(p->g, n, i);
  if (!p->at[last]) out[count++] = node_result_var(p->g, n, last);
  return count;
}

static Node *as_scatter(Graph *g, const Node *n, Arena *scratch) {
  if (n->kind != NODE_comp || n->reducer != RED_sum || !n->rank || n->scan) return NULL;
  if (n->dtype == DT_f16 || n->dtype == DT_bf16) return NULL; /* a scatter rounds every sum */
  Guarded body = expr_guarded(g->ir, n->body);
  if (!body.guard) return NULL;
  Places p = {.g = g, .n = n, .at = NEW_ARRAY(scratch, Form *, n->rank), .values = 1};
  take_conditions(&p, body.guard);
  if (p.values <= MOST_VALUES || !independent(&p)) return NULL;
  ExprMap m = {.ir = g->ir, .var = placed, .cx = &p};
  Expr *guard = p.guard ? expr_map(&m, p.guard) : NULL;
  for (int i = 0; i < n->rank; i++)
    if (p.at[i]) guard = expr_and(g->ir, guard, expr_inside(g->ir, p.at[i], n->shape[i]));
  Form **at = NEW_ARRAY(scratch, Form *, n->rank);
  for (int i = 0; i < n->rank; i++) {
    at[i] = p.at[i] ? p.at[i] : form_var(g->ir, node_result_var(g, n, i));
    if (!p.at[i] || !guard) continue;
    Expr *index = expr_index(g->ir, DT_i64, at[i]);
    at[i] = form_data(g->ir, expr_guard(g->ir, guard, index));
  }
  Var **loops = NEW_ARRAY(scratch, Var *, n->rank + n->nred);
  int count = loops_of(&p, loops);
  Expr *value = expr_guard(g->ir, guard, expr_map(&m, body.value));
  return graph_scatter(g, n->dtype, n->rank, n->shape, count, loops, at, value, n->span);
}

bool pass_scatter(Graph *g, PassContext *cx) {
  (void)cx;
  Arena *scratch = arena_new();
  bool changed = false;
  for (int i = 0, n = g->nodes.n; i < n; i++) {
    Node *old = g->nodes.at[i];
    if (!(old->forward = as_scatter(g, old, scratch))) continue;
    old->forward->name = old->name;
    changed = true;
  }
  arena_free(scratch);
  return changed && graph_renew(g);
}
