/* folds.c - cross-validation: a training is made once for each fold, every time from the same first values, and the
 * fold that it does not see validates it.
 *
 * A fold is a run like another, in the folder `fold3` of the run's. When it is over, the weights that it keeps (those
 * of the best epoch under `stop when`, else the last) are measured on its examples, which gives a line of the run's
 * logs. The run's best.safetensors leads to the weights of the best fold. A run that is resumed goes through all
 * folds again: of one that is finished only the measuring is left to do, so that nothing else need be remembered. */
#include "runtime/training.h"
#include "runtime/file.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct Folds {
  NnrtTraining *t;
  NnrtRunDir run;
  double *values; /* [folds, metrics] */
  int n;          /* metrics */
  int64_t best;   /* the fold whose weights are the run's; 0: none yet */
} Folds;

char *nnrt_fold_path(const char *folder, int64_t fold, char *text, size_t room) {
  snprintf(text, room, "%s/fold%lld", folder, (long long)fold);
  return text;
}

static const double *row(const Folds *f, int64_t fold) { return f->values + (fold - 1) * f->n; }

/* ---- what is said ---- */

static const NnrtMetric *metric(const Folds *f, int i) { return &f->t->evaluation.meter.metrics[i]; }

static void put_values(const Folds *f, NnrtLine *l, const double *values) {
  char key[192];
  for (int i = 0; i < f->n; i++) {
    snprintf(key, sizeof key, "val_%.180s", metric(f, i)->name);
    nnrt_line_real(l, key, values[i], metric(f, i)->single);
  }
}

static void put_fold(const Folds *f, NnrtLine *l, int64_t fold) {
  nnrt_line_open(l, NULL, '{');
  nnrt_line_string(l, "event", "fold");
  nnrt_line_integer(l, "step", f->t->step);
  nnrt_line_integer(l, "fold", fold);
  put_values(f, l, row(f, fold));
  nnrt_line_close(l, '}');
}

static void say_fold(const Folds *f, int64_t fold) {
  char text[512], value[32];
  size_t n = 0;
  text[0] = 0;
  for (int i = 0; i < f->n && n < sizeof text; i++)
    n += (size_t)snprintf(text + n, sizeof text - n, " · val_%s %s", metric(f, i)->name,
                          nnrt_real_text(row(f, fold)[i], metric(f, i)->single, value));
  nnrt_progress_say(&f->t->progress, "fold %lld/%lld, %lld examples%s", (long long)fold,
                    (long long)f->t->table->folds, (long long)f->t->n_validation, text);
}

static int log_fold(Folds *f, int64_t fold) {
  NnrtLine *csv = &f->run.csv.text;
  char text[32];
  if (fold == 1 && lseek(f->run.csv.fd, 0, SEEK_END) == 0) { /* a run that is resumed has its head */
    nnrt_line_raw(csv, "fold,step");
    for (int i = 0; i < f->n; i++) nnrt_line_raw(csv, ",val_%s", metric(f, i)->name);
    nnrt_line_raw(csv, "\n");
  }
  nnrt_line_raw(csv, "%lld,%lld", (long long)fold, (long long)f->t->step);
  for (int i = 0; i < f->n; i++)
    nnrt_line_raw(csv, ",%s", nnrt_real_text(row(f, fold)[i], metric(f, i)->single, text));
  put_fold(f, &f->run.jsonl.text, fold);
  if (f->t->cli->json) {
    put_fold(f, &f->t->cli->line, fold);
    nnrt_cli_print_line(f->t->cli);
  }
  say_fold(f, fold);
  int status = nnrt_log_end_line(&f->run.csv, f->t->error);
  if (status == NNRT_OK) status = nnrt_log_end_line(&f->run.jsonl, f->t->error);
  return status == NNRT_OK ? nnrt_rundir_flush(&f->run, f->t->error) : status;
}

/* ---- the weights ---- */

static const char *kept_file(const Folds *f) { return f->t->table->stall ? "best.safetensors" : "last.safetensors"; }

