/* pass_hoist.c - what is dear and the same along an index is computed once, not again at each of its values.
 *
 *   y[b, t, e] = x[b, t, e] * cos(t * p[e])   is   c[t, e] = cos(t * p[e]),  y[b, t, e] = x[b, t, e] * c[t, e]
 *
 * so that sines of positions, written where they are used, are tables. Only what uses the index that a
 * kernel's vectors run along: anything else stays in a register while they run. A contraction visits each element of
 * its operands once, when it packs them, and keeps its maps. Reads have to stay inside their tensors whatever the
 * conditions around them say, since nothing asks these any more. The opposite of fuse, by the same costs; after it,
 * which would put small maps back. In, out: a graph without grad. */
#include "ir/classify.h"
#include "ir/cost.h"
#include "ir/pass.h"
#include "ir/table.h"

enum { LEAST_COST = 8, LEAST_REPEATS = 4, MAX_VARS = 16, MAX_RANK = 8 };

typedef struct Hoist {
  Graph *g;
  Arena *scratch;
  Vec(Node *) made;
  const Node *n; /* whose body is looked at */
  int nvars;
  Var *vars[MAX_VARS]; /* its indices */
  bool fast[MAX_VARS]; /* the ones that vectors may run along */
  PtrMap seen;         /* of its subexpressions: what they are after it */
  PtrMap facts;        /* of its subexpressions: bits, one for each index that it uses, FACT_BAR and FACT_KNOWN */
} Hoist;

enum { FACT_BAR = 1 << MAX_VARS, FACT_KNOWN = FACT_BAR << 1 };

static void start_body(Hoist *h, const Node *n) {
  h->n = n;
  h->nvars = 0;
  ptrmap_free(&h->seen);
  ptrmap_free(&h->facts);
  for (int i = 0; i < n->rank + n->nred; i++) {
    bool reduced = i >= n->rank;
    h->fast[i] = i == n->rank - 1 || i == n->rank + n->nred - 1;
    h->vars[h->nvars++] = reduced ? node_reduction_var(h->g, n, i - n->rank) : node_result_var(h->g, n, i);
  }
}

/* ---- whether ---- */

typedef struct Bar { /* what keeps an expression where it is */
  Ir *ir;
  bool found;
} Bar;

static void look_for_bar(void *cx, Expr *e) {
  Bar *b = cx;
  if (e->kind == EXPR_RANDOM || (e->kind == EXPR_OP && (e->op == OP_floordiv || e->op == OP_mod))) b->found = true;
  if (e->form && form_has_data(e->form)) b->found = true;
  if (e->kind == EXPR_READ && (e->node->scan || !read_is_inside(b->ir, e))) b->found = true;
}

/* The indices that e uses, and whether there is a bar in it. */
static intptr_t facts_of(Hoist *h, Expr *e) {
  intptr_t facts = (intptr_t)ptrmap_get(&h->facts, e);
  if (facts) return facts;
  facts = FACT_KNOWN;
  if (e->kind == EXPR_OP) {
    for (int i = 0; i < e->n; i++) facts |= facts_of(h, e->arg[i]);
    if (e->op == OP_floordiv || e->op == OP_mod) facts |= FACT_BAR;
  } else {
    Bar bar = {h->g->ir, false};
    expr_visit(e, look_for_bar, &bar);
    if (bar.found) facts |= FACT_BAR;
    for (int i = 0; i < h->nvars; i++)
      if (expr_uses(e, h->vars[i])) facts |= (intptr_t)1 << i;
  }
  ptrmap_put(&h->facts, e, (void *)facts);
  return facts;
}

/* Sets *used to the indices of e, which are *n. */
static bool saves_work(const Hoist *h, intptr_t facts, int *n, Var **used) {
  double repeats = 1;
  bool fast = false;
  *n = 0;
  for (int i = 0; i < h->nvars; i++) {
    if (!(facts >> i & 1)) {
      repeats *= (double)dim_nominal(h->vars[i]->extent);
      continue;
    }
    if (*n == MAX_RANK) return false;
    used[(*n)++] = h->vars[i];
    fast = fast || h->fast[i];
  }
  return fast && repeats >= LEAST_REPEATS;
}

static bool is_hoisted(Hoist *h, Expr *e, int *n, Var **used) {
  intptr_t facts = facts_of(h, e);
  return dtype_is_float(e->dtype) && !(facts & FACT_BAR) && saves_work(h, facts, n, used) &&
         expr_cost(e) >= LEAST_COST;
}

/* ---- how ---- */

static Expr *read_of(Hoist *h, Expr *e, int n, Var **used) {
  Node *map = graph_comp(h->g, n, used, RED_none, 0, NULL, e, h->n->span);
  for (int i = 0; i < h->made.n; i++)
    if (map_is_same(h->made.at[i], map)) return expr_read_vars(h->g->ir, h->made.at[i], used);
  vec_push(h->scratch, &h->made, map);
  return expr_read_vars(h->g->ir, map, used);
}

static Expr *hoisted(Hoist *h, Expr *e);

static Expr *with_arguments(Hoist *h, Expr *e) {
  Expr *arg[3];
  bool changed = false;
  for (int i = 0; i < e->n; i++) {
    arg[i] = hoisted(h, e->arg[i]);
    changed = changed || arg[i] != e->arg[i];
  }
  if (!changed) return e;
  return e->op == OP_cast ? expr_cast(h->g->ir, e->dtype, arg[0]) : expr_op(h->g->ir, e->op, arg);
}

/* e with reads in the place of its largest parts that are worth a map of their own. */
static Expr *hoisted(Hoist *h, Expr *e) {
  if (e->kind != EXPR_OP) return e;
  Expr *to = ptrmap_get(&h->seen, e);
  if (to) return to;
  int n;
  Var *used[MAX_RANK];
  to = is_hoisted(h, e, &n, used) ? read_of(h, e, n, used) : with_arguments(h, e);
  ptrmap_put(&h->seen, e, to);
  return to;
}

bool pass_hoist(Graph *g, PassContext *cx) {
  (void)cx;
  Hoist h = {.g = g, .scratch = arena_new()};
  bool changed = false;
  graph_find_scans(g);
  for (int i = 0; i < g->nodes.n; i++) { /* those that are made, too */
    Node *n = g->nodes.at[i];
    Contraction *contraction;
    if (n->kind != NODE_comp || n->rank + n->nred > MAX_VARS || expr_cost(n->body) < LEAST_COST) continue;
    start_body(&h, n);
    if (n->nred && classify(g, n, h.scratch, &contraction) == KERNEL_contraction) continue;
    Expr *body = hoisted(&h, n->body);
    if (body == n->body) continue;
    n->forward = graph_with_body(g, n, body, n->at);
    n->forward->name = n->name;
    changed = true;
  }
  ptrmap_free(&h.seen);
  ptrmap_free(&h.facts);
  arena_free(h.scratch);
  return changed && graph_renew(g);
}
