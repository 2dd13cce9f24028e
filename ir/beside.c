/* beside.c - contractions that write every other element of the same lines of memory become one kernel: the residue
 * classes of a strided convolution's data gradient.
 *
 * In: contraction kernels of one member, which are parts of one whole (assemble.c), or that maps finish which are.
 * As kernels of their own, each fetches the whole's lines and writes a few elements of each, when the lines have left
 * the caches since the one before; each reads the other factor anew, and picks its taps from lines of weights that
 * have those of all. Side by side, they find all that where the one before left it. */
#include "ir/classify.h"
#include "ir/cost.h"
#include "ir/scheduler.h"

enum { MOST_BESIDE = 16 };

/* The part that n is, or that the only map after it is; NULL: none. */
static const Part *part_of(const Scheduler *sc, const Node *n) {
  for (;;) {
    const Part *p = schedule_part(sc->s, n);
    if (p || sc->after[n->id].n != 1) return p;
    const Node *reader = sc->after[n->id].at[0];
    if (!node_is_map(reader) || reader->rank != n->rank) return NULL;
    n = reader;
  }
}

static bool steps_over_others(const Scheduler *sc, const Part *p) {
  int last = p->node->rank - 1;
  return last >= 0 && form_coefficient(p->at[p->whole->rank - 1], node_result_var(sc->g, p->node, last)) > 1;
}

static bool share_lines(const Scheduler *sc, const Node *n, const Node *other) {
  const Part *p = part_of(sc, n), *q = part_of(sc, other);
  return p && q && p->whole == q->whole && p->whole->kind != NODE_carry && steps_over_others(sc, p) &&
         steps_over_others(sc, q);
}

static void try_beside(Scheduler *sc, Kernel *k, Kernel *other) {
  const Node *n = k->members.at[0].node, *d = other->members.at[0].node;
  if (k->beside.n == MOST_BESIDE || !share_lines(sc, n, d)) return;
  if (!tiles_alike(sc->g, n, k->contraction, d, other->contraction)) return;
  int *slots = NEW_ARRAY(sc->arena, int, d->rank + 1);
  for (int i = 0; i < d->rank; i++) slots[i] = i;
  if (absorb(sc, k, other, slots)) vec_push(sc->arena, &k->beside, other->contraction);
}

static Kernel *candidate(const Scheduler *sc, int id) {
  Kernel *k = sc->kernel_of[id];
  bool fits = k && k->kind == KERNEL_contraction && k->members.at[0].node->id == id && !k->times;
  return fits && !k->members.at[0].node->stream && part_of(sc, k->members.at[0].node) ? k : NULL;
}

void join_beside(Scheduler *sc) {
  for (int i = 0; i < sc->n && !sc->target->gpu; i++) {
    Kernel *k = candidate(sc, i);
    for (int j = i + 1; k && j < sc->n; j++) {
      Kernel *other = candidate(sc, j);
      if (other && other != k) try_beside(sc, k, other);
    }
  }
}
