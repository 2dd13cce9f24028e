/* dtype.c - see dtype.h. */
#include "runtime/dtype.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const NnrtDtypeInfo infos[] = {
#define ROW(id, name, bytes, class, safetensors, npy) {name, safetensors, npy, bytes, class},
#include "runtime/dtype.def"
#undef ROW
};

const NnrtDtypeInfo *nnrt_dtype(NnrtDtype t) { return &infos[t]; }

NnrtDtype nnrt_dtype_named(const char *name) {
  for (int t = 0; t < NNRT_DTYPE_COUNT; t++)
    if (strcmp(infos[t].name, name) == 0) return (NnrtDtype)t;
  return NNRT_DTYPE_COUNT;
}

NnrtDtype nnrt_dtype_safetensors(const char *name) {
  for (int t = 0; t < NNRT_DTYPE_COUNT; t++)
    if (strcmp(infos[t].safetensors, name) == 0) return (NnrtDtype)t;
  return NNRT_DTYPE_COUNT;
}

bool nnrt_shape_count(const int64_t *shape, int rank, int64_t *count) {
  int64_t n = 1;
  bool empty = false;
  for (int i = 0; i < rank; i++) {
    if (shape[i] < 0) return false;
    if (shape[i] == 0) empty = true;
  }
  for (int i = 0; i < rank && !empty; i++)
    if (__builtin_mul_overflow(n, shape[i], &n)) return false;
  *count = empty ? 0 : n;
  return true;
}

bool nnrt_shape_bytes(const int64_t *shape, int rank, NnrtDtype t, int64_t *bytes) {
  return nnrt_shape_count(shape, rank, bytes) && !__builtin_mul_overflow(*bytes, (int64_t)infos[t].bytes, bytes);
}

char *nnrt_shape_text(const int64_t *shape, int rank, char *text, size_t room) {
  size_t n = (size_t)snprintf(text, room, "[");
  for (int i = 0; i < rank && n < room; i++)
    n += (size_t)snprintf(text + n, room - n, "%s%lld", i ? ", " : "", (long long)shape[i]);
  if (n < room) snprintf(text + n, room - n, "]");
  return text;
}

/* ---- half-width floats ---- */

float nnrt_f16_to_f32(uint16_t h) {
  uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = (h >> 10) & 31, fraction = h & 1023;
  if (exponent == 0) return (sign ? -1.0f : 1.0f) * (float)fraction * 0x1p-24f;
  uint32_t bits = sign | (exponent == 31 ? 0x7f800000u : (exponent + 112) << 23) | fraction << 13;
  float f;
  memcpy(&f, &bits, 4);
  return f;
}

/* Rounds a double straight to a float of `fraction` stored bits and exponent bias `bias` (ties to even). */
static uint16_t narrow(double x, int fraction, int bias) {
  uint64_t bits;
  memcpy(&bits, &x, 8);
  uint16_t sign = (uint16_t)(bits >> 48 & 0x8000);
  uint16_t top = (uint16_t)((2 * bias + 1) << fraction); /* infinity */
  if (x != x) return (uint16_t)(sign | top | 1u << (fraction - 1));
  int e = (int)(bits >> 52 & 0x7ff) - 1023; /* |x| in [2^e, 2^(e+1)), or infinite */
  if (e > bias) return (uint16_t)(sign | top);
  if (e < 1 - bias) e = 1 - bias;                    /* subnormal: the step stays that of the smallest normal */
  bits = (uint64_t)(1023 + 52 + e - fraction) << 52; /* 2^52 steps: what is added to it is rounded to a step */
  double whole;
  memcpy(&whole, &bits, 8);
  double rounded = fabs(x) + whole;
  memcpy(&bits, &rounded, 8);
  uint64_t q = bits & (((uint64_t)1 << 52) - 1); /* |x| in steps: in [0, 2^(fraction+1)] */
  uint64_t code = q + ((uint64_t)(e + bias - 1) << fraction);
  return (uint16_t)(sign | (code >= top ? top : code));
}

uint16_t nnrt_f64_to_f16(double x) { return narrow(x, 10, 15); }
uint16_t nnrt_f64_to_bf16(double x) { return narrow(x, 7, 127); }

/* ---- conversion ---- */

