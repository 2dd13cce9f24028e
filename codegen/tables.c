/* tables.c - see tables.h.
 * References between rows are indices: variables by name, graphs by the order of their schedules. Both lists hold
 * only what the program needs, so `--only=predict` drops optimizer slots and the training graphs without further ado.
 */
#include "codegen/tables.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { INTS_BUCKETS = 256 };

typedef struct Ints { /* an interned array */
  struct Ints *next;
  int64_t n;
  int64_t *value;
} Ints;

typedef struct Tables {
  Arena *arena;
  const Program *program;
  const TablesOptions *options;
  NnrtProgram *out;
  Schedule *const *schedules;
  int n;
  Ints *ints[INTS_BUCKETS];
  int *variable; /* for each of program->tensors: its index in out->variables, or -1 */
  int *data;     /* for each of program->data: its index in out->data, or -1 */
  Vec(NnrtBlob) constants;
} Tables;

/* ---- integers and polynomials ---- */

static const int64_t *ints_intern(Tables *t, int64_t n, const int64_t *value) {
  uint64_t hash = 14695981039346656037u;
  for (int64_t i = 0; i < n; i++) hash = (hash ^ (uint64_t)value[i]) * 1099511628211u;
  Ints **bucket = &t->ints[(hash ^ hash >> 32) % INTS_BUCKETS];
  size_t bytes = sizeof *value * (size_t)n;
  for (Ints *k = *bucket; k; k = k->next)
    if (k->n == n && (n == 0 || !memcmp(k->value, value, bytes))) return k->value;
  Ints *k = NEW(t->arena, Ints);
  *k = (Ints){*bucket, n, NEW_ARRAY(t->arena, int64_t, n ? n : 1)};
  if (n) memcpy(k->value, value, bytes);
  *bucket = k;
  return k->value;
}

