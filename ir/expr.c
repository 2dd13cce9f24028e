/* expr.c - scalar expressions: hash-consed, folded and simplified while they are built.
 *
 * The rules applied here are local and always good: S1 constants, S2 neutral elements, S3 x*0 = 0 (it drops NaN,
 * adjoints need it), S4 constants first in a product and last in a sum, S5 selects: guards float to the top. Operands
 * of commutative operations keep the order they were first built in; the other order gives the same expression.
 * Nothing here reorders sums of floats. A rule never moves a read out of a select, where it may be out of bounds. */
#include "ir/scalar.h"
#include "ir/graph.h"
#include "ir/table.h"

#include <math.h>
#include <string.h>

struct ExprTable {
  InternTable all;
  int next;
};

static bool same_expr(const void *key, const void *object) {
  const Expr *a = key, *b = object;
  if (a->kind != b->kind || a->dtype != b->dtype || a->op != b->op || a->n != b->n) return false;
  if (a->form != b->form || a->key != b->key || a->node != b->node || a->integer != b->integer) return false;
  if (memcmp(&a->real, &b->real, sizeof a->real) != 0) return false;
  for (int i = 0; i < a->n; i++)
    if (a->arg[i] != b->arg[i]) return false;
  if (a->kind == EXPR_READ)
    for (int i = 0; i < a->node->rank; i++)
      if (a->at[i] != b->at[i]) return false;
  return true;
}

static uint64_t hash_expr(const Expr *e) {
  uint64_t bits, h = hash_mix(hash_mix(6, e->kind), (uint64_t)e->dtype << 32 | e->op);
  memcpy(&bits, &e->real, sizeof bits);
  h = hash_mix(hash_mix(hash_mix(h, bits), (uint64_t)e->integer), e->key);
  if (e->form) h = hash_mix(h, (uint64_t)e->form->id);
  if (e->node) h = hash_mix(h, (uintptr_t)e->node);
  if (e->kind == EXPR_READ)
    for (int i = 0; i < e->node->rank; i++) h = hash_mix(h, (uint64_t)e->at[i]->id);
  for (int i = 0; i < e->n; i++) h = hash_mix(h, (uint64_t)e->arg[i]->id);
  return h;
}

static bool form_reads(const Form *f) {
  for (int i = 0; i < f->n; i++) {
    Atom *a = f->terms[i].atom;
    if ((a->kind == ATOM_DATA && a->data->reads) || (a->kind == ATOM_DIV && form_reads(a->form))) return true;
  }
  return false;
}

static Expr *find(Ir *ir, const Expr *key, uint64_t h) {
  return ir->exprs ? intern_find(&ir->exprs->all, h, same_expr, key) : NULL;
}

static Expr *intern(Ir *ir, Expr key) {
  uint64_t h = hash_expr(&key);
  Expr *e = find(ir, &key, h);
  if (e) return e;
  if (!ir->exprs) ir->exprs = NEW(ir->arena, struct ExprTable);
  e = NEW(ir->arena, Expr);
  *e = key;
  e->hash = h;
  e->id = ir->exprs->next++;
  e->reads = key.kind == EXPR_READ || (key.form && form_reads(key.form));
  for (int i = 0; i < key.n; i++) e->reads |= key.arg[i]->reads;
  if (key.kind == EXPR_READ && key.node->rank) {
    e->at = NEW_ARRAY(ir->arena, Form *, key.node->rank);
    memcpy(e->at, key.at, sizeof *e->at * (size_t)key.node->rank);
  }
  intern_add(&ir->exprs->all, ir->arena, h, e);
  return e;
}

/* ---- leaves ---- */

Expr *expr_real(Ir *ir, DType t, double v) {
  if (!dtype_is_float(t)) return expr_int(ir, t, dtype_truncate(t, v));
  return intern(ir, (Expr){.kind = EXPR_CONST, .dtype = t, .real = dtype_round(t, v)});
}

Expr *expr_int(Ir *ir, DType t, int64_t v) {
  if (dtype_is_float(t)) return expr_real(ir, t, (double)v);
  return intern(ir, (Expr){.kind = EXPR_CONST, .dtype = t, .integer = dtype_wrap(t, v)});
}

static Expr *truth(Ir *ir, bool v) { return expr_int(ir, DT_bool, v); }

