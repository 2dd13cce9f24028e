/* solve.c - solve(A(v) = j) for the derivative of a read: linear equations over bounded integers.
 *
 * In: index forms A over unknowns v, and what they shall equal. Out: each v as a form over j and free indices, with a
 * guard (solve.h). Quotients are first given unknowns of their own, Z = c*(q + off) + m; then one equation after the
 * other is solved by the lowest row of the case table that any of them meets, and substituted everywhere. The order
 * of the rows is what keeps strides, reshapes and pads free of indices that visit nothing.
 *
 * A q is never tested against its extent: Z lies in its range because its unknowns do, and m is tested. */
#include "ir/solve.h"

#include "lang/diag.h"

typedef struct Unknown {
  Var *var;
  Form *value; /* NULL until solved */
  bool quotient;
} Unknown;

typedef struct Condition { /* 0 <= form < extent, or form == 0 where extent is NULL */
  Form *form;
  Dim *extent;
} Condition;

typedef struct Quotient { /* z = divisor * q + m */
  const Atom *atom;
  Form *z, *q; /* q: its unknown plus the offset */
  Var *m;
} Quotient;

typedef struct Solver {
  Ir *ir;
  Vec(Unknown) unknowns;
  Vec(Form *) equations; /* each == 0 */
  Vec(Condition) conditions;
  Vec(Quotient) quotients;
  bool slow;
} Solver;

/* ---- arithmetic ---- */

int64_t gcd64(int64_t a, int64_t b) {
  a = a < 0 ? -a : a;
  b = b < 0 ? -b : b;
  while (b) {
    int64_t r = a % b;
    a = b;
    b = r;
  }
  return a;
}

int64_t inverse_mod(int64_t a, int64_t m) {
  a = ((a % m) + m) % m;
  for (int64_t t = 0; t < m; t++)
    if (a * t % m == 1 % m) return t;
  ice("inverse_mod: %lld has no inverse modulo %lld", (long long)a, (long long)m);
}

static int64_t magnitude(int64_t a) { return a < 0 ? -a : a; }

/* An extent as a number; open ones count as 64 where a choice needs one. */
static double extent_guess(const Dim *d) {
  int64_t n;
  return dim_is_const(d, &n) ? (double)n : 64.0;
}

bool form_bounds(Ir *ir, const Form *f, Dim **lower, Dim **upper) {
  Dim *lo = dim_const(ir, f->c0), *hi = lo;
  for (int i = 0; i < f->n; i++) {
    const Atom *a = f->terms[i].atom;
    int64_t k = f->terms[i].coefficient;
    Dim *least, *most;
    switch (a->kind) {
    case ATOM_VAR:
      least = dim_const(ir, 0);
      most = dim_sub(ir, a->var->extent, dim_const(ir, 1));
      break;
    case ATOM_DIV:
      if (!form_bounds(ir, a->form, &least, &most)) return false;
      least = dim_floordiv(ir, least, dim_const(ir, a->divisor));
      most = dim_floordiv(ir, most, dim_const(ir, a->divisor));
      break;
    case ATOM_DIM: least = most = a->dim; break;
    default: return false;
    }
    lo = dim_add(ir, lo, dim_mul(ir, dim_const(ir, k), k > 0 ? least : most));
    hi = dim_add(ir, hi, dim_mul(ir, dim_const(ir, k), k > 0 ? most : least));
  }
  *lower = lo;
  *upper = hi;
  return true;
}

/* ---- substitution ---- */

Form *form_atom(Ir *ir, const Atom *a) {
  switch (a->kind) {
  case ATOM_VAR: return form_var(ir, a->var);
  case ATOM_DIV: return form_floordiv(ir, a->form, a->divisor);
  case ATOM_DATA: return form_data(ir, a->data);
  case ATOM_DIM: return form_dim(ir, a->dim);
  }
  ice("form_atom: kind %d", (int)a->kind);
}

typedef struct Replacement {
  Var *var;
  Form *by;
} Replacement;

static Form *replace_one(void *cx, Var *v) {
  const Replacement *r = cx;
  return v == r->var ? r->by : NULL;
}

Form *form_replace(Ir *ir, Form *f, Var *v, Form *by) {
  if (!form_uses(f, v)) return f;
  Replacement r = {v, by};
  return form_map(&(ExprMap){.ir = ir, .var = replace_one, .cx = &r}, f);
}

