/* lanes.c - see lanes.h. A read or a result runs with the index where neighbours lie side by side and the first, at a
 * multiple of the width, is at a multiple of it in memory too, which begins at a multiple of 64 bytes. */
#include "codegen/cuda/lanes.h"

enum { MOST = 8 /* lanes */, MOST_BYTES = 256 /* in a thread's registers */ };

Lanes lanes_along(Text *t, Var *v) {
  return (Lanes){.t = t, .var = v, .first = var_fresh(t->ir, v->extent), .width = 1};
}

/* ---- what there is ---- */

void lanes_store(Lanes *l, const Buffer *b, const Node *n, Form **at, const char *unless) {
  vec_push(l->t->arena, &l->beside, (Beside){.buffer = b, .node = n, .at = at, .unless = unless});
}

void lanes_make(Lanes *l, const Node *n) { vec_push(l->t->arena, &l->made, n); }

static bool is_made(const Lanes *l, const Node *n) {
  for (int i = 0; i < l->made.n; i++)
    if (l->made.at[i] == n) return true;
  return false;
}

static void add_read(void *cx, Expr *x) {
  Lanes *l = cx;
  if (x->kind != EXPR_READ || is_made(l, x->node) || text_is_known(l->t, x) || !read_is_inside(l->t->ir, x)) return;
  for (int i = 0; i < l->beside.n; i++)
    if (l->beside.at[i].read == x) return;
  vec_push(l->t->arena, &l->beside, (Beside){.read = x, .node = x->node, .at = x->at});
}

void lanes_read(Lanes *l, Expr *x) {
  if (x) expr_visit(x, add_read, l);
}

/* ---- how many ---- */

enum { WIDEST = 16, LEAST = 4 /* bytes of an access */ };

/* Marks those that run at this width. The bytes of a lane's, or 0: no access is as narrow as one may be. */
static int bytes_of_lane(Lanes *l, int width) {
  int bytes = 0, narrowest = WIDEST + 1;
  for (int i = 0; i < l->beside.n; i++) {
    Beside *b = &l->beside.at[i];
    int size = dtype_bytes(b->node->dtype);
    b->runs = size * width >= LEAST && text_lies_along(l->t, b->node, b->at, l->var, width);
    if (!b->runs) continue;
    bytes += size;
    if (size < narrowest) narrowest = size;
  }
  return narrowest * width <= WIDEST ? bytes : 0;
}

/* As many as make the narrowest type's access 16 bytes, or fewer. */
int lanes_choose(Lanes *l) {
  for (l->width = MOST; l->width > 1; l->width /= 2) {
    int bytes = dim_is_multiple(l->var->extent, l->width) ? bytes_of_lane(l, l->width) : 0;
    if (bytes && bytes * l->width <= MOST_BYTES) break;
  }
  return l->width;
}

/* ---- text ---- */

void text_move(Text *t, const char *to, const char *from, int bytes) {
  for (int at = 0; at < bytes; at += WIDEST) {
    if (at == 0) text_line(t, "nn_move_%d(%s, %s);", bytes < WIDEST ? bytes : WIDEST, to, from);
    else text_line(t, "nn_move_%d((char *)(%s) + %d, (const char *)(%s) + %d);", WIDEST, to, at, from, at);
  }
}

/* f, with the lane replaced by the first. */
static Form *at_first(const Lanes *l, Form *f) {
  Ir *ir = l->t->ir;
  Form *change = form_sub(ir, form_var(ir, l->first), form_var(ir, l->var));
  return form_add(ir, f, form_scale(ir, change, form_coefficient(f, l->var)));
}

static const char *address(const Lanes *l, const Beside *b) {
  Form **at = NEW_ARRAY(l->t->arena, Form *, b->node->rank + 1);
  for (int i = 0; i < b->node->rank; i++) at[i] = at_first(l, b->at[i]);
  return text_printf(l->t, "&%s", text_element(l->t, b->buffer, b->node, at));
}

static int bytes_of(const Lanes *l, const Beside *b) { return l->width * dtype_bytes(b->node->dtype); }

static void bring(const Lanes *l, Beside *b) {
  Text *t = l->t;
  b->name = text_name(t, 'w');
  text_line(t, "NN_WIDE %s %s[%d];", type_in_memory(b->node->dtype), b->name, l->width);
  if (!b->read && !b->unless) return;
  if (b->unless) text_open(t, "if (!(%s))", b->unless);
  text_move(t, b->name, address(l, b), bytes_of(l, b));
  if (b->unless) text_close(t);
}

void lanes_open(Lanes *l, const char *first) {
  Text *t = l->t;
  text_bind(t, l->first, first);
  for (int i = 0; i < l->beside.n; i++)
    if (l->beside.at[i].runs) bring(l, &l->beside.at[i]);
  l->lane = text_name(t, 'j');
  text_line(t, "NN_UNROLL");
  text_open(t, "for (int %s = 0; %s < %d; %s++)", l->lane, l->lane, l->width, l->lane);
  const char *x = text_name(t, 'x');
  text_line(t, "const %s %s = %s + %s;", text_index_type(l->var->extent), x, first, l->lane);
  text_bind(t, l->var, x);
  t->lanes = l;
  for (int i = 0; i < l->beside.n; i++) {
    const Beside *b = &l->beside.at[i];
    if (!b->runs || !b->read) continue;
    const char *v = text_name(t, 'v'), *place = text_printf(t, "%s[%s]", b->name, l->lane);
    text_line(t, "const %s %s = %s;", type_name(b->node->dtype), v, text_loaded(t, b->node->dtype, place));
    text_known(t, b->read, v);
  }
}

void lanes_close(Lanes *l) {
  Text *t = l->t;
  t->lanes = NULL;
  text_close(t);
  for (int i = 0; i < l->beside.n; i++) {
    const Beside *b = &l->beside.at[i];
    if (b->runs && !b->read) text_move(t, address(l, b), b->name, bytes_of(l, b));
  }
}

const char *lanes_place(const Lanes *l, const Node *n, Form **at) {
  for (int i = 0; i < l->beside.n; i++) {
    const Beside *b = &l->beside.at[i];
    bool same = b->runs && !b->read && b->node == n;
    for (int d = 0; same && d < n->rank; d++) same = b->at[d] == at[d];
    if (same) return text_printf(l->t, "%s[%s]", b->name, l->lane);
  }
  return NULL;
}
