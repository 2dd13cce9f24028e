/* scans.c - the cycles of a graph: strongly connected components (Tarjan 1972), each ordered so that one step can be
 * computed front to back.
 *
 * A component holds carries. Those with the smallest axis are carried by its own loop: they come first, and without
 * the edges to their next values the rest is a graph again, in which components are the loops inside. */
#include "ir/graph.h"

#include <stdlib.h>

typedef struct Search {
  Graph *g;
  Arena *scratch;
  int *index, *low; /* by node id: the order of discovery, from 1 */
  bool *open;       /* on the stack */
  int count;
  NodeOrder stack, out;
  Scan *scan;    /* whose members are searched */
  Node *visited; /* the one whose operands are looked at */
} Search;

static bool is_closed_here(const Search *s, const Node *carry) { return s->scan && carry->axis == s->scan->axis; }

static void visit(Search *s, Node *n);

static void visit_operand(void *cx, Node *m) {
  Search *s = cx;
  Node *n = s->visited;
  if (m->scan != s->scan) return; /* outside, or in a loop that is done */
  if (!s->index[m->id]) visit(s, m);
  else if (!s->open[m->id]) return;
  if (s->low[m->id] < s->low[n->id]) s->low[n->id] = s->low[m->id];
  s->visited = n;
}

static int by_id(const void *a, const void *b) {
  const Node *x = *(Node *const *)a, *y = *(Node *const *)b;
  return (x->id > y->id) - (x->id < y->id);
}

static Scan *loop_new(Search *s, int n, Node **members) {
  const Node *first = NULL;
  for (int i = 0; i < n; i++)
    if (members[i]->kind == NODE_carry && (!first || members[i]->axis < first->axis)) first = members[i];
  if (!first) ice("node %d depends on itself", members[0]->id);
  Scan *l = NEW(s->g->arena, Scan);
  *l = (Scan){.up = s->scan, .axis = first->axis, .down = first->down, .first = -1};
  l->steps = dim_sub(s->g->ir, first->shape[first->axis], dim_const(s->g->ir, 1));
  vec_push(s->g->arena, &s->g->scans, l);
  return l;
}

/* The members of a component, found on the stack: its own carries, then the rest in an order of its own. */
static void order_loop(Search *s, int n, Node **members) {
  Scan *outer = s->scan, *l = loop_new(s, n, members);
  qsort(members, (size_t)n, sizeof *members, by_id);
  for (int i = 0; i < n; i++) {
    members[i]->scan = l;
    s->index[members[i]->id] = 0;
  }
  s->scan = l;
  for (int i = 0; i < n; i++) {
    Node *m = members[i];
    if (m->kind != NODE_carry || !is_closed_here(s, m)) continue;
    s->index[m->id] = ++s->count;
    vec_push(s->scratch, &s->out, m);
  }
  for (int i = 0; i < n; i++)
    if (members[i]->scan == l && !s->index[members[i]->id]) visit(s, members[i]);
  s->scan = outer;
}

static void reads_itself(void *cx, Node *operand) {
  const Search *s = cx;
  if (operand == s->visited) ice("node %d depends on itself", operand->id);
}

static void close_component(Search *s, Node *root) {
  int from = s->stack.n;
  while (s->stack.at[--from] != root) {}
  int n = s->stack.n - from;
  s->stack.n = from;
  Node **members = NEW_ARRAY(s->scratch, Node *, n);
  for (int i = 0; i < n; i++) {
    members[i] = s->stack.at[from + i];
    s->open[members[i]->id] = false;
  }
  if (n > 1) {
    order_loop(s, n, members);
    return;
  }
  s->visited = root;
  node_operands(root, reads_itself, s);
  vec_push(s->scratch, &s->out, root);
}

static void visit(Search *s, Node *n) {
  s->index[n->id] = s->low[n->id] = ++s->count;
  s->open[n->id] = true;
  vec_push(s->scratch, &s->stack, n);
  s->visited = n;
  node_operands(n, visit_operand, s);
  if (s->low[n->id] == s->index[n->id]) close_component(s, n);
}

