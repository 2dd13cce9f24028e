/* random_graph.c - see random_graph.h. A pool of nodes grows by one random operation after the other; each operation
 * squashes or scales what it makes, so values stay near 1. */
#include "tests/unit/random_graph.h"

#include "ir/scalar.h"

#include <math.h>

enum {
  MAX_POOL = 64,
  MAX_ELEMENTS = 6000,
  MAX_POINTS = 200000,
  MAX_RANK = 4,
  PALETTE = 6,
  MAX_GRADIENTS = 3,
  ATTENTION = 7
};

typedef struct Maker {
  RandomGraph *r;
  Ir *ir;
  Graph *g;
  uint64_t state;
  int flags;
  DType real;
  Dim *B, *palette[PALETTE];
  Node *pool[MAX_POOL];                /* of the real type */
  Node *differentiated[MAX_GRADIENTS]; /* sources */
  int n, ngradients;
} Maker;

/* ---- chance ---- */

static uint64_t next(Maker *m) { /* splitmix64 */
  uint64_t z = m->state += 0x9E3779B97F4A7C15u;
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
  z = (z ^ z >> 27) * 0x94D049BB133111EBu;
  return z ^ z >> 31;
}

static int below(Maker *m, int n) { return (int)(next(m) % (uint64_t)n); }
static double uniform(Maker *m) { return 2 * ((double)(next(m) >> 11) * 0x1p-53) - 1; } /* (-1, 1) */
static Node *any_node(Maker *m) { return m->pool[below(m, m->n)]; }

/* A few extents for the whole graph, so that tensors have some in common: small ones, primes, and the edges of what
 * the scheduler cuts into: vectors (4 to 16), tiles of rows (to 16) and of columns (to 64), blocks of 96 and 512. */
static void choose_palette(Maker *m) {
  static const int small[] = {1, 2, 3, 4, 5, 7, 8, 9, 13, 16, 17, 31, 32, 33};
  static const int edges[] = {6, 11, 14, 15, 24, 29, 47, 48, 63, 64, 65, 95, 96, 97, 193, 511, 512, 513};
  for (int i = 0; i < PALETTE; i++) {
    bool edge = i >= PALETTE - 2;
    int extent = edge ? edges[below(m, (int)(sizeof edges / sizeof *edges))]
                      : small[below(m, (int)(sizeof small / sizeof *small))];
    m->palette[i] = dim_const(m->ir, extent);
  }
}

static Dim *any_extent(Maker *m) {
  int i = below(m, PALETTE + 2);
  return i < PALETTE ? m->palette[i] : m->B;
}

/* ---- shapes ---- */

static int64_t size_of(const Maker *m, const Dim *d) {
  int64_t v;
  return dim_is_const(d, &v) ? v : m->r->batch;
}

static int64_t volume(const Maker *m, int n, Var *const *vars) {
  int64_t v = 1;
  for (int i = 0; i < n; i++) v *= size_of(m, vars[i]->extent);
  return v;
}

static Form *at(Maker *m, Var *v) { return form_var(m->ir, v); }

static void fresh_vars(Maker *m, const Node *x, Var **out) {
  for (int i = 0; i < x->rank; i++) out[i] = var_fresh(m->ir, x->shape[i]);
}

static Expr *read_at(Maker *m, Node *x, Var *const *vars) {
  Form *forms[MAX_RANK];
  for (int i = 0; i < x->rank; i++) forms[i] = at(m, vars[i]);
  return expr_read(m->ir, x, forms);
}

/* x read through the given indices: each of its dimensions at one of equal extent, or at a constant place. */
static Expr *read_broadcast(Maker *m, Node *x, int n, Var *const *vars) {
  Form *forms[MAX_RANK];
  for (int i = 0; i < x->rank; i++) {
    int from = n ? below(m, n) : 0;
    int64_t extent;
    forms[i] = form_const(m->ir, dim_is_const(x->shape[i], &extent) ? below(m, (int)extent) : 0);
    for (int k = 0; k < n; k++) {
      Var *v = vars[(from + k) % n];
      if (v->extent == x->shape[i]) forms[i] = at(m, v);
    }
  }
  return expr_read(m->ir, x, forms);
}

