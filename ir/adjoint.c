/* adjoint.c - reverse and forward mode within one scalar expression, by the derivative texts of scalar.def.
 *
 * Each distinct subexpression is visited once. An adjoint is kept as a few terms select(guard, value, 0) with
 * different guards, never as their plain sum: every derivative is linear in g, so it is taken below the guard. That
 * keeps a read that stands under a guard under that guard in the derivative, and 0 * inf from the side that a select
 * does not take never arises. */
#include "ir/adjoint.h"

#include <string.h>

#include "ir/reduce_indices.h"
#include "ir/scalar.h"
#include "ir/table.h"
#include "ir/text.h"

/* ---- derivative texts ---- */

bool scalar_passes(const Expr *y, int k) {
  return strcmp(scalar_rows[y->op].derivative[k], "0") != 0 && dtype_is_float(y->dtype) &&
         dtype_is_float(y->arg[k]->dtype);
}

Expr *scalar_derivative(Ir *ir, Expr *y, int k, Expr *g, Expr *value) {
  if (!scalar_passes(y, k)) return NULL;
  static const char *const names[] = {"g", "y", "a", "b", "c"};
  Expr *values[] = {g, value, y->arg[0], y->arg[1], y->arg[2]};
  char error[256];
  Expr *d = expr_parse(ir, scalar_rows[y->op].derivative[k], names, values, 2 + y->n, error);
  if (!d) ice("scalar.def: the derivative of %s: %s", scalar_rows[y->op].name, error);
  return d;
}

/* ---- the expression's distinct parts, arguments first ---- */

enum { MAX_TERMS = 4 };

typedef struct Part {
  Expr *e;
  bool active; /* a wanted read passes changes on to e */
  int n;       /* terms of its adjoint */
  Guarded term[MAX_TERMS];
} Part;

typedef struct Parts {
  Ir *ir;
  Arena *arena;
  Wanted wanted;
  Vec(Part) list;
  PtrMap index; /* Expr to Part */
} Parts;

static void collect(void *cx, Expr *e) {
  Parts *p = cx;
  vec_push(p->arena, &p->list, (Part){.e = e});
}

static Part *part_of(Parts *p, const Expr *e) { return ptrmap_get(&p->index, e); }

static bool is_active(Parts *p, const Expr *e) {
  if (e->kind == EXPR_READ) return dtype_is_float(e->dtype) && p->wanted.node(p->wanted.cx, e->node);
  if (e->kind != EXPR_OP) return false;
  for (int k = 0; k < e->n; k++)
    if (scalar_passes(e, k) && part_of(p, e->arg[k])->active) return true;
  return false;
}

static Parts parts_new(Ir *ir, Arena *a, Expr *body, Wanted wanted) {
  Parts p = {.ir = ir, .arena = a, .wanted = wanted};
  expr_visit(body, collect, &p);
  for (int i = 0; i < p.list.n; i++) ptrmap_put(&p.index, p.list.at[i].e, &p.list.at[i]);
  for (int i = 0; i < p.list.n; i++) p.list.at[i].active = is_active(&p, p.list.at[i].e);
  return p;
}

typedef struct Passing {
  PtrMap seen;
  void (*f)(void *cx, Node *n);
  void *cx;
} Passing;

static void pass_down(Passing *p, Expr *e) {
  if (!dtype_is_float(e->dtype) || ptrmap_get(&p->seen, e)) return;
  ptrmap_put(&p->seen, e, e);
  if (e->kind == EXPR_READ) p->f(p->cx, e->node);
  for (int k = 0; k < e->n; k++)
    if (scalar_passes(e, k)) pass_down(p, e->arg[k]);
}

void scalar_sources(Expr *body, void (*f)(void *cx, Node *n), void *cx) {
  Passing p = {.f = f, .cx = cx};
  pass_down(&p, body);
  ptrmap_free(&p.seen);
}

/* ---- the reverse pass ---- */

/* All terms as one value: select(p, a, 0) + select(not p, b, 0) is select(p, a, b). */
static Expr *sum_of_terms(Parts *p, const Part *x) {
  Ir *ir = p->ir;
  const Guarded *t = x->term;
  if (x->n == 2 && t[0].guard && t[1].guard) {
    if (t[1].guard == expr_op1(ir, OP_not, t[0].guard)) return expr_select(ir, t[0].guard, t[0].value, t[1].value);
    if (t[0].guard == expr_op1(ir, OP_not, t[1].guard)) return expr_select(ir, t[1].guard, t[1].value, t[0].value);
  }
  Expr *sum = expr_guard(ir, t[0].guard, t[0].value);
  for (int i = 1; i < x->n; i++) sum = expr_op2(ir, OP_add, sum, expr_guard(ir, t[i].guard, t[i].value));
  return sum;
}

