/* assemble.c - maps that only put parts together: the parts' kernels write where the whole lies, and no copy is made.
 *
 * In: a settled graph. A map whose body chooses, by its indices alone, between elements of computed nodes is the
 * *whole* of these, if every element of each of them has exactly one place in it and they fill it: residue classes
 * (pass split), concatenations, the adjoints of slices that share out a tensor, views of one node. Where element i of
 * a part lies is found as derive finds who reads an element: by solving the read's forms for the whole's indices,
 * under the conditions on the way to the read. That it is right is then checked by substitution: there the whole's
 * body has to be just that element.
 *
 * Out: sc->s->parts, with every part's places in the outermost whole. A whole has no kernel; who reads it waits for
 * its parts. */
#include "ir/cost.h"
#include "ir/reduce_indices.h"
#include "ir/scheduler.h"

enum { MAX_PARTS = 64 };

typedef struct Assembly {
  Scheduler *sc;
  Ir *ir;
  const Node *whole;
  Var **index; /* the whole's, under new names: a part may have indices of its own with the same slots and extents */
  Expr *body;  /* over them */
  int n;
  Part part[MAX_PARTS];
} Assembly;

const Part *schedule_part(const Schedule *s, const Node *n) {
  for (int i = 0; i < s->parts.n; i++)
    if (s->parts.at[i].node == n) return &s->parts.at[i];
  return NULL;
}

Node *schedule_carry(const Schedule *s, const Node *n) {
  const Part *p = schedule_part(s, n);
  return p && p->whole->kind == NODE_carry ? p->whole : NULL;
}

/* ---- the parts of a map ---- */

static bool may_be_part(const Assembly *a, const Node *p) {
  const Scheduler *sc = a->sc;
  if (p->kind != NODE_comp || p->dtype != a->whole->dtype || sc->kept[p->id] || p->scan) return false;
  for (int i = 0; i < a->n; i++)
    if (a->part[i].node == p) return false;
  return !schedule_part(sc->s, p); /* it lies elsewhere already */
}

/* p's own element, over its result indices; an index with one value is that. */
static Form **own_forms(Assembly *a, const Node *p) {
  Form **own = NEW_ARRAY(a->sc->arena, Form *, p->rank + 1);
  for (int i = 0; i < p->rank; i++) {
    int64_t n;
    bool one = dim_is_const(p->shape[i], &n) && n == 1;
    own[i] = one ? form_const(a->ir, 0) : form_var(a->ir, node_result_var(a->sc->g, p, i));
  }
  return own;
}

/* The places of p's elements in the whole, as forms over p's result indices: what is left of
 * sum(j: select(way and A(j) = i, whole[j], 0)) when all its indices are solved for. NULL: not so simple. */
static Form **places_of(Assembly *a, Expr *read, Expr *way) {
  Scheduler *sc = a->sc;
  const Node *p = read->node, *w = a->whole;
  Form **self = NEW_ARRAY(sc->arena, Form *, w->rank + 1);
  Solution *found = solve(a->ir, w->rank, a->index, p->rank, read->at, own_forms(a, p));
  if (found->slow || found->data.n) return NULL;
  for (int i = 0; i < w->rank; i++) {
    self[i] = found->value[i];
    if (way) way = expr_replace(a->ir, way, a->index[i], found->value[i]);
  }
  Sum sum = {.vars = found->free};
  Expr *element = expr_read(a->ir, (Node *)(uintptr_t)w, self);
  sum.body = expr_guard(a->ir, expr_and(a->ir, found->guard, way), element);
  sum_normalise(a->ir, &sum);
  if (sum.vars.n || sum.body->kind != EXPR_READ) return NULL;
  for (int i = 0; i < w->rank; i++) self[i] = sum.body->at[i]; /* step_along_single changes it: the read is shared */
  return self;
}

/* Whether the whole's body at these places is just p's own element. */
static bool is_at(Assembly *a, const Node *p, Form **place) {
  Expr *body = a->body;
  for (int i = 0; i < a->whole->rank; i++) {
    if (!form_proves_inside(a->ir, place[i], a->whole->shape[i])) return false;
    body = expr_replace(a->ir, body, a->index[i], place[i]);
  }
  return body == expr_read(a->ir, (Node *)(uintptr_t)p, own_forms(a, p));
}

/* A part's vectors run along its last index. Where that runs along another dimension of the whole, writing in place
 * is a transposition in the wrong kernel. */
static bool runs_along(Assembly *a, const Node *p, Form **place) {
  int slot = p->rank - 1, last = a->whole->rank - 1;
  int64_t n;
  while (slot > 0 && dim_is_const(p->shape[slot], &n) && n == 1) slot--;
  if (slot < 0) return true;
  const Var *v = node_result_var(a->sc->g, p, slot);
  while (last > 0 && form_is_const(place[last], NULL)) last--;
  return last >= 0 && form_coefficient(place[last], v) > 0;
}

