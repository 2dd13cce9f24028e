/* pass_stream.c - finds products whose results need never be in memory all at once, and says which sums take them as
 * they are made: scores between queries and keys, of which a row's exponentials weigh values, are the case that
 * matters, with their derivatives.
 *
 * In: a graph without grad, after fuse, and before split, which a head's share of keys would make parts of. A *tile
 * value* has an index of the rows and others of the columns of one product, is that product (queries times keys) or a
 * map of tile values (scale, mask, bias, exponential), and is read by nothing but maps of that kind and *consumers*:
 * reductions of a row over its columns, and sums of products over the columns. At least one of these has to be a
 * maximum: without it the tile is small, or a weight's.
 *
 * Out: every stream has consumers that can be computed in one pass over the columns of a row, with tile values of its
 * own, made again in the order (batch, row, columns); Node.stream is its number. A sum may wait for the maximum of
 * the same pass if it can be corrected when that grows (stream.h); other sums that wait are another stream. What is a
 * row's value in one stream is read from memory in the next: no derivative needs the tile, which is made anew from
 * the same operands. The graph computes what it did before; that the scheduler makes one kernel of a stream is what
 * saves the memory.
 *
 * A tile is worth making again if its product is short, and if it has more values than its operands have. On a
 * processor it is not: what has to be several streams there stays in memory. */
#include "ir/classify.h"
#include "ir/cost.h"
#include "ir/pass.h"
#include "ir/stream.h"

#include <string.h>

enum { MOST_SUMMED = 256, MOST_VALUES = 256, MAX_RANK = 8, MAX_SLOTS = 24, FREE_SLOTS = 40, MAX_ROWS = 8 };

typedef Vec(Node *) NodeList;

/* The indices of tile values: batch, row, columns; slot i has extent[i]. */
typedef struct Geometry {
  int nbatch, rank;
  Dim *extent[MAX_RANK];
} Geometry;

typedef struct Consumer {
  Node *n;
  Geometry tile;
  Var *var[MAX_SLOTS]; /* by slot of n: the index of the tile's that it is, or one of its own */
  Expr *body;          /* over these */
  ExprList tiles;      /* reads of tile values in it, those that tile values read too; operands first */
  bool accepted;       /* some of these is a product */
  int component;
} Consumer;

typedef struct Product { /* a product as a tile: whether it may be */
  Expr *read;
  Geometry tile;
  bool fits;
} Product;

typedef struct Group {
  Geometry tile;
  Vec(Consumer *) consumers;
  Vec(Expr *) reads; /* of tile values, and what is read instead */
  NodeList copies;
} Group;

typedef struct Streams {
  Graph *g;
  Ir *ir;
  Arena *scratch;
  int n;
  NodeList *readers;   /* by node id */
  bool *kept, *may_be; /* by node id: seen from outside; can be a tile value as far as is known */
  bool *is_tile, *is_read_else;
  uint64_t **needs; /* by node id: a bit for each node that it depends on, itself too */
  Vec(Consumer *) consumers;
  Vec(Product) products;
  Vec(Group *) streams;
} Streams;

/* ---- indices ---- */

static bool same_tile(const Geometry *a, const Geometry *b) {
  return a->nbatch == b->nbatch && a->rank == b->rank &&
         !memcmp(a->extent, b->extent, sizeof *a->extent * (size_t)a->rank);
}

static Var *tile_var(Streams *s, const Geometry *t, int i) { return var_get(s->ir, i, t->extent[i]); }

/* ---- tile values ---- */

typedef struct At { /* a node's body with its result indices at[], its reduction indices var[] */
  Ir *ir;
  int rank;
  Form **at;
  Var **var;
} At;

static Form *form_at(void *cx, Var *v) {
  const At *a = cx;
  return v->slot < a->rank ? a->at[v->slot] : form_var(a->ir, a->var[v->slot - a->rank]);
}

