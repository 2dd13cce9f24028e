/* options.c - see options.h. A setter stores one option's value; it returns NULL, or what is wrong with it. */
#include "frontend/driver/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lang/closest.h"

enum { GPU_SLICES = 256 /* blocks that keep one busy */ };

/* ---- setters */

/* The place of a value among words separated by `|`, or -1. */
static int choice(const char *words, const char *value) {
  size_t n = strlen(value);
  for (int i = 0;; i++) {
    size_t length = strcspn(words, "|");
    if (length == n && !memcmp(words, value, n)) return i;
    if (!words[length]) return -1;
    words += length + 1;
  }
}

static const char *set_emit(Options *o, Arena *a, const char *value) {
  while (*value) {
    size_t n = strcspn(value, "="), all = strcspn(value, ",");
    if (n > all) n = all;
    EmitRequest r = {0};
    if (!emit_kind_named(value, n, &r.kind)) {
      const char *names[EMIT_COUNT], *wrong = arena_strndup(a, value, n);
      for (int i = 0; i < EMIT_COUNT; i++) names[i] = emit_name((EmitKind)i);
      const char *close = name_closest(wrong, names, EMIT_COUNT);
      return close ? arena_printf(a, "there is no kind `%s`; did you mean `%s`?", wrong, close)
                   : arena_printf(a, "there is no kind `%s`; `nnc --help` lists them", wrong);
    }
    if (value[n] == '=') r.path = arena_strndup(a, value + n + 1, all - n - 1);
    vec_push(a, &o->build.emit, r);
    value += all + (value[all] == ',');
  }
  return NULL;
}

static void set_object(Options *o, Arena *a) { vec_push(a, &o->build.emit, (EmitRequest){EMIT_obj, NULL}); }
static void set_assembly(Options *o, Arena *a) { vec_push(a, &o->build.emit, (EmitRequest){EMIT_asm, NULL}); }

static const char *set_level(Options *o, Arena *a, const char *value) {
  int i = choice("0|1|2|3", value);
  if (i < 0) return arena_printf(a, "`%s` is none of 0, 1, 2 and 3", value);
  o->build.compile.passes.level = i;
  return NULL;
}

static const char *set_memory(Options *o, Arena *a, const char *value) {
  static const char suffixes[] = "KMG";
  char *end;
  errno = 0;
  long long n = strtoll(value, &end, 10);
  const char *suffix = *end ? strchr(suffixes, *end) : NULL;
  int shift = suffix ? 10 * (int)(suffix - suffixes + 1) : 0;
  if (end == value || n <= 0 || errno || (*end && (!suffix || end[1])) || n > INT64_MAX >> shift)
    return arena_printf(a, "`%s` is no size: a number of bytes, with K, M or G for 2^10, 2^20 or 2^30 of them",
                        value);
  o->build.compile.memory = (int64_t)n << shift;
  return NULL;
}

static const char *set_micro_batch(Options *o, Arena *a, const char *value) {
  char *end;
  errno = 0;
  long long n = strtoll(value, &end, 10);
  bool automatic = !strcmp(value, "auto");
  if (!automatic && (end == value || *end || errno || n < 1))
    return arena_printf(a, "`%s` is no number of examples, and not `auto`", value);
  o->build.compile.micro_batch = automatic ? -1 : (int64_t)n;
  return NULL;
}

static const char *set_precision(Options *o, Arena *a, const char *value) {
  int i = choice("f32|f64|bf16|tf32", value);
  if (i < 0) return arena_printf(a, "`%s` is none of f32, f64, bf16 and tf32", value);
  o->build.meaning.f64 = i == 1;
  o->build.meaning.products_given = true;
  o->build.meaning.products = i == 2 ? DT_bf16 : DT_f64;
  o->build.compile.tf32 = i == 3;
  return NULL;
}

