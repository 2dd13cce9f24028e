/* repeated.c - calls that a report repeats. `report accuracy(net(x), y)` beside a loss of `net(x)` measures the
 * step's forward pass: its call is the loss's, with that value and that effect on the states of `net`, and not one
 * more; which of the two stands first is no matter. So are remembered, while a training's body is walked, the calls
 * that write states, before the weights change; of all others it makes no difference. A call is the same if function
 * and arguments are. */
#include "frontend/value.h"

#include <string.h>

typedef struct Pair {
  const Node *a, *b;
} Pair;

typedef struct Comparison {
  Elaborator *x;
  Vec(Pair) same; /* nodes that compute the same */
  Vec(Expr *) reads;
} Comparison;

static bool same_nodes(Comparison *c, const Node *a, const Node *b);

static void collect_read(void *cx, Expr *e) {
  Comparison *c = cx;
  if (e->kind == EXPR_READ) vec_push(c->x->arena, &c->reads, e);
}

static Expr *read_of_other(void *cx, Expr *read) {
  const Comparison *c = cx;
  for (int i = 0; i < c->same.n; i++)
    if (c->same.at[i].b == read->node) return expr_read(c->x->ir, (Node *)c->same.at[i].a, read->at);
  return NULL;
}

/* Bodies are unique: b is a if it is that once it reads what a reads. */
static bool same_bodies(Comparison *c, Expr *a, Expr *b) {
  if (a == b) return true;
  if (!a || !b) return false;
  int from = c->reads.n;
  expr_visit(a, collect_read, c);
  int middle = c->reads.n, n = middle - from;
  expr_visit(b, collect_read, c);
  bool same = c->reads.n - middle == n;
  for (int i = 0; same && i < n; i++)
    same = same_nodes(c, c->reads.at[from + i]->node, c->reads.at[middle + i]->node);
  c->reads.n = from;
  ExprMap m = {.ir = c->x->ir, .read = read_of_other, .cx = c};
  return same && expr_map(&m, b) == a;
}

static bool same_nodes(Comparison *c, const Node *a, const Node *b) {
  if (a == b) return true;
  for (int i = 0; i < c->same.n; i++)
    if (c->same.at[i].a == a && c->same.at[i].b == b) return true;
  if (!a->body || a->kind != b->kind || !node_same_type(a, b) || a->nred != b->nred || a->reducer != b->reducer ||
      a->descending != b->descending || a->stream != b->stream || a->nin || b->nin || a->at || b->at)
    return false;
  for (int i = 0; i < a->nred; i++)
    if (a->red[i] != b->red[i]) return false;
  if (!same_bodies(c, a->body, b->body)) return false;
  vec_push(c->x->arena, &c->same, (Pair){a, b});
  return true;
}

static bool same_values(Comparison *c, const Value *a, const Value *b) {
  if (a == b) return true;
  if (!a || !b || a->kind != b->kind) return false;
  switch (a->kind) {
  case VALUE_INT: return a->dim == b->dim;
  case VALUE_REAL: return a->real == b->real;
  case VALUE_FLAG: return a->truth == b->truth;
  case VALUE_STRING: return !strcmp(a->text, b->text);
  case VALUE_INSTANCE: return a->instance == b->instance;
  case VALUE_TUPLE:
  case VALUE_ARRAY: {
    bool same = a->n == b->n;
    for (int i = 0; same && i < a->n; i++) same = same_values(c, a->items[i], b->items[i]);
    return same;
  }
  case VALUE_TENSOR:
    if (a->nprefix || b->nprefix || a->rank != b->rank || a->dtype != b->dtype ||
        !same_values(c, a->length, b->length))
      return false;
    return a->rank ? same_nodes(c, a->node, b->node) : same_bodies(c, a->expr, b->expr);
  default: return false;
  }
}

static bool same_functions(const Function *a, const Function *b) {
  return a->ast == b->ast && a->self == b->self && (a->self || a->env == b->env);
}

Value *call_made(Elaborator *x, const Function *f, CallArg *const *given) {
  for (int i = 0; i < x->made.n; i++) {
    CallMade *m = &x->made.at[i];
    Comparison c = {.x = x};
    bool same = (x->reporting || m->reported) && same_functions(m->function, f);
    for (int p = 0; same && p < f->ast->params->items.n; p++)
      same = same_values(&c, m->given[p], given[p] ? given[p]->value : NULL);
    if (!same) continue;
    for (int k = m->first; k <= i && !x->reporting; k++)
      x->made.at[k].reported = false;   /* the body's next one is another */
    x->frame = frame_enter(x, f->name); /* draws in later calls are named as if it were walked */
    return m->value;
  }
  return NULL;
}

/* Whether the weights are those that the step began with. */
static bool weights_are_first(const Elaborator *x) {
  for (int i = 0; i < x->current.n; i++)
    if (x->current.at[i].value && x->current.at[i].source->trained) return false;
  return true;
}

void call_remember(Elaborator *x, const Function *f, CallArg *const *given, int first, Value *v) {
  if (!x->counters || !v || x->stack.n || x->loop || x->repeat || !weights_are_first(x)) return;
  int n = f->ast->params->items.n;
  CallMade m = {f, NEW_ARRAY(x->arena, Value *, n + 1), v, first, x->reporting};
  for (int p = 0; p < n; p++) m.given[p] = given[p] ? given[p]->value : NULL;
  vec_push(x->arena, &x->made, m);
}
