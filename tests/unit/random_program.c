/* random_program.c - see random_program.h. A pool of tensors with names and shapes grows by one statement at a time;
 * each makes its right side from the pool. Dimensions are numbers; functions are written over names of dimensions. */
#include "tests/unit/random_program.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MAX_POOL = 40, MAX_DIMS = 4 };

typedef struct Tensor {
  char name[16];
  int rank, dim[MAX_DIMS];
} Tensor;

typedef struct Writer {
  Buf *out;
  uint64_t state;
  bool smooth;
  int n, next; /* tensors in the pool; the number of the next name */
  Tensor pool[MAX_POOL];
  int palette[3]; /* the dimensions of this program */
} Writer;

static int below(Writer *w, int n) {
  w->state = w->state * 6364136223846793005u + 1442695040888963407u;
  return (int)((w->state >> 33) % (uint64_t)n);
}

static void put(Writer *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put(Writer *w, const char *format, ...) {
  va_list args;
  va_start(args, format);
  buf_vprintf(w->out, format, args);
  va_end(args);
}

static const char *one_of(Writer *w, const char *const *words, int n) { return words[below(w, n)]; }
#define ONE_OF(w, ...)                                                                                               \
  one_of((w), (const char *const[]){__VA_ARGS__}, (int)(sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *)))

static const char index_names[] = "ijkl";

static void put_indices(Writer *w, int n) {
  for (int i = 0; i < n; i++) put(w, "%s%c", i ? ", " : "", index_names[i]);
}

static void put_type(Writer *w, const Tensor *t) {
  put(w, "f32");
  for (int i = 0; i < t->rank; i++) put(w, "%s%d", i ? ", " : "[", t->dim[i]);
  if (t->rank) put(w, "]");
}

/* ---- the pool ---- */

static const Tensor *pick(Writer *w) { return &w->pool[below(w, w->n)]; }

/* A tensor of at least this rank; the newest that fits if there is any, else NULL. */
static const Tensor *pick_rank(Writer *w, int rank) {
  for (int tries = 0; tries < 12; tries++) {
    const Tensor *t = pick(w);
    if (t->rank >= rank) return t;
  }
  return NULL;
}

/* A tensor that has dimension d at some place, which *at says. */
static const Tensor *pick_with(Writer *w, int d, int *at) {
  for (int tries = 0; tries < 12; tries++) {
    const Tensor *t = pick(w);
    for (*at = 0; *at < t->rank; ++*at)
      if (t->dim[*at] == d) return t;
  }
  return NULL;
}

/* Begins `  v3 = `, or with indices `  v3[i, j] = `. */
static Tensor begin(Writer *w, int indices) {
  Tensor t = {.rank = indices};
  sprintf(t.name, "v%d", w->next++);
  put(w, "  %s", t.name);
  if (indices) {
    put(w, "[");
    put_indices(w, indices);
    put(w, "]");
  }
  put(w, " = ");
  return t;
}

static void finish(Writer *w, Tensor t) {
  put(w, "\n");
  w->pool[w->n < MAX_POOL ? w->n++ : below(w, MAX_POOL)] = t;
}

/* ---- scalar expressions: of `a`, and perhaps `b` ---- */

static void put_scalar(Writer *w, const char *a, const char *b, int depth) {
  int what = below(w, depth ? (w->smooth ? 6 : 9) : 2);
  switch (what) {
  case 0: put(w, "%s", a); return;
  case 1: put(w, "%s", b); return;
  case 2:
  case 3:
    put(w, "(");
    put_scalar(w, a, b, depth - 1);
    put(w, " %s ", ONE_OF(w, "+", "-", "*"));
    put_scalar(w, a, b, depth - 1);
    put(w, ")");
    return;
  case 4:
    put(w, "%s(", ONE_OF(w, "tanh", "sin", "sigmoid", "cos", "erf"));
    put_scalar(w, a, b, depth - 1);
    put(w, ")");
    return;
  case 5:
    put(w, "(");
    put_scalar(w, a, b, depth - 1);
    put(w, " %s)", ONE_OF(w, "/ 2", "* 0.5", "+ 0.25", "** 2", "- 1", "/ (1.5 + square(sin(0.3)))"));
    return;
  case 6:
    put(w, "%s(", ONE_OF(w, "max", "min"));
    put_scalar(w, a, b, depth - 1);
    put(w, ", ");
    put_scalar(w, a, b, depth - 1);
    put(w, ")");
    return;
  case 7:
    put(w, "(if %s %s ", a, ONE_OF(w, "<", ">=", "<="));
    put_scalar(w, a, b, depth - 1);
    put(w, " then ");
    put_scalar(w, a, b, depth - 1);
    put(w, " else ");
    put_scalar(w, a, b, depth - 1);
    put(w, ")");
    return;
  default:
    put(w, "%s(", ONE_OF(w, "relu", "abs", "floor", "square", "sign"));
    put_scalar(w, a, b, depth - 1);
    put(w, ")");
  }
}

