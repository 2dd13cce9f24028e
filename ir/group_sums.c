/* group_sums.c - sums over the positions of a row group, made by its kernel on the way: the derivatives by a norm's
 * weight and bias beside the one by its input, the derivative by a bias beside a softmax's.
 *
 * In: row kernels, grown. A sum d over grid indices of such a kernel whose results lie along its rows reads what the
 * kernel has at hand, at each position for one row of terms. d joins if each of its results belongs to one unit of
 * the kernel: it keeps the first grid indices (all before `cut`), the next as it is or as a number of blocks (pass
 * slice made it so), and is over the others. Units are not a matter of threads, nor the order of positions in one: so
 * neither are the sums' bits.
 *
 * Which index of d's is which grid index is read off what both read: a member, or a tensor that a member reads too.
 * One of these has to be a row at every position: that is what d would read again. */
#include "ir/classify.h"
#include "ir/cost.h"
#include "ir/scheduler.h"

enum { MANY_UNITS = 8, ONE_UNITS_POINTS = 8192 };

/* ---- which form of d's indices is which grid index ---- */

static bool unify(Form **grid, int i, Form *f) {
  if (!grid[i]) grid[i] = f;
  return grid[i] == f;
}

static bool match_member_read(const Kernel *k, const Member *m, const Expr *read, Form **grid) {
  for (int i = 0; i < k->ngrid; i++)
    if (!unify(grid, i, read->at[m->grid_slot[i]])) return false;
  return true;
}

/* Two reads of one tensor, the other by member m: where that has a grid index, d's form is that index. Whether it has
 * them all, and a row's. */
static bool match_shared_read(Scheduler *sc, const Kernel *k, const Member *m, const Expr *theirs, const Expr *own,
                              Form **grid) {
  int found = 0;
  for (int dim = 0; dim < own->node->rank; dim++) {
    int slot = form_result_slot(sc->g, m->node, theirs->at[dim]);
    for (int i = 0; slot >= 0 && i < k->ngrid; i++)
      if (m->grid_slot[i] == slot && unify(grid, i, own->at[dim])) found++;
  }
  return found == k->ngrid && own->node->rank > k->ngrid;
}

/* Whether d reads, of some member's operands, one that is a row at every position. */
static bool match_operands(Scheduler *sc, const Kernel *k, const Node *d, Form **grid) {
  ExprList reads = reads_of(sc, d);
  for (int i = 0; i < k->members.n; i++) {
    const Member *m = &k->members.at[i];
    ExprList others = reads_of(sc, m->node);
    for (int j = 0; j < others.n && !m->summed; j++)
      for (int l = 0; l < reads.n; l++)
        if (others.at[j]->node == reads.at[l]->node && match_shared_read(sc, k, m, others.at[j], reads.at[l], grid))
          return true;
  }
  return false;
}

static bool match_reads(Scheduler *sc, const Kernel *k, const Node *d, Form **grid) {
  ExprList reads = reads_of(sc, d);
  bool row = false;
  for (int i = 0; i < reads.n; i++) {
    const Member *m = kernel_member(k, reads.at[i]->node);
    if (m && (m->summed || !match_member_read(k, m, reads.at[i], grid))) return false;
    row |= m && m->node->rank > k->ngrid;
  }
  return row || match_operands(sc, k, d, grid);
}

/* ---- units ---- */

static int slot_of(Scheduler *sc, const Node *d, const Var *v) {
  for (int i = 0; v && i < d->rank; i++)
    if (node_result_var(sc->g, d, i) == v) return i;
  for (int i = 0; v && i < d->nred; i++)
    if (node_reduction_var(sc->g, d, i) == v) return d->rank + i;
  return -1;
}

/* f as block * (a result index) + (a reduction index of `block` values), which together are 0 .. extent - 1. */
static bool as_blocks(Scheduler *sc, const Node *d, const Form *f, Dim *extent, Member *sum, int cut,
                      int64_t *block) {
  for (int i = 0; f->n == 2 && i < d->rank; i++)
    for (int j = 0; j < d->nred; j++) {
      int64_t c = form_coefficient(f, node_result_var(sc->g, d, i)), n;
      if (c < 1 || form_coefficient(f, node_reduction_var(sc->g, d, j)) != 1 || f->c0) continue;
      if (!dim_is_const(d->red[j], &n) || n != c || d->shape[i] != dim_ceil_div(sc->g->ir, extent, c)) continue;
      sum->block_slot = i;
      sum->grid_slot[cut] = d->rank + j;
      *block = c;
      return true;
    }
  return false;
}

