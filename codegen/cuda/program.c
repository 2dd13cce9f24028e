/* program.c - all kernels of a program as one text: the prelude, and each kernel once.
 *
 * Kernels whose texts are equal but for their marked numbers become one function. A number that is the same in all of
 * them is written as what it is; of the others, those that are equal to each other in every one of the kernels are
 * one parameter. So a product of a kind is one function, whatever its extents. */
#include "codegen/cuda/text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/cuda.h"

typedef struct Function Function;

typedef struct Written { /* a kernel of the program */
  KernelText text;
  const Function *function;
  int64_t *given; /* of the function's parameters */
} Written;

struct Function {
  Vec(Written *) written;
  int *parameter; /* by number: the parameter that it is, or -1 */
  int n_given;
  DType *type; /* of parameters */
};

struct CudaProgram {
  Arena *arena;
  Vec(Written *) written;
  Vec(Function *) functions;
};

/* ---- the prelude ---- */

extern const char cuda_prelude[], cuda_prelude_end[], cuda_philox[], cuda_philox_end[], cuda_two_over_pi[],
    cuda_two_over_pi_end[], cuda_warpgroup[], cuda_warpgroup_end[];

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

static void write_prelude(Buf *out) {
  buf_puts(out, "#ifndef NN_SIMULATED\n"
                "typedef long long i64;\n"
                "typedef unsigned long long u64;\n"
                "typedef unsigned int u32;\n"
                "typedef unsigned short u16;\n"
                "typedef short i16;\n"
                "typedef signed char i8;\n"
                "typedef unsigned char u8;\n"
                "typedef struct __align__(64) { u64 words[16]; } NnMap;\n"
                "#define NN_KERNEL(threads) extern \"C\" __global__ void __launch_bounds__(threads, 1)\n"
                "#define NN_UNROLL _Pragma(\"unroll\")\n"
                "#define NN_ROLLED _Pragma(\"unroll 1\")\n"
                "#define NN_UNROLL_4 _Pragma(\"unroll 4\")\n");
  for (size_t i = 0; i < sizeof primitives / sizeof *primitives; i++)
    buf_printf(out, "static inline %s %s%s { %s }\n", primitives[i].result, primitives[i].name,
               primitives[i].parameters, primitives[i].body);
  buf_puts(out, "#ifdef __CUDA_ARCH_FEAT_SM90_ALL\n#define NN_WARPGROUPS\n#endif\n");
  buf_write(out, cuda_warpgroup, (size_t)(cuda_warpgroup_end - cuda_warpgroup));
  buf_puts(out, "#endif\n\n#define uint32_t u32\n#define uint64_t u64\n");
  write_functions(out, cuda_philox, cuda_philox_end);
  write_functions(out, cuda_two_over_pi, cuda_two_over_pi_end);
  buf_write(out, cuda_prelude, (size_t)(cuda_prelude_end - cuda_prelude));
}

/* ---- which kernels share a text ---- */

static bool same_parameters(const KernelText *x, const KernelText *y) {
  if (x->parameters.n != y->parameters.n) return false;
  for (int i = 0; i < x->parameters.n; i++)
    if (strcmp(x->parameters.at[i].type, y->parameters.at[i].type) != 0 ||
        strcmp(x->parameters.at[i].name, y->parameters.at[i].name) != 0)
      return false;
  return true;
}

static bool same_number(const Number *x, const Number *y, bool value) {
  return x->type == y->type && (!value || x->bits == y->bits);
}

/* values: so are their numbers. */
static bool same_text(const KernelText *x, const KernelText *y, bool values) {
  if (x->how.threads != y->how.threads || x->numbers.n != y->numbers.n || !same_parameters(x, y) ||
      strcmp(x->body, y->body) != 0)
    return false;
  for (int i = 0; i < x->numbers.n; i++)
    if (!same_number(&x->numbers.at[i], &y->numbers.at[i], values)) return false;
  return true;
}

static void add_written(CudaProgram *p, const KernelText *text, bool values) {
  Written *s = NEW(p->arena, Written);
  Function *f = NULL;
  *s = (Written){.text = *text};
  for (int i = 0; i < p->functions.n && !f; i++)
    if (same_text(text, &p->functions.at[i]->written.at[0]->text, values)) f = p->functions.at[i];
  if (!f) {
    f = NEW(p->arena, Function);
    *f = (Function){0};
    vec_push(p->arena, &p->functions, f);
  }
  s->function = f;
  vec_push(p->arena, &f->written, s);
  vec_push(p->arena, &p->written, s);
}

/* ---- which numbers a function is given ---- */

