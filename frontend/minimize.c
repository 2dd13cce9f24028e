/* minimize.c - `minimize L over M with O`: the parameters of each group, the derivatives, the updates. */
#include "frontend/training.h"

#include <string.h>

#include "ir/derive.h"

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
  value_params(x, v, out);
  if (out->n > before) return true;
  Diag *d = diag_add(x->diags, DIAG_NO_PARAMS, a->span, "there is no trained parameter in this: it is %s",
                     value_type_text(x, v));
  bool instance = v->kind == VALUE_INSTANCE;
  diag_help(d, instance && v->instance->frozen ? "it was made `frozen`"
               : instance ? "what is learnt is declared in its model, `param name: type ~ distribution`"
                          : "name a model's instance, a part of it, or a parameter");
  return false;
}

static Str loss_name(Elaborator *x, Ast *value) {
  return value->kind == AST_NAME ? value->name : str_internz(x->strings, "loss");
}

/* ---- what a parameter was before ---- */

typedef struct Loss {
  Node *node;
  int nnodes;    /* of the graph when it was made: it depends on no later one */
  bool *sources; /* by node id: it depends on the node */
} Loss;

static bool depends(const Loss *l, const Node *n) { return n->id < l->nnodes && l->sources[n->id]; }

/* The value of the parameter that the loss was computed from: the newest that it depends on. */
static Node *version_in(Elaborator *x, const TrainWalk *w, const Loss *loss, int tensor, Span at) {
  Node *now = value_whole(x, tensor_current(x, tensor, at));
  if (depends(loss, now)) return now;
  for (int i = w->versions.n - 1; i >= 0; i--)
    if (w->versions.at[i].tensor == tensor && depends(loss, w->versions.at[i].node)) return w->versions.at[i].node;
  return now;
}

static void remember_version(Elaborator *x, TrainWalk *w, int tensor, Node *before, Span at) {
  bool known = false;
  for (int i = 0; i < w->versions.n; i++) {
    Version *v = &w->versions.at[i];
    if (v->tensor != tensor || v->node != before || v->apart) continue;
    v->env = w->env;
    v->span = at;
    known = true;
  }
  if (!known)
    vec_push(x->arena, &w->versions, (Version){.tensor = tensor, .node = before, .env = w->env, .span = at});
  vec_push(x->arena, &w->versions,
           (Version){.tensor = tensor, .node = value_whole(x, tensor_current(x, tensor, at))});
}

typedef struct Cone { /* of one node's operands, where updates end it */
  const TrainWalk *walk;
  bool *in, *stale; /* by node id */
  bool found, changed;
} Cone;

/* Made by an update: what it was computed from is no matter. */
static bool is_update(const TrainWalk *w, const Node *n) {
  for (int i = 0; i < w->versions.n; i++)
    if (w->versions.at[i].node == n) return n->kind != NODE_param;
  return false;
}

static void enter_cone(void *cx, Node *operand) {
  Cone *c = cx;
  c->changed = c->changed || !c->in[operand->id];
  c->in[operand->id] = true;
}

static void find_stale(void *cx, Node *operand) {
  Cone *c = cx;
  c->found = c->found || c->stale[operand->id];
}

/* Marks what the loss is computed from, and what of it is computed from `old`. */
static void fill_cone(Graph *g, Cone *c, const Node *loss, const Node *old) {
  c->in[loss->id] = true;
  do {
    c->changed = false;
    for (int i = g->nodes.n - 1; i >= 0; i--)
      if (c->in[i] && !is_update(c->walk, g->nodes.at[i])) node_operands(g->nodes.at[i], enter_cone, c);
  } while (c->changed);
  c->stale[old->id] = c->in[old->id];
  do {
    c->changed = false;
    for (int i = 0; i < g->nodes.n; i++) {
      c->found = false;
      if (c->in[i] && !c->stale[i] && !is_update(c->walk, g->nodes.at[i]))
        node_operands(g->nodes.at[i], find_stale, c);
      c->changed = c->changed || c->found;
      c->stale[i] = c->stale[i] || c->found;
    }
  } while (c->changed);
}

