/* index.c - index notation: reads, comprehensions `[i, j] => e`, and application along indices `f(i: e)`.
 *
 * An index has a range: the one written (`i < N`), else that of the result's declared shape, else the dimension that
 * it reads on its own. Ranges are found in the tree before the expression is walked (find_range), so a body is walked
 * once. */
#include "frontend/value.h"

#include <math.h>
#include <string.h>

/* ---- where an index gets its range ---- */

typedef struct RangeSearch {
  Elaborator *x;
  Env *env;
  Str name;
  Vec(Str) bound; /* names bound inside the expression, not known to env */
  Dim *range;     /* the first found */
  Span span;
  const Value *read; /* of which it is this dimension */
  int dimension;
  bool conflict;
  bool quiet;      /* no message, and nothing is walked twice that draws: calls are passed over */
  bool shifted;    /* it is also read in sums and products of indices, `x[i + 1]` */
  bool structure;  /* it indexes the parameters of a model, which is an error */
  bool blocked;    /* a read would tell, but for other indices in it that have no range yet */
  bool failed;     /* what is read has no value, which was said */
  const Ast *many; /* a read with more indices than `many_of` has dimensions */
  const Value *many_of;
  int guarded; /* inside `(x[i] else e)`: such a read gives a range only where no other does */
  Dim *fallback;
} RangeSearch;

bool ast_calls(const Ast *a) {
  if (a->kind == AST_CALL || a->kind == AST_APPLY || a->kind == AST_PIPE) return true;
  for (int i = 0; i < ast_child_count(a); i++)
    if (ast_child(a, i) && ast_calls(ast_child(a, i))) return true;
  return false;
}

bool mentions_from(const Ast *a, Str name, uint32_t from) {
  if (a->kind == AST_NAME && a->name == name && a->span.begin >= from) return true;
  for (int i = 0; i < ast_child_count(a); i++) {
    const Ast *c = ast_child(a, i);
    if (c && mentions_from(c, name, from)) return true;
  }
  return false;
}

bool mentions(const Ast *a, Str name) { return mentions_from(a, name, 0); }

static bool mentions_bound(RangeSearch *s, const Ast *a) {
  if (mentions(a, s->name)) return true;
  for (int i = 0; i < s->bound.n; i++)
    if (mentions(a, s->bound.at[i])) return true;
  return false;
}

/* The value of what is indexed, if that can be had without side effect: names, members, and reads of them. */
static Value *quiet_base(RangeSearch *s, Ast *base) {
  if (mentions_bound(s, base)) {
    /* x[b][i] or f(.., b, ..)[i]: only a chain of reads tells its shape without its indices */
    s->blocked = true;
    return NULL;
  }
  for (const Ast *a = base;; a = a->base) {
    if (a->kind == AST_NAME) break;
    if (a->kind != AST_MEMBER && a->kind != AST_INDEX && a->kind != AST_CALL) return NULL;
    if (a->kind != AST_CALL) continue;
    if (s->quiet) return NULL;
    break;
  }
  Value *v = elaborate_expr(s->x, s->env, base);
  s->failed = s->failed || !v;
  return v;
}

static const char *ordinal(int n) {
  static const char *const words[] = {"1st", "2nd", "3rd", "4th", "5th", "6th", "7th", "8th"};
  return words[n < 8 ? n : 7];
}

static const char *dimension_of(Elaborator *x, int i, const Value *v) {
  return arena_printf(x->arena, "%s dimension of %s", ordinal(i), value_type_text(x, v));
}

/* The index at `at` reads dimension i of v. */
static void found(RangeSearch *s, const Value *v, int i, Span at) {
  Dim *d = v->shape[i];
  if (pack_of(s->x, d) >= 0) { /* the walk of the body says it, unless there is none without a range */
    if (!s->quiet) s->conflict = !rank_known(s->x, v, i, i + 1, at);
    return;
  }
  if (s->guarded) {
    if (!s->fallback) s->fallback = d;
    return;
  }
  if (!s->range) {
    s->range = d;
    s->span = at;
    s->read = v;
    s->dimension = i;
    return;
  }
  if (s->range == d || s->conflict) return;
  s->conflict = true;
  if (s->quiet) return;
  Diag *g = diag_add(s->x->diags, DIAG_TWO_SIZES, at, "index `%s` stands for two sizes, %s and %s", s->name,
                     dim_text(s->x->arena, s->range), dim_text(s->x->arena, d));
  diag_label(g, "`%s` is %s here (%s)", s->name, dim_text(s->x->arena, d), dimension_of(s->x, i, v));
  diag_place(g, s->span, "but %s here (%s)", dim_text(s->x->arena, s->range),
             dimension_of(s->x, s->dimension, s->read));
  diag_help(g, "write the range, `%s < N`, if the smaller one is meant", s->name);
}

static void search(RangeSearch *s, Ast *a) {
  if (!a || s->conflict) return;
  int mark = s->bound.n;
  if (a->kind == AST_APPLY) {
    for (int i = 0; i < a->binders->items.n; i++) {
      /* A reduction's index is another of this name; what keeps the dimension (softmax) means this one. */
      if (a->binders->items.at[i]->name == s->name && a->callee->kind == AST_NAME && is_reduction(a->callee->name))
        return;
      if (a->binders->items.at[i]->name != s->name) vec_push(s->x->arena, &s->bound, a->binders->items.at[i]->name);
    }
  }
  if (a->kind == AST_COMPREHENSION)
    for (int i = 0; i < a->items.n; i++)
      if (a->items.at[i]->kind == AST_NAME) {
        if (a->items.at[i]->name == s->name) return;
        vec_push(s->x->arena, &s->bound, a->items.at[i]->name);
      }
  if (a->kind == AST_INDEX) {
    bool here = false;
    for (int i = 0; i < a->items.n; i++)
      s->shifted = s->shifted || (a->items.at[i]->kind != AST_NAME && mentions(a->items.at[i], s->name));
    for (int i = 0; i < a->items.n; i++)
      here = here || (a->items.at[i]->kind == AST_NAME && a->items.at[i]->name == s->name);
    Value *v = here ? quiet_base(s, a->base) : NULL;
    s->structure = s->structure || (v && value_is_structure(v) && !v->lead);
    if (v && v->lead && v->n) v = v->items[0];
    if (v && v->kind == VALUE_TENSOR && v->rank < a->items.n) s->many = a, s->many_of = v;
    for (int i = 0; v && v->kind == VALUE_TENSOR && i < a->items.n && i < v->rank; i++) {
      Ast *k = a->items.at[i];
      if (k->kind == AST_NAME && k->name == s->name) found(s, v, i, k->span);
    }
  }
  s->guarded += a->kind == AST_GUARD;
  for (int i = 0; i < ast_child_count(a); i++) search(s, ast_child(a, i));
  s->guarded -= a->kind == AST_GUARD;
  s->bound.n = mark;
}

