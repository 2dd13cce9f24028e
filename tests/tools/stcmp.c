/* stcmp.c - compare tensors of .safetensors and .npy files within a tolerance, for the scripts of tests/.
 *
 *   stcmp [--tol T] [--floor F] GOT REF     every tensor of REF is in GOT, of its shape, and close
 *   stcmp --copy FILE:NAME OUT.npy          one tensor, as it is stored
 *   stcmp --copy FILE:PREFIX* FOLDER        those whose names begin so, a .npy file each, named by the rest
 *   stcmp --list FILE                       name, type, shape, largest magnitude
 *
 * GOT and REF are a .npy file, a folder of them, a .safetensors file, one tensor of it, FILE.safetensors:NAME, or
 * those whose names begin with a prefix, FILE.safetensors:PREFIX*, under the rest of their names. A lone tensor is
 * compared with a lone tensor whatever their names. Close means, for each tensor of REF,
 *
 *   max |got - ref| <= T * max(max |ref|, F * the largest |ref| of any tensor)        (T = 0, F = 0 unless given)
 *
 * and non-finite elements are equal in kind. Says the worst tensor; exit 0 close, 1 not, 2 usage or unreadable file.
 * It has a reader of its own on purpose: the runtime's is what the tests test. It trusts its files' numbers. */
#include <dirent.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_DIMS = 8, NAME_SIZE = 256 };

typedef struct {
  char name[NAME_SIZE];
  char dtype[8]; /* as safetensors spells it */
  int rank;
  size_t shape[MAX_DIMS];
  size_t count;
  const unsigned char *bytes;
} Tensor;

typedef struct {
  Tensor *tensors;
  size_t count;
} TensorList;

static _Noreturn void fail(const char *format, ...) {
  va_list args;
  va_start(args, format);
  fputs("stcmp: ", stderr);
  vfprintf(stderr, format, args);
  fputc('\n', stderr);
  va_end(args);
  exit(2);
}

/* Zeroed memory, held to the end by a chain, so that leak checkers see it is in use. */
static void *allocate(size_t count, size_t size) {
  static void *chain;
  void **block = calloc(1, count * size + sizeof(double[2]));
  if (!block) fail("out of memory");
  *block = chain;
  chain = block;
  return (char *)block + sizeof(double[2]);
}

static unsigned char *read_whole(const char *path, size_t *size) {
  FILE *f = fopen(path, "rb");
  if (!f) fail("cannot read %s", path);
  fseek(f, 0, SEEK_END);
  *size = (size_t)ftell(f);
  rewind(f);
  unsigned char *bytes = allocate(*size + 1, 1); /* the 0 at the end stops the text scanners */
  if (fread(bytes, 1, *size, f) != *size) fail("cannot read %s", path);
  fclose(f);
  return bytes;
}

static size_t dtype_size(const char *dtype) {
  static const struct {
    const char *name;
    size_t size;
  } sizes[] = {{"F64", 8}, {"F32", 4}, {"I64", 8}, {"I32", 4}, {"U8", 1}, {"BOOL", 1}};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
    if (!strcmp(dtype, sizes[i].name)) return sizes[i].size;
  fail("type %s is not known", dtype);
}

/* Reads "[a, b]" or "(a, b)" from s into t's shape. */
static void parse_shape(Tensor *t, const char *s) {
  t->rank = 0;
  t->count = 1;
  for (s++; *s && *s != ']' && *s != ')';) {
    char *end;
    unsigned long long n = strtoull(s, &end, 10);
    if (end == s) { /* a comma or a space */
      s++;
      continue;
    }
    if (t->rank == MAX_DIMS) fail("tensor %s has more than %d dimensions", t->name, MAX_DIMS);
    t->shape[t->rank++] = (size_t)n;
    t->count *= (size_t)n;
    s = end;
  }
}

