/* tables.h - from a program and its schedules to the tables of runtime/nnrt.h, as structs in this process. They are
 * then written as constants of a module (codegen/cpu/constants.h), or run at once (nnc run --interpret). */
#ifndef NNC_CODEGEN_TABLES_H
#define NNC_CODEGEN_TABLES_H

#include "codegen/cuda/cuda.h"
#include "ir/program.h"
#include "runtime/cuda.h"

typedef struct TablesOptions {
  const char *only;            /* an entry's name: the program is that verb and what it needs; NULL: everything */
  const char *cpu;             /* processor features that the kernels use, separated by commas; "" for none */
  const char *build;           /* the compiler's version, for the build id */
  const Sources *sources;      /* for line numbers; NULL: all are 0 */
  int64_t memory, micro_batch; /* as NnrtTrain's */
  NnrtCuda *cuda;              /* out: the launches of its graphs are filled in; NULL: no GPU */
  const CudaProgram *kernels;  /* of the schedules, where there is a GPU */
} TablesOptions;

/* Graphs that the program needs under `only`, in the order in which tables_build wants their schedules. */
typedef Vec(Graph *) GraphList;
void tables_graphs(Arena *a, const Program *p, const char *only, GraphList *out);

/* The whole program. `schedules` holds one for each graph that tables_graphs listed, in its order, planned; dims are
 * filled. Kernel and verb fields hold the symbol's text, not an address. Points into the program's and the schedules'
 * memory. Equal constants become one. A schedule that names a tensor that the program lacks is ice(). */
NnrtProgram *tables_build(Arena *a, const Program *p, Schedule *const *schedules, int n, const TablesOptions *o);

#endif
