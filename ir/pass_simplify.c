/* pass_simplify.c - rules that act across nodes and reductions (S6-S8, S10-S13), in two tables at the end.
 *
 * In, out: a graph in topological order. Scalar rules replace one operation in a body, looking through reads of maps;
 * node rules replace one comp. What holds within one expression whatever its operands (S1-S5) is done by the
 * expressions' own builders. Runs before derive, because the derivative of a stable expression is stable and the
 * other is not, and after it, because adjoints are full of what these rules remove. Once no node asks for a
 * derivative, `stop` has done its work and goes too.
 *
 * S3 and S12 drop a NaN or infinity that the removed part might have been: adjoints need it. */
#include <math.h>

#include "ir/pass.h"
#include "ir/reduce_indices.h"
#include "ir/table.h"

typedef struct Simplify {
  Graph *g;
  Ir *ir;
  Arena *scratch;
  bool derived; /* no node asks for a derivative */
  bool *wanted; /* by the id of a node that was there before the round: a derivative by it is asked for */
  int n;
  PtrMap rewritten; /* Expr to Expr */
  PtrMap shifted;   /* a sum of exp to the same with its terms shifted (S11) */
  PtrMap shift;     /* the latter to the node of the shifts */
} Simplify;

/* ---- looking at operands ---- */

/* The node that e reads, or what has taken its place, if that is a comp of this reducer; one by which a derivative is
 * asked for is nothing but itself. */
static Node *read_of(const Simplify *s, const Expr *e, Reducer r) {
  if (e->kind != EXPR_READ) return NULL;
  Node *n = e->node;
  for (;; n = n->forward) {
    if (n->id < s->n && s->wanted[n->id]) return NULL;
    if (!n->forward) return n->kind == NODE_comp && n->reducer == r ? n : NULL;
  }
}

/* e with reads of maps at its top replaced by the maps' bodies. */
static Expr *through(Simplify *s, Expr *e) {
  for (Node *n; (n = read_of(s, e, RED_none));) e = node_body_at(s->g, n, e->at);
  return e;
}

static VarList vars_of(Simplify *s, const Node *n) {
  VarList v = {0};
  for (int i = 0; i < n->rank; i++) vec_push(s->scratch, &v, node_result_var(s->g, n, i));
  for (int i = 0; i < n->nred; i++) vec_push(s->scratch, &v, node_reduction_var(s->g, n, i));
  return v;
}

/* A comp over like's result indices, which stand first in v. */
static Node *comp_like(Simplify *s, const Node *like, Reducer r, const VarList *v, Expr *body) {
  int nred = r == RED_none ? 0 : v->n - like->rank;
  Node *n = graph_comp(s->g, like->rank, v->at, nred ? r : RED_none, nred, v->at + like->rank, body, like->span);
  n->name = like->name;
  return n;
}

/* ---- factors ---- */

typedef struct Factor {
  Expr *e;
  bool inverse; /* 1/e */
} Factor;
typedef Vec(Factor) Factors;

static void collect_factors(Simplify *s, Expr *e, bool inverse, Factors *out) {
  if (expr_is_op(e, OP_mul)) {
    collect_factors(s, e->arg[0], inverse, out);
    collect_factors(s, e->arg[1], inverse, out);
  } else if (expr_is_op(e, OP_div)) {
    collect_factors(s, e->arg[0], inverse, out);
    collect_factors(s, e->arg[1], !inverse, out);
  } else if (expr_is_op(e, OP_neg)) {
    vec_push(s->scratch, out, (Factor){expr_real(s->ir, e->dtype, -1), false});
    collect_factors(s, e->arg[0], inverse, out);
  } else if (!expr_is_number(e, 1)) vec_push(s->scratch, out, (Factor){e, inverse});
}

static Expr *product(Simplify *s, DType t, const Factors *f) {
  Expr *above = NULL, *below = NULL;
  for (int i = 0; i < f->n; i++) {
    Expr **side = f->at[i].inverse ? &below : &above;
    *side = *side ? expr_op2(s->ir, OP_mul, *side, f->at[i].e) : f->at[i].e;
  }
  if (!above) above = expr_real(s->ir, t, 1);
  return below ? expr_op2(s->ir, OP_div, above, below) : above;
}

