/* module.c - one LLVM module: made, verified, cleaned by a few cheap passes, and written as text, assembly or object.
 *
 * The kernels come vectorised and unrolled from emit_*.c; LLVM's own pipelines double the time and gain nothing, so
 * only the passes that shorten straight-line code run. -O0 differs in these passes and in the care of instruction
 * selection: the code that is given to LLVM is the same. */
#include <string.h>
#include <llvm-c/Analysis.h>
#include <llvm-c/Error.h>
#include <llvm-c/ErrorHandling.h>
#include <llvm-c/Transforms/PassBuilder.h>

#include "codegen/cpu/module.h"

static void fatal(const char *reason) { ice("LLVM: %s", reason); }

static CpuModule *module_new(Arena *a, const char *name, const char *march, int level, const char **error) {
  CpuModule *m = NEW(a, CpuModule);
  m->arena = a;
  m->level = level;
  m->first = m;
  *error = cpu_target(march, &m->target);
  if (!*error) *error = cpu_llvm_open();
  if (!*error) *error = cpu_machine_new(march, level, &m->machine);
  if (*error) return NULL;
  m->context = LLVMContextCreate();
  m->module = LLVMModuleCreateWithNameInContext(name, m->context);
  LLVMSetTarget(m->module, "x86_64-unknown-linux-gnu");
  LLVMTargetDataRef layout = LLVMCreateTargetDataLayout(m->machine);
  LLVMSetModuleDataLayout(m->module, layout);
  LLVMDisposeTargetData(layout);
  return m;
}

CpuModule *cpu_module_new(Arena *a, const char *name, const char *march, int level, const char **error) {
  static bool installed; /* the handler is LLVM's global, and there is one */
  CpuModule *m = module_new(a, name, march, level, error);
  if (m && !installed) LLVMInstallFatalErrorHandler(fatal);
  installed |= m != NULL;
  return m;
}

CpuModule *cpu_module_beside(CpuModule *m, const char *march, int level) {
  size_t length;
  const char *name = LLVMGetModuleIdentifier(m->module, &length), *error;
  CpuModule *other = module_new(arena_new(), name, march, level, &error);
  if (!other) ice("a second module: %s", error);
  other->first = m;
  return other;
}

void cpu_module_free(CpuModule *m) {
  buf_free(&m->object);
  LLVMDisposeModule(m->module);
  LLVMContextDispose(m->context);
  LLVMDisposeTargetMachine(m->machine);
  if (m->first != m) arena_free(m->arena);
}

const Buf *cpu_module_object(const CpuModule *m) { return &m->object; }

int64_t cpu_module_size(const CpuModule *m) { return m->size; }

void cpu_set_nounwind(CpuModule *m, LLVMValueRef function) {
  unsigned kind = LLVMGetEnumAttributeKindForName("nounwind", 8);
  LLVMAddAttributeAtIndex(function, (LLVMAttributeIndex)LLVMAttributeFunctionIndex,
                          LLVMCreateEnumAttribute(m->context, kind, 0));
}

LLVMValueRef cpu_helper(CpuModule *m, const char *name, LLVMTypeRef type, bool *is_new) {
  CpuModule *first = m->first;
  LLVMValueRef f = LLVMGetNamedFunction(m->module, name);
  *is_new = !f;
  if (f) return f;
  for (int i = 0; i < first->helpers.n; i++)
    if (!strcmp(first->helpers.at[i], name)) *is_new = false;
  if (*is_new) vec_push(first->arena, &first->helpers, arena_strndup(first->arena, name, strlen(name)));
  f = LLVMAddFunction(m->module, name, type);
  cpu_set_nounwind(m, f);
  LLVMSetVisibility(f, LLVMHiddenVisibility);
  return f;
}

const Target *cpu_module_target(const CpuModule *m) { return &m->target; }

static const char *wrapped(CpuModule *m, const char *what, char *message) {
  const char *text = arena_printf(m->arena, "%s: %s", what, message);
  LLVMDisposeMessage(message);
  return text;
}

static const char *optimise(CpuModule *m) {
  if (m->optimised) return NULL;
  m->optimised = true;
  char *message = NULL;
  if (LLVMVerifyModule(m->module, LLVMReturnStatusAction, &message)) ice("LLVM refuses a kernel: %s", message);
  LLVMDisposeMessage(message);
  if (m->level == 0) return NULL;
  LLVMPassBuilderOptionsRef options = LLVMCreatePassBuilderOptions();
  LLVMErrorRef error = LLVMRunPasses(m->module, "function(instcombine<no-verify-fixpoint>,early-cse,simplifycfg)",
                                     m->machine, options);
  LLVMDisposePassBuilderOptions(options);
  if (!error) return NULL;
  char *text = LLVMGetErrorMessage(error);
  const char *result = arena_printf(m->arena, "LLVM's passes failed: %s", text);
  LLVMDisposeErrorMessage(text);
  return result;
}

const char *cpu_module_write(CpuModule *m, CpuForm form, Buf *out) {
  const char *error = optimise(m);
  if (error) return error;
  char *message = NULL;
  if (form == CPU_LLVM) {
    message = LLVMPrintModuleToString(m->module);
    buf_puts(out, message);
    LLVMDisposeMessage(message);
    return NULL;
  }
  LLVMMemoryBufferRef memory = NULL;
  if (LLVMTargetMachineEmitToMemoryBuffer(m->machine, m->module,
                                          form == CPU_OBJECT ? LLVMObjectFile : LLVMAssemblyFile, &message, &memory))
    return wrapped(m, "LLVM could not write the code", message);
  buf_write(out, LLVMGetBufferStart(memory), LLVMGetBufferSize(memory));
  LLVMDisposeMemoryBuffer(memory);
  return NULL;
}
