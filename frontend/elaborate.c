/* elaborate.c - a whole program: files and their names, graphs as they are built, first values, generic code checked
 * once. */
#include "frontend/value.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/refuse.h"
#include "lang/parse.h"
#include "stdlib/stdlib.h"

/* ---- graphs ---- */

struct GraphState {
  Elaborator saved;
};

Graph *graph_begin(Elaborator *x, Str name, GraphState **saved) {
  *saved = NEW(x->arena, GraphState);
  (*saved)->saved = *x;
  x->graph = graph_new(x->ir, name);
  x->graph->products = x->options->products;
  memset(&x->stack, 0, sizeof x->stack);
  memset(&x->current, 0, sizeof x->current);
  memset(&x->places, 0, sizeof x->places);
  memset(&x->inputs, 0, sizeof x->inputs);
  memset(&x->repeated, 0, sizeof x->repeated);
  memset(&x->pending, 0, sizeof x->pending);
  memset(&x->drawn, 0, sizeof x->drawn);
  memset(&x->made, 0, sizeof x->made);
  x->call_pending = x->examples = x->steps = x->repeats = 0;
  x->loop = NULL;
  x->repeat = NULL;
  x->frame = NULL;
  x->training = x->sample = x->reporting = false;
  x->entry = NULL;
  x->batch = NULL;
  x->counters = NULL;
  x->naming = NULL;
  return x->graph;
}

void graph_end(Elaborator *x, GraphState *saved) {
  Elaborator *s = &saved->saved;
  x->graph = s->graph;
  x->stack = s->stack;
  x->current = s->current;
  x->places = s->places;
  x->inputs = s->inputs;
  x->repeated = s->repeated;
  x->pending = s->pending;
  x->drawn = s->drawn;
  x->made = s->made;
  x->reporting = s->reporting;
  x->counters = s->counters;
  x->call_pending = s->call_pending;
  x->examples = s->examples;
  x->steps = s->steps;
  x->loop = s->loop;
  x->repeat = s->repeat;
  x->repeats = s->repeats;
  x->frame = s->frame;
  x->training = s->training;
  x->entry = s->entry;
  x->sample = s->sample;
  x->batch = s->batch;
  x->naming = s->naming;
}

Node *graph_named_input(Elaborator *x, const char *name, DType t, int rank, Dim **shape, Span at) {
  Str s = str_internz(x->strings, name);
  for (int i = 0; i < x->inputs.n; i++)
    if (x->inputs.at[i]->name == s) return x->inputs.at[i];
  Node *n = graph_input(x->graph, s, t, rank, shape, at);
  vec_push(x->arena, &x->inputs, n);
  return n;
}

/* ---- files ---- */

Decl *decl_add(Elaborator *x, Module *m, DeclKind kind, Ast *a) {
  const Decl *old = a->name ? module_find(m, a->name) : NULL;
  if (old) {
    Diag *d = diag_add(x->diags, DIAG_TWICE, a->name_span, "`%s` is defined twice", a->name);
    diag_place(d, old->ast->name_span, "the first is here");
    return NULL;
  }
  if (kind == DECL_FUNCTION || kind == DECL_MODEL || kind == DECL_METRIC || kind == DECL_ENTRY) check_function(x, a);
  Decl *d = NEW(x->arena, Decl);
  d->kind = kind;
  d->name = a->name ? a->name : "";
  d->ast = a;
  d->module = m;
  d->tensor = -1;
  module_add(x, m, d);
  return d;
}

Str path_beside(Elaborator *x, const Module *m, Str path) {
  const char *slash = strrchr(m->path, '/');
  return path[0] == '/' || !slash ? path : str_internf(x->strings, "%.*s/%s", (int)(slash - m->path), m->path, path);
}

bool file_read(Str path, Buf *out) {
  FILE *f = fopen(path, "rb");
  char chunk[65536];
  for (size_t n; f && (n = fread(chunk, 1, sizeof chunk, f)) > 0;) buf_write(out, chunk, n);
  bool ok = f && !ferror(f);
  if (f) fclose(f);
  return ok;
}

void program_mix(Elaborator *x, const void *bytes, size_t n) {
  const unsigned char *p = bytes;
  for (size_t i = 0; i < n; i++) x->program->hash = (x->program->hash ^ p[i]) * 1099511628211u;
}

