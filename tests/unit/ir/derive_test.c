/* derive_test.c - derivatives of whole graphs by the interpreter in f64: gradients against central differences of the
 * value, Hessian-vector products against central differences of the gradient, and both again after all passes.
 *
 * The graphs are tests/graphs/NAME.graph and what derivative_model.h makes of them. Open dimensions are 3. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ir/derive.h"
#include "ir/pass.h"
#include "ir/interpret.h"
#include "tests/unit/derivative_model.h"
#include "tests/unit/random_graph.h"
#include "tests/unit/unit.h"

static uint64_t random_state;
static double uniform(void) {
  random_state = random_state * 6364136223846793005u + 1442695040888963407u;
  return (double)(random_state >> 11) / 9007199254740992.0;
}

static Model read_model(const Case *c) {
  char error[256];
  Model m = model_read(c, error);
  if (!m.g) fail_msg("%s: %s", c->name, error);
  return m;
}

static void run_pass(const Case *c, Model *m, PassFunction pass) {
  pass(m->g, &(PassContext){0});
  const char *fault = graph_verify(m->g);
  if (fault) fail_msg("%s: %s", c->name, fault);
}

/* ---- values ---- */

typedef struct Values {
  Vec(Binding) given;
  DimBinding *batch; /* NULL: from the inputs' shapes */
} Values;

static int64_t three(void *cx, DimAtom *symbol) {
  (void)cx;
  (void)symbol;
  return 3;
}

/* A value for every input of the graph: floats in [-1, 1], positions in 0, 1, 2. */
static void draw_values(Model *m, Values *v) {
  for (int i = 0; i < m->g->nodes.n; i++) {
    Node *n = m->g->nodes.at[i];
    if (n->kind != NODE_input) continue;
    Tensor t = {.dtype = n->dtype, .rank = n->rank};
    for (int d = 0; d < n->rank; d++) t.extent[d] = dim_evaluate(n->shape[d], three, NULL);
    int64_t count = tensor_count(&t);
    t.data = arena_alloc(m->arena, (size_t)(8 * count + 8));
    for (int64_t k = 0; k < count; k++) {
      double u = uniform();
      if (n->dtype == DT_f64) ((double *)t.data)[k] = 2 * u - 1;
      else if (n->dtype == DT_i64) ((int64_t *)t.data)[k] = (int64_t)(3 * u);
      else ((int32_t *)t.data)[k] = (int32_t)(3 * u);
    }
    vec_push(m->arena, &v->given, (Binding){n->name, t});
  }
}

static Tensor *value_named(Values *v, const char *name) {
  for (int i = 0; i < v->given.n; i++)
    if (!strcmp(v->given.at[i].name, name)) return &v->given.at[i].tensor;
  fail_msg("no input %s", name);
  return NULL;
}

/* Evaluates all outputs; the names of v are those of another model's, so bind by text. */
static Tensor *evaluate(Model *m, Values *v, Arena *arena) {
  Interpretation in = {.arena = arena, .f64 = true};
  for (int i = 0; i < v->given.n; i++) {
    Str name = str_internz(m->ir->strings, v->given.at[i].name);
    vec_push(arena, &in.given, (Binding){name, v->given.at[i].tensor});
  }
  if (v->batch) vec_push(arena, &in.dims, *v->batch);
  const char *error = interpret(m->g, &in);
  if (error) fail_msg("%s", error);
  Tensor *out = NEW_ARRAY(arena, Tensor, m->g->outputs.n);
  for (int i = 0; i < m->g->outputs.n; i++) out[i] = in.values[m->g->outputs.at[i].node->id];
  return out;
}

static double at(const Tensor *t, int64_t i) { return ((double *)t->data)[i]; }

static void expect(const char *name, const char *what, int64_t i, double value, double reference, double tolerance) {
  if (fabs(value - reference) <= tolerance * fmax(1, fabs(reference))) return;
  fail_msg("%s: %s[%d] is %.15g, expected %.15g", name, what, (int)i, value, reference);
}

