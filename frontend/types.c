/* types.c - types as written: dimension expressions, and signatures matched against values. */
#include "frontend/value.h"

#include <string.h>

DType dtype_of_name(const Elaborator *x, Str name, bool *ok) {
  DType t = DT_f32;
  *ok = dtype_from_name(name, &t);
  return *ok && t == DT_f32 && x->options->f64 ? DT_f64 : t;
}

static Diag *say_not_divisible(Elaborator *x, Dim *n, Dim *by, Span at) {
  Diag *d;
  if (by == dim_const(x->ir, 0)) d = diag_add(x->diags, DIAG_DIVISOR, at, "division by zero");
  else {
    d = diag_add(x->diags, DIAG_NOT_DIVISIBLE, at, "%s does not divide %s", dim_text(x->arena, by),
                 dim_text(x->arena, n));
    diag_help(d, "`/` of dimensions must leave no rest; `//` rounds down");
  }
  say_calls(x, d);
  return d;
}

Dim *not_known_to_divide(Elaborator *x, Dim *n, Dim *by, Span at) {
  Diag *d = diag_add(x->diags, DIAG_NOT_DIVISIBLE, at, "%s is not known to divide %s, which is open",
                     dim_text(x->arena, by), dim_text(x->arena, n));
  diag_help(d, "`//` rounds down; `f32(%s) / %s` is a real", dim_text(x->arena, n), dim_text(x->arena, by));
  say_calls(x, d);
  return NULL;
}

/* A quotient of integers that is a real (see int_binary), where an integer is wanted, at `at`. */
static void not_divisible(Elaborator *x, const Value *v, Span at) {
  bool elsewhere = is_users(x, v->span) && !span_holds(at, v->span);
  Diag *d = say_not_divisible(x, v->dim, v->bound, elsewhere ? v->span : at);
  if (elsewhere) diag_place(d, at, "an integer is wanted here");
}

Value *dimension_value(Elaborator *x, Env *e, const Ast *a, Value *v) {
  if (!v || !is_dimension_name(a->name)) return v;
  if (v->kind == VALUE_REAL && v->dim) {
    not_divisible(x, v, a->value->span);
    return NULL;
  }
  /* As a value it may be a real, where one is wanted; as a dimension it is exact. */
  if (x->generic && v->kind == VALUE_INT && a->value->kind == AST_BINARY) dim_of(x, e, a->value);
  return v;
}

Dim *dim_power(Elaborator *x, Dim *base, Dim *exponent) {
  int64_t n;
  if (dim_is_const(base, NULL) && dim_is_const(exponent, &n) && n >= 0 && n < 63) {
    Dim *d = dim_const(x->ir, 1);
    while (n-- > 0) d = dim_mul(x->ir, d, base);
    return d;
  }
  if (!x->generic || (dim_is_const(base, NULL) && dim_is_const(exponent, NULL))) return NULL;
  for (int i = 0; i < x->powers.n; i++)
    if (x->powers.at[i].base == base && x->powers.at[i].exponent == exponent) return x->powers.at[i].power;
  Dim *d = dim_symbol(x->ir, str_internz(x->strings, "P"), 1);
  vec_push(x->kept, &x->powers, (Power){base, exponent, d});
  return d;
}