static bool said_inside(const Elaborator *x, Span at) {
  for (int i = 0; i < x->diags->all.n; i++)
    if (span_holds(at, x->diags->all.at[i]->at)) return true;
  return false;
}

/* `a, b = e` at the top: e is a definition without a name, and each name is one of its parts. */
static void declare_parts(Elaborator *x, Module *m, const Ast *a) {
  Decl *whole = NEW(x->arena, Decl);
  Ast *all = NEW(x->arena, Ast);
  Str names = a->items.at[0]->name;
  for (int i = 1; i < a->items.n; i++) names = str_internf(x->strings, "%s, %s", names, a->items.at[i]->name);
  *all = *a;
  all->name = names;
  all->name_span = span_join(a->items.at[0]->span, a->items.at[a->items.n - 1]->span);
  *whole = (Decl){.kind = DECL_DEFINITION, .name = names, .ast = all, .module = m, .tensor = -1};
  for (int i = 0; i < a->items.n; i++) {
    const Ast *item = a->items.at[i];
    Ast *part = NEW(x->arena, Ast);
    *part = (Ast){.kind = AST_DEFINE, .height = a->height, .span = item->span};
    part->name = item->name;
    part->name_span = item->name_span.source ? item->name_span : item->span;
    part->value = a->value;
    Decl *d = decl_add(x, m, DECL_DEFINITION, part);
    if (!d) continue;
    d->whole = whole;
    d->nth = i;
  }
}

static void declare_item(Elaborator *x, Module *m, Ast *a) {
  switch ((AstKind)a->kind) {
  case AST_IMPORT: import_file(x, m, a); break;
  case AST_MODEL:
  case AST_OPTIMIZER: decl_add(x, m, DECL_MODEL, a); break;
  case AST_METRIC: decl_add(x, m, DECL_METRIC, a); break;
  case AST_DATA: decl_add(x, m, DECL_DATA, a); break;
  case AST_TRAIN: decl_add(x, m, DECL_TRAIN, a); break;
  case AST_ENTRY: decl_add(x, m, DECL_ENTRY, a); break;
  case AST_FN: decl_add(x, m, DECL_FUNCTION, a); break;
  case AST_DEFINE:
  case AST_DEFINE_AT:
    if (a->value) decl_add(x, m, DECL_DEFINITION, a);
    else say_no_value(x, a);
    break;
  case AST_UNPACK: declare_parts(x, m, a); break;
  case AST_ERROR: break;
  case AST_HYPER: decl_add(x, m, DECL_HYPER, a); break;
  case AST_TEST: decl_add(x, m, DECL_TEST, a); break;
  default: {
    if (said_inside(x, a->span)) break; /* of `train` in a loop */
    Diag *d = diag_add(x->diags, DIAG_STATEMENT_HERE, a->span, "%s does not belong at the top of a file",
                       statement_title(x, a));
    if (a->kind == AST_MINIMIZE || a->kind == AST_REPORT) diag_help(d, "it stands in a `train` block");
    if (a->kind == AST_PARAM || a->kind == AST_STATE) diag_help(d, "it stands in a model");
  }
  }
}

Module *module_load(Elaborator *x, Str path, const char *text, size_t n, bool library, Str prefix) {
  Module *m = NEW(x->arena, Module);
  m->path = path;
  m->file = library ? path : file_identity(x, path);
  m->library = library;
  m->prefix = prefix;
  m->source = sources_add(x->sources, path, text, n);
  sources_get(x->sources, m->source)->library = library;
  if (!library) vec_push(x->arena, &x->modules, m);
  program_mix(x, text, n);
  m->ast = parse_source(x->arena, x->strings, x->sources, m->source, x->diags);
  refuse_ignored(x->diags, m->ast);
  for (int i = 0; i < m->ast->items.n; i++) declare_item(x, m, m->ast->items.at[i]);
  return m;
}

static void load_library(Elaborator *x) {
  Module *all = NULL;
  for (const StdlibFile *f = stdlib_files; f->name; f++) {
    if (!f->core) continue;
    Module *m = module_load(x, str_internf(x->strings, "<stdlib>/%s", f->name), f->text, f->n, true, "");
    if (!all) all = m;
    else
      for (int i = 0; i < m->decls.n; i++) module_add(x, all, m->decls.at[i]);
  }
  x->prelude = all;
}

