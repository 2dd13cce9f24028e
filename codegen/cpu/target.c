/* target.c - what -march names: a cpu with its features for LLVM, and a Target for the scheduler. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <llvm-c/Target.h>

#include "codegen/cpu/module.h"

typedef struct March {
  const char *name, *cpu;
  Target target;
} March;

/* Caches of the named levels are those of the smallest machines that have them. */
static const March marches[] = {
    {"x86-64-v2", "x86-64-v2", {16, 16, false, 32 << 10, 256 << 10}},
    {"x86-64-v3", "x86-64-v3", {32, 16, true, 32 << 10, 512 << 10}},
    {"x86-64-v4", "x86-64-v4", {64, 32, true, 32 << 10, 1 << 20}},
};

static int64_t cache_bytes(int name, int64_t otherwise) {
  long n = sysconf(name);
  return n > 0 ? n : otherwise;
}

static Target native_target(const char *features) {
  Target t = {.vector_bytes = 16, .registers = 16};
  t.fma = strstr(features, "+fma") != NULL;
  if (strstr(features, "+avx2") && t.fma) t.vector_bytes = 32;
  if (strstr(features, "+avx512f") && strstr(features, "+avx512dq") && strstr(features, "+avx512bw") &&
      strstr(features, "+avx512vl")) {
    t.vector_bytes = 64;
    t.registers = 32;
  }
  t.l1 = cache_bytes(_SC_LEVEL1_DCACHE_SIZE, 32 << 10);
  t.l2 = cache_bytes(_SC_LEVEL2_CACHE_SIZE, 512 << 10);
  return t;
}

static const char *machine_new(const char *cpu, const char *features, int level, LLVMTargetMachineRef *machine) {
  LLVMInitializeX86TargetInfo();
  LLVMInitializeX86Target();
  LLVMInitializeX86TargetMC();
  LLVMInitializeX86AsmPrinter();
  LLVMTargetRef target = NULL;
  char *message = NULL;
  if (LLVMGetTargetFromTriple("x86_64-unknown-linux-gnu", &target, &message)) {
    LLVMDisposeMessage(message);
    return "this build of LLVM has no code generator for x86-64";
  }
  *machine = LLVMCreateTargetMachine(target, "x86_64-unknown-linux-gnu", cpu, features,
                                     level > 0 ? LLVMCodeGenLevelLess : LLVMCodeGenLevelNone, LLVMRelocPIC,
                                     LLVMCodeModelDefault);
  return *machine ? NULL : "LLVM could not make a code generator for this cpu";
}

const char *cpu_machine_new(const char *march, int level, LLVMTargetMachineRef *machine, Target *t) {
  if (strcmp(march, "native") == 0) {
    char *cpu = LLVMGetHostCPUName(), *features = LLVMGetHostCPUFeatures();
    *t = native_target(features);
    const char *error = machine ? machine_new(cpu, features, level, machine) : NULL;
    LLVMDisposeMessage(cpu);
    LLVMDisposeMessage(features);
    return error;
  }
  for (size_t i = 0; i < sizeof marches / sizeof *marches; i++)
    if (strcmp(march, marches[i].name) == 0) {
      *t = marches[i].target;
      return machine ? machine_new(marches[i].cpu, "", level, machine) : NULL;
    }
  return "-march is one of native, x86-64-v2, x86-64-v3, x86-64-v4";
}

const char *cpu_target(const char *march, Target *t) { return cpu_machine_new(march, 0, NULL, t); }
