/* data.c - data sets: what each field reads of its source, and the graph that computes it. */
#include "frontend/value.h"

#include <string.h>

/* The source's part that a field reads: an input `raw.<k>` of the field's graph, over the batch. `shape`: of a row,
 * of which an example may be a window. */
Value *data_raw_part(Elaborator *x, RawColumn c, int rank, Dim **shape, Span at) {
  Field *f = x->field;
  int k = -1;
  for (int i = 0; i < f->raw.n; i++) {
    const RawColumn *r = &f->raw.at[i];
    if (r->from == c.from && r->to == c.to && r->name == c.name && r->single == c.single && r->length == c.length)
      k = i;
  }
  if (k < 0) {
    k = f->raw.n;
    vec_push(x->arena, &f->raw, c);
  }
  Dim *all[MAX_RANK + 2];
  int lead = 0;
  all[lead++] = x->batch;
  if (x->set->window) all[lead++] = dim_const(x->ir, x->set->window);
  if (!rank_fits(x, lead + rank, at)) return NULL;
  for (int i = 0; i < rank; i++) all[lead + i] = shape[i];
  Node *n = graph_named_input(x, arena_printf(x->arena, "raw.%d", k), c.dtype, lead + rank, all, at);
  Form *b[1] = {form_var(x->ir, x->stack.at[0].var)};
  Value *v = value_take(x, value_node(x, n, at), 1, b);
  v->span = at;
  return v;
}

static void say_tokens_only(Elaborator *x, Span at) {
  Diag *d = diag_add(x->diags, DIAG_COLUMN, at, "a text has no columns; its fields read `tokens`");
  long long window = (long long)x->set->window;
  if (window) diag_help(d, "x: i32<V>[%lld] = tokens[0:%lld]", window, window);
  else diag_help(d, "x: i32<V>[S] = tokens, or i32<V>[64] for examples of at most 64");
}

static bool column_number(Elaborator *x, Env *e, Ast *a, int *out) {
  Dim *d = dim_of(x, e, a);
  int64_t c;
  if (!d) return false;
  if (!dim_is_const(d, &c) || c < 0 || c > 10000000) {
    diag_add(x->diags, DIAG_COLUMN, a->span, "a column's number counts from 0");
    return false;
  }
  *out = (int)c;
  return true;
}

static Value *token_part(Elaborator *x, RawColumn c, Span at);

/* tokens("review"), tokens(3): a csv's column of texts. */
static Value *text_column(Elaborator *x, Env *e, Ast *a) {
  Ast *first = a->args->items.n == 1 ? a->args->items.at[0]->value : NULL;
  RawColumn c = {.from = -1, .to = -1, .text = true};
  if (!first || strcmp(x->set->format, "csv") != 0 || x->set->window) {
    Diag *d = diag_add(x->diags, DIAG_COLUMN, a->span, "`tokens` of a column are those of a csv's, without windows");
    diag_help(d, "tokens(\"review\"), or tokens(3); a text's are `tokens`");
    return NULL;
  }
  if (!x->set->tokens) {
    Diag *d = diag_add(x->diags, DIAG_SOURCE, a->span, "nothing says how this column's texts are cut into tokens");
    diag_help(d, "csv(\"%s\", tokenizer = \"vocab.txt\")", x->set->path ? x->set->path : "train.csv");
    return NULL;
  }
  if (first->kind == AST_STRING) c.name = first->text;
  else if (!column_number(x, e, first, &c.from)) return NULL;
  else c.to = c.from + 1;
  return token_part(x, c, a->span);
}

static Value *length_part(Elaborator *x, RawColumn c, Dim *size, Span at);

/* What has an open dimension for its first, each example its own, with its length. */
static Value *own_length(Elaborator *x, RawColumn c, Dim **shape, int rank, Span at) {
  Value *v = data_raw_part(x, c, rank, shape, at);
  if (v) v->length = length_part(x, c, shape[0], at);
  return v;
}

