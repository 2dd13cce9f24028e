/* compile.c - the verbs that read a program: compile, check and run. What is asked of the text alone, tokens and
 * tree, is made here; the stages after it are build.c's. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/driver/bisect.h"
#include "frontend/driver/output.h"
#include "frontend/driver/run.h"
#include "frontend/driver/verbs.h"
#include "lang/parse.h"

/* The one file that a verb was given; NULL after a message. */
static const char *one_file(int nwords, const char *const *words) {
  if (nwords == 1) return words[0];
  if (nwords == 0) driver_error(EXIT_USAGE, "no file was given; `nnc --help` shows how nnc is called");
  else
    driver_error(EXIT_USAGE, "one file was expected, and `%s` comes after it; a program's own words go after `--`",
                 words[1]);
  return NULL;
}

/* Reads a file into the session's sources; 0 and its number, or an exit code. */
static int read_source(Session *s, const char *path, uint32_t *number) {
  char *text;
  size_t n;
  const char *error = input_read(s->arena, path, &text, &n);
  if (error) return driver_error(EXIT_ENVIRONMENT, "%s", error);
  if (n >= (size_t)1 << 30) return driver_error(EXIT_PROGRAM, "%s: a source of more than 1 GiB", path);
  *number = sources_add(&s->sources, str_internz(s->strings, path), text, n);
  return 0;
}

static int write_text(Session *s, const char *path, Buf *text) {
  const char *error = output_write(s->arena, path ? path : "-", text->text ? text->text : "", text->n);
  buf_free(text);
  return error ? driver_error(EXIT_ENVIRONMENT, "%s", error) : 0;
}

static int emit_tokens(Session *s, uint32_t source, const char *path) {
  Buf text = {0};
  tokens_print(&text, s->arena, s->strings, &s->sources, source, &s->diags);
  return write_text(s, path, &text);
}

static int emit_tree(Session *s, uint32_t source, const char *path) {
  Buf text = {0};
  ast_print(&text, parse_source(s->arena, s->strings, &s->sources, source, &s->diags), &s->sources);
  return write_text(s, path, &text);
}

/* Writes what is asked of the text alone, and takes it from the list. Mistakes in it are reported by the parse that
 * follows, or by this one where nothing follows. */
static int emit_text(Session *s, BuildOptions *o) {
  uint32_t source = 0;
  int status = 0, kept = 0;
  for (int i = 0; i < o->emit.n; i++) {
    EmitRequest r = o->emit.at[i];
    if (r.kind > EMIT_ast) {
      o->emit.at[kept++] = r;
      continue;
    }
    if (r.path && output_is(r.path, o->file)) return driver_error(EXIT_USAGE, "`%s` is the source", r.path);
    if (!source) status = read_source(s, o->file, &source);
    if (!status) status = r.kind == EMIT_tokens ? emit_tokens(s, source, r.path) : emit_tree(s, source, r.path);
    if (status) return status;
  }
  o->emit.n = kept;
  return s->diags.errors ? EXIT_PROGRAM : 0;
}

int verb_compile(Session *s, Options *o, int nwords, const char *const *words) {
  if (!(o->build.file = one_file(nwords, words))) return EXIT_USAGE;
  if (o->bisect) return bisect_file(s, o);
  bool whole = o->build.emit.n == 0;
  int status = emit_text(s, &o->build);
  return status || (!whole && o->build.emit.n == 0) ? status : build_file(s, &o->build);
}

int verb_check(Session *s, Options *o, int nwords, const char *const *words) {
  if (!(o->build.file = one_file(nwords, words))) return EXIT_USAGE;
  Program *program = NULL;
  int status = build_load(s, &o->build, &program);
  return status || !o->build.compile.memory ? status : build_check_memory(s, &o->build, program);
}

int explain_file(Session *s, Options *o, const char *place) {
  const char *colon = strrchr(place, ':');
  bool has_line = colon && colon[1] && !colon[1 + strspn(colon + 1, "0123456789")];
  int line = has_line ? atoi(colon + 1) : 0;
  o->build.file = has_line ? arena_strndup(s->arena, place, (size_t)(colon - place)) : place;
  Program *program = NULL;
  int status = build_load(s, &o->build, &program);
  return status ? status : build_explain(s, &o->build, program, line);
}

int verb_run(Session *s, Options *o, int nwords, const char *const *words) {
  if (!(o->build.file = one_file(nwords, words))) return EXIT_USAGE;
  char **argv = NEW_ARRAY(s->arena, char *, o->nrest + 2); /* argv[0] is theirs to name */
  if (o->nrest) memcpy(argv + 1, o->rest, sizeof *argv * (size_t)o->nrest);
  argv[0] = arena_strndup(s->arena, "nnc", 3);
  return o->interpret ? run_interpreted(s, &o->build, o->nrest + 1, argv)
                      : run_file(s, &o->build, o->nrest + 1, argv);
}
