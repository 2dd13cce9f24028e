/* nvrtc_test.c - nvrtc_test [-c|-e|-l] ARCH[,ARCH...] PROGRAM...: every kernel of the programs is translated by NVRTC
 * for these architectures, and what the assembler says is asked: no register spilled to memory, no stack, no note
 * that something was serialised. `ARCH+ARCH` takes turns: each part of the text is translated for one of them. A
 * program is NAME.nn, or NAME.cu: text as it is. Exit 77 where NVRTC is not here.
 *
 * A program may be `bf16:PROGRAM.nn` or `tf32:PROGRAM.nn`, for that precision. Every kernel has as many instructions
 * of units for matrices as its text says, and no more shared memory than the smallest GPU that its code runs on.
 *
 * The opcodes of the instructions that matter are learnt from texts that have them once and several times; -c prints
 * how many of each every kernel has. What was translated is kept in NVRTC_KEPT, by a hash of the text; -l lists the
 * files of machine code, each with its architecture and program. Texts are translated as nnc does it, in parts; -e:
 * each kernel by itself, and once, whatever it is called: one change later, all others are kept. */
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "codegen/compile.h"
#include "codegen/cuda/cuda.h"
#include "codegen/cuda/workers.h"
#include "frontend/driver/output.h"
#include "frontend/driver/vocabulary.h"
#include "frontend/elaborate.h"
#include "frontend/render.h"
#include "tests/gpu/cubin.h"

enum { SKIPPED = 77, AT_A_TIME = 2, KEPT_TOGETHER = 8 };
enum { SHARED = 99 << 10 /* bytes of sm_86, sm_89, sm_120: sm_80 has more */, SHARED_90A = 227 << 10 };

typedef struct Text { /* of a program's text */
  const char *program, *text;
} Text;

typedef struct Matrix {
  Arena *arena;
  Nvrtc *nvrtc;
  Vec(Text) texts;
  CudaJobs jobs;
  Vec(const char *) programs; /* of the jobs */
  bool counts, list, each;
  int bad, products; /* products: instructions of units for matrices */
} Matrix;

/* ---- texts ---- */

/* Those that another program has are not taken again. */
static void add_once(Matrix *m, const char *program, const char *text) {
  for (int i = 0; i < m->texts.n; i++)
    if (!strcmp(m->texts.at[i].text, text)) return;
  vec_push(m->arena, &m->texts, (Text){program, text});
}

static const char kernel_begins[] = "\n/* kernels:";

/* A kernel's text, from its second line on, with a name that all have. */
static void write_kernel(Buf *out, const char *text, size_t n, const char *symbol) {
  size_t length = strlen(symbol);
  for (const char *end = text + n; text < end;) {
    const char *at = strstr(text, symbol);
    if (!at || at >= end) at = end;
    buf_write(out, text, (size_t)(at - text));
    if (at < end) buf_puts(out, "kernel");
    text = at < end ? at + length : end;
  }
}

/* The kernels of a part, each after what the part begins with. */
static void add_each(Matrix *m, const char *program, const char *part) {
  const char *begin = strstr(part, kernel_begins), *next;
  size_t prelude = begin ? (size_t)(begin - part) : 0;
  for (; begin; begin = next) {
    const char *body = strchr(begin + 1, '\n'), *name = strchr(strstr(begin, "NN_KERNEL("), ' ') + 1;
    next = strstr(begin + 1, kernel_begins);
    const char *symbol = arena_strndup(m->arena, name, strcspn(name, "("));
    Buf text = {0};
    buf_write(&text, part, prelude);
    write_kernel(&text, body, next ? (size_t)(next - body) : strlen(body), symbol);
    add_once(m, arena_printf(m->arena, "%s, %s", program, symbol), arena_strndup(m->arena, text.text, text.n));
    buf_free(&text);
  }
}