Expr *expr_index(Ir *ir, DType t, Form *f) {
  if (t != DT_i32 && t != DT_i64) ice("expr_index of type %s", dtype_name(t));
  if (f->n == 0) return expr_int(ir, t, f->c0);
  bool bare = f->n == 1 && f->c0 == 0 && f->terms[0].coefficient == 1 && f->terms[0].atom->kind == ATOM_DATA;
  if (bare) return expr_cast(ir, t, f->terms[0].atom->data);
  return intern(ir, (Expr){.kind = EXPR_INDEX, .dtype = t, .form = f});
}

static int64_t coefficients_gcd(const Form *f) {
  int64_t g = 0;
  for (int i = 0; i < f->n; i++) {
    int64_t a = f->terms[i].coefficient < 0 ? -f->terms[i].coefficient : f->terms[i].coefficient;
    while (a) {
      int64_t r = g % a;
      g = a;
      a = r;
    }
  }
  return g;
}

/* f with its coefficients divided by g, which divides them; the constant rounds down. */
static Form *divide_exactly(Ir *ir, Form *f, int64_t g) { return g > 1 ? form_floordiv(ir, f, g) : f; }

Expr *expr_ge0(Ir *ir, Form *f) {
  if (form_proves_ge(ir, f, 0)) return truth(ir, true);
  if (form_proves_ge(ir, form_scale(ir, f, -1), 1)) return truth(ir, false);
  return intern(ir, (Expr){.kind = EXPR_GE0, .dtype = DT_bool, .form = divide_exactly(ir, f, coefficients_gcd(f))});
}

/* The sign is chosen by the first term in the order of slots, which does not depend on the order of building. */
static bool leads_negative(const Form *f) {
  const FormTerm *lead = &f->terms[0];
  for (int i = 1; i < f->n; i++) {
    const Atom *a = f->terms[i].atom, *b = lead->atom;
    if (a->kind != b->kind ? a->kind < b->kind : a->kind == ATOM_VAR && a->var->slot < b->var->slot)
      lead = &f->terms[i];
  }
  return lead->coefficient < 0;
}

Expr *expr_eq0(Ir *ir, Form *f) {
  if (f->n == 0) return truth(ir, f->c0 == 0);
  int64_t g = coefficients_gcd(f);
  if (f->c0 % g) return truth(ir, false);
  if (form_proves_ge(ir, f, 1) || form_proves_ge(ir, form_scale(ir, f, -1), 1)) return truth(ir, false);
  Range r = form_range(ir, f);
  if (r.has_lower && r.has_upper && r.lower == 0 && r.upper == 0) return truth(ir, true);
  f = divide_exactly(ir, f, g);
  if (leads_negative(f)) f = form_scale(ir, f, -1);
  return intern(ir, (Expr){.kind = EXPR_EQ0, .dtype = DT_bool, .form = f});
}

Expr *expr_read(Ir *ir, Node *n, Form **at) {
  return intern(ir, (Expr){.kind = EXPR_READ, .dtype = n->dtype, .node = n, .at = at});
}

Expr *expr_read_vars(Ir *ir, Node *n, Var **vars) { return expr_read(ir, n, form_vars(ir, n->rank, vars)); }

Expr *expr_random(Ir *ir, DType t, uint64_t key, Expr *seed, Expr *step, Expr *place, Form *element) {
  return intern(
      ir, (Expr){.kind = EXPR_RANDOM, .dtype = t, .key = key, .form = element, .n = 3, .arg = {seed, step, place}});
}

/* ---- questions that the rules ask ---- */

bool expr_is_const(const Expr *e, double *value) {
  if (e->kind != EXPR_CONST) return false;
  if (value) *value = dtype_is_float(e->dtype) ? e->real : (double)e->integer;
  return true;
}

bool expr_is_number(const Expr *e, double v) {
  double x;
  return expr_is_const(e, &x) && x == v;
}

/* select(p, a, 0) */
static bool is_guarded(const Expr *e) { return expr_is_op(e, OP_select) && expr_is_number(e->arg[2], 0); }

/* ---- operations ---- */

