/* scheduled.h - graphs from text and their schedules, in an arena that lives as long as a test. */
#ifndef NNC_TESTS_UNIT_IR_SCHEDULED_H
#define NNC_TESTS_UNIT_IR_SCHEDULED_H

#include "ir/kernel.h"
#include "tests/unit/unit.h"

extern Arena *a; /* of one test */
extern const Target avx512;

int setup(void **state); /* cmocka's, of each test */
int teardown(void **state);

Graph *graph_of(const char *text);
/* What the passes leave of g, scheduled and verified. SHOW=1 prints both. */
Schedule *schedule_of(Graph *g);
Schedule *scheduled(const char *text);
int kernels_of(const Schedule *s, KernelKind kind);
/* "contraction=4 map=1": the kinds that occur, in kernel.def's order, with how many kernels. */
const char *kinds_of(const Schedule *s);

#endif
