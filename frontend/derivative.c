/* derivative.c - grad(e, x) and jvp(e, x, v): which node is derived by which.
 *
 * Inside a lifted function or index notation, e stands for one element of a tensor over the stack's indices. Their
 * sum is derived by a tensor of which each element has a part of its own, x itself or copies of it (ir/each.h), and
 * the result's part is taken. */
#include "frontend/value.h"

#include "ir/derive.h"
#include "ir/each.h"
#include "ir/tangent.h"

#include <string.h>

/* What is derived by: a node of which the first dimensions are taken by forms. */
typedef struct Variable {
  Node *node;
  Form **prefix;
  int nprefix;
} Variable;

static bool is_float_tensor(const Value *v) {
  return v->kind == VALUE_TENSOR && dtype_is_float(v->dtype) && !v->weak;
}

int indices_used(Elaborator *x, const Value *v, Var **out) {
  int n = 0;
  for (int i = 0; i < x->stack.n; i++) {
    Var *var = x->stack.at[i].var;
    bool used = !v->rank && expr_uses(v->expr, var);
    for (int k = 0; v->rank && k < v->nprefix; k++) used = used || form_uses(v->prefix[k], var);
    if (used) out[n++] = var;
  }
  return n;
}

static int dimension_taken(const Variable *v, const Var *index) {
  for (int d = 0; d < v->nprefix; d++)
    if (form_as_var(v->prefix[d]) == index) return d;
  return -1;
}

static bool takes_index(const Variable *v, const Var *index) { return dimension_taken(v, index) >= 0; }

bool is_path(const Ast *a) {
  while (a->kind == AST_MEMBER || a->kind == AST_INDEX) a = a->base;
  return a->kind == AST_NAME;
}

/* Sets *out to what is derived by. False after a message. */
static bool find_variable(Elaborator *x, const Ast *a, const Value *v, Variable *out) {
  Span at = a->args->items.at[1]->span;
  if (!is_path(a->args->items.at[1]->value)) {
    Diag *d = diag_add(x->diags, DIAG_GRAD, at, "nothing depends on what is computed here");
    diag_help(d, "give it a name, compute with that, and derive by the name");
    return false;
  }
  if (!is_float_tensor(v)) {
    Diag *d = diag_add(x->diags, DIAG_GRAD, at, "a float tensor is wanted, by which to derive, and this is %s",
                       value_type_text(x, v));
    if (v->kind == VALUE_REAL) diag_help(d, "give it a name in this body, compute with that, and derive by the name");
    return false;
  }
  bool element = !v->rank && v->expr->kind == EXPR_READ;
  if (v->rank) *out = (Variable){v->node, v->prefix, v->nprefix};
  else if (element) *out = (Variable){v->expr->node, v->expr->at, v->expr->node->rank};
  if (v->rank || element) return true;
  Diag *d = diag_add(x->diags, DIAG_GRAD, at,
                     "this is computed from an element where it stands, and nothing else "
                     "depends on it");
  diag_help(d, "derive by a tensor or an element of one");
  return false;
}

/* Whether what is derived depends on x through a repeat: true after a message. */
static bool goes_through_repeat(Elaborator *x, Node *value, Node *by, Span at) {
  const bool *sources = x->repeated.n ? derive_sources(x->arena, x->graph, value) : NULL;
  for (int i = 0; i < x->repeated.n; i++) {
    Node *c = x->repeated.at[i];
    if (!c->nin || !dtype_is_float(c->dtype) || !sources[c->id] || !derive_depends(x->graph, c, by)) continue;
    Diag *d = diag_add(x->diags, DIAG_GRAD, at, "this is to be derived through a `repeat`, which has no derivative");
    diag_place(d, c->span, "what it carries");
    diag_help(d, "`scan t in T { }` has one");
    return true;
  }
  return false;
}

/* ---- numbers by which something is derived ---- */

