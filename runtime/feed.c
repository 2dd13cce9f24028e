/* feed.c - see feed.h. */
#include "runtime/feed.h"
#include "runtime/philox.h"

#include <stdlib.h>
#include <string.h>

/* The field that the input `name` is: of the data set that it names, or of the one that stands for it. */
static void find_field(const NnrtFeed *f, const char *name, NnrtFeedPort *p) {
  const char *dot = strchr(name, '.');
  for (int s = 0; dot && s < f->n_sets; s++) {
    const char *own = f->run.model->program->data[f->sets[s].index].name;
    if (strlen(own) != (size_t)(dot - name) || strncmp(own, name, strlen(own)) != 0) continue;
    p->set = s;
    p->field = nnrt_data_field(f->sets[s].data, name);
  }
}

/* Where the places of the data set's examples are that `suffix`, "" or ".name", says. */
static const int64_t *places_of(const NnrtFeed *f, const char *suffix) {
  int s = 0;
  while (*suffix && s < f->n_sets && strcmp(f->run.model->program->data[f->sets[s].index].name, suffix + 1) != 0) s++;
  return s < f->n_sets ? f->places + s * f->batch : NULL;
}

/* Connects the port to where its value will stand. */
static int connect(NnrtFeed *f, int port, NnrtError *e) {
  NnrtFeedPort *p = &f->ports[port];
  const char *name = f->run.graph->inputs[port].name;
  const void *at = strcmp(name, "$seed") == 0        ? (const void *)&f->seed
                   : strcmp(name, "$step") == 0      ? (const void *)&f->step
                   : strcmp(name, "$steps") == 0     ? (const void *)&f->steps
                   : strcmp(name, "$epoch") == 0     ? (const void *)&f->epoch
                   : strncmp(name, "$place", 6) == 0 ? (const void *)places_of(f, name + 6)
                                                     : NULL;
  if (strncmp(name, "metric.", 7) == 0) { /* the meter's; for who has none, zeros */
    int64_t shape[NNRT_MAX_RANK],
        bytes = nnrt_port_shape(&f->run, &f->run.graph->inputs[port], shape) * (int64_t)sizeof(double);
    at = p->gathered = nnrt_allocate(bytes);
    if (!at) return nnrt_fail_memory(e, (unsigned long long)bytes, name);
  }
  if (!at) {
    find_field(f, name, p);
    const NnrtDataset *d = p->set < 0 ? NULL : f->sets[p->set].data;
    if (!d || p->field < 0 || !d->fields[p->field])
      return nnrt_fail(e, NNRT_EINVAL, "graph %s reads \"%s\", which nothing gives", f->run.graph->name, name);
    const NnrtPort *input = &f->run.graph->inputs[port];
    int64_t longest = nnrt_data_longest(d, p->field, NULL, d->count);
    int64_t bytes = longest > 0
                        ? nnrt_data_elements(d, p->field, longest) * nnrt_dtype((NnrtDtype)input->dtype)->bytes
                        : d->bytes[p->field];
    bytes *= f->batch;
    int64_t scale, rest;
    p->open = longest > 0 && input->n_shape > 1 ? nnrt_port_open(&f->run, input, 1, &scale, &rest) : -1;
    if (p->open > 0 && longest > f->sizes[p->open]) f->sizes[p->open] = longest;
    at = p->gathered = nnrt_allocate(bytes);
    if (!at) return nnrt_fail_memory(e, (unsigned long long)bytes, name);
  }
  nnrt_run_input(&f->run, port, at);
  return NNRT_OK;
}

int nnrt_feed_open(NnrtFeed *f, NnrtModel *m, int64_t graph, const NnrtShare *sets, int n_sets, int64_t batch,
                   int64_t seed, NnrtError *e) {
  *f = (NnrtFeed){.sets = sets, .n_sets = n_sets, .batch = batch, .seed = (int64_t)nnrt_mix64((uint64_t)seed)};
  int status = nnrt_run_open(&f->run, m, graph, e);
  if (status != NNRT_OK) return status;
  int n = (int)f->run.graph->n_inputs;
  f->ports = calloc((size_t)n + 1, sizeof *f->ports);
  f->places = nnrt_allocate(n_sets * batch * (int64_t)sizeof *f->places);
  f->sizes = calloc((size_t)f->run.n_open + 1, sizeof *f->sizes);
  if (!f->ports || !f->places || !f->sizes) status = nnrt_fail_memory(e, (unsigned long long)batch * 8, "a batch");
  if (f->sizes) f->sizes[0] = batch;
  for (int i = 0; status == NNRT_OK && i < n; i++) {
    f->ports[i].set = f->ports[i].open = -1;
    status = connect(f, i, e);
  }
  if (status == NNRT_OK) status = nnrt_run_bind(&f->run, f->sizes, e);
  if (status != NNRT_OK) nnrt_feed_close(f);
  return status;
}

void nnrt_feed_close(NnrtFeed *f) {
  for (int64_t i = 0; f->ports && i < f->run.graph->n_inputs; i++) free(f->ports[i].gathered);
  free(f->ports);
  free(f->places);
  free(f->sizes);
  nnrt_run_close(&f->run);
  *f = (NnrtFeed){0};
}

bool nnrt_feed_resizes(NnrtFeed *f, const int64_t *const *places, int64_t n) {
  if (!f->run.n_open) return false;
  memset(f->sizes, 0, (size_t)f->run.n_open * sizeof *f->sizes);
  f->sizes[0] = n;
  for (int64_t i = 0; i < f->run.graph->n_inputs; i++) {
    const NnrtFeedPort *p = &f->ports[i];
    if (p->open <= 0) continue;
    int64_t longest = nnrt_data_longest(f->sets[p->set].data, p->field, places[p->set], n);
    if (longest > f->sizes[p->open]) f->sizes[p->open] = longest;
  }
  return memcmp(f->sizes, f->run.dims, (size_t)f->run.n_open * sizeof *f->sizes) != 0;
}

int nnrt_feed_run(NnrtFeed *f, const int64_t *const *places, int64_t n, int64_t step, int64_t steps, int64_t epoch,
                  NnrtError *e) {
  bool resizes = nnrt_feed_resizes(f, places, n);
  f->step = (int32_t)step;
  f->steps = (int32_t)steps;
  f->epoch = (int32_t)epoch;
  for (int s = 0; s < f->n_sets; s++) memcpy(f->places + s * f->batch, places[s], (size_t)n * sizeof *f->places);
  for (int64_t i = 0; i < f->run.graph->n_inputs; i++) {
    const NnrtFeedPort *p = &f->ports[i];
    const NnrtDataset *d = p->set < 0 ? NULL : f->sets[p->set].data;
    int64_t width = d && p->open > 0 ? nnrt_data_elements(d, p->field, f->sizes[p->open]) : -1;
    if (d) nnrt_data_gather(d, p->field, places[p->set], n, width, p->gathered);
  }
  int status = resizes ? nnrt_run_bind(&f->run, f->sizes, e) : NNRT_OK;
  if (status != NNRT_OK) return status;
  nnrt_run_go(&f->run);
  return NNRT_OK;
}
