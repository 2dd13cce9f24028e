/* pitch.c - rows that begin at multiples of 16 bytes, for a GPU.
 *
 * What brings the factors of products to shared memory, copies of 16 bytes and boxes (TMA), takes no row that begins
 * elsewhere, as every other one does of a vocabulary of 50,257 tokens in bf16. Where a value of two bytes is made for
 * a product, its rows lie that far apart; the gaps are never read. A row of a few elements is not worth it.
 *
 * In: kernels. Out: Node.pitch. */
#include "ir/scheduler.h"

enum { ALIGNED = 16, SHORT_ROW = 64 };

/* Its memory is its own, and no one else's. */
static bool lies_alone(const Scheduler *sc, const Node *n) {
  return n->kind == NODE_comp && !n->scan && !n->stream && !sc->kept[n->id] && !sc->in_place[n->id] &&
         !sc->assembled[n->id] && !schedule_part(sc->s, n);
}

static void set_pitch(const Scheduler *sc, const Expr *factor) {
  const Expr *read = expr_plain_read(factor);
  Node *n = read ? read->node : NULL;
  int64_t row, bytes = n ? dtype_bytes(n->dtype) : 0;
  if (bytes != 2 || n->rank < 2 || !lies_alone(sc, n)) return;
  if (!dim_is_const(n->shape[n->rank - 1], &row) || row < SHORT_ROW || row * bytes % ALIGNED == 0) return;
  n->pitch = (row * bytes + ALIGNED - 1) / ALIGNED * ALIGNED / bytes;
}

void set_pitches(Scheduler *sc) {
  for (int i = 0; i < sc->s->kernels.n; i++) {
    const Kernel *k = sc->s->kernels.at[i];
    if (k->kind != KERNEL_contraction) continue;
    set_pitch(sc, k->contraction->a);
    set_pitch(sc, k->contraction->b);
  }
}
