/* reduce_indices.c - normal form of a sum's indices (N5, N6, N8, S7, S8 of the index algebra).
 *
 * In and out: sum(vars: select(guard, value, 0)). The derivative of a read is a sum over what solve() leaves free;
 * without these rules the derivative of that derivative is right, but visits many times the useful products: a stride
 * shows as an equation modulo s, a kernel's two halves as two indices, a pad as a guard on one index, a window as one
 * that is walked backwards.
 *
 * The rules are tried in the order of the table until none applies; each but the last removes an index, an equation
 * or a guard. */
#include "ir/reduce_indices.h"

#include "ir/graph.h"

typedef struct Parts {
  Ir *ir;
  Vec(Expr *) guards; /* conjuncts, each may rely on those before it */
  Expr *value;
  VarList vars;
} Parts;

/* ---- guards ---- */

Guarded expr_guarded(Ir *ir, Expr *body) {
  Guarded g = {NULL, body};
  while (g.value->kind == EXPR_OP && g.value->op == OP_select) {
    Expr **a = g.value->arg;
    if (expr_is_number(a[2], 0)) {
      g.guard = expr_and(ir, g.guard, a[0]);
      g.value = a[1];
    } else if (expr_is_number(a[1], 0)) {
      g.guard = expr_and(ir, g.guard, expr_op1(ir, OP_not, a[0]));
      g.value = a[2];
    } else break;
  }
  return g;
}

/* Conjuncts that read go innermost: they may rely on the others for being inside. */
static Expr *guard_reads(Ir *ir, Expr *guard, Expr *value, Expr **plain) {
  if (guard->kind == EXPR_OP && guard->op == OP_and) {
    value = guard_reads(ir, guard->arg[1], value, plain);
    return guard_reads(ir, guard->arg[0], value, plain);
  }
  if (guard->reads) return expr_select(ir, guard, value, expr_real(ir, value->dtype, 0));
  *plain = expr_and(ir, guard, *plain);
  return value;
}

Expr *expr_guard(Ir *ir, Expr *guard, Expr *value) {
  if (!guard) return value;
  Expr *plain = NULL;
  value = guard_reads(ir, guard, value, &plain);
  return plain ? expr_select(ir, plain, value, expr_real(ir, value->dtype, 0)) : value;
}

static void add_conjuncts(Parts *p, Expr *guard) {
  if (guard->kind == EXPR_OP && guard->op == OP_and) {
    add_conjuncts(p, guard->arg[0]);
    add_conjuncts(p, guard->arg[1]);
  } else vec_push(p->ir->arena, &p->guards, guard);
}

static Expr *conjunction(Parts *p) {
  Expr *guard = NULL;
  for (int i = 0; i < p->guards.n; i++) guard = expr_and(p->ir, guard, p->guards.at[i]);
  return guard;
}

static void split(Parts *p, Expr *body) {
  Guarded g = expr_guarded(p->ir, body);
  p->guards.n = 0;
  p->value = g.value;
  if (g.guard) add_conjuncts(p, g.guard);
}

static Expr *join(Parts *p) { return expr_guard(p->ir, conjunction(p), p->value); }

/* ---- forms ---- */

typedef struct FormVisit {
  void (*f)(void *cx, Form *form);
  void *cx;
} FormVisit;

static void visit_form(const FormVisit *v, Form *f) {
  v->f(v->cx, f);
  for (int i = 0; i < f->n; i++)
    if (f->terms[i].atom->kind == ATOM_DIV) visit_form(v, f->terms[i].atom->form);
}

static void visit_forms_of(void *cx, Expr *e) {
  if (e->kind == EXPR_READ)
    for (int d = 0; d < e->node->rank; d++) visit_form(cx, e->at[d]);
  else if (e->form) visit_form(cx, e->form);
}

void expr_forms(Expr *e, void (*f)(void *cx, Form *form), void *cx) {
  FormVisit v = {f, cx};
  expr_visit(e, visit_forms_of, &v);
}

/* ---- replacing indices ---- */