static bool is_constant(const Function *f, int i) {
  for (int s = 1; s < f->written.n; s++)
    if (f->written.at[s]->text.numbers.at[i].bits != f->written.at[0]->text.numbers.at[i].bits) return false;
  return true;
}

/* Whether number i is j in every kernel. */
static bool is_equal(const Function *f, int i, int j) {
  for (int s = 0; s < f->written.n; s++) {
    const Number *at = f->written.at[s]->text.numbers.at;
    if (!same_number(&at[i], &at[j], true)) return false;
  }
  return true;
}

static int equal_before(const Function *f, int i) {
  for (int j = 0; j < i; j++)
    if (f->parameter[j] >= 0 && is_equal(f, i, j)) return f->parameter[j];
  return -1;
}

static void find_parameters(Arena *a, Function *f) {
  const Numbers *first = &f->written.at[0]->text.numbers;
  f->parameter = NEW_ARRAY(a, int, first->n + 1);
  f->type = NEW_ARRAY(a, DType, first->n + 1);
  for (int s = 0; s < f->written.n; s++) f->written.at[s]->given = NEW_ARRAY(a, int64_t, first->n + 1);
  for (int i = 0; i < first->n; i++) {
    f->parameter[i] = -1;
    if (is_constant(f, i) || (f->parameter[i] = equal_before(f, i)) >= 0) continue;
    f->parameter[i] = f->n_given;
    f->type[f->n_given] = first->at[i].type;
    for (int s = 0; s < f->written.n; s++)
      f->written.at[s]->given[f->n_given] = f->written.at[s]->text.numbers.at[i].bits;
    f->n_given++;
  }
}

static const Written *find_written(const CudaProgram *p, const char *symbol) {
  for (int i = 0; i < p->written.n; i++)
    if (!strcmp(p->written.at[i]->text.how.symbol, symbol)) return p->written.at[i];
  return NULL;
}

/* Also where too many may become arguments. */
static bool has_own_numbers(const Schedule *s, const KernelText *text) {
  return s->level >= 3 || text->parameters.n + text->numbers.n > NNRT_CUDA_ARGUMENTS;
}

CudaProgram *cuda_program(Arena *a, int n, Schedule *const *schedules) {
  CudaProgram *p = NEW(a, CudaProgram);
  *p = (CudaProgram){.arena = a};
  for (int i = 0; i < n; i++)
    for (int j = 0; j < schedules[i]->kernels.n; j++) {
      const Kernel *k = schedules[i]->kernels.at[j];
      if (find_written(p, k->symbol)) continue;
      KernelText text = text_of_kernel(a, schedules[i], k, false);
      add_written(p, &text, has_own_numbers(schedules[i], &text));
      if (!text.how.has_90a) continue;
      text = text_of_kernel(a, schedules[i], k, true);
      add_written(p, &text, has_own_numbers(schedules[i], &text));
    }
  for (int i = 0; i < p->functions.n; i++) find_parameters(a, p->functions.at[i]);
  return p;
}

int cuda_argument_count(const CudaProgram *p, const Kernel *k) {
  int most = 0;
  for (int i = 0; i < p->written.n; i++) {
    const Written *x = p->written.at[i];
    int n = x->text.parameters.n + x->function->n_given;
    if (!strncmp(x->text.how.symbol, k->symbol, strlen(k->symbol)) && n > most) most = n; /* for sm_90a too */
  }
  return most;
}

bool cuda_has_90a(const CudaProgram *p, const Kernel *k) { return find_written(p, k->symbol)->text.how.has_90a; }

/* What it takes to launch is told in the dimensions of its own schedule. */
CudaKernel cuda_kernel(const CudaProgram *p, const Schedule *s, const Kernel *k, bool on_90a) {
  const Written *found = find_written(p, k->symbol);
  if (!found) ice("kernel %s is not one of the program's", k->symbol);
  on_90a = on_90a && found->text.how.has_90a;
  CudaKernel how = text_of_kernel(p->arena, s, k, on_90a).how;
  if (on_90a) found = find_written(p, how.symbol);
  how.symbol = found->function->written.at[0]->text.how.symbol;
  how.n_numbers = found->function->n_given;
  how.numbers = found->given;
  return how;
}

/* ---- text ---- */

enum { PART = 16 << 10 /* bytes of kernels: of more, the prelude's share of the time is small */ };

static double real_of(const Number *x) {
  double f64;
  float f32;
  memcpy(&f64, &x->bits, sizeof f64);
  memcpy(&f32, &x->bits, sizeof f32);
  return x->type == DT_f64 ? f64 : (double)f32;
}

