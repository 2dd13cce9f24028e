/* nvrtc.c - see nvrtc.h. The declarations are our own, of the few functions that are called. */
#include "codegen/cuda/nvrtc.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef void *Program;

/* FUNCTION(name, parameters): all return 0 for success. */
#define FUNCTIONS(FUNCTION)                                                                                          \
  FUNCTION(Version, (int *major, int *minor))                                                                        \
  FUNCTION(CreateProgram,                                                                                            \
           (Program *, const char *text, const char *name, int, const char *const *, const char *const *))           \
  FUNCTION(CompileProgram, (Program, int, const char *const *options))                                               \
  FUNCTION(GetProgramLogSize, (Program, size_t *))                                                                   \
  FUNCTION(GetProgramLog, (Program, char *))                                                                         \
  FUNCTION(GetCUBINSize, (Program, size_t *))                                                                        \
  FUNCTION(GetCUBIN, (Program, char *))                                                                              \
  FUNCTION(GetPTXSize, (Program, size_t *))                                                                          \
  FUNCTION(GetPTX, (Program, char *))                                                                                \
  FUNCTION(DestroyProgram, (Program *))

struct Nvrtc {
  Arena *arena;
  void *library;
  int version;
#define DECLARE(name, parameters) int(*name) parameters;
  FUNCTIONS(DECLARE)
#undef DECLARE
};

/* ---- the library ---- */

static bool resolve(Nvrtc *n) {
  bool all = true;
#define RESOLVE(name, parameters) all = (*(void **)&n->name = dlsym(n->library, "nvrtc" #name)) && all;
  FUNCTIONS(RESOLVE)
#undef RESOLVE
  return all;
}

/* The folder of the Python package, which holds the library without a toolkit. */
static void *open_installed(Arena *a) {
  const char *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
  if (!data || !*data) data = arena_printf(a, "%s/.local/share", home ? home : "");
  void *library = dlopen(arena_printf(a, "%s/nnc/cuda/nvidia/cu13/lib/libnvrtc.so.13", data), RTLD_NOW | RTLD_LOCAL);
  return library ? library
                 : dlopen(arena_printf(a, "%s/nnc/cuda/nvidia/cuda_nvrtc/lib/libnvrtc.so.12", data),
                          RTLD_NOW | RTLD_LOCAL);
}

static void *open_library(Arena *a, const char *path) {
  static const char *const names[] = {"libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"};
  if (!path) path = getenv("NNC_NVRTC");
  if (path && *path) return dlopen(path, RTLD_NOW | RTLD_LOCAL);
  void *library = NULL;
  for (size_t i = 0; !library && i < sizeof names / sizeof *names; i++)
    library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
  return library ? library : open_installed(a);
}

const char *nvrtc_open(Arena *a, const char *path, Nvrtc **out) {
  void *library = open_library(a, path);
  if (!library)
    return arena_printf(
        a, "NVRTC is not here (%s); `./bootstrap cuda` installs it, or: pip install nvidia-cuda-nvrtc", dlerror());
  Nvrtc *n = NEW(a, Nvrtc);
  int major = 0, minor = 0;
  n->arena = a;
  n->library = library;
  if (!resolve(n) || n->Version(&major, &minor)) {
    dlclose(library);
    return "the library that was loaded as NVRTC lacks functions of it; version 12 or 13 is needed";
  }
  n->version = 1000 * major + 10 * minor;
  *out = n;
  return NULL;
}

void nvrtc_close(Nvrtc *n) { dlclose(n->library); }

int nvrtc_version(const Nvrtc *n) { return n->version; }

/* ---- translation ---- */

static void append(Nvrtc *n, Program p, Buf *out, int (*size)(Program, size_t *), int (*get)(Program, char *)) {
  size_t bytes = 0;
  if (size(p, &bytes) || bytes == 0) return;
  char *text = arena_alloc(n->arena, bytes + 1);
  if (!get(p, text)) buf_write(out, text, bytes);
}

const char *nvrtc_translate(Nvrtc *n, const char *text, const char *arch, Buf *code, Buf *ptx, Buf *log) {
  Program p;
  const char *options[] = {arena_printf(n->arena, "--gpu-architecture=%s", arch), "-default-device", "--std=c++17",
                           "-w", "--ptxas-options=-v"};
  if (n->CreateProgram(&p, text, "kernels.cu", 0, NULL, NULL)) return "NVRTC takes no program";
  int status = n->CompileProgram(p, sizeof options / sizeof *options, options);
  Buf said = {0};
  append(n, p, &said, n->GetProgramLogSize, n->GetProgramLog);
  const char *error = NULL;
  size_t before = code->n;
  bool machine = !strncmp(arch, "sm_", 3);
  if (status)
    error = arena_printf(n->arena, "NVRTC refuses the kernels for %s: %.1500s", arch, said.text ? said.text : "");
  else if (machine) append(n, p, code, n->GetCUBINSize, n->GetCUBIN);
  else append(n, p, code, n->GetPTXSize, n->GetPTX);
  if (!error && ptx) append(n, p, ptx, n->GetPTXSize, n->GetPTX);
  if (!error && (code->n == before || (ptx && ptx->n == 0)))
    error = arena_printf(n->arena, "NVRTC made nothing for %s", arch);
  if (said.text) buf_puts(log, said.text);
  buf_free(&said);
  n->DestroyProgram(&p);
  return error;
}

/* ---- what the assembler says ---- */

/* The number before `what` on the line that begins at `line`. */
static int number_before(const char *line, const char *end, const char *what) {
  const char *at = strstr(line, what);
  if (!at || at > end) return 0;
  while (at > line && (at[-1] == ' ' || (at[-1] >= '0' && at[-1] <= '9'))) at--;
  return atoi(at);
}

/*   ... : Function properties for NAME       (or Compiling entry function 'NAME' ...)
 *       0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
 *   ... : Used 32 registers, ... */
CudaUses nvrtc_uses(Arena *a, const char *log) {
  CudaUses uses = {0};
  for (const char *line = log, *end; line && *line; line = *end ? end + 1 : end) {
    end = strchr(line, '\n');
    if (!end) end = line + strlen(line);
    const char *name = strstr(line, "entry function '");
    if (name && name < end) {
      name += strlen("entry function '");
      vec_push(a, &uses, (CudaUse){.symbol = arena_strndup(a, name, strcspn(name, "'"))});
    }
    if (uses.n == 0) continue;
    CudaUse *use = &uses.at[uses.n - 1];
    use->stack += number_before(line, end, " bytes stack frame");
    use->spilled += number_before(line, end, " bytes spill stores");
    use->registers += number_before(line, end, " registers");
  }
  return uses;
}
