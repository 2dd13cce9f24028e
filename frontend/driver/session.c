/* session.c - see session.h. */
#include "frontend/driver/session.h"

#include <stdio.h>

int driver_error(int code, const char *format, ...) {
  va_list args;
  va_start(args, format);
  fputs("nnc: error: ", stderr);
  vfprintf(stderr, format, args);
  fputs("\n", stderr);
  va_end(args);
  return code;
}
