/* each.c - see each.h.
 *
 * What lies between the shared tensors and the total is computed anew, from a copy for each element. A tensor there
 * may have an index of the elements as a dimension of its own already: then every reader, down to the total, reads it
 * at its own element, and it keeps its shape; activations of a batch do. Which dimension that is, is found by
 * narrowing: any to begin with, then those alone that agree with every read, until nothing changes. What is left
 * without one is given a dimension more: copies of parameters, and what follows from parameters alone. So a linear
 * layer's gradient for each example is dy[b, o] * x[b, i], as if written by hand.
 *
 * Copies have the values of what they copy, and pass_squeeze drops the dimension that they do not depend on, so the
 * forward pass is not computed twice. A derivative that was given is narrowed with its function: if either lacks the
 * dimension, the function, its variables, and what the derivative is computed by get it. */
#include "ir/each.h"

#include "ir/cost.h"
#include "ir/custom.h"
#include "ir/derive.h"
#include "ir/tangent.h"

typedef struct Each {
  Graph *g;
  Ir *ir;
  Arena *scratch;
  Node *total;
  int n, count;  /* indices; nodes up to the total */
  bool *path;    /* by node id: the total depends on a shared tensor by way of it */
  bool *given;   /* by node id: a derivative that was given, of a custom node of the path, is computed by it */
  unsigned *own; /* by node id and index: dimensions that may be the index; UNREAD: no reader has said yet */
  bool changed;
  Node **copy; /* by node id; NULL: itself */
} Each;

enum { UNREAD = 1 << 30 };

static unsigned *masks(const Each *e, const Node *x) { return &e->own[x->id * e->n]; }

static bool is_looked_at(const Each *e, const Node *x) {
  return x->id < e->count && (e->path[x->id] || e->given[x->id]);
}

/* ---- which nodes ---- */

typedef struct Any {
  const bool *marked;
  int count;
  bool found;
} Any;

static void find_marked(void *cx, Node *n) {
  Any *any = cx;
  any->found |= n->id < any->count && any->marked[n->id];
}

/* Marks what depends on marked nodes, of those that `within` allows; again as long as a carry is found late. */
static void mark_dependents(const Each *e, bool *marked, const bool *within) {
  for (bool again = true; again;) {
    again = false;
    for (int i = 0; i < e->count; i++) {
      Any any = {marked, e->count, marked[i]};
      if (any.found || !within[i]) continue;
      node_operands(e->g->nodes.at[i], find_marked, &any);
      again |= any.found;
      marked[i] = any.found;
    }
  }
}

typedef struct Needed {
  bool *marked;
  int count;
} Needed;

static void mark_needed(void *cx, Node *n) {
  Needed *needed = cx;
  if (n->id >= needed->count || needed->marked[n->id]) return;
  needed->marked[n->id] = true;
  node_operands(n, mark_needed, needed);
}

/* What custom node c's derivatives are computed by, from its adjoint on. */
static void mark_given(Each *e, const Node *c) {
  bool *needed = NEW_ARRAY(e->scratch, bool, e->count), *depends = NEW_ARRAY(e->scratch, bool, e->count);
  for (int i = 0; i < custom_count(c); i++) mark_needed(&(Needed){needed, e->count}, c->in[3 + 2 * i]);
  needed[c->in[1]->id] = depends[c->in[1]->id] = true;
  mark_dependents(e, depends, needed);
  for (int i = 0; i < e->count; i++) e->given[i] |= depends[i];
}

/* ---- dimensions ---- */

static void narrow(Each *e, const Node *x, int k, unsigned to) {
  unsigned *mask = &masks(e, x)[k];
  e->changed |= (*mask & ~to) != 0;
  *mask &= to;
}

static bool is_unread(const Each *e, const Node *x, int k) { return masks(e, x)[k] & UNREAD; }

static int first_of(unsigned mask) { return __builtin_ctz(mask); }

