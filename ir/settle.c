/* settle.c - what a graph leaves behind: outputs, and the next values of params and states.
 *
 * A next value is written straight over the old one where that is safe: every other reader of the old value can run
 * before, and the value's own body reads the old one at the written element only. Otherwise the value goes through
 * the arena, and a copy runs after all readers. An output that is only a source, or a value wanted in two places,
 * gets a map that makes it again. */
#include "ir/classify.h"
#include "ir/cost.h"
#include "ir/scheduler.h"

bool node_is_computed(const Node *n) { return n->body != NULL; }

/* A map of n's shape: a copy of it, or, for a map, the same computation again. */
static Node *map_like(Graph *g, Node *n, bool compute) {
  Var **vars = NEW_ARRAY(g->arena, Var *, n->rank + 1);
  Form **at = NEW_ARRAY(g->arena, Form *, n->rank + 1);
  for (int i = 0; i < n->rank; i++) {
    vars[i] = var_fresh(g->ir, n->shape[i]);
    at[i] = form_var(g->ir, vars[i]);
  }
  Expr *body = compute ? node_body_at(g, n, at) : expr_read(g->ir, n, at);
  return graph_comp(g, n->rank, vars, RED_none, 0, NULL, body, n->span);
}

static Node *copy_of(Graph *g, Node *n) { return map_like(g, n, false); }

static Node *make_again(Graph *g, Node *n) { return map_like(g, n, n->kind == NODE_comp && n->reducer == RED_none); }

/* ---- carries: their rows are written by a copy of the first value, and by the next one where it is computed ---- */

/* The first value as a tensor of one row. */
static Node *first_row(Graph *g, const Node *c) {
  Var **vars = NEW_ARRAY(g->arena, Var *, c->rank);
  Form **at = NEW_ARRAY(g->arena, Form *, c->rank);
  for (int d = 0, k = 0; d < c->rank; d++) {
    vars[d] = var_fresh(g->ir, d == c->axis ? dim_const(g->ir, 1) : c->shape[d]);
    if (d != c->axis) at[k++] = form_var(g->ir, vars[d]);
  }
  Node *n = graph_comp(g, c->rank, vars, RED_none, 0, NULL, expr_read(g->ir, c->in[0], at), c->span);
  n->scan = carry_scan(c) ? c->scan->up : c->scan;
  return n;
}

static Node *next_rows(Scheduler *sc, const Node *c) {
  Node *n = c->in[1];
  if (n->kind == NODE_comp && !sc->kept[n->id]) return n;
  Node *copy = copy_of(sc->g, n);
  copy->scan = carry_scan(c) ? c->scan : n->scan;
  return copy;
}

static void put_in(Scheduler *sc, Node *n, Node *carry, Form *row) {
  Form **at = NEW_ARRAY(sc->arena, Form *, n->rank);
  for (int d = 0; d < n->rank; d++) at[d] = form_var(sc->g->ir, node_result_var(sc->g, n, d));
  at[carry->axis] = form_add(sc->g->ir, at[carry->axis], row);
  vec_push(sc->arena, &sc->s->parts, (Part){n, carry, at});
  sc->kept[n->id] = true;
  vec_push(sc->arena, &sc->rows[carry->id], n);
}

static void settle_carry(Scheduler *sc, Node *c) {
  Node *next = next_rows(sc, c);
  put_in(sc, first_row(sc->g, c), c, carry_row_first(sc->g->ir, c));
  put_in(sc, next, c, carry_row_written(sc->g->ir, c, form_const(sc->g->ir, 0)));
}

/* ---- edges ---- */

void run_before(Scheduler *sc, Node *first, Node *then) {
  NodeList *list = &sc->before[then->id];
  for (int i = 0; i < list->n; i++)
    if (list->at[i] == first) return;
  vec_push(sc->arena, list, first);
  vec_push(sc->arena, &sc->after[first->id], then);
}

typedef struct EdgeMaker {
  Scheduler *sc;
  Node *n;
} EdgeMaker;

/* Who reads a carry waits for both that write it, but in its loop for the first value only. */
static void add_operand_edge(void *cx, Node *operand) {
  EdgeMaker *m = cx;
  run_before(m->sc, operand, m->n);
  if (operand->kind != NODE_carry) return;
  const Scan *l = carry_scan(operand);
  run_before(m->sc, m->sc->rows[operand->id].at[0], m->n);
  if (!l || !scan_holds(l, m->n)) run_before(m->sc, m->sc->rows[operand->id].at[1], m->n);
}

/* A reader that is made after its operand got a writer has to run before that. */
static void add_writer_edge(void *cx, Node *operand) {
  EdgeMaker *m = cx;
  if (m->sc->writer[operand->id]) run_before(m->sc, m->n, m->sc->writer[operand->id]);
}