static void find_names(Elaborator *x, const Ast *a, StrList *out) {
  const Ast *callee = a->kind == AST_CALL ? a->callee : NULL;
  bool derives =
      callee && callee->kind == AST_NAME && (!strcmp(callee->name, "grad") || !strcmp(callee->name, "jvp"));
  const Ast *by = derives && a->args->items.n > 1 ? a->args->items.at[1]->value : NULL;
  if (by && by->kind == AST_NAME) vec_push(x->arena, out, by->name);
  for (int i = 0; i < ast_child_count(a); i++)
    if (ast_child(a, i)) find_names(x, ast_child(a, i), out);
}

/* v as a part of a node of its own, over the indices that it depends on: a number that was computed, and where `own`
 * all else, too; v itself if it is what can be derived by already. */
static Value *value_apart(Elaborator *x, Value *v, bool own) {
  if (v->kind != VALUE_REAL && (v->kind != VALUE_TENSOR || !dtype_is_float(v->dtype))) return v;
  Span at = v->span;
  if (v->kind == VALUE_REAL || v->weak) v = value_coerce(x, v, float_default(x), at);
  if (!v || (!v->rank && !v->expr) || (v->rank && !v->node)) return v; /* a parameter's or state's: it is one */
  if (!own && (v->rank || v->expr->kind == EXPR_READ)) return v;
  Var **all = NEW_ARRAY(x->arena, Var *, x->stack.n + v->rank + 1);
  Form **prefix = NEW_ARRAY(x->arena, Form *, x->stack.n + 1), *forms[MAX_RANK];
  int n = indices_used(x, v, all);
  if (!rank_fits(x, n + v->rank, at)) return NULL;
  for (int i = 0; i < n; i++) prefix[i] = form_var(x->ir, all[i]);
  for (int i = 0; i < v->rank; i++) {
    all[n + i] = var_fresh(x->ir, v->shape[i]);
    forms[i] = form_var(x->ir, all[n + i]);
  }
  Node *node = graph_comp(x->graph, n + v->rank, all, RED_none, 0, NULL, value_element(x, v, forms), at);
  return value_take(x, value_node(x, node, at), n, prefix);
}

Value *value_as_variable(Elaborator *x, Str name, Value *v, bool own) {
  bool derived = false;
  for (int i = 0; i < x->variables.n; i++) derived = derived || x->variables.at[i] == name;
  if (!derived || !v) return v;
  if (v->kind != VALUE_STRUCTURE || v->states) return value_apart(x, v, own);
  Value **items = NEW_ARRAY(x->arena, Value *, v->n + 1);
  bool same = true;
  for (int i = 0; i < v->n; i++) {
    if (!v->items[i] || !(items[i] = value_apart(x, v->items[i], own))) return NULL;
    same = same && items[i] == v->items[i];
  }
  return same ? v : structure_with(x, v, items, v->span);
}

StrList variables_enter(Elaborator *x, Env **e, const Ast *body) {
  StrList outer = x->variables;
  x->variables = (StrList){0};
  find_names(x, body, &x->variables);
  for (int i = 0; i < x->variables.n; i++) {
    Env *b = env_find(*e, x->variables.at[i]);
    if (!b || !b->value || b->value->kind == VALUE_REAL) continue; /* known when the program is compiled */
    Value *now = b->value->again ? value_settled(x, b->value, b->span) : b->value;
    Value *v = value_as_variable(x, b->name, now, false);
    if (v && v != b->value) *e = env_bind(x, *e, b->name, v, b->span);
  }
  return outer;
}

/* ---- in a loop's body ---- */

/* How many of the indices that a value depends on are steps: they are the first. */
static int steps_used(const Elaborator *x, int n, Var *const *used) {
  int steps = 0;
  for (int i = 0; i < x->steps; i++)
    if (steps < n && used[steps] == x->stack.at[i].var) steps++;
  return steps;
}

