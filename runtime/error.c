/* error.c - see error.h. */
#include "runtime/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int nnrt_fail(NnrtError *e, int status, const char *format, ...) {
  if (!e) return status;
  e->status = status;
  va_list args;
  va_start(args, format);
  int n = vsnprintf(e->text, sizeof e->text, format, args);
  va_end(args);
  size_t length = strlen(e->text);
  if (n >= 0 && (size_t)n > length) /* cut: not inside a UTF-8 sequence */
    while (length > 0 && ((unsigned char)e->text[length - 1] & 0x80) != 0) e->text[--length] = 0;
  for (size_t i = 0; i < length; i++)
    if ((unsigned char)e->text[i] < 32 || e->text[i] == 127) e->text[i] = '?';
  return status;
}

int nnrt_fail_memory(NnrtError *e, unsigned long long bytes, const char *what) {
  return nnrt_fail(e, NNRT_EDEVICE, "out of memory (%llu bytes for %s)", bytes, what);
}
