/* evaluate.h - evaluates the expressions of one body at many points at once: the inner loop of the interpreter.
 *
 * A Program is a list of instructions, one for each distinct subexpression, each over a block of points. Reads that
 * are out of bounds do not fail at once: the value is marked, the mark spreads through operations, and a select
 * that takes the other side drops it. Only a mark that reaches the result is an error. */
#ifndef NNC_IR_EVALUATE_H
#define NNC_IR_EVALUATE_H

#include "ir/interpret.h"

enum { EVAL_BLOCK = 256 }; /* points */

typedef struct Register { /* a value at each point of the block */
  double *real;           /* of floats; else NULL */
  int64_t *integer;       /* of integers and bools; else NULL */
  uint8_t *outside;       /* 1 where the value came from an out-of-bounds read */
  bool any_outside;       /* in this block; else `outside` is not kept */
} Register;

typedef struct EvalContext {
  Arena *arena;         /* for programs */
  const Tensor *values; /* by id of node */
  bool f64;             /* floats are evaluated in f64 */
  DimValue dim;         /* values of open dimensions */
  void *dim_cx;
  double jitter; /* share by which every float read or computed is off, drawn; 0 */
  uint64_t seed; /* of the draws */
} EvalContext;

typedef struct Program Program;

Program *program_new(const EvalContext *cx);
/* Registers of what the program computes; adds the instructions. */
Register *program_expr(Program *p, Expr *e);
Register *program_form(Program *p, Form *f);
/* Evaluates at `n` <= EVAL_BLOCK points; index[slot][k] is the value of the index `slot` at point k. */
void program_run(Program *p, int n, int64_t *const *index);
void program_free(Program *p); /* what is not in the arena */

#endif
