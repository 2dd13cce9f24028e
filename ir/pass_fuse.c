/* pass_fuse.c - substitute maps: a producer's body takes the place of the reads of it.
 *
 * In, out: a graph without grad. Only maps are substituted (a reduction would be computed again at every element);
 * what reductions share is gathered later, by the scheduler. After derive and simplify, which want the user's small
 * comprehensions; before scheduling, whose kinds of kernel are properties of whole bodies.
 *
 * A map that only moves or converts values (a view) is substituted everywhere. Another one is, into all its readers
 * or none, if that adds little work: with k the evaluations after it per element now, k <= 1 or cost * (k - 1) <= 12,
 * the cost of a miss in the last cache. A map that finishes a reduction (bias, activation) is not substituted into
 * further reductions: the kernel that makes the reduction applies it in registers, and stores it instead of the
 * reduction, unless that is needed too. Bodies stop growing at 256
 * distinct subexpressions or 24 reads. */
#include "ir/choice.h"
#include "ir/classify.h"
#include "ir/cost.h"
#include "ir/pass.h"

enum { MISS_COST = 12, MAX_SIZE = 256, MAX_READS = 24 };

typedef Vec(int) IntList;

typedef struct Fusion {
  Graph *g;
  Arena *scratch;
  Node **now;       /* by node id: a copy of the node with the body as it is so far */
  ExprList *reads;  /* by node id: of the body so far */
  IntList *readers; /* by node id: those whose bodies read it, and perhaps some that no longer do */
  bool *stored;     /* by node id: an output or a next value */
  Node **finishes;  /* by node id: the reduction whose result a map finishes, element by element */
  uint64_t **needs; /* by node id: a bit for each node that its value depends on, itself too; of a loop's members,
                     * what one step depends on */
  Choices choices;
  bool changed;
} Fusion;

/* ---- what a map is ---- */

/* A value that costs nothing where it is used: a read, a constant, an index, and conversions of these. */
static bool is_view(const Expr *e) {
  while (e->kind == EXPR_OP && (e->op == OP_cast || e->op == OP_stop)) e = e->arg[0];
  return e->kind == EXPR_CONST || e->kind == EXPR_READ || e->kind == EXPR_INDEX;
}

static bool is_view_map(const Node *n) { return node_is_map(n) && is_view(n->body); }

static bool reads_data_indices(ExprList reads) {
  for (int i = 0; i < reads.n; i++)
    for (int d = 0; d < reads.at[i]->node->rank; d++)
      if (form_has_data(reads.at[i]->at[d])) return true;
  return false;
}

static bool is_reduction(const Node *n) {
  return n->kind == NODE_scatter || (n->kind == NODE_comp && n->reducer != RED_none);
}

static bool needs(const Fusion *f, const Node *n, const Node *what) {
  return f->needs[n->id][what->id / 64] >> (what->id % 64) & 1;
}

/* Whether n can be computed by the kernel that makes reduction q: no other operand waits for that kernel's result. */
static bool can_ride(Fusion *f, const Node *n, const Node *q) {
  for (int i = 0; i < f->reads[n->id].n; i++) {
    const Node *operand = f->reads[n->id].at[i]->node;
    if (operand != q && f->finishes[operand->id] != q && needs(f, operand, q)) return false;
  }
  return true;
}

/* The last reduction that map n finishes: n reads it, or a map that finishes it, element by element. NULL: none. */
static Node *finished_by(Fusion *f, const Node *n) {
  Node *last = NULL;
  for (int i = 0; i < f->reads[n->id].n; i++) {
    const Expr *read = f->reads[n->id].at[i];
    Node *q = is_reduction(read->node) ? read->node : f->finishes[read->node->id];
    if (!q || (last && q->id < last->id) || !read_is_identity(f->g, n, read)) continue;
    if (can_ride(f, n, q)) last = q;
  }
  return last;
}

/* ---- whether ---- */

/* How often reader c evaluates map p for each element of p, for one read: a contraction packs its operands, so it
 * visits them once; else once a point. Parts of a body without an index cost nothing (cost.h): rank 0 is always free.
 */
static double visits(Fusion *f, const Node *c, double elements) {
  Contraction *contraction;
  if (classify(f->g, c, f->scratch, &contraction) == KERNEL_contraction) return 1;
  return node_point_count(c) / elements;
}