/* Index k in the body of y; NULL: y has it not. */
static Form *own_form(const Each *e, const Node *y, int k) {
  if (y == e->total) return form_var(e->ir, node_reduction_var(e->g, y, k));
  unsigned mask = masks(e, y)[k];
  if (!mask) return NULL;
  return y->kind == NODE_scatter ? y->at[first_of(mask)] : form_var(e->ir, node_result_var(e->g, y, first_of(mask)));
}

static unsigned dimensions_at(const Expr *read, const Form *at) {
  unsigned mask = 0;
  for (int d = 0; at && d < read->node->rank; d++)
    if (read->at[d] == at) mask |= 1u << d;
  return mask;
}

static void narrow_reads(Each *e, const Node *y) {
  ExprList reads = node_reads(e->scratch, y);
  for (int i = 0; i < reads.n; i++) {
    const Node *x = reads.at[i]->node;
    bool same_side = is_looked_at(e, x) && e->given[x->id] == e->given[y->id];
    for (int k = 0; same_side && k < e->n; k++)
      if (y == e->total || !is_unread(e, y, k)) narrow(e, x, k, dimensions_at(reads.at[i], own_form(e, y, k)));
  }
}

/* A carry's operands have its dimension; `init` lacks that of the steps. */
static void narrow_carry(Each *e, const Node *c) {
  for (int k = 0; k < e->n && c->nin; k++) {
    if (is_unread(e, c, k)) continue;
    unsigned mask = masks(e, c)[k];
    int d = mask ? first_of(mask) : 0;
    if (is_looked_at(e, c->in[0])) narrow(e, c->in[0], k, mask ? 1u << (d - (d > c->axis)) : 0);
    if (is_looked_at(e, c->in[1])) narrow(e, c->in[1], k, mask ? 1u << d : 0);
  }
}

static void agree(Each *e, const Node *a, const Node *b) {
  for (int k = 0; k < e->n; k++) {
    if (!is_unread(e, b, k)) narrow(e, a, k, masks(e, b)[k]);
    if (!is_unread(e, a, k)) narrow(e, b, k, masks(e, a)[k]);
  }
}

static bool lacks_one(const Each *e, const Node *x) {
  for (int k = 0; k < e->n; k++)
    if (!masks(e, x)[k]) return true;
  return false;
}

static void narrow_custom(Each *e, const Node *c) {
  agree(e, c, c->in[1]);
  bool lacks = lacks_one(e, c);
  for (int i = 0; i < custom_count(c); i++) {
    const Node *x = custom_variable(c, i), *by = c->in[3 + 2 * i];
    if (!e->path[x->id]) continue;
    if (is_looked_at(e, by)) agree(e, x, by);
    lacks = lacks || lacks_one(e, x);
  }
  for (int k = 0; lacks && k < e->n; k++) {
    narrow(e, c, k, 0);
    narrow(e, c->in[1], k, 0);
    for (int i = 0; i < custom_count(c); i++) {
      if (e->path[custom_variable(c, i)->id]) narrow(e, custom_variable(c, i), k, 0);
      if (is_looked_at(e, c->in[3 + 2 * i])) narrow(e, c->in[3 + 2 * i], k, 0);
    }
  }
}

static unsigned all_dimensions(const Node *x) {
  unsigned mask = (1u << x->rank) - 1;
  if (x->kind == NODE_carry) mask &= ~(1u << x->axis);
  for (int d = 0; x->kind == NODE_scatter && d < x->rank; d++)
    if (!form_as_var(x->at[d])) mask &= ~(1u << d);
  return mask;
}

static void narrow_operands(Each *e, const Node *y) {
  if (y->kind == NODE_carry) narrow_carry(e, y);
  else if (y->kind == NODE_custom) narrow_custom(e, y);
  else if (y->body) narrow_reads(e, y);
}

