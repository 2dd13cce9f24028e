/* suggest.c - what messages offer in place of what was written. A fix is text of the user's own program put in other
 * words: it compiles where nothing else is wrong, which tests/errors/fixes tries. None is offered inside the
 * library's sources, which are not the user's to change. */
#include "frontend/value.h"

#include <stdio.h>
#include <string.h>

const char *written(const Elaborator *x, Span at) {
  const Source *s = sources_get(x->sources, at.source);
  return s ? arena_strndup(x->arena, s->text + at.begin, at.end - at.begin) : "";
}

bool is_users(const Elaborator *x, Span at) {
  const Source *s = sources_get(x->sources, at.source);
  return s && !s->library;
}

const char *article(Str name) { return strchr("AEIOaeio", name[0]) ? "an" : "a"; }

const char *statement_title(Elaborator *x, const Ast *a) {
  if (a->kind == AST_DEFINE || a->kind == AST_DEFINE_AT) return arena_printf(x->arena, "`%s = …`", a->name);
  if (a->kind == AST_NEXT) return arena_printf(x->arena, "`%s <- …`", written(x, a->target->span));
  if (a->kind == AST_UNPACK)
    return arena_printf(x->arena, "`%s, … = …`", a->items.at[0]->name ? a->items.at[0]->name : "_");
  if (a->kind == AST_STOP_WHEN) return "`stop when`";
  return arena_printf(x->arena, "`%s`", ast_word((AstKind)a->kind));
}

void say_state_twice(Elaborator *x, Str name, Span at, Span first) {
  Diag *d = diag_add(x->diags, DIAG_TWICE, at, "the state `%s` is declared twice", name);
  diag_place(d, first, "the first is here");
}

void suggest_around(Elaborator *x, Diag *d, Span at, const char *before, const char *after) {
  if (is_users(x, at)) diag_write(d, at, "%s%s%s", before, written(x, at), after);
}

void suggest_call(Elaborator *x, Diag *d, Span at, const char *function) {
  suggest_around(x, d, at, arena_printf(x->arena, "%s(", function), ")");
}

/* reshape(x, 28, 28), where the type asks for as many elements as there are. */
void suggest_reshape(Elaborator *x, Diag *d, Span at, const Ast *type, int n, Dim **have) {
  int64_t wanted = 1, count = 1, extent;
  Buf sizes = {0};
  bool known = type->shape != NULL;
  for (int i = 0; known && i < type->shape->items.n; i++) {
    const Ast *size = type->shape->items.at[i];
    known = size->kind == AST_INTEGER && !__builtin_mul_overflow(wanted, size->integer, &wanted);
    buf_printf(&sizes, ", %lld", (long long)size->integer);
  }
  for (int i = 0; known && i < n; i++)
    known = dim_is_const(have[i], &extent) && !__builtin_mul_overflow(count, extent, &count);
  if (known && count == wanted && n > 0)
    suggest_around(x, d, at, "reshape(", arena_printf(x->arena, "%s)", sizes.text));
  buf_free(&sizes);
}

const char *function_title(const Elaborator *x, const Function *f) {
  if (!f->self || strcmp(f->name, "forward")) return f->name;
  const char *path = f->self->path ? f->self->path : "", *dot = strrchr(path, '.');
  while (dot && dot > path && dot[1] >= '0' && dot[1] <= '9') { /* blocks.0 */
    do dot--;
    while (dot > path && *dot != '.');
  }
  (void)x;
  return *path ? (dot && *dot == '.' ? dot + 1 : path) : f->self->model->name;
}

void blame_use(Elaborator *x, int before, Span at, Str name) {
  for (int i = before; i < x->diags->all.n && is_users(x, at); i++) {
    Diag *d = x->diags->all.at[i];
    int first = 0;
    if (!d->at.source || is_users(x, d->labels.at[0].span)) continue;
    while (first < d->labels.n && !is_users(x, d->labels.at[first].span)) first++;
    if (first == d->labels.n) diag_place(d, at, "in this use of `%s`", name);
    diag_lead(d, first);
  }
}

void place_of_dim(Elaborator *x, Diag *d, Env *e, const Ast *a, Dim *is) {
  const char *text = dim_text(x->arena, is);
  const Env *b = a->kind == AST_NAME ? env_find(e, a->name) : NULL;
  bool given = b && b->value && is_users(x, b->value->span) && b->value->span.begin != a->span.begin;
  if (given && strcmp(text, a->name)) diag_place(d, b->value->span, "`%s` is %s here", a->name, text);
  else if (a->span.source) diag_place(d, a->span, "%s here", text);
}

