/* stream_graph.c - see stream_graph.h. */
#include "tests/unit/stream_graph.h"

#include <string.h>

const StreamCase stream_cases[] = {
    {"plain", "f32", 2, 1, 40, 40, 16, 16, MASK_none, false, false, NULL, false},
    {"cross", "f32", 2, 1, 21, 75, 20, 12, MASK_none, false, true, NULL, false},
    {"causal", "f32", 2, 1, 70, 70, 20, 20, MASK_causal, false, true, NULL, false},
    {"causal_f64", "f64", 1, 1, 67, 67, 16, 24, MASK_causal, false, true, NULL, false},
    {"window", "f64", 1, 1, 80, 80, 8, 8, MASK_window, false, true, NULL, false},
    {"lengths", "f32", 2, 1, 33, 66, 12, 16, MASK_lengths, false, true, NULL, false},
    {"shared_heads", "f32", 4, 2, 34, 34, 12, 12, MASK_causal, false, true, NULL, false},
    {"shared_by_all", "f64", 3, 3, 40, 35, 12, 9, MASK_none, false, true, NULL, false},
    {"bias", "f32", 2, 1, 48, 48, 12, 12, MASK_causal, true, true, NULL, false},
    {"narrow", "f32", 2, 1, 40, 40, 16, 16, MASK_causal, false, true, "bf16", false},
    {"projected", "f32", 2, 1, 40, 40, 16, 16, MASK_causal, false, true, NULL, true},
    {"empty_rows", "f32", 2, 1, 40, 40, 12, 12, MASK_some, false, false, NULL, false},
};
const int stream_case_count = sizeof stream_cases / sizeof *stream_cases;

static const char *masked(Arena *a, const StreamCase *c, const char *value) {
  switch (c->mask) {
  case MASK_causal: return arena_printf(a, "select(ge0(i2 - i3), %s, -inf)", value);
  case MASK_window: return arena_printf(a, "select(and(ge0(i2 - i3), ge0(i3 - i2 + 9)), %s, -inf)", value);
  case MASK_lengths: /* the last keys of an example are none */
    return arena_printf(a, "select(lt(i32(i3), sub(%d, mul(20, %%4[i0]))), %s, -inf)", c->keys, value);
  case MASK_some: /* every third query has no key */
    return arena_printf(a, "select(eq0(i2 - 3 * (i2 // 3)), -inf, %s)", value);
  default: return value;
  }
}

/* An element of what is given in bf16, as a factor. */
static const char *factor(Arena *a, const StreamCase *c, const char *read) {
  return strcmp(c->dtype, "bf16") ? read : arena_printf(a, "cast(f32, %s)", read);
}

const char *stream_text(Arena *a, const StreamCase *c) {
  const char *given = c->dtype, *t = strcmp(given, "bf16") ? given : "f32";
  const char *shared = c->shared == 1 ? "i1" : arena_printf(a, "(i1 // %d)", c->shared);
  int h = c->heads, g = h / c->shared, m = c->queries, n = c->keys, e = c->width, f = c->values;
  const char *score = c->bias ? "add(mul(0.3, %6[i0, i1, i2, i3]), %5[i1, i2, i3])" : "mul(0.3, %6[i0, i1, i2, i3])";
  const char *q = factor(a, c, "%0[i0, i1, i2, r0]");
  const char *k = factor(a, c, arena_printf(a, "%%1[i0, %s, i3, r0]", shared));
  const char *v = factor(a, c, arena_printf(a, "%%2[i0, %s, r0, i3]", shared));
  const char *text = arena_printf(
      a,
      "graph %s\n%sdim B >= 0 batch\n"
      "%%0 = input q : %s[B, %d, %d, %d]\n%%1 = input k : %s[B, %d, %d, %d]\n%%2 = input v : %s[B, %d, %d, %d]\n"
      "%%3 = input dy : %s[B, %d, %d, %d]\n%%4 = input short : i32[B]\n%%5 = input bias : %s[%d, %d, %d]\n"
      "%%6 = comp %s[B, %d, %d, %d] [i0, i1, i2, i3] sum(r0 < %d: mul(%s, %s))\n"
      "%%7 = comp %s[B, %d, %d, %d] [i0, i1, i2, i3] %s\n"
      "%%8 = comp %s[B, %d, %d] [i0, i1, i2] max(r0 < %d: %%7[i0, i1, i2, r0])\n"
      "%%9 = comp %s[B, %d, %d, %d] [i0, i1, i2, i3] exp(sub(%%7[i0, i1, i2, i3], stop(%%8[i0, i1, i2])))\n"
      "%%10 = comp %s[B, %d, %d] [i0, i1, i2] sum(r0 < %d: %%9[i0, i1, i2, r0])\n"
      "%%11 = comp %s[B, %d, %d, %d] [i0, i1, i2, i3] div(%%9[i0, i1, i2, i3], %%10[i0, i1, i2])\n"
      "%%12 = comp %s[B, %d, %d, %d] [i0, i1, i2, i3] sum(r0 < %d: mul(%%11[i0, i1, i2, r0], %s))\n",
      c->name, c->factors ? arena_printf(a, "products %s\n", c->factors) : "", given, h, m, e, given, g, n, e, given,
      g, n, f, t, h, m, f, t, h, m, n, t, h, m, n, e, q, k, t, h, m, n, masked(a, c, score), t, h, m, n, t, h, m, n,
      t, h, m, n, t, h, m, n, t, h, m, f, n, v);
  const char *plain = arena_printf(a, "%soutput y = %%12\n", text);
  if (!c->derived) return plain;
  const char *result = "mul(%12[i0, i1, i2, i3], %12[i0, i1, i2, i3])";
  if (c->projected)
    result = arena_printf(a, "sum(r0 < %d: mul(%%12[i0, i1, i2, r0], %%2[i0, %s, r0, i3]))", f, shared);
  return arena_printf(
      a,
      "%s%%13 = comp %s[B, %d, %d, %d] [i0, i1, i2, i3] %s\n"
      "%%14 = comp %s[] [] sum(r0 < B, r1 < %d, r2 < %d, r3 < %d: mul(%%13[r0, r1, r2, r3], %%3[r0, r1, r2, "
      "r3]))\n"
      "%%15 = grad %%14 by %%0\n%%16 = grad %%14 by %%1\n%%17 = grad %%14 by %%2\n"
      "output y = %%12\noutput dq = %%15\noutput dk = %%16\noutput dv = %%17\n",
      text, t, h, m, f, result, t, h, m, f);
}
