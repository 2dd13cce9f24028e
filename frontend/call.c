/* call.c - calls: arguments and parameters, the lifting rule, what is built in, and draws. */
#include "frontend/value.h"

#include <string.h>

/* ---- names of calls, for draws ---- */

Frame *frame_enter(Elaborator *x, Str name) {
  Frame *up = x->frame, *f = NEW(x->arena, Frame);
  f->up = up;
  f->name = name;
  x->frame = f;
  if (!up) return up;
  for (int i = 0; i < up->children.n; i++)
    if (up->children.at[i].name == name) {
      f->occurrence = up->children.at[i].n++;
      return up;
    }
  vec_push(x->arena, &up->children, (FrameCount){name, 1});
  return up;
}

static void frame_print(Buf *b, Frame *f) {
  if (!f) return;
  frame_print(b, f->up);
  if (b->n) buf_puts(b, "/");
  buf_puts(b, f->name);
  if (f->occurrence) buf_printf(b, "#%d", f->occurrence);
}

Str frame_path(Elaborator *x, Str name) {
  Buf b = {0};
  frame_print(&b, x->frame);
  if (b.n) buf_puts(&b, "/");
  buf_puts(&b, name);
  Str s = str_intern(x->strings, b.text, b.n);
  buf_free(&b);
  return s;
}

void say_calls_around(Elaborator *x, Diag *d, Span at) {
  for (int i = x->calls.n - 1; i >= 0; i--) {
    const CallPlace *c = &x->calls.at[i];
    if (c->call.source && !span_holds(c->call, at))
      diag_place(d, c->call, "in this use of `%s`", c->function ? function_title(x, c->function) : c->name);
  }
}

void say_calls(Elaborator *x, Diag *d) { say_calls_around(x, d, (Span){0}); }

/* ---- arguments ---- */

CallArg *elaborate_args(Elaborator *x, Env *e, Ast *args, Value *piped, int *n) {
  CallArg *out = NEW_ARRAY(x->arena, CallArg, args->items.n + 2);
  bool fails = false;
  *n = 0;
  if (piped) out[(*n)++] = (CallArg){NULL, piped, piped->span, piped->span}; /* where it stands before the sign */
  for (int i = 0; i < args->items.n; i++) {
    Ast *a = args->items.at[i];
    Str naming = x->naming;
    x->naming = NULL;
    CallArg *arg = &out[(*n)++];
    *arg = (CallArg){a->name, elaborate_expr(x, e, a->value), a->value->span, a->name ? a->name_span : a->span};
    x->naming = naming;
    if (!arg->value) fails = true;
  }
  return fails ? NULL : out;
}

static bool is_compile_time_type(Str name);

/* `real[N]`: what is known when compiling has no dimensions. */
static void check_parameter(Elaborator *x, const Ast *p) {
  const Ast *type = p->type;
  if (!type || type->kind != AST_TYPE || !type->shape || !is_compile_time_type(type->name)) return;
  Diag *d = diag_add(x->diags, DIAG_NOT_A_TYPE, type->span,
                     "%s `%s` is known when the program is compiled, and has no dimensions", article(type->name),
                     type->name);
  diag_help(d, "a tensor's elements are f32, i32, ...: `%s: f32[N]`", p->name);
}

/* Of several parameters, or of several parts of a result, `what`: each has a name of its own. */
static void check_names(Elaborator *x, const Ast *list, const char *what) {
  for (int i = 0; i < list->items.n; i++)
    for (int k = 0; k < i; k++) {
      const Ast *a = list->items.at[i], *first = list->items.at[k];
      if (!a->name || a->name != first->name) continue;
      Diag *d = diag_add(x->diags, DIAG_TWICE, a->name_span, "`%s` is a %s already", a->name, what);
      diag_place(d, first->name_span, "the first is here");
      break;
    }
}

void check_function(Elaborator *x, const Ast *a) {
  const Ast *params = a->params;
  int errors = x->diags->errors;
  for (int i = 0; i < params->items.n; i++) check_parameter(x, params->items.at[i]);
  if (x->diags->errors > errors) vec_push(x->kept, &x->broken, a);
  check_names(x, params, "parameter");
  if (a->type && a->type->kind == AST_TYPE_TUPLE) check_names(x, a->type, "part of the result");
}

static void say_parameters(Diag *d, const Ast *params) {
  Buf b = {0};
  for (int p = 0; p < params->items.n; p++) buf_printf(&b, "%s`%s`", p ? ", " : "", params->items.at[p]->name);
  if (b.n) diag_help(d, "it has %s", b.text);
  buf_free(&b);
}

/* Whether other libraries call this parameter so. */
static bool is_called_elsewhere(Str parameter, Str name) {
  static const char *const names[][2] = {{"lr", "learning_rate"}, {"mu", "momentum"},     {"kernel_size", "kernel"},
                                         {"stride", "strides"},   {"rate", "dropout"},    {"rate", "p"},
                                         {"HEADS", "num_heads"},  {"IN", "in_features"},  {"OUT", "out_features"},
                                         {"IN", "in_channels"},   {"OUT", "out_channels"}};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (!strcmp(parameter, names[i][0]) && !strcmp(name, names[i][1])) return true;
  return false;
}

static const char draw_help[] = "what is drawn has a name and a type, `z: f32[N] ~ normal(0, 1)`";

/* Whether these are a distribution's parameters: the first is the uniform number. */
static bool draws(const Ast *params) { return params->items.n && !strcmp(params->items.at[0]->name, "u"); }

