/* pass_halve.c - on a GPU: what large products round to a narrow type (pass narrow) they read from a copy in that
 * type.
 *
 * In, out: a graph without grad, after layout. Tiles read each element many times; a copy is written once, by the
 * kernel that makes the tensor where it can, halves all these reads, and comes to the units for matrices as it lies.
 * That holds of values that fusion put into the product, too, where a copy has about as many elements as what they
 * are made of: a normalised row, say, or heads side by side; windows are those of a copy. Tiles of streams are no
 * tensors. Every product rounds the same numbers as before. */
#include "ir/classify.h"
#include "ir/cost.h"
#include "ir/pass.h"

enum {
  LARGE = 1 << 22, /* multiplications: of fewer, a copy takes longer than it saves */
  MANY = 128,      /* times that the product uses an element: of fewer, making it there takes no longer than a copy */
  MAX_RANK = 8
};

typedef struct Halves {
  Graph *g;
  Arena *scratch;
  double many;             /* MANY */
  const Node *n;           /* the product that is looked at */
  Node **copy;             /* by node id; NULL: none yet */
  ExprList rounded, plain; /* reads of a body: those that a cast narrows, and those that anything else uses */
  Vec(Node *) made;        /* copies of values that products make */
} Halves;

static bool is_in(const ExprList *list, const Expr *read) {
  for (int i = 0; i < list->n; i++)
    if (list->at[i] == read) return true;
  return false;
}

static bool narrows(const Halves *h, const Expr *x) { return expr_is_op(x, OP_cast) && x->dtype == h->g->products; }

static void look_at(void *cx, Expr *x) {
  Halves *h = cx;
  for (int i = 0; x->kind == EXPR_OP && i < x->n; i++) {
    Expr *a = x->arg[i];
    if (a->kind != EXPR_READ || a->node->rank == 0 || (h->n->stream && a->node->stream == h->n->stream)) continue;
    vec_push(h->scratch, narrows(h, x) ? &h->rounded : &h->plain, a);
  }
}

static Node *copy_of(Halves *h, Node *n) {
  if (h->copy[n->id]) return h->copy[n->id];
  Var **v = NEW_ARRAY(h->scratch, Var *, n->rank);
  for (int i = 0; i < n->rank; i++) v[i] = var_fresh(h->g->ir, n->shape[i]);
  Expr *value = expr_cast(h->g->ir, h->g->products, expr_read_vars(h->g->ir, n, v));
  return h->copy[n->id] = graph_comp(h->g, n->rank, v, RED_none, 0, NULL, value, n->span);
}

static Expr *read_copy(void *cx, Expr *read) {
  Halves *h = cx;
  if (!is_in(&h->rounded, read) || is_in(&h->plain, read)) return NULL;
  return expr_cast(h->g->ir, read->dtype, expr_read(h->g->ir, copy_of(h, read->node), read->at));
}

/* ---- values that are made in the product ---- */

static bool has_quotient(const Form *f) {
  for (int i = 0; i < f->n; i++)
    if (f->terms[i].atom->kind == ATOM_DIV) return true;
  return false;
}

static bool lies_as_read(const Expr *x) {
  if (x->kind != EXPR_READ) return false;
  for (int d = 0; d < x->node->rank; d++)
    if (has_quotient(x->at[d])) return false;
  return true;
}

/* The step in memory that the read takes along v; 0: it does not use it. Of 64 * (v // 8) + v % 8, 1. */
static double step_along(const Expr *read, const Var *v) {
  double least = 0, stride = 1;
  for (int d = read->node->rank - 1; d >= 0; d--) {
    double c = (double)form_coefficient(read->at[d], v), step = stride * (c < 0 ? -c : c);
    if (step == 0 && form_uses(read->at[d], v)) step = stride;
    if (step > 0 && (least == 0 || step < least)) least = step;
    stride *= (double)dim_nominal(read->node->shape[d]);
  }
  return least;
}

/* The indices of x, those first along which its largest read takes the largest steps; 0: more than MAX_RANK, or
 * some along which it does not move. */
static int indices_of(Halves *h, Expr *x, const Expr *largest, Var **v) {
  double step[MAX_RANK];
  int n = 0;
  for (int i = 0; i < h->n->rank + h->n->nred; i++) {
    Var *var = node_slot_var(h->g, h->n, i);
    if (!expr_uses(x, var)) continue;
    double s = step_along(largest, var);
    if (n == MAX_RANK || s == 0) return 0;
    int at = n++;
    for (; at > 0 && step[at - 1] < s; at--) v[at] = v[at - 1], step[at] = step[at - 1];
    v[at] = var, step[at] = s;
  }
  return n;
}

typedef struct Outside { /* what can be read in the product only */
  const Node *n;
  bool found;
} Outside;

