/* stmt.c - statements of function bodies: definitions, compile-time `if` and `for`, next values of states. */
#include "frontend/value.h"

#include <string.h>

/* What a definition makes of a value: it exists at run time or it does not; its declared type, where it has one,
 * holds. */
static Value *declared(Elaborator *x, Env *e, Ast *s, Value *v, const Type *t) {
  (void)t;
  if (!s->type) return v;
  return type_check_result(x, e, s->type, &v, s->value->span, arena_printf(x->arena, "`%s`", s->name)) ? v : NULL;
}

/* Whether a name's binding is that of a state, of the loop or of the instance whose function this is. */
static bool is_state(Elaborator *x, Env *e, const Env *b) {
  if (!b || !b->value) return false;
  const Env *k = env_find(e, str_internz(x->strings, "$self"));
  const Instance *self = k && k->value ? k->value->instance : NULL;
  for (int i = 0; self && i < self->members.n; i++) {
    const InstanceMember *m = &self->members.at[i];
    if (m->kind != MEMBER_STATE || m->name != b->name || !span_same(b->span, m->ast->name_span)) continue;
    if (m->value ? m->value == b->value : b->value->kind == VALUE_TENSOR && b->value->n == m->tensor + 1) return true;
  }
  return scan_has_state(x, b);
}

static Env *rebind(Elaborator *x, Env *e, Ast *s, Str name, Value *v, Span at) {
  Env *old = env_find(e, name);
  if (old && old->is_index) {
    Diag *d = diag_add(x->diags, DIAG_INDEX_NAME, at, "`%s` is an index here", name);
    diag_place(d, old->span, "bound here");
    v = NULL;
  } else if (!v && is_state(x, e, old)) {
    return e;
  } else if (is_state(x, e, old)) { /* which most likely is to have its next value */
    Diag *d = diag_add(x->diags, DIAG_NOT_A_STATE, at, "`%s` is a state, and `=` gives a name a value", name);
    diag_place(d, old->span, "declared here");
    diag_help(d, "its next value is given by `%s <- …`; what is something else has another name", name);
    return e;
  } else if (scan_redefines(x, name, at)) v = NULL;
  (void)s;
  return env_bind(x, e, name, v, at);
}

void say_no_value(Elaborator *x, const Ast *a) {
  Diag *d = diag_add(x->diags, DIAG_STATEMENT_HERE, a->span, "`%s` has a type and no value", a->name);
  diag_help(d, "write `= ...` after it; only a field of `data` may leave its value to the source");
}

static bool define(Elaborator *x, Env **e, Ast *s) {
  if (s->from || (s->flags & AST_FROZEN)) {
    Diag *d = diag_add(x->diags, DIAG_STATEMENT_HERE, s->span, "`%s` is no member: it is neither frozen nor loaded",
                       s->name);
    diag_help(d, "an instance of a model is made in a model or at the top of the file");
  }
  if (!s->value) {
    say_no_value(x, s);
    *e = rebind(x, *e, s, s->name, NULL, s->name_span);
    return false;
  }
  Type t, *expected = NULL;
  if (s->type && s->type->kind == AST_TYPE && type_rank(s->type, &(bool){false}) + (s->type->shape != NULL) > 0) {
    if (!type_resolve(x, *e, s->type, &t)) {
      *e = rebind(x, *e, s, s->name, NULL, s->name_span);
      return false;
    }
    expected = &t;
  }
  Value *v;
  if (s->flags & AST_DRAW) {
    if (!expected) {
      if (!s->type) {
        diag_add(x->diags, DIAG_DRAW_TYPE, s->span, "a draw needs a type: `%s: f32 ~ ...`, or `f32[N]`", s->name);
        *e = rebind(x, *e, s, s->name, NULL, s->name_span);
        return false;
      }
      if (!type_resolve(x, *e, s->type, &t)) {
        *e = rebind(x, *e, s, s->name, NULL, s->name_span);
        return false;
      }
    }
    v = elaborate_draw(x, *e, s->value, &t, frame_path(x, s->name), s->span);
    if (v) v = test_drawn(x, v, s->name);
    if (v && !bound_holds(x, v, t.bound, s->value->span, arena_printf(x->arena, "what is drawn for `%s`", s->name)))
      v = NULL;
  } else {
    v = elaborate_expr_as(x, *e, s->value, expected);
    v = dimension_value(x, *e, s, v);
    v = value_filled(x, v, expected);
    if (v) v = declared(x, *e, s, v, expected);
  }
  v = value_as_variable(x, s->name, v, s->value && s->value->kind != AST_ARRAY && !is_path(s->value));
  *e = rebind(x, *e, s, s->name, v, s->name_span);
  return v != NULL;
}

