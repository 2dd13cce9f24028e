/* run.c - see run.h. */
#include "runtime/run.h"
#include "runtime/arena_check.h"
#include "runtime/philox.h"

#include <stdlib.h>
#include <string.h>

/* Below this much work on one thread a hand-over to others costs more than it saves. */
enum { SERIAL_NS = 20000, ALIGN = 64 };

void *nnrt_allocate(int64_t bytes) {
  if (bytes < 0 || bytes > INT64_MAX - ALIGN) return NULL;
  size_t size = ((size_t)bytes + ALIGN) / ALIGN * ALIGN;
  void *at = aligned_alloc(ALIGN, size);
  if (at) memset(at, 0, size);
  return at;
}

/* ---- the model ---- */

int nnrt_model_open(NnrtModel *m, const NnrtProgram *p, NnrtPool *pool, NnrtError *e) {
  *m = (NnrtModel){.program = p, .pool = pool};
  size_t n = (size_t)p->n_variables;
  m->variables = calloc(n + 1, sizeof *m->variables);
  m->bytes = calloc(n + 1, sizeof *m->bytes);
  int64_t total = 0;
  for (size_t i = 0; m->bytes && i < n; i++) {
    const NnrtVariable *v = &p->variables[i];
    if (!nnrt_shape_bytes(v->shape, (int)v->n_shape, (NnrtDtype)v->dtype, &m->bytes[i])) m->bytes[i] = INT64_MAX / 4;
    if (__builtin_add_overflow(total, (m->bytes[i] + ALIGN) / ALIGN * ALIGN, &total)) total = INT64_MAX / 2;
  }
  m->block = m->variables && m->bytes ? nnrt_allocate(total) : NULL;
  if (!m->block) {
    nnrt_model_close(m);
    return nnrt_fail_memory(e, (unsigned long long)total, "the model");
  }
  m->total = total;
  char *at = m->block;
  for (size_t i = 0; i < n; i++) {
    m->variables[i] = at;
    at += (m->bytes[i] + ALIGN) / ALIGN * ALIGN;
  }
  return NNRT_OK;
}

void nnrt_model_close(NnrtModel *m) {
  free(m->block);
  free(m->arena);
  free(m->scratch);
  free(m->variables);
  free(m->bytes);
  *m = (NnrtModel){0};
}

int nnrt_model_init(NnrtModel *m, int64_t graph, int64_t seed, NnrtError *e) {
  NnrtRun r;
  int status = nnrt_run_open(&r, m, graph, e);
  if (status != NNRT_OK) return status;
  uint64_t mixed = nnrt_mix64((uint64_t)seed);
  nnrt_run_input_named(&r, "$seed", &mixed);
  status = nnrt_run_bind(&r, NULL, e);
  if (status == NNRT_OK) nnrt_run_go(&r);
  nnrt_run_close(&r);
  return status;
}

/* ---- sizes ---- */

int64_t nnrt_poly(const int64_t *terms, int64_t n, const int64_t *dims) {
  int64_t sum = 0;
  if (n == 0) return 0;
  const int64_t *at = terms + 1;
  for (int64_t i = 0; i < terms[0]; i++) {
    int64_t term = *at++, factors = *at++;
    while (factors-- > 0) term *= dims[*at++];
    sum += term;
  }
  return sum;
}

static bool is_open(const NnrtDim *d) { return d->n_divisor == 0; }

static int64_t floor_quotient(int64_t a, int64_t b) {
  int64_t q = b ? a / b : 0;
  return b && a % b != 0 && (a < 0) != (b < 0) ? q - 1 : q;
}

/* Fills dims from the open ones; each quotient uses only dims before it. */
static void fill_dims(const NnrtGraph *g, const int64_t *open, int64_t *dims) {
  for (int64_t i = 0; i < g->n_dims; i++) {
    const NnrtDim *d = &g->dims[i];
    dims[i] = is_open(d) ? open[i]
                         : floor_quotient(nnrt_poly(d->dividend, d->n_dividend, dims),
                                          nnrt_poly(d->divisor, d->n_divisor, dims));
  }
}

static int64_t arena_under(const NnrtGraph *g, const int64_t *dims) { return nnrt_poly(g->arena, g->n_arena, dims); }

/* Of one thread, for the launch that needs most. */
static int64_t scratch_under(const NnrtGraph *g, const int64_t *dims) {
  int64_t most = 0;
  for (int64_t i = 0; i < g->n_launches; i++) {
    int64_t bytes = (nnrt_poly(g->launches[i].scratch, g->launches[i].n_scratch, dims) + ALIGN - 1) / ALIGN * ALIGN;
    if (bytes > most) most = bytes;
  }
  return most;
}

