/* cuda_open.c - finds the NVIDIA driver, a GPU, and of the program's code what that takes. See cuda_driver.h.
 *
 * NN_LIBCUDA names another library than the system's; NN_CHECK_GPU=1 waits for each kernel, so that one that fails is
 * named: what fails in a graph is told by a later call. */
#include "runtime/cuda_driver.h"
#include "runtime/cli.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ATTRIBUTE_PROCESSORS = 16, ATTRIBUTE_MAJOR = 75, ATTRIBUTE_MINOR = 76, NON_BLOCKING = 1 };
enum { FUNCTION_SHARED = 8 /* an attribute: bytes that a launch may ask for */, ALWAYS_SHARED = 48 << 10 };

NnrtGpu nnrt_gpu;

/* ---- failures ---- */

static const char *reason(int status) {
  const char *text = NULL;
  return nnrt_gpu.cuGetErrorString(status, &text) || !text ? "unknown error" : text;
}

void nnrt_gpu_must(int status, const char *what) {
  if (status == 0) return;
  fprintf(stderr, "the GPU failed: %s: %s\n", what, reason(status));
  exit(NNRT_EDEVICE);
}

void *nnrt_gpu_needed(void *memory, const char *what) {
  if (memory) return memory;
  fprintf(stderr, "out of memory for %s\n", what);
  exit(NNRT_EDEVICE);
}

Address nnrt_gpu_allocate(int64_t bytes, const char *what) {
  Address at = 0;
  char text[96];
  snprintf(text, sizeof text, "%lld bytes for %.60s", (long long)bytes, what);
  nnrt_gpu_must(nnrt_gpu.cuMemAlloc_v2(&at, (size_t)(bytes > 0 ? bytes : 1)), text);
  return at;
}

void nnrt_gpu_upload(Address to, const void *from, int64_t bytes) {
  if (bytes > 0 && from)
    nnrt_gpu_must(nnrt_gpu.cuMemcpyHtoDAsync_v2(to, from, (size_t)bytes, nnrt_gpu.stream), "a copy to the device");
}

/* ---- opening ---- */