static Expr *body_at(Streams *s, const Node *n, Form **at, Var **reduced) {
  At a = {s->ir, n->rank, at, reduced};
  return expr_map(&(ExprMap){.ir = s->ir, .var = form_at, .cx = &a}, n->body);
}

static bool uses_slots(const Expr *read, int first, int last) {
  for (int d = 0; d < read->node->rank; d++)
    for (int i = 0; i < read->at[d]->n; i++) {
      const Atom *a = read->at[d]->terms[i].atom;
      if (a->kind == ATOM_VAR && a->var->slot >= first && a->var->slot < last) return true;
    }
  return false;
}

/* Every element of the tensor once: sums of indices, as many values as it has elements. */
static bool reads_each_once(const Geometry *t, const Expr *read) {
  double points = 1;
  for (int d = 0; d < read->node->rank; d++)
    for (int i = 0; i < read->at[d]->n; i++)
      if (read->at[d]->terms[i].atom->kind != ATOM_VAR) return false;
  for (int i = 0; i < t->rank; i++)
    if (uses_slots(read, i, i + 1)) points *= (double)dim_nominal(t->extent[i]);
  return points == node_result_count(read->node);
}

static bool may_be_tile(Streams *s, const Geometry *t, const Expr *read) {
  if (!s->may_be[read->node->id] || !uses_slots(read, t->nbatch, t->nbatch + 1)) return false;
  return uses_slots(read, t->nbatch + 1, t->rank) && reads_each_once(t, read);
}

static Node *tile_comp(Streams *s, const Geometry *t, const Node *n, int nred, Var **reduced, Expr *body) {
  Var *result[MAX_RANK];
  for (int i = 0; i < t->rank; i++) result[i] = tile_var(s, t, i);
  return graph_comp(s->g, t->rank, result, n->reducer, nred, reduced, body, n->span);
}

static Node *product_at(Streams *s, const Geometry *t, const Expr *read) {
  const Node *n = read->node;
  Var **reduced = NEW_ARRAY(s->scratch, Var *, n->nred + 1);
  for (int i = 0; i < n->nred; i++) reduced[i] = var_fresh(s->ir, n->red[i]);
  return tile_comp(s, t, n, n->nred, reduced, body_at(s, n, read->at, reduced));
}

/* The volume of those of n's slots in [first, last) that e uses. */
static double volume(Streams *s, const Node *n, const Expr *e, int first, int last) {
  double v = 1;
  for (int i = first; i < last; i++)
    if (expr_uses(e, node_slot_var(s->g, n, i))) v *= (double)dim_nominal(node_slot_var(s->g, n, i)->extent);
  return v;
}

/* Whether one operand has the row and no column, and the other the columns and not the row. */
static bool has_sides(Streams *s, const Geometry *t, const Node *n, const Contraction *c) {
  int row = t->nbatch;
  for (int swap = 0; swap < 2; swap++) {
    const Expr *a = swap ? c->b : c->a, *b = swap ? c->a : c->b;
    bool rows = node_slots_used(s->g, n, a, row, row + 1) && !node_slots_used(s->g, n, a, row + 1, t->rank);
    if (rows && node_slots_used(s->g, n, b, row + 1, t->rank) && !node_slots_used(s->g, n, b, row, row + 1))
      return true;
  }
  return false;
}

static bool is_worth_it(Streams *s, const Geometry *t, const Node *n) {
  Contraction *c;
  int64_t extent, summed = 1;
  if (classify(s->g, n, s->scratch, &c) != KERNEL_contraction || !has_sides(s, t, n, c)) return false;
  for (int i = 0; i < n->nred; i++) {
    if (!dim_is_const(n->red[i], &extent)) return false;
    summed *= extent;
  }
  int slots = n->rank + n->nred;
  double operands = volume(s, n, c->a, 0, slots) + volume(s, n, c->b, 0, slots);
  for (int i = 0; i < t->nbatch; i++)
    if (dim_nominal(t->extent[i]) > 1 && !node_slots_used(s->g, n, n->body, i, i + 1)) return false;
  return summed <= MOST_SUMMED && 2 * node_result_count(n) >= operands;
}

