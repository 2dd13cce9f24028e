/* arrange.c - `reshape(x, M, N, ...)`, `split(x, size, axis = 0)`, `concat(a, b, ..., axis = 0)`, `stack(a, b, ...)`:
 * the same elements in other tensors, for which no signature of the language has a type: as many dimensions as there
 * are arguments, as many parts as fit, any number of tensors.
 *
 * All are maps over elements; of the stack's indices they know nothing, so they lift as all else. */
#include "frontend/value.h"

#include <string.h>

static Value *fault(Elaborator *x, DiagCode code, Span at, const char *what, const char *help) {
  Diag *d = diag_add(x->diags, code, at, "%s", what);
  diag_help(d, "%s", help);
  return NULL;
}

static Dim *product(Elaborator *x, int n, Dim **shape) {
  Dim *p = dim_const(x->ir, 1);
  for (int i = 0; i < n; i++) p = dim_mul(x->ir, p, shape[i]);
  return p;
}

/* ---- reshape ---- */

/* The elements after one index of dimension i: a number, unless the dimensions after it are open. */
static bool stride_of(Elaborator *x, int rank, Dim **shape, int i, int64_t *stride) {
  return dim_is_const(product(x, rank - i - 1, shape + i + 1), stride) && *stride > 0;
}

/* The number of an element, row by row; NULL: a stride is no number. Where a dimension is 0 its index, of which there
 * is none. */
Form *flat_place(Elaborator *x, int rank, Dim **shape, Form **at) {
  Form *f = form_const(x->ir, 0);
  int64_t stride;
  for (int i = 0; i < rank; i++)
    if (shape[i] == dim_const(x->ir, 0)) return at[i];
  for (int i = 0; i < rank; i++) {
    if (!stride_of(x, rank, shape, i, &stride)) return NULL;
    f = form_add(x->ir, f, form_scale(x->ir, at[i], stride));
  }
  return f;
}

/* The indices of the element of that number; false: a dimension after the first is open. In generic code any; where
 * there is no element, what no number is. */
static bool places_of(Elaborator *x, int rank, Dim **shape, Form *flat, Form **at) {
  bool empty = product(x, rank, shape) == dim_const(x->ir, 0);
  for (int i = 0; i < rank; i++) {
    int64_t stride, extent;
    if (empty) {
      at[i] = flat;
      continue;
    }
    if (x->generic) {
      at[i] = form_const(x->ir, 0);
      continue;
    }
    if (!flat || !stride_of(x, rank, shape, i, &stride) || (i && !dim_is_const(shape[i], &extent))) return false;
    at[i] = form_floordiv(x->ir, flat, stride);
    if (i) at[i] = form_mod(x->ir, at[i], extent);
  }
  return true;
}

static Value *say_open(Elaborator *x, Span at) {
  return fault(x, DIAG_WRONG_SHAPE, at, "these dimensions become one, and are open beyond the first",
               "say by indices where each element comes from");
}

Value *value_as_vector(Elaborator *x, const Value *v, int n, Span at) {
  Var *vars[MAX_RANK];
  Form *from[MAX_RANK];
  vars[0] = var_fresh(x->ir, product(x, n, v->shape));
  if (!places_of(x, n, v->shape, form_var(x->ir, vars[0]), from)) return say_open(x, at);
  for (int i = n; i < v->rank; i++) {
    vars[i - n + 1] = var_fresh(x->ir, v->shape[i]);
    from[i] = form_var(x->ir, vars[i - n + 1]);
  }
  Value *r = value_tensor(x, v->rank - n + 1, vars, value_element(x, v, from), at);
  if (r) r->bound = v->bound;
  return r;
}

