/* run.c - see run.h. */
#include "frontend/driver/run.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "codegen/interpreted.h"
#include "frontend/driver/output.h"

/* ---- compiled, from a cache ---- */

static void mix(uint64_t *hash, const void *bytes, size_t n) {
  const unsigned char *p = bytes;
  for (size_t i = 0; i < n; i++) *hash = (*hash ^ p[i]) * 1099511628211u;
}

static void mix_text(uint64_t *hash, const char *text) {
  if (text) mix(hash, text, strlen(text) + 1);
  else mix(hash, "\xff", 1);
}

/* This compiler, by the size and time of its file: another build of the same version may write other code. */
static void mix_compiler(uint64_t *hash) {
  struct stat s;
  if (stat("/proc/self/exe", &s) != 0) return;
  const int64_t identity[] = {s.st_size, s.st_mtim.tv_sec, s.st_mtim.tv_nsec};
  mix(hash, identity, sizeof identity);
}

/* Of all that the executable depends on. */
static uint64_t build_hash(const Program *p, const BuildOptions *o) {
  uint64_t hash = 14695981039346656037u;
  mix_compiler(&hash);
  mix(&hash, &p->hash, sizeof p->hash);
  mix_text(&hash, o->compile.version);
  mix_text(&hash, o->compile.march);
  mix_text(&hash, o->compile.only);
  mix_text(&hash, o->cc);
  mix_text(&hash, o->runtime);
  mix_text(&hash, o->sm);
  mix_text(&hash, o->nvrtc);
  mix_text(&hash, o->meaning.folder);
  const int flags[] = {o->compile.passes.level,  o->meaning.f64, o->meaning.products_given,
                       (int)o->meaning.products, o->is_static,   o->cuda,
                       o->compile.tf32};
  mix(&hash, flags, sizeof flags);
  for (const char *const *pass = o->compile.passes.disabled; pass && *pass; pass++) mix_text(&hash, *pass);
  for (int i = 0; i < o->meaning.ndefinitions; i++) {
    mix_text(&hash, o->meaning.definitions[i].name);
    mix_text(&hash, o->meaning.definitions[i].value);
  }
  return hash;
}

void data_beside_source(Session *s, BuildOptions *o) {
  const char *slash = strrchr(o->file, '/');
  if (!slash) return;
  char *folder = realpath(arena_strndup(s->arena, o->file, (size_t)(slash - o->file) + 1), NULL);
  if (folder) o->meaning.folder = arena_strndup(s->arena, folder, strlen(folder));
  free(folder);
}

const char *cache_folder(Arena *a) {
  const char *cache = getenv("XDG_CACHE_HOME");
  if (cache && *cache == '/') return arena_printf(a, "%s/nnc", cache);
  const char *home = getenv("HOME");
  return home && *home ? arena_printf(a, "%s/.cache/nnc", home) : NULL;
}

int run_file(Session *s, BuildOptions *o, int argc, char **argv) {
  Program *p = NULL;
  data_beside_source(s, o);
  int status = build_load(s, o, &p);
  if (status) return status;
  const char *cache = cache_folder(s->arena);
  if (!cache) return driver_error(EXIT_ENVIRONMENT, "neither XDG_CACHE_HOME nor HOME says where builds may be kept");
  const char *folder = arena_printf(s->arena, "%s/%016" PRIx64, cache, build_hash(p, o));
  const char *path = arena_printf(s->arena, "%s/%s", folder, p->name);
  if (access(path, X_OK) != 0) {
    const char *error = output_folder(s->arena, folder);
    if (error) return driver_error(EXIT_ENVIRONMENT, "%s", error);
    o->output = path;
    o->emit.n = 0;
    status = build_program(s, o, p);
    if (status) return status;
  }
  char **arguments = NEW_ARRAY(s->arena, char *, argc + 2);
  if (argc > 0) memcpy(arguments, argv, sizeof *argv * (size_t)argc);
  arguments[0] = arena_strndup(s->arena, p->name, strlen(p->name));
  fflush(NULL);
  execv(path, arguments);
  return driver_error(EXIT_ENVIRONMENT, "cannot run %s: %s", path, strerror(errno));
}

/* ---- interpreted ---- */

int run_interpreted(Session *s, BuildOptions *o, int argc, char **argv) {
  Program *p = NULL;
  data_beside_source(s, o);
  int status = build_load(s, o, &p);
  if (status) return status;
  Compilation *c = compile_begin(s->arena, p, &s->diags, &o->compile);
  if (!compile_passes(c)) return EXIT_PROGRAM;
  const TablesOptions tables = {
      .only = o->compile.only, .cpu = "", .build = o->compile.version, .sources = &s->sources};
  const NnrtProgram *program = interpreted_program(s->arena, p, &tables);
  char **arguments = NEW_ARRAY(s->arena, char *, argc + 2);
  if (argc > 0) memcpy(arguments, argv, sizeof *argv * (size_t)argc);
  arguments[0] = arena_strndup(s->arena, p->name, strlen(p->name));
  return nnrt_main(program, argc > 0 ? argc : 1, arguments);
}
