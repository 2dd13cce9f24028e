/* derive.h - questions about derivatives that others than pass_derive ask. */
#ifndef NNC_IR_DERIVE_H
#define NNC_IR_DERIVE_H

#include "ir/pass.h"

/* Whether a change of x can change `scalar` in a way that a derivative sees. Comparisons, floor, casts to integers,
 * argmax, data indices and `stop` cut. x itself counts. Nodes must stand in topological order, as builders leave
 * them; a NODE_grad depends on whatever its scalar depends on. */
bool derive_depends(Graph *g, Node *scalar, Node *x);

bool pass_simplify(Graph *g, PassContext *cx);

/* Replaces every NODE_grad by the graph of its derivative, the innermost first; gradients of one scalar share one
 * sweep. The derivative by what the scalar does not depend on is 0. */
bool pass_derive(Graph *g, PassContext *cx);

#endif
