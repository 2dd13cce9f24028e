/* math.c - one emitter for each row of scalar.def, over scalars or any number of lanes. The elementary functions are
 * in math_functions.c, f16 and bf16 in narrow.c. */
#include "codegen/cpu/math.h"
#include "codegen/cpu/math_functions.h"

#define INFINITY __builtin_inf() /* math.h has functions with the names of ours */

bool dtype_is_signed(DType t) { return t == DT_i64 || t == DT_i32 || t == DT_i16 || t == DT_i8; }

static Type element_type(Build *b, DType t, Type boolean) {
  switch (t) {
  case DT_f64: return b->f64;
  case DT_f32:
  case DT_f16:
  case DT_bf16: return b->f32;
  case DT_i64: return b->i64;
  case DT_i32: return b->i32;
  case DT_i16: return b->i16;
  case DT_i8:
  case DT_u8: return b->i8;
  case DT_bool: return boolean;
  default: ice("a dtype without a type in LLVM");
  }
}

Type type_of(Build *b, DType t, int lanes) { return with_lanes(element_type(b, t, b->i1), lanes); }

Type memory_type(Build *b, DType t, int lanes) {
  return with_lanes(dtype_is_narrow(t) ? b->i16 : element_type(b, t, b->i8), lanes);
}

/* ---- integers ---- */

/* Rounds down; 0 for a divisor of 0, as in the interpreter, and no trap in lanes that nobody reads. */
static Value floor_div_int(Build *b, Value x, Value y, bool is_signed) {
  Value zero = int_like_const(y, 0), one = int_like_const(y, 1), none = icmp(b, LLVMIntEQ, y, zero);
  y = choose(b, none, one, y);
  if (!is_signed) return choose(b, none, zero, LLVMBuildUDiv(b->b, x, y, ""));
  Value minus = icmp(b, LLVMIntEQ, y, int_like_const(y, -1)); /* the least integer has no negative */
  Value d = choose(b, minus, one, y);
  Value q = LLVMBuildSDiv(b->b, x, d, ""), r = isub(b, x, imul(b, q, d));
  Value differ = icmp(b, LLVMIntSLT, LLVMBuildXor(b->b, r, d, ""), zero);
  Value inexact = both(b, icmp(b, LLVMIntNE, r, zero), differ);
  q = isub(b, q, LLVMBuildZExt(b->b, inexact, LLVMTypeOf(q), ""));
  return choose(b, none, zero, choose(b, minus, isub(b, zero, x), q));
}

/* ---- one emitter for each row of scalar.def ---- */

typedef struct Call {
  DType arg, result;
  Value a, b, c;
} Call;

static Value emit_add(Build *b, const Call *o) {
  return dtype_is_float(o->arg) ? contracted(fadd(b, o->a, o->b)) : iadd(b, o->a, o->b);
}

static Value emit_sub(Build *b, const Call *o) {
  return dtype_is_float(o->arg) ? contracted(fsub(b, o->a, o->b)) : isub(b, o->a, o->b);
}

static Value emit_mul(Build *b, const Call *o) {
  return dtype_is_float(o->arg) ? contracted(fmul(b, o->a, o->b)) : imul(b, o->a, o->b);
}

static Value emit_div(Build *b, const Call *o) { return fdivide(b, o->a, o->b); }

static Value emit_floordiv(Build *b, const Call *o) {
  if (dtype_is_float(o->arg)) return unary(b, "llvm.floor", fdivide(b, o->a, o->b));
  return floor_div_int(b, o->a, o->b, dtype_is_signed(o->arg));
}

static Value emit_mod(Build *b, const Call *o) {
  Value q = emit_floordiv(b, o);
  if (dtype_is_float(o->arg)) return fsub(b, o->a, fmul(b, o->b, q));
  Value zero = int_like_const(q, 0);
  return choose(b, icmp(b, LLVMIntEQ, o->b, zero), zero, isub(b, o->a, imul(b, o->b, q)));
}

static Value emit_neg(Build *b, const Call *o) {
  return dtype_is_float(o->arg) ? fneg(b, o->a) : isub(b, int_like_const(o->a, 0), o->a);
}

static Value emit_abs(Build *b, const Call *o) {
  if (dtype_is_float(o->arg)) return fabs_(b, o->a);
  if (!dtype_is_signed(o->arg)) return o->a;
  Value zero = int_like_const(o->a, 0);
  return choose(b, icmp(b, LLVMIntSLT, o->a, zero), isub(b, zero, o->a), o->a);
}

