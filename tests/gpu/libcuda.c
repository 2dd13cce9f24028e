/* libcuda.c - stands for the NVIDIA driver in tests: a module is a text, which the C compiler translates, and kernels
 * run in the simulator, one after the other.
 *
 * The device's memory cannot be touched but while a copy or a kernel goes: a program that takes a device's address
 * for its own is stopped. It begins as NaN. What a stream is asked for happens when streams.c says so; a copy between
 * the device and pinned memory, too. From other memory a copy is taken at once, and to it the host waits, as the
 * driver does.
 *
 *   SIMULATED_SEED        how threads go, and when what streams have happens; 0: in order, at once
 *   SIMULATED_FAIL=N      the Nth call that may fail does so
 *   SIMULATED_KERNEL=N    the Nth kernel fails while it runs, and the device is of no use after it
 *   SIMULATED_MEMORY=N    bytes that the device has
 *   SIMULATED_PINNED=N    bytes of the host's memory that can be pinned
 *   SIMULATED_ARCH=NN     its version; 90
 *   SIMULATED_DRIVER=N    its CUDA, 1000 * major + 10 * minor: it takes no code
 *   SIMULATED_COUNT=FILE  is told how often what was called */
#define _GNU_SOURCE /* dladdr */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "runtime/cuda.h"
#include "tests/gpu/races.h"
#include "tests/gpu/simulator.h"
#include "tests/gpu/streams.h"
#include "tests/gpu/translate.h"

enum {
  INVALID = 1,
  OUT_OF_MEMORY = 2,
  NO_BINARY = 209,
  UNSUPPORTED = 222,
  NOT_FOUND = 500,
  NOT_READY = 600,
  FAILED = 719
};
enum { PAGE = 4096, POISON = 0xff, MOST_THREADS = 1024, MOST_ARGUMENTS = NNRT_CUDA_ARGUMENTS };
enum { USUAL_SHARED = 48 << 10, MOST_SHARED = 99 << 10, MOST_SHARED_90 = 227 << 10 };

typedef unsigned long long Address;

typedef struct Block { /* of memory */
  struct Block *next;
  char *at;
  size_t bytes;
} Block;

static struct {
  Block *blocks, *pinned;
  uint64_t seed;
  size_t memory, taken, pinnable;
  int arch, calls, fails_at, kernel_fails;
  int launches, graphs, allocations, waits, pageable;
} driver;

/* ---- failures on demand ---- */

static void count_at_exit(void) {
  FILE *f = fopen(getenv("SIMULATED_COUNT"), "w");
  if (!f) return;
  fprintf(f, "launches %d\ngraphs %d\nallocations %d\nwaits %d\npageable %d\n", driver.launches, driver.graphs,
          driver.allocations, driver.waits, driver.pageable);
  fclose(f);
}

static int fails(void) {
  if (driver.fails_at && ++driver.calls == driver.fails_at) return FAILED;
  return streams_status();
}

/* ---- memory ---- */

static void open_memory(bool open) {
  for (Block *b = driver.blocks; b; b = b->next)
    if (mprotect(b->at, (b->bytes + PAGE) / PAGE * PAGE, open ? PROT_READ | PROT_WRITE : PROT_NONE)) abort();
}

/* Whether [at, at + n) lies in one block. */
static bool is_inside(const Block *blocks, const void *at, size_t n) {
  const char *first = at;
  for (const Block *b = blocks; b; b = b->next)
    if (first >= b->at && first + n <= b->at + b->bytes) return true;
  return false;
}

static bool is_device(Address at, size_t n) { return is_inside(driver.blocks, (void *)(uintptr_t)at, n); }

static Block *block_new(Block *next, size_t n, int protection) {
  Block *b = calloc(1, sizeof *b);
  size_t whole = (n + PAGE) / PAGE * PAGE;
  char *p = b ? mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) : MAP_FAILED;
  if (p == MAP_FAILED) return NULL;
  memset(p, POISON, whole);
  mprotect(p, whole, protection);
  *b = (Block){next, p, n};
  return b;
}

static int block_free(Block **first, const void *at) {
  for (Block **b = first; *b; b = &(*b)->next) {
    Block *old = *b;
    if (old->at != at) continue;
    *b = old->next;
    munmap(old->at, (old->bytes + PAGE) / PAGE * PAGE);
    free(old);
    return 0;
  }
  return INVALID;
}

