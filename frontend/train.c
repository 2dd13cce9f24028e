/* train.c - training: settings, the body as four graphs (a step, an evaluation, gradients, the update by them),
 * minimize, optimizers, reports. */
#include "frontend/value.h"

#include <string.h>

#include "ir/derive.h"
#include "ir/mixes.h"

typedef enum Mode { MODE_STEP, MODE_EVAL, MODE_GRADS, MODE_UPDATE } Mode;

typedef struct TrainWalk {
  Train *train;
  Mode mode;
  Env *env;
  bool ok, minimized;
} TrainWalk;

/* ---- settings ---- */

enum {
#define ROW(name, kind) SETTING_##name,
#include "frontend/setting.def"
#undef ROW
  SETTING_COUNT
};

static const struct {
  const char *name;
  char kind;
} settings[] = {
#define ROW(name, kind) {#name, kind},
#include "frontend/setting.def"
#undef ROW
};

static int setting_find(Str name) {
  for (int i = 0; i < SETTING_COUNT; i++)
    if (!strcmp(settings[i].name, name)) return i;
  return -1;
}

static bool setting_value(Elaborator *x, Train *t, int which, Ast *a) {
  Value *v = elaborate_expr(x, NULL, a->value);
  if (!v) return false;
  char kind = settings[which].kind;
  int64_t n = 0;
  bool is_int = v->kind == VALUE_INT && dim_is_const(v->dim, &n);
  bool right = kind == 'i'   ? is_int && n > 0
               : kind == 'n' ? is_int
               : kind == 'b' ? v->kind == VALUE_FLAG
               : kind == 'd' ? v->kind == VALUE_DATASET
                             : v->kind == VALUE_DATASET || (v->kind == VALUE_REAL && v->real > 0 && v->real < 1);
  if (!right) {
    diag_add(x->diags, DIAG_SETTING, a->value->span, "`%s` is %s", a->name,
             kind == 'i'   ? "a positive integer"
             : kind == 'n' ? "an integer"
             : kind == 'b' ? "true or false"
             : kind == 'd' ? "a data set"
                           : "a fraction between 0 and 1, or a data set");
    return false;
  }
  switch (which) {
  case SETTING_epochs: t->epochs = n; break;
  case SETTING_steps: t->steps = n; break;
  case SETTING_batch: t->batch = n; break;
  case SETTING_seed: t->seed = n; break;
  case SETTING_validate:
    if (v->kind == VALUE_DATASET) t->validate_data = v->data->index;
    else t->validate = v->real;
    break;
  case SETTING_test: t->test_data = v->data->index; break;
  case SETTING_shuffle: t->shuffle = v->truth; break;
  default: break;
  }
  return true;
}

/* Reads the settings that open the body; gives how many statements they are. */
static int read_settings(Elaborator *x, Train *t, Ast *body) {
  int i = 0;
  for (; i < body->items.n; i++) {
    Ast *a = body->items.at[i];
    if (a->kind != AST_DEFINE || a->type || (a->flags & AST_DRAW)) break;
    int which = setting_find(a->name);
    if (which >= 0) {
      setting_value(x, t, which, a);
      continue;
    }
    static const char *const later[] = {"precision", "folds", "accumulate", "clip_norm"};
    bool read = false, known = false;
    for (size_t k = 0; k < sizeof later / sizeof *later; k++) known = known || !strcmp(a->name, later[k]);
    if (known) {
      say_not_compiled(x, a->name_span, arena_printf(x->arena, "the setting `%s`", a->name));
      continue;
    }
    for (int k = i + 1; k < body->items.n; k++) read = read || mentions(body->items.at[k], a->name);
    if (read) break;
    Nearest near = {a->name, 4, NULL};
    for (int s = 0; s < SETTING_COUNT; s++) nearest_consider(&near, settings[s].name);
    Diag *d = diag_add(x->diags, DIAG_UNREAD, a->name_span, "nothing reads `%s`, and it is no setting", a->name);
    if (near.found)
      diag_fix(diag_help(d, "did you mean the setting `%s`?", near.found), a->name_span, "%s", near.found);
    else diag_help(d, "the settings are epochs, steps, batch, seed, validate, test and shuffle");
  }
  return i;
}

