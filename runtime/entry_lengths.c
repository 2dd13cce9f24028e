/* entry_lengths.c - see NnrtLengths in entry.h. */
#include "runtime/entry.h"

#include <stdlib.h>
#include <string.h>

/* Makes room for n examples of `width` elements; those that are there stay, each with zeros behind it. */
static int resize(NnrtEntryCall *x, NnrtEntryValue *v, int64_t n, int64_t width) {
  int64_t bytes = width * nnrt_dtype(v->dtype)->bytes;
  char *more = nnrt_allocate(n * bytes);
  if (!more) return nnrt_fail_memory(x->error, (unsigned long long)(n * bytes), v->name);
  if (n > 0) memset(more, 0, (size_t)(n * bytes));
  for (int64_t i = 0; i < v->n && v->bytes; i++) memcpy(more + i * bytes, v->data + i * v->bytes, (size_t)v->bytes);
  free(v->data);
  v->data = more;
  v->width = width;
  v->bytes = bytes;
  return NNRT_OK;
}

static int64_t inner(const NnrtEntryValue *v) { return nnrt_data_inner(v->table->n_shape, v->table->shape); }

static int take(NnrtEntryCall *x, NnrtEntryValue *v, const NnrtDataset *d) {
  int64_t width = d->bytes[v->table->field] / nnrt_dtype(v->dtype)->bytes;
  int status = resize(x, v, v->n + d->count, width > v->width ? width : v->width);
  if (status != NNRT_OK) return status;
  nnrt_data_gather(d, (int)v->table->field, NULL, d->count, v->width, v->data + v->n * v->bytes);
  v->n += d->count;
  return NNRT_OK;
}

/* What was read from FILES is as long as the longest, of all arguments with the same open dimension. */
static int share_sizes(NnrtEntryCall *x, bool widen) {
  int status = NNRT_OK;
  for (int k = 0; status == NNRT_OK && k < x->n_arguments; k++) {
    NnrtEntryValue *v = &x->arguments[k];
    const NnrtPort *p = v->port < 0 ? NULL : &x->run.graph->inputs[v->port];
    bool open = p && v->data && !v->file && v->table->n_shape && v->table->shape[0] < 0;
    int64_t scale, rest;
    int d = open ? nnrt_port_open(&x->run, p, (int)(p->n_shape - v->table->n_shape), &scale, &rest) : -1;
    if (d < 0) continue;
    int64_t least = (v->width / inner(v) - rest + scale - 1) / scale;
    if (!widen && least > x->open[d]) x->open[d] = least;
    int64_t width = (x->open[d] * scale + rest) * inner(v);
    if (widen && v->width < width) status = resize(x, v, v->n, width);
  }
  return status;
}

/* The length of argument k, which was given as a tensor or a text, for each of its examples. */
static int give_length(NnrtEntryCall *x, int k) {
  const NnrtEntryValue *of = &x->arguments[k];
  NnrtEntryValue *v = &x->arguments[k + 1];
  free(v->data);
  v->n = of->n;
  v->width = 1;
  v->bytes = sizeof(int32_t);
  v->data = nnrt_allocate(v->n * v->bytes);
  if (!v->data) return nnrt_fail_memory(x->error, (unsigned long long)(v->n * v->bytes), v->name);
  int32_t most = (int32_t)(of->rank ? of->shape[0] : 1), n = of->length < most ? of->length : most;
  for (int64_t i = 0; i < v->n; i++) memcpy(v->data + i * v->bytes, &n, sizeof n);
  return NNRT_OK;
}

static int settle(NnrtEntryCall *x) {
  int status = share_sizes(x, false);
  if (status == NNRT_OK) status = share_sizes(x, true);
  for (int k = 0; status == NNRT_OK && k < x->n_arguments; k++)
    if (nnrt_entry_has_length(x, k) && x->arguments[k].file) status = give_length(x, k);
  return status;
}

static int file(const NnrtEntryCall *x, int k) {
  int n = k;
  for (int i = 0; i < k; i++) n -= nnrt_entry_has_length(x, i);
  return n;
}

const NnrtLengths nnrt_lengths = {take, settle, file};
