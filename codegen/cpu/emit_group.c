/* emit_group.c - maps, and groups around reductions: one loop nest over the grid, in it one loop over the row a
 * level.
 *
 * Vectors lie across the grid (maps; columns: every lane is a result, accumulators are lane by lane; very short rows
 * too) or inside the row (row and full: the row's positions are lanes). Either way there are some accumulators, which
 * are joined in a fixed tree at the row's end. Indices that every member walks through contiguously are collapsed
 * into one. */
#include "codegen/cpu/emit.h"
#include "ir/cost.h"

typedef struct Group {
  Emit *e;
  Kernel *k;
  bool across; /* lanes are grid positions */
  bool window; /* rows are unrolled */
  int n, flat; /* grid indices without taps; those from `flat` on are one index */
  int places;  /* of the taps */
  Var **grid;  /* by grid index; only those before `flat` are bound */
  Var *lane;   /* the collapsed index, across only */
  Form **at;   /* by grid index, its form over the loops' indices */
  RowLoops loops;
  Expr *condition; /* over `at`: of the positions that are not passed over, or NULL */
  int decided;     /* the last grid index that it has */
} Group;

enum { /* more go into a second loop: accumulators are registers */
       RUN_MEMBERS = 64,
       RUN_REDUCTIONS = 12,
       ACROSS_UNROLL = 4
};

typedef struct Run { /* members that share one loop over the row */
  Group *g;
  const int *members;
  int n, nd;
  Dim **extent; /* of the row's indices */
  Var **index;  /* that are bound: `loops` of them, the last of several as one */
  int loops;
  Form **at;      /* by row index, over `index` */
  Expr *position; /* row-major */
  int64_t place;  /* of a window */
  int width;      /* accumulators of one instance, of all the taps' places */
  bool masked;    /* across the row: the tail's lanes are no positions */
} Run;

/* ---- members at a position ---- */

/* Forms for all slots of m's node: the grid's, and row[] for the others in order. */
static Form **slots_of(Group *g, const Member *m, Form **row) {
  return member_slots(g->e->ir, g->e->arena, g->k, m, g->at, row);
}

static Dim **row_extents(Group *g, const Member *m) { return member_row_extents(g->e->arena, g->k, m); }

static Form **fresh_row(Group *g, const Member *m) {
  return fresh_forms(g->e->ir, g->e->arena, member_row_rank(g->k, m), row_extents(g, m));
}

static Expr *canonical_read(Group *g, const Member *m, Form **at) { return expr_read(g->e->ir, m->node, at); }

/* The taps, the last grid indices, at place number p of them. */
static void set_place(Group *g, int64_t p) {
  int64_t extent;
  for (int i = g->k->ngrid - 1; i >= g->n; i--) {
    if (!dim_is_const(g->k->grid[i], &extent)) ice("kernel %s has a tap without a number", g->k->symbol);
    g->at[i] = form_const(g->e->ir, p % extent);
    p /= extent;
  }
}

/* ---- what may collapse ---- */

typedef struct Flatness {
  Group *g;
  const Var *flat;
  bool ok;
} Flatness;

static void check_flat(void *cx, Expr *x) {
  Flatness *f = cx;
  if (!f->ok) return;
  if (x->form && form_divides(x->form, f->flat)) f->ok = false;
  if (x->kind != EXPR_READ) return;
  bool used = false;
  for (int i = 0; i < x->node->rank; i++) used |= form_uses(x->at[i], f->flat);
  if (!used) return;
  Form *at = flat_address(f->g->e, x->node, x->at);
  if (!at || form_divides(at, f->flat)) f->ok = false;
}

static bool body_is_flat(Group *g, Expr *body, const Var *flat) {
  Flatness f = {g, flat, true};
  expr_visit(body, check_flat, &f);
  return f.ok;
}

