/* replay.c - runs the target program.c on files, and on changed copies of them, without libFuzzer:
 *
 *     replay [-n COPIES] [-s SEED] [-o FOLDER] FILE...
 *
 * Each text is tried in a process of its own, which must end within two seconds (ten under sanitizers on a busy
 * machine) and within 1 GiB. Texts that fail are kept in FOLDER; the exit status is 1 if there were any. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/fuzz/mutate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SECONDS = 2, PATIENCE = 20, MEGABYTES = 1024 };

/* Processor time, so that a busy machine fails nothing. */
static void child(const Buf *text) {
  setrlimit(RLIMIT_CPU, &(struct rlimit){SECONDS * 5, SECONDS * 5});
  alarm(SECONDS * PATIENCE);
  LLVMFuzzerTestOneInput((const uint8_t *)text->text, text->n);
  struct rusage used;
  getrusage(RUSAGE_SELF, &used);
  if (used.ru_maxrss > MEGABYTES * 1024) {
    fprintf(stderr, "%ld MiB of memory\n", used.ru_maxrss / 1024);
    _exit(71);
  }
  if (used.ru_utime.tv_sec >= SECONDS) {
    fprintf(stderr, "%ld s\n", (long)used.ru_utime.tv_sec);
    _exit(72);
  }
  _exit(0);
}

static bool passes(const Buf *text) {
  fflush(NULL);
  pid_t pid = fork();
  if (pid == 0) child(text);
  int status = 0;
  if (pid < 0 || waitpid(pid, &status, 0) < 0) {
    perror("replay");
    exit(3);
  }
  return status == 0;
}

static void keep(const char *folder, const char *file, unsigned long seed, const Buf *text) {
  const char *base = strrchr(file, '/') ? strrchr(file, '/') + 1 : file;
  char path[4096];
  snprintf(path, sizeof path, "%s/%.200s.%lu", folder, base, seed);
  fprintf(stderr, "FAILED: %s, copy %lu\n", file, seed);
  FILE *f = fopen(path, "wb");
  if (f) {
    fwrite(text->text, 1, text->n, f);
    fclose(f);
  }
}

static bool read_file(const char *path, Buf *out) {
  FILE *f = fopen(path, "rb");
  if (!f) return false;
  char chunk[65536];
  for (size_t n; (n = fread(chunk, 1, sizeof chunk, f)) > 0;) buf_write(out, chunk, n);
  bool ok = !ferror(f);
  fclose(f);
  return ok;
}

int main(int argc, char **argv) {
  unsigned long copies = 0, seed = 1, failed = 0;
  const char *folder = NULL;
  for (int o; (o = getopt(argc, argv, "n:s:o:")) != -1;) {
    if (o == 'n') copies = strtoul(optarg, NULL, 10);
    else if (o == 's') seed = strtoul(optarg, NULL, 10);
    else if (o == 'o') folder = optarg;
    else return 2;
  }
  for (int i = optind; i < argc; i++) {
    Buf whole = {0};
    buf_puts(&whole, "");
    if (!read_file(argv[i], &whole)) {
      perror(argv[i]);
      return 3;
    }
    for (unsigned long k = 0; k <= copies; k++) { /* the first is the file itself */
      Buf text = {0};
      buf_puts(&text, "");
      if (k) program_mutate(&text, whole.text, whole.n, seed + k);
      else buf_write(&text, whole.text, whole.n);
      if (!passes(&text)) {
        failed++;
        keep(folder ? folder : ".", argv[i], k ? seed + k : 0, &text);
      }
      buf_free(&text);
    }
    buf_free(&whole);
  }
  return failed > 0;
}
