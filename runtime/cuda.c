/* cuda.c - runs on an NVIDIA GPU, by the driver's library, which is loaded when the program starts: our own
 * declarations of the few functions that are called.
 *
 * A program without a GPU pays nothing for this file: it is not linked. One with a GPU is linked so that calls of
 * some functions of the runtime come here instead (codegen/link.c: --wrap); `__real_` is the function itself. The
 * device has a copy of the model's variables and of the arena, at the same offsets. A run copies its inputs there,
 * launches its kernels, and copies its outputs back to where the host reads them; the variables stay until the host
 * asks. The launches of a run are one CUDA graph, replayed as long as its sizes do not change.
 *
 * A training's steps are under way while the host makes the next batch (NnrtRun.late): each has a place in a ring of
 * pinned memory for what goes in and what comes out. A stream of its own copies the inputs to the device while the
 * step before computes, and the host asks for the outputs two steps later. */
#include "runtime/cuda.h"
#include "runtime/cli.h"
#include "runtime/run.h"
#include "runtime/training.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const NnrtCuda nnrt_cuda;

enum { MOST_BLOCKS = 4096, ATTRIBUTE_PROCESSORS = 16, ATTRIBUTE_MAJOR = 75, ATTRIBUTE_MINOR = 76, NON_BLOCKING = 1 };
enum { FUNCTION_SHARED = 8 /* an attribute: bytes that a launch may ask for */, ALWAYS_SHARED = 48 << 10 };

typedef unsigned long long Address; /* on the device */

/* DRIVER(name, parameters): all return 0 for success. */
#define DRIVER_FUNCTIONS(DRIVER)                                                                                     \
  DRIVER(cuInit, (unsigned))                                                                                         \
  DRIVER(cuDeviceGetCount, (int *))                                                                                  \
  DRIVER(cuDeviceGet, (int *, int))                                                                                  \
  DRIVER(cuDeviceGetAttribute, (int *, int, int))                                                                    \
  DRIVER(cuDevicePrimaryCtxRetain, (void **, int))                                                                   \
  DRIVER(cuCtxSetCurrent, (void *))                                                                                  \
  DRIVER(cuGetErrorString, (int, const char **))                                                                     \
  DRIVER(cuModuleLoadData, (void **, const void *))                                                                  \
  DRIVER(cuModuleGetFunction, (void **, void *, const char *))                                                       \
  DRIVER(cuTensorMapEncodeTiled, (void *, int, unsigned, void *, const uint64_t *, const uint64_t *,                 \
                                  const unsigned *, const unsigned *, int, int, int, int))                           \
  DRIVER(cuFuncSetAttribute, (void *, int, int))                                                                     \
  DRIVER(cuMemAlloc_v2, (Address *, size_t))                                                                         \
  DRIVER(cuMemFree_v2, (Address))                                                                                    \
  DRIVER(cuMemcpyHtoDAsync_v2, (Address, const void *, size_t, void *))                                              \
  DRIVER(cuMemcpyDtoHAsync_v2, (void *, Address, size_t, void *))                                                    \
  DRIVER(cuMemcpyDtoDAsync_v2, (Address, Address, size_t, void *))                                                   \
  DRIVER(cuMemHostAlloc, (void **, size_t, unsigned))                                                                \
  DRIVER(cuMemFreeHost, (void *))                                                                                    \
  DRIVER(cuEventCreate, (void **, unsigned))                                                                         \
  DRIVER(cuEventRecord, (void *, void *))                                                                            \
  DRIVER(cuEventQuery, (void *))                                                                                     \
  DRIVER(cuEventSynchronize, (void *))                                                                               \
  DRIVER(cuEventDestroy_v2, (void *))                                                                                \
  DRIVER(cuStreamWaitEvent, (void *, void *, unsigned))                                                              \
  DRIVER(cuStreamCreate, (void **, unsigned))                                                                        \
  DRIVER(cuStreamSynchronize, (void *))                                                                              \
  DRIVER(cuStreamBeginCapture_v2, (void *, int))                                                                     \
  DRIVER(cuStreamEndCapture, (void *, void **))                                                                      \
  DRIVER(cuGraphInstantiateWithFlags, (void **, void *, unsigned long long))                                         \
  DRIVER(cuGraphLaunch, (void *, void *))                                                                            \
  DRIVER(cuGraphDestroy, (void *))                                                                                   \
  DRIVER(cuGraphExecDestroy, (void *))                                                                               \
  DRIVER(cuLaunchKernel,                                                                                             \
         (void *, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void *, void **, void **))

typedef struct Mirror { /* of a model, on the device */
  struct Mirror *next;
  const NnrtModel *model;
  Address variables, arena;
  int64_t arena_bytes, arenas;         /* how many there were */
  bool host_is_newer, device_is_newer; /* the variables */
} Mirror;

