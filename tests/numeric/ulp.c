/* ulp.c - ulp MARCH [OP]: the largest error of each function of scalar.def as CPU code, in units in the last place.
 *
 * f32: every 977th of all bit patterns, denormals, infinities and NaN with them, against libm in f64. Where the exact
 * result is below 2^-126, an absolute error of ulp * 2^-149, or 0, is allowed. f64: samples over all exponents
 * against libm in long double; the limit is the row's too. A target that this machine does not run is skipped. */
#include <elf.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <llvm-c/Error.h>
#include <llvm-c/LLJIT.h>
#include <llvm-c/Target.h>

/* build.h has functions with the names of some of C23's in math.h */
#define fadd build_fadd
#define fsub build_fsub
#define fmul build_fmul
#include "codegen/cpu/math.h"
#undef fadd
#undef fsub
#undef fmul
#include "ir/scalar.h"

enum { LANES = 16 };
typedef void Compiled(const void *x, const void *y, void *out);

typedef struct Reference {
  ScalarOp op;
  double (*narrow)(double); /* in f64 for f32 */
  long double (*full)(long double);
} Reference;

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }
static long double sigmoidl(long double x) { return 1 / (1 + expl(-x)); }
static double softplus(double x) { return fmax(x, 0) + log1p(exp(-fabs(x))); }
static long double softplusl(long double x) { return fmaxl(x, 0) + log1pl(expl(-fabsl(x))); }
static double rsqrt(double x) { return 1 / sqrt(x); }
static long double rsqrtl(long double x) { return 1 / sqrtl(x); }

static const Reference references[] = {
    {OP_sqrt, sqrt, sqrtl},
    {OP_rsqrt, rsqrt, rsqrtl},
    {OP_exp, exp, expl},
    {OP_expm1, expm1, expm1l},
    {OP_log, log, logl},
    {OP_log1p, log1p, log1pl},
    {OP_sin, sin, sinl},
    {OP_cos, cos, cosl},
    {OP_tan, tan, tanl},
    {OP_atan, atan, atanl},
    {OP_tanh, tanh, tanhl},
    {OP_sigmoid, sigmoid, sigmoidl},
    {OP_softplus, softplus, softplusl},
    {OP_erf, erf, erfl},
    {OP_floor, floor, floorl},
    {OP_ceil, ceil, ceill},
    {OP_round, rint, rintl},
};
enum { REFERENCES = sizeof references / sizeof *references };

/* void name(const T x[LANES], const T y[LANES], T out[LANES]) */
static void emit_function(CpuModule *m, const char *name, ScalarOp op, DType t) {
  Build b;
  build_open(&b, m);
  Type pointers[] = {b.ptr, b.ptr, b.ptr};
  b.function = LLVMAddFunction(m->module, name, LLVMFunctionType(b.none, pointers, 3, false));
  LLVMPositionBuilderAtEnd(b.b, LLVMAppendBasicBlockInContext(b.c, b.function, ""));
  Type v = type_of(&b, t, LANES);
  Value a[3] = {NULL};
  for (unsigned i = 0; i < 2; i++) {
    a[i] = LLVMBuildLoad2(b.b, v, LLVMGetParam(b.function, i), "");
    LLVMSetAlignment(a[i], 4);
  }
  Value store = LLVMBuildStore(b.b, emit_scalar(&b, op, t, t, a), LLVMGetParam(b.function, 2));
  LLVMSetAlignment(store, 4);
  LLVMBuildRetVoid(b.b);
  build_close(&b);
}

static const char *function_name(Arena *a, ScalarOp op, DType t) {
  return arena_printf(a, "%s_%s", scalar_rows[op].name, dtype_name(t));
}

static void must(LLVMErrorRef e) {
  if (!e) return;
  fprintf(stderr, "ulp: %s\n", LLVMGetErrorMessage(e));
  exit(1);
}

