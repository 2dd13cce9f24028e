/* times.c - how long products of matrices take on a GPU, beside cuBLAS where its library is: its declarations are our
 * own. Random numbers, for zeros take less power and so less time; several operands in turn, so that none stays in a
 * cache. Lines of JSON. */
#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codegen/cuda/cuda.h"
#include "codegen/codegen.h"
#include "ir/scalar.h"
#include "tests/gpu/cuda_backend.h"

enum { TURNS = 4, RUNS = 20, MOST_BLOCKS = 4096 };

typedef struct Way { /* of a product */
  const char *name;
  DType type;
  bool tf32;
  int element, compute; /* cuBLAS's numbers of them */
} Way;

static const Way ways[] = {
    {"f32", DT_f32, false, 0, 68}, {"tf32", DT_f32, true, 0, 77}, {"bf16", DT_bf16, false, 14, 68}};

typedef struct Operands {
  Address a, b, c, maps[CUDA_MAPS];
} Operands;

typedef struct Case {
  const Way *way;
  int size, turn;
  size_t bytes, bytes_out;
  Operands operands[TURNS];
  void *module, *handle;
  Launch launch;
  int (*gemm)(void *, int, int, int, int, int, const void *, Address, int, int, Address, int, int, const void *,
              Address, int, int, int, int);
} Case;

/* ---- ours ---- */

static Schedule *schedule_product(Arena *a, const Way *w, int n) {
  char error[256] = "";
  const char *type = dtype_name(w->type), *read = w->type == DT_f32 ? "%s" : "cast(f32, %s)";
  const char *left = arena_printf(a, read, "%0[i0, r0]"), *right = arena_printf(a, read, "%1[r0, i1]");
  const char *text = arena_printf(a,
                                  "graph t\n%%0 = input x : %s[%d, %d]\n%%1 = input w : %s[%d, %d]\n"
                                  "%%2 = comp f32[%d, %d] [i0, i1] sum(r0 < %d: mul(%s, %s))\noutput y = %%2\n",
                                  type, n, n, type, n, n, n, n, n, left, right);
  Graph *g = graph_read(ir_new(a, str_table_new(a)), text, strlen(text), error);
  Target target;
  if (!g || cpu_target("x86-64-v3", &target)) ice("%s", error);
  target.gpu = true;
  Schedule *s = schedule(g, &target, a, 2);
  s->tf32 = w->tf32;
  return s;
}

static int64_t number(void *cx, DimAtom *symbol) { return (void)cx, (void)symbol, 1; }

static Address *operand(const Kernel *k, int i, Operands *o) {
  const Node *node = k->operands.at[i]->node;
  return node->kind != NODE_input ? &o->c : !strcmp(node->name, "x") ? &o->a : &o->b;
}

static int64_t value(const void *cx, const Dim *d) { return (void)cx, dim_evaluate(d, number, NULL); }

static void add_map(const Kernel *k, const CudaKernel *how, int i, Operands *o) {
  _Alignas(64) char map[CUDA_MAP_BYTES];
  cuda_encode(&how->maps[i], *operand(k, how->maps[i].operand, o), value, NULL, device_encode(), map);
  o->maps[i] = device_memory(sizeof map);
  device_write(o->maps[i], map, sizeof map);
}

/* The addresses of the launch's arguments are those of the case's operands of a turn. */
static void prepare(Arena *a, Case *c) {
  Buf text = {0};
  Schedule *s = schedule_product(a, c->way, c->size);
  const Kernel *k = s->kernels.at[0];
  CudaProgram *p = cuda_program(a, 1, &s);
  CudaKernel how = cuda_kernel(p, s, k, !strcmp(device_arch(), "sm_90a"));
  int64_t parts = dim_evaluate(how.parts, number, NULL), most = how.stays ? device_processors() : MOST_BLOCKS;
  cuda_write_program(&text, p);
  const char *error = s->kernels.n == 1 && k->operands.n == 3 ? device_load(a, text.text, &c->module) : "two kernels";
  if (error) ice("%s", error);
  buf_free(&text);
  c->launch = (Launch){how.symbol, (int)(parts < most ? parts : most), how.threads, (int)how.shared, NULL};
  int n = k->operands.n;
  static int64_t step, scratch;
  c->launch.arguments = NEW_ARRAY(a, void *, n + 2 + how.n_maps + how.n_numbers);
  c->launch.arguments[n] = &step;
  c->launch.arguments[n + 1] = &scratch;
  for (int i = 0; i < how.n_maps; i++) c->launch.arguments[n + 2 + i] = &c->operands[0].maps[i];
  for (int i = 0; i < how.n_numbers; i++)
    c->launch.arguments[n + 2 + how.n_maps + i] = (void *)(uintptr_t)&how.numbers[i];
  for (int i = 0; i < n; i++) c->launch.arguments[i] = operand(k, i, &c->operands[0]);
  for (int i = 0; i < TURNS * how.n_maps; i++) add_map(k, &how, i % how.n_maps, &c->operands[i / how.n_maps]);
}

