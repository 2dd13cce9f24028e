/* text.c - lines, index forms and scalar expressions at a position. See text.h. */
#include "codegen/cuda/lanes.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "ir/scalar.h"

enum { SHORT_LOOP = 16 };

/* ---- lines and scopes ---- */

static void line(Text *t, const char *format, va_list args) {
  for (int i = 0; i < t->depth; i++) buf_puts(&t->out, "  ");
  buf_vprintf(&t->out, format, args);
}

void text_line(Text *t, const char *format, ...) {
  va_list args;
  va_start(args, format);
  line(t, format, args);
  va_end(args);
  buf_puts(&t->out, "\n");
}

void text_open(Text *t, const char *format, ...) {
  va_list args;
  va_start(args, format);
  line(t, format, args);
  va_end(args);
  buf_puts(&t->out, " {\n");
  if (++t->depth == SCOPES) ice("loops of kernel %s are too deep", t->k->symbol);
  t->scope[t->depth].bound = t->bound.n;
  t->scope[t->depth].memo = t->memo.n;
  t->scope[t->depth].guards = t->guards.n;
}

void text_close(Text *t) {
  t->bound.n = t->scope[t->depth].bound;
  t->memo.n = t->scope[t->depth].memo;
  t->guards.n = t->scope[t->depth].guards;
  t->depth--;
  text_line(t, "}");
}

const char *text_printf(Text *t, const char *format, ...) {
  Buf b = {0};
  va_list args;
  va_start(args, format);
  buf_vprintf(&b, format, args);
  va_end(args);
  const char *text = arena_strndup(t->arena, b.text, b.n);
  buf_free(&b);
  return text;
}

const char *text_name(Text *t, char letter) { return text_printf(t, "%c%d", letter, t->names++); }

void text_bind(Text *t, const Var *v, const char *name) { vec_push(t->arena, &t->bound, (Bound){v, name}); }

static const char *name_of(const Text *t, const Var *v) {
  for (int i = t->bound.n - 1; i >= 0; i--)
    if (t->bound.at[i].var == v) return t->bound.at[i].name;
  ice("an index of slot %d is used outside its loop", v->slot);
}

/* ---- types ---- */

bool type_is_narrow(DType t) { return t == DT_f16 || t == DT_bf16; }

DType type_of_sums(DType t) { return type_is_narrow(t) ? DT_f32 : t; }

const char *type_name(DType t) {
  switch (type_of_sums(t)) {
  case DT_f64: return "double";
  case DT_f32: return "float";
  case DT_i32: return "int";
  default: return dtype_name(t);
  }
}

const char *type_in_memory(DType t) { return type_is_narrow(t) ? "u16" : t == DT_bool ? "u8" : type_name(t); }

static const char *suffix(DType t) { return dtype_name(type_of_sums(t)); }

/* ---- numbers ---- */

static const char *marked(Text *t, DType type, int64_t bits) {
  vec_push(t->arena, &t->numbers, (Number){type, bits});
  return text_printf(t, "%c%d%c", MARK, t->numbers.n - 1, MARK_END);
}

const char *text_integer(Text *t, DType type, int64_t v) { return marked(t, type, v); }

static const char *infinite_number(bool wide, double v) {
  if (wide)
    return isnan(v) ? "nn_double_of(0x7ff8000000000000u)"
           : v > 0  ? "nn_double_of(0x7ff0000000000000u)"
                    : "nn_double_of(0xfff0000000000000u)";
  return isnan(v) ? "nn_float_of(0x7fc00000u)" : v > 0 ? "nn_float_of(0x7f800000u)" : "nn_float_of(0xff800000u)";
}

static const char *float_number(Text *t, DType type, double v) {
  bool wide = type == DT_f64;
  if (!isfinite(v)) return infinite_number(wide, v);
  if (v == 0) return text_printf(t, wide ? "%a" : "%af", v);
  double f64 = v;
  float f32 = (float)v;
  int64_t bits = 0;
  memcpy(&bits, wide ? (const void *)&f64 : (const void *)&f32, wide ? sizeof f64 : sizeof f32);
  return marked(t, wide ? DT_f64 : DT_f32, bits);
}