/* Names that the object asks others for: none, but what LLVM makes of clearing memory. */
static int undefined_names(const Buf *object) {
  const Elf64_Ehdr *file = (const void *)object->text;
  const Elf64_Shdr *section = (const void *)(object->text + file->e_shoff);
  int bad = 0;
  for (int i = 0; i < file->e_shnum; i++) {
    if (section[i].sh_type != SHT_SYMTAB) continue;
    const Elf64_Sym *symbol = (const void *)(object->text + section[i].sh_offset);
    const char *names = object->text + section[section[i].sh_link].sh_offset;
    for (size_t j = 1; j < section[i].sh_size / sizeof *symbol; j++) {
      const char *name = names + symbol[j].st_name;
      if (symbol[j].st_shndx != SHN_UNDEF || !strcmp(name, "memset")) continue;
      printf("undefined symbol: %s\n", name);
      bad++;
    }
  }
  return bad;
}

static LLVMOrcLLJITRef load(CpuModule *m, int *bad) {
  Buf object = {0};
  const char *error = cpu_module_write(m, CPU_OBJECT, &object);
  if (error) {
    fprintf(stderr, "ulp: %s\n", error);
    exit(1);
  }
  *bad += undefined_names(&object);
  LLVMOrcLLJITRef jit;
  must(LLVMOrcCreateLLJIT(&jit, NULL));
  LLVMMemoryBufferRef copy = LLVMCreateMemoryBufferWithMemoryRangeCopy(object.text, object.n, "math");
  must(LLVMOrcLLJITAddObjectFile(jit, LLVMOrcLLJITGetMainJITDylib(jit), copy));
  buf_free(&object);
  return jit;
}

static Compiled *find(LLVMOrcLLJITRef jit, const char *name) {
  LLVMOrcExecutorAddress at = 0;
  must(LLVMOrcLLJITLookup(jit, &at, name));
  return (Compiled *)(uintptr_t)at;
}

typedef struct Worst {
  double ulp, at, got, want;
} Worst;

/* Error in ulp, when `one` is the distance of neighbours at `want`; infinite where a class of numbers is wrong. */
static void judge(Worst *w, double x, double got, double want, double one, double smallest_normal) {
  double e;
  if (isnan(want) || isnan(got)) e = isnan(want) && isnan(got) ? 0 : INFINITY;
  else if (got == want) e = 0;
  else if (isinf(got) || isinf(want)) e = INFINITY;
  else if (fabs(want) < smallest_normal && got == 0) e = 0;
  else e = fabs(got - want) / one;
  if (e > w->ulp) *w = (Worst){e, x, got, want};
}

static double spacing(double v, int digits, int lowest) {
  int e;
  frexp(v, &e);
  return ldexp(1, e - digits < lowest ? lowest : e - digits);
}

static Worst sweep_f32(const Reference *r, Compiled *f) {
  Worst w = {0};
  float x[LANES], y[LANES];
  uint64_t pattern = 0;
  while (pattern < (uint64_t)1 << 32) {
    for (int i = 0; i < LANES; i++, pattern += 977) {
      uint32_t bits = (uint32_t)pattern;
      memcpy(&x[i], &bits, 4);
    }
    f(x, x, y);
    for (int i = 0; i < LANES; i++) {
      double want = r->narrow((double)x[i]);
      if (fabs(want) > 0x1.ffffffp127) want = copysign(INFINITY, want); /* rounds to infinity */
      judge(&w, (double)x[i], (double)y[i], want, spacing(want, 24, -149), 0x1p-126);
    }
  }
  return w;
}

static Worst sweep_f64(const Reference *r, Compiled *f) {
  Worst w = {0};
  double x[LANES], y[LANES];
  uint64_t state = 88172645463325252u;
  for (int n = 0; n < 40000; n++) {
    for (int i = 0; i < LANES; i++) {
      state ^= state << 13, state ^= state >> 7, state ^= state << 17;
      uint64_t bits = state;
      if (n % 4)
        bits = (bits & 0x800fffffffffffff) | (uint64_t)(1023 - 20 + (bits >> 52) % 32) << 52; /* of usual size */
      memcpy(&x[i], &bits, 8);
    }
    f(x, x, y);
    for (int i = 0; i < LANES; i++) {
      long double want = r->full((long double)x[i]);
      double rounded = (double)want;
      if (isnan(rounded) || isinf(rounded) || fabs(rounded) < 0x1p-1022) {
        judge(&w, x[i], y[i], rounded, 0x1p-1074, 0x1p-1022);
        continue;
      }
      double e = (double)(fabsl((long double)y[i] - want) / (long double)spacing(rounded, 53, -1074));
      if (isnan(y[i]) || isinf(y[i])) e = INFINITY;
      if (e > w.ulp) w = (Worst){e, x[i], y[i], rounded};
    }
  }
  return w;
}

