/* read.c - the graph's text, read back; see text.h. Everything is built by the normalising builders, so a text that
 * was printed prints the same again. A wrong text gives the first fault with its line; what is built after it is
 * thrown away. */
#include "ir/scalar.h"
#include "ir/text.h"
#include "ir/table.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { UNKNOWN = DT_COUNT, MAX_DEPTH = 2000, MAX_RANK = 8, MAX_SLOTS = 32 };

static const int64_t LARGEST = (int64_t)1 << 53; /* number in a form */

typedef struct NamedDim {
  char *name;
  Dim *dim;
} NamedDim;

typedef struct Closing { /* a carry's operands, which may stand further down */
  Node *carry;
  int64_t init, next;
  int line;
} Closing;

typedef struct Reader {
  Ir *ir;
  Graph *g; /* NULL in expr_parse */
  const char *p, *end;
  int line, depth;
  bool failed;
  char *error;
  Vec(NamedDim) dims;
  Vec(Closing) closings;
  int rank, nred; /* of the comprehension being read */
  Dim *extents[MAX_SLOTS];
  Vec(Expr *) lets;
  const char *const *names; /* expr_parse's */
  Expr **values;
  int nnames;
} Reader;

/* ---- characters and words ---- */

static void fail(Reader *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void fail(Reader *r, const char *format, ...) {
  if (!r->failed) {
    va_list args;
    va_start(args, format);
    int n = r->g ? snprintf(r->error, 256, "line %d: ", r->line) : 0;
    vsnprintf(r->error + n, (size_t)(256 - n), format, args);
    va_end(args);
  }
  r->failed = true;
  r->p = r->end;
}

static void skip_spaces(Reader *r) {
  while (r->p < r->end && (*r->p == ' ' || *r->p == '\t' || *r->p == '\r')) r->p++;
}

static bool at(Reader *r, const char *token) {
  skip_spaces(r);
  size_t n = strlen(token);
  return (size_t)(r->end - r->p) >= n && !memcmp(r->p, token, n);
}

static bool accept(Reader *r, const char *token) {
  if (!at(r, token)) return false;
  r->p += strlen(token);
  return true;
}

static void expect(Reader *r, const char *token) {
  if (!accept(r, token)) fail(r, "expected '%s' before '%.12s'", token, r->p < r->end ? r->p : "the end");
}

static bool is_word(char c) { return isalnum((unsigned char)c) || c == '_' || c == '.'; }

/* A word of letters, digits, '_' and '.'; "" where there is none. Valid until the next call with the same buffer. */
static const char *word(Reader *r, char out[64]) {
  skip_spaces(r);
  size_t n = 0;
  while (r->p + n < r->end && is_word(r->p[n])) n++;
  if (n > 63) {
    fail(r, "a name that is too long");
    n = 0;
  }
  memcpy(out, r->p, n);
  out[n] = 0;
  r->p += n;
  return out;
}

static int64_t integer(Reader *r) {
  skip_spaces(r);
  int64_t v = 0;
  const char *start = r->p;
  for (; r->p < r->end && isdigit((unsigned char)*r->p); r->p++)
    if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, *r->p - '0', &v)) {
      fail(r, "a number that does not fit 64 bits");
      return 0;
    }
  if (r->p == start) fail(r, "expected a number before '%.12s'", r->p < r->end ? r->p : "the end");
  return v;
}

static DType dtype(Reader *r) {
  char name[64];
  DType t = DT_f32;
  if (!dtype_from_name(word(r, name), &t)) fail(r, "'%s' is no element type", name);
  return t;
}

/* A name of characters other than spaces. */
static Str name_of(Reader *r) {
  skip_spaces(r);
  size_t n = 0;
  while (r->p + n < r->end && (unsigned char)r->p[n] > ' ') n++;
  if (n == 0) fail(r, "expected a name");
  Str s = str_intern(r->ir->strings, r->p, r->failed ? 0 : n);
  if (!r->failed) r->p += n;
  return s;
}

