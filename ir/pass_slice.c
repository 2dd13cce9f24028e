/* pass_slice.c - long reductions are made in slices, which threads can share.
 *
 * In, out: a graph without grad, after fuse.
 *
 * To one number: sum(r < N: e) becomes sum(s < 8: part[s]), part[s] = sum(r < N/8: e at s * N/8 + r), or of as many
 * slices as the context says: a GPU needs more. Positions (argmax) are left.
 *
 * Sums beside rows: where reductions of each row of x[r, j] are made anyway, sum(r: e[r, j]) becomes
 * sum(s: part[s, j]), part[s, j] = sum(u < 8: e[8*s + u, j]), of so many rows that they are work for one thread. Then
 * the kernel of the rows can make the parts on its way (group_sums.c). So for the derivatives by a norm's weight and
 * bias. Other reductions with several results are better left whole: maps over what they reduce are in their kernel.
 *
 * Slices are the same for any number of threads, so results are too. */
#include "ir/classify.h"
#include "ir/cost.h"
#include "ir/pass.h"
#include "ir/solve.h"

enum { USUAL_SLICES = 8, LONG = 1 << 16, MANY_ROWS = 1 << 15, SLICE_POINTS = 1 << 14 };

typedef struct Slicing {
  Graph *g;
  Arena *scratch;
  int64_t slices;
} Slicing;

static bool is_worth_slicing(const Node *n) {
  double value;
  return n->kind == NODE_comp && n->rank == 0 && n->nred > 0 && reducer_identity(n->reducer, n->dtype, &value) &&
         node_point_count(n) >= LONG;
}

/* The slowest reduction index that is cut without a rest, or the longest; -1: all are open. */
static int index_to_cut(const Slicing *s, const Node *n) {
  int longest = -1;
  int64_t most = 0, extent;
  for (int i = 0; i < n->nred; i++) {
    if (!dim_is_const(n->red[i], &extent)) continue;
    if (extent % s->slices == 0) return i;
    if (extent > most) most = extent, longest = i;
  }
  return longest;
}

/* part[s], s < count */
static Node *parts_of(Slicing *s, const Node *n, int64_t *count) {
  Graph *g = s->g;
  Ir *ir = g->ir;
  int cut = index_to_cut(s, n);
  int64_t each, extent;
  if (cut < 0 || !dim_is_const(n->red[cut], &extent)) return NULL;
  *count = extent < s->slices ? extent : s->slices;
  each = (extent + *count - 1) / *count;
  Var *slice = var_fresh(ir, dim_const(ir, *count)), *within = var_fresh(ir, dim_const(ir, each));
  Form *at = form_add(ir, form_scale(ir, form_var(ir, slice), each), form_var(ir, within));
  Expr *body = expr_replace(ir, n->body, node_reduction_var(g, n, cut), at);
  Expr *inside = expr_inside(ir, at, n->red[cut]);
  double value = 0;
  reducer_identity(n->reducer, n->dtype, &value);
  if (inside) body = expr_select(ir, inside, body, expr_real(ir, body->dtype, value));
  Var **reduced = NEW_ARRAY(s->scratch, Var *, n->nred);
  for (int i = 0; i < n->nred; i++) reduced[i] = i == cut ? within : node_reduction_var(g, n, i);
  return graph_comp(g, 1, &slice, n->reducer, n->nred, reduced, body, n->span);
}

static Node *sliced(Slicing *s, Node *n) {
  int64_t count;
  Node *parts = parts_of(s, n, &count);
  if (!parts) return NULL;
  Ir *ir = s->g->ir;
  Var *slice = var_fresh(ir, dim_const(ir, count));
  Form *at[] = {form_var(ir, slice)};
  Node *whole = graph_comp(s->g, 0, NULL, n->reducer, 1, &slice, expr_read(ir, parts, at), n->span);
  whole->name = n->name;
  return whole;
}

/* ---- sums beside rows ---- */

typedef struct Turn { /* row reduction `rows` seen from the sum: its rows are what the sum is over */
  Graph *g;
  const Node *rows, *sum;
} Turn;

static Form *turned(void *cx, Var *v) {
  const Turn *t = cx;
  int slot = v->slot, rank = t->rows->rank;
  return form_var(t->g->ir,
                  slot < rank ? node_reduction_var(t->g, t->sum, slot) : node_result_var(t->g, t->sum, slot - rank));
}

static bool has_shape(int n, Dim **a, int m, Dim **b) {
  if (n != m) return false;
  for (int i = 0; i < n; i++)
    if (a[i] != b[i]) return false;
  return true;
}

static bool reads_node(Arena *a, const Node *n, const Node *what) {
  ExprList reads = node_reads(a, n);
  for (int i = 0; i < reads.n; i++)
    if (reads.at[i]->node == what) return true;
  return false;
}

/* Whether the sum reads the row's value, a map of it over the row, or an operand just as the row does. */
static bool meets_row(Slicing *s, const Node *sum, Node *rows) {
  Turn t = {s->g, rows, sum};
  ExprMap turn = {.ir = s->g->ir, .var = turned, .cx = &t};
  ExprList own = node_reads(s->scratch, sum), theirs = node_reads(s->scratch, rows);
  for (int i = 0; i < own.n; i++) {
    Node *n = own.at[i]->node;
    if (n == rows || (n->kind == NODE_comp && n->rank > rows->rank && reads_node(s->scratch, n, rows))) return true;
    for (int j = 0; j < theirs.n; j++)
      if (theirs.at[j]->node == n && n->rank > rows->rank && expr_map(&turn, theirs.at[j]) == own.at[i]) return true;
  }
  return false;
}

