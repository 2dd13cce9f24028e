/* reader_safetensors.c - the tensors of a safetensors file as a source: a tensor a column, its first dimension
 * counting the examples. Tensors that no field reads may have any shape. */
#include "runtime/arrays.h"

#include <stdlib.h>
#include <string.h>

/* A file for each tensor, as if each had one of its own: what arrays.c looks at. */
static int list_tensors(NnrtSource *s, NnrtArrays *a, NnrtError *e) {
  const char *path = s->files[0].path;
  size_t n = (size_t)a->tensors.n + 1;
  NnrtSourceFile *files = realloc(s->files, n * sizeof *files);
  if (files) s->files = files;
  a->at = calloc(n, sizeof *a->at);
  if (!files || !a->at) return nnrt_fail_memory(e, n * sizeof *a->at, path);
  s->n = a->tensors.n;
  for (int i = 0; i < s->n; i++) {
    const NnrtTensor *t = &a->tensors.tensors[i];
    s->files[i] = (NnrtSourceFile){t->name, path};
    a->at[i] = (NnrtArray){.dtype = t->dtype, .rank = t->rank, .data = t->data};
    memcpy(a->at[i].shape, t->shape, sizeof t->shape);
    nnrt_shape_count(t->shape, t->rank, &a->at[i].count);
  }
  return NNRT_OK;
}

static int open_safetensors(NnrtSource *s, NnrtError *e) {
  NnrtArrays *a = s->own = calloc(1, sizeof *a);
  if (!a) return nnrt_fail_memory(e, sizeof *a, "a source");
  int status = nnrt_safetensors_open(&a->tensors, s->files[0].path, e);
  if (status == NNRT_OK) status = list_tensors(s, a, e);
  if (status != NNRT_OK) return status;
  for (int i = 0; i < s->n; i++)
    if (i == 0 || (s->options.first && strcmp(s->files[i].column, s->options.first) == 0))
      s->count = a->rows = nnrt_arrays_examples(&a->at[i]);
  return s->n ? NNRT_OK : nnrt_fail(e, NNRT_EDATA, "%s: no tensors", s->files[0].path);
}

static void close_safetensors(NnrtSource *s) {
  NnrtArrays *a = s->own;
  if (a->tensors.path) nnrt_safetensors_close(&a->tensors);
  free(a->at);
}

const NnrtReader nnrt_reader_safetensors = {.name = "safetensors",
                                            .single = true,
                                            .open = open_safetensors,
                                            .close = close_safetensors,
                                            .view = nnrt_arrays_view,
                                            .read = nnrt_arrays_read,
                                            .place = nnrt_arrays_place};
