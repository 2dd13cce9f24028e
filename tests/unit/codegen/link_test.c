/* link_test.c - the system's linker is called with the carried runtime, and what goes wrong is said. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "codegen/link.h"

static char folder[] = "/tmp/nnc_link_XXXXXX";
static Arena *arena;

static int setup(void **state) {
  (void)state;
  arena = arena_new();
  return mkdtemp(folder) ? 0 : -1;
}

static int teardown(void **state) {
  (void)state;
  char command[64];
  snprintf(command, sizeof command, "rm -r %s", folder);
  arena_free(arena);
  return system(command);
}

/* The object of a main() that calls the runtime. */
static Buf object_of(const char *source) {
  char command[300];
  snprintf(command, sizeof command, "echo '%s' | cc -x c -c -o %s/t.o -", source, folder);
  assert_int_equal(system(command), 0);
  snprintf(command, sizeof command, "%s/t.o", folder);
  FILE *f = fopen(command, "rb");
  assert_non_null(f);
  Buf b = {0};
  char block[4096];
  for (size_t n; (n = fread(block, 1, sizeof block, f)) > 0;) buf_write(&b, block, n);
  fclose(f);
  return b;
}

static void test_links_the_carried_runtime(void **state) {
  (void)state;
  Buf b = object_of("int nnrt_dtype_named(const char *); int main(void) { return nnrt_dtype_named(\"f16\"); }");
  const char *output = arena_printf(arena, "%s/t", folder);
  LinkOptions o = {0};
  assert_null(link_program(arena, &b, 1, output, &o));
  assert_int_equal(system(output), 2 << 8);
  buf_free(&b);
}

static void test_says_what_is_missing(void **state) {
  (void)state;
  const char *output = arena_printf(arena, "%s/u", folder);
  LinkOptions no_linker = {.cc = "no-such-linker -x"}, no_runtime = {.runtime = "/no/such/folder"};
  assert_non_null(strstr(link_program(arena, NULL, 0, output, &no_linker), "`no-such-linker`"));
  assert_non_null(strstr(link_program(arena, NULL, 0, output, &no_runtime), "/no/such/folder/libnnrt.a"));
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_links_the_carried_runtime),
                                     cmocka_unit_test(test_says_what_is_missing)};
  return cmocka_run_group_tests(tests, setup, teardown);
}
