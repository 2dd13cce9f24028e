/* scan.c - `scan t in T { }`: a loop with states.
 *
 * The body is walked once, with t as an index on the stack, below all others: so every value that depends on t gets
 * the step as its first dimension, and what does not stands before the loop. A state is a carry, with a copy for each
 * index on the stack. ir/graph.h says what such a system of values means; which of them the loop has to compute one
 * after the other is found there. */
#include "frontend/value.h"

#include "ir/solve.h"

#include <string.h>

typedef struct ScanState {
  Str name;
  Span span, next_span;
  Node *carry, *init;
  Value *now; /* in the body: the row at t */
  Value *next;
} ScanState;

typedef struct Kept { /* y[.., t, ..] = value */
  Str name;
  Span span;
  Value *value; /* at step t, without the dimension of steps */
  int position; /* of that dimension */
  Form *step;   /* the step that is kept at index `at`, a Var of its own */
  Var *at;
} Kept;

struct Loop {
  struct Loop *up; /* the scan whose body this one stands in */
  Env *outer;
  Str index;
  Var *t;
  Dim *steps;
  Span span;
  Vec(ScanState) states;
  Vec(Kept) kept;
};

/* ---- the step on the stack: after those of the loops around, before all else ---- */

static void push_step(Elaborator *x, Var *t) {
  stack_push(x, t, NULL);
  StackVar *at = x->stack.at;
  memmove(at + x->steps + 1, at + x->steps, sizeof *at * (size_t)(x->stack.n - 1 - x->steps));
  at[x->steps++] = (StackVar){.var = t};
}

static void pop_step(Elaborator *x) {
  StackVar *at = x->stack.at;
  x->steps--;
  memmove(at + x->steps, at + x->steps + 1, sizeof *at * (size_t)(x->stack.n - 1 - x->steps));
  x->stack.n--;
}

/* The indices of the stack, then a tensor's own. NULL after a message. */
static Var **with_stack(Elaborator *x, int rank, Var *const *own, Span at) {
  int n = x->stack.n;
  if (!rank_fits(x, n + rank, at)) return NULL;
  Var **all = NEW_ARRAY(x->arena, Var *, n + rank + 1);
  for (int i = 0; i < n; i++) all[i] = x->stack.at[i].var;
  for (int i = 0; i < rank; i++) all[n + i] = own[i];
  return all;
}

/* v as a tensor over every index of the stack, whether it depends on it or not; a number fills the shape. */
static Node *over_stack(Elaborator *x, const Value *v, int rank, Dim **shape, Span at) {
  Var *own[MAX_RANK];
  Form *forms[MAX_RANK];
  for (int i = 0; i < rank; i++) {
    own[i] = var_fresh(x->ir, shape[i]);
    forms[i] = form_var(x->ir, own[i]);
  }
  Var **all = with_stack(x, rank, own, at);
  return all ? graph_comp(x->graph, x->stack.n + rank, all, RED_none, 0, NULL, value_element(x, v, forms), at) : NULL;
}

/* ---- states ---- */

static Value *first_value(Elaborator *x, Loop *l, Ast *s, Type *t) {
  Env *e = env_bind(x, l->outer, l->index, NULL, l->span);
  e->reach = REACH_STEP;
  bool typed = s->type != NULL;
  if (typed && !type_resolve(x, e, s->type, t)) return NULL;
  Value *v = elaborate_expr_as(x, e, s->value, typed && t->rank ? t : NULL);
  if (!v) return NULL;
  v = value_runtime(x, v);
  if (!typed && v->kind == VALUE_TENSOR) {
    DType own = v->weak && dtype_is_float(v->dtype) ? float_default(x) : v->dtype;
    *t = (Type){.dtype = own, .bound = NULL, .rank = v->rank, .shape = v->shape};
  }
  bool number = v->kind == VALUE_TENSOR && !v->rank;
  if (number) return value_coerce(x, v, t->dtype, s->value->span);
  Ast *type = s->type;
  if (typed && !type_check_result(x, e, type, &v, s->value->span, arena_printf(x->arena, "`%s`", s->name)))
    return NULL;
  if (v->kind == VALUE_TENSOR) return v;
  diag_add(x->diags, DIAG_WRONG_TYPE, s->value->span, "a state is a tensor, and this is %s", value_type_text(x, v));
  return NULL;
}