/* Forms of indices with the given extents in one index `flat` over all of them; false if an inner extent is open. */
static bool flat_forms(Emit *e, int n, Dim **extent, Var *flat, Form **at) {
  Form *rest = form_var(e->ir, flat);
  for (int i = n - 1; i > 0; i--) {
    int64_t c;
    if (!dim_is_const(extent[i], &c) || c < 1) return false;
    at[i] = form_mod(e->ir, rest, c);
    rest = form_floordiv(e->ir, rest, c);
  }
  if (n) at[0] = rest;
  return true;
}

static Dim *product(Emit *e, int n, Dim **extent) {
  Dim *d = dim_const(e->ir, 1);
  for (int i = 0; i < n; i++) d = dim_mul(e->ir, d, extent[i]);
  return d;
}

/* Whether every member walks straight through the grid indices that g->at collapses; result addresses too. */
static bool group_is_flat(Group *g) {
  for (int i = 0; i < g->k->members.n; i++) {
    const Member *m = &g->k->members.at[i];
    Form **row = fresh_row(g, m);
    Form **at = slots_of(g, m, row);
    if (!body_is_flat(g, emit_at(g->e, m->node->body, at), g->lane)) return false;
    if (m->storage == STORE_register) continue;
    Form *address = flat_address(g->e, m->node, at);
    if (!address || form_divides(address, g->lane)) return false;
  }
  return true;
}

static void plain_grid(Group *g) {
  for (int i = 0; i < g->n; i++) {
    g->grid[i] = var_fresh(g->e->ir, g->k->grid[i]);
    g->at[i] = form_var(g->e->ir, g->grid[i]);
  }
}

/* Collapses as many of the last indices as it can; at least the last is the lanes' index. */
static void collapse_grid(Group *g) {
  for (g->flat = g->k->cut; g->flat < g->n; g->flat++) {
    int inner = g->n - g->flat;
    plain_grid(g);
    g->lane = var_fresh(g->e->ir, product(g->e, inner, g->k->grid + g->flat));
    if (inner == 1) {
      g->lane = g->grid[g->flat];
      return;
    }
    if (flat_forms(g->e, inner, g->k->grid + g->flat, g->lane, g->at + g->flat) && group_is_flat(g)) return;
  }
}

/* ---- results ---- */

static void keep_result(Group *g, const Member *m, Form **at, Value v, bool to_memory) {
  Emit *e = g->e;
  if (m->storage == STORE_buffer) emit_store_at(e, m->buffer, m->node, at, v);
  else if (m->storage == STORE_row && to_memory) emit_store_row(e, m->node, at, v);
  emit_known(e, canonical_read(g, m, at), v);
}

/* Whether this is the first of the positions that m is over, in its unit. */
static Value is_first(Group *g, const Member *m, Form **at) {
  Emit *e = g->e;
  Form *before = form_const(e->ir, 0);
  for (int i = 0; i < m->node->nred; i++) before = form_add(e->ir, before, at[m->node->rank + i]);
  int64_t none;
  if (form_is_const(before, &none)) return int_const(e->b.i1, 1);
  Value position = emit_form(e, before).base;
  emit_enter(e, e->depth);
  return icmp(&e->b, LLVMIntEQ, position, index64(&e->b, 0));
}

/* A sum over positions: the first's terms, then each other's, in order. */
static void add_to_result(Group *g, const Member *m, Form **at, Value v) {
  Emit *e = g->e;
  Build *b = &e->b;
  Value first = is_first(g, m, at);
  Lanes place = emit_element(e, m->node, at);
  Value p = emit_operand(e, m->buffer), old = emit_load(e, p, m->node->dtype, place, NULL);
  agree(b, &old, &v);
  Value sum = emit_scalar(b, OP_add, m->node->dtype, m->node->dtype, (Value[]){old, v, NULL});
  emit_store(e, p, m->node->dtype, place, choose(b, first, v, sum));
}