/* The rest of the line without the spaces around it; NULL if there is none. */
static Str rest_of_line(Reader *r) {
  skip_spaces(r);
  const char *start = r->p, *end = r->p;
  for (; r->p < r->end && *r->p != '\n'; r->p++)
    if ((unsigned char)*r->p > ' ') end = r->p + 1;
  return end > start ? str_intern(r->ir->strings, start, (size_t)(end - start)) : NULL;
}

static Node *node_number(Reader *r) {
  expect(r, "%");
  int64_t id = integer(r);
  if (!r->failed && r->g && id < r->g->nodes.n) return r->g->nodes.at[id];
  fail(r, "there is no node %%%" PRId64 " yet", id);
  return NULL;
}

/* ---- forms:  form = term { (+|-) term };  term = factor { (*|//) factor } ---- */

/* A number that has no type yet is `literal`. */
typedef struct Value {
  Expr *e; /* NULL: a literal */
  double real;
  int64_t integer;
} Value;

static Form *form(Reader *r);
static Value value(Reader *r, int expected);
static Expr *typed(Reader *r, Value v, int type);

static Form *index_form(Reader *r, int slot) {
  if (slot < 0 || slot >= r->rank + r->nred || !r->extents[slot]) {
    fail(r, "an index that the comprehension does not have");
    return form_const(r->ir, 0);
  }
  return form_var(r->ir, var_get(r->ir, slot, r->extents[slot]));
}

/* i3, r0, t12: the number after the letter; -1 if the word is not of that shape. */
static int numbered(const char *w, char letter) {
  if (w[0] != letter || !w[1] || strlen(w) > 8) return -1;
  for (const char *s = w + 1; *s; s++)
    if (!isdigit((unsigned char)*s)) return -1;
  return atoi(w + 1);
}

static Form *data_form(Reader *r) {
  Expr *e = typed(r, value(r, UNKNOWN), DT_i64);
  if (!r->failed && !dtype_is_int(e->dtype)) fail(r, "an index of type %s", dtype_name(e->dtype));
  bool large = e->kind == EXPR_CONST && (e->integer > LARGEST || e->integer < -LARGEST);
  if (!r->failed && large) fail(r, "an index form with a number above 2^53");
  return r->failed ? form_const(r->ir, 0) : form_data(r->ir, e);
}

static Form *form_word(Reader *r) {
  const char *start = r->p;
  char w[64];
  word(r, w);
  if (numbered(w, 'i') >= 0) return index_form(r, numbered(w, 'i') < r->rank ? numbered(w, 'i') : -1);
  if (numbered(w, 'r') >= 0) return index_form(r, r->rank + numbered(w, 'r'));
  for (int i = 0; i < r->dims.n; i++)
    if (!strcmp(r->dims.at[i].name, w)) return form_dim(r->ir, r->dims.at[i].dim);
  r->p = start;
  return data_form(r);
}

static Form *factor(Reader *r) {
  Form *f = form_const(r->ir, 0);
  if (r->failed) return f;
  if (++r->depth > MAX_DEPTH) fail(r, "an expression that is nested too deeply");
  skip_spaces(r);
  if (accept(r, "(")) {
    f = form(r);
    expect(r, ")");
  } else if (accept(r, "-")) {
    f = form_scale(r->ir, factor(r), -1);
  } else if (r->p < r->end && isdigit((unsigned char)*r->p)) {
    int64_t v = integer(r);
    if (v > LARGEST) fail(r, "an index form with a number above 2^53");
    f = form_const(r->ir, r->failed ? 0 : v);
  } else if (at(r, "%")) {
    f = data_form(r);
  } else {
    f = form_word(r);
  }
  r->depth--;
  return f;
}

/* Whether every number in f is small, so that a product of two such forms keeps far from 64 bits. */
static bool is_small(const Form *f) {
  bool small = f->c0 < INT32_MAX && f->c0 > INT32_MIN;
  for (int i = 0; i < f->n; i++) small &= f->terms[i].coefficient < INT32_MAX && f->terms[i].coefficient > INT32_MIN;
  return small;
}

