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
  size_t code, ptx, log, error;
} Record;

typedef struct Worker {
  pid_t process;
  FILE *made;
} Worker;

/* ---- in a worker ---- */

static void write_text(FILE *made, const char *text, size_t n) {
  if (n && fwrite(text, 1, n, made) != n) _exit(1);
}

static void do_job(Nvrtc *n, const CudaJob *job, int number, FILE *made) {
  Buf code = {0}, ptx = {0}, log = {0};
  const char *error = nvrtc_translate(n, job->text, job->arch, &code, job->wants_ptx ? &ptx : NULL, &log);
  Record r = {.job = number, .log = log.n};
  if (error) r.error = strlen(error);
  else r.code = code.n, r.ptx = ptx.n;
  write_text(made, (const char *)&r, sizeof r);
  write_text(made, code.text, r.code);
  write_text(made, ptx.text, r.ptx);
  write_text(made, log.text, r.log);
  write_text(made, error, r.error);
  buf_free(&code);
  buf_free(&ptx);
  buf_free(&log);
}

static void work(Nvrtc *n, CudaJobs jobs, const int *order, atomic_int *next, FILE *made) {
  for (int i; (i = atomic_fetch_add(next, 1)) < jobs.n;) do_job(n, &jobs.at[order[i]], order[i], made);
  _exit(fflush(made) != 0);
}

/* ---- around them ---- */

static bool start(Worker *w, Nvrtc *n, CudaJobs jobs, const int *order, atomic_int *next) {
  int file = memfd_create("made", MFD_CLOEXEC);
  w->made = file < 0 ? NULL : fdopen(file, "w+b");
  if (!w->made) {
    if (file >= 0) close(file);
    return false;
  }
  fflush(NULL);
  w->process = fork();
  if (w->process == 0) work(n, jobs, order, next, w->made);
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
    const char *code = read_text(a, w->made, r.code), *ptx = read_text(a, w->made, r.ptx),
               *log = read_text(a, w->made, r.log), *error = read_text(a, w->made, r.error);
    if (!error) break;
    job->code = r.error ? NULL : code;
    job->n_code = r.code;
    job->ptx = r.ptx ? ptx : NULL;
    job->n_ptx = r.ptx;
    job->log = log;
    job->error = r.error ? error : NULL;
  }
  fclose(w->made);
}

/* The longest first, or one that is begun last is waited for alone. */
static int *order_of(Arena *a, CudaJobs jobs) {
  int *order = NEW_ARRAY(a, int, jobs.n);
  size_t *size = NEW_ARRAY(a, size_t, jobs.n);
  for (int i = 0; i < jobs.n; i++) {
    int at = i;
    size[i] = strlen(jobs.at[i].text);
    for (; at > 0 && size[order[at - 1]] < size[i]; at--) order[at] = order[at - 1];
    order[at] = i;
  }
  return order;
}

void cuda_translate(Arena *a, Nvrtc *n, CudaJobs jobs, int processes) {
  if (jobs.n == 0) return;
  int started = 0, most = processes ? processes : nnrt_processors();
  if (most > jobs.n) most = jobs.n;
  Worker *workers = NEW_ARRAY(a, Worker, most);
  const int *order = order_of(a, jobs);
  atomic_int *next = mmap(NULL, sizeof *next, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  for (int i = 0; i < jobs.n; i++)
    jobs.at[i].error = "a process that translates kernels could not be started, or ended before it was done";
  if (next == MAP_FAILED) return;
  while (started < most && start(&workers[started], n, jobs, order, next)) started++;
  for (int i = 0; i < started; i++) collect(a, &workers[i], jobs);
  munmap(next, sizeof *next);
}
