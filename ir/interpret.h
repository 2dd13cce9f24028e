/* interpret.h - the reference interpreter: evaluates any graph before scheduling, slowly and plainly. The oracle for
 * every pass and backend. */
#ifndef NNC_IR_INTERPRET_H
#define NNC_IR_INTERPRET_H

#include "ir/graph.h"

/* A dense row-major tensor. */
typedef struct Tensor {
  DType dtype;
  int rank;
  int64_t extent[9];
  void *data;
} Tensor;

int64_t tensor_count(const Tensor *t);

typedef struct Binding { /* the value of an input, param or state by name */
  Str name;
  Tensor tensor;
} Binding;

typedef struct DimBinding {
  DimAtom *symbol;
  int64_t value;
} DimBinding;

typedef struct Interpretation {
  Arena *arena;         /* for results */
  bool f64;             /* evaluate every float in f64, whatever its dtype */
  Vec(Binding) given;   /* inputs, params, states */
  Vec(DimBinding) dims; /* symbols not listed are taken from the shapes of given inputs */
  double jitter;        /* changes every float read or computed by up to this share: what its rounding is worth */
  uint64_t seed;        /* of jitter's draws */
  Tensor *values;       /* out: one per node id; stores: the value stored */
} Interpretation;

/* Returns NULL, or a sentence about what is missing or does not fit. A read outside its tensor is ice(): the
 * verifier's and the frontend's duty. Reductions are sums in order in double (f64) or, for f32 graphs, in double
 * rounded once at the end. */
const char *interpret(Graph *g, Interpretation *in);

#endif
