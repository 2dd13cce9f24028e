/* program.c - a whole program, from its text to its kernels: whatever the text, it is refused with a message, or its
 * graphs keep the verifier's rules before and after every pass, and are scheduled. The seeds are the .nn files of
 * tests/ and examples/; mutate.c makes others of them. */
#include "tests/fuzz/mutate.h"

#include "frontend/elaborate.h"
#include "frontend/render.h"
#include "ir/kernel.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);

typedef struct Compiled {
  Arena *arena;
  DiagSink *diags;
  int level;
} Compiled;

static void compile_graph(void *cx, Graph *g) {
  Compiled *c = cx;
  const char *fault = graph_verify(g);
  if (fault) ice("graph %s: %s", g->name, fault);
  if (!pipeline_run(g, c->diags, &(PipelineOptions){.level = c->level, .verify = true})) return;
  const Target target = {.vector_bytes = 32, .registers = 16, .fma = true, .l1 = 32768, .l2 = 1048576};
  Schedule *s = schedule(g, &target, c->arena, c->level);
  plan_memory(s);
  schedule_find_dims(s);
  fault = schedule_verify(s);
  if (fault) ice("schedule of graph %s: %s", g->name, fault);
}

static void check_messages(const DiagSink *diags, const Sources *sources) {
  for (int i = 0; i < diags->all.n; i++) {
    const Diag *d = diags->all.at[i];
    if (!d->message[0]) ice("a message without text");
    for (int k = 0; k < d->labels.n; k++) {
      Span p = d->labels.at[k].span;
      if (p.source && p.end > sources_get(sources, p.source)->n) ice("a message points past the text");
    }
  }
  Buf text = {0};
  render_diags(&text, diags, sources, &(RenderOptions){.format = RENDER_HUMAN});
  buf_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Arena *a = arena_new();
  StrTable *strings = str_table_new(a);
  Sources sources = {.arena = a};
  DiagSink diags = {.arena = a};
  const ElaborateOptions options = {0};
  Program *p = elaborate_program(a, strings, &sources, &diags, str_internz(strings, "fuzz.nn"), (const char *)data,
                                 size, &options);
  if (!diags.errors) program_graphs(p, compile_graph, &(Compiled){a, &diags, size % 2 ? 2 : 0});
  check_messages(&diags, &sources);
  arena_free(a);
  return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed) {
  Buf out = {0};
  program_mutate(&out, (const char *)data, size, seed);
  size_t n = out.n < max ? out.n : max;
  if (n) memcpy(data, out.text, n);
  buf_free(&out);
  return n;
}
