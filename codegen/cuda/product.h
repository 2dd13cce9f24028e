/* product.h - a contraction while its text is written: its indices by role, and the results that a thread has. Inside
 * codegen/cuda/ only. */
#ifndef NNC_CODEGEN_CUDA_PRODUCT_H
#define NNC_CODEGEN_CUDA_PRODUCT_H

#include "codegen/cuda/text.h"

enum { MAX_SLOTS = 64, SIDE = 16 /* threads of a tile without units */, SLICE = 16 /* of K */ };

typedef struct Slots { /* the indices of one role */
  int n;
  Var *var[MAX_SLOTS];
  Dim *extent[MAX_SLOTS];
  Dim *volume;
} Slots;

typedef struct Product {
  Text *t;
  const Contraction *c;
  const Node *node;
  const char *type;
  Form **at; /* by slot */
  Slots batch, m, n, k;
  int rows, columns; /* of a thread */
  int tile_m, tile_n;
  Expr *a, *b, *mask;  /* at the slots' indices; mask: of the tile, or NULL */
  const char *m0, *n0; /* where the tile begins, once it is open */
} Product;

/* tile_m and tile_n by the model of ir/gpu_tile.h. */
void product_choose_tile(Product *p, const int *lines_m, const int *lines_n, int edge);
typedef struct Slice { /* of one operand: [SLICE][lines] in shared memory */
  Expr *value;
  const Slots *line;
  const char *name, *first; /* line of the tile's beginning: a multiple of SIDE */
  int lines;
  int beside; /* a thread's lines are so many side by side, then others SIDE times as far on; 0: 1 */
} Slice;

/* By SIDE x SIDE threads: the slice from k0 on, a multiple of SLICE; and a thread's rows and columns of products of
 * two slices, added to sum[][]. */
void product_load(Product *p, const Slice *s, const char *k0);
void product_multiply(Product *p, const Slice *a, const Slice *b, const char *sum);
bool product_mask_uses_k(const Product *p);
/* A loop over the tiles of tile_m x tile_n that a block has, with m0 and n0 and the batch's indices: text_close ends
 * it. */
void product_tiles(Product *p);
/* sum[rows][columns]... = 0, where `name` is the element of row r and column c. */
void product_clear(Product *p, const char *name);
/* Where threads put a part of the tile's columns, to take the maps after the product side by side. */
typedef struct Stage {
  int threads;              /* that have these lines, and meet by `sync` */
  const char *thread;       /* number among them */
  const char *first, *sync; /* first: row of the tile that is theirs */
  int lines;
  int parts; /* all of the columns in so many: those of a thread are c / (columns / parts) == part */
  const char *memory;
} Stage;
/* As many parts as fit in `most` bytes of shared memory, at `memory`. */
Stage product_stage(const Product *p, int lines, int64_t most, const char *memory);
int64_t stage_bytes(const Product *p, const Stage *s);
/* The maps after the product, and stores: of each row r and column c of a thread, which are at m and n of the tile
 * without s->first; `sum` is the value there. m, n, sum: of r and c. */
void product_finish(Product *p, const Stage *s, const char *m, const char *n, const char *sum);
/* At the result's position: the sum v is masked, scaled, and the maps after it applied. What is stored, is; or the
 * one result that is, goes to the text `to`, unrounded. */
void product_results(Product *p, const char *v, const char *to);
/* The only member that is stored, where it takes so little that it is made of each sum in a thread's registers; else
 * NULL. */
const Member *product_direct(Product *p);
/* For each row r and column c of a thread, with m and n bound: closed by two text_close. */
void product_each(Product *p, const char *m, const char *n);

/* ---- on units for matrices (mma.c) ---- */
bool mma_takes(const Product *p);
void mma_text(Product *p);
/* ---- by groups of warps, on sm_90a (warpgroup.c): of those that mma takes ---- */
bool warpgroup_takes(const Product *p);
void warpgroup_text(Product *p);

#endif
