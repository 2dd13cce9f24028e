/* scan.c - `scan t in T { }` and `repeat n in N while c { }`: loops with states.
 *
 * The body is walked once, with t as an index on the stack, below all others: so every value that depends on t gets
 * the step as its first dimension, and what does not stands before the loop. A state is a carry, with a copy for each
 * index on the stack. ir/graph.h says what such a system of values means; which of them the loop has to compute one
 * after the other is found there. What a repeat has beside that is in repeat.c. */
#include "frontend/loop.h"

#include "ir/solve.h"

#include <string.h>

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

/* The indices of the stack where the loop stands, with t at its place if `in_body`. */
static int loop_vars(const Loop *l, bool in_body, Var **out) {
  int n = 0;
  for (int i = 0; i < l->nvars; i++) {
    if (in_body && i == l->axis) out[n++] = l->t;
    out[n++] = l->vars[i];
  }
  if (in_body && l->axis == l->nvars) out[n++] = l->t;
  return n;
}

Node *loop_node(Elaborator *x, const Loop *l, bool in_body, const Value *v, int rank, Dim **shape, Span at) {
  Var **all = NEW_ARRAY(x->arena, Var *, l->nvars + 1 + MAX_RANK);
  Form *forms[MAX_RANK];
  int n = loop_vars(l, in_body, all);
  if (!rank_fits(x, n + rank, at)) return NULL;
  for (int i = 0; i < rank; i++) {
    all[n + i] = var_fresh(x->ir, shape[i]);
    forms[i] = form_var(x->ir, all[n + i]);
  }
  return graph_comp(x->graph, n + rank, all, RED_none, 0, NULL, value_element(x, v, forms), at);
}

Value *loop_each_turn(Elaborator *x, const Loop *l, const Value *v, Span at) {
  Node *n = loop_node(x, l, true, v, 0, NULL, at);
  if (!n) return NULL;
  Form **forms = NEW_ARRAY(x->arena, Form *, n->rank + 1);
  for (int i = 0; i < n->rank; i++) forms[i] = form_var(x->ir, i == l->axis ? l->t : l->vars[i - (i > l->axis)]);
  return value_scalar(x, expr_read(x->ir, n, forms), at);
}

static void find_vars(Elaborator *x, Loop *l) {
  l->axis = x->steps;
  l->nvars = x->stack.n;
  l->vars = NEW_ARRAY(x->arena, Var *, l->nvars + 1);
  for (int i = 0; i < l->nvars; i++) l->vars[i] = x->stack.at[i].var;
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
  if (number) {
    v = value_coerce(x, v, t->dtype, s->value->span);
    return v && bound_holds(x, v, t->bound, s->value->span, "the state's first value") ? v : NULL;
  }
  Ast *type = s->type;
  if (typed && !type_check_result(x, e, type, &v, s->value->span, arena_printf(x->arena, "`%s`", s->name)))
    return NULL;
  if (v->kind == VALUE_TENSOR) return v;
  diag_add(x->diags, DIAG_WRONG_TYPE, s->value->span, "a state is a tensor, and this is %s", value_type_text(x, v));
  return NULL;
}

/* The carry's shape: the steps of all loops around and its own, the other indices of the stack, the value's. */
Node *loop_carry(Elaborator *x, const Loop *l, const Node *init, Span at) {
  Dim *shape[MAX_RANK];
  if (!rank_fits(x, init->rank + 1, at)) return NULL;
  for (int i = 0; i <= init->rank; i++)
    shape[i] = i == l->axis ? dim_add(x->ir, l->steps, dim_const(x->ir, 1)) : init->shape[i - (i > l->axis)];
  if (!size_fits(x, init->rank + 1, shape, at)) return NULL;
  Node *carry = graph_carry(x->graph, init->dtype, init->rank + 1, shape, l->axis, false, at);
  if (l->repeat) vec_push(x->arena, &x->repeated, carry);
  return carry;
}

Value *loop_row(Elaborator *x, const Loop *l, Node *carry, Form *row, Span at) {
  Form **prefix = NEW_ARRAY(x->arena, Form *, l->nvars + 1);
  int n = 0;
  for (int i = 0; i < l->axis; i++) prefix[n++] = form_var(x->ir, l->vars[i]);
  prefix[n++] = row;
  for (int i = l->axis; i < l->nvars; i++) prefix[n++] = form_var(x->ir, l->vars[i]);
  return value_take(x, value_node(x, carry, at), n, prefix);
}