static void emit_plain(Group *g, const Member *m) {
  Form **at = slots_of(g, m, NULL);
  keep_result(g, m, at, emit_expr(g->e, emit_at(g->e, m->node->body, at)), true);
}

/* ---- a run over the row ---- */

static Expr *run_body(Run *r, const Member *m, Form ***at) {
  *at = slots_of(r->g, m, r->at);
  return emit_at(r->g->e, m->node->body, *at);
}

static bool needed_outside(const Run *r, const Member *m) {
  const Kernel *k = r->g->k;
  for (int i = 0; i < k->members.n; i++) {
    bool inside = false;
    for (int j = 0; j < r->n; j++) inside |= r->members[j] == i;
    if (!inside && member_reads(&k->members.at[i], m->node)) return true;
  }
  return false;
}

static bool run_is_flat(Run *r, const Var *flat) {
  for (int i = 0; i < r->n; i++) {
    const Member *m = &r->g->k->members.at[r->members[i]];
    Form **at;
    if (!body_is_flat(r->g, run_body(r, m, &at), flat)) return false;
    if (member_reduces(m)) continue;
    Form *address = flat_address(r->g->e, m->node, at);
    if (!address || form_divides(address, flat)) return false;
  }
  return true;
}

/* The row's indices from `outer` on as one, those before it on their own; whether all members walk straight through
 * the one. */
static bool collapse_row(Run *r, int outer) {
  Emit *e = r->g->e;
  int inner = r->nd - outer;
  Var *flat = var_fresh(e->ir, product(e, inner, r->extent + outer));
  r->loops = outer + 1;
  for (int i = 0; i < outer; i++) {
    r->index[i] = var_fresh(e->ir, r->extent[i]);
    r->at[i] = form_var(e->ir, r->index[i]);
  }
  r->index[outer] = flat;
  return flat_forms(e, inner, r->extent + outer, flat, r->at + outer) && (inner == 1 || run_is_flat(r, flat));
}

/* The loops' indices: as many of the row's last ones as can be are one. */
static void run_indices(Run *r) {
  Emit *e = r->g->e;
  r->loops = 0;
  r->index = NEW_ARRAY(e->arena, Var *, r->nd + 1);
  r->at = NEW_ARRAY(e->arena, Form *, r->nd + 1);
  if (r->g->window) return;
  for (int outer = 0; !collapse_row(r, outer);) outer++;
  r->position = expr_index(e->ir, DT_i32, form_var(e->ir, r->index[0]));
  for (int i = 1; i < r->loops; i++) {
    Expr *extent = expr_index(e->ir, DT_i32, form_dim(e->ir, r->index[i]->extent)); /* no form if it is open */
    Expr *before = expr_op2(e->ir, OP_mul, r->position, extent);
    r->position = expr_op2(e->ir, OP_add, before, expr_index(e->ir, DT_i32, form_var(e->ir, r->index[i])));
  }
}

/* What a reduction may skip: adding 0, the maximum with -inf. An argmax of nothing but that is the first place. */
static bool is_neutral(const Node *n, const Expr *x) {
  double v;
  if (!dtype_is_float(x->dtype) || !expr_is_const(x, &v)) return false;
  switch (n->reducer) {
  case RED_sum: return v == 0;
  case RED_max:
  case RED_argmax: return v == -__builtin_inf();
  case RED_min:
  case RED_argmin: return v == __builtin_inf();
  default: return false;
  }
}

static bool is_guarded(const Node *n, const Expr *x) {
  return x->kind == EXPR_OP && x->op == OP_select && is_neutral(n, x->arg[2]);
}

