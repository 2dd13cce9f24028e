/* image.h - a picture of a PNG or JPEG file as bytes, decoded by libpng and libjpeg. What is wrong with a file is
 * said in a sentence that names it, and before there is memory for its pixels: how many there are is checked against
 * the file's size. Only programs whose data are images have this. */
#ifndef NNRT_IMAGE_H
#define NNRT_IMAGE_H

#include "runtime/file.h"

#include <stdint.h>

typedef struct NnrtImage {
  int64_t height, width;
  int channels;          /* as in the file: 1 grey, 3, or 4 with alpha; grey with alpha is 4 */
  unsigned char *pixels; /* [height, width, channels]; NULL where only the head was read */
} NnrtImage;

/* Decodes the file, which is called `path` in messages; `head`: only its sizes. NNRT_EDATA; after a failure there is
 * nothing to free. */
int nnrt_image_read(NnrtImage *image, const NnrtFile *f, const char *path, bool head, NnrtError *e);
void nnrt_image_free(NnrtImage *image);

/* For the decoders of the two formats: checks the sizes, and makes room for the pixels. */
int nnrt_image_check(const NnrtImage *image, const NnrtFile *f, const char *path, NnrtError *e);
int nnrt_image_allocate(NnrtImage *image, const NnrtFile *f, const char *path, NnrtError *e);
int nnrt_png_read(NnrtImage *image, const NnrtFile *f, const char *path, bool head, NnrtError *e);
int nnrt_jpeg_read(NnrtImage *image, const NnrtFile *f, const char *path, bool head, NnrtError *e);

/* The picture with `channels` (1: its luminance as in ITU-R 601, 3, or 4; alpha is dropped, or 255 where the file has
 * none), resized to [height, width] where they are not its own, to to[channels, height, width].
 * A pixel of a smaller picture is the mean of those that it covers, weighted by a triangle twice as wide as a step
 * from one to the next; of a larger one, the line between two: PyTorch's interpolate(mode = "bilinear", antialias =
 * True). */
int nnrt_image_planes(const NnrtImage *image, int channels, int64_t height, int64_t width, float *to, NnrtError *e);

#endif
