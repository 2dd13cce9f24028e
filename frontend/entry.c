/* entry.c - entries: what the program offers by name. Written for one example, lifted over B. */
#include "frontend/value.h"

#include <string.h>

static const char *const taken[] = {"train", "eval", "bench", "info", "explain",
                                    "tune",  "data", "serve", "help", "version"};

static void find_field(Elaborator *x, Argument *a) {
  a->data = a->field = -1;
  /* The trained data first: its fields are those that a FILE holds. */
  for (int i = 0; i < x->program->data.n && a->data < 0; i++)
    for (int k = 0; k < x->program->data.at[i].fields.n; k++) {
      const Field *f = &x->program->data.at[i].fields.at[k];
      bool same = f->name == a->name && f->dtype == a->dtype && f->rank == a->rank && f->bound == a->bound;
      for (int d = 0; same && d < f->rank; d++)
        same = f->shape[d] == a->shape[d] || (f->shape[d] < 0 && a->shape[d] == ARGUMENT_OPEN);
      if (!same) continue;
      a->data = i;
      a->field = k;
      break;
    }
}

/* The data whose number of tokens a bound is called by: `book.classes`, or a constant of a file that is defined so.
 */
static int data_of_bound(Elaborator *x, Module *m, const Ast *bound, int depth) {
  if (!bound || depth > 50) return -1;
  Decl *d = decl_of_path(x, m, bound);
  if (d && d->kind == DECL_DEFINITION) return data_of_bound(x, d->module, d->ast->value, depth + 1);
  bool classes = bound->kind == AST_MEMBER && !strcmp(bound->name, "classes");
  d = classes ? decl_of_path(x, m, bound->base) : NULL;
  return d && d->kind == DECL_DATA && d->value ? d->value->data->index : -1;
}

/* Tokens in a row are a text of the data that the type names, or through whose field they are read: the data set; -1:
 * numbers. */
static int find_text(Elaborator *x, const Argument *a, const Ast *type) {
  int data = type && type->kind == AST_TYPE ? data_of_bound(x, x->module, type->bound, 0) : -1;
  if (data < 0) data = a->data;
  if (data < 0 || a->dtype != DT_i32 || a->rank != 1) return -1;
  const DataSet *d = &x->program->data.at[data];
  return d->tokenizer && d->tokens == a->bound ? data : -1;
}

/* The k-th part's type, as it is written; NULL: it is not. */
static const Ast *part_type(const Ast *type, int k) {
  if (!type || type->kind != AST_TYPE_TUPLE) return type;
  return k < type->items.n ? type->items.at[k]->type : NULL;
}

static bool is_named(const Value *tuple, Str name) {
  for (int i = 0; tuple->names && i < tuple->n; i++)
    if (tuple->names[i] == name) return true;
  return false;
}

/* What the k-th part is called; without a name `result` and its place, which no other part's name may be. */
static Str part_name(Elaborator *x, const Value *tuple, int k) {
  if (tuple->names && tuple->names[k]) return tuple->names[k];
  Str name = str_internf(x->strings, "result%d", k);
  while (is_named(tuple, name)) name = str_internf(x->strings, "%s_", name);
  return name;
}

/* Sizes of one example; negative for one that is known when the entry is called (Argument). */
static int64_t *shape_numbers(Elaborator *x, int rank, Dim **shape) {
  int64_t *n = NEW_ARRAY(x->arena, int64_t, rank + 1);
  for (int i = 0; i < rank; i++)
    if (!dim_is_const(shape[i], &n[i])) n[i] = ARGUMENT_OPEN - 1 - pack_of(x, shape[i]);
  return n;
}

/* The names in a dimension that nothing binds. */
static void open_names(Elaborator *x, Env **e, const Ast *a) {
  if (dimension_is_open(x, *e, a))
    *e = env_bind(x, *e, a->name, value_int(x, dim_symbol(x->ir, a->name, 1), a->span), a->span);
  for (int i = 0; i < ast_child_count(a); i++)
    if (ast_child(a, i)) open_names(x, e, ast_child(a, i));
}

/* Each dimension that nothing binds is open: a file says what it is. */
static void open_dimensions(Elaborator *x, Env **e, const Ast *type) {
  for (int i = 0; type->kind == AST_TYPE && type->shape && i < type->shape->items.n; i++) {
    const Ast *a = type->shape->items.at[i];
    if (a->kind == AST_PACK && !env_find(*e, a->name)) *e = env_bind(x, *e, a->name, pack_new(x, a), a->span);
    else if (a->kind != AST_PACK) open_names(x, e, a);
  }
}

