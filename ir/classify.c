/* classify.c - finds contractions and tells windows, rows and columns from each other.
 *
 * A sum is a contraction when the factors of its body part into two operands, A over m and k and B over k and n, each
 * of m, n and k large enough for register tiles. Factors without a reduction index are applied to the finished value;
 * the conditions of an enclosing `select(p, e, 0)` are applied to the operand whose indices they use, while it is
 * packed, or to the tile. The partition chosen is the one with the largest min(|M|, |N|). */
#include "ir/classify.h"
#include "ir/cost.h"

#include <string.h>

enum { MAX_FACTORS = 6, MAX_MASKS = 16, MIN_M = 8, MIN_N = 8, MIN_K = 4, SHORT_ROW = 8, MAX_WINDOW = 64 };

typedef uint64_t SlotSet; /* bit s: the index of slot s occurs */

typedef struct Factor {
  Expr *e;
  SlotSet slots;
} Factor;

typedef struct Factoring {
  Graph *g;
  Ir *ir;
  Arena *arena;
  const Node *n;
  SlotSet reduced; /* all reduction slots */
  SlotSet steps;   /* result indices that are steps of loops: one after the other, so never part of a tile */
  Expr *scale;     /* product of the factors without a reduction index, or NULL */
  Factor op[MAX_FACTORS], mask[MAX_MASKS];
  int nops, nmasks;
  bool any_size; /* too small for tiles as well */
  bool failed;
} Factoring;

static Var *slot_var(const Factoring *f, int slot) { return node_slot_var(f->g, f->n, slot); }

static SlotSet slots_of(const Factoring *f, const Expr *e) {
  SlotSet set = 0;
  for (int s = 0; s < f->n->rank + f->n->nred; s++)
    if (expr_uses(e, slot_var(f, s))) set |= (SlotSet)1 << s;
  return set;
}

static void scale_by(Factoring *f, Expr *e) { f->scale = f->scale ? expr_op2(f->ir, OP_mul, f->scale, e) : e; }

static void add_masks(Factoring *f, Expr *p) {
  if (p->kind == EXPR_OP && p->op == OP_and) {
    add_masks(f, p->arg[0]);
    add_masks(f, p->arg[1]);
  } else if (f->nmasks == MAX_MASKS) f->failed = true;
  else f->mask[f->nmasks++] = (Factor){p, slots_of(f, p)};
}

static void add_factor(Factoring *f, Expr *e) {
  SlotSet slots = slots_of(f, e);
  if (!(slots & f->reduced)) scale_by(f, e);
  else if (f->nops == MAX_FACTORS) f->failed = true;
  else f->op[f->nops++] = (Factor){e, slots};
}

static void split_factors(Factoring *f, Expr *e) {
  if (e->kind == EXPR_OP && e->op == OP_mul) {
    split_factors(f, e->arg[0]);
    split_factors(f, e->arg[1]);
  } else if (e->kind == EXPR_OP && e->op == OP_div) {
    split_factors(f, e->arg[0]);
    add_factor(f, expr_op2(f->ir, OP_div, expr_real(f->ir, e->dtype, 1), e->arg[1]));
  } else if (e->kind == EXPR_OP && e->op == OP_neg) {
    scale_by(f, expr_real(f->ir, e->dtype, -1));
    split_factors(f, e->arg[0]);
  } else if (e->kind == EXPR_OP && e->op == OP_select && expr_is_number(e->arg[2], 0)) {
    add_masks(f, e->arg[0]);
    split_factors(f, e->arg[1]);
  } else add_factor(f, e);
}

/* ---- partitions ---- */

typedef struct Partition {
  SlotSet a, b;
  unsigned in_a; /* bit i: factor i belongs to A */
  double least, most;
} Partition;

static double extent_of(const Factoring *f, SlotSet set) {
  double v = 1;
  for (int s = 0; s < f->n->rank + f->n->nred; s++)
    if (set >> s & 1) v *= (double)dim_nominal(slot_var(f, s)->extent);
  return v;
}

static bool fills_tiles(const Factoring *f, const Partition *p) {
  return p->least >= MIN_M && p->least >= MIN_N && extent_of(f, f->reduced) >= MIN_K;
}

static bool partition_at(const Factoring *f, unsigned in_a, Partition *p) {
  *p = (Partition){.in_a = in_a};
  for (int i = 0; i < f->nops; i++) *(in_a >> i & 1 ? &p->a : &p->b) |= f->op[i].slots;
  if ((p->a & f->reduced) != f->reduced || (p->b & f->reduced) != f->reduced) return false;
  SlotSet rows = p->a & ~p->b & ~f->steps, columns = p->b & ~p->a & ~f->steps;
  double m = extent_of(f, rows), n = extent_of(f, columns);
  p->least = m < n ? m : n;
  p->most = m * n;
  return rows && columns && (f->any_size || fills_tiles(f, p));
}

