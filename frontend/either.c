/* either.c - `if` that is decided at run time, in the body of a train block (train_if.c) and of a `repeat`, and as a
 * value. Both sides are stated and what each changes is chosen: the parameters and states, the next values of a
 * loop's states, and the names from outside. A side that is not chosen leaves them as they were. What is computed for
 * such choices alone is left out where it is not chosen by the scheduler, outside of loops (ir/choice.h). */
#include "frontend/loop.h"

typedef struct Given { /* a state of the loop, so far in the turn */
  Value *next;
  Span span;
} Given;

typedef struct Side { /* what a side leaves */
  Env *env;
  ValueList current; /* of x->current; NULL: untouched */
  Vec(Next) pending;
  Vec(Given) given; /* of the loop's states */
} Side;

static Value *either(Elaborator *x, Value *when, Value *then, Value *otherwise, Span at) {
  return then == otherwise ? then : value_either(x, when, then, otherwise, at);
}

/* ---- a side ---- */

/* Leaves the models as they were before the side, and puts down what it made of them. */
static void take_current(Elaborator *x, Side *s, const ValueList *before, int carried) {
  for (int i = 0; i < x->current.n; i++) {
    Value **now = &x->current.at[i].value, *was = i < before->n ? before->at[i] : NULL;
    vec_push(x->arena, &s->current, *now);
    if (*now != was) x->assigned++;
    *now = was;
  }
  if (x->repeat) {
    repeat_begin_turn(x, x->repeat, carried);
    x->assigned++;
  }
  for (int i = 0; i < x->current.n; i++)
    if (s->current.at[i] == x->current.at[i].value) s->current.at[i] = NULL;
}

/* The same of the loop's states. */
static void take_given(Elaborator *x, Side *s, const Loop *l, const Side *before) {
  for (int i = 0; l && i < l->states.n; i++) {
    ScanState *state = &l->states.at[i];
    vec_push(x->arena, &s->given, (Given){state->next, state->next_span});
    state->next = i < before->given.n ? before->given.at[i].next : NULL;
  }
}

static Side take_side(Elaborator *x, Env *e, const SideWalk *walk, bool *ok) {
  Side s = {.env = e}, before = {0};
  int pending = x->pending.n, made = x->made.n, carried = x->repeat ? x->repeat->states.n : 0;
  for (int i = 0; i < x->current.n; i++) vec_push(x->arena, &before.current, x->current.at[i].value);
  for (int i = 0; x->loop && i < x->loop->states.n; i++)
    vec_push(x->arena, &before.given, (Given){.next = x->loop->states.at[i].next});
  *ok = walk->walk(x, &s.env, walk->cx) && *ok;
  take_current(x, &s, &before.current, carried);
  take_given(x, &s, x->loop, &before);
  for (int i = pending; i < x->pending.n; i++) vec_push(x->arena, &s.pending, x->pending.at[i]);
  x->pending.n = pending;
  x->made.n = made; /* what was called here may not have been */
  return s;
}

/* ---- what is chosen ---- */

static Value *side_current(const Side *s, int i) { return i < s->current.n ? s->current.at[i] : NULL; }

static void choose_current(Elaborator *x, Value *when, const Side *a, const Side *b, Span at) {
  for (int i = 0; i < x->current.n; i++) {
    Current *c = &x->current.at[i];
    Value *one = side_current(a, i), *two = side_current(b, i);
    if (!one && !two) continue;
    Value *before = c->value ? c->value : value_node(x, c->source, at);
    Value *chosen = either(x, when, one ? one : before, two ? two : before, at);
    if (!chosen) continue;
    c->value = chosen;
    x->assigned++;
  }
}

static Value *side_next(const Elaborator *x, const Side *s, const InstanceMember *state) {
  for (int i = 0; i < s->pending.n; i++)
    if (same_state(x, s->pending.at[i].state, state)) return s->pending.at[i].value;
  return NULL;
}

static void choose_next(Elaborator *x, Value *when, const Side *a, const Side *b) {
  for (int side = 0; side < 2; side++) {
    const Side *s = side ? b : a;
    for (int i = 0; i < s->pending.n; i++) {
      Next n = s->pending.at[i];
      if (side && side_next(x, a, n.state)) continue;
      Value *before = tensor_current(x, n.state->tensor, n.span);
      Value *one = side_next(x, a, n.state), *two = side_next(x, b, n.state);
      n.value = either(x, when, one ? one : before, two ? two : before, n.span);
      if (n.value) vec_push(x->arena, &x->pending, n);
    }
  }
}

static void refuse_state(Elaborator *x, Env **e, ScanState *s) {
  *e = env_bind(x, *e, s->name, NULL, s->span);
  if (!s->now) return; /* a message was given */
  s->now = NULL;
  Diag *d = diag_add(x->diags, DIAG_STATEMENT_HERE, s->span, "a `state` does not depend on a condition at run time");
  diag_help(d, "declare it above the `if`: it is there in every turn, and what a side gives is its next value");
}

