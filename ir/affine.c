/* affine.c - index forms: c0 + sum of coefficient * atom, hash-consed, in the canonical form of the rules N1-N4.
 *
 * N1 quotients: exact multiples of the divisor leave it, common factors cancel, (Z // a) // b is Z // (a*b), and a
 * part whose range lies inside one step of the rest is dropped; (v + 1) // 2 of v < 2 is v. N2, N3 remainders: Z % c
 * is Z - c * (Z // c), so quotient and remainder share Z, and c * (Z // c) + Z % c is Z. N4 ranges: interval
 * arithmetic, with Z // c bounded by Z/c as well, which keeps the two together.
 *
 * A quotient of open dimensions alone is a Dim, never an ATOM_DIV: each value has one form. */
#include "ir/expr.h"
#include "ir/table.h"
#include "lang/diag.h"

#include <stdlib.h>
#include <string.h>

struct FormTable {
  InternTable vars, atoms, forms;
  int next_var, next_atom, next_form;
  Vec(Range) ranges; /* by id of form */
  Vec(bool) ranged;
};

static struct FormTable *table(Ir *ir) {
  if (!ir->forms) ir->forms = NEW(ir->arena, struct FormTable);
  return ir->forms;
}

enum { MAX_LINE = 64 };

static int64_t add(int64_t a, int64_t b) {
  int64_t c;
  if (__builtin_add_overflow(a, b, &c)) ice("an index form left 64 bits");
  return c;
}

static int64_t mul(int64_t a, int64_t b) {
  int64_t c;
  if (__builtin_mul_overflow(a, b, &c)) ice("an index form left 64 bits");
  return c;
}

/* ---- interning ---- */

static bool same_var(const void *key, const void *object) {
  const Var *a = key, *b = object;
  return a->slot == b->slot && a->extent == b->extent;
}

Var *var_get(Ir *ir, int slot, Dim *extent) {
  struct FormTable *t = table(ir);
  uint64_t h = hash_mix(hash_mix(3, (uint64_t)slot), (uint64_t)extent->id);
  Var key = {.slot = slot, .extent = extent};
  Var *v = intern_find(&t->vars, h, same_var, &key);
  if (v) return v;
  v = NEW(ir->arena, Var);
  *v = key;
  v->id = t->next_var++;
  intern_add(&t->vars, ir->arena, h, v);
  return v;
}

Var *var_fresh(Ir *ir, Dim *extent) { return var_get(ir, ir_fresh_slot(ir), extent); }

static bool same_atom(const void *key, const void *object) {
  const Atom *a = key, *b = object;
  return a->kind == b->kind && a->var == b->var && a->form == b->form && a->divisor == b->divisor &&
         a->data == b->data && a->dim == b->dim;
}

static Atom *atom_get(Ir *ir, Atom key) {
  struct FormTable *t = table(ir);
  uint64_t h = hash_mix(4, key.kind);
  h = hash_mix(h, key.var ? (uint64_t)key.var->id : key.form ? (uint64_t)key.form->id : 0);
  h = hash_mix(h, key.data ? (uint64_t)key.data->id : key.dim ? (uint64_t)key.dim->id : (uint64_t)key.divisor);
  Atom *a = intern_find(&t->atoms, h, same_atom, &key);
  if (a) return a;
  a = NEW(ir->arena, Atom);
  *a = key;
  a->id = t->next_atom++;
  intern_add(&t->atoms, ir->arena, h, a);
  return a;
}

static bool same_form(const void *key, const void *object) {
  const Form *a = key, *b = object;
  if (a->n != b->n || a->c0 != b->c0) return false;
  for (int i = 0; i < a->n; i++)
    if (a->terms[i].coefficient != b->terms[i].coefficient || a->terms[i].atom != b->terms[i].atom) return false;
  return true;
}

static int compare_terms(const void *a, const void *b) {
  int x = ((const FormTerm *)a)->atom->id, y = ((const FormTerm *)b)->atom->id;
  return (x > y) - (x < y);
}

