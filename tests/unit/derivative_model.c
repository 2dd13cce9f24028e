/* derivative_model.c - see derivative_model.h. */
#include "tests/unit/derivative_model.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- graphs ---- */

static Case case_read(Arena *a, const char *folder, const char *file, size_t name_length) {
  Case c = {.name = arena_strndup(a, file, name_length)};
  char *text = arena_alloc(a, 65536);
  FILE *f = fopen(arena_printf(a, "%s/%s", folder, file), "rb");
  if (f) {
    c.n = fread(text, 1, 65535, f);
    fclose(f);
  }
  c.text = text;
  return c;
}

void cases_read(Arena *a, const char *folder, Cases *out) {
  DIR *d = opendir(folder);
  if (!d) return;
  const char *only = getenv("GRAPH");
  for (struct dirent *e; (e = readdir(d));) {
    const char *end = strrchr(e->d_name, '.');
    if (!end || strcmp(end, ".graph")) continue;
    Case c = case_read(a, folder, e->d_name, (size_t)(end - e->d_name));
    if (!only || !strcmp(only, c.name)) vec_push(a, out, c);
  }
  closedir(d);
}

Case case_convolution(Arena *a, int stride, int k, int pad, int dilation) {
  int h = 7, w = 8, reach = dilation * (k - 1) + 1;
  int oh = (h + 2 * pad - reach) / stride + 1, ow = (w + 2 * pad - reach) / stride + 1;
  char *y = arena_printf(a, "%d*i1 + %d*r1 - %d", stride, dilation, pad);
  char *x = arena_printf(a, "%d*i2 + %d*r2 - %d", stride, dilation, pad);
  Case c = {.name = arena_printf(a, "conv2d stride %d, kernel %d, pad %d, dilation %d", stride, k, pad, dilation)};
  c.text = arena_printf(a,
                        "graph conv2d\n"
                        "%%0 = input x : f64[2, %d, %d]\n"
                        "%%1 = input w : f64[2, 2, %d, %d]\n"
                        "%%2 = comp f64[2, %d, %d] [i0, i1, i2] sum(r0 < 2, r1 < %d, r2 < %d: "
                        "mul(select(and(and(ge0(%s), ge0(%d - (%s))), and(ge0(%s), ge0(%d - (%s)))), "
                        "%%0[r0, %s, %s], 0), %%1[i0, r0, r1, r2]))\n"
                        "output y = %%2\n",
                        h, w, k, k, oh, ow, k, k, y, h - 1, y, x, w - 1, x, y, x);
  c.n = strlen(c.text);
  return c;
}

/* ---- the loss and its derivatives ---- */

/* sum(of(x[i], w[i])) over all indices i. */
static Node *sum_all(Graph *g, Node *x, Node *w, Expr *(*of)(Ir *ir, Expr *x, Expr *w)) {
  Var *v[8];
  Form *at[8];
  for (int i = 0; i < x->rank; i++) {
    v[i] = var_fresh(g->ir, x->shape[i]);
    at[i] = form_var(g->ir, v[i]);
  }
  Expr *body = of(g->ir, expr_read(g->ir, x, at), expr_read(g->ir, w, at));
  return graph_comp(g, 0, NULL, RED_sum, x->rank, v, body, (Span){0});
}

static Expr *weighted(Ir *ir, Expr *x, Expr *w) {
  Expr *square = expr_op2(ir, OP_mul, expr_real(ir, DT_f64, 0.5), expr_op2(ir, OP_mul, x, x));
  return expr_op2(ir, OP_add, expr_op2(ir, OP_mul, w, x), square);
}

static Expr *times(Ir *ir, Expr *x, Expr *w) { return expr_op2(ir, OP_mul, x, w); }

static Node *input_like(Graph *g, const char *prefix, const Node *x) {
  Str name = str_internf(g->ir->strings, "%s%s", prefix, x->name ? x->name : "");
  return graph_input(g, name, DT_f64, x->rank, x->shape, (Span){0});
}