/* The guard outside which all terms are 0; NULL for none. */
static Expr *union_of_guards(Parts *p, const Part *x) {
  Expr *all = x->term[0].guard;
  for (int i = 1; i < x->n && all; i++) all = x->term[i].guard ? expr_op2(p->ir, OP_or, all, x->term[i].guard) : NULL;
  return all;
}

static void add_term(Parts *p, Part *x, Guarded t) {
  if (expr_is_number(t.value, 0)) return;
  for (int i = 0; i < x->n; i++)
    if (x->term[i].guard == t.guard) {
      x->term[i].value = expr_op2(p->ir, OP_add, x->term[i].value, t.value);
      return;
    }
  if (x->n == MAX_TERMS) { /* many branches: fold what there is, so that their number stays bounded */
    x->term[0] = (Guarded){union_of_guards(p, x), sum_of_terms(p, x)};
    x->n = 1;
    add_term(p, x, t);
    return;
  }
  x->term[x->n++] = t;
}

static void pass_on(Parts *p, const Part *y, Expr *value) {
  for (int k = 0; k < y->e->n; k++) {
    Part *x = part_of(p, y->e->arg[k]);
    if (!x->active || !scalar_passes(y->e, k)) continue;
    for (int i = 0; i < y->n; i++) {
      Guarded d = expr_guarded(p->ir, scalar_derivative(p->ir, y->e, k, y->term[i].value, value));
      d.guard = expr_and(p->ir, y->term[i].guard, d.guard);
      add_term(p, x, d);
    }
  }
}

void scalar_reverse(Ir *ir, Expr *body, Expr *value, Expr *seed, Wanted wanted, Arena *a, ReadAdjoints *out) {
  Parts p = parts_new(ir, a, body, wanted);
  Part *root = part_of(&p, body);
  if (root->active) add_term(&p, root, expr_guarded(ir, seed));
  for (int i = p.list.n - 1; i >= 0; i--) {
    const Part *x = &p.list.at[i];
    if (!x->active || x->n == 0) continue;
    if (x->e->kind == EXPR_READ) vec_push(a, out, (ReadAdjoint){x->e, sum_of_terms(&p, x)});
    else pass_on(&p, x, x->e == body && value ? value : x->e);
  }
  ptrmap_free(&p.index);
}

/* ---- the forward pass ---- */

/* Of an operation, from its arguments' tangents: what each passes on, added up. */
static Expr *op_tangent(Ir *ir, Expr *e, Expr *value, Expr *const *d) {
  if (e->op == OP_cast) return d[0] ? expr_cast(ir, e->dtype, d[0]) : NULL;
  if (e->op == OP_select && (d[1] || d[2])) {
    Expr *zero = expr_real(ir, e->dtype, 0);
    return expr_select(ir, e->arg[0], d[1] ? d[1] : zero, d[2] ? d[2] : zero);
  }
  Expr *sum = NULL;
  for (int k = 0; k < e->n; k++) {
    Expr *part = d[k] ? scalar_derivative(ir, e, k, d[k], value) : NULL;
    if (part) sum = sum ? expr_op2(ir, OP_add, sum, part) : part;
  }
  return sum;
}

typedef struct Forward {
  Ir *ir;
  Expr *body, *value;
  ReadTangent tangent;
  PtrMap of; /* Expr to its tangent */
} Forward;

static void forward_one(void *cx, Expr *e) {
  Forward *f = cx;
  Expr *t = NULL, *d[3] = {NULL, NULL, NULL};
  if (e->kind == EXPR_READ && dtype_is_float(e->dtype)) t = f->tangent.of(f->tangent.cx, e);
  if (e->kind == EXPR_OP && dtype_is_float(e->dtype)) {
    for (int k = 0; k < e->n; k++) d[k] = scalar_passes(e, k) ? ptrmap_get(&f->of, e->arg[k]) : NULL;
    t = op_tangent(f->ir, e, e == f->body && f->value ? f->value : e, d);
  }
  if (t && !expr_is_number(t, 0)) ptrmap_put(&f->of, e, t);
}

Expr *scalar_forward(Ir *ir, Expr *body, Expr *value, ReadTangent tangent) {
  Forward f = {ir, body, value, tangent, {0}};
  expr_visit(body, forward_one, &f);
  Expr *t = ptrmap_get(&f.of, body);
  ptrmap_free(&f.of);
  return t;
}