/* The form c0 + terms, the terms in any order; takes over the array. */
static Form *make(Ir *ir, int64_t c0, FormTerm *terms, int n) {
  struct FormTable *t = table(ir);
  if (n > 1) qsort(terms, (size_t)n, sizeof *terms, compare_terms);
  int kept = 0;
  for (int i = 0; i < n; i++) {
    if (kept && terms[kept - 1].atom == terms[i].atom) {
      terms[kept - 1].coefficient = add(terms[kept - 1].coefficient, terms[i].coefficient);
    } else {
      if (kept && !terms[kept - 1].coefficient) kept--;
      terms[kept++] = terms[i];
    }
  }
  if (kept && !terms[kept - 1].coefficient) kept--;
  uint64_t h = hash_mix(5, (uint64_t)c0);
  for (int i = 0; i < kept; i++)
    h = hash_mix(hash_mix(h, (uint64_t)terms[i].coefficient), (uint64_t)terms[i].atom->id);
  Form key = {.hash = h, .c0 = c0, .n = kept, .terms = terms};
  Form *f = intern_find(&t->forms, h, same_form, &key);
  if (f) return f;
  f = NEW(ir->arena, Form);
  *f = key;
  f->id = t->next_form++;
  intern_add(&t->forms, ir->arena, h, f);
  return f;
}

static Form *form_of_atom(Ir *ir, int64_t coefficient, Atom *a) {
  FormTerm *t = NEW(ir->arena, FormTerm);
  *t = (FormTerm){coefficient, a};
  return make(ir, 0, t, coefficient != 0);
}

/* Whether multiplying f by a divisor of its quotients keeps far from overflow. */
static bool small(const Form *f) {
  int64_t limit = (int64_t)1 << 40, size = f->c0 < 0 ? -(f->c0 + 1) : f->c0;
  for (int i = 0; i < f->n; i++) {
    int64_t c = f->terms[i].coefficient, d = f->terms[i].atom->kind == ATOM_DIV ? f->terms[i].atom->divisor : 1;
    if (c > limit || c < -limit || d > limit) return false;
  }
  return size < limit;
}

/* ---- builders ---- */

Form *form_const(Ir *ir, int64_t c) { return make(ir, c, NULL, 0); }
Form *form_var(Ir *ir, Var *v) { return form_of_atom(ir, 1, atom_get(ir, (Atom){.kind = ATOM_VAR, .var = v})); }

Form **form_vars(Ir *ir, int n, Var **vars) {
  Form **f = NEW_ARRAY(ir->arena, Form *, n + 1);
  for (int i = 0; i < n; i++) f[i] = form_var(ir, vars[i]);
  return f;
}

Form *form_dim(Ir *ir, Dim *d) {
  if (dim_overflowed(d)) ice("form_dim of a dimension that left 64 bits");
  FormTerm *terms = NEW_ARRAY(ir->arena, FormTerm, d->n + 1);
  int n = 0;
  int64_t c0 = 0;
  for (int i = 0; i < d->n; i++) {
    if (d->terms[i].n == 0) {
      c0 = d->terms[i].coefficient;
      continue;
    }
    Dim *monomial = dim_monomial(ir, &d->terms[i]);
    terms[n++] = (FormTerm){d->terms[i].coefficient, atom_get(ir, (Atom){.kind = ATOM_DIM, .dim = monomial})};
  }
  return make(ir, c0, terms, n);
}