static void read_stale(void *cx, Expr *e) {
  if (e->kind == EXPR_READ) find_stale(cx, e->node);
}

/* The newest name before the update that holds a value of it. */
static Env *stale_name(Cone *c, Env *e) {
  for (; e; e = e->up) {
    const Value *v = e->value;
    c->found = false;
    if (!v || v->kind != VALUE_TENSOR || (!v->node && !v->expr)) continue;
    if (v->rank) find_stale(c, v->node);
    else expr_visit(v->expr, read_stale, c);
    if (c->found) return e;
  }
  return NULL;
}

/* Warns of a loss that is computed from a value of a parameter before an earlier `minimize` changed it. */
static void warn_stale(Elaborator *x, const TrainWalk *w, const Loss *loss, Ast *a) {
  for (int i = 0; i < w->versions.n; i++) {
    const Version *v = &w->versions.at[i];
    if (!v->env || v->apart || !depends(loss, v->node)) continue;
    Arena *scratch = arena_new();
    Cone c = {.walk = w,
              .in = NEW_ARRAY(scratch, bool, x->graph->nodes.n),
              .stale = NEW_ARRAY(scratch, bool, x->graph->nodes.n)};
    fill_cone(x->graph, &c, loss->node, v->node);
    Env *name = c.stale[loss->node->id] ? stale_name(&c, v->env) : NULL;
    arena_free(scratch);
    if (!name) continue;
    Diag *d = diag_add(x->diags, DIAG_STALE, a->value->span, "`%s` was computed before `%s` was changed", name->name,
                       x->program->tensors.at[v->tensor].name);
    diag_place(d, v->span, "changed here");
    if (name->span.source) diag_place(d, name->span, "computed here");
    diag_help(d, "define `%s` after that `minimize`", name->name);
    return;
  }
}

/* ---- minimize ---- */

/* Whether the loss is computed from the node, in ways that no derivative sees too. */
static bool reads(Elaborator *x, const TrainWalk *w, const Loss *loss, const Node *n) {
  Arena *scratch = arena_new();
  Cone c = {.walk = w,
            .in = NEW_ARRAY(scratch, bool, x->graph->nodes.n),
            .stale = NEW_ARRAY(scratch, bool, x->graph->nodes.n)};
  fill_cone(x->graph, &c, loss->node, n);
  bool in = c.in[n->id];
  arena_free(scratch);
  return in;
}

static bool reaches(Elaborator *x, const TrainWalk *w, const Loss *loss, int tensor, Ast *at) {
  const ProgramTensor *p = &x->program->tensors.at[tensor];
  const Node *source = tensor_source(x, tensor);
  if (source && depends(loss, version_in(x, w, loss, tensor, at->span))) return true;
  Diag *d = diag_add(x->diags, DIAG_NO_EFFECT, at->span, "`%s` cannot change the loss", p->name);
  diag_place(d, p->span, "declared here");
  if (!source || !reads(x, w, loss, version_in(x, w, loss, tensor, at->span)))
    diag_note(d, "the loss does not read it");
  else diag_note(d, "comparisons, argmax, floor, stop and integer casts cut the derivative");
  diag_help(d, "use it in the loss, or leave it out of `over`");
  return false;
}