const char *text_number(Text *t, DType type, double real, int64_t integer) {
  if (dtype_is_float(type)) return float_number(t, type, type == DT_f64 ? real : (float)real);
  if (type == DT_bool) return integer ? "true" : "false";
  if (integer == 0) return "0";
  return text_integer(t, type == DT_i64 ? DT_i64 : DT_i32, integer);
}

const char *text_rounded(Text *t, DType type, const char *v) {
  return type_is_narrow(type) ? text_printf(t, "nn_rounded_%s(%s)", dtype_name(type), v) : v;
}

const char *text_stored(Text *t, DType type, const char *v) {
  if (type_is_narrow(type)) return text_printf(t, "nn_narrow_%s(%s)", dtype_name(type), v);
  return type == DT_bool ? text_printf(t, "(u8)%s", v) : v;
}

const char *text_loaded(Text *t, DType type, const char *place) {
  if (type_is_narrow(type)) return text_printf(t, "nn_widen_%s(%s)", dtype_name(type), place);
  return type == DT_bool ? text_printf(t, "%s != 0", place) : place;
}

/* ---- what was written before ---- */

static const char *find_memo(const Text *t, const void *key, const Guard *guard) {
  for (;; guard = guard->outer) {
    for (int i = t->memo.n - 1; i >= 0; i--)
      if (t->memo.at[i].key == key && t->memo.at[i].guard == guard) return t->memo.at[i].name;
    if (!guard) return NULL;
  }
}

static const char *keep(Text *t, const void *key, const Guard *guard, const char *name) {
  vec_push(t->arena, &t->memo, (Memo){key, guard, name});
  return name;
}

void text_known(Text *t, Expr *x, const char *name) { keep(t, x, NULL, name); }

bool text_is_known(const Text *t, const Expr *x) { return find_memo(t, x, NULL) != NULL; }

/* A constant of the text. */
static const char *define(Text *t, const char *type, const char *value) {
  const char *name = text_name(t, 'v');
  text_line(t, "const %s %s = %s;", type, name, value);
  return name;
}

/* ---- dimensions ---- */

static const char *dim_atom_text(Text *t, const DimAtom *a) {
  for (int i = 0; i < t->s->dims.n; i++)
    if (t->s->dims.at[i] == a) return text_printf(t, "d%d", i);
  if (a->name) ice("the dimension %s is not one of the kernel's", a->name);
  return text_printf(t, "(%s / %s)", text_dim(t, a->a), text_dim(t, a->b)); /* sizes: neither is negative */
}

const char *text_dim(Text *t, const Dim *d) {
  int64_t c;
  if (dim_is_const(d, &c)) return text_integer(t, c <= INT32_MAX ? DT_i32 : DT_i64, c);
  const char *sum = NULL;
  for (int i = 0; i < d->n; i++) {
    const char *term = text_integer(t, DT_i64, d->terms[i].coefficient);
    for (int j = 0; j < d->terms[i].n; j++)
      term = text_printf(t, "%s * %s", term, dim_atom_text(t, d->terms[i].atoms[j]));
    sum = sum ? text_printf(t, "%s + %s", sum, term) : term;
  }
  return text_printf(t, "(%s)", sum);
}

const char *text_index_type(const Dim *extent) {
  int64_t c;
  return dim_is_const(extent, &c) && c <= INT32_MAX / 2 ? "int" : "i64"; /* sums of two are safe */
}

const char *text_product(Text *t, int n, Dim *const *extent) {
  Dim *d = dim_const(t->ir, 1);
  for (int i = 0; i < n; i++) d = dim_mul(t->ir, d, extent[i]);
  return text_dim(t, d);
}

/* ---- index forms ---- */

static const char *guarded_expr(Text *t, Expr *x, Guard *guard);
static const char *guarded_form(Text *t, Form *f, Guard *guard);

static Range atom_range(Text *t, const Atom *a) {
  int64_t c;
  switch (a->kind) {
  case ATOM_VAR: return dim_is_const(a->var->extent, &c) ? (Range){true, true, 0, c} : (Range){0};
  case ATOM_DIV: return form_range(t->ir, a->form);
  case ATOM_DATA: return expr_range(t->ir, a->data);
  case ATOM_DIM: return (Range){0};
  }
  ice("an unknown atom");
}

