/* tangent.h - forward mode over a graph. */
#ifndef NNC_IR_TANGENT_H
#define NNC_IR_TANGENT_H

#include "ir/graph.h"

/* Writes what a NODE_jvp asks for and sets its forward. What it derives holds no node that asks. */
void tangent_answer(Graph *g, Node *jvp);

#endif
