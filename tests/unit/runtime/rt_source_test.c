/* rt_source_test.c - csv, npy, idx and text files, alone and as sources. */
#include "rt_test.h"

#include "rt_letters.h"

#include "runtime/arrays.h"
#include "runtime/csv.h"

#include <dirent.h>
#include <math.h>

static int open_source(NnrtSource *s, const char *format, const NnrtSourceFile *files, int n, NnrtError *e) {
  NnrtSourceOptions letters = letter_options();
  if (strcmp(format, "text") != 0 && strcmp(format, "tokens") != 0) letters.window = 0;
  return nnrt_source_open(s, reader_named(format), files, n, &letters, e);
}

static int view(const NnrtSource *s, int from, int to, const char *name, bool single, NnrtView *v, NnrtError *e) {
  return nnrt_source_view(s, &(NnrtColumn){.from = from, .to = to, .name = name, .single = single}, v, e);
}

/* ---- the odd files ---- */

static int open_any(const char *path, NnrtError *e) {
  NnrtSource s;
  NnrtSourceFile file = {NULL, path};
  int status = open_source(&s, strrchr(path, '.') + 1, &file, 1, e);
  if (status == NNRT_OK) nnrt_source_close(&s);
  return status;
}

static void odd_files(void **state) {
  (void)state;
  DIR *d = opendir(TEST_DATA "/odd");
  assert_non_null(d);
  int seen = 0;
  for (struct dirent *f; (f = readdir(d));) {
    const char *dot = strrchr(f->d_name, '.');
    if (!dot || (strcmp(dot, ".csv") != 0 && strcmp(dot, ".npy") != 0 && strcmp(dot, ".idx") != 0)) continue;
    char path[4096];
    snprintf(path, sizeof path, "%s/odd/%s", TEST_DATA, f->d_name);
    NnrtError e = {0};
    int status = open_any(path, &e);
    if (status != NNRT_OK) assert_refusal(e.text, path);
    if (status != (f->d_name[0] == 'o' ? NNRT_OK : NNRT_EDATA)) fail_msg("%s: %d %s", f->d_name, status, e.text);
    seen++;
  }
  closedir(d);
  assert_true(seen >= 18);
}

/* Every prefix of the good files, and every one with a byte changed: read or refused, never a crash. */
static void mutants(void **state) {
  (void)state;
  static const char *const names[] = {"ok_f32.npy", "ok_fortran.npy", "ok.idx", "ok_quoted.csv", "ok_crlf.csv"};
  for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
    char path[4096], name[64];
    snprintf(path, sizeof path, "%s/odd/%s", TEST_DATA, names[k]);
    snprintf(name, sizeof name, "mutant%s", strrchr(names[k], '.'));
    NnrtFile f;
    NnrtError e;
    assert_int_equal(nnrt_file_open(&f, path, &e), NNRT_OK);
    unsigned char bytes[256];
    assert_true(f.size <= sizeof bytes);
    for (size_t i = 0; i < 9 * f.size; i++) {
      memcpy(bytes, f.data, f.size);
      if (i >= f.size) bytes[i % f.size] ^= (unsigned char)(1u << (i / f.size - 1));
      test_file(name, bytes, i < f.size ? i : f.size);
      open_any(name, &e);
    }
    nnrt_file_close(&f);
  }
}

/* ---- csv ---- */

static void numbers(void **state) {
  (void)state;
  static const char *const good[] = {"0",
                                     "-1",
                                     "+2.5",
                                     ".5",
                                     "5.",
                                     "1e3",
                                     "1E-3",
                                     "123456789012345678901234567890",
                                     "0.1",
                                     "1e23",
                                     "9007199254740993",
                                     "2.2250738585072011e-308",
                                     "4.9e-324",
                                     "1e-400",
                                     "179769313486231570000000000000000000000e270",
                                     "3.141592653589793238",
                                     "-0"};
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
    double v, expected = strtod(good[i], NULL);
    if (!nnrt_number(good[i], strlen(good[i]), &v)) fail_msg("%s was refused", good[i]);
    if (memcmp(&v, &expected, 8) != 0) fail_msg("%s became %.17g", good[i], v);
  }
  static const char *const bad[] = {"",     "-",   ".",   "e5",    "1e",    "1e+", "1 2",
                                    "0x10", "inf", "nan", "1e400", "1.2.3", "--1"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    double v;
    if (nnrt_number(bad[i], strlen(bad[i]), &v)) fail_msg("%s was taken", bad[i]);
  }
}

