/* interpreted.h - a program whose graphs are run by the reference interpreter instead of code: the same tables, each
 * graph with one launch. `nnc run --interpret` and the tests that hold whole programs against the interpreter. */
#ifndef NNC_CODEGEN_INTERPRETED_H
#define NNC_CODEGEN_INTERPRETED_H

#include "codegen/tables.h"

/* Tables that nnrt_main can be given in this process; the graphs may hold what the pipeline left at any level, but no
 * grad. Lives in `a`, as long as the program does. */
NnrtProgram *interpreted_program(Arena *a, const Program *p, const TablesOptions *o);

#endif
