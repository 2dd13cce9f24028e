/* schedule_run_test.c - schedules compute what the interpreter computes: run member by member in planned memory, with
 * and without groups, before and after the passes. The arena starts as NaN, so a value read too early shows. */
#include "ir/recompute.h"
#include "ir/scalar.h"
#include "tests/unit/ir/run_schedule.h"
#include "tests/unit/random_graph.h"
#include "tests/unit/row_sums.h"
#include "tests/unit/term_sums.h"
#include "tests/unit/unit.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const Target avx512 = {.vector_bytes = 64, .registers = 32, .fma = true, .l1 = 48 << 10, .l2 = 1 << 20};

/* ---- graphs and their inputs ---- */

typedef struct Case {
  const char *name, *text;
  int64_t open;   /* value of every open dimension */
  int level;      /* of the passes and the scheduler */
  bool gradients; /* add the gradients of the first output, squared and summed, by every input, and theirs in turn */
} Case;

typedef struct Setting {
  Arena *arena;
  Graph *g;
  int64_t open;
  Interpretation in;
} Setting;

static int64_t open_value(void *cx, DimAtom *symbol) {
  (void)symbol;
  return *(int64_t *)cx;
}

/* Floats in [-1, 1), integers 0, 1 or 2: good as labels and indices of at least three. */
static void fill(Tensor *t, uint64_t seed) {
  int64_t n = tensor_count(t);
  for (int64_t i = 0; i < n; i++) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    if (dtype_is_float(t->dtype)) dtype_store_real(t->dtype, t->data, i, (double)(int64_t)(seed >> 33) * 0x1p-30 - 1);
    else dtype_store_int(t->dtype, t->data, i, (int64_t)(seed >> 33) % 3);
  }
}

static Tensor tensor_for(Setting *s, const Node *n) {
  Tensor t = {.dtype = n->dtype, .rank = n->rank};
  for (int i = 0; i < n->rank; i++) t.extent[i] = dim_evaluate(n->shape[i], open_value, &s->open);
  t.data = arena_alloc(s->arena, (size_t)(tensor_count(&t) * dtype_bytes(t.dtype)));
  return t;
}

/* sum(x * x) over all of x. */
static Node *sum_of_squares(Graph *g, Node *x) {
  Var *vars[9];
  Form *at[9];
  for (int i = 0; i < x->rank; i++) {
    vars[i] = var_fresh(g->ir, x->shape[i]);
    at[i] = form_var(g->ir, vars[i]);
  }
  Expr *read = expr_read(g->ir, x, at);
  return graph_comp(g, 0, NULL, RED_sum, x->rank, vars, expr_op2(g->ir, OP_mul, read, read), (Span){0});
}

static void add_gradients(Graph *g) {
  Node *y = g->outputs.at[0].node;
  int n = g->nodes.n;
  for (int i = 0; i < n; i++) {
    Node *x = g->nodes.at[i];
    if (x->kind != NODE_input || !dtype_is_float(x->dtype)) continue;
    Node *first = graph_grad(g, sum_of_squares(g, y), x, (Span){0});
    Node *second = graph_grad(g, sum_of_squares(g, first), x, (Span){0});
    graph_output(g, str_internf(g->ir->strings, "d%s", x->name), first);
    graph_output(g, str_internf(g->ir->strings, "h%s", x->name), second);
  }
}

static Setting setting_for(const Case *c) {
  Setting s = {.arena = arena_new(), .open = c->open};
  s.in.arena = s.arena;
  Ir *ir = ir_new(s.arena, str_table_new(s.arena));
  char error[256] = "";
  s.g = graph_read(ir, c->text, strlen(c->text), error);
  if (!s.g) fail_msg("%s: %s", c->name, error);
  if (c->gradients) add_gradients(s.g);
  for (int i = 0; i < s.g->nodes.n; i++) {
    const Node *n = s.g->nodes.at[i];
    if (n->kind != NODE_input && n->kind != NODE_param && n->kind != NODE_state) continue;
    Tensor t = tensor_for(&s, n);
    fill(&t, (uint64_t)n->id + 1);
    vec_push(s.arena, &s.in.given, (Binding){n->name, t});
  }
  return s;
}