static Dim *dim_binary(Elaborator *x, Ast *a, Dim *l, Dim *r) {
  int64_t c, n;
  switch ((Op)a->op) {
  case OP_ADD: return dim_add(x->ir, l, r);
  case OP_SUB: return dim_sub(x->ir, l, r);
  case OP_MUL: return dim_mul(x->ir, l, r);
  case OP_POW: {
    Dim *p = dim_power(x, l, r);
    if (p) return p;
    break;
  }
  case OP_DIV:
  case OP_FLOORDIV:
  case OP_MOD:
    if (dim_is_const(r, &c) && c <= 0) {
      diag_add(x->diags, DIAG_DIVISOR, a->right->span, "a dimension is divided by %lld", (long long)c);
      return NULL;
    }
    if (a->op == OP_FLOORDIV) return dim_floordiv(x->ir, l, r);
    if (a->op == OP_MOD) return dim_mod(x->ir, l, r);
    Dim *q = dim_exact_div(x->ir, l, r);
    if (q) return q;
    if (dim_is_const(l, &n) && dim_is_const(r, &c)) {
      say_not_divisible(x, l, r, a->span);
      return NULL;
    }
    if (!x->generic) return not_known_to_divide(x, l, r, a->span);
    return dim_divided(x->ir, l, r); /* a requirement of generic code: tested where it has numbers */
  default: break;
  }
  diag_add(x->diags, DIAG_NOT_A_DIMENSION, a->span, "`%s` has no meaning in a dimension", op_spelling((Op)a->op));
  return NULL;
}

Dim *dim_of(Elaborator *x, Env *e, Ast *a) {
  if (a->kind == AST_ERROR) return NULL;
  if (a->kind == AST_INTEGER) return dim_const(x->ir, a->integer);
  if (a->kind == AST_BINARY) {
    Dim *l = dim_of(x, e, a->left), *r = dim_of(x, e, a->right);
    Dim *d = l && r ? dim_binary(x, a, l, r) : NULL;
    if (d && dim_overflowed(d)) {
      diag_add(x->diags, DIAG_DIM_OVERFLOW, a->span, "this dimension does not fit in 63 bits");
      return NULL;
    }
    return d;
  }
  if (a->kind == AST_UNARY && a->op == OP_NEG) {
    Dim *d = dim_of(x, e, a->left);
    return d ? dim_sub(x->ir, dim_const(x->ir, 0), d) : NULL;
  }
  Value *v = elaborate_expr(x, e, a);
  if (v && v->number) v = v->number;
  if (!v) return NULL;
  if (v->kind == VALUE_INT) return v->dim;
  if (v->kind == VALUE_REAL && v->dim) {
    not_divisible(x, v, a->span);
    return NULL;
  }
  const char *is = value_type_text(x, v);
  say_of_value(x, DIAG_NOT_A_DIMENSION, a->span, v,
               arena_printf(x->arena, "a dimension must be an integer known at compile time, and this is %s", is));
  return NULL;
}

int type_rank(const Ast *type, bool *pack) {
  *pack = false;
  if (!type || type->kind != AST_TYPE || !type->shape) return 0;
  int n = 0;
  for (int i = 0; i < type->shape->items.n; i++) {
    if (type->shape->items.at[i]->kind == AST_PACK) *pack = true;
    else n++;
  }
  return n;
}

static Value *bound_dtype(Env *e, Str name) {
  Env *b = env_find(e, name);
  return b && b->value && b->value->kind == VALUE_DTYPE ? b->value : NULL;
}

static bool generic_dtype_name(Str name) { return !strcmp(name, "float") || !strcmp(name, "num"); }

bool size_fits(Elaborator *x, int rank, Dim *const *shape, Span at) {
  int64_t elements = 1, c;
  for (int i = 0; i < rank; i++)
    if (dim_is_const(shape[i], &c) && c > 1 &&
        (__builtin_mul_overflow(elements, c, &elements) || elements > MAX_ELEMENTS)) {
      diag_add(x->diags, DIAG_DIM_OVERFLOW, at, "a tensor %s of more than 2^48 elements",
               shape_text(x, rank, (Dim **)shape));
      return false;
    }
  return true;
}

/* What other languages call a type. */
static const char *type_meant(Str name) {
  static const char *const names[][2] = {
      {"float32", "f32"}, {"float64", "f64"}, {"float16", "f16"}, {"bfloat16", "bf16"}, {"double", "f64"},
      {"half", "f16"},    {"int64", "i64"},   {"int32", "i32"},   {"int16", "i16"},     {"int8", "i8"},
      {"uint8", "u8"},    {"long", "i64"},    {"byte", "u8"},     {"boolean", "bool"},  {"int", "i32"},
      {"real", "f32"},    {"flag", "bool"}};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (!strcmp(name, names[i][0])) return names[i][1];
  return NULL;
}

