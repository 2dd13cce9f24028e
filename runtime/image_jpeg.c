/* image_jpeg.c - JPEG by libjpeg-turbo, which leaves by longjmp what it cannot read; as in image_png.c all lies in
 * one struct. A file that ends early or whose data are damaged, of which libjpeg only warns and makes grey, is
 * refused. */
#include <stdio.h> /* jpeglib.h wants it before */

#include "runtime/image.h"

#include <jerror.h>
#include <jpeglib.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_SCANS = 500 }; /* of a progressive file, each of which goes over all of the picture */

typedef struct Reading {
  struct jpeg_decompress_struct jpeg;
  struct jpeg_error_mgr errors;
  struct jpeg_progress_mgr progress;
  jmp_buf out;
  NnrtImage *image;
  const NnrtFile *file;
  const char *path;
  bool head;
  NnrtError *error;
  int status;
} Reading;

static void refuse(j_common_ptr jpeg) {
  Reading *r = jpeg->client_data;
  char text[JMSG_LENGTH_MAX];
  jpeg->err->format_message(jpeg, text);
  r->status = nnrt_fail(r->error, NNRT_EDATA, "%s: a damaged JPEG: %s", r->path, text);
  longjmp(r->out, 1);
}

static void warned(j_common_ptr jpeg, int level) {
  int code = jpeg->err->msg_code;
  if (level < 0 && (code == JWRN_JPEG_EOF || code == JWRN_HIT_MARKER || code == JWRN_HUFF_BAD_CODE)) refuse(jpeg);
}

static void count_scans(j_common_ptr jpeg) {
  Reading *r = jpeg->client_data;
  if (!jpeg->is_decompressor || r->jpeg.input_scan_number <= MOST_SCANS) return;
  r->status = nnrt_fail(r->error, NNRT_EDATA, "%s: a JPEG of more than %d scans", r->path, MOST_SCANS);
  longjmp(r->out, 1);
}

static int read_pixels(Reading *r) {
  NnrtImage *m = r->image;
  r->status = nnrt_image_allocate(m, r->file, r->path, r->error);
  if (r->status != NNRT_OK) return r->status;
  jpeg_start_decompress(&r->jpeg);
  while (r->jpeg.output_scanline < r->jpeg.output_height) {
    JSAMPROW row = m->pixels + (size_t)r->jpeg.output_scanline * (size_t)(m->width * m->channels);
    jpeg_read_scanlines(&r->jpeg, &row, 1);
  }
  jpeg_finish_decompress(&r->jpeg);
  return NNRT_OK;
}

static int read_all(Reading *r) {
  if (setjmp(r->out)) return r->status;
  jpeg_create_decompress(&r->jpeg);
  r->jpeg.client_data = r;
  r->jpeg.progress = &r->progress;
  jpeg_mem_src(&r->jpeg, r->file->data, r->file->size);
  jpeg_read_header(&r->jpeg, TRUE);
  J_COLOR_SPACE space = r->jpeg.jpeg_color_space;
  if (space == JCS_CMYK || space == JCS_YCCK)
    return r->status = nnrt_fail(r->error, NNRT_EDATA, "%s: a JPEG in the colours of print (CMYK), which is not read",
                                 r->path);
  r->image->channels = space == JCS_GRAYSCALE ? 1 : 3;
  r->jpeg.out_color_space = space == JCS_GRAYSCALE ? JCS_GRAYSCALE : JCS_RGB;
  r->image->height = r->jpeg.image_height;
  r->image->width = r->jpeg.image_width;
  return r->head ? nnrt_image_check(r->image, r->file, r->path, r->error) : read_pixels(r);
}

int nnrt_jpeg_read(NnrtImage *image, const NnrtFile *f, const char *path, bool head, NnrtError *e) {
  Reading *r = calloc(1, sizeof *r);
  if (!r) return nnrt_fail_memory(e, sizeof *r, path);
  r->image = image;
  r->file = f;
  r->path = path;
  r->head = head;
  r->error = e;
  r->jpeg.err = jpeg_std_error(&r->errors);
  r->jpeg.client_data = r;
  r->errors.error_exit = refuse;
  r->errors.emit_message = warned;
  r->progress.progress_monitor = count_scans;
  int status = read_all(r);
  jpeg_destroy_decompress(&r->jpeg);
  free(r);
  return status;
}
