/* stream.h - what pass_stream and the scheduler know of streams: kernels that make a product's rows, a block of them
 * at a time, reduce them, and never have all of them in memory. */
#ifndef NNC_IR_STREAM_H
#define NNC_IR_STREAM_H

#include "ir/graph.h"

/* A sum over the columns of a row whose terms wait for values that the same pass over the columns makes. Its factors
 * without a column wait for the end. One factor may be exp(y - by), where `by` is made of a maximum over the columns:
 * a sum with the maximum so far is that sum times exp(by so far - by in the end). */
typedef struct StreamSum {
  Expr *by, *y; /* NULL: no such factor */
  Node *max;
  Expr *term, *scale; /* the body is their product; scale: of what waits and has no column, or NULL */
} StreamSum;

/* Of a sum's body, whose column indices have n slots from `first` on; rows[]: what the same pass makes for a row.
 * False: the sum has to wait until these are there. */
bool stream_sum(const Graph *g, Expr *body, int first, int n, Node *const *rows, int nrows, StreamSum *out);

#endif
