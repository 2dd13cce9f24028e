/* options_train.c - the options of programs that train, evaluate and bench; see options.c. */
#include "runtime/cli.h"
#include "runtime/closest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const NnrtOption options[] = {
#define ROW(id, ...)
#define GPU(id, ...)
#define TRAIN(id, name, letter, argument, verbs, fallback, help) {name, letter, argument, verbs, fallback, help},
#include "runtime/options.def"
#undef ROW
#undef TRAIN
#undef GPU
};

static const char *source(const NnrtCli *c, int id, char text[32]) {
  if (c->kind != 't' || c->program->n_train == 0) return NULL;
  const NnrtTrain *t = &c->program->train[0];
  int64_t v = id == NNRT_OPT_EPOCHS  ? t->epochs
              : id == NNRT_OPT_STEPS ? t->steps
              : id == NNRT_OPT_BATCH ? t->batch
              : id == NNRT_OPT_SEED  ? t->seed
                                     : 0;
  if (v == 0) return NULL;
  snprintf(text, 32, "%lld", (long long)v);
  return text;
}

const NnrtTrainCli nnrt_train_cli = {options, source};

int nnrt_cli_list(NnrtCli *c, NnrtOptionId id, int64_t *values, int room, int *n) {
  const char *v = nnrt_cli_text(c, id), *at = v;
  if (!v) return NNRT_OK;
  for (*n = 0; *n < room && *at >= '1' && *at <= '9';) {
    char *end;
    values[(*n)++] = strtoll(at, &end, 10);
    if (!*end) return NNRT_OK;
    at = *end == ',' ? end + 1 : end;
    if (at == end) break;
  }
  return nnrt_fail(&c->error, NNRT_EUSAGE, "--%s takes natural numbers divided by commas, not \"%s\"",
                   nnrt_option(id)->name, v);
}

/* NAME=PATH, NAME.COLUMN=PATH or PATH, for data set `name`. */
static bool parse_data(NnrtCli *c, const char *value, const NnrtData *d, bool main, NnrtOverride *to) {
  const char *equals = strchr(value, '=');
  size_t n = strlen(d->name);
  for (int64_t i = 0; equals && i < c->program->n_data; i++) { /* does it name a data set at all? */
    size_t k = strlen(c->program->data[i].name);
    if (strncmp(value, c->program->data[i].name, k) != 0 || (value[k] != '=' && value[k] != '.')) continue;
    if (strncmp(value, d->name, n) != 0 || (value[n] != '=' && value[n] != '.')) return false;
    *to = (NnrtOverride){NULL, equals + 1};
    if (value[n] == '=') return true;
    for (int64_t f = 0; f < d->n_files; f++)
      if (strlen(d->files[f].column) == (size_t)(equals - value) - n - 1 &&
          strncmp(d->files[f].column, value + n + 1, strlen(d->files[f].column)) == 0)
        to->column = d->files[f].column;
    if (!to->column) to->column = value + n + 1; /* names no file: nnrt_data_open says so */
    return true;
  }
  *to = (NnrtOverride){NULL, value};
  return main;
}

int nnrt_cli_data(NnrtCli *c, int64_t index, bool main, NnrtOverride **list, int *n) {
  *n = 0;
  *list = calloc((size_t)c->n_given + 2, sizeof **list);
  if (!*list) return nnrt_fail_memory(&c->error, (size_t)c->n_given * sizeof **list, "the arguments");
  const NnrtData *d = &c->program->data[index];
  bool given = false;
  for (int i = 0; i < c->n_given; i++) {
    if (c->given[i].id != NNRT_OPT_DATA) continue;
    given = true;
    if (parse_data(c, c->given[i].value, d, main, &(*list)[*n])) ++*n;
  }
  const char *v = given ? NULL : nnrt_cli_text(c, NNRT_OPT_DATA);
  if (v && parse_data(c, v, d, main, &(*list)[*n])) ++*n;
  return NNRT_OK;
}

const NnrtTrain *nnrt_cli_block(NnrtCli *c, const char *name) {
  const NnrtProgram *p = c->program;
  NnrtClosest near = {0};
  char hint[96];
  for (int64_t i = 0; i < p->n_train; i++) {
    const char *own = p->train[i].name;
    if (own && strcmp(own, name) == 0) return &p->train[i];
    if (own) nnrt_closest_try(&near, name, own);
  }
  nnrt_fail(&c->error, NNRT_EUSAGE, "the program has no training \"%s\"%s", name,
            nnrt_closest_text(&near, name, hint));
  return NULL;
}
