/* format.c - the verb fmt: sources in the one look, in place, or by -o somewhere else. */
#include <stdio.h>
#include <string.h>

#include "frontend/driver/output.h"
#include "frontend/driver/verbs.h"
#include "lang/format.h"
#include "lang/parse.h"

/* 0, or an exit code; *changed if the file was not in the one look. */
static int format_file(Session *s, const Options *o, const char *path, bool *changed) {
  char *text;
  size_t n;
  const char *error = input_read(s->arena, path, &text, &n);
  if (error) return driver_error(EXIT_ENVIRONMENT, "%s", error);
  uint32_t source = sources_add(&s->sources, str_internz(s->strings, path), text, n);
  int errors = s->diags.errors;
  parse_source(s->arena, s->strings, &s->sources, source, &s->diags);
  if (s->diags.errors > errors) return EXIT_PROGRAM;
  Buf out = {0};
  format_source(&out, s->arena, s->strings, &s->sources, source);
  bool differs = out.n != n || memcmp(out.text ? out.text : "", text, n) != 0;
  *changed |= differs;
  const char *to = o->build.output ? o->build.output : path;
  if (o->check && differs) printf("%s\n", path);
  if (!o->check && (differs || o->build.output)) error = output_write(s->arena, to, out.text ? out.text : "", out.n);
  buf_free(&out);
  return error ? driver_error(EXIT_ENVIRONMENT, "%s", error) : 0;
}

int verb_fmt(Session *s, Options *o, int nwords, const char *const *words) {
  if (nwords == 0) return driver_error(EXIT_USAGE, "no file was given");
  if (nwords > 1 && o->build.output) return driver_error(EXIT_USAGE, "-o with more than one file");
  int status = 0;
  bool changed = false;
  for (int i = 0; i < nwords; i++) {
    int one = format_file(s, o, words[i], &changed);
    if (one > status) status = one;
  }
  return status ? status : o->check && changed ? EXIT_PROGRAM : 0;
}