static void check_shared(Matrix *m, const char *program, const CudaProgram *p, const Schedule *s) {
  for (int i = 0; i < s->kernels.n; i++)
    for (int on_90a = cuda_has_90a(p, s->kernels.at[i]); on_90a >= 0; on_90a--) {
      CudaKernel k = cuda_kernel(p, s, s->kernels.at[i], on_90a);
      if (k.shared <= (on_90a ? SHARED_90A : SHARED)) continue;
      printf("%s, %s: %" PRId64 " bytes of shared memory\n", program, k.symbol, k.shared);
      m->bad++;
    }
}

/* The kernels of a program, in parts, or each by itself. */
static void add_program(Matrix *m, const char *path) {
  const char *program = path;
  bool bf16 = !strncmp(path, "bf16:", 5), tf32 = !strncmp(path, "tf32:", 5);
  path += bf16 || tf32 ? 5 : 0;
  Arena *a = m->arena;
  StrTable *strings = str_table_new(a);
  Sources sources = {.arena = a};
  DiagSink diags = {.arena = a};
  size_t n;
  char *text;
  if (input_read(a, path, &text, &n)) ice("%s cannot be read", path);
  const ElaborateOptions meaning = {.folder = dirname(arena_strndup(a, path, strlen(path))),
                                    .vocabulary = vocabulary_read,
                                    .products_given = bf16,
                                    .products = bf16 ? DT_bf16 : DT_f64};
  Program *p = elaborate_program(a, strings, &sources, &diags, str_internz(strings, path), text, n, &meaning);
  const CompileOptions o = {
      .passes = {.level = 2, .gpu = true}, .march = "x86-64-v3", .sources = &sources, .tf32 = tf32};
  Compilation *c = compile_begin(a, p, &diags, &o);
  if (diags.errors || !compile_passes(c) || compile_schedules(c)) ice("%s is refused", path);
  const CudaProgram *kernels = cuda_program(a, c->schedules.n, c->schedules.at);
  CudaTexts parts = cuda_write_parts(a, kernels);
  for (int i = 0; i < c->schedules.n; i++) check_shared(m, program, kernels, c->schedules.at[i]);
  for (int i = 0; i < parts.n; i++) (m->each ? add_each : add_once)(m, program, parts.at[i]);
}

static void add_text(Matrix *m, const char *path) {
  char *text;
  size_t n;
  if (input_read(m->arena, path, &text, &n)) ice("%s cannot be read", path);
  vec_push(m->arena, &m->texts, (Text){path, text});
}

/* ---- translation ---- */

static const char *kept_path(Matrix *m, const CudaJob *job, const char *what) {
  uint64_t low = 0xcbf29ce484222325u, high = 0x9e3779b97f4a7c15u;
  for (const char *at = job->text; *at; at++) {
    low = (low ^ (unsigned char)*at) * 0x100000001b3u;
    high = (high ^ (unsigned char)*at) * 0x100000001b3u + 1;
  }
  return arena_printf(m->arena, "%s/%016" PRIx64 "%016" PRIx64 "-%d-%s.%s", NVRTC_KEPT, low, high,
                      nvrtc_version(m->nvrtc), job->arch, what);
}

/* The code is written last: where it is, all is. */
static bool read_kept(Matrix *m, CudaJob *job) {
  char *code, *log;
  size_t bytes;
  const char *path = kept_path(m, job, "code");
  if (access(path, R_OK) || input_read(m->arena, kept_path(m, job, "log"), &log, &bytes)) return false;
  if (job->wants_ptx && access(kept_path(m, job, "ptx"), R_OK)) return false;
  if (input_read(m->arena, path, &code, &job->n_code)) return false;
  job->code = code;
  job->log = log;
  return true;
}

static void keep(Matrix *m, const CudaJob *job) {
  if (job->error) return;
  output_write(m->arena, kept_path(m, job, "log"), job->log, strlen(job->log));
  if (job->ptx) output_write(m->arena, kept_path(m, job, "ptx"), job->ptx, job->n_ptx);
  output_write(m->arena, kept_path(m, job, "code"), job->code, job->n_code);
}