/* ---- optimizers ---- */

static bool optimizer_state(Elaborator *x, Instance *o, const ProgramTensor *p, Ast *a) {
  Str name = str_internf(x->strings, "opt/%s/%s", p->name, a->name);
  Type t = {.dtype = p->dtype, .rank = p->rank, .shape = NEW_ARRAY(x->arena, Dim *, p->rank + 1)};
  for (int d = 0; d < p->rank; d++) t.shape[d] = dim_const(x->ir, p->shape[d]);
  if (a->type && !type_resolve(x, o->env, a->type, &t)) return false;
  int tensor = tensor_find(x, name);
  if (tensor < 0) {
    tensor = tensor_declare(x, name, ROLE_optimizer, &t, a->name_span);
    if (tensor < 0) return false;
    vec_push(x->arena, &x->inits, (Init){tensor, o->env, a, name, o->model->module});
  }
  InstanceMember m = {.name = a->name, .kind = MEMBER_STATE, .tensor = tensor, .ast = a};
  vec_push(x->arena, &o->members, m);
  Value *v = value_new(x, VALUE_TENSOR, a->name_span);
  v->n = tensor + 1;
  o->env = env_bind(x, o->env, a->name, v, a->name_span);
  return true;
}

/* One parameter's optimizer: an instance of which the states are the slots `opt/<param>/<slot>`. */
static bool optimizer_states(Elaborator *x, Instance *o, const ProgramTensor *p, Ast *body) {
  bool block = body->kind == AST_BLOCK;
  for (int i = 0; i < (block ? body->items.n : 1); i++) {
    Ast *a = block ? body->items.at[i] : body;
    if (a->kind == AST_FN || a->kind == AST_ERROR) continue;
    if (a->kind == AST_IF) {
      int errors = x->diags->errors;
      Ast *taken = members_taken(x, o->env, a);
      if (x->diags->errors > errors || (taken && !optimizer_states(x, o, p, taken))) return false;
    } else if (a->kind != AST_STATE) {
      diag_add(x->diags, DIAG_STATEMENT_HERE, a->span, "`%s` is no member of an optimizer",
               ast_word((AstKind)a->kind));
      return false;
    } else if (!optimizer_state(x, o, p, a)) {
      return false;
    }
  }
  return true;
}

static Function *optimizer_update(Elaborator *x, Instance *o) {
  Ast *body = o->model->ast->body;
  for (int i = 0; i < body->items.n; i++)
    if (body->items.at[i]->kind == AST_FN && !strcmp(body->items.at[i]->name, "update")) {
      Function *f = NEW(x->arena, Function);
      *f = (Function){
          .name = body->items.at[i]->name, .ast = body->items.at[i], .env = o->env, .module = o->model->module};
      return f;
    }
  diag_add(x->diags, DIAG_OPTIMIZER, o->model->ast->name_span, "the optimizer `%s` has no `fn update(w, g)`",
           o->model->name);
  return NULL;
}

typedef struct OptimizerCall {
  ModelDecl *model;
  int n;
  CallArg *args;
  Span span;
} OptimizerCall;

static bool optimizer_call(Elaborator *x, Env *e, Ast *a, OptimizerCall *out) {
  static Ast none = {.kind = AST_LIST};
  Value *v = elaborate_expr(x, e, a->kind == AST_CALL ? a->callee : a);
  if (!v) return false;
  if (v->kind != VALUE_MODEL || v->model->ast->kind != AST_OPTIMIZER) {
    Diag *d = diag_add(x->diags, DIAG_OPTIMIZER, a->span, "an optimizer is wanted after `with`, and this is %s",
                       value_type_text(x, v));
    diag_help(d, "Sgd(1e-2), Momentum(1e-2), Adam(1e-3), or your own `optimizer`");
    return false;
  }
  out->model = v->model;
  out->span = a->span;
  out->args = elaborate_args(x, e, a->kind == AST_CALL ? a->args : &none, NULL, &out->n);
  return out->args != NULL;
}

