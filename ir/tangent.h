/* tangent.h - forward mode over a graph. */
#ifndef NNC_IR_TANGENT_H
#define NNC_IR_TANGENT_H

#include "ir/graph.h"

/* Writes what a NODE_jvp asks for and sets its forward. What it derives holds no node that asks. Gives a carry of a
 * loop through which it would have to go, which is not done yet; NULL if there is none. */
const Node *tangent_answer(Graph *g, Node *jvp);

#endif
