/* transpose.h - copies of tensors with their dimensions in another order. */
#ifndef NNC_IR_TRANSPOSE_H
#define NNC_IR_TRANSPOSE_H

#include "ir/graph.h"

/* A map of at most 8 dimensions, of which d is n's order[d]. It reads n; computed: it has the body of n, a map, and n
 * may be left without a reader. */
Node *transposed(Graph *g, Node *n, const int *order, bool computed, Span at);

/* What `read` reads, from such a copy. */
Expr *read_transposed(Ir *ir, const Expr *read, Node *copy, const int *order);

#endif