static Expr *number(Maker *m, double v) { return expr_real(m->ir, m->real, v); }
static Expr *op1(Maker *m, ScalarOp op, Expr *a) { return expr_op1(m->ir, op, a); }
static Expr *op2(Maker *m, ScalarOp op, Expr *a, Expr *b) { return expr_op2(m->ir, op, a, b); }

static void keep(Maker *m, Node *n) {
  if (m->n < MAX_POOL) m->pool[m->n++] = n;
}

/* Adds the comprehension unless it is too large or of too high a rank. */
static Node *comp(Maker *m, int rank, Var **result, Reducer red, int nred, Var **reduced, Expr *body) {
  int64_t results = volume(m, rank, result);
  if (rank > MAX_RANK || results > MAX_ELEMENTS || results * volume(m, nred, reduced) > MAX_POINTS) return NULL;
  return graph_comp(m->g, rank, result, red, nred, reduced, body, (Span){0});
}

static void keep_map(Maker *m, int rank, Var **vars, Expr *body) {
  Node *n = comp(m, rank, vars, RED_none, 0, NULL, body);
  if (n) keep(m, n);
}

/* ---- scalars ---- */

static Expr *squared(Maker *m, Expr *x) { return op2(m, OP_mul, x, x); }
static Expr *one_more(Maker *m, Expr *x) { return op2(m, OP_add, x, number(m, 1)); }

static Expr *smooth_unary(Maker *m, Expr *x) {
  static const ScalarOp ops[] = {OP_tanh, OP_sigmoid, OP_sin, OP_cos, OP_erf, OP_atan, OP_softplus, OP_neg};
  switch (below(m, 14)) {
  case 0: return op1(m, OP_exp, op1(m, OP_neg, squared(m, x)));
  case 1: return op1(m, OP_log1p, squared(m, x));
  case 2: return op1(m, OP_sqrt, one_more(m, squared(m, x)));
  case 3: return op1(m, OP_rsqrt, one_more(m, squared(m, x)));
  case 4: return op1(m, OP_expm1, op1(m, OP_tanh, x));
  case 5: return op2(m, OP_pow, one_more(m, squared(m, x)), number(m, 0.3));
  default: return op1(m, ops[below(m, 8)], x);
  }
}

static Expr *rough_unary(Maker *m, Expr *x) {
  switch (below(m, 4)) {
  case 0: return op2(m, OP_max, x, number(m, 0));
  case 1: return op1(m, OP_abs, x);
  case 2: return op2(m, OP_min, x, number(m, 0.5));
  default: return expr_select(m->ir, op2(m, OP_gt, x, number(m, 0.123)), x, op2(m, OP_mul, number(m, 0.1), x));
  }
}

static Expr *unary(Maker *m, Expr *x) {
  bool rough = !(m->flags & RANDOM_SMOOTH) && below(m, 3) == 0;
  return rough ? rough_unary(m, x) : smooth_unary(m, x);
}

static Expr *binary(Maker *m, Expr *x, Expr *y) {
  switch (below(m, 5)) {
  case 0: return op2(m, OP_add, x, y);
  case 1: return op2(m, OP_sub, x, y);
  case 2: return op2(m, OP_mul, x, op1(m, OP_tanh, y));
  case 3: return op2(m, OP_div, x, one_more(m, squared(m, y)));
  default:
    return (m->flags & RANDOM_SMOOTH) ? op2(m, OP_mul, number(m, 0.5), op2(m, OP_add, x, y)) : op2(m, OP_max, x, y);
  }
}

/* ---- operations ---- */

static void add_map(Maker *m) {
  Node *x = any_node(m);
  Var *v[MAX_RANK];
  fresh_vars(m, x, v);
  keep_map(m, x->rank, v, unary(m, read_at(m, x, v)));
}

static void add_binary(Maker *m) {
  Node *x = any_node(m), *y = any_node(m);
  Var *v[MAX_RANK];
  fresh_vars(m, x, v);
  keep_map(m, x->rank, v, binary(m, read_at(m, x, v), read_broadcast(m, y, x->rank, v)));
}

static void add_outer(Maker *m) { /* both tensors' indices side by side, equal extents perhaps shared */
  Node *x = any_node(m), *y = any_node(m);
  if (x->rank + y->rank > MAX_RANK) return;
  Var *v[2 * MAX_RANK];
  fresh_vars(m, x, v);
  fresh_vars(m, y, v + x->rank);
  keep_map(m, x->rank + y->rank, v, binary(m, read_at(m, x, v), read_at(m, y, v + x->rank)));
}