/* The carry's shape: the steps of all loops around and its own, the other indices of the stack, the value's. */
static Node *carry_of(Elaborator *x, const Loop *l, const Node *init, Span at) {
  int axis = x->steps;
  Dim *shape[MAX_RANK];
  if (!rank_fits(x, init->rank + 1, at)) return NULL;
  for (int i = 0; i <= init->rank; i++)
    shape[i] = i == axis ? dim_add(x->ir, l->steps, dim_const(x->ir, 1)) : init->shape[i - (i > axis)];
  if (!size_fits(x, init->rank + 1, shape, at)) return NULL;
  return graph_carry(x->graph, init->dtype, init->rank + 1, shape, axis, false, at);
}

/* The state at some row: a tensor of its own dimensions. */
static Value *row_of(Elaborator *x, const ScanState *s, Form *row) {
  Form *prefix[MAX_RANK];
  int n = 0;
  for (int i = 0; i < s->carry->axis; i++) prefix[n++] = form_var(x->ir, x->stack.at[i].var);
  prefix[n++] = row;
  bool open = x->steps > s->carry->axis; /* the loop's own step is on the stack */
  for (int i = s->carry->axis + open; i < x->stack.n; i++) prefix[n++] = form_var(x->ir, x->stack.at[i].var);
  return value_take(x, value_node(x, s->carry, s->span), n, prefix);
}

bool scan_state(Elaborator *x, Env **e, Ast *s) {
  Loop *l = x->loop;
  Type t;
  pop_step(x);
  Value *v = first_value(x, l, s, &t);
  Node *init = v ? over_stack(x, v, t.rank, t.shape, s->span) : NULL;
  Node *carry = init ? carry_of(x, l, init, s->span) : NULL;
  push_step(x, l->t);
  ScanState state = {.name = s->name, .span = s->name_span, .carry = carry, .init = init};
  if (carry) {
    carry->name = s->name;
    state.now = row_of(x, &state, form_var(x->ir, l->t));
  }
  vec_push(x->arena, &l->states, state);
  *e = env_bind(x, *e, s->name, state.now, s->name_span);
  return carry != NULL;
}

/* The state of loop l that `name` means here, or NULL. */
static ScanState *state_of(Loop *l, Env *e, Str name) {
  Env *b = env_find(e, name);
  for (int i = 0; b && b->value && i < l->states.n; i++)
    if (l->states.at[i].now == b->value) return &l->states.at[i];
  return NULL;
}

static bool same_shape(const Value *a, const Value *b) {
  bool same = a->kind == VALUE_TENSOR && a->rank == b->rank && a->dtype == b->dtype;
  for (int i = 0; same && i < a->rank; i++) same = a->shape[i] == b->shape[i];
  return same;
}

bool scan_next(Elaborator *x, Env *e, Ast *s, bool *is) {
  Str name = s->target->kind == AST_NAME ? s->target->name : NULL;
  const Env *b = name && x->loop ? env_find(e, name) : NULL;
  *is = b && !b->value; /* a mistake was reported where it was declared */
  if (*is) return false;
  ScanState *state = name && x->loop ? state_of(x->loop, e, name) : NULL;
  for (Loop *l = x->loop ? x->loop->up : NULL; name && !state && l; l = l->up) {
    const ScanState *other = state_of(l, e, name);
    if (!other) continue;
    *is = true;
    Diag *d =
        diag_add(x->diags, DIAG_NOT_A_STATE, s->target->span, "`%s` is a state of the loop around this one", name);
    diag_place(d, other->span, "declared here");
    diag_help(d, "give the inner loop a state of its own, `state %s2 = %s`, and the outer one its last value", name,
              name);
    return false;
  }
  *is = state != NULL;
  if (!state) return false;
  Value *v = elaborate_expr(x, e, s->value);
  if (v) v = value_runtime(x, v);
  if (v && v->kind == VALUE_TENSOR && !v->rank) v = value_coerce(x, v, state->carry->dtype, s->value->span);
  if (!v) return false;
  if (state->next) {
    Diag *d = diag_add(x->diags, DIAG_STATE_TWICE, s->span, "`%s` is given two next values in one step", name);
    diag_place(d, state->next_span, "the first");
    return false;
  }
  if (!same_shape(v, state->now)) {
    diag_add(x->diags, DIAG_WRONG_SHAPE, s->value->span, "the state is %s, its next value %s",
             value_type_text(x, state->now), value_type_text(x, v));
    return false;
  }
  state->next = v;
  state->next_span = s->span;
  return true;
}

