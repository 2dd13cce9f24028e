/* value.c - values: numbers, partly taken tensors, conversions. See value.h for what they mean. */
#include "frontend/value.h"

#include <string.h>

Value *value_new(Elaborator *x, ValueKind kind, Span at) {
  Value *v = NEW(x->arena, Value);
  v->kind = kind;
  v->span = at;
  return v;
}

Value *value_int(Elaborator *x, Dim *d, Span at) {
  Value *v = value_new(x, VALUE_INT, at);
  v->dim = d;
  return v;
}

Value *value_real(Elaborator *x, double real, Span at) {
  Value *v = value_new(x, VALUE_REAL, at);
  v->real = real;
  return v;
}

Value *value_flag(Elaborator *x, bool truth, Span at) {
  Value *v = value_new(x, VALUE_FLAG, at);
  v->truth = truth;
  return v;
}

Value *value_scalar(Elaborator *x, Expr *e, Span at) {
  Value *v = value_new(x, VALUE_TENSOR, at);
  v->dtype = e->dtype;
  v->expr = e;
  return v;
}

/* As long as nothing says more, an index is an i32; a number that is written may make it an i64. */
static bool is_wide(Ir *ir, Form *f) {
  Range r = form_range(ir, f);
  if ((r.has_lower && r.lower < INT32_MIN) || (r.has_upper && r.upper > INT32_MAX)) return true;
  bool wide = f->c0 > INT32_MAX / 2 || f->c0 < INT32_MIN / 2;
  for (int i = 0; i < f->n; i++)
    wide = wide || f->terms[i].coefficient > INT32_MAX / 2 || f->terms[i].coefficient < INT32_MIN / 2;
  return wide && !(r.has_lower && r.has_upper);
}

Value *value_index(Elaborator *x, Form *f, Dim *bound, Span at) {
  int64_t c;
  if (form_is_const(f, &c)) return value_int(x, dim_const(x->ir, c), at);
  Value *v = value_scalar(x, expr_index(x->ir, is_wide(x->ir, f) ? DT_i64 : DT_i32, f), at);
  v->weak = true;
  v->bound = bound;
  return v;
}

Value *value_node(Elaborator *x, Node *n, Span at) {
  if (!n->rank) return value_scalar(x, expr_read(x->ir, n, NULL), at);
  Value *v = value_new(x, VALUE_TENSOR, at);
  v->dtype = n->dtype;
  v->node = n;
  v->rank = n->rank;
  v->shape = n->shape;
  return v;
}

bool value_is_number(const Value *v) {
  return v->kind == VALUE_INT || v->kind == VALUE_REAL || v->kind == VALUE_TENSOR;
}

bool values_alike(const Value *a, const Value *b) {
  bool same = a->kind == VALUE_TENSOR && a->dtype == b->dtype && a->rank == b->rank;
  for (int i = 0; same && i < a->rank; i++) same = a->shape[i] == b->shape[i];
  return same;
}

Value *literal_element(Elaborator *x, const Value *v, int i) {
  if (v->rank > 1) return literal_as(x, v->items[i], v->dtype, v->span);
  Form *at = form_const(x->ir, i);
  Value *r = value_take(x, v, 1, &at);
  r->number = v->items[i];
  r->weak = dtype_is_int(v->dtype);
  return r;
}

Value *value_at(Elaborator *x, const Value *v, Span at) {
  if (!v) return NULL;
  Value *here = NEW(x->arena, Value);
  *here = *v;
  here->span = at;
  return here;
}

Value *value_settled(Elaborator *x, Value *v, Span at) {
  if (v && v->again) return value_again(x, v->again);
  if (v && v->kind == VALUE_STRUCTURE && v->states) return structure_state_now(x, v, at);
  bool lives = v && v->kind == VALUE_TENSOR && v->n && !v->node && !v->expr;
  return lives ? tensor_current(x, v->n - 1, at) : v;
}