/* pow and normal_icdf: samples, for they have two arguments or no libm. */
static Worst sweep_pow(DType t, Compiled *f) {
  static const double special[] = {0.0, -0.0, 1,    -1,    2,        -2,        0.5, -0.5,
                                   3,   -3,   1e30, -1e30, INFINITY, -INFINITY, NAN, 0x1p-140};
  Worst w = {0};
  for (int n = 0; n < 20000 + 16 * 16; n++) {
    double x[LANES], y[LANES], o[LANES];
    float xs[LANES], ys[LANES], os[LANES];
    for (int i = 0; i < LANES; i++) {
      if (n < 256) x[i] = special[n / 16], y[i] = special[(n + i) % 16];
      else x[i] = exp(ldexp(rand(), -28) - 4), y[i] = ldexp(rand(), -27) - 8;
      xs[i] = (float)x[i], ys[i] = (float)y[i];
      if (t == DT_f32) x[i] = (double)xs[i], y[i] = (double)ys[i];
    }
    if (t == DT_f32) f(xs, ys, os);
    else f(x, y, o);
    for (int i = 0; i < LANES; i++) {
      long double want = powl((long double)x[i], (long double)y[i]);
      double got = t == DT_f32 ? (double)os[i] : o[i];
      double rounded = t == DT_f32 ? (double)(float)want : (double)want;
      if (!isfinite(rounded) || !isfinite(got) || rounded == 0) judge(&w, x[i], got, rounded, 0x1p-149, 0);
      else {
        double one = t == DT_f32 ? spacing(rounded, 24, -149) : spacing(rounded, 53, -1074);
        double e = (double)(fabsl((long double)got - want) / (long double)one);
        if (e > w.ulp) w = (Worst){e, x[i], got, rounded};
      }
    }
  }
  return w;
}

static int report(const char *name, const char *type, Worst w, double limit) {
  bool bad = w.ulp > limit;
  printf("%-12s %s %8.2f ulp%s  at %.9g: %.17g, exact %.17g\n", name, type, w.ulp, bad ? " TOO MUCH" : "", w.at,
         w.got, w.want);
  return bad;
}

static bool runs_here(const char *march) {
  if (!strcmp(march, "x86-64-v3")) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (!strcmp(march, "x86-64-v4")) return __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
  return true;
}

int main(int argc, char **argv) {
  const char *march = argc > 1 ? argv[1] : "native", *only = argc > 2 ? argv[2] : NULL, *error;
  if (!runs_here(march)) return 0;
  Arena *a = arena_new();
  CpuModule *m = cpu_module_new(a, "math", march, 1, &error);
  if (!m) return fprintf(stderr, "ulp: %s\n", error), 1;
  for (int i = 0; i < SCALAR_OP_COUNT; i++) {
    if (scalar_rows[i].rule != RULE_FLOAT && scalar_rows[i].rule != RULE_NUM) continue;
    emit_function(m, function_name(a, (ScalarOp)i, DT_f32), (ScalarOp)i, DT_f32);
    emit_function(m, function_name(a, (ScalarOp)i, DT_f64), (ScalarOp)i, DT_f64);
  }
  int bad = 0;
  LLVMOrcLLJITRef jit = load(m, &bad);
  for (int i = 0; i < REFERENCES; i++) {
    const Reference *r = &references[i];
    const ScalarRow *row = &scalar_rows[r->op];
    if (only && strcmp(only, row->name)) continue;
    bad += report(row->name, "f32", sweep_f32(r, find(jit, function_name(a, r->op, DT_f32))), row->ulp + 0.01);
    bad += report(row->name, "f64", sweep_f64(r, find(jit, function_name(a, r->op, DT_f64))), row->ulp + 0.01);
  }
  if (!only || !strcmp(only, "pow")) {
    bad += report("pow", "f32", sweep_pow(DT_f32, find(jit, "pow_f32")), scalar_rows[OP_pow].ulp);
    bad += report("pow", "f64", sweep_pow(DT_f64, find(jit, "pow_f64")), scalar_rows[OP_pow].ulp);
  }
  return bad ? 1 : 0;
}