/* Whether a names what has no value because of a mistake that was reported. */
static bool mentions_broken(Env *e, const Ast *a) {
  const Env *b = a->kind == AST_NAME ? env_find(e, a->name) : NULL;
  if (b && !b->value) return true;
  for (int i = 0; i < ast_child_count(a); i++)
    if (ast_child(a, i) && mentions_broken(e, ast_child(a, i))) return true;
  return false;
}

/* The range of index `name` in body; written and declared ones are the caller's. `others` are indices that stand in
 * bodies and are not in e yet; entries may be NULL. NULL: there is none; if s->failed, for a reason that was said. */
static Dim *look_for_range(RangeSearch *s, int nothers, const Str *others, Ast **bodies, int nbodies) {
  for (int i = 0; i < nothers; i++)
    if (others[i] && others[i] != s->name) vec_push(s->x->arena, &s->bound, others[i]);
  for (int i = 0; i < nbodies; i++)
    if (bodies[i]) search(s, bodies[i]);
  if (!s->range && !s->conflict) s->range = s->fallback;
  for (int i = 0; i < nbodies; i++)
    s->failed = s->failed || (!s->range && bodies[i] && mentions_broken(s->env, bodies[i]));
  s->failed = s->conflict || (s->failed && !s->range);
  return s->conflict ? NULL : s->range;
}

static Diag *say_rank(Elaborator *x, const Ast *a, const Value *base) {
  return diag_add(x->diags, DIAG_WRONG_RANK, a->span, "%d ind%s for %s", a->items.n, a->items.n == 1 ? "ex" : "ices",
                  value_type_text(x, base));
}

static void say_no_range(const RangeSearch *s, Span at) {
  if (s->many) {
    if (rank_known(s->x, s->many_of, 0, s->many->items.n, s->many->span)) say_rank(s->x, s->many, s->many_of);
    return;
  }
  Diag *d = diag_add(s->x->diags, DIAG_NO_RANGE, at, "nothing says how far index `%s` runs", s->name);
  if (s->structure)
    diag_help(d, "a model's parameters, taken together, have no index: `sum(v)`, `max(v)` take all of them");
  else diag_help(d, "write its range: `%s < N`", s->name);
}

/* As look_for_range; NULL after a message. */
static Dim *find_range(Elaborator *x, Env *e, Str name, int nothers, const Str *others, Ast **bodies, int nbodies,
                       Span at) {
  RangeSearch s = {.x = x, .env = e, .name = name};
  Dim *range = look_for_range(&s, nothers, others, bodies, nbodies);
  if (!range && !s.failed) say_no_range(&s, at);
  return range;
}

/* Of `i` or `i < N` on the left side; NULL: it is neither. */
static Str index_name(const Ast *item) {
  if (item->kind == AST_BINARY && item->op == OP_LT) item = item->left;
  return item->kind == AST_NAME ? item->name : NULL;
}

/* An index that a declared result gives its range, and whose reads are of another dimension throughout: attention
 * that is normalised along one index and summed along the other. Where it is also shifted, as in x[i + 1] - x[i], its
 * range was thought of; false after a message. */
static bool agrees_with_reads(Elaborator *x, Env *e, Ast *index, Dim *declared, const AstList *indices, Ast *body) {
  RangeSearch s = {.x = x, .env = e, .name = index->name, .quiet = true};
  for (int i = 0; i < indices->n; i++) {
    Str other = index_name(indices->at[i]);
    if (other && other != index->name) vec_push(x->arena, &s.bound, other);
  }
  search(&s, body);
  if (!s.range || s.conflict || s.shifted || s.range == declared || mentions_broken(e, body)) return true;
  const char *is = dim_text(x->arena, declared), *read = dim_text(x->arena, s.range);
  Diag *d = diag_add(x->diags, DIAG_TWO_SIZES, index->span, "index `%s` stands for two sizes, %s and %s", index->name,
                     is, read);
  diag_label(d, "`%s` is %s by the result's type", index->name, is);
  diag_place(d, s.span, "but %s here (%s)", read, dimension_of(x, s.dimension, s.read));
  diag_help(d, "write the range, `%s < %s`, if this is meant", index->name, is);
  return false;
}

/* A bound index: its Var on the stack, its name in e. Over the batch's dimension it carries the examples' places. */
static Var *bind_index(Elaborator *x, Env **e, Str name, Dim *extent, Span at) {
  Var *v = var_fresh(x->ir, extent);
  Expr *place = NULL;
  if (x->batch && extent == x->batch && !x->generic) {
    Dim *shape[1] = {extent};
    Form *f[1] = {form_var(x->ir, v)};
    place = expr_read(x->ir, graph_named_input(x, "$place", DT_i64, 1, shape, at), f);
  }
  stack_push(x, v, place);
  *e = env_bind(x, *e, name, value_index(x, form_var(x->ir, v), extent, at), at);
  (*e)->is_index = true;
  return v;
}

typedef struct OpenIndices { /* of a left side: those without a written or declared range */
  int n;
  Ast **names; /* of the left side */
  Str *open;   /* NULL where a range is known */
  Dim **extents;
} OpenIndices;

/* Ranges of the open indices, each bound in *known when it has one, since of f(x[i])[h] the range of i comes before
 * that of h. False after a message, about one whose range hangs on no other. */
static bool find_ranges(Elaborator *x, Env **known, const OpenIndices *o, Ast *body) {
  for (bool more = true; more;) {
    int waiting = -1, stuck = -1;
    RangeSearch of_stuck = {0};
    more = false;
    for (int i = 0; i < o->n; i++) {
      if (!o->open[i]) continue;
      RangeSearch s = {.x = x, .env = *known, .name = o->open[i]};
      if ((o->extents[i] = look_for_range(&s, o->n, o->open, &body, 1))) {
        bind_index(x, known, o->open[i], o->extents[i], o->names[i]->span);
        o->open[i] = NULL;
        more = true;
        continue;
      }
      if (s.failed) return false;
      waiting = i;
      if (stuck < 0 || (of_stuck.blocked && !s.blocked)) stuck = i, of_stuck = s;
    }
    if (waiting >= 0 && !more) say_no_range(&of_stuck, o->names[stuck]->span);
    if (waiting >= 0 && !more) return false;
    more = more && waiting >= 0;
  }
  return true;
}

/* ---- reads ---- */