/* ---- statements ---- */

static void same_shape(Writer *w) {
  const Tensor *a = pick(w), *b = a;
  for (int tries = 0; tries < 8; tries++) {
    const Tensor *c = pick(w);
    if (c->rank == 0 || (c->rank == a->rank && !memcmp(c->dim, a->dim, sizeof(int) * (size_t)a->rank))) b = c;
  }
  Tensor t = begin(w, 0), shape = *a;
  put(w, "tanh(");
  put_scalar(w, a->name, b->name, 2);
  put(w, " + 0 * %s)", a->name);
  memcpy(t.dim, shape.dim, sizeof t.dim);
  t.rank = shape.rank;
  finish(w, t);
}

static void permuted(Writer *w) {
  const Tensor *p = pick_rank(w, 2);
  if (!p) return;
  Tensor a = *p, t = begin(w, a.rank);
  int order[MAX_DIMS];
  for (int i = 0; i < a.rank; i++) order[i] = i;
  for (int i = a.rank - 1; i > 0; i--) {
    int k = below(w, i + 1), was = order[i];
    order[i] = order[k], order[k] = was;
  }
  put(w, "%s[", a.name);
  for (int i = 0; i < a.rank; i++) put(w, "%s%c", i ? ", " : "", index_names[order[i]]);
  for (int i = 0; i < a.rank; i++) t.dim[order[i]] = a.dim[i];
  put(w, "] * %s", ONE_OF(w, "0.9", "(i + 1) / 4", "1", "if i > 0 then 0.5 else 1"));
  finish(w, t);
}

static void broadcast(Writer *w) {
  const Tensor *a = pick_rank(w, 1);
  if (!a || a->rank > 3) return;
  int at, along = below(w, a->rank);
  const Tensor *b = pick_with(w, a->dim[along], &at);
  if (!b || b->rank != 1) return;
  Tensor x = *a, y = *b, t = begin(w, x.rank);
  put(w, "tanh(%s[", x.name);
  put_indices(w, x.rank);
  put(w, "] %s %s[%c])", ONE_OF(w, "+", "-", "*"), y.name, index_names[along]);
  memcpy(t.dim, x.dim, sizeof t.dim);
  finish(w, t);
}

static void reduced(Writer *w) {
  const Tensor *p = pick_rank(w, 1);
  if (!p) return;
  Tensor a = *p;
  int gone = below(w, a.rank);
  Tensor t = {.rank = 0};
  sprintf(t.name, "v%d", w->next++);
  put(w, "  %s", t.name);
  for (int i = 0; i < a.rank; i++)
    if (i != gone) put(w, "%s%c", t.rank ? ", " : "[", index_names[i]), t.dim[t.rank++] = a.dim[i];
  put(w, "%s = %s(%c", t.rank ? "]" : "",
      w->smooth ? ONE_OF(w, "mean", "sum", "logsumexp") : ONE_OF(w, "mean", "sum", "max", "min", "logsumexp"),
      index_names[gone]);
  if (a.dim[gone] > 1 && below(w, 3) == 0)
    put(w, " where %c %s", index_names[gone], ONE_OF(w, "> 0", "!= 0", "% 2 == 0"));
  put(w, ": %s[", a.name);
  put_indices(w, a.rank);
  put(w, "]) / 2\n");
  w->pool[w->n < MAX_POOL ? w->n++ : below(w, MAX_POOL)] = t;
}