int cuMemAlloc_v2(Address *at, size_t n);
int cuMemAlloc_v2(Address *at, size_t n) {
  int status = fails();
  if (status || streams_capture()) return status ? OUT_OF_MEMORY : INVALID;
  if (driver.memory && driver.taken + n > driver.memory) return OUT_OF_MEMORY;
  Block *b = block_new(driver.blocks, n, PROT_NONE);
  if (!b) return OUT_OF_MEMORY;
  driver.blocks = b;
  driver.taken += n;
  driver.allocations++;
  races_unwritten(b->at, n, simulated_tells());
  *at = (Address)(uintptr_t)b->at;
  return 0;
}

int cuMemFree_v2(Address at);
int cuMemFree_v2(Address at) {
  int status = stream_drain(NULL);
  size_t before = 0;
  for (Block *b = driver.blocks; b; b = b->next)
    if (b->at == (char *)(uintptr_t)at) before = b->bytes;
  driver.taken -= before;
  races_unwritten((void *)(uintptr_t)at, before, false);
  return status ? status : block_free(&driver.blocks, (void *)(uintptr_t)at);
}

int cuMemHostAlloc(void **at, size_t n, unsigned flags);
int cuMemHostAlloc(void **at, size_t n, unsigned flags) {
  (void)flags;
  int status = fails();
  if (status || streams_capture()) return status ? OUT_OF_MEMORY : INVALID;
  Block *b = n > driver.pinnable ? NULL : block_new(driver.pinned, n, PROT_READ | PROT_WRITE);
  if (!b) return OUT_OF_MEMORY;
  driver.pinnable -= n;
  driver.pinned = b;
  driver.allocations++;
  *at = b->at;
  return 0;
}

int cuMemFreeHost(void *at);
int cuMemFreeHost(void *at) {
  int status = stream_drain(NULL);
  return status ? status : block_free(&driver.pinned, at);
}

int cuMemGetInfo_v2(size_t *available, size_t *all);
int cuMemGetInfo_v2(size_t *available, size_t *all) {
  *all = driver.memory ? driver.memory : (size_t)1 << 36;
  *available = *all - driver.taken;
  return 0;
}

static int add_copy(char *to, const char *from, size_t n, void *stream, bool staged) {
  Operation *o = operation_new(COPY);
  o->to = to;
  o->from = from;
  o->bytes = n;
  if (staged) {
    if (!(o->owned = malloc(n + 1))) abort();
    memcpy(o->owned, from, n);
    o->from = o->owned;
  }
  return stream_add(stream_of(stream), o);
}

int cuMemcpyHtoDAsync_v2(Address to, const void *from, size_t n, void *stream);
int cuMemcpyHtoDAsync_v2(Address to, const void *from, size_t n, void *stream) {
  int status = fails();
  bool pinned = is_inside(driver.pinned, from, n);
  if (status || !is_device(to, n) || (!pinned && stream_of(stream)->captured)) return status ? status : INVALID;
  driver.pageable += !pinned;
  return add_copy((char *)(uintptr_t)to, from, n, stream, !pinned);
}

int cuMemcpyDtoHAsync_v2(void *to, Address from, size_t n, void *stream);
int cuMemcpyDtoHAsync_v2(void *to, Address from, size_t n, void *stream) {
  int status = fails();
  bool pinned = is_inside(driver.pinned, to, n);
  if (status || !is_device(from, n) || (!pinned && stream_of(stream)->captured)) return status ? status : INVALID;
  driver.pageable += !pinned;
  status = add_copy(to, (const char *)(uintptr_t)from, n, stream, false);
  return status || pinned ? status : stream_drain(stream_of(stream));
}

int cuMemcpyDtoDAsync_v2(Address to, Address from, size_t n, void *stream);
int cuMemcpyDtoDAsync_v2(Address to, Address from, size_t n, void *stream) {
  int status = fails();
  if (status || !is_device(to, n) || !is_device(from, n)) return status ? status : INVALID;
  return add_copy((char *)(uintptr_t)to, (const char *)(uintptr_t)from, n, stream, false);
}

int cuMemsetD32Async(Address to, unsigned value, size_t count, void *stream);
int cuMemsetD32Async(Address to, unsigned value, size_t count, void *stream) {
  int status = fails();
  if (status || !is_device(to, 4 * count) || to % 4) return status ? status : INVALID;
  Operation *o = operation_new(FILL);
  o->to = (char *)(uintptr_t)to;
  o->bytes = 4 * count;
  o->value = value;
  return stream_add(stream_of(stream), o);
}

/* ---- device, context ---- */

