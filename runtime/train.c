/* train.c - the verb `train`: checks everything, then steps. See training.h. */
#include "runtime/training.h"
#include "runtime/closest.h"
#include "runtime/start.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- settings ---- */

static int read_settings(NnrtTraining *t) {
  const NnrtTrain *s = t->table;
  NnrtCli *c = t->cli;
  int status = nnrt_cli_natural(c, NNRT_OPT_EPOCHS, 0, s->epochs, &t->epochs);
  if (status == NNRT_OK) status = nnrt_cli_natural(c, NNRT_OPT_STEPS, 1, s->steps, &t->steps);
  if (status == NNRT_OK) status = nnrt_cli_natural(c, NNRT_OPT_BATCH, 1, s->batch > 0 ? s->batch : 32, &t->batch);
  if (status == NNRT_OK)
    status = nnrt_cli_natural(c, NNRT_OPT_SEED, 0, t->run_seed < 0 ? s->seed : t->run_seed, &t->seed);
  if (status == NNRT_OK) status = nnrt_training_parse_save_every(t);
  /* --steps wins over all, --epochs over the source's steps. */
  t->by_steps = t->steps > 0 && (nnrt_cli_text(c, NNRT_OPT_STEPS) || !nnrt_cli_text(c, NNRT_OPT_EPOCHS));
  if (t->epochs == 0 && !nnrt_cli_text(c, NNRT_OPT_EPOCHS)) t->epochs = 10;
  t->shuffle = s->shuffle && !nnrt_cli_flag(c, NNRT_OPT_NO_SHUFFLE);
  return status;
}

/* ---- data ---- */

static int open_data(NnrtTraining *t, NnrtDataset *d, int64_t index, bool main) {
  NnrtOverride *overrides;
  int n;
  int status = nnrt_cli_data(t->cli, index, main, &overrides, &n);
  if (status == NNRT_OK) status = nnrt_data_open(d, &t->model, index, overrides, n, -1, t->error);
  free(overrides);
  return status;
}

/* The k-th data set, divided; another one validates in place of a part of the first. */
static int open_stream(NnrtTraining *t, int k) {
  NnrtStream *s = &t->streams[k];
  bool first = k == 0;
  int status = open_data(t, &s->data, t->table->data[k], first);
  if (status == NNRT_OK && first && t->table->validate_data >= 0)
    status = open_data(t, &s->other, t->table->validate_data, false);
  NnrtHeld held = {t->table->validate, t->fold, t->table->folds};
  if (status == NNRT_OK) status = nnrt_stream_divide(s, (uint64_t)t->seed, held, first, t->error);
  if (status != NNRT_OK) return status;
  t->sets[k] = (NnrtShare){&s->data, s->index, s->places, s->n};
  t->validation[k] = nnrt_stream_validation(s);
  if (!t->validation[k].n) t->validation[k] = t->sets[k]; /* beside what validates */
  return NNRT_OK;
}

static int open_all_data(NnrtTraining *t) {
  size_t n = (size_t)t->table->n_data;
  t->streams = calloc(n, sizeof *t->streams);
  t->sets = calloc(n, sizeof *t->sets);
  t->validation = calloc(n, sizeof *t->validation);
  t->places = calloc(n, sizeof *t->places);
  if (!t->streams || !t->sets || !t->validation || !t->places) return nnrt_fail_memory(t->error, n * 64, "the data");
  t->n_sets = (int)n;
  for (int k = 0; k < t->n_sets; k++) {
    int status = open_stream(t, k);
    if (status != NNRT_OK) return status;
  }
  t->n = t->streams[0].n;
  t->n_validation = t->streams[0].held;
  if (t->batch > t->n) t->batch = t->n;
  t->taken = malloc(n * (size_t)t->batch * sizeof *t->taken);
  if (!t->taken) return nnrt_fail_memory(t->error, n * (size_t)t->batch * 8, "a batch");
  int64_t batches = (t->n + t->batch - 1) / t->batch, most = INT32_MAX;
  if (!t->by_steps) t->steps = t->epochs > most / batches ? most : t->epochs * batches;
  if (t->steps > most) t->steps = most;
  return NNRT_OK;
}

/* ---- the model ---- */

/* The metric that says which epoch is best, and whether to stop: that of `stop when`, else the first validation loss.
 */
