/* pass_share.c - on a GPU: products of few results are summed in slices of K, which multiprocessors share.
 *
 * In, out: a graph without grad, after halve. y[m, n] = sum(k < K: e) becomes y[m, n] = sum(s < S: part[s, m, n]),
 * part[s, m, n] = sum(k < K / S: e at s * K / S + k), where tiles of y are too few for the multiprocessors: so for
 * the derivatives by a convolution's weights. S is a divisor of one reduction index's extent, chosen by a model of
 * what the products, the parts in memory and the second kernel take. The parts are added in one order, so the bits
 * depend on S alone, and S on the extents. The maps after the product go with the second sum. */
#include "ir/classify.h"
#include "ir/cost.h"
#include "ir/gpu_tile.h"
#include "ir/pass.h"
#include "ir/solve.h"

enum { MOST_SLICES = 128, LEAST_K = 128 /* of a slice */, PART_BYTES = 64 << 20 /* of all parts */ };

/* Times are counted in multiplications of one multiprocessor. */
static const double write_and_read = 0.7; /* of an element of a part, by all multiprocessors */
static const double launch = 4e5, least_gain = 1.5;

typedef struct Sharing {
  Graph *g;
  Arena *scratch;
} Sharing;

typedef struct Cut { /* of a reduction index, in so many slices; slices 1: none */
  int index;
  int64_t slices;
} Cut;

static double volume(const Node *n, int count, const int *slot) {
  double all = 1;
  for (int i = 0; i < count; i++)
    all *= (double)dim_nominal(slot[i] < n->rank ? n->shape[slot[i]] : n->red[slot[i] - n->rank]);
  return all;
}

/* With the tiles that are best for so many slices. */
static double time_of(double batch, double m, double n, double k, double slices) {
  static const int lines[] = {64, 128, 0};
  double best =
      gpu_choose_tile(&gpu_h100, &(GpuProduct){batch * slices, m, n}, lines, lines, GPU_EDGE).time * k / slices;
  return slices > 1 ? best + batch * m * n * slices * write_and_read + launch : best;
}

static Cut best_cut(const Node *n, const Contraction *c) {
  double batch = volume(n, c->nbatch, c->batch), rows = volume(n, c->nm, c->m), columns = volume(n, c->nn, c->n),
         k = volume(n, c->nk, c->k), least = time_of(batch, rows, columns, k, 1) / least_gain;
  Cut best = {.slices = 1};
  for (int i = 0; i < n->nred; i++) {
    int64_t extent;
    if (!dim_is_const(n->red[i], &extent)) continue;
    for (int64_t s = 2; s <= extent && s <= MOST_SLICES; s++) {
      double time = time_of(batch, rows, columns, k, (double)s);
      bool fits = batch * rows * columns * (double)s * dtype_bytes(n->dtype) <= PART_BYTES;
      if (extent % s || k / (double)s < LEAST_K || !fits || time >= least) continue;
      least = time;
      best = (Cut){i, s};
    }
  }
  return best;
}

static bool may_share(Sharing *s, const Node *n, Contraction **c) {
  bool wide = n->dtype == DT_f32 || n->dtype == DT_f64;
  if (n->kind != NODE_comp || n->reducer != RED_sum || !wide || n->scan || n->stream) return false;
  return classify(s->g, n, s->scratch, c) == KERNEL_contraction;
}

static Node *shared(Sharing *s, Node *n, Cut cut) {
  Graph *g = s->g;
  Ir *ir = g->ir;
  int64_t extent = 0;
  dim_is_const(n->red[cut.index], &extent);
  int64_t each = extent / cut.slices;
  Var *slice = var_fresh(ir, dim_const(ir, cut.slices)), *within = var_fresh(ir, dim_const(ir, each));
  Form *at = form_scale(ir, form_var(ir, slice), each);
  if (each > 1) at = form_add(ir, at, form_var(ir, within));
  VarList result = {0}, reduced = {0};
  vec_push(s->scratch, &result, slice);
  for (int i = 0; i < n->rank; i++) vec_push(s->scratch, &result, node_result_var(g, n, i));
  for (int i = 0; i < n->nred; i++)
    if (i != cut.index) vec_push(s->scratch, &reduced, node_reduction_var(g, n, i));
    else if (each > 1) vec_push(s->scratch, &reduced, within);
  Expr *body = expr_replace(ir, n->body, node_reduction_var(g, n, cut.index), at);
  Node *parts = graph_comp(g, result.n, result.at, RED_sum, reduced.n, reduced.at, body, n->span);
  Node *whole =
      graph_comp(g, n->rank, result.at + 1, RED_sum, 1, &slice, expr_read_vars(ir, parts, result.at), n->span);
  whole->name = n->name;
  return whole;
}

bool pass_share(Graph *g, PassContext *cx) {
  if (!cx->gpu) return false;
  Sharing s = {g, arena_new()};
  for (int i = 0, count = g->nodes.n; i < count; i++) {
    Node *n = g->nodes.at[i];
    Contraction *c;
    Cut cut = may_share(&s, n, &c) ? best_cut(n, c) : (Cut){.slices = 1};
    if (cut.slices > 1) n->forward = shared(&s, n, cut);
  }
  arena_free(s.scratch);
  return graph_renew(g);
}
