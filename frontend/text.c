/* text.c - data from a text: the options of `text("train.txt", tokenizer = "vocab.txt", window = 65, stride = 64)`.
 * The vocabulary is read here, when the program is compiled: its size is a dimension, and it travels in the program.
 */
#include "frontend/value.h"

#include <stdio.h>
#include <string.h>

enum { BYTES = 256, MAX_WINDOW = 1 << 24 };

static bool read_count(Elaborator *x, Ast *option, int64_t *out) {
  Dim *d = dim_of(x, NULL, option->value);
  if (!d) return false;
  if (dim_is_const(d, out) && *out >= 1 && *out <= MAX_WINDOW) return true;
  diag_add(x->diags, DIAG_SOURCE, option->span, "`%s` counts characters, from 1 to 2^24", option->name);
  return false;
}

static Diag *say_line(Elaborator *x, Ast *option, Str path, int line, const char *what) {
  Diag *d = diag_add(x->diags, DIAG_TOKENIZER, option->span, "%s:%d: %s", path, line, what);
  diag_help(d, "each line holds the number of one byte, 0 to 255: 10 is a line's end, 97 an `a`");
  return d;
}

/* The number on a line, [text, end); -1: it is not one of a byte. */
static int byte_number(const char *text, const char *end) {
  int v = 0;
  if (end > text && end[-1] == '\r') end--;
  if (text == end || end - text > 3) return -1;
  for (; text < end; text++) {
    if (*text < '0' || *text > '9') return -1;
    v = 10 * v + *text - '0';
  }
  return v < BYTES ? v : -1;
}

static bool parse_vocabulary(Elaborator *x, DataSet *d, Ast *option, Str path, const Buf *b) {
  unsigned char *bytes = NEW_ARRAY(x->arena, unsigned char, BYTES);
  bool seen[BYTES] = {false};
  int line = 1;
  if (!b->n) say_line(x, option, path, 1, "the vocabulary is empty");
  for (const char *at = b->text, *end = b->n ? at + b->n : at; at < end; line++) {
    const char *stop = memchr(at, '\n', (size_t)(end - at));
    if (!stop) stop = end;
    int v = byte_number(at, stop);
    if (v < 0 || seen[v]) {
      say_line(x, option, path, line, v < 0 ? "this is no byte's number" : "this byte was on a line before");
      return false;
    }
    seen[v] = true;
    bytes[d->tokens++] = (unsigned char)v;
    at = stop < end ? stop + 1 : end;
  }
  d->vocabulary = bytes;
  return d->tokens > 0;
}

static bool read_vocabulary(Elaborator *x, DataSet *d, Ast *option) {
  if (option->value->kind != AST_STRING) {
    diag_add(x->diags, DIAG_SOURCE, option->span, "a file's path is wanted here");
    return false;
  }
  Str path = path_beside(x, x->module, option->value->text);
  size_t n = strlen(path);
  if (n > 5 && !strcmp(path + n - 5, ".json")) {
    say_not_compiled(x, option->span, "a tokenizer of more than single bytes");
    return false;
  }
  Buf b = {0};
  bool ok = file_read(path, &b);
  if (!ok) diag_add(x->diags, DIAG_TOKENIZER, option->span, "`%s` cannot be read", path);
  else ok = parse_vocabulary(x, d, option, path, &b);
  buf_free(&b);
  return ok;
}

bool text_option(Elaborator *x, DataSet *d, Ast *option, bool *is) {
  *is = option->name && !strcmp(d->format, "text");
  if (!*is) return true;
  if (!strcmp(option->name, "window")) return read_count(x, option, &d->window);
  if (!strcmp(option->name, "stride")) return read_count(x, option, &d->stride);
  if (!strcmp(option->name, "tokenizer")) return read_vocabulary(x, d, option);
  Diag *g = diag_add(x->diags, DIAG_SOURCE, option->span, "a text has no option `%s`", option->name);
  diag_help(g, "text(\"train.txt\", tokenizer = \"vocab.txt\", window = 65, stride = 64)");
  return false;
}

bool text_complete(Elaborator *x, DataSet *d, Ast *from) {
  if (strcmp(d->format, "text") != 0) return true;
  if (!d->window) {
    Diag *g = diag_add(x->diags, DIAG_SOURCE, from->span, "how many characters an example takes is missing");
    diag_help(g, "text(\"%s\", window = 65)", d->path ? d->path : "train.txt");
    return false;
  }
  if (!d->stride) d->stride = d->window;
  if (!d->vocabulary) { /* every byte stands for itself */
    unsigned char *bytes = NEW_ARRAY(x->arena, unsigned char, BYTES);
    for (int i = 0; i < BYTES; i++) bytes[i] = (unsigned char)i;
    d->vocabulary = bytes;
    d->tokens = BYTES;
  }
  program_mix(x, d->vocabulary, (size_t)d->tokens);
  return true;
}

Env *text_names(Elaborator *x, const DataSet *d, Span at) {
  if (!d->vocabulary) return NULL;
  return env_bind(x, NULL, str_internz(x->strings, "V"), value_int(x, dim_const(x->ir, d->tokens), at), at);
}