/* `and` and `or` are lazy: what their second operand reads may be nowhere unless the first asks for it. */
static bool commutes(ScalarOp op, Expr *const *args) {
  if (op == OP_and || op == OP_or) return !args[0]->reads && !args[1]->reads;
  return op == OP_add || op == OP_mul || op == OP_eq || op == OP_ne;
}

static Expr *make(Ir *ir, ScalarOp op, DType t, int n, Expr *const *args) {
  Expr key = {.kind = EXPR_OP, .dtype = t, .op = op, .n = n};
  for (int i = 0; i < n; i++) key.arg[i] = args[i];
  if (n == 2 && commutes(op, args)) {
    Expr swapped = key;
    swapped.arg[0] = args[1];
    swapped.arg[1] = args[0];
    Expr *e = find(ir, &swapped, hash_expr(&swapped));
    if (e) return e;
  }
  return intern(ir, key);
}

/* S1. NULL if an operand is not constant. */
static Expr *fold(Ir *ir, ScalarOp op, DType t, int n, Expr *const *args) {
  DType from = args[n - 1]->dtype; /* a select's branches, not its condition */
  double real[3];
  int64_t integer[3];
  for (int i = 0; i < n; i++) {
    if (!expr_is_const(args[i], &real[i])) return NULL;
    integer[i] = args[i]->integer;
  }
  if (dtype_is_float(from)) {
    double v = scalar_fold(op, from, real);
    return t == DT_bool ? truth(ir, v != 0) : expr_real(ir, t, v);
  }
  if ((op == OP_floordiv || op == OP_mod) && integer[1] == 0) return NULL;
  return expr_int(ir, t, scalar_fold_int(op, from, integer));
}

static bool is_form(const Expr *e) { return e->kind == EXPR_INDEX || e->kind == EXPR_CONST; }

/* Arithmetic and comparisons of index values are forms again. NULL where they are not. */
static Expr *index_op(Ir *ir, ScalarOp op, Expr *const *args, int n) {
  if (n > 2 || (args[0]->kind != EXPR_INDEX && (n < 2 || args[1]->kind != EXPR_INDEX))) return NULL;
  DType t = args[0]->dtype;
  Form *a = form_data(ir, args[0]), *b = n > 1 ? form_data(ir, args[1]) : NULL;
  Form *one = form_const(ir, 1);
  int64_t k;
  switch (op) {
  case OP_add: return is_form(args[0]) && is_form(args[1]) ? expr_index(ir, t, form_add(ir, a, b)) : NULL;
  case OP_sub: return is_form(args[0]) && is_form(args[1]) ? expr_index(ir, t, form_sub(ir, a, b)) : NULL;
  case OP_neg: return expr_index(ir, t, form_scale(ir, a, -1));
  case OP_mul:
    if (form_is_const(a, &k)) return expr_index(ir, t, form_scale(ir, b, k));
    return form_is_const(b, &k) ? expr_index(ir, t, form_scale(ir, a, k)) : NULL;
  case OP_floordiv: return form_is_const(b, &k) && k > 0 ? expr_index(ir, t, form_floordiv(ir, a, k)) : NULL;
  case OP_mod: return form_is_const(b, &k) && k > 0 ? expr_index(ir, t, form_mod(ir, a, k)) : NULL;
  case OP_ge: return expr_ge0(ir, form_sub(ir, a, b));
  case OP_gt: return expr_ge0(ir, form_sub(ir, form_sub(ir, a, b), one));
  case OP_le: return expr_ge0(ir, form_sub(ir, b, a));
  case OP_lt: return expr_ge0(ir, form_sub(ir, form_sub(ir, b, a), one));
  case OP_eq: return expr_eq0(ir, form_sub(ir, a, b));
  case OP_ne: return expr_op1(ir, OP_not, expr_eq0(ir, form_sub(ir, a, b)));
  default: return NULL;
  }
}

static Expr *zero(Ir *ir, DType t) { return expr_int(ir, t, 0); }

