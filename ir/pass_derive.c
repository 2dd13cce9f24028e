/* pass_derive.c - write the derivative that each NODE_grad asks for, in reverse mode; tangent.c answers NODE_jvp.
 *
 * In: a graph with nodes that ask. Out: none is left, all new nodes are comps, scatters and sorts. For a comp y =
 * red(r: body) with adjoint dy, adjoint.c gives each read x[A(i, r)] of the body its adjoint G(i, r), and
 *
 *   dx[j] += sum over { (i, r) : A(i, r) = j } of G
 *
 * where solve.c turns the set into new indices and a guard, so the derivative is a comp that reads again: a
 * convolution's is a convolution, a pad's a slice, a broadcast's a sum. A data index that j determines becomes a
 * comparison, any other a scatter, whose own derivative is a gather. Several contributions to a tensor are added in
 * one map. Because the result is the same kind of thing as the source, derivatives of derivatives need nothing more.
 *
 * A carry's adjoint is a carry that runs the other way: with A[j] the adjoint of row j of c, `next` gets, besides
 * what its other readers give, A of the row that it writes, and A[j] is what c's readers give at j. So weight
 * gradients are sums over all steps, outside of any loop, and the derivative of a loop is one again.
 *
 * The innermost is answered first; gradients of one scalar share one sweep; the derivative by what the
 * scalar does not depend on is 0. Before fuse: a fused body would be differentiated with the recomputation in it. */
#include "ir/derive.h"

#include "ir/adjoint.h"
#include "ir/cost.h"
#include "ir/custom.h"
#include "ir/pass.h"
#include "ir/permutation.h"
#include "ir/reduce_indices.h"
#include "ir/seed.h"
#include "ir/tangent.h"

/* ---- dependence ---- */

typedef struct Reach {
  bool *reached; /* by node id */
  int n;
} Reach;

static bool is_reached(void *cx, Node *n) {
  const Reach *r = cx;
  return n->id < r->n && r->reached[n->id];
}

/* Calls f for each node of which n passes on a change, as a derivative sees it. */
static void node_sources(const Node *n, void (*f)(void *cx, Node *source), void *cx) {
  switch (n->kind) {
  case NODE_comp:
    if (n->reducer > RED_prod) return; /* positions and truth values */
    scalar_sources(n->body, f, cx);
    return;
  case NODE_scatter: scalar_sources(n->body, f, cx); return;
  case NODE_grad: f(cx, n->in[0]); return;
  case NODE_carry:
    for (int i = 0; i < n->nin && dtype_is_float(n->dtype); i++) f(cx, n->in[i]);
    return;
  case NODE_jvp:
    f(cx, n->in[0]);
    f(cx, n->in[2]);
    return;
  case NODE_custom:
    for (int i = 0; i < custom_count(n); i++) f(cx, custom_variable(n, i));
    return;
  default: return;
  }
}

/* What a carry goes on with; NULL: n is none, or not closed. */
static Node *next_value(const Node *n) { return n->kind == NODE_carry && n->nin ? n->in[1] : NULL; }

typedef struct AnyReached {
  Reach *reach;
  bool found;
} AnyReached;

static void note_reached(void *cx, Node *source) {
  AnyReached *any = cx;
  any->found |= is_reached(any->reach, source);
}

/* Marks what depends on the nodes marked already, up to and with `last`. Again from the top as long as a carry is
 * reached through what stands after it. */
static void spread(const Graph *g, Reach *r, int last) {
  for (bool again = true; again;) {
    again = false;
    for (int i = 0; i <= last; i++) {
      AnyReached any = {r, r->reached[i]};
      if (!any.found) node_sources(g->nodes.at[i], note_reached, &any);
      r->reached[i] = any.found;
    }
    for (int i = 0; i <= last && !again; i++) {
      Node *next = next_value(g->nodes.at[i]);
      again = next && !r->reached[i] && dtype_is_float(g->nodes.at[i]->dtype) && is_reached(r, next);
    }
  }
}

