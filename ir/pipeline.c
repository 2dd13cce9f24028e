/* pipeline.c - the list of passes (pass.def) and the runner that runs, verifies, times and dumps them. */
#include "ir/pass.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

const Pass pipeline[] = {
#define ROW(name, function, level, purpose) {#name, pass_##function, level, purpose},
#include "ir/pass.def"
#undef ROW
    {NULL, NULL, 0, NULL},
};

const Pass *pass_find(const char *name) {
  for (const Pass *p = pipeline; p->name; p++)
    if (!strcmp(p->name, name)) return p;
  return NULL;
}

static bool is_disabled(const PipelineOptions *o, const char *name) {
  for (const char *const *d = o->disabled; d && *d; d++)
    if (!strcmp(*d, name)) return true;
  return false;
}

static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static _Noreturn void report_fault(const char *fault, const char *pass, const Graph *g) {
  Buf b = {0};
  graph_print(&b, g);
  fwrite(b.text, 1, b.n, stderr);
  ice("after %s of graph %s: %s", pass, g->name ? g->name : "_", fault);
}

static void verify(Graph *g, const char *pass) {
  const char *fault = graph_verify(g);
  if (fault) report_fault(fault, pass, g);
  bool derived = !strcmp(pass, "derive");
  for (int i = 0; derived && i < g->nodes.n; i++)
    if (node_asks(g->nodes.at[i])) report_fault("a node that asks for a derivative is left", pass, g);
}

/* False if the pass reported an error. */
static bool run_one(const Pass *p, Graph *g, PassContext *cx, const PipelineOptions *o) {
  int errors = cx->diags ? cx->diags->errors : 0;
  double start = seconds();
  bool changed = p->run(g, cx);
  if (o->time_passes && o->timed) o->timed(o->cx, p->name, seconds() - start);
  if (cx->diags && cx->diags->errors > errors) return false;
  bool check = o->verify;
#ifndef NDEBUG
  check = true;
#endif
  if (check) verify(g, p->name);
  bool dump = o->dump_after && (!strcmp(o->dump_after, "all") || !strcmp(o->dump_after, p->name));
  if (dump && o->dump) o->dump(o->cx, p->name, g, changed);
  return true;
}

/* Counts a run of the pass; false if there may be none. */
static bool limit_take(PassLimit *limit, const Pass *p, const Graph *g) {
  if (!limit || p->level == 0) return true;
  if (limit->left == 0) return false;
  limit->left--;
  limit->pass = p->name;
  limit->graph = g->name;
  return true;
}

bool pipeline_run(Graph *g, DiagSink *diags, const PipelineOptions *o) {
  PassContext cx = {.diags = diags, .level = o->level, .slices = o->slices, .gpu = o->gpu, .small = o->small};
  if (o->verify) verify(g, "the frontend");
  for (const Pass *p = pipeline; p->name; p++) {
    bool runs = o->level >= p->level && !is_disabled(o, p->name) && limit_take(o->limit, p, g);
    if (runs && !run_one(p, g, &cx, o)) return false;
    if (o->stop_after && !strcmp(o->stop_after, p->name)) break;
  }
  return true;
}
