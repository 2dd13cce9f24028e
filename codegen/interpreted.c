/* interpreted.c - see interpreted.h.
 * A kernel is given addresses and dims, nothing else. So the first operand of a graph's one launch is a constant that
 * holds the address of the graph's description; the others are the sources and outputs. */
#include "codegen/interpreted.h"

#include <pthread.h>
#include <string.h>

#include "ir/interpret.h"
#include "runtime/source.h"
#include "runtime/entry.h"
#include "runtime/texts.h"

enum { ALIGNMENT = 64 };

typedef struct Interpreted {
  Schedule *schedule;
} Interpreted;

/* ---- the schedule: sources where they are, outputs in the arena one after the other ---- */

static bool is_source(const Node *n) {
  return n->kind == NODE_input || n->kind == NODE_param || n->kind == NODE_state || n->kind == NODE_const;
}

/* A run may give it its next value, and what is put out is the one before: a copy. */
static bool is_variable(const Node *n) { return n->kind == NODE_param || n->kind == NODE_state; }

static BufferClass source_class(const Node *n) {
  switch (n->kind) {
  case NODE_input: return BUFFER_input;
  case NODE_param: return BUFFER_param;
  case NODE_state: return BUFFER_state;
  default: return BUFFER_const;
  }
}

static Dim *node_bytes(const Schedule *s, const Node *n) {
  Ir *ir = s->graph->ir;
  Dim *bytes = dim_const(ir, dtype_bytes(n->dtype));
  for (int i = 0; i < n->rank; i++) bytes = dim_mul(ir, bytes, n->shape[i]);
  return bytes;
}

static Buffer *add_buffer(Schedule *s, Kernel *k, BufferClass place, Node *n) {
  Buffer *b = NEW(s->arena, Buffer);
  *b = (Buffer){.id = s->buffers.n, .place = place, .node = n, .bytes = node_bytes(s, n)};
  vec_push(s->arena, &s->buffers, b);
  vec_push(s->arena, &k->operands, b);
  return b;
}

static void add_output(Schedule *s, Kernel *k, Node *n) {
  for (int i = 0; i < s->buffers.n; i++)
    if (s->buffers.at[i]->node == n && (s->buffers.at[i]->place == BUFFER_arena || !is_variable(n))) return;
  Buffer *b = add_buffer(s, k, BUFFER_arena, n);
  b->offset = s->arena_bytes;
  s->arena_bytes = dim_add(s->graph->ir, s->arena_bytes, dim_round_up(s->graph->ir, b->bytes, ALIGNMENT));
  vec_push(s->arena, &k->members, (Member){.node = n, .storage = STORE_buffer, .buffer = b});
}

/* A constant of one i64 that holds an address. Not part of the graph. */
static Node *address_constant(Ir *ir, Arena *a, const void *address) {
  Node *n = NEW(a, Node);
  int64_t *value = NEW(a, int64_t);
  *value = (int64_t)(intptr_t)address;
  *n = (Node){.kind = NODE_const, .dtype = DT_i64, .rank = 1, .data = value};
  n->shape = NEW_ARRAY(a, Dim *, 1);
  n->shape[0] = dim_const(ir, 1);
  return n;
}

static Schedule *interpreted_schedule(Arena *a, Graph *g) {
  Dim *zero = dim_const(g->ir, 0);
  Schedule *s = NEW(a, Schedule);
  *s = (Schedule){.graph = g, .arena = a, .arena_bytes = zero};
  Kernel *k = NEW(a, Kernel);
  *k = (Kernel){.kind = KERNEL_full,
                .symbol = "interpreted",
                .scratch = zero,
                .units = dim_const(g->ir, 1),
                .step_units = dim_const(g->ir, 1),
                .loop = -1,
                .grain = 1,
                .work = dim_const(g->ir, 1000000)};
  Interpreted *x = NEW(a, Interpreted);
  x->schedule = s;
  add_buffer(s, k, BUFFER_const, address_constant(g->ir, a, x));
  for (int i = 0; i < g->nodes.n; i++)
    if (is_source(g->nodes.at[i])) add_buffer(s, k, source_class(g->nodes.at[i]), g->nodes.at[i]);
  for (int i = 0; i < g->outputs.n; i++) add_output(s, k, g->outputs.at[i].node);
  s->buffer_of = NEW_ARRAY(a, Buffer *, g->nodes.n);
  for (int i = 1; i < s->buffers.n; i++)
    s->buffer_of[s->buffers.at[i]->node->id] = s->buffers.at[i]; /* 0: the address */
  vec_push(a, &s->kernels, k);
  schedule_find_dims(s);
  return s;
}

