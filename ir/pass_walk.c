/* pass_walk.c - reductions walk their largest operand as it lies in memory: of their indices the last one runs
 * fastest.
 *
 * In, out: a graph without grad, after split. A derivative's indices come in the order in which they were solved for;
 * a row kernel's vectors lie along the last, and a contraction that packs an operand along its sums copies lines of
 * it, if memory runs with them. Windows choose an order of their own, and where the order is part of the value
 * (argmax) it stays. */
#include "ir/classify.h"
#include "ir/cost.h"
#include "ir/pass.h"

enum { MAX_INDICES = 8, LINE = 16 };

/* How far one step of v moves in the tensor that is read; 0 where it does not, or not by a number known now. */
static int64_t stride_of(const Expr *read, const Var *v) {
  int64_t stride = 1, sum = 0, extent;
  for (int d = read->node->rank - 1; d >= 0; d--) {
    sum += form_coefficient(read->at[d], v) * stride;
    if (!dim_is_const(read->node->shape[d], &extent)) extent = dim_nominal(read->node->shape[d]);
    stride *= extent;
  }
  return sum < 0 ? -sum : sum;
}

static const Expr *largest_read(Arena *a, const Node *n) {
  ExprList reads = node_reads(a, n);
  const Expr *largest = NULL;
  for (int i = 0; i < reads.n; i++)
    if (!largest || node_result_count(reads.at[i]->node) > node_result_count(largest->node)) largest = reads.at[i];
  return largest;
}

/* The reduction indices of n by falling stride, those of equal stride as they are. Whether that is another order. */
static bool order_of(Graph *g, Arena *a, const Node *n, Var **order) {
  const Expr *read = largest_read(a, n);
  bool moved = false;
  for (int i = 0; i < n->nred; i++) {
    Var *v = node_reduction_var(g, n, i);
    int at = i;
    for (; read && at > 0 && stride_of(read, order[at - 1]) < stride_of(read, v); at--) order[at] = order[at - 1];
    order[at] = v;
    moved |= at < i;
  }
  return moved;
}

/* Whether the largest operand's memory runs with the sums: then it is packed along them. */
static bool has_lines(Graph *g, Arena *a, const Node *n, const Contraction *c) {
  return read_run(g, n, largest_read(a, n), c->k, c->nk) >= LINE;
}

static bool may_change_order(Graph *g, Arena *a, const Node *n, bool gpu) {
  Contraction *c;
  if (n->reducer == RED_argmax || n->reducer == RED_argmin) return false;
  KernelKind kind = classify(g, n, a, &c);
  if (kind == KERNEL_contraction) return !gpu && has_lines(g, a, n, c);
  return kind == KERNEL_row || kind == KERNEL_column || kind == KERNEL_full;
}

bool pass_walk(Graph *g, PassContext *cx) {
  Arena *a = arena_new();
  Var *order[MAX_INDICES];
  for (int i = 0, count = g->nodes.n; i < count; i++) {
    Node *n = g->nodes.at[i];
    if (n->kind != NODE_comp || n->nred < 2 || n->nred > MAX_INDICES || n->scan || n->stream) continue;
    if (!order_of(g, a, n, order) || !may_change_order(g, a, n, cx->gpu)) continue;
    Var **result = NEW_ARRAY(a, Var *, n->rank + 1);
    for (int k = 0; k < n->rank; k++) result[k] = node_result_var(g, n, k);
    n->forward = graph_comp(g, n->rank, result, n->reducer, n->nred, order, n->body, n->span);
    n->forward->name = n->name;
  }
  arena_free(a);
  return graph_renew(g);
}