static int largest_id(int n, Node **nodes) {
  int id = 0;
  for (int i = 0; i < n; i++)
    if (nodes[i]->id > id) id = nodes[i]->id;
  return id;
}

NodeOrder scans_order(Graph *g, int count, Node **nodes) {
  int room = largest_id(count, nodes) + 1;
  Arena *scratch = arena_new();
  Search s = {.g = g, .scratch = scratch, .index = NEW_ARRAY(scratch, int, room)};
  s.low = NEW_ARRAY(scratch, int, room);
  s.open = NEW_ARRAY(scratch, bool, room);
  g->scans.n = 0;
  for (int i = 0; i < count; i++) nodes[i]->scan = NULL;
  for (int i = 0; i < count; i++)
    if (!s.index[nodes[i]->id]) visit(&s, nodes[i]);
  NodeOrder order = {0};
  for (int i = 0; i < s.out.n; i++) vec_push(g->arena, &order, s.out.at[i]);
  arena_free(scratch);
  return order;
}

void scans_place(Graph *g) {
  for (int i = 0; i < g->nodes.n; i++)
    for (Scan *l = g->nodes.at[i]->scan; l; l = l->up) {
      if (l->first < 0) l->first = i;
      l->last = i;
    }
}

void graph_find_scans(Graph *g) {
  scans_order(g, g->nodes.n, g->nodes.at);
  scans_place(g);
}

void graph_put_in_order(Graph *g) {
  NodeOrder order = scans_order(g, g->nodes.n, g->nodes.at);
  for (int i = 0; i < order.n; i++) order.at[i]->id = i;
  for (int i = 0; i < order.n; i++) g->nodes.at[i] = order.at[i];
  scans_place(g);
}

/* ---- questions ---- */

static bool shape_fits(const Node *carry, const Node *n, bool init) {
  if (n->rank != carry->rank - init || n->dtype != carry->dtype) return false;
  for (int i = 0; i < n->rank; i++)
    if ((init || i != carry->axis) && n->shape[i] != carry->shape[i + (init && i >= carry->axis)]) return false;
  return true;
}

const char *carry_fault(Graph *g, const Node *carry) {
  if (carry->axis < 0 || carry->axis >= carry->rank) return "has no such axis";
  if (carry->nin != 2) return "lacks an operand";
  if (!shape_fits(carry, carry->in[0], true)) return "starts from a value of another type or shape";
  Dim *steps = dim_sub(g->ir, carry->shape[carry->axis], dim_const(g->ir, 1));
  bool fits = shape_fits(carry, carry->in[1], false) && carry->in[1]->shape[carry->axis] == steps;
  return fits ? NULL : "goes on with a value of another type or shape";
}

int node_times(const Node *n) { return n->scan ? n->scan->axis + 1 : 0; }

bool scan_holds(const Scan *l, const Node *n) {
  for (const Scan *k = n->scan; k; k = k->up)
    if (k == l) return true;
  return false;
}

Scan *scan_common(const Node *a, const Node *b) {
  Scan *l = a->scan;
  while (l && !scan_holds(l, b)) l = l->up;
  return l;
}

Scan *carry_scan(const Node *c) { return c->scan && c->scan->axis == c->axis ? c->scan : NULL; }

static Form *last_row(Ir *ir, const Node *carry) {
  return form_sub(ir, form_dim(ir, carry->shape[carry->axis]), form_const(ir, 1));
}

Form *carry_row_first(Ir *ir, const Node *c) { return c->down ? last_row(ir, c) : form_const(ir, 0); }
Form *carry_row_last(Ir *ir, const Node *c) { return c->down ? form_const(ir, 0) : last_row(ir, c); }
Form *carry_row_read(Ir *ir, const Node *c, Form *t) { return form_add(ir, t, form_const(ir, c->down)); }
Form *carry_row_written(Ir *ir, const Node *c, Form *t) { return form_add(ir, t, form_const(ir, !c->down)); }

Dim *node_kept_extent(Ir *ir, const Node *n, int i) {
  if (n->folded >> i & 1) return dim_const(ir, 2);
  return n->pitch && i == n->rank - 1 ? dim_const(ir, n->pitch) : n->shape[i];
}
