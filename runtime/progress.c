/* progress.c - see progress.h. */
#include "runtime/progress.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

double nnrt_seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static bool is_set(const char *name) {
  const char *v = getenv(name);
  return v && *v;
}

void nnrt_progress_start(NnrtProgress *p, bool quiet, int64_t epochs, int64_t steps, int64_t step) {
  const char *term = getenv("TERM");
  bool plain = is_set("CI") || is_set("NO_COLOR") || !term || strcmp(term, "dumb") == 0;
  *p = (NnrtProgress){.quiet = quiet, .terminal = !plain && isatty(STDERR_FILENO), .epochs = epochs, .steps = steps};
  p->start = p->epoch_start = nnrt_seconds();
  p->start_step = step;
}

void nnrt_progress_epoch(NnrtProgress *p) { p->epoch_start = nnrt_seconds(); }

static void clear(NnrtProgress *p) {
  if (p->drawn) fputs("\r\033[K", stderr);
  p->drawn = false;
}

/* "0.0412", "12.3", "1.2e-05": four digits. */
static void put_values(const NnrtValue *values, int n) {
  for (int i = 0; i < n; i++) fprintf(stderr, " · %s%s %.4g", values[i].prefix, values[i].name, values[i].value);
}

static void put_rate(double r) {
  if (r >= 1e6) fprintf(stderr, " · %.1fM/s", r / 1e6);
  else if (r >= 1e3) fprintf(stderr, " · %.1fk/s", r / 1e3);
  else fprintf(stderr, " · %.1f/s", r);
}

static void put_time(double seconds) {
  long s = (long)(seconds + 0.5);
  if (s >= 3600) fprintf(stderr, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
  else fprintf(stderr, "%ld:%02ld", s / 60, s % 60);
}

/* Eight cells: full, a half at the front, empty. */
static void put_bar(double part) {
  int halves = (int)(part * 16);
  for (int i = 0; i < 8; i++) fputs(2 * i + 1 < halves ? "━" : 2 * i < halves ? "╸" : "─", stderr);
}

static void put_epoch(const NnrtProgress *p, int64_t epoch) {
  if (p->epochs) fprintf(stderr, "epoch %lld/%lld", (long long)epoch, (long long)p->epochs);
  else fprintf(stderr, "epoch %lld", (long long)epoch);
}

void nnrt_progress_step(NnrtProgress *p, int64_t epoch, int64_t done, int64_t all, int64_t step, int64_t examples,
                        const NnrtValue *values, int n) {
  p->epoch_examples = examples;
  if (p->quiet || !p->terminal) return;
  double now = nnrt_seconds();
  if (now - p->last_draw < 0.1) return;
  p->last_draw = now;
  fputs("\r\033[K", stderr);
  put_epoch(p, epoch);
  fputc(' ', stderr);
  put_bar((double)done / (double)all);
  fprintf(stderr, " %d%% %lld/%lld", (int)(100 * done / all), (long long)done, (long long)all);
  put_rate((double)examples / (now - p->epoch_start + 1e-9));
  put_values(values, n);
  fputs(" · ETA ", stderr);
  put_time((now - p->start) / (double)(step - p->start_step) * (double)(p->steps - step));
  fflush(stderr);
  p->drawn = true;
}

void nnrt_progress_end_epoch(NnrtProgress *p, int64_t epoch, const NnrtValue *values, int n) {
  if (p->quiet) return;
  clear(p);
  double seconds = nnrt_seconds() - p->epoch_start;
  put_epoch(p, epoch);
  put_values(values, n);
  put_rate((double)p->epoch_examples / (seconds + 1e-9));
  fputs(" · ", stderr);
  put_time(seconds);
  fputc('\n', stderr);
  fflush(stderr);
}

void nnrt_progress_say(NnrtProgress *p, const char *format, ...) {
  if (p->quiet) return;
  clear(p);
  va_list args;
  va_start(args, format);
  vfprintf(stderr, format, args);
  va_end(args);
  fputc('\n', stderr);
}
