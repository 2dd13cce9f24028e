/* sort.c - the stable order of a tensor's rows, by counting: an element's place is the number of those that come
 * before it. Each thread has an element. */
#include "codegen/cuda/text.h"

enum { ELEMENTS = 128 /* of a block */ };

void text_sort(Text *t) {
  const Member *m = &t->k->members.at[0];
  const Node *n = m->node;
  int last = n->rank - 1;
  Var **index = NEW_ARRAY(t->arena, Var *, n->rank), *other = var_fresh(t->ir, n->shape[last]);
  Dim *elements = dim_const(t->ir, 1);
  for (int i = 0; i < n->rank; i++) {
    index[i] = var_fresh(t->ir, n->shape[i]);
    if (i >= t->k->times) elements = dim_mul(t->ir, elements, n->shape[i]);
  }
  Form **at = form_vars(t->ir, n->rank, index), **others = form_vars(t->ir, n->rank, index);
  others[last] = form_var(t->ir, other);
  t->how.threads = ELEMENTS;
  text_positions(t, text_threads(t, elements, ELEMENTS), n->rank, index, n->shape);
  const char *key = text_expr(t, expr_at_slots(t->ir, n->body, at)), *own = text_form(t, at[last]),
             *place = text_name(t, 'p');
  text_line(t, "i64 %s = 0;", place);
  text_loop(t, other);
  const char *x = text_expr(t, expr_at_slots(t->ir, n->body, others)), *it = text_form(t, others[last]);
  const char *type = dtype_name(type_of_sums(n->body->dtype)), *before = n->descending ? x : key,
             *after = n->descending ? key : x;
  text_line(t, "if (nn_greater_%s(%s, %s) || (nn_same_%s(%s, %s) && %s < %s)) %s++;", type, before, after, type, x,
            key, it, own, place);
  text_close(t);
  Var *to = var_fresh(t->ir, n->shape[last]);
  text_bind(t, to, place);
  others[last] = form_var(t->ir, to);
  text_line(t, "%s = (int)%s;", text_place(t, m->buffer, n, others), own);
  text_close(t);
}