/* ---- the launch ---- */

typedef struct DimValues {
  const Schedule *schedule;
  const int64_t *value;
} DimValues;

static int64_t dim_given(void *cx, DimAtom *symbol) {
  const DimValues *d = cx;
  for (int i = 0; i < d->schedule->dims.n; i++)
    if (d->schedule->dims.at[i] == symbol) return d->value[i];
  ice("interpreted: %s is no open dimension of graph %s", symbol->name, d->schedule->graph->name);
}

static void give_dims(Interpretation *in, const DimValues *d) {
  int n = d->schedule->dims.n;
  in->dims.at = arena_alloc(in->arena, sizeof *in->dims.at * (size_t)n);
  in->dims.n = in->dims.capacity = n;
  for (int i = 0; i < n; i++) {
    in->dims.at[i].symbol = d->schedule->dims.at[i];
    in->dims.at[i].value = d->value[i];
  }
}

static void give_source(Interpretation *in, DimValues *d, const Node *n, void *address) {
  Tensor t = {.dtype = n->dtype, .rank = n->rank, .data = address};
  for (int i = 0; i < n->rank; i++) t.extent[i] = dim_evaluate(n->shape[i], dim_given, d);
  vec_push(in->arena, &in->given, (Binding){n->name, t});
}

/* Of a variable: itself, or its copy. */
static void *node_address(const Kernel *k, void *const *buffers, const Node *n, bool copy) {
  for (int i = 0; i < k->operands.n; i++)
    if (k->operands.at[i]->node == n && (!copy || k->operands.at[i]->place == BUFFER_arena)) return buffers[i];
  ice("interpreted: a value has no buffer");
}

static size_t tensor_bytes(const Tensor *t) { return (size_t)tensor_count(t) * (size_t)dtype_bytes(t->dtype); }

static void copy_value(const Interpretation *in, const Node *n, void *to) {
  const Tensor *t = &in->values[n->id];
  if (tensor_bytes(t)) memmove(to, t->data, tensor_bytes(t));
}

/* A stored value may lie where a variable does (`a <- b`): it is set aside before the first variable changes. */
static void set_aside(Interpretation *in, const Node *store) {
  Tensor *t = &in->values[store->id];
  void *copy = arena_alloc(in->arena, tensor_bytes(t));
  if (tensor_bytes(t)) memcpy(copy, t->data, tensor_bytes(t));
  t->data = copy;
}

static void run_graph(const Schedule *s, void *const *buffers, const int64_t *dims, Arena *scratch) {
  Graph *g = s->graph;
  const Kernel *k = s->kernels.at[0];
  DimValues d = {s, dims};
  Interpretation in = {.arena = scratch};
  give_dims(&in, &d);
  for (int i = 0; i < k->operands.n; i++) {
    const Buffer *b = k->operands.at[i];
    if (b->place != BUFFER_arena && b->place != BUFFER_const) give_source(&in, &d, b->node, buffers[i]);
  }
  const char *fault = interpret(g, &in);
  if (fault) ice("interpreter, graph %s: %s", g->name, fault);
  for (int i = 0; i < k->members.n; i++)
    copy_value(&in, k->members.at[i].node, node_address(k, buffers, k->members.at[i].node, true));
  for (int i = 0; i < g->stores.n; i++) set_aside(&in, g->stores.at[i]);
  for (int i = 0; i < g->stores.n; i++)
    copy_value(&in, g->stores.at[i], node_address(k, buffers, g->stores.at[i]->in[1], false));
}

/* Dims and expressions are interned while a graph is evaluated, and a program's prefetch runs beside its steps: one
 * at a time. */
static pthread_mutex_t interpreter_lock = PTHREAD_MUTEX_INITIALIZER;

