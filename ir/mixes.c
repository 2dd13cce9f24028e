/* mixes.c - see mixes.h. Every value is classed, from the inputs on, by how it depends on the batch:
 *
 *   FIXED    not at all: parameters, numbers, what is made of them
 *   EACH     one value for each example, of that example alone; for a tensor the index that counts the examples
 *   SHARE    EACH, divided by B
 *   TOTAL    a sum of EACH over the batch
 *   MEAN     a sum of SHARE, or TOTAL divided by B: linear from here on, or the pieces' means would not add up to it
 *   COUNT    B, or a number of times B;  PART  a FIXED value divided by it
 *
 * Anything else mixes examples. What is not recognised is taken to mix: a refusal is safe. */
#include "ir/mixes.h"

typedef enum Kind { FIXED, EACH, SHARE, TOTAL, MEAN, COUNT, PART, MIXED } Kind;

typedef struct Mixes {
  Graph *g;
  Dim *batch;
  Kind *kind;       /* by node id */
  int *slot;        /* by node id, EACH and SHARE: the result slot that counts examples */
  bool *spoiled;    /* by node id: a carry that mixes */
  const Var *index; /* of the node looked at: what counts examples; NULL: none yet */
} Mixes;

static bool uses_batch(const Mixes *m, const Dim *d) {
  for (int i = 0; i < d->n; i++)
    for (int k = 0; k < d->terms[i].n; k++) {
      const DimAtom *a = d->terms[i].atoms[k];
      if (a == m->g->batch || (!a->name && (uses_batch(m, a->a) || uses_batch(m, a->b)))) return true;
    }
  return false;
}

static Kind kind_of(Mixes *m, const Expr *e);

static bool counts_examples(const Mixes *m, const Var *v) { return uses_batch(m, v->extent); }

/* A form that may depend on data, but on no position in the batch. */
static Kind kind_of_form(Mixes *m, const Form *f) {
  Kind kind = FIXED;
  for (int i = 0; i < f->n; i++) {
    const Atom *a = f->terms[i].atom;
    Kind k = FIXED;
    switch (a->kind) {
    case ATOM_VAR: k = counts_examples(m, a->var) ? MIXED : FIXED; break;
    case ATOM_DIV: k = kind_of_form(m, a->form); break;
    case ATOM_DATA: k = kind_of(m, a->data); break;
    case ATOM_DIM: k = !uses_batch(m, a->dim) ? FIXED : f->n == 1 && f->c0 == 0 && a->dim == m->batch ? COUNT : MIXED;
    }
    if (k == COUNT) return f->n == 1 ? COUNT : MIXED;
    if (k != FIXED && k != EACH) return MIXED;
    if (k == EACH) kind = EACH;
  }
  return kind;
}

static Kind kind_of_read(Mixes *m, const Expr *e) {
  const Node *x = e->node;
  Kind kind = m->kind[x->id];
  bool each = kind == EACH || kind == SHARE;
  for (int d = 0; d < x->rank; d++) {
    if (each && d == m->slot[x->id]) {
      const Var *v = form_as_var(e->at[d]);
      if (!v || v->extent != m->batch || (m->index && m->index != v)) return MIXED;
      m->index = v;
      continue;
    }
    Kind k = kind_of_form(m, e->at[d]);
    if (k == EACH && kind == FIXED) kind = EACH;
    else if (k != FIXED && !(k == EACH && each)) return MIXED;
  }
  return kind;
}

static Kind product(Kind a, Kind b) {
  if (a > b) return product(b, a);
  if (a == FIXED) return b == COUNT ? MIXED : b;
  if (a == EACH) return b == EACH ? EACH : b == SHARE || b == PART ? SHARE : MIXED;
  if (a == TOTAL) return b == PART ? MEAN : MIXED;
  if (a == MEAN) return b == COUNT ? TOTAL : MIXED;
  return MIXED;
}

static Kind quotient(Kind a, Kind b) {
  if (b == COUNT) return a == FIXED ? PART : a == EACH ? SHARE : a == TOTAL ? MEAN : MIXED;
  if (b == FIXED) return a == COUNT ? MIXED : a;
  return a <= EACH && b == EACH ? EACH : MIXED;
}

/* Pieces' sizes add up to the batch's, so a number added to a mean is added once. */
static Kind sum_of(Kind a, Kind b) {
  if (a == b && a <= MEAN) return a;
  if (a > b) return sum_of(b, a);
  if (a == FIXED && (b == EACH || b == MEAN)) return b;
  return MIXED;
}

static Kind any_function(Kind a, Kind b) { return a <= EACH && b <= EACH ? (a > b ? a : b) : MIXED; }

static Kind kind_of_op(Mixes *m, const Expr *e) {
  Kind k[3] = {FIXED, FIXED, FIXED};
  for (int i = 0; i < e->n; i++) k[i] = kind_of(m, e->arg[i]);
  switch (e->op) {
  case OP_mul: return product(k[0], k[1]);
  case OP_div: return quotient(k[0], k[1]);
  case OP_add:
  case OP_sub: return sum_of(k[0], k[1]);
  case OP_neg:
  case OP_stop: return k[0];
  case OP_cast: return dtype_is_float(e->dtype) ? k[0] : any_function(k[0], FIXED);
  default: return any_function(any_function(k[0], k[1]), k[2]);
  }
}

