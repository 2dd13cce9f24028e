/* pass.h - what a pass is given, and the runner. A pass is `bool pass_x(Graph *, PassContext *)` in a file of its
 * own, listed in pass.def with its purpose; it returns whether it changed the graph, and neither prints nor times
 * itself. */
#ifndef NNC_IR_PASS_H
#define NNC_IR_PASS_H

#include "ir/graph.h"

typedef struct PassContext {
  DiagSink *diags; /* for what a user must know, e.g. a derivative that does not exist */
  int level;       /* -O0 .. -O3 */
  int slices;      /* of a long reduction (pass slice); 0: as many as suit a processor's threads */
  bool gpu, small; /* as in PipelineOptions */
} PassContext;

typedef bool (*PassFunction)(Graph *g, PassContext *cx);

typedef struct Pass {
  const char *name;
  PassFunction run;
  int level; /* runs at this -O level and above */
  const char *purpose;
} Pass;

struct Contraction;
/* pass_halve.c: what n is as a product, where it pays on a GPU to make copies for it; NULL. New in arena a. */
struct Contraction *large_product(Graph *g, const Node *n, const PassContext *cx, Arena *a);

extern const Pass pipeline[]; /* from pass.def; ends with a NULL name */

#define ROW(name, function, level, purpose) bool pass_##function(Graph *g, PassContext *cx);
#include "ir/pass.def"
#undef ROW

/* How often a pass that -O0 does without may still be run, over all graphs: nnc --bisect. */
typedef struct PassLimit {
  int left;
  const char *pass, *graph; /* the last that was run */
} PassLimit;

typedef struct PipelineOptions {
  int level, slices; /* PassContext's */
  bool gpu;          /* kernels run on a GPU, too: a few more products cost less there than a tensor in memory */
  bool small;        /* what pays for large products only is done for small ones, too: for tests */
  bool verify;       /* after every pass (always in debug builds) */
  bool time_passes;
  const char *dump_after; /* a pass's name, "all", or NULL */
  const char *stop_after;
  const char *const *disabled; /* NULL-terminated names, or NULL */
  PassLimit *limit;            /* NULL: none */
  void (*dump)(void *cx, const char *pass, Graph *g, bool changed);
  void (*timed)(void *cx, const char *pass, double seconds);
  void *cx;
} PipelineOptions;

/* Runs the passes on one graph. False when a pass reported an error to the sink. Faults found by the verifier are
 * ice(). */
bool pipeline_run(Graph *g, DiagSink *diags, const PipelineOptions *o);
const Pass *pass_find(const char *name); /* NULL if there is none */

#endif
