/* reduce_indices.h - the indices of a sum in normal form. */
#ifndef NNC_IR_REDUCE_INDICES_H
#define NNC_IR_REDUCE_INDICES_H

#include "ir/solve.h"

/* sum(vars: body), of any slots. */
typedef struct Sum {
  Expr *body;
  VarList vars;
} Sum;

/* Rewrites to an equal sum with the fewest index values to visit, by the rules of reduce_indices.c: after it no
 * index has extent 1, is absent from the body, is fixed by an equation in the guard or bounded by a guard that holds
 * no other index. Returns whether anything changed. A sum whose guard can't hold becomes the constant 0. */
bool sum_normalise(Ir *ir, Sum *s);

/* body is select(guard, value, 0): its parts; guard is NULL for other bodies. */
typedef struct Guarded {
  Expr *guard, *value;
} Guarded;
Guarded expr_guarded(Ir *ir, Expr *body);
Expr *expr_guard(Ir *ir, Expr *guard, Expr *value); /* the other way; guard may be NULL */

/* Calls f for every form in e: of reads, guards, index values and draws, and those below their quotients and data. */
void expr_forms(Expr *e, void (*f)(void *cx, Form *form), void *cx);

#endif
