/* options.c - parses the command line: `--key value`, `--key=value`, `key=value`, `-k`; the environment stands in for
 * what is not given. */
#include "runtime/cli.h"
#include "runtime/closest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const NnrtOption options[] = {
#define ROW(id, name, letter, argument, verbs, fallback, help) {name, letter, argument, verbs, fallback, help},
#define TRAIN(id, ...)
#define GPU(id, ...)
#include "runtime/options.def"
#undef ROW
#undef TRAIN
#undef GPU
};
enum { COMMON = sizeof options / sizeof *options };

/* A program that can't train, or has no code for a GPU, has these; options_train.c and cuda_open.c have the real
 * ones. */
#define NONE                                                                                                         \
  { "", 0, NULL, "", NULL, "" }
static const NnrtOption none = NONE;
__attribute__((weak)) const NnrtTrainCli nnrt_train_cli = {NULL, NULL};
__attribute__((weak)) const NnrtOption nnrt_gpu_options[] = {
#define ROW(id, ...)
#define TRAIN(id, ...)
#define GPU(id, ...) NONE,
#include "runtime/options.def"
#undef ROW
#undef TRAIN
#undef GPU
};

const NnrtOption *nnrt_option(int id) {
  if (id < COMMON) return &options[id];
  if (id >= NNRT_OPT_DEVICE) return &nnrt_gpu_options[id - NNRT_OPT_DEVICE];
  return nnrt_train_cli.options ? &nnrt_train_cli.options[id - COMMON] : &none;
}

static bool applies(const NnrtCli *c, int id) { return strchr(nnrt_option(id)->verbs, c->kind) != NULL; }

/* The option of this verb with the name text[0..n). */
static int find(const NnrtCli *c, const char *text, size_t n) {
  for (int id = 0; id < NNRT_OPT_COUNT; id++)
    if (applies(c, id) && strlen(nnrt_option(id)->name) == n && memcmp(nnrt_option(id)->name, text, n) == 0)
      return id;
  return -1;
}

static int unknown(NnrtCli *c, const char *name) {
  NnrtClosest near = {0};
  char hint[96];
  for (int id = 0; id < NNRT_OPT_COUNT; id++)
    if (applies(c, id)) nnrt_closest_try(&near, name, nnrt_option(id)->name);
  if (!*nnrt_closest_text(&near, name, hint))
    snprintf(hint, sizeof hint, "; `%.40s %.32s --help` lists them", c->program->name, c->verb->name);
  return nnrt_fail(&c->error, NNRT_EUSAGE, "%s has no option --%s%s", c->verb->name, name, hint);
}

static void give(NnrtCli *c, int id, const char *value) {
  c->given[c->n_given++] = (NnrtGiven){(NnrtOptionId)id, value};
}

/* Does `text` look like another option, so that an optional argument was left out? */
static bool is_option(const NnrtCli *c, const char *text) {
  const char *equals = strchr(text, '=');
  return (text[0] == '-' && text[1]) || (equals && find(c, text, (size_t)(equals - text)) >= 0);
}

/* An option whose value, if any, is the next argument. */
static int take_separate(NnrtCli *c, int id, int argc, char **argv, int *i) {
  const char *argument = nnrt_option(id)->argument;
  if (!argument) {
    give(c, id, "");
  } else if (*i + 1 < argc && (argument[0] != '[' || !is_option(c, argv[*i + 1]))) {
    give(c, id, argv[++*i]);
  } else if (argument[0] == '[') {
    give(c, id, "");
  } else {
    return nnrt_fail(&c->error, NNRT_EUSAGE, "--%s needs %s", nnrt_option(id)->name, argument);
  }
  return NNRT_OK;
}

static int take_long(NnrtCli *c, int argc, char **argv, int *i) {
  const char *name = argv[*i] + 2, *equals = strchr(name, '=');
  size_t n = equals ? (size_t)(equals - name) : strlen(name);
  int id = find(c, name, n);
  if (id < 0) {
    char text[64];
    snprintf(text, sizeof text, "%.*s", (int)(n < 63 ? n : 63), name);
    return unknown(c, text);
  }
  if (!equals) return take_separate(c, id, argc, argv, i);
  give(c, id, equals + 1);
  return NNRT_OK;
}

