/* link.c - see link.h.
 * The objects and the archive are handed over as memory files (/proc/self/fd/N, which the child inherits), so nothing
 * but the program is ever on disk. */
#include "codegen/link.h"

#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

extern const char nnc_runtime_archive[], nnc_runtime_archive_end[];
extern char **environ;

/* Every function and table of the runtime is in a section of its own, so --gc-sections keeps what the program uses.
 * The other options make files small and equal for equal programs; relro alone would pad the file to another page. */
static const char *const link_options[] = {
    "-Wl,--gc-sections",           "-Wl,--as-needed", "-Wl,-O1", "-Wl,-z,noseparate-code", "-Wl,--build-id=none",
    "-Wl,-z,pack-relative-relocs", "-Wl,-z,norelro"};

/* What a program for a GPU does otherwise: calls of these functions go to runtime/cuda.c, which no other program has.
 */
static const char *const cuda_options[] = {
    "-Wl,--wrap=nnrt_cli_parse",       "-Wl,--wrap=nnrt_model_init",    "-Wl,--wrap=nnrt_model_close",
    "-Wl,--wrap=nnrt_checkpoint_load", "-Wl,--wrap=nnrt_training_save", "-Wl,--wrap=nnrt_training_keep_best",
    "-Wl,--wrap=nnrt_run_go",          "-Wl,--wrap=nnrt_run_launch",    "-Wl,--wrap=nnrt_loop_ends",
    "-Wl,--wrap=nnrt_run_most_late",   "-Wl,--wrap=nnrt_run_arrive",    "-Wl,--wrap=nnrt_states_load",
    "-Wl,--wrap=nnrt_states_save"};

/* What decodes pictures, a part of the program, since it is used here alone. */
static const char *const image_options[] = {"-l:libpng16.a", "-l:libjpeg.a", "-l:libz.a"};

#ifdef NNRT_IMAGES
const bool link_has_images = true;
#else
const bool link_has_images = false;
#endif

typedef Vec(const char *) Words;

/* The command's words; quotes are not understood. */
static void add_words(Arena *a, Words *words, const char *command) {
  while (*command) {
    size_t n = strcspn(command, " \t");
    if (n) vec_push(a, words, arena_strndup(a, command, n));
    command += n;
    command += strspn(command, " \t");
  }
}

/* A file in memory that child processes can open by the path it gives; -1 if the system has none. */
static int memory_file(Arena *a, const char *name, const void *bytes, size_t n, const char **path) {
  int fd = memfd_create(name, 0);
  const char *at = bytes;
  while (fd >= 0 && n > 0) {
    ssize_t written = write(fd, at, n);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) {
      close(fd);
      return -1;
    }
    at += written;
    n -= (size_t)written;
  }
  *path = arena_printf(a, "/proc/self/fd/%d", fd);
  return fd;
}

static void print_command(const Words *words) {
  for (int i = 0; i + 1 < words->n; i++) fprintf(stderr, "%s%s", i ? " " : "", words->at[i]);
  fputs("\n", stderr);
}

static const char *run_command(Arena *a, const Words *words, bool images) {
  pid_t child;
  char **arguments = NEW_ARRAY(a, char *, words->n);
  for (int i = 0; i + 1 < words->n; i++) arguments[i] = arena_strndup(a, words->at[i], strlen(words->at[i]));
  fflush(NULL);
  int error = posix_spawnp(&child, arguments[0], NULL, NULL, arguments, environ);
  if (error)
    return arena_printf(
        a,
        "cannot run the linker `%s`: %s; install one (Debian: apt install gcc libc6-dev), or name it by "
        "--cc",
        words->at[0], strerror(error));
  int status;
  while (waitpid(child, &status, 0) < 0)
    if (errno != EINTR) return arena_printf(a, "the linker was lost: %s", strerror(errno));
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return NULL;
  return arena_printf(
      a, "linking with `%s` failed; it needs the C library's files%s (Debian: apt install gcc libc6-dev%s)",
      words->at[0], images ? " and those of libpng and libjpeg" : "",
      images ? " libpng-dev libjpeg62-turbo-dev" : "");
}

static void link_line(Arena *a, Words *words, const Words *objects, const char *archive, const char *output,
                      const LinkOptions *o) {
  add_words(a, words, o->cc ? o->cc : "cc");
  vec_push(a, words, "-o");
  vec_push(a, words, output);
  if (o->is_static) vec_push(a, words, "-static");
  for (size_t i = 0; i < sizeof link_options / sizeof *link_options; i++) vec_push(a, words, link_options[i]);
  for (size_t i = 0; o->cuda && i < sizeof cuda_options / sizeof *cuda_options; i++)
    vec_push(a, words, cuda_options[i]);
  for (int i = 0; i < objects->n; i++) vec_push(a, words, objects->at[i]);
  vec_push(a, words, archive);
  for (size_t i = 0; o->images && i < sizeof image_options / sizeof *image_options; i++)
    vec_push(a, words, image_options[i]);
  vec_push(a, words, "-lm");
  vec_push(a, words, NULL);
}

const char *link_program(Arena *a, const Buf *objects, int n, const char *output, const LinkOptions *o) {
  Words words = {0}, paths = {0};
  const char *archive = "";
  int archive_fd = -1, *fds = NEW_ARRAY(a, int, n);
  bool held = true;
  for (int i = 0; i < n; i++) {
    const char *path = "";
    fds[i] = memory_file(a, "program.o", objects[i].text, objects[i].n, &path);
    held &= fds[i] >= 0;
    vec_push(a, &paths, path);
  }
  if (o->runtime) archive = arena_printf(a, "%s/libnnrt.a", o->runtime);
  else
    archive_fd = memory_file(a, "libnnrt.a", nnc_runtime_archive,
                             (size_t)(nnc_runtime_archive_end - nnc_runtime_archive), &archive);
  const char *error = NULL;
  if (!held || (!o->runtime && archive_fd < 0))
    error = arena_printf(a, "cannot hold the program's object in memory: %s", strerror(errno));
  else if (o->runtime && access(archive, R_OK) != 0)
    error = arena_printf(a, "cannot read %s: %s", archive, strerror(errno));
  if (!error) link_line(a, &words, &paths, archive, output, o);
  if (!error && o->print_only) print_command(&words);
  if (!error && !o->print_only) error = run_command(a, &words, o->images);
  for (int i = 0; i < n; i++)
    if (fds[i] >= 0) close(fds[i]);
  if (archive_fd >= 0) close(archive_fd);
  return error;
}
