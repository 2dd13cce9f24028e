/* entry.c - the verbs that are entries (`predict`): reads examples from FILES through the data's fields, or tensors
 * from .npy files, runs the entry over them and writes its results as text, JSON lines, csv or .npy. */
#include "runtime/entry.h"
#include "runtime/philox.h"
#include "runtime/run.h"
#include "runtime/texts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { BATCH = 256 };

/* ---- arguments ---- */

static int refuse_bound(NnrtEntryCall *x, const NnrtEntryValue *v, int64_t i, int64_t value, const char *file) {
  return nnrt_fail(x->error, NNRT_EDATA, "%s: row %lld: %s is %lld, which is not in 0..%lld", file,
                   (long long)(i / (v->width ? v->width : 1)), v->name, (long long)value,
                   (long long)v->table->bound - 1);
}

static int check_bound(NnrtEntryCall *x, const NnrtEntryValue *v, const char *file) {
  int64_t value, i = nnrt_outside(v->dtype, v->data, v->n * v->width, v->table->bound, &value);
  return i < 0 ? NNRT_OK : refuse_bound(x, v, i, value, file);
}

/* Extent i of v, if it is the first that says what an open dimension is. `own`: where it is the one that has a name,
 * and not computed of it. */
static int take_open(NnrtEntryCall *x, const NnrtEntryValue *v, int i, bool own) {
  const NnrtPort *p = &x->run.graph->inputs[v->port];
  int64_t extent = v->shape[i], scale, rest;
  int d = nnrt_port_open(&x->run, p, i + (int)p->n_shape - v->rank, &scale, &rest);
  if (d < 0 || x->open[d] >= 0) return NNRT_OK;
  const NnrtDim *named = &x->run.graph->dims[d];
  if (own && (scale != named->scale || rest != named->rest)) return NNRT_OK;
  x->open[d] = extent < rest ? -1 : (extent - rest) / scale;
  if (extent >= rest && x->open[d] * scale + rest == extent) return NNRT_OK;
  if (own)
    return nnrt_fail(x->error, NNRT_EDATA, "%s: %s is %lld, but %s %% %lld must be %lld", v->file, named->name,
                     (long long)extent, named->name, (long long)scale, (long long)rest);
  scale /= named->scale; /* as the program says it, of the size that has a name */
  rest -= named->rest * scale;
  char more[32] = "";
  if (rest) snprintf(more, sizeof more, " %c %lld", rest < 0 ? '-' : '+', (long long)(rest < 0 ? -rest : rest));
  return nnrt_fail(x->error, NNRT_EDATA, "%s: dimension %d of %s is %lld, but must be %lld * %s%s", v->file, i,
                   v->name, (long long)extent, (long long)scale, named->name, more);
}

/* First what has a name, then what is computed of it. */
static int take_sizes(NnrtEntryCall *x) {
  int status = NNRT_OK;
  for (int k = 0; k < 2 * x->n_arguments; k++) {
    const NnrtEntryValue *v = &x->arguments[k % x->n_arguments];
    for (int i = 0; status == NNRT_OK && v->file && v->port >= 0 && i < v->rank; i++)
      status = take_open(x, v, i, k < x->n_arguments);
  }
  return status;
}

/* Index of the batch among the open dimensions, -1: the entry is not batched. */
static int batch_dim(const NnrtEntryCall *x) {
  for (int i = 0; i < x->run.n_open; i++)
    if (strcmp(x->run.graph->dims[i].name, "B") == 0) return i;
  return -1;
}