typedef struct Cone {
  bool *marked; /* by node id */
  Arena *arena;
  Vec(Node *) open; /* marked, and their own sources not looked at */
} Cone;

static void mark_source(void *cx, Node *n) {
  Cone *c = cx;
  if (c->marked[n->id]) return;
  c->marked[n->id] = true;
  vec_push(c->arena, &c->open, n);
}

bool *derive_sources(Arena *a, const Graph *g, Node *scalar) {
  Arena *scratch = arena_new();
  Cone c = {.marked = NEW_ARRAY(a, bool, g->nodes.n), .arena = scratch};
  mark_source(&c, scalar);
  while (c.open.n) node_sources(c.open.at[--c.open.n], mark_source, &c);
  arena_free(scratch);
  return c.marked;
}

bool derive_depends(const Graph *g, Node *scalar, const Node *x) {
  Arena *scratch = arena_new();
  bool depends = derive_sources(scratch, g, scalar)[x->id];
  arena_free(scratch);
  return depends;
}

bool *derive_path(Arena *a, const Graph *g, int n, Node *const *from, Node *scalar) {
  Reach r = {NEW_ARRAY(a, bool, g->nodes.n), g->nodes.n};
  for (int i = 0; i < n; i++) r.reached[from[i]->id] = true;
  spread(g, &r, scalar->id);
  const bool *feeds = derive_sources(a, g, scalar);
  for (int i = 0; i < g->nodes.n; i++) r.reached[i] = r.reached[i] && feeds[i];
  return r.reached;
}

/* ---- one sweep: the adjoints of everything between one scalar and its variables ---- */

typedef Vec(Node *) NodeList;

typedef struct Sweep {
  Graph *g;
  Ir *ir;
  Arena *scratch;
  Reach reach;         /* depends on a variable */
  bool *feeds;         /* by node id: the scalar depends on it */
  NodeList *parts;     /* by node id: contributions to its adjoint */
  NodeList *steps;     /* by a carry's id: those of its loop's members, over the rows that they read, one a step */
  Node **adjoint;      /* by node id */
  const Node *part_of; /* the variable, where only a part of it is one: a leaf; else NULL */
  Dim **part;          /* its extents */
} Sweep;

/* Sums of adjoints of narrow floats are formed in f32 and rounded once. */
static DType adjoint_dtype(DType t) { return t == DT_f16 || t == DT_bf16 ? DT_f32 : t; }

/* A node's own indices. */
static VarList node_vars(Sweep *s, const Node *n) {
  VarList v = {0};
  if (n->kind == NODE_comp)
    for (int i = 0; i < n->rank; i++) vec_push(s->scratch, &v, node_result_var(s->g, n, i));
  for (int i = 0; i < n->nred; i++) vec_push(s->scratch, &v, node_reduction_var(s->g, n, i));
  return v;
}

static VarList fresh_vars(Sweep *s, int n, Dim **extents) {
  VarList v = {0};
  for (int i = 0; i < n; i++) vec_push(s->scratch, &v, var_fresh(s->ir, extents[i]));
  return v;
}

static Node *constant_node(Graph *g, const Node *like, double value) {
  return graph_filled(g, like->dtype, like->rank, like->shape, value, like->span);
}

/* An adjoint at some indices; one that is a number everywhere is that number. */
static Expr *adjoint_at(Sweep *s, Node *adjoint, Form **at) {
  bool constant = adjoint->kind == NODE_comp && adjoint->nred == 0 && adjoint->body->kind == EXPR_CONST;
  return constant ? adjoint->body : expr_read(s->ir, adjoint, at);
}

