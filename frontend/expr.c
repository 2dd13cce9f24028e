/* expr.c - expressions but for index notation and calls: literals, operators, choices, members. */
#include "frontend/value.h"

#include <math.h>
#include <string.h>

/* ---- scalar rows over tensors ---- */

static bool is_comparison(ScalarOp op) { return op >= OP_eq && op <= OP_ge; }

/* The shape that operands of a scalar function have together: scalars and equal shapes. -1 after a message. */
static int common_shape(Elaborator *x, int n, Value **args, Dim ***shape, Span at) {
  int rank = 0;
  Value *first = NULL;
  for (int i = 0; i < n; i++) {
    Value *v = args[i];
    if (v->kind != VALUE_TENSOR || !v->rank) continue;
    if (!first) {
      first = v;
      rank = v->rank;
      *shape = v->shape;
      continue;
    }
    bool same = v->rank == rank;
    for (int k = 0; same && k < rank; k++) same = v->shape[k] == (*shape)[k];
    if (same) continue;
    Diag *d = diag_add(x->diags, DIAG_SHAPES_DIFFER, at, "the shapes %s and %s differ", shape_text(x, rank, *shape),
                       shape_text(x, v->rank, v->shape));
    bool one = false;
    for (int k = 0; k < rank && k < v->rank; k++)
      one = one || (*shape)[k] == dim_const(x->ir, 1) || v->shape[k] == dim_const(x->ir, 1);
    if (v->rank != rank) diag_help(d, "an operator takes equal shapes or a scalar");
    else if (one) diag_help(d, "a dimension of 1 is not stretched");
    return -1;
  }
  return rank;
}

static Value *map_row(Elaborator *x, ScalarOp op, int n, Value **args, Span at) {
  Dim **shape = NULL;
  int rank = common_shape(x, n, args, &shape, at);
  if (rank < 0) return NULL;
  Var *vars[16];
  Form *forms[16];
  for (int i = 0; i < rank; i++) {
    vars[i] = var_fresh(x->ir, shape[i]);
    forms[i] = form_var(x->ir, vars[i]);
  }
  Expr *e[3];
  for (int i = 0; i < n; i++) e[i] = value_element(x, args[i], forms);
  return value_tensor(x, rank, vars, expr_op(x->ir, op, e), at);
}

static bool is_compile_time(const Value *v) { return v->kind == VALUE_INT || v->kind == VALUE_REAL; }

static bool as_real(const Value *v, double *out) {
  int64_t c;
  if (v->kind == VALUE_REAL) return *out = v->real, true;
  if (v->kind == VALUE_INT && dim_is_const(v->dim, &c)) return *out = (double)c, true;
  return false;
}

/* The type that operands take together: what is settled wins over literals, indices and step. DT_COUNT after a
 * message. */
DType weak_dtype(Elaborator *x, const Value *v) {
  int64_t c = 0;
  if (v->kind == VALUE_REAL || (v->kind == VALUE_TENSOR && dtype_is_float(v->dtype))) return float_default(x);
  if (v->kind == VALUE_INT) dim_is_const(v->dim, &c);
  bool wide = c < INT32_MIN || c > INT32_MAX || (v->kind == VALUE_TENSOR && v->dtype == DT_i64);
  return wide ? DT_i64 : DT_i32;
}

static DType common_dtype(Elaborator *x, int n, Value **args, bool want_float, bool varies, Span at, bool *weak) {
  DType t = DT_COUNT;
  *weak = true;
  bool real = want_float;
  for (int i = 0; i < n; i++) {
    Value *v = args[i];
    if (v->kind == VALUE_REAL || (v->kind == VALUE_TENSOR && v->weak && dtype_is_float(v->dtype))) real = true;
    if (v->kind == VALUE_TENSOR && !v->rank && expr_varies(v->expr)) varies = true;
    if (v->kind != VALUE_TENSOR || v->weak) continue;
    *weak = false;
    if (t != DT_COUNT && t != v->dtype) {
      Diag *d = diag_add(x->diags, DIAG_TYPES_DIFFER, at, "%s meets %s", value_type_text(x, args[0]),
                         value_type_text(x, args[n - 1]));
      diag_help(d, "no type converts silently");
      return DT_COUNT;
    }
    t = v->dtype;
  }
  if (t != DT_COUNT) return t;
  if (real) return varies ? float_default(x) : DT_f64; /* schedules and the like are computed in f64 */
  for (int i = 0; i < n; i++)
    if (weak_dtype(x, args[i]) == DT_i64) return DT_i64;
  return DT_i32;
}

/* Above all that an integer may be, which is not negative; NULL: it may be anything. */
static Dim *limit_of(Elaborator *x, const Value *v) {
  if (v->kind == VALUE_INT && dim_at_least(x->ir, v->dim, 0)) return dim_add(x->ir, v->dim, dim_const(x->ir, 1));
  return v->kind == VALUE_TENSOR ? v->bound : NULL;
}

static Range range_of(Elaborator *x, const Value *v) {
  if (v->kind != VALUE_TENSOR) return (Range){0};
  if (!v->rank) return expr_range(x->ir, v->expr);
  const Node *n = v->node;
  return n->kind == NODE_comp && n->reducer == RED_none ? expr_range(x->ir, n->body) : (Range){0};
}