typedef struct Guard {
  Expr *inside; /* NULL: nothing to test */
  bool fails;   /* a message was given */
} Guard;

/* Generic code: is the answer the same whatever the dimensions are? */
static bool decided(Elaborator *x, const Value *v, Form *f, Dim *extent) {
  bool number = dim_is_const(extent, NULL);
  if (v->kind == VALUE_TENSOR && !v->weak) return number && (!v->bound || dim_is_const(v->bound, NULL));
  bool fixed = number;
  for (int i = 0; i < f->n; i++) {
    if (f->terms[i].atom->kind != ATOM_VAR) return false;
    fixed = fixed && dim_is_const(f->terms[i].atom->var->extent, NULL);
  }
  Range r = form_range(x->ir, f);
  return fixed || (r.has_lower && r.lower < 0);
}

static void check_inside(Elaborator *x, Guard *g, Ast *read, int dimension, Value *v, Form *f, Dim *extent,
                         bool guarded) {
  Ast *item = read->items.at[dimension];
  if (form_proves_inside(x->ir, f, extent)) return;
  if (v->bound && dim_at_least(x->ir, dim_sub(x->ir, extent, v->bound), 0)) return;
  if (guarded) {
    g->inside = expr_and(x->ir, g->inside, expr_inside(x->ir, f, extent));
    return;
  }
  if (x->generic && !decided(x, v, f, extent)) return; /* tested where the dimensions are known */
  g->fails = true;
  if (v->kind == VALUE_TENSOR && !value_is_form(v)) {
    Diag *d =
        diag_add(x->diags, DIAG_UNPROVED_INDEX, item->span, "this index is %s, which is not known to be below %s",
                 value_type_text(x, v), dim_text(x->arena, extent));
    diag_help(d, "declare it i32<%s>, or say what stands outside", dim_text(x->arena, extent));
    suggest_guard(x, d, read);
    return;
  }
  Range r = form_range(x->ir, f);
  Diag *d;
  int64_t last;
  if (item->kind == AST_INTEGER && dim_is_const(extent, &last) && last > 0) {
    d = diag_add(x->diags, DIAG_OUTSIDE, item->span, "index %lld of a dimension of %lld", (long long)item->integer,
                 (long long)last);
    diag_help(d, "the first is 0 and the last %lld, or -1", (long long)last - 1);
    say_calls(x, d);
    return;
  }
  if (r.has_lower && r.has_upper)
    d = diag_add(x->diags, DIAG_OUTSIDE, item->span, "the %s index runs from %lld to %lld, and the dimension is %s",
                 ordinal(dimension), (long long)r.lower, (long long)r.upper, dim_text(x->arena, extent));
  else
    d = diag_add(x->diags, DIAG_OUTSIDE, item->span, "the %s index is not known to stay inside %s",
                 ordinal(dimension), dim_text(x->arena, extent));
  diag_help(d, "say what stands outside");
  suggest_guard(x, d, read);
  say_calls(x, d);
}

static bool slice_part(Elaborator *x, Env *e, Ast *a, Dim *extent, Dim **out) {
  Value *v = elaborate_expr(x, e, a);
  if (!v) return false;
  if (v->kind != VALUE_INT) {
    diag_add(x->diags, DIAG_NOT_A_DIMENSION, a->span, "a slice's parts must be integers known at compile time");
    return false;
  }
  bool negative = a->kind == AST_INTEGER && a->integer < 0;
  *out = negative ? dim_add(x->ir, extent, v->dim) : v->dim;
  return true;
}

/* low:high:step of a dimension: the form of the kept index, and its extent. */
static bool slice(Elaborator *x, Env *e, Ast *a, Dim *extent, Var **kept, Form **f) {
  Dim *low = dim_const(x->ir, 0), *high = extent;
  int64_t step = 1;
  if (a->low && !slice_part(x, e, a->low, extent, &low)) return false;
  if (a->high && !slice_part(x, e, a->high, extent, &high)) return false;
  if (a->step) {
    Dim *d = dim_of(x, e, a->step);
    if (!d) return false;
    if (!dim_is_const(d, &step) || step <= 0) {
      diag_add(x->diags, DIAG_BAD_SLICE, a->step->span, "a slice's step must be a positive number");
      return false;
    }
  }
  Dim *n = dim_sub(x->ir, high, low);
  bool fits = dim_at_least(x->ir, low, 0) && dim_at_least(x->ir, dim_sub(x->ir, extent, high), 0) &&
              dim_at_least(x->ir, n, 0);
  if (!fits && (!x->generic || (dim_is_const(low, NULL) && dim_is_const(high, NULL) && dim_is_const(extent, NULL)))) {
    diag_add(x->diags, DIAG_BAD_SLICE, a->span, "the slice %s:%s is not inside 0:%s", dim_text(x->arena, low),
             dim_text(x->arena, high), dim_text(x->arena, extent));
    return false;
  }
  if (step > 1) n = dim_floordiv(x->ir, dim_add(x->ir, n, dim_const(x->ir, step - 1)), dim_const(x->ir, step));
  *kept = var_fresh(x->ir, n);
  *f = form_add(x->ir, form_scale(x->ir, form_var(x->ir, *kept), step), form_dim(x->ir, low));
  return true;
}

/* low:high:step of several instances; of any number of them, in generic code, any number. */
static Value *array_slice(Elaborator *x, Env *e, Ast *a, const Value *base) {
  Value *part = value_at(x, base, a->span);
  Var *kept;
  Form *f;
  int64_t n;
  if (base->unknown) return part;
  if (!slice(x, e, a->items.at[0], dim_const(x->ir, base->n), &kept, &f) || !dim_is_const(kept->extent, &n))
    return NULL;
  part->n = (int)n;
  part->items = NEW_ARRAY(x->arena, Value *, part->n + 1);
  for (int i = 0; i < part->n; i++) part->items[i] = base->items[f->c0 + i * form_coefficient(f, kept)];
  return part;
}

/* Names for n parts: `a, b, c`. */
static const char *letters(Elaborator *x, int n) {
  const char *list = "a";
  for (int i = 1; i < n && i < 26; i++) list = arena_printf(x->arena, "%s, %c", list, 'a' + i);
  return list;
}

