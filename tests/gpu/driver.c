/* driver.c - see driver.h. The declarations are our own. */
#include "tests/gpu/driver.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codegen/cuda/nvrtc.h"
#include "lang/diag.h"

enum {
  PROCESSORS = 16,
  MAJOR = 75,
  MINOR = 76,
  SHARED = 8 /* attributes */,
  GUARD = 256,
  POISON = 0xff,
  MOST_SHARED = 48 << 10
};

#define FUNCTIONS(F)                                                                                                 \
  F(cuInit, (unsigned))                                                                                              \
  F(cuDriverGetVersion, (int *))                                                                                     \
  F(cuDeviceGet, (int *, int))                                                                                       \
  F(cuDeviceGetName, (char *, int, int))                                                                             \
  F(cuDeviceGetAttribute, (int *, int, int))                                                                         \
  F(cuDevicePrimaryCtxRetain, (void **, int))                                                                        \
  F(cuCtxSetCurrent, (void *))                                                                                       \
  F(cuGetErrorString, (int, const char **))                                                                          \
  F(cuModuleLoadData, (void **, const void *))                                                                       \
  F(cuModuleUnload, (void *))                                                                                        \
  F(cuModuleGetFunction, (void **, void *, const char *))                                                            \
  F(cuTensorMapEncodeTiled, (void *, int, unsigned, void *, const uint64_t *, const uint64_t *, const unsigned *,    \
                             const unsigned *, int, int, int, int))                                                  \
  F(cuFuncSetAttribute, (void *, int, int))                                                                          \
  F(cuMemAlloc_v2, (Address *, size_t))                                                                              \
  F(cuMemFree_v2, (Address))                                                                                         \
  F(cuMemcpyHtoDAsync_v2, (Address, const void *, size_t, void *))                                                   \
  F(cuMemcpyDtoHAsync_v2, (void *, Address, size_t, void *))                                                         \
  F(cuStreamCreate, (void **, unsigned))                                                                             \
  F(cuStreamSynchronize, (void *))                                                                                   \
  F(cuEventCreate, (void **, unsigned))                                                                              \
  F(cuEventRecord, (void *, void *))                                                                                 \
  F(cuEventElapsedTime, (float *, void *, void *))                                                                   \
  F(cuLaunchKernel,                                                                                                  \
    (void *, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void *, void **, void **))

static struct {
#define DECLARE(name, parameters) int(*name) parameters;
  FUNCTIONS(DECLARE)
#undef DECLARE
  void *stream, *begin, *end;
  Arena *arena;
  Nvrtc *nvrtc;
  char name[128];
  const char *arch;
  int processors;
  int version;
} gpu;

static const char *said(int status) {
  const char *text = NULL;
  return gpu.cuGetErrorString(status, &text) || !text ? "unknown error" : text;
}

static void must(int status, const char *what) {
  if (status) ice("the GPU failed: %s: %s", what, said(status));
}

/* ---- opening ---- */

