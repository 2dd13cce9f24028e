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
  target.gpu = c->options->passes.gpu;
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

/* The first values are made once, and their draws are a function beside the kernels; gradients for --save-grads are a
 * look at a model, taken once, unless nnc was told that batches will be taken in pieces: such kernels are translated
 * with less care. */
static bool is_seldom_run(const Compilation *c, const Graph *g) {
  const Program *p = c->program;
  if (g == p->init) return true;
  for (int i = 0; i < p->train.n; i++)
    if (p->train.at[i].grads == g) return c->options->micro_batch == 0;
  return false;
}

/* ---- modules ---- */

/* Instructions of kernels in a module: many modules keep all threads at work to the end, and each costs a little. The
 * number is fixed, and with it the program's bytes. */
enum { MODULE_SIZE = 2000 };

static void give(Compilation *c, CpuModule *m) {
  if (c->team) cpu_team_give(c->team, m);
}

/* Kernels of graphs that are seldom run, or of the others: into modules of their own where a team translates them. */
static void emit_kernels(Compilation *c, bool seldom) {
  const CompileOptions *o = c->options;
  CpuModule *first = c->modules.at[0], *m = NULL;
  for (int i = 0; i < c->schedules.n; i++) {
    const Schedule *s = c->schedules.at[i];
    for (int k = 0; is_seldom_run(c, s->graph) == seldom && k < s->kernels.n; k++) {
      if (!m && c->team)
        vec_push(c->arena, &c->modules, cpu_module_beside(first, o->march, seldom ? 0 : o->passes.level));
      m = c->modules.at[c->modules.n - 1];
      cpu_emit_kernel(m, s, s->kernels.at[k]);
      if (!c->team || cpu_module_size(m) < MODULE_SIZE) continue;
      give(c, m);
      m = NULL;
    }
  }
  if (m) give(c, m);
}

const char *compile_code(Compilation *c) {
  const char *error = NULL;
  const CompileOptions *o = c->options;
  CpuModule *first = cpu_module_new(c->arena, c->program->name, o->march, o->passes.level, &error);
  if (!first) return error;
  vec_push(c->arena, &c->modules, first);
  if (o->objects) c->team = cpu_team_new(c->arena);
  emit_kernels(c, false);
  emit_kernels(c, true); /* after all others, whose kernels they may have too */
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

const char *compile_objects(Compilation *c, Objects *objects) {
  if (!c->team) c->team = cpu_team_new(c->arena);
  cpu_team_give(c->team, c->modules.at[0]);
  const char *error = cpu_team_finish(c->team);
  for (int i = 0; i < c->modules.n && !error; i++) vec_push(c->arena, objects, *cpu_module_object(c->modules.at[i]));
  return error;
}

void compile_end(Compilation *c) {
  if (c->team) cpu_team_finish(c->team);
  for (int i = c->modules.n - 1; i >= 0; i--) cpu_module_free(c->modules.at[i]);
  c->modules.n = 0;
}
