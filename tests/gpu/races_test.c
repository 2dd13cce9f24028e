/* races_test.c - what races.c finds, and what it leaves alone: small kernels of two warps and two blocks. The second
 * half of `out` begins unwritten. */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "codegen/cuda/cuda.h"
#include "tests/gpu/races.h"
#include "tests/gpu/simulator.h"
#include "tests/gpu/translate.h"

enum { THREADS = 64, BLOCKS = 2 };

static const struct {
  const char *name, *body, *says; /* says: part of what is found, or NULL */
} kernels[] = {
    {"own_words", "s[t] = t; out[place] = s[t];", NULL},
    {"neighbour", "s[t] = t; out[place] = s[(t + 1) % 64];", "shared memory"},
    {"neighbour_met", "s[t] = t; nn_sync(); out[place] = s[(t + 1) % 64];", NULL},
    {"written_again", "s[t] = t; nn_sync(); out[place] = s[(t + 1) % 64]; s[t] = 0;", "without a meeting"},
    {"warp_met", "s[t] = t; nn_butterfly_i32(0, 1); out[place] = s[t ^ 1];", NULL},
    {"other_warp_met", "s[t] = t; nn_butterfly_i32(0, 1); out[place] = s[t ^ 32];", "without a meeting"},
    {"nobody_wrote", "if (t < 32) s[t] = t; nn_sync(); out[place] = s[t];", "nobody wrote"},
    {"two_blocks_write", "s[t] = t; out[t] = 1;", "that block"},
    {"other_block_reads", "out[place] = 1; out[128 + place] = out[place ^ 64];", "that block"},
    {"thread_in_memory", "out[place] = 1; nn_sync(); out[128 + place] = out[place ^ 1];", NULL},
    {"thread_in_memory_early", "out[place] = 1; out[128 + place] = out[place ^ 1];", "without a meeting"},
    {"bytes_of_a_word", "((char *)s)[t] = 1; nn_sync(); out[place] = ((char *)s)[t];", NULL},
    {"memory_nobody_wrote", "out[place] = out[128 + place];", "memory that nobody wrote"},
    {"memory_copied_unwritten",
     "nn_copy_4(s + t, out + 128 + place, 4); nn_copies_commit(); nn_copies_wait(0); out[place] = s[t];",
     "memory that nobody wrote"},
    {"memory_written", "out[128 + place] = 1; out[place] = out[128 + place];", NULL},
    {"memory_half_written", "((short *)(out + 128))[2 * place] = 1; out[place] = out[128 + place];",
     "memory that nobody wrote"},
    {"barrier",
     "u64 *b = (u64 *)(s + 64); if (t == 0) nn_barrier(b, 32); nn_sync();\n"
     "if (t < 32) { s[t] = t; nn_arrive(b); } else { nn_wait(b, 0); out[place] = s[t - 32]; }",
     NULL},
    {"barrier_too_early",
     "u64 *b = (u64 *)(s + 64); if (t == 0) nn_barrier(b, 32); nn_sync();\n"
     "if (t < 32) { nn_arrive(b); s[t] = t; } else { nn_wait(b, 0); out[place] = s[t - 32]; }",
     "wrote"},
};
enum { KERNELS = sizeof kernels / sizeof *kernels };

/* What is wrong with what is found, over the orders of threads: one that is found in some order is found. */
static int check(void *code, int i) {
  static int out[4 * THREADS];
  int *at = out, found = 0;
  char symbol[80], said[400] = "";
  void *arguments[] = {&at};
  snprintf(symbol, sizeof symbol, "%s_call", kernels[i].name);
  for (uint64_t seed = 0; seed < 4; seed++) {
    SimulatedLaunch l = {.arguments = arguments, .blocks = BLOCKS, .threads = THREADS, .shared = 1024, .seed = seed};
    *(void **)&l.call = dlsym(code, symbol);
    races_unwritten(out + 2 * THREADS, 2 * THREADS * sizeof *out, true);
    const char *fault = l.call ? simulate(&l) : "it is not there";
    if (fault) snprintf(said, sizeof said, "%s", fault), found++;
  }
  if (kernels[i].says ? found && strstr(said, kernels[i].says) : !found) return 0;
  printf("%s: \"%s\", and not \"%s\"\n", kernels[i].name, said, kernels[i].says ? kernels[i].says : "");
  return 1;
}

int main(void) {
  Arena *a = arena_new();
  Buf text = {0};
  void *code;
  int bad = 0;
  cuda_write_program(&text, cuda_program(a, 0, NULL));
  for (int i = 0; i < KERNELS; i++)
    buf_printf(
        &text,
        "NN_KERNEL(64) %s(int *out) { int *s = (int *)nn_shared(); const int t = nn_thread(), place = nn_block() "
        "* 64 + t; (void)s, (void)place;\n%s\n}\nvoid %s_call(void **p) { %s(*(int **)p[0]); }\n",
        kernels[i].name, kernels[i].body, kernels[i].name, kernels[i].name);
  const char *error = simulated_load(text.text, text.n, &code);
  if (error) printf("%s\n", error);
  for (int i = 0; i < KERNELS && !error; i++) bad += check(code, i);
  printf("%d kernels, %d faults\n", KERNELS, bad);
  buf_free(&text);
  arena_free(a);
  return error || bad;
}