/* ---- values of declarations ---- */

/* Does the definition read a data set's fields, itself or through others? Gives which. */
static bool reads_data(Elaborator *x, Module *m, const Ast *a, int *data, int depth) {
  if (depth > 50) return false;
  if (a->kind == AST_MEMBER) {
    Decl *d = decl_of_path(x, m, a->base);
    if (d && d->kind == DECL_DATA && strcmp(a->name, "classes")) {
      *data = d->value ? d->value->data->index : -1;
      return *data >= 0;
    }
  }
  if (a->kind == AST_NAME || a->kind == AST_MEMBER) {
    Decl *d = decl_of_path(x, m, a);
    if (d && d->kind == DECL_DEFINITION && !d->busy) {
      d->busy = 1;
      bool r = reads_data(x, d->module, d->ast->value, data, depth + 1);
      d->busy = 0;
      if (r) return true;
    }
  }
  for (int i = 0; i < ast_child_count(a); i++) {
    const Ast *c = ast_child(a, i);
    if (c && reads_data(x, m, c, data, depth)) return true;
  }
  return false;
}

/* -D NAME=value takes the place of a file's number. */
Value *defined_by_option(Elaborator *x, Decl *d) {
  for (int i = 0; i < x->options->ndefinitions; i++) {
    const Definition *o = &x->options->definitions[i];
    if (strcmp(o->name, d->name)) continue;
    char *end;
    errno = 0;
    long long n = strtoll(o->value, &end, 10);
    if (!*end && end != o->value && !errno) return value_int(x, dim_const(x->ir, n), d->ast->name_span);
    double r = strtod(o->value, &end);
    if (!*end && end != o->value) return value_real(x, r, d->ast->name_span);
    if (!strcmp(o->value, "true") || !strcmp(o->value, "false"))
      return value_flag(x, o->value[0] == 't', d->ast->name_span);
    diag_add(x->diags, DIAG_DEFINE_OPTION, d->ast->name_span, "-D %s=%s is no number, true or false", o->name,
             o->value);
  }
  return NULL;
}

static void measure(Elaborator *x, Decl *d);

static bool has_parts(const Value *v) {
  return v->kind == VALUE_TUPLE || v->kind == VALUE_ARRAY || v->kind == VALUE_STRUCTURE;
}

/* v with what was stored of it, from tensor `*part` of d's on. */
static Value *stored_parts(Elaborator *x, const Decl *d, const Value *v, int *part, Span at) {
  if (v->kind == VALUE_TENSOR) return tensor_current(x, d->parts.at[(*part)++], at);
  Value *copy = value_at(x, v, v->span);
  if (!has_parts(v)) return copy;
  copy->items = NEW_ARRAY(x->arena, Value *, v->n + 1);
  for (int i = 0; i < v->n; i++) copy->items[i] = stored_parts(x, d, v->items[i], part, at);
  return copy;
}

/* A definition that reads data, outside its own graph. */
static Value *measured(Elaborator *x, Decl *d, Span at) {
  const DataSet *data = &x->program->data.at[d->data];
  int part = 0;
  if (d->failed) return NULL;
  if (d->graph) return stored_parts(x, d, d->value, &part, at);
  if (data->stats == x->graph) {
    measure(x, d); /* it stands after what reads it */
    return d->value;
  }
  Diag *g = diag_add(x->diags, DIAG_RECURSION, at, "`%s` is measured from `%s`, after what reads it here", d->name,
                     data->name);
  diag_place(g, d->ast->name_span, "defined here");
  diag_help(g, "data sets are measured one after the other: declare `%s` first", data->name);
  return NULL;
}