static bool not_negative(Elaborator *x, const Value *v) {
  if (limit_of(x, v)) return true;
  Range r = range_of(x, v);
  return r.has_lower && r.lower >= 0;
}

/* The larger of two limits that can be compared, or the smaller. */
static Dim *limit_among(Elaborator *x, Dim *a, Dim *b, bool larger) {
  if (!a || !b) return NULL;
  if (dim_at_least(x->ir, dim_sub(x->ir, a, b), 0)) return larger ? a : b;
  return dim_at_least(x->ir, dim_sub(x->ir, b, a), 0) ? larger ? b : a : NULL;
}

Dim *limit_of_either(Elaborator *x, const Value *a, const Value *b) {
  return limit_among(x, limit_of(x, a), limit_of(x, b), true);
}

/* Of min and max: clamp is made of them. */
static Dim *extreme_limit(Elaborator *x, ScalarOp op, Value **v) {
  Dim *a = limit_of(x, v[0]), *b = limit_of(x, v[1]), *both = limit_among(x, a, b, op == OP_max);
  if (both || op == OP_max) return both;
  if (a && not_negative(x, v[1])) return a;
  return b && not_negative(x, v[0]) ? b : NULL;
}

static Value *row_of_leaves(Elaborator *x, int n, Value **args, const void *op, Span at) {
  return elaborate_scalar_row(x, *(const ScalarOp *)op, n, args, at);
}

Value *elaborate_scalar_row(Elaborator *x, ScalarOp op, int n, Value **args, Span at) {
  Value *v[3];
  bool weak, want_float = op >= OP_sqrt && op <= OP_normal_icdf;
  if (op == OP_floor || op == OP_ceil || op == OP_round || op == OP_div || op == OP_is_finite) want_float = true;
  for (int i = 0; i < n; i++)
    if (value_is_structure(args[i])) return structure_map(x, n, args, row_of_leaves, &op, at);
  int first = op == OP_select;
  bool logic = op == OP_and || op == OP_or || op == OP_not;
  for (int i = 0; i < n; i++) {
    v[i] = args[i];
    if (v[i]->kind == VALUE_FLAG) v[i] = value_runtime(x, v[i]);
    if (!value_is_number(v[i])) {
      diag_add(x->diags, DIAG_WRONG_TYPE, at, "%s has no value to compute with", value_type_text(x, args[i]));
      return NULL;
    }
  }
  for (int i = first; i < n; i++) /* numbers that are written adapt to what is beside them */
    for (int k = first; k < n; k++)
      if (v[k]->kind == VALUE_TENSOR && !v[k]->weak) v[i] = literal_as(x, v[i], v[k]->dtype, at);
  bool chosen = first && v[0]->kind == VALUE_TENSOR && (v[0]->rank || expr_varies(v[0]->expr)); /* by an index */
  DType t = logic ? DT_bool : common_dtype(x, n - first, v + first, want_float, chosen, at, &weak);
  if (t == DT_COUNT) return NULL;
  if (logic) weak = false;
  if (want_float && !dtype_is_float(t)) {
    Diag *d =
        diag_add(x->diags, DIAG_WRONG_TYPE, at, "a float is wanted, and this is %s", value_type_text(x, v[n - 1]));
    diag_help(d, "write f32(...) around it");
    return NULL;
  }
  if (t == DT_bool && !logic && op != OP_eq && op != OP_ne && op != OP_select) {
    diag_add(x->diags, DIAG_WRONG_TYPE, at, "truth values cannot be computed with; f32(...) gives 0 and 1");
    return NULL;
  }
  for (int i = first; i < n; i++) {
    bool settled = v[i]->kind == VALUE_TENSOR && v[i]->dtype == t && (v[i]->rank || weak || !v[i]->weak);
    if (!settled && weak && v[i]->kind == VALUE_TENSOR)
      v[i] = value_scalar(x, expr_cast(x->ir, t, v[i]->expr), v[i]->span);
    else if (!settled) v[i] = value_coerce(x, v[i], t, at);
    if (!v[i]) return NULL;
  }
  Value *r = map_row(x, op, n, v, at);
  if (r && weak && !is_comparison(op) && !r->rank) r->weak = true;
  if (r && dtype_is_int(t) && (op == OP_min || op == OP_max)) r->bound = extreme_limit(x, op, args);
  return r;
}

/* ---- operators ---- */

static Value *fold(Elaborator *x, Op op, Value *a, Value *b, Span at) {
  double l, r;
  if (a->unknown || b->unknown || !as_real(a, &l) || !as_real(b, &r)) {
    Value *v = value_real(x, 0, at);
    v->unknown = true;
    if (op >= OP_EQ && op <= OP_GE) v->kind = VALUE_FLAG;
    if (x->generic || a->unknown || b->unknown) return v;
    /* An open dimension beside a real: a value at run time. */
    return NULL;
  }
  switch (op) {
  case OP_ADD: return value_real(x, l + r, at);
  case OP_SUB: return value_real(x, l - r, at);
  case OP_MUL: return value_real(x, l * r, at);
  case OP_DIV: return value_real(x, l / r, at);
  case OP_FLOORDIV: return value_real(x, floor(l / r), at);
  case OP_MOD: return value_real(x, l - r * floor(l / r), at);
  case OP_POW: return value_real(x, pow(l, r), at);
  case OP_EQ: return value_flag(x, l == r, at);
  case OP_NE: return value_flag(x, l != r, at);
  case OP_LT: return value_flag(x, l < r, at);
  case OP_LE: return value_flag(x, l <= r, at);
  case OP_GT: return value_flag(x, l > r, at);
  case OP_GE: return value_flag(x, l >= r, at);
  default: return NULL;
  }
}

