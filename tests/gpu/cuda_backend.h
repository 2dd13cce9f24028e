/* cuda_backend.h - kernels as CUDA C, translated by the C compiler and run in the simulator. */
#ifndef NNC_TESTS_GPU_CUDA_BACKEND_H
#define NNC_TESTS_GPU_CUDA_BACKEND_H

#include "tests/unit/codegen/kernel_run.h"

extern const KernelBackend cuda_backend;

#endif
