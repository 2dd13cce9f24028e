/* replay_bytes.c - a main() for a fuzz target without libFuzzer: runs it on each file, on its first halves and
 * with single bytes changed, the same ones every time. So that CI (gcc, ASan) runs the target on a small corpus. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_SIZE = 1 << 20, CHANGES = 40 };

/* A copy of its exact size, so that ASan sees a read beyond it. */
static void run(const uint8_t *data, size_t size) {
  uint8_t *copy = malloc(size ? size : 1);
  if (!copy) exit(1);
  memcpy(copy, data, size);
  LLVMFuzzerTestOneInput(copy, size);
  free(copy);
}

static uint32_t next_random(uint32_t *state) { return *state = *state * 1664525u + 1013904223u; }

static void replay(uint8_t *data, size_t size) {
  static const char signs[] = "(){}[]<>=~,:.;\"#\n\\-+*0aN\x80\xff";
  run(data, size);
  for (size_t n = size / 2; n > 0; n /= 2) run(data, n);
  uint32_t state = (uint32_t)size;
  for (int i = 0; i < CHANGES && size; i++) {
    size_t at = (next_random(&state) >> 8) % size;
    uint8_t old = data[at];
    data[at] = (uint8_t)signs[(next_random(&state) >> 8) % (sizeof signs - 1)];
    run(data, size);
    data[at] = old;
  }
}

int main(int argc, char **argv) {
  static uint8_t data[MAX_SIZE];
  for (int i = 1; i < argc; i++) {
    FILE *f = fopen(argv[i], "rb");
    if (!f) {
      fprintf(stderr, "replay_bytes: cannot read %s\n", argv[i]);
      return 1;
    }
    size_t size = fread(data, 1, sizeof data, f);
    fclose(f);
    replay(data, size);
  }
  return 0;
}