static const char *resolve(void) {
  const char *path = getenv("NN_LIBCUDA");
  void *library = dlopen(path ? path : "libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (!library) return "no NVIDIA driver is here";
#define RESOLVE(function, parameters)                                                                                \
  if (!(*(void **)&gpu.function = dlsym(library, #function))) return "the driver lacks " #function;
  FUNCTIONS(RESOLVE)
#undef RESOLVE
  return NULL;
}

static const char *open_device(void) {
  int device, major, minor;
  void *context;
  if (gpu.cuInit(0) || gpu.cuDeviceGet(&device, 0)) return "the driver finds no GPU";
  must(gpu.cuDevicePrimaryCtxRetain(&context, device), "a context");
  must(gpu.cuCtxSetCurrent(context), "a context");
  must(gpu.cuStreamCreate(&gpu.stream, 1), "a stream");
  must(gpu.cuEventCreate(&gpu.begin, 0), "an event");
  must(gpu.cuEventCreate(&gpu.end, 0), "an event");
  must(gpu.cuDeviceGetName(gpu.name, sizeof gpu.name, device), "its name");
  must(gpu.cuDriverGetVersion(&gpu.version), "the driver's version");
  must(gpu.cuDeviceGetAttribute(&major, MAJOR, device), "its version");
  must(gpu.cuDeviceGetAttribute(&minor, MINOR, device), "its version");
  must(gpu.cuDeviceGetAttribute(&gpu.processors, PROCESSORS, device), "its multiprocessors");
  gpu.arch = arena_printf(gpu.arena, "sm_%d%d%s", major, minor, major == 9 && minor == 0 ? "a" : "");
  return NULL;
}

const char *device_open(void) {
  if (gpu.arch) return NULL;
  const char *error = resolve();
  gpu.arena = arena_new();
  if (!error) error = nvrtc_open(gpu.arena, NULL, &gpu.nvrtc);
  return error ? error : open_device();
}

DeviceEncode *device_encode(void) { return gpu.cuTensorMapEncodeTiled; }
int device_processors(void) { return gpu.processors; }
const char *device_arch(void) { return gpu.arch; }

void *device_stream(void) { return gpu.stream; }

void device_describe(void) {
  printf("%s, %s, driver %d, NVRTC %d\n", gpu.name, gpu.arch, gpu.version, nvrtc_version(gpu.nvrtc));
}

/* ---- modules ---- */

const char *device_load(Arena *a, const char *text, void **module) {
  Buf code = {0}, log = {0};
  const char *error = nvrtc_translate(gpu.nvrtc, text, gpu.arch, &code, NULL, &log);
  int status = error ? 0 : gpu.cuModuleLoadData(module, code.text);
  buf_free(&code);
  buf_free(&log);
  if (status) error = arena_printf(a, "the driver takes no module: %s", said(status));
  return error;
}

void device_unload(void *module) { must(gpu.cuModuleUnload(module), "a module"); }

/* ---- memory ---- */

static void finish(const char *what) { must(gpu.cuStreamSynchronize(gpu.stream), what); }

void device_write(Address to, const void *from, size_t bytes) {
  if (bytes == 0) return;
  must(gpu.cuMemcpyHtoDAsync_v2(to, from, bytes, gpu.stream), "a copy to the device");
  finish("a copy to the device");
}

void device_read(void *to, Address from, size_t bytes) {
  if (bytes == 0) return;
  must(gpu.cuMemcpyDtoHAsync_v2(to, from, bytes, gpu.stream), "a copy from the device");
  finish("a copy from the device");
}

Address device_memory(size_t bytes) {
  Address at;
  must(gpu.cuMemAlloc_v2(&at, bytes + GUARD), "memory");
  char *poison = malloc(bytes + GUARD);
  if (!poison) ice("no memory for a test");
  memset(poison, POISON, bytes + GUARD);
  device_write(at, poison, bytes + GUARD);
  free(poison);
  return at;
}

bool device_free(Address at, size_t bytes) {
  unsigned char guard[GUARD];
  bool whole = true;
  device_read(guard, at + bytes, GUARD);
  for (int i = 0; i < GUARD; i++) whole = whole && guard[i] == POISON;
  must(gpu.cuMemFree_v2(at), "memory");
  return whole;
}

/* ---- launches ---- */

static const char *launch(void *module, const Launch *l) {
  void *function;
  int status = gpu.cuModuleGetFunction(&function, module, l->symbol);
  if (!status && l->shared > MOST_SHARED) status = gpu.cuFuncSetAttribute(function, SHARED, l->shared);
  if (!status)
    status = gpu.cuLaunchKernel(function, (unsigned)l->blocks, 1, 1, (unsigned)l->threads, 1, 1, (unsigned)l->shared,
                                gpu.stream, l->arguments, NULL);
  return status ? said(status) : NULL;
}

const char *device_launch(void *module, const Launch *l) {
  const char *error = launch(module, l);
  int status = error ? 0 : gpu.cuStreamSynchronize(gpu.stream);
  return status ? said(status) : error;
}

void device_start(void *module, const Launch *l) {
  const char *error = launch(module, l);
  if (error) ice("the GPU failed: %s: %s", l->symbol, error);
}

double device_time_of(void (*go)(void *cx), void *cx, int runs) {
  double least = 0;
  for (int i = 0; i <= runs; i++) { /* the first warms up */
    float ms;
    must(gpu.cuEventRecord(gpu.begin, gpu.stream), "an event");
    go(cx);
    must(gpu.cuEventRecord(gpu.end, gpu.stream), "an event");
    finish("a launch that is timed");
    must(gpu.cuEventElapsedTime(&ms, gpu.begin, gpu.end), "an event");
    if (i == 1 || (i > 1 && (double)ms < least)) least = (double)ms;
  }
  return least;
}
