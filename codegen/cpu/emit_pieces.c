/* emit_pieces.c - a range of one index in pieces: so many neighbours, a vector at most, that no address jumps between
 * them. Where an address divides the index (rows of a window, images, residue classes), it is walked through in
 * straight steps up to the next multiple of the divisor: vectors and a few shuffles take the place of a gather or a
 * scatter. A piece's length is known when the program runs; the lanes after it are masked. */
#include "codegen/cpu/product.h"
#include "ir/cost.h"

enum { SHORTEST = 4 /* pieces are worth it from a vector's 4th part on */, PIECES = 4 /* usual in a range */ };

bool read_uses(const Expr *x, const Var *v) {
  for (int i = 0; i < x->node->rank; i++)
    if (form_uses(x->at[i], v)) return true;
  return false;
}

int64_t run_along(const Form *f, const Var *v) {
  int64_t step = f ? form_coefficient(f, v) : 0;
  if (step < 1 || step > MAX_STEP) return 1;
  int64_t run = dim_nominal(v->extent);
  for (int i = 0; i < f->n; i++) {
    const Atom *a = f->terms[i].atom;
    if (a->kind == ATOM_DATA && expr_uses(a->data, v)) return 1;
    if (a->kind != ATOM_DIV || !form_uses(a->form, v)) continue;
    int64_t inner = form_coefficient(a->form, v), length = inner > 0 ? a->divisor / inner : 1;
    if (length < run) run = length;
  }
  return (run + step - 1) / step;
}

/* ---- what jumps ---- */

static bool uses_inner(const Pieces *q, const Form *f) {
  for (int i = 0; i < q->ninner; i++)
    if (form_uses(f, q->inner[i])) return true;
  return false;
}

static void add_jump(Pieces *q, Atom *a) {
  for (int i = 0; i < q->jumps.n; i++)
    if (q->jumps.at[i] == a) return;
  if (form_coefficient(a->form, q->lane) < 1 || uses_inner(q, a->form)) q->hopeless = true;
  vec_push(q->e->arena, &q->jumps, a);
}

void pieces_address(Pieces *q, const Form *f) {
  int before = q->jumps.n;
  for (int i = 0; f && i < f->n; i++) {
    Atom *a = f->terms[i].atom;
    if (a->kind == ATOM_DATA && expr_uses(a->data, q->lane)) q->hopeless = true;
    if (a->kind != ATOM_DIV || !form_uses(a->form, q->lane)) continue;
    if (!emit_stays_between_multiples(q->e, a->form, a->divisor)) add_jump(q, a);
  }
  if (!f || (q->jumps.n > before && run_along(f, q->lane) * SHORTEST < q->e->lanes)) q->hopeless = true;
}

static void look_at_read(void *cx, Expr *x) {
  Pieces *q = cx;
  if (x->kind == EXPR_READ && read_uses(x, q->lane)) pieces_address(q, flat_address(q->e, x->node, x->at));
}

void pieces_reads(Pieces *q, Expr *x) { expr_visit(x, look_at_read, q); }

/* ---- forms within a piece ---- */

static Form *first_for_lane(void *cx, Var *v) {
  Pieces *q = cx;
  return v == q->lane ? form_var(q->e->ir, q->first) : NULL;
}

static Form *at_first(Pieces *q, Form *f) {
  return form_map(&(ExprMap){.ir = q->e->ir, .var = first_for_lane, .cx = q}, f);
}

Form *pieces_form(Pieces *q, Form *f) {
  Ir *ir = q->e->ir;
  Form *steps = form_sub(ir, form_var(ir, q->lane), form_var(ir, q->first));
  return form_add(ir, at_first(q, f), form_scale(ir, steps, form_coefficient(f, q->lane)));
}

static Expr *straight_read(void *cx, Expr *x) {
  Pieces *q = cx;
  Form *at[MAX_SLOTS];
  if (!read_uses(x, q->lane)) return NULL;
  for (int i = 0; i < x->node->rank; i++) at[i] = pieces_form(q, x->at[i]);
  return expr_read(q->e->ir, x->node, at);
}

Expr *pieces_expr(Pieces *q, Expr *x) {
  return expr_map(&(ExprMap){.ir = q->e->ir, .read = straight_read, .cx = q}, x);
}

/* ---- the loop ---- */

/* Lanes up to the next multiple of a's divisor. */
static Value up_to_jump(Pieces *q, const Atom *a) {
  Emit *e = q->e;
  int64_t step = form_coefficient(a->form, q->lane);
  Form *past = form_mod(e->ir, at_first(q, a->form), a->divisor);
  Form *left = form_sub(e->ir, form_const(e->ir, a->divisor + step - 1), past);
  return emit_form(e, form_floordiv(e->ir, left, step)).base;
}

void pieces_open(Pieces *q, Value from, Value to) {
  Emit *e = q->e;
  Build *b = &e->b;
  loop_open(e, &q->loop, from, to, 0, NULL, 0);
  q->loop.trips = PIECES;
  q->depth = e->depth;
  q->first = var_fresh(e->ir, q->lane->extent);
  emit_bind(e, q->first, lanes_scalar(q->loop.index));
  emit_bind(e, q->lane, lanes_from(e, q->loop.index, 1));
  Value length = isub(b, to, q->loop.index);
  for (int i = -1; i < q->jumps.n; i++) {
    Value other = i < 0 ? index64(b, e->lanes) : up_to_jump(q, q->jumps.at[i]);
    length = choose(b, icmp(b, LLVMIntSLT, other, length), other, length);
  }
  q->loop.advance = length;
  Value count = convert_int(b, length, b->i32, true);
  q->mask = icmp(b, LLVMIntULT, iota(b, b->i32, e->lanes, 1), splat(b, count, e->lanes));
}

void pieces_close(Pieces *q) { loop_close(q->e, &q->loop, NULL); }
