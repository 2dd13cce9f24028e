/* cpu_random_test.c - cpu_random_test [COUNT [FIRST [all]]]: random graphs, some with first and second derivatives,
 * in f32 and f64: the interpreter on the graph as it was made (its derivatives written out) == CPU code at -O0 == at
 * -O2 == at -O2 without one of the optional passes. 100 of them in CI, each without another pass; `all`: each without
 * every one of them, in turn. SHOW=1 prints schedule and code. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ir/pass.h"
#include "tests/unit/codegen/kernel_run.h"
#include "tests/unit/random_graph.h"

/* The kinds of graph take turns. In f32 derivatives are those of smooth graphs: where two values are nearly equal,
 * rounding decides which of them max passes its derivative to. */
static int flags_of(uint64_t seed) {
  static const int kinds[] = {0,
                              RANDOM_F64,
                              RANDOM_F64 | RANDOM_GRADIENT,
                              0,
                              RANDOM_F64,
                              0,
                              RANDOM_SMOOTH | RANDOM_GRADIENT,
                              RANDOM_F64,
                              0,
                              RANDOM_F64 | RANDOM_SMOOTH | RANDOM_SECOND,
                              0};
  return kinds[seed % (sizeof kinds / sizeof *kinds)];
}

/* The graph with its derivatives written out and nothing else done to it. */
static RandomGraph reference(uint64_t seed, int flags) {
  RandomGraph r = random_graph(seed, flags);
  DiagSink diags = {.arena = r.arena};
  PipelineOptions o = {.level = 0};
  if (!pipeline_run(r.g, &diags, &o)) ice("seed %d: no derivative", (int)seed);
  return r;
}

static bool equal(uint64_t seed, int level, const char *march, const char *without) {
  int flags = flags_of(seed);
  RandomGraph r = random_graph(seed, flags), plain = reference(seed, flags);
  KernelRun how = {.march = march,
                   .level = level,
                   .batch = r.batch,
                   .chunks = 1 + (int)(seed % 4),
                   .given = &r.in,
                   .passes = true,
                   .gpu = seed / 7 % 2 == 0,
                   .without = without,
                   .reference = plain.g,
                   .show = getenv("SHOW") != NULL};
  const char *fault = kernel_run(r.g, &how);
  if (fault)
    printf("seed %d, %s, -O%d, %s%s%s: %s\n", (int)seed, flags & RANDOM_F64 ? "f64" : "f32", level, march,
           without ? ", without " : "", without ? without : "", fault);
  fflush(stdout);
  random_graph_free(&r);
  random_graph_free(&plain);
  return !fault;
}

/* The graph's text at -O2 without a pass, which may be NULL; the caller frees it. */
static Buf text_without(uint64_t seed, const char *without) {
  RandomGraph r = random_graph(seed, flags_of(seed));
  DiagSink diags = {.arena = r.arena};
  PipelineOptions o = {.level = 2, .gpu = seed / 7 % 2 == 0, .disabled = (const char *const[]){without, NULL}};
  Buf b = {0};
  if (pipeline_run(r.g, &diags, &o)) graph_print(&b, r.g);
  random_graph_free(&r);
  return b;
}

/* Whether the pass does anything to the graph that later ones do not undo. */
static bool matters(uint64_t seed, const char *pass) {
  Buf with = text_without(seed, NULL), without = text_without(seed, pass);
  bool differ = strcmp(with.text, without.text) != 0;
  buf_free(&with);
  buf_free(&without);
  return differ;
}

/* How many of the runs without a pass differ: of all of them, or of the seed's turn. */
static int without_passes(uint64_t seed, bool all) {
  int optional = 0, bad = 0, turn = 0;
  for (const Pass *p = pipeline; p->name; p++) optional += p->level > 0;
  for (const Pass *p = pipeline; p->name; p++) {
    if (p->level == 0) continue;
    bool wanted = all || turn == (int)(seed % (uint64_t)optional);
    if (wanted && matters(seed, p->name)) bad += !equal(seed, 2, "native", p->name);
    turn++;
  }
  return bad;
}

int main(int argc, char **argv) {
  int count = argc > 1 ? atoi(argv[1]) : 100, first = argc > 2 ? atoi(argv[2]) : 1, bad = 0;
  bool all = argc > 3 && !strcmp(argv[3], "all");
  for (int i = 0; i < count; i++) {
    uint64_t seed = (uint64_t)(first + i);
    int differ = !equal(seed, 0, "native", NULL);
    differ += !equal(seed, 2, "native", NULL);
    differ += without_passes(seed, all);
    if (seed % 5 == 0) differ += !equal(seed, 2, "x86-64-v2", NULL);
    bad += differ > 0;
  }
  printf("%d graphs, %d differ\n", count, bad);
  return bad ? 1 : 0;
}