/* The new shape, in which one -1 stands for what is left. False after a message. */
static bool new_shape(Elaborator *x, const Value *v, int n, const CallArg *args, Dim **shape) {
  Dim *all = product(x, v->rank, v->shape), *known = dim_const(x->ir, 1);
  int left = -1;
  for (int i = 0; i < n; i++) {
    if (args[i].value->kind != VALUE_INT)
      return fault(x, DIAG_NOT_A_DIMENSION, args[i].span, "a dimension is an integer known at compile time",
                   "write `reshape(x, M, N)`");
    shape[i] = args[i].value->dim;
    bool rest = shape[i] == dim_const(x->ir, -1);
    if (rest && left >= 0)
      return fault(x, DIAG_WRONG_SHAPE, args[i].span, "-1 is what the other new dimensions leave, and stands once",
                   "all but one are numbers: `reshape(x, M, -1)`");
    if (rest) left = i;
    else if (!extent_holds(x, shape[i], 0, args[i].span)) return false;
    else known = dim_mul(x->ir, known, shape[i]);
  }
  int64_t count = 0;
  if (left >= 0 && known == dim_const(x->ir, 0) && (!dim_is_const(all, &count) || count == 0))
    return fault(x, DIAG_WRONG_SHAPE, args[left].span, "any dimension fits here: the others make 0 elements",
                 "write the number that -1 stands for");
  if (left >= 0) shape[left] = dim_exact_div(x->ir, all, known);
  if (left >= 0 && shape[left]) known = dim_mul(x->ir, known, shape[left]);
  if (known == all) return true;
  if (x->generic && !dim_is_const(dim_sub(x->ir, known, all), NULL)) {
    if (left >= 0 && !shape[left]) shape[left] = dim_floordiv(x->ir, all, known);
    return true; /* tested where it has numbers */
  }
  Diag *d = diag_add(x->diags, DIAG_WRONG_SHAPE, args[0].span, "%s has %s elements, and the new shape %s",
                     value_type_text(x, v), dim_text(x->arena, all),
                     left >= 0 ? "does not divide them" : dim_text(x->arena, known));
  say_calls(x, d);
  return false;
}

Value *call_reshape(Elaborator *x, Env *e, Ast *a, Value *piped) {
  int n;
  CallArg *args = elaborate_args(x, e, a->args, piped, &n);
  if (!args) return NULL;
  const Value *v = args[0].value;
  if (n < 2 || v->kind != VALUE_TENSOR)
    return fault(x, DIAG_ARGUMENTS, a->span, "`reshape` takes a tensor and its new dimensions",
                 "write `reshape(x, M, N)`");
  if (!rank_fits(x, n - 1, a->span) || !rank_known(x, v, 0, v->rank, a->span)) return NULL;
  Dim *shape[MAX_RANK];
  Var *vars[MAX_RANK];
  Form *at[MAX_RANK];
  if (!new_shape(x, v, n - 1, args + 1, shape)) return NULL;
  for (int i = 0; i < n - 1; i++) vars[i] = var_fresh(x->ir, shape[i]);
  Form *flat = flat_place(x, n - 1, shape, form_vars(x->ir, n - 1, vars));
  if (!places_of(x, v->rank, v->shape, flat, at))
    return fault(x, DIAG_WRONG_SHAPE, a->span, "`reshape` of dimensions that are open beyond the first",
                 "say by indices where each element comes from");
  Value *r = value_tensor(x, n - 1, vars, value_element(x, v, at), a->span);
  if (r) r->bound = v->bound;
  return r;
}

/* ---- split ---- */

static Value *part(Elaborator *x, const Value *v, int64_t axis, Dim *from, Dim *size, Span span) {
  Var *vars[MAX_RANK];
  Form *at[MAX_RANK];
  for (int i = 0; i < v->rank; i++) {
    vars[i] = var_fresh(x->ir, i == axis ? size : v->shape[i]);
    at[i] = form_var(x->ir, vars[i]);
  }
  at[axis] = form_add(x->ir, at[axis], form_dim(x->ir, from));
  Value *r = value_tensor(x, v->rank, vars, value_element(x, v, at), span);
  if (r) r->bound = v->bound;
  return r;
}

/* The size of part number k, which begins at `from`: all the same but perhaps the last, or as listed. NULL: there is
 * none. */