static void write_number(Buf *out, const Number *x) {
  if (x->type == DT_f64) buf_printf(out, "%a", real_of(x));
  else if (x->type == DT_f32) buf_printf(out, "%af", real_of(x));
  else if (x->bits == INT64_MIN) buf_puts(out, "(-9223372036854775807LL - 1)");
  else if (x->type == DT_i64) buf_printf(out, "%" PRId64 "LL", x->bits);
  else if (x->bits == INT32_MIN) buf_puts(out, "(-2147483647 - 1)");
  else buf_printf(out, "%" PRId64, x->bits);
}

static void write_body(Buf *out, const Function *f) {
  const KernelText *text = &f->written.at[0]->text;
  for (const char *at = text->body; *at;) {
    const char *mark = strchr(at, MARK);
    buf_write(out, at, mark ? (size_t)(mark - at) : strlen(at));
    if (!mark) break;
    int i = atoi(mark + 1);
    if (f->parameter[i] >= 0) buf_printf(out, "given%d", f->parameter[i]);
    else write_number(out, &text->numbers.at[i]);
    at = strchr(mark, MARK_END) + 1;
  }
}

static void write_given(Buf *out, const Function *f) {
  for (int i = 0; i < f->n_given; i++) switch (f->type[i]) {
    case DT_f64: buf_printf(out, "  const double given%d = nn_double_of((u64)number%d);\n", i, i); break;
    case DT_f32: buf_printf(out, "  const float given%d = nn_float_of((u32)number%d);\n", i, i); break;
    case DT_i64: buf_printf(out, "  const i64 given%d = number%d;\n", i, i); break;
    default: buf_printf(out, "  const int given%d = (int)number%d;\n", i, i); break;
    }
}

/* The simulator, and its driver, call a kernel as a driver does: with the addresses of its arguments. */
static void write_call(Buf *out, const Function *f) {
  const KernelText *text = &f->written.at[0]->text;
  const char *name = text->how.symbol;
  int n = text->parameters.n;
  buf_printf(out, "#ifdef NN_SIMULATED\nvoid %s_call(void **p) {\n  %s(", name, name);
  for (int i = 0; i < n; i++) buf_printf(out, "%s*(%s*)p[%d]", i ? ", " : "", text->parameters.at[i].type, i);
  for (int i = 0; i < f->n_given; i++) buf_printf(out, ", *(i64 *)p[%d]", n + i);
  buf_printf(out, ");\n}\nconst int %s_count = %d;\n#endif\n", name, n + f->n_given);
}

static void write_function(Buf *out, const Function *f) {
  const KernelText *text = &f->written.at[0]->text;
  buf_puts(out, "\n/* kernels:");
  for (int i = 0; i < f->written.n; i++) buf_printf(out, " %s", f->written.at[i]->text.how.symbol);
  buf_puts(out, " */\n");
  if (text->how.products) buf_printf(out, "/* %s: %d products */\n", text->how.symbol, text->how.products);
  const char *condition =
      text->on_90a ? "defined(NN_WARPGROUPS) || defined(NN_SIMULATED)" : "!defined(NN_WARPGROUPS)";
  if (text->how.has_90a) buf_printf(out, "#if %s\n", condition);
  buf_printf(out, "NN_KERNEL(%d) %s(", text->how.threads, text->how.symbol);
  for (int i = 0; i < text->parameters.n; i++)
    buf_printf(out, "%s%s%s", i ? ", " : "", text->parameters.at[i].type, text->parameters.at[i].name);
  for (int i = 0; i < f->n_given; i++) buf_printf(out, ", i64 number%d", i);
  buf_puts(out, ") {\n");
  write_given(out, f);
  write_body(out, f);
  buf_puts(out, "}\n");
  write_call(out, f);
  if (text->how.has_90a) buf_puts(out, "#endif\n");
}

void cuda_write_program(Buf *out, const CudaProgram *p) {
  write_prelude(out);
  for (int i = 0; i < p->functions.n; i++) write_function(out, p->functions.at[i]);
}

CudaTexts cuda_write_parts(Arena *a, const CudaProgram *p) {
  CudaTexts parts = {0};
  Buf text = {0};
  write_prelude(&text);
  size_t prelude = text.n;
  for (int i = 0; i < p->functions.n; i++) {
    write_function(&text, p->functions.at[i]);
    if (i < p->functions.n - 1 && text.n - prelude < PART) continue;
    vec_push(a, &parts, arena_strndup(a, text.text, text.n));
    text.n = prelude;
  }
  buf_free(&text);
  return parts;
}
