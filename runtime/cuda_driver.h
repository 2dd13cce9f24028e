/* cuda_driver.h - the NVIDIA driver's functions and the GPU that is open, between cuda_open.c, which opens it, and
 * cuda.c, which runs graphs on it. The declarations are our own, of the few functions that are called. */
#ifndef NNRT_CUDA_DRIVER_H
#define NNRT_CUDA_DRIVER_H

#include "runtime/cuda.h"

extern const NnrtCuda nnrt_cuda;

typedef unsigned long long Address; /* on the device */

/* DRIVER(name, parameters): all return 0 for success. */
#define DRIVER_FUNCTIONS(DRIVER)                                                                                     \
  DRIVER(cuInit, (unsigned))                                                                                         \
  DRIVER(cuDeviceGetCount, (int *))                                                                                  \
  DRIVER(cuDeviceGet, (int *, int))                                                                                  \
  DRIVER(cuDeviceGetAttribute, (int *, int, int))                                                                    \
  DRIVER(cuDevicePrimaryCtxRetain, (void **, int))                                                                   \
  DRIVER(cuCtxSetCurrent, (void *))                                                                                  \
  DRIVER(cuGetErrorString, (int, const char **))                                                                     \
  DRIVER(cuDriverGetVersion, (int *))                                                                                \
  DRIVER(cuModuleLoadData, (void **, const void *))                                                                  \
  DRIVER(cuModuleUnload, (void *))                                                                                   \
  DRIVER(cuModuleGetFunction, (void **, void *, const char *))                                                       \
  DRIVER(cuTensorMapEncodeTiled, (void *, int, unsigned, void *, const uint64_t *, const uint64_t *,                 \
                                  const unsigned *, const unsigned *, int, int, int, int))                           \
  DRIVER(cuFuncSetAttribute, (void *, int, int))                                                                     \
  DRIVER(cuMemAlloc_v2, (Address *, size_t))                                                                         \
  DRIVER(cuMemFree_v2, (Address))                                                                                    \
  DRIVER(cuMemcpyHtoDAsync_v2, (Address, const void *, size_t, void *))                                              \
  DRIVER(cuMemcpyDtoHAsync_v2, (void *, Address, size_t, void *))                                                    \
  DRIVER(cuMemcpyDtoDAsync_v2, (Address, Address, size_t, void *))                                                   \
  DRIVER(cuMemHostAlloc, (void **, size_t, unsigned))                                                                \
  DRIVER(cuMemFreeHost, (void *))                                                                                    \
  DRIVER(cuEventCreate, (void **, unsigned))                                                                         \
  DRIVER(cuEventRecord, (void *, void *))                                                                            \
  DRIVER(cuEventQuery, (void *))                                                                                     \
  DRIVER(cuEventSynchronize, (void *))                                                                               \
  DRIVER(cuEventDestroy_v2, (void *))                                                                                \
  DRIVER(cuStreamWaitEvent, (void *, void *, unsigned))                                                              \
  DRIVER(cuStreamCreate, (void **, unsigned))                                                                        \
  DRIVER(cuStreamSynchronize, (void *))                                                                              \
  DRIVER(cuStreamBeginCapture_v2, (void *, int))                                                                     \
  DRIVER(cuStreamEndCapture, (void *, void **))                                                                      \
  DRIVER(cuGraphInstantiateWithFlags, (void **, void *, unsigned long long))                                         \
  DRIVER(cuGraphLaunch, (void *, void *))                                                                            \
  DRIVER(cuGraphDestroy, (void *))                                                                                   \
  DRIVER(cuGraphExecDestroy, (void *))                                                                               \
  DRIVER(cuLaunchKernel,                                                                                             \
         (void *, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void *, void **, void **))

typedef struct NnrtGpu {
  bool on;     /* kernels run on the device */
  bool on_90a; /* its code is sm_90a's */
  bool checks; /* each kernel is waited for, so that a failure is told of the one that failed */
  int processors;
#define DECLARE(name, parameters) int(*name) parameters;
  DRIVER_FUNCTIONS(DECLARE)
#undef DECLARE
  void *stream, *copies; /* copies: of inputs */
  void **modules;        /* the images that were loaded */
  int64_t n_modules;
  void ***functions;  /* by graph, by launch */
  Address *constants; /* of the program's */
  void **arguments;   /* places for those of any launch */
} NnrtGpu;
extern NnrtGpu nnrt_gpu;

const NnrtCudaLaunch *nnrt_gpu_launches(const NnrtCudaGraph *g);

/* What fails while a run goes, which has no way to report, ends the process: status, unless it is 0; memory that is
 * NULL. */
void nnrt_gpu_must(int status, const char *what);
void *nnrt_gpu_needed(void *memory, const char *what);
Address nnrt_gpu_allocate(int64_t bytes, const char *what);
void nnrt_gpu_upload(Address to, const void *from, int64_t bytes);

#endif
