/* npy.c - NumPy's array files; see array.h. The header is a Python dictionary with exactly the keys descr,
 * fortran_order and shape; a small scanner takes just that. */
#include "runtime/array.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Scan {
  const char *at, *end;
} Scan;

static void skip_space(Scan *s) {
  while (s->at < s->end && (*s->at == ' ' || *s->at == '\n' || *s->at == '\t')) s->at++;
}

static bool take(Scan *s, char c) {
  skip_space(s);
  if (s->at == s->end || *s->at != c) return false;
  s->at++;
  return true;
}

static bool take_word(Scan *s, const char *word) {
  size_t n = strlen(word);
  skip_space(s);
  if ((size_t)(s->end - s->at) < n || memcmp(s->at, word, n) != 0) return false;
  s->at += n;
  return true;
}

/* 'text' or "text", without escapes. */
static bool take_text(Scan *s, char *to, size_t room) {
  skip_space(s);
  if (s->at == s->end || (*s->at != '\'' && *s->at != '"')) return false;
  char quote = *s->at++;
  size_t n = 0;
  for (; s->at < s->end && *s->at != quote; s->at++) {
    if (n + 1 >= room || *s->at == '\\') return false;
    to[n++] = *s->at;
  }
  to[n] = 0;
  return s->at++ < s->end;
}

static bool take_natural(Scan *s, int64_t *v) {
  skip_space(s);
  const char *start = s->at;
  for (*v = 0; s->at < s->end && *s->at >= '0' && *s->at <= '9'; s->at++)
    if (__builtin_mul_overflow(*v, 10, v) || __builtin_add_overflow(*v, *s->at - '0', v)) return false;
  bool some = s->at > start;
  if (some && s->at < s->end && *s->at == 'L') s->at++; /* Python 2 wrote 3L */
  return some;
}

static bool take_shape(Scan *s, NnrtArray *a) {
  if (!take(s, '(')) return false;
  while (!take(s, ')')) {
    if (a->rank == NNRT_MAX_RANK || !take_natural(s, &a->shape[a->rank++])) return false;
    if (take(s, ',')) continue;
    return take(s, ')');
  }
  return true;
}

/* "<f4": byte order, kind, size. */
static bool parse_descr(const char *descr, NnrtArray *a) {
  if (!strchr("<>|=", descr[0]) || !descr[0]) return false;
  for (int t = 0; t < NNRT_DTYPE_COUNT; t++) {
    const char *npy = nnrt_dtype((NnrtDtype)t)->npy;
    if (!npy || strcmp(npy, descr + 1) != 0) continue;
    a->dtype = (NnrtDtype)t;
    a->swap = descr[0] == '>' && nnrt_dtype((NnrtDtype)t)->bytes > 1;
    return true;
  }
  return false;
}

static int parse_header(Scan *s, NnrtArray *a, const char *path, NnrtError *e) {
  static const char *const keys[] = {"descr", "fortran_order", "shape"};
  unsigned seen = 0;
  char text[32];
  bool good = take(s, '{');
  while (good && !take(s, '}')) {
    int k = 0;
    good = take_text(s, text, sizeof text) && take(s, ':');
    while (good && k < 3 && strcmp(text, keys[k]) != 0) k++;
    good = good && k < 3 && !(seen & 1u << k);
    if (!good) break;
    seen |= 1u << k;
    if (k == 0) {
      good = take_text(s, text, sizeof text);
      if (good && !parse_descr(text, a))
        return nnrt_fail(e, NNRT_EDATA, "%s: elements of NumPy type '%s' are not read", path, text);
    } else if (k == 1) {
      good = take_word(s, "False") || (a->fortran = take_word(s, "True"));
    } else {
      good = take_shape(s, a);
    }
    if (good && !take(s, ',')) {
      good = take(s, '}');
      break;
    }
  }
  skip_space(s);
  if (!good || seen != 7 || s->at != s->end) return nnrt_fail(e, NNRT_EDATA, "%s: the npy header is damaged", path);
  return NNRT_OK;
}

static int read_npy(NnrtArray *a, const char *path, NnrtError *e) {
  const unsigned char *p = a->file.data;
  size_t size = a->file.size;
  if (size < 10 || memcmp(p, "\x93NUMPY", 6) != 0)
    return nnrt_fail(e, NNRT_EDATA, "%s: not an npy file (its first bytes are others)", path);
  if (p[6] < 1 || p[6] > 3) return nnrt_fail(e, NNRT_EDATA, "%s: npy version %d.%d is not known", path, p[6], p[7]);
  size_t start = p[6] == 1 ? 10 : 12, length = p[8] | (size_t)p[9] << 8;
  if (p[6] > 1 && size >= 12) length |= (size_t)p[10] << 16 | (size_t)p[11] << 24;
  if (size < start || length > size - start) return nnrt_fail(e, NNRT_EDATA, "%s: the file ends in its header", path);
  Scan s = {(const char *)p + start, (const char *)p + start + length};
  int status = parse_header(&s, a, path, e);
  if (status != NNRT_OK) return status;
  int64_t bytes;
  char shape[128];
  nnrt_shape_text(a->shape, a->rank, shape, sizeof shape);
  if (!nnrt_shape_bytes(a->shape, a->rank, a->dtype, &bytes) || (uint64_t)bytes > size - start - length)
    return nnrt_fail(e, NNRT_EDATA, "%s: a %s%s needs more than the %zu bytes that the file has for it", path,
                     nnrt_dtype(a->dtype)->name, shape, size - start - length);
  if ((uint64_t)bytes < size - start - length)
    return nnrt_fail(e, NNRT_EDATA, "%s: %zu bytes stand after the end of a %s%s", path,
                     size - start - length - (size_t)bytes, nnrt_dtype(a->dtype)->name, shape);
  nnrt_shape_count(a->shape, a->rank, &a->count);
  a->data = p + start + length;
  return NNRT_OK;
}

int nnrt_npy_open(NnrtArray *a, const char *path, NnrtError *e) {
  *a = (NnrtArray){0};
  int status = nnrt_file_open(&a->file, path, e);
  if (status != NNRT_OK) return status;
  status = read_npy(a, path, e);
  if (status != NNRT_OK) nnrt_array_close(a);
  return status;
}