/* One of the parts of a result, or one or some of several instances. */
static Value *array_item(Elaborator *x, Env *e, Ast *a, Value *base) {
  Value *s = base->kind == VALUE_STRUCTURE ? base : NULL; /* of an array */
  bool slices = a->items.at[0]->kind == AST_SLICE;
  if (a->items.n == 1 && slices && base->kind == VALUE_ARRAY) return array_slice(x, e, a, base);
  if (a->items.n != 1 || slices) {
    Diag *d = say_rank(x, a, base);
    if (base->kind == VALUE_TUPLE)
      diag_help(d, "take it apart, `%s = %s`, and read the part that is meant", letters(x, base->n),
                written(x, a->base->span));
    else diag_help(d, "a number picks one of them; `for part in %s { … }` goes over all", written(x, a->base->span));
    return NULL;
  }
  Value *v = elaborate_expr(x, e, a->items.at[0]);
  if (s) base = s->of;
  int64_t c;
  if (!v) return NULL;
  bool number = v->kind == VALUE_INT && dim_is_const(v->dim, &c);
  if (x->generic && v->kind == VALUE_INT && (base->unknown || !number) && !(number && c == 0)) return NULL; /* any */
  if (!number) {
    Diag *d = diag_add(x->diags, DIAG_NOT_A_DIMENSION, a->items.at[0]->span,
                       "which one must be an integer known at compile time");
    Str name = a->base->kind == AST_NAME || a->base->kind == AST_MEMBER ? a->base->name : NULL;
    if (name)
      diag_help(d, "`for k, part in %s { … }` goes over all of them, k being 0, 1, …", written(x, a->base->span));
    return NULL;
  }
  if (c < 0) c += base->n;
  if (c >= 0 && c < base->n) return s ? structure_item(x, s, (int)c, a->span) : base->items[c];
  diag_add(x->diags, DIAG_OUTSIDE, a->items.at[0]->span, "there are %d, counted from 0", base->n);
  return NULL;
}

static Value *index_of(Elaborator *x, Env *e, Ast *a, Value *base, Ast *otherwise);

/* Of values for each parameter and each of some indices: those of one. */
static Value *structure_taken(Elaborator *x, Env *e, Ast *a, const Value *base, Ast *otherwise) {
  Value **items = NEW_ARRAY(x->arena, Value *, base->n + 1);
  for (int i = 0; i < base->n; i++)
    if (!(items[i] = index_of(x, e, a, base->items[i], otherwise))) return NULL;
  Value *v = structure_with(x, base, items, a->span);
  for (int i = 0; i < a->items.n; i++) v->lead -= a->items.at[i]->kind != AST_SLICE;
  return v;
}

Value *elaborate_index(Elaborator *x, Env *e, Ast *a, Ast *otherwise) {
  Value *base = elaborate_expr(x, e, a->base);
  if (!base) return NULL;
  if (base->kind == VALUE_STRUCTURE && a->items.n <= base->lead) return structure_taken(x, e, a, base, otherwise);
  return index_of(x, e, a, base, otherwise);
}

/* What stands outside of a tensor of t, over the indices that a read keeps: a number, or a tensor of that shape. NULL
 * after a message. */
static Expr *element_outside(Elaborator *x, Value *out, DType t, int n, Var *const *kept, Span at) {
  Dim *shape[16];
  Form *forms[16];
  for (int i = 0; i < n; i++) {
    shape[i] = kept[i]->extent;
    forms[i] = form_var(x->ir, kept[i]);
  }
  if (!(out = value_coerce(x, out, t, at))) return NULL;
  if (!out->rank) return out->expr;
  bool same = out->rank == n;
  for (int i = 0; same && i < n; i++) same = out->shape[i] == shape[i];
  if (same) return value_element(x, out, forms);
  diag_add(x->diags, DIAG_WRONG_SHAPE, at, "what stands outside is %s, and what is read %s%s",
           value_type_text(x, out), dtype_name(t), n ? shape_text(x, n, shape) : "");
  return NULL;
}

/* An element, or a row, of an array that was written out, at places that are known when the program is compiled.
 * NULL: they are not. */
static Value *written_item(Elaborator *x, Value *base, int n, Form **at) {
  for (int i = 0; i < n; i++) {
    int64_t extent = 0;
    bool known = base->items && base->rank && dim_is_const(base->shape[0], &extent) && !at[i]->n;
    if (!known || at[i]->c0 < 0 || at[i]->c0 >= extent) return NULL;
    base = literal_element(x, base, (int)at[i]->c0);
  }
  return base;
}

static Value *index_of(Elaborator *x, Env *e, Ast *a, Value *base, Ast *otherwise) {
  bool several = base->kind == VALUE_STRUCTURE && base->of->kind == VALUE_ARRAY;
  if (base->kind == VALUE_ARRAY && a->items.n > 1 && a->items.at[0]->kind != AST_SLICE) { /* [[1, 2], [3, 4]][1, 0] */
    Ast first = *a, rest = *a;
    first.items.n = 1;
    rest.items.at++;
    rest.items.n--;
    Value *row = array_item(x, e, &first, base);
    return row ? index_of(x, e, &rest, row, otherwise) : NULL;
  }
  if (base->kind == VALUE_ARRAY || base->kind == VALUE_TUPLE || several) return array_item(x, e, a, base);
  if (!rank_known(x, base, 0, a->items.n, a->span)) return NULL;
  if (base->kind != VALUE_TENSOR || base->rank < a->items.n) {
    Diag *d = say_rank(x, a, base);
    if (value_is_structure(base)) {
      diag_help(d,
                "taken together they are summed and compared, and have no order; a parameter is picked by its name");
      say_calls(x, d);
    }
    for (int i = 0; i < a->items.n; i++)
      if (a->items.at[i]->kind == AST_NAME && !strcmp(a->items.at[i]->name, "None"))
        diag_help(d, "a dimension more is one more index of what is made, `[k < 1, i] => x[i]`");
    return NULL;
  }
  Form *at[16];
  Var *kept[16];
  int nkept = 0;
  bool slices = false;
  Guard g = {0};
  bool numbers = true; /* places that are known when the program is compiled */
  for (int i = 0; i < base->rank; i++) {
    Ast *item = i < a->items.n ? a->items.at[i] : NULL;
    if (!item) {
      kept[nkept] = var_fresh(x->ir, base->shape[i]);
      at[i] = form_var(x->ir, kept[nkept++]);
      continue;
    }
    if (item->kind == AST_SLICE) {
      slices = true;
      if (!slice(x, e, item, base->shape[i], &kept[nkept], &at[i])) return NULL;
      numbers = false;
      nkept++;
      continue;
    }
    Value *v = elaborate_expr(x, e, item);
    if (!v) return NULL;
    if (v->kind == VALUE_TENSOR && v->rank) {
      Diag *d = diag_add(x->diags, DIAG_TENSOR_INDEX, item->span, "an index is one integer, and this is %s",
                         value_type_text(x, v));
      if (v->dtype == DT_bool) diag_help(d, "elements are chosen by `where`, as in `sum(i where m[i]: x[i])`");
      else if (dtype_is_int(v->dtype)) diag_help(d, "name an index of it");
      suggest_index_of_index(x, e, d, a, item, base, v);
      return NULL;
    }
    if (v->kind != VALUE_INT && !(v->kind == VALUE_TENSOR && dtype_is_int(v->dtype))) {
      diag_add(x->diags, DIAG_WRONG_TYPE, item->span, "an index is an integer, and this is %s",
               value_type_text(x, v));
      return NULL;
    }
    at[i] = value_form(x, v);
    if (item->kind == AST_INTEGER && item->integer < 0)
      at[i] = form_add(x->ir, at[i], form_dim(x->ir, base->shape[i]));
    check_inside(x, &g, a, i, v, at[i], base->shape[i], otherwise != NULL);
    numbers = numbers && v->kind == VALUE_INT;
  }
  if (g.fails) return NULL;
  if (base->items && numbers) {
    for (int i = 0; x->generic && i < a->items.n; i++)
      if (at[i]->n) return NULL; /* any of them */
    Value *item = written_item(x, base, a->items.n, at);
    if (item) return item;
  }
  Value *out = NULL;
  Expr *outside = NULL;
  Dim *bound = base->bound;
  if (otherwise && !(out = elaborate_expr(x, e, otherwise))) return NULL;
  if (g.inside) bound = limit_of_either(x, base, out);
  if (out && !(outside = element_outside(x, out, base->dtype, nkept, kept, otherwise->span))) return NULL;
  if (!slices && !g.inside) {
    Value *r = value_take(x, base, a->items.n, at);
    bool whole = r && dtype_is_int(base->dtype) && a->items.n == base->rank;
    if (whole && literal_is_written(x, base)) r->weak = true; /* as each of the numbers would */
    return r;
  }
  Expr *read = value_element(x, base, at);
  if (g.inside) read = expr_select(x->ir, g.inside, read, outside);
  Value *v = value_tensor(x, nkept, kept, read, a->span);
  if (v) v->bound = bound;
  return v;
}

