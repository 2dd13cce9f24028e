/* emit_scatter.c - adds at data indices, or keeps the largest. Each unit owns a range of the result's positions: it
 * zeroes them, or makes them -1, then goes through all sources in order and adds those that fall into its range; so
 * there are no atomics, and the same bits for any number of threads. Sources that lie beside each other in the result
 * are added as vectors, of a row that has another owner none is looked at. */
#include "codegen/cpu/emit.h"

typedef struct Scatter {
  Emit *e;
  const Member *m;
  Var **grid;
  Value from, to; /* of result index k->cut */
  Var **source;   /* the node's reduction indices */
  Form **at;      /* the result's position over them */
  Expr *value;
  Value one;      /* that of the source at hand */
  bool row_owned; /* a branch has asked already whether the row is the unit's */
} Scatter;

static Buffer *target(const Scatter *s) { return s->m->buffer; }

static Value bytes_of(Emit *e, const Node *n, int from_slot) {
  Value v = index64(&e->b, dtype_bytes(n->dtype));
  for (int i = from_slot; i < n->rank; i++) v = imul(&e->b, v, emit_dim(e, n->shape[i]));
  return v;
}

/* The owned positions are consecutive in memory: the range of index `cut`, and all that is inside. */
static void clear_range(Scatter *s) {
  Emit *e = s->e;
  const Node *n = s->m->node;
  int cut = e->k->cut;
  Value row = index64(&e->b, 0);
  for (int i = 0; i < cut; i++)
    row = iadd(&e->b, imul(&e->b, row, emit_dim(e, n->shape[i])), emit_form(e, form_var(e->ir, s->grid[i])).base);
  if (n->rank) row = iadd(&e->b, imul(&e->b, row, emit_dim(e, n->shape[cut])), s->from);
  Value stride = bytes_of(e, n, cut + 1), offset = imul(&e->b, row, stride);
  Value count = n->rank ? imul(&e->b, isub(&e->b, s->to, s->from), stride) : stride;
  emit_enter(e, e->depth);
  Value p = LLVMBuildGEP2(e->b.b, e->b.i8, emit_operand(e, target(s)), &offset, 1, "");
  LLVMBuildMemSet(e->b.b, p, int_const(e->b.i8, n->reducer == RED_max ? 0xFF : 0), count, 4);
}

/* Whether the source at the loops' indices falls into the unit's range. */
static Value owned(Scatter *s) {
  Emit *e = s->e;
  Build *b = &e->b;
  Value p = NULL;
  for (int i = 0; i <= e->k->cut && i < s->m->node->rank; i++) {
    Lanes l = emit_form(e, s->at[i]);
    Value x = l.vector || l.step ? lanes_vector(e, l, b->i64) : l.base;
    if (i < e->k->cut) {
      p = both(b, p, icmp(b, LLVMIntEQ, x, emit_form(e, form_var(e->ir, s->grid[i])).base));
      continue;
    }
    p = both(b, p, icmp(b, LLVMIntSGE, x, s->from));
    p = both(b, p, icmp(b, LLVMIntSLT, x, s->to));
  }
  return p;
}

/* result[at] += value, or what the reducer is, in the lanes of e->tail. */
static void add_here(Scatter *s, Value value) {
  Emit *e = s->e;
  const Node *n = s->m->node;
  Lanes at = emit_element(e, n, s->at);
  Value p = emit_operand(e, target(s)), a[3] = {emit_load(e, p, n->dtype, at, NULL), value, NULL};
  emit_store(e, p, n->dtype, at, emit_scalar(&e->b, n->reducer == RED_max ? OP_max : OP_add, n->dtype, n->dtype, a));
}

static void add_lanes(Emit *e, void *cx, Value *carried, int instance) {
  (void)carried, (void)instance;
  Scatter *s = cx;
  Value outer = e->tail, value = emit_expr(e, s->value);
  if (!s->row_owned) e->tail = both(&e->b, outer, splat(&e->b, owned(s), e->lanes));
  add_here(s, value);
  e->tail = outer;
}

static void add_one_here(void *cx) {
  Scatter *s = cx;
  add_here(s, s->one);
}

