/* build.c - see build.h. */
#include <string.h>

#include "codegen/cpu/build.h"

void build_open(Build *b, CpuModule *m) {
  *b = (Build){.m = m, .c = m->context, .b = LLVMCreateBuilderInContext(m->context)};
  b->i1 = LLVMInt1TypeInContext(b->c);
  b->i8 = LLVMInt8TypeInContext(b->c);
  b->i16 = LLVMInt16TypeInContext(b->c);
  b->i32 = LLVMInt32TypeInContext(b->c);
  b->i64 = LLVMInt64TypeInContext(b->c);
  b->f32 = LLVMFloatTypeInContext(b->c);
  b->f64 = LLVMDoubleTypeInContext(b->c);
  b->ptr = LLVMPointerTypeInContext(b->c, 0);
  b->none = LLVMVoidTypeInContext(b->c);
}

void build_close(Build *b) { LLVMDisposeBuilder(b->b); }

/* ---- types ---- */

static bool is_vector(Type t) { return LLVMGetTypeKind(t) == LLVMVectorTypeKind; }

static int lanes_in(Type t) { return is_vector(t) ? (int)LLVMGetVectorSize(t) : 0; }

int lanes_of(Value v) { return lanes_in(LLVMTypeOf(v)); }

Type with_lanes(Type element, int lanes) { return lanes ? LLVMVectorType(element, (unsigned)lanes) : element; }

Type element_of(Type t) { return is_vector(t) ? LLVMGetElementType(t) : t; }

int bits_of(Type t) {
  t = element_of(t);
  switch (LLVMGetTypeKind(t)) {
  case LLVMFloatTypeKind: return 32;
  case LLVMDoubleTypeKind: return 64;
  case LLVMHalfTypeKind:
  case LLVMBFloatTypeKind: return 16;
  case LLVMIntegerTypeKind: return (int)LLVMGetIntTypeWidth(t);
  default: ice("bits of a type that is not a number");
  }
}

Type like(Type element, Value v) { return with_lanes(element, lanes_of(v)); }

Type int_like(Build *b, Value v) { return like(LLVMIntTypeInContext(b->c, (unsigned)bits_of(LLVMTypeOf(v))), v); }

/* ---- constants ---- */

Value real_like(Value of, double x) { return LLVMConstReal(LLVMTypeOf(of), x); }

Value int_const(Type t, int64_t x) {
  Value scalar = LLVMConstInt(element_of(t), (unsigned long long)x, true);
  int n = lanes_in(t);
  if (!n) return scalar;
  Value at[128];
  for (int i = 0; i < n; i++) at[i] = scalar;
  return LLVMConstVector(at, (unsigned)n);
}

Value int_like_const(Value of, int64_t x) { return int_const(LLVMTypeOf(of), x); }

Value iota(Build *b, Type element, int lanes, int64_t step) {
  (void)b;
  Value at[128];
  if (!lanes) return int_const(element, 0);
  for (int i = 0; i < lanes; i++) at[i] = int_const(element, i * step);
  return LLVMConstVector(at, (unsigned)lanes);
}

Value index64(Build *b, int64_t x) { return int_const(b->i64, x); }

/* ---- shape ---- */

Value splat(Build *b, Value scalar, int lanes) {
  if (!lanes || lanes_of(scalar)) return scalar;
  Type t = with_lanes(LLVMTypeOf(scalar), lanes);
  if (LLVMIsConstant(scalar)) {
    Value at[128];
    for (int i = 0; i < lanes; i++) at[i] = scalar;
    return LLVMConstVector(at, (unsigned)lanes);
  }
  Value one = LLVMBuildInsertElement(b->b, LLVMGetPoison(t), scalar, int_const(b->i32, 0), "");
  return LLVMBuildShuffleVector(b->b, one, LLVMGetPoison(t), int_const(with_lanes(b->i32, lanes), 0), "");
}

