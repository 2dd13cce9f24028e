/* reader_images.c - pictures as a source: a folder of PNG and JPEG files, or of folders, one for each class, whose
 * numbers go by the order of their names' bytes; or one file, as a program is asked to predict of.
 *
 * A field reads `pixels.C` (its pixels with C channels, of 0 one without a dimension for it; resized where the column
 * says from x to) and `class`. A picture is decoded when it is read: there is one in memory at a time. */
#include "runtime/image.h"
#include "runtime/source.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

typedef struct Picture {
  char *path;
  int64_t class;
} Picture;

typedef struct Images { /* the source's own */
  Picture *at;
  int64_t n, room;
  int64_t classes; /* 0: there are none */
  NnrtFile alone;  /* the one file, which may be a pipe */
  bool is_alone;
} Images;

enum { CLASS = 100 }; /* NnrtView.first of the class; of pixels their channels */

/* ---- folders ---- */

static int by_name(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }
static int is_shown(const struct dirent *d) { return d->d_name[0] != '.'; }

static bool ends_with(const char *name, const char *const *ends, int n) {
  const char *dot = strrchr(name, '.');
  for (int i = 0; dot && i < n; i++)
    if (strcasecmp(dot + 1, ends[i]) == 0) return true;
  return false;
}

static int add(Images *m, const char *path, int64_t class, NnrtError *e) {
  if (m->n == m->room) {
    m->room = m->room ? 2 * m->room : 64;
    Picture *more = realloc(m->at, (size_t)m->room * sizeof *more);
    if (!more) return nnrt_fail_memory(e, (size_t)m->room * sizeof *more, path);
    m->at = more;
  }
  char *own = strdup(path);
  if (!own) return nnrt_fail_memory(e, strlen(path), path);
  m->at[m->n++] = (Picture){own, class};
  return NNRT_OK;
}

/* A file of a folder: a picture is taken, one in a format that is not read is refused, all else is none. */
static int take_file(Images *m, const char *path, int64_t class, NnrtError *e) {
  static const char *const read[] = {"png", "jpg", "jpeg"};
  static const char *const others[] = {"gif", "bmp", "webp", "tif", "tiff", "heic", "avif", "ppm", "pgm", "jp2"};
  if (ends_with(path, read, sizeof read / sizeof *read)) return add(m, path, class, e);
  if (!ends_with(path, others, sizeof others / sizeof *others)) return NNRT_OK;
  return nnrt_fail(e, NNRT_EDATA, "%s: of pictures only PNG and JPEG are read", path);
}

static int take_folder(Images *m, const char *folder, int64_t class, NnrtError *e);

/* A file or folder of the folder; class < 0: of the outer one, whose folders are classes. */
static int take(Images *m, const char *folder, const char *name, int64_t class, NnrtError *e) {
  char path[4096];
  struct stat st;
  if ((size_t)snprintf(path, sizeof path, "%s/%s", folder, name) >= sizeof path)
    return nnrt_fail(e, NNRT_EDATA, "%s: a path is too long in it", folder);
  if (stat(path, &st) != 0) return nnrt_fail(e, NNRT_EDATA, "%s: cannot be read: %s", path, strerror(errno));
  if (S_ISREG(st.st_mode)) return take_file(m, path, class, e);
  if (!S_ISDIR(st.st_mode)) return NNRT_OK;
  if (class >= 0) return nnrt_fail(e, NNRT_EDATA, "%s: a folder inside that of a class", path);
  return take_folder(m, path, m->classes++, e);
}

static int take_folder(Images *m, const char *folder, int64_t class, NnrtError *e) {
  struct dirent **names;
  int64_t before = m->n;
  int n = scandir(folder, &names, is_shown, by_name), status = NNRT_OK;
  if (n < 0) return nnrt_fail(e, NNRT_EDATA, "%s: cannot be read: %s", folder, strerror(errno));
  for (int i = 0; i < n; i++) {
    if (status == NNRT_OK) status = take(m, folder, names[i]->d_name, class, e);
    free(names[i]);
  }
  free(names);
  if (status != NNRT_OK || m->n > before) return status;
  return nnrt_fail(e, NNRT_EDATA, "%s: no PNG or JPEG file is in it", folder);
}

/* Pictures beside the folders of classes are of none. */
static int check_classes(const Images *m, NnrtError *e) {
  for (int64_t i = 0; m->classes && i < m->n; i++)
    if (m->at[i].class < 0)
      return nnrt_fail(e, NNRT_EDATA, "%s: a picture beside the folders of classes", m->at[i].path);
  return NNRT_OK;
}

static void close_images(NnrtSource *s) {
  Images *m = s->own;
  for (int64_t i = 0; i < m->n; i++) free(m->at[i].path);
  free(m->at);
  if (m->is_alone) nnrt_file_close(&m->alone);
}

static int open_images(NnrtSource *s, NnrtError *e) {
  Images *m = s->own = calloc(1, sizeof *m);
  const char *path = s->files[0].path;
  struct stat st;
  if (!m) return nnrt_fail_memory(e, sizeof *m, path);
  bool folder = strcmp(path, "-") != 0 && stat(path, &st) == 0 && S_ISDIR(st.st_mode);
  int status = folder ? take_folder(m, path, -1, e) : nnrt_file_open(&m->alone, path, e);
  m->is_alone = !folder && status == NNRT_OK;
  if (status == NNRT_OK) status = folder ? check_classes(m, e) : add(m, path, -1, e);
  s->count = m->n;
  return status;
}

