/* fold.c - what a loop keeps of its steps: of a value that nobody outside reads, two rows and not all of them.
 *
 * A member of a loop has a row for each step. Another member reads it at its own step (of a carry, the row that is
 * there by then), so where all readers are members two rows do: row i lies at i % 2. A carry has the row that a step
 * reads and the one that it writes; of a carry the last row may be read after the loop too, since nothing comes after
 * it. So a state of which only the end is wanted costs twice its size whatever the number of steps, as the cache of a
 * generation does.
 *
 * In: kernels and the loops of the graph. Out: Node.folded. */
#include "ir/scheduler.h"

typedef struct Fold {
  Scheduler *sc;
  const Node *n;
  const Scan *loop;
  int axis;
} Fold;

static Scan *loop_of_axis(const Node *n, int axis) {
  Scan *l = n->scan;
  while (l && l->axis != axis) l = l->up;
  return l;
}

/* Whether the read is of the last row of f->n, a carry; or, from the value that is written there, of the last step.
 */
static bool reads_end(const Fold *f, const Expr *read) {
  if (f->n->kind != NODE_carry || carry_scan(f->n) != f->loop) return false;
  Ir *ir = f->sc->g->ir;
  Form *row = read->at[f->axis];
  return (read->node == f->n ? row : carry_row_written(ir, f->n, row)) == carry_row_last(ir, f->n);
}

/* Whether all who read n, which is f->n or lies in its rows, are in the loop or read the end. */
static bool readers_allow(const Fold *f, const Node *n) {
  for (int i = 0; i < f->sc->after[n->id].n; i++) {
    const Node *reader = f->sc->after[n->id].at[i];
    ExprList reads = reads_of(f->sc, reader);
    for (int j = 0; j < reads.n && !scan_holds(f->loop, reader); j++)
      if (reads.at[j]->node == n && !reads_end(f, reads.at[j])) return false;
  }
  return true;
}

static bool may_fold(const Fold *f) {
  int64_t rows;
  if (dim_is_const(f->n->shape[f->axis], &rows) && rows <= 2) return false;
  bool ok = readers_allow(f, f->n);
  const NodeList *parts = &f->sc->rows[f->n->id];
  for (int i = 0; ok && i < parts->n; i++) ok = readers_allow(f, parts->at[i]);
  return ok;
}

static bool is_output(const Graph *g, const Node *n) {
  for (int i = 0; i < g->outputs.n; i++)
    if (g->outputs.at[i].node == n) return true;
  return false;
}

static void fold(Scheduler *sc, Node *n) {
  bool fits = n->kind == NODE_comp || (n->kind == NODE_carry && carry_scan(n));
  if (!fits || schedule_part(sc->s, n) || sc->in_place[n->id] || is_output(sc->g, n)) return;
  for (int axis = 0; axis < node_times(n); axis++) {
    Fold f = {sc, n, loop_of_axis(n, axis), axis};
    if (f.loop && may_fold(&f)) n->folded |= 1u << axis;
  }
}

void fold_loops(Scheduler *sc) {
  for (int i = 0; i < sc->g->nodes.n; i++) fold(sc, sc->g->nodes.at[i]);
}