/* Of an imported file only a model is a type. */
static void say_no_model(Elaborator *x, const Ast *type) {
  Diag *d = diag_add(x->diags, DIAG_NOT_A_TYPE, type->span, "`%s` is no model", written(x, type->span));
  diag_help(d, "of a file that is imported under a name, its models are types");
}

/* No number is below a bound of 0: only what has no elements may have it, as the positions in a vector of 0. */
static bool bound_is_possible(Elaborator *x, const Type *t, const Ast *type) {
  int64_t bound;
  if (!t->bound || !dim_is_const(t->bound, &bound) || bound > 0) return true;
  for (int i = 0; bound == 0 && i < t->rank; i++)
    if (t->shape[i] == t->bound) return true;
  say_calls(x, diag_add(x->diags, DIAG_NEGATIVE_DIM, type->bound->span, "no number is below the bound %lld",
                        (long long)bound));
  return false;
}

bool type_resolve(Elaborator *x, Env *e, Ast *type, Type *out) {
  memset(out, 0, sizeof *out);
  if (type->base) {
    say_no_model(x, type);
    return false;
  }
  if (type->kind != AST_TYPE) {
    diag_add(x->diags, DIAG_NOT_A_TYPE, type->span, "one tensor's type is wanted here");
    return false;
  }
  bool ok;
  out->dtype = dtype_of_name(x, type->name, &ok);
  Value *named = ok ? NULL : bound_dtype(e, type->name);
  if (named) out->dtype = named->dtype, ok = true;
  else if (!ok && generic_dtype_name(type->name)) out->dtype = float_default(x), ok = true;
  if (!ok) {
    const char *message = arena_printf(x->arena, "`%s` is no type", type->name);
    Diag *d = say_unknown(x, DIAG_NOT_A_TYPE, type->name, type->name_span, message);
    if (!d) return false;
    bool tensor = !strcmp(type->name, "Tensor") || !strcmp(type->name, "tensor") || !strcmp(type->name, "ndarray");
    if (tensor) diag_help(d, "a type says what the elements are and how many, `f32[3, 4]`, or `f32[N, D]` for any");
    else diag_help(d, "element types are f64 f32 f16 bf16 i64 i32 i16 i8 u8 bool");
    diag_meant(d, type->name_span, type_meant(type->name));
    return false;
  }
  if (type->bound) {
    out->bound = dim_of(x, e, type->bound);
    if (!out->bound) return false;
  }
  if (!type->shape) return bound_is_possible(x, out, type);
  out->shape = NEW_ARRAY(x->arena, Dim *, 16);
  for (int i = 0; i < type->shape->items.n; i++) {
    Ast *a = type->shape->items.at[i];
    if (a->kind == AST_PACK) {
      Env *b = env_find(e, a->name);
      if (!b) {
        diag_add(x->diags, DIAG_UNKNOWN_NAME, a->span, "`..%s` stands for no dimensions yet", a->name);
        return false;
      }
      int n = b->value && b->value->kind == VALUE_PACK ? b->value->rank : 0;
      if (!rank_fits(x, out->rank + n, type->span)) return false;
      for (int k = 0; k < n; k++) out->shape[out->rank++] = b->value->shape[k];
      continue;
    }
    Dim *d = dim_of(x, e, a);
    int64_t c;
    if (!d) return false;
    if (dim_is_const(d, &c) && c < 0) {
      say_calls(x, diag_add(x->diags, DIAG_NEGATIVE_DIM, a->span, "this dimension is %lld", (long long)c));
      return false;
    }
    if (out->rank == 8) {
      diag_add(x->diags, DIAG_RANK_LIMIT, type->span, "a tensor has at most 8 dimensions");
      return false;
    }
    out->shape[out->rank++] = d;
  }
  return bound_is_possible(x, out, type) && size_fits(x, out->rank, out->shape, type->span);
}