static Form *product(Reader *r, Form *a, Form *b) {
  int64_t k;
  bool small = is_small(a) && is_small(b);
  if (small && form_is_const(a, &k)) return form_scale(r->ir, b, k);
  if (small && form_is_const(b, &k)) return form_scale(r->ir, a, k);
  Dim *x = form_as_dim(r->ir, a), *y = form_as_dim(r->ir, b);
  Dim *d = small && x && y ? dim_mul(r->ir, x, y) : NULL;
  if (d && !dim_overflowed(d)) return form_dim(r->ir, d);
  fail(r, "a product that is not an index form");
  return a;
}

static Form *quotient(Reader *r, Form *a, Form *b) {
  int64_t k;
  if (form_is_const(b, &k) && k > 0) return form_floordiv(r->ir, a, k);
  Dim *x = form_as_dim(r->ir, a), *y = form_as_dim(r->ir, b);
  Dim *d = x && y && !dim_is_const(y, NULL) ? dim_floordiv(r->ir, x, y) : NULL;
  if (d && !dim_overflowed(d)) return form_dim(r->ir, d);
  fail(r, "a division that is not an index form");
  return a;
}

static Form *term(Reader *r) {
  Form *f = factor(r);
  while (!r->failed) {
    if (accept(r, "//")) f = quotient(r, f, factor(r));
    else if (accept(r, "*")) f = product(r, f, factor(r));
    else break;
  }
  return f;
}

static Form *form(Reader *r) {
  Form *f = term(r);
  while (!r->failed) {
    if (accept(r, "+")) f = form_add(r->ir, f, term(r));
    else if (!at(r, "->") && accept(r, "-")) f = form_sub(r->ir, f, term(r));
    else break;
  }
  return f;
}

static Dim *dim(Reader *r) {
  Form *f = form(r);
  Dim *d = r->failed ? NULL : form_as_dim(r->ir, f);
  if (!d) fail(r, "an extent must be a number or an expression of open dimensions");
  return d ? d : dim_const(r->ir, 1);
}

static int forms(Reader *r, Form **out, int max) {
  int n = 0;
  expect(r, "[");
  while (!r->failed && !accept(r, "]")) {
    if (n) expect(r, ",");
    if (n == max) fail(r, "too many indices");
    else out[n++] = form(r);
  }
  return n;
}

/* ---- expressions ---- */

static Expr *nothing(Reader *r) { return expr_int(r->ir, DT_f32, 0); } /* after a fault */

static Expr *typed(Reader *r, Value v, int type) {
  if (v.e) return v.e;
  DType t = type == UNKNOWN ? DT_f32 : (DType)type;
  return dtype_is_float(t) ? expr_real(r->ir, t, v.real) : expr_int(r->ir, t, v.integer);
}

static Value number_value(Reader *r) {
  char *end;
  const char *start = r->p;
  Value v = {.real = strtod(start, &end)};
  if (end == start || end > r->end) {
    fail(r, "expected an expression before '%.12s'", start < r->end ? start : "the end");
    return (Value){.e = nothing(r)};
  }
  r->p = end;
  bool whole = true;
  for (const char *s = start; s < end; s++) whole &= isdigit((unsigned char)*s) || *s == '-';
  v.integer = whole ? strtoll(start, NULL, 10) : dtype_truncate(DT_i64, v.real);
  if (accept(r, ":")) v.e = typed(r, v, (int)dtype(r));
  return v;
}

static Expr *read_of_node(Reader *r) {
  Node *n = node_number(r);
  Form *at_forms[MAX_RANK];
  int rank = r->failed ? 0 : forms(r, at_forms, MAX_RANK);
  if (!r->failed && rank != n->rank) fail(r, "a read of %%%d with %d indices instead of %d", n->id, rank, n->rank);
  return r->failed ? nothing(r) : expr_read(r->ir, n, at_forms);
}

