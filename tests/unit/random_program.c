/* random_program.c - see random_program.h. A pool of tensors with names and shapes grows by one statement at a time;
 * each makes its right side from the pool. Dimensions are numbers; functions are written over names of dimensions. */
#include "tests/unit/random_program.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MAX_POOL = 40, MAX_DIMS = RANDOM_RANK };

typedef RandomTensor Tensor;

typedef struct Writer {
  Buf *out;
  RandomProgram *program;
  uint64_t state;
  bool smooth;
  bool draws, open; /* something was drawn; there is an argument `z` with an open dimension */
  RandomProgramKind kind;
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

static void remember(Writer *w, Tensor t) {
  w->pool[w->n < MAX_POOL ? w->n++ : below(w, MAX_POOL)] = t;
  if (w->program->n < RANDOM_TENSORS) w->program->tensors[w->program->n++] = t;
}

static void finish(Writer *w, Tensor t) {
  put(w, "\n");
  remember(w, t);
}

static Tensor named(Writer *w, int rank, const int *dim) {
  Tensor t = {.rank = rank};
  sprintf(t.name, "v%d", w->next++);
  for (int i = 0; i < rank; i++) t.dim[i] = dim[i];
  return t;
}

/* `  v3 = `, half of the times `  v3: f32[2, 4] = `. */
static Tensor begin_typed(Writer *w, int rank, const int *dim) {
  Tensor t = named(w, rank, dim);
  put(w, "  %s", t.name);
  if (below(w, 2)) {
    put(w, ": ");
    put_type(w, &t);
  }
  put(w, " = ");
  return t;
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
  Tensor t = begin_typed(w, a->rank, a->dim);
  put(w, "tanh(");
  put_scalar(w, a->name, b->name, 2);
  put(w, " + 0 * %s)", a->name);
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
  remember(w, t);
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
  Tensor a = *p, t = begin_typed(w, a.rank, a.dim);
  if (w->smooth) put(w, "%s(%s)", ONE_OF(w, "softmax", "centred", "log_softmax", "reverse", "cumsum"), a.name);
  else put(w, "%s(%s)", ONE_OF(w, "softmax", "centred", "sort", "log_softmax", "reverse", "cumsum"), a.name);
  put(w, " / %d", a.dim[a.rank - 1]);
  finish(w, t);
}

static void to_number(Writer *w) { /* mapped likewise */
  const Tensor *p = pick_rank(w, 1);
  if (!p) return;
  Tensor a = *p, t = begin_typed(w, a.rank - 1, a.dim);
  put(w, "%s(%s)", ONE_OF(w, "squares", "spread"), a.name);
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
  remember(w, t);
}

static void layer(Writer *w) {
  int at;
  const Tensor *p = pick_with(w, w->palette[0], &at);
  if (!p || at != p->rank - 1) return;
  Tensor a = *p;
  a.dim[a.rank - 1] = w->palette[1];
  Tensor t = begin_typed(w, a.rank, a.dim);
  put(w, "%s(%s)", ONE_OF(w, "net", "net.first"), a.name);
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

static void two_parts(Writer *w) {
  const Tensor *p = pick_rank(w, 1);
  if (!p) return;
  Tensor a = *p, whole = named(w, a.rank, a.dim), length = named(w, a.rank - 1, a.dim);
  put(w, "  %s, %s = parted(%s)", whole.name, length.name, a.name);
  remember(w, length);
  finish(w, whole);
}

static void with_options(Writer *w) {
  const Tensor *p = pick_rank(w, 1);
  if (!p) return;
  Tensor a = *p, t = begin_typed(w, a.rank, a.dim);
  put(w, "scaled(%s%s)", a.name,
      ONE_OF(w, "", ", 0.7", ", turned = true", ", by = 0.3, turned = true", ", turned = false, by = -0.5"));
  finish(w, t);
}

static void given_function(Writer *w) {
  const Tensor *p = pick_rank(w, 1);
  if (!p) return;
  Tensor a = *p, t = begin_typed(w, a.rank, a.dim);
  const char *f = ONE_OF(w, "centred", "softmax", "tanh");
  if (below(w, 2)) put(w, "twice(%s, %s)", f, a.name);
  else put(w, "%s |> %s |> scaled(by = 0.8)", a.name, f);
  finish(w, t);
}

static void rearranged(Writer *w) { /* by the library */
  const Tensor *p = pick_rank(w, 1);
  if (!p) return;
  Tensor a = *p;
  int last = a.rank - 1, what = below(w, a.rank > 1 ? 4 : 2);
  int dim[MAX_DIMS + 1];
  memcpy(dim, a.dim, sizeof a.dim);
  if (what == 0) {
    if ((dim[last] += 3) > 12) return;
    Tensor t = begin_typed(w, a.rank, dim);
    put(w, "%s(%s, 1, 2)", a.dim[last] > 2 ? ONE_OF(w, "pad", "pad_replicate", "pad_circular", "pad_reflect") : "pad",
        a.name);
    finish(w, t);
  } else if (what == 1) {
    if (a.rank == MAX_DIMS) return;
    for (int i = a.rank; i > 0; i--) dim[i] = dim[i - 1];
    dim[0] = 2;
    Tensor t = begin_typed(w, a.rank + 1, dim);
    put(w, "stack(%s, tanh(%s))", a.name, a.name);
    finish(w, t);
  } else if (what == 2) {
    dim[last] = a.dim[last - 1], dim[last - 1] = a.dim[last];
    Tensor t = begin_typed(w, a.rank, dim);
    put(w, "transpose(%s)", a.name);
    finish(w, t);
  } else {
    if ((dim[last - 1] *= a.dim[last]) > 24) return;
    Tensor t = begin_typed(w, a.rank - 1, dim);
    put(w, "flatten(%s)", a.name);
    finish(w, t);
  }
}

static void derived(Writer *w) {
  const Tensor *p = pick_rank(w, 1);
  if (!p) return;
  Tensor a = *p, t = begin_typed(w, a.rank, a.dim);
  if (below(w, 2)) put(w, "grad(mean(square(tanh(%s))), %s)", a.name, a.name);
  else put(w, "jvp(tanh(%s) * 0.5, %s, %s)", a.name, a.name, a.name);
  finish(w, t);
}

static void changed_row(Writer *w) {
  const Tensor *p = pick_rank(w, 1);
  if (!p || p->dim[0] < 3) return;
  Tensor a = *p, t = begin_typed(w, a.rank, a.dim);
  put(w, "update(%s, c, 0.5 * %s[%s])", a.name, a.name, ONE_OF(w, "0", "1", "2"));
  finish(w, t);
}

static void drawn(Writer *w) {
  if (w->kind == RANDOM_GRADIENTS) return;
  const Tensor *p = pick(w);
  Tensor a = *p, t = named(w, a.rank, a.dim);
  put(w, "  e%s: ", t.name);
  put_type(w, &t);
  put(w, " ~ %s\n  %s = %s + 0.1 * e%s", ONE_OF(w, "normal(0, 1)", "uniform(-1, 1)", "laplace(0, 0.5)"), t.name,
      a.name, t.name);
  w->draws = true;
  finish(w, t);
}

/* Of z[T, D], whose first dimension is known when the entry is called. */
static void opened(Writer *w) {
  if (!w->open) return;
  int d = w->palette[2], dim[2] = {d, d};
  switch (below(w, 4)) {
  case 0: {
    Tensor t = named(w, 1, dim);
    put(w, "  %s[j] = %s(t: z[t, j]) / 4", t.name, ONE_OF(w, "sum", "mean", "logsumexp"));
    finish(w, t);
    return;
  }
  case 1: {
    Tensor t = named(w, 2, dim);
    put(w, "  %s[i, j] = mean(t: tanh(z[t, i]) * z[t, j])", t.name);
    finish(w, t);
    return;
  }
  case 2: {
    Tensor t = named(w, 1, dim);
    const char *n = t.name;
    put(w, "  p%s[t, u] = softmax(u%s: mean(j: z[t, j] * z[u, j]))\n", n, ONE_OF(w, "", " where u <= t"));
    put(w, "  %s[j] = mean(t, u: p%s[t, u] * z[u, j])", n, n);
    finish(w, t);
    return;
  }
  default: {
    Tensor t = named(w, 1, dim);
    const char *n = t.name;
    put(w, "  scan t in T {\n    state s%s: f32[%d] = 0\n    s%s <- tanh(0.5 * s%s + z[t])\n  }\n", n, d, n, n);
    put(w, "  %s = s%s", n, n);
    finish(w, t);
  }
  }
}

static void until_enough(Writer *w) {
  const Tensor *p = pick(w);
  if (w->kind != RANDOM_ANY || p->rank) return;
  Tensor a = *p, t = named(w, 1, (int[]){5});
  const char *n = t.name;
  put(w, "  repeat n in 5 while s%s < 1.5 {\n    state s%s: f32 = tanh(%s)\n    %s[n] = s%s / 2\n", n, n, a.name, n,
      n);
  put(w, "    s%s <- s%s + %s\n  }", n, n, ONE_OF(w, "0.75", "square(n / 4)", "1"));
  finish(w, t);
}

static void two_states(Writer *w) { /* from the back, with a loop inside */
  const Tensor *p = pick_rank(w, 1);
  if (!p || p->rank > 2) return;
  Tensor a = *p, t = named(w, a.rank, a.dim);
  Tensor row = {.rank = a.rank - 1, .dim = {a.dim[1]}};
  const char *n = t.name;
  put(w, "  scan t in %d {\n    state g%s: ", a.dim[0], n);
  put_type(w, &row);
  put(w, " = 0.1\n    state h%s: ", n);
  put_type(w, &row);
  put(w, " = 0\n    now = %s[%d - t] + 0.5 * g%s\n    for n in 2 { now = sin(now + n / 4) }\n", a.name, a.dim[0] - 1,
      n);
  put(w, "    g%s <- 0.7 * now + 0.2 * h%s\n    h%s <- g%s\n    %s[%d - t] = tanh(now) - h%s\n  }\n", n, n, n, n, n,
      a.dim[0] - 1, n);
  remember(w, t);
}

static void (*const statements[])(Writer *) = {
    same_shape, same_shape, permuted,    broadcast,  reduced,   product, window,    slice,        along_last,
    to_number,  loop,       layer,       repeated,   looked_up, joined,  two_parts, with_options, given_function,
    rearranged, derived,    changed_row, two_states, drawn,     opened,  opened,    until_enough};

/* ---- the whole ---- */

static void head(Writer *w) {
  put(w, "fn centred(x: float[N]) -> float[N] = x - mean(x)\n");
  put(w, "fn squares(x: float[N]) -> float = mean(i: x[i] ** 2)\n");
  put(w, "fn spread(x: float[N]) -> float {\n  m = mean(x)\n  return sqrt(mean(i: square(x[i] - m)) + 0.1)\n}\n");
  put(w, "fn parted(x: float[N]) -> (float[N], float) {\n  r = sqrt(mean(x * x) + 0.2)\n  return x / r, r\n}\n");
  put(w, "fn scaled(x: float[N], by: real = 0.5, turned: flag = false) -> float[N] {\n");
  put(w, "  if turned { y = [i < N] => x[N - 1 - i] } else { y = x }\n  return by * y\n}\n");
  put(w, "fn twice(f: fn, x: float[..S]) -> float[..S] = f(f(x) / 2)\n");
  put(w, "model Part(IN: int, OUT: int, f: fn, bias: flag = true) {\n  param weight: f32[OUT, IN] = 0.1\n");
  put(w, "  has_bias = bias\n  if has_bias { param bias: f32[OUT] = 0 }\n  fn forward(x: f32[IN]) -> f32[OUT] {\n");
  put(w, "    y = [o] => sum(i: weight[o, i] * x[i])\n    if has_bias { y = y + bias }\n    return f(y)\n  }\n}\n");
  put(w, "model Net(IN: int, D: int, DEPTH: int) {\n  first = Part(IN, D, %s%s)\n",
      ONE_OF(w, "tanh", "sigmoid", "sin"), ONE_OF(w, "", ", bias = false"));
  put(w, "  rest = Part(D, D, f = %s) * DEPTH\n", ONE_OF(w, "tanh", "softmax", "cos"));
  put(w,
      "  fn forward(x: f32[IN]) -> f32[D] {\n    h = first(x)\n    for p in rest { h = %s }\n    return h\n  }\n}\n",
      ONE_OF(w, "p(h)", "h + p(h)", "(h + p(h)) / 2"));
  put(w, "net = Net(%d, %d, %d)\n", w->palette[0], w->palette[1], 1 + below(w, 3));
}

/* What is returned: a loss over the last tensors, and for an entry those themselves, or derivatives by the arguments.
 */
static void results(Writer *w, int arguments, RandomProgramKind kind) {
  int from = w->n > 3 ? w->n - 3 : 0;
  put(w, "  loss = %s", kind == RANDOM_TRAINING ? "mean(square(net(x0)))" : "0.0");
  for (int i = from; i < w->n; i++)
    put(w, w->pool[i].rank ? " + mean(square(%s))" : " + square(%s)", w->pool[i].name);
  put(w, "\n  return loss");
  for (int i = 0; i < arguments && kind == RANDOM_GRADIENTS; i++) put(w, ", grad(loss, x%d)", i);
  for (int i = from; i < w->n && kind == RANDOM_ANY; i++) put(w, ", %s", w->pool[i].name);
  put(w, "\n}\n");
}

static void put_arguments(Writer *w, int arguments) {
  put(w, "(c: i32<3>");
  for (int i = 0; i < arguments; i++) {
    put(w, ", x%d: ", i);
    put_type(w, &w->program->tensors[i]);
  }
  if (w->open) put(w, ", z: f32[T, %d]", w->palette[2]);
  put(w, ") -> ");
}

static void entry(Writer *w, int arguments, RandomProgramKind kind) {
  put(w, w->draws ? "sample entry e" : "entry e");
  put_arguments(w, arguments);
  put(w, "(loss: f32");
  int from = w->n > 3 ? w->n - 3 : 0, parts = kind == RANDOM_GRADIENTS ? arguments : w->n - from;
  for (int i = 0; i < parts; i++) {
    put(w, ", d%d: ", i);
    put_type(w, kind == RANDOM_GRADIENTS ? &w->program->tensors[i] : &w->pool[from + i]);
  }
  put(w, w->open ? ") where T <= 16 {\n" : ") {\n");
}

/* Fields of each argument's name and type, and a training of the function `each` of one example. */
static void training(Writer *w, int arguments) {
  put(w, "norm = BatchNorm1d(%d)\ndata rows from npy(", w->palette[0]);
  for (int i = 0; i < arguments; i++) put(w, "x%d = \"x%d.npy\", ", i, i);
  put(w, "c = \"c.npy\") {\n  c: i32<3>\n");
  for (int i = 0; i < arguments; i++) {
    put(w, "  x%d: ", i);
    put_type(w, &w->program->tensors[i]);
    put(w, "\n");
  }
  put(w, "}\nfn of(c: i32<3>[B]) -> f32[B] = [b] => f32(c[b]) / 4\n");
  put(w, "train rows {\n  batch = 4%s\n  state pace: f32 = 1\n",
      ONE_OF(w, "", "\n  clip_norm = 1", "\n  accumulate = 2"));
  char call[64] = "";
  for (int i = 0; i < arguments; i++) sprintf(call + strlen(call), ", x%d", i);
  put(w, "  losses = each(c%s)\n  first = mean(losses)%s\n", call,
      ONE_OF(w, "", " + 0.1 * mean(of(c))", " * pace", " + mean(square(norm(x0)))"));
  put(w, "  minimize first over net.first with %s\n",
      ONE_OF(w, "Sgd(lr = 0.1)", "Momentum(lr = 0.1 / (1 + step), nesterov = true)"));
  put(w, "  second = mean(each(c%s)) / 2\n", call);
  const char *update = ONE_OF(w, "minimize second over net.rest with Momentum(lr = 0.05, weight_decay = 0.1)",
                              "minimize second over net.rest with Sgd(lr = 0.01), net.first with Momentum(mu = 0.5)");
  bool sometimes = below(w, 2);
  put(w, "  %s%s%s\n", sometimes ? "if step % 2 == 0 { " : "", update, sometimes ? " }" : "");
  put(w, "  if step %% 3 == 0 { pace <- 0.9 * pace }\n  report losses, pace\n}\n");
}

/* The statements come first, for the result's type stands before them. */
void random_program(RandomProgram *out, uint64_t seed, RandomProgramKind kind) {
  static const int dims[] = {3, 2, 5, 4, 7, 1, 8, 3};
  Buf body = {0};
  *out = (RandomProgram){0};
  Writer w = {.out = &out->text,
              .program = out,
              .state = seed * 0x9e3779b97f4a7c15u + 1,
              .kind = kind,
              .open = kind == RANDOM_ANY && seed % 3 == 0,
              .smooth = kind == RANDOM_GRADIENTS || kind == RANDOM_TRAINING};
  for (int i = 0; i < 3; i++) w.palette[i] = dims[below(&w, 8)];
  w.palette[0] += w.palette[0] < 3 ? 3 : 0;
  head(&w);
  int arguments = 2 + below(&w, 2);
  for (int i = 0; i < arguments; i++) {
    Tensor t = {.rank = i ? 1 + below(&w, 3) : 1};
    sprintf(t.name, "x%d", i);
    for (int k = 0; k < t.rank; k++) t.dim[k] = w.palette[below(&w, 3)];
    if (!i) t.dim[0] = w.palette[0];
    remember(&w, t);
  }
  w.out = &body;
  int count = 4 + below(&w, 9);
  for (int i = 0; i < count; i++) statements[below(&w, (int)(sizeof statements / sizeof *statements))](&w);
  results(&w, arguments, kind);
  w.out = &out->text;
  if (kind == RANDOM_TRAINING) {
    put(&w, "fn each");
    put_arguments(&w, arguments);
    put(&w, "f32 {\n%s", body.text);
    training(&w, arguments);
  } else {
    entry(&w, arguments, kind);
    put(&w, "%s", body.text);
  }
  buf_free(&body);
}