static Expr *add_rule(Ir *ir, Expr *a, Expr *b) {
  if (expr_is_number(a, 0)) return b;
  if (expr_is_number(b, 0)) return a;
  if (expr_is_op(b, OP_neg)) return expr_op2(ir, OP_sub, a, b->arg[0]);
  if (expr_is_op(a, OP_neg)) return expr_op2(ir, OP_sub, b, a->arg[0]);
  if (is_guarded(a) && is_guarded(b) && a->arg[0] == b->arg[0])
    return expr_select(ir, a->arg[0], expr_op2(ir, OP_add, a->arg[1], b->arg[1]), a->arg[2]);
  bool merge =
      dtype_is_int(a->dtype) && b->kind == EXPR_CONST && expr_is_op(a, OP_add) && a->arg[1]->kind == EXPR_CONST;
  if (merge) return expr_op2(ir, OP_add, a->arg[0], expr_op2(ir, OP_add, a->arg[1], b));
  return a->kind == EXPR_CONST ? expr_op2(ir, OP_add, b, a) : NULL;
}

static Expr *sub_rule(Ir *ir, Expr *a, Expr *b) {
  if (expr_is_number(b, 0)) return a;
  if (expr_is_number(a, 0)) return expr_op1(ir, OP_neg, b);
  if (expr_is_op(b, OP_neg)) return expr_op2(ir, OP_add, a, b->arg[0]);
  if (a == b && dtype_is_int(a->dtype)) return zero(ir, a->dtype);
  return NULL;
}

static Expr *mul_rule(Ir *ir, Expr *a, Expr *b) {
  if (b->kind == EXPR_CONST && a->kind != EXPR_CONST) return expr_op2(ir, OP_mul, b, a);
  if (expr_is_number(a, 0)) return zero(ir, a->dtype);
  if (expr_is_number(a, 1)) return b;
  if (expr_is_number(a, -1)) return expr_op1(ir, OP_neg, b);
  if (expr_is_op(a, OP_neg) && expr_is_op(b, OP_neg)) return expr_op2(ir, OP_mul, a->arg[0], b->arg[0]);
  if (expr_is_op(b, OP_neg) && a->kind == EXPR_CONST) return expr_op2(ir, OP_mul, expr_op1(ir, OP_neg, a), b->arg[0]);
  if (is_guarded(a)) return expr_select(ir, a->arg[0], expr_op2(ir, OP_mul, a->arg[1], b), a->arg[2]);
  if (is_guarded(b)) return expr_select(ir, b->arg[0], expr_op2(ir, OP_mul, a, b->arg[1]), b->arg[2]);
  if (a->kind == EXPR_CONST && expr_is_op(b, OP_mul) && b->arg[0]->kind == EXPR_CONST) {
    Expr *c = expr_op2(ir, OP_mul, a, b->arg[0]);
    bool safe = dtype_is_int(c->dtype) || (fabs(c->real) > 1e-30 && fabs(c->real) < 1e30);
    return safe ? expr_op2(ir, OP_mul, c, b->arg[1]) : NULL;
  }
  return NULL;
}

static Expr *div_rule(Ir *ir, Expr *a, Expr *b) {
  if (expr_is_number(b, 1)) return a;
  if (expr_is_number(a, 0)) return a;
  if (is_guarded(a)) return expr_select(ir, a->arg[0], expr_op2(ir, OP_div, a->arg[1], b), a->arg[2]);
  return NULL;
}

static Expr *neg_rule(Ir *ir, Expr *a) {
  if (expr_is_op(a, OP_neg)) return a->arg[0];
  if (expr_is_op(a, OP_sub)) return expr_op2(ir, OP_sub, a->arg[1], a->arg[0]);
  if (expr_is_op(a, OP_mul) && a->arg[0]->kind == EXPR_CONST)
    return expr_op2(ir, OP_mul, expr_op1(ir, OP_neg, a->arg[0]), a->arg[1]);
  if (is_guarded(a)) return expr_select(ir, a->arg[0], expr_op1(ir, OP_neg, a->arg[1]), a->arg[2]);
  return NULL;
}

/* Whether p is one of the conjuncts of all. */
static bool implies(const Expr *all, const Expr *p) {
  return all == p || (expr_is_op(all, OP_and) && (implies(all->arg[0], p) || implies(all->arg[1], p)));
}

static Expr *and_rule(Ir *ir, Expr *a, Expr *b) {
  if (expr_is_number(a, 1)) return b;
  if (expr_is_number(b, 1)) return a;
  if (expr_is_number(a, 0) || expr_is_number(b, 0)) return truth(ir, false);
  return implies(a, b) ? a : implies(b, a) ? b : NULL;
}