static void product(Writer *w) {
  const Tensor *p = pick_rank(w, 2);
  int at;
  if (!p || p->rank != 2) return;
  Tensor a = *p;
  const Tensor *q = pick_with(w, a.dim[1], &at);
  if (!q || q->rank != 2) return;
  Tensor b = *q, t = begin(w, 2);
  put(w, "tanh(sum(k: %s[i, k] * %s[%s]))", a.name, b.name, at == 0 ? "k, j" : "j, k");
  t.dim[0] = a.dim[0];
  t.dim[1] = b.dim[1 - at];
  finish(w, t);
}

static void window(Writer *w) {
  const Tensor *p = pick_rank(w, 1);
  if (!p || p->rank > 2) return;
  Tensor a = *p, t = begin(w, a.rank);
  const char *last = a.rank == 2 ? "j" : "i", *first = a.rank == 2 ? "i, " : "";
  int size = a.dim[a.rank - 1];
  w->out->n -= strlen("] = ");
  put(w, " < %d] = ", size);
  memcpy(t.dim, a.dim, sizeof t.dim);
  switch (below(w, 4)) {
  case 0: put(w, "(%s[%s%s - 1] else 0.5) + %s[%s%s]", a.name, first, last, a.name, first, last); break;
  case 1: put(w, "mean(u < 3: (%s[%s%s + u - 1] else 0))", a.name, first, last); break;
  case 2: put(w, "%s[%s%d - %s] - %s[%s%s]", a.name, first, size - 1, last, a.name, first, last); break;
  default: put(w, "sum(u where u <= %s: %s[%su]) / %d", last, a.name, first, size);
  }
  finish(w, t);
}

static void slice(Writer *w) {
  const Tensor *p = pick_rank(w, 1);
  if (!p || p->dim[p->rank - 1] < 2) return;
  Tensor a = *p, t = begin(w, 0);
  int size = a.dim[a.rank - 1];
  put(w, "%s[", a.name);
  for (int i = 0; i + 1 < a.rank; i++) put(w, ":, ");
  memcpy(t.dim, a.dim, sizeof t.dim);
  t.rank = a.rank;
  switch (below(w, 3)) {
  case 0: put(w, "1:%d]", size), t.dim[a.rank - 1] = size - 1; break;
  case 1: put(w, "::2]"), t.dim[a.rank - 1] = (size + 1) / 2; break;
  default: put(w, "-1]"), t.rank = a.rank - 1;
  }
  finish(w, t);
}

static void along_last(Writer *w) { /* of a function of vectors, mapped over the rest */
  const Tensor *p = pick_rank(w, 1);
  if (!p) return;
  Tensor a = *p, t = begin(w, 0);
  if (w->smooth) put(w, "%s(%s)", ONE_OF(w, "softmax", "centred", "log_softmax", "reverse", "cumsum"), a.name);
  else put(w, "%s(%s)", ONE_OF(w, "softmax", "centred", "sort", "log_softmax", "reverse", "cumsum"), a.name);
  put(w, " / %d", a.dim[a.rank - 1]);
  memcpy(t.dim, a.dim, sizeof t.dim);
  t.rank = a.rank;
  finish(w, t);
}

static void to_number(Writer *w) { /* mapped likewise */
  const Tensor *p = pick_rank(w, 1);
  if (!p) return;
  Tensor a = *p, t = begin(w, 0);
  put(w, "%s(%s)", ONE_OF(w, "squares", "spread"), a.name);
  memcpy(t.dim, a.dim, sizeof t.dim);
  t.rank = a.rank - 1;
  finish(w, t);
}

static void loop(Writer *w) {
  const Tensor *p = pick_rank(w, 1);
  if (!p || p->rank > 2) return;
  Tensor a = *p, t = {.rank = a.rank};
  sprintf(t.name, "v%d", w->next++);
  put(w, "  scan t in %d {\n    state h%s", a.dim[0], t.name);
  if (a.rank == 2) put(w, ": f32[%d]", a.dim[1]);
  else put(w, ": f32");
  put(w, " = 0\n    h%s <- tanh(%s * h%s + %s[t])\n    %s[t] = h%s + %s[t]\n  }\n", t.name, ONE_OF(w, "0.5", "0.9"),
      t.name, a.name, t.name, t.name, a.name);
  memcpy(t.dim, a.dim, sizeof t.dim);
  w->pool[w->n < MAX_POOL ? w->n++ : below(w, MAX_POOL)] = t;
}