static void choose_watched(NnrtTraining *t) {
  t->watched = t->n_validation && t->meter.n_losses ? t->meter.n : -1;
  for (int i = 0; t->table->stall && i < nnrt_training_metrics(t); i++) {
    const char *prefix = nnrt_training_metric_prefix(t, i);
    size_t n = strlen(prefix);
    if (strncmp(t->table->stall, prefix, n) == 0 &&
        strcmp(t->table->stall + n, nnrt_training_metric(t, i)->name) == 0)
      t->watched = i;
  }
  t->watched_up = t->watched >= 0 && !nnrt_training_metric(t, t->watched)->loss;
}

static int open_graphs(NnrtTraining *t) {
  int64_t piece;
  int status = nnrt_pieces_size(t->cli->program, t->table, nnrt_cli_text(t->cli, NNRT_OPT_MICRO_BATCH), t->batch,
                                &piece, t->error);
  if (status != NNRT_OK) return status;
  int64_t graph = piece ? t->table->grads : t->table->step, batch = piece ? piece : t->batch;
  status = nnrt_feed_open(&t->feed, &t->model, graph, t->sets, t->n_sets, batch, t->seed, t->error);
  if (status == NNRT_OK) status = nnrt_pieces_open(&t->pieces, &t->model, t->table, piece, &t->feed, t->error);
  if (status == NNRT_OK) status = nnrt_meter_open(&t->meter, t->table, &t->feed.run, t->n, t->error);
  if (status == NNRT_OK && t->n_validation)
    status = nnrt_evaluation_open(&t->evaluation, &t->model, t->table, t->validation, batch, t->seed, t->error);
  if (status != NNRT_OK) return status;
  t->values = calloc((size_t)nnrt_training_metrics(t) + 1, sizeof *t->values);
  if (!piece && !nnrt_meter_streams(&t->meter)) t->late = nnrt_run_most_late(&t->feed.run);
  if (t->late > NNRT_MOST_LATE) t->late = NNRT_MOST_LATE;
  t->feed.run.late = t->late;
  choose_watched(t);
  return t->values ? NNRT_OK : nnrt_fail_memory(t->error, 0, "the metrics");
}

/* Did a block before this one train on the data set? */
static bool has_statistics(const NnrtTraining *t, int64_t data) {
  for (const NnrtTrain *before = t->first_block; before < t->table; before++)
    for (int64_t k = 0; k < before->n_data; k++)
      if (before->data[k] == data) return true;
  return false;
}

/* Statistics of the training parts of data sets that were not met before. */
static int fill_statistics(NnrtTraining *t) {
  int status = NNRT_OK;
  for (int k = 0; status == NNRT_OK && k < t->n_sets; k++) {
    const NnrtShare *s = &t->sets[k];
    if (t->goes_on && has_statistics(t, s->index)) continue;
    status = nnrt_data_statistics(s->data, &t->model, s->places, s->n, t->error);
  }
  return status;
}

static int load_weights(NnrtTraining *t, const char *weights) {
  NnrtSafetensors s;
  int status = nnrt_safetensors_open(&s, weights, t->error);
  if (status != NNRT_OK) return status;
  status = nnrt_checkpoint_load(&t->model, &s, NNRT_LOAD_WEIGHTS, t->error);
  nnrt_safetensors_close(&s);
  return status;
}

/* The training's states that are made of weights, now that these are there. */
static int begin_states(NnrtTraining *t) {
  return t->table->begin < 0 ? NNRT_OK : nnrt_model_init(&t->model, t->table->begin, t->seed, t->error);
}

/* Whether first values are made of statistics. */
static bool init_reads_statistics(const NnrtProgram *p) {
  const NnrtGraph *g = p->init < 0 ? NULL : &p->graphs[p->init];
  for (int64_t i = 0; g && i < g->n_buffers; i++)
    if (g->buffers[i].place == NNRT_STATE && p->variables[g->buffers[i].index].role == NNRT_ROLE_STATISTIC)
      return true;
  return false;
}

/* First values, and statistics of the training part; what is made of these anew, all else the same again. */
static int fill_first(NnrtTraining *t) {
  const NnrtProgram *p = t->cli->program;
  int status = t->goes_on ? NNRT_OK : nnrt_model_init(&t->model, p->init, t->seed, t->error);
  if (status == NNRT_OK) status = fill_statistics(t);
  if (status != NNRT_OK || t->goes_on || !init_reads_statistics(p)) return status;
  return nnrt_model_init(&t->model, p->init, t->seed, t->error);
}

