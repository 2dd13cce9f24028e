/* pass_layout.c - operands of contractions that lie in memory as nobody reads them, copied once in the order in which
 * they are read.
 *
 * In, out: a graph without grad, after split. A contraction packs its operands for every block of rows and columns.
 * That is cheap where memory runs with K or with the operand's lines; the weights of a convolution's data gradient
 * run with neither but backwards over the taps, and of those a residue class takes every other one. A copy in which
 * the lines run last is made once, and shared by all that want the same one.
 *
 * In a loop, a contraction packs what is the same at every step anew at every step. Columns that are there before the
 * loop are copied in panels, [columns / PANEL][K][PANEL], which tiles read as they lie.
 *
 * Only of an operand whose lines and K are in dimensions of their own: windows are packed through their maps, never
 * copied. After split, whose parts read what they can share; before slice and dce. */
#include "ir/classify.h"
#include "ir/cost.h"
#include "ir/pass.h"
#include "ir/transpose.h"

#include <string.h>

/* What fits the first cache is packed from there. Against MANY lines of the other operand packing counts little, and
 * with FEW of them all reading does. One reader alone packs each element once, which a copy costs, too. */
enum {
  MAX_RANK = 8,
  SHORT_RUN = 16,
  SMALL = 32 * 1024,
  SHORT_SUM = 64,
  FEW = 32,
  MANY = 4096,
  SHARED = 2,
  PANEL = 32,
  STEPS = 8
};

typedef struct Copy {
  const Node *of;
  int order[MAX_RANK]; /* the copy's dimension d is order[d] of the original */
  int panels;          /* or the dimension that it has in panels; -1: none */
  int readers;         /* contractions that it would help; those side by side count as one */
  const Node *reader;  /* the last of them */
  const Contraction *product;
  Node *node; /* NULL before it is made */
} Copy;

typedef struct Layout {
  Graph *g;
  Arena *scratch;
  Vec(Copy) copies;
  bool placing; /* after readers were counted */
  bool gpu;
} Layout;

typedef struct Lines { /* the indices that move along one operand's lines */
  Graph *g;
  const Node *n;
  const int *slot;
  int count;
} Lines;

static Var *line_var(const Lines *l, int i) { return node_slot_var(l->g, l->n, l->slot[i]); }

static bool uses_lines(const Lines *l, const Form *f) {
  for (int i = 0; i < l->count; i++)
    if (form_uses(f, line_var(l, i))) return true;
  return false;
}

static bool uses_sum(const Lines *l, const Form *f) {
  for (int i = 0; i < l->n->nred; i++)
    if (form_uses(f, node_reduction_var(l->g, l->n, i))) return true;
  return false;
}

/* The order in which the dimensions of lines are the last, and the very last runs with them; false where one is a
 * window, or they are the last already. */
static bool order_of(const Lines *l, const Expr *read, int *order) {
  const Node *t = read->node;
  int n = 0;
  for (int lines = 0; lines < 2; lines++)
    for (int d = 0; d < t->rank; d++) {
      if (uses_lines(l, read->at[d]) != (bool)lines) continue;
      if (lines && uses_sum(l, read->at[d])) return false;
      order[n++] = d;
    }
  bool moved = false;
  for (int d = 0; d < t->rank; d++) moved |= order[d] != d;
  const Var *last = line_var(l, l->count - 1);
  return moved && form_coefficient(read->at[order[n - 1]], last) == 1 && dim_nominal(last->extent) >= SHORT_RUN;
}

/* Whether each element lies elsewhere as the operand is packed. */
static bool lies_badly(const Lines *l, const Contraction *c, const Expr *read) {
  if (read_run(l->g, l->n, read, l->slot, l->count) >= SHORT_RUN) return false;
  return read_run(l->g, l->n, read, c->k, c->nk) < SHORT_RUN;
}

/* Elements of the tensor that this and its like pack: all but those of other members of a batch. */
static double packed_elements(const Lines *l, const Expr *read) {
  double count = 1;
  for (int d = 0; d < read->node->rank; d++) {
    bool other = false;
    for (int i = 0; i < l->n->rank; i++) other |= form_uses(read->at[d], node_result_var(l->g, l->n, i));
    if (!other || uses_lines(l, read->at[d])) count *= (double)dim_nominal(read->node->shape[d]);
  }
  return count;
}

static bool reads_once(Layout *s, const Node *n, const Node *t) {
  int times = 0;
  ExprList reads = node_reads(s->scratch, n);
  for (int i = 0; i < reads.n; i++) times += reads.at[i]->node == t;
  return times == 1;
}

static bool has_data(const Expr *read) {
  for (int d = 0; d < read->node->rank; d++)
    if (form_has_data(read->at[d])) return true;
  return false;
}