/* What other libraries call things. */
const char *foreign_help(Str name) {
  static const struct {
    const char *names, *help;
  } rows[] = {
      {" Sequential ModuleList ModuleDict Module nn ", "layers are members of a `model`, and `x |> a |> relu |> b` "
                                                       "chains them; `[A(), B()]` and `A() * 3` are arrays"},
      {" torch F np numpy jnp jax tf keras math functional ",
       "functions of the library stand without a module's name before them: `relu(x)`, `exp(x)`"},
      {" True False ", "write `true` or `false`"},
      {" None ", "a parameter that may be left out has a value by default"},
      {" self ", "members are named alone, and a function does not name its model"},
      {" range arange ",
       "a loop that runs N times is `for i in N { … }`; an index runs over its dimension by itself"},
      {" TransformerEncoderLayer TransformerDecoderLayer TransformerEncoder TransformerDecoder Transformer ",
       "a block is a model of your own, of `LayerNorm`, `SelfAttention` and `FeedForward`"},
      {" Dense ", "it is called `Linear(IN, OUT)`, without an activation"},
      {" zeros ones full zeros_like ones_like empty ", "a tensor of one value is `[i < N] => 0.0`"},
      {" chunk ", "`split(x, N // 4)` gives four parts of a dimension N: what it takes is the size of a part"},
      {" gather index_select take ", "elements are picked by indices: `[b] => x[b, k[b]]`"},
      {" einsum mm bmm ", "index notation is the language's own: `[i, j] => sum(k: a[i, k] * b[k, j])`"},
      {" permute view reshape squeeze unsqueeze swapaxes expand_dims ",
       "index notation puts dimensions in order, `[j, i] => x[i, j]`, and makes new ones, `[a, b < 4] => x[4 * a + "
       "b]`"},
      {" cat concatenate hstack vstack ",
       "it is called `concat(a, b)`, along another dimension `concat(a, b, axis = 1)`"},
      {" clip ", "it is called `clamp(x, low, high)`"},
      {" Parameter ", "a parameter is a member of a model, `param w: f32[N] ~ normal(0, 0.02)`"},
      {" pow ", "powers are written `x ** 2`"},
      {" randn rand ", "a draw has a name and a type, `z: f32[N] ~ normal(0, 1)`"},
      {" pi ", "write 3.141592653589793"},
      {" print ", "nothing prints while a model runs; `report value` logs a value of each step"},
      {" CrossEntropyLoss ", "it is a function, `cross_entropy(scores, class)`"},
      {" MSELoss ", "it is a function, `mse_loss(prediction, truth)`"},
      {" SGD ", "it is called `Sgd`; with momentum, `Momentum`"},
      {" MaxPool1d MaxPool2d MaxPool3d AvgPool1d AvgPool2d AvgPool3d ", "it is a function, `max_pool2d(x, 2)`"},
      {" ReLU GELU SiLU Sigmoid Tanh Softmax LogSoftmax Softplus LeakyReLU ELU Flatten ",
       "it is a function, `relu(x)`, `softmax(x)`, `flatten(x)`"},
  };
  char word[64];
  if (snprintf(word, sizeof word, " %s ", name) >= (int)sizeof word) return NULL;
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    if (strstr(rows[i].names, word)) return rows[i].help;
  return NULL;
}

bool is_primary(const Ast *a) {
  return (a->flags & AST_BRACKETS) || a->kind == AST_NAME || a->kind == AST_MEMBER || a->kind == AST_INDEX ||
         a->kind == AST_CALL || a->kind == AST_APPLY;
}

static const char *in_brackets(Elaborator *x, const Ast *a) {
  const char *text = written(x, a->span);
  bool plain = is_primary(a) || a->kind == AST_INTEGER || a->kind == AST_REAL || a->kind == AST_BOOL;
  return plain ? text : arena_printf(x->arena, "(%s)", text);
}

/* A comprehension binds loosest: whether it may stand at `at` without brackets, as all of a value. */
static bool is_whole_value(const Elaborator *x, Span at) {
  const char *text = sources_get(x->sources, at.source)->text;
  uint32_t i = at.begin;
  while (i > 0 && (text[i - 1] == ' ' || text[i - 1] == '\t')) i--;
  return (i > 1 && text[i - 1] == '=' && (text[i - 2] == ' ' || text[i - 2] == ']')) ||
         (i >= 6 && !memcmp(text + i - 6, "return", 6));
}

/* ---- names for indices that are not there yet ---- */

typedef struct Indices {
  const Ast *of; /* what they are written around: its own names are taken; NULL */
  int n;
  char name[MAX_RANK];
} Indices;