static void find_dimensions(Each *e, int nshared, const Shared *shared) {
  for (int i = 0; i < e->count; i++)
    for (int k = 0; k < e->n; k++) e->own[i * e->n + k] = all_dimensions(e->g->nodes.at[i]) | UNREAD;
  for (int i = 0; i < nshared; i++)
    for (int k = 0; k < e->n; k++) masks(e, shared[i].node)[k] = shared[i].own[k] < 0 ? 0 : 1u << shared[i].own[k];
  do {
    e->changed = false;
    for (int i = e->count - 1; i >= 0; i--)
      if (is_looked_at(e, e->g->nodes.at[i])) narrow_operands(e, e->g->nodes.at[i]);
  } while (e->changed);
}

/* ---- copies ---- */

typedef struct Added { /* the indices that a copy has in front */
  int n;
  Var **var;
  Dim **shape; /* of the copy */
  Form **form; /* by index: what it is in the copy's body; NULL: nothing */
} Added;

static Added added_to(const Each *e, const Node *y) {
  Added a = {0, NEW_ARRAY(e->scratch, Var *, e->n + y->rank + 1), NEW_ARRAY(e->scratch, Dim *, e->n + y->rank + 1),
             NEW_ARRAY(e->scratch, Form *, e->n)};
  for (int k = 0; k < e->n; k++) {
    if (y == e->total || masks(e, y)[k]) continue;
    Var *v = var_fresh(e->ir, node_reduction_var(e->g, e->total, k)->extent);
    a.shape[a.n] = v->extent;
    a.form[k] = form_var(e->ir, v);
    a.var[a.n++] = v;
  }
  for (int d = 0; d < y->rank; d++) a.shape[a.n + d] = y->shape[d];
  return a;
}

typedef struct Copying {
  Each *e;
  Form **form; /* of the reader, by index */
} Copying;

static Expr *read_copy(void *cx, Expr *read) {
  const Copying *c = cx;
  Node *x = read->node, *copy = x->id < c->e->count ? c->e->copy[x->id] : NULL;
  if (!copy) return NULL;
  Form **at = NEW_ARRAY(c->e->scratch, Form *, copy->rank + 1);
  int n = 0;
  for (int k = 0; k < c->e->n; k++)
    if (!masks(c->e, x)[k]) at[n++] = c->form[k];
  for (int d = 0; d < x->rank; d++) at[n + d] = read->at[d];
  return expr_read(c->e->ir, copy, at);
}

/* x, whatever it is, with the dimensions that `like` gets in front, and `n` of its own. */
static Node *spread_out(const Each *e, Node *x, const Node *like) {
  Added a = added_to(e, like);
  Form **at = NEW_ARRAY(e->scratch, Form *, a.n + x->rank + 1);
  Node *copy = x->id < e->count ? e->copy[x->id] : NULL;
  if (copy && copy->rank == a.n + x->rank) return copy;
  if (!copy && !a.n) return x;
  for (int i = 0; i < a.n; i++) at[i] = form_var(e->ir, a.var[i]);
  for (int d = 0; d < x->rank; d++) {
    a.var[a.n + d] = var_fresh(e->ir, x->shape[d]);
    at[a.n + d] = form_var(e->ir, a.var[a.n + d]);
  }
  Expr *read = expr_read(e->ir, x, at + a.n);
  if (copy) { /* it has more in front: all that it lacked */
    Form **form = NEW_ARRAY(e->scratch, Form *, e->n);
    for (int k = 0; k < e->n; k++) {
      unsigned mask = masks(e, like)[k];
      int d = mask ? first_of(mask) : 0;
      bool shorter = like->kind == NODE_carry && x->rank < like->rank && d > like->axis;
      form[k] = mask ? at[a.n + d - shorter] : a.form[k];
    }
    read = read_copy(&(Copying){(Each *)e, form}, read);
  }
  return graph_comp(e->g, a.n + x->rank, a.var, RED_none, 0, NULL, read, x->span);
}