/* The linear parts of an integer expression become terms, so that y[i] + 1 is 1 + an atom. */
Form *form_data(Ir *ir, Expr *e) {
  if (!dtype_is_int(e->dtype)) ice("form_data of an expression of type %s", dtype_name(e->dtype));
  if (e->kind == EXPR_CONST) return form_const(ir, e->integer);
  if (e->kind == EXPR_INDEX) return e->form;
  if (e->dtype == DT_i32 || e->dtype == DT_i64) {
    if (expr_is_op(e, OP_add)) return form_add(ir, form_data(ir, e->arg[0]), form_data(ir, e->arg[1]));
    if (expr_is_op(e, OP_sub)) return form_sub(ir, form_data(ir, e->arg[0]), form_data(ir, e->arg[1]));
    if (expr_is_op(e, OP_neg)) return form_scale(ir, form_data(ir, e->arg[0]), -1);
    if (expr_is_op(e, OP_mul) && e->arg[0]->kind == EXPR_CONST)
      return form_scale(ir, form_data(ir, e->arg[1]), e->arg[0]->integer);
    if (expr_is_op(e, OP_cast) && dtype_is_int(e->arg[0]->dtype) &&
        dtype_bytes(e->arg[0]->dtype) < dtype_bytes(e->dtype))
      return form_data(ir, e->arg[0]);
  }
  return form_of_atom(ir, 1, atom_get(ir, (Atom){.kind = ATOM_DATA, .data = e}));
}

/* a + k * b */
static Form *add_scaled(Ir *ir, Form *a, int64_t k, Form *b) {
  FormTerm *terms = NEW_ARRAY(ir->arena, FormTerm, a->n + b->n + 1);
  if (a->n) memcpy(terms, a->terms, sizeof *terms * (size_t)a->n);
  for (int i = 0; i < b->n; i++) terms[a->n + i] = (FormTerm){mul(b->terms[i].coefficient, k), b->terms[i].atom};
  return make(ir, add(a->c0, mul(b->c0, k)), terms, k ? a->n + b->n : a->n);
}

Form *form_add(Ir *ir, Form *a, Form *b) { return add_scaled(ir, a, 1, b); }
Form *form_sub(Ir *ir, Form *a, Form *b) { return add_scaled(ir, a, -1, b); }
Form *form_scale(Ir *ir, Form *a, int64_t k) { return add_scaled(ir, form_const(ir, 0), k, a); }

Dim *form_as_dim(Ir *ir, const Form *f) {
  Dim *d = dim_const(ir, f->c0);
  for (int i = 0; i < f->n; i++) {
    if (f->terms[i].atom->kind != ATOM_DIM) return NULL;
    d = dim_add(ir, d, dim_mul(ir, dim_const(ir, f->terms[i].coefficient), f->terms[i].atom->dim));
  }
  return d;
}

/* The value of f // c, if its range shows that there is only one. */
static bool single_quotient(Ir *ir, Form *f, int64_t c, int64_t *q) {
  Range r = form_range(ir, f);
  if (!r.has_lower || !r.has_upper || floor_quotient(r.lower, c) != floor_quotient(r.upper, c)) return false;
  *q = floor_quotient(r.lower, c);
  return true;
}

/* y with its terms and constant divided by g, those that g does not divide put into *low. */
static Form *split_by(Ir *ir, const Form *y, int64_t g, Form **low) {
  FormTerm *high_terms = NEW_ARRAY(ir->arena, FormTerm, y->n + 1),
           *low_terms = NEW_ARRAY(ir->arena, FormTerm, y->n + 1);
  int nhigh = 0, nlow = 0;
  for (int i = 0; i < y->n; i++) {
    FormTerm t = y->terms[i];
    if (t.coefficient % g) low_terms[nlow++] = t;
    else high_terms[nhigh++] = (FormTerm){t.coefficient / g, t.atom};
  }
  int64_t q = floor_quotient(y->c0, g);
  *low = make(ir, y->c0 - q * g, low_terms, nlow);
  return make(ir, q, high_terms, nhigh);
}

/* (g*Z + low) // c = Z // (c / g), where g divides c and low stays in [0, g): the largest such g > 1. */
static Form *drop_low_part(Ir *ir, Form *y, int64_t c) {
  for (int i = 0; i < y->n; i++) {
    int64_t g = gcd(y->terms[i].coefficient, c), q;
    if (g < 2) continue;
    Form *low, *high = split_by(ir, y, g, &low);
    if (single_quotient(ir, low, g, &q)) return form_floordiv(ir, form_add(ir, high, form_const(ir, q)), c / g);
  }
  return NULL;
}

