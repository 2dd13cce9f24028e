/* data.c - see data.h. */
#include "runtime/data.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 1024, CHUNK_BYTES = 16 << 20 }; /* examples that pass through a field's graph at a time, at most */

/* ---- the files ---- */

/* Is `column` read by the field `only`, or is every field wanted? */
static bool is_read(const NnrtData *t, const char *column, int only) {
  if (only < 0) return true;
  const NnrtField *f = &t->fields[only];
  for (int64_t k = 0; k < f->n_raw; k++)
    if (f->raw[k].from >= 0 || strcmp(f->raw[k].name, column) == 0) return true;
  return false;
}

/* Leaves the files that are read. */
static void keep_read(const NnrtData *t, NnrtSourceFile *files, int *n, int only) {
  int kept = 0;
  for (int i = 0; i < *n; i++)
    if (!files[i].column || is_read(t, files[i].column, only)) files[kept++] = files[i];
  *n = kept;
}

/* The table's files with the overrides put in. */
static NnrtSourceFile *list_files(const NnrtData *t, const NnrtOverride *overrides, int n_overrides, int *n,
                                  NnrtError *e) {
  *n = t->n_files ? (int)t->n_files : 1;
  NnrtSourceFile *files = calloc((size_t)*n, sizeof *files);
  if (!files) {
    nnrt_fail_memory(e, (size_t)*n * sizeof *files, t->name);
    return NULL;
  }
  for (int i = 0; i < *n; i++)
    files[i] = t->n_files ? (NnrtSourceFile){t->files[i].column, t->files[i].path} : (NnrtSourceFile){NULL, t->path};
  for (int k = 0; k < n_overrides; k++) {
    int i = 0;
    while (overrides[k].column && i < *n && (!files[i].column || strcmp(files[i].column, overrides[k].column) != 0))
      i++;
    if (i < *n && (overrides[k].column || *n == 1)) {
      files[i].path = overrides[k].path;
      continue;
    }
    nnrt_fail(e, NNRT_EUSAGE, "data %s has no file for \"%s\" (it has %d files: %s.%s=PATH names one)", t->name,
              overrides[k].column ? overrides[k].column : overrides[k].path, *n, t->name,
              files[0].column ? files[0].column : "COLUMN");
    free(files);
    return NULL;
  }
  return files;
}

/* ---- one field ---- */

typedef struct Reading { /* a field on its way from the source through its graph */
  const NnrtField *field;
  const NnrtSource *source;
  NnrtRun run;
  NnrtView *views; /* of field->raw */
  void **raw;      /* `chunk` rows of each */
  int64_t chunk;   /* examples at a time */
  int64_t longest; /* where examples have lengths of their own */
} Reading;

/* Examples of the source's own lengths have room for `size`. */
static int pad(const Reading *r, NnrtView *v, int64_t size, NnrtError *e) {
  char place[256];
  for (int64_t i = 0; v->width > size && i < r->source->count; i++) {
    int64_t n = nnrt_source_length(r->source, v, i);
    if (n > size)
      return nnrt_fail(e, NNRT_EDATA, "%s: %lld %s, but field %s has room for %lld",
                       nnrt_source_place(r->source, v, i, 0, place), (long long)n,
                       nnrt_dtype((NnrtDtype)r->field->dtype)->class == 'f' ? "numbers" : "tokens", r->field->name,
                       (long long)size);
  }
  v->width = v->shape[0] = size;
  return NNRT_OK;
}

/* The open dimensions of the field's graph: n examples, each as long as the longest. */
static void open_sizes(const Reading *r, int64_t n, int64_t *open) {
  for (int i = 0; i < r->run.n_open; i++) open[i] = i ? r->longest : n;
}

/* What the field reads of the source, and how long the longest example is. */
static int find_views(Reading *r, NnrtError *e) {
  int status = NNRT_OK;
  r->longest = 1;
  for (int k = 0; status == NNRT_OK && k < r->field->n_raw; k++) {
    NnrtView *v = &r->views[k];
    status = nnrt_source_view(r->source, &r->field->raw[k], v, e);
    if (v->shape[0] > r->longest) r->longest = v->shape[0];
  }
  int64_t most = r->run.n_open > 1 ? r->run.graph->dims[1].upper : INT64_MAX;
  if (r->longest > most) r->longest = most; /* who is longer is found where it is read */
  return status;
}