static bool update_param(Elaborator *x, OptimizerCall *call, int tensor, Node *grad) {
  Instance *o = NEW(x->arena, Instance);
  o->model = call->model;
  const ProgramTensor p = x->program->tensors.at[tensor];
  o->path = str_internf(x->strings, "opt/%s", p.name);
  Value *self = value_new(x, VALUE_INSTANCE, call->span);
  self->instance = o;
  Module *module = x->module;
  x->module = call->model->module;
  Env *outer = env_bind(x, NULL, str_internz(x->strings, "$self"), self, call->span);
  Value *step =
      value_scalar(x, expr_read(x->ir, graph_named_input(x, "$step", DT_i32, 0, NULL, call->span), NULL), call->span);
  step->weak = true;
  outer = env_bind(x, outer, str_internz(x->strings, "step"), step, call->span);
  o->env = bind_parameters(x, outer, call->model->ast->params, call->n, call->args, call->span, call->model->name);
  bool ok = o->env && optimizer_states(x, o, &p, call->model->ast->body);
  Function *update = ok ? optimizer_update(x, o) : NULL;
  if (update) {
    CallArg args[2] = {{NULL, tensor_current(x, tensor, call->span), call->span},
                       {NULL, value_node(x, grad, call->span), call->span}};
    Value *w = call_function(x, update, 2, args, call->span);
    Value *now = tensor_current(x, tensor, call->span);
    bool same = w && w->kind == VALUE_TENSOR && w->dtype == now->dtype && w->rank == now->rank;
    for (int i = 0; same && i < w->rank; i++) same = w->shape[i] == now->shape[i];
    if (w && !same)
      diag_add(x->diags, DIAG_OPTIMIZER, call->span, "the update of `%s` gives %s for %s", call->model->name,
               value_type_text(x, w), value_type_text(x, now));
    if (same) tensor_assign(x, tensor, w);
    ok = same;
  }
  x->module = module;
  return ok && update;
}

/* ---- minimize ---- */

static bool in_groups(int n, const IntList *groups, int tensor) {
  for (int i = 0; i < n; i++)
    for (int k = 0; k < groups[i].n; k++)
      if (groups[i].at[k] == tensor) return true;
  return false;
}

static bool group_params(Elaborator *x, Env *e, Ast *a, IntList *out) {
  int before = out->n;
  if (a->kind == AST_MEMBER) { /* one parameter by its path */
    Value *base = elaborate_expr(x, e, a->base);
    if (!base) return false;
    if (base->kind == VALUE_INSTANCE)
      for (int i = 0; i < base->instance->members.n; i++) {
        InstanceMember *m = &base->instance->members.at[i];
        if (m->name == a->name && m->kind == MEMBER_PARAM && x->program->tensors.at[m->tensor].role == ROLE_param) {
          if (!in_groups(1, out, m->tensor)) vec_push(x->arena, out, m->tensor);
          return true;
        }
      }
  }
  Value *v = elaborate_expr(x, e, a);
  if (!v) return false;
  if (v->kind == VALUE_INSTANCE) instance_params(x, v->instance, out);
  for (int i = 0; v->kind == VALUE_ARRAY && i < v->n; i++)
    if (v->items[i] && v->items[i]->kind == VALUE_INSTANCE) instance_params(x, v->items[i]->instance, out);
  if (out->n > before) return true;
  Diag *d = diag_add(x->diags, DIAG_NO_PARAMS, a->span, "there is no trained parameter in this: it is %s",
                     value_type_text(x, v));
  diag_help(d, "name a model's instance, a part of it, or a parameter");
  return false;
}