static bool define_at(Elaborator *x, Env **e, Ast *s) {
  Value *v = NULL;
  if (s->flags & AST_DRAW)
    diag_add(x->diags, DIAG_DRAW_TYPE, s->span, "a draw needs a type: `%s: f32 ~ ...`, or `f32[N]`", s->name);
  else if (scan_keeps(x, *e, s)) return scan_keep(x, e, s, NULL);
  else v = elaborate_comprehension(x, *e, &s->items, s->value, NULL, s->span);
  *e = rebind(x, *e, s, s->name, v, s->name_span);
  return v != NULL;
}

/* Whether the places of `u[i], v[i] = e` have the same indices; a message says so if not. */
static bool same_indices(Elaborator *x, const Ast *s) {
  const Ast *first = s->items.at[0];
  for (int i = 1; i < s->items.n; i++) {
    const Ast *other = s->items.at[i];
    bool same = other->kind == first->kind && other->items.n == first->items.n;
    for (int k = 0; same && k < first->items.n; k++)
      same = !strcmp(written(x, first->items.at[k]->span), written(x, other->items.at[k]->span));
    if (same) continue;
    Diag *d = diag_add(x->diags, DIAG_UNPACK, other->span, "what is taken apart has the same indices everywhere");
    diag_place(d, first->span, "the first has these");
    return false;
  }
  return true;
}

/* The parts of `u[i], v[i] = e`: tensors over the indices, or if a loop keeps them the values of its step. */
static Value *parts_of(Elaborator *x, Env *e, Ast *s, bool keeps) {
  Ast *first = s->items.at[0];
  if (!same_indices(x, s)) return NULL;
  bool indexed = first->kind == AST_DEFINE_AT && !keeps;
  return indexed ? elaborate_comprehension(x, e, &first->items, s->value, NULL, s->span)
                 : elaborate_expr(x, e, s->value);
}

Value *unpacked(Elaborator *x, Env *e, Ast *s, bool keeps) {
  Value *v = parts_of(x, e, s, keeps);
  if (!v || (v->kind == VALUE_TUPLE && v->n == s->items.n)) return v;
  Diag *d = diag_add(x->diags, DIAG_UNPACK, s->value->span, "%d names for %s", s->items.n, value_type_text(x, v));
  suggest_parts(x, d, s->value, v, s->items.n);
  return NULL;
}

static bool unpack(Elaborator *x, Env **e, Ast *s) {
  const Ast *first = s->items.at[0];
  bool keeps = first->kind == AST_DEFINE_AT && scan_keeps(x, *e, first);
  Value *v = unpacked(x, *e, s, keeps);
  bool ok = v != NULL;
  for (int i = 0; i < s->items.n; i++) {
    Ast *place = s->items.at[i];
    if (ok && keeps) ok = scan_keep(x, e, place, v->items[i]);
    else
      *e = rebind(x, *e, s, place->name, ok ? value_as_variable(x, place->name, v->items[i], false) : NULL,
                  place->name_span);
  }
  return ok;
}

/* A path's parameter; NULL: it names something else. */
static InstanceMember *param_named(Elaborator *x, Env *e, Ast *path) {
  Value *v = elaborate_expr(x, e, path->base);
  for (int i = 0; v && v->kind == VALUE_INSTANCE && i < v->instance->members.n; i++) {
    InstanceMember *m = &v->instance->members.at[i];
    if (m->name == path->name && m->ast->kind == AST_PARAM) return m;
  }
  return NULL;
}

