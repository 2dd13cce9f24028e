/* schedule_dims.c - the open dimensions of a schedule's graph, in the one order that kernels, tables and the runtime
 * agree on. Symbols inside quotients count; the quotients themselves do not. */
#include "ir/kernel.h"

static void add_dim(Schedule *s, const Dim *d);

static void add_symbol(Schedule *s, DimAtom *atom) {
  for (int i = 0; i < s->dims.n; i++)
    if (s->dims.at[i] == atom) return;
  vec_push(s->arena, &s->dims, atom);
}

static void add_atom(Schedule *s, DimAtom *atom) {
  if (atom->name) {
    add_symbol(s, atom);
    return;
  }
  add_dim(s, atom->a);
  add_dim(s, atom->b);
}

static void add_dim(Schedule *s, const Dim *d) {
  for (int i = 0; i < d->n; i++)
    for (int k = 0; k < d->terms[i].n; k++) add_atom(s, d->terms[i].atoms[k]);
}

static void add_form(Schedule *s, const Form *f) {
  for (int i = 0; i < f->n; i++) {
    const Atom *atom = f->terms[i].atom;
    if (atom->kind == ATOM_DIM) add_dim(s, atom->dim);
    if (atom->kind == ATOM_DIV) add_form(s, atom->form);
    if (atom->kind == ATOM_VAR) add_dim(s, atom->var->extent);
  }
}

static void add_expr(void *cx, Expr *e) {
  if (e->form) add_form(cx, e->form);
  for (int i = 0; e->kind == EXPR_READ && i < e->node->rank; i++) add_form(cx, e->at[i]);
}

void schedule_find_dims(Schedule *s) {
  if (s->graph->batch) add_symbol(s, s->graph->batch);
  for (int i = 0; i < s->graph->nodes.n; i++) {
    const Node *n = s->graph->nodes.at[i];
    for (int k = 0; k < n->rank; k++) add_dim(s, n->shape[k]);
    for (int k = 0; k < n->nred; k++) add_dim(s, n->red[k]);
    for (int k = 0; n->at && k < n->rank; k++) add_form(s, n->at[k]);
    if (n->body) expr_visit(n->body, add_expr, s);
  }
}
