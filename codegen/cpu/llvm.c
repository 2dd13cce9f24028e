/* llvm.c - LLVM's library is loaded when the first code is made: loading takes longer than checking most programs.
 * Who knows that there will be code has it loaded meanwhile, by a thread of its own. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <llvm-c/Target.h>

#include "codegen/cpu/module.h"

static const char *const names[] = {
#define LLVM_FUNCTION(name) #name,
#include "codegen/cpu/llvm.def"
#undef LLVM_FUNCTION
};

extern void *llvm_functions[sizeof names / sizeof *names]; /* llvm.S */

static enum { NOT_BEGUN, BEGUN, DONE } state;
static pthread_t loader;
static char missing[512]; /* what is; empty if nothing */

static void *load(void *unused) {
  void *library = dlopen(LLVM_LIBRARY, RTLD_LAZY | RTLD_LOCAL);
  if (!library)
    snprintf(missing, sizeof missing, "LLVM is not here (%s); install it (Debian: apt install libllvm%d)", dlerror(),
             LLVM_VERSION);
  for (size_t i = 0; library && !*missing && i < sizeof names / sizeof *names; i++)
    if (!(llvm_functions[i] = dlsym(library, names[i])))
      snprintf(missing, sizeof missing, "the library that was loaded as LLVM lacks %s", names[i]);
  if (*missing) return unused;
  LLVMInitializeX86TargetInfo();
  LLVMInitializeX86Target();
  LLVMInitializeX86TargetMC();
  LLVMInitializeX86AsmPrinter();
  return unused;
}

void cpu_llvm_begin(void) {
  if (state == NOT_BEGUN && pthread_create(&loader, NULL, load, NULL) == 0) state = BEGUN;
}

void cpu_llvm_end(void) {
  if (state == BEGUN) pthread_join(loader, NULL);
  if (state == BEGUN) state = DONE;
}

const char *cpu_llvm_open(void) {
  cpu_llvm_end();
  if (state == NOT_BEGUN) load(NULL);
  state = DONE;
  return *missing ? missing : NULL;
}
