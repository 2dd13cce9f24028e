/* order.c - the order of kernels. Any order in which each comes after what it waits for computes the same; this picks
 * one that needs little memory.
 *
 * In: kernels in the graph's order, with their operands; a loop's kernels are one piece, which keeps its order
 * inside. A piece's price is the memory that it opens less the memory that dies with it; of those that are ready the
 * cheapest runs next, the first of equals. That is not always better (a choice that is cheap now may keep two large
 * values waiting), so the order stays where its peak is not higher. Sizes are compared with open dimensions as 64. */
#include "ir/scheduler.h"

#include <string.h>

typedef Vec(int) IntVec;

typedef struct Piece { /* a kernel, or all kernels of a loop that is in no other */
  int first, last;
  IntVec buffers; /* that it uses, each once */
} Piece;

typedef struct Order {
  Scheduler *sc;
  Schedule *s;
  int n;
  Piece *piece;
  int *waits;     /* by piece: those not yet run that it waits for */
  bool *done;     /* by piece */
  int *position;  /* by node id: its piece; -1: none */
  int *users;     /* by buffer id: pieces not yet run that use it; outputs have one that never runs */
  bool *born;     /* by buffer id */
  int64_t *bytes; /* by buffer id; 0 outside the arena */
} Order;

static bool holds(const IntVec *list, int v) {
  for (int i = 0; i < list->n; i++)
    if (list->at[i] == v) return true;
  return false;
}

static int last_of_piece(const Schedule *s, int first) {
  int loop = s->kernels.at[first]->loop;
  while (loop >= 0 && s->loops.at[loop].up >= 0) loop = s->loops.at[loop].up;
  return loop < 0 ? first : s->loops.at[loop].last;
}

static void find_pieces(Order *o) {
  for (int i = 0; i < o->sc->n; i++) o->position[i] = -1;
  for (int first = 0; first < o->s->kernels.n; first = o->piece[o->n - 1].last + 1) {
    Piece *p = &o->piece[o->n++];
    *p = (Piece){.first = first, .last = last_of_piece(o->s, first)};
    for (int i = p->first; i <= p->last; i++) {
      const Kernel *k = o->s->kernels.at[i];
      for (int m = 0; m < k->members.n; m++) o->position[k->members.at[m].node->id] = o->n - 1;
      for (int b = 0; b < k->operands.n; b++)
        if (!holds(&p->buffers, k->operands.at[b]->id)) vec_push(o->sc->arena, &p->buffers, k->operands.at[b]->id);
    }
  }
}

/* The pieces that piece p has to follow (`before`) or to precede, each once. */
static IntVec neighbours(const Order *o, int p, const NodeList *lists) {
  IntVec found = {0};
  for (int i = o->piece[p].first; i <= o->piece[p].last; i++) {
    const Kernel *k = o->s->kernels.at[i];
    for (int m = 0; m < k->members.n; m++) {
      const NodeList *list = &lists[k->members.at[m].node->id];
      for (int j = 0; j < list->n; j++) {
        int other = o->position[list->at[j]->id];
        if (other >= 0 && other != p && !holds(&found, other)) vec_push(o->sc->arena, &found, other);
      }
    }
  }
  return found;
}

static bool is_output_buffer(const Schedule *s, const Buffer *b) {
  for (int i = 0; i < s->graph->outputs.n; i++)
    if (schedule_buffer(s, s->graph->outputs.at[i].node) == b) return true;
  return false;
}

static void count_users(Order *o) {
  for (int i = 0; i < o->s->buffers.n; i++) {
    const Buffer *b = o->s->buffers.at[i];
    o->bytes[i] = b->place == BUFFER_arena ? dim_nominal(b->bytes) : 0;
    o->users[i] = is_output_buffer(o->s, b);
    o->born[i] = false;
  }
  for (int i = 0; i < o->n; i++)
    for (int k = 0; k < o->piece[i].buffers.n; k++) o->users[o->piece[i].buffers.at[k]]++;
}

static int64_t opened(const Order *o, const Piece *p) {
  int64_t bytes = 0;
  for (int i = 0; i < p->buffers.n; i++)
    if (!o->born[p->buffers.at[i]]) bytes += o->bytes[p->buffers.at[i]];
  return bytes;
}

static int64_t closed(const Order *o, const Piece *p) {
  int64_t bytes = 0;
  for (int i = 0; i < p->buffers.n; i++)
    if (o->users[p->buffers.at[i]] == 1) bytes += o->bytes[p->buffers.at[i]];
  return bytes;
}

