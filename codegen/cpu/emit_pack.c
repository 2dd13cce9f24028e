/* emit_pack.c - operands of a contraction in the order in which tiles read them, through their maps: a guard, a
 * window, a mask or an activation is applied on the way, so no operand is ever made in memory as a whole.
 *
 * Lanes run along the index that memory runs with. All other indices are loops, those that a guard or a division uses
 * outside: the guards of a window are then computed once for a vector and a tap of the window, and the innermost
 * loop, over channels, loads and stores. Where addresses jump between lanes (at the end of an image, or of its rows),
 * lines are packed in pieces. */
#include "codegen/cpu/product.h"
#include "ir/cost.h"

/* TURNED: columns that lie along K are transposed too, so they have to lie so many times longer there. */
enum { LINE = 64, PAGE = 4096, LARGE = 128 * 1024, MANY = 512, TURNED = 4, NEAR = 16 * 1024 };

/* ---- how an operand is read ---- */

static bool proved_inside(Emit *e, const Expr *x) {
  for (int i = 0; i < x->node->rank; i++)
    if (!form_proves_inside(e->ir, x->at[i], x->node->shape[i])) return false;
  return true;
}

/* The read that decides the way: the largest that moves along both indices. */
static Expr *main_read(Emit *e, const Operand *o, const Var *k) {
  ExprList reads = expr_reads(e->arena, o->value);
  Expr *best = NULL;
  for (int i = 0; i < reads.n; i++) {
    Expr *x = reads.at[i];
    if (!read_uses(x, o->line->flat) && !read_uses(x, k)) continue;
    if (!best || node_result_count(x->node) > node_result_count(best->node)) best = x;
  }
  return best;
}

/* Divisions of the columns by whole panels: none is crossed within one. */
static bool divides_at_panels(const Product *p, const Form *f, const Var *columns) {
  for (int i = 0; i < f->n; i++) {
    const Atom *a = f->terms[i].atom;
    if (a->kind == ATOM_DATA && expr_uses(a->data, columns)) return false;
    if (a->kind != ATOM_DIV || !form_uses(a->form, columns)) continue;
    if (form_as_var(a->form) != columns || a->divisor % (p->c->nr * p->e->lanes)) return false;
  }
  return true;
}

static void find_straight(Product *p, Operand *o, bool vectors) {
  Expr *x = o->value;
  if (x->kind != EXPR_READ || x->dtype != p->t || !proved_inside(p->e, x)) return;
  Form *f = flat_address(p->e, x->node, x->at);
  if (!f || form_divides(f, p->k.flat)) return;
  o->in_panels = form_divides(f, o->line->flat);
  if (o->in_panels && !(vectors && divides_at_panels(p, f, o->line->flat))) return;
  o->address = f;
  o->stride = form_coefficient(f, o->line->flat);
  o->k_stride = o->straight_k = form_coefficient(f, p->k.flat);
}

static bool is_far(const Product *p, int64_t stride) { return stride * p->size >= PAGE; }

static int64_t nominal_volume(const Slots *s) {
  double v = 1;
  for (int i = 0; i < s->n; i++) v *= (double)dim_nominal(s->extent[i]);
  return (int64_t)v;
}

static void choose_way(Product *p, Operand *o, bool vectors) {
  int64_t others = nominal_volume(vectors ? &p->m : &p->n); /* lines that each element meets */
  bool reused = others > (vectors ? 2 * p->c->mr : 2 * p->c->nr * p->e->lanes);
  if (o->address && (!vectors || o->stride == 1)) {
    int64_t k = nominal_volume(&p->k);
    if (o->in_panels) return;
    bool bad = is_far(p, o->k_stride) || (o->k_stride > 1 && k > MANY && k * o->k_stride > LARGE);
    bad |= o->k_stride > 1 && o->stride > 1 && nominal_volume(o->line) * k * LINE > LARGE;
    if (!(bad && reused)) return;
  }
  Expr *x = main_read(p->e, o, p->k.flat);
  Form *f = x ? flat_address(p->e, x->node, x->at) : NULL;
  int64_t turned = vectors ? TURNED : 1;
  bool along_k =
      run_along(f, p->k.flat) > turned * run_along(f, o->line->flat) || (!vectors && p->c->mr > p->e->lanes);
  o->way = along_k ? PACK_k : o->address && o->stride == 1 && !(vectors && p->first->next) ? PACK_copy : PACK_lines;
}

