/* cuda_backend.h - kernels as CUDA C, translated by the C compiler and run in the simulator. */
#ifndef NNC_TESTS_GPU_CUDA_BACKEND_H
#define NNC_TESTS_GPU_CUDA_BACKEND_H

#include "tests/unit/codegen/kernel_run.h"

extern const KernelBackend cuda_backend;

/* Translates the text into a shared object at `path`. NULL, or a sentence. */
const char *simulated_translate(const char *text, size_t n, const char *path);

#endif
