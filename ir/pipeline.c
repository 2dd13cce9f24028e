/* pipeline.c - the passes in the order in which they run, and the one runner, which verifies, times and dumps. */
#include "ir/derive.h"

#include <string.h>
#include <time.h>

const Pass pipeline[] = {
    {"simplify", pass_simplify, 1, "fold, merge equal subgraphs, drop what nothing needs"},
    {"derive", pass_derive, 0, "write the derivative that each minimize and grad asks for"},
    {"tidy", pass_simplify, 1, "the same as simplify, for what derive wrote"},
    {0},
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

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void verify(Graph *g, const char *after) {
  const char *fault = graph_verify(g);
  if (fault) ice("graph %s after %s: %s", g->name, after, fault);
}

static void run_pass(const Pass *p, Graph *g, PassContext *cx, const PipelineOptions *o) {
  double start = o->time_passes ? now() : 0;
  bool changed = p->run(g, cx);
  if (o->time_passes && o->timed) o->timed(o->cx, p->name, now() - start);
  if (o->verify) verify(g, p->name);
  if (o->dump && o->dump_after && (!strcmp(o->dump_after, "all") || !strcmp(o->dump_after, p->name)))
    o->dump(o->cx, p->name, g, changed);
}

bool pipeline_run(Graph *g, DiagSink *diags, const PipelineOptions *o) {
  PassContext cx = {.diags = diags, .level = o->level};
  int errors = diags->errors;
  if (o->verify) verify(g, "the frontend");
  for (const Pass *p = pipeline; p->name; p++) {
    if (p->level > o->level || is_disabled(o, p->name)) continue;
    run_pass(p, g, &cx, o);
    if (diags->errors > errors) return false;
    if (o->stop_after && !strcmp(o->stop_after, p->name)) break;
  }
  return true;
}