/* Each index of `s` on its own, the others as they are in `at`. */
static Expr *unfolded(Product *p, Expr *body, const Slots *s, int first) {
  Emit *e = p->e;
  int slots = p->node->rank + p->node->nred;
  Form **at = NEW_ARRAY(e->arena, Form *, slots + 1);
  for (int i = 0; i < slots; i++) at[i] = p->at[i];
  for (int i = first; i < s->n; i++) at[s->slot[i]] = form_var(e->ir, s->var[i]);
  return emit_at(e, body, at);
}

static void place_operand(Product *p, Operand *o, Expr *body, Slots *line, bool vectors) {
  *o = (Operand){.line = line, .value = emit_at(p->e, body, p->at), .way = PACK_none};
  find_straight(p, o, vectors);
  choose_way(p, o, vectors);
  if (o->way == PACK_lines) o->by_lines = unfolded(p, body, &p->k, p->c->k_cut);
  if (o->way == PACK_k) o->by_k = unfolded(p, body, line, 0);
}

void place_operands(Product *p) {
  place_operand(p, &p->a, p->c->a, &p->m, false);
  place_operand(p, &p->b, p->c->b, &p->n, true);
}

/* ---- one vector: a nest of loops over all that is not in lanes ---- */

typedef struct Nest {
  int n;
  Var *var[MAX_SLOTS];
  int64_t place[MAX_SLOTS]; /* elements of the copy from one value to the next */
  Value from[MAX_SLOTS], to[MAX_SLOTS];
} Nest;

typedef struct Panel {
  const Operand *o;
  Value to;
  int64_t width; /* elements from one k to the next */
  Value first;
  int vectors;
  int64_t lines, step; /* from one vector to the next: in the operand, in the copy */
  Value end;           /* lines from here on are not read; NULL: all are there */
} Panel;

typedef struct Pack {
  Product *p;
  Expr *value;
  Var *lane; /* the index that is in lanes */
  Nest nest;
  Value origin; /* element of the copy at which `to` stands */
  Value to;     /* where the first vector at `origin` goes */
  int partly;   /* only the lanes of the mask are written, which is known in that scope; 0: all are */
  int count;    /* vectors at each position of the nest, `step` elements apart in the copy */
  int64_t step;
  Expr *vector[TOGETHER];
  Var *lanes[TOGETHER]; /* of each vector, where there are several */
  Value mask[TOGETHER];
  const Panel *inside; /* at each position of the nest this panel and those after it, up to... */
  Value panels;        /* ...so many; NULL: the vectors that are bound */
} Pack;

static Value lines_left(Product *p, const Panel *l, Value at) {
  return l->end ? first_lanes(p, isub(&p->e->b, l->end, at)) : NULL;
}

static void add_loop(Nest *n, Var *v, int64_t place, Value from, Value to) {
  n->var[n->n] = v;
  n->place[n->n] = place;
  n->from[n->n] = from;
  n->to[n->n++] = to;
}

typedef struct Occurrence {
  const Var *v;
  bool found; /* other than as a plain term of an address */
} Occurrence;

static void look_for(void *cx, Expr *x) {
  Occurrence *o = cx;
  if (x->form && form_uses(x->form, o->v)) o->found = true;
  if (x->kind != EXPR_READ) return;
  for (int i = 0; i < x->node->rank; i++) o->found |= form_divides(x->at[i], o->v);
}

static bool only_moves_addresses(Expr *x, const Var *v) {
  Occurrence o = {v, false};
  expr_visit(x, look_for, &o);
  return !o.found;
}

