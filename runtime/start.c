/* start.c - see start.h. Of a tensor below two instances that start from files the inner one's is taken. */
#include "runtime/start.h"
#include "runtime/checkpoint.h"
#include "runtime/closest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Part { /* an instance and its file */
  const char *instance;
  size_t n; /* letters of its name */
  const char *path;
  const NnrtStart *start; /* NULL: only --weights names it */
} Part;

typedef struct Parts {
  const NnrtProgram *program;
  Part *at;
  int n;
} Parts;

/* ---- names ---- */

static const char *without(const char *name, const char *prefix) {
  size_t n = strlen(prefix);
  return strncmp(name, prefix, n) == 0 ? name + n : NULL;
}

/* A parameter's or state's name within the instance; NULL: it is not below it. */
static const char *within(const NnrtVariable *v, const char *instance, size_t n) {
  const char *name = v->role == NNRT_ROLE_STATE                                  ? without(v->name, "state/")
                     : v->role == NNRT_ROLE_PARAM || v->role == NNRT_ROLE_FROZEN ? v->name
                                                                                 : NULL;
  return name && strncmp(name, instance, n) == 0 && name[n] == '.' ? name + n + 1 : NULL;
}

bool nnrt_start_is_part(const NnrtProgram *p, const char *weights) {
  const char *equals = strchr(weights, '=');
  for (int64_t i = 0; equals && i < p->n_variables; i++)
    if (within(&p->variables[i], weights, (size_t)(equals - weights))) return true;
  return false;
}

static bool is_skipped(const Part *part, const char *name) {
  for (int64_t i = 0; part->start && i < part->start->n_skip; i++) {
    const char *rest = without(name, part->start->skip[i].text);
    if (rest && (*rest == 0 || *rest == '.')) return true;
  }
  return false;
}

/* Whose the variable is: the part with the longest name. */
static const Part *part_of(const Parts *parts, const NnrtVariable *v) {
  const Part *best = NULL;
  for (int i = 0; i < parts->n; i++)
    if (within(v, parts->at[i].instance, parts->at[i].n) && (!best || parts->at[i].n > best->n)) best = &parts->at[i];
  return best;
}

/* ---- what to load ---- */

static void add_part(Parts *parts, const char *instance, size_t n, const char *path, const NnrtStart *start) {
  for (int i = 0; i < parts->n; i++)
    if (parts->at[i].n == n && strncmp(parts->at[i].instance, instance, n) == 0) {
      parts->at[i].path = path;
      return;
    }
  parts->at[parts->n++] = (Part){instance, n, path, start};
}

static int find_parts(NnrtCli *c, Parts *parts) {
  const NnrtProgram *p = c->program;
  *parts = (Parts){.program = p, .at = calloc((size_t)(p->n_starts + c->n_given) + 1, sizeof *parts->at)};
  if (!parts->at) return nnrt_fail_memory(&c->error, 0, "the weights");
  for (int64_t i = 0; i < p->n_starts; i++)
    add_part(parts, p->starts[i].instance, strlen(p->starts[i].instance), p->starts[i].path, &p->starts[i]);
  for (int i = 0; i < c->n_given; i++) {
    const char *value = c->given[i].value;
    if (c->given[i].id != NNRT_OPT_WEIGHTS || !nnrt_start_is_part(p, value)) continue;
    const char *equals = strchr(value, '=');
    add_part(parts, value, (size_t)(equals - value), equals + 1, NULL);
  }
  return NNRT_OK;
}

/* ---- one file ---- */

/* The letters of the part "net." that the names of all tensors share but for what is no model's; 0: none. */
static size_t shared_part(const NnrtSafetensors *s) {
  const char *first = NULL;
  size_t n = 0;
  for (int i = 0; i < s->n; i++) {
    const char *name = s->tensors[i].name, *dot = strchr(name, '.');
    if (strchr(name, '/')) continue;
    if (!dot) return 0;
    if (!first) first = name, n = (size_t)(dot - name) + 1;
    if (strncmp(first, name, n) != 0) return 0;
  }
  return n;
}

static const NnrtTensor *find(const NnrtSafetensors *s, size_t shared, bool state, const char *name) {
  char full[512];
  const NnrtTensor *t = nnrt_safetensors_find(s, name);
  for (int i = 0; !t && shared && i < s->n; i++)
    if (!strchr(s->tensors[i].name, '/')) {
      snprintf(full, sizeof full, "%s%.*s%s", state ? "state/" : "", (int)shared, s->tensors[i].name, name);
      return nnrt_safetensors_find(s, full);
    }
  return t;
}

static int lacks(const NnrtSafetensors *s, size_t shared, const Part *part, const char *name, NnrtError *e) {
  NnrtClosest near = {0};
  char hint[96];
  for (int i = 0; i < s->n; i++)
    nnrt_closest_try(&near, name, s->tensors[i].name + (strchr(s->tensors[i].name, '/') ? 0 : shared));
  return nnrt_fail(e, NNRT_EDATA, "%s: tensor \"%s\" of %.*s is missing%s", s->path, name, (int)part->n,
                   part->instance, nnrt_closest_text(&near, name, hint));
}

/* All is checked, then all is copied. */
static int load_part(const Parts *parts, const Part *part, NnrtModel *m, const NnrtSafetensors *s, NnrtError *e) {
  size_t shared = shared_part(s);
  for (int64_t k = 0; k < 2 * parts->program->n_variables; k++) {
    int64_t i = k % parts->program->n_variables;
    const NnrtVariable *v = &parts->program->variables[i];
    const char *name = part_of(parts, v) == part ? within(v, part->instance, part->n) : NULL;
    if (!name || is_skipped(part, name)) continue;
    bool state = v->role == NNRT_ROLE_STATE;
    const NnrtTensor *t = find(s, shared, state, name);
    if (!t && state) continue;
    int status = t ? nnrt_checkpoint_fits(s, v, t, false, e) : lacks(s, shared, part, name, e);
    if (status == NNRT_OK && k >= parts->program->n_variables)
      status = nnrt_checkpoint_take(s, v, t, m->variables[i], e);
    if (status != NNRT_OK) return status;
  }
  return NNRT_OK;
}

int nnrt_start_load(NnrtCli *c, NnrtModel *m) {
  Parts parts;
  int status = find_parts(c, &parts);
  for (int i = 0; status == NNRT_OK && i < parts.n; i++) {
    NnrtSafetensors s;
    status = nnrt_safetensors_open(&s, parts.at[i].path, &c->error);
    if (status != NNRT_OK) break;
    status = load_part(&parts, &parts.at[i], m, &s, &c->error);
    nnrt_safetensors_close(&s);
  }
  free(parts.at);
  return status;
}

/* ---- entries of a program that has no training ---- */

/* What no file gives has its first value. */
static int load_all(NnrtCli *c, NnrtModel *m) {
  int status = nnrt_model_init(m, m->program->init, 1, &c->error);
  return status == NNRT_OK ? nnrt_start_load(c, m) : status;
}

int nnrt_verb_entry_started(const NnrtProgram *p, NnrtCli *c) {
  const char *weights = nnrt_cli_text(c, NNRT_OPT_WEIGHTS);
  if (!weights || nnrt_start_is_part(p, weights)) c->load = load_all;
  return nnrt_verb_entry(p, c);
}