/* ---- comprehensions ---- */

/* p[t, u] = softmax(w: s[t, w]): w is kept, and the left side does not have it. */
static void say_kept(Elaborator *x, const AstList *left, const Ast *body) {
  if (body->kind != AST_APPLY || (body->callee->kind == AST_NAME && is_reduction(body->callee->name))) return;
  Diag *d = x->diags->all.n ? x->diags->all.at[x->diags->all.n - 1] : NULL;
  for (int i = 0; i < body->binders->items.n && d && d->code == DIAG_NO_RANGE; i++) {
    const Ast *b = body->binders->items.at[i];
    bool there = false;
    for (int k = 0; k < left->n; k++) there = there || left->at[k]->name == b->name;
    if (!there) diag_place(d, b->span, "this index is kept in the result, and is none of the left side");
  }
}

/* The element v of a comprehension over vars, as the whole tensor; of several parts, each of them. */
static Value *whole_of(Elaborator *x, Value *v, int n, Var **vars, const Ast *body, const Type *expected, Span at) {
  if (v->kind == VALUE_TUPLE) {
    Value *t = NEW(x->arena, Value);
    *t = *v;
    t->items = NEW_ARRAY(x->arena, Value *, v->n);
    for (int i = 0; i < v->n; i++)
      if (!v->items[i] || !(t->items[i] = whole_of(x, v->items[i], n, vars, body, NULL, at))) return NULL;
    return t;
  }
  if (v->kind == VALUE_STRUCTURE) return value_abstract(x, v, n, vars);
  if (v->kind == VALUE_FLAG) v = value_runtime(x, v);
  if (!value_is_number(v)) {
    diag_add(x->diags, DIAG_WRONG_TYPE, body->span, "an element is a number, and this is %s", value_type_text(x, v));
    return NULL;
  }
  bool literal = v->kind != VALUE_TENSOR, adapts = expected && dtype_is_float(expected->dtype);
  if (literal && adapts) v = value_coerce(x, v, expected->dtype, v->span);
  if (!v) return NULL;
  v = value_runtime(x, v);
  DType own = weak_dtype(x, v);
  if (adapts && (dtype_is_int(v->dtype) || expected->dtype == float_default(x))) own = expected->dtype;
  if (v->weak && !v->rank) v = value_coerce(x, v, own, v->span);
  if (!v || !(v = value_abstract(x, v, n, vars))) return NULL;
  if (v->span.source != at.source || !v->node) v->span = at;
  return v;
}

Value *elaborate_comprehension(Elaborator *x, Env *e, AstList *items, Ast *body, const Type *expected, Span at) {
  int n = items->n, mark = x->stack.n;
  if (n > 8) {
    diag_add(x->diags, DIAG_RANK_LIMIT, at, "a tensor has at most 8 dimensions");
    return NULL;
  }
  Dim *extents[8] = {0};
  Ast *names[8];
  Env *known = e; /* and the indices whose ranges are known so far */
  Str open[8] = {0};
  for (int i = 0; i < n; i++) {
    Ast *item = items->at[i], *written = NULL;
    if (item->kind == AST_BINARY && item->op == OP_LT) { /* `i < N`: its range */
      written = item->right;
      item = item->left;
    }
    names[i] = item;
    if (item->kind != AST_NAME) {
      Diag *d = diag_add(x->diags, DIAG_INDEX_NAME, item->span, "the left side names indices");
      diag_help(d, "write a name for each dimension of the result");
      return NULL;
    }
    for (int k = 0; k < i; k++)
      if (names[k]->name == item->name) {
        diag_add(x->diags, DIAG_INDEX_NAME, item->span, "`%s` names two dimensions of the result", item->name);
        return NULL;
      }
    extents[i] = written ? dim_of(x, e, written) : expected && expected->rank >= n ? expected->shape[i] : NULL;
    if (written && !extents[i]) return NULL;
    if (extents[i] && !extent_holds(x, extents[i], 0, written ? written->span : item->span)) return NULL;
    if (!written && extents[i] && !agrees_with_reads(x, e, item, extents[i], items, body)) return NULL;
    if (!extents[i]) open[i] = item->name;
  }
  for (int i = 0; i < n; i++)
    if (extents[i]) bind_index(x, &known, names[i]->name, extents[i], names[i]->span);
  bool ranged = find_ranges(x, &known, &(OpenIndices){n, names, open, extents}, body);
  x->stack.n = mark;
  if (!ranged) {
    say_kept(x, items, body);
    return NULL;
  }
  if (!size_fits(x, n, extents, at)) return NULL;
  Var *vars[8];
  for (int i = 0; i < n; i++) vars[i] = bind_index(x, &e, names[i]->name, extents[i], names[i]->span);
  Value *v = elaborate_expr(x, e, body);
  x->stack.n = mark;
  return v ? whole_of(x, v, n, vars, body, expected, at) : NULL;
}