void agree(Build *b, Value *x, Value *y) {
  int nx = lanes_of(*x), ny = lanes_of(*y);
  if (nx && ny && nx != ny) ice("vectors of %d and %d lanes meet", nx, ny);
  *x = splat(b, *x, ny);
  *y = splat(b, *y, nx);
}

Value shuffle_two(Build *b, Value x, Value y, const int *lanes, int n) {
  Value at[128];
  for (int i = 0; i < n; i++) at[i] = lanes[i] < 0 ? LLVMGetPoison(b->i32) : int_const(b->i32, lanes[i]);
  return LLVMBuildShuffleVector(b->b, x, y, LLVMConstVector(at, (unsigned)n), "");
}

Value shuffle(Build *b, Value v, const int *lanes, int n) {
  return shuffle_two(b, v, LLVMGetPoison(LLVMTypeOf(v)), lanes, n);
}

Value slice(Build *b, Value v, int first, int n) {
  if (first == 0 && n == lanes_of(v)) return v;
  int at[128];
  for (int i = 0; i < n; i++) at[i] = first + i;
  return shuffle(b, v, at, n);
}

Value lane(Build *b, Value v, int i) { return LLVMBuildExtractElement(b->b, v, int_const(b->i32, i), ""); }

/* ---- arithmetic ---- */

Value contracted(Value v) {
  if (LLVMIsAInstruction(v) && LLVMCanValueUseFastMathFlags(v)) LLVMSetFastMathFlags(v, LLVMFastMathAllowContract);
  return v;
}

Value fadd(Build *b, Value x, Value y) {
  agree(b, &x, &y);
  return LLVMBuildFAdd(b->b, x, y, "");
}

Value fsub(Build *b, Value x, Value y) {
  agree(b, &x, &y);
  return LLVMBuildFSub(b->b, x, y, "");
}

Value fmul(Build *b, Value x, Value y) {
  agree(b, &x, &y);
  return LLVMBuildFMul(b->b, x, y, "");
}

Value fdivide(Build *b, Value x, Value y) {
  agree(b, &x, &y);
  return LLVMBuildFDiv(b->b, x, y, "");
}

Value fneg(Build *b, Value x) { return LLVMBuildFNeg(b->b, x, ""); }

Value intrinsic(Build *b, const char *name, Type *over, int nover, Value *args, int n) {
  unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
  if (!id) ice("LLVM has no intrinsic %s", name);
  Value f = LLVMGetIntrinsicDeclaration(b->m->module, id, over, (size_t)nover);
  Type t = LLVMIntrinsicGetType(b->c, id, over, (size_t)nover);
  return LLVMBuildCall2(b->b, t, f, args, (unsigned)n, "");
}

Value load_masked(Build *b, Type vector, Value pointer, unsigned align, Value mask) {
  Type over[] = {vector, b->ptr};
  Value args[] = {pointer, int_const(b->i32, align), mask, LLVMConstNull(vector)};
  return intrinsic(b, "llvm.masked.load", over, 2, args, 4);
}

void store_masked(Build *b, Value v, Value pointer, unsigned align, Value mask) {
  Value args[] = {v, pointer, int_const(b->i32, align), mask};
  intrinsic(b, "llvm.masked.store", (Type[]){LLVMTypeOf(v), b->ptr}, 2, args, 4);
}

Value unary(Build *b, const char *name, Value x) {
  Type t = LLVMTypeOf(x);
  return intrinsic(b, name, &t, 1, &x, 1);
}

Value fabs_(Build *b, Value x) { return unary(b, "llvm.fabs", x); }

Value fmuladd(Build *b, Value x, Value y, Value z) {
  agree(b, &x, &y);
  agree(b, &x, &z);
  agree(b, &y, &z);
  Type t = LLVMTypeOf(x);
  return intrinsic(b, "llvm.fmuladd", &t, 1, (Value[]){x, y, z}, 3);
}

