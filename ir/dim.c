/* dim.c - see dim.h. A Dim is a list of terms in graded lexicographic order of their atoms (a monomial order, so
 * exact division is the usual polynomial division). Quotients are atoms of their own; (b*X + Y) // b becomes
 * X + Y // b, and only what cannot be taken out stays below the division. */
#include "ir/expr.h"
#include "ir/table.h"
#include "lang/diag.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct DimTable {
  InternTable dims, quotients;
  Dim *poison;
  int next_dim, next_atom;
  Vec(Dim *) assumed; /* not negative */
};

static struct DimTable *table(Ir *ir) {
  if (!ir->dims) {
    ir->dims = NEW(ir->arena, struct DimTable);
    ir->dims->poison = NEW(ir->arena, Dim);
    ir->dims->poison->n = -1;
    ir->dims->poison->id = ir->dims->next_dim++;
  }
  return ir->dims;
}

static Dim *poison(Ir *ir) { return table(ir)->poison; }
bool dim_overflowed(const Dim *d) { return d->n < 0; }

static int compare_dims(const Dim *a, const Dim *b);

/* Symbols in the order that they were made in, then quotients by their parts: the order, and so the printed text,
 * does not depend on what else was computed before. */
static int compare_atom(const DimAtom *a, const DimAtom *b) {
  if (a == b) return 0;
  if (a->name && b->name) return a->id < b->id ? -1 : 1;
  if (a->name || b->name) return a->name ? -1 : 1;
  int c = compare_dims(a->a, b->a);
  return c ? c : compare_dims(a->b, b->b);
}

/* Higher degree first, then the lower atoms. */
static int compare_atoms(const DimTerm *a, const DimTerm *b) {
  if (a->n != b->n) return a->n > b->n ? -1 : 1;
  for (int i = 0; i < a->n; i++)
    if (a->atoms[i] != b->atoms[i]) return compare_atom(a->atoms[i], b->atoms[i]);
  return 0;
}

static int compare_dims(const Dim *a, const Dim *b) {
  for (int i = 0; i < a->n && i < b->n; i++) {
    int c = compare_atoms(&a->terms[i], &b->terms[i]);
    if (c) return c;
    if (a->terms[i].coefficient != b->terms[i].coefficient)
      return a->terms[i].coefficient < b->terms[i].coefficient ? -1 : 1;
  }
  return a->n - b->n;
}

static bool multiply_terms(Ir *ir, const DimTerm *a, const DimTerm *b, DimTerm *out);
static bool divide_term(Ir *ir, const DimTerm *a, const DimTerm *b, DimTerm *out);
static Dim *dim_of_term(Ir *ir, const DimTerm *t);

/* Whether b * (a // b), q being the quotient, is a factor of the term. */
static bool has_undone(const DimTerm *t, const DimAtom *q) {
  const DimTerm *b = &q->b->terms[0];
  if (q->b->n != 1 || t->coefficient % b->coefficient) return false;
  int found = 0;
  for (int i = 0; i < t->n && found < b->n; i++) found += t->atoms[i] == b->atoms[found];
  return found == b->n;
}

/* The quotient of such a factor of which it is known what it leaves; the rest of the term is *other. */
static const DimAtom *find_undone(Ir *ir, const DimTerm *t, DimTerm *other) {
  for (int i = 0; i < t->n; i++) {
    DimAtom *q = t->atoms[i];
    if (q->name || !has_undone(t, q)) continue;
    DimTerm both, one = {.coefficient = 1, .n = 1, .atoms = &q};
    q->undone = true;
    if (q->left && multiply_terms(ir, &one, &q->b->terms[0], &both) && divide_term(ir, t, &both, other)) return q;
  }
  return NULL;
}

static int compare_terms(const void *a, const void *b) { return compare_atoms(a, b); }

static bool same_dim(const void *key, const void *object) {
  const Dim *a = key, *b = object;
  if (a->n != b->n) return false;
  for (int i = 0; i < a->n; i++)
    if (a->terms[i].coefficient != b->terms[i].coefficient || compare_atoms(&a->terms[i], &b->terms[i])) return false;
  return true;
}