/* Whether the form, and each part of its sum, is an int. */
static bool is_small(Text *t, const Form *f) {
  double most = fabs((double)f->c0);
  for (int i = 0; i < f->n; i++) {
    Range r = atom_range(t, f->terms[i].atom);
    if (!r.has_lower || !r.has_upper) return false;
    most += fabs((double)f->terms[i].coefficient) * fmax(fabs((double)r.lower), fabs((double)r.upper));
  }
  return most < 0x1p31;
}

static const char *quotient(Text *t, const Atom *a, Guard *guard) {
  const char *x = guarded_form(t, a->form, guard);
  bool small = is_small(t, a->form);
  const char *divisor = text_integer(t, small ? DT_i32 : DT_i64, a->divisor);
  if (form_proves_ge(t->ir, a->form, 0))
    return define(t, small ? "int" : "i64", text_printf(t, "%s / %s", x, divisor));
  return define(t, small ? "int" : "i64",
                text_printf(t, small ? "(int)nn_quotient(%s, %s)" : "nn_quotient(%s, %s)", x, divisor));
}

static const char *atom_text(Text *t, const Atom *a, Guard *guard) {
  switch (a->kind) {
  case ATOM_VAR: return name_of(t, a->var);
  case ATOM_DIM: return text_dim(t, a->dim);
  case ATOM_DATA: return guarded_expr(t, a->data, guard);
  case ATOM_DIV: {
    if (!form_has_data(a->form)) guard = NULL;
    const char *known = find_memo(t, a, guard);
    return known ? known : keep(t, a, guard, quotient(t, a, guard));
  }
  }
  ice("an unknown atom");
}

static const char *guarded_form(Text *t, Form *f, Guard *guard) {
  bool small = is_small(t, f);
  int64_t c = 0;
  DType type = small ? DT_i32 : DT_i64;
  if (form_is_const(f, &c)) return text_integer(t, type, c);
  const char *sum = NULL;
  for (int i = 0; i < f->n; i++) {
    const char *x = atom_text(t, f->terms[i].atom, guard), *term = x;
    if (f->terms[i].coefficient != 1)
      term = text_printf(t, "%s * %s", text_integer(t, type, f->terms[i].coefficient), x);
    else if (!small) term = text_printf(t, "(i64)%s", x);
    sum = sum ? text_printf(t, "%s + %s", sum, term) : term;
  }
  if (f->c0) sum = text_printf(t, "%s + %s", sum, text_integer(t, type, f->c0));
  return f->n == 1 && !f->c0 && (small && f->terms[0].coefficient == 1) ? sum : text_printf(t, "(%s)", sum);
}

const char *text_form(Text *t, Form *f) { return guarded_form(t, f, NULL); }

void text_positions(Text *t, const char *flat, int n, Var *const *index, Dim *const *extent) {
  const char *rest = flat;
  for (int i = n - 1; i >= 0; i--) {
    const char *name = text_name(t, 'x'), *size = text_dim(t, extent[i]), *type = text_index_type(extent[i]);
    if (i == 0) text_line(t, "const %s %s = (%s)%s;", type, name, type, rest);
    else text_line(t, "const %s %s = (%s)(%s %% %s);", type, name, type, rest, size);
    text_bind(t, index[i], name);
    if (i > 1) {
      const char *next = text_name(t, 'q');
      Dim *others = dim_const(t->ir, 1);
      for (int j = 0; j < i; j++) others = dim_mul(t->ir, others, extent[j]);
      text_line(t, "const %s %s = (%s)(%s / %s);", text_index_type(others), next, text_index_type(others), rest,
                size);
      rest = next;
    } else if (i == 1) rest = text_printf(t, "(%s / %s)", rest, size);
  }
}

/* A short one may be unrolled: its length is part of the text. */
void text_loop(Text *t, const Var *v) {
  const char *name = text_name(t, 'x'), *type = text_index_type(v->extent);
  int64_t c = INT64_MAX;
  const char *size =
      dim_is_const(v->extent, &c) && c <= SHORT_LOOP ? text_printf(t, "%" PRId64, c) : text_dim(t, v->extent);
  text_open(t, "for (%s %s = 0; %s < %s; %s++)", type, name, name, size, name);
  text_bind(t, v, name);
}

