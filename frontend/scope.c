/* scope.c - what a name means: what is bound around an expression, then the file's declarations, its imports, and the
 * library. */
#include "frontend/value.h"
#include "lang/closest.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

bool is_dimension_name(Str s) {
  if (!isupper((unsigned char)s[0])) return false;
  for (const char *p = s; *p; p++)
    if (!isupper((unsigned char)*p) && !isdigit((unsigned char)*p) && *p != '_') return false;
  return true;
}

static bool has_name(const void *name, const void *decl) { return ((const Decl *)decl)->name == name; }

Decl *module_find(const Module *m, Str name) {
  return intern_find(&m->names, hash_mix(0, (uint64_t)(uintptr_t)name), has_name, name);
}

void module_add(Elaborator *x, Module *m, Decl *d) {
  vec_push(x->arena, &m->decls, d);
  if (d->name[0] && !module_find(m, d->name))
    intern_add(&m->names, x->arena, hash_mix(0, (uint64_t)(uintptr_t)d->name), d);
}

Decl *decl_find(Elaborator *x, Module *m, Str name) {
  Decl *d = module_find(m, name);
  for (int i = 0; !d && i < m->imports.n; i++) d = decl_brought(m->imports.at[i], name);
  if (!d && x->prelude) d = module_find(x->prelude, name);
  /* The user's own relu is meant wherever relu is called, by the library's layers too; data called relu is not. */
  Decl *users = m->library && d && x->modules.n ? module_find(x->modules.at[0], name) : NULL;
  return users && users->kind == d->kind ? users : d;
}

/* Of two names as close as each other, is `a` the one that begins in the case in which `name` does? */
static bool same_case(Str name, const char *a, const char *b) {
  bool upper = isupper((unsigned char)name[0]) != 0;
  return b && (isupper((unsigned char)a[0]) != 0) == upper && (isupper((unsigned char)b[0]) != 0) != upper;
}

void nearest_consider(Nearest *n, const char *candidate) {
  if (!candidate || candidate == n->name) return;
  int distance = name_distance(n->name, candidate);
  bool longer = n->longer && n->found && strlen(candidate) > strlen(n->found);
  if (distance > n->limit) return;
  if (distance == n->limit && !longer && !same_case(n->name, candidate, n->found)) return;
  n->limit = distance;
  n->found = candidate;
}

/* Whether `candidate` may stand for what begins as `name` does: values, models and dimensions are told apart by case,
 * in which alone longer names may differ. */
static bool is_alike(const char *name, const char *candidate) {
  bool upper = isupper((unsigned char)name[0]) != 0;
  if (!candidate) return false;
  if (is_dimension_name(name) == is_dimension_name(candidate) && (isupper((unsigned char)candidate[0]) != 0) == upper)
    return true;
  return strlen(name) > 2 && !strcasecmp(name, candidate);
}

/* A value of the file or a function; of a model that is not the library's the name in another case is an instance. */
static bool may_be_meant(Str name, const Decl *d) {
  bool called = d->kind != DECL_ENTRY && d->kind != DECL_TRAIN && d->kind != DECL_TEST;
  bool instance = d->kind == DECL_MODEL && !d->module->library && !isupper((unsigned char)name[0]);
  return called && !instance && is_alike(name, d->name);
}

const char *closest_name(Elaborator *x, Env *e, Str name) {
  const int limit = (int)strlen(name) > 4 ? 3 : (int)strlen(name) > 2 ? 2 : 1;
  Nearest own = {name, limit, NULL, false}, library = {name, limit, NULL, true};
  for (; e; e = e->up)
    if (is_alike(name, e->name)) nearest_consider(&own, e->name);
  for (int i = 0; i < x->module->decls.n; i++)
    if (may_be_meant(name, x->module->decls.at[i])) nearest_consider(&own, x->module->decls.at[i]->name);
  for (int i = 0; x->prelude && i < x->prelude->decls.n; i++)
    if (may_be_meant(name, x->prelude->decls.at[i])) nearest_consider(&library, x->prelude->decls.at[i]->name);
  for (int i = 0; row_name(i); i++) nearest_consider(&library, row_name(i));
  return own.found && own.limit <= library.limit ? own.found : library.found;
}

/* The type that a name casts to; `float` is one of its function's arguments, and f32 where none says more. */
static bool cast_named(Elaborator *x, Str name, DType *t) {
  bool ok;
  *t = dtype_of_name(x, name, &ok);
  if (!ok && !strcmp(name, "float")) *t = float_default(x), ok = true;
  return ok;
}