/* ---- S11: stability ---- */

typedef struct FindMax {
  const Simplify *s;
  int depth;
  bool found;
} FindMax;

static void find_max(void *cx, Expr *e) {
  FindMax *f = cx;
  if (e->kind != EXPR_READ || f->found) return;
  f->found = read_of(f->s, e, RED_max) != NULL;
  Node *map = read_of(f->s, e, RED_none);
  if (!map || f->depth == 0) return;
  FindMax inner = {f->s, f->depth - 1, false};
  expr_visit(map->body, find_max, &inner);
  f->found |= inner.found;
}

/* Whether the exponent already has a maximum in it: somebody has shifted it. */
static bool is_shifted(const Simplify *s, Expr *exponent) {
  FindMax f = {s, 3, false};
  expr_visit(exponent, find_max, &f);
  return f.found;
}

/* The maximum m as a shift: 0 where it is not finite, so that a row without elements gives log(0), not NaN. */
static Expr *shift_at(Simplify *s, Node *m, Form **at) {
  Expr *x = expr_read(s->ir, m, at);
  Expr *finite = expr_select(s->ir, expr_op1(s->ir, OP_is_finite, x), x, expr_real(s->ir, x->dtype, 0));
  return expr_op1(s->ir, OP_stop, finite);
}

/* sum(r: exp(x)) as sum(r: exp(x - shift)); NULL when it is no such sum or needs no shift. */
static Node *shifted_sum(Simplify *s, Node *sum) {
  Node *done = ptrmap_get(&s->shifted, sum);
  if (done) return done;
  Guarded g = expr_guarded(s->ir, through(s, sum->body));
  Expr *e = through(s, g.value);
  if (!expr_is_op(e, OP_exp) || is_shifted(s, e->arg[0])) return NULL;
  Expr *x = e->arg[0], *least = expr_real(s->ir, x->dtype, -INFINITY);
  VarList v = vars_of(s, sum);
  Node *m = comp_like(s, sum, RED_max, &v, g.guard ? expr_select(s->ir, g.guard, x, least) : x);
  Expr *shift = shift_at(s, m, form_vars(s->ir, sum->rank, v.at));
  Expr *term = expr_op1(s->ir, OP_exp, expr_op2(s->ir, OP_sub, x, shift));
  Node *out = comp_like(s, sum, RED_sum, &v, expr_guard(s->ir, g.guard, term));
  ptrmap_put(&s->shifted, sum, out);
  ptrmap_put(&s->shift, out, m);
  return out;
}

/* log(sum(r: exp(x))) = m + log(sum(r: exp(x - m))) */
static Expr *log_sum_exp(Simplify *s, Expr *e) {
  if (!expr_is_op(e, OP_log)) return NULL;
  Expr *a = through(s, e->arg[0]);
  Node *sum = read_of(s, a, RED_sum), *shifted = sum ? shifted_sum(s, sum) : NULL;
  if (!shifted) return NULL;
  Expr *shift = shift_at(s, ptrmap_get(&s->shift, shifted), a->at);
  return expr_op2(s->ir, OP_add, shift, expr_op1(s->ir, OP_log, expr_read(s->ir, shifted, a->at)));
}

/* log(exp(a)) = a, log(exp(a) / b) = a - log(b), log(exp(a) * b) = a + log(b) */
static Expr *log_of_exp(Simplify *s, Expr *e) {
  if (!expr_is_op(e, OP_log)) return NULL;
  Expr *a = through(s, e->arg[0]);
  if (expr_is_op(a, OP_exp)) return a->arg[0];
  if (!expr_is_op(a, OP_div) && !expr_is_op(a, OP_mul)) return NULL;
  for (int k = 0; k < (a->op == OP_mul ? 2 : 1); k++) {
    Expr *x = through(s, a->arg[k]);
    if (!expr_is_op(x, OP_exp)) continue;
    Expr *rest = expr_op1(s->ir, OP_log, a->arg[1 - k]);
    return expr_op2(s->ir, a->op == OP_mul ? OP_add : OP_sub, x->arg[0], rest);
  }
  return NULL;
}

