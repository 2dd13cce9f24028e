/* verify.c - graph_verify: every rule that graph.h and expr.h state, checked after each pass. One function for each
 * kind of node, one walk over each body. Reads are checked as far as can be told: one outside every select is a fault
 * if it leaves its tensor at some point, where its form is simple enough for its range to be exact. */
#include "ir/cost.h"
#include "ir/scalar.h"
#include "ir/table.h"
#include "ir/text.h"

enum { MAX_RANK = 8, MAX_SLOTS = 32 };

typedef struct Verifier {
  Graph *g;
  const Node *n;
  const char *fault;
  PtrMap unguarded; /* expressions that are evaluated at every point */
} Verifier;

static void fault(Verifier *v, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void fault(Verifier *v, const char *format, ...) {
  if (v->fault) return;
  Buf b = {0};
  if (v->n) buf_printf(&b, "node %%%d (%s): ", v->n->id, node_kind_name(v->n->kind));
  va_list args;
  va_start(args, format);
  buf_vprintf(&b, format, args);
  va_end(args);
  v->fault = arena_strndup(v->g->arena, b.text, b.n);
  buf_free(&b);
}

static const char *shown(Verifier *v, const Expr *e) {
  Buf b = {0};
  expr_print_ranked(&b, e, node_result_slots(v->n));
  const char *s = arena_strndup(v->g->arena, b.text, b.n < 200 ? b.n : 200);
  buf_free(&b);
  return s;
}

/* ---- nodes in general ---- */

static bool in_graph(const Graph *g, const Node *n) {
  return n->id >= 0 && n->id < g->nodes.n && g->nodes.at[n->id] == n;
}

static void check_operand(void *cx, Node *operand) {
  Verifier *v = cx;
  bool back = v->n->kind == NODE_carry && v->n->nin == 2 && operand == v->n->in[1];
  if (!in_graph(v->g, operand)) fault(v, "an operand is not in the graph");
  else if (back && operand->kind != NODE_store) return; /* what closes a loop stands after it */
  else if (operand->id >= v->n->id) fault(v, "uses %%%d, which stands after it", operand->id);
  else if (operand->kind == NODE_store) fault(v, "uses the store %%%d as a value", operand->id);
}

static void check_extents(Verifier *v, int n, Dim **extents) {
  for (int i = 0; i < n && !v->fault; i++) {
    if (!extents[i]) fault(v, "an extent is missing");
    else if (dim_overflowed(extents[i])) fault(v, "an extent left 64 bits");
    else if (dim_is_const(extents[i], NULL) && dim_value(extents[i]) < 0) fault(v, "an extent is negative");
  }
}

/* ---- bodies ---- */

/* The extent of a slot, NULL if the node has none such. */
static Dim *slot_extent(const Node *n, int slot) {
  int results = node_result_slots(n);
  if (slot < 0 || slot >= results + n->nred) return NULL;
  return slot < results ? n->shape[slot] : n->red[slot - results];
}

static void check_form(Verifier *v, const Form *f) {
  for (int i = 0; i < f->n && !v->fault; i++) {
    const Atom *a = f->terms[i].atom;
    if (a->kind == ATOM_DIV) check_form(v, a->form);
    if (a->kind == ATOM_DATA && !dtype_is_int(a->data->dtype))
      fault(v, "an index of type %s", dtype_name(a->data->dtype));
    if (a->kind != ATOM_VAR) continue;
    Dim *extent = slot_extent(v->n, a->var->slot);
    if (!extent) fault(v, "an index with slot %d, which the node does not have", a->var->slot);
    else if (extent != a->var->extent)
      fault(v, "the index of slot %d has another extent than the node", a->var->slot);
  }
}

/* Whether the form's range is its exact set of bounds: independent indices with extents that are numbers, at least 1.
 */
static bool exact_range(const Form *f) {
  for (int i = 0; i < f->n; i++) {
    int64_t extent;
    if (f->terms[i].atom->kind != ATOM_VAR) return false;
    if (!dim_is_const(f->terms[i].atom->var->extent, &extent) || extent < 1) return false;
  }
  return true;
}

/* Whether every loop of the node runs: else nothing is read at all. */
static bool has_points(const Node *n) {
  for (int i = 0; slot_extent(n, i); i++) {
    int64_t extent;
    if (dim_is_const(slot_extent(n, i), &extent) && extent < 1) return false;
  }
  return true;
}

static void check_bounds(Verifier *v, const Expr *read) {
  for (int i = 0; i < read->node->rank && !v->fault; i++) {
    Range r = form_range(v->g->ir, read->at[i]);
    int64_t extent;
    bool number = dim_is_const(read->node->shape[i], &extent), exact = exact_range(read->at[i]);
    bool below = r.has_lower && r.lower < 0 && (exact || (r.has_upper && r.upper < 0));
    bool above = number && ((r.has_upper && exact && r.upper >= extent) || (r.has_lower && r.lower >= extent));
    if (below || above) fault(v, "%s is outside its tensor, without a guard", shown(v, read));
  }
}

static void check_read(Verifier *v, const Expr *e) {
  if (e->dtype != e->node->dtype) fault(v, "%s has another type than its tensor", shown(v, e));
  for (int i = 0; i < e->node->rank && !v->fault; i++) check_form(v, e->at[i]);
  if (!v->fault && ptrmap_get(&v->unguarded, e) && has_points(v->n)) check_bounds(v, e);
}

static void check_op(Verifier *v, const Expr *e) {
  DType types[3] = {0}, result;
  if (e->n != scalar_rows[e->op].arity) fault(v, "%s of %d operands", scalar_rows[e->op].name, e->n);
  for (int i = 0; i < e->n; i++) types[i] = e->arg[i]->dtype;
  bool fits = e->op == OP_cast || (scalar_type(e->op, types, &result) && result == e->dtype);
  if (!fits) fault(v, "the types of %s do not fit", shown(v, e));
}

static void check_expr(void *cx, Expr *e) {
  Verifier *v = cx;
  if (v->fault) return;
  if (e->form) check_form(v, e->form);
  switch (e->kind) {
  case EXPR_READ: check_read(v, e); break;
  case EXPR_OP: check_op(v, e); break;
  case EXPR_INDEX:
    if (e->dtype != DT_i32 && e->dtype != DT_i64) fault(v, "an index value of type %s", dtype_name(e->dtype));
    break;
  case EXPR_RANDOM:
    if (!dtype_is_float(e->dtype)) fault(v, "a draw of type %s", dtype_name(e->dtype));
    for (int i = 0; i < 3; i++)
      if (!dtype_is_int(e->arg[i]->dtype)) fault(v, "a draw whose seed, step or place is no integer");
    break;
  default: break;
  }
}

static void mark_unguarded_form(Verifier *v, const Form *f);

/* What a select, an and or an or may leave out is guarded, but for its first operand. */
static void mark_unguarded(Verifier *v, Expr *e) {
  if (ptrmap_get(&v->unguarded, e)) return;
  ptrmap_put(&v->unguarded, e, e);
  bool lazy = e->kind == EXPR_OP && (e->op == OP_select || e->op == OP_and || e->op == OP_or);
  for (int i = 0; i < (lazy ? 1 : e->n); i++) mark_unguarded(v, e->arg[i]);
  if (e->form) mark_unguarded_form(v, e->form);
  if (e->kind == EXPR_READ)
    for (int i = 0; i < e->node->rank; i++) mark_unguarded_form(v, e->at[i]);
}

static void mark_unguarded_form(Verifier *v, const Form *f) {
  for (int i = 0; i < f->n; i++) {
    if (f->terms[i].atom->kind == ATOM_DATA) mark_unguarded(v, f->terms[i].atom->data);
    if (f->terms[i].atom->kind == ATOM_DIV) mark_unguarded_form(v, f->terms[i].atom->form);
  }
}

static void check_body(Verifier *v) {
  mark_unguarded(v, v->n->body);
  expr_visit(v->n->body, check_expr, v);
  ptrmap_free(&v->unguarded);
}

/* ---- kinds of node ---- */

static bool body_type_fits(const Node *n) {
  DType t = n->body->dtype;
  switch (n->reducer) {
  case RED_none: return t == n->dtype;
  case RED_any:
  case RED_all: return t == DT_bool && n->dtype == DT_bool;
  case RED_argmax:
  case RED_argmin: return t != DT_bool && n->dtype == DT_i32;
  default: return t != DT_bool && t == n->dtype;
  }
}

static void check_comp(Verifier *v) {
  const Node *n = v->n;
  if (!n->body) fault(v, "has no body");
  else if ((n->reducer == RED_none) != (n->nred == 0))
    fault(v, "has %d reduction indices and reducer %s", n->nred, reducer_name(n->reducer));
  else if (n->rank + n->nred > MAX_SLOTS) fault(v, "has more than %d indices", MAX_SLOTS);
  else if (!body_type_fits(n))
    fault(v, "a body of type %s for a result of type %s", dtype_name(n->body->dtype), dtype_name(n->dtype));
  else check_body(v);
}

static void check_scatter(Verifier *v) {
  const Node *n = v->n;
  if (!n->body || !n->at) fault(v, "has no body or no indices");
  else if (n->nred > MAX_SLOTS) fault(v, "has more than %d indices", MAX_SLOTS);
  else if (n->body->dtype != n->dtype || n->dtype == DT_bool)
    fault(v, "a body of type %s for a result of type %s", dtype_name(n->body->dtype), dtype_name(n->dtype));
  else if (n->reducer != RED_sum && (n->reducer != RED_max || n->dtype != DT_i32))
    fault(v, "has the reducer %s of %s", reducer_name(n->reducer), dtype_name(n->dtype));
  for (int i = 0; i < n->rank && !v->fault; i++) check_form(v, n->at[i]);
  if (!v->fault) check_body(v);
}

static void check_sort(Verifier *v) {
  const Node *n = v->n;
  if (!n->body) fault(v, "has no key");
  else if (n->rank < 1 || n->nred) fault(v, "of a scalar, or with reduction indices");
  else if (n->dtype != DT_i32) fault(v, "positions of type %s", dtype_name(n->dtype));
  else check_body(v);
}

static void check_const(Verifier *v) {
  for (int i = 0; i < v->n->rank; i++)
    if (!dim_is_const(v->n->shape[i], NULL)) fault(v, "has an open extent");
  if (!v->n->data) fault(v, "has no data");
}

static void check_grad(Verifier *v) {
  const Node *n = v->n;
  if (n->nin != 2) fault(v, "lacks an operand");
  else if (n->in[0]->rank || !dtype_is_float(n->in[0]->dtype)) fault(v, "of what is no scalar of a float type");
  else if (!node_same_type(n, n->in[1])) fault(v, "has another type than its variable");
}

static void check_jvp(Verifier *v) {
  const Node *n = v->n;
  if (n->nin != 3) fault(v, "lacks an operand");
  else if (!dtype_is_float(n->in[0]->dtype) || !node_same_type(n, n->in[0]))
    fault(v, "has another type than its value");
  else if (!dtype_is_float(n->in[1]->dtype) || !node_same_type(n->in[1], n->in[2]))
    fault(v, "along what has another type than its variable");
}

static void check_custom(Verifier *v) {
  const Node *n = v->n;
  bool pairs = n->nin >= 4 && n->nin % 2 == 0;
  if (!pairs) fault(v, "lacks an operand");
  else if (n->in[1]->kind != NODE_adjoint) fault(v, "whose adjoint is none");
  else if (!dtype_is_float(n->dtype) || !node_same_type(n, n->in[0]) || !node_same_type(n, n->in[1]))
    fault(v, "has another type than its value or its adjoint");
  for (int i = 2; pairs && i < n->nin; i += 2)
    if (!dtype_is_float(n->in[i]->dtype) || !node_same_type(n->in[i], n->in[i + 1]))
      fault(v, "has a derivative of another type than %%%d", n->in[i]->id);
}

static void check_store(Verifier *v) {
  const Node *n = v->n;
  if (n->nin != 2) fault(v, "lacks an operand");
  else if (n->in[1]->kind != NODE_param && n->in[1]->kind != NODE_state)
    fault(v, "to what is neither param nor state");
  else if (!node_same_type(n->in[0], n->in[1])) fault(v, "to %s of a value of another type or shape", n->in[1]->name);
  for (int i = 0, found = 0; i < v->g->stores.n; i++) {
    const Node *s = v->g->stores.at[i];
    found += s == n;
    if (s != n && s->in[1] == n->in[1]) fault(v, "is not the only one to %s", n->in[1]->name);
    if (i == v->g->stores.n - 1 && !found) fault(v, "is not in the graph's list of stores");
  }
}

/* Inputs share one space of names, params and states another. */
static void check_source(Verifier *v) {
  const Node *n = v->n;
  if (!n->name) fault(v, "has no name");
  for (int i = 0; i < n->id && !v->fault; i++) {
    const Node *m = v->g->nodes.at[i];
    bool source = m->kind == NODE_input || m->kind == NODE_param || m->kind == NODE_state;
    if (source && m->name == n->name && (m->kind == NODE_input) == (n->kind == NODE_input))
      fault(v, "has the same name as %%%d: %s", m->id, n->name);
  }
}

/* ---- loops ---- */

static bool is_step(const Verifier *v, const Node *n, int axis, const Form *f) {
  Var *own = n->kind == NODE_scatter ? form_as_var(n->at[axis]) : node_result_var(v->g, n, axis);
  return own && form_as_var(f) == own;
}

/* What a member reads of another it reads at its own step: of a carry, the row that is there by then. */
static void check_step(Verifier *v, const Expr *read) {
  const Node *n = v->n, *m = read->node;
  const Scan *l = scan_common(n, m);
  for (int i = 0; l && i <= l->axis && !v->fault; i++) {
    Form *f = read->at[i];
    if (m->kind == NODE_carry && carry_scan(m) == l && i == l->axis)
      f = form_sub(v->g->ir, f, form_const(v->g->ir, m->down));
    if (!is_step(v, n, i, f)) fault(v, "%s is not of the step at hand", shown(v, read));
  }
}

static void check_carry(Verifier *v) {
  const Node *n = v->n;
  const char *wrong = carry_fault(v->g, n);
  if (wrong) fault(v, "%s", wrong);
  const Scan *l = wrong ? NULL : carry_scan(n);
  if (l && (l->down != n->down || l->steps != dim_sub(v->g->ir, n->shape[n->axis], dim_const(v->g->ir, 1))))
    fault(v, "runs another way than its loop");
  else if (l && scan_holds(l, n->in[0])) fault(v, "starts from what its own loop makes");
}

static void check_member(Verifier *v) {
  const Node *n = v->n;
  const Scan *l = n->scan;
  if (n->kind == NODE_carry && carry_scan(n)) return; /* the first of them says what the loop is */
  if (n->kind != NODE_carry && n->kind != NODE_custom && !n->body) fault(v, "is in a loop");
  else if (n->rank <= l->axis || n->shape[l->axis] != l->steps) fault(v, "has not the steps of its loop");
  for (int i = 0; i < l->axis && !v->fault; i++)
    if (n->shape[i] != v->g->nodes.at[l->first]->shape[i]) fault(v, "has not the steps of the loops around");
  for (int i = 0; i <= l->axis && n->kind == NODE_scatter && !v->fault; i++)
    if (!form_as_var(n->at[i])) fault(v, "adds to other steps");
  ExprList reads = v->fault ? (ExprList){0} : node_reads(v->g->arena, n);
  for (int i = 0; i < reads.n && !v->fault; i++) check_step(v, reads.at[i]);
}

static void check_loop(Verifier *v, const Scan *l) {
  for (int i = 0; i < v->g->nodes.n && !v->fault; i++)
    if (scan_holds(l, v->g->nodes.at[i]) != (i >= l->first && i <= l->last)) {
      v->n = v->g->nodes.at[i];
      fault(v, "the nodes of a loop do not stand together");
    }
  v->n = NULL;
}

static void check_kind(Verifier *v) {
  switch (v->n->kind) {
  case NODE_comp: check_comp(v); break;
  case NODE_scatter: check_scatter(v); break;
  case NODE_sort: check_sort(v); break;
  case NODE_const: check_const(v); break;
  case NODE_carry: check_carry(v); break;
  case NODE_grad: check_grad(v); break;
  case NODE_jvp: check_jvp(v); break;
  case NODE_custom: check_custom(v); break;
  case NODE_adjoint: break;
  case NODE_store: check_store(v); break;
  default: check_source(v); break;
  }
}

static void check_node(Verifier *v, int position) {
  const Node *n = v->n;
  if (n->id != position) fault(v, "stands at position %d", position);
  else if ((unsigned)n->kind >= NODE_COUNT || (unsigned)n->dtype >= DT_COUNT) fault(v, "has no kind or no type");
  else if (n->rank < 0 || n->rank > MAX_RANK) fault(v, "has rank %d", n->rank);
  else if (n->forward || n->mark) fault(v, "was left marked by a pass");
  check_extents(v, n->rank, n->shape);
  check_extents(v, n->nred, n->red);
  if (!v->fault) node_operands(n, check_operand, v);
  if (!v->fault) check_kind(v);
  if (!v->fault && n->scan) check_member(v);
}

const char *graph_verify(Graph *g) {
  Verifier v = {.g = g};
  for (int i = 0; i < g->nodes.n && !v.fault; i++) {
    v.n = g->nodes.at[i];
    check_node(&v, i);
  }
  v.n = NULL;
  for (int i = 0; i < g->scans.n && !v.fault; i++) check_loop(&v, g->scans.at[i]);
  for (int i = 0; i < g->outputs.n && !v.fault; i++) {
    if (!in_graph(g, g->outputs.at[i].node)) fault(&v, "output %s is not in the graph", g->outputs.at[i].name);
    for (int k = 0; k < i; k++)
      if (g->outputs.at[k].name == g->outputs.at[i].name)
        fault(&v, "two outputs are named %s", g->outputs.at[i].name);
  }
  for (int i = 0; i < g->stores.n && !v.fault; i++)
    if (!in_graph(g, g->stores.at[i])) fault(&v, "a store is not in the graph");
  return v.fault;
}