/* False after a message. */
static bool find_part(Elaborator *x, const Ast *a, const Variable *by, Node *end, int steps, Var **used,
                      StepPart *p) {
  int *dim = NEW_ARRAY(x->arena, int, steps);
  for (int k = 0; k < steps; k++) dim[k] = dimension_taken(by, used[k]);
  *p = (StepPart){x->graph, by->node, end, steps, dim};
  const Node *stray = derive_strays(p);
  if (!stray) return true;
  Diag *d =
      diag_add(x->diags, DIAG_GRAD, a->span, "in this step of the loop, what is derived by is read at another step");
  if (stray->span.begin != a->span.begin) diag_place(d, stray->span, "here");
  diag_help(d, "derive after the loop");
  return false;
}

static Node *part_gradient(Elaborator *x, const Ast *a, const Variable *by, Node *total, int steps, Var **used) {
  StepPart p;
  if (!find_part(x, a, by, total, steps, used, &p)) return NULL;
  Dim **shape = NEW_ARRAY(x->arena, Dim *, by->node->rank + 1);
  for (int d = 0; d < by->node->rank; d++) shape[d] = by->node->shape[d];
  for (int k = 0; k < steps; k++) shape[p.dim[k]] = used[k]->extent;
  return derive_part(&p, shape);
}

/* ---- by what several elements share ---- */

/* What a loop carries has no copies before the loop is closed. False after a message. */
static bool has_copies(Elaborator *x, const Ast *a, const Variable *by) {
  if (by->node->kind != NODE_carry || by->node->nin) return true;
  Diag *d =
      diag_add(x->diags, DIAG_GRAD, a->span, "the scalar has an index that what it is derived by does not have");
  diag_help(d, "derive outside of the index notation, of a sum");
  return false;
}

/* `total`, a sum over the n indices `used`, and the variables so that the part of each variable that has these
 * indices is what this one element depends on. NULL after a message. */
static Node *make_apart(Elaborator *x, const Ast *a, Node *total, int n, Var **used, int count, Variable *by) {
  Shared *shared = NEW_ARRAY(x->arena, Shared, count);
  bool all = true;
  for (int i = 0; i < count; i++) {
    int *own = NEW_ARRAY(x->arena, int, n);
    bool lacks = false;
    for (int k = 0; k < n; k++) lacks = (own[k] = dimension_taken(&by[i], used[k])) < 0 || lacks;
    if (lacks && !has_copies(x, a, &by[i])) return NULL;
    shared[i] = (Shared){.node = by[i].node, .own = own};
    all = all && !lacks;
  }
  if (all && steps_used(x, n, used)) return total;
  total = derive_each(x->graph, total, count, shared);
  for (int i = 0; i < count; i++) {
    Form **prefix = NEW_ARRAY(x->arena, Form *, n + by[i].nprefix + 1);
    int added = 0;
    for (int k = 0; k < n; k++)
      if (shared[i].added & 1u << k) prefix[added++] = form_var(x->ir, used[k]);
    for (int d = 0; d < by[i].nprefix; d++) prefix[added + d] = by[i].prefix[d];
    by[i] = (Variable){shared[i].copy, prefix, added + by[i].nprefix};
  }
  return total;
}

typedef struct Ancestors {
  bool *seen; /* by node id */
  const Node *sought;
  bool found;
} Ancestors;

static void look_back(void *cx, Node *n) {
  Ancestors *a = cx;
  a->found = a->found || n == a->sought;
  if (a->found || a->seen[n->id]) return;
  a->seen[n->id] = true;
  node_operands(n, look_back, a);
}

/* A slope of 0 because of what is computed is an answer; because nothing is computed from it, most often a mistake.
 */
static void check_ancestor(Elaborator *x, const Ast *a, Node *total, const Variable *by) {
  const Ast *name = a->args->items.at[1]->value;
  const Ast *scalar = a->args->items.at[0]->value; /* where it names x, a slope of 0 is what it says */
  if (x->generic || !is_users(x, a->span) || (name->name && mentions(scalar, name->name))) return;
  Ancestors back = {.seen = NEW_ARRAY(x->arena, bool, x->graph->nodes.n), .sought = by->node};
  look_back(&back, total);
  if (back.found) return;
  Diag *d = diag_add(x->diags, DIAG_NO_SLOPE, name->span, "this does not depend on `%s`: the slope is 0",
                     written(x, name->span));
  say_calls(x, d);
}

