/* fit_memory.c - see fit_memory.h. The budget is for the arena of a graph: parameters and the optimizer's slots come
 * on top of it, whatever is recomputed. */
#include "codegen/fit_memory.h"

#include <inttypes.h>

#include "ir/recompute.h"

static Schedule *schedule_for(const Compilation *c, const Graph *g) {
  for (int i = 0; i < c->schedules.n; i++)
    if (c->schedules.at[i]->graph == g) return c->schedules.at[i];
  return NULL;
}

static const char *type_text(Arena *a, const Node *n) {
  Buf b = {0};
  node_type_print(&b, n);
  const char *text = arena_strndup(a, b.text, b.n);
  buf_free(&b);
  return text;
}

static int64_t at_batch(void *cx, DimAtom *symbol) {
  int64_t batch = *(int64_t *)cx;
  return batch < symbol->lower ? symbol->lower : batch;
}

static void report(Compilation *c, const Train *t, const MemoryFit *fit, const char *what, int64_t batch) {
  Diag *d = diag_add(c->diags, DIAG_MEMORY, t->span,
                     "%s of %" PRId64 " examples needs %" PRId64 " bytes, and --mem allows %" PRId64, what, batch,
                     fit->reached, c->options->memory);
  for (size_t i = 0; i < sizeof fit->largest / sizeof *fit->largest && fit->largest[i]; i++) {
    const Buffer *b = fit->largest[i];
    diag_place(d, b->node->span, "%" PRId64 " bytes are this %s", dim_evaluate(b->bytes, at_batch, &batch),
               type_text(c->arena, b->node));
  }
  diag_note(d, "values computed a second time bring it no lower; without them it is %" PRId64, fit->planned);
  diag_help(d, "give it --mem=%" PRId64 "K, or train with a smaller `batch`", (fit->reached + 1023) / 1024);
}

/* False after an error. */
static bool fit_graph(Compilation *c, const Train *t, const Graph *g, const char *what, int64_t batch) {
  Schedule *s = g ? schedule_for(c, g) : NULL;
  MemoryFit fit;
  if (!s || recompute_to_fit(s, c->options->memory, batch, &fit)) return true;
  if (what) report(c, t, &fit, what, batch);
  return !what;
}

/* Whole batches: a step and an evaluation fit. The gradients' graph, which --save-grads runs, as near as it gets. */
static void fit_batch(Compilation *c, const Train *t) {
  if (!fit_graph(c, t, t->step, "a step", t->batch)) return;
  if (fit_graph(c, t, t->eval, "an evaluation", t->batch)) fit_graph(c, t, t->grads, NULL, t->batch);
}

/* Pieces: as many examples as are asked for, or one, and the program finds how many more. */
static const char *fit_piece(Compilation *c, const Train *t) {
  int64_t size = c->options->micro_batch > 0 ? c->options->micro_batch : 1;
  if (!t->update) return arena_printf(c->arena, "--micro-batch: a batch cannot be taken in pieces: %s", t->whole);
  if (c->options->memory && fit_graph(c, t, t->grads, "a piece", size))
    fit_graph(c, t, t->eval, "an evaluation", size);
  return NULL;
}

const char *fit_memory(Compilation *c) {
  const CompileOptions *o = c->options;
  const Program *p = c->program;
  if (o->memory == 0 && o->micro_batch == 0) return NULL;
  const char *name = o->memory ? "--mem" : "--micro-batch", *error = NULL;
  if (o->only || p->train.n == 0) return arena_printf(c->arena, "%s: there is no training in this program", name);
  if (o->memory == 0 && o->micro_batch < 0) return "--micro-batch=auto: as many as fit --mem, which is not given";
  for (int i = 0; i < p->train.n && !error; i++) {
    if (o->micro_batch) error = fit_piece(c, &p->train.at[i]);
    else fit_batch(c, &p->train.at[i]);
  }
  return error;
}