Value *name_find(Elaborator *x, Env *e, Str name, Span at) {
  Env *b = env_find(e, name);
  if (b && b->reach != REACH_ALL) {
    Diag *d = diag_add(
        x->diags, DIAG_LOOP_SCOPE, at,
        b->reach == REACH_KEPT ? "`%s` is kept for after the loop" : "a state starts before there is a `%s`", name);
    diag_place(d, b->span, b->reach == REACH_KEPT ? "kept here" : "the loop's step");
    if (b->reach == REACH_KEPT) diag_help(d, "give the value a name before it is kept, and read that");
    return NULL;
  }
  if (b) return value_settled(x, b->value, at);
  Decl *d = decl_find(x, x->module, name);
  if (d) return decl_value(x, d, at);
  DType t;
  if (cast_named(x, name, &t)) {
    Value *v = value_new(x, VALUE_DTYPE, at);
    v->dtype = t;
    return v;
  }
  return row_function(x, name, at);
}

bool name_exists(Elaborator *x, Env *e, Str name) {
  return cast_named(x, name, &(DType){0}) || env_find(e, name) || decl_find(x, x->module, name) ||
         row_function(x, name, (Span){0});
}

enum { MORE_PLACES = 5 }; /* of one name that is not defined */

/* One more place of a message; NULL. */
static Diag *say_again(Diag *d, Span at) {
  if (span_same(d->at, at)) return NULL;
  if (d->labels.n <= MORE_PLACES) diag_place(d, at, "and here");
  d->fix.source = 0; /* one place is not all of it */
  return NULL;
}

bool said_unknown(Elaborator *x, Str name, Span at) {
  for (int i = 0; i < x->unknown.n; i++) {
    const Unknown *u = &x->unknown.at[i];
    if (u->name != name || u->source != at.source) continue;
    say_again(u->said, at);
    return true;
  }
  return false;
}

Diag *say_unknown(Elaborator *x, DiagCode code, Str name, Span at, const char *message) {
  if (said_unknown(x, name, at)) return NULL;
  Diag *d = diag_add(x->diags, code, at, "%s", message);
  vec_push(x->kept, &x->unknown, (Unknown){name, at.source, d});
  return d;
}

Diag *say_of_definition(Elaborator *x, DiagCode code, Span at, Span defined, const char *message) {
  if (!is_users(x, defined)) return diag_add(x->diags, code, at, "%s", message);
  Diag *before = same_cause(x, code, defined, message);
  return before ? say_again(before, at)
                : diag_place(diag_add(x->diags, code, at, "%s", message), defined, "defined here");
}

Diag *say_of_value(Elaborator *x, DiagCode code, Span at, const Value *v, const char *message) {
  bool elsewhere = v->span.source && is_users(x, v->span) && !span_holds(at, v->span);
  for (int i = 0; elsewhere && i < x->wrong.n; i++)
    if (x->wrong.at[i].said->sink == x->diags && span_same(x->wrong.at[i].defined, v->span))
      return say_again(x->wrong.at[i].said, at);
  Diag *d = diag_add(x->diags, code, at, "%s", message);
  if (elsewhere) vec_push(x->kept, &x->wrong, (WrongValue){v->span, d});
  return d;
}

Value *name_lookup(Elaborator *x, Env *e, Str name, Span at) {
  if (!strcmp(name, "training")) return value_flag(x, x->training, at);
  if (name_exists(x, e, name)) return name_find(x, e, name, at);
  if (x->field) return data_part(x, name, at);
  Value *reduction = reduction_function(x, name, at);
  if (reduction) return reduction;
  Diag *d = say_unknown(x, DIAG_UNKNOWN_NAME, name, at, arena_printf(x->arena, "`%s` is not defined", name));
  if (!d) return NULL;
  const char *help = foreign_help(name);
  Str data = data_with_field(x, name);
  if (data) diag_fix(diag_help(d, "`%s` has such a field: `%s.%s`", data, data, name), at, "%s.%s", data, name);
  else if (help) diag_help(d, "%s", help);
  else if (x->diags->errors < 100) diag_meant(d, at, closest_name(x, e, name));
  if (!d->help && x->generic && is_dimension_name(name))
    diag_help(d,
              "a dimension stands alone in a parameter's type, `x: f32[N]`; what is computed of it follows, `N / 4`");
  return NULL;
}
