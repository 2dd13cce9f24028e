/* schedule_verify.c - whether a schedule computes its graph: every value read is there, in the right order, and no
 * buffer is overwritten while it is needed. Sizes and offsets are compared at several values of the open dimensions.
 */
#include "ir/classify.h"
#include "ir/cost.h"
#include "ir/kernel.h"

#include <inttypes.h>

typedef struct Verifier {
  const Schedule *s;
  const Kernel *k; /* the one looked at */
  const char *fault;
} Verifier;

static void fault(Verifier *v, const char *what, const Node *n) {
  if (!v->fault)
    v->fault = arena_printf(v->s->arena, "kernel %d: %s (node %d)", v->k ? v->k->id : -1, what, n ? n->id : -1);
}

/* The kernel that computes n into b. */
static int kernel_index(const Schedule *s, const Node *n, const Buffer *b) {
  for (int i = 0; i < s->kernels.n; i++)
    for (int j = 0; j < s->kernels.at[i]->members.n; j++)
      if (s->kernels.at[i]->members.at[j].node == n && s->kernels.at[i]->members.at[j].buffer == b) return i;
  return -1;
}

static const Member *member_before(const Kernel *k, int end, const Node *n) {
  for (int i = 0; i < end; i++)
    if (k->members.at[i].node == n) return &k->members.at[i];
  return NULL;
}

static bool is_operand(const Kernel *k, const Buffer *b) {
  for (int i = 0; i < k->operands.n; i++)
    if (k->operands.at[i] == b) return true;
  return false;
}

/* A read of the old value of a param, after some kernel wrote the new one. */
static void check_source(Verifier *v, int at, int member, const Node *n, const Buffer *read) {
  for (int i = 0; i <= at; i++) {
    const Kernel *k = v->s->kernels.at[i];
    for (int j = 0; j < (i < at ? k->members.n : member); j++) {
      if (k->members.at[j].buffer == read && k->members.at[j].node != n)
        fault(v, "reads a value that was overwritten", n);
    }
  }
}

/* A carry's first value is there before it is read; the others too, but in its own loop. */
static void check_rows(Verifier *v, int at, const Node *c, const Node *reader) {
  int first = -1, last = -1;
  for (int i = 0; i < v->s->kernels.n; i++)
    for (int j = 0; j < v->s->kernels.at[i]->members.n; j++)
      if (schedule_carry(v->s, v->s->kernels.at[i]->members.at[j].node) == c) last = i, first = first < 0 ? i : first;
  bool inside = carry_scan(c) && scan_holds(c->scan, reader);
  if (first < 0 || first >= at || (!inside && last >= at)) fault(v, "reads a carry before it is written", c);
}

static void check_read(Verifier *v, int at, int member, const Node *n) {
  const Member *own = member_before(v->k, member, n);
  if (own && own->storage != STORE_buffer) return;
  const Buffer *b = kernel_buffer(v->s, v->k, n);
  if (!b) {
    fault(v, "reads a value that is not in memory", n);
    return;
  }
  if (!is_operand(v->k, b)) fault(v, "reads what is not among its operands", n);
  if (n->kind == NODE_carry) check_rows(v, at, n, v->k->members.at[member].node);
  else if (!n->body) check_source(v, at, member, n, b);
  else if (!own && kernel_index(v->s, n, b) >= at) fault(v, "reads a value before it is made", n);
  if (b->place == BUFFER_arena && (b->first > at || b->last < at)) fault(v, "reads outside a buffer's life", n);
}

/* What decides about the kernel is there, and was made by one before it. */
static void check_guards(Verifier *v, int at) {
  for (int i = 0; i < v->k->guards.n; i++) {
    const Buffer *b = v->k->operands.at[v->k->guards.at[i].operand];
    int made = kernel_index(v->s, b->node, b);
    if (made < 0 || made >= at) fault(v, "is decided about by what is not there", b->node);
    if (b->node->rank || b->node->dtype != DT_bool) fault(v, "is decided about by what is no scalar bool", b->node);
  }
}

