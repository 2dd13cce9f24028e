/* box.c - what the unit for copies of boxes moves (TMA, sm_90a): operands that are reads without guards, and results,
 * whose place in memory is a sum of strides times the indices of K, of the lines and of the batch. A box is 128 bytes
 * of the index that runs with memory, times lines or steps of K; what of it is outside the tensor comes as 0, and is
 * not written. Everything else comes and goes by threads. */
#include "codegen/cuda/slice.h"

typedef struct Boxes {
  const Product *p;
  CudaMap *map;
  const Node *node;
  Form **at;
} Boxes;

/* What the element's number grows by with v; NULL: it is not so simple. */
static Dim *step_of(const Boxes *b, const Var *v) {
  Ir *ir = b->p->t->ir;
  Dim *step = dim_const(ir, 0), *stride = dim_const(ir, 1);
  for (int i = b->node->rank - 1; i >= 0; i--) {
    int64_t own = form_coefficient(b->at[i], v);
    Form *rest = form_sub(ir, b->at[i], form_scale(ir, form_var(ir, (Var *)(uintptr_t)v), own));
    if (form_uses(rest, v)) return NULL;
    step = dim_add(ir, step, dim_mul(ir, stride, dim_const(ir, own)));
    stride = dim_mul(ir, stride, node_kept_extent(ir, b->node, i));
  }
  return step;
}

/* Of indices that are counted through: one step from each position to the next. NULL: they lie otherwise. */
static Dim *step_of_all(const Boxes *b, const Slots *s) {
  Dim *step = s->n ? step_of(b, s->var[s->n - 1]) : NULL, *next = step;
  for (int i = s->n - 2; i >= 0 && next; i--) {
    next = dim_mul(b->p->t->ir, next, s->extent[i + 1]);
    if (step_of(b, s->var[i]) != next) return NULL;
  }
  return next ? step : NULL;
}

static bool is_positive(const Dim *d) {
  for (int i = 0; i < d->n; i++)
    if (d->terms[i].coefficient <= 0) return false;
  return d->n > 0;
}

static void move_dimension(CudaMap *m, int from, int to) {
  m->extent[to] = m->extent[from];
  m->step[to] = m->step[from];
  m->box[to] = m->box[from];
  m->coordinate[to] = m->coordinate[from];
}

/* Where each step is a multiple of the one before, which the driver asks for. */
static bool add_dimension(Boxes *b, Dim *extent, Dim *step, int box, const char *coordinate) {
  Ir *ir = b->p->t->ir;
  CudaMap *m = b->map;
  if (!step || !is_positive(step) || m->rank == CUDA_MAP_RANK) return false;
  int at = m->rank++;
  for (; at > 1 && !dim_exact_div(ir, step, m->step[at - 1]); at--) move_dimension(m, at - 1, at);
  m->extent[at] = extent;
  m->step[at] = step;
  m->box[at] = box;
  m->coordinate[at] = coordinate;
  return at == m->rank - 1 || dim_exact_div(ir, m->step[at + 1], step);
}

/* Every index that it uses is one of the product's, and is added; what else there is, is one number. */
static bool is_plain(const Boxes *b, int64_t *offset) {
  Ir *ir = b->p->t->ir;
  Dim *first = dim_const(ir, 0), *stride = dim_const(ir, 1);
  for (int i = b->node->rank - 1; i >= 0; i--) {
    const Form *f = b->at[i];
    for (int j = 0; j < f->n; j++)
      if (f->terms[j].atom->kind != ATOM_VAR) return false;
    first = dim_add(ir, first, dim_mul(ir, stride, dim_const(ir, f->c0)));
    stride = dim_mul(ir, stride, node_kept_extent(ir, b->node, i));
  }
  return dim_is_const(first, offset);
}

static bool add_batch(Boxes *b) {
  const Product *p = b->p;
  for (int i = 0; i < p->batch.n; i++) {
    int64_t c;
    Dim *step = step_of(b, p->batch.var[i]);
    if (step && dim_is_const(step, &c) && c == 0) continue;
    if (!add_dimension(b, p->batch.extent[i], step, 1, text_form(p->t, form_var(p->t->ir, p->batch.var[i]))))
      return false;
  }
  return true;
}

static bool begin_map(Boxes *b, const Node *n, Form **at, int operand, DType type) {
  b->at = at;
  b->node = schedule_layout(b->p->t->s, n, &b->at);
  *b->map = (CudaMap){.operand = operand, .type = type};
  return is_plain(b, &b->map->first);
}

bool box_of(const Slices *x, const Operand *o, CudaMap *map) {
  Text *t = x->p->t;
  const Expr *read = expr_plain_read(o->value);
  if ((o->way != ALONG_K && o->way != ACROSS_K) || expr_is_guarded(o->value)) return false;
  Boxes b = {.p = x->p, .map = map};
  if (!begin_map(&b, read->node, read->at, text_operand(t, read), x->type)) return false;
  Dim *of_k = step_of_all(&b, &x->p->k), *of_line = step_of_all(&b, o->line);
  bool along = o->way == ALONG_K;
  int lines = o->lines, across = along ? x->steps : 64;
  const char *k = text_printf(t, "slice * %d", x->steps), *line = o->first;
  if (!add_dimension(&b, along ? x->p->k.volume : o->line->volume, along ? of_k : of_line, across,
                     along ? k : line) ||
      !add_dimension(&b, along ? o->line->volume : x->p->k.volume, along ? of_line : of_k, along ? lines : x->steps,
                     along ? line : k))
    return false;
  return add_batch(&b);
}

bool box_of_result(const Product *p, const Member *m, int lines, const char *first, const char *column,
                   CudaMap *map) {
  Text *t = p->t;
  DType type = m->node->dtype;
  int width = CHUNK / dtype_bytes(type);
  Boxes b = {.p = p, .map = map};
  if (type != DT_f32 && !type_is_narrow(type)) return false;
  if (p->n.n == 0 || !dim_is_multiple(p->n.extent[p->n.n - 1], width)) return false;
  if (!text_lies_along(t, m->node, p->at, p->n.var[p->n.n - 1], width)) return false;
  return begin_map(&b, m->node, p->at, text_operand_of(t, m->buffer), type) &&
         add_dimension(&b, p->n.volume, step_of_all(&b, &p->n), ROW / dtype_bytes(type), column) &&
         add_dimension(&b, p->m.volume, step_of_all(&b, &p->m), lines, first) && add_batch(&b);
}

int cuda_map_type(DType t) { return t == DT_f32 ? 7 : t == DT_bf16 ? 9 : 6; }
