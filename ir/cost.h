/* cost.h - the model by which fusion and the scheduler weigh work: operations, elements, and a number for each open
 * dimension. Numbers only compare alternatives; no result depends on them. */
#ifndef NNC_IR_COST_H
#define NNC_IR_COST_H

#include "ir/graph.h"

typedef Vec(Expr *) ExprList;

int64_t dim_nominal(const Dim *d);       /* d's value with every open dimension taken as 64 */
double node_result_count(const Node *n); /* nominal elements of the result */
double node_point_count(const Node *n);  /* nominal evaluations of the body: result times reduction */

double op_cost(ScalarOp op); /* of one element, in additions */
/* Of one evaluation of e, shared parts once; parts that hold no index and no read of a rank above 0 are free: they
 * are computed once. */
double expr_cost(Expr *e);

/* Every distinct read in n's body and index forms, inside data indices too. */
ExprList node_reads(Arena *a, const Node *n);
ExprList expr_reads(Arena *a, Expr *e);
const Expr *expr_largest_read(Arena *a, Expr *e); /* of a tensor that has dimensions; NULL: there is none */
/* How many elements of `read`, in n's body, lie one after the other, without gaps, as the indices of n's `slots` run;
 * 0: none does. Of a dimension that is walked through from end to end, the one outside it goes on. */
int64_t read_run(Graph *g, const Node *n, const Expr *read, const int *slots, int count);
int expr_size(Expr *e); /* distinct subexpressions */

#endif
