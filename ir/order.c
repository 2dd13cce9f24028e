/* order.c - the order of kernels. Any order in which each comes after what it waits for computes the same; this picks
 * one that needs little memory.
 *
 * In: kernels in the graph's order, with their operands. A kernel's price is the memory that it opens less the memory
 * that dies with it; of those that are ready the cheapest runs next, the first of equals. That is not always better
 * (a choice that is cheap now may keep two large values waiting), so the order stays where its peak is not higher.
 * Sizes are compared with open dimensions as 64. */
#include "ir/scheduler.h"

#include <string.h>

typedef struct Order {
  Scheduler *sc;
  Schedule *s;
  int n;
  int *waits;     /* by position: kernels not yet run that it waits for */
  bool *done;     /* by position */
  int *position;  /* by node id: of its kernel; -1: none */
  int *users;     /* by buffer id: kernels not yet run that use it; outputs have one that never runs */
  bool *born;     /* by buffer id */
  int64_t *bytes; /* by buffer id; 0 outside the arena */
} Order;

static void find_positions(Order *o) {
  for (int i = 0; i < o->sc->n; i++) o->position[i] = -1;
  for (int i = 0; i < o->n; i++)
    for (int m = 0; m < o->s->kernels.at[i]->members.n; m++)
      o->position[o->s->kernels.at[i]->members.at[m].node->id] = i;
}

typedef Vec(int) IntVec;

/* The kernels that kernel i has to follow (`before`) or to precede, each once. */
static IntVec neighbours(const Order *o, int i, const NodeList *lists) {
  IntVec found = {0};
  const Kernel *k = o->s->kernels.at[i];
  for (int m = 0; m < k->members.n; m++) {
    const NodeList *list = &lists[k->members.at[m].node->id];
    for (int j = 0; j < list->n; j++) {
      int p = o->position[list->at[j]->id];
      bool known = p < 0 || p == i;
      for (int f = 0; f < found.n && !known; f++) known = found.at[f] == p;
      if (!known) vec_push(o->sc->arena, &found, p);
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
    for (int k = 0; k < o->s->kernels.at[i]->operands.n; k++) o->users[o->s->kernels.at[i]->operands.at[k]->id]++;
}

static int64_t opened(const Order *o, const Kernel *k) {
  int64_t bytes = 0;
  for (int i = 0; i < k->operands.n; i++)
    if (!o->born[k->operands.at[i]->id]) bytes += o->bytes[k->operands.at[i]->id];
  return bytes;
}

static int64_t closed(const Order *o, const Kernel *k) {
  int64_t bytes = 0;
  for (int i = 0; i < k->operands.n; i++)
    if (o->users[k->operands.at[i]->id] == 1) bytes += o->bytes[k->operands.at[i]->id];
  return bytes;
}

static int cheapest(const Order *o) {
  int best = -1;
  int64_t least = 0;
  for (int i = 0; i < o->n; i++) {
    if (o->done[i] || o->waits[i]) continue;
    int64_t price = opened(o, o->s->kernels.at[i]) - closed(o, o->s->kernels.at[i]);
    if (best >= 0 && price >= least) continue;
    best = i;
    least = price;
  }
  if (best < 0) ice("order: the kernels of graph %s wait for each other", o->s->graph->name);
  return best;
}

/* Runs kernel k in the model; *live and *peak follow. */
static void run(Order *o, const Kernel *k, int64_t *live, int64_t *peak) {
  *live += opened(o, k);
  if (*live > *peak) *peak = *live;
  *live -= closed(o, k);
  for (int i = 0; i < k->operands.n; i++) {
    o->born[k->operands.at[i]->id] = true;
    o->users[k->operands.at[i]->id]--;
  }
}

static int64_t peak_of(Order *o, Kernel *const *kernels) {
  int64_t live = 0, peak = 0;
  count_users(o);
  for (int i = 0; i < o->n; i++) run(o, kernels[i], &live, &peak);
  return peak;
}

static void list_kernels(Order *o, Kernel **order) {
  Arena *a = o->sc->arena;
  IntVec *then = NEW_ARRAY(a, IntVec, o->n);
  for (int i = 0; i < o->n; i++) {
    o->waits[i] = neighbours(o, i, o->sc->before).n;
    then[i] = neighbours(o, i, o->sc->after);
  }
  int64_t live = 0, peak = 0;
  count_users(o);
  for (int i = 0; i < o->n; i++) {
    int next = cheapest(o);
    order[i] = o->s->kernels.at[next];
    o->done[next] = true;
    run(o, order[i], &live, &peak);
    for (int j = 0; j < then[next].n; j++) o->waits[then[next].at[j]]--;
  }
}

void order_for_memory(Scheduler *sc) {
  Arena *a = sc->arena;
  int n = sc->s->kernels.n, buffers = sc->s->buffers.n;
  Order o = {.sc = sc, .s = sc->s, .n = n, .waits = NEW_ARRAY(a, int, n), .done = NEW_ARRAY(a, bool, n)};
  o.position = NEW_ARRAY(a, int, sc->n);
  o.users = NEW_ARRAY(a, int, buffers);
  o.born = NEW_ARRAY(a, bool, buffers);
  o.bytes = NEW_ARRAY(a, int64_t, buffers);
  find_positions(&o);
  Kernel **order = NEW_ARRAY(a, Kernel *, n);
  list_kernels(&o, order);
  if (peak_of(&o, order) >= peak_of(&o, sc->s->kernels.at)) return;
  memcpy(sc->s->kernels.at, order, sizeof *order * (size_t)n);
  for (int i = 0; i < n; i++) order[i]->id = i;
}
