/* meter.c - see meter.h. */
#include "runtime/meter.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int output(const NnrtRun *run, const char *name) {
  return nnrt_port(run->graph->outputs, run->graph->n_outputs, name);
}

static int lacks(const NnrtRun *run, const char *name, NnrtError *e) {
  return nnrt_fail(e, NNRT_EINVAL, "graph %s lacks the output \"%s\"", run->graph->name, name);
}

/* A single number, averaged. */
static int open_average(NnrtMetric *m, const NnrtRun *run, NnrtError *e) {
  m->port = output(run, m->name);
  if (m->port < 0) return lacks(run, m->name, e);
  char when[160];
  snprintf(when, sizeof when, "$when.%.150s", m->name);
  m->when = output(run, when);
  m->single = run->graph->outputs[m->port].dtype != NNRT_F64;
  return NNRT_OK;
}

/* A state of a metric that streams: the run reads it here, and gives its next value. */
static int open_state(NnrtPart *p, NnrtRun *run, const NnrtReport *r, int k, NnrtError *e) {
  char input[160];
  snprintf(input, sizeof input, "metric.%.140s.%d", r->name, k);
  p->port = output(run, p->name + strlen("epoch/"));
  int in = nnrt_port(run->graph->inputs, run->graph->n_inputs, input);
  if (p->port < 0 || in < 0) return lacks(run, p->port < 0 ? p->name + strlen("epoch/") : input, e);
  const NnrtPort *port = &run->graph->outputs[p->port];
  p->dtype = (NnrtDtype)port->dtype;
  p->rank = (int)port->n_shape;
  p->bytes = nnrt_port_shape(run, port, p->shape) * nnrt_dtype(p->dtype)->bytes;
  p->data = nnrt_allocate(p->bytes);
  p->first = nnrt_allocate(p->bytes);
  if (!p->data || !p->first) return nnrt_fail_memory(e, (unsigned long long)p->bytes, p->name);
  nnrt_run_input(run, in, p->data);
  return NNRT_OK;
}

/* The states' values at first, by the metric's own graph. */
static int fill_first(NnrtMetric *m, NnrtModel *model, const NnrtReport *report, NnrtError *e) {
  NnrtRun r;
  int status = nnrt_run_open(&r, model, report->first, e);
  if (status != NNRT_OK) return status;
  status = nnrt_run_bind(&r, NULL, e);
  if (status == NNRT_OK) nnrt_run_go(&r);
  for (int k = 0; status == NNRT_OK && k < m->n_parts; k++)
    memcpy(m->parts[k].first, nnrt_run_output(&r, k), (size_t)m->parts[k].bytes);
  nnrt_run_close(&r);
  return status;
}

static int open_part(NnrtPart *p, const NnrtRun *run, int64_t room, NnrtError *e) {
  p->port = output(run, p->name + strlen("epoch/"));
  if (p->port < 0) return lacks(run, p->name + strlen("epoch/"), e);
  const NnrtPort *port = &run->graph->outputs[p->port];
  p->dtype = (NnrtDtype)port->dtype;
  p->rank = (int)port->n_shape;
  int64_t elements = nnrt_port_shape(run, port, p->shape), examples = p->rank ? p->shape[0] : 1;
  p->bytes = elements / (examples ? examples : 1) * nnrt_dtype(p->dtype)->bytes;
  p->data = nnrt_allocate(p->bytes * room);
  return p->data ? NNRT_OK : nnrt_fail_memory(e, (unsigned long long)(p->bytes * room), p->name);
}