/* column(3), column("name"), columns(0, 64), tokens("name"). *is: the call is one of these. */
Value *data_column(Elaborator *x, Env *e, Ast *a, bool *is) {
  bool many = !strcmp(a->callee->name, "columns"), texts = !strcmp(a->callee->name, "tokens");
  *is = x->field && (many || texts || !strcmp(a->callee->name, "column"));
  if (!*is) return NULL;
  if (has_images(x->set)) return image_part(x, a->callee->name, a->span);
  if (texts) return text_column(x, e, a);
  if (has_tokens(x->set)) {
    say_tokens_only(x, a->span);
    return NULL;
  }
  int n = a->args->items.n;
  if (n != (many ? 2 : 1)) {
    Diag *d = diag_add(x->diags, DIAG_ARGUMENTS, a->span, "`%s` takes %s", a->callee->name,
                       many ? "the first column and the one after the last" : "one column");
    diag_help(d, many ? "columns(0, 64) reads 64 columns" : "column(3), or column(\"name\")");
    return NULL;
  }
  RawColumn c = {.dtype = x->field->dtype, .from = -1, .to = -1, .single = !many};
  Ast *first = a->args->items.at[0]->value;
  if (!many && first->kind == AST_STRING && strcmp(x->set->format, "csv") != 0)
    return data_part(x, first->text, a->span);
  if (!many && first->kind == AST_STRING) {
    c.name = first->text;
    return data_raw_part(x, c, 0, NULL, a->span);
  }
  if (!column_number(x, e, first, &c.from)) return NULL;
  c.to = c.from + 1;
  if (!many) return data_raw_part(x, c, 0, NULL, a->span);
  if (!column_number(x, e, a->args->items.at[1]->value, &c.to)) return NULL;
  if (c.to <= c.from) {
    diag_add(x->diags, DIAG_COLUMN, a->span, "columns(%d, %d) holds no column", c.from, c.to);
    return NULL;
  }
  Dim *shape[1] = {x->field->open ? x->field->open : dim_const(x->ir, c.to - c.from)};
  if (x->field->open) return own_length(x, c, shape, 1, a->span);
  return data_raw_part(x, c, 1, shape, a->span);
}

/* How many tokens there are, at most `size`. */
static Value *length_part(Elaborator *x, RawColumn c, Dim *size, Span at) {
  c.length = true;
  c.dtype = DT_i32;
  Value *v = data_raw_part(x, c, 0, NULL, at);
  if (v) v->bound = dim_add(x->ir, size, dim_const(x->ir, 1));
  return v;
}

Dim *field_dim(Elaborator *x, const Field *f, int i) {
  return i == 0 && f->open ? f->open : dim_const(x->ir, f->shape[i]);
}

/* The tokens of a window; or of a line or cell, as many as the field's first dimension has room for, with their
 * number. */
static Value *token_part(Elaborator *x, RawColumn c, Span at) {
  const Field *f = x->field;
  bool window = x->set->window > 0;
  Dim *size[1] = {window ? dim_const(x->ir, x->set->window) : f->rank ? field_dim(x, f, 0) : dim_const(x->ir, 1)};
  c.dtype = DT_i32;
  c.single = window;
  Value *v = data_raw_part(x, c, !window, size, at);
  if (!v) return NULL;
  v->bound = dim_const(x->ir, x->set->tokens);
  if (!window) v->length = length_part(x, c, size[0], at);
  return v;
}

/* Whether an array of this name is among the source's, where each is a file; false after a message. */
static bool has_file(Elaborator *x, Str name, Span at) {
  const DataSet *d = x->set;
  Nearest near = {name, 3, NULL, false};
  if (d->path || !d->files.n) return true;
  for (int i = 0; i < d->files.n; i++) {
    if (d->files.at[i].column == name) return true;
    nearest_consider(&near, d->files.at[i].column);
  }
  Diag *g = say_unknown(x, DIAG_UNKNOWN_NAME, name, at,
                        arena_printf(x->arena, "`%s` has no file called `%s`", d->name, name));
  bool own = at.begin == x->field->span.begin; /* the field's name, which may be right */
  if (g && near.found && own)
    diag_help(g, "what has another name there is read by that: `%s: … = %s`", name, near.found);
  else if (g && near.found && at.end - at.begin == strlen(name)) diag_meant(g, at, near.found);
  return false;
}