/* Which argument each parameter gets: by name, else by position. false after a message. */
static bool match_args(Elaborator *x, Ast *params, int n, CallArg *args, CallArg **out, Span at, Str name) {
  int np = params->items.n, position = 0;
  bool ok = true;
  for (int i = 0; i < n; i++) {
    int k = -1;
    if (args[i].name) {
      for (int p = 0; p < np; p++)
        if (params->items.at[p]->name == args[i].name) k = p;
      if (k < 0) {
        Diag *d =
            diag_add(x->diags, DIAG_ARGUMENTS, args[i].name_span, "`%s` has no parameter `%s`", name, args[i].name);
        Nearest near = {args[i].name, 3, NULL, false};
        for (int p = 0; p < np; p++)
          if (!out[p]) nearest_consider(&near, params->items.at[p]->name);
        for (int p = 0; p < np; p++)
          if (is_called_elsewhere(params->items.at[p]->name, args[i].name)) near.found = params->items.at[p]->name;
        static const char *const axes = " dim dims axis axes keepdim keepdims ";
        if (!strcmp(args[i].name, "betas")) diag_help(d, "they are two, `beta1 = 0.9, beta2 = 0.999`");
        else if (near.found) diag_meant(d, args[i].name_span, near.found);
        else if (strstr(axes, arena_printf(x->arena, " %s ", args[i].name)))
          diag_help(d, "a dimension is said by an index, `%s(i: x[i, j])`; without one it is the last", name);
        else say_parameters(d, params);
        ok = false;
        continue;
      }
    } else if (i && args[i - 1].name) {
      Diag *d = diag_add(x->diags, DIAG_ARGUMENTS, args[i].span, "an argument without a name comes after `%s`",
                         args[i - 1].name);
      diag_help(d, "arguments go in order first, and then by name");
      return false;
    } else if (position < np) {
      k = position++;
    } else {
      say_calls(x, diag_add(x->diags, DIAG_ARGUMENTS, args[i].span, "`%s` takes %d argument%s", name, np,
                            np == 1 ? "" : "s"));
      return false;
    }
    if (out[k]) {
      diag_add(x->diags, DIAG_ARGUMENTS, args[i].span, "`%s` of `%s` is given twice", params->items.at[k]->name,
               name);
      ok = false;
      continue;
    }
    out[k] = &args[i];
  }
  for (int p = 0; ok && p < np; p++) {
    Ast *param = params->items.at[p];
    if (out[p] || param->value) continue;
    Diag *d = diag_add(x->diags, DIAG_ARGUMENTS, at, "`%s` of `%s` is not given", param->name, name);
    diag_place(d, param->span, "declared here");
    if (!strcmp(params->items.at[0]->name, "self"))
      diag_help(d, "a function of a model does not name it: leave `self` out");
    if (draws(params)) diag_help(d, "%s", draw_help);
    say_calls_around(x, d, at);
    ok = false;
  }
  return ok;
}

Env *bind_parameters(Elaborator *x, Env *outer, Ast *params, int n, CallArg *args, Span at, Str name) {
  CallArg **given = NEW_ARRAY(x->arena, CallArg *, params->items.n + 1);
  if (!match_args(x, params, n, args, given, at, name)) return NULL;
  Env *e = outer;
  for (int p = 0; p < params->items.n; p++) {
    Ast *param = params->items.at[p];
    Value *v = given[p] ? given[p]->value : elaborate_expr(x, e, param->value);
    if (!v) return NULL;
    const char *what = arena_printf(x->arena, "`%s`", param->name);
    v = type_match(x, &e, param, v, 0, given[p] ? given[p]->span : param->value->span, what);
    if (!v) return NULL;
    if (v->kind == VALUE_INT && param->type && !strcmp(param->type->name, "real")) {
      int64_t c;
      Value *r = value_real(x, 0, v->span);
      if (dim_is_const(v->dim, &c)) r->real = (double)c;
      else r->unknown = true;
      v = r;
    }
    if (v->kind == VALUE_INT && given[p] && is_users(x, given[p]->span)) /* a layer's width is what it is given */
      v = value_at(x, v, given[p]->span);
    e = env_bind(x, e, param->name, v, param->name_span);
  }
  return e;
}

/* ---- calls of functions ---- */

static bool is_compile_time_type(Str name) {
  static const char *const all[] = {"int", "real", "string", "flag", "fn", "schedule", "dtype"};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    if (!strcmp(name, all[i])) return true;
  return false;
}

static bool is_tensor_type(Elaborator *x, Env *e, Ast *type) {
  if (!type || type->kind != AST_TYPE || is_compile_time_type(type->name)) return false;
  bool ok;
  dtype_of_name(x, type->name, &ok);
  Env *b = env_find(e, type->name);
  return ok || !strcmp(type->name, "float") || !strcmp(type->name, "num") ||
         (b && b->value && b->value->kind == VALUE_DTYPE);
}

static bool is_float_type(const Elaborator *x, const Ast *type) {
  bool ok;
  DType t = dtype_of_name(x, type->name, &ok);
  return !strcmp(type->name, "float") || (ok && dtype_is_float(t));
}

typedef struct Lift { /* the extra leading dimensions of a call, and whose they are */
  int n;
  Dim **shape;
  Span span;
  Str name;
} Lift;

static bool lift_of(Elaborator *x, Env *e, Ast *param, CallArg *arg, Lift *lift, int *extra) {
  *extra = 0;
  Value *v = arg->value;
  if (v->kind != VALUE_TENSOR || !is_tensor_type(x, e, param->type)) return true;
  bool pack;
  int rank = type_rank(param->type, &pack);
  if (pack || v->rank <= rank) return true;
  *extra = v->rank - rank;
  if (!lift->n) {
    *lift = (Lift){*extra, v->shape, arg->span, param->name};
    return true;
  }
  bool same = *extra == lift->n;
  for (int i = 0; same && i < lift->n; i++) same = v->shape[i] == lift->shape[i];
  if (same) return true;
  const char *own = shape_text(x, *extra, v->shape), *other = shape_text(x, lift->n, lift->shape);
  Diag *d = diag_add(x->diags, DIAG_LIFT, arg->span, "`%s` would be mapped over %s, and `%s` over %s", param->name,
                     own, lift->name, other);
  diag_label(d, "%s here", own);
  diag_place(d, lift->span, "%s here", other);
  diag_help(d, param->type->bound && dtype_is_float(v->dtype)
                   ? "a class is one integer with a bound, not a row of numbers"
                   : "extra leading dimensions are the same for every argument, or none");
  Span column = *extra > lift->n ? arg->span : lift->span;
  Dim **longer = *extra > lift->n ? v->shape : lift->shape, **shorter = *extra > lift->n ? lift->shape : v->shape;
  bool is_column = *extra + lift->n == 3 && longer[0] == shorter[0] && longer[1] == dim_const(x->ir, 1);
  if (is_column) suggest_around(x, d, column, "", "[:, 0]");
  return false;
}

Expr *place_of(Elaborator *x, Var *v, Span at) {
  if (!x->batch || v->extent != x->batch || x->generic) return NULL;
  Dim *shape[1] = {v->extent};
  Form *f[1] = {form_var(x->ir, v)};
  return expr_read(x->ir, graph_named_input(x, "$place", DT_i64, 1, shape, at), f);
}

void apply_pending(Elaborator *x, int mark) {
  for (int i = mark; i < x->pending.n && !x->generic; i++) {
    const Next *n = &x->pending.at[i];
    if (n->state->tensor >= 0) tensor_assign(x, n->state->tensor, n->value);
    else n->state->value = n->value;
  }
  x->pending.n = mark;
}

