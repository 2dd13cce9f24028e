/* narrow.c - f16 and bf16: in registers they are f32 that were rounded to the narrow type, in memory 16 bits. Integer
 * arithmetic only, for no target converts both, and LLVM would call functions that nobody links. */
#include "codegen/cpu/math.h"

bool dtype_is_narrow(DType t) { return t == DT_f16 || t == DT_bf16; }

static Value number(Value x, int64_t n) { return int_like_const(x, n); }

static Value mask(Build *b, Value x, int64_t bits) { return LLVMBuildAnd(b->b, x, number(x, bits), ""); }

static Value left(Build *b, Value x, int n) { return LLVMBuildShl(b->b, x, number(x, n), ""); }

static Value right(Build *b, Value x, int n) { return LLVMBuildLShr(b->b, x, number(x, n), ""); }

static Value join(Build *b, Value x, Value y) { return LLVMBuildOr(b->b, x, y, ""); }

static Value as_f32(Build *b, Value bits) { return LLVMBuildBitCast(b->b, bits, like(b->f32, bits), ""); }

/* 2^112 puts f16's exponents where f32 has them, denormals included. */
Value narrow_widen(Build *b, DType t, Value bits) {
  Value x = convert_int(b, bits, b->i32, false);
  if (t == DT_bf16) return as_f32(b, left(b, x, 16));
  Value magnitude = mask(b, x, 0x7fff), f = as_f32(b, left(b, magnitude, 13));
  f = fmul(b, f, real_like(f, 0x1p112));
  Value special = as_f32(b, join(b, left(b, magnitude, 13), number(x, 0x7f800000)));
  f = choose(b, icmp(b, LLVMIntUGE, magnitude, number(x, 0x7c00)), special, f);
  return as_f32(b, join(b, to_bits(b, f), left(b, mask(b, x, 0x8000), 16)));
}

/* bf16: half an ulp is added to the bits. f16: a number is added whose ulp is that of the result. Ties go to even. */
Value narrow_round(Build *b, DType t, Value x) {
  Value bits = to_bits(b, x), nan = fcmp(b, LLVMRealUNO, x, x);
  if (t == DT_bf16) {
    Value half = iadd(b, mask(b, right(b, bits, 16), 1), number(bits, 0x7fff));
    Value rounded = as_f32(b, mask(b, iadd(b, bits, half), 0xffff0000));
    return choose(b, nan, x, rounded);
  }
  Value a = as_f32(b, mask(b, bits, 0x7fffffff)), exponent = mask(b, bits, 0x7f800000);
  Value least = number(bits, 113 << 23); /* 2^-14, the smallest normal f16 */
  exponent = choose(b, icmp(b, LLVMIntSLT, exponent, least), least, exponent);
  Value shift = as_f32(b, join(b, iadd(b, exponent, number(bits, 13 << 23)), number(bits, 0x400000)));
  Value rounded = fsub(b, fadd(b, a, shift), shift);
  Value large = fcmp(b, LLVMRealOGE, a, real_like(a, 65520));
  rounded = choose(b, large, real_like(a, __builtin_inf()), rounded);
  Value sign = mask(b, bits, 0x80000000);
  return choose(b, nan, x, as_f32(b, join(b, to_bits(b, rounded), sign)));
}

/* The 16 bits of an f32 that narrow_round gave. */
Value narrow_bits(Build *b, DType t, Value x) {
  Value bits = to_bits(b, x);
  if (t == DT_bf16) return convert_int(b, right(b, bits, 16), b->i16, false);
  Value a = as_f32(b, mask(b, bits, 0x7fffffff));
  Value scaled = right(b, to_bits(b, fmul(b, a, real_like(a, 0x1p-112))), 13);
  scaled = choose(b, fcmp(b, LLVMRealOEQ, a, real_like(a, __builtin_inf())), number(bits, 0x7c00), scaled);
  scaled = choose(b, fcmp(b, LLVMRealUNO, x, x), number(bits, 0x7e00), scaled);
  return convert_int(b, join(b, scaled, right(b, mask(b, bits, 0x80000000), 16)), b->i16, false);
}