bool dimension_is_open(Elaborator *x, Env *e, const Ast *a) {
  return a->kind == AST_NAME && is_dimension_name(a->name) && !env_find(e, a->name) &&
         !decl_find(x, x->module, a->name);
}

Diag *same_cause(Elaborator *x, DiagCode code, Span place, const char *message) {
  for (int i = 0; place.source && i < x->diags->all.n; i++) {
    Diag *d = x->diags->all.at[i];
    if (d->code != code || strcmp(d->message, message)) continue;
    for (int k = 1; k < d->labels.n; k++)
      if (span_same(d->labels.at[k].span, place)) return d;
  }
  return NULL;
}

static Value *mismatch(Elaborator *x, Ast *param, Value *v, Span at, const char *what, const char *wanted) {
  const char *message = arena_printf(x->arena, "%s is %s, not %s", what, value_type_text(x, v), wanted);
  Diag *before = same_cause(x, DIAG_WRONG_TYPE, param->span, message);
  if (before && is_users(x, at)) return diag_place(before, at, "and here"), NULL;
  Diag *d = say_of_value(x, DIAG_WRONG_TYPE, at, v, message);
  if (!d) return NULL;
  bool runs =
      v->kind == VALUE_TENSOR && !v->rank && dtype_is_int(v->dtype) && param->type && is_users(x, param->span);
  if (param->span.source && (is_users(x, param->span) || !is_users(x, at)))
    diag_place(d, param->span, "declared here");
  for (int i = 1; v->kind == VALUE_ARRAY && i < v->n; i++)
    if (v->items[i]->kind == VALUE_TENSOR && !values_alike(v->items[0], v->items[i])) {
      diag_help(d, "parts of one type and shape are a tensor; these are %s and %s", value_type_text(x, v->items[0]),
                value_type_text(x, v->items[i]));
      break;
    }
  bool tuple = v->kind == VALUE_TUPLE, literal = tuple && written(x, at)[0] == '('; /* and no call's result */
  if (literal && param->kind != AST_TYPE_TUPLE) diag_help(d, "one value is wanted, without brackets");
  if (tuple && !literal) diag_help(d, "take the result apart, `a, b = f(x)`, and give the part that is meant");
  if (v->kind == VALUE_FUNCTION) say_calls_around(x, d, at);
  if (runs && !v->hyper && !strcmp(param->type->name, "int")) {
    diag_help(d, "`int` is known when the program is compiled; what an index or a run gives is an `i32`");
    diag_write(d, param->type->span, "i32");
  }
  if (v->hyper)
    diag_help(d, "a `hyper` is there at run time; make it a constant of the file, which `nnc -D` changes");
  return NULL;
}

/* What a type's name is defined as: a model, if it is right; NULL. */
Decl *type_decl(Elaborator *x, const Ast *type) {
  if (!type->base) return decl_find(x, x->module, type->name);
  const Decl *file = decl_find(x, x->module, type->base->name);
  return file && file->kind == DECL_FILE ? decl_brought(file->file, type->name) : NULL;
}

/* Compile-time parameters: int, real, string, flag, fn, schedule, a model's name. NULL and *known false: a tensor
 * type. */
