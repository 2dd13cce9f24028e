/* schedule.c - a graph as a list of kernels: classify each computed node, group, order, and describe each kernel for
 * the backends. Comes after the last pass; what it is given is not changed but for copies of outputs and stored
 * values (settle.c). */
#include "ir/classify.h"
#include "ir/cost.h"
#include "ir/scheduler.h"

#include <string.h>

enum {
  UNIT_ELEMENTS = 4096,
  CHUNK_NS = 5000,
  COLUMN_VECTORS = 4,
  ALIGNMENT = 64,
  SORT_BYTES = 40,
  SORT_PS = 12000,
  OWNERS = 8,
  OWNED_ROW = 32,
  MOST_TAPS = 12,
  ROWS_TO_SHARE = 8
};

const char *kernel_kind_name(KernelKind k) {
  static const char *const names[] = {
#define ROW(name, what) #name,
#include "ir/kernel.def"
#undef ROW
  };
  return names[k];
}

/* ---- one kernel a node ---- */

/* A sum too small for tiles has them all the same where vectors take longer: those of short rows are mostly empty.
 */
static void consider_tiles(Scheduler *sc, Kernel *k, Node *n) {
  if (sc->target->gpu || n->stream || (k->kind != KERNEL_row && k->kind != KERNEL_column)) return;
  Contraction *c = small_product(sc->g, n, sc->arena);
  if (!c || !tiles_pay(sc->target, sc->g, n, c, k->kind)) return;
  k->kind = KERNEL_contraction;
  k->contraction = c;
}

static Kernel *kernel_new(Scheduler *sc, Node *n) {
  Kernel *k = NEW(sc->arena, Kernel);
  k->id = n->id;
  k->kind = classify(sc->g, n, sc->arena, &k->contraction);
  consider_tiles(sc, k, n);
  k->span = n->span;
  k->scan = n->scan;
  k->times = node_times(n);
  k->ngrid = n->kind == NODE_sort ? n->rank - 1 : n->rank;
  k->grid = n->shape;
  int *slots = NEW_ARRAY(sc->arena, int, n->rank + 1);
  for (int i = 0; i < n->rank; i++) slots[i] = i;
  vec_push(sc->arena, &k->members, (Member){.node = n, .grid_slot = slots, .block_slot = -1});
  return k;
}

static void make_kernels(Scheduler *sc) {
  sc->kernel_of = NEW_ARRAY(sc->arena, Kernel *, sc->n);
  sc->reads = NEW_ARRAY(sc->arena, ExprList, sc->n);
  for (int i = 0; i < sc->n; i++) {
    Node *n = sc->g->nodes.at[i];
    sc->reads[i] = node_reads(sc->arena, n);
    if (node_is_computed(n) && !sc->assembled[i]) sc->kernel_of[i] = kernel_new(sc, n);
  }
}

/* ---- what a condition decides ---- */

/* Conditions are values in memory, and there before what they decide about. */
static void place_conditions(Scheduler *sc) {
  sc->choices = choices_find(sc->g, sc->arena);
  const Choices *c = &sc->choices;
  for (int i = 0; i < c->n; i++)
    for (int j = 0; j < sc->g->nodes.n; j++) {
      Node *n = sc->g->nodes.at[j];
      if (!node_is_computed(n) || !(c->wanted[j] & (literal(i, true) | literal(i, false)))) continue;
      run_before(sc, c->condition[i], n);
      sc->kept[c->condition[i]->id] = true;
    }
}

/* ---- order ---- */

typedef struct Ordering {
  Scheduler *sc;
  bool *done;  /* by node id */
  bool *leads; /* by node id: the first of its kernel */
} Ordering;

static void find_leads(Ordering *o) {
  bool *met = NEW_ARRAY(o->sc->arena, bool, o->sc->n);
  for (int i = 0; i < o->sc->n; i++) {
    const Kernel *k = o->sc->kernel_of[i];
    o->leads[i] = k && !met[i];
    for (int m = 0; o->leads[i] && m < k->members.n; m++) met[k->members.at[m].node->id] = true;
  }
}

/* Loop l's loop that holds kernel k; NULL where k is l's own. */
static const Scan *loop_inside(const Kernel *k, const Scan *l) {
  const Scan *s = k->scan == l ? NULL : k->scan;
  while (s && s->up != l) s = s->up;
  return s;
}

