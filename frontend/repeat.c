/* repeat.c - `repeat n in N while c { }`: what an entry does until it has enough.
 *
 * It is a scan of N steps (scan.c) in which a turn that is not taken leaves everything as it is: each state goes on
 * with `if goes then next else now`, and what is kept of the turns is 0 from the last one on. A carry counts the
 * turns taken; `goes` is that the condition holds and that all turns before this one were taken. So each example of a
 * batch ends when its own condition says so, and a loop may be left as soon as a step has changed no count: every
 * later one would change nothing either (ir/graph.h, `counts`).
 *
 * A model's state that is read in the body is carried too, and set before the next turn; it is found when first read,
 * however deep in calls. */
#include "frontend/loop.h"

bool repeat_stands_here(Elaborator *x, const Ast *s) {
  if (x->entry || x->generic) return true;
  Diag *d =
      diag_add(x->diags, DIAG_STATEMENT_HERE, s->span, "`repeat` stands in an entry, and in what only entries call");
  diag_help(d, "`scan t in T { }` is the loop that has a derivative");
  say_calls(x, d);
  return false;
}

Repeat *repeat_new(Elaborator *x, Loop *l) {
  Repeat *r = NEW(x->arena, Repeat);
  *r = (Repeat){.up = x->repeat, .loop = l};
  return r;
}

/* What was computed at run time of a file's and a model's names stands on one side of the border only. */
static void cross(Elaborator *x, Repeat *r, int steps) {
  x->repeat = r;
  x->repeats += steps;
  x->assigned++;
}

void repeat_enter(Elaborator *x, Repeat *r) { cross(x, r, 1); }

/* ---- states of models ---- */

static ModelState *state_in(Repeat *r, int tensor) {
  for (int i = 0; i < r->states.n; i++)
    if (r->states.at[i].tensor == tensor) return &r->states.at[i];
  return NULL;
}

/* Before the body is walked on, the state is what the turn begins with. Its first value is given when the loop is
 * closed: what the first value of a loop's state writes, it writes before the loop. */
void repeat_carry_state(Elaborator *x, int tensor, Span at) {
  Repeat *r = x->repeat;
  if (state_in(r, tensor)) return;
  x->repeat = r->up;
  Value *before = tensor_current(x, tensor, at);
  x->repeat = r;
  Node *init = loop_node(x, r->loop, false, before, before->rank, before->shape, at);
  ModelState s = {.tensor = tensor, .before = before};
  s.carry = init ? loop_carry(x, r->loop, init, at) : NULL;
  if (!s.carry) return;
  s.now = loop_row(x, r->loop, s.carry, form_var(x->ir, r->loop->t), at);
  s.now->bound = before->bound;
  vec_push(x->arena, &r->states, s);
  tensor_assign(x, tensor, s.now);
}

void repeat_step_out(Elaborator *x, Repeat *r) {
  cross(x, r->up, -1);
  for (int i = 0; i < r->states.n; i++) {
    ModelState *s = &r->states.at[i];
    s->inside = tensor_assign(x, s->tensor, s->before);
  }
}

void repeat_step_in(Elaborator *x, Repeat *r) {
  for (int i = 0; i < r->states.n; i++) {
    ModelState *s = &r->states.at[i];
    s->before = tensor_assign(x, s->tensor, s->inside);
  }
  cross(x, r, 1);
}

void repeat_begin_turn(Elaborator *x, Repeat *r, int from) {
  for (int i = from; i < r->states.n; i++) tensor_assign(x, r->states.at[i].tensor, r->states.at[i].now);
}

/* One that no turn changes is its first value in every row. */
static bool stays(Elaborator *x, const Loop *l, const ModelState *s, Node *init) {
  Var *vars[MAX_RANK];
  Form *at[MAX_RANK];
  for (int i = 0, k = 0; i < s->carry->rank; i++) {
    vars[i] = var_fresh(x->ir, s->carry->shape[i]);
    if (i != l->axis) at[k++] = form_var(x->ir, vars[i]);
  }
  s->carry->forward =
      graph_comp(x->graph, s->carry->rank, vars, RED_none, 0, NULL, expr_read(x->ir, init, at), s->carry->span);
  return true;
}

static bool close_model_state(Elaborator *x, const Loop *l, const ModelState *s) {
  Span at = s->carry->span;
  const Value *next = tensor_current(x, s->tensor, at);
  Node *init = loop_node(x, l, false, s->before, s->before->rank, s->before->shape, at);
  if (next == s->now) {
    tensor_assign(x, s->tensor, s->before);
    return stays(x, l, s, init);
  }
  bool ok = loop_carries(x, l, s->carry, init, s->now, next, at);
  tensor_assign(x, s->tensor, loop_row(x, l, s->carry, carry_row_last(x->ir, s->carry), at));
  return ok;
}

/* ---- the turns taken ---- */

