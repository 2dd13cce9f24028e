/* kernel.h - the loops that both backends are given: what pass fuse and the scheduler make of a graph.
 *
 * A Schedule is a list of kernels in order and the buffers between them. A kernel has a *grid*: the result indices
 * that all its members share. Grid positions are independent of each other, so a kernel may be cut anywhere along the
 * grid: that is how threads share it, and why results do not depend on their number. Members run in order at each
 * grid position.
 *
 * What each kind's members are, with n = ngrid, and "row indices" those result indices of a member that are not in
 * the grid:
 *
 * map: maps of rank n, grid_slot[k] = k. A member reads others at its own position only. Where every member leaves in
 * its buffer what is there unless a condition holds, positions without it may be passed over (kernel_condition).
 *
 * row, column: reductions of rank n (over their reduction indices), maps of rank n (one value at a position), and
 * maps over the row (rank > n), sorted by level. A level is one loop over the row for its reductions and maps over
 * the row; its maps of rank n are plain values. Reads of another member have its grid indices at this position. A
 * column kernel is vectorised along grid index n-1, a row kernel along the fastest reduction or row index.
 *
 * row only: *sums over positions* (Member.summed): sums over grid indices that keep the row's. To the kernel such a
 * member is a map over the row whose elements are added to its buffer, which the first position of a unit begins;
 * no member reads it. Each of its results belongs to one unit, whose positions are in order.
 *
 * window: as column; the reduction indices are numbers of few values, so that backends write a copy of the bodies for
 * each of these.
 *
 * full: n = 0, reductions to one value and maps of rank 0, sorted by level.
 *
 * contraction: members.at[0] is the contraction, the others are maps over its result (rank n, grid_slot[k] = k),
 * which read it and each other at their own position only. Or several contractions come first (Kernel.beside), of
 * rank n and with the same roles of result indices, which do not read each other, and each map is over one of them
 * (member_product): they write every other element of the same lines of memory, so one kernel makes all.
 *
 * scatter: one member; a unit zeroes its rows of the buffer, goes through all sources and adds those that fall there,
 * in order.
 *
 * sort: one member, of rank n + 1; a grid position is a row that is put in order. Scratch: 40 bytes for each element
 * of the row, of which the last 8 are for its key.
 *
 * stream: a grid position is a row of a product and of what is made of it (Stream). Members are sums of products and
 * maps over the row, in rank order of need; reductions of the row, of rank n; and sums of products over the row,
 * whose results may have indices of their own. Rows of a block are made at once, by one backend as a list of kernels
 * that each do all of the block's rows (Stream.steps), by another in one pass over the row's columns.
 *
 * A member that is a Part writes into its whole's buffer, wherever that says; the whole's other parts may be other
 * kernels', and no kernel makes the whole.
 *
 * Loops: kernels of a loop of the graph have its steps as their first grid indices and are run for the units of one
 * step at a time. A carry's buffer is written row by row, by members that are parts of it.
 *
 * In-place updates: a member's `buffer` may be that of a param or state that it and members before it read, or lie
 * over that of an operand (Buffer.over). All such reads are at the position (in the grid and the row) that is
 * written, or in an earlier level: load before you store. Parts of a body without an index (a learning rate's
 * correction) are worth computing once, outside the loops. */
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
  BUFFER_arena, /* planned: offset in the graph's arena */
  BUFFER_tile   /* of a stream's steps: the rows of a block, at an offset in the thread's scratch memory */
} BufferClass;

typedef struct Buffer {
  int id;
  BufferClass place;
  Node *node; /* the source, or the node whose value it holds (row-major, dense), which may be a whole of parts; of
                 one that is computed again there are several */
  Dim *bytes;
  Dim *offset;     /* arena: a multiple of 64, by pass plan_memory; tile: likewise */
  int first, last; /* kernels that write it first and read it last; outputs live to the end, what a loop uses to the
                    * loop's end */
  struct Buffer *over; /* its memory is this one's, which dies in the kernel that writes it; NULL: its own */
} Buffer;

/* A node whose value is made inside another's memory: its element i is element at(i) of `whole`. Of a concatenation,
 * of the residue classes of a strided convolution's derivative, ... (assemble.c). `whole` is never a part; `node` may
 * be a whole whose own parts are listed too. */
typedef struct Part {
  Node *node, *whole; /* the whole has no kernel, or is the buffer's node */
  Form **at;          /* by the whole's dimension, over node's result indices */
} Part;

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
  Dim *offset;    /* STORE_row: place of the row in the thread's scratch memory, a multiple of 64 bytes */
  int level;      /* 1 + the largest level of the reductions read: one loop over the row a level */
  int *grid_slot; /* for grid index k, the result slot of node that it is; of a sum over positions perhaps the slot of
                     a reduction index */
  bool summed;    /* a sum over the positions of a unit */
  int block_slot; /* summed: the result slot that is a unit's number along index `cut`, whose position is `block`
                     times that and slot grid_slot[cut]; -1: none */
} Member;