static Expr *index_value(Reader *r, const char *w) {
  Form *f = form(r);
  if (r->failed) return nothing(r);
  if (!strcmp(w, "ge0")) return expr_ge0(r->ir, f);
  if (!strcmp(w, "eq0")) return expr_eq0(r->ir, f);
  return expr_index(r->ir, strcmp(w, "i32") ? DT_i64 : DT_i32, f);
}

/* `cast(f32, x)`; in a derivative's text `cast(x)`, to the type of a. */
static Expr *cast_value(Reader *r) {
  const char *start = r->p;
  char w[64];
  DType t;
  if (dtype_from_name(word(r, w), &t)) {
    expect(r, ",");
  } else {
    r->p = start;
    int a = -1;
    for (int i = 0; i < r->nnames; i++)
      if (!strcmp(r->names[i], "a")) a = i;
    if (a < 0) fail(r, "a cast without a type");
    t = a < 0 ? DT_f32 : r->values[a]->dtype;
  }
  Expr *e = typed(r, value(r, UNKNOWN), UNKNOWN);
  return r->failed ? nothing(r) : expr_cast(r->ir, t, e);
}

static Expr *random_value(Reader *r) {
  Expr *args[3];
  DType t = dtype(r);
  expect(r, ",");
  skip_spaces(r);
  char *end;
  uint64_t key = strtoull(r->p, &end, 16);
  if (end > r->end || end == r->p) fail(r, "expected a key");
  else r->p = end;
  expect(r, ",");
  for (int i = 0; i < 3; i++) {
    args[i] = typed(r, value(r, DT_i64), DT_i64);
    expect(r, ",");
  }
  Form *element = form(r);
  if (!r->failed && !dtype_is_float(t)) fail(r, "a draw of type %s", dtype_name(t));
  for (int i = 0; i < 3 && !r->failed; i++)
    if (!dtype_is_int(args[i]->dtype)) fail(r, "a draw whose seed, step or place is no integer");
  return r->failed ? nothing(r) : expr_random(r->ir, t, key, args[0], args[1], args[2], element);
}

static Expr *op_value(Reader *r, ScalarOp op, int expected) {
  const ScalarRow *row = &scalar_rows[op];
  bool outside =
      row->rule == RULE_FLOAT || row->rule == RULE_NUM || row->rule == RULE_INT || row->rule == RULE_SELECT;
  int first = row->rule == RULE_SELECT, alike = row->rule == RULE_BOOL ? DT_bool : outside ? expected : UNKNOWN;
  Value v[3];
  for (int i = 0; i < row->arity; i++) {
    if (i) expect(r, ",");
    v[i] = value(r, i < first ? DT_bool : alike);
  }
  for (int i = first; i < row->arity; i++)
    if (v[i].e) alike = (int)v[i].e->dtype;
  Expr *args[3];
  DType types[3] = {0}, result;
  for (int i = 0; i < row->arity; i++) {
    args[i] = typed(r, v[i], i < first ? DT_bool : alike);
    types[i] = args[i]->dtype;
  }
  if (!r->failed && !scalar_type(op, types, &result)) fail(r, "%s of types that do not fit", row->name);
  return r->failed ? nothing(r) : expr_op(r->ir, op, args);
}

static Expr *call(Reader *r, const char *w, int expected) {
  ScalarOp op;
  Expr *e;
  bool index = !strcmp(w, "i32") || !strcmp(w, "i64") || !strcmp(w, "ge0") || !strcmp(w, "eq0");
  if (index) e = index_value(r, w);
  else if (!strcmp(w, "cast")) e = cast_value(r);
  else if (!strcmp(w, "random")) e = random_value(r);
  else if (scalar_from_name(w, &op)) e = op_value(r, op, expected);
  else {
    fail(r, "'%s' is no scalar operation", w);
    return nothing(r);
  }
  expect(r, ")");
  return e;
}