static void add_transpose(Maker *m) {
  Node *x = any_node(m);
  if (x->rank < 2) return;
  Var *v[MAX_RANK], *result[MAX_RANK];
  fresh_vars(m, x, v);
  int turn = 1 + below(m, x->rank - 1);
  for (int i = 0; i < x->rank; i++) result[i] = v[(i + turn) % x->rank];
  keep_map(m, x->rank, result, read_at(m, x, v));
}

/* Splits v into those that stay and those that are reduced, at least one of each where there are two. */
static int partition(Maker *m, int n, Var *const *v, Var **stay, Var **reduced) {
  int nred = 0, nstay = 0, must = n ? below(m, n) : 0;
  for (int i = 0; i < n; i++)
    if (i == must || (below(m, 3) == 0 && nred + 1 < n)) reduced[nred++] = v[i];
    else stay[nstay++] = v[i];
  return nred;
}

static double norm(const Maker *m, int n, Var *const *vars) { return 1 / sqrt(1 + (double)volume(m, n, vars)); }

static void add_reduction(Maker *m) {
  Node *x = any_node(m);
  if (!x->rank) return;
  Var *v[MAX_RANK], *stay[MAX_RANK], *reduced[MAX_RANK];
  fresh_vars(m, x, v);
  int nred = partition(m, x->rank, v, stay, reduced), rank = x->rank - nred;
  Expr *e = read_at(m, x, v);
  int kind = (m->flags & RANDOM_SMOOTH) ? 0 : below(m, 4);
  Reducer red = kind < 2 ? RED_sum : kind == 2 ? RED_max : RED_min;
  if (red == RED_sum) e = op2(m, OP_mul, number(m, norm(m, nred, reduced)), e);
  if (below(m, 8) == 0 && volume(m, nred, reduced) <= 8) red = RED_prod;
  Node *n = comp(m, rank, stay, red, nred, reduced, e);
  if (n) keep(m, n);
}

static void add_contraction(Maker *m) {
  Node *x = any_node(m), *y = any_node(m);
  Var *v[2 * MAX_RANK], *of_y[MAX_RANK], *stay[2 * MAX_RANK], *reduced[MAX_RANK];
  fresh_vars(m, x, v);
  int n = x->rank, nred = 0, nstay = 0;
  bool shared[2 * MAX_RANK] = {false};
  for (int i = 0; i < y->rank; i++) {
    of_y[i] = NULL;
    for (int k = 0; k < x->rank && !of_y[i]; k++)
      if (v[k]->extent == y->shape[i] && !shared[k] && below(m, 4)) of_y[i] = v[k], shared[k] = true;
    if (!of_y[i]) of_y[i] = v[n++] = var_fresh(m->ir, y->shape[i]);
  }
  for (int k = 0; k < n; k++) {
    bool reduce = shared[k] && (nred == 0 || below(m, 2)) && nred < MAX_RANK;
    if (reduce) reduced[nred++] = v[k];
    else stay[nstay++] = v[k];
  }
  if (!nred) return;
  Expr *e = op2(m, OP_mul, read_at(m, x, v), read_at(m, y, of_y));
  Node *sum = comp(m, nstay, stay, RED_sum, nred, reduced, e);
  if (!sum) return;
  Var *w[MAX_RANK];
  fresh_vars(m, sum, w);
  keep_map(m, sum->rank, w, op2(m, OP_mul, number(m, norm(m, nred, reduced)), read_at(m, sum, w)));
}

static void add_softmax(Maker *m) { /* over the last dimension */
  Node *x = any_node(m);
  if (!x->rank) return;
  Var *v[MAX_RANK] = {0}, *last;
  fresh_vars(m, x, v);
  int rows = x->rank - 1;
  last = v[rows];
  Node *max = comp(m, rows, v, RED_max, 1, &last, read_at(m, x, v));
  if (!max) return;
  Expr *shift = op1(m, OP_stop, read_at(m, max, v));
  Expr *e = op1(m, OP_exp, op2(m, OP_sub, read_at(m, x, v), shift));
  Node *sum = comp(m, rows, v, RED_sum, 1, &last, e);
  keep_map(m, x->rank, v, op2(m, OP_div, e, read_at(m, sum, v)));
}

