/* group.c - merges kernels: maps into the contraction or reduction that they finish, reductions over the same rows
 * into one kernel, maps over one grid into a kernel with several results.
 *
 * Starts from one kernel a node. A merge is legal if no third kernel has to run between the two, the grids agree,
 * every read between them is at the grid position, and nothing reads a param where the kernel has already written
 * over it. The order of the rules is a preference: results are finished in registers first, then rows, then columns,
 * then maps. The invariant throughout: members stand in an order in which they can run. */
#include "ir/classify.h"
#include "ir/cost.h"
#include "ir/scheduler.h"

#include <string.h>

enum { MAX_MEMBERS = 32, MAX_READS = 64, SMALL = 1 << 16 };

/* ---- paths ---- */

/* Gives places from *next on to the kernels of [first, last] that k waits for, and to k. */
static void set_place(Scheduler *sc, Kernel *k, int first, int last, int *next) {
  int place = sc->place[k->id];
  if (sc->seen[k->id] == sc->searches || place < first || place > last) return;
  sc->seen[k->id] = sc->searches;
  for (int m = 0; m < k->members.n; m++) {
    const NodeList *before = &sc->before[k->members.at[m].node->id];
    for (int i = 0; i < before->n; i++)
      if (sc->kernel_of[before->at[i]->id]) set_place(sc, sc->kernel_of[before->at[i]->id], first, last, next);
  }
  sc->moved[(*next)++] = k;
}

/* The kernels at places first .. last in an order in which they can run as they are now: paths are looked for between
 * two places only. */
static void set_places(Scheduler *sc, int first, int last) {
  int next = first;
  sc->searches++;
  for (int i = first; i <= last; i++)
    if (sc->in_order[i]->members.n) set_place(sc, sc->in_order[i], first, last, &next);
  for (int i = first; i < next; i++) {
    sc->in_order[i] = sc->moved[i];
    sc->place[sc->moved[i]->id] = i;
  }
}

static void set_all_places(Scheduler *sc) {
  int n = 0;
  sc->place = NEW_ARRAY(sc->arena, int, sc->n);
  sc->seen = NEW_ARRAY(sc->arena, int, sc->n);
  sc->in_order = NEW_ARRAY(sc->arena, Kernel *, sc->n);
  sc->moved = NEW_ARRAY(sc->arena, Kernel *, sc->n);
  for (int i = 0; i < sc->n; i++) {
    Kernel *k = sc->kernel_of[i];
    if (!k || k->members.at[0].node->id != i) continue;
    sc->place[k->id] = n;
    sc->in_order[n++] = k;
  }
  set_places(sc, 0, n - 1);
}

static bool path_through(Scheduler *sc, const Kernel *from, const Kernel *k, const Kernel *to);

/* In a graph without loops only: a loop is one piece, whose kernels have places among others. */
static bool is_past(const Scheduler *sc, const Kernel *k, const Kernel *to) {
  return sc->g->scans.n == 0 && sc->place[k->id] > sc->place[to->id];
}

/* Goes on from a kernel that waits for k; from all of its loop, where that is inside the loop of the search: what
 * waits for one kernel of a loop waits for the whole loop. */
static bool path_on(Scheduler *sc, const Kernel *from, const Kernel *next, const Kernel *to) {
  if (sc->seen[next->id] == sc->searches || is_past(sc, next, to) || !loop_of_kernel(next, from->scan)) return false;
  sc->seen[next->id] = sc->searches;
  if (path_through(sc, from, next, to)) return true;
  if (next->scan == from->scan) return false;
  const Scan *loop = next->scan;
  while (loop->up != from->scan) loop = loop->up;
  for (int i = 0; i < sc->n; i++) {
    const Kernel *other = sc->kernel_of[i];
    if (other && loop_of_kernel(other, loop) && path_on(sc, from, other, to)) return true;
  }
  return false;
}

static bool path_through(Scheduler *sc, const Kernel *from, const Kernel *k, const Kernel *to) {
  for (int m = 0; m < k->members.n; m++) {
    NodeList *after = &sc->after[k->members.at[m].node->id];
    for (int i = 0; i < after->n; i++) {
      const Kernel *next = sc->kernel_of[after->at[i]->id];
      if (!next || next == k) continue;
      if (next == to) {
        if (k != from) return true;
        continue;
      }
      if (path_on(sc, from, next, to)) return true;
    }
  }
  return false;
}

/* Whether some third kernel has to run after `from` and before `to`. */
static bool kernel_between(Scheduler *sc, const Kernel *from, const Kernel *to) {
  if (is_past(sc, from, to)) return false;
  sc->searches++;
  return path_through(sc, from, from, to);
}

