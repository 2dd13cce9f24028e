/* constants.h - a program's tables as constants of a module. */
#ifndef NNC_CODEGEN_CONSTANTS_H
#define NNC_CODEGEN_CONSTANTS_H

#include "codegen/codegen.h"
#include "runtime/cuda.h"

/* Adds the constant `nnrt_program`, which the runtime's main() reads. What the host's structs share is one constant;
 * all but nnrt_program are private. Kernel and verb fields hold the symbol's text, as tables_build leaves them. */
void constants_write(CpuModule *m, const NnrtProgram *program);
/* The constant `nnrt_cuda`, which runtime/cuda.c reads. */
void constants_write_cuda(CpuModule *m, const NnrtCuda *cuda);

#endif
