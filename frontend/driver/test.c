/* test.c - nnc test: evaluates the program's `test` blocks by the reference interpreter, at its first parameters, or
 * those of the files that it starts from, and a fixed seed. With --grad, in f64, each derivative that a test's values
 * have is compared with finite differences: along two random directions of each drawn tensor and each parameter, (f(x
 * + h d) - f(x - h d)) / 2h for a small h.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/driver/run.h"
#include "frontend/driver/starts.h"
#include "frontend/driver/values.h"
#include "frontend/driver/verbs.h"
#include "runtime/philox.h"

enum { DIRECTIONS = 2 };

typedef struct Tested {
  Session *session;
  Arena *arena;
  Interpretation model; /* `given`: parameters and states, the seed */
  int failed;
} Tested;

/* ---- what is said ---- */

static void place_text(const Tested *t, Span at, char text[64]) {
  int line, column;
  const Source *s = sources_get(&t->session->sources, at.source);
  source_position(s, at.begin, &line, &column);
  snprintf(text, 64, "line %d", line);
}

static void print_source(const Tested *t, Span at) {
  const Source *s = sources_get(&t->session->sources, at.source);
  printf("%.*s", (int)(at.end - at.begin), s->text + at.begin);
}

static void fail_once(Tested *t, const Test *test, bool *failed) {
  if (!*failed) printf("FAILED  %s\n", test->name);
  t->failed += !*failed;
  *failed = true;
}

/* "0.98 and 1", of tensors the elements that are furthest apart. */
static void print_sides(const Tensor *a, const Tensor *b) {
  int64_t n = tensor_count(a), m = tensor_count(b), worst = 0;
  double most = -1;
  for (int64_t i = 0; i < n && (n == m || m == 1); i++) {
    double d = fabs(values_element(a, i) - values_element(b, m == 1 ? 0 : i));
    if (!(d <= most)) most = d, worst = i;
  }
  if (n > 1) printf(": element %lld is %.9g", (long long)worst, values_element(a, worst));
  else printf(": %.9g", values_element(a, worst));
  printf(" and %.9g", values_element(b, m == 1 ? 0 : worst));
}

static void check_asserts(Tested *t, const Test *test, const Interpretation *in, bool *failed) {
  for (int i = 0; i < test->asserts.n; i++) {
    char name[64], place[64];
    snprintf(name, sizeof name, "assert.%d", i);
    const Tensor *holds = values_output(test->graph, in, name), *side[2];
    if (!holds) ice("test %s has no output %s", test->name, name);
    if (values_element(holds, 0) != 0) continue;
    fail_once(t, test, failed);
    for (int k = 0; k < 2; k++) {
      snprintf(name, sizeof name, "assert.%d.%d", i, k);
      side[k] = values_output(test->graph, in, name);
    }
    place_text(t, test->asserts.at[i].span, place);
    printf("  %s: ", place);
    print_source(t, test->asserts.at[i].span);
    if (side[0] && side[1]) print_sides(side[0], side[1]);
    putchar('\n');
  }
}

/* ---- derivatives ---- */

/* A number in [-1, 1) for element i of a direction. */
static double direction(int leaf, int which, int64_t i) {
  return 2 * nnrt_draw_f64(nnrt_mix64(VALUES_SEED), (uint64_t)which, (uint64_t)leaf, (uint64_t)i) - 1;
}

static Tensor moved(Tested *t, const Tensor *x, int leaf, int which, double h) {
  Tensor r = *x;
  int64_t n = tensor_count(x);
  double *to = NEW_ARRAY(t->arena, double, n + 1);
  for (int64_t i = 0; i < n; i++) to[i] = ((const double *)x->data)[i] + h * direction(leaf, which, i);
  r.data = to;
  return r;
}

static bool is_drawn(Str leaf) { return !strncmp(leaf, "leaf.", 5); }

/* What the user calls it: `leaf.2.x` is x. */
static const char *drawn_name(Str leaf) { return is_drawn(leaf) ? strchr(leaf + 5, '.') + 1 : leaf; }

