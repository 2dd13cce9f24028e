/* derive.h - questions about derivatives that others than pass_derive ask. */
#ifndef NNC_IR_DERIVE_H
#define NNC_IR_DERIVE_H

#include "ir/graph.h"

/* Whether a change of x can change `scalar` in a way that a derivative sees. Comparisons, floor, casts to integers,
 * argmax, data indices and `stop` cut. x itself counts. Nodes must stand in topological order, as builders leave
 * them; a NODE_grad depends on whatever its scalar depends on. */
bool derive_depends(Graph *g, Node *scalar, Node *x);

#endif
