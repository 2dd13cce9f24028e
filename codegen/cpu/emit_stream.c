/* emit_stream.c - a product's rows, a block at a time: for each block every step's function does its rows of it. What
 * goes between them lies in scratch memory, of the size of a block, and is addressed as if the whole tensor were
 * there: a tile's address is so far before it as the block's first row is from the tensor's beginning, in whole
 * multiples of 64 bytes, so that what is aligned in the tensor is so in the tile. */
#include "codegen/cpu/emit.h"

typedef struct Steps {
  Emit *e;
  const Stream *stream;
  Type type;
  Value unit, first_row, scratch; /* of the steps */
} Steps;

static Value step_function(Steps *s, const Kernel *step) {
  Build *b = &s->e->b;
  Type args[] = {b->ptr, b->ptr, b->i64, b->i64, b->ptr};
  s->type = LLVMFunctionType(b->none, args, 5, false);
  Value f = LLVMGetNamedFunction(s->e->m->module, step->symbol);
  return f ? f : LLVMAddFunction(s->e->m->module, step->symbol, s->type);
}

static Value bytes_after(Emit *e, Value pointer, Value bytes) {
  return LLVMBuildGEP2(e->b.b, e->b.i8, pointer, &bytes, 1, "");
}

static Value tile_address(Steps *s, const Buffer *tile) {
  Emit *e = s->e;
  Build *b = &e->b;
  Dim *bytes = dim_const(e->ir, dtype_bytes(tile->node->dtype));
  for (int i = e->k->ngrid; i < tile->node->rank; i++) bytes = dim_mul(e->ir, bytes, tile->node->shape[i]);
  Value size = emit_dim(e, bytes), offset = emit_dim(e, tile->offset);
  emit_enter(e, e->depth);
  Value before = LLVMBuildAnd(b->b, imul(b, s->first_row, size), index64(b, -64), "");
  return bytes_after(e, e->scratch, isub(b, offset, before));
}

/* The addresses of the step's operands, in memory that the function has once. */
static Value operands_of(Steps *s, const StreamStep *step) {
  Emit *e = s->e;
  Build *b = &e->b;
  int n = step->kernel->operands.n;
  LLVMPositionBuilderBefore(b->b, LLVMGetBasicBlockTerminator(e->entry));
  Value list = LLVMBuildAlloca(b->b, LLVMArrayType2(b->ptr, (uint64_t)(n > 0 ? n : 1)), "");
  for (int i = 0; i < n; i++) {
    int own = step->operand[i];
    Value address = own >= 0 ? e->operands[own] : tile_address(s, step->kernel->operands.at[i]);
    Value at = index64(b, i);
    emit_enter(e, e->depth);
    LLVMBuildStore(b->b, address, LLVMBuildGEP2(b->b, b->ptr, list, &at, 1, ""));
  }
  return list;
}

static void run_step(Steps *s, const StreamStep *step) {
  Emit *e = s->e;
  Build *b = &e->b;
  Value blocks = emit_dim(e, step->blocks), operands = operands_of(s, step);
  emit_enter(e, e->depth);
  Value from = imul(b, s->unit, blocks), to = iadd(b, from, blocks);
  Value args[] = {operands, e->dims, from, to, s->scratch};
  Value f = step_function(s, step->kernel);
  LLVMBuildCall2(b->b, s->type, f, args, 5, "");
}

void emit_stream(Emit *e) {
  Build *b = &e->b;
  Steps s = {.e = e, .stream = e->k->stream};
  Value rows = emit_dim(e, e->k->grid[e->k->cut]), tiles = emit_dim(e, e->k->scratch);
  emit_enter(e, 0);
  s.scratch = bytes_after(e, e->scratch, tiles);
  Value block = index64(b, e->k->block);
  Value blocks = LLVMBuildUDiv(b->b, iadd(b, rows, index64(b, e->k->block - 1)), block, "");
  Loop l;
  loop_open(e, &l, e->begin, e->end, 1, NULL, 0);
  s.unit = l.index;
  Value position = LLVMBuildUDiv(b->b, l.index, blocks, "");
  Value first = imul(b, isub(b, l.index, imul(b, position, blocks)), block);
  s.first_row = iadd(b, imul(b, position, rows), first);
  for (int i = 0; i < s.stream->steps.n; i++) run_step(&s, &s.stream->steps.at[i]);
  loop_close(e, &l, NULL);
}