/* Every member at one place of the taps; `a` accumulators come before its own. Returns those up to its end. */
static int run_place(Run *r, Value *carried, int a) {
  Emit *e = r->g->e;
  for (int i = 0; i < r->n; i++) {
    const Member *m = &r->g->k->members.at[r->members[i]];
    Form **at;
    Expr *body = run_body(r, m, &at);
    Value holds = NULL, v;
    if (m->summed) {
      add_to_result(r->g, m, at, emit_expr(e, body));
      continue;
    }
    if (m->node->nred && is_neutral(m->node, body)) { /* a place outside */
      a += reducer_width(m->node->reducer);
      continue;
    }
    if (m->node->nred && is_guarded(m->node, body)) v = emit_under(e, body->arg[0], body->arg[1], &holds);
    else v = emit_expr(e, body);
    if (!m->node->nred) {
      keep_result(r->g, m, at, v, needed_outside(r, m));
      continue;
    }
    Value position = NULL;
    if (reducer_width(m->node->reducer) == 2) position = emit_expr(e, r->position);
    if (!r->g->across) holds = both(&e->b, holds, e->tail);
    reduce_step(e, m->node, carried + a, v, position, holds);
    a += reducer_width(m->node->reducer);
  }
  return a;
}

static void run_position(Emit *e, void *cx, Value *carried, int instance) {
  (void)e, (void)instance;
  Run *r = cx;
  for (int p = 0, a = 0; p < r->g->places; p++) {
    set_place(r->g, p);
    a = run_place(r, carried, a);
  }
}

/* A window's places one after the other: the row's indices are numbers, guards on them are settled here, and what
 * does not depend on the lanes is loaded before their loop. */
static void run_places(Run *r, int index, Value *acc) {
  Emit *e = r->g->e;
  int64_t n = 0;
  if (index == r->nd) {
    r->position = expr_int(e->ir, DT_i32, r->place);
    run_position(e, r, acc, 0);
    return;
  }
  dim_is_const(r->extent[index], &n);
  int64_t outer = r->place;
  for (int64_t i = 0; i < n; i++) {
    r->at[index] = form_const(e->ir, i);
    r->place = outer * n + i;
    run_places(r, index + 1, acc);
  }
  r->place = outer;
}

/* Loop number `level` of the run, and those inside; acc: `unroll` instances of r->width values. */
static void run_loops(Run *r, int level, int unroll, Value *acc) {
  Emit *e = r->g->e;
  if (r->g->window) {
    run_places(r, 0, acc);
    return;
  }
  Var *v = r->index[level];
  Value from = index64(&e->b, 0), to = emit_dim(e, v->extent);
  bool last = level == r->loops - 1;
  if (last && !r->g->across) {
    lane_loop(e, v, from, to, unroll, acc, r->width, run_position, r);
    return;
  }
  if (last) {
    row_loop(e, v, to, unroll, acc, r->width, run_position, r);
    return;
  }
  Loop l;
  loop_open(e, &l, from, to, 1, acc, unroll * r->width);
  Value next[ACCUMULATORS];
  for (int i = 0; i < l.n; i++) next[i] = l.phi[i];
  emit_bind(e, v, lanes_scalar(l.index));
  run_loops(r, level + 1, unroll, next);
  loop_close(e, &l, next);
  for (int i = 0; i < l.n; i++) acc[i] = l.out[i];
}

static int run_unroll(const Run *r) {
  if (r->g->window) return 1;
  int64_t c, step = r->g->across ? ACROSS_UNROLL : r->g->e->lanes;
  if (dim_is_const(r->index[r->loops - 1]->extent, &c) && c < 2 * step) return 1;
  if (r->g->across) return r->width > 0 && r->width <= 4 ? ACROSS_UNROLL : 1;
  return r->width == 0 ? 2 : r->width <= 4 ? 4 : r->width <= 8 ? 2 : 1;
}

