/* feed.c - see feed.h. */
#include "runtime/feed.h"
#include "runtime/philox.h"

#include <stdlib.h>
#include <string.h>

/* Connects the port to where its value will stand. */
static int connect(NnrtFeed *f, int port, NnrtError *e) {
  const char *name = f->run.graph->inputs[port].name;
  const void *at = strcmp(name, "$seed") == 0    ? (const void *)&f->seed
                   : strcmp(name, "$step") == 0  ? (const void *)&f->step
                   : strcmp(name, "$steps") == 0 ? (const void *)&f->steps
                   : strcmp(name, "$epoch") == 0 ? (const void *)&f->epoch
                   : strcmp(name, "$place") == 0 ? (const void *)f->places
                                                 : NULL;
  if (strncmp(name, "metric.", 7) == 0) { /* the meter's; for who has none, zeros */
    int64_t shape[NNRT_MAX_RANK],
        bytes = nnrt_port_shape(&f->run, &f->run.graph->inputs[port], shape) * (int64_t)sizeof(double);
    at = f->gathered[port] = nnrt_allocate(bytes);
    if (!at) return nnrt_fail_memory(e, (unsigned long long)bytes, name);
  }
  if (!at) {
    int field = nnrt_data_field(f->data, name);
    if (field < 0 || !f->data->fields[field])
      return nnrt_fail(e, NNRT_EINVAL, "graph %s reads \"%s\", which nothing gives", f->run.graph->name, name);
    int64_t bytes = f->batch * f->data->bytes[field];
    at = f->gathered[port] = nnrt_allocate(bytes);
    if (!at) return nnrt_fail_memory(e, (unsigned long long)bytes, name);
    f->field[port] = field;
  }
  nnrt_run_input(&f->run, port, at);
  return NNRT_OK;
}

int nnrt_feed_open(NnrtFeed *f, NnrtModel *m, int64_t graph, const NnrtDataset *data, int64_t batch, int64_t seed,
                   NnrtError *e) {
  *f = (NnrtFeed){.data = data, .batch = batch, .seed = (int64_t)nnrt_mix64((uint64_t)seed)};
  int status = nnrt_run_open(&f->run, m, graph, e);
  if (status != NNRT_OK) return status;
  int n = (int)f->run.graph->n_inputs;
  f->field = malloc(((size_t)n + 1) * sizeof *f->field);
  f->gathered = calloc((size_t)n + 1, sizeof *f->gathered);
  f->places = nnrt_allocate(batch * (int64_t)sizeof *f->places);
  if (!f->field || !f->gathered || !f->places) status = nnrt_fail_memory(e, (unsigned long long)batch * 8, "a batch");
  for (int i = 0; status == NNRT_OK && i < n; i++) {
    f->field[i] = -1;
    status = connect(f, i, e);
  }
  if (status == NNRT_OK && f->run.n_open) status = nnrt_run_bind(&f->run, &batch, e);
  if (status == NNRT_OK && !f->run.n_open) status = nnrt_run_bind(&f->run, NULL, e);
  if (status != NNRT_OK) nnrt_feed_close(f);
  return status;
}

void nnrt_feed_close(NnrtFeed *f) {
  for (int64_t i = 0; f->gathered && i < f->run.graph->n_inputs; i++) free(f->gathered[i]);
  free(f->gathered);
  free(f->field);
  free(f->places);
  nnrt_run_close(&f->run);
  *f = (NnrtFeed){0};
}

int nnrt_feed_run(NnrtFeed *f, const int64_t *places, int64_t n, int64_t step, int64_t steps, int64_t epoch,
                  NnrtError *e) {
  f->step = (int32_t)step;
  f->steps = (int32_t)steps;
  f->epoch = (int32_t)epoch;
  memcpy(f->places, places, (size_t)n * sizeof *places);
  for (int64_t i = 0; i < f->run.graph->n_inputs; i++)
    if (f->field[i] >= 0) nnrt_data_gather(f->data, f->field[i], places, n, f->gathered[i]);
  if (f->run.n_open && f->run.dims[0] != n) {
    int status = nnrt_run_bind(&f->run, &n, e);
    if (status != NNRT_OK) return status;
  }
  nnrt_run_go(&f->run);
  return NNRT_OK;
}
