/* constants.h - a program's tables as constants of an LLVM module, and its main(). */
#ifndef NNC_CODEGEN_CPU_CONSTANTS_H
#define NNC_CODEGEN_CPU_CONSTANTS_H

#include "runtime/nnrt.h"

struct LLVMOpaqueModule; /* LLVMModuleRef's; this header needs no LLVM */

/* Adds the constant `nnrt_program` and `main`, which calls nnrt_main with it. Functions that the tables name and the
 * module lacks (verbs) are declared. What host pointers share is one constant; everything but nnrt_program is
 * private. Fields of KERNEL and VERB hold the symbol's text. */
void constants_write(struct LLVMOpaqueModule *module, const NnrtProgram *program);

#endif
