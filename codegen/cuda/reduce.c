/* reduce.c - reducers as text: what accumulates, how it starts, takes a value, joins that of other threads, and ends.
 */
#include "codegen/cuda/text.h"

#include <math.h>

static DType type_of(const Node *n) { return type_of_sums(n->body->dtype); }

static bool is_largest(const Node *n) { return n->reducer == RED_max || n->reducer == RED_argmax; }

static const char *first_value(Text *t, const Node *n) {
  DType d = type_of(n);
  int64_t least = d == DT_u8 || d == DT_bool ? 0 : -((int64_t)1 << (8 * dtype_bytes(d) - 2)) * 2;
  int64_t largest = d == DT_u8 ? 255 : -(least + 1);
  switch (n->reducer) {
  case RED_sum:
  case RED_any: return text_number(t, d, 0, 0);
  case RED_prod:
  case RED_all: return text_number(t, d, 1, 1);
  case RED_max:
  case RED_argmax: return text_number(t, d, -(double)INFINITY, least);
  case RED_min:
  case RED_argmin: return text_number(t, d, (double)INFINITY, largest);
  default: ice("reduction by %s", reducer_name(n->reducer));
  }
}

/* What is never exceeded leaves the first position: only a reduction of nothing but infinities ends so. */
Sum sum_open(Text *t, const Node *n) {
  Sum s = {n, text_name(t, 'a'), NULL};
  text_line(t, "%s %s = %s;", type_name(type_of(n)), s.value, first_value(t, n));
  if (reducer_width(n->reducer) == 2) {
    s.position = text_name(t, 'p');
    text_line(t, "int %s = 0;", s.position);
  }
  return s;
}

static const char *joined(Text *t, const Sum *s, const char *x) {
  static const char *const ops[RED_COUNT] = {
      [RED_sum] = "add", [RED_prod] = "mul", [RED_max] = "max", [RED_min] = "min"};
  if (s->node->reducer == RED_any) return text_printf(t, "%s || %s", s->value, x);
  if (s->node->reducer == RED_all) return text_printf(t, "%s && %s", s->value, x);
  return text_printf(t, "nn_%s_%s(%s, %s)", ops[s->node->reducer], dtype_name(type_of(s->node)), s->value, x);
}

void sum_add(Text *t, const Sum *s, const char *x, const char *position) {
  if (!s->position) {
    text_line(t, "%s = %s;", s->value, joined(t, s, x));
    return;
  }
  const char *further = is_largest(s->node) ? "above" : "below";
  text_open(t, "if (nn_%s_%s(%s, %s))", further, dtype_name(type_of(s->node)), x, s->value);
  text_line(t, "%s = %s;", s->value, x);
  text_line(t, "%s = (int)(%s);", s->position, position);
  text_close(t);
}

/* Takes (x, p), of which nobody knows whether it comes first: further, NaN furthest, and of equals the first. */
static void join(Text *t, const Sum *s, const char *x, const char *p) {
  if (!s->position) {
    text_line(t, "%s = %s;", s->value, joined(t, s, x));
    return;
  }
  const char *type = dtype_name(type_of(s->node));
  text_open(t, "if (nn_%s_%s(%s, %s) || (nn_same_%s(%s, %s) && %s < %s))", is_largest(s->node) ? "above" : "below",
            type, x, s->value, type, x, s->value, p, s->position);
  text_line(t, "%s = %s;", s->value, x);
  text_line(t, "%s = %s;", s->position, p);
  text_close(t);
}

/* Types narrower than a register travel in an int. */
static const char *travels_as(DType d) { return d == DT_f32 || d == DT_f64 || d == DT_i64 ? dtype_name(d) : "i32"; }

/* All lanes of a warp get the same bits, for what two lanes exchange they join in either order alike. */
static void sum_of_warp(Text *t, const Sum *s) {
  DType d = type_of(s->node);
  text_open(t, "for (int o = 16; o > 0; o /= 2)");
  text_line(t, "const %s x = (%s)nn_butterfly_%s(%s, o);", type_name(d), type_name(d), travels_as(d), s->value);
  if (s->position) text_line(t, "const int p = nn_butterfly_i32(%s, o);", s->position);
  join(t, s, "x", "p");
  text_close(t);
}

/* Eight bytes of shared memory for each of them. */
static const char *shared_values(Text *t, const char *type, int n) {
  const char *name = text_name(t, 's');
  text_line(t, "%s *%s = (%s *)(nn_shared() + %d);", type, name, type, (int)t->how.shared);
  t->how.shared += n * 8;
  return name;
}

/* Of values in shared memory: a thread's first one, and n - 1 others, so far from each other. */
static void join_shared(Text *t, const Sum *s, const char *values, const char *positions, const char *first, int n,
                        int apart) {
  text_line(t, "%s = %s[%s];", s->value, values, first);
  if (positions) text_line(t, "%s = %s[%s];", s->position, positions, first);
  text_open(t, "for (int w = 1; w < %d; w++)", n);
  text_line(t, "const %s x = %s[%s + w * %d];", type_name(type_of(s->node)), values, first, apart);
  if (positions) text_line(t, "const int p = %s[%s + w * %d];", positions, first, apart);
  join(t, s, "x", "p");
  text_close(t);
}

static void sum_side_by_side(Text *t, const Sum *s, int width) {
  const char *type = type_name(type_of(s->node)), *values = shared_values(t, type, t->how.threads);
  const char *positions = s->position ? shared_values(t, "int", t->how.threads) : NULL;
  text_line(t, "%s[nn_thread()] = %s;", values, s->value);
  if (positions) text_line(t, "%s[nn_thread()] = %s;", positions, s->position);
  text_line(t, "nn_sync();");
  join_shared(t, s, values, positions, text_printf(t, "nn_thread() %% %d", width), t->how.threads / width, width);
}

void sum_of_block(Text *t, const Sum *s, int width) {
  if (width > 1) {
    sum_side_by_side(t, s, width);
    return;
  }
  const char *type = type_name(type_of(s->node));
  int warps = t->how.threads / 32;
  sum_of_warp(t, s);
  if (warps == 1) return;
  const char *values = shared_values(t, type, warps),
             *positions = s->position ? shared_values(t, "int", warps) : NULL;
  text_open(t, "if (nn_thread() %% 32 == 0)");
  text_line(t, "%s[nn_thread() / 32] = %s;", values, s->value);
  if (positions) text_line(t, "%s[nn_thread() / 32] = %s;", positions, s->position);
  text_close(t);
  text_line(t, "nn_sync();");
  join_shared(t, s, values, positions, "0", warps, 1);
}

const char *sum_value(Text *t, const Sum *s) {
  return s->position ? s->position : text_rounded(t, s->node->dtype, s->value);
}
