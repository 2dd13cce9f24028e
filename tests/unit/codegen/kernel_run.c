/* kernel_run.c - see kernel_run.h. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ir/interpret.h"
#include "ir/scalar.h"
#include "tests/unit/codegen/kernel_run.h"
#include "tests/unit/steps.h"

typedef struct Run {
  const KernelRun *how;
  Arena *arena;
  Graph *g, *reference;
  Schedule *s;
  Interpretation in; /* of the reference */
  uint64_t random;
  void *planned; /* the arena, or NULL: each buffer on its own */
  const KernelBackend *backend;
  void *code;
  uint64_t seed;
  const char *fault; /* while kernels run */
  void **memory;     /* by buffer id */
} Run;

enum { GARBAGE = 0x5a };

static int64_t dim_of(void *cx, DimAtom *symbol) {
  (void)symbol;
  return ((const KernelRun *)cx)->batch;
}

static int64_t value_of(const Run *r, const Dim *d) { return dim_evaluate(d, dim_of, (void *)(uintptr_t)r->how); }

static uint64_t next_random(Run *r) {
  r->random ^= r->random << 13, r->random ^= r->random >> 7, r->random ^= r->random << 17;
  return r->random;
}

void *guarded_memory(size_t bytes) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE), whole = (bytes + page - 1) / page * page;
  char *p = mmap(NULL, whole + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED || mprotect(p + whole, page, PROT_NONE)) ice("no memory for a test");
  memset(p, GARBAGE, whole);
  return p + (whole - bytes);
}

void free_guarded_memory(void *at, size_t bytes) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE), whole = (bytes + page - 1) / page * page;
  munmap((char *)at - (whole - bytes), whole + page);
}

/* Arenas and scratch memory are whole lines, so that what ends at the guard begins on a line. */
static size_t aligned(int64_t bytes) { return ((size_t)bytes + 63) / 64 * 64; }

static Tensor random_tensor(Run *r, const Node *n) {
  Tensor t = {.dtype = n->dtype, .rank = n->rank};
  for (int i = 0; i < n->rank; i++) t.extent[i] = value_of(r, n->shape[i]);
  int64_t count = tensor_count(&t);
  t.data = arena_alloc(r->arena, (size_t)(count + 1) * (size_t)dtype_bytes(n->dtype));
  for (int64_t i = 0; i < count; i++) {
    uint64_t u = next_random(r) >> 11;
    if (dtype_is_float(n->dtype)) dtype_store_real(n->dtype, t.data, i, ldexp((double)u, -52) * 1.5 - 1.5);
    else dtype_store_int(n->dtype, t.data, i, (int64_t)(u % (n->dtype == DT_bool ? 2 : 3)));
  }
  return t;
}

static bool is_source(const Node *n) {
  return n->kind == NODE_input || n->kind == NODE_param || n->kind == NODE_state;
}

static bool has_value(const Run *r, const Node *n) {
  for (int i = 0; i < r->in.given.n; i++)
    if (!strcmp(r->in.given.at[i].name, n->name)) return true;
  return false;
}

static void give_sources(Run *r, const Graph *g) {
  for (int i = 0; i < g->nodes.n; i++) {
    const Node *n = g->nodes.at[i];
    if (is_source(n) && !has_value(r, n)) vec_push(r->arena, &r->in.given, (Binding){n->name, random_tensor(r, n)});
  }
}

static void give_values(Run *r) {
  if (r->how->given) {
    r->in.given = *(__typeof__(r->in.given) *)&r->how->given->given;
    if (!r->how->reference) r->in.dims = *(__typeof__(r->in.dims) *)&r->how->given->dims;
    else vec_push(r->arena, &r->in.dims, (DimBinding){r->reference->batch, r->how->batch});
    return;
  }
  give_sources(r, r->g);
  if (r->how->reference) give_sources(r, r->reference); /* the passes may have dropped one that decides nothing */
  for (int i = 0; i < r->s->dims.n; i++)
    vec_push(r->arena, &r->in.dims, (DimBinding){r->s->dims.at[i], r->how->batch});
}

