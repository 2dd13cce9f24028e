/* order.c - `order(x, descending)`, by which the library's argsort, sort and top_k are written: the stable order of
 * the last dimension of x, as positions. It is a word in the library's own files only. */
#include "frontend/value.h"

Value *call_order(Elaborator *x, Env *e, Ast *a) {
  int n;
  CallArg *args = elaborate_args(x, e, a->args, NULL, &n);
  if (!args) return NULL;
  const Value *v = args[0].value;
  if (v->kind == VALUE_STRUCTURE) {
    Diag *d = diag_add(x->diags, DIAG_WRONG_RANK, a->span, "%s, taken together, are not put in order",
                       value_type_text(x, v));
    diag_help(d, "a parameter is picked by its name");
    say_calls(x, d);
    return NULL;
  }
  if (n != 2 || v->kind != VALUE_TENSOR || !v->rank || args[1].value->kind != VALUE_FLAG)
    ice("order: the library gives it something else than a tensor and a flag");
  Var **all = NEW_ARRAY(x->arena, Var *, x->stack.n + v->rank), *own[MAX_RANK];
  Form *at[MAX_RANK], **prefix = NEW_ARRAY(x->arena, Form *, x->stack.n);
  for (int i = 0; i < v->rank; i++) {
    own[i] = var_fresh(x->ir, v->shape[i]);
    at[i] = form_var(x->ir, own[i]);
  }
  Expr *key = value_element(x, v, at);
  int used = 0;
  for (int i = 0; i < x->stack.n; i++)
    if (expr_uses(key, x->stack.at[i].var)) all[used++] = x->stack.at[i].var;
  for (int i = 0; i < used; i++) prefix[i] = form_var(x->ir, all[i]);
  for (int i = 0; i < v->rank; i++) all[used + i] = own[i];
  if (!rank_fits(x, used + v->rank, a->span)) return NULL;
  Node *order = graph_sort(x->graph, used + v->rank, all, args[1].value->truth, key, a->span);
  Value *r = value_take(x, value_node(x, order, a->span), used, prefix);
  r->bound = v->shape[v->rank - 1];
  return r;
}
