/* setting.c - the settings that open a `train` block: setting.def says what there is. */
#include "frontend/training.h"

#include <string.h>

enum {
#define ROW(name, kind) SETTING_##name,
#include "frontend/setting.def"
#undef ROW
  SETTING_COUNT
};

static const struct {
  const char *name;
  char kind;
} settings[] = {
#define ROW(name, kind) {#name, kind},
#include "frontend/setting.def"
#undef ROW
};

int setting_find(Str name) {
  for (int i = 0; i < SETTING_COUNT; i++)
    if (!strcmp(settings[i].name, name)) return i;
  return -1;
}

/* `precision`: what the factors of products are rounded to. */
static void set_precision(Elaborator *x, Train *t, Ast *a) {
  Str type = a->value->kind == AST_NAME ? a->value->name : "";
  if (!strcmp(type, "f32")) return;
  if (!strcmp(type, "bf16")) {
    if (!x->options->products_given) t->products = DT_bf16;
    return;
  }
  Diag *d = diag_add(x->diags, DIAG_SETTING, a->value->span, "`precision` is f32 or bf16");
  if (!strcmp(type, "f64")) diag_help(d, "`nnc --precision=f64` computes all of a program in f64");
}

static bool setting_value(Elaborator *x, Train *t, int which, Ast *a) {
  if (which == SETTING_precision) {
    set_precision(x, t, a);
    return true;
  }
  Value *v = elaborate_expr(x, NULL, a->value);
  if (!v) return false;
  char kind = settings[which].kind;
  int64_t n = 0;
  bool is_int = v->kind == VALUE_INT && dim_is_const(v->dim, &n);
  bool right = kind == 'i'   ? is_int && n > 0
               : kind == 'k' ? is_int && n > 1
               : kind == 'n' ? is_int
               : kind == 'b' ? v->kind == VALUE_FLAG
               : kind == 'r' ? (is_int && n > 0) || (v->kind == VALUE_REAL && v->real > 0)
               : kind == 'd' ? v->kind == VALUE_DATASET
                             : v->kind == VALUE_DATASET || (v->kind == VALUE_REAL && v->real > 0 && v->real < 1);
  if (!right) {
    diag_add(x->diags, DIAG_SETTING, a->value->span, "`%s` is %s", a->name,
             kind == 'i'   ? "a positive integer"
             : kind == 'k' ? "an integer, 2 or more"
             : kind == 'n' ? "an integer"
             : kind == 'b' ? "true or false"
             : kind == 'r' ? "a positive number"
             : kind == 'd' ? "a data set"
                           : "a fraction between 0 and 1, or a data set");
    return false;
  }
  switch (which) {
  case SETTING_epochs: t->epochs = n; break;
  case SETTING_steps: t->steps = n; break;
  case SETTING_batch: t->batch = n; break;
  case SETTING_seed: t->seed = n; break;
  case SETTING_validate:
    if (v->kind == VALUE_DATASET) t->validate_data = v->data->index;
    else t->validate = v->real;
    break;
  case SETTING_test: t->test_data = v->data->index; break;
  case SETTING_folds: t->folds = n; break;
  case SETTING_shuffle: t->shuffle = v->truth; break;
  case SETTING_accumulate: t->accumulate = n; break;
  case SETTING_clip_norm: t->clip_norm = is_int ? (double)n : v->real; break;
  default: break;
  }
  return true;
}

/* What other libraries call a setting. */
static const char *setting_meant(Str name) {
  static const char *const names[][2] = {
      {"batch_size", "batch"},   {"batchsize", "batch"},  {"num_epochs", "epochs"},         {"max_epochs", "epochs"},
      {"n_epochs", "epochs"},    {"iterations", "steps"}, {"max_steps", "steps"},           {"num_steps", "steps"},
      {"random_state", "seed"},  {"val", "validate"},     {"validation_split", "validate"}, {"val_split", "validate"},
      {"validation", "validate"}};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (!strcmp(name, names[i][0])) return names[i][1];
  return NULL;
}

/* ---- definitions that nothing reads ---- */

/* Whether the value is one that a setting could have. */
static bool is_plain(const Ast *a) {
  return a->kind == AST_DEFINE && !a->type && !(a->flags & AST_DRAW) &&
         (a->value->kind == AST_INTEGER || a->value->kind == AST_REAL || a->value->kind == AST_BOOL ||
          a->value->kind == AST_NAME);
}

