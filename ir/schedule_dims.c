/* schedule_dims.c - the open dimensions of a schedule's graph, in the one order that kernels, tables and the runtime
 * agree on. */
#include "ir/kernel.h"

static void add_symbol(void *cx, DimAtom *atom) {
  Schedule *s = cx;
  for (int i = 0; i < s->dims.n; i++)
    if (s->dims.at[i] == atom) return;
  vec_push(s->arena, &s->dims, atom);
}

void schedule_find_dims(Schedule *s) {
  if (s->graph->batch) add_symbol(s, s->graph->batch);
  for (int i = 0; i < s->graph->nodes.n; i++) node_symbols(s->graph->nodes.at[i], add_symbol, s);
}