/* Whether some argument's dimension is this symbol, or a multiple of it and a number: then a file says what it is. */
static bool is_found(Elaborator *x, Env *e, const AstList *params, const DimAtom *symbol) {
  for (int i = 0; i < params->n; i++) {
    const Ast *type = params->at[i]->type;
    for (int k = 0; type->kind == AST_TYPE && type->shape && k < type->shape->items.n; k++) {
      Ast *a = type->shape->items.at[k];
      int64_t scale, rest;
      DimAtom *s;
      if (a->kind != AST_PACK && dim_is_line(dim_of(x, e, a), &scale, &s, &rest) && s == symbol) return true;
    }
  }
  return false;
}

/* False after a message: of a dimension that no call could say. */
static bool all_found(Elaborator *x, Env *e, const AstList *params, const Ast *a, Str entry) {
  const Env *b = a->kind == AST_NAME ? env_find(e, a->name) : NULL;
  int64_t scale, rest;
  DimAtom *s;
  bool open = b && b->value && b->value->kind == VALUE_INT && dim_is_line(b->value->dim, &scale, &s, &rest);
  if (open && !is_found(x, e, params, s)) {
    Diag *d = diag_add(x->diags, DIAG_UNKNOWN_NAME, a->span, "`%s` is not known when `%s` is called", a->name, entry);
    diag_help(d, "an argument that has the dimension `%s`, or `2 * %s + 1`, says what it is", a->name, a->name);
    return false;
  }
  bool ok = true;
  for (int i = 0; i < ast_child_count(a); i++)
    if (ast_child(a, i)) ok = all_found(x, e, params, ast_child(a, i), entry) && ok;
  return ok;
}

/* Of an argument that is read through a field whose examples differ in length: how long each is, the argument after
 * it; NULL. */
static Value *argument_length(Elaborator *x, EntryPoint *p, const Argument *a, Dim *size, Form *b, Span at) {
  vec_push(x->arena, &p->arguments, *a);
  int length = a->data < 0 ? 0 : x->program->data.at[a->data].fields.at[a->field].length;
  if (!length) return NULL;
  const Field *f = &x->program->data.at[a->data].fields.at[length];
  Argument n = {.name = str_internf(x->strings, "$length.%s", a->name), .dtype = f->dtype, .bound = f->bound};
  n.shape = f->shape;
  n.data = a->data;
  n.field = length;
  n.text = -1;
  vec_push(x->arena, &p->arguments, n);
  Value *v = value_node(x, graph_named_input(x, n.name, n.dtype, 1, &x->batch, at), at);
  v = value_take(x, v, 1, &b);
  Dim *most = a->shape[0] < 0 ? size : dim_const(x->ir, a->shape[0]);
  v->bound = dim_add(x->ir, most, dim_const(x->ir, 1));
  return v;
}

static bool bind_argument(Elaborator *x, EntryPoint *p, Env **e, Ast *param, Form *b) {
  Type t;
  if (!param->type) {
    diag_add(x->diags, DIAG_ENTRY_TYPE, param->span, "an entry's argument needs a type");
    return false;
  }
  if (!type_resolve(x, *e, param->type, &t) || !rank_fits(x, t.rank + 1, param->type->span)) return false;
  Argument a = {.name = param->name, .dtype = t.dtype, .rank = t.rank, .shape = shape_numbers(x, t.rank, t.shape)};
  if (t.bound) dim_is_const(t.bound, &a.bound);
  find_field(x, &a);
  a.text = find_text(x, &a, param->type);
  Dim *shape[9] = {x->batch};
  for (int i = 0; i < t.rank; i++) shape[i + 1] = t.shape[i];
  Value *v =
      value_node(x, graph_named_input(x, param->name, t.dtype, t.rank + 1, shape, param->span), param->name_span);
  v->bound = t.bound;
  v = value_take(x, v, 1, &b);
  v->bound = t.bound;
  v->length = argument_length(x, p, &a, t.rank ? t.shape[0] : NULL, b, param->name_span);
  *e = env_bind(x, *e, param->name, v, param->name_span);
  return true;
}

static void add_result(Elaborator *x, EntryPoint *p, Value *v, Str name, const Ast *type, Var *b, Span at) {
  v = value_runtime(x, v);
  if (v->kind != VALUE_TENSOR) {
    diag_add(x->diags, DIAG_WRONG_TYPE, at, "an entry gives tensors, and this is %s", value_type_text(x, v));
    return;
  }
  if (v->weak) v = value_coerce(x, v, dtype_is_float(v->dtype) ? float_default(x) : DT_i32, at);
  Argument r = {.name = name, .dtype = v->dtype, .rank = v->rank, .data = -1, .field = -1};
  if (v->bound) dim_is_const(v->bound, &r.bound);
  r.shape = shape_numbers(x, v->rank, v->shape);
  r.text = find_text(x, &r, type);
  v = value_abstract(x, v, 1, &b);
  if (!v) return;
  vec_push(x->arena, &p->results, r);
  graph_output(x->graph, name, value_whole(x, v));
}