static TensorList load_npy(const char *path) {
  size_t size;
  unsigned char *bytes = read_whole(path, &size);
  if (size < 10 || memcmp(bytes, "\x93NUMPY", 6)) fail("%s is not an npy file", path);
  size_t wide = bytes[6] >= 2;
  size_t head = wide ? 12 : 10;
  size_t length = bytes[8] | (size_t)bytes[9] << 8;
  if (wide) length |= (size_t)bytes[10] << 16 | (size_t)bytes[11] << 24;
  const char *text = (const char *)bytes + head;
  const char *descr = strstr(text, "'descr':");
  const char *shape = strstr(text, "'shape':");
  if (!descr || !shape || strstr(text, "'fortran_order': True"))
    fail("%s has a header that stcmp does not read", path);
  static const char *const codes[][2] = {{"<f8", "F64"}, {"<f4", "F32"}, {"<i8", "I64"},
                                         {"<i4", "I32"}, {"|u1", "U8"},  {"|b1", "BOOL"}};
  Tensor *t = allocate(1, sizeof *t);
  for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
    const char *at = strstr(descr, codes[i][0]);
    if (at && at < descr + 16) strcpy(t->dtype, codes[i][1]);
  }
  parse_shape(t, strchr(shape, '('));
  t->bytes = bytes + head + length;
  if (head + length + t->count * dtype_size(t->dtype) > size) fail("%s is shorter than its header says", path);
  return (TensorList){t, 1};
}

/* The value after "key": inside the object that starts at s. */
static const char *json_value(const char *s, const char *key) {
  char quoted[32];
  snprintf(quoted, sizeof quoted, "\"%s\"", key);
  const char *at = strstr(s, quoted);
  if (!at) fail("a tensor's entry lacks %s", quoted);
  at = strchr(at + strlen(quoted), ':') + 1;
  while (*at == ' ') at++;
  return at;
}

/* One entry, "name": {"dtype": …, "shape": […], "data_offsets": […]}; returns what follows its }. */
static const char *parse_entry(Tensor *t, const char *s, const unsigned char *data) {
  const char *end = strchr(s + 1, '"');
  snprintf(t->name, sizeof t->name, "%.*s", (int)(end - s - 1), s + 1);
  const char *object = strchr(end, '{');
  const char *dtype = json_value(object, "dtype");
  snprintf(t->dtype, sizeof t->dtype, "%.*s", (int)strcspn(dtype + 1, "\""), dtype + 1);
  parse_shape(t, json_value(object, "shape"));
  t->bytes = data + strtoull(json_value(object, "data_offsets") + 1, NULL, 10);
  return strchr(object, '}') + 1;
}

/* Past the } that ends an object of strings, from inside it. */
static const char *skip_strings(const char *s) {
  for (bool quoted = false; *s && (quoted || *s != '}'); s++) {
    if (quoted && *s == '\\') s++;
    else if (*s == '"') quoted = !quoted;
  }
  return s + 1;
}

static TensorList load_safetensors(const char *path) {
  size_t size;
  unsigned char *bytes = read_whole(path, &size);
  uint64_t length = 0;
  if (size >= 8) memcpy(&length, bytes, 8);
  if (size < 10 || length > size - 8) fail("%s is not a safetensors file", path);
  const char *s = (const char *)bytes + 8, *stop = s + length;
  const unsigned char *data = bytes + 8 + length;
  TensorList list = {allocate((size_t)length / 16 + 1, sizeof(Tensor)), 0};
  while (s < stop && (s = memchr(s, '"', (size_t)(stop - s)))) {
    if (!strncmp(s, "\"__metadata__\"", 14)) {
      s = skip_strings(strchr(s, '{') + 1);
      continue;
    }
    s = parse_entry(&list.tensors[list.count++], s, data);
  }
  return list;
}

static bool ends_with(const char *s, const char *end) {
  size_t n = strlen(s), m = strlen(end);
  return n > m && !strcmp(s + n - m, end);
}

static bool is_folder(const char *path) {
  struct stat s;
  return !stat(path, &s) && S_ISDIR(s.st_mode);
}

/* Each .npy file, under its name without the ending. */
static TensorList load_folder(const char *path) {
  DIR *d = opendir(path);
  if (!d) fail("cannot read %s", path);
  size_t files = 0;
  while (readdir(d)) files++;
  rewinddir(d);
  TensorList list = {allocate(files + 1, sizeof(Tensor)), 0};
  for (struct dirent *e; list.count < files && (e = readdir(d));) {
    if (!ends_with(e->d_name, ".npy")) continue;
    char file[4096 + NAME_SIZE];
    snprintf(file, sizeof file, "%s/%s", path, e->d_name);
    Tensor *t = &list.tensors[list.count++];
    *t = load_npy(file).tensors[0];
    snprintf(t->name, sizeof t->name, "%.*s", (int)strlen(e->d_name) - 4, e->d_name);
  }
  closedir(d);
  return list;
}

