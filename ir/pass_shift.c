/* pass_shift.c - S14: a maximum that only keeps numbers in range is not derived.
 *
 * In, out: a graph that has grads. exp(x - m) / sum(exp(x - m)) with m = max(x) does not depend on m, whatever m is,
 * so the derivative through m is 0; but derive would write it out, with an argmax and a comparison for each element,
 * and find 0 up to rounding. Each value is marked by what adding t to m alone does to it: nothing, a sum with k * t,
 * a factor exp(k * t), or something else. Where all that is seen outside stays the same, the reads of m become
 * stop(m). Right at every order, for it is an identity in m. Before derive; the library writes its stops itself. */
#include <math.h>

#include "ir/pass.h"
#include "ir/table.h"

typedef enum ShiftKind { SAME, MOVED, SCALED, OTHER } ShiftKind;

typedef struct Shift {
  ShiftKind kind;
  double k;  /* MOVED: + k t; SCALED: * exp(k t); not 0 */
  Form **at; /* by m's dimensions: which element of m it is about. SAME, OTHER: NULL */
} Shift;

typedef Vec(Node *) NodeList;

typedef struct Shifting {
  Graph *g;
  Arena *scratch;
  const Node *m;
  Shift *of;          /* by node id; forms over the node's result indices */
  NodeList *operands; /* by node id */
  PtrMap known;       /* of one body: Expr to Shift */
} Shifting;

static const Shift same = {SAME, 0, NULL}, other = {OTHER, 0, NULL};

static Shift shift_of(ShiftKind kind, double k, Form **at) { return k == 0 ? same : (Shift){kind, k, at}; }

/* Whether s can be taken as a sum with k * t (or a factor exp(k * t)): what stays the same is both, with k = 0. */
static bool is_as(Shift s, ShiftKind kind) { return s.kind == SAME || s.kind == kind; }

/* The number e does not change when it is shifted as s is: 0 by a factor, an infinity by a sum. */
static bool is_fixed_point(const Expr *e, Shift s) {
  double v;
  return expr_is_const(e, &v) && ((s.kind == SCALED && v == 0) || (s.kind == MOVED && isinf(v)));
}

static Shift either_side(const Expr *e, Shift x, Shift y) {
  if (x.kind == y.kind && x.k == y.k) return x;
  if (is_fixed_point(e->arg[2], x)) return x;
  return is_fixed_point(e->arg[1], y) ? y : other;
}

static Shift times_number(Shift x, const Expr *number, bool divides) {
  double v;
  if (x.kind != MOVED || !expr_is_const(number, &v) || v == 0) return other;
  return shift_of(MOVED, divides ? x.k / v : x.k * v, x.at);
}

/* Of an operation whose arguments are all about one element of m, `at`. */
static Shift op_shift(const Expr *e, const Shift *x, Form **at) {
  switch (e->op) {
  case OP_stop:
  case OP_cast: return dtype_is_float(e->dtype) ? x[0] : other;
  case OP_neg: return x[0].kind == MOVED ? shift_of(MOVED, -x[0].k, at) : x[0];
  case OP_exp: return x[0].kind == MOVED ? shift_of(SCALED, x[0].k, at) : other;
  case OP_log: return x[0].kind == SCALED ? shift_of(MOVED, x[0].k, at) : other;
  case OP_sqrt: return x[0].kind == SCALED ? shift_of(SCALED, x[0].k / 2, at) : other;
  case OP_is_finite: return same;
  case OP_add:
  case OP_sub:
    if (is_as(x[0], MOVED) && is_as(x[1], MOVED))
      return shift_of(MOVED, e->op == OP_add ? x[0].k + x[1].k : x[0].k - x[1].k, at);
    return x[0].kind == SCALED && x[1].kind == SCALED && x[0].k == x[1].k ? x[0] : other;
  case OP_mul:
    if (is_as(x[0], SCALED) && is_as(x[1], SCALED)) return shift_of(SCALED, x[0].k + x[1].k, at);
    return x[0].kind == SAME ? times_number(x[1], e->arg[0], false) : times_number(x[0], e->arg[1], false);
  case OP_div:
    if (is_as(x[0], SCALED) && is_as(x[1], SCALED)) return shift_of(SCALED, x[0].k - x[1].k, at);
    return times_number(x[0], e->arg[1], true);
  case OP_select: return x[0].kind == SAME ? either_side(e, x[1], x[2]) : other;
  default: return other;
  }
}

