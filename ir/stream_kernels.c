/* stream_kernels.c - the scheduler's part of streams: the kernels of a stream's nodes become one, of kind `stream`.
 *
 * In: the nodes that pass_stream gave one number, as kernels of the ordinary kinds, already grouped among themselves.
 * Out: one kernel that has all of them as members, and as its steps those kernels: each does the rows of one block,
 * then the next does. What goes between steps and nowhere else is a *tile*, of the size of a block of rows. In a
 * tile's buffer elements lie as they do in the whole tensor, so a step is emitted as it would be by itself, and is
 * given an address that lies before its first row by what that row is away from the tensor's beginning.
 *
 * Where anything does not suit (a graph that was written by hand) the kernels stay what they are. */
#include "ir/classify.h"
#include "ir/cost.h"
#include "ir/scheduler.h"
#include "ir/stream.h"

#include <string.h>

enum { ALIGNMENT = 64, MOST_ROWS = 256, ROWS_STEP = 24, MAX_SLOTS = 32, MAX_SUMMED = 16 };

typedef Vec(Kernel *) KernelList;

typedef struct Joining {
  Scheduler *sc;
  Graph *g;
  int number;       /* Node.stream */
  KernelList steps; /* in order */
  Kernel *k;        /* that they become */
  int last;         /* the largest place */
} Joining;

static bool is_inside(const Joining *j, const Node *n) { return n->stream == j->number && n->body; }

/* ---- the grid ---- */

static bool sums_over_read(Joining *j, const Node *n, const Expr *read) {
  return node_slots_used(j->g, n, read, n->rank, n->rank + n->nred);
}

/* A read of a tile value by what is reduced over the columns; NULL: n reads none so. */
static const Expr *tile_read(Joining *j, const Node *n) {
  ExprList reads = reads_of(j->sc, n);
  for (int i = 0; i < reads.n; i++)
    if (is_inside(j, reads.at[i]->node) && sums_over_read(j, n, reads.at[i])) return reads.at[i];
  return NULL;
}

static bool has_grid(Joining *j, const Node *tile, int ngrid) {
  if (ngrid < 1 || ngrid > tile->rank) return false;
  if (!j->k->ngrid) {
    j->k->ngrid = ngrid;
    j->k->grid = tile->shape;
  }
  for (int i = 0; i < ngrid; i++)
    if (j->k->grid[i] != tile->shape[i]) return false;
  return j->k->ngrid == ngrid;
}

static bool find_grid(Joining *j) {
  for (int s = 0; s < j->steps.n; s++)
    for (int m = 0; m < j->steps.at[s]->members.n; m++) {
      const Node *n = j->steps.at[s]->members.at[m].node;
      const Expr *read = tile_read(j, n);
      if (read && !has_grid(j, read->node, read->node->rank - n->nred)) return false;
    }
  return j->k->ngrid > 0;
}

/* The slots of n that are the grid's: those of what it sums over, else its first ones. */
static bool place_member(Joining *j, Node *n, Member *m) {
  const Expr *read = tile_read(j, n);
  *m = (Member){.node = n, .block_slot = -1, .grid_slot = NEW_ARRAY(j->sc->arena, int, j->k->ngrid)};
  for (int i = 0; i < j->k->ngrid; i++) {
    m->grid_slot[i] = read ? form_result_slot(j->g, n, read->at[i]) : i;
    if (m->grid_slot[i] < 0 || m->grid_slot[i] >= n->rank || n->shape[m->grid_slot[i]] != j->k->grid[i]) return false;
    for (int d = 0; d < i; d++)
      if (m->grid_slot[d] == m->grid_slot[i]) return false;
  }
  return true;
}

/* Whether `read` of a member stands at the reader's row and, if it has columns, at its column. */
static bool reads_in_step(Joining *j, const Member *m, const Expr *read) {
  int ngrid = j->k->ngrid;
  const Node *n = m->node;
  for (int i = 0; i < read->node->rank; i++) {
    Form *own = NULL;
    if (i < ngrid) own = form_var(j->g->ir, node_result_var(j->g, n, m->grid_slot[i]));
    else if (tile_read(j, n)) own = form_var(j->g->ir, node_reduction_var(j->g, n, i - ngrid));
    else if (i < n->rank) own = form_var(j->g->ir, node_result_var(j->g, n, i));
    if (read->at[i] != own) return false;
  }
  return true;
}

