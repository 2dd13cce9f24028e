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
  buf_puts(&b, dtype_name(n->dtype));
  for (int i = 0; i < n->rank; i++) {
    buf_puts(&b, i ? ", " : "[");
    dim_print(&b, n->shape[i]);
  }
  if (n->rank) buf_puts(&b, "]");
  const char *text = arena_strndup(a, b.text, b.n);
  buf_free(&b);
  return text;
}

static int64_t at_batch(void *cx, DimAtom *symbol) {
  int64_t batch = *(int64_t *)cx;
  return batch < symbol->lower ? symbol->lower : batch;
}

static void report(Compilation *c, const Train *t, const MemoryFit *fit, const char *what) {
  int64_t batch = t->batch;
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
static bool fit_graph(Compilation *c, const Train *t, const Graph *g, const char *what) {
  Schedule *s = g ? schedule_for(c, g) : NULL;
  MemoryFit fit;
  if (!s || recompute_to_fit(s, c->options->memory, t->batch, &fit)) return true;
  if (what) report(c, t, &fit, what);
  return !what;
}

const char *fit_memory(Compilation *c) {
  if (c->options->memory == 0) return NULL;
  const Program *p = c->program;
  if (c->options->only || p->train.n == 0) return "--mem: there is no training in this program";
  for (int i = 0; i < p->train.n; i++) {
    const Train *t = &p->train.at[i];
    bool fits = fit_graph(c, t, t->step, "a step") && fit_graph(c, t, t->eval, "an evaluation");
    if (fits) fit_graph(c, t, t->grads, NULL); /* --save-grads has all gradients at once: as near as it gets */
  }
  return NULL;
}
