/* math_functions.c - the functions of math_functions.h: straight-line code for any number of lanes, without libm.
 *
 * f32 functions that models call in their inner loops (exp, log, tanh, sigmoid, erf and what is made of them) work in
 * f32; the rest work in f64 and round once. f64 is written for about 2 ulp. Nothing relies on a fused multiply-add:
 * where one rounding matters, the operands have trailing zeros. sin and cos reduce huge arguments with the bits
 * of 2/pi (Payne, Hanek 1983), behind a branch that a whole vector takes together; they are functions of the module.
 *
 * Sources of the coefficients: `log` FreeBSD msun e_log.c, e_logf.c; `erf` f32 N. Juffa (2016); `normal_icdf`
 * Wichura's AS 241 (1988); the rest are Chebyshev interpolations made with mpmath, within 1e-17 of the function
 * (f64). */
#include "codegen/cpu/math_functions.h"

#include "codegen/two_over_pi.h"

#define INFINITY __builtin_inf() /* math.h has functions with the names of ours */
#define NAN      __builtin_nan("")

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

/* ---- small parts ---- */

static bool wide(Value x) { return bits_of(LLVMTypeOf(x)) == 64; }

static Value to_f64(Build *b, Value x) { return LLVMBuildFPExt(b->b, x, like(b->f64, x), ""); }

static Value to_f32(Build *b, Value x) { return LLVMBuildFPTrunc(b->b, x, like(b->f32, x), ""); }

static Value copysign_(Build *b, Value magnitude, Value sign) {
  Type t = LLVMTypeOf(magnitude);
  return intrinsic(b, "llvm.copysign", &t, 1, (Value[]){magnitude, sign}, 2);
}

static Value at_most(Build *b, Value x, double upper) {
  return choose(b, fcmp(b, LLVMRealOGT, x, real_like(x, upper)), real_like(x, upper), x);
}

/* x within [lower, upper]; NaN stays. */
static Value clamp(Build *b, Value x, double lower, double upper) {
  return at_most(b, choose(b, fcmp(b, LLVMRealOLT, x, real_like(x, lower)), real_like(x, lower), x), upper);
}

static Value shift_left(Build *b, Value x, int n) { return LLVMBuildShl(b->b, x, int_like_const(x, n), ""); }

static Value shift_right(Build *b, Value x, int n) { return LLVMBuildLShr(b->b, x, int_like_const(x, n), ""); }

static Value mask_bits(Build *b, Value x, int64_t mask) { return LLVMBuildAnd(b->b, x, int_like_const(x, mask), ""); }

/* 2^n for an integer n within the normal range. */
static Value power_of_two(Build *b, Value n, Value of) {
  bool w = wide(of);
  return from_bits(b, shift_left(b, iadd(b, n, int_like_const(n, w ? 1023 : 127)), w ? 52 : 23), of);
}

/* ---- exp and what is made of it ---- */

typedef struct Reduced { /* x = n*log(2) + r, abs(r) <= log(2)/2 */
  Value r, n, integer;   /* n as a float and as an integer */
} Reduced;

static Reduced reduce_log2(Build *b, Value x) {
  bool w = wide(x);
  Value magic = real_like(x, w ? 0x1.8p52 : 0x1.8p23);
  Value t = fmuladd(b, x, real_like(x, 1.4426950408889634), magic);
  Reduced d = {.n = fsub(b, t, magic), .integer = isub(b, to_bits(b, t), to_bits(b, magic))};
  d.r = fmuladd(b, d.n, real_like(x, w ? -0x1.62e42fefp-1 : -0.693359375), x);
  d.r = fmuladd(b, d.n, real_like(x, w ? -0x1.473de6af278edp-34 : 2.12194440e-4), d.r);
  return d;
}

/* exp(r) - 1 for abs(r) <= log(2)/2. */
static Value expm1_reduced(Build *b, Value r) {
  static const double narrow[] = {.500000009678, .166665171815, .041666200667, .00836908828423, .00139508334511};
  static const double full[] = {0.49999999999999999998,     0.16666666666666666667,   0.041666666666666676865,
                                0.0083333333333333340131,   0.0013888888888879003084, 0.00019841269841263251867,
                                0.000024801587336630946966, 2.7557319247344509509e-6, 2.7557263077309411451e-7,
                                2.5052070957803661989e-8,   2.0918212319133978192e-9, 1.6086677666787361497e-10};
  Value q = wide(r) ? poly(b, r, full, COUNT(full)) : poly(b, r, narrow, COUNT(narrow));
  return fmuladd(b, fmul(b, r, r), q, r);
}

/* p * 2^n: by AVX-512's instruction for it, or in two steps, so that results below the normal range and up to the
 * largest come out right; both round once. */