static void layer(Writer *w) {
  int at;
  const Tensor *p = pick_with(w, w->palette[0], &at);
  if (!p || at != p->rank - 1) return;
  Tensor a = *p, t = begin(w, 0);
  put(w, "net(%s)", a.name);
  memcpy(t.dim, a.dim, sizeof t.dim);
  t.rank = a.rank;
  t.dim[t.rank - 1] = w->palette[1];
  finish(w, t);
}

static void repeated(Writer *w) {
  const Tensor *p = pick(w);
  Tensor a = *p, t = begin(w, 0);
  put(w, "%s\n  for n in %d { %s = tanh(%s %s) }", a.name, 1 + below(w, 3), t.name, t.name,
      ONE_OF(w, "* 0.7", "+ n / 2", "- 0.1"));
  memcpy(t.dim, a.dim, sizeof t.dim);
  t.rank = a.rank;
  finish(w, t);
}

static void looked_up(Writer *w) {
  const Tensor *p = pick_rank(w, 1);
  if (!p || p->dim[0] < 3) return;
  Tensor a = *p, t = begin(w, 0);
  put(w, "%s[%s]", a.name, ONE_OF(w, "c", "(c + 1) % 3", "2"));
  t.rank = a.rank - 1;
  for (int i = 0; i < t.rank; i++) t.dim[i] = a.dim[i + 1];
  finish(w, t);
}

static void joined(Writer *w) {
  const Tensor *p = pick_rank(w, 1);
  if (!p || p->rank > 2) return;
  Tensor a = *p, t = begin(w, a.rank);
  const char *rest = a.rank == 2 ? ", j" : "";
  /* twice as long, the second half from the front again; ranges are written */
  w->out->n -= strlen("[i] = ") + (a.rank == 2 ? 3 : 0);
  put(w, "[i < %d%s] = if i < %d then (%s[i%s] else 0) else (%s[i - %d%s] else 0)", 2 * a.dim[0],
      a.rank == 2 ? ", j" : "", a.dim[0], a.name, rest, a.name, a.dim[0], rest);
  memcpy(t.dim, a.dim, sizeof t.dim);
  t.dim[0] = 2 * a.dim[0];
  if (t.dim[0] > 16) {
    put(w, "\n");
    return;
  }
  finish(w, t);
}

static void (*const statements[])(Writer *) = {same_shape, same_shape, permuted, broadcast,  reduced,
                                               product,    window,     slice,    along_last, to_number,
                                               loop,       layer,      repeated, looked_up,  joined};

/* ---- a wrong statement, about a tensor of the pool ---- */

static void wrong(Writer *w) {
  Tensor a = *pick_rank(w, 1);
  int size = a.dim[a.rank - 1];
  switch (below(w, 12)) {
  case 0: put(w, "  w: f32[%d] = softmax([q < %d] => 0.5)\n", size + 1, size); break;
  case 1: put(w, "  w = %s + [q < %d] => 1.0\n", a.name, size + 1); break;
  case 2: put(w, "  w = %s[0, 0, 0, 0, 0]\n", a.name); break;
  case 3: put(w, "  w = undefined(%s)\n", a.name); break;
  case 4: put(w, "  w = %s[%d]\n", a.name, a.dim[0]); break;
  case 5: put(w, "  w = %s[1.5]\n", a.name); break;
  case 6: put(w, "  w = tanh(%s, %s)\n", a.name, a.name); break;
  case 7: put(w, "  w = %s + c\n", a.name); break;
  case 8: put(w, "  w = exact([q < %d] => 0.5)\n", w->palette[0] + 1); break;
  case 9: put(w, "  w = if %s then 1 else 0\n", a.name); break;
  case 10: put(w, "  w = sum(q < %d: %s[q%s])\n", a.dim[0] + 1, a.name, a.rank > 1 ? ", 0" : ""); break;
  default: put(w, "  w = net([q < %d] => 0.5)\n", w->palette[0] + 1);
  }
}

/* ---- the whole ---- */

