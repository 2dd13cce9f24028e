/* run_schedule.c - see run_schedule.h. Slow: an expression is walked at each point. */
#include "tests/unit/ir/run_schedule.h"

#include "ir/cost.h"
#include "ir/scalar.h"
#include "runtime/philox.h"
#include "tests/unit/steps.h"

#include <math.h>
#include <string.h>

enum { MAX_SLOTS = 64, PATTERN = 0xff, GUARD = 64 };

typedef struct Value {
  double real;
  int64_t integer; /* of integers and bools */
} Value;

typedef struct Machine {
  const Schedule *s;
  ScheduleRun *run;
  char *arena_memory;
  void **address; /* by buffer id */
  const Kernel *k;
  int64_t step; /* of the loops around it */
  int64_t grid[MAX_SLOTS];
  int64_t slot[MAX_SLOTS]; /* of the member being evaluated */
  Value *registers;        /* by member */
  char *scratch;
  const Contraction *product; /* whose terms are added up */
} Machine;

/* ---- dimensions ---- */

static int64_t dim_of(void *cx, DimAtom *symbol) {
  ScheduleRun *run = cx;
  for (int i = 0; i < run->dims.n; i++)
    if (run->dims.at[i].symbol == symbol) return run->dims.at[i].value;
  ice("run_schedule: %s has no value", symbol->name);
}

static int64_t value_of(const Machine *m, const Dim *d) { return dim_evaluate(d, dim_of, m->run); }

/* ---- expressions ---- */

static Value evaluate(Machine *m, const Expr *e);

static int64_t form_value(Machine *m, const Form *f) {
  int64_t v = f->c0;
  for (int i = 0; i < f->n; i++) {
    const Atom *a = f->terms[i].atom;
    int64_t x = 0;
    switch (a->kind) {
    case ATOM_VAR: x = m->slot[a->var->slot]; break;
    case ATOM_DIM: x = value_of(m, a->dim); break;
    case ATOM_DATA: x = evaluate(m, a->data).integer; break;
    case ATOM_DIV: {
      int64_t n = form_value(m, a->form);
      x = n / a->divisor - (n % a->divisor < 0);
      break;
    }
    }
    v += f->terms[i].coefficient * x;
  }
  return v;
}

static Value load(DType t, const void *array, int64_t i) {
  return dtype_is_float(t) ? (Value){.real = dtype_load_real(t, array, i)}
                           : (Value){.integer = dtype_load_int(t, array, i)};
}

static void store(DType t, void *array, int64_t i, Value v) {
  if (dtype_is_float(t)) dtype_store_real(t, array, i, v.real);
  else dtype_store_int(t, array, i, v.integer);
}

static bool in_grid(const Kernel *k, const Member *m, int slot) {
  for (int i = 0; i < k->ngrid; i++)
    if (m->grid_slot[i] == slot || m->block_slot == slot) return true;
  return false;
}

/* Element `at` of a part, as element `whole` of what it is a part of. */
static void place_in_whole(Machine *m, const Part *part, const int64_t *at, int64_t *whole) {
  int64_t saved[MAX_SLOTS];
  size_t rank = (size_t)part->node->rank * sizeof *at;
  memcpy(saved, m->slot, sizeof saved);
  memmove(m->slot, at, rank);
  for (int d = 0; d < part->whole->rank; d++) whole[d] = form_value(m, part->at[d]);
  memcpy(m->slot, saved, sizeof saved);
}

/* The place of element `at` of n in its buffer, or, with a member, in that member's row. */
static int64_t place_of(Machine *m, const Node *n, const int64_t *at, const Member *row) {
  const Part *part = row ? NULL : schedule_part(m->s, n);
  int64_t place = 0, whole[MAX_SLOTS];
  if (part) {
    place_in_whole(m, part, at, whole);
    return place_of(m, part->whole, whole, NULL);
  }
  for (int d = 0; d < n->rank; d++) {
    if (row && in_grid(m->k, row, d)) continue;
    int64_t extent = value_of(m, n->shape[d]);
    if (at[d] < 0 || at[d] >= extent) ice("run_schedule: node %d is read outside", n->id);
    bool folded = n->folded >> d & 1;
    place = place * (folded ? 2 : extent) + (folded ? at[d] % 2 : at[d]);
  }
  return place;
}

