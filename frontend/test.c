/* test.c - `test "name" { ... assert ... }`: a graph of its own, that nnc's interpreter evaluates (driver/test.c),
 * whose outputs say of each assertion whether it holds and what it compares.
 *
 * For `nnc test --grad` each tensor that the block draws is an input, `leaf.<k>.<name>`, and what was drawn for it
 * the output `first.<k>`. Of each float that the block computes, a weighted sum of its elements is the output
 * `sum.<k>`, and its derivative by each leaf and each parameter `slope.<k>.<leaf>`: what finite differences are held
 * against. */
#include "frontend/value.h"

#include <string.h>

#include "ir/derive.h"

struct TestWalk {
  Test *test;
  Vec(Value *) computed; /* for --grad: floats, in order, and where they were written */
  Vec(Node *) leaves;
};

/* ---- assertions ---- */

static bool is_comparison(const Ast *a) { return a->kind == AST_BINARY && a->op >= OP_EQ && a->op <= OP_GE; }

static void put_side(Elaborator *x, Assertion *s, int k, Value *v) {
  v = value_runtime(x, v);
  if (v->kind != VALUE_TENSOR || s->sides != k || k > 1) return;
  graph_output(x->graph, str_internf(x->strings, "assert.%d.%d", x->test->test->asserts.n, k), value_whole(x, v));
  s->sides = k + 1;
  if (dtype_is_float(v->dtype) && !v->weak) vec_push(x->arena, &x->test->computed, v);
}

/* The value of what is asserted; its sides, where it compares two, are outputs. */
static Value *asserted(Elaborator *x, Env *e, Ast *a, Assertion *s) {
  if (is_comparison(a)) {
    Value *l = elaborate_expr(x, e, a->left), *r = elaborate_expr(x, e, a->right);
    if (!l || !r) return NULL;
    put_side(x, s, 0, l);
    put_side(x, s, 1, r);
    return elaborate_binary(x, a->op, l, r, a->span);
  }
  Value *callee =
      a->kind == AST_CALL && a->callee->kind == AST_NAME ? name_find(x, e, a->callee->name, a->callee->span) : NULL;
  if (!callee || callee->kind != VALUE_FUNCTION) return elaborate_expr(x, e, a);
  int n;
  CallArg *args = elaborate_args(x, e, a->args, NULL, &n);
  for (int i = 0; args && i < n && i < 2; i++) put_side(x, s, i, args[i].value);
  return args ? call_value(x, callee, n, args, a->span) : NULL;
}

bool test_assert(Elaborator *x, Env *e, Ast *a) {
  Assertion s = {.span = a->value->span};
  Value *v = asserted(x, e, a->value, &s);
  if (!v) return false;
  v = value_runtime(x, v);
  if (v->kind != VALUE_TENSOR || v->dtype != DT_bool) {
    Diag *d = diag_add(x->diags, DIAG_ASSERT, a->value->span, "what is asserted is true or false, and this is %s",
                       value_type_text(x, v));
    diag_help(d, "compare it with something, or use `close(a, b)`");
    return false;
  }
  bool is;
  if (v->rank) v = reduce_call(x, str_internz(x->strings, "all"), v, a->span, &is);
  if (!v) return false;
  graph_output(x->graph, str_internf(x->strings, "assert.%d", x->test->test->asserts.n), value_whole(x, v));
  vec_push(x->arena, &x->test->test->asserts, s);
  return true;
}

/* ---- derivatives ---- */

Value *test_drawn(Elaborator *x, Value *v, Str name) {
  if (!x->test || !x->options->check_grads || x->calls.n || x->stack.n || x->loop || !dtype_is_float(v->dtype))
    return v;
  int k = x->test->leaves.n;
  graph_output(x->graph, str_internf(x->strings, "first.%d", k), value_whole(x, v));
  Node *leaf =
      graph_named_input(x, arena_printf(x->arena, "leaf.%d.%s", k, name), v->dtype, v->rank, v->shape, v->span);
  vec_push(x->arena, &x->test->leaves, leaf);
  return value_node(x, leaf, v->span);
}

/* What a statement of the block has defined: the names from `e` up to `before`. */
static void remember_computed(Elaborator *x, const Env *e, const Env *before) {
  for (; e != before; e = e->up) {
    Value *v = e->value;
    bool lives = v && v->kind == VALUE_TENSOR && (v->node || v->expr);
    if (lives && dtype_is_float(v->dtype) && !v->weak) {
      Value *named = NEW(x->arena, Value);
      *named = *v;
      named->span = e->span;
      vec_push(x->arena, &x->test->computed, named);
    }
  }
}