void say_no_function(Elaborator *x, Env *e, const Ast *call) {
  Str name = call->callee->name;
  Span at = call->callee->span;
  Nearest near = {name, 3, NULL, false};
  nearest_consider(&near, call->args->items.n > 1 ? "columns" : "column");
  nearest_consider(&near, "tokens");
  Diag *d = say_unknown(x, DIAG_UNKNOWN_NAME, name, at, arena_printf(x->arena, "`%s` is not defined", name));
  if (d) diag_meant(d, at, near.found ? near.found : closest_name(x, e, name));
}

static const SourceRow *row_named(const Elaborator *x, Str name) {
  for (int i = 0; i < x->rows.n; i++)
    if (x->rows.at[i].name == name) return &x->rows.at[i];
  return NULL;
}

/* A name that nothing defines, in a field: the source's part of that name. What a row of it is, a field of this name
 * without a formula says; else it is what the field is. */
Value *data_part(Elaborator *x, Str name, Span at) {
  const Field *f = x->field;
  if (has_images(x->set)) return image_part(x, name, at);
  if (has_tokens(x->set)) {
    if (strcmp(name, "tokens") != 0) {
      say_tokens_only(x, at);
      return NULL;
    }
    return token_part(x, (RawColumn){.from = -1, .to = -1, .name = name}, at);
  }
  if (!has_file(x, name, at)) return NULL;
  const SourceRow *row = row_named(x, name);
  if (row && row->failed) return NULL;
  if (!row) x->assumed = name;
  Dim *shape[8];
  int rank = row ? row->type.rank : f->rank, lead = x->set->window && rank; /* the window itself */
  for (int i = lead; i < rank; i++) shape[i - lead] = row ? row->type.shape[i] : field_dim(x, f, i);
  rank -= lead;
  RawColumn c = {.dtype = row ? row->type.dtype : f->dtype, .from = -1, .to = -1, .name = name, .single = !rank};
  bool open = rank && !dim_is_const(shape[0], NULL);
  return open ? own_length(x, c, shape, rank, at) : data_raw_part(x, c, rank, shape, at);
}

/* Shapes did not fit, in a formula of an array that was read as what the field is: what else it may be has to be
 * said. */
static void say_row(Elaborator *x, int before) {
  const Field *f = x->field;
  Diag *d = NULL;
  for (int i = before; x->assumed && !d && i < x->diags->all.n; i++)
    if (diag_of_shapes(x->diags->all.at[i]->code)) d = x->diags->all.at[i];
  if (!d) return;
  Str name = x->assumed;
  const char *type = arena_printf(x->arena, "%s[", dtype_name(f->dtype));
  if (x->set->window) type = arena_printf(x->arena, "%s%lld, ", type, (long long)x->set->window);
  diag_note(d, "no field says what a row of `%s` is, so it is taken for what `%s` is", name, f->name);
  if (name != f->name)
    diag_help(d, "`%s: %s…]`, a field without a formula, says what a row of the file is", name, type);
  else
    diag_help(d, "give the file another name, `raw`; a field `raw: %s…]` without a formula says what a row of it is",
              type);
}

/* The formula's value, of the field's type; NULL after a message. */
static Value *formula_value(Elaborator *x, Env *e, const Field *f, Ast *a, const Type *t) {
  Value *v = a->value ? elaborate_expr_as(x, e, a->value, t) : data_part(x, f->name, a->name_span);
  if (!v) return NULL;
  Value *loose = value_runtime(x, v);
  if (loose->kind == VALUE_TENSOR && t->bound) { /* the loader proves it */
    v = NEW(x->arena, Value);
    *v = *loose;
    v->bound = t->bound;
  }
  Span at = a->value ? a->value->span : a->name_span;
  return type_check_result(x, e, a->type, &v, at, arena_printf(x->arena, "`%s`", f->name)) ? v : NULL;
}