static void order_nest(Pack *k) {
  Nest in = k->nest, *out = &k->nest;
  out->n = 0;
  for (int inner = 0; inner < 2; inner++)
    for (int i = 0; i < in.n; i++)
      if (only_moves_addresses(k->value, in.var[i]) == (bool)inner)
        add_loop(out, in.var[i], in.place[i], in.from[i], in.to[i]);
}

static void store_vectors(Pack *k, Value at) {
  Emit *e = k->p->e;
  Value to = at_element(k->p, k->to, isub(&e->b, at, k->origin)), outer = e->tail;
  e->tail_depth = k->partly;
  for (int j = 0; j < k->count; j++) {
    e->tail = k->mask[j];
    Value v = emit_expr(e, k->vector[j]), place = at_number(k->p, to, j * k->step);
    if (k->partly) masked_store(k->p, v, place, k->mask[j]);
    else vector_store(k->p, v, place);
  }
  e->tail = outer;
  e->tail_depth = 0;
}

static void bind_vectors(Pack *k, const Panel *l, Value first) {
  for (int j = 0; j < l->vectors; j++) {
    Value at = plus(k->p, first, j * l->lines);
    k->mask[j] = lines_left(k->p, l, at);
    emit_bind(k->p->e, k->lanes[j], lanes_from(k->p->e, at, 1));
  }
}

static void panels_inside(Pack *k, Value at) {
  Emit *e = k->p->e;
  const Panel *l = k->inside;
  Value to = k->to;
  Loop each;
  loop_open(e, &each, index64(&e->b, 0), k->panels, 1, NULL, 0);
  bind_vectors(k, l, iadd(&e->b, l->first, imul(&e->b, each.index, index64(&e->b, l->vectors * l->lines))));
  k->to = at_element(k->p, to, imul(&e->b, each.index, index64(&e->b, l->vectors * l->step)));
  store_vectors(k, at);
  loop_close(e, &each, NULL);
  k->to = to;
}

static void nest_level(Pack *k, int level, Value at) {
  Emit *e = k->p->e;
  if (level == k->nest.n) {
    if (k->inside) panels_inside(k, at);
    else store_vectors(k, at);
    return;
  }
  Loop l;
  loop_open(e, &l, k->nest.from[level], k->nest.to[level], 1, NULL, 0);
  emit_bind(e, k->nest.var[level], lanes_scalar(l.index));
  Value step = imul(&e->b, l.index, index64(&e->b, k->nest.place[level]));
  nest_level(k, level + 1, iadd(&e->b, at, step));
  loop_close(e, &l, NULL);
}

static void run_nest(Pack *k) { nest_level(k, 0, index64(&k->p->e->b, 0)); }

/* ---- vectors ---- */

/* Where addresses jump between lanes that begin anywhere, or, `aligned`, where e->aligned says. */
static Pieces jumps_of(Pack *k, bool aligned) {
  Emit *e = k->p->e;
  Pieces q = {.e = e, .lane = k->lane, .inner = k->nest.var, .ninner = k->nest.n};
  int naligned = e->naligned;
  e->naligned = aligned ? naligned : 0;
  pieces_reads(&q, k->value);
  e->naligned = naligned;
  return q;
}

/* No address jumps between the lanes of a vector. */
static bool in_line(Pack *k) {
  Pieces q = jumps_of(k, true);
  return !q.hopeless && q.jumps.n == 0;
}

/* Lines [from, to), neighbours in the copy too, whose first goes to `at`. */
static void pack_pieces(Pack *k, Pieces *q, Value from, Value to, Value at) {
  Emit *e = k->p->e;
  e->naligned = 0;
  pieces_open(q, from, to);
  k->count = 1;
  k->partly = q->depth;
  k->vector[0] = pieces_expr(q, k->value);
  k->mask[0] = q->mask;
  k->to = at_element(k->p, at, isub(&e->b, q->loop.index, from));
  run_nest(k);
  pieces_close(q);
}

