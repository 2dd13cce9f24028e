/* rt_test.h - what the runtime's unit tests share: cmocka and small files. */
#ifndef TESTS_UNIT_RT_TEST_H
#define TESTS_UNIT_RT_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A file of the test's own, in the working folder. */
static inline const char *test_file(const char *name, const void *bytes, size_t n) {
  FILE *f = fopen(name, "wb");
  assert_non_null(f);
  assert_int_equal(fwrite(bytes, 1, n, f), n);
  assert_int_equal(fclose(f), 0);
  return name;
}
#define test_text(name, text) test_file(name, text, sizeof(text) - 1)

/* A refusal is one line that names the file. */
static inline void assert_refusal(const char *text, const char *file) {
  if (!strstr(text, file) || strchr(text, '\n')) fail_msg("\"%s\" does not name %s in one line", text, file);
}
static inline void assert_says(const char *text, const char *part) {
  if (!strstr(text, part)) fail_msg("\"%s\" does not say \"%s\"", text, part);
}

#endif
