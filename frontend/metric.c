/* metric.c - metrics that stream: `metric f1(threshold: real = 0.5) { state ...; fn update(...) { ... }; fn result()
 * = ... }`. A step's graph is given the states, inputs `metric.<report>.<k>`, and gives their next values, outputs
 * `<report>.<k>`; what they are at first and what they result in are graphs of their own. The program keeps them from
 * batch to batch. */
#include "frontend/training.h"

#include <string.h>

bool metric_streams(const Ast *a) {
  for (int i = 0; a->body->kind == AST_BLOCK && i < a->body->items.n; i++)
    if (a->body->items.at[i]->kind == AST_STATE || a->body->items.at[i]->kind == AST_FN) return true;
  return false;
}

typedef struct Streamed { /* a metric in a report */
  ModelDecl *metric;
  Env *head; /* its parameters, and itself */
  Instance *self;
  AstList states;
  Type *types;
  Ast *update, *result;
  Str report;
  Span span;
} Streamed;

static bool has_parameter(const Ast *params, Str name) {
  for (int i = 0; params && i < params->items.n; i++)
    if (params->items.at[i]->name == name) return true;
  return false;
}

/* Whether an argument by name is one of the head's, or may be one misspelt: all others go to `update`. */
static bool is_of_head(const Streamed *s, Str name) {
  const Ast *head = s->metric->ast->params;
  if (!name || has_parameter(s->update->params, name)) return false;
  Nearest near = {name, 3, NULL, false};
  for (int i = 0; head && i < head->items.n; i++) nearest_consider(&near, head->items.at[i]->name);
  return near.found || has_parameter(head, name);
}

static void divide_args(const Streamed *s, int n, const CallArg *args, CallArg *own, int *nown, CallArg *given,
                        int *ngiven) {
  *nown = *ngiven = 0;
  for (int i = 0; i < n; i++) {
    if (is_of_head(s, args[i].name)) own[(*nown)++] = args[i];
    else given[(*ngiven)++] = args[i];
  }
}

static bool find_members(Elaborator *x, Streamed *s) {
  const Ast *body = s->metric->ast->body;
  for (int i = 0; i < body->items.n; i++) {
    Ast *a = body->items.at[i];
    for (int k = 0; a->kind == AST_STATE && k < s->states.n; k++)
      if (s->states.at[k]->name == a->name) {
        say_state_twice(x, a->name, a->name_span, s->states.at[k]->name_span);
        return false;
      }
    if (a->kind == AST_STATE) vec_push(x->arena, &s->states, a);
    else if (a->kind == AST_FN && !strcmp(a->name, "update")) s->update = a;
    else if (a->kind == AST_FN && !strcmp(a->name, "result")) s->result = a;
    else if (a->kind != AST_FN && a->kind != AST_ERROR) {
      Diag *d =
          diag_add(x->diags, DIAG_STATEMENT_HERE, a->span, "%s is no member of a metric", statement_title(x, a));
      diag_help(d, "members are `state`, `fn update`, `fn result` and other functions");
      return false;
    }
  }
  if (s->update && s->result && s->states.n) return true;
  Diag *d = diag_add(x->diags, DIAG_METRIC, s->metric->ast->name_span, "the metric `%s` has no %s", s->metric->name,
                     !s->states.n ? "`state`"
                     : !s->update ? "`fn update(...)`"
                                  : "`fn result()`");
  diag_help(
      d, "a metric that streams has states, `fn update(...)`, which gives them their next values, and `fn result()`");
  return false;
}

static bool find_types(Elaborator *x, Streamed *s) {
  s->types = NEW_ARRAY(x->arena, Type, s->states.n + 1);
  for (int k = 0; k < s->states.n; k++) {
    Ast *a = s->states.at[k];
    s->types[k] = (Type){.dtype = float_default(x)};
    if (a->type && !type_resolve(x, s->head, a->type, &s->types[k])) return false;
    for (int d = 0; d < s->types[k].rank; d++)
      if (!dim_is_const(s->types[k].shape[d], NULL)) {
        diag_add(x->diags, DIAG_OPEN_PARAM, a->span,
                 "the dimension %s of `%s` is open at run time; it must be a number",
                 dim_text(x->arena, s->types[k].shape[d]), a->name);
        return false;
      }
  }
  return true;
}

/* The states as inputs of the graph at hand, and a body's names. */
static Env *bind_states(Elaborator *x, Streamed *s, const char *prefix) {
  Env *e = s->head;
  s->self->members.n = 0;
  for (int k = 0; k < s->states.n; k++) {
    const Type *t = &s->types[k];
    Ast *a = s->states.at[k];
    Node *in = graph_named_input(x, arena_printf(x->arena, "%s%d", prefix, k), t->dtype, t->rank, t->shape, a->span);
    Value *v = value_node(x, in, a->name_span);
    v->bound = t->bound;
    InstanceMember m = {.name = a->name, .kind = MEMBER_STATE, .tensor = -1, .value = v, .ast = a};
    vec_push(x->arena, &s->self->members, m);
    e = env_bind(x, e, a->name, v, a->name_span);
  }
  return e;
}

static Value *call_member(Elaborator *x, const Streamed *s, Ast *fn, Env *e, int n, CallArg *args) {
  Function *f = NEW(x->arena, Function);
  bool update = fn == s->update; /* the report names the metric */
  *f = (Function){.name = update ? s->metric->name : fn->name,
                  .ast = fn,
                  .env = e,
                  .module = s->metric->module,
                  .silent = update};
  return call_function(x, f, n, args, s->span);
}