static Tensor copy_tensor(Arena *a, Tensor t) {
  size_t bytes = (size_t)(tensor_count(&t) * dtype_bytes(t.dtype));
  void *data = arena_alloc(a, bytes);
  if (bytes) memcpy(data, t.data, bytes);
  t.data = data;
  return t;
}

/* ---- comparing ---- */

static double element(const Tensor *t, int64_t i) {
  return dtype_is_float(t->dtype) ? dtype_load_real(t->dtype, t->data, i)
                                  : (double)dtype_load_int(t->dtype, t->data, i);
}

typedef struct Expected {
  const char *name;
  Node *target; /* of a store; NULL: an output */
  Tensor value;
  double rounding; /* how far roundings move it: the most that any element changes where every float read or computed
                      is off by up to one in its last place */
} Expected;

/* Integers exactly; floats within the rounding of another order of the operations, relative to the largest element;
 * where more cancels than that, within what roundings change in the interpreter, too: some of them, for sums of many
 * terms are off by several, and a few draws tell less than the worst. */
static void compare(const Case *c, const Expected *e, const Tensor *got) {
  const Tensor *expected = &e->value;
  double scale = 0, tolerance = expected->dtype == DT_f64 ? 1e-12 : dtype_is_float(expected->dtype) ? 1e-5 : 0;
  int64_t n = tensor_count(expected);
  for (int64_t i = 0; i < n; i++) scale = fmax(scale, fabs(element(expected, i)));
  double allowed = fmax(tolerance * scale, 16 * e->rounding);
  for (int64_t i = 0; i < n; i++) {
    double x = element(expected, i), y = element(got, i);
    if (!(fabs(x - y) <= allowed) && !(isnan(x) && isnan(y)))
      fail_msg("%s %s, level %d, element %d: %.17g instead of %.17g, allowed %.3g", c->name, e->name, c->level,
               (int)i, y, x, allowed);
  }
}

static const Node *expected_node(const Graph *g, int i) {
  return i < g->outputs.n ? g->outputs.at[i].node : g->stores.at[i - g->outputs.n];
}

static void find_roundings(const Setting *s, Expected *e, int count) {
  enum { DRAWS = 4 };
  for (uint64_t draw = 1; draw <= DRAWS; draw++) {
    Interpretation in = s->in;
    in.jitter = 0x1p-52;
    in.seed = draw;
    const char *error = interpret(s->g, &in);
    if (error) fail_msg("%s", error);
    for (int i = 0; i < count; i++) {
      const Tensor *moved = &in.values[expected_node(s->g, i)->id];
      for (int64_t j = 0; j < tensor_count(moved) && e[i].value.dtype == DT_f64; j++)
        e[i].rounding = fmax(e[i].rounding, fabs(element(moved, j) - element(&e[i].value, j)));
    }
  }
}

static Expected *interpreted(Setting *s, int *count) {
  const char *error = interpret(s->g, &s->in);
  if (error) fail_msg("%s", error);
  const Graph *g = s->g;
  Expected *e = NEW_ARRAY(s->arena, Expected, g->outputs.n + g->stores.n + 1);
  for (int i = 0; i < g->outputs.n; i++)
    e[i] = (Expected){g->outputs.at[i].name, NULL, s->in.values[g->outputs.at[i].node->id], 0};
  for (int i = 0; i < g->stores.n; i++) {
    const Node *store = g->stores.at[i];
    e[g->outputs.n + i] = (Expected){store->in[1]->name, store->in[1], s->in.values[store->id], 0};
  }
  *count = g->outputs.n + g->stores.n;
  find_roundings(s, e, *count);
  return e;
}

