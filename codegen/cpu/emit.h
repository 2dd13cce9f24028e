/* emit.h - a kernel's function while it is written: scopes, indices, expressions, loops.
 *
 * All code is made at a *position*: every index that a body uses is bound to a number, or to one number for each
 * lane. Members' own indices are first replaced by forms over the kernel's loop indices (emit_at); affine.c then
 * cancels what collapses, so a contiguous walk over two dimensions is seen as one.
 *
 * Scopes are nested like the loops. An expression is emitted in the outermost scope that binds all it uses, once, so
 * what does not change in a loop stands before it. A loop that may run no times has a block of its own for that,
 * behind its test: nothing is computed, and no memory read, for a loop that does not run.
 *
 * Laziness: no code branches on a value. A read that a `select` protects is a masked load under that condition; one
 * that is proved to lie inside its tensor is a plain load. */
#ifndef NNC_CODEGEN_CPU_EMIT_H
#define NNC_CODEGEN_CPU_EMIT_H

#include "codegen/cpu/math.h"

enum { MAX_STEP = 4 }; /* elements that far apart are loaded and stored by shuffles; further, one by one */

typedef struct Lanes { /* an integer for each lane: base + step * lane, or a vector (then base is NULL) */
  Value base;          /* scalar i64 */
  int64_t step;
  Value vector; /* i32 or i64 lanes */
} Lanes;

typedef struct Mask { /* lanes in which a read is needed */
  Value value;        /* i1, scalar or vector */
  int depth;          /* scope in which it is known */
  struct Mask *outer;
  Value condition; /* what it was made of, to find it again */
  bool negated;
  Value part[MAX_STEP + 1][MAX_STEP]; /* by step: of each of the vectors that hold elements so far apart */
} Mask;

typedef struct Bound {
  Var *var;
  Lanes value;
  int depth;
} Bound;

typedef struct Memo { /* what was emitted: a form's lanes or an expression's value */
  const void *key;
  const Mask *mask;
  Lanes lanes;
  Value value;
  int depth;
} Memo;

typedef struct Kept { /* a member's row in scratch memory */
  Node *node;
  Value base;
  bool *is_grid; /* by result slot: not a dimension of the row */
  int lanes;     /* 0, or each element is a vector of so many grid positions */
} Kept;

enum {
  SCOPES = 32,
  DEPTHS = 4096,
  ALIGNED = 4,
  ENTRY = -1 /* a memo's depth: the function's first block, before every scope */
};

typedef struct Emit {
  Build b; /* first: a Build of this function */
  CpuModule *m;
  const Schedule *s;
  Kernel *k;
  Ir *ir;
  Arena *arena;
  int lanes; /* of a vector in this kernel */
  Value begin, end, scratch, dims;
  Value *operands;
  LLVMBasicBlockRef entry;
  LLVMBasicBlockRef scopes[SCOPES]; /* where each scope's code goes next */
  int depth, grid_depth;            /* of the scope that is open; of one grid position */
  Value tail;                       /* lanes that exist; NULL: all */
  int tail_depth;                   /* scope in which it is known; 0: nobody says */
  const Var *aligned[ALIGNED];      /* indices in lanes whose first lane is a multiple of the lanes */
  int naligned;
  Vec(Bound) bound;
  Vec(Memo) memo;
  Vec(Mask *) masks;
  Vec(Kept) kept;
  Value spare; /* memory to read where a masked scalar read has nothing to read */
  unsigned generation;
  struct {
    const void *key;
    unsigned generation;
    int depth;
  } depths[DEPTHS];
  int64_t scratch_bytes, scratch_times; /* as in CpuKernelDone */
  const char *why;                      /* why something is not in vectors; NULL */
  const char *note;                     /* why it is in vectors, but not as its kind would be; NULL */
} Emit;

/* ---- scopes and positions (emit_expr.c) ---- */
void emit_enter(Emit *e, int depth);          /* the builder goes to the end of that scope */
void emit_bind(Emit *e, Var *v, Lanes value); /* in the current scope */
int emit_mark(const Emit *e);
void emit_forget(Emit *e, int mark, int depth,
                 bool all); /* memo entries since mark: those of scopes >= depth, or all */

