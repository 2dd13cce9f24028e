/* main.c - nnc: reads the command line, runs the verb, shows the messages. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "codegen/codegen.h"
#include "frontend/driver/verbs.h"
#include "lang/closest.h"

static void print_help(void) {
  Buf out = {0};
  buf_puts(&out, "nnc compiles .nn, a language for neural models, to native programs.\n\nusage:\n");
  for (int i = 0; i < verb_count; i++) {
    char left[64];
    int n = snprintf(left, sizeof left, "nnc %s%s%s", verbs[i].name, verbs[i].name[0] ? " " : "", verbs[i].arguments);
    buf_printf(&out, "  %s%*s%s\n", left, n < 32 ? 32 - n : 1, "", verbs[i].purpose);
  }
  options_help(&out);
  buf_puts(&out, "\n  --help, -h                      this text\n  --version                       nnc's version\n");
  buf_puts(&out, "\nExit codes: 0; 1 mistakes in the program; 2 usage; 3 environment; 70 an internal error.\n");
  fputs(out.text, stdout);
  buf_free(&out);
}

/* The verb that a word names, or NULL; and in *close the one that it may have been meant to name. */
static const Verb *find_verb(const char *word, const char **close) {
  const char *names[32];
  int n = 0;
  for (int i = 1; i < verb_count; i++) {
    if (!strcmp(verbs[i].name, word)) return &verbs[i];
    if (n < 32) names[n++] = verbs[i].name;
  }
  *close = name_closest(word, names, n);
  return NULL;
}

static bool wants_color(const Options *o) {
  const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
  if (o->color != COLOR_AUTO) return o->color == COLOR_ALWAYS;
  return isatty(STDERR_FILENO) && !(no && *no) && term && strcmp(term, "dumb") != 0;
}

static void show_messages(const Session *s, const Options *o) {
  Buf out = {0};
  render_diags(&out, &s->diags, &s->sources,
               &(RenderOptions){.format = o->format, .color = wants_color(o), .quiet = o->quiet});
  if (out.text) fputs(out.text, stderr);
  buf_free(&out);
}

static int run(Session *s, Options *o) {
  const char *close = NULL, *first = o->words.n ? o->words.at[0] : NULL;
  if (!first) return verbs[0].run(s, o, 0, NULL);
  const Verb *v = find_verb(first, &close);
  if (v) return v->run(s, o, o->words.n - 1, o->words.at + 1);
  bool looks_like_verb = !strpbrk(first, "./") && access(first, F_OK) != 0;
  if (looks_like_verb && close)
    return driver_error(EXIT_USAGE, "there is no verb `%s`; did you mean `%s`?", first, close);
  if (looks_like_verb)
    return driver_error(EXIT_USAGE, "there is no verb and no file `%s`; `nnc --help` lists the verbs", first);
  return verbs[0].run(s, o, o->words.n, o->words.at);
}

int main(int argc, char **argv) {
  Arena *a = arena_new();
  Session s = {.arena = a, .strings = str_table_new(a), .sources = {.arena = a}, .diags = {.arena = a}};
  Options o;
  int status = 0;
  const char *error = options_parse(&o, a, argc, argv);
  s.diags.warnings_are_errors = o.werror;
  if (error) {
    status = driver_error(EXIT_USAGE, "%s", error);
  } else if (o.help) {
    print_help();
  } else if (o.version) {
    puts("nnc " NNC_VERSION);
  } else {
    status = run(&s, &o);
    show_messages(&s, &o);
    if (s.diags.errors && !status) status = EXIT_PROGRAM;
  }
  cpu_llvm_end();
  arena_free(a);
  return fflush(stdout) ? EXIT_ENVIRONMENT : status;
}
