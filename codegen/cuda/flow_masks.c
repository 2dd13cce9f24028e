/* flow_masks.c - tiles of columns of which a stream's masks leave nothing (above the diagonal, outside a window): an
 * index form below 0 at the corner where it is largest is so in all of the tile. */
#include "codegen/cuda/flow.h"

#include <math.h>

enum { MOST_MASKS = 8 };

typedef Vec(Form *) Masks;

static void zero_below(Flow *f, Expr *e, Masks *masks);

static Expr *own_map(Flow *f, Expr *e) {
  if (e->kind != EXPR_READ) return NULL;
  for (int i = 0; i < f->k->members.n; i++) {
    const Node *n = flow_member(f, i)->node;
    Slots own = {0};
    if (n == e->node && n->reducer == RED_none) return expr_at_slots(f->t->ir, n->body, flow_slots(f, i, &own));
  }
  return NULL;
}

/* Forms below 0 where `rest` of a select is not taken. */
static void add_mask(Flow *f, const Expr *p, bool holds, Masks *masks) {
  if (p->kind == EXPR_OP && p->op == OP_and && holds) {
    add_mask(f, p->arg[0], holds, masks);
    add_mask(f, p->arg[1], holds, masks);
  }
  if (p->kind != EXPR_GE0 || form_has_data(p->form)) return;
  Ir *ir = f->t->ir;
  Form *form = holds ? p->form : form_sub(ir, form_const(ir, -1), p->form);
  for (int i = 0; i < form->n; i++)
    if (form->terms[i].atom->kind == ATOM_DIV) return;
  for (int i = 0; i < masks->n; i++)
    if (masks->at[i] == form) return;
  vec_push(f->t->arena, masks, form);
}

/* Forms of which each, where it is below 0, makes e -inf. */
static void lowest_below(Flow *f, Expr *e, Masks *masks) {
  Expr *map = own_map(f, e);
  if (map) lowest_below(f, map, masks);
  if (e->kind != EXPR_OP || e->op != OP_select) return;
  for (int side = 1; side <= 2; side++)
    if (expr_is_number(e->arg[side], -(double)INFINITY)) {
      add_mask(f, e->arg[0], side == 2, masks);
      lowest_below(f, e->arg[3 - side], masks);
    }
}

/* Forms of which each, where it is below 0, makes e 0. */
static void zero_below(Flow *f, Expr *e, Masks *masks) {
  Expr *map = own_map(f, e);
  if (map) zero_below(f, map, masks);
  if (e->kind != EXPR_OP) return;
  if (e->op == OP_mul || e->op == OP_div || e->op == OP_neg) zero_below(f, e->arg[0], masks);
  if (e->op == OP_mul) zero_below(f, e->arg[1], masks);
  if (e->op == OP_cast && dtype_is_float(e->dtype)) zero_below(f, e->arg[0], masks);
  if (e->op == OP_exp && e->arg[0]->kind == EXPR_OP && e->arg[0]->op == OP_sub)
    lowest_below(f, e->arg[0]->arg[0], masks);
  if (e->op != OP_select || !expr_is_number(e->arg[2], 0)) return;
  add_mask(f, e->arg[0], true, masks);
  zero_below(f, e->arg[1], masks);
}

/* Those that leave nothing to any sum. */
static Masks common_masks(Flow *f) {
  Masks common = {0};
  bool first = true;
  for (int i = 0; i < f->k->members.n; i++) {
    Masks own = {0};
    bool term = f->stream->terms[i].term, extreme = is_of_row(f, i) && flow_member(f, i)->node->reducer == RED_max;
    if (is_of_row(f, i) && !term && !extreme) return (Masks){0};
    if (!term && !extreme) continue;
    if (term) zero_below(f, at_member(f, i, f->stream->terms[i].term), &own);
    else lowest_below(f, at_member(f, i, flow_member(f, i)->node->body), &own);
    int kept = 0;
    for (int k = 0; k < common.n; k++)
      for (int l = 0; l < own.n; l++)
        if (common.at[k] == own.at[l]) {
          common.at[kept++] = common.at[k];
          break;
        }
    if (first) common = own;
    else common.n = kept;
    first = false;
  }
  return common;
}

/* The row or column of the tile where a form with this coefficient is largest. */
static const char *corner(Flow *f, const Slots *s, const char *from, int lines, int64_t coefficient) {
  Text *t = f->t;
  if (coefficient <= 0) return from;
  const char *end = text_name(t, 'x'), *type = text_index_type(s->volume), *volume = text_dim(t, s->volume);
  text_line(t, "const %s %s = %s + %d < %s ? %s + %d : %s - 1;", type, end, from, lines, volume, from, lines - 1,
            volume);
  return end;
}

void flow_skip(Flow *f, const char *c0) {
  Text *t = f->t;
  Masks masks = common_masks(f);
  for (int i = 0; i < masks.n && i < MOST_MASKS && f->column.n == 1; i++) {
    Form *form = masks.at[i];
    text_open(t, "%s", "");
    int64_t of_row = form_coefficient(form, f->row.var[0]), of_column = form_coefficient(form, f->column.var[0]);
    text_bind(t, f->row.var[0], corner(f, &f->row, f->m0, f->tile_rows, of_row));
    text_bind(t, f->column.var[0], corner(f, &f->column, c0, f->tile_columns, of_column));
    text_line(t, "if (%s < 0) continue;", text_form(t, form));
    text_close(t);
  }
}
