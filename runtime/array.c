/* array.c - see array.h. */
#include "runtime/array.h"

#include <stddef.h>

void nnrt_array_close(NnrtArray *a) {
  nnrt_file_close(&a->file);
  *a = (NnrtArray){0};
}

/* Where the row-major element `i` of a Fortran-ordered array is. */
static int64_t fortran_place(const NnrtArray *a, int64_t i) {
  int64_t place = 0;
  for (int k = a->rank; k-- > 0;) {
    int64_t stride = 1;
    for (int j = 0; j < k; j++) stride *= a->shape[j];
    place += i % a->shape[k] * stride;
    i /= a->shape[k];
  }
  return place;
}

int64_t nnrt_array_read(const NnrtArray *a, int64_t first, int64_t n, NnrtDtype t, void *to) {
  int bytes = nnrt_dtype(a->dtype)->bytes, out = nnrt_dtype(t)->bytes;
  const char *data = a->data;
  if (!a->fortran) return nnrt_convert(a->dtype, data + first * bytes, a->swap, t, to, n);
  for (int64_t i = 0; i < n; i++)
    if (nnrt_convert(a->dtype, data + fortran_place(a, first + i) * bytes, a->swap, t, (char *)to + i * out, 1) != 1)
      return i;
  return n;
}
