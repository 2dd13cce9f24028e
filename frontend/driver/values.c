/* values.c - see values.h. */
#include "frontend/driver/values.h"

#include <math.h>
#include <string.h>

#include "runtime/philox.h"

Tensor *values_find(Interpretation *in, Str name) {
  for (int i = 0; i < in->given.n; i++)
    if (in->given.at[i].name == name) return &in->given.at[i].tensor;
  return NULL;
}

const Tensor *values_output(const Graph *g, const Interpretation *in, const char *name) {
  for (int i = 0; i < g->outputs.n; i++)
    if (!strcmp(g->outputs.at[i].name, name)) return &in->values[g->outputs.at[i].node->id];
  return NULL;
}

double values_element(const Tensor *t, int64_t i) {
  switch (t->dtype) {
  case DT_f64: return ((const double *)t->data)[i];
  case DT_f32: return (double)((const float *)t->data)[i];
  case DT_i64: return (double)((const int64_t *)t->data)[i];
  case DT_i32: return ((const int32_t *)t->data)[i];
  case DT_bool: return ((const unsigned char *)t->data)[i];
  default: return NAN;
  }
}

const char *values_evaluate(Graph *g, Interpretation *in, const Interpretation *given) {
  *in = (Interpretation){.arena = given->arena};
  for (int i = 0; i < given->given.n; i++) vec_push(in->arena, &in->given, given->given.at[i]);
  for (int i = 0; i < given->dims.n; i++) vec_push(in->arena, &in->dims, given->dims.at[i]);
  return interpret(g, in);
}

/* ---- first values ---- */

static void give(Session *s, Interpretation *in, const char *name, Tensor value) {
  vec_push(s->arena, &in->given, (Binding){str_internz(s->strings, name), value});
}

static Tensor scalar_tensor(Arena *a, DType t, int64_t value) {
  Tensor s = {.dtype = t, .data = NEW(a, int64_t)};
  if (t == DT_i64) *(int64_t *)s.data = value;
  else *(int32_t *)s.data = (int32_t)value;
  return s;
}

/* Memory for the program's tensors, but for statistics: there are no data. */
static void give_tensors(Session *s, const Program *p, Interpretation *in) {
  for (int i = 0; i < p->tensors.n; i++) {
    const ProgramTensor *from = &p->tensors.at[i];
    Tensor x = {.dtype = from->dtype, .rank = from->rank};
    for (int d = 0; d < from->rank; d++) x.extent[d] = from->shape[d];
    x.data = NEW_ARRAY(s->arena, char, tensor_count(&x) * dtype_bytes(x.dtype) + 1);
    if (from->role != ROLE_statistic) give(s, in, from->name, x);
  }
}

const char *values_first(Session *s, Program *p, const PipelineOptions *passes, Interpretation *in) {
  *in = (Interpretation){.arena = s->arena};
  give(s, in, "$seed", scalar_tensor(s->arena, DT_i64, (int64_t)nnrt_mix64(VALUES_SEED)));
  give(s, in, "$step", scalar_tensor(s->arena, DT_i32, 1));
  give_tensors(s, p, in);
  if (!p->init || !pipeline_run(p->init, &s->diags, passes)) return NULL;
  Interpretation first;
  const char *error = values_evaluate(p->init, &first, in);
  for (int i = 0; !error && i < p->init->stores.n; i++) {
    const Node *store = p->init->stores.at[i];
    *values_find(in, store->in[1]->name) = first.values[store->id];
  }
  return error;
}
