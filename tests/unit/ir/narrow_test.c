/* narrow_test.c - which sums of products pass_narrow rounds the factors of, and how it writes that, by the graphs'
 * text. What the rounding does to values is held against PyTorch in tests/numeric/precision. */
#include <stdio.h>
#include <string.h>

#include "ir/pass.h"
#include "tests/unit/unit.h"

#define AB "%0 = input a : f32[3, 5]\n%1 = input b : f32[2, 5]\n"

static const struct {
  const char *what, *before, *after; /* NULL: as before */
} cases[] = {
    {"a product of matrices, however small",
     AB "%2 = comp f32[3, 2] [i0, i1] sum(r0 < 5: mul(%0[i0, r0], %1[i1, r0]))\noutput y = %2\n",
     AB "%2 = comp f32[3, 2] [i0, i1] sum(r0 < 5: mul(cast(f32, cast(bf16, %0[i0, r0])), "
        "cast(f32, cast(bf16, %1[i1, r0]))))\noutput y = %2\n"},
    {"factors of one side are multiplied first, and a number stays outside",
     AB "%2 = comp f32[3, 2] [i0, i1] sum(r0 < 5: mul(mul(3, %0[i0, r0]), mul(%1[i1, r0], exp(%1[i1, r0]))))\n"
        "output y = %2\n",
     AB "%2 = comp f32[3, 2] [i0, i1] sum(r0 < 5: mul(3, mul(cast(f32, cast(bf16, %0[i0, r0])), "
        "cast(f32, cast(bf16, mul(%1[i1, r0], exp(%1[i1, r0])))))))\noutput y = %2\n"},
    {"a guard stays around them",
     AB "%2 = comp f32[3, 2] [i0, i1] sum(r0 < 5: select(ge0(r0 - 1), mul(%0[i0, r0 - 1], %1[i1, r0]), 0))\n"
        "output y = %2\n",
     AB "%2 = comp f32[3, 2] [i0, i1] sum(r0 < 5: select(ge0(r0 - 1), mul(cast(f32, cast(bf16, %0[i0, r0 - 1])), "
        "cast(f32, cast(bf16, %1[i1, r0]))), 0))\noutput y = %2\n"},
    {"rows of one by rows of the other are no product of matrices",
     AB "%2 = comp f32[2] [i0] sum(r0 < 5: mul(%0[i0, r0], %1[i0, r0]))\noutput y = %2\n", NULL},
    {"a square is none", AB "%2 = comp f32[3] [i0] sum(r0 < 5: mul(%0[i0, r0], %0[i0, r0]))\noutput y = %2\n", NULL},
    {"a maximum of products is no sum",
     AB "%2 = comp f32[3, 2] [i0, i1] max(r0 < 5: mul(%0[i0, r0], %1[i1, r0]))\noutput y = %2\n", NULL},
    {"what is wider than f32 was asked for",
     "%0 = input a : f64[3, 5]\n%1 = input b : f64[2, 5]\n"
     "%2 = comp f64[3, 2] [i0, i1] sum(r0 < 5: mul(%0[i0, r0], %1[i1, r0]))\noutput y = %2\n",
     NULL},
};

/* The text after the pass; the caller frees it. */
static Buf narrowed(const char *what, const char *head, const char *text) {
  char all[2000], error[256];
  Arena *a = arena_new();
  snprintf(all, sizeof all, "%s%s", head, text);
  Graph *g = graph_read(ir_new(a, str_table_new(a)), all, strlen(all), error);
  if (!g) fail_msg("%s: %s", what, error);
  pass_narrow(g, &(PassContext){0});
  const char *fault = graph_verify(g);
  if (fault) fail_msg("%s: %s", what, fault);
  Buf b = {0};
  graph_print(&b, g);
  arena_free(a);
  return b;
}

static void expect(const char *what, const char *head, const char *before, const char *after) {
  Buf got = narrowed(what, head, before);
  char wanted[2000];
  snprintf(wanted, sizeof wanted, "graph _\n%s%s", head, after);
  if (strcmp(got.text, wanted) != 0) fail_msg("%s: got\n%s", what, got.text);
  buf_free(&got);
}

static void sums(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const char *before = cases[i].before, *after = cases[i].after ? cases[i].after : before;
    expect(cases[i].what, "products bf16\n", before, after);
    expect("not asked for", "", before, before);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(sums)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