/* d loss / d x against (loss(x + h) - loss(x - h)) / 2h, element by element. */
static void check_gradients(const Case *c, Model *plain, Values *v, const Model *full, const Tensor *got) {
  double h = 1e-5;
  Arena *scratch = arena_new();
  for (int i = 0; i < full->inputs.n; i++) {
    Tensor *x = value_named(v, full->inputs.at[i]->name);
    for (int64_t k = 0; k < tensor_count(x); k++) {
      double keep = at(x, k);
      ((double *)x->data)[k] = keep + h;
      double above = at(evaluate(plain, v, scratch), 0);
      ((double *)x->data)[k] = keep - h;
      double below = at(evaluate(plain, v, scratch), 0);
      ((double *)x->data)[k] = keep;
      expect(c->name, full->g->outputs.at[1 + i].name, k, at(&got[1 + i], k), (above - below) / (2 * h), 1e-6);
    }
  }
  arena_free(scratch);
}

static void step(Model *m, Values *v, double h) {
  for (int i = 0; i < m->inputs.n; i++) {
    Tensor *x = value_named(v, m->inputs.at[i]->name);
    Tensor *along = value_named(v, str_internf(m->ir->strings, "along %s", m->inputs.at[i]->name));
    for (int64_t k = 0; k < tensor_count(x); k++) ((double *)x->data)[k] += h * at(along, k);
  }
}

/* H * along against (gradient(x + h*along) - gradient(x - h*along)) / 2h. */
static void check_products(const Case *c, Model *m, Values *v, const Tensor *got) {
  double h = 1e-5;
  Arena *scratch = arena_new();
  step(m, v, h);
  Tensor *above = evaluate(m, v, scratch);
  step(m, v, -2 * h);
  Tensor *below = evaluate(m, v, scratch);
  step(m, v, h);
  for (int i = 0; i < m->inputs.n; i++)
    for (int64_t k = 0; k < tensor_count(&got[1 + i]); k++) {
      double fd = (at(&above[1 + i], k) - at(&below[1 + i], k)) / (2 * h);
      int output = 1 + m->inputs.n + i;
      expect(c->name, m->g->outputs.at[output].name, k, at(&got[output], k), fd, 2e-6);
    }
  arena_free(scratch);
}

/* The slope along the directions, and the products with them in the other two orders of the modes. */
static void check_tangents(const Case *c) {
  Model m = read_model(c);
  Values v = {0};
  random_state = 11;
  model_add_gradients(&m);
  model_add_products(&m);
  model_add_tangents(&m);
  draw_values(&m, &v);
  run_pass(c, &m, pass_derive);
  Tensor *got = evaluate(&m, &v, m.arena);
  int n = m.inputs.n;
  double slope = 0;
  for (int i = 0; i < n; i++) {
    const Tensor *direction = value_named(&v, str_internf(m.ir->strings, "along %s", m.inputs.at[i]->name));
    for (int64_t k = 0; k < tensor_count(direction); k++) slope += at(&got[1 + i], k) * at(direction, k);
  }
  expect(c->name, "slope", 0, at(&got[1 + 2 * n], 0), slope, 1e-10);
  for (int i = 0; i < 2 * n; i++)
    for (int64_t k = 0; k < tensor_count(&got[1 + n + i % n]); k++)
      expect(c->name, m.g->outputs.at[2 + 2 * n + i].name, k, at(&got[2 + 2 * n + i], k), at(&got[1 + n + i % n], k),
             1e-10);
  arena_free(m.arena);
}

static void forward_mode(void **state) {
  (void)state;
  Arena *a = arena_new();
  Cases cases = {0};
  cases_read(a, NNC_GRAPHS, &cases);
  for (int i = 0; i < cases.n; i++)
    if (!strstr(cases.at[i].text, "carry")) check_tangents(&cases.at[i]);
  Case strided = case_convolution(a, 2, 3, 1, 1);
  check_tangents(&strided);
  arena_free(a);
}