static double nominal(Graph *g, const Node *n, const int *slots, int count) {
  double product = 1;
  for (int i = 0; i < count; i++) product *= (double)dim_nominal(node_slot_var(g, n, slots[i])->extent);
  return product;
}

/* ---- copies ---- */

static Copy *find_copy(Layout *s, const Node *t, const int *order) {
  for (int i = 0; i < s->copies.n; i++) {
    Copy *c = &s->copies.at[i];
    if (c->of == t && c->panels < 0 && !memcmp(c->order, order, (size_t)t->rank * sizeof *order)) return c;
  }
  Copy c = {.of = t, .panels = -1};
  memcpy(c.order, order, (size_t)t->rank * sizeof *order);
  vec_push(s->scratch, &s->copies, c);
  return &s->copies.at[s->copies.n - 1];
}

typedef struct Moved {
  Ir *ir;
  const Node *from;
  const int *order;
  Node *to;
} Moved;

static Expr *read_copy(void *cx, Expr *read) {
  const Moved *m = cx;
  return read->node == m->from ? read_transposed(m->ir, read, m->to, m->order) : NULL;
}

/* ---- readers ---- */

/* Whether w reads part at every so many-th of its own last indices. */
static bool takes_turns(Layout *s, const Node *w, const Node *part) {
  ExprList reads = node_reads(s->scratch, w);
  for (int i = 0; i < reads.n; i++) {
    const Expr *read = reads.at[i];
    const Form *last = read->node == part ? read->at[part->rank - 1] : NULL;
    for (int t = 0; last && t < last->n; t++)
      if (last->terms[t].atom->kind == ATOM_DIV) return true;
  }
  return false;
}

/* The map after n, at n's own positions; n: there is none. */
static const Node *finished(Layout *s, const Node *n) {
  for (int i = n->id + 1; i < s->g->nodes.n; i++) {
    const Node *map = s->g->nodes.at[i];
    if (!node_is_map(map)) continue;
    ExprList reads = node_reads(s->scratch, map);
    for (int r = 0; r < reads.n; r++)
      if (reads.at[r]->node == n && read_is_identity(s->g, map, reads.at[r])) return map;
  }
  return n;
}

/* Whether the scheduler makes one kernel of the two (beside.c): that packs the rows of both at once. */
static bool are_beside(Layout *s, const Node *n, const Contraction *c, const Node *other, const Contraction *d) {
  if (s->gpu || !tiles_alike(s->g, n, c, other, d)) return false;
  n = finished(s, n);
  other = finished(s, other);
  for (int i = n->id + 1; i < s->g->nodes.n; i++) {
    const Node *w = s->g->nodes.at[i];
    if (node_is_map(w) && takes_turns(s, w, n) && takes_turns(s, w, other)) return true;
  }
  return false;
}

static void count_reader(Layout *s, Copy *copy, const Node *n, const Contraction *c) {
  if (copy->reader && are_beside(s, n, c, copy->reader, copy->product)) return;
  copy->readers++;
  copy->reader = n;
  copy->product = c;
}

/* n's body with that operand, which meets `others` lines, read from a copy; `body` itself where it stays, or where
 * readers are still counted. */
static Expr *with_copy(Layout *s, const Lines *l, const Contraction *c, Expr *operand, double others, Expr *body) {
  int order[MAX_RANK];
  const Expr *read = expr_largest_read(s->scratch, operand);
  if (!read || read->node->rank > MAX_RANK || has_data(read) || !reads_once(s, l->n, read->node)) return body;
  if (nominal(s->g, l->n, c->k, c->nk) < SHORT_SUM || others < FEW || others > MANY) return body;
  if (packed_elements(l, read) < SMALL || !lies_badly(l, c, read) || !order_of(l, read, order)) return body;
  Copy *copy = find_copy(s, read->node, order);
  if (!s->placing) count_reader(s, copy, l->n, c);
  if (!s->placing || copy->readers < SHARED) return body;
  if (!copy->node) copy->node = transposed(s->g, read->node, order, false, l->n->span);
  Moved m = {s->g->ir, read->node, order, copy->node};
  return expr_map(&(ExprMap){.ir = s->g->ir, .read = read_copy, .cx = &m}, body);
}

/* ---- panels ---- */

/* Whether f counts through the indices of l, the last one fastest. */
static bool is_flat(const Lines *l, const Form *f) {
  int64_t place = 1, extent;
  for (int i = l->count - 1; i >= 0; i--) {
    const Var *v = line_var(l, i);
    if (form_coefficient(f, v) != place) return false;
    if (!dim_is_const(v->extent, &extent)) return false;
    place *= extent;
  }
  return f->c0 == 0 && f->n == l->count;
}

