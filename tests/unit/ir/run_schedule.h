/* run_schedule.h - executes a Schedule by what it says and nothing else: kernel by kernel, member by member, into
 * real memory at the planned offsets. It is the backends' contract (ir/kernel.h) in its plainest form; where its
 * results equal the interpreter's, the schedule is right. */
#ifndef NNC_TESTS_RUN_SCHEDULE_H
#define NNC_TESTS_RUN_SCHEDULE_H

#include "ir/interpret.h"
#include "ir/kernel.h"

typedef struct ScheduleRun {
  Arena *arena;
  Vec(Binding) given;   /* inputs, params, states; params and states are written in place */
  Vec(DimBinding) dims; /* every open dimension */
  int64_t arena_bytes;  /* out: the planned peak */
  int64_t touched;      /* out: the end of the highest buffer in the arena */
  int left_out;         /* out: kernels that a condition left out */
  void **address;       /* out: of each buffer, by id */
} ScheduleRun;

/* The arena starts as a pattern (NaN in every float), and so does a row's scratch memory at each position. */
void run_schedule(const Schedule *s, ScheduleRun *run);
/* The value of an output or of a computed node that is in memory, after the run. */
Tensor run_value(const Schedule *s, ScheduleRun *run, const Node *n);

#endif
