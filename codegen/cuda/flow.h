/* flow.h - a stream while its text is written: what a block has of rows and columns, and who makes its products.
 * Inside codegen/cuda/ only. */
#ifndef NNC_CODEGEN_CUDA_FLOW_H
#define NNC_CODEGEN_CUDA_FLOW_H

#include "codegen/cuda/product.h"

typedef struct Rows { /* a member that is one value of a row */
  const char *name;   /* [rows of a thread] */
  const char *next;   /* a maximum's with this tile's columns */
} Rows;

typedef struct Units Units;

typedef struct Flow {
  Text *t;
  const Kernel *k;
  const Stream *stream;
  DType type;
  const char *name;            /* of the type */
  int rows, columns;           /* of a thread */
  int tile_rows, tile_columns; /* of a block */
  const char *row_at, *column_at,
      *free_at;       /* where a thread's row r, column c and result c of a row are in the tile */
  const char *sum_at; /* where row r, column c is in what a thread has of a product */
  int sharers;        /* neighbouring threads that have the columns of a row between them */
  const char *weight; /* the variable of row r, column c, where products with values take it */
  Slots batch, row, column;
  const char *m0, *c0; /* where the tiles begin */
  Product *product;    /* by member: one made here, or one with the columns' values */
  const char **sum;    /* by member: what a thread has of it */
  Rows *of_row;        /* by member */
  Units *units;        /* that multiply matrices; NULL: threads do */
} Flow;

const Member *flow_member(const Flow *f, int i);
bool is_of_row(const Flow *f, int i);       /* one value of a row */
bool is_made_here(const Flow *f, int i);    /* a product over the columns */
bool is_over_columns(const Flow *f, int i); /* sums of products with the columns' values */
/* e of member i's at the flow's indices. */
Expr *at_member(Flow *f, int i, Expr *e);
/* Forms for the slots of member i's node; those of a sum's own indices are in *own. */
Form **flow_slots(Flow *f, int i, Slots *own);
const char *flow_sum(Flow *f, int i); /* row r, column c of product i */
void flow_open_sum(Flow *f, int i);   /* 0, for all of a thread's */
/* What is made of a tile's columns once its products are there; `weights` of product i are then those of this tile.
 */
void flow_reduce(Flow *f);
void flow_weigh(Flow *f, int i, bool first);
/* `continue`, where the masks leave nothing of the tile of columns that begins at c0. */
void flow_skip(Flow *f, const char *c0);

/* ---- products by threads (flow_threads.c) ---- */
void threads_choose(Flow *f);
void threads_place(Flow *f); /* in shared memory */
void threads_run(Flow *f);   /* through the columns */
/* ---- products on units for matrices (flow_units.c) ---- */
bool units_choose(Flow *f); /* whether all products can be made so */
void units_place(Flow *f);
void units_run(Flow *f);

#endif
