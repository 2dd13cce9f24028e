/* eval.c - the verb `eval`: the losses and reports of a training over its test data, else the part held back for
 * validation, else the training data. */
#include "runtime/cli.h"
#include "runtime/closest.h"
#include "runtime/evaluate.h"
#include "runtime/file.h"
#include "runtime/rundir.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { BATCH = 256 };

typedef struct Eval {
  NnrtCli *cli;
  const NnrtTrain *table;
  NnrtPool *pool;
  NnrtModel model;
  NnrtStream *streams; /* of each data set of the training */
  NnrtShare *sets;     /* what is measured on */
  const char *which;   /* "test data", ... */
  NnrtOrigin origin;   /* of the weights */
  NnrtEvaluation evaluation;
  double *values;
} Eval;

/* The k-th data set, or the one of index `data` in its place, and which of its examples: those held back, or all. */
static int open_stream(Eval *v, int k, int64_t data, bool held) {
  NnrtStream *s = &v->streams[k];
  NnrtOverride *overrides;
  int n;
  int status = nnrt_cli_data(v->cli, data, k == 0, &overrides, &n);
  if (status == NNRT_OK) status = nnrt_data_open(&s->data, &v->model, data, overrides, n, -1, &v->cli->error);
  free(overrides);
  if (n && k == 0) v->which = "given data";
  if (n) held = false; /* all of it: the user chose these examples */
  NnrtHeld part = held ? (NnrtHeld){v->table->validate, v->origin.fold, v->table->folds} : (NnrtHeld){0};
  if (status == NNRT_OK) status = nnrt_stream_divide(s, (uint64_t)v->origin.seed, part, k == 0, &v->cli->error);
  v->sets[k] = s->held ? nnrt_stream_validation(s) : (NnrtShare){&s->data, 0, s->places, s->n};
  v->sets[k].index = v->table->data[k];
  return status;
}

/* Which data, and which examples of them. Test and validation data stand for the training's first. */
static int open_data(Eval *v) {
  const NnrtTrain *t = v->table;
  bool test = t->test_data >= 0, other = !test && t->validate_data >= 0;
  bool parts = t->validate > 0 || v->origin.fold, held = !test && !other && parts;
  v->which = test             ? "test data"
             : other          ? "validation data"
             : !held          ? "training data"
             : v->origin.fold ? "weights' own fold"
                              : "held-back part";
  v->streams = calloc((size_t)t->n_data, sizeof *v->streams);
  v->sets = calloc((size_t)t->n_data, sizeof *v->sets);
  if (!v->streams || !v->sets) return nnrt_fail_memory(&v->cli->error, 0, "the data");
  int status = NNRT_OK;
  for (int k = 0; status == NNRT_OK && k < (int)t->n_data; k++) {
    int64_t data = k ? t->data[k] : test ? t->test_data : other ? t->validate_data : t->data[0];
    status = open_stream(v, k, data, k ? parts : held);
  }
  return status;
}

/* The seed by which the data were divided, and which fold the weights have not seen; more folds than there are are
 * another program's. */
static void read_origin(NnrtOrigin *o, const NnrtSafetensors *s) {
  o->seed = nnrt_safetensors_integer(s, "seed", o->seed);
  o->fold = nnrt_safetensors_integer(s, "fold", 0);
  if (o->fold > o->folds) o->fold = 0;
}

static int run(Eval *v) {
  int64_t batch;
  NnrtError *e = &v->cli->error;
  int status = nnrt_cli_natural(v->cli, NNRT_OPT_BATCH, 1, BATCH, &batch);
  if (status == NNRT_OK) status = nnrt_cli_pool(v->cli, &v->pool);
  if (status == NNRT_OK) status = nnrt_model_open(&v->model, v->cli->program, v->pool, e);
  NnrtOrigin *o = &v->origin;
  *o = (NnrtOrigin){read_origin, .seed = v->table->seed, .folds = v->table->folds};
  if (status == NNRT_OK) status = nnrt_cli_load(v->cli, &v->model, o);
  if (status == NNRT_OK) status = nnrt_cli_natural(v->cli, NNRT_OPT_SEED, 0, o->seed, &o->seed);
  if (status == NNRT_OK) status = open_data(v);
  if (status == NNRT_OK)
    status = nnrt_evaluation_open(&v->evaluation, &v->model, v->table, v->sets, batch, v->origin.seed, e);
  if (status != NNRT_OK) return status;
  v->values = calloc((size_t)v->evaluation.meter.n + 1, sizeof *v->values);
  if (!v->values) return nnrt_fail_memory(e, 0, "the metrics");
  return nnrt_evaluation_run(&v->evaluation, 1, 1, 1, v->values, e);
}

static void put_result(const Eval *v, NnrtLine *l) {
  nnrt_line_open(l, NULL, '{');
  nnrt_line_string(l, "event", "result");
  nnrt_line_integer(l, "schema", 1);
  nnrt_line_open(l, "metrics", '{');
  for (int i = 0; i < v->evaluation.meter.n; i++)
    nnrt_line_real(l, v->evaluation.meter.metrics[i].name, v->values[i], v->evaluation.meter.metrics[i].single);
  nnrt_line_close(l, '}');
  nnrt_line_string(l, "data", v->streams[0].data.table->name);
  nnrt_line_string(l, "part", v->which);
  nnrt_line_integer(l, "examples", v->sets[0].n);
  nnrt_line_close(l, '}');
}