bool value_is_form(const Value *v) {
  return v->kind == VALUE_INT || (v->kind == VALUE_TENSOR && !v->rank && v->expr->kind == EXPR_INDEX);
}

Form *value_form(Elaborator *x, const Value *v) {
  return v->kind == VALUE_INT ? form_dim(x->ir, v->dim) : form_data(x->ir, v->expr);
}

DType float_default(const Elaborator *x) { return x->options->f64 ? DT_f64 : DT_f32; }

/* What a number is below, as of an index; NULL: nothing that could be written. */
static Dim *bound_of(Elaborator *x, int64_t c) { return c >= 0 && c < INT64_MAX ? dim_const(x->ir, c + 1) : NULL; }

Value *value_runtime(Elaborator *x, Value *v) {
  Value *r = NULL;
  int64_t c;
  switch (v->kind) {
  case VALUE_INT:
    if (dim_is_const(v->dim, &c)) {
      r = value_scalar(x, expr_int(x->ir, c >= INT32_MIN && c <= INT32_MAX ? DT_i32 : DT_i64, c), v->span);
      r->bound = bound_of(x, c);
    } else {
      r = value_scalar(x, expr_index(x->ir, DT_i32, form_dim(x->ir, v->dim)), v->span);
    }
    r->weak = true;
    return r;
  case VALUE_REAL:
    r = value_scalar(x, expr_real(x->ir, float_default(x), v->real), v->span);
    r->weak = true;
    return r;
  case VALUE_FLAG: return value_scalar(x, expr_int(x->ir, DT_bool, v->truth), v->span);
  default: return v;
  }
}

Expr *value_element(Elaborator *x, const Value *v, Form **at) {
  if (v->kind != VALUE_TENSOR) return value_runtime(x, (Value *)v)->expr;
  if (!v->rank) return v->expr;
  Form *all[16];
  for (int i = 0; i < v->nprefix; i++) all[i] = v->prefix[i];
  for (int i = 0; i < v->rank; i++) all[v->nprefix + i] = at[i];
  return expr_read(x->ir, v->node, all);
}

Value *value_take(Elaborator *x, const Value *v, int n, Form **at) {
  if (!n) return (Value *)v;
  if (n > v->rank) ice("value_take: %d of %d dimensions", n, v->rank);
  Value *r = NEW(x->arena, Value);
  *r = *v;
  r->prefix = NEW_ARRAY(x->arena, Form *, v->nprefix + n);
  for (int i = 0; i < v->nprefix; i++) r->prefix[i] = v->prefix[i];
  for (int i = 0; i < n; i++) r->prefix[v->nprefix + i] = at[i];
  r->nprefix = v->nprefix + n;
  r->rank = v->rank - n;
  r->shape = v->shape + n;
  r->items = NULL; /* a part of what was written out is a tensor like others */
  r->length = length_taken(x, v, n, at);
  if (!r->rank) {
    r->expr = expr_read(x->ir, v->node, r->prefix);
    r->node = NULL;
    r->nprefix = 0;
  }
  return r;
}

/* The Vars of the stack that e uses, outermost first; returns how many. */
static int stack_used(Elaborator *x, Expr *e, Var **out) {
  int n = 0;
  for (int i = 0; i < x->stack.n; i++)
    if (expr_uses(e, x->stack.at[i].var)) out[n++] = x->stack.at[i].var;
  return n;
}

static bool forms_use(Form *const *forms, int n, const Var *v) {
  for (int i = 0; i < n; i++)
    if (form_uses(forms[i], v)) return true;
  return false;
}

/* A read whose last forms are just vars is that part of its node: nothing need be made. */
static bool is_view(Expr *body, int rank, Var **vars, int *nprefix) {
  if (body->kind != EXPR_READ || body->node->rank < rank) return false;
  int n = body->node->rank - rank;
  for (int i = 0; i < rank; i++)
    if (form_as_var(body->at[n + i]) != vars[i] || forms_use(body->at, n, vars[i])) return false;
  *nprefix = n;
  return true;
}

