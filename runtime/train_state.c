/* train_state.c - checkpoints of a training, and going on from one to the same bits. Beside the variables a
 * checkpoint holds, as text, how far the training is and what the current epoch has summed up so far; the order of
 * the examples follows from seed and epoch. No time, path or number of threads, so that equal runs are equal files.
 */
#include "runtime/training.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FIXED_META = 10, VALUE_ROOM = 32, BEST_COPIED = 1 << 20 };

/* ---- saving ---- */

typedef struct Meta { /* metadata under construction */
  NnrtMeta *row;
  char (*value)[VALUE_ROOM];
  char (*key)[176];
  int n;
} Meta;

static void add_text(Meta *m, const char *key, const char *value) { m->row[m->n++] = (NnrtMeta){key, value}; }

static void add_integer(Meta *m, const char *key, int64_t v) {
  snprintf(m->value[m->n], VALUE_ROOM, "%lld", (long long)v);
  add_text(m, key, m->value[m->n]);
}

/* Seventeen digits: every double reads back as itself. */
static void add_real(Meta *m, const char *key, double v) {
  snprintf(m->value[m->n], VALUE_ROOM, "%.17g", v);
  add_text(m, key, m->value[m->n]);
}

/* `best`: of the best epoch, whenever it is written. */
static void fill_meta(const NnrtTraining *t, Meta *m, bool best) {
  int64_t position = best ? 0 : t->position;
  add_integer(m, "step", best ? t->best_step : t->step);
  add_integer(m, "epoch", best ? t->best_epoch : t->epoch);
  add_integer(m, "position", position);
  add_integer(m, "seed", t->seed);
  add_integer(m, "batch", t->batch);
  if (t->fold) add_integer(m, "fold", t->fold);
  if (t->table->name) add_text(m, "train", t->table->name);
  add_text(m, "source", t->cli->program->build ? t->cli->program->build : "");
  if (!isnan(t->best)) {
    add_real(m, "best", t->best);
    add_integer(m, "stalled", best ? 0 : t->stalled);
  }
  for (int i = 0; position && i < t->meter.n; i++) {
    const NnrtMetric *x = &t->meter.metrics[i];
    if (x->graph >= 0) continue;
    snprintf(m->key[m->n], sizeof m->key[0], "sum/%.160s", x->name);
    add_real(m, m->key[m->n], x->sum);
    if (x->when < 0) continue;
    snprintf(m->key[m->n], sizeof m->key[0], "count/%.160s", x->name);
    add_integer(m, m->key[m->n], x->count);
  }
}

/* The model's variables as they are in `block`. */
static int write_checkpoint(NnrtTraining *t, const char *path, void *block, bool best) {
  NnrtModel model = t->model;
  size_t n = (size_t)model.program->n_variables, rows = FIXED_META + 2 * (size_t)t->meter.n;
  int parts = !best && t->position ? nnrt_meter_parts(&t->meter) : 0;
  Meta m = {
      .row = calloc(rows, sizeof *m.row), .value = calloc(rows, sizeof *m.value), .key = calloc(rows, sizeof *m.key)};
  NnrtTensor *extra = calloc((size_t)parts + 1, sizeof *extra);
  model.variables = calloc(n + 1, sizeof *model.variables);
  int status = NNRT_OK;
  if (!m.row || !m.value || !m.key || !extra || !model.variables) {
    status = nnrt_fail_memory(t->error, rows * sizeof *m.key, path);
  } else {
    for (size_t i = 0; i < n; i++)
      model.variables[i] = (char *)block + ((char *)t->model.variables[i] - (char *)t->model.block);
    fill_meta(t, &m, best);
    if (parts) nnrt_meter_tensors(&t->meter, extra);
    status = nnrt_checkpoint_save(&model, path, extra, parts, m.row, m.n, t->error);
  }
  free(m.row);
  free(m.value);
  free(m.key);
  free(extra);
  free(model.variables);
  return status;
}

