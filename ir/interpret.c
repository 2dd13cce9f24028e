/* interpret.c - see interpret.h: binds inputs and open dimensions, then evaluates node by node, in their order. */
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
  Arena *scratch; /* for the node being evaluated */
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
  int64_t extent[32], at[32];
  int64_t *index[32]; /* by slot: EVAL_BLOCK values */
  int64_t left;       /* points not yet given */
} Points;

static void points_start(Run *r, Points *p, const Node *n) {
  int results = n->kind == NODE_comp ? n->rank : 0;
  p->slots = results + n->nred;
  if (p->slots > 32) ice("interpret: node %d has %d indices", n->id, p->slots);
  p->left = 1;
  for (int i = 0; i < p->slots; i++) {
    p->extent[i] = extent_of(r, i < results ? n->shape[i] : n->red[i - results]);
    p->at[i] = 0;
    p->index[i] = NEW_ARRAY(r->scratch, int64_t, EVAL_BLOCK);
    p->left *= p->extent[i];
  }
}

/* `n` points in which only the last slot moves, from place k of the block on. */
static void fill_run(Points *p, int k, int n) {
  for (int i = 0; i < p->slots - 1; i++)
    for (int j = 0; j < n; j++) p->index[i][k + j] = p->at[i];
  int last = p->slots - 1;
  for (int j = 0; j < n; j++) p->index[last][k + j] = p->at[last] + j;
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

static void run_map(Run *r, const Node *n, Tensor *out) {
  Points p;
  points_start(r, &p, n);
  Program *program = node_program(r);
  Register *v = program_expr(program, n->body);
  int64_t at = 0;
  for (int count; !r->error && (count = points_next(&p)) > 0; at += count) {
    program_run(program, count, p.index);
    check_inside(n, v, count);
    for (int k = 0; k < count; k++) store_value(out, at + k, v, k);
  }
  program_free(program);
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

static void run_reduction(Run *r, const Node *n, Tensor *out) {
  Points p;
  points_start(r, &p, n);
  int64_t results = tensor_count(out), inner = 1, position = 0, at = 0;
  for (int i = n->rank; i < p.slots; i++) inner *= p.extent[i];
  Reduction s = identity(n->reducer);
  if (inner == 0) {
    if (results && needs_an_element(n->reducer))
      fail(r, "node %%%d takes the %s of nothing", n->id, reducer_name(n->reducer));
    for (int64_t i = 0; i < results && !r->error; i++) finish(n, out, i, &s);
    return;
  }
  Program *program = node_program(r);
  Register *v = program_expr(program, n->body);
  for (int count; !r->error && (count = points_next(&p)) > 0;) {
    program_run(program, count, p.index);
    check_inside(n, v, count);
    for (int k = 0, taken; k < count; k += taken) {
      taken = inner - position < count - k ? (int)(inner - position) : count - k;
      reduce_run(n->reducer, &s, position, v, k, taken);
      position += taken;
      if (position < inner) continue;
      finish(n, out, at++, &s);
      s = identity(n->reducer);
      position = 0;
    }
  }
  program_free(program);
}

/* ---- scatter: sums in the order of the points, in double, rounded once ---- */

static void run_scatter(Run *r, const Node *n, Tensor *out) {
  Points p;
  points_start(r, &p, n);
  int64_t results = tensor_count(out);
  Reduction *sums = NEW_ARRAY(r->scratch, Reduction, results + 1);
  Program *program = node_program(r);
  Register *v = program_expr(program, n->body), *at[9];
  for (int i = 0; i < n->rank; i++) at[i] = program_form(program, n->at[i]);
  for (int count; !r->error && (count = points_next(&p)) > 0;) {
    program_run(program, count, p.index);
    check_inside(n, v, count);
    for (int i = 0; i < n->rank; i++) check_inside(n, at[i], count);
    for (int k = 0; k < count; k++) {
      int64_t offset = 0;
      for (int i = 0; i < n->rank; i++) {
        int64_t j = at[i]->integer[k];
        if (j < 0 || j >= out->extent[i]) ice("node %%%d scatters outside its result", n->id);
        offset = offset * out->extent[i] + j;
      }
      reduce(RED_sum, &sums[offset], 0, v->real ? v->real[k] : 0, v->real ? 0 : v->integer[k], v->real != NULL);
    }
  }
  for (int64_t i = 0; i < results; i++) finish(n, out, i, &sums[i]);
  program_free(program);
}

/* ---- nodes ---- */

static Tensor run_comp(Run *r, const Node *n) {
  Tensor t = new_tensor(r, n);
  if (r->error) return t;
  r->scratch = arena_new();
  if (n->kind == NODE_scatter) run_scatter(r, n, &t);
  else if (n->nred) run_reduction(r, n, &t);
  else run_map(r, n, &t);
  arena_free(r->scratch);
  return t;
}

static Tensor run_node(Run *r, const Node *n) {
  switch (n->kind) {
  case NODE_const: return const_tensor(r, n);
  case NODE_comp:
  case NODE_scatter: return run_comp(r, n);
  case NODE_store: return r->in->values[n->in[0]->id];
  case NODE_grad: fail(r, "node %%%d is a gradient that was not derived", n->id); return (Tensor){0};
  default: return given_tensor(r, n);
  }
}

const char *interpret(Graph *g, Interpretation *in) {
  Run r = {.g = g, .in = in};
  in->values = NEW_ARRAY(in->arena, Tensor, g->nodes.n + 1);
  bind_dims(&r);
  for (int i = 0; i < g->nodes.n && !r.error; i++) in->values[i] = run_node(&r, g->nodes.at[i]);
  return r.error;
}