static void translate(Matrix *m, CudaJobs jobs) {
  CudaJobs missing = {0};
  Vec(int) at = {0};
  if (output_folder(m->arena, NVRTC_KEPT)) ice("no folder %s", NVRTC_KEPT);
  for (int i = 0; i < jobs.n; i++) {
    if (read_kept(m, &jobs.at[i])) continue;
    vec_push(m->arena, &at, i);
    vec_push(m->arena, &missing, jobs.at[i]);
  }
  for (int i = 0; i < missing.n; i += KEPT_TOGETHER) {
    CudaJobs some = {.at = missing.at + i, .n = missing.n - i < KEPT_TOGETHER ? missing.n - i : KEPT_TOGETHER};
    cuda_translate(m->arena, m->nvrtc, some, AT_A_TIME);
    for (int j = 0; j < some.n; j++) {
      keep(m, &some.at[j]);
      jobs.at[at.at[i + j]] = some.at[j];
    }
    if (m->each && i / KEPT_TOGETHER % 16 == 15) fprintf(stderr, "%d of %d\n", i + some.n, missing.n);
  }
}

/* ---- instructions ---- */

typedef struct Instruction {
  const char *name, *arch, *text; /* text: a statement; float f[4], u32 u[4], u64 d */
  int opcode;
} Instruction;

static Instruction instructions[] = {
    {"FFMA", "sm_80", "asm volatile(\"fma.rn.f32 %0, %0, %0, %0;\" : \"+f\"(f[0]));", -1},
    {"HMMA", "sm_80",
     "asm volatile(\"mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%4,%5}, "
     "{%0,%1,%2,%3};\" : \"+f\"(f[0]), \"+f\"(f[1]), \"+f\"(f[2]), \"+f\"(f[3]) : \"r\"(u[0]), \"r\"(u[1]), "
     "\"r\"(u[2]), \"r\"(u[3]));",
     -1},
    {"HGMMA", "sm_90a",
     "asm volatile(\"wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 {%0,%1,%2,%3}, %4, %4, 1, 1, 1, 0, 0;\" : "
     "\"+f\"(f[0]), \"+f\"(f[1]), \"+f\"(f[2]), \"+f\"(f[3]) : \"l\"(d)); d += 2;",
     -1},
    {"HGMMA of registers", "sm_90a",
     "asm volatile(\"wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 {%0,%1,%2,%3}, {%4,%5,%6,%7}, %8, 1, 1, 1, "
     "0;\" : \"+f\"(f[0]), \"+f\"(f[1]), \"+f\"(f[2]), \"+f\"(f[3]) : \"r\"(u[0]), \"r\"(u[1]), \"r\"(u[2]), "
     "\"r\"(u[3]), \"l\"(d)); d += 2;",
     -1},
};
enum { INSTRUCTIONS = sizeof instructions / sizeof *instructions, REPEATED = 6 };

/* A kernel that has the instruction n times. */
static const char *probe(Matrix *m, const Instruction *x, int n) {
  Buf text = {0};
  bool wgmma = !strncmp(x->name, "HGMMA", 5);
  buf_puts(&text, "extern \"C\" __global__ void probe(float *f_, unsigned *u_, unsigned long long d) {\n"
                  "float f[4] = {f_[0], f_[1], f_[2], f_[3]}; unsigned u[4] = {u_[0], u_[1], u_[2], u_[3]};\n");
  if (wgmma) buf_puts(&text, "asm volatile(\"wgmma.fence.sync.aligned;\" ::: \"memory\");\n");
  for (int i = 0; i < n; i++) buf_printf(&text, "%s\n", x->text);
  if (wgmma)
    buf_puts(&text, "asm volatile(\"wgmma.commit_group.sync.aligned;\" ::: \"memory\");\n"
                    "asm volatile(\"wgmma.wait_group.sync.aligned 0;\" ::: \"memory\");\n");
  buf_puts(&text, "for (int i = 0; i < 4; i++) f_[i] = f[i] + (float)u[i];\n}\n");
  const char *copy = arena_strndup(m->arena, text.text, text.n);
  buf_free(&text);
  return copy;
}