/* The vector of lanes from `first` on, those of `mask`, at every position of the nest. */
static void pack_vector(Pack *k, Value first, Value mask) {
  Emit *e = k->p->e;
  int bound = e->bound.n;
  k->count = 1;
  k->mask[0] = mask;
  k->vector[0] = k->value;
  emit_bind(e, k->lane, lanes_from(e, first, 1));
  run_nest(k);
  e->bound.n = bound;
  e->generation++;
}

/* ---- along the lines ---- */

/* The indices of K from the cut on: `step` elements of the copy for each k. */
static void nest_over_k(Pack *k, int64_t step) {
  Product *p = k->p;
  Emit *e = p->e;
  int cut = p->c->k_cut;
  Value inner = index64(&e->b, p->k_inner);
  Value from = LLVMBuildUDiv(e->b.b, p->k_from, inner, ""), to = LLVMBuildUDiv(e->b.b, p->k_to, inner, "");
  add_loop(&k->nest, p->k.var[cut], p->k_inner * step, from, to);
  for (int i = cut + 1; i < p->k.n; i++)
    add_loop(&k->nest, p->k.var[i], p->k.place[i] * step, index64(&e->b, 0),
             index64(&e->b, dim_value(p->k.extent[i])));
  k->origin = imul(&e->b, p->k_from, index64(&e->b, step));
}

typedef struct Exchange {
  Ir *ir;
  const Var *old, *new;
} Exchange;

static Form *other_lane(void *cx, Var *v) {
  Exchange *x = cx;
  return v == x->old ? form_var(x->ir, (Var *)(uintptr_t)x->new) : NULL;
}

/* The panel's vectors, with an index for each. */
static void several_vectors(Pack *k, const Panel *l) {
  Emit *e = k->p->e;
  k->count = l->vectors;
  for (int j = 0; j < l->vectors; j++) {
    k->lanes[j] = var_fresh(e->ir, k->lane->extent);
    Exchange x = {e->ir, k->lane, k->lanes[j]};
    k->vector[j] = expr_map(&(ExprMap){.ir = e->ir, .var = other_lane, .cx = &x}, k->value);
  }
}

/* Memory is walked through along K once. */
static void pack_together(Pack *k, const Panel *l) {
  Emit *e = k->p->e;
  int bound = e->bound.n, aligned = e->naligned;
  several_vectors(k, l);
  bind_vectors(k, l, l->first);
  for (int j = 0; j < l->vectors && aligned; j++) e->aligned[j] = k->lanes[j];
  if (aligned) e->naligned = l->vectors;
  run_nest(k);
  e->naligned = aligned;
  e->bound.n = bound;
  e->generation++;
}

static Pack pack_of(Product *p, const Panel *l) {
  Pack k = {.p = p, .value = l->o->by_lines, .lane = l->o->line->flat, .to = l->to, .step = l->step};
  nest_over_k(&k, l->width);
  order_nest(&k);
  return k;
}

/* The vectors of a panel one by one, or in pieces. */
static void pack_separately(Pack *k, const Panel *l) {
  Product *p = k->p;
  Emit *e = p->e;
  Pieces q = jumps_of(k, false);
  bool neighbours = l->lines == l->step; /* one vector's lines go on in the next */
  Loop each;
  loop_open(e, &each, index64(&e->b, 0), index64(&e->b, neighbours && !q.hopeless ? 1 : l->vectors), 1, NULL, 0);
  Value at = iadd(&e->b, l->first, imul(&e->b, each.index, index64(&e->b, l->lines)));
  Value to = at_element(p, l->to, imul(&e->b, each.index, index64(&e->b, l->step)));
  if (q.hopeless) {
    k->to = to;
    pack_vector(k, at, lines_left(p, l, at));
  } else {
    Value end = plus(p, at, neighbours ? l->vectors * l->lines : l->lines);
    pack_pieces(k, &q, at, l->end ? less(p, end, l->end) : end, to);
  }
  loop_close(e, &each, NULL);
}

/* The loop over the index of K at the cut. */
static int cut_loop(const Pack *k) {
  int cut = 0;
  while (k->nest.var[cut] != k->p->k.var[k->p->c->k_cut]) cut++;
  return cut;
}