static bool close_state(Elaborator *x, ScanState *s) {
  const Value *next = s->next ? s->next : s->now; /* without a next value it stays what it is */
  Node *n = over_stack(x, next, s->now->rank, s->now->shape, s->span);
  if (n) graph_close(x->graph, s->carry, s->init, n);
  return n != NULL;
}

/* ---- what is kept of every step ---- */

/* The step that goes to index `at`: f is t, then the same; T - 1 - t, then T - 1 - at. NULL: f is neither. */
static Form *step_at(Elaborator *x, const Loop *l, Form *f, Form *at) {
  Form *t = form_var(x->ir, l->t);
  if (f == t) return at;
  Form *last = form_sub(x->ir, form_dim(x->ir, l->steps), form_const(x->ir, 1));
  return form_add(x->ir, f, t) == last ? form_sub(x->ir, last, at) : NULL;
}

/* The value of a step: over the other indices of the left side. */
static Value *kept_value(Elaborator *x, Env *e, Ast *s, int position) {
  AstList others = {0};
  for (int i = 0; i < s->items.n; i++)
    if (i != position) vec_push(x->arena, &others, s->items.at[i]);
  Value *v =
      others.n ? elaborate_comprehension(x, e, &others, s->value, NULL, s->span) : elaborate_expr(x, e, s->value);
  if (!v) return NULL;
  v = value_runtime(x, v);
  if (v->kind != VALUE_TENSOR) {
    diag_add(x->diags, DIAG_WRONG_TYPE, s->value->span, "an element is a number, and this is %s",
             value_type_text(x, v));
    return NULL;
  }
  if (v->weak && !v->rank) v = value_coerce(x, v, dtype_is_float(v->dtype) ? float_default(x) : DT_i32, v->span);
  return v;
}

bool scan_keeps(const Elaborator *x, const Ast *s) {
  for (int i = 0; x->loop && i < s->items.n; i++)
    if (mentions(s->items.at[i], x->loop->index)) return true;
  return false;
}

bool scan_keep(Elaborator *x, Env **e, Ast *s) {
  Loop *l = x->loop;
  Kept k = {.name = s->name, .span = s->name_span, .position = -1, .at = var_fresh(x->ir, l->steps)};
  for (int i = s->items.n; i-- > 0;)
    if (mentions(s->items.at[i], l->index)) k.position = i;
  Value *at = elaborate_expr(x, *e, s->items.at[k.position]);
  if (at && value_is_form(at)) k.step = step_at(x, l, value_form(x, at), form_var(x->ir, k.at));
  if (at && !k.step) {
    Diag *d = diag_add(x->diags, DIAG_LOOP_KEEPS, s->items.at[k.position]->span,
                       "every step is kept: at `%s`, or from the back", l->index);
    diag_help(d, "write `%s[%s]`, or `%s[%s - 1 - %s]`", s->name, l->index, s->name, dim_text(x->arena, l->steps),
              l->index);
  }
  bool taken = env_find(l->outer, s->name) && scan_redefines(x, s->name, s->name_span);
  k.value = k.step && !taken ? kept_value(x, *e, s, k.position) : NULL;
  vec_push(x->arena, &l->kept, k);
  *e = env_bind(x, *e, s->name, k.value, s->name_span);
  (*e)->reach = k.value ? REACH_KEPT : REACH_ALL;
  return k.value != NULL;
}