static void show(const Schedule *s) {
  if (!getenv("SHOW")) return;
  Buf b = {0};
  graph_print(&b, s->graph);
  schedule_print(&b, s, NULL);
  plan_print(&b, s);
  fputs(b.text, stdout);
  buf_free(&b);
}

static ScheduleRun executed(const Setting *s, const Schedule *plan) {
  ScheduleRun run = {.arena = s->arena};
  for (int i = 0; i < s->in.given.n; i++)
    vec_push(s->arena, &run.given,
             (Binding){s->in.given.at[i].name, copy_tensor(s->arena, s->in.given.at[i].tensor)});
  for (int i = 0; i < s->in.dims.n; i++) vec_push(s->arena, &run.dims, s->in.dims.at[i]);
  run_schedule(plan, &run);
  return run;
}

static bool has_grad(const Graph *g) {
  for (int i = 0; i < g->nodes.n; i++)
    if (g->nodes.at[i]->kind == NODE_grad) return true;
  return false;
}

static void check_run(const Case *c, Setting *s, const Schedule *plan, const Expected *expected, int count) {
  const char *fault = schedule_verify(plan);
  show(plan);
  if (fault) fail_msg("%s: %s", c->name, fault);
  ScheduleRun run = executed(s, plan);
  for (int i = 0; i < count; i++) {
    bool output = !expected[i].target;
    Node *n = output ? s->g->outputs.at[i].node : s->g->stores.at[i - s->g->outputs.n]->in[0];
    Tensor got = run_value(plan, &run, n);
    compare(c, &expected[i], &got);
  }
  assert_int_equal(run.touched, run.arena_bytes); /* the peak is exact */
}

static int repeated; /* kernels, in all cases */

static void check_setting(const Case *c, Setting *s) {
  DiagSink sink = {.arena = s->arena};
  PipelineOptions options = {.level = c->level, .verify = true};
  int count;
  Expected *expected = has_grad(s->g) ? NULL : interpreted(s, &count);
  assert_true(pipeline_run(s->g, &sink, &options));
  if (!expected) expected = interpreted(s, &count);
  Schedule *plan = schedule(s->g, &avx512, s->arena, c->level);
  check_run(c, s, plan, expected, count);
  MemoryFit fit;
  recompute_to_fit(plan, 1, s->open, &fit);
  assert_true(fit.reached <= fit.planned);
  repeated += fit.recomputed;
  check_run(c, s, plan, expected, count);
}

static void check(const Case *c) {
  Setting s = setting_for(c);
  check_setting(c, &s);
  arena_free(s.arena);
}

static void check_text(const char *text) {
  static const int64_t open[] = {0, 1, 5, 12};
  for (int level = 0; level <= 2; level += 2)
    for (size_t i = 0; i < sizeof open / sizeof *open; i++) check(&(Case){"", text, open[i], level, false});
}

/* ---- graphs ---- */