static void print(Eval *v) {
  if (v->cli->json) {
    put_result(v, &v->cli->line);
    nnrt_cli_print_line(v->cli);
    return;
  }
  if (!v->cli->quiet)
    fprintf(stderr, "%s, the %s: %lld examples\n", v->streams[0].data.table->name, v->which, (long long)v->sets[0].n);
  char text[32];
  for (int i = 0; i < v->evaluation.meter.n; i++)
    printf("%s %s\n", v->evaluation.meter.metrics[i].name,
           nnrt_real_text(v->values[i], v->evaluation.meter.metrics[i].single, text));
}

/* --report DIR: the same as JSON in a file. */
static int write_report(const Eval *v) {
  const char *folder = nnrt_cli_text(v->cli, NNRT_OPT_REPORT);
  if (!folder) return NNRT_OK;
  if (mkdir(folder, 0777) != 0 && errno != EEXIST)
    return nnrt_fail(&v->cli->error, NNRT_EFAIL, "%s: cannot be made: %s", folder, strerror(errno));
  char path[4096];
  NnrtLine l = {0};
  put_result(v, &l);
  nnrt_line_raw(&l, "\n");
  snprintf(path, sizeof path, "%s/report.json", folder);
  NnrtSlice slice = {l.text, l.n};
  int status =
      l.failed ? nnrt_fail_memory(&v->cli->error, 0, path) : nnrt_file_write(path, &slice, 1, &v->cli->error);
  nnrt_line_free(&l);
  return status;
}

/* ---- --assert ---- */

static bool is_sign(const char *sign) {
  static const char *const signs[] = {">=", "<=", "==", "!=", ">", "<"};
  for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
    if (strcmp(sign, signs[i]) == 0) return true;
  return false;
}

static bool holds(double a, const char *sign, double b) {
  if (strcmp(sign, ">=") == 0) return a >= b;
  if (strcmp(sign, "<=") == 0) return a <= b;
  if (strcmp(sign, "==") == 0) return a == b;
  if (strcmp(sign, "!=") == 0) return a != b;
  return strcmp(sign, ">") == 0 ? a > b : a < b;
}

/* " loss, accuracy"; cut where the room ends. */
static const char *list_metrics(const Eval *v, char *text, size_t room) {
  size_t n = 0;
  text[0] = 0;
  for (int i = 0; i < v->evaluation.meter.n && n < room; i++)
    n += (size_t)snprintf(text + n, room - n, "%s %s", i ? "," : "", v->evaluation.meter.metrics[i].name);
  return text;
}

/* "accuracy >= 0.97" */
static int check_assert(const Eval *v, const char *text) {
  char name[64], sign[3], rest[2], value[32];
  double bound;
  NnrtError *e = &v->cli->error;
  if (sscanf(text, " %63[^<>=! ] %2[<>=!] %lf %1s", name, sign, &bound, rest) != 3 || !is_sign(sign))
    return nnrt_fail(e, NNRT_EUSAGE, "--assert takes a test such as 'accuracy >= 0.97', not '%s'", text);
  NnrtClosest near = {0};
  for (int i = 0; i < v->evaluation.meter.n; i++) {
    const char *metric = v->evaluation.meter.metrics[i].name;
    nnrt_closest_try(&near, name, metric);
    if (strcmp(metric, name) != 0) continue;
    if (holds(v->values[i], sign, bound)) return NNRT_OK;
    return nnrt_fail(e, NNRT_EASSERT, "%s is %s, but '%s' was asked for", name,
                     nnrt_real_text(v->values[i], false, value), text);
  }
  char hint[96], all[256];
  return nnrt_fail(e, NNRT_EUSAGE, "--assert: there is no metric \"%s\"%s; there are%s", name,
                   nnrt_closest_text(&near, name, hint), list_metrics(v, all, sizeof all));
}

static int check_asserts(const Eval *v) {
  int status = NNRT_OK;
  for (int i = 0; status == NNRT_OK && i < v->cli->n_given; i++)
    if (v->cli->given[i].id == NNRT_OPT_ASSERT) status = check_assert(v, v->cli->given[i].value);
  return status;
}

/* ---- the verb ---- */

int nnrt_verb_eval(const NnrtProgram *p, NnrtCli *cli) {
  if (p->n_train == 0 || p->train[0].eval < 0) {
    nnrt_fail(&cli->error, NNRT_EUSAGE, "the program has no training, so nothing says what to evaluate");
    return nnrt_cli_fail(cli);
  }
  /* The block that is named, or the last. */
  const NnrtTrain *block = cli->n_files ? nnrt_cli_block(cli, cli->files[0]) : &p->train[p->n_train - 1];
  if (!block) return nnrt_cli_fail(cli);
  Eval v = {.cli = cli, .table = block};
  int status = run(&v);
  if (status == NNRT_OK) {
    print(&v);
    status = write_report(&v);
  }
  if (status == NNRT_OK) status = check_asserts(&v);
  if (status == NNRT_OK) status = nnrt_cli_finish(cli);
  nnrt_evaluation_close(&v.evaluation);
  for (int64_t k = 0; v.streams && k < block->n_data; k++) nnrt_stream_close(&v.streams[k]);
  nnrt_model_close(&v.model);
  nnrt_pool_close(v.pool);
  free(v.streams);
  free(v.sets);
  free(v.values);
  return status == NNRT_OK ? NNRT_OK : nnrt_cli_fail(cli);
}