/* What stands together: a kernel of its own, or all of a loop. */
static bool in_unit(const Kernel *k, const Kernel *single, const Scan *loop) {
  return loop ? loop_of_kernel(k, loop) : k == single;
}

static bool is_ready(const Ordering *o, const Kernel *k, const Kernel *single, const Scan *loop) {
  Scheduler *sc = o->sc;
  for (int m = 0; m < k->members.n; m++) {
    const NodeList *before = &sc->before[k->members.at[m].node->id];
    for (int i = 0; i < before->n; i++) {
      const Kernel *b = sc->kernel_of[before->at[i]->id];
      if (b && !o->done[before->at[i]->id] && !in_unit(b, single, loop)) return false;
    }
  }
  return true;
}

static bool unit_is_ready(const Ordering *o, const Kernel *single, const Scan *loop) {
  bool ready = true;
  for (int i = 0; loop && ready && i < o->sc->n; i++) {
    const Kernel *k = o->leads[i] ? o->sc->kernel_of[i] : NULL;
    if (k && loop_of_kernel(k, loop)) ready = is_ready(o, k, single, loop);
  }
  return loop ? ready : is_ready(o, single, single, NULL);
}

static void order_loop(Ordering *o, const Scan *l, int loop);

/* The loop's steps, with those of the indices before its axis that no loop around it goes through. */
static Dim *loop_steps(Scheduler *sc, const Scan *l) {
  const Node *carry = sc->g->nodes.at[l->first];
  Dim *steps = l->steps;
  for (int i = l->up ? l->up->axis + 1 : 0; i < l->axis; i++) steps = dim_mul(sc->g->ir, steps, carry->shape[i]);
  return steps;
}

static void place_loop(Ordering *o, const Scan *l, int up) {
  Schedule *s = o->sc->s;
  int loop = s->loops.n, first = s->kernels.n;
  vec_push(o->sc->arena, &s->loops,
           (KernelLoop){.up = up, .first = first, .steps = loop_steps(o->sc, l), .down = l->down, .scan = l});
  order_loop(o, l, loop);
  s->loops.at[loop].last = s->kernels.n - 1;
}

static void place_kernel(Ordering *o, Kernel *k, int loop) {
  for (int m = 0; m < k->members.n; m++) o->done[k->members.at[m].node->id] = true;
  k->id = o->sc->s->kernels.n;
  k->loop = loop;
  vec_push(o->sc->arena, &o->sc->s->kernels, k);
}

/* All kernels of loop l (NULL: of the graph). Of those that are ready, always the one whose first node stands first:
 * near the graph's own order. */
static void order_loop(Ordering *o, const Scan *l, int loop) {
  Scheduler *sc = o->sc;
  const Scan *waiting = NULL; /* a loop inside that was found not to be ready */
  for (int i = 0; i < sc->n;) {
    Kernel *k = o->leads[i] && !o->done[i] ? sc->kernel_of[i] : NULL;
    const Scan *inside = k && loop_of_kernel(k, l) ? loop_inside(k, l) : NULL;
    if (!k || !loop_of_kernel(k, l) || (inside && inside == waiting) || !unit_is_ready(o, k, inside)) {
      if (inside) waiting = inside;
      i++;
      continue;
    }
    if (inside) place_loop(o, inside, loop);
    else place_kernel(o, k, loop);
    waiting = NULL;
    i = 0;
  }
}

static void order_kernels(Scheduler *sc) {
  Ordering o = {sc, NEW_ARRAY(sc->arena, bool, sc->n), NEW_ARRAY(sc->arena, bool, sc->n)};
  find_leads(&o);
  order_loop(&o, NULL, -1);
  for (int i = 0; i < sc->n; i++)
    if (sc->kernel_of[i] && !o.done[i]) ice("schedule: node %d waits for itself", i);
}

/* ---- levels ---- */

bool kernel_writes(const Kernel *k, const Buffer *b) {
  for (int i = 0; i < k->members.n; i++)
    if (k->members.at[i].buffer == b) return true;
  return false;
}

Member *kernel_member(const Kernel *k, const Node *n) {
  for (int i = 0; i < k->members.n; i++)
    if (k->members.at[i].node == n) return &k->members.at[i];
  return NULL;
}

static bool in_grid(const Kernel *k, const Member *m, int slot) {
  if (slot == m->block_slot) return true;
  for (int i = 0; i < k->ngrid; i++)
    if (m->grid_slot[i] == slot) return true;
  return false;
}