/* The tensors named so, or, where a * ends the pattern, whose names begin so; their names lose that part. */
static TensorList pick(TensorList list, const char *pattern) {
  TensorList picked = {list.tensors, 0};
  size_t n = strlen(pattern);
  bool several = n && pattern[n - 1] == '*';
  if (several) n--;
  for (size_t i = 0; i < list.count; i++) {
    Tensor t = list.tensors[i];
    if (strncmp(t.name, pattern, n) || (!several && t.name[n])) continue;
    memmove(t.name, t.name + n, strlen(t.name + n) + 1);
    list.tensors[picked.count++] = t;
  }
  return picked;
}

/* A path, PATH:NAME for one tensor, or PATH:PREFIX* for several. */
static TensorList load(const char *what) {
  char path[4096];
  snprintf(path, sizeof path, "%s", what);
  char *colon = strrchr(path, ':');
  if (colon) *colon = 0;
  if (is_folder(path)) return load_folder(path);
  if (ends_with(path, ".npy")) return load_npy(path);
  TensorList list = load_safetensors(path);
  if (!colon) return list;
  TensorList picked = pick(list, colon + 1);
  if (!picked.count) fail("%s has no tensor %s", path, colon + 1);
  return picked;
}

/* The data need not be aligned, so elements are copied out. */
static double element(const Tensor *t, size_t i) {
  size_t size = dtype_size(t->dtype);
  const unsigned char *at = t->bytes + i * size;
  union {
    double f64;
    float f32;
    int64_t i64;
    int32_t i32;
  } v;
  memcpy(&v, at, size <= sizeof v ? size : sizeof v);
  switch (t->dtype[0]) {
  case 'F': return size == 8 ? v.f64 : (double)v.f32;
  case 'I': return size == 8 ? (double)v.i64 : v.i32;
  default: return *at;
  }
}

static double largest(const Tensor *t) {
  double m = 0;
  for (size_t i = 0; i < t->count; i++)
    if (isfinite(element(t, i))) m = fmax(m, fabs(element(t, i)));
  return m;
}

static double distance(double a, double b) {
  if (isfinite(a) && isfinite(b)) return fabs(a - b);
  return a == b || (isnan(a) && isnan(b)) ? 0 : INFINITY;
}

static bool same_shape(const Tensor *a, const Tensor *b) {
  return a->rank == b->rank && !memcmp(a->shape, b->shape, (size_t)a->rank * sizeof *a->shape);
}

static const Tensor *counterpart(const TensorList *got, const TensorList *ref, const Tensor *t) {
  if (got->count == 1 && ref->count == 1) return &got->tensors[0];
  for (size_t i = 0; i < got->count; i++)
    if (!strcmp(got->tensors[i].name, t->name)) return &got->tensors[i];
  return NULL;
}

static void print_shape(FILE *out, const Tensor *t) {
  fprintf(out, "%s[", t->dtype);
  for (int i = 0; i < t->rank; i++) fprintf(out, "%s%zu", i ? ", " : "", t->shape[i]);
  fputc(']', out);
}

/* Compares one tensor; true if close, else says why. *worst is raised to the distance over what is allowed. */
static bool compare_tensor(const Tensor *got, const Tensor *ref, double scale, double tol, double *worst) {
  if (!got) return fprintf(stderr, "stcmp: %s is missing\n", ref->name), false;
  if (!same_shape(got, ref)) {
    fprintf(stderr, "stcmp: %s is ", ref->name);
    print_shape(stderr, got);
    fputs(", expected ", stderr);
    print_shape(stderr, ref);
    fputc('\n', stderr);
    return false;
  }
  size_t at = 0;
  double far = 0;
  for (size_t i = 0; i < ref->count; i++) {
    double d = distance(element(got, i), element(ref, i));
    if (d > far) {
      far = d;
      at = i;
    }
  }
  *worst = fmax(*worst, scale > 0 ? far / scale : far);
  if (far <= tol * scale) return true;
  fprintf(stderr, "stcmp: %s, element %zu: %.17g, expected %.17g; %.3g apart, %.3g allowed\n", ref->name, at,
          element(got, at), element(ref, at), far, tol * scale);
  return false;
}