/* An .npy file gives the argument: [N, shape...], or one example [shape...]. */
static int take_array(NnrtEntryCall *x, NnrtEntryValue *v, const NnrtArray *read, const char *file) {
  const NnrtArray *a = read;
  int status = x->table->packs ? x->table->packs->fold(x, v, &a, file) : NNRT_OK;
  if (status != NNRT_OK) return status;
  const NnrtPort *p = v->port < 0 ? NULL : &x->run.graph->inputs[v->port];
  /* What the graph does not read counts the examples all the same. */
  int rank = p ? (int)p->n_shape : (int)v->table->n_shape + (batch_dim(x) >= 0), lead = rank - a->rank;
  bool batched = rank > v->table->n_shape;
  if (lead < 0 || lead > (batched ? 1 : 0))
    return nnrt_fail(x->error, NNRT_EDATA, "%s: %s has %lld dimensions, the file %d", file, v->name,
                     (long long)v->table->n_shape, a->rank);
  int64_t shape[NNRT_MAX_RANK] = {1};
  memcpy(shape + lead, a->shape, (size_t)a->rank * sizeof *shape);
  v->rank = rank - batched;
  v->file = file;
  memcpy(v->shape, shape + batched, (size_t)v->rank * sizeof *shape);
  v->n = batched ? shape[0] : 1;
  v->width = v->n ? a->count / v->n : 0;
  v->bytes = v->width * nnrt_dtype(v->dtype)->bytes;
  v->data = nnrt_allocate(a->count * nnrt_dtype(v->dtype)->bytes);
  if (!v->data) return nnrt_fail_memory(x->error, (unsigned long long)a->count * 8, v->name);
  int64_t done = nnrt_array_read(read, 0, a->count, v->dtype, v->data);
  if (done < a->count)
    return nnrt_fail(x->error, NNRT_EDATA, "%s: element %lld is not of type %s", file, (long long)done,
                     nnrt_dtype(v->dtype)->name);
  return check_bound(x, v, file);
}

/* Once sizes are bound: whether each file has the shape that they say. */
static int check_shapes(NnrtEntryCall *x) {
  for (int k = 0; k < x->n_arguments; k++) {
    const NnrtEntryValue *v = &x->arguments[k];
    int64_t shape[NNRT_MAX_RANK], expected;
    const NnrtPort *p = v->port < 0 ? NULL : &x->run.graph->inputs[v->port];
    if (p) nnrt_port_shape(&x->run, p, shape);
    for (int i = 0; v->file && i < v->rank; i++) {
      expected = p ? shape[i + (int)p->n_shape - v->rank] : v->table->shape[i];
      if (expected >= 0 && v->shape[i] != expected)
        return nnrt_fail(x->error, NNRT_EDATA, "%s: dimension %d of %s is %lld, but must be %lld", v->file, i,
                         v->name, (long long)v->shape[i], (long long)expected);
    }
  }
  return NNRT_OK;
}

static bool is_text(const NnrtEntryCall *x, const NnrtEntryValue *v) {
  return x->table->texts && v->table->text >= 0;
}

/* Is `text`, given for an argument that is a text, the text itself? */
static bool is_given_as_text(const NnrtEntryCall *x, const NnrtEntryValue *v, const char *text) {
  size_t n = strlen(text);
  return is_text(x, v) && (n < 4 || strcmp(text + n - 4, ".npy") != 0);
}

/* --input NAME=FILE, or NAME=TEXT */
static int take_input(NnrtEntryCall *x, const char *text) {
  const char *equals = strchr(text, '=');
  for (int k = 0; equals && k < x->n_arguments; k++) {
    NnrtEntryValue *v = &x->arguments[k];
    if (strlen(v->name) != (size_t)(equals - text) || strncmp(v->name, text, strlen(v->name)) != 0) continue;
    NnrtArray a;
    int64_t length = INT32_MAX;
    bool as_text = is_given_as_text(x, v, equals + 1);
    int status =
        as_text ? x->table->texts->open(&x->cli->program->data[v->table->text], equals + 1,
                                        nnrt_entry_has_length(x, k) ? v->table->shape[0] : -1, &a, &length, x->error)
                : nnrt_npy_open(&a, equals + 1, x->error);
    if (status != NNRT_OK) return status;
    free(v->data);
    v->data = NULL;
    status = take_array(x, v, &a, as_text ? "--input" : equals + 1);
    nnrt_array_close(&a);
    v->length = (int32_t)length;
    return status;
  }
  return nnrt_fail(x->error, NNRT_EUSAGE, "--input takes NAME=FILE with an argument's name, not \"%s\"", text);
}

