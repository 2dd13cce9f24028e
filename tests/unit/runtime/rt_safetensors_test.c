/* rt_safetensors.c - reading (the odd files too) and durable writing. */
#include "rt_test.h"

#include "runtime/safetensors.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

/* tests/data/odd: ok_* load, bad_* are refused in one line that names the file. */
static void odd_files(void **state) {
  (void)state;
  DIR *d = opendir(TEST_DATA "/odd");
  assert_non_null(d);
  int seen = 0;
  for (struct dirent *f; (f = readdir(d));) {
    size_t n = strlen(f->d_name);
    if (n < 12 || strcmp(f->d_name + n - 12, ".safetensors") != 0) continue;
    char path[4096];
    snprintf(path, sizeof path, "%s/odd/%s", TEST_DATA, f->d_name);
    NnrtSafetensors s;
    NnrtError e = {0};
    int status = nnrt_safetensors_open(&s, path, &e);
    if (status != NNRT_OK) assert_refusal(e.text, path);
    assert_int_equal(status, f->d_name[0] == 'o' ? NNRT_OK : NNRT_EDATA);
    if (status == NNRT_OK) nnrt_safetensors_close(&s);
    seen++;
  }
  closedir(d);
  assert_true(seen >= 12);
}

static void content(void **state) {
  (void)state;
  NnrtSafetensors s;
  NnrtError e;
  assert_int_equal(nnrt_safetensors_open(&s, TEST_DATA "/odd/ok.safetensors", &e), NNRT_OK);
  const NnrtTensor *w = nnrt_safetensors_find(&s, "w");
  assert_non_null(w);
  assert_null(nnrt_safetensors_find(&s, "v"));
  assert_int_equal(w->rank, 2);
  assert_int_equal(w->shape[1], 4);
  float last;
  memcpy(&last, (const char *)w->data + 44, 4);
  assert_true(last == 11);
  assert_string_equal(nnrt_safetensors_meta(&s, "a"), "b");
  assert_null(nnrt_safetensors_meta(&s, "b"));
  nnrt_safetensors_close(&s);
}

/* A header given as text, with `body` bytes after it. */
static int open_header(const char *header, size_t body, NnrtError *e) {
  char bytes[1024] = {0};
  size_t n = strlen(header);
  bytes[0] = (char)n, bytes[1] = (char)(n >> 8);
  memcpy(bytes + 8, header, n);
  test_file("h.safetensors", bytes, 8 + n + body);
  NnrtSafetensors s;
  int status = nnrt_safetensors_open(&s, "h.safetensors", e);
  if (status == NNRT_OK) nnrt_safetensors_close(&s);
  return status;
}

