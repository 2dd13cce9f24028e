/* image_png.c - PNG by libpng, which leaves by longjmp what it cannot read: all that it is given lies in one struct,
 * and no variable of this file changes between setjmp and the jump. */
#include "runtime/image.h"

#include <png.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

typedef struct Reading {
  NnrtImage *image;
  const NnrtFile *file;
  const char *path;
  bool head;
  NnrtError *error;
  size_t at;
  int status;
  png_structp png;
  png_infop info;
  png_bytep *rows;
} Reading;

static void give(png_structp png, png_bytep to, size_t n) {
  Reading *r = png_get_io_ptr(png);
  if (n > r->file->size - r->at) png_error(png, "the file ends early");
  memcpy(to, r->file->data + r->at, n);
  r->at += n;
}

static void refuse(png_structp png, png_const_charp text) {
  Reading *r = png_get_error_ptr(png);
  r->status = nnrt_fail(r->error, NNRT_EDATA, "%s: a damaged PNG: %s", r->path, text);
  longjmp(png_jmpbuf(png), 1);
}

static void pass_over(png_structp png, png_const_charp text) {
  (void)png;
  (void)text;
}

/* Eight bits, grey or colours, with alpha or without: how the file packs them is libpng's. */
static void unpack(Reading *r) {
  png_set_expand(r->png);
  png_set_scale_16(r->png);
  if (r->image->channels == 4) png_set_gray_to_rgb(r->png);
  png_set_interlace_handling(r->png);
  png_read_update_info(r->png, r->info);
}

static int read_pixels(Reading *r) {
  NnrtImage *m = r->image;
  r->status = nnrt_image_allocate(m, r->file, r->path, r->error);
  if (r->status != NNRT_OK) return r->status;
  unpack(r); /* libpng makes room for rows, too */
  size_t row = png_get_rowbytes(r->png, r->info);
  if (row != (size_t)(m->width * m->channels)) png_error(r->png, "rows of another size");
  r->rows = malloc((size_t)m->height * sizeof *r->rows);
  if (!r->rows) return r->status = nnrt_fail_memory(r->error, (size_t)m->height * sizeof *r->rows, r->path);
  for (int64_t i = 0; i < m->height; i++) r->rows[i] = m->pixels + (size_t)i * row;
  png_read_image(r->png, r->rows);
  png_read_end(r->png, NULL);
  return NNRT_OK;
}

static int read_all(Reading *r) {
  if (setjmp(png_jmpbuf(r->png))) return r->status;
  png_set_read_fn(r->png, r, give);
  png_set_user_limits(r->png, 0x7fffffff, 0x7fffffff); /* ours are checked before there is memory */
  png_set_chunk_malloc_max(r->png, 8 << 20);
  png_read_info(r->png, r->info);
  r->image->height = png_get_image_height(r->png, r->info);
  r->image->width = png_get_image_width(r->png, r->info);
  int colour = png_get_color_type(r->png, r->info);
  bool alpha = (colour & PNG_COLOR_MASK_ALPHA) || png_get_valid(r->png, r->info, PNG_INFO_tRNS);
  r->image->channels = alpha ? 4 : colour & PNG_COLOR_MASK_COLOR ? 3 : 1;
  return r->head ? nnrt_image_check(r->image, r->file, r->path, r->error) : read_pixels(r);
}

int nnrt_png_read(NnrtImage *image, const NnrtFile *f, const char *path, bool head, NnrtError *e) {
  Reading r = {.image = image, .file = f, .path = path, .head = head, .error = e};
  r.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &r, refuse, pass_over);
  r.info = r.png ? png_create_info_struct(r.png) : NULL;
  int status = r.info ? read_all(&r) : nnrt_fail_memory(e, 0, path);
  png_destroy_read_struct(&r.png, &r.info, NULL);
  free(r.rows);
  return status;
}