#define SET_INTS(t, row, field, count, value)                                                                        \
  ((row)->n_##field = (count), (row)->field = ints_intern((t), (row)->n_##field, (value)))

typedef Vec(int64_t) IntVec;
typedef Vec(DimAtom *) AtomVec;

/* The dims of one graph: open dimensions in the schedule's order, then quotients as polynomials need them. */
typedef struct GraphDims {
  Tables *tables;
  AtomVec atoms;
  Vec(NnrtDim) rows;
} GraphDims;

static int64_t dims_index(GraphDims *g, DimAtom *atom);

static const int64_t *poly_terms(GraphDims *g, const Dim *d, int64_t *n) {
  Arena *a = g->tables->arena;
  IntVec terms = {0};
  vec_push(a, &terms, d ? d->n : 0);
  for (int i = 0; d && i < d->n; i++) {
    const DimTerm *term = &d->terms[i];
    vec_push(a, &terms, term->coefficient);
    vec_push(a, &terms, term->n);
    for (int k = 0; k < term->n; k++) {
      int64_t factor = dims_index(g, term->atoms[k]);
      vec_push(a, &terms, factor);
    }
  }
  *n = terms.n;
  return ints_intern(g->tables, terms.n, terms.at);
}

#define SET_POLY(g, row, field, d) ((row)->field = poly_terms((g), (d), &(row)->n_##field))

/* Quotients come after all that they read, because their parts are looked up first. */
static int64_t dims_index(GraphDims *g, DimAtom *atom) {
  for (int i = 0; i < g->atoms.n; i++)
    if (g->atoms.at[i] == atom) return i;
  if (atom->name) ice("tables: open dimension %s is not among its schedule's", atom->name);
  NnrtDim row = {0};
  SET_POLY(g, &row, dividend, atom->a);
  SET_POLY(g, &row, divisor, atom->b);
  vec_push(g->tables->arena, &g->rows, row);
  vec_push(g->tables->arena, &g->atoms, atom);
  return g->atoms.n - 1;
}

static void dims_begin(GraphDims *g, Tables *t, const Schedule *s) {
  *g = (GraphDims){.tables = t};
  for (int i = 0; i < s->dims.n; i++) {
    const DimAtom *d = s->dims.at[i];
    NnrtDim row = {d->of ? d->of : d->name, d->scale, d->rest, d->lower, d->upper, 0, NULL, 0, NULL};
    vec_push(t->arena, &g->rows, row);
    vec_push(t->arena, &g->atoms, s->dims.at[i]);
  }
}

/* ---- variables and constants ---- */

static int tensor_index(const Program *p, Str name) {
  for (int i = 0; i < p->tensors.n; i++)
    if (p->tensors.at[i].name == name) return i;
  ice("tables: the program has no tensor %s", name);
}

static void use_tensor(Tables *t, Str name) { t->variable[tensor_index(t->program, name)] = 0; }

static int64_t variable_index(Tables *t, Str name) { return t->variable[tensor_index(t->program, name)]; }

/* Variables keep the program's order; a whole program has all of them, so that checkpoints are complete. */
static void build_variables(Tables *t) {
  const Program *p = t->program;
  t->variable = NEW_ARRAY(t->arena, int, p->tensors.n + 1);
  for (int i = 0; i < p->tensors.n; i++) t->variable[i] = t->options->only ? -1 : 0;
  for (int i = 0; i < t->n; i++) {
    const Schedule *s = t->schedules[i];
    for (int k = 0; k < s->buffers.n; k++) {
      const Buffer *b = s->buffers.at[k];
      if (b->place == BUFFER_param || b->place == BUFFER_state) use_tensor(t, b->node->name);
    }
    for (int k = 0; k < s->graph->stores.n; k++) use_tensor(t, s->graph->stores.at[k]->in[1]->name);
  }
  NnrtVariable *rows = NEW_ARRAY(t->arena, NnrtVariable, p->tensors.n + 1);
  int n = 0;
  for (int i = 0; i < p->tensors.n; i++) {
    const ProgramTensor *from = &p->tensors.at[i];
    if (t->variable[i] < 0) continue;
    NnrtVariable *to = &rows[n];
    *to = (NnrtVariable){.name = from->name, .role = from->role, .dtype = from->dtype, .bound = from->bound};
    SET_INTS(t, to, shape, from->rank, from->shape);
    t->variable[i] = n++;
  }
  t->out->n_variables = n;
  t->out->variables = rows;
}

/* Instances that start from files: where there is a training, or nothing that would make weights. */
static bool has_starts(const Program *p, const char *only) { return p->starts.n && (!only || !p->train.n); }

/* Nothing was learned that a call would need: there are states alone, which begin as the source says. */
static bool has_states_alone(const Program *p) {
  for (int i = 0; i < p->tensors.n; i++)
    if (p->tensors.at[i].role != ROLE_state) return false;
  return p->tensors.n > 0 && !p->train.n;
}

static NnrtName *build_names(Tables *t, const Str *names, int n) {
  NnrtName *rows = NEW_ARRAY(t->arena, NnrtName, n + 1);
  for (int i = 0; i < n; i++) rows[i].text = names[i];
  return rows;
}

static void build_starts(Tables *t) {
  const Program *p = t->program;
  if (!has_starts(p, t->options->only)) return;
  NnrtStart *rows = NEW_ARRAY(t->arena, NnrtStart, p->starts.n);
  for (int i = 0; i < p->starts.n; i++) {
    const Start *from = &p->starts.at[i];
    rows[i] = (NnrtStart){from->instance, from->path, from->skip.n, build_names(t, from->skip.at, from->skip.n)};
  }
  t->out->n_starts = p->starts.n;
  t->out->starts = rows;
}

static int64_t constant_index(Tables *t, const Node *n) {
  int64_t bytes = dtype_bytes(n->dtype);
  for (int i = 0; i < n->rank; i++) bytes *= dim_value(n->shape[i]);
  for (int i = 0; i < t->constants.n; i++) {
    const NnrtBlob *b = &t->constants.at[i];
    if (b->n_data == bytes && (bytes == 0 || !memcmp(b->data, n->data, (size_t)bytes))) return i;
  }
  vec_push(t->arena, &t->constants, (NnrtBlob){bytes, n->data});
  return t->constants.n - 1;
}

/* ---- graphs ---- */

static int64_t graph_index(const Tables *t, const Graph *g) {
  for (int i = 0; g && i < t->n; i++)
    if (t->schedules[i]->graph == g) return i;
  return -1;
}

static int64_t buffer_index(const Schedule *s, const Buffer *b) {
  for (int i = 0; i < s->buffers.n; i++)
    if (s->buffers.at[i] == b) return i;
  ice("tables: a kernel of graph %s has an operand that is no buffer of the schedule", s->graph->name);
}

/* Where a node's value is after a run, -1: nowhere. */
static int64_t node_buffer(const Schedule *s, const Node *n) {
  const Buffer *b = schedule_buffer(s, n);
  return b ? buffer_index(s, b) : -1;
}

static NnrtPort build_port(GraphDims *dims, const Schedule *s, Str name, const Node *n) {
  NnrtPort port = {.name = name, .dtype = n->dtype, .buffer = node_buffer(s, n), .n_shape = n->rank};
  NnrtPoly *shape = NEW_ARRAY(dims->tables->arena, NnrtPoly, n->rank + 1);
  for (int i = 0; i < n->rank; i++) SET_POLY(dims, &shape[i], terms, n->shape[i]);
  port.shape = shape;
  return port;
}

/* The inputs stand in the order of the graph's nodes, which is what BUFFER_input's indices count. */
static void build_ports(GraphDims *dims, const Schedule *s, NnrtGraph *out) {
  const Graph *g = s->graph;
  Arena *a = dims->tables->arena;
  NnrtPort *inputs = NEW_ARRAY(a, NnrtPort, g->nodes.n + 1);
  for (int i = 0; i < g->nodes.n; i++) {
    const Node *n = g->nodes.at[i];
    if (n->kind == NODE_input) inputs[out->n_inputs++] = build_port(dims, s, n->name, n);
  }
  NnrtPort *outputs = NEW_ARRAY(a, NnrtPort, g->outputs.n + 1);
  for (int i = 0; i < g->outputs.n; i++) {
    const Output *o = &g->outputs.at[i];
    outputs[i] = build_port(dims, s, o->name, o->node);
    if (outputs[i].buffer < 0) ice("tables: output %s of graph %s is in no buffer", o->name, g->name);
  }
  out->inputs = inputs;
  out->n_outputs = g->outputs.n;
  out->outputs = outputs;
}

static int64_t input_index(const Graph *g, const Node *input) {
  int64_t index = 0;
  for (int i = 0; i < g->nodes.n && g->nodes.at[i] != input; i++) index += g->nodes.at[i]->kind == NODE_input;
  return index;
}

_Static_assert((int)NNRT_INPUT == BUFFER_input && (int)NNRT_ARENA == BUFFER_arena, "places are classes of buffer");

static void build_buffers(GraphDims *dims, const Schedule *s, NnrtGraph *out) {
  NnrtBuffer *rows = NEW_ARRAY(dims->tables->arena, NnrtBuffer, s->buffers.n + 1);
  for (int i = 0; i < s->buffers.n; i++) {
    const Buffer *b = s->buffers.at[i];
    NnrtBuffer *row = &rows[i];
    row->place = b->place;
    row->index = -1;
    if (b->place == BUFFER_input) row->index = input_index(s->graph, b->node);
    if (b->place == BUFFER_param || b->place == BUFFER_state)
      row->index = variable_index(dims->tables, b->node->name);
    if (b->place == BUFFER_const) row->index = constant_index(dims->tables, b->node);
    SET_POLY(dims, row, bytes, b->bytes);
    SET_POLY(dims, row, offset, b->place == BUFFER_arena ? b->offset : NULL);
  }
  out->n_buffers = s->buffers.n;
  out->buffers = rows;
}

static int64_t span_line(const Tables *t, Span span) {
  const Source *source = t->options->sources ? sources_get(t->options->sources, span.source) : NULL;
  if (!source) return 0;
  int line, column;
  source_position(source, span.begin, &line, &column);
  return line;
}

/* What a user would call the kernel: the name of the last value it computes that has one. */
static const char *kernel_name(const Kernel *k) {
  for (int i = k->members.n - 1; i >= 0; i--)
    if (k->members.at[i].node->name) return k->members.at[i].node->name;
  return k->symbol;
}

/* A multiplication and an addition for each element of result and reduction. */
static Dim *point_flops(Ir *ir, const Node *n) {
  Dim *count = dim_const(ir, 2);
  for (int d = 0; d < n->rank; d++) count = dim_mul(ir, count, n->shape[d]);
  for (int d = 0; d < n->nred; d++) count = dim_mul(ir, count, n->red[d]);
  return count;
}

static Dim *kernel_flops(Ir *ir, const Kernel *k) {
  if (!k->contraction) return NULL;
  Dim *flops = point_flops(ir, k->members.at[0].node);
  for (int i = 1; i <= k->beside.n; i++) flops = dim_add(ir, flops, point_flops(ir, k->members.at[i].node));
  return flops;
}

/* Of a kernel in loops, a whole run's number for one step. */
static Dim *of_step(const Schedule *s, const Kernel *k, Dim *all) {
  for (int l = k->loop; l >= 0; l = s->loops.at[l].up) {
    Dim *steps = s->loops.at[l].steps;
    int64_t n;
    if (!dim_is_const(steps, &n) || n > 1) all = dim_floordiv(s->graph->ir, all, steps);
  }
  return all;
}

static bool is_count(const Scan *l, const Node *n) {
  return n->kind == NODE_carry && n->counts && carry_scan(n) == l && n->folded & 1u;
}

/* The loop's buffers that have all of its rows. */
static void loop_rows(const Tables *t, const Schedule *s, const Scan *l, IntVec *rows) {
  for (int i = 0; i < s->graph->nodes.n; i++) {
    const Node *n = s->graph->nodes.at[i];
    const Buffer *b = scan_holds(l, n) && !schedule_part(s, n) ? schedule_buffer(s, n) : NULL;
    if (!b || n->folded & 1u) continue;
    vec_push(t->arena, rows, buffer_index(s, b));
    vec_push(t->arena, rows, carry_scan(n) == l && n->kind == NODE_carry);
  }
}

/* A loop that is in no other may end early; in another its rows would not lie together. */
static void build_ends(Tables *t, const Schedule *s, const KernelLoop *from, NnrtLoop *to) {
  to->counts = -1;
  for (int i = 0; from->up < 0 && from->scan->axis == 0 && i < s->graph->nodes.n; i++)
    if (is_count(from->scan, s->graph->nodes.at[i])) to->counts = node_buffer(s, s->graph->nodes.at[i]);
  IntVec rows = {0};
  if (to->counts >= 0) loop_rows(t, s, from->scan, &rows);
  if (to->counts >= 0) to->ends = (NnrtEnds *)(void *)"nnrt_loop_ends";
  SET_INTS(t, to, rows, rows.n, rows.at);
}

static void build_loops(GraphDims *dims, const Schedule *s, NnrtGraph *out) {
  NnrtLoop *rows = NEW_ARRAY(dims->tables->arena, NnrtLoop, s->loops.n + 1);
  for (int i = 0; i < s->loops.n; i++) {
    const KernelLoop *l = &s->loops.at[i];
    rows[i] = (NnrtLoop){.first = l->first, .last = l->last, .down = l->down};
    SET_POLY(dims, &rows[i], steps, l->steps);
    build_ends(dims->tables, s, l, &rows[i]);
  }
  out->n_loops = s->loops.n;
  out->loops = rows;
}

/* What `bench` says of a kernel, and a GPU's program where one fails. */
static void describe_launch(GraphDims *dims, const Schedule *s, const Kernel *k, NnrtLaunch *row) {
  Dim *flops = kernel_flops(s->graph->ir, k);
  row->name = kernel_name(k);
  row->kind = kernel_kind_name(k->kind);
  row->line = span_line(dims->tables, k->span);
  SET_POLY(dims, row, flops, flops ? of_step(s, k, flops) : NULL);
}

static void build_launches(GraphDims *dims, const Schedule *s, NnrtGraph *out) {
  Tables *t = dims->tables;
  NnrtLaunch *rows = NEW_ARRAY(t->arena, NnrtLaunch, s->kernels.n + 1);
  for (int i = 0; i < s->kernels.n; i++) {
    const Kernel *k = s->kernels.at[i];
    NnrtLaunch *row = &rows[i];
    row->kernel = (NnrtKernel *)(void *)k->symbol;
    if (!t->options->only || t->options->cuda) describe_launch(dims, s, k, row);
    row->grain = k->grain > 0 ? k->grain : 1;
    IntVec buffers = {0};
    for (int b = 0; b < k->operands.n; b++) vec_push(t->arena, &buffers, buffer_index(s, k->operands.at[b]));
    SET_INTS(t, row, buffers, buffers.n, buffers.at);
    SET_POLY(dims, row, units, k->step_units);
    SET_POLY(dims, row, work, of_step(s, k, k->work));
    SET_POLY(dims, row, scratch, k->scratch);
  }
  out->n_launches = s->kernels.n;
  out->launches = rows;
}

static void set_map(GraphDims *dims, Ir *ir, const CudaMap *m, int number, NnrtCudaMap *out) {
  NnrtCudaMapDim *rows = NEW_ARRAY(dims->tables->arena, NnrtCudaMapDim, m->rank);
  int bytes = dtype_bytes(m->type);
  for (int d = 0; d < m->rank; d++) {
    rows[d] = (NnrtCudaMapDim){.box = m->box[d]};
    SET_POLY(dims, &rows[d], extent, m->extent[d]);
    SET_POLY(dims, &rows[d], step, dim_mul(ir, m->step[d], dim_const(ir, bytes)));
  }
  *out = (NnrtCudaMap){.operand = m->operand,
                       .type = cuda_map_type(m->type),
                       .first = m->first * bytes,
                       .number = number,
                       .n_dims = m->rank,
                       .dims = rows};
}

/* Maps are numbered through the graph. */
static void set_maps(GraphDims *dims, Ir *ir, const CudaKernel *k, int *number, NnrtCudaLaunch *out) {
  NnrtCudaMap *rows = NEW_ARRAY(dims->tables->arena, NnrtCudaMap, k->n_maps + 1);
  for (int i = 0; i < k->n_maps; i++) set_map(dims, ir, &k->maps[i], (*number)++, &rows[i]);
  out->n_maps = k->n_maps;
  out->maps = rows;
}

static const NnrtCudaLaunch *cuda_launches(GraphDims *dims, const Schedule *s, bool on_90a) {
  NnrtCudaLaunch *rows = NEW_ARRAY(dims->tables->arena, NnrtCudaLaunch, s->kernels.n + 1);
  int maps = 0;
  for (int i = 0; i < s->kernels.n; i++) {
    CudaKernel k = cuda_kernel(dims->tables->options->kernels, s, s->kernels.at[i], on_90a);
    rows[i] = (NnrtCudaLaunch){.symbol = k.symbol, .threads = k.threads, .stays = k.stays, .shared = k.shared};
    set_maps(dims, s->graph->ir, &k, &maps, &rows[i]);
    SET_INTS(dims->tables, &rows[i], numbers, k.n_numbers, k.numbers);
    SET_POLY(dims, &rows[i], parts, k.parts);
    SET_POLY(dims, &rows[i], scratch, k.scratch);
  }
  return rows;
}

static void build_cuda(GraphDims *dims, const Schedule *s, NnrtCudaGraph *out) {
  bool has_90a = false;
  for (int i = 0; i < s->kernels.n; i++) has_90a |= cuda_has_90a(dims->tables->options->kernels, s->kernels.at[i]);
  out->n_launches = s->kernels.n;
  out->launches = cuda_launches(dims, s, false);
  if (!has_90a) return;
  out->n_launches_90a = s->kernels.n;
  out->launches_90a = cuda_launches(dims, s, true);
}

/* The symbol of a constant of the runtime. */
static const void *service(Tables *t, const char *format, const char *name) {
  return arena_printf(t->arena, format, name);
}

static void build_requires(GraphDims *dims, const Graph *g, NnrtGraph *out) {
  NnrtRequirement *rows = NEW_ARRAY(dims->tables->arena, NnrtRequirement, g->requires.n + 1);
  for (int i = 0; i < g->requires.n; i++) {
    rows[i].text = g->requires.at[i].text;
    SET_POLY(dims, &rows[i], slack, g->requires.at[i].slack);
  }
  out->requires = rows;
  out->n_requires = g->requires.n;
  if (g->requires.n) out->required = service(dims->tables, "nnrt_%s", "required");
}

static int64_t one(void *cx, DimAtom *symbol) {
  (void)cx;
  (void)symbol;
  return 1;
}

static bool is_product(const Expr *e) {
  if (e->kind != EXPR_OP) return false;
  return e->op == OP_mul || (e->op == OP_select && (is_product(e->arg[1]) || is_product(e->arg[2])));
}

static int64_t product_flops(const Graph *g) {
  int64_t flops = 0;
  for (int i = 0; i < g->nodes.n; i++) {
    const Node *n = g->nodes.at[i];
    if (n->kind == NODE_comp && n->reducer == RED_sum && is_product(n->body))
      flops += dim_evaluate(point_flops(g->ir, n), one, NULL);
  }
  return flops;
}

static void build_graph(Tables *t, const Schedule *s, NnrtGraph *out, NnrtCudaGraph *cuda) {
  GraphDims dims;
  dims_begin(&dims, t, s);
  out->name = s->graph->name;
  build_buffers(&dims, s, out);
  build_ports(&dims, s, out);
  build_requires(&dims, s->graph, out);
  build_launches(&dims, s, out);
  if (cuda) build_cuda(&dims, s, cuda);
  build_loops(&dims, s, out);
  SET_POLY(&dims, out, arena, s->arena_bytes);
  IntVec stored = {0};
  for (int i = 0; i < s->graph->stores.n; i++) {
    int64_t index = variable_index(t, s->graph->stores.at[i]->in[1]->name);
    vec_push(t->arena, &stored, index);
  }
  SET_INTS(t, out, stored, stored.n, stored.at);
  out->flops = product_flops(s->graph);
  out->n_dims = dims.rows.n;
  out->dims = dims.rows.at;
}

/* ---- data, training, entries, verbs ---- */

static void build_field(Tables *t, const Field *from, NnrtField *to) {
  *to = (NnrtField){.name = from->name,
                    .dtype = from->dtype,
                    .bound = from->bound,
                    .graph = graph_index(t, from->graph),
                    .length = from->length};
  SET_INTS(t, to, shape, from->rank, from->shape);
  NnrtColumn *raw = NEW_ARRAY(t->arena, NnrtColumn, from->raw.n + 1);
  for (int i = 0; i < from->raw.n; i++) {
    const RawColumn *c = &from->raw.at[i];
    raw[i] = (NnrtColumn){.dtype = c->dtype,
                          .from = c->from,
                          .to = c->to,
                          .name = c->name,
                          .single = c->single,
                          .length = c->length,
                          .text = c->text};
  }
  to->n_raw = from->raw.n;
  to->raw = raw;
}

static bool entry_wanted(const char *only, const EntryPoint *e) { return !only || !strcmp(only, e->name); }

static bool reads_data(const Argument *a, int data) { return a->data == data || a->text == data; }

/* Under `only`, a data set stays where an argument of the entry is read through one of its fields, or a text is of
 * its vocabulary. */
static bool data_wanted(const Tables *t, int index) {
  const Program *p = t->program;
  if (!t->options->only) return true;
  for (int i = 0; i < p->entries.n; i++) {
    const EntryPoint *e = &p->entries.at[i];
    for (int k = 0; entry_wanted(t->options->only, e) && k < e->arguments.n; k++)
      if (reads_data(&e->arguments.at[k], index)) return true;
    for (int k = 0; entry_wanted(t->options->only, e) && k < e->results.n; k++)
      if (reads_data(&e->results.at[k], index)) return true;
  }
  return false;
}

static NnrtData build_data_set(Tables *t, const DataSet *from) {
  NnrtColumnFile *files = NEW_ARRAY(t->arena, NnrtColumnFile, from->files.n + 1);
  for (int k = 0; k < from->files.n; k++)
    files[k] = (NnrtColumnFile){from->files.at[k].column, from->files.at[k].path};
  NnrtField *fields = NEW_ARRAY(t->arena, NnrtField, from->fields.n + 1);
  for (int k = 0; k < from->fields.n; k++) build_field(t, &from->fields.at[k], &fields[k]);
  return (NnrtData){.name = from->name,
                    .reader = service(t, "nnrt_reader_%s", from->format),
                    .path = from->path,
                    .n_files = from->files.n,
                    .files = files,
                    .window = from->window,
                    .stride = from->stride,
                    .tokenizer = from->vocabulary ? service(t, "nnrt_tokenizer_%s", from->tokenizer) : NULL,
                    .n_vocabulary = (int64_t)from->vocabulary_bytes,
                    .vocabulary = from->vocabulary,
                    .tokens = from->tokens,
                    .n_fields = from->fields.n,
                    .fields = fields,
                    .stats = graph_index(t, from->stats)};
}

static void build_data(Tables *t) {
  const Program *p = t->program;
  NnrtData *rows = NEW_ARRAY(t->arena, NnrtData, p->data.n + 1);
  t->data = NEW_ARRAY(t->arena, int, p->data.n + 1);
  int n = 0;
  for (int i = 0; i < p->data.n; i++) {
    t->data[i] = data_wanted(t, i) ? n++ : -1;
    if (t->data[i] >= 0) rows[t->data[i]] = build_data_set(t, &p->data.at[i]);
  }
  t->out->n_data = n;
  t->out->data = rows;
}

static void build_train(Tables *t) {
  const Program *p = t->program;
  NnrtTrain *rows = NEW_ARRAY(t->arena, NnrtTrain, p->train.n + 1);
  for (int i = 0; i < p->train.n; i++) {
    const Train *from = &p->train.at[i];
    NnrtReport *reports = NEW_ARRAY(t->arena, NnrtReport, from->reports.n + 1);
    for (int k = 0; k < from->reports.n; k++) {
      const Report *r = &from->reports.at[k];
      reports[k] = (NnrtReport){r->name, graph_index(t, r->graph), graph_index(t, r->first), r->arguments};
    }
    rows[i] = (NnrtTrain){.name = from->name,
                          .epochs = from->epochs,
                          .steps = from->steps,
                          .batch = from->batch,
                          .seed = from->seed,
                          .validate = from->validate,
                          .folds = from->folds,
                          .validate_data = from->validate_data,
                          .test_data = from->test_data,
                          .shuffle = from->shuffle,
                          .n_losses = from->losses.n,
                          .losses = build_names(t, from->losses.at, from->losses.n),
                          .n_reports = from->reports.n,
                          .reports = reports,
                          .stall = from->stall,
                          .stall_epochs = from->stall_epochs,
                          .begin = graph_index(t, from->begin),
                          .step = graph_index(t, from->step),
                          .eval = graph_index(t, from->eval),
                          .grads = graph_index(t, from->grads),
                          .update = graph_index(t, from->update),
                          .whole = from->whole,
                          .memory = t->options->memory,
                          .micro_batch = t->options->micro_batch};
    int64_t *data = NEW_ARRAY(t->arena, int64_t, from->data.n + 1);
    for (int k = 0; k < from->data.n; k++) data[k] = from->data.at[k];
    SET_INTS(t, &rows[i], data, from->data.n, data);
  }
  t->out->n_train = p->train.n;
  t->out->train = rows;
}

static const NnrtArgument *build_arguments(Tables *t, const Argument *from, int n) {
  NnrtArgument *rows = NEW_ARRAY(t->arena, NnrtArgument, n + 1);
  for (int i = 0; i < n; i++) {
    rows[i] = (NnrtArgument){.name = from[i].name,
                             .dtype = from[i].dtype,
                             .bound = from[i].bound,
                             .data = from[i].data < 0 ? -1 : t->data[from[i].data],
                             .field = from[i].field,
                             .text = from[i].text < 0 ? -1 : t->data[from[i].text]};
    SET_INTS(t, &rows[i], shape, from[i].rank, from[i].shape);
  }
  return rows;
}

static bool has_texts(const EntryPoint *e) {
  bool texts = false;
  for (int i = 0; i < e->arguments.n; i++) texts = texts || e->arguments.at[i].text >= 0;
  for (int i = 0; i < e->results.n; i++) texts = texts || e->results.at[i].text >= 0;
  return texts;
}

static bool has_lengths(const Program *p, const EntryPoint *e) {
  for (int i = 0; i < e->arguments.n; i++) {
    const Argument *a = &e->arguments.at[i];
    if (a->data >= 0 && p->data.at[a->data].fields.at[a->field].length) return true;
  }
  return false;
}

static bool has_packs(const EntryPoint *e) {
  for (int i = 0; i < e->arguments.n; i++)
    for (int k = 0; k < e->arguments.at[i].rank; k++)
      if (e->arguments.at[i].shape[k] < ARGUMENT_OPEN) return true;
  return false;
}

static void build_entries(Tables *t) {
  const Program *p = t->program;
  NnrtEntry *rows = NEW_ARRAY(t->arena, NnrtEntry, p->entries.n + 1);
  int n = 0;
  for (int i = 0; i < p->entries.n; i++) {
    const EntryPoint *from = &p->entries.at[i];
    if (!entry_wanted(t->options->only, from)) continue;
    rows[n++] = (NnrtEntry){.name = from->name,
                            .n_arguments = from->arguments.n,
                            .arguments = build_arguments(t, from->arguments.at, from->arguments.n),
                            .n_results = from->results.n,
                            .results = build_arguments(t, from->results.at, from->results.n),
                            .shown = from->shown,
                            .lengths = has_lengths(p, from) ? service(t, "nnrt_%s", "lengths") : NULL,
                            .packs = has_packs(from) ? service(t, "nnrt_%s", "packs") : NULL,
                            .session = from->keep ? service(t, "nnrt_%s", "session") : NULL,
                            .texts = has_texts(from) ? service(t, "nnrt_%s", "texts") : NULL,
                            .graph = graph_index(t, from->graph)};
  }
  t->out->n_entries = n;
  t->out->entries = rows;
}

static NnrtVerbRow verb_row(const char *name, const char *purpose, const char *symbol, int64_t entry) {
  return (NnrtVerbRow){name, purpose, (NnrtVerb *)(void *)symbol, entry};
}

/* The verbs that the program offers, in the order in which --help lists them. Only what is named here is linked. */
static void build_verbs(Tables *t) {
  NnrtProgram *p = t->out;
  NnrtVerbRow *rows = NEW_ARRAY(t->arena, NnrtVerbRow, p->n_entries + 4);
  bool started = !p->n_train && (p->n_starts || has_states_alone(t->program));
  int n = 0;
  if (p->n_train) {
    rows[n++] = verb_row("train", "learn from data; writes checkpoints and logs", "nnrt_verb_train", -1);
    rows[n++] = verb_row("eval", "measure losses and metrics on test data", "nnrt_verb_eval", -1);
  }
  for (int i = 0; i < p->n_entries; i++) {
    const char *purpose = arena_printf(t->arena, "the program's entry `%s`", p->entries[i].name);
    const char *symbol = started ? "nnrt_verb_entry_started" : "nnrt_verb_entry";
    rows[n++] = verb_row(p->entries[i].name, purpose, symbol, i);
  }
  if (!t->options->only) {
    rows[n++] = verb_row("bench", "time the program", "nnrt_verb_bench", -1);
    rows[n++] = verb_row("info", "weights, shapes, memory plan, build id", "nnrt_verb_info", -1);
  }
  p->n_verbs = n;
  p->verbs = rows;
}

/* ---- the whole ---- */

static void add_graph(Arena *a, Graph *g, GraphList *out) {
  for (int i = 0; i < out->n; i++)
    if (out->at[i] == g) return;
  if (g) vec_push(a, out, g);
}

/* The graph of the field through which an argument is read from a file. */
static Graph *argument_field(const Program *p, const Argument *x) {
  return x->data < 0 ? NULL : p->data.at[x->data].fields.at[x->field].graph;
}

static void add_entries(Arena *a, const Program *p, const char *only, GraphList *out) {
  for (int i = 0; i < p->entries.n; i++) {
    const EntryPoint *e = &p->entries.at[i];
    if (!entry_wanted(only, e)) continue;
    add_graph(a, e->graph, out);
    for (int k = 0; k < e->arguments.n; k++) add_graph(a, argument_field(p, &e->arguments.at[k]), out);
  }
}

void tables_graphs(Arena *a, const Program *p, const char *only, GraphList *out) {
  add_entries(a, p, only, out);
  if (!only || has_starts(p, only) || has_states_alone(p)) add_graph(a, p->init, out);
  if (only) return;
  for (int i = 0; i < p->data.n; i++) {
    const DataSet *d = &p->data.at[i];
    for (int k = 0; k < d->fields.n; k++) add_graph(a, d->fields.at[k].graph, out);
    add_graph(a, d->stats, out);
  }
  for (int i = 0; i < p->train.n; i++) {
    const Train *t = &p->train.at[i];
    add_graph(a, t->begin, out);
    add_graph(a, t->step, out);
    add_graph(a, t->eval, out);
    add_graph(a, t->grads, out);
    add_graph(a, t->update, out);
    for (int k = 0; k < t->reports.n; k++) {
      add_graph(a, t->reports.at[k].graph, out);
      add_graph(a, t->reports.at[k].first, out);
    }
  }
}

NnrtProgram *tables_build(Arena *a, const Program *p, Schedule *const *schedules, int n, const TablesOptions *o) {
  Tables *t = NEW(a, Tables);
  *t = (Tables){.arena = a, .program = p, .options = o, .out = NEW(a, NnrtProgram), .schedules = schedules, .n = n};
  NnrtProgram *out = t->out;
  out->name = p->name;
  out->build = arena_printf(a, "%016" PRIx64 " nnc %s", p->hash, o->build);
  out->cpu = o->cpu;
  build_variables(t);
  build_starts(t);
  NnrtGraph *graphs = NEW_ARRAY(a, NnrtGraph, n + 1);
  NnrtCudaGraph *cuda = o->cuda ? NEW_ARRAY(a, NnrtCudaGraph, n + 1) : NULL;
  for (int i = 0; i < n; i++) build_graph(t, schedules[i], &graphs[i], cuda ? &cuda[i] : NULL);
  if (o->cuda) o->cuda->n_graphs = n, o->cuda->graphs = cuda;
  out->n_graphs = n;
  out->graphs = graphs;
  out->n_constants = t->constants.n;
  out->constants = t->constants.at;
  out->init = graph_index(t, p->init);
  build_data(t);
  if (!o->only) build_train(t);
  build_entries(t);
  build_verbs(t);
  return out;
}
