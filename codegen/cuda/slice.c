/* slice.c - see slice.h. */
#include "codegen/cuda/slice.h"

/* ---- factors ---- */

static bool is_value_of(const Expr *x, DType type) {
  if (x->dtype == type) return true;
  if (x->kind == EXPR_CONST) return x->real == 0;
  if (x->kind != EXPR_OP) return false;
  if (x->op == OP_cast) return dtype_is_float(x->arg[0]->dtype) && is_value_of(x->arg[0], type);
  return x->op == OP_select && is_value_of(x->arg[1], type) && is_value_of(x->arg[2], type);
}

DType product_factors(const Product *p) {
  static const DType narrow[] = {DT_bf16, DT_f16};
  if (type_of_sums(p->node->body->dtype) != DT_f32) return DT_f64;
  for (int i = 0; i < 2; i++)
    if (is_value_of(p->a, narrow[i]) && is_value_of(p->b, narrow[i])) return narrow[i];
  return p->t->s->tf32 && p->node->body->dtype == DT_f32 ? DT_f32 : DT_f64;
}

/* ---- ways ---- */

bool slice_is_copied(const Operand *o) { return o->way != BY_VALUE; }

static Var *last_of(const Slots *s) { return s->n ? s->var[s->n - 1] : NULL; }

/* All of a chunk is in one row, or outside the operand. */
static bool is_whole(const Slots *s, int width) { return dim_is_multiple(last_of(s)->extent, width); }

static bool runs(const Slices *x, const Expr *value, const Slots *s, int width) {
  return s->n && (s->n == 1 || is_whole(s, width)) && text_runs(x->p->t, value, last_of(s), width);
}

static void choose_way(const Slices *x, Operand *o) {
  const Expr *read = expr_plain_read(o->value);
  int width = CHUNK / dtype_bytes(x->type);
  o->way = BY_VALUE;
  o->lines_first = read && runs(x, o->value, o->line, 1);
  if (!read || read->dtype != x->type) return;
  if (runs(x, o->value, &x->p->k, width)) o->way = ALONG_K;
  else if (x->type == DT_f32) o->way = BY_WORD; /* units transpose elements of two bytes alone */
  else if (runs(x, o->value, o->line, width)) o->way = ACROSS_K;
}

Slices slices_of(Product *p, int threads) {
  Slices x = {.p = p, .type = product_factors(p), .threads = threads};
  x.steps = ROW
  / dtype_bytes(x.type);
  x.a = (Operand){.value = p->a, .line = &p->m, .name = "left", .lines = p->tile_m};
  x.b = (Operand){.value = p->b, .line = &p->n, .name = "right", .lines = p->tile_n};
  choose_way(&x, &x.a);
  choose_way(&x, &x.b);
  return x;
}

const char *slices_count(const Slices *x) {
  return text_dim(x->p->t, dim_ceil_div(x->p->t->ir, x->p->k.volume, x->steps));
}

/* ---- items ---- */

enum { MOST_UNROLLED = 8 };

typedef struct Item { /* what a thread brings at once */
  const char *l, *k, *place;
} Item;

/* What a thread brings of a slice, one after the other: closed by text_close. */
static Item each_item(const Slices *x, const Operand *o, const char *number, const char *to) {
  Text *t = x->p->t;
  int width = (o->way == ALONG_K || o->way == ACROSS_K ? CHUNK : WORD) / dtype_bytes(x->type);
  int rows = o->way == ACROSS_K ? x->steps : o->lines, of_row = (o->way == ACROSS_K ? o->lines : x->steps) / width;
  const char *l = text_name(t, 'x'), *k = text_name(t, 'x');
  int all = rows * of_row, items = (all + x->threads - 1) / x->threads;
  bool one = x->tight || (x->brings && slice_is_copied(o));
  text_line(t, one ? "NN_ROLLED" : items <= MOST_UNROLLED ? "NN_UNROLL" : "NN_UNROLL_4"); /* or registers run short */
  text_open(t, "for (int u = 0; u < %d; u++)", items);
  text_line(t, "const int item = nn_thread() + u * %d;", x->threads);
  if (all % x->threads) text_line(t, "if (item >= %d) break;", all);
  if (o->lines_first && o->way != ACROSS_K) text_line(t, "const int row = item %% %d, part = item / %d;", rows, rows);
  else text_line(t, "const int row = item / %d, part = item %% %d;", of_row, of_row);
  const char *row = "row", *part = text_printf(t, "part * %d", width);
  text_line(t, "const %s %s = %s + %s;", text_index_type(o->line->volume), l, o->first,
            o->way == ACROSS_K ? part : row);
  const char *type = text_index_type(x->p->k.volume);
  text_line(t, "const %s %s = (%s)%s * %d + %s;", type, k, type, number, x->steps, o->way == ACROSS_K ? row : part);
  if (o->way == ACROSS_K)
    return (Item){l, k, text_printf(t, "nn_chunk(%s, part / 8 * %d + row, part %% 8)", to, x->steps)};
  if (o->way == ALONG_K) return (Item){l, k, text_printf(t, "nn_chunk(%s, row, part)", to)};
  return (Item){l, k, text_printf(t, "(nn_chunk(%s, row, part / 4) + part %% 4 * 4)", to)};
}