/* ---- reductions ---- */

typedef struct ReduceWord {
  const char *name;
  Reducer reducer; /* RED_none: count, mean */
} ReduceWord;

static const ReduceWord reduce_words[] = {
    {"sum", RED_sum}, {"prod", RED_prod}, {"max", RED_max},       {"min", RED_min},       {"any", RED_any},
    {"all", RED_all}, {"mean", RED_none}, {"argmax", RED_argmax}, {"argmin", RED_argmin}, {"count", RED_none},
};

static const ReduceWord *reduce_word(Str name) {
  for (size_t i = 0; i < sizeof reduce_words / sizeof *reduce_words; i++)
    if (!strcmp(reduce_words[i].name, name)) return &reduce_words[i];
  return NULL;
}

bool is_reduction(Str name) { return reduce_word(name) != NULL; }

/* A reduction of body over red, its result over own: a tensor of own's extents. */
static Value *reduce(Elaborator *x, Reducer r, int nred, Var **red, int nown, Var **own, Expr *body, Span at) {
  Var **all = NEW_ARRAY(x->arena, Var *, x->stack.n + nown);
  Form **prefix = NEW_ARRAY(x->arena, Form *, x->stack.n);
  int n = 0;
  for (int i = 0; i < x->stack.n; i++) {
    Var *v = x->stack.at[i].var;
    bool reduced = false;
    for (int k = 0; k < nred; k++) reduced = reduced || red[k] == v;
    if (!reduced && expr_uses(body, v)) {
      prefix[n] = form_var(x->ir, v);
      all[n++] = v;
    }
  }
  for (int i = 0; i < nown; i++) all[n + i] = own[i];
  Dim **extents = NEW_ARRAY(x->arena, Dim *, n + nown + nred);
  for (int i = 0; i < n + nown; i++) extents[i] = all[i]->extent;
  for (int i = 0; i < nred; i++) extents[n + nown + i] = red[i]->extent;
  if (!rank_fits(x, n + nown, at) || !size_fits(x, n + nown + nred, extents, at)) return NULL;
  Node *node = graph_comp(x->graph, n + nown, all, r, nred, red, body, at);
  Value *v = value_node(x, node, at);
  v = n ? value_take(x, v, n, prefix) : v;
  if (r == RED_argmax || r == RED_argmin) {
    v->bound = dim_const(x->ir, 1);
    for (int i = 0; i < nred; i++) v->bound = dim_mul(x->ir, v->bound, red[i]->extent);
  }
  return v;
}

Value *reduce_vars(Elaborator *x, Reducer r, int n, Var **vars, Expr *body, Span at) {
  return reduce(x, r, n, vars, 0, NULL, body, at);
}

static Expr *identity_of(Elaborator *x, Reducer r, DType t) {
  double v = r == RED_prod || r == RED_all ? 1 : 0;
  if (r == RED_max || r == RED_argmax) v = -(double)INFINITY;
  if (r == RED_min || r == RED_argmin) v = (double)INFINITY;
  if (dtype_is_int(t) && v < 0) return expr_int(x->ir, t, t == DT_i64 ? INT64_MIN : t == DT_i32 ? INT32_MIN : 0);
  if (dtype_is_int(t) && v > 1) return expr_int(x->ir, t, t == DT_i64 ? INT64_MAX : t == DT_i32 ? INT32_MAX : 127);
  return expr_real(x->ir, t, v);
}

static bool reducible(Elaborator *x, const ReduceWord *w, DType t, Span at, const Value *v) {
  bool logic = w->reducer == RED_any || w->reducer == RED_all || !strcmp(w->name, "count");
  if (logic == (t == DT_bool)) return true;
  Diag *d = diag_add(x->diags, DIAG_WRONG_TYPE, at, "%s takes %s, and this is %s", w->name,
                     logic ? "truth values" : "numbers", value_type_text(x, v));
  diag_help(d, logic ? "compare it with something" : "`count` counts truth values; f32(...) gives 0 and 1");
  return false;
}

static Value *reduce_named(Elaborator *x, const ReduceWord *w, int n, Var **vars, Value *v, Expr *cond, Span at);

static Value *reduce_structure(Elaborator *x, const ReduceWord *w, int n, Var **vars, const Value *v, Expr *cond,
                               Span at) {
  Value **items = NEW_ARRAY(x->arena, Value *, v->n + 1);
  for (int i = 0; i < v->n; i++)
    if (!(items[i] = reduce_named(x, w, n, vars, v->items[i], cond, at))) return NULL;
  return structure_with(x, v, items, at);
}

/* Of t numbers the mean, by their sum s over `size` elements or, where cond is given, those that it leaves. */
static Value *mean_of(Elaborator *x, Value *s, DType t, Dim *size, int n, Var **vars, Expr *cond, Span at) {
  int64_t c;
  Value *k, *mean = NULL;
  if (!cond && dim_is_const(size, &c)) { /* a product: the sum's scale is then a constant factor everywhere */
    k = value_scalar(x, expr_real(x->ir, s->dtype, 1.0 / (double)c), at);
    mean = elaborate_scalar_row(x, OP_mul, 2, (Value *[]){s, k}, at);
  } else {
    k = cond ? reduce(x, RED_sum, n, vars, 0, NULL, expr_cast(x->ir, s->dtype, cond), at)
             : value_scalar(x, expr_cast(x->ir, s->dtype, expr_index(x->ir, DT_i64, form_dim(x->ir, size))), at);
    mean = k ? elaborate_scalar_row(x, OP_div, 2, (Value *[]){s, k}, at) : NULL;
  }
  if (!mean || mean->dtype == t) return mean;
  Value *type = value_new(x, VALUE_DTYPE, at);
  type->dtype = t;
  return call_value(x, type, 1, &(CallArg){NULL, mean, at, at}, at);
}