static Value *compare_dims(Elaborator *x, Op op, Dim *a, Dim *b, Span at) {
  Dim *d = dim_sub(x->ir, b, a); /* b - a */
  Dim *e = dim_sub(x->ir, a, b);
  bool lt = dim_at_least(x->ir, d, 1), le = dim_at_least(x->ir, d, 0), gt = dim_at_least(x->ir, e, 1),
       ge = dim_at_least(x->ir, e, 0);
  int truth = -1; /* not known */
  switch (op) {
  case OP_EQ: truth = a == b ? 1 : lt || gt ? 0 : -1; break;
  case OP_NE: truth = a == b ? 0 : lt || gt ? 1 : -1; break;
  case OP_LT: truth = lt ? 1 : ge ? 0 : -1; break;
  case OP_LE: truth = le ? 1 : gt ? 0 : -1; break;
  case OP_GT: truth = gt ? 1 : le ? 0 : -1; break;
  case OP_GE: truth = ge ? 1 : lt ? 0 : -1; break;
  default: break;
  }
  if (truth < 0 && !x->generic) return NULL; /* decided at run time */
  Value *v = value_flag(x, truth == 1, at);
  v->unknown = truth < 0;
  return v;
}

static Value *int_binary(Elaborator *x, Op op, Value *a, Value *b, Span at) {
  int64_t l, r;
  bool numbers = dim_is_const(a->dim, &l) && dim_is_const(b->dim, &r);
  if (op >= OP_EQ && op <= OP_GE) return compare_dims(x, op, a->dim, b->dim, at);
  bool by_zero = dim_is_const(b->dim, &r) && r == 0;
  if ((op == OP_FLOORDIV || op == OP_MOD) && by_zero) {
    diag_add(x->diags, DIAG_DIVISOR, at, "division by zero");
    return NULL;
  }
  Dim *d = NULL;
  switch (op) {
  case OP_ADD: d = dim_add(x->ir, a->dim, b->dim); break;
  case OP_SUB: d = dim_sub(x->ir, a->dim, b->dim); break;
  case OP_MUL: d = dim_mul(x->ir, a->dim, b->dim); break;
  case OP_FLOORDIV: d = dim_floordiv(x->ir, a->dim, b->dim); break;
  case OP_MOD: d = dim_mod(x->ir, a->dim, b->dim); break;
  case OP_DIV:
    d = dim_exact_div(x->ir, a->dim, b->dim);
    if (!d && (numbers || by_zero)) { /* 1 / 3 is a real; who wants an integer of it says what does not divide what */
      Value *v = fold(x, op, a, b, at);
      if (!v) return NULL;
      v->dim = a->dim;
      v->bound = b->dim;
      return v;
    }
    if (!d && !x->generic) d = not_known_to_divide(x, a->dim, b->dim, at);
    else if (!d) d = dim_floordiv(x->ir, a->dim, b->dim);
    if (!d) return NULL;
    break;
  case OP_POW:
    if ((d = dim_power(x, a->dim, b->dim))) break;
    return fold(x, op, a, b, at);
  default: return NULL;
  }
  if (dim_overflowed(d)) {
    diag_add(x->diags, DIAG_DIM_OVERFLOW, at, "this integer does not fit in 63 bits");
    return NULL;
  }
  return value_int(x, d, at);
}

/* Whether the numbers of f times k stay far from 64 bits. */
static bool form_is_small(const Form *f, int64_t k) {
  const int64_t limit = (int64_t)1 << 50;
  int64_t c;
  bool small = !__builtin_mul_overflow(f->c0, k, &c) && c < limit && c > -limit;
  for (int i = 0; small && i < f->n; i++)
    small = !__builtin_mul_overflow(f->terms[i].coefficient, k, &c) && c < limit && c > -limit;
  return small;
}