/* The Dim that is the sum of these terms, in any order; takes over the array. */
static Dim *make(Ir *ir, DimTerm *terms, int n) {
  struct DimTable *t = table(ir);
  if (n > 1) qsort(terms, (size_t)n, sizeof *terms, compare_terms);
  int kept = 0;
  for (int i = 0; i < n; i++) {
    if (kept && !compare_atoms(&terms[kept - 1], &terms[i])) {
      if (__builtin_add_overflow(terms[kept - 1].coefficient, terms[i].coefficient, &terms[kept - 1].coefficient))
        return t->poison;
    } else {
      if (kept && !terms[kept - 1].coefficient) kept--;
      terms[kept++] = terms[i];
    }
  }
  if (kept && !terms[kept - 1].coefficient) kept--;
  for (int i = 0; i < kept; i++) {
    DimTerm other;
    const DimAtom *q = find_undone(ir, &terms[i], &other);
    if (!q) continue;
    memmove(&terms[i], &terms[i + 1], sizeof *terms * (size_t)(kept - i - 1));
    return dim_add(ir, make(ir, terms, kept - 1), dim_mul(ir, dim_of_term(ir, &other), dim_sub(ir, q->a, q->left)));
  }
  uint64_t h = 1;
  for (int i = 0; i < kept; i++) {
    h = hash_mix(h, (uint64_t)terms[i].coefficient);
    for (int j = 0; j < terms[i].n; j++) h = hash_mix(h, (uint64_t)terms[i].atoms[j]->id);
  }
  Dim key = {.hash = h, .n = kept, .terms = terms};
  Dim *d = intern_find(&t->dims, h, same_dim, &key);
  if (d) return d;
  d = NEW(ir->arena, Dim);
  *d = key;
  d->id = t->next_dim++;
  intern_add(&t->dims, ir->arena, h, d);
  return d;
}

Dim *dim_const(Ir *ir, int64_t value) {
  DimTerm *t = NEW(ir->arena, DimTerm);
  t->coefficient = value;
  return make(ir, t, value != 0);
}

Dim *dim_atom(Ir *ir, DimAtom *a) {
  DimTerm *t = NEW(ir->arena, DimTerm);
  t->coefficient = 1;
  t->n = 1;
  t->atoms = NEW(ir->arena, DimAtom *);
  t->atoms[0] = a;
  return make(ir, t, 1);
}

Dim *dim_symbol(Ir *ir, Str name, int64_t lower) {
  DimAtom *a = NEW(ir->arena, DimAtom);
  a->id = table(ir)->next_atom++;
  a->name = name;
  a->lower = lower;
  a->upper = INT64_MAX;
  a->scale = 1;
  return dim_atom(ir, a);
}

Dim *dim_multiple(Ir *ir, Str name, int64_t scale, int64_t rest) {
  Dim *d = dim_symbol(ir, str_internf(ir->strings, "%s_by_%lld", name, (long long)scale), rest ? 0 : 1);
  DimAtom *a = dim_as_symbol(d);
  a->of = name;
  a->scale = scale;
  a->rest = rest;
  return dim_add(ir, dim_mul(ir, d, dim_const(ir, scale)), dim_const(ir, rest));
}

void dim_bound(Ir *ir, DimAtom *symbol, int64_t lower, int64_t upper) {
  (void)ir;
  symbol->lower = lower;
  symbol->upper = upper < symbol->upper ? upper : symbol->upper;
}

static bool same_quotient(const void *key, const void *object) {
  const DimAtom *a = key, *b = object;
  return a->a == b->a && a->b == b->b;
}

static Dim *quotient(Ir *ir, Dim *a, Dim *b) {
  struct DimTable *t = table(ir);
  uint64_t h = hash_mix(hash_mix(2, (uint64_t)a->id), (uint64_t)b->id);
  DimAtom key = {.a = a, .b = b};
  DimAtom *q = intern_find(&t->quotients, h, same_quotient, &key);
  if (!q) {
    q = NEW(ir->arena, DimAtom);
    *q = key;
    q->id = t->next_atom++;
    intern_add(&t->quotients, ir->arena, h, q);
  }
  return dim_atom(ir, q);
}