/* Of the loop's states; those from `old` on are of the sides. */
static void choose_given(Elaborator *x, Env **e, Value *when, int old, const Side *a, const Side *b) {
  for (int i = 0; x->loop && i < x->loop->states.n; i++) {
    ScanState *s = &x->loop->states.at[i];
    if (i >= old) {
      refuse_state(x, e, s);
      continue;
    }
    Given one = a->given.at[i], two = b->given.at[i];
    if (one.next == s->next && two.next == s->next) continue;
    s->next_span = one.next ? one.span : two.span;
    s->next = either(x, when, one.next ? one.next : s->now, two.next ? two.next : s->now, s->next_span);
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
static Value *choose_name(Elaborator *x, Value *when, const Env *changed, const Env *a, const Env *b) {
  Value *one = value_settled(x, a->value, changed->span), *two = value_settled(x, b->value, changed->span);
  if (!one || !two) return NULL;
  if (one != two && one->kind == VALUE_FLAG) one = value_runtime(x, one);
  if (one != two && two->kind == VALUE_FLAG) two = value_runtime(x, two);
  if (one == two || one_type(one, two)) return either(x, when, one, two, changed->span);
  Diag *d = diag_add(x->diags, DIAG_CHOSEN_NAME, changed->span, "`%s` is %s where the condition holds, else %s",
                     changed->name, value_type_text(x, one), value_type_text(x, two));
  diag_help(d, "give it one type and shape on both sides");
  return NULL;
}

/* What both sides keep of a turn, the kept one of the side that is chosen: at one place, which its index says. NULL
 * after a message. */
static const Kept *choose_kept(Elaborator *x, Value *when, const Env *kept, const Env *a, const Env *b) {
  if ((a && !a->value) || (b && !b->value)) return NULL; /* a mistake was reported where it is kept */
  const Kept *one = a && a->reach == REACH_KEPT ? loop_kept(x->loop, a) : NULL;
  const Kept *two = b && b->reach == REACH_KEPT ? loop_kept(x->loop, b) : NULL;
  if (one && two && one->position == two->position && kept_backwards(x, one) == kept_backwards(x, two)) {
    Kept k = *one;
    k.value = choose_name(x, when, kept, a, b);
    vec_push(x->arena, &x->loop->kept, k);
    return k.value ? &x->loop->kept.at[x->loop->kept.n - 1] : NULL;
  }
  Diag *d = diag_add(x->diags, DIAG_LOOP_KEEPS, kept->span,
                     one && two ? "`%s` is kept at another place on each side" : "`%s` is kept on one side only",
                     kept->name);
  diag_help(d, "keep it once, below the `if`, or alike on both sides: every turn that is taken keeps something");
  return NULL;
}

static void choose_names(Elaborator *x, Env **e, Value *when, const Side *a, const Side *b) {
  Env *outer = *e;
  for (int side = 0; side < 2; side++)
    for (Env *n = side ? b->env : a->env; n != outer; n = n->up) {
      Env *one = env_find(a->env, n->name), *two = env_find(b->env, n->name);
      const Env *now = env_find(*e, n->name);
      bool done = now && now->depth > (outer ? outer->depth : 0);
      if (done) continue;
      if (n->reach == REACH_KEPT) {
        const Kept *k = choose_kept(x, when, n, one, two);
        *e = env_bind(x, *e, n->name, k ? k->value : NULL, n->span);
        (*e)->reach = k ? REACH_KEPT : REACH_ALL;
      } else if (one && two) *e = env_bind(x, *e, n->name, choose_name(x, when, n, one, two), n->span);
    }
}

bool choose_at_run_time(Elaborator *x, Env **e, Value *when, const SideWalk *then, const SideWalk *otherwise,
                        Span at) {
  bool ok = true;
  int states = x->loop ? x->loop->states.n : 0;
  Side one = take_side(x, *e, then, &ok);
  Side two = take_side(x, *e, otherwise, &ok);
  choose_current(x, when, &one, &two, at);
  choose_next(x, when, &one, &two);
  choose_names(x, e, when, &one, &two);
  choose_given(x, e, when, states, &one, &two);
  return ok;
}

/* ---- the statement in a repeat ---- */

static bool walk_branch(Elaborator *x, Env **e, void *cx) {
  Ast *side = cx;
  Value *result = NULL; /* `return` in a loop is an error that was reported */
  if (!side) return true;
  return side->kind == AST_IF ? elaborate_statement(x, e, side, &result) : elaborate_block(x, e, side, &result);
}

bool is_run_time_truth(Elaborator *x, const Value *c, Span at) {
  if (c->kind == VALUE_TENSOR && c->dtype == DT_bool && !c->rank) return true;
  Diag *d = diag_add(x->diags, DIAG_WRONG_TYPE, at, "a condition is one truth value, and this is %s",
                     value_type_text(x, c));
  if (c->kind != VALUE_TENSOR) return false;
  diag_help(d, c->dtype == DT_bool ? "`any` and `all` make one of many" : "compare it with something");
  return false;
}

bool in_repeat(const Elaborator *x) { return x->loop && x->loop->repeat; }

bool repeat_if(Elaborator *x, Env **e, const Ast *s, const Value *c) {
  Value *when = is_run_time_truth(x, c, s->cond->span) ? loop_each_turn(x, x->loop, c, s->cond->span) : NULL;
  if (!when) return false;
  return choose_at_run_time(x, e, when, &(SideWalk){walk_branch, s->then}, &(SideWalk){walk_branch, s->otherwise},
                            s->span);
}