static long setting(const char *name, long usual) {
  const char *value = getenv(name);
  return value ? atol(value) : usual;
}

static int perform(Operation *o);

int cuInit(unsigned flags);
int cuInit(unsigned flags) {
  (void)flags;
  driver.seed = (uint64_t)setting("SIMULATED_SEED", 0);
  driver.fails_at = (int)setting("SIMULATED_FAIL", 0);
  driver.kernel_fails = (int)setting("SIMULATED_KERNEL", 0);
  driver.memory = (size_t)setting("SIMULATED_MEMORY", 0);
  driver.pinnable = (size_t)setting("SIMULATED_PINNED", INT64_MAX);
  driver.arch = (int)setting("SIMULATED_ARCH", 90);
  streams_begin(driver.seed, perform);
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

int cuDeviceGetAttribute(int *value, int attribute, int device);
int cuDeviceGetAttribute(int *value, int attribute, int device) {
  (void)device;
  *value = attribute == 75 ? driver.arch / 10 : attribute == 76 ? driver.arch % 10 : attribute == 16 ? 132 : 0;
  return 0;
}

int cuDeviceGetName(char *name, int n, int device);
int cuDeviceGetName(char *name, int n, int device) {
  snprintf(name, (size_t)n, "simulated GPU %d", device);
  return 0;
}

int cuDriverGetVersion(int *version);
int cuDriverGetVersion(int *version) {
  *version = (int)setting("SIMULATED_DRIVER", 0); /* 0: of no driver */
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
          : status == NO_BINARY   ? "no kernel image"
          : status == UNSUPPORTED ? "unsupported version"
                                  : "invalid value";
  return 0;
}

/* ---- modules ---- */

int cuModuleLoadData(void **module, const void *image);
int cuModuleLoadData(void **module, const void *image) {
  if (getenv("SIMULATED_DRIVER")) return UNSUPPORTED;
  const char *error = simulated_load(image, strlen(image), module);
  if (error) fprintf(stderr, "simulated driver: %s\n", error);
  return error ? NO_BINARY : 0;
}

int cuModuleUnload(void *module);
int cuModuleUnload(void *module) { return dlclose(module); }

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
  f->allowed = USUAL_SHARED;
  *function = f;
  return 0;
}

/* ---- launches ---- */

static int run(const Operation *o) {
  void **arguments = calloc((size_t)o->function->count, sizeof *arguments);
  for (int i = 0; i < o->function->count; i++) arguments[i] = &o->arguments[i];
  const SimulatedLaunch s = {.call = o->function->call,
                             .arguments = arguments,
                             .blocks = (int)o->blocks,
                             .threads = (int)o->threads,
                             .shared = o->shared,
                             .seed = driver.seed};
  const char *fault = simulate(&s);
  free(arguments);
  if (fault) fprintf(stderr, "simulated driver: %s\n", fault);
  return fault || ++driver.launches == driver.kernel_fails ? FAILED : 0;
}

/* What comes from elsewhere has a value, and what goes away should have one. */
static int copy(const Operation *o) {
  bool known = races_is_written(o->from, o->bytes);
  memmove(o->to, o->from, o->bytes);
  races_unwritten(o->to, o->bytes, false);
  if (!known) fprintf(stderr, "simulated driver: a copy of memory that nobody wrote\n");
  return known ? 0 : FAILED;
}

static int perform(Operation *o) {
  int status = 0;
  if (o->kind == GRAPH) return graph_perform(o->graph);
  open_memory(true);
  if (o->kind == FILL) races_unwritten(o->to, o->bytes, false);
  if (o->kind == LAUNCH) status = run(o);
  else if (o->kind == COPY) status = copy(o);
  else
    for (size_t i = 0; i < o->bytes; i += 4) memcpy(o->to + i, &o->value, 4);
  open_memory(false);
  return status;
}

int cuFuncSetAttribute(Function *f, int attribute, int value);
int cuFuncSetAttribute(Function *f, int attribute, int value) {
  if (attribute != 8 /* dynamic shared memory */) return 0;
  if (value < 0 || value > (driver.arch == 90 ? MOST_SHARED_90 : MOST_SHARED)) return INVALID;
  f->allowed = (unsigned)value;
  return 0;
}

int cuLaunchKernel(Function *f, unsigned x, unsigned y, unsigned z, unsigned tx, unsigned ty, unsigned tz,
                   unsigned shared, void *stream, void **arguments, void **extra);
