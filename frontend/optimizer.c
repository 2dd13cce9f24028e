/* optimizer.c - optimizers: one instance for each parameter that is updated, of which the states are slots
 * `opt/<param>/<slot>`. Before them `prepare` sees all parameters at once; of a `sparse` one, rows without a gradient
 * stay as they are. */
#include "frontend/training.h"

#include <string.h>

/* `opt/<param>/<slot>`; of a parameter's second optimizer `opt/<param>/<slot>.2`; in the second `train` block and the
 * following ones `opt/<param>/<slot>.<name of the block>`. */
static Str slot_name(Elaborator *x, Str param, Str slot, int nth) {
  if (x->train) slot = str_internf(x->strings, "%s.%s", slot, x->train);
  return nth ? str_internf(x->strings, "opt/%s/%s.%d", param, slot, nth + 1)
             : str_internf(x->strings, "opt/%s/%s", param, slot);
}

int optimizer_slot(Elaborator *x, int param, const char *slot, int nth, const Type *t, Span at) {
  Str name = slot_name(x, x->program->tensors.at[param].name, slot, nth);
  int tensor = tensor_find(x, name);
  if (tensor >= 0) return tensor;
  tensor = tensor_declare(x, name, ROLE_optimizer, t, at);
  vec_push(x->arena, &x->inits, (Init){.tensor = tensor, .path = name, .module = x->module});
  return tensor;
}

static bool optimizer_state(Elaborator *x, Instance *o, const ProgramTensor *p, int nth, Ast *a) {
  Str name = slot_name(x, p->name, a->name, nth);
  Type t = {.dtype = p->dtype, .rank = p->rank, .shape = NEW_ARRAY(x->arena, Dim *, p->rank + 1)};
  for (int d = 0; d < p->rank; d++) t.shape[d] = dim_const(x->ir, p->shape[d]);
  if (a->type && !type_resolve(x, o->env, a->type, &t)) return false;
  int tensor = tensor_find(x, name);
  if (tensor < 0) {
    tensor = tensor_declare(x, name, ROLE_optimizer, &t, a->name_span);
    if (tensor < 0) return false;
    vec_push(x->arena, &x->inits,
             (Init){.tensor = tensor, .env = o->env, .ast = a, .path = name, .module = o->model->module});
  }
  InstanceMember m = {.name = a->name, .kind = MEMBER_STATE, .tensor = tensor, .ast = a};
  vec_push(x->arena, &o->members, m);
  Value *v = value_new(x, VALUE_TENSOR, a->name_span);
  v->n = tensor + 1;
  o->env = env_bind(x, o->env, a->name, v, a->name_span);
  return true;
}

static bool is_sparse_setting(const Ast *a) {
  return a->kind == AST_DEFINE && a->value && !strcmp(a->name, "sparse");
}

/* One parameter's optimizer: an instance of which the states are the slots `opt/<param>/<slot>`. */
static bool optimizer_states(Elaborator *x, Instance *o, const ProgramTensor *p, int nth, Ast *body) {
  bool block = body->kind == AST_BLOCK;
  for (int i = 0; i < (block ? body->items.n : 1); i++) {
    Ast *a = block ? body->items.at[i] : body;
    if (a->kind == AST_FN || a->kind == AST_ERROR || is_sparse_setting(a)) continue;
    if (a->kind == AST_IF) {
      Ast *taken;
      if (!members_taken(x, o->env, a, &taken) || (taken && !optimizer_states(x, o, p, nth, taken))) return false;
    } else if (a->kind != AST_STATE) {
      Diag *d =
          diag_add(x->diags, DIAG_STATEMENT_HERE, a->span, "%s is no member of an optimizer", statement_title(x, a));
      diag_help(d, "members are `state`, `fn update`, `fn prepare`, other functions, and `sparse = true`");
      return false;
    } else if (!optimizer_state(x, o, p, nth, a)) {
      return false;
    }
  }
  return true;
}

/* A function of the optimizer; NULL: it has none of this name. */
static Function *optimizer_function(Elaborator *x, const OptimizerCall *call, Env *env, const char *name) {
  const AstList *body = &call->model->ast->body->items;
  for (int i = 0; i < body->n; i++)
    if (body->at[i]->kind == AST_FN && !strcmp(body->at[i]->name, name)) {
      Function *f = NEW(x->arena, Function);
      *f = (Function){.name = body->at[i]->name, .ast = body->at[i], .env = env, .module = call->model->module};
      return f;
    }
  return NULL;
}

