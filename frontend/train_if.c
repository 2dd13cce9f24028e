/* train_if.c - `if` in the body of a train block. Around what only `train` has it is decided while compiling, as it
 * is around all else. At run time, by `step` or by the data, both sides are stated and what each changes is chosen:
 * either.c. */
#include "frontend/training.h"

/* ---- while compiling ---- */

static bool trains(const Ast *a) {
  if (a->kind == AST_MINIMIZE || a->kind == AST_REPORT || a->kind == AST_STOP_WHEN) return true;
  for (int i = 0; i < ast_child_count(a); i++) {
    const Ast *c = ast_child(a, i);
    if (c && trains(c)) return true;
  }
  return false;
}

static void walk_side(Elaborator *x, TrainWalk *w, void *cx) {
  Ast *side = cx;
  if (side && side->kind == AST_IF) train_statement(x, w, side);
  for (int i = 0; side && side->kind == AST_BLOCK && i < side->items.n; i++) train_statement(x, w, side->items.at[i]);
}

static void choose_training(Elaborator *x, TrainWalk *w, Ast *a, const Value *c) {
  Env *outer = w->env;
  walk_side(x, w, c->truth ? a->then : a->otherwise);
  w->env = leave_block(x, outer, w->env);
}

/* ---- at run time ---- */

typedef struct TrainSide { /* a side, and the steps at which it is chosen */
  TrainWalk *w;
  Value *when;
  TrainSideWalk *walk;
  void *cx;
  const struct TrainSide *other; /* the side that was walked before; NULL */
  int from, to;                  /* of the walk's versions, those that it made */
} TrainSide;

/* What the other side changed is not changed on this one. */
static void set_apart(TrainWalk *w, const TrainSide *other, bool apart) {
  for (int i = other ? other->from : 0; other && i < other->to; i++) w->versions.at[i].apart = apart;
}

/* `c`, where it is to hold or not, and what is asked already. */
static Value *narrower(Elaborator *x, Value *outer, Value *c, bool holds, Span at) {
  if (!holds) c = elaborate_scalar_row(x, OP_not, 1, &c, at);
  if (c && outer) c = elaborate_scalar_row(x, OP_and, 2, (Value *[]){outer, c}, at);
  return c;
}

static bool walk_train_side(Elaborator *x, Env **e, void *cx) {
  TrainSide *s = cx;
  TrainWalk *w = s->w;
  bool outer = w->conditional;
  Value *outer_when = w->when;
  Env *env = w->env;
  w->conditional = true;
  w->when = s->when;
  w->env = *e;
  s->from = w->versions.n;
  set_apart(w, s->other, true);
  s->walk(x, w, s->cx);
  set_apart(w, s->other, false);
  s->to = w->versions.n;
  *e = w->env;
  w->conditional = outer;
  w->when = outer_when;
  w->env = env;
  return true;
}

/* What was chosen is a version of a parameter, by the node that it is. */
static void remember_chosen(Elaborator *x, TrainWalk *w, int n, Value **before, Span at) {
  for (int i = 0; i < x->current.n; i++) {
    Current *c = &x->current.at[i];
    if (!c->value || c->value == (i < n ? before[i] : NULL)) continue;
    Node *chosen = value_whole(x, c->value);
    c->value = value_node(x, chosen, at);
    vec_push(x->arena, &w->versions, (Version){.tensor = tensor_find(x, c->source->name), .node = chosen});
  }
}

void choose_in_training(Elaborator *x, TrainWalk *w, Value *c, TrainSideWalk *then, void *cx,
                        TrainSideWalk *otherwise, void *cx2, Span at) {
  Value *when = value_node(x, value_whole(x, c), c->span);
  TrainSide one = {.w = w, .when = narrower(x, w->when, when, true, at), .walk = then, .cx = cx};
  TrainSide two = {
      .w = w, .when = narrower(x, w->when, when, false, at), .walk = otherwise, .cx = cx2, .other = &one};
  int n = x->current.n;
  Value **before = NEW_ARRAY(x->arena, Value *, n + 1);
  for (int i = 0; i < n; i++) before[i] = x->current.at[i].value;
  choose_at_run_time(x, &w->env, when, &(SideWalk){walk_train_side, &one}, &(SideWalk){walk_train_side, &two}, at);
  remember_chosen(x, w, n, before, at);
}

Node *measured_sometimes(Elaborator *x, const TrainWalk *w, Str name, Node *n, Span at) {
  if (!w->when || w->mode != MODE_STEP) return n;
  graph_output(x->graph, str_internf(x->strings, "$when.%s", name), value_whole(x, w->when));
  Value *zero = value_scalar(x, expr_real(x->ir, n->dtype, 0), at);
  return value_whole(x, value_either(x, w->when, value_node(x, n, at), zero, at));
}

void train_if(Elaborator *x, TrainWalk *w, Ast *a) {
  Value *c = elaborate_expr(x, w->env, a->cond);
  if (!c) return;
  if (c->kind == VALUE_FLAG && trains(a)) choose_training(x, w, a, c);
  else if (c->kind == VALUE_FLAG) train_other(x, w, a);
  else if (is_run_time_truth(x, c, a->cond->span)) {
    w->train->conditional = true;
    choose_in_training(x, w, c, walk_side, a->then, walk_side, a->otherwise, a->span);
  }
}
