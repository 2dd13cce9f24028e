/* pass_split.c - split result indices that occur below a division (N7), so that no kernel sees `//` or guarded work.
 *
 * In, out: a graph without grad. A reduction whose body reads by (j + p) // s depends on j % s: as one comprehension
 * it is guarded work (a strided convolution's data gradient), or holds j in both operands (a grouped convolution is
 * then one matrix-vector product an output). With j = s*jh + jr either the divisions all vanish and jh, jr are two
 * result indices (groups, pixel shuffles, kernel = stride), or each residue jr becomes a *part* of its own: a
 * comprehension over jh in which jr is a number, the reduction shrinks to the terms that this residue has, and
 * convolutions are plain contractions. Above MAX_CLASSES residues jr stays an index.
 *
 * The parts are put together by a map that selects by j % s. The scheduler sees that such a map only puts together
 * and lets the parts' kernels write into its memory (assemble.c); to everybody else it is a map as any. A map that
 * finishes the split reduction element by element is split alike, so that it still rides in the kernels' registers;
 * so is one that reads, by j // s, what was reduced of a group of positions (group norm): it is a map over the
 * group's row.
 *
 * After fuse, which would substitute small parts again, and reads of parts as views. */
#include "ir/classify.h"
#include "ir/cost.h"
#include "ir/pass.h"
#include "ir/reduce_indices.h"

#include <string.h>

enum { MAX_CLASSES = 16, MAX_DIVISOR = 1 << 20, MAX_DIGITS = 4, MAX_RANK = 8, MAX_DEPTH = 4 };

/* A piece of one result index j: j = form, over `n` new indices; `guard` tells from j whether it lies in the piece,
 * `back` gives the new indices' values. */
typedef struct Piece {
  int n;
  Var *var[MAX_DIGITS];
  Form *form;
  Expr *guard; /* NULL: always */
  Form *back[MAX_DIGITS];
} Piece;

typedef Vec(Piece) Pieces;

/* How a node's result is cut: the pieces of each of its indices. A part takes one piece of each; parts are numbered
 * with the last index running fastest. */
typedef struct Cut {
  Var **index; /* the whole's, for guards and `back` */
  Pieces *pieces;
  int count;
} Cut;

typedef struct Split {
  Graph *g;
  Ir *ir;
  Arena *scratch;
  int n;
  Cut **cut;    /* by node id: NULL where it is not split */
  Node ***part; /* by node id, then by number: its parts */
  bool *stored; /* by node id: the next value of a param or state */
} Split;

/* ---- which indices to split, by what ---- */

/* What result index i is divided by, ascending, each a divisor of the next. */
typedef struct Divisors {
  int n;
  int64_t by[MAX_DIGITS];
} Divisors;

typedef struct Search {
  Split *s;
  const Node *n;
  Divisors *of; /* by result slot */
} Search;

/* Calls f for the forms that code is made of: those of guards and values, and each read's place in memory. Divisions
 * that cancel there (a flattened index that reads a dense tensor) cost nothing. */
typedef struct FormVisit {
  Split *s;
  void (*f)(void *cx, const Form *form);
  void *cx;
} FormVisit;

static void each_form(void *cx, Expr *e) {
  FormVisit *v = cx;
  if (e->form) v->f(v->cx, e->form);
  if (e->kind != EXPR_READ) return;
  Form *address = form_const(v->s->ir, 0);
  int64_t stride = 1, extent;
  bool known = true;
  for (int d = e->node->rank - 1; d >= 0; d--) {
    if (known) address = form_add(v->s->ir, address, form_scale(v->s->ir, e->at[d], stride));
    else v->f(v->cx, e->at[d]);
    known = known && dim_is_const(e->node->shape[d], &extent);
    stride *= known ? extent : 1;
  }
  v->f(v->cx, address);
}

static void visit_forms(Split *s, Expr *e, void (*f)(void *cx, const Form *form), void *cx) {
  expr_visit(e, each_form, &(FormVisit){s, f, cx});
}

static int result_slot(const Search *d, const Atom *a) {
  for (int i = 0; a->kind == ATOM_VAR && i < d->n->rank; i++)
    if (node_result_var(d->s->g, d->n, i) == a->var) return i;
  return -1;
}