static bool best_partition(const Factoring *f, Partition *best) {
  bool found = false;
  for (unsigned in_a = 1; in_a < 1u << f->nops; in_a += 2) { /* factor 0 is in A: halves are not tried twice */
    Partition p;
    if (!partition_at(f, in_a, &p)) continue;
    if (found && (p.least < best->least || (p.least == best->least && p.most <= best->most))) continue;
    *best = p;
    found = true;
  }
  return found;
}

/* ---- masks ---- */

static Expr *product_of(const Factoring *f, unsigned in_a, bool a) {
  Expr *e = NULL;
  for (int i = 0; i < f->nops; i++)
    if ((bool)(in_a >> i & 1) == a) e = e ? expr_op2(f->ir, OP_mul, e, f->op[i].e) : f->op[i].e;
  return e;
}

static Expr *masked(const Factoring *f, Expr *e, SlotSet slots) {
  Expr *p = NULL;
  for (int i = 0; i < f->nmasks; i++)
    if (!(f->mask[i].slots & ~slots)) p = expr_and(f->ir, p, f->mask[i].e);
  return p ? expr_select(f->ir, p, e, expr_real(f->ir, e->dtype, 0)) : e;
}

static bool condition_is_known(const Factoring *f, const Expr *p, SlotSet slots) {
  if (p->kind == EXPR_CONST) return p->integer != 0;
  for (int i = 0; i < f->nmasks; i++)
    if (f->mask[i].e == p && !(f->mask[i].slots & ~slots)) return true;
  return false;
}

/* Whether the operand may be evaluated wherever its own masks hold: the masks that it does not get (they use indices
 * of the other operand) must not be what keeps its reads inside. Reads under a select of the operand's own are its
 * own affair; data indices are kept inside by whoever made them. */
static bool operand_is_safe(const Factoring *f, const Expr *e, SlotSet slots) {
  if (e->kind == EXPR_READ) {
    for (int d = 0; d < e->node->rank; d++) {
      Form *at = e->at[d], *rest = form_sub(f->ir, form_dim(f->ir, e->node->shape[d]), at);
      if (form_has_data(at)) continue;
      if (!condition_is_known(f, expr_ge0(f->ir, at), slots)) return false;
      if (!condition_is_known(f, expr_ge0(f->ir, form_sub(f->ir, rest, form_const(f->ir, 1))), slots)) return false;
    }
  }
  if (e->kind == EXPR_OP && e->op == OP_select) return operand_is_safe(f, e->arg[0], slots);
  for (int i = 0; e->kind == EXPR_OP && i < e->n; i++)
    if (!operand_is_safe(f, e->arg[i], slots)) return false;
  return true;
}

static void mask_scale(const Factoring *f, Expr *mask, Contraction *c) {
  DType t = f->n->body->dtype;
  Expr *scale = c->scale ? c->scale : expr_real(f->ir, t, 1);
  c->scale = expr_select(f->ir, mask, scale, expr_real(f->ir, t, 0));
}

/* The masks that fit neither operand: on the result alone they belong to the scale, else to the tile. A mask on the
 * result alone belongs to the scale in any case: it may keep the scale from being infinite. */
static void place_other_masks(const Factoring *f, const Partition *p, Contraction *c) {
  for (int i = 0; i < f->nmasks; i++) {
    SlotSet q = f->mask[i].slots;
    bool fits = !(q & ~p->a) || !(q & ~p->b);
    if (!(q & f->reduced)) {
      if (!fits || c->scale) mask_scale(f, f->mask[i].e, c);
    } else if (!fits) c->tile_mask = expr_and(f->ir, c->tile_mask, f->mask[i].e);
  }
}

/* ---- the factoring as a Contraction ---- */

static int *slot_list(const Factoring *f, SlotSet set, int *count) {
  int *list = NEW_ARRAY(f->arena, int, 64);
  *count = 0;
  for (int s = 0; s < 64; s++)
    if (set >> s & 1) list[(*count)++] = s;
  return list;
}

/* Rows and columns are counted on from one of their indices to the next, which only the first may leave open: steps
 * of a loop times a batch are counted as a batch of steps. The one that the result's memory runs with stays. */
static void open_first(const Factoring *f, int *slots, int count) {
  for (int i = 1; i < count; i++) {
    int s = slots[i];
    if (s == f->n->rank - 1 || dim_is_const(slot_var(f, s)->extent, NULL)) continue;
    memmove(slots + 1, slots, (size_t)i * sizeof *slots);
    slots[0] = s;
  }
}

