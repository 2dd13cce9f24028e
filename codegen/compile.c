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

const char *compile_code(Compilation *c) {
  const char *error = NULL;
  const CompileOptions *o = c->options;
  c->module = cpu_module_new(c->arena, c->program->name, o->march, o->passes.level, &error);
  if (!c->module) return error;
  for (int i = 0; i < c->schedules.n; i++) {
    const Schedule *s = c->schedules.at[i];
    for (int k = 0; k < s->kernels.n; k++) cpu_emit_kernel(c->module, s, s->kernels.at[k]);
  }
  const TablesOptions tables = {.only = o->only,
                                .cpu = target_features(cpu_module_target(c->module)),
                                .build = o->version,
                                .sources = o->sources};
  c->tables = tables_build(c->arena, c->program, c->schedules.at, c->schedules.n, &tables);
  constants_write(c->module, c->tables);
  return NULL;
}

void compile_end(Compilation *c) {
  if (c->module) cpu_module_free(c->module);
  c->module = NULL;
}