static Node *copy_of_body(Each *e, const Node *y, Added *a) {
  bool result = y->kind != NODE_scatter;
  Var **red = NEW_ARRAY(e->scratch, Var *, y->nred + a->n + 1);
  Form **at = NEW_ARRAY(e->scratch, Form *, a->n + y->rank + 1);
  for (int k = 0; k < e->n; k++)
    if (!a->form[k]) a->form[k] = own_form(e, y, k);
  ExprMap m = {.ir = e->ir, .read = read_copy, .cx = &(Copying){e, a->form}};
  Expr *body = expr_map(&m, y->body);
  for (int d = 0; result && d < y->rank; d++) a->var[a->n + d] = node_result_var(e->g, y, d);
  for (int i = 0; i < y->nred; i++) red[i] = node_reduction_var(e->g, y, i);
  if (y->kind == NODE_comp) return graph_comp(e->g, a->n + y->rank, a->var, y->reducer, y->nred, red, body, y->span);
  if (y->kind == NODE_sort) return graph_sort(e->g, a->n + y->rank, a->var, y->descending, body, y->span);
  for (int i = 0; i < a->n; i++) red[y->nred + i] = a->var[i], at[i] = form_var(e->ir, a->var[i]);
  for (int d = 0; d < y->rank; d++) at[a->n + d] = form_map(&m, y->at[d]);
  return graph_scatter(e->g, y->dtype, a->n + y->rank, a->shape, y->nred + a->n, red, at, body, y->span);
}

static Node *copy_of_custom(Each *e, const Node *c) {
  int n = custom_count(c);
  Node **variable = NEW_ARRAY(e->scratch, Node *, n + 1), **by = NEW_ARRAY(e->scratch, Node *, n + 1);
  for (int i = 0; i < n; i++) {
    variable[i] = spread_out(e, custom_variable(c, i), c);
    by[i] = spread_out(e, c->in[3 + 2 * i], c);
  }
  Node *adjoint = e->copy[c->in[1]->id];
  return graph_custom(e->g, spread_out(e, c->in[0], c), adjoint ? adjoint : c->in[1], n, variable, by, c->span);
}

static Node *copy_of(Each *e, Node *y) {
  Added a = added_to(e, y);
  switch (y->kind) {
  case NODE_carry: return graph_carry(e->g, y->dtype, a.n + y->rank, a.shape, a.n + y->axis, y->down, y->span);
  case NODE_adjoint: return graph_adjoint(e->g, y->dtype, a.n + y->rank, a.shape, y->span);
  case NODE_custom: return copy_of_custom(e, y);
  default: return copy_of_body(e, y, &a);
  }
}

static void copy_all(Each *e) {
  for (int i = 0; i < e->count; i++) {
    Node *y = e->g->nodes.at[i];
    bool given = e->given[i] && lacks_one(e, y); /* else the one that is there will do */
    if (e->copy[i] || !(e->path[i] || given)) continue;
    e->copy[i] = copy_of(e, y);
    e->copy[i]->name = y->name;
  }
  for (int i = 0; i < e->count; i++) { /* what a carry goes on with is there now */
    const Node *c = e->g->nodes.at[i];
    if (!e->copy[i] || c->kind != NODE_carry || !c->nin) continue;
    e->copy[i]->counts = c->counts;
    graph_close(e->g, e->copy[i], spread_out(e, c->in[0], c), spread_out(e, c->in[1], c));
  }
}

static void copy_shared(Each *e, Shared *s) {
  s->added = 0;
  for (int k = 0; k < e->n; k++)
    if (!masks(e, s->node)[k]) s->added |= 1u << k;
  s->copy = s->added ? spread_out(e, s->node, s->node) : s->node;
  e->copy[s->node->id] = s->copy;
}

/* ---- derivatives between ---- */

static Node *answered_now(void *cx, Node *n) {
  (void)cx;
  return n->forward ? n->forward : n;
}

