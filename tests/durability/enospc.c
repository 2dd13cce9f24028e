/* enospc.c - a preloaded library that lets the disk run full.
 *
 * After $ENOSPC_AFTER calls of write, pwrite, writev, fsync, fdatasync, rename and renameat on files and folders,
 * every further one fails with ENOSPC, as a full disk does; but renaming needs no room, and fails only where it is
 * the first to. The first to fail also makes the file $ENOSPC_MARK, so that the script knows that a call was reached.
 * Terminals, pipes and sockets are let through: messages must arrive. stdio writes by a door of its own, which
 * preloading does not see; the runtime's files do not go through stdio. */
#define _GNU_SOURCE /* pwrite64 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static atomic_long calls;

static void leave_mark(void) {
  const char *mark = getenv("ENOSPC_MARK");
  if (!mark) return;
  long fd = syscall(SYS_openat, AT_FDCWD, mark, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  if (fd >= 0) close((int)fd);
}

/* Counts a call; true if it is to fail, errno set. */
static bool fails(bool needs_room) {
  const char *after = getenv("ENOSPC_AFTER");
  if (!after) return false;
  long left = strtol(after, NULL, 10) - atomic_fetch_add(&calls, 1);
  if (needs_room ? left > 0 : left != 0) return false;
  leave_mark();
  errno = ENOSPC;
  return true;
}

static bool is_stored(int fd) {
  struct stat st;
  return fstat(fd, &st) == 0 && (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode));
}

/* The raw call stands for libc's: no lookup, no cancellation point that matters here. */
#define ON_DISK(fd) (is_stored(fd) && fails(true))

ssize_t write(int fd, const void *data, size_t size) { return ON_DISK(fd) ? -1 : syscall(SYS_write, fd, data, size); }

ssize_t pwrite(int fd, const void *data, size_t size, off_t at) {
  return ON_DISK(fd) ? -1 : syscall(SYS_pwrite64, fd, data, size, at);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off_t at) { return pwrite(fd, data, size, at); }

ssize_t writev(int fd, const struct iovec *parts, int count) {
  return ON_DISK(fd) ? -1 : syscall(SYS_writev, fd, parts, count);
}

int fsync(int fd) { return ON_DISK(fd) ? -1 : (int)syscall(SYS_fsync, fd); }

int fdatasync(int fd) { return ON_DISK(fd) ? -1 : (int)syscall(SYS_fdatasync, fd); }

int rename(const char *from, const char *to) {
  return fails(false) ? -1 : (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

int renameat(int from_fd, const char *from, int to_fd, const char *to) {
  return fails(false) ? -1 : (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, 0);
}
