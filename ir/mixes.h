/* mixes.h - whether a batch may be taken in pieces. */
#ifndef NNC_IR_MIXES_H
#define NNC_IR_MIXES_H

#include "ir/graph.h"

/* NULL where `loss` is a mean over the examples of g's batch of what each one gives by itself (or sums, with numbers,
 * of such means): then the mean of the pieces' losses, by their sizes, is the loss. So it is where a tensor has a
 * value for each example, of that example alone, and the pieces' one after the other are the batch's. Else the first
 * node that is not so, and *why in a few words. g is as the frontend made it, before the passes. */
Node *batch_mixed_at(Graph *g, Node *loss, const char **why);

#endif
