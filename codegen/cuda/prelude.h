/* The part of every kernel's text that is the same on the device and in the simulator. For each row of scalar.def and
 * each type the function nn_ROW_TYPE; f16 and bf16 are f32 in registers, rounded after each operation. */

/* of an array in registers, whose neighbours come and go together */
#define NN_WIDE __attribute__((aligned(16)))

#define NN_COMPARISONS(T, S)                                                                                         \
  static inline bool nn_eq_##S(T x, T y) { return x == y; }                                                          \
  static inline bool nn_ne_##S(T x, T y) { return x != y; }                                                          \
  static inline bool nn_lt_##S(T x, T y) { return x < y; }                                                           \
  static inline bool nn_le_##S(T x, T y) { return x <= y; }                                                          \
  static inline bool nn_gt_##S(T x, T y) { return x > y; }                                                           \
  static inline bool nn_ge_##S(T x, T y) { return x >= y; }

/* NaN wins in max and min, where the first wins a tie; it is further than every number in a search. */
#define NN_FLOATS(T, S)                                                                                              \
  NN_COMPARISONS(T, S)                                                                                               \
  static inline T nn_add_##S(T x, T y) { return x + y; }                                                             \
  static inline T nn_sub_##S(T x, T y) { return x - y; }                                                             \
  static inline T nn_mul_##S(T x, T y) { return x * y; }                                                             \
  static inline T nn_div_##S(T x, T y) { return x / y; }                                                             \
  static inline T nn_floordiv_##S(T x, T y) { return nn_floor_##S(x / y); }                                          \
  static inline T nn_mod_##S(T x, T y) { return x - nn_product_##S(y, nn_floor_##S(x / y)); }                        \
  static inline T nn_neg_##S(T x) { return -x; }                                                                     \
  static inline T nn_sign_##S(T x) { return x > 0 ? (T)1 : x < 0 ? (T)-1 : x; }                                      \
  static inline T nn_max_##S(T x, T y) { return x != x || x >= y ? x : y; }                                          \
  static inline T nn_min_##S(T x, T y) { return x != x || x <= y ? x : y; }                                          \
  static inline T nn_rsqrt_##S(T x) { return 1 / nn_sqrt_##S(x); }                                                   \
  static inline T nn_sigmoid_##S(T x) {                                                                              \
    const T e = nn_exp_##S(-nn_abs_##S(x));                                                                          \
    return (x < 0 ? e : (T)1) / (1 + e);                                                                             \
  }                                                                                                                  \
  static inline T nn_softplus_##S(T x) {                                                                             \
    return (x > 0 ? x : x == x ? (T)0 : x) + nn_log1p_##S(nn_exp_##S(-nn_abs_##S(x)));                               \
  }                                                                                                                  \
  static inline T nn_stop_##S(T x) { return x; }                                                                     \
  static inline bool nn_is_finite_##S(T x) { return x - x == 0; }                                                    \
  static inline bool nn_above_##S(T x, T y) { return x > y || (x != x && y == y); }                                  \
  static inline bool nn_below_##S(T x, T y) { return x < y || (x != x && y == y); }                                  \
  static inline bool nn_same_##S(T x, T y) { return x == y || (x != x && y != y); }                                  \
  static inline bool nn_greater_##S(T x, T y) { return x > y || (x != x && y == y); }

/* The device's own is a call that puts registers aside. Off by abs(y * log(x)) roundings of f64. */
static inline double nn_power(double x, double y) {
  const double size = nn_abs_f64(x), whole = nn_floor_f64(y);
  const double r = size == 1 || y == 0 ? 1 : nn_exp_f64(y * nn_log_f64(size));
  if (x >= 0 || y == 0) return r;
  if (whole != y || x != x) return nn_double_of(0x7ff8000000000000u);
  return 2 * nn_floor_f64(whole / 2) != whole ? -r : r;
}

/* Integers wrap; division rounds down, and by 0 gives 0. */
#define NN_INTEGERS(T, S)                                                                                            \
  NN_COMPARISONS(T, S)                                                                                               \
  static inline T nn_add_##S(T x, T y) { return (T)((u64)x + (u64)y); }                                              \
  static inline T nn_sub_##S(T x, T y) { return (T)((u64)x - (u64)y); }                                              \
  static inline T nn_mul_##S(T x, T y) { return (T)((u64)x * (u64)y); }                                              \
  static inline T nn_neg_##S(T x) { return (T)(0 - (u64)x); }                                                        \
  static inline T nn_floordiv_##S(T x, T y) {                                                                        \
    if (y == 0) return 0;                                                                                            \
    if ((i64)y == -1) return (T)(0 - (u64)x);                                                                        \
    return (T)(x / y - (x % y != 0 && (x < 0) != (y < 0)));                                                          \
  }                                                                                                                  \
  static inline T nn_mod_##S(T x, T y) { return y == 0 ? (T)0 : (T)((u64)x - (u64)y * (u64)nn_floordiv_##S(x, y)); } \
  static inline T nn_abs_##S(T x) { return x < 0 ? (T)(0 - (u64)x) : x; }                                            \
  static inline T nn_sign_##S(T x) { return (T)((x > 0) - (x < 0)); }                                                \
  static inline T nn_max_##S(T x, T y) { return x >= y ? x : y; }                                                    \
  static inline T nn_min_##S(T x, T y) { return x <= y ? x : y; }                                                    \
  static inline T nn_stop_##S(T x) { return x; }                                                                     \
  static inline bool nn_above_##S(T x, T y) { return x > y; }                                                        \
  static inline bool nn_below_##S(T x, T y) { return x < y; }                                                        \
  static inline bool nn_same_##S(T x, T y) { return x == y; }                                                        \
  static inline bool nn_greater_##S(T x, T y) { return x > y; }

