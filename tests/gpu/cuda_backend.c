/* cuda_backend.c - see cuda_backend.h. */
#include "tests/gpu/cuda_backend.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/gpu/simulator.h"
#include "tests/gpu/translate.h"

enum { MOST_BLOCKS = 5 /* so that they take turns */, POISON = 0xff };

typedef struct Code {
  const CudaProgram *program;
  void *object;
} Code;

static const char *compile(const KernelRun *how, const Schedule *s, void **code) {
  Buf text = {0};
  Code *made = NEW(s->arena, Code);
  CudaProgram *program = cuda_program(s->arena, 1, &(Schedule *){(Schedule *)(uintptr_t)s});
  cuda_write_program(&text, program);
  if (how->show) fputs(text.text, stderr);
  *made = (Code){.program = program};
  const char *error = simulated_load(text.text, text.n, &made->object);
  if (!error) *code = made;
  buf_free(&text);
  return error ? arena_printf(s->arena, "%s", error) : NULL;
}

void **cuda_arguments(const KernelStep *x, const CudaKernel *how, const void *operands, const void *scratch) {
  int n = 0, count = x->k->operands.n + x->s->dims.n + 2 + how->n_numbers;
  const uint64_t *operand = operands;
  const void **at = NEW_ARRAY(x->s->arena, const void *, count);
  for (int i = 0; i < x->k->operands.n; i++) at[n++] = &operand[i];
  for (int i = 0; i < x->s->dims.n; i++) at[n++] = &x->dims[i];
  at[n++] = &x->step;
  at[n++] = scratch;
  for (int i = 0; i < how->n_numbers; i++) at[n++] = &how->numbers[i];
  return (void **)(uintptr_t)at;
}

static const char *run(void *made, const KernelStep *x) {
  const Code *code = made;
  CudaKernel how = cuda_kernel(code->program, x->s, x->k, x->how->on_90a);
  int64_t parts = x->value(x->how, how.parts);
  if (parts == 0) return NULL;
  int blocks = parts < MOST_BLOCKS ? (int)parts : 1 + (int)(x->seed % MOST_BLOCKS);
  size_t bytes = (size_t)x->value(x->how, how.scratch) * (size_t)blocks;
  char *scratch = guarded_memory(bytes), symbol[120];
  memset(scratch, POISON, bytes);
  snprintf(symbol, sizeof symbol, "%s_call", how.symbol);
  SimulatedLaunch l = {.arguments = cuda_arguments(x, &how, x->operands, &scratch),
                       .blocks = blocks,
                       .threads = how.threads,
                       .shared = how.shared,
                       .seed = x->seed};
  *(void **)&l.call = dlsym(code->object, symbol);
  const char *fault = l.call ? simulate(&l) : "a kernel is not in the object";
  free_guarded_memory(scratch, bytes);
  return fault ? arena_printf(x->s->arena, "kernel %s: %s", x->k->symbol, fault) : NULL;
}

static void free_code(void *made) { dlclose(((const Code *)made)->object); }

const KernelBackend cuda_backend = {compile, run, free_code};
