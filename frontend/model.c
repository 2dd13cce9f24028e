/* model.c - instances of models: members, full names, parameters, and what a parameter's value is at each moment. */
#include "frontend/value.h"

#include "ir/derive.h"

#include <string.h>

typedef struct TensorName {
  Str name;
  int tensor;
} TensorName;

static bool names_tensor(const void *name, const void *object) { return ((const TensorName *)object)->name == name; }

int tensor_find(Elaborator *x, Str name) {
  const TensorName *t = intern_find(&x->tensors, hash_mix(0, (uint64_t)(uintptr_t)name), names_tensor, name);
  return t ? t->tensor : -1;
}

int tensor_declare(Elaborator *x, Str name, TensorRole role, const Type *t, Span at) {
  ProgramTensor p = {.name = name, .role = role, .dtype = t->dtype, .rank = t->rank, .span = at};
  p.shape = NEW_ARRAY(x->arena, int64_t, t->rank + 1);
  for (int i = 0; i < t->rank; i++)
    if (!dim_is_const(t->shape[i], &p.shape[i])) {
      diag_add(x->diags, DIAG_OPEN_PARAM, at, "the dimension %s of `%s` is open at run time; it must be a number",
               dim_text(x->arena, t->shape[i]), name);
      return -1;
    }
  if (t->bound) dim_is_const(t->bound, &p.bound);
  vec_push(x->arena, &x->program->tensors, p);
  TensorName *named = NEW(x->arena, TensorName);
  *named = (TensorName){name, x->program->tensors.n - 1};
  intern_add(&x->tensors, x->arena, hash_mix(0, (uint64_t)(uintptr_t)name), named);
  return named->tensor;
}

Type tensor_type(Elaborator *x, int tensor) {
  const ProgramTensor *p = &x->program->tensors.at[tensor];
  Type t = {.dtype = p->dtype, .rank = p->rank, .shape = NEW_ARRAY(x->arena, Dim *, p->rank + 1)};
  for (int i = 0; i < p->rank; i++) t.shape[i] = dim_const(x->ir, p->shape[i]);
  if (p->bound) t.bound = dim_const(x->ir, p->bound);
  return t;
}

static Current *current_of(Elaborator *x, int tensor) {
  while (x->places.n <= tensor) vec_push(x->arena, &x->places, 0);
  int place = x->places.at[tensor];
  if (place) return &x->current.at[place - 1];
  const ProgramTensor *p = &x->program->tensors.at[tensor];
  const Type t = tensor_type(x, tensor);
  bool param = p->role == ROLE_param || p->role == ROLE_frozen;
  Node *n = param ? graph_param(x->graph, p->name, t.dtype, t.rank, t.shape, p->span)
                  : graph_state(x->graph, p->name, t.dtype, t.rank, t.shape, p->span);
  n->trained = p->role == ROLE_param;
  vec_push(x->arena, &x->current, (Current){.source = n});
  x->places.at[tensor] = x->current.n;
  return &x->current.at[x->current.n - 1];
}

Node *tensor_source(const Elaborator *x, int tensor) {
  int place = tensor < x->places.n ? x->places.at[tensor] : 0;
  return place ? x->current.at[place - 1].source : NULL;
}

Value *tensor_current(Elaborator *x, int tensor, Span at) {
  if (x->repeat && x->program->tensors.at[tensor].role == ROLE_state) repeat_carry_state(x, tensor, at);
  Current *c = current_of(x, tensor);
  Value *v = c->value ? c->value : value_node(x, c->source, at);
  bool written = c->value && x->program->tensors.at[tensor].role == ROLE_state && !x->repeat;
  if (written && dtype_is_float(v->dtype)) v = elaborate_scalar_row(x, OP_stop, 1, &v, at);
  if (!v || v->bound || !x->program->tensors.at[tensor].bound) return v;
  v = value_at(x, v, v->span); /* what it is given is below the bound, and what it is loaded as */
  v->bound = dim_const(x->ir, x->program->tensors.at[tensor].bound);
  return v;
}