static void training_step(void **state) {
  (void)state;
  check_text(
      "graph step\n"
      "dim B >= 0 batch\n"
      "%0 = input x : f64[B, 9]\n"
      "%1 = input y : i32[B]\n"
      "%2 = param w1 : f64[12, 9]\n"
      "%3 = param b1 : f64[12]\n"
      "%4 = param w2 : f64[8, 12]\n"
      "%5 = param b2 : f64[8]\n"
      "%6 = comp f64[B, 12] [i0, i1] sum(r0 < 9: mul(%0[i0, r0], %2[i1, r0]))\n"
      "%7 = comp f64[B, 12] [i0, i1] add(%6[i0, i1], %3[i1])\n"
      "%8 = comp f64[B, 12] [i0, i1] select(gt(%7[i0, i1], 0), %7[i0, i1], 0)\n"
      "%9 = comp f64[B, 8] [i0, i1] sum(r0 < 12: mul(%8[i0, r0], %4[i1, r0]))\n"
      "%10 = comp f64[B, 8] [i0, i1] add(%9[i0, i1], %5[i1])\n"
      "%11 = comp f64[B] [i0] max(r0 < 8: %10[i0, r0])\n"
      "%12 = comp f64[B] [i0] stop(%11[i0])\n"
      "%13 = comp f64[B] [i0] sum(r0 < 8: exp(sub(%10[i0, r0], %12[i0])))\n"
      "%14 = comp f64[B] [i0] sub(add(log(%13[i0]), %12[i0]), %10[i0, %1[i0]])\n"
      "%15 = comp f64[] [] sum(r0 < B: %14[r0])\n"
      "%16 = comp f64[] [] div(%15[], cast(f64, i32(B)))\n"
      "%17 = input $step : i32[]\n"
      "%18 = grad %16 by %2\n"
      "%19 = grad %16 by %3\n"
      "%20 = grad %16 by %4\n"
      "%21 = grad %16 by %5\n"
      "%22 = state m : f64[12, 9]\n"
      "%23 = state v : f64[12, 9]\n"
      "%24 = comp f64[12, 9] [i0, i1] add(mul(0.9, %22[i0, i1]), mul(0.1, %18[i0, i1]))\n"
      "%25 = comp f64[12, 9] [i0, i1] t0 = %18[i0, i1]; add(mul(0.999, abs(%23[i0, i1])), mul(0.001, mul(t0, t0)))\n"
      "%26 = comp f64[] [] sub(1, pow(0.9, cast(f64, add(1, %17[]))))\n"
      "%27 = comp f64[] [] sub(1, pow(0.999, cast(f64, add(1, %17[]))))\n"
      "%28 = comp f64[12, 9] [i0, i1] sub(%2[i0, i1], div(mul(0.001, div(%24[i0, i1], %26[])), "
      "add(sqrt(div(%25[i0, i1], %27[])), 1e-08)))\n"
      "%29 = comp f64[12] [i0] sub(%3[i0], mul(0.1, %19[i0]))\n"
      "%30 = comp f64[8, 12] [i0, i1] sub(%4[i0, i1], mul(0.1, %20[i0, i1]))\n"
      "%31 = comp f64[8] [i0] sub(%5[i0], mul(0.1, %21[i0]))\n"
      "%32 = comp i32[B] [i0] argmax(r0 < 8: %10[i0, r0])\n"
      "%33 = comp f64[B] [i0] cast(f64, eq(%32[i0], %1[i0]))\n"
      "%34 = comp f64[] [] sum(r0 < B: %33[r0])\n"
      "%35 = store w1 = %28\n"
      "%36 = store b1 = %29\n"
      "%37 = store w2 = %30\n"
      "%38 = store b2 = %31\n"
      "%39 = store m = %24\n"
      "%40 = store v = %25\n"
      "output loss = %16\n"
      "output accuracy = %34\n");
}

/* Params that exchange their values, one that is also an output before and after, one value for two states. */
static void stores(void **state) {
  (void)state;
  check_text("graph stores\n"
             "dim B >= 0 batch\n"
             "%0 = param a : f64[3, 3]\n"
             "%1 = param b : f64[3, 3]\n"
             "%2 = param c : f64[3, 3]\n"
             "%3 = state s : f64[3, 3]\n"
             "%4 = state t : f64[3, 3]\n"
             "%5 = input x : f64[B]\n"
             "%6 = comp f64[3, 3] [i0, i1] %1[i0, i1]\n"
             "%7 = comp f64[3, 3] [i0, i1] %0[i0, i1]\n"
             "%8 = comp f64[3, 3] [i0, i1] add(%2[i1, i0], 1)\n"
             "%9 = comp f64[3, 3] [i0, i1] mul(%2[i0, i1], %8[i0, i1])\n"
             "%10 = comp f64[3, 3] [i0, i1] exp(%9[i0, i1])\n"
             "%11 = store a = %6\n"
             "%12 = store b = %7\n"
             "%13 = store c = %8\n"
             "%14 = store s = %10\n"
             "%15 = store t = %10\n"
             "output x = %5\n"
             "output old = %2\n"
             "output new = %8\n"
             "output product = %9\n");
}

