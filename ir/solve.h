/* solve.h - which index values read a given element: the inverse of a read's index forms. */
#ifndef NNC_IR_SOLVE_H
#define NNC_IR_SOLVE_H

#include "ir/expr.h"

typedef Vec(Var *) VarList;

/* All v with A(v) = j and 0 <= v_k < extent_k, as a function of j and of new indices:
 *   { v : A(v) = j }  =  { value(j, w) : 0 <= w_k < extent(free_k), guard(j, w) }
 * Each v is met by exactly one w: a sum over v is the sum over w. `data` lists the dimensions A_d that hold a data
 * index which j does not determine; their equations are not in the solution and the caller must scatter. */
typedef struct Solution {
  Form **value;  /* of each unknown asked for */
  VarList free;  /* fresh indices, or unknowns that j leaves open */
  Expr *guard;   /* over j and free; NULL: always true. Conjuncts stand in an order in which each may rely on those
                  * before it: bounds first, then what reads data */
  Vec(int) data; /* dimensions left over */
  bool slow;     /* an equation was kept as a guard: right, but more is visited than is needed */
} Solution;

/* unknowns: v. at: A, `rank` forms over v (and anything else, which counts as known). target: j, forms without v. */
Solution *solve(Ir *ir, int nunknowns, Var **unknowns, int rank, Form **at, Form **target);

/* Bounds of f as dims, from the extents of its indices; false when f holds data. */
bool form_bounds(Ir *ir, const Form *f, Dim **lower, Dim **upper);
/* One term of a form as a form, without its coefficient. */
Form *form_atom(Ir *ir, const Atom *a);
/* The form with v replaced. */
Form *form_replace(Ir *ir, Form *f, Var *v, Form *by);
Expr *expr_replace(Ir *ir, Expr *e, Var *v, Form *by);

int64_t gcd64(int64_t a, int64_t b);
int64_t inverse_mod(int64_t a, int64_t m); /* gcd(a, m) = 1, m >= 1; in [0, m) */

#endif