static Value *match_compile_time(Elaborator *x, Env *e, Ast *type, Ast *param, Value *v, Span at, const char *what,
                                 bool *known) {
  (void)e;
  const char *t = type->name;
  *known = true;
  if (v->number && (!strcmp(t, "int") || !strcmp(t, "real") || !strcmp(t, "schedule"))) v = v->number;
  if (!strcmp(t, "int") && v->kind == VALUE_REAL && v->dim) return not_divisible(x, v, at), NULL;
  if (!strcmp(t, "int"))
    return v->kind == VALUE_INT ? v : mismatch(x, param, v, at, what, "an integer known at compile time");
  if (!strcmp(t, "real") || !strcmp(t, "schedule")) {
    if (v->kind == VALUE_REAL || v->kind == VALUE_INT) return v;
    if (!strcmp(t, "schedule") && v->kind == VALUE_TENSOR && !v->rank) return v;
    return mismatch(x, param, v, at, what, "a real number known at compile time");
  }
  if (!strcmp(t, "string")) return v->kind == VALUE_STRING ? v : mismatch(x, param, v, at, what, "a text");
  if (!strcmp(t, "flag")) return v->kind == VALUE_FLAG ? v : mismatch(x, param, v, at, what, "true or false");
  if (!strcmp(t, "fn"))
    return v->kind == VALUE_FUNCTION || v->kind == VALUE_INSTANCE ? v : mismatch(x, param, v, at, what, "a function");
  if (!strcmp(t, "dtype")) return v->kind == VALUE_DTYPE ? v : mismatch(x, param, v, at, what, "an element type");
  const Decl *model = type_decl(x, type);
  *known = model && model->kind == DECL_MODEL;
  if (!*known && type->base) {
    *known = true;
    say_no_model(x, type);
    return NULL;
  }
  if (!*known || (value_is_structure(v) && structure_is_of(v, model))) return *known ? v : NULL;
  return mismatch(x, param, v, at, what, arena_printf(x->arena, "an instance of `%s`", written(x, type->span)));
}

/* A bound as a number, where that is known already. */
static const char *bound_text(Elaborator *x, Env *e, const Ast *bound) {
  const Env *b = bound->kind == AST_NAME ? env_find(e, bound->name) : NULL;
  return b && b->value && b->value->kind == VALUE_INT ? dim_text(x->arena, b->value->dim) : written(x, bound->span);
}

static Value *match_dtype(Elaborator *x, Env **e, Ast *type, Value *v, Span at, const char *what) {
  bool ok, generic = generic_dtype_name(type->name);
  DType t = dtype_of_name(x, type->name, &ok);
  Value *named = ok ? NULL : bound_dtype(*e, type->name);
  if (!ok && !named && !generic) {
    Type ignored;
    type_resolve(x, *e, type, &ignored);
    return NULL;
  }
  if (named) t = named->dtype;
  else if (generic) {
    v = literal_as(x, value_runtime(x, v), float_default(x), at);
    bool weak = v->weak || v->kind != VALUE_TENSOR;
    t = weak ? float_default(x) : v->dtype;
    bool fits = !strcmp(type->name, "float") ? dtype_is_float(t) : t != DT_bool;
    if (v->kind != VALUE_TENSOR || !fits) {
      const char *wanted = !strcmp(type->name, "float") ? "float" : "number";
      Diag *d =
          say_of_value(x, DIAG_WRONG_TYPE, at, v,
                       arena_printf(x->arena, "%s is %s, and a %s is wanted", what, value_type_text(x, v), wanted));
      if (!d) return NULL;
      bool pack;
      bool number = v->kind == VALUE_TENSOR && !dtype_is_float(t) && v->rank == type_rank(type, &pack);
      if (number && v->bound) diag_help(d, "it is a class's number; are the arguments in their order?");
      else if (number) suggest_call(x, d, at, "f32");
      return NULL;
    }
    Value *d = value_new(x, VALUE_DTYPE, at);
    d->dtype = t;
    *e = env_bind(x, *e, type->name, d, at);
  }
  if (named && named->weak && v->kind == VALUE_INT) return v; /* exact, and an integer that adapts */
  v = literal_as(x, v, t, at);
  if (v->kind == VALUE_TENSOR && !v->weak && v->dtype != t) {
    Diag *d = say_of_value(
        x, DIAG_WRONG_TYPE, at, v,
        arena_printf(x->arena, "%s is %s, and %s is wanted", what, value_type_text(x, v), dtype_name(t)));
    if (!d) return NULL;
    bool scores = type->bound && v->rank && dtype_is_float(v->dtype);
    bool pack;
    if (scores) diag_help(d, "`argmax` gives the place of the largest score");
    if (scores) suggest_call(x, d, at, "argmax");
    else if (type->bound)
      diag_help(d, "a class is an integer with a bound: declare it `%s<%s>`", dtype_name(t),
                bound_text(x, *e, type->bound));
    else if (v->bound && dtype_is_float(t)) diag_help(d, "it is a class's number; are the arguments in their order?");
    else if (v->rank == type_rank(type, &pack)) suggest_call(x, d, at, dtype_name(t));
    return NULL;
  }
  return v->kind == VALUE_TENSOR && v->rank ? v : value_coerce(x, v, t, at);
}

