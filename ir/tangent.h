/* tangent.h - forward mode over a graph. */
#ifndef NNC_IR_TANGENT_H
#define NNC_IR_TANGENT_H

#include "ir/graph.h"

/* How y changes as x changes along `direction`. What leads from x to y holds no node that asks. */
Node *tangent_along(Graph *g, Node *y, Node *x, Node *direction);

#endif