/* a + k * b */
static Dim *add_scaled(Ir *ir, Dim *a, int64_t k, Dim *b) {
  if (a->n < 0 || b->n < 0) return poison(ir);
  DimTerm *terms = NEW_ARRAY(ir->arena, DimTerm, a->n + b->n + 1);
  if (a->n) memcpy(terms, a->terms, sizeof *terms * (size_t)a->n);
  for (int i = 0; i < b->n; i++) {
    DimTerm *t = &terms[a->n + i];
    *t = b->terms[i];
    if (__builtin_mul_overflow(t->coefficient, k, &t->coefficient)) return poison(ir);
  }
  return make(ir, terms, a->n + b->n);
}

Dim *dim_add(Ir *ir, Dim *a, Dim *b) { return add_scaled(ir, a, 1, b); }
Dim *dim_sub(Ir *ir, Dim *a, Dim *b) { return add_scaled(ir, a, -1, b); }

static bool multiply_terms(Ir *ir, const DimTerm *a, const DimTerm *b, DimTerm *out) {
  if (__builtin_mul_overflow(a->coefficient, b->coefficient, &out->coefficient)) return false;
  out->n = a->n + b->n;
  out->atoms = NEW_ARRAY(ir->arena, DimAtom *, out->n + 1);
  for (int i = 0, j = 0; i + j < out->n;)
    if (j == b->n || (i < a->n && compare_atom(a->atoms[i], b->atoms[j]) <= 0)) out->atoms[i + j] = a->atoms[i], i++;
    else out->atoms[i + j] = b->atoms[j], j++;
  return true;
}

Dim *dim_mul(Ir *ir, Dim *a, Dim *b) {
  if (a->n < 0 || b->n < 0) return poison(ir);
  DimTerm *terms = NEW_ARRAY(ir->arena, DimTerm, a->n * b->n + 1);
  for (int i = 0; i < a->n; i++)
    for (int j = 0; j < b->n; j++)
      if (!multiply_terms(ir, &a->terms[i], &b->terms[j], &terms[i * b->n + j])) return poison(ir);
  return make(ir, terms, a->n * b->n);
}

/* out = a / b, if b's atoms are among a's and the coefficient is a multiple. */
static bool divide_term(Ir *ir, const DimTerm *a, const DimTerm *b, DimTerm *out) {
  if (a->coefficient % b->coefficient || a->n < b->n) return false;
  if (a->coefficient == INT64_MIN && b->coefficient == -1) return false;
  out->coefficient = a->coefficient / b->coefficient;
  out->n = 0;
  out->atoms = NEW_ARRAY(ir->arena, DimAtom *, a->n - b->n + 1);
  int j = 0;
  for (int i = 0; i < a->n; i++) {
    if (j < b->n && a->atoms[i] == b->atoms[j]) j++;
    else if (out->n < a->n - b->n) out->atoms[out->n++] = a->atoms[i];
    else return false;
  }
  return j == b->n;
}

static Dim *dim_of_term(Ir *ir, const DimTerm *t) {
  DimTerm *copy = NEW(ir->arena, DimTerm);
  *copy = *t;
  return make(ir, copy, t->coefficient != 0);
}

Dim *dim_monomial(Ir *ir, const DimTerm *t) {
  return dim_of_term(ir, &(DimTerm){.coefficient = 1, .n = t->n, .atoms = t->atoms});
}

Dim *dim_exact_div(Ir *ir, Dim *a, Dim *b) {
  if (a->n < 0 || b->n <= 0) return NULL;
  Dim *q = dim_const(ir, 0);
  while (a->n > 0) {
    DimTerm lead;
    if (!divide_term(ir, &a->terms[0], &b->terms[0], &lead)) return NULL;
    Dim *part = dim_of_term(ir, &lead);
    q = dim_add(ir, q, part);
    a = dim_sub(ir, a, dim_mul(ir, part, b));
    if (a->n < 0 || q->n < 0) return NULL;
  }
  return q;
}

int64_t gcd(int64_t a, int64_t b) {
  while (b) {
    int64_t r = a % b;
    a = b;
    b = r;
  }
  return a < 0 ? -a : a;
}