/* Is this fold better than the best before? What is watched in an epoch decides, measured on the fold. */
static bool is_better(const Folds *f, int64_t fold) {
  if (!f->best) return true;
  if (f->t->watched < 0) return false;
  int i = f->t->watched % f->n;
  double new = row(f, fold)[i], old = row(f, f->best)[i];
  if (isnan(old)) return !isnan(new);
  return f->t->watched_up ? new > old : new < old;
}

/* best.safetensors of the run: that of its best fold. */
static int link_best(Folds *f, int64_t fold) {
  char path[4096], temporary[4200], target[64];
  if (!is_better(f, fold)) return NNRT_OK;
  f->best = fold;
  snprintf(target, sizeof target, "fold%lld/%s", (long long)fold, kept_file(f));
  nnrt_rundir_file(&f->run, "best.safetensors", path, sizeof path);
  snprintf(temporary, sizeof temporary, "%s.tmp", path);
  unlink(temporary);
  if (symlink(target, temporary) == 0 && rename(temporary, path) == 0) return NNRT_OK;
  return nnrt_fail(f->t->error, NNRT_EFAIL, "%s: cannot be written: %s", path, strerror(errno));
}

/* Where the weights stand says their checkpoint: the evaluation is that of the epoch in which they were kept. */
static int measure(Folds *f, int64_t fold) {
  NnrtTraining *t = f->t;
  char path[4096];
  NnrtSafetensors s;
  int status = nnrt_safetensors_open(&s, nnrt_rundir_file(&t->run, kept_file(f), path, sizeof path), t->error);
  if (status != NNRT_OK) return status;
  status = nnrt_checkpoint_load(&t->model, &s, NNRT_LOAD_MODEL, t->error);
  int64_t step = nnrt_safetensors_integer(&s, "step", 0);
  int64_t epoch = nnrt_safetensors_integer(&s, "epoch", 0) + (nnrt_safetensors_integer(&s, "position", 0) > 0);
  nnrt_safetensors_close(&s);
  f->n = t->evaluation.meter.n;
  if (!f->values) f->values = calloc((size_t)(t->table->folds * f->n) + 1, sizeof *f->values);
  if (status == NNRT_OK && !f->values) status = nnrt_fail_memory(t->error, 0, "the metrics");
  return status == NNRT_OK
             ? nnrt_evaluation_run(&t->evaluation, step, t->steps, epoch, f->values + (fold - 1) * f->n, t->error)
             : status;
}

/* ---- the folds ---- */

/* A fold of which nothing was saved begins anew. */
static void forget_logs(const char *folder) {
  static const char *const files[] = {"metrics.jsonl", "metrics.csv"};
  char path[4200];
  for (int i = 0; i < 2; i++) {
    snprintf(path, sizeof path, "%s/%s", folder, files[i]);
    unlink(path);
  }
}

static int train_fold(Folds *f, int64_t fold, bool resumes) {
  NnrtTraining *t = f->t;
  char folder[4096], file[4200];
  t->fold = fold;
  if (resumes && fold > 1) t->run_seed = t->seed; /* the first fold's checkpoint says it */
  nnrt_training_renew(t, t->table);
  nnrt_fold_path(f->run.path, fold, folder, sizeof folder);
  snprintf(file, sizeof file, "%s/last.safetensors", folder);
  if (!resumes || access(file, F_OK) != 0) {
    if (resumes) forget_logs(folder);
    return nnrt_training_run(t, NULL);
  }
  NnrtSafetensors s;
  int status = nnrt_rundir_resume(&t->run, t->cli->program->name, folder, t->error);
  if (status == NNRT_OK) status = nnrt_safetensors_open(&s, file, t->error);
  if (status != NNRT_OK) return status;
  status = nnrt_training_run(t, &s);
  nnrt_safetensors_close(&s);
  return status;
}

/* The mean, and the deviation as of a sample: its sum of squares is divided by one less than the folds. */
static void summarize(const Folds *f, double *mean, double *deviation) {
  int64_t folds = f->t->table->folds;
  for (int i = 0; i < f->n; i++) {
    double sum = 0, squares = 0;
    for (int64_t k = 1; k <= folds; k++) sum += row(f, k)[i];
    mean[i] = sum / (double)folds;
    for (int64_t k = 1; k <= folds; k++) squares += (row(f, k)[i] - mean[i]) * (row(f, k)[i] - mean[i]);
    deviation[i] = sqrt(squares / (double)(folds - 1));
  }
}