/* The node that is all of v; NULL: there is none yet. */
static Node *whole_node(const Value *v) {
  if (v->rank) return v->nprefix ? NULL : v->node;
  return v->expr && v->expr->kind == EXPR_READ && !v->expr->node->rank ? v->expr->node : NULL;
}

Value *tensor_assign(Elaborator *x, int tensor, Value *v) {
  Current *c = current_of(x, tensor);
  Value *before = c->value;
  x->assigned++;
  Node *node = before ? whole_node(before) : NULL;
  if (node) vec_push(x->arena, &c->was, node);
  c->value = v;
  return before;
}

Node *tensor_when(Elaborator *x, Node *value, Node *now) {
  const Current *c = NULL;
  for (int i = 0; i < x->current.n && !c; i++)
    if (x->current.at[i].value && whole_node(x->current.at[i].value) == now) c = &x->current.at[i];
  if (!c || derive_depends(x->graph, value, now)) return now;
  for (int i = c->was.n - 1; i >= 0; i--)
    if (derive_depends(x->graph, value, c->was.at[i])) return c->was.at[i];
  return derive_depends(x->graph, value, c->source) ? c->source : now;
}

/* ---- instances ---- */

static void add_member(Elaborator *x, Instance *i, InstanceMember m, Value *v, Span at) {
  for (int k = 0; k < i->members.n; k++)
    if (i->members.at[k].name == m.name) {
      Diag *d = diag_add(x->diags, DIAG_TWICE, at, "`%s` is a member of `%s` already", m.name, i->model->name);
      const Ast *first = i->members.at[k].ast;
      if (first) diag_place(d, first->name_span, "the first is here");
      i->members.at[k].kind = MEMBER_VALUE; /* which of them is meant nobody knows */
      i->members.at[k].value = NULL;
      return;
    }
  vec_push(x->arena, &i->members, m);
  i->env = env_bind(x, i->env, m.name, v, at);
}

/* A member with a mistake: what reads it is silent. */
static void fail_member(Elaborator *x, Instance *i, const Ast *a) {
  add_member(x, i, (InstanceMember){.name = a->name, .kind = MEMBER_VALUE, .ast = (Ast *)a}, NULL, a->name_span);
}

/* The same for all that a block would define. */
static void fail_members(Elaborator *x, Instance *i, const Ast *block) {
  for (int k = 0; k < ast_child_count(block); k++) {
    const Ast *a = ast_child(block, k);
    bool defines = a && a->name &&
                   (a->kind == AST_DEFINE || a->kind == AST_DEFINE_AT || a->kind == AST_PARAM ||
                    a->kind == AST_STATE || a->kind == AST_FN);
    bool known = false;
    for (int m = 0; defines && m < i->members.n; m++) known = known || i->members.at[m].name == a->name;
    if (defines && !known) fail_member(x, i, a);
    else if (a && !defines) fail_members(x, i, a);
  }
}

static Str member_path(Elaborator *x, Instance *i, Str name) {
  if (i->suffix) name = str_internf(x->strings, "%s%s", name, i->suffix);
  return i->path && i->path[0] ? str_internf(x->strings, "%s.%s", i->path, name) : name;
}