static Value word_value(Reader *r, int expected) {
  char w[64];
  const char *start = r->p;
  word(r, w);
  for (int i = 0; i < r->nnames; i++)
    if (!strcmp(r->names[i], w)) return (Value){.e = r->values[i]};
  int let = numbered(w, 't');
  if (let >= 0 && let < r->lets.n) return (Value){.e = r->lets.at[let]};
  if (!strcmp(w, "true") || !strcmp(w, "false")) return (Value){.e = expr_int(r->ir, DT_bool, w[0] == 't')};
  if (!strcmp(w, "inf") || !strcmp(w, "nan")) {
    r->p = start;
    return number_value(r);
  }
  if (w[0] && accept(r, "(")) return (Value){.e = call(r, w, expected)};
  fail(r, "'%s' means nothing here", w);
  return (Value){.e = nothing(r)};
}

static Value value(Reader *r, int expected) {
  if (r->failed) return (Value){.e = nothing(r)};
  if (++r->depth > MAX_DEPTH) fail(r, "an expression that is nested too deeply");
  skip_spaces(r);
  Value v;
  if (at(r, "%")) v = (Value){.e = read_of_node(r)};
  else if (r->p < r->end && isalpha((unsigned char)*r->p)) v = word_value(r, expected);
  else v = number_value(r);
  r->depth--;
  return v;
}

/* { t0 = expression ; } expression */
static Expr *body(Reader *r, int expected) {
  r->lets.n = 0;
  while (!r->failed) {
    const char *start = r->p;
    char w[64];
    if (numbered(word(r, w), 't') != r->lets.n || !accept(r, "=")) {
      r->p = start;
      break;
    }
    Expr *e = typed(r, value(r, UNKNOWN), UNKNOWN);
    vec_push(r->ir->arena, &r->lets, e);
    expect(r, ";");
  }
  return typed(r, value(r, expected), expected);
}

Expr *expr_parse(Ir *ir, const char *text, const char *const *names, Expr **values, int n, char error[256]) {
  Reader r = {.ir = ir, .p = text, .end = text + strlen(text), .names = names, .values = values, .nnames = n};
  r.error = error;
  int type = n ? (int)values[0]->dtype : UNKNOWN;
  for (int i = 0; i < n; i++)
    if (!strcmp(names[i], "g")) type = (int)values[i]->dtype;
  Expr *e = body(&r, type);
  skip_spaces(&r);
  if (r.p < r.end) fail(&r, "unexpected '%.12s'", r.p);
  return r.failed ? NULL : e;
}

/* ---- nodes ---- */

typedef struct Type {
  DType dtype;
  int rank;
  Dim *shape[MAX_RANK];
} Type;

static Type type(Reader *r) {
  Type t = {.dtype = dtype(r)};
  expect(r, "[");
  while (!r->failed && !accept(r, "]")) {
    if (t.rank) expect(r, ",");
    if (t.rank == MAX_RANK) fail(r, "a tensor of more than %d dimensions", MAX_RANK);
    else t.shape[t.rank++] = dim(r);
  }
  return t;
}

/* `r0 < 64, r1 < 3`: extents of the slots from `first` on. */
static int extents(Reader *r, int first) {
  int n = 0;
  while (!r->failed) {
    char w[64];
    if (numbered(word(r, w), 'r') != n) fail(r, "expected r%d", n);
    expect(r, "<");
    if (first + n == MAX_SLOTS) fail(r, "too many indices");
    else r->extents[first + n] = dim(r), n++;
    if (!accept(r, ",")) break;
  }
  return n;
}

static Reducer reducer(Reader *r) {
  const char *start = r->p;
  char w[64], first[64];
  word(r, w);
  for (int i = 1; i < RED_COUNT && w[0]; i++) {
    if (strcmp(w, reducer_name((Reducer)i))) continue;
    const char *after = r->p;
    if (accept(r, "(") && !strcmp(word(r, first), "r0") && at(r, "<")) { /* max(r0 < ..., but not max(a, b) */
      r->p = after;
      return (Reducer)i;
    }
  }
  r->p = start;
  return RED_none;
}

static bool body_fits(Reader *r, Reducer red, const Expr *e, DType t) {
  bool position = red == RED_argmax || red == RED_argmin;
  if (position ? t == DT_i32 : e->dtype == t) return true;
  fail(r, "a body of type %s for a result of type %s", dtype_name(e->dtype), dtype_name(t));
  return false;
}