static void add_divisor(Divisors *d, int64_t by) {
  int at = d->n;
  if (by == 1) return;
  while (at > 0 && d->by[at - 1] > by) at--;
  if (at > 0 && d->by[at - 1] == by) return;
  bool chain = (at == 0 || by % d->by[at - 1] == 0) && (at == d->n || d->by[at] % by == 0);
  if (!chain || d->n == MAX_DIGITS - 1) { /* their common multiple alone */
    int64_t last = d->by[d->n - 1];
    d->by[0] = last / gcd64(last, by) * by;
    d->n = d->by[0] <= MAX_DIVISOR;
    return;
  }
  for (int i = d->n++; i > at; i--) d->by[i] = d->by[i - 1];
  d->by[at] = by;
}

/* The indices below one division: all have to be the result's, or splitting would not remove it. */
static void look_at_division(Search *d, const Atom *a) {
  for (int i = 0; i < a->form->n; i++)
    if (result_slot(d, a->form->terms[i].atom) < 0) return;
  for (int i = 0; i < a->form->n; i++) {
    const FormTerm *t = &a->form->terms[i];
    add_divisor(&d->of[result_slot(d, t->atom)], a->divisor / gcd64(a->divisor, t->coefficient));
  }
}

static void look_at_form(void *cx, const Form *f) {
  for (int i = 0; i < f->n; i++)
    if (f->terms[i].atom->kind == ATOM_DIV) look_at_division(cx, f->terms[i].atom);
}

static bool find_divisors(Split *s, const Node *n, Divisors *of) {
  bool any = false;
  visit_forms(s, n->body, look_at_form, &(Search){s, n, of});
  for (int i = 0; i < n->rank; i++) {
    int64_t extent;
    if (!dim_is_const(n->shape[i], &extent) || extent < 2) of[i].n = 0;
    any |= of[i].n > 0;
  }
  return any;
}

/* ---- pieces ---- */

static void add_piece(Split *s, Pieces *to, Piece p) { vec_push(s->scratch, to, p); }

static Piece whole_piece(Split *s, Var *j) {
  Var *v = var_fresh(s->ir, j->extent);
  return (Piece){.n = 1, .var = {v}, .form = form_var(s->ir, v), .back = {form_var(s->ir, j)}};
}

/* Residue r alone, of an index of extent n. */
static Piece residue_piece(Split *s, Var *j, int64_t n, int64_t by, int64_t r) {
  Ir *ir = s->ir;
  Form *at = form_var(ir, j);
  Var *v = var_fresh(ir, dim_const(ir, (n - r + by - 1) / by));
  Piece p = {.n = 1, .var = {v}, .back = {form_floordiv(ir, at, by)}};
  p.form = form_add(ir, form_scale(ir, form_var(ir, v), by), form_const(ir, r));
  p.guard = expr_eq0(ir, form_sub(ir, form_mod(ir, at, by), form_const(ir, r)));
  return p;
}

/* Its quotients as indices, the mixed radix digits of j. What is left after the whole multiples of the largest
 * divisor is a piece of its own. */
static void digit_pieces(Split *s, Var *j, int64_t n, const Divisors *d, Pieces *to) {
  Ir *ir = s->ir;
  Form *at = form_var(ir, j);
  int64_t last = d->by[d->n - 1], whole = n / last * last;
  Piece p = {.n = d->n + 1, .form = form_const(ir, 0)};
  for (int i = d->n; i >= 0; i--) { /* the most significant digit first */
    int64_t step = i ? d->by[i - 1] : 1, extent = i == d->n ? n / last : d->by[i] / step;
    int k = d->n - i;
    p.var[k] = var_fresh(ir, dim_const(ir, extent));
    p.form = form_add(ir, p.form, form_scale(ir, form_var(ir, p.var[k]), step));
    p.back[k] = form_floordiv(ir, i == d->n ? at : form_mod(ir, at, d->by[i]), step);
  }
  if (whole < n) p.guard = expr_ge0(ir, form_sub(ir, form_const(ir, whole - 1), at));
  if (whole) add_piece(s, to, p);
  if (whole == n) return;
  Var *v = var_fresh(ir, dim_const(ir, n - whole));
  Piece rest = {.n = 1, .var = {v}, .back = {form_sub(ir, at, form_const(ir, whole))}};
  rest.form = form_add(ir, form_var(ir, v), form_const(ir, whole));
  if (whole) rest.guard = expr_ge0(ir, form_sub(ir, at, form_const(ir, whole)));
  add_piece(s, to, rest);
}

/* ---- digits or residues ---- */

typedef struct Division {
  const Piece *piece;
  bool found;
} Division;