/* What is written for one range of K stays in the first cache while every vector, piece and tap adds its part. */
static void pack_in_ranges(Pack *k, const Panel *l) {
  Product *p = k->p;
  Emit *e = p->e;
  int64_t each = p->k_inner * l->vectors * e->lanes * p->size, step = NEAR / each > 0 ? NEAR / each : 1;
  int cut = cut_loop(k);
  Value from = k->nest.from[cut], to = k->nest.to[cut];
  if (p->kc <= step * p->k_inner) {
    pack_separately(k, l);
    return;
  }
  Loop range;
  loop_open(e, &range, from, to, step, NULL, 0);
  k->nest.from[cut] = range.index;
  k->nest.to[cut] = less(p, plus(p, range.index, step), to);
  pack_separately(k, l);
  loop_close(e, &range, NULL);
}

static void pack_panel(Product *p, const Panel *l) {
  Pack k = pack_of(p, l);
  if (in_line(&k) && l->vectors <= TOGETHER) pack_together(&k, l);
  else pack_in_ranges(&k, l);
}

/* ---- along K ---- */

/* Whether every block of K begins at a multiple of the lanes and ends at one. */
static bool whole_vectors_of_k(const Product *p) {
  int64_t all;
  bool known = dim_is_const(p->k.flat->extent, &all);
  int64_t block = p->blocked ? p->c->k_block * p->k_inner : p->e->lanes;
  return known && all % p->e->lanes == 0 && block % p->e->lanes == 0;
}

static bool begins_at_vectors_of_k(const Product *p) {
  return !p->blocked || p->c->k_block * p->k_inner % p->e->lanes == 0;
}

/* Loops over the lines [from, to): each index on its own where the range is made of whole inner indices. */
static void nest_over_lines(Pack *k, const Operand *o, Value from, Value to, bool whole) {
  Product *p = k->p;
  Emit *e = p->e;
  const Slots *s = o->line;
  k->origin = imul(&e->b, from, index64(&e->b, p->pitch));
  if (!whole) add_loop(&k->nest, s->flat, p->pitch, from, to);
  else {
    Value inner = index64(&e->b, s->place[0]);
    from = LLVMBuildUDiv(e->b.b, from, inner, "");
    to = LLVMBuildUDiv(e->b.b, to, inner, "");
    add_loop(&k->nest, s->var[0], s->place[0] * p->pitch, from, to);
    for (int i = 1; i < s->n; i++)
      add_loop(&k->nest, s->var[i], s->place[i] * p->pitch, index64(&e->b, 0),
               index64(&e->b, dim_value(s->extent[i])));
  }
  order_nest(k);
}

/* [to - from][pitch]: lines along K. */
static void pack_along_k(Product *p, const Operand *o, Value buffer, Value from, Value to, bool whole) {
  Emit *e = p->e;
  Pack k = {.p = p, .lane = p->k.flat, .value = whole ? o->by_k : o->value, .step = e->lanes};
  nest_over_lines(&k, o, from, to, whole);
  e->aligned[0] = p->k.flat;
  e->naligned = begins_at_vectors_of_k(p);
  bool together = in_line(&k);
  Pieces q = jumps_of(&k, false);
  if (!together && !q.hopeless) {
    pack_pieces(&k, &q, p->k_from, p->k_to, buffer);
    return;
  }
  Panel l = {.vectors = together ? TOGETHER : 1, .lines = e->lanes, .end = whole_vectors_of_k(p) ? NULL : p->k_to};
  if (together && p->kc % (TOGETHER * e->lanes) != 0) l.end = p->k_to;
  Loop loop;
  loop_open(e, &loop, p->k_from, p->k_to, l.vectors * e->lanes, NULL, 0);
  l.first = loop.index;
  k.to = at_element(p, buffer, isub(&e->b, l.first, p->k_from));
  if (together) pack_together(&k, &l);
  else pack_vector(&k, l.first, lines_left(p, &l, l.first));
  loop_close(e, &loop, NULL);
  e->naligned = 0;
}

/* ---- squares ---- */