/* Whether a result's type says by a formula how large it is, `f32[(N - 1) // stride + 1]`. */
static bool computes_dimensions(const Ast *type) {
  for (int i = 0; type->shape && i < type->shape->items.n; i++)
    if (type->shape->items.at[i]->kind == AST_BINARY) return true;
  return false;
}

bool expected_result(Elaborator *x, Env *e, Ast *type, Type *t, Type **known) {
  *known = NULL;
  *t = (Type){.dtype = DT_i32};
  if (type && type->kind == AST_TYPE_TUPLE) {
    t->parts = NEW_ARRAY(x->arena, Type, type->items.n);
    for (t->nparts = 0; t->nparts < type->items.n; t->nparts++) {
      Type *part;
      if (!expected_result(x, e, type->items.at[t->nparts]->type, &t->parts[t->nparts], &part)) return false;
    }
  } else if (!type || type->kind != AST_TYPE || !is_tensor_type(x, e, type)) {
    return true;
  } else if (!type_resolve(x, e, type, t)) {
    return false;
  }
  *known = t;
  return true;
}

/* Where all that `num` stands for are numbers that are written, or indices: integers stay what they are. Else it is
 * what the first argument is that has a type of its own. */
static Env *bind_written(Elaborator *x, Env *e, const Ast *params, CallArg **given) {
  Value *type = value_new(x, VALUE_DTYPE, params->span);
  type->weak = true;
  Str num = NULL;
  for (int p = 0; p < params->items.n; p++) {
    const Ast *t = params->items.at[p]->type;
    const Value *v = given[p] ? given[p]->value : NULL;
    if (!v || !t || t->kind != AST_TYPE || strcmp(t->name, "num") != 0) continue;
    bool written = v->kind == VALUE_INT ||
                   (v->kind == VALUE_TENSOR && dtype_is_int(v->dtype) && (v->weak || literal_is_written(x, v)));
    if (!written) return e;
    if (!num || weak_dtype(x, v) == DT_i64) type->dtype = weak_dtype(x, v);
    num = t->name;
  }
  return num ? env_bind(x, e, num, type, params->span) : e;
}

/* An integer that was made of numbers that are written, and of nothing else, adapts as they do. */
static Value *adapting(Elaborator *x, Env *e, const Ast *type, Value *v) {
  const Env *b = type->kind == AST_TYPE ? env_find(e, type->name) : NULL;
  bool written = b && b->value && b->value->kind == VALUE_DTYPE && b->value->weak;
  if (!written || v->kind != VALUE_TENSOR || v->rank || !dtype_is_int(v->dtype)) return v;
  v = value_at(x, v, v->span);
  v->weak = true;
  return v;
}

/* The body, once parameters are bound; its result as the signature says. */
static Value *call_body(Elaborator *x, Function *f, Env *e, Span at) {
  Ast *a = f->ast;
  Type expected, *known;
  if (!expected_result(x, e, a->type, &expected, &known)) return NULL;
  if (f->silent && a->body->kind == AST_BLOCK) {
    Value *none = NULL;
    return elaborate_block(x, &e, a->body, &none) ? value_flag(x, true, at) : NULL;
  }
  Value *v = value_filled(x, elaborate_body(x, e, a->body, known, at), known);
  if (!v || !a->type) return v;
  Span where = a->body->kind == AST_BLOCK ? v->span : a->body->span;
  int before = x->diags->all.n;
  if (type_check_result(x, e, a->type, &v, where, arena_printf(x->arena, "the result of `%s`", f->name)))
    return adapting(x, e, a->type, v);
  Diag *d = x->diags->all.n > before ? x->diags->all.at[before] : NULL;
  if (d && d->code == DIAG_WRONG_SHAPE && !d->help && a->kind == AST_FN && is_users(x, a->type->span) &&
      computes_dimensions(a->type))
    diag_help(d, "`-> …` may be left out: the result is then what the body gives");
  return NULL;
}

static bool leads_with_batch(const Ast *type) {
  if (!type || type->kind != AST_TYPE || !type->shape || !type->shape->items.n) return false;
  const Ast *first = type->shape->items.at[0];
  return first->kind == AST_NAME && !strcmp(first->name, "B");
}

static Value *with_batch_of_one(Elaborator *x, Value *v) {
  Var *vars[16];
  Form *forms[16];
  vars[0] = var_fresh(x->ir, dim_const(x->ir, 1));
  for (int i = 0; i < v->rank; i++) {
    vars[i + 1] = var_fresh(x->ir, v->shape[i]);
    forms[i] = form_var(x->ir, vars[i + 1]);
  }
  Value *r = value_tensor(x, v->rank + 1, vars, value_element(x, v, forms), v->span);
  if (r) r->bound = v->bound;
  return r;
}

/* Outside of training an example may be given where a batch is declared: it is made a batch of one, and its result
 * taken out again. */
static bool batch_of_one(Elaborator *x, Ast *params, CallArg **given) {
  bool any = false, pack;
  for (int p = 0; p < params->items.n; p++) {
    Ast *type = params->items.at[p]->type;
    if (!leads_with_batch(type)) continue;
    if (!given[p] || given[p]->value->kind != VALUE_TENSOR || given[p]->value->rank != type_rank(type, &pack) - 1)
      return false;
    any = true;
  }
  if (!any || x->training) return false;
  for (int p = 0; p < params->items.n; p++) {
    if (!leads_with_batch(params->items.at[p]->type)) continue;
    CallArg *one = NEW(x->arena, CallArg);
    *one = *given[p];
    one->value = with_batch_of_one(x, one->value);
    given[p] = one;
  }
  return true;
}

/* The result of a batch of one without the batch: where its declared type leads with B, or without one has a first
 * dimension of 1. */
static Value *drop_batch(Elaborator *x, Value *v, const Ast *type) {
  Form *zero[1] = {form_const(x->ir, 0)};
  if (v && v->kind == VALUE_TUPLE && (!type || type->items.n == v->n)) {
    Value *t = NEW(x->arena, Value);
    *t = *v;
    t->items = NEW_ARRAY(x->arena, Value *, v->n);
    for (int i = 0; i < v->n; i++) t->items[i] = drop_batch(x, v->items[i], type ? type->items.at[i]->type : NULL);
    return t;
  }
  if (!v || v->kind != VALUE_TENSOR || !v->rank) return v;
  bool leads = type ? leads_with_batch(type) : v->shape[0] == dim_const(x->ir, 1);
  return leads ? value_take(x, v, 1, zero) : v;
}

enum { MAX_NESTED = 120, MAX_TURNS = 200000 };

