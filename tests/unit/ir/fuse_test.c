/* fuse_test.c - passes fuse, reuse, squeeze, empty, scatter, rows, walk and slice: what is substituted, and what
 * must not be. */
#include "ir/cost.h"
#include "ir/pass.h"
#include "tests/unit/ir/scheduled.h"

#include <stdio.h>
#include <string.h>

static Graph *fused(const char *text) {
  Graph *g = graph_of(text);
  pass_fuse(g, &(PassContext){0});
  const char *fault = graph_verify(g);
  if (fault) fail_msg("%s", fault);
  return g;
}

static int comps(const Graph *g) {
  int n = 0;
  for (int i = 0; i < g->nodes.n; i++) n += g->nodes.at[i]->kind == NODE_comp;
  return n;
}

static void expect_comps(const char *text, int n) {
  Graph *g = fused(text);
  if (comps(g) == n) return;
  Buf b = {0};
  graph_print(&b, g);
  fail_msg("%d comprehensions instead of %d:\n%s", comps(g), n, b.text);
}

static void views_go_everywhere(void **state) {
  (void)state;
  expect_comps("%0 = input x : f32[8, 6]\n"
               "%1 = comp f32[6, 8] [i0, i1] %0[i1, i0]\n"
               "%2 = comp f32[6] [i0] sum(r0 < 8: exp(%1[i0, r0]))\n"
               "%3 = comp f32[8] [i0] max(r0 < 6: %1[r0, i0])\n"
               "%4 = comp f32[6, 8] [i0, i1] tanh(%1[i0, i1])\n"
               "output a = %2\noutput b = %3\noutput c = %4\n",
               3);
}

/* A view that is an output stays one, but nobody waits for it. */
static void stored_views(void **state) {
  (void)state;
  Graph *g = fused("%0 = input x : f32[8, 6]\n"
                   "%1 = comp f32[6, 8] [i0, i1] %0[i1, i0]\n"
                   "%2 = comp f32[6, 8] [i0, i1] tanh(%1[i0, i1])\n"
                   "output a = %1\noutput b = %2\n");
  assert_int_equal(comps(g), 2);
  ExprList reads = node_reads(g->arena, g->outputs.at[1].node);
  assert_int_equal(reads.n, 1);
  assert_int_equal(reads.at[0]->node->kind, NODE_input);
}

static void chains_of_maps(void **state) {
  (void)state;
  expect_comps("%0 = input x : f32[64]\n"
               "%1 = comp f32[64] [i0] mul(%0[i0], 3)\n"
               "%2 = comp f32[64] [i0] tanh(%1[i0])\n"
               "%3 = comp f32[64] [i0] sub(%2[i0], %0[i0])\n"
               "%4 = comp f32[] [] sum(r0 < 64: %3[r0])\n"
               "output y = %4\n",
               1);
}

/* exp is not evaluated once for every column of the product, nor tanh for two readers. */
static void work_is_not_repeated(void **state) {
  (void)state;
  expect_comps("%0 = input x : f32[64]\n"
               "%1 = comp f32[64] [i0] exp(%0[i0])\n"
               "%2 = comp f32[64, 100] [i0, i1] mul(%1[i0], cast(f32, i32(i1)))\n"
               "output y = %2\n",
               2);
  expect_comps("%0 = input x : f32[64]\n"
               "%1 = comp f32[64] [i0] tanh(%0[i0])\n"
               "%2 = comp f32[] [] sum(r0 < 64: %1[r0])\n"
               "%3 = comp f32[] [] max(r0 < 64: mul(%1[r0], %1[63 - r0]))\n"
               "output y = %2\noutput z = %3\n",
               3);
}

static void cheap_maps_are_repeated(void **state) {
  (void)state;
  expect_comps("%0 = input x : f32[64]\n"
               "%1 = input y : f32[64]\n"
               "%2 = comp f32[64] [i0] sub(%0[i0], %1[i0])\n"
               "%3 = comp f32[] [] sum(r0 < 64: %2[r0])\n"
               "%4 = comp f32[] [] max(r0 < 64: %2[r0])\n"
               "output y = %3\noutput z = %4\n",
               2);
}

/* A map over a contraction's operand is applied while that is packed: once, not for every product. */
static void operands_take_maps(void **state) {
  (void)state;
  expect_comps("%0 = input x : f32[64, 32]\n"
               "%1 = param w : f32[48, 32]\n"
               "%2 = comp f32[64, 32] [i0, i1] tanh(%0[i0, i1])\n"
               "%3 = comp f32[64, 48] [i0, i1] sum(r0 < 32: mul(%2[i0, r0], %1[i1, r0]))\n"
               "output y = %3\n",
               1);
}

