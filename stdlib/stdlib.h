/* stdlib.h - the library's .nn files, embedded. */
#ifndef NNC_STDLIB_STDLIB_H
#define NNC_STDLIB_STDLIB_H

#include <stdbool.h>
#include <stddef.h>

typedef struct StdlibFile {
  const char *name; /* "layers.nn" */
  const char *text; /* not NUL-terminated */
  size_t n;
  bool core; /* needs no import */
} StdlibFile;

extern const StdlibFile stdlib_files[]; /* ends with a NULL name */

#endif
