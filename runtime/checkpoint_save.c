/* checkpoint_save.c - see checkpoint.h. */
#include "runtime/checkpoint.h"

#include <stdlib.h>
#include <string.h>

NnrtTensor nnrt_checkpoint_tensor(const NnrtModel *m, int64_t i) {
  const NnrtVariable *v = &m->program->variables[i];
  NnrtTensor t = {.name = v->name,
                  .dtype = (NnrtDtype)v->dtype,
                  .rank = (int)v->n_shape,
                  .data = m->variables[i],
                  .bytes = m->bytes[i]};
  if (v->n_shape) memcpy(t.shape, v->shape, (size_t)v->n_shape * sizeof *v->shape);
  return t;
}

int nnrt_checkpoint_save(const NnrtModel *m, const char *path, const NnrtTensor *extra, int n_extra,
                         const NnrtMeta *meta, int n_meta, NnrtError *e) {
  int n = (int)m->program->n_variables;
  NnrtTensor *all = calloc((size_t)(n + n_extra + 1), sizeof *all);
  if (!all) return nnrt_fail_memory(e, (size_t)n * sizeof *all, path);
  for (int i = 0; i < n; i++) all[i] = nnrt_checkpoint_tensor(m, i);
  if (n_extra) memcpy(all + n, extra, (size_t)n_extra * sizeof *extra);
  int status = nnrt_safetensors_write(path, all, n + n_extra, meta, n_meta, e);
  free(all);
  return status;
}