/* The index j of m's row: a reduction index, or result index j of those outside the grid. NULL: there is none. */
static Var *row_var(Scheduler *sc, const Kernel *k, const Member *m, int j) {
  if (m->node->nred && !m->summed) return j < m->node->nred ? node_reduction_var(sc->g, m->node, j) : NULL;
  for (int s = 0; s < m->node->rank; s++)
    if (!in_grid(k, m, s) && j-- == 0) return node_result_var(sc->g, m->node, s);
  return NULL;
}

/* Whether `read`, by d, of the row that m makes is at d's own place in the row. */
static bool reads_row_in_step(Scheduler *sc, const Kernel *k, const Member *d, const Member *m, const Expr *read) {
  int j = 0;
  for (int s = 0; s < m->node->rank; s++) {
    if (in_grid(k, m, s)) continue;
    Var *v = row_var(sc, k, d, j++);
    if (!v || v->extent != m->node->shape[s] || form_as_var(read->at[s]) != v) return false;
  }
  return row_var(sc, k, d, j) == NULL;
}

static int level_after(Scheduler *sc, const Kernel *k, const Member *d, const Member *m) {
  if (m->node->nred) return m->level + 1;
  ExprList reads = reads_of(sc, d->node);
  for (int i = 0; m->node->rank > k->ngrid && i < reads.n; i++)
    if (reads.at[i]->node == m->node && !reads_row_in_step(sc, k, d, m, reads.at[i])) return m->level + 1;
  return m->level;
}

/* Of sums over positions, which nobody in the kernel reads, the simplest first: so kernels that the derivative made
 * in one order or another are the same. */
static bool goes_before(const Member *m, const Member *other) {
  if (m->level != other->level) return m->level < other->level;
  return m->summed && other->summed && expr_size(m->node->body) < expr_size(other->node->body);
}

void set_levels(Scheduler *sc, Kernel *k) {
  for (int i = 0; i < k->members.n; i++) {
    Member *d = &k->members.at[i];
    const NodeList *before = &sc->before[d->node->id];
    for (int j = 0; j < before->n; j++) {
      const Member *m = kernel_member(k, before->at[j]);
      if (!m) continue;
      int level = k->kind == KERNEL_map || k->kind == KERNEL_contraction ? 0 : level_after(sc, k, d, m);
      if (level > d->level) d->level = level;
    }
  }
  for (int i = 1; i < k->members.n; i++) /* stable, and short */
    for (int j = i; j > 0 && goes_before(&k->members.at[j], &k->members.at[j - 1]); j--) {
      Member m = k->members.at[j];
      k->members.at[j] = k->members.at[j - 1];
      k->members.at[j - 1] = m;
    }
}

/* ---- buffers ---- */

static Dim *bytes_of(Graph *g, const Node *n) {
  Dim *bytes = dim_const(g->ir, dtype_bytes(n->dtype));
  for (int i = 0; i < n->rank; i++) bytes = dim_mul(g->ir, bytes, node_kept_extent(g->ir, n, i));
  return bytes;
}

static BufferClass class_of(const Node *n) {
  switch (n->kind) {
  case NODE_input: return BUFFER_input;
  case NODE_param: return BUFFER_param;
  case NODE_state: return BUFFER_state;
  case NODE_const: return BUFFER_const;
  default: return BUFFER_arena;
  }
}

Buffer *buffer_for(Scheduler *sc, Node *n) {
  Schedule *s = sc->s;
  const Part *part = schedule_part(s, n);
  if (sc->in_place[n->id]) n = sc->in_place[n->id];
  if (part) n = part->whole;
  if (s->buffer_of[n->id]) return s->buffer_of[n->id];
  Buffer *b = NEW(sc->arena, Buffer);
  *b = (Buffer){.id = s->buffers.n, .place = class_of(n), .node = n, .bytes = bytes_of(sc->g, n), .first = -1};
  vec_push(sc->arena, &s->buffers, b);
  s->buffer_of[n->id] = b;
  return b;
}

Buffer *schedule_buffer(const Schedule *s, const Node *n) {
  Buffer *b = s->buffer_of[n->id];
  const Part *part = b ? NULL : schedule_part(s, n); /* a whole in another that no kernel reads */
  return part ? s->buffer_of[part->whole->id] : b;
}

