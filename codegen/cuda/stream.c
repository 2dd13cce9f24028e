/* stream.c - a product's rows and what is made of them, in one pass over the columns. A block has a tile of rows. For
 * one tile of columns after the other it makes the products in registers (flow_units.c, flow_threads.c), applies the
 * maps, and adds what follows: to maxima and sums of the rows, and to products with the columns' values. Tiles of
 * which masks leave nothing are not made (flow_masks.c).
 *
 * Sums that wait for a maximum are kept relative to the maximum so far, and multiplied by exp(by so far - by now)
 * when it grows; while it is still -inf there is nothing in them. A row all of whose columns are -inf ends as it
 * would without this: `by - by` is added to it, which is 0, or NaN. (Milakov, Gimelshein 2018, arXiv:1805.02867; Dao
 * 2023, arXiv:2307.08691.) All sums are in an order that depends on nothing but the shapes. */
#include "codegen/cuda/flow.h"

#include "ir/cost.h"

#include <math.h>

const Member *flow_member(const Flow *f, int i) { return &f->k->members.at[i]; }
bool is_over_columns(const Flow *f, int i) {
  return f->product[i].node && flow_member(f, i)->node->rank > f->k->ngrid && f->stream->terms[i].term;
}
bool is_made_here(const Flow *f, int i) { return f->product[i].node && !f->stream->terms[i].term; }
bool is_of_row(const Flow *f, int i) { return flow_member(f, i)->node->rank == f->k->ngrid; }
static bool is_extreme(const Node *n) { return n->reducer == RED_max || n->reducer == RED_min; }

/* ---- indices ---- */

static void add_slot(Flow *f, Slots *s, Dim *extent) {
  if (s->n == 0) s->volume = dim_const(f->t->ir, 1);
  s->extent[s->n] = extent;
  s->var[s->n++] = var_fresh(f->t->ir, extent);
  s->volume = dim_mul(f->t->ir, s->volume, extent);
}

/* The columns' extents, from a member that has them. */
static void find_columns(Flow *f) {
  for (int i = 0; i < f->k->members.n; i++) {
    const Node *n = flow_member(f, i)->node;
    if (f->stream->contractions[i] && !f->stream->terms[i].term) {
      for (int d = f->k->ngrid; d < n->rank; d++) add_slot(f, &f->column, n->shape[d]);
      return;
    }
  }
  ice("kernel %s makes no product", f->k->symbol);
}

Form **flow_slots(Flow *f, int i, Slots *own) {
  const Member *m = flow_member(f, i);
  const Node *n = m->node;
  Ir *ir = f->t->ir;
  bool summed = f->stream->terms[i].term || (is_of_row(f, i) && n->nred);
  Form **at = NEW_ARRAY(f->t->arena, Form *, n->rank + n->nred + 1);
  int column = 0;
  for (int g = 0; g < f->k->ngrid; g++)
    at[m->grid_slot[g]] = form_var(ir, g < f->batch.n ? f->batch.var[g] : f->row.var[0]);
  for (int s = 0; s < n->rank + n->nred; s++) {
    if (at[s]) continue;
    bool is_column = summed ? s >= n->rank : s < n->rank;
    if (!is_column) add_slot(f, own, s < n->rank ? n->shape[s] : n->red[s - n->rank]);
    at[s] = form_var(ir, is_column ? f->column.var[column++] : own->var[own->n - 1]);
  }
  return at;
}

/* All but what depends on the tiles. */
static void describe_product(Flow *f, int i) {
  Product *p = &f->product[i];
  Slots own = {0};
  const Contraction *c = f->stream->contractions[i];
  bool summed = f->stream->terms[i].term;
  *p = (Product){.t = f->t, .c = c, .node = flow_member(f, i)->node, .type = f->name};
  p->at = flow_slots(f, i, &own);
  p->batch = f->batch;
  p->m = f->row;
  p->n = summed ? own : f->column;
  p->k = summed ? f->column : own;
  p->a = expr_at_slots(f->t->ir, summed ? f->stream->terms[i].term : c->a, p->at);
  p->b = expr_at_slots(f->t->ir, c->b, p->at);
  p->mask = c->tile_mask ? expr_at_slots(f->t->ir, c->tile_mask, p->at) : NULL;
  p->m0 = f->m0;
  p->n0 = summed ? "0" : f->c0;
  f->sum[i] = text_name(f->t, 'a');
}