/* False after a message. */
static bool field_value(Elaborator *x, Env *e, Field *f, Ast *a, const Type *t) {
  Var *b = var_fresh(x->ir, x->batch);
  stack_push(x, b, NULL);
  int before = x->diags->all.n;
  Value *v = formula_value(x, e, f, a, t);
  x->stack.n = 0;
  if (!v) {
    if (a->value) say_row(x, before);
    return false;
  }
  f->length = v->length != NULL;
  if (f->open && !f->length) {
    const char *open = dim_text(x->arena, f->open);
    Diag *d = diag_add(x->diags, DIAG_FIELD, a->span, "what this computes has no length of its own");
    diag_label(d, "nothing defines `%s`: it is open, each example's own", open);
    diag_help(d, "define `%s`, or leave `%s` what the source has as it is and compute with it where it is used", open,
              f->name);
    return false;
  }
  v = value_abstract(x, v, 1, &b);
  if (v) graph_output(x->graph, str_internz(x->strings, "value"), value_whole(x, v));
  return v != NULL;
}

/* Begins the field's own graph: what it reads becomes inputs of it. */
static void field_begin(Elaborator *x, DataSet *d, Field *f, GraphState **saved) {
  f->graph = graph_begin(x, str_internf(x->strings, "data.%s.%s", d->name, f->name), saved);
  x->batch = dim_symbol(x->ir, str_internz(x->strings, "B"), 0);
  x->graph->batch = dim_as_symbol(x->batch);
  x->field = f;
  x->set = d;
  x->assumed = NULL;
}

static void field_end(Elaborator *x, GraphState *saved) {
  x->field = NULL;
  graph_end(x, saved);
}

/* The field of a field's lengths. */
static void length_field(Elaborator *x, DataSet *d, const Field *of) {
  Field f = {.name = str_internf(x->strings, "$length.%s", of->name), .dtype = DT_i32, .span = of->span};
  f.shape = NEW_ARRAY(x->arena, int64_t, 1);
  f.bound = of->open ? 0 : of->shape[0] + 1;
  GraphState *saved;
  field_begin(x, d, &f, &saved);
  Var *b = var_fresh(x->ir, x->batch);
  stack_push(x, b, NULL);
  const RawColumn *c = of->raw.at;
  while (!c->length) c++;
  Value *v = length_part(x, *c, field_dim(x, of, 0), of->span);
  x->stack.n = 0;
  if (v && (v = value_abstract(x, v, 1, &b)))
    graph_output(x->graph, str_internz(x->strings, "value"), value_whole(x, v));
  field_end(x, saved);
  vec_push(x->arena, &d->fields, f);
}

/* The names that types and formulas of a data set's fields may use. */
Env *data_names(Elaborator *x, const DataSet *d, Span at) {
  Env *e = text_names(x, d, at);
  for (int i = 0; i < d->open.n; i++) e = env_bind(x, e, d->open.at[i].name, value_int(x, d->open.at[i].dim, at), at);
  return e;
}

static bool refuse_open(Elaborator *x, Span at) {
  Diag *d = diag_add(x->diags, DIAG_FIELD, at, "this is no length that each example may have of its own");
  diag_help(d,
            "the first dimension alone may be open, as `S` in i32<V>[S] of a text's lines, f32[S] of a csv's columns "
            "or f32[S, 3] of an array, without windows");
  return false;
}

/* A dimension that nothing binds is each example's own; false after a message. */
static bool open_length(Elaborator *x, DataSet *d, const Ast *type) {
  for (int i = 0; type->kind == AST_TYPE && type->shape && i < type->shape->items.n; i++) {
    const Ast *a = type->shape->items.at[i];
    if (a->kind == AST_PACK) return refuse_open(x, a->span);
    if (dimension_is_open(x, data_names(x, d, a->span), a))
      vec_push(x->arena, &d->open, (OpenDim){a->name, dim_symbol(x->ir, a->name, 1)});
  }
  return true;
}

/* -1 for the first open dimension of the data set, -2 for the second, ... */
static int64_t open_number(const DataSet *d, const Dim *dim) {
  for (int i = 0; i < d->open.n; i++)
    if (d->open.at[i].dim == dim) return -1 - i;
  return 0; /* is_length refuses it */
}

/* Whether a field of this type, whose dimension i is open, may be what the source has: tokens of a line or cell,
 * numbers of a row, an array. */
static bool is_length(Elaborator *x, const DataSet *d, const Type *t, int i, Span at) {
  bool array = !has_tokens(d) && strcmp(d->format, "csv") != 0;
  bool plain = i == 0 && dim_as_symbol(t->shape[0]) != NULL && (t->rank == 1 || array);
  bool typed = !has_tokens(d) || t->dtype == DT_i32;
  return (plain && typed && !d->window && !has_images(d)) || refuse_open(x, at);
}