static Dim *size_of(Elaborator *x, const Value *sizes, int k, Dim *from, Dim *extent) {
  if (sizes->kind == VALUE_ARRAY)
    return k < sizes->n && sizes->items[k]->kind == VALUE_INT ? sizes->items[k]->dim : NULL;
  Dim *left = dim_sub(x->ir, extent, from);
  int64_t rest;
  return dim_is_const(left, &rest) && !dim_at_least(x->ir, dim_sub(x->ir, left, sizes->dim), 0) ? left : sizes->dim;
}

/* `[2, 3]` by its numbers; as a value it would be a tensor. */
static Value *listed(Elaborator *x, Env *e, const Ast *a) {
  Value *v = value_new(x, VALUE_ARRAY, a->span);
  v->n = a->items.n;
  v->items = NEW_ARRAY(x->arena, Value *, v->n + 1);
  for (int i = 0; i < v->n; i++)
    if (!(v->items[i] = elaborate_expr(x, e, a->items.at[i]))) return NULL;
  return v;
}

/* How many parts: as listed, or as many as there are of the size; -1 where that is no number. */
static int64_t number_of_parts(Elaborator *x, const Value *sizes, Dim *extent) {
  int64_t size, all;
  if (sizes->kind == VALUE_ARRAY) return sizes->n;
  if (dim_is_const(sizes->dim, &size) && dim_is_const(extent, &all)) return size > 0 ? (all + size - 1) / size : 0;
  Dim *n = dim_exact_div(x->ir, extent, sizes->dim);
  return n && dim_is_const(n, &all) ? all : -1;
}

/* v cut along the axis; NULL after a message, or in generic code that does not know how many parts there are. */
static Value *parts_of(Elaborator *x, const Value *v, int64_t axis, const Value *sizes, Span at, Span span) {
  Dim *extent = v->shape[axis], *from = dim_const(x->ir, 0);
  int64_t n = number_of_parts(x, sizes, extent);
  if (n < 0 && x->generic) return NULL;
  if (n < 0)
    return fault(x, DIAG_WRONG_SHAPE, span, "what is split has a size that is not known here",
                 "slices are taken of any size: `x[0:N]`");
  Value *r = value_new(x, VALUE_TUPLE, span);
  r->items = NEW_ARRAY(x->arena, Value *, n + 1);
  while (r->n < n) {
    Dim *size = size_of(x, sizes, r->n, from, extent);
    if (!size || (!dim_at_least(x->ir, size, 1) && !x->generic)) break;
    if (!(r->items[r->n++] = part(x, v, axis, from, size, span))) return NULL;
    from = dim_add(x->ir, from, size);
  }
  bool open = x->generic && !dim_is_const(dim_sub(x->ir, from, extent), NULL); /* seen where it has numbers */
  if (r->n && r->n == n && (from == extent || open)) return r;
  return fault(x, DIAG_WRONG_SHAPE, at, "these sizes do not add up to what is split",
               "each is 1 or more, and together they are the dimension");
}

Value *call_split(Elaborator *x, Env *e, Ast *a, Value *piped) {
  int n;
  CallArg *args = elaborate_args(x, e, a->args, piped, &n);
  if (!args) return NULL;
  const Value *v = args[0].value, *sizes = n > 1 ? args[1].value : NULL;
  const Ast *list = n > 1 ? a->args->items.at[piped ? 0 : 1]->value : NULL;
  if (list && list->kind == AST_ARRAY && !(sizes = listed(x, e, list))) return NULL;
  int64_t axis = 0;
  bool fits = n >= 2 && n <= 3 && v->kind == VALUE_TENSOR && (sizes->kind == VALUE_INT || sizes->kind == VALUE_ARRAY);
  if (fits && n == 3)
    fits = args[2].value->kind == VALUE_INT && dim_is_const(args[2].value->dim, &axis) &&
           (!args[2].name || !strcmp(args[2].name, "axis"));
  if (!fits || axis < 0 || axis >= v->rank)
    return fault(x, DIAG_ARGUMENTS, a->span, "`split` takes a tensor, the size of a part or all sizes, and an axis",
                 "write `split(x, 4)`, `split(x, [2, 3])` or `split(x, 4, axis = 1)`");
  if (!rank_known(x, v, 0, v->rank, a->span)) return NULL;
  return parts_of(x, v, axis, sizes, args[1].span, a->span);
}

