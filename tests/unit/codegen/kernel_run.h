/* kernel_run.h - a graph's kernels as CPU code, compared with the interpreter. */
#ifndef NNC_TESTS_UNIT_CODEGEN_KERNEL_RUN_H
#define NNC_TESTS_UNIT_CODEGEN_KERNEL_RUN_H

#include "codegen/codegen.h"
#include "ir/interpret.h"

typedef struct KernelRun {
  const char *march;           /* one that this machine runs */
  int level;                   /* -O for the pipeline, the scheduler and the module */
  int64_t batch;               /* the value of every open dimension */
  int chunks;                  /* pieces that the units are cut into, done last to first */
  uint64_t seed;               /* of inputs, params and states: floats about 1, integers 0, 1, 2 */
  const Interpretation *given; /* values and dimensions, instead of seed and batch; NULL */
  bool passes;                 /* run the pipeline first */
  const char *without;         /* but not this pass; NULL */
  Graph *reference; /* what is interpreted: another statement of g, its outputs and stores in the same order
                       and its sources by the same names; NULL: g itself, after the passes */
  bool show;        /* print the reference, the schedule and the code */
} KernelRun;

/* Gives g's inputs values, runs its kernels, and compares every output and every stored value with interpret():
 * integers and bools exactly, f64 within 1e-12 of the largest absolute value, f32 within 1e-5; where more cancels
 * than that, within what roundings change in the interpreter too. Twice: with each buffer between pages that cannot
 * be touched, and with the buffers in one arena, where the plan has them. NULL, or what differs. g is changed. */
const char *kernel_run(Graph *g, const KernelRun *how);

#endif