static uint64_t load_bits(const unsigned char *p, int bytes, bool swap) {
  switch (bytes) {
  case 1: return *p;
  case 2: {
    uint16_t v;
    memcpy(&v, p, 2);
    return swap ? __builtin_bswap16(v) : v;
  }
  case 4: {
    uint32_t v;
    memcpy(&v, p, 4);
    return swap ? __builtin_bswap32(v) : v;
  }
  default: {
    uint64_t v;
    memcpy(&v, p, 8);
    return swap ? __builtin_bswap64(v) : v;
  }
  }
}

static double float_of_bits(NnrtDtype t, uint64_t bits) {
  if (t == NNRT_F64) {
    double d;
    memcpy(&d, &bits, 8);
    return d;
  }
  if (t == NNRT_F16) return (double)nnrt_f16_to_f32((uint16_t)bits);
  uint32_t word = (uint32_t)(t == NNRT_BF16 ? bits << 16 : bits);
  float f;
  memcpy(&f, &word, 4);
  return (double)f;
}

static int64_t integer_of_bits(NnrtDtype t, uint64_t bits) {
  switch (t) {
  case NNRT_I64: return (int64_t)bits;
  case NNRT_I32: return (int32_t)bits;
  case NNRT_I16: return (int16_t)bits;
  case NNRT_I8: return (int8_t)bits;
  default: return (int64_t)bits;
  }
}

double nnrt_element(NnrtDtype t, const void *at, bool swap) {
  uint64_t bits = load_bits(at, infos[t].bytes, swap);
  return infos[t].class == 'f' ? float_of_bits(t, bits) : (double)integer_of_bits(t, bits);
}

static void store_float(NnrtDtype t, void *to, int64_t i, double v) {
  switch (t) {
  case NNRT_F64: ((double *)to)[i] = v; break;
  case NNRT_F32: ((float *)to)[i] = (float)v; break;
  case NNRT_F16: ((uint16_t *)to)[i] = nnrt_f64_to_f16(v); break;
  default: ((uint16_t *)to)[i] = nnrt_f64_to_bf16(v); break;
  }
}

static bool store_integer(NnrtDtype t, void *to, int64_t i, int64_t v) {
  switch (t) {
  case NNRT_I64: ((int64_t *)to)[i] = v; return true;
  case NNRT_I32: return v == (int32_t)v && (((int32_t *)to)[i] = (int32_t)v, true);
  case NNRT_I16: return v == (int16_t)v && (((int16_t *)to)[i] = (int16_t)v, true);
  case NNRT_I8: return v == (int8_t)v && (((int8_t *)to)[i] = (int8_t)v, true);
  case NNRT_U8: return v == (uint8_t)v && (((uint8_t *)to)[i] = (uint8_t)v, true);
  default: return (v == 0 || v == 1) && (((uint8_t *)to)[i] = (uint8_t)v, true);
  }
}

int64_t nnrt_convert(NnrtDtype from_type, const void *from, bool swap, NnrtDtype to_type, void *to, int64_t n) {
  const unsigned char *p = from;
  int bytes = infos[from_type].bytes;
  bool from_float = infos[from_type].class == 'f', to_float = infos[to_type].class == 'f';
  if (from_type == to_type && !(swap && bytes > 1) && from_type != NNRT_BOOL) {
    if (n > 0) memcpy(to, from, (size_t)n * (size_t)bytes);
    return n;
  }
  for (int64_t i = 0; i < n; i++, p += bytes) {
    uint64_t bits = load_bits(p, bytes, swap);
    if (to_float) {
      double d = from_float ? float_of_bits(from_type, bits) : (double)integer_of_bits(from_type, bits);
      store_float(to_type, to, i, d);
      bool small = fabs(d) < 65520 || isinf(d); /* no float type has less room */
      if (!small && isinf(nnrt_element(to_type, (char *)to + i * infos[to_type].bytes, false))) return i;
      continue;
    }
    int64_t v;
    if (from_float) {
      double d = float_of_bits(from_type, bits);
      if (!(fabs(d) <= 0x1p53) || d != (double)(int64_t)d) return i; /* above 2^53 neighbours were merged already */
      v = (int64_t)d;
    } else {
      v = integer_of_bits(from_type, bits);
    }
    if (!store_integer(to_type, to, i, v)) return i;
  }
  return n;
}

int64_t nnrt_outside(NnrtDtype t, const void *values, int64_t n, int64_t bound, int64_t *value) {
  const char *at = values;
  for (int64_t i = 0; bound && i < n; i++, at += infos[t].bytes) {
    nnrt_convert(t, at, false, NNRT_I64, value, 1);
    if (*value < 0 || *value >= bound) return i;
  }
  return -1;
}
