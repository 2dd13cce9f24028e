/* random_graph_test.c - random graphs: well-formed; their text reads back to the same text and the same values;
 * passes keep the values, together and with each of the optional ones left out; derivatives agree with differences.
 */
#include "ir/pass.h"
#include "ir/scalar.h"
#include "tests/unit/random_graph.h"
#include "tests/unit/unit.h"

#include <math.h>
#include <string.h>

enum { GRAPHS = 80 };

static void run(RandomGraph *r, Graph *g, Interpretation *in) {
  *in = (Interpretation){.arena = r->arena, .f64 = r->in.f64, .given = r->in.given, .dims = r->in.dims};
  const char *error = interpret(g, in);
  if (error) fail_msg("%s: %s", g->name, error);
}

static const char *text_of(const RandomGraph *r, const Graph *g) {
  Buf b = {0};
  graph_print(&b, g);
  const char *s = arena_strndup(r->arena, b.text, b.n);
  buf_free(&b);
  return s;
}

/* Largest difference of two outputs, relative to the largest absolute value (at least 1). */
static double difference(const Tensor *a, const Tensor *b) {
  double worst = 0, scale = 1;
  assert_int_equal(a->dtype, b->dtype);
  assert_int_equal(tensor_count(a), tensor_count(b));
  for (int64_t i = 0; i < tensor_count(a); i++) {
    double x = dtype_load_real(a->dtype, a->data, i), y = dtype_load_real(b->dtype, b->data, i);
    assert_true(isfinite(x) && isfinite(y));
    worst = fmax(worst, fabs(x - y));
    scale = fmax(scale, fabs(x));
  }
  return worst / scale;
}

static void verified(RandomGraph *r) {
  const char *fault = graph_verify(r->g);
  if (fault) fail_msg("%s: %s\n%s", r->g->name, fault, text_of(r, r->g));
}

static void text_keeps_everything(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= GRAPHS; seed++) {
    RandomGraph r = random_graph(seed, 0);
    verified(&r);
    const char *text = text_of(&r, r.g);
    Ir *ir = ir_new(r.arena, r.ir->strings);
    char error[256];
    Graph *again = graph_read(ir, text, strlen(text), error);
    if (!again) fail_msg("seed %d: %s\n%s", (int)seed, error, text);
    assert_string_equal(text_of(&r, again), text);
    Interpretation first, second;
    run(&r, r.g, &first);
    r.in.dims.n = 0;
    vec_push(r.arena, &r.in.dims, (DimBinding){again->batch, r.batch});
    run(&r, again, &second);
    for (int i = 0; i < r.g->nodes.n; i++) {
      const Tensor *a = &first.values[i], *b = &second.values[i];
      assert_memory_equal(a->data, b->data, (size_t)tensor_count(a) * (size_t)dtype_bytes(a->dtype));
    }
    random_graph_free(&r);
  }
}

/* The graph's outputs after the passes, one of them perhaps left out, are what they were before. */
static void check_passes(uint64_t seed, const char *without) {
  RandomGraph r = random_graph(seed, RANDOM_F64);
  Interpretation before, after;
  run(&r, r.g, &before);
  Vec(Node *) outputs = {0};
  for (int i = 0; i < r.g->outputs.n; i++) vec_push(r.arena, &outputs, r.g->outputs.at[i].node);
  int ids[8];
  for (int i = 0; i < outputs.n; i++) ids[i] = outputs.at[i]->id;
  DiagSink sink = {.arena = r.arena};
  PipelineOptions o = {.level = 2, .verify = true, .disabled = (const char *const[]){without, NULL}};
  assert_true(pipeline_run(r.g, &sink, &o));
  run(&r, r.g, &after);
  for (int i = 0; i < outputs.n; i++) {
    double d = difference(&before.values[ids[i]], &after.values[r.g->outputs.at[i].node->id]);
    if (d > 1e-12)
      fail_msg("seed %d, without %s, output %s: %g\n%s", (int)seed, without ? without : "nothing",
               r.g->outputs.at[i].name, d, text_of(&r, r.g));
  }
  random_graph_free(&r);
}

static void passes_keep_the_values(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= GRAPHS; seed++) {
    check_passes(seed, NULL);
    for (const Pass *p = pipeline; p->name; p++)
      if (p->level > 0) check_passes(seed, p->name);
  }
}

/* ---- derivatives ---- */

static double loss_of(RandomGraph *r, Graph *g) {
  Interpretation in;
  run(r, g, &in);
  const Tensor *t = &in.values[g->outputs.at[0].node->id];
  return dtype_load_real(t->dtype, t->data, 0);
}

/* The directional derivative along a fixed direction, by a difference of fourth order. */
static double measured(RandomGraph *r, Graph *g, Tensor *x, const double *direction, double h) {
  double *data = x->data, at[4] = {0};
  const double steps[] = {-2, -1, 1, 2};
  int64_t n = tensor_count(x);
  for (int k = 0; k < 4; k++) {
    for (int64_t i = 0; i < n; i++) data[i] += steps[k] * h * direction[i];
    at[k] = loss_of(r, g);
    for (int64_t i = 0; i < n; i++) data[i] -= steps[k] * h * direction[i];
  }
  return (at[0] - 8 * at[1] + 8 * at[2] - at[3]) / (12 * h);
}

static void check_gradient(RandomGraph *r, uint64_t seed, int source, const Tensor *gradient) {
  Tensor *x = &r->in.given.at[source].tensor;
  int64_t n = tensor_count(x);
  double *direction = NEW_ARRAY(r->arena, double, n + 1), expected = 0;
  for (int64_t i = 0; i < n; i++) {
    direction[i] = sin(1.7 * (double)i + (double)source);
    expected += direction[i] * ((const double *)gradient->data)[i];
  }
  double d = measured(r, r->g, x, direction, 1e-3);
  if (!(fabs(d - expected) <= 1e-6 * fmax(1, fabs(d))))
    fail_msg("seed %d: d loss / d %s is %.9g, measured %.9g\n%s", (int)seed, r->in.given.at[source].name, expected, d,
             text_of(r, r->g));
}

static void derivatives_agree_with_differences(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= GRAPHS; seed++) {
    RandomGraph r = random_graph(seed, RANDOM_SMOOTH | RANDOM_F64);
    int sources = r.in.given.n, first = r.g->outputs.n, of[64];
    for (int i = 0; i < sources; i++) {
      of[i] = -1;
      for (int k = 0; k < r.g->nodes.n; k++) {
        Node *n = r.g->nodes.at[k];
        bool source = n->kind == NODE_input || n->kind == NODE_param;
        if (!source || n->name != r.in.given.at[i].name || n->dtype != DT_f64) continue;
        of[i] = r.g->outputs.n;
        graph_output(r.g, str_internf(r.ir->strings, "d%d", i), graph_grad(r.g, r.loss, n, (Span){0}));
        break;
      }
    }
    assert_true(r.g->outputs.n >= first);
    DiagSink sink = {.arena = r.arena};
    PipelineOptions o = {.level = seed % 2 ? 2 : 0, .verify = true};
    assert_true(pipeline_run(r.g, &sink, &o));
    Interpretation in;
    run(&r, r.g, &in);
    for (int i = 0; i < sources; i++)
      if (of[i] >= 0) check_gradient(&r, seed, i, &in.values[r.g->outputs.at[of[i]].node->id]);
    random_graph_free(&r);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(text_keeps_everything),
      cmocka_unit_test(passes_keep_the_values),
      cmocka_unit_test(derivatives_agree_with_differences),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
