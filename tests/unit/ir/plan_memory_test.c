/* plan_memory_test.c - memory of random live ranges and sizes: disjoint while they live, whatever the open dimension
 * is; values over their operands; the order of kernels. */
#include "ir/kernel.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

static const Target avx512 = {.vector_bytes = 64, .registers = 32, .fma = true, .l1 = 48 << 10, .l2 = 1 << 20};

enum { BUFFERS = 40, KERNELS = 30 };

static uint64_t state;

static int pick(int n) {
  state = state * 6364136223846793005u + 1442695040888963407u;
  return (int)((state >> 33) % (uint64_t)n);
}

static int64_t open_value(void *cx, DimAtom *symbol) {
  (void)symbol;
  return *(int64_t *)cx;
}

/* A number of bytes, which may be 0, some bytes for each of B, or more of them for each two. */
static Dim *random_size(Ir *ir, Dim *batch) {
  if (pick(10) == 0) return dim_const(ir, 0);
  int64_t number = 1 + pick(pick(4) ? 300 : 20000);
  switch (pick(4)) {
  case 0: return dim_const(ir, number);
  case 1: return dim_mul(ir, dim_const(ir, number), dim_floordiv(ir, batch, dim_const(ir, 2)));
  case 2: return dim_add(ir, dim_mul(ir, dim_const(ir, number), batch), dim_const(ir, 4));
  default: return dim_mul(ir, dim_const(ir, number), batch);
  }
}

static void add_buffer(Schedule *s, Node *node, Dim *batch) {
  Buffer *b = NEW(s->arena, Buffer);
  int first = pick(KERNELS), last = first + pick(KERNELS - first);
  *b = (Buffer){.id = s->buffers.n, .place = BUFFER_arena, .node = node, .first = first, .last = last};
  b->bytes = random_size(s->graph->ir, batch);
  Buffer *before = s->buffers.n ? s->buffers.at[s->buffers.n - 1] : NULL;
  if (before && pick(4) == 0 && before->last > before->first) { /* over the one before */
    *b = (Buffer){.id = b->id, .place = BUFFER_arena, .node = node, .bytes = before->bytes, .over = before};
    b->first = before->last;
    b->last = b->first + pick(KERNELS - b->first);
  }
  vec_push(s->arena, &s->buffers, b);
}

static void check_at(const Schedule *s, int64_t batch) {
  int64_t end = 0, peak = dim_evaluate(s->arena_bytes, open_value, &batch);
  for (int i = 0; i < s->buffers.n; i++) {
    const Buffer *a = s->buffers.at[i];
    int64_t at = dim_evaluate(a->offset, open_value, &batch), size = dim_evaluate(a->bytes, open_value, &batch);
    assert_true(at >= 0 && at % 64 == 0);
    if (at + size > end) end = at + size;
    if (a->over) assert_ptr_equal(a->offset, a->over->offset);
    for (int j = 0; j < i; j++) {
      const Buffer *b = s->buffers.at[j];
      int64_t bt = dim_evaluate(b->offset, open_value, &batch), bs = dim_evaluate(b->bytes, open_value, &batch);
      bool meet = a->first <= b->last && b->first <= a->last && a->over != b;
      if (meet && size && bs) assert_true(at + size <= bt || bt + bs <= at);
    }
  }
  assert_int_equal(end, peak);
}

static void random_lives(void **cx) {
  (void)cx;
  static const int64_t batches[] = {0, 1, 2, 7, 32, 1000};
  for (int round = 0; round < 100; round++) {
    state = (uint64_t)round;
    Arena *a = arena_new();
    Ir *ir = ir_new(a, str_table_new(a));
    Schedule s = {.graph = graph_new(ir, str_internz(ir->strings, "lives")), .arena = a};
    Dim *batch = dim_symbol(ir, str_internz(ir->strings, "B"), 0);
    Node *node = graph_input(s.graph, str_internz(ir->strings, "x"), DT_f32, 0, NULL, (Span){0});
    for (int i = 0; i < BUFFERS; i++) add_buffer(&s, node, batch);
    plan_memory(&s);
    for (size_t i = 0; i < sizeof batches / sizeof *batches; i++) check_at(&s, batches[i]);
    arena_free(a);
  }
}

/* ---- graphs ---- */

static Arena *a; /* of one test */

static Schedule *scheduled(const char *text, int level) {
  Ir *ir = ir_new(a, str_table_new(a));
  char error[256] = "";
  Graph *g = graph_read(ir, text, strlen(text), error);
  if (!g) fail_msg("%s", error);
  Schedule *s = schedule(g, &avx512, a, level);
  const char *fault = schedule_verify(s);
  if (fault) fail_msg("%s", fault);
  return s;
}

