/* graph.c - see graph.h: builders, and graph_renew, by which every pass ends. */
#include "ir/graph.h"

#include <string.h>

const char *reducer_name(Reducer r) {
  static const char *const names[] = {
#define ROW(name, what) #name,
#include "ir/reducer.def"
#undef ROW
  };
  return names[r];
}

bool reducer_identity(Reducer r, DType t, double *value) {
  switch (r) {
  case RED_sum:
  case RED_any: *value = 0; return true;
  case RED_prod:
  case RED_all: *value = 1; return true;
  case RED_max: *value = -__builtin_inf(); return dtype_is_float(t);
  case RED_min: *value = __builtin_inf(); return dtype_is_float(t);
  default: return false;
  }
}

const char *node_kind_name(NodeKind k) {
  static const char *const names[] = {
#define ROW(name, what) #name,
#include "ir/node.def"
#undef ROW
  };
  return names[k];
}

Graph *graph_new(Ir *ir, Str name) {
  Graph *g = NEW(ir->arena, Graph);
  g->ir = ir;
  g->arena = ir->arena;
  g->name = name;
  return g;
}

/* ---- builders ---- */

static Node *append(Graph *g, NodeKind kind, DType t, int rank, Dim *const *shape, Span at) {
  Node *n = NEW(g->arena, Node);
  n->kind = kind;
  n->dtype = t;
  n->rank = rank;
  n->shape = NEW_ARRAY(g->arena, Dim *, rank + 1);
  if (rank) memcpy(n->shape, shape, sizeof *shape * (size_t)rank);
  n->span = at;
  if (!at.use) n->span.use = g->use;
  n->id = g->nodes.n;
  vec_push(g->arena, &g->nodes, n);
  return n;
}

static void set_operands(Graph *g, Node *n, int nin, Node *const *in) {
  n->nin = nin;
  n->in = NEW_ARRAY(g->arena, Node *, nin);
  memcpy(n->in, in, sizeof *in * (size_t)nin);
}

static Node *append_named(Graph *g, NodeKind kind, Str name, DType t, int rank, Dim **shape, Span at) {
  Node *n = append(g, kind, t, rank, shape, at);
  n->name = name;
  return n;
}

Node *graph_input(Graph *g, Str name, DType t, int rank, Dim **shape, Span at) {
  return append_named(g, NODE_input, name, t, rank, shape, at);
}

Node *graph_param(Graph *g, Str name, DType t, int rank, Dim **shape, Span at) {
  Node *n = append_named(g, NODE_param, name, t, rank, shape, at);
  n->trained = true;
  return n;
}

Node *graph_state(Graph *g, Str name, DType t, int rank, Dim **shape, Span at) {
  return append_named(g, NODE_state, name, t, rank, shape, at);
}

Node *graph_const(Graph *g, DType t, int rank, Dim **shape, const void *data, Span at) {
  Node *n = append(g, NODE_const, t, rank, shape, at);
  size_t bytes = (size_t)dtype_bytes(t);
  for (int i = 0; i < rank; i++) bytes *= (size_t)dim_value(shape[i]);
  n->data = arena_alloc(g->arena, bytes);
  if (bytes) memcpy(n->data, data, bytes);
  return n;
}

Node *graph_grad(Graph *g, Node *scalar, Node *variable, Span at) {
  Node *n = append(g, NODE_grad, variable->dtype, variable->rank, variable->shape, at);
  set_operands(g, n, 2, (Node *[]){scalar, variable});
  return n;
}

Node *graph_jvp(Graph *g, Node *value, Node *variable, Node *direction, Span at) {
  Node *n = append(g, NODE_jvp, value->dtype, value->rank, value->shape, at);
  set_operands(g, n, 3, (Node *[]){value, variable, direction});
  return n;
}

Node *graph_adjoint(Graph *g, DType t, int rank, Dim **shape, Span at) {
  return append(g, NODE_adjoint, t, rank, shape, at);
}

Node *graph_custom(Graph *g, Node *value, Node *adjoint, int n, Node *const *variables, Node *const *derivatives,
                   Span at) {
  Node *c = append(g, NODE_custom, value->dtype, value->rank, value->shape, at);
  Node **in = NEW_ARRAY(g->arena, Node *, 2 + 2 * n);
  in[0] = value;
  in[1] = adjoint;
  for (int i = 0; i < n; i++) {
    in[2 + 2 * i] = variables[i];
    in[3 + 2 * i] = derivatives[i];
  }
  set_operands(g, c, 2 + 2 * n, in);
  return c;
}

Node *graph_store(Graph *g, Node *target, Node *value, Span at) {
  Node *n = append(g, NODE_store, target->dtype, target->rank, target->shape, at);
  set_operands(g, n, 2, (Node *[]){value, target});
  vec_push(g->arena, &g->stores, n);
  return n;
}