/* (k*v + b) // c as a plain term of v, where v is so short that the quotient's values lie on a line. */
static Form *short_quotient(Ir *ir, Form *y, int64_t c) {
  int64_t n, k = y->n == 1 ? y->terms[0].coefficient : 0;
  if (!k || y->terms[0].atom->kind != ATOM_VAR || !dim_is_const(y->terms[0].atom->var->extent, &n)) return NULL;
  if (n < 2 || n > MAX_LINE || !small(y)) return NULL;
  int64_t first = floor_quotient(y->c0, c), step = floor_quotient(y->c0 + k, c) - first;
  for (int64_t v = 2; v < n; v++)
    if (floor_quotient(y->c0 + k * v, c) != first + step * v) return NULL;
  return form_add(ir, form_const(ir, first), form_scale(ir, form_of_atom(ir, 1, y->terms[0].atom), step));
}

static Form *div_atom(Ir *ir, Form *y, int64_t c) {
  if (y->n == 1 && y->terms[0].coefficient == 1 && y->terms[0].atom->kind == ATOM_DIV) { /* (Z//a + k) // c */
    Atom *inner = y->terms[0].atom;
    int64_t product;
    if (!__builtin_mul_overflow(inner->divisor, c, &product))
      return form_floordiv(ir, form_add(ir, inner->form, form_const(ir, mul(y->c0, inner->divisor))), product);
  }
  Dim *d = form_as_dim(ir, y);
  if (d) return form_dim(ir, dim_floordiv(ir, d, dim_const(ir, c)));
  return form_of_atom(ir, 1, atom_get(ir, (Atom){.kind = ATOM_DIV, .form = y, .divisor = c}));
}

Form *form_floordiv(Ir *ir, Form *a, int64_t c) {
  if (c < 1) ice("form_floordiv by %lld", (long long)c);
  if (c == 1) return a;
  Form *y, *whole = split_by(ir, a, c, &y);
  int64_t q;
  if (single_quotient(ir, y, c, &q)) return form_add(ir, whole, form_const(ir, q));
  Form *less = drop_low_part(ir, y, c);
  if (!less) less = short_quotient(ir, y, c);
  return form_add(ir, whole, less ? less : div_atom(ir, y, c));
}

Form *form_mod(Ir *ir, Form *a, int64_t c) { return form_sub(ir, a, form_scale(ir, form_floordiv(ir, a, c), c)); }

/* ---- questions ---- */

bool form_is_const(const Form *f, int64_t *value) {
  if (f->n) return false;
  if (value) *value = f->c0;
  return true;
}

Var *form_as_var(const Form *f) {
  bool one = f->n == 1 && f->c0 == 0 && f->terms[0].coefficient == 1 && f->terms[0].atom->kind == ATOM_VAR;
  return one ? f->terms[0].atom->var : NULL;
}

int64_t form_coefficient(const Form *f, const Var *v) {
  for (int i = 0; i < f->n; i++)
    if (f->terms[i].atom->kind == ATOM_VAR && f->terms[i].atom->var == v) return f->terms[i].coefficient;
  return 0;
}

static bool atom_uses(const Atom *a, const Var *v) {
  return a->kind == ATOM_VAR   ? a->var == v
         : a->kind == ATOM_DIV ? form_uses(a->form, v)
                               : a->kind == ATOM_DATA && expr_uses(a->data, v);
}

bool form_uses(const Form *f, const Var *v) {
  for (int i = 0; i < f->n; i++)
    if (atom_uses(f->terms[i].atom, v)) return true;
  return false;
}

bool form_has_data(const Form *f) {
  for (int i = 0; i < f->n; i++) {
    Atom *a = f->terms[i].atom;
    if (a->kind == ATOM_DATA || (a->kind == ATOM_DIV && form_has_data(a->form))) return true;
  }
  return false;
}

/* ---- N4: ranges ---- */

static Range range_scale(Range r, int64_t k) {
  if (k < 0) r = (Range){r.has_upper, r.has_lower, r.upper, r.lower};
  if (__builtin_mul_overflow(r.lower, k, &r.lower)) r.has_lower = false;
  if (__builtin_mul_overflow(r.upper, k, &r.upper)) r.has_upper = false;
  return r;
}