/* e is x + 1, 1 + x: x; else NULL. */
static Expr *less_one(Expr *e) {
  if (expr_is_op(e, OP_add) && expr_is_number(e->arg[0], 1)) return e->arg[1];
  if (expr_is_op(e, OP_add) && expr_is_number(e->arg[1], 1)) return e->arg[0];
  return expr_is_op(e, OP_sub) && expr_is_number(e->arg[1], -1) ? e->arg[0] : NULL;
}

/* e is 1 - x: x; else NULL. */
static Expr *one_minus(Expr *e) {
  if (expr_is_op(e, OP_sub) && expr_is_number(e->arg[0], 1)) return e->arg[1];
  Expr *rest = less_one(e);
  return rest && expr_is_op(rest, OP_neg) ? rest->arg[0] : NULL;
}

/* log(sigmoid(x)) = -softplus(-x), log(1 - sigmoid(x)) = -softplus(x), log(1 + exp(x)) = softplus(x) */
static Expr *log_of_sigmoid(Simplify *s, Expr *e) {
  if (!expr_is_op(e, OP_log)) return NULL;
  Ir *ir = s->ir;
  Expr *a = through(s, e->arg[0]), *x;
  if (expr_is_op(a, OP_sigmoid))
    return expr_op1(ir, OP_neg, expr_op1(ir, OP_softplus, expr_op1(ir, OP_neg, a->arg[0])));
  if ((x = one_minus(a)) && expr_is_op(x = through(s, x), OP_sigmoid))
    return expr_op1(ir, OP_neg, expr_op1(ir, OP_softplus, x->arg[0]));
  if ((x = less_one(a)) && expr_is_op(x = through(s, x), OP_exp)) return expr_op1(ir, OP_softplus, x->arg[0]);
  return NULL;
}

/* log(1 + x) = log1p(x), log(1 - x) = log1p(-x) */
static Expr *log_near_one(Simplify *s, Expr *e) {
  if (!expr_is_op(e, OP_log)) return NULL;
  Expr *x;
  if ((x = one_minus(e->arg[0]))) return expr_op1(s->ir, OP_log1p, expr_op1(s->ir, OP_neg, x));
  if ((x = less_one(e->arg[0]))) return expr_op1(s->ir, OP_log1p, x);
  return NULL;
}

/* exp(x) - 1 = expm1(x) */
static Expr *exp_less_one(Simplify *s, Expr *e) {
  for (int k = 0; k < 2; k++) {
    bool fits = expr_is_op(e, OP_add) ? expr_is_number(e->arg[1 - k], -1)
                                      : k == 0 && expr_is_op(e, OP_sub) && expr_is_number(e->arg[1], 1);
    if (fits && expr_is_op(e->arg[k], OP_exp)) return expr_op1(s->ir, OP_expm1, e->arg[k]->arg[0]);
  }
  return NULL;
}

/* S13: a / b / c = a / (b * c) */
static Expr *one_division(Simplify *s, Expr *e) {
  if (!expr_is_op(e, OP_div) || !expr_is_op(e->arg[0], OP_div)) return NULL;
  return expr_op2(s->ir, OP_div, e->arg[0]->arg[0], expr_op2(s->ir, OP_mul, e->arg[0]->arg[1], e->arg[1]));
}

/* pow(a, n) by products, n a whole number from -4 to 4. */
static Expr *whole_power(Simplify *s, Expr *e) {
  double n;
  if (!expr_is_op(e, OP_pow) || !expr_is_const(e->arg[1], &n) || n != rint(n) || fabs(n) > 4) return NULL;
  Expr *a = e->arg[0], *one = expr_real(s->ir, e->dtype, 1), *square = expr_op2(s->ir, OP_mul, a, a);
  Expr *powers[] = {one, a, square, expr_op2(s->ir, OP_mul, square, a), expr_op2(s->ir, OP_mul, square, square)};
  Expr *power = powers[(int)fabs(n)];
  return n < 0 ? expr_op2(s->ir, OP_div, one, power) : power;
}

/* a + a = 2 * a, as the derivative of a square has it; S6 then takes the 2 out of a sum. */
static Expr *twice(Simplify *s, Expr *e) {
  if (!expr_is_op(e, OP_add) || e->arg[0] != e->arg[1]) return NULL;
  return expr_op2(s->ir, OP_mul, expr_real(s->ir, e->dtype, 2), e->arg[0]);
}

