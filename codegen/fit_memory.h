/* fit_memory.h - nnc --mem, --micro-batch: training's plans within a budget. */
#ifndef NNC_CODEGEN_FIT_MEMORY_H
#define NNC_CODEGEN_FIT_MEMORY_H

#include "codegen/compile.h"

/* Recomputes values in the schedules of c's training graphs until each plan fits options->memory at the batch that
 * the source states, or for a piece of it. One that can't is an error in the sink, with the tensors that are in the
 * way. NULL, or a sentence where the options do not go with the program. */
const char *fit_memory(Compilation *c);

#endif