static bool reads_a_whole(Scheduler *sc, const Node *n) {
  ExprList reads = reads_of(sc, n);
  for (int i = 0; i < reads.n; i++)
    if (sc->assembled[reads.at[i]->node->id]) return true;
  return false;
}

/* Whether a member of `reader` reads what a member of k is a part of: it is whole only when k has run. */
static bool waits_for_part(Scheduler *sc, const Kernel *reader, const Kernel *k) {
  for (int m = 0; m < k->members.n; m++) {
    const Node *part = k->members.at[m].node;
    const NodeList *after = &sc->after[part->id];
    if (!schedule_part(sc->s, part) || schedule_carry(sc->s, part)) continue;
    for (int i = 0; i < after->n; i++)
      if (sc->kernel_of[after->at[i]->id] == reader && reads_a_whole(sc, after->at[i])) return true;
  }
  return false;
}

static bool can_be_one(Scheduler *sc, const Kernel *a, const Kernel *b) {
  if (waits_for_part(sc, a, b) || waits_for_part(sc, b, a)) return false;
  return !kernel_between(sc, a, b) && !kernel_between(sc, b, a);
}

/* ---- params written in place ---- */

/* Whether reader reads `param` only at the position that writer writes: the same grid indices, and the same row
 * indices, if it has any, or, for a reduction that writer waits for, any. */
static bool reads_where_written(Scheduler *sc, const Kernel *kernel, const Member *reader, const Member *writer,
                                Node *param) {
  int ngrid = kernel->ngrid;
  bool earlier = reader->node->nred > 0 && reads_value(sc, writer->node, reader->node);
  ExprList reads = reads_of(sc, reader->node);
  for (int i = 0; i < reads.n; i++) {
    if (reads.at[i]->node != param) continue;
    bool own = !reader->node->nred && read_is_identity(sc->g, reader->node, reads.at[i]);
    if (param->rank > ngrid && !earlier && !own) return false;
    for (int k = 0; k < ngrid; k++)
      if (reads.at[i]->at[writer->grid_slot[k]] != member_grid_form(sc->g, kernel, reader, k)) return false;
  }
  return true;
}

static bool writes_are_safe(Scheduler *sc, const Kernel *k, const Member *a, const Member *b) {
  Node *param = sc->in_place[b->node->id];
  return !param || !reads_value(sc, a->node, param) || reads_where_written(sc, k, a, b, param);
}

/* ---- carries ---- */

/* Whether reader reads, through a carry, what writer writes there: another row than its own. */
static bool reads_moved(Scheduler *sc, const Node *reader, const Node *writer) {
  const Node *c = schedule_carry(sc->s, writer);
  return c && reads_value(sc, reader, c) && !(carry_scan(c) && scan_holds(c->scan, reader));
}

/* ---- merging ---- */

static int count_reads(Scheduler *sc, const Kernel *k) {
  int n = 0;
  for (int i = 0; i < k->members.n; i++) n += reads_of(sc, k->members.at[i].node).n;
  return n;
}

/* The place for node d among k's members: after all that it waits for, before all that wait for it. -1: none. */
static int place_in(Scheduler *sc, const Kernel *k, const Node *d) {
  int first = 0, last = k->members.n;
  for (int i = 0; i < k->members.n; i++) {
    NodeList *before = &sc->before[d->id], *after = &sc->after[d->id];
    for (int j = 0; j < before->n; j++)
      if (before->at[j] == k->members.at[i].node) first = i + 1;
    for (int j = 0; j < after->n; j++)
      if (after->at[j] == k->members.at[i].node && i < last) last = i;
  }
  return first <= last ? last : -1;
}

/* Kernels that a condition may leave out have nothing in them that it does not. */
bool same_wanted(const Scheduler *sc, const Node *a, const Node *b) {
  return !sc->choices.n || sc->choices.wanted[a->id] == sc->choices.wanted[b->id];
}

