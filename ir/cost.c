/* cost.c - see cost.h. Costs were chosen from the throughput of vector code: an addition 1, a division 4, the
 * exponential 8; a draw little enough that a mask is drawn again for the derivative, not stored. */
#include "ir/cost.h"

#include "ir/table.h"

enum { OPEN_DIM = 64, DRAW_COST = 10, NEAR = 4 };

static int64_t open_value(void *cx, DimAtom *symbol) {
  (void)cx;
  (void)symbol;
  return OPEN_DIM;
}

int64_t dim_nominal(const Dim *d) { return dim_evaluate(d, open_value, NULL); }

double node_result_count(const Node *n) {
  double count = 1;
  for (int i = 0; i < n->rank; i++) count *= (double)dim_nominal(n->shape[i]);
  return count;
}

double node_point_count(const Node *n) {
  double count = n->kind == NODE_scatter ? 1 : node_result_count(n);
  for (int i = 0; i < n->nred; i++) count *= (double)dim_nominal(n->red[i]);
  return count;
}

double op_cost(ScalarOp op) {
  switch (op) {
  case OP_stop: return 0;
  case OP_div:
  case OP_floordiv:
  case OP_mod:
  case OP_sqrt:
  case OP_rsqrt: return 4;
  case OP_exp:
  case OP_expm1:
  case OP_log:
  case OP_log1p:
  case OP_sigmoid: return 8;
  case OP_sin:
  case OP_cos:
  case OP_tan:
  case OP_atan:
  case OP_tanh:
  case OP_softplus:
  case OP_erf: return 12;
  case OP_pow:
  case OP_normal_icdf: return 24;
  default: return 1;
  }
}

typedef struct Cost {
  double sum;
  PtrMap known; /* of Expr: whether it has one value for the whole kernel, `fixed` or `varying` */
} Cost;

static char fixed, varying;
static bool form_is_invariant(Cost *c, const Form *f);
static bool expr_is_invariant(Cost *c, const Expr *e);

static bool find_invariant(Cost *c, const Expr *e) {
  switch (e->kind) {
  case EXPR_CONST: return true;
  case EXPR_READ: return e->node->rank == 0;
  case EXPR_RANDOM: return false;
  case EXPR_INDEX:
  case EXPR_GE0:
  case EXPR_EQ0: return form_is_invariant(c, e->form);
  case EXPR_OP: break;
  }
  for (int i = 0; i < e->n; i++)
    if (!expr_is_invariant(c, e->arg[i])) return false;
  return true;
}

static bool expr_is_invariant(Cost *c, const Expr *e) {
  const void *known = ptrmap_get(&c->known, e);
  if (known) return known == &fixed;
  bool is = find_invariant(c, e);
  ptrmap_put(&c->known, e, is ? &fixed : &varying);
  return is;
}

static bool form_is_invariant(Cost *c, const Form *f) {
  for (int i = 0; i < f->n; i++) {
    const Atom *a = f->terms[i].atom;
    if (a->kind == ATOM_VAR) return false;
    if (a->kind == ATOM_DIV && !form_is_invariant(c, a->form)) return false;
    if (a->kind == ATOM_DATA && !expr_is_invariant(c, a->data)) return false;
  }
  return true;
}

static void add_cost(void *cx, Expr *e) {
  Cost *c = cx;
  if (expr_is_invariant(c, e)) return;
  if (e->kind == EXPR_OP) c->sum += op_cost(e->op);
  if (e->kind == EXPR_RANDOM) c->sum += DRAW_COST;
  if (e->kind == EXPR_GE0 || e->kind == EXPR_EQ0) c->sum += 1;
}

double expr_cost(Expr *e) {
  Cost c = {0};
  expr_visit(e, add_cost, &c);
  ptrmap_free(&c.known);
  return c.sum;
}

static void count_one(void *cx, Expr *e) {
  (void)e;
  ++*(int *)cx;
}

int expr_size(Expr *e) {
  int n = 0;
  expr_visit(e, count_one, &n);
  return n;
}

typedef struct ReadCollector {
  Arena *arena;
  ExprList reads;
} ReadCollector;

static void collect_read(void *cx, Expr *e) {
  ReadCollector *c = cx;
  if (e->kind != EXPR_READ) return;
  for (int i = 0; i < c->reads.n; i++)
    if (c->reads.at[i] == e) return;
  vec_push(c->arena, &c->reads, e);
}

static void collect_form(ReadCollector *c, const Form *f) {
  for (int i = 0; i < f->n; i++) {
    const Atom *a = f->terms[i].atom;
    if (a->kind == ATOM_DATA) expr_visit(a->data, collect_read, c);
    if (a->kind == ATOM_DIV) collect_form(c, a->form);
  }
}

ExprList expr_reads(Arena *a, Expr *e) {
  ReadCollector c = {.arena = a};
  expr_visit(e, collect_read, &c);
  return c.reads;
}

ExprList node_reads(Arena *a, const Node *n) {
  ReadCollector c = {.arena = a};
  if (n->kind == NODE_scatter)
    for (int i = 0; i < n->rank; i++) collect_form(&c, n->at[i]);
  if (n->body) expr_visit(n->body, collect_read, &c);
  return c.reads;
}

const Expr *expr_largest_read(Arena *a, Expr *e) {
  ExprList reads = expr_reads(a, e);
  const Expr *largest = NULL;
  for (int i = 0; i < reads.n; i++)
    if (reads.at[i]->node->rank > 0 &&
        (!largest || node_result_count(reads.at[i]->node) > node_result_count(largest->node)))
      largest = reads.at[i];
  return largest;
}

/* The index of `slots` that form f moves with in straight steps of NEAR at most; NULL: none. */
static const Var *moving(Graph *g, const Node *n, const Form *f, const int *slots, int count, int64_t *step) {
  for (int i = 0; i < count; i++) {
    const Var *v = node_slot_var(g, n, slots[i]);
    *step = form_coefficient(f, v);
    if (*step >= 1 && *step <= NEAR && dim_nominal(v->extent) > 1) return v;
  }
  return NULL;
}

int64_t read_run(Graph *g, const Node *n, const Expr *read, const int *slots, int count) {
  int64_t run = 0, step, extent;
  for (int d = read->node->rank - 1; d >= 0; d--) {
    const Var *v = moving(g, n, read->at[d], slots, count, &step);
    bool single = dim_is_const(read->node->shape[d], &extent) && extent == 1;
    if (single) continue;
    if (!v) return run;
    run = (run ? run : 1) * ((dim_nominal(v->extent) + step - 1) / step);
    if (step != 1 || v->extent != read->node->shape[d] || read->node->pitch) return run;
  }
  return run;
}