static Env *states_of(Elaborator *x, const Loop *l, Env *e) {
  for (int i = 0; i < l->states.n; i++)
    e = env_bind(x, e, l->states.at[i].name, l->states.at[i].now, l->states.at[i].span);
  return e;
}

static bool make_count(Elaborator *x, Loop *l, Span at) {
  Repeat *r = l->repeat;
  Value *zero = value_scalar(x, expr_int(x->ir, DT_i32, 0), at);
  r->start = loop_node(x, l, false, zero, 0, NULL, at);
  r->count = r->start ? loop_carry(x, l, r->start, at) : NULL;
  if (!r->count) return false;
  r->count->counts = true;
  r->turns = loop_row(x, l, r->count, form_var(x->ir, l->t), at);
  return true;
}

/* The condition is asked before the turn: models' states are what the turn begins with, and it leaves them so. */
static Value *asked(Elaborator *x, Loop *l, Env *head, Ast *cond) {
  Repeat *r = l->repeat;
  int n = r->states.n;
  for (int i = 0; i < n; i++) {
    ModelState *s = &r->states.at[i];
    s->inside = tensor_assign(x, s->tensor, s->now);
  }
  Value *c = elaborate_expr(x, states_of(x, l, head), cond);
  for (int i = 0; i < r->states.n; i++) {
    ModelState *s = &r->states.at[i];
    bool writes = tensor_assign(x, s->tensor, i < n ? s->inside : s->now) != s->now;
    if (!writes || !c) continue;
    Diag *d = diag_add(x->diags, DIAG_LIFTED_STATE, cond->span, "the condition of a `repeat` writes a model's state");
    diag_help(d, "a turn writes it: call it in the body, and keep what it gives in a state of the loop");
    c = NULL;
  }
  return c ? value_runtime(x, c) : NULL;
}

bool repeat_condition(Elaborator *x, Loop *l, Env *head, Ast *cond) {
  if (!cond) return true;
  Value *c = asked(x, l, head, cond);
  if (!c) return false;
  if (c->kind != VALUE_TENSOR || c->rank || c->dtype != DT_bool) {
    Diag *d = diag_add(x->diags, DIAG_WRONG_TYPE, cond->span, "a loop goes on while a truth holds, and this is %s",
                       value_type_text(x, c));
    if (c->kind == VALUE_TENSOR && c->rank) diag_help(d, "`any` and `all` make one of many");
    return false;
  }
  if (!make_count(x, l, cond->span)) return false;
  Form *missed = form_sub(x->ir, form_var(x->ir, l->t), form_data(x->ir, l->repeat->turns->expr));
  Value *goes = value_scalar(x, expr_and(x->ir, expr_eq0(x->ir, missed), c->expr), cond->span);
  goes = loop_each_turn(x, l, goes, cond->span);
  l->repeat->goes = goes ? goes->expr : NULL;
  return goes != NULL;
}

const Value *repeat_next(Elaborator *x, const Loop *l, const Value *now, const Value *next) {
  const Repeat *r = l->repeat;
  if (!r->goes || next == now) return next;
  Var *vars[MAX_RANK];
  Form *at[MAX_RANK];
  for (int i = 0; i < now->rank; i++) {
    vars[i] = var_fresh(x->ir, now->shape[i]);
    at[i] = form_var(x->ir, vars[i]);
  }
  Expr *e = expr_select(x->ir, r->goes, value_element(x, next, at), value_element(x, now, at));
  return value_tensor(x, now->rank, vars, e, next->span);
}

static bool close_count(Elaborator *x, const Loop *l) {
  Repeat *r = l->repeat;
  Expr *next = expr_op2(x->ir, OP_add, r->turns->expr, expr_cast(x->ir, DT_i32, r->goes));
  Node *n = loop_node(x, l, true, value_scalar(x, next, r->count->span), 0, NULL, r->count->span);
  graph_close(x->graph, r->count, r->start, n);
  r->length = loop_row(x, l, r->count, carry_row_last(x->ir, r->count), r->count->span);
  r->length->bound = dim_add(x->ir, l->steps, dim_const(x->ir, 1));
  return true;
}

bool repeat_leave(Elaborator *x, Loop *l, bool ok) {
  Repeat *r = l->repeat;
  for (int i = 0; ok && i < r->states.n; i++) ok = close_model_state(x, l, &r->states.at[i]);
  if (ok && r->goes) ok = close_count(x, l);
  cross(x, r->up, -1);
  return ok;
}

Expr *repeat_kept(Elaborator *x, const Loop *l, Form *step, Expr *e) {
  const Value *n = l->repeat->length;
  if (!n) return e;
  Form *left = form_sub(x->ir, form_data(x->ir, n->expr), form_add(x->ir, step, form_const(x->ir, 1)));
  Expr *zero = dtype_is_float(e->dtype) ? expr_real(x->ir, e->dtype, 0) : expr_int(x->ir, e->dtype, 0);
  return expr_select(x->ir, expr_ge0(x->ir, left), e, zero);
}