bool absorb(Scheduler *sc, Kernel *k, Kernel *other, const int *slots) {
  Member d = other->members.at[0];
  if (!same_wanted(sc, k->members.at[0].node, d.node)) return false;
  if (k->scan != other->scan || k->members.at[0].node->stream != d.node->stream || k->members.n == MAX_MEMBERS ||
      count_reads(sc, k) + count_reads(sc, other) > MAX_READS)
    return false;
  d.grid_slot = NEW_ARRAY(sc->arena, int, k->ngrid + 1);
  memcpy(d.grid_slot, slots, sizeof(int) * (size_t)k->ngrid);
  for (int i = 0; i < k->members.n; i++) {
    const Member *m = &k->members.at[i];
    if (!writes_are_safe(sc, k, &d, m) || !writes_are_safe(sc, k, m, &d)) return false;
    if (reads_moved(sc, d.node, m->node) || reads_moved(sc, m->node, d.node)) return false;
  }
  int place = place_in(sc, k, d.node);
  if (place < 0 || (k->kind == KERNEL_contraction && place == 0) || !can_be_one(sc, k, other)) return false;
  vec_push(sc->arena, &k->members, d);
  memmove(&k->members.at[place + 1], &k->members.at[place], sizeof d * (size_t)(k->members.n - 1 - place));
  k->members.at[place] = d;
  sc->kernel_of[d.node->id] = k;
  other->members.n = 0;
  int p = sc->place[k->id], q = sc->place[other->id];
  set_places(sc, p < q ? p : q, p < q ? q : p);
  return true;
}

/* ---- grids ---- */

/* d's result slots for the grid: set where they are -1, else compared. */
static bool unify(int *slots, int k, int slot) {
  if (slot < 0) return false;
  if (slots[k] < 0) slots[k] = slot;
  return slots[k] == slot;
}

/* Reads of member m by d: grid index k is result slot m->grid_slot[k] of m, so that form has to be one index of d. */
static bool match_reads_of(Scheduler *sc, const Kernel *k, const Member *m, const Node *d, int *slots) {
  ExprList reads = reads_of(sc, d);
  for (int i = 0; i < reads.n; i++) {
    if (reads.at[i]->node != m->node) continue;
    for (int j = 0; j < k->ngrid; j++)
      if (!unify(slots, j, form_result_slot(sc->g, d, reads.at[i]->at[m->grid_slot[j]]))) return false;
  }
  return true;
}

/* Reads of d by member m, the other way round. */
static bool match_reads_by(Scheduler *sc, const Kernel *k, const Member *m, const Node *d, int *slots) {
  ExprList reads = reads_of(sc, m->node);
  for (int i = 0; i < reads.n; i++) {
    if (reads.at[i]->node != d) continue;
    for (int j = 0; j < k->ngrid; j++) {
      int slot = -1;
      for (int s = 0; s < d->rank; s++)
        if (form_result_slot(sc->g, m->node, reads.at[i]->at[s]) == m->grid_slot[j]) slot = s;
      if (!unify(slots, j, slot)) return false;
    }
  }
  return true;
}

static bool slots_fit(const Kernel *k, const Node *d, const int *slots) {
  for (int j = 0; j < k->ngrid; j++) {
    if (slots[j] < 0 || d->shape[slots[j]] != k->grid[j]) return false;
    for (int i = 0; i < j; i++)
      if (slots[i] == slots[j]) return false;
  }
  return true;
}

static bool stands_alone(const Kernel *k) { return k && k->members.n == 1; }

static bool same_shape(const Kernel *k, const Node *d) {
  if (d->rank != k->ngrid) return false;
  for (int i = 0; i < d->rank; i++)
    if (d->shape[i] != k->grid[i]) return false;
  return true;
}

static void identity_slots(int *slots, int n) {
  for (int i = 0; i < n; i++) slots[i] = i;
}

static bool reads_only_here(Scheduler *sc, const Node *d, const Node *what) {
  ExprList reads = reads_of(sc, d);
  for (int i = 0; i < reads.n; i++)
    if (reads.at[i]->node == what && !read_is_identity(sc->g, d, reads.at[i])) return false;
  return true;
}

/* Whether every read between d and the members of k is at the reader's own position. */
static bool reads_at_own_position(Scheduler *sc, const Kernel *k, const Node *d) {
  for (int i = 0; i < k->members.n; i++) {
    const Node *m = k->members.at[i].node;
    if (!reads_only_here(sc, d, m) || !reads_only_here(sc, m, d)) return false;
  }
  return true;
}

static bool reads_a_member(Scheduler *sc, const Kernel *k, const Node *d) {
  for (int i = 0; i < k->members.n; i++)
    if (reads_value(sc, d, k->members.at[i].node)) return true;
  return false;
}

/* ---- contraction epilogues, and maps with several results ---- */

/* d's result slot that f runs upwards with, in whatever strides; -1: none. */
static int running_slot(Scheduler *sc, const Node *d, const Form *f) {
  if (f->n != 1 || f->terms[0].coefficient < 1) return -1;
  for (int i = 0; i < d->rank; i++)
    if (form_coefficient(f, node_result_var(sc->g, d, i))) return i;
  return -1;
}