static int write_best(NnrtTraining *t, void *block) {
  char path[4096];
  nnrt_rundir_file(&t->run, "best.safetensors", path, sizeof path);
  return write_checkpoint(t, path, block, true);
}

/* A small model is copied, to be written with the next save; for a large one the memory is worth more than the time.
 */
int nnrt_training_keep_best(NnrtTraining *t) {
  t->best_step = t->step;
  t->best_epoch = t->epoch;
  if (t->model.total > BEST_COPIED) return write_best(t, t->model.block);
  if (!t->best_block) t->best_block = nnrt_allocate(t->model.total);
  if (!t->best_block) return nnrt_fail_memory(t->error, (unsigned long long)t->model.total, "the best weights");
  memcpy(t->best_block, t->model.block, (size_t)t->model.total);
  t->best_waits = true;
  return NNRT_OK;
}

int nnrt_training_save(NnrtTraining *t) {
  char path[4096];
  int status = nnrt_rundir_flush(&t->run, t->error);
  if (status == NNRT_OK && t->best_waits) {
    status = write_best(t, t->best_block);
    t->best_waits = false;
  }
  if (status != NNRT_OK) return status;
  nnrt_rundir_file(&t->run, "last.safetensors", path, sizeof path);
  status = write_checkpoint(t, path, t->model.block, false);
  if (status != NNRT_OK) return status;
  t->last_save = nnrt_seconds();
  t->last_save_step = t->step;
  t->last_save_epoch = t->epoch;
  nnrt_training_log_save(t, path);
  if (t->watched >= 0) return NNRT_OK;
  nnrt_rundir_file(&t->run, "best.safetensors", path, sizeof path);
  if (access(path, F_OK) != 0) (void)!symlink("last.safetensors", path); /* without validation the best is the last */
  return NNRT_OK;
}

/* ---- when ---- */

int nnrt_training_parse_save_every(NnrtTraining *t) {
  static const struct {
    const char *name;
    NnrtSaveUnit unit;
    double factor;
  } units[] = {{"ms", NNRT_SAVE_SECONDS, 1e-3}, {"s", NNRT_SAVE_SECONDS, 1},    {"min", NNRT_SAVE_SECONDS, 60},
               {"h", NNRT_SAVE_SECONDS, 3600},  {"step", NNRT_SAVE_STEPS, 1},   {"steps", NNRT_SAVE_STEPS, 1},
               {"epoch", NNRT_SAVE_EPOCHS, 1},  {"epochs", NNRT_SAVE_EPOCHS, 1}};
  const char *text = nnrt_cli_text(t->cli, NNRT_OPT_SAVE_EVERY);
  t->save_unit = NNRT_SAVE_SECONDS;
  t->save_every = 30;
  if (!text) return NNRT_OK;
  char *end;
  double v = strtod(text, &end);
  for (size_t i = 0; i < sizeof units / sizeof *units; i++)
    if (end != text && strcmp(end, units[i].name) == 0 && v > 0 && isfinite(v)) {
      t->save_unit = units[i].unit;
      t->save_every = v * units[i].factor;
      return NNRT_OK;
    }
  return nnrt_fail(t->error, NNRT_EUSAGE, "--save-every takes 50ms, 2s, 5min, 1h, 100steps or 1epoch, not \"%s\"",
                   text);
}

bool nnrt_training_save_is_due(const NnrtTraining *t, bool epoch_ended) {
  switch (t->save_unit) {
  case NNRT_SAVE_STEPS: return (double)(t->step - t->last_save_step) >= t->save_every;
  case NNRT_SAVE_EPOCHS: return epoch_ended && (double)(t->epoch - t->last_save_epoch) >= t->save_every;
  default: return nnrt_seconds() - t->last_save >= t->save_every;
  }
}

/* ---- resuming ---- */

