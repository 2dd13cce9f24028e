/* choice.c - see choice.h. Two walks over the graph, in each direction one, until nothing changes:
 *
 * - backwards, what is wanted. A read on one side of select(c, a, b), c one bool without an index, is wanted where
 * its reader is and c chooses that side. A next value select(c, a, old) is wanted where c holds, if nobody else reads
 *   it: elsewhere the old one stays where it is. Several readers want what all of them do.
 * - forwards, what is zero: select(c, a, 0) where c does not hold, and a product or a sum of terms as its factors and
 *   all of its terms are. So are the derivatives of what is not chosen.
 *
 * Members of a loop want the same: they are run together. A condition does not depend on what is wanted where it
 * holds, since that, being wanted by the condition, has only literals of earlier ones. */
#include "ir/choice.h"

#include "ir/classify.h"
#include "ir/cost.h"
#include "ir/table.h"

enum { COSTLY = 12 };

#define HOLDS(i) literal(i, true)
#define FAILS(i) literal(i, false)
#define EVERY    (~(Literals)0)

typedef struct Search {
  Graph *g;
  Choices c;
  Arena *arena;
  PtrMap index; /* of a condition: its number + 1 */
  bool changed;
} Search;

static int number_of(const Search *s, const Node *n) { return (int)(intptr_t)ptrmap_get(&s->index, n) - 1; }

/* ---- conditions ---- */

static bool can_decide(const Node *n) {
  return n->kind == NODE_comp && n->rank == 0 && n->dtype == DT_bool && n->scan == NULL;
}

/* A condition is a read, or several with `and`, `or`, `not` between them. */
static void collect_conditions(Search *s, const Expr *e) {
  if (e->kind == EXPR_OP && e->dtype == DT_bool)
    for (int i = 0; i < e->n; i++) collect_conditions(s, e->arg[i]);
  if (e->kind != EXPR_READ || !can_decide(e->node) || s->c.n == MAX_CONDITIONS || number_of(s, e->node) >= 0) return;
  ptrmap_put(&s->index, e->node, (void *)(intptr_t)(s->c.n + 1));
  s->c.condition[s->c.n++] = e->node;
}

static void look_for_select(void *cx, Expr *e) {
  if (e->kind == EXPR_OP && e->op == OP_select) collect_conditions(cx, e->arg[0]);
}

static void sort_conditions(Search *s) {
  for (int i = 1; i < s->c.n; i++)
    for (int j = i; j > 0 && s->c.condition[j]->id < s->c.condition[j - 1]->id; j--) {
      Node *n = s->c.condition[j];
      s->c.condition[j] = s->c.condition[j - 1];
      s->c.condition[j - 1] = n;
    }
  for (int i = 0; i < s->c.n; i++) ptrmap_put(&s->index, s->c.condition[i], (void *)(intptr_t)(i + 1));
}

/* What is certain where e, a bool, is `value`. */
static Literals implied(const Search *s, const Expr *e, bool value) {
  int i = e->kind == EXPR_READ ? number_of(s, e->node) : -1;
  if (i >= 0) return value ? HOLDS(i) : FAILS(i);
  if (e->kind != EXPR_OP) return 0;
  if (e->op == OP_not) return implied(s, e->arg[0], !value);
  if (e->op == (value ? OP_and : OP_or)) return implied(s, e->arg[0], value) | implied(s, e->arg[1], value);
  return 0;
}

/* ---- what is wanted ---- */

static void narrow(Search *s, Literals *to, Literals by) {
  s->changed = s->changed || (*to & ~by);
  *to &= by;
}

typedef Vec(Expr *) Order;

static void list_part(void *cx, Expr *e) {
  void **p = cx;
  vec_push((Arena *)p[0], (Order *)p[1], e);
}

typedef struct Operand {
  Search *s;
  Literals wanted;
} Operand;

static void want_operand(void *cx, Node *operand) {
  Operand *o = cx;
  narrow(o->s, &o->s->c.wanted[operand->id], o->wanted);
}

static void want_read(void *cx, Expr *e) {
  if (e->kind == EXPR_READ) want_operand(cx, e->node);
}

static void want_form(Operand *o, const Form *f) {
  for (int i = 0; i < f->n; i++) {
    const Atom *a = f->terms[i].atom;
    if (a->kind == ATOM_DATA) expr_visit(a->data, want_read, o);
    if (a->kind == ATOM_DIV) want_form(o, a->form);
  }
}