static int take_rows(NnrtEntryCall *x, NnrtEntryValue *v, const NnrtDataset *d) {
  v->bytes = d->bytes[v->table->field];
  v->width = v->bytes / nnrt_dtype(v->dtype)->bytes;
  char *more = nnrt_allocate((v->n + d->count) * v->bytes);
  if (!more) return nnrt_fail_memory(x->error, (unsigned long long)((v->n + d->count) * v->bytes), v->name);
  if (v->n) memcpy(more, v->data, (size_t)(v->n * v->bytes));
  nnrt_data_gather(d, (int)v->table->field, NULL, d->count, -1, more + v->n * v->bytes);
  free(v->data);
  v->data = more;
  v->n += d->count;
  return NNRT_OK;
}

/* Adds the examples of FILE, read as the data's field that the argument is. */
static int take_field(NnrtEntryCall *x, NnrtEntryValue *v, const char *file) {
  const NnrtArgument *a = v->table;
  if (a->data < 0)
    return nnrt_fail(x->error, NNRT_EUSAGE, "%s is not read from data: give --input %s=FILE", v->name, v->name);
  const NnrtData *t = &x->cli->program->data[a->data];
  const NnrtField *f = &t->fields[a->field];
  NnrtOverride o = {t->n_files && f->n_raw ? f->raw[0].name : NULL, file};
  NnrtDataset d;
  int status = nnrt_data_open(&d, &x->model, a->data, &o, 1, (int)a->field, x->error);
  if (status != NNRT_OK) return status;
  status = x->table->lengths ? x->table->lengths->take(x, v, &d) : take_rows(x, v, &d);
  nnrt_data_close(&d);
  return status;
}

/* Which file argument k is read from, where each has one: a length comes with what it is of. */
static int file_of(const NnrtEntryCall *x, int k) { return x->table->lengths ? x->table->lengths->file(x, k) : k; }

/* FILES: each holds every argument (csv), or, where the data has a file for each column, one argument each. */
static int take_files(NnrtEntryCall *x) {
  int all = file_of(x, x->n_arguments - 1) + 1;
  const NnrtArgument *first = x->n_arguments ? x->arguments[0].table : NULL;
  bool one_each = first && first->data >= 0 && x->cli->program->data[first->data].n_files && all > 1;
  if (one_each && x->cli->n_files && x->cli->n_files != all)
    return nnrt_fail(x->error, NNRT_EUSAGE, "%s takes %d files, one for each argument", x->table->name, all);
  for (int i = 0; i < x->cli->n_files; i++)
    for (int k = 0; k < x->n_arguments; k++) {
      if (one_each && i != file_of(x, k)) continue;
      int status = take_field(x, &x->arguments[k], x->cli->files[i]);
      if (status != NNRT_OK) return status;
    }
  return NNRT_OK;
}

static int take_arguments(NnrtEntryCall *x) {
  int status = take_files(x);
  for (int i = 0; status == NNRT_OK && i < x->cli->n_given; i++)
    if (x->cli->given[i].id == NNRT_OPT_INPUT) status = take_input(x, x->cli->given[i].value);
  if (status == NNRT_OK) status = take_sizes(x);
  if (status == NNRT_OK && x->table->lengths) status = x->table->lengths->settle(x);
  x->n = 1;
  for (int k = 0; status == NNRT_OK && k < x->n_arguments; k++) {
    const NnrtEntryValue *v = &x->arguments[k];
    if (!v->data)
      return nnrt_fail(x->error, NNRT_EUSAGE, "%s needs %s: a FILE, or --input %s=FILE.npy", x->table->name, v->name,
                       v->name);
    if (k && v->n != x->n)
      return nnrt_fail(x->error, NNRT_EDATA, "%s has %lld examples, but %s %lld", v->name, (long long)v->n,
                       x->arguments[0].name, (long long)x->n);
    x->n = v->n;
  }
  return status;
}

/* ---- running ---- */

