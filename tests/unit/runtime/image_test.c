/* image_test.c - pictures as Pillow decodes and PyTorch resizes them (tests/reference/images.safetensors); odd ones
 * are refused in a sentence, and so is every prefix of a good one; mutants are read or refused, never a crash. */
#include "rt_test.h"

#include "runtime/image.h"
#include "runtime/safetensors.h"

#include <dirent.h>
#include <math.h>

/* A JPEG's transform and its smaller colours are rounded; versions of libjpeg differ by so many levels. */
static double tolerance(const char *name) { return strstr(name, ".png") ? 0 : 2; }

static int read_file(const char *folder, const char *name, NnrtImage *image, NnrtError *e) {
  char path[4096];
  NnrtFile f;
  snprintf(path, sizeof path, "%s/%s/%s", TEST_DATA, folder, name);
  assert_int_equal(nnrt_file_open(&f, path, e), NNRT_OK);
  int status = nnrt_image_read(image, &f, name, false, e);
  nnrt_file_close(&f);
  return status;
}

static double expected(const NnrtTensor *t, int64_t i) {
  float real;
  if (t->dtype == NNRT_U8) return ((const unsigned char *)t->data)[i];
  memcpy(&real, (const char *)t->data + 4 * i, sizeof real);
  return real;
}

static void pictures(void **state) {
  (void)state;
  NnrtSafetensors s;
  NnrtError e = {0};
  assert_int_equal(nnrt_safetensors_open(&s, TEST_REFERENCE "/images.safetensors", &e), NNRT_OK);
  assert_true(s.n >= 40);
  for (int k = 0; k < s.n; k++) {
    const NnrtTensor *t = &s.tensors[k];
    char name[64];
    NnrtImage image;
    snprintf(name, sizeof name, "%.*s", (int)strcspn(t->name, "/"), t->name);
    if (read_file("images", name, &image, &e) != NNRT_OK) fail_msg("%s", e.text);
    int64_t n = t->shape[0] * t->shape[1] * t->shape[2];
    float *planes = malloc((size_t)n * sizeof *planes);
    assert_int_equal(nnrt_image_planes(&image, (int)t->shape[0], t->shape[1], t->shape[2], planes, &e), NNRT_OK);
    double most = tolerance(name) + (t->dtype == NNRT_U8 ? 0 : 1e-4); /* sums in f32 */
    for (int64_t i = 0; i < n; i++)
      if (!(fabs((double)planes[i] - expected(t, i)) <= most))
        fail_msg("%s, element %lld: %g instead of %g", t->name, (long long)i, (double)planes[i], expected(t, i));
    free(planes);
    nnrt_image_free(&image);
  }
  nnrt_safetensors_close(&s);
}

static void odd_files(void **state) {
  (void)state;
  DIR *d = opendir(TEST_DATA "/odd");
  int seen = 0;
  assert_non_null(d);
  for (struct dirent *f; (f = readdir(d));) {
    const char *dot = strrchr(f->d_name, '.');
    if (!dot || (strcmp(dot, ".png") != 0 && strcmp(dot, ".jpg") != 0)) continue;
    NnrtImage image;
    NnrtError e = {0};
    int status = read_file("odd", f->d_name, &image, &e);
    if (status != (f->d_name[0] == 'o' ? NNRT_OK : NNRT_EDATA)) fail_msg("%s: %d %s", f->d_name, status, e.text);
    if (status == NNRT_OK) nnrt_image_free(&image);
    else assert_refusal(e.text, f->d_name);
    seen++;
  }
  closedir(d);
  assert_true(seen >= 20);
}

static const char *const good[] = {"images/halved.jpg", "images/progressive.JPEG", "images/interlaced.png",
                                   "images/palette.png"};

/* Reads what stands in memory. */
static int read_bytes(unsigned char *bytes, size_t n, NnrtError *e) {
  NnrtImage image;
  int status = nnrt_image_read(&image, &(NnrtFile){.data = bytes, .size = n}, "x", false, e);
  if (status == NNRT_OK) nnrt_image_free(&image);
  else assert_refusal(e->text, "x: ");
  return status;
}

static void cut_and_changed(void **state) {
  (void)state;
  for (size_t k = 0; k < sizeof good / sizeof *good; k++) {
    char path[4096];
    NnrtFile f;
    NnrtError e = {0};
    snprintf(path, sizeof path, "%s/%s", TEST_DATA, good[k]);
    assert_int_equal(nnrt_file_open(&f, path, &e), NNRT_OK);
    unsigned char *copy = malloc(f.size);
    memcpy(copy, f.data, f.size);
    for (size_t n = 0; n + 2 < f.size; n++)
      if (read_bytes(copy, n, &e) != NNRT_EDATA) fail_msg("%s: read with %zu bytes", good[k], n);
    for (size_t i = 0; i < f.size; i++) {
      copy[i] ^= (unsigned char)(1 + i % 255);
      read_bytes(copy, f.size, &e);
      copy[i] = f.data[i];
    }
    free(copy);
    nnrt_file_close(&f);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(pictures), cmocka_unit_test(odd_files),
                                     cmocka_unit_test(cut_and_changed)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