static void replace_everywhere(Parts *p, Var *v, Form *by) {
  p->value = expr_replace(p->ir, p->value, v, by);
  for (int i = 0; i < p->guards.n; i++) p->guards.at[i] = expr_replace(p->ir, p->guards.at[i], v, by);
}

static void remove_var(Parts *p, int i) {
  for (; i + 1 < p->vars.n; i++) p->vars.at[i] = p->vars.at[i + 1];
  p->vars.n--;
}

static bool is_used(Parts *p, const Var *v) {
  bool used = expr_uses(p->value, v);
  for (int i = 0; i < p->guards.n && !used; i++) used = expr_uses(p->guards.at[i], v);
  return used;
}

/* An index with one value. */
static bool rule_unit(Parts *p) {
  for (int i = 0; i < p->vars.n; i++) {
    Var *v = p->vars.at[i];
    int64_t n;
    if (!dim_is_const(v->extent, &n) || n != 1) continue;
    replace_everywhere(p, v, form_const(p->ir, 0));
    remove_var(p, i);
    return true;
  }
  return false;
}

/* S7: an index that does not occur multiplies by its extent. */
static bool rule_absent(Parts *p) {
  for (int i = 0; i < p->vars.n; i++) {
    Var *v = p->vars.at[i];
    if (is_used(p, v)) continue;
    Expr *count = expr_index(p->ir, DT_i64, form_dim(p->ir, v->extent));
    p->value = expr_op2(p->ir, OP_mul, p->value, expr_cast(p->ir, p->value->dtype, count));
    remove_var(p, i);
    return true;
  }
  return false;
}

/* S8, N8: an equation in the guard, also one modulo a number, is solved for the sum's indices. */
static bool rule_equation(Parts *p) {
  Ir *ir = p->ir;
  for (int i = 0; i < p->guards.n; i++) {
    Expr *guard = p->guards.at[i];
    if (guard->kind != EXPR_EQ0) continue;
    Form *equation = guard->form, *zero = form_const(ir, 0);
    VarList in = {0};
    for (int k = 0; k < p->vars.n; k++)
      if (form_uses(equation, p->vars.at[k])) vec_push(ir->arena, &in, p->vars.at[k]);
    if (in.n == 0) continue;
    Solution *s = solve(ir, in.n, in.at, 1, &equation, &zero);
    if (s->slow || s->data.n) continue;

    p->guards.at[i] = s->guard ? s->guard : expr_int(ir, DT_bool, 1);
    for (int k = 0; k < in.n; k++) {
      if (form_as_var(s->value[k]) == in.at[k]) continue;
      replace_everywhere(p, in.at[k], s->value[k]);
    }
    VarList vars = {0};
    for (int k = 0; k < p->vars.n; k++)
      if (!form_uses(equation, p->vars.at[k])) vec_push(ir->arena, &vars, p->vars.at[k]);
    for (int k = 0; k < s->free.n; k++) vec_push(ir->arena, &vars, s->free.at[k]);
    p->vars = vars;
    return true;
  }
  return false;
}

static int64_t ceil_div(int64_t a, int64_t b) { return a >= 0 ? (a + b - 1) / b : -(-a / b); }

/* N6: a guard k*u + c >= 0 on one index alone becomes its extent and an offset. */
static bool rule_shrink(Parts *p) {
  Ir *ir = p->ir;
  for (int i = 0; i < p->guards.n; i++) {
    Expr *guard = p->guards.at[i];
    if (guard->kind != EXPR_GE0 || guard->form->n != 1) continue;
    const FormTerm *t = &guard->form->terms[0];
    int64_t n, lo = 0, c = guard->form->c0, k = t->coefficient;
    if (t->atom->kind != ATOM_VAR || !dim_is_const(t->atom->var->extent, &n)) continue;
    Var *v = t->atom->var;
    int at = -1;
    for (int j = 0; j < p->vars.n; j++)
      if (p->vars.at[j] == v) at = j;
    if (at < 0) continue;

    int64_t hi = n - 1;
    if (k > 0) lo = ceil_div(-c, k);
    else hi = floor_quotient(c, -k);
    lo = lo < 0 ? 0 : lo;
    hi = hi > n - 1 ? n - 1 : hi;
    p->guards.at[i] = expr_int(ir, DT_bool, 1);
    if (hi < lo) {
      p->value = expr_real(ir, p->value->dtype, 0);
      p->guards.n = p->vars.n = 0;
      return true;
    }
    Var *shrunk = var_fresh(ir, dim_const(ir, hi - lo + 1));
    replace_everywhere(p, v, form_add(ir, form_var(ir, shrunk), form_const(ir, lo)));
    p->vars.at[at] = shrunk;
    return true;
  }
  return false;
}