/* "result", or "result0", ... where several have no name. */
static void name_value(NnrtEntryValue *v, const char *name, int k, int n) {
  if (name && *name) snprintf(v->name, sizeof v->name, "%.79s", name);
  else if (n == 1) snprintf(v->name, sizeof v->name, "result");
  else snprintf(v->name, sizeof v->name, "result%d", k);
}

static int open_values(NnrtEntryCall *x) {
  const NnrtGraph *g = x->run.graph;
  x->n_arguments = (int)x->table->n_arguments;
  x->n_results = (int)x->table->n_results;
  x->n_shown = (int)x->table->shown;
  x->arguments = calloc((size_t)x->n_arguments + 1, sizeof *x->arguments);
  x->results = calloc((size_t)x->n_results + 1, sizeof *x->results);
  if (!x->arguments || !x->results) return nnrt_fail_memory(x->error, 0, x->table->name);
  for (int k = 0; k < x->n_arguments; k++) {
    NnrtEntryValue *v = &x->arguments[k];
    v->table = &x->table->arguments[k];
    v->dtype = (NnrtDtype)v->table->dtype;
    name_value(v, v->table->name, k, x->n_arguments);
    v->port = nnrt_port(g->inputs, g->n_inputs, v->name);
  }
  for (int k = 0; k < x->n_results; k++) {
    NnrtEntryValue *v = &x->results[k];
    v->table = &x->table->results[k];
    v->dtype = (NnrtDtype)v->table->dtype;
    name_value(v, v->table->name, k, x->n_shown);
    v->port = nnrt_port(g->outputs, g->n_outputs, v->name);
    if (v->port < 0) v->port = k;
    if (v->port >= g->n_outputs)
      return nnrt_fail(x->error, NNRT_EINVAL, "graph %s lacks the result %s", g->name, v->name);
  }
  for (int i = 0; i < NNRT_MAX_OPEN; i++) x->open[i] = -1;
  return x->run.n_open > NNRT_MAX_OPEN ? nnrt_fail(x->error, NNRT_EINVAL, "too many open dimensions") : NNRT_OK;
}

static int bind(NnrtEntryCall *x, int64_t n) {
  int b = batch_dim(x);
  if (b >= 0) x->open[b] = n;
  for (int i = 0; i < x->run.n_open; i++)
    if (x->open[i] < 0)
      return nnrt_fail(x->error, NNRT_EUSAGE, "the size %s is not known: give --input", x->run.graph->dims[i].name);
  return nnrt_run_bind(&x->run, x->open, x->error);
}

/* Memory for a result of all examples, its shape now that sizes are bound. */
static int open_result(NnrtEntryCall *x, NnrtEntryValue *v) {
  const NnrtPort *p = &x->run.graph->outputs[v->port];
  int64_t shape[NNRT_MAX_RANK], count = nnrt_port_shape(&x->run, p, shape);
  int lead = batch_dim(x) >= 0 && p->n_shape ? 1 : 0;
  v->rank = (int)p->n_shape - lead;
  memcpy(v->shape, shape + lead, (size_t)v->rank * sizeof *shape);
  v->width = lead ? count / x->batch : count;
  v->bytes = v->width * nnrt_dtype(v->dtype)->bytes;
  v->n = x->n;
  v->data = nnrt_allocate(v->n * v->bytes);
  return v->data ? NNRT_OK : nnrt_fail_memory(x->error, (unsigned long long)(v->n * v->bytes), v->name);
}

static void connect_numbers(NnrtEntryCall *x) {
  nnrt_run_input_named(&x->run, "$seed", &x->seed);
  nnrt_run_input_named(&x->run, "$step", &x->step);
  nnrt_run_input_named(&x->run, "$steps", &x->step);
  nnrt_run_input_named(&x->run, "$epoch", &x->step);
  nnrt_run_input_named(&x->run, "$place", x->places);
}

