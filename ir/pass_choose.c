/* pass_choose.c - reads of what is zero where a scalar condition decides so, as a choice: select(c, x, 0).
 *
 * In, out: a graph without grad. The derivative of select(c, a, b) goes into a and into b, into each with zeros where
 * the other is chosen, and both are added up. With this, what is computed from zeros alone is wanted only where it is
 * something else, and its kernels are left out (choice.h). After derive, which makes the zeros, and before fuse,
 * which hides them. A value that is infinite or no number where it is not chosen does not make the sum so any more.
 */
#include "ir/choice.h"
#include "ir/cost.h"
#include "ir/pass.h"

typedef struct Choosing {
  Graph *g;
  const Choices *c;
  const Node *reader;
} Choosing;

/* Where the read is zero, its reader is not, and nothing says yet that it is not wanted there. */
static Literals in_vain(const Choosing *s, const Node *n) {
  Literals zero = s->c->zero[n->id];
  return ~zero ? zero & ~s->c->zero[s->reader->id] & ~literals_not(s->c->wanted[n->id]) : 0;
}

static Expr *chosen(void *cx, Expr *read) {
  Choosing *s = cx;
  Ir *ir = s->g->ir;
  Literals vain = dtype_is_float(read->dtype) ? in_vain(s, read->node) : 0;
  Expr *e = read, *zero = expr_real(ir, read->dtype, 0);
  for (int i = 0; i < s->c->n; i++) {
    Expr *condition = expr_read(ir, s->c->condition[i], NULL);
    if (vain & literal(i, false)) e = expr_select(ir, condition, e, zero);
    if (vain & literal(i, true)) e = expr_select(ir, condition, zero, e);
  }
  return e == read ? NULL : e;
}

bool pass_choose(Graph *g, PassContext *cx) {
  (void)cx;
  Arena *scratch = arena_new();
  Choices choices = choices_find(g, scratch);
  int n = g->nodes.n;
  bool changed = false;
  for (int i = 0; choices.n && i < n; i++) {
    Node *reader = g->nodes.at[i];
    Choosing s = {g, &choices, reader};
    ExprMap m = {.ir = g->ir, .read = chosen, .cx = &s};
    if (reader->kind != NODE_comp && reader->kind != NODE_scatter) continue;
    Expr *body = expr_map(&m, reader->body);
    if (body == reader->body) continue;
    Node *now = graph_with_body(g, reader, body, reader->at);
    now->name = reader->name;
    reader->forward = now;
    changed = true;
  }
  arena_free(scratch);
  if (changed) graph_renew(g);
  return changed;
}
