/* pass_halve.c - on a GPU: what large products round to a narrow type (pass narrow) they read from a copy in that
 * type.
 *
 * In, out: a graph without grad, after layout. Tiles read each element many times; a copy is written once, by the
 * kernel that makes the tensor where it can, halves all these reads, and comes to the units for matrices as it lies.
 * Values that fusion put into the product stay there, and tiles of streams are no tensors. Every product rounds the
 * same numbers as before. */
#include "ir/classify.h"
#include "ir/cost.h"
#include "ir/pass.h"

enum { LARGE = 1 << 22 /* multiplications: of fewer, a copy takes longer than it saves */ };

typedef struct Halves {
  Graph *g;
  Arena *scratch;
  int stream;              /* of the node that is looked at */
  Node **copy;             /* by node id; NULL: none yet */
  ExprList rounded, plain; /* reads of a body: those that a cast narrows, and those that anything else uses */
} Halves;

static bool is_in(const ExprList *list, const Expr *read) {
  for (int i = 0; i < list->n; i++)
    if (list->at[i] == read) return true;
  return false;
}

static void look_at(void *cx, Expr *x) {
  Halves *h = cx;
  for (int i = 0; x->kind == EXPR_OP && i < x->n; i++) {
    Expr *a = x->arg[i];
    bool narrows = x->op == OP_cast && x->dtype == h->g->products;
    if (a->kind != EXPR_READ || a->node->rank == 0 || (h->stream && a->node->stream == h->stream)) continue;
    vec_push(h->scratch, narrows ? &h->rounded : &h->plain, a);
  }
}

static Node *copy_of(Halves *h, Node *n) {
  if (h->copy[n->id]) return h->copy[n->id];
  Var **v = NEW_ARRAY(h->scratch, Var *, n->rank);
  for (int i = 0; i < n->rank; i++) v[i] = var_fresh(h->g->ir, n->shape[i]);
  Expr *value = expr_cast(h->g->ir, h->g->products, expr_read_vars(h->g->ir, n, v));
  return h->copy[n->id] = graph_comp(h->g, n->rank, v, RED_none, 0, NULL, value, n->span);
}

static Expr *read_copy(void *cx, Expr *read) {
  Halves *h = cx;
  if (!is_in(&h->rounded, read) || is_in(&h->plain, read)) return NULL;
  return expr_cast(h->g->ir, read->dtype, expr_read(h->g->ir, copy_of(h, read->node), read->at));
}

static void read_copies(Halves *h, Node *n) {
  Contraction *c;
  if (node_point_count(n) < LARGE || classify(h->g, n, h->scratch, &c) != KERNEL_contraction) return;
  h->rounded = h->plain = (ExprList){0};
  h->stream = n->stream;
  expr_visit(n->body, look_at, h);
  Expr *body = expr_map(&(ExprMap){.ir = h->g->ir, .read = read_copy, .cx = h}, n->body);
  if (body != n->body) n->forward = graph_with_body(h->g, n, body, NULL);
}

bool pass_halve(Graph *g, PassContext *cx) {
  if (!cx->gpu || g->products == DT_f64 || g->scans.n) return false;
  Halves h = {.g = g, .scratch = arena_new()};
  const int count = g->nodes.n;
  h.copy = NEW_ARRAY(h.scratch, Node *, count);
  for (int i = 0; i < count; i++) h.copy[i] = NULL;
  for (int i = 0; i < count; i++) {
    Node *n = g->nodes.at[i];
    if (n->kind == NODE_comp) read_copies(&h, n);
  }
  arena_free(h.scratch);
  return graph_renew(g);
}
