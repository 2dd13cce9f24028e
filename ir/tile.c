/* tile.c - the register tile and cache blocks of a contraction, from a model of the processor (no search).
 *
 * A tile of mr rows and nr vectors needs mr * nr accumulators, nr vectors of B and one broadcast of A; a few
 * registers stay free, or LLVM spills. Among the tiles that fit, the one with the least estimated time: multiply-adds
 * with the padding at the edges, loads, and a penalty for fewer accumulators than the latency of a multiply-add
 * hides. */
#include "ir/cost.h"
#include "ir/scheduler.h"

enum { MAX_NR = 4, MAX_MR = 16, BUSY_ACCUMULATORS = 8, KC = 512, MC = 96, NC = 512, SMALL = 1 << 20 };

/* What an accumulator more may cost a small product, where code is read as often as data. */
#define CODE_GROWTH 0.004

typedef struct Extent { /* of several indices together */
  int64_t value;        /* nominal */
  bool open;
} Extent;

static Extent extent_of(Graph *g, const Node *n, const int *slots, int count) {
  Extent e = {1, false};
  for (int i = 0; i < count; i++) {
    int s = slots[i];
    const Dim *d = (s < n->rank ? node_result_var(g, n, s) : node_reduction_var(g, n, s - n->rank))->extent;
    e.value *= dim_nominal(d);
    e.open |= !dim_is_const(d, NULL);
  }
  return e;
}

static int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

/* A block of at most `most` that is a multiple of `step` and, where the extent is known, cuts it into equal parts. */
static int block_of(Extent e, int64_t most, int64_t step) {
  if (e.open || e.value <= 0) return (int)(ceil_div(most, step) * step);
  int64_t blocks = ceil_div(e.value, most);
  return (int)(ceil_div(ceil_div(e.value, blocks), step) * step);
}

static double tile_time(int mr, int nr, int64_t m, int64_t vectors) {
  double tiles = (double)ceil_div(m, mr) * (double)ceil_div(vectors, nr);
  double fmas = mr * nr, loads = mr + nr;
  double busy = fmas < BUSY_ACCUMULATORS ? BUSY_ACCUMULATORS : fmas;
  return tiles * (busy + 0.25 * loads);
}

static int spare_registers(const Target *t) { return t->registers >= 32 ? 3 : t->fma ? 1 : 5; }

void tile_contraction(const Target *t, const Node *n, Contraction *c, Graph *g) {
  int lanes = t->vector_bytes / dtype_bytes(n->dtype), room = t->registers - spare_registers(t);
  Extent m = extent_of(g, n, c->m, c->nm), columns = extent_of(g, n, c->n, c->nn), k = extent_of(g, n, c->k, c->nk);
  int64_t vectors = ceil_div(columns.value, lanes);
  double best = 0, growth = (double)m.value * (double)columns.value * (double)k.value <= SMALL ? CODE_GROWTH : 0;
  for (int nr = 1; nr <= MAX_NR; nr++)
    for (int mr = 1; mr <= MAX_MR && mr * nr + nr + 1 <= room; mr++) {
      double time = tile_time(mr, nr, m.value, vectors) * (1 + growth * mr * nr);
      if (best && time >= best) continue;
      best = time;
      c->mr = mr;
      c->nr = nr;
    }
  c->kc = block_of(k, KC, 1);
  c->mc = block_of(m, MC, c->mr);
  c->nc = block_of(columns, NC, (int64_t)c->nr * lanes);
}