static int member_index(const Kernel *k, const Node *n) {
  for (int i = 0; i < k->members.n; i++)
    if (k->members.at[i].node == n) return i;
  return -1;
}

static Value read_node(Machine *m, const Expr *e) {
  int64_t at[MAX_SLOTS];
  for (int d = 0; d < e->node->rank; d++) at[d] = form_value(m, e->at[d]);
  int index = member_index(m->k, e->node);
  const Member *own = index < 0 ? NULL : &m->k->members.at[index];
  for (int i = 0; own && i < m->k->ngrid; i++)
    if (at[own->grid_slot[i]] != m->grid[i]) ice("run_schedule: node %d is read at another position", e->node->id);
  if (own && own->storage == STORE_register) return m->registers[index];
  if (own && own->storage == STORE_row)
    return load(e->dtype, m->scratch + value_of(m, own->offset), place_of(m, e->node, at, own));
  return load(e->dtype, m->address[kernel_buffer(m->s, m->k, e->node)->id], place_of(m, e->node, at, NULL));
}

static Value draw(Machine *m, const Expr *e) {
  uint64_t key = (uint64_t)evaluate(m, e->arg[0]).integer, step = (uint64_t)evaluate(m, e->arg[1]).integer;
  uint64_t place = (uint64_t)evaluate(m, e->arg[2]).integer, element = (uint64_t)form_value(m, e->form);
  key ^= e->key;
  return (Value){.real = e->dtype == DT_f64 ? nnrt_draw_f64(key, step, place, element)
                                            : (double)nnrt_draw_f32(key, step, place, element)};
}

static Value convert(DType to, DType from, Value v) {
  bool real = dtype_is_float(from);
  if (dtype_is_float(to)) return (Value){.real = dtype_round(to, real ? v.real : (double)v.integer)};
  if (to == DT_bool) return (Value){.integer = real ? v.real != 0 : v.integer != 0};
  return (Value){.integer = real ? dtype_truncate(to, v.real) : dtype_wrap(to, v.integer)};
}

static Value operate(Machine *m, const Expr *e) {
  if (e->op == OP_select) return evaluate(m, evaluate(m, e->arg[0]).integer ? e->arg[1] : e->arg[2]);
  if (e->op == OP_cast) return convert(e->dtype, e->arg[0]->dtype, evaluate(m, e->arg[0]));
  DType t = e->arg[0]->dtype;
  double real[3] = {0};
  int64_t integer[3] = {0};
  for (int i = 0; i < e->n; i++) {
    Value v = evaluate(m, e->arg[i]);
    real[i] = v.real;
    integer[i] = v.integer;
  }
  if (!dtype_is_float(t)) return (Value){.integer = scalar_fold_int(e->op, t, integer)};
  double v = scalar_fold(e->op, t, real);
  return dtype_is_float(e->dtype) ? (Value){.real = v} : (Value){.integer = v != 0};
}

static Value evaluate(Machine *m, const Expr *e) {
  switch (e->kind) {
  case EXPR_CONST: return (Value){e->real, e->integer};
  case EXPR_INDEX: return (Value){.integer = form_value(m, e->form)};
  case EXPR_GE0: return (Value){.integer = form_value(m, e->form) >= 0};
  case EXPR_EQ0: return (Value){.integer = form_value(m, e->form) == 0};
  case EXPR_READ: return read_node(m, e);
  case EXPR_RANDOM: return draw(m, e);
  case EXPR_OP: return operate(m, e);
  }
  return (Value){0};
}

/* ---- reductions ---- */

typedef struct Accumulator {
  const Node *n;
  Value value;
  double best; /* of argmax and argmin */
  int64_t count;
} Accumulator;

static Accumulator begin_reduction(const Node *n) {
  Accumulator a = {.n = n};
  if (n->reducer == RED_prod) a.value = (Value){1, 1};
  if (n->reducer == RED_all) a.value.integer = 1;
  return a;
}

static bool beats(Reducer r, double x, double best) {
  if (isnan(best)) return false;
  return isnan(x) || (r == RED_max || r == RED_argmax ? x > best : x < best);
}

static void reduce_extreme(Accumulator *a, Value v, double x) {
  bool first = a->count == 0;
  if (!first && !beats(a->n->reducer, x, a->best)) return;
  a->best = x;
  a->value = a->n->reducer == RED_argmax || a->n->reducer == RED_argmin ? (Value){.integer = a->count} : v;
}