static Expr *or_rule(Ir *ir, Expr *a, Expr *b) {
  if (expr_is_number(a, 0)) return b;
  if (expr_is_number(b, 0)) return a;
  if (expr_is_number(a, 1) || expr_is_number(b, 1)) return truth(ir, true);
  return implies(a, b) ? b : implies(b, a) ? a : NULL;
}

static Expr *not_rule(Ir *ir, Expr *a) {
  if (expr_is_op(a, OP_not)) return a->arg[0];
  if (a->kind == EXPR_GE0) return expr_ge0(ir, form_sub(ir, form_const(ir, -1), a->form));
  return NULL;
}

static Expr *select_rule(Ir *ir, Expr *p, Expr *a, Expr *b) {
  if (p->kind == EXPR_CONST) return p->integer ? a : b;
  if (a == b) return a;
  if (expr_is_op(p, OP_not)) return expr_select(ir, p->arg[0], b, a);
  if (a->dtype == DT_bool && expr_is_number(a, 1) && expr_is_number(b, 0)) return p;
  if (a->dtype == DT_bool && expr_is_number(a, 0) && expr_is_number(b, 1)) return expr_op1(ir, OP_not, p);
  if (expr_is_op(a, OP_select) && implies(p, a->arg[0])) return expr_select(ir, p, a->arg[1], b);
  if (expr_is_op(b, OP_select) && b->arg[0] == p) return expr_select(ir, p, a, b->arg[2]);
  if (expr_is_op(a, OP_select) && a->arg[2] == b && !a->arg[0]->reads)
    return expr_select(ir, expr_op2(ir, OP_and, p, a->arg[0]), a->arg[1], b);
  return NULL;
}

/* S2-S5. NULL: the operation stays as it is. */
static Expr *simplify(Ir *ir, ScalarOp op, Expr *const *a) {
  switch (op) {
  case OP_add: return add_rule(ir, a[0], a[1]);
  case OP_sub: return sub_rule(ir, a[0], a[1]);
  case OP_mul: return mul_rule(ir, a[0], a[1]);
  case OP_div: return div_rule(ir, a[0], a[1]);
  case OP_neg: return neg_rule(ir, a[0]);
  case OP_and: return and_rule(ir, a[0], a[1]);
  case OP_or: return or_rule(ir, a[0], a[1]);
  case OP_not: return not_rule(ir, a[0]);
  case OP_select: return select_rule(ir, a[0], a[1], a[2]);
  case OP_stop: return expr_is_op(a[0], OP_stop) ? a[0] : NULL;
  case OP_floordiv: return dtype_is_int(a[0]->dtype) && expr_is_number(a[1], 1) ? a[0] : NULL;
  default: return NULL;
  }
}

Expr *expr_op(Ir *ir, ScalarOp op, Expr **args) {
  int n = scalar_rows[op].arity;
  DType types[3] = {0}, t;
  for (int i = 0; i < n; i++) types[i] = args[i]->dtype;
  if (!scalar_type(op, types, &t))
    ice("%s of %s and %s", scalar_rows[op].name, dtype_name(types[0]), n > 1 ? dtype_name(types[1]) : "nothing");
  Expr *e = fold(ir, op, t, n, args);
  if (!e) e = index_op(ir, op, args, n);
  if (!e) e = simplify(ir, op, args);
  return e ? e : make(ir, op, t, n, args);
}

Expr *expr_op1(Ir *ir, ScalarOp op, Expr *a) { return expr_op(ir, op, (Expr *[]){a}); }
Expr *expr_op2(Ir *ir, ScalarOp op, Expr *a, Expr *b) { return expr_op(ir, op, (Expr *[]){a, b}); }
Expr *expr_select(Ir *ir, Expr *p, Expr *a, Expr *b) { return expr_op(ir, OP_select, (Expr *[]){p, a, b}); }

/* To a wider float, which has all values of t. */
static bool is_widened_from(const Expr *cast, DType t) {
  return cast->arg[0]->dtype == t && dtype_is_float(t) && dtype_is_float(cast->dtype) &&
         dtype_bytes(cast->dtype) > dtype_bytes(t);
}