static Value scale(Build *b, Value p, Reduced d) {
  int bits = bits_of(LLVMTypeOf(p));
  if (b->m->target.vector_bytes == 64 && lanes_of(p) * bits == 512) {
    Value all = int_const(LLVMIntTypeInContext(b->c, (unsigned)lanes_of(p)), -1);
    Value args[] = {p, d.n, p, all, int_const(b->i32, 4)}; /* 4: the rounding that is set */
    const char *name = bits == 32 ? "llvm.x86.avx512.mask.scalef.ps.512" : "llvm.x86.avx512.mask.scalef.pd.512";
    return intrinsic(b, name, NULL, 0, args, 5);
  }
  Value half = LLVMBuildAShr(b->b, d.integer, int_like_const(d.integer, 1), "");
  Value once = fmul(b, p, power_of_two(b, half, p));
  return fmul(b, once, power_of_two(b, isub(b, d.integer, half), p));
}

/* What rounds to 0 is not computed: underflow takes some processors a hundred times as long, and masks make many. */
Value math_exp(Build *b, Value x) {
  bool w = wide(x);
  Value none = fcmp(b, LLVMRealOLT, x, real_like(x, w ? -746 : -104)), zero = real_like(x, 0);
  Reduced d = reduce_log2(b, at_most(b, choose(b, none, zero, x), w ? 710 : 89));
  return choose(b, none, zero, scale(b, fadd(b, expm1_reduced(b, d.r), real_like(x, 1)), d));
}

Value math_expm1(Build *b, Value x) {
  bool w = wide(x);
  Reduced d = reduce_log2(b, clamp(b, x, w ? -40 : -20, w ? 710 : 89));
  Value scale =
      power_of_two(b, isub(b, d.integer, int_like_const(d.integer, 1)), x); /* 2^(n-1): 2^n may be too much */
  Value y = fmuladd(b, scale, expm1_reduced(b, d.r), fsub(b, scale, real_like(x, 0.5)));
  y = fadd(b, y, y);
  /* For tiny x all of the above is exact but the sum 1/2 + ... - 1/2. */
  return choose(b, icmp(b, LLVMIntEQ, d.integer, int_like_const(d.integer, 0)), expm1_reduced(b, d.r), y);
}

/* -expm1(-2a) / (expm1(-2a) + 2) for a = abs(x): no overflow, and tiny x stay exact. */
Value math_tanh(Build *b, Value x) {
  Value e = math_expm1(b, fmul(b, fabs_(b, x), real_like(x, -2)));
  Value y = fdivide(b, fneg(b, e), fadd(b, e, real_like(x, 2)));
  return copysign_(b, y, x);
}

Value math_sigmoid(Build *b, Value x) {
  Value e = math_exp(b, fneg(b, fabs_(b, x)));
  Value top = choose(b, fcmp(b, LLVMRealOGE, x, real_like(x, 0)), real_like(x, 1), e);
  return fdivide(b, top, fadd(b, e, real_like(x, 1)));
}

/* ---- log ---- */

typedef struct Mantissa { /* x = 2^k * (1 + f), sqrt(1/2) <= 1 + f < sqrt(2) */
  Value f, k;
} Mantissa;

static Mantissa split_mantissa(Build *b, Value x) {
  bool w = wide(x);
  int digits = w ? 52 : 23;
  int64_t half = w ? 0x3fe6a09e667f3bcd : 0x3f3504f3, one = w ? 0x3ff0000000000000 : 0x3f800000;
  Value small = fcmp(b, LLVMRealOLT, x, real_like(x, w ? 0x1p-1022 : 0x1p-126));
  x = choose(b, small, fmul(b, x, real_like(x, w ? 0x1p54 : 0x1p25)), x);
  Value i = to_bits(b, x);
  i = iadd(b, i, int_like_const(i, one - half));
  Value k = isub(b, shift_right(b, i, digits), int_like_const(i, w ? 1023 : 127));
  k = isub(b, k, choose(b, small, int_like_const(i, w ? 54 : 25), int_like_const(i, 0)));
  i = iadd(b, mask_bits(b, i, ((int64_t)1 << digits) - 1), int_like_const(i, half));
  Mantissa m = {.f = fsub(b, from_bits(b, i, x), real_like(x, 1))};
  /* |k| < 2^11: through i32, which every target converts in vectors. */
  m.k = LLVMBuildSIToFP(b->b, convert_int(b, k, b->i32, true), LLVMTypeOf(x), "");
  return m;
}