/* word(vars where cond: v), v over vars and perhaps dimensions of its own. */
static Value *reduce_named(Elaborator *x, const ReduceWord *w, int n, Var **vars, Value *v, Expr *cond, Span at) {
  if (v->kind == VALUE_STRUCTURE) return reduce_structure(x, w, n, vars, v, cond, at);
  v = value_runtime(x, v);
  if (v->kind != VALUE_TENSOR) {
    diag_add(x->diags, DIAG_WRONG_TYPE, at, "%s of %s", w->name, value_type_text(x, v));
    return NULL;
  }
  if (v->weak) v = value_coerce(x, v, !strcmp(w->name, "mean") ? float_default(x) : weak_dtype(x, v), at);
  if (!v || !reducible(x, w, v->dtype, at, v)) return NULL;
  bool mean = !strcmp(w->name, "mean");
  if (mean && !dtype_is_float(v->dtype)) {
    Diag *d = diag_add(x->diags, DIAG_WRONG_TYPE, at, "the mean of %s", value_type_text(x, v));
    diag_help(d, "of integers as reals, `mean(f32(x))`");
    return NULL;
  }
  Dim *size = dim_const(x->ir, 1);
  for (int i = 0; i < n; i++) size = dim_mul(x->ir, size, vars[i]->extent);
  Var *own[16];
  Form *forms[16];
  for (int i = 0; i < v->rank; i++) {
    own[i] = var_fresh(x->ir, v->shape[i]);
    forms[i] = form_var(x->ir, own[i]);
  }
  Expr *body = value_element(x, v, forms);
  Reducer r = w->reducer == RED_none ? RED_sum : w->reducer;
  if (!strcmp(w->name, "count")) body = expr_cast(x->ir, DT_i32, body);
  bool adds = r == RED_sum || r == RED_prod;
  if (adds && dtype_is_int(body->dtype) && dtype_bytes(body->dtype) < 4)
    body = expr_cast(x->ir, DT_i32, body); /* which small integers soon add up to */
  if (mean && dtype_bytes(v->dtype) < 4)
    body = expr_cast(x->ir, DT_f32, body); /* of which the sum may be too large */
  bool picks = (r == RED_max || r == RED_min || r == RED_argmax || r == RED_argmin) && !cond;
  if (picks && !dim_at_least(x->ir, size, 1) && dim_is_const(size, NULL)) {
    diag_add(x->diags, DIAG_EMPTY_REDUCTION, at, "%s of no element", w->name);
    return NULL;
  }
  if (picks && !extent_holds(x, size, 1, at)) return NULL;
  if (cond) body = expr_select(x->ir, cond, body, identity_of(x, r, body->dtype));
  Value *s = reduce(x, r, n, vars, v->rank, own, body, at);
  return mean && s ? mean_of(x, s, v->dtype, size, n, vars, cond, at) : s;
}

Value *reduce_whole(Elaborator *x, Reducer r, Value *v, Span at) {
  Var *vars[16];
  Form *forms[16];
  for (int i = 0; i < v->rank; i++) {
    vars[i] = var_fresh(x->ir, v->shape[i]);
    forms[i] = form_var(x->ir, vars[i]);
  }
  return reduce_vars(x, r, v->rank, vars, value_element(x, v, forms), at);
}

/* word(v) of a whole tensor, any rank. NULL with *is false where the name is no such word. */
Value *reduce_call(Elaborator *x, Str name, Value *v, Span at, bool *is) {
  const ReduceWord *w = reduce_word(name);
  *is = w != NULL;
  if (!w) return NULL;
  if (v->kind == VALUE_FLAG) v = value_runtime(x, v);
  if (value_is_structure(v)) return structure_reduce(x, name, v, at);
  if (!value_is_number(v)) {
    diag_add(x->diags, DIAG_WRONG_TYPE, at, "%s of %s", name, value_type_text(x, v));
    return NULL;
  }
  v = value_runtime(x, v);
  Var *vars[16];
  Form *forms[16];
  for (int i = 0; i < v->rank; i++) {
    vars[i] = var_fresh(x->ir, v->shape[i]);
    forms[i] = form_var(x->ir, vars[i]);
  }
  Value *element = value_scalar(x, value_element(x, v, forms), at);
  element->weak = v->weak || (dtype_is_int(v->dtype) && literal_is_written(x, v));
  /* The new indices stand on the stack while the body is made, so that it counts as depending on them. */
  return reduce_named(x, w, v->rank, vars, element, NULL, at);
}

/* ---- f(i, j < N where c: args) ---- */

static Expr *condition(Elaborator *x, Env *e, Ast *where, bool *fails) {
  Value *c = where ? elaborate_expr(x, e, where) : NULL;
  *fails = where && !c;
  if (!c) return NULL;
  c = value_runtime(x, c);
  if (c->kind == VALUE_TENSOR && c->dtype == DT_bool && !c->rank) return c->expr;
  Diag *d = diag_add(x->diags, DIAG_WRONG_TYPE, where->span, "`where` takes a condition, and this is %s",
                     value_type_text(x, c));
  if (c->kind == VALUE_TENSOR && c->dtype == DT_bool)
    diag_help(d, "it is asked for each element: name the element, as `x[i] > 0`");
  *fails = true;
  return NULL;
}

typedef struct Placing { /* binders and where they are in the result */
  int n;
  Var **vars;
  Form **at;
} Placing;

static Form *placed(void *cx, Var *v) {
  const Placing *p = cx;
  for (int i = 0; i < p->n; i++)
    if (p->vars[i] == v) return p->at[i];
  return NULL;
}

/* softmax: 0 where cond leaves the element out, also where it leaves out all of them. */
static Value *left_out(Elaborator *x, Value *v, Expr *cond, int n, Var **vars, Form **at) {
  ExprMap m = {.ir = x->ir, .var = placed, .cx = &(Placing){n, vars, at}};
  return value_scalar(x, expr_select(x->ir, expr_map(&m, cond), v->expr, expr_real(x->ir, v->dtype, 0)), v->span);
}

/* The parameter that takes argument i; NULL: it is not known to be a tensor's. */
static const Ast *parameter_of(const Value *callee, const CallArg *args, int i) {
  const Function *f = callee->kind == VALUE_FUNCTION ? callee->function : NULL;
  const AstList *params = f && f->ast ? &f->ast->params->items : NULL;
  for (int p = 0; params && p < params->n; p++)
    if (args[i].name ? params->at[p]->name == args[i].name : p == i) return params->at[p];
  return NULL;
}

/* Whether a vector is wanted where there are several indices, which then count its elements row by row. */
static bool wants_vector(const Value *callee, const CallArg *args, int i, int n) {
  const Ast *p = parameter_of(callee, args, i);
  bool pack = false;
  int wanted = p && p->type && p->type->kind == AST_TYPE ? type_rank(p->type, &pack) : 0;
  return n > 1 && wanted > 0 && !pack && wanted == args[i].value->rank - n + 1;
}

/* A function of the user's or the library's along indices: the arguments that mention a binder become tensors over
 * them. */