Buffer *kernel_buffer(const Schedule *s, const Kernel *k, const Node *n) {
  const Member *own = kernel_member(k, n);
  if (own) return own->buffer;
  for (int i = 0; i < k->operands.n; i++)
    if (k->operands.at[i]->node == n) return k->operands.at[i];
  return schedule_buffer(s, n);
}

/* ---- storage ---- */

bool used_outside(Scheduler *sc, const Kernel *k, const Node *n) {
  for (int i = 0; i < sc->after[n->id].n; i++) {
    const Node *after = sc->after[n->id].at[i];
    if (sc->kernel_of[after->id] != k && reads_value(sc, after, n)) return true;
  }
  return sc->kept[n->id];
}

static Dim *row_bytes(Scheduler *sc, const Kernel *k, const Member *m) {
  Dim *bytes = dim_const(sc->g->ir, dtype_bytes(m->node->dtype));
  for (int s = 0; s < m->node->rank; s++)
    if (!in_grid(k, m, s)) bytes = dim_mul(sc->g->ir, bytes, m->node->shape[s]);
  return dim_round_up(sc->g->ir, bytes, ALIGNMENT);
}

/* Rows are kept in scratch memory as long as all of them fit half of the second cache: a row of a large vocabulary is
 * read from there again, and not from memory. Lanes of a column kernel have a row each. */
static bool rows_fit(const Scheduler *sc, const Kernel *k, const Dim *bytes) {
  int64_t rows = k->kind == KERNEL_column ? sc->target->vector_bytes / dtype_bytes(k->members.at[0].node->dtype) : 1;
  return dim_nominal(bytes) * rows <= sc->target->l2 / 2;
}

void set_storage(Scheduler *sc, Kernel *k) {
  k->scratch = dim_const(sc->g->ir, 0);
  if (k->kind == KERNEL_sort) {
    const Node *n = k->members.at[0].node;
    Dim *bytes = dim_mul(sc->g->ir, n->shape[n->rank - 1], dim_const(sc->g->ir, SORT_BYTES));
    k->scratch = dim_round_up(sc->g->ir, bytes, ALIGNMENT);
  }
  for (int i = 0; i < k->members.n; i++) {
    Member *m = &k->members.at[i];
    bool row = m->node->rank > k->ngrid;
    m->storage = row ? STORE_row : STORE_register;
    if (used_outside(sc, k, m->node) || k->kind == KERNEL_scatter || k->kind == KERNEL_sort)
      m->storage = STORE_buffer;
    if (m->storage == STORE_row) {
      Dim *end = dim_add(sc->g->ir, k->scratch, row_bytes(sc, k, m));
      if (!rows_fit(sc, k, end)) m->storage = STORE_buffer;
      else {
        m->offset = k->scratch;
        k->scratch = end;
      }
    }
    if (m->storage == STORE_buffer) m->buffer = sc->s->buffer_of[m->node->id] = buffer_for(sc, m->node);
  }
}

void add_operand(Scheduler *sc, Kernel *k, Buffer *b) {
  for (int i = 0; i < k->operands.n; i++)
    if (k->operands.at[i] == b) return;
  vec_push(sc->arena, &k->operands, b);
}

void set_guards(Scheduler *sc, Kernel *k) {
  const Choices *c = &sc->choices;
  for (int i = 0; i < 2 * c->n; i++) {
    bool value = i % 2 == 0;
    if (!(c->wanted[k->members.at[0].node->id] & literal(i / 2, value))) continue;
    KernelGuard guard = {.value = value};
    const Buffer *b = buffer_for(sc, c->condition[i / 2]);
    add_operand(sc, k, buffer_for(sc, c->condition[i / 2]));
    while (k->operands.at[guard.operand] != b) guard.operand++;
    vec_push(sc->arena, &k->guards, guard);
  }
}

void set_operands(Scheduler *sc, Kernel *k) {
  for (int i = 0; i < k->members.n; i++) {
    const Member *m = &k->members.at[i];
    ExprList reads = reads_of(sc, m->node);
    for (int j = 0; j < reads.n; j++) {
      Node *n = reads.at[j]->node;
      const Member *own = kernel_member(k, n);
      if (!own || own->storage == STORE_buffer) add_operand(sc, k, buffer_for(sc, n));
    }
    if (m->buffer) add_operand(sc, k, m->buffer);
  }
  set_guards(sc, k);
}

