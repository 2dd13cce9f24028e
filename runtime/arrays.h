/* arrays.h - what readers of files that hold arrays share: one array a column, its first dimension counting the
 * examples; a scalar is one example. */
#ifndef NNRT_ARRAYS_H
#define NNRT_ARRAYS_H

#include "runtime/array.h"
#include "runtime/safetensors.h"
#include "runtime/source.h"

typedef struct NnrtArrays { /* a reader's own */
  NnrtArray *at;            /* of each file of the source */
  int64_t rows;             /* of each that is read; the source's examples may be windows of them */
  NnrtSafetensors tensors;  /* where they are in, if they have no files of their own */
} NnrtArrays;

typedef int NnrtOpenArray(NnrtArray *a, const char *path, NnrtError *e);

int64_t nnrt_arrays_examples(const NnrtArray *a);

/* Opens a file for each column. */
int nnrt_arrays_open(NnrtSource *s, NnrtOpenArray *open, NnrtError *e);
void nnrt_arrays_close(NnrtSource *s);
int nnrt_arrays_view(const NnrtSource *s, const NnrtColumn *c, NnrtView *v, NnrtError *e);
int nnrt_arrays_read(const NnrtSource *s, const NnrtView *v, int64_t first, int64_t n, NnrtDtype t, void *to,
                     NnrtError *e);
void nnrt_arrays_place(const NnrtSource *s, const NnrtView *v, int64_t example, int64_t i, char text[256]);

#endif