/* The sum of a node's contributions: its adjoint, of its own dtype. */
static Node *total(Sweep *s, const Node *n) {
  const NodeList *parts = &s->parts[n->id];
  if (parts->n == 1 && parts->at[0]->dtype == n->dtype) return parts->at[0];
  VarList v = fresh_vars(s, n->rank, n == s->part_of ? s->part : n->shape);
  Expr *sum = expr_read_vars(s->ir, parts->at[0], v.at);
  for (int i = 1; i < parts->n; i++) sum = expr_op2(s->ir, OP_add, sum, expr_read_vars(s->ir, parts->at[i], v.at));
  return graph_comp(s->g, n->rank, v.at, RED_none, 0, NULL, expr_cast(s->ir, n->dtype, sum), n->span);
}

/* ---- seeds: the adjoint of a node's body ---- */

static Expr *seed(Sweep *s, const Node *y, const VarList *v, Node *adjoint) {
  if (y->kind == NODE_scatter) return adjoint_at(s, adjoint, y->at);
  return reduction_seed(s->g, s->scratch, y, v, adjoint_at(s, adjoint, form_vars(s->ir, y->rank, v->at)));
}

/* ---- contributions: the adjoint of a read, as a tensor of what is read ---- */

typedef struct Values {
  Sweep *s;
  const VarList *from;
  Form **to;
} Values;

static Form *value_of(void *cx, Var *v) {
  const Values *m = cx;
  for (int i = 0; i < m->from->n; i++)
    if (m->from->at[i] == v) return m->to[i];
  return NULL;
}

/* sum(vars: body) over result indices; NULL where it is 0. */
static Node *sum_node(Sweep *s, const VarList *result, VarList vars, Expr *body, Span at) {
  Sum sum = {body, vars};
  sum_normalise(s->ir, &sum);
  if (expr_is_number(sum.body, 0)) return NULL;
  Reducer r = sum.vars.n ? RED_sum : RED_none;
  return graph_comp(s->g, result->n, result->at, r, sum.vars.n, sum.vars.at, sum.body, at);
}

static bool any_form_uses(int n, Form **at, const Var *v) {
  for (int d = 0; d < n; d++)
    if (form_uses(at[d], v)) return true;
  return false;
}

/* The part of a tensor that takes a contribution, and where in it: all of it, or, for what a loop's member reads of
 * the loop's carry, the rows that steps read, by step. */
typedef struct Rows {
  Dim **shape;
  Form **at;
} Rows;

static bool reads_own_carry(const Node *y, const Node *x) {
  return x->kind == NODE_carry && carry_scan(x) && scan_holds(x->scan, y);
}

static Rows rows_of(Sweep *s, const Node *y, const Expr *read) {
  const Node *x = read->node;
  Rows r = {x == s->part_of ? s->part : x->shape, read->at};
  if (x == s->part_of || !reads_own_carry(y, x)) return r;
  r.shape = NEW_ARRAY(s->scratch, Dim *, x->rank);
  r.at = NEW_ARRAY(s->scratch, Form *, x->rank);
  for (int d = 0; d < x->rank; d++) r.shape[d] = x->shape[d], r.at[d] = read->at[d];
  r.shape[x->axis] = x->scan->steps;
  r.at[x->axis] = form_sub(s->ir, r.at[x->axis], carry_row_read(s->ir, x, form_const(s->ir, 0)));
  return r;
}

/* A read at data that the read element's position does not determine: adds G at A(v'), v' the indices of A, after the
 * other indices are summed away. Where a guard holds the read together it holds the index together too. */