/* `s <- e`: the state that s names. NULL after a message. */
static InstanceMember *next_target(Elaborator *x, Env *e, Ast *target) {
  const Ast *param = NULL;
  Str name = target->kind == AST_NAME ? target->name : NULL;
  InstanceMember *of = target->kind == AST_MEMBER ? param_named(x, e, target) : NULL;
  if (of && (x->generic || x->program->tensors.at[of->tensor].role == ROLE_frozen)) return of;
  if (of) param = of->ast;
  const Env *k = env_find(e, str_internz(x->strings, "$self"));
  Instance *self = k ? k->value->instance : NULL;
  for (int i = 0; name && self && i < self->members.n; i++)
    if (self->members.at[i].name == name && self->members.at[i].kind == MEMBER_STATE) return &self->members.at[i];
    else if (self->members.at[i].name == name && self->members.at[i].kind == MEMBER_VALUE &&
             !self->members.at[i].value)
      return NULL; /* said where it is declared */
    else if (self->members.at[i].name == name && self->members.at[i].ast &&
             self->members.at[i].ast->kind == AST_PARAM)
      param = self->members.at[i].ast;
  const Env *named = name ? env_find(e, name) : NULL;
  if (named && !named->value) return NULL; /* said where it was declared */
  Diag *d = diag_add(x->diags, DIAG_NOT_A_STATE, target->span, "`<-` gives a state its next value, and this is none");
  if (param) {
    diag_place(d, param->name_span, "this is a parameter");
    diag_help(d, of ? "a frozen instance takes next values; what is trained changes by `minimize`"
                    : "parameters change by `minimize` only; what a call changes is a `state`");
  } else if (named) {
    diag_place(d, named->span, "defined here");
    diag_help(d, "only a state has a next value; what a function computes it returns");
  } else if (target->kind == AST_INDEX) diag_help(d, "a state is given all of its next value, `s <- [i] => …`");
  else if (name)
    diag_help(d, "declare it: `state %s = 0`; for a comparison with a negative number write `%s < -1`", name, name);
  else diag_help(d, "a state is given its next value by a function of its own model");
  return NULL;
}

/* What is no state of the call's own: an instance or a part of one, or a state that is a structure. NULL: something
 * else; a mistake in it is said. */
static Value *structure_target(Elaborator *x, Env *e, Ast *target) {
  if (target->kind == AST_NAME) {
    const Env *b = env_find(e, target->name);
    const Decl *d = b ? NULL : decl_find(x, x->module, target->name);
    if (!(b && b->value && (b->value->kind != VALUE_STRUCTURE || b->value->states)) &&
        !(d && d->kind == DECL_DEFINITION))
      return NULL;
  }
  Value *v = elaborate_expr(x, e, target);
  return v && value_is_structure(v) ? v : NULL;
}

bool same_state(const Elaborator *x, const InstanceMember *a, const InstanceMember *b) {
  return a == b || (!x->generic && a->tensor >= 0 && a->tensor == b->tensor);
}

bool give_next(Elaborator *x, InstanceMember *state, Value *v, Span at) {
  bool param = !x->generic && state->tensor >= 0 && x->program->tensors.at[state->tensor].role == ROLE_frozen;
  if (param && x->repeat) {
    Diag *d = diag_add(x->diags, DIAG_LIFTED_STATE, at, "a parameter is written in a `repeat`, once for each turn");
    diag_help(d, "what changes from turn to turn is a `state`");
    say_calls(x, d);
    return false;
  }
  for (int i = x->call_pending; i < x->pending.n; i++)
    if (same_state(x, x->pending.at[i].state, state)) {
      Diag *d = diag_add(x->diags, DIAG_STATE_TWICE, at, "this state is given two next values in one call");
      diag_place(d, x->pending.at[i].span, "the first");
      return false;
    }
  vec_push(x->arena, &x->pending, (Next){state, v, at});
  return true;
}

/* What a state's values are declared to be below; NULL: nothing. */
static Dim *state_bound(const Elaborator *x, const InstanceMember *state) {
  if (x->generic || state->tensor < 0) return state->value->bound;
  int64_t bound = x->program->tensors.at[state->tensor].bound;
  return bound ? dim_const(x->ir, bound) : NULL;
}

static Type state_type(Elaborator *x, const InstanceMember *state) {
  const Value *v = state->value;
  if (x->generic || state->tensor < 0)
    return v ? (Type){.dtype = v->dtype, .rank = v->rank, .shape = v->shape} : (Type){.rank = 0};
  return tensor_type(x, state->tensor);
}