typedef struct Merge {
  const Var *a, *b;
  int64_t extent; /* of b */
  bool fits;
} Merge;

static void check_merge(void *cx, Form *f) {
  Merge *m = cx;
  m->fits &= form_coefficient(f, m->a) == m->extent * form_coefficient(f, m->b);
}

/* N5: a < A and b < C that occur only as k*(C*a + b) become one index below A*C. */
static bool rule_merge(Parts *p) {
  Ir *ir = p->ir;
  Expr *body = join(p);
  for (int i = 0; i < p->vars.n; i++)
    for (int j = 0; j < p->vars.n; j++) {
      Merge m = {p->vars.at[i], p->vars.at[j], 0, true};
      if (i == j || !dim_is_const(m.b->extent, &m.extent)) continue;
      expr_forms(body, check_merge, &m);
      if (!m.fits) continue;
      Var *both = var_fresh(ir, dim_mul(ir, m.a->extent, m.b->extent));
      /* In this order: what ranges prove in between must hold for the result too, so b may not become narrow. */
      replace_everywhere(p, p->vars.at[j], form_var(ir, both));
      replace_everywhere(p, p->vars.at[i], form_const(ir, 0));
      p->vars.at[i] = both;
      remove_var(p, j);
      return true;
    }
  return false;
}

typedef struct Direction {
  const Var *v;
  bool forwards, backwards;
} Direction;

static void look_at_direction(void *cx, Expr *e) {
  Direction *d = cx;
  for (int i = 0; e->kind == EXPR_READ && i < e->node->rank; i++) {
    if (!form_uses(e->at[i], d->v)) continue;
    d->backwards |= form_coefficient(e->at[i], d->v) < 0;
    d->forwards |= form_coefficient(e->at[i], d->v) >= 0;
  }
}

/* An index by which everything is read backwards is counted the other way. */
static bool rule_reverse(Parts *p) {
  Ir *ir = p->ir;
  Expr *body = join(p);
  for (int i = 0; i < p->vars.n; i++) {
    Direction d = {p->vars.at[i], false, false};
    expr_visit(body, look_at_direction, &d);
    if (d.forwards || !d.backwards) continue;
    Var *other = var_fresh(ir, d.v->extent);
    Form *last = form_dim(ir, dim_sub(ir, d.v->extent, dim_const(ir, 1)));
    replace_everywhere(p, p->vars.at[i], form_sub(ir, last, form_var(ir, other)));
    p->vars.at[i] = other;
    return true;
  }
  return false;
}

static bool (*const rules[])(Parts *p) = {rule_unit,   rule_equation, rule_shrink,
                                          rule_absent, rule_merge,    rule_reverse};

bool sum_normalise(Ir *ir, Sum *s) {
  Parts p = {.ir = ir};
  for (int i = 0; i < s->vars.n; i++) vec_push(ir->arena, &p.vars, s->vars.at[i]);
  split(&p, s->body);
  bool changed = false;
  int budget = 200; /* rules that solve below quotients could otherwise feed each other */
  for (size_t r = 0; r < sizeof rules / sizeof *rules && budget; r++) {
    if (!rules[r](&p)) continue;
    changed = true;
    budget--;
    split(&p, join(&p)); /* rebuilding drops what the new ranges prove */
    if (expr_is_number(p.value, 0)) p.vars.n = 0;
    r = (size_t)-1;
  }
  s->body = join(&p);
  s->vars = p.vars;
  return changed;
}