Expr *expr_cast(Ir *ir, DType t, Expr *a) {
  if (a->dtype == t) return a;
  if (a->kind == EXPR_CONST)
    return dtype_is_float(a->dtype) ? expr_real(ir, t, a->real) : expr_int(ir, t, a->integer);
  if (a->kind == EXPR_INDEX && (t == DT_i32 || t == DT_i64)) return expr_index(ir, t, a->form);
  if (is_guarded(a) && dtype_is_float(a->dtype))
    return expr_select(ir, a->arg[0], expr_cast(ir, t, a->arg[1]), zero(ir, t));
  if (expr_is_op(a, OP_cast) && is_widened_from(a, t)) return a->arg[0];
  return make(ir, OP_cast, t, 1, &a);
}

Expr *expr_and(Ir *ir, Expr *a, Expr *b) { return !a ? b : !b ? a : expr_op2(ir, OP_and, a, b); }

Expr *expr_inside(Ir *ir, Form *f, Dim *extent) {
  if (form_proves_inside(ir, f, extent)) return NULL;
  Form *above = form_sub(ir, form_dim(ir, extent), form_add(ir, f, form_const(ir, 1)));
  Expr *p = expr_op2(ir, OP_and, expr_ge0(ir, f), expr_ge0(ir, above));
  return expr_is_number(p, 1) ? NULL : p;
}

const Expr *expr_plain_read(const Expr *x) {
  while (x->kind != EXPR_READ) {
    if (is_guarded(x)) x = x->arg[1];
    else if (expr_is_op(x, OP_cast) && is_widened_from(x, x->arg[0]->dtype)) x = x->arg[0];
    else return NULL;
  }
  return x;
}

bool read_is_inside(Ir *ir, const Expr *read) {
  for (int i = 0; i < read->node->rank; i++)
    if (form_has_data(read->at[i]) || !form_proves_inside(ir, read->at[i], read->node->shape[i])) return false;
  return true;
}

typedef struct Inside {
  Ir *ir;
  bool all;
} Inside;

static void check_read(void *cx, Expr *e) {
  Inside *in = cx;
  if (e->kind == EXPR_READ) in->all &= read_is_inside(in->ir, e);
}

bool expr_is_safe(Ir *ir, Expr *e) {
  Inside in = {ir, true};
  expr_visit(e, check_read, &in);
  return in.all;
}

/* ---- ranges of integer values ---- */

static Range type_range(DType t) {
  if (t == DT_bool) return (Range){true, true, 0, 1};
  if (t == DT_u8) return (Range){true, true, 0, 255};
  if (t == DT_i64 || !dtype_is_int(t)) return (Range){0};
  int64_t half = (int64_t)1 << (8 * dtype_bytes(t) - 1);
  return (Range){true, true, -half, half - 1};
}

static Range intersect(Range a, Range b) {
  if (!a.has_lower || (b.has_lower && b.lower > a.lower)) a.has_lower = b.has_lower, a.lower = b.lower;
  if (!a.has_upper || (b.has_upper && b.upper < a.upper)) a.has_upper = b.has_upper, a.upper = b.upper;
  return a;
}

static Range unite(Range a, Range b) {
  return (Range){a.has_lower && b.has_lower, a.has_upper && b.has_upper, a.lower < b.lower ? a.lower : b.lower,
                 a.upper > b.upper ? a.upper : b.upper};
}

enum { RANGE_DEPTH = 10 }; /* of operations: they may share arguments, which are looked at for each */

static Range range_within(Ir *ir, Expr *e, int depth);

static Range op_range(Ir *ir, const Expr *e, int depth) {
  if (!depth) return (Range){0};
  Range a = range_within(ir, e->arg[0], depth - 1),
        b = e->n > 1 ? range_within(ir, e->arg[1], depth - 1) : (Range){0};
  switch (e->op) {
  case OP_cast: return a;
  case OP_stop: return a;
  case OP_select: return unite(b, range_within(ir, e->arg[2], depth - 1));
  case OP_max:
    return (Range){a.has_lower || b.has_lower, a.has_upper && b.has_upper,
                   intersect((Range){a.has_lower, false, a.lower, 0}, (Range){b.has_lower, false, b.lower, 0}).lower,
                   a.upper > b.upper ? a.upper : b.upper};
  case OP_min:
    return (Range){a.has_lower && b.has_lower, a.has_upper || b.has_upper, a.lower < b.lower ? a.lower : b.lower,
                   intersect((Range){false, a.has_upper, 0, a.upper}, (Range){false, b.has_upper, 0, b.upper}).upper};
  case OP_mod: return b.has_lower && b.lower > 0 ? (Range){true, b.has_upper, 0, b.upper - 1} : (Range){0};
  default: return (Range){0};
  }
}

