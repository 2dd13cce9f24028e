/* translate.c - kernels' text as a shared object, by the C compiler. SIMULATOR_FLAGS and SIMULATOR_ROOT are given by
 * the build. */
#include "tests/gpu/translate.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

const char *simulated_translate(const char *text, size_t n, const char *path) {
  char command[600];
  snprintf(command, sizeof command,
           "%scc -std=gnu17 -w " SIMULATOR_FLAGS " -fPIC -shared -I" SIMULATOR_ROOT
           " -include tests/gpu/device.h -x c - -o '%s'",
           getenv("SIMULATED_FAULT") ? "sed -zE \"$SIMULATED_FAULT\" | " : "", path);
  FILE *cc = popen(command, "w");
  if (!cc) return "there is no shell for the C compiler";
  fwrite(text, 1, n, cc);
  return pclose(cc) ? "the C compiler refuses the kernels" : NULL;
}

const char *simulated_load(const char *text, size_t n, void **code) {
  char path[] = "/tmp/nnc-simulated-XXXXXX";
  int file = mkstemp(path);
  *code = NULL;
  if (file < 0) return "no temporary file can be made";
  close(file);
  const char *error = simulated_translate(text, n, path);
  if (!error && !(*code = dlopen(path, RTLD_NOW | RTLD_LOCAL))) error = dlerror();
  unlink(path);
  return error;
}
