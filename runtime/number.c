/* number.c - text to double, correctly rounded. Short numbers are exact products or quotients of two exact doubles
 * (Clinger 1990); the rest is strtod's. */
#include "runtime/csv.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The parts of a decimal number; false where the text is not one. `exact`: digits < 2^53. */
typedef struct Decimal {
  uint64_t digits;
  int exponent;
  bool negative, exact;
} Decimal;

static bool scan(const char *p, const char *end, Decimal *d) {
  *d = (Decimal){.exact = true};
  int some = 0;
  bool point = false;
  if (p < end && (*p == '-' || *p == '+')) d->negative = *p++ == '-';
  for (; p < end && ((*p >= '0' && *p <= '9') || (*p == '.' && !point)); p++) {
    if (*p == '.') {
      point = true;
      continue;
    }
    some = 1;
    if (d->digits >= 1ull << 49) d->exact = false; /* one more digit could pass 2^53 */
    if (d->exact) d->digits = d->digits * 10 + (uint64_t)(*p - '0');
    if (point && d->exact) d->exponent--;
  }
  if (!some) return false;
  if (p < end && (*p == 'e' || *p == 'E')) {
    bool negative = ++p < end && *p == '-';
    if (p < end && (*p == '-' || *p == '+')) p++;
    if (p == end) return false;
    int exponent = 0;
    for (; p < end && *p >= '0' && *p <= '9'; p++)
      if (exponent < 100000) exponent = exponent * 10 + (*p - '0');
    d->exponent += negative ? -exponent : exponent;
  }
  return p == end;
}

__attribute__((cold, noinline)) static bool slow(const char *text, size_t n, double *v) {
  char few[64], *copy = n < sizeof few ? few : malloc(n + 1);
  if (!copy) return false;
  memcpy(copy, text, n);
  copy[n] = 0;
  *v = strtod(copy, NULL);
  if (copy != few) free(copy);
  return isfinite(*v);
}

bool nnrt_number(const char *text, size_t n, double *v) {
  static const double power[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
  Decimal d;
  if (!scan(text, text + n, &d)) return false;
  if (!d.exact || d.exponent < -22 || d.exponent > 22) return slow(text, n, v);
  double x = (double)d.digits;
  x = d.exponent < 0 ? x / power[-d.exponent] : x * power[d.exponent];
  *v = d.negative ? -x : x;
  return true;
}