/* argmax and argmin: positions over the reduced indices; sort: along the last dimension. */
static Range read_range(const Node *n) {
  int64_t last;
  if (n->kind == NODE_sort) return (Range){true, dim_is_const(n->shape[n->rank - 1], &last), 0, last - 1};
  if (n->kind != NODE_comp || (n->reducer != RED_argmax && n->reducer != RED_argmin)) return (Range){0};
  Range r = {true, true, 0, 1};
  for (int i = 0; i < n->nred; i++) {
    int64_t extent;
    if (!dim_is_const(n->red[i], &extent) || __builtin_mul_overflow(r.upper, extent, &r.upper)) r.has_upper = false;
  }
  r.upper--;
  return r;
}

static Range range_within(Ir *ir, Expr *e, int depth) {
  if (dtype_is_float(e->dtype)) return (Range){0};
  Range r = {0};
  if (e->kind == EXPR_CONST) r = (Range){true, true, e->integer, e->integer};
  else if (e->kind == EXPR_INDEX) r = form_range(ir, e->form);
  else if (e->kind == EXPR_READ) r = read_range(e->node);
  else if (e->kind == EXPR_OP) r = op_range(ir, e, depth);
  return intersect(r, type_range(e->dtype));
}

Range expr_range(Ir *ir, Expr *e) { return range_within(ir, e, RANGE_DEPTH); }

/* ---- walks ---- */

typedef struct Visit {
  PtrMap seen;
  void (*f)(void *cx, Expr *e);
  void *cx;
} Visit;

static void visit(Visit *v, Expr *e);

static void visit_form(Visit *v, const Form *f) {
  for (int i = 0; i < f->n; i++) {
    Atom *a = f->terms[i].atom;
    if (a->kind == ATOM_DATA) visit(v, a->data);
    if (a->kind == ATOM_DIV) visit_form(v, a->form);
  }
}

static void visit(Visit *v, Expr *e) {
  if (ptrmap_get(&v->seen, e)) return;
  ptrmap_put(&v->seen, e, e);
  if (e->form) visit_form(v, e->form);
  if (e->kind == EXPR_READ)
    for (int i = 0; i < e->node->rank; i++) visit_form(v, e->at[i]);
  for (int i = 0; i < e->n; i++) visit(v, e->arg[i]);
  v->f(v->cx, e);
}

void expr_visit(Expr *e, void (*f)(void *cx, Expr *e), void *cx) {
  Visit v = {.f = f, .cx = cx};
  visit(&v, e);
  ptrmap_free(&v.seen);
}

/* Inside one expression only: the data in forms is itself visited. */
static bool form_mentions(const Form *f, const Var *v) {
  for (int i = 0; i < f->n; i++) {
    Atom *a = f->terms[i].atom;
    if (a->kind == ATOM_VAR ? a->var == v : a->kind == ATOM_DIV && form_mentions(a->form, v)) return true;
  }
  return false;
}

typedef struct Use {
  const Var *v;
  bool found;
} Use;

static void find_use(void *cx, Expr *e) {
  Use *u = cx;
  if (u->found) return;
  if (e->form) u->found = form_mentions(e->form, u->v);
  if (e->kind == EXPR_READ)
    for (int i = 0; i < e->node->rank && !u->found; i++) u->found = form_mentions(e->at[i], u->v);
}

bool expr_uses(const Expr *e, const Var *v) {
  Use u = {v, false};
  expr_visit((Expr *)e, find_use, &u);
  return u.found;
}

bool expr_uses_any(const Expr *e, int n, Var *const *v) {
  for (int i = 0; i < n; i++)
    if (expr_uses(e, v[i])) return true;
  return false;
}

/* ---- rewriting ---- */

typedef struct Rewrite {
  const ExprMap *m;
  PtrMap done; /* of Expr and Form */
} Rewrite;