static const Tensor *given(const Run *r, const Node *n) {
  for (int i = 0; i < r->in.given.n; i++)
    if (r->in.given.at[i].name == n->name) return &r->in.given.at[i].tensor;
  return NULL;
}

static bool is_planned(const Run *r, const Buffer *b) { return r->planned && b->place == BUFFER_arena; }

/* Buffers of a GPU begin at multiples of what a thread moves at once. */
static size_t room_of(const Run *r, size_t bytes) {
  enum { MOVED = 16 };
  return r->how->gpu ? (bytes + MOVED - 1) / MOVED * MOVED : bytes;
}

static void tell_unwritten(const Run *r, const void *at, size_t bytes, bool unwritten) {
  if (r->backend->unwritten) r->backend->unwritten(at, bytes, unwritten);
}

/* Memory that kernels are to write, of which they should read nothing before. */
static void *unwritten_memory(const Run *r, size_t bytes) {
  void *at = guarded_memory(room_of(r, bytes));
  tell_unwritten(r, at, room_of(r, bytes), true);
  return at;
}

static void free_memory(const Run *r, void *at, size_t bytes) {
  tell_unwritten(r, at, room_of(r, bytes), false);
  free_guarded_memory(at, room_of(r, bytes));
}

static void place_buffers(Run *r) {
  Schedule *s = r->s;
  r->memory = NEW_ARRAY(r->arena, void *, s->buffers.n + 1);
  for (int i = 0; i < s->buffers.n; i++) {
    const Buffer *b = s->buffers.at[i];
    size_t bytes = (size_t)value_of(r, b->bytes);
    r->memory[b->id] = is_planned(r, b) ? (char *)r->planned + value_of(r, b->offset) : unwritten_memory(r, bytes);
    if (b->place == BUFFER_arena) continue;
    const void *data = b->place == BUFFER_const ? b->node->data : given(r, b->node)->data;
    memcpy(r->memory[b->id], data, bytes);
    tell_unwritten(r, r->memory[b->id], bytes, false);
  }
}

static int64_t value_in(const KernelRun *how, const Dim *d) {
  return dim_evaluate(d, dim_of, (void *)(uintptr_t)how);
}

/* One step of its loops. */
static void run_kernel(void *cx, const Kernel *k, int64_t step) {
  Run *r = cx;
  void *operands[64];
  int64_t dims[8];
  for (int i = 0; i < k->operands.n; i++) operands[i] = r->memory[k->operands.at[i]->id];
  for (int i = 0; i < r->s->dims.n; i++) dims[i] = r->how->batch;
  KernelStep x = {r->s, k, operands, dims, step, r->how, value_in, r->seed};
  if (!r->fault) r->fault = r->backend->run(r->code, &x);
}

static void show_schedule(Run *r) {
  Buf b = {0};
  graph_print(&b, r->reference);
  graph_print(&b, r->g);
  schedule_print(&b, r->s, NULL);
  fputs(b.text, stderr);
  buf_free(&b);
}

/* ---- comparison ---- */

static bool same_class(double a, double b) {
  if (isnan(a) || isnan(b)) return isnan(a) && isnan(b);
  return isinf(a) || isinf(b) ? a == b : true;
}

static double largest(const Tensor *t) {
  double scale = 0;
  for (int64_t i = 0; i < tensor_count(t); i++) {
    double v = fabs(dtype_load_real(t->dtype, t->data, i));
    if (isfinite(v) && v > scale) scale = v;
  }
  return scale;
}

/* How far roundings move the output that `want` is the value of: the largest change of any of its elements when every
 * float read or computed is off by up to one in its last place. Known by it are sums that cancel, and 1 - tanh(x)
 * where it is nearly 0. */