static Value *definition(Elaborator *x, Decl *d, Span at) {
  if (d->whole) {
    Value *given = defined_by_option(x, d), *all = given ? NULL : definition(x, d->whole, at);
    return all ? all->items[d->nth] : given;
  }
  if (d->statistic && d->graph != x->graph) return measured(x, d, at);
  if (d->failed || (d->value && outlives_graph(d->value))) return d->value;
  if (d->graph == x->graph && d->assigned == x->assigned) return d->value;
  if (d->busy) {
    Diag *g = diag_add(x->diags, DIAG_RECURSION, at, "`%s` is defined by itself", d->name);
    if (!span_holds(d->ast->span, at)) diag_place(g, d->ast->name_span, "defined here");
    return NULL;
  }
  Outside outside = step_outside(x, d->module, false);
  d->busy = 1;
  d->value = defined_by_option(x, d);
  if (!d->value) d->value = defined_value(x, NULL, NULL, d->ast, decl_full_name(x, d));
  d->failed = !d->value;
  d->graph = x->graph;
  d->assigned = x->assigned;
  step_back(x, &outside);
  d->busy = 0;
  return d->value;
}

/* A declaration's value that no expression has to be walked for. */
static Value *declared_value(Elaborator *x, Decl *d) {
  if (d->value) return d->value;
  Value *v = NULL;
  switch (d->kind) {
  case DECL_FUNCTION:
  case DECL_METRIC:
  case DECL_ENTRY:
    v = value_new(x, VALUE_FUNCTION, d->ast->name_span);
    v->function = NEW(x->arena, Function);
    *v->function = (Function){.name = d->name, .ast = d->ast, .module = d->module};
    break;
  case DECL_MODEL:
    v = value_new(x, VALUE_MODEL, d->ast->name_span);
    v->model = NEW(x->arena, ModelDecl);
    *v->model = (ModelDecl){.name = d->name, .ast = d->ast, .module = d->module};
    break;
  case DECL_FILE:
    v = value_new(x, VALUE_FILE, d->ast->name_span);
    v->file = d->file;
    break;
  case DECL_DATA:
    v = value_new(x, VALUE_DATASET, d->ast->name_span);
    v->data = NEW(x->arena, DataDecl);
    *v->data = (DataDecl){.name = d->name, .ast = d->ast, .module = d->module, .index = -1};
    break;
  default: ice("`%s` has no value", d->name); /* a train block has no name to look up */
  }
  return d->value = v;
}

Value *decl_value(Elaborator *x, Decl *d, Span at) {
  Arena *arena = x->arena;
  x->arena = x->kept;
  Value *v = d->kind == DECL_DEFINITION ? definition(x, d, at)
             : d->kind == DECL_HYPER    ? hyper_value(x, d, at)
                                        : declared_value(x, d);
  x->arena = arena;
  return v;
}

/* ---- generic code ---- */

static bool symbols_of_type(Elaborator *x, Env **e, Ast *type) {
  if (!type || type->kind != AST_TYPE) return false;
  if (type->bound && type->bound->kind == AST_NAME && is_dimension_name(type->bound->name) &&
      !env_find(*e, type->bound->name) && !decl_find(x, x->module, type->bound->name))
    *e = env_bind(x, *e, type->bound->name, value_int(x, dim_symbol(x->ir, type->bound->name, 1), type->span),
                  type->span);
  for (int i = 0; type->shape && i < type->shape->items.n; i++) {
    Ast *a = type->shape->items.at[i];
    if (a->kind == AST_PACK && !env_find(*e, a->name)) {
      *e = env_bind(x, *e, a->name, pack_of_one(x, a, a->name), a->span);
    } else if (a->kind == AST_NAME && is_dimension_name(a->name) && !env_find(*e, a->name) &&
               !decl_find(x, x->module, a->name)) {
      *e = env_bind(x, *e, a->name, value_int(x, dim_symbol(x->ir, a->name, 1), a->span), a->span);
    }
  }
  return true;
}

/* A value that stands for any argument of this parameter; NULL where there is no such thing (fn, a model's instance).
 */
