/* text.c - how the rows of a source become examples, and texts tokens: the options of `csv("load.csv", window = 48,
 * horizon = 12)` and `text("train.txt", tokenizer = "vocab.json", merges = "merges.txt", window = 65, stride = 64)`.
 * The vocabulary is read when the program is compiled: its size is a dimension, and it travels in the program. */
#include "frontend/value.h"

#include <string.h>

enum { MAX_WINDOW = 1 << 24 };

static bool read_count(Elaborator *x, Ast *option, int64_t *out) {
  Dim *d = dim_of(x, NULL, option->value);
  if (!d) return false;
  if (dim_is_const(d, out) && *out >= 1 && *out <= MAX_WINDOW) return true;
  diag_add(x->diags, DIAG_SOURCE, option->span, "`%s` is a number from 1 to 2^24", option->name);
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

static bool read_token(Elaborator *x, Ast *option, const char **out) {
  *out = option->value->kind == AST_STRING ? option->value->text : NULL;
  if (*out) return true;
  Diag *d = diag_add(x->diags, DIAG_SOURCE, option->span, "`%s` is a token of the vocabulary, a text", option->name);
  diag_help(d, strcmp(option->name, "begin") ? "end = \"[SEP]\"" : "begin = \"[CLS]\"");
  return false;
}

/* special = ["[CLS]", "[SEP]"], or one of them. */
static bool read_specials(Elaborator *x, Ast *option, VocabularyFiles *files) {
  const Ast *v = option->value;
  bool list = v->kind == AST_ARRAY;
  int n = list ? v->items.n : 1;
  const char **names = NEW_ARRAY(x->arena, const char *, n + 1);
  for (int i = 0; i < n; i++) {
    const Ast *name = list ? v->items.at[i] : v;
    if (name->kind == AST_STRING && *name->text) {
      names[i] = name->text;
      continue;
    }
    Diag *d = diag_add(x->diags, DIAG_SOURCE, name->span, "`special` lists tokens of the vocabulary");
    diag_help(d, "special = [\"[CLS]\", \"[SEP]\"]");
    return false;
  }
  files->special = names;
  files->n_special = n;
  return true;
}

enum { PATH = 1 };

/* The options, which formats have them, and whether they are paths. */
static const struct {
  const char *name, *formats;
  int kind;
} options[] = {{"window", " csv npy idx safetensors text tokens ", 0},
               {"stride", " csv npy idx safetensors text tokens ", 0},
               {"horizon", " csv npy idx safetensors ", 0},
               {"tokenizer", " text tokens csv ", PATH},
               {"merges", " text tokens csv ", PATH},
               {"lowercase", " text tokens csv ", 0},
               {"special", " text csv ", 0},
               {"begin", " text csv ", 0},
               {"end", " text csv ", 0},
               {"size", " tokens ", 0}};

static bool has_option(Elaborator *x, Str format, size_t option) {
  return strstr(options[option].formats, arena_printf(x->arena, " %s ", format)) != NULL;
}

bool has_tokens(const DataSet *d) { return !strcmp(d->format, "text") || !strcmp(d->format, "tokens"); }

static bool read_option(Elaborator *x, SourceOptions *o, DataSet *d, Ast *a) {
  if (!strcmp(a->name, "window")) return read_count(x, a, &d->window);
  if (!strcmp(a->name, "stride")) return read_count(x, o->stride = a, &d->stride);
  if (!strcmp(a->name, "horizon")) return read_count(x, o->horizon = a, &o->rows_ahead);
  if (!strcmp(a->name, "size")) return read_count(x, a, &o->size);
  if (!strcmp(a->name, "tokenizer")) return read_path(x, o->named = a, &o->files.vocabulary);
  if (!strcmp(a->name, "merges")) return read_path(x, o->merges = a, &o->files.merges);
  if (!strcmp(a->name, "special")) return read_specials(x, o->special = a, &o->files);
  if (!strcmp(a->name, "begin")) return read_token(x, o->begin = a, &o->files.begin);
  if (!strcmp(a->name, "end")) return read_token(x, o->end = a, &o->files.end);
  return read_flag(x, o->lowercase = a, &o->files.lower);
}

bool source_option(Elaborator *x, SourceOptions *o, DataSet *d, Ast *a, bool *is) {
  const size_t n = sizeof options / sizeof *options;
  size_t k = 0;
  *is = a->name && (has_tokens(d) || !strcmp(d->format, "csv") || a->value->kind != AST_STRING);
  while (*is && k < n && strcmp(options[k].name, a->name) != 0) k++;
  if (!*is) return true;
  if (k < n && has_option(x, d->format, k)) return read_option(x, o, d, a);
  Diag *g = diag_add(x->diags, DIAG_SOURCE, a->span, "data from %s have no option `%s`", d->format, a->name);
  Nearest near = {a->name, 3, NULL, false};
  for (size_t i = 0; i < n; i++)
    if (has_option(x, d->format, i)) nearest_consider(&near, options[i].name);
  if (near.found) diag_meant(g, a->name_span, near.found);
  else if (has_tokens(d))
    diag_help(g, "%s(\"train\", tokenizer = \"vocab.txt\", window = 65, stride = 64)", d->format);
  else if (!strcmp(d->format, "csv") && !strncmp(a->name, "head", 4))
    diag_help(g, "a first line of names is found by itself; `column(\"name\")` reads one");
  return false;
}

/* What of the source the message is about: a token that the vocabulary does not have, or its file. */
static Span vocabulary_place(const SourceOptions *o, const char *error) {
  bool token = strstr(error, " is no token of ");
  const Ast *said = !token && o->named                          ? o->named
                    : o->begin && strstr(error, o->files.begin) ? o->begin
                    : o->end && strstr(error, o->files.end)     ? o->end
                                                                : o->special;
  return said->span;
}

static bool say_vocabulary(Elaborator *x, const SourceOptions *o, const char *error) {
  bool in_merges = o->merges && strstr(error, o->files.merges);
  Diag *d = diag_add(x->diags, DIAG_TOKENIZER, in_merges ? o->merges->span : vocabulary_place(o, error), "%s", error);
  if (strstr(error, "byte's number") || strstr(error, "this byte") ||
      strstr(error, ".txt:1: the vocabulary is empty"))
    diag_help(d, "each line holds the number of one byte, 0 to 255: 10 is a line's end, 97 an `a`");
  return false;
}

/* An option that the tokenizer at hand does not have. */
static bool check_options(Elaborator *x, const SourceOptions *o, const DataSet *d) {
  Ast *wrong = d->whole                                                 ? o->lowercase
               : o->merges && strcmp(d->tokenizer, "bpe") != 0          ? o->merges
               : o->lowercase && strcmp(d->tokenizer, "wordpiece") != 0 ? o->lowercase
                                                                        : NULL;
  if (!wrong) return true;
  if (d->whole) {
    diag_add(x->diags, DIAG_SOURCE, wrong->span, "this file says itself how texts are cut, so `%s` is not given",
             wrong->name);
    return false;
  }
  diag_add(x->diags, DIAG_SOURCE, wrong->span,
           wrong == o->merges ? "`merges` go with a vocabulary of byte pairs, a .json file"
                              : "`lowercase` goes with a vocabulary of word pieces, a file with a line [UNK]");
  return false;
}

static bool read_vocabulary(Elaborator *x, const SourceOptions *o, DataSet *d) {
  Vocabulary v = {.tokenizer = "bytes", .tokens = 256};
  const char *error = x->options->vocabulary ? x->options->vocabulary(x->arena, &o->files, &v)
                      : o->named             ? "no files are read here"
                                             : NULL;
  if (error) return say_vocabulary(x, o, error);
  d->tokenizer = str_internz(x->strings, v.tokenizer);
  d->vocabulary = v.block;
  d->vocabulary_bytes = v.bytes;
  d->tokens = v.tokens;
  d->whole = v.whole;
  program_mix(x, d->vocabulary, d->vocabulary_bytes);
  return check_options(x, o, d);
}

static bool complete_windows(Elaborator *x, const SourceOptions *o, DataSet *d, Ast *from) {
  if (!strcmp(d->format, "tokens") && !d->window) {
    Diag *g = diag_add(x->diags, DIAG_SOURCE, from->span, "how many tokens an example takes is missing");
    diag_help(g, "%s(\"%s\", window = 65)", d->format, d->path ? d->path : "train.txt");
    return false;
  }
  Ast *lone = o->stride ? o->stride : o->horizon;
  if (!d->window && lone) {
    Diag *g = diag_add(x->diags, DIAG_SOURCE, lone->span, "`%s` is of windows, and no `window` is said", lone->name);
    diag_help(g, "%s(\"%s\", window = 48, %s = 1)", d->format, d->path ? d->path : "series.csv", lone->name);
    return false;
  }
  if (d->window && !d->stride) d->stride = has_tokens(d) ? d->window : 1;
  d->window += o->rows_ahead;
  return true;
}

bool source_complete(Elaborator *x, const SourceOptions *o, DataSet *d, Ast *from) {
  if (!complete_windows(x, o, d, from)) return false;
  bool text = !strcmp(d->format, "text");
  if (!text && !o->named && has_tokens(d)) {
    d->tokens = (int)o->size;
    if (o->size) return true;
    Diag *g = diag_add(x->diags, DIAG_SOURCE, from->span, "how many tokens there are is missing");
    diag_help(g, "tokens(\"%s\", size = 50257, window = 65), or a tokenizer, whose tokens they are", d->path);
    return false;
  }
  Ast *around = o->begin ? o->begin : o->end;
  if (around && d->window) {
    Diag *g = diag_add(x->diags, DIAG_SOURCE, around->span, "`%s` goes with each text, and windows go on through all",
                       around->name);
    diag_help(g, "lines, without a window; or special = \"%s\", which is found where it stands in the text",
              around->value->text);
    return false;
  }
  bool cut = has_tokens(d) || o->named || o->merges || o->lowercase || o->special || around;
  return !cut || read_vocabulary(x, o, d);
}

Env *text_names(Elaborator *x, const DataSet *d, Span at) {
  if (!d->tokens) return NULL;
  return env_bind(x, NULL, str_internz(x->strings, "V"), value_int(x, dim_const(x->ir, d->tokens), at), at);
}
