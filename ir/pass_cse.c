/* pass_cse.c - nodes that compute the same become one. Bodies are hash-consed and index slots are positions, so equal
 * comprehensions have the same body pointer once their operands are merged: one walk in topological order finds them
 * all. Draws are merged only if key, seed, step, place and element are the same, and then they are the same numbers.
 * After derive: gradients reuse the forward pass.
 *
 * Of two loops one is taken to be the other: each carry for one of the other's that starts with the same, and then
 * every member has to be found there, and what the carries go on with (as in minimising automata: Hopcroft 1971). */
#include "ir/pass.h"
#include "ir/table.h"

#include <string.h>

static size_t const_bytes(const Node *n) {
  size_t bytes = (size_t)dtype_bytes(n->dtype);
  for (int i = 0; i < n->rank; i++) bytes *= (size_t)dim_value(n->shape[i]);
  return bytes;
}

static uint64_t node_hash(const Node *n) {
  uint64_t h = hash_mix(hash_mix(7, n->kind), (uint64_t)n->dtype << 32 | n->reducer << 1 | n->descending);
  for (int i = 0; i < n->rank; i++) h = hash_mix(h, (uint64_t)n->shape[i]->id);
  for (int i = 0; i < n->nred; i++) h = hash_mix(h, (uint64_t)n->red[i]->id);
  if (n->body) h = hash_mix(h, (uint64_t)n->body->id);
  if (n->at)
    for (int i = 0; i < n->rank; i++) h = hash_mix(h, (uint64_t)n->at[i]->id);
  for (int i = 0; i < n->nin; i++) h = hash_mix(h, (uintptr_t)n->in[i]);
  return h;
}

static bool same_node(const void *key, const void *object) {
  const Node *a = key, *b = object;
  bool same = a->kind == b->kind && a->dtype == b->dtype && a->rank == b->rank && a->nred == b->nred &&
              a->reducer == b->reducer && a->body == b->body && a->stream == b->stream &&
              a->descending == b->descending && a->nin == b->nin && !a->at == !b->at && !a->data == !b->data;
  for (int i = 0; same && i < a->rank; i++) same = a->shape[i] == b->shape[i] && (!a->at || a->at[i] == b->at[i]);
  for (int i = 0; same && i < a->nred; i++) same = a->red[i] == b->red[i];
  for (int i = 0; same && i < a->nin; i++) same = a->in[i] == b->in[i];
  return same && (!a->data || !memcmp(a->data, b->data, const_bytes(a)));
}

static bool is_pure(const Node *n) { return n->body || n->kind == NODE_const || node_asks(n); }

static Expr *merged_read(void *cx, Expr *read) {
  return read->node->forward ? expr_read(cx, read->node->forward, read->at) : NULL;
}

/* The node's operands after merging: so far, every operand's forward is final. */
static void merge_operands(Graph *g, Node *n) {
  ExprMap m = {.ir = g->ir, .read = merged_read, .cx = g->ir};
  if (n->body) n->body = expr_map(&m, n->body);
  if (n->at)
    for (int i = 0; i < n->rank; i++) n->at[i] = form_map(&m, n->at[i]);
  for (int i = 0; i < n->nin; i++)
    if (n->in[i]->forward) n->in[i] = n->in[i]->forward;
}

static void find_merged(void *cx, Node *operand) { *(bool *)cx |= operand->forward != NULL; }

/* One walk over what is no loop as a whole. */
static bool merge_nodes(Graph *g) {
  InternTable seen = {0};
  Arena *scratch = arena_new();
  bool changed = false;
  for (int i = 0; i < g->nodes.n; i++) {
    Node *n = g->nodes.at[i];
    bool stale = false;
    node_operands(n, find_merged, &stale);
    if (stale) merge_operands(g, n);
    if (!is_pure(n)) continue;
    uint64_t h = node_hash(n);
    Node *first = intern_find(&seen, h, same_node, n);
    if (first) n->forward = first;
    else intern_add(&seen, scratch, h, n);
    changed |= first != NULL;
  }
  arena_free(scratch);
  return graph_renew(g) || changed;
}

/* ---- loops ---- */

typedef struct Pairing { /* of the members of one loop with those of an earlier one: their `forward` */
  Graph *g;
  Arena *scratch;
  const Scan *from, *to;
} Pairing;

static Node *paired(Node *n) { return n->forward ? n->forward : n; }

/* A member of the earlier loop for carry c, that no other has. */
static Node *carry_for(const Pairing *p, const Node *c) {
  for (int i = p->to->first; i <= p->to->last; i++) {
    Node *to = p->g->nodes.at[i];
    bool same = to->kind == NODE_carry && !to->mark && node_same_type(to, c) && to->axis == c->axis &&
                to->down == c->down && to->counts == c->counts;
    bool inner = scan_holds(p->from, c->in[0]); /* the first value of a loop inside: looked at afterwards */
    if (!same || (to->in[0] != c->in[0] && !inner)) continue;
    to->mark = 1;
    return to;
  }
  return NULL;
}

static Node *member_for(const Pairing *p, const Node *n) {
  Node as = *n; /* with the operands that it would have there */
  as.in = NEW_ARRAY(p->scratch, Node *, n->nin + 1);
  as.at = n->at ? NEW_ARRAY(p->scratch, Form *, n->rank + 1) : NULL;
  for (int i = 0; i < n->nin; i++) as.in[i] = n->in[i];
  for (int i = 0; n->at && i < n->rank; i++) as.at[i] = n->at[i];
  merge_operands(p->g, &as);
  for (int i = p->to->first; i <= p->to->last; i++)
    if (same_node(&as, p->g->nodes.at[i])) return p->g->nodes.at[i];
  return NULL;
}

static bool pair_members(const Pairing *p) {
  Node **nodes = p->g->nodes.at;
  for (int i = p->from->first; i <= p->from->last; i++)
    if (nodes[i]->kind == NODE_carry && !(nodes[i]->forward = carry_for(p, nodes[i]))) return false;
  for (int i = p->from->first; i <= p->from->last; i++)
    if (nodes[i]->kind != NODE_carry && !(nodes[i]->forward = member_for(p, nodes[i]))) return false;
  for (int i = p->from->first; i <= p->from->last; i++)
    for (int k = 0; nodes[i]->kind == NODE_carry && k < 2; k++)
      if (paired(nodes[i]->in[k]) != nodes[i]->forward->in[k]) return false;
  return true;
}

static bool merge_loop(Graph *g, Arena *scratch, const Scan *from, const Scan *to) {
  if (from->up || to->up || from->steps != to->steps || from->last - from->first != to->last - to->first)
    return false;
  bool same = pair_members(&(Pairing){g, scratch, from, to});
  for (int i = from->first; i <= from->last && !same; i++) g->nodes.at[i]->forward = NULL;
  for (int i = to->first; i <= to->last; i++) g->nodes.at[i]->mark = 0;
  return same;
}

static bool merge_loops(Graph *g) {
  Arena *scratch = arena_new();
  bool any = false;
  for (int i = 0; i < g->scans.n; i++)
    for (int k = 0; k < i && !g->nodes.at[g->scans.at[i]->first]->forward; k++)
      any |= merge_loop(g, scratch, g->scans.at[i], g->scans.at[k]);
  arena_free(scratch);
  return graph_renew(g) || any;
}

bool pass_cse(Graph *g, PassContext *cx) {
  (void)cx;
  bool changed = false;
  for (bool again = true; again;) {
    changed |= merge_nodes(g);
    again = g->scans.n > 1 && merge_loops(g);
    changed |= again;
  }
  return changed;
}
