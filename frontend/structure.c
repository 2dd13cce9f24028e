/* structure.c - structures: a value for each parameter of a model, under the parameters' names.
 *
 * An instance that is computed with stands for what its parameters are at that moment, trained and frozen ones;
 * `grad(e, net)` gives one value for each. Operators and functions of scalars go through such values parameter by
 * parameter, reductions go over all of it, and a function of a vector `float[N]` takes one as the vector of all its
 * numbers, as long as it asks for none of them by an index. A structure keeps no layout: nothing is copied.
 *
 * Called like its instance, a structure is what the parameters are during the call.
 *
 * Two structures belong together if their parameters have the same names, below their instances, and shapes. */
#include "frontend/value.h"

#include <string.h>

static bool lists_instances(const Value *v) {
  bool all = v->kind == VALUE_ARRAY && v->n > 0;
  for (int i = 0; all && i < v->n; i++)
    all = v->items[i] && (v->items[i]->kind == VALUE_INSTANCE || lists_instances(v->items[i]));
  return all;
}

bool value_is_structure(const Value *v) {
  return v->kind == VALUE_STRUCTURE || v->kind == VALUE_INSTANCE || lists_instances(v);
}

/* ---- what parameters there are ---- */

typedef struct Leaves {
  Vec(Value *) values;
  Vec(Str) names;
  Vec(int) tensors; /* in Program.tensors; of generic code -1 */
} Leaves;

static void add_leaf(Elaborator *x, Leaves *l, Value *v, Str name, int tensor) {
  for (int i = 0; i < l->values.n; i++) /* one that is shared is there once */
    if (tensor >= 0 ? l->tensors.at[i] == tensor : l->values.at[i] == v) return;
  vec_push(x->arena, &l->values, v);
  vec_push(x->arena, &l->names, name);
  vec_push(x->arena, &l->tensors, tensor);
}

static void find_leaves(Elaborator *x, Leaves *l, Value *v, const char *path, Span at) {
  for (int i = 0; v->kind == VALUE_ARRAY && i < v->n; i++)
    find_leaves(x, l, v->items[i], str_internf(x->strings, "%s%d.", path, i), at);
  for (int i = 0; v->kind == VALUE_INSTANCE && i < v->instance->members.n; i++) {
    const InstanceMember *m = &v->instance->members.at[i];
    Str name = str_internf(x->strings, "%s%s", path, m->name);
    bool param = m->ast->kind == AST_PARAM;
    if (m->kind == MEMBER_PARAM) add_leaf(x, l, tensor_current(x, m->tensor, at), name, m->tensor);
    else if (param && m->value) add_leaf(x, l, m->value, name, -1); /* of generic code */
    else if (m->kind == MEMBER_VALUE && m->value && (m->value->kind == VALUE_INSTANCE || lists_instances(m->value)))
      find_leaves(x, l, m->value, str_internf(x->strings, "%s.", name), at);
  }
}

Value *structure_with(Elaborator *x, const Value *like, Value **items, Span at) {
  Value *v = value_new(x, VALUE_STRUCTURE, at);
  v->n = like->n;
  v->names = like->names;
  v->tensors = like->tensors;
  v->of = like->of;
  v->lead = like->lead;
  v->items = items;
  return v;
}

Value *structure_of(Elaborator *x, Value *v, Span at) {
  if (v->kind == VALUE_STRUCTURE) return v;
  Leaves l = {0};
  find_leaves(x, &l, v, "", at);
  Value like = {.n = l.values.n, .names = l.names.at, .tensors = l.tensors.at, .of = v};
  return structure_with(x, &like, l.values.at, at);
}

Value *structure_state_now(Elaborator *x, const Value *state, Span at) {
  Value **items = NEW_ARRAY(x->arena, Value *, state->n + 1);
  for (int i = 0; i < state->n; i++) items[i] = tensor_current(x, state->states[i], at);
  Value *v = structure_with(x, state, items, at);
  v->states = state->states;
  return v;
}

