/* rt_files.c - libFuzzer target for every file that the runtime reads. The first byte picks the format, the rest is
 * the file. Whatever it is, it is read or refused with one line of text; nothing else. */
#define _GNU_SOURCE
#ifdef NNRT_IMAGES
#include "runtime/image.h"
#endif
#include "runtime/safetensors.h"
#include "tests/unit/runtime/rt_letters.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_source(const char *format, const char *path, NnrtError *e) {
  NnrtSource s;
  NnrtSourceFile file = {NULL, path};
  NnrtView v;
  NnrtSourceOptions letters = letter_options();
  if (nnrt_source_open(&s, reader_named(format), &file, 1, &letters, e) != NNRT_OK) return;
  if (s.count > 0 && nnrt_source_view(&s, &(NnrtColumn){.to = 1}, &v, e) == NNRT_OK) {
    double *row = malloc(sizeof *row * ((size_t)v.width + 1));
    int32_t *integers = (int32_t *)row;
    nnrt_source_read(&s, &v, s.count - 1, 1, NNRT_F64, row, e);
    nnrt_source_read(&s, &v, 0, 1, NNRT_I32, integers, e);
    free(row);
  }
  nnrt_source_close(&s);
}

static void read_picture(const uint8_t *data, size_t size, NnrtError *e) {
#ifdef NNRT_IMAGES
  NnrtImage image;
  float planes[4 * 5 * 7];
  if (nnrt_image_read(&image, &(NnrtFile){.data = data, .size = size}, "picture", false, e) != NNRT_OK) return;
  nnrt_image_planes(&image, 4, 5, 7, planes, e);
  nnrt_image_free(&image);
#else
  (void)data, (void)size, (void)e;
#endif
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const char *const formats[] = {"csv", "npy", "idx", "safetensors", "text", "tokens"};
  if (size == 0) return 0;
  int fd = memfd_create("fuzz", 0);
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  if (!nnrt_write_all(fd, data + 1, size - 1)) abort();
  NnrtError e = {0};
  const char *format = formats[data[0] % 6];
  if (data[0] >= 128) read_picture(data + 1, size - 1, &e);
  if (strcmp(format, "safetensors") != 0) {
    read_source(format, path, &e);
  } else {
    NnrtSafetensors s;
    if (nnrt_safetensors_open(&s, path, &e) == NNRT_OK) nnrt_safetensors_close(&s);
    read_source(format, path, &e);
  }
  if (strchr(e.text, '\n')) abort();
  close(fd);
  return 0;
}