static bool next(Elaborator *x, Env **e, Ast *s) {
  bool is;
  bool ok = scan_next(x, *e, s, &is);
  if (is) return ok;
  if (s->target->kind == AST_NAME && !env_find(*e, s->target->name) && !decl_find(x, x->module, s->target->name)) {
    next_target(x, *e, s->target);
    *e = env_bind(x, *e, s->target->name, NULL, s->target->span);
    return false;
  }
  int errors = x->diags->errors;
  Value *structure = structure_target(x, *e, s->target);
  InstanceMember *state = structure || x->diags->errors > errors ? NULL : next_target(x, *e, s->target);
  Type t = {.rank = 0};
  if (state) t = state_type(x, state);
  Value *v = elaborate_expr_as(x, *e, s->value, state ? &t : NULL);
  if (!v || (!state && !structure)) return false;
  if (x->stack.n - x->repeats > x->examples) {
    Diag *d = diag_add(x->diags, DIAG_LIFTED_STATE, s->span,
                       x->steps > x->repeats ? "a model's state is written in a `scan`, once for each step"
                                             : "a state is written in a function that is mapped over dimensions");
    say_calls(x, d);
    return false;
  }
  if (in_repeat(x)) {
    Diag *d = diag_add(x->diags, DIAG_LIFTED_STATE, s->span, "a state is written in a `repeat`, once for each turn");
    diag_help(d,
              "what goes from turn to turn is a state of the loop; or a turn calls a function that writes this one");
    return false;
  }
  if (structure) return structure_next(x, structure, v, s);
  Value *now = x->generic || state->tensor < 0 ? state->value : tensor_current(x, state->tensor, s->span);
  if (!now) return false;
  v = value_as_next(x, v, now->dtype, s->value->span);
  if (!v) return false;
  if (!values_alike(v, now)) {
    diag_add(x->diags, DIAG_WRONG_SHAPE, s->value->span, "the state is %s, its next value %s",
             value_type_text(x, now), value_type_text(x, v));
    return false;
  }
  if (!bound_holds(x, v, state_bound(x, state), s->value->span, "the state's next value")) return false;
  return give_next(x, state, v, s->span);
}

static bool give_back(Elaborator *x, Env *e, Ast *s, Value **result) {
  if (s->items.n == 1) {
    *result = value_at(x, elaborate_expr_as(x, e, s->items.at[0], x->result), s->items.at[0]->span);
    return *result != NULL;
  }
  *result = elaborate_tuple(x, e, &s->items, x->result, s->span);
  return *result != NULL;
}

/* After an inner block: names that existed outside keep the block's value; `first` names of a new kind are dropped.
 */
Env *leave_block(Elaborator *x, Env *outer, Env *inner) {
  Vec(Env *) changed = {0};
  for (Env *b = inner; b != outer; b = b->up)
    if (env_find(inner, b->name) == b && env_find(outer, b->name)) vec_push(x->arena, &changed, b);
  Env *e = outer;
  for (int i = 0; i < changed.n; i++)
    e = env_bind(x, e, changed.at[i]->name, changed.at[i]->value, changed.at[i]->span);
  return e;
}

/* Whether a branch defines the name, or is left by `return` (then nothing after it sees the name). */
bool branch_defines(const Ast *branch, Str name) {
  if (branch->kind == AST_IF)
    return branch->otherwise && branch_defines(branch->then, name) && branch_defines(branch->otherwise, name);
  for (int i = 0; i < branch->items.n; i++) {
    const Ast *s = branch->items.at[i];
    if (s->kind == AST_RETURN || s->kind == AST_ERROR ||
        (s->name == name && s->kind != AST_SCAN && s->kind != AST_REPEAT))
      return true;
    for (int k = 0; s->kind == AST_UNPACK && k < s->items.n; k++)
      if (s->items.at[k]->name == name) return true;
    if (s->kind == AST_IF && branch_defines(s, name)) return true;
  }
  return false;
}

/* After a branch that was taken: what it defines goes on if the other one, `other`, would define it too. */
static Env *keep_names(Elaborator *x, Env *outer, Env *inner, const Ast *other) {
  Vec(Env *) all = {0};
  for (Env *b = inner; b != outer; b = b->up)
    if (env_find(outer, b->name) || branch_defines(other, b->name)) vec_push(x->arena, &all, b);
  Env *e = outer;
  for (int i = all.n - 1; i >= 0; i--) e = env_bind(x, e, all.at[i]->name, all.at[i]->value, all.at[i]->span);
  return e;
}