/* The setting that a definition is most likely meant to be; NULL. */
static const char *likely_setting(Str name) {
  Nearest near = {name, strlen(name) > 4 ? 4 : 2, NULL, false};
  for (int s = 0; s < SETTING_COUNT; s++) nearest_consider(&near, settings[s].name);
  return near.found ? near.found : setting_meant(name);
}

/* `first`: only settings stand before it. */
static void say_unread(Elaborator *x, const Ast *a, bool first) {
  bool setting = first || is_plain(a);
  const char *meant = setting ? likely_setting(a->name) : NULL;
  Diag *d = diag_add(x->diags, DIAG_UNREAD, a->kind == AST_NAME ? a->span : a->name_span, "nothing reads `%s`%s",
                     a->name, setting && !(meant && !strcmp(meant, a->name)) ? ", and it is no setting" : "");
  if (meant && !strcmp(meant, a->name)) diag_help(d, "settings open the block, before all else in it");
  else if (meant && !first) diag_help(d, "did you mean the setting `%s`? Settings open the block", meant);
  else if (meant) diag_fix(diag_help(d, "did you mean the setting `%s`?", meant), a->name_span, "%s", meant);
  else if (strstr(" lr learning_rate optimizer weight_decay momentum ", arena_printf(x->arena, " %s ", a->name)))
    diag_help(d, "the optimizer has it: `minimize loss over net with Adam(lr = 1e-3)`");
  else if (!first) diag_help(d, "leave it out, or read it in what is minimized or reported");
  else
    diag_help(d, "the settings are epochs, steps, batch, seed, validate, folds, test, shuffle, accumulate, "
                 "clip_norm and precision");
}

void check_read(Elaborator *x, const Ast *body, const Ast *a, uint32_t from) {
  Span at = a->span;
  if (a->kind == AST_FOR) from = from < at.begin ? from : at.begin; /* the next turn reads what this one defines */
  else if (from > at.end) from = at.end;
  bool defines = a->kind == AST_DEFINE || a->kind == AST_DEFINE_AT;
  if (defines && a->value && !mentions_from(body, a->name, from)) say_unread(x, a, false);
  if (a->kind == AST_UNPACK) {
    bool read = false;
    for (int i = 0; i < a->items.n; i++) read = read || mentions_from(body, a->items.at[i]->name, from);
    if (!read) say_unread(x, a->items.at[0], false);
  }
  bool chosen = a->kind == AST_IF && !ast_calls(a); /* a side that is not taken is not walked: it may write states */
  if (chosen || a->kind == AST_FOR || a->kind == AST_BLOCK)
    for (int i = 0; i < ast_child_count(a); i++)
      if (ast_child(a, i)) check_read(x, body, ast_child(a, i), from);
}

/* ---- the block's head ---- */

/* `folds` says what validates, which `validate` may then not. */
static void check_folds(Elaborator *x, const Train *t, const Ast *const *given) {
  const Ast *folds = given[SETTING_folds], *validate = given[SETTING_validate];
  if (!t->folds || !validate) return;
  Diag *d = diag_add(x->diags, DIAG_SETTING, folds->span, "`folds` and `validate` both say what validates");
  diag_place(d, validate->span, "this is the other");
  diag_help(d, "of %lld folds each validates once; leave `validate` out", (long long)t->folds);
}

int read_settings(Elaborator *x, Train *t, Ast *body) {
  const Ast *given[SETTING_COUNT] = {0};
  int i = 0;
  for (; i < body->items.n; i++) {
    Ast *a = body->items.at[i];
    if (a->kind != AST_DEFINE || a->type || (a->flags & AST_DRAW)) break;
    int which = setting_find(a->name);
    if (which >= 0) {
      if (given[which]) {
        Diag *d = diag_add(x->diags, DIAG_TWICE, a->name_span, "the setting `%s` is given twice", a->name);
        diag_place(d, given[which]->name_span, "the first is here");
      } else if (setting_value(x, t, which, a)) given[which] = a;
      continue;
    }
    if (!strcmp(a->name, "step") || !strcmp(a->name, "epoch")) { /* they count, and are read by schedules */
      Diag *d =
          diag_add(x->diags, DIAG_SETTING, a->name_span, "`%s` is the number of the %s at hand", a->name, a->name);
      diag_fix(diag_help(d, "the setting is called `%ss`", a->name), a->name_span, "%ss", a->name);
      continue;
    }
    if (mentions_from(body, a->name, a->span.end) || ast_calls(a->value)) break;
    say_unread(x, a, true);
  }
  check_folds(x, t, given);
  return i;
}