static void look_outside(void *cx, Expr *x) {
  Outside *o = cx;
  if (x->kind == EXPR_READ) o->found |= x->node->scan || (o->n->stream && x->node->stream == o->n->stream);
  if (x->kind == EXPR_OP) o->found |= x->op == OP_floordiv || x->op == OP_mod; /* perhaps by 0, but for a guard */
}

static bool can_leave(Halves *h, Expr *x) {
  Outside o = {h->n, false};
  expr_visit(x, look_outside, &o);
  return !o.found && expr_is_safe(h->g->ir, x);
}

/* The map of x over n indices: a copy that is there already, or a new one. NULL: x has to stay. */
static Node *copy_made(Halves *h, Expr *x, int n, Var **v) {
  if (!can_leave(h, x)) return NULL;
  Node *map = graph_comp(h->g, n, v, RED_none, 0, NULL, x, h->n->span);
  for (int i = 0; i < h->made.n; i++)
    if (map_is_same(h->made.at[i], map)) return h->made.at[i];
  vec_push(h->scratch, &h->made, map);
  return map;
}

typedef struct Windows { /* what is read where the largest read is, as a map over that one's tensor */
  Ir *ir;
  const Expr *largest;
  Var **v; /* by dimension of the tensor */
} Windows;

static Expr *read_elsewhere(void *cx, Expr *read) {
  const Windows *w = cx;
  Form **at = NEW_ARRAY(w->ir->arena, Form *, read->node->rank + 1);
  for (int i = 0; i < read->node->rank; i++) {
    at[i] = read->at[i];
    for (int d = 0; d < w->largest->node->rank; d++)
      if (read->at[i] == w->largest->at[d]) at[i] = form_var(w->ir, w->v[d]);
  }
  return expr_read(w->ir, read->node, at);
}

/* A window of x, whose elements depend on their place in the tensor alone: of f(t[c, i + u], s[c]), one at c, i + u.
 */
static Expr *read_window(Halves *h, Expr *x, const Expr *largest) {
  int n = largest->node->rank;
  if (n > MAX_RANK || node_point_count(h->n) < h->many * node_result_count(largest->node)) return NULL;
  Var *v[MAX_RANK];
  for (int d = 0; d < n; d++) v[d] = var_fresh(h->g->ir, largest->node->shape[d]);
  Windows w = {h->g->ir, largest, v};
  Expr *value = expr_map(&(ExprMap){.ir = w.ir, .read = read_elsewhere, .cx = &w}, x);
  for (int i = 0; i < h->n->rank + h->n->nred; i++)
    if (expr_uses(value, node_slot_var(h->g, h->n, i))) return NULL;
  Node *map = copy_made(h, value, n, v);
  return map ? expr_read(w.ir, map, largest->at) : NULL;
}

static Expr *read_made(void *cx, Expr *x) {
  Halves *h = cx;
  Var *v[MAX_RANK];
  if (!narrows(h, x) || lies_as_read(x->arg[0])) return NULL;
  const Expr *largest = expr_largest_read(h->scratch, x);
  int n = largest ? indices_of(h, x, largest, v) : 0;
  double elements = 1;
  for (int i = 0; i < n; i++) elements *= (double)dim_nominal(v[i]->extent);
  if (n > 0 && elements > 1.25 * node_result_count(largest->node)) return read_window(h, x, largest);
  if (n == 0 || node_point_count(h->n) < h->many * elements) return NULL;
  Node *map = copy_made(h, x, n, v);
  return map ? expr_read_vars(h->g->ir, map, v) : NULL;
}

Contraction *large_product(Graph *g, const Node *n, const PassContext *cx, Arena *a) {
  Contraction *c;
  if (!cx->small && node_point_count(n) < LARGE) return NULL;
  return classify(g, n, a, &c) == KERNEL_contraction ? c : NULL;
}

static void read_copies(Halves *h, Node *n) {
  h->rounded = h->plain = (ExprList){0};
  h->n = n;
  Expr *body = expr_map(&(ExprMap){.ir = h->g->ir, .op = read_made, .cx = h}, n->body);
  expr_visit(body, look_at, h);
  body = expr_map(&(ExprMap){.ir = h->g->ir, .read = read_copy, .cx = h}, body);
  if (body != n->body) n->forward = graph_with_body(h->g, n, body, NULL);
}

bool pass_halve(Graph *g, PassContext *cx) {
  if (!cx->gpu || g->products == DT_f64 || g->scans.n) return false;
  Halves h = {.g = g, .scratch = arena_new(), .many = cx->small ? 0 : MANY};
  const int count = g->nodes.n;
  h.copy = NEW_ARRAY(h.scratch, Node *, count);
  for (int i = 0; i < count; i++) h.copy[i] = NULL;
  for (int i = 0; i < count; i++) {
    Node *n = g->nodes.at[i];
    if (n->kind == NODE_comp && large_product(g, n, cx, h.scratch)) read_copies(&h, n);
  }
  arena_free(h.scratch);
  return graph_renew(g);
}
