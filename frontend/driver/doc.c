/* doc.c - the verb doc: documentation comments as a page, of the sources named, or of the library where none is. */
#include <stdio.h>
#include <string.h>

#include "frontend/driver/output.h"
#include "frontend/driver/verbs.h"
#include "lang/document.h"
#include "lang/parse.h"
#include "stdlib/stdlib.h"

typedef Vec(Ast *) Files;

static void add_file(Session *s, Files *files, const char *path, const char *text, size_t n) {
  uint32_t source = sources_add(&s->sources, str_internz(s->strings, path), text, n);
  vec_push(s->arena, files, parse_source(s->arena, s->strings, &s->sources, source, &s->diags));
}

static void add_library(Session *s, Files *files) {
  for (const StdlibFile *f = stdlib_files; f->name; f++)
    add_file(s, files, str_internf(s->strings, "<stdlib>/%s", f->name), f->text, f->n);
}

static bool ends_in(const char *path, const char *ending) {
  size_t n = strlen(path), m = strlen(ending);
  return n >= m && !strcmp(path + n - m, ending);
}

/* `--check`: says what has no comment. */
static int report_missing(const Session *s, const Files *files) {
  Buf out = {0};
  int missing = 0;
  for (int i = 0; i < files->n; i++) missing += document_missing(&out, &s->sources, files->at[i]);
  if (out.text) fputs(out.text, stdout);
  buf_free(&out);
  return missing ? EXIT_PROGRAM : 0;
}

int verb_doc(Session *s, Options *o, int nwords, const char *const *words) {
  Files files = {0};
  const char *error = NULL, *to = o->build.output ? o->build.output : "-";
  if (!nwords) add_library(s, &files);
  for (int i = 0; i < nwords; i++) {
    char *text;
    size_t n;
    error = input_read(s->arena, words[i], &text, &n);
    if (error) return driver_error(EXIT_ENVIRONMENT, "%s", error);
    add_file(s, &files, words[i], text, n);
  }
  if (s->diags.errors) return EXIT_PROGRAM;
  if (o->check) return report_missing(s, &files);
  Buf out = {0};
  bool html = ends_in(to, ".html") || ends_in(to, ".htm");
  const char *title = nwords == 0 ? "The library of nnc" : nwords == 1 ? words[0] : "Documentation";
  document_write(&out, html ? DOCUMENT_HTML : DOCUMENT_MARKDOWN, title, &s->sources, files.at, files.n);
  error = output_write(s->arena, to, out.text, out.n);
  buf_free(&out);
  return error ? driver_error(EXIT_ENVIRONMENT, "%s", error) : 0;
}
