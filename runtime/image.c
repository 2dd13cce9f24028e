/* image.c - see image.h. */
#include "runtime/image.h"
#include "runtime/run.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LARGE = 64 << 20, PACKED = 8 };

int nnrt_image_read(NnrtImage *image, const NnrtFile *f, const char *path, bool head, NnrtError *e) {
  static const unsigned char png[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
  static const unsigned char jpeg[] = {0xff, 0xd8, 0xff};
  *image = (NnrtImage){0};
  int status =
      f->size >= sizeof png && !memcmp(f->data, png, sizeof png) ? nnrt_png_read(image, f, path, head, e)
      : f->size >= sizeof jpeg && !memcmp(f->data, jpeg, sizeof jpeg)
          ? nnrt_jpeg_read(image, f, path, head, e)
          : nnrt_fail(e, NNRT_EDATA, f->size ? "%s: neither a PNG nor a JPEG" : "%s: the file is empty", path);
  if (status != NNRT_OK) nnrt_image_free(image);
  return status;
}

void nnrt_image_free(NnrtImage *image) {
  free(image->pixels);
  image->pixels = NULL;
}

/* A file of a few bytes may say that it holds a picture of any size. */
int nnrt_image_check(const NnrtImage *image, const NnrtFile *f, const char *path, NnrtError *e) {
  int64_t bytes;
  bool fits = !__builtin_mul_overflow(image->height, image->width, &bytes) &&
              !__builtin_mul_overflow(bytes, image->channels, &bytes);
  if (fits && (uint64_t)bytes <= (uint64_t)f->size * PACKED + LARGE) return NNRT_OK;
  return nnrt_fail(e, NNRT_EDATA, "%s: %lld x %lld pixels are more than a file of %zu bytes may hold", path,
                   (long long)image->height, (long long)image->width, f->size);
}

int nnrt_image_allocate(NnrtImage *image, const NnrtFile *f, const char *path, NnrtError *e) {
  int status = nnrt_image_check(image, f, path, e);
  if (status != NNRT_OK) return status;
  size_t bytes = (size_t)(image->height * image->width * image->channels);
  image->pixels = malloc(bytes + 1);
  return image->pixels ? NNRT_OK : nnrt_fail_memory(e, bytes, path);
}

/* ---- channels ---- */

static float luminance(const unsigned char *p) {
  return (float)((p[0] * 19595 + p[1] * 38470 + p[2] * 7471 + 0x8000) >> 16); /* 0.299, 0.587, 0.114 in 2^-16 */
}

static float channel(const NnrtImage *image, int64_t pixel, int k, int channels) {
  const unsigned char *p = image->pixels + pixel * image->channels;
  if (k == 3) return image->channels == 4 ? p[3] : 255;
  if (image->channels == 1) return p[0];
  return channels == 1 ? luminance(p) : p[k];
}

/* ---- sizes ---- */

typedef struct Taps { /* of an element of a resized line: weights of elements first .. first + n - 1 */
  int64_t first, n;
  float *weight;
} Taps;

/* The taps of `size` elements of a line of `from`; one block. NULL: no memory. */
static Taps *make_taps(int64_t from, int64_t size) {
  double step = (double)from / (double)size, reach = step > 1 ? step : 1;
  int64_t most = 2 * (int64_t)ceil(reach) + 2;
  Taps *taps = malloc((size_t)size * (sizeof *taps + (size_t)most * sizeof(float)));
  float *weights = (float *)(void *)(taps + size);
  for (int64_t i = 0; taps && i < size; i++) {
    double middle = ((double)i + 0.5) * step, sum = 0;
    int64_t first = (int64_t)fmax(middle - reach + 0.5, 0), last = (int64_t)fmin(middle + reach + 0.5, (double)from);
    taps[i] = (Taps){first, last - first, weights + i * most};
    for (int64_t k = first; k < last; k++) sum += fmax(0, 1 - fabs(((double)k - middle + 0.5) / reach));
    for (int64_t k = first; k < last; k++)
      taps[i].weight[k - first] = (float)(fmax(0, 1 - fabs(((double)k - middle + 0.5) / reach)) / sum);
  }
  return taps;
}

/* One element from a line whose elements are `stride` apart. */
static float tap(const Taps *t, const float *line, int64_t stride) {
  float sum = 0;
  for (int64_t k = 0; k < t->n; k++) sum += t->weight[k] * line[(t->first + k) * stride];
  return sum;
}

/* plane[h, w] -> rows[h, width] -> to[height, width] */
static void resize_plane(const float *plane, int64_t h, int64_t w, const Taps *across, const Taps *down,
                         int64_t height, int64_t width, float *rows, float *to) {
  for (int64_t i = 0; i < h; i++)
    for (int64_t j = 0; j < width; j++) rows[i * width + j] = tap(&across[j], plane + i * w, 1);
  for (int64_t i = 0; i < height; i++)
    for (int64_t j = 0; j < width; j++) to[i * width + j] = tap(&down[i], rows + j, width);
}

int nnrt_image_planes(const NnrtImage *image, int channels, int64_t height, int64_t width, float *to, NnrtError *e) {
  int64_t h = image->height, w = image->width, n = h * w;
  bool same = h == height && w == width;
  size_t bytes = (size_t)(n + h * width) * sizeof(float);
  float *plane = same ? NULL : malloc(bytes);
  Taps *across = same ? NULL : make_taps(w, width), *down = same ? NULL : make_taps(h, height);
  int status = same || (plane && across && down) ? NNRT_OK : nnrt_fail_memory(e, bytes, "a picture");
  for (int k = 0; status == NNRT_OK && k < channels; k++, to += height * width) {
    float *at = same ? to : plane;
    for (int64_t i = 0; i < n; i++) at[i] = channel(image, i, k, channels);
    if (!same) resize_plane(plane, h, w, across, down, height, width, plane + n, to);
  }
  free(plane);
  free(across);
  free(down);
  return status;
}