/* A read of another member is at the grid position of the reader. */
static void check_position(Verifier *v, const Member *reader, const Expr *read) {
  const Member *own = member_before(v->k, v->k->members.n, read->node);
  for (int i = 0; own && i < v->k->ngrid; i++)
    if (read->at[own->grid_slot[i]] != member_grid_form(v->s->graph, v->k, reader, i))
      fault(v, "reads a member at another position", read->node);
  if (own && own->summed) fault(v, "reads a sum before its last position", read->node);
}

/* The extent of grid index i as m has it: that of its slot, or as many blocks as hold it. */
static bool grid_index_fits(const Kernel *k, const Member *m, int i) {
  const Node *n = m->node;
  int slot = m->grid_slot[i];
  if (slot < 0 || slot >= n->rank + (m->summed ? n->nred : 0)) return false;
  Dim *extent = slot < n->rank ? n->shape[slot] : n->red[slot - n->rank];
  int64_t block;
  if (m->block_slot < 0 || i != k->cut) return extent == k->grid[i];
  return dim_is_const(extent, &block) && block == k->block;
}

static void check_grid(Verifier *v, const Member *m) {
  for (int i = 0; i < v->k->ngrid; i++)
    if (!grid_index_fits(v->k, m, i)) fault(v, "grid and member do not fit", m->node);
}

static void check_member(Verifier *v, int at, int member) {
  const Member *m = &v->k->members.at[member];
  ExprList reads = node_reads(v->s->arena, m->node);
  for (int i = 0; i < reads.n; i++) {
    check_read(v, at, member, reads.at[i]->node);
    check_position(v, m, reads.at[i]);
  }
  check_grid(v, m);
  if ((m->storage == STORE_buffer) != (m->buffer != NULL)) fault(v, "storage and buffer do not fit", m->node);
  if (m->buffer && !is_operand(v->k, m->buffer)) fault(v, "writes what is not among its operands", m->node);
  if (member && m->level < v->k->members.at[member - 1].level) fault(v, "levels do not ascend", m->node);
}

static int64_t open_value(void *cx, DimAtom *symbol) {
  int64_t value = *(int64_t *)cx;
  return value < symbol->lower ? symbol->lower : value;
}

static const Buffer *owner(const Buffer *b) {
  while (b->over) b = b->over;
  return b;
}

/* A buffer over another's memory begins where that ends, in the kernel that reads the one and writes the other. */
static void check_heir(Verifier *v, const Buffer *b) {
  const Buffer *a = b->over;
  if (a->last != b->first || a->first >= b->first) fault(v, "a buffer is written over one that lives on", b->node);
  if (a->bytes != b->bytes || a->offset != b->offset) fault(v, "a buffer does not fit over its operand", b->node);
}

typedef struct Piece { /* of the arena, for one value of the open dimensions */
  const Buffer *b;
  int64_t from, to;
} Piece;

static Piece piece_of(Verifier *v, const Buffer *b, int64_t value) {
  int64_t from = dim_evaluate(b->offset, open_value, &value), bytes = dim_evaluate(b->bytes, open_value, &value);
  if (from % 64 != 0) fault(v, "a buffer is not aligned", b->node);
  if (from + bytes > dim_evaluate(v->s->arena_bytes, open_value, &value))
    fault(v, "a buffer leaves the arena", b->node);
  return (Piece){b, from, from + bytes};
}

static void check_disjoint(Verifier *v, int n, const Piece *pieces) {
  for (int i = 0; i < n; i++)
    for (int j = 0; j < i; j++) {
      const Piece *p = &pieces[i], *q = &pieces[j];
      bool lives = p->b->first <= q->b->last && q->b->first <= p->b->last,
           filled = p->from < p->to && q->from < q->to;
      if (lives && filled && p->from < q->to && q->from < p->to && owner(p->b) != owner(q->b))
        fault(v, "two live buffers overlap", p->b->node);
    }
}