/* Toward 0, held in the type's range; NaN gives 0. */
#define NN_TRUNCATION(T, S, LOW, HIGH)                                                                               \
  static inline T nn_truncate_##S(double x) { return x != x ? (T)0 : x <= LOW ? (T)LOW : x >= HIGH ? (T)HIGH : (T)x; }

/* ---- angles, as in codegen/cpu/math_functions.c; the device's own functions take memory for a stack ---- */

typedef struct nn_angle { /* x = quadrant * pi/2 + r + low */
  double r, low;
  i64 quadrant;
} nn_angle;

static inline nn_angle nn_near_angle(double x) {
  const double n = nn_round_f64(x * 0.63661977236758134308), high = x - n * 0x1.921fb544p+0;
  const double next = n * 0x1.0b4611a6p-34, r = high - next, lost = high - r - next;
  const double rest = lost - n * 0x1.3198a2e037073p-69;
  nn_angle a = {r + rest, 0, (i64)n};
  a.low = rest - (a.r - r);
  return a;
}

/* 64 bits of 2/pi from a word's bit on. */
static inline u64 nn_pi_bits(int word, int bit) {
  const u64 pair = (u64)two_over_pi[word] << 32 | two_over_pi[word + 1];
  return pair << bit | (u64)two_over_pi[word + 2] >> (32 - bit);
}

/* x = m * 2^e: of m * 2/pi the bits from 2 (the quadrant) downwards. */
static inline nn_angle nn_far_angle(double x) {
  const u64 bits = nn_bits_f64(nn_abs_f64(x)), one = 1, m = (bits & ((one << 52) - 1)) | one << 52;
  const int at = (int)(bits >> 52) - 1075 + 62, word = at >> 5, bit = at & 31;
  const u64 middle = m * nn_pi_bits(word + 2, bit), low = middle + nn_high_u64(m, nn_pi_bits(word + 4, bit));
  const u64 high = m * nn_pi_bits(word, bit) + nn_high_u64(m, nn_pi_bits(word + 2, bit)) + (low < middle);
  const u64 quadrant = (high + (one << 61)) >> 62;
  const double f = (double)(i64)(high - (quadrant << 62)) + (double)low * 0x1p-64;
  const nn_angle a = {f * 0x1.921fb54442d18p-62, 0, (i64)quadrant};
  const nn_angle opposite = {-a.r, 0, -a.quadrant};
  return x < 0 ? opposite : a;
}

static inline nn_angle nn_angle_of(double x) {
  nn_angle a = nn_abs_f64(x) > 1e6 ? nn_far_angle(x) : nn_near_angle(x);
  if (x - x != 0) a.r = x - x;
  return a;
}

static inline double nn_sine(nn_angle a) {
  const double s = a.r * a.r;
  double y = -7.5866368828251596492e-13;
  y = y * s + 1.6058530596645954712e-10;
  y = y * s - 2.5052106225994400694e-8;
  y = y * s + 2.755731921932057977e-6;
  y = y * s - 0.00019841269841265041047;
  y = y * s + 0.008333333333333331481;
  y = y * s - 0.16666666666666666665;
  return a.r * s * y + a.low + a.r;
}

static inline double nn_cosine(nn_angle a) {
  const double s = a.r * a.r, h = s * 0.5, w = 1 - h, lost = 1 - w - h;
  double y = 4.7458384125310229648e-14;
  y = y * s - 1.1470460319209511842e-11;
  y = y * s + 2.0876755787492605948e-9;
  y = y * s - 2.7557319221392490652e-7;
  y = y * s + 0.000024801587301584633141;
  y = y * s - 0.0013888888888888887859;
  y = y * s + 0.041666666666666666666;
  return w + (lost + (s * s * y - a.r * a.low));
}

/* Of an angle `turns` quarters further on. */
static inline double nn_turned_sine(double x, int turns) {
  const nn_angle a = nn_angle_of(x);
  const i64 quadrant = a.quadrant + turns;
  const double y = quadrant & 1 ? nn_cosine(a) : nn_sine(a);
  return quadrant & 2 ? -y : y;
}