static int leaf_of(const Value *s, const InstanceMember *m) {
  for (int i = 0; i < s->n; i++)
    if (m->kind == MEMBER_PARAM ? s->tensors[i] == m->tensor : m->value && !strcmp(s->names[i], m->name)) return i;
  return -1;
}

/* The part of s that belongs to `of`, which is a part of what s belongs to. */
static Value *part(Elaborator *x, const Value *s, Value *of, const char *path, Span at) {
  Leaves l = {0};
  find_leaves(x, &l, of, path, at);
  Value **items = NEW_ARRAY(x->arena, Value *, l.values.n + 1);
  size_t below = strlen(path);
  for (int i = 0; i < l.values.n; i++) {
    for (int k = 0; k < s->n; k++)
      if (l.tensors.at[i] >= 0 ? s->tensors[k] == l.tensors.at[i] : s->names[k] == l.names.at[i])
        items[i] = s->items[k];
    l.names.at[i] = str_internz(x->strings, l.names.at[i] + below);
  }
  Value like = {.n = l.values.n, .names = l.names.at, .tensors = l.tensors.at, .of = of, .lead = s->lead};
  return structure_with(x, &like, items, at);
}

Value *structure_member(Elaborator *x, Value *s, Str name, Span at) {
  if (s->of->kind != VALUE_INSTANCE) {
    diag_add(x->diags, DIAG_NO_MEMBER, at, "%s have no part `%s`", value_type_text(x, s), name);
    return NULL;
  }
  Instance *of = s->of->instance;
  for (int k = 0; k < of->members.n; k++) {
    const InstanceMember *m = &of->members.at[k];
    if (m->name != name) continue;
    int i = m->ast->kind == AST_PARAM ? leaf_of(s, m) : -1;
    if (i >= 0) return s->items[i];
    if (m->kind == MEMBER_VALUE && m->value && value_is_structure(m->value))
      return part(x, s, m->value, str_internf(x->strings, "%s.", name), at);
    if (m->kind == MEMBER_FUNCTION) {
      Value *f = value_new(x, VALUE_FUNCTION, at);
      f->function = m->value->function;
      f->of = s;
      return f;
    }
  }
  Diag *d = diag_add(x->diags, DIAG_NO_MEMBER, at, "%s have no part `%s`", value_type_text(x, s), name);
  diag_help(d, "it has a value for each parameter of the model, and its functions");
  return NULL;
}

Value *structure_item(Elaborator *x, Value *s, int i, Span at) {
  return part(x, s, s->of->items[i], str_internf(x->strings, "%d.", i), at);
}

static void say_lead(Elaborator *x, const Value *s, Span at) {
  Diag *d = diag_add(x->diags, DIAG_STRUCTURES, at, "one of %s is wanted", value_type_text(x, s));
  diag_help(d, "name which, as `[b] => f(g[b])`");
}

Value *structure_call(Elaborator *x, Value *s, Function *f, int n, CallArg *args, Span at) {
  if (s->lead) return say_lead(x, s, at), NULL;
  Value **before = NEW_ARRAY(x->arena, Value *, s->n + 1);
  for (int i = 0; i < s->n; i++)
    if (s->tensors[i] >= 0) before[i] = tensor_assign(x, s->tensors[i], s->items[i]);
  Value *r = f ? call_function(x, f, n, args, at) : instance_call(x, s->of->instance, n, args, at);
  for (int i = 0; i < s->n; i++)
    if (s->tensors[i] >= 0) tensor_assign(x, s->tensors[i], before[i]);
  return r;
}

/* ---- arithmetic ---- */

/* What keeps two structures from belonging together: the first parameter that one lacks or that differs; -1: nothing.
 */
static int first_difference(const Value *a, const Value *b) {
  for (int i = 0; i < a->n && i < b->n; i++) {
    bool same = a->names[i] == b->names[i] && a->items[i]->rank == b->items[i]->rank;
    for (int d = 0; same && d < a->items[i]->rank; d++) same = a->items[i]->shape[d] == b->items[i]->shape[d];
    if (!same) return i;
  }
  return a->n == b->n ? -1 : a->n < b->n ? a->n : b->n;
}