/* e with the optimizer's functions that are neither `update` nor `prepare`, which see e and each other. */
static Env *with_functions(Elaborator *x, const OptimizerCall *call, Env *e) {
  const AstList *body = &call->model->ast->body->items;
  Vec(Function *) all = {0};
  for (int i = 0; e && i < body->n; i++) {
    Ast *a = body->at[i];
    if (a->kind != AST_FN || !strcmp(a->name, "update") || !strcmp(a->name, "prepare")) continue;
    Value *v = value_new(x, VALUE_FUNCTION, a->name_span);
    v->function = NEW(x->arena, Function);
    *v->function = (Function){.name = a->name, .ast = a, .module = call->model->module};
    e = env_bind(x, e, a->name, v, a->name_span);
    vec_push(x->arena, &all, v->function);
  }
  for (int i = 0; i < all.n; i++) all.at[i]->env = e;
  return e;
}

bool optimizer_call(Elaborator *x, Env *e, Ast *a, OptimizerCall *out) {
  static Ast none = {.kind = AST_LIST};
  Value *v = elaborate_expr(x, e, a->kind == AST_CALL ? a->callee : a);
  if (!v) return false;
  if (v->kind != VALUE_MODEL || v->model->ast->kind != AST_OPTIMIZER) {
    Diag *d = diag_add(x->diags, DIAG_OPTIMIZER, a->span, "an optimizer is wanted after `with`, and this is %s",
                       value_type_text(x, v));
    diag_help(d, "there are Sgd, Momentum, Adam and others, or your own `optimizer`");
    if (v->kind == VALUE_REAL) suggest_call(x, d, a->span, "Sgd");
    return false;
  }
  out->model = v->model;
  out->span = a->span;
  out->args = elaborate_args(x, e, a->kind == AST_CALL ? a->args : &none, NULL, &out->n);
  return out->args != NULL;
}

/* `step` in an optimizer: the number of this update. That is the training's step where it updates at each; else it
 * has a slot that counts, of which `slot` becomes the index; or -1. */
static Value *update_number(Elaborator *x, const Update *u, int *slot, Span at) {
  Value *step = NEW(x->arena, Value);
  *slot = -1;
  if (!u->counts) {
    *step = *value_node(x, graph_named_input(x, "$step", DT_i32, 0, NULL, at), at);
  } else {
    *slot = optimizer_slot(x, u->tensor, "$step", u->nth, &(Type){.dtype = DT_i32}, at);
    Expr *next = expr_op2(x->ir, OP_add, tensor_current(x, *slot, at)->expr, expr_int(x->ir, DT_i32, 1));
    *step = *value_node(x, graph_comp(x->graph, 0, NULL, RED_none, 0, NULL, next, at), at);
  }
  step->weak = true;
  return step;
}

/* The arguments for one parameter: `weight_decay` is 0 for one that is left out of it. */
static CallArg *own_arguments(Elaborator *x, const OptimizerCall *call, const ProgramTensor *p, int *n) {
  static const char decay[] = "weight_decay";
  CallArg *args = NEW_ARRAY(x->arena, CallArg, call->n + 1);
  const AstList *params = &call->model->ast->params->items;
  int place = -1;
  *n = 0;
  for (int i = 0; i < params->n; i++)
    if (!strcmp(params->at[i]->name, decay)) place = i;
  for (int i = 0; i < call->n; i++) {
    bool is = place >= 0 && (call->args[i].name ? !strcmp(call->args[i].name, decay) : i == place);
    args[*n] = call->args[i];
    if (is && p->nodecay) args[*n].value = value_real(x, 0, call->args[i].span), place = -1;
    ++*n;
  }
  if (place >= 0 && p->nodecay)
    args[(*n)++] = (CallArg){str_internz(x->strings, decay), value_real(x, 0, call->span), call->span, call->span};
  return args;
}