/* ---- concat, stack ---- */

typedef struct Joined { /* tensors beside each other */
  int n;
  CallArg *parts;
  int64_t axis;
  Dim *size; /* of the whole, along the axis */
} Joined;

/* `axis = k` if it stands last, which is then no part. Counted from the end where it is negative. */
static bool take_axis(const Joined *j, int rank, int64_t *axis) {
  const CallArg *last = &j->parts[j->n];
  if (last->value->kind != VALUE_INT || !dim_is_const(last->value->dim, axis)) return false;
  if (*axis < 0) *axis += rank;
  return *axis >= 0 && *axis < rank;
}

static bool same_but_axis(const Value *a, const Value *b, int64_t axis) {
  bool same = a->rank == b->rank && a->dtype == b->dtype;
  for (int i = 0; same && i < a->rank; i++) same = i == axis || a->shape[i] == b->shape[i];
  return same;
}

/* The parts, which fit but for the axis. `more`: dimensions that the whole has beside theirs. False after a message.
 */
static bool joined(Elaborator *x, Env *e, Ast *a, Value *piped, int more, Joined *j) {
  const char *name = a->callee->name;
  if (!(j->parts = elaborate_args(x, e, a->args, piped, &j->n))) return false;
  bool named = j->n && j->parts[j->n - 1].name && !strcmp(j->parts[j->n - 1].name, "axis");
  j->n -= named;
  const Value *first = j->n ? j->parts[0].value : NULL;
  bool fits = first && first->kind == VALUE_TENSOR && (first->rank || more);
  for (int i = 0; fits && i < j->n; i++) fits = j->parts[i].value->kind == VALUE_TENSOR && !j->parts[i].name;
  if (!fits || (named && !take_axis(j, first->rank + more, &j->axis))) {
    Diag *d =
        diag_add(x->diags, DIAG_ARGUMENTS, a->span, "`%s` takes tensors, and perhaps an axis that they have", name);
    diag_help(d, "write `%s(a, b)` or `%s(a, b, axis = 1)`", name, name);
    return false;
  }
  for (int i = 0; i < j->n; i++) /* numbers that are written adapt to a float beside them */
    for (int k = 0; k < j->n; k++)
      j->parts[i].value = literal_as(x, j->parts[i].value, j->parts[k].value->dtype, j->parts[i].span);
  first = j->parts[0].value;
  bool leads = more && !j->axis;
  for (int i = 0; i < j->n && !leads; i++)
    if (!rank_known(x, j->parts[i].value, 0, first->rank, j->parts[i].span)) return false;
  for (int i = 1; i < j->n; i++) {
    if (same_but_axis(first, j->parts[i].value, more ? -1 : j->axis)) continue;
    Diag *d = diag_add(x->diags, DIAG_WRONG_SHAPE, j->parts[i].span, "`%s` of %s and %s", name,
                       value_type_text(x, first), value_type_text(x, j->parts[i].value));
    diag_place(d, j->parts[0].span, "the first");
    if (!more) diag_help(d, "but for dimension %d, along which they are joined, they have one shape", (int)j->axis);
    else diag_help(d, "they have one type and shape");
    return false;
  }
  return true;
}

static Value **values_of(Elaborator *x, const Joined *j) {
  Value **parts = NEW_ARRAY(x->arena, Value *, j->n);
  for (int i = 0; i < j->n; i++) parts[i] = j->parts[i].value;
  return parts;
}

