/* steps.h - the order in which a schedule's kernels run: once, or, in loops, once for each step. */
#ifndef NNC_TESTS_UNIT_STEPS_H
#define NNC_TESTS_UNIT_STEPS_H

#include "ir/kernel.h"

/* Calls run(cx, kernel, step) for each. `step` counts the steps of all loops around the kernel. */
typedef void (*StepRun)(void *cx, const Kernel *k, int64_t step);
void schedule_steps(const Schedule *s, DimValue value, void *value_cx, StepRun run, void *cx);

#endif
