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

/* Eight bytes of shared memory for each warp. */
static const char *shared_values(Text *t, const char *type) {
  const char *name = text_name(t, 's');
  text_line(t, "%s *%s = (%s *)(nn_shared() + %d);", type, name, type, (int)t->how.shared);
  t->how.shared += t->how.threads / 32 * 8;
  return name;
}

void sum_of_block(Text *t, const Sum *s) {
  const char *type = type_name(type_of(s->node));
  sum_of_warp(t, s);
  if (t->how.threads == 32) return;
  const char *values = shared_values(t, type), *positions = s->position ? shared_values(t, "int") : NULL;
  text_open(t, "if (nn_thread() %% 32 == 0)");
  text_line(t, "%s[nn_thread() / 32] = %s;", values, s->value);
  if (positions) text_line(t, "%s[nn_thread() / 32] = %s;", positions, s->position);
  text_close(t);
  text_line(t, "nn_sync();");
  text_line(t, "%s = %s[0];", s->value, values);
  if (positions) text_line(t, "%s = %s[0];", s->position, positions);
  text_open(t, "for (int w = 1; w < %d; w++)", t->how.threads / 32);
  text_line(t, "const %s x = %s[w];", type, values);
  if (positions) text_line(t, "const int p = %s[w];", positions);
  join(t, s, "x", "p");
  text_close(t);
}

const char *sum_value(Text *t, const Sum *s) {
  return s->position ? s->position : text_rounded(t, s->node->dtype, s->value);
}
