/* scalar.c - see scalar.h. */
#include "ir/scalar.h"
#include "lang/diag.h"

#include <math.h>
#include <string.h>

const ScalarRow scalar_rows[SCALAR_OP_COUNT] = {
#define ROW(name, arity, rule, a, b, c, ulp) {#name, arity, RULE_##rule, {a, b, c}, ulp},
#include "ir/scalar.def"
#undef ROW
};

bool scalar_from_name(const char *name, ScalarOp *out) {
  for (int i = 0; i < SCALAR_OP_COUNT; i++) {
    if (strcmp(scalar_rows[i].name, name)) continue;
    *out = (ScalarOp)i;
    return true;
  }
  return false;
}

bool scalar_type(ScalarOp op, const DType *t, DType *result) {
  const ScalarRow *row = &scalar_rows[op];
  bool same = row->arity < 2 || t[0] == t[1];
  *result = t[0];
  switch (row->rule) {
  case RULE_FLOAT: return same && dtype_is_float(t[0]);
  case RULE_NUM: return same && t[0] != DT_bool;
  case RULE_INT: return same && dtype_is_int(t[0]);
  case RULE_COMPARE: *result = DT_bool; return same;
  case RULE_BOOL: return same && t[0] == DT_bool;
  case RULE_SELECT: *result = t[1]; return t[0] == DT_bool && t[1] == t[2];
  case RULE_FLOAT_TO_BOOL: *result = DT_bool; return dtype_is_float(t[0]);
  case RULE_CAST: return false;
  }
  return false;
}

/* ---- element types ---- */

static double half_value(uint16_t h) {
  int exponent = h >> 10 & 31, fraction = h & 1023;
  double v = exponent == 31 ? (fraction ? NAN : INFINITY)
             : exponent     ? ldexp(1024 + fraction, exponent - 25)
                            : ldexp(fraction, -24);
  return h >> 15 ? -v : v;
}

static uint16_t half_bits(double v) {
  uint16_t sign = signbit(v) ? 0x8000 : 0;
  if (isnan(v)) return sign | 0x7e00;
  v = fabs(v);
  if (v >= 65520) return sign | 0x7c00; /* rounds past 65504 */
  if (v < ldexp(1, -14)) return (uint16_t)(sign | (int)rint(ldexp(v, 24)));
  int e;
  frexp(v, &e); /* v = m * 2^e, m in [1/2, 1) */
  int bits = (int)rint(ldexp(v, 11 - e)) + ((e + 13) << 10);
  return (uint16_t)(sign | bits);
}

static double bfloat_value(uint16_t b) {
  uint32_t bits = (uint32_t)b << 16;
  float f;
  memcpy(&f, &bits, 4);
  return f;
}