/* The derivatives of the scalar s by each of `count` values. False after a message. */
static bool gradients(Elaborator *x, const Ast *a, Value *s, int count, Value **v, Value **out) {
  bool named = count == 1 && v[0]->kind == VALUE_TENSOR; /* and no model */
  Var **used = NEW_ARRAY(x->arena, Var *, x->stack.n);
  Variable *by = NEW_ARRAY(x->arena, Variable, count + 1);
  int n = indices_used(x, s, used), steps = steps_used(x, n, used);
  for (int i = 0; i < count; i++)
    if (!find_variable(x, a, v[i], &by[i])) return false;
  Node *total = n ? graph_comp(x->graph, 0, NULL, RED_sum, n, used, s->expr, a->span) : value_whole(x, s);
  for (int i = 0; i < count; i++) {
    by[i].node = tensor_when(x, total, by[i].node);
    if (goes_through_repeat(x, total, by[i].node, a->span)) return false;
  }
  if (named) check_ancestor(x, a, total, &by[0]);
  if (n && !(total = make_apart(x, a, total, n, used, count, by))) return false;
  for (int i = 0; i < count; i++) {
    Node *d =
        steps ? part_gradient(x, a, &by[i], total, steps, used) : graph_grad(x->graph, total, by[i].node, a->span);
    if (!d) return false;
    Value *r = value_node(x, d, a->span);
    out[i] = by[i].nprefix ? value_take(x, r, by[i].nprefix, by[i].prefix) : r;
  }
  return true;
}

Value *call_grad(Elaborator *x, Env *e, Ast *a) {
  if (a->args->items.n != 2) {
    Diag *d = diag_add(x->diags, DIAG_ARGUMENTS, a->span, "`grad` takes a scalar and what it is derived by");
    diag_help(d, "write `grad(loss, x)`");
    return NULL;
  }
  Value *s = elaborate_expr(x, e, a->args->items.at[0]->value),
        *v = elaborate_expr(x, e, a->args->items.at[1]->value);
  if (!s || !v) return NULL;
  s = value_runtime(x, s);
  if (s->kind != VALUE_TENSOR || s->rank || !dtype_is_float(s->dtype)) {
    Diag *d = diag_add(x->diags, DIAG_GRAD, a->args->items.at[0]->span,
                       "only a float scalar is derived, and this is %s", value_type_text(x, s));
    diag_help(d, "sum or mean it; `jvp(y, x, v)` derives a tensor, along one direction");
    return NULL;
  }
  Value *of = value_is_structure(v) ? structure_of(x, v, a->span) : NULL;
  int count = of ? of->n : 1;
  Value **by = of ? of->items : &v, **out = NEW_ARRAY(x->arena, Value *, count + 1);
  if (!gradients(x, a, s, count, by, out)) return NULL;
  return of ? structure_with(x, of, out, a->span) : out[0];
}

/* ---- forward ---- */

Node *node_over(Elaborator *x, Value *v, int n, Var **vars) {
  bool whole = v->rank && v->nprefix == n;
  for (int i = 0; whole && i < n; i++)
    whole = form_as_var(v->prefix[i]) == vars[i] && v->node->shape[i] == vars[i]->extent;
  if (whole) return v->node;
  Var *all[MAX_RANK];
  Form *at[MAX_RANK];
  if (!indices_over(x, v, n, vars, all, at)) return NULL;
  return graph_comp(x->graph, n + v->rank, all, RED_none, 0, NULL, value_element(x, v, at), v->span);
}

static bool is_step(const Elaborator *x, const Var *index) {
  for (int i = 0; i < x->steps; i++)
    if (x->stack.at[i].var == index) return true;
  return false;
}

/* The direction as a tensor of the whole variable's shape: 0 but in the part that was taken. An index of the stack
 * runs over its dimension. */