static void reduce(Accumulator *a, Value v) {
  bool real = dtype_is_float(a->n->body->dtype);
  switch (a->n->reducer) {
  case RED_sum:
    a->value.real += v.real;
    a->value.integer += v.integer;
    break;
  case RED_prod:
    a->value.real *= v.real;
    a->value.integer *= v.integer;
    break;
  case RED_any: a->value.integer |= v.integer; break;
  case RED_all: a->value.integer &= v.integer; break;
  case RED_none: a->value = v; break;
  default: reduce_extreme(a, v, real ? v.real : (double)v.integer);
  }
  a->count++;
}

static Value finish_reduction(const Accumulator *a) {
  DType t = a->n->dtype;
  return dtype_is_float(t) ? (Value){.real = dtype_round(t, a->value.real)}
                           : (Value){.integer = dtype_wrap(t, a->value.integer)};
}

/* ---- members ---- */

/* Calls f with every position of the n slots set in m->slot. */
static void each_position(Machine *m, int n, const int *slots, Dim **extents, void (*f)(Machine *m, void *cx),
                          void *cx) {
  if (n == 0) {
    f(m, cx);
    return;
  }
  int64_t extent = value_of(m, extents[0]);
  for (int64_t i = 0; i < extent; i++) {
    m->slot[slots[0]] = i;
    each_position(m, n - 1, slots + 1, extents + 1, f, cx);
  }
}

static void set_slots(Machine *m, const Member *d) {
  for (int i = 0; i < m->k->ngrid; i++) m->slot[d->grid_slot[i]] = m->grid[i];
  if (d->block_slot < 0) return;
  m->slot[d->block_slot] = m->grid[m->k->cut] / m->k->block;
  m->slot[d->grid_slot[m->k->cut]] = m->grid[m->k->cut] % m->k->block;
}

static void keep(Machine *m, int index, Value v) {
  const Member *d = &m->k->members.at[index];
  m->registers[index] = v;
  if (d->storage == STORE_row)
    store(d->node->dtype, m->scratch + value_of(m, d->offset), place_of(m, d->node, m->slot, d), v);
  if (d->storage == STORE_buffer)
    store(d->node->dtype, m->address[d->buffer->id], place_of(m, d->node, m->slot, NULL), v);
}

/* A sum over positions: the first begins it. */
static void add_up(Machine *m, const Member *d, Value v) {
  const Node *n = d->node;
  int64_t place = place_of(m, n, m->slot, NULL);
  void *array = m->address[d->buffer->id];
  Value old = {0};
  bool first = true;
  for (int i = 0; i < n->nred; i++) first = first && m->slot[n->rank + i] == 0;
  if (!first) old = load(n->dtype, array, place);
  store(n->dtype, array, place, (Value){old.real + v.real, old.integer + v.integer});
}

static bool is_reduction(const Member *d) { return d->node->nred && !d->summed; }

typedef struct Row { /* the members of one level that run over one row together, in step */
  int n, member[MAX_SLOTS];
  Accumulator sum[MAX_SLOTS];
  int count; /* row indices */
  Dim *extents[MAX_SLOTS];
  int64_t place[MAX_SLOTS];
} Row;

static int row_extents(const Kernel *k, const Member *d, Dim **extents, int *slots) {
  int n = 0;
  for (int i = 0; i < d->node->nred && is_reduction(d); i++) {
    slots[n] = d->node->rank + i;
    extents[n++] = d->node->red[i];
  }
  for (int i = 0; i < d->node->rank && !is_reduction(d); i++)
    if (!in_grid(k, d, i)) {
      slots[n] = i;
      extents[n++] = d->node->shape[i];
    }
  return n;
}

static void row_element(Machine *m, void *cx) {
  Row *r = cx;
  memcpy(r->place, m->slot, sizeof(int64_t) * (size_t)r->count);
  for (int i = 0; i < r->n; i++) {
    const Member *d = &m->k->members.at[r->member[i]];
    Dim *extents[MAX_SLOTS];
    int slots[MAX_SLOTS];
    row_extents(m->k, d, extents, slots);
    set_slots(m, d);
    for (int j = 0; j < r->count; j++) m->slot[slots[j]] = r->place[j];
    Value v = evaluate(m, d->node->body);
    if (d->summed) add_up(m, d, v);
    else if (d->node->nred) reduce(&r->sum[i], v);
    else keep(m, r->member[i], v);
  }
  memcpy(m->slot, r->place, sizeof(int64_t) * (size_t)r->count);
}

