/* tables_test.c - the tables made of a whole program: what refers to what, what `only` leaves out. */
#include "tests/unit/unit.h"

#include <string.h>

#include "codegen/interpreted.h"
#include "tests/unit/codegen/sample.h"

static int begin(void **arena) {
  *arena = arena_new();
  return 0;
}

static int end(void **arena) {
  arena_free(*arena);
  return 0;
}

static const NnrtProgram *tables(Arena *a, const char *only) {
  const TablesOptions o = {.only = only, .cpu = "", .build = "test"};
  return interpreted_program(a, sample_program(a), &o);
}

static const NnrtPort *port(const NnrtPort *ports, int64_t n, const char *name) {
  for (int64_t i = 0; i < n; i++)
    if (!strcmp(ports[i].name, name)) return &ports[i];
  fail_msg("no port %s", name);
  return NULL;
}

static void test_dtypes_are_the_runtimes(void **state) {
  (void)state;
  assert_int_equal(DT_COUNT, NNRT_DTYPE_COUNT);
  for (int t = 0; t < DT_COUNT; t++) assert_string_equal(dtype_name((DType)t), nnrt_dtype((NnrtDtype)t)->name);
}

static void test_whole_program(void **arena) {
  const NnrtProgram *p = tables(*arena, NULL);
  assert_int_equal(p->n_variables, 5);
  assert_int_equal(p->n_verbs, 5);
  const NnrtTrain *t = &p->train[0];
  const NnrtGraph *g = &p->graphs[t->step];
  assert_string_equal(g->name, "step");
  assert_int_equal(g->n_stored, 4);
  assert_int_equal(p->graphs[p->entries[0].graph].flops, 6); /* three products, three sums */
  const NnrtPort *x = port(g->inputs, g->n_inputs, "points.x");
  assert_int_equal(g->buffers[x->buffer].place, NNRT_INPUT);
  assert_string_equal(g->inputs[g->buffers[x->buffer].index].name, "points.x");
  const NnrtPort *loss = port(g->outputs, g->n_outputs, "loss");
  assert_int_equal(g->buffers[loss->buffer].place, NNRT_ARENA);
  assert_string_equal(p->graphs[p->init].name, "init");
  assert_string_equal(p->graphs[p->data[0].stats].name, "points.stats");
  assert_string_equal(p->graphs[p->data[0].fields[1].graph].name, "points.y");
}

static void test_only_one_entry(void **arena) {
  const NnrtProgram *p = tables(*arena, "predict");
  assert_int_equal(p->n_variables, 3); /* no optimizer's */
  assert_int_equal(p->n_verbs, 1);
  assert_string_equal(p->verbs[0].name, "predict");
  assert_int_equal(p->n_graphs, 2); /* the entry and the field that reads its file */
  assert_int_equal(p->n_train, 0);
  assert_int_equal(p->init, -1);
  assert_int_equal(p->data[0].stats, -1);
  assert_string_equal(p->graphs[p->data[0].fields[0].graph].name, "points.x");
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_dtypes_are_the_runtimes),
                                     cmocka_unit_test_setup_teardown(test_whole_program, begin, end),
                                     cmocka_unit_test_setup_teardown(test_only_one_entry, begin, end)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
