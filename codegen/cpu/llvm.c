/* llvm.c - LLVM's library is loaded when the first code is made: loading takes longer than checking most programs. */
#include <dlfcn.h>
#include <stdlib.h>

#include "codegen/cpu/module.h"

static const char *const names[] = {
#define LLVM_FUNCTION(name) #name,
#include "codegen/cpu/llvm.def"
#undef LLVM_FUNCTION
};

extern void *llvm_functions[sizeof names / sizeof *names]; /* llvm.S */

const char *cpu_llvm_open(Arena *a) {
  static void *library;
  if (library) return NULL;
  library = dlopen(LLVM_LIBRARY, RTLD_LAZY | RTLD_LOCAL);
  if (!library)
    return arena_printf(a, "LLVM is not here (%s); install it (Debian: apt install libllvm%d)", dlerror(),
                        LLVM_VERSION);
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (!(llvm_functions[i] = dlsym(library, names[i]))) {
      library = NULL;
      return arena_printf(a, "the library that was loaded as LLVM lacks %s", names[i]);
    }
  return NULL;
}
