/* pack.c - an entry's argument of any number of dimensions, `x: f32[..S]`.
 *
 * How many there are is known when the entry is called. Its body has one dimension in their place, with as many
 * elements as all of them together, row by row: what is done to each element, and what uses all of them up, is the
 * same. What has to know the dimensions by themselves, an index, a slice, a function of a vector, is refused. */
#include "frontend/value.h"

Value *pack_of_one(Elaborator *x, const Ast *a, Str name) {
  Value *p = value_new(x, VALUE_PACK, a->span);
  p->rank = 1;
  p->shape = NEW_ARRAY(x->arena, Dim *, 1);
  p->shape[0] = dim_symbol(x->ir, name, 1);
  return p;
}

Value *pack_new(Elaborator *x, const Ast *a) {
  Value *p = pack_of_one(x, a, str_internf(x->strings, "..%s", a->name));
  vec_push(x->kept, &x->packs, p->shape[0]);
  return p;
}

int pack_of(const Elaborator *x, const Dim *d) {
  for (int i = 0; i < x->packs.n; i++)
    if (x->packs.at[i] == d) return i;
  return -1;
}

bool rank_known(Elaborator *x, const Value *v, int first, int end, Span at) {
  int pack = -1;
  for (int i = first; v->kind == VALUE_TENSOR && i < end && i < v->rank && pack < 0; i++)
    pack = pack_of(x, v->shape[i]);
  if (pack < 0) return true;
  Diag *d =
      diag_add(x->diags, DIAG_WRONG_RANK, at, "this is %s, and how many dimensions `%s` are has to be known here",
               value_type_text(x, v), dim_text(x->arena, x->packs.at[pack]));
  diag_help(d,
            "what is done to each element, or uses all of them up, goes with any number; else they are named in the "
            "argument's type, `f32[M, N]`");
  say_calls_around(x, d, at);
  return false;
}