static bool same_row(const Row *r, int n, Dim **extents) {
  if (r->count != n) return false;
  for (int i = 0; i < n; i++)
    if (r->extents[i] != extents[i]) return false;
  return true;
}

static void run_row(Machine *m, Row *r) {
  int slots[MAX_SLOTS];
  for (int i = 0; i < r->count; i++) slots[i] = i;
  for (int i = 0; i < r->n; i++) r->sum[i] = begin_reduction(m->k->members.at[r->member[i]].node);
  each_position(m, r->count, slots, r->extents, row_element, r);
  for (int i = 0; i < r->n; i++) {
    const Member *d = &m->k->members.at[r->member[i]];
    if (!is_reduction(d)) continue;
    set_slots(m, d);
    keep(m, r->member[i], finish_reduction(&r->sum[i]));
  }
}

/* One level: maps of the grid's rank, then a loop for each kind of row. */
static void run_level(Machine *m, int from, int to) {
  Row rows[MAX_SLOTS];
  int nrows = 0;
  for (int i = from; i < to; i++) {
    const Member *d = &m->k->members.at[i];
    Dim *extents[MAX_SLOTS];
    int slots[MAX_SLOTS], n = row_extents(m->k, d, extents, slots), r = 0;
    if (!d->node->nred && d->node->rank == m->k->ngrid) {
      set_slots(m, d);
      keep(m, i, evaluate(m, d->node->body));
      continue;
    }
    while (r < nrows && !same_row(&rows[r], n, extents)) r++;
    if (r == nrows) {
      rows[nrows] = (Row){.count = n};
      memcpy(rows[nrows++].extents, extents, sizeof(Dim *) * (size_t)n);
    }
    rows[r].member[rows[r].n++] = i;
  }
  for (int r = 0; r < nrows; r++) run_row(m, &rows[r]);
}

static void run_levels(Machine *m) {
  int n = m->k->members.n;
  memset(m->scratch, PATTERN, (size_t)value_of(m, m->k->scratch));
  for (int from = 0; from < n;) {
    int to = from;
    while (to < n && m->k->members.at[to].level == m->k->members.at[from].level) to++;
    run_level(m, from, to);
    from = to;
  }
}

/* ---- contractions ---- */

static void contraction_term(Machine *m, void *cx) {
  Accumulator *a = cx;
  const Contraction *c = m->product;
  if (c->tile_mask && !evaluate(m, c->tile_mask).integer) return;
  reduce(a, (Value){.real = evaluate(m, c->a).real * evaluate(m, c->b).real});
}

static void run_product(Machine *m, int member, const Contraction *c) {
  const Member *d = &m->k->members.at[member];
  Accumulator a = begin_reduction(d->node);
  Dim *extents[MAX_SLOTS];
  m->product = c;
  set_slots(m, d);
  for (int i = 0; i < c->nk; i++) extents[i] = d->node->red[c->k[i] - d->node->rank];
  each_position(m, c->nk, c->k, extents, contraction_term, &a);
  Value v = finish_reduction(&a);
  if (c->scale) v.real = dtype_round(d->node->dtype, v.real * evaluate(m, c->scale).real);
  keep(m, member, v);
}

static void run_contraction(Machine *m) {
  run_product(m, 0, m->k->contraction);
  for (int i = 0; i < m->k->beside.n; i++) run_product(m, i + 1, m->k->beside.at[i]);
  for (int i = 1 + m->k->beside.n; i < m->k->members.n; i++) {
    set_slots(m, &m->k->members.at[i]);
    keep(m, i, evaluate(m, m->k->members.at[i].node->body));
  }
}

/* ---- scatters ---- */