/* After the last derive stop(x) is x. */
static Expr *no_stop(Simplify *s, Expr *e) { return s->derived && expr_is_op(e, OP_stop) ? e->arg[0] : NULL; }

static const struct {
  const char *name;
  Expr *(*apply)(Simplify *s, Expr *e); /* the replacement of e, whose arguments are simple; or NULL */
} scalar_rules[] = {
    {"stop", no_stop},
    {"S2 pow(a, n)", whole_power},
    {"S4 a + a", twice},
    {"S11 log(sum(exp))", log_sum_exp},
    {"S11 log(exp)", log_of_exp},
    {"S11 log(sigmoid)", log_of_sigmoid},
    {"S11 log1p", log_near_one},
    {"S11 expm1", exp_less_one},
    {"S13 a/b/c", one_division},
};

static Expr *rewrite(Simplify *s, Expr *e);

static Expr *rewrite_arguments(Simplify *s, Expr *e) {
  Expr *arg[3] = {NULL};
  bool same = true;
  for (int k = 0; k < e->n; k++) {
    arg[k] = rewrite(s, e->arg[k]);
    same &= arg[k] == e->arg[k];
  }
  if (same) return e;
  if (e->op == OP_cast) return expr_cast(s->ir, e->dtype, arg[0]);
  if (e->op == OP_select) return expr_select(s->ir, arg[0], arg[1], arg[2]);
  return expr_op(s->ir, e->op, arg);
}

/* A read of a map that is one number is that number. */
static Expr *rewrite_read(const Simplify *s, Expr *e) {
  Node *map = read_of(s, e, RED_none);
  return map && map->body->kind == EXPR_CONST ? map->body : e;
}

static Expr *rewrite(Simplify *s, Expr *e) {
  if (e->kind == EXPR_READ) return rewrite_read(s, e);
  if (e->kind != EXPR_OP) return e;
  Expr *known = ptrmap_get(&s->rewritten, e);
  if (known) return known;
  Expr *out = rewrite_arguments(s, e);
  for (size_t r = 0; r < sizeof scalar_rules / sizeof *scalar_rules && out->kind == EXPR_OP; r++) {
    Expr *better = scalar_rules[r].apply(s, out);
    if (!better) continue;
    out = rewrite(s, better);
    break;
  }
  ptrmap_put(&s->rewritten, e, out);
  return out;
}

/* ---- rules for one comp ---- */

/* A map that is a tensor as it stands. */
static Node *identity(Simplify *s, Node *n) {
  if (n->reducer != RED_none || n->body->kind != EXPR_READ) return NULL;
  Node *x = n->body->node;
  if (x->rank != n->rank || x->dtype != n->dtype) return NULL;
  for (int d = 0; d < n->rank; d++)
    if (x->shape[d] != n->shape[d] || form_as_var(n->body->at[d]) != node_result_var(s->g, n, d)) return NULL;
  return x;
}

/* S7, S8, N5, N6, N8 */
static Node *normal_sum(Simplify *s, Node *n) {
  if (n->reducer != RED_sum) return NULL;
  VarList v = vars_of(s, n);
  Sum sum = {n->body, {0}};
  for (int i = n->rank; i < v.n; i++) vec_push(s->scratch, &sum.vars, v.at[i]);
  if (!sum_normalise(s->ir, &sum)) return NULL;
  v.n = n->rank;
  for (int i = 0; i < sum.vars.n; i++) vec_push(s->scratch, &v, sum.vars.at[i]);
  return comp_like(s, n, RED_sum, &v, sum.body);
}

static void find_read(void *cx, Expr *e) { *(bool *)cx |= e->kind == EXPR_READ; }

/* S6: sum(r: c * e) = c * sum(r: e), c without r. Under a guard only a c that reads nothing: the guard may be what
 * keeps it finite, and an infinite c times an empty sum is NaN. */