static Value *view(Elaborator *x, Node *node, int nprefix, Form **prefix, Span at) {
  Value *v = value_node(x, node, at);
  return nprefix ? value_take(x, v, nprefix, prefix) : v;
}

/* Whether a node may have so many dimensions. */
bool rank_fits(Elaborator *x, int rank, Span at) {
  if (rank <= MAX_RANK) return true;
  Diag *d = diag_add(x->diags, DIAG_RANK_LIMIT, at,
                     "this tensor has %d dimensions, with those that it is mapped over", rank);
  diag_note(d, "a tensor has at most %d", MAX_RANK);
  return false;
}

Value *value_tensor(Elaborator *x, int rank, Var **vars, Expr *body, Span at) {
  int n;
  if (rank && is_view(body, rank, vars, &n) && body->node->shape[n] == vars[0]->extent) {
    bool whole = true;
    for (int i = 0; i < rank; i++) whole = whole && body->node->shape[n + i] == vars[i]->extent;
    if (whole) return view(x, body->node, n, body->at, at);
  }
  if (!rank) return value_scalar(x, body, at);
  Var **all = NEW_ARRAY(x->arena, Var *, x->stack.n + rank);
  n = stack_used(x, body, all);
  if (!rank_fits(x, n + rank, at)) return NULL;
  Form *prefix[MAX_RANK];
  for (int i = 0; i < n; i++) prefix[i] = form_var(x->ir, all[i]);
  Dim *extents[MAX_RANK];
  for (int i = 0; i < rank; i++) all[n + i] = vars[i];
  for (int i = 0; i < n + rank; i++) extents[i] = all[i]->extent;
  if (!size_fits(x, n + rank, extents, at)) return NULL;
  Node *node = graph_comp(x->graph, n + rank, all, RED_none, 0, NULL, body, at);
  return view(x, node, n, prefix, at);
}

bool indices_over(Elaborator *x, const Value *v, int n, Var *const *vars, Var **all, Form **at) {
  if (!rank_fits(x, n + v->rank, v->span)) return false;
  for (int i = 0; i < n; i++) all[i] = vars[i];
  for (int i = 0; i < v->rank; i++) {
    all[n + i] = var_fresh(x->ir, v->shape[i]);
    at[i] = form_var(x->ir, all[n + i]);
  }
  return true;
}

Value *value_abstract(Elaborator *x, Value *v, int n, Var **vars) {
  if (!n) return v;
  if (v->kind == VALUE_TUPLE || v->kind == VALUE_STRUCTURE) {
    Value *t = NEW(x->arena, Value);
    *t = *v;
    t->items = NEW_ARRAY(x->arena, Value *, v->n);
    for (int i = 0; i < v->n; i++) t->items[i] = v->items[i] ? value_abstract(x, v->items[i], n, vars) : NULL;
    t->lead += n;
    return t;
  }
  v = value_runtime(x, v);
  if (v->kind != VALUE_TENSOR) return v;
  Value *r, *length = v->length ? value_abstract(x, v->length, n, vars) : NULL;
  bool tail = v->rank && v->nprefix >= n;
  int head = v->nprefix - n;
  for (int i = 0; tail && i < n; i++)
    tail = form_as_var(v->prefix[head + i]) == vars[i] && v->node->shape[head + i] == vars[i]->extent &&
           !forms_use(v->prefix, head, vars[i]);
  if (tail) {
    r = NEW(x->arena, Value);
    *r = *v;
    r->nprefix = head;
    r->rank = v->rank + n;
    r->shape = v->node->shape + head;
    r->length = length;
    return r;
  }
  Var *all[MAX_RANK];
  Form *at[MAX_RANK];
  if (!indices_over(x, v, n, vars, all, at)) return NULL;
  r = value_tensor(x, n + v->rank, all, value_element(x, v, at), v->span);
  if (r) r->bound = v->bound, r->length = length;
  return r;
}

