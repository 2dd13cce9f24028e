/* arrays.c - see arrays.h. */
#include "runtime/arrays.h"
#include "runtime/closest.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int64_t nnrt_arrays_examples(const NnrtArray *a) { return a->rank ? a->shape[0] : 1; }

/* Whether array k has as many examples, or rows of windows, as the others. */
static int check_count(const NnrtSource *s, int k, NnrtError *e) {
  const NnrtArrays *own = s->own;
  const NnrtArray *a = &own->at[k];
  if (nnrt_arrays_examples(a) == own->rows) return NNRT_OK;
  bool one_file = s->reader->single;
  return nnrt_fail(e, NNRT_EDATA, "%s: %s%s%lld examples, but %s has %lld", s->files[k].path,
                   one_file ? s->files[k].column : "", one_file ? " has " : "", (long long)nnrt_arrays_examples(a),
                   one_file && s->options.first ? s->options.first : s->files[0].path, (long long)own->rows);
}

int nnrt_arrays_open(NnrtSource *s, NnrtOpenArray *open, NnrtError *e) {
  NnrtArrays *own = s->own = calloc(1, sizeof *own);
  NnrtArray *arrays = own ? own->at = calloc((size_t)s->n, sizeof *arrays) : NULL;
  if (!arrays) return nnrt_fail_memory(e, (size_t)s->n * sizeof *arrays, "a source");
  for (int i = 0; i < s->n; i++) {
    int status = open(&arrays[i], s->files[i].path, e);
    if (status != NNRT_OK) return status;
    if (i == 0) s->count = own->rows = nnrt_arrays_examples(&arrays[0]);
    status = check_count(s, i, e);
    if (status != NNRT_OK) return status;
  }
  return NNRT_OK;
}

void nnrt_arrays_close(NnrtSource *s) {
  NnrtArrays *own = s->own;
  for (int i = 0; own->at && i < s->n; i++) nnrt_array_close(&own->at[i]);
  free(own->at);
}

static int no_array(const NnrtSource *s, const NnrtColumn *c, NnrtError *e) {
  NnrtClosest near = {0};
  char hint[96];
  if (c->from >= 0)
    return nnrt_fail(e, NNRT_EDATA, "%s: there is no array %lld", s->files[0].path, (long long)c->from);
  for (int k = 0; k < s->n; k++)
    if (s->files[k].column) nnrt_closest_try(&near, c->name, s->files[k].column);
  return nnrt_fail(e, NNRT_EDATA, "%s: there is no array \"%s\"%s", s->files[0].path, c->name,
                   nnrt_closest_text(&near, c->name, hint));
}

int nnrt_arrays_view(const NnrtSource *s, const NnrtColumn *c, NnrtView *v, NnrtError *e) {
  const NnrtArray *arrays = ((const NnrtArrays *)s->own)->at;
  int k = 0;
  if (c->from >= 0) k = c->from < s->n ? (int)c->from : s->n;
  else
    while (k < s->n && s->files[k].column && strcmp(s->files[k].column, c->name) != 0) k++;
  if (k == s->n) return no_array(s, c, e);
  const NnrtArray *a = &arrays[k];
  int status = check_count(s, k, e);
  if (status != NNRT_OK) return status;
  *v = (NnrtView){.first = k, .rank = a->rank ? a->rank - 1 : 0};
  for (int i = 0; i < v->rank; i++) v->shape[i] = a->shape[i + 1];
  if (!nnrt_shape_count(v->shape, v->rank, &v->width) || v->width > INT32_MAX)
    return nnrt_fail(e, NNRT_EDATA, "%s: more than 2^31 numbers in an example", s->files[k].path);
  return NNRT_OK;
}

void nnrt_arrays_place(const NnrtSource *s, const NnrtView *v, int64_t example, int64_t i, char text[256]) {
  (void)i;
  snprintf(text, 256, "%.200s: row %lld", s->files[v->first].path, (long long)example);
}

int nnrt_arrays_read(const NnrtSource *s, const NnrtView *v, int64_t first, int64_t n, NnrtDtype t, void *to,
                     NnrtError *e) {
  const NnrtArray *a = &((const NnrtArrays *)s->own)->at[v->first];
  int64_t done = nnrt_array_read(a, first * v->width, n * v->width, t, to);
  double value;
  for (int64_t k = 0; t == NNRT_F32 && a->dtype == NNRT_F64 && k < done; k++) {
    if (!isinf(((const float *)to)[k])) continue;
    nnrt_array_read(a, first * v->width + k, 1, NNRT_F64, &value);
    if (!isinf(value)) done = k; /* it is too large */
  }
  if (done == n * v->width) return NNRT_OK;
  int64_t row = first + done / v->width, i = done % v->width;
  nnrt_array_read(a, row * v->width + i, 1, NNRT_F64, &value);
  return nnrt_source_refuse(s, v, row, i, t, value, e);
}
