/* nvrtc_test.c - nvrtc_test ARCH[,ARCH…] PROGRAM.nn…: every kernel of the programs is translated by NVRTC for these
 * architectures, and what the assembler says is asked: no register spilled to memory, no stack. Exit 77 where NVRTC
 * is not here. Prints how many kernels there are, and the most registers. */
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codegen/compile.h"
#include "codegen/cuda/cuda.h"
#include "codegen/cuda/nvrtc.h"
#include "frontend/driver/vocabulary.h"
#include "frontend/elaborate.h"
#include "frontend/render.h"

enum { SKIPPED = 77 };

static char *read_text(Arena *a, const char *path, size_t *n) {
  FILE *f = fopen(path, "r");
  if (!f) ice("%s cannot be read", path);
  char *text = arena_alloc(a, 1 << 20);
  *n = fread(text, 1, (1 << 20) - 1, f);
  fclose(f);
  return text;
}

/* All kernels of a program, as text. */
static void write_kernels(Arena *a, const char *path, Buf *out) {
  StrTable *strings = str_table_new(a);
  Sources sources = {.arena = a};
  DiagSink diags = {.arena = a};
  size_t n;
  char *text = read_text(a, path, &n);
  const ElaborateOptions meaning = {.folder = dirname(arena_strndup(a, path, strlen(path))),
                                    .vocabulary = vocabulary_read};
  Program *p = elaborate_program(a, strings, &sources, &diags, str_internz(strings, path), text, n, &meaning);
  const CompileOptions o = {.passes = {.level = 2}, .march = "x86-64-v4", .sources = &sources};
  Compilation *c = compile_begin(a, p, &diags, &o);
  if (diags.errors || !compile_passes(c) || compile_schedules(c)) ice("%s is refused", path);
  cuda_write_program(out, cuda_program(a, c->schedules.n, c->schedules.at));
}

static int translate(Arena *a, Nvrtc *nvrtc, const char *path, const char *arch) {
  Buf text = {0}, code = {0}, log = {0};
  write_kernels(a, path, &text);
  const char *error = nvrtc_translate(nvrtc, text.text, arch, &code, &log);
  CudaUses uses = nvrtc_uses(a, log.text);
  int bad = error != NULL, most = 0, stacks = 0;
  if (error) printf("%s, %s: %s\n", path, arch, error);
  for (int i = 0; i < uses.n; i++) {
    const CudaUse *u = &uses.at[i];
    if (u->registers > most) most = u->registers;
    stacks += u->stack > 0;
    if (!u->spilled) continue;
    printf("%s, %s, %s: %d bytes spilled\n", path, arch, u->symbol, u->spilled);
    bad++;
  }
  if (!strncmp(arch, "sm_", 3) && uses.n == 0) printf("%s, %s: no kernel\n", path, arch), bad++;
  printf("%s, %s: %d kernels, %d with a stack, at most %d registers, %d bytes\n", path, arch, uses.n, stacks, most,
         (int)code.n);
  fflush(stdout);
  buf_free(&text);
  buf_free(&code);
  buf_free(&log);
  return bad;
}

int main(int argc, char **argv) {
  Arena *a = arena_new();
  Nvrtc *nvrtc;
  const char *error = nvrtc_open(a, NULL, &nvrtc);
  int bad = 0;
  if (error) {
    printf("skipped: %s\n", error);
    arena_free(a);
    return SKIPPED;
  }
  for (int i = 2; i < argc; i++) {
    char *list = arena_strndup(a, argv[1], strlen(argv[1]));
    for (char *arch = strtok(list, ","); arch; arch = strtok(NULL, ",")) bad += translate(a, nvrtc, argv[i], arch);
  }
  nvrtc_close(nvrtc);
  arena_free(a);
  return bad != 0;
}