static const char *leaf_text(Elaborator *x, const Value *s, int i) {
  return i < s->n ? arena_printf(x->arena, "`%s: %s`", s->names[i], value_type_text(x, s->items[i])) : "nothing more";
}

bool structures_agree(Elaborator *x, const Value *a, const Value *b, Span at) {
  int i = first_difference(a, b);
  if (i < 0) return true;
  Diag *d = diag_add(x->diags, DIAG_STRUCTURES, at, "%s and %s differ", value_type_text(x, a), value_type_text(x, b));
  diag_label(d, "%s on one side, %s on the other", leaf_text(x, a, i), leaf_text(x, b, i));
  return false;
}

Value *structure_map(Elaborator *x, int n, Value **args, LeafFunction *f, const void *cx, Span at) {
  Value **s = NEW_ARRAY(x->arena, Value *, n), **of = NEW_ARRAY(x->arena, Value *, n), *first = NULL;
  for (int i = 0; i < n; i++) {
    s[i] = args[i];
    if (value_is_structure(args[i])) {
      s[i] = structure_of(x, args[i], at);
      if (first && !structures_agree(x, first, s[i], at)) return NULL;
      if (!first) first = s[i];
    } else if (args[i]->kind == VALUE_TENSOR && args[i]->rank) {
      Diag *d = diag_add(x->diags, DIAG_STRUCTURES, at, "a tensor, %s, meets the parameters of a model",
                         value_type_text(x, args[i]));
      diag_help(d, "with these go numbers, and values of a model with the same parameters");
      return NULL;
    }
  }
  Value **items = NEW_ARRAY(x->arena, Value *, first->n + 1);
  for (int k = 0; k < first->n; k++) {
    for (int i = 0; i < n; i++) of[i] = s[i]->kind == VALUE_STRUCTURE ? s[i]->items[k] : s[i];
    if (!(items[k] = f(x, n, of, cx, at))) return NULL;
  }
  return structure_with(x, first, items, at);
}

/* ---- all of it ---- */

static Dim *elements(Elaborator *x, const Value *s) {
  Dim *n = dim_const(x->ir, 0);
  for (int i = 0; i < s->n; i++) {
    Dim *own = dim_const(x->ir, 1);
    for (int d = 0; d < s->items[i]->rank; d++) own = dim_mul(x->ir, own, s->items[i]->shape[d]);
    n = dim_add(x->ir, n, own);
  }
  return n;
}

Value *structure_reduce(Elaborator *x, Str name, Value *v, Span at) {
  static const struct {
    const char *word;
    ScalarOp op; /* of the parts' results */
  } rows[] = {{"sum", OP_add}, {"mean", OP_add}, {"count", OP_add}, {"prod", OP_mul},
              {"max", OP_max}, {"min", OP_min},  {"any", OP_or},    {"all", OP_and}};
  Value *s = structure_of(x, v, at), *total = NULL;
  size_t row = 0;
  while (row < sizeof rows / sizeof *rows && strcmp(rows[row].word, name)) row++;
  if (row == sizeof rows / sizeof *rows || !s->n) {
    diag_add(x->diags, DIAG_WRONG_TYPE, at, "%s of %s", name, value_type_text(x, v));
    return NULL;
  }
  bool mean = !strcmp(name, "mean"), is;
  Str word = mean ? str_internz(x->strings, "sum") : name;
  for (int i = 0; i < s->n; i++) {
    Value *part = reduce_call(x, word, s->items[i], at, &is);
    if (part && total) part = elaborate_scalar_row(x, rows[row].op, 2, (Value *[]){total, part}, at);
    if (!(total = part)) return NULL;
  }
  return mean ? elaborate_binary(x, OP_DIV, total, value_int(x, elements(x, s), at), at) : total;
}

/* ---- as an argument ---- */