/* ---- memory ---- */

static const KeptRow *kept_row(const Text *t, const Node *n) {
  for (int i = 0; i < t->kept.n; i++)
    if (t->kept.at[i].node == n) return &t->kept.at[i];
  return NULL;
}

/* The element's number. */
static const char *address(Text *t, const Node *n, Form **at, Guard *guard) {
  const KeptRow *row = kept_row(t, n);
  if (!row) n = schedule_layout(t->s, n, &at);
  Form *flat = form_const(t->ir, 0); /* as far as strides are numbers */
  Dim *stride = dim_const(t->ir, 1);
  const char *rest = NULL;
  for (int i = n->rank - 1; i >= 0; i--) {
    if (row && row->is_grid[i]) continue;
    int64_t c;
    if (dim_is_const(stride, &c)) flat = form_add(t->ir, flat, form_scale(t->ir, at[i], c));
    else {
      const char *term = text_printf(t, "%s * (i64)%s", text_dim(t, stride), guarded_form(t, at[i], guard));
      rest = rest ? text_printf(t, "%s + %s", rest, term) : term;
    }
    stride = dim_mul(t->ir, stride, node_kept_extent(t->ir, n, i));
  }
  const char *first = guarded_form(t, flat, guard);
  return rest ? text_printf(t, "%s + %s", first, rest) : first;
}

int text_operand_of(const Text *t, const Buffer *b) {
  for (int i = 0; i < t->k->operands.n; i++)
    if (t->k->operands.at[i] == b) return i;
  ice("kernel %s does not list a buffer that it uses", t->k->symbol);
}

static const char *element(Text *t, const Buffer *b, const Node *n, const char *at) {
  int i = text_operand_of(t, b);
  if (b->node->dtype == n->dtype) return text_printf(t, "b%d[%s]", i, at);
  return text_printf(t, "((%s *)b%d)[%s]", type_in_memory(n->dtype), i, at);
}

static const char *row_element(Text *t, const KeptRow *row, const char *at) {
  if (row->apart == 1) return text_printf(t, "%s[%s]", row->name, at);
  return text_printf(t, "%s[(%s) * %d]", row->name, at, row->apart);
}

/* Where the element `at` of the memory that n is in lies; b NULL: found by n. */
static const char *place(Text *t, const Buffer *b, const Node *n, const char *at) {
  const KeptRow *row = kept_row(t, n);
  if (row) return row_element(t, row, at);
  return element(t, b ? b : kernel_buffer(t->s, t->k, n), n, at);
}

const char *text_element(Text *t, const Buffer *b, const Node *n, Form **at) {
  return place(t, b, n, address(t, n, at, NULL));
}

const char *text_place(Text *t, const Buffer *b, const Node *n, Form **at) {
  const char *lane = t->lanes ? lanes_place(t->lanes, n, at) : NULL;
  return lane ? lane : text_element(t, b, n, at);
}

/* ---- guards ---- */

static Guard *guard_under(Text *t, Guard *outer, const char *condition, bool negated) {
  for (int i = 0; i < t->guards.n; i++) {
    Guard *g = t->guards.at[i];
    if (g->outer == outer && !strcmp(g->condition, condition) && g->negated == negated) return g;
  }
  const char *own = text_printf(t, negated ? "!%s" : "%s", condition);
  Guard *g = NEW(t->arena, Guard);
  *g = (Guard){define(t, "bool", outer ? text_printf(t, "%s && %s", outer->name, own) : own), outer, condition,
               negated};
  vec_push(t->arena, &t->guards, g);
  return g;
}

typedef struct Risk {
  Text *t;
  bool found;
} Risk;

static void look_at_read(void *cx, Expr *x) {
  Risk *r = cx;
  if (x->kind == EXPR_READ && !r->found && !find_memo(r->t, x, NULL)) r->found = !read_is_inside(r->t->ir, x);
}

static bool has_risky_read(Text *t, Expr *x) {
  if (!x->reads) return false;
  Risk r = {t, false};
  expr_visit(x, look_at_read, &r);
  return r.found;
}

/* ---- expressions ---- */

