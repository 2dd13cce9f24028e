/* array.h - a dense array of a file, read in place: what npy.c and idx.c give. */
#ifndef NNRT_ARRAY_H
#define NNRT_ARRAY_H

#include "runtime/dtype.h"
#include "runtime/file.h"

typedef struct NnrtArray {
  NnrtFile file;
  NnrtDtype dtype;
  int rank;
  int64_t shape[NNRT_MAX_RANK];
  int64_t count; /* elements */
  const void *data;
  bool swap;    /* elements are big endian */
  bool fortran; /* the first index is the fastest */
} NnrtArray;

void nnrt_array_close(NnrtArray *a);

/* Elements [first, first + n) in row-major order, converted (nnrt_convert); returns n, or which element was refused.
 */
int64_t nnrt_array_read(const NnrtArray *a, int64_t first, int64_t n, NnrtDtype t, void *to);

/* NumPy's format 1.0, 2.0 and 3.0. NNRT_EDATA with "PATH: what is wrong"; after a failure nothing is to be closed.
 * Checked: magic, the header's length, its dictionary (three keys, each once), type, shape whose product fits, bytes
 * that the file has. Format: numpy.lib.format. */
int nnrt_npy_open(NnrtArray *a, const char *path, NnrtError *e);

/* Writes `data` (row-major, native order) as version 1.0, durably. bf16, which NumPy lacks, is written as f4. */
int nnrt_npy_write(const char *path, NnrtDtype t, int rank, const int64_t *shape, const void *data, NnrtError *e);

/* The header of such a file: multiple of 64 bytes, at most 256. Returns its length. */
size_t nnrt_npy_header(char header[256], NnrtDtype t, int rank, const int64_t *shape);

/* MNIST's format: 0 0 TYPE RANK, big-endian extents of 32 bits, big-endian elements
 * (http://yann.lecun.com/exdb/mnist). */
int nnrt_idx_open(NnrtArray *a, const char *path, NnrtError *e);

#endif
