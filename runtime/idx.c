/* idx.c - MNIST's array files; see array.h. */
#include "runtime/array.h"

#include <string.h>

static NnrtDtype type_of_code(int code) {
  switch (code) {
  case 8: return NNRT_U8;
  case 9: return NNRT_I8;
  case 11: return NNRT_I16;
  case 12: return NNRT_I32;
  case 13: return NNRT_F32;
  case 14: return NNRT_F64;
  default: return NNRT_DTYPE_COUNT;
  }
}

static int read_idx(NnrtArray *a, const char *path, NnrtError *e) {
  const unsigned char *p = a->file.data;
  size_t size = a->file.size;
  if (size > 1 && p[0] == 0x1f && p[1] == 0x8b)
    return nnrt_fail(e, NNRT_EDATA, "%s: compressed by gzip; `gunzip` unpacks it", path);
  if (size < 4 || p[0] != 0 || p[1] != 0)
    return nnrt_fail(e, NNRT_EDATA, "%s: not an idx file (its first bytes are others)", path);
  a->dtype = type_of_code(p[2]);
  if (a->dtype == NNRT_DTYPE_COUNT) return nnrt_fail(e, NNRT_EDATA, "%s: idx type %d is not known", path, p[2]);
  a->rank = p[3];
  if (a->rank > NNRT_MAX_RANK)
    return nnrt_fail(e, NNRT_EDATA, "%s: %d dimensions, more than %d", path, a->rank, NNRT_MAX_RANK);
  size_t start = 4 + 4 * (size_t)a->rank;
  if (size < start) return nnrt_fail(e, NNRT_EDATA, "%s: the file ends in its header", path);
  for (int i = 0; i < a->rank; i++) {
    uint32_t extent;
    memcpy(&extent, p + 4 + 4 * i, 4);
    a->shape[i] = __builtin_bswap32(extent);
  }
  int64_t bytes;
  char shape[128];
  nnrt_shape_text(a->shape, a->rank, shape, sizeof shape);
  bool fits = nnrt_shape_bytes(a->shape, a->rank, a->dtype, &bytes), fewer = fits && (uint64_t)bytes < size - start;
  if (!fits || (uint64_t)bytes != size - start)
    return nnrt_fail(e, NNRT_EDATA, "%s: the file has %zu bytes for a %s%s, which needs %s", path, size - start,
                     nnrt_dtype(a->dtype)->name, shape, fewer ? "fewer" : "more");
  nnrt_shape_count(a->shape, a->rank, &a->count);
  a->swap = nnrt_dtype(a->dtype)->bytes > 1;
  a->data = p + start;
  return NNRT_OK;
}

int nnrt_idx_open(NnrtArray *a, const char *path, NnrtError *e) {
  *a = (NnrtArray){0};
  int status = nnrt_file_open(&a->file, path, e);
  if (status != NNRT_OK) return status;
  status = read_idx(a, path, e);
  if (status != NNRT_OK) nnrt_array_close(a);
  return status;
}