static void find_division(void *cx, const Form *f) {
  Division *d = cx;
  for (int i = 0; i < f->n; i++)
    for (int k = 0; k < d->piece->n && f->terms[i].atom->kind == ATOM_DIV; k++)
      d->found |= form_uses(f->terms[i].atom->form, d->piece->var[k]);
}

/* A condition on a lower digit: with that a number, it is settled, or bounds the reduction. */
static void find_condition(void *cx, Expr *e) {
  Division *d = cx;
  bool condition = e->kind == EXPR_GE0 || e->kind == EXPR_EQ0;
  for (int k = 1; k < d->piece->n && condition; k++) d->found |= form_uses(e->form, d->piece->var[k]);
}

typedef struct Quotients {
  bool compared, other_read; /* in a condition; a read is by none */
} Quotients;

static bool divides(const Form *f) {
  for (int i = 0; i < f->n; i++)
    if (f->terms[i].atom->kind == ATOM_DIV) return true;
  return false;
}

static void look_for_quotients(void *cx, Expr *e) {
  Quotients *q = cx;
  if (e->kind == EXPR_GE0 || e->kind == EXPR_EQ0) q->compared |= divides(e->form);
  if (e->kind != EXPR_READ || e->node->rank == 0) return;
  bool by = false;
  for (int i = 0; i < e->node->rank; i++) by |= divides(e->at[i]);
  q->other_read |= !by;
}

/* A map is worth splitting where it compares quotients and does nothing else (a pooling's derivative, not a group's
 * map that happens to hold one), and then by residue: as a last digit, its lanes' index would be short. False: it is
 * not, or there are too many residues. */
static bool all_classes(const Node *n, const Divisors *of, bool *by_class) {
  double classes = 1;
  Quotients q = {false, false};
  expr_visit(n->body, look_for_quotients, &q);
  for (int i = 0; i < n->rank; i++) {
    by_class[i] = of[i].n > 0;
    if (of[i].n) classes *= (double)of[i].by[of[i].n - 1];
  }
  return q.compared && !q.other_read && classes <= MAX_CLASSES;
}

/* Whether x is what a row was reduced to, or computed from such values alone. */
static bool is_row_value(Split *s, Node *x, int depth) {
  Contraction *c;
  if (x->kind != NODE_comp || depth == 0) return false;
  if (x->nred) return classify(s->g, x, s->scratch, &c) == KERNEL_row;
  ExprList reads = node_reads(s->scratch, x);
  for (int i = 0; i < reads.n; i++)
    if (!is_row_value(s, reads.at[i]->node, depth - 1)) return false;
  return reads.n > 0;
}

/* Whether map n reads reductions of groups of its positions, and by quotients nothing else: with the quotients as
 * indices it is a map over the rows that those are of, and can be in their kernel. */
static bool maps_groups(Split *s, const Node *n) {
  bool any = false;
  ExprList reads = node_reads(s->scratch, n);
  for (int i = 0; i < reads.n; i++) {
    Node *x = reads.at[i]->node;
    bool by = false;
    for (int d = 0; d < x->rank; d++) by |= divides(reads.at[i]->at[d]);
    if (by && !is_row_value(s, x, MAX_DEPTH)) return false;
    any |= by;
  }
  return any;
}

/* by_class[i]: with its digits as indices some division by index i would be left, or guarded work. */
static void find_classes(Split *s, const Node *n, const Divisors *of, bool *by_class) {
  Expr *body = n->body;
  Pieces *digits = NEW_ARRAY(s->scratch, Pieces, n->rank + 1);
  int64_t extent = 0;
  for (int i = 0; i < n->rank; i++) {
    if (!of[i].n || !dim_is_const(n->shape[i], &extent)) continue;
    digit_pieces(s, node_result_var(s->g, n, i), extent, &of[i], &digits[i]);
    body = expr_replace(s->ir, body, node_result_var(s->g, n, i), digits[i].at[0].form);
  }
  double classes = 1;
  for (int i = 0; i < n->rank; i++) {
    Division d = {of[i].n ? &digits[i].at[0] : NULL, false};
    if (of[i].n) visit_forms(s, body, find_division, &d);
    if (of[i].n) expr_visit(body, find_condition, &d);
    by_class[i] = d.found;
    if (d.found) classes *= (double)of[i].by[of[i].n - 1];
  }
  for (int i = 0; i < n->rank && classes > MAX_CLASSES; i++) by_class[i] = false;
}