/* Bias and activation stay with the product they finish, though the next product could take them. */
static void finishing_maps_stay(void **state) {
  (void)state;
  expect_comps("%0 = input x : f32[64, 32]\n"
               "%1 = param w : f32[48, 32]\n"
               "%2 = param v : f32[16, 48]\n"
               "%3 = param b : f32[48]\n"
               "%4 = comp f32[64, 48] [i0, i1] sum(r0 < 32: mul(%0[i0, r0], %1[i1, r0]))\n"
               "%5 = comp f32[64, 48] [i0, i1] add(%4[i0, i1], %3[i1])\n"
               "%6 = comp f32[64, 48] [i0, i1] tanh(%5[i0, i1])\n"
               "%7 = comp f32[64, 16] [i0, i1] sum(r0 < 48: mul(%6[i0, r0], %2[i1, r0]))\n"
               "output y = %7\n",
               3);
}

/* A reshape between layers is substituted before anything else, so that the activation is seen to finish its product.
 */
static void views_first(void **state) {
  (void)state;
  expect_comps("%0 = input x : f32[64, 32]\n"
               "%1 = param w : f32[48, 32]\n"
               "%2 = param v : f32[16, 48]\n"
               "%3 = comp f32[8, 8, 48] [i0, i1, i2] sum(r0 < 32: mul(%0[8*i0 + i1, r0], %1[i2, r0]))\n"
               "%4 = comp f32[8, 8, 48] [i0, i1, i2] tanh(%3[i0, i1, i2])\n"
               "%5 = comp f32[64, 48] [i0, i1] %4[(i0 // 8), i0 - 8*(i0 // 8), i1]\n"
               "%6 = comp f32[64, 16] [i0, i1] sum(r0 < 48: mul(%5[i0, r0], %2[i1, r0]))\n"
               "output y = %6\n",
               3);
}

/* Reads at three places count three times: a chain of stencils stays a chain. */
static void stencils(void **state) {
  (void)state;
  char text[4096] = "%0 = input x : f32[64]\n", line[256];
  for (int i = 1, n = 64; i <= 6; i++) {
    n -= 2;
    snprintf(line, sizeof line,
             "%%%d = comp f32[%d] [i0] add(mul(0.5, mul(%%%d[i0], %%%d[i0])), mul(0.25, mul(%%%d[i0 + 1], %%%d[i0 + "
             "2])))\n",
             i, n, i - 1, i - 1, i - 1, i - 1);
    strcat(text, line);
  }
  strcat(text, "output y = %6\n");
  Graph *g = fused(text);
  assert_true(comps(g) >= 3);
  for (int i = 0; i < g->nodes.n; i++)
    if (g->nodes.at[i]->body) assert_true(expr_size(g->nodes.at[i]->body) <= 256);
}

/* A value without an index is computed once wherever it stands, so it goes everywhere. */
static void scalars_go_everywhere(void **state) {
  (void)state;
  expect_comps("%0 = input step : i32[]\n"
               "%1 = input x : f32[640]\n"
               "%2 = comp f32[] [] sub(1, pow(0.9, cast(f32, %0[])))\n"
               "%3 = comp f32[640] [i0] div(%1[i0], %2[])\n"
               "%4 = comp f32[640] [i0] mul(tanh(%1[i0]), %2[])\n"
               "output y = %3\noutput z = %4\n",
               2);
}

/* How many nodes of this many dimensions hold the operation. */
static int holders(const Graph *g, const char *op, int rank) {
  int n = 0;
  for (int i = 0; i < g->nodes.n; i++) {
    const Node *k = g->nodes.at[i];
    Buf text = {0};
    if (k->body) expr_print(&text, k->body);
    n += k->rank == rank && text.n && strstr(text.text, op);
    buf_free(&text);
  }
  return n;
}

/* Positions are tables, one for both readers; what vectors do not run along stays in a register, a read that only its
 * condition keeps inside stays below it, and a contraction packs its operands once anyway. */
