/* train.c - training: the body as four graphs (a step, an evaluation, gradients, the update by them), and what of a
 * batch may be taken in pieces. */
#include "frontend/training.h"

#include <string.h>

#include "ir/mixes.h"

/* ---- the body ---- */

static void stop_when(Elaborator *x, TrainWalk *w, Ast *a) {
  if (w->mode != MODE_STEP) return;
  if (w->conditional) {
    diag_add(x->diags, DIAG_STATEMENT_HERE, a->span, "`stop when` does not depend on a condition at run time");
    return;
  }
  if (w->stop) {
    Diag *d = diag_add(x->diags, DIAG_TWICE, a->span, "a training has one `stop when`");
    diag_place(d, w->stop->span, "the first is here");
    return;
  }
  Value *n = a->stalls ? elaborate_expr(x, w->env, a->stalls) : NULL;
  int64_t epochs = 0;
  if (a->value->kind != AST_NAME || !n || n->kind != VALUE_INT || !dim_is_const(n->dim, &epochs) || epochs < 1) {
    Diag *d =
        diag_add(x->diags, DIAG_STOP_WHEN, a->span, "`stop when` names a value and how many epochs it may stall");
    diag_help(d, "stop when val_loss stalls 5");
    return;
  }
  w->train->stall = a->value->name;
  w->train->stall_epochs = epochs;
  w->stop = a->value;
}

/* Errors than those of `stop when`, by which a training may have fewer values than it says. */
static bool has_other_errors(const Elaborator *x) {
  for (int i = 0; i < x->diags->all.n; i++)
    if (diag_severity(x->diags->all.at[i]->code) == 'e' && x->diags->all.at[i]->code != DIAG_STOP_WHEN) return true;
  return false;
}

/* Whether `stop when` names a value that the training has. */
static void check_stop(Elaborator *x, const Train *t, const Ast *stop) {
  Nearest near = {stop->name, 4, NULL, false};
  bool known = false, validates = t->validate > 0 || t->validate_data >= 0 || t->folds;
  for (int i = 0; i < 2 * (t->losses.n + t->reports.n); i++) {
    Str name = i / 2 < t->losses.n ? t->losses.at[i / 2] : t->reports.at[i / 2 - t->losses.n].name;
    if (i % 2) name = str_internf(x->strings, "val_%s", name);
    known = known || (name == stop->name && (validates || !(i % 2)));
    if (name == stop->name && !known) {
      Diag *d = diag_add(x->diags, DIAG_STOP_WHEN, stop->span, "there is no `%s`, since nothing validates", name);
      diag_help(d, "`validate = 0.1` holds a part of the data back");
      return;
    }
    nearest_consider(&near, name);
  }
  if (known) return;
  Diag *d = diag_add(x->diags, DIAG_STOP_WHEN, stop->span, "this training has no value `%s`", stop->name);
  if (near.found) diag_meant(d, stop->span, near.found);
  else diag_help(d, "it has its losses and reports, and with `validate` the same with `val_` before them");
}

static Str state_name(Elaborator *x, const TrainWalk *w, Str name) {
  const char *train = w->train->name;
  return str_internf(x->strings, "state/%s%s%s", train ? train : "", train ? "." : "", name);
}

/* Where the state lies; -1 after a message. Its first value sees the file's names. */
static int state_tensor(Elaborator *x, const TrainWalk *w, Ast *a) {
  Type t = {.dtype = float_default(x)};
  Str name = state_name(x, w, a->name);
  if (a->type && !type_resolve(x, w->env, a->type, &t)) return -1;
  int tensor = tensor_find(x, name);
  if (tensor >= 0) return tensor;
  tensor = tensor_declare(x, name, ROLE_state, &t, a->name_span);
  if (tensor >= 0)
    vec_push(x->arena, &x->inits,
             (Init){.tensor = tensor, .ast = a, .path = name, .module = x->module, .train = x->program->train.n + 1});
  return tensor;
}

/* A state that is a structure: `state m = 0 * net` has a tensor for each parameter of net. NULL: its first value is
 * none, or a message was given. */