/* What a loop uses keeps its place through all steps. */
static void live_through(Schedule *s, const KernelLoop *l) {
  for (int i = 0; i < s->buffers.n; i++) {
    Buffer *b = s->buffers.at[i];
    if (b->last < l->first || b->first > l->last) continue;
    if (b->first > l->first) b->first = l->first;
    if (b->last < l->last) b->last = l->last;
  }
}

static void set_lifetimes(Schedule *s) {
  for (int i = 0; i < s->buffers.n; i++) s->buffers.at[i]->first = s->buffers.at[i]->last = -1;
  for (int i = 0; i < s->kernels.n; i++) {
    const Kernel *k = s->kernels.at[i];
    for (int j = 0; j < k->operands.n; j++) {
      Buffer *b = k->operands.at[j];
      if (b->first < 0) b->first = i;
      b->last = i;
    }
  }
  for (int i = 0; i < s->loops.n; i++) live_through(s, &s->loops.at[i]);
  for (int i = 0; i < s->graph->outputs.n; i++) schedule_buffer(s, s->graph->outputs.at[i].node)->last = s->kernels.n;
}

void schedule_plan(Schedule *s) {
  set_lifetimes(s);
  if (s->level >= 1) write_in_place(s);
  plan_memory(s);
}

/* ---- sharing out ---- */

static Dim *extent_of_slots(Scheduler *sc, const Kernel *k, const int *slots, int n) {
  Dim *d = dim_const(sc->g->ir, 1);
  for (int i = 0; i < n; i++) d = dim_mul(sc->g->ir, d, k->grid[slots[i]]);
  return d;
}

static Contraction *contraction_of(const Kernel *k, int member) {
  return member ? k->beside.at[member - 1] : k->contraction;
}

static int64_t terms_of(const Kernel *k, int member) {
  int64_t terms = 1;
  const Node *n = k->members.at[member].node;
  for (int i = 0; i < n->nred; i++) terms *= dim_nominal(n->red[i]);
  return terms;
}

/* Those side by side have the tiles that suit the one with the longest sums. */
static void choose_tiles(Scheduler *sc, Kernel *k, int64_t rows) {
  int longest = 0;
  int64_t terms = 0;
  for (int i = 0; i <= k->beside.n; i++) {
    terms += terms_of(k, i);
    if (terms_of(k, i) > terms_of(k, longest)) longest = i;
  }
  Contraction *c = contraction_of(k, longest);
  tile_contraction(sc->target, k->members.at[longest].node, c, sc->g, rows, terms - terms_of(k, longest));
  for (int i = 0; i <= k->beside.n; i++) {
    Contraction *other = contraction_of(k, i);
    if (i == longest) continue;
    other->mr = c->mr, other->nr = c->nr, other->last_nr = c->last_nr;
    other->mc = c->mc, other->nc = c->nc;
    other->k_cut = 0, other->k_block = (int)dim_nominal(k->members.at[i].node->red[0]);
  }
}

Dim *share_rows(Scheduler *sc, Kernel *k, int64_t rows) {
  Ir *ir = sc->g->ir;
  Contraction *c = k->contraction;
  choose_tiles(sc, k, rows);
  Dim *m = dim_ceil_div(ir, extent_of_slots(sc, k, c->m, c->nm), c->mc);
  Dim *n = dim_ceil_div(ir, extent_of_slots(sc, k, c->n, c->nn), c->nc);
  Dim *blocks = dim_mul(ir, m, n);
  k->units = dim_mul(ir, extent_of_slots(sc, k, c->batch, c->nbatch), blocks);
  k->step_units = dim_mul(ir, extent_of_slots(sc, k, c->batch + k->times, c->nbatch - k->times), blocks);
  return n;
}

/* Nominal elements that all members together visit at one grid position. */
static double points_per_position(const Kernel *k) {
  double points = 0, grid = 1;
  for (int i = 0; i < k->members.n; i++) points += node_point_count(k->members.at[i].node);
  for (int i = 0; i < k->ngrid; i++) grid *= (double)dim_nominal(k->grid[i]);
  return grid > 0 ? points / grid : points;
}

