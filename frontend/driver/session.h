/* session.h - what one run of nnc works with, and how it ends. */
#ifndef NNC_FRONTEND_DRIVER_SESSION_H
#define NNC_FRONTEND_DRIVER_SESSION_H

#include "lang/diag.h"

typedef struct Session {
  Arena *arena;
  StrTable *strings;
  Sources sources;
  DiagSink diags; /* main() renders it at the end */
} Session;

/* Exit codes of nnc; 70 is an internal error. */
enum { EXIT_PROGRAM = 1, EXIT_USAGE = 2, EXIT_ENVIRONMENT = 3 };

/* Prints "nnc: error: …" on stderr and returns `code`: for what is no mistake in the user's program. */
int driver_error(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
