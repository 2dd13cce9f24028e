/* cuda_backend.h - kernels as CUDA C, translated by the C compiler and run in the simulator. */
#ifndef NNC_TESTS_GPU_CUDA_BACKEND_H
#define NNC_TESTS_GPU_CUDA_BACKEND_H

#include "codegen/cuda/cuda.h"
#include "tests/gpu/driver.h"
#include "tests/unit/codegen/kernel_run.h"

extern const KernelBackend cuda_backend;

/* The arguments of a launch, as a driver takes them: addresses, of 8 bytes each. operands: an array of pointers;
 * scratch: of a pointer; maps: of pointers. They and x live as long as the launch. */
void **cuda_arguments(const KernelStep *x, const CudaKernel *how, const void *operands, const void *scratch,
                      const uint64_t *maps);

/* The map's 128 bytes, aligned to 64, by the driver's function, of a buffer at `base`. */
typedef int64_t CudaValue(const void *cx, const Dim *d);
void cuda_encode(const CudaMap *m, uint64_t base, CudaValue *value, const void *cx, DeviceEncode *encode, void *out);
int64_t cuda_step_value(const void *cx, const Dim *d); /* cx: a KernelStep */

#endif
