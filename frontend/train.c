/* train.c - training: the body as four graphs (a step, an evaluation, gradients, the update by them), and what of a
 * batch may be taken in pieces. */
#include "frontend/training.h"

#include <string.h>

#include "ir/mixes.h"

/* ---- the body ---- */

static void stop_when(Elaborator *x, TrainWalk *w, Ast *a) {
  if (w->mode != MODE_STEP) return;
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
}

static void statement(Elaborator *x, TrainWalk *w, Ast *a);

static bool trains(const Ast *a) {
  if (a->kind == AST_MINIMIZE || a->kind == AST_REPORT || a->kind == AST_STOP_WHEN) return true;
  for (int i = 0; i < ast_child_count(a); i++) {
    const Ast *c = ast_child(a, i);
    if (c && trains(c)) return true;
  }
  return false;
}

/* `if` at compile time around what only `train` has. */
static void choose_training(Elaborator *x, TrainWalk *w, Ast *a, const Value *c) {
  Ast *taken = c->truth ? a->then : a->otherwise;
  if (!taken) return;
  Env *outer = w->env;
  if (taken->kind == AST_IF) statement(x, w, taken);
  for (int i = 0; taken->kind == AST_BLOCK && i < taken->items.n; i++) statement(x, w, taken->items.at[i]);
  w->env = leave_block(x, outer, w->env);
}

static void train_if(Elaborator *x, TrainWalk *w, Ast *a) {
  Value *c = elaborate_expr(x, w->env, a->cond), *result = NULL;
  if (!c) return;
  if (c->kind == VALUE_TENSOR && c->dtype == DT_bool && !c->rank)
    say_not_compiled(x, a->cond->span, "an `if` that is decided at each step");
  else if (c->kind == VALUE_FLAG && trains(a)) choose_training(x, w, a, c);
  else elaborate_statement(x, &w->env, a, &result);
}

static void statement(Elaborator *x, TrainWalk *w, Ast *a) {
  switch ((AstKind)a->kind) {
  case AST_MINIMIZE: minimize(x, w, a); break;
  case AST_REPORT: reports(x, w, a); break;
  case AST_STOP_WHEN: stop_when(x, w, a); break;
  case AST_IF: train_if(x, w, a); break;
  case AST_PARAM:
  case AST_STATE:
  case AST_RETURN:
    diag_add(x->diags, DIAG_STATEMENT_HERE, a->span, "`%s` does not belong in `train`", ast_word((AstKind)a->kind));
    break;
  default: {
    if (a->kind == AST_DEFINE && !a->type && setting_find(a->name) >= 0) {
      Diag *d = diag_add(x->diags, DIAG_SETTING, a->name_span,
                         "the setting `%s` comes after the first other statement", a->name);
      diag_help(d, "settings open the block");
      return;
    }
    Value *result = NULL;
    elaborate_statement(x, &w->env, a, &result);
  }
  }
}

static Env *bind_counter(Elaborator *x, Env *e, const char *name, const char *input, Span at) {
  Value *v = value_scalar(x, expr_read(x->ir, graph_named_input(x, input, DT_i32, 0, NULL, at), NULL), at);
  v->weak = true;
  e = env_bind(x, e, str_internz(x->strings, name), v, at);
  return e;
}

static Graph *walk_body(Elaborator *x, Train *t, Ast *a, int first, Mode mode) {
  static const char *const names[] = {"step", "eval", "grads", "update"};
  GraphState *saved;
  TrainWalk w = {.train = t, .mode = mode};
  Graph *g = graph_begin(
      x, str_internf(x->strings, "train.%s%s%s", t->name ? t->name : "", t->name ? "." : "", names[mode]), &saved);
  x->batch = dim_symbol(x->ir, str_internz(x->strings, "B"), 1);
  g->batch = dim_as_symbol(x->batch);
  x->training = mode != MODE_EVAL;
  frame_enter(x, str_internz(x->strings, "train"));
  w.env = bind_counter(x, NULL, "step", "$step", a->span);
  w.env = bind_counter(x, w.env, "steps", "$steps", a->span);
  w.env = bind_counter(x, w.env, "epoch", "$epoch", a->span);
  w.env = env_bind(x, w.env, str_internz(x->strings, "B"), value_int(x, x->batch, a->span), a->span);
  DataSet *d = &x->program->data.at[t->data];
  for (int i = 0; i < d->fields.n; i++) {
    w.env = env_bind(x, w.env, d->fields.at[i].name, data_input(x, t->data, i, x->batch, d->fields.at[i].span),
                     d->fields.at[i].span);
  }
  int errors = x->diags->errors;
  for (int i = first; i < a->body->items.n; i++) statement(x, &w, a->body->items.at[i]);
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

/* A state of the model that a step changes; NULL: none. */
static Str stored_state(Elaborator *x, const Graph *step) {
  for (int i = 0; i < step->stores.n; i++) {
    Str name = step->stores.at[i]->in[1]->name;
    int tensor = tensor_find(x, name);
    if (tensor >= 0 && x->program->tensors.at[tensor].role == ROLE_state) return name;
  }
  return NULL;
}

/* Why a batch is not to be taken in pieces; NULL: it may be. */
static Str why_whole(Elaborator *x, const Train *t) {
  if (t->losses.n != 1) return str_internz(x->strings, "the training has several losses, one after the other");
  Str state = stored_state(x, t->step);
  if (state) return str_internf(x->strings, "a step changes the state `%s` by the whole batch", state);
  const char *why;
  Node *mixed = NULL;
  for (int i = 0; i < t->grads->outputs.n && !mixed; i++)
    if (t->grads->outputs.at[i].name == t->losses.at[0])
      mixed = batch_mixed_at(t->grads, t->grads->outputs.at[i].node, &why);
  return mixed ? str_internf(x->strings, "%s %s", line_text(x, mixed->span), why) : NULL;
}

void elaborate_train(Elaborator *x, Decl *decl) {
  Ast *a = decl->ast;
  Train t = {.name = a->text,
             .batch = 32,
             .seed = 1,
             .validate_data = -1,
             .test_data = -1,
             .shuffle = true,
             .span = a->span};
  if (a->items.n != 1 || x->program->train.n) {
    diag_add(x->diags, DIAG_NOT_COMPILED, a->items.at[0]->span,
             a->items.n != 1 ? "this version of nnc trains on one data set"
                             : "this version of nnc compiles one `train` block");
    return;
  }
  Value *v = name_lookup(x, NULL, a->items.at[0]->name, a->items.at[0]->span);
  if (!v) return;
  if (v->kind != VALUE_DATASET) {
    diag_add(x->diags, DIAG_TRAIN_DATA, a->items.at[0]->span, "`train` is given a data set, and this is %s",
             value_type_text(x, v));
    return;
  }
  t.data = v->data->index;
  int errors = x->diags->errors;
  int first = read_settings(x, &t, a->body);
  if (!t.epochs && !t.steps) t.epochs = 1;
  t.step = walk_body(x, &t, a, first, MODE_STEP);
  if (x->diags->errors == errors) {
    t.eval = walk_body(x, &t, a, first, MODE_EVAL);
    t.grads = walk_body(x, &t, a, first, MODE_GRADS);
    t.whole = why_whole(x, &t);
    if (!t.whole) t.update = walk_body(x, &t, a, first, MODE_UPDATE);
  }
  vec_push(x->arena, &x->program->train, t);
}