/* First values and statistics, weights of instances, of all: in this order, the last wins; a file that holds the
 * training's states has them, too. After another block only the statistics of data that it did not have, and its own
 * states. */
static int fill_model(NnrtTraining *t) {
  const char *weights = nnrt_cli_text(t->cli, NNRT_OPT_WEIGHTS);
  bool all = !t->goes_on && weights && !nnrt_start_is_part(t->cli->program, weights);
  int status = fill_first(t);
  if (status == NNRT_OK && !t->goes_on) status = nnrt_start_load(t->cli, &t->model);
  if (status == NNRT_OK && all) status = load_weights(t, weights);
  if (status == NNRT_OK) status = begin_states(t);
  return status == NNRT_OK && all && t->table->begin >= 0 ? load_weights(t, weights) : status;
}

static const char hyper[] = "hyper/";

/* The hyper value of this name, n letters; -1: none, and the closest. */
static int64_t find_hyper(const NnrtProgram *p, const char *name, size_t n, NnrtClosest *near) {
  char text[128];
  snprintf(text, sizeof text, "%.*s", (int)n, name);
  for (int64_t i = 0; i < p->n_variables; i++) {
    if (p->variables[i].role != NNRT_ROLE_HYPER) continue;
    const char *own = p->variables[i].name + strlen(hyper);
    if (strcmp(own, text) == 0) return i;
    nnrt_closest_try(near, text, own);
  }
  return -1;
}

static int set_one(NnrtTraining *t, const char *text) {
  const NnrtProgram *p = t->cli->program;
  NnrtClosest near = {0};
  char hint[96], name[128], *end;
  const char *equals = strchr(text, '=');
  size_t n = equals ? (size_t)(equals - text) : strlen(text);
  int64_t i = find_hyper(p, text, n, &near);
  snprintf(name, sizeof name, "%.*s", (int)n, text);
  if (i < 0)
    return nnrt_fail(t->error, NNRT_EUSAGE, "--set: the program has no hyper value \"%s\"%s", name,
                     nnrt_closest_text(&near, name, hint));
  bool whole = p->variables[i].dtype == NNRT_I32;
  double v = equals ? strtod(equals + 1, &end) : 0;
  if (!equals || end == equals + 1 || *end || !isfinite(v) || (whole && (v != floor(v) || fabs(v) > INT32_MAX)))
    return nnrt_fail(t->error, NNRT_EUSAGE, "--set %s: %s is wanted after %s=", text,
                     whole ? "an integer" : "a number", name);
  nnrt_convert(NNRT_F64, &v, false, (NnrtDtype)p->variables[i].dtype, t->model.variables[i], 1);
  return NNRT_OK;
}

/* --set NAME=VALUE: after all that is loaded. */
static int set_hypers(NnrtTraining *t) {
  int status = NNRT_OK;
  for (int i = 0; status == NNRT_OK && i < t->cli->n_given; i++)
    if (t->cli->given[i].id == NNRT_OPT_SET) status = set_one(t, t->cli->given[i].value);
  return status;
}

/* ---- gradients ---- */

/* The next n examples of each data set. */
static void take_batch(NnrtTraining *t, int64_t n) {
  for (int k = 0; k < t->n_sets; k++)
    nnrt_stream_take(&t->streams[k], (uint64_t)t->seed, t->shuffle, t->epoch * t->n + t->position, n,
                     t->taken + k * t->batch);
}

/* Where the batch's examples from `first` on are, of each data set. */
static const int64_t *const *piece(NnrtTraining *t, int64_t first) {
  for (int k = 0; k < t->n_sets; k++) t->places[k] = t->taken + k * t->batch + first;
  return t->places;
}

