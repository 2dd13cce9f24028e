/* bench.c - the verb `bench`: the time of each entry and of a whole training step (from the batch's gathering to the
 * optimizer), for every --batch and --threads. The training step comes last and is the result. A case is timed call
 * by call for a while, in
 * --repeat rounds after a warm-up; the figure is the median of the rounds' medians.
 * With --kernels, the kernels of each case instead (bench_kernels.c). */
#include "runtime/bench.h"
#include "runtime/feed.h"
#include "runtime/progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LIST = 16, MAX_CALLS = 4096 };

static const double warm_seconds = 0.2, round_seconds = 0.2;

typedef struct Bench {
  NnrtCli *cli;
  NnrtError *error;
  int64_t batch[MAX_LIST], threads[MAX_LIST], rounds;
  int n_batch, n_threads;
  char format; /* 'm' md, 'c' csv, 'j' json */
  bool kernels;
  double last; /* median of the last case, microseconds */
} Bench;

typedef struct Case {
  const char *name;
  int64_t graph, batch;
  const NnrtTrain *train; /* NULL: an entry */
} Case;

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double median(double *v, int n) {
  qsort(v, (size_t)n, sizeof *v, by_value);
  return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

/* ---- data ---- */

/* Where the files are missing: `n` examples of zeros. */
static int blank_data(NnrtDataset *d, const NnrtProgram *p, int64_t index, int64_t n, NnrtError *e) {
  const NnrtData *t = &p->data[index];
  *d = (NnrtDataset){.table = t, .index = index, .count = n};
  d->fields = calloc((size_t)t->n_fields + 1, sizeof *d->fields);
  d->bytes = calloc((size_t)t->n_fields + 1, sizeof *d->bytes);
  bool done = d->fields && d->bytes;
  for (int64_t k = 0; done && k < t->n_fields; k++) {
    const NnrtField *f = &t->fields[k];
    int64_t shape[NNRT_MAX_RANK];
    for (int64_t i = 0; i < f->n_shape; i++) shape[i] = f->shape[i] < 0 ? 1 : f->shape[i];
    done = nnrt_shape_bytes(shape, (int)f->n_shape, (NnrtDtype)f->dtype, &d->bytes[k]) &&
           (d->fields[k] = nnrt_allocate(n * d->bytes[k])) != NULL;
  }
  if (done) return NNRT_OK;
  nnrt_data_close(d);
  return nnrt_fail_memory(e, (unsigned long long)n, t->name);
}

static int64_t *identity(int64_t n, int64_t all) {
  int64_t *places = malloc((size_t)n * sizeof *places);
  for (int64_t i = 0; places && i < n; i++) places[i] = i % all;
  return places;
}

/* ---- timing ---- */

static void call(NnrtFeed *f, const int64_t *const *places, int64_t n, NnrtRun *run, int64_t step) {
  if (f) nnrt_feed_run(f, places, n, step, INT32_MAX, 1, NULL);
  else nnrt_run_go(run);
}

/* Microseconds of one call. */
static double time_calls(const Bench *b, NnrtFeed *f, const int64_t *const *places, int64_t n, NnrtRun *run,
                         double *calls, double *rounds) {
  int64_t step = 1;
  for (double end = nnrt_seconds() + warm_seconds; nnrt_seconds() < end; step++) call(f, places, n, run, step);
  for (int64_t r = 0; r < b->rounds; r++) {
    int k = 0;
    for (double end = nnrt_seconds() + round_seconds; k < MAX_CALLS && (k < 3 || nnrt_seconds() < end); k++, step++) {
      double start = nnrt_seconds();
      call(f, places, n, run, step);
      calls[k] = 1e6 * (nnrt_seconds() - start);
    }
    rounds[r] = median(calls, k);
  }
  return median(rounds, (int)b->rounds);
}

static void report(Bench *b, const Case *c, int threads, double us, const double *rounds) {
  double per_second = 1e6 / us * (double)c->batch, least = rounds[0], most = rounds[b->rounds - 1];
  b->last = us;
  if (b->format == 'm')
    printf("| %-16s | %6lld | %7d | %12.2f | %12.2f | %12.2f | %14.0f |\n", c->name, (long long)c->batch, threads, us,
           least, most, per_second);
  if (b->format == 'c')
    printf("%s,%lld,%d,%.3f,%.3f,%.3f,%.0f\n", c->name, (long long)c->batch, threads, us, least, most, per_second);
  fflush(stdout);
  if (b->format != 'j') return;
  NnrtLine *l = &b->cli->line;
  nnrt_line_open(l, NULL, '{');
  nnrt_line_string(l, "event", "bench");
  nnrt_line_string(l, "case", c->name);
  nnrt_line_integer(l, "batch", c->batch);
  nnrt_line_integer(l, "threads", threads);
  nnrt_line_real(l, "median_us", us, true);
  nnrt_line_real(l, "least_us", least, true);
  nnrt_line_real(l, "most_us", most, true);
  nnrt_line_real(l, "examples_per_second", per_second, true);
  nnrt_line_close(l, '}');
  nnrt_cli_print_line(b->cli);
}

/* ---- cases ---- */

typedef struct Memory { /* of one case */
  NnrtModel model;
  int n_sets;
  NnrtDataset *data; /* of each data set of the training */
  NnrtShare *sets;
  NnrtFeed feed;
  NnrtRun run;
  void **inputs;
  int64_t **places; /* a batch of each */
  double *calls, *rounds;
} Memory;

/* The k-th data set of the training; its examples again and again where it has less than a batch. */
static int open_set(Bench *b, const Case *c, Memory *m, int k) {
  NnrtDataset *d = &m->data[k];
  NnrtOverride *overrides;
  int n;
  int64_t index = c->train->data[k];
  int status = nnrt_cli_data(b->cli, index, k == 0, &overrides, &n);
  if (status == NNRT_OK) status = nnrt_data_open(d, &m->model, index, overrides, n, -1, b->error);
  free(overrides);
  if (status == NNRT_EDATA) status = blank_data(d, b->cli->program, index, c->batch, b->error);
  if (status != NNRT_OK) return status;
  m->places[k] = identity(c->batch > d->count ? c->batch : d->count, d->count);
  if (!m->places[k]) return nnrt_fail_memory(b->error, 0, "the data's order");
  m->sets[k] = (NnrtShare){d, index, m->places[k], d->count};
  return nnrt_data_statistics(d, &m->model, m->places[k], d->count, b->error);
}

static int open_training(Bench *b, const Case *c, Memory *m) {
  const NnrtTrain *t = c->train;
  m->n_sets = (int)t->n_data;
  m->data = calloc((size_t)m->n_sets, sizeof *m->data);
  m->sets = calloc((size_t)m->n_sets, sizeof *m->sets);
  m->places = calloc((size_t)m->n_sets, sizeof *m->places);
  if (!m->data || !m->sets || !m->places) return nnrt_fail_memory(b->error, 0, "the data");
  int status = nnrt_model_init(&m->model, b->cli->program->init, t->seed, b->error);
  for (int k = 0; status == NNRT_OK && k < m->n_sets; k++) status = open_set(b, c, m, k);
  return status == NNRT_OK
             ? nnrt_feed_open(&m->feed, &m->model, t->step, m->sets, m->n_sets, c->batch, t->seed, b->error)
             : status;
}

/* An entry on zeros: every open dimension that is not the batch is at its lower bound. */
static int open_entry(Bench *b, const Case *c, Memory *m) {
  int64_t open[MAX_LIST], shape[NNRT_MAX_RANK];
  int status = b->cli->program->init >= 0 ? nnrt_model_init(&m->model, b->cli->program->init, 1, b->error) : NNRT_OK;
  if (status == NNRT_OK) status = nnrt_run_open(&m->run, &m->model, c->graph, b->error);
  if (status != NNRT_OK) return status;
  const NnrtGraph *g = m->run.graph;
  m->inputs = calloc((size_t)g->n_inputs + 1, sizeof *m->inputs);
  if (!m->inputs || m->run.n_open > MAX_LIST) return nnrt_fail_memory(b->error, 0, c->name);
  for (int i = 0; i < m->run.n_open; i++)
    open[i] = strcmp(g->dims[i].name, "B") == 0 ? c->batch : g->dims[i].lower > 0 ? g->dims[i].lower : 1;
  status = nnrt_run_bind(&m->run, open, b->error);
  for (int i = 0; status == NNRT_OK && i < g->n_inputs; i++) {
    int64_t bytes = nnrt_port_shape(&m->run, &g->inputs[i], shape) * nnrt_dtype((NnrtDtype)g->inputs[i].dtype)->bytes;
    m->inputs[i] = nnrt_allocate(bytes);
    if (!m->inputs[i]) status = nnrt_fail_memory(b->error, (unsigned long long)bytes, c->name);
    nnrt_run_input(&m->run, i, m->inputs[i]);
  }
  return status;
}

static void close_memory(Memory *m) {
  for (int64_t i = 0; m->inputs && i < m->run.graph->n_inputs; i++) free(m->inputs[i]);
  free(m->inputs);
  nnrt_run_close(&m->run);
  nnrt_feed_close(&m->feed);
  for (int k = 0; m->data && k < m->n_sets; k++) {
    if (m->data[k].table) nnrt_data_close(&m->data[k]);
    if (m->places) free(m->places[k]);
  }
  free(m->data);
  free(m->sets);
  free(m->places);
  nnrt_model_close(&m->model);
  free(m->calls);
  free(m->rounds);
}

static int time_kernels(Bench *b, const Case *c, Memory *m, int threads) {
  NnrtFeed *f = c->train ? &m->feed : NULL;
  call(f, (const int64_t *const *)m->places, c->batch, &m->run, 1);
  NnrtKernelBench k = {.cli = b->cli, .run = f ? &f->run : &m->run, .name = c->name, .batch = c->batch};
  k.threads = threads;
  k.format = b->format;
  k.seconds = (double)b->rounds * round_seconds;
  return nnrt_bench_kernels(&k, b->error);
}

static int time_case(Bench *b, const Case *c, Memory *m, int threads) {
  if (b->kernels) return time_kernels(b, c, m, threads);
  double us = time_calls(b, c->train ? &m->feed : NULL, (const int64_t *const *)m->places, c->batch, &m->run,
                         m->calls, m->rounds);
  report(b, c, threads, us, m->rounds);
  return NNRT_OK;
}

static int run_case(Bench *b, const Case *c, int threads) {
  Memory m = {0};
  NnrtPool *pool;
  int status = nnrt_pool_open(&pool, threads, b->error);
  if (status != NNRT_OK) return status;
  m.calls = malloc(MAX_CALLS * sizeof *m.calls);
  m.rounds = malloc((size_t)b->rounds * sizeof *m.rounds);
  if (!m.calls || !m.rounds) status = nnrt_fail_memory(b->error, MAX_CALLS * sizeof *m.calls, "timings");
  if (status == NNRT_OK) status = nnrt_model_open(&m.model, b->cli->program, pool, b->error);
  if (status == NNRT_OK) status = c->train ? open_training(b, c, &m) : open_entry(b, c, &m);
  if (status == NNRT_OK) status = time_case(b, c, &m, nnrt_pool_threads(pool));
  close_memory(&m);
  nnrt_pool_close(pool);
  return status;
}

static int run_cases(Bench *b, Case c) {
  int status = NNRT_OK;
  for (int i = 0; i < b->n_batch; i++)
    for (int k = 0; status == NNRT_OK && k < b->n_threads; k++) {
      if (b->batch[i] > 0) c.batch = b->batch[i];
      status = run_case(b, &c, (int)b->threads[k]);
    }
  return status;
}

static int run_all(Bench *b, const NnrtProgram *p) {
  int status = NNRT_OK;
  char name[96];
  for (int64_t i = 0; status == NNRT_OK && i < p->n_entries; i++)
    status = run_cases(b, (Case){.name = p->entries[i].name, .graph = p->entries[i].graph, .batch = 1});
  for (int64_t i = 0; status == NNRT_OK && i < p->n_train; i++) {
    const NnrtTrain *t = &p->train[i];
    snprintf(name, sizeof name, "train%s%.80s", t->name ? " " : "", t->name ? t->name : "");
    status = run_cases(b, (Case){.name = name, .graph = t->step, .batch = t->batch > 0 ? t->batch : 32, .train = t});
  }
  return status;
}

/* ---- the verb ---- */

static int read_options(Bench *b) {
  const char *format = nnrt_cli_text(b->cli, NNRT_OPT_FORMAT);
  b->n_batch = b->n_threads = 1; /* one of value 0: each case's own, all processors */
  b->format = b->cli->json ? 'j' : 'm';
  b->kernels = nnrt_cli_flag(b->cli, NNRT_OPT_KERNELS);
  if (format && strcmp(format, "md") != 0 && strcmp(format, "csv") != 0 && strcmp(format, "json") != 0)
    return nnrt_fail(b->error, NNRT_EUSAGE, "--format takes md, csv or json, not \"%s\"", format);
  if (format) b->format = format[0];
  int status = nnrt_cli_list(b->cli, NNRT_OPT_BATCH, b->batch, MAX_LIST, &b->n_batch);
  if (status == NNRT_OK) status = nnrt_cli_list(b->cli, NNRT_OPT_THREADS, b->threads, MAX_LIST, &b->n_threads);
  if (status == NNRT_OK) status = nnrt_cli_natural(b->cli, NNRT_OPT_REPEAT, 1, 5, &b->rounds);
  return status;
}

static void print_head(const Bench *b) {
  if (b->kernels) {
    nnrt_bench_kernels_head(b->format);
    return;
  }
  if (b->format == 'm')
    printf("| %-16s | %6s | %7s | %12s | %12s | %12s | %14s |\n|---|---|---|---|---|---|---|\n", "case", "batch",
           "threads", "median us", "least us", "most us", "examples/s");
  if (b->format == 'c') puts("case,batch,threads,median_us,least_us,most_us,examples_per_second");
}

static void print_result(Bench *b) {
  if (b->format != 'j' || b->kernels) return;
  NnrtLine *l = &b->cli->line;
  nnrt_line_open(l, NULL, '{');
  nnrt_line_string(l, "event", "result");
  nnrt_line_integer(l, "schema", 1);
  nnrt_line_open(l, "metrics", '{');
  nnrt_line_real(l, "median_us", b->last, true);
  nnrt_line_close(l, '}');
  nnrt_line_close(l, '}');
  nnrt_cli_print_line(b->cli);
}

int nnrt_verb_bench(const NnrtProgram *p, NnrtCli *cli) {
  Bench b = {.cli = cli, .error = &cli->error};
  int status = read_options(&b);
  if (status == NNRT_OK) {
    print_head(&b);
    status = run_all(&b, p);
  }
  if (status == NNRT_OK) {
    print_result(&b);
    status = nnrt_cli_finish(cli);
  }
  return status == NNRT_OK ? NNRT_OK : nnrt_cli_fail(cli);
}
