/* each.h - derivatives of a scalar for each element of some indices, by tensors that all elements share. */
#ifndef NNC_IR_EACH_H
#define NNC_IR_EACH_H

#include "ir/graph.h"

typedef struct Shared { /* a tensor that is derived by */
  Node *node;
  const int *own; /* for each index the dimension of `node` that it reads, or -1 */
  Node *copy;     /* out: `node` with a dimension in front for each index of `added`, in their order */
  unsigned added; /* out: bit k for index k */
} Shared;

/* `total` is a sum of rank 0 over n indices, the elements' scalars. Gives an equal sum of which the element at
 * indices b uses the part of each copy that b is: of `added` in front, of the others in the dimension `own`. So its
 * derivative by that part is the derivative of that element alone. Nodes stand in topological order, before and
 * after. */
Node *derive_each(Graph *g, Node *total, int nshared, Shared *shared);

#endif