/* Digits are for an index that occurs in several reads, as a group does, divided in one and whole in another: then
 * the high digit is a batch index. In one operand alone a flattened index is as good. */
static bool keep_digits(Split *s, const Node *n, Divisors *of, const bool *by_class) {
  bool any = false;
  ExprList reads = node_reads(s->scratch, n);
  for (int i = 0; i < n->rank; i++) {
    int users = 0;
    for (int k = 0; k < reads.n; k++) users += expr_uses(reads.at[k], node_result_var(s->g, n, i));
    if (!by_class[i] && users < 2) of[i].n = 0;
    any |= of[i].n > 0;
  }
  return any;
}

static Cut *cut_of(Split *s, const Node *n) {
  Divisors *of = NEW_ARRAY(s->scratch, Divisors, n->rank + 1);
  if (n->kind != NODE_comp || s->stored[n->id] || !find_divisors(s, n, of)) return NULL;
  bool *by_class = NEW_ARRAY(s->scratch, bool, n->rank + 1);
  if (n->nred) find_classes(s, n, of, by_class);
  else if (!maps_groups(s, n) && !all_classes(n, of, by_class)) return NULL;
  if (!keep_digits(s, n, of, by_class)) return NULL;
  Cut *c = NEW(s->scratch, Cut);
  c->index = NEW_ARRAY(s->scratch, Var *, n->rank + 1);
  c->pieces = NEW_ARRAY(s->scratch, Pieces, n->rank + 1);
  c->count = 1;
  int rank = 0;
  for (int i = 0; i < n->rank; i++) {
    int64_t extent = 0, by = of[i].n ? of[i].by[of[i].n - 1] : 1;
    Var *j = c->index[i] = var_fresh(s->ir, n->shape[i]);
    if (by > 1) dim_is_const(n->shape[i], &extent);
    if (by == 1) add_piece(s, &c->pieces[i], whole_piece(s, j));
    else if (!by_class[i]) digit_pieces(s, j, extent, &of[i], &c->pieces[i]);
    else
      for (int64_t r = 0; r < by && r < extent; r++) add_piece(s, &c->pieces[i], residue_piece(s, j, extent, by, r));
    c->count *= c->pieces[i].n;
    rank += c->pieces[i].at[0].n;
  }
  return rank <= MAX_RANK ? c : NULL;
}

/* ---- parts ---- */

typedef struct Section { /* one piece of each index, as the result of a comprehension */
  Split *s;
  const Node *n;
  const Cut *cut;
  int number;
  const Piece **piece;
  int rank;
  Var **vars;
} Section;

static Section section_of(Split *s, const Node *n, const Cut *c, int number) {
  Section p = {.s = s, .n = n, .cut = c, .number = number};
  p.piece = NEW_ARRAY(s->scratch, const Piece *, n->rank + 1);
  p.vars = NEW_ARRAY(s->scratch, Var *, MAX_DIGITS * n->rank + 1);
  for (int i = n->rank - 1; i >= 0; i--) {
    p.piece[i] = &c->pieces[i].at[number % c->pieces[i].n];
    number /= c->pieces[i].n;
  }
  for (int i = 0; i < n->rank; i++)
    for (int k = 0; k < p.piece[i]->n; k++) p.vars[p.rank++] = p.piece[i]->var[k];
  return p;
}

static Form *piece_form(void *cx, Var *v) {
  const Section *p = cx;
  return v->slot < p->n->rank && node_result_var(p->s->g, p->n, v->slot) == v ? p->piece[v->slot]->form : NULL;
}

/* Of n's indices this part's; a reduction keeps its own under new names. */
static Node *reduced_part(Section *p) {
  Split *s = p->s;
  const Node *n = p->n;
  Sum sum = {.body = n->body};
  for (int i = 0; i < n->nred; i++) {
    Var *old = node_reduction_var(s->g, n, i), *v = var_fresh(s->ir, old->extent);
    sum.body = expr_replace(s->ir, sum.body, old, form_var(s->ir, v));
    vec_push(s->ir->arena, &sum.vars, v);
  }
  sum.body = expr_map(&(ExprMap){.ir = s->ir, .var = piece_form, .cx = p}, sum.body);
  if (n->reducer == RED_sum) sum_normalise(s->ir, &sum);
  Reducer r = sum.vars.n ? n->reducer : RED_none;
  return graph_comp(s->g, p->rank, p->vars, r, sum.vars.n, sum.vars.at, sum.body, n->span);
}