static void scatter_term(Machine *m, void *cx) {
  (void)cx;
  const Member *d = &m->k->members.at[0];
  int64_t at[MAX_SLOTS];
  for (int i = 0; i < d->node->rank; i++) at[i] = form_value(m, d->node->at[i]);
  Value v = evaluate(m, d->node->body);
  int64_t place = place_of(m, d->node, at, NULL);
  void *array = m->address[d->buffer->id];
  Value old = load(d->node->dtype, array, place);
  Value next = {old.real + v.real, old.integer + v.integer};
  if (d->node->reducer == RED_max) next.integer = v.integer > old.integer ? v.integer : old.integer;
  store(d->node->dtype, array, place, next);
}

/* Sources of the step at hand only: their step's index is in at[]. */
static void scatter_step_term(Machine *m, void *cx) {
  const Node *n = m->k->members.at[0].node;
  int64_t step = 0;
  for (int i = 0; i < m->k->times; i++) step = step * value_of(m, n->shape[i]) + form_value(m, n->at[i]);
  if (step == m->step) scatter_term(m, cx);
}

static void run_scatter(Machine *m) {
  const Node *n = m->k->members.at[0].node;
  const Buffer *b = m->k->members.at[0].buffer;
  int64_t steps = 1;
  for (int i = 0; i < m->k->times; i++) steps *= value_of(m, n->shape[i]);
  size_t bytes = (size_t)(value_of(m, b->bytes) / steps);
  memset((char *)m->address[b->id] + (size_t)m->step * bytes, n->reducer == RED_max ? 0xFF : 0, bytes);
  int slots[MAX_SLOTS];
  for (int i = 0; i < n->nred; i++) slots[i] = i;
  each_position(m, n->nred, slots, n->red, scatter_step_term, NULL);
}

/* ---- sorts ---- */

/* Whether key a comes after key b: NaN counts as the largest number. */
static bool is_greater(const Node *n, Value a, Value b) {
  if (!dtype_is_float(n->body->dtype)) return a.integer > b.integer;
  return isnan(a.real) ? !isnan(b.real) : a.real > b.real;
}

/* By insertion, of the row that the grid's position says. */
static void run_sort(Machine *m) {
  const Member *d = &m->k->members.at[0];
  const Node *n = d->node;
  int64_t row = value_of(m, n->shape[n->rank - 1]), at[MAX_SLOTS];
  Value *keys = NEW_ARRAY(m->run->arena, Value, row + 1);
  int32_t *order = NEW_ARRAY(m->run->arena, int32_t, row + 1);
  for (int64_t i = 0, j; i < row; i++) {
    m->slot[n->rank - 1] = i;
    keys[i] = evaluate(m, n->body);
    for (j = i; j > 0; j--) {
      Value before = keys[order[j - 1]];
      if (!(n->descending ? is_greater(n, keys[i], before) : is_greater(n, before, keys[i]))) break;
      order[j] = order[j - 1];
    }
    order[j] = (int32_t)i;
  }
  for (int i = 0; i < n->rank - 1; i++) at[i] = m->slot[i];
  for (int64_t i = 0; i < row; i++) {
    at[n->rank - 1] = i;
    store(n->dtype, m->address[d->buffer->id], place_of(m, n, at, NULL), (Value){.integer = order[i]});
  }
}

/* ---- streams ---- */

typedef struct StreamElement {
  int member;
  Accumulator sum;
} StreamElement;

static void stream_term(Machine *m, void *cx) {
  StreamElement *e = cx;
  reduce(&e->sum, evaluate(m, m->k->members.at[e->member].node->body));
}

static void stream_element(Machine *m, void *cx) {
  StreamElement *e = cx;
  const Node *n = m->k->members.at[e->member].node;
  int slots[MAX_SLOTS];
  for (int i = 0; i < n->nred; i++) slots[i] = n->rank + i;
  e->sum = begin_reduction(n);
  each_position(m, n->nred, slots, n->red, stream_term, e);
  keep(m, e->member, finish_reduction(&e->sum));
}

/* A row: each member after those that it reads, at all of its results that are of this row. */
static void run_stream(Machine *m) {
  memset(m->scratch, PATTERN, (size_t)value_of(m, m->k->scratch));
  for (int i = 0; i < m->k->members.n; i++) {
    const Member *d = &m->k->members.at[i];
    Dim *extents[MAX_SLOTS];
    int slots[MAX_SLOTS], n = 0;
    for (int s = 0; s < d->node->rank; s++) {
      if (in_grid(m->k, d, s)) continue;
      slots[n] = s;
      extents[n++] = d->node->shape[s];
    }
    set_slots(m, d);
    each_position(m, n, slots, extents, stream_element, &(StreamElement){.member = i});
  }
}

