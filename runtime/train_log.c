/* train_log.c - what a training says: metrics.jsonl (every step, in full precision), metrics.csv (a row an epoch),
 * the progress, the events of --json and the result. */
#include "runtime/training.h"
#include "runtime/file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- metrics by index ---- */

int nnrt_training_metrics(const NnrtTraining *t) { return t->meter.n * (t->n_validation ? 2 : 1); }
const char *nnrt_training_metric_prefix(const NnrtTraining *t, int i) { return i < t->meter.n ? "" : "val_"; }
const NnrtMetric *nnrt_training_metric(const NnrtTraining *t, int i) {
  return i < t->meter.n ? &t->meter.metrics[i] : &t->evaluation.meter.metrics[i - t->meter.n];
}

static const char *key_of(const NnrtTraining *t, int i, char text[192]) {
  snprintf(text, 192, "%s%.180s", nnrt_training_metric_prefix(t, i), nnrt_training_metric(t, i)->name);
  return text;
}

static void put_metrics(const NnrtTraining *t, NnrtLine *l) {
  char key[192];
  for (int i = 0; i < nnrt_training_metrics(t); i++)
    if (!nnrt_training_metric(t, i)->none)
      nnrt_line_real(l, key_of(t, i, key), t->values[i], nnrt_training_metric(t, i)->single);
}

/* As text; `none` where it had no value. */
static const char *value_text(const NnrtTraining *t, int i, const char *none, char text[32]) {
  const NnrtMetric *m = nnrt_training_metric(t, i);
  return m->none ? none : nnrt_real_text(t->values[i], m->single, text);
}

/* Those that have a value: *n. */
static NnrtValue *list_values(const NnrtTraining *t, int *n) {
  NnrtValue *v = calloc((size_t)nnrt_training_metrics(t) + 1, sizeof *v);
  *n = 0;
  for (int i = 0; v && i < nnrt_training_metrics(t); i++)
    if (!nnrt_training_metric(t, i)->none)
      v[(*n)++] = (NnrtValue){nnrt_training_metric_prefix(t, i), nnrt_training_metric(t, i)->name, t->values[i]};
  return v;
}

/* ---- the run's folder ---- */

/* The command line: each option once, one that was given several times with a list. */
static void put_given(const NnrtCli *c, NnrtLine *l) {
  for (int i = 0; i < c->n_given; i++) {
    int before = 0, n = 0;
    for (int k = 0; k < c->n_given; k++) {
      before += k < i && c->given[k].id == c->given[i].id;
      n += c->given[k].id == c->given[i].id;
    }
    const char *name = nnrt_option(c->given[i].id)->name;
    if (n == 1) nnrt_line_string(l, name, c->given[i].value);
    if (before || n == 1) continue;
    nnrt_line_open(l, name, '[');
    for (int k = i; k < c->n_given; k++)
      if (c->given[k].id == c->given[i].id) nnrt_line_string(l, NULL, c->given[k].value);
    nnrt_line_close(l, ']');
  }
}

static void put_settings(const NnrtTraining *t, NnrtLine *l) {
  const NnrtProgram *p = t->cli->program;
  nnrt_line_open(l, NULL, '{');
  nnrt_line_string(l, "program", p->name);
  nnrt_line_string(l, "build", p->build ? p->build : "");
  if (t->table->name) nnrt_line_string(l, "train", t->table->name);
  if (t->n_sets > 1) nnrt_line_open(l, "data", '[');
  for (int k = 0; k < t->n_sets; k++)
    nnrt_line_string(l, t->n_sets > 1 ? NULL : "data", t->streams[k].data.table->name);
  if (t->n_sets > 1) nnrt_line_close(l, ']');
  nnrt_line_integer(l, "examples", t->n);
  nnrt_line_integer(l, "validation", t->n_validation);
  if (t->fold) nnrt_line_integer(l, "fold", t->fold);
  nnrt_line_integer(l, "seed", t->seed);
  nnrt_line_integer(l, "batch", t->batch);
  if (!t->by_steps) nnrt_line_integer(l, "epochs", t->epochs);
  nnrt_line_integer(l, "steps", t->steps);
  nnrt_line_bool(l, "shuffle", t->shuffle);
  nnrt_line_open(l, "hyper", '{');
  for (int64_t i = 0; i < p->n_variables; i++) {
    const NnrtVariable *v = &p->variables[i];
    if (v->role == NNRT_ROLE_HYPER)
      nnrt_line_real(l, strchr(v->name, '/') + 1, nnrt_element((NnrtDtype)v->dtype, t->model.variables[i], false),
                     false);
  }
  nnrt_line_close(l, '}');
  nnrt_line_integer(l, "threads", nnrt_pool_threads(t->pool));
  nnrt_line_open(l, "given", '{');
  put_given(t->cli, l);
  nnrt_line_close(l, '}');
  nnrt_line_close(l, '}');
  nnrt_line_raw(l, "\n");
}

static int write_line(NnrtTraining *t, const char *file, NnrtLine *l) {
  char path[4096];
  nnrt_rundir_file(&t->run, file, path, sizeof path);
  NnrtSlice slice = {l->text, l->n};
  return l->failed ? nnrt_fail_memory(t->error, 0, file) : nnrt_file_write(path, &slice, 1, t->error);
}

