/* where.c - `where` of a signature: what is required of its dimensions, `where T <= CONTEXT and N % 2 == 0`.
 *
 * Generic code and entries are walked with symbols for the dimensions that a caller chooses: what is required of
 * these is then known of them. `T == S` makes one symbol of both names, `P <= 1024` bounds a symbol (which for an
 * entry is tested when it is called, and bounds its memory). A call tests all of it, by numbers or by what is known
 * of the symbols that it is made with. `P <= Q` of an entry is taken as known in its body, and tested likewise. Of `P
 * % 2 == 0` all algebra knows, for P is then 2 * Q with a symbol for Q; for an entry it is tested when it is called,
 * too. */
#include "frontend/value.h"

#include <string.h>

static bool is_comparison(const Ast *a) { return a->kind == AST_BINARY && a->op >= OP_EQ && a->op <= OP_GE; }

static bool is_unbound(Elaborator *x, Env *e, const Ast *a) {
  return a->kind == AST_NAME && is_dimension_name(a->name) && !env_find(e, a->name) &&
         !decl_find(x, x->module, a->name);
}

typedef struct Head { /* of the signature */
  Elaborator *x;
  Env **e;
  const Ast *params;
} Head;

static bool has_dimension(const Ast *params, Str name) {
  for (int i = 0; i < params->items.n; i++)
    if (params->items.at[i]->type && mentions(params->items.at[i]->type, name)) return true;
  return false;
}

static bool bind_symbol(Head *h, const Ast *name, Dim *d) {
  Elaborator *x = h->x;
  if (has_dimension(h->params, name->name)) {
    *h->e = env_bind(x, *h->e, name->name, value_int(x, d, name->span), name->span);
    return true;
  }
  diag_add(x->diags, DIAG_UNKNOWN_NAME, name->span, "`%s` is a dimension of no parameter", name->name);
  return false;
}

/* `P % 2 == 0`, with numbers for 2 and 0. */
static bool is_multiple(const Ast *a, int64_t *scale, int64_t *rest) {
  if (a->kind != AST_BINARY || a->op != OP_EQ || a->left->kind != AST_BINARY || a->left->op != OP_MOD) return false;
  if (a->left->right->kind != AST_INTEGER || a->right->kind != AST_INTEGER) return false;
  *scale = a->left->right->integer, *rest = a->right->integer;
  return *scale > 1 && *rest >= 0 && *rest < *scale;
}

/* What `where` says a multiple of is known of this name: the first that does. */
static Dim *multiple_named(Elaborator *x, const Ast *where, const Ast *name) {
  int64_t scale, rest;
  if (!where || where->kind != AST_BINARY) return NULL;
  if (where->op == OP_AND) {
    Dim *d = multiple_named(x, where->left, name);
    return d ? d : multiple_named(x, where->right, name);
  }
  bool same = is_multiple(where, &scale, &rest) && where->left->left->kind == AST_NAME;
  return same && where->left->left->name == name->name ? dim_multiple(x->ir, name->name, scale, rest) : NULL;
}

bool is_int_parameter(const Ast *param) {
  return param->type && param->type->kind == AST_TYPE && !param->type->shape && !strcmp(param->type->name, "int");
}

/* The signature's own `int`s, which hide what is called so around it. */
static void bind_ints(Head *h, const Ast *where) {
  Elaborator *x = h->x;
  for (int i = 0; i < h->params->items.n; i++) {
    const Ast *p = h->params->items.at[i];
    if (!is_int_parameter(p)) continue;
    Dim *d = multiple_named(x, where, p);
    *h->e =
        env_bind(x, *h->e, p->name, value_int(x, d ? d : dim_symbol(x->ir, p->name, 1), p->name_span), p->name_span);
  }
}

/* Every dimension in it that nothing binds becomes a symbol. */
static bool bind_symbols(Head *h, const Ast *a) {
  Elaborator *x = h->x;
  bool ok = true;
  if (is_unbound(x, *h->e, a)) return bind_symbol(h, a, dim_symbol(x->ir, a->name, 1));
  for (int i = 0; i < ast_child_count(a); i++) {
    const Ast *c = ast_child(a, i);
    if (c) ok = bind_symbols(h, c) && ok;
  }
  return ok;
}

/* `T == e`: T is another name of e. */
static bool bind_equal(Head *h, const Ast *name, Ast *other) {
  if (!is_unbound(h->x, *h->e, name) || !bind_symbols(h, other)) return false;
  Dim *d = dim_of(h->x, *h->e, other);
  return d && bind_symbol(h, name, d);
}