static const char *read_text(Text *t, Expr *x, Guard *guard) {
  if (guard && read_is_inside(t->ir, x)) guard = NULL;
  const char *v = text_loaded(t, x->dtype, place(t, NULL, x->node, address(t, x->node, x->at, guard)));
  return guard ? text_printf(t, "%s ? %s : %s", guard->name, v, text_number(t, x->dtype, 0, 0)) : v;
}

static const char *random_text(Text *t, Expr *x, Guard *guard) {
  const char *a[3];
  for (int i = 0; i < 3; i++) a[i] = guarded_expr(t, x->arg[i], guard);
  const char *element = guarded_form(t, x->form, guard);
  const char *key = text_integer(t, DT_i64, (int64_t)x->key);
  const char *v = text_printf(t, "nn_draw_%s((i64)((u64)%s ^ (u64)%s), %s, %s, %s)", suffix(x->dtype), a[0], key,
                              a[1], a[2], element);
  return text_rounded(t, x->dtype, v);
}

static const char *select_text(Text *t, Expr *x, Guard *guard) {
  const char *p = guarded_expr(t, x->arg[0], guard), *side[2];
  for (int i = 0; i < 2; i++) {
    Guard *g = has_risky_read(t, x->arg[i + 1]) ? guard_under(t, guard, p, i == 1) : guard;
    side[i] = guarded_expr(t, x->arg[i + 1], g);
  }
  return text_printf(t, "%s ? %s : %s", p, side[0], side[1]);
}

/* `and`, `or`: the second operand where the first leaves it open. */
static const char *lazy_text(Text *t, Expr *x, Guard *guard) {
  const char *first = guarded_expr(t, x->arg[0], guard);
  const char *second = guarded_expr(t, x->arg[1], guard_under(t, guard, first, x->op == OP_or));
  return text_printf(t, x->op == OP_or ? "%s || %s" : "%s && %s", first, second);
}

static const char *cast_text(Text *t, Expr *x, const char *v) {
  DType from = x->arg[0]->dtype, to = x->dtype;
  if (from == to) return v;
  if (to == DT_bool) return text_printf(t, "%s != 0", v);
  if (dtype_is_float(from) && !dtype_is_float(to)) return text_printf(t, "nn_truncate_%s(%s)", dtype_name(to), v);
  return text_rounded(t, to, text_printf(t, "(%s)%s", type_name(to), v));
}

static const char *op_text(Text *t, Expr *x, Guard *guard) {
  if (x->op == OP_select) return select_text(t, x, guard);
  if ((x->op == OP_and || x->op == OP_or) && has_risky_read(t, x->arg[1])) return lazy_text(t, x, guard);
  const char *a[3] = {"", "", ""};
  for (int i = 0; i < x->n; i++) a[i] = guarded_expr(t, x->arg[i], guard);
  if (x->op == OP_cast) return cast_text(t, x, a[0]);
  const char *v = text_printf(t, "nn_%s_%s(%s%s%s)", scalar_rows[x->op].name, suffix(x->arg[0]->dtype), a[0],
                              x->n > 1 ? ", " : "", a[1]);
  return text_rounded(t, x->dtype, v);
}

static const char *value_text(Text *t, Expr *x, Guard *guard) {
  switch (x->kind) {
  case EXPR_INDEX: return text_printf(t, "(%s)%s", type_name(x->dtype), guarded_form(t, x->form, guard));
  case EXPR_GE0: return text_printf(t, "%s >= 0", guarded_form(t, x->form, guard));
  case EXPR_EQ0: return text_printf(t, "%s == 0", guarded_form(t, x->form, guard));
  case EXPR_READ: return read_text(t, x, guard);
  case EXPR_RANDOM: return random_text(t, x, guard);
  case EXPR_OP: return op_text(t, x, guard);
  case EXPR_CONST: break;
  }
  ice("an unknown expression");
}

static void look_at_source(void *cx, Expr *x) {
  Risk *r = cx;
  if (x->kind == EXPR_READ && (x->node->rank > 0 || kernel_member(r->t->k, x->node))) r->found = true;
}