/* A weight that is divided by its own row's norm; a state that is multiplied by itself. */
static void in_place_rows(void **state) {
  (void)state;
  check_text("graph rows\n"
             "dim B >= 0 batch\n"
             "%0 = param w : f64[16, 9]\n"
             "%1 = state s : f64[12, 12]\n"
             "%2 = input x : f64[B, 16]\n"
             "%3 = comp f64[16] [i0] sum(r0 < 9: mul(%0[i0, r0], %0[i0, r0]))\n"
             "%4 = comp f64[16] [i0] sqrt(%3[i0])\n"
             "%5 = comp f64[16, 9] [i0, i1] tanh(div(%0[i0, i1], %4[i0]))\n"
             "%6 = comp f64[12, 12] [i0, i1] sum(r0 < 12: mul(%1[i0, r0], %1[r0, i1]))\n"
             "%7 = comp f64[12, 12] [i0, i1] sub(%1[i0, i1], %6[i0, i1])\n"
             "%8 = comp f64[B, 9] [i0, i1] sum(r0 < 16: mul(%2[i0, r0], %0[r0, i1]))\n"
             "%9 = store w = %5\n"
             "%10 = store s = %7\n"
             "output y = %8\n");
}

/* Normalisation over rows, then over columns, softmax, and everything's derivative. */
static void norms(void **state) {
  (void)state;
  check_text("graph norms\n"
             "dim B >= 0 batch\n"
             "%0 = param x : f64[6, 10]\n"
             "%1 = param gamma : f64[10]\n"
             "%2 = comp f64[6] [i0] sum(r0 < 10: mul(0.1, %0[i0, r0]))\n"
             "%3 = comp f64[6, 10] [i0, i1] sub(%0[i0, i1], %2[i0])\n"
             "%4 = comp f64[6] [i0] sum(r0 < 10: mul(0.1, mul(%3[i0, r0], %3[i0, r0])))\n"
             "%5 = comp f64[6] [i0] rsqrt(add(%4[i0], 1e-05))\n"
             "%6 = comp f64[6, 10] [i0, i1] mul(mul(%3[i0, i1], %5[i0]), %1[i1])\n"
             "%7 = comp f64[10] [i0] max(r0 < 6: %6[r0, i0])\n"
             "%8 = comp f64[6, 10] [i0, i1] tanh(sub(%6[i0, i1], %7[i1]))\n"
             "%9 = comp f64[6] [i0] max(r0 < 10: %8[i0, r0])\n"
             "%10 = comp f64[6] [i0] sum(r0 < 10: exp(sub(%8[i0, r0], %9[i0])))\n"
             "%11 = comp f64[6, 10] [i0, i1] div(exp(sub(%8[i0, i1], %9[i0])), %10[i0])\n"
             "%12 = comp f64[] [] sum(r0 < 6, r1 < 10: mul(%11[r0, r1], %11[r0, r1]))\n"
             "%13 = grad %12 by %0\n"
             "%14 = grad %12 by %1\n"
             "output p = %11\n"
             "output dx = %13\n"
             "output dgamma = %14\n");
}