static Node *factor_out(Simplify *s, Node *n) {
  if (n->reducer != RED_sum) return NULL;
  VarList v = vars_of(s, n);
  Guarded g = expr_guarded(s->ir, n->body);
  Factors all = {0}, out = {0}, in = {0};
  collect_factors(s, g.value, false, &all);
  for (int i = 0; i < all.n; i++) {
    bool moves = !expr_uses_any(all.at[i].e, n->nred, v.at + n->rank), has_read = false;
    expr_visit(all.at[i].e, find_read, &has_read);
    if (g.guard && has_read) moves = false;
    Factors *to = moves ? &out : &in;
    vec_push(s->scratch, to, all.at[i]);
  }
  if (out.n == 0 || in.n == 0) return NULL;
  Node *sum = comp_like(s, n, RED_sum, &v, expr_guard(s->ir, g.guard, product(s, n->dtype, &in)));
  vec_push(s->scratch, &out, (Factor){expr_read_vars(s->ir, sum, v.at), false});
  return comp_like(s, n, RED_none, &v, product(s, n->dtype, &out));
}

/* S10: the factors that hold the reduction index r are summed over it first, where fewer indices meet:
 * sum(j, k: a[i,j] * b[j,k] * c[k,l]) reads ab[i,k]. Only without guards. */
static Node *sum_first(Simplify *s, Node *n) {
  if (n->reducer != RED_sum || n->nred < 2) return NULL;
  VarList v = vars_of(s, n);
  Factors all = {0};
  collect_factors(s, n->body, false, &all);
  for (int k = n->rank; k < v.n; k++) {
    Factors in = {0}, out = {0};
    for (int i = 0; i < all.n; i++) {
      Factors *to = expr_uses(all.at[i].e, v.at[k]) ? &in : &out;
      vec_push(s->scratch, to, all.at[i]);
    }
    Expr *inner = in.n ? product(s, n->dtype, &in) : NULL;
    VarList kept = {0};
    for (int i = 0; inner && i < v.n; i++)
      if (i != k && expr_uses(inner, v.at[i])) vec_push(s->scratch, &kept, v.at[i]);
    if (!inner || out.n == 0 || kept.n + 1 >= v.n || !expr_is_safe(s->ir, inner)) continue;
    Node *part = graph_comp(s->g, kept.n, kept.at, RED_sum, 1, &v.at[k], inner, n->span);
    vec_push(s->scratch, &out, (Factor){expr_read_vars(s->ir, part, kept.at), false});
    for (int i = k; i + 1 < v.n; i++) v.at[i] = v.at[i + 1];
    v.n--;
    return comp_like(s, n, RED_sum, &v, product(s, n->dtype, &out));
  }
  return NULL;
}

/* The number of values that a comp's reduction visits, as an expression of type t. */
static Expr *count_of(Simplify *s, const Node *n, DType t) {
  Dim *count = dim_const(s->ir, 1);
  for (int i = 0; i < n->nred; i++) count = dim_mul(s->ir, count, n->red[i]);
  return expr_cast(s->ir, t, expr_index(s->ir, DT_i64, form_dim(s->ir, count)));
}

typedef struct Place {
  Form **at; /* for each index of a comp, the result's first */
} Place;

static Form *form_at(void *cx, Var *v) { return ((const Place *)cx)->at[v->slot]; }

/* Whether `total` is sum(r: x) with n's reduction indices r. */
static bool is_sum_of(Simplify *s, Expr *total, Expr *x, const Node *n) {
  Node *sum = read_of(s, total, RED_sum);
  if (!sum || sum->nred != n->nred) return false;
  Place place = {NEW_ARRAY(s->scratch, Form *, sum->rank + sum->nred)};
  for (int i = 0; i < sum->rank; i++) place.at[i] = total->at[i];
  for (int i = 0; i < sum->nred; i++) {
    if (sum->red[i] != n->red[i]) return false;
    place.at[sum->rank + i] = form_var(s->ir, node_reduction_var(s->g, n, i));
  }
  Expr *body = expr_map(&(ExprMap){.ir = s->ir, .var = form_at, .cx = &place}, sum->body);
  return through(s, body) == through(s, x);
}

