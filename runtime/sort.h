/* sort.h - the one thing that a kernel does not write out itself: the stable order of a row of keys. */
#ifndef NNRT_SORT_H
#define NNRT_SORT_H

#include "runtime/dtype.h"

enum { NNRT_SORT_BYTES = 32 }; /* of `work`, for each key */

/* The stable order of n keys of type t: order[j] is the position of the key that comes j-th; equal keys keep their
 * order, -0 equals 0, NaN counts as the largest number (so it is last ascending and first descending, as in PyTorch).
 * work: n * NNRT_SORT_BYTES bytes, aligned to 8. Aliasing: none. n < 2^31. */
void nnrt_sort(const void *keys, int64_t t, int64_t n, int64_t descending, int32_t *order, void *work);

#endif