/* The whole check of one graph. */
static void check(const Case *c) {
  Model plain = read_model(c), m = read_model(c), simple = read_model(c);
  Values v = {0};
  random_state = 11;
  model_add_gradients(&m);
  model_add_products(&m);
  model_add_gradients(&simple);
  model_add_products(&simple);
  draw_values(&m, &v);
  run_pass(c, &m, pass_derive);
  for (const Pass *p = pipeline; p->name; p++) run_pass(c, &simple, p->run);

  Tensor *got = evaluate(&m, &v, m.arena), *after = evaluate(&simple, &v, simple.arena);
  check_gradients(c, &plain, &v, &m, got);
  check_products(c, &m, &v, got);
  for (int i = 0; i < m.g->outputs.n; i++)
    for (int64_t k = 0; k < tensor_count(&got[i]); k++)
      expect(c->name, simple.g->outputs.at[i].name, k, at(&after[i], k), at(&got[i], k), 1e-9);
  arena_free(plain.arena);
  arena_free(m.arena);
  arena_free(simple.arena);
}

/* ---- the graphs of tests/graphs ---- */

static void every_graph(void **state) {
  (void)state;
  Arena *a = arena_new();
  Cases cases = {0};
  cases_read(a, NNC_GRAPHS, &cases);
  for (int i = 0; i < cases.n; i++) check(&cases.at[i]);
  print_message("%d graphs: gradients and Hessian-vector products\n", cases.n);
  assert_true(cases.n > 0 || getenv("GRAPH"));
  arena_free(a);
}

/* ---- convolutions: stride, kernel, pad, dilation ---- */

static void convolutions(void **state) {
  (void)state;
  static const int shapes[][4] = {{1, 3, 1, 1}, {1, 3, 0, 1}, {1, 1, 0, 1}, {1, 5, 2, 1}, {2, 3, 1, 1},
                                  {2, 3, 0, 1}, {2, 2, 0, 1}, {3, 3, 1, 1}, {4, 7, 3, 1}, {1, 3, 2, 2},
                                  {2, 3, 2, 2}, {2, 1, 0, 1}, {3, 2, 1, 6}};
  Arena *a = arena_new();
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
    const int *s = shapes[i];
    Case c = case_convolution(a, s[0], s[1], s[2], s[3]);
    check(&c);
  }
  arena_free(a);
}

/* ---- random reads ---- */

static int64_t random_in(int64_t lo, int64_t hi) { return lo + (int64_t)(uniform() * (double)(hi - lo + 1)); }

static Form *random_form(Ir *ir, int n, Var **v) {
  Form *f = form_const(ir, random_in(-2, 2));
  for (int i = 0; i < n; i++)
    if (random_in(0, 2)) f = form_add(ir, f, form_scale(ir, form_var(ir, v[i]), random_in(-2, 4)));
  int64_t c = random_in(2, 4), kind = random_in(0, 5);
  return kind == 0 ? form_floordiv(ir, f, c) : kind == 1 ? form_mod(ir, f, c) : f;
}

/* y[i...] = sum(r...: select(A inside x, x[A] * w[B], 0)) with B over the same indices and made to be inside w. */
static Case random_read(Arena *a) {
  Ir *ir = ir_new(a, str_table_new(a));
  Graph *g = graph_new(ir, str_internz(ir->strings, "read"));
  int n = (int)random_in(1, 4), nred = (int)random_in(0, n), rank = (int)random_in(1, 2);
  Var *v[4];
  for (int i = 0; i < n; i++) v[i] = var_fresh(ir, dim_const(ir, random_in(1, 4)));
  Dim *shape[2], *other = dim_const(ir, 3);
  Form *at[2], *of_w = form_mod(ir, random_form(ir, n, v), 3);
  Expr *inside = NULL;
  for (int d = 0; d < rank; d++) {
    shape[d] = dim_const(ir, random_in(1, 6));
    at[d] = random_form(ir, n, v);
    inside = expr_and(ir, inside, expr_inside(ir, at[d], shape[d]));
  }
  Node *x = graph_input(g, str_internz(ir->strings, "x"), DT_f64, rank, shape, (Span){0});
  Node *w = graph_input(g, str_internz(ir->strings, "w"), DT_f64, 1, &other, (Span){0});
  Expr *body = expr_op2(ir, OP_mul, expr_read(ir, x, at), expr_read(ir, w, &of_w));
  if (inside) body = expr_select(ir, inside, body, expr_real(ir, DT_f64, 0));
  Node *y = graph_comp(g, n - nred, v, nred ? RED_sum : RED_none, nred, v + n - nred, body, (Span){0});
  graph_output(g, str_internz(ir->strings, "y"), y);
  Buf text = {0};
  graph_print(&text, g);
  Case c = {.name = arena_strndup(a, text.text, text.n), .n = text.n};
  c.text = c.name;
  buf_free(&text);
  return c;
}