static Expr *read_of(Flow *f, int i, Form **at) {
  const Node *n = flow_member(f, i)->node;
  return expr_read(f->t->ir, (Node *)(uintptr_t)n, at);
}

static Form **grid_forms(Flow *f) {
  Form **at = NEW_ARRAY(f->t->arena, Form *, f->k->ngrid);
  for (int g = 0; g < f->k->ngrid; g++) at[g] = form_var(f->t->ir, g < f->batch.n ? f->batch.var[g] : f->row.var[0]);
  return at;
}

/* ---- loops over a thread's rows and columns ---- */

static void each_row(Flow *f) {
  Text *t = f->t;
  const char *m = text_name(t, 'x');
  text_line(t, "NN_UNROLL");
  text_open(t, "for (int r = 0; r < %d; r++)", f->rows);
  text_line(t, "const %s %s = %s + %s;", text_index_type(f->row.volume), m, f->m0, f->row_at);
  text_positions(t, m, 1, f->row.var, f->row.extent);
}

/* Where the row and the column are inside: closed by two text_close. */
static void each_column(Flow *f) {
  Text *t = f->t;
  const char *n = text_name(t, 'x');
  text_line(t, "NN_UNROLL");
  text_open(t, "for (int c = 0; c < %d; c++)", f->columns);
  text_line(t, "const %s %s = %s + %s;", text_index_type(f->column.volume), n, f->c0, f->column_at);
  text_open(t, "if (%s < %s && %s < %s)", text_form(t, form_var(t->ir, f->row.var[0])), text_dim(t, f->row.volume), n,
            text_dim(t, f->column.volume));
  text_positions(t, n, f->column.n, f->column.var, f->column.extent);
}

/* ---- values of a row and a column ---- */

void flow_open_sum(Flow *f, int i) {
  Product *p = &f->product[i];
  if (f->units) text_line(f->t, "float %s[%d];", f->sum[i], p->columns * 2);
  else text_line(f->t, "%s %s[%d][%d];", f->name, f->sum[i], p->rows, p->columns);
  product_clear(p, flow_sum(f, i));
}

const char *flow_sum(Flow *f, int i) { return text_printf(f->t, "%s%s", f->sum[i], f->sum_at); }

static const char *finished_product(Flow *f, int i) {
  Text *t = f->t;
  const Product *p = &f->product[i];
  const char *v = flow_sum(f, i);
  if (p->mask) v = text_printf(t, "(%s ? %s : 0)", text_expr(t, p->mask), v);
  if (p->c->scale) {
    const char *scale = text_expr(t, expr_at_slots(t->ir, p->c->scale, p->at));
    v = text_printf(t, "nn_mul_%s(%s, %s)", dtype_name(f->type), v, scale);
  }
  return v;
}

/* The tile's values at this row and column, by their reads. */
static void know_tile(Flow *f) {
  Text *t = f->t;
  for (int i = 0; i < f->k->members.n; i++) {
    const Node *n = flow_member(f, i)->node;
    Slots own = {0};
    if (is_over_columns(f, i) || is_of_row(f, i)) continue;
    Form **at = f->product[i].node ? f->product[i].at : flow_slots(f, i, &own);
    const char *name = text_name(t, 'v');
    const char *v = f->product[i].node ? finished_product(f, i) : text_expr(t, expr_at_slots(t->ir, n->body, at));
    text_line(t, "const %s %s = %s;", type_name(n->dtype), name, v);
    text_known(t, read_of(f, i, at), name);
  }
}

