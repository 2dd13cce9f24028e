/* flow_threads.c - a stream's products by 16 x 16 threads, each with some rows and columns 16 apart. What weighs the
 * columns' values goes through a tile in shared memory. */
#include "codegen/cuda/flow.h"

#include "ir/cost.h"

/* Of weights: columns are not a power of two apart. */
static int pitch(const Flow *f) { return f->tile_rows + 1; }

static int tile_lines(DType type, const Dim *extent) {
  int64_t n = dim_nominal(extent);
  return n <= SIDE ? 1 : n <= 2 * SIDE || type == DT_f64 ? 2 : 4;
}

void threads_choose(Flow *f) {
  Text *t = f->t;
  f->rows = tile_lines(f->type, f->row.volume);
  f->columns = tile_lines(f->type, f->column.volume);
  f->tile_rows = SIDE * f->rows;
  f->tile_columns = SIDE * f->columns;
  f->row_at = text_printf(t, "nn_thread() / %d + r * %d", SIDE, SIDE);
  f->column_at = f->free_at = text_printf(t, "nn_thread() %% %d + c * %d", SIDE, SIDE);
  f->sum_at = "[r][c]";
  f->sharers = SIDE;
  f->weight = text_printf(t, "weights[(%s) * %d + %s]", f->column_at, pitch(f), f->row_at);
  for (int i = 0; i < f->k->members.n; i++) {
    Product *p = &f->product[i];
    if (!p->node) continue;
    p->rows = f->rows;
    p->columns = is_over_columns(f, i) ? 1 : f->columns;
    while (is_over_columns(f, i) && SIDE * p->columns < dim_nominal(p->n.volume)) p->columns *= 2;
    p->tile_m = SIDE * p->rows;
    p->tile_n = SIDE * p->columns;
  }
}

void threads_place(Flow *f) {
  Text *t = f->t;
  int size = dtype_bytes(f->type), left = SLICE * f->tile_rows * size, widest = f->tile_columns, weights = 0;
  for (int i = 0; i < f->k->members.n; i++) {
    if (f->product[i].node && f->product[i].tile_n > widest) widest = f->product[i].tile_n;
    if (is_over_columns(f, i)) weights = f->tile_columns * pitch(f) * size;
  }
  int right = SLICE * widest * size;
  t->how.threads = SIDE * SIDE;
  t->how.shared = left + right + weights;
  text_line(t, "%s *left_slice = (%s *)nn_shared(), *right_slice = (%s *)(nn_shared() + %d);", f->name, f->name,
            f->name, left);
  if (weights) text_line(t, "%s *weights = (%s *)(nn_shared() + %d);", f->name, f->name, left + right);
}

static Slice slice_of(Expr *value, const Slots *line, const char *name, const char *first, int lines) {
  return (Slice){.value = value, .line = line, .name = name, .first = first, .lines = lines};
}

static void make_product(Flow *f, int i) {
  Text *t = f->t;
  Product *p = &f->product[i];
  flow_open_sum(f, i);
  Slice a = slice_of(p->a, &p->m, "left_slice", p->m0, p->tile_m);
  Slice b = slice_of(p->b, &p->n, "right_slice", p->n0, p->tile_n);
  text_open(t, "for (i64 k0 = 0; k0 < %s; k0 += %d)", text_dim(t, p->k.volume), SLICE);
  product_load(p, &a, "k0");
  product_load(p, &b, "k0");
  text_line(t, "nn_sync();");
  product_multiply(p, &a, &b, f->sum[i]);
  text_line(t, "nn_sync();");
  text_close(t);
}

/* sum += weights * the columns' values, slice by slice. */
static void add_product(Flow *f, int i) {
  Text *t = f->t;
  Product *p = &f->product[i];
  Slice a = slice_of(NULL, &p->m, text_printf(t, "(weights + part * %d)", SLICE * pitch(f)), p->m0, pitch(f));
  Slice b = slice_of(p->b, &p->n, "right_slice", p->n0, p->tile_n);
  text_open(t, "for (int part = 0; part < %d; part++)", f->tile_columns / SLICE);
  const char *k0 = text_name(t, 'k');
  text_line(t, "const i64 %s = %s + part * %d;", k0, f->c0, SLICE);
  product_load(p, &b, k0);
  text_line(t, "nn_sync();");
  product_multiply(p, &a, &b, f->sum[i]);
  text_line(t, "nn_sync();");
  text_close(t);
}

void threads_run(Flow *f) {
  Text *t = f->t;
  bool first = true;
  text_open(t, "for (i64 %s = 0; %s < %s; %s += %d)", f->c0, f->c0, text_dim(t, f->column.volume), f->c0,
            f->tile_columns);
  flow_skip(f, f->c0);
  for (int i = 0; i < f->k->members.n; i++)
    if (is_made_here(f, i)) make_product(f, i);
  flow_reduce(f);
  for (int i = 0; i < f->k->members.n; i++) {
    if (!is_over_columns(f, i)) continue;
    flow_weigh(f, i, first);
    first = false;
    add_product(f, i);
  }
  text_close(t);
}
