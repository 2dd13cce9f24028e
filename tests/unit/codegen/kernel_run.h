/* kernel_run.h - a graph's kernels as code, of the CPU or of another backend, compared with the interpreter. */
#ifndef NNC_TESTS_UNIT_CODEGEN_KERNEL_RUN_H
#define NNC_TESTS_UNIT_CODEGEN_KERNEL_RUN_H

#include "codegen/codegen.h"
#include "ir/interpret.h"

typedef struct KernelRun KernelRun;

typedef struct KernelStep { /* a kernel at one step of its loops */
  const Schedule *s;
  const Kernel *k;
  void *const *operands;
  const int64_t *dims;
  int64_t step;
  const KernelRun *how;
  int64_t (*value)(const KernelRun *how, const Dim *d);
  uint64_t seed; /* another one in each run of the schedule */
} KernelStep;

typedef struct KernelBackend {
  const char *(*compile)(const KernelRun *how, const Schedule *s, void **code); /* NULL, or why not */
  const char *(*run)(void *code, const KernelStep *step);                       /* NULL, or what went wrong */
  void (*free)(void *code);
  void (*unwritten)(const void *at, size_t bytes, bool unwritten); /* memory has no values, or is given back; NULL */
} KernelBackend;

extern const KernelBackend cpu_backend;

struct KernelRun {
  const KernelBackend *backend; /* NULL: the CPU's */
  int runs;                     /* of the schedule, each in other memory; 0: one */
  const char *march;            /* one that this machine runs */
  int level;                    /* -O for the pipeline, the scheduler and the module */
  int64_t batch;                /* the value of every open dimension */
  int chunks;                   /* pieces that the units are cut into, done last to first */
  uint64_t seed;                /* of inputs, params and states: floats about 1, integers 0, 1, 2 */
  const Interpretation *given;  /* values and dimensions, instead of seed and batch; NULL */
  bool passes;                  /* run the pipeline first */
  bool gpu, small;              /* as for a GPU, and small products as large ones: PipelineOptions */
  const char *without;          /* but not this pass; NULL */
  Graph *reference; /* what is interpreted: another statement of g, its outputs and stores in the same order
                       and its sources by the same names; NULL: g itself, after the passes */
  bool strict;      /* no more is allowed where the interpreter's value depends on roundings */
  int processors;   /* Schedule.processors */
  bool on_90a;      /* kernels for sm_90a where there are some */
  bool tf32;        /* products may round their factors (Schedule.tf32) */
  double allowed;   /* of the largest value, where more than roundings is; 0: no more */
  bool show;        /* print the reference, the schedule and the code */
};

/* Memory that ends at a page that cannot be touched, and begins with garbage: a read or write beyond the end is a
 * fault. */
void *guarded_memory(size_t bytes);
void free_guarded_memory(void *at, size_t bytes);

/* Gives g's inputs values, runs its kernels, and compares every output and every stored value with interpret():
 * integers and bools exactly, f64 within 1e-12 of the largest absolute value, f32 within 1e-5; where more cancels
 * than that, within what roundings change in the interpreter too. Twice: with each buffer between pages that cannot
 * be touched, and with the buffers in one arena, where the plan has them. NULL, or what differs. g is changed. */
const char *kernel_run(Graph *g, const KernelRun *how);

#endif