static int64_t bytes_at(const NnrtGraph *g, const int64_t *open, int64_t (*f)(const NnrtGraph *, const int64_t *)) {
  int64_t *dims = calloc((size_t)g->n_dims + 1, sizeof *dims);
  if (!dims) return -1;
  fill_dims(g, open, dims);
  int64_t bytes = f(g, dims);
  free(dims);
  return bytes;
}

int64_t nnrt_graph_arena(const NnrtGraph *g, const int64_t *open) { return bytes_at(g, open, arena_under); }
int64_t nnrt_graph_scratch(const NnrtGraph *g, const int64_t *open) { return bytes_at(g, open, scratch_under); }

int nnrt_port(const NnrtPort *ports, int64_t n, const char *name) {
  for (int64_t i = 0; i < n; i++)
    if (strcmp(ports[i].name, name) == 0) return (int)i;
  return -1;
}

int64_t nnrt_port_shape(const NnrtRun *r, const NnrtPort *port, int64_t shape[NNRT_MAX_RANK]) {
  int64_t n = 1;
  for (int64_t i = 0; i < port->n_shape; i++)
    n *= shape[i] = nnrt_poly(port->shape[i].terms, port->shape[i].n_terms, r->dims);
  return n;
}

/* ---- a run ---- */

int nnrt_run_open(NnrtRun *r, NnrtModel *m, int64_t graph, NnrtError *e) {
  *r = (NnrtRun){.model = m};
  if (graph < 0) return nnrt_fail(e, NNRT_EINVAL, "the program lacks a graph that it needs");
  const NnrtGraph *g = r->graph = &m->program->graphs[graph];
  int64_t operands = 0;
  for (int64_t i = 0; i < g->n_launches; i++) operands += g->launches[i].n_buffers;
  while (r->n_open < g->n_dims && is_open(&g->dims[r->n_open])) r->n_open++;
  r->dims = calloc((size_t)g->n_dims + 1, sizeof *r->dims);
  r->buffers = calloc((size_t)g->n_buffers + 1, sizeof *r->buffers);
  r->inputs = calloc((size_t)g->n_inputs + 1, sizeof *r->inputs);
  r->steps = calloc((size_t)g->n_launches + 1, sizeof *r->steps);
  r->operands = calloc((size_t)operands + 1, sizeof *r->operands);
  r->loop_steps = calloc((size_t)g->n_loops + 1, sizeof *r->loop_steps);
  if (r->loop_steps && r->dims && r->buffers && r->inputs && r->steps && r->operands) return NNRT_OK;
  nnrt_run_close(r);
  return nnrt_fail_memory(e, (unsigned long long)operands * sizeof *r->operands, g->name);
}

void nnrt_run_close(NnrtRun *r) {
  free(r->dims);
  free(r->buffers);
  free(r->inputs);
  free(r->steps);
  free(r->operands);
  free(r->loop_steps);
  *r = (NnrtRun){0};
}

/* Memory of at least `bytes`; what was there is lost. */
static int reserve(char **at, int64_t *have, int64_t bytes, const char *name, NnrtError *e) {
  if (*at && *have >= bytes) return NNRT_OK;
  free(*at);
  *have = bytes;
  *at = nnrt_allocate(bytes);
  return *at ? NNRT_OK : nnrt_fail_memory(e, (unsigned long long)bytes, name);
}

static int reserve_all(NnrtRun *r, NnrtError *e) {
  const NnrtGraph *g = r->graph;
  NnrtModel *m = r->model;
  int64_t scratch = scratch_under(g, r->dims), threads = nnrt_pool_threads(m->pool);
  int64_t have = m->scratch_bytes * threads;
  int status = reserve(&m->arena, &m->arena_bytes, arena_under(g, r->dims) + NNRT_ARENA_GUARD, g->name, e);
  if (status != NNRT_OK || (m->scratch && m->scratch_bytes >= scratch)) return status;
  status = reserve(&m->scratch, &have, scratch * threads, g->name, e);
  m->scratch_bytes = scratch;
  return status;
}

static void place_buffers(NnrtRun *r) {
  const NnrtProgram *p = r->model->program;
  r->arena = r->model->arena;
  for (int64_t i = 0; i < r->graph->n_buffers; i++) {
    const NnrtBuffer *b = &r->graph->buffers[i];
    switch ((NnrtPlace)b->place) {
    case NNRT_INPUT: r->buffers[i] = (void *)(uintptr_t)r->inputs[b->index]; break;
    case NNRT_PARAM:
    case NNRT_STATE: r->buffers[i] = r->model->variables[b->index]; break;
    case NNRT_CONST: r->buffers[i] = (void *)(uintptr_t)p->constants[b->index].data; break;
    case NNRT_ARENA: r->buffers[i] = r->arena + nnrt_poly(b->offset, b->n_offset, r->dims); break;
    }
  }
}