static Str loss_name(Elaborator *x, Ast *value) {
  return value->kind == AST_NAME ? value->name : str_internz(x->strings, "loss");
}

static bool reaches(Elaborator *x, Node *loss, int tensor, Ast *at) {
  const ProgramTensor *p = &x->program->tensors.at[tensor];
  Node *source = NULL;
  for (int i = 0; i < x->current.n; i++)
    if (x->current.at[i].source->name == p->name) source = x->current.at[i].source;
  if (source && derive_depends(x->graph, loss, source)) return true;
  Diag *d = diag_add(x->diags, DIAG_NO_EFFECT, at->span, "`%s` cannot change the loss", p->name);
  diag_place(d, p->span, "declared here");
  if (!source) diag_note(d, "the loss does not read it");
  else diag_note(d, "comparisons, argmax, floor, stop and integer casts cut the derivative");
  diag_help(d, "use it in the loss, or leave it out of `over`");
  return false;
}

/* A loss or report under its name, which no other one has. */
static bool name_output(Elaborator *x, Str name, Node *n, Span at, const char *help) {
  for (int i = 0; i < x->graph->outputs.n; i++)
    if (x->graph->outputs.at[i].name == name) {
      Diag *d = diag_add(x->diags, DIAG_TWICE, at, "two values of this training are called `%s`", name);
      diag_help(d, "%s", help);
      return false;
    }
  graph_output(x->graph, name, n);
  return true;
}

static Str gradient_name(Elaborator *x, int tensor) {
  return str_internf(x->strings, "grad/%s", x->program->tensors.at[tensor].name);
}

/* What an update is given for the derivative of the loss. */
static Node *gradient_input(Elaborator *x, int tensor, Node *now, Span at) {
  return graph_named_input(x, gradient_name(x, tensor), now->dtype, now->rank, now->shape, at);
}

/* Of a parameter that two losses change: the first's. */
static void output_gradient(Elaborator *x, int tensor, Node *gradient) {
  Str name = gradient_name(x, tensor);
  for (int i = 0; i < x->graph->outputs.n; i++)
    if (x->graph->outputs.at[i].name == name) return;
  graph_output(x->graph, name, gradient);
}

static void minimize(Elaborator *x, TrainWalk *w, Ast *a) {
  w->minimized = true;
  Value *v = elaborate_expr(x, w->env, a->value);
  if (!v) return;
  v = value_runtime(x, v);
  if (v->kind != VALUE_TENSOR || v->rank || !dtype_is_float(v->dtype)) {
    Diag *d =
        diag_add(x->diags, DIAG_LOSS, a->value->span, "a loss is one float, and this is %s", value_type_text(x, v));
    if (v->kind == VALUE_TENSOR && v->rank) diag_help(d, "write `mean(...)` around it");
    return;
  }
  Node *loss = value_whole(x, v);
  Str name = loss_name(x, a->value);
  if (w->mode == MODE_STEP) vec_push(x->arena, &w->train->losses, name);
  if (w->mode != MODE_UPDATE &&
      !name_output(x, name, loss, a->value->span,
                   "a loss carries its variable's name: `d_loss = ...`, `minimize d_loss over ...`"))
    return;
  if (w->mode == MODE_EVAL) return;
  Vec(IntList) groups = {0};
  for (int i = 0; i < a->items.n; i++) {
    IntList params = {0};
    for (int k = 0; k < a->items.at[i]->items.n; k++)
      if (!group_params(x, w->env, a->items.at[i]->items.at[k], &params)) return;
    for (int k = 0; k < params.n; k++) {
      if (!reaches(x, loss, params.at[k], a->items.at[i]->items.at[0])) return;
      if (!in_groups(groups.n, groups.at, params.at[k])) continue;
      Diag *d = diag_add(x->diags, DIAG_TWICE, a->items.at[i]->span, "`%s` is in two groups",
                         x->program->tensors.at[params.at[k]].name);
      diag_help(d, "each parameter is changed by one optimizer");
      return;
    }
    vec_push(x->arena, &groups, params);
  }
  /* All derivatives first: an update changes what a parameter is from then on. */
  Vec(Node *) grads = {0};
  for (int i = 0; i < groups.n; i++)
    for (int k = 0; k < groups.at[i].n; k++) {
      int tensor = groups.at[i].at[k];
      Node *now = value_whole(x, tensor_current(x, tensor, a->span));
      Node *grad =
          w->mode == MODE_UPDATE ? gradient_input(x, tensor, now, a->span) : graph_grad(x->graph, loss, now, a->span);
      vec_push(x->arena, &grads, grad);
    }
  for (int i = 0, g = 0; i < groups.n; i++) {
    OptimizerCall call = {0};
    if (w->mode != MODE_GRADS && !optimizer_call(x, w->env, a->items.at[i]->with, &call)) return;
    for (int k = 0; k < groups.at[i].n; k++, g++) {
      int tensor = groups.at[i].at[k];
      if (w->mode == MODE_GRADS) output_gradient(x, tensor, grads.at[g]);
      else if (!update_param(x, &call, tensor, grads.at[g])) return;
    }
  }
}