static void member_tensor(Elaborator *x, Instance *i, Ast *a, bool is_state) {
  Type t = {.dtype = float_default(x)};
  if (is_broken(x, a) || (a->type && !type_resolve(x, i->env, a->type, &t))) {
    fail_member(x, i, a);
    return;
  }
  Str path = member_path(x, i, a->name);
  Str full = is_state ? str_internf(x->strings, "state/%s", path) : path;
  InstanceMember m = {.name = a->name, .kind = is_state ? MEMBER_STATE : MEMBER_PARAM, .ast = a};
  if (x->generic) {
    Value *first = a->flags & AST_DRAW ? elaborate_draw(x, i->env, a->value, &t, full, a->span)
                                       : elaborate_expr_as(x, i->env, a->value, a->type ? &t : NULL);
    if (!first && !a->type) {
      vec_push(x->kept, &x->broken, a);
      fail_member(x, i, a);
      return;
    }
    m.kind = is_state ? MEMBER_STATE : MEMBER_VALUE;
    m.value = value_node(x, graph_param(x->graph, full, t.dtype, t.rank, t.shape, a->span), a->span);
    m.value->bound = t.bound;
    add_member(x, i, m, m.value, a->name_span);
    return;
  }
  bool frozen = i->frozen || (a->flags & AST_FROZEN);
  if (x->suffixed && tensor_find(x, full) >= 0) {
    Diag *d = diag_add(x->diags, DIAG_TWICE, a->name_span, "two tensors would be called `%s`", full);
    diag_help(d, "`{}` in the text after `as` stands for an instance's number");
    return;
  }
  m.tensor = tensor_declare(x, full, is_state ? ROLE_state : frozen ? ROLE_frozen : ROLE_param, &t, a->name_span);
  if (m.tensor < 0) {
    fail_member(x, i, a);
    return;
  }
  x->program->tensors.at[m.tensor].nodecay = (a->flags & AST_NODECAY) != 0;
  vec_push(x->arena, &x->inits,
           (Init){.tensor = m.tensor, .env = i->env, .ast = a, .path = full, .module = x->module});
  /* Bodies find it through the instance (member_value), since its value changes during a walk. */
  Value *v = value_new(x, VALUE_TENSOR, a->name_span);
  v->n = m.tensor + 1;
  add_member(x, i, m, v, a->name_span);
}

static void member_function(Elaborator *x, Instance *i, Ast *a) {
  check_function(x, a);
  Function *f = NEW(x->arena, Function);
  f->name = a->name;
  f->ast = a;
  f->self = i;
  f->module = x->module;
  Value *v = value_new(x, VALUE_FUNCTION, a->name_span);
  v->function = f;
  add_member(x, i, (InstanceMember){.name = a->name, .kind = MEMBER_FUNCTION, .value = v, .ast = a}, v, a->name_span);
}

/* ---- several instances ---- */

typedef struct Naming { /* of the instances that a definition makes */
  const Instance *in;   /* whose member it is; NULL: of a file */
  Env *env;             /* what the definition sees */
  Str path;
  Str as; /* what follows the names of their parameters, which are then `in`'s; NULL */
} Naming;

/* The model that is called; NULL: it is something else. */
static const Value *model_called(Elaborator *x, Env *e, const Ast *call) {
  if (call->kind != AST_CALL) return NULL;
  Ast *name = call->callee;
  const Value *callee = name->kind == AST_NAME ? name_find(x, e, name->name, name->span) : NULL;
  if (name->kind == AST_MEMBER) callee = elaborate_expr(x, e, name);
  return callee && callee->kind == VALUE_MODEL ? callee : NULL;
}

/* `_l{}_reverse` with the number in the place of the brackets. */
static Str with_number(Elaborator *x, Str text, int k) {
  const char *at = strstr(text, "{}");
  return at ? str_internf(x->strings, "%.*s%d%s", (int)(at - text), text, k, at + 2) : text;
}

static Value *made(Elaborator *x, const Naming *n, Env *e, Ast *a, int k) {
  Str suffix = x->suffix;
  x->naming = n->as ? n->in->path : k < 0 ? n->path : str_internf(x->strings, "%s.%d", n->path, k);
  x->suffix = n->as ? with_number(x, n->as, k) : NULL;
  x->suffixed = x->suffixed || n->as;
  if (x->suffix && n->in->suffix) x->suffix = str_internf(x->strings, "%s%s", x->suffix, n->in->suffix);
  Value *v = elaborate_expr(x, e, a);
  x->suffix = suffix;
  return v;
}

/* How many, one where generic code does not know; -1 after a message. */
static int copies(Elaborator *x, Env *e, Ast *number, bool *unknown) {
  Dim *n = dim_of(x, e, number);
  int64_t count = 1;
  if (!n) return -1;
  *unknown = !dim_is_const(n, &count);
  if (count >= 0 && count <= 10000) return (int)count;
  diag_add(x->diags, DIAG_LOOP_RANGE, number->span, "%lld copies", (long long)count);
  return -1;
}