static void run_interpreted(void *const *buffers, const int64_t *dims, int64_t begin, int64_t end, void *scratch) {
  (void)scratch;
  if (begin >= end) return;
  int64_t address;
  memcpy(&address, buffers[0], sizeof address);
  const Interpreted *x = (const Interpreted *)(intptr_t)address;
  pthread_mutex_lock(&interpreter_lock);
  Arena *arena = arena_new();
  run_graph(x->schedule, buffers, dims, arena);
  arena_free(arena);
  pthread_mutex_unlock(&interpreter_lock);
}

/* ---- the tables: symbols become addresses ---- */

static NnrtVerb *verb_named(const char *symbol) {
  static const struct {
    const char *symbol;
    NnrtVerb *run;
  } verbs[] = {{"nnrt_verb_train", nnrt_verb_train}, {"nnrt_verb_eval", nnrt_verb_eval},
               {"nnrt_verb_entry", nnrt_verb_entry}, {"nnrt_verb_entry_started", nnrt_verb_entry_started},
               {"nnrt_verb_bench", nnrt_verb_bench}, {"nnrt_verb_info", nnrt_verb_info}};
  for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
    if (!strcmp(verbs[i].symbol, symbol)) return verbs[i].run;
  ice("interpreted: no verb %s", symbol);
}

static const struct {
  const char *symbol;
  const void *address;
} services[] = {
    {"nnrt_texts", &nnrt_texts},     {"nnrt_lengths", &nnrt_lengths},   {"nnrt_packs", &nnrt_packs},
    {"nnrt_session", &nnrt_session}, {"nnrt_required", &nnrt_required},
#define ROW(name) {"nnrt_reader_" #name, &nnrt_reader_##name},
#include "runtime/reader.def"
#undef ROW
#define ROW(name) {"nnrt_tokenizer_" #name, &nnrt_tokenizer_##name},
#include "runtime/tokenizer.def"
#undef ROW
};

static const void *service_named(const void *symbol) {
  for (size_t i = 0; symbol && i < sizeof services / sizeof *services; i++)
    if (!strcmp(services[i].symbol, symbol)) return services[i].address;
  if (symbol) ice("interpreted: the runtime has no %s", (const char *)symbol);
  return NULL;
}

static void bind_symbols(NnrtProgram *p) {
  NnrtData *data = (NnrtData *)(uintptr_t)p->data;
  for (int64_t i = 0; i < p->n_data; i++) {
    data[i].reader = service_named(data[i].reader);
    data[i].tokenizer = service_named(data[i].tokenizer);
  }
  NnrtGraph *graphs = (NnrtGraph *)(uintptr_t)p->graphs;
  for (int64_t i = 0; i < p->n_graphs; i++) {
    graphs[i].required = service_named(graphs[i].required);
    NnrtLaunch *launches = (NnrtLaunch *)(uintptr_t)p->graphs[i].launches;
    for (int64_t k = 0; k < p->graphs[i].n_launches; k++) launches[k].kernel = run_interpreted;
  }
  NnrtEntry *entries = (NnrtEntry *)(uintptr_t)p->entries;
  for (int64_t i = 0; i < p->n_entries; i++) {
    entries[i].texts = service_named(entries[i].texts);
    entries[i].lengths = service_named(entries[i].lengths);
    entries[i].packs = service_named(entries[i].packs);
    entries[i].session = service_named(entries[i].session);
  }
  NnrtVerbRow *verbs = (NnrtVerbRow *)(uintptr_t)p->verbs;
  for (int64_t i = 0; i < p->n_verbs; i++) verbs[i].run = verb_named((const char *)(void *)verbs[i].run);
}

NnrtProgram *interpreted_program(Arena *a, const Program *p, const TablesOptions *o) {
  GraphList graphs = {0};
  tables_graphs(a, p, o->only, &graphs);
  Schedule **schedules = NEW_ARRAY(a, Schedule *, graphs.n + 1);
  for (int i = 0; i < graphs.n; i++) schedules[i] = interpreted_schedule(a, graphs.at[i]);
  NnrtProgram *tables = tables_build(a, p, schedules, graphs.n, o);
  bind_symbols(tables);
  return tables;
}