static Range range_add(Range a, Range b) {
  Range r = {a.has_lower && b.has_lower, a.has_upper && b.has_upper, 0, 0};
  if (__builtin_add_overflow(a.lower, b.lower, &r.lower)) r.has_lower = false;
  if (__builtin_add_overflow(a.upper, b.upper, &r.upper)) r.has_upper = false;
  return r;
}

static Range range_meet(Range a, Range b) {
  if (b.has_lower && (!a.has_lower || b.lower > a.lower)) a = (Range){true, a.has_upper, b.lower, a.upper};
  if (b.has_upper && (!a.has_upper || b.upper < a.upper)) a = (Range){a.has_lower, true, a.lower, b.upper};
  return a;
}

static Range atom_range(Ir *ir, Atom *a) {
  switch (a->kind) {
  case ATOM_VAR: {
    Range r = {.has_lower = true};
    r.has_upper = dim_is_const(a->var->extent, &r.upper);
    if (r.has_upper) r.upper--; /* below 0 where the index has no value */
    return r;
  }
  case ATOM_DIV: {
    Range r = form_range(ir, a->form);
    return (Range){r.has_lower, r.has_upper, floor_quotient(r.lower, a->divisor),
                   floor_quotient(r.upper, a->divisor)};
  }
  case ATOM_DATA: return expr_range(ir, a->data);
  default: return (Range){dim_at_least(ir, a->dim, 0), false, dim_at_least(ir, a->dim, 1), 0};
  }
}

/* c * f without the quotient in term i, whose value then is between: divisor * f = result + [low, high]. */
static Form *eliminate(Ir *ir, Form *f, int i, Range *error) {
  FormTerm t = f->terms[i];
  Form *rest = add_scaled(ir, f, -t.coefficient, form_of_atom(ir, 1, t.atom));
  *error = range_scale((Range){true, true, 0, t.atom->divisor - 1}, -t.coefficient);
  return add_scaled(ir, form_scale(ir, rest, t.atom->divisor), t.coefficient, t.atom->form);
}

static Range range_of(Ir *ir, Form *f, int depth) {
  Range r = {true, true, f->c0, f->c0};
  for (int i = 0; i < f->n; i++)
    r = range_add(r, range_scale(atom_range(ir, f->terms[i].atom), f->terms[i].coefficient));
  if (depth >= 3 || f->n < 2 || !small(f)) return r;
  for (int i = 0; i < f->n; i++) {
    if (f->terms[i].atom->kind != ATOM_DIV) continue;
    int64_t c = f->terms[i].atom->divisor;
    Range error, s = range_of(ir, eliminate(ir, f, i, &error), depth + 1);
    s = range_add(s, error);
    r = range_meet(r, (Range){s.has_lower, s.has_upper, -floor_quotient(-s.lower, c), floor_quotient(s.upper, c)});
  }
  return r;
}

/* ---- indices that occur in several terms: their values one by one ---- */

enum { TRIED_VARS = 16, TRIED_VALUES = 4096 };

typedef struct Trial {
  const Form *f;
  uint32_t *used; /* of each term: its indices, as bits. 0: none, or something else is in it */
  int n;
  const Var *vars[TRIED_VARS];
  int64_t extent[TRIED_VARS], value[TRIED_VARS];
} Trial;

/* False: not all of f is made of indices with known ranges. */
static bool find_vars(Trial *t, const Form *f, uint32_t *used) {
  for (int i = 0; i < f->n; i++) {
    const Atom *a = f->terms[i].atom;
    int k = 0;
    if (a->kind == ATOM_DIV && find_vars(t, a->form, used)) continue;
    if (a->kind != ATOM_VAR) return false;
    while (k < t->n && t->vars[k] != a->var) k++;
    if (k == TRIED_VARS || !dim_is_const(a->var->extent, &t->extent[k]) || t->extent[k] < 1) return false;
    t->vars[k] = a->var;
    if (k == t->n) t->n++;
    *used |= 1u << k;
  }
  return true;
}

