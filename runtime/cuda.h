/* cuda.h - the tables of a program that runs on a GPU, beside NnrtProgram's and of the same make (nnrt.h): constants
 * named nnrt_cuda, which nnc writes and cuda.c reads. */
#ifndef NNRT_CUDA_H
#define NNRT_CUDA_H

#include "runtime/nnrt.h"

enum { NNRT_CUDA_ARGUMENTS = 4000 }; /* of a kernel, 8 bytes each: the driver takes 32764 bytes */

#define NNRT_CUDA_MAP_DIM_FIELDS(F)                                                                                  \
  F(INTS, extent, ) /* poly */                                                                                       \
  F(INTS, step, )   /* poly: bytes from one to the next */                                                           \
  F(INT, box, )

#define NNRT_CUDA_MAP_FIELDS(F) /* a tensor of which a kernel copies boxes */                                        \
  F(INT, operand, )             /* of the launch's buffers */                                                        \
  F(INT, type, )                /* the driver's number */                                                            \
  F(INT, first, )               /* byte of the buffer */                                                             \
  F(INT, number, )              /* among the graph's maps */                                                         \
  F(TABLES, dims, NnrtCudaMapDim)

#define NNRT_CUDA_LAUNCH_FIELDS(F) /* of NnrtGraph.launches, in its order */                                         \
  F(STRING, symbol, )                                                                                                \
  F(INT, threads, )  /* of a block */                                                                                \
  F(INT, stays, )    /* 1: no more blocks than multiprocessors, each of which takes one part after the other */      \
  F(INT, shared, )   /* bytes of a block's shared memory */                                                          \
  F(INTS, parts, )   /* poly: what blocks take turns with */                                                         \
  F(INTS, scratch, ) /* poly: bytes for each block */                                                                \
  F(TABLES, maps, NnrtCudaMap)                                                                                       \
  F(INTS, numbers, ) /* its last arguments */

#define NNRT_CUDA_GRAPH_FIELDS(F)                                                                                    \
  F(TABLES, launches, NnrtCudaLaunch)                                                                                \
  F(TABLES, launches_90a, NnrtCudaLaunch) /* instead of them, of the images for sm_90a; none: the same */

#define NNRT_CUDA_IMAGE_FIELDS(F)                                                                                    \
  F(STRING, arch, ) /* sm_90a: machine code; compute_80: PTX, which the driver translates */                         \
  F(BYTES, code, )                                                                                                   \
  F(INT, version, ) /* of the NVRTC that made it: 1000 * major + 10 * minor */

#define NNRT_CUDA_FIELDS(F)                                                                                          \
  F(TABLES, images, NnrtCudaImage) /* the best first; one architecture's follow each other, each has some kernels */ \
  F(TABLES, graphs, NnrtCudaGraph) /* of NnrtProgram.graphs */

#define NNRT_CUDA_TABLES(TABLE)                                                                                      \
  TABLE(NnrtCudaMapDim, NNRT_CUDA_MAP_DIM_FIELDS)                                                                    \
  TABLE(NnrtCudaMap, NNRT_CUDA_MAP_FIELDS)                                                                           \
  TABLE(NnrtCudaLaunch, NNRT_CUDA_LAUNCH_FIELDS)                                                                     \
  TABLE(NnrtCudaGraph, NNRT_CUDA_GRAPH_FIELDS)                                                                       \
  TABLE(NnrtCudaImage, NNRT_CUDA_IMAGE_FIELDS)                                                                       \
  TABLE(NnrtCuda, NNRT_CUDA_FIELDS)
NNRT_CUDA_TABLES(NNRT_DECLARE_TABLE)

#endif