Model model_read(const Case *c, char error[256]) {
  Arena *a = arena_new();
  Model m = {.arena = a, .ir = ir_new(a, str_table_new(a))};
  m.g = graph_read(m.ir, c->text, c->n, error);
  if (!m.g) return m;
  for (int i = 0; i < m.g->nodes.n; i++) {
    Node *n = m.g->nodes.at[i];
    if (n->kind == NODE_input && n->dtype == DT_f64) vec_push(a, &m.inputs, n);
  }
  Node *y = m.g->outputs.at[0].node;
  m.loss = sum_all(m.g, y, input_like(m.g, "weights", y), weighted);
  m.g->outputs.n = 0;
  graph_output(m.g, str_internz(m.ir->strings, "loss"), m.loss);
  return m;
}

void model_add_gradients(Model *m) {
  for (int i = 0; i < m->inputs.n; i++) {
    Node *grad = graph_grad(m->g, m->loss, m->inputs.at[i], (Span){0});
    graph_output(m->g, str_internf(m->ir->strings, "d%s", m->inputs.at[i]->name), grad);
  }
}

void model_add_products(Model *m) {
  Node *dot = NULL;
  for (int i = 0; i < m->inputs.n; i++) {
    Node *grad = m->g->outputs.at[1 + i].node;
    Node *part = sum_all(m->g, grad, input_like(m->g, "along ", m->inputs.at[i]), times);
    if (!dot) dot = part;
    else {
      Expr *sum = expr_op2(m->ir, OP_add, expr_read(m->ir, dot, NULL), expr_read(m->ir, part, NULL));
      dot = graph_comp(m->g, 0, NULL, RED_none, 0, NULL, sum, (Span){0});
    }
  }
  for (int i = 0; i < m->inputs.n; i++) {
    Node *product = graph_grad(m->g, dot, m->inputs.at[i], (Span){0});
    graph_output(m->g, str_internf(m->ir->strings, "h%s", m->inputs.at[i]->name), product);
  }
}

static Node *along(Model *m, const Node *x) {
  Str name = str_internf(m->ir->strings, "along %s", x->name ? x->name : "");
  for (int i = 0; i < m->g->nodes.n; i++)
    if (m->g->nodes.at[i]->name == name) return m->g->nodes.at[i];
  return NULL;
}

static Node *sum_of_two(Graph *g, Node *a, Node *b) {
  Var *v[8];
  Form *at[8];
  for (int i = 0; i < a->rank; i++) {
    v[i] = var_fresh(g->ir, a->shape[i]);
    at[i] = form_var(g->ir, v[i]);
  }
  Expr *sum = expr_op2(g->ir, OP_add, expr_read(g->ir, a, at), expr_read(g->ir, b, at));
  return graph_comp(g, a->rank, v, RED_none, 0, NULL, sum, (Span){0});
}

/* How y changes where every input changes along its direction. */
static Node *tangent(Model *m, Node *y) {
  Node *sum = NULL;
  for (int i = 0; i < m->inputs.n; i++) {
    Node *x = m->inputs.at[i], *part = graph_jvp(m->g, y, x, along(m, x), (Span){0});
    sum = sum ? sum_of_two(m->g, sum, part) : part;
  }
  return sum;
}

void model_add_tangents(Model *m) {
  Node *slope = tangent(m, m->loss);
  graph_output(m->g, str_internz(m->ir->strings, "slope"), slope);
  for (int i = 0; i < m->inputs.n; i++) {
    Node *x = m->inputs.at[i], *product = graph_grad(m->g, slope, x, (Span){0});
    graph_output(m->g, str_internf(m->ir->strings, "reverse over forward by %s", x->name), product);
  }
  for (int i = 0; i < m->inputs.n; i++) {
    Str name = str_internf(m->ir->strings, "forward over reverse by %s", m->inputs.at[i]->name);
    graph_output(m->g, name, tangent(m, m->g->outputs.at[1 + i].node));
  }
}
