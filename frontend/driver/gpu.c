/* gpu.c - see gpu.h. */
#include "frontend/driver/gpu.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "codegen/cuda/workers.h"
#include "frontend/driver/output.h"
#include "frontend/driver/run.h"

/* Machine code for what is most used, and PTX, which drivers translate for every later GPU. */
static const char usual[] = "90a,80";
static const char ptx[] = "compute_80";

static uint64_t mixed(uint64_t hash, const char *bytes, size_t n) {
  for (size_t i = 0; i < n; i++) hash = (hash ^ (unsigned char)bytes[i]) * 0x100000001b3u;
  return hash;
}

/* Where the code is kept; NULL: nowhere. */
static const char *cached_path(Arena *a, const Nvrtc *n, const char *text, const char *arch) {
  const char *folder = cache_folder(a);
  size_t length = strlen(text);
  uint64_t low = mixed(0xcbf29ce484222325u, text, length), high = mixed(low ^ 0x9e3779b97f4a7c15u, text, length);
  if (!folder || output_folder(a, arena_printf(a, "%s/cuda", folder))) return NULL;
  return arena_printf(a, "%s/cuda/%016" PRIx64 "%016" PRIx64 "-%d-%s", folder, low, high, nvrtc_version(n), arch);
}

typedef struct Wanted { /* a text for an architecture, in the order of the program's table */
  const char *path;     /* in the cache, or NULL */
  int job;              /* that makes it; -1: it was kept */
  bool beside;          /* it is the PTX beside the job's machine code */
} Wanted;

typedef struct Translation {
  Arena *arena;
  Nvrtc *nvrtc;
  CudaTexts texts;
  CudaJobs jobs;
  Vec(Wanted) wanted;
  Compilation *compilation;
} Translation;

/* A job that has the PTX beside its machine code, or a new one. */
static void find_job(Translation *t, Wanted *w, const char *text, const char *arch) {
  for (int i = 0; i < t->jobs.n && arch == ptx; i++) {
    CudaJob *job = &t->jobs.at[i];
    if (job->text != text || strcmp(strchr(job->arch, '_'), strchr(ptx, '_')) != 0) continue;
    w->job = i;
    w->beside = job->wants_ptx = true;
    return;
  }
  w->job = t->jobs.n;
  vec_push(t->arena, &t->jobs, (CudaJob){.text = text, .arch = arch});
}

static void want(Translation *t, const char *text, const char *arch) {
  char *code = NULL;
  size_t bytes = 0;
  Wanted w = {.path = cached_path(t->arena, t->nvrtc, text, arch), .job = -1};
  if (!w.path || access(w.path, R_OK) || input_read(t->arena, w.path, &code, &bytes)) find_job(t, &w, text, arch);
  vec_push(t->arena, &t->wanted, w);
  vec_push(t->arena, &t->compilation->images,
           (NnrtCudaImage){.arch = arch, .code = code, .n_code = (int64_t)bytes, .version = nvrtc_version(t->nvrtc)});
}

static void want_all(Translation *t, const char *list) {
  for (bool last = false; !last;) {
    size_t length = strcspn(list, ",");
    last = !list[length];
    const char *arch = arena_printf(t->arena, "sm_%.*s", (int)length, list);
    for (int i = 0; i < t->texts.n; i++) want(t, t->texts.at[i], arch);
    list += length + !last;
  }
  for (int i = 0; i < t->texts.n; i++) want(t, t->texts.at[i], ptx);
}

/* NULL, or the first failure. */
static const char *make_wanted(Translation *t) {
  cuda_translate(t->arena, t->nvrtc, t->jobs, 0);
  for (int i = 0; i < t->wanted.n; i++) {
    const Wanted *w = &t->wanted.at[i];
    if (w->job < 0) continue;
    const CudaJob *job = &t->jobs.at[w->job];
    if (job->error) return job->error;
    NnrtCudaImage *image = &t->compilation->images.at[i];
    image->code = w->beside ? job->ptx : job->code;
    image->n_code = (int64_t)(w->beside ? job->n_ptx : job->n_code);
    if (w->path) output_write(t->arena, w->path, image->code, (size_t)image->n_code);
  }
  return NULL;
}

int gpu_check(Session *s, const Compilation *c) {
  for (int i = 0; i < c->schedules.n; i++)
    for (int j = 0; j < c->schedules.at[i]->kernels.n; j++) {
      const Kernel *k = c->schedules.at[i]->kernels.at[j];
      int n = cuda_argument_count(c->kernels, k);
      if (n <= NNRT_CUDA_ARGUMENTS) continue;
      Diag *d = diag_add(&s->diags, DIAG_NOT_COMPILED, k->members.at[0].node->span,
                         "this version of nnc does not compile a kernel of %d arguments for a GPU, which takes %d", n,
                         NNRT_CUDA_ARGUMENTS);
      diag_help(d, "give names to some of its parts");
    }
  return s->diags.errors ? EXIT_PROGRAM : 0;
}

int gpu_translate(Session *s, const BuildOptions *o, Compilation *c) {
  Translation t = {.arena = s->arena, .compilation = c};
  const char *error = nvrtc_open(s->arena, o->nvrtc, &t.nvrtc);
  if (error) return driver_error(EXIT_ENVIRONMENT, "%s", error);
  t.texts = cuda_write_parts(s->arena, c->kernels);
  want_all(&t, o->sm ? o->sm : usual);
  error = make_wanted(&t);
  nvrtc_close(t.nvrtc);
  return error ? driver_error(EXIT_ENVIRONMENT, "%s", error) : 0;
}