/* ---- reports ---- */

#define REPORT_NAME "give it another: `report name = ...`"

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
    if (!name_output(x, str_internf(x->strings, "%s.%d", name, i), value_whole(x, v), arg->span, REPORT_NAME)) return;
  }
  if (w->mode != MODE_STEP) return;
  Graph *g = metric_graph(x, metric, n, args, arg->span);
  if (g) vec_push(x->arena, &w->train->reports, (Report){name, g, n, arg->span});
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
  Decl *metric = report_metric(x, w->env, value);
  if (metric) {
    report_collected(x, w, arg, metric, name);
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
  if (!name_output(x, name, value_whole(x, v), arg->span, REPORT_NAME)) return;
  if (w->mode == MODE_STEP) vec_push(x->arena, &w->train->reports, (Report){name, NULL, 0, arg->span});
}

/* A step's reports are those of its own forward pass: what a parameter becomes by the step's updates is left aside,
 * so that nothing is computed twice. */
static void reports(Elaborator *x, TrainWalk *w, Ast *a) {
  int n = x->current.n;
  Value **updated = NEW_ARRAY(x->arena, Value *, n + 1);
  for (int i = 0; i < n; i++) {
    updated[i] = x->current.at[i].value;
    x->current.at[i].value = NULL;
  }
  Frame *frame = x->frame;
  for (int i = 0; i < a->items.n; i++) {
    x->frame = NULL; /* calls are named from the start again, so that a dropout mask is the loss's */
    frame_enter(x, str_internz(x->strings, "train"));
    report(x, w, a->items.at[i]);
  }
  x->frame = frame;
  for (int i = 0; i < n; i++) x->current.at[i].value = updated[i];
}

/* ---- the body ---- */

static void stop_when(Elaborator *x, TrainWalk *w, Ast *a) {
  if (w->mode != MODE_STEP) return;
  Value *n = a->stalls ? elaborate_expr(x, w->env, a->stalls) : NULL;
  int64_t epochs = 0;
  if (a->value->kind != AST_NAME || !n || n->kind != VALUE_INT || !dim_is_const(n->dim, &epochs) || epochs < 1) {
    Diag *d =
        diag_add(x->diags, DIAG_STOP_WHEN, a->span, "`stop when` names a value and how many epochs it may stall");
    diag_help(d, "stop when val_loss stalls 5");
    return;
  }
  w->train->stall = a->value->name;
  w->train->stall_epochs = epochs;
}

static void statement(Elaborator *x, TrainWalk *w, Ast *a);

