/* adjoint.h - reverse and forward mode within one scalar expression. */
#ifndef NNC_IR_ADJOINT_H
#define NNC_IR_ADJOINT_H

#include "ir/graph.h"

/* The adjoint that a row of scalar.def passes to argument k of y when y's own is g; NULL where it is zero by
 * definition. `value` is what stands for y's value in it: y itself, or a read of where it is kept. */
Expr *scalar_derivative(Ir *ir, Expr *y, int k, Expr *g, Expr *value);
/* Whether argument k of y can pass an adjoint at all: the row has a derivative and both are floats. */
bool scalar_passes(const Expr *y, int k);

typedef struct ReadAdjoint {
  Expr *read;
  Expr *adjoint; /* of the read's dtype; select(guard, value, 0) where the read is evaluated under a guard only */
} ReadAdjoint;
typedef Vec(ReadAdjoint) ReadAdjoints;

/* Which nodes' reads are asked for. */
typedef struct Wanted {
  bool (*node)(void *cx, Node *n);
  void *cx;
} Wanted;

/* The adjoint of every distinct read of a wanted node in `body`, whose own adjoint is `seed`. `value` is a read of
 * the tensor that keeps the body's value, so that exp and its like are not computed again; NULL if none does. */
void scalar_reverse(Ir *ir, Expr *body, Expr *value, Expr *seed, Wanted wanted, Arena *a, ReadAdjoints *out);

/* Forward: how body changes where each read changes by what `tangent` gives for it, NULL being not at all. NULL if
 * body does not change. */
typedef struct ReadTangent {
  Expr *(*of)(void *cx, Expr *read);
  void *cx;
} ReadTangent;
Expr *scalar_forward(Ir *ir, Expr *body, Expr *value, ReadTangent tangent);

/* Calls f for the node of each read that can pass a change on to the value of body. */
void scalar_sources(Expr *body, void (*f)(void *cx, Node *n), void *cx);

#endif