static bool reads_suit(Joining *j, const Member *m) {
  ExprList reads = reads_of(j->sc, m->node);
  for (int i = 0; i < reads.n; i++)
    if (is_inside(j, reads.at[i]->node) && !reads_in_step(j, m, reads.at[i])) return false;
  return true;
}

/* ---- sums ---- */

static bool uses_slot(Joining *j, const Node *n, const Expr *e, int slot) {
  return e && expr_uses(e, node_slot_var(j->g, n, slot));
}

static bool is_grid_slot(const Kernel *k, const Member *m, int slot) {
  for (int i = 0; i < k->ngrid; i++)
    if (m->grid_slot[i] == slot) return true;
  return false;
}

/* The row is all of m, whatever else the classifier found there is of the batch; columns or results of their own are
 * all of n. */
static bool set_roles(Joining *j, const Member *m, Contraction *c) {
  const Kernel *k = j->k;
  const Node *n = m->node;
  int row = m->grid_slot[k->ngrid - 1];
  if (uses_slot(j, n, c->b, row)) {
    Expr *a = c->a;
    c->a = c->b;
    c->b = a;
  }
  c->nm = 1;
  c->m = NEW_ARRAY(j->sc->arena, int, 1);
  c->m[0] = row;
  c->nbatch = k->ngrid - 1;
  c->batch = NEW_ARRAY(j->sc->arena, int, k->ngrid);
  memcpy(c->batch, m->grid_slot, sizeof(int) * (size_t)c->nbatch);
  c->nn = 0;
  c->n = NEW_ARRAY(j->sc->arena, int, n->rank);
  for (int i = 0; i < n->rank; i++) {
    if (is_grid_slot(k, m, i)) continue;
    c->n[c->nn++] = i;
    if (uses_slot(j, n, c->a, i)) return false;
  }
  return c->nn > 0 && c->n[c->nn - 1] == n->rank - 1 && !uses_slot(j, n, c->b, row);
}

static int rows_made(const Joining *j, Node **rows) {
  int n = 0;
  for (int i = 0; i < j->k->members.n; i++) {
    Node *node = j->k->members.at[i].node;
    if (node->nred && node->rank == j->k->ngrid && n < MAX_SUMMED) rows[n++] = node;
  }
  return n;
}

/* How the sum over the columns takes its terms; the others must not wait for a row's value. */
static bool set_terms(Joining *j, int member) {
  Node *n = j->k->members.at[member].node, *rows[MAX_SUMMED];
  StreamSum sum;
  int nrows = rows_made(j, rows);
  bool summed = tile_read(j, n) && n->reducer == RED_sum;
  if (!summed) {
    for (int r = 0; r < nrows; r++)
      if (reads_value(j->sc, n, rows[r])) return false;
    return n->reducer == RED_none || tile_read(j, n) || j->k->stream->contractions[member];
  }
  const Contraction *c = j->k->stream->contractions[member];
  if (!stream_sum(j->g, c ? c->a : n->body, n->rank, n->nred, rows, nrows, &sum)) return false;
  j->k->stream->terms[member] = (StreamTerms){sum.max, sum.by, sum.term, sum.scale};
  return true;
}

/* ---- joining ---- */

static bool leads_back(Joining *j, const Kernel *k) {
  Scheduler *sc = j->sc;
  if (sc->seen[k->id] == sc->searches || sc->place[k->id] > j->last) return false;
  sc->seen[k->id] = sc->searches;
  for (int m = 0; m < k->members.n; m++) {
    const NodeList *after = &sc->after[k->members.at[m].node->id];
    for (int i = 0; i < after->n; i++) {
      const Kernel *next = sc->kernel_of[after->at[i]->id];
      if (next && next != k && (is_inside(j, after->at[i]) || leads_back(j, next))) return true;
    }
  }
  return false;
}

