/* safetensors_write.c - see safetensors.h. The header is made in memory, the tensors go out from where they are. */
#include "runtime/json.h"
#include "runtime/safetensors.h"

#include <stdlib.h>
#include <string.h>

static int by_size_and_name(const void *a, const void *b) {
  const NnrtTensor *x = *(const NnrtTensor *const *)a, *y = *(const NnrtTensor *const *)b;
  int p = nnrt_dtype(x->dtype)->bytes, q = nnrt_dtype(y->dtype)->bytes;
  return p != q ? q - p : strcmp(x->name, y->name);
}
static int by_key(const void *a, const void *b) {
  return strcmp((*(const NnrtMeta *const *)a)->key, (*(const NnrtMeta *const *)b)->key);
}

static int write_meta(NnrtLine *header, const NnrtMeta *meta, int n, NnrtError *e) {
  if (n == 0) return NNRT_OK;
  const NnrtMeta **sorted = malloc((size_t)n * sizeof *sorted);
  if (!sorted) return nnrt_fail_memory(e, (size_t)n * sizeof *sorted, "a header");
  for (int i = 0; i < n; i++) sorted[i] = &meta[i];
  qsort(sorted, (size_t)n, sizeof *sorted, by_key);
  nnrt_line_open(header, "__metadata__", '{');
  for (int i = 0; i < n; i++) nnrt_line_string(header, sorted[i]->key, sorted[i]->value);
  nnrt_line_close(header, '}');
  free(sorted);
  return NNRT_OK;
}

static int write_header(NnrtLine *header, const NnrtTensor **sorted, int n, NnrtError *e) {
  int64_t offset = 0;
  for (int i = 0; i < n; i++) {
    const NnrtTensor *t = sorted[i];
    int64_t bytes;
    if (!nnrt_shape_bytes(t->shape, t->rank, t->dtype, &bytes) || bytes != t->bytes)
      return nnrt_fail(e, NNRT_EINVAL, "%s: bytes and shape do not agree", t->name);
    if (i && by_size_and_name(&sorted[i - 1], &sorted[i]) == 0)
      return nnrt_fail(e, NNRT_EINVAL, "%s: stands twice", t->name);
    nnrt_line_open(header, t->name, '{');
    nnrt_line_string(header, "dtype", nnrt_dtype(t->dtype)->safetensors);
    nnrt_line_open(header, "shape", '[');
    for (int k = 0; k < t->rank; k++) nnrt_line_integer(header, NULL, t->shape[k]);
    nnrt_line_close(header, ']');
    nnrt_line_open(header, "data_offsets", '[');
    nnrt_line_integer(header, NULL, offset);
    nnrt_line_integer(header, NULL, offset + bytes);
    nnrt_line_close(header, ']');
    nnrt_line_close(header, '}');
    offset += bytes;
  }
  return NNRT_OK;
}

static int write_file(const char *path, NnrtLine *header, const NnrtTensor **sorted, int n, NnrtSlice *slices,
                      NnrtError *e) {
  while (!header->failed && header->n % 8 != 0) nnrt_line_raw(header, " ");
  if (header->failed) return nnrt_fail_memory(e, 0, "a header");
  unsigned char length[8];
  for (int i = 0; i < 8; i++) length[i] = (unsigned char)((uint64_t)header->n >> (8 * i));
  slices[0] = (NnrtSlice){length, 8};
  slices[1] = (NnrtSlice){header->text, header->n};
  for (int i = 0; i < n; i++) slices[2 + i] = (NnrtSlice){sorted[i]->data, (size_t)sorted[i]->bytes};
  return nnrt_file_write(path, slices, n + 2, e);
}

int nnrt_safetensors_write(const char *path, const NnrtTensor *tensors, int n, const NnrtMeta *meta, int n_meta,
                           NnrtError *e) {
  NnrtLine header = {0};
  const NnrtTensor **sorted = malloc((size_t)(n + 1) * sizeof *sorted);
  NnrtSlice *slices = malloc((size_t)(n + 2) * sizeof *slices);
  int status = sorted && slices ? NNRT_OK : nnrt_fail_memory(e, (size_t)n * sizeof *slices, "a list of tensors");
  if (status == NNRT_OK) {
    for (int i = 0; i < n; i++) sorted[i] = &tensors[i];
    if (n) qsort(sorted, (size_t)n, sizeof *sorted, by_size_and_name);
    nnrt_line_open(&header, NULL, '{');
    status = write_meta(&header, meta, n_meta, e);
  }
  if (status == NNRT_OK) status = write_header(&header, sorted, n, e);
  if (status == NNRT_OK) {
    nnrt_line_close(&header, '}');
    status = write_file(path, &header, sorted, n, slices, e);
  }
  nnrt_line_free(&header);
  free(sorted);
  free(slices);
  return status;
}