static void check_buffers(Verifier *v) {
  static const int64_t values[] = {0, 1, 2, 3, 7, 16, 31, 33, 64, 100, 1000, 4097};
  Arena *scratch = arena_new();
  Piece *pieces = NEW_ARRAY(scratch, Piece, v->s->buffers.n + 1);
  for (size_t k = 0; k < sizeof values / sizeof *values; k++) {
    int n = 0;
    for (int i = 0; i < v->s->buffers.n; i++) {
      const Buffer *b = v->s->buffers.at[i];
      if (b->place == BUFFER_arena) pieces[n++] = piece_of(v, b, values[k]);
    }
    check_disjoint(v, n, pieces);
  }
  for (int i = 0; i < v->s->buffers.n; i++) {
    const Buffer *b = v->s->buffers.at[i];
    if (b->place == BUFFER_arena && b->over) check_heir(v, b);
  }
  arena_free(scratch);
}

/* Parts lie inside their whole, in its buffer, and are as many elements. */
static void check_parts(Verifier *v) {
  Ir *ir = v->s->graph->ir;
  for (int i = 0; i < v->s->parts.n; i++) {
    const Part *p = &v->s->parts.at[i];
    const Buffer *b = schedule_buffer(v->s, p->node);
    if (!b || b->node != p->whole) fault(v, "a part is not in its whole", p->node);
    for (int d = 0; d < p->whole->rank; d++)
      if (!form_proves_inside(ir, p->at[d], p->whole->shape[d])) fault(v, "a part leaves its whole", p->node);
    double sum = 0;
    for (int k = 0; k < v->s->parts.n; k++)
      if (v->s->parts.at[k].whole == p->whole && kernel_index(v->s, v->s->parts.at[k].node, b) >= 0)
        sum += node_result_count(v->s->parts.at[k].node);
    if (sum != node_result_count(p->whole)) fault(v, "parts do not fill their whole", p->whole);
  }
}

/* A kernel runs in the loop that its members are of, one step's units at a time. */
static void check_loop(Verifier *v, int at) {
  const Kernel *k = v->k;
  const KernelLoop *l = k->loop < 0 ? NULL : &v->s->loops.at[k->loop];
  for (int j = 0; j < k->members.n; j++) {
    const Node *n = k->members.at[j].node;
    if (n->scan != k->scan || node_times(n) != k->times) fault(v, "a member is of another loop", n);
    for (int i = 0; i < k->times; i++)
      if (k->members.at[j].grid_slot[i] != i) fault(v, "the steps are not a member's first indices", n);
  }
  if (!l != !k->scan || (l && (at < l->first || at > l->last))) fault(v, "is not in its loop", k->members.at[0].node);
  if (k->times > k->ngrid) fault(v, "has not the steps of its loop", k->members.at[0].node);
}

static void check_effects(Verifier *v) {
  const Graph *g = v->s->graph;
  for (int i = 0; i < g->outputs.n; i++)
    if (!schedule_buffer(v->s, g->outputs.at[i].node)) fault(v, "an output is not in memory", g->outputs.at[i].node);
  for (int i = 0; i < g->stores.n; i++) {
    const Buffer *b = schedule_buffer(v->s, g->stores.at[i]->in[0]);
    if (!b || b->node != g->stores.at[i]->in[1]) fault(v, "a next value is not stored", g->stores.at[i]);
  }
}

const char *schedule_verify(const Schedule *s) {
  Verifier v = {.s = s};
  for (int i = 0; i < s->kernels.n; i++) {
    v.k = s->kernels.at[i];
    for (int j = 0; j < v.k->members.n; j++) check_member(&v, i, j);
    check_guards(&v, i);
    check_loop(&v, i);
  }
  v.k = NULL;
  check_buffers(&v);
  check_parts(&v);
  check_effects(&v);
  return v.fault;
}