static bool product_fits(Streams *s, const Geometry *t, Expr *read) {
  for (int i = 0; i < s->products.n; i++)
    if (s->products.at[i].read == read && same_tile(&s->products.at[i].tile, t)) return s->products.at[i].fits;
  bool wide = read->dtype == DT_f32 || read->dtype == DT_f64;
  Product p = {read, *t, wide && is_worth_it(s, t, product_at(s, t, read))};
  vec_push(s->scratch, &s->products, p);
  return p.fits;
}

static bool holds(const ExprList *list, const Expr *e) {
  for (int i = 0; i < list->n; i++)
    if (list->at[i] == e) return true;
  return false;
}

static void find_tiles(Streams *s, Consumer *c, Expr *body) {
  ExprList reads = expr_reads(s->scratch, body);
  for (int i = 0; i < reads.n; i++) {
    Expr *read = reads.at[i];
    const Node *n = read->node;
    if (!n->body || holds(&c->tiles, read)) continue;
    bool tile = may_be_tile(s, &c->tile, read), product = n->nred > 0;
    if (tile && product) tile = product_fits(s, &c->tile, read);
    else if (tile) find_tiles(s, c, body_at(s, n, read->at, NULL));
    if (tile) vec_push(s->scratch, &c->tiles, read);
    else s->is_read_else[n->id] = true;
    c->accepted |= tile && product;
  }
}

/* ---- consumers ---- */

static void add_index(Streams *s, Consumer *c, int slot) {
  Dim *extent = node_slot_var(s->g, c->n, slot)->extent;
  c->tile.extent[c->tile.rank] = extent;
  c->var[slot] = var_get(s->ir, c->tile.rank++, extent);
}

static Form *index_of(void *cx, Var *v) {
  const At *a = cx;
  return form_var(a->ir, a->var[v->slot]);
}

static void add_columns(Streams *s, Consumer *c) {
  for (int i = 0; i < c->n->nred; i++) add_index(s, c, c->n->rank + i);
  At a = {.ir = s->ir, .var = c->var};
  c->body = expr_map(&(ExprMap){.ir = s->ir, .var = index_of, .cx = &a}, c->n->body);
}

/* A thread, or a processor's cache, has all of a row's results. */
static bool has_few_values(const Node *n, const Contraction *p) {
  int64_t extent, values = 1;
  for (int i = 0; i < p->nn; i++) {
    if (!dim_is_const(n->shape[p->n[i]], &extent)) return false;
    values *= extent;
  }
  return values <= MOST_VALUES;
}

/* The longest of a's rows' indices is the row, others are like batch indices: values that many heads share. */
static bool place_sum_of_products(Streams *s, Consumer *c, const Contraction *p) {
  int row = p->m[0];
  for (int i = 1; i < p->nm; i++)
    if (dim_nominal(c->n->shape[p->m[i]]) >= dim_nominal(c->n->shape[row])) row = p->m[i];
  bool is_free[MAX_SLOTS] = {false};
  for (int i = 0; i < p->nn; i++) is_free[p->n[i]] = true;
  if (p->tile_mask || row == c->n->rank - 1 || !has_few_values(c->n, p)) return false;
  for (int i = 0; i < c->n->rank; i++) {
    if (is_free[i]) c->var[i] = var_get(s->ir, FREE_SLOTS + i, c->n->shape[i]);
    else if (i != row) add_index(s, c, i);
  }
  c->tile.nbatch = c->tile.rank;
  if (c->tile.rank + 1 + c->n->nred > MAX_RANK) return false;
  add_index(s, c, row);
  return true;
}

static bool place_row(Streams *s, Consumer *c) {
  if (c->n->rank + c->n->nred > MAX_RANK) return false;
  for (int i = 0; i < c->n->rank; i++) add_index(s, c, i);
  c->tile.nbatch = c->n->rank - 1;
  return true;
}

