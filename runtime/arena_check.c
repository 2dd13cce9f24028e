/* arena_check.c - see arena_check.h. */
#include "runtime/arena_check.h"
#include "runtime/run.h"

#ifdef NNRT_CHECK_ARENA

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* NaN as f32 and as f64. */
static const uint32_t pattern = 0x7ff4dead;

static int64_t planned(const NnrtRun *r) { return nnrt_poly(r->graph->arena, r->graph->n_arena, r->dims); }

void nnrt_arena_prepare(NnrtRun *r) {
  int64_t words = (planned(r) + NNRT_ARENA_GUARD) / (int64_t)sizeof pattern;
  for (int64_t i = 0; i < words; i++) memcpy(r->arena + i * (int64_t)sizeof pattern, &pattern, sizeof pattern);
}

static int64_t high_water(const NnrtRun *r) {
  int64_t at = (planned(r) + NNRT_ARENA_GUARD) / (int64_t)sizeof pattern * (int64_t)sizeof pattern;
  const char *bytes = (const char *)&pattern;
  while (at > 0 && r->arena[at - 1] == bytes[(at - 1) % (int64_t)sizeof pattern]) at--;
  return at;
}

static void log_mark(NnrtRun *r, int64_t mark) {
  const char *path = getenv("NNRT_ARENA_LOG");
  if (!path || r->checked_arena == planned(r)) return;
  r->checked_arena = planned(r);
  FILE *f = fopen(path, "a");
  if (!f) return;
  fprintf(f, "%s %lld %lld\n", r->graph->name, (long long)planned(r), (long long)mark);
  fclose(f);
}

void nnrt_arena_check(NnrtRun *r) {
  int64_t mark = high_water(r);
  if (mark > planned(r)) {
    fprintf(stderr, "graph %s: byte %lld of the arena was written, %lld are planned\n", r->graph->name,
            (long long)mark - 1, (long long)planned(r));
    abort();
  }
  log_mark(r, mark);
}

#endif