Node *value_whole(Elaborator *x, Value *v) {
  v = value_runtime(x, v);
  if (v->rank && !v->nprefix) return v->node;
  if (!v->rank && v->expr->kind == EXPR_READ && !v->expr->node->rank) return v->expr->node;
  Var *vars[16];
  Form *at[16];
  for (int i = 0; i < v->rank; i++) {
    vars[i] = var_fresh(x->ir, v->shape[i]);
    at[i] = form_var(x->ir, vars[i]);
  }
  return graph_comp(x->graph, v->rank, vars, RED_none, 0, NULL, value_element(x, v, at), v->span);
}

Value *value_cast(Elaborator *x, const Value *v, DType t, Span at) {
  Var *vars[16];
  Form *forms[16];
  for (int i = 0; i < v->rank; i++) {
    vars[i] = var_fresh(x->ir, v->shape[i]);
    forms[i] = form_var(x->ir, vars[i]);
  }
  return value_tensor(x, v->rank, vars, expr_cast(x->ir, t, value_element(x, v, forms)), at);
}

bool literal_fits(int64_t c, DType t) {
  if (!dtype_is_int(t) || t == DT_i64) return true;
  if (t == DT_u8) return c >= 0 && c <= 255;
  int64_t limit = (int64_t)1 << (8 * dtype_bytes(t) - 1);
  return c >= -limit && c < limit;
}

Value *value_coerce(Elaborator *x, Value *v, DType t, Span at) {
  if (v->kind == VALUE_REAL && dtype_is_float(t)) return value_scalar(x, expr_real(x->ir, t, v->real), at);
  if (v->kind == VALUE_INT) {
    int64_t c;
    if (dim_is_const(v->dim, &c)) {
      if (!literal_fits(c, t)) {
        Diag *d = diag_add(x->diags, DIAG_WRONG_TYPE, at, "%lld does not fit in %s", (long long)c, dtype_name(t));
        diag_help(d, "cast the other side to a wider type, as in i64(...)");
        return NULL;
      }
      Value *r = value_scalar(x, expr_int(x->ir, t, c), at);
      if (dtype_is_int(t)) r->bound = bound_of(x, c);
      return r;
    }
    Value *r = value_scalar(x, expr_cast(x->ir, t, value_runtime(x, v)->expr), at);
    if (dtype_is_int(t) && dim_at_least(x->ir, v->dim, 0)) r->bound = dim_add(x->ir, v->dim, dim_const(x->ir, 1));
    return r;
  }
  if (v->kind == VALUE_FLAG && t == DT_bool) return value_runtime(x, v);
  if (v->kind == VALUE_REAL && t != DT_bool) {
    Diag *d = diag_add(x->diags, DIAG_WRONG_TYPE, at, "this is a real where %s is wanted", dtype_name(t));
    if (dtype_is_int(t))
      diag_help(d, "no type converts silently; `%s(...)` cuts a real, and `f32(...)` makes an integer one",
                dtype_name(t));
    else diag_help(d, "no type converts silently");
    return NULL;
  }
  if (v->kind != VALUE_TENSOR) {
    diag_add(x->diags, DIAG_WRONG_TYPE, at, "this is %s where %s is wanted", value_type_text(x, v), dtype_name(t));
    return NULL;
  }
  v = literal_as(x, v, t, at);
  if (v->dtype == t && !v->weak) return v;
  if (v->weak && (dtype_is_float(t) || dtype_is_int(v->dtype))) {
    if (v->dtype == t) {
      Value *r = NEW(x->arena, Value);
      *r = *v;
      r->weak = false;
      return r;
    }
    Expr *e = expr_cast(x->ir, t, v->expr);
    /* What depends on no index (a schedule, a bias correction) is computed once a step, not once an element. */
    if (dtype_is_float(v->dtype) && !expr_varies(e) && !expr_is_const(e, NULL))
      e = expr_read(x->ir, graph_comp(x->graph, 0, NULL, RED_none, 0, NULL, e, v->span), NULL);
    Value *r = value_scalar(x, e, at);
    if (dtype_is_int(t)) r->bound = v->bound;
    return r;
  }
  Diag *d =
      diag_add(x->diags, DIAG_WRONG_TYPE, at, "this is %s where %s is wanted", value_type_text(x, v), dtype_name(t));
  diag_help(d, "no type converts silently; write `%s(...)` where a conversion is meant", dtype_name(t));
  return NULL;
}