/* Inner columns are counted on from one to the next: only the first may be open. */
static bool columns_are_known(const Node *n) {
  for (int i = 1; i < n->nred; i++)
    if (!dim_is_const(n->red[i], NULL)) return false;
  return true;
}

static void add_consumer(Streams *s, Node *n) {
  Contraction *p;
  bool wide = n->dtype == DT_f32 || n->dtype == DT_f64;
  if (n->kind != NODE_comp || !wide || !n->nred || !n->rank || n->rank + n->nred > MAX_SLOTS) return;
  if (n->reducer != RED_sum && n->reducer != RED_max && n->reducer != RED_min) return;
  Consumer *c = NEW(s->scratch, Consumer);
  c->n = n;
  bool product = classify(s->g, n, s->scratch, &p) == KERNEL_contraction;
  if (!columns_are_known(n) || !(product ? place_sum_of_products(s, c, p) : place_row(s, c))) return;
  add_columns(s, c);
  vec_push(s->scratch, &s->consumers, c);
}

/* ---- what is a tile value, and to whom ---- */

static void look_again(Streams *s, Consumer *c) {
  c->accepted = false;
  c->tiles = (ExprList){0};
  find_tiles(s, c, c->body);
}

/* Whether all that reads n reads it as a tile value. */
static bool is_tile_to_all(Streams *s, const Node *n, const bool *accepts) {
  if (s->is_read_else[n->id]) return false;
  for (int i = 0; i < s->readers[n->id].n; i++) {
    const Node *reader = s->readers[n->id].at[i];
    if (!accepts[reader->id] && !s->is_tile[reader->id]) return false;
  }
  return true;
}

/* What is a tile to some of its readers only, or, where there is no such, takes tile values itself: its sums need
 * those no more where they are taken back. Readers come before what they read: a residual stream is taken back as a
 * whole, not one layer a round. Whether there was any. */
static bool take_from(Streams *s, const bool *accepts) {
  bool changed = false;
  for (int takes = 0; takes < 2 && !changed; takes++)
    for (int i = s->n - 1; i >= 0; i--) {
      bool fits = takes ? !accepts[i] : is_tile_to_all(s, s->g->nodes.at[i], accepts);
      if (!s->is_tile[i] || fits) continue;
      s->may_be[i] = s->is_tile[i] = false;
      changed = true;
    }
  return changed;
}

/* One round: false where nothing was taken back. */
static bool take_back(Streams *s) {
  bool *accepts = NEW_ARRAY(s->scratch, bool, s->n);
  memset(s->is_tile, 0, sizeof(bool) * (size_t)s->n);
  memset(s->is_read_else, 0, sizeof(bool) * (size_t)s->n);
  for (int i = 0; i < s->consumers.n; i++) {
    Consumer *c = s->consumers.at[i];
    look_again(s, c);
    accepts[c->n->id] = c->accepted;
    for (int k = 0; k < c->tiles.n && c->accepted; k++) s->is_tile[c->tiles.at[k]->node->id] = true;
  }
  return take_from(s, accepts);
}

static bool may_be_value(const Streams *s, const Node *n) {
  bool comp = n->kind == NODE_comp && (n->reducer == RED_none || n->reducer == RED_sum);
  return comp && n->rank >= 2 && !s->kept[n->id] && !n->stream;
}

static void add_reader(void *cx, Node *operand) {
  void **p = cx;
  Streams *s = p[0];
  Node *n = p[1];
  vec_push(s->scratch, &s->readers[operand->id], n);
  if (!n->body) s->kept[operand->id] = true;
}

