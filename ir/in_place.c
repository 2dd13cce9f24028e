/* in_place.c - buffers that take over the memory of one that dies where they are born: a map may write over an
 * operand that it reads at its own element only.
 *
 * In: a schedule with operands and lives. Out: Buffer.over; plan_memory places such a chain as one. A kernel runs its
 * members level by level, those of a level in order, position by position, and positions in any order. So, for a
 * value written over operand a: what reads a comes no later than the writer, and reads the writer's own element; a
 * reduction may read the whole row in an earlier level. A member whose row is kept counts as reading what it is made
 * from, so that backends may compute it again. */
#include "ir/classify.h"
#include "ir/cost.h"
#include "ir/scheduler.h"

typedef struct Heir { /* a candidate: member `writer` of k over buffer a */
  const Schedule *s;
  const Kernel *k;
  int writer;
  const Buffer *a;
} Heir;

static bool reads_buffer(const Heir *h, const Expr *read) { return kernel_buffer(h->s, h->k, read->node) == h->a; }

static int member_index(const Kernel *k, const Node *n) {
  for (int i = 0; i < k->members.n; i++)
    if (k->members.at[i].node == n) return i;
  return -1;
}

/* Whether member i's value is made from the old one of a: read by it, or by the rows that it reads. */
static bool touches(const Heir *h, int i) {
  ExprList reads = node_reads(h->s->arena, h->k->members.at[i].node);
  for (int j = 0; j < reads.n; j++) {
    if (reads_buffer(h, reads.at[j])) return true;
    int own = member_index(h->k, reads.at[j]->node);
    if (own >= 0 && own != i && h->k->members.at[own].storage == STORE_row && touches(h, own)) return true;
  }
  return false;
}

/* Whether member m reads a at its own grid position, or, with `element`, at its own element. */
static bool reads_own(const Heir *h, const Member *m, bool element) {
  const Member *w = &h->k->members.at[h->writer];
  ExprList reads = node_reads(h->s->arena, m->node);
  for (int j = 0; j < reads.n; j++) {
    const Expr *read = reads.at[j];
    if (!reads_buffer(h, read)) continue;
    if (schedule_part(h->s, read->node)) return false; /* its elements lie elsewhere in the buffer */
    if (element && !read_is_identity(h->s->graph, m->node, read)) return false;
    for (int g = 0; g < h->k->ngrid; g++)
      if (read->at[w->grid_slot[g]] != member_grid_form(h->s->graph, h->k, m, g)) return false;
  }
  return true;
}

static bool allows(const Heir *h, int i) {
  const Member *m = &h->k->members.at[i], *w = &h->k->members.at[h->writer];
  if (!touches(h, i)) return true;
  bool before = m->level < w->level || (m->level == w->level && i <= h->writer);
  if (!before || m->node->kind != NODE_comp) return false;
  if (node_is_map(m->node)) return reads_own(h, m, true);
  return m->level < w->level && reads_own(h, m, false);
}

static bool same_memory(const Buffer *a, const Buffer *b) {
  if (a->bytes != b->bytes || a->node->dtype != b->node->dtype || a->node->rank != b->node->rank) return false;
  if (a->node->pitch != b->node->pitch) return false;
  for (int i = 0; i < a->node->rank; i++)
    if (a->node->shape[i] != b->node->shape[i]) return false;
  return true;
}

static bool has_heir(const Schedule *s, const Buffer *a) {
  for (int i = 0; i < s->buffers.n; i++)
    if (s->buffers.at[i]->over == a) return true;
  return false;
}

/* Whether member `writer` of the kernel at position `at` may write its buffer over a. */
static bool may_take_over(const Schedule *s, int at, int writer, const Buffer *a) {
  const Kernel *k = s->kernels.at[at];
  const Buffer *b = k->members.at[writer].buffer;
  if (a->place != BUFFER_arena || a->first >= at || a->last != at || !same_memory(a, b) || has_heir(s, a))
    return false;
  Heir h = {s, k, writer, a};
  for (int i = 0; i < k->members.n; i++)
    if (!allows(&h, i)) return false;
  return true;
}

static bool writes_by_position(const Kernel *k) {
  return k->kind == KERNEL_map || k->kind == KERNEL_row || k->kind == KERNEL_column || k->kind == KERNEL_window ||
         k->kind == KERNEL_contraction;
}

void write_in_place(Schedule *s) {
  for (int i = 0; i < s->buffers.n; i++) s->buffers.at[i]->over = NULL;
  for (int at = 0; at < s->kernels.n; at++) {
    const Kernel *k = s->kernels.at[at];
    for (int m = 0; m < k->members.n && writes_by_position(k); m++) {
      Buffer *b = k->members.at[m].buffer;
      const Node *n = k->members.at[m].node;
      if (!b || b->place != BUFFER_arena || b->first != at || !node_is_map(n) || schedule_part(s, n)) continue;
      for (int i = 0; i < k->operands.n && !b->over; i++)
        if (may_take_over(s, at, m, k->operands.at[i])) b->over = k->operands.at[i];
    }
  }
}
