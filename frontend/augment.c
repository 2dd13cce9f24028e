/* augment.c - `augment image = image |> random_flip` in data: what training sees instead of a field. It is written
 * for one example, may draw, and is part of a step's graph: validation, statistics and entries have the field as it
 * is. */
#include "frontend/training.h"

#include <string.h>

static int field_named(const DataSet *d, Str name) {
  for (int i = 0; i < d->fields.n; i++)
    if (d->fields.at[i].name == name) return i;
  return -1;
}

static bool names_fields(const DataSet *d, const Ast *a) {
  for (int i = 0; i < a->items.n; i++)
    if (field_named(d, a->items.at[i]->name) < 0) return false;
  return true;
}

void check_augmented(Elaborator *x, const DataSet *d, const Ast *a) {
  for (int i = 0; i < a->items.n; i++) {
    const Ast *name = a->items.at[i];
    if (field_named(d, name->name) >= 0) continue;
    Nearest near = {name->name, 3, NULL, false};
    for (int k = 0; k < d->fields.n; k++) nearest_consider(&near, d->fields.at[k].name);
    Diag *g =
        diag_add(x->diags, DIAG_FIELD, name->span, "`%s` is no field above, so it cannot be augmented", name->name);
    if (near.found) diag_fix(diag_help(g, "did you mean `%s`?", near.found), name->span, "%s", near.found);
  }
}

/* A field's type, as `name: type` would say it. */
static Type field_type(Elaborator *x, const Field *f) {
  Type t = {.dtype = f->dtype, .rank = f->rank, .shape = NEW_ARRAY(x->arena, Dim *, f->rank + 1)};
  for (int i = 0; i < f->rank; i++) t.shape[i] = field_dim(x, f, i);
  return t;
}

/* The value as one of the field's; NULL after a message. */
static Value *as_field(Elaborator *x, const Field *f, Value *v, Span at) {
  Type t = field_type(x, f);
  bool loose = v->kind == VALUE_INT || v->kind == VALUE_REAL || (v->kind == VALUE_TENSOR && v->weak);
  if (loose && !(v = value_coerce(x, v, t.dtype, at))) return NULL;
  bool same = v->kind == VALUE_TENSOR && v->dtype == t.dtype && v->rank == t.rank;
  for (int i = 0; same && i < t.rank; i++) same = v->shape[i] == t.shape[i];
  Dim *bound = f->bound ? dim_const(x->ir, f->bound) : NULL;
  if (same && (!bound || (v->bound && dim_at_least(x->ir, dim_sub(x->ir, bound, v->bound), 0)))) return v;
  Diag *d = diag_add(x->diags, same ? DIAG_WRONG_BOUND : DIAG_WRONG_SHAPE, at, "augmented, `%s` is %s", f->name,
                     value_type_text(x, v));
  if (same) diag_place(d, f->span, "the field is below %lld", (long long)f->bound);
  else diag_place(d, f->span, "the field is %s%s", dtype_name(t.dtype), shape_text(x, t.rank, t.shape));
  return NULL;
}

/* One statement, for the example at the index b: gives the fields' new values, over b. */
static void augment_one(Elaborator *x, const DataSet *d, Env *one, Ast *a, Value **fields) {
  const Field *first = &d->fields.at[field_named(d, a->items.at[0]->name)];
  Type t = field_type(x, first);
  Value *v = elaborate_expr_as(x, one, a->value, a->items.n == 1 && t.rank ? &t : NULL);
  int n = a->items.n;
  if (v && (n > 1 || v->kind == VALUE_TUPLE) && (v->kind != VALUE_TUPLE || v->n != n)) {
    diag_add(x->diags, DIAG_UNPACK, a->value->span, "%d name%s for %s", n, n == 1 ? "" : "s", value_type_text(x, v));
    v = NULL;
  }
  for (int i = 0; i < n; i++) {
    int k = field_named(d, a->items.at[i]->name);
    Value *own = v && n > 1 ? v->items[i] : v;
    fields[k] = own ? as_field(x, &d->fields.at[k], own, a->value->span) : NULL;
  }
}

/* The example's place in its own data set. */
static Expr *own_place(Elaborator *x, const DataSet *d, Var *b, Span at) {
  Form *i[1] = {form_var(x->ir, b)};
  bool first = &x->program->data.at[x->drawn.at[0].data] == d;
  Str name = first ? str_internz(x->strings, "$place") : str_internf(x->strings, "$place.%s", d->name);
  return expr_read(x->ir, graph_named_input(x, name, DT_i64, 1, &x->batch, at), i);
}

/* The field's value for the example, over b again: with its bound, and as long as it was. */
static Value *whole_field(Elaborator *x, const Field *f, Value *one, Value *before, Var *b) {
  Value *v = one ? value_abstract(x, one, 1, &b) : NULL;
  if (v && f->bound) v->bound = dim_const(x->ir, f->bound);
  if (v) v->length = before->length;
  return v;
}

void augment_fields(Elaborator *x, const DataDecl *data, Value **fields) {
  const DataSet *d = &x->program->data.at[data->index];
  const AstList *body = &data->ast->body->items;
  Module *module = x->module;
  Frame *frame = frame_enter(x, str_internf(x->strings, "augment.%s", d->name));
  x->module = data->module;
  Value **one = NEW_ARRAY(x->arena, Value *, d->fields.n + 1);
  Var *b = var_fresh(x->ir, x->batch);
  Form *at = form_var(x->ir, b);
  stack_push(x, b, own_place(x, d, b, data->ast->span));
  for (int i = 0; i < d->fields.n; i++) {
    one[i] = value_take(x, fields[i], 1, &at);
    one[i]->bound = fields[i]->bound;
  }
  bool any = false;
  for (int i = 0; i < body->n; i++) {
    if (body->at[i]->kind != AST_AUGMENT || !names_fields(d, body->at[i])) continue;
    Env *names = data_names(x, d, data->ast->span);
    for (int k = 0; k < d->fields.n; k++)
      names = env_bind(x, names, d->fields.at[k].name, one[k], d->fields.at[k].span);
    for (int k = 0; k < data->failed.n; k++) names = env_bind(x, names, data->failed.at[k], NULL, data->ast->span);
    augment_one(x, d, names, body->at[i], one);
    any = true;
  }
  x->stack.n--;
  x->module = module;
  x->frame = frame;
  for (int i = 0; any && i < d->fields.n; i++) fields[i] = whole_field(x, &d->fields.at[i], one[i], fields[i], b);
}