static bool trains(const Ast *a) {
  if (a->kind == AST_MINIMIZE || a->kind == AST_REPORT || a->kind == AST_STOP_WHEN) return true;
  for (int i = 0; i < ast_child_count(a); i++) {
    const Ast *c = ast_child(a, i);
    if (c && trains(c)) return true;
  }
  return false;
}

/* `if` at compile time around what only `train` has. */
static void choose_training(Elaborator *x, TrainWalk *w, Ast *a, const Value *c) {
  Ast *taken = c->truth ? a->then : a->otherwise;
  if (!taken) return;
  Env *outer = w->env;
  if (taken->kind == AST_IF) statement(x, w, taken);
  for (int i = 0; taken->kind == AST_BLOCK && i < taken->items.n; i++) statement(x, w, taken->items.at[i]);
  w->env = leave_block(x, outer, w->env);
}

static void train_if(Elaborator *x, TrainWalk *w, Ast *a) {
  Value *c = elaborate_expr(x, w->env, a->cond), *result = NULL;
  if (!c) return;
  if (c->kind == VALUE_TENSOR && c->dtype == DT_bool && !c->rank)
    say_not_compiled(x, a->cond->span, "an `if` that is decided at each step");
  else if (c->kind == VALUE_FLAG && trains(a)) choose_training(x, w, a, c);
  else elaborate_statement(x, &w->env, a, &result);
}

static void statement(Elaborator *x, TrainWalk *w, Ast *a) {
  switch ((AstKind)a->kind) {
  case AST_MINIMIZE: minimize(x, w, a); break;
  case AST_REPORT: reports(x, w, a); break;
  case AST_STOP_WHEN: stop_when(x, w, a); break;
  case AST_IF: train_if(x, w, a); break;
  case AST_PARAM:
  case AST_STATE:
  case AST_RETURN:
    diag_add(x->diags, DIAG_STATEMENT_HERE, a->span, "`%s` does not belong in `train`", ast_word((AstKind)a->kind));
    break;
  default: {
    if (a->kind == AST_DEFINE && !a->type && setting_find(a->name) >= 0) {
      Diag *d = diag_add(x->diags, DIAG_SETTING, a->name_span,
                         "the setting `%s` comes after the first other statement", a->name);
      diag_help(d, "settings open the block");
      return;
    }
    Value *result = NULL;
    elaborate_statement(x, &w->env, a, &result);
  }
  }
}

static Env *bind_counter(Elaborator *x, Env *e, const char *name, const char *input, Span at) {
  Value *v = value_scalar(x, expr_read(x->ir, graph_named_input(x, input, DT_i32, 0, NULL, at), NULL), at);
  v->weak = true;
  e = env_bind(x, e, str_internz(x->strings, name), v, at);
  return e;
}

static Graph *walk_body(Elaborator *x, Train *t, Ast *a, int first, Mode mode) {
  static const char *const names[] = {"step", "eval", "grads", "update"};
  GraphState *saved;
  TrainWalk w = {.train = t, .mode = mode};
  Graph *g = graph_begin(
      x, str_internf(x->strings, "train.%s%s%s", t->name ? t->name : "", t->name ? "." : "", names[mode]), &saved);
  x->batch = dim_symbol(x->ir, str_internz(x->strings, "B"), 1);
  g->batch = dim_as_symbol(x->batch);
  x->training = mode != MODE_EVAL;
  frame_enter(x, str_internz(x->strings, "train"));
  w.env = bind_counter(x, NULL, "step", "$step", a->span);
  w.env = bind_counter(x, w.env, "steps", "$steps", a->span);
  w.env = bind_counter(x, w.env, "epoch", "$epoch", a->span);
  w.env = env_bind(x, w.env, str_internz(x->strings, "B"), value_int(x, x->batch, a->span), a->span);
  DataSet *d = &x->program->data.at[t->data];
  for (int i = 0; i < d->fields.n; i++) {
    w.env = env_bind(x, w.env, d->fields.at[i].name, data_input(x, t->data, i, x->batch, d->fields.at[i].span),
                     d->fields.at[i].span);
  }
  int errors = x->diags->errors;
  for (int i = first; i < a->body->items.n; i++) statement(x, &w, a->body->items.at[i]);
  if ((mode == MODE_STEP || mode == MODE_UPDATE) && x->diags->errors == errors)
    for (int i = 0; i < x->current.n; i++)
      if (x->current.at[i].value)
        graph_store(x->graph, x->current.at[i].source, value_whole(x, x->current.at[i].value),
                    x->current.at[i].source->span);
  graph_end(x, saved);
  if (mode == MODE_UPDATE) graph_renew(g); /* of the forward pass nothing is left */
  return g;
}