/* The sum of its elements, each times a number of its own between 0.5 and 1.5. */
static Node *weighted_sum(Elaborator *x, Value *v) {
  Var *vars[MAX_RANK];
  Form *at[MAX_RANK], *place = form_const(x->ir, 1);
  for (int i = 0; i < v->rank; i++) {
    vars[i] = var_fresh(x->ir, v->shape[i]);
    at[i] = form_var(x->ir, vars[i]);
    place = form_add(x->ir, form_scale(x->ir, place, 7), at[i]);
  }
  Expr *n = expr_cast(x->ir, v->dtype, expr_index(x->ir, DT_i64, place));
  Expr *wave = expr_op1(x->ir, OP_cos, expr_op2(x->ir, OP_mul, n, expr_real(x->ir, v->dtype, 2.3)));
  Expr *weight = expr_op2(x->ir, OP_add, expr_real(x->ir, v->dtype, 1),
                          expr_op2(x->ir, OP_mul, wave, expr_real(x->ir, v->dtype, 0.5)));
  Expr *term = expr_op2(x->ir, OP_mul, weight, value_element(x, v, at));
  return graph_comp(x->graph, 0, NULL, v->rank ? RED_sum : RED_none, v->rank, vars, term, v->span);
}

/* Parameters that the block reads are varied like what it draws. */
static void add_parameters(Elaborator *x) {
  for (int i = 0; i < x->current.n; i++)
    if (x->current.at[i].source->kind == NODE_param && dtype_is_float(x->current.at[i].source->dtype))
      vec_push(x->arena, &x->test->leaves, x->current.at[i].source);
}

static void put_slopes(Elaborator *x) {
  struct TestWalk *w = x->test;
  Test *t = w->test;
  add_parameters(x);
  for (int k = 0; k < w->leaves.n; k++) vec_push(x->arena, &t->leaves, w->leaves.at[k]->name);
  for (int i = 0; i < w->computed.n; i++) {
    Node *sum = weighted_sum(x, w->computed.at[i]);
    const bool *sources = derive_sources(x->arena, x->graph, sum);
    bool any = false;
    for (int k = 0; k < w->leaves.n; k++) {
      if (w->leaves.at[k] == sum || !sources[w->leaves.at[k]->id]) continue;
      graph_output(x->graph, str_internf(x->strings, "slope.%d.%d", t->computed.n, k),
                   graph_grad(x->graph, sum, w->leaves.at[k], sum->span));
      any = true;
    }
    if (!any) continue;
    graph_output(x->graph, str_internf(x->strings, "sum.%d", t->computed.n), sum);
    vec_push(x->arena, &t->computed, w->computed.at[i]->span);
  }
}

/* ---- the block ---- */

void elaborate_test(Elaborator *x, Decl *decl) {
  Ast *a = decl->ast;
  Test t = {.name = a->text, .span = a->span};
  struct TestWalk walk = {.test = &t};
  GraphState *saved;
  t.graph = graph_begin(x, str_internf(x->strings, "test.%s", a->text), &saved);
  x->test = &walk;
  frame_enter(x, str_internf(x->strings, "test/%s", a->text));
  Env *e = NULL;
  int errors = x->diags->errors;
  bool fails = false; /* perhaps for what was said before */
  StrList around = variables_enter(x, &e, a->body);
  for (int i = 0; i < a->body->items.n; i++) {
    Ast *s = a->body->items.at[i];
    Env *before = e;
    Value *result = NULL;
    fails = !elaborate_statement(x, &e, s, &result) || fails;
    if (result) diag_add(x->diags, DIAG_STATEMENT_HERE, s->span, "`return` does not belong in a `test`");
    if (x->options->check_grads) remember_computed(x, e, before);
  }
  x->variables = around;
  if (!t.asserts.n && !fails && x->diags->errors == errors) {
    Diag *d = diag_add(x->diags, DIAG_ASSERT, a->span, "this test asserts nothing");
    diag_help(d, "write `assert close(a, b)`, or another condition");
  }
  if (x->options->check_grads && x->diags->errors == errors) put_slopes(x);
  x->test = NULL;
  graph_end(x, saved);
  if (x->diags->errors == errors) vec_push(x->arena, &x->program->tests, t);
}