/* A field's type; false after a message. */
static bool field_type(Elaborator *x, DataSet *d, Ast *a, Type *t) {
  return open_length(x, d, a->type) && type_resolve(x, data_names(x, d, a->span), a->type, t) &&
         rank_fits(x, t->rank + 1, a->type->span);
}

static bool refuse_where(Elaborator *x, Span at) {
  Diag *d = diag_add(x->diags, DIAG_FIELD, at, "this limits no length that the examples have of their own");
  diag_help(d, "as in `x: i32<V>[S] = tokens where S <= 512`: it is known then, and a longer example is refused");
  return false;
}

/* `where S <= 512` of a field: nothing is read that is longer. False after a message. */
static bool limit_length(Elaborator *x, const DataSet *d, Env *e, const Ast *a) {
  if (a->kind == AST_BINARY && a->op == OP_AND)
    return limit_length(x, d, e, a->left) && limit_length(x, d, e, a->right);
  bool up = a->kind == AST_BINARY && (a->op == OP_LT || a->op == OP_LE);
  bool down = a->kind == AST_BINARY && (a->op == OP_GT || a->op == OP_GE);
  if (!up && !down) return refuse_where(x, a->span);
  Dim *length = dim_of(x, e, up ? a->left : a->right), *most = dim_of(x, e, up ? a->right : a->left);
  if (!length || !most) return false;
  int64_t limit;
  if (!open_number(d, length) || !dim_is_const(most, &limit)) return refuse_where(x, a->span);
  limit -= a->op == OP_LT || a->op == OP_GT;
  if (limit < 1) return refuse_where(x, a->span);
  DimAtom *s = dim_as_symbol(length);
  dim_bound(x->ir, s, s->lower, limit);
  return true;
}

/* What the fields without a formula say of the source, before formulas read it. */
static void find_rows(Elaborator *x, DataSet *d, const Ast *body) {
  x->rows.n = 0;
  for (int i = 0; i < body->items.n; i++) {
    Ast *a = body->items.at[i];
    if (a->kind != AST_DEFINE || !a->type || a->value) continue;
    SourceRow row = {.name = a->name};
    row.failed = !field_type(x, d, a, &row.type);
    vec_push(x->kept, &x->rows, row);
  }
}

/* False after a message: it has no value. */
static bool data_field_declare(Elaborator *x, DataSet *d, Ast *a) {
  if (a->kind != AST_DEFINE || !a->type || (a->flags & AST_DRAW)) {
    if (a->kind == AST_ERROR) return true;
    if (a->kind == AST_AUGMENT) { /* augment.c: where the data are trained on */
      check_augmented(x, d, a);
      return true;
    }
    Diag *g = diag_add(x->diags, DIAG_FIELD, a->span, "a field is wanted here");
    diag_help(g, "name: type = what it reads, as in `x: f32[64] = columns(0, 64)`");
    return false;
  }
  Type t;
  if (!field_type(x, d, a, &t)) return false;
  Env *e = data_names(x, d, a->span);
  if (a->where && !limit_length(x, d, e, a->where)) return false;
  Field f = {.name = a->name, .dtype = t.dtype, .rank = t.rank, .span = a->span};
  f.shape = NEW_ARRAY(x->arena, int64_t, t.rank + 1);
  for (int i = 0; i < t.rank; i++)
    if (!dim_is_const(t.shape[i], &f.shape[i])) {
      f.open = t.shape[i];
      f.shape[i] = open_number(d, f.open);
      if (!is_length(x, d, &t, i, a->type->span)) return false;
    }
  if (t.bound) dim_is_const(t.bound, &f.bound);
  for (int i = 0; i < d->fields.n; i++)
    if (d->fields.at[i].name == a->name) {
      diag_add(x->diags, DIAG_TWICE, a->name_span, "the field `%s` is declared twice", a->name);
      return true;
    }
  GraphState *saved;
  field_begin(x, d, &f, &saved);
  bool ok = field_value(x, e, &f, a, &t);
  field_end(x, saved);
  if (!ok) return false;
  f.length = f.length ? d->fields.n + 1 : 0;
  vec_push(x->arena, &d->fields, f);
  if (f.length) length_field(x, d, &f);
  return true;
}