Node *graph_filled(Graph *g, DType t, int rank, Dim *const *shape, double value, Span at) {
  Var **v = NEW_ARRAY(g->arena, Var *, rank + 1);
  for (int i = 0; i < rank; i++) v[i] = var_fresh(g->ir, shape[i]);
  return graph_comp(g, rank, v, RED_none, 0, NULL, expr_real(g->ir, t, value), at);
}

Node *graph_carry(Graph *g, DType t, int rank, Dim **shape, int axis, bool down, Span at) {
  Node *n = append(g, NODE_carry, t, rank, shape, at);
  n->axis = axis;
  n->down = down;
  return n;
}

void graph_close(Graph *g, Node *carry, Node *init, Node *next) { set_operands(g, carry, 2, (Node *[]){init, next}); }

void graph_output(Graph *g, Str name, Node *n) { vec_push(g->arena, &g->outputs, (Output){name, n}); }

/* Renames the Vars of two lists to positions. */
typedef struct Renaming {
  Ir *ir;
  int nresult, nreduced;
  Var **result, **reduced;
} Renaming;

static Form *position_of(void *cx, Var *v) {
  Renaming *r = cx;
  for (int i = 0; i < r->nresult; i++)
    if (r->result[i] == v) return form_var(r->ir, var_get(r->ir, i, v->extent));
  for (int i = 0; i < r->nreduced; i++)
    if (r->reduced[i] == v) return form_var(r->ir, var_get(r->ir, r->nresult + i, v->extent));
  return NULL;
}

static Dim **extents_of(Arena *a, int n, Var **vars) {
  Dim **extents = NEW_ARRAY(a, Dim *, n + 1);
  for (int i = 0; i < n; i++) extents[i] = vars[i]->extent;
  return extents;
}

static DType reduced_type(Reducer r, const Expr *body) {
  return r == RED_argmax || r == RED_argmin ? DT_i32 : body->dtype;
}

Node *graph_comp(Graph *g, int rank, Var **result, Reducer r, int nreduced, Var **reduced, Expr *body, Span at) {
  if (nreduced == 0 && (r == RED_argmax || r == RED_argmin)) body = expr_int(g->ir, DT_i32, 0);
  if (nreduced == 0) r = RED_none;
  if (nreduced && r == RED_none) ice("graph_comp: reduction indices without a reducer");
  Renaming renaming = {g->ir, rank, nreduced, result, reduced};
  ExprMap m = {.ir = g->ir, .var = position_of, .cx = &renaming};
  body = expr_map(&m, body);
  Node *n = append(g, NODE_comp, reduced_type(r, body), rank, extents_of(g->arena, rank, result), at);
  n->reducer = r;
  n->nred = nreduced;
  n->red = extents_of(g->arena, nreduced, reduced);
  n->body = body;
  return n;
}

static Node *scatter_of(Graph *g, DType t, Reducer r, int rank, Dim **shape, int nvars, Var **vars, Form **at,
                        Expr *value, Span at_span) {
  Renaming renaming = {g->ir, 0, nvars, NULL, vars};
  ExprMap m = {.ir = g->ir, .var = position_of, .cx = &renaming};
  Node *n = append(g, NODE_scatter, t, rank, shape, at_span);
  n->reducer = r;
  n->nred = nvars;
  n->red = extents_of(g->arena, nvars, vars);
  n->body = expr_map(&m, value);
  n->at = NEW_ARRAY(g->arena, Form *, rank + 1);
  for (int i = 0; i < rank; i++) n->at[i] = form_map(&m, at[i]);
  return n;
}

Node *graph_scatter(Graph *g, DType t, int rank, Dim **shape, int nvars, Var **vars, Form **at, Expr *value,
                    Span at_span) {
  return scatter_of(g, t, RED_sum, rank, shape, nvars, vars, at, value, at_span);
}

Node *graph_scatter_max(Graph *g, int rank, Dim **shape, int nvars, Var **vars, Form **at, Expr *value,
                        Span at_span) {
  return scatter_of(g, DT_i32, RED_max, rank, shape, nvars, vars, at, value, at_span);
}

Node *graph_sort(Graph *g, int rank, Var **result, bool descending, Expr *key, Span at) {
  if (rank < 1) ice("graph_sort: of a scalar");
  Renaming renaming = {g->ir, rank, 0, result, NULL};
  ExprMap m = {.ir = g->ir, .var = position_of, .cx = &renaming};
  Node *n = append(g, NODE_sort, DT_i32, rank, extents_of(g->arena, rank, result), at);
  n->descending = descending;
  n->body = expr_map(&m, key);
  return n;
}

static Node *in_stream(Node *n, int stream) {
  n->stream = stream;
  return n;
}

