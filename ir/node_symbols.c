/* node_symbols.c - the open dimensions that a node mentions: in its shape, its reductions and its body. Symbols
 * inside quotients count; the quotients themselves do not. */
#include "ir/graph.h"

typedef struct Seeing {
  SymbolVisit *visit;
  void *cx;
} Seeing;

static void see_dim(const Seeing *s, const Dim *d);

static void see_atom(const Seeing *s, DimAtom *atom) {
  if (atom->name) {
    s->visit(s->cx, atom);
    return;
  }
  see_dim(s, atom->a);
  see_dim(s, atom->b);
}

static void see_dim(const Seeing *s, const Dim *d) {
  for (int i = 0; i < d->n; i++)
    for (int k = 0; k < d->terms[i].n; k++) see_atom(s, d->terms[i].atoms[k]);
}

static void see_form(const Seeing *s, const Form *f) {
  for (int i = 0; i < f->n; i++) {
    const Atom *atom = f->terms[i].atom;
    if (atom->kind == ATOM_DIM) see_dim(s, atom->dim);
    if (atom->kind == ATOM_DIV) see_form(s, atom->form);
    if (atom->kind == ATOM_VAR) see_dim(s, atom->var->extent);
  }
}

static void see_expr(void *cx, Expr *e) {
  if (e->form) see_form(cx, e->form);
  for (int i = 0; e->kind == EXPR_READ && i < e->node->rank; i++) see_form(cx, e->at[i]);
}

void dim_symbols(const Dim *d, SymbolVisit *visit, void *cx) { see_dim(&(Seeing){visit, cx}, d); }

void node_symbols(const Node *n, SymbolVisit *visit, void *cx) {
  Seeing s = {visit, cx};
  for (int k = 0; k < n->rank; k++) see_dim(&s, n->shape[k]);
  for (int k = 0; k < n->nred; k++) see_dim(&s, n->red[k]);
  for (int k = 0; n->at && k < n->rank; k++) see_form(&s, n->at[k]);
  if (n->body) expr_visit(n->body, see_expr, &s);
}