/* --save-grads: of the first batch, at the first weights. */
static int save_grads(NnrtTraining *t, const char *path) {
  if (t->table->grads < 0) return nnrt_fail(t->error, NNRT_EUSAGE, "--save-grads: the program has no gradients");
  NnrtFeed f;
  int status = nnrt_feed_open(&f, &t->model, t->table->grads, t->sets, t->n_sets, t->batch, t->seed, t->error);
  if (status != NNRT_OK) return status;
  take_batch(t, t->batch);
  status = nnrt_feed_run(&f, piece(t, 0), t->batch, 1, t->steps, 1, t->error);
  int outputs = (int)f.run.graph->n_outputs, n = 0;
  NnrtTensor *tensors = calloc((size_t)outputs + 1, sizeof *tensors);
  if (!tensors) status = nnrt_fail_memory(t->error, (size_t)outputs * sizeof *tensors, path);
  for (int i = 0; status == NNRT_OK && i < outputs; i++) {
    const NnrtPort *p = &f.run.graph->outputs[i];
    if (strncmp(p->name, "grad/", 5) != 0) continue; /* a loss or a report */
    NnrtTensor *x = &tensors[n++];
    *x = (NnrtTensor){.name = p->name + 5,
                      .dtype = (NnrtDtype)p->dtype,
                      .rank = (int)p->n_shape,
                      .data = nnrt_run_output(&f.run, i)};
    x->bytes = nnrt_port_shape(&f.run, p, x->shape) * nnrt_dtype(x->dtype)->bytes;
  }
  if (status == NNRT_OK) status = nnrt_safetensors_write(path, tensors, n, NULL, 0, t->error);
  free(tensors);
  nnrt_feed_close(&f);
  return status;
}

/* ---- the loop ---- */

/* The source line of the launch that computes an output; 0: there is none, as on the interpreter. */
static long long line_of_output(const NnrtGraph *g, int port) {
  int64_t buffer = g->outputs[port].buffer, line = 0;
  for (int64_t i = 0; i < g->n_launches; i++)
    for (int64_t k = 0; k < g->launches[i].n_buffers; k++)
      if (g->launches[i].buffers[k] == buffer) line = g->launches[i].line;
  return (long long)line;
}

static int diverged(NnrtTraining *t, const NnrtMetric *bad) {
  char value[32], place[48] = "";
  long long line = line_of_output(t->feed.run.graph, bad->port);
  nnrt_rundir_flush(&t->run, NULL);
  if (line) snprintf(place, sizeof place, " (line %lld of the source)", line);
  return nnrt_fail(t->error, NNRT_EDIVERGED, "%s%s is %s at step %lld; %s/last.safetensors %s", bad->name, place,
                   nnrt_real_text(bad->last, false, value), (long long)t->seen.step, t->run.path,
                   t->last_save_step ? "holds the last good weights" : "was not written yet");
}

/* What a step measured was added to the meter: it is logged. */
static int see(NnrtTraining *t, NnrtSeen s) {
  t->seen = s;
  int status = nnrt_training_log_step(t);
  const NnrtMetric *bad = nnrt_meter_bad(&t->meter);
  return status == NNRT_OK && bad ? diverged(t, bad) : status;
}

/* Waits for steps, the oldest first, until at most so many are under way. */
static int settle(NnrtTraining *t, int most) {
  int status = NNRT_OK;
  while (t->n_under_way > most && status == NNRT_OK) {
    NnrtSeen s = t->under_way[0];
    nnrt_run_arrive(&t->feed.run, --t->n_under_way);
    memmove(t->under_way, t->under_way + 1, (size_t)t->n_under_way * sizeof *t->under_way);
    nnrt_meter_step(&t->meter);
    nnrt_meter_add(&t->meter, &t->feed.run, s.n);
    status = see(t, s);
  }
  return status;
}

/* One step on the next n examples. */
static int run_whole(NnrtTraining *t, int64_t n) {
  int status = nnrt_feed_resizes(&t->feed, piece(t, 0), n) ? settle(t, 0) : NNRT_OK;
  if (status == NNRT_OK)
    status = nnrt_feed_run(&t->feed, piece(t, 0), n, t->step + 1, t->steps, t->epoch + 1, t->error);
  if (status != NNRT_OK) return status;
  t->under_way[t->n_under_way++] = (NnrtSeen){n, t->step + 1, t->position + n};
  return settle(t, t->late);
}

