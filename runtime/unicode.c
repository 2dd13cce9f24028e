/* unicode.c - see unicode.h. */
#include "runtime/unicode.h"

enum { CLASS_BITS = 8 };

/* First characters with their classes, in rising order. */
static const uint32_t classes[] = {
#define CLASS(first, class) (uint32_t)(first) << CLASS_BITS | (unsigned char)#class[0],
#define RUN(first, last, distance, step)
#define FOLD(from, n, at)
#define TO(c)
#include "runtime/unicode.def"
#undef CLASS
#undef RUN
#undef FOLD
#undef TO
};

static const struct {
  uint32_t first, last;
  int32_t distance, step;
} runs[] = {
#define CLASS(first, class)
#define RUN(first, last, distance, step) {first, last, distance, step},
#define FOLD(from, n, at)
#define TO(c)
#include "runtime/unicode.def"
#undef RUN
#undef FOLD
#undef TO
};

enum { COUNT_BITS = 3 };

static const struct {
  uint32_t from; /* and how many */
  uint16_t at;   /* into fold_to */
} folds[] = {
#define RUN(first, last, distance, step)
#define FOLD(from, n, at) {(uint32_t)(from) << COUNT_BITS | (n), at},
#define TO(c)
#include "runtime/unicode.def"
#undef FOLD
#undef TO
};

static const uint32_t fold_to[] = {
#define FOLD(from, n, at)
#define TO(c) c,
#include "runtime/unicode.def"
#undef CLASS
#undef RUN
#undef FOLD
#undef TO
};

char nnrt_unicode_class(uint32_t c) {
  int low = 0, high = (int)(sizeof classes / sizeof *classes);
  while (high - low > 1) {
    int middle = (low + high) / 2;
    if (classes[middle] >> CLASS_BITS <= c) low = middle;
    else high = middle;
  }
  return (char)(classes[low] & ((1 << CLASS_BITS) - 1));
}

/* A syllable of Hangul is two or three letters: The Unicode Standard, 3.12. */
static int fold_hangul(uint32_t c, uint32_t to[NNRT_FOLD_MOST]) {
  uint32_t s = c - 0xAC00;
  to[0] = 0x1100 + s / 588;
  to[1] = 0x1161 + s % 588 / 28;
  to[2] = 0x11A7 + s % 28;
  return s % 28 ? 3 : 2;
}

int nnrt_unicode_fold(uint32_t c, uint32_t to[NNRT_FOLD_MOST]) {
  to[0] = c;
  if (c >= 0xAC00 && c < 0xD7A4) return fold_hangul(c, to);
  for (int i = 0; i < (int)(sizeof runs / sizeof *runs); i++)
    if (c >= runs[i].first && c <= runs[i].last && (c - runs[i].first) % (uint32_t)runs[i].step == 0) {
      to[0] = (uint32_t)((int32_t)c + runs[i].distance);
      return 1;
    }
  if (c < 0x80) return 1;
  int low = 0, high = (int)(sizeof folds / sizeof *folds);
  while (high - low > 1) {
    int middle = (low + high) / 2;
    if (folds[middle].from >> COUNT_BITS <= c) low = middle;
    else high = middle;
  }
  if (folds[low].from >> COUNT_BITS != c) return nnrt_unicode_class(c) == 'M' ? 0 : 1;
  int n = (int)(folds[low].from & ((1 << COUNT_BITS) - 1));
  for (int i = 0; i < n; i++) to[i] = fold_to[folds[low].at + i];
  return n;
}