/* What an epilogue may read besides the tile: elements whose indices run in the tile's order, or not at all. */
static bool reads_suit_a_tile(Scheduler *sc, const Node *d) {
  ExprList reads = reads_of(sc, d);
  for (int i = 0; i < reads.n; i++) {
    int last = -1;
    for (int j = 0; j < reads.at[i]->node->rank; j++) {
      const Form *at = reads.at[i]->at[j];
      if (form_is_const(at, NULL)) continue;
      int slot = running_slot(sc, d, at);
      if (slot <= last) return false;
      last = slot;
    }
  }
  return true;
}

/* Of contractions side by side, a map finishes one. */
static bool finishes_one(Scheduler *sc, const Kernel *k, const Node *d) {
  int product = -1;
  for (int i = 0; i < k->members.n; i++) {
    if (!reads_value(sc, d, k->members.at[i].node)) continue;
    if (product >= 0 && product != member_product(k, i)) return false;
    product = member_product(k, i);
  }
  return true;
}

static bool try_epilogue(Scheduler *sc, Kernel *k, Kernel *other) {
  const Node *d = other->members.at[0].node;
  if (!node_is_map(d) || !same_shape(k, d) || !reads_a_member(sc, k, d)) return false;
  if (!reads_at_own_position(sc, k, d) || !reads_suit_a_tile(sc, d) || !finishes_one(sc, k, d)) return false;
  int *slots = NEW_ARRAY(sc->arena, int, d->rank + 1);
  identity_slots(slots, d->rank);
  return absorb(sc, k, other, slots);
}

static bool share_a_read(Scheduler *sc, const Kernel *k, const Node *d) {
  ExprList reads = reads_of(sc, d);
  for (int m = 0; m < k->members.n; m++) {
    ExprList others = reads_of(sc, k->members.at[m].node);
    for (int i = 0; i < reads.n; i++)
      for (int j = 0; j < others.n; j++)
        if (reads.at[i] == others.at[j] && reads.at[i]->node->rank) return true;
  }
  return false;
}

static bool try_several_results(Scheduler *sc, Kernel *k, Kernel *other) {
  const Node *d = other->members.at[0].node;
  if (!node_is_map(d) || !same_shape(k, d) || !reads_at_own_position(sc, k, d)) return false;
  if (!reads_a_member(sc, k, d) && d->rank && !share_a_read(sc, k, d)) return false;
  int *slots = NEW_ARRAY(sc->arena, int, d->rank + 1);
  identity_slots(slots, d->rank);
  return absorb(sc, k, other, slots);
}

/* ---- groups around reductions ---- */

static bool same_reduction(const Node *a, const Node *b) {
  if (a->nred != b->nred) return false;
  for (int i = 0; i < a->nred; i++)
    if (a->red[i] != b->red[i]) return false;
  return true;
}

static bool a_member_reads(Scheduler *sc, const Kernel *k, const Node *d) {
  for (int i = 0; i < k->members.n; i++)
    if (reads_value(sc, k->members.at[i].node, d)) return true;
  return false;
}

/* Whether what d reads was made by a kernel that made something for k, too: then k keeps nothing alive for d. */
static bool reads_what_was_made_together(Scheduler *sc, const Kernel *k, const Node *d) {
  ExprList reads = reads_of(sc, d);
  for (int i = 0; i < reads.n; i++) {
    const Kernel *maker = sc->kernel_of[reads.at[i]->node->id];
    bool together = false;
    for (int m = 0; maker && m < maker->members.n; m++) together |= a_member_reads(sc, k, maker->members.at[m].node);
    if (!together && reads.at[i]->node->rank) return false;
  }
  return true;
}

/* Two reductions that pass over the same rows; or that are so little work that a kernel of their own is more. */
static bool is_sibling(Scheduler *sc, const Kernel *k, const Node *d) {
  if (!d->nred || !same_shape(k, d)) return false;
  bool small = k->kind == KERNEL_full ||
               (k->kind == KERNEL_column && node_point_count(d) <= SMALL && reads_what_was_made_together(sc, k, d));
  for (int i = 0; i < k->members.n; i++)
    if (same_reduction(k->members.at[i].node, d)) return small || share_a_read(sc, k, d);
  return false;
}

/* A map over the row that nobody else reads. */
static bool only_members_read(Scheduler *sc, const Kernel *k, const Node *d) {
  for (int i = 0; i < sc->after[d->id].n; i++)
    if (!kernel_member(k, sc->after[d->id].at[i]) && reads_value(sc, sc->after[d->id].at[i], d)) return false;
  return node_is_map(d) && !sc->kept[d->id] && sc->after[d->id].n > 0;
}