/* Indices: affine arithmetic stays an index form. NULL where the operation leaves them. */
static Value *form_binary(Elaborator *x, Op op, Value *a, Value *b, Span at) {
  if ((a->dim && dim_overflowed(a->dim)) || (b->dim && dim_overflowed(b->dim))) return NULL;
  Form *l = value_form(x, a), *r = value_form(x, b);
  int64_t c = 1;
  if (op == OP_MUL && !form_is_const(r, &c)) form_is_const(l, &c);
  if (!form_is_small(l, 1) || !form_is_small(r, 1) ||
      (op == OP_MUL && !form_is_small(form_is_const(r, NULL) ? l : r, c))) {
    diag_add(x->diags, DIAG_DIM_OVERFLOW, at, "this index does not fit in 63 bits");
    return NULL;
  }
  switch (op) {
  case OP_ADD: return value_index(x, form_add(x->ir, l, r), NULL, at);
  case OP_SUB: return value_index(x, form_sub(x->ir, l, r), NULL, at);
  case OP_MUL:
    if (form_is_const(r, &c)) return value_index(x, form_scale(x->ir, l, c), NULL, at);
    if (form_is_const(l, &c)) return value_index(x, form_scale(x->ir, r, c), NULL, at);
    return NULL;
  case OP_FLOORDIV:
  case OP_MOD:
    if (form_is_nowhere(l)) return value_index(x, l, NULL, at); /* by whatever: `i // N`, i < M * N, N being 0 */
    if (!form_is_const(r, &c) || c <= 0) return NULL;
    if (op == OP_FLOORDIV) return value_index(x, form_floordiv(x->ir, l, c), NULL, at);
    return value_index(x, form_mod(x->ir, l, c), dim_const(x->ir, c), at);
  case OP_LT:
    return value_scalar(x, expr_ge0(x->ir, form_sub(x->ir, form_sub(x->ir, r, l), form_const(x->ir, 1))), at);
  case OP_LE: return value_scalar(x, expr_ge0(x->ir, form_sub(x->ir, r, l)), at);
  case OP_GT:
    return value_scalar(x, expr_ge0(x->ir, form_sub(x->ir, form_sub(x->ir, l, r), form_const(x->ir, 1))), at);
  case OP_GE: return value_scalar(x, expr_ge0(x->ir, form_sub(x->ir, l, r)), at);
  case OP_EQ: return value_scalar(x, expr_eq0(x->ir, form_sub(x->ir, l, r)), at);
  case OP_NE: return value_scalar(x, expr_op1(x->ir, OP_not, expr_eq0(x->ir, form_sub(x->ir, l, r))), at);
  default: return NULL;
  }
}

static Value *power(Elaborator *x, Value *a, Value *b, Span at) {
  double p;
  if (as_real(b, &p) && !b->unknown && a->kind == VALUE_TENSOR && !a->weak) {
    if (p == 2 || p == 3 || p == 4) {
      Value *sq = elaborate_scalar_row(x, OP_mul, 2, (Value *[]){a, a}, at);
      if (!sq || p == 2) return sq;
      return elaborate_scalar_row(x, OP_mul, 2, (Value *[]){sq, p == 3 ? a : sq}, at);
    }
    if (p == 1) return a;
    if (p == 0.5) return elaborate_scalar_row(x, OP_sqrt, 1, &a, at);
  }
  return elaborate_scalar_row(x, OP_pow, 2, (Value *[]){a, b}, at);
}

static bool is_run_time_int(const Value *v) { return v->kind == VALUE_TENSOR && dtype_is_int(v->dtype) && !v->weak; }

static bool divisor_is_safe(Elaborator *x, Value *b) {
  double c;
  if (as_real(b, &c)) return c != 0;
  if (b->kind == VALUE_INT) return dim_at_least(x->ir, b->dim, 1) || x->generic;
  if (b->kind != VALUE_TENSOR || dtype_is_float(b->dtype)) return true;
  Range r = range_of(x, b);
  return (r.has_lower && r.lower > 0) || (r.has_upper && r.upper < 0);
}

static Value *binary_of_leaves(Elaborator *x, int n, Value **args, const void *op, Span at) {
  (void)n;
  return elaborate_binary(x, *(const Op *)op, args[0], args[1], at);
}

static bool is_truth(const Value *v) {
  return v->kind == VALUE_FLAG || (v->kind == VALUE_TENSOR && v->dtype == DT_bool);
}

/* Whether what `not`, `and` and `or` are given are truth values; false after a message. */
static bool are_truths(Elaborator *x, Op op, int n, Value *const *v, Span at) {
  for (int i = 0; i < n; i++) {
    if (is_truth(v[i])) continue;
    Diag *d = diag_add(x->diags, DIAG_WRONG_TYPE, span_holds(at, v[i]->span) ? v[i]->span : at,
                       "`%s` takes truth values, and this is %s", op_spelling(op), value_type_text(x, v[i]));
    diag_help(d, "compare it with something");
    return false;
  }
  return true;
}

/* Below what a product with a dimension, or a quotient by one, stays where a is 0 or more and below its limit. NULL:
 * nothing is known. */
static Dim *scaled_limit(Elaborator *x, Op op, const Value *a, const Value *b) {
  Dim *limit = limit_of(x, a);
  int64_t by;
  if (!limit || b->kind != VALUE_INT || !dim_at_least(x->ir, b->dim, 1)) return NULL;
  if (op == OP_MUL) return dim_mul(x->ir, limit, b->dim);
  if (op != OP_FLOORDIV) return NULL;
  return dim_is_const(b->dim, &by) ? dim_ceil_div(x->ir, limit, by) : dim_exact_div(x->ir, limit, b->dim);
}