/* After the loop: the tensor over all steps. */
static Value *kept_whole(Elaborator *x, const Loop *l, const Kept *k) {
  Var *vars[MAX_RANK + 1];
  Form *forms[MAX_RANK + 1];
  int rank = k->value->rank;
  if (!rank_fits(x, rank + 1, k->span)) return NULL;
  for (int i = 0; i <= rank; i++) {
    if (i == k->position) {
      vars[i] = k->at;
      continue;
    }
    int own = i - (i > k->position);
    vars[i] = var_fresh(x->ir, k->value->shape[own]);
    forms[own] = form_var(x->ir, vars[i]);
  }
  Expr *e = expr_replace(x->ir, value_element(x, k->value, forms), l->t, k->step);
  Value *v = value_tensor(x, rank + 1, vars, e, k->span);
  if (v) v->bound = k->value->bound;
  return v;
}

/* ---- the statement ---- */

bool scan_redefines(Elaborator *x, Str name, Span at) {
  for (Loop *l = x->loop; l; l = l->up) {
    const Env *old = env_find(l->outer, name);
    if (!old) continue;
    Diag *d = diag_add(x->diags, DIAG_LOOP_SCOPE, at, "`%s` is defined outside of this loop", name);
    diag_place(d, old->span, "here");
    diag_help(d, "what goes from step to step is a state: `state %s = %s` in the loop, and here `%s <- ...`", name,
              name, name);
    return true;
  }
  return false;
}

static Dim *steps_of(Elaborator *x, Env *e, Ast *range) {
  Value *v = elaborate_expr(x, e, range);
  if (!v) return NULL;
  int64_t n;
  if (v->kind == VALUE_INT && (!dim_is_const(v->dim, &n) || n >= 0)) return v->dim;
  Diag *d = diag_add(x->diags, DIAG_LOOP_RANGE, range->span, "`scan` runs over a dimension, and this is %s",
                     v->kind == VALUE_INT ? "negative" : value_type_text(x, v));
  diag_help(d, "write `scan t in T`, T the extent of what is read at t");
  return NULL;
}

static const Ast *find_return(const Ast *a) {
  if (a->kind == AST_RETURN) return a;
  for (int i = 0; a->kind != AST_FN && i < ast_child_count(a); i++) {
    const Ast *c = ast_child(a, i), *r = c ? find_return(c) : NULL;
    if (r) return r;
  }
  return NULL;
}

/* Names that the loop leaves behind; of a loop with a mistake they stand for that. */
static bool bind_results(Elaborator *x, Env **e, const Loop *l, Env *inner, bool ok) {
  for (int i = 0; i < l->states.n; i++) {
    const ScanState *s = &l->states.at[i];
    Value *last = ok && s->carry ? row_of(x, s, carry_row_last(x->ir, s->carry)) : NULL;
    *e = env_bind(x, *e, s->name, last, s->span);
  }
  for (int i = 0; i < l->kept.n; i++) {
    const Kept *k = &l->kept.at[i];
    const Env *b = env_find(inner, k->name);
    if (!b || b->value != k->value) continue; /* it ended in an inner block, or was defined again */
    Value *v = ok && k->value ? kept_whole(x, l, k) : NULL;
    *e = env_bind(x, *e, k->name, v, k->span);
    ok = ok && v;
  }
  return ok;
}

bool elaborate_scan(Elaborator *x, Env **e, Ast *s) {
  Dim *steps = steps_of(x, *e, s->range);
  const Ast *back = find_return(s->body);
  if (back) {
    Diag *d = diag_add(x->diags, DIAG_LOOP_SCOPE, back->span, "`return` in a loop that runs all its steps");
    diag_help(d, "keep a state and return it after the loop");
  }
  if (!steps || back) steps = dim_const(x->ir, 1); /* the rest is checked all the same */
  Loop l = {.up = x->loop, .outer = *e, .index = s->name, .steps = steps, .span = s->name_span};
  int errors = x->diags->errors;
  l.t = var_fresh(x->ir, steps);
  push_step(x, l.t);
  x->loop = &l;
  Env *inner = env_bind(x, *e, s->name, value_index(x, form_var(x->ir, l.t), steps, s->name_span), s->name_span);
  inner->index = true;
  Value *result = NULL;
  bool ok = elaborate_block(x, &inner, s->body, &result) && !back && x->diags->errors == errors;
  for (int i = 0; ok && i < l.states.n; i++) ok = close_state(x, &l.states.at[i]);
  x->loop = l.up;
  pop_step(x);
  return bind_results(x, e, &l, inner, ok);
}