/* Examples first .. first+n-1. Arguments go through memory aligned as kernels expect it. */
static int run_batch(NnrtEntryCall *x, int64_t first, int64_t n, char *const *staging) {
  for (int64_t i = 0; i < n; i++) x->places[i] = first + i;
  for (int k = 0; k < x->n_arguments; k++) {
    const NnrtEntryValue *v = &x->arguments[k];
    if (v->bytes) memcpy(staging[k], v->data + first * v->bytes, (size_t)(n * v->bytes));
  }
  if (n != x->batch) {
    int status = bind(x, n);
    if (status != NNRT_OK) return status;
  }
  nnrt_run_go(&x->run);
  for (int k = 0; k < x->n_results; k++) {
    const NnrtEntryValue *v = &x->results[k];
    if (v->bytes) memcpy(v->data + first * v->bytes, nnrt_run_output(&x->run, v->port), (size_t)(n * v->bytes));
  }
  return NNRT_OK;
}

static int run_all(NnrtEntryCall *x) {
  bool one = batch_dim(x) < 0 || x->table->session || !x->n; /* of no examples the results have shapes, too */
  x->batch = one ? 1 : x->n < BATCH ? x->n : BATCH;
  if (batch_dim(x) < 0) x->n = 1;
  char **staging = calloc((size_t)x->n_arguments + 1, sizeof *staging);
  x->places = nnrt_allocate(x->batch * 8);
  int status = staging && x->places ? NNRT_OK : nnrt_fail_memory(x->error, 0, x->table->name);
  for (int k = 0; status == NNRT_OK && k < x->n_arguments; k++) {
    staging[k] = nnrt_allocate(x->batch * x->arguments[k].bytes);
    if (!staging[k])
      status = nnrt_fail_memory(x->error, (unsigned long long)(x->batch * x->arguments[k].bytes), "a batch");
    nnrt_run_input(&x->run, x->arguments[k].port, staging[k]);
  }
  connect_numbers(x);
  if (status == NNRT_OK) status = bind(x, x->batch);
  if (status == NNRT_OK) status = check_shapes(x);
  for (int k = 0; status == NNRT_OK && k < x->n_results; k++) status = open_result(x, &x->results[k]);
  for (int64_t first = 0; status == NNRT_OK && first < x->n; first += x->batch)
    status = run_batch(x, first, x->n - first < x->batch ? x->n - first : x->batch, staging);
  for (int k = 0; staging && k < x->n_arguments; k++) free(staging[k]);
  free(staging);
  return status;
}

/* ---- writing ---- */

static const char *element_text(const NnrtEntryValue *v, int64_t i, char text[32]) {
  const char *at = v->data + i * nnrt_dtype(v->dtype)->bytes;
  if (nnrt_dtype(v->dtype)->class == 'f')
    return nnrt_real_text(nnrt_element(v->dtype, at, false), v->dtype != NNRT_F64, text);
  int64_t n;
  nnrt_convert(v->dtype, at, false, NNRT_I64, &n, 1);
  snprintf(text, 32, "%lld", (long long)n);
  return text;
}

/* A result that is tokens, as the text that they stand for, as far as it is there. */
static void write_text(const NnrtEntryCall *x, const NnrtEntryValue *v, int64_t row) {
  int64_t n = v->width;
  for (int k = x->n_shown; k < x->n_results; k++)
    if (strcmp(strchr(x->results[k].name, '.') + 1, v->name) == 0) n = ((const int32_t *)x->results[k].data)[row];
  x->table->texts->print(&x->cli->program->data[v->table->text], v->dtype, v->data + row * v->bytes,
                         n < v->width ? n : v->width);
}

/* A line an example: results divided by `between`, elements of one by `inside`. Where both are the same, a result of
 * no elements is no column. */
static void write_rows(const NnrtEntryCall *x, char between, char inside, bool texts) {
  char text[32];
  for (int64_t row = 0; row < x->n; row++) {
    bool begun = false;
    for (int k = 0; k < x->n_shown; k++) {
      const NnrtEntryValue *v = &x->results[k];
      if (begun && (v->width || between != inside)) putchar(between);
      begun |= v->width || between != inside;
      if (texts && v->rank && is_text(x, v)) write_text(x, v, row);
      else
        for (int64_t i = 0; i < v->width; i++) {
          if (i) putchar(inside);
          fputs(element_text(v, row * v->width + i, text), stdout);
        }
    }
    putchar('\n');
  }
}

