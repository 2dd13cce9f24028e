/* math_random.c - draws by lane: Philox4x32-10 as runtime/philox.h has it (Salmon, Moraes, Dror, Shaw 2011). */
#include "codegen/cpu/math.h"

typedef struct Words {
  Value w[4];
} Words;

static Value low_word(Build *b, Value x) { return convert_int(b, x, b->i32, false); }

static Value high_word(Build *b, Value x) {
  return convert_int(b, LLVMBuildLShr(b->b, x, int_like_const(x, 32), ""), b->i32, false);
}

static Value widened(Build *b, Value x) { return convert_int(b, x, b->i64, false); }

static Value mix(Build *b, Value x, Value y) {
  agree(b, &x, &y);
  return LLVMBuildXor(b->b, x, y, "");
}

static Words philox(Build *b, Words c, Value key0, Value key1) {
  for (int round = 0; round < 10; round++) {
    Value x = widened(b, c.w[0]), y = widened(b, c.w[2]);
    Value p = imul(b, x, int_like_const(x, 0xD2511F53)), q = imul(b, y, int_like_const(y, 0xCD9E8D57));
    c = (Words){{mix(b, mix(b, high_word(b, q), c.w[1]), key0), low_word(b, q),
                 mix(b, mix(b, high_word(b, p), c.w[3]), key1), low_word(b, p)}};
    key0 = iadd(b, key0, int_like_const(key0, 0x9E3779B9));
    key1 = iadd(b, key1, int_like_const(key1, 0xBB67AE85));
  }
  return c;
}

static Value bit_of(Build *b, Value x, int bit) {
  Value one = LLVMBuildAnd(b->b, x, int_like_const(x, bit), "");
  return icmp(b, LLVMIntNE, one, int_like_const(one, 0));
}

/* What a draw is made of, all i64 and of as many lanes: key, step, place, element. The result: the draw's bits. */
static Words words_of(Build *b, Value *a, int shift) {
  Value block = LLVMBuildLShr(b->b, a[3], int_like_const(a[3], shift), "");
  Value high = LLVMBuildShl(b->b, high_word(b, block), int_like_const(high_word(b, block), 16), "");
  Words c = {{low_word(b, block), low_word(b, a[1]), low_word(b, a[2]), mix(b, high_word(b, a[2]), high)}};
  return philox(b, c, low_word(b, a[0]), high_word(b, a[0]));
}

static Value draw24(Build *b, Value *a) {
  Words r = words_of(b, a, 2);
  Value odd = bit_of(b, a[3], 1), second = bit_of(b, a[3], 2);
  Value w = choose(b, second, choose(b, odd, r.w[3], r.w[2]), choose(b, odd, r.w[1], r.w[0]));
  return widened(b, LLVMBuildLShr(b->b, w, int_like_const(w, 8), ""));
}

static Value draw53(Build *b, Value *a) {
  Words r = words_of(b, a, 1);
  Value odd = bit_of(b, a[3], 1);
  Value upper = widened(b, choose(b, odd, r.w[2], r.w[0])), lower = widened(b, choose(b, odd, r.w[3], r.w[1]));
  Value u = LLVMBuildOr(b->b, LLVMBuildShl(b->b, upper, int_like_const(upper, 32), ""), lower, "");
  return LLVMBuildLShr(b->b, u, int_like_const(u, 11), "");
}

/* The rounds are long and every tensor's first values want them, so they are a function of the module. */
Value emit_random(Build *b, DType t, Value key, Value step, Value place, Value element) {
  Value a[] = {key, convert_int(b, step, b->i64, true), place, element};
  int lanes = 0;
  for (int i = 0; i < 4; i++)
    if (lanes_of(a[i])) lanes = lanes_of(a[i]);
  for (int i = 0; i < 4; i++) a[i] = splat(b, a[i], lanes);
  if (t == DT_f64) {
    Value u = call_helper(b, "draw53", draw53, a, 4);
    Value v = LLVMBuildUIToFP(b->b, u, like(b->f64, u), "");
    return fmul(b, v, real_like(v, 0x1p-53));
  }
  Value w = convert_int(b, call_helper(b, "draw24", draw24, a, 4), b->i32, false);
  Value v = LLVMBuildSIToFP(b->b, w, like(b->f32, w), "");
  v = fmul(b, v, real_like(v, 0x1p-24));
  return t == DT_f32 ? v : narrow_round(b, t, v);
}
