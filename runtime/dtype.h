/* dtype.h - element types: their sizes and names (dtype.def), and conversion between them. */
#ifndef NNRT_DTYPE_H
#define NNRT_DTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum NnrtDtype {
#define ROW(id, name, bytes, class, safetensors, npy) NNRT_##id,
#include "runtime/dtype.def"
#undef ROW
  NNRT_DTYPE_COUNT
} NnrtDtype;

enum { NNRT_MAX_RANK = 8 };

typedef struct NnrtDtypeInfo {
  const char *name, *safetensors, *npy; /* npy: NULL where NumPy has no such type */
  int bytes;
  char class; /* f i u b */
} NnrtDtypeInfo;

const NnrtDtypeInfo *nnrt_dtype(NnrtDtype t);

/* The type of a name ("f32"), of a safetensors name ("F32"); NNRT_DTYPE_COUNT where there is none. */
NnrtDtype nnrt_dtype_named(const char *name);
NnrtDtype nnrt_dtype_safetensors(const char *name);

/* The number of elements of a shape, and its bytes; false where the product does not fit in 63 bits or an extent is
 * negative. A shape with a 0 has 0 elements however large the others are. */
bool nnrt_shape_count(const int64_t *shape, int rank, int64_t *count);
bool nnrt_shape_bytes(const int64_t *shape, int rank, NnrtDtype t, int64_t *bytes);

/* Writes "[3, 4]" into text, "[]" for a scalar; returns text. */
char *nnrt_shape_text(const int64_t *shape, int rank, char *text, size_t room);

/* Converts n elements from `from` (unaligned, bytes reversed where `swap`) to `to`.
 * Floats may be rounded (to nearest even) and integers may become the nearest float; but what would lose meaning is
 * refused: a fraction, a NaN or a value outside the range for an integer, a finite value that would be infinite,
 * anything but 0 and 1 for a bool. Returns n, or the index of the first element that was refused. Aliasing: none. */
int64_t nnrt_convert(NnrtDtype from_type, const void *from, bool swap, NnrtDtype to_type, void *to, int64_t n);

/* The place of the first of n integers that is not in 0..bound-1, and its value; -1: all are. A bound of 0 is none.
 */
int64_t nnrt_outside(NnrtDtype t, const void *values, int64_t n, int64_t bound, int64_t *value);

/* One element as a double, for messages. */
double nnrt_element(NnrtDtype t, const void *at, bool swap);

float nnrt_f16_to_f32(uint16_t h);
uint16_t nnrt_f64_to_f16(double x);
uint16_t nnrt_f64_to_bf16(double x);

#endif
