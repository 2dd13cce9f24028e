/* pass_squeeze.c - tensors between comprehensions lose their dimensions of one element.
 *
 * In, out: a graph without grad. A batch of one in the middle of a lifted function, a channel of a grey image: such a
 * dimension changes no value, but it changes the text of every comprehension that has it, so that one convolution
 * becomes two kernels, and a map after it seems to have another grid than its producer. What the outside sees keeps
 * its shape: inputs, params and states, outputs, next values. A read drops the index of the dimension: it was 0
 * wherever it was evaluated. Before cse, which then finds what became equal. */
#include "ir/pass.h"

typedef struct Squeeze {
  Graph *g;
  Arena *scratch;
  bool *fixed;  /* by node id: its shape stays */
  Node **small; /* by node id: the same value with fewer dimensions, or NULL */
} Squeeze;

static bool is_one(const Dim *d) {
  int64_t extent;
  return dim_is_const(d, &extent) && extent == 1;
}

static int count_ones(const Node *n) {
  int ones = 0;
  for (int i = 0; i < n->rank; i++) ones += is_one(n->shape[i]);
  return ones;
}

static Form *zero_for_one(void *cx, Var *v) {
  return is_one(v->extent) ? form_const(((Squeeze *)cx)->g->ir, 0) : NULL;
}

static Expr *read_small(void *cx, Expr *read) {
  Squeeze *s = cx;
  const Node *n = read->node;
  if (!s->small[n->id]) return NULL;
  Form **at = NEW_ARRAY(s->scratch, Form *, n->rank + 1);
  int rank = 0;
  for (int i = 0; i < n->rank; i++)
    if (!is_one(n->shape[i])) at[rank++] = read->at[i];
  return expr_read(s->g->ir, s->small[n->id], at);
}

static void find_small(void *cx, Node *operand) {
  Squeeze *s = ((void **)cx)[0];
  *(bool *)((void **)cx)[1] |= s->small[operand->id] != NULL;
}

static bool reads_small(Squeeze *s, const Node *n) {
  bool found = false;
  node_operands(n, find_small, (void *[]){s, &found});
  return found;
}

/* A comp of n's value, without the dimensions of one element. */
static Node *comp_again(Squeeze *s, const Node *n) {
  Graph *g = s->g;
  ExprMap m = {.ir = g->ir, .var = zero_for_one, .read = read_small, .cx = s};
  Var **result = NEW_ARRAY(s->scratch, Var *, n->rank + 1), **reduced = NEW_ARRAY(s->scratch, Var *, n->nred + 1);
  int rank = 0;
  for (int i = 0; i < n->rank; i++)
    if (!is_one(n->shape[i])) result[rank++] = node_result_var(g, n, i);
  for (int i = 0; i < n->nred; i++) reduced[i] = node_reduction_var(g, n, i);
  Node *again = graph_comp(g, rank, result, n->reducer, n->nred, reduced, expr_map(&m, n->body), n->span);
  again->name = n->name;
  return again;
}

/* n, of its shape, with its reads of what became small. */
static Node *reader_again(Squeeze *s, const Node *n) {
  ExprMap m = {.ir = s->g->ir, .read = read_small, .cx = s};
  Form **at = NEW_ARRAY(s->scratch, Form *, n->rank + 1);
  for (int i = 0; n->at && i < n->rank; i++) at[i] = form_map(&m, n->at[i]);
  Node *again = graph_with_body(s->g, n, expr_map(&m, n->body), at);
  again->name = n->name;
  return again;
}

typedef struct Fixing {
  Squeeze *s;
  const Node *reader;
} Fixing;

static void fix_same_shape(void *cx, Node *operand) {
  Fixing *f = cx;
  bool same = operand->rank == f->reader->rank;
  for (int i = 0; same && i < operand->rank; i++) same = operand->shape[i] == f->reader->shape[i];
  if (same) f->s->fixed[operand->id] = true;
}

/* A carry has its operands' shape, and a loop's members have its steps, be it one. */
static void fix_loops(Squeeze *s) {
  for (int i = 0; i < s->g->nodes.n; i++) {
    const Node *n = s->g->nodes.at[i];
    s->fixed[i] |= n->scan != NULL;
    for (int k = 0; n->kind == NODE_carry && k < n->nin; k++) s->fixed[n->in[k]->id] = true;
  }
}

/* What is seen, and what has the shape of that, so that the maps which finish a reduction stay on its grid. */
static void find_fixed(Squeeze *s) {
  const Graph *g = s->g;
  fix_loops(s);
  for (int i = 0; i < g->outputs.n; i++) s->fixed[g->outputs.at[i].node->id] = true;
  for (int i = 0; i < g->stores.n; i++) s->fixed[g->stores.at[i]->in[0]->id] = true;
  for (int i = g->nodes.n - 1; i >= 0; i--)
    if (s->fixed[i]) node_operands(g->nodes.at[i], fix_same_shape, &(Fixing){s, g->nodes.at[i]});
}

bool pass_squeeze(Graph *g, PassContext *cx) {
  (void)cx;
  int count = g->nodes.n;
  Arena *a = arena_new();
  Squeeze s = {g, a, NEW_ARRAY(a, bool, count), NEW_ARRAY(a, Node *, count)};
  find_fixed(&s);
  bool changed = false;
  for (int i = 0; i < count; i++) {
    Node *n = g->nodes.at[i];
    bool drops = n->kind == NODE_comp && !s.fixed[i] && count_ones(n) > 0;
    if (drops) s.small[i] = comp_again(&s, n);
    else if (n->body && reads_small(&s, n)) n->forward = reader_again(&s, n);
    changed |= drops;
  }
  arena_free(a);
  return graph_renew(g) || changed;
}