Expr *at_member(Flow *f, int i, Expr *e) {
  Slots own = {0};
  return expr_at_slots(f->t->ir, e, f->product[i].node ? f->product[i].at : flow_slots(f, i, &own));
}

static int index_of(const Flow *f, const Node *n) {
  for (int i = 0; i < f->k->members.n; i++)
    if (flow_member(f, i)->node == n) return i;
  ice("kernel %s has no such member", f->k->symbol);
}

/* ---- sums of a row ---- */

/* The threads of a row get what all of them have. */
static void join_row(Flow *f, const char *value, const char *op) {
  Text *t = f->t;
  const char *type = dtype_name(f->type);
  text_line(t, "for (int o = %d; o > 0; o /= 2) %s = nn_%s_%s(%s, nn_butterfly_%s(%s, o));", f->sharers / 2, value,
            op, type, value, type, value);
}

static void find_extremes(Flow *f) {
  Text *t = f->t;
  for (int i = 0; i < f->k->members.n; i++) {
    const Node *n = flow_member(f, i)->node;
    if (!is_of_row(f, i) || !is_extreme(n)) continue;
    const char *op = n->reducer == RED_max ? "max" : "min";
    f->of_row[i].next = text_name(t, 'n');
    text_line(t, "%s %s[%d];", f->name, f->of_row[i].next, f->rows);
    each_row(f);
    text_line(t, "%s[r] = %s[r];", f->of_row[i].next, f->of_row[i].name);
    each_column(f);
    know_tile(f);
    text_line(t, "%s[r] = nn_%s_%s(%s[r], %s);", f->of_row[i].next, op, dtype_name(f->type), f->of_row[i].next,
              text_expr(t, at_member(f, i, n->body)));
    text_close(t);
    text_close(t);
    join_row(f, text_printf(t, "%s[r]", f->of_row[i].next), op);
    text_close(t);
  }
}

/* `by` of sum i with the maximum in the variable `maximum`. */
static const char *by_with(Flow *f, int i, const char *maximum, const char *result) {
  Text *t = f->t;
  text_line(t, "%s %s;", f->name, result);
  text_open(t, "%s", "");
  text_known(t, read_of(f, index_of(f, f->stream->terms[i].max), grid_forms(f)), maximum);
  text_line(t, "%s = %s;", result, text_expr(t, at_member(f, i, f->stream->terms[i].by)));
  text_close(t);
  return result;
}

/* What waits for a maximum is brought from the one so far to that with this tile. */
static void correct_sums(Flow *f) {
  Text *t = f->t;
  const char *type = dtype_name(f->type);
  for (int i = 0; i < f->k->members.n; i++) {
    if (!f->stream->terms[i].by) continue;
    const Rows *max = &f->of_row[index_of(f, f->stream->terms[i].max)];
    const char *least = text_number(t, f->type, -(double)INFINITY, 0), *keep = text_name(t, 'k');
    each_row(f);
    text_line(t, "%s %s = 0;", f->name, keep);
    text_open(t, "if (%s[r] != %s && %s < %s)", max->name, least, text_form(t, form_var(t->ir, f->row.var[0])),
              text_dim(t, f->row.volume));
    const char *old = by_with(f, i, text_printf(t, "%s[r]", max->name), text_name(t, 'y'));
    const char *now = by_with(f, i, text_printf(t, "%s[r]", max->next), text_name(t, 'y'));
    text_line(t, "%s = %s == %s ? (%s)1 : nn_exp_%s(nn_sub_%s(%s, %s));", keep, old, now, f->name, type, type, old,
              now);
    text_close(t);
    if (is_of_row(f, i)) text_line(t, "%s[r] *= %s;", f->of_row[i].name, keep);
    else {
      text_line(t, "NN_UNROLL");
      text_line(t, "for (int c = 0; c < %d; c++) %s *= %s;", f->product[i].columns, flow_sum(f, i), keep);
    }
    text_close(t);
  }
  for (int i = 0; i < f->k->members.n; i++) {
    if (!f->of_row[i].next) continue;
    text_line(t, "NN_UNROLL");
    text_line(t, "for (int r = 0; r < %d; r++) %s[r] = %s[r];", f->rows, f->of_row[i].name, f->of_row[i].next);
  }
}

