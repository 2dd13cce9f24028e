/* pass_cse.c - nodes that compute the same become one. Bodies are hash-consed and index slots are positions, so equal
 * comprehensions have the same body pointer once their operands are merged: one walk in topological order finds them
 * all. Draws are merged only if key, seed, step, place and element are the same, and then they are the same numbers.
 * After derive: gradients reuse the forward pass.
 */
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

bool pass_cse(Graph *g, PassContext *cx) {
  (void)cx;
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
