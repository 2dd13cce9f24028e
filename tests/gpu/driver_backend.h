/* driver_backend.h - kernels as CUDA C, translated by NVRTC and run by the driver: for kernel_run and what times
 * them.
 */
#ifndef NNC_TESTS_GPU_DRIVER_BACKEND_H
#define NNC_TESTS_GPU_DRIVER_BACKEND_H

#include "tests/unit/codegen/kernel_run.h"

/* device_open comes first. Operands are copied to the device and back around each step of a kernel. */
extern const KernelBackend driver_backend;

#endif