static void learn(Matrix *m) {
  CudaJobs jobs = {0};
  for (int i = 0; i < 2 * INSTRUCTIONS; i++) {
    const Instruction *x = &instructions[i / 2];
    vec_push(m->arena, &jobs, (CudaJob){.text = probe(m, x, i % 2 ? REPEATED : 1), .arch = x->arch});
  }
  translate(m, jobs);
  for (int i = 0; i < INSTRUCTIONS; i++) {
    int once[OPCODES] = {0}, often[OPCODES] = {0}, found = 0;
    for (int j = 0; j < 2; j++) {
      const CudaJob *job = &jobs.at[2 * i + j];
      if (job->error || cubin_count(job->code, job->n_code, "probe", j ? often : once) < 0)
        ice("%s: %s", instructions[i].name, job->error ? job->error : "no cubin");
    }
    for (int op = 0; op < OPCODES; op++)
      if (once[op] == 1 && often[op] == REPEATED) instructions[i].opcode = op, found++;
    if (found == 1) continue;
    printf("%s: %d opcodes may be it\n", instructions[i].name, found);
    m->bad++;
  }
}

static void print_counts(const CudaJob *job, const char *symbol) {
  int count[OPCODES] = {0}, all = cubin_count(job->code, job->n_code, symbol, count);
  printf("%s, %s: %d instructions", job->arch, symbol, all);
  for (int i = 0; i < INSTRUCTIONS; i++) printf(", %d %s", count[instructions[i].opcode], instructions[i].name);
  printf("\n");
}

/* ---- gates ---- */

/* What the text says that a kernel has of instructions of units for matrices. */
static int planned(Matrix *m, const CudaJob *job, const char *symbol) {
  const char *at = strstr(job->text, arena_printf(m->arena, "/* %s: ", symbol));
  return at ? atoi(strchr(at, ':') + 1) : 0;
}

/* ptxas makes loops of unrolled steps again for sm_120: it may have a part of them. */
static bool as_planned(const CudaJob *job, int found, int wanted) {
  if (strcmp(job->arch, "sm_120") || found == 0) return found == wanted;
  return wanted % found == 0;
}

static void check_products(Matrix *m, const CudaJob *job, const char *symbol) {
  int count[OPCODES] = {0}, wanted = planned(m, job, symbol);
  cubin_count(job->code, job->n_code, symbol, count);
  int found = 0;
  for (int i = 1; i < INSTRUCTIONS; i++) found += count[instructions[i].opcode]; /* the first is no unit's */
  m->products += found;
  if (as_planned(job, found, wanted)) return;
  printf("%s, %s: %d instructions of units for matrices instead of %d\n", job->arch, symbol, found, wanted);
  m->bad++;
}

/* Whether the text has a kernel for the architecture: others are for sm_90a, or for all but it. */
static bool has_kernel(const CudaJob *job) {
  bool on_90a = !strcmp(job->arch, "sm_90a");
  for (const char *k = job->text; (k = strstr(k, "\nNN_KERNEL(")); k++) {
    const char *line = k;
    while (line > job->text && line[-1] != '\n') line--;
    bool only = !strncmp(line, "#if defined(NN_WARPGROUPS)", 26),
         not = !strncmp(line, "#if !defined(NN_WARPGROUPS)", 27);
    if (on_90a ? !not : !only) return true;
  }
  return false;
}