Node *graph_with_body(Graph *g, const Node *n, Expr *body, Form **at) {
  Var **result = NEW_ARRAY(g->arena, Var *, n->rank + 1), **reduced = NEW_ARRAY(g->arena, Var *, n->nred + 1);
  for (int i = 0; i < n->nred; i++) reduced[i] = node_reduction_var(g, n, i);
  for (int i = 0; i < node_result_slots(n); i++) result[i] = node_result_var(g, n, i);
  switch (n->kind) {
  case NODE_comp:
    return in_stream(graph_comp(g, n->rank, result, n->reducer, n->nred, reduced, body, n->span), n->stream);
  case NODE_scatter:
    return scatter_of(g, n->dtype, n->reducer, n->rank, n->shape, n->nred, reduced, at, body, n->span);
  case NODE_sort: return graph_sort(g, n->rank, result, n->descending, body, n->span);
  default: ice("graph_with_body: a %s has no body", node_kind_name(n->kind));
  }
}

typedef struct Copying {
  Graph *g;
  Node *(*map)(void *cx, Node *operand);
  void *cx;
} Copying;

static Expr *copied_read(void *cx, Expr *read) {
  const Copying *c = cx;
  Node *n = c->map(c->cx, read->node);
  return n == read->node ? NULL : expr_read(c->g->ir, n, read->at);
}

Node *graph_copy(Graph *g, const Node *n, Node *(*map)(void *cx, Node *operand), void *cx) {
  Copying c = {g, map, cx};
  ExprMap m = {.ir = g->ir, .read = copied_read, .cx = &c};
  Node *copy;
  if (n->body) {
    Form **at = NEW_ARRAY(g->arena, Form *, n->rank + 1);
    for (int i = 0; n->at && i < n->rank; i++) at[i] = form_map(&m, n->at[i]);
    copy = graph_with_body(g, n, expr_map(&m, n->body), at);
  } else {
    copy = append(g, n->kind, n->dtype, n->rank, n->shape, n->span);
    set_operands(g, copy, n->nin, n->in);
    for (int i = 0; i < n->nin; i++) copy->in[i] = map(cx, n->in[i]);
  }
  copy->name = n->name;
  return copy;
}

/* ---- indices and operands ---- */

bool node_asks(const Node *n) { return n->kind == NODE_grad || n->kind == NODE_jvp || n->kind == NODE_custom; }

int node_result_slots(const Node *n) { return n->kind == NODE_scatter ? 0 : n->rank; }

Var *node_result_var(const Graph *g, const Node *n, int i) { return var_get(g->ir, i, n->shape[i]); }

Var *node_reduction_var(const Graph *g, const Node *n, int i) {
  return var_get(g->ir, node_result_slots(n) + i, n->red[i]);
}

Var *node_slot_var(const Graph *g, const Node *n, int slot) {
  return slot < n->rank ? node_result_var(g, n, slot) : node_reduction_var(g, n, slot - n->rank);
}

bool map_is_same(const Node *a, const Node *b) {
  bool same = a->body == b->body && a->rank == b->rank;
  for (int d = 0; same && d < a->rank; d++) same = a->shape[d] == b->shape[d];
  return same;
}

bool node_same_type(const Node *a, const Node *b) {
  bool same = a->dtype == b->dtype && a->rank == b->rank;
  for (int i = 0; same && i < a->rank; i++) same = a->shape[i] == b->shape[i];
  return same;
}

bool node_slots_used(const Graph *g, const Node *n, const Expr *e, int first, int last) {
  for (int i = first; i < last; i++)
    if (expr_uses(e, node_slot_var(g, n, i))) return true;
  return false;
}

typedef struct Substitution {
  int rank;
  Form **at;
} Substitution;

static Form *form_at(void *cx, Var *v) {
  Substitution *s = cx;
  return v->slot < s->rank ? s->at[v->slot] : NULL;
}

Expr *node_body_at(Graph *g, const Node *n, Form **at) {
  if (n->kind != NODE_comp || n->nred) ice("node_body_at: node %d is no map", n->id);
  Substitution s = {n->rank, at};
  ExprMap m = {.ir = g->ir, .var = form_at, .cx = &s};
  return expr_map(&m, n->body);
}

typedef struct Operands {
  void (*f)(void *cx, Node *operand);
  void *cx;
} Operands;

static void operand_of(void *cx, Expr *e) {
  Operands *o = cx;
  if (e->kind == EXPR_READ) o->f(o->cx, e->node);
}

static void operands_of_form(const Form *f, Operands *o) {
  for (int i = 0; i < f->n; i++) {
    Atom *a = f->terms[i].atom;
    if (a->kind == ATOM_DATA) expr_visit(a->data, operand_of, o);
    if (a->kind == ATOM_DIV) operands_of_form(a->form, o);
  }
}