static uint16_t bfloat_bits(double v) {
  float f = (float)v;
  uint32_t bits;
  memcpy(&bits, &f, 4);
  if (isnan(f)) return (uint16_t)(bits >> 16 | 0x40);
  return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

double dtype_round(DType t, double v) {
  switch (t) {
  case DT_f32: return (float)v;
  case DT_f16: return half_value(half_bits(v));
  case DT_bf16: return bfloat_value(bfloat_bits(v));
  default: return v;
  }
}

int64_t dtype_wrap(DType t, int64_t v) {
  switch (t) {
  case DT_i32: return (int32_t)v;
  case DT_i16: return (int16_t)v;
  case DT_i8: return (int8_t)v;
  case DT_u8: return (uint8_t)v;
  case DT_bool: return v != 0;
  default: return v;
  }
}

int64_t dtype_truncate(DType t, double v) {
  if (t == DT_bool) return v != 0;
  if (isnan(v)) return 0;
  int bits = 8 * dtype_bytes(t);
  double high = t == DT_u8 ? 255 : ldexp(1, bits - 1) - 1, low = t == DT_u8 ? 0 : -ldexp(1, bits - 1);
  if (v >= ldexp(1, 63)) return t == DT_i64 ? INT64_MAX : (int64_t)high;
  if (t != DT_i64 && v > high) return (int64_t)high;
  return (int64_t)(v < low ? low : v);
}

double dtype_load_real(DType t, const void *p, int64_t i) {
  switch (t) {
  case DT_f64: return ((const double *)p)[i];
  case DT_f32: return ((const float *)p)[i];
  case DT_f16: return half_value(((const uint16_t *)p)[i]);
  case DT_bf16: return bfloat_value(((const uint16_t *)p)[i]);
  default: ice("dtype_load_real of %s", dtype_name(t));
  }
}

int64_t dtype_load_int(DType t, const void *p, int64_t i) {
  switch (t) {
  case DT_i64: return ((const int64_t *)p)[i];
  case DT_i32: return ((const int32_t *)p)[i];
  case DT_i16: return ((const int16_t *)p)[i];
  case DT_i8: return ((const int8_t *)p)[i];
  case DT_u8: return ((const uint8_t *)p)[i];
  case DT_bool: return ((const uint8_t *)p)[i] != 0;
  default: ice("dtype_load_int of %s", dtype_name(t));
  }
}

void dtype_store_real(DType t, void *p, int64_t i, double v) {
  switch (t) {
  case DT_f64: ((double *)p)[i] = v; break;
  case DT_f32: ((float *)p)[i] = (float)v; break;
  case DT_f16: ((uint16_t *)p)[i] = half_bits(v); break;
  case DT_bf16: ((uint16_t *)p)[i] = bfloat_bits(v); break;
  default: ice("dtype_store_real of %s", dtype_name(t));
  }
}

void dtype_store_int(DType t, void *p, int64_t i, int64_t v) {
  switch (t) {
  case DT_i64: ((int64_t *)p)[i] = v; break;
  case DT_i32: ((int32_t *)p)[i] = (int32_t)v; break;
  case DT_i16: ((int16_t *)p)[i] = (int16_t)v; break;
  case DT_i8: ((int8_t *)p)[i] = (int8_t)v; break;
  case DT_u8: ((uint8_t *)p)[i] = (uint8_t)v; break;
  case DT_bool: ((uint8_t *)p)[i] = v != 0; break;
  default: ice("dtype_store_int of %s", dtype_name(t));
  }
}

/* ---- values ---- */

static double polynomial(const double *c, double x) { /* c[7] x^7 + ... + c[0] */
  double y = c[7];
  for (int i = 6; i >= 0; i--) y = y * x + c[i];
  return y;
}

/* The inverse of the normal distribution function: Wichura 1988, algorithm AS 241, PPND16; relative error 1e-16. */
static double normal_icdf(double p) {
  static const double a[] = {3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3,
                             1.3731693765509461125e4, 4.5921953931549871457e4, 6.7265770927008700853e4,
                             3.3430575583588128105e4, 2.5090809287301226727e3},
                      b[] = {1.0,
                             4.2313330701600911252e1,
                             6.8718700749205790830e2,
                             5.3941960214247511077e3,
                             2.1213794301586595867e4,
                             3.9307895800092710610e4,
                             2.8729085735721942674e4,
                             5.2264952788528545610e3},
                      c[] = {1.42343711074968357734e0,  4.63033784615654529590e0, 5.76949722146069140550e0,
                             3.64784832476320460504e0,  1.27045825245236838258e0, 2.41780725177450611770e-1,
                             2.27238449892691845833e-2, 7.74545014278341407640e-4},
                      d[] = {1.0,
                             2.05319162663775882187e0,
                             1.67638483018380384940e0,
                             6.89767334985100004550e-1,
                             1.48103976427480074590e-1,
                             1.51986665636164571966e-2,
                             5.47593808499534494600e-4,
                             1.05075007164441684324e-9},
                      e[] = {6.65790464350110377720e0,  5.46378491116411436990e0,  1.78482653991729133580e0,
                             2.96560571828504891230e-1, 2.65321895265761230930e-2, 1.24266094738807843860e-3,
                             2.71155556874348757815e-5, 2.01033439929228813265e-7},
                      f[] = {1.0,
                             5.99832206555887937690e-1,
                             1.36929880922735805310e-1,
                             1.48753612908506148525e-2,
                             7.86869131145613259100e-4,
                             1.84631831751005468180e-5,
                             1.42151175831644588870e-7,
                             2.04426310338993978564e-15};
  double q = p - 0.5;
  if (fabs(q) <= 0.425) {
    double r = 0.180625 - q * q;
    return q * polynomial(a, r) / polynomial(b, r);
  }
  double tail = q < 0 ? p : 1 - p;
  if (!(tail > 0)) return tail == 0 ? copysign(INFINITY, q) : NAN;
  double r = sqrt(-log(tail));
  double x = r <= 5 ? polynomial(c, r - 1.6) / polynomial(d, r - 1.6) : polynomial(e, r - 5) / polynomial(f, r - 5);
  return q < 0 ? -x : x;
}

static double exact(ScalarOp op, DType t, const double *a) {
  double x = a[0], y = scalar_rows[op].arity > 1 ? a[1] : 0;
  switch (op) {
  case OP_add: return x + y;
  case OP_sub: return x - y;
  case OP_mul: return x * y;
  case OP_div: return x / y;
  case OP_floordiv: return floor(dtype_round(t, x / y));
  case OP_mod: return x - dtype_round(t, y * floor(dtype_round(t, x / y)));
  case OP_neg: return -x;
  case OP_abs: return fabs(x);
  case OP_sign: return x > 0 ? 1 : x < 0 ? -1 : x;
  case OP_floor: return floor(x);
  case OP_ceil: return ceil(x);
  case OP_round: return rint(x);
  case OP_max: return isnan(x) || x >= y ? x : y;
  case OP_min: return isnan(x) || x <= y ? x : y;
  case OP_sqrt: return sqrt(x);
  case OP_rsqrt: return 1 / sqrt(x);
  case OP_exp: return exp(x);
  case OP_expm1: return expm1(x);
  case OP_log: return log(x);
  case OP_log1p: return log1p(x);
  case OP_pow: return pow(x, y);
  case OP_sin: return sin(x);
  case OP_cos: return cos(x);
  case OP_tan: return tan(x);
  case OP_atan: return atan(x);
  case OP_tanh: return tanh(x);
  case OP_sigmoid: return x >= 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x));
  case OP_softplus: return (x > 0 ? x : x == x ? 0 : x) + log1p(exp(-fabs(x)));
  case OP_erf: return erf(x);
  case OP_normal_icdf: return normal_icdf(x);
  case OP_stop: return x;
  case OP_eq: return x == y;
  case OP_ne: return x != y;
  case OP_lt: return x < y;
  case OP_le: return x <= y;
  case OP_gt: return x > y;
  case OP_ge: return x >= y;
  case OP_is_finite: return isfinite(x) != 0;
  case OP_select: return x != 0 ? y : a[2];
  default: ice("scalar_fold of %s", scalar_rows[op].name);
  }
}