/* How much of a text is there goes with it. */
static void add_length(Elaborator *x, EntryPoint *p, const Value *v, int result, Var *b, Span at) {
  if (result >= p->results.n || p->results.at[result].text < 0 || !v->length || v->length->rank) return;
  add_result(x, p, v->length, str_internf(x->strings, "$length.%s", p->results.at[result].name), NULL, b, at);
}

/* What the example leaves in the states that it wrote: there is one example. */
static void keep_states(Elaborator *x, Var *b, int errors, Span at) {
  Form *first = form_const(x->ir, 0);
  int kept = 0;
  for (int i = 0; i < x->current.n; i++) {
    Value *v = x->current.at[i].value ? value_abstract(x, x->current.at[i].value, 1, &b) : NULL;
    if (v) graph_store(x->graph, x->current.at[i].source, value_whole(x, value_take(x, v, 1, &first)), at);
    kept += v != NULL;
  }
  if (kept || x->diags->errors > errors) return; /* what would write one was refused */
  Diag *d = diag_add(x->diags, DIAG_KEEP_ENTRY, at, "`%s` writes no state that it could keep", x->entry->name);
  diag_help(d, "an entry that keeps nothing is declared without `keep`");
}

void elaborate_entry(Elaborator *x, Decl *decl) {
  Ast *a = decl->ast;
  for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
    if (!strcmp(decl->name, taken[i])) {
      diag_add(x->diags, DIAG_ENTRY_NAME, a->name_span,
               "`%s` is a verb of every program; an entry needs another name", decl->name);
      return;
    }
  EntryPoint p = {.name = decl->name, .sample = (a->flags & AST_SAMPLE) != 0, .span = a->name_span};
  p.keep = (a->flags & AST_KEEP) != 0;
  GraphState *saved;
  p.graph = graph_begin(x, str_internf(x->strings, "entry.%s", decl->name), &saved);
  x->batch = dim_symbol(x->ir, str_internz(x->strings, "B"), 0);
  x->graph->batch = dim_as_symbol(x->batch);
  x->entry = a;
  x->sample = p.sample;
  frame_enter(x, decl->name);
  Var *b = var_fresh(x->ir, x->batch);
  Dim *shape[1] = {x->batch};
  Form *f = form_var(x->ir, b);
  stack_push(x, b, expr_read(x->ir, graph_named_input(x, "$place", DT_i64, 1, shape, a->span), &f));
  x->examples = 1;
  Env *e = NULL;
  int errors = x->diags->errors;
  bool ok = where_learn(x, &e, a->params, a->where);
  for (int i = 0; i < a->params->items.n; i++)
    if (a->params->items.at[i]->type) open_dimensions(x, &e, a->params->items.at[i]->type);
  for (int i = 0; i < a->params->items.n; i++) ok = bind_argument(x, &p, &e, a->params->items.at[i], f) && ok;
  for (int i = 0; ok && i < a->params->items.n; i++)
    if (a->params->items.at[i]->type->shape)
      ok = all_found(x, e, &a->params->items, a->params->items.at[i]->type->shape, decl->name);
  ok = ok && where_test(x, e, a->where, (Span){0}, decl->name);
  Type t, *expected = NULL;
  ok = ok && expected_result(x, e, a->type, &t, &expected);
  Value *v = ok ? value_filled(x, elaborate_body(x, e, a->body, expected, a->name_span), expected) : NULL;
  if (v && a->type &&
      !type_check_result(x, e, a->type, &v, a->body->kind == AST_BLOCK ? v->span : a->body->span,
                         arena_printf(x->arena, "the result of `%s`", decl->name)))
    v = NULL;
  x->stack.n = 0;
  if (v && v->kind == VALUE_TUPLE) {
    for (int i = 0; i < v->n; i++)
      add_result(x, &p, v->items[i], part_name(x, v, i), part_type(a->type, i), b, a->span);
  } else if (v) {
    Str name = a->type && a->type->text ? a->type->text : str_internz(x->strings, "result");
    add_result(x, &p, v, name, a->type, b, a->span);
  }
  p.shown = p.results.n;
  for (int i = 0; v && v->kind == VALUE_TUPLE && i < v->n; i++) add_length(x, &p, v->items[i], i, b, a->span);
  if (v && v->kind != VALUE_TUPLE) add_length(x, &p, v, 0, b, a->span);
  if (v && p.keep) keep_states(x, b, errors, a->name_span);
  graph_end(x, saved);
  if (v) vec_push(x->arena, &x->program->entries, p);
}
