/* rt_json.c - the strict reader and the line writer. */
#include "rt_test.h"

#include "runtime/json.h"

#include <math.h>

/* Reads a string; NULL where it is refused. */
static const char *decode(const char *source, size_t n, char *to, size_t room) {
  NnrtJson j;
  NnrtError e;
  nnrt_json_begin(&j, source, n, "f", &e);
  return nnrt_json_string(&j, to, room, NULL) && nnrt_json_finish(&j) == NNRT_OK ? to : NULL;
}

static void strings(void **state) {
  (void)state;
  char to[64];
#define DECODE(text) decode(text, sizeof(text) - 1, to, sizeof to)
  assert_string_equal(DECODE("\"a\\n\\u00e9\\ud83d\\ude00\\/\""), "a\n\xC3\xA9\xF0\x9F\x98\x80/");
  static const char *const bad[] = {"\"",
                                    "\"a",
                                    "\"\\x\"",
                                    "\"\\u12\"",
                                    "\"\\ud800\"",
                                    "\"\\ud800\\u0041\"",
                                    "\"\\u0000\"",
                                    "\"\n\"",
                                    "\"\xC0\x80\"",
                                    "\"\xED\xA0\x80\"",
                                    "\"\xFF\"",
                                    "\"\xC3\"",
                                    "\"a\" x",
                                    "\"\\",
                                    "a"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    if (decode(bad[i], strlen(bad[i]), to, sizeof to)) fail_msg("%s was taken", bad[i]);
  assert_null(decode("\"abcdef\"", 8, to, 4)); /* does not fit */
}

static void objects(void **state) {
  (void)state;
  const char text[] = " { \"a\" : [1, 2 ,3], \"b\": [] } ";
  NnrtJson j;
  NnrtError e;
  char key[8];
  int64_t v, sum = 0;
  int keys = 0;
  nnrt_json_begin(&j, text, sizeof text - 1, "f", &e);
  assert_true(nnrt_json_object(&j));
  while (nnrt_json_key(&j, key, sizeof key, NULL)) {
    keys++;
    assert_true(nnrt_json_array(&j));
    while (nnrt_json_element(&j) && nnrt_json_natural(&j, &v)) sum += v;
  }
  assert_int_equal(nnrt_json_finish(&j), NNRT_OK);
  assert_int_equal(keys * 100 + sum, 206);
}

static bool natural(const char *text, int64_t *v) {
  NnrtJson j;
  NnrtError e;
  nnrt_json_begin(&j, text, strlen(text), "f", &e);
  return nnrt_json_natural(&j, v) && nnrt_json_finish(&j) == NNRT_OK;
}

static void naturals(void **state) {
  (void)state;
  int64_t v;
  assert_true(natural("9223372036854775807", &v) && v == INT64_MAX);
  assert_true(natural("0", &v) && v == 0);
  static const char *const bad[] = {"9223372036854775808", "-1", "01", "1.0", "1e3", "", "x"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    if (natural(bad[i], &v)) fail_msg("%s was taken", bad[i]);
}

static void depth(void **state) {
  (void)state;
  char deep[64];
  memset(deep, '[', sizeof deep);
  NnrtJson j;
  NnrtError e;
  nnrt_json_begin(&j, deep, sizeof deep, "f", &e);
  int n = 0;
  while (nnrt_json_array(&j) && nnrt_json_element(&j)) n++;
  assert_int_equal(n, NNRT_JSON_DEPTH);
  assert_int_equal(j.status, NNRT_EDATA);
  assert_says(e.text, "deep");
}

static void writer(void **state) {
  (void)state;
  NnrtLine l = {0};
  nnrt_line_open(&l, NULL, '{');
  nnrt_line_string(&l, "s", "a\"\n\x01");
  nnrt_line_open(&l, "v", '[');
  nnrt_line_integer(&l, NULL, -3);
  nnrt_line_real(&l, NULL, 0.1, false);
  nnrt_line_real(&l, NULL, (double)0.1f, true);
  nnrt_line_real(&l, NULL, NAN, false);
  nnrt_line_close(&l, ']');
  nnrt_line_bool(&l, "b", true);
  nnrt_line_close(&l, '}');
  assert_string_equal(l.text, "{\"s\": \"a\\\"\\n\\u0001\", \"v\": [-3, 0.1, 0.1, null], \"b\": true}");
  nnrt_line_free(&l);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(strings), cmocka_unit_test(objects), cmocka_unit_test(naturals),
                                     cmocka_unit_test(depth), cmocka_unit_test(writer)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