bool name_output(Elaborator *x, Str name, Node *n, Span at, const char *help) {
  if (!strcmp(name, "step") || !strcmp(name, "epoch") || !strcmp(name, "event") || !strncmp(name, "val_", 4)) {
    Diag *d = diag_add(x->diags, DIAG_TWICE, at, "`%s` is another value of a run's log", name);
    diag_help(d, "%s", help);
    return false;
  }
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

typedef struct Group { /* parameters, their derivatives, and what updates them */
  IntList params;
  Vec(Node *) gradients;
  IntList sums; /* accumulate: where the parameters' gradients since their last update are added up */
  OptimizerCall call;
  int nmore;
  Value **more; /* what its `prepare` gave beside the gradients: a number, or one for each parameter */
} Group;

typedef struct Minimize {
  Ast *ast;
  Vec(Group) groups;
} Minimize;

/* How many optimizers of this program have changed the parameter before. */
static int changes_before(const TrainWalk *w, int tensor) {
  int n = 0;
  for (int i = 0; i < w->versions.n; i++) n += w->versions.at[i].tensor == tensor && w->versions.at[i].env != NULL;
  return n;
}

/* ---- the gradient as a whole ---- */

static Expr *squares(Elaborator *x, Node *gradient) {
  Var *vars[8];
  Form *at[8];
  for (int i = 0; i < gradient->rank; i++) {
    vars[i] = var_fresh(x->ir, gradient->shape[i]);
    at[i] = form_var(x->ir, vars[i]);
  }
  Expr *g = expr_read(x->ir, gradient, at);
  Node *sum =
      graph_comp(x->graph, 0, NULL, RED_sum, gradient->rank, vars, expr_op2(x->ir, OP_mul, g, g), gradient->span);
  return expr_cast(x->ir, float_default(x), expr_read(x->ir, sum, NULL));
}

static Node *scaled(Elaborator *x, Node *gradient, Expr *by) {
  Value *factors[2] = {value_node(x, gradient, gradient->span),
                       value_scalar(x, expr_cast(x->ir, gradient->dtype, by), gradient->span)};
  return value_whole(x, elaborate_scalar_row(x, OP_mul, 2, factors, gradient->span));
}

/* `clip_norm`: a gradient that is longer, over all parameters of the `minimize`, is made so long. */
static void clip(Elaborator *x, double most, Minimize *m) {
  DType t = float_default(x);
  Expr *total = expr_real(x->ir, t, 0);
  for (int i = 0; i < m->groups.n; i++)
    for (int k = 0; k < m->groups.at[i].gradients.n; k++)
      total = expr_op2(x->ir, OP_add, total, squares(x, m->groups.at[i].gradients.at[k]));
  Expr *length = expr_op2(x->ir, OP_add, expr_op1(x->ir, OP_sqrt, total), expr_real(x->ir, t, 1e-6));
  Expr *by =
      expr_op2(x->ir, OP_min, expr_op2(x->ir, OP_div, expr_real(x->ir, t, most), length), expr_real(x->ir, t, 1));
  Node *scale = graph_comp(x->graph, 0, NULL, RED_none, 0, NULL, by, m->ast->span);
  for (int i = 0; i < m->groups.n; i++)
    for (int k = 0; k < m->groups.at[i].gradients.n; k++) {
      Node **g = &m->groups.at[i].gradients.at[k];
      *g = scaled(x, *g, expr_read(x->ir, scale, NULL));
    }
}

static void add_sums(Elaborator *x, TrainWalk *w, Minimize *m) {
  double part = 1 / (double)w->train->accumulate;
  for (int i = 0; i < m->groups.n; i++)
    for (int k = 0; k < m->groups.at[i].gradients.n; k++) {
      Node **g = &m->groups.at[i].gradients.at[k];
      int tensor = m->groups.at[i].params.at[k];
      Type t = {.dtype = (*g)->dtype, .rank = (*g)->rank, .shape = (*g)->shape};
      int slot = optimizer_slot(x, tensor, "$sum", changes_before(w, tensor), &t, m->ast->span);
      vec_push(x->arena, &m->groups.at[i].sums, slot);
      Value *terms[2] = {tensor_current(x, slot, m->ast->span),
                         value_node(x, scaled(x, *g, expr_real(x->ir, (*g)->dtype, part)), m->ast->span)};
      *g = value_whole(x, elaborate_scalar_row(x, OP_add, 2, terms, m->ast->span));
    }
}

/* ---- updates ---- */

static Update update_of(const TrainWalk *w, const Group *g, int k) {
  int tensor = g->params.at[k];
  return (Update){
      .tensor = tensor, .gradient = g->gradients.at[k], .nth = changes_before(w, tensor), .counts = w->conditional};
}

/* The group's parameters, or their gradients, as one value. */
static Value *group_structure(Elaborator *x, const Group *g, bool gradients, Span at) {
  Value *all = value_new(x, VALUE_STRUCTURE, at);
  all->of = value_new(x, VALUE_ARRAY, at);
  all->n = g->params.n;
  all->tensors = g->params.at;
  all->names = NEW_ARRAY(x->arena, Str, all->n);
  all->items = NEW_ARRAY(x->arena, Value *, all->n);
  for (int k = 0; k < all->n; k++) {
    all->names[k] = x->program->tensors.at[g->params.at[k]].name;
    all->items[k] = gradients ? value_node(x, g->gradients.at[k], at) : tensor_current(x, g->params.at[k], at);
  }
  return all;
}

/* Lets the group's optimizer see all of its gradients; false after a message. */
static bool prepare(Elaborator *x, const TrainWalk *w, Group *g, Span at) {
  Value *result, *w0 = group_structure(x, g, false, at), *g0 = group_structure(x, g, true, at);
  Update first = update_of(w, g, 0);
  if (!optimizer_prepare(x, &g->call, w0, g0, &first, &result)) return false;
  if (!result) return true;
  bool several = result->kind == VALUE_TUPLE;
  Value *gradients = structure_of(x, several ? result->items[0] : result, at);
  for (int k = 0; k < g->params.n; k++) g->gradients.at[k] = value_whole(x, gradients->items[k]);
  g->nmore = several ? result->n - 1 : 0;
  g->more = several ? result->items + 1 : NULL;
  return true;
}

static bool update(Elaborator *x, TrainWalk *w, Group *g, int k, Span at) {
  Update u = update_of(w, g, k);
  u.nmore = g->nmore;
  u.more = NEW_ARRAY(x->arena, Value *, g->nmore + 1);
  for (int i = 0; i < g->nmore; i++)
    u.more[i] = value_is_structure(g->more[i]) ? structure_of(x, g->more[i], at)->items[k] : g->more[i];
  Node *before = value_whole(x, tensor_current(x, u.tensor, at));
  if (!update_param(x, &g->call, &u)) return false;
  remember_version(x, w, u.tensor, before, at);
  return true;
}

static void update_all(Elaborator *x, TrainWalk *w, void *cx) {
  Minimize *m = cx;
  if (w->train->clip_norm > 0) clip(x, w->train->clip_norm, m);
  for (int i = 0; i < m->groups.n; i++) {
    Group *g = &m->groups.at[i];
    if (!prepare(x, w, g, m->ast->span)) return;
    for (int k = 0; k < g->params.n; k++) {
      if (!update(x, w, g, k, m->ast->span)) return;
      if (k < g->sums.n)
        tensor_assign(x, g->sums.at[k], value_zeros(x, tensor_current(x, g->sums.at[k], m->ast->span)));
    }
  }
}

static void keep_sums(Elaborator *x, TrainWalk *w, void *cx) {
  (void)w;
  const Minimize *m = cx;
  for (int i = 0; i < m->groups.n; i++)
    for (int k = 0; k < m->groups.at[i].params.n; k++) {
      const Group *g = &m->groups.at[i];
      tensor_assign(x, g->sums.at[k], value_node(x, g->gradients.at[k], m->ast->span));
    }
}

/* `accumulate`: at each n-th step with the mean of n steps' gradients. */
static void update_sometimes(Elaborator *x, TrainWalk *w, Minimize *m) {
  Expr *step = expr_read(x->ir, graph_named_input(x, "$step", DT_i32, 0, NULL, m->ast->span), NULL);
  Expr *rest = expr_op2(x->ir, OP_mod, step, expr_int(x->ir, DT_i32, w->train->accumulate));
  Value *due = value_scalar(x, expr_op2(x->ir, OP_eq, rest, expr_int(x->ir, DT_i32, 0)), m->ast->span);
  add_sums(x, w, m);
  Minimize sums = *m; /* clipping changes the gradients of the other side */
  memset(&sums.groups, 0, sizeof sums.groups);
  for (int i = 0; i < m->groups.n; i++) {
    Group g = m->groups.at[i];
    memset(&g.gradients, 0, sizeof g.gradients);
    for (int k = 0; k < m->groups.at[i].gradients.n; k++)
      vec_push(x->arena, &g.gradients, m->groups.at[i].gradients.at[k]);
    vec_push(x->arena, &sums.groups, g);
  }
  choose_in_training(x, w, due, update_all, m, keep_sums, &sums, m->ast->span);
}

/* ---- the statement ---- */

/* The loss, under its name; NULL: a message was given. */
static Node *loss_node(Elaborator *x, TrainWalk *w, Ast *a) {
  Value *v = elaborate_expr(x, w->env, a->value);
  if (!v) return NULL;
  v = value_runtime(x, v);
  if (v->kind != VALUE_TENSOR || v->rank || !dtype_is_float(v->dtype)) {
    Diag *d =
        diag_add(x->diags, DIAG_LOSS, a->value->span, "a loss is one float, and this is %s", value_type_text(x, v));
    if (v->kind == VALUE_TENSOR && v->rank && dtype_is_float(v->dtype)) suggest_call(x, d, a->value->span, "mean");
    return NULL;
  }
  Node *loss = value_whole(x, v);
  Str name = loss_name(x, a->value);
  if (w->mode == MODE_STEP) vec_push(x->arena, &w->train->losses, name);
  if (w->mode != MODE_UPDATE &&
      !name_output(x, name, measured_sometimes(x, w, name, loss, a->value->span), a->value->span,
                   "a loss carries its variable's name: `d_loss = ...`, `minimize d_loss over ...`"))
    return NULL;
  return loss;
}

static bool in_any_group(const Minimize *m, int tensor) {
  for (int i = 0; i < m->groups.n; i++)
    if (in_groups(1, &m->groups.at[i].params, tensor)) return true;
  return false;
}

static bool find_groups(Elaborator *x, TrainWalk *w, const Loss *loss, Minimize *m) {
  const AstList *all = &m->ast->items;
  for (int i = 0; i < all->n; i++) {
    Group g = {0};
    for (int k = 0; k < all->at[i]->items.n; k++) {
      int before = g.params.n;
      if (!group_params(x, w->env, all->at[i]->items.at[k], &g.params)) return false;
      for (int p = before; p < g.params.n; p++)
        if (!reaches(x, w, loss, g.params.at[p], all->at[i]->items.at[k])) return false;
    }
    for (int k = 0; k < g.params.n; k++) {
      if (!in_any_group(m, g.params.at[k])) continue;
      Diag *d = diag_add(x->diags, DIAG_TWICE, all->at[i]->span, "`%s` is in two groups",
                         x->program->tensors.at[g.params.at[k]].name);
      diag_help(d, "each parameter is changed by one optimizer");
      return false;
    }
    if (w->mode != MODE_GRADS && !optimizer_call(x, w->env, all->at[i]->with, &g.call)) return false;
    vec_push(x->arena, &m->groups, g);
  }
  return true;
}

/* All derivatives: before the updates, which change what a parameter is. */
static void find_gradients(Elaborator *x, TrainWalk *w, const Loss *loss, Minimize *m) {
  for (int i = 0; i < m->groups.n; i++)
    for (int k = 0; k < m->groups.at[i].params.n; k++) {
      int tensor = m->groups.at[i].params.at[k];
      Node *now = version_in(x, w, loss, tensor, m->ast->span);
      Node *grad = w->mode == MODE_UPDATE ? gradient_input(x, tensor, now, m->ast->span)
                                          : graph_grad(x->graph, loss->node, now, m->ast->span);
      vec_push(x->arena, &m->groups.at[i].gradients, grad);
      if (w->mode == MODE_GRADS) output_gradient(x, tensor, grad);
    }
}

void minimize(Elaborator *x, TrainWalk *w, Ast *a) {
  Node *node = loss_node(x, w, a);
  if (!node || w->mode == MODE_EVAL) return;
  const Loss loss = {node, x->graph->nodes.n, derive_sources(x->arena, x->graph, node)};
  if (w->mode == MODE_STEP) warn_stale(x, w, &loss, a);
  Minimize m = {.ast = a};
  if (!find_groups(x, w, &loss, &m)) return;
  find_gradients(x, w, &loss, &m);
  if (w->mode == MODE_GRADS) return;
  if (w->train->accumulate > 1) update_sometimes(x, w, &m);
  else update_all(x, w, &m);
}
