/* row_model.h - one row of scalar.def as a graph with its derivatives, and points to evaluate it at. */
#ifndef NNC_TESTS_UNIT_ROW_MODEL_H
#define NNC_TESTS_UNIT_ROW_MODEL_H

#include "ir/interpret.h"

enum { POINTS = 64 };

typedef struct Row {
  ScalarOp op;
  Arena *arena; /* freed by the user */
  Ir *ir;
  Graph *g;             /* inputs a, b, c: f64[POINTS]; output 0: y, then sum(y)'s gradient by each argument */
  double at[3][POINTS]; /* the inputs: inside the row's domain and at least 1e-2 away from its kinks */
} Row;

Row row_model(ScalarOp op);
/* The inputs' values; they are read from r->at when the graph is evaluated. */
Interpretation row_values(Row *r);

#endif