/* An index with one value is in no place's form; but lanes may run along it, and their addresses have to differ. */
static void step_along_single(Assembly *a, const Node *p, Form **place) {
  Form **last = &place[a->whole->rank - 1];
  for (int i = 0; i < p->rank; i++) {
    int64_t n;
    if (!dim_is_const(p->shape[i], &n) || n != 1) continue;
    *last = form_add(a->ir, *last, form_var(a->ir, node_result_var(a->sc->g, p, i)));
  }
}

static bool add_part(Assembly *a, Expr *read, Expr *way) {
  if (a->n == MAX_PARTS || !may_be_part(a, read->node)) return false;
  Form **place = places_of(a, read, way);
  if (!place || !is_at(a, read->node, place) || !runs_along(a, read->node, place)) return false;
  step_along_single(a, read->node, place);
  a->part[a->n++] = (Part){read->node, (Node *)(uintptr_t)a->whole, place};
  return true;
}

/* `way`: the conditions under which e is the whole's element; NULL: none. */
static bool add_parts(Assembly *a, Expr *e, Expr *way) {
  if (e->kind == EXPR_READ) return add_part(a, e, way);
  if (e->kind == EXPR_OP && e->op == OP_add) /* of slices that lie apart; add_part sees that they do */
    return add_parts(a, e->arg[0], way) && add_parts(a, e->arg[1], way);
  if (e->kind != EXPR_OP || e->op != OP_select || e->arg[0]->reads) return expr_is_number(e, 0);
  return add_parts(a, e->arg[1], expr_and(a->ir, way, e->arg[0])) &&
         add_parts(a, e->arg[2], expr_and(a->ir, way, expr_op1(a->ir, OP_not, e->arg[0])));
}

static Dim *elements(Ir *ir, const Node *n) {
  Dim *d = dim_const(ir, 1);
  for (int i = 0; i < n->rank; i++) d = dim_mul(ir, d, n->shape[i]);
  return d;
}

/* No two parts share a place, for the body is one element there: so they fill the whole if they are as many. */
static bool fill_whole(Assembly *a) {
  Dim *sum = dim_const(a->ir, 0);
  for (int i = 0; i < a->n; i++) sum = dim_add(a->ir, sum, elements(a->ir, a->part[i].node));
  return a->n > 0 && sum == elements(a->ir, a->whole);
}

static bool is_assembly(Assembly *a) {
  const Node *w = a->whole;
  if (w->kind != NODE_comp || w->reducer != RED_none || w->rank == 0 || a->sc->in_place[w->id]) return false;
  if (w->scan || schedule_part(a->sc->s, w)) return false; /* it is made step by step, or a carry's rows */
  a->index = NEW_ARRAY(a->sc->arena, Var *, w->rank + 1);
  a->body = w->body;
  for (int i = 0; i < w->rank; i++) {
    a->index[i] = var_fresh(a->ir, w->shape[i]);
    a->body = expr_replace(a->ir, a->body, node_result_var(a->sc->g, w, i), form_var(a->ir, a->index[i]));
  }
  return add_parts(a, a->body, NULL) && fill_whole(a);
}

/* ---- wholes within wholes, and who waits ---- */

static Form *place_of_slot(void *cx, Var *v) { return ((Form **)cx)[v->slot]; }

/* A whole that is a part itself: its parts lie in the outer one. */
static void move_outwards(Scheduler *sc, Part *p) {
  const Part *outer;
  while ((outer = schedule_part(sc->s, p->whole))) {
    ExprMap m = {.ir = sc->g->ir, .var = place_of_slot, .cx = p->at};
    Form **at = NEW_ARRAY(sc->arena, Form *, outer->whole->rank + 1);
    for (int i = 0; i < outer->whole->rank; i++) at[i] = form_map(&m, outer->at[i]);
    *p = (Part){p->node, outer->whole, at};
  }
}

static void wait_for_parts(Scheduler *sc, Node *whole, Node *part) {
  for (int i = 0; i < sc->after[whole->id].n; i++) run_before(sc, part, sc->after[whole->id].at[i]);
}

void assemble(Scheduler *sc) {
  int first = sc->s->parts.n; /* those before are the rows of carries */
  for (int i = 0; i < sc->g->nodes.n; i++) {
    Assembly a = {.sc = sc, .ir = sc->g->ir, .whole = sc->g->nodes.at[i]};
    if (!is_assembly(&a)) continue;
    sc->assembled[i] = true;
    for (int k = 0; k < a.n; k++) vec_push(sc->arena, &sc->s->parts, a.part[k]);
  }
  /* Inner wholes stand before outer ones, so from the end each whole's readers are complete when they are handed on.
   */
  for (int i = sc->s->parts.n - 1; i >= first; i--)
    wait_for_parts(sc, sc->s->parts.at[i].whole, sc->s->parts.at[i].node);
  for (int i = first; i < sc->s->parts.n; i++) move_outwards(sc, &sc->s->parts.at[i]);
}
