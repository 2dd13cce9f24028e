/* emit_kernel.c - the function around a kernel's loops: its arguments, operands, units, and what is said about it. */
#include <string.h>

#include "codegen/cpu/emit.h"

static void count_one(void *cx, Expr *x) {
  (void)x;
  ++*(int *)cx;
}

int count_nodes(Expr *x) {
  int n = 0;
  expr_visit(x, count_one, &n);
  return n;
}

/* f64 that is one number for the whole kernel (a schedule, a bias correction) is computed before the loops, in no
 * lanes. */
static void find_widest(void *cx, Expr *x) {
  int *bytes = cx;
  if (x->dtype == DT_f64 && *bytes < 8 && expr_varies(x)) *bytes = 8;
}

/* As many lanes as the widest float of the kernel has in a register. */
static int choose_lanes(const CpuModule *m, const Kernel *k) {
  int bytes = 4;
  for (int i = 0; i < k->members.n; i++) {
    if (k->members.at[i].node->dtype == DT_f64) bytes = 8;
    expr_visit(k->members.at[i].node->body, find_widest, &bytes);
  }
  return m->target.vector_bytes / bytes;
}

static LLVMValueRef new_function(Emit *e) {
  Build *b = &e->b;
  Type args[] = {b->ptr, b->ptr, b->i64, b->i64, b->ptr};
  LLVMValueRef old = LLVMGetNamedFunction(e->m->module, e->k->symbol);
  if (old) LLVMSetValueName2(old, "", 0);
  LLVMValueRef f = LLVMAddFunction(e->m->module, e->k->symbol, LLVMFunctionType(b->none, args, 5, false));
  cpu_set_nounwind(e->m, f);
  if (old) { /* tables referred to it before */
    LLVMReplaceAllUsesWith(old, f);
    LLVMDeleteFunction(old);
  }
  return f;
}

static LLVMBasicBlockRef add_block(Emit *e) { return LLVMAppendBasicBlockInContext(e->b.c, e->b.function, ""); }

/* Goes on where every guard has its value, else returns. */
static void emit_guards(Emit *e) {
  Build *b = &e->b;
  Value all = NULL;
  for (int i = 0; i < e->k->guards.n; i++) {
    const KernelGuard *g = &e->k->guards.at[i];
    Value holds = LLVMBuildLoad2(b->b, b->i8, e->operands[g->operand], "");
    holds = icmp(b, g->value ? LLVMIntNE : LLVMIntEQ, holds, int_like_const(holds, 0));
    all = all ? LLVMBuildAnd(b->b, all, holds, "") : holds;
  }
  if (!all) {
    LLVMBuildBr(b->b, e->scopes[0]);
    return;
  }
  LLVMBasicBlockRef leave = add_block(e);
  LLVMBuildCondBr(b->b, all, e->scopes[0], leave);
  LLVMPositionBuilderAtEnd(b->b, leave);
  LLVMBuildRetVoid(b->b);
}

static void open_function(Emit *e) {
  Build *b = &e->b;
  b->function = new_function(e);
  e->entry = add_block(e);
  e->scopes[0] = add_block(e);
  LLVMPositionBuilderAtEnd(b->b, e->entry);
  Value buffers = LLVMGetParam(b->function, 0);
  e->dims = LLVMGetParam(b->function, 1);
  e->begin = LLVMGetParam(b->function, 2);
  e->end = LLVMGetParam(b->function, 3);
  e->scratch = LLVMGetParam(b->function, 4);
  e->spare = LLVMBuildAlloca(b->b, b->i64, "");
  LLVMBuildStore(b->b, index64(b, 0), e->spare);
  e->operands = NEW_ARRAY(e->arena, Value, e->k->operands.n + 1);
  for (int i = 0; i < e->k->operands.n; i++) {
    Value at = index64(b, i);
    e->operands[i] = LLVMBuildLoad2(b->b, b->ptr, LLVMBuildGEP2(b->b, b->ptr, buffers, &at, 1, ""), "");
  }
  emit_guards(e);
  emit_enter(e, 0);
}

static Value smaller(Build *b, Value x, Value y) { return choose(b, icmp(b, LLVMIntSLT, x, y), x, y); }

