/* cpu_backend.c - kernels as CPU code, translated and run in this process. */
#include <stdio.h>
#include <llvm-c/Core.h>
#include <llvm-c/Error.h>
#include <llvm-c/LLJIT.h>

#include "runtime/sort.h"
#include "tests/unit/codegen/kernel_run.h"

typedef void Compiled(void *const *buffers, const int64_t *dims, int64_t begin, int64_t end, void *scratch);

typedef struct Jit {
  CpuModule *module;
  LLVMOrcLLJITRef jit;
} Jit;

static const char *show_code(CpuModule *m) {
  Buf b = {0};
  const char *error = cpu_module_write(m, CPU_LLVM, &b);
  fputs(b.text, stderr);
  buf_free(&b);
  return error;
}

/* What kernels call of the runtime. */
static LLVMErrorRef define_runtime(LLVMOrcLLJITRef jit) {
  LLVMOrcCSymbolMapPair symbol = {LLVMOrcLLJITMangleAndIntern(jit, "nnrt_sort"), {0}};
  symbol.Sym.Address = (uintptr_t)nnrt_sort;
  symbol.Sym.Flags.GenericFlags = LLVMJITSymbolGenericFlagsExported | LLVMJITSymbolGenericFlagsCallable;
  return LLVMOrcJITDylibDefine(LLVMOrcLLJITGetMainJITDylib(jit), LLVMOrcAbsoluteSymbols(&symbol, 1));
}

/* The code of all kernels, ready to run. */
static const char *translate(const KernelRun *how, const Schedule *s, Jit *j) {
  for (int i = 0; i < s->kernels.n; i++) cpu_emit_kernel(j->module, s, s->kernels.at[i]);
  const char *error = how->show ? show_code(j->module) : NULL;
  Buf object = {0};
  if (!error) error = cpu_module_write(j->module, CPU_OBJECT, &object);
  if (error) return error;
  LLVMErrorRef fault = LLVMOrcCreateLLJIT(&j->jit, NULL);
  if (!fault) fault = define_runtime(j->jit);
  if (!fault) {
    LLVMMemoryBufferRef copy = LLVMCreateMemoryBufferWithMemoryRangeCopy(object.text, object.n, "kernels");
    fault = LLVMOrcLLJITAddObjectFile(j->jit, LLVMOrcLLJITGetMainJITDylib(j->jit), copy);
  }
  if (fault) ice("%s", LLVMGetErrorMessage(fault));
  buf_free(&object);
  return NULL;
}

static const char *compile(const KernelRun *how, const Schedule *s, void **code) {
  const char *error = NULL;
  CpuModule *m = cpu_module_new(s->arena, "kernels", how->march, how->level, &error);
  if (!m) return error;
  Jit *j = *code = NEW(s->arena, Jit);
  j->module = m;
  return translate(how, s, j);
}

static Compiled *kernel_code(LLVMOrcLLJITRef jit, const char *symbol) {
  LLVMOrcExecutorAddress at = 0;
  LLVMErrorRef error = LLVMOrcLLJITLookup(jit, &at, symbol);
  if (error) ice("%s", LLVMGetErrorMessage(error));
  return (Compiled *)(uintptr_t)at;
}

/* Scratch memory is whole lines, so that what ends at the guard begins on a line. */
static const char *run(void *code, const KernelStep *x) {
  Compiled *f = kernel_code(((Jit *)code)->jit, x->k->symbol);
  size_t bytes = ((size_t)x->value(x->how, x->k->scratch) + 63) / 64 * 64;
  void *scratch = guarded_memory(bytes);
  int64_t units = x->value(x->how, x->k->step_units), chunks = x->how->chunks, from = x->step * units;
  for (int64_t c = chunks - 1; c >= 0; c--)
    f(x->operands, x->dims, from + units * c / chunks, from + units * (c + 1) / chunks, scratch);
  free_guarded_memory(scratch, bytes);
  return NULL;
}

static void free_code(void *code) {
  Jit *j = code;
  if (j->jit) LLVMOrcDisposeLLJIT(j->jit);
  cpu_module_free(j->module);
}

const KernelBackend cpu_backend = {compile, run, free_code, NULL};