static void look_at_graph(Streams *s) {
  for (int i = 0; i < s->n; i++) node_operands(s->g->nodes.at[i], add_reader, (void *[]){s, s->g->nodes.at[i]});
  for (int i = 0; i < s->g->outputs.n; i++) s->kept[s->g->outputs.at[i].node->id] = true;
  for (int i = 0; i < s->n; i++) s->may_be[i] = may_be_value(s, s->g->nodes.at[i]);
  for (int i = 0; i < s->n; i++) add_consumer(s, s->g->nodes.at[i]);
  while (take_back(s)) {}
}

/* ---- which belong together ---- */

static void join_components(Streams *s, int a, int b) {
  for (int i = 0; i < s->consumers.n && a != b; i++)
    if (s->consumers.at[i]->component == b) s->consumers.at[i]->component = a;
}

static bool share_a_node(const Consumer *a, const Consumer *b) {
  for (int i = 0; i < a->tiles.n; i++)
    for (int k = 0; k < b->tiles.n; k++)
      if (a->tiles.at[i]->node == b->tiles.at[k]->node) return true;
  return false;
}

/* Consumers that take values of one tile, and lead to a maximum. Whether there are any. */
static bool find_components(Streams *s) {
  bool any = false;
  for (int i = 0; i < s->consumers.n; i++) s->consumers.at[i]->component = i;
  for (int i = 0; i < s->consumers.n; i++)
    for (int k = 0; k < i && s->consumers.at[i]->accepted; k++)
      if (s->consumers.at[k]->accepted && share_a_node(s->consumers.at[i], s->consumers.at[k]))
        join_components(s, s->consumers.at[k]->component, s->consumers.at[i]->component);
  bool *maximum = NEW_ARRAY(s->scratch, bool, s->consumers.n + 1);
  for (int i = 0; i < s->consumers.n; i++)
    if (s->consumers.at[i]->n->reducer == RED_max) maximum[s->consumers.at[i]->component] = true;
  for (int i = 0; i < s->consumers.n; i++)
    any |= s->consumers.at[i]->accepted &= maximum[s->consumers.at[i]->component];
  return any;
}

static void add_needs(void *cx, Node *operand) {
  void **p = cx;
  Streams *s = p[0];
  const Node *n = p[1];
  for (int i = 0; i <= s->n / 64; i++) s->needs[n->id][i] |= s->needs[operand->id][i];
}

static void find_needs(Streams *s) {
  s->needs = NEW_ARRAY(s->scratch, uint64_t *, s->n);
  for (int i = 0; i < s->n; i++) {
    s->needs[i] = NEW_ARRAY(s->scratch, uint64_t, s->n / 64 + 1);
    s->needs[i][i / 64] |= (uint64_t)1 << (i % 64);
    node_operands(s->g->nodes.at[i], add_needs, (void *[]){s, s->g->nodes.at[i]});
  }
}

static bool needs(const Streams *s, const Node *n, const Node *what) {
  return s->needs[n->id][what->id / 64] >> (what->id % 64) & 1;
}

/* ---- streams ---- */

typedef struct Inlining { /* tile values that wait for a row's value of the same pass are part of who reads them */
  Streams *s;
  const Consumer *c;
  Node *const *rows;
  int nrows;
} Inlining;

static Expr *inlined(const Inlining *in, Expr *e);

static bool waits(const Inlining *in, Expr *e) {
  ExprList reads = expr_reads(in->s->scratch, e);
  for (int i = 0; i < reads.n; i++)
    for (int r = 0; r < in->nrows; r++)
      if (reads.at[i]->node == in->rows[r]) return true;
  return false;
}

static Expr *inlined_read(void *cx, Expr *read) {
  const Inlining *in = cx;
  if (read->node->nred || !holds(&in->c->tiles, read)) return NULL;
  Expr *body = inlined(in, body_at(in->s, read->node, read->at, NULL));
  return !in->nrows || waits(in, body) ? body : NULL;
}

/* With nrows 0: all maps. */
static Expr *inlined(const Inlining *in, Expr *e) {
  return expr_map(&(ExprMap){.ir = in->s->ir, .read = inlined_read, .cx = (void *)in}, e);
}

