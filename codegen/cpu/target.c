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
    {"x86-64-v2", "x86-64-v2", {16, 16, false, 32 << 10, 256 << 10, false}},
    {"x86-64-v3", "x86-64-v3", {32, 16, true, 32 << 10, 512 << 10, false}},
    {"x86-64-v4", "x86-64-v4", {64, 32, true, 32 << 10, 1 << 20, false}},
};

static int64_t cache_bytes(int name, int64_t otherwise) {
  long n = sysconf(name);
  return n > 0 ? n : otherwise;
}

static Target native_target(void) {
  Target t = {.vector_bytes = 16, .registers = 16};
  t.fma = __builtin_cpu_supports("fma");
  if (__builtin_cpu_supports("avx2") && t.fma) t.vector_bytes = 32;
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vl")) {
    t.vector_bytes = 64;
    t.registers = 32;
  }
  t.l1 = cache_bytes(_SC_LEVEL1_DCACHE_SIZE, 32 << 10);
  t.l2 = cache_bytes(_SC_LEVEL2_CACHE_SIZE, 512 << 10);
  return t;
}

static const char *machine_new(const char *cpu, const char *features, int level, LLVMTargetMachineRef *machine) {
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

/* The row of a march's name; NULL of one that there is not, and of native. */
static const March *march_named(const char *name) {
  for (size_t i = 0; i < sizeof marches / sizeof *marches; i++)
    if (!strcmp(name, marches[i].name)) return &marches[i];
  return NULL;
}

const char *cpu_target(const char *march, Target *t) {
  const March *m = march_named(march);
  if (!m && strcmp(march, "native")) return "-march is one of native, x86-64-v2, x86-64-v3, x86-64-v4";
  *t = m ? m->target : native_target();
  return NULL;
}

const char *cpu_machine_new(const char *march, int level, LLVMTargetMachineRef *machine) {
  const March *m = march_named(march);
  if (m) return machine_new(m->cpu, "", level, machine);
  char *cpu = LLVMGetHostCPUName(), *features = LLVMGetHostCPUFeatures();
  const char *error = machine_new(cpu, features, level, machine);
  LLVMDisposeMessage(cpu);
  LLVMDisposeMessage(features);
  return error;
}