static void hoisted_tables(void **state) {
  (void)state;
  Graph *g = graph_of(
      "%0 = input x : f32[16, 32, 8]\n"
      "%1 = input p : f32[8]\n"
      "%2 = comp f32[16, 32, 8] [i0, i1, i2] mul(%0[i0, i1, i2], cos(mul(cast(f32, i64(i1)), exp(%1[i2]))))\n"
      "%3 = comp f32[16, 32, 8] [i0, i1, i2] add(%0[i0, i1, i2], cos(mul(cast(f32, i64(i1)), exp(%1[i2]))))\n"
      "output y = %2\noutput z = %3\n");
  assert_true(pass_hoist(g, &(PassContext){0}));
  assert_null(graph_verify(g));
  assert_int_equal(holders(g, "cos", 3), 0);
  assert_int_equal(holders(g, "cos", 2), 1);
  assert_int_equal(holders(g, "exp", 1), 1);
  assert_false(pass_hoist(g, &(PassContext){0}));
  assert_false(pass_hoist(graph_of("%0 = input x : f32[16, 32]\n"
                                   "%1 = input m : f32[16]\n"
                                   "%2 = comp f32[16, 32] [i0, i1] sub(%0[i0, i1], log(%1[i0]))\n"
                                   "output y = %2\n"),
                          &(PassContext){0}));
  assert_false(pass_hoist(graph_of("%0 = input x : f32[16, 32]\n"
                                   "%1 = input p : f32[31]\n"
                                   "%2 = comp f32[16, 32] [i0, i1] select(ge0(i1 - 1), exp(%1[i1 - 1]), %0[i0, i1])\n"
                                   "output y = %2\n"),
                          &(PassContext){0}));
  assert_false(pass_hoist(graph_of("%0 = input x : f32[16, 32]\n"
                                   "%1 = input w : f32[64, 32]\n"
                                   "%2 = comp f32[16, 64] [i0, i1] sum(r0 < 32: mul(tanh(%0[i0, r0]), %1[i1, r0]))\n"
                                   "output y = %2\n"),
                          &(PassContext){0}));
}

static void activations_are_reused(void **state) {
  (void)state;
  const char *text = "%0 = input x : f32[64, 48]\n"
                     "%1 = input g : f32[64, 48]\n"
                     "%2 = param b : f32[48]\n"
                     "%3 = comp f32[64, 48] [i0, i1] add(%0[i0, i1], %2[i1])\n"
                     "%4 = comp f32[64, 48] [i0, i1] select(le(%3[i0, i1], 0), 0, %3[i0, i1])\n"
                     "%5 = comp f32[64, 48] [i0, i1] select(le(%3[i0, i1], 0), 0, %1[i0, i1])\n"
                     "output h = %4\noutput d = %5\n";
  Graph *g = graph_of(text);
  assert_true(pass_reuse(g, &(PassContext){0}));
  assert_null(graph_verify(g));
  ExprList reads = node_reads(g->arena, g->outputs.at[1].node);
  for (int i = 0; i < reads.n; i++)
    assert_true(reads.at[i]->node == g->outputs.at[0].node || reads.at[i]->node->kind == NODE_input);
  Graph *kept = graph_of(arena_printf(g->arena, "%soutput z = %%3\n", text));
  assert_false(pass_reuse(kept, &(PassContext){0})); /* the input is kept anyway */
  Graph *other = graph_of("%0 = input x : f32[64]\n"
                          "%1 = comp f32[64] [i0] neg(%0[i0])\n"
                          "%2 = comp f32[64] [i0] select(le(%1[i0], 0), 0, %1[i0])\n"
                          "%3 = comp f32[64] [i0] select(ge(%1[i0], 0), 1, 2)\n"
                          "output h = %2\noutput d = %3\n");
  assert_false(pass_reuse(other, &(PassContext){0})); /* the output is never below 0 */
}

/* A map that finishes a reduction goes into the next one where the reduction is stored for somebody else anyway. */
static void finishing_maps_of_stored_reductions(void **state) {
  (void)state;
  expect_comps("%0 = input x : f32[32, 64]\n"
               "%1 = input w : f32[16, 64]\n"
               "%2 = input c : f32[16]\n"
               "%3 = comp f32[32, 16] [i0, i1] sum(r0 < 64: mul(%0[i0, r0], %1[i1, r0]))\n"
               "%4 = comp f32[32, 16] [i0, i1] mul(%3[i0, i1], %2[i1])\n"
               "%5 = comp f32[32] [i0] sum(r0 < 16: %4[i0, r0])\n"
               "%6 = comp f32[16] [i0] sum(r0 < 32: %3[r0, i0])\n"
               "output a = %5\noutput b = %6\n",
               3);
}

