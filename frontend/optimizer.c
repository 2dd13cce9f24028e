/* optimizer.c - optimizers: one instance for each parameter that is updated, of which the states are slots
 * `opt/<param>/<slot>`. */
#include "frontend/training.h"

#include <string.h>

/* `opt/<param>/<slot>`; of a parameter's second optimizer `opt/<param>/<slot>.2`. */
static Str slot_name(Elaborator *x, Str param, Str slot, int nth) {
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

/* One parameter's optimizer: an instance of which the states are the slots `opt/<param>/<slot>`. */
static bool optimizer_states(Elaborator *x, Instance *o, const ProgramTensor *p, int nth, Ast *body) {
  bool block = body->kind == AST_BLOCK;
  for (int i = 0; i < (block ? body->items.n : 1); i++) {
    Ast *a = block ? body->items.at[i] : body;
    if (a->kind == AST_FN || a->kind == AST_ERROR) continue;
    if (a->kind == AST_IF) {
      int errors = x->diags->errors;
      Ast *taken = members_taken(x, o->env, a);
      if (x->diags->errors > errors || (taken && !optimizer_states(x, o, p, nth, taken))) return false;
    } else if (a->kind != AST_STATE) {
      diag_add(x->diags, DIAG_STATEMENT_HERE, a->span, "`%s` is no member of an optimizer",
               ast_word((AstKind)a->kind));
      return false;
    } else if (!optimizer_state(x, o, p, nth, a)) {
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
 * has a slot that counts. */
static Value *update_number(Elaborator *x, int param, int nth, bool counts, Span at) {
  if (!counts) return value_node(x, graph_named_input(x, "$step", DT_i32, 0, NULL, at), at);
  int tensor = optimizer_slot(x, param, "$step", nth, &(Type){.dtype = DT_i32}, at);
  Expr *next = expr_op2(x->ir, OP_add, tensor_current(x, tensor, at)->expr, expr_int(x->ir, DT_i32, 1));
  Node *n = graph_comp(x->graph, 0, NULL, RED_none, 0, NULL, next, at);
  tensor_assign(x, tensor, value_node(x, n, at));
  return tensor_current(x, tensor, at);
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

bool update_param(Elaborator *x, OptimizerCall *call, int tensor, Node *grad, int nth, bool counts) {
  Instance *o = NEW(x->arena, Instance);
  o->model = call->model;
  const ProgramTensor p = x->program->tensors.at[tensor];
  o->path = str_internf(x->strings, "opt/%s", p.name);
  Value *self = value_new(x, VALUE_INSTANCE, call->span);
  self->instance = o;
  Module *module = x->module;
  x->module = call->model->module;
  Env *outer = env_bind(x, NULL, str_internz(x->strings, "$self"), self, call->span);
  Value *step = NEW(x->arena, Value);
  *step = *update_number(x, tensor, nth, counts, call->span);
  step->weak = true;
  outer = env_bind(x, outer, str_internz(x->strings, "step"), step, call->span);
  int n;
  CallArg *own = own_arguments(x, call, &p, &n);
  o->env = bind_parameters(x, outer, call->model->ast->params, n, own, call->span, call->model->name);
  bool ok = o->env && optimizer_states(x, o, &p, nth, call->model->ast->body);
  Function *update = ok ? optimizer_update(x, o) : NULL;
  if (update) {
    CallArg args[2] = {{NULL, tensor_current(x, tensor, call->span), call->span, call->span},
                       {NULL, value_node(x, grad, call->span), call->span, call->span}};
    Value *w = call_function(x, update, 2, args, call->span);
    Value *now = tensor_current(x, tensor, call->span);
    bool same = w && w->kind == VALUE_TENSOR && w->dtype == now->dtype && w->rank == now->rank;
    for (int i = 0; same && i < w->rank; i++) same = w->shape[i] == now->shape[i];
    if (w && !same)
      diag_add(x->diags, DIAG_OPTIMIZER, call->span, "the update of `%s` gives %s for %s", call->model->name,
               value_type_text(x, w), value_type_text(x, now));
    if (same) tensor_assign(x, tensor, value_node(x, value_whole(x, w), call->span));
    ok = same;
  }
  x->module = module;
  return ok && update;
}
