/* start.c - `net = Net() from "base.safetensors" skip "head"`: an instance whose first weights come from a file. The
 * program reads it when it is trained, since a path is known only there; what it may lack is checked here. */
#include "frontend/value.h"

#include <string.h>

static bool is_below(const char *name, const char *path) {
  size_t n = strlen(path);
  return !strncmp(name, path, n) && (name[n] == '.' || !name[n]);
}

/* The name of a tensor of the instance without the instance's own; NULL: it is none. */
static const char *name_within(const ProgramTensor *p, Str instance) {
  const char *name = p->name;
  if (p->role == ROLE_state && !strncmp(name, "state/", 6)) name += 6;
  else if (p->role != ROLE_param && p->role != ROLE_frozen) return NULL;
  return is_below(name, instance) && name[strlen(instance)] ? name + strlen(instance) + 1 : NULL;
}

static bool has_part(Elaborator *x, Str instance, Str part, Nearest *near) {
  bool has = false;
  for (int i = 0; i < x->program->tensors.n; i++) {
    const char *name = name_within(&x->program->tensors.at[i], instance);
    if (!name) continue;
    has = has || is_below(name, part);
    nearest_consider(near, name);
    const char *dot = strchr(name, '.');
    if (dot) nearest_consider(near, str_intern(x->strings, name, (size_t)(dot - name)));
  }
  return has;
}

static bool add_skipped(Elaborator *x, Env *e, Start *s, Ast *a) {
  Value *v = elaborate_expr(x, e, a);
  if (!v) return false;
  Nearest near = {v->kind == VALUE_STRING ? v->text : "", 3, NULL, false};
  if (v->kind == VALUE_STRING && has_part(x, s->instance, v->text, &near)) {
    vec_push(x->arena, &s->skip, v->text);
    return true;
  }
  Diag *d =
      v->kind == VALUE_STRING
          ? diag_add(x->diags, DIAG_START, a->span, "`%s` has no part `%s`", s->instance, v->text)
          : diag_add(x->diags, DIAG_START, a->span, "a part's name is wanted, and this is %s", value_type_text(x, v));
  if (near.found) diag_fix(diag_help(d, "did you mean `%s`?", near.found), a->span, "\"%s\"", near.found);
  else
    diag_help(d,
              "parts are named as in a checkpoint, without the instance: \"fc1.weight\", or \"fc1\" for all of it");
  return false;
}

void start_from(Elaborator *x, Env *e, const Ast *a, const Value *v, Str path) {
  if (!a->from || x->generic) return;
  Value *file = elaborate_expr(x, e, a->from);
  if (!file) return;
  if (file->kind != VALUE_STRING || (v->kind != VALUE_INSTANCE && v->kind != VALUE_ARRAY)) {
    bool path_wrong = file->kind != VALUE_STRING;
    diag_add(x->diags, DIAG_START, path_wrong ? a->from->span : a->value->span,
             path_wrong ? "a file's path is wanted after `from`, and this is %s"
                        : "only a model's instance is loaded by `from`, and this is %s",
             value_type_text(x, path_wrong ? file : v));
    return;
  }
  Start s = {.instance = v->kind == VALUE_INSTANCE ? v->instance->path : path,
             .path = path_at_run_time(x, file->text),
             .span = a->from->span};
  for (int i = 0; i < x->program->starts.n; i++)
    if (x->program->starts.at[i].instance == s.instance) {
      Diag *d = diag_add(x->diags, DIAG_TWICE, s.span, "`%s` is loaded twice", s.instance);
      diag_place(d, x->program->starts.at[i].span, "the first is here");
      return;
    }
  for (int i = 0; i < a->items.n; i++)
    if (!add_skipped(x, e, &s, a->items.at[i])) return;
  vec_push(x->arena, &x->program->starts, s);
}
