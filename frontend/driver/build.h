/* build.h - from a file of the user's to what was asked for: an executable, an object, or what a stage made. */
#ifndef NNC_FRONTEND_DRIVER_BUILD_H
#define NNC_FRONTEND_DRIVER_BUILD_H

#include "codegen/compile.h"
#include "frontend/driver/emit.h"
#include "frontend/driver/session.h"
#include "frontend/elaborate.h"

typedef struct BuildOptions {
  const char *file;
  const char *output;       /* -o; NULL: the source's name without .nn, with the kind's ending, in this folder */
  Vec(EmitRequest) emit;    /* none: an executable. -c is obj, -S is asm */
  ElaborateOptions meaning; /* --precision, -D */
  CompileOptions compile;   /* its hooks and sources are set by the driver */
  const char *cc;           /* --cc; NULL: cc */
  const char *runtime;      /* --runtime: a folder with another libnnrt.a; NULL: the one inside nnc */
  bool is_static;           /* --static */
  bool cuda;                /* --target=cuda */
  const char *sm, *nvrtc;   /* --sm, --nvrtc; NULL: the usual ones */
  bool print_link;          /* -###: print the link line, do not run it */
  bool time_passes;
} BuildOptions;

/* Reads and elaborates o->file. 0 and the program, or an exit code. */
int build_load(Session *s, const BuildOptions *o, Program **program);

/* Whether the program fits --mem, without code. 0 or an exit code. */
int build_check_memory(Session *s, BuildOptions *o, const Program *program);

/* What became of the lines of o->file, or of one line: on stdout. 0 or an exit code. */
int build_explain(Session *s, BuildOptions *o, const Program *program, int line);

/* What o->emit asks for, from an elaborated program. 0 or an exit code. */
int build_program(Session *s, BuildOptions *o, Program *program);

/* nnc FILE: both of them: 0 or an exit code. Files appear whole or not at all. Mistakes in the program are in
 * s->diags; others were printed on stderr. */
int build_file(Session *s, BuildOptions *o);

#endif
