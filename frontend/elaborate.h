/* elaborate.h - from trees to a Program: names, types, lifting, index notation, and the graphs. */
#ifndef NNC_FRONTEND_ELABORATE_H
#define NNC_FRONTEND_ELABORATE_H

#include "ir/program.h"
#include "lang/diag.h"

typedef struct Definition { /* -D NAME=value */
  const char *name, *value;
} Definition;

typedef struct ElaborateOptions {
  bool f64; /* --precision f64: every f32 of the program is f64 */
  int ndefinitions;
  const Definition *definitions;
  const char *folder; /* where data files with relative paths are looked for; NULL: where the program runs */
  bool check_grads;   /* `test` blocks bring what finite differences are held against: frontend/test.c */
  bool check_library; /* check the library's generic code too (tests) */
} ElaborateOptions;

/* Parses and elaborates the file at `path` (its text is given) with all that it imports. Mistakes go to the sink; the
 * program is to be used only if the sink has no error. Never NULL. All memory is the arena's. */
Program *elaborate_program(Arena *a, StrTable *strings, Sources *sources, DiagSink *diags, Str path, const char *text,
                           size_t n, const ElaborateOptions *options);

#endif