static bool gets_all_masks(const Factoring *f, SlotSet slots) {
  for (int i = 0; i < f->nmasks; i++)
    if (f->mask[i].slots & ~slots) return false;
  return true;
}

static Contraction *contraction_of(const Factoring *f, Partition p) {
  SlotSet m = p.a & ~p.b & ~f->steps, n = p.b & ~p.a & ~f->steps;
  bool swap = m > n; /* the highest slot is the fastest running result index: it has to be in n */
  Expr *a = product_of(f, p.in_a, !swap), *b = product_of(f, p.in_a, swap);
  if (swap) p = (Partition){.a = p.b, .b = p.a};
  Contraction *c = NEW(f->arena, Contraction);
  c->scale = f->scale;
  place_other_masks(f, &p, c);
  if (!gets_all_masks(f, p.a) && !operand_is_safe(f, a, p.a)) return NULL;
  if (!gets_all_masks(f, p.b) && !operand_is_safe(f, b, p.b)) return NULL;
  c->a = masked(f, a, p.a);
  c->b = masked(f, b, p.b);
  SlotSet result = ~f->reduced & (((SlotSet)1 << (f->n->rank + f->n->nred)) - 1);
  SlotSet neither = result & (~(p.a | p.b) | f->steps); /* only in the scale: like a batch index */
  c->batch = slot_list(f, (p.a & p.b & result) | neither, &c->nbatch);
  c->m = slot_list(f, p.a & ~p.b & ~f->steps, &c->nm);
  c->n = slot_list(f, p.b & ~p.a & ~f->steps, &c->nn);
  c->k = slot_list(f, f->reduced, &c->nk);
  open_first(f, c->m, c->nm);
  open_first(f, c->n, c->nn);
  return c;
}

static bool find_factors(Factoring *f, Partition *p) {
  const Node *n = f->n;
  if (n->reducer != RED_sum || !dtype_is_float(n->dtype) || n->rank + n->nred > 62) return false;
  f->reduced = (((SlotSet)1 << n->nred) - 1) << n->rank;
  f->steps = ((SlotSet)1 << node_times(n)) - 1;
  split_factors(f, n->body);
  return !f->failed && f->nops >= 2 && best_partition(f, p);
}

static Contraction *find_contraction(Graph *g, const Node *n, Arena *a, bool any_size) {
  Factoring f = {.g = g, .ir = g->ir, .arena = a, .n = n, .any_size = any_size};
  Partition p;
  return find_factors(&f, &p) ? contraction_of(&f, p) : NULL;
}

Contraction *small_product(Graph *g, const Node *n, Arena *a) { return find_contraction(g, n, a, true); }

Expr *product_rounded(Graph *g, const Node *n, DType t) {
  Factoring f = {.g = g, .ir = g->ir, .arena = g->arena, .n = n, .any_size = true};
  Partition p;
  if (!find_factors(&f, &p)) return NULL;
  Expr *product = NULL, *holds = NULL;
  for (int side = 1; side >= 0; side--) {
    Expr *operand = product_of(&f, p.in_a, side), *rounded = expr_cast(f.ir, n->dtype, expr_cast(f.ir, t, operand));
    product = product ? expr_op2(f.ir, OP_mul, product, rounded) : rounded;
  }
  if (f.scale) product = expr_op2(f.ir, OP_mul, f.scale, product);
  for (int i = 0; i < f.nmasks; i++) holds = expr_and(f.ir, holds, f.mask[i].e);
  return holds ? expr_select(f.ir, holds, product, expr_real(f.ir, n->dtype, 0)) : product;
}

/* ---- row or column ---- */

/* The form of the fastest running dimension of what is read: the last that has more than one element and is not held
 * constant. NULL: there is none. */
static const Form *fastest_form(const Expr *read) {
  for (int d = read->node->rank; d-- > 0;) {
    int64_t extent;
    bool single = dim_is_const(read->node->shape[d], &extent) && extent == 1;
    if (!single && !form_is_const(read->at[d], NULL)) return read->at[d];
  }
  return NULL;
}

static bool runs_with(const Expr *read, const Var *v) {
  const Form *f = fastest_form(read);
  return f && form_coefficient(f, v) != 0;
}

static bool runs_with_a_reduction(Graph *g, const Node *n, const Expr *read) {
  for (int i = 0; i < n->nred; i++)
    if (runs_with(read, node_reduction_var(g, n, i))) return true;
  return false;
}

static bool is_reduced(Graph *g, const Node *n, const Expr *read) {
  return node_slots_used(g, n, read, n->rank, n->rank + n->nred);
}