/* One square of the panel: K from k on, columns from n on. Columns beyond the last repeat it; nobody uses them. */
static void pack_square(Product *p, Value from, int64_t stride, Value k, Value left, Value to, int vectors,
                        bool masked) {
  Emit *e = p->e;
  Square s = {.from = from, .stride = stride, .to = to, .to_stride = (int64_t)vectors * e->lanes};
  if (masked) s.last = plus(p, left, -1);
  if (!p->columns && !whole_vectors_of_k(p)) s.count = isub(&e->b, p->k_to, k);
  emit_square(p, &s);
}

static void pack_transposed(Product *p, Value n0, int vectors, bool masked) {
  Emit *e = p->e;
  Value end = plus(p, n0, (int64_t)vectors * e->lanes);
  Value there = masked ? less(p, end, p->n_to) : end; /* squares beyond the last column are not looked at */
  if (p->columns) pack_along_k(p, &p->b, p->columns, n0, there, false);
  Loop columns, rows;
  loop_open(e, &columns, index64(&e->b, 0), isub(&e->b, there, n0), e->lanes, NULL, 0);
  Value j = columns.index, n = iadd(&e->b, n0, j);
  Value line = p->columns ? at_element(p, p->columns, imul(&e->b, j, index64(&e->b, p->pitch))) : NULL;
  Value left = isub(&e->b, p->n_to, n);
  loop_open(e, &rows, p->k_from, p->k_to, e->lanes, NULL, 0);
  Value row = isub(&e->b, rows.index, p->k_from), width = index64(&e->b, (int64_t)vectors * e->lanes);
  Value to = at_element(p, p->b.buffer, iadd(&e->b, imul(&e->b, row, width), j));
  Value from = p->columns ? at_element(p, line, row) : address_at(p, &p->b, n, rows.index);
  pack_square(p, from, p->columns ? p->pitch : p->b.stride, rows.index, left, to, vectors, masked && !p->columns);
  loop_close(e, &rows, NULL);
  loop_close(e, &columns, NULL);
}

/* ---- the two operands ---- */

/* From one panel of `width` to the next: not a power of two, for they are written side by side. */
int64_t panel_step(const Product *p, int64_t width) { return (p->kc + 1) * width; }

/* Rows of A in one of its panels: of whole tiles, as many as a vector holds. */
int64_t panel_rows(const Product *p) { return p->e->lanes / p->c->mr * p->c->mr; }

/* Panels are packed some at a time. */
static int64_t panels_of_block(const Product *p) {
  return (p->mc + panel_rows(p) * TOGETHER - 1) / (panel_rows(p) * TOGETHER) * TOGETHER;
}

int64_t packed_a_bytes(const Product *p) {
  if (p->a.way == PACK_none) return 0;
  return (p->a.way == PACK_k ? p->mc * p->pitch : panels_of_block(p) * panel_step(p, p->e->lanes)) * p->size;
}

int64_t packed_b_bytes(const Product *p) {
  if (p->b.way == PACK_none) return 0;
  int64_t columns = p->c->nr * p->e->lanes;
  if (p->b.way == PACK_copy) return p->nc / columns * panel_step(p, columns) * p->size;
  return (p->kc + p->e->lanes - 1) / p->e->lanes * p->e->lanes * columns * p->size;
}

int64_t columns_bytes(const Product *p) {
  return p->b.way == PACK_k && !p->b.address ? p->c->nr * p->e->lanes * p->pitch * p->size : 0;
}

/* Without a guard, all panels at each k: what lies between two k is read in one go. */
static bool panels_go_inside(const Pack *k) {
  bool plain = only_moves_addresses(k->value, k->lane);
  for (int i = 0; i < k->nest.n; i++) plain &= only_moves_addresses(k->value, k->nest.var[i]);
  return plain;
}

static Panel panel_of_a(const Product *p) {
  int64_t lanes = p->e->lanes;
  return (Panel){.o = &p->a,
                 .width = lanes,
                 .first = p->m_from,
                 .vectors = TOGETHER,
                 .lines = panel_rows(p),
                 .step = panel_step(p, lanes),
                 .end = p->m_to};
}