static int load_driver(NnrtError *e) {
  const char *path = getenv("NN_LIBCUDA");
  void *library = dlopen(path ? path : "libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (!library)
    return nnrt_fail(e, NNRT_EDEVICE, "no NVIDIA driver is here (libcuda.so.1); --device cpu runs on the processor");
  bool all = true;
#define RESOLVE(name, parameters) all = (*(void **)&nnrt_gpu.name = dlsym(library, #name)) && all;
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

/* The images from the first of an architecture on, all of which one device takes or none: 0 or why not. */
static int load_images(int64_t first) {
  const NnrtCudaImage *images = nnrt_cuda.images;
  int status = 0;
  nnrt_gpu.n_modules = 0;
  for (int64_t i = first; i < nnrt_cuda.n_images && !strcmp(images[i].arch, images[first].arch); i++) {
    status = nnrt_gpu.cuModuleLoadData(&nnrt_gpu.modules[nnrt_gpu.n_modules], images[i].code);
    if (status) break;
    nnrt_gpu.n_modules++;
  }
  while (status && nnrt_gpu.n_modules > 0) nnrt_gpu.cuModuleUnload(nnrt_gpu.modules[--nnrt_gpu.n_modules]);
  return status;
}

/* Why no image was loaded: none fits, or status is what the driver says of the last that does. It takes code of its
 * own generation of CUDA, and older. */
static int refuse_images(int status, int major, int minor, NnrtError *e) {
  int made = (int)nnrt_cuda.images[0].version, here = 0;
  if (!status)
    return nnrt_fail(e, NNRT_EDEVICE, "the program has no kernels for this GPU, sm_%d%d; nnc --sm=%d%d makes them",
                     major, minor, major, minor);
  if (!nnrt_gpu.cuDriverGetVersion(&here) && here && here / 10 < made / 10)
    return nnrt_fail(e, NNRT_EDEVICE,
                     "the NVIDIA driver is of CUDA %d.%d, the program's kernels were made by NVRTC %d.%d; a newer "
                     "driver takes them, or nnc --nvrtc=PATH makes them by an older NVRTC",
                     here / 1000, here % 1000 / 10, made / 1000, made % 1000 / 10);
  return nnrt_fail(e, NNRT_EDEVICE, "the NVIDIA driver does not take the program's kernels for sm_%d%d: %s", major,
                   minor, reason(status));
}

static int load_best(int device, NnrtError *e) {
  int major = 0, minor = 0, status = 0;
  nnrt_gpu_must(nnrt_gpu.cuDeviceGetAttribute(&major, ATTRIBUTE_MAJOR, device), "the device's version");
  nnrt_gpu_must(nnrt_gpu.cuDeviceGetAttribute(&minor, ATTRIBUTE_MINOR, device), "the device's version");
  nnrt_gpu_must(nnrt_gpu.cuDeviceGetAttribute(&nnrt_gpu.processors, ATTRIBUTE_PROCESSORS, device),
                "its multiprocessors");
  nnrt_gpu.modules = nnrt_gpu_needed(calloc((size_t)nnrt_cuda.n_images + 1, sizeof *nnrt_gpu.modules), "the kernels");
  for (int64_t i = 0; i < nnrt_cuda.n_images; i++) {
    const char *arch = nnrt_cuda.images[i].arch;
    if ((i && !strcmp(arch, nnrt_cuda.images[i - 1].arch)) || !fits(arch, major, minor)) continue;
    status = load_images(i);
    if (status) continue;
    nnrt_gpu.on_90a = !strcmp(arch, "sm_90a");
    return NNRT_OK;
  }
  return refuse_images(status, major, minor, e);
}

const NnrtCudaLaunch *nnrt_gpu_launches(const NnrtCudaGraph *g) {
  return nnrt_gpu.on_90a && g->n_launches_90a ? g->launches_90a : g->launches;
}

static bool find_kernel(void **function, const char *symbol) {
  for (int64_t i = 0; i < nnrt_gpu.n_modules; i++)
    if (!nnrt_gpu.cuModuleGetFunction(function, nnrt_gpu.modules[i], symbol)) return true;
  return false;
}

/* Places for the arguments of any launch: operands, dimensions, the step, scratch memory, maps, numbers. */
static void reserve_arguments(const NnrtProgram *p) {
  int64_t most = 0;
  for (int64_t g = 0; g < nnrt_cuda.n_graphs; g++)
    for (int64_t i = 0; i < nnrt_cuda.graphs[g].n_launches; i++) {
      const NnrtCudaLaunch *l = &nnrt_gpu_launches(&nnrt_cuda.graphs[g])[i];
      int64_t n = p->graphs[g].launches[i].n_buffers + p->graphs[g].n_dims + 2 + l->n_maps + l->n_numbers;
      if (n > most) most = n;
    }
  nnrt_gpu.arguments = nnrt_gpu_needed(calloc((size_t)most + 1, sizeof *nnrt_gpu.arguments), "the kernels");
}

static int find_kernels(NnrtError *e) {
  nnrt_gpu.functions =
      nnrt_gpu_needed(calloc((size_t)nnrt_cuda.n_graphs + 1, sizeof *nnrt_gpu.functions), "the kernels");
  for (int64_t g = 0; g < nnrt_cuda.n_graphs; g++) {
    const NnrtCudaGraph *graph = &nnrt_cuda.graphs[g];
    nnrt_gpu.functions[g] = nnrt_gpu_needed(calloc((size_t)graph->n_launches + 1, sizeof(void *)), "the kernels");
    for (int64_t i = 0; i < graph->n_launches; i++) {
      const NnrtCudaLaunch *l = &nnrt_gpu_launches(graph)[i];
      void **f = &nnrt_gpu.functions[g][i];
      if (!find_kernel(f, l->symbol))
        return nnrt_fail(e, NNRT_EDEVICE, "the GPU's code lacks the kernel %s", l->symbol);
      if (l->shared > ALWAYS_SHARED && nnrt_gpu.cuFuncSetAttribute(*f, FUNCTION_SHARED, (int)l->shared))
        return nnrt_fail(e, NNRT_EDEVICE, "the GPU has no %lld bytes of shared memory for the kernel %s",
                         (long long)l->shared, l->symbol);
    }
  }
  return NNRT_OK;
}

static int find_device(int number, int *device, NnrtError *e) {
  int count = 0, status = nnrt_gpu.cuInit(0);
  if (!status) status = nnrt_gpu.cuDeviceGetCount(&count);
  if (status || count == 0)
    return nnrt_fail(e, NNRT_EDEVICE, "the NVIDIA driver finds no GPU (%s); --device cpu runs on the processor",
                     status ? reason(status) : "none is there");
  if (number >= count || nnrt_gpu.cuDeviceGet(device, number))
    return nnrt_fail(e, NNRT_EDEVICE, "there is no GPU %d: %d here", number, count);
  return NNRT_OK;
}

static int open_context(int number, int device, NnrtError *e) {
  void *context = NULL;
  int status = nnrt_gpu.cuDevicePrimaryCtxRetain(&context, device);
  if (!status) status = nnrt_gpu.cuCtxSetCurrent(context);
  if (!status) status = nnrt_gpu.cuStreamCreate(&nnrt_gpu.stream, NON_BLOCKING);
  if (!status) status = nnrt_gpu.cuStreamCreate(&nnrt_gpu.copies, NON_BLOCKING);
  return status ? nnrt_fail(e, NNRT_EDEVICE, "GPU %d cannot be used: %s", number, reason(status)) : NNRT_OK;
}

static void send_constants(const NnrtProgram *p) {
  nnrt_gpu.constants = nnrt_gpu_needed(calloc((size_t)p->n_constants + 1, sizeof *nnrt_gpu.constants), "constants");
  for (int64_t i = 0; i < p->n_constants; i++) {
    nnrt_gpu.constants[i] = nnrt_gpu_allocate(p->constants[i].n_data, "constants");
    nnrt_gpu_upload(nnrt_gpu.constants[i], p->constants[i].data, p->constants[i].n_data);
  }
}

static int open_device(const NnrtProgram *p, int number, NnrtError *e) {
  int device = 0, status = load_driver(e);
  if (status == NNRT_OK) status = find_device(number, &device, e);
  if (status == NNRT_OK) status = open_context(number, device, e);
  if (status == NNRT_OK) status = load_best(device, e);
  if (status == NNRT_OK) status = find_kernels(e);
  if (status != NNRT_OK) return status;
  reserve_arguments(p);
  send_constants(p);
  nnrt_gpu.checks = getenv("NN_CHECK_GPU") != NULL;
  nnrt_gpu.on = true;
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