Value poly(Build *b, Value x, const double *c, int n) {
  Value r = real_like(x, c[n - 1]);
  for (int i = n - 2; i >= 0; i--) r = fmuladd(b, r, x, real_like(x, c[i]));
  return r;
}

Value iadd(Build *b, Value x, Value y) {
  agree(b, &x, &y);
  return LLVMBuildAdd(b->b, x, y, "");
}

Value isub(Build *b, Value x, Value y) {
  agree(b, &x, &y);
  return LLVMBuildSub(b->b, x, y, "");
}

Value imul(Build *b, Value x, Value y) {
  agree(b, &x, &y);
  return LLVMBuildMul(b->b, x, y, "");
}

Value choose(Build *b, Value p, Value x, Value y) {
  agree(b, &x, &y);
  int n = lanes_of(p);
  x = splat(b, x, n);
  y = splat(b, y, n);
  return LLVMBuildSelect(b->b, p, x, y, "");
}

Value fcmp(Build *b, LLVMRealPredicate p, Value x, Value y) {
  agree(b, &x, &y);
  return LLVMBuildFCmp(b->b, p, x, y, "");
}

Value icmp(Build *b, LLVMIntPredicate p, Value x, Value y) {
  agree(b, &x, &y);
  return LLVMBuildICmp(b->b, p, x, y, "");
}

Value both(Build *b, Value x, Value y) {
  if (!x || !y) return x ? x : y;
  agree(b, &x, &y);
  return LLVMBuildAnd(b->b, x, y, "");
}

Value either(Build *b, Value x, Value y) {
  agree(b, &x, &y);
  return LLVMBuildOr(b->b, x, y, "");
}

Value inverted(Build *b, Value x) { return LLVMBuildNot(b->b, x, ""); }

Value to_bits(Build *b, Value x) { return LLVMBuildBitCast(b->b, x, int_like(b, x), ""); }

Value from_bits(Build *b, Value x, Value of) { return LLVMBuildBitCast(b->b, x, LLVMTypeOf(of), ""); }

Value any_lane(Build *b, Value p) {
  if (!lanes_of(p)) return p;
  Type t = LLVMTypeOf(p);
  return intrinsic(b, "llvm.vector.reduce.or", &t, 1, &p, 1);
}

Value convert_int(Build *b, Value x, Type element, bool is_signed) {
  Type t = like(element, x);
  int from = bits_of(LLVMTypeOf(x)), to = bits_of(element);
  if (from == to) return x;
  if (from > to) return LLVMBuildTrunc(b->b, x, t, "");
  return is_signed ? LLVMBuildSExt(b->b, x, t, "") : LLVMBuildZExt(b->b, x, t, "");
}

/* ---- helpers ---- */

static void write_helper(Build *b, Value function, HelperBody body, int n) {
  Build inner;
  build_open(&inner, b->m);
  inner.function = function;
  LLVMPositionBuilderAtEnd(inner.b, LLVMAppendBasicBlockInContext(b->c, function, ""));
  Value args[4];
  for (int i = 0; i < n; i++) args[i] = LLVMGetParam(function, (unsigned)i);
  LLVMBuildRet(inner.b, body(&inner, args));
  build_close(&inner);
}

/* Arguments and result are of one type, which is part of the helper's name. */
Value call_helper(Build *b, const char *name, HelperBody body, Value *args, int n) {
  Type t = LLVMTypeOf(args[0]), types[4];
  for (int i = 0; i < n; i++) types[i] = t;
  const char *full = arena_printf(b->m->arena, "nnc.%s.%dx%d", name, lanes_of(args[0]), bits_of(t));
  Type type = LLVMFunctionType(t, types, (unsigned)n, false);
  bool is_new;
  Value f = cpu_helper(b->m, full, type, &is_new);
  if (is_new) write_helper(b, f, body, n);
  return LLVMBuildCall2(b->b, type, f, args, (unsigned)n, "");
}