enum { LATE = 2, RING = LATE + 1, REPLAYS = 4 /* of a run */, ROOM = 256, NO_TIMING = 2, NOT_READY = 600 };
enum { MOST_STAGED = 64 << 20 /* bytes: larger inputs are copied from where they are */ };

typedef struct Stage { /* of a run under way */
  char *in, *out;      /* pinned */
  Address staged;      /* inputs on the device, before the step before them is done with its own */
  void *copied, *done; /* events: the inputs are there; the outputs are here */
} Stage;

typedef struct Replay { /* the launches of a run, with the sizes that it was bound to */
  struct Replay *next;
  const NnrtRun *run;
  const NnrtGraph *graph;
  Mirror *mirror;
  int64_t *dims, arena; /* arena: the number of the mirror's */
  Address *buffers;     /* of graph->buffers */
  Address inputs;       /* of graph->inputs, one after the other: its own memory */
  int64_t in_bytes;
  Stage ring[RING];       /* none before a run is late */
  int64_t goes;           /* late ones */
  void *exec;             /* NULL: a loop may end early, so each step is asked */
  Address maps, *at_maps; /* of tensors: all, and where each is */
} Replay;

static struct {
  bool on;     /* kernels run on the device */
  bool on_90a; /* its code is sm_90a's */
  int processors;
#define DECLARE(name, parameters) int(*name) parameters;
  DRIVER_FUNCTIONS(DECLARE)
#undef DECLARE
  void *stream, *copies; /* copies: of inputs */
  void **modules;        /* the images that were loaded */
  int64_t n_modules;
  void ***functions;  /* by graph, by launch */
  Address *constants; /* of the program's */
  Address scratch;
  int64_t scratch_bytes;
  void **arguments; /* of a launch */
  Mirror *mirrors;
  Replay *replays, *going;
} gpu;

/* ---- failures ---- */

/* A run has no way to report: what fails while it goes ends the process. */
static void must(int status, const char *what) {
  const char *text = NULL;
  if (status == 0) return;
  if (gpu.cuGetErrorString(status, &text) || !text) text = "unknown error";
  fprintf(stderr, "the GPU failed: %s: %s\n", what, text);
  exit(NNRT_EDEVICE);
}

static void *needed(void *memory, const char *what) {
  if (memory) return memory;
  fprintf(stderr, "out of memory for %s\n", what);
  exit(NNRT_EDEVICE);
}

static Address allocate(int64_t bytes, const char *what) {
  Address at = 0;
  char text[96];
  snprintf(text, sizeof text, "%lld bytes for %.60s", (long long)bytes, what);
  must(gpu.cuMemAlloc_v2(&at, (size_t)(bytes > 0 ? bytes : 1)), text);
  return at;
}

static void upload(Address to, const void *from, int64_t bytes) {
  if (bytes > 0 && from) must(gpu.cuMemcpyHtoDAsync_v2(to, from, (size_t)bytes, gpu.stream), "a copy to the device");
}

static void download(void *to, Address from, int64_t bytes) {
  if (bytes > 0) must(gpu.cuMemcpyDtoHAsync_v2(to, from, (size_t)bytes, gpu.stream), "a copy from the device");
}

static void finish(void) { must(gpu.cuStreamSynchronize(gpu.stream), "a kernel"); }

/* ---- opening ---- */

