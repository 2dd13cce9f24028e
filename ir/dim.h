/* dim.h - dimensions: polynomials over symbols and quotients, in one normal form.
 * Dims are hash-consed in an Ir context: two dims are equal exactly when their pointers are. A symbol is an open
 * dimension of a graph (the batch `B`), or, while generic code is checked, a dimension that its caller chooses. No
 * solver: what the normal form does not show equal is not known equal. */
#ifndef NNC_IR_DIM_H
#define NNC_IR_DIM_H

#include "lang/str.h"

typedef struct Ir Ir; /* owns dims, vars, forms and expressions; see expr.h */
typedef struct Dim Dim;

/* An atom of a polynomial: a symbol, or floor(a / b), where that could not be resolved. a % b is a - b * (a // b). */
typedef struct DimAtom {
  int id;
  Str name;      /* a symbol's name; NULL for a quotient */
  int64_t lower; /* a symbol's least value (0 for the batch, 1 for most) */
  int64_t upper; /* and its largest; INT64_MAX: none is known */
  Dim *a, *b;    /* a quotient's parts */
  Dim *left;     /* what a quotient leaves: b * (a // b) is a - left, and written so; NULL: that is not known */
  bool undone;   /* b * (a // b) was written, which then stays what it was */
  Str of;        /* a symbol that stands for (of - rest) / scale, of the dimension that was named; NULL: for itself */
  int64_t scale, rest;
} DimAtom;

typedef struct DimTerm {
  int64_t coefficient; /* not 0 */
  int n;               /* factors: atoms in a fixed order, repeated for powers; 0 for the constant term */
  DimAtom **atoms;
} DimTerm;

struct Dim {
  int id;
  uint64_t hash;
  int n; /* terms, in a fixed order, the constant last; 0 terms: the number 0 */
  DimTerm *terms;
};

Dim *dim_const(Ir *ir, int64_t value);
Dim *dim_symbol(Ir *ir, Str name, int64_t lower); /* a new symbol each time, even for the same name */
/* A dimension `name` of which name % scale == rest is known, 0 <= rest < scale, in terms of a symbol of its own. */
Dim *dim_multiple(Ir *ir, Str name, int64_t scale, int64_t rest);
/* d is scale * symbol + rest with one symbol and a positive scale. */
bool dim_is_line(const Dim *d, int64_t *scale, DimAtom **symbol, int64_t *rest);
void dim_bound(Ir *ir, DimAtom *symbol, int64_t lower, int64_t upper); /* what is known of it from now on */
Dim *dim_add(Ir *ir, Dim *a, Dim *b);
Dim *dim_sub(Ir *ir, Dim *a, Dim *b);
Dim *dim_mul(Ir *ir, Dim *a, Dim *b);
Dim *dim_floordiv(Ir *ir, Dim *a, Dim *b); /* b not the number 0 (the caller's check) */
Dim *dim_mod(Ir *ir, Dim *a, Dim *b);
Dim *dim_ceil_div(Ir *ir, Dim *a, int64_t b);  /* b > 0 */
Dim *dim_round_up(Ir *ir, Dim *a, int64_t to); /* to the next multiple of it */
/* a / b where b divides every term of a; else NULL (the caller records a requirement and takes the floor). */
Dim *dim_exact_div(Ir *ir, Dim *a, Dim *b);

/* Says that a % b is `left`, 0 <= left < b: from now on b * (a // b) is a - left in what is computed. Nothing, where
 * that was computed before: equal dimensions stay equal. */
void dim_leaves(Ir *ir, Dim *a, Dim *b, Dim *left);
/* a / b of generic code, where b has to divide a: that it does is said. */
Dim *dim_divided(Ir *ir, Dim *a, Dim *b);

bool dim_is_const(const Dim *d, int64_t *value); /* value may be NULL */
int64_t dim_value(const Dim *d);                 /* of a number; ice() otherwise */
DimAtom *dim_as_symbol(const Dim *d);            /* the symbol, if d is just one; else NULL */
Dim *dim_atom(Ir *ir, DimAtom *a);
Dim *dim_monomial(Ir *ir, const DimTerm *t); /* the term's atoms, without its coefficient */
bool dim_overflowed(const Dim *d); /* a coefficient left int64: the arithmetic above then gives this poisoned dim */

/* Says of symbols that d >= 0: from now on proofs may use it. */
void dim_assume(Ir *ir, Dim *d);
/* Proofs from the symbols' bounds and what is assumed: true means proved, false means not known. */
bool dim_at_least(Ir *ir, Dim *d, int64_t value);

/* Replace symbols: `map` gives the value of an atom that is a symbol, or NULL to keep it. */
typedef Dim *(*DimMap)(void *cx, DimAtom *symbol);
Dim *dim_substitute(Ir *ir, Dim *d, DimMap map, void *cx);

/* The number that d is when each symbol has the value that `value` gives. */
typedef int64_t (*DimValue)(void *cx, DimAtom *symbol);
int64_t dim_evaluate(const Dim *d, DimValue value, void *cx);

/* `name` gives a symbol's printed name. */
typedef const char *(*DimName)(void *cx, const DimAtom *symbol);
void dim_print_with(Buf *out, const Dim *d, DimName name, void *cx);
int64_t gcd(int64_t a, int64_t b); /* the greatest common divisor, not negative; of 0 and 0 it is 0 */

void dims_print(Buf *out, int n, Dim *const *dims); /* `[2*H + 1, 3]` */
void dim_print(Buf *out, const Dim *d);             /* as the language writes it: `2*H + 1`, `(H - K) // 2 + 1` */
const char *dim_text(Arena *a, const Dim *d);

#endif
