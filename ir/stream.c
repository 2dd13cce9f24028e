/* stream.c - see stream.h. Milakov, Gimelshein 2018, arXiv:1805.02867; Dao et al. 2022, arXiv:2205.14135. */
#include "ir/stream.h"

#include "ir/reduce_indices.h"

typedef struct Walk {
  Ir *ir;
  int first, n;
  Node *const *rows;
  int nrows;
  DType products; /* what factors of products are rounded to */
  StreamSum *out;
} Walk;

typedef struct Search {
  const Walk *w;
  bool waits, columns;
  Node *max;
  int maxima;
} Search;

static bool is_row(const Walk *w, const Node *n) {
  for (int i = 0; i < w->nrows; i++)
    if (w->rows[i] == n) return true;
  return false;
}

static bool form_has_column(const Walk *w, const Form *f) {
  for (int i = 0; i < f->n; i++) {
    const Atom *a = f->terms[i].atom;
    if (a->kind == ATOM_VAR && a->var->slot >= w->first && a->var->slot < w->first + w->n) return true;
    if (a->kind == ATOM_DIV && form_has_column(w, a->form)) return true;
  }
  return false;
}

static void look_at_form(void *cx, Form *f) {
  Search *s = cx;
  s->columns |= form_has_column(s->w, f);
}

static void look_at(void *cx, Expr *e) {
  Search *s = cx;
  if (e->kind != EXPR_READ || !is_row(s->w, e->node)) return;
  s->waits = true;
  if (e->node->reducer == RED_max) s->maxima += s->max != e->node, s->max = e->node;
  else s->maxima = 2;
}

static Search search(const Walk *w, Expr *e) {
  Search s = {.w = w};
  expr_visit(e, look_at, &s);
  expr_forms(e, look_at_form, &s);
  return s;
}

/* exp(y - by), with `by` made of one maximum, y of none. */
static bool is_shifted(const Walk *w, Expr *y, Expr *by) {
  Search of_y = search(w, y), of_by = search(w, by);
  if (of_y.waits || of_by.columns || of_by.maxima != 1 || w->out->by) return false;
  w->out->by = by, w->out->y = y, w->out->max = of_by.max;
  return true;
}

static bool is_difference(const Expr *e) { return e->kind == EXPR_OP && e->op == OP_sub; }

static Expr *times(const Walk *w, Expr *a, Expr *b) { return a ? expr_op2(w->ir, OP_mul, a, b) : b; }

/* What is left of e as a factor of the terms; NULL: it can't be one. */
static Expr *walk(const Walk *w, Expr *e) {
  Search s = search(w, e);
  if (!s.waits) return e;
  if (!s.columns) {
    w->out->scale = times(w, w->out->scale, e);
    return expr_real(w->ir, e->dtype, 1);
  }
  if (e->kind != EXPR_OP) return NULL;
  if (expr_is_rounded(e, w->products)) { /* what waits is a factor of it: taken before it is rounded or after */
    Expr *inside = walk(w, e->arg[0]->arg[0]);
    return inside ? expr_cast(w->ir, e->dtype, expr_cast(w->ir, w->products, inside)) : NULL;
  }
  bool quotient = e->op == OP_div, guarded = e->op == OP_select && expr_is_number(e->arg[2], 0);
  if (quotient && search(w, e->arg[1]).waits)
    return walk(
        w, expr_op2(w->ir, OP_mul, e->arg[0], expr_op2(w->ir, OP_div, expr_real(w->ir, e->dtype, 1), e->arg[1])));
  if (guarded && search(w, e->arg[0]).waits) return NULL;
  if (e->op == OP_exp)
    return is_difference(e->arg[0]) && is_shifted(w, e->arg[0]->arg[0], e->arg[0]->arg[1]) ? e : NULL;
  if (e->op != OP_neg && e->op != OP_mul && !quotient && !guarded) return NULL;
  Expr *first = guarded ? NULL : walk(w, e->arg[0]);
  Expr *second = guarded || e->op == OP_mul ? walk(w, e->arg[1]) : NULL;
  if (guarded) return second ? expr_select(w->ir, e->arg[0], second, e->arg[2]) : NULL;
  if (!first || (e->op == OP_mul && !second)) return NULL;
  if (e->op == OP_neg) return expr_op1(w->ir, OP_neg, first);
  return expr_op2(w->ir, e->op, first, quotient ? e->arg[1] : second);
}

bool stream_sum(const Graph *g, Expr *body, int first, int n, Node *const *rows, int nrows, StreamSum *out) {
  *out = (StreamSum){0};
  out->term = walk(&(Walk){g->ir, first, n, rows, nrows, g->products, out}, body);
  return out->term != NULL;
}
