/* pass_squeeze.c - tensors between comprehensions lose the dimensions along which they are the same.
 *
 * In, out: a graph without grad. A batch of one in the middle of a lifted function, a channel of a grey image: such a
 * dimension changes no value, but it changes the text of every comprehension that has it, so that one convolution
 * becomes two kernels, and a map after it seems to have another grid than its producer. So does an index that the
 * body does not use: what is computed for one of its values would be computed again for the others. What the outside
 * sees keeps its shape: inputs, params and states, outputs, next values. A read drops the index of the dimension.
 * What was only a tensor repeated along it is read where it lies. Before cse, which then finds what became equal. */
#include "ir/pass.h"

typedef struct Squeeze {
  Graph *g;
  Arena *scratch;
  int count;
  bool *seen;     /* by node id: from outside */
  bool *fixed;    /* by node id: its shape stays */
  Node **small;   /* by node id: the same value with fewer dimensions, or NULL */
  unsigned *lost; /* by node id: which those are not */
  bool *repeats;  /* by node id: `small` reads one element of another tensor for each of its own */
} Squeeze;

static bool is_one(const Dim *d) {
  int64_t extent;
  return dim_is_const(d, &extent) && extent == 1;
}

static Form *zero_for_one(void *cx, Var *v) {
  return is_one(v->extent) ? form_const(((Squeeze *)cx)->g->ir, 0) : NULL;
}