static int count_uses(const Fusion *f, int reader, const Node *p) {
  int uses = 0;
  for (int i = 0; i < f->reads[reader].n; i++) uses += f->reads[reader].at[i]->node->id == p->id;
  return uses;
}

/* Whether reduction q is in memory even if the maps that finish it are not made apart. */
static bool is_stored_anyway(Fusion *f, const Node *q) {
  bool stored = f->stored[q->id];
  for (int i = 0; i < f->readers[q->id].n; i++) {
    int reader = f->readers[q->id].at[i];
    stored |= count_uses(f, reader, q) > 0 && !node_is_map(f->now[reader]);
  }
  return stored;
}

/* Sets *k to the evaluations per element of p after substitution. False if some reader does not take maps like p. */
static bool count_evaluations(Fusion *f, const Node *p, double *k) {
  double elements = node_result_count(p);
  bool view = is_view(p->body), finishes = f->finishes[p->id] && !is_stored_anyway(f, f->finishes[p->id]);
  *k = 0;
  for (int i = 0; i < f->readers[p->id].n; i++) {
    const Node *c = f->now[f->readers[p->id].at[i]];
    int uses = count_uses(f, c->id, p);
    if (!uses) continue;
    bool reduces = c->nred > 0;
    if (c->kind == NODE_scatter && !view) return false;
    if (reduces && !view && finishes) return false;
    if (reduces && reads_data_indices(f->reads[p->id])) return false;
    *k += uses * visits(f, c, elements > 0 ? elements : 1);
  }
  return *k > 0;
}

/* Whether some reader is wanted where p is not: there p would be computed in vain. */
static bool is_spared(const Fusion *f, const Node *p) {
  bool spared = false;
  for (int i = 0; f->choices.n && i < f->readers[p->id].n; i++) {
    int reader = f->readers[p->id].at[i];
    if (count_uses(f, reader, p)) spared |= f->choices.wanted[p->id] & ~f->choices.wanted[reader];
  }
  return spared;
}

static bool is_worth_it(Fusion *f, const Node *p) {
  double k;
  if (!node_is_map(p) || is_choice(&f->choices, p) || !count_evaluations(f, p, &k)) return false;
  if ((is_work(p) || reads_data_indices(f->reads[p->id])) && is_spared(f, p)) return false;
  if (is_view(p->body)) return true;
  if (f->stored[p->id]) return false;
  double cost = expr_cost(p->body);
  return k <= 1 || cost * (k - 1) <= MISS_COST;
}

/* ---- how ---- */

typedef struct Substitute {
  Fusion *f;
  const Node *p;
} Substitute;

static Expr *body_for(void *cx, Expr *read) {
  Substitute *s = cx;
  return read->node->id == s->p->id ? node_body_at(s->f->g, s->p, read->at) : NULL;
}

static Expr *substituted(Fusion *f, const Node *p, const Node *c) {
  Substitute s = {f, p};
  ExprMap m = {.ir = f->g->ir, .read = body_for, .cx = &s};
  return expr_map(&m, c->body);
}

static void substitute_forms(Fusion *f, const Node *p, Node *c) {
  Substitute s = {f, p};
  ExprMap m = {.ir = f->g->ir, .read = body_for, .cx = &s};
  Form **at = NEW_ARRAY(f->g->arena, Form *, c->rank + 1);
  for (int i = 0; i < c->rank; i++) at[i] = form_map(&m, c->at[i]);
  c->at = at;
}

static void add_reader(Fusion *f, const Node *operand, int reader) {
  IntList *readers = &f->readers[operand->id];
  for (int i = readers->n - 1; i >= 0; i--)
    if (readers->at[i] == reader) return;
  vec_push(f->scratch, readers, reader);
}

static bool fits(Fusion *f, Expr *body) {
  return expr_size(body) <= MAX_SIZE && expr_reads(f->scratch, body).n <= MAX_READS;
}