/* A call of `name`, which is being called already: the calls between are how it comes back to itself. */
static void say_recursion(Elaborator *x, Span at, Str name) {
  const CallPlace *last = &x->calls.at[x->calls.n - 1];
  bool direct = last->name == name;
  Diag *d = diag_add(x->diags, DIAG_RECURSION, at, direct ? "`%s` calls itself" : "`%s` calls itself, by way of `%s`",
                     name, last->name);
  for (int i = x->calls.n - 1; !direct && i >= 0 && x->calls.at[i].name != name; i--)
    diag_place(d, x->calls.at[i].call, "`%s` is called here", x->calls.at[i].name);
}

bool one_more(Elaborator *x, Span at, Str name) {
  bool deep = x->calls.n > MAX_NESTED;
  if (!deep && ++x->turns <= MAX_TURNS) return true;
  if (x->too_large) return false;
  x->too_large = true;
  int itself = 0;
  for (int i = 0; i < x->calls.n; i++) itself += x->calls.at[i].name == name;
  if (deep && itself > 1) say_recursion(x, at, name);
  else if (deep) diag_add(x->diags, DIAG_TOO_LARGE, at, "calls are nested more than %d deep here", MAX_NESTED);
  else diag_add(x->diags, DIAG_TOO_LARGE, at, "with this, the program has %d calls and turns of `for`", MAX_TURNS);
  return false;
}

static Value *call_built_in(Elaborator *x, Str name, int n, CallArg *args, Span at);

/* A number that a tensor has as its default fills it. */
static Value *default_value(Elaborator *x, Env *e, Ast *param) {
  Value *v = elaborate_expr(x, e, param->value);
  Type t;
  if (!v || !is_tensor_type(x, e, param->type) || !value_is_number(v) || (v->kind == VALUE_TENSOR && v->rank))
    return v;
  if (!param->type->shape) return v;
  if (!type_resolve(x, e, param->type, &t) || !(v = value_coerce(x, v, t.dtype, param->span))) return NULL;
  Var *vars[MAX_RANK];
  for (int i = 0; i < t.rank; i++) vars[i] = var_fresh(x->ir, t.shape[i]);
  return value_tensor(x, t.rank, vars, v->expr, param->span);
}

typedef struct LeafCall { /* a function of scalars for each parameter of a model */
  Function *function;
  const CallArg *args;
} LeafCall;

static Value *call_of_leaf(Elaborator *x, int n, Value **leaf, const void *cx, Span at) {
  const LeafCall *c = cx;
  CallArg *args = NEW_ARRAY(x->arena, CallArg, n + 1);
  for (int i = 0; i < n; i++) {
    args[i] = c->args[i];
    args[i].value = leaf[i];
  }
  return call_function(x, c->function, n, args, at);
}

/* Whether a structure is given where one number is declared. */
static bool goes_by_parameter(Elaborator *x, const Function *f, CallArg *const *given) {
  bool pack;
  const AstList *params = &f->ast->params->items;
  for (int p = 0; p < params->n; p++)
    if (given[p] && given[p]->value && value_is_structure(given[p]->value) &&
        is_tensor_type(x, f->env, params->at[p]->type) && !type_rank(params->at[p]->type, &pack) && !pack)
      return true;
  return false;
}

static Value *call_by_parameter(Elaborator *x, Function *f, int n, const CallArg *args, Span at) {
  Value **values = NEW_ARRAY(x->arena, Value *, n + 1);
  for (int i = 0; i < n; i++) values[i] = args[i].value;
  return structure_map(x, n, values, call_of_leaf, &(LeafCall){f, args}, at);
}

/* `reverse(layers)`: what the library's function does to a tensor. */
static bool is_reversed_array(const Function *f, int n, const CallArg *args) {
  return n == 1 && f->module && f->module->library && !strcmp(f->name, "reverse") && args[0].value &&
         args[0].value->kind == VALUE_ARRAY;
}

static Value *reversed_array(Elaborator *x, const Value *v, Span at) {
  Value *r = value_new(x, VALUE_ARRAY, at);
  r->n = v->n;
  r->items = NEW_ARRAY(x->arena, Value *, v->n + 1);
  for (int i = 0; i < v->n; i++) r->items[i] = v->items[v->n - 1 - i];
  return r;
}

/* In generic code, or of another instance: what is wrong with it was said. */
bool is_broken(const Elaborator *x, const Ast *a) {
  for (int i = 0; i < x->broken.n; i++)
    if (x->broken.at[i] == a) return true;
  return false;
}

/* A call of what is broken adds places to what was said, and says nothing more. */
static Value *take_back(Elaborator *x, int said, int unknown) {
  while (x->diags->all.n > said) diag_drop(x->diags, x->diags->all.n - 1);
  x->unknown.n = unknown;
  return NULL;
}

/* The arguments; in a training also its `step`, `steps` and `epoch`, for parameters of these names that are not
 * given. */
static CallArg *with_counters(Elaborator *x, const Ast *params, int *n, CallArg *args, Span at) {
  CallArg *all = NEW_ARRAY(x->arena, CallArg, *n + params->items.n + 1);
  int positions = 0, given = *n;
  for (int i = 0; i < given; i++) {
    all[i] = args[i];
    positions += !args[i].name;
  }
  for (int p = positions; p < params->items.n; p++) {
    const Ast *param = params->items.at[p];
    Env *counter = param->value ? NULL : env_find(x->counters, param->name);
    for (int i = 0; i < given && counter; i++)
      if (args[i].name == param->name) counter = NULL;
    if (counter) all[(*n)++] = (CallArg){param->name, counter->value, at, at};
  }
  return all;
}