/* A convolution with padding and stride over channels-last images, pooling, and their derivatives. */
static void convolution(void **state) {
  (void)state;
  check_text("graph conv\n"
             "dim B >= 0 batch\n"
             "%0 = input x : f64[B, 7, 6, 3]\n"
             "%1 = param w : f64[8, 3, 3, 3]\n"
             "%2 = comp f64[B, 4, 3, 8] [i0, i1, i2, i3] sum(r0 < 3, r1 < 3, r2 < 3: "
             "select(and(and(ge0(2*i1 + r0 - 1), ge0(7 - 2*i1 - r0)), and(ge0(2*i2 + r1 - 1), ge0(6 - 2*i2 - r1))), "
             "mul(%0[i0, 2*i1 + r0 - 1, 2*i2 + r1 - 1, r2], %1[i3, r0, r1, r2]), 0))\n"
             "%3 = comp f64[B, 4, 3, 8] [i0, i1, i2, i3] max(%2[i0, i1, i2, i3], 0)\n"
             "%4 = comp f64[B, 2, 2, 8] [i0, i1, i2, i3] max(r0 < 2, r1 < 2: %3[i0, 2*i1 + r0, i2 + r1, i3])\n"
             "%5 = comp f64[] [] sum(r0 < B, r1 < 2, r2 < 2, r3 < 8: mul(%4[r0, r1, r2, r3], %4[r0, r1, r2, r3]))\n"
             "%6 = grad %5 by %1\n"
             "%7 = grad %5 by %0\n"
             "%8 = comp f64[8, 3, 3, 3] [i0, i1, i2, i3] sub(%1[i0, i1, i2, i3], mul(0.01, %6[i0, i1, i2, i3]))\n"
             "%9 = store w = %8\n"
             "output loss = %5\n"
             "output dx = %7\n");
}

/* A table read at data indices, added to at data indices; attention with a causal mask on top. */
static void attention(void **state) {
  (void)state;
  check_text("graph attend\n"
             "dim B >= 0 batch\n"
             "%0 = input token : i32[B, 9]\n"
             "%1 = param table : f64[5, 8]\n"
             "%2 = comp f64[B, 9, 8] [i0, i1, i2] %1[%0[i0, i1], i2]\n"
             "%3 = comp f64[B, 9, 9] [i0, i1, i2] sum(r0 < 8: mul(0.3, mul(%2[i0, i1, r0], %2[i0, i2, r0])))\n"
             "%4 = comp f64[B, 9, 9] [i0, i1, i2] select(ge0(i1 - i2), %3[i0, i1, i2], -inf)\n"
             "%5 = comp f64[B, 9] [i0, i1] max(r0 < 9: %4[i0, i1, r0])\n"
             "%6 = comp f64[B, 9] [i0, i1] stop(%5[i0, i1])\n"
             "%7 = comp f64[B, 9, 9] [i0, i1, i2] exp(sub(%4[i0, i1, i2], %6[i0, i1]))\n"
             "%8 = comp f64[B, 9] [i0, i1] sum(r0 < 9: %7[i0, i1, r0])\n"
             "%9 = comp f64[B, 9, 9] [i0, i1, i2] div(%7[i0, i1, i2], %8[i0, i1])\n"
             "%10 = comp f64[B, 9, 8] [i0, i1, i2] sum(r0 < 9: mul(%9[i0, i1, r0], %2[i0, r0, i2]))\n"
             "%11 = comp f64[] [] sum(r0 < B, r1 < 9, r2 < 8: mul(%10[r0, r1, r2], %10[r0, r1, r2]))\n"
             "%12 = grad %11 by %1\n"
             "%13 = comp f64[5, 8] [i0, i1] sub(%1[i0, i1], mul(0.01, %12[i0, i1]))\n"
             "%14 = store table = %13\n"
             "output loss = %11\n");
}

static void sums_beside_rows(void **state) {
  (void)state;
  check_text(ROW_SUMS_OPEN("f64"));
  check_text(ROW_SUMS_INNER("f64"));
  check_text(ROW_SUMS_KEPT("f64"));
  check_text(ROW_SUMS_FEW("f64"));
  check_text(ROW_SUMS_SECOND("f64"));
}

static void sums_of_terms(void **state) {
  (void)state;
  check_text(TERM_SUMS("f64"));
}