Expr *expr_replace(Ir *ir, Expr *e, Var *v, Form *by) {
  Replacement r = {v, by};
  return expr_map(&(ExprMap){.ir = ir, .var = replace_one, .cx = &r}, e);
}

static Unknown *find_unknown(Solver *s, const Var *v) {
  for (int i = 0; i < s->unknowns.n; i++)
    if (s->unknowns.at[i].var == v) return &s->unknowns.at[i];
  return NULL;
}

/* Whether a term's atom is a plain unknown that is not solved yet. */
static bool is_open(Solver *s, const Atom *a) {
  Unknown *u = a->kind == ATOM_VAR ? find_unknown(s, a->var) : NULL;
  return u && !u->value;
}

static bool uses_open(Solver *s, const Form *f) {
  for (int i = 0; i < s->unknowns.n; i++)
    if (!s->unknowns.at[i].value && form_uses(f, s->unknowns.at[i].var)) return true;
  return false;
}

/* Whether an open unknown occurs below a quotient or in data, out of reach of the linear rows. */
static bool has_buried(Solver *s, const Form *f, const Var *only) {
  for (int i = 0; i < f->n; i++) {
    const Atom *a = f->terms[i].atom;
    if (a->kind == ATOM_VAR || a->kind == ATOM_DIM) continue;
    Form *inner = form_atom(s->ir, a);
    if (only ? form_uses(inner, only) : uses_open(s, inner)) return true;
  }
  return false;
}

static void require(Solver *s, Form *f, Dim *extent) {
  vec_push(s->ir->arena, &s->conditions, (Condition){f, extent});
}

/* v := value, everywhere. */
static void settle(Solver *s, Var *v, Form *value) {
  Unknown *u = find_unknown(s, v);
  u->value = value;
  for (int i = 0; i < s->unknowns.n; i++)
    if (s->unknowns.at[i].value) s->unknowns.at[i].value = form_replace(s->ir, s->unknowns.at[i].value, v, value);
  for (int i = 0; i < s->equations.n; i++) s->equations.at[i] = form_replace(s->ir, s->equations.at[i], v, value);
  for (int i = 0; i < s->conditions.n; i++)
    s->conditions.at[i].form = form_replace(s->ir, s->conditions.at[i].form, v, value);
  for (int i = 0; i < s->quotients.n; i++) s->quotients.at[i].z = form_replace(s->ir, s->quotients.at[i].z, v, value);
  if (!u->quotient) require(s, value, v->extent);
}

/* ---- quotients ---- */

static Form *flatten(Solver *s, Form *f);

/* The quotient's unknown plus its offset, with the equation that defines it; NULL when the dividend's range is not
 * known. One pair of unknowns for each atom. */
static Form *quotient_of(Solver *s, const Atom *a) {
  for (int i = 0; i < s->quotients.n; i++)
    if (s->quotients.at[i].atom == a) return s->quotients.at[i].q;
  Ir *ir = s->ir;
  Form *z = flatten(s, a->form);
  Dim *lo, *hi, *c = dim_const(ir, a->divisor);
  if (!form_bounds(ir, z, &lo, &hi)) return NULL;
  Dim *offset = dim_floordiv(ir, lo, c);
  Dim *count = dim_add(ir, dim_sub(ir, dim_floordiv(ir, hi, c), offset), dim_const(ir, 1));
  Var *q = var_fresh(ir, count), *m = var_fresh(ir, c);
  vec_push(ir->arena, &s->unknowns, (Unknown){.var = q, .quotient = true});
  vec_push(ir->arena, &s->unknowns, (Unknown){.var = m});
  Form *whole = form_add(ir, form_var(ir, q), form_dim(ir, offset));
  vec_push(ir->arena, &s->quotients, (Quotient){a, z, whole, m});
  Form *parts = form_add(ir, form_scale(ir, whole, a->divisor), form_var(ir, m));
  vec_push(ir->arena, &s->equations, form_sub(ir, z, parts));
  return whole;
}

