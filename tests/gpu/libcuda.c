/* libcuda.c - stands for the NVIDIA driver in tests: a module is a text, which the C compiler translates, and kernels
 * run in the simulator, one after the other.
 *
 * The device's memory cannot be touched but while a copy or a kernel goes: a program that takes a device's address
 * for its own is stopped. It begins as NaN. While a graph is captured only launches are allowed. SIMULATED_SEED
 * chooses how threads go; SIMULATED_FAIL=N lets the Nth call that may fail do so; SIMULATED_COUNT=FILE is told how
 * often what was called. */
#define _GNU_SOURCE /* dladdr */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "runtime/cuda.h"
#include "tests/gpu/simulator.h"
#include "tests/gpu/translate.h"

enum { INVALID = 1, OUT_OF_MEMORY = 2, NOT_FOUND = 500, FAILED = 719, PAGE = 4096, POISON = 0xff };
enum {
  ALWAYS_SHARED = 48 << 10,
  MOST_SHARED = 99 << 10 /* of the smallest GPU */,
  MOST_THREADS = 1024,
  MOST_ARGUMENTS = NNRT_CUDA_ARGUMENTS
};

typedef unsigned long long Address;

typedef struct Block { /* of device memory */
  struct Block *next;
  char *at;
  size_t bytes;
} Block;

typedef struct Function {
  void (*call)(void **arguments);
  int count;       /* of arguments, 8 bytes each */
  unsigned shared; /* bytes that a launch may ask for */
} Function;

typedef struct Launch {
  struct Launch *next;
  Function *function;
  unsigned blocks, threads, shared;
  uint64_t arguments[];
} Launch;

typedef struct Launches {
  Launch *first, **end;
} Launches;

static struct {
  Block *blocks;
  Launches *captured; /* while a stream is captured */
  void *module;
  uint64_t seed;
  int calls, fails_at, launches, graphs, allocations, waits;
} driver;

/* ---- failures on demand ---- */

static void count_at_exit(void) {
  FILE *f = fopen(getenv("SIMULATED_COUNT"), "w");
  if (!f) return;
  fprintf(f, "launches %d\ngraphs %d\nallocations %d\nwaits %d\n", driver.launches, driver.graphs, driver.allocations,
          driver.waits);
  fclose(f);
}

static int fails(void) { return driver.fails_at && ++driver.calls == driver.fails_at ? FAILED : 0; }

/* ---- memory ---- */

static void open_memory(bool open) {
  for (Block *b = driver.blocks; b; b = b->next)
    if (mprotect(b->at, (b->bytes + PAGE) / PAGE * PAGE, open ? PROT_READ | PROT_WRITE : PROT_NONE)) abort();
}

/* Whether [at, at + n) lies in one block. */
static bool is_inside(Address at, size_t n) {
  for (Block *b = driver.blocks; b; b = b->next)
    if (at >= (Address)(uintptr_t)b->at && at + n <= (Address)(uintptr_t)b->at + b->bytes) return true;
  return false;
}

int cuMemAlloc_v2(Address *at, size_t n);
int cuMemAlloc_v2(Address *at, size_t n) {
  int status = fails();
  if (status || driver.captured) return status ? OUT_OF_MEMORY : INVALID;
  Block *b = calloc(1, sizeof *b);
  size_t whole = (n + PAGE) / PAGE * PAGE;
  char *p = b ? mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) : MAP_FAILED;
  if (p == MAP_FAILED) return OUT_OF_MEMORY;
  memset(p, POISON, whole);
  mprotect(p, whole, PROT_NONE);
  *b = (Block){driver.blocks, p, n};
  driver.blocks = b;
  driver.allocations++;
  *at = (Address)(uintptr_t)p;
  return 0;
}

int cuMemFree_v2(Address at);
int cuMemFree_v2(Address at) {
  for (Block **b = &driver.blocks; *b; b = &(*b)->next) {
    Block *old = *b;
    if ((Address)(uintptr_t)old->at != at) continue;
    *b = old->next;
    munmap(old->at, (old->bytes + PAGE) / PAGE * PAGE);
    free(old);
    return 0;
  }
  return INVALID;
}

