/* pieces.c - see pieces.h. */
#include "runtime/pieces.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char prefix[] = "grad/";

/* ---- the size ---- */

static int64_t gradient_bytes(const NnrtProgram *p, const NnrtTrain *t) {
  const NnrtGraph *g = &p->graphs[t->grads];
  int64_t bytes = 0;
  for (int64_t i = 0; i < g->n_outputs; i++) {
    if (strncmp(g->outputs[i].name, prefix, sizeof prefix - 1) != 0) continue;
    const NnrtBuffer *b = &g->buffers[g->outputs[i].buffer];
    bytes += nnrt_poly(b->bytes, b->n_bytes, NULL); /* a parameter's size: no open dimension */
  }
  return bytes;
}

/* What pieces of `size` examples take: the plan, and the sums beside it. */
static int64_t bytes_at(const NnrtProgram *p, const NnrtTrain *t, int64_t size) {
  const NnrtGraph *g = &p->graphs[t->grads];
  int64_t *open = malloc(((size_t)g->n_dims + 1) * sizeof *open), bytes = INT64_MAX;
  for (int64_t i = 0; open && i < g->n_dims; i++) open[i] = size;
  if (open) bytes = nnrt_graph_arena(g, open) + gradient_bytes(p, t);
  free(open);
  return bytes;
}

static int largest_that_fits(const NnrtProgram *p, const NnrtTrain *t, int64_t batch, int64_t *size, NnrtError *e) {
  if (t->memory <= 0)
    return nnrt_fail(e, NNRT_EUSAGE, "--micro-batch auto: nnc was not given --mem, which says what has to fit");
  for (*size = batch; *size > 0 && bytes_at(p, t, *size) > t->memory;) --*size;
  if (*size > 0) return NNRT_OK;
  return nnrt_fail(e, NNRT_EUSAGE, "--micro-batch auto: one example takes %lld bytes, and --mem allowed %lld",
                   (long long)bytes_at(p, t, 1), (long long)t->memory);
}

int nnrt_pieces_size(const NnrtProgram *p, const NnrtTrain *t, const char *asked, int64_t batch, int64_t *size,
                     NnrtError *e) {
  bool automatic = asked ? strcmp(asked, "auto") == 0 : t->micro_batch < 0;
  char *end = NULL;
  errno = 0;
  *size = asked && !automatic ? strtoll(asked, &end, 10) : t->micro_batch;
  if (end && (end == asked || *end || errno || *size < 1))
    return nnrt_fail(e, NNRT_EUSAGE, "--micro-batch \"%s\": a number of examples is needed, or auto", asked);
  if (*size == 0) return NNRT_OK;
  if (t->update < 0)
    return nnrt_fail(e, NNRT_EUSAGE, "--micro-batch: a batch cannot be taken in pieces: %s",
                     t->whole ? t->whole : "the program has no update by sums of gradients");
  if (automatic) return largest_that_fits(p, t, batch, size, e);
  if (*size > batch) *size = batch;
  return NNRT_OK;
}

/* ---- the sums ---- */

static const void *counter(const NnrtFeed *f, const char *name) {
  return strcmp(name, "$seed") == 0    ? (const void *)&f->seed
         : strcmp(name, "$step") == 0  ? (const void *)&f->step
         : strcmp(name, "$steps") == 0 ? (const void *)&f->steps
         : strcmp(name, "$epoch") == 0 ? (const void *)&f->epoch
                                       : NULL;
}

static int add_gradient(NnrtPieces *p, const NnrtFeed *f, int input, NnrtError *e) {
  const char *name = p->update.graph->inputs[input].name;
  const NnrtGraph *g = f->run.graph;
  int port = nnrt_port(g->outputs, g->n_outputs, name);
  if (port < 0) return nnrt_fail(e, NNRT_EINVAL, "the update reads \"%s\", which nothing gives", name);
  int64_t shape[NNRT_MAX_RANK], elements = nnrt_port_shape(&f->run, &g->outputs[port], shape);
  NnrtDtype type = (NnrtDtype)g->outputs[port].dtype;
  if (type != NNRT_F32 && type != NNRT_F64)
    return nnrt_fail(e, NNRT_EUSAGE, "--micro-batch: %s is neither f32 nor f64", name);
  p->port[p->n] = port;
  p->elements[p->n] = elements;
  p->sum[p->n] = nnrt_allocate(elements * nnrt_dtype(type)->bytes);
  if (!p->sum[p->n]) return nnrt_fail_memory(e, (unsigned long long)elements * 4, name);
  nnrt_run_input(&p->update, input, p->sum[p->n++]);
  return NNRT_OK;
}

int nnrt_pieces_open(NnrtPieces *p, NnrtModel *m, const NnrtTrain *t, int64_t size, NnrtFeed *f, NnrtError *e) {
  *p = (NnrtPieces){.size = size};
  if (size == 0) return NNRT_OK;
  int status = nnrt_run_open(&p->update, m, t->update, e);
  if (status != NNRT_OK) return status;
  size_t n = (size_t)p->update.graph->n_inputs + 1;
  p->port = calloc(n, sizeof *p->port);
  p->sum = calloc(n, sizeof *p->sum);
  p->elements = calloc(n, sizeof *p->elements);
  if (!p->port || !p->sum || !p->elements) return nnrt_fail_memory(e, n * sizeof *p->sum, "the gradients");
  for (int i = 0; i < (int)n - 1 && status == NNRT_OK; i++) {
    const void *at = counter(f, p->update.graph->inputs[i].name);
    if (at) nnrt_run_input(&p->update, i, at);
    else status = add_gradient(p, f, i, e);
  }
  return status == NNRT_OK ? nnrt_run_bind(&p->update, &f->batch, e) : status;
}

void nnrt_pieces_close(NnrtPieces *p) {
  for (int i = 0; i < p->n; i++) free(p->sum[i]);
  free(p->sum);
  free(p->port);
  free(p->elements);
  if (p->update.graph) nnrt_run_close(&p->update);
  *p = (NnrtPieces){0};
}

static void add_f32(float *sum, const float *g, int64_t n, float share, bool first) {
  for (int64_t i = 0; i < n; i++) sum[i] = (first ? 0 : sum[i]) + share * g[i];
}

static void add_f64(double *sum, const double *g, int64_t n, double share, bool first) {
  for (int64_t i = 0; i < n; i++) sum[i] = (first ? 0 : sum[i]) + share * g[i];
}

void nnrt_pieces_add(NnrtPieces *p, const NnrtFeed *f, double share, bool first) {
  for (int i = 0; i < p->n; i++) {
    const void *g = nnrt_run_output(&f->run, p->port[i]);
    if (f->run.graph->outputs[p->port[i]].dtype == NNRT_F64) add_f64(p->sum[i], g, p->elements[i], share, first);
    else add_f32(p->sum[i], g, p->elements[i], (float)share, first);
  }
}

int nnrt_pieces_update(NnrtPieces *p, int64_t n, NnrtError *e) {
  if (p->update.n_open && p->update.dims[0] != n) {
    int status = nnrt_run_bind(&p->update, &n, e);
    if (status != NNRT_OK) return status;
  }
  nnrt_run_go(&p->update);
  return NNRT_OK;
}