Value *any_argument(Elaborator *x, Env **e, Ast *p) {
  Value *v = NULL;
  if (!p->type || p->type->kind != AST_TYPE) return NULL;
  const char *t = p->type->name;
  if (!strcmp(t, "int")) return value_int(x, dim_symbol(x->ir, p->name, 1), p->name_span);
  if (!strcmp(t, "real") || !strcmp(t, "schedule")) v = value_real(x, 1, p->name_span);
  if (!strcmp(t, "flag")) v = value_flag(x, true, p->name_span);
  if (v) {
    v->unknown = true;
    return v;
  }
  bool ok;
  dtype_of_name(x, p->type->name, &ok);
  Type type;
  Decl *model = ok ? NULL : type_decl(x, p->type);
  if (!strcmp(t, "string") || !strcmp(t, "fn") || !strcmp(t, "dtype") || (model && model->kind == DECL_MODEL))
    return NULL;
  symbols_of_type(x, e, p->type);
  if (!type_resolve(x, *e, p->type, &type)) return NULL;
  v = value_node(x, graph_input(x->graph, p->name, type.dtype, type.rank, type.shape, p->name_span), p->name_span);
  v->bound = type.bound;
  return v;
}

/* Walks a function once with dimensions that are symbols, so that it is checked even where nothing calls it. */
Check check_begin(Elaborator *x, Module *m) {
  Check c = {.arena = x->arena, .module = x->module, .generic = x->generic};
  x->arena = arena_new();
  graph_begin(x, "check", &c.saved);
  x->generic = true;
  x->module = m;
  return c;
}

void check_end(Elaborator *x, const Check *c) {
  x->generic = c->generic;
  x->module = c->module;
  graph_end(x, c->saved);
  arena_free(x->arena);
  x->arena = c->arena;
}

void generic_check(Elaborator *x, Function *f) {
  if (f->checked) return;
  f->checked = true;
  Graph *of_members = f->self && x->generic ? x->graph : NULL; /* its instance's parameters are nodes of this */
  Check check = check_begin(x, f->module);
  if (of_members) x->graph = of_members;
  int errors = x->diags->errors, n = f->ast->params->items.n;
  Env *e = f->env;
  CallArg *args = NEW_ARRAY(x->arena, CallArg, n + 1);
  bool ok = where_learn(x, &e, f->ast->params, f->ast->where);
  for (int i = 0; i < n; i++) symbols_of_type(x, &e, f->ast->params->items.at[i]->type);
  for (int i = 0; i < n; i++) {
    Ast *p = f->ast->params->items.at[i];
    Value *v = is_int_parameter(p) ? env_find(e, p->name)->value : any_argument(x, &e, p);
    args[i] = (CallArg){p->name, v, p->name_span, p->name_span};
    ok = ok && args[i].value;
  }
  if (ok) call_function(x, f, n, args, (Span){0}); /* no place: nobody calls it here */
  f->broken = x->diags->errors > errors;
  if (f->broken) vec_push(x->kept, &x->broken, f->ast);
  check_end(x, &check);
}

static void check_model(Elaborator *x, ModelDecl *m) {
  Check check = check_begin(x, m->module);
  int n = m->ast->params->items.n;
  CallArg *args = NEW_ARRAY(x->arena, CallArg, n + 1);
  Env *e = NULL;
  bool ok = m->ast->kind == AST_MODEL;
  for (int i = 0; ok && i < n; i++) {
    Ast *p = m->ast->params->items.at[i];
    args[i] = (CallArg){p->name, any_argument(x, &e, p), p->name_span, p->name_span};
    ok = args[i].value != NULL;
  }
  Value *v = ok ? instance_new(x, m, n, args, str_internz(x->strings, ""), (Span){0}) : NULL;
  if (v)
    for (int i = 0; i < v->instance->members.n; i++)
      if (v->instance->members.at[i].kind == MEMBER_FUNCTION)
        generic_check(x, v->instance->members.at[i].value->function);
  check_end(x, &check);
}

static void check_module(Elaborator *x, Module *m) {
  x->module = m;
  for (int i = 0; i < m->decls.n; i++) {
    Decl *d = m->decls.at[i];
    if (d->kind == DECL_METRIC && metric_streams(d->ast)) check_metric(x, d);
    else if (d->kind == DECL_FUNCTION || d->kind == DECL_METRIC)
      generic_check(x, decl_value(x, d, d->ast->name_span)->function);
    if (d->kind == DECL_MODEL) check_model(x, decl_value(x, d, d->ast->name_span)->model);
  }
}

/* ---- the whole ---- */