void node_operands(const Node *n, void (*f)(void *cx, Node *operand), void *cx) {
  Operands o = {f, cx};
  for (int i = 0; i < n->nin; i++) f(cx, n->in[i]);
  if (n->body) expr_visit(n->body, operand_of, &o);
  if (n->at)
    for (int i = 0; i < n->rank; i++) operands_of_form(n->at[i], &o);
}

/* ---- graph_renew ---- */

enum { DEAD, LIVE }; /* Node.mark */

typedef struct Renewal {
  Graph *g;
  NodeOrder live;
  bool changed, forwarded; /* forwarded: an operand of the node looked at is replaced */
} Renewal;

static Node *resolve(Node *n) {
  while (n->forward) n = n->forward;
  return n;
}

static void mark_live(void *cx, Node *n) {
  n = resolve(n);
  if (n->mark != DEAD) return;
  n->mark = LIVE;
  node_operands(n, mark_live, cx);
}

static Expr *resolve_read(void *cx, Expr *read) {
  Renewal *r = cx;
  Node *n = resolve(read->node);
  return n == read->node ? NULL : expr_read(r->g->ir, n, read->at);
}

static void rewrite_operands(Renewal *r, Node *n) {
  ExprMap m = {.ir = r->g->ir, .read = resolve_read, .cx = r};
  for (int i = 0; i < n->nin; i++) n->in[i] = resolve(n->in[i]);
  if (n->body) n->body = expr_map(&m, n->body);
  if (n->at)
    for (int i = 0; i < n->rank; i++) n->at[i] = form_map(&m, n->at[i]);
}

/* What takes an operand's place has its type and shape. */
static void check_forward(void *cx, Node *n) {
  Node *to = resolve(n);
  if (!node_same_type(to, n)) ice("graph_renew: node %d is replaced by node %d of another shape", n->id, to->id);
  ((Renewal *)cx)->forwarded |= to != n;
}

static void renew_operands(Renewal *r, Node *n) {
  r->forwarded = false;
  node_operands(n, check_forward, r);
  if (r->forwarded) rewrite_operands(r, n);
  r->changed |= r->forwarded;
}

typedef struct SizeUse {
  const DimAtom *symbol;
  bool found;
} SizeUse;

static void compare_symbol(void *cx, DimAtom *symbol) {
  SizeUse *u = cx;
  u->found |= symbol == u->symbol;
}

/* Is the size needed, and no live input says it? */
static bool lacks_size(const Graph *g, const DimAtom *symbol) {
  SizeUse all = {.symbol = symbol}, inputs = all;
  for (int i = 0; i < g->requires.n; i++) dim_symbols(g->requires.at[i].slack, compare_symbol, &all);
  for (int i = 0; i < g->nodes.n; i++) {
    const Node *n = g->nodes.at[i];
    if (n->mark == LIVE) node_symbols(n, compare_symbol, n->kind == NODE_input ? &inputs : &all);
  }
  return all.found && !inputs.found;
}

/* An input that nothing reads may still be the one that tells how large something is. */
static bool says_a_size(const Graph *g, const Node *n) {
  for (int i = 0; n->kind == NODE_input && n->mark == DEAD && i < n->rank; i++) {
    DimAtom *s = NULL;
    int64_t scale, rest;
    if (dim_is_line(n->shape[i], &scale, &s, &rest) && s != g->batch && lacks_size(g, s)) return true;
  }
  return false;
}

bool graph_renew(Graph *g) {
  Renewal r = {.g = g};
  for (int i = 0; i < g->nodes.n; i++) g->nodes.at[i]->mark = DEAD;
  for (int i = 0; i < g->outputs.n; i++) {
    Output *o = &g->outputs.at[i];
    mark_live(NULL, o->node);
    r.changed |= o->node->forward != NULL;
    o->node = resolve(o->node);
  }
  for (int i = 0; i < g->stores.n; i++) mark_live(NULL, g->stores.at[i]);
  for (int i = 0; i < g->nodes.n; i++) {
    if (says_a_size(g, g->nodes.at[i])) mark_live(NULL, g->nodes.at[i]);
    if (g->nodes.at[i]->mark != LIVE) continue;
    renew_operands(&r, g->nodes.at[i]);
    vec_push(g->arena, &r.live, g->nodes.at[i]);
  }
  NodeOrder order = scans_order(g, r.live.n, r.live.at);
  r.changed |= order.n != g->nodes.n;
  for (int i = 0; i < g->nodes.n; i++) {
    if (i < order.n) r.changed |= order.at[i] != g->nodes.at[i];
    g->nodes.at[i]->mark = 0;
    g->nodes.at[i]->forward = NULL;
  }
  for (int i = 0; i < order.n; i++) order.at[i]->id = i;
  g->nodes.n = 0;
  for (int i = 0; i < order.n; i++) vec_push(g->arena, &g->nodes, order.at[i]);
  scans_place(g);
  return r.changed;
}