static void add_node(Scheduler *sc, Node *n) {
  EdgeMaker m = {sc, n};
  if (n->id >= sc->n) sc->n = n->id + 1;
  if (!node_is_computed(n)) return;
  node_operands(n, add_operand_edge, &m);
  node_operands(n, add_writer_edge, &m);
  Node *carry = schedule_carry(sc->s, n);
  if (carry) run_before(sc, n, carry);
  if (carry && n->scan) run_before(sc, sc->g->nodes.at[n->scan->first], n); /* what its loop needs it needs too */
}

static bool depends_on(Scheduler *sc, const Node *n, const Node *what, bool *seen) {
  if (n == what) return true;
  if (seen[n->id]) return false;
  seen[n->id] = true;
  for (int i = 0; i < sc->before[n->id].n; i++)
    if (depends_on(sc, sc->before[n->id].at[i], what, seen)) return true;
  return false;
}

/* ---- stores ---- */

static bool reads_only_here(Scheduler *sc, const Node *n, const Node *target) {
  ExprList reads = node_reads(sc->arena, n);
  for (int i = 0; i < reads.n; i++) {
    if (reads.at[i]->node != target) continue;
    if (n->reducer != RED_none || n->kind != NODE_comp || !read_is_identity(sc->g, n, reads.at[i])) return false;
  }
  return true;
}

/* Whether `value` may overwrite target: no reader of the old value has to wait for it. */
static bool may_overwrite(Scheduler *sc, const Node *value, const Node *target) {
  if (!node_is_computed(value) || sc->in_place[value->id] || !reads_only_here(sc, value, target)) return false;
  if (value->scan || schedule_part(sc->s, value)) return false;
  for (int i = 0; i < sc->after[target->id].n; i++) {
    Node *reader = sc->after[target->id].at[i];
    bool *seen = NEW_ARRAY(sc->arena, bool, sc->n);
    if (reader != value && depends_on(sc, reader, value, seen)) return false;
  }
  return true;
}

static void overwrite(Scheduler *sc, Node *value, Node *target) {
  sc->in_place[value->id] = target;
  sc->writer[target->id] = value;
  sc->kept[value->id] = true;
  for (int i = 0; i < sc->after[target->id].n; i++)
    if (sc->after[target->id].at[i] != value) run_before(sc, sc->after[target->id].at[i], value);
}

static void settle_store(Scheduler *sc, Node *store) {
  Node *value = store->in[0], *target = store->in[1];
  if (!may_overwrite(sc, value, target)) {
    bool taken = node_is_computed(value) && sc->in_place[value->id];
    value = taken ? make_again(sc->g, value) : copy_of(sc->g, value);
    add_node(sc, value);
    if (!may_overwrite(sc, value, target)) {
      value = copy_of(sc->g, value);
      add_node(sc, value);
    }
    store->in[0] = value;
  }
  overwrite(sc, value, target);
}

static void settle_outputs(Scheduler *sc) {
  for (int i = 0; i < sc->g->outputs.n; i++) {
    Node **n = &sc->g->outputs.at[i].node;
    if (!node_is_computed(*n)) *n = copy_of(sc->g, *n);
  }
}

void settle(Scheduler *sc) {
  Graph *g = sc->g;
  settle_outputs(sc);
  int carries = 0, n = g->nodes.n;
  for (int i = 0; i < n; i++) carries += g->nodes.at[i]->kind == NODE_carry;
  int room = n + 2 * g->stores.n + 2 * carries; /* a store and a carry add up to two nodes */
  sc->before = NEW_ARRAY(sc->arena, NodeList, room);
  sc->after = NEW_ARRAY(sc->arena, NodeList, room);
  sc->rows = NEW_ARRAY(sc->arena, NodeList, room);
  sc->in_place = NEW_ARRAY(sc->arena, Node *, room);
  sc->writer = NEW_ARRAY(sc->arena, Node *, room);
  sc->kept = NEW_ARRAY(sc->arena, bool, room);
  sc->assembled = NEW_ARRAY(sc->arena, bool, room);
  for (int i = 0; i < g->outputs.n; i++) sc->kept[g->outputs.at[i].node->id] = true;
  for (int i = 0; i < n; i++)
    if (g->nodes.at[i]->kind == NODE_carry) settle_carry(sc, g->nodes.at[i]);
  for (int i = 0; i < g->nodes.n; i++) add_node(sc, g->nodes.at[i]);
  for (int i = 0; i < g->stores.n; i++) settle_store(sc, g->stores.at[i]);
}