/* floor(a / c), c > 1 a number, by the rules N1. */
static Dim *floordiv_const(Ir *ir, Dim *a, int64_t c) {
  DimTerm *out = NEW_ARRAY(ir->arena, DimTerm, a->n + 1), *rest = NEW_ARRAY(ir->arena, DimTerm, a->n + 1);
  int nout = 0, nrest = 0;
  int64_t k = 0, g = c; /* the constant that stays below, and the gcd of what stays */
  for (int i = 0; i < a->n; i++) {
    DimTerm t = a->terms[i];
    int64_t q = floor_quotient(t.coefficient, c);
    if (t.n == 0) {
      k = t.coefficient - q * c;
      if (q) out[nout++] = (DimTerm){.coefficient = q};
    } else if (t.coefficient % c == 0) {
      t.coefficient = q;
      out[nout++] = t;
    } else {
      g = gcd(g, t.coefficient);
      rest[nrest++] = t;
    }
  }
  Dim *whole = make(ir, out, nout);
  if (!nrest) return whole;
  for (int i = 0; i < nrest; i++) rest[i].coefficient /= g;
  if (k / g) rest[nrest++] = (DimTerm){.coefficient = k / g};
  c /= g;
  Dim *y = make(ir, rest, nrest);
  if (c == 1) return dim_add(ir, whole, y);
  DimTerm *first = &y->terms[0];
  bool alone = y->n == 1 || (y->n == 2 && y->terms[1].n == 0);
  int64_t inner, product;
  if (alone && first->n == 1 && first->coefficient == 1 && !first->atoms[0]->name &&
      dim_is_const(first->atoms[0]->b, &inner) && inner > 0 && !__builtin_mul_overflow(inner, c, &product)) {
    Dim *z = dim_add(ir, first->atoms[0]->a, dim_const(ir, y->n == 2 ? y->terms[1].coefficient * inner : 0));
    return dim_add(ir, whole, dim_floordiv(ir, z, dim_const(ir, product)));
  }
  return dim_add(ir, whole, quotient(ir, y, dim_const(ir, c)));
}

/* floor(a / b) where b is not a number. */
static Dim *floordiv_symbolic(Ir *ir, Dim *a, Dim *b) {
  Dim *exact = dim_exact_div(ir, a, b);
  if (exact) return exact;
  Dim *whole = dim_const(ir, 0), *rest = a;
  if (b->n == 1) {
    for (int i = 0; i < a->n; i++) {
      DimTerm part;
      if (!divide_term(ir, &a->terms[i], &b->terms[0], &part)) continue;
      whole = dim_add(ir, whole, dim_of_term(ir, &part));
      rest = dim_sub(ir, rest, dim_of_term(ir, &a->terms[i]));
    }
  }
  bool below = dim_at_least(ir, rest, 0) && dim_at_least(ir, dim_sub(ir, b, rest), 1);
  return below ? whole : dim_add(ir, whole, quotient(ir, rest, b));
}

Dim *dim_floordiv(Ir *ir, Dim *a, Dim *b) {
  if (a->n < 0 || b->n < 0) return poison(ir);
  int64_t c, value;
  if (!dim_is_const(b, &c)) return a->n ? floordiv_symbolic(ir, a, b) : a;
  if (c == 0) ice("dim_floordiv: division by 0");
  if (c < 0) {
    Dim *zero = dim_const(ir, 0);
    return c == INT64_MIN ? poison(ir) : dim_floordiv(ir, dim_sub(ir, zero, a), dim_const(ir, -c));
  }
  if (c == 1) return a;
  if (dim_is_const(a, &value)) return dim_const(ir, floor_quotient(value, c));
  return floordiv_const(ir, a, c);
}

Dim *dim_ceil_div(Ir *ir, Dim *a, int64_t b) {
  return b == 1 ? a : dim_floordiv(ir, dim_add(ir, a, dim_const(ir, b - 1)), dim_const(ir, b));
}

Dim *dim_round_up(Ir *ir, Dim *a, int64_t to) { return dim_mul(ir, dim_ceil_div(ir, a, to), dim_const(ir, to)); }

