/* kernel_run.c - see kernel_run.h. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <llvm-c/Core.h>
#include <llvm-c/Error.h>
#include <llvm-c/LLJIT.h>

#include "ir/interpret.h"
#include "ir/scalar.h"
#include "tests/unit/codegen/kernel_run.h"

typedef void Compiled(void *const *buffers, const int64_t *dims, int64_t begin, int64_t end, void *scratch);

typedef struct Run {
  const KernelRun *how;
  Arena *arena;
  Graph *g;
  Schedule *s;
  Interpretation in;
  uint64_t random;
  void **memory; /* by buffer id */
} Run;

static int64_t dim_of(void *cx, DimAtom *symbol) {
  (void)symbol;
  return ((const KernelRun *)cx)->batch;
}

static int64_t value_of(const Run *r, const Dim *d) { return dim_evaluate(d, dim_of, (void *)(uintptr_t)r->how); }

static uint64_t next_random(Run *r) {
  r->random ^= r->random << 13, r->random ^= r->random >> 7, r->random ^= r->random << 17;
  return r->random;
}

/* Memory that ends at a page that cannot be touched, and begins with garbage: a read or write beyond the end is a
 * fault. */
static void *guarded(size_t bytes) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE), whole = (bytes + page - 1) / page * page;
  char *p = mmap(NULL, whole + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED || mprotect(p + whole, page, PROT_NONE)) ice("no memory for a test");
  memset(p, 0x5a, whole);
  return p + (whole - bytes);
}

static void unguard(void *at, size_t bytes) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE), whole = (bytes + page - 1) / page * page;
  munmap((char *)at - (whole - bytes), whole + page);
}

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

static void give_values(Run *r) {
  if (r->how->given) {
    r->in.given = *(__typeof__(r->in.given) *)&r->how->given->given;
    r->in.dims = *(__typeof__(r->in.dims) *)&r->how->given->dims;
    return;
  }
  for (int i = 0; i < r->g->nodes.n; i++) {
    Node *n = r->g->nodes.at[i];
    if (is_source(n)) vec_push(r->arena, &r->in.given, (Binding){n->name, random_tensor(r, n)});
  }
  for (int i = 0; i < r->s->dims.n; i++)
    vec_push(r->arena, &r->in.dims, (DimBinding){r->s->dims.at[i], r->how->batch});
}

static const Tensor *given(const Run *r, const Node *n) {
  for (int i = 0; i < r->in.given.n; i++)
    if (r->in.given.at[i].name == n->name) return &r->in.given.at[i].tensor;
  return NULL;
}

/* Each buffer on its own: whether the plan's places are right is not asked here. */
static void place_buffers(Run *r) {
  Schedule *s = r->s;
  r->memory = NEW_ARRAY(r->arena, void *, s->buffers.n + 1);
  for (int i = 0; i < s->buffers.n; i++) {
    const Buffer *b = s->buffers.at[i];
    size_t bytes = (size_t)value_of(r, b->bytes);
    r->memory[b->id] = guarded(bytes);
    if (b->place == BUFFER_arena) continue;
    const void *data = b->place == BUFFER_const ? b->node->data : given(r, b->node)->data;
    memcpy(r->memory[b->id], data, bytes);
  }
}

static void *kernel_code(LLVMOrcLLJITRef jit, const char *symbol) {
  LLVMOrcExecutorAddress at = 0;
  LLVMErrorRef error = LLVMOrcLLJITLookup(jit, &at, symbol);
  if (error) ice("%s", LLVMGetErrorMessage(error));
  return (void *)(uintptr_t)at;
}

static void run_kernel(Run *r, const Kernel *k, Compiled *code) {
  void *operands[64];
  int64_t dims[8];
  for (int i = 0; i < k->operands.n; i++) operands[i] = r->memory[k->operands.at[i]->id];
  for (int i = 0; i < r->s->dims.n; i++) dims[i] = r->how->batch;
  size_t bytes = ((size_t)value_of(r, k->scratch) + 63) / 64 * 64;
  void *scratch = guarded(bytes);
  int64_t units = value_of(r, k->units), chunks = r->how->chunks;
  for (int64_t c = chunks - 1; c >= 0; c--)
    code(operands, dims, units * c / chunks, units * (c + 1) / chunks, scratch);
  unguard(scratch, bytes);
}

static const char *show_code(Run *r, CpuModule *m) {
  Buf b = {0};
  schedule_print(&b, r->s, NULL);
  const char *error = cpu_module_write(m, CPU_LLVM, &b);
  fputs(b.text, stderr);
  buf_free(&b);
  return error;
}

