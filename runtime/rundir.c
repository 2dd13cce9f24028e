/* rundir.c - see rundir.h. */
#include "runtime/rundir.h"
#include "runtime/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LOG_ROOM = 1 << 16 };

static int cannot(NnrtError *e, const char *path) {
  return nnrt_fail(e, NNRT_EFAIL, "%s: cannot be written: %s", path, strerror(errno));
}

char *nnrt_rundir_file(const NnrtRunDir *d, const char *file, char *text, size_t room) {
  snprintf(text, room, "%s/%s", d->path, file);
  return text;
}

/* ---- logs ---- */

static int open_log(NnrtLog *l, const NnrtRunDir *d, const char *file, NnrtError *e) {
  size_t room = strlen(d->path) + strlen(file) + 2;
  l->path = malloc(room);
  if (!l->path) return nnrt_fail_memory(e, room, file);
  nnrt_rundir_file(d, file, l->path, room);
  l->fd = open(l->path, O_RDWR | O_CREAT | O_CLOEXEC | O_APPEND, 0666);
  return l->fd >= 0 ? NNRT_OK : cannot(e, l->path);
}

static int flush_log(NnrtLog *l, NnrtError *e) {
  if (l->text.failed) return nnrt_fail_memory(e, LOG_ROOM, l->path);
  if (l->text.n && !nnrt_write_all(l->fd, l->text.text, l->text.n)) {
    nnrt_line_reset(&l->text);
    return cannot(e, l->path);
  }
  nnrt_line_reset(&l->text);
  return NNRT_OK;
}

static void close_log(NnrtLog *l) {
  if (l->path && l->fd >= 0) close(l->fd);
  nnrt_line_free(&l->text);
  free(l->path);
  *l = (NnrtLog){.fd = -1};
}

int nnrt_log_end_line(NnrtLog *l, NnrtError *e) {
  nnrt_line_raw(&l->text, "\n");
  l->text.comma = false;
  return l->text.n >= LOG_ROOM ? flush_log(l, e) : NNRT_OK;
}

static int open_logs(NnrtRunDir *d, NnrtError *e) {
  int status = open_log(&d->jsonl, d, "metrics.jsonl", e);
  return status != NNRT_OK ? status : open_log(&d->csv, d, "metrics.csv", e);
}

int nnrt_rundir_flush(NnrtRunDir *d, NnrtError *e) {
  int status = flush_log(&d->jsonl, e);
  return status != NNRT_OK ? status : flush_log(&d->csv, e);
}

void nnrt_rundir_close(NnrtRunDir *d) {
  close_log(&d->jsonl);
  close_log(&d->csv);
  free(d->path);
  *d = (NnrtRunDir){0};
}

/* ---- making one ---- */

/* mkdir -p of the folders before the last name of `path`. */
static bool make_parents(char *path) {
  for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
    *slash = 0;
    bool made = mkdir(path, 0777) == 0 || errno == EEXIST;
    *slash = '/';
    if (!made) return false;
  }
  return true;
}

static bool holds_run(const char *path) {
  static const char *const files[] = {"metrics.jsonl", "last.safetensors"};
  char file[4096];
  for (int i = 0; i < 2; i++) {
    snprintf(file, sizeof file, "%s/%s", path, files[i]);
    if (access(file, F_OK) == 0) return true;
  }
  return false;
}

static int make_given(NnrtRunDir *d, const char *given, NnrtError *e) {
  d->path = strdup(given);
  if (!d->path) return nnrt_fail_memory(e, strlen(given), given);
  if (!make_parents(d->path) || (mkdir(d->path, 0777) != 0 && errno != EEXIST)) return cannot(e, given);
  if (holds_run(given))
    return nnrt_fail(e, NNRT_EFAIL, "%s: holds a run already; --resume %s goes on with it", given, given);
  return NNRT_OK;
}

static long last_number(const char *folder) {
  long last = 0;
  DIR *dir = opendir(folder);
  for (struct dirent *f; dir && (f = readdir(dir));) {
    char *end;
    long n = strtol(f->d_name, &end, 10);
    if (!*end && n > last) last = n;
  }
  if (dir) closedir(dir);
  return last;
}