/* The first place in the user's files; of no source where there is none. */
static Span users_place(const Elaborator *x, const Diag *d) {
  for (int i = 0; i < d->labels.n; i++)
    if (is_users(x, d->labels.at[i].span)) return d->labels.at[i].span;
  return (Span){0};
}

/* What one use of the library breaks in several of its lines is one mistake: of messages of one code, about one place
 * of the user's, the first stays. */
static void merge_uses(Elaborator *x) {
  for (int i = 1; i < x->diags->all.n; i++) {
    const Diag *d = x->diags->all.at[i];
    Span use = is_users(x, d->at) ? (Span){0} : users_place(x, d);
    for (int k = 0; use.source && k < i; k++) {
      const Diag *first = x->diags->all.at[k];
      if (first->code != d->code || is_users(x, first->at) || !span_same(users_place(x, first), use)) continue;
      diag_drop(x->diags, i--);
      break;
    }
  }
}

static Value *first_value(Elaborator *x, Init *i, const Type *t) {
  Ast *a = i->ast;
  if (!a) return value_scalar(x, expr_real(x->ir, t->dtype, 0), x->program->tensors.at[i->tensor].span);
  if (a->flags & AST_DRAW) return elaborate_draw(x, i->env, a->value, t, i->path, a->span);
  if (i->value) return value_coerce(x, i->value, t->dtype, a->value->span);
  Value *v = elaborate_expr_as(x, i->env, a->value, t);
  if (v && i->part && value_is_structure(v)) return structure_of(x, v, a->span)->items[i->part - 1];
  return v && v->kind != VALUE_TENSOR ? value_coerce(x, v, t->dtype, a->value->span) : v;
}

static Value *filled_with(Elaborator *x, Value *v, const Type *t) {
  Var *vars[8];
  for (int d = 0; d < t->rank; d++) vars[d] = var_fresh(x->ir, t->shape[d]);
  v = value_coerce(x, v, t->dtype, v->span);
  Value *r = v ? value_tensor(x, t->rank, vars, v->expr, v->span) : NULL;
  if (r) r->bound = v->bound;
  return r;
}

Value *value_filled(Elaborator *x, Value *v, const Type *t) {
  if (!v || !t || !t->rank) return v;
  bool number = v->kind == VALUE_INT || v->kind == VALUE_REAL || (v->kind == VALUE_FLAG && t->dtype == DT_bool);
  return number ? filled_with(x, v, t) : v;
}

Value *value_filling(Elaborator *x, Value *v, const Type *t, Str name, Span at) {
  if (v->kind != VALUE_TENSOR) v = value_coerce(x, v, t->dtype, at);
  if (v && !bound_holds(x, v, t->bound, at, arena_printf(x->arena, "the first value of `%s`", name))) return NULL;
  if (v && v->kind == VALUE_TENSOR && !v->rank && t->rank) v = filled_with(x, v, t);
  if (!v) return NULL;
  bool same = v->rank == t->rank;
  for (int d = 0; same && d < t->rank; d++) same = v->shape[d] == t->shape[d];
  if (same) return value_coerce(x, v, t->dtype, v->span);
  diag_add(x->diags, DIAG_WRONG_SHAPE, at, "`%s` is %s%s, and its first value %s", name, dtype_name(t->dtype),
           shape_text(x, t->rank, t->shape), value_type_text(x, v));
  return NULL;
}

/* A graph that stores first values: of all tensors, or of the states of one training. */
static Graph *first_values(Elaborator *x, Str name, int train) {
  GraphState *saved;
  Graph *g = graph_begin(x, name, &saved);
  x->filling = true;
  for (int k = 0; k < x->inits.n; k++) {
    Init *i = &x->inits.at[k];
    if (train && i->train != train) continue;
    const ProgramTensor *p = &x->program->tensors.at[i->tensor];
    const Type t = tensor_type(x, i->tensor);
    x->module = i->module;
    frame_enter(x, i->path); /* what a function draws is named by what it is drawn for */
    Value *v = first_value(x, i, &t);
    x->frame = NULL;
    if (!v) continue;
    v = value_filling(x, v, &t, p->name, i->ast ? i->ast->value->span : p->span);
    if (v) tensor_assign(x, i->tensor, v);
  }
  for (int k = 0; k < x->current.n; k++)
    if (x->current.at[k].value)
      graph_store(x->graph, x->current.at[k].source, value_whole(x, x->current.at[k].value),
                  x->current.at[k].source->span);
  x->filling = false;
  graph_end(x, saved);
  return g;
}