static void put_result(const Folds *f, NnrtLine *l, const double *mean, const double *deviation, bool with_place) {
  nnrt_line_open(l, NULL, '{');
  nnrt_line_string(l, "event", "result");
  nnrt_line_integer(l, "schema", 1);
  nnrt_line_open(l, "metrics", '{');
  put_values(f, l, mean);
  nnrt_line_close(l, '}');
  nnrt_line_open(l, "deviations", '{');
  put_values(f, l, deviation);
  nnrt_line_close(l, '}');
  nnrt_line_open(l, "folds", '[');
  for (int64_t k = 1; k <= f->t->table->folds; k++) {
    nnrt_line_open(l, NULL, '{');
    put_values(f, l, row(f, k));
    nnrt_line_close(l, '}');
  }
  nnrt_line_close(l, ']');
  nnrt_line_integer(l, "best", f->best);
  if (with_place) nnrt_line_string(l, "run", f->run.path);
  nnrt_line_close(l, '}');
}

static int write_report(const Folds *f, const double *mean, const double *deviation) {
  char path[4096];
  NnrtLine l = {0};
  put_result(f, &l, mean, deviation, false);
  nnrt_line_raw(&l, "\n");
  NnrtSlice slice = {l.text, l.n};
  nnrt_rundir_file(&f->run, "report.json", path, sizeof path);
  int status = l.failed ? nnrt_fail_memory(f->t->error, 0, path) : nnrt_file_write(path, &slice, 1, f->t->error);
  nnrt_line_free(&l);
  return status;
}

static int report(const Folds *f) {
  NnrtTraining *t = f->t;
  double *mean = calloc(2 * (size_t)f->n + 1, sizeof *mean), *deviation = mean + f->n;
  if (!mean) return nnrt_fail_memory(t->error, 0, "the metrics");
  summarize(f, mean, deviation);
  int status = write_report(f, mean, deviation);
  char first[32], second[32];
  if (status == NNRT_OK && t->cli->json) {
    put_result(f, &t->cli->line, mean, deviation, true);
    nnrt_cli_print_line(t->cli);
  } else if (status == NNRT_OK) {
    for (int i = 0; i < f->n; i++)
      printf("val_%s %s ± %s\n", metric(f, i)->name, nnrt_real_text(mean[i], metric(f, i)->single, first),
             nnrt_real_text(deviation[i], true, second));
    nnrt_progress_say(&t->progress, "the run is in %s; its weights are those of fold %lld", f->run.path,
                      (long long)f->best);
  }
  free(mean);
  return status;
}

static int open_run(Folds *f, NnrtRunDir *resumed) {
  const NnrtCli *c = f->t->cli;
  if (!resumed) return nnrt_rundir_create(&f->run, c->program->name, nnrt_cli_text(c, NNRT_OPT_RUN_DIR), f->t->error);
  char path[4096];
  f->run = *resumed;
  *resumed = (NnrtRunDir){0};
  snprintf(path, sizeof path, "%s/fold1/last.safetensors", f->run.path);
  if (access(path, F_OK) != 0)
    return nnrt_fail(f->t->error, NNRT_EDATA, "%s: there is no run with folds to resume", f->run.path);
  return nnrt_rundir_cut(&f->run, -1, f->t->error);
}

int nnrt_training_folds(NnrtTraining *t, NnrtRunDir *run) {
  Folds f = {.t = t, .run = {.jsonl.fd = -1, .csv.fd = -1}};
  int status = open_run(&f, run);
  t->folder = f.run.path;
  for (int64_t k = 1; status == NNRT_OK && k <= t->table->folds; k++) {
    status = train_fold(&f, k, run != NULL);
    if (status == NNRT_OK) status = measure(&f, k);
    if (status == NNRT_OK) status = link_best(&f, k);
    if (status == NNRT_OK) status = log_fold(&f, k);
  }
  if (status == NNRT_OK) status = report(&f);
  t->fold = 0;
  t->folder = NULL;
  free(f.values);
  nnrt_rundir_close(&f.run);
  return status;
}