static void write_csv(const NnrtEntryCall *x) {
  bool begun = false;
  for (int k = 0; k < x->n_shown; k++)
    for (int64_t i = 0; i < x->results[k].width; i++) {
      printf("%s%s", begun ? "," : "", x->results[k].name);
      begun = true;
      if (x->results[k].width > 1) printf(".%lld", (long long)i);
    }
  putchar('\n');
  write_rows(x, ',', ',', false);
}

static void put_element(NnrtLine *l, const NnrtEntryValue *v, const char *key, int64_t i) {
  const char *at = v->data + i * nnrt_dtype(v->dtype)->bytes;
  int64_t n;
  if (nnrt_dtype(v->dtype)->class == 'f') {
    nnrt_line_real(l, key, nnrt_element(v->dtype, at, false), v->dtype != NNRT_F64);
    return;
  }
  nnrt_convert(v->dtype, at, false, NNRT_I64, &n, 1);
  if (v->dtype == NNRT_BOOL) nnrt_line_bool(l, key, n != 0);
  else nnrt_line_integer(l, key, n);
}

static void write_json(NnrtEntryCall *x) {
  NnrtLine *l = &x->cli->line;
  for (int64_t row = 0; row < x->n; row++) {
    nnrt_line_open(l, NULL, '{');
    nnrt_line_string(l, "event", x->table->name);
    nnrt_line_integer(l, "example", row);
    for (int k = 0; k < x->n_shown; k++) {
      const NnrtEntryValue *v = &x->results[k];
      if (v->rank) nnrt_line_open(l, v->name, '[');
      for (int64_t i = 0; i < v->width; i++) put_element(l, v, v->rank ? NULL : v->name, row * v->width + i);
      if (v->rank) nnrt_line_close(l, ']');
    }
    nnrt_line_close(l, '}');
    nnrt_cli_print_line(x->cli);
  }
}

/* The shape of all examples of a result; returns its rank. */
static int whole_shape(const NnrtEntryCall *x, const NnrtEntryValue *v, int64_t shape[NNRT_MAX_RANK + 1]) {
  int lead = batch_dim(x) >= 0;
  if (x->table->packs) return x->table->packs->shape(x, v, shape);
  shape[0] = v->n;
  memcpy(shape + lead, v->shape, (size_t)v->rank * sizeof *shape);
  return v->rank + lead;
}

static int write_files(NnrtEntryCall *x, const char *folder) {
  if (mkdir(folder, 0777) != 0 && errno != EEXIST)
    return nnrt_fail(x->error, NNRT_EFAIL, "%s: cannot be made: %s", folder, strerror(errno));
  int status = NNRT_OK;
  for (int k = 0; status == NNRT_OK && k < x->n_shown; k++) {
    char path[4096];
    int64_t shape[NNRT_MAX_RANK + 1];
    int rank = whole_shape(x, &x->results[k], shape);
    snprintf(path, sizeof path, "%s/%s.npy", folder, x->results[k].name);
    status = nnrt_npy_write(path, x->results[k].dtype, rank, shape, x->results[k].data, x->error);
  }
  return status;
}

static int write_npy(NnrtEntryCall *x) {
  const NnrtEntryValue *v = &x->results[0];
  char header[256];
  int64_t shape[NNRT_MAX_RANK + 1];
  if (x->n_shown != 1 || v->dtype == NNRT_BF16)
    return nnrt_fail(x->error, NNRT_EUSAGE, "--format npy is for one result: --output-dir takes several");
  int rank = whole_shape(x, v, shape);
  fwrite(header, 1, nnrt_npy_header(header, v->dtype, rank, shape), stdout);
  fwrite(v->data, 1, (size_t)(v->n * v->bytes), stdout);
  return NNRT_OK;
}