static Shift expr_shift(Shifting *s, Expr *e);

static bool form_is_same(Shifting *s, const Form *f) {
  for (int i = 0; i < f->n; i++) {
    const Atom *a = f->terms[i].atom;
    if (a->kind == ATOM_DATA && expr_shift(s, a->data).kind != SAME) return false;
    if (a->kind == ATOM_DIV && !form_is_same(s, a->form)) return false;
  }
  return true;
}

static bool same_place(const Shifting *s, Form *const *a, Form *const *b) {
  for (int i = 0; i < s->m->rank; i++)
    if (a[i] != b[i]) return false;
  return true;
}

static Form *form_at(void *cx, Var *v) { return ((Form **)cx)[v->slot]; }

static Shift read_shift(Shifting *s, const Expr *e) {
  for (int i = 0; i < e->node->rank; i++)
    if (!form_is_same(s, e->at[i])) return other;
  Shift x = s->of[e->node->id];
  if (!x.at) return x;
  Form **at = NEW_ARRAY(s->scratch, Form *, s->m->rank + 1);
  ExprMap m = {.ir = s->g->ir, .var = form_at, .cx = e->at};
  for (int i = 0; i < s->m->rank; i++) at[i] = form_map(&m, x.at[i]);
  x.at = at;
  return x;
}

static Shift new_shift(Shifting *s, Expr *e) {
  if (e->form && !form_is_same(s, e->form)) return other;
  if (e->kind == EXPR_READ) return read_shift(s, e);
  Shift x[3] = {same, same, same};
  Form **at = NULL;
  bool all_same = true;
  for (int i = 0; i < (e->kind == EXPR_RANDOM ? 3 : e->n); i++) {
    x[i] = expr_shift(s, e->arg[i]);
    if (x[i].kind == OTHER) return other;
    all_same &= x[i].kind == SAME;
    if (!x[i].at) continue;
    if (at && !same_place(s, at, x[i].at)) return other;
    at = x[i].at;
  }
  return all_same ? same : e->kind == EXPR_OP ? op_shift(e, x, at) : other;
}

static Shift expr_shift(Shifting *s, Expr *e) {
  Shift *known = ptrmap_get(&s->known, e);
  if (known) return *known;
  known = NEW(s->scratch, Shift);
  *known = new_shift(s, e);
  ptrmap_put(&s->known, e, known);
  return *known;
}

/* A reduction of values that are all about one element of m. */
static Shift reduced(Shifting *s, const Node *n, Shift x) {
  for (int i = 0; x.at && i < s->m->rank; i++)
    for (int r = 0; r < n->nred; r++)
      if (form_uses(x.at[i], node_reduction_var(s->g, n, r))) return other;
  bool extreme = n->reducer == RED_max || n->reducer == RED_min;
  return extreme || (n->reducer == RED_sum && x.kind == SCALED) ? x : other;
}

static Form **own_place(Shifting *s) {
  Form **at = NEW_ARRAY(s->scratch, Form *, s->m->rank + 1);
  for (int i = 0; i < s->m->rank; i++) at[i] = form_var(s->g->ir, node_result_var(s->g, s->m, i));
  return at;
}

/* Most of a graph has nothing to do with m. */
static bool reads_only_same(const Shifting *s, const Node *n) {
  for (int i = 0; i < s->operands[n->id].n; i++)
    if (s->of[s->operands[n->id].at[i]->id].kind != SAME) return false;
  return true;
}

static Shift node_shift(Shifting *s, const Node *n) {
  if (n == s->m) return shift_of(MOVED, 1, own_place(s));
  if (!n->body || reads_only_same(s, n)) return same; /* what a grad or a store reads is seen */
  ptrmap_free(&s->known);
  s->known = (PtrMap){0};
  for (int i = 0; n->at && i < n->rank; i++)
    if (!form_is_same(s, n->at[i])) return other;
  Shift x = expr_shift(s, n->body);
  if (x.kind == SAME || x.kind == OTHER) return x;
  if (n->kind != NODE_comp) return other;
  return n->reducer == RED_none ? x : reduced(s, n, x);
}