static Node *scatter_node(Sweep *s, const Node *y, const VarList *v, const ReadAdjoint *ra, const Rows *rows) {
  const Node *x = ra->read->node;
  Guarded g = expr_guarded(s->ir, ra->adjoint);
  VarList kept = {0}, summed = {0};
  for (int i = 0; i < v->n; i++) {
    bool keep = any_form_uses(x->rank, ra->read->at, v->at[i]) || (g.guard && expr_uses(g.guard, v->at[i]));
    VarList *to = keep ? &kept : &summed;
    vec_push(s->scratch, to, v->at[i]);
  }
  Expr *value = ra->adjoint;
  if (summed.n) {
    Node *sum = sum_node(s, &kept, summed, value, y->span);
    if (!sum) return NULL;
    value = expr_read_vars(s->ir, sum, kept.at);
  }
  Form **at = NEW_ARRAY(s->scratch, Form *, x->rank);
  for (int d = 0; d < x->rank; d++) {
    at[d] = rows->at[d];
    bool affine = !form_has_data(at[d]); /* data may be read out of bounds where its value would be inside */
    if (!g.guard || (affine && form_proves_inside(s->ir, at[d], rows->shape[d]))) continue;
    Expr *index = expr_index(s->ir, DT_i64, at[d]);
    at[d] = form_data(s->ir, expr_guard(s->ir, g.guard, index));
  }
  return graph_scatter(s->g, value->dtype, x->rank, rows->shape, kept.n, kept.at, at, value, y->span);
}

static Node *contribution(Sweep *s, const Node *y, const VarList *v, ReadAdjoint ra) {
  const Node *x = ra.read->node;
  ra.adjoint = expr_cast(s->ir, adjoint_dtype(x->dtype), ra.adjoint);
  Rows rows = rows_of(s, y, ra.read);
  VarList j = fresh_vars(s, x->rank, rows.shape);
  Form **at = NEW_ARRAY(s->scratch, Form *, x->rank + 1), **wanted = form_vars(s->ir, j.n, j.at);
  for (int d = 0; d < x->rank; d++) at[d] = rows.at[d];
  permutations_turn(s->g, x->rank, rows.shape, at, wanted);
  Solution *found = solve(s->ir, v->n, v->at, x->rank, at, wanted);
  if (found->data.n) return scatter_node(s, y, v, &ra, &rows);
  Values values = {s, v, found->value};
  Expr *body = expr_map(&(ExprMap){.ir = s->ir, .var = value_of, .cx = &values}, ra.adjoint);
  return sum_node(s, &j, found->free, expr_guard(s->ir, found->guard, body), y->span);
}

/* An adjoint that several reads of a map have in common becomes a tensor: of  tanh(z[i, j] + b[j])  both z and b, or
 * rather what is before them, want the same. */
static void share_adjoints(Sweep *s, const Node *y, const VarList *v, ReadAdjoints *reads) {
  for (int i = 0; i < reads->n; i++) {
    Expr *e = reads->at[i].adjoint, *shared = NULL;
    for (int k = i + 1; k < reads->n && e->kind == EXPR_OP; k++) {
      if (reads->at[k].adjoint != e) continue;
      Node *n = shared ? NULL : graph_comp(s->g, y->rank, v->at, RED_none, 0, NULL, e, y->span);
      if (n) shared = expr_read_vars(s->ir, n, v->at);
      reads->at[i].adjoint = reads->at[k].adjoint = shared;
    }
  }
}

static void propagate(Sweep *s, Node *y, Node *adjoint) {
  VarList v = node_vars(s, y);
  ReadAdjoints reads = {0};
  Wanted wanted = {is_reached, &s->reach};
  Expr *value = y->kind == NODE_comp && y->nred == 0 ? expr_read_vars(s->ir, y, v.at) : NULL;
  scalar_reverse(s->ir, y->body, value, seed(s, y, &v, adjoint), wanted, s->scratch, &reads);
  if (y->kind == NODE_comp && y->nred == 0) share_adjoints(s, y, &v, &reads);
  for (int i = 0; i < reads.n; i++) {
    Node *x = reads.at[i].read->node, *part = contribution(s, y, &v, reads.at[i]);
    NodeList *to = x != s->part_of && reads_own_carry(y, x) ? &s->steps[x->id] : &s->parts[x->id];
    if (part) vec_push(s->scratch, to, part);
  }
}

/* The derivative that was given with y. */
static void propagate_custom(Sweep *s, const Node *y, Node *adjoint) {
  for (int i = 0; i < custom_count(y); i++) {
    Node *x = custom_variable(y, i);
    if (s->reach.reached[x->id]) vec_push(s->scratch, &s->parts[x->id], custom_adjoint(s->g, y, i, adjoint));
  }
}

