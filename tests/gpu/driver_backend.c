/* driver_backend.c - see driver_backend.h. Operands that overlap in the host's memory are one piece of the device's.
 */
#include "tests/gpu/driver_backend.h"

#include <string.h>

#include "tests/gpu/cuda_backend.h"
#include "tests/gpu/driver.h"

enum { MOST_BLOCKS = 4096, FEW_BLOCKS = 5 };

typedef struct Code {
  const CudaProgram *program;
  void *module;
} Code;

typedef struct Piece { /* [at, end) on the host */
  char *at, *end;
  Address copy;
} Piece;

typedef struct Pieces {
  int n;
  Piece *at;
} Pieces;

static const char *compile(const KernelRun *how, const Schedule *s, void **code) {
  Buf text = {0};
  Code *made = NEW(s->arena, Code);
  made->program = cuda_program(s->arena, 1, &(Schedule *){(Schedule *)(uintptr_t)s});
  cuda_write_program(&text, made->program);
  (void)how;
  const char *error = device_load(s->arena, text.text, &made->module);
  buf_free(&text);
  if (!error) *code = made;
  return error;
}

static void free_code(void *code) { device_unload(((const Code *)code)->module); }

/* ---- operands ---- */

static void add_piece(Pieces *p, char *at, char *end) {
  for (int i = 0; i < p->n; i++) {
    Piece x = p->at[i];
    if (end <= x.at || x.end <= at) continue;
    p->at[i] = p->at[--p->n];
    add_piece(p, at < x.at ? at : x.at, end > x.end ? end : x.end);
    return;
  }
  p->at[p->n++] = (Piece){.at = at, .end = end};
}

static size_t size_of(const Piece *p) { return (size_t)(p->end - p->at); }

static Pieces upload(const KernelStep *x) {
  int n = x->k->operands.n;
  Pieces p = {0, NEW_ARRAY(x->s->arena, Piece, n + 1)};
  for (int i = 0; i < n; i++) {
    char *at = x->operands[i];
    add_piece(&p, at, at + x->value(x->how, x->k->operands.at[i]->bytes));
  }
  for (int i = 0; i < p.n; i++) {
    p.at[i].copy = device_memory(size_of(&p.at[i]));
    device_write(p.at[i].copy, p.at[i].at, size_of(&p.at[i]));
  }
  return p;
}

/* 0 for one that has no elements. */
static Address place_of(const Pieces *p, const char *at) {
  for (int i = 0; i < p->n; i++)
    if (p->at[i].at <= at && at < p->at[i].end) return p->at[i].copy + (Address)(at - p->at[i].at);
  return 0;
}

/* Whether nothing was written behind a piece. */
static bool download(const Pieces *p) {
  bool whole = true;
  for (int i = 0; i < p->n; i++) {
    device_read(p->at[i].at, p->at[i].copy, size_of(&p->at[i]));
    whole = device_free(p->at[i].copy, size_of(&p->at[i])) && whole;
  }
  return whole;
}

/* ---- launches ---- */

static const char *run(void *made, const KernelStep *x) {
  const Code *code = made;
  CudaKernel how = cuda_kernel(code->program, x->s, x->k, !strcmp(device_arch(), "sm_90a"));
  int64_t parts = x->value(x->how, how.parts);
  if (parts == 0) return NULL;
  int few = 1 + (int)(x->seed % FEW_BLOCKS), most = x->seed % 2 ? MOST_BLOCKS : few;
  Launch l = {how.symbol, parts < most ? (int)parts : most, how.threads, (int)how.shared, NULL};
  size_t bytes = (size_t)x->value(x->how, how.scratch) * (size_t)l.blocks;
  Pieces p = upload(x);
  Address scratch = device_memory(bytes), *operands = NEW_ARRAY(x->s->arena, Address, x->k->operands.n + 1);
  for (int i = 0; i < x->k->operands.n; i++) operands[i] = place_of(&p, x->operands[i]);
  Address maps[CUDA_MAPS];
  for (int i = 0; i < how.n_maps; i++) {
    _Alignas(64) char map[CUDA_MAP_BYTES];
    cuda_encode(&how.maps[i], operands[how.maps[i].operand], cuda_step_value, x, device_encode(), map);
    maps[i] = device_memory(sizeof map);
    device_write(maps[i], map, sizeof map);
  }
  l.arguments = cuda_arguments(x, &how, operands, &scratch, (const uint64_t *)maps);
  const char *fault = device_launch(code->module, &l);
  bool whole = device_free(scratch, bytes);
  for (int i = 0; i < how.n_maps; i++) whole = device_free(maps[i], CUDA_MAP_BYTES) && whole;
  whole = download(&p) && whole;
  if (!fault && !whole) fault = "it wrote behind its memory";
  return fault ? arena_printf(x->s->arena, "kernel %s: %s", x->k->symbol, fault) : NULL;
}

const KernelBackend driver_backend = {compile, run, free_code, NULL};
