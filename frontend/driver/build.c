/* build.c - see build.h. Each stage runs once, and only as far as something that was asked for needs it. */
#include "frontend/driver/build.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "codegen/link.h"
#include "frontend/driver/gpu.h"
#include "frontend/driver/output.h"
#include "frontend/driver/vocabulary.h"
#include "ir/explain.h"

typedef struct PassTime { /* of all graphs together */
  const char *pass;
  double seconds;
} PassTime;

typedef Vec(Schedule *) ScheduleList;

typedef struct Build {
  Session *session;
  BuildOptions *options;
  const Program *program;
  Compilation *compilation;
  Buf grad; /* graphs after pass derive */
  const char *dump_after;
  Vec(PassTime) times;
} Build;

/* ---- messages, time ---- */

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void show_time(const BuildOptions *o, const char *stage, double seconds) {
  if (o->time_passes) fprintf(stderr, "%10.3f ms  %s\n", 1e3 * seconds, stage);
}

static void pass_timed(void *cx, const char *pass, double seconds) {
  Build *b = cx;
  for (int i = 0; i < b->times.n; i++)
    if (!strcmp(b->times.at[i].pass, pass)) {
      b->times.at[i].seconds += seconds;
      return;
    }
  vec_push(b->session->arena, &b->times, (PassTime){pass, seconds});
}

static void show_pass_times(const Build *b) {
  for (int i = 0; i < b->times.n; i++) show_time(b->options, b->times.at[i].pass, b->times.at[i].seconds);
}

/* ---- what was asked for ---- */

static bool wants(const Build *b, EmitKind kind) {
  for (int i = 0; i < b->options->emit.n; i++)
    if (b->options->emit.at[i].kind == kind) return true;
  return false;
}

static bool wants_any(const Build *b, EmitKind first, EmitKind last) {
  for (int k = (int)first; k <= (int)last; k++)
    if (wants(b, (EmitKind)k)) return true;
  return false;
}

static bool has_ending(const char *s, const char *ending) {
  size_t n = strlen(s), m = strlen(ending);
  return n > m && !strcmp(s + n - m, ending);
}

/* Where a request's result goes: its own path, -o where it is the only one, stdout for texts, else by the source's
 * name. */
static const char *request_path(const Build *b, const EmitRequest *r) {
  const BuildOptions *o = b->options;
  if (r->path) return r->path;
  if (o->output && o->emit.n == 1) return o->output;
  if (!emit_ending(r->kind)) return "-";
  if (o->output && r->kind == EMIT_exe) return o->output;
  const char *slash = strrchr(o->file, '/');
  const char *base = slash ? slash + 1 : o->file;
  size_t n = strlen(base) - (has_ending(base, ".nn") ? 3 : 0);
  return arena_printf(b->session->arena, "%.*s%s", (int)n, base, emit_ending(r->kind));
}

/* A source is not written over by what is made of it. 0 or an exit code. */
static int spare_sources(const Build *b) {
  const Sources *all = &b->session->sources;
  for (int i = 0; i < b->options->emit.n; i++)
    for (int k = 0; k < all->all.n; k++) {
      const char *path = request_path(b, &b->options->emit.at[i]);
      if (!all->all.at[k]->library && output_is(path, all->all.at[k]->path))
        return driver_error(EXIT_USAGE, "`%s` is a source of the program; `-o` gives what is made another name",
                            path);
    }
  return 0;
}

/* Writes `text` for every request of this kind and frees it. */
static int emit(const Build *b, EmitKind kind, Buf *text) {
  const char *error = NULL;
  for (int i = 0; i < b->options->emit.n && !error; i++) {
    const EmitRequest *r = &b->options->emit.at[i];
    if (r->kind == kind) error = output_write(b->session->arena, request_path(b, r), text->text, text->n);
  }
  buf_free(text);
  return error ? driver_error(EXIT_ENVIRONMENT, "%s", error) : 0;
}

static void print_graphs(Buf *out, const Compilation *c) {
  for (int i = 0; i < c->graphs.n; i++) graph_print(out, c->graphs.at[i]);
}

/* ---- stages ---- */

static void pass_dump(void *cx, const char *pass, Graph *g, bool changed) {
  Build *b = cx;
  if (!strcmp(pass, "derive") && wants(b, EMIT_grad)) graph_print(&b->grad, g);
  if (!b->dump_after || (strcmp(b->dump_after, "all") && strcmp(b->dump_after, pass))) return;
  Buf text = {0};
  if (changed) graph_print(&text, g);
  printf("# graph %s after %s%s\n%s", g->name, pass, changed ? "" : " (unchanged)", text.text ? text.text : "");
  buf_free(&text);
}

static bool entry_exists(const Program *p, const char *only) {
  for (int i = 0; i < p->entries.n; i++)
    if (!strcmp(p->entries.at[i].name, only)) return true;
  return false;
}