static int copy(void *to, const void *from, size_t n, Address device) {
  int status = fails();
  if (status || driver.captured || !is_inside(device, n)) return status ? status : INVALID;
  open_memory(true);
  memcpy(to, from, n);
  open_memory(false);
  return 0;
}

int cuMemcpyHtoDAsync_v2(Address to, const void *from, size_t n, void *stream);
int cuMemcpyHtoDAsync_v2(Address to, const void *from, size_t n, void *stream) {
  (void)stream;
  return copy((void *)(uintptr_t)to, from, n, to);
}

int cuMemcpyDtoHAsync_v2(void *to, Address from, size_t n, void *stream);
int cuMemcpyDtoHAsync_v2(void *to, Address from, size_t n, void *stream) {
  (void)stream;
  return copy(to, (void *)(uintptr_t)from, n, from);
}

/* ---- device, context ---- */

int cuInit(unsigned flags);
int cuInit(unsigned flags) {
  (void)flags;
  const char *seed = getenv("SIMULATED_SEED"), *at = getenv("SIMULATED_FAIL");
  driver.seed = seed ? strtoull(seed, NULL, 10) : 0;
  driver.fails_at = at ? atoi(at) : 0;
  if (getenv("SIMULATED_COUNT")) atexit(count_at_exit);
  Dl_info own; /* kernels are linked to what is global */
  return dladdr((void *)(uintptr_t)cuInit, &own) && dlopen(own.dli_fname, RTLD_NOW | RTLD_GLOBAL | RTLD_NOLOAD)
             ? 0
             : FAILED;
}

int cuDeviceGetCount(int *n);
int cuDeviceGetCount(int *n) {
  *n = 1;
  return 0;
}

int cuDeviceGet(int *device, int number);
int cuDeviceGet(int *device, int number) {
  *device = number;
  return number ? INVALID : 0;
}

/* 9.0. */
int cuDeviceGetAttribute(int *value, int attribute, int device);
int cuDeviceGetAttribute(int *value, int attribute, int device) {
  (void)device;
  *value = attribute == 75 ? 9 : 0;
  return 0;
}

int cuDevicePrimaryCtxRetain(void **context, int device);
int cuDevicePrimaryCtxRetain(void **context, int device) {
  (void)device;
  *context = &driver;
  return 0;
}

int cuCtxSetCurrent(void *context);
int cuCtxSetCurrent(void *context) { return context != &driver; }

int cuGetErrorString(int status, const char **text);
int cuGetErrorString(int status, const char **text) {
  *text = status == OUT_OF_MEMORY ? "out of memory"
          : status == FAILED      ? "a failure that was asked for"
                                  : "invalid value";
  return 0;
}

/* ---- modules ---- */

int cuModuleLoadData(void **module, const void *image);
int cuModuleLoadData(void **module, const void *image) {
  const char *error = simulated_load(image, strlen(image), module);
  if (error) fprintf(stderr, "simulated driver: %s\n", error);
  return error ? FAILED : 0;
}

int cuModuleGetFunction(void **function, void *module, const char *name);
int cuModuleGetFunction(void **function, void *module, const char *name) {
  char symbol[160];
  Function *f = calloc(1, sizeof *f);
  snprintf(symbol, sizeof symbol, "%s_call", name);
  *(void **)&f->call = dlsym(module, symbol);
  snprintf(symbol, sizeof symbol, "%s_count", name);
  const int *count = dlsym(module, symbol);
  if (!f->call || !count) {
    free(f);
    return NOT_FOUND;
  }
  f->count = *count;
  f->shared = ALWAYS_SHARED;
  *function = f;
  return 0;
}

int cuFuncSetAttribute(Function *f, int attribute, int value);
int cuFuncSetAttribute(Function *f, int attribute, int value) {
  if (attribute != 8 || value < 0 || value > MOST_SHARED) return INVALID;
  f->shared = (unsigned)value;
  return 0;
}