/* Whether a node of the tree has this name. */
static bool has_name(const Ast *a, Str name) {
  if (a->name == name) return true;
  for (int i = 0; i < ast_child_count(a); i++)
    if (ast_child(a, i) && has_name(ast_child(a, i), name)) return true;
  return false;
}

static bool is_free(Elaborator *x, Env *e, const Indices *taken, char c) {
  Str s = str_intern(x->strings, &c, 1);
  if (taken->of && has_name(taken->of, s)) return false;
  for (int i = 0; i < taken->n; i++)
    if (taken->name[i] == c) return false;
  return !env_find(e, s) && !decl_find(x, x->module, s);
}

/* `b` for a dimension called B, else the first free of i, j, k, ... */
static bool add_index(Elaborator *x, Env *e, Indices *to, Dim *d) {
  const char *text = dim_text(x->arena, d);
  char own = (char)(text[0] | 0x20);
  if (text[0] >= 'A' && text[0] <= 'Z' && !text[1] && is_free(x, e, to, own)) return to->name[to->n++] = own, true;
  for (const char *c = "ijklmnpqrstuvwxyzabcdefgh"; *c; c++)
    if (is_free(x, e, to, *c)) return to->name[to->n++] = *c, true;
  return false;
}

/* name[i, j]: indices from..from+n of `of`, 0 where the dimension is 1 and that of the whole is not. */
static const char *read_at(Elaborator *x, const Ast *a, const Value *v, const Indices *all, int from, Dim **whole) {
  Buf b = {0};
  buf_printf(&b, "%s", is_primary(a) ? written(x, a->span) : arena_printf(x->arena, "(%s)", written(x, a->span)));
  for (int i = 0; i < v->rank; i++) {
    bool first = v->shape[i] == dim_const(x->ir, 1) && whole[from + i] != v->shape[i];
    buf_puts(&b, i ? ", " : "[");
    buf_printf(&b, "%c", first ? '0' : all->name[from + i]);
  }
  if (v->rank) buf_puts(&b, "]");
  const char *s = arena_strndup(x->arena, b.text, b.n);
  buf_free(&b);
  return s;
}

static const char *left_side(Elaborator *x, const Indices *all) {
  Buf b = {0};
  for (int i = 0; i < all->n; i++) buf_printf(&b, "%s%c", i ? ", " : "[", all->name[i]);
  buf_puts(&b, "]");
  const char *s = arena_strndup(x->arena, b.text, b.n);
  buf_free(&b);
  return s;
}

static void write_comprehension(Elaborator *x, Diag *d, Span at, const Indices *left, const char *body) {
  bool bare = is_whole_value(x, at);
  diag_write(d, at, "%s%s => %s%s", bare ? "" : "(", left_side(x, left), body, bare ? "" : ")");
}

/* ---- operators ---- */

/* Whether the dimensions of `small` are those of `big` from `from` on, but for those of 1. */
static bool fits_at(Elaborator *x, const Value *big, const Value *small, int from) {
  Dim *one = dim_const(x->ir, 1);
  for (int i = 0; i < small->rank; i++)
    if (small->shape[i] != big->shape[from + i] && small->shape[i] != one && big->shape[from + i] != one)
      return false;
  return true;
}

/* x - m of other shapes, by indices: m goes with the last dimensions of x, or else with the first ones. */
static void suggest_indices(Elaborator *x, Env *e, Ast *a, const Value *l, const Value *r, Diag *d) {
  const Value *big = l->rank >= r->rank ? l : r, *small = big == l ? r : l;
  int from = big->rank - small->rank;
  if (!fits_at(x, big, small, from)) from = 0;
  if (!fits_at(x, big, small, from) || !is_users(x, a->span)) return;
  Dim *shape[MAX_RANK], *one = dim_const(x->ir, 1);
  Indices all = {.of = a};
  for (int i = 0; i < big->rank; i++) {
    bool other = i >= from && i - from < small->rank && big->shape[i] == one;
    shape[i] = other ? small->shape[i - from] : big->shape[i];
    if (!add_index(x, e, &all, shape[i])) return;
  }
  const char *left = read_at(x, a->left, l, &all, l == big ? 0 : from, shape);
  const char *right = read_at(x, a->right, r, &all, r == big ? 0 : from, shape);
  write_comprehension(x, d, a->span, &all, arena_printf(x->arena, "%s %s %s", left, op_spelling((Op)a->op), right));
}