static bool is_free_name(Elaborator *x, Env *e, Ast *a) {
  return a->kind == AST_NAME && is_dimension_name(a->name) && !env_find(e, a->name) &&
         !decl_find(x, x->module, a->name);
}

void type_bind_names(Elaborator *x, Env **e, Ast *type, const Value *v, int lift, Span at) {
  bool pack;
  if (type->kind != AST_TYPE || !type->shape || type_rank(type, &pack) != v->rank - lift || pack) return;
  for (int i = 0; i < type->shape->items.n; i++) {
    Ast *a = type->shape->items.at[i];
    if (is_free_name(x, *e, a)) *e = env_bind(x, *e, a->name, value_int(x, v->shape[lift + i], at), a->span);
  }
}

static void wrong_shape(Elaborator *x, Env *e, Value *v, int lift, Span at, const char *what, Ast *dim, Dim *wanted,
                        Dim *have) {
  const char *message = arena_printf(x->arena, "%s has a dimension %s where %s is wanted", what,
                                     dim_text(x->arena, have), dim_text(x->arena, wanted));
  const Env *given =
      dim->kind == AST_NAME ? env_find(e, dim->name) : NULL; /* a layer's width: one cause of all uses */
  Diag *before = given && given->value ? same_cause(x, DIAG_WRONG_SHAPE, given->value->span, message) : NULL;
  if (before && is_users(x, at)) {
    if (!span_same(before->at, at)) diag_place(before, at, "and here");
    return;
  }
  Diag *d = diag_add(x->diags, DIAG_WRONG_SHAPE, at, "%s", message);
  diag_label(d, "this is %s", value_type_text(x, v));
  place_of_dim(x, d, e, dim, wanted);
  if (lift) diag_note(d, "its first %d dimension%s mapped over", lift, lift > 1 ? "s are" : " is");
}

static bool is_dimension_name_of(const Ast *a) { return a->kind == AST_NAME && is_dimension_name(a->name); }

