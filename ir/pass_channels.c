/* pass_channels.c - on a GPU: large products of narrow factors read them 8 elements at a time, from copies whose last
 * dimension is one that runs alone.
 *
 * A copy of 16 bytes takes elements side by side, at a multiple of 8. Of a convolution's image the last dimension
 * runs with the taps, j + v - 1, and begins anywhere; its channels run alone, in the image and in the weights. So
 * both are copied with the channels last, and the sum takes them last. The derivative by the weights sums over
 * positions, and has the channels among its lines: these come last there, and the result is turned around afterwards.
 *
 * In, out: a graph without grad, after halve, which made the copies: they are made in another order of dimensions.
 * Sums change in the last digits only. */
#include "ir/classify.h"
#include "ir/cost.h"
#include "ir/pass.h"
#include "ir/transpose.h"

enum { CHUNK = 8, MAX_RANK = 8, MAX_SLOTS = 16 };

typedef struct Turned {
  const Node *of;
  int dimension; /* that is the last */
  Node *node;
} Turned;

typedef struct Channels {
  Graph *g;
  Arena *scratch;
  Vec(Turned) turned;
  Node *n; /* the product */
  const Contraction *c;
} Channels;

/* ---- factors ---- */

typedef struct Factor {
  const Expr *read;
  const int *line; /* slots of its lines */
  int nline;
  int to; /* the dimension that is to be the last; -1: it stays */
} Factor;

/* The read that a factor is, of a copy that could be made otherwise; NULL. */
static const Expr *read_of_copy(const Expr *factor) {
  const Expr *read = expr_plain_read(factor);
  const Node *n = read ? read->node : NULL;
  bool copy = n && node_is_map(n) && dtype_bytes(n->dtype) == 2 && n->rank >= 2 && n->rank <= MAX_RANK;
  return copy && !n->scan && !n->stream ? read : NULL;
}

static bool has_chunks(const Var *v) {
  int64_t extent;
  return dim_is_const(v->extent, &extent) && extent % CHUNK == 0;
}

/* The dimension that v runs along alone; -1: none. */
static int dimension_of(const Expr *read, const Var *v) {
  int found = -1;
  for (int d = 0; d < read->node->rank; d++) {
    if (!form_uses(read->at[d], v)) continue;
    if (found >= 0 || form_as_var(read->at[d]) != v || read->node->shape[d] != v->extent) return -1;
    found = d;
  }
  return found;
}

/* Whether chunks lie side by side as the slots' last index runs. Where it is the only one, the last may be cut short:
 * the rows are apart then (pitch.c). */
static bool runs_with(const Channels *s, const Factor *f, const int *slots, int n) {
  const Var *last = n ? node_slot_var(s->g, s->n, slots[n - 1]) : NULL;
  return last && form_as_var(f->read->at[f->read->node->rank - 1]) == last && (n == 1 || has_chunks(last));
}

static bool lies_well(const Channels *s, const Factor *f) {
  return runs_with(s, f, s->c->k, s->c->nk) || runs_with(s, f, f->line, f->nline);
}

/* ---- copies ---- */

/* n's order of dimensions with d the last. */
static void order_with_last(const Node *n, int d, int *order) {
  int next = 0;
  for (int i = 0; i < n->rank; i++) order[i == d ? n->rank - 1 : next++] = i;
}

static Node *turned(Channels *s, Node *n, int d, const int *order) {
  for (int i = 0; i < s->turned.n; i++)
    if (s->turned.at[i].of == n && s->turned.at[i].dimension == d) return s->turned.at[i].node;
  Node *copy = transposed(s->g, n, order, true, n->span);
  vec_push(s->scratch, &s->turned, (Turned){n, d, copy});
  return copy;
}

typedef struct Moves {
  Channels *s;
  const Factor *f[2];
} Moves;

static Expr *read_turned(void *cx, Expr *read) {
  const Moves *m = cx;
  for (int i = 0; i < 2; i++) {
    int d = m->f[i]->read == read ? m->f[i]->to : -1, order[MAX_RANK];
    if (d < 0) continue;
    order_with_last(read->node, d, order);
    return read_transposed(m->s->g->ir, read, turned(m->s, read->node, d, order), order);
  }
  return NULL;
}

