/* constant.c - constants of a module, for tables: numbers, texts, addresses, structs. A CpuConst is LLVM's value. */
#include <string.h>

#include "codegen/cpu/module.h"

static LLVMValueRef value(CpuConst *c) { return (LLVMValueRef)c; }
static CpuConst *constant(LLVMValueRef v) { return (CpuConst *)v; }

static LLVMValueRef *values(CpuModule *m, CpuConst **at, int n) {
  LLVMValueRef *v = NEW_ARRAY(m->arena, LLVMValueRef, n ? n : 1);
  for (int i = 0; i < n; i++) v[i] = value(at[i]);
  return v;
}

CpuConst *cpu_int(CpuModule *m, int64_t v) {
  return constant(LLVMConstInt(LLVMInt64TypeInContext(m->context), (unsigned long long)v, true));
}

CpuConst *cpu_int32(CpuModule *m, int32_t v) {
  return constant(LLVMConstInt(LLVMInt32TypeInContext(m->context), (unsigned long long)(int64_t)v, true));
}

CpuConst *cpu_double(CpuModule *m, double v) {
  return constant(LLVMConstReal(LLVMDoubleTypeInContext(m->context), v));
}

CpuConst *cpu_null(CpuModule *m) { return constant(LLVMConstNull(LLVMPointerTypeInContext(m->context, 0))); }

static LLVMValueRef global(CpuModule *m, const char *name, LLVMValueRef v, unsigned align) {
  LLVMValueRef g = LLVMAddGlobal(m->module, LLVMTypeOf(v), name ? name : "");
  LLVMSetInitializer(g, v);
  LLVMSetGlobalConstant(g, true);
  LLVMSetAlignment(g, align);
  if (!name) {
    LLVMSetLinkage(g, LLVMPrivateLinkage);
    LLVMSetUnnamedAddress(g, LLVMGlobalUnnamedAddr);
  }
  return g;
}

CpuConst *cpu_string(CpuModule *m, const char *text) {
  if (!text) return cpu_null(m);
  for (int i = 0; i < m->texts.n; i++)
    if (strcmp(m->texts.at[i].text, text) == 0) return constant(m->texts.at[i].address);
  LLVMValueRef v = LLVMConstStringInContext2(m->context, text, strlen(text), false);
  CpuText t = {arena_strndup(m->arena, text, strlen(text)), global(m, NULL, v, 1)};
  vec_push(m->arena, &m->texts, t);
  return constant(t.address);
}

CpuConst *cpu_bytes(CpuModule *m, const void *data, size_t n, unsigned align) {
  return constant(global(m, NULL, LLVMConstStringInContext2(m->context, data, n, true), align));
}

CpuConst *cpu_symbol(CpuModule *m, const char *symbol) {
  LLVMValueRef f = LLVMGetNamedFunction(m->module, symbol);
  if (f) return constant(f);
  LLVMValueRef g = LLVMGetNamedGlobal(m->module, symbol);
  if (g) return constant(g);
  LLVMTypeRef type = LLVMFunctionType(LLVMVoidTypeInContext(m->context), NULL, 0, false);
  return constant(LLVMAddFunction(m->module, symbol, type));
}

CpuConst *cpu_struct(CpuModule *m, CpuConst **fields, int n) {
  return constant(LLVMConstStructInContext(m->context, values(m, fields, n), (unsigned)n, false));
}

CpuConst *cpu_array(CpuModule *m, CpuConst **elements, int n) {
  LLVMValueRef *v = values(m, elements, n);
  return constant(LLVMConstArray2(LLVMTypeOf(v[0]), v, (uint64_t)n));
}

CpuConst *cpu_global(CpuModule *m, const char *name, CpuConst *v, unsigned align) {
  return constant(global(m, name, value(v), align));
}
