/* expr.h - index forms and scalar expressions: the bodies of comprehensions.
 *
 * A comprehension  y[i0<N0, i1<N1] = sum(r0<R0: body)  names its indices by *slot*: the result's indices have slots
 * 0 .. rank-1, the reduction's rank .. rank+nred-1. A Var is a slot together with its extent, so bodies of equal
 * structure are one pointer, in whatever node they stand, and a range is known from the Var alone. While a body is
 * being built its indices may have any slots (ir_fresh_slot); comp_new renames them.
 *
 * All of Var, Form, Expr are hash-consed in an Ir: equal means same pointer. Builders normalise at once: forms by the
 * rules N1-N4 (affine.c), expressions by constant folding and the local rules S1-S5 (expr.c). */
#ifndef NNC_IR_EXPR_H
#define NNC_IR_EXPR_H

#include "ir/dim.h"

typedef enum DType {
#define ROW(name, bytes, kind) DT_##name,
#include "ir/dtype.def"
#undef ROW
  DT_COUNT
} DType;

const char *dtype_name(DType t);
int dtype_bytes(DType t);
bool dtype_is_float(DType t);
bool dtype_is_int(DType t); /* signed or unsigned integers; not bool */
bool dtype_from_name(const char *s, DType *out);

typedef struct Node Node;
typedef struct Expr Expr;
typedef struct Form Form;

struct Ir { /* one per compilation */
  Arena *arena;
  StrTable *strings;
  int next_slot;
  struct DimTable *dims;   /* dim.c */
  struct FormTable *forms; /* affine.c */
  struct ExprTable *exprs; /* expr.c */
};
Ir *ir_new(Arena *a, StrTable *strings);
int ir_fresh_slot(Ir *ir); /* never one that comp_new gives (those are small) */

typedef struct Var {
  int id, slot;
  Dim *extent; /* 0 <= v < extent */
} Var;
Var *var_get(Ir *ir, int slot, Dim *extent);
Var *var_fresh(Ir *ir, Dim *extent);

/* floor(a / b), b not 0. */
static inline int64_t floor_quotient(int64_t a, int64_t b) { return a / b - (a % b != 0 && (a < 0) != (b < 0)); }

/* ---- index forms:  c0 + sum of coefficient * atom ---- */

typedef enum AtomKind {
  ATOM_VAR,  /* an index */
  ATOM_DIV,  /* floor(form / divisor), divisor > 1; form % c is kept as form - c * (form // c) */
  ATOM_DATA, /* the value of an integer expression */
  ATOM_DIM   /* a product of open dimensions (one monomial of a Dim) */
} AtomKind;

typedef struct Atom {
  AtomKind kind;
  int id;
  Var *var;
  Form *form;
  int64_t divisor;
  Expr *data;
  Dim *dim;
} Atom;

typedef struct FormTerm {
  int64_t coefficient; /* not 0 */
  Atom *atom;
} FormTerm;

struct Form {
  int id;
  uint64_t hash;
  int64_t c0;
  int n; /* terms in order of atom id, each atom once */
  FormTerm *terms;
};

Form *form_const(Ir *ir, int64_t c);
Form *form_var(Ir *ir, Var *v);
Form **form_vars(Ir *ir, int n, Var **vars); /* one each, in a new list */
Form *form_dim(Ir *ir, Dim *d);              /* d as a form: monomials become atoms, quotients too */
Form *form_data(Ir *ir,
                Expr *e); /* e of an integer type; an EXPR_INDEX gives its own form back, a constant a constant */
Form *form_add(Ir *ir, Form *a, Form *b);
Form *form_sub(Ir *ir, Form *a, Form *b);
Form *form_scale(Ir *ir, Form *a, int64_t k);
Form *form_floordiv(Ir *ir, Form *a, int64_t c); /* c > 0 */
Form *form_mod(Ir *ir, Form *a, int64_t c);      /* c > 0, result in [0, c) */

bool form_is_const(const Form *f, int64_t *value);
Dim *form_as_dim(Ir *ir, const Form *f); /* of open dimensions and numbers alone; else NULL */
Var *form_as_var(const Form *f);         /* f is exactly one index; else NULL */
int64_t form_coefficient(const Form *f,
                         const Var *v);      /* of v as a plain term; occurrences inside atoms don't count */
bool form_uses(const Form *f, const Var *v); /* anywhere, inside atoms and data too */
bool form_is_nowhere(const Form *f);         /* it has an index of a dimension of 0, and so is never evaluated */
bool form_has_data(const Form *f);

/* Interval arithmetic (N4). Extents that are open count as 64 where a number must be chosen, and as unbounded in
 * proofs. */
typedef struct Range {
  bool has_lower, has_upper;
  int64_t lower, upper; /* inclusive */
} Range;
Range form_range(Ir *ir, Form *f);
/* Proofs, with open dimensions taken as symbols at least their lower bound: true means proved. */
bool form_proves_ge(Ir *ir, Form *f, int64_t value);   /* f >= value always */
bool form_proves_inside(Ir *ir, Form *f, Dim *extent); /* 0 <= f < extent always */

/* ---- scalar expressions ---- */

