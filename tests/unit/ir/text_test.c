/* text_test.c - the graph's text: what is printed reads back to the same text, wrong texts are refused with their
 * line, and every derivative of scalar.def can be read. */
#include "ir/scalar.h"
#include "ir/text.h"
#include "tests/unit/unit.h"

#include <string.h>

static Ir *ir;

static int setup(void **state) {
  (void)state;
  Arena *a = arena_new();
  ir = ir_new(a, str_table_new(a));
  return 0;
}

static Ir *other_ir(void) {
  Arena *a = arena_new();
  return ir_new(a, str_table_new(a));
}

static const char *printed(const Graph *g) {
  Buf b = {0};
  graph_print(&b, g);
  const char *s = arena_strndup(ir->arena, b.text, b.n);
  buf_free(&b);
  return s;
}

static void same_text(const char *text) {
  char error[256] = "";
  Graph *g = graph_read(other_ir(), text, strlen(text), error);
  if (!g) fail_msg("%s", error);
  assert_string_equal(printed(g), text);
}

static void round_trip(void **state) {
  (void)state;
  same_text("graph train\n"
            "dim B >= 0 batch\n"
            "dim H >= 3\n"
            "%0 = input x : f32[B, 64]\n"
            "%1 = param net.blocks[0].weight : f32[128, 64]\n"
            "%2 = param table : f64[10, 4] frozen\n"
            "%3 = const f32[2, 2] {1, -2.5, inf, 1e-07}\n"
            "%4 = input y : u8[B]\n"
            "%5 = comp f32[B, 128] [i0, i1] sum(r0 < 64: mul(%0[i0, r0], %1[i1, r0]))  # hidden\n"
            "%6 = comp f32[B, 128] [i0, i1] t0 = exp(%5[i0, i1]); div(t0, add(t0, 1))\n"
            "%7 = comp i32[B] [i0] argmax(r0 < 128: %6[i0, r0])\n"
            "%8 = comp f64[B, 4] [i0, i1] %2[%4[i0] + 1, i1]\n"
            "%9 = scatter f64[10, 4] (r0 < B, r1 < 4) [%4[r0], r1] += %8[r0, r1]\n"
            "%10 = comp f32[B, 7] [i0, i1] select(ge0(i1 - 3), %0[i0, 2*i1 + (i1 // 3)], 0)\n"
            "%11 = comp f32[H, H // 2 + 1] [i0, i1] cast(f32, i64(i0 - 3*i1 - (H // 2) + H))\n"
            "%12 = comp f32[] [] sum(r0 < B: %6[r0, 3])\n"
            "%13 = grad %12 by %1\n"
            "%14 = store net.blocks[0].weight = %13\n"
            "%15 = comp bool[B] [i0] any(r0 < 128: gt(%6[i0, r0], 0.5))\n"
            "%16 = comp f32[B] [i0] random(f32, 0x9f, 1, 2, i64(i0), i0)\n"
            "%17 = comp f32[B] [i0] max(%16[i0], 2)\n"
            "%18 = comp f32[B] [i0] select(eq(%4[i0], 3), 1, -0.5)\n"
            "%19 = comp bool[B] [i0] gt(select(%15[i0], 1:f64, 0:f64), 0.25)\n"
            "%20 = sort i32[B, 128] [i0, i1] descending abs(%6[i0, i1])  # order\n"
            "%21 = sort i32[3] [i0] ascending i64((i0 // 2))\n"
            "%22 = jvp %6 by %1 along %1\n"
            "%23 = adjoint f32[B, 128]\n"
            "%24 = custom %6 with %23 (%5: %23, %6: %22)\n"
            "%25 = scatter i32[10] (r0 < B) [%4[r0]] max= i32(r0)\n"
            "output loss = %12\n");
  same_text("graph entry.turns\n"
            "dim B >= 0 batch\n"
            "dim P >= 1 <= 20\n"
            "%0 = input x : i32[B, P]\n"
            "%1 = comp i32[B] [i0] 0\n"
            "%2 = carry i32[P + 1, B] axis 0 up counts init %1 next %4\n"
            "%3 = comp bool[P, B] [i0, i1] and(eq0(i0 - %2[i0, i1]), gt(%0[i1, i0], 3))\n"
            "%4 = comp i32[P, B] [i0, i1] add(%2[i0, i1], cast(i32, %3[i0, i1]))\n"
            "%5 = comp i32[B] [i0] %2[P, i0]\n"
            "output turns = %5\n");
}

static void refused(const char *text, const char *message) {
  char error[256] = "";
  assert_null(graph_read(other_ir(), text, strlen(text), error));
  if (!strstr(error, message)) fail_msg("'%s' says '%s'", text, error);
}

static void wrong_texts(void **state) {
  (void)state;
  refused("graph g\n%0 = input x : f99[3]\n", "line 2: 'f99' is no element type");
  refused("graph g\n%1 = input x : f32[3]\n", "expected node %0");
  refused("%0 = input x : f32[3]\n%1 = comp f32[3] [i0] %0[i0, i0]\n", "2 indices instead of 1");
  refused("%0 = input x : f32[3]\n%1 = comp f32[3] [i0] %0[i1]\n", "an index that the comprehension does not have");
  refused("%0 = input x : f32[3]\n%1 = comp f32[3] [i0] exq(%0[i0])\n", "'exq' is no scalar operation");
  refused("%0 = input x : f32[3]\n%1 = sort i32[3] [i0] up %0[i0]\n", "expected ascending or descending");
  refused("%0 = input x : f32[3]\n%1 = sort i64[3] [i0] ascending %0[i0]\n", "a sort gives positions");
  refused("%0 = input x : f32[3]\n%1 = comp i32[3] [i0] %0[i0]\n", "a body of type f32 for a result of type i32");
  refused("%0 = input x : f32[3]\n%1 = comp f32[3] [i0] and(%0[i0], true)\n", "types that do not fit");
  refused("%0 = comp f32[3] [i0] %1[i0]\n", "there is no node %1 yet");
  refused("%0 = const f32[3] {1, 2}\n", "expected ','");
  refused("%0 = const f32[99999999] {1, 2}\n", "too few numbers");
  refused("%0 = input x : f32[3", "expected");
  refused("%0 = store w = %0\n", "no node %0");
}

static void derivatives(void **state) {
  (void)state;
  const char *names[] = {"a", "b", "c", "g", "y"};
  char error[256] = "";
  for (int op = 0; op < SCALAR_OP_COUNT; op++) {
    const ScalarRow *row = &scalar_rows[op];
    DType t[5] = {DT_f32, DT_f32, DT_f32, DT_f32, DT_f32};
    if (row->rule == RULE_SELECT || row->rule == RULE_BOOL) t[0] = DT_bool;
    Expr *values[5];
    for (int i = 0; i < 5; i++)
      values[i] = expr_read(ir, graph_input(graph_new(ir, NULL), "x", t[i], 0, NULL, (Span){0}), NULL);
    for (int i = 0; i < 3; i++) {
      if (i >= row->arity) {
        assert_string_equal(row->derivative[i], "-");
        continue;
      }
      Expr *e = expr_parse(ir, row->derivative[i], names, values, 5, error);
      if (!e) fail_msg("%s: %s: %s", row->name, row->derivative[i], error);
      assert_int_equal(e->dtype, DT_f32);
    }
  }
  assert_null(expr_parse(ir, "mul(a, q)", names, NULL, 0, error));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(round_trip),
      cmocka_unit_test(wrong_texts),
      cmocka_unit_test(derivatives),
  };
  return cmocka_run_group_tests(tests, setup, NULL);
}