/* log(x) for x > 0; the other arguments are put right around it. */
static Value log_positive(Build *b, Value x) {
  static const double narrow[] = {0.66666662693, 0.40000972152, 0.28498786688, 0.24279078841};
  static const double full[] = {6.666666666666735130e-01, 3.999999999940941908e-01, 2.857142874366239149e-01,
                                2.222219843214978396e-01, 1.818357216161805012e-01, 1.531383769920937332e-01,
                                1.479819860511658591e-01};
  bool w = wide(x);
  Mantissa m = split_mantissa(b, x);
  Value s = fdivide(b, m.f, fadd(b, m.f, real_like(x, 2))), z = fmul(b, s, s);
  Value r = fmul(b, z, w ? poly(b, z, full, COUNT(full)) : poly(b, z, narrow, COUNT(narrow)));
  Value h = fmul(b, fmul(b, m.f, m.f), real_like(x, 0.5));
  Value low =
      fmuladd(b, m.k, real_like(x, w ? 1.90821492927058770002e-10 : 9.0580006145e-06), fmul(b, s, fadd(b, h, r)));
  low = fadd(b, fsub(b, low, h), m.f);
  return fmuladd(b, m.k, real_like(x, w ? 6.93147180369123816490e-01 : 6.9313812256e-01), low);
}

Value math_log(Build *b, Value x) {
  Value y = log_positive(b, x);
  y = choose(b, fcmp(b, LLVMRealOLT, x, real_like(x, INFINITY)), y, x); /* infinity and NaN stay */
  y = choose(b, fcmp(b, LLVMRealOLT, x, real_like(x, 0)), real_like(x, NAN), y);
  return choose(b, fcmp(b, LLVMRealOEQ, x, real_like(x, 0)), real_like(x, -INFINITY), y);
}

/* log(u) * x / (u - 1), u = 1 + x rounded: the errors of u cancel (Kahan). */
Value math_log1p(Build *b, Value x) {
  Value one = real_like(x, 1), u = fadd(b, x, one), d = fsub(b, u, one);
  Value y = fmul(b, math_log(b, u), fdivide(b, x, d));
  y = choose(b, fcmp(b, LLVMRealOEQ, d, real_like(x, 0)), x, y);
  return choose(b, fcmp(b, LLVMRealOEQ, x, real_like(x, INFINITY)), x, y);
}

Value math_softplus(Build *b, Value x) {
  Value e = math_exp(b, fneg(b, fabs_(b, x)));
  Value top = choose(b, fcmp(b, LLVMRealOGT, x, real_like(x, 0)), x, real_like(x, 0));
  return fadd(b, top, math_log1p(b, e));
}

/* ---- erf and the normal distribution ---- */

static Value erf_narrow(Build *b, Value x) {
  static const double inner[] = {1.28379166e-1,  -3.76125336e-1, 1.12819925e-1,
                                 -2.67681349e-2, 4.99119423e-3,  -5.96761703e-4};
  static const double outer[] = {-1.28717512e-1, -6.34846687e-1, -1.06777877e-1, 2.42546219e-2,
                                 -3.88396438e-3, 3.83197126e-4,  -1.72853470e-5};
  Value a = fabs_(b, x), s = fmul(b, x, x);
  Value near = fmuladd(b, poly(b, s, inner, COUNT(inner)), x, x);
  Value t = clamp(b, a, 0, 4.5); /* there erf is 1, and the polynomial still falls */
  Value e = math_exp(b, fsub(b, fmul(b, poly(b, t, outer, COUNT(outer)), t), t));
  Value far = copysign_(b, fsub(b, real_like(x, 1), e), x);
  return choose(b, fcmp(b, LLVMRealOGT, a, real_like(x, 0.927734375)), far, near);
}

static Value erf_wide(Build *b, Value x) {
  static const double inner[] = {1.1283791670955125739,     -0.37612638903183752379,     0.11283791670955120236,
                                 -0.026866170645129840806,  0.0052239776254232983087,    -0.00085483270219348295955,
                                 0.0001205533290288873541,  -0.000014925647567519332125, 1.6462045441468418937e-6,
                                 -1.6364642158167615302e-7, 1.4792401209404813002e-8,    -1.2164560057283450081e-9,
                                 8.7090451290531066896e-11, -4.2309458242953378173e-12};
  /* exp(x*x) * erfc(x) in t = (x - 3)/(x + 3), 1 <= x <= 6 */
  static const double outer[] = {
      0.17900115118138995042,     -0.32623356004303722828,   0.24560380171233087788,     -0.1501159365007772255,
      0.071665837197978486845,    -0.024392499318670598687,  0.0042691363328257387053,   0.0007077464388833582947,
      -0.00059706194830562634176, 0.00004525529903807415623, 0.000064056554768309582936, -0.0000128604990688315384,
      -7.9781545355204231768e-6,  2.1199656150303712026e-6,  1.2527753906174014014e-6,   -2.932539939512112227e-7,
      -2.3577887451674210707e-7,  2.4419144081701678509e-8,  4.6786478808590194307e-8,   1.0072167005051338973e-8};
  Value a = fabs_(b, x);
  Value near = fmul(b, x, poly(b, fmul(b, x, x), inner, COUNT(inner)));
  Value u = clamp(b, a, 1, 6), three = real_like(x, 3);
  Value t = fdivide(b, fsub(b, u, three), fadd(b, u, three));
  Value c = fmul(b, math_exp(b, fneg(b, fmul(b, u, u))), poly(b, t, outer, COUNT(outer)));
  Value far = copysign_(b, fsub(b, real_like(x, 1), c), x);
  return choose(b, fcmp(b, LLVMRealOGT, a, real_like(x, 1)), far, near);
}