/* One source. */
static void add_one(Scatter *s) {
  s->one = emit_expr(s->e, s->value);
  emit_if(s->e, owned(s), add_one_here, s);
}

static void add_row(void *cx) {
  Scatter *s = cx;
  Var *last = s->source[s->m->node->nred - 1];
  lane_loop(s->e, last, index64(&s->e->b, 0), emit_dim(s->e, last->extent), 1, NULL, 0, add_lanes, s);
}

/* The sources along the last index, all in one row: if that is the unit's. */
static void add_if_owned(Scatter *s, Var *last) {
  bool within = true;
  for (int i = 0; i <= s->e->k->cut; i++) within = within && !form_uses(s->at[i], last);
  s->row_owned = within;
  emit_if(s->e, within ? owned(s) : NULL, add_row, s);
}

/* Neighbours of the last source index are neighbours in the result, for any data. */
static bool in_lanes(const Scatter *s, const Var *last) {
  Form *flat = flat_address(s->e, s->m->node, s->at);
  return flat && form_coefficient(flat, last) == 1 && !form_divides(flat, last);
}

/* The loop around the kernel whose step source index i is; -1: it is none. */
static int step_of(const Scatter *s, int i) {
  for (int k = 0; k < s->e->k->times; k++)
    if (form_as_var(s->at[k]) == s->source[i]) return k;
  return -1;
}

static void source_loops(Scatter *s, int i) {
  Emit *e = s->e;
  const Node *n = s->m->node;
  if (i == n->nred) {
    add_one(s);
    return;
  }
  int step = step_of(s, i);
  if (step >= 0) {
    emit_bind(e, s->source[i],
              lanes_scalar(step < e->k->cut ? emit_form(e, form_var(e->ir, s->grid[step])).base : s->from));
    source_loops(s, i + 1);
    return;
  }
  Value from = index64(&e->b, 0), to = emit_dim(e, n->red[i]);
  if (i == n->nred - 1 && in_lanes(s, s->source[i])) {
    add_if_owned(s, s->source[i]);
    return;
  }
  Loop l;
  loop_open(e, &l, from, to, 1, NULL, 0);
  emit_bind(e, s->source[i], lanes_scalar(l.index));
  source_loops(s, i + 1);
  loop_close(e, &l, NULL);
}

static void scatter_unit(void *cx, Value from, Value to) {
  Scatter *s = cx;
  Emit *e = s->e;
  s->from = from;
  s->to = to;
  int outer = e->grid_depth;
  e->grid_depth = e->depth;
  clear_range(s);
  source_loops(s, 0);
  e->grid_depth = outer;
}

void emit_scatter(Emit *e) {
  Kernel *k = e->k;
  Scatter s = {.e = e, .m = &k->members.at[0]};
  const Node *n = s.m->node;
  s.grid = NEW_ARRAY(e->arena, Var *, k->ngrid + 1);
  for (int i = 0; i < k->ngrid; i++) s.grid[i] = var_fresh(e->ir, k->grid[i]);
  s.source = NEW_ARRAY(e->arena, Var *, n->nred + 1);
  Form **slots = NEW_ARRAY(e->arena, Form *, n->nred + 1);
  for (int i = 0; i < n->nred; i++) {
    s.source[i] = var_fresh(e->ir, n->red[i]);
    slots[i] = form_var(e->ir, s.source[i]);
  }
  s.at = NEW_ARRAY(e->arena, Form *, n->rank + 1);
  for (int i = 0; i < n->rank; i++) s.at[i] = form_at_slots(e->ir, n->at[i], slots);
  s.value = emit_at(e, n->body, slots);
  if (n->nred == 0 || !in_lanes(&s, s.source[n->nred - 1])) e->why = "each value goes to a place that the data says";
  if (n->rank) {
    emit_units(e, s.grid, scatter_unit, &s);
    return;
  }
  Loop once; /* one unit: one owner */
  loop_open(e, &once, e->begin, e->end, 1, NULL, 0);
  scatter_unit(&s, index64(&e->b, 0), index64(&e->b, 1));
  loop_close(e, &once, NULL);
}