Value *call_function(Elaborator *x, Function *f, int n, CallArg *args, Span at) {
  if (f->broken) return NULL;
  if (!f->ast) return call_built_in(x, f->name, n, args, at);
  if (is_reversed_array(f, n, args)) return reversed_array(x, args[0].value, at);
  if (!one_more(x, at, f->name)) return NULL;
  Ast *params = f->ast->params;
  int np = params->items.n;
  CallArg **given = NEW_ARRAY(x->arena, CallArg *, np + 1);
  if (x->counters) args = with_counters(x, params, &n, args, at);
  if (!match_args(x, params, n, args, given, at, f->name)) return NULL;
  if (goes_by_parameter(x, f, given)) return call_by_parameter(x, f, n, args, at);
  Value *made = call_made(x, f, given);
  if (made) {
    x->assigned++; /* as what it is, a call that writes states */
    return value_at(x, made, at);
  }
  int assigned = x->assigned, calls_made = x->made.n;
  Module *module = x->module;
  bool again = is_broken(x, f->ast);
  int before = x->diags->all.n, unknown = x->unknown.n;
  Graph *graph = x->graph;
  uint32_t use = graph ? graph->use : 0;
  if (graph && is_users(x, at)) graph->use = sources_use(x->sources, at);
  bool training = x->training;
  Loop *loop = x->loop;
  x->loop = NULL; /* a body's names are its own */
  int stack = x->stack.n, pending = x->pending.n, outer_pending = x->call_pending;
  x->call_pending = pending;
  x->module = f->module;
  if (f->self && f->self->frozen) x->training = false;
  bool single = batch_of_one(x, params, given);
  Lift lift = {0};
  int *extra = NEW_ARRAY(x->arena, int, np + 1);
  Value *r = NULL;
  Env *e = f->env;
  for (int p = 0; p < np; p++)
    if (given[p] && (!given[p]->value || !lift_of(x, e, params->items.at[p], given[p], &lift, &extra[p]))) goto done;
  Var *vars[MAX_RANK];
  Form *forms[MAX_RANK];
  for (int i = 0; i < lift.n; i++) {
    vars[i] = var_fresh(x->ir, lift.shape[i]);
    forms[i] = form_var(x->ir, vars[i]);
    stack_push(x, vars[i], place_of(x, vars[i], at));
  }
  vec_push(x->kept, &x->calls, (CallPlace){at, f->name, f});
  Frame *frame = frame_enter(x, f->name);
  Value **bound = NEW_ARRAY(x->arena, Value *, np + 1);
  bool ok = true;
  for (int p = 0; p < np; p++) /* f32[2 * N] may stand before f32[N] */
    if (given[p] && given[p]->value->kind == VALUE_TENSOR && is_tensor_type(x, e, params->items.at[p]->type))
      type_bind_names(x, &e, params->items.at[p]->type, given[p]->value, extra[p], given[p]->span);
  e = bind_written(x, e, params, given);
  /* Settled tensors first: they fix `float` and the dimensions that literals then take. */
  for (int pass = 0; ok && pass < 3; pass++)
    for (int p = 0; ok && p < np; p++) {
      Ast *param = params->items.at[p];
      if (bound[p]) continue;
      Value *v = given[p] ? given[p]->value : NULL;
      bool settled = v && v->kind == VALUE_TENSOR && !v->weak && !literal_is_written(x, v);
      if (pass == 0 && !settled) continue;
      if (pass == 1 && !given[p]) continue;
      if (!v) v = default_value(x, e, param);
      if (v && extra[p] && is_float_type(x, param->type)) v = literal_as(x, v, float_default(x), at);
      if (v && extra[p]) v = value_take(x, v, extra[p], forms);
      if (v)
        v = type_match(x, &e, param, v, 0, given[p] ? given[p]->span : param->span,
                       arena_printf(x->arena, "`%s` of `%s`", param->name, function_title(x, f)));
      if (!v) {
        ok = false;
        break;
      }
      bound[p] = v;
      e = env_bind(x, e, param->name, v, param->name_span);
    }
  ok = ok && where_test(x, e, f->ast->where, at, f->name);
  if (ok) r = f->ast->with ? call_own(x, f, e, at, call_body) : call_body(x, f, e, at);
  x->frame = frame;
  x->calls.n--;
  x->stack.n = stack;
  if (single) r = drop_batch(x, r, f->ast->type);
  if (r && lift.n) r = value_abstract(x, r, lift.n, vars);
done:
  if (graph) graph->use = use;
  if (again) r = take_back(x, before, unknown);
  if (!r) suggest_product(x, before, f, n, args);
  if (!r) blame_use(x, before, at, function_title(x, f));
  x->stack.n = stack;
  x->call_pending = outer_pending;
  apply_pending(x, pending);
  x->module = module;
  x->training = training;
  x->loop = loop;
  if (x->assigned != assigned) call_remember(x, f, given, calls_made, r);
  return r;
}

/* Whether an integer below v's bound is the same number as a t: i8 of 200 is not. */
static bool keeps_bound(const Value *v, DType t) {
  int64_t c;
  bool small = v->bound && dim_is_const(v->bound, &c) && c <= 128;
  return dtype_is_int(t) && (small || t == v->dtype || dtype_bytes(t) > dtype_bytes(v->dtype));
}

Value *call_value(Elaborator *x, Value *callee, int n, CallArg *args, Span at) {
  switch (callee->kind) {
  case VALUE_FUNCTION:
    return callee->of ? structure_call(x, callee->of, callee->function, n, args, at)
                      : call_function(x, callee->function, n, args, at);
  case VALUE_INSTANCE: return instance_call(x, callee->instance, n, args, at);
  case VALUE_STRUCTURE:
    if (callee->of->kind != VALUE_INSTANCE) break;
    return structure_call(x, callee, NULL, n, args, at);
  case VALUE_MODEL:
    if (!x->naming) {
      Diag *d = diag_add(x->diags, DIAG_INSTANCE_HERE, at, "%s `%s` is made here, where it has no name",
                         article(callee->model->name), callee->model->name);
      if (callee->model->ast->kind == AST_OPTIMIZER)
        diag_help(d, "it stands where it is used: `minimize loss over net with %s(...)`", callee->model->name);
      else
        diag_help(
            d, "make it a member of a model or a definition of the file, `name = %s(...)`, and call that: `name(x)`",
            callee->model->name);
      return NULL;
    }
    return instance_new(x, callee->model, n, args, x->naming, at);
  case VALUE_DTYPE: {
    if (n != 1 || args[0].name) {
      diag_add(x->diags, DIAG_ARGUMENTS, at, "a cast takes one value");
      return NULL;
    }
    Value *v = args[0].value;
    if (v->kind == VALUE_FLAG) v = value_runtime(x, v);
    if (!value_is_number(v)) {
      diag_add(x->diags, DIAG_WRONG_TYPE, at, "%s cannot be cast", value_type_text(x, v));
      return NULL;
    }
    Value *run = value_runtime(x, v);
    bool cuts = run->kind == VALUE_TENSOR && dtype_is_float(run->dtype) && !dtype_is_float(callee->dtype);
    if (cuts) v = run; /* a fraction, of a literal, too */
    v = literal_as(x, v, callee->dtype, at);
    if (v->kind == VALUE_TENSOR && v->rank && v->dtype == callee->dtype) return v;
    if (v->kind != VALUE_TENSOR) {
      bool real = v->kind == VALUE_REAL && !dtype_is_float(callee->dtype);
      return value_coerce(x, real ? run : v, callee->dtype, at);
    }
    if (!v->rank && v->weak && !cuts) return value_coerce(x, v, callee->dtype, at);
    Value *r = value_cast(x, v, callee->dtype, at);
    if (r && dtype_is_int(v->dtype) && keeps_bound(v, callee->dtype)) r->bound = v->bound;
    return r;
  }
  default: break;
  }
  Diag *d = diag_add(x->diags, DIAG_NOT_CALLABLE, at, "%s is called like a function", value_type_text(x, callee));
  if (callee->kind == VALUE_TENSOR)
    diag_help(d, callee->rank ? "an element is read with square brackets" : "a product is written with `*`");
  return NULL;
}