/* A contraction over quotients whose divisor is 0 where the condition is false. */
static void guarded_quotient(void **state) {
  (void)state;
  check_text("graph quotient\n"
             "dim B >= 0 batch\n"
             "%0 = input x : f64[B, 9]\n"
             "%1 = param w : f64[9, 10]\n"
             "%2 = comp f64[B] [i0] max(%0[i0, 0], 0)\n"
             "%3 = comp f64[B, 10] [i0, i1] sum(r0 < 9: select(gt(%2[i0], 0), "
             "mul(div(%0[i0, r0], %2[i0]), %1[r0, i1]), 0))\n"
             "output s = %2\n"
             "output y = %3\n");
}

static char *read_file(Arena *a, const char *path) {
  FILE *f = fopen(path, "rb");
  assert_non_null(f);
  char *text = arena_alloc(a, 65536);
  size_t n = fread(text, 1, 65535, f);
  text[n] = 0;
  fclose(f);
  return text;
}

/* The graphs of the derivative's tests, with first and second derivatives. */
static void every_graph(void **state) {
  (void)state;
  DIR *d = opendir(NNC_GRAPHS);
  assert_non_null(d);
  Arena *a = arena_new();
  for (struct dirent *e; (e = readdir(d));) {
    const char *end = strrchr(e->d_name, '.');
    if (!end || strcmp(end, ".graph") || (getenv("GRAPH") && strcmp(getenv("GRAPH"), e->d_name))) continue;
    char *text = read_file(a, arena_printf(a, "%s/%s", NNC_GRAPHS, e->d_name));
    for (int level = 0; level <= 2; level += 2) check(&(Case){e->d_name, text, 3, level, true});
  }
  closedir(d);
  arena_free(a);
}

/* ---- random graphs, with a step of descent on every param ---- */

static void descend(RandomGraph *r) {
  Graph *g = r->g;
  for (int i = 0, n = g->nodes.n; i < n; i++) {
    Node *p = g->nodes.at[i];
    if (p->kind != NODE_param || !dtype_is_float(p->dtype)) continue;
    Node *grad = graph_grad(g, r->loss, p, (Span){0});
    Var *vars[9];
    Form *at[9];
    for (int d = 0; d < p->rank; d++) {
      vars[d] = var_fresh(g->ir, p->shape[d]);
      at[d] = form_var(g->ir, vars[d]);
    }
    Expr *step = expr_op2(g->ir, OP_mul, expr_real(g->ir, p->dtype, 0.125), expr_read(g->ir, grad, at));
    Expr *next = expr_op2(g->ir, OP_sub, expr_read(g->ir, p, at), step);
    graph_store(g, p, graph_comp(g, p->rank, vars, RED_none, 0, NULL, next, (Span){0}), (Span){0});
  }
}

static void random_graphs(void **state) {
  (void)state;
  int count = getenv("COUNT") ? atoi(getenv("COUNT")) : 60, first = getenv("SEED") ? atoi(getenv("SEED")) : 1;
  for (int seed = first; seed < first + count; seed++)
    for (int level = 0; level <= 2; level += 2) {
      RandomGraph r = random_graph((uint64_t)seed, RANDOM_F64);
      if (seed % 2) descend(&r);
      Setting s = {.arena = r.arena, .g = r.g, .open = r.batch, .in = r.in};
      check_setting(&(Case){.name = arena_printf(r.arena, "seed %d", seed), .level = level}, &s);
      random_graph_free(&r);
    }
}

/* That something was repeated in all these graphs, or nothing was tested. */
static void recomputed(void **state) {
  (void)state;
  assert_true(repeated >= 20);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(training_step),    cmocka_unit_test(stores),
      cmocka_unit_test(in_place_rows),    cmocka_unit_test(norms),
      cmocka_unit_test(convolution),      cmocka_unit_test(attention),
      cmocka_unit_test(guarded_quotient), cmocka_unit_test(sums_beside_rows),
      cmocka_unit_test(sums_of_terms),    cmocka_unit_test(every_graph),
      cmocka_unit_test(random_graphs),    cmocka_unit_test(recomputed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