static Value *structure_state(Elaborator *x, const TrainWalk *w, Ast *a) {
  Value *v = a->type ? NULL : elaborate_expr(x, NULL, a->value);
  if (!v || !value_is_structure(v)) return NULL;
  Value *first = structure_of(x, v, a->span), *s = structure_with(x, first, NULL, a->name_span);
  s->states = NEW_ARRAY(x->arena, int, s->n + 1);
  for (int i = 0; i < s->n; i++) {
    const Value *part = first->items[i];
    Type t = {.dtype = part->dtype, .rank = part->rank, .shape = part->shape};
    Str name = state_name(x, w, str_internf(x->strings, "%s.%s", a->name, s->names[i]));
    s->states[i] = tensor_find(x, name);
    if (s->states[i] >= 0) continue;
    if ((s->states[i] = tensor_declare(x, name, ROLE_state, &t, a->name_span)) < 0) return NULL;
    vec_push(x->arena, &x->inits,
             (Init){.tensor = s->states[i],
                    .ast = a,
                    .path = name,
                    .module = x->module,
                    .part = i + 1,
                    .train = x->program->train.n + 1});
  }
  return s;
}

/* `state name: type = value` in the body: kept from step to step, and with the weights. */
static void train_state(Elaborator *x, TrainWalk *w, Ast *a) {
  Instance *self = env_find(w->env, str_internz(x->strings, "$self"))->value->instance;
  Value *v = NULL;
  if (w->conditional) {
    diag_add(x->diags, DIAG_STATEMENT_HERE, a->span, "a `state` does not depend on a condition at run time");
    return;
  }
  for (int i = 0; i < self->members.n; i++)
    if (self->members.at[i].name == a->name) {
      say_state_twice(x, a->name, a->name_span, self->members.at[i].ast->name_span);
      return;
    }
  int errors = x->diags->errors;
  Value *structure = structure_state(x, w, a);
  int tensor = structure || x->diags->errors > errors ? -1 : state_tensor(x, w, a);
  if (structure) {
    InstanceMember m = {.name = a->name, .kind = MEMBER_VALUE, .value = structure, .tensor = -1, .ast = a};
    vec_push(x->arena, &self->members, m);
    v = structure;
  } else if (tensor >= 0) {
    InstanceMember m = {.name = a->name, .kind = MEMBER_STATE, .tensor = tensor, .ast = a};
    vec_push(x->arena, &self->members, m);
    v = value_new(x, VALUE_TENSOR, a->name_span);
    v->n = tensor + 1;
  }
  w->env = env_bind(x, w->env, a->name, v, a->name_span);
}

void train_other(Elaborator *x, TrainWalk *w, Ast *a) {
  Value *result = NULL;
  int assigned = x->assigned, errors = x->diags->errors;
  elaborate_statement(x, &w->env, a, &result);
  bool writes = x->assigned != assigned; /* a state, by a call */
  if (x->diags->errors == errors && !writes && w->mode == MODE_STEP) check_read(x, w->body, a, UINT32_MAX);
  w->others += x->diags->errors == errors;
}

void train_statement(Elaborator *x, TrainWalk *w, Ast *a) {
  if (a->kind != AST_DEFINE) w->others++;
  switch ((AstKind)a->kind) {
  case AST_MINIMIZE: minimize(x, w, a); break;
  case AST_REPORT: reports(x, w, a); break;
  case AST_STOP_WHEN: stop_when(x, w, a); break;
  case AST_IF: train_if(x, w, a); break;
  case AST_STATE: train_state(x, w, a); break;
  case AST_PARAM:
  case AST_RETURN:
    diag_add(x->diags, DIAG_STATEMENT_HERE, a->span, "%s does not belong in `train`", statement_title(x, a));
    break;
  default: {
    if (a->kind == AST_DEFINE && !a->type && setting_find(a->name) >= 0) {
      if (!w->others) return; /* only what nothing reads stands before it, as was said */
      if (w->late) {
        diag_place(w->late, a->name_span, "and here");
        return;
      }
      w->late = diag_add(x->diags, DIAG_SETTING, a->name_span,
                         "the setting `%s` comes after the first other statement", a->name);
      diag_help(w->late, "settings open the block");
      return;
    }
    train_other(x, w, a);
  }
  }
}

/* The training as an instance, whose members are the states of its body. */
static Env *bind_self(Elaborator *x, Span at) {
  Value *v = value_new(x, VALUE_INSTANCE, at);
  v->instance = NEW(x->arena, Instance);
  return env_bind(x, NULL, str_internz(x->strings, "$self"), v, at);
}

