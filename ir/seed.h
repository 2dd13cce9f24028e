/* seed.h - what a reduction does to a change of its body, or of its result: linear in it, and the same in both modes.
 */
#ifndef NNC_IR_SEED_H
#define NNC_IR_SEED_H

#include "ir/graph.h"
#include "ir/solve.h"

/* d at (i, r) times how much the body of comp y there weighs in y's result at i, v being y's indices: all of it in a
 * sum, all or nothing in a max, the product of the others in a prod. In reverse, d is the result's adjoint, and this
 * is the body's; forward, d is the body's tangent, and the sum of this over r is the result's. */
Expr *reduction_seed(Graph *g, Arena *scratch, const Node *y, const VarList *v, Expr *d);

#endif