/* A metric of the whole set, or one that streams. */
static int open_metric(NnrtMetric *m, const NnrtReport *r, NnrtRun *run, int64_t room, NnrtError *e) {
  m->n_parts = (int)r->arguments;
  m->parts = calloc((size_t)m->n_parts + 1, sizeof *m->parts);
  if (!m->parts) return nnrt_fail_memory(e, (size_t)m->n_parts * sizeof *m->parts, r->name);
  for (int k = 0; k < m->n_parts; k++) {
    snprintf(m->parts[k].name, sizeof m->parts[k].name, "epoch/%.140s.%d", r->name, k);
    int status = r->first >= 0 ? open_state(&m->parts[k], run, r, k, e) : open_part(&m->parts[k], run, room, e);
    if (status != NNRT_OK) return status;
  }
  m->single = m->n_parts == 0 || m->parts[0].dtype != NNRT_F64;
  return r->first >= 0 ? fill_first(m, run->model, r, e) : NNRT_OK;
}

int nnrt_meter_open(NnrtMeter *m, const NnrtTrain *t, NnrtRun *run, int64_t room, NnrtError *e) {
  *m = (NnrtMeter){
      .model = run->model, .n_losses = (int)t->n_losses, .n = (int)(t->n_losses + t->n_reports), .room = room};
  m->metrics = calloc((size_t)m->n + 1, sizeof *m->metrics);
  int status = m->metrics ? NNRT_OK : nnrt_fail_memory(e, (size_t)m->n * sizeof *m->metrics, t->name);
  for (int i = 0; status == NNRT_OK && i < m->n; i++) {
    const NnrtReport *r = i < m->n_losses ? NULL : &t->reports[i - m->n_losses];
    m->metrics[i] = (NnrtMetric){.name = r ? r->name : t->losses[i].text, .loss = !r, .graph = r ? r->graph : -1};
    status = r && r->graph >= 0 ? open_metric(&m->metrics[i], r, run, room, e) : open_average(&m->metrics[i], run, e);
  }
  if (status == NNRT_OK) nnrt_meter_reset(m);
  else nnrt_meter_close(m);
  return status;
}

static void free_part(NnrtPart *p) {
  free(p->data);
  free(p->first);
}

void nnrt_meter_close(NnrtMeter *m) {
  for (int i = 0; m->metrics && i < m->n; i++) {
    for (int k = 0; m->metrics[i].parts && k < m->metrics[i].n_parts; k++) free_part(&m->metrics[i].parts[k]);
    free(m->metrics[i].parts);
  }
  free(m->metrics);
  *m = (NnrtMeter){0};
}

void nnrt_meter_reset(NnrtMeter *m) {
  m->count = 0;
  for (int i = 0; i < m->n; i++) {
    NnrtMetric *x = &m->metrics[i];
    x->sum = 0;
    x->count = 0;
    for (int k = 0; k < x->n_parts; k++)
      if (x->parts[k].first) memcpy(x->parts[k].data, x->parts[k].first, (size_t)x->parts[k].bytes);
  }
}

/* How many times a part's bytes are kept: once of a state, else for each example. */
static int64_t part_times(const NnrtPart *p, int64_t count) { return p->first ? 1 : count; }

void nnrt_meter_step(NnrtMeter *m) {
  for (int i = 0; i < m->n; i++) {
    m->metrics[i].step_sum = 0;
    m->metrics[i].step_count = 0;
  }
}

static void add_average(NnrtMetric *x, const NnrtRun *run, int64_t n) {
  if (x->when >= 0 && !*(const char *)nnrt_run_output(run, x->when)) return;
  double v = nnrt_element((NnrtDtype)run->graph->outputs[x->port].dtype, nnrt_run_output(run, x->port), false);
  x->sum += v * (double)n;
  x->step_sum += v * (double)n;
  x->last = x->step_count ? x->step_sum / (double)(x->step_count + n) : v;
  x->count += n;
  x->step_count += n;
}

void nnrt_meter_add(NnrtMeter *m, const NnrtRun *run, int64_t n) {
  for (int i = 0; i < m->n; i++) {
    NnrtMetric *x = &m->metrics[i];
    if (x->graph < 0) add_average(x, run, n);
    for (int k = 0; k < x->n_parts; k++) {
      NnrtPart *p = &x->parts[k];
      char *to = p->first ? p->data : p->data + m->count * p->bytes;
      if (p->bytes) memcpy(to, nnrt_run_output(run, p->port), (size_t)(part_times(p, n) * p->bytes));
    }
  }
  m->count += n;
}