/* ---- carries ---- */

static void add_part(Sweep *s, const Node *x, Node *part) {
  if (is_reached(&s->reach, (Node *)x)) vec_push(s->scratch, &s->parts[x->id], part);
}

/* Element `at` of a contribution. One that is a comp is made again for these indices (vars: what is in `at`), so that
 * guards that say which rows it is for become known. */
static Expr *part_at(Sweep *s, Node *part, Form **at, const VarList *vars) {
  if (part->kind != NODE_comp) return expr_read(s->ir, part, at);
  if (!part->nred) return node_body_at(s->g, part, at);
  if (part->reducer != RED_sum) return expr_read(s->ir, part, at);
  VarList reduced = fresh_vars(s, part->nred, part->red), all = node_vars(s, part);
  Form **to = NEW_ARRAY(s->scratch, Form *, all.n + 1);
  for (int i = 0; i < all.n; i++) to[i] = i < part->rank ? at[i] : form_var(s->ir, reduced.at[i - part->rank]);
  Values values = {s, &all, to};
  Expr *body = expr_map(&(ExprMap){.ir = s->ir, .var = value_of, .cx = &values}, part->body);
  Node *sum = sum_node(s, vars, reduced, body, part->span);
  return sum ? expr_read_vars(s->ir, sum, vars->at) : expr_real(s->ir, part->dtype, 0);
}

static Expr *sum_at(Sweep *s, Expr *sum, const NodeList *parts, Form **at, const VarList *vars) {
  for (int i = 0; i < parts->n; i++) sum = expr_op2(s->ir, OP_add, sum, part_at(s, parts->at[i], at, vars));
  return sum;
}

/* Indices of a carry's operand: init (no dimension of steps) or next (one a step). */
static VarList operand_vars(Sweep *s, const Node *c, bool init) {
  VarList v = {0};
  Dim *steps = dim_sub(s->ir, c->shape[c->axis], dim_const(s->ir, 1));
  for (int d = 0; d < c->rank; d++)
    if (d != c->axis || !init) vec_push(s->scratch, &v, var_fresh(s->ir, d == c->axis ? steps : c->shape[d]));
  return v;
}

/* A place in a carry, from the indices of an operand. `row` NULL: the row that is written at the operand's step. */
static Form **carry_place(Sweep *s, const Node *c, const VarList *v, Form *row) {
  Form **at = NEW_ARRAY(s->scratch, Form *, c->rank);
  bool init = v->n < c->rank;
  for (int d = 0; d < c->rank; d++)
    if (d != c->axis) at[d] = form_var(s->ir, v->at[d - (init && d > c->axis)]);
    else at[d] = row ? row : carry_row_written(s->ir, c, form_var(s->ir, v->at[d]));
  return at;
}

/* What the adjoint of all of carry c gives an operand. */
static void pass_to_operand(Sweep *s, const Node *c, Node *adjoint, bool init) {
  VarList v = operand_vars(s, c, init);
  Form *row = init ? carry_row_first(s->ir, c) : NULL;
  Expr *e = expr_read(s->ir, adjoint, carry_place(s, c, &v, row));
  add_part(s, c->in[!init], graph_comp(s->g, v.n, v.at, RED_none, 0, NULL, e, c->span));
}

/* The adjoint of a carry that closes a loop: asked for when its next value is met on the way back, closed when the
 * carry itself is. */
static Node *carry_adjoint(Sweep *s, const Node *c) {
  Node **a = &s->adjoint[c->id];
  if (!*a) *a = graph_carry(s->g, adjoint_dtype(c->dtype), c->rank, c->shape, c->axis, !c->down, c->span);
  return *a;
}