bool scan_state(Elaborator *x, Env **e, Ast *s) {
  Loop *l = x->loop;
  Type t;
  for (int i = 0; i < l->states.n; i++)
    if (l->states.at[i].name == s->name) {
      say_state_twice(x, s->name, s->name_span, l->states.at[i].span);
      return false;
    }
  pop_step(x);
  if (l->repeat) repeat_step_out(x, l->repeat);
  Value *v = first_value(x, l, s, &t);
  if (l->repeat) repeat_step_in(x, l->repeat);
  Node *init = v ? loop_node(x, l, false, v, t.rank, t.shape, s->span) : NULL;
  Node *carry = init ? loop_carry(x, l, init, s->span) : NULL;
  push_step(x, l->t);
  ScanState state = {.name = s->name, .span = s->name_span, .carry = carry, .init = init};
  if (carry) {
    carry->name = s->name;
    state.now = loop_row(x, l, carry, form_var(x->ir, l->t), s->name_span);
    if (s->type && t.bound) state.now->bound = t.bound;
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

bool scan_has_state(const Elaborator *x, const Env *b) {
  for (int i = 0; x->loop && i < x->loop->states.n; i++)
    if (x->loop->states.at[i].now == b->value && span_same(x->loop->states.at[i].span, b->span)) return true;
  return false;
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
  const Type t = {.dtype = state->now->dtype, .rank = state->now->rank, .shape = state->now->shape};
  Value *v = value_as_next(x, elaborate_expr_as(x, e, s->value, t.rank ? &t : NULL), t.dtype, s->value->span);
  if (!v) return false;
  if (state->next) {
    Diag *d = diag_add(x->diags, DIAG_STATE_TWICE, s->span, "`%s` is given two next values in one step", name);
    diag_place(d, state->next_span, "the first");
    return false;
  }
  if (!values_alike(v, state->now)) {
    diag_add(x->diags, DIAG_WRONG_SHAPE, s->value->span, "the state is %s, its next value %s",
             value_type_text(x, state->now), value_type_text(x, v));
    return false;
  }
  if (!bound_holds(x, v, state->now->bound, s->value->span, "the state's next value")) return false;
  state->next = v;
  state->next_span = s->span;
  return true;
}

/* Without a next value it stays what it is. */
static bool close_state(Elaborator *x, const Loop *l, ScanState *s) {
  return loop_carries(x, l, s->carry, s->init, s->now, s->next ? s->next : s->now, s->span);
}

bool loop_carries(Elaborator *x, const Loop *l, Node *carry, Node *init, const Value *now, const Value *next,
                  Span at) {
  if (l->repeat) next = repeat_next(x, l, now, next);
  Node *n = next ? loop_node(x, l, true, next, now->rank, now->shape, at) : NULL;
  if (n) graph_close(x->graph, carry, init, n);
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
static Value *kept_value(Elaborator *x, Env *e, Ast *s, Value *given, int position) {
  AstList others = {0};
  for (int i = 0; i < s->items.n; i++)
    if (i != position) vec_push(x->arena, &others, s->items.at[i]);
  if (given && others.n) {
    diag_add(x->diags, DIAG_LOOP_KEEPS, s->span, "what is taken apart is kept whole: the step is its only index");
    return NULL;
  }
  Value *v = given      ? given
             : others.n ? elaborate_comprehension(x, e, &others, s->value, NULL, s->span)
                        : elaborate_expr(x, e, s->value);
  if (!v) return NULL;
  v = value_runtime(x, v);
  if (v->kind != VALUE_TENSOR) {
    diag_add(x->diags, DIAG_WRONG_TYPE, given ? s->span : s->value->span, "an element is a number, and this is %s",
             value_type_text(x, v));
    return NULL;
  }
  if (v->weak && !v->rank) v = value_coerce(x, v, dtype_is_float(v->dtype) ? float_default(x) : DT_i32, v->span);
  return v;
}

/* Whether a place says the step: by its index, or by a name of the body that was made of it, `u = T - 1 - t`. */
static bool says_step(const Loop *l, Env *e, const Ast *place) {
  if (mentions(place, l->index)) return true;
  const Env *b = place->kind == AST_NAME ? env_find(e, place->name) : NULL;
  if (!b || b == env_find(l->outer, place->name) || !b->value || !b->value->weak || b->is_index) return false;
  return value_is_form(b->value) && expr_uses(b->value->expr, l->t);
}

bool scan_keeps(const Elaborator *x, Env *e, const Ast *s) {
  for (int i = 0; x->loop && i < s->items.n; i++)
    if (says_step(x->loop, e, s->items.at[i])) return true;
  return false;
}

bool scan_keep(Elaborator *x, Env **e, Ast *s, Value *given) {
  Loop *l = x->loop;
  Kept k = {.name = s->name, .span = s->name_span, .position = -1, .at = var_fresh(x->ir, l->steps)};
  for (int i = s->items.n; i-- > 0;)
    if (says_step(l, *e, s->items.at[i])) k.position = i;
  Value *at = elaborate_expr(x, *e, s->items.at[k.position]);
  if (at && value_is_form(at)) k.step = step_at(x, l, value_form(x, at), form_var(x->ir, k.at));
  if (at && !k.step) {
    Diag *d = diag_add(x->diags, DIAG_LOOP_KEEPS, s->items.at[k.position]->span,
                       "every step is kept: at `%s`, or from the back", l->index);
    diag_help(d, "write `%s[%s]`, or `%s[%s - 1 - %s]`", s->name, l->index, s->name, dim_text(x->arena, l->steps),
              l->index);
  }
  bool taken = env_find(l->outer, s->name) && scan_redefines(x, s->name, s->name_span);
  k.value = k.step && !taken ? kept_value(x, *e, s, given, k.position) : NULL;
  vec_push(x->arena, &l->kept, k);
  *e = env_bind(x, *e, s->name, k.value, s->name_span);
  (*e)->reach = k.value ? REACH_KEPT : REACH_ALL;
  return k.value != NULL;
}

const Kept *loop_kept(const Loop *l, const Env *b) {
  for (int i = l->kept.n - 1; i >= 0; i--)
    if (l->kept.at[i].name == b->name && l->kept.at[i].value == b->value) return &l->kept.at[i];
  return NULL;
}

bool kept_backwards(Elaborator *x, const Kept *k) { return k->step != form_var(x->ir, k->at); }

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
  if (l->repeat) e = repeat_kept(x, l, k->step, e);
  Value *v = value_tensor(x, rank + 1, vars, e, k->span);
  if (v) v->bound = k->value->bound;
  if (v && l->repeat && !k->position) v->length = l->repeat->length;
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

static Dim *steps_of(Elaborator *x, Env *e, Ast *range, bool scans) {
  Value *v = elaborate_expr(x, e, range);
  if (!v) return NULL;
  if (v->kind == VALUE_INT) return extent_holds(x, v->dim, 0, range->span) ? v->dim : NULL;
  Diag *d = diag_add(x->diags, DIAG_LOOP_RANGE, range->span, "`%s` runs over a dimension, and this is %s",
                     scans ? "scan" : "repeat", value_type_text(x, v));
  if (scans) diag_help(d, "write `scan t in T`, T the extent of what is read at t");
  else diag_help(d, "write `repeat n in N while c`, N the most turns that there may be");
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
    Value *last = ok && s->carry ? loop_row(x, l, s->carry, carry_row_last(x->ir, s->carry), s->span) : NULL;
    if (last) last->bound = s->now->bound;
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

/* The body, and the loop closed; *inner are the names in it. */
static bool walk_body(Elaborator *x, Loop *l, Env **inner, Ast *s) {
  int errors = x->diags->errors;
  push_step(x, l->t);
  x->loop = l;
  if (l->repeat) repeat_enter(x, l->repeat);
  if (s->name) {
    *inner =
        env_bind(x, *inner, s->name, value_index(x, form_var(x->ir, l->t), l->steps, s->name_span), s->name_span);
    (*inner)->is_index = true;
  }
  Env *head = *inner;
  Value *result = NULL;
  bool ok = elaborate_block(x, inner, s->body, &result) && x->diags->errors == errors;
  if (l->repeat) ok = repeat_condition(x, l, head, s->cond) && ok;
  for (int i = 0; ok && i < l->states.n; i++) ok = close_state(x, l, &l->states.at[i]);
  if (l->repeat) ok = repeat_leave(x, l, ok);
  x->loop = l->up;
  pop_step(x);
  return ok;
}

bool elaborate_scan(Elaborator *x, Env **e, Ast *s) {
  bool scans = s->kind == AST_SCAN;
  Dim *steps = steps_of(x, *e, s->range, scans);
  const Ast *back = find_return(s->body);
  if (back) {
    Diag *d = diag_add(x->diags, DIAG_LOOP_SCOPE, back->span, "`return` in a loop%s",
                       scans ? " that runs all its steps" : "");
    diag_help(d, scans ? "keep a state and return it after the loop" : "a `while` ends it; return after the loop");
  }
  bool here = scans || repeat_stands_here(x, s);
  bool counts = steps && !back && here;
  if (!counts) steps = dim_const(x->ir, 1); /* the rest is checked all the same */
  Loop l = {.up = x->loop, .outer = *e, .index = s->name, .steps = steps, .span = s->name_span, .repeat = NULL};
  if (!scans) l.repeat = repeat_new(x, &l);
  l.t = var_fresh(x->ir, steps);
  find_vars(x, &l);
  Env *inner = *e;
  bool ok = walk_body(x, &l, &inner, s) && counts;
  if (!ok) *e = bind_failed(x, *e, s->body);
  return bind_results(x, e, &l, inner, ok);
}