/* A term of sum i at this row and column. */
static const char *term_of(Flow *f, int i) {
  Text *t = f->t;
  const StreamTerms *terms = &f->stream->terms[i];
  if (!terms->by) return text_expr(t, at_member(f, i, terms->term));
  const Rows *max = &f->of_row[index_of(f, terms->max)];
  const char *v = text_name(t, 'w'), *known = text_printf(t, "%s[r]", max->name);
  text_known(t, read_of(f, index_of(f, terms->max), grid_forms(f)), known);
  const char *term = text_expr(t, at_member(f, i, terms->term));
  text_line(t, "const %s %s = %s == %s ? (%s)0 : %s;", f->name, v, known,
            text_number(t, f->type, -(double)INFINITY, 0), f->name, term);
  return v;
}

/* Terms of the rows' sums from member `from` on, and the weights of a product with the columns' values. */
static void add_terms(Flow *f, int from, int product) {
  Text *t = f->t;
  each_row(f);
  if (product >= 0) {
    text_line(t, "NN_UNROLL");
    text_line(t, "for (int c = 0; c < %d; c++) %s = 0;", f->columns, f->weight);
  }
  each_column(f);
  know_tile(f);
  for (int i = from; i < f->k->members.n; i++) {
    if (i != product && !(is_of_row(f, i) && f->stream->terms[i].term)) continue;
    const char *v = term_of(f, i);
    if (i == product) text_line(t, "%s = %s;", f->weight, v);
    else text_line(t, "%s[r] += %s;", f->of_row[i].name, v);
  }
  text_close(t);
  text_close(t);
  text_close(t);
}

void flow_reduce(Flow *f) {
  find_extremes(f);
  correct_sums(f);
  for (int i = 0; i < f->k->members.n; i++)
    if (is_over_columns(f, i)) return;
  add_terms(f, 0, -1);
}

void flow_weigh(Flow *f, int i, bool first) { add_terms(f, first ? 0 : i, i); }

/* ---- the whole ---- */

static void begin_sums(Flow *f) {
  Text *t = f->t;
  for (int i = 0; i < f->k->members.n; i++) {
    const Node *n = flow_member(f, i)->node;
    if (is_of_row(f, i)) {
      double first = n->reducer == RED_max ? -(double)INFINITY : n->reducer == RED_min ? (double)INFINITY : 0;
      f->of_row[i].name = text_name(t, 'm');
      text_line(t, "%s %s[%d];", f->name, f->of_row[i].name, f->rows);
      text_line(t, "NN_UNROLL");
      text_line(t, "for (int r = 0; r < %d; r++) %s[r] = %s;", f->rows, f->of_row[i].name,
                text_number(t, f->type, first, 0));
    } else if (is_over_columns(f, i)) {
      flow_open_sum(f, i);
    }
  }
}

/* Adds `by - by` to a finished sum: NaN where there was no maximum. */
static const char *completed(Flow *f, int i, const char *v) {
  Text *t = f->t;
  const StreamTerms *terms = &f->stream->terms[i];
  const char *type = dtype_name(f->type);
  const Expr *factors[] = {terms->scale, f->product[i].node ? f->product[i].c->scale : NULL};
  for (int k = 0; k < 2; k++)
    if (factors[k])
      v = text_printf(t, "nn_mul_%s(%s, %s)", type, v, text_expr(t, at_member(f, i, (Expr *)(uintptr_t)factors[k])));
  if (!terms->by) return v;
  const char *by = text_expr(t, at_member(f, i, terms->by));
  return text_printf(t, "nn_add_%s(%s, nn_sub_%s(%s, %s))", type, v, type, by, by);
}

