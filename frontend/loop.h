/* loop.h - a loop whose body is walked: what scan.c, repeat.c and either.c share. Nobody else includes it. */
#ifndef NNC_FRONTEND_LOOP_H
#define NNC_FRONTEND_LOOP_H

#include "frontend/value.h"

typedef struct ScanState {
  Str name;
  Span span, next_span;
  Node *carry, *init;
  Value *now; /* in the body: the row at t */
  Value *next;
} ScanState;

typedef struct Kept { /* y[.., t, ..] = value */
  Str name;
  Span span;
  Value *value; /* at step t, without the dimension of steps */
  int position; /* of that dimension */
  Form *step;   /* the step that is kept at index `at`, a Var of its own */
  Var *at;
} Kept;

typedef struct ModelState { /* of a model, in a repeat: a carry like the loop's own */
  int tensor;
  Node *carry;
  Value *before; /* what it is where the loop begins */
  Value *now;    /* in the body: the row at t */
  Value *inside; /* what it has become in the body, while something outside of it is walked */
} ModelState;

struct Repeat {
  struct Repeat *up; /* around this one, in whatever function */
  Loop *loop;
  Vec(ModelState) states;
  Node *count, *start; /* the turns taken, a carry, and its first value; NULL without `while` */
  Value *turns;        /* in the body: so many before this one */
  Expr *goes;          /* whether this turn is taken */
  Value *length;       /* after the loop: the turns taken */
};

struct Loop {
  struct Loop *up; /* the one whose body this stands in, of the same function */
  Env *outer;
  Str index; /* NULL: a repeat that names none */
  Var *t;
  Dim *steps;
  Span span;
  int nvars, axis; /* the indices of the stack where it stands; the first `axis` are steps of loops around */
  Var **vars;
  Vec(ScanState) states;
  Vec(Kept) kept;
  Repeat *repeat; /* NULL: a scan */
};

/* v as a tensor over every index of the stack where the loop stands, with its step if `in_body`, whether it depends
 * on them or not; a number fills the shape. NULL after a message. */
Node *loop_node(Elaborator *x, const Loop *l, bool in_body, const Value *v, int rank, Dim **shape, Span at);
Node *loop_carry(Elaborator *x, const Loop *l, const Node *init, Span at);      /* NULL after a message */
Value *loop_row(Elaborator *x, const Loop *l, Node *carry, Form *row, Span at); /* the value that a carry has there */
Value *loop_each_turn(Elaborator *x, const Loop *l, const Value *v, Span at);   /* a scalar, computed once for each */
const Kept *loop_kept(const Loop *l, const Env *b); /* what a name of the body is kept as; NULL */
bool kept_backwards(Elaborator *x, const Kept *k);
bool loop_carries(Elaborator *x, const Loop *l, Node *carry, Node *init, const Value *now, const Value *next,
                  Span at);

/* ---- repeat.c ---- */
bool repeat_stands_here(Elaborator *x, const Ast *s); /* false after a message */
Repeat *repeat_new(Elaborator *x, Loop *l);
void repeat_enter(Elaborator *x, Repeat *r);
/* Around what stands in the body and is computed before the loop: a state's first value. */
void repeat_step_out(Elaborator *x, Repeat *r);
void repeat_step_in(Elaborator *x, Repeat *r);
/* Models' states that are carried, but for the first `from`, are what the turn begins with. */
void repeat_begin_turn(Elaborator *x, Repeat *r, int from);
/* `while`, seen with the names before the body and the loop's states: the last of the body that is walked. */
bool repeat_condition(Elaborator *x, Loop *l, Env *head, Ast *cond);
bool repeat_leave(Elaborator *x, Loop *l, bool ok); /* closes what it carries */
const Value *repeat_next(Elaborator *x, const Loop *l, const Value *now, const Value *next);
Expr *repeat_kept(Elaborator *x, const Loop *l, Form *step, Expr *e);

#endif
