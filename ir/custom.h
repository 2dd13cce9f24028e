/* custom.h - values whose derivative was given. */
#ifndef NNC_IR_CUSTOM_H
#define NNC_IR_CUSTOM_H

#include "ir/graph.h"

/* What custom node n adds to the adjoint of its variable i, n's own adjoint being `adjoint`: the graph of the given
 * derivative once more, over that. */
Node *custom_adjoint(Graph *g, const Node *n, int i, Node *adjoint);

/* How n changes where its variables change by `tangent` (NULL: not at all); NULL if it does not. It holds a
 * NODE_grad: the given derivative is linear in the adjoint, and what it is multiplied by there is found by deriving
 * by it. */
Node *custom_tangent(Graph *g, const Node *n, Node *const *tangent);

static inline int custom_count(const Node *n) { return (n->nin - 2) / 2; }
static inline Node *custom_variable(const Node *n, int i) { return n->in[2 + 2 * i]; }

/* After the last derivative: every custom node becomes its value. Gives the adjoint of one whose derivative was
 * wanted in forward mode and is not linear in it, if there is one; NULL else. */
const Node *custom_settle(Graph *g);

#endif