/* Into all readers, or into none where one would grow too large. */
static void substitute(Fusion *f, const Node *p) {
  int n = f->readers[p->id].n;
  Expr **bodies = NEW_ARRAY(f->scratch, Expr *, n + 1);
  for (int i = 0; i < n; i++) {
    int reader = f->readers[p->id].at[i];
    if (!count_uses(f, reader, p)) continue;
    bodies[i] = substituted(f, p, f->now[reader]);
    if (!is_view(p->body) && !fits(f, bodies[i])) return;
  }
  for (int i = 0; i < n; i++) {
    if (!bodies[i]) continue;
    Node *c = f->now[f->readers[p->id].at[i]];
    c->body = bodies[i];
    if (c->kind == NODE_scatter) substitute_forms(f, p, c);
    f->reads[c->id] = node_reads(f->scratch, c);
    for (int j = 0; j < f->reads[c->id].n; j++) add_reader(f, f->reads[c->id].at[j]->node, c->id);
    f->changed = true;
  }
}

/* ---- the new graph ---- */

static void rebuild(Fusion *f, int count) {
  for (int i = 0; i < count; i++) {
    Node *old = f->g->nodes.at[i];
    if (!old->body || f->now[i]->body == old->body) continue;
    Node *n = graph_with_body(f->g, f->now[i], f->now[i]->body, f->now[i]->at);
    n->name = old->name;
    old->forward = n;
  }
}

typedef struct NeedCollector {
  Fusion *f;
  const Node *n;
} NeedCollector;

static void add_all(Fusion *f, const Node *to, const Node *from) {
  for (int i = 0; i <= f->g->nodes.n / 64; i++) f->needs[to->id][i] |= f->needs[from->id][i];
}

static void add_needs(void *cx, Node *operand) {
  NeedCollector *c = cx;
  if (operand->id > c->n->id) return; /* the next value of a carry in a loop */
  const Scan *l = operand->scan;
  if (l && scan_common(operand, c->n)) l = NULL;
  while (l && l->up && !scan_holds(l->up, c->n)) l = l->up;
  for (int i = l ? l->first : operand->id; i <= (l ? l->last : operand->id); i++) /* from outside: all steps */
    add_all(c->f, c->n, c->f->g->nodes.at[i]);
}

static void find_needs(Fusion *f) {
  for (int i = 0; i < f->g->nodes.n; i++) {
    f->needs[i] = NEW_ARRAY(f->scratch, uint64_t, f->g->nodes.n / 64 + 1);
    f->needs[i][i / 64] |= (uint64_t)1 << (i % 64);
    node_operands(f->g->nodes.at[i], add_needs, &(NeedCollector){f, f->g->nodes.at[i]});
  }
}

static void start(Fusion *f) {
  Graph *g = f->g;
  for (int i = 0; i < g->nodes.n; i++) {
    f->now[i] = NEW(f->scratch, Node);
    *f->now[i] = *g->nodes.at[i];
    f->reads[i] = node_reads(f->scratch, g->nodes.at[i]);
    for (int j = 0; j < f->reads[i].n; j++) add_reader(f, f->reads[i].at[j]->node, i);
  }
  find_needs(f);
  for (int i = 0; i < g->outputs.n; i++) f->stored[g->outputs.at[i].node->id] = true;
  for (int i = 0; i < g->stores.n; i++) f->stored[g->stores.at[i]->in[0]->id] = true;
  for (int i = 0; i < g->nodes.n; i++)
    for (int k = 0; k < 2 && g->nodes.at[i]->kind == NODE_carry; k++) f->stored[g->nodes.at[i]->in[k]->id] = true;
}

bool pass_fuse(Graph *g, PassContext *cx) {
  (void)cx;
  int n = g->nodes.n;
  Arena *a = arena_new();
  Fusion f = {.g = g, .scratch = a, .now = NEW_ARRAY(a, Node *, n), .reads = NEW_ARRAY(a, ExprList, n)};
  f.readers = NEW_ARRAY(a, IntList, n);
  f.stored = NEW_ARRAY(a, bool, n);
  f.finishes = NEW_ARRAY(a, Node *, n);
  f.needs = NEW_ARRAY(a, uint64_t *, n);
  f.choices = choices_find(g, a);
  start(&f);
  for (int i = 0; i < n; i++) /* views first: then readers see what they really read */
    if (is_view_map(f.now[i]) && is_worth_it(&f, f.now[i])) substitute(&f, f.now[i]);
  for (int i = 0; i < n; i++) {
    if (node_is_map(f.now[i])) f.finishes[i] = finished_by(&f, f.now[i]);
    if (is_worth_it(&f, f.now[i])) substitute(&f, f.now[i]);
  }
  if (f.changed) {
    rebuild(&f, n);
    graph_renew(g);
  }
  arena_free(a);
  return f.changed;
}