static int read_integer(NnrtTraining *t, const NnrtSafetensors *s, const char *key, int64_t most, int64_t *v) {
  *v = nnrt_safetensors_integer(s, key, -1);
  if (*v >= 0 && *v <= most) return NNRT_OK;
  return nnrt_fail(t->error, NNRT_EDATA, "%s: the metadata's \"%s\" is missing or does not fit", s->path, key);
}

static bool read_real(const NnrtSafetensors *s, const char *key, double *v) {
  const char *text = nnrt_safetensors_meta(s, key);
  char *end = NULL;
  if (text) *v = strtod(text, &end);
  return text && *text && !*end;
}

int nnrt_training_resume_seed(NnrtTraining *t, NnrtSafetensors *s) {
  int64_t seed;
  int status = read_integer(t, s, "seed", INT64_MAX, &seed);
  if (status != NNRT_OK) return status;
  if (nnrt_cli_text(t->cli, NNRT_OPT_SEED) && t->seed != seed)
    return nnrt_fail(t->error, NNRT_EUSAGE, "--seed %lld, but %s was made with seed %lld", (long long)t->seed,
                     s->path, (long long)seed);
  t->seed = seed;
  return NNRT_OK;
}

static int resume_sums(NnrtTraining *t, const NnrtSafetensors *s) {
  if (t->position == 0) return NNRT_OK;
  for (int i = 0; i < t->meter.n; i++) {
    NnrtMetric *x = &t->meter.metrics[i];
    char key[176];
    if (x->graph >= 0) continue;
    snprintf(key, sizeof key, "sum/%.160s", x->name);
    if (!read_real(s, key, &x->sum))
      return nnrt_fail(t->error, NNRT_EDATA, "%s: the metadata's \"%s\" is missing or does not fit", s->path, key);
    x->count = t->position;
    snprintf(key, sizeof key, "count/%.160s", x->name);
    int status = x->when < 0 ? NNRT_OK : read_integer(t, s, key, t->position, &x->count);
    if (status != NNRT_OK) return status;
  }
  return nnrt_meter_restore(&t->meter, s, t->position, t->error);
}

/* Batches of another size would be another run: other steps to an epoch, other draws. Older checkpoints say nothing.
 */
static int resume_batch(NnrtTraining *t, const NnrtSafetensors *s) {
  int64_t batch;
  if (!nnrt_safetensors_meta(s, "batch")) return NNRT_OK;
  int status = read_integer(t, s, "batch", INT64_MAX, &batch);
  if (status != NNRT_OK || batch == t->batch) return status;
  return nnrt_fail(t->error, NNRT_EUSAGE, "%s was made with batches of %lld, not %lld: --batch %lld goes on with it",
                   s->path, (long long)batch, (long long)t->batch, (long long)batch);
}

int nnrt_training_resume(NnrtTraining *t, const NnrtSafetensors *s) {
  int status = resume_batch(t, s);
  if (status == NNRT_OK) status = read_integer(t, s, "step", INT32_MAX, &t->step);
  if (status == NNRT_OK) status = read_integer(t, s, "epoch", INT32_MAX, &t->epoch);
  if (status == NNRT_OK) status = read_integer(t, s, "position", t->n - 1, &t->position);
  if (status == NNRT_OK) status = nnrt_checkpoint_load(&t->model, s, NNRT_LOAD_ALL, t->error);
  if (status == NNRT_OK && read_real(s, "best", &t->best))
    status = read_integer(t, s, "stalled", INT32_MAX, &t->stalled);
  if (status == NNRT_OK) status = resume_sums(t, s);
  t->stop = t->table->stall && t->stalled >= t->table->stall_epochs;
  const char *source = nnrt_safetensors_meta(s, "source"), *build = t->cli->program->build;
  if (status == NNRT_OK && source && build && strcmp(source, build) != 0)
    nnrt_progress_say(&t->progress, "%s: made by another version of this program", s->path);
  return status;
}