static Node *answer(Graph *g, Node *n) {
  Node *in[3] = {NULL, NULL, NULL};
  for (int i = 0; i < n->nin && i < 3; i++) in[i] = answered_now(NULL, n->in[i]);
  switch (n->kind) {
  case NODE_grad: return derive_part(&(StepPart){g, in[1], in[0], 0, NULL}, in[1]->shape);
  case NODE_jvp: graph_put_in_order(g); return tangent_along(g, in[0], in[1], in[2]);
  case NODE_carry: return graph_carry(g, n->dtype, n->rank, n->shape, n->axis, n->down, n->span);
  default: return graph_copy(g, n, answered_now, NULL);
  }
}

static bool asks_now(const Node *n) { return n->kind == NODE_grad || n->kind == NODE_jvp; }

/* The total with every derivative between the shared tensors and it written out, so that its parts can be looked at;
 * and with those that these are derivatives of. */
static Node *answer_all(Graph *g, Arena *scratch, Node *total, int nshared, Node *const *from) {
  Each e = {.g = g, .scratch = scratch, .count = g->nodes.n};
  bool *within = derive_path(scratch, g, nshared, from, total), *again = NEW_ARRAY(scratch, bool, e.count);
  bool any = false;
  for (int i = e.count - 1; i >= 0; i--) {
    if (!within[i] || again[i] || !asks_now(g->nodes.at[i])) continue;
    const bool *feeds = derive_sources(scratch, g, g->nodes.at[i]);
    for (int k = 0; k <= i; k++) {
      within[k] |= feeds[k];
      again[k] |= feeds[k] && asks_now(g->nodes.at[k]);
    }
    any = true;
  }
  for (int i = 0; i < nshared; i++) within[from[i]->id] = again[from[i]->id] = false; /* these stay what they are */
  if (!any) return total;
  mark_dependents(&e, again, within);
  Vec(Node *) list = {0}; /* ids change */
  for (int i = 0; i < e.count; i++)
    if (again[i]) vec_push(scratch, &list, g->nodes.at[i]);
  for (int i = 0; i < list.n; i++) list.at[i]->forward = answer(g, list.at[i]);
  for (int i = 0; i < list.n; i++) {
    const Node *c = list.at[i];
    if (c->kind != NODE_carry || !c->nin) continue;
    c->forward->counts = c->counts;
    graph_close(g, c->forward, answered_now(NULL, c->in[0]), answered_now(NULL, c->in[1]));
  }
  Node *r = total->forward ? total->forward : total;
  for (int i = 0; i < list.n; i++) list.at[i]->forward = NULL;
  graph_put_in_order(g);
  return r;
}

static bool has_added(const Each *e) {
  for (int i = 0; i < e->count; i++)
    if (e->path[i] && e->g->nodes.at[i] != e->total && lacks_one(e, e->g->nodes.at[i])) return true;
  return false;
}

Node *derive_each(Graph *g, Node *total, int nshared, Shared *shared) {
  Arena *scratch = arena_new();
  Node **from = NEW_ARRAY(scratch, Node *, nshared);
  for (int i = 0; i < nshared; i++) from[i] = shared[i].node;
  graph_put_in_order(g);
  total = answer_all(g, scratch, total, nshared, from);
  Each e = {.g = g, .ir = g->ir, .scratch = scratch, .total = total, .n = total->nred, .count = g->nodes.n};
  e.path = derive_path(scratch, g, nshared, from, total);
  e.given = NEW_ARRAY(scratch, bool, e.count);
  e.own = NEW_ARRAY(scratch, unsigned, e.count *e.n);
  e.copy = NEW_ARRAY(scratch, Node *, e.count);
  for (int i = 0; i < e.count; i++)
    if (e.path[i] && g->nodes.at[i]->kind == NODE_custom) mark_given(&e, g->nodes.at[i]);
  find_dimensions(&e, nshared, shared);
  bool any = has_added(&e);
  for (int i = 0; i < nshared; i++) copy_shared(&e, &shared[i]);
  if (any) copy_all(&e);
  Node *r = any && e.copy[total->id] ? e.copy[total->id] : total;
  arena_free(scratch);
  return r;
}