/* Whether a kernel of another kind of nodes has to run between two of them. */
static bool is_cut(Joining *j) {
  Scheduler *sc = j->sc;
  sc->searches++;
  for (int s = 0; s < j->steps.n; s++)
    for (int m = 0; m < j->steps.at[s]->members.n; m++) {
      const NodeList *after = &sc->after[j->steps.at[s]->members.at[m].node->id];
      for (int i = 0; i < after->n; i++) {
        const Kernel *next = sc->kernel_of[after->at[i]->id];
        if (next && !is_inside(j, after->at[i]) && leads_back(j, next)) return true;
      }
    }
  return false;
}

static void find_steps(Joining *j) {
  Scheduler *sc = j->sc;
  for (int i = 0; i < sc->n; i++) {
    Kernel *k = sc->kernel_of[i];
    if (!k || k->members.at[0].node->id != i || k->members.at[0].node->stream != j->number) continue;
    int at = j->steps.n;
    vec_push(sc->arena, &j->steps, k);
    for (; at > 0 && sc->place[j->steps.at[at - 1]->id] > sc->place[k->id]; at--)
      j->steps.at[at] = j->steps.at[at - 1];
    j->steps.at[at] = k;
    if (sc->place[k->id] > j->last) j->last = sc->place[k->id];
  }
}

static bool is_step(const Kernel *k) {
  bool kind =
      k->kind == KERNEL_contraction || k->kind == KERNEL_row || k->kind == KERNEL_column || k->kind == KERNEL_map;
  return kind && !k->scan && !k->sums;
}

/* What is reduced is of one type, that of the products; a row's values are all reduced. */
static bool has_suitable_type(const Joining *j, const Node *n) {
  const Node *first = NULL;
  for (int s = 0; s < j->steps.n && !first; s++)
    if (j->steps.at[s]->contraction) first = j->steps.at[s]->members.at[0].node;
  if (!n->nred) return n->rank > j->k->ngrid;
  bool known = n->reducer == RED_sum || n->reducer == RED_max || n->reducer == RED_min;
  return known && first && n->dtype == first->dtype && (n->dtype == DT_f32 || n->dtype == DT_f64);
}

static bool add_members(Joining *j) {
  for (int s = 0; s < j->steps.n; s++)
    for (int m = 0; m < j->steps.at[s]->members.n; m++) {
      Member member;
      if (!place_member(j, j->steps.at[s]->members.at[m].node, &member) || !reads_suit(j, &member)) return false;
      if (j->sc->in_place[member.node->id] || !has_suitable_type(j, member.node)) return false;
      if (!same_wanted(j->sc, member.node, j->steps.at[0]->members.at[0].node)) return false;
      vec_push(j->sc->arena, &j->k->members, member);
    }
  return true;
}

static bool describe_sums(Joining *j) {
  Stream *stream = j->k->stream;
  int n = 0, products = 0;
  stream->terms = NEW_ARRAY(j->sc->arena, StreamTerms, j->k->members.n);
  stream->contractions = NEW_ARRAY(j->sc->arena, Contraction *, j->k->members.n);
  for (int s = 0; s < j->steps.n; n += j->steps.at[s++]->members.n)
    stream->contractions[n] = j->steps.at[s]->contraction;
  for (int i = 0; i < n; i++) {
    const Member *m = &j->k->members.at[i];
    if (stream->contractions[i] && !set_roles(j, m, stream->contractions[i])) return false;
    if (!set_terms(j, i)) return false;
    products += stream->contractions[i] && !stream->terms[i].term;
  }
  return products > 0;
}

