/* emit_square.c - squares of as many rows as a vector has lanes, transposed from one place in memory to another.
 *
 * The shuffles are the slowest code of a contraction to translate and the same in each, so they are a function that
 * all contractions of a module call; what a call costs is little beside the loads and stores of a square. */
#include "codegen/cpu/product.h"

/* Rows and lanes change places: of both, one bit of the number after the other. */
static void transpose(Build *b, Value *row, int n) {
  for (int bit = 1; bit < n; bit *= 2) {
    int at[2][64];
    for (int l = 0; l < n; l++) {
      at[0][l] = l & bit ? n + (l ^ bit) : l;
      at[1][l] = l & bit ? n + l : l ^ bit;
    }
    for (int i = 0; i < n; i++) {
      if (i & bit) continue;
      Value x = row[i], y = row[i | bit];
      row[i] = shuffle_two(b, x, y, at[0], n);
      row[i | bit] = shuffle_two(b, x, y, at[1], n);
    }
  }
}

enum { FROM, STRIDE, LAST, COUNT, TO, TO_STRIDE, ARGUMENTS };

static void square_body(Product *p, bool masked, Value *a) {
  Emit *e = p->e;
  Value row[64], mask = masked ? first_lanes(p, a[COUNT]) : NULL, from = a[FROM], none = index64(&e->b, 0);
  for (int i = 0; i < e->lanes; i++) {
    row[i] = masked ? masked_load(p, from, mask) : vector_load(p, from, (unsigned)p->size);
    from = at_element(p, from, choose(&e->b, icmp(&e->b, LLVMIntSGT, a[LAST], index64(&e->b, i)), a[STRIDE], none));
  }
  transpose(&e->b, row, e->lanes);
  Value to = a[TO];
  for (int i = 0; i < e->lanes; i++, to = at_element(p, to, a[TO_STRIDE])) vector_store(p, row[i], to);
}

/* The function's code is written where the kernel's was: its builder stands aside meanwhile. */
static void write_square(Product *p, LLVMValueRef f, bool masked) {
  Emit *e = p->e;
  Build kernel = e->b;
  build_open(&e->b, kernel.m);
  LLVMPositionBuilderAtEnd(e->b.b, LLVMAppendBasicBlockInContext(e->b.c, f, ""));
  Value args[ARGUMENTS];
  for (int i = 0; i < ARGUMENTS; i++) args[i] = LLVMGetParam(f, (unsigned)i);
  square_body(p, masked, args);
  LLVMBuildRetVoid(e->b.b);
  build_close(&e->b);
  e->b = kernel;
}

/* The scalar work for rows that are not there hides behind the shuffles, and so do masks that the processor has
 * registers for: then one function does for all squares. */
void emit_square(Product *p, const Square *s) {
  Emit *e = p->e;
  Build *b = &e->b;
  bool masked = s->count || has_mask_registers(p);
  const char *name =
      arena_printf(e->arena, "nnc.square.%dx%d%s", e->lanes, (int)p->size * 8, masked ? ".masked" : "");
  Type types[ARGUMENTS] = {b->ptr, b->i64, b->i64, b->i64, b->ptr, b->i64};
  Type type = LLVMFunctionType(b->none, types, ARGUMENTS, false);
  bool is_new;
  LLVMValueRef f = cpu_helper(b->m, name, type, &is_new);
  if (is_new) write_square(p, f, masked);
  Value lanes = index64(b, e->lanes);
  Value args[ARGUMENTS] = {s->from, index64(b, s->stride),   s->last ? s->last : lanes, s->count ? s->count : lanes,
                           s->to,   index64(b, s->to_stride)};
  LLVMBuildCall2(b->b, type, f, args, ARGUMENTS, "");
}
