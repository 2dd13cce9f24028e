/* seed.c - see seed.h. */
#include "ir/seed.h"

#include "ir/reduce_indices.h"

typedef struct Seed {
  Graph *g;
  Ir *ir;
  Arena *scratch;
} Seed;

/* The row-major position of reduction indices, as argmax counts; NULL where it is not affine (inner extents open). */
static Form *flat_position(Seed *s, int n, Var **r) {
  Form *f = form_const(s->ir, 0);
  for (int k = 0; k < n; k++) {
    int64_t extent = 0;
    if (k > 0 && !dim_is_const(r[k]->extent, &extent)) return NULL;
    f = form_add(s->ir, form_scale(s->ir, f, k > 0 ? extent : 1), form_var(s->ir, r[k]));
  }
  return f;
}

/* The same in integer arithmetic, for open extents. */
static Expr *flat_value(Seed *s, int n, Var **r) {
  Expr *f = expr_int(s->ir, DT_i32, 0);
  for (int k = 0; k < n; k++) {
    Expr *extent = expr_index(s->ir, DT_i32, form_dim(s->ir, r[k]->extent));
    Expr *index = expr_index(s->ir, DT_i32, form_var(s->ir, r[k]));
    f = expr_op2(s->ir, OP_add, expr_op2(s->ir, OP_mul, f, extent), index);
  }
  return f;
}

/* max, min: the chosen element gets it all. The choice is a node of its own, so it is the same whatever is fused or
 * narrowed later, and one of equals wins. */
static Expr *seed_chosen(Seed *s, const Node *y, const VarList *v, Expr *d) {
  Var **r = v->at + y->rank;
  Reducer chooser = y->reducer == RED_max ? RED_argmax : RED_argmin;
  Node *chosen = graph_comp(s->g, y->rank, v->at, chooser, y->nred, r, y->body, y->span);
  Expr *at = expr_read_vars(s->ir, chosen, v->at);
  Form *flat = flat_position(s, y->nred, r);
  Expr *hit = flat ? expr_eq0(s->ir, form_sub(s->ir, flat, form_data(s->ir, at)))
                   : expr_op2(s->ir, OP_eq, flat_value(s, y->nred, r), at);
  return expr_guard(s->ir, hit, d);
}

typedef struct Renaming {
  Seed *s;
  const VarList *from, *to;
} Renaming;

static Form *rename_var(void *cx, Var *v) {
  const Renaming *m = cx;
  for (int i = 0; i < m->from->n; i++)
    if (m->from->at[i] == v) return form_var(m->s->ir, m->to->at[i]);
  return NULL;
}

/* prod: times the product of the others, a comp over (i, r) that multiplies over r' != r. Exact where elements are 0.
 */
static Expr *seed_product(Seed *s, const Node *y, const VarList *v, Expr *d) {
  VarList inner = {0}, others = {0};
  for (int i = 0; i < y->nred; i++) {
    vec_push(s->scratch, &inner, v->at[y->rank + i]);
    vec_push(s->scratch, &others, var_fresh(s->ir, y->red[i]));
  }
  Renaming m = {s, &inner, &others};
  Expr *body = expr_map(&(ExprMap){.ir = s->ir, .var = rename_var, .cx = &m}, y->body);
  Expr *same = NULL;
  for (int i = 0; i < y->nred; i++) {
    Form *apart = form_sub(s->ir, form_var(s->ir, others.at[i]), form_var(s->ir, inner.at[i]));
    same = expr_and(s->ir, same, expr_eq0(s->ir, apart));
  }
  if (!same) return d;
  body = expr_select(s->ir, same, expr_real(s->ir, y->dtype, 1), body);
  Node *rest = graph_comp(s->g, v->n, v->at, RED_prod, others.n, others.at, body, y->span);
  return expr_op2(s->ir, OP_mul, d, expr_read_vars(s->ir, rest, v->at));
}

Expr *reduction_seed(Graph *g, Arena *scratch, const Node *y, const VarList *v, Expr *d) {
  Seed s = {g, g->ir, scratch};
  switch (y->reducer) {
  case RED_max:
  case RED_min: return seed_chosen(&s, y, v, d);
  case RED_prod: return seed_product(&s, y, v, d);
  default: return d;
  }
}
