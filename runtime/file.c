/* file.c - see file.h. */
#include "runtime/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- reading ---- */

static int cannot_read(NnrtError *e, const char *path) {
  return nnrt_fail(e, NNRT_EDATA, "%s: cannot be read: %s", path, strerror(errno));
}

/* /dev/zero and its like give bytes until memory ends; a terminal is a device too, and has an end. */
static bool is_endless(int fd, const struct stat *st) { return S_ISCHR(st->st_mode) && !isatty(fd); }

/* All of a pipe or a terminal, into memory that doubles. */
static int read_stream(NnrtFile *f, int fd, const char *path, NnrtError *e) {
  size_t room = 1 << 16, n = 0;
  unsigned char *data = malloc(room);
  while (data) {
    ssize_t got = read(fd, data + n, room - n);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      free(data);
      return cannot_read(e, path);
    }
    if (got == 0) {
      *f = (NnrtFile){.data = data, .size = n};
      return NNRT_OK;
    }
    n += (size_t)got;
    if (n < room) continue;
    unsigned char *more = room > SIZE_MAX / 2 ? NULL : realloc(data, room * 2);
    if (!more) free(data);
    data = more;
    room *= 2;
  }
  return nnrt_fail_memory(e, room, path);
}

static int open_regular(NnrtFile *f, int fd, size_t size, const char *path, NnrtError *e) {
  if (size == 0) {
    *f = (NnrtFile){.data = (const unsigned char *)"", .mapped = true};
    return NNRT_OK;
  }
  void *at = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
  if (at == MAP_FAILED) return errno == ENODEV ? read_stream(f, fd, path, e) : cannot_read(e, path);
  *f = (NnrtFile){.data = at, .size = size, .mapped = true};
  return NNRT_OK;
}

int nnrt_file_open(NnrtFile *f, const char *path, NnrtError *e) {
  *f = (NnrtFile){0};
  if (strcmp(path, "-") == 0) return read_stream(f, STDIN_FILENO, "standard input", e);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return cannot_read(e, path);
  struct stat st;
  int status;
  if (fstat(fd, &st) != 0) status = cannot_read(e, path);
  else if (S_ISDIR(st.st_mode)) status = nnrt_fail(e, NNRT_EDATA, "%s: is a folder, not a file", path);
  else if (is_endless(fd, &st)) status = nnrt_fail(e, NNRT_EDATA, "%s: is a device, not a file", path);
  else if (S_ISREG(st.st_mode) && (st.st_size > 0 || strncmp(path, "/proc/", 6) != 0))
    status = open_regular(f, fd, (size_t)st.st_size, path, e);
  else status = read_stream(f, fd, path, e);
  close(fd);
  return status;
}

void nnrt_file_close(NnrtFile *f) {
  if (f->mapped && f->size) munmap((void *)(uintptr_t)f->data, f->size);
  if (!f->mapped) free((void *)(uintptr_t)f->data);
  *f = (NnrtFile){0};
}

/* ---- writing ---- */

bool nnrt_write_all(int fd, const void *data, size_t size) {
  const char *p = data;
  while (size) {
    ssize_t n = write(fd, p, size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    if (n == 0) {
      errno = ENOSPC;
      return false;
    }
    p += n;
    size -= (size_t)n;
  }
  return true;
}

/* The folder's own entry must reach the disk too, or the rename may be lost with the power. */
static bool sync_folder(const char *path, char *text) {
  size_t n = strlen(path);
  while (n && path[n - 1] != '/') n--;
  if (n > 1) n--; /* the root keeps its stroke */
  memcpy(text, n ? path : ".", n ? n : 1);
  text[n ? n : 1] = 0;
  int fd = open(text, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return false;
  bool done = fsync(fd) == 0 || errno == EINVAL; /* some file systems have no sync of folders */
  int code = errno;
  close(fd);
  errno = code;
  return done;
}

static bool write_slices(int fd, const NnrtSlice *slices, int n) {
  for (int i = 0; i < n; i++)
    if (!nnrt_write_all(fd, slices[i].data, slices[i].size)) return false;
  return fsync(fd) == 0;
}

int nnrt_file_write(const char *path, const NnrtSlice *slices, int n, NnrtError *e) {
  size_t room = strlen(path) + 8;
  char *temporary = malloc(room);
  if (!temporary) return nnrt_fail_memory(e, room, "a file's name");
  snprintf(temporary, room, "%s.tmp", path);
  int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  bool done = fd >= 0 && write_slices(fd, slices, n);
  int code = errno;
  if (fd >= 0 && close(fd) != 0 && done) {
    done = false;
    code = errno;
  }
  if (done && rename(temporary, path) != 0) {
    done = false;
    code = errno;
  }
  if (!done && fd >= 0) unlink(temporary);
  if (done && !sync_folder(path, temporary)) {
    done = false;
    code = errno;
  }
  free(temporary);
  return done ? NNRT_OK : nnrt_fail(e, NNRT_EFAIL, "%s: cannot be written: %s", path, strerror(code));
}
