/* compile.c - see compile.h. */
#include "codegen/compile.h"

#include "codegen/constants.h"
#include "codegen/fit_memory.h"

Compilation *compile_begin(Arena *a, const Program *p, DiagSink *diags, const CompileOptions *o) {
  Compilation *c = NEW(a, Compilation);
  c->arena = a;
  c->program = p;
  c->diags = diags;
  c->options = o;
  tables_graphs(a, p, o->only, &c->graphs);
  return c;
}

bool compile_passes(Compilation *c) {
  bool ok = true;
  for (int i = 0; i < c->graphs.n; i++) ok &= pipeline_run(c->graphs.at[i], c->diags, &c->options->passes);
  return ok;
}

const char *compile_schedules(Compilation *c) {
  Target target;
  const char *error = cpu_target(c->options->march, &target);
  if (error) return error;
  for (int i = 0; i < c->graphs.n; i++) {
    Schedule *s = schedule(c->graphs.at[i], &target, c->arena, c->options->passes.level);
    s->tf32 = c->options->tf32;
    vec_push(c->arena, &c->schedules, s);
  }
  error = fit_memory(c);
  for (int i = 0; i < c->schedules.n && c->options->passes.verify; i++) {
    const char *fault = schedule_verify(c->schedules.at[i]);
    if (fault) ice("schedule of graph %s: %s", c->schedules.at[i]->graph->name, fault);
  }
  return error;
}

/* What the program asks of the processor at its start. */
static const char *target_features(const Target *t) {
  if (t->vector_bytes == 64) return "avx512f,avx512dq,avx512bw,avx512vl,avx2,fma";
  if (t->vector_bytes == 32) return "avx2,fma";
  return "";
}

/* Gradients for --save-grads are a look at a model, taken once: their kernels are translated with less care, unless
 * nnc was told that batches will be taken in pieces. */
static bool is_seldom_run(const Compilation *c, const Graph *g) {
  const Program *p = c->program;
  for (int i = 0; i < p->train.n; i++)
    if (p->train.at[i].grads == g) return c->options->micro_batch == 0;
  return false;
}

static void make_modules(Compilation *c, CpuModule *first) {
  const CompileOptions *o = c->options;
  vec_push(c->arena, &c->modules, first);
  for (int i = 1; i < o->modules; i++)
    vec_push(c->arena, &c->modules, cpu_module_beside(first, o->march, o->passes.level));
}

/* Each kernel to the module that has the least. */
static void emit_kernels(Compilation *c, const Schedule *s) {
  for (int k = 0; k < s->kernels.n; k++) {
    CpuModule *least = c->modules.at[0];
    for (int i = 1; i < c->modules.n; i++)
      if (cpu_module_size(c->modules.at[i]) < cpu_module_size(least)) least = c->modules.at[i];
    cpu_emit_kernel(least, s, s->kernels.at[k]);
  }
}

/* After all others, whose kernels they may have too. */
static void emit_seldom_run(Compilation *c) {
  const CompileOptions *o = c->options;
  CpuModule *m = c->modules.at[0];
  if (c->modules.n > 1) vec_push(c->arena, &c->modules, m = cpu_module_beside(m, o->march, 0));
  for (int i = 0; i < c->schedules.n; i++) {
    const Schedule *s = c->schedules.at[i];
    for (int k = 0; is_seldom_run(c, s->graph) && k < s->kernels.n; k++) cpu_emit_kernel(m, s, s->kernels.at[k]);
  }
}

const char *compile_code(Compilation *c) {
  const char *error = NULL;
  const CompileOptions *o = c->options;
  CpuModule *first = cpu_module_new(c->arena, c->program->name, o->march, o->passes.level, &error);
  if (!first) return error;
  make_modules(c, first);
  for (int i = 0; i < c->schedules.n; i++)
    if (!is_seldom_run(c, c->schedules.at[i]->graph)) emit_kernels(c, c->schedules.at[i]);
  emit_seldom_run(c);
  NnrtCuda cuda = {.n_images = c->images.n, .images = c->images.at};
  const TablesOptions tables = {.only = o->only,
                                .cpu = target_features(cpu_module_target(first)),
                                .build = o->version,
                                .sources = o->sources,
                                .memory = o->memory,
                                .micro_batch = o->micro_batch,
                                .cuda = c->images.n ? &cuda : NULL,
                                .kernels = c->kernels};
  c->tables = tables_build(c->arena, c->program, c->schedules.at, c->schedules.n, &tables);
  constants_write(first, c->tables);
  if (c->images.n) constants_write_cuda(first, &cuda);
  return NULL;
}

void compile_end(Compilation *c) {
  for (int i = c->modules.n - 1; i >= 0; i--) cpu_module_free(c->modules.at[i]);
  c->modules.n = 0;
}