/* Whether it reads what there is only when a training begins: weights, which may come from a file, and statistics. */
static bool reads_later(Elaborator *x, const Graph *g) {
  for (int i = 0; i < g->nodes.n; i++) {
    const Node *n = g->nodes.at[i];
    int tensor = n->kind == NODE_state ? tensor_find(x, n->name) : -1;
    if (n->kind == NODE_param) return true;
    if (tensor >= 0 && x->program->tensors.at[tensor].role == ROLE_statistic) return true;
  }
  return false;
}

/* First values; once more those of a training's states that are made of what is there when it begins. */
static void elaborate_init(Elaborator *x) {
  int errors = x->diags->errors;
  x->program->init = first_values(x, str_internz(x->strings, "init"), 0);
  for (int i = 0; i < x->program->train.n && x->diags->errors == errors; i++) {
    Train *t = &x->program->train.at[i];
    Graph *g = first_values(x, str_internf(x->strings, "train.%s%sbegin", t->name ? t->name : "", t->name ? "." : ""),
                            i + 1);
    if (reads_later(x, g)) t->begin = g;
  }
}

/* Whether a definition that reads data has the same size whatever their number; false after a message. */
static bool is_one_value(Elaborator *x, const Decl *d, const Value *v) {
  for (int i = 0; i < v->rank; i++) {
    if (dim_is_const(v->shape[i], NULL)) continue;
    Diag *g = diag_add(x->diags, DIAG_OPEN_PARAM, d->ast->name_span,
                       "`%s` is %s: a definition that reads data is one value of all of them", d->name,
                       value_type_text(x, v));
    diag_help(g, "use the examples up, as in `mean(…)`; what keeps some of them is a model's `state`");
    return false;
  }
  return true;
}

static Str statistic_name(Elaborator *x, const Decl *d, Str name) {
  return str_internf(x->strings, "data/%s%s", d->module->prefix, name);
}

/* Stores the tensors of d's value v, in their order. False after a message. */
static bool keep_statistic(Elaborator *x, Decl *d, Value *v, Str name) {
  for (int i = 0; has_parts(v) && i < v->n; i++) {
    Str part = v == d->value && d->ast->kind == AST_UNPACK ? statistic_name(x, d, d->ast->items.at[i]->name)
                                                           : str_internf(x->strings, "%s.%d", name, i);
    if (!v->items[i] || !keep_statistic(x, d, v->items[i], part)) return false;
  }
  if (v->kind != VALUE_TENSOR) return true;
  if (!is_one_value(x, d, v)) return false;
  Type t = {.dtype = v->dtype, .rank = v->rank, .shape = v->shape};
  int tensor = tensor_declare(x, name, ROLE_statistic, &t, d->ast->name_span);
  if (tensor < 0) return false;
  vec_push(x->arena, &d->parts, tensor);
  Node *target = graph_state(x->graph, name, v->dtype, v->rank, v->shape, d->ast->name_span);
  graph_store(x->graph, target, value_whole(x, v), d->ast->name_span);
  return true;
}

/* In the graph of its data set's statistics. */
static void measure(Elaborator *x, Decl *d) {
  Outside outside = step_outside(x, d->module, false);
  d->graph = NULL;
  d->statistic = false;
  Value *v = definition(x, d, d->ast->name_span);
  d->statistic = true;
  d->failed = !v || !keep_statistic(x, d, v, statistic_name(x, d, d->name));
  step_back(x, &outside);
}

