/* interpret.c - see interpret.h: binds inputs and open dimensions, then evaluates node by node, in their order; the
 * nodes of a loop step by step. */
#include "ir/evaluate.h"
#include "ir/scalar.h"

#include <math.h>
#include <string.h>

int64_t tensor_count(const Tensor *t) {
  int64_t n = 1;
  for (int i = 0; i < t->rank; i++) n *= t->extent[i];
  return n;
}

typedef struct Run {
  Graph *g;
  Interpretation *in;
  Arena *scratch; /* for the nodes being evaluated: one, or those of a loop */
  int programs;   /* made so far */
  const char *error;
} Run;

static void fail(Run *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void fail(Run *r, const char *format, ...) {
  if (r->error) return;
  Buf b = {0};
  va_list args;
  va_start(args, format);
  buf_vprintf(&b, format, args);
  va_end(args);
  r->error = arena_strndup(r->in->arena, b.text, b.n);
  buf_free(&b);
}

/* ---- open dimensions ---- */

static bool find_dim(const Interpretation *in, const DimAtom *s, int64_t *value) {
  for (int i = 0; i < in->dims.n; i++) {
    if (in->dims.at[i].symbol != s) continue;
    *value = in->dims.at[i].value;
    return true;
  }
  return false;
}

static int64_t dim_of(void *cx, DimAtom *s) {
  Run *r = cx;
  int64_t v = 1;
  if (!find_dim(r->in, s, &v)) fail(r, "the extent %s is not known from any input", s->name);
  return v;
}

static int64_t extent_of(Run *r, const Dim *d) {
  int64_t v = dim_evaluate(d, dim_of, r);
  if (v < 0) fail(r, "an extent is negative: %s", dim_text(r->in->arena, d));
  return v < 0 ? 0 : v;
}

static const Tensor *find_given(const Interpretation *in, Str name) {
  for (int i = 0; i < in->given.n; i++)
    if (in->given.at[i].name == name || !strcmp(in->given.at[i].name, name)) return &in->given.at[i].tensor;
  return NULL;
}

static bool is_source(const Node *n) {
  return n->kind == NODE_input || n->kind == NODE_param || n->kind == NODE_state;
}

/* An extent that is just a symbol takes its value from the given tensor. */
static void bind_dims(Run *r) {
  for (int i = 0; i < r->g->nodes.n; i++) {
    const Node *n = r->g->nodes.at[i];
    const Tensor *t = is_source(n) ? find_given(r->in, n->name) : NULL;
    if (!t || t->rank != n->rank) continue;
    for (int k = 0; k < n->rank; k++) {
      DimAtom *s = dim_as_symbol(n->shape[k]);
      int64_t known;
      if (!s || find_dim(r->in, s, &known)) continue;
      vec_push(r->in->arena, &r->in->dims, (DimBinding){s, t->extent[k]});
    }
  }
}

/* ---- tensors ---- */

static DType result_type(const Run *r, const Node *n) {
  return r->in->f64 && dtype_is_float(n->dtype) ? DT_f64 : n->dtype;
}

static Tensor new_tensor(Run *r, const Node *n) {
  Tensor t = {.dtype = result_type(r, n), .rank = n->rank};
  for (int i = 0; i < n->rank; i++) t.extent[i] = extent_of(r, n->shape[i]);
  t.data = arena_alloc(r->in->arena, (size_t)tensor_count(&t) * (size_t)dtype_bytes(t.dtype));
  return t;
}

/* A copy of `from` with the type that n is evaluated in. */
static Tensor converted(Run *r, const Node *n, const Tensor *from) {
  Tensor t = *from;
  t.dtype = result_type(r, n);
  if (t.dtype == from->dtype) return t;
  int64_t count = tensor_count(from);
  t.data = arena_alloc(r->in->arena, (size_t)count * (size_t)dtype_bytes(t.dtype));
  for (int64_t i = 0; i < count; i++) {
    if (dtype_is_float(t.dtype)) dtype_store_real(t.dtype, t.data, i, dtype_load_real(from->dtype, from->data, i));
    else dtype_store_int(t.dtype, t.data, i, dtype_load_int(from->dtype, from->data, i));
  }
  return t;
}

static Tensor given_tensor(Run *r, const Node *n) {
  const Tensor *t = find_given(r->in, n->name);
  Tensor none = {.dtype = result_type(r, n)};
  if (!t) {
    fail(r, "no value is given for %s", n->name);
    return none;
  }
  bool fits = t->rank == n->rank && dtype_is_float(t->dtype) == dtype_is_float(n->dtype);
  for (int i = 0; i < n->rank && fits; i++) fits = t->extent[i] == extent_of(r, n->shape[i]);
  if (!fits) fail(r, "the value given for %s does not fit its type or shape", n->name);
  return fits ? converted(r, n, t) : none;
}

static Tensor const_tensor(Run *r, const Node *n) {
  Tensor t = {.dtype = n->dtype, .rank = n->rank, .data = n->data};
  for (int i = 0; i < n->rank; i++) t.extent[i] = dim_value(n->shape[i]);
  return converted(r, n, &t);
}

/* ---- loops over the points of a comprehension ---- */

typedef struct Points {
  int slots;
  int64_t extent[32], from[32], at[32];
  int64_t *index[32]; /* by slot: EVAL_BLOCK values */
  int64_t left;       /* points not yet given */
} Points;

static void points_start(Run *r, Points *p, const Node *n) {
  int results = node_result_slots(n);
  p->slots = results + n->nred;
  if (p->slots > 32) ice("interpret: node %d has %d indices", n->id, p->slots);
  for (int i = 0; i < p->slots; i++) {
    p->extent[i] = extent_of(r, i < results ? n->shape[i] : n->red[i - results]);
    p->from[i] = 0;
    p->index[i] = NEW_ARRAY(r->scratch, int64_t, EVAL_BLOCK);
  }
}

static void points_rewind(Points *p) {
  p->left = 1;
  for (int i = 0; i < p->slots; i++) {
    p->at[i] = 0;
    p->left *= p->extent[i];
  }
}

/* `n` points in which only the last slot moves, from place k of the block on. */
static void fill_run(Points *p, int k, int n) {
  for (int i = 0; i < p->slots - 1; i++)
    for (int j = 0; j < n; j++) p->index[i][k + j] = p->from[i] + p->at[i];
  int last = p->slots - 1;
  for (int j = 0; j < n; j++) p->index[last][k + j] = p->from[last] + p->at[last] + j;
  p->at[last] += n;
  for (int i = last; i > 0 && p->at[i] == p->extent[i]; i--) {
    p->at[i] = 0;
    p->at[i - 1]++;
  }
}

/* Fills the next block, the last slot fastest; returns its size, 0 at the end. */
static int points_next(Points *p) {
  int n = p->left < EVAL_BLOCK ? (int)p->left : EVAL_BLOCK;
  p->left -= n;
  for (int k = 0, run; k < n && p->slots; k += run) {
    int64_t rest = p->extent[p->slots - 1] - p->at[p->slots - 1];
    run = rest < n - k ? (int)rest : n - k;
    fill_run(p, k, run);
  }
  return n;
}

static Program *node_program(Run *r) {
  EvalContext cx = {.arena = r->scratch, .values = r->in->values, .f64 = r->in->f64, .dim = dim_of, .dim_cx = r};
  cx.jitter = r->in->jitter;
  cx.seed = r->in->seed + ((uint64_t)r->programs++ << 32);
  return program_new(&cx);
}

static void check_inside(const Node *n, const Register *v, int count) {
  if (!v->any_outside) return;
  for (int k = 0; k < count; k++)
    if (v->outside[k]) ice("node %%%d reads outside a tensor", n->id);
}

static void store_value(Tensor *t, int64_t at, const Register *v, int k) {
  if (v->real) dtype_store_real(t->dtype, t->data, at, v->real[k]);
  else dtype_store_int(t->dtype, t->data, at, v->integer[k]);
}

/* A comp or scatter made ready: its body as a program, and the part of its result that a run fills. */
typedef struct Body {
  const Node *n;
  Points points;
  Program *program;
  Register *value, *at[9]; /* at: of a scatter */
  Tensor *out;
  int64_t from, count; /* elements of the result */
} Body;

static void body_start(Run *r, Body *b, const Node *n, Tensor *out) {
  *b = (Body){.n = n, .out = out, .count = tensor_count(out)};
  points_start(r, &b->points, n);
  b->program = node_program(r);
  b->value = program_expr(b->program, n->body);
  for (int i = 0; n->kind == NODE_scatter && i < n->rank; i++) b->at[i] = program_form(b->program, n->at[i]);
}

/* The slot of the index that is step number `axis` of n. */
static int step_slot(const Node *n, int axis) {
  return n->kind == NODE_scatter ? form_as_var(n->at[axis])->slot : axis;
}

/* Limits a body to one step; `position` counts the steps of all its loops, row-major. */
static void body_at_step(Body *b, int64_t position) {
  int64_t rest = position, steps = 1;
  for (int i = node_times(b->n); i-- > 0;) {
    int64_t extent = b->out->extent[i];
    int slot = step_slot(b->n, i);
    b->points.from[slot] = rest % extent;
    b->points.extent[slot] = 1;
    rest /= extent;
    steps *= extent;
  }
  b->count = tensor_count(b->out) / steps;
  b->from = position * b->count;
}

static void run_map(Run *r, Body *b) {
  int64_t at = b->from;
  for (int count; !r->error && (count = points_next(&b->points)) > 0; at += count) {
    program_run(b->program, count, b->points.index);
    check_inside(b->n, b->value, count);
    for (int k = 0; k < count; k++) store_value(b->out, at + k, b->value, k);
  }
}

/* ---- reductions ---- */

typedef struct Reduction {
  double real;     /* the running sum, product or extreme of floats */
  int64_t integer; /* of integers and bools */
  int64_t best;    /* argmax, argmin: its position */
} Reduction;

static Reduction identity(Reducer red) {
  bool one = red == RED_prod || red == RED_all;
  return (Reduction){one ? 1 : 0, one ? 1 : 0, 0};
}

/* Whether b replaces a as the extreme: strictly better, or the first NaN. */
static bool better(Reducer red, double a, double b) {
  if (isnan(a)) return false;
  return isnan(b) || (red == RED_max || red == RED_argmax ? b > a : b < a);
}

static bool better_int(Reducer red, int64_t a, int64_t b) {
  return red == RED_max || red == RED_argmax ? b > a : b < a;
}

static void reduce(Reducer red, Reduction *s, int64_t position, double real, int64_t integer, bool floats) {
  switch (red) {
  case RED_sum:
    s->real += real;
    s->integer = (int64_t)((uint64_t)s->integer + (uint64_t)integer);
    break;
  case RED_prod:
    s->real *= real;
    s->integer = (int64_t)((uint64_t)s->integer * (uint64_t)integer);
    break;
  case RED_any: s->integer |= integer != 0; break;
  case RED_all: s->integer &= integer != 0; break;
  default:
    if (position && !(floats ? better(red, s->real, real) : better_int(red, s->integer, integer))) break;
    *s = (Reduction){real, integer, position};
  }
}

/* Points k .. k + n - 1 of the block, of which the first is number `position` of its reduction. */
static void reduce_run(Reducer red, Reduction *s, int64_t position, const Register *v, int k, int n) {
  if (v->real && red == RED_sum)
    for (int j = 0; j < n; j++) s->real += v->real[k + j];
  else
    for (int j = 0; j < n; j++)
      reduce(red, s, position + j, v->real ? v->real[k + j] : 0, v->real ? 0 : v->integer[k + j], v->real != NULL);
}

static void finish(const Node *n, Tensor *out, int64_t at, const Reduction *s) {
  if (n->reducer == RED_argmax || n->reducer == RED_argmin) dtype_store_int(out->dtype, out->data, at, s->best);
  else if (dtype_is_float(out->dtype)) dtype_store_real(out->dtype, out->data, at, s->real);
  else dtype_store_int(out->dtype, out->data, at, s->integer);
}

static bool needs_an_element(Reducer red) {
  return red == RED_max || red == RED_min || red == RED_argmax || red == RED_argmin;
}

static void run_reduction(Run *r, Body *b) {
  const Node *n = b->n;
  Points *p = &b->points;
  int64_t inner = 1, position = 0, at = b->from;
  for (int i = n->rank; i < p->slots; i++) inner *= p->extent[i];
  Reduction s = identity(n->reducer);
  if (inner == 0) {
    if (b->count && needs_an_element(n->reducer))
      fail(r, "node %%%d takes the %s of nothing", n->id, reducer_name(n->reducer));
    for (int64_t i = 0; i < b->count && !r->error; i++) finish(n, b->out, at + i, &s);
    return;
  }
  for (int count; !r->error && (count = points_next(p)) > 0;) {
    program_run(b->program, count, p->index);
    check_inside(n, b->value, count);
    for (int k = 0, taken; k < count; k += taken) {
      taken = inner - position < count - k ? (int)(inner - position) : count - k;
      reduce_run(n->reducer, &s, position, b->value, k, taken);
      position += taken;
      if (position < inner) continue;
      finish(n, b->out, at++, &s);
      s = identity(n->reducer);
      position = 0;
    }
  }
}

/* ---- sort ---- */

typedef struct Keys {
  Register *v;  /* of the block last evaluated */
  double *real; /* of all elements, where they are floats; else */
  int64_t *integer;
} Keys;

static bool comes_before(const Keys *k, bool descending, int64_t a, int64_t b) {
  if (k->integer) return descending ? k->integer[a] > k->integer[b] : k->integer[a] < k->integer[b];
  double x = k->real[a], y = k->real[b];
  if (isnan(x) || isnan(y)) return descending ? isnan(x) && !isnan(y) : !isnan(x);
  return descending ? x > y : x < y;
}

/* Merges the ordered halves [0, middle) and [middle, n) of order; of equals the first half's come first. */
static void merge(const Keys *k, bool descending, int64_t *order, int64_t middle, int64_t n, int64_t *free) {
  int64_t a = 0, b = middle;
  for (int64_t i = 0; i < n; i++) {
    bool second = a == middle || (b < n && comes_before(k, descending, order[b], order[a]));
    free[i] = second ? order[b++] : order[a++];
  }
  memcpy(order, free, sizeof *order * (size_t)n);
}

static void order_row(const Keys *k, bool descending, int64_t *order, int64_t n, int64_t *free) {
  if (n < 2) return;
  int64_t middle = n / 2;
  order_row(k, descending, order, middle, free);
  order_row(k, descending, order + middle, n - middle, free);
  merge(k, descending, order, middle, n, free);
}

static void keep_keys(Keys *k, int64_t at, int count) {
  for (int i = 0; i < count && k->integer; i++) k->integer[at + i] = k->v->integer[i];
  for (int i = 0; i < count && k->real; i++) k->real[at + i] = k->v->real[i];
}

static void run_sort(Run *r, Body *b) {
  const Node *n = b->n;
  int64_t row = b->out->extent[n->rank - 1], at = 0;
  Arena *arena = arena_new();
  Keys k = {.v = b->value};
  if (dtype_is_float(n->body->dtype)) k.real = NEW_ARRAY(arena, double, b->count + 1);
  else k.integer = NEW_ARRAY(arena, int64_t, b->count + 1);
  for (int count; !r->error && (count = points_next(&b->points)) > 0; at += count) {
    program_run(b->program, count, b->points.index);
    check_inside(n, k.v, count);
    keep_keys(&k, at, count);
  }
  int64_t *order = NEW_ARRAY(arena, int64_t, row + 1), *free = NEW_ARRAY(arena, int64_t, row + 1);
  for (int64_t first = 0; row && first < b->count; first += row) {
    for (int64_t i = 0; i < row; i++) order[i] = first + i;
    order_row(&k, n->descending, order, row, free);
    for (int64_t i = 0; i < row; i++)
      dtype_store_int(b->out->dtype, b->out->data, b->from + first + i, order[i] - first);
  }
  arena_free(arena);
}

/* ---- scatter: sums in the order of the points, in double, rounded once; or the largest ---- */

static int64_t scattered_to(const Body *b, int k) {
  int64_t offset = 0;
  for (int i = 0; i < b->n->rank; i++) {
    int64_t j = b->at[i]->integer[k];
    if (j < 0 || j >= b->out->extent[i]) ice("node %%%d scatters outside its result", b->n->id);
    offset = offset * b->out->extent[i] + j;
  }
  return offset - b->from;
}

static void run_scatter(Run *r, Body *b) {
  const Node *n = b->n;
  const Register *v = b->value;
  Arena *arena = arena_new();
  Reduction *sums = NEW_ARRAY(arena, Reduction, b->count + 1);
  for (int64_t i = 0; n->reducer == RED_max && i < b->count; i++) sums[i].integer = -1;
  for (int count; !r->error && (count = points_next(&b->points)) > 0;) {
    program_run(b->program, count, b->points.index);
    check_inside(n, v, count);
    for (int i = 0; i < n->rank; i++) check_inside(n, b->at[i], count);
    for (int k = 0; k < count; k++) {
      Reduction *s = &sums[scattered_to(b, k)];
      reduce(n->reducer, s, 1, v->real ? v->real[k] : 0, v->real ? 0 : v->integer[k], v->real != NULL);
    }
  }
  for (int64_t i = 0; i < b->count; i++) finish(n, b->out, b->from + i, &sums[i]);
  arena_free(arena);
}

/* ---- nodes ---- */

static void body_run(Run *r, Body *b) {
  points_rewind(&b->points);
  if (b->n->kind == NODE_scatter) run_scatter(r, b);
  else if (b->n->kind == NODE_sort) run_sort(r, b);
  else if (b->n->nred) run_reduction(r, b);
  else run_map(r, b);
}

static Tensor run_comp(Run *r, const Node *n) {
  Tensor t = new_tensor(r, n);
  if (r->error) return t;
  r->scratch = arena_new();
  Body b;
  body_start(r, &b, n, &t);
  body_run(r, &b);
  program_free(b.program);
  arena_free(r->scratch);
  return t;
}

/* ---- carries and loops ---- */

/* Row `row` of carry c, for place `outer` of the dimensions before the axis, from element `from` of the operand. */
static void copy_row(Run *r, const Node *c, int64_t outer, Form *row, const Tensor *operand, int64_t from_row) {
  const Tensor *t = &r->in->values[c->id];
  int64_t number = dim_evaluate(form_as_dim(r->g->ir, row), dim_of, r), count = 1;
  for (int i = c->axis + 1; i < t->rank; i++) count *= t->extent[i];
  size_t bytes = (size_t)count * (size_t)dtype_bytes(t->dtype);
  int64_t to = outer * t->extent[c->axis] + number;
  if (bytes) memcpy((char *)t->data + (size_t)to * bytes, (char *)operand->data + (size_t)from_row * bytes, bytes);
}

/* Row `first` of carry c, for each `outer` place; and the others from its next values. */
static void copy_init(Run *r, const Node *c, int64_t outer) {
  copy_row(r, c, outer, carry_row_first(r->g->ir, c), &r->in->values[c->in[0]->id], outer);
}

static void copy_next(Run *r, const Node *c, int64_t outer, int64_t t, int64_t steps) {
  Form *row = carry_row_written(r->g->ir, c, form_const(r->g->ir, t));
  copy_row(r, c, outer, row, &r->in->values[c->in[1]->id], outer * steps + t);
}

/* A carry that closes no cycle, for places from .. to - 1 of the dimensions before its axis: its operands are there.
 */
static void copy_all(Run *r, const Node *c, int64_t from, int64_t to) {
  int64_t steps = r->in->values[c->id].extent[c->axis] - 1;
  for (int64_t q = from; q < to; q++) {
    copy_init(r, c, q);
    for (int64_t k = 0; k < steps; k++) copy_next(r, c, q, k, steps);
  }
}

/* Of dimensions from .. to - 1 together. */
static int64_t places(const Tensor *t, int from, int to) {
  int64_t n = 1;
  for (int i = from; i < to; i++) n *= t->extent[i];
  return n;
}

static Tensor run_shift(Run *r, const Node *c) {
  Tensor *t = &r->in->values[c->id];
  *t = new_tensor(r, c);
  if (!r->error) copy_all(r, c, 0, places(t, 0, c->axis));
  return *t;
}

static void run_loop(Run *r, const Scan *l, Body *bodies, int64_t position);

/* One step of a loop: `position` counts the steps of all loops, row-major. */
static void run_step(Run *r, const Scan *l, Body *bodies, int64_t position) {
  for (int i = l->first; i <= l->last && !r->error; i++) {
    const Node *n = r->g->nodes.at[i];
    if (n->scan != l) {
      const Scan *inner = n->scan;
      while (inner->up != l) inner = inner->up;
      run_loop(r, inner, bodies, position);
      i = inner->last;
    } else if (n->kind != NODE_carry) {
      body_at_step(&bodies[i], position);
      body_run(r, &bodies[i]);
    } else if (!carry_scan(n)) {
      int64_t outer = places(&r->in->values[i], l->axis + 1, n->axis);
      copy_all(r, n, position * outer, (position + 1) * outer);
    }
  }
}

/* All steps of a loop, at `position` of the loops around it. Indices before the axis that no loop around it goes
 * through are gone through here. */
static void run_loop(Run *r, const Scan *l, Body *bodies, int64_t position) {
  const Tensor *first = &r->in->values[l->first];
  int64_t outer = places(first, l->up ? l->up->axis + 1 : 0, l->axis), steps = first->extent[l->axis] - 1;
  Node **nodes = r->g->nodes.at;
  for (int64_t q = position * outer; q < (position + 1) * outer; q++) {
    for (int i = l->first; i <= l->last; i++)
      if (nodes[i]->kind == NODE_carry && carry_scan(nodes[i]) == l) copy_init(r, nodes[i], q);
    for (int64_t k = 0; k < steps && !r->error; k++) {
      int64_t t = l->down ? steps - 1 - k : k;
      run_step(r, l, bodies, q * steps + t);
      for (int i = l->first; i <= l->last; i++)
        if (nodes[i]->kind == NODE_carry && carry_scan(nodes[i]) == l) copy_next(r, nodes[i], q, t, steps);
    }
  }
}

static void run_loops(Run *r, const Scan *l) {
  Arena *arena = arena_new();
  Body *bodies = NEW_ARRAY(arena, Body, l->last + 1);
  r->scratch = arena;
  for (int i = l->first; i <= l->last && !r->error; i++) r->in->values[i] = new_tensor(r, r->g->nodes.at[i]);
  for (int i = l->first; i <= l->last && !r->error; i++)
    if (r->g->nodes.at[i]->kind != NODE_carry) body_start(r, &bodies[i], r->g->nodes.at[i], &r->in->values[i]);
  if (!r->error) run_loop(r, l, bodies, 0);
  for (int i = l->first; i <= l->last; i++)
    if (bodies[i].program) program_free(bodies[i].program);
  arena_free(arena);
}

static Tensor run_node(Run *r, const Node *n) {
  switch (n->kind) {
  case NODE_const: return const_tensor(r, n);
  case NODE_comp:
  case NODE_sort:
  case NODE_scatter: return run_comp(r, n);
  case NODE_carry: return run_shift(r, n);
  case NODE_custom:
  case NODE_store: return r->in->values[n->in[0]->id];
  case NODE_adjoint: return new_tensor(r, n);
  case NODE_jvp:
  case NODE_grad: fail(r, "node %%%d is a derivative that was not derived", n->id); return (Tensor){0};
  default: return given_tensor(r, n);
  }
}

const char *interpret(Graph *g, Interpretation *in) {
  Run r = {.g = g, .in = in};
  in->values = NEW_ARRAY(in->arena, Tensor, g->nodes.n + 1);
  bind_dims(&r);
  for (int i = 0; i < g->nodes.n && !r.error; i++) {
    const Scan *l = g->nodes.at[i]->scan;
    while (l && l->up) l = l->up;
    bool begins = l && i == l->first; /* the scheduler's copies stand after their loop: all steps at once */
    if (begins) run_loops(&r, l);
    else in->values[i] = run_node(&r, g->nodes.at[i]);
    if (begins) i = l->last;
  }
  return r.error;
}