static int run_pieces(NnrtTraining *t, int64_t n) {
  int64_t size = t->pieces.size < n ? t->pieces.size : n;
  nnrt_meter_step(&t->meter);
  for (int64_t first = 0; first < n; first += size) {
    int64_t m = n - first < size ? n - first : size;
    int status = nnrt_feed_run(&t->feed, piece(t, first), m, t->step + 1, t->steps, t->epoch + 1, t->error);
    if (status != NNRT_OK) return status;
    nnrt_meter_add(&t->meter, &t->feed.run, m);
    nnrt_pieces_add(&t->pieces, &t->feed, (double)m / (double)n, first == 0);
  }
  int status = nnrt_pieces_update(&t->pieces, n, t->error);
  return status == NNRT_OK ? see(t, (NnrtSeen){n, t->step + 1, t->position + n}) : status;
}

static int run_step(NnrtTraining *t) {
  int64_t n = t->n - t->position < t->batch ? t->n - t->position : t->batch;
  if (t->position == 0) nnrt_progress_epoch(&t->progress);
  take_batch(t, n);
  int status = t->pieces.size ? run_pieces(t, n) : run_whole(t, n);
  t->step++;
  t->position += n;
  return status;
}

/* Is this epoch the best? If so it is kept; if none was for long enough, `stop when` holds. */
static int judge_epoch(NnrtTraining *t) {
  if (t->watched < 0 || nnrt_training_metric(t, t->watched)->none) return NNRT_OK;
  double v = t->values[t->watched];
  bool better = isnan(t->best) ? !isnan(v) : t->watched_up ? v > t->best : v < t->best;
  t->stalled = better ? 0 : t->stalled + 1;
  t->stop = t->table->stall && t->stalled >= t->table->stall_epochs;
  if (!better) return NNRT_OK;
  t->best = v;
  return nnrt_training_keep_best(t);
}

/* Averages of the epoch, or of the part of it that was trained. */
static int measure(NnrtTraining *t) {
  int status = nnrt_meter_values(&t->meter, t->values, t->error);
  if (status == NNRT_OK && t->n_validation)
    status = nnrt_evaluation_run(&t->evaluation, t->step, t->steps, t->epoch + 1, t->values + t->meter.n, t->error);
  t->have_values = true;
  return status;
}

static int end_epoch(NnrtTraining *t) {
  int status = settle(t, 0);
  if (status == NNRT_OK) status = measure(t);
  if (status != NNRT_OK) return status;
  t->epoch++;
  t->position = 0;
  nnrt_meter_reset(&t->meter);
  status = judge_epoch(t);
  return status != NNRT_OK ? status : nnrt_training_log_epoch(t);
}

/* SIGINT and SIGTERM are blocked while the loop runs, and asked for between steps: no handler, no global. */
static void stop_signals(sigset_t *set) {
  sigemptyset(set);
  sigaddset(set, SIGINT);
  sigaddset(set, SIGTERM);
}

static bool signal_came(const sigset_t *set) {
  const struct timespec now = {0};
  return sigtimedwait(set, NULL, &now) > 0;
}

/* The options that a resumed run must be given again: a checkpoint does not hold how long the run is, or what it
 * reads.
 */
static void options_again(const NnrtCli *c, char *text, size_t room) {
  static const NnrtOptionId kept[] = {NNRT_OPT_DATA,  NNRT_OPT_EPOCHS,      NNRT_OPT_STEPS,
                                      NNRT_OPT_BATCH, NNRT_OPT_MICRO_BATCH, NNRT_OPT_NO_SHUFFLE};
  size_t n = 0;
  text[0] = 0;
  for (int i = 0; i < c->n_given; i++)
    for (size_t k = 0; k < sizeof kept / sizeof *kept; k++) {
      if (c->given[i].id != kept[k] || n >= room) continue;
      const char *value = c->given[i].value;
      n += (size_t)snprintf(text + n, room - n, " --%s%s%s", nnrt_option(kept[k])->name, *value ? " " : "", value);
    }
}

static int stopped(NnrtTraining *t) {
  char again[256];
  int status = settle(t, 0);
  if (status == NNRT_OK) status = nnrt_training_save(t);
  if (status != NNRT_OK) return status;
  options_again(t->cli, again, sizeof again);
  return nnrt_fail(t->error, NNRT_STOPPED, "stopped by a signal after step %lld, saved: go on with --resume %s%s",
                   (long long)t->step, t->fold ? t->folder : t->run.path, again);
}

