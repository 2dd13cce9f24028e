/* reader_tokens.c - a file of tokens, one after the other: NumPy's format, or bare little-endian integers, of two
 * bytes where the vocabulary has at most 65,536 tokens and of four where it has more. Each is below the vocabulary's
 * size, which is checked when the file is opened. */
#include "runtime/arrays.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int open_bare(NnrtArray *a, const char *path, int64_t tokens, NnrtError *e) {
  bool two = tokens <= 1 << 16;
  int status = nnrt_file_open(&a->file, path, e);
  if (status != NNRT_OK) return status;
  a->dtype = two ? NNRT_I16 : NNRT_I32;
  a->rank = 1;
  a->count = a->shape[0] = (int64_t)a->file.size / (two ? 2 : 4);
  a->data = a->file.data;
  if (a->file.size % (two ? 2 : 4) == 0) return NNRT_OK;
  return nnrt_fail(e, NNRT_EDATA, "%s: %zu bytes are no whole number of tokens of %d bytes", path, a->file.size,
                   two ? 2 : 4);
}

/* Token i; numbers of two bytes are without a sign. */
static int64_t token(const NnrtArray *a, int64_t i, bool bare) {
  int64_t v = -1;
  nnrt_array_read(a, i, 1, NNRT_I64, &v);
  return bare && a->dtype == NNRT_I16 ? v & 0xFFFF : v;
}

typedef struct Tokens {
  NnrtArray array;
  bool bare;
} Tokens;

static bool is_npy(const char *path) {
  NnrtFile f;
  if (nnrt_file_open(&f, path, NULL) != NNRT_OK) return false;
  bool is = f.size >= 6 && memcmp(f.data, "\x93NUMPY", 6) == 0;
  nnrt_file_close(&f);
  return is;
}

static int open_tokens(NnrtSource *s, NnrtError *e) {
  Tokens *t = s->own = calloc(1, sizeof *t);
  const char *path = s->files[0].path;
  if (!t) return nnrt_fail_memory(e, sizeof *t, "a source");
  t->bare = !is_npy(path);
  NnrtArray *a = &t->array;
  int status = t->bare ? open_bare(a, path, s->options.tokens, e) : nnrt_npy_open(a, path, e);
  if (status != NNRT_OK) return status;
  if (a->rank != 1 || nnrt_dtype(a->dtype)->class == 'f')
    return nnrt_fail(e, NNRT_EDATA, "%s: tokens are integers in one row", path);
  for (int64_t i = 0; i < a->count; i++)
    if (token(a, i, t->bare) < 0 || token(a, i, t->bare) >= s->options.tokens)
      return nnrt_fail(e, NNRT_EDATA, "%s: token %lld is %lld, which is not in 0..%lld", path, (long long)i,
                       (long long)token(a, i, t->bare), (long long)s->options.tokens - 1);
  s->count = a->count;
  return NNRT_OK;
}

static void close_tokens(NnrtSource *s) { nnrt_array_close(&((Tokens *)s->own)->array); }

static int view_tokens(const NnrtSource *s, const NnrtColumn *c, NnrtView *v, NnrtError *e) {
  (void)s, (void)c, (void)e;
  *v = (NnrtView){.width = 1};
  return NNRT_OK;
}

static void place_tokens(const NnrtSource *s, const NnrtView *v, int64_t example, int64_t i, char text[256]) {
  (void)v, (void)i;
  snprintf(text, 256, "%.200s: token %lld", s->files[0].path, (long long)example);
}

static int read_tokens(const NnrtSource *s, const NnrtView *v, int64_t first, int64_t n, NnrtDtype t, void *to,
                       NnrtError *e) {
  const Tokens *own = s->own;
  for (int64_t i = first; i < first + n; i++) {
    int64_t value = token(&own->array, i, own->bare);
    char *at = (char *)to + (i - first) * nnrt_dtype(t)->bytes;
    if (nnrt_convert(NNRT_I64, &value, false, t, at, 1) != 1)
      return nnrt_source_refuse(s, v, i, 0, t, (double)value, e);
  }
  return NNRT_OK;
}

const NnrtReader nnrt_reader_tokens = {.name = "tokens",
                                       .single = true,
                                       .open = open_tokens,
                                       .close = close_tokens,
                                       .view = view_tokens,
                                       .read = read_tokens,
                                       .place = place_tokens};