static const char *compile_and_run(Run *r, CpuModule *m) {
  for (int i = 0; i < r->s->kernels.n; i++) cpu_emit_kernel(m, r->s, r->s->kernels.at[i]);
  const char *error = r->how->show ? show_code(r, m) : NULL;
  Buf object = {0};
  if (!error) error = cpu_module_write(m, CPU_OBJECT, &object);
  if (error) return error;
  LLVMOrcLLJITRef jit;
  LLVMErrorRef fault = LLVMOrcCreateLLJIT(&jit, NULL);
  if (!fault) {
    LLVMMemoryBufferRef copy = LLVMCreateMemoryBufferWithMemoryRangeCopy(object.text, object.n, "kernels");
    fault = LLVMOrcLLJITAddObjectFile(jit, LLVMOrcLLJITGetMainJITDylib(jit), copy);
  }
  if (fault) ice("%s", LLVMGetErrorMessage(fault));
  buf_free(&object);
  for (int i = 0; i < r->s->kernels.n; i++) {
    const Kernel *k = r->s->kernels.at[i];
    run_kernel(r, k, (Compiled *)kernel_code(jit, k->symbol));
  }
  LLVMOrcDisposeLLJIT(jit);
  return NULL;
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

/* The largest absolute value of the output; of one number, which may be what is left of a sum that cancels, the
 * largest in the graph. */
static double scale_of(const Run *r, const Tensor *want) {
  double scale = largest(want);
  for (int i = 0; i < r->g->nodes.n && tensor_count(want) == 1; i++) {
    const Tensor *t = &r->in.values[i];
    if (t->data && t->dtype == want->dtype) scale = fmax(scale, largest(t));
  }
  return scale;
}

static const char *compare_floats(Run *r, const char *name, const Tensor *want, const void *got) {
  double scale = scale_of(r, want), tolerance = want->dtype == DT_f64 ? 1e-12 : 1e-5;
  int64_t n = tensor_count(want);
  for (int64_t i = 0; i < n; i++) {
    double w = dtype_load_real(want->dtype, want->data, i), g = dtype_load_real(want->dtype, got, i);
    if (same_class(w, g) && (!isfinite(w) || fabs(w - g) <= tolerance * scale)) continue;
    return arena_printf(r->arena, "%s[%lld]: %.17g, interpreter %.17g, scale %.3g", name, (long long)i, g, w, scale);
  }
  return NULL;
}

static const char *compare_value(Run *r, const char *name, const Node *n) {
  const Tensor *want = &r->in.values[n->id];
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
  for (int i = 0; i < r->g->outputs.n; i++) {
    const char *fault = compare_value(r, r->g->outputs.at[i].name, r->g->outputs.at[i].node);
    if (fault) return fault;
  }
  for (int i = 0; i < r->g->stores.n; i++) {
    const Node *store = r->g->stores.at[i];
    const Tensor *want = &r->in.values[store->id];
    const Buffer *b = schedule_buffer(r->s, store->in[1]);
    if (!b) return "a store's target is nowhere in memory";
    const char *fault = NULL;
    if (dtype_is_float(want->dtype)) fault = compare_floats(r, store->in[1]->name, want, r->memory[b->id]);
    if (fault) return fault;
  }
  return NULL;
}

static void free_buffers(Run *r) {
  for (int i = 0; i < r->s->buffers.n; i++) {
    const Buffer *b = r->s->buffers.at[i];
    unguard(r->memory[b->id], (size_t)value_of(r, b->bytes));
  }
}

const char *kernel_run(Graph *g, const KernelRun *how) {
  Run r = {.how = how, .arena = g->arena, .g = g, .random = how->seed * 2654435761u + 88172645463325252u};
  r.in.arena = g->arena;
  const char *error;
  if (how->passes) {
    DiagSink diags = {.arena = g->arena};
    PipelineOptions o = {.level = how->level, .verify = true};
    if (!pipeline_run(g, &diags, &o)) return "a pass reported an error";
  }
  CpuModule *m = cpu_module_new(g->arena, "kernels", how->march, how->level, &error);
  if (!m) return error;
  r.s = schedule(g, cpu_module_target(m), g->arena, how->level);
  error = schedule_verify(r.s);
  if (!error) {
    give_values(&r);
    error = interpret(g, &r.in);
  }
  if (!error) {
    place_buffers(&r);
    error = compile_and_run(&r, m);
    if (!error) error = compare_all(&r);
    free_buffers(&r);
  }
  cpu_module_free(m);
  return error;
}
