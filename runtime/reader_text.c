/* reader_text.c - a text as examples of tokens: windows that begin `stride` tokens apart, what is left at the end
 * being left out; or, without a window, a line each, however long. The whole text is cut into tokens when it is
 * opened, kept in the smallest type that holds them, and closed: of a token's place in it only a message wants to
 * know, and cuts it again. */
#include "runtime/file.h"
#include "runtime/source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Text {
  NnrtDtype dtype; /* of tokens */
  void *tokens;
  int64_t n;
  int64_t *lines; /* [count + 1] where each line's tokens begin; NULL: windows */
  int64_t longest;
} Text;

static NnrtDtype smallest(int32_t tokens) {
  return tokens <= 256 ? NNRT_U8 : tokens <= 1 << 15 ? NNRT_I16 : NNRT_I32;
}

static int keep(Text *t, const NnrtTokens *found, const char *path, NnrtError *e) {
  size_t bytes = (size_t)found->n * (size_t)nnrt_dtype(t->dtype)->bytes;
  t->tokens = malloc(bytes + 1);
  if (!t->tokens) return nnrt_fail_memory(e, bytes, path);
  nnrt_convert(NNRT_I32, found->at, false, t->dtype, t->tokens, found->n);
  t->n = found->n;
  return NNRT_OK;
}

static int cut_whole(NnrtSource *s, Text *t, const NnrtVocabulary *v, const char *text, size_t n, NnrtError *e) {
  const char *path = s->files[0].path;
  NnrtTokens found = {0};
  int status = nnrt_tokenize(s->options.tokenizer, v, text, n, path, 1, &found, e);
  if (status == NNRT_OK) status = keep(t, &found, path, e);
  free(found.at);
  if (status != NNRT_OK) return status;
  if (t->n < s->options.window)
    return nnrt_fail(e, NNRT_EDATA, "%s: %lld tokens, but one example takes %lld", path, (long long)t->n,
                     (long long)s->options.window);
  s->count = (t->n - s->options.window) / s->options.stride + 1;
  return NNRT_OK;
}

static int64_t count_lines(const char *text, const char *end) {
  int64_t n = 0;
  for (const char *p = text; p < end; n++) {
    const char *stop = memchr(p, '\n', (size_t)(end - p));
    p = stop ? stop + 1 : end;
  }
  return n;
}

/* The end of the line at `at`, without what ends it. */
static const char *line_end(const char *at, const char *end, const char **next) {
  const char *stop = memchr(at, '\n', (size_t)(end - at));
  *next = stop ? stop + 1 : end;
  if (!stop) stop = end;
  return stop > at && stop[-1] == '\r' ? stop - 1 : stop;
}

static int cut_lines(NnrtSource *s, Text *t, const NnrtVocabulary *v, const char *text, size_t n, NnrtError *e) {
  const char *path = s->files[0].path, *end = text + n, *next;
  s->count = count_lines(text, end);
  t->lines = calloc((size_t)s->count + 1, sizeof *t->lines);
  if (!t->lines) return nnrt_fail_memory(e, (unsigned long long)s->count * 8, path);
  NnrtTokens found = {0};
  int status = NNRT_OK;
  int64_t line = 0;
  for (const char *at = text; status == NNRT_OK && at < end; at = next, line++) {
    const char *stop = line_end(at, end, &next);
    status = nnrt_tokenize(s->options.tokenizer, v, at, (size_t)(stop - at), path, line + 1, &found, e);
    t->lines[line + 1] = found.n;
    if (found.n - t->lines[line] > t->longest) t->longest = found.n - t->lines[line];
  }
  if (status == NNRT_OK) status = keep(t, &found, path, e);
  free(found.at);
  return status;
}

