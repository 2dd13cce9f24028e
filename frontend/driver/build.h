/* build.h - from a file of the user's to what was asked for: an executable, an object, or what a stage made. */
#ifndef NNC_FRONTEND_DRIVER_BUILD_H
#define NNC_FRONTEND_DRIVER_BUILD_H

#include "codegen/compile.h"
#include "frontend/elaborate.h"

/* What one run of nnc works with. */
typedef struct Session {
  Arena *arena;
  StrTable *strings;
  Sources sources;
  DiagSink diags; /* the caller renders it */
} Session;

/* Exit codes of nnc. */
enum { EXIT_PROGRAM = 1, EXIT_USAGE = 2, EXIT_ENVIRONMENT = 3 };

/* What --emit names. ROW(name, file name's ending, what it is). Kinds before exe that have no ending are texts, for
 * stdout unless a path is given. */
typedef enum EmitKind {
#define ROW(name, ending, what) EMIT_##name,
#include "frontend/driver/emit.def"
#undef ROW
  EMIT_COUNT
} EmitKind;
bool emit_kind_named(const char *name, size_t n, EmitKind *out);

typedef struct EmitRequest {
  EmitKind kind;
  const char *path; /* NULL: by the kind; "-": stdout */
} EmitRequest;

typedef struct BuildOptions {
  const char *file;
  const char *output;       /* -o; NULL: the source's name without .nn, with the kind's ending, in this folder */
  Vec(EmitRequest) emit;    /* none: an executable. -c is obj, -S is asm */
  ElaborateOptions meaning; /* --precision, -D */
  CompileOptions compile;   /* its hooks and sources are set by the driver */
  const char *cc;           /* --cc; NULL: cc */
  const char *runtime;      /* --runtime: a folder with another libnnrt.a; NULL: the one inside nnc */
  bool is_static;           /* --static */
  bool print_link;          /* -###: print the link line, do not run it */
  bool time_passes;
} BuildOptions;

/* Reads and elaborates o->file. 0 and the program, or an exit code. */
int build_load(Session *s, const BuildOptions *o, Program **program);

/* What o->emit asks for, from an elaborated program. 0 or an exit code. */
int build_program(Session *s, BuildOptions *o, Program *program);

/* nnc FILE: both of them: 0 or an exit code. Files appear whole or not at all. Mistakes in the program are in
 * s->diags; others were printed on stderr. */
int build_file(Session *s, BuildOptions *o);

#endif