/* What the optimizer's functions see: itself as `$self`, `step`, and its parameters. NULL after a message. */
static Env *optimizer_names(Elaborator *x, const OptimizerCall *call, Instance *o, Value *step, int n,
                            CallArg *args) {
  Value *self = value_new(x, VALUE_INSTANCE, call->span);
  self->instance = o;
  Env *outer = env_bind(x, NULL, str_internz(x->strings, "$self"), self, call->span);
  outer = env_bind(x, outer, str_internz(x->strings, "step"), step, call->span);
  return bind_parameters(x, outer, call->model->ast->params, n, args, call->span, call->model->name);
}

/* ---- what sees all parameters ---- */

static bool prepared(Elaborator *x, const OptimizerCall *call, Value *r, Value *g) {
  Value *gradient = r->kind == VALUE_TUPLE && r->n ? r->items[0] : r;
  bool fits = gradient && value_is_structure(gradient);
  for (int i = 1; r->kind == VALUE_TUPLE && i < r->n; i++)
    fits = fits && (value_is_structure(r->items[i]) || (r->items[i]->kind == VALUE_TENSOR && !r->items[i]->rank));
  if (fits) return structures_agree(x, g, structure_of(x, gradient, call->span), call->span);
  Diag *d = diag_add(x->diags, DIAG_OPTIMIZER, call->span, "`prepare` of `%s` gives %s", call->model->name,
                     value_type_text(x, r));
  diag_help(d,
            "it gives the gradient of all parameters, and perhaps numbers beside it: `return g / norm(g), norm(g)`");
  return false;
}

bool optimizer_prepare(Elaborator *x, OptimizerCall *call, Value *w, Value *g, const Update *first, Value **result) {
  *result = NULL;
  if (!optimizer_function(x, call, NULL, "prepare")) return true;
  Instance *o = NEW(x->arena, Instance);
  o->model = call->model;
  o->path = str_internz(x->strings, "opt");
  Module *module = x->module;
  x->module = call->model->module;
  int slot;
  Env *e = optimizer_names(x, call, o, update_number(x, first, &slot, call->span), call->n, call->args);
  e = with_functions(x, call, e);
  Function *f = e ? optimizer_function(x, call, e, "prepare") : NULL;
  CallArg args[2] = {{NULL, w, call->span, call->span}, {NULL, g, call->span, call->span}};
  bool both = f && f->ast->params->items.n > 1;
  Value *r = f ? call_function(x, f, both ? 2 : 1, both ? args : args + 1, call->span) : NULL;
  x->module = module;
  *result = r;
  return r && prepared(x, call, r, g);
}

/* ---- rows that have no gradient ---- */

/* Which rows of the gradient have something in them, [rows]. */
static Node *rows_touched(Elaborator *x, Node *gradient) {
  Var *vars[MAX_RANK];
  Form *at[MAX_RANK];
  for (int i = 0; i < gradient->rank; i++) {
    vars[i] = var_fresh(x->ir, gradient->shape[i]);
    at[i] = form_var(x->ir, vars[i]);
  }
  Expr *some = expr_op2(x->ir, OP_ne, expr_read(x->ir, gradient, at), expr_real(x->ir, gradient->dtype, 0));
  return graph_comp(x->graph, 1, vars, gradient->rank > 1 ? RED_any : RED_none, gradient->rank - 1, vars + 1, some,
                    gradient->span);
}

/* `now` in these rows, `before` in the others. */
static Value *in_rows(Elaborator *x, Node *rows, const Value *now, const Value *before) {
  if (!now->rank || now->shape[0] != rows->shape[0]) return (Value *)now;
  Var *vars[MAX_RANK];
  Form *at[MAX_RANK];
  for (int i = 0; i < now->rank; i++) {
    vars[i] = var_fresh(x->ir, now->shape[i]);
    at[i] = form_var(x->ir, vars[i]);
  }
  Expr *chosen =
      expr_select(x->ir, expr_read(x->ir, rows, at), value_element(x, now, at), value_element(x, before, at));
  return value_node(x, graph_comp(x->graph, now->rank, vars, RED_none, 0, NULL, chosen, now->span), now->span);
}