static void run_results(Run *r, int unroll, Value *acc) {
  Emit *e = r->g->e;
  for (int p = 0, a = 0; p < r->g->places; p++) {
    set_place(r->g, p);
    for (int i = 0; i < r->n; i++) {
      const Member *m = &r->g->k->members.at[r->members[i]];
      if (!member_reduces(m)) continue;
      for (int half = unroll / 2; half > 0; half /= 2)
        for (int u = 0; u < half; u++)
          reduce_join(e, m->node, acc + u * r->width + a, acc + (u + half) * r->width + a);
      if (!r->g->across) reduce_lanes(e, m->node, acc + a);
      keep_result(r->g, m, slots_of(r->g, m, r->at), reduce_value(e, m->node, acc + a), true);
      a += reducer_width(m->node->reducer);
    }
  }
}

static Run run_of(Group *g, const RowLoop *l) {
  Run r = {.g = g, .members = l->members, .n = l->n, .nd = l->nd, .extent = l->extent};
  for (int i = 0; i < r.n; i++) {
    const Member *m = &g->k->members.at[r.members[i]];
    if (member_reduces(m)) r.width += reducer_width(m->node->reducer) * g->places;
  }
  return r;
}

static void run_loop(Group *g, const RowLoop *l) {
  Run run = run_of(g, l), *r = &run;
  Emit *e = g->e;
  Value acc[ACCUMULATORS];
  set_place(g, 0);
  run_indices(r);
  int unroll = run_unroll(r);
  if (unroll * r->width > ACCUMULATORS) ice("too many reductions in one loop");
  for (int u = 0, a = 0; u < unroll * g->places; u++)
    for (int i = 0; i < r->n; i++) {
      const Member *m = &r->g->k->members.at[r->members[i]];
      if (!member_reduces(m)) continue;
      reduce_init(e, m->node, acc + a);
      a += reducer_width(m->node->reducer);
    }
  run_loops(r, 0, unroll, acc);
  run_results(r, unroll, acc);
}

/* All members at one grid position (or one vector of them). */
static void emit_position(Emit *e, void *cx, Value *carried, int instance) {
  (void)carried, (void)instance;
  Group *g = cx;
  int outer = e->grid_depth;
  e->grid_depth = e->depth;
  for (int i = 0; i < g->loops.n; i++) {
    const RowLoop *l = &g->loops.at[i];
    if (l->nd) run_loop(g, l);
    else emit_plain(g, &g->k->members.at[l->members[0]]);
  }
  e->grid_depth = outer;
}

/* ---- the grid ---- */

static int body_size(const Kernel *k) {
  int n = 0;
  for (int i = 0; i < k->members.n; i++) n += count_nodes(k->members.at[i].node->body);
  return n;
}

static int grid_unroll(const Group *g) {
  if (g->k->kind != KERNEL_map) return 1;
  int n = body_size(g->k);
  return n <= 12 ? 4 : n <= 30 ? 2 : 1;
}

static Value times(Emit *e, Value v, Dim *d) {
  int64_t one;
  return dim_is_const(d, &one) && one == 1 ? v : imul(&e->b, v, emit_dim(e, d));
}

/* ---- a window's borders ---- */

typedef struct Inside { /* the values of index v for which no guard on it alone can fail */
  Ir *ir;
  Var *v;
  int64_t lower, upper; /* [lower, upper) */
} Inside;

static void look_at_guard(void *cx, Expr *x) {
  Inside *in = cx;
  int64_t k = x->kind == EXPR_GE0 ? form_coefficient(x->form, in->v) : 0;
  if (!k) return;
  Range rest = form_range(in->ir, form_sub(in->ir, x->form, form_scale(in->ir, form_var(in->ir, in->v), k)));
  int64_t n = rest.has_lower ? rest.lower : 0; /* k*v + n >= 0 */
  if (k > 0 && -n > k * in->lower) in->lower = (-n + k - 1) / k;
  if (k < 0 && n < -k * (in->upper - 1)) in->upper = n < 0 ? 0 : n / -k + 1;
}