static void write_result_event(NnrtEntryCall *x) {
  NnrtLine *l = &x->cli->line;
  nnrt_line_open(l, NULL, '{');
  nnrt_line_string(l, "event", "result");
  nnrt_line_integer(l, "schema", 1);
  nnrt_line_open(l, "metrics", '{');
  nnrt_line_close(l, '}');
  nnrt_line_integer(l, "examples", x->n);
  nnrt_line_close(l, '}');
  nnrt_cli_print_line(x->cli);
}

static int write_results(NnrtEntryCall *x) {
  const char *format = nnrt_cli_text(x->cli, NNRT_OPT_FORMAT), *folder = nnrt_cli_text(x->cli, NNRT_OPT_OUTPUT_DIR);
  if (!format) format = x->cli->json ? "json" : "text";
  int status = folder ? write_files(x, folder) : NNRT_OK;
  if (folder || status != NNRT_OK) {
    if (status == NNRT_OK && x->cli->json) write_result_event(x);
    return status;
  }
  if (strcmp(format, "text") == 0) write_rows(x, '\t', ' ', true);
  else if (strcmp(format, "csv") == 0) write_csv(x);
  else if (strcmp(format, "json") == 0) write_json(x);
  else if (strcmp(format, "npy") == 0) status = write_npy(x);
  else return nnrt_fail(x->error, NNRT_EUSAGE, "--format takes text, json, csv or npy, not \"%s\"", format);
  if (status == NNRT_OK && x->cli->json) write_result_event(x);
  return status;
}

/* ---- the verb ---- */

/* Where the session is, `end` or begins. */
static int in_session(NnrtEntryCall *x, bool end) {
  const char *path = nnrt_cli_text(x->cli, NNRT_OPT_SESSION);
  if (!path) return NNRT_OK;
  if (!x->table->session)
    return nnrt_fail(x->error, NNRT_EUSAGE, "--session: %s keeps no states: it is no `keep entry`", x->table->name);
  return end ? x->table->session->end(x, path) : x->table->session->begin(x, path);
}

static int run_entry(NnrtEntryCall *x) {
  int64_t seed;
  int status = nnrt_cli_natural(x->cli, NNRT_OPT_SEED, 0, 1, &seed);
  x->seed = (int64_t)nnrt_mix64((uint64_t)seed);
  x->step = 1;
  if (status == NNRT_OK) status = nnrt_cli_pool(x->cli, &x->pool);
  if (status == NNRT_OK) status = nnrt_model_open(&x->model, x->cli->program, x->pool, x->error);
  if (status == NNRT_OK) status = nnrt_run_open(&x->run, &x->model, x->table->graph, x->error);
  if (status == NNRT_OK) status = open_values(x);
  if (status == NNRT_OK) status = nnrt_cli_load(x->cli, &x->model, NULL);
  if (status == NNRT_OK) status = in_session(x, false);
  if (status == NNRT_OK) status = take_arguments(x);
  if (status == NNRT_OK) status = run_all(x);
  if (status == NNRT_OK) status = write_results(x);
  return status == NNRT_OK ? in_session(x, true) : status;
}

static void free_values(NnrtEntryValue *v, int n) {
  for (int k = 0; v && k < n; k++) free(v[k].data);
  free(v);
}

int nnrt_verb_entry(const NnrtProgram *p, NnrtCli *cli) {
  NnrtEntryCall *x = calloc(1, sizeof *x);
  if (!x) return NNRT_EDEVICE;
  *x = (NnrtEntryCall){.cli = cli, .error = &cli->error, .table = &p->entries[cli->verb->entry]};
  int status = run_entry(x);
  if (status == NNRT_OK) status = nnrt_cli_finish(cli);
  free_values(x->arguments, x->n_arguments);
  free_values(x->results, x->n_results);
  free(x->places);
  nnrt_run_close(&x->run);
  nnrt_model_close(&x->model);
  nnrt_pool_close(x->pool);
  free(x);
  return status == NNRT_OK ? NNRT_OK : nnrt_cli_fail(cli);
}