/* `[i0, i1]`: the result's indices, before a body that uses them. */
static void result_indices(Reader *r, const Type *t) {
  expect(r, "[");
  for (int i = 0; i < t->rank && !r->failed; i++) {
    char w[64];
    if (i) expect(r, ",");
    if (numbered(word(r, w), 'i') != i) fail(r, "expected i%d", i);
    r->extents[i] = t->shape[i];
  }
  expect(r, "]");
  r->rank = t->rank;
  r->nred = 0;
}

static void comp(Reader *r) {
  Type t = type(r);
  Var *vars[MAX_SLOTS];
  int64_t stream = accept(r, "stream ") ? integer(r) : 0;
  if (stream < 0 || stream > INT32_MAX) fail(r, "a stream has a positive number");
  result_indices(r, &t);
  Reducer red = reducer(r);
  if (red) {
    expect(r, "(");
    r->nred = extents(r, t.rank);
    expect(r, ":");
  }
  bool position = red == RED_argmax || red == RED_argmin;
  Expr *e = body(r, position ? UNKNOWN : (int)t.dtype);
  if (red) expect(r, ")");
  if (r->failed || !body_fits(r, red, e, t.dtype)) return;
  for (int i = 0; i < t.rank + r->nred; i++) vars[i] = var_get(r->ir, i, r->extents[i]);
  Node *n = graph_comp(r->g, t.rank, vars, red, r->nred, vars + t.rank, e, (Span){0});
  n->stream = (int)stream;
}

static void sort(Reader *r) {
  Type t = type(r);
  Var *vars[MAX_SLOTS];
  char w[64];
  result_indices(r, &t);
  word(r, w);
  bool descending = !strcmp(w, "descending");
  if (!descending && strcmp(w, "ascending")) fail(r, "expected ascending or descending");
  if (!r->failed && (t.rank < 1 || t.dtype != DT_i32)) fail(r, "a sort gives positions, i32, along a dimension");
  Expr *key = body(r, UNKNOWN);
  if (r->failed) return;
  for (int i = 0; i < t.rank; i++) vars[i] = var_get(r->ir, i, r->extents[i]);
  graph_sort(r->g, t.rank, vars, descending, key, (Span){0});
}

static void scatter(Reader *r) {
  Type t = type(r);
  Form *at_forms[MAX_RANK];
  Var *vars[MAX_SLOTS];
  r->rank = 0;
  expect(r, "(");
  r->nred = extents(r, 0);
  expect(r, ")");
  int n = forms(r, at_forms, MAX_RANK);
  if (!r->failed && n != t.rank) fail(r, "a scatter with %d indices instead of %d", n, t.rank);
  bool max = accept(r, "max=");
  if (!max) expect(r, "+=");
  if (!r->failed && max && t.dtype != DT_i32) fail(r, "a scatter of the largest gives i32");
  Expr *e = body(r, (int)t.dtype);
  if (r->failed || !body_fits(r, max ? RED_max : RED_sum, e, t.dtype)) return;
  for (int i = 0; i < r->nred; i++) vars[i] = var_get(r->ir, i, r->extents[i]);
  if (max) graph_scatter_max(r->g, t.rank, t.shape, r->nred, vars, at_forms, e, (Span){0});
  else graph_scatter(r->g, t.dtype, t.rank, t.shape, r->nred, vars, at_forms, e, (Span){0});
}

