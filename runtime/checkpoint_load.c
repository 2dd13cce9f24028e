/* checkpoint_load.c - see checkpoint.h. Two passes: all is checked, then all is copied. */
#include "runtime/checkpoint.h"
#include "runtime/closest.h"

#include <string.h>

static bool is_parameter(const NnrtVariable *v) { return v->role == NNRT_ROLE_PARAM || v->role == NNRT_ROLE_FROZEN; }

static bool is_required(const NnrtVariable *v, NnrtLoad what) {
  switch (what) {
  case NNRT_LOAD_ALL: return true;
  case NNRT_LOAD_MODEL: return v->role != NNRT_ROLE_OPTIMIZER;
  default: return is_parameter(v);
  }
}
static bool is_wanted(const NnrtVariable *v, NnrtLoad what) {
  return what == NNRT_LOAD_ALL ||
         (v->role != NNRT_ROLE_OPTIMIZER && (what == NNRT_LOAD_MODEL || v->role != NNRT_ROLE_HYPER));
}

/* The bytes of the part "net." that the names of all parameters share; 0: they do not. */
static size_t shared_part(const NnrtProgram *p) {
  const char *first = NULL;
  size_t n = 0;
  for (int64_t i = 0; i < p->n_variables; i++) {
    const char *name = p->variables[i].name, *dot = strchr(name, '.');
    if (!is_parameter(&p->variables[i])) continue;
    if (!dot) return 0;
    if (!first) first = name, n = (size_t)(dot - name) + 1;
    if (strncmp(first, name, n) != 0) return 0;
  }
  return n;
}

static const NnrtTensor *find(const NnrtSafetensors *s, const NnrtVariable *v, NnrtLoad what, size_t shared) {
  const NnrtTensor *t = nnrt_safetensors_find(s, v->name);
  return t || what == NNRT_LOAD_ALL || !shared || !is_parameter(v) ? t : nnrt_safetensors_find(s, v->name + shared);
}

static int missing(const NnrtSafetensors *s, const char *name, NnrtError *e) {
  NnrtClosest c = {0};
  char hint[96];
  for (int i = 0; i < s->n; i++) nnrt_closest_try(&c, name, s->tensors[i].name);
  return nnrt_fail(e, NNRT_EDATA, "%s: tensor \"%s\" is missing%s", s->path, name, nnrt_closest_text(&c, name, hint));
}

int nnrt_checkpoint_fits(const NnrtSafetensors *s, const NnrtVariable *v, const NnrtTensor *t, bool exact,
                         NnrtError *e) {
  char have[128], want[128];
  if (t->rank != v->n_shape || (t->rank && memcmp(t->shape, v->shape, (size_t)t->rank * sizeof *t->shape) != 0))
    return nnrt_fail(e, NNRT_EDATA, "%s: tensor \"%s\" has shape %s, but the program needs %s", s->path, t->name,
                     nnrt_shape_text(t->shape, t->rank, have, sizeof have),
                     nnrt_shape_text(v->shape, (int)v->n_shape, want, sizeof want));
  const NnrtDtypeInfo *from = nnrt_dtype(t->dtype), *to = nnrt_dtype((NnrtDtype)v->dtype);
  if (from != to && (exact || from->class != 'f' || to->class != 'f'))
    return nnrt_fail(e, NNRT_EDATA, "%s: tensor \"%s\" is %s, but the program needs %s", s->path, t->name, from->name,
                     to->name);
  int64_t value, i = nnrt_outside(t->dtype, t->data, t->bytes / from->bytes, v->bound, &value);
  if (i < 0) return NNRT_OK;
  return nnrt_fail(e, NNRT_EDATA, "%s: element %lld of tensor \"%s\" is %lld, which is not in 0..%lld", s->path,
                   (long long)i, t->name, (long long)value, (long long)v->bound - 1);
}

int nnrt_checkpoint_take(const NnrtSafetensors *s, const NnrtVariable *v, const NnrtTensor *t, void *to,
                         NnrtError *e) {
  int64_t n = t->bytes / nnrt_dtype(t->dtype)->bytes,
          done = nnrt_convert(t->dtype, t->data, false, (NnrtDtype)v->dtype, to, n);
  if (done == n) return NNRT_OK;
  return nnrt_fail(e, NNRT_EDATA, "%s: element %lld of %s is not of type %s", s->path, (long long)done, v->name,
                   nnrt_dtype((NnrtDtype)v->dtype)->name);
}

int nnrt_checkpoint_load(NnrtModel *m, const NnrtSafetensors *s, NnrtLoad what, NnrtError *e) {
  const NnrtProgram *p = m->program;
  size_t shared = shared_part(p);
  for (int64_t k = 0; k < 2 * p->n_variables;
       k++) { /* parameters first: a message is about the weights if it can be */
    const NnrtVariable *v = &p->variables[k % p->n_variables];
    if (!is_wanted(v, what) || is_parameter(v) != (k < p->n_variables)) continue;
    const NnrtTensor *t = find(s, v, what, shared);
    int status = t                      ? nnrt_checkpoint_fits(s, v, t, what == NNRT_LOAD_ALL, e)
                 : is_required(v, what) ? missing(s, v->name, e)
                                        : NNRT_OK;
    if (status != NNRT_OK) return status;
  }
  for (int64_t i = 0; i < p->n_variables; i++) {
    const NnrtVariable *v = &p->variables[i];
    const NnrtTensor *t = is_wanted(v, what) ? find(s, v, what, shared) : NULL;
    int status = t ? nnrt_checkpoint_take(s, v, t, m->variables[i], e) : NNRT_OK;
    if (status != NNRT_OK) return status;
  }
  return NNRT_OK;
}