void emit_units(Emit *e, Var **grid, UnitBody body, void *cx) {
  Build *b = &e->b;
  Kernel *k = e->k;
  if (k->ngrid == 0) {
    Loop once;
    loop_open(e, &once, e->begin, e->end, 1, NULL, 0);
    body(cx, index64(b, 0), index64(b, 1));
    loop_close(e, &once, NULL);
    return;
  }
  Value extent = emit_dim(e, k->grid[k->cut]), block = index64(b, k->block);
  emit_enter(e, 0);
  if (k->cut == 0) {
    body(cx, imul(b, e->begin, block), smaller(b, imul(b, e->end, block), extent));
    return;
  }
  Value blocks = LLVMBuildUDiv(b->b, iadd(b, extent, index64(b, k->block - 1)), block, "");
  Loop l;
  loop_open(e, &l, e->begin, e->end, 1, NULL, 0);
  Value position = LLVMBuildUDiv(b->b, l.index, blocks, ""), first = isub(b, l.index, imul(b, position, blocks));
  for (int i = k->cut - 1; i >= 0; i--) {
    Value n = emit_dim(e, k->grid[i]);
    emit_enter(e, e->depth);
    Value outer = LLVMBuildUDiv(b->b, position, n, "");
    emit_bind(e, grid[i], lanes_scalar(isub(b, position, imul(b, outer, n))));
    position = outer;
  }
  first = imul(b, first, block);
  body(cx, first, smaller(b, iadd(b, first, block), extent));
  loop_close(e, &l, NULL);
}

static void emit_loops(Emit *e) {
  switch (e->k->kind) {
  case KERNEL_map:
  case KERNEL_row:
  case KERNEL_column:
  case KERNEL_window:
  case KERNEL_full: emit_group(e); return;
  case KERNEL_contraction: emit_contraction(e); return;
  case KERNEL_scatter: emit_scatter(e); return;
  case KERNEL_sort: emit_sort(e); return;
  case KERNEL_stream: emit_stream(e); return;
  default: ice("a kernel of unknown kind");
  }
}

/* The schedule's own may hold dimensions of its graph: another graph's kernel with this symbol has others. */
static void set_scratch(Ir *ir, Kernel *k, const CpuKernelDone *d) {
  Dim *times = dim_mul(ir, k->scratch, dim_const(ir, d->scratch_times));
  k->scratch = dim_add(ir, times, dim_const(ir, d->scratch_bytes));
}

static bool emitted_before(CpuModule *m, Ir *ir, Kernel *k) {
  const CpuModule *first = m->first;
  for (int i = 0; i < first->done.n; i++) {
    const CpuKernelDone *d = &first->done.at[i];
    if (strcmp(d->symbol, k->symbol) != 0) continue;
    k->vector = d->vector;
    k->why = d->why;
    set_scratch(ir, k, d);
    return true;
  }
  return false;
}

static int64_t count_instructions(LLVMValueRef function) {
  int64_t n = 0;
  for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(function); b; b = LLVMGetNextBasicBlock(b))
    for (LLVMValueRef i = LLVMGetFirstInstruction(b); i; i = LLVMGetNextInstruction(i)) n++;
  return n;
}

/* The steps have their scratch memory after the tiles. */
static void add_scratch_of_steps(Ir *ir, Kernel *k) {
  for (int i = 0; k->stream && i < k->stream->steps.n; i++)
    k->scratch = dim_add(ir, k->scratch, k->stream->steps.at[i].kernel->scratch);
}

/* A stream is as its slowest step. */
static void say_what_steps_are(Kernel *k) {
  for (int i = 0; k->stream && i < k->stream->steps.n; i++) {
    const Kernel *step = k->stream->steps.at[i].kernel;
    if (step->vector < k->vector) k->vector = step->vector;
    if (step->why && !k->why) k->why = step->why;
  }
}

void cpu_emit_kernel(CpuModule *m, const Schedule *s, Kernel *k) {
  for (int i = 0; k->stream && i < k->stream->steps.n; i++) cpu_emit_kernel(m, s, k->stream->steps.at[i].kernel);
  if (emitted_before(m, s->graph->ir, k)) {
    add_scratch_of_steps(s->graph->ir, k);
    return;
  }
  Emit *e = NEW(m->arena, Emit);
  build_open(&e->b, m);
  e->m = m;
  e->s = s;
  e->k = k;
  e->ir = s->graph->ir;
  e->arena = m->arena;
  e->scratch_times = 1;
  e->lanes = choose_lanes(m, k);
  open_function(e);
  emit_loops(e);
  emit_enter(e, 0);
  LLVMBuildRetVoid(e->b.b);
  m->size += count_instructions(e->b.function);
  build_close(&e->b);
  k->vector = e->why ? 1 : e->lanes;
  k->why = e->why ? e->why : e->note;
  CpuKernelDone done = {k->symbol, k->vector, k->why, e->scratch_bytes, e->scratch_times};
  say_what_steps_are(k);
  done.vector = k->vector, done.why = k->why;
  set_scratch(e->ir, k, &done);
  add_scratch_of_steps(e->ir, k);
  vec_push(m->first->arena, &m->first->done, done);
}