static void constant(Reader *r) {
  Type t = type(r);
  int64_t count = 1;
  for (int i = 0; i < t.rank && !r->failed; i++) {
    int64_t extent;
    if (!dim_is_const(t.shape[i], &extent) || extent < 0) fail(r, "a constant's extents are numbers");
    else if (__builtin_mul_overflow(count, extent, &count) || count > INT32_MAX)
      fail(r, "a constant that is too large");
  }
  expect(r, "{");
  if (r->failed || count > r->end - r->p) {
    fail(r, "a constant with too few numbers");
    return;
  }
  void *data = arena_alloc(r->ir->arena, (size_t)count * (size_t)dtype_bytes(t.dtype));
  for (int64_t i = 0; i < count && !r->failed; i++) {
    if (i) expect(r, ",");
    Expr *e = typed(r, value(r, (int)t.dtype), (int)t.dtype);
    if (r->failed || e->kind != EXPR_CONST || e->dtype != t.dtype) fail(r, "a constant of other things than numbers");
    else if (dtype_is_float(t.dtype)) dtype_store_real(t.dtype, data, i, e->real);
    else dtype_store_int(t.dtype, data, i, e->integer);
  }
  expect(r, "}");
  if (!r->failed) graph_const(r->g, t.dtype, t.rank, t.shape, data, (Span){0});
}

static void source(Reader *r, NodeKind kind) {
  Str name = name_of(r);
  expect(r, ":");
  Type t = type(r);
  if (r->failed) return;
  if (kind == NODE_input) graph_input(r->g, name, t.dtype, t.rank, t.shape, (Span){0});
  else if (kind == NODE_state) graph_state(r->g, name, t.dtype, t.rank, t.shape, (Span){0});
  else graph_param(r->g, name, t.dtype, t.rank, t.shape, (Span){0})->trained = !accept(r, "frozen");
}

static void store(Reader *r) {
  Str name = name_of(r);
  expect(r, "=");
  Node *v = node_number(r), *target = NULL;
  for (int i = 0; i < r->g->nodes.n; i++) {
    Node *n = r->g->nodes.at[i];
    if ((n->kind == NODE_param || n->kind == NODE_state) && n->name == name) target = n;
  }
  if (!target) fail(r, "there is no param or state %s", name);
  else if (!r->failed && !node_same_type(v, target)) fail(r, "a store of another type or shape than %s", name);
  else if (!r->failed) graph_store(r->g, target, v, (Span){0});
}

static void carry(Reader *r) {
  Type t = type(r);
  Closing c = {.line = r->line};
  expect(r, "axis");
  int64_t axis = integer(r);
  bool down = accept(r, "down");
  if (!down) expect(r, "up");
  bool counts = accept(r, "counts");
  expect(r, "init");
  expect(r, "%");
  c.init = integer(r);
  expect(r, "next");
  expect(r, "%");
  c.next = integer(r);
  if (!r->failed && axis >= t.rank) fail(r, "there is no axis %d", (int)axis);
  if (r->failed) return;
  c.carry = graph_carry(r->g, t.dtype, t.rank, t.shape, (int)axis, down, (Span){0});
  c.carry->counts = counts;
  vec_push(r->ir->arena, &r->closings, c);
}

static void close_carries(Reader *r) {
  for (int i = 0; i < r->closings.n && !r->failed; i++) {
    const Closing *c = &r->closings.at[i];
    r->line = c->line;
    if (c->init >= r->g->nodes.n || c->next >= r->g->nodes.n) {
      fail(r, "an operand of the carry is not in the graph");
      return;
    }
    graph_close(r->g, c->carry, r->g->nodes.at[c->init], r->g->nodes.at[c->next]);
    const char *fault = carry_fault(r->g, c->carry);
    if (fault) fail(r, "the carry %s", fault);
  }
}

static void grad(Reader *r) {
  Node *scalar = node_number(r);
  expect(r, "by");
  Node *variable = node_number(r);
  if (!r->failed) graph_grad(r->g, scalar, variable, (Span){0});
}

static void jvp(Reader *r) {
  Node *value = node_number(r);
  expect(r, "by");
  Node *variable = node_number(r);
  expect(r, "along");
  Node *direction = node_number(r);
  if (!r->failed) graph_jvp(r->g, value, variable, direction, (Span){0});
}

static void adjoint(Reader *r) {
  Type t = type(r);
  if (!r->failed) graph_adjoint(r->g, t.dtype, t.rank, t.shape, (Span){0});
}