static Expr *read_small(void *cx, Expr *read) {
  Squeeze *s = cx;
  const Node *n = read->node, *small = n->id < s->count ? s->small[n->id] : NULL;
  if (!small) return NULL;
  Form **at = NEW_ARRAY(s->scratch, Form *, n->rank + 1);
  int rank = 0;
  for (int i = 0; i < n->rank; i++)
    if (!(s->lost[n->id] & 1u << i)) at[rank++] = read->at[i];
  return s->repeats[n->id] ? node_body_at(s->g, small, at) : expr_read(s->g->ir, (Node *)small, at);
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

/* A comp of n's value `body`, without the dimensions `lost`. A step of a loop stays an index, be there only one. */
static Node *comp_again(Squeeze *s, const Node *n, Expr *body, unsigned lost) {
  Graph *g = s->g;
  ExprMap m = {.ir = g->ir, .var = n->scan ? NULL : zero_for_one, .cx = s};
  Var **result = NEW_ARRAY(s->scratch, Var *, n->rank + 1), **reduced = NEW_ARRAY(s->scratch, Var *, n->nred + 1);
  int rank = 0;
  for (int i = 0; i < n->rank; i++)
    if (!(lost & 1u << i)) result[rank++] = node_result_var(g, n, i);
  for (int i = 0; i < n->nred; i++) reduced[i] = node_reduction_var(g, n, i);
  Node *again = graph_comp(g, rank, result, n->reducer, n->nred, reduced, expr_map(&m, body), n->span);
  again->name = n->name;
  return again;
}

/* n's body with its reads of what became small. */
static Expr *body_again(Squeeze *s, const Node *n) {
  return expr_map(&(ExprMap){.ir = s->g->ir, .read = read_small, .cx = s}, n->body);
}

/* n, of its shape, with another body. */
static Node *reader_again(Squeeze *s, const Node *n, Expr *body) {
  ExprMap m = {.ir = s->g->ir, .read = read_small, .cx = s};
  Form **at = NEW_ARRAY(s->scratch, Form *, n->rank + 1);
  for (int i = 0; n->at && i < n->rank; i++) at[i] = form_map(&m, n->at[i]);
  Node *again = graph_with_body(s->g, n, body, at);
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
  for (int i = 0; i < g->outputs.n; i++) s->seen[g->outputs.at[i].node->id] = true;
  for (int i = 0; i < g->stores.n; i++) s->seen[g->stores.at[i]->in[0]->id] = true;
  for (int i = g->nodes.n - 1; i >= 0; i--) {
    s->fixed[i] |= s->seen[i];
    if (s->fixed[i]) node_operands(g->nodes.at[i], fix_same_shape, &(Fixing){s, g->nodes.at[i]});
  }
}

/* ---- along which dimensions a tensor is the same ---- */

typedef struct Use {
  Squeeze *s;
  const Node *n;
  unsigned used; /* dimensions of n, as bits */
} Use;

static void use_form(Use *u, const Form *f) {
  for (int d = 0; d < u->n->rank; d++)
    if (form_uses(f, node_result_var(u->s->g, u->n, d))) u->used |= 1u << d;
}

static void use_part(void *cx, Expr *e) {
  Use *u = cx;
  if (e->form) use_form(u, e->form);
  for (int d = 0; e->kind == EXPR_READ && d < e->node->rank; d++)
    if (!(u->s->lost[e->node->id] & 1u << d)) use_form(u, e->at[d]);
}

/* Those that n's body does not use, if reads use none that what they read has lost. */
static unsigned unused_dimensions(Squeeze *s, const Node *n) {
  Use u = {s, n, 0};
  expr_visit(n->body, use_part, &u);
  return ((1u << n->rank) - 1) & ~u.used;
}

static unsigned dimensions_of_one(const Node *n) {
  unsigned ones = 0;
  for (int i = 0; i < n->rank; i++)
    if (is_one(n->shape[i])) ones |= 1u << i;
  return ones;
}

static bool repeats_another(const Node *n) { return n->nred == 0 && n->body->kind == EXPR_READ; }

static Node *carry_again(Squeeze *s, const Node *c) {
  Dim **shape = NEW_ARRAY(s->scratch, Dim *, c->rank);
  int rank = 0;
  for (int d = 0; d < c->rank; d++)
    if (!(s->lost[c->id] & 1u << d)) shape[rank++] = c->shape[d];
  Node *again = graph_carry(s->g, c->dtype, rank, shape, c->axis, c->down, c->span);
  again->name = c->name;
  again->counts = c->counts;
  return again;
}

/* n without what it has lost, or with its reads of what became small. */
static void node_again(Squeeze *s, Node *n) {
  bool reads = n->body && reads_small(s, n);
  Expr *body = reads ? body_again(s, n) : n->body;
  unsigned lost = s->lost[n->id];
  if (lost) s->small[n->id] = n->kind == NODE_carry ? carry_again(s, n) : comp_again(s, n, body, lost);
  else if (reads) n->forward = reader_again(s, n, body);
}

static void squeeze_node(Squeeze *s, Node *n) {
  bool may = n->kind == NODE_comp && !s->fixed[n->id];
  if (may) s->lost[n->id] = unused_dimensions(s, n) | dimensions_of_one(n);
  node_again(s, n);
  if (s->small[n->id]) s->repeats[n->id] = repeats_another(s->small[n->id]);
}

/* ---- loops: taken to be the same along every dimension that is no step, until it is seen that they are not ---- */

/* Of the dimensions of a carry those of its first value, and the other way. */
static unsigned of_first(const Node *c, unsigned dims) {
  unsigned below = (1u << c->axis) - 1;
  return (dims & below) | (dims >> 1 & ~below);
}

static unsigned of_carry(const Node *c, unsigned dims) {
  unsigned below = (1u << c->axis) - 1;
  return (dims & below) | (dims & ~below) << 1;
}

static unsigned may_lose(Squeeze *s, const Scan *l, const Node *n) {
  unsigned steps = (1u << node_times(n)) - 1, dims = ((1u << n->rank) - 1) & ~steps & ~dimensions_of_one(n);
  if (s->seen[n->id] || (n->kind != NODE_comp && n->kind != NODE_carry)) return 0;
  if (n->kind == NODE_comp || scan_holds(l, n->in[0])) return dims;
  return n->in[0]->kind == NODE_comp ? dims & of_carry(n, unused_dimensions(s, n->in[0])) : 0;
}

static bool lose_less(Squeeze *s, const Node *n, unsigned dims) {
  unsigned before = s->lost[n->id];
  s->lost[n->id] &= dims;
  return s->lost[n->id] != before;
}

static bool look_again(Squeeze *s, const Scan *l, const Node *n) {
  if (n->kind == NODE_comp) return s->lost[n->id] && lose_less(s, n, unused_dimensions(s, n));
  if (n->kind != NODE_carry) return false;
  bool less = lose_less(s, n, s->lost[n->in[1]->id]);
  less |= lose_less(s, n->in[1], s->lost[n->id]);
  if (!scan_holds(l, n->in[0])) return less;
  less |= lose_less(s, n, of_carry(n, s->lost[n->in[0]->id]));
  return lose_less(s, n->in[0], of_first(n, s->lost[n->id])) || less;
}

static void close_again(Squeeze *s, const Scan *l, const Node *c) {
  Node *first = c->in[0];
  if (scan_holds(l, first)) first = s->small[first->id];
  else
    first =
        comp_again(s, first, reads_small(s, first) ? body_again(s, first) : first->body, of_first(c, s->lost[c->id]));
  graph_close(s->g, s->small[c->id], first, s->small[c->in[1]->id]);
}

static void squeeze_loop(Squeeze *s, const Scan *l) {
  Node **nodes = s->g->nodes.at;
  for (int i = l->first; i <= l->last; i++) s->lost[i] = may_lose(s, l, nodes[i]);
  for (bool again = true; again;) {
    again = false;
    for (int i = l->first; i <= l->last; i++) again |= look_again(s, l, nodes[i]);
  }
  for (int i = l->first; i <= l->last; i++) node_again(s, nodes[i]);
  for (int i = l->first; i <= l->last; i++)
    if (nodes[i]->kind == NODE_carry && s->lost[i]) close_again(s, l, nodes[i]);
}

bool pass_squeeze(Graph *g, PassContext *cx) {
  (void)cx;
  int count = g->nodes.n;
  Arena *a = arena_new();
  Squeeze s = {.g = g, .scratch = a, .count = count};
  s.seen = NEW_ARRAY(a, bool, count);
  s.fixed = NEW_ARRAY(a, bool, count);
  s.small = NEW_ARRAY(a, Node *, count);
  s.lost = NEW_ARRAY(a, unsigned, count);
  s.repeats = NEW_ARRAY(a, bool, count);
  find_fixed(&s);
  const Scan *done = NULL;
  for (int i = 0; i < count; i++) {
    const Scan *l = g->nodes.at[i]->scan;
    while (l && l->up) l = l->up;
    if (!l) squeeze_node(&s, g->nodes.at[i]);
    else if (l != done) squeeze_loop(&s, done = l);
  }
  bool changed = false;
  for (int i = 0; i < count; i++) changed |= s.lost[i] != 0;
  arena_free(a);
  return graph_renew(g) || changed;
}