static void turn(Case *c) {
  Operands first = c->operands[0];
  memmove(c->operands, c->operands + 1, (TURNS - 1) * sizeof first);
  c->operands[TURNS - 1] = first;
}

static void go_ours(void *cx) {
  Case *c = cx;
  turn(c);
  device_start(c->module, &c->launch);
}

/* ---- cuBLAS ---- */

static bool open_cublas(Case *c) {
  static void *handle;
  if (getenv("NN_LIBCUDA")) return false; /* it has a driver of its own */
  void *library = dlopen("libcublas.so.13", RTLD_NOW | RTLD_LOCAL);
  if (!library) library = dlopen("libcublas.so.12", RTLD_NOW | RTLD_LOCAL);
  if (!library) return false;
  int (*create)(void **), (*set_stream)(void *, void *);
  *(void **)&create = dlsym(library, "cublasCreate_v2");
  *(void **)&set_stream = dlsym(library, "cublasSetStream_v2");
  *(void **)&c->gemm = dlsym(library, "cublasGemmEx");
  if (!create || !set_stream || !c->gemm || (!handle && create(&handle))) return false;
  c->handle = handle;
  return set_stream(handle, device_stream()) == 0;
}

/* Columns first: its product of b and a is ours of a and b. */
static void go_cublas(void *cx) {
  static const float one = 1, zero = 0;
  Case *c = cx;
  turn(c);
  const Operands *o = &c->operands[0];
  int n = c->size, type = c->way->element;
  if (c->gemm(c->handle, 0, 0, n, n, n, &one, o->b, type, n, o->a, type, n, &zero, o->c, 0, n, c->way->compute, -1))
    ice("cuBLAS failed");
}

/* ---- both ---- */

static void give_memory(Case *c) {
  size_t count = (size_t)c->size * (size_t)c->size;
  c->bytes = count * (size_t)dtype_bytes(c->way->type);
  c->bytes_out = count * sizeof(float);
  char *random = malloc(c->bytes + 8);
  uint64_t bits = 88172645463325252u;
  if (!random) ice("no memory for a test");
  for (size_t i = 0; i < count; i++) {
    bits ^= bits << 13, bits ^= bits >> 7, bits ^= bits << 17;
    dtype_store_real(c->way->type, random, (int64_t)i, ldexp((double)(bits >> 11), -52) - 1);
  }
  for (int i = 0; i < TURNS; i++) {
    Operands *o = &c->operands[i];
    *o = (Operands){.a = device_memory(c->bytes), .b = device_memory(c->bytes), .c = device_memory(c->bytes_out)};
    device_write(o->a, random, c->bytes);
    device_write(o->b, random, c->bytes);
  }
  free(random);
}

static float *results(const Case *c) {
  float *y = malloc(c->bytes_out);
  if (!y) ice("no memory for a test");
  device_read(y, c->operands[0].c, c->bytes_out);
  return y;
}

/* Of the largest. */
static double apart(const Case *c, const float *x, const float *y) {
  double far = 0, scale = 0;
  for (size_t i = 0; i < c->bytes_out / sizeof *x; i++) {
    far = fmax(far, fabs((double)x[i] - (double)y[i]));
    scale = fmax(scale, fabs((double)y[i]));
  }
  return far / scale;
}

static int time_way(Arena *a, const Way *w, int size) {
  Case c = {.way = w, .size = size};
  double work = 2.0 * size * size * size;
  int bad = 0;
  give_memory(&c);
  prepare(a, &c);
  double ours = device_time_of(go_ours, &c, RUNS);
  float *got = results(&c), *want;
  printf("{\"product\": \"%s\", \"size\": %d, \"ms\": %.4f, \"tflops\": %.1f", w->name, size, ours,
         work / ours * 1e-9);
  if (open_cublas(&c)) {
    double theirs = device_time_of(go_cublas, &c, RUNS);
    want = results(&c);
    double far = apart(&c, got, want);
    printf(", \"cublas_ms\": %.4f, \"cublas_tflops\": %.1f, \"ratio\": %.3f, \"apart\": %.2g", theirs,
           work / theirs * 1e-9, theirs / ours, far);
    bad = !(far < (w->tf32 ? 2e-3 : 1e-4));
    free(want);
  }
  printf("}\n");
  fflush(stdout);
  free(got);
  device_unload(c.module);
  for (int i = 0; i < TURNS; i++) {
    bad += !device_free(c.operands[i].a, c.bytes) + !device_free(c.operands[i].b, c.bytes);
    bad += !device_free(c.operands[i].c, c.bytes_out);
    for (int j = 0; j < CUDA_MAPS; j++)
      if (c.operands[i].maps[j]) bad += !device_free(c.operands[i].maps[j], CUDA_MAP_BYTES);
  }
  return bad;
}

int device_times(Arena *a, int size);
int device_times(Arena *a, int size) {
  int bad = 0;
  for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) bad += time_way(a, &ways[i], size);
  return bad;
}