/* Z % c is kept as Z - c*(Z//c): puts its m back where that leaves fewer terms. */
static Form *with_remainders(Solver *s, Form *f) {
  for (int i = 0; i < s->quotients.n; i++) {
    const Quotient *q = &s->quotients.at[i];
    int64_t c = q->atom->divisor, k = 0;
    if (find_unknown(s, q->m)->value) continue;
    for (int t = 0; t < q->q->n && !k; t++)
      if (is_open(s, q->q->terms[t].atom)) k = -form_coefficient(f, q->q->terms[t].atom->var);
    if (k == 0 || k % c) continue;
    Form *remainder = form_sub(s->ir, q->z, form_scale(s->ir, q->q, c));
    Form *rest = form_sub(s->ir, f, form_scale(s->ir, remainder, k / c));
    rest = form_add(s->ir, rest, form_scale(s->ir, form_var(s->ir, q->m), k / c));
    if (rest->n < f->n) f = rest;
  }
  return f;
}

/* f with the quotients of unknowns replaced by their own unknowns. */
static Form *flatten(Solver *s, Form *f) {
  Form *out = form_const(s->ir, f->c0);
  for (int i = 0; i < f->n; i++) {
    const Atom *a = f->terms[i].atom;
    Form *term = form_atom(s->ir, a);
    if (a->kind == ATOM_DIV && uses_open(s, term)) {
      Form *q = quotient_of(s, a);
      if (q) term = q;
    }
    out = form_add(s->ir, out, form_scale(s->ir, term, f->terms[i].coefficient));
  }
  return with_remainders(s, out);
}

/* ---- the case table ---- */

typedef enum Row { ROW_none, ROW_single, ROW_quotient, ROW_radix, ROW_pivot, ROW_keep } Row;

enum { MAX_OPEN = 24 };

/* One equation in the form  sum coefficient_k * var_k = rhs, divided by the gcd of its coefficients. */
typedef struct LinearForm {
  Row row;
  int n;
  Var *var[MAX_OPEN];
  int64_t coefficient[MAX_OPEN];
  int64_t gcd;
  Form *rhs; /* not divided */
  int pivot, partner;
} LinearForm;

static bool is_quotient(Solver *s, const Var *v) { return find_unknown(s, v)->quotient; }

/* Volume of the indices that stay when term i is solved (with partner w), the first measure of cost. */
static double volume_after(const LinearForm *e, int i, int w) {
  double v = 1;
  for (int k = 0; k < e->n; k++) {
    double extent = extent_guess(e->var[k]->extent);
    if (k == w)
      extent = (double)(int64_t)((extent + (double)magnitude(e->coefficient[i]) - 1) /
                                 (double)magnitude(e->coefficient[i]));
    if (k != i) v *= extent;
  }
  return v;
}

/* Chooses pivot and partner; false when no row of the table applies. */
static bool choose_pivot(LinearForm *e) {
  bool has_unit = false;
  for (int i = 0; i < e->n; i++) has_unit |= magnitude(e->coefficient[i]) == 1;
  double best = -1;
  for (int i = 0; i < e->n; i++) {
    bool unit = magnitude(e->coefficient[i]) == 1;
    if (!unit && has_unit && e->n >= 3) continue;
    for (int w = 0; w < e->n; w++) {
      if (unit ? w != 0 : w == i || gcd64(e->coefficient[i], e->coefficient[w]) != 1) continue;
      double v = volume_after(e, i, unit ? -1 : w);
      if (best >= 0 && v >= best) continue;
      best = v;
      e->pivot = i;
      e->partner = unit ? -1 : w;
    }
  }
  return best >= 0;
}

/* Mixed radix: the largest coefficient spans the range of all the others. */
static bool is_mixed_radix(const LinearForm *e, int *largest) {
  int top = 0;
  for (int i = 1; i < e->n; i++)
    if (magnitude(e->coefficient[i]) > magnitude(e->coefficient[top])) top = i;
  int64_t span = 0;
  for (int i = 0; i < e->n; i++) {
    int64_t n;
    if (i == top) continue;
    if (!dim_is_const(e->var[i]->extent, &n)) return false;
    span += magnitude(e->coefficient[i]) * (n > 0 ? n - 1 : 0);
  }
  *largest = top;
  return span < magnitude(e->coefficient[top]);
}