/* As many examples at a time as there is room for, and one at least. */
static int64_t chunk_of(const Reading *r, int64_t bytes) {
  for (int64_t k = 0; k < r->field->n_raw; k++) {
    int64_t width = r->views[k].width, row;
    if (__builtin_mul_overflow(width, nnrt_dtype((NnrtDtype)r->field->raw[k].dtype)->bytes, &row)) row = CHUNK_BYTES;
    if (row > bytes) bytes = row;
  }
  int64_t n = CHUNK_BYTES / (bytes > 0 ? bytes : 1);
  return n < 1 ? 1 : n < CHUNK ? n : CHUNK;
}

/* A row in the file is not what the program reads: for a formula, what says what it is. */
static int wrong_row(const Reading *r, int k, const int64_t *shape, int rank, NnrtError *e) {
  const NnrtColumn *c = &r->field->raw[k];
  const NnrtView *v = &r->views[k];
  bool other = c->from < 0 && strcmp(c->name, r->field->name) != 0;
  char have[128], want[128], place[256];
  return nnrt_fail(
      e, NNRT_EDATA, "%s: an example of field %s has shape %s in the file, but the program reads %s%s%s%s",
      nnrt_source_place(r->source, v, 0, 0, place), r->field->name,
      nnrt_shape_text(v->shape, v->rank, have, sizeof have), nnrt_shape_text(shape, rank, want, sizeof want),
      other ? "; a field `" : "", other ? c->name : "", other ? "` without a formula says what a row is" : "");
}

static int open_raw(Reading *r, int k, NnrtError *e) {
  int status = NNRT_OK;
  const NnrtColumn *c = &r->field->raw[k];
  NnrtView *v = &r->views[k];
  char name[32];
  snprintf(name, sizeof name, "raw.%d", k);
  int port = nnrt_port(r->run.graph->inputs, r->run.graph->n_inputs, name);
  if (port < 0) return NNRT_OK; /* nothing depends on it */
  const NnrtPort *p = &r->run.graph->inputs[port];
  int64_t shape[NNRT_MAX_RANK];
  int rank = (int)p->n_shape - 1;
  memset(r->run.dims, 0, (size_t)r->run.graph->n_dims * sizeof *r->run.dims);
  open_sizes(r, 1, r->run.dims);
  nnrt_port_shape(&r->run, p, shape);
  if (v->ragged && !v->lengths && rank == 1) status = pad(r, v, shape[1], e);
  if (status != NNRT_OK) return status;
  if (rank != v->rank || (rank && memcmp(shape + 1, v->shape, (size_t)rank * sizeof *shape) != 0))
    return wrong_row(r, k, shape + 1, rank, e);
  r->raw[k] = nnrt_allocate(r->chunk * (v->lengths ? 1 : v->width) * nnrt_dtype((NnrtDtype)c->dtype)->bytes);
  if (!r->raw[k]) return nnrt_fail_memory(e, (unsigned long long)(r->chunk * v->width), r->field->name);
  nnrt_run_input(&r->run, port, r->raw[k]);
  return NNRT_OK;
}

static int out_of_bound(const Reading *r, int64_t example, int64_t i, int64_t value, NnrtError *e) {
  const NnrtView *v = &r->views[0];
  char place[256];
  return nnrt_fail(e, NNRT_EDATA, "%s: field %s is %lld, which is not in 0..%lld",
                   nnrt_source_place(r->source, v, example, i < v->width ? i : 0, place), r->field->name,
                   (long long)value, (long long)r->field->bound - 1);
}

static int check_bound(const Reading *r, const void *values, int64_t first, int64_t n, int64_t width, NnrtError *e) {
  int64_t value, i = nnrt_outside((NnrtDtype)r->field->dtype, values, n * width, r->field->bound, &value);
  return i < 0 ? NNRT_OK : out_of_bound(r, first + i / width, i % width, value, e);
}