static void add_norm(Maker *m) { /* of rows: mean and variance over the last dimension */
  Node *x = any_node(m);
  if (!x->rank || dim_as_symbol(x->shape[x->rank - 1])) return;
  Var *v[MAX_RANK] = {0}, *last;
  fresh_vars(m, x, v);
  int rows = x->rank - 1;
  last = v[rows];
  Expr *share = number(m, 1.0 / (double)size_of(m, last->extent));
  Node *mean = comp(m, rows, v, RED_sum, 1, &last, op2(m, OP_mul, share, read_at(m, x, v)));
  if (!mean) return;
  Expr *d = op2(m, OP_sub, read_at(m, x, v), read_at(m, mean, v));
  Node *var = comp(m, rows, v, RED_sum, 1, &last, op2(m, OP_mul, share, squared(m, d)));
  Expr *scale = op1(m, OP_rsqrt, op2(m, OP_add, read_at(m, var, v), number(m, 0.1)));
  keep_map(m, x->rank, v, op2(m, OP_mul, d, scale));
}

/* One dimension read through c * i + offset, guarded: slices, pads, strides, reversals. */
static void add_affine_read(Maker *m) {
  Node *x = any_node(m);
  if (!x->rank) return;
  Var *v[MAX_RANK];
  Form *forms[MAX_RANK];
  int k = below(m, x->rank);
  int64_t extent, c = below(m, 4) - 1, offset = below(m, 9) - 4;
  if (!dim_is_const(x->shape[k], &extent) || c == 0) return;
  for (int i = 0; i < x->rank; i++) {
    v[i] = var_fresh(m->ir, i == k ? dim_const(m->ir, 1 + below(m, 20)) : x->shape[i]);
    forms[i] = at(m, v[i]);
  }
  if (c < 0) offset += extent - 1;
  forms[k] = form_add(m->ir, form_scale(m->ir, forms[k], c), form_const(m->ir, offset));
  Expr *inside = expr_inside(m->ir, forms[k], x->shape[k]), *e = expr_read(m->ir, x, forms);
  keep_map(m, x->rank, v, inside ? expr_select(m->ir, inside, e, number(m, 0.25)) : e);
}

static void add_reshape(Maker *m) { /* the last two dimensions as one, or one split in two */
  Node *x = any_node(m);
  int64_t a, b;
  Var *v[MAX_RANK];
  Form *forms[MAX_RANK];
  if (x->rank < 2 || !dim_is_const(x->shape[x->rank - 1], &b) || !dim_is_const(x->shape[x->rank - 2], &a)) return;
  int rank = x->rank - 1;
  for (int i = 0; i < rank; i++) {
    v[i] = var_fresh(m->ir, i == rank - 1 ? dim_const(m->ir, a * b) : x->shape[i]);
    forms[i] = at(m, v[i]);
  }
  forms[rank] = form_mod(m->ir, forms[rank - 1], b);
  forms[rank - 1] = form_floordiv(m->ir, forms[rank - 1], b);
  keep_map(m, rank, v, expr_read(m->ir, x, forms));
}

static void add_window(Maker *m) { /* a convolution along one dimension, with a stride, or a pooling */
  Node *x = any_node(m);
  if (!x->rank) return;
  int k = below(m, x->rank);
  int64_t extent, stride = 1 + below(m, 2), kernel = 1 + below(m, 3);
  if (!dim_is_const(x->shape[k], &extent) || extent < kernel) return;
  Var *v[MAX_RANK], *u = var_fresh(m->ir, dim_const(m->ir, kernel));
  Form *forms[MAX_RANK];
  for (int i = 0; i < x->rank; i++) {
    v[i] = var_fresh(m->ir, i == k ? dim_const(m->ir, (extent - kernel) / stride + 1) : x->shape[i]);
    forms[i] = at(m, v[i]);
  }
  forms[k] = form_add(m->ir, form_scale(m->ir, forms[k], stride), at(m, u));
  Expr *e = expr_read(m->ir, x, forms);
  bool pool = !(m->flags & RANDOM_SMOOTH) && below(m, 2);
  if (!pool) e = op2(m, OP_mul, e, read_broadcast(m, any_node(m), 1, &u));
  Node *n = comp(m, x->rank, v, pool ? RED_max : RED_sum, 1, &u, e);
  if (n) keep(m, n);
}

