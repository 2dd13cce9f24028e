/* safetensors_read.c - see safetensors.h. One pass over the header fills the list, then the list is checked as a
 * whole. */
#include "runtime/json.h"
#include "runtime/safetensors.h"

#include <stdlib.h>
#include <string.h>

typedef struct Reader {
  NnrtJson json;
  NnrtSafetensors *s;
  size_t text_used, text_room;
  int room, meta_room;
  bool saw_meta;
} Reader;

static int by_name(const void *a, const void *b) {
  return strcmp(((const NnrtTensor *)a)->name, ((const NnrtTensor *)b)->name);
}
static int by_key(const void *a, const void *b) {
  return strcmp(((const NnrtMeta *)a)->key, ((const NnrtMeta *)b)->key);
}

/* ---- the header ---- */

static bool grow(Reader *r, void **at, int n, int *room, size_t size) {
  if (n < *room) return true;
  int wanted = *room ? *room * 2 : 16;
  void *more = realloc(*at, (size_t)wanted * size);
  if (!more) {
    r->json.status = nnrt_fail_memory(r->json.error, (size_t)wanted * size, r->s->path);
    return false;
  }
  *at = more;
  *room = wanted;
  return true;
}

/* The text just read is kept: all decoded texts together are no longer than the header. */
static char *text_at(Reader *r) { return r->s->text + r->text_used; }
static size_t text_left(Reader *r) { return r->text_room - r->text_used; }

static bool read_meta(Reader *r) {
  NnrtJson *j = &r->json;
  NnrtSafetensors *s = r->s;
  if (r->saw_meta) return nnrt_json_duplicate(j, "__metadata__");
  r->saw_meta = true;
  if (!nnrt_json_object(j)) return false;
  const char *key = text_at(r);
  size_t n;
  while (nnrt_json_key(j, text_at(r), text_left(r), &n)) {
    r->text_used += n + 1;
    const char *value = text_at(r);
    if (!nnrt_json_string(j, text_at(r), text_left(r), &n)) return false;
    r->text_used += n + 1;
    if (!grow(r, (void **)&s->meta, s->n_meta, &r->meta_room, sizeof *s->meta)) return false;
    s->meta[s->n_meta++] = (NnrtMeta){key, value};
    key = text_at(r);
  }
  return j->status == NNRT_OK;
}

static bool read_dtype(NnrtJson *j, NnrtTensor *t) {
  char name[16];
  if (!nnrt_json_string(j, name, sizeof name, NULL)) return false;
  t->dtype = nnrt_dtype_safetensors(name);
  return t->dtype < NNRT_DTYPE_COUNT || nnrt_json_refuse(j, "\"%.80s\" has the unknown type %s", t->name, name);
}

static bool read_shape(NnrtJson *j, NnrtTensor *t) {
  if (!nnrt_json_array(j)) return false;
  while (nnrt_json_element(j)) {
    if (t->rank == NNRT_MAX_RANK)
      return nnrt_json_refuse(j, "\"%.80s\" has more than %d dimensions", t->name, NNRT_MAX_RANK);
    if (!nnrt_json_natural(j, &t->shape[t->rank++])) return false;
  }
  return j->status == NNRT_OK;
}

static bool read_offsets(NnrtJson *j, int64_t offsets[2]) {
  if (!nnrt_json_array(j)) return false;
  int n = 0;
  while (nnrt_json_element(j)) {
    if (n == 2) return nnrt_json_refuse(j, "more than two data_offsets");
    if (!nnrt_json_natural(j, &offsets[n++])) return false;
  }
  return j->status == NNRT_OK && (n == 2 || nnrt_json_refuse(j, "fewer than two data_offsets"));
}

/* {"dtype": .., "shape": [..], "data_offsets": [begin, end]}, each once, in any order. */
static bool read_tensor(Reader *r, NnrtTensor *t) {
  static const char *const keys[] = {"dtype", "shape", "data_offsets"};
  NnrtJson *j = &r->json;
  char key[16];
  int64_t offsets[2] = {0, 0}, bytes, body = (int64_t)r->s->file.size - (j->end - (const char *)r->s->file.data);
  unsigned seen = 0;
  if (!nnrt_json_object(j)) return false;
  while (nnrt_json_key(j, key, sizeof key, NULL)) {
    int k = 0;
    while (k < 3 && strcmp(key, keys[k]) != 0) k++;
    if (k == 3) return nnrt_json_refuse(j, "\"%.80s\" has the unknown key \"%s\"", t->name, key);
    if (seen & 1u << k) return nnrt_json_duplicate(j, key);
    seen |= 1u << k;
    if (!(k == 0 ? read_dtype(j, t) : k == 1 ? read_shape(j, t) : read_offsets(j, offsets))) return false;
  }
  if (j->status != NNRT_OK) return false;
  if (seen != 7) return nnrt_json_refuse(j, "\"%.80s\" lacks dtype, shape or data_offsets", t->name);
  if (offsets[0] > offsets[1] || offsets[1] > body)
    return nnrt_json_refuse(j, "\"%.80s\" lies outside the file", t->name);
  if (!nnrt_shape_bytes(t->shape, t->rank, t->dtype, &bytes))
    return nnrt_json_refuse(j, "the shape of \"%.80s\" is too large", t->name);
  t->bytes = offsets[1] - offsets[0];
  if (bytes != t->bytes)
    return nnrt_json_refuse(j, "\"%.80s\" has %lld bytes, its shape needs %lld", t->name, (long long)t->bytes,
                            (long long)bytes);
  t->data = j->end + offsets[0];
  return true;
}