static void headers(void **state) {
  (void)state;
  NnrtError e;
  assert_int_equal(open_header("{}", 0, &e), NNRT_OK);
  assert_int_equal(open_header("{}   ", 1, &e), NNRT_EDATA); /* a byte that belongs to nobody */
  static const struct {
    const char *header, *says;
  } bad[] = {
      {"{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}} x", "after the end"},
      {"{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},}", "missing"},
      {"{\"w\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", "twice"},
      {"{\"w\":{\"dtype\":\"F32\",\"shape\":[1]}}", "lacks"},
      {"{\"w\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,4]}}", "dimensions"},
      {"{\"w\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", "natural"},
      {"{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", "needs 8"},
      {"{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,5]}}", "more than two"},
      {"{\"__metadata__\":{\"a\":\"1\",\"a\":\"2\"},\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",
       "twice"},
      {"{\"__metadata__\":{\"a\":1},\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", "missing"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    assert_int_equal(open_header(bad[i].header, 4, &e), NNRT_EDATA);
    assert_refusal(e.text, "h.safetensors");
    assert_says(e.text, bad[i].says);
  }
}

static void integers(void **state) {
  (void)state;
  static NnrtMeta meta[] = {{"empty", ""}, {"less", "-1"}, {"more", "12x"}, {"step", "120"}, {"zero", "0"}};
  NnrtSafetensors s = {.meta = meta, .n_meta = 5};
  assert_int_equal(nnrt_safetensors_integer(&s, "step", 7), 120);
  assert_int_equal(nnrt_safetensors_integer(&s, "zero", 7), 0);
  static const char *const otherwise[] = {"empty", "less", "more", "none"};
  for (size_t i = 0; i < sizeof otherwise / sizeof *otherwise; i++)
    assert_int_equal(nnrt_safetensors_integer(&s, otherwise[i], 7), 7);
}

/* Every prefix of a good file, and every good file with one byte changed, is read or refused, never a crash. */
static void mutants(void **state) {
  (void)state;
  NnrtFile f;
  NnrtError e;
  assert_int_equal(nnrt_file_open(&f, TEST_DATA "/odd/ok.safetensors", &e), NNRT_OK);
  unsigned char bytes[256];
  size_t n = f.size;
  assert_true(n <= sizeof bytes);
  for (size_t i = 0; i <= 2 * n; i++) {
    memcpy(bytes, f.data, n);
    if (i > n) bytes[i - n - 1] ^= 0x15;
    test_file("m.safetensors", bytes, i <= n ? i : n);
    NnrtSafetensors s;
    int status = nnrt_safetensors_open(&s, "m.safetensors", &e);
    if (i < n) assert_int_equal(status, NNRT_EDATA);
    if (status == NNRT_OK) nnrt_safetensors_close(&s);
  }
  nnrt_file_close(&f);
}

static void round_trip(void **state) {
  (void)state;
  float w[6] = {0, 1, 2, 3, 4, 5};
  int8_t b[3] = {-1, 2, 3};
  double d = 0.5;
  NnrtTensor t[] = {{"b", NNRT_I8, 1, {3}, b, 3}, {"w", NNRT_F32, 2, {2, 3}, w, 24}, {"d", NNRT_F64, 0, {0}, &d, 8}};
  NnrtMeta m[] = {{"z", "1"}, {"a\"", "\xC3\xA9"}};
  NnrtError e = {0};
  assert_int_equal(nnrt_safetensors_write("r.safetensors", t, 3, m, 2, &e), NNRT_OK);
  NnrtTensor u[] = {t[2], t[0], t[1]};
  NnrtMeta k[] = {m[1], m[0]};
  assert_int_equal(nnrt_safetensors_write("r2.safetensors", u, 3, k, 2, &e), NNRT_OK);
  NnrtFile x, y; /* the order of the arguments does not matter */
  assert_int_equal(nnrt_file_open(&x, "r.safetensors", &e), NNRT_OK);
  assert_int_equal(nnrt_file_open(&y, "r2.safetensors", &e), NNRT_OK);
  assert_int_equal(x.size, y.size);
  assert_memory_equal(x.data, y.data, x.size);
  assert_int_equal((x.data[0] + 256 * x.data[1]) % 8, 0);
  nnrt_file_close(&x);
  nnrt_file_close(&y);
  NnrtSafetensors s;
  assert_int_equal(nnrt_safetensors_open(&s, "r.safetensors", &e), NNRT_OK);
  assert_int_equal(s.n, 3);
  assert_memory_equal(nnrt_safetensors_find(&s, "w")->data, w, 24);
  assert_memory_equal(nnrt_safetensors_find(&s, "b")->data, b, 3);
  assert_int_equal((uintptr_t)nnrt_safetensors_find(&s, "d")->data % 8, 0);
  assert_string_equal(nnrt_safetensors_meta(&s, "a\""), "\xC3\xA9");
  nnrt_safetensors_close(&s);
  u[0].name = "w";
  assert_int_equal(nnrt_safetensors_write("r2.safetensors", (NnrtTensor[]){t[1], t[1]}, 2, NULL, 0, &e), NNRT_EINVAL);
}

static void unwritable(void **state) {
  (void)state;
  NnrtError e = {0};
  NnrtSlice slice = {"abc", 3};
  assert_int_equal(nnrt_file_write("no/such/folder/x", &slice, 1, &e), NNRT_EFAIL);
  assert_refusal(e.text, "no/such/folder/x");
  mkdir("in_the_way", 0777); /* the rename fails: the temporary file goes */
  assert_int_equal(nnrt_file_write("in_the_way", &slice, 1, &e), NNRT_EFAIL);
  assert_int_not_equal(access("in_the_way.tmp", F_OK), 0);
  rmdir("in_the_way");
}

static void missing(void **state) {
  (void)state;
  NnrtSafetensors s;
  NnrtError e = {0};
  assert_int_equal(nnrt_safetensors_open(&s, "missing.safetensors", &e), NNRT_EDATA);
  assert_refusal(e.text, "missing.safetensors");
  assert_int_equal(nnrt_safetensors_open(&s, "/", &e), NNRT_EDATA);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(odd_files),  cmocka_unit_test(content),
                                     cmocka_unit_test(headers),    cmocka_unit_test(integers),
                                     cmocka_unit_test(mutants),    cmocka_unit_test(round_trip),
                                     cmocka_unit_test(unwritable), cmocka_unit_test(missing)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