/* Parts come after their arguments, so backwards every part comes after all that it is an argument of. */
static void want_body(Search *s, const Node *n, Literals wanted) {
  Order parts = {0};
  PtrMap place = {0};
  expr_visit(n->body, list_part, (void *[]){s->arena, &parts});
  Literals *at = NEW_ARRAY(s->arena, Literals, parts.n + 1);
  for (int i = 0; i < parts.n; i++) {
    ptrmap_put(&place, parts.at[i], &at[i]);
    at[i] = EVERY;
  }
  at[parts.n - 1] = wanted; /* the body itself */
  Operand plain = {s, wanted};
  for (int i = parts.n - 1; i >= 0; i--) {
    const Expr *e = parts.at[i];
    if (e->kind == EXPR_READ) narrow(s, &s->c.wanted[e->node->id], dtype_is_float(e->dtype) ? at[i] : wanted);
    for (int d = 0; e->kind == EXPR_READ && d < e->node->rank; d++) want_form(&plain, e->at[d]);
    if (e->form) want_form(&plain, e->form);
    for (int k = 0; k < 3; k++) {
      if (!e->arg[k]) continue;
      Literals side = e->kind == EXPR_OP && e->op == OP_select && k ? implied(s, e->arg[0], k == 1) : 0;
      Literals *to = ptrmap_get(&place, e->arg[k]);
      if (to) *to &= at[i] | side;
    }
  }
  ptrmap_free(&place);
}

/* Of a store: where the value is another than the old one. */
static Literals stored_where(const Search *s, const Node *store) {
  const Node *value = store->in[0], *target = store->in[1];
  const Expr *e = value->body;
  if (value->kind != NODE_comp || value->reducer != RED_none || e->kind != EXPR_OP || e->op != OP_select) return 0;
  Literals where = 0;
  for (int k = 1; k <= 2; k++) {
    const Expr *old = e->arg[k];
    if (old->kind == EXPR_READ && old->node == target && read_is_identity(s->g, value, old))
      where |= implied(s, e->arg[0], k == 2);
  }
  return where;
}

static void want_operands(Search *s, const Node *n) {
  Literals wanted = s->c.wanted[n->id];
  Operand o = {s, n->kind == NODE_store ? stored_where(s, n) : wanted};
  if (n->kind == NODE_store) {
    want_operand(&o, n->in[0]);
    return;
  }
  for (int i = 0; i < n->nin; i++) want_operand(&o, n->in[i]);
  if (n->body) want_body(s, n, wanted);
  if (n->at)
    for (int i = 0; i < n->rank; i++) want_form(&o, n->at[i]);
  for (int i = 0; i < s->c.n; i++) /* to leave it out the conditions have to be known */
    if (wanted != EVERY && wanted & (HOLDS(i) | FAILS(i)))
      narrow(s, &s->c.wanted[s->c.condition[i]->id], wanted & (HOLDS(i) - 1));
}

static void want_together(Search *s, const Scan *l) {
  Literals all = EVERY;
  for (int i = l->first; i <= l->last; i++) all &= s->c.wanted[s->g->nodes.at[i]->id];
  for (int i = l->first; i <= l->last; i++) narrow(s, &s->c.wanted[s->g->nodes.at[i]->id], all);
}

static void find_wanted(Search *s) {
  Graph *g = s->g;
  for (int i = 0; i < g->nodes.n; i++) s->c.wanted[i] = g->nodes.at[i]->kind == NODE_store ? 0 : EVERY;
  for (int i = 0; i < g->outputs.n; i++) s->c.wanted[g->outputs.at[i].node->id] = 0;
  do {
    s->changed = false;
    for (int i = g->nodes.n - 1; i >= 0; i--) want_operands(s, g->nodes.at[i]);
    for (int i = 0; i < g->scans.n; i++) want_together(s, g->scans.at[i]);
  } while (s->changed);
}

/* ---- what is zero ---- */

/* Literals of which each makes e, a bool, `value`. */
static Literals decides(const Search *s, const Expr *e, bool value) { return literals_not(implied(s, e, !value)); }

static Literals zero_of(const Search *s, PtrMap *known, Expr *e);