/* Cuts at a grid index that is no step, or at the last step, one by one. */
void cut_at(Scheduler *sc, Kernel *k, int cut, int64_t block) {
  Ir *ir = sc->g->ir;
  if (k->times && cut < k->times) {
    cut = k->times < k->ngrid ? k->times : k->times - 1;
    block = k->times < k->ngrid ? INT32_MAX : 1;
  }
  k->cut = cut;
  k->block = block;
  Dim *blocks = dim_ceil_div(ir, k->grid[cut], block);
  k->units = blocks;
  k->step_units = k->times > cut ? dim_const(ir, 1) : blocks;
  for (int i = 0; i < cut; i++) {
    k->units = dim_mul(ir, k->grid[i], k->units);
    if (i >= k->times) k->step_units = dim_mul(ir, k->grid[i], k->step_units);
  }
}

/* Whether result index v of n only moves windows: it is read by beside an index of the reduction, or not at all. */
static bool moves_windows(Scheduler *sc, const Node *n, const Var *v, ExprList reads) {
  for (int i = 0; i < reads.n; i++)
    for (int d = 0; d < reads.at[i]->node->rank; d++) {
      const Form *f = reads.at[i]->at[d];
      bool window = !form_uses(f, v);
      for (int r = 0; r < n->nred && !window; r++) window = form_uses(f, node_reduction_var(sc->g, n, r));
      if (!window) return false;
    }
  return true;
}

static bool reads_by(const Expr *read, const Var *v) {
  for (int d = 0; d < read->node->rank; d++)
    if (form_uses(read->at[d], v)) return true;
  return false;
}

/* How many of the last grid indices are taps: of a depthwise convolution's gradient by its weights, all taps read the
 * same gradient, and the windows beside each other lie in the same lines. */
static int count_taps(Scheduler *sc, const Kernel *k) {
  const Node *n = k->members.at[0].node;
  ExprList reads = reads_of(sc, n);
  int64_t places = 1, extent;
  double others = 1;
  int taps = 0;
  if (k->kind != KERNEL_row || k->members.n != 1 || !n->nred) return 0;
  for (int i = k->ngrid - 1; i > k->times; i--, taps++) {
    Var *v = node_result_var(sc->g, n, k->members.at[0].grid_slot[i]);
    if (!dim_is_const(k->grid[i], &extent) || places * extent > MOST_TAPS || !moves_windows(sc, n, v, reads)) break;
    places *= extent;
  }
  for (int i = 0; i < k->ngrid - taps; i++) others *= (double)dim_nominal(k->grid[i]);
  bool shared = false;
  for (int i = 0; i < reads.n && places > 1; i++) {
    bool moved = false;
    for (int j = k->ngrid - taps; j < k->ngrid; j++)
      moved |= reads_by(reads.at[i], node_result_var(sc->g, n, k->members.at[0].grid_slot[j]));
    shared |= !moved;
  }
  return shared && others >= ROWS_TO_SHARE ? taps : 0;
}

/* Outer indices are cut as far as a unit stays some thousand elements. */
static void share_positions(Scheduler *sc, Kernel *k) {
  double inner = points_per_position(k);
  k->taps = count_taps(sc, k);
  for (int i = k->ngrid - k->taps; i < k->ngrid; i++) inner *= (double)dim_nominal(k->grid[i]);
  int cut = k->ngrid - 1 - k->taps;
  while (cut > k->times && inner * (double)dim_nominal(k->grid[cut]) <= UNIT_ELEMENTS)
    inner *= (double)dim_nominal(k->grid[cut--]);
  double block = UNIT_ELEMENTS / (inner < 1 ? 1 : inner);
  cut_at(sc, k, cut, block < 1 ? 1 : (int64_t)block);
}

/* A vector of columns at least, and no more of them than make a unit. */
static void share_column(Scheduler *sc, Kernel *k) {
  int lanes = sc->target->vector_bytes / dtype_bytes(k->members.at[0].node->dtype);
  double vectors = UNIT_ELEMENTS / (points_per_position(k) * lanes + 1);
  if (vectors > COLUMN_VECTORS) vectors = COLUMN_VECTORS;
  cut_at(sc, k, k->ngrid - 1, (vectors < 1 ? 1 : (int64_t)vectors) * lanes);
}

/* Thousandths of a nanosecond for one evaluation of n's body: vector arithmetic, and a few bytes from near caches. */
static int64_t point_picoseconds(Scheduler *sc, const Node *n) {
  if (n->kind == NODE_sort) return SORT_PS;
  double vector = 16.0 / (sc->target->vector_bytes / 4.0); /* the figures are for 16 lanes */
  return (int64_t)(vector * (30 * (expr_cost(n->body) + 1) + 30 * reads_of(sc, n).n)) + 1;
}