typedef struct Seen {
  const Shifting *s;
  bool same;
} Seen;

static void check_seen(void *cx, Node *operand) {
  Seen *seen = cx;
  seen->same &= seen->s->of[operand->id].kind == SAME;
}

/* Whether nothing that is seen outside depends on m alone. */
static bool is_only_a_shift(Shifting *s) {
  Graph *g = s->g;
  Seen seen = {s, true};
  for (int i = 0; i < g->nodes.n && seen.same; i++) {
    const Node *n = g->nodes.at[i];
    s->of[i] = i < s->m->id ? same : node_shift(s, n);
    if (s->of[i].kind == OTHER) return false;
    bool sees = n->kind != NODE_comp && n->kind != NODE_scatter;
    for (int k = 0; sees && k < s->operands[i].n; k++) check_seen(&seen, s->operands[i].at[k]);
  }
  for (int i = 0; i < g->outputs.n; i++) check_seen(&seen, g->outputs.at[i].node);
  return seen.same;
}

/* ---- the pass ---- */

static Expr *stopped_read(void *cx, Expr *read) {
  const Shifting *s = cx;
  return read->node == s->m ? expr_op1(s->g->ir, OP_stop, read) : NULL;
}

static bool reads_m(const Shifting *s, const Node *n) {
  for (int i = 0; i < s->operands[n->id].n; i++)
    if (s->operands[n->id].at[i] == s->m) return true;
  return false;
}

/* Puts stop around the reads of m in n; whether there is one that had none. */
static bool stop_reads(Shifting *s, Node *n) {
  if (n->kind != NODE_comp || !reads_m(s, n)) return false;
  Graph *g = s->g;
  Expr *body = expr_map(&(ExprMap){.ir = g->ir, .read = stopped_read, .cx = s}, n->body);
  if (body == n->body) return false;
  Var **result = NEW_ARRAY(s->scratch, Var *, n->rank + 1), **reduced = NEW_ARRAY(s->scratch, Var *, n->nred + 1);
  for (int i = 0; i < n->rank; i++) result[i] = node_result_var(g, n, i);
  for (int i = 0; i < n->nred; i++) reduced[i] = node_reduction_var(g, n, i);
  n->forward = graph_comp(g, n->rank, result, n->reducer, n->nred, reduced, body, n->span);
  n->forward->name = n->name;
  return true;
}

static bool has_grad(const Graph *g) {
  for (int i = 0; i < g->nodes.n; i++)
    if (g->nodes.at[i]->kind == NODE_grad) return true;
  return false;
}

static bool is_float_extreme(const Node *n) {
  return n->kind == NODE_comp && (n->reducer == RED_max || n->reducer == RED_min) && dtype_is_float(n->dtype);
}

static void add_operand(void *cx, Node *operand) {
  void **p = cx;
  const Shifting *s = p[0];
  vec_push(s->scratch, &s->operands[((const Node *)p[1])->id], operand);
}

bool pass_shift(Graph *g, PassContext *cx) {
  (void)cx;
  if (!has_grad(g)) return false;
  Arena *scratch = arena_new();
  int count = g->nodes.n;
  Shifting s = {.g = g, .scratch = scratch, .of = NEW_ARRAY(scratch, Shift, count)};
  bool changed = false;
  s.operands = NEW_ARRAY(scratch, NodeList, count);
  for (int i = 0; i < count; i++) node_operands(g->nodes.at[i], add_operand, (void *[]){&s, g->nodes.at[i]});
  for (int i = 0; i < count; i++) {
    s.m = g->nodes.at[i];
    if (!is_float_extreme(s.m) || !is_only_a_shift(&s)) continue;
    for (int j = i + 1; j < count; j++)
      if (!g->nodes.at[j]->forward) changed |= stop_reads(&s, g->nodes.at[j]);
  }
  ptrmap_free(&s.known);
  arena_free(scratch);
  return graph_renew(g) || changed;
}