static void place_operands(NnrtRun *r) {
  void **at = r->operands;
  for (int64_t i = 0; i < r->graph->n_launches; i++) {
    const NnrtLaunch *l = &r->graph->launches[i];
    r->steps[i].operands = at;
    for (int64_t k = 0; k < l->n_buffers; k++) *at++ = r->buffers[l->buffers[k]];
  }
}

static void cut_launches(NnrtRun *r) {
  bool alone = nnrt_pool_threads(r->model->pool) == 1;
  for (int64_t i = 0; i < r->graph->n_launches; i++) {
    const NnrtLaunch *l = &r->graph->launches[i];
    NnrtStep *s = &r->steps[i];
    s->kernel = l->kernel;
    s->units = nnrt_poly(l->units, l->n_units, r->dims);
    s->grain = l->grain > 0 ? l->grain : 1;
    s->chunks = (s->units + s->grain - 1) / s->grain;
    if (alone || nnrt_poly(l->work, l->n_work, r->dims) < SERIAL_NS) s->chunks = 1;
  }
}

/* The dimension that the source names. */
static long long named(const NnrtGraph *g, int i, int64_t open) { return g->dims[i].scale * open + g->dims[i].rest; }

int nnrt_run_bind(NnrtRun *r, const int64_t *open, NnrtError *e) {
  const NnrtGraph *g = r->graph;
  for (int i = 0; i < r->n_open; i++)
    if (open[i] < g->dims[i].lower || open[i] > g->dims[i].upper) {
      bool small = open[i] < g->dims[i].lower;
      return nnrt_fail(e, NNRT_EDATA, "%s is %lld, but must be at %s %lld", g->dims[i].name, named(g, i, open[i]),
                       small ? "least" : "most", named(g, i, small ? g->dims[i].lower : g->dims[i].upper));
    }
  fill_dims(g, open, r->dims);
  int status = g->required ? g->required->test(r, e) : NNRT_OK;
  if (status == NNRT_OK) status = reserve_all(r, e);
  if (status != NNRT_OK) return status;
  place_buffers(r);
  place_operands(r);
  cut_launches(r);
  for (int64_t i = 0; i < g->n_loops; i++)
    r->loop_steps[i] = nnrt_poly(g->loops[i].steps, g->loops[i].n_steps, r->dims);
  return NNRT_OK;
}

int nnrt_port_open(const NnrtRun *r, const NnrtPort *p, int i, int64_t *scale, int64_t *rest) {
  const NnrtPoly *d = &p->shape[i];
  if (d->n_terms < 4 || d->terms[1] < 1 || d->terms[2] != 1 || d->terms[3] >= r->n_open) return -1;
  if (d->n_terms != 4 && (d->n_terms != 6 || d->terms[5])) return -1; /* another open dimension is in it */
  *scale = d->terms[1];
  *rest = d->n_terms == 6 ? d->terms[4] : 0;
  return (int)d->terms[3];
}

void nnrt_run_input(NnrtRun *r, int port, const void *data) {
  if (port < 0 || r->inputs[port] == data) return;
  r->inputs[port] = data;
  if (!r->arena) return; /* bind will place it */
  place_buffers(r);
  place_operands(r);
}

void nnrt_run_input_named(NnrtRun *r, const char *name, const void *data) {
  nnrt_run_input(r, nnrt_port(r->graph->inputs, r->graph->n_inputs, name), data);
}

const void *nnrt_run_output(const NnrtRun *r, int port) {
  int64_t buffer = r->graph->outputs[port].buffer;
  return buffer < 0 ? NULL : r->buffers[buffer];
}

/* Launches from .. to - 1 at a step of the loops around them; loops from `loop` on may be among them. */
static void run_launches(NnrtRun *r, int64_t from, int64_t to, int64_t loop, int64_t step) {
  const NnrtGraph *g = r->graph;
  for (int64_t i = from; i < to; i++) {
    while (loop < g->n_loops && g->loops[loop].first < i) loop++;
    if (loop == g->n_loops || g->loops[loop].first != i) {
      nnrt_run_launch(r, i, step);
      continue;
    }
    int64_t n = r->loop_steps[loop], last = g->loops[loop].last;
    for (int64_t k = 0; k < n; k++) {
      run_launches(r, i, last + 1, loop + 1, step * n + (g->loops[loop].down ? n - 1 - k : k));
      if (g->loops[loop].ends && g->loops[loop].ends(r, &g->loops[loop], n, k)) break;
    }
    i = last;
  }
}

void nnrt_run_go(NnrtRun *r) {
  if (r->arena != r->model->arena) { /* another run needed a larger one */
    place_buffers(r);
    place_operands(r);
  }
  nnrt_arena_prepare(r);
  run_launches(r, 0, r->graph->n_launches, 0, 0);
  nnrt_arena_check(r);
}