static Value ratio(Build *b, Value r, const double *top, const double *bottom) {
  return fdivide(b, poly(b, r, top, 8), poly(b, r, bottom, 8));
}

static Value icdf_wide(Build *b, Value p) {
  static const double a[] = {3.3871328727963666080e+0, 1.3314166789178437745e+2, 1.9715909503065514427e+3,
                             1.3731693765509461125e+4, 4.5921953931549871457e+4, 6.7265770927008700853e+4,
                             3.3430575583588128105e+4, 2.5090809287301226727e+3};
  static const double a1[] = {1,
                              4.2313330701600911252e+1,
                              6.8718700749205790830e+2,
                              5.3941960214247511077e+3,
                              2.1213794301586595867e+4,
                              3.9307895800092710610e+4,
                              2.8729085735721942674e+4,
                              5.2264952788528545610e+3};
  static const double c[] = {1.42343711074968357734e+0, 4.63033784615654529590e+0, 5.76949722146069140550e+0,
                             3.64784832476320460504e+0, 1.27045825245236838258e+0, 2.41780725177450611770e-1,
                             2.27238449892691845833e-2, 7.74545014278341407640e-4};
  static const double c1[] = {1,
                              2.05319162663775882187e+0,
                              1.67638483018380384940e+0,
                              6.89767334985100004550e-1,
                              1.48103976427480074590e-1,
                              1.51986665636164571966e-2,
                              5.47593808499534494600e-4,
                              1.05075007164441684324e-9};
  static const double e[] = {6.65790464350110377720e+0, 5.46378491116411436990e+0, 1.78482653991729133580e+0,
                             2.96560571828504891230e-1, 2.65321895265761230930e-2, 1.24266094738807843860e-3,
                             2.71155556874348757815e-5, 2.01033439929228813265e-7};
  static const double e1[] = {1,
                              5.99832206555887937690e-1,
                              1.36929880922735805310e-1,
                              1.48753612908506148525e-2,
                              7.86869131145613259100e-4,
                              1.84631831751005468180e-5,
                              1.42151175831644588870e-7,
                              2.04426310338993978564e-15};
  Value q = fsub(b, p, real_like(p, 0.5));
  Value middle = fmul(b, q, ratio(b, fsub(b, real_like(p, 0.180625), fmul(b, q, q)), a, a1));
  Value left = fcmp(b, LLVMRealOLE, q, real_like(p, 0));
  Value tail = choose(b, left, p, fsub(b, real_like(p, 1), p));
  Value r = unary(b, "llvm.sqrt", fneg(b, math_log(b, tail)));
  Value near = ratio(b, fsub(b, r, real_like(p, 1.6)), c, c1);
  Value far = ratio(b, fsub(b, r, real_like(p, 5)), e, e1);
  Value y = choose(b, fcmp(b, LLVMRealOLE, r, real_like(p, 5)), near, far);
  y = choose(b, fcmp(b, LLVMRealOEQ, r, real_like(p, INFINITY)), r, y); /* at 0 and 1 */
  y = choose(b, left, fneg(b, y), y);
  return choose(b, fcmp(b, LLVMRealOLE, fabs_(b, q), real_like(p, 0.425)), middle, y);
}

/* ---- trigonometry, in f64 ---- */

typedef struct Angle { /* x = quadrant * pi/2 + r + low */
  Value r, low, quadrant;
} Angle;

/* Up to 2^20 quarter turns: pi/2 in parts of 33 bits, whose products with n are exact, and what the subtractions lose
 * is carried on (Cody, Waite). */
static Angle reduce_near(Build *b, Value x) {
  Value magic = real_like(x, 0x1.8p52);
  Value t = fadd(b, fmul(b, x, real_like(x, 0.63661977236758134308)), magic);
  Value n = fsub(b, t, magic);
  Value high = fsub(b, x, fmul(b, n, real_like(x, 0x1.921fb544p+0)));
  Value next = fmul(b, n, real_like(x, 0x1.0b4611a6p-34));
  Value r = fsub(b, high, next);
  Value back = fsub(b, high, r), lost = fsub(b, back, next); /* high - r - next, where high is the larger */
  Value rest = fsub(b, lost, fmul(b, n, real_like(x, 0x1.3198a2e037073p-69)));
  Angle a = {.r = fadd(b, r, rest)};
  a.low = fsub(b, rest, fsub(b, a.r, r));
  a.quadrant = isub(b, to_bits(b, t), to_bits(b, magic));
  return a;
}