/* `Model(args) * n`; or `[k < n] => Model(args)`, k having its number in each. */
static Value *copies_of(Elaborator *x, const Naming *n, Env *e, Ast *call, Ast *number, const Ast *index, Span at) {
  Value *v = value_new(x, VALUE_ARRAY, at);
  if ((v->n = copies(x, e, number, &v->unknown)) < 0) return NULL;
  v->items = NEW_ARRAY(x->arena, Value *, v->n + 1);
  for (int k = 0; k < v->n; k++) {
    Value *which = index ? value_int(x, dim_const(x->ir, k), index->span) : NULL;
    Env *inner = index ? env_bind(x, e, index->name, which, index->span) : e;
    if (!(v->items[k] = made(x, n, inner, call, k))) return NULL;
  }
  return v;
}

static const Ast *counted_index(const Ast *a) {
  const Ast *item = a->items.n == 1 ? a->items.at[0] : NULL;
  return item && item->kind == AST_BINARY && item->op == OP_LT && item->left->kind == AST_NAME ? item : NULL;
}

/* `name = Model(args)`, `Model(args) * n`, `[k < n] => Model(args)`, `[A(), B()]`: instances named by their place. */
static Value *member_instances(Elaborator *x, const Naming *n, Ast *a) {
  Env *e = n->env;
  if (a->kind == AST_BINARY && a->op == OP_MUL && model_called(x, e, a->left))
    return copies_of(x, n, e, a->left, a->right, NULL, a->span);
  const Ast *counted = a->kind == AST_COMPREHENSION ? counted_index(a) : NULL;
  if (counted && model_called(x, e, a->body))
    return copies_of(x, n, e, a->body, counted->right, counted->left, a->span);
  if (a->kind == AST_ARRAY && a->items.n && a->items.at[0]->kind == AST_CALL) {
    Value **items = NEW_ARRAY(x->arena, Value *, a->items.n);
    for (int k = 0; k < a->items.n; k++)
      if (!(items[k] = made(x, n, e, a->items.at[k], k))) return NULL;
    return literal_array(x, a, items);
  }
  return made(x, n, e, a, -1);
}

Value *instances_named(Elaborator *x, const Instance *in, Env *e, const Ast *a, Str path) {
  Str naming = x->naming;
  Value *v = member_instances(x, &(Naming){in, e, path, a->text}, a->value);
  x->naming = naming;
  bool none = v && v->kind == VALUE_ARRAY && !v->n; /* `Model(args) * 0` */
  if (!v || !a->text || none || value_is_structure(v)) return v;
  diag_add(x->diags, DIAG_WRONG_TYPE, a->span, "`as` says how instances of a model are named, and this is %s",
           value_type_text(x, v));
  return NULL;
}

/* Does what the flags say to the parameters of an instance or of several. False: v is something else. */
static bool mark_instances(Elaborator *x, Value *v, uint32_t flags) {
  if (v->kind == VALUE_ARRAY) {
    bool all = true;
    for (int i = 0; i < v->n; i++) all = v->items[i] && mark_instances(x, v->items[i], flags) && all;
    return all;
  }
  if (v->kind != VALUE_INSTANCE) return false;
  if (flags & AST_FROZEN) v->instance->frozen = true;
  for (int k = 0; k < v->instance->members.n; k++) {
    InstanceMember *m = &v->instance->members.at[k];
    if (m->kind == MEMBER_VALUE && m->value && (m->value->kind == VALUE_INSTANCE || m->value->kind == VALUE_ARRAY))
      mark_instances(x, m->value, flags);
    if (m->kind != MEMBER_PARAM) continue;
    ProgramTensor *p = &x->program->tensors.at[m->tensor];
    if (flags & AST_FROZEN) p->role = ROLE_frozen;
    if (flags & AST_NODECAY) p->nodecay = true;
  }
  return true;
}

void mark_as_said(Elaborator *x, const Ast *a, Value *v) {
  if (!(a->flags & (AST_FROZEN | AST_NODECAY)) || mark_instances(x, v, a->flags)) return;
  const char *word = a->flags & AST_FROZEN ? "frozen" : "nodecay";
  Diag *d = diag_add(x->diags, DIAG_WRONG_TYPE, a->span, "`%s` stands after an instance of a model, and this is %s",
                     word, value_type_text(x, v));
  diag_help(d, "leave it out: only parameters are trained");
}

