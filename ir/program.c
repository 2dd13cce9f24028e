/* program.c - see program.h. */
#include "ir/program.h"

void program_graphs(Program *p, void (*f)(void *cx, Graph *g), void *cx) {
  if (p->init) f(cx, p->init);
  for (int i = 0; i < p->data.n; i++) {
    for (int k = 0; k < p->data.at[i].fields.n; k++) f(cx, p->data.at[i].fields.at[k].graph);
    if (p->data.at[i].stats) f(cx, p->data.at[i].stats);
  }
  for (int i = 0; i < p->train.n; i++) {
    Train *t = &p->train.at[i];
    if (t->begin) f(cx, t->begin);
    if (t->step) f(cx, t->step);
    if (t->eval) f(cx, t->eval);
    if (t->grads) f(cx, t->grads);
    if (t->update) f(cx, t->update);
    for (int k = 0; k < t->reports.n; k++) {
      if (t->reports.at[k].graph) f(cx, t->reports.at[k].graph);
      if (t->reports.at[k].first) f(cx, t->reports.at[k].first);
    }
  }
  for (int i = 0; i < p->entries.n; i++) f(cx, p->entries.at[i].graph);
  for (int i = 0; i < p->tests.n; i++) f(cx, p->tests.at[i].graph);
}
