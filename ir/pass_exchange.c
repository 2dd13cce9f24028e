/* pass_exchange.c - sums in the other order, where one of them is there already:
 *
 *     sum(u: w[t, u] * sum(e: a[t, e] * b[u, e]))  =  sum(e: a[t, e] * sum(u: w[t, u] * b[u, e]))
 *
 * In, out: a graph without grad, before fuse, which hides equal factors. The derivative of a row's exponentials over
 * their sum has the left side, and what they weigh is the right one's inner sum. The left side needs a value for each
 * t and u, the right one does not: where kernels run on a GPU these need not be in memory then (pass_stream.c). A
 * processor has them at hand, and sums them as they pass. */
#include "ir/cost.h"
#include "ir/pass.h"

enum { MAX_FACTORS = 12, MAX_SLOTS = 32 };

typedef struct Factors { /* of a product; below: what it is divided by */
  int n;
  Expr *e[MAX_FACTORS];
  bool below[MAX_FACTORS];
  bool negative, failed;
  DType products; /* what factors of products are rounded to */
} Factors;

static void add_factor(Factors *f, Expr *e, bool below) {
  if (f->n == MAX_FACTORS) {
    f->failed = true;
    return;
  }
  f->e[f->n] = e;
  f->below[f->n++] = below;
}

/* What pass narrow rounds counts as what it is: neither order of the sums rounds more. */
static void find_factors(Factors *f, Expr *e, bool below) {
  if (expr_is_rounded(e, f->products)) e = e->arg[0]->arg[0];
  if (e->kind == EXPR_OP && e->op == OP_neg) {
    f->negative = !f->negative;
    find_factors(f, e->arg[0], below);
  } else if (e->kind == EXPR_OP && (e->op == OP_mul || e->op == OP_div)) {
    find_factors(f, e->arg[0], below);
    find_factors(f, e->arg[1], below != (e->op == OP_div));
  } else add_factor(f, e, below);
}

/* Takes a factor out of f, if it is there. */
static bool take(Factors *f, const Expr *e, bool below) {
  for (int i = 0; i < f->n; i++)
    if (f->e[i] == e && f->below[i] == below) {
      f->n--;
      f->e[i] = f->e[f->n];
      f->below[i] = f->below[f->n];
      return true;
    }
  return false;
}

static Expr *product(Ir *ir, Expr *e, const Factors *f, bool inverse) {
  for (int i = 0; i < f->n; i++) e = expr_op2(ir, f->below[i] != inverse ? OP_div : OP_mul, e, f->e[i]);
  return f->negative ? expr_op1(ir, OP_neg, e) : e;
}

/* ---- indices ---- */

typedef struct Slots { /* by slot: what stands for it */
  Ir *ir;
  Form *at[MAX_SLOTS];
} Slots;

static Form *form_at(void *cx, Var *v) { return ((Slots *)cx)->at[v->slot]; }

static Expr *at_slots(Slots *s, Expr *e) { return expr_map(&(ExprMap){.ir = s->ir, .var = form_at, .cx = s}, e); }

/* ---- one sum ---- */

typedef struct Exchange {
  Graph *g;
  Ir *ir;
  Arena *scratch;
  Node *n;            /* the outer sum */
  const Expr *read;   /* of the inner one, in its body */
  Factors outer;      /* the others, over n's slots */
  Factors a, b;       /* of the inner one: over n's result slots and `sum`; over n's columns and `sum` */
  int ncolumns, nsum; /* of the inner sum's indices */
  Var **column, **sum;
} Exchange;

static bool is_sum(const Node *n) { return n->kind == NODE_comp && n->reducer == RED_sum && !n->scan; }

/* Whether `read` is of a sum over products of which some have the columns, and the others have not. */
static bool look_inside(Exchange *x, const Expr *read) {
  const Node *d = read->node;
  if (!is_sum(d) || d->rank + d->nred > MAX_SLOTS) return false;
  Slots s = {.ir = x->ir};
  for (int i = 0; i < d->rank; i++) s.at[i] = read->at[i];
  x->nsum = d->nred;
  x->sum = NEW_ARRAY(x->scratch, Var *, d->nred);
  for (int i = 0; i < d->nred; i++) {
    x->sum[i] = var_fresh(x->ir, d->red[i]);
    s.at[d->rank + i] = form_var(x->ir, x->sum[i]);
  }
  Factors all = {.products = x->g->products};
  find_factors(&all, at_slots(&s, d->body), false);
  x->a = (Factors){.negative = all.negative, .failed = all.failed};
  x->b = (Factors){0};
  for (int i = 0; i < all.n; i++)
    add_factor(expr_uses_any(all.e[i], x->ncolumns, x->column) ? &x->b : &x->a, all.e[i], all.below[i]);
  x->read = read;
  return !x->a.failed && x->a.n && x->b.n;
}