static void csv_content(void **state) {
  (void)state;
  NnrtCsv c;
  NnrtError e = {0};
  test_text("a.csv", "\"a \"\"x\"\"\",b\r\n1, 2\r\n\r\n\"3\",4");
  assert_int_equal(nnrt_csv_open(&c, "a.csv", NULL, &e), NNRT_OK);
  assert_int_equal(c.rows, 2);
  assert_string_equal(c.names[0], "a \"x\"");
  assert_int_equal(nnrt_csv_column(&c, "b"), 1);
  assert_true(c.values[1] == 2 && c.values[2] == 3);
  assert_int_equal(nnrt_csv_line(&c, 0), 2);
  assert_int_equal(nnrt_csv_line(&c, 1), 4); /* a blank line is between */
  nnrt_csv_close(&c);
  test_text("a.csv", "1,2\n3,4\n\n");
  assert_int_equal(nnrt_csv_open(&c, "a.csv", NULL, &e), NNRT_OK);
  assert_null(c.names);
  assert_int_equal(c.rows, 2);
  nnrt_csv_close(&c);
}

/* Names that stand twice, and numbers that are too large for the type. */
static void csv_columns(void **state) {
  (void)state;
  NnrtSource s;
  NnrtView v;
  NnrtError e = {0};
  float row[2];
  NnrtSourceFile file = {NULL, test_text("n.csv", "a,b,b\n1,2,3\n")};
  assert_int_equal(open_source(&s, "csv", &file, 1, &e), NNRT_OK);
  assert_int_equal(view(&s, -1, -1, "b", true, &v, &e), NNRT_EDATA);
  assert_string_equal(e.text, "n.csv:1: two columns are called \"b\"");
  assert_int_equal(view(&s, 1, 3, NULL, false, &v, &e), NNRT_OK);
  nnrt_source_close(&s);
  assert_int_equal(nnrt_npy_write("n.npy", NNRT_F64, 1, (int64_t[]){3}, (double[]){1, INFINITY, -1e300}, &e),
                   NNRT_OK);
  file.path = "n.npy";
  assert_int_equal(open_source(&s, "npy", &file, 1, &e), NNRT_OK);
  assert_int_equal(view(&s, 0, 1, NULL, true, &v, &e), NNRT_OK);
  assert_int_equal(nnrt_source_read(&s, &v, 0, 2, NNRT_F32, row, &e), NNRT_OK);
  assert_int_equal(nnrt_source_read(&s, &v, 1, 2, NNRT_F32, row, &e), NNRT_EDATA);
  assert_says(e.text, "n.npy: row 2: -1.0000000000000001e+300 is not a f32");
  nnrt_source_close(&s);
  test_file("n.idx", "\x1f\x8b\x08\x00", 4);
  assert_int_equal(open_any("n.idx", &e), NNRT_EDATA);
  assert_string_equal(e.text, "n.idx: compressed by gzip; `gunzip` unpacks it");
}