bool members_taken(Elaborator *x, Env *e, Ast *a, Ast **taken) {
  Value *c = elaborate_expr(x, e, a->cond);
  if (!c) return false;
  if (c->kind != VALUE_FLAG) {
    diag_add(x->diags, DIAG_RUN_TIME_IF, a->cond->span, "members are chosen at compile time, and this is %s",
             value_type_text(x, c));
    return false;
  }
  *taken = c->truth || c->unknown ? a->then : a->otherwise;
  return true;
}

static void member_definition(Elaborator *x, Instance *i, Ast *a) {
  if (!a->value) {
    say_no_value(x, a);
    return;
  }
  Value *v = defined_value(x, i, i->env, a, member_path(x, i, a->name));
  v = dimension_value(x, i->env, a, v);
  if (v && !outlives_graph(v)) v = value_of_each_graph(x, v, i, a);
  add_member(x, i, (InstanceMember){.name = a->name, .kind = MEMBER_VALUE, .value = v, .ast = a}, v, a->name_span);
}

static void walk_members(Elaborator *x, Instance *i, Ast *block);

static void walk_member(Elaborator *x, Instance *i, Ast *a) {
  switch ((AstKind)a->kind) {
  case AST_PARAM: member_tensor(x, i, a, false); break;
  case AST_STATE: member_tensor(x, i, a, true); break;
  case AST_FN: member_function(x, i, a); break;
  case AST_DEFINE:
  case AST_DEFINE_AT: member_definition(x, i, a); break;
  case AST_IF: {
    Ast *taken = NULL;
    if (!members_taken(x, i->env, a, &taken)) fail_members(x, i, a);
    if (taken && taken->kind == AST_IF) walk_member(x, i, taken);
    else if (taken) walk_members(x, i, taken);
    break;
  }
  case AST_ERROR: break;
  default: {
    Diag *d = diag_add(x->diags, DIAG_STATEMENT_HERE, a->span, "%s is no member of a model", statement_title(x, a));
    diag_help(d, "members are sub-models and constants (`name = ...`), param, state and fn");
    fail_members(x, i, a);
  }
  }
}

static void walk_members(Elaborator *x, Instance *i, Ast *block) {
  for (int k = 0; k < block->items.n; k++) walk_member(x, i, block->items.at[k]);
}

/* Instances that are given to a model belong to it, as they do to others. */
static void take_arguments(Elaborator *x, Instance *i) {
  const AstList *params = &i->model->ast->params->items;
  for (int p = 0; p < params->n; p++) {
    const Env *b = env_find(i->env, params->at[p]->name);
    if (b && b->value && b->value->kind != VALUE_STRUCTURE && value_is_structure(b->value))
      vec_push(x->arena, &i->members,
               (InstanceMember){.name = b->name, .kind = MEMBER_VALUE, .value = b->value, .ast = params->at[p]});
  }
}

Value *instance_new(Elaborator *x, ModelDecl *m, int n, CallArg *args, Str path, Span at) {
  if (m->recursive) return NULL;
  if (m->busy) {
    m->recursive = true;
    diag_add(x->diags, DIAG_RECURSION, at, "%s `%s` cannot contain another one, itself or in a part",
             article(m->name), m->name);
    return NULL;
  }
  Module *module = x->module;
  int errors = x->diags->errors, before = x->diags->all.n;
  vec_push(x->kept, &x->calls, (CallPlace){at, m->name, NULL});
  x->module = m->module;
  Instance *i = NEW(x->arena, Instance);
  i->model = m;
  i->path = path;
  i->suffix = x->suffix;
  x->suffix = NULL;
  Value *v = value_new(x, VALUE_INSTANCE, at);
  v->instance = i;
  Env *outer = env_bind(x, NULL, str_internz(x->strings, "$self"), v, at);
  i->env = bind_parameters(x, outer, m->ast->params, n, args, at, m->name);
  m->busy = true;
  if (i->env) take_arguments(x, i);
  if (i->env) walk_members(x, i, m->ast->body);
  m->busy = false;
  for (int k = 0; k < i->members.n; k++) /* a function sees every member, whatever the order */
    if (i->members.at[k].kind == MEMBER_FUNCTION) i->members.at[k].value->function->env = i->env;
  x->suffix = i->suffix;
  x->module = module;
  x->calls.n--;
  blame_use(x, before, at, m->name);
  return i->env && errors == x->diags->errors ? v : NULL;
}