static const char *set_target(Options *o, Arena *a, const char *value) {
  int i = choice("cpu|cuda", value);
  if (i < 0) return arena_printf(a, "`%s` is none of cpu and cuda", value);
  o->build.cuda = o->build.compile.passes.gpu = i == 1;
  if (i == 1) o->build.compile.passes.slices = GPU_SLICES;
  return NULL;
}

static const char *set_sm(Options *o, Arena *a, const char *value) {
  size_t n = strspn(value, "0123456789abf,");
  if (!n || value[n]) return arena_printf(a, "`%s` is no list of versions as 80,90a", value);
  o->build.sm = value;
  return NULL;
}

static const char *set_definition(Options *o, Arena *a, const char *value) {
  size_t n = strcspn(value, "=");
  if (n == 0 || !value[n]) return arena_printf(a, "`%s` is not written NAME=VALUE", value);
  vec_push(a, &o->definitions, (Definition){arena_strndup(a, value, n), value + n + 1});
  o->build.meaning.definitions = o->definitions.at;
  o->build.meaning.ndefinitions = o->definitions.n;
  return NULL;
}

/* NULL, or that there is no pass of this name. */
static const char *unknown_pass(Arena *a, const char *name) {
  const char *names[64];
  int n = 0;
  if (pass_find(name)) return NULL;
  for (; n < 64 && pipeline[n].name; n++) names[n] = pipeline[n].name;
  const char *close = name_closest(name, names, n);
  return close ? arena_printf(a, "there is no pass `%s`; did you mean `%s`?", name, close)
               : arena_printf(a, "there is no pass `%s`", name);
}

static const char *set_dump_after(Options *o, Arena *a, const char *value) {
  o->build.compile.passes.dump_after = value;
  return strcmp(value, "all") ? unknown_pass(a, value) : NULL;
}

static const char *set_stop_after(Options *o, Arena *a, const char *value) {
  o->build.compile.passes.stop_after = value;
  return unknown_pass(a, value);
}

static const char *set_disable_pass(Options *o, Arena *a, const char *value) {
  vec_push(a, &o->disabled, value);
  vec_push(a, &o->disabled, NULL);
  o->disabled.n--;
  o->build.compile.passes.disabled = o->disabled.at;
  return unknown_pass(a, value);
}

/* Those that only keep a text. */
#define KEEP(setter, field)                                                                                          \
  static const char *setter(Options *o, Arena *a, const char *value) {                                               \
    (void)a;                                                                                                         \
    o->build.field = value;                                                                                          \
    return NULL;                                                                                                     \
  }
KEEP(set_output, output)
KEEP(set_march, compile.march)
KEEP(set_only, compile.only)
KEEP(set_cc, cc)
KEEP(set_nvrtc, nvrtc)
KEEP(set_runtime, runtime)
#undef KEEP

static const char *set_error_format(Options *o, Arena *a, const char *value) {
  int i = choice("human|short|json", value);
  if (i < 0) return arena_printf(a, "`%s` is none of human, short and json", value);
  o->format = (RenderFormat)i;
  return NULL;
}

static const char *set_color(Options *o, Arena *a, const char *value) {
  int i = choice("auto|always|never", value);
  if (i < 0) return arena_printf(a, "`%s` is none of auto, always and never", value);
  o->color = (ColorWhen)i;
  return NULL;
}

/* Those that set a flag. */
#define SWITCH(setter, field)                                                                                        \
  static void setter(Options *o, Arena *a) {                                                                         \
    (void)a;                                                                                                         \
    o->field = true;                                                                                                 \
  }
SWITCH(set_static, build.is_static)
SWITCH(set_verify, build.compile.passes.verify)
SWITCH(set_time_passes, build.time_passes)
SWITCH(set_print_link, build.print_link)
SWITCH(set_interpret, interpret)
SWITCH(set_check, check)
SWITCH(set_grad, grad)
SWITCH(set_bisect, bisect)
SWITCH(set_werror, werror)
SWITCH(set_quiet, quiet)
#undef SWITCH

/* ---- the table */