static void close_adjoint(Sweep *s, const Node *c) {
  Node *a = carry_adjoint(s, c);
  VarList v = operand_vars(s, c, true), w = operand_vars(s, c, false);
  Expr *zero = expr_real(s->ir, a->dtype, 0);
  Expr *last = sum_at(s, zero, &s->parts[c->id], carry_place(s, c, &v, carry_row_last(s->ir, c)), &v);
  Form *row = carry_row_read(s->ir, c, form_var(s->ir, w.at[c->axis]));
  Expr *each = sum_at(s, zero, &s->parts[c->id], carry_place(s, c, &w, row), &w);
  const NodeList *steps = &s->steps[c->id];
  for (int i = 0; i < steps->n; i++) each = expr_op2(s->ir, OP_add, each, expr_read_vars(s->ir, steps->at[i], w.at));
  Node *init = graph_comp(s->g, v.n, v.at, RED_none, 0, NULL, expr_cast(s->ir, a->dtype, last), c->span);
  Node *next = graph_comp(s->g, w.n, w.at, RED_none, 0, NULL, expr_cast(s->ir, a->dtype, each), c->span);
  graph_close(s->g, a, init, next);
  pass_to_operand(s, c, a, true);
}

/* y is about to get its adjoint: what the carries give that go on with it. */
static void ask_carries(Sweep *s, const Node *y) {
  for (int i = y->scan ? y->scan->first : 0; y->scan && i <= y->scan->last; i++) {
    const Node *c = s->g->nodes.at[i];
    if (next_value(c) == y && carry_scan(c) && s->feeds[i] && s->reach.reached[i])
      pass_to_operand(s, c, carry_adjoint(s, c), false);
  }
}

static void back(Sweep *s, Node *y) {
  if (!s->reach.reached[y->id] || !s->feeds[y->id]) return;
  if (y->kind == NODE_carry && carry_scan(y) && y != s->part_of) {
    close_adjoint(s, y);
    return;
  }
  ask_carries(s, y);
  if (s->parts[y->id].n == 0) return;
  Node *adjoint = s->adjoint[y->id] = total(s, y);
  if (y == s->part_of) return;
  if (y->kind == NODE_custom) propagate_custom(s, y, adjoint);
  if (y->body) propagate(s, y, adjoint);
  if (y->kind != NODE_carry) return;
  pass_to_operand(s, y, adjoint, true);
  pass_to_operand(s, y, adjoint, false);
}

static Sweep sweep_start(Graph *g, Arena *scratch) {
  int n = g->nodes.n;
  Sweep s = {.g = g, .ir = g->ir, .scratch = scratch, .reach = {NEW_ARRAY(scratch, bool, n), n}};
  s.parts = NEW_ARRAY(scratch, NodeList, n);
  s.steps = NEW_ARRAY(scratch, NodeList, n);
  s.adjoint = NEW_ARRAY(scratch, Node *, n);
  return s;
}

/* From the scalar back to the variables, which are reached already. */
static void sweep(Sweep *s, Node *scalar) {
  spread(s->g, &s->reach, scalar->id);
  /* Within loops a contribution does not tell: a carry's adjoint is made before its first one is known. */
  s->feeds = derive_sources(s->scratch, s->g, scalar);
  if (s->reach.reached[scalar->id]) vec_push(s->scratch, &s->parts[scalar->id], constant_node(s->g, scalar, 1));
  for (int i = scalar->id; i >= 0; i--) back(s, s->g->nodes.at[i]);
}

/* Answers every NODE_grad of `scalar` by one sweep from it back to their variables. */
static void derive_scalar(Graph *g, Node *scalar) {
  int n = g->nodes.n;
  Arena *scratch = arena_new();
  Sweep s = sweep_start(g, scratch);
  for (int i = 0; i < n; i++) {
    Node *grad = g->nodes.at[i];
    if (grad->kind == NODE_grad && grad->in[0] == scalar) s.reach.reached[grad->in[1]->id] = true;
  }
  sweep(&s, scalar);
  for (int i = 0; i < n; i++) {
    Node *grad = g->nodes.at[i];
    if (grad->kind != NODE_grad || grad->in[0] != scalar) continue;
    Node *x = grad->in[1];
    grad->forward = s.adjoint[x->id] ? s.adjoint[x->id] : constant_node(g, x, 0);
  }
  arena_free(scratch);
}