/* ---- products ---- */

/* v last. */
static void move_last(Var **list, int n, const Var *v) {
  for (int i = 0; i + 1 < n; i++) {
    if (list[i] != v) continue;
    Var *next = list[i + 1];
    list[i + 1] = list[i];
    list[i] = next;
  }
}

/* The product with its factors from copies, its sum over red[], its results in the order of result[]. */
static void make(Channels *s, const Factor *a, const Factor *b, Var **result, Var **red) {
  Node *n = s->n;
  Moves m = {s, {a, b}};
  Expr *body = expr_map(&(ExprMap){.ir = s->g->ir, .read = read_turned, .cx = &m}, n->body);
  Node *made = graph_comp(s->g, n->rank, result, n->reducer, n->nred, red, body, n->span);
  bool moved = false;
  for (int i = 0; i < n->rank; i++) moved |= result[i] != node_result_var(s->g, n, i);
  if (moved) {
    Var *own[MAX_SLOTS];
    for (int i = 0; i < n->rank; i++) own[i] = node_result_var(s->g, n, i);
    made = graph_comp(s->g, n->rank, own, RED_none, 0, NULL, expr_read_vars(s->g->ir, made, result), n->span);
  }
  made->name = n->name;
  n->forward = made;
}

/* An index of the sum that runs alone in both: it comes last. */
static bool by_sum(Channels *s, Factor *a, Factor *b, Var **result, Var **red) {
  for (int i = 0; i < s->n->nred; i++) {
    Var *v = red[i];
    int in_a = dimension_of(a->read, v), in_b = dimension_of(b->read, v);
    if (!has_chunks(v) || in_a < 0 || in_b < 0) continue;
    a->to = in_a < a->read->node->rank - 1 ? in_a : -1;
    b->to = in_b < b->read->node->rank - 1 ? in_b : -1;
    move_last(red, s->n->nred, v);
    make(s, a, b, result, red);
    return true;
  }
  return false;
}

/* One of its lines that runs alone: it comes last among them. False: there is none. */
static bool choose_line(Channels *s, Factor *f, Var **result) {
  for (int i = f->nline - 1; i >= 0; i--) {
    Var *v = node_slot_var(s->g, s->n, f->line[i]);
    int d = dimension_of(f->read, v);
    if (f->line[i] >= s->n->rank || d < 0 || !has_chunks(v)) continue;
    f->to = d < f->read->node->rank - 1 ? d : -1;
    if (i < f->nline - 1) move_last(result, s->n->rank, v);
    return true;
  }
  return false;
}

static void turn_factors(Channels *s) {
  const Node *n = s->n;
  Factor a = {read_of_copy(s->c->a), s->c->m, s->c->nm, -1}, b = {read_of_copy(s->c->b), s->c->n, s->c->nn, -1};
  if (!a.read || !b.read || a.read == b.read || n->rank + n->nred > MAX_SLOTS) return;
  bool well_a = lies_well(s, &a), well_b = lies_well(s, &b);
  if (well_a && well_b) return;
  Var *result[MAX_SLOTS], *red[MAX_SLOTS];
  for (int i = 0; i < n->rank; i++) result[i] = node_result_var(s->g, n, i);
  for (int i = 0; i < n->nred; i++) red[i] = node_reduction_var(s->g, n, i);
  if (by_sum(s, &a, &b, result, red)) return;
  if ((well_a || choose_line(s, &a, result)) && (well_b || choose_line(s, &b, result))) make(s, &a, &b, result, red);
}

bool pass_channels(Graph *g, PassContext *cx) {
  if (!cx->gpu || g->products == DT_f64 || g->scans.n) return false;
  Channels s = {.g = g, .scratch = arena_new()};
  for (int i = 0, count = g->nodes.n; i < count; i++) {
    s.n = g->nodes.at[i];
    if (s.n->kind != NODE_comp || s.n->stream) continue;
    s.c = large_product(g, s.n, cx, s.scratch);
    if (s.c) turn_factors(&s);
  }
  arena_free(s.scratch);
  return graph_renew(g);
}