/* `small <= large`, by `strict` less than it: a number on one side bounds the symbol on the other. */
static void bound_symbol(Elaborator *x, Dim *small, Dim *large, int strict) {
  int64_t c, scale, rest;
  DimAtom *s;
  if (dim_is_const(large, &c) && dim_is_line(small, &scale, &s, &rest))
    dim_bound(x->ir, s, s->lower, floor_quotient(c - strict - rest, scale));
  if (!dim_is_const(small, &c) || !dim_is_line(large, &scale, &s, &rest)) return;
  int64_t least = -floor_quotient(rest - c - strict, scale);
  dim_bound(x->ir, s, least > s->lower ? least : s->lower, s->upper);
}

/* The same of two dimensions that an entry is called with: known from here on, and tested then. */
static void require(Elaborator *x, const Ast *a, Dim *small, Dim *large, int strict) {
  Dim *slack = dim_sub(x->ir, dim_sub(x->ir, large, small), dim_const(x->ir, strict));
  if (!x->entry || dim_is_const(slack, NULL) || dim_overflowed(slack) || dim_at_least(x->ir, slack, 0)) return;
  vec_push(x->graph->arena, &x->graph->requires, (Requirement){str_internz(x->strings, written(x, a->span)), slack});
  dim_assume(x->ir, slack);
}

bool extent_holds(Elaborator *x, Dim *d, int64_t least, Span at) {
  int64_t c;
  Dim *slack = dim_sub(x->ir, d, dim_const(x->ir, least));
  if (dim_at_least(x->ir, slack, 0) || (x->generic && !dim_is_const(d, NULL))) return true;
  if (x->entry && !dim_is_const(d, NULL) && !dim_overflowed(slack)) {
    const char *text = arena_printf(x->arena, "%s >= %lld", dim_text(x->arena, d), (long long)least);
    vec_push(x->graph->arena, &x->graph->requires, (Requirement){str_internz(x->strings, text), slack});
    dim_assume(x->ir, slack);
    return true;
  }
  Diag *g;
  if (dim_is_const(d, &c)) g = diag_add(x->diags, DIAG_NEGATIVE_DIM, at, "this dimension is %lld", (long long)c);
  else g = diag_add(x->diags, DIAG_NEGATIVE_DIM, at, "this dimension, %s, may be negative", dim_text(x->arena, d));
  if (!dim_is_const(d, NULL)) diag_help(g, "an index of a dimension that there is, and `where`, leave elements out");
  say_calls(x, g);
  return false;
}

static void learn_order(Elaborator *x, const Ast *a, Dim *small, Dim *large, int strict) {
  bound_symbol(x, small, large, strict);
  require(x, a, small, large, strict);
}

/* Of dimensions that are multiples, before all else is learnt of them. */
static void learn_multiples(Head *h, Ast *a) {
  Elaborator *x = h->x;
  if (a->kind != AST_BINARY) return;
  if (a->op == OP_AND) {
    learn_multiples(h, a->left);
    learn_multiples(h, a->right);
  }
  int64_t scale, rest;
  if (!is_multiple(a, &scale, &rest) || !is_unbound(x, *h->e, a->left->left)) return;
  const Ast *name = a->left->left;
  bind_symbol(h, name, dim_multiple(x->ir, name->name, scale, rest));
}

/* `N % K == R` of what is bound: for N, and for the numbers above N that K does not reach from R. */
static void learn_rest(Elaborator *x, Env *e, const Ast *a) {
  if (!x->generic || a->op != OP_EQ || a->left->kind != AST_BINARY || a->left->op != OP_MOD) return;
  int64_t scale, rest;
  Dim *n = dim_of(x, e, a->left->left), *k = dim_of(x, e, a->left->right), *r = dim_of(x, e, a->right);
  if (!n || !k || !r || !dim_at_least(x->ir, k, 1)) return;
  if (!dim_at_least(x->ir, r, 0) || !dim_at_least(x->ir, dim_sub(x->ir, k, r), 1)) return;
  dim_leaves(x->ir, n, k, r);
  if (!dim_is_const(k, &scale) || !dim_is_const(r, &rest)) return;
  for (int64_t i = 1; i < scale && i < 64; i++)
    dim_leaves(x->ir, dim_add(x->ir, n, dim_const(x->ir, i)), k, dim_const(x->ir, (rest + i) % scale));
}

/* A value is no dimension: true after a message. */
static bool compares_values(Head *h, const Ast *a) {
  Elaborator *x = h->x;
  for (int i = 0; a->kind == AST_NAME && i < h->params->items.n; i++) {
    const Ast *param = h->params->items.at[i];
    if (param->name != a->name || env_find(*h->e, a->name)) continue;
    Diag *d = diag_add(x->diags, DIAG_REQUIREMENT, a->span, "a requirement compares dimensions, and `%s` is a value",
                       a->name);
    diag_place(d, param->span, "declared here");
    bool tensor = param->type && param->type->shape;
    bool flag = param->type && param->type->kind == AST_TYPE && !strcmp(param->type->name, "flag");
    if (tensor) diag_help(d, "elements are chosen in the body: `sum(i where %s[i] > 0: %s[i])`", a->name, a->name);
    else
      diag_help(d, "what hangs on a value is chosen in the body: `if %s%s then a else b`", a->name,
                flag ? "" : " > 0");
    return true;
  }
  bool found = false;
  for (int i = 0; !found && i < ast_child_count(a); i++)
    found = ast_child(a, i) && compares_values(h, ast_child(a, i));
  return found;
}

