/* scheduled.c - see scheduled.h. */
#include "tests/unit/ir/scheduled.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const Target avx512 = {.vector_bytes = 64, .registers = 32, .fma = true, .l1 = 48 << 10, .l2 = 1 << 20};
Arena *a;

int setup(void **state) {
  (void)state;
  a = arena_new();
  return 0;
}

int teardown(void **state) {
  (void)state;
  arena_free(a);
  return 0;
}

Graph *graph_of(const char *text) {
  Ir *ir = ir_new(a, str_table_new(a));
  char error[256] = "";
  Graph *g = graph_read(ir, text, strlen(text), error);
  if (!g) fail_msg("%s", error);
  return g;
}

static void show(Graph *g, const Schedule *s) {
  Buf b = {0};
  graph_print(&b, g);
  schedule_print(&b, s, NULL);
  plan_print(&b, s);
  fputs(b.text, stdout);
  buf_free(&b);
}

Schedule *schedule_of(Graph *g) {
  DiagSink sink = {.arena = a};
  assert_true(pipeline_run(g, &sink, &(PipelineOptions){.level = 2, .verify = true}));
  Schedule *s = schedule(g, &avx512, a, 2);
  if (getenv("SHOW")) show(g, s);
  const char *fault = schedule_verify(s);
  if (fault) fail_msg("%s", fault);
  return s;
}

Schedule *scheduled(const char *text) { return schedule_of(graph_of(text)); }

int kernels_of(const Schedule *s, KernelKind kind) {
  int n = 0;
  for (int i = 0; i < s->kernels.n; i++) n += s->kernels.at[i]->kind == kind;
  return n;
}

const char *kinds_of(const Schedule *s) {
  const char *text = "";
  for (int k = 0; k < KERNEL_COUNT; k++) {
    int n = kernels_of(s, (KernelKind)k);
    if (n) text = arena_printf(a, "%s%s%s=%d", text, *text ? " " : "", kernel_kind_name((KernelKind)k), n);
  }
  return text;
}