static int open_text(NnrtSource *s, NnrtError *e) {
  Text *t = s->own = calloc(1, sizeof *t);
  NnrtVocabulary v;
  NnrtFile file;
  if (!t) return nnrt_fail_memory(e, sizeof *t, "a source");
  nnrt_vocabulary_open(&v, s->options.vocabulary);
  t->dtype = smallest(v.tokens);
  int status = nnrt_file_open(&file, s->files[0].path, e);
  if (status != NNRT_OK) return status;
  const char *text = (const char *)file.data;
  status = s->options.window ? cut_whole(s, t, &v, text, file.size, e) : cut_lines(s, t, &v, text, file.size, e);
  nnrt_file_close(&file);
  return status;
}

static void close_text(NnrtSource *s) {
  Text *t = s->own;
  free(t->tokens);
  free(t->lines);
}

static int view_text(const NnrtSource *s, const NnrtColumn *c, NnrtView *v, NnrtError *e) {
  const Text *t = s->own;
  (void)c, (void)e;
  int64_t width = t->lines ? t->longest : s->options.window;
  *v = (NnrtView){.width = width, .rank = 1, .shape = {width}, .ragged = t->lines != NULL};
  return NNRT_OK;
}

static int64_t first_token(const NnrtSource *s, int64_t example) {
  const Text *t = s->own;
  return t->lines ? t->lines[example] : example * s->options.stride;
}

static int64_t length_text(const NnrtSource *s, const NnrtView *v, int64_t example) {
  const Text *t = s->own;
  return t->lines ? t->lines[example + 1] - t->lines[example] : v->width;
}

/* The byte at which a token begins, by cutting the text again; -1: the file has changed. */
static int64_t byte_of_token(const NnrtSource *s, const NnrtFile *file, int64_t token, int64_t line_wanted) {
  NnrtVocabulary v;
  NnrtTokens found = {0};
  nnrt_vocabulary_open(&v, s->options.vocabulary);
  const char *text = (const char *)file->data, *end = text + file->size, *at = text, *next = text;
  for (int64_t line = 0; line < line_wanted && next < end; line++) line_end(at = next, end, &next), at = next;
  NnrtCut cut;
  nnrt_cut_begin(&cut, s->options.tokenizer, &v, at, end);
  if (v.begin >= 0) nnrt_tokens_add(&found, v.begin);
  for (bool moves = true; moves && at < end; at = next) {
    next = nnrt_cut_take(&cut, at, &found);
    if (found.n > token) break;
    moves = next > at;
  }
  free(found.at);
  return at - text;
}

static void place_text(const NnrtSource *s, const NnrtView *v, int64_t example, int64_t i, char text[256]) {
  const Text *t = s->own;
  (void)v;
  NnrtFile file;
  int64_t line = 1, column = 1;
  if (nnrt_file_open(&file, s->files[0].path, NULL) == NNRT_OK) {
    int64_t token = t->lines ? i : first_token(s, example) + i;
    int64_t byte = byte_of_token(s, &file, token, t->lines ? example : 0);
    for (int64_t k = 0; k < byte; k++, column++)
      if (file.data[k] == '\n') line++, column = 0;
    nnrt_file_close(&file);
  }
  snprintf(text, 256, "%.200s:%lld: column %lld", s->files[0].path, (long long)line, (long long)column);
}

static int read_text(const NnrtSource *s, const NnrtView *v, int64_t first, int64_t n, NnrtDtype t, void *to,
                     NnrtError *e) {
  const Text *own = s->own;
  int64_t row = v->width * nnrt_dtype(t)->bytes;
  int status = NNRT_OK;
  for (int64_t i = 0; status == NNRT_OK && i < n; i++) {
    const char *from = (const char *)own->tokens + first_token(s, first + i) * nnrt_dtype(own->dtype)->bytes;
    status =
        nnrt_source_fill(s, v, first + i, own->dtype, from, length_text(s, v, first + i), t, (char *)to + i * row, e);
  }
  return status;
}

const NnrtReader nnrt_reader_text = {.name = "text",
                                     .single = true,
                                     .windows = true,
                                     .open = open_text,
                                     .close = close_text,
                                     .view = view_text,
                                     .read = read_text,
                                     .place = place_text,
                                     .length = length_text};