static void random_reads(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 200; seed++) {
    Arena *a = arena_new();
    random_state = seed * 7919;
    Case c = random_read(a);
    check(&c);
    arena_free(a);
  }
}

/* ---- random graphs ---- */

/* A random graph as a model: its loss, its gradients and products, and values for all inputs. */
static Model random_model(RandomGraph *r, Values *v) {
  Model m = {.arena = r->arena, .ir = r->ir, .g = r->g, .loss = r->loss};
  for (int i = 0; i < m.g->nodes.n; i++) {
    Node *n = m.g->nodes.at[i];
    bool source = n->kind == NODE_input || n->kind == NODE_param || n->kind == NODE_state;
    if (source && n->dtype == DT_f64) vec_push(m.arena, &m.inputs, n);
  }
  m.g->outputs.n = 0;
  graph_output(m.g, str_internz(m.ir->strings, "loss"), m.loss);
  model_add_gradients(&m);
  model_add_products(&m);
  for (int i = 0; i < r->in.given.n; i++) vec_push(m.arena, &v->given, r->in.given.at[i]);
  if (r->in.dims.n) v->batch = &r->in.dims.at[0];
  for (int i = 0; i < m.inputs.n; i++) {
    Tensor along = *value_named(v, m.inputs.at[i]->name);
    int64_t count = tensor_count(&along);
    along.data = NEW_ARRAY(m.arena, double, count + 1);
    for (int64_t k = 0; k < count; k++) ((double *)along.data)[k] = 2 * uniform() - 1;
    Str name = str_internf(m.ir->strings, "along %s", m.inputs.at[i]->name);
    vec_push(m.arena, &v->given, (Binding){name, along});
  }
  return m;
}

static double largest(const Tensor *t) {
  double most = 1;
  for (int64_t k = 0; k < tensor_count(t); k++) most = fmax(most, fabs(at(t, k)));
  return most;
}

/* Second derivatives of random graphs, by differences of fourth order along one direction. */
static void random_graphs(void **state) {
  (void)state;
  static const double weight[] = {1.0 / 12, -8.0 / 12, 8.0 / 12, -1.0 / 12}, steps[] = {-2, 1, 2, 1};
  random_state = 5;
  for (uint64_t seed = 1; seed <= 40; seed++) {
    RandomGraph r = random_graph(seed, RANDOM_SMOOTH | RANDOM_F64);
    Values v = {0};
    Model m = random_model(&r, &v);
    DiagSink sink = {.arena = r.arena};
    assert_true(pipeline_run(m.g, &sink, &(PipelineOptions){.level = seed % 2 ? 2 : 0, .verify = true}));
    Tensor *got = evaluate(&m, &v, r.arena), *near[4];
    double h = 1e-3;
    for (int k = 0; k < 4; k++) {
      step(&m, &v, steps[k] * h);
      near[k] = evaluate(&m, &v, r.arena);
    }
    for (int i = 0; i < m.inputs.n; i++) {
      const Tensor *product = &got[1 + m.inputs.n + i];
      double scale = largest(product);
      for (int64_t k = 0; k < tensor_count(product); k++) {
        double fd = 0;
        for (int j = 0; j < 4; j++) fd += weight[j] * at(&near[j][1 + i], k) / h;
        if (!(fabs(at(product, k) - fd) <= 1e-6 * scale))
          fail_msg("seed %d, %s[%d]: %.12g, measured %.12g", (int)seed, m.inputs.at[i]->name, (int)k, at(product, k),
                   fd);
      }
    }
    random_graph_free(&r);
  }
}

/* ---- single questions ---- */

static Graph *read_text(Arena *a, const char *text) {
  char error[256];
  Graph *g = graph_read(ir_new(a, str_table_new(a)), text, strlen(text), error);
  if (!g) fail_msg("%s", error);
  return g;
}

static Node *output_named(Graph *g, const char *name) {
  for (int i = 0; i < g->outputs.n; i++)
    if (!strcmp(g->outputs.at[i].name, name)) return g->outputs.at[i].node;
  fail_msg("no output %s", name);
  return NULL;
}