static Value bits_table(Build *b) {
  Value g = LLVMGetNamedGlobal(b->m->module, "nnc.two_over_pi");
  if (g) return g;
  Value at[COUNT(two_over_pi)];
  for (int i = 0; i < COUNT(two_over_pi); i++) at[i] = int_const(b->i32, (int64_t)two_over_pi[i]);
  Value words = LLVMConstArray2(b->i32, at, COUNT(two_over_pi));
  g = LLVMAddGlobal(b->m->module, LLVMTypeOf(words), "nnc.two_over_pi");
  LLVMSetInitializer(g, words);
  LLVMSetGlobalConstant(g, true);
  LLVMSetLinkage(g, LLVMPrivateLinkage);
  return g;
}

/* Word number at[lane] of 2/pi, zero-extended to 64 bits. */
static Value bits_word(Build *b, Value at) {
  int n = lanes_of(at);
  Value p = LLVMBuildGEP2(b->b, b->i32, bits_table(b), &at, 1, "");
  if (!n) return LLVMBuildZExt(b->b, LLVMBuildLoad2(b->b, b->i32, p, ""), b->i64, "");
  Type over[] = {with_lanes(b->i32, n), LLVMTypeOf(p)};
  Value args[] = {p, int_const(b->i32, 4), int_const(with_lanes(b->i1, n), 1), LLVMGetPoison(over[0])};
  return LLVMBuildZExt(b->b, intrinsic(b, "llvm.masked.gather", over, 2, args, 4), with_lanes(b->i64, n), "");
}

static Value high_product(Build *b, Value x, Value y) {
  Type t = like(LLVMIntTypeInContext(b->c, 128), x);
  Value p = LLVMBuildMul(b->b, LLVMBuildZExt(b->b, x, t, ""), LLVMBuildZExt(b->b, y, t, ""), "");
  return LLVMBuildTrunc(b->b, LLVMBuildLShr(b->b, p, int_const(t, 64), ""), LLVMTypeOf(x), "");
}

/* Payne and Hanek: x = m * 2^e with an integer m; of m * 2/pi only the bits from 2 (the quadrant) downwards matter,
 * so m is multiplied with 192 bits of 2/pi from bit e - 1 on, modulo 2^192. */
static Angle reduce_far(Build *b, Value x) {
  Value i = to_bits(b, fabs_(b, x));
  Value e = isub(b, shift_right(b, i, 52), int_like_const(i, 1075));
  Value m = LLVMBuildOr(b->b, mask_bits(b, i, ((int64_t)1 << 52) - 1), int_like_const(i, (int64_t)1 << 52), "");
  Value at = iadd(b, e, int_like_const(i, 62));
  at = choose(b, icmp(b, LLVMIntSLT, at, int_like_const(at, 0)), int_like_const(at, 0), at); /* the near lanes */
  at = choose(b, icmp(b, LLVMIntSGT, at, int_like_const(at, 1100)), int_like_const(at, 1100), at); /* infinity, NaN */
  Value word = shift_right(b, at, 5), shift = mask_bits(b, at, 31);
  Value w[7], u[3];
  for (int k = 0; k < 7; k++) w[k] = bits_word(b, iadd(b, word, int_like_const(word, k)));
  for (int k = 0; k < 3; k++) { /* 64 bits from `shift` on, of 96 */
    Value pair = LLVMBuildOr(b->b, shift_left(b, w[2 * k], 32), w[2 * k + 1], "");
    Value low = LLVMBuildLShr(b->b, w[2 * k + 2], isub(b, int_like_const(shift, 32), shift), "");
    u[k] = LLVMBuildOr(b->b, LLVMBuildShl(b->b, pair, shift, ""), low, "");
  }
  Value middle = imul(b, m, u[1]), carry = high_product(b, m, u[2]);
  Value low = iadd(b, middle, carry);
  Value overflow = LLVMBuildZExt(b->b, icmp(b, LLVMIntULT, low, middle), LLVMTypeOf(low), "");
  Value high = iadd(b, iadd(b, imul(b, m, u[0]), high_product(b, m, u[1])), overflow);
  Angle a;
  a.quadrant = shift_right(b, iadd(b, high, int_like_const(high, (int64_t)1 << 61)), 62);
  Value fraction = isub(b, high, shift_left(b, a.quadrant, 62)); /* signed, in units of 2^-62 quarter turns */
  Type t = LLVMTypeOf(x);
  Value f = LLVMBuildSIToFP(b->b, fraction, t, "");
  f = fmuladd(b, LLVMBuildUIToFP(b->b, low, t, ""), real_like(x, 0x1p-64), f);
  a.r = fmul(b, f, real_like(x, 0x1.921fb54442d18p-62));
  a.low = real_like(x, 0);
  Value negative = fcmp(b, LLVMRealOLT, x, real_like(x, 0));
  a.r = choose(b, negative, fneg(b, a.r), a.r);
  a.quadrant = choose(b, negative, isub(b, int_like_const(high, 0), a.quadrant), a.quadrant);
  return a;
}