static void add_concat(Maker *m) { /* x then y, along a dimension */
  Node *x = any_node(m), *y = any_node(m);
  if (!x->rank || x->rank != y->rank) return;
  int k = below(m, x->rank);
  int64_t a, b;
  for (int i = 0; i < x->rank; i++)
    if (i != k && x->shape[i] != y->shape[i]) return;
  if (!dim_is_const(x->shape[k], &a) || !dim_is_const(y->shape[k], &b)) return;
  Var *v[MAX_RANK];
  Form *forms[MAX_RANK];
  for (int i = 0; i < x->rank; i++) {
    v[i] = var_fresh(m->ir, i == k ? dim_const(m->ir, a + b) : x->shape[i]);
    forms[i] = at(m, v[i]);
  }
  Expr *first = expr_read(m->ir, x, forms);
  forms[k] = form_sub(m->ir, forms[k], form_const(m->ir, a));
  Expr *second = expr_read(m->ir, y, forms);
  keep_map(m, x->rank, v, expr_select(m->ir, expr_ge0(m->ir, forms[k]), second, first));
}

/* A loop over x's first dimension, either way: a state with a map in its body, perhaps a sum of the state too. What
 * is kept of every step and all that the state ever was go to the pool. */
static void add_scan(Maker *m) {
  Node *x = any_node(m);
  int64_t steps;
  if (!x->rank || !dim_is_const(x->shape[0], &steps) || steps > 9) return;
  Var *v[MAX_RANK], *sum[MAX_RANK];
  Form *forms[MAX_RANK];
  Dim *shape[MAX_RANK];
  bool down = below(m, 2), mixes = x->rank > 1 && below(m, 2);
  fresh_vars(m, x, v);
  for (int i = 0; i < x->rank; i++) shape[i] = i ? x->shape[i] : dim_const(m->ir, steps + 1);
  if (volume(m, x->rank, v) * (mixes ? size_of(m, x->shape[x->rank - 1]) : 1) > MAX_POINTS) return;
  for (int i = 0; i < x->rank; i++) forms[i] = i ? at(m, v[i]) : form_const(m->ir, 0);
  Expr *first = op2(m, OP_mul, number(m, 0.3), below(m, 2) && steps ? expr_read(m->ir, x, forms) : number(m, 1));
  Node *init = graph_comp(m->g, x->rank - 1, v + 1, RED_none, 0, NULL, first, (Span){0});
  Node *carry = graph_carry(m->g, m->real, x->rank, shape, 0, down, (Span){0});
  forms[0] = carry_row_read(m->ir, carry, at(m, v[0]));
  Expr *state = expr_read(m->ir, carry, forms), *mixed = NULL;
  if (mixes) {
    int last = x->rank - 1;
    Var *r = var_fresh(m->ir, x->shape[last]);
    for (int i = 0; i < last; i++) sum[i] = v[i];
    forms[last] = at(m, r);
    Expr *e = op2(m, OP_mul, number(m, norm(m, 1, &r)), expr_read(m->ir, carry, forms));
    mixed = read_at(m, graph_comp(m->g, last, sum, RED_sum, 1, &r, e, (Span){0}), sum);
  }
  Expr *body = op2(m, OP_add, op2(m, OP_mul, number(m, 0.7), state), unary(m, read_at(m, x, v)));
  if (mixed) body = op2(m, OP_sub, body, mixed);
  Node *next = graph_comp(m->g, x->rank, v, RED_none, 0, NULL, op1(m, OP_tanh, body), (Span){0});
  graph_close(m->g, carry, init, next);
  keep(m, next);
  keep(m, carry);
}

/* ---- sources ---- */

static void give(Maker *m, const Node *n, void *data) {
  Tensor t = {.dtype = n->dtype, .rank = n->rank, .data = data};
  for (int i = 0; i < n->rank; i++) t.extent[i] = size_of(m, n->shape[i]);
  vec_push(m->r->arena, &m->r->in.given, (Binding){n->name, t});
}

static int64_t count_of(const Maker *m, const Node *n) {
  int64_t count = 1;
  for (int i = 0; i < n->rank; i++) count *= size_of(m, n->shape[i]);
  return count;
}

