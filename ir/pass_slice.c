/* pass_slice.c - a long reduction to one number is made in slices, which threads can share.
 *
 * In, out: a graph without grad, after fuse. sum(r < N: e) becomes sum(s < 8: part[s]), part[s] = sum(r < N/8: e at
 * s * N/8 + r). The number of slices is the same for any number of threads, so results are too. Only to one number,
 * where nothing else is there to be shared out: a reduction with results of its own for each of some channels is
 * better left whole, for maps over its row are in its kernel. Positions (argmax) are left. */
#include "ir/cost.h"
#include "ir/pass.h"

enum { SLICES = 8, LONG = 1 << 16 };

typedef struct Slicing {
  Graph *g;
  Arena *scratch;
} Slicing;

static bool identity_of(const Node *n, double *value) {
  switch (n->reducer) {
  case RED_sum:
  case RED_any: *value = 0; return true;
  case RED_prod:
  case RED_all: *value = 1; return true;
  case RED_max: *value = -__builtin_inf(); return dtype_is_float(n->dtype);
  case RED_min: *value = __builtin_inf(); return dtype_is_float(n->dtype);
  default: return false;
  }
}

static bool is_worth_slicing(const Node *n) {
  double value;
  return n->kind == NODE_comp && n->rank == 0 && n->nred > 0 && identity_of(n, &value) && node_point_count(n) >= LONG;
}

/* The slowest reduction index that is cut without a rest, or the longest. */
static int index_to_cut(const Node *n) {
  int longest = 0;
  for (int i = 0; i < n->nred; i++) {
    int64_t extent;
    if (dim_is_const(n->red[i], &extent) && extent % SLICES == 0) return i;
    if (dim_nominal(n->red[i]) > dim_nominal(n->red[longest])) longest = i;
  }
  return longest;
}

typedef struct Cut {
  Var *index;
  Form *at;
} Cut;

static Form *cut_form(void *cx, Var *v) {
  const Cut *c = cx;
  return v == c->index ? c->at : NULL;
}

/* part[s] */
static Node *parts_of(Slicing *s, const Node *n) {
  Graph *g = s->g;
  Ir *ir = g->ir;
  int cut = index_to_cut(n);
  Dim *length = dim_ceil_div(ir, n->red[cut], SLICES);
  Var *slice = var_fresh(ir, dim_const(ir, SLICES)), *within = var_fresh(ir, length);
  int64_t each;
  if (!dim_is_const(length, &each)) return NULL; /* all of them open */
  Cut c = {node_reduction_var(g, n, cut),
           form_add(ir, form_scale(ir, form_var(ir, slice), each), form_var(ir, within))};
  Expr *body = expr_map(&(ExprMap){.ir = ir, .var = cut_form, .cx = &c}, n->body);
  Expr *inside = expr_inside(ir, c.at, n->red[cut]);
  double value = 0;
  identity_of(n, &value);
  if (inside) body = expr_select(ir, inside, body, expr_real(ir, body->dtype, value));
  Var **reduced = NEW_ARRAY(s->scratch, Var *, n->nred);
  for (int i = 0; i < n->nred; i++) reduced[i] = i == cut ? within : node_reduction_var(g, n, i);
  return graph_comp(g, 1, &slice, n->reducer, n->nred, reduced, body, n->span);
}

static Node *sliced(Slicing *s, Node *n) {
  Node *parts = parts_of(s, n);
  if (!parts) return NULL;
  Ir *ir = s->g->ir;
  Var *slice = var_fresh(ir, dim_const(ir, SLICES));
  Form *at[] = {form_var(ir, slice)};
  Node *whole = graph_comp(s->g, 0, NULL, n->reducer, 1, &slice, expr_read(ir, parts, at), n->span);
  whole->name = n->name;
  return whole;
}

bool pass_slice(Graph *g, PassContext *cx) {
  (void)cx;
  Arena *a = arena_new();
  Slicing s = {g, a};
  bool changed = false;
  for (int i = 0, count = g->nodes.n; i < count; i++) {
    Node *n = g->nodes.at[i];
    if (!is_worth_slicing(n)) continue;
    n->forward = sliced(&s, n);
    changed |= n->forward != NULL;
  }
  arena_free(a);
  return graph_renew(g) || changed;
}