/* What layers of other libraries have as methods. */
static const char *instance_habit(Elaborator *x, Str name) {
  static const struct {
    const char *names, *help;
  } rows[] = {
      {" parameters named_parameters ",
       "an instance stands for all its parameters: `minimize loss over net with Adam()`"},
      {" to cuda cpu ", "where a program runs is said when it is compiled, `nnc --target=cuda`"},
      {" train eval requires_grad_ ", "`training` is true in what `minimize` derives and false elsewhere; `frozen` "
                                      "after an instance keeps it as it is"},
      {" state_dict load_state_dict ",
       "`net = Net() from \"base.safetensors\"` starts from a file's weights; a training writes its own"},
  };
  const char *word = arena_printf(x->arena, " %s ", name);
  for (size_t k = 0; k < sizeof rows / sizeof *rows; k++)
    if (strstr(rows[k].names, word)) return rows[k].help;
  return NULL;
}

Value *instance_member(Elaborator *x, Instance *i, Str name, Span at) {
  for (int k = i->members.n - 1; k >= 0; k--) {
    InstanceMember *m = &i->members.at[k];
    if (m->name != name) continue;
    if (m->kind == MEMBER_PARAM || (m->kind == MEMBER_STATE && !m->value)) return tensor_current(x, m->tensor, at);
    return value_settled(x, m->value, at);
  }
  if (said_unknown(x, name, at)) return NULL; /* a member that the model names and does not have */
  Diag *d = diag_add(x->diags, DIAG_NO_MEMBER, at, "%s `%s` has no member `%s`", article(i->model->name),
                     i->model->name, name);
  Nearest near = {name, 3, NULL, false};
  for (int k = 0; k < i->members.n; k++) nearest_consider(&near, i->members.at[k].name);
  const char *habit = near.found ? NULL : instance_habit(x, name);
  if (habit) diag_help(d, "%s", habit);
  else diag_meant(d, at, near.found);
  return NULL;
}

Value *instance_call(Elaborator *x, Instance *i, int n, CallArg *args, Span at) {
  for (int k = 0; k < i->members.n; k++) {
    if (strcmp(i->members.at[k].name, "forward") != 0) continue;
    if (i->members.at[k].kind == MEMBER_VALUE && !i->members.at[k].value) return NULL; /* said where it is defined */
    if (i->members.at[k].kind == MEMBER_FUNCTION) {
      Frame *frame = frame_enter(x, i->path && i->path[0] ? i->path : i->model->name);
      Value *v = call_function(x, i->members.at[k].value->function, n, args, at);
      x->frame = frame;
      return v;
    }
  }
  const char *message = arena_printf(x->arena, "`%s` has no function `forward` to call", i->model->name);
  Diag *d = say_of_definition(x, DIAG_NOT_CALLABLE, at, i->model->ast->name_span, message);
  if (d) diag_help(d, "calling an instance calls its `fn forward`");
  return NULL;
}

void value_params(Elaborator *x, Value *v, IntList *out) {
  if (!v) return;
  if (v->kind == VALUE_INSTANCE) instance_params(x, v->instance, out);
  for (int i = 0; v->kind == VALUE_ARRAY && i < v->n; i++) value_params(x, v->items[i], out);
}

void instance_params(Elaborator *x, Instance *i, IntList *out) {
  for (int k = 0; k < i->members.n; k++) {
    InstanceMember *m = &i->members.at[k];
    if (m->kind == MEMBER_VALUE) value_params(x, m->value, out);
    if (m->kind != MEMBER_PARAM || x->program->tensors.at[m->tensor].role != ROLE_param) continue;
    bool seen = false;
    for (int q = 0; q < out->n; q++) seen = seen || out->at[q] == m->tensor;
    if (!seen) vec_push(x->arena, out, m->tensor);
  }
}
