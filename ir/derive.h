/* derive.h - questions about derivatives that others than pass_derive ask. */
#ifndef NNC_IR_DERIVE_H
#define NNC_IR_DERIVE_H

#include "ir/graph.h"

/* Whether a change of x can change `scalar` in a way that a derivative sees. Comparisons, floor, casts to integers,
 * argmax, data indices and `stop` cut. x itself counts. Nodes must stand in topological order, as builders leave
 * them; a NODE_grad depends on whatever its scalar depends on. */
bool derive_depends(const Graph *g, Node *scalar, const Node *x);

/* By node id: whether derive_depends(g, scalar, node). */
bool *derive_sources(Arena *a, const Graph *g, Node *scalar);

/* By node id: whether `scalar` depends on one of `from` by way of it; these and itself count where it does. */
bool *derive_path(Arena *a, const Graph *g, int n, Node *const *from, Node *scalar);

/* Of loops whose bodies are being built: what is derived in a step is derived at once, since a node that asks and
 * sums over the steps could not stand in the loop. Carries that are not closed are constants to it, as to the step.
 */
typedef struct StepPart {
  Graph *g;
  Node *x;   /* what is derived by: the part of it that the step reads */
  Node *end; /* what is derived: a sum, over the steps first; of a jvp a tensor, whose first dimensions they are */
  int steps; /* loops that `end` depends on the steps of */
  const int *dim; /* of x that the step of each is an index of */
} StepPart;

/* A node by which `end` at one step depends on x at others, or which asks for a derivative; NULL: there is none. */
const Node *derive_strays(const StepPart *p);

/* The derivative by the part, whose extents are `shape`. */
Node *derive_part(const StepPart *p, Dim **shape);

#endif