/* Dimensions of one element go, but for what is seen from outside and what is on the grid of that. */
static void squeezed(void **state) {
  (void)state;
  Graph *g = graph_of("%0 = input x : f32[8, 1, 6]\n"
                      "%1 = input k : i32[8, 1]\n"
                      "%2 = comp f32[8, 1, 6] [i0, i1, i2] exp(%0[i0, i1, i2])\n"
                      "%3 = comp f32[8, 1] [i0, i1] sum(r0 < 6: %2[i0, i1, r0])\n"
                      "%4 = comp i32[8, 1] [i0, i1] max(%1[i0, i1], 0)\n"
                      "%5 = comp f32[1, 6] [i0, i1] sum(r0 < 8: %2[r0, i0, %4[r0, i0]])\n"
                      "%6 = comp f32[1, 6] [i0, i1] mul(%5[i0, i1], 2)\n"
                      "%7 = comp f32[8] [i0] tanh(%3[i0, 0])\n"
                      "output a = %6\noutput b = %7\n");
  assert_true(pass_squeeze(g, &(PassContext){0}));
  assert_null(graph_verify(g));
  int ranks[4] = {0};
  for (int i = 0; i < g->nodes.n; i++)
    if (g->nodes.at[i]->kind == NODE_comp) ranks[g->nodes.at[i]->rank]++;
  assert_int_equal(ranks[1], 3); /* %3, %4, %7 */
  assert_int_equal(ranks[2], 3); /* %2, and what output a and its reduction are */
  assert_int_equal(ranks[3], 0);
  assert_false(pass_squeeze(g, &(PassContext){0}));
}

/* What has no element is a map of 0, a reduction over nothing its number, and a loop of no steps its first value. */
static void written_down(void **state) {
  (void)state;
  Graph *g = graph_of("%0 = input x : f32[4, 0]\n"
                      "%1 = comp f32[4] [i0] prod(r0 < 0: %0[i0, r0])\n"
                      "%2 = comp f32[4, 0] [i0, i1] add(%0[i0, i1], %1[i0])\n"
                      "%3 = carry f32[1, 4] axis 0 up init %1 next %4\n"
                      "%4 = comp f32[0, 4] [i0, i1] mul(%3[i0, i1], 2)\n"
                      "%5 = comp f32[4] [i0] exp(%3[0, i0])\n"
                      "output a = %2\noutput b = %5\n");
  assert_true(pass_empty(g, &(PassContext){0}));
  assert_null(graph_verify(g));
  Buf b = {0};
  graph_print(&b, g);
  assert_string_equal(b.text, "graph _\n"
                              "%0 = comp f32[4] [i0] 1\n"
                              "%1 = comp f32[1, 4] [i0, i1] %0[i1]\n"
                              "%2 = comp f32[4] [i0] exp(%1[0, i0])\n"
                              "%3 = comp f32[4, 0] [i0, i1] 0\n"
                              "output a = %3\noutput b = %2\n");
  buf_free(&b);
  assert_false(pass_empty(g, &(PassContext){0}));
}

/* Reduction indices in the order of the tensor's strides; a position's order is what it counts by. */
static void walks(void **state) {
  (void)state;
  const char *x = "%0 = input x : f32[5, 40, 6]\n%1 = input w : f32[6]\n";
  Graph *g = graph_of(arena_printf(a,
                                   "%s%%2 = comp f32[5] [i0] max(r0 < 6, r1 < 40: mul(%%0[i0, r1, r0], %%1[r0]))\n"
                                   "output y = %%2\n",
                                   x));
  assert_true(pass_walk(g, &(PassContext){0}));
  const Node *n = g->outputs.at[0].node;
  assert_int_equal(dim_value(n->red[0]), 40);
  assert_ptr_equal(form_as_var(n->body->arg[0]->at[1]), node_reduction_var(g, n, 0));
  assert_false(pass_walk(g, &(PassContext){0}));
  g = graph_of(arena_printf(
      a, "%s%%2 = comp i32[5] [i0] argmax(r0 < 6, r1 < 40: mul(%%0[i0, r1, r0], %%1[r0]))\noutput y = %%2\n", x));
  assert_false(pass_walk(g, &(PassContext){0}));
}