Env *bind_failed(Elaborator *x, Env *e, const Ast *block) {
  bool defines = block->kind == AST_DEFINE || block->kind == AST_DEFINE_AT || block->kind == AST_STATE;
  if (defines && block->name) return env_bind(x, e, block->name, NULL, block->name_span);
  if (block->kind == AST_NEXT && block->target->kind == AST_NAME && !env_find(e, block->target->name))
    return env_bind(x, e, block->target->name, NULL, block->target->span);
  for (int i = 0; block->kind != AST_FN && i < ast_child_count(block); i++)
    if (ast_child(block, i)) e = bind_failed(x, e, ast_child(block, i));
  return e;
}

bool says_equal(const Ast *c, bool truth) {
  if (c->kind == AST_UNARY && c->op == OP_NOT) return says_equal(c->left, !truth);
  if (c->kind != AST_BINARY) return false;
  if (c->op == (truth ? OP_AND : OP_OR)) return says_equal(c->left, truth) || says_equal(c->right, truth);
  return c->op == (truth ? OP_EQ : OP_NE);
}

static bool walk_side(Elaborator *x, Env **e, Ast *side, Value **result) {
  return side->kind == AST_IF ? elaborate_statement(x, e, side, result) : elaborate_block(x, e, side, result);
}

/* A side of generic code in which dimensions are equal that have two symbols: whether its shapes fit is seen where it
 * is used, with numbers. All else that is wrong with it is said. */
static bool walk_equal_side(Elaborator *x, Env **e, Ast *side, Value **result) {
  DiagSink aside = {.arena = x->diags->arena}, *said = x->diags;
  Env *before = *e;
  int pending = x->pending.n, unknown = x->unknown.n;
  x->diags = &aside;
  bool ok = walk_side(x, e, side, result);
  x->diags = said;
  for (int i = 0; i < aside.all.n; i++)
    if (!diag_of_shapes(aside.all.at[i]->code)) {
      *e = before;
      *result = NULL;
      x->pending.n = pending;
      x->unknown.n = unknown;
      return walk_side(x, e, side, result);
    }
  return ok;
}

static bool is_pending(const Elaborator *x, int from, const InstanceMember *state) {
  for (int i = from; i < x->pending.n; i++)
    if (same_state(x, x->pending.at[i].state, state)) return true;
  return false;
}

/* Generic code: both sides are walked, and what the first gives goes on; the second, where the first is one of equal
 * dimensions. */
static bool both_ways(Elaborator *x, Env **e, Ast *s, Value **result) {
  bool equal = says_equal(s->cond, true);
  Env *one = *e, *two = *e;
  Value *first = NULL, *second = NULL;
  int before = x->pending.n;
  bool ok = (equal ? walk_equal_side : walk_side)(x, &one, s->then, &first);
  int n = x->pending.n - before;
  Next *of_first = NEW_ARRAY(x->arena, Next, n + 1);
  for (int i = 0; i < n; i++) of_first[i] = x->pending.at[before + i];
  x->pending.n = before; /* a state has its next value on either side */
  if (s->otherwise)
    ok = (says_equal(s->cond, false) ? walk_equal_side : walk_side)(x, &two, s->otherwise, &second) && ok;
  if (second && !first) x->pending.n = before; /* what follows is not reached by the side that returned */
  for (int i = 0; i < n && (second || !first); i++)
    if (!is_pending(x, before, of_first[i].state)) vec_push(x->arena, &x->pending, of_first[i]);
  bool otherwise = equal && !second; /* goes on */
  if (!s->otherwise) *e = equal ? *e : leave_block(x, *e, one);
  else *e = otherwise ? keep_names(x, *e, two, s->then) : keep_names(x, *e, one, s->otherwise);
  *result = first && second ? equal ? second : first : NULL;
  return ok;
}