/* All panels at the values [from, to) of the index of K at the cut; NULL: at all. */
static void pack_panels_inside(Pack *k, Panel *l, Value from, Value to) {
  Product *p = k->p;
  Emit *e = p->e;
  int64_t rows = l->vectors * l->lines;
  k->to = p->a.buffer;
  k->inside = l;
  k->panels = LLVMBuildUDiv(e->b.b, plus(p, isub(&e->b, p->m_to, p->m_from), rows - 1), index64(&e->b, rows), "");
  if (from) {
    int cut = cut_loop(k);
    k->nest.from[cut] = from;
    k->nest.to[cut] = to;
  }
  several_vectors(k, l);
  run_nest(k);
}

static void pack_a_panels(Product *p) {
  Emit *e = p->e;
  int64_t rows = panel_rows(p);
  Panel l = panel_of_a(p);
  Pack k = pack_of(p, &l);
  if (panels_go_inside(&k)) {
    pack_panels_inside(&k, &l, NULL, NULL);
    return;
  }
  Loop some;
  loop_open(e, &some, p->m_from, p->m_to, rows * TOGETHER, NULL, 0);
  Value panel = LLVMBuildUDiv(e->b.b, isub(&e->b, some.index, p->m_from), index64(&e->b, rows), "");
  l.first = some.index;
  l.to = at_element(p, p->a.buffer, imul(&e->b, panel, index64(&e->b, l.step)));
  pack_panel(p, &l);
  loop_close(e, &some, NULL);
}

/* `rows` k at a time, from k0 on: `count` panels of a straight operand. */
static void copy_rows(Product *p, const Panel *l, Value count, Value k0, Value end, int rows) {
  Emit *e = p->e;
  Loop k, panel;
  loop_open(e, &k, k0, end, rows, NULL, 0);
  if (!k.trips) k.trips = p->kc / rows;
  Value from = address_at(p, l->o, l->first, k.index);
  Value to = at_element(p, l->to, imul(&e->b, isub(&e->b, k.index, p->k_from), index64(&e->b, l->width)));
  loop_open(e, &panel, index64(&e->b, 0), count, 1, NULL, 0);
  Value line = imul(&e->b, panel.index, index64(&e->b, l->lines)), at = at_element(p, from, line);
  Value copy = at_element(p, to, imul(&e->b, panel.index, index64(&e->b, l->step)));
  for (int j = 0; j < l->vectors; j++) {
    int64_t step = (int64_t)j * e->lanes;
    Value mask = lines_left(p, l, plus(p, iadd(&e->b, l->first, line), step));
    for (int r = 0; r < rows; r++) {
      Value x = at_number(p, at, step + r * l->o->straight_k);
      Value v = mask ? masked_load(p, x, mask) : vector_load(p, x, (unsigned)p->size);
      vector_store(p, v, at_number(p, copy, step + r * l->width));
    }
  }
  loop_close(e, &panel, NULL);
  loop_close(e, &k, NULL);
}

/* K outside: memory is read in long pieces. l->lines is from one panel to the next, vectors of a panel are
 * neighbours. Each panel is another page: some k at a time, or more time goes into finding pages than into copying.
 */
static void copy_panels(Product *p, const Panel *l, Value count) {
  Emit *e = p->e;
  Value some = index64(&e->b, TOGETHER), all = isub(&e->b, p->k_to, p->k_from);
  Value middle = iadd(&e->b, p->k_from, imul(&e->b, LLVMBuildUDiv(e->b.b, all, some, ""), some));
  int64_t k;
  bool whole = dim_is_const(p->k.flat->extent, &k) && k % TOGETHER == 0 && (!p->blocked || p->kc % TOGETHER == 0);
  copy_rows(p, l, count, p->k_from, whole ? p->k_to : middle, TOGETHER);
  if (!whole) copy_rows(p, l, count, middle, p->k_to, 1);
}