/* A contraction's too, where memory runs with the sums in lines, on a processor; else they stay. */
static void walks_products(void **state) {
  (void)state;
  static const struct {
    int line;
    bool gpu, walks;
  } cases[] = {{24, false, true}, {8, false, false}, {24, true, false}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    int l = cases[i].line;
    Graph *g = graph_of(arena_printf(
        a,
        "%%0 = input x : f32[64, 6, 40]\n%%1 = input w : f32[32, %d, 6]\n%%2 = comp f32[64, 32] [i0, i1] "
        "sum(r0 < %d, r1 < 6: mul(%%0[i0, r1, r0], %%1[i1, r0, r1]))\noutput y = %%2\n",
        l, l));
    assert_int_equal(pass_walk(g, &(PassContext){.gpu = cases[i].gpu}), cases[i].walks);
    assert_int_equal(dim_value(g->outputs.at[0].node->red[0]), cases[i].walks ? 6 : l);
  }
}

static void expect_slices(const char *text, bool sliced) {
  Graph *g = graph_of(text);
  int before = comps(g);
  assert_int_equal(pass_slice(g, &(PassContext){0}), sliced);
  assert_null(graph_verify(g));
  assert_int_equal(comps(g), before + (sliced ? 1 : 0));
}

/* So many slices are asked for; so many there are, of so long a piece of the index that is cut. */
static void expect_parts(const char *text, int asked, int64_t count, int64_t each) {
  Graph *g = graph_of(text);
  assert_true(pass_slice(g, &(PassContext){.slices = asked}));
  assert_null(graph_verify(g));
  bool found = false;
  for (int i = 0; i < g->nodes.n; i++) {
    const Node *n = g->nodes.at[i];
    int64_t extent;
    if (n->kind != NODE_comp || n->rank != 1 || !dim_is_const(n->shape[0], &extent) || extent != count) continue;
    for (int k = 0; k < n->nred; k++) found = found || (dim_is_const(n->red[k], &extent) && extent == each);
  }
  assert_true(found);
}

static void slices(void **state) {
  (void)state;
  const char *x = "%0 = input x : f32[30, 50, 80]\n";
  expect_slices(
      arena_printf(a, "%s%%1 = comp f32[] [] sum(r0 < 30, r1 < 50, r2 < 80: %%0[r0, r1, r2])\noutput y = %%1\n", x),
      true);
  expect_slices(
      arena_printf(a, "%s%%1 = comp f32[30] [i0] max(r0 < 50, r1 < 80: %%0[i0, r0, r1])\noutput y = %%1\n", x),
      false);
  expect_slices(
      arena_printf(a, "%s%%1 = comp i32[] [] argmax(r0 < 30, r1 < 50, r2 < 80: %%0[r0, r1, r2])\noutput y = %%1\n",
                   x),
      false);
  expect_slices(arena_printf(a, "%s%%1 = comp f32[] [] sum(r0 < 30, r1 < 80: %%0[r0, 0, r1])\noutput y = %%1\n", x),
                false);
  expect_slices(
      arena_printf(a, "%s%%1 = comp f32[50] [i0] sum(r0 < 30, r1 < 80: %%0[r0, i0, r1])\noutput y = %%1\n", x),
      false);
  expect_parts(
      "%0 = input x : f32[512, 800]\n%1 = comp f32[] [] sum(r0 < 512, r1 < 800: %0[r0, r1])\noutput y = %1\n", 256,
      256, 2);
  expect_parts(
      "%0 = input x : f32[300, 500]\n%1 = comp f32[] [] sum(r0 < 300, r1 < 500: %0[r0, r1])\noutput y = %1\n", 256,
      256, 2);
  expect_parts(
      "%0 = input x : f32[100, 900]\n%1 = comp f32[] [] sum(r0 < 100, r1 < 900: %0[r0, r1])\noutput y = %1\n", 1024,
      900, 1);
}