bool structure_is_of(const Value *v, const Decl *model) {
  const Value *of = v->kind == VALUE_STRUCTURE ? v->of : v;
  return of->kind == VALUE_INSTANCE && of->instance->model->ast == model->ast && !v->lead;
}

/* `float[N]`: one dimension that is a name. */
static const Ast *vector_of(const Ast *type) {
  const Ast *n = type->kind == AST_TYPE && !type->bound && type->shape && type->shape->items.n == 1
                     ? type->shape->items.at[0]
                     : NULL;
  return n && n->kind == AST_NAME && is_dimension_name(n->name) ? n : NULL;
}

Value *structure_match(Elaborator *x, Env **e, Ast *type, Value *v, Span at, const char *what) {
  const Ast *n = vector_of(type);
  Value *s = structure_of(x, v, at);
  if (s->lead) return say_lead(x, s, at), NULL;
  Value *number = s->n ? s->items[0] : NULL;
  bool fits = n && number;
  if (fits) {
    const Env *known = env_find(*e, n->name);
    Dim *all = elements(x, s);
    if (!known) *e = env_bind(x, *e, n->name, value_int(x, all, at), n->span);
    else fits = known->value && known->value->kind == VALUE_INT && known->value->dim == all;
  }
  Ast scalar = *type;
  scalar.shape = NULL;
  for (int i = 0; fits && i < s->n; i++) { /* each part is of this element type */
    Value element = *s->items[i];
    element.rank = 0;
    element.expr = expr_real(x->ir, element.dtype, 0);
    if (!type_match(x, e, &scalar, &element, 0, at, what)) return NULL;
  }
  if (fits) return s;
  Diag *d = diag_add(x->diags, DIAG_STRUCTURES, at, "%s would be %s", what, value_type_text(x, s));
  if (type->span.source && is_users(x, type->span)) diag_place(d, type->span, "and this is wanted");
  diag_help(d, "it goes where a number, a vector `float[N]`, or the model's name is declared");
  return NULL;
}

/* ---- `teacher <- ...` ---- */

/* Whether each parameter may be given a next value: those of frozen instances. */
static bool may_change(Elaborator *x, const Value *s, Span at) {
  for (int i = 0; i < s->n && !s->states; i++) {
    if (s->tensors[i] < 0) continue;
    const ProgramTensor *p = &x->program->tensors.at[s->tensors[i]];
    if (p->role == ROLE_frozen) continue;
    Diag *d = diag_add(x->diags, DIAG_NOT_A_STATE, at, "`<-` would change `%s`, which is trained", p->name);
    if (is_users(x, p->span)) diag_place(d, p->span, "declared here");
    diag_help(d,
              "a frozen instance takes next values, `teacher = Net() frozen`; what is trained changes by `minimize`");
    return false;
  }
  return true;
}

bool structure_next(Elaborator *x, Value *target, Value *v, Ast *a) {
  Value *now = structure_of(x, target, a->target->span);
  if (!may_change(x, now, a->target->span)) return false;
  if (!value_is_structure(v)) {
    Diag *d = diag_add(x->diags, DIAG_STRUCTURES, a->value->span, "%s are to become %s", value_type_text(x, now),
                       value_type_text(x, v));
    diag_help(d, "its next value has a part for each parameter: `0 * net` for zeros");
    return false;
  }
  v = structure_of(x, v, a->value->span);
  if (!structures_agree(x, now, v, a->value->span)) return false;
  for (int i = 0; i < now->n; i++) {
    int tensor = now->states ? now->states[i] : now->tensors[i];
    if (tensor < 0) continue; /* generic code */
    InstanceMember *m = NEW(x->arena, InstanceMember);
    *m = (InstanceMember){.name = now->names[i], .kind = MEMBER_STATE, .tensor = tensor, .ast = a};
    Value *next = value_coerce(x, v->items[i], now->items[i]->dtype, a->value->span);
    if (!next || !give_next(x, m, next, a->span)) return false;
  }
  return true;
}
