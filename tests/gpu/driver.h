/* driver.h - a GPU, or what stands for one: the driver's library ($NN_LIBCUDA, else libcuda.so.1) and NVRTC, both
 * loaded when they are asked for. What fails ends the process with a sentence: a test has nothing else to do then. */
#ifndef NNC_TESTS_GPU_DRIVER_H
#define NNC_TESTS_GPU_DRIVER_H

#include <stddef.h>
#include <stdint.h>

#include "lang/arena.h"

typedef unsigned long long Address; /* on the device */

typedef struct Launch {
  const char *symbol;
  int blocks, threads, shared;
  void **arguments; /* addresses of them */
} Launch;

/* NULL, or why there is none. Done once. */
const char *device_open(void);
const char *device_arch(void); /* sm_90a */
int device_processors(void);
/* cuTensorMapEncodeTiled. */
typedef int DeviceEncode(void *, int, unsigned, void *, const uint64_t *, const uint64_t *, const unsigned *,
                         const unsigned *, int, int, int, int);
DeviceEncode *device_encode(void);
void device_describe(void); /* prints its name, architecture and driver */

/* NULL, or what NVRTC or the driver says. A module lives until device_unload. */
const char *device_load(Arena *a, const char *text, void **module);
void device_unload(void *module);

/* Memory that a part of known bytes follows, which nobody may write; it begins as NaN. */
Address device_memory(size_t bytes);
bool device_free(Address at, size_t bytes); /* whether nobody wrote behind it */
void device_write(Address to, const void *from, size_t bytes);
void device_read(void *to, Address from, size_t bytes);

/* NULL, or what the driver says. */
const char *device_launch(void *module, const Launch *l);
void device_start(void *module, const Launch *l); /* does not wait */

void *device_stream(void);
/* The least time, of `runs`, in milliseconds, that what `go` asks the stream for takes. */
double device_time_of(void (*go)(void *cx), void *cx, int runs);

#endif