Str path_at_run_time(Elaborator *x, Str path) {
  const char *folder = x->options->folder;
  return folder && path[0] != '/' ? str_internf(x->strings, "%s/%s", folder, path) : path;
}

static bool source_args(Elaborator *x, DataSet *d, Ast *from) {
  static const char *const formats[] = {"csv", "npy", "idx", "text", "tokens", "safetensors", "images"};
  bool known = false;
  if (from->kind == AST_CALL && from->callee->kind == AST_NAME)
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
      known = known || !strcmp(formats[i], from->callee->name);
  if (!known) {
    Diag *g = diag_add(x->diags, DIAG_SOURCE, from->span, "this is no source of data that this version of nnc reads");
    diag_help(
        g, "csv(\"file.csv\"), npy(x = \"x.npy\", y = \"y.npy\"), idx(...), safetensors(\"file.safetensors\"), "
           "tokens(\"file.bin\", size = 256, window = 65), images(\"folder/\") or text(\"file.txt\", window = 65)");
    return false;
  }
  d->format = from->callee->name;
  if (has_images(d) && !x->options->images) {
    Diag *g = diag_add(x->diags, DIAG_SOURCE, from->span, "this nnc was built without what reads pictures");
    diag_help(g,
              "install libpng and libjpeg (Debian: apt install libpng-dev libjpeg62-turbo-dev) and build nnc again");
    return false;
  }
  SourceOptions t = {.files.lower = true};
  for (int i = 0; i < from->args->items.n; i++) {
    Ast *a = from->args->items.at[i];
    bool option;
    if (!source_option(x, &t, d, a, &option)) return false;
    if (option) continue;
    if (a->value->kind != AST_STRING) {
      diag_add(x->diags, DIAG_SOURCE, a->span, "a file's path is wanted here");
      return false;
    }
    if (a->name && has_images(d)) {
      Diag *g = diag_add(x->diags, DIAG_SOURCE, a->span, "pictures are in one folder");
      diag_help(g, "images(\"%s\")", a->value->text);
      return false;
    }
    for (int k = 0; a->name && k < d->files.n; k++)
      if (d->files.at[k].column == a->name) {
        diag_add(x->diags, DIAG_TWICE, a->span, "a file is called `%s` already", a->name);
        return false;
      }
    if (a->name) vec_push(x->arena, &d->files, (ColumnFile){a->name, path_at_run_time(x, a->value->text)});
    else if (!d->path) d->path = path_at_run_time(x, a->value->text);
    else
      diag_add(x->diags, DIAG_SOURCE, a->span, "one path, or a file for each column: `%s(x = \"x.%s\")`", d->format,
               d->format);
  }
  if (!d->path && !d->files.n) {
    diag_add(x->diags, DIAG_SOURCE, from->span, "the path of a file is missing");
    return false;
  }
  return source_complete(x, &t, d, from);
}

/* Cells that are texts, or the numbers of rows that differ in length. */
static bool has_cells(const DataSet *d) {
  for (int i = 0; i < d->fields.n; i++)
    for (int k = 0; k < d->fields.at[i].raw.n; k++)
      if (d->fields.at[i].raw.at[k].text || (!strcmp(d->format, "csv") && d->fields.at[i].raw.at[k].length))
        return true;
  return false;
}

void elaborate_data(Elaborator *x, Decl *decl) {
  Ast *a = decl->ast;
  DataSet d = {.name = decl_full_name(x, decl), .span = a->name_span};
  Value *v = decl_value(x, decl, a->name_span);
  v->data->index = x->program->data.n;
  vec_push(x->kept, &x->data, v->data);
  bool readable = source_args(x, &d, a->from);
  if (readable) find_rows(x, &d, a->body);
  for (int i = 0; i < a->body->items.n; i++) {
    Ast *field = a->body->items.at[i];
    if (!(readable && data_field_declare(x, &d, field)) && field->name)
      vec_push(x->kept, &v->data->failed, field->name);
  }
  if (has_cells(&d)) d.format = str_internz(x->strings, "csv_cells"); /* a reader of its own: most tables have none */
  vec_push(x->arena, &x->program->data, d);
}

