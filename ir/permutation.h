/* permutation.h - reads through the positions that a sort gives. */
#ifndef NNC_IR_PERMUTATION_H
#define NNC_IR_PERMUTATION_H

#include "ir/graph.h"

/* Turns the equations at[d] = wanted[d] of a read of a tensor of that rank and shape, where at[d] is an element of a
 * sort:  order[p.., f] = q  becomes  f = inverse[p.., q],  which solve.c can solve. Changes both arrays in place. */
void permutations_turn(Graph *g, int rank, Dim **shape, Form **at, Form **wanted);

#endif