static void csv_refusals(void **state) {
  (void)state;
  static const struct {
    const char *text, *says;
  } bad[] = {
      {"a,b\n1,2\n3\n", "r.csv:3: 1 fields, but 2"},
      {"a,b\n1,x\n", "r.csv:2: column \"b\": \"x\" is not a number"},
      {"1,2\n3,\n", "r.csv:2: column 1 is empty"},
      {"a,b\n", "no rows after the header"},
      {"a\n\"1\n", "r.csv:2: a quote is never closed"},
      {"a\n1\"2\n", "r.csv:2: a quote stands inside"},
      {"\n\n", "the file is empty"},
      {"a,b\n1,1e999\n", "is not a number"},
      {"1\n\"a\nb\"\n", "r.csv:2: column 0"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    NnrtError e = {0};
    test_file("r.csv", bad[i].text, strlen(bad[i].text));
    assert_int_equal(open_any("r.csv", &e), NNRT_EDATA);
    assert_refusal(e.text, "r.csv");
    assert_says(e.text, bad[i].says);
  }
}

/* ---- arrays ---- */

static void npy_orders(void **state) {
  (void)state;
  static const char *const names[] = {"ok_f32.npy", "ok_fortran.npy", "ok_bigendian.npy"};
  for (int k = 0; k < 3; k++) {
    char path[4096];
    snprintf(path, sizeof path, "%s/odd/%s", TEST_DATA, names[k]);
    NnrtArray a;
    NnrtError e = {0};
    double v[12];
    assert_int_equal(nnrt_npy_open(&a, path, &e), NNRT_OK);
    assert_int_equal(nnrt_array_read(&a, 0, 12, NNRT_F64, v), 12);
    for (int i = 0; i < 12; i++) assert_true(v[i] == i);
    nnrt_array_close(&a);
  }
}

static void npy_round_trip(void **state) {
  (void)state;
  for (int t = 0; t < NNRT_DTYPE_COUNT; t++) {
    unsigned char bits[48] = {0};
    double ones[6] = {0, 1, 1, 0, 1, 0}, back[6];
    NnrtError e = {0};
    NnrtArray a;
    assert_int_equal(nnrt_convert(NNRT_F64, ones, false, (NnrtDtype)t, bits, 6), 6);
    assert_int_equal(nnrt_npy_write("w.npy", (NnrtDtype)t, 2, (int64_t[]){2, 3}, bits, &e), NNRT_OK);
    assert_int_equal(nnrt_npy_open(&a, "w.npy", &e), NNRT_OK);
    assert_int_equal(((const char *)a.data - (const char *)a.file.data) % 64, 0);
    assert_int_equal(nnrt_array_read(&a, 0, 6, NNRT_F64, back), 6);
    assert_memory_equal(ones, back, sizeof ones);
    nnrt_array_close(&a);
  }
}

static void npy_version_2(void **state) {
  (void)state;
  test_text("v2.npy", "\x93NUMPY\2\0\x37\0\0\0{'shape': (2,), 'fortran_order': False, 'descr': '|u1'}\7\x9");
  NnrtArray a;
  NnrtError e = {0};
  int32_t v[2];
  assert_int_equal(nnrt_npy_open(&a, "v2.npy", &e), NNRT_OK);
  assert_int_equal(nnrt_array_read(&a, 0, 2, NNRT_I32, v), 2);
  assert_int_equal(v[1], 9);
  nnrt_array_close(&a);
}

/* ---- sources ---- */

static void views(void **state) {
  (void)state;
  test_text("s.csv", "a,b,label\n1,2,0\n3,4.5,1\n");
  NnrtSource s;
  NnrtSourceFile file = {NULL, "s.csv"};
  NnrtView v;
  NnrtError e = {0};
  assert_int_equal(open_source(&s, "csv", &file, 1, &e), NNRT_OK);
  assert_int_equal(s.count, 2);
  float x[4];
  assert_int_equal(view(&s, 0, 2, NULL, false, &v, &e), NNRT_OK);
  assert_int_equal(nnrt_source_read(&s, &v, 0, 2, NNRT_F32, x, &e), NNRT_OK);
  assert_true(x[0] == 1 && x[3] == 4.5f);
  int32_t y[2];
  assert_int_equal(view(&s, -1, 0, "label", true, &v, &e), NNRT_OK);
  assert_int_equal(nnrt_source_read(&s, &v, 1, 1, NNRT_I32, y, &e), NNRT_OK);
  assert_int_equal(y[0], 1);
  assert_int_equal(view(&s, -1, 0, "b", true, &v, &e), NNRT_OK);
  assert_int_equal(nnrt_source_read(&s, &v, 0, 2, NNRT_I32, y, &e), NNRT_EDATA);
  assert_string_equal(e.text, "s.csv:3: column \"b\": 4.5 is not an i32");
  assert_int_equal(view(&s, -1, 0, "lable", true, &v, &e), NNRT_EDATA);
  assert_string_equal(e.text, "s.csv:1: there is no column \"lable\", did you mean \"label\"?");
  assert_int_equal(view(&s, 3, 4, NULL, true, &v, &e), NNRT_EDATA);
  assert_says(e.text, "s.csv:1: column 3 is asked for, but the file has 3");
  nnrt_source_close(&s);
}

static void arrays(void **state) {
  (void)state;
  float x[6] = {0, 1, 2, 3, 4, 5.5f};
  int64_t y[3] = {1, 2, 300};
  NnrtError e = {0};
  NnrtSource s;
  NnrtView v;
  nnrt_npy_write("x.npy", NNRT_F32, 2, (int64_t[]){3, 2}, x, &e);
  nnrt_npy_write("y.npy", NNRT_I64, 1, (int64_t[]){3}, y, &e);
  NnrtSourceFile files[] = {{"x", "x.npy"}, {"y", "y.npy"}};
  assert_int_equal(open_source(&s, "npy", files, 2, &e), NNRT_OK);
  assert_int_equal(s.count, 3);
  assert_int_equal(view(&s, -1, 0, "x", false, &v, &e), NNRT_OK);
  assert_int_equal(v.rank, 1);
  assert_int_equal(v.width, 2);
  int32_t wrong[6];
  assert_int_equal(nnrt_source_read(&s, &v, 0, 3, NNRT_I32, wrong, &e), NNRT_EDATA);
  assert_string_equal(e.text, "x.npy: row 2: 5.5 is not an i32");
  assert_int_equal(view(&s, -1, 0, "y", true, &v, &e), NNRT_OK);
  uint8_t small[3];
  assert_int_equal(nnrt_source_read(&s, &v, 0, 2, NNRT_U8, small, &e), NNRT_OK);
  assert_int_equal(nnrt_source_read(&s, &v, 2, 1, NNRT_U8, small, &e), NNRT_EDATA);
  assert_string_equal(e.text, "y.npy: row 2: 300 is not a u8");
  assert_int_equal(view(&s, -1, 0, "z", true, &v, &e), NNRT_EDATA);
  nnrt_source_close(&s);
  nnrt_npy_write("y.npy", NNRT_I64, 1, (int64_t[]){2}, y, &e);
  assert_int_equal(open_source(&s, "npy", files, 2, &e), NNRT_EDATA);
  assert_string_equal(e.text, "y.npy: 2 examples, but x.npy has 3");
}

/* ---- texts ---- */

static void text_windows(void **state) {
  (void)state;
  NnrtSource s;
  NnrtSourceFile file = {NULL, "w.text"};
  NnrtError e = {0};
  NnrtView v;
  test_text("w.text", "abc\nba\na");
  assert_int_equal(open_source(&s, "text", &file, 1, &e), NNRT_OK);
  assert_int_equal(s.count, 3); /* abc, c\nb, ba\n; the last byte begins none */
  assert_int_equal(view(&s, -1, -1, "tokens", false, &v, &e), NNRT_OK);
  assert_true(v.width == 3 && v.rank == 1 && v.shape[0] == 3);
  int32_t got[6];
  static const int32_t expected[] = {2, 3, 1, 1, 0, 3};
  assert_int_equal(nnrt_source_read(&s, &v, 1, 2, NNRT_I32, got, &e), NNRT_OK);
  assert_memory_equal(got, expected, sizeof got);
  bool bits[3];
  assert_int_equal(nnrt_source_read(&s, &v, 1, 1, NNRT_BOOL, bits, &e), NNRT_EDATA);
  assert_says(e.text, "w.text:1: column 3: 2 is not a bool");
  char place[256];
  assert_string_equal(nnrt_source_place(&s, &v, 2, 1, place), "w.text:2: column 2");
  nnrt_source_close(&s);
  test_text("w.text", "abc"); /* one window exactly */
  assert_int_equal(open_source(&s, "text", &file, 1, &e), NNRT_OK);
  assert_int_equal(s.count, 1);
  nnrt_source_close(&s);
}

static void text_refusals(void **state) {
  (void)state;
  static const struct {
    const char *text, *says;
  } bad[] = {
      {"", "w.text: 0 tokens, but one example takes 3"},
      {"ab", "w.text: 2 tokens, but one example takes 3"},
      {"abc\nabd", "w.text:2: column 3: `d` is not in the vocabulary"},
      {"ab \n", "w.text:1: column 3: byte 32 is not"},
      {"abc\n\nb\xc3\xa9", "w.text:3: column 2: `\xc3\xa9` is not"},
      {"abc\r\n", "w.text:1: column 4: byte 13 is not"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    NnrtError e = {0};
    test_file("w.text", bad[i].text, strlen(bad[i].text));
    assert_int_equal(open_any("w.text", &e), NNRT_EDATA);
    assert_refusal(e.text, "w.text");
    assert_says(e.text, bad[i].says);
  }
  NnrtError e = {0};
  NnrtSourceFile files[2] = {{"a", "w.text"}, {"b", "w.text"}};
  NnrtSource s;
  assert_int_equal(open_source(&s, "text", files, 2, &e), NNRT_EUSAGE);
}

/* Rows 0-2, 2-4, 4-6 of a table. */
static void windows(void **state) {
  (void)state;
  test_text("w.csv", "a,b\n0,10\n1,11\n2,12\n3,13\n4,14.5\n5,15\n6,16\n7,17\n");
  NnrtSource s;
  NnrtSourceFile file = {NULL, "w.csv"};
  NnrtSourceOptions o = {.window = 3, .stride = 2};
  NnrtError e = {0};
  NnrtView v;
  float x[18];
  int32_t y[3];
  char place[256];
  assert_int_equal(nnrt_source_open(&s, &nnrt_reader_csv, &file, 1, &o, &e), NNRT_OK);
  assert_int_equal(s.count, 3);
  assert_int_equal(view(&s, 0, 2, NULL, false, &v, &e), NNRT_OK);
  assert_true(v.rank == 2 && v.shape[0] == 3 && v.shape[1] == 2 && v.width == 6);
  assert_int_equal(nnrt_source_read(&s, &v, 0, 3, NNRT_F32, x, &e), NNRT_OK);
  assert_true(x[0] == 0 && x[1] == 10 && x[4] == 2 && x[6] == 2 && x[17] == 16);
  assert_string_equal(nnrt_source_place(&s, &v, 2, 3, place), "w.csv:7: column \"b\"");
  assert_int_equal(view(&s, -1, 0, "b", true, &v, &e), NNRT_OK);
  assert_true(v.rank == 1 && v.shape[0] == 3);
  assert_int_equal(nnrt_source_read(&s, &v, 0, 1, NNRT_I32, y, &e), NNRT_OK);
  assert_int_equal(nnrt_source_read(&s, &v, 1, 1, NNRT_I32, y, &e), NNRT_EDATA);
  assert_string_equal(e.text, "w.csv:6: column \"b\": 14.5 is not an i32");
  nnrt_source_close(&s);
  o.window = 9;
  assert_int_equal(nnrt_source_open(&s, &nnrt_reader_csv, &file, 1, &o, &e), NNRT_EDATA);
  assert_string_equal(e.text, "w.csv: 8 rows, but one example takes 9");
}

static void token_files(void **state) {
  (void)state;
  static const unsigned char two[] = {1, 0, 2, 0, 43, 1, 4, 0, 5, 0};
  NnrtSource s;
  NnrtSourceFile file = {NULL, "t.bin"};
  NnrtSourceOptions o = {.window = 2, .stride = 2, .tokens = 300};
  NnrtError e = {0};
  NnrtView v;
  int32_t x[4];
  test_file("t.bin", two, sizeof two);
  assert_int_equal(nnrt_source_open(&s, &nnrt_reader_tokens, &file, 1, &o, &e), NNRT_OK);
  assert_int_equal(s.count, 2);
  assert_int_equal(view(&s, -1, -1, "tokens", true, &v, &e), NNRT_OK);
  assert_int_equal(nnrt_source_read(&s, &v, 0, 2, NNRT_I32, x, &e), NNRT_OK);
  assert_true(x[0] == 1 && x[2] == 299 && x[3] == 4);
  uint8_t small[2];
  assert_int_equal(nnrt_source_read(&s, &v, 1, 1, NNRT_U8, small, &e), NNRT_EDATA);
  assert_string_equal(e.text, "t.bin: token 2: 299 is not a u8");
  nnrt_source_close(&s);
  o.tokens = 299;
  assert_int_equal(nnrt_source_open(&s, &nnrt_reader_tokens, &file, 1, &o, &e), NNRT_EDATA);
  assert_string_equal(e.text, "t.bin: token 2 is 299, which is not in 0..298");
  o.tokens = 70000; /* four bytes each */
  assert_int_equal(nnrt_source_open(&s, &nnrt_reader_tokens, &file, 1, &o, &e), NNRT_EDATA);
  assert_string_equal(e.text, "t.bin: 10 bytes are no whole number of tokens of 4 bytes");
  static const int64_t wide[] = {69999, 1, 2};
  nnrt_npy_write("t.bin", NNRT_I64, 1, (int64_t[]){3}, wide, &e);
  assert_int_equal(nnrt_source_open(&s, &nnrt_reader_tokens, &file, 1, &o, &e), NNRT_OK);
  assert_int_equal(nnrt_source_read(&s, &v, 0, 1, NNRT_I32, x, &e), NNRT_OK);
  assert_true(x[0] == 69999 && x[1] == 1);
  nnrt_source_close(&s);
}

static void tensors(void **state) {
  (void)state;
  static const float x[6] = {0, 1, 2, 3, 4, 5};
  static const int64_t y[3] = {7, 8, 9}, more[2] = {1, 2};
  NnrtTensor t[] = {{.name = "x", .dtype = NNRT_F32, .rank = 2, .shape = {3, 2}, .data = x, .bytes = 24},
                    {.name = "y", .dtype = NNRT_I64, .rank = 1, .shape = {3}, .data = y, .bytes = 24},
                    {.name = "more", .dtype = NNRT_I64, .rank = 1, .shape = {2}, .data = more, .bytes = 16}};
  NnrtSource s;
  NnrtSourceFile file = {NULL, "t.safetensors"};
  NnrtSourceOptions o = {.first = "x"};
  NnrtError e = {0};
  NnrtView v;
  int32_t got[3];
  assert_int_equal(nnrt_safetensors_write("t.safetensors", t, 3, NULL, 0, &e), NNRT_OK);
  assert_int_equal(nnrt_source_open(&s, &nnrt_reader_safetensors, &file, 1, &o, &e), NNRT_OK);
  assert_int_equal(s.count, 3);
  assert_int_equal(view(&s, -1, -1, "y", true, &v, &e), NNRT_OK);
  assert_int_equal(nnrt_source_read(&s, &v, 0, 3, NNRT_I32, got, &e), NNRT_OK);
  assert_true(got[0] == 7 && got[2] == 9);
  assert_int_equal(view(&s, -1, -1, "x", true, &v, &e), NNRT_OK);
  assert_true(v.rank == 1 && v.shape[0] == 2);
  assert_int_equal(view(&s, -1, -1, "more", true, &v, &e), NNRT_EDATA);
  assert_says(e.text, "t.safetensors: more has 2 examples, but x has 3");
  assert_int_equal(view(&s, -1, -1, "z", true, &v, &e), NNRT_EDATA);
  nnrt_source_close(&s);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(odd_files),     cmocka_unit_test(mutants),        cmocka_unit_test(numbers),
      cmocka_unit_test(csv_columns),   cmocka_unit_test(csv_content),    cmocka_unit_test(csv_refusals),
      cmocka_unit_test(npy_orders),    cmocka_unit_test(npy_round_trip), cmocka_unit_test(npy_version_2),
      cmocka_unit_test(views),         cmocka_unit_test(arrays),         cmocka_unit_test(text_windows),
      cmocka_unit_test(text_refusals), cmocka_unit_test(windows),        cmocka_unit_test(token_files),
      cmocka_unit_test(tensors)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