static bool choose_block(Elaborator *x, Env **e, Ast *s, Value **result) {
  Value *c = elaborate_expr(x, *e, s->cond);
  if (c && c->kind != VALUE_FLAG && in_repeat(x)) return repeat_if(x, e, s, c);
  if (c && c->kind != VALUE_FLAG) {
    Diag *d = diag_add(x->diags, DIAG_RUN_TIME_IF, s->cond->span,
                       "a statement `if` is decided at compile time, and this is %s", value_type_text(x, c));
    diag_help(d, "a choice at run time is an expression: `if c then a else b`");
  }
  if (!c || c->kind != VALUE_FLAG) {
    *e = bind_failed(x, *e, s);
    return false;
  }
  if (c->unknown) return both_ways(x, e, s, result);
  Ast *taken = c->truth ? s->then : s->otherwise;
  if (!taken) return true;
  Env *inner = *e;
  bool ok = walk_side(x, &inner, taken, result);
  const Ast *other = c->truth ? s->otherwise : s->then;
  *e = other ? keep_names(x, *e, inner, other) : leave_block(x, *e, inner);
  return ok;
}

/* After one turn of a loop of which generic code does not know how many there are: what a turn makes larger or counts
 * has no shape and no number there; it is seen where it is used. */
static Env *forget_changed(Elaborator *x, Env *before, Env *after) {
  Env *e = after;
  for (Env *b = after; b != before; b = b->up) {
    const Env *old = env_find(before, b->name);
    if (!old || !old->value || !b->value || env_find(after, b->name) != b) continue;
    bool grows = b->value->kind == VALUE_TENSOR && !values_alike(old->value, b->value);
    bool counts = b->value->kind == VALUE_INT && (old->value->kind != VALUE_INT || old->value->dim != b->value->dim);
    if (grows || counts) e = env_bind(x, e, b->name, NULL, b->span);
  }
  return e;
}

static bool loop(Elaborator *x, Env **e, Ast *s, Value **result) {
  Value *r = elaborate_expr(x, *e, s->range);
  int64_t n = 0;
  if (!r) {
    *e = bind_failed(x, *e, s->body);
    return false;
  }
  if (r->kind == VALUE_TENSOR && r->items && dim_is_const(r->shape[0], &n)) { /* [3, 5]: its numbers */
    Value *numbers = value_new(x, VALUE_ARRAY, r->span);
    numbers->n = (int)n;
    numbers->items = NEW_ARRAY(x->arena, Value *, n + 1);
    for (int i = 0; i < n; i++) numbers->items[i] = literal_element(x, r, i);
    r = numbers;
  }
  if (r->number) r = r->number;
  const Value *parts = r->kind == VALUE_STRUCTURE ? r->of : r;
  bool unknown = parts->unknown;
  Env *before = *e;
  if (parts->kind == VALUE_ARRAY) n = parts->n;
  else if (r->kind != VALUE_INT || !dim_is_const(r->dim, &n) || n < 0 || n > 100000) {
    if (x->generic && r->kind == VALUE_INT) n = unknown = 1;
    else {
      Diag *d = diag_add(x->diags, DIAG_LOOP_RANGE, s->range->span,
                         "`for` runs over sub-models or to an integer known at compile time");
      diag_help(d, "`scan t in T { }` is the loop over a tensor's index");
      *e = bind_failed(x, *e, s->body);
      return false;
    }
  }
  int most = parts->kind == VALUE_ARRAY ? 2 : 1;
  bool ok = s->items.n <= most;
  if (!ok) {
    Diag *d = diag_add(x->diags, DIAG_LOOP_RANGE, s->items.at[most]->span, "`for` has %s here",
                       most == 1 ? "one name" : "two names at the most");
    diag_help(d,
              most == 1 ? "`for i in N { … }` counts" : "`for k, part in parts { … }`: its number, and what it is");
  }
  for (int64_t i = 0; ok && i < n && !*result; i++) {
    if (!one_more(x, s->span, "for")) return false;
    Value *index = value_int(x, dim_const(x->ir, i), s->span);
    Env *inner = *e;
    int names = s->items.n;
    if (parts->kind == VALUE_ARRAY) {
      Value *item = parts == r ? r->items[i] : structure_item(x, r, (int)i, s->range->span);
      if (names == 2) inner = env_bind(x, inner, s->items.at[0]->name, index, s->items.at[0]->span);
      inner = env_bind(x, inner, s->items.at[names - 1]->name, item, s->items.at[names - 1]->span);
    } else {
      inner = env_bind(x, inner, s->items.at[0]->name, index, s->items.at[0]->span);
    }
    Env *body = inner;
    ok = elaborate_block(x, &body, s->body, result);
    *e = leave_block(x, *e, leave_block(x, inner, body));
  }
  if (unknown) *e = forget_changed(x, before, *e);
  if (!ok) *e = bind_failed(x, *e, s->body);
  return ok;
}

