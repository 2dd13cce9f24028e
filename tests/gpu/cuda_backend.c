/* cuda_backend.c - see cuda_backend.h. */
#include "tests/gpu/cuda_backend.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/gpu/boxes.h"
#include "tests/gpu/races.h"
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

void cuda_encode(const CudaMap *m, uint64_t base, CudaValue *value, const void *cx, DeviceEncode *encode, void *out) {
  uint64_t extent[CUDA_MAP_RANK], stride[CUDA_MAP_RANK];
  unsigned box[CUDA_MAP_RANK], ones[CUDA_MAP_RANK];
  for (int d = 0; d < m->rank; d++) {
    int64_t n = value(cx, m->extent[d]);
    extent[d] = n > 0 ? (uint64_t)n : 1;
    if (d) stride[d - 1] = (uint64_t)(value(cx, m->step[d]) * dtype_bytes(m->type));
    box[d] = (unsigned)m->box[d];
    ones[d] = 1;
  }
  base += (uint64_t)(m->first * dtype_bytes(m->type));
  if (encode(out, cuda_map_type(m->type), (unsigned)m->rank, (void *)(uintptr_t)base, extent, stride, box, ones, 0, 3,
             2, 0))
    ice("a map that the driver refuses");
}

int64_t cuda_step_value(const void *cx, const Dim *d) {
  const KernelStep *x = cx;
  return x->value(x->how, d);
}

void **cuda_arguments(const KernelStep *x, const CudaKernel *how, const void *operands, const void *scratch,
                      const uint64_t *maps) {
  int n = 0, count = x->k->operands.n + x->s->dims.n + 2 + how->n_maps + how->n_numbers;
  const uint64_t *operand = operands;
  const void **at = NEW_ARRAY(x->s->arena, const void *, count);
  for (int i = 0; i < x->k->operands.n; i++) at[n++] = &operand[i];
  for (int i = 0; i < x->s->dims.n; i++) at[n++] = &x->dims[i];
  at[n++] = &x->step;
  at[n++] = scratch;
  for (int i = 0; i < how->n_maps; i++) at[n++] = &maps[i];
  for (int i = 0; i < how->n_numbers; i++) at[n++] = &how->numbers[i];
  return (void **)(uintptr_t)at;
}

static void unwritten(const void *at, size_t bytes, bool unwritten) {
  if (simulated_tells()) races_unwritten(at, bytes, unwritten);
}

/* What a condition may have left out is read by who chooses another value then. */
static void take_as_written(const KernelStep *x) {
  for (int m = 0; m < x->k->members.n && x->k->guards.n; m++)
    for (int i = 0; i < x->k->operands.n; i++) {
      const Buffer *b = x->k->operands.at[i];
      if (b == x->k->members.at[m].buffer) unwritten(x->operands[i], (size_t)x->value(x->how, b->bytes), false);
    }
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
  unwritten(scratch, bytes, true);
  snprintf(symbol, sizeof symbol, "%s_call", how.symbol);
  _Alignas(64) char maps[CUDA_MAPS][CUDA_MAP_BYTES];
  uint64_t at[CUDA_MAPS];
  for (int i = 0; i < how.n_maps; i++) {
    cuda_encode(&how.maps[i], (uintptr_t)x->operands[how.maps[i].operand], cuda_step_value, x, cuTensorMapEncodeTiled,
                maps[i]);
    at[i] = (uintptr_t)maps[i];
  }
  SimulatedLaunch l = {.arguments = cuda_arguments(x, &how, x->operands, &scratch, at),
                       .blocks = blocks,
                       .threads = how.threads,
                       .shared = how.shared,
                       .seed = x->seed};
  *(void **)&l.call = dlsym(code->object, symbol);
  const char *fault = l.call ? simulate(&l) : "a kernel is not in the object";
  take_as_written(x);
  unwritten(scratch, bytes, false);
  free_guarded_memory(scratch, bytes);
  return fault ? arena_printf(x->s->arena, "kernel %s: %s", x->k->symbol, fault) : NULL;
}

static void free_code(void *made) { dlclose(((const Code *)made)->object); }

const KernelBackend cuda_backend = {compile, run, free_code, unwritten};
