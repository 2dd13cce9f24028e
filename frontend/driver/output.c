/* output.c - see output.h. */
#include "frontend/driver/output.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *failed(Arena *a, const char *what, const char *path) {
  return arena_printf(a, "cannot %s %s: %s", what, path, strerror(errno));
}

const char *output_temporary(Arena *a, const char *path) {
  return arena_printf(a, "%s.%ld.tmp", path, (long)getpid());
}

static bool write_file(const char *path, const void *bytes, size_t n) {
  FILE *f = fopen(path, "wb");
  if (!f) return false;
  bool ok = n == 0 || fwrite(bytes, 1, n, f) == n;
  return fclose(f) == 0 && ok;
}

const char *output_start(Arena *a, const char *temporary, const char *path) {
  return write_file(temporary, NULL, 0) ? NULL : failed(a, "write", path);
}

/* A device, a pipe: a thing to write to, not to put another in the place of. */
static bool is_special(const char *path) {
  struct stat s;
  return stat(path, &s) == 0 && !S_ISREG(s.st_mode) && !S_ISDIR(s.st_mode);
}

bool output_is(const char *path, const char *file) {
  struct stat a, b;
  bool both = stat(path, &a) == 0 && stat(file, &b) == 0;
  return both && S_ISREG(a.st_mode) && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

static const char *copy_into(Arena *a, const char *from, const char *path) {
  char *bytes;
  size_t n;
  const char *error = input_read(a, from, &bytes, &n);
  if (!error && !write_file(path, bytes, n)) error = failed(a, "write", path);
  output_drop(from);
  return error;
}

const char *output_finish(Arena *a, const char *temporary, const char *path) {
  if (is_special(path)) return copy_into(a, temporary, path);
  if (rename(temporary, path) == 0) return NULL;
  const char *error = failed(a, "write", path);
  output_drop(temporary);
  return error;
}

void output_drop(const char *temporary) { (void)unlink(temporary); }

const char *output_write(Arena *a, const char *path, const void *bytes, size_t n) {
  if (!strcmp(path, "-")) {
    bool ok = (n == 0 || fwrite(bytes, 1, n, stdout) == n) && fflush(stdout) == 0;
    return ok ? NULL : failed(a, "write", "stdout");
  }
  if (is_special(path)) return write_file(path, bytes, n) ? NULL : failed(a, "write", path);
  const char *temporary = output_temporary(a, path);
  if (write_file(temporary, bytes, n)) return output_finish(a, temporary, path);
  const char *error = failed(a, "write", path);
  output_drop(temporary);
  return error;
}

enum { MAX_INPUT = 1 << 30 };

const char *input_read(Arena *a, const char *path, char **text, size_t *n) {
  FILE *f = fopen(path, "rb");
  if (!f) return failed(a, "read", path);
  Buf b = {0};
  char block[1 << 16];
  size_t got;
  while (b.n < MAX_INPUT && (got = fread(block, 1, sizeof block, f)) > 0) buf_write(&b, block, got);
  const char *error = ferror(f) ? failed(a, "read", path) : NULL;
  if (b.n >= MAX_INPUT) error = arena_printf(a, "cannot read %s: it is over 1 GiB", path);
  fclose(f);
  *text = arena_strndup(a, b.text ? b.text : "", b.n);
  *n = b.n;
  buf_free(&b);
  return error;
}

const char *output_folder(Arena *a, const char *path) {
  char *copy = arena_strndup(a, path, strlen(path));
  for (char *p = copy + 1; *p; p++) {
    if (*p != '/') continue;
    *p = 0;
    (void)mkdir(copy, 0777);
    *p = '/';
  }
  return mkdir(copy, 0777) == 0 || errno == EEXIST ? NULL : failed(a, "make the folder", path);
}
