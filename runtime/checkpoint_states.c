/* checkpoint_states.c - some of a model's variables as a file: see checkpoint.h. */
#include "runtime/checkpoint.h"

#include <stdlib.h>

int nnrt_states_load(NnrtModel *m, const int64_t *which, int64_t n, const NnrtSafetensors *s, NnrtError *e) {
  for (int64_t i = 0; i < 2 * n; i++) {
    const NnrtVariable *v = &m->program->variables[which[i % n]];
    const NnrtTensor *t = nnrt_safetensors_find(s, v->name);
    if (!t) return nnrt_fail(e, NNRT_EDATA, "%s: tensor \"%s\" is missing", s->path, v->name);
    int status =
        i < n ? nnrt_checkpoint_fits(s, v, t, true, e) : nnrt_checkpoint_take(s, v, t, m->variables[which[i % n]], e);
    if (status != NNRT_OK) return status;
  }
  return NNRT_OK;
}

int nnrt_states_save(const NnrtModel *m, const int64_t *which, int64_t n, const char *path, NnrtError *e) {
  NnrtTensor *all = calloc((size_t)n + 1, sizeof *all);
  if (!all) return nnrt_fail_memory(e, (size_t)n * sizeof *all, path);
  for (int64_t i = 0; i < n; i++) all[i] = nnrt_checkpoint_tensor(m, which[i]);
  int status = nnrt_safetensors_write(path, all, (int)n, NULL, 0, e);
  free(all);
  return status;
}