/* sum over K of a * b. Slots are the node's; the last of m, n and k is the fastest running. a is over batch, m, k; b
 * over batch, k, n; both hold their guards (select ... 0). n has the result's fastest index where it has one; or m
 * has it, where b would have to be transposed (tile.c): then the finished result is. */
typedef struct Contraction {
  Expr *a, *b;
  Expr *tile_mask; /* a condition on m and n (and k) together, or NULL */
  Expr *scale;     /* factors without a reduction index, in the finished value; or NULL */
  int nbatch, nm, nn, nk;
  int *batch, *m, *n, *k;
  int mr, nr;  /* register tile: rows, and columns in vectors */
  int last_nr; /* vectors of the last columns' tiles: nr where these are as all others, whose lanes are then masked */
  /* Blocks: mc rows, nc columns; of K, ranges of k_block along index k[k_cut], with one value of the indices before
   * it and all of those after it (k_cut 0 and the whole extent: K is one block). */
  int k_cut, k_block, mc, nc;
} Contraction;

typedef struct KernelGuard { /* a scalar bool; the kernel is left out where it is another */
  int operand;
  bool value;
} KernelGuard;

typedef struct Kernel Kernel;

typedef struct StreamStep { /* units u * blocks .. of the step are the rows of unit u of the stream */
  Kernel *kernel;
  int *operand; /* by the step's operand: the stream's that it is, or -1: a tile */
  Dim *blocks;
} StreamStep;

/* How a stream's member that is summed over the columns takes its terms in one pass over these (stream.h). */
typedef struct StreamTerms {
  const Node *max; /* its terms wait for this one; NULL: for none */
  Expr *by;
  Expr *term, *scale; /* scale: beside that of a contraction, or NULL */
} StreamTerms;

/* What a kernel makes of rows that are never in memory all at once. The grid is the batch and the row; the columns
 * are the other result indices of members over the row, and the reduction indices of those that reduce it. */
typedef struct Stream {
  int rows; /* of a block: Kernel.block */
  Vec(StreamStep) steps;
  Vec(Buffer *) tiles;
  StreamTerms *terms;         /* by member */
  Contraction **contractions; /* by member; NULL: it is none */
} Stream;

struct Kernel {
  int id;
  KernelKind kind;
  const char *symbol; /* unique in the program; equal for kernels that are the same code (pass dedupe) */
  Span span;
  int ngrid;
  Dim **grid;
  Vec(Member)
      members; /* contraction: members.at[0] is the contraction, the rest its epilogue (maps over its result) */
  Contraction *contraction;
  Vec(Contraction *) beside; /* those of members 1 .. beside.n; with the first one's tiles and blocks of rows and
                                columns, and K in one block */
  Vec(Buffer *) operands;    /* every buffer read or written, in the order the code gets their addresses */
  Vec(KernelGuard) guards;   /* its results are read nowhere, and its next values are the old ones, unless all hold */
  Dim *scratch;              /* bytes of scratch memory that one thread needs; the number 0 for none */
  /* The pieces that the grid can be cut into; the backend's begin..end counts these, row-major. All kinds but
   * contraction and full: the positions of grid indices 0 .. cut-1, times blocks of `block` positions of
   * index `cut` (the last may be short); a unit holds all of the indices after `cut`. cut < ngrid, or 0 where ngrid
   * is 0. contraction: positions of the batch indices, times blocks of mc rows (m flattened), times blocks of nc
   * columns (n flattened). full: 1. */
  Dim *units;
  Dim *step_units; /* of one step: unit number / step_units is the position of the loops' steps */
  int times;       /* grid indices that are steps of loops: the first ones, before `cut` where there are others */
  int loop;        /* of the schedule's, the innermost around it; -1: none */
  Scan *scan;      /* the same in the graph */
  int cut;
  int64_t block;
  int taps;  /* of a row kernel: its last grid indices, of few values, whose positions share what they read and had
                better be done together, in one loop over the row; all after `cut` */
  bool sums; /* some members are sums over positions, which decide cut and block */
  int64_t grain;   /* units in one chunk: enough work to be worth a hand-over */
  Dim *work;       /* estimated nanoseconds on one thread */
  int vector;      /* out, by the backend: elements in a vector (1: scalar; `why` says why) */
  const char *why; /* also of a kernel in vectors that is not done as its kind would be */
  Stream *stream;  /* KERNEL_stream */
};

/* Kernels first .. last, run in order once for each step; loops inside it come later in the schedule's list. The
 * steps of a loop in a loop are counted on: at step s of the outer one they are s * steps .. s * steps + steps - 1.
 */
typedef struct KernelLoop {
  int up; /* -1: none */
  int first, last;
  Dim *steps;
  bool down;
  const Scan *scan; /* the same in the graph */
} KernelLoop;

