/* workers.h - texts translated by several processes: NVRTC has one lock for all that goes on in a process. */
#ifndef NNC_CODEGEN_CUDA_WORKERS_H
#define NNC_CODEGEN_CUDA_WORKERS_H

#include "codegen/cuda/nvrtc.h"

typedef struct CudaJob {
  const char *text, *arch;
  bool wants_ptx;
  const char *code, *ptx; /* out: what nvrtc_translate makes; NULL after a failure */
  size_t n_code, n_ptx;
  const char *log, *error; /* out: what the assembler says; a sentence or NULL */
} CudaJob;
typedef Vec(CudaJob) CudaJobs;

/* Does them all, the longest texts first, `processes` at a time, 0: as many as there are processors. What comes out
 * does not depend on how many. */
void cuda_translate(Arena *a, Nvrtc *n, CudaJobs jobs, int processes);

#endif
