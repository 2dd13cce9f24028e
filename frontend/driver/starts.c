/* starts.c - see starts.h. The runtime reads the files, into a model of the program's tensors alone. */
#include "frontend/driver/starts.h"

#include <string.h>

#include "frontend/driver/values.h"
#include "runtime/start.h"

static void describe_variable(Arena *a, const ProgramTensor *t, NnrtVariable *to) {
  int64_t *shape = NEW_ARRAY(a, int64_t, t->rank + 1);
  memcpy(shape, t->shape, (size_t)t->rank * sizeof *shape);
  *to = (NnrtVariable){
      .name = t->name, .role = (int64_t)t->role, .dtype = t->dtype, .n_shape = t->rank, .shape = shape};
}

static void describe_start(Arena *a, const Start *s, NnrtStart *to) {
  NnrtName *skip = NEW_ARRAY(a, NnrtName, s->skip.n + 1);
  for (int i = 0; i < s->skip.n; i++) skip[i] = (NnrtName){s->skip.at[i]};
  *to = (NnrtStart){.instance = s->instance, .path = s->path, .n_skip = s->skip.n, .skip = skip};
}

/* The tensors and files of the program, as its tables would describe them. */
static NnrtProgram describe(Arena *a, const Program *p) {
  NnrtVariable *variables = NEW_ARRAY(a, NnrtVariable, p->tensors.n + 1);
  NnrtStart *starts = NEW_ARRAY(a, NnrtStart, p->starts.n + 1);
  for (int i = 0; i < p->tensors.n; i++) describe_variable(a, &p->tensors.at[i], &variables[i]);
  for (int i = 0; i < p->starts.n; i++) describe_start(a, &p->starts.at[i], &starts[i]);
  return (NnrtProgram){.name = p->name,
                       .n_variables = p->tensors.n,
                       .variables = variables,
                       .n_starts = p->starts.n,
                       .starts = starts};
}

/* Between the values at hand and the model's memory. */
static void copy_values(const Program *p, const NnrtModel *m, Interpretation *in, bool back) {
  for (int i = 0; i < p->tensors.n; i++) {
    Tensor *t = values_find(in, p->tensors.at[i].name);
    if (!t || !m->bytes[i]) continue;
    if (back) memcpy(t->data, m->variables[i], (size_t)m->bytes[i]);
    else memcpy(m->variables[i], t->data, (size_t)m->bytes[i]);
  }
}

const char *starts_read(Arena *a, const Program *p, Interpretation *in) {
  if (!p->starts.n) return NULL;
  NnrtProgram program = describe(a, p);
  NnrtCli cli = {.program = &program};
  NnrtModel m;
  if (nnrt_model_open(&m, &program, NULL, &cli.error) != NNRT_OK) return arena_printf(a, "%s", cli.error.text);
  copy_values(p, &m, in, false);
  bool ok = nnrt_start_load(&cli, &m) == NNRT_OK;
  if (ok) copy_values(p, &m, in, true);
  nnrt_model_close(&m);
  return ok ? NULL : arena_printf(a, "%s", cli.error.text);
}
