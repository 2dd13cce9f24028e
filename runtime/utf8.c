/* utf8.c - see utf8.h. */
#include "runtime/utf8.h"

size_t nnrt_utf8_length(const char *at, const char *end) {
  const unsigned char *p = (const unsigned char *)at;
  size_t n = *p < 0x80                 ? 1
             : *p >= 0xC2 && *p < 0xE0 ? 2
             : *p >= 0xE0 && *p < 0xF0 ? 3
             : *p >= 0xF0 && *p < 0xF5 ? 4
                                       : 0;
  if (n == 0 || (size_t)(end - at) < n) return 0;
  for (size_t i = 1; i < n; i++)
    if ((p[i] & 0xC0) != 0x80) return 0;
  if ((*p == 0xE0 && p[1] < 0xA0) || (*p == 0xED && p[1] > 0x9F) || (*p == 0xF0 && p[1] < 0x90) ||
      (*p == 0xF4 && p[1] > 0x8F))
    return 0;
  return n;
}

size_t nnrt_utf8_read(const char *at, const char *end, uint32_t *c) {
  const unsigned char *p = (const unsigned char *)at;
  size_t n = nnrt_utf8_length(at, end);
  if (n) *c = n == 1 ? *p : *p & (0xFFu >> (n + 1));
  for (size_t i = 1; i < n; i++) *c = *c << 6 | (p[i] & 0x3Fu);
  return n;
}

size_t nnrt_utf8_write(char to[4], uint32_t c) {
  static const unsigned char lead[] = {0, 0, 0xC0, 0xE0, 0xF0};
  size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
  for (size_t i = n; i-- > 1; c >>= 6) to[i] = (char)(0x80 | (c & 63));
  to[0] = (char)(n == 1 ? c : lead[n] | c);
  return n;
}