int nnrt_training_log_args(NnrtTraining *t) {
  NnrtLine l = {0};
  char key[192];
  put_settings(t, &l);
  int status = write_line(t, "args.json", &l);
  nnrt_line_free(&l);
  NnrtLine *csv = &t->run.csv.text;
  nnrt_line_raw(csv, "epoch,step");
  for (int i = 0; i < nnrt_training_metrics(t); i++) nnrt_line_raw(csv, ",%s", key_of(t, i, key));
  return status != NNRT_OK ? status : nnrt_log_end_line(&t->run.csv, t->error);
}

/* ---- steps and epochs ---- */

static void draw_step(NnrtTraining *t) {
  NnrtValue values[4];
  int n = 0;
  for (int i = 0; i < t->meter.n && n < 4; i++)
    if (t->meter.metrics[i].graph < 0 && t->meter.metrics[i].count)
      values[n++] =
          (NnrtValue){"", t->meter.metrics[i].name, t->meter.metrics[i].sum / (double)t->meter.metrics[i].count};
  const NnrtSeen *s = &t->seen;
  nnrt_progress_step(&t->progress, t->epoch + 1, (s->position + t->batch - 1) / t->batch,
                     (t->n + t->batch - 1) / t->batch, s->step, s->position, values, n);
}

int nnrt_training_log_step(NnrtTraining *t) {
  NnrtLine *l = &t->run.jsonl.text;
  nnrt_line_open(l, NULL, '{');
  nnrt_line_string(l, "event", "step");
  nnrt_line_integer(l, "step", t->seen.step);
  for (int i = 0; i < t->meter.n_losses; i++)
    if (nnrt_meter_has(&t->meter.metrics[i]))
      nnrt_line_real(l, t->meter.metrics[i].name, t->meter.metrics[i].last, t->meter.metrics[i].single);
  nnrt_line_close(l, '}');
  draw_step(t);
  return nnrt_log_end_line(&t->run.jsonl, t->error);
}

static void put_epoch(const NnrtTraining *t, NnrtLine *l) {
  nnrt_line_open(l, NULL, '{');
  nnrt_line_string(l, "event", "epoch");
  nnrt_line_integer(l, "step", t->step);
  nnrt_line_integer(l, "epoch", t->epoch);
  if (t->fold) nnrt_line_integer(l, "fold", t->fold);
  put_metrics(t, l);
  nnrt_line_close(l, '}');
}

int nnrt_training_log_epoch(NnrtTraining *t) {
  NnrtLine *csv = &t->run.csv.text;
  char text[32];
  nnrt_line_raw(csv, "%lld,%lld", (long long)t->epoch, (long long)t->step);
  for (int i = 0; i < nnrt_training_metrics(t); i++) nnrt_line_raw(csv, ",%s", value_text(t, i, "", text));
  put_epoch(t, &t->run.jsonl.text);
  int n;
  NnrtValue *values = list_values(t, &n);
  if (values) nnrt_progress_end_epoch(&t->progress, t->epoch, values, n);
  free(values);
  if (t->cli->json) {
    put_epoch(t, &t->cli->line);
    nnrt_cli_print_line(t->cli);
  }
  int status = nnrt_log_end_line(&t->run.csv, t->error);
  return status != NNRT_OK ? status : nnrt_log_end_line(&t->run.jsonl, t->error);
}

void nnrt_training_log_save(NnrtTraining *t, const char *path) {
  if (!t->cli->json) return;
  NnrtLine *l = &t->cli->line;
  nnrt_line_open(l, NULL, '{');
  nnrt_line_string(l, "event", "save");
  nnrt_line_integer(l, "step", t->step);
  nnrt_line_integer(l, "epoch", t->epoch);
  nnrt_line_string(l, "path", path);
  nnrt_line_close(l, '}');
  nnrt_cli_print_line(t->cli);
}

/* ---- the result ---- */

static void put_result(const NnrtTraining *t, NnrtLine *l, bool with_place) {
  nnrt_line_open(l, NULL, '{');
  nnrt_line_string(l, "event", "result");
  nnrt_line_integer(l, "schema", 1);
  nnrt_line_open(l, "metrics", '{');
  if (t->have_values) put_metrics(t, l);
  nnrt_line_close(l, '}');
  nnrt_line_integer(l, "steps", t->step);
  nnrt_line_integer(l, "epochs", t->epoch);
  if (with_place) nnrt_line_string(l, "run", t->run.path);
  nnrt_line_close(l, '}');
}

/* A finished run that is resumed has nothing new to report. */
static int write_report(NnrtTraining *t) {
  if (!t->have_values) return NNRT_OK;
  NnrtLine l = {0};
  put_result(t, &l, false);
  nnrt_line_raw(&l, "\n");
  int status = write_line(t, "report.json", &l);
  nnrt_line_free(&l);
  return status;
}

int nnrt_training_log_result(NnrtTraining *t) {
  int status = write_report(t);
  if (status != NNRT_OK || t->fold) return status;
  if (t->cli->json) {
    put_result(t, &t->cli->line, true);
    nnrt_cli_print_line(t->cli);
    return NNRT_OK;
  }
  char key[192], text[32];
  for (int i = 0; t->have_values && i < nnrt_training_metrics(t); i++)
    printf("%s %s\n", key_of(t, i, key), value_text(t, i, "-", text));
  nnrt_progress_say(&t->progress, "the run is in %s", t->run.path);
  return NNRT_OK;
}