/* Reads of a node that is cut alike are of its part, at the part's own position. */
static Expr *read_part(void *cx, Expr *read) {
  Section *p = cx;
  int id = read->node->id;
  if (id >= p->s->n || p->s->cut[id] != p->cut) return NULL;
  Node *part = p->s->part[id][p->number];
  Form **at = NEW_ARRAY(p->s->ir->arena, Form *, p->rank + 1);
  for (int i = 0; i < p->rank; i++) at[i] = form_var(p->s->ir, p->vars[i]);
  return part->reducer == RED_none ? node_body_at(p->s->g, part, at) : expr_read(p->s->ir, part, at);
}

static Node *map_part(Section *p) {
  ExprMap m = {.ir = p->s->ir, .var = piece_form, .read = read_part, .cx = p};
  return graph_comp(p->s->g, p->rank, p->vars, RED_none, 0, NULL, expr_map(&m, p->n->body), p->n->span);
}

/* ---- the whole ---- */

/* select(in part 0, part0[..], select(in part 1, ...)); one part has no guard. */
static Node *whole_of(Split *s, const Node *n, const Cut *c) {
  Expr *body = NULL;
  for (int number = c->count - 1; number >= 0; number--) {
    Section p = section_of(s, n, c, number);
    Form **at = NEW_ARRAY(s->scratch, Form *, p.rank + 1);
    Expr *guard = NULL;
    for (int i = 0, r = 0; i < n->rank; i++) {
      if (p.piece[i]->guard) guard = expr_and(s->ir, guard, p.piece[i]->guard);
      for (int k = 0; k < p.piece[i]->n; k++) at[r++] = p.piece[i]->back[k];
    }
    Expr *read = expr_read(s->ir, s->part[n->id][number], at);
    if (!body && guard) body = expr_real(s->ir, n->dtype, 0);
    body = guard ? expr_select(s->ir, guard, read, body) : read;
  }
  Node *whole = graph_comp(s->g, n->rank, c->index, RED_none, 0, NULL, body, n->span);
  whole->name = n->name;
  return whole;
}

static void split_node(Split *s, Node *n, Cut *c, Node *(*make)(Section *p)) {
  s->part[n->id] = NEW_ARRAY(s->scratch, Node *, c->count);
  for (int i = 0; i < c->count; i++) {
    Section p = section_of(s, n, c, i);
    s->part[n->id][i] = make(&p);
  }
  n->forward = whole_of(s, n, c);
  s->cut[n->id] = c;
}

/* ---- maps that finish what is split ---- */

/* The cut of what map n finishes: it reads nodes of one cut, those at its own position, and nothing that may wait for
 * the last of them. */
static Cut *finished_cut(Split *s, const Node *n) {
  if (n->kind != NODE_comp || n->reducer != RED_none || s->stored[n->id]) return NULL;
  ExprList reads = node_reads(s->scratch, n);
  const Node *last = NULL;
  for (int i = 0; i < reads.n; i++) {
    const Node *x = reads.at[i]->node;
    if (s->cut[x->id] && (!last || x->id > last->id)) last = x;
  }
  if (!last) return NULL;
  for (int i = 0; i < reads.n; i++) {
    const Node *x = reads.at[i]->node;
    bool alike = s->cut[x->id] == s->cut[last->id];
    if (alike ? !read_is_identity(s->g, n, reads.at[i]) : x->id > last->id) return NULL;
  }
  return s->cut[last->id];
}

bool pass_split(Graph *g, PassContext *cx) {
  (void)cx;
  Arena *a = arena_new();
  Split s = {.g = g, .ir = g->ir, .scratch = a, .n = g->nodes.n};
  s.cut = NEW_ARRAY(a, Cut *, s.n);
  s.part = NEW_ARRAY(a, Node **, s.n);
  s.stored = NEW_ARRAY(a, bool, s.n);
  bool changed = false;
  for (int i = 0; i < g->stores.n; i++) s.stored[g->stores.at[i]->in[0]->id] = true;
  for (int i = 0; i < s.n; i++) {
    Node *n = g->nodes.at[i];
    if (n->scan || n->stream) continue; /* a loop makes it step by step, a stream row by row */
    Cut *own = cut_of(&s, n), *finished = own ? NULL : finished_cut(&s, n);
    if (!own && !finished) continue;
    split_node(&s, n, own ? own : finished, own ? reduced_part : map_part);
    changed = true;
  }
  if (changed) graph_renew(g);
  arena_free(a);
  return changed;
}