Value emit_dim(Emit *e, Dim *d); /* i64 */
Lanes emit_form(Emit *e, Form *f);
Value emit_expr(Emit *e, Expr *x); /* under e->tail */
/* x where `condition` holds, whatever elsewhere; *holds: where that is. */
Value emit_under(Emit *e, Expr *condition, Expr *x, Value *holds);
void emit_known(Emit *e, Expr *x, Value v); /* x has value v, here and in the scopes inside */
Lanes lanes_scalar(Value v);
Lanes lanes_from(Emit *e, Value base, int64_t step);
Value lanes_vector(Emit *e, Lanes l, Type element); /* of e->lanes */

/* body with its node's slots replaced: at[slot]. */
Expr *emit_at(Emit *e, Expr *body, Form **at);
/* Position of node[at...] in its memory as one form over the loop indices, where all strides are numbers; else NULL.
 */
Form *flat_address(Emit *e, const Node *n, Form **at);
/* That position, whatever the strides are. */
Lanes emit_element(Emit *e, const Node *n, Form **at);
/* All lanes of the form lie between the same two multiples of c, for where one begins so does a vector. */
bool emit_stays_between_multiples(Emit *e, const Form *f, int64_t c);
bool form_divides(const Form *f, const Var *v); /* v is below a division (or in data) */

/* Where a node's value is: its operand's address; ice() if it is none. */
Value emit_operand(Emit *e, const Buffer *b);
Value emit_load(Emit *e, Value pointer, DType t, Lanes at, const Mask *needed);
void emit_store(Emit *e, Value pointer, DType t, Lanes at, Value v);
/* Stores v at node[at...] in buffer. */
void emit_store_at(Emit *e, const Buffer *buffer, const Node *n, Form **at, Value v);

/* ---- loops (emit_loop.c) ---- */
enum { ACCUMULATORS = 64 };
typedef struct Loop {
  LLVMBasicBlockRef guard, before, body, exit;
  Value index, limit, init[ACCUMULATORS], phi[ACCUMULATORS], out[ACCUMULATORS];
  int64_t step;
  Value advance; /* set in the body: how far its next round is; NULL: step */
  int64_t trips; /* about how often it goes round; 0: not known */
  int n, mark, bound;
} Loop;
/* for (index = from; index < to; index += step), carrying n values. The body is a scope. */
void loop_open(Emit *e, Loop *l, Value from, Value to, int64_t step, const Value *init, int n);
void loop_close(Emit *e, Loop *l, const Value *next);

/* for each vector of positions v in [from, to): body(cx, carried values, instance). In the main loop `unroll`
 * instances follow each other; the rest are one at a time, under e->tail (as instance 0). carried: n values for each
 * instance. */
typedef void (*LaneBody)(Emit *e, void *cx, Value *carried, int instance);
void lane_loop(Emit *e, Var *v, Value from, Value to, int unroll, Value *carried, int n, LaneBody body, void *cx);
/* The same for single positions in [0, to). */
void row_loop(Emit *e, Var *v, Value to, int unroll, Value *carried, int n, LaneBody body, void *cx);

/* body(cx) behind a branch on a scalar condition; NULL: always. */
void emit_if(Emit *e, Value condition, void (*body)(void *cx), void *cx);

/* ---- reductions (emit_reduce.c) ---- */
void reduce_init(Emit *e, const Node *n, Value *acc); /* one of e->lanes for each lane */
/* acc takes x, which is at `position` (i32 lanes; for argmax and argmin) in the reduction, further than all that it
 * took before; only in the lanes of mask, if there is one. */
void reduce_step(Emit *e, const Node *n, Value *acc, Value x, Value position, Value mask);
void reduce_join(Emit *e, const Node *n, Value *acc, const Value *other);
void reduce_lanes(Emit *e, const Node *n, Value *acc); /* across the lanes, in a fixed tree: acc become scalars */
Value reduce_value(Emit *e, const Node *n, const Value *acc); /* the node's value */

/* ---- kinds of kernel ---- */
int count_nodes(Expr *x); /* distinct subexpressions */
/* Registers the members that are kept as rows in scratch memory; `across`: a vector of grid positions an element. */
void emit_kept_rows(Emit *e, bool across);
void emit_store_row(Emit *e, const Node *n, Form **at, Value v);
/* The units [e->begin, e->end): binds the grid indices before k->cut and calls body(cx, from, to) with the range of
 * index k->cut; once for all units where cut is 0. */
typedef void (*UnitBody)(void *cx, Value from, Value to);
void emit_units(Emit *e, Var **grid, UnitBody body, void *cx);
void emit_group(Emit *e); /* map, row, column, window, full */
void emit_scatter(Emit *e);
void emit_sort(Emit *e);
void emit_contraction(Emit *e);
void emit_stream(Emit *e);

#endif
