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
  bool frozen = v->kind == VALUE_INSTANCE && v->instance->frozen;
  diag_help(d, frozen ? "it was made `frozen`" : "name a model's instance, a part of it, or a parameter");
  return false;
}

static Str loss_name(Elaborator *x, Ast *value) {
  return value->kind == AST_NAME ? value->name : str_internz(x->strings, "loss");
}

/* ---- what a parameter was before ---- */

/* The value of the parameter that the loss was computed from: the newest that it depends on. */
static Node *version_in(Elaborator *x, const TrainWalk *w, Node *loss, int tensor, Span at) {
  Node *now = value_whole(x, tensor_current(x, tensor, at));
  if (derive_depends(x->graph, loss, now)) return now;
  for (int i = w->versions.n - 1; i >= 0; i--)
    if (w->versions.at[i].tensor == tensor && derive_depends(x->graph, loss, w->versions.at[i].node))
      return w->versions.at[i].node;
  return now;
}

static void remember_version(Elaborator *x, TrainWalk *w, int tensor, Node *before, Span at) {
  bool known = false;
  for (int i = 0; i < w->versions.n; i++) {
    Version *v = &w->versions.at[i];
    if (v->tensor != tensor || v->node != before) continue;
    v->env = w->env;
    v->span = at;
    known = true;
  }
  if (!known) vec_push(x->arena, &w->versions, (Version){tensor, before, w->env, at});
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
static void warn_stale(Elaborator *x, const TrainWalk *w, Node *loss, Ast *a) {
  for (int i = 0; i < w->versions.n; i++) {
    const Version *v = &w->versions.at[i];
    if (!v->env || !derive_depends(x->graph, loss, v->node)) continue;
    Arena *scratch = arena_new();
    Cone c = {.walk = w,
              .in = NEW_ARRAY(scratch, bool, x->graph->nodes.n),
              .stale = NEW_ARRAY(scratch, bool, x->graph->nodes.n)};
    fill_cone(x->graph, &c, loss, v->node);
    Env *name = c.stale[loss->id] ? stale_name(&c, v->env) : NULL;
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

bool name_output(Elaborator *x, Str name, Node *n, Span at, const char *help) {
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

static bool update(Elaborator *x, TrainWalk *w, OptimizerCall *call, int tensor, Node *gradient, Span at) {
  Node *before = value_whole(x, tensor_current(x, tensor, at));
  int nth = 0;
  for (int i = 0; i < w->versions.n; i++) nth += w->versions.at[i].tensor == tensor && w->versions.at[i].env != NULL;
  if (!update_param(x, call, tensor, gradient, nth, w->conditional)) return false;
  remember_version(x, w, tensor, before, at);
  return true;
}

void minimize(Elaborator *x, TrainWalk *w, Ast *a) {
  Value *v = elaborate_expr(x, w->env, a->value);
  if (!v) return;
  v = value_runtime(x, v);
  if (v->kind != VALUE_TENSOR || v->rank || !dtype_is_float(v->dtype)) {
    Diag *d =
        diag_add(x->diags, DIAG_LOSS, a->value->span, "a loss is one float, and this is %s", value_type_text(x, v));
    if (v->kind == VALUE_TENSOR && v->rank) suggest_call(x, d, a->value->span, "mean");
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
  if (w->mode == MODE_STEP) warn_stale(x, w, loss, a);
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
      Node *now = version_in(x, w, loss, tensor, a->span);
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
      else if (!update(x, w, &call, tensor, grads.at[g], a->span)) return;
    }
  }
}