static bool read_header(Reader *r) {
  NnrtJson *j = &r->json;
  NnrtSafetensors *s = r->s;
  if (!nnrt_json_object(j)) return false;
  size_t n;
  while (nnrt_json_key(j, text_at(r), text_left(r), &n)) {
    if (strcmp(text_at(r), "__metadata__") == 0) {
      if (!read_meta(r)) return false;
      continue;
    }
    if (!grow(r, (void **)&s->tensors, s->n, &r->room, sizeof *s->tensors)) return false;
    NnrtTensor *t = &s->tensors[s->n++];
    *t = (NnrtTensor){.name = text_at(r)};
    r->text_used += n + 1;
    if (!read_tensor(r, t)) return false;
  }
  return nnrt_json_finish(j) == NNRT_OK;
}

/* ---- the whole ---- */

static int by_place(const void *a, const void *b) {
  const NnrtTensor *x = a, *y = b;
  uintptr_t p = (uintptr_t)x->data, q = (uintptr_t)y->data;
  return p != q ? (p > q) - (p < q) : (x->bytes > y->bytes) - (x->bytes < y->bytes);
}

/* The tensors, in the order of their bytes, must cover the rest of the file exactly. */
static int check_cover(NnrtSafetensors *s, const unsigned char *body, NnrtError *e) {
  const unsigned char *at = body, *end = s->file.data + s->file.size;
  if (s->n) qsort(s->tensors, (size_t)s->n, sizeof *s->tensors, by_place);
  for (int i = 0; i < s->n; i++) {
    const unsigned char *begin = s->tensors[i].data;
    if (begin != at)
      return nnrt_fail(e, NNRT_EDATA, "%s: the bytes of \"%.100s\" %s", s->path, s->tensors[i].name,
                       begin < at ? "overlap another tensor's" : "leave a hole before them");
    at = begin + s->tensors[i].bytes;
  }
  if (at != end)
    return nnrt_fail(e, NNRT_EDATA, "%s: %lld bytes at the end belong to no tensor", s->path, (long long)(end - at));
  return NNRT_OK;
}

static int check_names(NnrtSafetensors *s, NnrtError *e) {
  if (s->n) qsort(s->tensors, (size_t)s->n, sizeof *s->tensors, by_name);
  for (int i = 1; i < s->n; i++)
    if (by_name(&s->tensors[i - 1], &s->tensors[i]) == 0)
      return nnrt_fail(e, NNRT_EDATA, "%s: \"%.100s\" stands twice", s->path, s->tensors[i].name);
  if (s->n_meta) qsort(s->meta, (size_t)s->n_meta, sizeof *s->meta, by_key);
  for (int i = 1; i < s->n_meta; i++)
    if (by_key(&s->meta[i - 1], &s->meta[i]) == 0)
      return nnrt_fail(e, NNRT_EDATA, "%s: \"%.100s\" stands twice in __metadata__", s->path, s->meta[i].key);
  return NNRT_OK;
}

static int read_all(NnrtSafetensors *s, NnrtError *e) {
  if (s->file.size < 8)
    return nnrt_fail(e, NNRT_EDATA, "%s: not a safetensors file: only %zu bytes", s->path, s->file.size);
  uint64_t length = 0;
  for (int i = 8; i-- > 0;) length = length << 8 | s->file.data[i];
  if (length > s->file.size - 8)
    return nnrt_fail(
        e, NNRT_EDATA,
        "%s: not a safetensors file, or cut short: its header is said to be of %llu bytes, the file is of %zu",
        s->path, (unsigned long long)length, s->file.size);
  Reader r = {.s = s, .text_room = (size_t)length + 1};
  s->text = malloc(r.text_room);
  if (!s->text) return nnrt_fail_memory(e, r.text_room, s->path);
  nnrt_json_begin(&r.json, (const char *)s->file.data + 8, (size_t)length, s->path, e);
  if (!read_header(&r)) return r.json.status;
  int status = check_cover(s, s->file.data + 8 + length, e);
  return status != NNRT_OK ? status : check_names(s, e);
}

int nnrt_safetensors_open(NnrtSafetensors *s, const char *path, NnrtError *e) {
  *s = (NnrtSafetensors){.path = path};
  int status = nnrt_file_open(&s->file, path, e);
  if (status != NNRT_OK) return status;
  status = read_all(s, e);
  if (status != NNRT_OK) nnrt_safetensors_close(s);
  return status;
}

void nnrt_safetensors_close(NnrtSafetensors *s) {
  nnrt_file_close(&s->file);
  free(s->tensors);
  free(s->meta);
  free(s->text);
  *s = (NnrtSafetensors){0};
}

const NnrtTensor *nnrt_safetensors_find(const NnrtSafetensors *s, const char *name) {
  NnrtTensor key = {.name = name};
  return s->n ? bsearch(&key, s->tensors, (size_t)s->n, sizeof key, by_name) : NULL;
}

const char *nnrt_safetensors_meta(const NnrtSafetensors *s, const char *key) {
  NnrtMeta wanted = {.key = key};
  const NnrtMeta *m = s->n_meta ? bsearch(&wanted, s->meta, (size_t)s->n_meta, sizeof wanted, by_key) : NULL;
  return m ? m->value : NULL;
}

int64_t nnrt_safetensors_integer(const NnrtSafetensors *s, const char *key, int64_t otherwise) {
  const char *text = nnrt_safetensors_meta(s, key);
  char *end = NULL;
  int64_t v = text ? strtoll(text, &end, 10) : -1;
  return text && end != text && !*end && v >= 0 ? v : otherwise;
}