static Kind kind_of(Mixes *m, const Expr *e) {
  switch (e->kind) {
  case EXPR_CONST: return FIXED;
  case EXPR_INDEX: return kind_of_form(m, e->form);
  case EXPR_GE0:
  case EXPR_EQ0: return any_function(kind_of_form(m, e->form), FIXED);
  case EXPR_READ: return kind_of_read(m, e);
  case EXPR_RANDOM: {
    Kind draw = any_function(any_function(kind_of(m, e->arg[0]), kind_of(m, e->arg[1])), kind_of(m, e->arg[2]));
    return any_function(draw, kind_of_form(m, e->form));
  }
  case EXPR_OP: return kind_of_op(m, e);
  }
  return MIXED;
}

/* ---- nodes ---- */

/* The slot of n's result that has the batch's extent; -1: none; -2: several, or an extent made of the batch's. */
static int batch_slot(const Mixes *m, int n, Dim *const *extents) {
  int slot = -1;
  for (int i = 0; i < n; i++) {
    if (!uses_batch(m, extents[i])) continue;
    if (slot != -1 || extents[i] != m->batch) return -2;
    slot = i;
  }
  return slot;
}

static Kind kind_of_source(Mixes *m, const Node *n) {
  int slot = m->slot[n->id] = batch_slot(m, n->rank, n->shape);
  return slot == -2 ? MIXED : slot < 0 ? FIXED : EACH;
}

static Kind kind_of_comp(Mixes *m, const Node *n) {
  int slot = batch_slot(m, n->rank, n->shape), reduced = batch_slot(m, n->nred, n->red);
  m->slot[n->id] = slot;
  m->index = NULL;
  Kind kind = kind_of(m, n->body);
  if (slot == -2 || reduced == -2 || (slot >= 0 && reduced >= 0)) return MIXED;
  const Var *own = slot >= 0      ? node_result_var(m->g, n, slot)
                   : reduced >= 0 ? node_reduction_var(m->g, n, reduced)
                                  : NULL;
  if (m->index && m->index != own) return MIXED;
  bool adds = n->reducer == RED_none || n->reducer == RED_sum;
  if (reduced >= 0)
    return n->reducer == RED_sum && kind == EACH ? TOTAL : n->reducer == RED_sum && kind == SHARE ? MEAN : MIXED;
  if (slot >= 0) return kind == FIXED ? EACH : kind == EACH || (kind == SHARE && adds) ? kind : MIXED;
  if (kind == EACH || kind == SHARE) return MIXED;
  return kind == FIXED || adds ? kind : MIXED;
}

static void mark_operand(void *cx, Node *operand) { ((bool *)cx)[operand->id] = true; }

/* Of what the loss is made of. */
static Node *first_mixed(const Mixes *m, Node *loss, Arena *a) {
  bool *needed = NEW_ARRAY(a, bool, m->g->nodes.n);
  Node *first = loss;
  needed[loss->id] = true;
  for (int round = 0; round < 2; round++) /* a loop's next value stands after its carry */
    for (int i = m->g->nodes.n - 1; i >= 0; i--)
      if (needed[i]) node_operands(m->g->nodes.at[i], mark_operand, needed);
  for (int i = m->g->nodes.n - 1; i >= 0; i--)
    if (needed[i] && m->kind[i] == MIXED) first = m->g->nodes.at[i];
  return first;
}

/* What a loop carries is taken to keep examples apart until one of its operands does not. */
static Kind kind_of_carry(Mixes *m, const Node *n) {
  int slot = m->slot[n->id] = batch_slot(m, n->rank, n->shape);
  return slot == -2 || m->spoiled[n->id] ? MIXED : slot < 0 ? FIXED : EACH;
}

static Kind kind_of_node(Mixes *m, const Node *n) {
  switch (n->kind) {
  case NODE_input:
  case NODE_param:
  case NODE_state:
  case NODE_const: return kind_of_source(m, n);
  case NODE_carry: return kind_of_carry(m, n);
  case NODE_comp: return kind_of_comp(m, n);
  default: return MIXED;
  }
}

/* Whether a carry's operand counts examples by the index that the carry does; the first value has no index of steps.
 */
static bool carries(const Mixes *m, const Node *carry, const Node *operand, bool first) {
  int slot = m->slot[carry->id], own = m->slot[operand->id];
  if (m->kind[operand->id] == FIXED) return true;
  return m->kind[operand->id] == EACH && own == slot - (first && carry->axis < slot);
}

/* Classes all nodes; false where a carry turned out to mix and it is to be done again. */
static bool class_nodes(Mixes *m) {
  const Graph *g = m->g;
  bool ok = true;
  for (int i = 0; i < g->nodes.n; i++) m->kind[i] = kind_of_node(m, g->nodes.at[i]);
  for (int i = 0; i < g->nodes.n; i++) {
    const Node *n = g->nodes.at[i];
    if (n->kind != NODE_carry || m->spoiled[i] || n->nin != 2) continue;
    if (carries(m, n, n->in[0], true) && carries(m, n, n->in[1], false)) continue;
    m->spoiled[i] = true;
    ok = false;
  }
  return ok;
}

Node *batch_mixed_at(Graph *g, Node *loss, const char **why) {
  Arena *a = arena_new();
  Mixes m = {.g = g, .batch = g->batch ? dim_atom(g->ir, g->batch) : NULL};
  m.kind = NEW_ARRAY(a, Kind, g->nodes.n);
  m.slot = NEW_ARRAY(a, int, g->nodes.n);
  m.spoiled = NEW_ARRAY(a, bool, g->nodes.n);
  while (!class_nodes(&m)) {}
  Kind kind = m.kind[loss->id];
  *why = kind == TOTAL ? "is a sum over the batch, not a mean" : "mixes the examples of a batch";
  Node *found = kind == MEAN || kind == FIXED || (kind == EACH && loss->rank) ? NULL : loss;
  if (kind == MIXED) found = first_mixed(&m, loss, a);
  arena_free(a);
  return found;
}