/* The slots of d that are grid indices, and where the kernel is cut for it. Inside a unit an index must have values:
 * else nothing would begin the sum. */
static bool find_slots(Scheduler *sc, const Kernel *k, const Node *d, Form **grid, Member *sum, int *cut,
                       int64_t *block) {
  int64_t n = 0;
  bool kept = true;
  *cut = -1;
  *block = 1;
  for (int i = 0; i < k->ngrid; i++) {
    int slot = slot_of(sc, d, form_as_var(grid[i]));
    sum->grid_slot[i] = slot;
    if (slot >= 0 && (slot < d->rank ? d->shape[slot] : d->red[slot - d->rank]) != k->grid[i]) return false;
    if (kept && slot >= 0 && slot < d->rank) *cut = i;
    else if (kept && slot < 0) {
      if (!as_blocks(sc, d, grid[i], k->grid[i], sum, i, block)) return false;
      *cut = i;
      kept = false;
    } else if (slot < d->rank || !dim_is_const(k->grid[i], &n) || n < 1) return false;
    else kept = false;
  }
  if (*cut < 0) { /* one unit */
    *cut = 0;
    if (!dim_is_const(k->grid[0], block)) return false;
  }
  return true;
}

/* Each slot at most once, all reduction indices among them, and a row left. */
static bool slots_cover(const Kernel *k, const Node *d, const Member *sum) {
  for (int i = 0; i < k->ngrid; i++)
    for (int j = 0; j < i; j++)
      if (sum->grid_slot[i] == sum->grid_slot[j]) return false;
  int reduced = 0;
  for (int i = 0; i < k->ngrid; i++) reduced += sum->grid_slot[i] >= d->rank;
  return reduced == d->nred && d->rank - (k->ngrid - reduced) - (sum->block_slot >= 0) > 0;
}

/* Units are what threads share: many of them, or so little work that it is no matter. */
static bool shares_well(const Kernel *k, int cut, int64_t block) {
  double units = 1, points = 0;
  for (int i = 0; i < cut; i++) units *= (double)dim_nominal(k->grid[i]);
  units *= (double)((dim_nominal(k->grid[cut]) + block - 1) / block);
  for (int i = 0; i < k->members.n; i++) points += node_point_count(k->members.at[i].node);
  return units >= MANY_UNITS || points <= ONE_UNITS_POINTS * units;
}

/* ---- joining ---- */

/* Along the rows the kernel's vectors run; d's must, too. */
static bool may_be_summed(Scheduler *sc, const Kernel *k, const Node *d) {
  bool wide = d->dtype == DT_f32 || d->dtype == DT_f64; /* it is rounded at every position */
  if (d->kind != NODE_comp || d->reducer != RED_sum || !wide || d->scan || k->scan || k->ngrid == 0) return false;
  if (sc->in_place[d->id] || schedule_part(sc->s, d)) return false;
  for (int i = 0; i < k->members.n; i++)
    if (reads_value(sc, k->members.at[i].node, d)) return false;
  return true;
}

bool try_sum(Scheduler *sc, Kernel *k, Kernel *other) {
  const Node *d = other->members.at[0].node;
  if (other->contraction || !may_be_summed(sc, k, d)) return false;
  Form **grid = NEW_ARRAY(sc->arena, Form *, k->ngrid);
  Member sum = {.summed = true, .block_slot = -1, .grid_slot = NEW_ARRAY(sc->arena, int, k->ngrid)};
  int cut = 0;
  int64_t block = 0;
  if (!match_reads(sc, k, d, grid) || !find_slots(sc, k, d, grid, &sum, &cut, &block)) return false;
  if (!slots_cover(k, d, &sum) || !shares_well(k, cut, block)) return false;
  if (k->sums && (k->cut != cut || k->block != block)) return false;
  Member *alone = &other->members.at[0], before = *alone;
  alone->summed = true;
  alone->block_slot = sum.block_slot;
  int was = k->cut;
  int64_t blocks = k->block;
  k->cut = cut, k->block = block;
  if (absorb(sc, k, other, sum.grid_slot)) return k->sums = true;
  k->cut = was, k->block = blocks;
  *alone = before;
  return false;
}

Form *member_grid_form(Graph *g, const Kernel *k, const Member *m, int i) {
  const Node *n = m->node;
  int slot = m->grid_slot[i];
  Form *f = form_var(g->ir, node_slot_var(g, n, slot));
  if (m->block_slot < 0 || i != k->cut) return f;
  return form_add(g->ir, f, form_scale(g->ir, form_var(g->ir, node_result_var(g, n, m->block_slot)), k->block));
}
