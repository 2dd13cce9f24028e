/* constants_test.c - tables written as constants, linked into a shared object and loaded again: equal, field by
 * field. */
#include "tests/unit/unit.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "codegen/constants.h"
#include "codegen/fields.h"

/* What the tables name; the loader finds them in this executable. */
NnrtKernel some_kernel;
void some_kernel(void *const *buffers, const int64_t *dims, int64_t begin, int64_t end, void *scratch) {
  (void)buffers, (void)dims, (void)begin, (void)end, (void)scratch;
}
NnrtVerb some_verb;
int some_verb(const NnrtProgram *p, struct NnrtCli *cli) { return (void)p, (void)cli, 0; }

static NnrtKernel *kernel_symbol(const char *text) { return (NnrtKernel *)(void *)(uintptr_t)text; }
static NnrtVerb *verb_symbol(const char *text) { return (NnrtVerb *)(void *)(uintptr_t)text; }

static const int64_t linear[] = {1, 4, 1, 0}, number[] = {1, 128, 0}, zero[] = {0}, shape[] = {2, 3};
static const float weights[] = {1.5f, -2.25f, 0.0f};
static const NnrtDim dims[] = {{.name = "B", .lower = 0},
                               {.n_dividend = 4, .dividend = linear, .n_divisor = 3, .divisor = number}};
static const NnrtBuffer buffers[] = {{NNRT_INPUT, 0, 4, linear, 1, zero}, {NNRT_ARENA, -1, 3, number, 1, zero}};
static const NnrtPoly poly[] = {{4, linear}};
static const NnrtPort ports[] = {{.name = "x", .dtype = NNRT_F32, .n_shape = 1, .shape = poly, .buffer = 0}};
static const NnrtBlob blobs[] = {{sizeof weights, weights}};
static const NnrtVariable variables[] = {
    {.name = "net.w", .role = NNRT_ROLE_PARAM, .dtype = NNRT_F32, .n_shape = 2, .shape = shape}};
static const NnrtTrain train[] = {{.name = NULL, .validate = 0.125, .shuffle = 1, .step = -1}};

static NnrtProgram sample(NnrtLaunch launches[1], NnrtGraph graphs[1], NnrtVerbRow verbs[1]) {
  launches[0] = (NnrtLaunch){.kernel = kernel_symbol("some_kernel"), .name = "y", .kind = "map", .line = 7};
  launches[0].n_units = 4;
  launches[0].units = linear;
  graphs[0] = (NnrtGraph){.name = "g\xc3\xa9", .n_dims = 2, .dims = dims, .n_buffers = 2, .buffers = buffers};
  graphs[0].n_inputs = 1, graphs[0].inputs = ports;
  graphs[0].n_outputs = 1, graphs[0].outputs = ports;
  graphs[0].n_launches = 1, graphs[0].launches = launches;
  verbs[0] = (NnrtVerbRow){"train", "learn", verb_symbol("some_verb"), -1};
  NnrtProgram p = {.name = "sample", .build = "", .cpu = "avx2"};
  p.n_variables = 1, p.variables = variables;
  p.n_constants = 1, p.constants = blobs;
  p.n_graphs = 1, p.graphs = graphs;
  p.n_train = 1, p.train = train;
  p.n_verbs = 1, p.verbs = verbs;
  return p;
}

static void assert_rows_equal(const TableRow *table, const char *a, const char *b, int64_t n);

static void assert_field_equal(const FieldRow *f, const char *a, const char *b) {
  int64_t ia, ib;
  const void *pa, *pb;
  memcpy(&ia, a, 8), memcpy(&ib, b, 8), memcpy(&pa, a, 8), memcpy(&pb, b, 8);
  if (field_size(f->kind) == 16) memcpy(&pa, a + 8, 8), memcpy(&pb, b + 8, 8);
  switch (f->kind) {
  case FIELD_INT:
  case FIELD_REAL: assert_int_equal(ia, ib); return;
  case FIELD_STRING:
    assert_int_equal(!pa, !pb);
    if (pa) assert_string_equal(pa, pb);
    return;
  case FIELD_KERNEL:
  case FIELD_VERB:
  case FIELD_ENDS:
  case FIELD_SERVICE: assert_ptr_equal(pa ? dlsym(RTLD_DEFAULT, pa) : NULL, pb); return;
  case FIELD_INTS:
    assert_int_equal(ia, ib);
    assert_memory_equal(pa, pb, (size_t)ia * 8);
    return;
  case FIELD_BYTES:
    assert_int_equal(ia, ib);
    assert_int_equal((uintptr_t)pb % 64, 0);
    assert_memory_equal(pa, pb, (size_t)ia);
    return;
  case FIELD_TABLES:
    assert_int_equal(ia, ib);
    assert_rows_equal(f->element, pa, pb, ia);
    return;
  }
}

static void assert_rows_equal(const TableRow *table, const char *a, const char *b, int64_t n) {
  for (int64_t i = 0; i < n; i++)
    for (int k = 0; k < table->n; k++) {
      assert_field_equal(&table->fields[k], a, b);
      a += field_size(table->fields[k].kind);
      b += field_size(table->fields[k].kind);
    }
}

static void write_object(const char *path, const NnrtProgram *p) {
  Arena *arena = arena_new();
  const char *error = NULL;
  CpuModule *m = cpu_module_new(arena, "sample", "x86-64-v2", 1, &error);
  assert_non_null(m);
  constants_write(m, p);
  Buf object = {0};
  assert_null(cpu_module_write(m, CPU_OBJECT, &object));
  FILE *f = fopen(path, "wb");
  assert_non_null(f);
  assert_int_equal(fwrite(object.text, 1, object.n, f), object.n);
  fclose(f);
  buf_free(&object);
  cpu_module_free(m);
  arena_free(arena);
}

static void test_loaded_tables_are_equal(void **state) {
  (void)state;
  NnrtLaunch launches[1];
  NnrtGraph graphs[1];
  NnrtVerbRow verbs[1];
  NnrtProgram p = sample(launches, graphs, verbs);
  char folder[] = "/tmp/nnc_constants_XXXXXX", object[64], library[64], command[200];
  assert_non_null(mkdtemp(folder));
  snprintf(object, sizeof object, "%s/p.o", folder);
  snprintf(library, sizeof library, "%s/p.so", folder);
  write_object(object, &p);
  snprintf(command, sizeof command, "cc -shared -o %s %s", library, object);
  assert_int_equal(system(command), 0);
  void *handle = dlopen(library, RTLD_NOW);
  if (!handle) fail_msg("%s", dlerror());
  assert_rows_equal(program_table, (const char *)&p, dlsym(handle, "nnrt_program"), 1);
  dlclose(handle);
  unlink(object), unlink(library), rmdir(folder);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_loaded_tables_are_equal)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
