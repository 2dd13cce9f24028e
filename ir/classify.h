/* classify.h - what a comprehension is: which kind of kernel computes it. */
#ifndef NNC_IR_CLASSIFY_H
#define NNC_IR_CLASSIFY_H

#include "ir/kernel.h"

/* The kind of the kernel that computes n alone. For KERNEL_contraction, *c is its factoring (tile sizes left 0), new
 * in arena a. n is a comp or a scatter. */
KernelKind classify(Graph *g, const Node *n, Arena *a, Contraction **c);

/* n's factoring, whatever its sizes; NULL: it is no sum of products of two factors as above. */
Contraction *small_product(Graph *g, const Node *n, Arena *a);

/* The body of n, a comp, with each of the two factors of its products rounded to t and back; NULL: n is no sum of
 * products of two factors, of which each has all indices of the reduction and one of the result that the other lacks
 * (besides the steps of loops). That says nothing about sizes. */
Expr *product_rounded(Graph *g, const Node *n, DType t);

/* tile.c: whether contractions c of n and d of other may have the same tiles and blocks of rows and columns, with K
 * in one block each: then their tiles can be made in turn. */
bool tiles_alike(Graph *g, const Node *n, const Contraction *c, const Node *other, const Contraction *d);

/* Whether every index form of `read`'s is just index i of n, for i in order, and the shapes are equal: read stands
 * for the element at n's own position. */
bool read_is_identity(Graph *g, const Node *n, const Expr *read);
/* n's result slot that f is exactly, or -1. */
int form_result_slot(Graph *g, const Node *n, const Form *f);

#endif
