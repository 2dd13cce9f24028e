/* emit_sort.c - the stable order of a tensor's rows: the keys of a row are computed in vectors into scratch memory,
 * then put in order by the runtime, whose sort by digits compares nothing. A row is one owner's. */
#include "codegen/cpu/emit.h"
#include "runtime/sort.h"

typedef struct Sort {
  Emit *e;
  const Member *m;
  Var **index; /* of the result: the grid's, and the row's */
  Form **at;
  Expr *key;
  Value keys; /* address in scratch memory */
} Sort;

static void store_keys(Emit *e, void *cx, Value *carried, int instance) {
  (void)carried, (void)instance;
  const Sort *s = cx;
  Lanes at = emit_form(e, s->at[s->m->node->rank - 1]);
  emit_store(e, s->keys, s->m->node->body->dtype, at, emit_expr(e, s->key));
}

static Value order_function(Emit *e, Type *type) {
  Build *b = &e->b;
  *type = LLVMFunctionType(b->none, (Type[]){b->ptr, b->i64, b->i64, b->i64, b->ptr, b->ptr}, 6, false);
  Value f = LLVMGetNamedFunction(e->m->module, "nnrt_sort");
  return f ? f : LLVMAddFunction(e->m->module, "nnrt_sort", *type);
}

static void order_row(Sort *s, Value n) {
  Emit *e = s->e;
  Build *b = &e->b;
  const Node *node = s->m->node;
  Form *row[8];
  for (int i = 0; i < node->rank; i++) row[i] = i < node->rank - 1 ? s->at[i] : form_const(e->ir, 0);
  Value at = emit_element(e, node, row).base, type = index64(b, node->body->dtype);
  emit_enter(e, e->depth);
  Value order = LLVMBuildGEP2(b->b, b->i32, emit_operand(e, s->m->buffer), &at, 1, "");
  Type t;
  Value f = order_function(e, &t);
  Value args[] = {s->keys, type, n, index64(b, node->descending), order, e->scratch};
  LLVMBuildCall2(b->b, t, f, args, 6, "");
}

static void sort_row(Sort *s) {
  Emit *e = s->e;
  int last = s->m->node->rank - 1;
  Value n = emit_dim(e, s->m->node->shape[last]);
  lane_loop(e, s->index[last], index64(&e->b, 0), n, 1, NULL, 0, store_keys, s);
  order_row(s, n);
}

static void rows_from(Sort *s, int i, Value from, Value to) {
  Emit *e = s->e;
  if (i == e->k->ngrid) {
    sort_row(s);
    return;
  }
  Loop l;
  loop_open(e, &l, from, to, 1, NULL, 0);
  emit_bind(e, s->index[i], lanes_scalar(l.index));
  Value n = i + 1 < e->k->ngrid ? emit_dim(e, e->k->grid[i + 1]) : NULL;
  rows_from(s, i + 1, index64(&e->b, 0), n);
  loop_close(e, &l, NULL);
}

static void sort_unit(void *cx, Value from, Value to) {
  Sort *s = cx;
  Emit *e = s->e;
  int outer = e->grid_depth;
  e->grid_depth = e->depth;
  rows_from(s, e->k->cut, from, to);
  e->grid_depth = outer;
}

void emit_sort(Emit *e) {
  Sort s = {.e = e, .m = &e->k->members.at[0]};
  const Node *n = s.m->node;
  s.index = NEW_ARRAY(e->arena, Var *, n->rank);
  s.at = NEW_ARRAY(e->arena, Form *, n->rank);
  for (int i = 0; i < n->rank; i++) {
    s.index[i] = var_fresh(e->ir, n->shape[i]);
    s.at[i] = form_var(e->ir, s.index[i]);
  }
  s.key = emit_at(e, n->body, s.at);
  Value work = imul(&e->b, emit_dim(e, n->shape[n->rank - 1]), index64(&e->b, NNRT_SORT_BYTES));
  emit_enter(e, 0);
  s.keys = LLVMBuildGEP2(e->b.b, e->b.i8, e->scratch, &work, 1, "");
  e->why = "a row's keys are put in order by the runtime";
  emit_units(e, s.index, sort_unit, &s);
}