/* ---- pieces ---- */

static Str line_text(Elaborator *x, Span at) {
  int line, column;
  source_position(sources_get(x->sources, at.source), at.begin, &line, &column);
  return str_internf(x->strings, "line %d of %s", line, sources_get(x->sources, at.source)->path);
}

/* A state of the model that a step changes; NULL: none. */
static Str stored_state(Elaborator *x, const Graph *step) {
  for (int i = 0; i < step->stores.n; i++) {
    Str name = step->stores.at[i]->in[1]->name;
    int tensor = tensor_find(x, name);
    if (tensor >= 0 && x->program->tensors.at[tensor].role == ROLE_state) return name;
  }
  return NULL;
}

/* Why a batch is not to be taken in pieces; NULL: it may be. */
static Str why_whole(Elaborator *x, const Train *t) {
  if (t->losses.n != 1) return str_internz(x->strings, "the training has several losses, one after the other");
  Str state = stored_state(x, t->step);
  if (state) return str_internf(x->strings, "a step changes the state `%s` by the whole batch", state);
  const char *why;
  Node *mixed = NULL;
  for (int i = 0; i < t->grads->outputs.n && !mixed; i++)
    if (t->grads->outputs.at[i].name == t->losses.at[0])
      mixed = batch_mixed_at(t->grads, t->grads->outputs.at[i].node, &why);
  return mixed ? str_internf(x->strings, "%s %s", line_text(x, mixed->span), why) : NULL;
}

void elaborate_train(Elaborator *x, Decl *decl) {
  Ast *a = decl->ast;
  Train t = {.name = a->text,
             .batch = 32,
             .seed = 1,
             .validate_data = -1,
             .test_data = -1,
             .shuffle = true,
             .span = a->span};
  if (a->items.n != 1 || x->program->train.n) {
    diag_add(x->diags, DIAG_NOT_COMPILED, a->items.at[0]->span,
             a->items.n != 1 ? "this version of nnc trains on one data set"
                             : "this version of nnc compiles one `train` block");
    return;
  }
  Value *v = name_lookup(x, NULL, a->items.at[0]->name, a->items.at[0]->span);
  if (!v) return;
  if (v->kind != VALUE_DATASET) {
    diag_add(x->diags, DIAG_TRAIN_DATA, a->items.at[0]->span, "`train` is given a data set, and this is %s",
             value_type_text(x, v));
    return;
  }
  t.data = v->data->index;
  int errors = x->diags->errors;
  int first = read_settings(x, &t, a->body);
  if (!t.epochs && !t.steps) t.epochs = 1;
  t.step = walk_body(x, &t, a, first, MODE_STEP);
  if (x->diags->errors == errors) {
    t.eval = walk_body(x, &t, a, first, MODE_EVAL);
    t.grads = walk_body(x, &t, a, first, MODE_GRADS);
    t.whole = why_whole(x, &t);
    if (!t.whole) t.update = walk_body(x, &t, a, first, MODE_UPDATE);
  }
  vec_push(x->arena, &x->program->train, t);
}