static Inside inside_of(Group *g, Var *v) {
  Inside in = {g->e->ir, v, 0, 0};
  dim_is_const(v->extent, &in.upper);
  for (int i = 0; i < g->k->members.n; i++) {
    const Member *m = &g->k->members.at[i];
    Form **row = fresh_row(g, m);
    expr_visit(emit_at(g->e, m->node->body, slots_of(g, m, row)), look_at_guard, &in);
  }
  if (in.upper < in.lower) in.upper = in.lower;
  return in;
}

/* The lanes' index from first to last alone, under a name whose range says so: guards that hold there are gone. */
static void lane_piece(Group *g, int64_t first, int64_t last) {
  Emit *e = g->e;
  if (first >= last) return;
  Var *v = var_fresh(e->ir, dim_const(e->ir, last - first));
  Form *outer = g->at[g->flat];
  g->at[g->flat] = form_add(e->ir, form_var(e->ir, v), form_const(e->ir, first));
  lane_loop(e, v, index64(&e->b, 0), index64(&e->b, last - first), 1, NULL, 0, emit_position, g);
  g->at[g->flat] = outer;
}

/* The first and the last vectors, where guards can fail, at constant places; those between without guards. */
static bool lane_pieces(Group *g) {
  int64_t n, lanes = g->e->lanes;
  if (!g->window || g->flat != g->n - 1 || g->k->cut == g->flat || !dim_is_const(g->lane->extent, &n)) return false;
  Inside in = inside_of(g, g->lane);
  if (in.lower == 0 && in.upper == n) return false;
  int64_t first = (in.lower + lanes - 1) / lanes * lanes, last = in.upper / lanes * lanes;
  if (first >= last || first > 2 * lanes || n - last > 2 * lanes) return false;
  for (int64_t at = 0; at < first; at += lanes) lane_piece(g, at, at + lanes);
  lane_piece(g, first, last);
  for (int64_t at = last; at < n; at += lanes) lane_piece(g, at, at + lanes < n ? at + lanes : n);
  return true;
}

static void grid_loops(Group *g, int k, Value from, Value to);

/* Index k within [from, to) and [first, last): named by a range of its own where that is less than all. */
static void grid_piece(Group *g, int k, Value from, Value to, int64_t first, int64_t last) {
  Emit *e = g->e;
  Build *b = &e->b;
  Loop l;
  Form *outer = g->at[k];
  Value low = index64(b, first), high = index64(b, last);
  emit_enter(e, e->depth);
  from = choose(b, icmp(b, LLVMIntSGT, from, low), from, low);
  to = choose(b, icmp(b, LLVMIntSLT, to, high), to, high);
  Var *v = var_fresh(e->ir, dim_const(e->ir, last - first));
  g->at[k] = form_add(e->ir, form_var(e->ir, v), form_const(e->ir, first));
  loop_open(e, &l, from, to, 1, NULL, 0);
  emit_bind(e, v, lanes_scalar(isub(b, l.index, low)));
  grid_loops(g, k + 1, index64(b, 0), emit_dim(e, g->k->grid[k + 1]));
  loop_close(e, &l, NULL);
  g->at[k] = outer;
}

/* Rows whose window lies inside run without guards on it. */
static bool grid_pieces(Group *g, int k, Value from, Value to) {
  int64_t n;
  if (!g->window || k != g->n - 2 || k + 1 != g->flat || !dim_is_const(g->k->grid[k], &n)) return false;
  Inside in = inside_of(g, g->grid[k]);
  if ((in.lower == 0 && in.upper == n) || in.upper - in.lower < n / 2) return false;
  if (in.lower > 0) grid_piece(g, k, from, to, 0, in.lower);
  grid_piece(g, k, from, to, in.lower, in.upper);
  if (in.upper < n) grid_piece(g, k, from, to, in.upper, n);
  return true;
}

typedef struct Inner { /* loops behind the condition */
  Group *g;
  int k;
  Value from, to;
} Inner;

static void inner_loops(void *cx) {
  const Inner *in = cx;
  grid_loops(in->g, in->k, in->from, in->to);
}