static Expr *rewrite(Rewrite *w, Expr *e);

static Form *rewrite_atom(Rewrite *w, Atom *a);

static Form *rewrite_form(Rewrite *w, Form *f) {
  if (f->n == 0) return f;
  Form *done = ptrmap_get(&w->done, f);
  if (done) return done;
  Ir *ir = w->m->ir;
  done = form_const(ir, f->c0);
  for (int i = 0; i < f->n; i++)
    done = form_add(ir, done, form_scale(ir, rewrite_atom(w, f->terms[i].atom), f->terms[i].coefficient));
  ptrmap_put(&w->done, f, done);
  return done;
}

static Form *rewrite_atom(Rewrite *w, Atom *a) {
  Ir *ir = w->m->ir;
  switch (a->kind) {
  case ATOM_VAR: {
    Form *f = w->m->var ? w->m->var(w->m->cx, a->var) : NULL;
    return f ? f : form_var(ir, a->var);
  }
  case ATOM_DIV: return form_floordiv(ir, rewrite_form(w, a->form), a->divisor);
  case ATOM_DATA: return form_data(ir, rewrite(w, a->data));
  default: return form_dim(ir, a->dim);
  }
}

static Expr *rewrite_read(Rewrite *w, Expr *e) {
  Ir *ir = w->m->ir;
  Form **at = NEW_ARRAY(ir->arena, Form *, e->node->rank + 1);
  for (int i = 0; i < e->node->rank; i++) at[i] = rewrite_form(w, e->at[i]);
  Expr *read = expr_read(ir, e->node, at);
  Expr *other = w->m->read ? w->m->read(w->m->cx, read) : NULL;
  return other ? other : read;
}

static Expr *rewrite_op(Rewrite *w, Expr *e) {
  Expr *args[3], *other = w->m->op ? w->m->op(w->m->cx, e) : NULL;
  if (other) return other;
  for (int i = 0; i < e->n; i++) args[i] = rewrite(w, e->arg[i]);
  return e->op == OP_cast ? expr_cast(w->m->ir, e->dtype, args[0]) : expr_op(w->m->ir, e->op, args);
}

static Expr *rewrite(Rewrite *w, Expr *e) {
  if (e->kind == EXPR_CONST) return e;
  Expr *done = ptrmap_get(&w->done, e);
  if (done) return done;
  Ir *ir = w->m->ir;
  switch (e->kind) {
  case EXPR_INDEX: done = expr_index(ir, e->dtype, rewrite_form(w, e->form)); break;
  case EXPR_GE0: done = expr_ge0(ir, rewrite_form(w, e->form)); break;
  case EXPR_EQ0: done = expr_eq0(ir, rewrite_form(w, e->form)); break;
  case EXPR_READ: done = rewrite_read(w, e); break;
  case EXPR_RANDOM:
    done = expr_random(ir, e->dtype, e->key, rewrite(w, e->arg[0]), rewrite(w, e->arg[1]), rewrite(w, e->arg[2]),
                       rewrite_form(w, e->form));
    break;
  default: done = rewrite_op(w, e); break;
  }
  ptrmap_put(&w->done, e, done);
  return done;
}

Expr *expr_map(const ExprMap *m, Expr *e) {
  Rewrite w = {.m = m};
  Expr *done = rewrite(&w, e);
  ptrmap_free(&w.done);
  return done;
}

Form *form_map(const ExprMap *m, Form *f) {
  Rewrite w = {.m = m};
  Form *done = rewrite_form(&w, f);
  ptrmap_free(&w.done);
  return done;
}

static bool form_varies(const Form *f) {
  for (int i = 0; i < f->n; i++) {
    const Atom *a = f->terms[i].atom;
    if (a->kind == ATOM_VAR || a->kind == ATOM_DATA || (a->kind == ATOM_DIV && form_varies(a->form))) return true;
  }
  return false;
}

static void find_varying(void *cx, Expr *x) {
  bool *varies = cx;
  if (x->form && form_varies(x->form)) *varies = true;
  for (int i = 0; x->kind == EXPR_READ && i < x->node->rank; i++)
    if (form_varies(x->at[i])) *varies = true;
}

bool expr_varies(Expr *e) {
  bool varies = false;
  expr_visit(e, find_varying, &varies);
  return varies;
}