static int taken_over(const Schedule *s) {
  int n = 0;
  for (int i = 0; i < s->buffers.n; i++) n += s->buffers.at[i]->over != NULL;
  return n;
}

#define HEAD                                                                                                         \
  "graph g\n"                                                                                                        \
  "%0 = input x : f32[64, 64]\n"                                                                                     \
  "%1 = param w : f32[64, 64]\n"                                                                                     \
  "%2 = comp f32[64, 64] [i0, i1] sum(r0 < 64: mul(%0[i0, r0], %1[i1, r0]))\n"                                       \
  "%3 = comp f32[64, 64] [i0, i1] sum(r0 < 64: mul(%2[i0, r0], %1[i1, r0]))\n"

/* A product that is finished with the operand, element by element, takes its place; so does a softmax. */
static void in_place(void **cx) {
  (void)cx;
  a = arena_new();
  const Schedule *s = scheduled(HEAD "%4 = comp f32[64, 64] [i0, i1] sum(r0 < 64: mul(%3[i0, r0], %1[i1, r0]))\n"
                                     "%5 = comp f32[64, 64] [i0, i1] add(%4[i0, i1], %2[i0, i1])\n"
                                     "output y = %5\n",
                                2);
  assert_int_equal(taken_over(s), 1);
  assert_int_equal(dim_value(s->arena_bytes), 2 * 64 * 64 * 4);
  s = scheduled(HEAD "%4 = comp f32[64] [i0] max(r0 < 64: %3[i0, r0])\n"
                     "%5 = comp f32[64, 64] [i0, i1] exp(sub(%3[i0, i1], %4[i0]))\n"
                     "%6 = comp f32[64] [i0] sum(r0 < 64: %5[i0, r0])\n"
                     "%7 = comp f32[64, 64] [i0, i1] div(%5[i0, i1], %6[i0])\n"
                     "output y = %7\n",
                2);
  assert_int_equal(taken_over(s), 1);
  arena_free(a);
}

/* Not where another element is read too, where the operand is an output, or where the product itself reads it. */
static void not_in_place(void **cx) {
  (void)cx;
  static const char *const tails[] = {
      "%4 = comp f32[64, 64] [i0, i1] add(%3[i0, i1], %3[i1, i0])\noutput y = %4\n",
      "%4 = comp f32[64, 64] [i0, i1] exp(%3[i0, 63 - i1])\noutput y = %4\n",
      "%4 = comp f32[64, 64] [i0, i1] sum(r0 < 64: mul(%3[i0, r0], %3[r0, i1]))\n"
      "%5 = comp f32[64, 64] [i0, i1] add(%4[i0, i1], %3[i0, i1])\noutput y = %5\n",
  };
  a = arena_new();
  for (size_t i = 0; i < sizeof tails / sizeof *tails; i++) {
    char text[1024];
    snprintf(text, sizeof text, "%s%s", HEAD, tails[i]);
    assert_int_equal(taken_over(scheduled(text, 2)), 0);
  }
  arena_free(a);
}

/* Four wide values, each reduced to a number: one after the other they need the memory of one. */
static void order(void **cx) {
  (void)cx;
  a = arena_new();
  static const char text[] = "graph order\n"
                             "%0 = input x : f32[64, 64]\n"
                             "%1 = param w : f32[64, 64]\n"
                             "%2 = comp f32[64, 64] [i0, i1] sum(r0 < 64: mul(%0[i0, r0], %1[i1, r0]))\n"
                             "%3 = comp f32[64, 64] [i0, i1] sum(r0 < 64: mul(%0[r0, i0], %1[i1, r0]))\n"
                             "%4 = comp f32[64, 64] [i0, i1] sum(r0 < 64: mul(%0[i0, r0], %1[r0, i1]))\n"
                             "%5 = comp f32[64] [i0] max(r0 < 64: %2[i0, r0])\n"
                             "%6 = comp f32[64] [i0] max(r0 < 64: %3[i0, r0])\n"
                             "%7 = comp f32[64] [i0] max(r0 < 64: %4[i0, r0])\n"
                             "output a = %5\noutput b = %6\noutput c = %7\n";
  int64_t wide = 64 * 64 * 4, narrow = 64 * 4;
  assert_true(dim_value(scheduled(text, 0)->arena_bytes) >= 3 * wide);
  assert_true(dim_value(scheduled(text, 2)->arena_bytes) <= wide + 3 * narrow);
  arena_free(a);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(random_lives),
      cmocka_unit_test(in_place),
      cmocka_unit_test(not_in_place),
      cmocka_unit_test(order),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