static bool match_shape(Elaborator *x, Env **e, Ast *type, Value *v, int lift, Span at, const char *what) {
  bool pack;
  int rank = type_rank(type, &pack), have = v->kind == VALUE_TENSOR ? v->rank - lift : 0;
  Dim **shape = have ? v->shape + lift : NULL;
  int before = pack ? 0 : have; /* dimensions before those that ..S takes */
  while (pack && type->shape->items.at[before]->kind != AST_PACK) before++;
  if (!rank_known(x, v, lift, lift + before, at)) return false;
  if (pack && !rank_known(x, v, lift + have - (rank - before), lift + have, at)) return false;
  if (pack ? have < rank : have != rank) {
    Diag *d = diag_add(x->diags, DIAG_WRONG_RANK, at, "%s is %s: %d dimension%s where %d %s wanted", what,
                       value_type_text(x, v), have, have == 1 ? "" : "s", rank, rank == 1 ? "is" : "are");
    if (type->span.source) diag_place(d, type->span, "declared here");
    bool batch = have == rank - 1 && type->shape && is_dimension_name_of(type->shape->items.at[0]);
    bool own = is_users(x, type->span), mixes = batch && !strcmp(type->shape->items.at[0]->name, "B");
    if (v->kind == VALUE_TENSOR) suggest_reshape(x, d, at, type, have, shape);
    if (batch && !have) diag_help(d, "a vector of one number is `[...]`; else leave that dimension out");
    else if (mixes) diag_help(d, "it takes a whole batch: what calls it declares that in front, too, as `B`");
    else if (batch && own)
      diag_help(d, "what is written for one example is mapped over a batch by itself: leave that dimension out");
    return false;
  }
  if (!type->shape) return true;
  for (int pass = 0; pass < 2; pass++) { /* names first, then what is computed from them */
    for (int i = 0, k = 0; i < type->shape->items.n; i++) {
      Ast *a = type->shape->items.at[i];
      if (a->kind == AST_PACK) {
        int n = have - rank;
        Env *b = env_find(*e, a->name);
        if (!b && !pass) {
          Value *p = value_new(x, VALUE_PACK, at);
          p->rank = n;
          p->shape = n ? shape + k : NULL;
          *e = env_bind(x, *e, a->name, p, a->span);
        } else if (b && pass) {
          bool same = b->value->rank == n;
          for (int j = 0; same && j < n; j++) same = b->value->shape[j] == shape[k + j];
          if (!same) {
            diag_add(x->diags, DIAG_WRONG_SHAPE, at, "%s has %s where `..%s` is %s", what,
                     shape_text(x, n, shape + k), a->name, shape_text(x, b->value->rank, b->value->shape));
            return false;
          }
        }
        k += n;
        continue;
      }
      if (!pass && is_free_name(x, *e, a)) {
        *e = env_bind(x, *e, a->name, value_int(x, shape[k], at), a->span);
      } else if (pass) {
        Dim *d = dim_of(x, *e, a);
        if (!d) return false;
        if (d != shape[k]) {
          wrong_shape(x, *e, v, lift, at, what, a, d, shape[k]);
          return false;
        }
      }
      k++;
    }
  }
  return true;
}

/* The message that v is not known to be below `bound`; NULL: it is. */
static Diag *bound_missed(Elaborator *x, const Value *v, Dim *bound, Span at, const char *what) {
  if (v->bound && dim_at_least(x->ir, dim_sub(x->ir, bound, v->bound), 0)) return NULL;
  if (v->bound && x->generic && !dim_is_const(dim_sub(x->ir, bound, v->bound), NULL)) return NULL;
  if (value_is_form(v) && form_proves_inside(x->ir, value_form(x, v), bound)) return NULL; /* `n + 1` of an index n */
  Diag *d;
  if (v->bound)
    d = diag_add(x->diags, DIAG_WRONG_BOUND, at, "%s is %s<%s>, and %s<%s> is wanted", what, dtype_name(v->dtype),
                 dim_text(x->arena, v->bound), dtype_name(v->dtype), dim_text(x->arena, bound));
  else
    d = diag_add(x->diags, DIAG_WRONG_BOUND, at, "%s is a plain integer, and i32<%s> is wanted", what,
                 dim_text(x->arena, bound));
  if (v->bound) diag_label(d, "0 to %s", dim_text(x->arena, dim_sub(x->ir, v->bound, dim_const(x->ir, 1))));
  else {
    diag_help(d, "`%%` or clamp gives it a bound");
    suggest_rest(x, d, at, dim_text(x->arena, bound));
  }
  return d;
}

bool bound_holds(Elaborator *x, const Value *v, Dim *bound, Span at, const char *what) {
  return !bound || !bound_missed(x, v, bound, at, what);
}

static bool match_bound(Elaborator *x, Env **e, Ast *type, Value *v, Span at, const char *what) {
  if (!type->bound) return true;
  if (is_free_name(x, *e, type->bound) && v->bound) {
    *e = env_bind(x, *e, type->bound->name, value_int(x, v->bound, at), type->bound->span);
    return true;
  }
  if (is_free_name(x, *e, type->bound)) {
    Diag *d = diag_add(x->diags, DIAG_WRONG_BOUND, at, "%s is a plain integer, and one with a bound is wanted", what);
    diag_place(d, type->span, "declared here");
    diag_help(d, "`%%` or clamp gives it a bound; what an entry is given is declared with one, `i32<10>`");
    return false;
  }
  Dim *bound = dim_of(x, *e, type->bound);
  Diag *missed = bound ? bound_missed(x, v, bound, at, what) : NULL;
  if (missed) place_of_dim(x, missed, *e, type->bound, bound);
  return bound && !missed;
}

