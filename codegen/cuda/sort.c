/* sort.c - the stable order of a tensor's rows. Of a short row each thread has an element, whose place is the number
 * of those that come before it. A long row is a block's: runs of 1, 2, 4, ... elements are merged, all elements at
 * once, each of which looks by halving for its place in the other run. */
#include "codegen/cuda/text.h"

enum { ELEMENTS = 128 /* of a block */, SHORT_ROW = 64, MOST_SHARED = 40 << 10, EACH = 16 /* bytes */ };

typedef struct Sorting {
  Text *t;
  const Member *m;
  const Node *n;
  Var **index; /* of the result */
  Form **at;   /* the same */
  int last;    /* the index that is put in order */
  const char *type;
} Sorting;

static Form **with_last(const Sorting *s, Var *v) {
  Form **at = NEW_ARRAY(s->t->arena, Form *, s->n->rank);
  for (int i = 0; i < s->n->rank; i++) at[i] = i == s->last ? form_var(s->t->ir, v) : s->at[i];
  return at;
}

static const char *key_at(const Sorting *s, Form **at) {
  return text_expr(s->t, expr_at_slots(s->t->ir, s->n->body, at));
}

/* Whether x comes before y, whatever their places. */
static const char *is_before(const Sorting *s, const char *x, const char *y) {
  return text_printf(s->t, "nn_greater_%s(%s, %s)", s->type, s->n->descending ? x : y, s->n->descending ? y : x);
}

static Dim *elements_from(const Sorting *s, int first, int end) {
  Dim *d = dim_const(s->t->ir, 1);
  for (int i = first; i < end; i++) d = dim_mul(s->t->ir, d, s->n->shape[i]);
  return d;
}

/* An open row may be of any length. */
static bool is_at_most(const Sorting *s, int64_t most) {
  int64_t n;
  return dim_is_const(s->n->shape[s->last], &n) && n <= most;
}

/* ---- short rows ---- */

static void count_before(const Sorting *s) {
  Text *t = s->t;
  Var *other = var_fresh(t->ir, s->n->shape[s->last]);
  Form **others = with_last(s, other);
  t->how.threads = ELEMENTS;
  text_positions(t, text_threads(t, elements_from(s, t->k->times, s->n->rank), ELEMENTS), s->n->rank, s->index,
                 s->n->shape);
  const char *key = key_at(s, s->at), *own = text_form(t, s->at[s->last]), *place = text_name(t, 'p');
  text_line(t, "i64 %s = 0;", place);
  text_loop(t, other);
  const char *x = key_at(s, others), *it = text_form(t, others[s->last]);
  text_line(t, "if (%s || (nn_same_%s(%s, %s) && %s < %s)) %s++;", is_before(s, x, key), s->type, key, x, it, own,
            place);
  text_close(t);
  Var *to = var_fresh(t->ir, s->n->shape[s->last]);
  text_bind(t, to, place);
  text_line(t, "%s = (int)%s;", text_place(t, s->m->buffer, s->n, with_last(s, to)), own);
  text_close(t);
}

/* ---- long rows ---- */

/* For each element of the row: closed by text_close. */
static void each_element(const Sorting *s, const char *size) {
  text_open(s->t, "for (i64 e = nn_thread(); e < %s; e += %d)", size, s->t->how.threads);
}

static void fill(const Sorting *s, const char *size) {
  Text *t = s->t;
  each_element(s, size);
  text_bind(t, s->index[s->last], "e");
  const char *key = key_at(s, s->at);
  text_line(t, "keys[e] = %s;", key);
  text_line(t, "from[e] = (int)e;");
  text_close(t);
  text_line(t, "nn_sync();");
}

/* From runs of `run` elements to runs of two times as many. Of equals those of the left run come first. */
static void merge(const Sorting *s, const char *size) {
  Text *t = s->t;
  each_element(s, size);
  text_line(t, "const i64 start = e / run * run, pair = e / (2 * run) * (2 * run);");
  text_line(t, "const i64 other = start == pair ? pair + run : pair;");
  text_line(t, "const %s key = keys[from[e]];", type_name(type_of_sums(s->n->body->dtype)));
  text_line(t, "i64 low = other, high = other + run < %s ? other + run : %s;", size, size);
  text_open(t, "while (low < high)");
  text_line(t, "const i64 middle = (low + high) / 2;");
  text_line(t, "const %s x = keys[from[middle]];", type_name(type_of_sums(s->n->body->dtype)));
  text_line(t, "if (start == pair ? %s : !%s) low = middle + 1;", is_before(s, "x", "key"), is_before(s, "key", "x"));
  text_line(t, "else high = middle;");
  text_close(t);
  text_line(t, "to[pair + (e - start) + (low - other)] = from[e];");
  text_close(t);
  text_line(t, "nn_sync();");
}

/* Keys, the order, and the order before it. */
static void open_memory(const Sorting *s, const char *size) {
  Text *t = s->t;
  int64_t n;
  const char *type = type_name(type_of_sums(s->n->body->dtype)), *memory = "nn_shared()";
  Dim *bytes = dim_mul(t->ir, s->n->shape[s->last], dim_const(t->ir, EACH));
  if (dim_is_const(bytes, &n) && n <= MOST_SHARED) t->how.shared = n;
  else {
    t->how.scratch = dim_round_up(t->ir, bytes, 64);
    memory = text_printf(t, "(scratch + nn_block() * (i64)%s)", text_dim(t, t->how.scratch));
  }
  text_line(t, "%s *keys = (%s *)%s;", type, type, memory);
  text_line(t, "int *const first = (int *)(%s + %s * 8), *const second = first + %s;", memory, size, size);
}

static void merge_runs(const Sorting *s) {
  Text *t = s->t;
  const char *size = text_dim(t, s->n->shape[s->last]);
  t->how.threads = is_at_most(s, 4096) ? 256 : 1024;
  open_memory(s, size);
  const char *row = text_parts(t, elements_from(s, t->k->times, s->last));
  text_positions(t, row, s->last, s->index, s->n->shape);
  text_line(t, "int *from = first, *to = second;");
  fill(s, size);
  text_open(t, "for (i64 run = 1; run < %s; run *= 2)", size);
  merge(s, size);
  text_line(t, "int *const merged = to;");
  text_line(t, "to = from;");
  text_line(t, "from = merged;");
  text_close(t);
  each_element(s, size);
  text_bind(t, s->index[s->last], "e");
  text_line(t, "%s = from[e];", text_place(t, s->m->buffer, s->n, s->at));
  text_close(t);
  text_line(t, "nn_sync();");
  text_close(t);
}

void text_sort(Text *t) {
  const Member *m = &t->k->members.at[0];
  const Node *n = m->node;
  Sorting s = {.t = t, .m = m, .n = n, .last = n->rank - 1, .type = dtype_name(type_of_sums(n->body->dtype))};
  s.index = NEW_ARRAY(t->arena, Var *, n->rank);
  for (int i = 0; i < n->rank; i++) s.index[i] = var_fresh(t->ir, n->shape[i]);
  s.at = form_vars(t->ir, n->rank, s.index);
  if (is_at_most(&s, SHORT_ROW)) count_before(&s);
  else merge_runs(&s);
}
