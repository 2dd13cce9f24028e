/* hyper.c - `hyper lr: real = 1e-3 in log(1e-5, 1e-1)`: numbers that are there at run time, since `--set lr=3e-4`
 * changes them without compiling again. Each is a variable `hyper/<name>` that is saved with the weights, so that a
 * run that goes on and an entry use what the training used. */
#include "frontend/value.h"

#include <string.h>

static bool constant(Elaborator *x, Ast *a, double *out) {
  Value *v = elaborate_expr(x, NULL, a);
  int64_t n;
  if (!v) return false;
  bool is_int = v->kind == VALUE_INT && dim_is_const(v->dim, &n);
  *out = is_int ? (double)n : v->real;
  if (is_int || v->kind == VALUE_REAL) return true;
  diag_add(x->diags, DIAG_HYPER, a->span, "a number known at compile time is wanted, and this is %s",
           value_type_text(x, v));
  return false;
}

static void bad_range(Elaborator *x, const Ast *a, const char *what) {
  Diag *d = diag_add(x->diags, DIAG_HYPER, a->range->span, "%s", what);
  diag_help(d, "write `in log(1e-5, 1e-1)`, `in linear(0, 0.5)`, or the values themselves: `in [16, 32, 64]`");
}

/* The value that it has when no search runs, and the range: where one looks. */
static void check_inside(Elaborator *x, const Ast *a, const Value *v, const double *range) {
  int64_t n = 0;
  double value = v->kind == VALUE_REAL ? v->real : dim_is_const(v->dim, &n) ? (double)n : range[0];
  if (value >= range[0] && value <= range[1]) return;
  Diag *d = diag_add(x->diags, DIAG_HYPER, a->value->span, "`%s` is %g, outside of its range", a->name, value);
  diag_place(d, a->range->span, "%g to %g", range[0], range[1]);
}

/* `in log(low, high)`, `in linear(low, high)`, `in [a, b, c]`: where a search looks. */
static void check_range(Elaborator *x, const Ast *a, const Value *value) {
  Ast *r = a->range;
  double v[2];
  if (r->kind == AST_ARRAY) {
    for (int i = 0; i < r->items.n; i++)
      if (!constant(x, r->items.at[i], v)) return;
    return;
  }
  bool is_log = r->kind == AST_CALL && r->callee->kind == AST_NAME && !strcmp(r->callee->name, "log");
  bool is_linear = r->kind == AST_CALL && r->callee->kind == AST_NAME && !strcmp(r->callee->name, "linear");
  if ((!is_log && !is_linear) || r->args->items.n != 2) {
    bad_range(x, a, "this is no range of values");
    return;
  }
  for (int i = 0; i < 2; i++)
    if (!constant(x, r->args->items.at[i]->value, &v[i])) return;
  if (v[0] >= v[1]) bad_range(x, a, "a range goes from a lower value to a higher one");
  else if (is_log && v[0] <= 0) bad_range(x, a, "a logarithmic range begins above 0");
  else if (value) check_inside(x, a, value, v);
}

/* i32 of `int`, f64 of `real`: a schedule is computed in f64 until it meets what it changes. DT_COUNT: it is neither.
 */
static DType hyper_type(const Ast *type) {
  if (type->kind != AST_TYPE || type->shape || type->bound) return DT_COUNT;
  return !strcmp(type->name, "real") ? DT_f64 : !strcmp(type->name, "int") ? DT_i32 : DT_COUNT;
}

void elaborate_hyper(Elaborator *x, Decl *d) {
  Ast *a = d->ast;
  Type t = {.dtype = hyper_type(a->type)};
  d->failed = true;
  if (t.dtype == DT_COUNT) {
    Diag *g = diag_add(x->diags, DIAG_HYPER, a->type->span, "a `hyper` is `real` or `int`");
    diag_help(g, "what is known when compiling, a dimension or a flag, is a constant that `nnc -D` changes");
    return;
  }
  int errors = x->diags->errors;
  Str name = str_internf(x->strings, "hyper/%s", decl_full_name(x, d));
  Value *v = defined_by_option(x, d);
  if (!v) v = elaborate_expr(x, NULL, a->value);
  bool fits = v && (v->kind == VALUE_INT || (v->kind == VALUE_REAL && t.dtype == DT_f64));
  if (v && !fits)
    diag_add(x->diags, DIAG_HYPER, a->value->span, "`%s` is %s and its value %s", d->name,
             t.dtype == DT_i32 ? "an integer" : "a real", value_type_text(x, v));
  check_range(x, a, fits ? v : NULL);
  if (!fits || x->diags->errors > errors) return;
  d->failed = false;
  d->tensor = tensor_declare(x, name, ROLE_hyper, &t, a->name_span);
  vec_push(x->arena, &x->inits, (Init){.tensor = d->tensor, .value = v, .ast = a, .path = name, .module = d->module});
}

Value *hyper_value(Elaborator *x, Decl *d, Span at) {
  if (d->failed) return NULL;
  Value *v = NEW(x->arena, Value);
  *v = *tensor_current(x, d->tensor, at);
  v->weak = v->hyper = true;
  return v;
}