static LLVMBasicBlockRef new_block(Build *b) { return LLVMAppendBasicBlockInContext(b->c, b->function, ""); }

static Value join(Build *b, Value x, LLVMBasicBlockRef from_x, Value y, LLVMBasicBlockRef from_y) {
  Value phi = LLVMBuildPhi(b->b, LLVMTypeOf(x), "");
  LLVMAddIncoming(phi, (Value[]){x, y}, (LLVMBasicBlockRef[]){from_x, from_y}, 2);
  return phi;
}

static Angle reduce_angle(Build *b, Value x) {
  Angle near = reduce_near(b, x);
  Value large = fcmp(b, LLVMRealOGT, fabs_(b, x), real_like(x, 1e6));
  LLVMBasicBlockRef start = LLVMGetInsertBlock(b->b), slow = new_block(b), end = new_block(b);
  LLVMBuildCondBr(b->b, any_lane(b, large), slow, end);
  LLVMPositionBuilderAtEnd(b->b, slow);
  Angle far = reduce_far(b, x);
  far.r = choose(b, large, far.r, near.r);
  far.low = choose(b, large, far.low, near.low);
  far.quadrant = choose(b, large, far.quadrant, near.quadrant);
  LLVMBuildBr(b->b, end);
  slow = LLVMGetInsertBlock(b->b);
  LLVMPositionBuilderAtEnd(b->b, end);
  Angle a = {join(b, near.r, start, far.r, slow), join(b, near.low, start, far.low, slow),
             join(b, near.quadrant, start, far.quadrant, slow)};
  Value infinite = fcmp(b, LLVMRealUEQ, fabs_(b, x), real_like(x, INFINITY)); /* or NaN */
  a.r = choose(b, infinite, real_like(x, NAN), a.r);
  return a;
}

static Value sin_reduced(Build *b, Angle a) {
  static const double c[] = {-0.16666666666666666665,   0.008333333333333331481,   -0.00019841269841265041047,
                             2.755731921932057977e-6,   -2.5052106225994400694e-8, 1.6058530596645954712e-10,
                             -7.5866368828251596492e-13};
  Value s = fmul(b, a.r, a.r);
  return fadd(b, fmuladd(b, fmul(b, a.r, s), poly(b, s, c, COUNT(c)), a.low), a.r);
}

static Value cos_reduced(Build *b, Angle a) {
  static const double c[] = {0.041666666666666666666,   -0.0013888888888888887859, 0.000024801587301584633141,
                             -2.7557319221392490652e-7, 2.0876755787492605948e-9,  -1.1470460319209511842e-11,
                             4.7458384125310229648e-14};
  Value s = fmul(b, a.r, a.r), h = fmul(b, s, real_like(s, 0.5)), one = real_like(s, 1);
  Value w = fsub(b, one, h), lost = fsub(b, fsub(b, one, w), h);
  Value rest = fsub(b, fmul(b, fmul(b, s, s), poly(b, s, c, COUNT(c))), fmul(b, a.r, a.low));
  return fadd(b, w, fadd(b, lost, rest));
}

static Value odd(Build *b, Value quadrant, int bit) {
  Value one = LLVMBuildAnd(b->b, quadrant, int_like_const(quadrant, bit), "");
  return icmp(b, LLVMIntNE, one, int_like_const(quadrant, 0));
}

/* The sine of quadrant * pi/2 + r. */
static Value sin_of(Build *b, Angle a) {
  Value y = choose(b, odd(b, a.quadrant, 1), cos_reduced(b, a), sin_reduced(b, a));
  return choose(b, odd(b, a.quadrant, 2), fneg(b, y), y);
}

static Value sin_wide(Build *b, Value *x) { return sin_of(b, reduce_angle(b, *x)); }

static Value cos_wide(Build *b, Value *x) {
  Angle a = reduce_angle(b, *x);
  a.quadrant = iadd(b, a.quadrant, int_like_const(a.quadrant, 1));
  return sin_of(b, a);
}

static Value tan_wide(Build *b, Value *x) {
  Angle a = reduce_angle(b, *x);
  Value s = sin_reduced(b, a), c = cos_reduced(b, a), swap = odd(b, a.quadrant, 1);
  return fdivide(b, choose(b, swap, fneg(b, c), s), choose(b, swap, s, c));
}

