/* arrays.c - see arrays.h. */
#include "runtime/arrays.h"
#include "runtime/closest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int64_t examples(const NnrtArray *a) { return a->rank ? a->shape[0] : 1; }

int nnrt_arrays_open(NnrtSource *s, NnrtOpenArray *open, NnrtError *e) {
  NnrtArray *arrays = s->own = calloc((size_t)s->n, sizeof *arrays);
  if (!arrays) return nnrt_fail_memory(e, (size_t)s->n * sizeof *arrays, "a source");
  for (int i = 0; i < s->n; i++) {
    int status = open(&arrays[i], s->files[i].path, e);
    if (status != NNRT_OK) return status;
    if (i == 0) s->count = examples(&arrays[0]);
    if (examples(&arrays[i]) != s->count)
      return nnrt_fail(e, NNRT_EDATA, "%s: %lld examples, but %s has %lld", s->files[i].path,
                       (long long)examples(&arrays[i]), s->files[0].path, (long long)s->count);
  }
  return NNRT_OK;
}

void nnrt_arrays_close(NnrtSource *s) {
  NnrtArray *arrays = s->own;
  for (int i = 0; i < s->n; i++) nnrt_array_close(&arrays[i]);
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
  const NnrtArray *arrays = s->own;
  int k = 0;
  if (c->from >= 0) k = c->from < s->n ? (int)c->from : s->n;
  else
    while (k < s->n && s->files[k].column && strcmp(s->files[k].column, c->name) != 0) k++;
  if (k == s->n) return no_array(s, c, e);
  const NnrtArray *a = &arrays[k];
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
  const NnrtArray *a = (const NnrtArray *)s->own + v->first;
  int64_t done = nnrt_array_read(a, first * v->width, n * v->width, t, to);
  if (done == n * v->width) return NNRT_OK;
  double value;
  int64_t row = first + done / v->width, i = done % v->width;
  nnrt_array_read(a, row * v->width + i, 1, NNRT_F64, &value);
  return nnrt_source_refuse(s, v, row, i, t, value, e);
}
