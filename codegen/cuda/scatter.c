/* scatter.c - adds at data indices, or keeps the largest, without atomics. A block has a range of the result's rows
 * (what data indices decide) and some neighbours of what they do not, each the thread's that adds to it. It looks up
 * all sources, some at a time: each thread one's row, which all read then, in order, and a thread adds those that are
 * its own. So the sums are the same in every run, whatever the blocks. */
#include "codegen/cuda/text.h"

#include "ir/cost.h"

enum { THREADS = 256, RANGES = 256 };

typedef Vec(int) Slots;

typedef struct Scatter {
  Text *t;
  const Member *m;
  const Node *n;
  Var **source, **result;
  Form **at, **element; /* the place over the source's indices; an element over the result's */
  int *owner;           /* by result index: the source index that it is, whatever the data, or -1 */
  Slots batch, lanes;   /* source indices that own: of the block, of its threads */
  Slots others, rows;   /* all other source indices; all other result indices */
  int width, turns;     /* threads side by side; how many of those have the rows in turns */
  int64_t range;        /* rows of a block */
} Scatter;

/* ---- which index is whose ---- */

static bool is_owner(const Scatter *s, int source) {
  for (int i = 0; i < s->n->rank; i++)
    if (s->owner[i] == source) return true;
  return false;
}

static void find_owners(Scatter *s) {
  for (int i = 0; i < s->n->rank; i++) s->owner[i] = -1;
  for (int i = 0; i < s->n->rank; i++) {
    for (int j = 0; j < s->n->nred && s->owner[i] < 0; j++)
      if (form_as_var(s->at[i]) == s->source[j] && s->n->shape[i] == s->n->red[j] && !is_owner(s, j)) s->owner[i] = j;
    if (i < s->t->k->times && s->owner[i] < 0) ice("kernel %s scatters over steps of its loop", s->t->k->symbol);
  }
}

/* Rows depend on it: a block has one value of it. */
static bool decides_row(const Scatter *s, int source) {
  for (int i = 0; i < s->n->rank; i++)
    if (s->owner[i] < 0 && form_uses(s->at[i], s->source[source])) return true;
  return false;
}

static void divide_indices(Scatter *s) {
  Arena *a = s->t->arena;
  find_owners(s);
  for (int i = 0; i < s->n->rank; i++) {
    int owner = s->owner[i];
    if (owner < 0) {
      vec_push(a, &s->rows, i);
      continue;
    }
    s->element[i] = form_var(s->t->ir, s->source[owner]);
    if (i < s->t->k->times || decides_row(s, owner)) vec_push(a, &s->batch, owner);
    else vec_push(a, &s->lanes, owner);
  }
  for (int j = 0; j < s->n->nred; j++)
    if (!is_owner(s, j)) vec_push(a, &s->others, j);
}

static Dim *volume(const Scatter *s, const Slots *slots, int from, Dim *const *extent) {
  Dim *d = dim_const(s->t->ir, 1);
  for (int i = from; i < slots->n; i++) d = dim_mul(s->t->ir, d, extent[slots->at[i]]);
  return d;
}

static void divide_work(Scatter *s) {
  double lanes = (double)dim_nominal(volume(s, &s->lanes, 0, s->n->red));
  int64_t rows = dim_nominal(volume(s, &s->rows, 0, s->n->shape));
  for (s->width = 1; s->width < THREADS && s->width < lanes;) s->width *= 2;
  s->turns = THREADS / s->width;
  s->range = rows > RANGES ? (rows + RANGES - 1) / RANGES : 1;
}

/* ---- text ---- */

static void bind(const Scatter *s, const char *flat, const Slots *slots, Var *const *var, Dim *const *extent) {
  Var **index = NEW_ARRAY(s->t->arena, Var *, slots->n + 1);
  Dim **size = NEW_ARRAY(s->t->arena, Dim *, slots->n + 1);
  for (int i = 0; i < slots->n; i++) index[i] = var[slots->at[i]], size[i] = extent[slots->at[i]];
  text_positions(s->t, flat, slots->n, index, size);
}

static void clear(const Scatter *s) {
  Text *t = s->t;
  text_open(t, "for (i64 row = from + turn; has && row < to; row += %d)", s->turns);
  bind(s, "row", &s->rows, s->result, s->n->shape);
  text_line(t, "%s = %d;", text_place(t, s->m->buffer, s->n, s->element), s->n->reducer == RED_max ? -1 : 0);
  text_close(t);
}

/* Where the source's row is among all. */
static const char *row_of(const Scatter *s) {
  Text *t = s->t;
  const char *row = "0";
  for (int i = 0; i < s->rows.n; i++) {
    const char *at = text_form(t, s->at[s->rows.at[i]]);
    row = i ? text_printf(t, "((i64)%s * %s + %s)", row, text_dim(t, s->n->shape[s->rows.at[i]]), at) : at;
  }
  return row;
}