Value *elaborate_binary(Elaborator *x, Op op, Value *a, Value *b, Span at) {
  if (value_is_structure(a) || value_is_structure(b))
    return structure_map(x, 2, (Value *[]){a, b}, binary_of_leaves, &op, at);
  static const ScalarOp rows[] = {[OP_OR] = OP_or,
                                  [OP_AND] = OP_and,
                                  [OP_EQ] = OP_eq,
                                  [OP_NE] = OP_ne,
                                  [OP_LT] = OP_lt,
                                  [OP_LE] = OP_le,
                                  [OP_GT] = OP_gt,
                                  [OP_GE] = OP_ge,
                                  [OP_ADD] = OP_add,
                                  [OP_SUB] = OP_sub,
                                  [OP_MUL] = OP_mul,
                                  [OP_DIV] = OP_div,
                                  [OP_FLOORDIV] = OP_floordiv,
                                  [OP_MOD] = OP_mod};
  Value *r = NULL;
  if (op == OP_AND || op == OP_OR) {
    if (!are_truths(x, op, 2, (Value *[]){a, b}, at)) return NULL;
    for (int i = 0; i < 2; i++) {
      Value *k = i ? b : a, *o = i ? a : b;
      if (k->kind == VALUE_FLAG && !k->unknown) return k->truth == (op == OP_AND) ? o : k;
    }
    if (a->kind == VALUE_FLAG) return a;
    return elaborate_scalar_row(x, rows[op], 2, (Value *[]){a, b}, at);
  }
  if (a->kind == VALUE_STRING && b->kind == VALUE_STRING && (op == OP_EQ || op == OP_NE))
    return value_flag(x, (a->text == b->text) == (op == OP_EQ), at);
  if (a->kind == VALUE_FLAG && b->kind == VALUE_FLAG && (op == OP_EQ || op == OP_NE)) {
    r = value_flag(x, (a->truth == b->truth) == (op == OP_EQ), at);
    r->unknown = a->unknown || b->unknown;
    return r;
  }
  if ((op == OP_EQ || op == OP_NE) && value_is_number(a) && value_is_number(b) && is_truth(a) != is_truth(b)) {
    diag_add(x->diags, DIAG_WRONG_TYPE, at, "%s is compared with %s", value_type_text(x, a), value_type_text(x, b));
    return NULL;
  }
  int errors = x->diags->errors;
  if (a->kind == VALUE_INT && b->kind == VALUE_INT) {
    if ((r = int_binary(x, op, a, b, at)) || x->diags->errors > errors) return r;
  } else if (is_compile_time(a) && is_compile_time(b)) {
    if ((r = fold(x, op, a, b, at))) return r;
  } else if (value_is_form(a) && value_is_form(b)) {
    if ((r = form_binary(x, op, a, b, at)) || x->diags->errors > errors) return r;
  }
  if (op == OP_DIV && is_run_time_int(a) && (is_run_time_int(b) || b->kind == VALUE_INT || b->weak)) {
    Diag *d = diag_add(x->diags, DIAG_INT_DIVISION, at, "`/` of integers has no one meaning");
    diag_help(d, "`a // max(b, 1)` rounds down; f32(...) on both sides divides as reals");
    return NULL;
  }
  if ((op == OP_FLOORDIV || op == OP_MOD) && !divisor_is_safe(x, b)) {
    int64_t zero = 1;
    bool is_zero = b->kind == VALUE_INT && dim_is_const(b->dim, &zero) && zero == 0;
    diag_add(x->diags, DIAG_DIVISOR, at, is_zero ? "division by zero" : "the divisor is not known to be non-zero");
    return NULL;
  }
  if (op == OP_POW) return power(x, a, b, at);
  r = elaborate_scalar_row(x, rows[op], 2, (Value *[]){a, b}, at);
  if (r && op == OP_MOD && b->kind == VALUE_INT && dtype_is_int(r->dtype) && dim_at_least(x->ir, b->dim, 1))
    r->bound = b->dim;
  if (!r || r->bound || !dtype_is_int(r->dtype)) return r;
  if (op == OP_FLOORDIV || r->weak) r->bound = scaled_limit(x, op, a, b);
  if (op == OP_MUL && r->weak && !r->bound) r->bound = scaled_limit(x, op, b, a);
  return r;
}

static Value *unary(Elaborator *x, Env *e, Ast *a) {
  Value *v = elaborate_expr(x, e, a->left);
  if (!v) return NULL;
  if (a->op == OP_NOT) {
    if (v->kind == VALUE_FLAG) {
      Value *r = value_flag(x, !v->truth, a->span);
      r->unknown = v->unknown;
      return r;
    }
    if (!are_truths(x, OP_NOT, 1, &v, a->span)) return NULL;
    return elaborate_scalar_row(x, OP_not, 1, &v, a->span);
  }
  if (v->kind == VALUE_INT) return value_int(x, dim_sub(x->ir, dim_const(x->ir, 0), v->dim), a->span);
  if (v->kind == VALUE_REAL) {
    Value *r = value_real(x, -v->real, a->span);
    r->unknown = v->unknown;
    return r;
  }
  if (value_is_form(v)) return value_index(x, form_scale(x->ir, value_form(x, v), -1), NULL, a->span);
  return elaborate_scalar_row(x, OP_neg, 1, &v, a->span);
}

/* l where c holds, else r; of several parts each. */
Value *value_either(Elaborator *x, Value *c, Value *l, Value *r, Span at) {
  if (l->kind == VALUE_TUPLE && r->kind == VALUE_TUPLE && l->n == r->n) {
    Value *parts = value_at(x, l, at);
    parts->items = NEW_ARRAY(x->arena, Value *, l->n);
    for (int i = 0; i < l->n; i++)
      if (!(parts->items[i] = value_either(x, c, l->items[i], r->items[i], at))) return NULL;
    return parts;
  }
  Value *v = elaborate_scalar_row(x, OP_select, 3, (Value *[]){c, l, r}, at);
  if (v && v->kind == VALUE_TENSOR && dtype_is_int(v->dtype)) v->bound = limit_of_either(x, l, r);
  return v;
}