static int64_t atom_at(const Trial *t, const Atom *a) {
  if (a->kind == ATOM_VAR) {
    int k = 0;
    while (t->vars[k] != a->var) k++;
    return t->value[k];
  }
  int64_t sum = a->form->c0;
  for (int i = 0; i < a->form->n; i++) sum += a->form->terms[i].coefficient * atom_at(t, a->form->terms[i].atom);
  return floor_quotient(sum, a->divisor);
}

/* The next values of the group's indices; false after the last. */
static bool next_values(Trial *t, uint32_t group) {
  for (int k = 0; k < t->n; k++) {
    if (!(group & 1u << k)) continue;
    if (++t->value[k] < t->extent[k]) return true;
    t->value[k] = 0;
  }
  return false;
}

/* The sum of the terms that have an index of the group in them, all of which are the group's. */
static Range group_range(Ir *ir, Trial *t, uint32_t group) {
  Range r = {true, true, INT64_MAX, INT64_MIN}, apart = {true, true, 0, 0};
  int64_t values = 1;
  int terms = 0;
  for (int k = 0; k < t->n && values <= TRIED_VALUES; k++)
    if (group & 1u << k) values *= t->extent[k] < TRIED_VALUES ? t->extent[k] : TRIED_VALUES + 1;
  for (int i = 0; i < t->f->n; i++)
    if (t->used[i] & group) {
      apart = range_add(apart, range_scale(atom_range(ir, t->f->terms[i].atom), t->f->terms[i].coefficient));
      terms++;
    }
  if (terms < 2 || values > TRIED_VALUES) return apart;
  do {
    int64_t sum = 0;
    for (int i = 0; i < t->f->n; i++)
      if (t->used[i] & group) sum += t->f->terms[i].coefficient * atom_at(t, t->f->terms[i].atom);
    if (sum < r.lower) r.lower = sum;
    if (sum > r.upper) r.upper = sum;
  } while (next_values(t, group));
  return r;
}

/* Exact for each group of terms that share indices: `i % 8 // 4 * 2` is i // 4 and i // 8, and neither alone says
 * that it stays below 4. */
static Range range_tried(Ir *ir, const Form *f) {
  uint32_t used[TRIED_VARS] = {0};
  Trial t = {.f = f, .used = used};
  Range r = {true, true, f->c0, f->c0};
  for (int i = 0; i < f->n; i++) {
    Form one = {.n = 1, .terms = &f->terms[i]};
    if (find_vars(&t, &one, &used[i])) continue;
    used[i] = 0;
    r = range_add(r, range_scale(atom_range(ir, f->terms[i].atom), f->terms[i].coefficient));
  }
  for (uint32_t left = (1u << t.n) - 1, group; left; left &= ~group) {
    group = left & -left;
    for (uint32_t before = 0; before != group;) {
      before = group;
      for (int i = 0; i < f->n; i++)
        if (used[i] & group) group |= used[i];
    }
    r = range_add(r, group_range(ir, &t, group));
  }
  return r;
}

static bool has_quotient(const Form *f) {
  bool any = false;
  for (int i = 0; i < f->n; i++) any = any || f->terms[i].atom->kind == ATOM_DIV;
  return any;
}

Range form_range(Ir *ir, Form *f) {
  struct FormTable *t = table(ir);
  if (f->id < t->ranged.n && t->ranged.at[f->id]) return t->ranges.at[f->id];
  Range r = range_of(ir, f, 0);
  if (f->n > 1 && f->n <= TRIED_VARS && has_quotient(f) && small(f)) r = range_meet(r, range_tried(ir, f));
  while (t->ranged.n <= f->id) {
    vec_push(ir->arena, &t->ranged, false);
    vec_push(ir->arena, &t->ranges, (Range){0});
  }
  t->ranged.at[f->id] = true;
  t->ranges.at[f->id] = r;
  return r;
}

/* ---- proofs with open extents ---- */

/* Open dimensions that are some index's whole extent: where the form is evaluated at all they are at least 1. */
typedef struct Positive {
  Ir *ir;
  int n;
  DimAtom *symbols[16];
} Positive;

