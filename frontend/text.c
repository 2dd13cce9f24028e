/* text.c - what data from texts are cut into: the options of `text("train.txt", tokenizer = "vocab.json", merges =
 * "merges.txt", window = 65, stride = 64)`. The vocabulary is read when the program is compiled: its size is a
 * dimension, and it travels in the program.
 */
#include "frontend/value.h"

#include <string.h>

enum { MAX_WINDOW = 1 << 24 };

static bool read_count(Elaborator *x, Ast *option, int64_t *out) {
  Dim *d = dim_of(x, NULL, option->value);
  if (!d) return false;
  if (dim_is_const(d, out) && *out >= 1 && *out <= MAX_WINDOW) return true;
  diag_add(x->diags, DIAG_SOURCE, option->span, "`%s` counts tokens, from 1 to 2^24", option->name);
  return false;
}

static bool read_path(Elaborator *x, Ast *option, const char **out) {
  if (option->value->kind != AST_STRING) {
    diag_add(x->diags, DIAG_SOURCE, option->span, "a file's path is wanted here");
    return false;
  }
  *out = path_beside(x, x->module, option->value->text);
  return true;
}

static bool read_flag(Elaborator *x, Ast *option, bool *out) {
  Value *v = elaborate_expr(x, NULL, option->value);
  if (!v) return false;
  *out = v->truth;
  if (v->kind == VALUE_FLAG) return true;
  diag_add(x->diags, DIAG_SOURCE, option->span, "`%s` is true or false", option->name);
  return false;
}

bool text_option(Elaborator *x, TextOptions *o, DataSet *d, Ast *option, bool *is) {
  *is = option->name && !strcmp(d->format, "text");
  if (!*is) return true;
  if (!strcmp(option->name, "window")) return read_count(x, option, &d->window);
  if (!strcmp(option->name, "stride")) return read_count(x, option, &d->stride);
  if (!strcmp(option->name, "tokenizer")) return read_path(x, o->named = option, &o->files.vocabulary);
  if (!strcmp(option->name, "merges")) return read_path(x, o->merges = option, &o->files.merges);
  if (!strcmp(option->name, "lowercase")) return read_flag(x, o->lowercase = option, &o->files.lower);
  Diag *g = diag_add(x->diags, DIAG_SOURCE, option->span, "a text has no option `%s`", option->name);
  diag_help(g, "text(\"train.txt\", tokenizer = \"vocab.txt\", window = 65, stride = 64)");
  return false;
}

static bool say_vocabulary(Elaborator *x, const TextOptions *o, const char *error) {
  bool in_merges = o->merges && strstr(error, o->files.merges);
  Diag *d = diag_add(x->diags, DIAG_TOKENIZER, in_merges ? o->merges->span : o->named->span, "%s", error);
  if (strstr(error, "byte's number") || strstr(error, "this byte") ||
      strstr(error, ".txt:1: the vocabulary is empty"))
    diag_help(d, "each line holds the number of one byte, 0 to 255: 10 is a line's end, 97 an `a`");
  return false;
}

/* An option that the tokenizer at hand does not have. */
static bool check_options(Elaborator *x, const TextOptions *o, const DataSet *d) {
  Ast *wrong = o->merges && strcmp(d->tokenizer, "bpe") != 0            ? o->merges
               : o->lowercase && strcmp(d->tokenizer, "wordpiece") != 0 ? o->lowercase
                                                                        : NULL;
  if (!wrong) return true;
  diag_add(x->diags, DIAG_SOURCE, wrong->span,
           wrong == o->merges ? "`merges` go with a vocabulary of byte pairs, a .json file"
                              : "`lowercase` goes with a vocabulary of word pieces, a file with a line [UNK]");
  return false;
}

bool text_complete(Elaborator *x, const TextOptions *o, DataSet *d, Ast *from) {
  if (strcmp(d->format, "text") != 0) return true;
  if (!d->window) {
    Diag *g = diag_add(x->diags, DIAG_SOURCE, from->span, "how many tokens an example takes is missing");
    diag_help(g, "text(\"%s\", window = 65)", d->path ? d->path : "train.txt");
    return false;
  }
  if (!d->stride) d->stride = d->window;
  Vocabulary v = {.tokenizer = "bytes", .tokens = 256};
  const char *error = x->options->vocabulary ? x->options->vocabulary(x->arena, &o->files, &v)
                      : o->named             ? "no files are read here"
                                             : NULL;
  if (error) return say_vocabulary(x, o, error);
  d->tokenizer = str_internz(x->strings, v.tokenizer);
  d->vocabulary = v.block;
  d->vocabulary_bytes = v.bytes;
  d->tokens = v.tokens;
  program_mix(x, d->vocabulary, d->vocabulary_bytes);
  return check_options(x, o, d);
}

Env *text_names(Elaborator *x, const DataSet *d, Span at) {
  if (!d->tokenizer) return NULL;
  return env_bind(x, NULL, str_internz(x->strings, "V"), value_int(x, dim_const(x->ir, d->tokens), at), at);
}