/* File-level definitions that read data: one graph a data set, computed once from its training part. */
static void elaborate_statistics(Elaborator *x) {
  int n = x->program->data.n;
  Vec(Decl *) all = {0};
  for (int k = 0; k < x->modules.n; k++) {
    Module *m = x->modules.at[k];
    for (int i = 0; i < m->decls.n; i++) {
      Decl *d = m->decls.at[i];
      int data = -1;
      if (d->kind != DECL_DEFINITION || !reads_data(x, m, d->ast->value, &data, 0)) continue;
      if (d->whole) d = d->whole;
      if (d->statistic) continue;
      d->statistic = true;
      d->data = data;
      vec_push(x->arena, &all, d);
    }
  }
  for (int data = 0; data < n; data++) {
    GraphState *saved = NULL;
    for (int i = 0; i < all.n; i++) {
      Decl *d = all.at[i];
      if (d->data != data) continue;
      if (!saved) {
        x->program->data.at[data].stats =
            graph_begin(x, str_internf(x->strings, "stats.%s", x->program->data.at[data].name), &saved);
        x->batch = dim_symbol(x->ir, str_internz(x->strings, "N"), 1);
        x->graph->batch = dim_as_symbol(x->batch);
        vec_push(x->arena, &x->drawn, (Drawn){.data = data});
      }
      if (!d->graph && !d->failed) measure(x, d);
    }
    if (saved) graph_end(x, saved);
  }
}

static Str base_name(Elaborator *x, Str path) {
  const char *s = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
  size_t n = strlen(s);
  if (n > 3 && !strcmp(s + n - 3, ".nn")) n -= 3;
  return str_intern(x->strings, s, n);
}

static void each_decl(Elaborator *x, Module *m, DeclKind kind, void (*f)(Elaborator *x, Decl *d)) {
  for (int i = 0; i < m->decls.n; i++)
    if (m->decls.at[i]->kind == kind) {
      x->module = m;
      f(x, m->decls.at[i]);
    }
}

static void unused_options(Elaborator *x, Module *m) {
  for (int i = 0; i < x->options->ndefinitions; i++) {
    const char *name = x->options->definitions[i].name;
    bool known = false;
    for (int k = 0; k < m->decls.n; k++)
      known = known || ((m->decls.at[k]->kind == DECL_DEFINITION || m->decls.at[k]->kind == DECL_HYPER) &&
                        !strcmp(m->decls.at[k]->name, name));
    if (!known)
      diag_add(x->diags, DIAG_DEFINE_OPTION, (Span){0}, "-D %s: the file defines no constant `%s`", name, name);
  }
}

/* A loop's values were made in the order of the text, among others. */
static void order_loops(void *cx, Graph *g) {
  (void)cx;
  for (int i = 0; i < g->nodes.n; i++)
    if (g->nodes.at[i]->kind == NODE_carry) {
      graph_renew(g);
      return;
    }
}

Program *elaborate_program(Arena *a, StrTable *strings, Sources *sources, DiagSink *diags, Str path, const char *text,
                           size_t n, const ElaborateOptions *options) {
  Elaborator *x = NEW(a, Elaborator);
  x->arena = x->kept = a;
  x->strings = strings;
  x->sources = sources;
  x->diags = diags;
  x->options = options;
  x->ir = ir_new(a, strings);
  Program *p = x->program = NEW(a, Program);
  p->ir = x->ir;
  p->name = base_name(x, path);
  p->hash = 14695981039346656037u;
  x->graph = graph_new(x->ir, str_internz(strings, "file"));
  Module *m = module_load(x, path, text, n, false, "");
  if (diags->errors) return p;
  load_library(x);
  unused_options(x, m);
  for (int i = 0; i < x->modules.n; i++) {
    imported_twice(x, x->modules.at[i]);
    each_decl(x, x->modules.at[i], DECL_HYPER, elaborate_hyper);
    each_decl(x, x->modules.at[i], DECL_DATA, elaborate_data);
  }
  elaborate_statistics(x); /* before the checks: functions may name statistics */
  if (options->check_library && x->prelude) check_module(x, x->prelude);
  for (int i = 0; i < x->modules.n; i++) check_module(x, x->modules.at[i]);
  x->module = m;
  for (int i = 0; i < m->decls.n; i++)
    if (m->decls.at[i]->kind == DECL_DEFINITION) {
      x->module = m;
      decl_value(x, m->decls.at[i], m->decls.at[i]->ast->name_span);
    }
  each_decl(x, m, DECL_TRAIN, elaborate_train);
  each_decl(x, m, DECL_ENTRY, elaborate_entry);
  each_decl(x, m, DECL_TEST, elaborate_test);
  elaborate_init(x);
  merge_uses(x);
  program_graphs(p, order_loops, NULL);
  return p;
}