/* ---- built in: scalar rows and reductions by name, stop, grad ---- */

static const struct {
  const char *name;
  int arity;
} scalar_names[] = {
#define ROW(name, arity, ...) [OP_##name] = {#name, arity},
#include "ir/scalar.def"
#undef ROW
};

/* Operators of the language and what only the compiler writes have no name to call. */
static bool callable_row(ScalarOp op) {
  switch (op) {
  case OP_abs:
  case OP_sign:
  case OP_floor:
  case OP_ceil:
  case OP_round:
  case OP_max:
  case OP_min:
  case OP_stop:
  case OP_is_finite: return true;
  default: return op >= OP_sqrt && op <= OP_normal_icdf;
  }
}

const char *row_name(int i) {
  for (int op = 0; op < SCALAR_OP_COUNT; op++)
    if (callable_row((ScalarOp)op) && i-- == 0) return scalar_names[op].name;
  return NULL;
}

static ScalarOp row_named(Str name) {
  for (int i = 0; i < SCALAR_OP_COUNT; i++)
    if (!strcmp(scalar_names[i].name, name) && callable_row((ScalarOp)i)) return (ScalarOp)i;
  return SCALAR_OP_COUNT;
}

static Value *function_named(Elaborator *x, Str name, Span at) {
  Value *v = value_new(x, VALUE_FUNCTION, at);
  v->function = NEW(x->arena, Function);
  v->function->name = name;
  v->function->checked = true;
  return v;
}

Value *row_function(Elaborator *x, Str name, Span at) {
  return row_named(name) == SCALAR_OP_COUNT ? NULL : function_named(x, name, at);
}

Value *reduction_function(Elaborator *x, Str name, Span at) {
  return is_reduction(name) ? function_named(x, name, at) : NULL;
}

static Value *fold_row(Elaborator *x, ScalarOp op, int n, Value **args, Span at, bool *folded) {
  *folded = false;
  Expr *e[3];
  bool unknown = false;
  for (int i = 0; i < n; i++) {
    int64_t c;
    unknown = unknown || args[i]->unknown ||
              (args[i]->kind == VALUE_INT && !dim_is_const(args[i]->dim, NULL) && x->generic);
    if (args[i]->kind == VALUE_REAL) e[i] = expr_real(x->ir, DT_f64, args[i]->real);
    else if (args[i]->kind == VALUE_INT && dim_is_const(args[i]->dim, &c)) e[i] = expr_real(x->ir, DT_f64, (double)c);
    else if (!unknown) return NULL;
  }
  *folded = true;
  bool integers = op == OP_abs || op == OP_max || op == OP_min;
  for (int i = 0; i < n; i++) integers = integers && args[i]->kind == VALUE_INT;
  if (unknown && integers) return NULL; /* which, is seen where it is used */
  if (unknown) {
    Value *v = value_real(x, 1, at);
    v->unknown = true;
    return v;
  }
  if (integers && op == OP_abs)
    return e[0]->real < 0 ? value_int(x, dim_const(x->ir, (int64_t)-e[0]->real), at) : args[0];
  if (integers) {
    double a = e[0]->real, b = e[1]->real;
    return (op == OP_max) == (a >= b) ? args[0] : args[1];
  }
  double v;
  Expr *r = expr_op(x->ir, op, e);
  if (expr_is_const(r, &v)) return value_real(x, v, at);
  *folded = false;
  return NULL;
}

static Value *call_row(Elaborator *x, ScalarOp op, int n, CallArg *args, Span at) {
  if (n != scalar_names[op].arity) {
    diag_add(x->diags, DIAG_ARGUMENTS, at, "`%s` takes %d argument%s", scalar_names[op].name, scalar_names[op].arity,
             scalar_names[op].arity == 1 ? "" : "s");
    return NULL;
  }
  Value *v[3];
  for (int i = 0; i < n; i++) v[i] = args[i].value;
  bool folded;
  Value *r = fold_row(x, op, n, v, at, &folded);
  if (folded) return r;
  r = elaborate_scalar_row(x, op, n, v, at);
  if (r && op == OP_stop) r->bound = v[0]->bound, r->weak = v[0]->weak;
  return r;
}

/* A reduction of all of v; argmax and argmin use up one dimension, and lift over at most one more. */
static Value *call_reduction(Elaborator *x, Str name, Value *v, Span at) {
  bool is, place = !strcmp(name, "argmax") || !strcmp(name, "argmin");
  if (place && !rank_known(x, v, 0, v->rank, at)) return NULL;
  if (place && v->kind == VALUE_TENSOR && v->rank > 2) {
    Diag *d = diag_add(x->diags, DIAG_WRONG_RANK, at, "`%s` takes a vector, or a matrix row by row, and this is %s",
                       name, value_type_text(x, v));
    diag_help(d, "indices say what is used up: `[i, j] => %s(k: x[i, j, k])`", name);
    return NULL;
  }
  if (!place || v->kind != VALUE_TENSOR || v->rank != 2) return reduce_call(x, name, v, at, &is);
  Var *row = var_fresh(x->ir, v->shape[0]);
  Form *f = form_var(x->ir, row);
  int mark = x->stack.n;
  stack_push(x, row, NULL);
  Value *r = reduce_call(x, name, value_take(x, v, 1, &f), at, &is);
  x->stack.n = mark;
  return r ? value_abstract(x, r, 1, &row) : NULL;
}

/* A function without a body: of one argument `max` and `min` are reductions, of two rows. */
static Value *call_built_in(Elaborator *x, Str name, int n, CallArg *args, Span at) {
  for (int i = 0; i < n; i++)
    if (args[i].name) {
      diag_help(
          diag_add(x->diags, DIAG_ARGUMENTS, args[i].name_span, "`%s` has no parameter `%s`", name, args[i].name),
          "its arguments have no names");
      return NULL;
    }
  ScalarOp op = row_named(name);
  if (is_reduction(name) && n == 1) return call_reduction(x, name, args[0].value, at);
  if (op != SCALAR_OP_COUNT) return call_row(x, op, n, args, at);
  say_calls(x, diag_add(x->diags, DIAG_ARGUMENTS, at, "`%s` takes one tensor, and uses all of it up", name));
  return NULL;
}