/* ---- kernels ---- */

static void grid_position(Machine *m, void *cx) {
  (void)cx;
  memcpy(m->grid, m->slot, sizeof(int64_t) * (size_t)m->k->ngrid);
  if (m->k->kind == KERNEL_contraction) run_contraction(m);
  else if (m->k->kind == KERNEL_sort) run_sort(m);
  else if (m->k->kind == KERNEL_stream) run_stream(m);
  else run_levels(m);
  memcpy(m->slot, m->grid, sizeof(int64_t) * (size_t)m->k->ngrid);
}

static bool is_left_out(const Machine *m, const Kernel *k) {
  for (int i = 0; i < k->guards.n; i++) {
    const KernelGuard *g = &k->guards.at[i];
    if (dtype_load_int(DT_bool, m->address[k->operands.at[g->operand]->id], 0) != g->value) return true;
  }
  return false;
}

/* One step of its loops. */
static void run_kernel(void *cx, const Kernel *k, int64_t step) {
  Machine *m = cx;
  int slots[MAX_SLOTS];
  if (is_left_out(m, k)) {
    m->run->left_out++;
    return;
  }
  m->k = k;
  m->step = step;
  for (int i = k->times; i-- > 0; step /= value_of(m, k->grid[i])) m->slot[i] = step % value_of(m, k->grid[i]);
  m->registers = NEW_ARRAY(m->run->arena, Value, k->members.n);
  m->scratch = arena_alloc(m->run->arena, (size_t)value_of(m, k->scratch));
  for (int i = 0; i < k->ngrid; i++) slots[i] = i;
  if (k->kind == KERNEL_scatter) run_scatter(m);
  else each_position(m, k->ngrid - k->times, slots + k->times, k->grid + k->times, grid_position, NULL);
}

/* ---- memory ---- */

static void *given_address(ScheduleRun *run, const Node *n) {
  for (int i = 0; i < run->given.n; i++)
    if (run->given.at[i].name == n->name || !strcmp(run->given.at[i].name, n->name))
      return run->given.at[i].tensor.data;
  ice("run_schedule: %s is not given", n->name);
}

static void *buffer_address(Machine *m, const Buffer *b) {
  if (b->place == BUFFER_const) return b->node->data;
  if (b->place != BUFFER_arena) return given_address(m->run, b->node);
  int64_t offset = value_of(m, b->offset), end = offset + value_of(m, b->bytes);
  if (offset < 0 || offset % 64 || end > m->run->arena_bytes) ice("run_schedule: buffer %d is misplaced", b->id);
  if (end > m->run->touched) m->run->touched = end;
  return m->arena_memory + offset;
}

static void check_guard(const Machine *m) {
  for (int i = 0; i < GUARD; i++)
    if ((unsigned char)m->arena_memory[m->run->arena_bytes + i] != PATTERN) ice("run_schedule: the arena overflowed");
}

static Machine machine_for(const Schedule *s, ScheduleRun *run) {
  Machine m = {.s = s, .run = run};
  run->arena_bytes = value_of(&m, s->arena_bytes);
  run->touched = 0;
  run->left_out = 0;
  m.arena_memory = arena_alloc(run->arena, (size_t)run->arena_bytes + GUARD);
  memset(m.arena_memory, PATTERN, (size_t)run->arena_bytes + GUARD);
  m.address = NEW_ARRAY(run->arena, void *, s->buffers.n);
  for (int i = 0; i < s->buffers.n; i++) m.address[i] = buffer_address(&m, s->buffers.at[i]);
  return m;
}

void run_schedule(const Schedule *s, ScheduleRun *run) {
  Machine m = machine_for(s, run);
  schedule_steps(s, dim_of, run, run_kernel, &m);
  check_guard(&m);
  run->address = m.address;
}

Tensor run_value(const Schedule *s, ScheduleRun *run, const Node *n) {
  Tensor t = {.dtype = n->dtype, .rank = n->rank, .data = run->address[schedule_buffer(s, n)->id]};
  for (int i = 0; i < n->rank; i++) t.extent[i] = dim_evaluate(n->shape[i], dim_of, run);
  return t;
}