/* Loops over grid indices from k on, of which the last one before k decides whether they are run. */
static void decided_loops(Group *g, int k, Value from, Value to, bool decides) {
  Value holds = g->condition && decides ? emit_expr(g->e, g->condition) : NULL;
  emit_if(g->e, holds, inner_loops, &(Inner){g, k, from, to});
}

/* Loops over grid indices from k on, index k within [from, to). */
static void grid_loops(Group *g, int k, Value from, Value to) {
  Emit *e = g->e;
  if (g->across && k == g->flat) {
    if (lane_pieces(g)) return;
    Dim *inner = product(e, g->n - k - 1, g->k->grid + k + 1);
    Value first = times(e, from, inner), last = times(e, to, inner);
    lane_loop(e, g->lane, first, last, grid_unroll(g), NULL, 0, emit_position, g);
    return;
  }
  if (k == g->n) {
    emit_position(e, g, NULL, 0);
    return;
  }
  if (grid_pieces(g, k, from, to)) return;
  Loop l;
  loop_open(e, &l, from, to, 1, NULL, 0);
  emit_bind(e, g->grid[k], lanes_scalar(l.index));
  decided_loops(g, k + 1, index64(&e->b, 0), k + 1 < g->n ? emit_dim(e, g->k->grid[k + 1]) : NULL, k == g->decided);
  loop_close(e, &l, NULL);
}

static void grid_unit(void *cx, Value from, Value to) {
  Group *g = cx;
  decided_loops(g, g->k->cut, from, to, g->decided < g->k->cut);
}

static void grid_units(Group *g) {
  Emit *e = g->e;
  if (g->n == 0) { /* one unit */
    Loop once;
    loop_open(e, &once, e->begin, e->end, 1, NULL, 0);
    emit_position(e, g, NULL, 0);
    loop_close(e, &once, NULL);
    return;
  }
  emit_units(e, g->grid, grid_unit, g);
}

/* Rows of a few elements leave most lanes empty: there a vector is better made of as many rows. */
static bool rows_are_short(Group *g) {
  for (int i = 0; i < g->k->members.n; i++) {
    const Member *m = &g->k->members.at[i];
    Dim **extent = row_extents(g, m);
    int64_t elements = 1, c;
    for (int j = 0; j < member_row_rank(g->k, m); j++) {
      if (!dim_is_const(extent[j], &c)) return false;
      elements *= c;
    }
    if (elements > g->e->lanes / 4) return false;
  }
  return true;
}

/* Positions are passed over where all along the lanes are, or where there are none. */
static void find_condition(Group *g) {
  Expr *e = kernel_condition(g->e->s, g->k);
  g->decided = -1;
  if (!e) return;
  for (int i = 0; i < g->n; i++)
    if (expr_uses(e, var_get(g->e->ir, i, g->k->grid[i]))) g->decided = i;
  if (g->decided >= 0 && g->decided < g->flat) g->condition = emit_at(g->e, e, g->at);
}

void emit_group(Emit *e) {
  Kernel *k = e->k;
  Group g = {.e = e,
             .k = k,
             .n = k->ngrid - k->taps,
             .places = 1,
             .loops = kernel_row_loops(e->s, k, RUN_MEMBERS, RUN_REDUCTIONS)};
  g.grid = NEW_ARRAY(e->arena, Var *, g.n + 1);
  g.at = NEW_ARRAY(e->arena, Form *, k->ngrid + 1);
  g.flat = g.n;
  for (int i = g.n; i < k->ngrid; i++) g.places *= (int)dim_nominal(k->grid[i]);
  g.window = k->kind == KERNEL_window;
  g.across = g.n > 0 && !k->sums && (k->kind != KERNEL_row || (!k->taps && rows_are_short(&g)));
  emit_kept_rows(e, g.across);
  if (g.across) collapse_grid(&g);
  else plain_grid(&g);
  find_condition(&g);
  grid_units(&g);
}