static Node *source(Maker *m, int rank, Dim **shape) {
  int64_t count = 1;
  bool input = rank && below(m, 2), open = false;
  for (int i = 0; i < rank; i++) count *= size_of(m, shape[i]);
  for (int i = 0; i < rank; i++) open |= shape[i] == m->B;
  Str name = str_internf(m->ir->strings, "%s%d", input || open ? "x" : "w", m->g->nodes.n);
  Node *n = input || open ? graph_input(m->g, name, m->real, rank, shape, (Span){0})
                          : graph_param(m->g, name, m->real, rank, shape, (Span){0});
  void *data = arena_alloc(m->r->arena, (size_t)count * 8);
  for (int64_t i = 0; i < count; i++) dtype_store_real(m->real, data, i, uniform(m));
  give(m, n, data);
  return n;
}

static void add_source(Maker *m) {
  Dim *shape[3];
  int rank = below(m, 8) == 0 ? 0 : 1 + below(m, 3);
  int64_t count = 1;
  for (int i = 0; i < rank; i++) count *= size_of(m, shape[i] = any_extent(m));
  if (count > MAX_ELEMENTS) return;
  Node *n = source(m, rank, shape);
  keep(m, n);
  if (m->ngradients < MAX_GRADIENTS) m->differentiated[m->ngradients++] = n;
}

static Node *tensor_of(Maker *m, Dim *batch, int64_t rows, int64_t columns) {
  return source(m, 3, (Dim *[]){batch, dim_const(m->ir, rows), dim_const(m->ir, columns)});
}

/* Scores of keys, perhaps in part or with a penalty, of which a row's exponentials weigh values. At times the weights
 * are seen by others too. */
static void add_attention(Maker *m) {
  Dim *batch = below(m, 2) ? m->B : dim_const(m->ir, 2);
  int queries = 9 + below(m, 18), keys = below(m, 2) ? queries : 9 + below(m, 18), width = 4 + below(m, 5);
  Node *q = tensor_of(m, batch, queries, width), *k = tensor_of(m, batch, keys, width);
  Node *v = tensor_of(m, batch, keys, 8 + below(m, 4));
  Var *b = var_fresh(m->ir, batch), *t = var_fresh(m->ir, q->shape[1]), *u = var_fresh(m->ir, k->shape[1]);
  Var *e = var_fresh(m->ir, q->shape[2]), *f = var_fresh(m->ir, v->shape[2]), *score[] = {b, t, u};
  Expr *product = op2(m, OP_mul, read_at(m, q, (Var *[]){b, t, e}), read_at(m, k, (Var *[]){b, u, e}));
  Expr *s = read_at(m, graph_comp(m->g, 3, score, RED_sum, 1, &e, product, (Span){0}), score);
  Form *before = form_sub(m->ir, at(m, t), at(m, u));
  if (below(m, 2))
    s = op2(m, OP_sub, s,
            op2(m, OP_mul, number(m, 0.02), expr_cast(m->ir, m->real, expr_index(m->ir, DT_i32, before))));
  if (below(m, 2)) s = expr_select(m->ir, expr_ge0(m->ir, before), s, number(m, -(double)INFINITY));
  s = read_at(m, graph_comp(m->g, 3, score, RED_none, 0, NULL, s, (Span){0}), score);
  Node *max = graph_comp(m->g, 2, score, RED_max, 1, &u, s, (Span){0});
  Expr *weight = op1(m, OP_exp, op2(m, OP_sub, s, op1(m, OP_stop, read_at(m, max, score))));
  Node *sum = graph_comp(m->g, 2, score, RED_sum, 1, &u, weight, (Span){0});
  Node *p = graph_comp(m->g, 3, score, RED_none, 0, NULL, op2(m, OP_div, weight, read_at(m, sum, score)), (Span){0});
  Expr *weighed = op2(m, OP_mul, read_at(m, p, score), read_at(m, v, (Var *[]){b, u, f}));
  if (below(m, 4) == 0) keep(m, p);
  keep(m, graph_comp(m->g, 3, (Var *[]){b, t, f}, RED_sum, 1, &u, weighed, (Span){0}));
  m->differentiated[0] = q, m->differentiated[1] = k, m->differentiated[2] = v;
  m->ngradients = MAX_GRADIENTS;
}