typedef struct Chosen { /* a side of `if c then a else b` */
  Ast *ast;
  const Type *expected;
  Value *value;
} Chosen;

static bool walk_chosen(Elaborator *x, Env **e, void *cx) {
  Chosen *side = cx;
  side->value = elaborate_expr_as(x, *e, side->ast, side->expected);
  return side->value != NULL;
}

static Value *choose(Elaborator *x, Env *e, Ast *a, const Type *expected) {
  Value *c = elaborate_expr(x, e, a->cond);
  if (!c) return NULL;
  if (c->kind == VALUE_FLAG && !c->unknown)
    return elaborate_expr_as(x, e, c->truth ? a->then : a->otherwise, expected);
  Chosen then = {a->then, expected, NULL}, otherwise = {a->otherwise, expected, NULL};
  const SideWalk walks[2] = {{walk_chosen, &then}, {walk_chosen, &otherwise}};
  bool ok = true, writes = ast_calls(a->then) || ast_calls(a->otherwise);
  if (writes && c->kind == VALUE_TENSOR && c->dtype == DT_bool)
    ok = choose_at_run_time(x, &e, c, &walks[0], &walks[1], a->span);
  else
    for (int i = 0; i < 2; i++) ok = walks[i].walk(x, &e, walks[i].cx) && ok;
  if (!ok) return NULL;
  Value *l = then.value, *r = otherwise.value;
  if (c->kind == VALUE_FLAG) return says_equal(a->cond, true) ? r : l;
  if (c->kind != VALUE_TENSOR || c->dtype != DT_bool) {
    Diag *d = diag_add(x->diags, DIAG_WRONG_TYPE, a->cond->span, "a condition is wanted, and this is %s",
                       value_type_text(x, c));
    diag_help(d, "compare it with something");
    bool whole = is_primary(a->cond);
    if (c->kind == VALUE_TENSOR) suggest_around(x, d, a->cond->span, whole ? "" : "(", whole ? " != 0" : ") != 0");
    return NULL;
  }
  return value_either(x, c, l, r, a->span);
}

/* Above all of the integers; NULL: one may be anything. */
Dim *limit_of_all(Elaborator *x, int n, Value *const *items) {
  Dim *limit = n ? limit_of(x, items[0]) : NULL;
  for (int i = 1; i < n && limit; i++) limit = limit_among(x, limit, limit_of(x, items[i]), true);
  return limit;
}

/* [x[0], 2, y], [true, x[0] > 0]: a vector of numbers of which some are there at run time only, or of truth values.
 * NULL after a message. */
static Value *vector_of(Elaborator *x, int n, Value **items, bool truths, Span at) {
  bool weak;
  DType t = truths ? DT_bool : common_dtype(x, n, items, false, true, at, &weak);
  if (t == DT_COUNT) return NULL;
  Value **numbers = NEW_ARRAY(x->arena, Value *, n);
  for (int i = 0; i < n; i++)
    if (!(numbers[i] = value_coerce(x, items[i], t, items[i]->span))) return NULL;
  return value_stack(x, n, numbers, 0, at);
}

/* The numbers of rows that were written out go to `numbers`. False: not all of them are known. */
static bool written_numbers(Elaborator *x, int n, Value **items, ValueList *numbers) {
  for (int i = 0; i < n; i++) {
    double ignored;
    int64_t own = 0;
    Value *v = items[i];
    if (v->kind == VALUE_TENSOR) {
      bool written = v->items && dim_is_const(v->shape[0], &own);
      if (!written || !written_numbers(x, (int)own, v->items, numbers)) return false;
      continue;
    }
    if (!as_real(v, &ignored)) return false;
    vec_push(x->arena, numbers, v);
  }
  return true;
}

static Value *constant(Elaborator *x, DType t, int rank, Dim **shape, const ValueList *numbers, Span at) {
  char *data = NEW_ARRAY(x->arena, char, numbers->n *dtype_bytes(t));
  for (int i = 0; i < numbers->n; i++) {
    const Value *v = numbers->at[i];
    double d = 0;
    as_real(v, &d);
    if (t == DT_f64) ((double *)data)[i] = d;
    else if (t == DT_f32) ((float *)data)[i] = (float)d;
    else if (t == DT_i64) ((int64_t *)data)[i] = dim_value(v->dim);
    else ((int32_t *)data)[i] = (int32_t)d;
  }
  Value *r = value_node(x, graph_const(x->graph, t, rank, shape, data, at), at);
  if (dtype_is_int(t)) r->bound = limit_of_all(x, numbers->n, numbers->at);
  return r;
}

bool literal_is_written(Elaborator *x, const Value *v) {
  ValueList numbers = {0};
  return v->kind == VALUE_TENSOR && v->items && v->dtype != DT_bool &&
         written_numbers(x, 1, (Value *[]){(Value *)v}, &numbers);
}