static bool learn(Head *h, Ast *a) {
  Elaborator *x = h->x;
  if (a->kind == AST_BINARY && a->op == OP_AND) {
    bool left = learn(h, a->left); /* what the right side says is learnt, too */
    return learn(h, a->right) && left;
  }
  if (!is_comparison(a)) {
    Diag *d = diag_add(x->diags, DIAG_REQUIREMENT, a->span, "a requirement compares dimensions");
    diag_help(d, "as in `where T <= 64 and T %% 2 == 0`");
    return false;
  }
  if (compares_values(h, a)) return false;
  if (a->op == OP_EQ && (bind_equal(h, a->left, a->right) || bind_equal(h, a->right, a->left))) return true;
  if (!bind_symbols(h, a)) return false;
  learn_rest(x, *h->e, a);
  Dim *l = dim_of(x, *h->e, a->left), *r = dim_of(x, *h->e, a->right);
  if (!l || !r) return false;
  if (a->op == OP_LT || a->op == OP_LE) learn_order(x, a, l, r, a->op == OP_LT);
  if (a->op == OP_GT || a->op == OP_GE) learn_order(x, a, r, l, a->op == OP_GT);
  return true;
}

bool where_learn(Elaborator *x, Env **e, const Ast *params, Ast *where) {
  Head h = {x, e, params};
  bind_ints(&h, where);
  if (where) learn_multiples(&h, where);
  return !where || learn(&h, where);
}

/* Whether the comparison holds: 1, 0, or -1 where that is not known. */
static int holds(Elaborator *x, Op op, Dim *l, Dim *r) {
  if (op == OP_GT || op == OP_GE) return holds(x, op == OP_GT ? OP_LT : OP_LE, r, l);
  Dim *more = dim_sub(x->ir, r, l);
  int64_t c;
  if (dim_is_const(more, &c)) return op == OP_EQ ? c == 0 : op == OP_NE ? c != 0 : op == OP_LT ? c > 0 : c >= 0;
  if (op == OP_EQ) return -1;
  if (op != OP_NE) return dim_at_least(x->ir, more, op == OP_LT) ? 1 : -1;
  return dim_at_least(x->ir, more, 1) || dim_at_least(x->ir, dim_sub(x->ir, l, r), 1) ? 1 : -1;
}

/* A name in the requirement with what it is here: `T is 7`. */
static void say_values(Elaborator *x, Buf *b, Env *e, const Ast *a) {
  const Env *k = a->kind == AST_NAME ? env_find(e, a->name) : NULL;
  if (k && k->value && k->value->kind == VALUE_INT)
    buf_printf(b, "%s%s is %s", b->n ? ", " : "", a->name, dim_text(x->arena, k->value->dim));
  for (int i = 0; i < ast_child_count(a); i++)
    if (ast_child(a, i)) say_values(x, b, e, ast_child(a, i));
}

static bool test(Elaborator *x, Env *e, Ast *a, Span at, Str name) {
  if (a->kind == AST_BINARY && a->op == OP_AND)
    return test(x, e, a->left, at, name) && test(x, e, a->right, at, name);
  if (!is_comparison(a)) return true; /* said where it was learnt */
  learn_rest(x, e, a);                /* what a call asks for, generic code has */
  Dim *l = dim_of(x, e, a->left), *r = dim_of(x, e, a->right);
  if (!l || !r) return false;
  int known = holds(x, (Op)a->op, l, r);
  if (known == 1 || (known < 0 && x->generic)) return true;
  Buf values = {0};
  say_values(x, &values, e, a);
  const char *is = values.n ? values.text : "it does not hold";
  Diag *d = diag_add(x->diags, DIAG_REQUIREMENT, at.source ? at : a->span,
                     known < 0 ? "`%s` requires `%s`, which is not known here: %s" : "`%s` requires `%s`, and %s",
                     name, written(x, a->span), is);
  buf_free(&values);
  if (at.source) diag_place(d, a->span, "required here");
  bool length = known < 0 && x->drawn.n && a->op >= OP_LT;
  if (length) diag_help(d, "a field may limit how long its examples are: `x: i32<V>[S] = tokens where S <= 512`");
  else if (known < 0) diag_help(d, "a `where` in this signature says it of its own dimensions");
  return false;
}

bool where_test(Elaborator *x, Env *e, Ast *where, Span at, Str name) {
  return !where || test(x, e, where, at, name);
}