/* An input of indices below `limit`, of rank 1. */
static Node *index_source(Maker *m, Dim *extent, int64_t limit) {
  static const DType types[] = {DT_u8, DT_i32, DT_i64};
  DType t = types[below(m, limit > 255 ? 2 : 3)];
  if (limit > 255 && t == DT_u8) t = DT_i32;
  Node *n = graph_input(m->g, str_internf(m->ir->strings, "y%d", m->g->nodes.n), t, 1, &extent, (Span){0});
  int64_t count = count_of(m, n);
  void *data = arena_alloc(m->r->arena, (size_t)count * 8);
  for (int64_t i = 0; i < count; i++) dtype_store_int(t, data, i, below(m, (int)limit));
  give(m, n, data);
  return n;
}

static void add_gather(Maker *m) {
  Node *x = any_node(m);
  int64_t extent;
  if (!x->rank || !dim_is_const(x->shape[0], &extent)) return;
  Var *v[MAX_RANK];
  Form *forms[MAX_RANK];
  for (int i = 0; i < x->rank; i++) {
    v[i] = var_fresh(m->ir, i ? x->shape[i] : any_extent(m));
    forms[i] = at(m, v[i]);
  }
  Node *y = index_source(m, v[0]->extent, extent);
  forms[0] = form_data(m->ir, expr_read(m->ir, y, forms));
  keep_map(m, x->rank, v, expr_read(m->ir, x, forms));
}

static void add_pick(Maker *m) { /* x[i, y[i]] */
  Node *x = any_node(m);
  int64_t extent;
  if (x->rank != 2 || !dim_is_const(x->shape[1], &extent)) return;
  Var *v = var_fresh(m->ir, x->shape[0]);
  Form *i = at(m, v);
  Form *place = form_data(m->ir, expr_read(m->ir, index_source(m, v->extent, extent), &i));
  keep_map(m, 1, &v, expr_read(m->ir, x, (Form *[]){i, place}));
}

static void add_scatter(Maker *m) { /* rows of x added at places given by data */
  Node *x = any_node(m);
  if (!x->rank) return;
  Dim *shape[MAX_RANK];
  Var *v[MAX_RANK];
  Form *forms[MAX_RANK];
  fresh_vars(m, x, v);
  for (int i = 0; i < x->rank; i++) {
    shape[i] = i ? x->shape[i] : dim_const(m->ir, 1 + below(m, 9));
    forms[i] = at(m, v[i]);
  }
  Node *y = index_source(m, x->shape[0], dim_value(shape[0]));
  forms[0] = form_data(m->ir, expr_read(m->ir, y, forms));
  Node *n = graph_scatter(m->g, m->real, x->rank, shape, x->rank, v, forms, read_at(m, x, v), (Span){0});
  Var *w[MAX_RANK];
  fresh_vars(m, n, w);
  keep_map(m, n->rank, w, op1(m, OP_tanh, read_at(m, n, w)));
}

/* Some or all elements of x's rows in the order of their values, which has kinks, or of their places. */
static void add_sort(Maker *m) {
  Node *x = any_node(m);
  int64_t extent;
  if (!x->rank) return;
  Var *v[MAX_RANK];
  Form *forms[MAX_RANK];
  fresh_vars(m, x, v);
  int last = x->rank - 1;
  Expr *key = expr_index(m->ir, DT_i32, form_mod(m->ir, form_scale(m->ir, at(m, v[last]), 7), 5));
  if (!(m->flags & RANDOM_SMOOTH))
    key = below(m, 2) ? read_at(m, x, v) : op1(m, OP_floor, op2(m, OP_mul, read_at(m, x, v), number(m, 4)));
  Node *order = graph_sort(m->g, x->rank, v, below(m, 2), key, (Span){0});
  bool some = dim_is_const(x->shape[last], &extent) && extent > 1 && below(m, 2);
  if (some) v[last] = var_fresh(m->ir, dim_const(m->ir, 1 + below(m, (int)extent - 1)));
  for (int i = 0; i < x->rank; i++) forms[i] = at(m, v[i]);
  forms[last] = form_data(m->ir, read_at(m, order, v));
  keep_map(m, x->rank, v, expr_read(m->ir, x, forms));
}

/* ---- the graph ---- */

static void (*const operations[])(Maker *) = {
    add_map,       add_map,         add_binary,      add_binary,  add_outer, add_transpose,
    add_reduction, add_contraction, add_contraction, add_softmax, add_norm,  add_affine_read,
    add_reshape,   add_window,      add_concat,      add_gather,  add_pick,  add_scatter,
    add_source,    add_scan,        add_scan,        add_sort,
};