Value *literal_as(Elaborator *x, Value *v, DType t, Span at) {
  ValueList numbers = {0};
  bool adapts = v->kind == VALUE_TENSOR && v->items && v->dtype != t && v->dtype != DT_bool && t != DT_bool &&
                (dtype_is_float(t) || dtype_is_int(v->dtype));
  if (!adapts || !written_numbers(x, 1, &v, &numbers)) return v;
  for (int i = 0; dtype_is_int(t) && i < numbers.n; i++)
    if (!literal_fits(dim_value(numbers.at[i]->dim), t)) return v;
  DType wide = dtype_is_float(t) ? DT_f32 : DT_i32;
  Value *r = constant(x, t == DT_f64 || t == DT_i64 ? t : wide, v->rank, v->shape, &numbers, at);
  if (t != r->dtype) r = value_cast(x, r, t, at);
  if (r) r->items = v->items;
  return r ? r : v;
}

/* `[[1, 2], [3, 4]]`: rows of one shape are one tensor. */
static Value *matrix_of(Elaborator *x, Value *v) {
  bool alike = v->n > 0;
  for (int i = 0; alike && i < v->n; i++) alike = v->items[i]->kind == VALUE_TENSOR && v->items[i]->rank;
  for (int i = 0; alike && i < v->n; i++)
    for (int k = 0; k < v->n; k++) v->items[i] = literal_as(x, v->items[i], v->items[k]->dtype, v->items[i]->span);
  for (int i = 1; alike && i < v->n; i++) alike = values_alike(v->items[0], v->items[i]);
  if (!alike) return v;
  const Value *row = v->items[0];
  ValueList numbers = {0};
  Value *matrix = NULL;
  if (row->rank < MAX_RANK && written_numbers(x, v->n, v->items, &numbers)) {
    Dim *shape[MAX_RANK] = {dim_const(x->ir, v->n)};
    memcpy(shape + 1, row->shape, sizeof *shape * (size_t)row->rank);
    matrix = constant(x, row->dtype, row->rank + 1, shape, &numbers, v->span);
  } else {
    matrix = value_stack(x, v->n, v->items, 0, v->span);
  }
  if (matrix) matrix->items = v->items;
  return matrix;
}

Value *literal_array(Elaborator *x, const Ast *a, Value **items) {
  int n = a->items.n;
  Value *v = value_new(x, VALUE_ARRAY, a->span);
  v->n = n;
  v->items = items;
  bool numbers = true, real = false, wide = false, scalars = true, truths = true, settled = false;
  for (int i = 0; i < n; i++) {
    scalars = scalars && value_is_number(v->items[i]) && !v->items[i]->rank;
    truths = truths && is_truth(v->items[i]) && !v->items[i]->rank;
    settled = settled || v->items[i]->kind == VALUE_TENSOR;
    double d = 0;
    numbers = numbers && as_real(v->items[i], &d);
    real = real || v->items[i]->kind == VALUE_REAL;
    wide = wide || d < INT32_MIN || d > INT32_MAX;
  }
  for (int i = 0; !truths && i < n; i++)
    if (is_truth(v->items[i]) && !v->items[i]->rank) {
      diag_add(x->diags, DIAG_WRONG_TYPE, a->items.at[i]->span, "truth values and numbers stand in one vector");
      return NULL;
    }
  if (n && truths) {
    Value *vector = vector_of(x, n, v->items, true, a->span);
    if (vector && !settled) vector->items = v->items;
    return vector;
  }
  if (!numbers) return scalars && settled ? vector_of(x, n, v->items, false, a->span) : matrix_of(x, v);
  Dim *shape[1] = {dim_const(x->ir, n)};
  ValueList all = {.at = v->items, .n = n};
  Value *vector = constant(x, real ? float_default(x) : wide ? DT_i64 : DT_i32, 1, shape, &all, a->span);
  vector->items = v->items;
  return vector;
}

static Value *array(Elaborator *x, Env *e, Ast *a) {
  Value **items = NEW_ARRAY(x->arena, Value *, a->items.n);
  for (int i = 0; i < a->items.n; i++)
    if (!(items[i] = elaborate_expr(x, e, a->items.at[i]))) return NULL;
  return literal_array(x, a, items);
}

bool name_is_function(Elaborator *x, Str name) {
  const Decl *d = decl_find(x, x->module, name);
  return d ? d->kind == DECL_FUNCTION : is_reduction(name) || row_function(x, name, (Span){0}) != NULL;
}

/* What tensors of other libraries have as methods. */
static void method_help(Elaborator *x, Diag *d, Str name) {
  static const struct {
    const char *names, *help;
  } rows[] = {
      {" shape size dim ndim ",
       "a dimension is known by its name: of `x: f32[N, D]`, N and D are numbers in any value"},
      {" T transpose permute view reshape squeeze unsqueeze flatten ",
       "index notation puts dimensions in order, `[j, i] => x[i, j]`, and makes new ones, `[a, b < 4] => x[4 * a + "
       "b]`"},
      {" float double half int long to type astype item ", "a type's name converts: `f32(x)`, `i32(x)`"},
      {" backward grad detach ",
       "`minimize` derives what it is given; `grad(e, x)` is a derivative, `stop(x)` cuts one"},
  };
  if (is_reduction(name)) {
    diag_help(d, "a tensor has no methods; along one dimension it is `[i] => %s(j: x[i, j])`", name);
    return;
  }
  if (name_is_function(x, name)) {
    diag_help(d, "a tensor has no methods");
    return;
  }
  const char *word = arena_printf(x->arena, " %s ", name);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    if (strstr(rows[i].names, word)) diag_help(d, "%s", rows[i].help);
}