/* A source for each thread, whose rows all threads read then. */
static void look_up(const Scatter *s, const char *sources) {
  Text *t = s->t;
  text_line(t, "nn_sync();");
  text_line(t, "rows[nn_thread()] = -1;");
  text_open(t, "if (base + nn_thread() < %s)", sources);
  text_line(t, "const i64 own = base + nn_thread();");
  bind(s, "own", &s->others, s->source, s->n->red);
  text_line(t, "rows[nn_thread()] = %s;", row_of(s));
  text_close(t);
  text_line(t, "nn_sync();");
}

static void add(const Scatter *s) {
  Text *t = s->t;
  DType d = s->n->dtype;
  text_open(t, "for (int i = 0; i < %d; i++)", THREADS);
  text_line(t, "const i64 row = rows[i], source = base + i;");
  text_line(t, "if (!has || row < from || row >= to || (row - from) %% %d != turn) continue;", s->turns);
  bind(s, "source", &s->others, s->source, s->n->red);
  const char *v =
      text_expr(t, s->n->body ? expr_at_slots(t->ir, s->n->body, form_vars(t->ir, s->n->nred, s->source)) : NULL);
  const char *place = text_place(t, s->m->buffer, s->n, s->at);
  const char *op = s->n->reducer == RED_max ? "max" : "add";
  const char *sum = text_printf(t, "nn_%s_%s(%s, %s)", op, dtype_name(type_of_sums(d)), text_loaded(t, d, place), v);
  text_line(t, "%s = %s;", place, text_stored(t, d, text_rounded(t, d, sum)));
  text_close(t);
}

/* A block's rows are from .. to - 1; its threads' lane, whether it has one, and which rows are its turn. */
static void open_part(const Scatter *s) {
  Text *t = s->t;
  Dim *rows = volume(s, &s->rows, 0, s->n->shape), *lanes = volume(s, &s->lanes, 0, s->n->red);
  Dim *ranges = dim_ceil_div(t->ir, rows, s->range), *chunks = dim_ceil_div(t->ir, lanes, s->width);
  Dim *parts = dim_mul(t->ir, ranges, chunks);
  parts = dim_mul(t->ir, parts, volume(s, &s->batch, t->k->times, s->n->red));
  const char *part = text_parts(t, parts), *many = text_dim(t, ranges), *across = text_dim(t, chunks);
  const char *range = text_integer(t, DT_i64, s->range), *end = text_dim(t, rows);
  text_line(t, "const i64 from = %s %% %s * %s, rest = %s / %s;", part, many, range, part, many);
  text_line(t, "const i64 to = from + %s < %s ? from + %s : %s;", range, end, range, end);
  text_line(t, "const i64 lane = rest %% %s * %d + nn_thread() %% %d, outer = rest / %s;", across, s->width, s->width,
            across);
  text_line(t, "const bool has = lane < %s;", text_dim(t, lanes));
  text_line(t, "const int turn = nn_thread() / %d;", s->width);
  bind(s, "outer", &s->batch, s->source, s->n->red);
  bind(s, "lane", &s->lanes, s->source, s->n->red);
}

void text_scatter(Text *t) {
  const Member *m = &t->k->members.at[0];
  const Node *n = m->node;
  Scatter s = {.t = t, .m = m, .n = n};
  s.source = NEW_ARRAY(t->arena, Var *, n->nred + 1);
  s.result = NEW_ARRAY(t->arena, Var *, n->rank + 1);
  for (int i = 0; i < n->nred; i++) s.source[i] = var_fresh(t->ir, n->red[i]);
  for (int i = 0; i < n->rank; i++) s.result[i] = var_fresh(t->ir, n->shape[i]);
  s.element = form_vars(t->ir, n->rank, s.result);
  s.at = NEW_ARRAY(t->arena, Form *, n->rank + 1);
  s.owner = NEW_ARRAY(t->arena, int, n->rank + 1);
  Form **slots = form_vars(t->ir, n->nred, s.source);
  for (int i = 0; i < n->rank; i++) s.at[i] = form_at_slots(t->ir, n->at[i], slots);
  divide_indices(&s);
  divide_work(&s);
  t->how.threads = THREADS;
  t->how.shared = THREADS * 8;
  text_line(t, "i64 *rows = (i64 *)nn_shared();");
  open_part(&s);
  clear(&s);
  const char *sources = text_dim(t, volume(&s, &s.others, 0, n->red));
  text_open(t, "for (i64 base = 0; base < %s; base += %d)", sources, THREADS);
  look_up(&s, sources);
  add(&s);
  text_close(t);
  text_close(t);
}
