/* slice.h - operands of a product on their way to shared memory: slices of K, each by the widest way that the
 * operand's map allows. Inside codegen/cuda/ only. */
#ifndef NNC_CODEGEN_CUDA_SLICE_H
#define NNC_CODEGEN_CUDA_SLICE_H

#include "codegen/cuda/product.h"

enum { ROW = 128 /* bytes of a tile's row */, CHUNK = 16, WORD = 4, STEPS = 4 /* of K in a row, two chunks each */ };

typedef enum Way {           /* how an operand comes */
                   BY_VALUE, /* threads compute it, a word of one or two elements at a time */
                   BY_WORD,  /* copies of a word */
                   ALONG_K,  /* copies of a chunk, which is of one line */
                   ACROSS_K  /* copies of a chunk, which is of one step of K */
} Way;

/* A tile of an operand: a row for each line, whose elements are of K; across K a row for each step of K, whose
 * elements are of 64 lines, and such panels one after the other. */
typedef struct Operand {
  Expr *value;
  const Slots *line;
  const char *name, *first; /* line of the tile's beginning */
  int lines;                /* of the tile */
  Way way;
  bool lines_first; /* neighbouring threads take neighbouring lines */
} Operand;

typedef struct Slices {
  Product *p;
  DType type;  /* of the factors; f32: tf32 */
  int steps;   /* of K in a slice */
  int threads; /* that bring them */
  bool tight;  /* there are few registers for it: one piece after the other */
  bool brings; /* its threads do nothing else, and have few registers: one copy after the other, which none waits for
                */
  Operand a, b;
} Slices;

/* What both factors are values of, and units for matrices take; f64: nothing of the kind. */
DType product_factors(const Product *p);
/* Of a, b: tiles of p->tile_m and p->tile_n lines. */
Slices slices_of(Product *p, int threads);
bool slice_is_copied(const Operand *o);
/* The fragments of 16 lines each that units take at a step of the slice in `tile`, into NAME[lines / 16][4]: of a, of
 * lines from `first` on, 16 rows; of b, two of 8 columns. spread: columns 0, 4, 1, 5, ... of each 8, so that what a
 * thread gets of their sums is at t and t + 4, as it has to be in a fragment of tf32's rows. */
void slice_fragments(const Slices *x, const Operand *o, const char *tile, const char *first, int lines,
                     const char *step, bool spread);
/* sum[i][j] += of fragments left[i], right: the instruction's name. */
const char *slice_products(const Slices *x);
/* All threads begin to bring slice `number` to the tile `to`. */
void slice_begin(const Slices *x, const Operand *o, const char *number, const char *to);
/* Whether o comes in boxes (box.c): then how. The coordinates are those of slice `slice` of the open tile. */
bool box_of(const Slices *x, const Operand *o, CudaMap *map);
/* The same of a member's results: boxes of `lines` rows from the text `first` on, and of 128 bytes from `column` on.
 */
bool box_of_result(const Product *p, const Member *m, int lines, const char *first, const char *column, CudaMap *map);
const char *slices_count(const Slices *x);

#endif