Dim *dim_mod(Ir *ir, Dim *a, Dim *b) { return dim_sub(ir, a, dim_mul(ir, b, dim_floordiv(ir, a, b))); }

/* The quotient in d that is no part of a product, if there is one alone; NULL. */
static DimAtom *only_quotient(const Dim *d) {
  DimAtom *q = NULL;
  for (int i = 0; i < d->n; i++) {
    const DimTerm *t = &d->terms[i];
    if (t->n != 1 || t->coefficient != 1 || t->atoms[0]->name) continue;
    if (q) return NULL;
    q = t->atoms[0];
  }
  return q;
}

/* floor(a / b) is whole + y // c with y / c = (a - b * whole) / b, unless quotients of quotients became one: then it
 * is not known that this one leaves nothing. */
void dim_leaves(Ir *ir, Dim *a, Dim *b, Dim *left) {
  Dim *d = dim_floordiv(ir, a, b);
  DimAtom *q = only_quotient(d);
  if (!q || q->left || q->undone || q->b->n != 1) return;
  Dim *below = dim_sub(ir, a, dim_mul(ir, b, dim_sub(ir, d, dim_atom(ir, q))));
  if (dim_mul(ir, below, q->b) != dim_mul(ir, q->a, b)) return;
  q->left = dim_exact_div(ir, dim_mul(ir, left, q->b), b);
}

Dim *dim_divided(Ir *ir, Dim *a, Dim *b) {
  Dim *d = dim_floordiv(ir, a, b);
  if (d->n > 0) dim_leaves(ir, a, b, dim_const(ir, 0));
  return d;
}

bool dim_is_const(const Dim *d, int64_t *value) {
  if (d->n < 0 || d->n > 1 || (d->n == 1 && d->terms[0].n)) return false;
  if (value) *value = d->n ? d->terms[0].coefficient : 0;
  return true;
}

int64_t dim_value(const Dim *d) {
  int64_t v;
  if (!dim_is_const(d, &v)) ice("dim_value of an open dimension");
  return v;
}

DimAtom *dim_as_symbol(const Dim *d) {
  bool one = d->n == 1 && d->terms[0].coefficient == 1 && d->terms[0].n == 1;
  return one && d->terms[0].atoms[0]->name ? d->terms[0].atoms[0] : NULL;
}

bool dim_is_line(const Dim *d, int64_t *scale, DimAtom **symbol, int64_t *rest) {
  if (d->n < 1 || d->n > 2 || d->terms[0].n != 1 || !d->terms[0].atoms[0]->name || d->terms[0].coefficient < 1)
    return false;
  if (d->n == 2 && d->terms[1].n) return false;
  *scale = d->terms[0].coefficient;
  *symbol = d->terms[0].atoms[0];
  *rest = d->n == 2 ? d->terms[1].coefficient : 0;
  return true;
}

/* ---- proofs ---- */

/* Each symbol becomes lower + itself, itself now at least 0; a quotient stays, if it is at least 0. */
static Dim *shift_to_zero(Ir *ir, Dim *d) {
  Dim *sum = dim_const(ir, 0);
  for (int i = 0; i < d->n; i++) {
    Dim *product = dim_const(ir, d->terms[i].coefficient);
    for (int j = 0; j < d->terms[i].n; j++) {
      DimAtom *a = d->terms[i].atoms[j];
      if (!a->name && !(dim_at_least(ir, a->a, 0) && dim_at_least(ir, a->b, 1))) return poison(ir);
      Dim *factor = dim_atom(ir, a);
      product = dim_mul(ir, product, a->name ? dim_add(ir, factor, dim_const(ir, a->lower)) : factor);
    }
    sum = dim_add(ir, sum, product);
  }
  return sum;
}

/* Then no coefficient but the constant's may be negative. */
static bool shifted_at_least(Ir *ir, Dim *d, int64_t value) {
  Dim *shifted = shift_to_zero(ir, d);
  if (shifted->n < 0) return false;
  int64_t constant = 0;
  for (int i = 0; i < shifted->n; i++) {
    DimTerm *t = &shifted->terms[i];
    if (t->n == 0) constant = t->coefficient;
    else if (t->coefficient < 0) return false;
  }
  return constant >= value;
}