static void finish_rows(Flow *f) {
  Text *t = f->t;
  for (int i = 0; i < f->k->members.n; i++)
    if (is_of_row(f, i) && f->stream->terms[i].term) {
      text_line(t, "NN_UNROLL");
      text_open(t, "for (int r = 0; r < %d; r++)", f->rows);
      join_row(f, text_printf(t, "%s[r]", f->of_row[i].name), "add");
      text_close(t);
    }
  each_row(f);
  text_open(t, "if (%s < %s)", text_form(t, form_var(t->ir, f->row.var[0])), text_dim(t, f->row.volume));
  for (int i = 0; i < f->k->members.n; i++) {
    if (!is_of_row(f, i)) continue;
    const Member *m = flow_member(f, i);
    const char *v = text_printf(t, "%s[r]", f->of_row[i].name);
    if (f->stream->terms[i].term) text_line(t, "%s = %s;", v, completed(f, i, v));
    text_known(t, read_of(f, i, grid_forms(f)), v);
    if (m->storage == STORE_buffer)
      text_line(t, "if (nn_thread() %% %d == 0) %s = %s;", f->sharers,
                text_place(t, m->buffer, m->node, grid_forms(f)), text_stored(t, m->node->dtype, v));
  }
  text_close(t);
  text_close(t);
}

static void finish_product(Flow *f, int i) {
  Text *t = f->t;
  Product *p = &f->product[i];
  const Member *m = flow_member(f, i);
  product_each(p, f->row_at, f->free_at);
  for (int k = 0; k < f->k->members.n; k++)
    if (is_of_row(f, k)) text_known(t, read_of(f, k, grid_forms(f)), text_printf(t, "%s[r]", f->of_row[k].name));
  const char *v = completed(f, i, flow_sum(f, i));
  text_line(t, "%s = %s;", text_place(t, m->buffer, m->node, p->at), text_stored(t, m->node->dtype, v));
  text_close(t);
  text_close(t);
}

void text_stream(Text *t) {
  const Kernel *k = t->k;
  Flow f = {.t = t, .k = k, .stream = k->stream, .type = DT_f32};
  for (int i = 0; i < k->members.n; i++)
    if (k->stream->contractions[i]) f.type = flow_member(&f, i)->node->dtype;
  f.name = type_name(f.type);
  f.product = NEW_ARRAY(t->arena, Product, k->members.n);
  f.sum = NEW_ARRAY(t->arena, const char *, k->members.n);
  f.of_row = NEW_ARRAY(t->arena, Rows, k->members.n);
  f.m0 = text_name(t, 'm');
  f.c0 = text_name(t, 'c');
  f.batch.volume = dim_const(t->ir, 1);
  for (int i = 0; i < k->ngrid - 1; i++) add_slot(&f, &f.batch, k->grid[i]);
  add_slot(&f, &f.row, k->grid[k->ngrid - 1]);
  find_columns(&f);
  for (int i = 0; i < k->members.n; i++)
    if (k->stream->contractions[i]) describe_product(&f, i);
  if (!units_choose(&f)) threads_choose(&f);
  (f.units ? units_place : threads_place)(&f);
  Dim *tiles = dim_ceil_div(t->ir, f.row.volume, f.tile_rows);
  const char *part = text_parts(t, dim_mul(t->ir, tiles, f.batch.volume)), *count = text_dim(t, tiles);
  const char *type = text_index_type(f.row.volume);
  text_line(t, "const %s %s = (%s)(%s %% %s) * %d;", type, f.m0, type, part, count, f.tile_rows);
  text_positions(t, text_printf(t, "(%s / %s)", part, count), f.batch.n, f.batch.var, f.batch.extent);
  begin_sums(&f);
  (f.units ? units_run : threads_run)(&f);
  finish_rows(&f);
  for (int i = 0; i < k->members.n; i++)
    if (is_over_columns(&f, i)) finish_product(&f, i);
  text_line(t, "nn_sync();");
  text_close(t);
}