static int no_entry(const Program *p, const char *only) {
  Buf names = {0};
  for (int i = 0; i < p->entries.n; i++) buf_printf(&names, "%s`%s`", i ? ", " : "", p->entries.at[i].name);
  int code = driver_error(EXIT_USAGE, "--only: there is no entry `%s`; the program has %s", only,
                          names.text ? names.text : "none");
  buf_free(&names);
  return code;
}

static int build_passes(Build *b) {
  CompileOptions *o = &b->options->compile;
  if (o->only && !entry_exists(b->program, o->only)) return no_entry(b->program, o->only);
  o->sources = &b->session->sources;
  b->dump_after = o->passes.dump_after;
  o->objects = wants(b, EMIT_exe) && !wants_any(b, EMIT_llvm, EMIT_obj); /* a program's code is shown as one text */
  if (o->objects && !b->options->cuda)
    cpu_llvm_begin(); /* a process that translates for GPUs is a copy of one thread */
  if (wants(b, EMIT_grad)) o->passes.dump_after = "all";
  o->passes.dump = pass_dump;
  o->passes.timed = pass_timed;
  o->passes.time_passes = b->options->time_passes;
  o->passes.cx = b;
  b->compilation = compile_begin(b->session->arena, b->program, &b->session->diags, o);
  if (wants(b, EMIT_graph)) {
    Buf text = {0};
    print_graphs(&text, b->compilation);
    int status = emit(b, EMIT_graph, &text);
    if (status) return status;
  }
  bool ok = compile_passes(b->compilation);
  show_pass_times(b);
  if (!ok) return EXIT_PROGRAM;
  int status = emit(b, EMIT_grad, &b->grad);
  if (status || !wants(b, EMIT_fused)) return status;
  Buf text = {0};
  print_graphs(&text, b->compilation);
  return emit(b, EMIT_fused, &text);
}

static int build_schedules(Build *b) {
  double start = now();
  const char *error = compile_schedules(b->compilation);
  if (error) return driver_error(EXIT_USAGE, "%s", error);
  show_time(b->options, "schedule and plan", now() - start);
  return b->session->diags.errors ? EXIT_PROGRAM : 0;
}

static int build_cuda(Build *b) {
  Compilation *c = b->compilation;
  bool builds = b->options->cuda && wants(b, EMIT_exe);
  if (!builds && !wants(b, EMIT_cuda)) return 0;
  c->kernels = cuda_program(c->arena, c->schedules.n, c->schedules.at);
  int status = gpu_check(b->session, c);
  if (!status && builds) status = gpu_translate(b->session, b->options, c);
  if (status || !wants(b, EMIT_cuda)) return status;
  Buf text = {0};
  cuda_write_program(&text, c->kernels);
  return emit(b, EMIT_cuda, &text);
}

static int build_code(Build *b) {
  Compilation *c = b->compilation;
  double start = now();
  const char *error = compile_code(c);
  if (error) return driver_error(EXIT_USAGE, "%s", error);
  show_time(b->options, "emit", now() - start);
  Buf kernels = {0}, plan = {0}, dot = {0};
  buf_puts(&dot, "digraph program {\n  node [shape=box]\n");
  for (int i = 0; i < c->schedules.n && wants_any(b, EMIT_kernels, EMIT_dot); i++) {
    schedule_print(&kernels, c->schedules.at[i], &b->session->sources);
    plan_print(&plan, c->schedules.at[i]);
    schedule_dot(&dot, c->schedules.at[i], i, &b->session->sources);
  }
  buf_puts(&dot, "}\n");
  int status = emit(b, EMIT_kernels, &kernels), status2 = emit(b, EMIT_plan, &plan),
      status3 = emit(b, EMIT_dot, &dot);
  return status ? status : status2 ? status2 : status3;
}

static int write_form(Build *b, CpuForm form, EmitKind kind) {
  if (!wants(b, kind)) return 0;
  Buf text = {0};
  const char *error = cpu_module_write(b->compilation->modules.at[0], form, &text);
  if (error) ice("%s", error);
  return emit(b, kind, &text);
}

static const char *link_to(Build *b, const Objects *objects, const char *path) {
  const BuildOptions *o = b->options;
  bool images = false;
  for (int i = 0; i < b->program->data.n; i++) images |= !strcmp(b->program->data.at[i].format, "images");
  const LinkOptions link = {.images = images,
                            .cc = o->cc,
                            .runtime = o->runtime,
                            .is_static = o->is_static,
                            .print_only = o->print_link,
                            .cuda = o->cuda};
  return link_program(b->session->arena, objects->at, objects->n, path, &link);
}

/* Links to a temporary name, so that an interrupted link leaves no half of a program. The name is tried first: a
 * folder that cannot be written is not the linker's to explain. */