int cuLaunchKernel(Function *f, unsigned x, unsigned y, unsigned z, unsigned tx, unsigned ty, unsigned tz,
                   unsigned shared, void *stream, void **arguments, void **extra) {
  (void)extra;
  int status = fails();
  if (status) return status;
  if (!x || y != 1 || z != 1 || !tx || tx > MOST_THREADS || tx % WARP || ty != 1 || tz != 1 || shared > f->allowed ||
      f->count > MOST_ARGUMENTS)
    return INVALID;
  Operation *o = operation_new(LAUNCH);
  o->function = f;
  o->blocks = x;
  o->threads = tx;
  o->shared = shared;
  if (!(o->arguments = calloc((size_t)f->count + 1, sizeof *o->arguments))) abort();
  for (int i = 0; i < f->count; i++) memcpy(&o->arguments[i], arguments[i], sizeof o->arguments[i]);
  return stream_add(stream_of(stream), o);
}

/* ---- streams, events ---- */

int cuStreamCreate(void **stream, unsigned flags);
int cuStreamCreate(void **stream, unsigned flags) {
  (void)flags;
  *stream = stream_new();
  return 0;
}

int cuStreamSynchronize(void *stream);
int cuStreamSynchronize(void *stream) {
  Stream *s = stream_of(stream);
  driver.waits++;
  if (s->captured) return INVALID;
  int status = stream_drain(s);
  return status ? status : fails();
}

int cuEventCreate(Event **event, unsigned flags);
int cuEventCreate(Event **event, unsigned flags) {
  (void)flags;
  *event = calloc(1, sizeof **event);
  return *event ? 0 : OUT_OF_MEMORY;
}

static int add_event(OperationKind kind, Event *event, void *stream) {
  Operation *o = operation_new(kind);
  o->event = event;
  return stream_add(stream_of(stream), o);
}

int cuEventRecord(Event *event, void *stream);
int cuEventRecord(Event *event, void *stream) { return add_event(RECORD, event, stream); }

int cuStreamWaitEvent(void *stream, Event *event, unsigned flags);
int cuStreamWaitEvent(void *stream, Event *event, unsigned flags) {
  (void)flags;
  return add_event(WAIT, event, stream);
}

int cuEventQuery(Event *event);
int cuEventQuery(Event *event) { return event->done < event->recorded ? NOT_READY : streams_status(); }

int cuEventSynchronize(Event *event);
int cuEventSynchronize(Event *event) {
  driver.waits++;
  return event_drain(event);
}

/* No time passes here. */
int cuEventElapsedTime(float *ms, Event *begin, Event *end);
int cuEventElapsedTime(float *ms, Event *begin, Event *end) {
  *ms = 1;
  return cuEventQuery(begin) ? cuEventQuery(begin) : cuEventQuery(end);
}

int cuEventDestroy_v2(Event *event);
int cuEventDestroy_v2(Event *event) {
  int status = event_drain(event);
  free(event);
  return status;
}

/* ---- graphs ---- */

int cuStreamBeginCapture_v2(void *stream, int mode);
int cuStreamBeginCapture_v2(void *stream, int mode) {
  (void)mode;
  if (!stream || streams_capture()) return INVALID;
  capture_begin(stream);
  return 0;
}

int cuStreamEndCapture(void *stream, void **graph);
int cuStreamEndCapture(void *stream, void **graph) {
  *graph = capture_end(stream);
  return *graph ? 0 : INVALID;
}

int cuGraphInstantiateWithFlags(Graph **exec, Graph *graph, unsigned long long flags);
int cuGraphInstantiateWithFlags(Graph **exec, Graph *graph, unsigned long long flags) {
  (void)flags;
  if (!(*exec = malloc(sizeof **exec))) return OUT_OF_MEMORY;
  **exec = *graph;
  graph->all.first = NULL;
  return fails();
}

int cuGraphLaunch(Graph *exec, void *stream);
int cuGraphLaunch(Graph *exec, void *stream) {
  int status = fails();
  if (status) return status;
  Operation *o = operation_new(GRAPH);
  o->graph = exec;
  driver.graphs++;
  return stream_add(stream_of(stream), o);
}

int cuGraphDestroy(Graph *graph);
int cuGraphDestroy(Graph *graph) {
  operations_free(&graph->all);
  free(graph);
  return 0;
}

int cuGraphExecDestroy(Graph *exec);
int cuGraphExecDestroy(Graph *exec) {
  stream_drain(NULL);
  return cuGraphDestroy(exec);
}