typedef struct Path {
  const Node *to;
  bool found;
} Path;

static void look_on(void *cx, Node *operand) {
  Path *p = cx;
  p->found |= operand == p->to || (operand->id > p->to->id && operand->mark);
}

/* Whether n needs `what`, directly or not. */
static bool needs(Graph *g, const Node *n, const Node *what) {
  for (int i = what->id + 1; i <= n->id; i++) {
    Path p = {.to = what};
    node_operands(g->nodes.at[i], look_on, &p);
    g->nodes.at[i]->mark = p.found;
  }
  return n->id > what->id && n->mark;
}

static bool is_beside_rows(Slicing *s, Node *n) {
  bool wide = n->dtype == DT_f32 || n->dtype == DT_f64;
  if (n->kind != NODE_comp || n->reducer != RED_sum || !wide || !n->rank || n->scan || n->stream) return false;
  if (node_point_count(n) < MANY_ROWS) return false;
  for (int i = 0; i < s->g->nodes.n; i++) {
    Node *rows = s->g->nodes.at[i];
    Contraction *c;
    if (rows->kind != NODE_comp || !has_shape(rows->rank, rows->shape, n->nred, n->red)) continue;
    if (!has_shape(rows->nred, rows->red, n->rank, n->shape) || !meets_row(s, n, rows)) continue;
    return !needs(s->g, rows, n) && classify(s->g, n, s->scratch, &c) == KERNEL_column;
  }
  return false;
}

typedef struct Blocks { /* reduction index `cut` is block * a slice's number + an index within; those before are kept
                         */
  int cut;
  int64_t block;
} Blocks;

static Blocks blocks_of(const Slicing *s, const Node *n) {
  Blocks b = {0, 1};
  double before = 1, inner = node_result_count(n);
  while (b.cut < n->nred - 1 && before * (double)dim_nominal(n->red[b.cut]) < (double)s->slices)
    before *= (double)dim_nominal(n->red[b.cut++]);
  for (int i = b.cut + 1; i < n->nred; i++) inner *= (double)dim_nominal(n->red[i]);
  double even = (double)dim_nominal(n->red[b.cut]) * before / (double)s->slices, most = SLICE_POINTS / inner;
  if (most < even) even = most;
  if (even > 1) b.block = (int64_t)even;
  return b;
}

static Node *sliced_rows(Slicing *s, Node *n) {
  Graph *g = s->g;
  Ir *ir = g->ir;
  Blocks b = blocks_of(s, n);
  VarList result = {0}, reduced = {0}, slices = {0};
  for (int i = 0; i <= b.cut; i++)
    vec_push(s->scratch, &slices, var_fresh(ir, i < b.cut ? n->red[i] : dim_ceil_div(ir, n->red[i], b.block)));
  Var *within = var_fresh(ir, dim_const(ir, b.block));
  Form *slice = form_scale(ir, form_var(ir, slices.at[b.cut]), b.block);
  Form *at = b.block > 1 ? form_add(ir, slice, form_var(ir, within)) : slice;
  Expr *body = n->body, *inside = expr_inside(ir, at, n->red[b.cut]);
  for (int i = 0; i <= b.cut; i++)
    body = expr_replace(ir, body, node_reduction_var(g, n, i), i < b.cut ? form_var(ir, slices.at[i]) : at);
  if (inside) body = expr_select(ir, inside, body, expr_real(ir, body->dtype, 0));
  if (b.block > 1) vec_push(s->scratch, &reduced, within);
  for (int i = b.cut + 1; i < n->nred; i++) vec_push(s->scratch, &reduced, node_reduction_var(g, n, i));
  for (int i = 0; i <= b.cut; i++) vec_push(s->scratch, &result, slices.at[i]);
  for (int i = 0; i < n->rank; i++) vec_push(s->scratch, &result, node_result_var(g, n, i));
  if (!reduced.n) return NULL; /* every row a slice */
  Node *parts = graph_comp(g, result.n, result.at, RED_sum, reduced.n, reduced.at, body, n->span);
  Node *whole = graph_comp(g, n->rank, result.at + slices.n, RED_sum, slices.n, slices.at,
                           expr_read_vars(ir, parts, result.at), n->span);
  whole->name = n->name;
  return whole;
}

bool pass_slice(Graph *g, PassContext *cx) {
  Arena *a = arena_new();
  Slicing s = {g, a, cx->slices ? cx->slices : USUAL_SLICES};
  bool changed = false;
  for (int i = 0, count = g->nodes.n; i < count; i++) {
    Node *n = g->nodes.at[i];
    if (is_worth_slicing(n)) n->forward = sliced(&s, n);
    else if (is_beside_rows(&s, n)) n->forward = sliced_rows(&s, n);
    changed |= n->forward != NULL;
  }
  arena_free(a);
  return graph_renew(g) || changed;
}