static double rounding(const Run *r, const Tensor *want) {
  enum { DRAWS = 4 };
  double far = 0;
  for (uint64_t draw = 1; draw <= DRAWS; draw++) {
    Interpretation in = r->in;
    in.jitter = want->dtype == DT_f64 ? 0x1p-52 : 0x1p-23;
    in.seed = draw;
    if (interpret(r->reference, &in)) return 0;
    const Tensor *got = &in.values[want - r->in.values];
    for (int64_t i = 0; i < tensor_count(want); i++)
      far = fmax(far, fabs(dtype_load_real(got->dtype, got->data, i) - dtype_load_real(want->dtype, want->data, i)));
  }
  return far;
}

/* The first element that is further than `allowed` from what is wanted, or -1. */
static int64_t first_apart(const Tensor *want, const void *got, double allowed) {
  for (int64_t i = 0; i < tensor_count(want); i++) {
    double w = dtype_load_real(want->dtype, want->data, i), g = dtype_load_real(want->dtype, got, i);
    if (!same_class(w, g) || (isfinite(w) && fabs(w - g) > allowed)) return i;
  }
  return -1;
}

/* Sums of many terms in another order are off by several roundings, and a few draws tell less than the worst. */
#define ROUNDINGS 16

static const char *compare_floats(Run *r, const char *name, const Tensor *want, const void *got) {
  double allowed = fmax(want->dtype == DT_f64 ? 1e-12 : 1e-5, r->how->allowed) * largest(want);
  if (first_apart(want, got, allowed) < 0) return NULL;
  if (!r->how->strict) allowed = fmax(allowed, ROUNDINGS * rounding(r, want));
  int64_t i = first_apart(want, got, allowed);
  if (i < 0) return NULL;
  return arena_printf(r->arena, "%s%s[%lld]: %.17g, interpreter %.17g, allowed %.3g",
                      r->planned ? "in its place, " : "", name, (long long)i, dtype_load_real(want->dtype, got, i),
                      dtype_load_real(want->dtype, want->data, i), allowed);
}

static const char *compare_value(Run *r, const char *name, const Tensor *want, const Node *n) {
  const Buffer *b = schedule_buffer(r->s, n);
  if (!b) return arena_printf(r->arena, "%s is nowhere in memory", name);
  const void *got = r->memory[b->id];
  if (dtype_is_float(want->dtype)) return compare_floats(r, name, want, got);
  int64_t count = tensor_count(want);
  for (int64_t i = 0; i < count; i++) {
    int64_t w = dtype_load_int(want->dtype, want->data, i), g = dtype_load_int(want->dtype, got, i);
    if (w != g)
      return arena_printf(r->arena, "%s[%lld]: %lld, interpreter %lld", name, (long long)i, (long long)g,
                          (long long)w);
  }
  return NULL;
}

static const char *compare_all(Run *r) {
  const Tensor *values = r->in.values;
  for (int i = 0; i < r->g->outputs.n; i++) {
    const Tensor *want = &values[r->reference->outputs.at[i].node->id];
    const char *fault = compare_value(r, r->g->outputs.at[i].name, want, r->g->outputs.at[i].node);
    if (fault) return fault;
  }
  for (int i = 0; i < r->g->stores.n; i++) {
    const Node *state = r->g->stores.at[i]->in[1];
    const char *fault = compare_value(r, state->name, &values[r->reference->stores.at[i]->id], state);
    if (fault) return fault;
  }
  return NULL;
}

static bool is_left_out(const Run *r, const Kernel *k) {
  for (int i = 0; i < k->guards.n; i++) {
    const KernelGuard *g = &k->guards.at[i];
    if (dtype_load_int(DT_bool, r->memory[k->operands.at[g->operand]->id], 0) != g->value) return true;
  }
  return false;
}