static int rows_of(const Group *t, Node **rows) {
  int n = 0;
  for (int i = 0; i < t->consumers.n; i++)
    if (t->consumers.at[i]->n->rank == t->tile.nbatch + 1 && n < MAX_ROWS) rows[n++] = t->consumers.at[i]->n;
  return n;
}

static const Consumer *consumer_of(const Group *t, const Node *n) {
  for (int i = 0; i < t->consumers.n; i++)
    if (t->consumers.at[i]->n == n) return t->consumers.at[i];
  return NULL;
}

static bool is_own_row(Streams *s, const Geometry *t, const Expr *read) {
  for (int i = 0; i < read->node->rank; i++)
    if (read->at[i] != form_var(s->ir, tile_var(s, t, i))) return false;
  return read->node->rank == t->nbatch + 1;
}

/* Whether c reads members of the stream only as values of its own row, and nothing that waits for a member. */
static bool can_follow(Streams *s, const Group *t, const Consumer *c) {
  for (int i = -1; i < c->tiles.n; i++) {
    Expr *body = c->body;
    if (i >= 0 && c->tiles.at[i]->node->nred) body = NULL;
    else if (i >= 0) body = body_at(s, c->tiles.at[i]->node, c->tiles.at[i]->at, NULL);
    ExprList reads = body ? expr_reads(s->scratch, body) : node_reads(s->scratch, c->tiles.at[i]->node);
    for (int k = 0; k < reads.n; k++) {
      const Node *n = reads.at[k]->node;
      if (body && (holds(&c->tiles, reads.at[k]) || (consumer_of(t, n) && is_own_row(s, &c->tile, reads.at[k]))))
        continue;
      for (int m = 0; m < t->consumers.n; m++)
        if (needs(s, n, t->consumers.at[m]->n)) return false;
    }
  }
  return true;
}

/* Whether the terms of a sum that waits for a maximum are the exponentials of what that is the maximum of. */
static bool is_below(Streams *s, const Group *t, const Consumer *c, const StreamSum *sum) {
  const Consumer *max = consumer_of(t, sum->max);
  Inlining of_c = {s, c, NULL, 0}, of_max = {s, max, NULL, 0};
  return inlined(&of_c, sum->y) == inlined(&of_max, max->body);
}

static bool can_join(Streams *s, const Group *t, Consumer *c) {
  Node *rows[MAX_ROWS];
  StreamSum sum;
  bool shares = false;
  if (!same_tile(&t->tile, &c->tile) || t->consumers.n == MAX_ROWS || !can_follow(s, t, c)) return false;
  for (int i = 0; i < c->tiles.n && !shares; i++)
    for (int k = 0; k < t->consumers.n; k++) shares |= holds(&t->consumers.at[k]->tiles, c->tiles.at[i]);
  if (!shares) return false;
  Inlining in = {s, c, rows, rows_of(t, rows)};
  Expr *body = in.nrows ? inlined(&in, c->body) : c->body;
  if (c->n->reducer != RED_sum) return !waits(&in, body);
  if (!stream_sum(s->g, body, t->tile.nbatch + 1, t->tile.rank - t->tile.nbatch - 1, rows, in.nrows, &sum))
    return false;
  return !sum.by || is_below(s, t, c, &sum);
}

static void choose_stream(Streams *s, Consumer *c) {
  for (int i = 0; i < s->streams.n; i++)
    if (s->streams.at[i]->consumers.at[0]->component == c->component && can_join(s, s->streams.at[i], c)) {
      vec_push(s->scratch, &s->streams.at[i]->consumers, c);
      return;
    }
  Group *t = NEW(s->scratch, Group);
  t->tile = c->tile;
  vec_push(s->scratch, &t->consumers, c);
  vec_push(s->scratch, &s->streams, t);
}

/* ---- the new graph ---- */

typedef struct Making {
  Streams *s;
  Group *t;
  const Consumer *c;
  int number;
} Making;

