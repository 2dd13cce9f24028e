/* definition.c - definitions outside of functions, of a file or of a model: numbers, texts and instances are made
 * once; a value that is computed at run time is a node of one graph, so it is made again for each graph that uses it,
 * and when a parameter that it may depend on has another value. */
#include "frontend/value.h"

#include <string.h>

/* A member that is computed at run time. */
typedef struct Again {
  Instance *in;
  Env *env; /* what the definition sees: the members above it */
  Ast *ast;
  Module *module;
  bool generic;
  const Graph *graph; /* for which `value` was made */
  int assigned;       /* and at which Elaborator.assigned */
  Value *value;
} Again;

/* Whether a model's state may be another one in each example of an entry, or turn of a repeat: a definition that
 * reads it is then as well. */
static bool states_vary(const Elaborator *x) {
  bool vary = x->repeat != NULL;
  for (int i = 0; x->examples && !vary && i < x->current.n; i++) vary = x->current.at[i].value != NULL;
  return vary;
}

Outside step_outside(Elaborator *x, Module *m, bool generic) {
  Outside o = {.steps = x->steps, .repeats = x->repeats, .loop = x->loop, .repeat = x->repeat};
  o.module = x->module;
  o.generic = x->generic;
  memcpy(&o.stack, &x->stack, sizeof o.stack);
  memset(&x->stack, 0, sizeof x->stack);
  x->loop = NULL;
  if (states_vary(x)) {
    for (int i = 0; i < x->steps + x->examples; i++) vec_push(x->arena, &x->stack, o.stack.at[i]);
  } else {
    x->steps = x->repeats = 0;
    x->repeat = NULL;
  }
  x->module = m;
  x->generic = generic;
  return o;
}

void step_back(Elaborator *x, const Outside *o) {
  memcpy(&x->stack, &o->stack, sizeof x->stack);
  x->steps = o->steps;
  x->repeats = o->repeats;
  x->loop = o->loop;
  x->repeat = o->repeat;
  x->module = o->module;
  x->generic = o->generic;
}

bool outlives_graph(const Value *v) {
  return v->kind != VALUE_TENSOR && v->kind != VALUE_TUPLE && v->kind != VALUE_STRUCTURE;
}

static Value *say_drawn(Elaborator *x, const Instance *in, const Ast *a) {
  Diag *d = diag_add(x->diags, DIAG_DRAW_TYPE, a->span, "a %s cannot be drawn; a parameter of a model can",
                     in ? "model's definition" : "file's definition");
  if (in && a->kind == AST_DEFINE && a->type)
    diag_fix(diag_help(d, "write `param %s: ...`; a draw that each call makes stands in a function", a->name),
             (Span){a->span.source, a->span.begin, a->span.begin, 0}, "param ");
  return NULL;
}

Value *defined_value(Elaborator *x, Instance *in, Env *e, Ast *a, Str path) {
  if (a->flags & AST_DRAW) return say_drawn(x, in, a);
  if (a->kind == AST_UNPACK) return unpacked(x, e, a, false);
  if (a->kind == AST_DEFINE_AT) return elaborate_comprehension(x, e, &a->items, a->value, NULL, a->span);
  Type t;
  bool tensor = a->type && a->type->kind == AST_TYPE && a->type->shape;
  if (tensor && !type_resolve(x, e, a->type, &t)) return NULL;
  Value *v = tensor ? elaborate_expr_as(x, e, a->value, &t) : instances_named(x, in, e, a, path);
  if (tensor) v = value_filled(x, v, &t);
  if (v && a->type && !type_check_result(x, e, a->type, &v, a->value->span, arena_printf(x->arena, "`%s`", a->name)))
    return NULL;
  if (v) mark_as_said(x, a, v);
  if (v) start_from(x, e, a, v, path);
  return v;
}

Value *value_of_each_graph(Elaborator *x, const Value *v, Instance *i, Ast *a) {
  Again *again = NEW(x->arena, Again);
  *again = (Again){i, i->env, a, x->module, x->generic, x->graph, x->assigned, NULL};
  again->value = NEW(x->arena, Value);
  *again->value = *v;
  Value *each = NEW(x->arena, Value);
  *each = *v;
  each->again = again;
  return each;
}

Value *value_again(Elaborator *x, Again *a) {
  if (a->graph == x->graph && a->assigned == x->assigned) return a->value;
  Arena *arena = x->arena;
  Outside outside = step_outside(x, a->module, a->generic);
  if (!a->generic) x->arena = x->kept;
  a->value = defined_value(x, a->in, a->env, a->ast, NULL);
  a->graph = x->graph;
  a->assigned = x->assigned;
  x->arena = arena;
  step_back(x, &outside);
  return a->value;
}