static LinearForm classify(Solver *s, Form *f) {
  LinearForm e = {.rhs = form_const(s->ir, -f->c0), .pivot = -1, .partner = -1};
  bool buried = has_buried(s, f, NULL), within = false;
  for (int i = 0; i < f->n; i++) {
    const Atom *a = f->terms[i].atom;
    int64_t k = f->terms[i].coefficient;
    if (is_open(s, a)) {
      if (e.n == MAX_OPEN) ice("solve: more than %d indices in one read", MAX_OPEN);
      within |= buried && has_buried(s, f, a->var);
      e.var[e.n] = a->var;
      e.coefficient[e.n++] = k;
      e.gcd = gcd64(e.gcd, k);
    } else e.rhs = form_sub(s->ir, e.rhs, form_scale(s->ir, form_atom(s->ir, a), k));
  }
  /* An unknown that also stands below a quotient can't be solved for; the slow row is right for all such. */
  if (e.n == 0 || within) return e.row = e.n || buried ? ROW_keep : ROW_none, e;
  for (int i = 0; i < e.n; i++) e.coefficient[i] /= e.gcd;
  if (e.n == 1) return e.row = ROW_single, e.pivot = 0, e;
  for (int i = 0; i < e.n; i++)
    if (magnitude(e.coefficient[i]) == 1 && is_quotient(s, e.var[i])) return e.row = ROW_quotient, e.pivot = i, e;
  if (is_mixed_radix(&e, &e.pivot)) return e.row = ROW_radix, e;
  return e.row = choose_pivot(&e) ? ROW_pivot : ROW_keep, e;
}

static Form *others_of(Solver *s, const LinearForm *e, int skip, int skip2) {
  Form *f = form_const(s->ir, 0);
  for (int i = 0; i < e->n; i++)
    if (i != skip && i != skip2)
      f = form_add(s->ir, f, form_scale(s->ir, form_var(s->ir, e->var[i]), e->coefficient[i]));
  return f;
}

/* v = (rhs - lo) // a, and the others make (rhs - lo) % a + lo. */
static void solve_radix(Solver *s, const LinearForm *e, Form *rhs) {
  int64_t a = e->coefficient[e->pivot], sign = a < 0 ? -1 : 1, lo = 0;
  for (int i = 0; i < e->n; i++)
    if (i != e->pivot && sign * e->coefficient[i] < 0)
      lo += sign * e->coefficient[i] * (dim_value(e->var[i]->extent) - 1);
  Form *z = form_sub(s->ir, form_scale(s->ir, rhs, sign), form_const(s->ir, lo));
  Form *others = form_scale(s->ir, others_of(s, e, e->pivot, -1), sign);
  Form *left = form_add(s->ir, form_mod(s->ir, z, sign * a), form_const(s->ir, lo));
  vec_push(s->ir->arena, &s->equations, form_sub(s->ir, others, left));
  settle(s, e->var[e->pivot], form_floordiv(s->ir, z, sign * a));
}

/* a*v + d*w = z with |a| = m > 1 and gcd(a, d) = 1: w = m*w' + (t*z) % m, w' free. */
static void solve_pair(Solver *s, const LinearForm *e, Form *rhs) {
  Ir *ir = s->ir;
  int64_t a = e->coefficient[e->pivot], d = e->coefficient[e->partner], m = magnitude(a);
  int64_t t = inverse_mod(d, m);
  Form *z = form_sub(ir, rhs, others_of(s, e, e->pivot, e->partner));
  Var *w = e->var[e->partner];
  Var *fresh = var_fresh(ir, dim_ceil_div(ir, w->extent, m));
  vec_push(ir->arena, &s->unknowns, (Unknown){.var = fresh});
  Form *tz = form_scale(ir, z, t), *steps = form_var(ir, fresh);
  Form *v = form_add(ir, form_scale(ir, z, (1 - d * t) / m), form_scale(ir, form_floordiv(ir, tz, m), d));
  v = form_scale(ir, form_sub(ir, v, form_scale(ir, steps, d)), a < 0 ? -1 : 1);
  settle(s, w, form_add(ir, form_scale(ir, steps, m), form_mod(ir, tz, m)));
  settle(s, e->var[e->pivot], v);
}

