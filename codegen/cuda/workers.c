/* workers.c - see workers.h. Workers are forks, which take the next job from a counter that all share and write what
 * they made, one record after the other, to a file of memory, which is read when they have ended. */
#include "codegen/cuda/workers.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/pool.h"

typedef struct Record { /* before the texts of these sizes, in this order */
  int job;
  size_t code, log, error;
} Record;

typedef struct Worker {
  pid_t process;
  FILE *made;
} Worker;

/* ---- in a worker ---- */

static void write_text(FILE *made, const char *text, size_t n) {
  if (n && fwrite(text, 1, n, made) != n) _exit(1);
}

static void work(Nvrtc *n, CudaJobs jobs, atomic_int *next, FILE *made) {
  for (int i; (i = atomic_fetch_add(next, 1)) < jobs.n;) {
    Buf code = {0}, log = {0};
    const char *error = nvrtc_translate(n, jobs.at[i].text, jobs.at[i].arch, &code, &log);
    Record r = {.job = i, .code = error ? 0 : code.n, .log = log.n, .error = error ? strlen(error) : 0};
    write_text(made, (const char *)&r, sizeof r);
    write_text(made, code.text, r.code);
    write_text(made, log.text, r.log);
    write_text(made, error, r.error);
    buf_free(&code);
    buf_free(&log);
  }
  _exit(fflush(made) != 0);
}

/* ---- around them ---- */

static bool start(Worker *w, Nvrtc *n, CudaJobs jobs, atomic_int *next) {
  int file = memfd_create("made", MFD_CLOEXEC);
  w->made = file < 0 ? NULL : fdopen(file, "w+b");
  if (!w->made) {
    if (file >= 0) close(file);
    return false;
  }
  fflush(NULL);
  w->process = fork();
  if (w->process == 0) work(n, jobs, next, w->made);
  if (w->process < 0) fclose(w->made);
  return w->process > 0;
}

static const char *read_text(Arena *a, FILE *made, size_t n) {
  char *text = arena_alloc(a, n + 1);
  return fread(text, 1, n, made) == n ? text : NULL;
}

static void collect(Arena *a, Worker *w, CudaJobs jobs) {
  int status;
  Record r;
  while (waitpid(w->process, &status, 0) < 0 && errno == EINTR) {}
  rewind(w->made);
  while (fread(&r, sizeof r, 1, w->made) == 1) {
    CudaJob *job = &jobs.at[r.job];
    const char *code = read_text(a, w->made, r.code), *log = read_text(a, w->made, r.log),
               *error = read_text(a, w->made, r.error);
    if (!error) break;
    job->code = r.error ? NULL : code;
    job->n_code = r.code;
    job->log = log;
    job->error = r.error ? error : NULL;
  }
  fclose(w->made);
}

void cuda_translate(Arena *a, Nvrtc *n, CudaJobs jobs, int processes) {
  if (jobs.n == 0) return;
  int started = 0, most = processes ? processes : nnrt_processors();
  if (most > jobs.n) most = jobs.n;
  Worker *workers = NEW_ARRAY(a, Worker, most);
  atomic_int *next = mmap(NULL, sizeof *next, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  for (int i = 0; i < jobs.n; i++)
    jobs.at[i].error = "a process that translates kernels could not be started, or ended before it was done";
  if (next == MAP_FAILED) return;
  while (started < most && start(&workers[started], n, jobs, next)) started++;
  for (int i = 0; i < started; i++) collect(a, &workers[i], jobs);
  munmap(next, sizeof *next);
}