static inline double nn_sin_f64(double x) { return nn_turned_sine(x, 0); }
static inline double nn_cos_f64(double x) { return nn_turned_sine(x, 1); }
static inline double nn_tan_f64(double x) {
  const nn_angle a = nn_angle_of(x);
  const double s = nn_sine(a), c = nn_cosine(a);
  return a.quadrant & 1 ? -c / s : s / c;
}
static inline float nn_sin_f32(float x) { return (float)nn_sin_f64((double)x); }
static inline float nn_cos_f32(float x) { return (float)nn_cos_f64((double)x); }
static inline float nn_tan_f32(float x) { return (float)nn_tan_f64((double)x); }

NN_FLOATS(float, f32)
NN_FLOATS(double, f64)
static inline double nn_pow_f64(double x, double y) { return nn_power(x, y); }
static inline float nn_pow_f32(float x, float y) { return (float)nn_power((double)x, (double)y); }
NN_INTEGERS(i64, i64)
NN_INTEGERS(int, i32)
NN_INTEGERS(i16, i16)
NN_INTEGERS(i8, i8)
NN_INTEGERS(u8, u8)
NN_TRUNCATION(int, i32, -2147483648.0, 2147483647.0)
NN_TRUNCATION(i16, i16, -32768.0, 32767.0)
NN_TRUNCATION(i8, i8, -128.0, 127.0)
NN_TRUNCATION(u8, u8, 0.0, 255.0)

static inline i64 nn_truncate_i64(double x) {
  if (x != x) return 0;
  if (x >= 9223372036854775808.0) return 9223372036854775807LL;
  return x <= -9223372036854775808.0 ? -9223372036854775807LL - 1 : (i64)x;
}

static inline bool nn_eq_bool(bool x, bool y) { return x == y; }
static inline bool nn_ne_bool(bool x, bool y) { return x != y; }
static inline bool nn_lt_bool(bool x, bool y) { return !x && y; }
static inline bool nn_le_bool(bool x, bool y) { return !x || y; }
static inline bool nn_gt_bool(bool x, bool y) { return x && !y; }
static inline bool nn_ge_bool(bool x, bool y) { return x || !y; }
static inline bool nn_above_bool(bool x, bool y) { return x && !y; }
static inline bool nn_below_bool(bool x, bool y) { return !x && y; }
static inline bool nn_same_bool(bool x, bool y) { return x == y; }
static inline bool nn_greater_bool(bool x, bool y) { return x && !y; }
static inline bool nn_and_bool(bool x, bool y) { return x && y; }
static inline bool nn_or_bool(bool x, bool y) { return x || y; }
static inline bool nn_not_bool(bool x) { return !x; }

/* ---- f16 and bf16: bits in memory ---- */

static inline u16 nn_narrow_bf16(float x) {
  const u32 bits = nn_bits_f32(x);
  if (x != x) return (u16)(bits >> 16 | 0x40);
  return (u16)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static inline float nn_widen_bf16(u16 x) { return nn_float_of((u32)x << 16); }

static inline u16 nn_narrow_f16(float x) {
  const u32 bits = nn_bits_f32(x), sign = bits >> 16 & 0x8000, size = bits & 0x7fffffff;
  if (size > 0x7f800000) return (u16)(sign | 0x7e00);
  if (size >= 0x477ff000) return (u16)(sign | 0x7c00); /* 65520 and more: infinity */
  if (size < 0x38800000) return (u16)(sign | (u32)nn_round_f32(nn_float_of(size) * 16777216.0f)); /* below 2^-14 */
  return (u16)(sign | (size - 0x38000000 + 0xfff + (size >> 13 & 1)) >> 13);
}

static inline float nn_widen_f16(u16 x) {
  const u32 sign = (u32)(x & 0x8000) << 16, exponent = x >> 10 & 31, fraction = x & 0x3ff;
  if (exponent == 31) return nn_float_of(sign | 0x7f800000 | fraction << 13);
  if (exponent) return nn_float_of(sign | (exponent + 112) << 23 | fraction << 13);
  return sign ? -((float)fraction * 5.9604644775390625e-8f) : (float)fraction * 5.9604644775390625e-8f;
}

static inline float nn_rounded_bf16(float x) { return nn_widen_bf16(nn_narrow_bf16(x)); }
static inline float nn_rounded_f16(float x) { return nn_widen_f16(nn_narrow_f16(x)); }

/* ---- draws ---- */

static inline float nn_draw_f32(i64 key, i64 step, i64 place, i64 element) {
  return nnrt_draw_f32((u64)key, (u64)step, (u64)place, (u64)element);
}

static inline double nn_draw_f64(i64 key, i64 step, i64 place, i64 element) {
  return nnrt_draw_f64((u64)key, (u64)step, (u64)place, (u64)element);
}

/* Quotients of indices: rounded down. */
static inline i64 nn_quotient(i64 x, i64 c) { return x / c - (x % c < 0); }

/* ---- tiles in shared memory ---- */

/* Chunk c, of 16 bytes, of a row of 128: chunks are exchanged so that the same one of 8 rows lies in all banks. */
static inline char *nn_chunk(char *tile, int row, int c) { return tile + row * 128 + ((c ^ (row & 7)) << 4); }
