/* train_if.c - `if` in the body of a train block. Around what only `train` has it is decided while compiling, as it
 * is around all else. At run time, by `step` or by the data, both sides are stated and what each changes is chosen:
 * the parameters and states, and the names from outside. A side that is not chosen leaves them as they were. What is
 * computed for such choices alone is left out where it is not chosen by the scheduler (ir/choice.h). */
#include "frontend/training.h"

#include <string.h>

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

typedef Vec(Value *) ValueList;
typedef Vec(Next) NextList;

typedef struct Side { /* what a side leaves */
  Env *env;
  ValueList current; /* of x->current; NULL: untouched */
  NextList pending;
} Side;

static Value *either(Elaborator *x, const Value *when, Value *then, Value *otherwise, Span at) {
  return then == otherwise ? then
                           : elaborate_scalar_row(x, OP_select, 3, (Value *[]){(Value *)when, then, otherwise}, at);
}

/* `c`, where it is to hold or not, and what is asked already. */
static Value *narrower(Elaborator *x, Value *outer, Value *c, bool holds, Span at) {
  if (!holds) c = elaborate_scalar_row(x, OP_not, 1, &c, at);
  if (c && outer) c = elaborate_scalar_row(x, OP_and, 2, (Value *[]){outer, c}, at);
  return c;
}

static Side take_side(Elaborator *x, TrainWalk *w, Value *when, SideWalk *walk, void *cx) {
  Side s = {0};
  bool outer = w->conditional;
  Value *outer_when = w->when;
  Env *env = w->env;
  int pending = x->pending.n;
  ValueList before = {0};
  for (int i = 0; i < x->current.n; i++) vec_push(x->arena, &before, x->current.at[i].value);
  w->conditional = true;
  w->when = when;
  walk(x, w, cx);
  w->conditional = outer;
  w->when = outer_when;
  s.env = w->env;
  w->env = env;
  for (int i = 0; i < x->current.n; i++) {
    Value **now = &x->current.at[i].value;
    vec_push(x->arena, &s.current, *now);
    *now = i < before.n ? before.at[i] : NULL;
  }
  for (int i = pending; i < x->pending.n; i++) vec_push(x->arena, &s.pending, x->pending.at[i]);
  x->pending.n = pending;
  return s;
}

static Value *side_current(const Side *s, int i) { return i < s->current.n ? s->current.at[i] : NULL; }

static void choose_current(Elaborator *x, TrainWalk *w, const Value *when, const Side *a, const Side *b, Span at) {
  for (int i = 0; i < x->current.n; i++) {
    Current *c = &x->current.at[i];
    Value *before = c->value ? c->value : value_node(x, c->source, at);
    Value *one = side_current(a, i), *two = side_current(b, i);
    if (one == c->value && two == c->value) continue;
    Value *chosen = either(x, when, one ? one : before, two ? two : before, at);
    if (!chosen) continue;
    Node *n = value_whole(x, chosen);
    x->current.at[i].value = value_node(x, n, at);
    vec_push(x->arena, &w->versions, (Version){.tensor = tensor_find(x, x->current.at[i].source->name), .node = n});
  }
}

static Value *side_next(const Elaborator *x, const Side *s, const InstanceMember *state) {
  for (int i = 0; i < s->pending.n; i++)
    if (same_state(x, s->pending.at[i].state, state)) return s->pending.at[i].value;
  return NULL;
}

static void choose_next(Elaborator *x, const Value *when, const Side *a, const Side *b) {
  for (int side = 0; side < 2; side++) {
    const NextList *list = side ? &b->pending : &a->pending;
    for (int i = 0; i < list->n; i++) {
      Next n = list->at[i];
      if (side && side_next(x, a, n.state)) continue;
      Value *before = tensor_current(x, n.state->tensor, n.span);
      Value *one = side_next(x, a, n.state), *two = side_next(x, b, n.state);
      n.value = either(x, when, one ? one : before, two ? two : before, n.span);
      if (n.value) vec_push(x->arena, &x->pending, n);
    }
  }
}

static bool one_type(const Value *a, const Value *b) {
  if (a->kind == VALUE_STRUCTURE && b->kind == VALUE_STRUCTURE)
    return true; /* what differs is said where they meet */
  if (!value_is_number(a) || !value_is_number(b)) return false;
  bool same = a->kind != VALUE_TENSOR || b->kind != VALUE_TENSOR || a->rank == b->rank;
  for (int d = 0; same && a->kind == VALUE_TENSOR && b->kind == VALUE_TENSOR && d < a->rank; d++)
    same = a->shape[d] == b->shape[d];
  return same;
}

/* A name that a side defines anew, or both define. */
static Value *choose_name(Elaborator *x, const Value *when, const Env *changed, Value *one, Value *two) {
  if (!one || !two) return NULL;
  if (one_type(one, two)) return either(x, when, one, two, changed->span);
  Diag *d = diag_add(x->diags, DIAG_CHOSEN_NAME, changed->span, "`%s` is %s where the condition holds, else %s",
                     changed->name, value_type_text(x, one), value_type_text(x, two));
  diag_help(d, "give it one type and shape on both sides");
  return NULL;
}

static void choose_names(Elaborator *x, TrainWalk *w, const Value *when, const Side *a, const Side *b) {
  Env *outer = w->env;
  for (int side = 0; side < 2; side++)
    for (Env *e = side ? b->env : a->env; e != outer; e = e->up) {
      Env *one = env_find(a->env, e->name), *two = env_find(b->env, e->name);
      const Env *now = env_find(w->env, e->name);
      bool done = now && now->depth > (outer ? outer->depth : 0);
      if (one && two && !done)
        w->env = env_bind(
            x, w->env, e->name,
            choose_name(x, when, e, value_settled(x, one->value, e->span), value_settled(x, two->value, e->span)),
            e->span);
    }
}

void choose_at_run_time(Elaborator *x, TrainWalk *w, Value *c, SideWalk *then, void *cx, SideWalk *otherwise,
                        void *cx2, Span at) {
  Value *when = value_node(x, value_whole(x, c), c->span);
  Side one = take_side(x, w, narrower(x, w->when, when, true, at), then, cx);
  Side two = take_side(x, w, narrower(x, w->when, when, false, at), otherwise, cx2);
  choose_current(x, w, when, &one, &two, at);
  choose_next(x, when, &one, &two);
  choose_names(x, w, when, &one, &two);
}

Node *measured_sometimes(Elaborator *x, const TrainWalk *w, Str name, Node *n, Span at) {
  if (!w->when || w->mode != MODE_STEP) return n;
  graph_output(x->graph, str_internf(x->strings, "$when.%s", name), value_whole(x, w->when));
  Value *zero = value_scalar(x, expr_real(x->ir, n->dtype, 0), at);
  return value_whole(x, either(x, w->when, value_node(x, n, at), zero, at));
}

void train_if(Elaborator *x, TrainWalk *w, Ast *a) {
  Value *c = elaborate_expr(x, w->env, a->cond), *result = NULL;
  if (!c) return;
  if (c->kind == VALUE_TENSOR && c->dtype == DT_bool && !c->rank) {
    w->train->conditional = true;
    choose_at_run_time(x, w, c, walk_side, a->then, walk_side, a->otherwise, a->span);
  } else if (c->kind == VALUE_FLAG && trains(a)) choose_training(x, w, a, c);
  else if (c->kind != VALUE_FLAG)
    diag_add(x->diags, DIAG_WRONG_TYPE, a->cond->span, "a condition is one truth value, and this is %s",
             value_type_text(x, c));
  else elaborate_statement(x, &w->env, a, &result);
}
