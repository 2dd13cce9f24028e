/* explain.h - what became of each line of a program: `nnc explain FILE[:LINE]`. */
#ifndef NNC_IR_EXPLAIN_H
#define NNC_IR_EXPLAIN_H

#include "ir/kernel.h"

/* For each line of the file `path` and of those that it imports, or for line `line` of it alone where that is not 0:
 * the kernels in which it is computed, with what else, why what they write is not kept inside a larger one, and what
 * each costs. Kernels are to have been emitted, which is when their vectors are known. False where no kernel comes
 * from there. */
bool explain_lines(Buf *out, int n, Schedule *const *schedules, const Sources *sources, const char *path, int line);

#endif