static Value *member(Elaborator *x, Env *e, Ast *a) {
  Value *b = elaborate_expr(x, e, a->base);
  if (!b) return NULL;
  if (b->kind == VALUE_INSTANCE) return instance_member(x, b->instance, a->name, a->name_span);
  if (b->kind == VALUE_FILE) return file_member(x, b->file, a->name, a->name_span);
  if (b->kind == VALUE_STRUCTURE) return structure_member(x, b, a->name, a->name_span);
  if (b->kind == VALUE_DATASET) return data_field(x, b->data, a->name, a->name_span);
  if (is_other_name(a->base, b)) return say_no_instance(x, e, a->base, b);
  for (int i = 0; b->kind == VALUE_TUPLE && b->names && i < b->n; i++)
    if (b->names[i] == a->name) return b->items[i];
  Diag *d = diag_add(x->diags, DIAG_NO_MEMBER, a->name_span, "%s has no part `%s`", value_type_text(x, b), a->name);
  if (b->kind == VALUE_TENSOR) method_help(x, d, a->name);
  return NULL;
}

Value *elaborate_tuple(Elaborator *x, Env *e, AstList *items, const Type *expected, Span at) {
  Value *v = value_new(x, VALUE_TUPLE, at);
  v->n = items->n;
  v->items = NEW_ARRAY(x->arena, Value *, items->n);
  for (int i = 0; i < items->n; i++) {
    const Type *part = expected && i < expected->nparts ? &expected->parts[i] : NULL;
    if (!(v->items[i] = value_at(x, elaborate_expr_as(x, e, items->at[i], part), items->at[i]->span))) return NULL;
  }
  return v;
}

Value *elaborate_expr_as(Elaborator *x, Env *e, Ast *a, const Type *expected) {
  if (x->depth > 1200) {
    diag_add(x->diags, DIAG_TOO_DEEP, a->span, "this is nested too deeply");
    return NULL;
  }
  x->depth++;
  if (expected && expected->nparts && a->kind != AST_TUPLE && a->kind != AST_CHOOSE) expected = NULL;
  Value *v = NULL;
  switch ((AstKind)a->kind) {
  case AST_INTEGER: v = value_int(x, dim_const(x->ir, a->integer), a->span); break;
  case AST_REAL: v = value_real(x, a->real, a->span); break;
  case AST_BOOL: v = value_flag(x, a->integer != 0, a->span); break;
  case AST_STRING:
    v = value_new(x, VALUE_STRING, a->span);
    v->text = a->text;
    break;
  case AST_NAME: v = name_lookup(x, e, a->name, a->span); break;
  case AST_ARRAY: v = array(x, e, a); break;
  case AST_TUPLE: v = elaborate_tuple(x, e, &a->items, expected, a->span); break;
  case AST_MEMBER: v = member(x, e, a); break;
  case AST_INDEX: v = elaborate_index(x, e, a, NULL); break;
  case AST_GUARD:
    if (a->value->kind == AST_INDEX) {
      v = elaborate_index(x, e, a->value, a->otherwise);
    } else if (a->value->kind != AST_ERROR) {
      Diag *d = diag_add(x->diags, DIAG_GUARD_NO_READ, a->value->span,
                         "`else` in brackets belongs to one read of a tensor");
      diag_help(d, "write `(x[i - 1] else 0)`, or `if c then a else b`");
    }
    break;
  case AST_CALL: v = elaborate_call(x, e, a, NULL); break;
  case AST_APPLY: v = elaborate_apply(x, e, a); break;
  case AST_COMPREHENSION: v = elaborate_comprehension(x, e, &a->items, a->body, expected, a->span); break;
  case AST_PIPE: {
    bool resized;
    v = image_resized(x, e, a->left, a->right, &resized);
    if (resized) break;
    Value *piped = elaborate_expr(x, e, a->left);
    if (!piped) break;
    Value *l = value_at(x, piped, a->left->span);
    if (a->right->kind == AST_CALL) {
      v = elaborate_call(x, e, a->right, l);
    } else {
      Ast call = {.kind = AST_CALL, .span = a->span, .callee = a->right};
      static Ast empty = {.kind = AST_LIST};
      call.args = &empty;
      v = elaborate_call(x, e, &call, l);
    }
    break;
  }
  case AST_CHOOSE: v = choose(x, e, a, expected); break;
  case AST_UNARY: v = unary(x, e, a); break;
  case AST_BINARY: {
    Value *l = elaborate_expr(x, e, a->left), *r = elaborate_expr(x, e, a->right);
    int before = x->diags->all.n;
    if (l && r) v = elaborate_binary(x, (Op)a->op, l, r, a->span);
    if (l && r && !v && x->diags->all.n > before) suggest_operands(x, e, a, l, r, x->diags->all.at[before]);
    break;
  }
  case AST_ERROR: break;
  default: ice("`%s` is no expression", ast_word((AstKind)a->kind));
  }
  x->depth--;
  if (!v && !x->generic && !x->diags->errors) ice("`%s` has no value, and no message", written(x, a->span));
  return v;
}

Value *elaborate_expr(Elaborator *x, Env *e, Ast *a) { return elaborate_expr_as(x, e, a, NULL); }
