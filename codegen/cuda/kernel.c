/* kernel.c - the function around a kernel's text: its parameters, the parts that blocks take, and the prelude. */
#include "codegen/cuda/text.h"

#include <string.h>

/* ---- the prelude ---- */

extern const char cuda_prelude[], cuda_prelude_end[], cuda_philox[], cuda_philox_end[];

static const struct {
  const char *result, *name, *parameters, *body;
} primitives[] = {
#define PRIMITIVE(result, name, parameters, body) {#result, #name, #parameters, body},
#include "codegen/cuda/primitives.def"
#undef PRIMITIVE
};

/* What a header includes and defines is not there on the device. */
static void write_functions(Buf *out, const char *text, const char *end) {
  while (text < end) {
    const char *line = memchr(text, '\n', (size_t)(end - text)), *next = line ? line + 1 : end;
    if (*text != '#') buf_write(out, text, (size_t)(next - text));
    text = next;
  }
}

void cuda_write_prelude(Buf *out) {
  buf_puts(out, "#ifndef NN_SIMULATED\n"
                "typedef long long i64;\n"
                "typedef unsigned long long u64;\n"
                "typedef unsigned int u32;\n"
                "typedef unsigned short u16;\n"
                "typedef short i16;\n"
                "typedef signed char i8;\n"
                "typedef unsigned char u8;\n"
                "#define NN_KERNEL(threads) extern \"C\" __global__ void __launch_bounds__(threads, 1)\n"
                "#define NN_UNROLL _Pragma(\"unroll\")\n");
  for (size_t i = 0; i < sizeof primitives / sizeof *primitives; i++)
    buf_printf(out, "static inline %s %s%s { %s }\n", primitives[i].result, primitives[i].name,
               primitives[i].parameters, primitives[i].body);
  buf_puts(out, "#endif\n\n#define uint32_t u32\n#define uint64_t u64\n");
  write_functions(out, cuda_philox, cuda_philox_end);
  buf_write(out, cuda_prelude, (size_t)(cuda_prelude_end - cuda_prelude));
}

/* ---- parts ---- */

/* The number among those of all steps. */
static const char *counted_on(Text *t, const char *number, const char *count) {
  if (!t->k->times) return number;
  const char *name = text_name(t, 'w');
  text_line(t, "const i64 %s = step * (i64)%s + %s;", name, count, number);
  return name;
}

const char *text_parts(Text *t, Dim *parts) {
  const char *g = text_name(t, 'g'), *count = text_dim(t, parts);
  t->how.parts = parts;
  text_open(t, "for (i64 %s = nn_block(); %s < %s; %s += nn_blocks())", g, g, count, g);
  return counted_on(t, g, count);
}

const char *text_threads(Text *t, Dim *positions, int threads) {
  const char *g = text_name(t, 'g'), *count = text_dim(t, positions);
  t->how.parts = dim_ceil_div(t->ir, positions, threads);
  text_open(t, "for (i64 %s = nn_block() * (i64)%d + nn_thread(); %s < %s; %s += nn_blocks() * (i64)%d)", g, threads,
            g, count, g, threads);
  return counted_on(t, g, count);
}

/* ---- the function ---- */

static void write_body(Text *t) {
  switch (t->k->kind) {
  case KERNEL_map:
  case KERNEL_row:
  case KERNEL_column:
  case KERNEL_window:
  case KERNEL_full: text_group(t); return;
  case KERNEL_contraction: text_contraction(t); return;
  case KERNEL_scatter: text_scatter(t); return;
  case KERNEL_sort: text_sort(t); return;
  default: ice("a kernel of unknown kind");
  }
}

static void write_parameters(Buf *out, const Text *t) {
  for (int i = 0; i < t->k->operands.n; i++)
    buf_printf(out, "%s *b%d, ", type_in_memory(t->k->operands.at[i]->node->dtype), i);
  for (int i = 0; i < t->s->dims.n; i++) buf_printf(out, "i64 d%d, ", i);
  buf_puts(out, "i64 step, char *scratch");
}

/* The simulator, and its driver, call a kernel as a driver does: with the addresses of its arguments. */
static void write_call(Buf *out, const Text *t) {
  const char *name = t->k->symbol;
  int n = 0;
  buf_printf(out, "#ifdef NN_SIMULATED\nvoid %s_call(void **p) {\n  %s(", name, name);
  for (int i = 0; i < t->k->operands.n; i++)
    buf_printf(out, "*(%s **)p[%d], ", type_in_memory(t->k->operands.at[i]->node->dtype), n++);
  for (int i = 0; i < t->s->dims.n; i++) buf_printf(out, "*(i64 *)p[%d], ", n++);
  buf_printf(out, "*(i64 *)p[%d], *(char **)p[%d]);\n}\nconst int %s_count = %d;\n#endif\n", n, n + 1, name, n + 2);
}

CudaKernel cuda_write_kernel(Buf *out, const Schedule *s, const Kernel *k) {
  Text t = {.s = s, .k = k, .ir = s->graph->ir, .arena = s->arena, .depth = 1};
  t.how = (CudaKernel){.symbol = k->symbol, .scratch = dim_const(t.ir, 0)};
  write_body(&t);
  if (out) {
    buf_printf(out, "\nNN_KERNEL(%d) %s(", t.how.threads, k->symbol);
    write_parameters(out, &t);
    buf_puts(out, ") {\n");
    if (t.head.text) buf_write(out, t.head.text, t.head.n);
    buf_write(out, t.out.text, t.out.n);
    buf_puts(out, "}\n");
    write_call(out, &t);
  }
  buf_free(&t.out);
  buf_free(&t.head);
  return t.how;
}

/* ---- programs ---- */

enum { PART = 16 << 10 /* bytes of kernels: of more, the prelude's share of the time is small */ };

typedef struct Writing {
  Arena *arena;
  Buf text; /* of the part that is being written */
  size_t prelude;
  CudaTexts *parts;          /* those before it; NULL: there is one */
  Vec(const char *) written; /* symbols */
} Writing;

static bool is_written(const Writing *w, const char *symbol) {
  for (int i = 0; i < w->written.n; i++)
    if (!strcmp(w->written.at[i], symbol)) return true;
  return false;
}

static void end_part(Writing *w) {
  if (w->text.n == w->prelude) return;
  vec_push(w->arena, w->parts, arena_strndup(w->arena, w->text.text, w->text.n));
  w->text.n = w->prelude;
}

static void write_kernels(Writing *w, const Schedule *s) {
  for (int i = 0; i < s->kernels.n; i++) {
    const Kernel *k = s->kernels.at[i];
    if (is_written(w, k->symbol)) continue;
    vec_push(w->arena, &w->written, k->symbol);
    cuda_write_kernel(&w->text, s, k);
    if (w->parts && w->text.n - w->prelude > PART) end_part(w);
  }
}

static void write_all(Writing *w, int n, Schedule *const *schedules) {
  cuda_write_prelude(&w->text);
  w->prelude = w->text.n;
  for (int i = 0; i < n; i++) write_kernels(w, schedules[i]);
}

void cuda_write_program(Buf *out, int n, Schedule *const *schedules) {
  Writing w = {.arena = arena_new()};
  write_all(&w, n, schedules);
  buf_write(out, w.text.text, w.text.n);
  buf_free(&w.text);
  arena_free(w.arena);
}

CudaTexts cuda_write_parts(Arena *a, int n, Schedule *const *schedules) {
  CudaTexts parts = {0};
  Writing w = {.arena = a, .parts = &parts};
  write_all(&w, n, schedules);
  end_part(&w);
  buf_free(&w.text);
  return parts;
}
