/* pipeline_test.c - the verifier's faults, common subexpressions and dead code, and the runner's options. */
#include "ir/pass.h"
#include "ir/text.h"
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

static Ir *ir;

static int setup(void **state) {
  (void)state;
  Arena *a = arena_new();
  ir = ir_new(a, str_table_new(a));
  return 0;
}

static Graph *graph_of(const char *text) {
  char error[256];
  Graph *g = graph_read(ir, text, strlen(text), error);
  if (!g) fail_msg("%s", error);
  return g;
}

static void faulty(Graph *g, const char *message) {
  const char *fault = graph_verify(g);
  if (!fault) fail_msg("no fault where expected: %s", message);
  if (!strstr(fault, message)) fail_msg("'%s' instead of '%s'", fault, message);
}

static const char *sample = "dim B >= 0 batch\n"
                            "%0 = input x : f32[B, 4]\n"
                            "%1 = param w : f32[4]\n"
                            "%2 = comp f32[B] [i0] sum(r0 < 4: mul(%0[i0, r0], %1[r0]))\n"
                            "%3 = comp f32[4] [i0] mul(0.5, %1[i0])\n"
                            "%4 = store w = %3\n"
                            "output y = %2\n";

static void good_graphs(void **state) {
  (void)state;
  assert_null(graph_verify(graph_of(sample)));
  assert_null(graph_verify(graph_of("%0 = input x : f32[4]\n"
                                    "%1 = comp f32[9] [i0] select(ge0(3 - i0), %0[i0], 0)\n")));
  assert_null(graph_verify(graph_of("%0 = input x : f32[0]\n%1 = comp f32[0] [i0] %0[i0]\n")));
}

static void bad_reads(void **state) {
  (void)state;
  faulty(graph_of("%0 = input x : f32[4]\n%1 = comp f32[5] [i0] %0[i0]\n"), "%0[i0] is outside its tensor");
  faulty(graph_of("%0 = input x : f32[4]\n%1 = comp f32[4] [i0] %0[i0 - 1]\n"), "%0[i0 - 1] is outside");
  faulty(graph_of("%0 = input x : f32[4]\n"
                  "%1 = comp f32[4] [i0] select(gt(%0[i0 + 1], 0), 1, 0)\n"),
         "is outside its tensor");
}

static void bad_nodes(void **state) {
  (void)state;
  Graph *g = graph_of(sample);
  g->nodes.at[2]->dtype = DT_f64;
  faulty(g, "node %2 (comp): a body of type f32 for a result of type f64");
  g = graph_of(sample);
  g->nodes.at[2]->red[0] = dim_const(ir, 5);
  faulty(g, "another extent than the node");
  g = graph_of(sample);
  g->nodes.at[2]->nred = 0;
  faulty(g, "0 reduction indices and reducer sum");
  g = graph_of(sample);
  g->nodes.at[3]->body = node_body_at(g, g->nodes.at[3], (Form *[]){form_var(ir, var_fresh(ir, dim_const(ir, 4)))});
  faulty(g, "which the node does not have");
  g = graph_of(sample);
  g->nodes.at[4]->in[0] = g->nodes.at[2];
  faulty(g, "of a value of another type or shape");
  g = graph_of(sample);
  graph_store(g, g->nodes.at[1], g->nodes.at[3], (Span){0});
  faulty(g, "is not the only one to w");
  g = graph_of(sample);
  g->nodes.at[1]->name = NULL;
  faulty(g, "has no name");
  g = graph_of(sample);
  Node *later = g->nodes.at[3];
  g->nodes.at[3] = g->nodes.at[1], g->nodes.at[3]->id = 3;
  g->nodes.at[1] = later, later->id = 1;
  faulty(g, "which stands after it");
  g = graph_of(sample);
  graph_output(g, g->outputs.at[0].name, g->nodes.at[2]);
  faulty(g, "two outputs are named y");
}