static int link_executable(Build *b, const Objects *objects, const char *path) {
  Arena *a = b->session->arena;
  const char *temporary = output_temporary(a, path), *error;
  if (b->options->print_link) {
    error = link_to(b, objects, path);
  } else if (!(error = output_start(a, temporary, path))) {
    error = link_to(b, objects, temporary);
    if (error) output_drop(temporary);
    else error = output_finish(a, temporary, path);
  }
  return error ? driver_error(EXIT_ENVIRONMENT, "%s", error) : 0;
}

static int build_executable(Build *b) {
  double start = now();
  Objects objects = {0};
  const char *error = compile_objects(b->compilation, &objects);
  if (error) ice("%s", error);
  show_time(b->options, "llvm", now() - start);
  start = now();
  int status = 0;
  for (int i = 0; i < b->options->emit.n && !status; i++) {
    const EmitRequest *r = &b->options->emit.at[i];
    if (r->kind == EMIT_exe) status = link_executable(b, &objects, request_path(b, r));
  }
  show_time(b->options, "link", now() - start);
  return status;
}

static int build_outputs(Build *b) {
  int status = write_form(b, CPU_LLVM, EMIT_llvm);
  if (!status) status = write_form(b, CPU_ASSEMBLY, EMIT_asm);
  if (!status) status = write_form(b, CPU_OBJECT, EMIT_obj);
  if (!status && wants(b, EMIT_exe)) status = build_executable(b);
  return status;
}

static int build_stages(Build *b) {
  int status = build_passes(b);
  if (status || b->options->compile.passes.stop_after || !wants_any(b, EMIT_kernels, EMIT_exe)) return status;
  status = build_schedules(b);
  if (!status) status = build_cuda(b);
  if (!status) status = build_code(b);
  return status ? status : build_outputs(b);
}

/* ---- what others call ---- */

int build_load(Session *s, const BuildOptions *o, Program **program) {
  double start = now();
  char *text;
  size_t n;
  ElaborateOptions meaning = o->meaning;
  meaning.vocabulary = vocabulary_read;
  meaning.images = link_has_images;
  const char *error = input_read(s->arena, o->file, &text, &n);
  if (error) return driver_error(EXIT_ENVIRONMENT, "%s", error);
  Str path = str_internz(s->strings, o->file);
  *program = elaborate_program(s->arena, s->strings, &s->sources, &s->diags, path, text, n, &meaning);
  show_time(o, "parse and elaborate", now() - start);
  return s->diags.errors ? EXIT_PROGRAM : 0;
}

static Build *build_new(Session *s, BuildOptions *o, const Program *program) {
  Build *b = NEW(s->arena, Build);
  *b = (Build){.session = s, .options = o, .program = program};
  return b;
}

int build_check_memory(Session *s, BuildOptions *o, const Program *program) {
  Build *b = build_new(s, o, program);
  int status = build_passes(b);
  if (!status) status = build_schedules(b);
  if (b->compilation) compile_end(b->compilation);
  return status;
}

/* The graphs that --save-grads and pieces of a batch need are others' in parts; they are left out unless asked for.
 */
static bool is_of_pieces(const Build *b, const Graph *g) {
  for (int i = 0; i < b->program->train.n && b->options->compile.micro_batch == 0; i++)
    if (b->program->train.at[i].grads == g || b->program->train.at[i].update == g) return true;
  return false;
}

int build_explain(Session *s, BuildOptions *o, const Program *program, int line) {
  Build *b = build_new(s, o, program);
  Buf text = {0};
  int status = build_passes(b);
  if (!status) status = build_schedules(b);
  if (!status) status = build_code(b);
  ScheduleList shown = {0};
  for (int i = 0; !status && i < b->compilation->schedules.n; i++)
    if (!is_of_pieces(b, b->compilation->graphs.at[i])) vec_push(s->arena, &shown, b->compilation->schedules.at[i]);
  bool any = !status && explain_lines(&text, shown.n, shown.at, &s->sources, o->file, line);
  if (any) fwrite(text.text, 1, text.n, stdout);
  else if (!status && line) status = driver_error(EXIT_PROGRAM, "%s:%d: nothing is computed here", o->file, line);
  buf_free(&text);
  if (b->compilation) compile_end(b->compilation);
  return status;
}

int build_program(Session *s, BuildOptions *o, Program *program) {
  Build *b = build_new(s, o, program);
  EmitKind usual = o->compile.passes.stop_after ? EMIT_fused : EMIT_exe; /* where the passes stop, their graphs */
  if (o->emit.n == 0) vec_push(s->arena, &o->emit, (EmitRequest){usual, NULL});
  int status = spare_sources(b);
  if (!status) status = build_stages(b);
  if (b->compilation) compile_end(b->compilation);
  return status;
}

int build_file(Session *s, BuildOptions *o) {
  Program *program = NULL;
  int status = build_load(s, o, &program);
  return status ? status : build_program(s, o, program);
}