/* The largest operand with a reduction index, or, where there is none, the largest of all. */
static Expr *find_largest(Graph *g, const Node *n, ExprList reads) {
  Expr *largest = NULL;
  double most = -1;
  for (int i = 0; i < reads.n; i++) {
    Expr *r = reads.at[i];
    bool reduced = is_reduced(g, n, r), better = !largest || reduced > is_reduced(g, n, largest);
    double count = node_result_count(r->node);
    if (r->node->rank == 0 || (!better && (count <= most || reduced < is_reduced(g, n, largest)))) continue;
    most = count;
    largest = r;
  }
  return largest;
}

static bool some_reduced_runs_with(Graph *g, const Node *n, ExprList reads, const Var *v) {
  for (int i = 0; i < reads.n; i++)
    if (runs_with(reads.at[i], v) && is_reduced(g, n, reads.at[i])) return true;
  return false;
}

/* Whether an operand is walked through against its memory, as the filter of a convolution is: its vectors are turned
 * around one by one. */
static bool some_runs_backwards(Graph *g, const Node *n, ExprList reads) {
  for (int i = 0; i < reads.n; i++)
    for (int r = 0; r < n->nred; r++) {
      const Form *f = fastest_form(reads.at[i]);
      if (f && form_coefficient(f, node_reduction_var(g, n, r)) < 0) return true;
    }
  return false;
}

/* The largest operand decides: its fastest dimension runs with a reduction index (row) or not (column). A row too
 * short for vectors, or one that meets another from its end, becomes a column where the result is longer and some
 * reduced operand runs with it. */
static KernelKind row_or_column(Graph *g, const Node *n, Arena *a) {
  ExprList reads = node_reads(a, n);
  Expr *largest = find_largest(g, n, reads);
  if (n->rank == node_times(n)) return KERNEL_row; /* one result a step */
  if (!largest || !runs_with_a_reduction(g, n, largest)) return largest ? KERNEL_column : KERNEL_row;
  const Var *lane = node_result_var(g, n, n->rank - 1);
  if (runs_with(largest, lane)) return KERNEL_column;
  int64_t lanes = dim_nominal(lane->extent), row = 1;
  for (int i = 0; i < n->nred; i++) row *= dim_nominal(n->red[i]);
  bool poor = (row < SHORT_ROW && lanes > row) || (lanes >= SHORT_ROW && some_runs_backwards(g, n, reads));
  return poor && some_reduced_runs_with(g, n, reads, lane) ? KERNEL_column : KERNEL_row;
}

/* ---- windows ---- */

static bool uses_a_result_index(Graph *g, const Node *n, const Form *f) {
  for (int i = 0; i < n->rank; i++)
    if (form_uses(f, node_result_var(g, n, i))) return true;
  return false;
}

/* Whether reduction index v moves a read about the result's place. */
static bool moves_a_window(Graph *g, const Node *n, ExprList reads, const Var *v) {
  for (int i = 0; i < reads.n; i++)
    for (int d = 0; d < reads.at[i]->node->rank; d++)
      if (form_uses(reads.at[i]->at[d], v) && uses_a_result_index(g, n, reads.at[i]->at[d])) return true;
  return false;
}

/* A few places about each result, and results in the order of what is read: poolings, depthwise convolutions, their
 * derivatives. */
static bool is_window(Graph *g, const Node *n, Arena *a) {
  int64_t extent, places = 1;
  ExprList reads = node_reads(a, n);
  for (int i = 0; i < n->nred; i++) {
    if (!dim_is_const(n->red[i], &extent) || extent > MAX_WINDOW) return false;
    places *= extent;
    if (places > MAX_WINDOW || !moves_a_window(g, n, reads, node_reduction_var(g, n, i))) return false;
  }
  return some_reduced_runs_with(g, n, reads, node_result_var(g, n, n->rank - 1));
}

KernelKind classify(Graph *g, const Node *n, Arena *a, Contraction **c) {
  *c = NULL;
  if (n->kind == NODE_scatter) return KERNEL_scatter;
  if (n->kind == NODE_sort) return KERNEL_sort;
  if (n->reducer == RED_none) return KERNEL_map;
  if (n->rank == 0) return KERNEL_full;
  *c = find_contraction(g, n, a, false);
  if (*c) return KERNEL_contraction;
  return !n->scan && is_window(g, n, a) ? KERNEL_window : row_or_column(g, n, a);
}

int form_result_slot(Graph *g, const Node *n, const Form *f) {
  Var *v = form_as_var(f);
  if (!v) return -1;
  for (int i = 0; i < node_result_slots(n); i++)
    if (node_result_var(g, n, i) == v) return i;
  return -1;
}

bool read_is_identity(Graph *g, const Node *n, const Expr *read) {
  if (read->node->rank != n->rank) return false;
  for (int i = 0; i < n->rank; i++)
    if (read->node->shape[i] != n->shape[i] || form_result_slot(g, n, read->at[i]) != i) return false;
  return true;
}