static void equal_nodes_merge(void **state) {
  (void)state;
  Graph *g = graph_of("%0 = input x : f32[4]\n"
                      "%1 = comp f32[4] [i0] exp(%0[i0])\n"
                      "%2 = comp f32[4] [i0] exp(%0[i0])\n"
                      "%3 = comp f32[4] [i0] add(%1[i0], 1)\n"
                      "%4 = comp f32[4] [i0] add(%2[i0], 1)\n"
                      "%5 = const f32[2] {1, 2}\n"
                      "%6 = const f32[2] {1, 2}\n"
                      "%7 = comp f32[4] [i0] sum(r0 < 2: mul(%3[i0], %5[r0]))\n"
                      "%8 = comp f32[4] [i0] sum(r0 < 2: mul(%4[i0], %6[r0]))\n"
                      "%9 = comp f32[4] [i0] sub(%7[i0], %8[i0])\n"
                      "output y = %9\n");
  PassContext cx = {0};
  assert_true(pass_cse(g, &cx));
  assert_null(graph_verify(g));
  assert_int_equal(g->nodes.n, 6);
  assert_false(pass_cse(g, &cx));
}

static void draws_of_different_keys_stay(void **state) {
  (void)state;
  Graph *g = graph_of("%0 = comp f32[4] [i0] random(f32, 0x1, 0, 0, 0, i0)\n"
                      "%1 = comp f32[4] [i0] random(f32, 0x2, 0, 0, 0, i0)\n"
                      "%2 = comp f32[4] [i0] random(f32, 0x1, 0, 0, 0, i0)\n"
                      "output a = %0\noutput b = %1\noutput c = %2\n");
  PassContext cx = {0};
  assert_true(pass_cse(g, &cx));
  assert_int_equal(g->nodes.n, 2);
  assert_ptr_equal(g->outputs.at[2].node, g->outputs.at[0].node);
}

static void dead_nodes_go(void **state) {
  (void)state;
  Graph *g = graph_of("%0 = input x : f32[4]\n"
                      "%1 = comp f32[4] [i0] exp(%0[i0])\n"
                      "%2 = comp f32[4] [i0] add(%0[i0], 1)\n"
                      "output y = %2\n");
  PassContext cx = {0};
  assert_true(pass_dce(g, &cx));
  assert_int_equal(g->nodes.n, 2);
  assert_int_equal(g->outputs.at[0].node->id, 1);
  assert_false(pass_dce(g, &cx));
}

static void replaced_nodes(void **state) {
  (void)state;
  Graph *g = graph_of("%0 = input x : f32[4]\n"
                      "%1 = comp f32[4] [i0] exp(%0[i0])\n"
                      "%2 = comp f32[4] [i0] add(%1[i0], 1)\n"
                      "output y = %2\n");
  Var *v = node_result_var(g, g->nodes.at[1], 0);
  Expr *read = expr_read(ir, g->nodes.at[0], (Form *[]){form_var(ir, v)});
  g->nodes.at[1]->forward = graph_comp(g, 1, &v, RED_none, 0, NULL, expr_op1(ir, OP_tanh, read), (Span){0});
  assert_true(graph_renew(g));
  Buf b = {0};
  graph_print(&b, g);
  assert_string_equal(b.text, "graph _\n"
                              "%0 = input x : f32[4]\n"
                              "%1 = comp f32[4] [i0] tanh(%0[i0])\n"
                              "%2 = comp f32[4] [i0] add(%1[i0], 1)\n"
                              "output y = %2\n");
  buf_free(&b);
}

static void note_dump(void *cx, const char *pass, Graph *g, bool changed) {
  (void)g, (void)changed;
  strcat(cx, pass), strcat(cx, " ");
}

static void runner_options(void **state) {
  (void)state;
  char dumped[200] = "";
  const char *disabled[] = {"simplify", "tidy", NULL};
  PipelineOptions o = {.level = 2,
                       .verify = true,
                       .dump_after = "all",
                       .dump = note_dump,
                       .cx = dumped,
                       .stop_after = "cse",
                       .disabled = disabled};
  assert_true(pipeline_run(graph_of(sample), NULL, &o));
  assert_string_equal(dumped, "shift derive narrow empty scatter rows squeeze cse ");
  dumped[0] = 0;
  o = (PipelineOptions){.level = 0, .dump_after = "derive", .dump = note_dump, .cx = dumped};
  assert_true(pipeline_run(graph_of(sample), NULL, &o));
  assert_string_equal(dumped, "derive ");
  assert_non_null(pass_find("cse"));
  assert_null(pass_find("none"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(good_graphs),
      cmocka_unit_test(bad_reads),
      cmocka_unit_test(bad_nodes),
      cmocka_unit_test(equal_nodes_merge),
      cmocka_unit_test(draws_of_different_keys_stay),
      cmocka_unit_test(dead_nodes_go),
      cmocka_unit_test(replaced_nodes),
      cmocka_unit_test(runner_options),
  };
  return cmocka_run_group_tests(tests, setup, NULL);
}