/* Examples first .. first+n-1 of the field, computed and checked, to `to`. */
static int read_chunk(Reading *r, int64_t first, int64_t n, char *to, int64_t bytes, NnrtError *e) {
  for (int64_t k = 0; k < r->field->n_raw; k++) {
    if (!r->raw[k]) continue;
    int status = nnrt_source_read(r->source, &r->views[k], first, n, (NnrtDtype)r->field->raw[k].dtype, r->raw[k], e);
    if (status != NNRT_OK) return status;
  }
  int64_t open[2];
  if (r->run.n_open > 2) return nnrt_fail(e, NNRT_EINVAL, "field %s has too many open dimensions", r->field->name);
  open_sizes(r, n, open);
  int status = nnrt_run_bind(&r->run, open, e);
  if (status != NNRT_OK) return status;
  nnrt_run_go(&r->run);
  const void *values = nnrt_run_output(&r->run, 0);
  if (bytes) memcpy(to, values, (size_t)(n * bytes));
  return r->field->bound ? check_bound(r, to, first, n, bytes / nnrt_dtype((NnrtDtype)r->field->dtype)->bytes, e)
                         : NNRT_OK;
}

static void close_reading(Reading *r) {
  for (int64_t k = 0; r->raw && k < r->field->n_raw; k++) free(r->raw[k]);
  free(r->raw);
  free(r->views);
  nnrt_run_close(&r->run);
}

/* Tokens and labels are kept as bytes where their bound allows it. */
static NnrtDtype kept_type(const NnrtField *f) {
  NnrtDtype given = (NnrtDtype)f->dtype;
  NnrtDtype least = f->bound <= 256 ? NNRT_U8 : NNRT_I16;
  bool fits = f->bound > 0 && f->bound <= 1 << 15;
  return fits && nnrt_dtype(least)->bytes < nnrt_dtype(given)->bytes ? least : given;
}

static NnrtDtype kept_as(const NnrtDataset *d, int field) {
  return d->kept ? d->kept[field] : (NnrtDtype)d->table->fields[field].dtype;
}

/* Bytes of one example of a field as it is kept. */
static int64_t kept_bytes(const NnrtDataset *d, int field) {
  int given = nnrt_dtype((NnrtDtype)d->table->fields[field].dtype)->bytes;
  return d->bytes[field] / given * nnrt_dtype(kept_as(d, field))->bytes;
}

/* Chunk by chunk, by way of `given` where it is kept in another type. */
static int read_chunks(NnrtDataset *d, Reading *r, int k, char *given, NnrtError *e) {
  NnrtDtype type = (NnrtDtype)r->field->dtype;
  int64_t row = kept_bytes(d, k), elements = d->bytes[k] / nnrt_dtype(type)->bytes;
  for (int64_t first = 0; first < d->count; first += r->chunk) {
    int64_t n = d->count - first < r->chunk ? d->count - first : r->chunk;
    char *to = d->fields[k] + first * row;
    int status = read_chunk(r, first, n, given ? given : to, d->bytes[k], e);
    if (status != NNRT_OK) return status;
    if (given) nnrt_convert(type, given, false, d->kept[k], to, n * elements);
  }
  return NNRT_OK;
}

/* Memory for all examples of the field. */
static int allocate_field(NnrtDataset *d, const Reading *r, int k, NnrtError *e) {
  const NnrtField *f = r->field;
  int64_t total, shape[NNRT_MAX_RANK];
  for (int64_t i = 0; i < f->n_shape; i++) shape[i] = f->shape[i] < 0 ? r->longest : f->shape[i];
  d->kept[k] = kept_type(f);
  if (nnrt_shape_bytes(shape, (int)f->n_shape, (NnrtDtype)f->dtype, &d->bytes[k]) &&
      !__builtin_mul_overflow(kept_bytes(d, k), d->count, &total) && (d->fields[k] = nnrt_allocate(total)))
    return NNRT_OK;
  return nnrt_fail_memory(e, (unsigned long long)d->bytes[k] * (unsigned long long)d->count, f->name);
}