static Value compare(Build *b, LLVMRealPredicate real, LLVMIntPredicate is_signed, LLVMIntPredicate is_unsigned,
                     DType t, Value x, Value y) {
  if (dtype_is_float(t)) return fcmp(b, real, x, y);
  return icmp(b, dtype_is_signed(t) ? is_signed : is_unsigned, x, y);
}

static Value zero_of(Value x, DType t) { return dtype_is_float(t) ? real_like(x, 0) : int_like_const(x, 0); }

static Value emit_sign(Build *b, const Call *o) {
  Value x = o->a, zero = zero_of(x, o->arg), one, minus;
  if (dtype_is_float(o->arg)) one = real_like(x, 1), minus = real_like(x, -1);
  else one = int_like_const(x, 1), minus = int_like_const(x, -1);
  Value above = compare(b, LLVMRealOGT, LLVMIntSGT, LLVMIntUGT, o->arg, x, zero);
  if (!dtype_is_float(o->arg) && !dtype_is_signed(o->arg)) return choose(b, above, one, zero);
  Value below = compare(b, LLVMRealOLT, LLVMIntSLT, LLVMIntULT, o->arg, x, zero);
  return choose(b, above, one, choose(b, below, minus, x)); /* zeros and NaN stay */
}

static Value emit_floor(Build *b, const Call *o) { return unary(b, "llvm.floor", o->a); }
static Value emit_ceil(Build *b, const Call *o) { return unary(b, "llvm.ceil", o->a); }
static Value emit_round(Build *b, const Call *o) { return unary(b, "llvm.roundeven", o->a); }

static bool is_number(Value x) { /* a constant that is not NaN */
  LLVMBool loses = false;
  if (LLVMGetTypeKind(LLVMTypeOf(x)) == LLVMVectorTypeKind) return LLVMIsAConstant(x) && LLVMIsNull(x);
  if (!LLVMIsAConstantFP(x)) return LLVMIsAConstant(x) && LLVMIsNull(x);
  double d = LLVMConstRealGetDouble(x, &loses);
  return d == d;
}

/* a where it is further or equal or NaN. One comparison where the other is a number that we know. */
static Value extreme(Build *b, const Call *o, LLVMRealPredicate ordered, LLVMRealPredicate unordered,
                     LLVMIntPredicate is_signed, LLVMIntPredicate is_unsigned) {
  if (o->arg == DT_bool) ice("max and min of bools");
  if (!dtype_is_float(o->arg))
    return choose(b, icmp(b, dtype_is_signed(o->arg) ? is_signed : is_unsigned, o->a, o->b), o->a, o->b);
  if (is_number(o->b)) return choose(b, fcmp(b, unordered, o->a, o->b), o->a, o->b);
  Value first = fcmp(b, ordered, o->a, o->b);
  if (!is_number(o->a)) first = either(b, first, fcmp(b, LLVMRealUNO, o->a, o->a));
  return choose(b, first, o->a, o->b);
}

static Value emit_max(Build *b, const Call *o) {
  return extreme(b, o, LLVMRealOGE, LLVMRealUGE, LLVMIntSGE, LLVMIntUGE);
}

static Value emit_min(Build *b, const Call *o) {
  return extreme(b, o, LLVMRealOLE, LLVMRealULE, LLVMIntSLE, LLVMIntULE);
}

static Value emit_sqrt(Build *b, const Call *o) { return unary(b, "llvm.sqrt", o->a); }

static Value emit_rsqrt(Build *b, const Call *o) {
  return fdivide(b, real_like(o->a, 1), unary(b, "llvm.sqrt", o->a));
}

static Value emit_exp(Build *b, const Call *o) { return math_exp(b, o->a); }
static Value emit_expm1(Build *b, const Call *o) { return math_expm1(b, o->a); }
static Value emit_log(Build *b, const Call *o) { return math_log(b, o->a); }
static Value emit_log1p(Build *b, const Call *o) { return math_log1p(b, o->a); }
static Value emit_tanh(Build *b, const Call *o) { return math_tanh(b, o->a); }
static Value emit_sigmoid(Build *b, const Call *o) { return math_sigmoid(b, o->a); }
static Value emit_softplus(Build *b, const Call *o) { return math_softplus(b, o->a); }

static Value emit_sin(Build *b, const Call *o) { return math_sin(b, o->a); }
static Value emit_cos(Build *b, const Call *o) { return math_cos(b, o->a); }
static Value emit_tan(Build *b, const Call *o) { return math_tan(b, o->a); }
static Value emit_atan(Build *b, const Call *o) { return math_atan(b, o->a); }
static Value emit_pow(Build *b, const Call *o) { return math_pow(b, o->a, o->b); }

