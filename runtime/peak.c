/* peak.c - what this processor's multiply-adds can do, to compare kernels with: sixteen chains in registers, nothing
 * from memory. */
#include "runtime/bench.h"

#include <string.h>
#include <time.h>

enum { CHAINS = 16, TURNS = 200000 };

#if defined(__x86_64__)
#include <immintrin.h>

/* Named accumulators, for an array would lie in memory; the empty asm keeps each step. */
#define EACH(F)    F(0) F(1) F(2) F(3) F(4) F(5) F(6) F(7) F(8) F(9) F(10) F(11) F(12) F(13) F(14) F(15)
#define DECLARE(i) , a##i = zero
#define STEP(i)                                                                                                      \
  a##i = TURN(a##i);                                                                                                 \
  __asm__ volatile("" : "+v"(a##i));
#define PEAK(name, isa, T, set, turn)                                                                                \
  __attribute__((target(isa))) static void name(void) {                                                              \
    T x = set(0.999f), y = set(1e-3f), zero = set(0.0f) EACH(DECLARE);                                               \
    __asm__ volatile("" : "+v"(x), "+v"(y));                                                                         \
    for (int n = 0; n < TURNS; n++) {                                                                                \
      EACH(STEP)                                                                                                     \
    }                                                                                                                \
  }
#define TURN(a) _mm512_fmadd_ps(x, y, a)
PEAK(turns_zmm, "avx512f", __m512, _mm512_set1_ps, )
#undef TURN
#define TURN(a) _mm256_fmadd_ps(x, y, a)
PEAK(turns_ymm, "fma", __m256, _mm256_set1_ps, )
#undef TURN
#define TURN(a) _mm_add_ps(a, _mm_mul_ps(x, y))
PEAK(turns_xmm, "sse2", __m128, _mm_set1_ps, )

static void (*turns_of(const char *cpu, int *lanes))(void) {
  *lanes = cpu && strstr(cpu, "avx512f") ? 16 : cpu && strstr(cpu, "fma") ? 8 : 4;
  return *lanes == 16 ? turns_zmm : *lanes == 8 ? turns_ymm : turns_xmm;
}
#else
static void (*turns_of(const char *cpu, int *lanes))(void) {
  (void)cpu, (void)lanes;
  return NULL;
}
#endif

static double own_seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double nnrt_peak(const NnrtProgram *p) {
  int lanes = 0;
  void (*turns)(void) = turns_of(p->cpu, &lanes);
  if (!turns) return 0;
  double start = own_seconds();
  turns();
  return 2e-9 * CHAINS * TURNS * lanes / (own_seconds() - start);
}