static int compare(const char *got_path, const char *ref_path, double tol, double floor_share) {
  TensorList got = load(got_path), ref = load(ref_path);
  double top = 0, worst = 0;
  for (size_t i = 0; i < ref.count; i++) top = fmax(top, largest(&ref.tensors[i]));
  bool ok = true;
  for (size_t i = 0; i < ref.count; i++) {
    const Tensor *r = &ref.tensors[i];
    double scale = fmax(largest(r), floor_share * top);
    ok &= compare_tensor(counterpart(&got, &ref, r), r, scale, tol, &worst);
  }
  printf("%zu tensors, relative distance %.3g\n", ref.count, worst);
  return ok ? 0 : 1;
}

static void write_npy(const Tensor *t, const char *to) {
  static const char *const codes[][2] = {{"F64", "<f8"}, {"F32", "<f4"}, {"I64", "<i8"},
                                         {"I32", "<i4"}, {"U8", "|u1"},  {"BOOL", "|b1"}};
  const char *descr = NULL;
  for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
    if (!strcmp(t->dtype, codes[i][0])) descr = codes[i][1];
  if (!descr) fail("type %s is not known", t->dtype);
  char head[256];
  int n = snprintf(head, sizeof head, "{'descr': '%s', 'fortran_order': False, 'shape': (", descr);
  for (int i = 0; i < t->rank; i++) n += snprintf(head + n, sizeof head - (size_t)n, "%zu, ", t->shape[i]);
  n += snprintf(head + n, sizeof head - (size_t)n, "), }");
  while ((n + 11) % 64) head[n++] = ' '; /* magic, version, length and the newline are 11 bytes */
  head[n++] = '\n';
  FILE *f = fopen(to, "wb");
  if (!f) fail("cannot write %s", to);
  fwrite("\x93NUMPY\1\0", 1, 8, f);
  fputc(n & 255, f);
  fputc(n >> 8, f);
  fwrite(head, 1, (size_t)n, f);
  fwrite(t->bytes, dtype_size(t->dtype), t->count, f);
  if (fclose(f)) fail("cannot write %s", to);
}

static int copy(const char *from, const char *to) {
  TensorList list = load(from);
  if (is_folder(to)) {
    for (size_t i = 0; i < list.count; i++) {
      char file[4096 + NAME_SIZE];
      snprintf(file, sizeof file, "%s/%s.npy", to, list.tensors[i].name);
      write_npy(&list.tensors[i], file);
    }
    return 0;
  }
  if (list.count != 1) fail("%s is not one tensor", from);
  write_npy(&list.tensors[0], to);
  return 0;
}

static int list_file(const char *path) {
  TensorList list = load(path);
  for (size_t i = 0; i < list.count; i++) {
    printf("%s ", list.tensors[i].name);
    print_shape(stdout, &list.tensors[i]);
    printf(" %.6g\n", largest(&list.tensors[i]));
  }
  return 0;
}

int main(int argc, char **argv) {
  double tol = 0, floor_share = 0;
  int i = 1;
  if (argc == 4 && !strcmp(argv[1], "--copy")) return copy(argv[2], argv[3]);
  if (argc == 3 && !strcmp(argv[1], "--list")) return list_file(argv[2]);
  for (; i + 1 < argc && !strncmp(argv[i], "--", 2); i += 2) {
    if (!strcmp(argv[i], "--tol")) tol = strtod(argv[i + 1], NULL);
    else if (!strcmp(argv[i], "--floor")) floor_share = strtod(argv[i + 1], NULL);
    else fail("no option %s", argv[i]);
  }
  if (argc - i != 2) fail("usage: stcmp [--tol T] [--floor F] GOT REF | --copy FILE:NAME OUT | --list FILE");
  return compare(argv[i], argv[i + 1], tol, floor_share);
}