static Value *apply_function(Elaborator *x, Env *e, Env *inner, Ast *a, Value *callee, int n, Var **vars, Env **outer,
                             int mark) {
  int nargs = a->args->items.n;
  CallArg *args = NEW_ARRAY(x->arena, CallArg, nargs);
  bool fails, one_vector = false;
  Expr *cond = condition(x, inner, a->where, &fails);
  bool masks = callee->kind == VALUE_FUNCTION &&
               (!strcmp(callee->function->name, "softmax") || !strcmp(callee->function->name, "logsumexp"));
  if (a->where && !masks && !fails) {
    diag_add(x->diags, DIAG_WHERE_NOT_HERE, a->where->span, "`where` limits reductions, softmax and logsumexp only");
    fails = true;
  }
  for (int i = 0; i < nargs; i++) {
    Ast *arg = a->args->items.at[i];
    bool along = false;
    for (int k = 0; k < n; k++) along = along || mentions(arg->value, a->binders->items.at[k]->name);
    args[i].name = arg->name;
    args[i].span = arg->span;
    Value *v = elaborate_expr(x, along ? inner : e, arg->value);
    if (!v) {
      fails = true;
      continue;
    }
    if (along) {
      v = value_runtime(x, v);
      if (v->kind == VALUE_TENSOR && v->weak) v = value_coerce(x, v, weak_dtype(x, v), arg->span);
      if (v && cond && v->kind == VALUE_TENSOR && !v->rank && dtype_is_float(v->dtype))
        v = value_scalar(x, expr_select(x->ir, cond, v->expr, expr_real(x->ir, v->dtype, -(double)INFINITY)),
                         v->span);
    }
    args[i].value = v;
    if (!v) fails = true;
    if (v && along && v->kind == VALUE_TENSOR) {
      int keep = x->stack.n;
      x->stack.n = mark;
      args[i].value = v = value_abstract(x, v, n, vars);
      bool flat = v && wants_vector(callee, args, i, n);
      if (flat) args[i].value = value_as_vector(x, v, n, arg->span);
      if (!args[i].value) fails = true;
      one_vector = one_vector || flat;
      x->stack.n = keep;
    }
  }
  x->stack.n = mark;
  if (fails) return NULL;
  Value *r = call_value(x, callee, nargs, args, a->span);
  if (!r || r->kind != VALUE_TENSOR || r->rank < (one_vector ? 1 : n)) return r;
  /* The dimensions are kept: each binder must be an index that is bound already. */
  Form *at[8];
  for (int k = 0; k < n; k++) {
    Ast *b = a->binders->items.at[k];
    if (!outer[k] || !outer[k]->is_index) {
      Diag *d = diag_add(x->diags, DIAG_BINDER_KEPT, b->span,
                         "`%s` is kept in the result, so it must be an index of the left side", b->name);
      diag_help(d, "a result's index is named on its left side");
      if (n == 1) suggest_kept(x, d, a, b->name);
      return NULL;
    }
    at[k] = value_form(x, outer[k]->value);
  }
  Dim *extents[8];
  for (int k = 0; k < n; k++) extents[k] = vars[k]->extent;
  Form *place = one_vector ? flat_place(x, n, extents, at) : NULL;
  if (one_vector && !place) place = form_const(x->ir, 0); /* generic code; else there would be no vector */
  r = one_vector ? value_take(x, r, 1, &place) : value_take(x, r, n, at);
  return cond && !r->rank ? left_out(x, r, cond, n, vars, at) : r;
}

Value *elaborate_apply(Elaborator *x, Env *e, Ast *a) {
  int n = a->binders->items.n, mark = x->stack.n, nargs = a->args->items.n;
  if (n > 8) {
    diag_add(x->diags, DIAG_RANK_LIMIT, a->span, "at most 8 indices");
    return NULL;
  }
  const ReduceWord *word = NULL;
  if (a->callee->kind == AST_NAME && !env_find(e, a->callee->name) && !decl_find(x, x->module, a->callee->name))
    word = reduce_word(a->callee->name);
  Value *callee = word ? NULL : elaborate_expr(x, e, a->callee);
  if (!word && !callee) return NULL;
  if (callee && callee->kind == VALUE_FUNCTION && !callee->function->ast) word = reduce_word(callee->function->name);
  Var *vars[8];
  Env *inner = e, *outer[8];
  Str names[8];
  for (int i = 0; i < n; i++) names[i] = a->binders->items.at[i]->name;
  Ast *bodies[16];
  int nbodies = 0;
  for (int i = 0; i < nargs && i < 15; i++) bodies[nbodies++] = a->args->items.at[i]->value;
  if (a->where) bodies[nbodies++] = a->where;
  for (int i = 0; i < n; i++) {
    Ast *b = a->binders->items.at[i];
    for (int k = 0; k < i; k++)
      if (names[k] == b->name) {
        diag_add(x->diags, DIAG_INDEX_NAME, b->span, "`%s` is named twice", b->name);
        x->stack.n = mark;
        return NULL;
      }
    outer[i] = env_find(e, b->name);
    if (word && outer[i] && outer[i]->is_index) {
      Diag *d = diag_add(x->diags, DIAG_INDEX_NAME, b->span, "`%s` is an index already, and %s uses it up", b->name,
                         word->name);
      diag_place(d, outer[i]->span, "bound here");
      diag_help(d, "give the reduction a name of its own");
      return NULL;
    }
    Dim *extent = b->bound ? dim_of(x, e, b->bound) : NULL;
    if (extent && !extent_holds(x, extent, 0, b->bound->span)) extent = NULL;
    if (!b->bound && outer[i] && outer[i]->is_index && value_is_form(outer[i]->value) && outer[i]->value->bound)
      extent = outer[i]->value->bound;
    else if (!b->bound) extent = find_range(x, inner, b->name, n - i, names + i, bodies, nbodies, b->span);
    if (!extent) {
      x->stack.n = mark;
      return NULL;
    }
    vars[i] = bind_index(x, &inner, b->name, extent, b->span);
  }
  if (!word) return apply_function(x, e, inner, a, callee, n, vars, outer, mark);
  if (nargs != 1 || a->args->items.at[0]->name) {
    diag_add(x->diags, DIAG_ARGUMENTS, a->span, "%s takes one expression after the colon", word->name);
    x->stack.n = mark;
    return NULL;
  }
  bool fails;
  Expr *cond = condition(x, inner, a->where, &fails);
  Value *v = fails ? NULL : elaborate_expr(x, inner, a->args->items.at[0]->value);
  Value *r = v ? reduce_named(x, word, n, vars, v, cond, a->span) : NULL;
  x->stack.n = mark;
  return r;
}
