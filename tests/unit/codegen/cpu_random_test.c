/* cpu_random_test.c - cpu_random_test [COUNT [FIRST]]: random graphs as CPU code against the interpreter, as they are
 * and after the passes, in f32 and f64. 100 of them in CI; SHOW=1 prints schedule and code of each. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/codegen/kernel_run.h"
#include "tests/unit/random_graph.h"

static bool equal(uint64_t seed, int flags, int level, const char *march) {
  RandomGraph r = random_graph(seed, flags);
  KernelRun how = {.march = march,
                   .level = level,
                   .batch = r.batch,
                   .chunks = 1 + (int)(seed % 4),
                   .given = &r.in,
                   .passes = true,
                   .show = getenv("SHOW") != NULL};
  const char *fault = kernel_run(r.g, &how);
  if (fault)
    printf("seed %d, %s, -O%d, %s: %s\n", (int)seed, flags & RANDOM_F64 ? "f64" : "f32", level, march, fault);
  random_graph_free(&r);
  return !fault;
}

int main(int argc, char **argv) {
  int count = argc > 1 ? atoi(argv[1]) : 100, first = argc > 2 ? atoi(argv[2]) : 1, bad = 0;
  for (int i = 0; i < count; i++) {
    uint64_t seed = (uint64_t)(first + i);
    int flags = seed % 2 ? 0 : RANDOM_F64;
    bad += !equal(seed, flags, 0, "native");
    bad += !equal(seed, flags, 2, "native");
    if (seed % 5 == 0) bad += !equal(seed, flags, 2, "x86-64-v2");
  }
  printf("%d graphs, %d differ\n", count, bad);
  return bad ? 1 : 0;
}