static int loop(NnrtTraining *t, const sigset_t *signals) {
  int status = NNRT_OK;
  while (status == NNRT_OK && t->step < t->steps && !t->stop) {
    status = run_step(t);
    bool ended = status == NNRT_OK && t->position == t->n;
    if (ended) status = end_epoch(t);
    if (status != NNRT_OK) break;
    if (signal_came(signals)) return stopped(t);
    if (t->step == t->steps || !nnrt_training_save_is_due(t, ended)) continue;
    status = settle(t, 0);
    if (status == NNRT_OK) status = nnrt_training_save(t);
  }
  if (status == NNRT_OK) status = settle(t, 0);
  if (status == NNRT_OK && t->position) status = measure(t);
  return status != NNRT_OK ? status : nnrt_training_save(t);
}

/* ---- the verb ---- */

static int open_run(NnrtTraining *t, const NnrtSafetensors *resumed) {
  const char *model = t->cli->program->name;
  const char *given = nnrt_cli_text(t->cli, NNRT_OPT_RUN_DIR);
  char own[4096];
  bool several = t->cli->program->n_train > 1 && !t->cli->n_files; /* a folder each */
  if (t->fold) given = nnrt_fold_path(t->folder, t->fold, own, sizeof own);
  else if (several && given) snprintf(own, sizeof own, "%s/%s", given, t->table->name), given = own;
  if (!resumed) return nnrt_rundir_create(&t->run, model, given, t->error);
  int status = nnrt_training_resume(t, resumed);
  return status != NNRT_OK ? status : nnrt_rundir_cut(&t->run, t->step, t->error);
}

static int prepare(NnrtTraining *t, NnrtSafetensors *resumed) {
  int status = read_settings(t);
  if (status == NNRT_OK && resumed) status = nnrt_training_resume_seed(t, resumed);
  bool open = t->pool != NULL; /* by a block or a fold before */
  if (status == NNRT_OK && !open) status = nnrt_cli_pool(t->cli, &t->pool);
  if (status == NNRT_OK && !open) status = nnrt_model_open(&t->model, t->cli->program, t->pool, t->error);
  if (status == NNRT_OK) status = open_all_data(t);
  if (status == NNRT_OK) status = open_graphs(t);
  if (status == NNRT_OK && !resumed) status = fill_model(t);
  if (status == NNRT_OK) status = set_hypers(t);
  if (status == NNRT_OK) status = open_run(t, resumed);
  if (status == NNRT_OK && resumed) status = set_hypers(t);
  if (status == NNRT_OK && !resumed) status = nnrt_training_log_args(t);
  if (status != NNRT_OK) return status;
  const char *grads = nnrt_cli_text(t->cli, NNRT_OPT_SAVE_GRADS);
  return grads && t->fold <= 1 ? save_grads(t, grads) : NNRT_OK;
}

/* --verbose: what the training is, before it starts. */
static void describe(NnrtTraining *t) {
  if (!nnrt_cli_flag(t->cli, NNRT_OPT_VERBOSE)) return;
  nnrt_progress_say(&t->progress,
                    "data %s: %lld examples, %lld for validation; batches of %lld, %lld steps; seed %lld, %d threads",
                    t->streams[0].data.table->name, (long long)t->n, (long long)t->n_validation, (long long)t->batch,
                    (long long)t->steps, (long long)t->seed, nnrt_pool_threads(t->pool));
}

int nnrt_training_run(NnrtTraining *t, NnrtSafetensors *resumed) {
  bool quiet = t->progress.quiet = t->cli->quiet || t->cli->json;
  int status = prepare(t, resumed);
  if (status != NNRT_OK) return status;
  nnrt_progress_start(&t->progress, quiet, t->by_steps ? 0 : t->epochs, t->steps, t->step);
  if (t->cli->program->n_train > 1) nnrt_progress_say(&t->progress, "training %s", t->table->name);
  if (t->fold) nnrt_progress_say(&t->progress, "fold %lld of %lld", (long long)t->fold, (long long)t->table->folds);
  describe(t);
  if (resumed && t->step >= t->steps && !t->fold)
    nnrt_progress_say(&t->progress, "nothing is left to do: %lld steps are made, %lld were asked for; %s goes on",
                      (long long)t->step, (long long)t->steps,
                      t->by_steps ? "a larger --steps" : "a larger --epochs");
  t->last_save = nnrt_seconds();
  t->last_save_step = resumed ? t->step : 0;
  t->last_save_epoch = t->epoch;
  sigset_t signals, before;
  stop_signals(&signals);
  sigprocmask(SIG_BLOCK, &signals, &before);
  status = loop(t, &signals);
  sigprocmask(SIG_SETMASK, &before, NULL);
  if (status == NNRT_OK) status = nnrt_training_log_result(t);
  return status == NNRT_OK ? nnrt_rundir_flush(&t->run, t->error) : status;
}