/* %value with %adjoint (%variable: %derivative, ...) */
static void custom(Reader *r) {
  Node *value = node_number(r), *variables[MAX_SLOTS], *derivatives[MAX_SLOTS];
  int n = 0;
  expect(r, "with");
  Node *seed = node_number(r);
  expect(r, "(");
  do {
    if (n == MAX_SLOTS) fail(r, "too many variables");
    if (r->failed) return;
    variables[n] = node_number(r);
    expect(r, ":");
    derivatives[n++] = node_number(r);
  } while (accept(r, ","));
  expect(r, ")");
  if (!r->failed) graph_custom(r->g, value, seed, n, variables, derivatives, (Span){0});
}

static void node(Reader *r) {
  int64_t id = integer(r);
  if (!r->failed && id != r->g->nodes.n) fail(r, "expected node %%%d", r->g->nodes.n);
  expect(r, "=");
  char w[64];
  word(r, w);
  if (!strcmp(w, "input")) source(r, NODE_input);
  else if (!strcmp(w, "param")) source(r, NODE_param);
  else if (!strcmp(w, "state")) source(r, NODE_state);
  else if (!strcmp(w, "const")) constant(r);
  else if (!strcmp(w, "comp")) comp(r);
  else if (!strcmp(w, "scatter")) scatter(r);
  else if (!strcmp(w, "carry")) carry(r);
  else if (!strcmp(w, "sort")) sort(r);
  else if (!strcmp(w, "grad")) grad(r);
  else if (!strcmp(w, "jvp")) jvp(r);
  else if (!strcmp(w, "adjoint")) adjoint(r);
  else if (!strcmp(w, "custom")) custom(r);
  else if (!strcmp(w, "store")) store(r);
  else fail(r, "'%s' is no kind of node", w);
  if (r->failed || !accept(r, "#")) return;
  Str name = rest_of_line(r);
  Node *n = r->g->nodes.at[id];
  if (n->body || n->kind == NODE_const || n->kind == NODE_carry) n->name = name; /* else a comment */
}

static void open_dim(Reader *r) {
  char w[64];
  word(r, w);
  expect(r, ">=");
  bool negative = accept(r, "-");
  int64_t lower = integer(r);
  int64_t upper = accept(r, "<=") ? integer(r) : INT64_MAX;
  if (r->failed) return;
  Dim *d = dim_symbol(r->ir, str_internz(r->ir->strings, w), negative ? -lower : lower);
  dim_bound(r->ir, dim_as_symbol(d), dim_as_symbol(d)->lower, upper);
  vec_push(r->ir->arena, &r->dims, (NamedDim){arena_strndup(r->ir->arena, w, strlen(w)), d});
  if (accept(r, "batch")) r->g->batch = dim_as_symbol(d);
}

static void line(Reader *r) {
  if (accept(r, "%")) node(r);
  else if (accept(r, "dim ")) open_dim(r);
  else if (accept(r, "products ")) r->g->products = dtype(r);
  else if (accept(r, "graph ")) {
    Str name = rest_of_line(r);
    r->g->name = name && strcmp(name, "_") ? name : NULL;
  } else if (accept(r, "output ")) {
    Str name = name_of(r);
    expect(r, "=");
    Node *n = node_number(r);
    if (!r->failed) graph_output(r->g, name, n);
  } else if (accept(r, "#")) rest_of_line(r);
  skip_spaces(r);
  if (r->p < r->end && *r->p != '\n') fail(r, "unexpected '%.12s'", r->p);
}

Graph *graph_read(Ir *ir, const char *text, size_t n, char error[256]) {
  const char *copy = arena_strndup(ir->arena, text, n);
  Reader r = {.ir = ir, .g = graph_new(ir, NULL), .p = copy, .end = copy + n, .line = 1, .error = error};
  if (n && memchr(copy, 0, n)) fail(&r, "a text with a zero byte");
  while (r.p < r.end) {
    line(&r);
    if (r.p < r.end) r.p++;
    r.line++;
  }
  close_carries(&r);
  if (!r.failed) graph_find_scans(r.g);
  return r.failed ? NULL : r.g;
}
