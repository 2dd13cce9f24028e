/* training.h - what the files of `train` share: train.c (the body), setting.c, minimize.c, optimizer.c, report.c.
 * Internal to frontend/. */
#ifndef NNC_FRONTEND_TRAINING_H
#define NNC_FRONTEND_TRAINING_H

#include "frontend/value.h"

/* The body is walked once for each graph that is made of it. */
typedef enum Mode { MODE_STEP, MODE_EVAL, MODE_GRADS, MODE_UPDATE } Mode;

typedef struct Version { /* what a parameter was until a `minimize` changed it, or what that made of it */
  int tensor;
  Node *node;
  Env *env;   /* the names before that `minimize`; of the last version NULL */
  Span span;  /* that `minimize` */
  bool apart; /* it is of the side of an `if` that is not taken where the walk is */
} Version;

typedef struct TrainWalk {
  Train *train;
  Mode mode;
  const Ast *body; /* all of the block */
  Env *env;
  Vec(Version) versions; /* of the parameters that were changed so far, in order */
  bool conditional;      /* the statements at hand take place at some steps only */
  Value *when;           /* at which; NULL: at every one */
  const Ast *stop;       /* the value of `stop when`; NULL */
  int others;            /* statements that are no settings, so far; not those that are wrong */
  Diag *late;            /* about the first setting that does not open the block; NULL */
} TrainWalk;

/* The statement is walked; w->env grows. */
void train_statement(Elaborator *x, TrainWalk *w, Ast *a);
/* So is one that stands in functions, too: what it defines is for something. */
void train_other(Elaborator *x, TrainWalk *w, Ast *a);

/* Once the step's and the evaluation's graphs are there: whether both give all reports. */
void check_reports(Elaborator *x, const Train *t);

/* ---- train_if.c ---- */

/* An `if` in the body: of what only `train` has, decided while compiling; or at run time. */
void train_if(Elaborator *x, TrainWalk *w, Ast *a);
/* Does what `then` does where the condition c holds at run time, else what `otherwise` does. */
typedef void TrainSideWalk(Elaborator *x, TrainWalk *w, void *cx);
void choose_in_training(Elaborator *x, TrainWalk *w, Value *c, TrainSideWalk *then, void *cx,
                        TrainSideWalk *otherwise, void *cx2, Span at);
/* What is measured: a scalar, 0 at steps at which the statement at hand takes no place. An output says which these
 * are, so that they do not count. */
Node *measured_sometimes(Elaborator *x, const TrainWalk *w, Str name, Node *n, Span at);

/* ---- augment.c ---- */

/* Makes the data's fields what training sees instead of them; NULL after a message. */
void augment_fields(Elaborator *x, const DataDecl *data, Value **fields);

/* ---- setting.c ---- */

int setting_find(Str name); /* -1: it is none */
/* Reads the settings that open the body; gives how many statements they are. */
int read_settings(Elaborator *x, Train *t, Ast *body);
/* Says which definitions of the statement `a`, and of the blocks in it, nothing in the body reads from the place
 * `from` on, or after themselves. */
void check_read(Elaborator *x, const Ast *body, const Ast *a, uint32_t from);

/* ---- optimizer.c ---- */

typedef struct OptimizerCall { /* what stands after `with` */
  ModelDecl *model;
  int n;
  CallArg *args;
  Span span;
} OptimizerCall;

bool optimizer_call(Elaborator *x, Env *e, Ast *a, OptimizerCall *out);
/* A slot of the parameter's optimizer that is not one of its states, 0 at first; an index into Program.tensors. */
int optimizer_slot(Elaborator *x, int tensor, const char *slot, int nth, const Type *t, Span at);
typedef struct Update { /* of one parameter */
  int tensor;
  Node *gradient;
  int nth;     /* how many optimizers of this program change it before this one */
  bool counts; /* it is not there at every step, and counts its own */
  int nmore;
  Value **more; /* what `prepare` gave beside the gradient */
} Update;
/* Makes the parameter's next value its current one. False after a message. */
bool update_param(Elaborator *x, OptimizerCall *call, const Update *u);
/* `fn prepare(g)` or `prepare(w, g)`, which sees all parameters that the optimizer changes, w and their gradients g.
 * *result: the gradients that it gives, then what it gives beside them; NULL: there is no such function. `first` is
 * the update of one of them. False after a message. */
bool optimizer_prepare(Elaborator *x, OptimizerCall *call, Value *w, Value *g, const Update *first, Value **result);

/* ---- minimize.c ---- */

void minimize(Elaborator *x, TrainWalk *w, Ast *a);
/* A loss or report under its name, which no other one has. */
bool name_output(Elaborator *x, Str name, Node *n, Span at, const char *help);

/* ---- report.c ---- */

void reports(Elaborator *x, TrainWalk *w, Ast *a);
#define REPORT_NAME "give it another: `report name = ...`"

/* ---- metric.c ---- */

void report_streamed(Elaborator *x, TrainWalk *w, Ast *arg, Decl *metric, Str name);

#endif
