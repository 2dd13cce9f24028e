/* npy_write.c - NumPy's array files, written; see array.h. */
#include "runtime/array.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

size_t nnrt_npy_header(char header[256], NnrtDtype t, int rank, const int64_t *shape) {
  const NnrtDtypeInfo *info = nnrt_dtype(t == NNRT_BF16 ? NNRT_F32 : t);
  int n = snprintf(header + 10, 246, "{'descr': '%c%s', 'fortran_order': False, 'shape': (",
                   info->bytes > 1 ? '<' : '|', info->npy);
  for (int i = 0; i < rank; i++)
    n += snprintf(header + 10 + n, (size_t)(246 - n), "%lld%s", (long long)shape[i],
                  i + 1 < rank ? ", "
                  : rank == 1  ? ","
                               : "");
  n += snprintf(header + 10 + n, (size_t)(246 - n), "), }");
  while ((10 + n + 1) % 64 != 0) header[10 + n++] = ' ';
  header[10 + n++] = '\n';
  memcpy(header, "\x93NUMPY\1\0", 8);
  header[8] = (char)(n & 255);
  header[9] = (char)(n >> 8);
  return (size_t)(10 + n);
}

int nnrt_npy_write(const char *path, NnrtDtype t, int rank, const int64_t *shape, const void *data, NnrtError *e) {
  int64_t count, bytes;
  NnrtDtype as = t == NNRT_BF16 ? NNRT_F32 : t;
  if (rank < 0 || rank > NNRT_MAX_RANK || !nnrt_shape_count(shape, rank, &count) ||
      !nnrt_shape_bytes(shape, rank, as, &bytes))
    return nnrt_fail(e, NNRT_EINVAL, "%s: a shape that is not one", path);
  char header[256];
  NnrtSlice slices[2] = {{header, nnrt_npy_header(header, t, rank, shape)}, {data, (size_t)bytes}};
  void *widened = NULL;
  if (as != t && bytes) {
    widened = malloc((size_t)bytes);
    if (!widened) return nnrt_fail_memory(e, (unsigned long long)bytes, path);
    nnrt_convert(t, data, false, as, widened, count);
    slices[1].data = widened;
  }
  int status = nnrt_file_write(path, slices, 2, e);
  free(widened);
  return status;
}
