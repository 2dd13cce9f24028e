/* cuda_backend.h - kernels as CUDA C, translated by the C compiler and run in the simulator. */
#ifndef NNC_TESTS_GPU_CUDA_BACKEND_H
#define NNC_TESTS_GPU_CUDA_BACKEND_H

#include "codegen/cuda/cuda.h"
#include "tests/unit/codegen/kernel_run.h"

extern const KernelBackend cuda_backend;

/* The arguments of a launch, as a driver takes them: addresses, of 8 bytes each. operands: an array of pointers;
 * scratch: of a pointer. They and x live as long as the launch. */
void **cuda_arguments(const KernelStep *x, const CudaKernel *how, const void *operands, const void *scratch);

#endif