static Expr *with_copies(const Making *m, Expr *e);

static Node *copy_of(const Making *m, Expr *read) {
  for (int i = 0; i < m->t->reads.n; i++)
    if (m->t->reads.at[i] == read) return m->t->copies.at[i];
  const Geometry *t = &m->t->tile;
  Node *n = read->node, *copy;
  if (n->nred) copy = product_at(m->s, t, read);
  else copy = tile_comp(m->s, t, n, 0, NULL, with_copies(m, body_at(m->s, n, read->at, NULL)));
  copy->name = n->name;
  copy->stream = m->number;
  vec_push(m->s->scratch, &m->t->reads, read);
  vec_push(m->s->scratch, &m->t->copies, copy);
  return copy;
}

static Expr *read_copy(void *cx, Expr *read) {
  const Making *m = cx;
  if (!holds(&m->c->tiles, read)) return NULL;
  Form *at[MAX_RANK];
  for (int i = 0; i < m->t->tile.rank; i++) at[i] = form_var(m->s->ir, tile_var(m->s, &m->t->tile, i));
  return expr_read(m->s->ir, copy_of(m, read), at);
}

static Expr *with_copies(const Making *m, Expr *e) {
  return expr_map(&(ExprMap){.ir = m->s->ir, .read = read_copy, .cx = (void *)m}, e);
}

static void make_consumer(const Making *m) {
  Node *rows[MAX_ROWS], *n = m->c->n;
  Inlining in = {m->s, m->c, rows, rows_of(m->t, rows)};
  Expr *body = with_copies(m, in.nrows ? inlined(&in, m->c->body) : m->c->body);
  Var **result = NEW_ARRAY(m->s->scratch, Var *, n->rank + n->nred);
  for (int i = 0; i < n->rank + n->nred; i++) result[i] = m->c->var[i];
  n->forward = graph_comp(m->s->g, n->rank, result, n->reducer, n->nred, result + n->rank, body, n->span);
  n->forward->name = n->name;
  n->forward->stream = m->number;
}

static bool has_maximum(const Graph *g) {
  for (int i = 0; i < g->nodes.n; i++)
    if (g->nodes.at[i]->reducer == RED_max && g->nodes.at[i]->rank) return true;
  return false;
}

/* Whether the tile of t's is made in no other stream. */
static bool is_only_one(const Streams *s, const Group *t) {
  int same = 0;
  for (int i = 0; i < s->streams.n; i++)
    same += s->streams.at[i]->consumers.at[0]->component == t->consumers.at[0]->component;
  return same == 1;
}

static bool find_streams(Streams *s, bool gpu) {
  int made = 0;
  look_at_graph(s);
  if (!find_components(s)) return false;
  find_needs(s);
  for (int i = 0; i < s->consumers.n; i++)
    if (s->consumers.at[i]->accepted) choose_stream(s, s->consumers.at[i]);
  for (int i = 0; i < s->streams.n; i++) {
    Group *t = s->streams.at[i];
    if (!gpu && !is_only_one(s, t)) continue;
    made++;
    for (int k = 0; k < t->consumers.n; k++) make_consumer(&(Making){s, t, t->consumers.at[k], made});
  }
  return made > 0;
}

bool pass_stream(Graph *g, PassContext *cx) {
  if (g->scans.n || !has_maximum(g)) return false;
  Arena *a = arena_new();
  Streams s = {.g = g, .ir = g->ir, .scratch = a, .n = g->nodes.n};
  s.readers = NEW_ARRAY(a, NodeList, s.n);
  s.kept = NEW_ARRAY(a, bool, s.n);
  s.may_be = NEW_ARRAY(a, bool, s.n);
  s.is_tile = NEW_ARRAY(a, bool, s.n);
  s.is_read_else = NEW_ARRAY(a, bool, s.n);
  bool found = find_streams(&s, cx->gpu);
  arena_free(a);
  return graph_renew(g) && found; /* products were made to look at */
}