/* All but the model, with which the next block goes on. */
static void close_block(NnrtTraining *t) {
  nnrt_rundir_close(&t->run);
  nnrt_evaluation_close(&t->evaluation);
  nnrt_meter_close(&t->meter);
  nnrt_pieces_close(&t->pieces);
  nnrt_feed_close(&t->feed);
  for (int k = 0; k < t->n_sets; k++) nnrt_stream_close(&t->streams[k]);
  free(t->streams);
  free(t->sets);
  free(t->validation);
  free(t->places);
  free(t->taken);
  free(t->values);
  free(t->best_block);
}

void nnrt_training_renew(NnrtTraining *t, const NnrtTrain *block) {
  if (t->table) close_block(t);
  *t = (NnrtTraining){.cli = t->cli,
                      .error = &t->cli->error,
                      .table = block,
                      .best = NAN,
                      .watched = -1,
                      .first_block = t->first_block,
                      .goes_on = t->goes_on,
                      .run_seed = t->run_seed,
                      .folder = t->folder,
                      .fold = t->fold,
                      .pool = t->pool,
                      .model = t->model};
  t->run.jsonl.fd = t->run.csv.fd = -1;
}

/* Goes on with the run that --resume names, which says what block it is of. */
static int resume(NnrtTraining *t, const char *folder) {
  int status = nnrt_rundir_resume(&t->run, t->cli->program->name, folder, t->error);
  if (status != NNRT_OK) return status;
  if (t->table->folds) return nnrt_training_folds(t, &t->run);
  char path[4096];
  NnrtSafetensors s;
  status = nnrt_safetensors_open(&s, nnrt_rundir_file(&t->run, "last.safetensors", path, sizeof path), t->error);
  if (status != NNRT_OK) return status;
  const char *block = nnrt_safetensors_meta(&s, "train");
  const NnrtTrain *found = block ? nnrt_cli_block(t->cli, block) : t->table;
  if (found) t->table = t->first_block = found;
  status = found ? nnrt_training_run(t, &s) : t->error->status;
  nnrt_safetensors_close(&s);
  return status;
}

/* Blocks first .. last, each beginning with what the one before left. */
static int train_blocks(NnrtTraining *t, const NnrtTrain *first, const NnrtTrain *last) {
  NnrtCli *cli = t->cli;
  const char *folder = nnrt_cli_text(cli, NNRT_OPT_RESUME);
  int status = NNRT_OK;
  t->run_seed = -1;
  t->first_block = first;
  for (const NnrtTrain *block = first; status == NNRT_OK && block <= last; block = t->table + 1) {
    nnrt_training_renew(t, block);
    t->goes_on = block > t->first_block;
    status = folder && !t->goes_on ? resume(t, folder)
             : block->folds        ? nnrt_training_folds(t, NULL)
                                   : nnrt_training_run(t, NULL);
    if (last < t->table) last = t->table;
    if (folder) t->run_seed = t->seed;
  }
  return status;
}

int nnrt_verb_train(const NnrtProgram *p, NnrtCli *cli) {
  const NnrtTrain *first = p->train, *last = first + p->n_train - 1;
  if (cli->n_files) first = last = nnrt_cli_block(cli, cli->files[0]);
  if (!first) return nnrt_cli_fail(cli);
  NnrtTraining *t = calloc(1, sizeof *t);
  if (!t) return NNRT_EDEVICE;
  t->cli = cli;
  int status = train_blocks(t, first, last);
  if (status == NNRT_OK) status = nnrt_cli_finish(cli);
  close_block(t);
  nnrt_model_close(&t->model);
  nnrt_pool_close(t->pool);
  free(t);
  return status == NNRT_OK ? NNRT_OK : nnrt_cli_fail(cli);
}