static Value emit_erf(Build *b, const Call *o) { return math_erf(b, o->a); }

static Value emit_normal_icdf(Build *b, const Call *o) { return math_normal_icdf(b, o->a); }

static Value emit_stop(Build *b, const Call *o) {
  (void)b;
  return o->a;
}

#define COMPARISON(name, real, is_signed, is_unsigned)                                                               \
  static Value emit_##name(Build *b, const Call *o) {                                                                \
    return compare(b, real, is_signed, is_unsigned, o->arg, o->a, o->b);                                             \
  }
COMPARISON(eq, LLVMRealOEQ, LLVMIntEQ, LLVMIntEQ)
COMPARISON(ne, LLVMRealUNE, LLVMIntNE, LLVMIntNE)
COMPARISON(lt, LLVMRealOLT, LLVMIntSLT, LLVMIntULT)
COMPARISON(le, LLVMRealOLE, LLVMIntSLE, LLVMIntULE)
COMPARISON(gt, LLVMRealOGT, LLVMIntSGT, LLVMIntUGT)
COMPARISON(ge, LLVMRealOGE, LLVMIntSGE, LLVMIntUGE)

static Value emit_and(Build *b, const Call *o) { return both(b, o->a, o->b); }
static Value emit_or(Build *b, const Call *o) { return either(b, o->a, o->b); }
static Value emit_not(Build *b, const Call *o) { return inverted(b, o->a); }

static Value emit_is_finite(Build *b, const Call *o) {
  return fcmp(b, LLVMRealOLT, fabs_(b, o->a), real_like(o->a, INFINITY));
}

static Value emit_select(Build *b, const Call *o) { return choose(b, o->a, o->b, o->c); }

static Value cast_float(Build *b, const Call *o) {
  Type to = like(type_of(b, o->result, 0), o->a);
  if (o->result == DT_bool) return fcmp(b, LLVMRealUNE, o->a, real_like(o->a, 0));
  if (dtype_is_float(o->result)) {
    int from = bits_of(LLVMTypeOf(o->a)), bits = bits_of(to);
    return from < bits   ? LLVMBuildFPExt(b->b, o->a, to, "")
           : from > bits ? LLVMBuildFPTrunc(b->b, o->a, to, "")
                         : o->a;
  }
  Type over[] = {to, LLVMTypeOf(o->a)};
  Value a = o->a;
  return intrinsic(b, dtype_is_signed(o->result) ? "llvm.fptosi.sat" : "llvm.fptoui.sat", over, 2, &a, 1);
}

static Value emit_cast(Build *b, const Call *o) {
  if (o->arg == o->result) return o->a;
  if (dtype_is_float(o->arg)) return cast_float(b, o);
  if (o->result == DT_bool) return icmp(b, LLVMIntNE, o->a, int_like_const(o->a, 0));
  Type to = like(type_of(b, o->result, 0), o->a);
  bool is_signed = dtype_is_signed(o->arg);
  if (!dtype_is_float(o->result)) return convert_int(b, o->a, element_of(to), is_signed);
  return is_signed ? LLVMBuildSIToFP(b->b, o->a, to, "") : LLVMBuildUIToFP(b->b, o->a, to, "");
}

typedef Value (*Emitter)(Build *b, const Call *o);

/* A row of scalar.def without its emitter above does not compile. */
static const Emitter emitters[] = {
#define ROW(name, ...) [OP_##name] = emit_##name,
#include "ir/scalar.def"
#undef ROW
};

static DType in_registers(DType t) { return dtype_is_narrow(t) ? DT_f32 : t; }

Value emit_scalar(Build *b, ScalarOp op, DType arg, DType result, Value *a) {
  static const int arity[] = {
#define ROW(name, n, ...) [OP_##name] = n,
#include "ir/scalar.def"
#undef ROW
  };
  int n = arity[op];
  Call o = {in_registers(arg), in_registers(result), a[0], n > 1 ? a[1] : NULL, n > 2 ? a[2] : NULL};
  if (n > 1) agree(b, &o.a, &o.b);
  if (n > 2) {
    agree(b, &o.a, &o.c);
    agree(b, &o.b, &o.c);
  }
  Value v = emitters[op](b, &o);
  return dtype_is_narrow(result) ? narrow_round(b, result, v) : v;
}