/* The slots of y, a sum of the same columns that has the results of n and then the indices of the inner sum, besides
 * indices of one value. */
static bool match_slots(Exchange *x, const Node *y, Slots *s) {
  const Node *n = x->n;
  int next = 0, all = n->rank + x->nsum;
  if (y->nred != n->nred || y->rank + y->nred > MAX_SLOTS) return false;
  for (int i = 0; i < y->rank; i++) {
    Var *v = next < n->rank ? node_result_var(x->g, n, next) : next < all ? x->sum[next - n->rank] : NULL;
    bool single = y->shape[i] == dim_const(x->ir, 1), fits = v && v->extent == y->shape[i];
    if (!fits && !single) return false;
    s->at[i] = fits ? form_var(x->ir, v) : form_const(x->ir, 0);
    next += fits;
  }
  for (int i = 0; i < y->nred; i++) {
    if (x->column[i]->extent != y->red[i]) return false;
    s->at[y->rank + i] = form_var(x->ir, x->column[i]);
  }
  return next == all;
}

/* Whether y is sum(columns: w * b), for the outer sum's w but for factors without a column, which stay in *of_n and
 * *of_y. */
static bool is_there(Exchange *x, const Node *y, Slots *s, Factors *of_n, Factors *of_y) {
  Factors all = {.products = x->g->products}, b = x->b;
  if (!is_sum(y) || !match_slots(x, y, s)) return false;
  find_factors(&all, at_slots(s, y->body), false);
  *of_n = x->outer;
  *of_y = (Factors){.negative = all.negative};
  for (int i = 0; i < all.n; i++)
    if (!take(&b, all.e[i], all.below[i]) && !take(of_n, all.e[i], all.below[i]))
      add_factor(of_y, all.e[i], all.below[i]);
  bool rest = all.failed || of_y->failed || b.n > 0;
  for (int i = 0; i < of_n->n; i++) rest |= expr_uses_any(of_n->e[i], x->ncolumns, x->column);
  for (int i = 0; i < of_y->n; i++)
    rest |= expr_uses_any(of_y->e[i], x->ncolumns, x->column) || expr_uses_any(of_y->e[i], x->nsum, x->sum);
  return !rest;
}

/* sum(e: a * y), with what the two sums do not share. */
static Node *exchanged(Exchange *x, Node *y, const Slots *s, const Factors *of_n, const Factors *of_y) {
  Form **at = NEW_ARRAY(x->scratch, Form *, y->rank);
  for (int i = 0; i < y->rank; i++) at[i] = s->at[i];
  Expr *body = product(x->ir, expr_read(x->ir, y, at), &x->a, false);
  body = product(x->ir, product(x->ir, body, of_n, false), of_y, true);
  Var **result = NEW_ARRAY(x->scratch, Var *, x->n->rank + 1);
  for (int i = 0; i < x->n->rank; i++) result[i] = node_result_var(x->g, x->n, i);
  Node *sum = graph_comp(x->g, x->n->rank, result, RED_sum, x->nsum, x->sum, body, x->n->span);
  sum->name = x->n->name;
  return sum;
}

/* By a sum that stands before n, so it does not wait for it. */
static Node *exchange(Exchange *x) {
  Factors all = {.products = x->g->products}, of_n, of_y;
  find_factors(&all, x->n->body, false);
  for (int i = 0; i < all.n && !all.failed; i++) {
    if (all.below[i] || all.e[i]->kind != EXPR_READ || !look_inside(x, all.e[i])) continue;
    x->outer = all;
    take(&x->outer, all.e[i], false);
    for (int k = 0; k < x->n->id; k++) {
      Node *y = x->g->nodes.at[k];
      Slots s = {.ir = x->ir};
      if (is_there(x, y, &s, &of_n, &of_y)) return exchanged(x, y, &s, &of_n, &of_y);
    }
  }
  return NULL;
}

bool pass_exchange(Graph *g, PassContext *cx) {
  if (!cx->gpu || g->scans.n) return false;
  Arena *a = arena_new();
  for (int i = 0, count = g->nodes.n; i < count; i++) {
    Node *n = g->nodes.at[i];
    bool wide = n->dtype == DT_f32 || n->dtype == DT_f64;
    if (!is_sum(n) || !wide || !n->rank || n->rank + n->nred > MAX_SLOTS) continue;
    Exchange x = {.g = g, .ir = g->ir, .scratch = a, .n = n, .ncolumns = n->nred};
    x.column = NEW_ARRAY(a, Var *, n->nred);
    for (int k = 0; k < n->nred; k++) x.column[k] = node_reduction_var(g, n, k);
    n->forward = exchange(&x);
  }
  arena_free(a);
  return graph_renew(g);
}