/* [B, 1] and [B]: the column is meant. */
static bool suggest_column(Elaborator *x, const Ast *a, const Value *v, const Value *other, Diag *d) {
  if (v->rank != 2 || other->rank != 1 || v->shape[1] != dim_const(x->ir, 1) || v->shape[0] != other->shape[0])
    return false;
  suggest_around(x, d, a->span, is_primary(a) ? "" : "(", is_primary(a) ? "[:, 0]" : ")[:, 0]");
  return true;
}

static void suggest_shapes(Elaborator *x, Env *e, Ast *a, const Value *l, const Value *r, Diag *d) {
  bool product = a->op == OP_MUL && l->rank == 2 && r->rank == 2 && l->shape[1] == r->shape[0];
  if (suggest_column(x, a->left, l, r, d) || suggest_column(x, a->right, r, l, d)) return;
  if (product && is_users(x, a->span))
    diag_write(d, a->span, "matmul(%s, %s)", written(x, a->left->span), written(x, a->right->span));
  else suggest_indices(x, e, a, l, r, d);
}

static int width(DType t) { return 16 * dtype_is_float(t) + dtype_bytes(t); }

/* The narrower type is made the wider one; an integer a float. */
static void suggest_cast(Elaborator *x, Ast *a, const Value *l, const Value *r, Diag *d) {
  bool cast_left = width(l->dtype) < width(r->dtype);
  suggest_call(x, d, cast_left ? a->left->span : a->right->span, dtype_name(cast_left ? r->dtype : l->dtype));
}

void suggest_operands(Elaborator *x, Env *e, Ast *a, Value *l, Value *r, Diag *d) {
  if (d->fix.source || d->labels.at[0].span.begin != a->span.begin || d->labels.at[0].span.end != a->span.end) return;
  bool tensors = l->kind == VALUE_TENSOR && r->kind == VALUE_TENSOR;
  if (tensors && (d->code == DIAG_SHAPES_DIFFER || d->code == DIAG_TYPES_DIFFER)) {
    diag_place(d, a->left->span, "this is %s", value_type_text(x, l));
    diag_place(d, a->right->span, "this is %s", value_type_text(x, r));
  }
  if (d->code == DIAG_SHAPES_DIFFER && tensors) suggest_shapes(x, e, a, l, r, d);
  if (d->code == DIAG_TYPES_DIFFER && tensors) suggest_cast(x, a, l, r, d);
  if (d->code == DIAG_DIVISOR && r->kind == VALUE_TENSOR) suggest_around(x, d, a->right->span, "max(", ", 1)");
  if (d->code == DIAG_INT_DIVISION && x->field) diag_help(d, "declare the field a float, or `//` rounds down");
  else if (d->code == DIAG_INT_DIVISION && is_users(x, a->span)) {
    bool positive = r->kind == VALUE_INT && dim_at_least(x->ir, r->dim, 1);
    diag_fix(d, a->span, positive ? "%s // %s" : "%s // max(%s, 1)", in_brackets(x, a->left),
             positive ? in_brackets(x, a->right) : written(x, a->right->span));
  }
}

/* ---- reads ---- */

void suggest_guard(Elaborator *x, Diag *d, Ast *read) {
  if (is_users(x, read->span) && !(read->flags & AST_BRACKETS)) suggest_around(x, d, read->span, "(", " else 0)");
}

/* p[k] of p [B, T, A] and k [B, T] below A: one element is picked of each row. */
static bool picks_along(const Value *base, const Ast *read, const Value *k) {
  bool along = read->items.n == 1 && base->rank > k->rank && k->bound && k->bound != base->shape[0] &&
               k->bound == base->shape[k->rank];
  for (int i = 0; along && i < k->rank; i++) along = base->shape[i] == k->shape[i];
  return along;
}

/* table[t] of a tensor t, index by index. */
void suggest_index_of_index(Elaborator *x, Env *e, Diag *d, Ast *read, Ast *item, const Value *base, const Value *v) {
  bool along = picks_along(base, read, v);
  Indices all = {.of = read};
  Dim *shape[MAX_RANK];
  for (int i = 0; i < v->rank; i++) {
    shape[i] = v->shape[i];
    if (!add_index(x, e, &all, v->shape[i])) return;
  }
  if (!is_users(x, read->span) || !dtype_is_int(v->dtype)) return;
  for (int i = 0; i < read->items.n; i++)
    if (read->items.at[i]->kind == AST_SLICE) return;
  Span before = {read->span.source, read->span.begin, item->span.begin, 0};
  Span after = {read->span.source, item->span.end, read->span.end, 0};
  const char *inner = read_at(x, item, v, &all, 0, shape);
  const char *row = along ? read_at(x, read->base, &(Value){.rank = v->rank, .shape = shape}, &all, 0, shape) : NULL;
  if (row) {
    write_comprehension(x, d, read->span, &all,
                        arena_printf(x->arena, "%.*s, %s]", (int)strlen(row) - 1, row, inner));
    return;
  }
  write_comprehension(x, d, read->span, &all,
                      arena_printf(x->arena, "%s%s%s", written(x, before), inner, written(x, after)));
}

