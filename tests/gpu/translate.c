/* translate.c - kernels' text as a shared object, by the C compiler. SIMULATOR_FLAGS, SIMULATOR_LINK and
 * SIMULATOR_ROOT are given by the build, and SIMULATOR_RACES: whether what is read and written is told to races.c,
 * "1" or "0", which the environment's SIMULATED_RACES overrules. SIMULATED_FAULT is a fault that sed puts in;
 * SIMULATED_TEXTS where texts are kept, of which then none runs; SIMULATED_KEPT a folder of shared objects, from
 * which a text that comes again is loaded. */
#include "tests/gpu/translate.h"

#include <dlfcn.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/philox.h"

bool simulated_tells(void) {
  static const char *races;
  if (!races) races = getenv("SIMULATED_RACES");
  if (!races) races = SIMULATOR_RACES;
  return *races == '1';
}

const char *simulated_translate(const char *text, size_t n, const char *path) {
  char command[1000];
  const char *fault = getenv("SIMULATED_FAULT") ? "sed -zE \"$SIMULATED_FAULT\" | " : "";
  snprintf(command, sizeof command,
           "%scc -std=gnu17 -w " SIMULATOR_FLAGS " %s -fPIC -c -I" SIMULATOR_ROOT
           " -include tests/gpu/device.h -x c - -o '%s.o' && cc -shared '%s.o' " SIMULATOR_LINK
           " -o '%s'; code=$?; rm -f '%s.o'; exit $code",
           fault, simulated_tells() ? "-fsanitize=thread --param tsan-instrument-func-entry-exit=0" : "", path, path,
           path, path);
  FILE *cc = popen(command, "w");
  if (!cc) return "there is no shell for the C compiler";
  fwrite(text, 1, n, cc);
  return pclose(cc) ? "the C compiler refuses the kernels" : NULL;
}

/* The kernels without the prelude, as file `prefix` and the number of texts that were kept before. */
static const char *keep_text(const char *text, const char *prefix) {
  static int kept;
  char path[400];
  const char *kernels = strstr(text, "/* kernels:");
  snprintf(path, sizeof path, "%s%d", prefix, kept++);
  FILE *f = fopen(path, "w");
  if (!f) return "the text cannot be kept";
  fputs(kernels ? kernels : "", f);
  fclose(f);
  return "its text is kept, and does not run";
}

const char *simulated_load(const char *text, size_t n, void **code) {
  if (getenv("SIMULATED_TEXTS")) return keep_text(text, getenv("SIMULATED_TEXTS"));
  const char *folder = getenv("SIMULATED_FAULT") ? NULL : getenv("SIMULATED_KEPT");
  char kept[400] = "", path[400];
  if (folder) snprintf(kept, sizeof kept, "%s/%016" PRIx64 "-%zu", folder, nnrt_fnv1a64(text), n);
  if (folder && (*code = dlopen(kept, RTLD_NOW | RTLD_LOCAL))) return NULL;
  snprintf(path, sizeof path, "%s/nnc-simulated-XXXXXX", folder ? folder : "/tmp");
  int file = mkstemp(path);
  *code = NULL;
  if (file < 0) return "no temporary file can be made";
  close(file);
  const char *error = simulated_translate(text, n, path);
  if (!error && !(*code = dlopen(path, RTLD_NOW | RTLD_LOCAL))) error = dlerror();
  if (folder && !error && !rename(path, kept)) return NULL;
  unlink(path);
  return error;
}