static Env *bind_counter(Elaborator *x, Env *e, const char *name, const char *input, Span at) {
  Value *v = value_scalar(x, expr_read(x->ir, graph_named_input(x, input, DT_i32, 0, NULL, at), NULL), at);
  v->weak = true;
  e = env_bind(x, e, str_internz(x->strings, name), v, at);
  return e;
}

/* The fields of a data set for the body; alone they go by their own names, too. */
static void draw_from(Elaborator *x, TrainWalk *w, const DataDecl *data) {
  const DataSet *d = &x->program->data.at[data->index];
  Value **fields = NEW_ARRAY(x->arena, Value *, d->fields.n + 1);
  for (int i = 0; i < d->fields.n; i++) fields[i] = data_input(x, data->index, i, x->batch, d->fields.at[i].span);
  vec_push(x->arena, &x->drawn, (Drawn){data->index, fields});
  if (x->training) augment_fields(x, data, fields);
  for (int i = 0; w->train->data.n == 1 && i < d->fields.n; i++)
    if (d->fields.at[i].name[0] != '$') /* which goes with another */
      w->env = env_bind(x, w->env, d->fields.at[i].name, fields[i], d->fields.at[i].span);
  for (int i = 0; w->train->data.n == 1 && i < data->failed.n; i++)
    w->env = env_bind(x, w->env, data->failed.at[i], NULL, data->ast->span);
}

static Graph *walk_body(Elaborator *x, Train *t, DataDecl *const *data, Ast *a, int first, Mode mode) {
  static const char *const names[] = {"step", "eval", "grads", "update"};
  GraphState *saved;
  TrainWalk w = {.train = t, .mode = mode, .body = a->body};
  Graph *g = graph_begin(
      x, str_internf(x->strings, "train.%s%s%s", t->name ? t->name : "", t->name ? "." : "", names[mode]), &saved);
  x->batch = dim_symbol(x->ir, str_internz(x->strings, "B"), 1);
  g->batch = dim_as_symbol(x->batch);
  g->products = t->products;
  x->training = mode != MODE_EVAL;
  frame_enter(x, x->train ? str_internf(x->strings, "train.%s", x->train) : str_internz(x->strings, "train"));
  w.env = bind_counter(x, bind_self(x, a->span), "step", "$step", a->span);
  w.env = bind_counter(x, w.env, "steps", "$steps", a->span);
  x->counters = w.env = bind_counter(x, w.env, "epoch", "$epoch", a->span);
  w.env = env_bind(x, w.env, str_internz(x->strings, "B"), value_int(x, x->batch, a->span), a->span);
  int errors = x->diags->errors;
  for (int i = 0; i < t->data.n; i++) draw_from(x, &w, data[i]);
  StrList around = variables_enter(x, &w.env, a->body);
  for (int i = first; i < a->body->items.n; i++) train_statement(x, &w, a->body->items.at[i]);
  x->variables = around;
  apply_pending(x, 0);
  if (w.stop && !has_other_errors(x)) check_stop(x, t, w.stop);
  if ((mode == MODE_STEP || mode == MODE_UPDATE) && x->diags->errors == errors)
    for (int i = 0; i < x->current.n; i++)
      if (x->current.at[i].value)
        graph_store(x->graph, x->current.at[i].source, value_whole(x, x->current.at[i].value),
                    x->current.at[i].source->span);
  graph_end(x, saved);
  if (mode == MODE_UPDATE) graph_renew(g); /* of the forward pass nothing is left */
  return g;
}

/* ---- pieces ---- */

static Str line_text(Elaborator *x, Span at) {
  int line, column;
  source_position(sources_get(x->sources, at.source), at.begin, &line, &column);
  return str_internf(x->strings, "line %d of %s", line, sources_get(x->sources, at.source)->path);
}

/* A state, or a parameter of a frozen instance, that a step changes; NULL: none. */
static Str stored_state(Elaborator *x, const Graph *step) {
  for (int i = 0; i < step->stores.n; i++) {
    Str name = step->stores.at[i]->in[1]->name;
    int tensor = tensor_find(x, name);
    TensorRole role = tensor < 0 ? ROLE_param : x->program->tensors.at[tensor].role;
    if (role == ROLE_state || role == ROLE_frozen) return name;
  }
  return NULL;
}

/* The first node for which a loss or report, by its name, is not what pieces of a batch make of it, and *why; NULL:
 * it is that. */