static Literals zero_of_op(const Search *s, PtrMap *known, Expr *e) {
  switch (e->op) {
  case OP_mul: return zero_of(s, known, e->arg[0]) | zero_of(s, known, e->arg[1]);
  case OP_add:
  case OP_sub: return zero_of(s, known, e->arg[0]) & zero_of(s, known, e->arg[1]);
  case OP_div:
  case OP_neg:
  case OP_stop: return zero_of(s, known, e->arg[0]);
  case OP_cast: return e->arg[0]->dtype == DT_bool ? decides(s, e->arg[0], false) : zero_of(s, known, e->arg[0]);
  case OP_select:
    return (zero_of(s, known, e->arg[1]) | decides(s, e->arg[0], false)) &
           (zero_of(s, known, e->arg[2]) | decides(s, e->arg[0], true));
  default: return 0;
  }
}

static Literals zero_of(const Search *s, PtrMap *known, Expr *e) {
  if (e->kind == EXPR_CONST) return (dtype_is_float(e->dtype) ? e->real == 0 : e->integer == 0) ? EVERY : 0;
  if (e->kind == EXPR_READ) return s->c.zero[e->node->id];
  if (e->kind != EXPR_OP) return 0;
  Literals *z = ptrmap_get(known, e);
  if (z) return *z;
  z = NEW(s->arena, Literals);
  *z = zero_of_op(s, known, e);
  ptrmap_put(known, e, z);
  return *z;
}

static void find_zeros(Search *s) {
  for (int i = 0; i < s->g->nodes.n; i++) {
    const Node *n = s->g->nodes.at[i];
    bool sums =
        n->kind == NODE_scatter || (n->kind == NODE_comp && (n->reducer == RED_none || n->reducer == RED_sum));
    PtrMap known = {0};
    if (sums && n->body && dtype_is_float(n->dtype)) s->c.zero[i] = zero_of(s, &known, n->body);
    ptrmap_free(&known);
  }
}

/* ---- all of it ---- */

bool is_work(const Node *n) {
  return n->body && (n->nred > 0 || n->kind == NODE_sort || (n->rank && expr_cost(n->body) > COSTLY));
}

/* Literals on which some work hangs: it is wanted with them only, or is zero without. */
static Literals worthwhile(const Search *s) {
  Literals all = 0;
  for (int i = 0; i < s->g->nodes.n; i++) {
    const Node *n = s->g->nodes.at[i];
    Literals stored = n->kind == NODE_store && n->in[1]->rank ? s->c.wanted[n->in[0]->id] : 0;
    if (stored != EVERY) all |= stored;
    if (is_work(n)) all |= s->c.wanted[i] | (s->c.zero[i] == EVERY ? 0 : s->c.zero[i]);
  }
  return all;
}

static void find(Search *s) {
  Graph *g = s->g;
  find_wanted(s);
  find_zeros(s);
  for (int i = 0; i < g->nodes.n; i++)
    if (s->c.wanted[i] == EVERY) s->c.wanted[i] = 0; /* of no use to anybody */
}

/* Keeps the conditions that are worth it. True if that is not all of them. */
static bool drop_conditions(Search *s) {
  Literals all = worthwhile(s);
  int n = 0;
  ptrmap_free(&s->index);
  s->index = (PtrMap){0};
  for (int i = 0; i < s->c.n; i++) {
    if (!(all & (HOLDS(i) | FAILS(i)))) continue;
    s->c.condition[n] = s->c.condition[i];
    ptrmap_put(&s->index, s->c.condition[n], (void *)(intptr_t)(n + 1));
    n++;
  }
  bool dropped = n < s->c.n;
  s->c.n = n;
  return dropped;
}

Choices choices_find(Graph *g, Arena *a) {
  Search s = {.g = g, .arena = arena_new()};
  for (int i = 0; i < g->nodes.n; i++)
    if (g->nodes.at[i]->body) expr_visit(g->nodes.at[i]->body, look_for_select, &s);
  sort_conditions(&s);
  s.c.wanted = NEW_ARRAY(a, Literals, g->nodes.n + 1);
  s.c.zero = NEW_ARRAY(a, Literals, g->nodes.n + 1);
  if (s.c.n) find(&s);
  if (drop_conditions(&s)) find(&s);
  ptrmap_free(&s.index);
  arena_free(s.arena);
  return s.c;
}

bool is_choice(const Choices *c, const Node *n) {
  for (int i = 0; i < c->n; i++)
    if (c->condition[i]->id == n->id) return true;
  return false;
}