Value *value_as_next(Elaborator *x, Value *v, DType t, Span at) {
  if (v) v = value_runtime(x, v);
  if (!v || v->kind != VALUE_TENSOR) return v;
  return v->rank ? literal_as(x, v, t, at) : value_coerce(x, v, t, at);
}

const char *shape_text(Elaborator *x, int rank, Dim **shape) {
  Buf b = {0};
  dims_print(&b, rank, shape);
  const char *s = arena_strndup(x->arena, b.text, b.n);
  buf_free(&b);
  return s;
}

void value_describe(Elaborator *x, Buf *out, const Value *v) {
  switch (v->kind) {
  case VALUE_INT: buf_puts(out, "an integer"); break;
  case VALUE_REAL: buf_puts(out, "a real"); break;
  case VALUE_FLAG: buf_puts(out, "a flag"); break;
  case VALUE_STRING: buf_puts(out, "a text"); break;
  case VALUE_TENSOR:
    buf_puts(out, dtype_name(v->dtype));
    if (v->bound && v->dtype == DT_i32 && !v->weak) {
      buf_puts(out, "<");
      dim_print(out, v->bound);
      buf_puts(out, ">");
    }
    if (v->rank) buf_puts(out, shape_text(x, v->rank, v->shape));
    break;
  case VALUE_TUPLE:
    buf_puts(out, "(");
    for (int i = 0; i < v->n; i++) {
      if (i) buf_puts(out, ", ");
      if (v->items[i]) value_describe(x, out, v->items[i]);
    }
    buf_puts(out, ")");
    break;
  case VALUE_ARRAY: buf_puts(out, "an array"); break;
  case VALUE_INSTANCE: buf_printf(out, "%s %s", article(v->instance->model->name), v->instance->model->name); break;
  case VALUE_STRUCTURE:
    if (v->of->kind == VALUE_INSTANCE)
      buf_printf(out, "the parameters of %s %s", article(v->of->instance->model->name), v->of->instance->model->name);
    else buf_puts(out, "the parameters of several instances");
    if (v->lead && v->n) buf_printf(out, " for each of %s", shape_text(x, v->lead, v->items[0]->shape));
    break;
  case VALUE_FUNCTION: buf_printf(out, "the function `%s`", v->function->name); break;
  case VALUE_MODEL: buf_printf(out, "the model `%s`", v->model->name); break;
  case VALUE_DATASET: buf_printf(out, "the data `%s`", v->data->name); break;
  case VALUE_FILE: buf_printf(out, "the file `%s`", v->file->path); break;
  case VALUE_DTYPE: buf_printf(out, "the type `%s`", dtype_name(v->dtype)); break;
  case VALUE_PACK: buf_puts(out, "dimensions"); break;
  }
}

const char *value_type_text(Elaborator *x, const Value *v) {
  Buf b = {0};
  value_describe(x, &b, v);
  const char *s = arena_strndup(x->arena, b.text, b.n);
  buf_free(&b);
  return s;
}

void stack_push(Elaborator *x, Var *v, Expr *place) { vec_push(x->arena, &x->stack, (StackVar){v, place}); }