/* The one dimension that the columns count through, where all others count through K; -1: it is not so. */
static int panel_dimension(const Lines *columns, const Lines *k, const Expr *read) {
  Ir *ir = columns->g->ir;
  Form *sum = form_const(ir, 0);
  int64_t stride = 1, extent;
  int found = -1;
  for (int d = read->node->rank - 1; d >= 0; d--) {
    if (!dim_is_const(read->node->shape[d], &extent)) return -1;
    if (uses_lines(columns, read->at[d])) {
      if (found >= 0 || extent % PANEL || !is_flat(columns, read->at[d])) return -1;
      found = d;
      continue;
    }
    sum = form_add(ir, sum, form_scale(ir, read->at[d], stride));
    stride *= extent;
  }
  return found >= 0 && is_flat(k, sum) ? found : -1;
}

static Node *panels_of(Layout *s, Node *t, int d, Span at) {
  Ir *ir = s->g->ir;
  for (int i = 0; i < s->copies.n; i++)
    if (s->copies.at[i].of == t && s->copies.at[i].panels == d) return s->copies.at[i].node;
  Var *v[MAX_RANK + 1];
  Form *from[MAX_RANK];
  int n = 1;
  v[0] = var_fresh(ir, dim_floordiv(ir, t->shape[d], dim_const(ir, PANEL)));
  for (int i = 0; i < t->rank; i++) {
    if (i == d) continue;
    v[n] = var_fresh(ir, t->shape[i]);
    from[i] = form_var(ir, v[n++]);
  }
  v[n] = var_fresh(ir, dim_const(ir, PANEL));
  from[d] = form_add(ir, form_scale(ir, form_var(ir, v[0]), PANEL), form_var(ir, v[n]));
  Copy c = {.of = t, .panels = d};
  c.node = graph_comp(s->g, n + 1, v, RED_none, 0, NULL, expr_read(ir, t, from), at);
  vec_push(s->scratch, &s->copies, c);
  return c.node;
}

typedef struct Panelled {
  Ir *ir;
  int dimension;
  const Node *from;
  Node *to;
} Panelled;

static Expr *read_panels(void *cx, Expr *read) {
  const Panelled *p = cx;
  Form *at[MAX_RANK + 1];
  int n = 1;
  if (read->node != p->from) return NULL;
  at[0] = form_floordiv(p->ir, read->at[p->dimension], PANEL);
  for (int i = 0; i < read->node->rank; i++)
    if (i != p->dimension) at[n++] = read->at[i];
  at[n] = form_mod(p->ir, read->at[p->dimension], PANEL);
  return expr_read(p->ir, p->to, at);
}

static void place_columns(Layout *s, Node *n) {
  Contraction *c;
  if (classify(s->g, n, s->scratch, &c) != KERNEL_contraction || dim_nominal(n->scan->steps) < STEPS) return;
  Lines columns = {s->g, n, c->n, c->nn}, k = {s->g, n, c->k, c->nk};
  Expr *read = c->b;
  bool fits = read->kind == EXPR_READ && read->node->rank < MAX_RANK && !read->node->scan;
  if (!fits || packed_elements(&columns, read) < SMALL || !reads_once(s, n, read->node)) return;
  Panelled p = {.ir = s->g->ir, .dimension = panel_dimension(&columns, &k, read), .from = read->node};
  if (p.dimension < 0) return;
  p.to = panels_of(s, read->node, p.dimension, n->span);
  ExprMap m = {.ir = p.ir, .read = read_panels, .cx = &p};
  n->forward = graph_with_body(s->g, n, expr_map(&m, n->body), NULL);
}

static void place_operands(Layout *s, Node *n) {
  Contraction *c;
  if (classify(s->g, n, s->scratch, &c) != KERNEL_contraction) return;
  Lines rows = {s->g, n, c->m, c->nm}, columns = {s->g, n, c->n, c->nn};
  Expr *body = with_copy(s, &rows, c, c->a, nominal(s->g, n, c->n, c->nn), n->body);
  body = with_copy(s, &columns, c, c->b, nominal(s->g, n, c->m, c->nm), body);
  if (body != n->body) n->forward = graph_with_body(s->g, n, body, NULL);
}

bool pass_layout(Graph *g, PassContext *cx) {
  Layout s = {.g = g, .scratch = arena_new(), .gpu = cx->gpu};
  const int count = g->nodes.n;
  for (int i = 0; i < count; i++)
    if (g->nodes.at[i]->kind == NODE_comp && !g->nodes.at[i]->scan && !g->nodes.at[i]->stream)
      place_operands(&s, g->nodes.at[i]);
  s.placing = true;
  for (int i = 0; i < count; i++) {
    Node *n = g->nodes.at[i];
    if (n->kind == NODE_comp && n->scan) place_columns(&s, n);
    else if (n->kind == NODE_comp && !n->stream) place_operands(&s, n);
  }
  arena_free(s.scratch);
  return graph_renew(g);
}