static void solve_equation(Solver *s, const LinearForm *e, Form *whole) {
  if (e->row == ROW_none || e->row == ROW_keep) {
    s->slow |= e->row == ROW_keep;
    require(s, whole, NULL);
    return;
  }
  Form *rhs = e->rhs;
  if (e->gcd > 1) {
    require(s, form_mod(s->ir, rhs, e->gcd), NULL);
    rhs = form_floordiv(s->ir, rhs, e->gcd);
  }
  if (e->row == ROW_radix) solve_radix(s, e, rhs);
  else if (e->row == ROW_pivot && e->partner >= 0) solve_pair(s, e, rhs);
  else {
    Form *v = form_sub(s->ir, rhs, others_of(s, e, e->pivot, -1));
    settle(s, e->var[e->pivot], form_scale(s->ir, v, e->coefficient[e->pivot]));
  }
}

/* Solves until no equation is left, the lowest row first. */
static void solve_all(Solver *s) {
  while (s->equations.n) {
    int best = -1;
    LinearForm chosen = {0};
    for (int i = 0; i < s->equations.n; i++) {
      LinearForm e = classify(s, s->equations.at[i]);
      if (best < 0 || e.row < chosen.row) best = i, chosen = e;
    }
    Form *whole = s->equations.at[best];
    s->equations.at[best] = s->equations.at[--s->equations.n];
    solve_equation(s, &chosen, whole);
  }
}

/* ---- data ---- */

static bool data_is_open(Solver *s, const Form *f) {
  for (int i = 0; i < f->n; i++) {
    const Atom *a = f->terms[i].atom;
    if (a->kind == ATOM_DATA && uses_open(s, form_atom(s->ir, a))) return true;
    if (a->kind == ATOM_DIV && data_is_open(s, a->form)) return true;
  }
  return false;
}

/* f with every solved unknown replaced. */
static Form *settled(Solver *s, Form *f) {
  for (int i = 0; i < s->unknowns.n; i++)
    if (s->unknowns.at[i].value) f = form_replace(s->ir, f, s->unknowns.at[i].var, s->unknowns.at[i].value);
  return f;
}

/* Takes the dimensions whose data j determines by now; returns how many were not taken yet and stay so. */
static int take_dimensions(Solver *s, int rank, Form **at, Form **target, bool *taken) {
  int left = 0;
  for (int d = 0; d < rank; d++) {
    if (taken[d]) continue;
    Form *f = settled(s, at[d]);
    if (data_is_open(s, f)) {
      left++;
      continue;
    }
    taken[d] = true;
    f = flatten(s, f);
    vec_push(s->ir->arena, &s->equations, form_sub(s->ir, f, target[d]));
  }
  return left;
}

/* The conditions as one guard: those on data last, they may be evaluated only inside the bounds. */
static Expr *guard_of(Solver *s) {
  Expr *guard = NULL;
  for (int data = 0; data < 2; data++)
    for (int i = 0; i < s->conditions.n; i++) {
      const Condition *c = &s->conditions.at[i];
      if (form_has_data(c->form) != (data == 1)) continue;
      Expr *p = c->extent ? expr_inside(s->ir, c->form, c->extent) : expr_eq0(s->ir, c->form);
      guard = expr_and(s->ir, guard, p);
    }
  double value;
  return guard && expr_is_const(guard, &value) && value != 0 ? NULL : guard;
}

Solution *solve(Ir *ir, int nunknowns, Var **unknowns, int rank, Form **at, Form **target) {
  Solver s = {.ir = ir};
  for (int i = 0; i < nunknowns; i++) vec_push(ir->arena, &s.unknowns, (Unknown){.var = unknowns[i]});
  bool *taken = NEW_ARRAY(ir->arena, bool, rank + 1);
  for (int left = rank + 1, now; (now = take_dimensions(&s, rank, at, target, taken)) < left; left = now)
    solve_all(&s);

  Solution *out = NEW(ir->arena, Solution);
  out->value = NEW_ARRAY(ir->arena, Form *, nunknowns + 1);
  for (int i = 0; i < nunknowns; i++) {
    Unknown *u = find_unknown(&s, unknowns[i]);
    out->value[i] = u->value ? u->value : form_var(ir, u->var);
  }
  for (int i = 0; i < s.unknowns.n; i++)
    if (!s.unknowns.at[i].value) vec_push(ir->arena, &out->free, s.unknowns.at[i].var);
  for (int d = 0; d < rank; d++)
    if (!taken[d]) vec_push(ir->arena, &out->data, d);
  out->guard = guard_of(&s);
  out->slow = s.slow;
  return out;
}