static int take_letter(NnrtCli *c, int argc, char **argv, int *i) {
  for (int id = 0; id < NNRT_OPT_COUNT; id++)
    if (applies(c, id) && nnrt_option(id)->letter == argv[*i][1] && !argv[*i][2])
      return take_separate(c, id, argc, argv, i);
  return unknown(c, argv[*i] + 1);
}

static int take(NnrtCli *c, int argc, char **argv, int *i) {
  const char *text = argv[*i], *equals = strchr(text, '=');
  if (strncmp(text, "--", 2) == 0 && text[2]) return take_long(c, argc, argv, i);
  if (text[0] == '-' && text[1]) return take_letter(c, argc, argv, i);
  int id = equals ? find(c, text, (size_t)(equals - text)) : -1;
  if (id >= 0) give(c, id, equals + 1);
  else if (c->kind == 'p' || c->kind == 't' || c->kind == 'e') c->files[c->n_files++] = text;
  else return nnrt_fail(&c->error, NNRT_EUSAGE, "%s takes no argument \"%s\"", c->verb->name, text);
  return NNRT_OK;
}

int nnrt_cli_parse(NnrtCli *c, const NnrtProgram *p, const NnrtVerbRow *verb, char kind, int argc, char **argv) {
  *c = (NnrtCli){.program = p, .verb = verb, .kind = kind};
  c->given = calloc((size_t)argc + 1, sizeof *c->given);
  c->files = calloc((size_t)argc + 1, sizeof *c->files);
  if (!c->given || !c->files) return nnrt_fail_memory(&c->error, (size_t)argc * sizeof *c->given, "the arguments");
  int status = NNRT_OK;
  for (int i = 0; status == NNRT_OK && i < argc; i++) status = take(c, argc, argv, &i);
  c->json = nnrt_cli_flag(c, NNRT_OPT_JSON);
  c->quiet = nnrt_cli_flag(c, NNRT_OPT_QUIET);
  return status;
}

void nnrt_cli_free(NnrtCli *c) {
  free(c->given);
  free(c->files);
  nnrt_line_free(&c->line);
}

/* ---- values ---- */

/* NN_SAVE_EVERY for save-every. */
static const char *environment(NnrtOptionId id) {
  char key[64] = "NN_";
  size_t n = 3;
  for (const char *p = nnrt_option(id)->name; *p; p++)
    key[n++] = *p == '-' ? '_' : *p >= 'a' ? (char)(*p - 'a' + 'A') : *p;
  key[n] = 0;
  return getenv(key);
}

const char *nnrt_cli_text(const NnrtCli *c, NnrtOptionId id) {
  for (int i = c->n_given; i-- > 0;)
    if (c->given[i].id == id) return c->given[i].value;
  return applies(c, id) ? environment(id) : NULL;
}

bool nnrt_cli_flag(const NnrtCli *c, NnrtOptionId id) {
  const char *v = nnrt_cli_text(c, id);
  return v && strcmp(v, "0") != 0 && strcmp(v, "false") != 0 && strcmp(v, "no") != 0;
}

/* A natural number at *text; moves past it. */
static bool take_natural(const char **text, int64_t *v) {
  const char *p = *text;
  for (*v = 0; *p >= '0' && *p <= '9'; p++)
    if (__builtin_mul_overflow(*v, 10, v) || __builtin_add_overflow(*v, *p - '0', v)) return false;
  bool some = p > *text;
  *text = p;
  return some;
}

static int bad_value(NnrtCli *c, NnrtOptionId id, const char *v, int64_t least) {
  return nnrt_fail(&c->error, NNRT_EUSAGE, "--%s takes a natural number from %lld on, not \"%s\"",
                   nnrt_option(id)->name, (long long)least, v);
}

int nnrt_cli_natural(NnrtCli *c, NnrtOptionId id, int64_t least, int64_t fallback, int64_t *value) {
  const char *v = nnrt_cli_text(c, id), *p = v;
  *value = fallback;
  if (!v) return NNRT_OK;
  if (!take_natural(&p, value) || *p || *value < least) return bad_value(c, id, v, least);
  return NNRT_OK;
}
