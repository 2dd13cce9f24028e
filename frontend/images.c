/* images.c - what fields read of pictures: `pixels`, as large as the field says; `resize(pixels, height, width)`, of
 * pictures of any size, which the reader resizes; and `class`, the number of the folder. */
#include "frontend/value.h"

#include <string.h>

enum { MAX_SIDE = 16384 };

bool has_images(const DataSet *d) { return !strcmp(d->format, "images"); }

/* The channels of a field f32[C, H, W]; 0 for f32[H, W]; of a field of another shape the file's colours. */
static int channels_of(const Field *f) {
  if (f->rank == 2) return 0;
  bool picture = f->rank == 3 && (f->shape[0] == 1 || f->shape[0] == 3 || f->shape[0] == 4);
  return picture ? (int)f->shape[0] : 3;
}

/* Pixels with the field's channels; `from` and `to`: resized to this height and width. */
static Value *pixels_part(Elaborator *x, int channels, int from, int to, const int64_t *size, Span at) {
  const Field *f = x->field;
  RawColumn c = {.dtype = dtype_is_float(f->dtype) || from < 0 ? f->dtype : float_default(x),
                 .from = from,
                 .to = to,
                 .name = str_internf(x->strings, "pixels.%d", channels)};
  Dim *shape[3];
  int rank = 0;
  if (channels) shape[rank++] = dim_const(x->ir, channels);
  for (int i = 0; i < 2; i++) shape[rank++] = dim_const(x->ir, size[i]);
  return data_raw_part(x, c, rank, shape, at);
}

static Value *bare_pixels(Elaborator *x, Span at) {
  const Field *f = x->field;
  int channels = channels_of(f);
  if (f->rank == 2 || (f->rank == 3 && f->shape[0] == channels))
    return pixels_part(x, channels, -1, -1, f->shape + f->rank - 2, at);
  Diag *d = diag_add(x->diags, DIAG_FIELD, at,
                     "how large pictures are says the shape of a field [C, H, W], C 1, 3 or 4, or [H, W]");
  diag_help(d, "`resize(pixels, 32, 32)` makes them of one size for any formula");
  return NULL;
}

Value *image_part(Elaborator *x, Str name, Span at) {
  if (!strcmp(name, "pixels")) return bare_pixels(x, at);
  if (!strcmp(name, "class"))
    return data_raw_part(x, (RawColumn){.dtype = x->field->dtype, .from = -1, .to = -1, .name = name, .single = true},
                         0, NULL, at);
  Diag *d = diag_add(x->diags, DIAG_COLUMN, at, "of pictures there are `pixels` and `class`, and no `%s`", name);
  Nearest near = {name, 3, NULL, false};
  nearest_consider(&near, "pixels");
  nearest_consider(&near, "class");
  if (near.found) diag_meant(d, at, near.found);
  else diag_help(d, "image: f32[3, 64, 64] = resize(pixels, 64, 64) / 255");
  return NULL;
}

static bool is_pixels(const Ast *a) { return a && a->kind == AST_NAME && !strcmp(a->name, "pixels"); }

static Value *resized(Elaborator *x, Env *e, Ast *const *sides, int n, Span at) {
  int64_t size[2] = {0};
  bool right = n == 2;
  for (int i = 0; right && i < 2; i++) {
    int k = !sides[i]->name ? i : !strcmp(sides[i]->name, "height") ? 0 : !strcmp(sides[i]->name, "width") ? 1 : -1;
    right = k >= 0 && !size[k];
    Dim *d = right ? dim_of(x, e, sides[i]->value) : NULL;
    if (right && !d) return NULL;
    right = right && dim_is_const(d, &size[k]) && size[k] >= 1 && size[k] <= MAX_SIDE;
  }
  if (right) return pixels_part(x, channels_of(x->field), (int)size[0], (int)size[1], size, at);
  Diag *d = diag_add(x->diags, DIAG_FIELD, at, "pixels are resized to a height and a width from 1 to %d", MAX_SIDE);
  diag_help(d, "resize(pixels, 224, 224)");
  return NULL;
}

Value *image_resized(Elaborator *x, Env *e, const Ast *piped, const Ast *call, bool *is) {
  *is = false;
  if (!x->field || !has_images(x->set) || call->kind != AST_CALL || call->callee->kind != AST_NAME ||
      strcmp(call->callee->name, "resize") != 0)
    return NULL;
  int n = call->args->items.n;
  *is = is_pixels(piped ? piped : n && !call->args->items.at[0]->name ? call->args->items.at[0]->value : NULL);
  if (!*is) return NULL;
  return piped ? resized(x, e, call->args->items.at, n, call->span)
               : resized(x, e, call->args->items.at + 1, n - 1, call->span);
}
