/* stream_test.c - attention in streams as CPU code, against the interpreter on the graph as it was. */
#include "tests/unit/codegen/kernel_run.h"
#include "tests/unit/stream_graph.h"
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

static Graph *read(Arena *a, const char *text) {
  char error[256] = "";
  Graph *g = graph_read(ir_new(a, str_table_new(a)), text, strlen(text), error);
  if (!g) fail_msg("%s", error);
  return g;
}

static Graph *derived(Arena *a, const char *text) {
  Graph *g = read(a, text);
  DiagSink diags = {.arena = a};
  assert_true(pipeline_run(g, &diags, &(PipelineOptions){.level = 0}));
  return g;
}

static const char *run(const StreamCase *c, const char *march, int level, const char *without) {
  Arena *a = arena_new();
  const char *text = stream_text(a, c);
  KernelRun how = {.march = march,
                   .level = level,
                   .batch = 2,
                   .chunks = 3,
                   .seed = 7,
                   .passes = true,
                   .gpu = true,
                   .without = without,
                   .allowed = c->factors ? 2e-2 : 0, /* weights are rounded beside another maximum, and undivided */
                   .reference = derived(a, text),
                   .show = getenv("SHOW") != NULL};
  const char *fault = kernel_run(read(a, text), &how);
  if (fault) print_error("%s, %s, -O%d: %s\n", c->name, march, level, fault);
  fault = fault ? "differs" : NULL;
  arena_free(a);
  return fault;
}

static void streams(void **state) {
  (void)state;
  int bad = 0;
  for (int i = 0; i < stream_case_count; i++) {
    if (getenv("ONLY") && strcmp(getenv("ONLY"), stream_cases[i].name) != 0) continue;
    bad += run(&stream_cases[i], "native", 2, NULL) != NULL;
    bad += i % 4 == 0 && run(&stream_cases[i], "x86-64-v2", 2, NULL);
    bad += i % 4 == 1 && run(&stream_cases[i], "native", 2, "stream");
  }
  assert_int_equal(bad, 0);
}

/* Nothing that has an element for each query and key is in memory, but for the bias that is given. */
static void plan(void **state) {
  (void)state;
  for (int i = 0; i < stream_case_count; i++) {
    const StreamCase *c = &stream_cases[i];
    Arena *a = arena_new();
    Graph *g = read(a, stream_text(a, c));
    DiagSink diags = {.arena = a};
    Target target;
    assert_null(cpu_target("x86-64-v3", &target));
    assert_true(pipeline_run(g, &diags, &(PipelineOptions){.level = 2, .gpu = true, .verify = true}));
    Schedule *s = schedule(g, &target, a, 2);
    assert_null(schedule_verify(s));
    int streams = 0;
    for (int k = 0; k < s->kernels.n; k++) streams += s->kernels.at[k]->kind == KERNEL_stream;
    if (streams != (c->derived ? 3 : 1)) fail_msg("%s: %d streams", c->name, streams);
    Dim *keys = dim_const(g->ir, c->keys), *queries = dim_const(g->ir, c->queries);
    for (int k = 0; k < s->buffers.n; k++) {
      const Buffer *b = s->buffers.at[k];
      const Dim *last = b->node->rank == 4 ? b->node->shape[3] : NULL;
      if (b->place == BUFFER_arena) assert_true(last != keys && last != queries);
    }
    arena_free(a);
  }
}

/* Numbers of streams that no pass gave: what cannot be one kernel is several. */
static void by_hand(void **state) {
  (void)state;
  static const char *const texts[] = {
      "graph t\n%0 = input q : f32[40, 8]\n%1 = input k : f32[30, 8]\n"
      "%2 = comp f32[40, 30] stream 1 [i0, i1] sum(r0 < 8: mul(%0[i0, r0], %1[i1, r0]))\n"
      "%3 = comp i32[40] stream 1 [i0] argmax(r0 < 30: %2[i0, r0])\noutput y = %3\n",
      "graph t\n%0 = input q : f32[40, 8]\n%1 = input k : f32[30, 8]\n"
      "%2 = comp f32[40, 30] stream 1 [i0, i1] sum(r0 < 8: mul(%0[i0, r0], %1[i1, r0]))\n"
      "%3 = comp f32[40] stream 1 [i0] sum(r0 < 30: %2[i0, r0])\n"
      "%4 = comp f32[40] stream 1 [i0] exp(%3[i0])\noutput y = %4\n",
      "graph t\n%0 = input q : f32[40, 8]\n%1 = input k : f32[30, 8]\n"
      "%2 = comp f32[40, 30] stream 2 [i0, i1] sum(r0 < 8: mul(%0[i0, r0], %1[i1, r0]))\n"
      "%3 = comp f32[40] stream 2 [i0] sum(r0 < 30: %2[i0, r0])\n"
      "%4 = comp f32[40] stream 2 [i0] sum(r0 < 30: tanh(mul(%2[i0, r0], %3[i0])))\noutput y = %4\n",
      "graph t\n%0 = input q : f32[40, 8]\n%1 = input k : f32[40, 8]\n"
      "%2 = comp f32[40, 40] stream 1 [i0, i1] sum(r0 < 8: mul(%0[i0, r0], %1[i1, r0]))\n"
      "%3 = comp f32[40] stream 1 [i0] max(r0 < 40: %2[r0, i0])\noutput y = %3\n",
      "graph t\n%0 = input p : f32[40, 30]\n%1 = input v : f32[30, 8]\n"
      "%2 = comp f32[40, 30] stream 1 [i0, i1] exp(%0[i0, i1])\n"
      "%3 = comp f32[40, 8] stream 1 [i0, i1] sum(r0 < 30: mul(%2[i0, r0], %1[r0, i1]))\noutput y = %3\n",
  };
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    Arena *a = arena_new();
    KernelRun how = {.march = "native", .level = 2, .batch = 1, .chunks = 2, .seed = i};
    const char *fault = kernel_run(read(a, texts[i]), &how);
    if (fault) fail_msg("text %d: %s", (int)i, fault);
    arena_free(a);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(streams), cmocka_unit_test(plan), cmocka_unit_test(by_hand)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
