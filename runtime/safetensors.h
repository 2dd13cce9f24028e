/* safetensors.h - named tensors in one file: 8 bytes of little-endian header length, a JSON header, the tensors'
 * bytes. Reading checks everything before it allocates in proportion to a tensor: header length against the file,
 * types, shapes whose product fits, bytes that agree with the shape, offsets that cover the file without hole or
 * overlap, names and keys that stand once. The file stays mapped; tensors are read in place. Format:
 * https://github.com/huggingface/safetensors, README. */
#ifndef NNRT_SAFETENSORS_H
#define NNRT_SAFETENSORS_H

#include "runtime/dtype.h"
#include "runtime/error.h"
#include "runtime/file.h"

typedef struct NnrtTensor {
  const char *name;
  NnrtDtype dtype;
  int rank;
  int64_t shape[NNRT_MAX_RANK];
  const void *data; /* little endian, row-major; read from a file: possibly not aligned */
  int64_t bytes;
} NnrtTensor;

typedef struct NnrtMeta {
  const char *key, *value;
} NnrtMeta;

typedef struct NnrtSafetensors {
  NnrtFile file;
  const char *path;    /* the caller's */
  NnrtTensor *tensors; /* sorted by name */
  int n;
  NnrtMeta *meta; /* sorted by key */
  int n_meta;
  char *text; /* all names, keys and values */
} NnrtSafetensors;

/* NNRT_EDATA with "PATH: what is wrong". After a failure there is nothing to close. `path` is kept, not copied. */
int nnrt_safetensors_open(NnrtSafetensors *s, const char *path, NnrtError *e);
void nnrt_safetensors_close(NnrtSafetensors *s);

const NnrtTensor *nnrt_safetensors_find(const NnrtSafetensors *s, const char *name); /* NULL: none */
const char *nnrt_safetensors_meta(const NnrtSafetensors *s, const char *key);        /* NULL: none */

/* The metadata's whole number >= 0; `otherwise` if it is missing or not such a number. */
int64_t nnrt_safetensors_integer(const NnrtSafetensors *s, const char *key, int64_t otherwise);

/* Writes the file durably (nnrt_file_write). The bytes depend on nothing but the arguments' values: tensors go by
 * falling element size, then name; keys of the metadata by name; the header is padded with spaces so that tensors
 * start at a multiple of 8. NNRT_EINVAL if a name stands twice or a tensor's bytes do not agree with its shape. */
int nnrt_safetensors_write(const char *path, const NnrtTensor *tensors, int n, const NnrtMeta *meta, int n_meta,
                           NnrtError *e);

#endif