/* Sums that look for their terms by data: those over many values become scatters, and no others. */
static void scattered(void **state) {
  (void)state;
  Graph *g = graph_of("%0 = input v : f32[9, 4]\n"
                      "%1 = input t : i32[9]\n"
                      "%2 = comp f32[100, 4] [i0, i1] sum(r0 < 9: select(eq0(i0 - %1[r0]), %0[r0, i1], 0))\n"
                      "%3 = comp i32[9, 40, 2] [i0, i1, i2] "
                      "sum(r0 < 9: select(and(eq0(i1 - %1[r0]), eq0(%1[i0] - i2)), 1, 0))\n"
                      "%4 = comp f32[10, 4] [i0, i1] sum(r0 < 9: select(eq0(i0 - %1[r0]), %0[r0, i1], 0))\n"
                      "%5 = comp f32[100, 9] [i0, i1] select(eq0(i0 - %1[i1]), %0[i1, 0], 0)\n"
                      "%6 = comp f32[100] [i0] sum(r0 < 9: select(ge0(%1[r0] - i0), %0[r0, 0], 0))\n"
                      "output a = %2\noutput b = %3\noutput c = %4\noutput d = %5\noutput e = %6\n");
  assert_true(pass_scatter(g, &(PassContext){0}));
  assert_null(graph_verify(g));
  static const bool expected[] = {true, true, false, false, false};
  for (int i = 0; i < 5; i++) assert_int_equal(g->outputs.at[i].node->kind == NODE_scatter, expected[i]);
  assert_false(pass_scatter(g, &(PassContext){0}));
}

/* An update of the rows of table w, of 500, to which scatters of so many terms add; `more` is added to their sum. */
static Graph *update_of_rows(int terms, const char *more) {
  char text[2000];
  snprintf(text, sizeof text,
           "dim B >= 0 batch\n"
           "%%0 = param w : f32[500, 8]\n"
           "%%1 = state m : f32[500, 8]\n"
           "%%2 = input t : i32[B]\n"
           "%%3 = input u : i32[%d, 3]\n"
           "%%4 = input x : f32[B, 8]\n"
           "%%5 = scatter f32[500, 8] (r0 < B, r1 < 8) [%%2[r0], r1] += %%4[r0, r1]\n"
           "%%6 = scatter f32[500, 8] (r0 < %d, r1 < 8, r2 < 3) [%%3[r0, r2], r1] += 0.5\n"
           "%%7 = comp f32[500, 8] [i0, i1] add(%%5[i0, i1], add(%%6[i0, i1], %s))\n"
           "%%8 = comp f32[] [] sum(r0 < 500, r1 < 8: mul(%%7[r0, r1], %%7[r0, r1]))\n"
           "%%9 = comp f32[500, 8] [i0, i1] div(%%7[i0, i1], add(1, sqrt(%%8[])))\n"
           "%%10 = comp f32[500, 8] [i0, i1] add(mul(0.9, %%1[i0, i1]), %%9[i0, i1])\n"
           "%%11 = comp f32[500, 8] [i0, i1] sub(mul(0.99, %%0[i0, i1]), %%10[i0, i1])\n"
           "%%12 = comp bool[500] [i0] any(r0 < 8: ne(%%9[i0, r0], 0))\n"
           "%%13 = comp f32[500, 8] [i0, i1] select(%%12[i0], %%11[i0, i1], %%0[i0, i1])\n"
           "%%14 = comp f32[500, 8] [i0, i1] select(%%12[i0], %%10[i0, i1], %%1[i0, i1])\n"
           "%%15 = store w = %%13\n"
           "%%16 = store m = %%14\n",
           terms, terms, more);
  return graph_of(text);
}

static int of_rows(const Graph *g) {
  int n = 0;
  for (int i = 0; i < g->nodes.n; i++) n += g->nodes.at[i]->body && node_result_count(g->nodes.at[i]) == 500 * 8;
  return n;
}

/* Updates of rows that scatters name: all but the next values is computed for these rows, unless something else adds
 * to all rows or the rows are many. */
static void rows_of_tables(void **state) {
  (void)state;
  Graph *g = update_of_rows(5, "0");
  assert_true(pass_rows(g, &(PassContext){0}));
  assert_null(graph_verify(g));
  assert_int_equal(of_rows(g), 2);
  assert_false(pass_rows(g, &(PassContext){0}));
  assert_false(pass_rows(update_of_rows(5, "%0[i0, i1]"), &(PassContext){0}));
  assert_false(pass_rows(update_of_rows(50, "0"), &(PassContext){0}));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(views_go_everywhere),
      TEST(stored_views),
      TEST(chains_of_maps),
      TEST(work_is_not_repeated),
      TEST(cheap_maps_are_repeated),
      TEST(operands_take_maps),
      TEST(finishing_maps_stay),
      TEST(views_first),
      TEST(stencils),
      TEST(scalars_go_everywhere),
      TEST(hoisted_tables),
      TEST(activations_are_reused),
      TEST(finishing_maps_of_stored_reductions),
      TEST(squeezed),
      TEST(written_down),
      TEST(slices),
      TEST(walks),
      TEST(walks_products),
      TEST(scattered),
      TEST(rows_of_tables),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