/* The values at first. */
static Graph *first_graph(Elaborator *x, Streamed *s) {
  GraphState *saved;
  Graph *g = graph_begin(x, str_internf(x->strings, "metric.%s.first", s->report), &saved);
  int errors = x->diags->errors;
  for (int k = 0; k < s->states.n; k++) {
    Ast *a = s->states.at[k];
    Value *v = elaborate_expr_as(x, s->head, a->value, &s->types[k]);
    if (v) v = value_filling(x, v, &s->types[k], a->name, a->value->span);
    if (v) graph_output(x->graph, str_internf(x->strings, "%d", k), value_whole(x, v));
  }
  graph_end(x, saved);
  return x->diags->errors == errors ? g : NULL;
}

static Graph *result_graph(Elaborator *x, Streamed *s) {
  GraphState *saved;
  Graph *g = graph_begin(x, str_internf(x->strings, "metric.%s", s->report), &saved);
  Value *v = call_member(x, s, s->result, bind_states(x, s, ""), 0, NULL);
  v = v ? value_runtime(x, v) : NULL;
  bool one = v && v->kind == VALUE_TENSOR && !v->rank && dtype_is_float(v->dtype);
  if (v && !one)
    diag_add(x->diags, DIAG_REPORT, s->result->span, "a metric is one float, and this is %s", value_type_text(x, v));
  if (one) graph_output(x->graph, str_internz(x->strings, "value"), value_whole(x, v));
  graph_end(x, saved);
  return one ? g : NULL;
}

/* Whether `update` was walked: the members are the states' next values. */
static bool update_states(Elaborator *x, Streamed *s, int n, CallArg *args) {
  Env *e = bind_states(x, s, arena_printf(x->arena, "metric.%s.", s->report));
  int errors = x->diags->errors;
  return call_member(x, s, s->update, e, n, args) && x->diags->errors == errors;
}

/* The metric, its members found; false after a message. */
static bool streamed_begin(Elaborator *x, Streamed *s, const Decl *metric, Str report, Span at) {
  *s = (Streamed){.metric = NEW(x->arena, ModelDecl), .self = NEW(x->arena, Instance), .report = report, .span = at};
  *s->metric = (ModelDecl){.name = metric->name, .ast = metric->ast, .module = metric->module};
  *s->self = (Instance){.model = s->metric};
  Value *self = value_new(x, VALUE_INSTANCE, at);
  self->instance = s->self;
  s->head = env_bind(x, NULL, str_internz(x->strings, "$self"), self, at);
  return find_members(x, s);
}

void report_streamed(Elaborator *x, TrainWalk *w, Ast *arg, Decl *metric, Str name) {
  Streamed s;
  int n, nown, ngiven;
  CallArg *args = elaborate_args(x, w->env, arg->value->args, NULL, &n);
  if (!args || !streamed_begin(x, &s, metric, name, arg->span)) return;
  CallArg *own = NEW_ARRAY(x->arena, CallArg, n + 1), *given = NEW_ARRAY(x->arena, CallArg, n + 1);
  divide_args(&s, n, args, own, &nown, given, &ngiven);
  Module *module = x->module;
  x->module = metric->module;
  Report r = {.name = name, .arguments = s.states.n, .span = arg->span};
  s.head = bind_parameters(x, s.head, metric->ast->params, nown, own, arg->span, metric->name);
  bool ok = s.head && find_types(x, &s) && update_states(x, &s, ngiven, given);
  for (int k = 0; ok && k < s.states.n; k++)
    ok = name_output(x, str_internf(x->strings, "%s.%d", name, k), value_whole(x, s.self->members.at[k].value),
                     arg->span, REPORT_NAME);
  if (ok && w->mode == MODE_STEP && (r.first = first_graph(x, &s)) && (r.graph = result_graph(x, &s)))
    vec_push(x->arena, &w->train->reports, r);
  x->module = module;
}

static void check_member(Elaborator *x, const Streamed *s, Ast *fn, Env *e) {
  Function *f = NEW(x->arena, Function);
  bool update = fn == s->update; /* the report names the metric */
  *f = (Function){.name = update ? s->metric->name : fn->name,
                  .ast = fn,
                  .env = e,
                  .module = s->metric->module,
                  .silent = update};
  generic_check(x, f);
}

void check_metric(Elaborator *x, Decl *metric) {
  Streamed s;
  if (!streamed_begin(x, &s, metric, metric->name, metric->ast->name_span)) return;
  Check check = check_begin(x, x->module);
  const AstList *params = &metric->ast->params->items;
  bool ok = true;
  for (int i = 0; ok && i < params->n; i++) {
    Ast *p = params->at[i];
    Value *v = any_argument(x, &s.head, p);
    ok = v != NULL;
    s.head = env_bind(x, s.head, p->name, v, p->name_span);
  }
  s.types = NEW_ARRAY(x->arena, Type, s.states.n);
  for (int k = 0; ok && k < s.states.n; k++) {
    s.types[k] = (Type){.dtype = float_default(x)};
    ok = !s.states.at[k]->type || type_resolve(x, s.head, s.states.at[k]->type, &s.types[k]);
  }
  if (ok) {
    Env *e = bind_states(x, &s, "state.");
    check_member(x, &s, s.update, e);
    check_member(x, &s, s.result, e);
  }
  check_end(x, &check);
}