/* The term of d that is a number times floor(z / c), c a number. */
static const DimTerm *find_quotient(const Dim *d, int64_t *c) {
  for (int i = 0; i < d->n; i++) {
    const DimTerm *t = &d->terms[i];
    if (t->n == 1 && !t->atoms[0]->name && dim_is_const(t->atoms[0]->b, c) && *c > 1) return t;
  }
  return NULL;
}

/* Something below d: in terms that are taken away, symbols are the largest that they may be. All atoms of a term have
 * to be 0 or more. */
static Dim *with_largest(Ir *ir, Dim *d) {
  Dim *sum = dim_const(ir, 0);
  for (int i = 0; i < d->n; i++) {
    const DimTerm *t = &d->terms[i];
    Dim *product = dim_const(ir, t->coefficient);
    for (int j = 0; j < t->n; j++) {
      DimAtom *a = t->atoms[j];
      if (a->name ? a->lower < 0 : !(dim_at_least(ir, a->a, 0) && dim_at_least(ir, a->b, 1))) return d;
      bool largest = t->coefficient < 0 && a->name && a->upper < INT64_MAX;
      product = dim_mul(ir, product, largest ? dim_const(ir, a->upper) : dim_atom(ir, a));
    }
    sum = dim_add(ir, sum, product);
  }
  return sum;
}

static bool at_least(Ir *ir, Dim *d, int64_t value, int depth) {
  int64_t known;
  if (d->n < 0) return false;
  if (dim_is_const(d, &known)) return known >= value;
  if (shifted_at_least(ir, d, value)) return true;
  Dim *less = with_largest(ir, d);
  if (less != d && at_least(ir, less, value, depth)) return true;
  /* (z - c + 1) / c <= z // c <= z / c: multiply by c, with the bound that makes d smaller. */
  int64_t c;
  const DimTerm *t = depth < 4 ? find_quotient(d, &c) : NULL;
  if (!t) return false;
  Dim *rest = dim_sub(ir, d, dim_of_term(ir, t));
  Dim *z = t->atoms[0]->a;
  if (t->coefficient > 0) z = dim_sub(ir, z, dim_const(ir, c - 1));
  Dim *scaled = add_scaled(ir, add_scaled(ir, dim_const(ir, 0), c, rest), t->coefficient, z);
  int64_t bound;
  return !__builtin_mul_overflow(value, c, &bound) && at_least(ir, scaled, bound, depth + 1);
}

void dim_assume(Ir *ir, Dim *d) { vec_push(ir->arena, &table(ir)->assumed, d); }

static bool share_symbol(const Dim *a, const Dim *b) {
  for (int i = 0; i < a->n; i++)
    for (int k = 0; a->n > 0 && k < b->n; k++)
      if (a->terms[i].n && b->terms[k].n && a->terms[i].atoms[0] == b->terms[k].atoms[0]) return true;
  return false;
}

/* d >= (d - a) for what is assumed of a; of each but once, and of three in a chain. */
static bool assumed_at_least(Ir *ir, Dim *d, int64_t value, int first, int depth) {
  const struct DimTable *t = table(ir);
  for (int i = first; i < t->assumed.n && depth < 3; i++) {
    if (!share_symbol(t->assumed.at[i], d)) continue;
    Dim *less = dim_sub(ir, d, t->assumed.at[i]);
    if (at_least(ir, less, value, 0) || assumed_at_least(ir, less, value, i + 1, depth + 1)) return true;
  }
  return false;
}

bool dim_at_least(Ir *ir, Dim *d, int64_t value) {
  return at_least(ir, d, value, 0) || (d->n > 0 && assumed_at_least(ir, d, value, 0, 0));
}

/* ---- substitution and evaluation ---- */

static Dim *substitute_atom(Ir *ir, DimAtom *atom, DimMap map, void *cx) {
  if (atom->name) {
    Dim *d = map(cx, atom);
    return d ? d : dim_atom(ir, atom);
  }
  Dim *a = dim_substitute(ir, atom->a, map, cx), *b = dim_substitute(ir, atom->b, map, cx);
  return b->n == 0 ? poison(ir) : dim_floordiv(ir, a, b);
}