/* ---- inside a loop that is being built ---- */

static Form *own_step(const StepPart *p, const Node *y, int k) {
  if (y == p->end && y->rank == 0) return form_var(p->g->ir, node_reduction_var(p->g, y, k));
  if (y->kind == NODE_scatter) return y->at[k];
  return k < y->rank ? form_var(p->g->ir, node_result_var(p->g, y, k)) : NULL;
}

static bool stays_in_step(const StepPart *p, const Node *y, const Expr *read) {
  for (int k = 0; k < p->steps; k++) {
    int d = read->node == p->x ? p->dim[k] : k;
    if (d >= read->node->rank || read->at[d] != own_step(p, y, k)) return false;
  }
  return true;
}

const Node *derive_strays(const StepPart *p) {
  Arena *scratch = arena_new();
  int n = p->g->nodes.n;
  Sweep s = sweep_start(p->g, scratch);
  s.reach.reached[p->x->id] = true;
  spread(p->g, &s.reach, p->end->id);
  s.feeds = derive_sources(scratch, p->g, p->end);
  const Node *stray = NULL;
  for (int i = 0; i < n && !stray; i++) {
    const Node *y = p->g->nodes.at[i];
    if (!s.reach.reached[i] || !s.feeds[i] || y == p->x) continue;
    if (y->kind == NODE_grad || y->kind == NODE_jvp) stray = y;
    ExprList reads = node_reads(scratch, y);
    for (int k = 0; k < reads.n; k++)
      if (s.reach.reached[reads.at[k]->node->id] && !stays_in_step(p, y, reads.at[k])) stray = y;
  }
  arena_free(scratch);
  return stray;
}

Node *derive_part(const StepPart *p, Dim **shape) {
  Arena *scratch = arena_new();
  graph_put_in_order(p->g);
  Sweep s = sweep_start(p->g, scratch);
  s.part_of = p->x;
  s.part = shape;
  s.reach.reached[p->x->id] = true;
  sweep(&s, p->end);
  Node *r = s.adjoint[p->x->id];
  arena_free(scratch);
  return r ? r : graph_filled(p->g, p->x->dtype, p->x->rank, shape, 0, p->end->span);
}

/* Once every derivative is written, those that were given are no more needed. */
static bool settle(Graph *g, PassContext *cx, bool changed) {
  bool any = changed;
  for (int i = 0; i < g->nodes.n; i++) any |= g->nodes.at[i]->kind == NODE_custom;
  const Node *left = custom_settle(g);
  if (!left) return any;
  if (!cx->diags) ice("pass_derive: an adjoint is left, node %d", left->id);
  Diag *d = diag_add(cx->diags, DIAG_OWN_DERIVATIVE, left->span,
                     "a forward derivative is taken through this, which is not linear in the adjoint");
  diag_note(d, "`jvp` needs sums and products of the adjoint with other values");
  return any;
}

bool pass_derive(Graph *g, PassContext *cx) {
  bool changed = false;
  graph_put_in_order(g);
  for (;;) {
    /* The first in topological order: what it derives holds no derivative that is not answered yet. */
    Node *first = NULL;
    for (int i = 0; i < g->nodes.n && !first; i++)
      if (node_asks(g->nodes.at[i]) && g->nodes.at[i]->kind != NODE_custom) first = g->nodes.at[i];
    if (!first) return settle(g, cx, changed);
    if (first->kind == NODE_jvp) first->forward = tangent_along(g, first->in[0], first->in[1], first->in[2]);
    else derive_scalar(g, first->in[0]);
    graph_renew(g);
    changed = true;
  }
}