static int load_driver(NnrtError *e) {
  const char *path = getenv("NN_LIBCUDA");
  void *library = dlopen(path ? path : "libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (!library)
    return nnrt_fail(e, NNRT_EDEVICE, "no NVIDIA driver is here (libcuda.so.1); --device cpu runs on the processor");
  bool all = true;
#define RESOLVE(name, parameters) all = (*(void **)&gpu.name = dlsym(library, #name)) && all;
  DRIVER_FUNCTIONS(RESOLVE)
#undef RESOLVE
  return all ? NNRT_OK : nnrt_fail(e, NNRT_EDEVICE, "the NVIDIA driver is too old: version 525 or newer is needed");
}

/* Machine code runs on its own kind and on later ones of the same generation; `a` on its own alone. PTX on all from
 * its version on. */
static bool fits(const char *arch, int major, int minor) {
  const char *number = strchr(arch, '_') + 1;
  int version = atoi(number), here = 10 * major + minor;
  if (strncmp(arch, "sm_", 3) != 0) return version <= here;
  if (number[strlen(number) - 1] == 'a') return version == here;
  return version / 10 == major && version <= here;
}

/* The images from the first of an architecture on, all of which one device takes or none. */
static bool load_images(int64_t first) {
  const NnrtCudaImage *images = nnrt_cuda.images;
  gpu.n_modules = 0;
  for (int64_t i = first; i < nnrt_cuda.n_images && !strcmp(images[i].arch, images[first].arch); i++)
    if (gpu.cuModuleLoadData(&gpu.modules[gpu.n_modules++], images[i].code)) return false;
  return true;
}

static int load_best(int device, NnrtError *e) {
  int major = 0, minor = 0;
  must(gpu.cuDeviceGetAttribute(&major, ATTRIBUTE_MAJOR, device), "the device's version");
  must(gpu.cuDeviceGetAttribute(&minor, ATTRIBUTE_MINOR, device), "the device's version");
  must(gpu.cuDeviceGetAttribute(&gpu.processors, ATTRIBUTE_PROCESSORS, device), "its multiprocessors");
  gpu.modules = needed(calloc((size_t)nnrt_cuda.n_images + 1, sizeof *gpu.modules), "the kernels");
  for (int64_t i = 0; i < nnrt_cuda.n_images; i++) {
    if (i && !strcmp(nnrt_cuda.images[i].arch, nnrt_cuda.images[i - 1].arch)) continue;
    if (fits(nnrt_cuda.images[i].arch, major, minor) && load_images(i)) {
      gpu.on_90a = !strcmp(nnrt_cuda.images[i].arch, "sm_90a");
      return NNRT_OK;
    }
  }
  return nnrt_fail(e, NNRT_EDEVICE, "the program has no kernels for this GPU, sm_%d%d; nnc --sm=%d%d makes them",
                   major, minor, major, minor);
}

static const NnrtCudaLaunch *launches_of(const NnrtCudaGraph *g) {
  return gpu.on_90a && g->n_launches_90a ? g->launches_90a : g->launches;
}

static bool find_kernel(void **function, const char *symbol) {
  for (int64_t i = 0; i < gpu.n_modules; i++)
    if (!gpu.cuModuleGetFunction(function, gpu.modules[i], symbol)) return true;
  return false;
}

/* Places for the arguments of any launch: operands, dimensions, the step, scratch memory, maps, numbers. */
static void reserve_arguments(const NnrtProgram *p) {
  int64_t most = 0;
  for (int64_t g = 0; g < nnrt_cuda.n_graphs; g++)
    for (int64_t i = 0; i < nnrt_cuda.graphs[g].n_launches; i++) {
      const NnrtCudaLaunch *l = &launches_of(&nnrt_cuda.graphs[g])[i];
      int64_t n = p->graphs[g].launches[i].n_buffers + p->graphs[g].n_dims + 2 + l->n_maps + l->n_numbers;
      if (n > most) most = n;
    }
  gpu.arguments = needed(calloc((size_t)most + 1, sizeof *gpu.arguments), "the kernels");
}

static int find_kernels(NnrtError *e) {
  gpu.functions = needed(calloc((size_t)nnrt_cuda.n_graphs + 1, sizeof *gpu.functions), "the kernels");
  for (int64_t g = 0; g < nnrt_cuda.n_graphs; g++) {
    const NnrtCudaGraph *graph = &nnrt_cuda.graphs[g];
    gpu.functions[g] = needed(calloc((size_t)graph->n_launches + 1, sizeof(void *)), "the kernels");
    for (int64_t i = 0; i < graph->n_launches; i++) {
      const NnrtCudaLaunch *l = &launches_of(graph)[i];
      void **f = &gpu.functions[g][i];
      if (!find_kernel(f, l->symbol))
        return nnrt_fail(e, NNRT_EDEVICE, "the GPU's code lacks the kernel %s", l->symbol);
      if (l->shared > ALWAYS_SHARED && gpu.cuFuncSetAttribute(*f, FUNCTION_SHARED, (int)l->shared))
        return nnrt_fail(e, NNRT_EDEVICE, "the GPU has no %lld bytes of shared memory for the kernel %s",
                         (long long)l->shared, l->symbol);
    }
  }
  return NNRT_OK;
}

static int open_device(const NnrtProgram *p, int number, NnrtError *e) {
  int count = 0, device = 0;
  void *context = NULL;
  int status = load_driver(e);
  if (status != NNRT_OK) return status;
  if (gpu.cuInit(0) || gpu.cuDeviceGetCount(&count) || count == 0)
    return nnrt_fail(e, NNRT_EDEVICE, "the NVIDIA driver finds no GPU; --device cpu runs on the processor");
  if (number >= count || gpu.cuDeviceGet(&device, number))
    return nnrt_fail(e, NNRT_EDEVICE, "there is no GPU %d: %d here", number, count);
  if (gpu.cuDevicePrimaryCtxRetain(&context, device) || gpu.cuCtxSetCurrent(context) ||
      gpu.cuStreamCreate(&gpu.stream, NON_BLOCKING) || gpu.cuStreamCreate(&gpu.copies, NON_BLOCKING))
    return nnrt_fail(e, NNRT_EDEVICE, "GPU %d cannot be used", number);
  status = load_best(device, e);
  if (status == NNRT_OK) status = find_kernels(e);
  if (status != NNRT_OK) return status;
  reserve_arguments(p);
  gpu.constants = needed(calloc((size_t)p->n_constants + 1, sizeof *gpu.constants), "constants");
  for (int64_t i = 0; i < p->n_constants; i++) {
    gpu.constants[i] = allocate(p->constants[i].n_data, "constants");
    upload(gpu.constants[i], p->constants[i].data, p->constants[i].n_data);
  }
  gpu.on = true;
  return NNRT_OK;
}

const NnrtOption nnrt_gpu_options[] = {
#define ROW(id, ...)
#define TRAIN(id, ...)
#define GPU(id, name, letter, argument, verbs, fallback, help) {name, letter, argument, verbs, fallback, help},
#include "runtime/options.def"
#undef ROW
#undef TRAIN
#undef GPU
};

/* cuda, cuda:1, cpu. */
static int choose_device(const NnrtProgram *p, const char *name, NnrtError *e) {
  char *end = NULL;
  if (!strcmp(name, "cpu")) return NNRT_OK;
  long number = !strncmp(name, "cuda:", 5) && name[5] >= '0' && name[5] <= '9' ? strtol(name + 5, &end, 10) : 0;
  if (strcmp(name, "cuda") != 0 && (!end || *end || number > INT32_MAX))
    return nnrt_fail(e, NNRT_EUSAGE, "--device: cuda, cuda:1 or cpu, not \"%.40s\"", name);
  return open_device(p, (int)number, e);
}

int __real_nnrt_cli_parse(NnrtCli *c, const NnrtProgram *p, const NnrtVerbRow *verb, char kind, int argc,
                          char **argv);
int __wrap_nnrt_cli_parse(NnrtCli *c, const NnrtProgram *p, const NnrtVerbRow *verb, char kind, int argc,
                          char **argv);
int __wrap_nnrt_cli_parse(NnrtCli *c, const NnrtProgram *p, const NnrtVerbRow *verb, char kind, int argc,
                          char **argv) {
  int status = __real_nnrt_cli_parse(c, p, verb, kind, argc, argv);
  if (status != NNRT_OK || kind == 'i' || nnrt_cli_flag(c, NNRT_OPT_HELP)) return status;
  const char *device = nnrt_cli_text(c, NNRT_OPT_DEVICE);
  return choose_device(p, device ? device : "cuda", &c->error);
}

/* ---- a model on the device ---- */

static Mirror *mirror_of(const NnrtModel *m) {
  for (Mirror *x = gpu.mirrors; x; x = x->next)
    if (x->model == m) return x;
  return NULL;
}

static Mirror *make_mirror(const NnrtModel *m) {
  Mirror *x = mirror_of(m);
  if (!x) {
    x = needed(calloc(1, sizeof *x), "the model");
    *x = (Mirror){.next = gpu.mirrors, .model = m, .host_is_newer = true};
    x->variables = allocate(m->total, "the model");
    gpu.mirrors = x;
  }
  if (x->host_is_newer) upload(x->variables, m->block, m->total);
  x->host_is_newer = false;
  if (x->arena_bytes >= m->arena_bytes && x->arena) return x;
  if (x->arena) must(gpu.cuMemFree_v2(x->arena), "the arena");
  x->arena = allocate(m->arena_bytes, "the arena");
  x->arena_bytes = m->arena_bytes;
  x->arenas++;
  return x;
}

/* The host's variables as the device has them. */
static void fetch(const NnrtModel *m) {
  Mirror *x = mirror_of(m);
  if (!x || !x->device_is_newer) return;
  download(m->block, x->variables, m->total);
  finish();
  x->device_is_newer = false;
}

static void host_changed(const NnrtModel *m) {
  Mirror *x = mirror_of(m);
  if (x) x->host_is_newer = true;
}

int __real_nnrt_model_init(NnrtModel *m, int64_t graph, int64_t seed, NnrtError *e);
int __wrap_nnrt_model_init(NnrtModel *m, int64_t graph, int64_t seed, NnrtError *e);
int __wrap_nnrt_model_init(NnrtModel *m, int64_t graph, int64_t seed, NnrtError *e) {
  fetch(m);
  host_changed(m);
  return __real_nnrt_model_init(m, graph, seed, e);
}

int __real_nnrt_checkpoint_load(NnrtModel *m, const NnrtSafetensors *s, NnrtLoad what, NnrtError *e);
int __wrap_nnrt_checkpoint_load(NnrtModel *m, const NnrtSafetensors *s, NnrtLoad what, NnrtError *e);
int __wrap_nnrt_checkpoint_load(NnrtModel *m, const NnrtSafetensors *s, NnrtLoad what, NnrtError *e) {
  fetch(m);
  host_changed(m);
  return __real_nnrt_checkpoint_load(m, s, what, e);
}

int __real_nnrt_training_keep_best(NnrtTraining *t);
int __wrap_nnrt_training_keep_best(NnrtTraining *t);
int __wrap_nnrt_training_keep_best(NnrtTraining *t) {
  fetch(&t->model);
  return __real_nnrt_training_keep_best(t);
}

int __real_nnrt_training_save(NnrtTraining *t);
int __wrap_nnrt_training_save(NnrtTraining *t);
int __wrap_nnrt_training_save(NnrtTraining *t) {
  fetch(&t->model);
  return __real_nnrt_training_save(t);
}

/* ---- a run ---- */

static int64_t poly(const int64_t *terms, int64_t n, const NnrtRun *r) { return nnrt_poly(terms, n, r->dims); }

static int64_t bytes_of(const NnrtRun *r, int64_t buffer) {
  return poly(r->graph->buffers[buffer].bytes, r->graph->buffers[buffer].n_bytes, r);
}

static bool is_same(const Replay *x, const NnrtRun *r, const Mirror *m) {
  return x->run == r && x->graph == r->graph && x->mirror == m && x->arena == m->arenas &&
         !memcmp(x->dims, r->dims, (size_t)r->graph->n_dims * sizeof *r->dims);
}

static bool is_input(const NnrtRun *r, int64_t buffer) { return r->graph->buffers[buffer].place == NNRT_INPUT; }

static int64_t room_for(const NnrtRun *r, int64_t buffer) { return (bytes_of(r, buffer) + ROOM - 1) / ROOM * ROOM; }

typedef void EachBuffer(void *cx, int64_t buffer, int64_t at);

/* Calls f for each input's buffer, and its place where they lie one after the other; returns their bytes. */
static int64_t each_input(const NnrtRun *r, EachBuffer *f, void *cx) {
  int64_t at = 0;
  for (int64_t i = 0; i < r->graph->n_buffers; i++) {
    if (!is_input(r, i)) continue;
    if (f) f(cx, i, at);
    at += room_for(r, i);
  }
  return at;
}

/* The same of outputs. They lie in the host's arena where the device has them in its own. */
static int64_t each_output(const NnrtRun *r, EachBuffer *f, void *cx) {
  int64_t at = 0;
  for (int64_t i = 0; i < r->graph->n_outputs; i++) {
    int64_t b = r->graph->outputs[i].buffer;
    if (b < 0 || is_input(r, b) || r->graph->buffers[b].place == NNRT_CONST) continue;
    if (f) f(cx, b, at);
    at += room_for(r, b);
  }
  return at;
}

static void place_input(void *cx, int64_t buffer, int64_t at) {
  Replay *x = cx;
  x->buffers[buffer] = x->inputs + (Address)at;
}

static void place(Replay *x, const NnrtRun *r) {
  const NnrtModel *m = r->model;
  x->in_bytes = each_input(r, NULL, NULL);
  if (x->in_bytes) x->inputs = allocate(x->in_bytes, "the inputs");
  each_input(r, place_input, x);
  for (int64_t i = 0; i < r->graph->n_buffers; i++) {
    const NnrtBuffer *b = &r->graph->buffers[i];
    switch ((NnrtPlace)b->place) {
    case NNRT_INPUT: break;
    case NNRT_PARAM:
    case NNRT_STATE:
      x->buffers[i] = x->mirror->variables + (Address)((char *)m->variables[b->index] - (char *)m->block);
      break;
    case NNRT_CONST: x->buffers[i] = gpu.constants[b->index]; break;
    case NNRT_ARENA: x->buffers[i] = x->mirror->arena + (Address)poly(b->offset, b->n_offset, r); break;
    }
  }
}

static void drop_stage(Stage *s) {
  if (!s->in) return;
  must(gpu.cuMemFreeHost(s->in), "pinned memory");
  must(gpu.cuMemFreeHost(s->out), "pinned memory");
  must(gpu.cuMemFree_v2(s->staged), "the inputs");
  must(gpu.cuEventDestroy_v2(s->copied), "an event");
  must(gpu.cuEventDestroy_v2(s->done), "an event");
}

static const NnrtCudaLaunch *launch_of(const NnrtRun *r, int64_t i) {
  return &launches_of(&nnrt_cuda.graphs[r->graph - r->model->program->graphs])[i];
}

/* ---- maps of tensors, of which kernels copy boxes ---- */

typedef struct Map {
  _Alignas(64) char bytes[128];
} Map;

/* Elements side by side first; rows of 128 bytes whose chunks are exchanged; outside is 0. One without elements is
 * not asked for any. */
static void encode(const NnrtRun *r, const NnrtCudaMap *m, Address base, Map *out) {
  enum { RANK = 5, CHUNKS_EXCHANGED = 3, LINES_OF_128 = 2 };
  uint64_t extent[RANK], step[RANK];
  unsigned box[RANK], ones[RANK];
  for (int64_t d = 0; d < m->n_dims; d++) {
    int64_t n = poly(m->dims[d].extent, m->dims[d].n_extent, r);
    extent[d] = n > 0 ? (uint64_t)n : 1;
    if (d) step[d - 1] = (uint64_t)poly(m->dims[d].step, m->dims[d].n_step, r);
    box[d] = (unsigned)m->dims[d].box;
    ones[d] = 1;
  }
  must(gpu.cuTensorMapEncodeTiled(out, (int)m->type, (unsigned)m->n_dims,
                                  (void *)(uintptr_t)(base + (Address)m->first), extent, step, box, ones, 0,
                                  CHUNKS_EXCHANGED, LINES_OF_128, 0),
       "a map");
}

/* Calls put for each map of the graph's kernels; how many there are. */
static int64_t each_map(const NnrtRun *r, const Replay *x, Map *out) {
  int64_t n = 0;
  for (int64_t i = 0; i < r->graph->n_launches; i++) {
    const NnrtCudaLaunch *l = launch_of(r, i);
    for (int64_t j = 0; j < l->n_maps; j++, n++)
      if (out) encode(r, &l->maps[j], x->buffers[r->graph->launches[i].buffers[l->maps[j].operand]], &out[n]);
  }
  return n;
}

static void make_maps(const NnrtRun *r, Replay *x) {
  int64_t n = each_map(r, x, NULL), bytes = n * (int64_t)sizeof(Map);
  if (n == 0) return;
  Map *maps = needed(aligned_alloc(sizeof(Map), (size_t)bytes), "maps");
  each_map(r, x, maps);
  x->maps = allocate(bytes, "maps");
  x->at_maps = needed(calloc((size_t)n, sizeof *x->at_maps), "maps");
  for (int64_t i = 0; i < n; i++) x->at_maps[i] = x->maps + (Address)(i * (int64_t)sizeof(Map));
  upload(x->maps, maps, bytes);
  finish();
  free(maps);
}

static void drop(Replay *x) {
  if (x->maps) must(gpu.cuMemFree_v2(x->maps), "maps");
  free(x->at_maps);
  for (int i = 0; i < RING; i++) drop_stage(&x->ring[i]);
  if (x->inputs) must(gpu.cuMemFree_v2(x->inputs), "the inputs");
  if (x->exec) must(gpu.cuGraphExecDestroy(x->exec), "a graph");
  free(x->dims);
  free(x->buffers);
  free(x);
}

/* Those of other sizes stay, as a short last batch comes again in each epoch; but not all that there ever were. */
static void drop_old(const NnrtRun *r, const Mirror *m) {
  int kept = 0;
  for (Replay **at = &gpu.replays; *at;) {
    Replay *x = *at;
    bool fits = x->graph == r->graph && x->mirror == m && x->arena == m->arenas;
    if (x->run != r || (fits && ++kept < REPLAYS)) {
      at = &x->next;
      continue;
    }
    *at = x->next;
    drop(x);
  }
}

static Replay *find_replay(const NnrtRun *r, const Mirror *m) {
  for (Replay *x = gpu.replays; x; x = x->next)
    if (is_same(x, r, m)) return x;
  return NULL;
}

static Replay *make_replay(const NnrtRun *r, Mirror *m) {
  Replay *x = find_replay(r, m);
  if (x) return x;
  finish();
  drop_old(r, m);
  x = needed(calloc(1, sizeof *x), "a run");
  *x = (Replay){.next = gpu.replays, .run = r, .graph = r->graph, .mirror = m, .arena = m->arenas};
  x->dims = needed(calloc((size_t)r->graph->n_dims + 1, sizeof *x->dims), "a run");
  x->buffers = needed(calloc((size_t)r->graph->n_buffers + 1, sizeof *x->buffers), "a run");
  memcpy(x->dims, r->dims, (size_t)r->graph->n_dims * sizeof *x->dims);
  place(x, r);
  make_maps(r, x);
  gpu.replays = x;
  return x;
}

static int64_t blocks_of(const NnrtRun *r, const NnrtCudaLaunch *l) {
  int64_t parts = poly(l->parts, l->n_parts, r), most = l->stays ? gpu.processors : MOST_BLOCKS;
  return parts < most ? parts : most;
}

/* Before a graph is captured, in which nothing may be allocated; one that was captured keeps the old memory. */
static void reserve_scratch(const NnrtRun *r) {
  int64_t most = 0;
  for (int64_t i = 0; i < r->graph->n_launches; i++) {
    const NnrtCudaLaunch *l = launch_of(r, i);
    int64_t bytes = poly(l->scratch, l->n_scratch, r) * blocks_of(r, l);
    if (bytes > most) most = bytes;
  }
  if (most <= gpu.scratch_bytes) return;
  gpu.scratch = allocate(most, "scratch memory");
  gpu.scratch_bytes = most;
}

void __real_nnrt_run_launch(NnrtRun *r, int64_t i, int64_t step);
void __wrap_nnrt_run_launch(NnrtRun *r, int64_t i, int64_t step);

static void launch(const NnrtRun *r, int64_t i, int64_t step) {
  const NnrtCudaLaunch *l = launch_of(r, i);
  const NnrtLaunch *row = &r->graph->launches[i];
  int64_t blocks = blocks_of(r, l);
  void **arguments = gpu.arguments;
  int n = 0;
  if (blocks <= 0) return;
  for (int64_t b = 0; b < row->n_buffers; b++) arguments[n++] = &gpu.going->buffers[row->buffers[b]];
  for (int d = 0; d < r->n_open; d++) arguments[n++] = &r->dims[d];
  arguments[n++] = &step;
  arguments[n++] = &gpu.scratch;
  for (int64_t j = 0; j < l->n_maps; j++) arguments[n++] = &gpu.going->at_maps[l->maps[j].number];
  for (int64_t j = 0; j < l->n_numbers; j++) arguments[n++] = (void *)(uintptr_t)&l->numbers[j];
  void *f = gpu.functions[r->graph - r->model->program->graphs][i];
  must(gpu.cuLaunchKernel(f, (unsigned)blocks, 1, 1, (unsigned)l->threads, 1, 1, (unsigned)l->shared, gpu.stream,
                          arguments, NULL),
       row->name ? row->name : l->symbol);
}

void __wrap_nnrt_run_launch(NnrtRun *r, int64_t i, int64_t step) {
  if (gpu.on && gpu.going) launch(r, i, step);
  else __real_nnrt_run_launch(r, i, step);
}

static bool may_end_early(const NnrtGraph *g) {
  for (int64_t i = 0; i < g->n_loops; i++)
    if (g->loops[i].ends) return true;
  return false;
}

void __real_nnrt_run_go(NnrtRun *r);
void __wrap_nnrt_run_go(NnrtRun *r);

static void capture(NnrtRun *r, Replay *x) {
  void *graph = NULL;
  must(gpu.cuStreamBeginCapture_v2(gpu.stream, 0), "a graph");
  __real_nnrt_run_go(r);
  must(gpu.cuStreamEndCapture(gpu.stream, &graph), "a graph");
  must(gpu.cuGraphInstantiateWithFlags(&x->exec, graph, 0), "a graph");
  must(gpu.cuGraphDestroy(graph), "a graph");
}

/* ---- runs under way ---- */

typedef struct Going {
  NnrtRun *run;
  Replay *replay;
  Stage *stage; /* NULL: the host waits */
} Going;

static void send_input(void *cx, int64_t buffer, int64_t at) {
  const Going *g = cx;
  const void *from = g->run->inputs[g->run->graph->buffers[buffer].index];
  int64_t bytes = bytes_of(g->run, buffer);
  if (!g->stage) upload(g->replay->buffers[buffer], from, bytes);
  else if (bytes > 0 && from) memcpy(g->stage->in + at, from, (size_t)bytes);
}

static void get_output(void *cx, int64_t buffer, int64_t at) {
  const Going *g = cx;
  download(g->stage ? (void *)(g->stage->out + at) : g->run->buffers[buffer], g->replay->buffers[buffer],
           bytes_of(g->run, buffer));
}

static void take_output(void *cx, int64_t buffer, int64_t at) {
  const Going *g = cx;
  memcpy(g->run->buffers[buffer], g->stage->out + at, (size_t)bytes_of(g->run, buffer));
}

static char *pinned(int64_t bytes) {
  void *at = NULL;
  must(gpu.cuMemHostAlloc(&at, (size_t)(bytes > 0 ? bytes : 1), 0), "pinned memory");
  return at;
}

static void open_ring(const NnrtRun *r, Replay *x) {
  for (int i = 0; i < RING && !x->ring[i].in; i++) {
    Stage *s = &x->ring[i];
    s->in = pinned(x->in_bytes);
    s->out = pinned(each_output(r, NULL, NULL));
    s->staged = allocate(x->in_bytes, "a batch");
    must(gpu.cuEventCreate(&s->copied, NO_TIMING), "an event");
    must(gpu.cuEventCreate(&s->done, NO_TIMING), "an event");
  }
}

static void wait_for(void *event) {
  int status = gpu.cuEventQuery(event);
  must(status == NOT_READY ? gpu.cuEventSynchronize(event) : status, "a step");
}

static Stage *next_stage(const NnrtRun *r, Replay *x) {
  if (!r->late || x->in_bytes > MOST_STAGED) return NULL;
  open_ring(r, x);
  Stage *s = &x->ring[x->goes++ % RING];
  if (x->goes > RING)
    wait_for(s->done); /* whose memory this was: it has arrived, if not more than LATE are under way */
  return s;
}

static void send_inputs(Going *g) {
  const Replay *x = g->replay;
  const Stage *s = g->stage;
  each_input(g->run, send_input, g);
  if (!s || !x->in_bytes) return;
  must(gpu.cuMemcpyHtoDAsync_v2(s->staged, s->in, (size_t)x->in_bytes, gpu.copies), "a batch");
  must(gpu.cuEventRecord(s->copied, gpu.copies), "a batch");
  must(gpu.cuStreamWaitEvent(gpu.stream, s->copied, 0), "a batch");
  must(gpu.cuMemcpyDtoDAsync_v2(x->inputs, s->staged, (size_t)x->in_bytes, gpu.stream), "a batch");
}

static void compute(NnrtRun *r, Replay *x) {
  if (!x->exec && !may_end_early(r->graph)) capture(r, x);
  if (x->exec) must(gpu.cuGraphLaunch(x->exec, gpu.stream), r->graph->name);
  else __real_nnrt_run_go(r);
}

void __wrap_nnrt_run_go(NnrtRun *r) {
  if (!gpu.on) {
    __real_nnrt_run_go(r);
    return;
  }
  Mirror *m = make_mirror(r->model);
  Replay *x = gpu.going = make_replay(r, m);
  reserve_scratch(r);
  Going g = {r, x, next_stage(r, x)};
  send_inputs(&g);
  compute(r, x);
  each_output(r, get_output, &g);
  if (g.stage) must(gpu.cuEventRecord(g.stage->done, gpu.stream), "a step");
  else finish();
  gpu.going = NULL;
  if (r->graph->n_stored) m->device_is_newer = true;
}

int __wrap_nnrt_run_most_late(const NnrtRun *r);
int __wrap_nnrt_run_most_late(const NnrtRun *r) {
  (void)r;
  return gpu.on ? LATE : 0;
}

void __wrap_nnrt_run_arrive(NnrtRun *r, int back);
void __wrap_nnrt_run_arrive(NnrtRun *r, int back) {
  const Mirror *m = gpu.on ? mirror_of(r->model) : NULL;
  Replay *x = m ? find_replay(r, m) : NULL;
  if (!x || x->goes <= back) return;
  Going g = {r, x, &x->ring[(x->goes - 1 - back) % RING]};
  wait_for(g.stage->done);
  each_output(r, take_output, &g);
}

/* ---- loops that may end early ---- */

bool __real_nnrt_loop_ends(const NnrtRun *r, const NnrtLoop *l, int64_t steps, int64_t step);
bool __wrap_nnrt_loop_ends(const NnrtRun *r, const NnrtLoop *l, int64_t steps, int64_t step);

static void fetch_buffer(const NnrtRun *r, int64_t b) {
  download(r->buffers[b], gpu.going->buffers[b], bytes_of(r, b));
}

/* Asked of the host's copy; what it writes goes back. */
bool __wrap_nnrt_loop_ends(const NnrtRun *r, const NnrtLoop *l, int64_t steps, int64_t step) {
  if (!gpu.going) return __real_nnrt_loop_ends(r, l, steps, step);
  fetch_buffer(r, l->counts);
  for (int64_t i = 0; i < l->n_rows; i += 2) fetch_buffer(r, l->rows[i]);
  finish();
  if (!__real_nnrt_loop_ends(r, l, steps, step)) return false;
  for (int64_t i = 0; i < l->n_rows; i += 2)
    upload(gpu.going->buffers[l->rows[i]], r->buffers[l->rows[i]], bytes_of(r, l->rows[i]));
  return true;
}

void __real_nnrt_model_close(NnrtModel *m);
void __wrap_nnrt_model_close(NnrtModel *m);

/* Runs of a model that is gone are not replayed: another may have its address. */
void __wrap_nnrt_model_close(NnrtModel *m) {
  for (Mirror **x = &gpu.mirrors; *x;) {
    Mirror *old = *x;
    if (old->model != m) {
      x = &old->next;
      continue;
    }
    for (Replay **y = &gpu.replays; *y;) {
      Replay *run = *y;
      if (run->mirror != old) {
        y = &run->next;
        continue;
      }
      *y = run->next;
      drop(run);
    }
    *x = old->next;
    must(gpu.cuMemFree_v2(old->variables), "the model");
    if (old->arena) must(gpu.cuMemFree_v2(old->arena), "the arena");
    free(old);
  }
  __real_nnrt_model_close(m);
}