/* sum(x, axis = 0), by indices; `axis` may be counted from the end. */
void suggest_reduction(Elaborator *x, Env *e, Diag *d, Ast *call, const Value *v, int64_t axis) {
  Indices all = {.of = call}, kept = {0};
  Dim *shape[MAX_RANK];
  if (axis < 0) axis += v->rank;
  if (axis < 0 || axis >= v->rank || !is_users(x, call->span)) return;
  for (int i = 0; i < v->rank; i++) {
    shape[i] = v->shape[i];
    if (!add_index(x, e, &all, v->shape[i])) return;
    if (i != axis) kept.name[kept.n++] = all.name[i];
  }
  const char *read = read_at(x, call->args->items.at[0]->value, v, &all, 0, shape);
  const char *sum = arena_printf(x->arena, "%s(%c: %s)", call->callee->name, all.name[axis], read);
  if (kept.n) write_comprehension(x, d, call->span, &kept, sum);
  else diag_write(d, call->span, "%s", sum);
}

void suggest_kept(Elaborator *x, Diag *d, Ast *apply, Str index) {
  Indices left = {NULL, 1, {index[0]}};
  if (!index[1] && is_users(x, apply->span)) write_comprehension(x, d, apply->span, &left, written(x, apply->span));
}

void suggest_rest(Elaborator *x, Diag *d, Span at, const char *divisor) {
  const char *text = written(x, at);
  bool word = text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_.0123456789")] == 0;
  if (is_users(x, at)) diag_write(d, at, word ? "%s %% %s" : "(%s) %% %s", text, divisor);
}

/* x.f(a), as other languages have it. */
void suggest_function(Elaborator *x, Diag *d, Ast *call) {
  const Ast *m = call->callee;
  if (!is_users(x, call->span) || (is_reduction(m->name) && call->args->items.n)) return;
  Buf b = {0};
  buf_printf(&b, "%s(%s", m->name, written(x, m->base->span));
  for (int i = 0; i < call->args->items.n; i++) {
    const Ast *arg = call->args->items.at[i];
    buf_puts(&b, ", ");
    if (arg->name) buf_printf(&b, "%s = ", arg->name);
    buf_puts(&b, written(x, arg->value->span));
  }
  diag_write(d, call->span, "%s)", b.text);
  buf_free(&b);
}

/* x(3) of a tensor. */
void suggest_element(Elaborator *x, Diag *d, Ast *call) {
  const AstList *args = &call->args->items;
  if (!args->n || !is_users(x, call->span)) return;
  Span inside = span_join(args->at[0]->span, args->at[args->n - 1]->span);
  diag_write(d, call->span, "%s[%s]", written(x, call->callee->span), written(x, inside));
}

void suggest_product(Elaborator *x, int before, const Function *f, int n, const CallArg *args) {
  bool product = f->module->library && !strcmp(f->name, "matmul") && n == 2 && x->diags->all.n > before;
  for (int i = 0; product && i < 2; i++) product = args[i].value && args[i].value->kind == VALUE_TENSOR;
  if (!product) return;
  bool left = args[0].value->rank == 1, right = args[1].value->rank == 1;
  Diag *d = x->diags->all.at[before];
  if (left && right) diag_help(d, "of two vectors it is `dot(x, y)`");
  else if (right) diag_help(d, "of a matrix and a vector it is `mv(a, x)`");
  else if (left) diag_help(d, "of a vector and a matrix it is `mv(transpose(a), x)`");
}

void suggest_parts(Elaborator *x, Diag *d, const Ast *call, const Value *v, int wanted) {
  bool splits = call->kind == AST_CALL && call->callee->kind == AST_NAME && !strcmp(call->callee->name, "split");
  const Ast *size = splits && call->args->items.n > 1 ? call->args->items.at[1]->value : NULL;
  if (!size || size->kind != AST_INTEGER || v->kind != VALUE_TUPLE || size->integer != wanted) return;
  diag_help(d, "`split` takes the size of a part, not their number");
  if (values_alike(v->items[0], v->items[v->n - 1]) && is_users(x, size->span)) diag_write(d, size->span, "%d", v->n);
}