static void collect_positive(Positive *p, const Form *f) {
  for (int i = 0; i < f->n; i++) {
    Atom *a = f->terms[i].atom;
    if (a->kind == ATOM_DIV) collect_positive(p, a->form);
    DimAtom *s = a->kind == ATOM_VAR ? dim_as_symbol(a->var->extent) : NULL;
    if (s && s->lower < 1 && p->n < 16) p->symbols[p->n++] = s;
  }
}

static Dim *shift_positive(void *cx, DimAtom *s) {
  Positive *p = cx;
  for (int i = 0; i < p->n; i++)
    if (p->symbols[i] == s) return dim_add(p->ir, dim_atom(p->ir, s), dim_const(p->ir, 1 - s->lower));
  return NULL;
}

/* A Dim that the form is never below; false if an atom has no bound on that side. */
static bool lower_bound(Ir *ir, const Form *f, Dim **bound) {
  Dim *d = dim_const(ir, f->c0);
  for (int i = 0; i < f->n; i++) {
    int64_t k = f->terms[i].coefficient;
    Atom *a = f->terms[i].atom;
    Dim *least = dim_const(ir, 0);
    if (a->kind == ATOM_DIM) {
      least = a->dim;
    } else if (a->kind == ATOM_VAR) {
      if (k < 0) least = dim_sub(ir, a->var->extent, dim_const(ir, 1));
    } else {
      Range r = atom_range(ir, a);
      if (!(k > 0 ? r.has_lower : r.has_upper)) return false;
      least = dim_const(ir, k > 0 ? r.lower : r.upper);
    }
    d = dim_add(ir, d, dim_mul(ir, dim_const(ir, k), least));
  }
  *bound = d;
  return !dim_overflowed(d);
}

static bool proves_ge(Ir *ir, Form *f, int64_t value, Positive *p, int depth) {
  Dim *bound;
  if (lower_bound(ir, f, &bound) && dim_at_least(ir, dim_substitute(ir, bound, shift_positive, p), value))
    return true;
  if (depth >= 3 || !small(f)) return false;
  for (int i = 0; i < f->n; i++) {
    if (f->terms[i].atom->kind != ATOM_DIV) continue;
    Range error;
    Form *g = eliminate(ir, f, i, &error);
    int64_t scaled; /* f is whole: it is at least value if it is more than value - 1 */
    if (__builtin_mul_overflow(value - 1, f->terms[i].atom->divisor, &scaled)) continue;
    if (proves_ge(ir, form_add(ir, g, form_const(ir, error.lower)), scaled + 1, p, depth + 1)) return true;
  }
  return false;
}

static bool has_open(const Form *f) {
  for (int i = 0; i < f->n; i++) {
    Atom *a = f->terms[i].atom;
    if (a->kind == ATOM_DIM || (a->kind == ATOM_DIV && has_open(a->form))) return true;
    if (a->kind == ATOM_VAR && !dim_is_const(a->var->extent, NULL)) return true;
  }
  return false;
}

bool form_is_nowhere(const Form *f) {
  int64_t extent;
  for (int i = 0; i < f->n; i++) {
    const Atom *a = f->terms[i].atom;
    if (a->kind == ATOM_VAR && dim_is_const(a->var->extent, &extent) && extent == 0) return true;
    if (a->kind == ATOM_DIV && form_is_nowhere(a->form)) return true;
  }
  return false;
}

bool form_proves_ge(Ir *ir, Form *f, int64_t value) {
  if (form_is_nowhere(f)) return true;
  Range r = form_range(ir, f);
  if (r.has_lower && r.lower >= value) return true;
  if (!has_open(f)) return false;
  Positive p = {.ir = ir};
  collect_positive(&p, f);
  return proves_ge(ir, f, value, &p, 0);
}

bool form_proves_inside(Ir *ir, Form *f, Dim *extent) {
  Var *v = form_as_var(f);
  if (v && v->extent == extent) return true;
  return form_proves_ge(ir, f, 0) && form_proves_ge(ir, form_sub(ir, form_dim(ir, extent), f), 1);
}