static Value atan_wide(Build *b, Value *x) {
  static const double c[] = {-0.33333333333333333217,  0.19999999999999804328,   -0.14285714285659777738,
                             0.11111111105150586104,   -0.090909087532590238746, 0.076922963680397221326,
                             -0.066664247601542756755, 0.058789275539421410378,  -0.052304436367715696294,
                             0.045515447161637863041,  -0.034569314604089645362, 0.016284374541153911894};
  Value a = fabs_(b, *x), one = real_like(a, 1);
  Value large = fcmp(b, LLVMRealOGT, a, real_like(a, 2.414213562373095)), inverse = fdivide(b, real_like(a, -1), a);
  Value middle = fcmp(b, LLVMRealOGT, a, real_like(a, 0.4142135623730950));
  Value t = choose(b, large, inverse, choose(b, middle, fdivide(b, fsub(b, a, one), fadd(b, a, one)), a));
  Value base = choose(b, large, real_like(a, 0x1.921fb54442d18p+0),
                      choose(b, middle, real_like(a, 0x1.921fb54442d18p-1), real_like(a, 0)));
  Value low = choose(b, large, real_like(a, 0x1.1a62633145c07p-54),
                     choose(b, middle, real_like(a, 0x1.1a62633145c07p-55), real_like(a, 0)));
  Value s = fmul(b, t, t);
  Value y = fadd(b, base, fadd(b, t, fmuladd(b, fmul(b, t, s), poly(b, s, c, COUNT(c)), low)));
  return copysign_(b, y, *x);
}

/* ---- pow ---- */

typedef struct Pair { /* an unevaluated sum of two floats, the second small */
  Value high, low;
} Pair;

static Pair two_sum(Build *b, Value x, Value y) {
  Value s = fadd(b, x, y), t = fsub(b, s, x);
  return (Pair){s, fadd(b, fsub(b, x, fsub(b, s, t)), fsub(b, y, t))};
}

static Value upper_half(Build *b, Value x) { /* 26 bits */
  return from_bits(b, mask_bits(b, to_bits(b, x), ~(int64_t)0x7ffffff), x);
}

static Pair two_product(Build *b, Value x, Value y) { /* exact, without fma (Dekker) */
  Value p = fmul(b, x, y), xh = upper_half(b, x), yh = upper_half(b, y);
  Value xl = fsub(b, x, xh), yl = fsub(b, y, yh);
  Value e = fsub(b, fmul(b, xh, yh), p);
  e = fadd(b, fadd(b, e, fmul(b, xh, yl)), fmul(b, xl, yh));
  return (Pair){p, fadd(b, e, fmul(b, xl, yl))};
}

/* log(x), x > 0, with about 70 bits: 2*s + s^3 * R(s^2), s = f / (2 + f) as a pair. */
static Pair log_pair(Build *b, Value x) {
  static const double c[] = {0.66666666666666666463, 0.40000000000000883236, 0.28571428570799785031,
                             0.22222222392581045097, 0.18181795547521136235, 0.15386244737621666606,
                             0.13268638369266823879, 0.1308803485092755383};
  Mantissa m = split_mantissa(b, x);
  Pair d = two_sum(b, real_like(x, 2), m.f);
  Value s = fdivide(b, m.f, d.high);
  Pair p = two_product(b, s, d.high);
  Value sl = fdivide(b, fsub(b, fsub(b, fsub(b, m.f, p.high), p.low), fmul(b, s, d.low)), d.high);
  Pair z = two_product(b, s, s);
  Value zl = fadd(b, z.low, fmul(b, fmul(b, s, sl), real_like(x, 2)));
  /* R = c0 + z * Q(z); c0 = 2/3 as a pair, for it decides the last bits */
  Value q = fmul(b, z.high, poly(b, z.high, c + 1, COUNT(c) - 1));
  Pair r = two_sum(b, real_like(x, 0x1.5555555555555p-1), q);
  Value rl = fadd(b, r.low, real_like(x, 0x1.5555555555555p-55));
  Pair cube = two_product(b, s, z.high);
  Value cubel = fadd(b, cube.low, fadd(b, fmul(b, sl, z.high), fmul(b, s, zl)));
  Pair t = two_product(b, cube.high, r.high);
  Value tl = fadd(b, t.low, fadd(b, fmul(b, cubel, r.high), fmul(b, cube.high, rl)));
  Value two = real_like(x, 2);
  Pair y = two_sum(b, fmul(b, s, two), t.high);
  Value yl = fadd(b, y.low, fadd(b, fmul(b, sl, two), tl));
  Pair k = two_sum(b, fmul(b, m.k, real_like(x, 0x1.62e42fefp-1)), y.high);
  Value kl = fadd(b, fadd(b, k.low, yl), fmul(b, m.k, real_like(x, 0x1.473de6af278edp-34)));
  Value high = fadd(b, k.high, kl);
  return (Pair){high, fadd(b, fsub(b, k.high, high), kl)};
}