static void copy_a(Product *p) {
  Emit *e = p->e;
  int64_t rows = panel_rows(p);
  Panel l = {.o = &p->a, .to = p->a.buffer, .width = e->lanes, .first = p->m_from, .vectors = 1, .lines = rows};
  l.step = panel_step(p, e->lanes);
  l.end = p->m_to;
  Value left = isub(&e->b, p->m_to, p->m_from);
  copy_panels(p, &l, LLVMBuildUDiv(e->b.b, plus(p, left, rows - 1), index64(&e->b, rows), ""));
}

/* Whether all that stand side by side have panels that go inside, at each value of one first index of K. */
static bool packs_at_once(Product *first) {
  for (Product *p = first; p; p = p->next) {
    if (p->a.way != PACK_lines || p->k.extent[p->c->k_cut] != first->k.extent[first->c->k_cut]) return false;
    Panel l = panel_of_a(p);
    Pack k = pack_of(p, &l);
    if (!panels_go_inside(&k)) return false;
  }
  return first->next != NULL;
}

/* One value of the first index of K after the other: what the taps of one are, among the weights, the others' lie
 * between, so memory is read once. */
static void pack_all_at_once(Product *first) {
  Emit *e = first->e;
  Value extent = emit_dim(e, first->k.extent[first->c->k_cut]);
  emit_enter(e, e->depth);
  Loop each;
  loop_open(e, &each, index64(&e->b, 0), extent, 1, NULL, 0);
  for (Product *p = first; p; p = p->next) {
    Panel l = panel_of_a(p);
    Pack k = pack_of(p, &l);
    pack_panels_inside(&k, &l, each.index, plus(p, each.index, 1));
  }
  loop_close(e, &each, NULL);
}

void pack_rows(Product *first) {
  if (packs_at_once(first)) {
    pack_all_at_once(first);
    return;
  }
  for (Product *p = first; p; p = p->next) pack_a(p);
}

void pack_a(Product *p) {
  bool whole = p->m.n == 1 || p->c->mc % p->m.place[0] == 0;
  if (p->a.way == PACK_k) pack_along_k(p, &p->a, p->a.buffer, p->m_from, p->m_to, whole);
  if (p->a.way == PACK_lines) pack_a_panels(p);
  if (p->a.way == PACK_copy) copy_a(p);
}

void pack_all_b(Product *p) {
  Emit *e = p->e;
  LastPanel last = last_panel(p);
  int64_t columns = p->c->nr * e->lanes, step = panel_step(p, columns);
  if (p->b.way != PACK_copy) return;
  Panel l = {
      .o = &p->b, .to = p->b.buffer, .width = columns, .first = p->n_from, .vectors = p->c->nr, .lines = columns};
  l.step = step;
  Value all = isub(&e->b, p->n_to, p->n_from), whole = LLVMBuildUDiv(e->b.b, all, index64(&e->b, columns), "");
  if (!last.alone) copy_panels(p, &l, whole);
  if (!last.vectors) return;
  Value done = imul(&e->b, whole, index64(&e->b, columns));
  l.first = iadd(&e->b, p->n_from, done);
  l.to = at_element(p, p->b.buffer, imul(&e->b, whole, index64(&e->b, step)));
  l.vectors = last.vectors;
  l.width = (int64_t)l.vectors * e->lanes;
  l.end = p->n_to;
  Value rest = icmp(&e->b, LLVMIntSLT, done, all);
  copy_panels(p, &l, LLVMBuildZExt(e->b.b, rest, e->b.i64, ""));
}

void pack_b(Product *p, Value n0, int vectors, bool masked) {
  Emit *e = p->e;
  if (p->b.way == PACK_k) pack_transposed(p, n0, vectors, masked);
  if (p->b.way != PACK_lines) return;
  Panel l = {.o = &p->b, .to = p->b.buffer, .first = n0, .vectors = vectors, .lines = e->lanes, .step = e->lanes};
  l.width = (int64_t)vectors * e->lanes;
  l.end = masked ? p->n_to : NULL;
  e->aligned[0] = p->n.flat;
  e->naligned = 1;
  pack_panel(p, &l);
  e->naligned = 0;
}