static const Node *mixed_in(const Train *t, Str name, const char **why) {
  for (int i = 0; i < t->grads->outputs.n; i++)
    if (t->grads->outputs.at[i].name == name) return batch_mixed_at(t->grads, t->grads->outputs.at[i].node, why);
  return NULL;
}

/* Why a batch is not to be taken in pieces; NULL: it may be. A metric that streams is given the pieces. */
static Str why_whole(Elaborator *x, const Train *t) {
  if (!t->losses.n) return str_internz(x->strings, "the training minimizes nothing");
  if (t->conditional) return str_internz(x->strings, "a step decides what it does");
  if (t->losses.n != 1) return str_internz(x->strings, "the training has several losses, one after the other");
  Str state = stored_state(x, t->step);
  if (state) return str_internf(x->strings, "a step changes the state `%s` by the whole batch", state);
  const char *why;
  const Node *mixed = mixed_in(t, t->losses.at[0], &why);
  if (mixed) return str_internf(x->strings, "%s %s", line_text(x, mixed->span), why);
  for (int i = 0; i < t->reports.n; i++) {
    const Report *r = &t->reports.at[i];
    if (!r->graph) mixed = mixed_in(t, r->name, &why);
    for (int k = 0; !mixed && !r->first && k < r->arguments; k++)
      mixed = mixed_in(t, str_internf(x->strings, "%s.%d", r->name, k), &why);
    if (mixed) return str_internf(x->strings, "the report `%s`, %s, %s", r->name, line_text(x, r->span), why);
  }
  return NULL;
}

/* A name that no block has, of those from the given one on. */
static const char *free_name(const Module *m, size_t from) {
  static const char *const names[] = {"first", "second", "third", "fine"};
  for (size_t k = from; k < sizeof names / sizeof *names; k++) {
    bool taken = false;
    for (int i = 0; i < m->decls.n; i++) {
      const Decl *d = m->decls.at[i];
      taken = taken || (d->kind == DECL_TRAIN && d->ast->text && !strcmp(d->ast->text, names[k]));
    }
    if (!taken) return names[k];
  }
  return "last";
}

/* Of several blocks `a` has no name; `other` is another one. */
static void say_no_name(Elaborator *x, const Ast *a, const Ast *other) {
  Diag *d = diag_add(x->diags, DIAG_TWICE, a->span, "several `train` blocks need names, by which they are called");
  diag_place(d, other->span, "the other is here");
  const char *name = free_name(x->module, 0);
  Span at = a->items.at[0]->span;
  at.end = at.begin;
  diag_fix(diag_help(d, "train \"%s\" %s { ... }", name, a->items.at[0]->name), at, "\"%s\" ", name);
}

/* Where there are several blocks each has a name of its own. */
static bool has_own_name(Elaborator *x, const Decl *decl) {
  const Ast *a = decl->ast, *first = NULL;
  int before = 0;
  for (int i = 0; x->module->decls.at[i] != decl; i++) {
    const Ast *other = x->module->decls.at[i]->ast;
    if (x->module->decls.at[i]->kind != DECL_TRAIN) continue;
    if (!before++) first = other;
    if (!a->text || !other->text || strcmp(a->text, other->text) != 0) continue;
    Diag *d = diag_add(x->diags, DIAG_TWICE, a->span, "two `train` blocks have the same name");
    diag_place(d, other->span, "the other is here");
    diag_help(d, "train \"%s\" %s { ... }", free_name(x->module, 1), a->items.at[0]->name);
    return false;
  }
  if (first && !a->text) say_no_name(x, a, first);
  else if (before == 1 && !first->text) say_no_name(x, first, a);
  return !first || a->text;
}

/* Folds begin with first weights each time, and leave none for another block. */
static void check_folds_alone(Elaborator *x, const Train *t) {
  const Train *other = x->program->train.n ? &x->program->train.at[0] : NULL;
  if (!other || !(other->folds || t->folds)) return;
  Diag *d = diag_add(x->diags, DIAG_SETTING, t->folds ? t->span : other->span,
                     "a training with `folds` is measured from its first weights, so there is no other block");
  diag_place(d, t->folds ? other->span : t->span, "the other block");
  diag_help(d, "two programs: the second is given what the first learned by `train --weights FILE`");
}

/* May b be read where a is meant? */
static bool same_field(const Field *a, const Field *b) {
  bool same = a->name == b->name && a->dtype == b->dtype && a->rank == b->rank;
  same = same && (!a->bound || (b->bound && b->bound <= a->bound));
  for (int i = 0; same && i < a->rank; i++) same = a->shape[i] == b->shape[i];
  return same;
}