/* The whole, over indices of which the one of the axis says which part it is. */
Value *call_concat(Elaborator *x, Env *e, Ast *a, Value *piped) {
  Joined j = {.size = dim_const(x->ir, 0)};
  if (!joined(x, e, a, piped, 0, &j)) return NULL;
  const Value *first = j.parts[0].value;
  Var *vars[MAX_RANK];
  Form *at[MAX_RANK], *from = form_const(x->ir, 0);
  for (int i = 0; i < j.n; i++) j.size = dim_add(x->ir, j.size, j.parts[i].value->shape[j.axis]);
  for (int i = 0; i < first->rank; i++) {
    vars[i] = var_fresh(x->ir, i == j.axis ? j.size : first->shape[i]);
    at[i] = form_var(x->ir, vars[i]);
  }
  Expr **reads = NEW_ARRAY(x->arena, Expr *, j.n), **before = NEW_ARRAY(x->arena, Expr *, j.n);
  Form *whole = at[j.axis];
  for (int i = 0; i < j.n; i++) {
    const Value *part = j.parts[i].value;
    Dim *extent = part->shape[j.axis];
    at[j.axis] = form_sub(x->ir, whole, from);
    Expr *inside = expr_inside(x->ir, at[j.axis], extent); /* NULL: the others are empty */
    reads[i] = value_element(x, part, at);
    if (inside) reads[i] = expr_select(x->ir, inside, reads[i], expr_int(x->ir, part->dtype, 0));
    from = form_add(x->ir, from, form_dim(x->ir, extent));
    before[i] = expr_ge0(x->ir, form_sub(x->ir, form_sub(x->ir, from, whole), form_const(x->ir, 1)));
  }
  Expr *body = reads[j.n - 1];
  for (int i = j.n - 1; i-- > 0;) body = expr_select(x->ir, before[i], reads[i], body);
  Value *r = value_tensor(x, first->rank, vars, body, a->span);
  if (r) r->bound = limit_of_all(x, j.n, values_of(x, &j));
  return r;
}

Value *value_stack(Elaborator *x, int n, Value **parts, int axis, Span span) {
  const Value *first = parts[0];
  if (!rank_fits(x, first->rank + 1, span)) return NULL;
  Var *vars[MAX_RANK];
  Form *at[MAX_RANK];
  for (int i = 0; i <= first->rank; i++) {
    int own = i - (i > axis);
    vars[i] = var_fresh(x->ir, i == axis ? dim_const(x->ir, n) : first->shape[own]);
    if (i != axis) at[own] = form_var(x->ir, vars[i]);
  }
  Form *which = form_var(x->ir, vars[axis]);
  Expr *body = value_element(x, parts[n - 1], at);
  for (int i = n - 1; i-- > 0;)
    body = expr_select(x->ir, expr_eq0(x->ir, form_sub(x->ir, which, form_const(x->ir, i))),
                       value_element(x, parts[i], at), body);
  Value *r = value_tensor(x, first->rank + 1, vars, body, span);
  if (r) r->bound = limit_of_all(x, n, parts);
  return r;
}

Value *call_stack(Elaborator *x, Env *e, Ast *a, Value *piped) {
  Joined j = {0};
  if (!joined(x, e, a, piped, 1, &j)) return NULL;
  return value_stack(x, j.n, values_of(x, &j), (int)j.axis, a->span);
}

/* ---- iota ---- */

Value *call_iota(Elaborator *x, Env *e, Ast *a, Value *piped) {
  int n;
  CallArg *args = elaborate_args(x, e, a->args, piped, &n);
  if (!args) return NULL;
  if (n != 1 || args[0].value->kind != VALUE_INT)
    return fault(x, DIAG_ARGUMENTS, a->span, "`iota` takes a dimension", "`iota(N)` is 0, 1, ... N - 1");
  if (!extent_holds(x, args[0].value->dim, 0, args[0].span)) return NULL;
  Var *i = var_fresh(x->ir, args[0].value->dim);
  Value *r = value_tensor(x, 1, &i, expr_index(x->ir, DT_i32, form_var(x->ir, i)), a->span);
  if (r) r->bound = args[0].value->dim;
  return r;
}