/* One number for the whole kernel, from what is there before it. */
static bool is_uniform(Text *t, Expr *x) {
  Risk r = {t, false};
  if (expr_varies(x)) return false;
  expr_visit(x, look_at_source, &r);
  return !r.found;
}

static const char *uniform_expr(Text *t, Expr *x) {
  Buf out = t->out;
  Memos memo = t->memo;
  Guards guards = t->guards;
  int depth = t->depth;
  t->out = t->head, t->memo = t->whole, t->guards = (Guards){0}, t->depth = 1, t->in_head = true;
  const char *name = text_expr(t, x);
  t->head = t->out, t->whole = t->memo;
  t->out = out, t->memo = memo, t->guards = guards, t->depth = depth, t->in_head = false;
  return name;
}

static const char *guarded_expr(Text *t, Expr *x, Guard *guard) {
  if (x->kind == EXPR_CONST) return text_number(t, x->dtype, x->real, x->integer);
  if (!t->in_head && is_uniform(t, x)) return uniform_expr(t, x);
  if (!x->reads) guard = NULL;
  const char *known = find_memo(t, x, guard);
  return known ? known : keep(t, x, guard, define(t, type_name(x->dtype), value_text(t, x, guard)));
}

const char *text_expr(Text *t, Expr *x) { return guarded_expr(t, x, NULL); }

/* ---- values that are copied as they lie in memory ---- */

bool dim_is_multiple(const Dim *d, int64_t of) {
  for (int i = 0; i < d->n; i++)
    if (d->terms[i].coefficient % of) return false;
  return true;
}

/* f * stride is a multiple of width, but for v's own steps, which are added to *step. */
static bool is_aligned(Text *t, Form *f, const Var *v, int64_t stride, int width, int64_t *step) {
  int64_t own = form_coefficient(f, v);
  Form *rest = form_sub(t->ir, f, form_scale(t->ir, form_var(t->ir, (Var *)(uintptr_t)v), own));
  if (form_uses(rest, v) || rest->c0 * stride % width) return false;
  for (int i = 0; i < rest->n; i++)
    if (rest->terms[i].coefficient * stride % width) return false;
  *step += own * stride;
  return true;
}

bool text_lies_along(Text *t, const Node *n, Form **at, const Var *v, int width) {
  const KeptRow *row = kept_row(t, n);
  if (row && row->apart > 1) return false;
  if (!row) n = schedule_layout(t->s, n, &at);
  Dim *stride = dim_const(t->ir, 1);
  int64_t c, step = 0;
  for (int i = n->rank - 1; i >= 0; i--) {
    if (row && row->is_grid[i]) continue;
    if (dim_is_const(stride, &c)) {
      if (!is_aligned(t, at[i], v, c, width, &step)) return false;
    } else if (form_uses(at[i], v) || !dim_is_multiple(stride, width)) return false;
    stride = dim_mul(t->ir, stride, node_kept_extent(t->ir, n, i));
  }
  return step == 1;
}

bool text_runs(Text *t, const Expr *x, const Var *v, int width) {
  for (; x->kind != EXPR_READ; x = x->op == OP_select ? x->arg[1] : x->arg[0])
    if (x->op == OP_select && expr_uses(x->arg[0], v)) return false;
  return text_lies_along(t, x->node, x->at, v, width);
}

bool expr_is_guarded(const Expr *x) {
  for (; x->kind != EXPR_READ; x = x->arg[0])
    if (x->op == OP_select) return true;
  return false;
}

int text_operand(Text *t, const Expr *read) { return text_operand_of(t, kernel_buffer(t->s, t->k, read->node)); }

const char *text_buffer_of(Text *t, const Expr *x) {
  return text_printf(t, "b%d", text_operand(t, expr_plain_read(x)));
}

const char *text_address(Text *t, Expr *x, const char **when) {
  Guard *guard = NULL;
  for (; x->kind != EXPR_READ; x = x->op == OP_select ? x->arg[1] : x->arg[0])
    if (x->op == OP_select) guard = guard_under(t, guard, guarded_expr(t, x->arg[0], guard), false);
  *when = guard ? guard->name : NULL;
  return text_printf(t, "&%s",
                     element(t, kernel_buffer(t->s, t->k, x->node), x->node, address(t, x->node, x->at, guard)));
}
