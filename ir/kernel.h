/* kernel.h - the loops that both backends are given: what pass fuse and the scheduler make of a graph.
 *
 * A Schedule is a list of kernels in order and the buffers between them. A kernel has a *grid*: the result indices
 * that all its members share. Grid positions are independent of each other, so a kernel may be cut anywhere along the
 * grid: that is how threads share it, and why results do not depend on their number. Members run in order at each
 * grid position. */
#ifndef NNC_IR_KERNEL_H
#define NNC_IR_KERNEL_H

#include "ir/pass.h"

typedef enum KernelKind {
#define ROW(name, what) KERNEL_##name,
#include "ir/kernel.def"
#undef ROW
  KERNEL_COUNT
} KernelKind;
const char *kernel_kind_name(KernelKind k);

typedef enum BufferClass {
  BUFFER_input, /* bound by the caller before each run */
  BUFFER_param, /* lives with the weights */
  BUFFER_state,
  BUFFER_const, /* in the program's read-only data */
  BUFFER_arena  /* planned: offset in the graph's arena */
} BufferClass;

typedef struct Buffer {
  int id;
  BufferClass place;
  Node *node; /* the source, or the node whose value it holds (row-major, dense) */
  Dim *bytes;
  Dim *offset;     /* arena: a multiple of 64, by pass plan_memory */
  int first, last; /* kernels that write it first and read it last; outputs live to the end */
} Buffer;

typedef enum Storage {
  STORE_buffer,  /* written to `buffer` (and readable from there or from registers by later members at this position)
                  */
  STORE_row,     /* kept for this grid position only, one row: in scratch memory, or recomputed if that is cheaper */
  STORE_register /* one value at a grid position (a row reduction used only inside the group) */
} Storage;

typedef struct Member {
  Node *node;
  Storage storage;
  Buffer *buffer; /* STORE_buffer */
  int level;      /* 1 + the largest level of the reductions read: one loop over the row a level */
  int *grid_slot; /* for grid index k, the result slot of node that it is */
} Member;

/* sum over K of a * b. Slots are the node's; the last of m, n and k is the fastest running. a is over batch, m, k; b
 * over batch, k, n; both hold their guards (select ... 0). Swapped so that n is the result's fastest index where it
 * has one. */
typedef struct Contraction {
  Expr *a, *b;
  Expr *tile_mask; /* a condition on m and n (and k) together, or NULL */
  Expr *scale;     /* factors without a reduction index, in the finished value; or NULL */
  int nbatch, nm, nn, nk;
  int *batch, *m, *n, *k;
  int mr, nr;     /* register tile: rows, and columns in vectors */
  int kc, mc, nc; /* cache blocks, in elements */
} Contraction;

typedef struct Kernel {
  int id;
  KernelKind kind;
  const char *symbol; /* unique in the program; equal for kernels that are the same code (pass dedupe) */
  Span span;
  int ngrid;
  Dim **grid;
  Vec(Member)
      members; /* contraction: members.at[0] is the contraction, the rest its epilogue (maps over its result) */
  Contraction *contraction;
  Vec(Buffer *) operands; /* every buffer read or written, in the order the code gets their addresses */
  Dim *scratch;           /* bytes of scratch memory that one thread needs; the number 0 for none */
  Dim *units;             /* how many pieces the grid can be cut into (the backend's begin..end counts these) */
  int64_t grain;          /* units in one chunk: enough work to be worth a hand-over */
  Dim *work;              /* estimated nanoseconds on one thread */
  int vector;             /* out, by the backend: elements in a vector (1: scalar; `why` says why) */
  const char *why;
} Kernel;

typedef struct Schedule {
  Graph *graph;
  Arena *arena;
  Vec(Kernel *) kernels;
  Vec(Buffer *) buffers;
  Dim *arena_bytes;    /* the exact peak of BUFFER_arena */
  Vec(DimAtom *) dims; /* the graph's open dimensions, in the order in which kernels get their values */
} Schedule;

/* Fills s->dims from s->graph: the batch first, then symbols in the order of their first appearance. schedule() calls
 * it; calling it again changes nothing. */
void schedule_find_dims(Schedule *s);

typedef struct Target {
  int vector_bytes; /* 64 AVX-512, 32 AVX2, 16 SSE */
  int registers;    /* vector registers: 32 or 16 */
  bool fma;
  int64_t l1, l2; /* bytes */
} Target;

/* Groups, classifies, tiles (schedule.c) and places (plan_memory.c) what the pipeline left of g. The graph must hold
 * no grad. */
Schedule *schedule(Graph *g, const Target *t, Arena *a, int level);
void plan_memory(Schedule *s);
/* NULL, or a sentence on the first fault: an operand not written before it is read, live ranges that overlap in
 * memory, ... */
const char *schedule_verify(const Schedule *s);
/* One line a kernel: kind, grid, vector width, bytes moved, source line (--emit=kernels); buffers and peak
 * (--emit=plan). */
void schedule_print(Buf *out, const Schedule *s, const Sources *sources);
void plan_print(Buf *out, const Schedule *s);

#endif