static int cheapest(const Order *o) {
  int best = -1;
  int64_t least = 0;
  for (int i = 0; i < o->n; i++) {
    if (o->done[i] || o->waits[i]) continue;
    int64_t price = opened(o, &o->piece[i]) - closed(o, &o->piece[i]);
    if (best >= 0 && price >= least) continue;
    best = i;
    least = price;
  }
  if (best < 0) ice("order: the kernels of graph %s wait for each other", o->s->graph->name);
  return best;
}

/* Runs piece p in the model; *live and *peak follow. */
static void run(Order *o, const Piece *p, int64_t *live, int64_t *peak) {
  *live += opened(o, p);
  if (*live > *peak) *peak = *live;
  *live -= closed(o, p);
  for (int i = 0; i < p->buffers.n; i++) {
    o->born[p->buffers.at[i]] = true;
    o->users[p->buffers.at[i]]--;
  }
}

static int64_t peak_of(Order *o, const int *order) {
  int64_t live = 0, peak = 0;
  count_users(o);
  for (int i = 0; i < o->n; i++) run(o, &o->piece[order[i]], &live, &peak);
  return peak;
}

static void list_pieces(Order *o, int *order) {
  Arena *a = o->sc->arena;
  IntVec *then = NEW_ARRAY(a, IntVec, o->n);
  for (int i = 0; i < o->n; i++) {
    o->waits[i] = neighbours(o, i, o->sc->before).n;
    then[i] = neighbours(o, i, o->sc->after);
  }
  int64_t live = 0, peak = 0;
  count_users(o);
  for (int i = 0; i < o->n; i++) {
    int next = order[i] = cheapest(o);
    o->done[next] = true;
    run(o, &o->piece[next], &live, &peak);
    for (int j = 0; j < then[next].n; j++) o->waits[then[next].at[j]]--;
  }
}

/* The kernels as the pieces' order has them; loops move with theirs. */
static void rearrange(Order *o, const int *order) {
  Schedule *s = o->s;
  int n = s->kernels.n, at = 0;
  Kernel **kernels = NEW_ARRAY(o->sc->arena, Kernel *, n);
  int *moved = NEW_ARRAY(o->sc->arena, int, n);
  for (int i = 0; i < o->n; i++)
    for (int k = o->piece[order[i]].first; k <= o->piece[order[i]].last; k++) {
      kernels[at] = s->kernels.at[k];
      kernels[at]->id = moved[k] = at;
      at++;
    }
  memcpy(s->kernels.at, kernels, sizeof *kernels * (size_t)n);
  for (int i = 0; i < s->loops.n; i++) {
    s->loops.at[i].first = moved[s->loops.at[i].first];
    s->loops.at[i].last = moved[s->loops.at[i].last];
  }
}

/* Loops stand in the order of their kernels, outer ones first. */
static void sort_loops(Order *o) {
  Schedule *s = o->s;
  int n = s->loops.n, count = 0;
  KernelLoop *sorted = NEW_ARRAY(o->sc->arena, KernelLoop, n + 1);
  int *moved = NEW_ARRAY(o->sc->arena, int, n + 1);
  for (int at = 0; at < s->kernels.n; at++)
    for (int i = 0; i < n; i++) {
      if (s->loops.at[i].first != at) continue; /* of those that begin here the outer one was listed first */
      sorted[count] = s->loops.at[i];
      moved[i] = count++;
    }
  for (int i = 0; i < n; i++) {
    s->loops.at[i] = sorted[i];
    if (sorted[i].up >= 0) s->loops.at[i].up = moved[sorted[i].up];
  }
  for (int i = 0; i < s->kernels.n; i++)
    if (s->kernels.at[i]->loop >= 0) s->kernels.at[i]->loop = moved[s->kernels.at[i]->loop];
}

void order_for_memory(Scheduler *sc) {
  Arena *a = sc->arena;
  int n = sc->s->kernels.n, buffers = sc->s->buffers.n;
  Order o = {.sc = sc, .s = sc->s, .waits = NEW_ARRAY(a, int, n), .done = NEW_ARRAY(a, bool, n)};
  o.piece = NEW_ARRAY(a, Piece, n);
  o.position = NEW_ARRAY(a, int, sc->n);
  o.users = NEW_ARRAY(a, int, buffers);
  o.born = NEW_ARRAY(a, bool, buffers);
  o.bytes = NEW_ARRAY(a, int64_t, buffers);
  find_pieces(&o);
  int *order = NEW_ARRAY(a, int, n), *given = NEW_ARRAY(a, int, n);
  for (int i = 0; i < o.n; i++) given[i] = i;
  list_pieces(&o, order);
  if (peak_of(&o, order) >= peak_of(&o, given)) return;
  rearrange(&o, order);
  sort_loops(&o);
}