/* Where line l and step k of K are inside the operand: closed by text_close. */
static void inside(const Slices *x, const Operand *o, const char *l, const char *k) {
  Text *t = x->p->t;
  text_open(t, "if (%s < %s && %s < %s)", l, text_dim(t, o->line->volume), k, text_dim(t, x->p->k.volume));
  text_positions(t, l, o->line->n, o->line->var, o->line->extent);
  text_positions(t, k, x->p->k.n, x->p->k.var, x->p->k.extent);
}

static void copy_items(const Slices *x, const Operand *o, const char *number, const char *to) {
  Text *t = x->p->t;
  const char *when;
  Item i = each_item(x, o, number, to);
  text_line(t, "const void *from = %s;", text_buffer_of(t, o->value)); /* not asked, but it has to be one */
  text_line(t, "bool there = false;");
  inside(x, o, i.l, i.k);
  const char *address = text_address(t, o->value, &when);
  if (when) text_line(t, "if (%s) from = %s;", when, address);
  else text_line(t, "from = %s;", address);
  text_line(t, "there = %s;", when ? when : "true");
  text_close(t);
  const Slots *along = o->way == ACROSS_K ? o->line : &x->p->k;
  int bytes = o->way == BY_WORD ? WORD : CHUNK, size = dtype_bytes(x->type), width = bytes / size;
  const char *most = text_printf(t, "%d", bytes);
  if (o->way != BY_WORD && !is_whole(along, width)) {
    const char *end = text_dim(t, along->volume), *at = o->way == ACROSS_K ? i.l : i.k;
    most = text_printf(t, "%s - %s < %d ? (int)(%s - %s) * %d : %d", end, at, width, end, at, size, bytes);
  }
  text_line(t, "nn_copy_%d(%s, from, there ? %s : 0);", bytes, i.place, most);
  text_close(t);
}

static const char *value_at(const Slices *x, const Operand *o, const char *l, const char *k, int e) {
  Text *t = x->p->t;
  const char *v = text_name(t, 'v'), *at = text_name(t, 'x');
  text_line(t, "float %s = 0;", v);
  text_line(t, "const %s %s = %s + %d;", text_index_type(x->p->k.volume), at, k, e);
  inside(x, o, l, at);
  text_line(t, "%s = (float)%s;", v, text_expr(t, o->value));
  text_close(t);
  return v;
}

static void put_values(const Slices *x, const Operand *o, const char *number, const char *to) {
  Text *t = x->p->t;
  Item i = each_item(x, o, number, to);
  const char *v = value_at(x, o, i.l, i.k, 0);
  if (x->type == DT_f32) v = text_printf(t, "nn_bits_f32(%s)", v);
  else v = text_printf(t, "nn_pair_%s(%s, %s)", dtype_name(x->type), v, value_at(x, o, i.l, i.k, 1));
  text_line(t, "nn_put(%s, %s);", i.place, v);
  text_close(t);
}

void slice_begin(const Slices *x, const Operand *o, const char *number, const char *to) {
  if (slice_is_copied(o)) copy_items(x, o, number, to);
  else put_values(x, o, number, to);
}

/* ---- fragments ---- */

void slice_fragments(const Slices *x, const Operand *o, const char *tile, const char *first, int lines,
                     const char *step, bool spread) {
  Text *t = x->p->t;
  bool left = o == &x->a;
  const char *low = "nn_thread() % 8", *middle = "nn_thread() / 8 % 2", *high = "nn_thread() % 32 / 16";
  const char *of_line = left ? middle : high, *of_k = left ? high : middle;
  text_line(t, "NN_UNROLL");
  text_open(t, "for (int i = 0; i < %d; i++)", lines / 16);
  text_line(t, "const int line = %s + i * 16 + %s * 8;", first, of_line);
  if (o->way == ACROSS_K) {
    text_line(t, "const int row = line / 64 * %d + %s * 16 + %s * 8 + %s;", x->steps, step, of_k, low);
    text_line(t, "nn_matrices_transposed(%s[i], nn_chunk(%s, row, line / 8 %% 8));", o->name, tile);
  } else {
    const char *of_8 = spread ? "nn_thread() % 8 / 2 + nn_thread() % 2 * 4" : low;
    text_line(t, "nn_matrices(%s[i], nn_chunk(%s, line + %s, %s * 2 + %s));", o->name, tile, of_8, step, of_k);
  }
  if (x->type == DT_f32) {
    text_line(t, "NN_UNROLL");
    text_line(t, "for (int w = 0; w < 4; w++) %s[i][w] = nn_tf32(nn_float_of(%s[i][w]));", o->name, o->name);
  }
  text_close(t);
}

const char *slice_products(const Slices *x) {
  return text_printf(x->p->t, "nn_products_%s", x->type == DT_f32 ? "tf32" : dtype_name(x->type));
}