double scalar_fold(ScalarOp op, DType t, const double *a) { return dtype_round(t, exact(op, t, a)); }

static int64_t floor_div(int64_t a, int64_t b) {
  if (b == 0) return 0;
  if (b == -1) return (int64_t)(0 - (uint64_t)a);
  return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

static int64_t exact_int(ScalarOp op, const int64_t *a) {
  int64_t x = a[0], y = scalar_rows[op].arity > 1 ? a[1] : 0;
  uint64_t ux = (uint64_t)x, uy = (uint64_t)y;
  switch (op) {
  case OP_add: return (int64_t)(ux + uy);
  case OP_sub: return (int64_t)(ux - uy);
  case OP_mul: return (int64_t)(ux * uy);
  case OP_floordiv: return floor_div(x, y);
  case OP_mod: return y == 0 ? 0 : (int64_t)(ux - uy * (uint64_t)floor_div(x, y));
  case OP_neg: return (int64_t)(0 - ux);
  case OP_abs: return x < 0 ? (int64_t)(0 - ux) : x;
  case OP_sign: return (x > 0) - (x < 0);
  case OP_max: return x >= y ? x : y;
  case OP_min: return x <= y ? x : y;
  case OP_stop: return x;
  case OP_eq: return x == y;
  case OP_ne: return x != y;
  case OP_lt: return x < y;
  case OP_le: return x <= y;
  case OP_gt: return x > y;
  case OP_ge: return x >= y;
  case OP_and: return x && y;
  case OP_or: return x || y;
  case OP_not: return !x;
  case OP_select: return x ? y : a[2];
  default: ice("scalar_fold_int of %s", scalar_rows[op].name);
  }
}

int64_t scalar_fold_int(ScalarOp op, DType t, const int64_t *a) {
  ScalarRule rule = scalar_rows[op].rule;
  return dtype_wrap(rule == RULE_COMPARE || rule == RULE_BOOL ? DT_bool : t, exact_int(op, a));
}