static bool may_join(const Kernel *k, const Kernel *other) {
  const Node *d = other->members.at[0].node;
  if (d->kind != NODE_comp || other->kind == KERNEL_contraction) return false;
  if (d->nred) return other->kind == k->kind && d->rank == k->ngrid;
  return k->kind != KERNEL_full || d->rank == 0;
}

/* A column kernel's lanes run along its last grid index: in a map over the row that has to be the fastest. */
static bool lanes_fit(const Kernel *k, const Node *d, const int *slots) {
  return k->kind != KERNEL_column || d->rank == k->ngrid || slots[k->ngrid - 1] == d->rank - 1;
}

static bool try_join(Scheduler *sc, Kernel *k, Kernel *other) {
  const Node *d = other->members.at[0].node;
  if (!may_join(k, other)) return false;
  int *slots = NEW_ARRAY(sc->arena, int, k->ngrid + 1);
  for (int j = 0; j < k->ngrid; j++) slots[j] = -1;
  bool related = reads_a_member(sc, k, d) || only_members_read(sc, k, d) || (d->nred && a_member_reads(sc, k, d));
  if (!related && !is_sibling(sc, k, d)) return false;
  for (int i = 0; i < k->members.n; i++)
    if (!match_reads_of(sc, k, &k->members.at[i], d, slots) || !match_reads_by(sc, k, &k->members.at[i], d, slots))
      return false;
  if (!related) identity_slots(slots, k->ngrid);
  return slots_fit(k, d, slots) && lanes_fit(k, d, slots) && absorb(sc, k, other, slots);
}

static void mark_readers_of_kernel(Scheduler *sc, const Kernel *k, bool *candidate) {
  for (int m = 0; k && m < k->members.n; m++) {
    const NodeList *after = &sc->after[k->members.at[m].node->id];
    for (int i = 0; i < after->n; i++) candidate[after->at[i]->id] = true;
  }
}

/* The nodes that the rules can take into k: what its members read, what reads them, and, for maps and reductions that
 * share a read, what else reads their operands; for small sums of columns what else reads what one kernel made. Of
 * one value or of none at all, any. */
static void mark_candidates(Scheduler *sc, const Kernel *k, bool *candidate) {
  memset(candidate, k->ngrid == 0, sizeof *candidate * (size_t)sc->n);
  for (int m = 0; m < k->members.n; m++) {
    const Node *n = k->members.at[m].node;
    for (int i = 0; i < sc->after[n->id].n; i++) candidate[sc->after[n->id].at[i]->id] = true;
    for (int i = 0; i < sc->before[n->id].n; i++) {
      const Node *operand = sc->before[n->id].at[i];
      candidate[operand->id] = true;
      if (k->kind == KERNEL_column) mark_readers_of_kernel(sc, sc->kernel_of[operand->id], candidate);
      for (int j = 0; operand->rank && k->kind != KERNEL_contraction && j < sc->after[operand->id].n; j++)
        candidate[sc->after[operand->id].at[j]->id] = true;
    }
  }
}

/* Grows every kernel of this kind by the rule until nothing more fits: those of streams by themselves. */
static void grow(Scheduler *sc, KernelKind kind, bool (*rule)(Scheduler *sc, Kernel *k, Kernel *other)) {
  bool *candidate = NEW_ARRAY(sc->arena, bool, sc->n);
  for (int i = 0; i < sc->n; i++) {
    Kernel *k = sc->kernel_of[i];
    if (!k || k->kind != kind || k->members.at[0].node->id != i) continue;
    if ((k->members.at[0].node->stream > 0) != sc->streams) continue;
    for (bool again = true; again;) {
      again = false;
      mark_candidates(sc, k, candidate);
      for (int j = 0; j < sc->n; j++) {
        Kernel *other = candidate[j] ? sc->kernel_of[j] : NULL;
        if (other && other != k && stands_alone(other) && rule(sc, k, other)) again = true;
      }
    }
  }
}

void group_kernels(Scheduler *sc) {
  set_all_places(sc);
  sc->streams = true;
  grow(sc, KERNEL_contraction, try_epilogue);
  grow(sc, KERNEL_row, try_join);
  sc->streams = false;
  join_streams(sc);
  set_all_places(sc);
  join_beside(sc);
  grow(sc, KERNEL_contraction, try_epilogue);
  grow(sc, KERNEL_row, try_join);
  grow(sc, KERNEL_row, try_sum);
  grow(sc, KERNEL_column, try_join);
  grow(sc, KERNEL_window, try_join);
  grow(sc, KERNEL_full, try_join);
  grow(sc, KERNEL_map, try_several_results);
}