/* ---- pixels ---- */

/* The picture `i`; `head`: its sizes. */
static int decode(const Images *m, int64_t i, bool head, NnrtImage *image, NnrtError *e) {
  NnrtFile f = m->alone;
  int status = m->is_alone ? NNRT_OK : nnrt_file_open(&f, m->at[i].path, e);
  if (status != NNRT_OK) return status;
  status = nnrt_image_read(image, &f, m->at[i].path, head, e);
  if (!m->is_alone) nnrt_file_close(&f);
  return status;
}

/* The field whose column it is. */
static const NnrtField *field_of(const NnrtSource *s, const NnrtColumn *c) {
  for (int64_t k = 0; k < s->options.n_fields; k++) {
    const NnrtField *f = &s->options.fields[k];
    if (c >= f->raw && c < f->raw + f->n_raw) return f;
  }
  return NULL;
}

static int view_class(const NnrtSource *s, const NnrtColumn *c, NnrtView *v, NnrtError *e) {
  const Images *m = s->own;
  const NnrtField *f = field_of(s, c);
  *v = (NnrtView){.first = CLASS, .width = 1};
  if (!m->classes)
    return nnrt_fail(e, NNRT_EDATA, "%s: there are no folders in it, one for each class", s->files[0].path);
  if (!f || !f->bound || f->bound == m->classes) return NNRT_OK;
  return nnrt_fail(e, NNRT_EDATA, "%s: %lld folders, but field %s has %lld classes", s->files[0].path,
                   (long long)m->classes, f->name, (long long)f->bound);
}

static int view_images(const NnrtSource *s, const NnrtColumn *c, NnrtView *v, NnrtError *e) {
  NnrtImage image;
  if (strcmp(c->name, "class") == 0) return view_class(s, c, v, e);
  int channels = c->name[strlen("pixels.")] - '0';
  *v = (NnrtView){.first = channels, .rank = channels ? 3 : 2, .resized = c->from >= 0};
  int64_t *size = v->shape;
  if (channels) *size++ = channels;
  size[0] = c->from;
  size[1] = c->to;
  if (!v->resized) {
    int status = decode(s->own, 0, true, &image, e);
    if (status != NNRT_OK) return status;
    size[0] = image.height;
    size[1] = image.width;
  }
  v->width = (channels ? channels : 1) * size[0] * size[1];
  return NNRT_OK;
}

static int read_picture(const NnrtSource *s, const NnrtView *v, int64_t example, float *planes, NnrtError *e) {
  const Images *m = s->own;
  const int64_t *size = v->shape + (v->rank == 3);
  NnrtImage image;
  int status = decode(m, example, false, &image, e);
  if (status != NNRT_OK) return status;
  if (!v->resized && (image.height != size[0] || image.width != size[1]))
    status = nnrt_fail(e, NNRT_EDATA,
                       "%s: %lld x %lld pixels, but %s has %lld x %lld; resize(pixels, %lld, %lld) makes them equal",
                       m->at[example].path, (long long)image.height, (long long)image.width, m->at[0].path,
                       (long long)size[0], (long long)size[1], (long long)size[0], (long long)size[1]);
  if (status == NNRT_OK) status = nnrt_image_planes(&image, v->first ? v->first : 1, size[0], size[1], planes, e);
  nnrt_image_free(&image);
  return status;
}

static int read_images(const NnrtSource *s, const NnrtView *v, int64_t first, int64_t n, NnrtDtype t, void *to,
                       NnrtError *e) {
  const Images *m = s->own;
  char *at = to;
  if (v->first == CLASS) {
    for (int64_t i = 0; i < n; i++, at += nnrt_dtype(t)->bytes)
      nnrt_convert(NNRT_I64, &m->at[first + i].class, false, t, at, 1);
    return NNRT_OK;
  }
  float *planes = malloc((size_t)v->width * sizeof *planes);
  int status = planes ? NNRT_OK : nnrt_fail_memory(e, (size_t)v->width * sizeof *planes, m->at[first].path);
  for (int64_t i = 0; status == NNRT_OK && i < n; i++, at += v->width * nnrt_dtype(t)->bytes) {
    status = read_picture(s, v, first + i, planes, e);
    if (status == NNRT_OK && nnrt_convert(NNRT_F32, planes, false, t, at, v->width) != v->width)
      status = nnrt_fail(e, NNRT_EDATA, "%s: its pixels are no %s", m->at[first + i].path, nnrt_dtype(t)->name);
  }
  free(planes);
  return status;
}

static void place_images(const NnrtSource *s, const NnrtView *v, int64_t example, int64_t i, char text[256]) {
  const Images *m = s->own;
  (void)v;
  (void)i;
  snprintf(text, 256, "%s", m->at[example].path);
}

const NnrtReader nnrt_reader_images = {.name = "images",
                                       .single = true,
                                       .open = open_images,
                                       .close = close_images,
                                       .view = view_images,
                                       .read = read_images,
                                       .place = place_images};