static int read_field(NnrtDataset *d, NnrtModel *m, const NnrtSource *s, int k, NnrtError *e) {
  const NnrtField *f = &d->table->fields[k];
  Reading r = {.field = f, .source = s};
  int status = nnrt_run_open(&r.run, m, f->graph, e);
  if (status != NNRT_OK) return status;
  r.views = calloc((size_t)f->n_raw + 1, sizeof *r.views);
  r.raw = calloc((size_t)f->n_raw + 1, sizeof *r.raw);
  if (!r.views || !r.raw) status = nnrt_fail_memory(e, (size_t)f->n_raw * sizeof *r.views, f->name);
  if (status == NNRT_OK) status = find_views(&r, e);
  if (status == NNRT_OK) status = allocate_field(d, &r, k, e);
  if (status == NNRT_OK) r.chunk = chunk_of(&r, d->bytes[k]);
  for (int i = 0; status == NNRT_OK && i < f->n_raw; i++) status = open_raw(&r, i, e);
  bool converts = d->kept[k] != (NnrtDtype)f->dtype;
  char *given = converts && status == NNRT_OK ? nnrt_allocate(r.chunk * d->bytes[k]) : NULL;
  if (converts && status == NNRT_OK && !given)
    status = nnrt_fail_memory(e, (unsigned long long)(r.chunk * d->bytes[k]), f->name);
  if (status == NNRT_OK) status = read_chunks(d, &r, k, given, e);
  free(given);
  close_reading(&r);
  return status;
}

/* ---- the data set ---- */

/* The name of a column that is read; NULL: it has none. */
static const char *first_column(const NnrtData *t, int only) {
  for (int64_t k = 0; k < t->n_fields; k++)
    if ((only < 0 || only == k) && t->fields[k].n_raw) return t->fields[k].raw[0].name;
  return NULL;
}

int nnrt_data_open(NnrtDataset *d, NnrtModel *m, int64_t index, const NnrtOverride *overrides, int n_overrides,
                   int only, NnrtError *e) {
  const NnrtData *t = &m->program->data[index];
  *d = (NnrtDataset){.table = t, .index = index};
  int n_files;
  NnrtSourceFile *files = list_files(t, overrides, n_overrides, &n_files, e);
  if (!files) return e ? e->status : NNRT_EUSAGE;
  keep_read(t, files, &n_files, only);
  NnrtSource s;
  NnrtSourceOptions options = {t->window, t->stride,  t->tokenizer, t->vocabulary, t->tokens, first_column(t, only),
                               t->fields, t->n_fields};
  int status = nnrt_source_open(&s, t->reader, files, n_files, &options, e);
  if (status == NNRT_OK) {
    d->count = s.count;
    d->fields = calloc((size_t)t->n_fields + 1, sizeof *d->fields);
    d->bytes = calloc((size_t)t->n_fields + 1, sizeof *d->bytes);
    d->kept = calloc((size_t)t->n_fields + 1, sizeof *d->kept);
    if (!d->fields || !d->bytes || !d->kept)
      status = nnrt_fail_memory(e, (size_t)t->n_fields * sizeof *d->fields, t->name);
    if (d->count == 0) status = nnrt_fail(e, NNRT_EDATA, "%s: no examples", files[0].path);
    for (int k = 0; status == NNRT_OK && k < t->n_fields; k++)
      if (only < 0 || only == k) status = read_field(d, m, &s, k, e);
    nnrt_source_close(&s);
  }
  free(files);
  if (status != NNRT_OK) nnrt_data_close(d);
  return status;
}

void nnrt_data_close(NnrtDataset *d) {
  for (int64_t k = 0; d->fields && k < d->table->n_fields; k++) free(d->fields[k]);
  free(d->fields);
  free(d->bytes);
  free(d->kept);
  *d = (NnrtDataset){0};
}

int64_t nnrt_data_inner(int64_t rank, const int64_t *shape) {
  int64_t n = 1;
  for (int64_t i = 1; i < rank; i++) n *= shape[i];
  return n;
}

int64_t nnrt_data_elements(const NnrtDataset *d, int field, int64_t rows) {
  const NnrtField *f = &d->table->fields[field];
  return rows * nnrt_data_inner(f->n_shape, f->shape);
}

static int32_t longest_of(const int32_t *length, const int64_t *places, int64_t n, int32_t most) {
  for (int64_t i = 0; i < n; i++) {
    int32_t own = length[places ? places[i] : i];
    if (own > most) most = own;
  }
  return most;
}