static bool local_function(Elaborator *x, Env **e, Ast *s) {
  check_function(x, s);
  Function *f = NEW(x->arena, Function);
  f->name = s->name;
  f->ast = s;
  f->module = x->module;
  f->env = *e;
  Value *v = value_new(x, VALUE_FUNCTION, s->name_span);
  v->function = f;
  *e = env_bind(x, *e, s->name, v, s->name_span);
  return true;
}

bool elaborate_statement(Elaborator *x, Env **e, Ast *s, Value **result) {
  switch ((AstKind)s->kind) {
  case AST_DEFINE: return define(x, e, s);
  case AST_DEFINE_AT: return define_at(x, e, s);
  case AST_UNPACK: return unpack(x, e, s);
  case AST_NEXT: return next(x, e, s);
  case AST_RETURN: return give_back(x, *e, s, result);
  case AST_IF: return choose_block(x, e, s, result);
  case AST_FOR: return loop(x, e, s, result);
  case AST_FN: return local_function(x, e, s);
  case AST_ERROR: return false;
  case AST_SCAN:
  case AST_REPEAT: return elaborate_scan(x, e, s);
  case AST_ASSERT:
    if (x->test && !x->calls.n && !x->loop) return test_assert(x, *e, s);
    diag_add(x->diags, DIAG_STATEMENT_HERE, s->span, "`assert` stands in a `test` block");
    return false;
  default: {
    if (s->kind == AST_STATE && x->loop) return scan_state(x, e, s);
    bool loops =
        x->drawn.n && !x->calls.n; /* in `train` the statements of a block are walked there: this is deeper */
    Diag *d = diag_add(x->diags, DIAG_STATEMENT_HERE, s->span, "%s does not belong in a %s", statement_title(x, s),
                       loops ? "loop" : "function");
    if (s->kind == AST_MINIMIZE || s->kind == AST_REPORT)
      diag_help(d, loops ? "write it out, once for each turn" : "it stands in a `train` block");
    bool a_state = s->kind == AST_STATE;
    if (s->kind == AST_PARAM || a_state) {
      diag_help(d, a_state ? "it stands in a model, or in a loop, `scan` or `repeat`" : "it stands in a model");
      *e = env_bind(x, *e, s->name, NULL, s->name_span);
    }
    return false;
  }
  }
}

bool elaborate_block(Elaborator *x, Env **e, Ast *block, Value **result) {
  bool ok = true;
  for (int i = 0; i < block->items.n; i++) {
    if (*result && i && block->items.at[i - 1]->kind != AST_RETURN) break; /* returned from a chosen branch */
    if (*result) {
      diag_add(x->diags, DIAG_AFTER_RETURN, block->items.at[i]->span, "nothing after `return` is reached");
      return false;
    }
    /* After a mistake its name stands for "reported": the rest is still checked, in silence where it depends on it.
     */
    ok = elaborate_statement(x, e, block->items.at[i], result) && ok;
  }
  return ok;
}

/* Whether there is a `return` in it, perhaps one that is not reached. */
static bool returns(const Ast *a) {
  if (a->kind == AST_RETURN) return true;
  if (a->kind == AST_FN) return false;
  for (int i = 0; i < ast_child_count(a); i++) {
    const Ast *c = ast_child(a, i);
    if (c && returns(c)) return true;
  }
  return false;
}

Value *elaborate_body(Elaborator *x, Env *e, Ast *body, const Type *expected, Span at) {
  StrList around = variables_enter(x, &e, body);
  Value *result = NULL;
  bool ok = true, block = body->kind == AST_BLOCK;
  if (block) {
    const Type *outer = x->result;
    x->result = expected;
    ok = elaborate_block(x, &e, body, &result);
    x->result = outer;
  } else {
    result = elaborate_expr_as(x, e, body, expected);
  }
  x->variables = around;
  if (block && !result && ok && !(x->generic && returns(body))) {
    Diag *d = diag_add(x->diags, DIAG_NO_RETURN, body->span, "this body returns nothing");
    if (at.source) diag_place(d, at, "called here");
  }
  return result;
}