bool nnrt_meter_has(const NnrtMetric *m) { return m->step_count > 0; }

const NnrtMetric *nnrt_meter_bad(const NnrtMeter *m) {
  for (int i = 0; i < m->n_losses; i++)
    if (nnrt_meter_has(&m->metrics[i]) && !isfinite(m->metrics[i].last)) return &m->metrics[i];
  return NULL;
}

bool nnrt_meter_streams(const NnrtMeter *m) {
  for (int i = 0; i < m->n; i++)
    for (int k = 0; k < m->metrics[i].n_parts; k++)
      if (m->metrics[i].parts[k].first) return true;
  return false;
}

static int compute(NnrtMeter *m, NnrtMetric *x, double *value, NnrtError *e) {
  NnrtRun r;
  int status = nnrt_run_open(&r, m->model, x->graph, e);
  if (status != NNRT_OK) return status;
  for (int k = 0; k < x->n_parts; k++) {
    char name[16];
    snprintf(name, sizeof name, "%d", k);
    nnrt_run_input_named(&r, name, x->parts[k].data);
  }
  status = nnrt_run_bind(&r, r.n_open ? &m->count : NULL, e);
  if (status == NNRT_OK) {
    nnrt_run_go(&r);
    *value = nnrt_element((NnrtDtype)r.graph->outputs[0].dtype, nnrt_run_output(&r, 0), false);
    x->single = r.graph->outputs[0].dtype != NNRT_F64;
  }
  nnrt_run_close(&r);
  return status;
}

int nnrt_meter_values(NnrtMeter *m, double *values, NnrtError *e) {
  int status = NNRT_OK;
  for (int i = 0; status == NNRT_OK && i < m->n; i++) {
    NnrtMetric *x = &m->metrics[i];
    x->none = x->graph < 0 && !x->count;
    if (x->graph >= 0) status = compute(m, x, &values[i], e);
    else values[i] = x->none ? (double)NAN : x->sum / (double)x->count;
  }
  return status;
}

int nnrt_meter_parts(const NnrtMeter *m) {
  int n = 0;
  for (int i = 0; i < m->n; i++) n += m->metrics[i].n_parts;
  return n;
}

int nnrt_meter_tensors(const NnrtMeter *m, NnrtTensor *to) {
  int n = 0;
  for (int i = 0; i < m->n; i++)
    for (int k = 0; k < m->metrics[i].n_parts; k++) {
      const NnrtPart *p = &m->metrics[i].parts[k];
      NnrtTensor t = {.name = p->name,
                      .dtype = p->dtype,
                      .rank = p->rank,
                      .data = p->data,
                      .bytes = p->bytes * part_times(p, m->count)};
      memcpy(t.shape, p->shape, sizeof t.shape);
      if (!p->first) t.shape[0] = m->count;
      to[n++] = t;
    }
  return n;
}

int nnrt_meter_restore(NnrtMeter *m, const NnrtSafetensors *s, int64_t count, NnrtError *e) {
  for (int i = 0; i < m->n; i++)
    for (int k = 0; k < m->metrics[i].n_parts; k++) {
      NnrtPart *p = &m->metrics[i].parts[k];
      const NnrtTensor *t = nnrt_safetensors_find(s, p->name);
      if (!t || t->dtype != p->dtype || t->bytes != p->bytes * part_times(p, count) || count > m->room)
        return nnrt_fail(e, NNRT_EDATA, "%s: tensor \"%s\" is missing or does not fit", s->path, p->name);
      if (t->bytes) memcpy(p->data, t->data, (size_t)t->bytes);
    }
  m->count = count;
  return NNRT_OK;
}
