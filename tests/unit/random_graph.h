/* random_graph.h - a generator of random well-formed graphs with inputs, from a seed: maps, broadcasts, transposes,
 * reductions, contractions, windows, slices, strides, reshapes, concatenations, softmax-like groups, loops with
 * states, gathers and scatters with indices that are inside, attention, shapes with 1, primes and the edges of tiles,
 * an open batch, derivatives. For comparing the interpreter with the backends, passes with their input, and
 * derivatives with differences. */
#ifndef NNC_TESTS_UNIT_RANDOM_GRAPH_H
#define NNC_TESTS_UNIT_RANDOM_GRAPH_H

#include "ir/interpret.h"

typedef struct RandomGraph {
  Arena *arena;
  Ir *ir;
  Graph *g;
  Interpretation in; /* every input, param and state is given; fields `f64` and `values` are the caller's */
  int64_t batch;     /* the value of B here */
  Node *loss;        /* the output named "loss": a scalar that depends on most nodes */
} RandomGraph;

enum {
  RANDOM_SMOOTH = 1,   /* no comparison, rounding or extreme of values: differences tell the derivative */
  RANDOM_F64 = 2,      /* floats are f64 instead of f32 */
  RANDOM_GRADIENT = 4, /* outputs d0, d1, ...: the loss derived by sources, as nodes `grad` */
  RANDOM_SECOND = 8,   /* and h0, h1, ...: the sum of the squares of those, derived again */
};

/* The same seed and flags give the same graph and data. Values stay within a few units. */
RandomGraph random_graph(uint64_t seed, int flags);
void random_graph_free(RandomGraph *r);

#endif
