/* scheduler.h - what the parts of the scheduler share: settle.c (stores and outputs), assemble.c, group.c, tile.c,
 * beside.c, schedule.c, order.c, in_place.c, dedupe.c. Nobody else includes it. */
#ifndef NNC_IR_SCHEDULER_H
#define NNC_IR_SCHEDULER_H

#include "ir/choice.h"
#include "ir/cost.h"
#include "ir/kernel.h"

typedef Vec(Node *) NodeList;

typedef struct Scheduler {
  Schedule *s;
  Graph *g;
  Arena *arena;
  const Target *target;
  int n; /* nodes */
  /* By node id: whom it waits for and who waits for it. That is what it reads, and, where a value is written over a
   * param or state, all readers of the old value. */
  NodeList *before, *after;
  NodeList *rows;             /* by a carry's id: what writes its first value, and what the others */
  Node **in_place;            /* by node id: the param or state whose memory gets the value; NULL: none */
  Node **writer;              /* by node id of a param or state: the node whose value is written over it */
  ExprList *reads;            /* by node id: node_reads of it */
  Kernel **kernel_of;         /* by node id; NULL for sources and stores */
  bool *kept;                 /* by node id: an output, or written in place */
  int *place;                 /* by kernel id: in an order in which all can run; group.c */
  Kernel **in_order, **moved; /* by place; and a second such list to make it in */
  int *seen;                  /* by kernel id: the last search that came by */
  Choices choices;            /* what decides about kernels */
  bool streams;               /* the nodes of streams are being grouped, and no others */
  bool *assembled;            /* by node id: a whole that its parts' kernels make */
  int searches;
} Scheduler;

bool node_is_computed(const Node *n); /* has a body: some kernel makes it */

static inline ExprList reads_of(const Scheduler *sc, const Node *n) { return sc->reads[n->id]; }
static inline bool reads_value(const Scheduler *sc, const Node *n, const Node *what) {
  for (int i = 0; i < sc->reads[n->id].n; i++)
    if (sc->reads[n->id].at[i]->node == what) return true;
  return false;
}

/* settle.c: makes every output and every stored value a computed node (a copy where it is not), decides which are
 * written in place, and fills `before`, `after`, `in_place`, `kept`. */
void settle(Scheduler *sc);

/* `then` runs after `first`. */
void run_before(Scheduler *sc, Node *first, Node *then);

/* assemble.c: finds the maps that only put parts together; needs settle. */
void assemble(Scheduler *sc);

/* Whether kernel k is in loop l, or in one inside it; NULL holds all. */
static inline bool loop_of_kernel(const Kernel *k, const Scan *l) {
  const Scan *s = k->scan;
  while (s && s != l) s = s->up;
  return s == l;
}

/* group.c: merges kernels of one member each into groups and epilogues. */
void group_kernels(Scheduler *sc);
/* Takes the only member of `other`, whose grid indices are its slots `slots`, into k. False if not legal. */
bool absorb(Scheduler *sc, Kernel *k, Kernel *other, const int *slots);
/* group_sums.c: takes the sum that is the only member of `other`, over positions of row kernel k, into k. */
bool try_sum(Scheduler *sc, Kernel *k, Kernel *other);
void join_beside(Scheduler *sc); /* beside.c: contractions that write the same lines, each a kernel so far */

bool same_wanted(const Scheduler *sc, const Node *a, const Node *b); /* by the conditions that leave kernels out */

/* stream_kernels.c: one kernel of the kernels of each stream that can be one. */
void join_streams(Scheduler *sc);
/* The steps' storage and operands, once `k` has its members. */
void describe_stream(Scheduler *sc, Kernel *k);
void set_stream_operands(Scheduler *sc, Kernel *k);

/* schedule.c, for the kernels in a stream. */
void set_levels(Scheduler *sc, Kernel *k);
void set_storage(Scheduler *sc, Kernel *k);
void set_operands(Scheduler *sc, Kernel *k);
void set_guards(Scheduler *sc, Kernel *k);
void add_operand(Scheduler *sc, Kernel *k, Buffer *b);
bool used_outside(Scheduler *sc, const Kernel *k, const Node *n);
Buffer *buffer_for(Scheduler *sc, Node *n);
Dim *share_rows(Scheduler *sc, Kernel *k, int64_t rows); /* a contraction's; blocks of columns for a block of rows */
void cut_at(Scheduler *sc, Kernel *k, int cut, int64_t block);

/* fold.c: which members of loops keep two rows of a loop's steps; needs the kernels. */
void fold_loops(Scheduler *sc);

/* pitch.c: which rows are further apart than they are long, for a GPU; needs the kernels. */
void set_pitches(Scheduler *sc);

/* tile.c: the register tile and cache blocks of a contraction; rows: of a block, the rows' one index staying m. 0: as
 * the model says. beside: elements of K that other contractions have, whose rows are packed beside these. */
void tile_contraction(const Target *t, const Node *n, Contraction *c, Graph *g, int64_t rows, int64_t beside);
/* Whether n, a sum that is a `kind` by its size, takes less time as the product c, in tiles. */
bool tiles_pay(const Target *t, Graph *g, const Node *n, Contraction *c, KernelKind kind);

/* order.c: kernels in another order where that needs less memory. */
void order_for_memory(Scheduler *sc);

/* in_place.c: which buffers take over the memory of an operand (Buffer.over). */
void write_in_place(Schedule *s);

/* dedupe.c: the same symbol for kernels that are the same code. */
void name_kernels(Schedule *s);

#endif