int64_t nnrt_data_longest(const NnrtDataset *d, int field, const int64_t *places, int64_t n) {
  const NnrtField *f = &d->table->fields[field];
  if (!f->n_shape || f->shape[0] >= 0) return -1;
  int32_t most = 1;
  for (int64_t k = 0; k < d->table->n_fields; k++) {
    const NnrtField *other = &d->table->fields[k];
    bool same = other->n_shape && other->shape[0] == f->shape[0] && d->fields[other->length];
    if (same) most = longest_of((const int32_t *)(const void *)d->fields[other->length], places, n, most);
  }
  return most;
}

void nnrt_data_gather(const NnrtDataset *d, int field, const int64_t *places, int64_t n, int64_t width, void *to) {
  int64_t row = kept_bytes(d, field);
  NnrtDtype kept = kept_as(d, field), given = (NnrtDtype)d->table->fields[field].dtype;
  int64_t own = row / nnrt_dtype(kept)->bytes, bytes = nnrt_dtype(given)->bytes;
  int64_t taken = width < 0 || width > own ? own : width, rest = width > own ? (width - own) * bytes : 0;
  char *at = to;
  for (int64_t i = 0; i < n; i++, at += taken * bytes + rest) {
    nnrt_convert(kept, d->fields[field] + (places ? places[i] : i) * row, false, given, at, taken);
    if (rest) memset(at + taken * bytes, 0, (size_t)rest);
  }
}

int nnrt_data_field(const NnrtDataset *d, const char *port) {
  const char *dot = strchr(port, '.');
  for (int k = 0; dot && k < d->table->n_fields; k++)
    if (strcmp(d->table->fields[k].name, dot + 1) == 0) return k;
  return -1;
}

/* Gathers what an input of the statistics reads; sizes[] of open dimensions grow to what it needs. */
static int give_statistics(const NnrtDataset *d, NnrtRun *r, int port, const int64_t *places, int64_t n, void **at,
                           int64_t *sizes, NnrtError *e) {
  const NnrtPort *p = &r->graph->inputs[port];
  int64_t scale, rest;
  int field = nnrt_data_field(d, p->name), open = p->n_shape > 1 ? nnrt_port_open(r, p, 1, &scale, &rest) : -1;
  if (field < 0) return NNRT_OK;
  int64_t longest = nnrt_data_longest(d, field, NULL, d->count), width = nnrt_data_elements(d, field, longest);
  int64_t bytes = n * (longest > 0 ? width * nnrt_dtype((NnrtDtype)p->dtype)->bytes : d->bytes[field]);
  *at = nnrt_allocate(bytes);
  if (!*at) return nnrt_fail_memory(e, (unsigned long long)bytes, d->table->name);
  nnrt_data_gather(d, field, places, n, longest > 0 ? width : -1, *at);
  if (longest > 0 && open > 0) sizes[open] = longest;
  nnrt_run_input(r, port, *at);
  return NNRT_OK;
}

int nnrt_data_statistics(const NnrtDataset *d, NnrtModel *m, const int64_t *places, int64_t n, NnrtError *e) {
  if (d->table->stats < 0) return NNRT_OK;
  NnrtRun r;
  int status = nnrt_run_open(&r, m, d->table->stats, e);
  if (status != NNRT_OK) return status;
  void **gathered = calloc((size_t)r.graph->n_inputs + 1, sizeof *gathered);
  int64_t *sizes = calloc((size_t)r.n_open + 1, sizeof *sizes);
  if (!gathered || !sizes) status = nnrt_fail_memory(e, (size_t)r.graph->n_inputs * sizeof *gathered, d->table->name);
  if (sizes) sizes[0] = n;
  for (int64_t i = 0; status == NNRT_OK && i < r.graph->n_inputs; i++)
    status = give_statistics(d, &r, (int)i, places, n, &gathered[i], sizes, e);
  if (status == NNRT_OK) status = nnrt_run_bind(&r, sizes, e);
  if (status == NNRT_OK) nnrt_run_go(&r);
  for (int64_t i = 0; gathered && i < r.graph->n_inputs; i++) free(gathered[i]);
  free(gathered);
  free(sizes);
  nnrt_run_close(&r);
  return status;
}
