/* emit_loop.c - counted loops with carried values, and loops over vectors of positions. See emit.h. */
#include "codegen/cpu/emit.h"

enum { MANY = 1 << 20 };

static LLVMBasicBlockRef block(Emit *e) { return LLVMAppendBasicBlockInContext(e->b.c, e->b.function, ""); }

static bool known(Value v, int64_t *number) {
  if (!LLVMIsAConstantInt(v)) return false;
  *number = LLVMConstIntGetSExtValue(v);
  return true;
}

static bool surely_runs(Value from, Value to) {
  int64_t a, b;
  return known(from, &a) && known(to, &b) && a < b;
}

static int64_t trips_of(Value from, Value to, int64_t step) {
  int64_t a, b;
  return step && known(from, &a) && known(to, &b) && a < b ? (b - a + step - 1) / step : 0;
}

/* Tells LLVM how often the loop goes round, for it takes the deepest loops to be the hottest, and gives the registers
 * to packing rather than to sums. */
static void weigh(Emit *e, Value branch, int64_t trips) {
  LLVMContextRef c = e->b.c;
  if (trips > MANY) trips = MANY;
  LLVMMetadataRef weights[] = {LLVMMDStringInContext2(c, "branch_weights", 14),
                               LLVMValueAsMetadata(int_const(e->b.i32, trips > 1 ? trips - 1 : 1)),
                               LLVMValueAsMetadata(int_const(e->b.i32, 1))};
  LLVMSetMetadata(branch, LLVMGetMDKindIDInContext(c, "prof", 4),
                  LLVMMetadataAsValue(c, LLVMMDNodeInContext2(c, weights, 3)));
}

void loop_open(Emit *e, Loop *l, Value from, Value to, int64_t step, const Value *init, int n) {
  Build *b = &e->b;
  if (n > ACCUMULATORS || e->depth + 1 >= SCOPES) ice("a loop carries too much or is too deep");
  *l = (Loop){.limit = to, .step = step, .trips = trips_of(from, to, step), .n = n, .mark = emit_mark(e)};
  l->bound = e->bound.n;
  emit_enter(e, e->depth);
  if (surely_runs(from, to)) l->before = e->scopes[e->depth];
  else {
    l->guard = e->scopes[e->depth];
    l->before = block(e);
  }
  l->body = block(e);
  l->exit = block(e);
  if (l->guard) {
    LLVMBuildCondBr(b->b, icmp(b, LLVMIntSLT, from, to), l->before, l->exit);
    LLVMPositionBuilderAtEnd(b->b, l->before);
  }
  LLVMBuildBr(b->b, l->body);
  e->scopes[e->depth] = l->before;
  e->scopes[++e->depth] = l->body;
  LLVMPositionBuilderAtEnd(b->b, l->body);
  l->index = LLVMBuildPhi(b->b, b->i64, "");
  LLVMAddIncoming(l->index, &from, &l->before, 1);
  for (int i = 0; i < n; i++) {
    l->init[i] = init[i];
    l->phi[i] = LLVMBuildPhi(b->b, LLVMTypeOf(init[i]), "");
    LLVMAddIncoming(l->phi[i], &l->init[i], &l->before, 1);
  }
}

void loop_close(Emit *e, Loop *l, const Value *next) {
  Build *b = &e->b;
  emit_enter(e, e->depth);
  LLVMBasicBlockRef latch = e->scopes[e->depth];
  Value index = LLVMBuildNSWAdd(b->b, l->index, l->advance ? l->advance : index64(b, l->step), "");
  Value again = LLVMBuildCondBr(b->b, icmp(b, LLVMIntSLT, index, l->limit), l->body, l->exit);
  if (l->trips) weigh(e, again, l->trips);
  LLVMAddIncoming(l->index, &index, &latch, 1);
  for (int i = 0; i < l->n; i++) LLVMAddIncoming(l->phi[i], (Value *)(uintptr_t)&next[i], &latch, 1);
  emit_forget(e, l->mark, e->depth, l->guard != NULL);
  e->bound.n = l->bound;
  e->generation++;
  e->scopes[--e->depth] = l->exit;
  LLVMPositionBuilderAtEnd(b->b, l->exit);
  for (int i = 0; i < l->n; i++) {
    l->out[i] = next[i];
    if (!l->guard) continue;
    l->out[i] = LLVMBuildPhi(b->b, LLVMTypeOf(next[i]), "");
    LLVMAddIncoming(l->out[i], (Value[]){l->init[i], next[i]}, (LLVMBasicBlockRef[]){l->guard, latch}, 2);
  }
}

/* Instances of one trip: each has its own memo, but keeps what was moved before the loop. */
static void instances(Emit *e, Var *v, Loop *l, int unroll, int lanes, Value *carried, int n, LaneBody body,
                      void *cx) {
  for (int u = 0; u < unroll; u++) {
    int mark = emit_mark(e);
    emit_enter(e, e->depth);
    Value at = u ? LLVMBuildNSWAdd(e->b.b, l->index, index64(&e->b, (int64_t)u * lanes), "") : l->index;
    emit_bind(e, v, lanes == 1 ? lanes_scalar(at) : lanes_from(e, at, 1));
    body(e, cx, carried + u * n, u);
    e->bound.n--;
    e->generation++;
    emit_forget(e, mark, e->depth, false);
  }
}