/* ---- launches ---- */

static int run(Launch *l) {
  void **arguments = calloc((size_t)l->function->count, sizeof *arguments);
  for (int i = 0; i < l->function->count; i++) arguments[i] = &l->arguments[i];
  const SimulatedLaunch s = {.call = l->function->call,
                             .arguments = arguments,
                             .blocks = (int)l->blocks,
                             .threads = (int)l->threads,
                             .shared = l->shared,
                             .seed = driver.seed};
  open_memory(true);
  const char *fault = simulate(&s);
  open_memory(false);
  free(arguments);
  if (fault) fprintf(stderr, "simulated driver: %s\n", fault);
  driver.launches++;
  return fault ? FAILED : 0;
}

int cuLaunchKernel(Function *f, unsigned x, unsigned y, unsigned z, unsigned tx, unsigned ty, unsigned tz,
                   unsigned shared, void *stream, void **arguments, void **extra);
int cuLaunchKernel(Function *f, unsigned x, unsigned y, unsigned z, unsigned tx, unsigned ty, unsigned tz,
                   unsigned shared, void *stream, void **arguments, void **extra) {
  (void)stream, (void)extra;
  int status = fails();
  if (status) return status;
  if (!x || y != 1 || z != 1 || !tx || tx > MOST_THREADS || tx % WARP || ty != 1 || tz != 1 || shared > f->shared ||
      f->count > MOST_ARGUMENTS)
    return INVALID;
  Launch *l = calloc(1, sizeof *l + (size_t)f->count * sizeof *l->arguments);
  *l = (Launch){.function = f, .blocks = x, .threads = tx, .shared = shared};
  for (int i = 0; i < f->count; i++) memcpy(&l->arguments[i], arguments[i], sizeof l->arguments[i]);
  if (driver.captured) {
    *driver.captured->end = l;
    driver.captured->end = &l->next;
    return 0;
  }
  status = run(l);
  free(l);
  return status;
}

int cuStreamCreate(void **stream, unsigned flags);
int cuStreamCreate(void **stream, unsigned flags) {
  (void)flags;
  *stream = &driver;
  return 0;
}

int cuStreamSynchronize(void *stream);
int cuStreamSynchronize(void *stream) {
  (void)stream;
  driver.waits++;
  return driver.captured ? INVALID : fails();
}

/* ---- graphs: a list of launches ---- */

int cuStreamBeginCapture_v2(void *stream, int mode);
int cuStreamBeginCapture_v2(void *stream, int mode) {
  (void)stream, (void)mode;
  if (driver.captured) return INVALID;
  driver.captured = calloc(1, sizeof *driver.captured);
  driver.captured->end = &driver.captured->first;
  return 0;
}

int cuStreamEndCapture(void *stream, void **graph);
int cuStreamEndCapture(void *stream, void **graph) {
  (void)stream;
  *graph = driver.captured;
  driver.captured = NULL;
  return *graph ? 0 : INVALID;
}

int cuGraphInstantiateWithFlags(void **exec, Launches *graph, unsigned long long flags);
int cuGraphInstantiateWithFlags(void **exec, Launches *graph, unsigned long long flags) {
  Launches *copy = malloc(sizeof *copy);
  (void)flags;
  *copy = *graph;
  graph->first = NULL;
  *exec = copy;
  return fails();
}

int cuGraphLaunch(Launches *exec, void *stream);
int cuGraphLaunch(Launches *exec, void *stream) {
  (void)stream;
  int status = fails();
  for (Launch *l = exec->first; l && !status; l = l->next) status = run(l);
  driver.graphs++;
  return status;
}

int cuGraphDestroy(Launches *graph);
int cuGraphDestroy(Launches *graph) {
  free(graph);
  return 0;
}

int cuGraphExecDestroy(Launches *exec);
int cuGraphExecDestroy(Launches *exec) {
  for (Launch *l = exec->first, *next; l; l = next) {
    next = l->next;
    free(l);
  }
  free(exec);
  return 0;
}