static bool has_element_type(const Elaborator *x, const Value *v, const Ast *type) {
  bool ok;
  return v && v->kind == VALUE_TENSOR && type->kind == AST_TYPE && v->dtype == dtype_of_name(x, type->name, &ok) &&
         ok;
}

/* d is about the elements of part i of v: the part that belongs there may stand elsewhere. */
static void suggest_order(Elaborator *x, Diag *d, const Ast *types, const Value *v, int i) {
  for (int k = 0; d->code == DIAG_WRONG_TYPE && k < v->n; k++) {
    const Ast *own = types->items.at[i]->type, *other = types->items.at[k]->type;
    if (!has_element_type(x, v->items[k], own) || !has_element_type(x, v->items[i], other)) continue;
    d->fix.source = 0;
    d->help = NULL;
    diag_help(d, "are the parts in their order?");
    return;
  }
}

Value *type_match(Elaborator *x, Env **e, Ast *param, Value *v, int lift, Span at, const char *what) {
  Ast *type = param->kind == AST_PARAMETER ? param->type : param;
  if (!type) return v;
  if (type->kind == AST_TYPE_TUPLE || v->kind == VALUE_TUPLE) {
    if (v->kind != VALUE_TUPLE || type->kind != AST_TYPE_TUPLE || v->n != type->items.n) {
      int parts = type->kind == AST_TYPE_TUPLE ? type->items.n : 1;
      return mismatch(x, type, v, at, what, parts == 1 ? "one part" : arena_printf(x->arena, "%d parts", parts));
    }
    Value *t = NEW(x->arena, Value);
    *t = *v;
    t->items = NEW_ARRAY(x->arena, Value *, v->n);
    t->names = NEW_ARRAY(x->arena, Str, v->n);
    for (int i = 0; i < v->n; i++) {
      t->names[i] = type->items.at[i]->name;
      Str part = type->items.at[i]->name;
      Value *item = v->items[i];
      const char *which = part ? arena_printf(x->arena, "`%s` of %s", part, what)
                               : arena_printf(x->arena, "part %d of %s", i + 1, what);
      Span place = item && span_holds(at, item->span) ? item->span : at; /* where it is written, if it is here */
      int before = x->diags->all.n;
      t->items[i] = item ? type_match(x, e, type->items.at[i]->type, item, lift, place, which) : NULL;
      if (!t->items[i] && x->diags->all.n > before) suggest_order(x, x->diags->all.at[before], type, v, i);
      if (!t->items[i]) return NULL;
    }
    return t;
  }
  bool known;
  Value *c = match_compile_time(x, *e, type, param, v, at, what, &known);
  if (known) return c;
  if (v->kind == VALUE_FLAG && !strcmp(type->name, "bool")) v = value_runtime(x, v);
  if (value_is_structure(v)) return structure_match(x, e, type, v, at, what);
  if (!value_is_number(v)) return mismatch(x, param, v, at, what, "a tensor");
  v = match_dtype(x, e, type, v, at, what);
  if (!v || !match_shape(x, e, type, v, lift, at, what) || !match_bound(x, e, type, v, at, what)) return NULL;
  if (type->bound && v->kind == VALUE_TENSOR) {
    Value *r = NEW(x->arena, Value);
    *r = *v;
    r->bound = dim_of(x, *e, type->bound);
    return r;
  }
  return v;
}

bool type_check_result(Elaborator *x, Env *e, Ast *type, Value **v, Span at, const char *what) {
  Value *r = type_match(x, &e, type, *v, 0, at, what);
  if (r) *v = r;
  return r != NULL;
}
