/* own.c - functions that say what their derivative is: `fn f(x) = ... with grad(dy) = ...`.
 *
 * Wherever such a function is called, lifted or inside index notation, its float arguments become tensors of their
 * own over the stack's indices that they use: so the derivative that is given is by exactly these, as wholes, and
 * what they are made of is derived as always. A custom node then stands for the value (ir/custom.h). */
#include "frontend/value.h"

#include <string.h>

typedef struct Own {
  Elaborator *x;
  Function *f;
  int nindices;
  Var **indices; /* of the stack */
  Form **prefix;
  int n; /* float parameters */
  Ast **param;
  Value **value; /* of the parameter: its node's part */
  Node **variable, **derivative;
} Own;

static bool is_argument(const Value *v) { return v && v->kind == VALUE_TENSOR && dtype_is_float(v->dtype); }

/* The indices that some argument uses, and those of examples: draws are keyed by them. */
static void find_indices(Own *o, Env *e) {
  Elaborator *x = o->x;
  const AstList *params = &o->f->ast->params->items;
  bool *used = NEW_ARRAY(x->arena, bool, x->stack.n + 1);
  for (int i = 0; i < x->stack.n; i++) used[i] = x->stack.at[i].place != NULL;
  o->indices = NEW_ARRAY(x->arena, Var *, x->stack.n + 1);
  for (int p = 0; p < params->n; p++) {
    const Env *b = env_find(e, params->at[p]->name);
    if (!b || !b->value || b->value->kind != VALUE_TENSOR) continue;
    int n = indices_used(x, b->value, o->indices);
    for (int i = 0; i < x->stack.n; i++)
      for (int k = 0; k < n; k++) used[i] = used[i] || x->stack.at[i].var == o->indices[k];
  }
  o->prefix = NEW_ARRAY(x->arena, Form *, x->stack.n + 1);
  for (int i = 0; i < x->stack.n; i++) {
    if (!used[i]) continue;
    o->prefix[o->nindices] = form_var(x->ir, x->stack.at[i].var);
    o->indices[o->nindices++] = x->stack.at[i].var;
  }
}

static Value *part_of(Own *o, Node *n, Span at) {
  return value_take(o->x, value_node(o->x, n, at), o->nindices, o->prefix);
}

/* A tensor that nothing else reads: what is derived by. */
static Node *own_node(Own *o, const Value *v) {
  Elaborator *x = o->x;
  if (!rank_fits(x, o->nindices + v->rank, v->span)) return NULL;
  Var *all[MAX_RANK];
  Form *at[MAX_RANK];
  for (int i = 0; i < o->nindices; i++) all[i] = o->indices[i];
  for (int i = 0; i < v->rank; i++) {
    all[o->nindices + i] = var_fresh(x->ir, v->shape[i]);
    at[i] = form_var(x->ir, all[o->nindices + i]);
  }
  Expr *body = value_element(x, v, at);
  return graph_comp(x->graph, o->nindices + v->rank, all, RED_none, 0, NULL, body, v->span);
}

/* e with every float parameter as such a tensor; NULL after a message. */
static Env *bind_variables(Own *o, Env *e) {
  Elaborator *x = o->x;
  const AstList *params = &o->f->ast->params->items;
  o->param = NEW_ARRAY(x->arena, Ast *, params->n + 1);
  o->value = NEW_ARRAY(x->arena, Value *, params->n + 1);
  o->variable = NEW_ARRAY(x->arena, Node *, params->n + 1);
  o->derivative = NEW_ARRAY(x->arena, Node *, params->n + 1);
  for (int p = 0; p < params->n; p++) {
    Ast *param = params->at[p];
    Value *v = env_find(e, param->name)->value;
    if (!is_argument(v)) continue;
    Node *n = own_node(o, v);
    if (!n) return NULL;
    o->param[o->n] = param;
    o->variable[o->n] = n;
    o->value[o->n] = part_of(o, n, v->span);
    e = env_bind(x, e, param->name, o->value[o->n++], param->name_span);
  }
  return e;
}

/* The given derivative by parameter i, checked; NULL after a message. */
static Node *checked_derivative(Own *o, Value *d, int i, Span at) {
  Elaborator *x = o->x;
  const Value *v = o->value[i];
  if (!d || !(d = value_coerce(x, value_runtime(x, d), v->dtype, at))) return NULL;
  bool fits = d->rank == v->rank;
  for (int k = 0; fits && k < d->rank; k++) fits = d->shape[k] == v->shape[k];
  if (fits) return node_over(x, d, o->nindices, o->indices);
  Diag *diag = diag_add(x->diags, DIAG_OWN_DERIVATIVE, at, "the derivative by `%s` is %s, and `%s` is %s",
                        o->param[i]->name, value_type_text(x, d), o->param[i]->name, value_type_text(x, v));
  diag_place(diag, o->param[i]->span, "declared here");
  return NULL;
}

