/* report.c - `report`: averages over examples, and metrics that are given the whole set. */
#include "frontend/training.h"

#include <string.h>

static Decl *report_metric(Elaborator *x, Env *e, Ast *value) {
  if (value->kind != AST_CALL || value->callee->kind != AST_NAME || env_find(e, value->callee->name)) return NULL;
  Decl *d = decl_find(x, x->module, value->callee->name);
  return d && d->kind == DECL_METRIC ? d : NULL;
}

/* A metric that is given the whole set: a graph of its own, over N collected examples. */
static Graph *metric_graph(Elaborator *x, Decl *metric, int n, CallArg *args, Span at) {
  GraphState *saved;
  Graph *g = graph_begin(x, str_internf(x->strings, "metric.%s", metric->name), &saved);
  x->batch = dim_symbol(x->ir, str_internz(x->strings, "N"), 1);
  g->batch = dim_as_symbol(x->batch);
  CallArg *own = NEW_ARRAY(x->arena, CallArg, n + 1);
  for (int i = 0; i < n; i++) {
    Dim *shape[9] = {x->batch};
    for (int k = 1; k < args[i].value->rank; k++) shape[k] = args[i].value->shape[k];
    Node *in =
        graph_named_input(x, arena_printf(x->arena, "%d", i), args[i].value->dtype, args[i].value->rank, shape, at);
    own[i] = args[i];
    own[i].value = value_node(x, in, at);
    own[i].value->bound = args[i].value->bound;
  }
  Value *f = decl_value(x, metric, at);
  Value *v = call_function(x, f->function, n, own, at);
  if (v && (v->kind != VALUE_TENSOR || v->rank)) {
    diag_add(x->diags, DIAG_REPORT, at, "a metric is one number, and this is %s", value_type_text(x, v));
    v = NULL;
  }
  if (v) graph_output(x->graph, str_internz(x->strings, "value"), value_whole(x, v));
  graph_end(x, saved);
  return v ? g : NULL;
}

static void report_collected(Elaborator *x, TrainWalk *w, Ast *arg, Decl *metric, Str name) {
  int n;
  CallArg *args = elaborate_args(x, w->env, arg->value->args, NULL, &n);
  if (!args) return;
  for (int i = 0; i < n; i++) {
    Value *v = args[i].value;
    if (v->kind != VALUE_TENSOR || !v->rank || v->shape[0] != x->batch) {
      diag_add(x->diags, DIAG_REPORT, args[i].span, "a metric collects a value for each example, and this is %s",
               value_type_text(x, v));
      return;
    }
    for (int k = 1; k < v->rank; k++)
      if (!dim_is_const(v->shape[k], NULL)) {
        diag_add(x->diags, DIAG_REPORT, args[i].span,
                 "a metric collects values of one size, and this has that of its batch: %s", value_type_text(x, v));
        return;
      }
    if (!name_output(x, str_internf(x->strings, "%s.%d", name, i), value_whole(x, v), arg->span, REPORT_NAME)) return;
  }
  if (w->mode != MODE_STEP) return;
  Graph *g = metric_graph(x, metric, n, args, arg->span);
  if (g)
    vec_push(x->arena, &w->train->reports, (Report){.name = name, .graph = g, .arguments = n, .span = arg->span});
}

static void say_one_sided(Elaborator *x, Str name, Span at, const char *when) {
  Diag *d = diag_add(x->diags, DIAG_REPORT, at, "`%s` is reported %s", name, when);
  diag_help(d, "a report stands outside of `if training`, and `if training then a else b` may be its value");
}

static bool is_reported(const Train *t, Str name) {
  for (int i = 0; i < t->reports.n; i++)
    if (t->reports.at[i].name == name) return true;
  return false;
}

void check_reports(Elaborator *x, const Train *t) {
  for (int i = 0; i < t->reports.n; i++) {
    const Report *r = &t->reports.at[i];
    Str output = r->arguments ? str_internf(x->strings, "%s.0", r->name) : r->name;
    bool there = r->first != NULL; /* a metric that streams is its states */
    for (int k = 0; k < t->eval->outputs.n; k++) there = there || t->eval->outputs.at[k].name == output;
    if (!there) say_one_sided(x, r->name, r->span, "only in training");
  }
}

static void report(Elaborator *x, TrainWalk *w, Ast *arg) {
  if (w->mode == MODE_UPDATE) return;
  Str name = arg->name;
  Ast *value = arg->value;
  if (!name) {
    if (value->kind == AST_CALL && value->callee->kind == AST_NAME) name = value->callee->name;
    else if (value->kind == AST_NAME) name = value->name;
    else {
      Diag *d = diag_add(x->diags, DIAG_REPORT, arg->span, "this report has no name");
      diag_help(d, "give it one: `report name = ...`");
      return;
    }
  }
  if (w->mode == MODE_EVAL && !x->diags->errors && !is_reported(w->train, name)) {
    say_one_sided(x, name, arg->span, "only while it is measured");
    return;
  }
  Decl *metric = report_metric(x, w->env, value);
  if (metric) {
    if (metric_streams(metric->ast)) report_streamed(x, w, arg, metric, name);
    else report_collected(x, w, arg, metric, name);
    return;
  }
  Value *v = elaborate_expr(x, w->env, value);
  if (!v) return;
  v = value_runtime(x, v);
  if (v->kind != VALUE_TENSOR || !dtype_is_float(v->dtype)) {
    diag_add(x->diags, DIAG_REPORT, arg->span,
             "a report is a float for each example, or one for the batch, and this is %s", value_type_text(x, v));
    return;
  }
  bool is;
  if (v->rank) v = reduce_call(x, str_internz(x->strings, "mean"), v, arg->span, &is);
  if (!v) return;
  Node *measured = measured_sometimes(x, w, name, value_whole(x, v), arg->span);
  if (!name_output(x, name, measured, arg->span, REPORT_NAME)) return;
  if (w->mode == MODE_STEP) vec_push(x->arena, &w->train->reports, (Report){.name = name, .span = arg->span});
}

/* A step's reports are those of its own forward pass: what a parameter becomes by the step's updates is left aside,
 * and a call of the body that is repeated is that call (repeated.c), so that nothing is computed twice. States are
 * what the body made of them; what another call makes of them holds. */
void reports(Elaborator *x, TrainWalk *w, Ast *a) {
  int n = x->current.n;
  Value **updated = NEW_ARRAY(x->arena, Value *, n + 1);
  for (int i = 0; i < n; i++) {
    updated[i] = x->current.at[i].value;
    if (x->current.at[i].source->trained) x->current.at[i].value = NULL;
  }
  Frame *frame = x->frame;
  x->assigned++;
  x->reporting = true;
  for (int i = 0; i < a->items.n; i++) {
    x->frame = NULL; /* calls are named from the start again, so that a dropout mask is the loss's */
    frame_enter(x, str_internz(x->strings, "train"));
    report(x, w, a->items.at[i]);
  }
  x->reporting = false;
  x->assigned++;
  x->frame = frame;
  for (int i = 0; i < n; i++)
    if (x->current.at[i].source->trained) x->current.at[i].value = updated[i];
}