typedef struct Row {
  const char *spelling, *argument, *group, *help;
  const char *(*value)(Options *, Arena *, const char *); /* or */
  void (*flag)(Options *, Arena *);
} Row;

static const Row rows[] = {
#define VALUE(spelling, argument, setter, group, help) {spelling, argument, group, help, setter, NULL},
#define FLAG(spelling, setter, group, help)            {spelling, NULL, group, help, NULL, setter},
#include "frontend/driver/options.def"
};
enum { ROWS = sizeof rows / sizeof *rows };

/* The row of a word, and in *value what is joined to it: `--name=V`, `-oV`; NULL where nothing is. */
static const Row *find(const char *word, const char **value) {
  *value = NULL;
  for (int i = 0; i < ROWS; i++) {
    const Row *r = &rows[i];
    size_t n = strlen(r->spelling);
    if (!strcmp(word, r->spelling)) return r;
    bool joined = r->value && !strncmp(word, r->spelling, n) && (n == 2 || word[n] == '=');
    if (!joined) continue;
    *value = word + n + (word[n] == '=' && n > 2);
    return r;
  }
  return NULL;
}

static const char *unknown(Arena *a, const char *word) {
  const char *names[ROWS + 2];
  for (int i = 0; i < ROWS; i++) names[i] = rows[i].spelling;
  names[ROWS] = "--help";
  names[ROWS + 1] = "--version";
  const char *name = arena_strndup(a, word, strcspn(word, "="));
  const char *close = name_closest(name, names, ROWS + 2);
  if (close) return arena_printf(a, "there is no option `%s`; did you mean `%s`?", name, close);
  return arena_printf(a, "there is no option `%s`; `nnc --help` lists them", name);
}

static const char *parse_option(Options *o, Arena *a, char **argv, int *i) {
  const char *word = argv[*i], *value;
  if (!strcmp(word, "--help") || !strcmp(word, "-h")) {
    o->help = true;
    return NULL;
  }
  if (!strcmp(word, "--version")) {
    o->version = true;
    return NULL;
  }
  const Row *r = find(word, &value);
  if (!r) return unknown(a, word);
  if (r->flag) {
    r->flag(o, a);
    return NULL;
  }
  if (!value) value = argv[++*i];
  if (!value) return arena_printf(a, "`%s` needs %s after it", r->spelling, r->argument);
  const char *error = r->value(o, a, value);
  return error ? arena_printf(a, "%s: %s", r->spelling, error) : NULL;
}

const char *options_parse(Options *o, Arena *a, int argc, char **argv) {
  *o = (Options){.build.compile = {.passes.level = 2, .march = "native", .version = NNC_VERSION}};
  for (int i = 1; i < argc; i++) {
    if (!strcmp(argv[i], "--")) {
      o->rest = argv + i + 1;
      o->nrest = argc - i - 1;
      return NULL;
    }
    if (argv[i][0] != '-' || !argv[i][1]) {
      vec_push(a, &o->words, argv[i]);
      continue;
    }
    const char *error = parse_option(o, a, argv, &i);
    if (error) return error;
  }
  return NULL;
}

void options_help(Buf *out) {
  const char *group = "";
  for (int i = 0; i < ROWS; i++) {
    if (strcmp(group, rows[i].group)) buf_printf(out, "\n%s:\n", rows[i].group);
    group = rows[i].group;
    char left[80];
    const char *argument = rows[i].argument ? rows[i].argument : "";
    const char *between = !rows[i].argument ? "" : rows[i].spelling[1] == '-' ? "=" : " ";
    int n = snprintf(left, sizeof left, "%s%s%s", rows[i].spelling, between, argument);
    buf_printf(out, "  %s%*s%s\n", left, n < 32 ? 32 - n : 1, "", rows[i].help);
  }
  buf_puts(out, "\nKINDs of --emit:\n");
  for (int i = 0; i < EMIT_COUNT; i++) buf_printf(out, "  %-32s%s\n", emit_name((EmitKind)i), emit_what((EmitKind)i));
}