Dim *dim_substitute(Ir *ir, Dim *d, DimMap map, void *cx) {
  if (d->n < 0 || dim_is_const(d, NULL)) return d;
  Dim *sum = dim_const(ir, 0);
  for (int i = 0; i < d->n; i++) {
    Dim *product = dim_const(ir, d->terms[i].coefficient);
    for (int j = 0; j < d->terms[i].n; j++)
      product = dim_mul(ir, product, substitute_atom(ir, d->terms[i].atoms[j], map, cx));
    sum = dim_add(ir, sum, product);
  }
  return sum;
}

int64_t dim_evaluate(const Dim *d, DimValue value, void *cx) {
  if (d->n < 0) ice("dim_evaluate of a dimension that left 64 bits");
  int64_t sum = 0;
  for (int i = 0; i < d->n; i++) {
    int64_t product = d->terms[i].coefficient;
    for (int j = 0; j < d->terms[i].n; j++) {
      DimAtom *a = d->terms[i].atoms[j];
      product *=
          a->name ? value(cx, a) : floor_quotient(dim_evaluate(a->a, value, cx), dim_evaluate(a->b, value, cx));
    }
    sum += product;
  }
  return sum;
}

/* ---- printing ---- */

static bool prints_as_one(const Dim *d) { /* a number or a symbol, without an operator */
  return dim_as_symbol(d) || (dim_is_const(d, NULL) && dim_value(d) >= 0);
}

static void print_part(Buf *out, const Dim *d, DimName name, void *cx) {
  bool one = prints_as_one(d);
  if (!one) buf_puts(out, "(");
  dim_print_with(out, d, name, cx);
  if (!one) buf_puts(out, ")");
}

static void print_factor(Buf *out, const DimAtom *a, bool alone, DimName name, void *cx) {
  if (a->name) {
    buf_puts(out, name(cx, a));
    return;
  }
  if (!alone) buf_puts(out, "(");
  print_part(out, a->a, name, cx);
  buf_puts(out, " // ");
  print_part(out, a->b, name, cx);
  if (!alone) buf_puts(out, ")");
}

static void print_term(Buf *out, const DimTerm *t, bool first, DimName name, void *cx) {
  uint64_t size = t->coefficient < 0 ? 0 - (uint64_t)t->coefficient : (uint64_t)t->coefficient;
  if (first) buf_puts(out, t->coefficient < 0 ? "-" : "");
  else buf_puts(out, t->coefficient < 0 ? " - " : " + ");
  if (size != 1 || !t->n) buf_printf(out, "%llu%s", (unsigned long long)size, t->n ? "*" : "");
  bool alone = t->n == 1 && size == 1 && (!first || t->coefficient > 0);
  for (int i = 0; i < t->n; i++) {
    if (i) buf_puts(out, "*");
    print_factor(out, t->atoms[i], alone, name, cx);
  }
}

void dim_print_with(Buf *out, const Dim *d, DimName name, void *cx) {
  if (d->n < 0) buf_puts(out, "?");
  if (d->n == 0) buf_puts(out, "0");
  for (int i = 0; i < d->n; i++) print_term(out, &d->terms[i], i == 0, name, cx);
}

typedef struct OwnNames { /* as a program could write them */
  char text[128];
} OwnNames;

static const char *own_name(void *cx, const DimAtom *a) {
  OwnNames *o = cx;
  if (!a->of) return a->name;
  snprintf(o->text, sizeof o->text, "(%.90s // %lld)", a->of, (long long)a->scale);
  return o->text;
}

void dim_print(Buf *out, const Dim *d) {
  OwnNames names;
  dim_print_with(out, d, own_name, &names);
}

void dims_print(Buf *out, int n, Dim *const *dims) {
  buf_puts(out, "[");
  for (int i = 0; i < n; i++) {
    if (i) buf_puts(out, ", ");
    dim_print(out, dims[i]);
  }
  buf_puts(out, "]");
}

const char *dim_text(Arena *a, const Dim *d) {
  Buf b = {0};
  dim_print(&b, d);
  const char *s = arena_strndup(a, b.text, b.n);
  buf_free(&b);
  return s;
}
