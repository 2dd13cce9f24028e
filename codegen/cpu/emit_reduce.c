/* emit_reduce.c - reducers: what accumulates, how it starts, takes a value, joins another, and ends. See emit.h. */
#include "codegen/cpu/emit.h"

#define INFINITY __builtin_inf()

/* Narrow floats are summed in f32 and rounded once. */
static DType accumulated(const Node *n) { return dtype_is_narrow(n->body->dtype) ? DT_f32 : n->body->dtype; }

static bool has_position(Reducer r) { return reducer_width(r) == 2; }

static int64_t least_int(DType t) {
  if (t == DT_u8 || t == DT_bool) return 0;
  return -((int64_t)1 << (8 * dtype_bytes(t) - 2)) * 2;
}

static int64_t largest_int(DType t) { return t == DT_u8 ? 255 : -(least_int(t) + 1); }

static Value number(Type t, DType d, double real, int64_t integer) {
  return dtype_is_float(d) ? LLVMConstReal(t, real) : int_const(t, integer);
}

void reduce_init(Emit *e, const Node *n, Value *acc) {
  DType d = accumulated(n);
  Type t = type_of(&e->b, d, e->lanes);
  /* What is never exceeded leaves the first position: only a reduction of nothing but infinities ends so. */
  if (has_position(n->reducer)) acc[1] = LLVMConstNull(with_lanes(e->b.i32, e->lanes));
  switch (n->reducer) {
  case RED_sum:
  case RED_any: acc[0] = LLVMConstNull(t); return;
  case RED_prod:
  case RED_all: acc[0] = number(t, d, 1, 1); return;
  case RED_max:
  case RED_argmax: acc[0] = number(t, d, -INFINITY, least_int(d)); return;
  case RED_min:
  case RED_argmin: acc[0] = number(t, d, INFINITY, largest_int(d)); return;
  default: ice("reduction by %s", reducer_name(n->reducer));
  }
}

static Value scalar_op(Emit *e, ScalarOp op, DType t, Value x, Value y) {
  Value a[3] = {x, y, NULL};
  return emit_scalar(&e->b, op, t, t, a);
}

/* Whether (x, p) comes before (y, q): further, NaN furthest, and of equals the first. */
static Value precedes(Emit *e, const Node *n, Value x, Value p, Value y, Value q) {
  Build *b = &e->b;
  DType t = accumulated(n);
  bool max = n->reducer == RED_argmax;
  Value a[3] = {x, y, NULL};
  Value further = emit_scalar(b, max ? OP_gt : OP_lt, t, DT_bool, a), same = emit_scalar(b, OP_eq, t, DT_bool, a);
  if (dtype_is_float(t)) {
    Value x_nan = fcmp(b, LLVMRealUNO, x, x), y_nan = fcmp(b, LLVMRealUNO, y, y);
    further = either(b, further, both(b, x_nan, inverted(b, y_nan)));
    same = either(b, same, both(b, x_nan, y_nan));
  }
  return either(b, further, both(b, same, icmp(b, LLVMIntSLT, p, q)));
}

void reduce_join(Emit *e, const Node *n, Value *acc, const Value *other) {
  DType t = accumulated(n);
  switch (n->reducer) {
  case RED_sum: acc[0] = scalar_op(e, OP_add, t, acc[0], other[0]); return;
  case RED_prod: acc[0] = scalar_op(e, OP_mul, t, acc[0], other[0]); return;
  case RED_max: acc[0] = scalar_op(e, OP_max, t, acc[0], other[0]); return;
  case RED_min: acc[0] = scalar_op(e, OP_min, t, acc[0], other[0]); return;
  case RED_any: acc[0] = either(&e->b, acc[0], other[0]); return;
  case RED_all: acc[0] = both(&e->b, acc[0], other[0]); return;
  case RED_argmax:
  case RED_argmin: {
    Value take = precedes(e, n, other[0], other[1], acc[0], acc[1]);
    acc[0] = choose(&e->b, take, other[0], acc[0]);
    acc[1] = choose(&e->b, take, other[1], acc[1]);
    return;
  }
  default: ice("reduction by %s", reducer_name(n->reducer));
  }
}

/* Whether x is further than y, which stands before it: of equals y stays, NaN too. */
static Value exceeds(Emit *e, const Node *n, Value x, Value y) {
  DType t = accumulated(n);
  bool max = n->reducer == RED_argmax;
  Value a[3] = {x, y, NULL};
  if (!dtype_is_float(t)) return emit_scalar(&e->b, max ? OP_gt : OP_lt, t, DT_bool, a);
  Value further = fcmp(&e->b, max ? LLVMRealUGT : LLVMRealULT, x, y); /* NaN is, of either */
  return both(&e->b, further, fcmp(&e->b, LLVMRealORD, y, y));
}

void reduce_step(Emit *e, const Node *n, Value *acc, Value x, Value position, Value mask) {
  Value old[2] = {acc[0], NULL}, item = splat(&e->b, x, e->lanes);
  if (has_position(n->reducer)) {
    Value take = exceeds(e, n, item, acc[0]);
    old[1] = acc[1];
    acc[0] = choose(&e->b, take, item, acc[0]);
    acc[1] = choose(&e->b, take, splat(&e->b, position, e->lanes), acc[1]);
  } else reduce_join(e, n, acc, &item);
  for (int i = 0; mask && i < reducer_width(n->reducer); i++)
    acc[i] = choose(&e->b, splat(&e->b, mask, e->lanes), acc[i], old[i]);
}

void reduce_lanes(Emit *e, const Node *n, Value *acc) {
  int width = reducer_width(n->reducer);
  for (int half = e->lanes / 2; half > 0; half /= 2) {
    Value other[2];
    for (int i = 0; i < width; i++) {
      other[i] = slice(&e->b, acc[i], half, half);
      acc[i] = slice(&e->b, acc[i], 0, half);
    }
    reduce_join(e, n, acc, other);
  }
  for (int i = 0; i < width; i++) acc[i] = lane(&e->b, acc[i], 0);
}

Value reduce_value(Emit *e, const Node *n, const Value *acc) {
  Value v = acc[has_position(n->reducer)];
  return dtype_is_narrow(n->dtype) ? narrow_round(&e->b, n->dtype, v) : v;
}