typedef struct Schedule {
  Graph *graph;
  Arena *arena;
  int level;      /* of optimisation */
  int processors; /* of the GPU for which tiles are chosen; 0: as many as an H100 has */
  bool tf32;      /* products of f32 may round their factors to 11 binary digits, where that is fast */
  Vec(Kernel *) kernels;
  Vec(Buffer *) buffers;
  Buffer **buffer_of; /* by node id, for schedule_buffer; NULL: none */
  Vec(Part) parts;
  Vec(KernelLoop) loops;
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
  bool gpu;       /* kernels run on a GPU, too: none has contractions side by side */
} Target;

/* Bytes that stay in the second cache while as much again, nearly, passes by. */
static inline int64_t target_stays(const Target *t) { return t->l2 / 8 * 5; }

/* Groups, classifies, tiles (schedule.c) and places (plan_memory.c) what the pipeline left of g. The graph must hold
 * no grad. */
Schedule *schedule(Graph *g, const Target *t, Arena *a, int level);
void plan_memory(Schedule *s);
/* Lives, values in place, and places, again for the kernels and operands as they are now. */
void schedule_plan(Schedule *s);
/* NULL, or a sentence on the first fault: an operand not written before it is read, live ranges that overlap in
 * memory, ... */
const char *schedule_verify(const Schedule *s);
/* The buffer that holds n's value after the run: of a source, an output, or a value that some kernel stores; NULL for
 * a value that is never in memory. An output's buffer is in the arena, or a param's or state's where it is also that
 * one's next value. */
Buffer *schedule_buffer(const Schedule *s, const Node *n);
Member *kernel_member(const Kernel *k, const Node *n); /* NULL: n is none of k's */
bool kernel_writes(const Kernel *k, const Buffer *b);
/* The buffer in which kernel k reads or writes n: where n is computed again, k's operands say which. NULL: none. */
Buffer *kernel_buffer(const Schedule *s, const Kernel *k, const Node *n);
/* Grid index i of k as member m has it, over its node's indices: a read by m that has this form there is at m's own
 * position. */
Form *member_grid_form(Graph *g, const Kernel *k, const Member *m, int i);
/* Where in that buffer n's elements lie; NULL: densely, in n's own order. */
const Part *schedule_part(const Schedule *s, const Node *n);
Node *schedule_carry(const Schedule *s, const Node *n); /* the carry whose rows n is; NULL: of none */
/* ---- members at a position (members.c) ---- */

int reducer_width(Reducer r);         /* accumulators that it needs: 1, or 2 with a position */
bool member_reduces(const Member *m); /* to a value of its position; a sum over positions does not */
int member_grid_index(const Kernel *k, const Member *m, int slot); /* that the slot is; -1: none */
bool member_in_row(const Kernel *k, const Member *m, int slot);
int member_row_rank(const Kernel *k, const Member *m); /* 0: one value at a position */
Dim **member_row_extents(Arena *a, const Kernel *k, const Member *m);
bool member_reads(const Member *reader, const Node *node);
/* The condition, over the grid's indices as slots, without which map k changes nothing at a position. NULL: none. */
Expr *kernel_condition(const Schedule *s, const Kernel *k);
int member_product(const Kernel *k, int member); /* of a contraction kernel: which of its contractions, by member, the
                                                    member is, or finishes */
/* Forms for all slots of m's node: the grid's, and row[] for the others in order; NULL where row is. */
Form **member_slots(Ir *ir, Arena *a, const Kernel *k, const Member *m, Form **grid, Form **row);
Form **fresh_forms(Ir *ir, Arena *a, int n, Dim **extent); /* an index of its own for each */
/* With the slots of the node that it belongs to replaced: at[slot]. */
Expr *expr_at_slots(Ir *ir, Expr *body, Form **at);
Form *form_at_slots(Ir *ir, Form *f, Form **at);
/* Whose dimensions element n[at...] is addressed by: n's own, or those of the whole that n is a part of. Of a folded
 * one the row is that in memory. */
const Node *schedule_layout(const Schedule *s, const Node *n, Form ***at);
/* Members that share one loop over the row, in order: they read each other only at the element just computed. Without
 * a row: one plain value. */
typedef struct RowLoop {
  int *members, n;
  int nd; /* the row's indices; 0: a plain value */
  Dim **extent;
} RowLoop;
typedef Vec(RowLoop) RowLoops;
/* In the order in which a position runs them. A loop has at most so many members, and accumulators of reductions. */
RowLoops kernel_row_loops(const Schedule *s, const Kernel *k, int most_members, int most_accumulators);

/* One line a kernel: kind, grid, vector width, bytes moved, source line (--emit=kernels); buffers and peak
 * (--emit=plan). */
void schedule_print(Buf *out, const Schedule *s, const Sources *sources);
void plan_print(Buf *out, const Schedule *s);
/* Its kernels and what goes between them, as cluster `number` of a graph for Graphviz (--emit=dot). */
void schedule_dot(Buf *out, const Schedule *s, int number, const Sources *sources);

#endif
