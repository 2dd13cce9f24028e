/* gpu.c - see gpu.h. */
#include "frontend/driver/gpu.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "codegen/cuda/cuda.h"
#include "codegen/cuda/nvrtc.h"
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
static const char *cached_path(Arena *a, const Nvrtc *n, const Buf *text, const char *arch) {
  const char *folder = cache_folder(a);
  uint64_t low = mixed(0xcbf29ce484222325u, text->text, text->n),
           high = mixed(low ^ 0x9e3779b97f4a7c15u, text->text, text->n);
  if (!folder || output_folder(a, arena_printf(a, "%s/cuda", folder))) return NULL;
  return arena_printf(a, "%s/cuda/%016" PRIx64 "%016" PRIx64 "-%d-%s", folder, low, high, nvrtc_version(n), arch);
}

static const char *translate(Arena *a, Nvrtc *n, const Buf *text, const char *arch, NnrtCudaImage *out) {
  const char *path = cached_path(a, n, text, arch);
  char *code = NULL;
  size_t bytes = 0;
  *out = (NnrtCudaImage){.arch = arch};
  if (!path || access(path, R_OK) || input_read(a, path, &code, &bytes)) {
    Buf made = {0}, log = {0};
    const char *error = nvrtc_translate(n, text->text, arch, &made, &log);
    buf_free(&log);
    if (error) return error;
    code = arena_strndup(a, made.text, made.n);
    bytes = made.n;
    buf_free(&made);
    if (path) output_write(a, path, code, bytes);
  }
  out->code = code;
  out->n_code = (int64_t)bytes;
  return NULL;
}

static const char *translate_all(Arena *a, Nvrtc *n, const char *list, Compilation *c) {
  Buf text = {0};
  const char *error = NULL;
  cuda_write_program(&text, c->schedules.n, c->schedules.at);
  for (bool last = false; !last && !error;) {
    size_t length = strcspn(list, ",");
    last = !list[length];
    NnrtCudaImage image;
    error = translate(a, n, &text, arena_printf(a, "sm_%.*s", (int)length, list), &image);
    if (!error) vec_push(a, &c->images, image);
    list += length + !last;
  }
  NnrtCudaImage image;
  if (!error) error = translate(a, n, &text, ptx, &image);
  if (!error) vec_push(a, &c->images, image);
  buf_free(&text);
  return error;
}

int gpu_translate(Session *s, const BuildOptions *o, Compilation *c) {
  Nvrtc *n;
  const char *error = nvrtc_open(s->arena, o->nvrtc, &n);
  if (error) return driver_error(EXIT_ENVIRONMENT, "%s", error);
  error = translate_all(s->arena, n, o->sm ? o->sm : usual, c);
  nvrtc_close(n);
  return error ? driver_error(EXIT_ENVIRONMENT, "%s", error) : 0;
}