/* Along one direction of one leaf: every value's slope. */
static const char *check_direction(Tested *t, const Test *test, Interpretation *given, const Interpretation *at,
                                   int leaf, int which, bool *failed) {
  const double h = 1e-5;
  Tensor *x = values_find(given, test->leaves.at[leaf]), kept = *x;
  Interpretation up, down;
  *x = moved(t, &kept, leaf, which, h);
  const char *error = values_evaluate(test->graph, &up, given);
  *x = moved(t, &kept, leaf, which, -h);
  if (!error) error = values_evaluate(test->graph, &down, given);
  *x = kept;
  for (int i = 0; !error && i < test->computed.n; i++) {
    char name[64], place[64];
    snprintf(name, sizeof name, "slope.%d.%d", i, leaf);
    const Tensor *slope = values_output(test->graph, at, name);
    if (!slope) continue;
    snprintf(name, sizeof name, "sum.%d", i);
    double high = values_element(values_output(test->graph, &up, name), 0),
           low = values_element(values_output(test->graph, &down, name), 0);
    double difference = (high - low) / (2 * h), said = 0, scale = 0;
    for (int64_t k = 0; k < tensor_count(slope); k++) {
      said += values_element(slope, k) * direction(leaf, which, k);
      scale += fabs(values_element(slope, k) * direction(leaf, which, k));
    }
    /* the third derivative's share is about h^2, rounding's eps / h times the value */
    double allowed = 1e-6 * (scale + fabs(difference)) + 1e-9 * (1 + fabs(high));
    if (fabs(said - difference) <= allowed) continue;
    fail_once(t, test, failed);
    place_text(t, test->computed.at[i], place);
    printf("  %s: the derivative of `", place);
    print_source(t, test->computed.at[i]);
    printf("` by `%s`", drawn_name(test->leaves.at[leaf]));
    printf(" gives %.9g along a direction, and differences %.9g\n", said, difference);
  }
  return error;
}

static const char *check_slopes(Tested *t, const Test *test, Interpretation *given, const Interpretation *at,
                                bool *failed) {
  const char *error = NULL;
  for (int k = 0; k < test->leaves.n && !error && !*failed; k++)
    for (int d = 0; d < DIRECTIONS && !error && !*failed; d++)
      error = check_direction(t, test, given, at, k, d, failed);
  return error;
}

/* ---- tests ---- */

/* Drawn tensors are inputs: first of zeros, to find out what is drawn, then that. */
static const char *give_drawn(Tested *t, const Test *test, Interpretation *given) {
  Graph *g = test->graph;
  int first = given->given.n;
  for (int i = 0; i < g->nodes.n; i++) {
    const Node *n = g->nodes.at[i];
    if (n->kind != NODE_input || !is_drawn(n->name)) continue;
    Tensor x = {.dtype = n->dtype, .rank = n->rank};
    for (int d = 0; d < n->rank; d++) x.extent[d] = dim_value(n->shape[d]);
    x.data = NEW_ARRAY(t->arena, char, tensor_count(&x) * dtype_bytes(x.dtype) + 1);
    vec_push(t->arena, &given->given, (Binding){n->name, x});
  }
  if (given->given.n == first) return NULL;
  Interpretation in;
  const char *error = values_evaluate(g, &in, given);
  for (int i = first; !error && i < given->given.n; i++) {
    char name[64];
    snprintf(name, sizeof name, "first.%d", atoi(given->given.at[i].name + 5));
    given->given.at[i].tensor = *values_output(g, &in, name);
  }
  return error;
}

static void run_test(Tested *t, const Test *test, const PipelineOptions *passes) {
  bool failed = false;
  if (!pipeline_run(test->graph, &t->session->diags, passes)) return;
  Interpretation given = {.arena = t->arena}, in;
  for (int i = 0; i < t->model.given.n; i++) vec_push(t->arena, &given.given, t->model.given.at[i]);
  const char *error = give_drawn(t, test, &given);
  if (!error) error = values_evaluate(test->graph, &in, &given);
  if (!error) check_asserts(t, test, &in, &failed);
  if (!error) error = check_slopes(t, test, &given, &in, &failed);
  if (error) {
    fail_once(t, test, &failed);
    printf("  it cannot be evaluated: %s\n", error);
  }
  if (!failed) printf("ok      %s\n", test->name);
  fflush(stdout);
}

int verb_test(Session *s, Options *o, int nwords, const char *const *words) {
  if (nwords != 1) return driver_error(EXIT_USAGE, "`nnc test` takes one file");
  o->build.file = words[0];
  o->build.meaning.check_grads = o->grad;
  o->build.meaning.f64 = o->build.meaning.f64 || o->grad;
  data_beside_source(s, &o->build);
  Program *p = NULL;
  int status = build_load(s, &o->build, &p);
  if (status) return status;
  if (!p->tests.n) return driver_error(EXIT_PROGRAM, "%s has no `test` block", o->build.file);
  Tested t = {.session = s, .arena = s->arena};
  const char *error = values_first(s, p, &o->build.compile.passes, &t.model);
  if (error) return driver_error(EXIT_PROGRAM, "the first parameters cannot be computed: %s", error);
  error = starts_read(s->arena, p, &t.model);
  if (error) return driver_error(EXIT_PROGRAM, "%s", error);
  for (int i = 0; i < p->tests.n; i++) run_test(&t, &p->tests.at[i], &o->build.compile.passes);
  printf("%d of %d test%s failed\n", t.failed, p->tests.n, p->tests.n == 1 ? "" : "s");
  return t.failed ? EXIT_PROGRAM : 0;
}
