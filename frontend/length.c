/* length.c - `len(x)`: how many rows of a tensor there are, and what takes a part of a tensor that has a length.
 *
 * What a `repeat` keeps of its turns has its largest size and a length beside it. The length goes with the value to
 * where it is named, returned or given to a function; a tensor computed from it has all of its rows. */
#include "frontend/value.h"

Value *call_len(Elaborator *x, Env *e, Ast *a) {
  int n;
  CallArg *args = elaborate_args(x, e, a->args, NULL, &n);
  if (!args) return NULL;
  const Value *v = args[0].value;
  if (n == 1 && !rank_known(x, v, 0, 1, a->span)) return NULL;
  if (n == 1 && v->kind == VALUE_ARRAY) return value_int(x, dim_const(x->ir, v->n), a->span);
  if (n == 1 && v->kind == VALUE_TENSOR && v->rank) return v->length ? v->length : value_int(x, v->shape[0], a->span);
  diag_add(x->diags, n == 1 ? DIAG_WRONG_TYPE : DIAG_ARGUMENTS, a->span,
           n == 1 ? "%s has no length" : "`len` takes one tensor", value_type_text(x, v));
  return NULL;
}

Value *length_taken(Elaborator *x, const Value *v, int n, Form **at) {
  return v->length && n <= v->length->rank ? value_take(x, v->length, n, at) : NULL;
}