/* The mean of tanh of each node of the pool, weighted: one scalar that sees them all. */
static Node *make_loss(Maker *m) {
  Expr *loss = number(m, 0);
  for (int i = 0; i < m->n; i++) {
    Node *x = m->pool[i];
    Var *v[MAX_RANK];
    fresh_vars(m, x, v);
    Expr *share = number(m, (1 + 0.1 * i) / (double)(count_of(m, x) > 0 ? count_of(m, x) : 1));
    Node *sum = comp(m, 0, NULL, RED_sum, x->rank, v, op2(m, OP_mul, share, op1(m, OP_tanh, read_at(m, x, v))));
    if (sum) loss = op2(m, OP_add, loss, expr_read(m->ir, sum, NULL));
  }
  return comp(m, 0, NULL, RED_none, 0, NULL, loss);
}

/* Adds an output for the derivative of y by each source of the first few. */
static void add_gradients(Maker *m, Node *y, const char *prefix, Node **gradients) {
  for (int i = 0; i < m->ngradients; i++) {
    gradients[i] = graph_grad(m->g, y, m->differentiated[i], (Span){0});
    graph_output(m->g, str_internf(m->ir->strings, "%s%d", prefix, i), gradients[i]);
  }
}

/* The sum of the squares of the gradients, which is differentiated again. */
static Node *sum_of_squares(Maker *m, Node **gradients) {
  Expr *all = number(m, 0);
  for (int i = 0; i < m->ngradients; i++) {
    Var *v[MAX_RANK];
    fresh_vars(m, gradients[i], v);
    Expr *square = squared(m, read_at(m, gradients[i], v));
    Node *sum =
        graph_comp(m->g, 0, NULL, gradients[i]->rank ? RED_sum : RED_none, gradients[i]->rank, v, square, (Span){0});
    all = op2(m, OP_add, all, expr_read(m->ir, sum, NULL));
  }
  return comp(m, 0, NULL, RED_none, 0, NULL, all);
}

static void add_derivatives(Maker *m) {
  Node *first[MAX_GRADIENTS], *second[MAX_GRADIENTS];
  if (!(m->flags & (RANDOM_GRADIENT | RANDOM_SECOND))) return;
  add_gradients(m, m->r->loss, "d", first);
  if (m->flags & RANDOM_SECOND) add_gradients(m, sum_of_squares(m, first), "h", second);
}

static void name_outputs(Maker *m) {
  graph_output(m->g, str_internz(m->ir->strings, "loss"), m->r->loss);
  for (int i = 0; i < m->n; i++)
    if (i >= m->n - 3) graph_output(m->g, str_internf(m->ir->strings, "out%d", i), m->pool[i]);
  Node *stored = m->r->loss;
  Node *state = graph_state(m->g, str_internz(m->ir->strings, "kept"), m->real, 0, NULL, (Span){0});
  give(m, state, arena_alloc(m->r->arena, 8));
  graph_store(m->g, state, stored, (Span){0});
}

RandomGraph random_graph(uint64_t seed, int flags) {
  static const int batches[] = {1, 2, 3, 5, 16, 17};
  RandomGraph r = {.arena = arena_new()};
  r.ir = ir_new(r.arena, str_table_new(r.arena));
  r.g = graph_new(r.ir, str_internf(r.ir->strings, "random%llu", (unsigned long long)seed));
  r.in.arena = r.arena;
  Maker m = {.r = &r, .ir = r.ir, .g = r.g, .state = seed, .flags = flags};
  m.real = flags & RANDOM_F64 ? DT_f64 : DT_f32;
  m.B = dim_symbol(r.ir, str_internz(r.ir->strings, "B"), 0);
  r.g->batch = dim_as_symbol(m.B);
  r.batch = batches[below(&m, 6)];
  vec_push(r.arena, &r.in.dims, (DimBinding){r.g->batch, r.batch});
  choose_palette(&m);
  while (m.n < 3) add_source(&m);
  int steps = 3 + below(&m, 18);
  for (int i = 0; i < steps; i++) operations[below(&m, (int)(sizeof operations / sizeof *operations))](&m);
  if (seed % ATTENTION == 3) add_attention(&m);
  r.loss = make_loss(&m);
  name_outputs(&m);
  add_derivatives(&m);
  graph_renew(r.g);
  return r;
}

void random_graph_free(RandomGraph *r) { arena_free(r->arena); }