/* What exp gives is wrong at zeros, infinities, negative bases and NaN: C's rules for pow. */
static Value pow_specials(Build *b, Value x, Value y, Value power) {
  Value zero = real_like(x, 0), one = real_like(x, 1), infinity = real_like(x, INFINITY);
  Value ax = fabs_(b, x), ay = fabs_(b, y);
  Value whole = fcmp(b, LLVMRealOEQ, unary(b, "llvm.floor", y), y);
  Value half = fmul(b, y, real_like(y, 0.5));
  Value uneven = both(b, whole, fcmp(b, LLVMRealONE, unary(b, "llvm.floor", half), half));
  Value big = fcmp(b, LLVMRealOGT, ax, one), up = fcmp(b, LLVMRealOGT, y, zero);
  Value grows = icmp(b, LLVMIntEQ, big, up); /* for an infinite x or y, or x = 0 */
  Value edge = either(b, fcmp(b, LLVMRealOEQ, ay, infinity),
                      either(b, fcmp(b, LLVMRealOEQ, ax, infinity), fcmp(b, LLVMRealOEQ, x, zero)));
  power = choose(b, edge, choose(b, grows, infinity, zero), power);
  Value negative = icmp(b, LLVMIntSLT, to_bits(b, x), int_const(int_like(b, x), 0));
  power = choose(b, both(b, negative, uneven), fneg(b, power), power);
  Value below = both(b, fcmp(b, LLVMRealOLT, x, zero), fcmp(b, LLVMRealONE, ax, infinity));
  power = choose(b, both(b, below, inverted(b, whole)), real_like(x, NAN), power);
  power = choose(b, fcmp(b, LLVMRealUNO, x, y), fadd(b, x, y), power);
  Value unit = both(b, fcmp(b, LLVMRealOEQ, ax, one), /* 1 to anything; -1 to an infinite power */
                    either(b, fcmp(b, LLVMRealOEQ, x, one), fcmp(b, LLVMRealOEQ, ay, infinity)));
  return choose(b, either(b, unit, fcmp(b, LLVMRealOEQ, y, zero)), one, power);
}

static Value pow_wide(Build *b, Value *a) {
  Value x = a[0], y = clamp(b, a[1], -0x1p70, 0x1p70);
  Pair l = log_pair(b, fabs_(b, x)), p = two_product(b, l.high, y);
  Value low = fadd(b, p.low, fmul(b, l.low, y));
  Value e = math_exp(b, p.high);
  Value limit = real_like(x, 800); /* beyond, exp is 0 or infinite, and low means nothing */
  low = choose(b, fcmp(b, LLVMRealOLT, fabs_(b, p.high), limit), low, real_like(x, 0));
  Value corrected = fmuladd(b, e, low, e);
  e = choose(b, fcmp(b, LLVMRealOEQ, e, real_like(x, INFINITY)), e, corrected);
  return pow_specials(b, x, a[1], e);
}

static Value pow_narrow(Build *b, Value *a) {
  Value x = to_f64(b, a[0]), y = to_f64(b, a[1]);
  Value e = math_exp(b, fmul(b, log_positive(b, fabs_(b, x)), y));
  return to_f32(b, pow_specials(b, x, y, e));
}

/* ---- those that work in f64 ---- */

/* A function of the module over f64; f32 is rounded once. */
static Value in_f64(Build *b, const char *name, HelperBody body, Value x) {
  if (wide(x)) return call_helper(b, name, body, &x, 1);
  x = to_f64(b, x);
  return to_f32(b, call_helper(b, name, body, &x, 1));
}

Value math_sin(Build *b, Value x) { return in_f64(b, "sin", sin_wide, x); }
Value math_cos(Build *b, Value x) { return in_f64(b, "cos", cos_wide, x); }
Value math_tan(Build *b, Value x) { return in_f64(b, "tan", tan_wide, x); }
Value math_atan(Build *b, Value x) { return in_f64(b, "atan", atan_wide, x); }

Value math_pow(Build *b, Value x, Value y) {
  return call_helper(b, "pow", wide(x) ? pow_wide : pow_narrow, (Value[]){x, y}, 2);
}

Value math_erf(Build *b, Value x) { return wide(x) ? erf_wide(b, x) : erf_narrow(b, x); }

Value math_normal_icdf(Build *b, Value p) {
  return wide(p) ? icdf_wide(b, p) : to_f32(b, icdf_wide(b, to_f64(b, p)));
}