/* What cuts: stop, comparisons, casts to integers, floor, argmax, data indices. */
static void what_depends(void **state) {
  (void)state;
  Arena *a = arena_new();
  Graph *g = read_text(a, "graph g\n"
                          "%0 = input x : f64[4]\n"
                          "%1 = comp f64[] [] sum(r0 < 4: mul(%0[r0], %0[r0]))\n"
                          "%2 = comp f64[] [] stop(%1[])\n"
                          "%3 = comp f64[] [] select(gt(%1[], 0), 2, 3)\n"
                          "%4 = comp f64[] [] cast(f64, cast(i32, %1[]))\n"
                          "%5 = comp i32[] [] argmax(r0 < 4: %0[r0])\n"
                          "%6 = const f64[4] {1, 2, 3, 4}\n"
                          "%7 = comp f64[] [] %6[%5[]]\n"
                          "%8 = comp f64[] [] add(floor(%1[]), mul(%3[], %2[]))\n"
                          "%9 = comp f64[] [] add(%8[], %1[])\n"
                          "%10 = comp f64[] [] %0[%5[]]\n"
                          "%11 = grad %1 by %0\n"
                          "%12 = comp f64[] [] sum(r0 < 4: %11[r0])\n"
                          "output stop = %2\noutput compare = %3\noutput cast = %4\noutput index = %7\n"
                          "output all = %8\noutput some = %9\noutput chosen = %10\noutput grad = %12\n");
  static const struct {
    const char *output;
    bool depends;
  } cases[] = {{"stop", false}, {"compare", false}, {"cast", false},  {"index", false},
               {"all", false},  {"some", true},     {"chosen", true}, {"grad", true}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    if (derive_depends(g, output_named(g, cases[i].output), g->nodes.at[0]) != cases[i].depends)
      fail_msg("derive_depends is wrong about %s", cases[i].output);
  arena_free(a);
}

/* Derivatives by a value on the way, by what is before it, and by what does not matter, in one sweep. */
static void by_any_node(void **state) {
  (void)state;
  Arena *a = arena_new();
  Graph *g = read_text(a, "graph g\n"
                          "%0 = input x : f64[3]\n"
                          "%1 = input other : f64[2]\n"
                          "%2 = comp f64[3] [i0] mul(%0[i0], %0[i0])\n"
                          "%3 = comp f64[] [] sum(r0 < 3: mul(%2[r0], %0[r0]))\n"
                          "%4 = grad %3 by %2\n"
                          "%5 = grad %3 by %0\n"
                          "%6 = grad %3 by %1\n"
                          "%7 = grad %3 by %3\n"
                          "output middle = %4\noutput x = %5\noutput other = %6\noutput self = %7\n");
  pass_derive(g, &(PassContext){0});
  assert_null(graph_verify(g));
  Interpretation in = {.arena = a, .f64 = true};
  double x[] = {1, -2, 3};
  Tensor t = {.dtype = DT_f64, .rank = 1, .extent = {3}, .data = x};
  vec_push(a, &in.given, (Binding){str_internz(g->ir->strings, "x"), t});
  assert_null(interpret(g, &in));
  for (int i = 0; i < 3; i++) {
    assert_true(at(&in.values[output_named(g, "middle")->id], i) == x[i]);
    assert_true(at(&in.values[output_named(g, "x")->id], i) == 3 * x[i] * x[i]);
  }
  assert_true(at(&in.values[output_named(g, "other")->id], 1) == 0);
  assert_true(at(&in.values[output_named(g, "self")->id], 0) == 1);
  arena_free(a);
}

/* The sum of a narrow tensor's adjoints is formed in f32: 1 + 2^-9 + 2^-9 is lost twice in bf16, not in f32. */
static void narrow_adjoints(void **state) {
  (void)state;
  Arena *a = arena_new();
  Graph *g = read_text(a, "graph g\n"
                          "%0 = input x : bf16[1]\n"
                          "%1 = comp f32[1] [i0] cast(f32, %0[i0])\n"
                          "%2 = comp f32[1] [i0] mul(0.001953125, cast(f32, %0[i0]))\n"
                          "%3 = comp f32[1] [i0] mul(0.00390625, cast(f32, %0[i0]))\n"
                          "%4 = comp f32[] [] add(%1[0], add(%2[0], %3[0]))\n"
                          "%5 = grad %4 by %0\n"
                          "output dx = %5\n");
  pass_derive(g, &(PassContext){0});
  assert_null(graph_verify(g));
  assert_int_equal(output_named(g, "dx")->dtype, DT_bf16);
  Interpretation in = {.arena = a};
  uint16_t one = 0x3f80;
  Tensor t = {.dtype = DT_bf16, .rank = 1, .extent = {1}, .data = &one};
  vec_push(a, &in.given, (Binding){str_internz(g->ir->strings, "x"), t});
  assert_null(interpret(g, &in));
  uint16_t got = ((uint16_t *)in.values[output_named(g, "dx")->id].data)[0];
  assert_int_equal(got, 0x3f81); /* 1 + 2^-7; the exact sum is 1 + 3 * 2^-9, each term alone would vanish */
  arena_free(a);
}

/* Only the first of equal elements gets the adjoint of a maximum. */
static void ties(void **state) {
  (void)state;
  Arena *a = arena_new();
  Graph *g = read_text(a, "graph g\n"
                          "%0 = input x : f64[2, 3]\n"
                          "%1 = comp f64[] [] max(r0 < 2, r1 < 3: %0[r0, r1])\n"
                          "%2 = grad %1 by %0\n"
                          "output dx = %2\n");
  pass_derive(g, &(PassContext){0});
  Interpretation in = {.arena = a, .f64 = true};
  double x[] = {1, 5, 5, 5, 0, 5};
  Tensor t = {.dtype = DT_f64, .rank = 2, .extent = {2, 3}, .data = x};
  vec_push(a, &in.given, (Binding){str_internz(g->ir->strings, "x"), t});
  assert_null(interpret(g, &in));
  for (int i = 0; i < 6; i++) assert_true(at(&in.values[output_named(g, "dx")->id], i) == (i == 1));
  arena_free(a);
}

static double volume(const Node *n) {
  double v = 1;
  for (int i = 0; i < n->rank; i++) v *= (double)dim_evaluate(n->shape[i], three, NULL);
  for (int i = 0; i < n->nred; i++) v *= (double)dim_evaluate(n->red[i], three, NULL);
  return v;
}

/* The derivatives of a convolution, and theirs, visit about as many products as itself: a stride leaves at most the
 * kernel rounded up to its multiple, dilation nothing. Without N5, N6 and N8 it would be 28 times for stride 2. */
static void convolutions_stay_cheap(void **state) {
  (void)state;
  static const struct {
    int shape[4];
    double bound;
  } cases[] = {
      {{1, 3, 1, 1}, 1.4}, {{2, 3, 1, 1}, 1.8}, {{2, 2, 0, 1}, 1.4}, {{3, 3, 1, 1}, 1.4}, {{1, 3, 2, 2}, 1.4}};
  Arena *a = arena_new();
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const int *s = cases[i].shape;
    Case c = case_convolution(a, s[0], s[1], s[2], s[3]);
    Model m = read_model(&c);
    double forward = 0, largest = 0;
    for (int k = 0; k < m.g->nodes.n; k++) forward = fmax(forward, volume(m.g->nodes.at[k]));
    model_add_gradients(&m);
    model_add_products(&m);
    run_pass(&c, &m, pass_derive);
    run_pass(&c, &m, pass_simplify);
    for (int k = 0; k < m.g->nodes.n; k++) largest = fmax(largest, volume(m.g->nodes.at[k]));
    if (getenv("GRAPH")) print_message("%s: %.2f\n", c.name, largest / forward);
    if (largest > cases[i].bound * forward) fail_msg("%s: %.2f times the products", c.name, largest / forward);
    arena_free(m.arena);
  }
  arena_free(a);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_graph),     cmocka_unit_test(forward_mode),
      cmocka_unit_test(convolutions),    cmocka_unit_test(convolutions_stay_cheap),
      cmocka_unit_test(random_reads),    cmocka_unit_test(random_graphs),
      cmocka_unit_test(what_depends),    cmocka_unit_test(by_any_node),
      cmocka_unit_test(narrow_adjoints), cmocka_unit_test(ties),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
