/* run.h - runs the graphs of a program. A Model is the tensors that live (parameters, states, optimizer slots,
 * statistics), and the arena of its runs; a Run is one graph made ready for given sizes of its open dimensions:
 * memory, operands and chunks are settled in nnrt_run_bind, and nnrt_run_go only calls kernels. */
#ifndef NNRT_RUN_H
#define NNRT_RUN_H

#include "runtime/nnrt.h"
#include "runtime/pool.h"

typedef struct NnrtModel {
  const NnrtProgram *program;
  NnrtPool *pool;   /* the caller's */
  void **variables; /* each aligned to 64 bytes, zeroed */
  int64_t *bytes;   /* of each */
  void *block;
  int64_t total;
  char *arena, *scratch;              /* of the run that goes: they share it, as only one goes at a time */
  int64_t arena_bytes, scratch_bytes; /* scratch: of one thread */
} NnrtModel;

int nnrt_model_open(NnrtModel *m, const NnrtProgram *p, NnrtPool *pool, NnrtError *e);
void nnrt_model_close(NnrtModel *m);

/* Runs a graph that stores first values: the program's `init`, for every variable but the statistics. */
int nnrt_model_init(NnrtModel *m, int64_t graph, int64_t seed, NnrtError *e);

typedef struct NnrtStep { /* a launch, bound */
  NnrtKernel *kernel;
  void *const *operands;
  int64_t units, grain, chunks; /* of one step of its loops; chunks 1: not worth a hand-over */
} NnrtStep;

typedef struct NnrtRun {
  NnrtModel *model;
  const NnrtGraph *graph;
  int n_open;
  int64_t *dims;
  void **buffers;      /* of graph->buffers */
  const void **inputs; /* of graph->inputs */
  NnrtStep *steps;
  int64_t *loop_steps;   /* of graph->loops */
  void **operands;       /* of all launches, one after the other */
  char *arena;           /* the model's, as it was when the buffers were placed */
  int late;              /* how many runs may be under way when one goes; 0: each is done when nnrt_run_go returns */
  int64_t checked_arena; /* arena_check.c: the plan that was reported last */
} NnrtRun;

/* What an entry requires of its open dimensions: only programs in which one does have it. */
typedef struct NnrtRequired {
  int (*test)(const NnrtRun *r, NnrtError *e); /* NNRT_EDATA, and a sentence with all sizes */
} NnrtRequired;
extern const NnrtRequired nnrt_required;

/* After a failure there is nothing to close. */
int nnrt_run_open(NnrtRun *r, NnrtModel *m, int64_t graph, NnrtError *e);
void nnrt_run_close(NnrtRun *r);

/* Settles the sizes: open[n_open], in the order of graph->dims. Allocates only where an earlier bind needed less.
 * NNRT_EDATA if a size is below its lower bound, NNRT_EDEVICE if memory is out. */
int nnrt_run_bind(NnrtRun *r, const int64_t *open, NnrtError *e);

/* The memory that an input is read from: row-major, at least of the port's bytes, kept until the run is done. */
void nnrt_run_input(NnrtRun *r, int port, const void *data);
void nnrt_run_input_named(NnrtRun *r, const char *name, const void *data); /* nothing where there is none */
/* Valid after nnrt_run_go, until any run of the model goes or is bound. */
/* The open dimension of which extent i of the port is scale times it and rest; -1: it is something else. */
int nnrt_port_open(const NnrtRun *r, const NnrtPort *p, int i, int64_t *scale, int64_t *rest);
const void *nnrt_run_output(const NnrtRun *r, int port);

void nnrt_run_go(NnrtRun *r);
/* The most that `late` may be: 0 on the processor. */
int nnrt_run_most_late(const NnrtRun *r);
/* Where `late` is not 0: waits for the run before the last `back` ones, whose outputs are then read by
 * nnrt_run_output. Runs that were bound otherwise must have arrived before. */
void nnrt_run_arrive(NnrtRun *r, int back);
/* One of graph->launches, after those before it; `step` counts the steps of its loops, 0 outside of loops. */
void nnrt_run_launch(NnrtRun *r, int64_t launch, int64_t step);

/* The index of a port by name, -1 for none. */
int nnrt_port(const NnrtPort *ports, int64_t n, const char *name);

/* The shape of a port under the bound sizes; the number of elements. */
int64_t nnrt_port_shape(const NnrtRun *r, const NnrtPort *port, int64_t shape[NNRT_MAX_RANK]);

/* A polynomial of nnrt.h under the values of dims. */
int64_t nnrt_poly(const int64_t *terms, int64_t n, const int64_t *dims);

/* A graph's arena under the sizes `open`, without running it: for `info`. -1: memory is out. */
int64_t nnrt_graph_arena(const NnrtGraph *g, const int64_t *open);
/* The same of the scratch memory that each thread has for it. */
int64_t nnrt_graph_scratch(const NnrtGraph *g, const int64_t *open);

void *nnrt_allocate(int64_t bytes); /* aligned to 64, zeroed, never of 0 bytes; NULL: memory is out. free() it */

#endif