static Dim *point_count(Graph *g, const Node *n) {
  Dim *count = dim_const(g->ir, 1);
  for (int i = 0; i < node_result_slots(n); i++) count = dim_mul(g->ir, count, n->shape[i]);
  for (int i = 0; i < n->nred; i++) count = dim_mul(g->ir, count, n->red[i]);
  return count;
}

static void set_work(Scheduler *sc, Kernel *k) {
  Ir *ir = sc->g->ir;
  Dim *picoseconds = dim_const(ir, 0);
  for (int i = 0; i < k->members.n; i++) {
    const Node *n = k->members.at[i].node;
    bool products = k->stream ? k->stream->contractions[i] != NULL : k->contraction && i <= k->beside.n;
    int64_t each = products ? 10 * 64 / sc->target->vector_bytes : point_picoseconds(sc, n);
    picoseconds = dim_add(ir, picoseconds, dim_mul(ir, point_count(sc->g, n), dim_const(ir, each)));
  }
  k->work = dim_floordiv(ir, picoseconds, dim_const(ir, 1000));
  int64_t units = dim_nominal(k->units), work = dim_nominal(k->work);
  int64_t each = units > 0 ? work / units + 1 : 1;
  k->grain = each >= CHUNK_NS ? 1 : (CHUNK_NS + each - 1) / each;
}

/* Whether sources that lie side by side belong to one row of the result. */
static bool scatters_rows(Graph *g, const Node *n) {
  if (n->rank < 2 || !n->nred) return false;
  const Var *last = node_reduction_var(g, n, n->nred - 1);
  return form_as_var(n->at[n->rank - 1]) == last && !form_uses(n->at[0], last);
}

/* Each owner of some rows goes through all sources, and leaves those of other rows at once: for long rows only. */
static void share_scatter(Scheduler *sc, Kernel *k) {
  const Node *n = k->members.at[0].node;
  bool rows = scatters_rows(sc->g, n) && dim_nominal(n->shape[n->rank - 1]) >= OWNED_ROW;
  if (k->times) cut_at(sc, k, 0, 1);
  else if (n->rank) cut_at(sc, k, 0, rows ? (dim_nominal(k->grid[0]) + OWNERS - 1) / OWNERS : INT32_MAX);
}

static void share_out(Scheduler *sc, Kernel *k) {
  k->units = k->step_units = dim_const(sc->g->ir, 1);
  if (!k->sums) k->block = 1;
  if (k->sums) cut_at(sc, k, k->cut, k->block);
  else if (k->kind == KERNEL_scatter) share_scatter(sc, k);
  else if (k->kind == KERNEL_contraction) share_rows(sc, k, 0);
  else if (k->kind == KERNEL_stream) cut_at(sc, k, k->ngrid - 1, k->stream->rows);
  else if (k->kind == KERNEL_column) share_column(sc, k);
  else if (k->ngrid > 0) share_positions(sc, k);
  set_work(sc, k);
}

Schedule *schedule(Graph *g, const Target *t, Arena *a, int level) {
  Schedule *s = NEW(a, Schedule);
  s->graph = g;
  s->arena = a;
  s->level = level;
  Scheduler sc = {.s = s, .g = g, .arena = a, .target = t};
  settle(&sc);
  s->buffer_of = NEW_ARRAY(a, Buffer *, sc.n);
  if (level >= 1) assemble(&sc);
  if (level >= 1) place_conditions(&sc);
  make_kernels(&sc);
  if (level >= 1) group_kernels(&sc);
  order_kernels(&sc);
  fold_loops(&sc);
  if (t->gpu) set_pitches(&sc);
  for (int i = 0; i < s->kernels.n; i++) {
    Kernel *k = s->kernels.at[i];
    if (k->stream) describe_stream(&sc, k);
    else {
      set_levels(&sc, k);
      set_storage(&sc, k);
    }
    share_out(&sc, k);
  }
  for (int i = 0; i < s->kernels.n; i++) {
    if (s->kernels.at[i]->stream) set_stream_operands(&sc, s->kernels.at[i]);
    else set_operands(&sc, s->kernels.at[i]);
  }
  if (level >= 1) order_for_memory(&sc);
  schedule_find_dims(s);
  name_kernels(s);
  schedule_plan(s);
  return s;
}
