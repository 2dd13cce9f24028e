/* boxes.h - the driver's function that makes maps of tensors, as the simulator's boxes read them. */
#ifndef NNC_TESTS_GPU_BOXES_H
#define NNC_TESTS_GPU_BOXES_H

#include <stdbool.h>
#include <stdint.h>

int cuTensorMapEncodeTiled(void *out, int type, unsigned rank, void *base, const uint64_t *extent,
                           const uint64_t *stride, const unsigned *box, const unsigned *step, int interleave,
                           int swizzle, int l2, int fill);

#endif
