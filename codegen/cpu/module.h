/* module.h - inside codegen/cpu/: the LLVM module behind a CpuModule. */
#ifndef NNC_CODEGEN_CPU_MODULE_H
#define NNC_CODEGEN_CPU_MODULE_H

#include <llvm-c/Core.h>
#include <llvm-c/TargetMachine.h>

#include "codegen/codegen.h"

typedef struct CpuKernelDone { /* a symbol that has its code, and what was found while emitting it */
  const char *symbol;
  int vector;
  const char *why;
  int64_t scratch_bytes, scratch_times; /* scratch memory is so many bytes, and so many times the schedule's */
} CpuKernelDone;

typedef struct CpuText {
  const char *text;
  LLVMValueRef address;
} CpuText;

struct CpuModule {
  Arena *arena;
  LLVMContextRef context;
  LLVMModuleRef module;
  LLVMTargetMachineRef machine;
  Target target;
  int level;
  bool optimised;
  Buf object;                /* where a team made it */
  const char *error;         /* or why it could not */
  int64_t size;              /* instructions in kernels */
  CpuModule *first;          /* of those beside each other, which knows what kernels all of them have */
  Vec(CpuKernelDone) done;   /* in the first */
  Vec(const char *) helpers; /* in the first: those that a module has */
  Vec(CpuText) texts;        /* strings of cpu_string */
};

/* module.c. Code that never unwinds needs no tables for it. */
void cpu_set_nounwind(CpuModule *m, LLVMValueRef function);
/* A function that kernels call, whose name tells its type and all of its body. Where *is_new the caller writes the
 * body; of the modules beside each other one has it. */
LLVMValueRef cpu_helper(CpuModule *m, const char *name, LLVMTypeRef type, bool *is_new);

/* llvm.c. Before any function of LLVM is called; again is free. Returns NULL, or a sentence on what is missing. */
const char *cpu_llvm_open(void);

/* target.c. Of a march that cpu_target takes; the caller disposes the machine. */
const char *cpu_machine_new(const char *march, int level, LLVMTargetMachineRef *machine);

#endif