/* `validate` and `test` data stand for the training's first by their fields: those that an evaluation reads. */
static void check_stand_in(Elaborator *x, const Train *t, int index, const char *setting) {
  if (index < 0) return;
  const DataSet *first = &x->program->data.at[t->data.at[0]], *other = &x->program->data.at[index];
  for (int i = 0; i < t->eval->nodes.n; i++)
    for (int k = 0; k < first->fields.n; k++) {
      const Field *f = &first->fields.at[k];
      Str name = t->eval->nodes.at[i]->name;
      bool has = false;
      if (t->eval->nodes.at[i]->kind != NODE_input || name != str_internf(x->strings, "%s.%s", first->name, f->name))
        continue;
      for (int j = 0; j < other->fields.n; j++) has = has || same_field(f, &other->fields.at[j]);
      has = has || field_failed(x->data.at[index], f->name);
      if (has) continue;
      Diag *d = diag_add(x->diags, DIAG_SETTING, t->span, "`%s = %s`: `%s` has no such `%s` as `%s`", setting,
                         other->name, other->name, f->name, first->name);
      diag_place(d, f->span, "this is read");
      diag_place(d, other->span, "here it is missing, or of another type");
      return;
    }
}

/* The data set of that name, which the training has not yet; NULL after a message. */
static DataDecl *drawn_set(Elaborator *x, const Train *t, const Ast *name) {
  Value *v = name_lookup(x, NULL, name->name, name->span);
  if (v && v->kind != VALUE_DATASET) {
    Diag *d = diag_add(x->diags, DIAG_TRAIN_DATA, name->span, "`train` is given a data set, and this is %s",
                       value_type_text(x, v));
    diag_help(d, "its block says what is trained: `train digits { minimize loss over net with Adam() }`");
  }
  if (!v || v->kind != VALUE_DATASET) return NULL;
  for (int i = 0; i < t->data.n; i++) {
    if (t->data.at[i] != v->data->index) continue;
    diag_add(x->diags, DIAG_TWICE, name->span, "`%s` is given to this training twice", name->name);
    return NULL;
  }
  return v->data;
}

/* Takes back that a definition is read by nothing and no setting: a name that nothing defines is most likely it. */
static void drop_unread(Elaborator *x, int from) {
  for (int i = x->diags->all.n - 1; i >= from; i--)
    if (x->diags->all.at[i]->code == DIAG_UNREAD && !x->diags->all.at[i]->fix.source) diag_drop(x->diags, i);
}

void elaborate_train(Elaborator *x, Decl *decl) {
  Ast *a = decl->ast;
  Train t = {.name = a->text,
             .batch = 32,
             .seed = 1,
             .validate_data = -1,
             .test_data = -1,
             .shuffle = true,
             .products = x->options->products,
             .span = a->span};
  if (!has_own_name(x, decl)) return;
  DataDecl **data = NEW_ARRAY(x->arena, DataDecl *, a->items.n + 1);
  for (int i = 0; i < a->items.n; i++) {
    if (!(data[i] = drawn_set(x, &t, a->items.at[i]))) return;
    vec_push(x->arena, &t.data, data[i]->index);
  }
  x->train = x->program->train.n ? t.name : NULL;
  int errors = x->diags->errors, said = x->diags->all.n, unknown = x->unknown.n;
  int first = read_settings(x, &t, a->body);
  check_folds_alone(x, &t);
  if (!t.epochs && !t.steps) t.epochs = 1;
  t.step = walk_body(x, &t, data, a, first, MODE_STEP);
  if (x->unknown.n > unknown) drop_unread(x, said);
  if (x->diags->errors == errors) {
    t.eval = walk_body(x, &t, data, a, first, MODE_EVAL);
    t.grads = walk_body(x, &t, data, a, first, MODE_GRADS);
    check_reports(x, &t);
    graph_renew(t.eval); /* what is not read is not wanted */
    check_stand_in(x, &t, t.validate_data, "validate");
    check_stand_in(x, &t, t.test_data, "test");
    t.whole = why_whole(x, &t);
    if (!t.whole) t.update = walk_body(x, &t, data, a, first, MODE_UPDATE);
  }
  x->train = NULL;
  vec_push(x->arena, &x->program->train, t);
}