/* What a kernel would write that a condition leaves out is the garbage that it was. */
static const char *check_left_out(Run *r) {
  for (int i = 0; i < r->s->kernels.n && !r->planned; i++) {
    const Kernel *k = r->s->kernels.at[i];
    for (int m = 0; m < k->members.n && is_left_out(r, k); m++) {
      const Buffer *b = k->members.at[m].buffer;
      if (!b || b->place != BUFFER_arena || b->first != i) continue;
      const unsigned char *at = r->memory[b->id];
      for (int64_t j = 0; j < value_of(r, b->bytes); j++)
        if (at[j] != GARBAGE) return arena_printf(r->arena, "kernel %d ran where a condition leaves it out", i);
    }
  }
  return NULL;
}

/* Nothing was written behind a buffer, before the page that would have told. */
static const char *check_room(Run *r) {
  for (int i = 0; i < r->s->buffers.n; i++) {
    const Buffer *b = r->s->buffers.at[i];
    size_t bytes = (size_t)value_of(r, b->bytes);
    const unsigned char *at = r->memory[b->id];
    for (size_t j = bytes; j < room_of(r, bytes) && !is_planned(r, b); j++)
      if (at[j] != GARBAGE) return arena_printf(r->arena, "buffer %d was written beyond its end", b->id);
  }
  return NULL;
}

static void free_buffers(Run *r) {
  for (int i = 0; i < r->s->buffers.n; i++) {
    const Buffer *b = r->s->buffers.at[i];
    if (!is_planned(r, b)) free_memory(r, r->memory[b->id], (size_t)value_of(r, b->bytes));
  }
}

static const char *run_and_compare(Run *r) {
  place_buffers(r);
  r->fault = NULL;
  schedule_steps(r->s, dim_of, (void *)(uintptr_t)r->how, run_kernel, r);
  const char *fault = r->fault ? r->fault : compare_all(r);
  if (!fault) fault = check_left_out(r);
  if (!fault) fault = check_room(r);
  free_buffers(r);
  return fault;
}

static const char *run_placed(Run *r) {
  size_t bytes = aligned(value_of(r, r->s->arena_bytes));
  r->planned = unwritten_memory(r, bytes);
  const char *fault = run_and_compare(r);
  free_memory(r, r->planned, bytes);
  r->planned = NULL;
  return fault;
}

static const char *run_passes(Graph *g, const KernelRun *how) {
  DiagSink diags = {.arena = g->arena};
  const char *const disabled[] = {how->without, NULL};
  PipelineOptions o = {
      .level = how->level, .gpu = how->gpu, .small = how->small, .verify = true, .disabled = disabled};
  return pipeline_run(g, &diags, &o) ? NULL : "a pass reported an error";
}

const char *kernel_run(Graph *g, const KernelRun *how) {
  Run r = {.how = how, .arena = g->arena, .g = g, .random = how->seed * 2654435761u + 88172645463325252u};
  r.backend = how->backend ? how->backend : &cpu_backend;
  r.reference = how->reference ? how->reference : g;
  r.in.arena = g->arena;
  const char *error = how->passes ? run_passes(g, how) : NULL;
  if (error) return error;
  Target target;
  error = cpu_target(how->march, &target);
  if (error) return error;
  target.gpu = how->gpu;
  r.s = schedule(g, &target, g->arena, how->level);
  r.s->tf32 = how->tf32;
  r.s->processors = how->processors;
  error = schedule_verify(r.s);
  if (how->show) show_schedule(&r);
  if (!error) error = r.backend->compile(how, r.s, &r.code);
  if (!error) {
    give_values(&r);
    error = interpret(r.reference, &r.in);
  }
  for (int i = 0; i < (how->runs ? how->runs : 1) && !error; i++) {
    r.seed = how->seed + (uint64_t)i;
    error = run_and_compare(&r);
    if (!error) error = run_placed(&r);
  }
  if (r.code) r.backend->free(r.code);
  return error;
}
