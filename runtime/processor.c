/* processor.c - has this machine what the program's kernels use? Asked of cpuid directly: the compiler's own
 * __builtin_cpu_supports brings 5 KB into every program. */
#include "runtime/cli.h"

#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>

enum { EAX, EBX, ECX, EDX };

/* Features that kernels may be compiled for, as LLVM spells them: cpuid leaf, register, bit, and what of the state of
 * registers the system must save (XCR0: 6 for ymm, 0xE6 for zmm). Others are taken as present. */
static const struct Feature {
  char name[11];
  unsigned char leaf, reg, bit, state;
} features[] = {{"sse3", 1, ECX, 0, 0},         {"ssse3", 1, ECX, 9, 0},         {"sse4.1", 1, ECX, 19, 0},
                {"sse4.2", 1, ECX, 20, 0},      {"popcnt", 1, ECX, 23, 0},       {"avx", 1, ECX, 28, 6},
                {"fma", 1, ECX, 12, 6},         {"f16c", 1, ECX, 29, 6},         {"avx2", 7, EBX, 5, 6},
                {"bmi", 7, EBX, 3, 0},          {"bmi2", 7, EBX, 8, 0},          {"avx512f", 7, EBX, 16, 0xE6},
                {"avx512dq", 7, EBX, 17, 0xE6}, {"avx512cd", 7, EBX, 28, 0xE6},  {"avx512bw", 7, EBX, 30, 0xE6},
                {"avx512vl", 7, EBX, 31, 0xE6}, {"avx512vnni", 7, ECX, 11, 0xE6}};

/* Which registers the system saves; 0 where it can't be asked. */
static unsigned saved_state(void) {
  unsigned r[4], low, high;
  if (!__get_cpuid(1, &r[EAX], &r[EBX], &r[ECX], &r[EDX]) || !(r[ECX] >> 27 & 1)) return 0;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low;
}

static bool is_present(const char *feature, size_t n) {
  for (size_t i = 0; i < sizeof features / sizeof *features; i++) {
    const struct Feature *f = &features[i];
    if (strlen(f->name) != n || memcmp(feature, f->name, n) != 0) continue;
    unsigned r[4];
    return __get_cpuid_count(f->leaf, 0, &r[EAX], &r[EBX], &r[ECX], &r[EDX]) && (r[f->reg] >> f->bit & 1) &&
           (saved_state() & f->state) == f->state;
  }
  return true;
}
#else
static bool is_present(const char *feature, size_t n) { return feature && n; }
#endif

int nnrt_check_processor(const NnrtProgram *p, NnrtError *e) {
  for (const char *at = p->cpu; at && *at;) {
    size_t n = 0;
    while (at[n] && at[n] != ',') n++;
    if (!is_present(at, n))
      return nnrt_fail(e, NNRT_EDEVICE,
                       "this processor lacks %.*s, which the program was compiled for (-march=multi asks less)",
                       (int)n, at);
    at += n + (at[n] == ',');
  }
  return NNRT_OK;
}