typedef enum ScalarOp {
#define ROW(name, ...) OP_##name,
#include "ir/scalar.def"
#undef ROW
  SCALAR_OP_COUNT
} ScalarOp;

typedef enum ExprKind {
  EXPR_CONST,  /* value: real for floats, integer else */
  EXPR_INDEX,  /* a form's value; dtype i32 or i64 */
  EXPR_GE0,    /* form >= 0; dtype bool */
  EXPR_EQ0,    /* form == 0; dtype bool */
  EXPR_READ,   /* node[at...]; must be inside the node's shape wherever it is evaluated */
  EXPR_RANDOM, /* a uniform draw in [0, 1); arg[0] = seed (mixed, i64), arg[1] = step, arg[2] = the example's place */
  EXPR_OP      /* a row of scalar.def over arg[0..n-1]; OP_select is lazy in arg[1], arg[2] */
} ExprKind;

struct Expr {
  ExprKind kind;
  DType dtype;
  int id;
  uint64_t hash;
  double real;
  int64_t integer;
  Form *form;   /* INDEX, GE0, EQ0; RANDOM: the element's number in its draw */
  uint64_t key; /* RANDOM: FNV-1a of the draw's full path */
  Node *node;   /* READ */
  Form **at;    /* READ: node->rank of them */
  ScalarOp op;
  int n;
  Expr *arg[3];
  bool reads; /* there is a read in it, perhaps inside a form: not to be moved out of a select */
};

Expr *expr_real(Ir *ir, DType t, double v); /* any dtype; converts */
Expr *expr_int(Ir *ir, DType t, int64_t v);
Expr *expr_index(Ir *ir, DType t, Form *f);
Expr *expr_ge0(Ir *ir, Form *f); /* a proved guard becomes the constant true or false */
Expr *expr_eq0(Ir *ir, Form *f);
Expr *expr_read(Ir *ir, Node *n, Form **at);
Expr *expr_read_vars(Ir *ir, Node *n, Var **vars); /* at one index for each of its dimensions */
Expr *expr_random(Ir *ir, DType t, uint64_t key, Expr *seed, Expr *step, Expr *place, Form *element);
Expr *expr_op(Ir *ir, ScalarOp op, Expr **args); /* result type by the row's rule; not for OP_cast */
Expr *expr_op1(Ir *ir, ScalarOp op, Expr *a);
Expr *expr_op2(Ir *ir, ScalarOp op, Expr *a, Expr *b);
Expr *expr_select(Ir *ir, Expr *p, Expr *a, Expr *b);
Expr *expr_cast(Ir *ir, DType t, Expr *a);
Expr *expr_and(Ir *ir, Expr *a, Expr *b); /* either may be NULL: then the other */
/* 0 <= f < extent, as far as the ranges do not prove it; NULL when nothing is left to test. */
Expr *expr_inside(Ir *ir, Form *f, Dim *extent);

static inline bool expr_is_op(const Expr *e, ScalarOp op) { return e->kind == EXPR_OP && e->op == op; }
/* x rounded to t and back, as pass narrow writes it; x is e->arg[0]->arg[0]. */
static inline bool expr_is_rounded(const Expr *e, DType t) {
  return expr_is_op(e, OP_cast) && e->arg[0]->dtype == t && expr_is_op(e->arg[0], OP_cast) &&
         e->arg[0]->arg[0]->dtype == e->dtype;
}
bool expr_is_const(const Expr *e, double *value);
bool expr_is_number(const Expr *e, double value); /* that constant */
Range expr_range(Ir *ir, Expr *e);                /* of an integer or a bool */
bool expr_uses(const Expr *e, const Var *v);
bool expr_uses_any(const Expr *e, int n, Var *const *v);
bool expr_varies(Expr *e); /* any index or data is used: not one number for the whole kernel */

/* The read that x is, under guards (0 where they do not hold) and casts to wider floats; NULL: x is more than that.
 */
const Expr *expr_plain_read(const Expr *x);
/* Proved to be inside its tensor. Data whose values are inside may itself be read at places that are not: its reader
 * stays guarded. */
bool read_is_inside(Ir *ir, const Expr *read);
bool expr_is_safe(Ir *ir, Expr *e); /* all its reads are: it may be evaluated without its guard */

/* Rewriting. `var` maps an index to a form (NULL: keep), `read` a read (its forms already rewritten) to an expression
 * (NULL: keep), `op` an operation, as it was (NULL: its arguments are rewritten). Shared subexpressions are visited
 * once. */
typedef struct ExprMap {
  Ir *ir;
  Form *(*var)(void *cx, Var *v);
  Expr *(*read)(void *cx, Expr *read);
  Expr *(*op)(void *cx, Expr *e);
  void *cx;
} ExprMap;
Expr *expr_map(const ExprMap *m, Expr *e);
Form *form_map(const ExprMap *m, Form *f);

/* Calls f once for each distinct subexpression, arguments (and the data inside forms) first. */
void expr_visit(Expr *e, void (*f)(void *cx, Expr *e), void *cx);

/* As in the text of graphs (text.h), slots as i0, i1, ... */
void expr_print(Buf *out, const Expr *e);
void form_print(Buf *out, const Form *f);

#endif
