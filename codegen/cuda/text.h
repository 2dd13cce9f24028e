/* text.h - a kernel's text while it is written: lines, scopes, values at a position. Inside codegen/cuda/ only.
 *
 * As in codegen/cpu/emit.h, all text is made at a position: every index that a body uses is bound to a variable of
 * the text. Each distinct subexpression is a constant of its own, written once in a scope; the translator moves what
 * does not change out of loops, and drops what nobody needs.
 *
 * Laziness: no text branches on a value. A read that a `select` protects is one under a condition. */
#ifndef NNC_CODEGEN_CUDA_TEXT_H
#define NNC_CODEGEN_CUDA_TEXT_H

#include "codegen/cuda/cuda.h"

typedef struct Guard { /* where a read is needed */
  const char *name;
  struct Guard *outer;
  const char *condition; /* what it was made of, to find it again */
  bool negated;
} Guard;
typedef Vec(Guard *) Guards;

typedef struct Bound {
  const Var *var;
  const char *name;
} Bound;

typedef struct Memo {
  const void *key;
  const Guard *guard;
  const char *name;
} Memo;
typedef Vec(Memo) Memos;

typedef struct KeptRow { /* a member's row, in shared or scratch memory */
  const Node *node;
  const char *name;
  bool *is_grid; /* by result slot: not a dimension of the row */
  int apart;     /* elements from one to the next: each thread has a row, or 1 */
} KeptRow;

/* What may be another number in a kernel that is the same otherwise: an extent, a factor of an index, a draw's key, a
 * constant. In the text it is a mark with its place among the kernel's numbers; program.c writes it as what it is, or
 * as a parameter where kernels share the text. */
typedef struct Number {
  DType type; /* i32, i64, f32, f64 */
  int64_t bits;
} Number;
typedef Vec(Number) Numbers;
enum { MARK = 1, MARK_END = 2 };

typedef struct Lanes Lanes; /* lanes.h */

enum { SCOPES = 64 };

typedef struct Text {
  const Schedule *s;
  const Kernel *k;
  Ir *ir;
  Arena *arena;
  Buf out, head; /* head: what is one number for the whole kernel, before all loops */
  CudaKernel how;
  int depth, names;
  Vec(Bound) bound;
  Memos memo, whole; /* whole: of the head */
  Guards guards;
  bool in_head;
  bool on_90a; /* the kernel for sm_90a */
  Vec(KeptRow) kept;
  const Lanes *lanes; /* those that are open, or NULL */
  Numbers numbers;
  struct {
    int bound, memo, guards;
  } scope[SCOPES];
} Text;

/* ---- lines and scopes ---- */
void text_line(Text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_open(Text *t, const char *format, ...) __attribute__((format(printf, 2, 3))); /* ... { */
void text_close(Text *t);
const char *text_name(Text *t, char letter); /* a new one */
const char *text_printf(Text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- values ---- */
void text_bind(Text *t, const Var *v, const char *name);
const char *text_dim(Text *t, const Dim *d);
const char *text_index_type(const Dim *extent);               /* of an index below it, and of sums of two */
const char *text_product(Text *t, int n, Dim *const *extent); /* of dimensions; "1" of none */
const char *text_form(Text *t, Form *f);
const char *text_expr(Text *t, Expr *x);
void text_known(Text *t, Expr *x, const char *name); /* x has that value, in this scope */
bool text_is_known(const Text *t, const Expr *x);
/* Binds an index for each extent to its part of the row-major position `flat`. */
void text_positions(Text *t, const char *flat, int n, Var *const *index, Dim *const *extent);
/* `for`, over all values of v from 0 on; closed by text_close. */
void text_loop(Text *t, const Var *v);

/* n[at...] in buffer b, or NULL: in a row that is kept, or the kernel's buffer of n. What stands left of an
 * assignment, and v as it is stored. */
const char *text_place(Text *t, const Buffer *b, const Node *n, Form **at);
/* The same in memory, also where lanes are open. */
const char *text_element(Text *t, const Buffer *b, const Node *n, Form **at);
const char *text_stored(Text *t, DType type, const char *v);
const char *text_loaded(Text *t, DType type, const char *place);

/* ---- values that are copied as they lie in memory ---- */
/* Whether `width` neighbours of x, an expr_plain_read, along v, the first at a multiple of width, lie side by side in
 * memory, the first at a multiple of width, under the same guards; the last ones may be fewer. */
bool text_runs(Text *t, const Expr *x, const Var *v, int width);
/* The same of n[at...], in its buffer or in a row that is kept. */
bool text_lies_along(Text *t, const Node *n, Form **at, const Var *v, int width);
bool dim_is_multiple(const Dim *d, int64_t of); /* for all values of open dimensions */
bool expr_is_guarded(const Expr *x);            /* such an x */
int text_operand(Text *t, const Expr *read);    /* number of the kernel's operand that it reads */
int text_operand_of(const Text *t, const Buffer *b);
const char *text_buffer_of(Text *t, const Expr *x); /* where the buffer begins that it reads */
/* The address of what it reads; *when: the condition under which it may be asked, NULL: always. */
const char *text_address(Text *t, Expr *x, const char **when);

/* ---- types ---- */
bool type_is_narrow(DType t);
DType type_of_sums(DType t);    /* f32 for f16 and bf16 */
const char *type_name(DType t); /* in a register */
const char *type_in_memory(DType t);
const char *text_number(Text *t, DType type, double real, int64_t integer); /* marked, but for 0, infinities, NaN */
const char *text_integer(Text *t, DType type, int64_t v);                   /* marked; type: i32 or i64 */
const char *text_rounded(Text *t, DType type, const char *v);

/* ---- reductions (reduce.c) ---- */
typedef struct Sum { /* what accumulates */
  const Node *node;
  const char *value, *position; /* variables; position of argmax and argmin, else NULL */
} Sum;
Sum sum_open(Text *t, const Node *n);                                     /* declares them */
void sum_add(Text *t, const Sum *s, const char *x, const char *position); /* after all that it took before */
/* Every thread gets that of all, or of those whose numbers % width are its own. */
void sum_of_block(Text *t, const Sum *s, int width);
const char *sum_value(Text *t, const Sum *s);

/* ---- a kernel (kernel.c) ---- */
typedef struct Parameter {
  const char *type, *name;
} Parameter;
typedef struct KernelText {
  CudaKernel how;
  bool on_90a; /* it is for sm_90a alone */
  Vec(Parameter) parameters;
  const char *body; /* with marks */
  Numbers numbers;
} KernelText;
KernelText text_of_kernel(Arena *a, const Schedule *s, const Kernel *k, bool on_90a);

/* ---- kinds of kernel ---- */
void text_group(Text *t); /* map, row, column, window, full */
void text_contraction(Text *t);
void text_scatter(Text *t);
void text_sort(Text *t);
void text_stream(Text *t);
/* The number of the part that a block has, counted through the steps: a loop that text_close ends. */
const char *text_parts(Text *t, Dim *parts);
/* As many threads as there are positions, each a part of its own; `threads` of them make a block. */
const char *text_threads(Text *t, Dim *positions, int threads);

#endif