Value *data_input(Elaborator *x, int data, int field, Dim *examples, Span at) {
  const DataSet *d = &x->program->data.at[data];
  const Field *f = &d->fields.at[field];
  Dim *shape[9];
  shape[0] = examples;
  for (int i = 0; i < f->rank; i++) shape[i + 1] = field_dim(x, f, i);
  Node *n = graph_named_input(x, arena_printf(x->arena, "%s.%s", d->name, f->name), f->dtype, f->rank + 1, shape, at);
  Value *v = value_node(x, n, at);
  if (f->bound) v->bound = dim_const(x->ir, f->bound);
  if (f->length) v->length = data_input(x, data, f->length, examples, at);
  if (f->open) v->length->bound = dim_add(x->ir, f->open, dim_const(x->ir, 1));
  return v;
}

Str data_with_field(Elaborator *x, Str name) {
  for (int k = 0; k < x->drawn.n; k++) {
    const DataSet *d = &x->program->data.at[x->drawn.at[k].data];
    for (int i = 0; i < d->fields.n; i++)
      if (d->fields.at[i].name == name) return d->name;
  }
  return NULL;
}

/* The field of the batch's examples, or of all. */
static Value *drawn_field(Elaborator *x, const DataDecl *decl, int field, Span at) {
  for (int k = 0; k < x->drawn.n; k++) {
    const Drawn *s = &x->drawn.at[k];
    if (s->data != decl->index) continue;
    return s->fields ? s->fields[field] : data_input(x, decl->index, field, x->batch, at);
  }
  if (!x->drawn.n) {
    diag_add(x->diags, DIAG_FIELD, at, "the data's fields are read in a file's definitions and in `train`");
    return NULL;
  }
  Str first = x->program->data.at[x->drawn.at[0].data].name;
  Diag *d = diag_add(x->diags, DIAG_FIELD, at, "examples of `%s` are there, and none of `%s`", first, decl->name);
  if (x->drawn.at[0].fields) diag_help(d, "`train %s, %s { ... }` draws from both", first, decl->name);
  else diag_help(d, "a definition reads the fields of one data set; a third may name the results of two");
  return NULL;
}

bool field_failed(const DataDecl *d, Str name) {
  for (int i = 0; i < d->failed.n; i++)
    if (d->failed.at[i] == name) return true;
  return false;
}

Value *data_field(Elaborator *x, DataDecl *decl, Str name, Span at) {
  bool own = decl->index < 0, classes = !strcmp(name, "classes");
  if (x->field && (own || !classes)) { /* it is computed for one example, while the data are read */
    Diag *g = diag_add(x->diags, DIAG_FIELD, at, "the field `%s` is computed from this, which takes all examples",
                       x->field->name);
    diag_help(g, "use it where the field is read, in `train` and in entries");
    return NULL;
  }
  if (decl->index < 0 || decl->index >= x->program->data.n) return NULL;
  const DataSet *d = &x->program->data.at[decl->index];
  if (classes) {
    for (int i = 0; i < d->fields.n; i++)
      if (d->fields.at[i].bound) return value_int(x, dim_const(x->ir, d->fields.at[i].bound), at);
  }
  for (int i = 0; i < d->fields.n; i++)
    if (d->fields.at[i].name == name) return drawn_field(x, decl, i, at);
  if (field_failed(decl, name) || (classes && decl->failed.n)) return NULL;
  Diag *g = diag_add(x->diags, DIAG_NO_MEMBER, at, "the data `%s` has no field `%s`", decl->name, name);
  Nearest near = {name, 3, NULL, false};
  for (int i = 0; i < d->fields.n; i++) nearest_consider(&near, d->fields.at[i].name);
  static const char *const sizes = " count size len length shape n ";
  if (near.found) diag_meant(g, at, near.found);
  else if (d->fields.n && strstr(sizes, arena_printf(x->arena, " %s ", name)))
    diag_help(g, "`len(%s.%s)` is the number of examples", decl->name, d->fields.at[0].name);
  return NULL;
}