/* Elaborates what follows `with`, over the adjoint's node; false after a message. */
static bool find_derivatives(Own *o, Env *e, Node *adjoint, Span at) {
  Elaborator *x = o->x;
  Ast *with = o->f->ast->with, *dy = with->items.at[0];
  e = env_bind(x, e, dy->name, part_of(o, adjoint, dy->span), dy->span);
  const Value *v = o->value[0];
  Type expected = {.dtype = v->dtype, .rank = v->rank, .shape = v->shape};
  Value *d = elaborate_body(x, e, with->body, o->n == 1 ? &expected : NULL, at);
  if (!d) return false;
  int parts = d->kind == VALUE_TUPLE ? d->n : 1;
  Span where = with->body->kind == AST_BLOCK ? d->span : with->body->span;
  if (parts != o->n) {
    Diag *diag =
        diag_add(x->diags, DIAG_OWN_DERIVATIVE, where, "`%s` has %d float parameter%s, and here %s %d derivative%s",
                 o->f->name, o->n, o->n == 1 ? "" : "s", parts == 1 ? "is" : "are", parts, parts == 1 ? "" : "s");
    diag_help(diag, "return one for each of them, in their order");
    return false;
  }
  bool ok = true;
  for (int i = 0; i < o->n; i++) {
    o->derivative[i] = checked_derivative(o, d->kind == VALUE_TUPLE ? d->items[i] : d, i, where);
    ok = ok && o->derivative[i];
  }
  return ok;
}

typedef struct Captured {
  const Own *o;
  const Node *found; /* a trained parameter that is reached past the variables */
  bool *seen;        /* by node id */
} Captured;

static void look_for_parameter(void *cx, Node *n) {
  Captured *c = cx;
  if (c->found || c->seen[n->id]) return;
  c->seen[n->id] = true;
  for (int i = 0; i < c->o->n; i++)
    if (c->o->variable[i] == n) return;
  if (n->kind == NODE_param && n->trained) c->found = n;
  else node_operands(n, look_for_parameter, c);
}

static bool reads_no_parameter(Own *o, Node *value) {
  Elaborator *x = o->x;
  Captured c = {o, NULL, NEW_ARRAY(x->arena, bool, x->graph->nodes.n)};
  look_for_parameter(&c, value);
  if (!c.found) return true;
  Diag *d =
      diag_add(x->diags, DIAG_OWN_DERIVATIVE, o->f->ast->with->span,
               "`%s` reads the parameter `%s`, by which its own derivative says nothing", o->f->name, c.found->name);
  diag_help(d, "make it a parameter of the function");
  return false;
}

/* Whether f is such that it can have its own derivative. */
static bool has_form(Elaborator *x, const Function *f) {
  const Ast *with = f->ast->with;
  const char *fault = NULL;
  if (strcmp(with->name, "grad")) fault = "what a function has `with` it is `grad(dy)`";
  else if (with->items.n != 1) fault = "`grad` has one name here, for the adjoint of the result";
  if (!fault) return true;
  diag_add(x->diags, DIAG_OWN_DERIVATIVE, with->span, "%s", fault);
  return false;
}

Value *call_own(Elaborator *x, Function *f, Env *e, Span at, Value *(*body)(Elaborator *, Function *, Env *, Span)) {
  Own o = {.x = x, .f = f};
  if (!has_form(x, f)) return NULL;
  find_indices(&o, e);
  if (!(e = bind_variables(&o, e))) return NULL;
  if (!o.n) {
    diag_add(x->diags, DIAG_OWN_DERIVATIVE, f->ast->with->span, "`%s` has no float parameter to be derived by",
             f->name);
    return NULL;
  }
  Value *r = body(x, f, e, at);
  if (!r) return NULL;
  r = value_runtime(x, r);
  if (r->kind == VALUE_TENSOR && r->weak && dtype_is_float(r->dtype)) r = value_coerce(x, r, o.value[0]->dtype, at);
  if (!is_argument(r)) {
    diag_add(x->diags, DIAG_OWN_DERIVATIVE, f->ast->with->span, "`%s` gives %s, and one float tensor can be derived",
             f->name, value_type_text(x, r));
    return NULL;
  }
  Node *value = node_over(x, r, o.nindices, o.indices);
  if (!value || !reads_no_parameter(&o, value)) return NULL;
  Node *adjoint = graph_adjoint(x->graph, value->dtype, value->rank, value->shape, f->ast->with->span);
  if (!find_derivatives(&o, e, adjoint, at)) return NULL;
  return part_of(&o, graph_custom(x->graph, value, adjoint, o.n, o.variable, o.derivative, at), at);
}