/* Whether m is the mean of x over n's reduction indices. */
static bool is_mean_of(Simplify *s, Expr *m, Expr *x, const Node *n) {
  m = through(s, m);
  Expr *count = count_of(s, n, x->dtype);
  double size, factor;
  if (expr_is_op(m, OP_div) && m->arg[1] == count) return is_sum_of(s, through(s, m->arg[0]), x, n);
  if (!expr_is_op(m, OP_mul) || !expr_is_const(count, &size)) return false;
  for (int k = 0; k < 2; k++)
    if (expr_is_const(m->arg[k], &factor) && fabs(factor * size - 1) < 1e-6)
      return is_sum_of(s, through(s, m->arg[1 - k]), x, n);
  return false;
}

static bool is_fixed(Simplify *s, const Node *n, const VarList *v, Expr *e) {
  return !expr_uses_any(through(s, e), n->nred, v->at + n->rank);
}

/* e without its factors that hold none of n's reduction indices, also those in the maps that it reads. */
static Expr *varying_factor(Simplify *s, const Node *n, const VarList *v, Expr *e) {
  for (;;) {
    e = through(s, e);
    if (expr_is_op(e, OP_neg)) e = e->arg[0];
    else if (expr_is_op(e, OP_mul) && is_fixed(s, n, v, e->arg[0])) e = e->arg[1];
    else if ((expr_is_op(e, OP_mul) || expr_is_op(e, OP_div)) && is_fixed(s, n, v, e->arg[1])) e = e->arg[0];
    else return e;
  }
}

/* S12: sum(r: c * (x[r] - m)) = 0, m the mean of x over r and c without r. */
static Node *deviations(Simplify *s, Node *n) {
  if (n->reducer != RED_sum) return NULL;
  VarList v = vars_of(s, n);
  Expr *e = varying_factor(s, n, &v, n->body), *x = NULL, *m = NULL;
  if (expr_is_op(e, OP_sub)) x = e->arg[0], m = e->arg[1];
  for (int k = 0; k < 2 && expr_is_op(e, OP_add); k++)
    if (expr_is_op(e->arg[k], OP_neg)) x = e->arg[1 - k], m = e->arg[k]->arg[0];
  if (!x || !(is_mean_of(s, m, x, n) || is_mean_of(s, x, m, n))) return NULL;
  return comp_like(s, n, RED_none, &v, expr_real(s->ir, n->dtype, 0));
}

static const struct {
  const char *name;
  Node *(*apply)(Simplify *s, Node *n); /* the replacement of a comp, or NULL */
} node_rules[] = {
    {"identity", identity},        {"S7 S8 N5 N6 N8", normal_sum}, {"S12 deviations from the mean", deviations},
    {"S6 factor out", factor_out}, {"S10 sum first", sum_first},
};

/* ---- the pass ---- */

static bool simplify_node(Simplify *s, Node *n) {
  Expr *body = rewrite(s, n->body);
  if (body != n->body) {
    n->forward = graph_with_body(s->g, n, body, n->at);
    n->forward->name = n->name;
    return true;
  }
  if (s->wanted[n->id]) return false;
  for (size_t r = 0; r < sizeof node_rules / sizeof *node_rules && n->kind == NODE_comp; r++)
    if ((n->forward = node_rules[r].apply(s, n))) return true;
  return false;
}

/* One round over the nodes; a node that changed is looked at again in the next. */
static bool simplify_round(Graph *g) {
  Simplify s = {.g = g, .ir = g->ir, .scratch = arena_new(), .derived = true};
  int n = s.n = g->nodes.n;
  s.wanted = NEW_ARRAY(s.scratch, bool, n + 1);
  for (int i = 0; i < n; i++) {
    const Node *k = g->nodes.at[i];
    s.derived &= !node_asks(k);
    if (k->kind == NODE_grad || k->kind == NODE_jvp) s.wanted[k->in[1]->id] = true;
  }
  bool changed = false;
  for (int i = 0; i < n; i++) {
    if (g->nodes.at[i]->body) changed |= simplify_node(&s, g->nodes.at[i]);
  }
  ptrmap_free(&s.rewritten);
  ptrmap_free(&s.shifted);
  ptrmap_free(&s.shift);
  arena_free(s.scratch);
  return changed && graph_renew(g);
}

bool pass_simplify(Graph *g, PassContext *cx) {
  (void)cx;
  bool changed = false;
  for (int round = 0; round < 32 && simplify_round(g); round++) changed = true;
  return changed;
}