/* A loop of one round without a loop: what its index is, and the mask of its lanes, are constants. */
static void open_once(Emit *e, Loop *l, Value from, const Value *init, int n) {
  if (e->depth + 1 >= SCOPES) ice("a loop is too deep");
  *l = (Loop){.index = from, .n = n, .mark = emit_mark(e), .bound = e->bound.n};
  for (int i = 0; i < n; i++) l->phi[i] = init[i];
  emit_enter(e, e->depth);
  e->scopes[e->depth + 1] = e->scopes[e->depth]; /* a scope of its own in the same block */
  e->depth++;
}

static void close_once(Emit *e, Loop *l, const Value *next) {
  emit_forget(e, l->mark, e->depth, false);
  e->bound.n = l->bound;
  e->generation++;
  e->depth--;
  e->scopes[e->depth] = e->scopes[e->depth + 1];
  emit_enter(e, e->depth);
  for (int i = 0; i < l->n; i++) l->out[i] = next[i];
}

static bool runs_once(Value from, Value to, int64_t step) {
  int64_t a, b;
  return known(from, &a) && known(to, &b) && a < b && b - a <= step;
}

static void lanes_of_loop(Emit *e, Var *v, Value from, Value to, int unroll, bool masked, Value end, Value *carried,
                          int n, LaneBody body, void *cx) {
  Loop l;
  bool once = runs_once(from, to, (int64_t)unroll * e->lanes);
  if (once) open_once(e, &l, from, carried, unroll * n);
  else loop_open(e, &l, from, to, (int64_t)unroll * e->lanes, carried, unroll * n);
  Value next[ACCUMULATORS];
  for (int i = 0; i < l.n; i++) next[i] = l.phi[i];
  Value outer = e->tail;
  if (masked) {
    Build *b = &e->b;
    Value left = isub(b, end, l.index), ids = iota(b, b->i32, e->lanes, 1);
    Value count = convert_int(
        b, choose(b, icmp(b, LLVMIntSLT, left, index64(b, e->lanes)), left, index64(b, e->lanes)), b->i32, true);
    e->tail = both(b, outer, icmp(b, LLVMIntULT, ids, splat(b, count, e->lanes)));
  }
  instances(e, v, &l, unroll, e->lanes, next, n, body, cx);
  e->tail = outer;
  if (once) close_once(e, &l, next);
  else loop_close(e, &l, next);
  for (int i = 0; i < l.n; i++) carried[i] = l.out[i];
}

void lane_loop(Emit *e, Var *v, Value from, Value to, int unroll, Value *carried, int n, LaneBody body, void *cx) {
  Build *b = &e->b;
  int64_t first, last, trip = (int64_t)unroll * e->lanes;
  emit_enter(e, e->depth);
  if (known(from, &first) && known(to, &last)) {
    int64_t whole = (last - first) / trip * trip;
    if (whole) lanes_of_loop(e, v, from, index64(b, first + whole), unroll, false, to, carried, n, body, cx);
    int64_t rest = last - first - whole, vectors = rest / e->lanes * e->lanes, at = first + whole;
    if (vectors) lanes_of_loop(e, v, index64(b, at), index64(b, at + vectors), 1, false, to, carried, n, body, cx);
    if (rest > vectors) lanes_of_loop(e, v, index64(b, at + vectors), to, 1, true, to, carried, n, body, cx);
    return;
  }
  Value count = LLVMBuildNSWSub(b->b, to, from, "");
  Value whole = LLVMBuildSDiv(b->b, count, index64(b, trip), "");
  Value middle = LLVMBuildNSWAdd(b->b, from, imul(b, whole, index64(b, trip)), "");
  lanes_of_loop(e, v, from, middle, unroll, false, to, carried, n, body, cx);
  lanes_of_loop(e, v, middle, to, 1, true, to, carried, n, body, cx);
}

static void rows_of_loop(Emit *e, Var *v, Value from, Value to, int unroll, Value *carried, int n, LaneBody body,
                         void *cx) {
  Loop l;
  Value next[ACCUMULATORS];
  loop_open(e, &l, from, to, unroll, carried, unroll * n);
  for (int i = 0; i < l.n; i++) next[i] = l.phi[i];
  instances(e, v, &l, unroll, 1, next, n, body, cx);
  loop_close(e, &l, next);
  for (int i = 0; i < l.n; i++) carried[i] = l.out[i];
}

void row_loop(Emit *e, Var *v, Value to, int unroll, Value *carried, int n, LaneBody body, void *cx) {
  Build *b = &e->b;
  Value from = index64(b, 0), middle = from;
  int64_t last;
  emit_enter(e, e->depth);
  if (unroll > 1) {
    if (known(to, &last)) middle = index64(b, last / unroll * unroll);
    else middle = imul(b, LLVMBuildSDiv(b->b, to, index64(b, unroll), ""), index64(b, unroll));
    rows_of_loop(e, v, from, middle, unroll, carried, n, body, cx);
    if (known(to, &last) && last % unroll == 0) return;
  }
  rows_of_loop(e, v, middle, to, 1, carried, n, body, cx);
}

void emit_if(Emit *e, Value condition, void (*body)(void *cx), void *cx) {
  Build *b = &e->b;
  if (!condition) {
    body(cx);
    return;
  }
  int mark = emit_mark(e);
  LLVMBasicBlockRef yes = block(e), no = block(e);
  emit_enter(e, e->depth);
  LLVMBuildCondBr(b->b, condition, yes, no);
  e->scopes[e->depth] = yes;
  body(cx);
  emit_enter(e, e->depth);
  LLVMBuildBr(b->b, no);
  e->scopes[e->depth] = no;
  emit_forget(e, mark, 0, true);
}
