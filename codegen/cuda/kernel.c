/* kernel.c - a kernel's text by its kind: its parameters, and the parts that blocks take. */
#include "codegen/cuda/text.h"

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
  case KERNEL_stream: text_stream(t); return;
  default: ice("a kernel of unknown kind");
  }
}

static void add_parameter(KernelText *x, Arena *a, const char *type, const char *name) {
  vec_push(a, &x->parameters, (Parameter){type, name});
}

/* No thread waits for others where all of them leave. */
static const char *guards_text(Text *t) {
  const char *all = "";
  for (int i = 0; i < t->k->guards.n; i++) {
    const KernelGuard *g = &t->k->guards.at[i];
    all = text_printf(t, "%s  if (%s*b%d) return;\n", all, g->value ? "!" : "", g->operand);
  }
  return all;
}

KernelText text_of_kernel(Arena *a, const Schedule *s, const Kernel *k, bool on_90a) {
  Text t = {.s = s, .k = k, .ir = s->graph->ir, .arena = a, .depth = 1, .on_90a = on_90a};
  KernelText x = {.on_90a = on_90a};
  t.how = (CudaKernel){.symbol = on_90a ? text_printf(&t, "%s_90a", k->symbol) : k->symbol,
                       .scratch = dim_const(t.ir, 0)};
  write_body(&t);
  for (int i = 0; i < k->operands.n; i++)
    add_parameter(&x, a, text_printf(&t, "%s *", type_in_memory(k->operands.at[i]->node->dtype)),
                  text_printf(&t, "b%d", i));
  for (int i = 0; i < s->dims.n; i++) add_parameter(&x, a, "i64 ", text_printf(&t, "d%d", i));
  add_parameter(&x, a, "i64 ", "step");
  add_parameter(&x, a, "char *", "scratch");
  for (int i = 0; i < t.how.n_maps; i++) add_parameter(&x, a, "const NnMap *", text_printf(&t, "map%d", i));
  x.how = t.how;
  x.body = text_printf(&t, "%s%s%s", guards_text(&t), t.head.text ? t.head.text : "", t.out.text);
  x.numbers = t.numbers;
  buf_free(&t.out);
  buf_free(&t.head);
  return x;
}