static Value *call_named(Elaborator *x, Env *e, Ast *a, Value *piped, bool *is) {
  Str name = a->callee->name;
  Value *column = piped ? NULL : data_column(x, e, a, is);
  if (!piped && *is) return column;
  *is = true;
  if (!strcmp(name, "grad") && !piped) return call_grad(x, e, a);
  if (!strcmp(name, "jvp") && !piped) return call_jvp(x, e, a);
  if (!strcmp(name, "reshape")) return call_reshape(x, e, a, piped);
  if (!strcmp(name, "concat")) return call_concat(x, e, a, piped);
  if (!strcmp(name, "stack")) return call_stack(x, e, a, piped);
  if (!strcmp(name, "iota")) return call_iota(x, e, a, piped);
  if (!strcmp(name, "split")) return call_split(x, e, a, piped);
  if (!strcmp(name, "len") && !piped) return call_len(x, e, a);
  if (!strcmp(name, "order") && x->module->library) return call_order(x, e, a);
  int n;
  ScalarOp op = row_named(name);
  int given = a->args->items.n + (piped != NULL);
  bool reduces = given == 1, named = false;
  for (int i = 0; i < a->args->items.n; i++) named = named || a->args->items.at[i]->name;
  if ((op == SCALAR_OP_COUNT && !reduces) || (named && is_reduction(name))) {
    *is = is_reduction(name);
    if (!*is) return NULL;
    Diag *d = diag_add(x->diags, DIAG_ARGUMENTS, a->span, "`%s` takes one tensor, and uses all of it up", name);
    diag_help(d, "indices say which dimensions are used up");
    const Ast *axis = given == 2 && !piped ? a->args->items.at[1]->value : NULL; /* `axis = 0`, or its place */
    Value *v = axis && axis->kind == AST_INTEGER ? elaborate_expr(x, e, a->args->items.at[0]->value) : NULL;
    if (v && v->kind == VALUE_TENSOR) suggest_reduction(x, e, d, a, v, axis->integer);
    return NULL;
  }
  *is = op != SCALAR_OP_COUNT || is_reduction(name);
  CallArg *args = *is ? elaborate_args(x, e, a->args, piped, &n) : NULL;
  return args ? call_built_in(x, name, n, args, a->span) : NULL;
}

/* x(2) and x(i), but not x(y) of another tensor. */
static bool are_indices(const CallArg *args, int n) {
  bool all = n > 0;
  for (int i = 0; i < n; i++) all = all && !args[i].name && value_is_form(args[i].value);
  return all;
}

bool is_other_name(const Ast *name, const Value *v) {
  return v->kind == VALUE_MODEL && name->kind == AST_NAME && name->name != v->model->name;
}

Value *say_no_instance(Elaborator *x, Env *e, const Ast *name, const Value *v) {
  Str model = v->model->name;
  const Env *b = env_find(e, name->name);
  const Decl *decl = b ? NULL : decl_find(x, x->module, name->name);
  Span made = b ? b->span : decl ? decl->ast->span : (Span){0};
  Diag *d =
      say_of_definition(x, DIAG_INSTANCE_HERE, name->span, made,
                        arena_printf(x->arena, "`%s` is the model `%s`, not an instance of it", name->name, model));
  if (d) diag_help(d, "make one: `%s = %s(...)`", name->name, model);
  return NULL;
}

/* Whether a distribution of the library is called as it is drawn from, `normal(mean, std)`: whoever fills in u
 * himself says so by name, or gives all arguments. */
static bool calls_distribution(const Value *callee, int n, const CallArg *args) {
  const Function *f = callee->kind == VALUE_FUNCTION ? callee->function : NULL;
  if (!f || !f->ast || !f->module || !f->module->library || !draws(f->ast->params)) return false;
  bool names_u = false;
  for (int i = 0; i < n; i++) names_u |= args[i].name && !strcmp(args[i].name, "u");
  return !names_u && n < f->ast->params->items.n;
}

Value *elaborate_call(Elaborator *x, Env *e, Ast *a, Value *piped) {
  Str naming = x->naming;
  bool resized;
  Value *picture = image_resized(x, e, NULL, a, &resized);
  if (resized) return picture;
  if (a->callee->kind == AST_NAME && !env_find(e, a->callee->name) && !decl_find(x, x->module, a->callee->name)) {
    bool is;
    x->naming = NULL;
    Value *v = call_named(x, e, a, piped, &is);
    x->naming = naming;
    if (is) return v;
  }
  if (x->field && a->callee->kind == AST_NAME && !name_exists(x, e, a->callee->name)) {
    say_no_function(x, e, a);
    x->naming = naming;
    return NULL;
  }
  x->naming = NULL;
  int before = x->diags->all.n, n = 0;
  Value *callee = elaborate_expr(x, e, a->callee);
  if (!callee && a->callee->kind == AST_MEMBER && x->diags->all.n > before) {
    Diag *d = x->diags->all.at[before]; /* x.relu() */
    if (d->code == DIAG_NO_MEMBER && d->help && !d->fix.source && name_is_function(x, a->callee->name))
      suggest_function(x, d, a);
  }
  CallArg *args = callee ? elaborate_args(x, e, a->args, piped, &n) : NULL;
  x->naming = naming;
  if (!args) return NULL;
  if (calls_distribution(callee, n, args) && is_users(x, a->span)) {
    Diag *d = diag_add(x->diags, DIAG_NOT_A_DISTRIBUTION, a->span,
                       "`%s` is called like a function, and draws nothing", callee->function->name);
    diag_help(d, "%s", draw_help);
    return NULL;
  }
  before = x->diags->all.n;
  Value *v = is_other_name(a->callee, callee) && !naming ? say_no_instance(x, e, a->callee, callee)
                                                         : call_value(x, callee, n, args, a->span);
  bool element = !v && callee->kind == VALUE_TENSOR && callee->rank && x->diags->all.n > before;
  if (element && are_indices(args, n)) suggest_element(x, x->diags->all.at[before], a);
  return v;
}

/* ---- draws ---- */

static uint64_t fnv1a(const char *s) {
  uint64_t h = 14695981039346656037u;
  for (; *s; s++) h = (h ^ (unsigned char)*s) * 1099511628211u;
  return h;
}

/* The uniform number under element `own` of a draw: keyed by its path, the step, the example's place, and the
 * element's number among those of its example. */