/* Whether the kernels have become one. */
static bool join_stream(Joining *j) {
  find_steps(j);
  if (j->steps.n == 0) return true;
  for (int s = 0; s < j->steps.n; s++)
    if (!is_step(j->steps.at[s])) return false;
  *j->k = (Kernel){.id = j->steps.at[0]->id, .kind = KERNEL_stream, .span = j->steps.at[0]->span, .loop = -1};
  j->k->stream = NEW(j->sc->arena, Stream);
  if (is_cut(j) || !find_grid(j) || !add_members(j) || !describe_sums(j)) return false;
  for (int s = 0; s < j->steps.n; s++)
    vec_push(j->sc->arena, &j->k->stream->steps, (StreamStep){.kernel = j->steps.at[s]});
  for (int i = 0; i < j->k->members.n; i++) j->sc->kernel_of[j->k->members.at[i].node->id] = j->k;
  return true;
}

/* The kernels stay by themselves, with the sides of their products as the classifier found them. */
static void leave_stream(Joining *j) {
  for (int s = 0; s < j->steps.n; s++) {
    Kernel *k = j->steps.at[s];
    if (k->contraction) classify(j->g, k->members.at[0].node, j->sc->arena, &k->contraction);
  }
  for (int i = 0; i < j->sc->n; i++)
    if (j->g->nodes.at[i]->stream == j->number) j->g->nodes.at[i]->stream = 0;
}

void join_streams(Scheduler *sc) {
  int most = 0;
  for (int i = 0; i < sc->n; i++)
    if (sc->g->nodes.at[i]->stream > most) most = sc->g->nodes.at[i]->stream;
  for (int number = 1; number <= most; number++) {
    Joining j = {.sc = sc, .g = sc->g, .number = number, .k = NEW(sc->arena, Kernel)};
    if (!join_stream(&j)) leave_stream(&j);
  }
}

/* ---- tiles ---- */

static bool is_tile(Scheduler *sc, const Kernel *k, const Node *n) {
  return kernel_member(k, n) && !used_outside(sc, k, n);
}

static Dim *row_bytes(Scheduler *sc, const Kernel *k, const Node *n) {
  Dim *bytes = dim_const(sc->g->ir, dtype_bytes(n->dtype));
  for (int i = k->ngrid; i < n->rank; i++) bytes = dim_mul(sc->g->ir, bytes, n->shape[i]);
  return bytes;
}

/* Buffers for what goes from step to step alone. */
static void make_tiles(Scheduler *sc, Kernel *k) {
  for (int i = 0; i < k->members.n; i++) {
    Node *n = k->members.at[i].node;
    if (!is_tile(sc, k, n)) continue;
    Buffer *b = NEW(sc->arena, Buffer);
    *b = (Buffer){.id = -1, .place = BUFFER_tile, .node = n, .first = -1};
    sc->s->buffer_of[n->id] = b;
  }
}

static void describe_steps(Scheduler *sc, Kernel *k) {
  for (int s = 0; s < k->stream->steps.n; s++) {
    Kernel *step = k->stream->steps.at[s].kernel;
    for (int m = 0; m < step->members.n; m++) sc->kernel_of[step->members.at[m].node->id] = step;
  }
  for (int s = 0; s < k->stream->steps.n; s++) {
    set_levels(sc, k->stream->steps.at[s].kernel);
    set_storage(sc, k->stream->steps.at[s].kernel);
  }
  for (int i = 0; i < k->members.n; i++) sc->kernel_of[k->members.at[i].node->id] = k;
}

/* Whether some step has it in memory. */
static bool is_stored(const Kernel *k, const Node *n) {
  for (int s = 0; s < k->stream->steps.n; s++) {
    const Member *m = kernel_member(k->stream->steps.at[s].kernel, n);
    if (m) return m->storage == STORE_buffer;
  }
  return false;
}

/* As many rows as have their tiles in half of the second cache. */
static int block_of_rows(Scheduler *sc, const Kernel *k) {
  int64_t bytes = 1, extent = dim_nominal(k->grid[k->ngrid - 1]), rows;
  for (int i = 0; i < k->stream->tiles.n; i++) bytes += dim_nominal(row_bytes(sc, k, k->stream->tiles.at[i]->node));
  rows = sc->target->l2 / 2 / bytes;
  if (rows > MOST_ROWS) rows = MOST_ROWS;
  if (rows < ROWS_STEP) rows = ROWS_STEP;
  if (!dim_is_const(k->grid[k->ngrid - 1], NULL) || extent < 1) return (int)rows / ROWS_STEP * ROWS_STEP;
  int64_t blocks = (extent + rows - 1) / rows, even = (extent + blocks - 1) / blocks;
  return (int)((even + ROWS_STEP - 1) / ROWS_STEP * ROWS_STEP);
}