static Node *whole_direction(Elaborator *x, const Variable *by, const Value *v) {
  const Node *n = by->node;
  Var *all[MAX_RANK];
  Form *at[MAX_RANK];
  Expr *guard = NULL;
  for (int i = 0; i < n->rank; i++) {
    Var *index = i < by->nprefix ? form_as_var(by->prefix[i]) : NULL;
    for (int k = 0; index && k < i; k++)
      if (all[k] == index) index = NULL;                                       /* a diagonal */
    bool whole = index && (index->extent == n->shape[i] || is_step(x, index)); /* other steps are not read */
    all[i] = whole ? index : var_fresh(x->ir, n->shape[i]);
    if (i >= by->nprefix) at[i - by->nprefix] = form_var(x->ir, all[i]);
    else if (all[i] != index)
      guard = expr_and(x->ir, guard, expr_eq0(x->ir, form_sub(x->ir, form_var(x->ir, all[i]), by->prefix[i])));
  }
  Expr *body = value_element(x, v, at);
  if (guard) body = expr_select(x->ir, guard, body, expr_real(x->ir, v->dtype, 0));
  return graph_comp(x->graph, n->rank, all, RED_none, 0, NULL, body, v->span);
}

/* Whether each index of the stack in the part that is derived by is one over which the value is a tensor, and each in
 * the direction is one of the part's: else every element of the result would have a direction of its own. */
static bool one_direction(Elaborator *x, const Variable *by, const Value *v, int n, Var **used) {
  Var **own = NEW_ARRAY(x->arena, Var *, x->stack.n);
  bool one = true;
  for (int i = 0; i < x->stack.n; i++) {
    Var *var = x->stack.at[i].var;
    bool in_value = false, in_part = false;
    for (int k = 0; k < n; k++) in_value = in_value || used[k] == var;
    for (int k = 0; k < by->nprefix; k++) in_part = in_part || form_uses(by->prefix[k], var);
    one = one && (!in_part || (in_value && takes_index(by, var)));
  }
  int directions = indices_used(x, v, own);
  for (int i = 0; i < directions; i++) one = one && takes_index(by, own[i]);
  return one;
}

Value *value_zeros(Elaborator *x, const Value *v) {
  Var *vars[MAX_RANK];
  for (int i = 0; i < v->rank; i++) vars[i] = var_fresh(x->ir, v->shape[i]);
  return value_tensor(x, v->rank, vars, expr_real(x->ir, v->dtype, 0), v->span);
}

/* Whether v has the shape of what is derived by. */
static bool direction_fits(Elaborator *x, const Ast *a, const Value *v, const Value *by) {
  bool fits = v->rank == by->rank;
  for (int i = 0; fits && i < v->rank; i++) fits = v->shape[i] == by->shape[i];
  if (fits) return true;
  Diag *d =
      diag_add(x->diags, DIAG_GRAD, a->args->items.at[2]->span, "the direction is %s, and what is derived by is %s",
               value_type_text(x, v), value_type_text(x, by));
  diag_help(d, "a direction has a number for each element of what is derived by");
  return false;
}

/* How the tensor y changes along v, a direction of `variable`. */
static Value *total_of_product(Elaborator *x, Value *a, Value *b, Span at) {
  Value *product = elaborate_binary(x, OP_MUL, a, b, at);
  return product && product->rank ? reduce_whole(x, RED_sum, product, at) : product;
}

/* Where each index has a direction of its own, and what is derived by is there once for all of them: the derivative
 * of sum(grad(sum(y * u), x) * v) by u. It does not hang on u, which is 0. */
static Value *tangent_of_each(Elaborator *x, const Ast *a, Value *y, Value *variable, Value *v) {
  Value *u = value_apart(x, value_zeros(x, y), true), *slope, *r;
  Value *s = u ? total_of_product(x, y, u, a->span) : NULL;
  if (!s || !gradients(x, a, s, 1, &variable, &slope)) return NULL;
  s = total_of_product(x, slope, v, a->span);
  return s && gradients(x, a, s, 1, &u, &r) ? r : NULL;
}