static Expr *uniform(Elaborator *x, DType t, Str path, int rank, Var **own, Span at) {
  Expr *place = NULL, *zero = expr_int(x->ir, DT_i64, 0);
  Form *element = form_const(x->ir, 0);
  int first = 0, from = 0;
  for (int i = 0; i < x->stack.n && !place; i++)
    if (x->stack.at[i].place) place = x->stack.at[i].place, from = i + 1;
  if (!place) from = 0;
  if (!place && rank && (place = place_of(x, own[0], at))) first = 1;
  Var **all = NEW_ARRAY(x->arena, Var *, x->stack.n + rank);
  int n = 0;
  for (int i = 0; i < x->steps && i < from; i++) all[n++] = x->stack.at[i].var; /* each step draws its own */
  for (int i = from; i < x->stack.n; i++) {
    bool is_own = false;
    for (int k = 0; k < rank; k++) is_own = is_own || own[k] == x->stack.at[i].var;
    if (!is_own) all[n++] = x->stack.at[i].var;
  }
  for (int i = first; i < rank; i++) all[n++] = own[i];
  int64_t stride = 1, extent;
  for (int i = n - 1; i >= 0; i--) {
    element = form_add(x->ir, element, form_scale(x->ir, form_var(x->ir, all[i]), stride));
    if (!dim_is_const(all[i]->extent, &extent)) extent = (int64_t)1 << 20;
    stride = stride < (int64_t)1 << 40 && extent < 1 << 22 ? stride * extent : 1; /* beyond it, numbers repeat */
  }
  Node *seed = graph_named_input(x, "$seed", DT_i64, 0, NULL, at);
  bool init = x->filling;
  Expr *step =
      init ? expr_int(x->ir, DT_i32, 0) : expr_read(x->ir, graph_named_input(x, "$step", DT_i32, 0, NULL, at), NULL);
  return expr_random(x->ir, t, fnv1a(path), expr_read(x->ir, seed, NULL), step, place ? place : zero, element);
}

/* Dimensions of the parameter that gets an argument, by its name or place. */
static int parameter_rank(const Ast *params, Str name, int place) {
  bool pack;
  for (int i = 0; i < params->items.n; i++)
    if (name ? params->items.at[i]->name == name : i == place) return type_rank(params->items.at[i]->type, &pack);
  return 0;
}

/* Whether an argument of a distribution has one part for each element of what is drawn; false after a message. */
static bool is_for_each(Elaborator *x, const CallArg *arg, const Type *t) {
  for (int k = 0; k < t->rank; k++) {
    if (arg->value->shape[k] == t->shape[k]) continue;
    Diag *d = diag_add(x->diags, DIAG_WRONG_SHAPE, arg->span, "this is %s, and %s elements are drawn",
                       value_type_text(x, arg->value), shape_text(x, t->rank, t->shape));
    diag_help(d, "an argument is the same for all elements, or has a part for each of them");
    return false;
  }
  return true;
}

/* One element of a draw, in its declared type; NULL after a message. */
static Value *drawn_element(Elaborator *x, Value *v, const Type *t, Str name, Span at) {
  v = value_runtime(x, v);
  const char *is = value_type_text(x, v);
  if (v->kind != VALUE_TENSOR || v->rank) {
    Diag *d = diag_add(x->diags, DIAG_WRONG_SHAPE, at, "`%s` gives %s for each element that is drawn", name, is);
    diag_help(d, "an argument is the same for all elements, or has a part for each of them");
    return NULL;
  }
  if (v->weak || v->dtype == t->dtype) return value_coerce(x, v, t->dtype, at);
  Diag *d =
      diag_add(x->diags, DIAG_WRONG_TYPE, at, "`%s` draws %s, and %s is declared", name, is, dtype_name(t->dtype));
  diag_help(d, "declare what is drawn as %s, and convert it where it is used", is);
  return NULL;
}

Value *elaborate_draw(Elaborator *x, Env *e, Ast *dist, const Type *t, Str path, Span at) {
  if (x->entry && !x->sample) {
    Diag *d = diag_add(x->diags, DIAG_DRAW_IN_ENTRY, at, "the entry `%s` can reach a draw", x->entry->name);
    diag_label(d, "drawn here");
    diag_place(d, x->entry->name_span, "and not declared so");
    diag_help(d, "declare it `sample entry`");
    diag_fix(d, (Span){x->entry->span.source, x->entry->span.begin, x->entry->span.begin, 0}, "sample ");
    say_calls(x, d);
    return NULL;
  }
  Ast *callee = dist->kind == AST_CALL ? dist->callee : dist;
  Value *f = elaborate_expr(x, e, callee);
  if (!f) return NULL;
  bool is = f->kind == VALUE_FUNCTION && f->function->ast && draws(f->function->ast->params);
  if (!is) {
    Diag *d = diag_add(x->diags, DIAG_NOT_A_DISTRIBUTION, dist->span, "what stands after `~` is a distribution");
    diag_help(d,
              "a function whose first parameter is `u`, a uniform number in [0, 1): normal, uniform, bernoulli, ...");
    return NULL;
  }
  int n = 0;
  static Ast none = {.kind = AST_LIST};
  CallArg *args = elaborate_args(x, e, dist->kind == AST_CALL ? dist->args : &none, NULL, &n);
  if (!args) return NULL;
  Var *own[8];
  Form *forms[8];
  int mark = x->stack.n;
  for (int i = 0; i < t->rank; i++) {
    own[i] = var_fresh(x->ir, t->shape[i]);
    forms[i] = form_var(x->ir, own[i]);
    stack_push(x, own[i], NULL);
  }
  CallArg *all = NEW_ARRAY(x->arena, CallArg, n + 1);
  DType drawn = dtype_is_float(t->dtype) ? t->dtype : float_default(x);
  all[0] = (CallArg){
      NULL,
      value_scalar(x, x->generic ? expr_real(x->ir, drawn, 0.5) : uniform(x, drawn, path, t->rank, own, at), at), at,
      at};
  bool ok = true;
  for (int i = 0; i < n; i++) {
    all[i + 1] = args[i];
    bool of_each = args[i].value->kind == VALUE_TENSOR && t->rank &&
                   args[i].value->rank == t->rank + parameter_rank(f->function->ast->params, args[i].name, i + 1);
    if (of_each && !is_for_each(x, &args[i], t)) ok = false;
    else if (of_each) all[i + 1].value = value_take(x, literal_as(x, args[i].value, drawn, at), t->rank, forms);
  }
  Value *v = ok ? call_function(x, f->function, n + 1, all, at) : NULL;
  x->stack.n = mark;
  v = v ? drawn_element(x, v, t, f->function->name, dist->span) : NULL;
  return v ? value_abstract(x, v, t->rank, own) : NULL;
}