/* `sparse = true` in the optimizer's block. */
static bool is_sparse(Elaborator *x, const Instance *o) {
  const AstList *body = &o->model->ast->body->items;
  for (int i = 0; i < body->n; i++) {
    const Ast *a = body->at[i];
    if (!is_sparse_setting(a)) continue;
    Value *v = elaborate_expr(x, o->env, a->value);
    if (v && v->kind == VALUE_FLAG) return v->truth;
    if (v)
      diag_add(x->diags, DIAG_WRONG_TYPE, a->value->span, "`sparse` is true or false, and this is %s",
               value_type_text(x, v));
  }
  return false;
}

/* After the update: what it changed in rows without a gradient is as before. */
static Value *keep_rows(Elaborator *x, const Instance *o, Node *gradient, Value **before, Value *now) {
  Node *rows = rows_touched(x, gradient);
  for (int i = 0; i < o->members.n; i++) {
    int tensor = o->members.at[i].tensor;
    Value *state = tensor_current(x, tensor, o->members.at[i].ast->span);
    if (state != before[i + 1]) tensor_assign(x, tensor, in_rows(x, rows, state, before[i + 1]));
  }
  return in_rows(x, rows, now, before[0]);
}

/* ---- one parameter ---- */

/* The parameter's next value; NULL after a message. */
static Value *updated(Elaborator *x, const OptimizerCall *call, const Instance *o, Function *update,
                      const Update *u) {
  Span at = call->span;
  CallArg *args = NEW_ARRAY(x->arena, CallArg, u->nmore + 2);
  Value **before = NEW_ARRAY(x->arena, Value *, o->members.n + 1);
  before[0] = tensor_current(x, u->tensor, at);
  for (int i = 0; i < o->members.n; i++) before[i + 1] = tensor_current(x, o->members.at[i].tensor, at);
  args[0] = (CallArg){NULL, before[0], at, at};
  args[1] = (CallArg){NULL, value_node(x, u->gradient, at), at, at};
  for (int i = 0; i < u->nmore; i++) args[i + 2] = (CallArg){NULL, u->more[i], at, at};
  int said = x->diags->all.n;
  Value *w = call_function(x, update, u->nmore + 2, args, at);
  Diag *d = !w && x->diags->all.n > said ? x->diags->all.at[said] : NULL;
  if (d && !d->help && (d->code == DIAG_WRONG_RANK || d->code == DIAG_WRONG_SHAPE))
    diag_help(d, "this is the update of `%s`, %s; each part of a model can have an optimizer of its own",
              x->program->tensors.at[u->tensor].name, value_type_text(x, before[0]));
  if (!w) return NULL;
  if (values_alike(w, before[0]))
    return is_sparse(x, o) && u->gradient->rank ? keep_rows(x, o, u->gradient, before, w) : w;
  diag_add(x->diags, DIAG_OPTIMIZER, at, "the update of `%s` gives %s for %s", call->model->name,
           value_type_text(x, w), value_type_text(x, before[0]));
  return NULL;
}

bool update_param(Elaborator *x, OptimizerCall *call, const Update *u) {
  Instance *o = NEW(x->arena, Instance);
  o->model = call->model;
  const ProgramTensor p = x->program->tensors.at[u->tensor];
  o->path = str_internf(x->strings, "opt/%s", p.name);
  Module *module = x->module;
  x->module = call->model->module;
  int n, slot;
  CallArg *own = own_arguments(x, call, &p, &n);
  Value *step = update_number(x, u, &slot, call->span);
  o->env = optimizer_names(x, call, o, step, n, own);
  bool ok = o->env && optimizer_states(x, o, &p, u->nth, call->model->ast->body);
  if (ok) o->env = with_functions(x, call, o->env);
  Function *update = ok ? optimizer_function(x, call, o->env, "update") : NULL;
  if (ok && !update)
    diag_add(x->diags, DIAG_OPTIMIZER, call->model->ast->name_span, "the optimizer `%s` has no `fn update(w, g)`",
             call->model->name);
  Value *w = update ? updated(x, call, o, update, u) : NULL;
  /* What is computed from it later is no function of what the update was computed from. */
  if (w) w = elaborate_scalar_row(x, OP_stop, 1, &w, call->span);
  if (w) tensor_assign(x, u->tensor, value_node(x, value_whole(x, w), call->span));
  if (w && slot >= 0) tensor_assign(x, slot, step);
  x->module = module;
  return w != NULL;
}
