/* cuda.h - kernels as CUDA C: the text that NVRTC translates, and that the simulator of tests/gpu runs.
 *
 * The text is a small part of C: functions of scalars and pointers, loops, conditions; all that the device adds are
 * the primitives of primitives.def. The whole is the prelude and then kernels, each
 *
 *   symbol(T *b0, ..., i64 d0, ..., i64 step, char *scratch, const NnMap *map0, ..., i64 number0, ...)
 *
 * with the addresses of k->operands in order, aligned to 64 bytes; the values of s->dims; the number of the step of
 * the loops around it; memory for all blocks, CudaKernel.scratch bytes each; CudaKernel.maps; and CudaKernel.numbers.
 * Blocks do not depend on each other, and any number of them does the same work: each takes every so many'th of the
 * parts.
 *
 * Kernels whose texts differ in numbers alone (extents, strides, constants, keys of draws) are one, which is given
 * those numbers that are not the same in all of them: translating costs more than a division. Not at -O3. */
#ifndef NNC_CODEGEN_CUDA_CUDA_H
#define NNC_CODEGEN_CUDA_CUDA_H

#include "ir/kernel.h"

enum { CUDA_MAP_RANK = 5, CUDA_MAPS = 3, CUDA_MAP_BYTES = 128 };

/* An operand as a tensor of which a kernel copies boxes: it is given the address of what the driver makes of this. */
typedef struct CudaMap {
  int operand;
  DType type;
  int64_t first; /* element of the buffer */
  int rank;
  Dim *extent[CUDA_MAP_RANK],
      *step[CUDA_MAP_RANK]; /* step: elements from one to the next: 1, and each a multiple of the one before */
  int box[CUDA_MAP_RANK];
  const char *coordinate[CUDA_MAP_RANK]; /* text, while the kernel is written */
} CudaMap;

int cuda_map_type(DType t); /* the driver's number */

typedef struct CudaKernel { /* how a kernel is launched */
  const char *symbol;
  int threads;    /* of a block */
  Dim *parts;     /* of one step: a block has one at a time */
  int64_t shared; /* bytes of a block's shared memory */
  Dim *scratch;   /* bytes for each block, a multiple of 64 */
  int products;   /* instructions of units for matrices in its code */
  bool stays;     /* its blocks are best as many as there are processors */
  bool has_90a;   /* there is another of its kind for sm_90a */
  int n_maps;
  CudaMap maps[CUDA_MAPS];
  int n_numbers;
  const int64_t *numbers;
} CudaKernel;

typedef struct CudaProgram CudaProgram;

/* Every kernel of the schedules, once. */
CudaProgram *cuda_program(Arena *a, int n, Schedule *const *schedules);
void cuda_write_program(Buf *out, const CudaProgram *p);
/* The same in parts, each with the prelude and a few kernels, which are translated by themselves. */
typedef Vec(const char *) CudaTexts;
CudaTexts cuda_write_parts(Arena *a, const CudaProgram *p);
bool cuda_has_90a(const CudaProgram *p, const Kernel *k);
/* Of the function that has most of those that k may be: a driver takes NNRT_CUDA_ARGUMENTS. */
int cuda_argument_count(const CudaProgram *p, const Kernel *k);
/* k is one of the program's. on_90a: as it is in code for sm_90a, which lacks those that have another for it. */
CudaKernel cuda_kernel(const CudaProgram *p, const Schedule *s, const Kernel *k, bool on_90a);

#endif