static void head(Writer *w) {
  put(w, "fn centred(x: float[N]) -> float[N] = x - mean(x)\n");
  put(w, "fn squares(x: float[N]) -> float = mean(i: x[i] ** 2)\n");
  put(w, "fn spread(x: float[N]) -> float {\n  m = mean(x)\n  return sqrt(mean(i: square(x[i] - m)) + 0.1)\n}\n");
  put(w, "fn exact(x: f32[%d]) -> f32 = sum(x)\n", w->palette[0]);
  put(w, "model Part(IN: int, OUT: int) {\n  param weight: f32[OUT, IN] = 0.1\n  param bias: f32[OUT] = 0\n");
  put(w, "  fn forward(x: f32[IN]) -> f32[OUT] = [o] => %s(sum(i: weight[o, i] * x[i]) + bias[o])\n}\n",
      ONE_OF(w, "tanh", "sigmoid", "sin"));
  put(w, "model Net(IN: int, D: int, DEPTH: int) {\n  first = Part(IN, D)\n  rest = Part(D, D) * DEPTH\n");
  put(w,
      "  fn forward(x: f32[IN]) -> f32[D] {\n    h = first(x)\n    for p in rest { h = %s }\n    return h\n  }\n}\n",
      ONE_OF(w, "p(h)", "h + p(h)", "(h + p(h)) / 2"));
  put(w, "net = Net(%d, %d, %d)\n", w->palette[0], w->palette[1], 1 + below(w, 3));
}

static void results(Writer *w, int arguments, RandomProgramKind kind) {
  int from = w->n > 3 ? w->n - 3 : 0;
  put(w, "  loss = 0.0");
  for (int i = from; i < w->n; i++)
    put(w, w->pool[i].rank ? " + mean(square(%s))" : " + square(%s)", w->pool[i].name);
  put(w, "\n  return loss");
  for (int i = 0; i < arguments && kind == RANDOM_GRADIENTS; i++) put(w, ", grad(loss, x%d)", i);
  for (int i = from; i < w->n && kind != RANDOM_GRADIENTS; i++) put(w, ", %s", w->pool[i].name);
  put(w, "\n}\n");
}

/* The statements come first, for the result's type stands before them. */
void random_program(Buf *out, uint64_t seed, RandomProgramKind kind) {
  static const int dims[] = {3, 2, 5, 4, 7, 1, 8, 3};
  Buf body = {0};
  Writer w = {.out = out, .state = seed * 0x9e3779b97f4a7c15u + 1, .smooth = kind == RANDOM_GRADIENTS};
  for (int i = 0; i < 3; i++) w.palette[i] = dims[below(&w, 8)];
  w.palette[0] += w.palette[0] < 3 ? 3 : 0;
  head(&w);
  int arguments = 2 + below(&w, 2);
  for (int i = 0; i < arguments; i++) {
    Tensor t = {.rank = i ? 1 + below(&w, 3) : 1};
    sprintf(t.name, "x%d", i);
    for (int k = 0; k < t.rank; k++) t.dim[k] = w.palette[below(&w, 3)];
    if (!i) t.dim[0] = w.palette[0];
    w.pool[w.n++] = t;
  }
  w.out = &body;
  int count = 4 + below(&w, 9), where = kind == RANDOM_WRONG ? below(&w, count) : -1;
  for (int i = 0; i < count; i++) {
    if (i == where) wrong(&w);
    statements[below(&w, (int)(sizeof statements / sizeof *statements))](&w);
  }
  results(&w, arguments, kind);
  w.out = out;
  put(&w, "entry e(c: i32<3>");
  for (int i = 0; i < arguments; i++) {
    put(&w, ", x%d: ", i);
    put_type(&w, &w.pool[i]);
  }
  put(&w, ") -> (loss: f32");
  int from = w.n > 3 ? w.n - 3 : 0, parts = kind == RANDOM_GRADIENTS ? arguments : w.n - from;
  for (int i = 0; i < parts; i++) {
    put(&w, ", d%d: ", i);
    put_type(&w, &w.pool[kind == RANDOM_GRADIENTS ? i : from + i]);
  }
  put(&w, ") {\n%s", body.text);
  buf_free(&body);
}