static void look_at(Matrix *m, int i) {
  const CudaJob *job = &m->jobs.at[i];
  const char *program = m->programs.at[i], *note = job->log ? strstr(job->log, "(C75") : NULL;
  if (job->error) printf("%s, %s: %s\n", program, job->arch, job->error), m->bad++;
  if (note) printf("%s, %s: %.300s\n", program, job->arch, note), m->bad++;
  if (job->error || strncmp(job->arch, "sm_", 3) != 0) return;
  if (m->list) printf("cubin %s %s %s\n", kept_path(m, job, "code"), job->arch, program);
  CudaUses uses = nvrtc_uses(m->arena, job->log);
  if (uses.n == 0 && has_kernel(job)) printf("%s, %s: no kernel\n", program, job->arch), m->bad++;
  for (int k = 0; k < uses.n; k++) {
    const CudaUse *u = &uses.at[k];
    if (m->counts) print_counts(job, u->symbol);
    check_products(m, job, u->symbol);
    if (u->spilled == 0 && u->stack == 0) continue;
    printf("%s, %s, %s: %d bytes spilled, a stack of %d\n", program, job->arch, u->symbol, u->spilled, u->stack);
    m->bad++;
  }
}

/* What an assembler that has to give up says, so that the gate is known to see it. */
static void check_gates(Matrix *m) {
  const char *spills = "extern \"C\" __global__ void __launch_bounds__(1024, 2) probe(float *f) { float x[96]; for "
                       "(int i = 0; i < 96; "
                       "i++) x[i] = f[i]; __syncthreads(); for (int i = 0; i < 96; i++) f[i * 2] = x[95 - i]; }\n";
  CudaJobs jobs = {0};
  vec_push(m->arena, &jobs, (CudaJob){.text = spills, .arch = "sm_80"});
  translate(m, jobs);
  CudaUses uses = nvrtc_uses(m->arena, jobs.at[0].log ? jobs.at[0].log : "");
  if (uses.n == 1 && uses.at[0].spilled > 0 && uses.at[0].stack > 0) return;
  printf("a kernel that must spill is not seen to: %s\n", jobs.at[0].error ? jobs.at[0].error : jobs.at[0].log);
  m->bad++;
}

static void add_jobs(Matrix *m, char *list) {
  for (char *group = strtok(list, ","); group; group = strtok(NULL, ",")) {
    const char *turns[16];
    int n = 0;
    for (char *arch = group, *plus; n < 16 && arch; arch = plus) {
      if ((plus = strchr(arch, '+'))) *plus++ = 0;
      turns[n++] = arch;
    }
    for (int i = 0; i < m->texts.n; i++) {
      CudaJob job = {.text = m->texts.at[i].text, .arch = turns[i % n]};
      job.wants_ptx = m->each && !strcmp(job.arch, "sm_80"); /* as nnc makes what later GPUs take */
      if (m->each && !has_kernel(&job)) continue;
      vec_push(m->arena, &m->jobs, job);
      vec_push(m->arena, &m->programs, m->texts.at[i].program);
    }
  }
}

int main(int argc, char **argv) {
  Matrix m = {.arena = arena_new()};
  const char *error = nvrtc_open(m.arena, NULL, &m.nvrtc);
  if (error) {
    printf("skipped: %s\n", error);
    arena_free(m.arena);
    return SKIPPED;
  }
  m.counts = argc > 1 && !strcmp(argv[1], "-c");
  m.list = argc > 1 && !strcmp(argv[1], "-l");
  m.each = argc > 1 && !strcmp(argv[1], "-e");
  int first = m.counts || m.list || m.each ? 2 : 1;
  for (int i = first + 1; i < argc; i++) {
    const char *dot = strrchr(argv[i], '.');
    (dot && !strcmp(dot, ".cu") ? add_text : add_program)(&m, argv[i]);
  }
  if (first < argc) add_jobs(&m, argv[first]);
  learn(&m);
  check_gates(&m);
  translate(&m, m.jobs);
  for (int i = 0; i < m.jobs.n; i++) look_at(&m, i);
  printf("%d %s translated, %d instructions of units for matrices, %d faults\n", m.jobs.n,
         m.each ? "kernels" : "parts of texts", m.products, m.bad);
  nvrtc_close(m.nvrtc);
  arena_free(m.arena);
  return m.bad != 0;
}