static Value *tangent(Elaborator *x, const Ast *a, Value *y, Value *variable, Value *v) {
  Var **used = NEW_ARRAY(x->arena, Var *, x->stack.n);
  int n = indices_used(x, y, used);
  Variable by;
  if (!find_variable(x, a, variable, &by)) return NULL;
  if (!(v = value_coerce(x, value_runtime(x, v), variable->dtype, a->args->items.at[2]->span))) return NULL;
  if (!direction_fits(x, a, v, variable)) return NULL;
  Node *value = node_over(x, y, n, used);
  if (!value) return NULL;
  by.node = tensor_when(x, value, by.node);
  if (!derive_depends(x->graph, value, by.node)) return value_zeros(x, y);
  if (goes_through_repeat(x, value, by.node, a->span)) return NULL;
  if (!one_direction(x, &by, v, n, used)) return tangent_of_each(x, a, y, variable, v);
  Form **prefix = NEW_ARRAY(x->arena, Form *, n + 1);
  for (int i = 0; i < n; i++) prefix[i] = form_var(x->ir, used[i]);
  int steps = steps_used(x, n, used);
  StepPart p;
  if (steps && !find_part(x, a, &by, value, steps, used, &p)) return NULL;
  Node *along = whole_direction(x, &by, v);
  Node *r =
      steps ? tangent_along(x->graph, value, by.node, along) : graph_jvp(x->graph, value, by.node, along, a->span);
  return value_take(x, value_node(x, r, a->span), n, prefix);
}

typedef struct Derived { /* by each parameter of a model */
  const Ast *ast;        /* the call */
  Value *value;
} Derived;

static Value *tangent_of_leaf(Elaborator *x, int n, Value **leaf, const void *cx, Span at) {
  const Derived *d = cx;
  (void)n, (void)at;
  return tangent(x, d->ast, d->value, leaf[0], leaf[1]);
}

/* The same along a direction of all parameters of a model, if `variable` is one. */
static Value *tangent_by(Elaborator *x, const Ast *a, Value *y, Value *variable, Value *v) {
  if (!value_is_structure(variable)) return tangent(x, a, y, variable, v);
  Value *total = NULL,
        *parts = structure_map(x, 2, (Value *[]){variable, v}, tangent_of_leaf, &(Derived){a, y}, a->span);
  for (int i = 0; parts && i < parts->n; i++)
    total = total ? elaborate_binary(x, OP_ADD, total, parts->items[i], a->span) : parts->items[i];
  return parts && !total ? value_zeros(x, y) : total;
}

Value *call_jvp(Elaborator *x, Env *e, Ast *a) {
  if (a->args->items.n != 3) {
    Diag *d = diag_add(x->diags, DIAG_ARGUMENTS, a->span,
                       "`jvp` takes a tensor, what it is derived by, and a direction of that shape");
    diag_help(d, "write `jvp(y, x, v)`");
    return NULL;
  }
  Value *arg[3];
  for (int i = 0; i < 3; i++) arg[i] = elaborate_expr(x, e, a->args->items.at[i]->value);
  if (!arg[0] || !arg[1] || !arg[2]) return NULL;
  Value *y = value_runtime(x, arg[0]), *v = arg[2];
  if (value_is_structure(y)) {
    y = structure_of(x, y, a->span);
    Value **items = NEW_ARRAY(x->arena, Value *, y->n + 1);
    for (int i = 0; i < y->n; i++)
      if (!(items[i] = tangent_by(x, a, y->items[i], arg[1], v))) return NULL;
    return structure_with(x, y, items, a->span);
  }
  if (y->kind != VALUE_TENSOR || !dtype_is_float(y->dtype)) {
    diag_add(x->diags, DIAG_GRAD, a->args->items.at[0]->span, "a float tensor is derived, and this is %s",
             value_type_text(x, y));
    return NULL;
  }
  return tangent_by(x, a, y, arg[1], v);
}