/* In scratch memory: tiles, with room to begin where the tensor's rows would, and one row of what is never stored. */
static void place_tiles(Scheduler *sc, Kernel *k) {
  Ir *ir = sc->g->ir;
  k->scratch = dim_const(ir, 0);
  for (int i = 0; i < k->stream->tiles.n; i++) {
    Buffer *b = k->stream->tiles.at[i];
    Dim *bytes = dim_mul(ir, row_bytes(sc, k, b->node), dim_const(ir, k->stream->rows));
    b->bytes = dim_add(ir, dim_round_up(ir, bytes, ALIGNMENT), dim_const(ir, ALIGNMENT));
    b->offset = k->scratch;
    k->scratch = dim_add(ir, k->scratch, b->bytes);
  }
  for (int i = 0; i < k->members.n; i++) {
    Member *m = &k->members.at[i];
    if (m->storage != STORE_row) continue;
    const Buffer *b = sc->s->buffer_of[m->node->id];
    m->offset = b->offset ? b->offset : k->scratch;
    if (!b->offset) k->scratch = dim_add(ir, k->scratch, dim_round_up(ir, row_bytes(sc, k, m->node), ALIGNMENT));
  }
}

static void set_members(Scheduler *sc, Kernel *k) {
  for (int i = 0; i < k->members.n; i++) {
    Member *m = &k->members.at[i];
    bool tile = is_tile(sc, k, m->node);
    m->level = i;
    m->storage = !tile ? STORE_buffer : m->node->rank > k->ngrid ? STORE_row : STORE_register;
    if (!tile) m->buffer = sc->s->buffer_of[m->node->id] = buffer_for(sc, m->node);
    else if (is_stored(k, m->node)) vec_push(sc->arena, &k->stream->tiles, sc->s->buffer_of[m->node->id]);
  }
}

void describe_stream(Scheduler *sc, Kernel *k) {
  make_tiles(sc, k);
  describe_steps(sc, k);
  set_members(sc, k);
  k->stream->rows = block_of_rows(sc, k);
  place_tiles(sc, k);
  cut_at(sc, k, k->ngrid - 1, k->stream->rows);
  for (int s = 0; s < k->stream->steps.n; s++) {
    StreamStep *step = &k->stream->steps.at[s];
    step->blocks = dim_const(sc->g->ir, 1);
    if (step->kernel->kind != KERNEL_contraction) cut_at(sc, step->kernel, k->cut, k->block);
    else step->blocks = share_rows(sc, step->kernel, step->kernel->block = k->block);
  }
}

static int operand_of(const Kernel *k, const Buffer *b) {
  for (int i = 0; i < k->operands.n; i++)
    if (k->operands.at[i] == b) return i;
  return -1;
}

void set_stream_operands(Scheduler *sc, Kernel *k) {
  for (int s = 0; s < k->stream->steps.n; s++) {
    StreamStep *step = &k->stream->steps.at[s];
    set_operands(sc, step->kernel);
    step->operand = NEW_ARRAY(sc->arena, int, step->kernel->operands.n + 1);
    for (int i = 0; i < step->kernel->operands.n; i++) {
      Buffer *b = step->kernel->operands.at[i];
      if (b->place != BUFFER_tile) add_operand(sc, k, b);
      step->operand[i] = operand_of(k, b);
    }
  }
  set_guards(sc, k);
  for (int i = 0; i < k->members.n; i++) {
    Buffer **b = &sc->s->buffer_of[k->members.at[i].node->id];
    if (*b && (*b)->place == BUFFER_tile) *b = NULL; /* it is nowhere after the run */
  }
}