/* Two programs that start at once get two numbers: mkdir decides. */
static int make_numbered(NnrtRunDir *d, const char *model, NnrtError *e) {
  size_t room = strlen(model) + 64;
  char *latest = malloc(room), *temporary = malloc(room), number[32];
  d->path = malloc(room);
  int status = d->path && latest && temporary ? NNRT_OK : nnrt_fail_memory(e, room, model);
  if (status == NNRT_OK) {
    snprintf(latest, room, "runs/%s/latest", model);
    if (!make_parents(latest)) status = cannot(e, latest);
    *strrchr(latest, '/') = 0;
    long n = last_number(latest);
    bool made = false;
    while (status == NNRT_OK && !made) {
      snprintf(d->path, room, "%s/%ld", latest, ++n);
      made = mkdir(d->path, 0777) == 0;
      if (!made && errno != EEXIST) status = cannot(e, d->path);
    }
    snprintf(number, sizeof number, "%ld", n);
    snprintf(latest, room, "runs/%s/latest", model);
    snprintf(temporary, room, "runs/%s/%ld/latest.tmp", model, n);
    if (status == NNRT_OK && (symlink(number, temporary) != 0 || rename(temporary, latest) != 0)) {
      status = cannot(e, latest);
      unlink(temporary);
    }
  }
  free(latest);
  free(temporary);
  return status;
}

int nnrt_rundir_create(NnrtRunDir *d, const char *model, const char *given, NnrtError *e) {
  *d = (NnrtRunDir){0};
  int status = given ? make_given(d, given, e) : make_numbered(d, model, e);
  if (status == NNRT_OK) status = open_logs(d, e);
  if (status != NNRT_OK) nnrt_rundir_close(d);
  return status;
}

/* ---- going on with one ---- */

int nnrt_rundir_resume(NnrtRunDir *d, const char *model, const char *given, NnrtError *e) {
  *d = (NnrtRunDir){0};
  size_t room = strlen(model) + (given ? strlen(given) : 0) + 32;
  d->path = malloc(room);
  if (!d->path) return nnrt_fail_memory(e, room, model);
  if (given && *given) snprintf(d->path, room, "%s", given);
  else snprintf(d->path, room, "runs/%s/latest", model);
  struct stat st;
  if (stat(d->path, &st) == 0 && S_ISDIR(st.st_mode)) return NNRT_OK;
  int status = nnrt_fail(e, NNRT_EDATA, "%s: there is no run to resume", d->path);
  nnrt_rundir_close(d);
  return status;
}

/* The step of a line of metrics.jsonl or metrics.csv; -1 for the header. */
static int64_t step_of_line(const char *line, size_t n, bool csv) {
  char text[128];
  snprintf(text, sizeof text, "%.*s", (int)(n < 127 ? n : 127), line);
  const char *at = csv ? strchr(text, ',') : strstr(text, "\"step\": ");
  return at && ((!csv) || (at[1] >= '0' && at[1] <= '9')) ? strtoll(at + (csv ? 1 : 8), NULL, 10) : -1;
}

/* Cuts the file before the first line of a later step, and a line that was not finished. */
static int cut_log(NnrtLog *l, bool csv, int64_t step, NnrtError *e) {
  NnrtFile f;
  int status = nnrt_file_open(&f, l->path, e);
  if (status != NNRT_OK) return status;
  const char *text = (const char *)f.data, *end = text + f.size, *at = text;
  while (at < end) {
    const char *newline = memchr(at, '\n', (size_t)(end - at));
    if (!newline || step_of_line(at, (size_t)(newline - at), csv) > step) break;
    at = newline + 1;
  }
  off_t keep = at - text;
  nnrt_file_close(&f);
  return ftruncate(l->fd, keep) == 0 ? NNRT_OK : cannot(e, l->path);
}

int nnrt_rundir_cut(NnrtRunDir *d, int64_t step, NnrtError *e) {
  int status = open_logs(d, e);
  if (status == NNRT_OK) status = cut_log(&d->jsonl, false, step, e);
  return status != NNRT_OK ? status : cut_log(&d->csv, true, step, e);
}
