/* steps.c - see steps.h. */
#include "tests/unit/steps.h"

typedef struct Steps {
  const Schedule *s;
  DimValue value;
  void *value_cx;
  StepRun run;
  void *cx;
} Steps;

/* Kernels from .. to - 1 of loop `around`. */
static void run_range(const Steps *x, int from, int to, int around, int64_t step) {
  for (int i = from; i < to; i++) {
    int loop = x->s->kernels.at[i]->loop;
    if (loop == around) {
      x->run(x->cx, x->s->kernels.at[i], step);
      continue;
    }
    while (x->s->loops.at[loop].up != around) loop = x->s->loops.at[loop].up;
    const KernelLoop *l = &x->s->loops.at[loop];
    int64_t n = dim_evaluate(l->steps, x->value, x->value_cx);
    for (int64_t k = 0; k < n; k++) run_range(x, i, l->last + 1, loop, step * n + (l->down ? n - 1 - k : k));
    i = l->last;
  }
}

void schedule_steps(const Schedule *s, DimValue value, void *value_cx, StepRun run, void *cx) {
  Steps x = {s, value, value_cx, run, cx};
  run_range(&x, 0, s->kernels.n, -1, 0);
}
