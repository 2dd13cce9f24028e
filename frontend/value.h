/* value.h - what expressions mean while a program is elaborated, and the state of elaboration. Internal to frontend/.
 *
 * Checking and lowering are one walk: an expression becomes a Value, and a Value that exists at run time carries its
 * part of the graph. Generic code is checked once by the same walk, over dimensions that are symbols, into a graph
 * that is thrown away.
 *
 * Indices. A bound index is a Var on the elaborator's stack. A scalar is an Expr over the Vars on the stack; a tensor
 * is a node of which the first dimensions may be taken by index forms (`prefix`), so that taking a row, lifting a
 * function over a batch and index notation are all the same thing and copy nothing.
 *
 * NULL stands for a value whose mistake was reported already; whoever gets one is silent and gives NULL. */
#ifndef NNC_FRONTEND_VALUE_H
#define NNC_FRONTEND_VALUE_H

#include "frontend/elaborate.h"
#include "ir/table.h"
#include "lang/ast.h"

enum { MAX_RANK = 8 }; /* of a value with the indices that it is mapped over */

typedef struct Value Value;
typedef Vec(Value *) ValueList;
typedef struct Env Env;
typedef struct EnvIndex EnvIndex;
typedef struct Function Function;
typedef struct Instance Instance;
typedef struct ModelDecl ModelDecl;

typedef enum ValueKind {
  VALUE_INT,  /* a compile-time integer: a dimension expression. May stand for any number */
  VALUE_REAL, /* a compile-time real. May stand for any float */
  VALUE_FLAG, /* a compile-time truth */
  VALUE_STRING,
  VALUE_TENSOR, /* exists at run time */
  VALUE_TUPLE,
  VALUE_ARRAY,     /* [a, b, c] of compile-time values, or of instances */
  VALUE_INSTANCE,  /* of a model */
  VALUE_STRUCTURE, /* a value for each parameter of an instance, or of an array of instances: structure.c */
  VALUE_FUNCTION,
  VALUE_MODEL,   /* a model's or an optimizer's declaration */
  VALUE_DATASET, /* fields by name */
  VALUE_FILE,    /* what it defines, by name */
  VALUE_DTYPE,   /* f32, i32: for casts and dtype parameters */
  VALUE_PACK     /* the dimensions that ..S stands for */
} ValueKind;

struct Value {
  ValueKind kind;
  Span span;    /* where it was written or defined */
  Dim *dim;     /* INT */
  double real;  /* REAL */
  bool truth;   /* FLAG */
  bool unknown; /* REAL, FLAG: a parameter, while generic code is checked. ARRAY: it stands for any number of items */
  bool weak;    /* TENSOR, scalar: an index, step, epoch or what follows from them: may stand for a real */
  bool hyper;   /* TENSOR: a hyper value itself */
  Str text;     /* STRING */
  DType dtype;  /* TENSOR, DTYPE */
  Dim *bound;   /* TENSOR of integers: 0 <= v < bound; NULL: not known */
  int rank;
  Dim **shape;
  Expr *expr; /* TENSOR, rank 0 */
  Node *node; /* TENSOR, rank > 0: node[prefix..., the value's own dimensions] */
  int nprefix;
  Form **prefix;
  int n; /* TUPLE, ARRAY, STRUCTURE: items. A TENSOR's items are the numbers that it was written as, `[1, 2]`. TENSOR:
            1 + the index in Program.tensors, for a param's or state's name in an Env */
  Value **items;
  Str *names;   /* TUPLE: of the parts, entries may be NULL; or NULL. STRUCTURE: of the parameters, from `of` on */
  int lead;     /* STRUCTURE: dimensions that each value has in front of its parameter's */
  Value *of;    /* STRUCTURE: the instance or the array whose parameters these are. FUNCTION: what its instance's
                   parameters are in the call; NULL: what they are anyway */
  int *tensors; /* STRUCTURE: the parameters, in Program.tensors; -1 in generic code */
  int *states;  /* STRUCTURE that is a state: where its parts lie, in Program.tensors; else NULL */
  Instance *instance;
  Function *function;
  ModelDecl *model;
  struct DataDecl *data;
  struct Module *file; /* FILE */
  /* TENSOR: how many along the dimension after the length's own are there (the first: of a scalar), the rest is 0;
   * NULL: all */
  Value *length;
  Value *number; /* TENSOR: the INT or REAL that this element of an array that was written out is; NULL: not known */
  struct Again
      *again; /* of a model's member that is computed at run time: made for each graph (definition.c); NULL */
};

typedef enum Reach { /* where in a scan a name may be read */
                     REACH_ALL,
                     REACH_KEPT, /* y of `y[t] = ...`: after the loop */
                     REACH_STEP  /* t, where a state's first value is given: in the body */
} Reach;

/* Names in scope, innermost first. */
struct Env {
  Env *up;
  Str name;
  Value *value; /* NULL: a mistake was reported where it was defined */
  Span span;
  bool is_index; /* a bound index of index notation */
  Reach reach;
  int depth;       /* how many there are, with this one */
  EnvIndex *index; /* of all of them; most have none: env.c */
};

struct Function {
  Str name;
  Ast *ast;       /* FN, ENTRY or METRIC; NULL: a row of scalar.def or a reduction, by its name */
  Env *env;       /* what its body sees: its model's parameters; NULL at file level */
  Instance *self; /* the instance it is a member of; NULL */
  struct Module *module;
  bool checked, broken; /* as generic code */
  bool silent;          /* gives no value: the `update` of a metric */
};

typedef enum MemberKind { MEMBER_PARAM, MEMBER_STATE, MEMBER_VALUE, MEMBER_FUNCTION } MemberKind;

typedef struct InstanceMember {
  Str name;
  MemberKind kind;
  Value *value; /* VALUE, FUNCTION */
  int tensor;   /* PARAM, STATE: index into Program.tensors; -1: of a metric, `value` is its next one */
  Ast *ast;
} InstanceMember;

struct ModelDecl {
  Str name;
  Ast *ast; /* MODEL or OPTIMIZER */
  struct Module *module;
  bool busy;      /* an instance's members are being made */
  bool recursive; /* it contains itself: a message said so */
};

struct Instance {
  ModelDecl *model;
  Str path;   /* full name; "" only while generic code is checked */
  Str suffix; /* after the names of its parameters, where they are named as its owner's, whose path it has; or NULL */
  Env *env;   /* its parameters and members, for bodies */
  Vec(InstanceMember) members;
  bool frozen;
};

typedef struct DataDecl {
  Str name;
  Ast *ast;
  struct Module *module;
  int index;       /* in Program.data */
  Vec(Str) failed; /* fields that have no type because of a mistake that was reported */
} DataDecl;

/* A file's names. Values are made when first asked for. */
typedef enum DeclKind {
  DECL_FUNCTION,
  DECL_MODEL,
  DECL_DATA,
  DECL_DEFINITION,
  DECL_TRAIN,
  DECL_ENTRY,
  DECL_HYPER,
  DECL_TEST,
  DECL_METRIC,
  DECL_FILE /* that is imported `as` a name */
} DeclKind;
typedef struct Decl {
  DeclKind kind;
  Str name;
  Ast *ast;
  struct Module *module;
  Value *value;
  bool statistic; /* a definition computed from a data set's training part */
  int tensor;     /* hyper: its ProgramTensor */
  int data;       /* statistic: of which data set */
  Vec(int) parts; /* statistic: the ProgramTensors of its value's tensors, in their order */
  int busy;
  bool failed;         /* with a message */
  struct Module *file; /* FILE */
  Graph *graph;        /* for which `value` was made (a definition at run time belongs to one graph) */
  int assigned;        /* and at which Elaborator.assigned */
  struct Decl *whole;  /* `a, b = e`: for each name that of e, which no module lists; else NULL */
  int nth;             /* which part of it */
} Decl;
typedef struct Module {
  uint32_t source;
  Str path, file; /* as it was named; the same for all names of one file */
  Ast *ast;
  bool library;
  Str prefix; /* before the names of its instances and data: "blocks." of a file imported only `as blocks`; else "" */
  Vec(Decl *) decls;
  InternTable names; /* the first declaration of each name */
  Vec(struct Module *) imports;
} Module;

typedef struct StackVar { /* a bound index */
  Var *var;
  Expr *place; /* of the batch: the example's place in its data; else NULL */
} StackVar;

typedef struct Loop Loop;     /* a loop whose body is walked (loop.h) */
typedef struct Repeat Repeat; /* one that is a repeat */

typedef struct Current { /* what a parameter or state is at this moment of the walk */
  Node *source;          /* graph_param or graph_state */
  Value *value;          /* NULL: the source itself */
  Vec(Node *) was;       /* after the source and before that, in order */
} Current;

typedef struct FrameCount {
  Str name;
  int n;
} FrameCount;

typedef struct Frame { /* a call, for the names of draws: `net/forward/dropout#1` */
  struct Frame *up;
  Str name;
  int occurrence; /* among the calls of this name in `up` */
  Vec(FrameCount) children;
} Frame;

typedef struct Drawn { /* a data set whose examples a graph is given */
  int data;
  Value **fields; /* what training sees of each; NULL: its fields as they are */
} Drawn;

typedef struct CallPlace {
  Span call;
  Str name;
  const Function *function; /* NULL: an instance of the model of that name is made */
} CallPlace;

typedef struct Init { /* a tensor's first value */
  int tensor;
  Env *env;
  Ast *ast; /* PARAM, STATE or HYPER; NULL: zero */
  Str path;
  Module *module;
  Value *value; /* a number, given instead of what `ast` says; or NULL */
  int part;     /* of the structure that `ast` gives, counted from 1; 0: `ast` gives a tensor */
  int train;    /* a state of this training, counted from 1; 0: of none */
} Init;

typedef struct Next { /* a state's next value */
  InstanceMember *state;
  Value *value;
  Span span;
} Next;

typedef struct CallMade { /* a call that wrote states, in a training's body */
  const Function *function;
  Value **given; /* by parameter; NULL: its default */
  Value *value;
  int first;     /* of those that it made itself, which stand before it; itself, where it made none */
  bool reported; /* by a report, and not by the body yet */
} CallMade;

typedef struct Power { /* of dimensions that are not both numbers: a symbol */
  Dim *base, *exponent, *power;
} Power;

typedef Vec(Str) StrList;

typedef struct WrongValue { /* a value that is wrong where it is used, and the message that says so */
  Span defined;
  Diag *said;
} WrongValue;

typedef struct Unknown { /* a name that nothing defines, and the message that says so, once for a file */
  Str name;
  uint32_t source;
  Diag *said;
} Unknown;

typedef struct Type { /* resolved */
  DType dtype;
  Dim *bound;
  int rank;
  Dim **shape;
  int nparts; /* of a result of several parts, which has no shape of its own */
  struct Type *parts;
} Type;

typedef struct SourceRow { /* a data field without a formula: what a row of the source's part of its name is */
  Str name;
  Type type;
  bool failed; /* after a message */
} SourceRow;

typedef struct Elaborator {
  Arena *arena; /* of what is walked: while generic code is checked, one that ends with the check */
  Arena *kept;  /* of what declarations mean */
  StrTable *strings;
  Sources *sources;
  DiagSink *diags;
  const ElaborateOptions *options;
  Ir *ir;
  Program *program;
  InternTable tensors;   /* of Program.tensors, by name */
  Vec(Module *) modules; /* the main file's is first */
  Module *prelude;
  Module *module; /* whose code is walked */

  Graph *graph;        /* being built */
  Vec(StackVar) stack; /* bound indices, outermost first; the first `steps` are the steps of scans */
  int steps;
  Loop *loop;           /* the loop in whose body the walk is, in the function at hand; NULL */
  Repeat *repeat;       /* the repeat in whose body the walk is, through calls; NULL */
  int repeats;          /* of the steps, those of repeats */
  Vec(Current) current; /* of this graph, in order of first use */
  int assigned;         /* how often a parameter or state was given another value */
  Vec(int) places;      /* by tensor: 1 + its place in `current`; 0, or past the end: not used yet */
  Vec(Node *) inputs;   /* of this graph */
  Vec(Node *) repeated; /* of this graph: what repeats carry, through which there is no derivative */
  Vec(CallMade) made;   /* of this graph: repeated.c */
  bool reporting;       /* a report of a training is walked, which repeats calls */
  bool training;
  bool generic;         /* checking generic code: nothing is kept */
  Vec(Power) powers;    /* of generic code */
  bool filling;         /* first values are walked: there is no step and no example */
  const Ast *entry;     /* that is walked; NULL */
  bool sample;          /* it may draw */
  struct Frame *frame;  /* the call that is walked: names draws */
  Vec(Next) pending;    /* `s <- e`, effective when the member call returns, in `train` when the step ends */
  int call_pending;     /* those before it are of outer calls */
  int examples;         /* indices at the stack's bottom, for each of which there is a copy of the states (entries) */
  Vec(Init) inits;      /* first values, elaborated into Program.init at the end */
  Str naming;           /* the full name that an instance made here gets; NULL: none may be made */
  Str suffix;           /* and its suffix */
  bool suffixed;        /* there was one: two parameters may be called the same */
  Vec(DataDecl *) data; /* as in Program.data */
  Vec(Unknown) unknown; /* names that nothing defines */
  StrList variables;    /* names by which the body that is walked derives */
  Vec(WrongValue) wrong;   /* values that did not fit where they were used */
  Vec(const Ast *) broken; /* functions and members with a mistake, of whatever instance */
  int depth;
  Str train;             /* the name of the `train` block that is walked, if it is not the first; NULL */
  int turns;             /* calls and turns of `for` so far, each of which is written out */
  bool too_large;        /* a message said so */
  Vec(CallPlace) calls;  /* for "in this use of" places */
  Dim *batch;            /* the symbol B of the graph */
  Env *counters;         /* of a training: step, steps, epoch; NULL elsewhere */
  Vec(Dim *) packs;      /* each stands for a run of dimensions of an entry's argument: pack.c */
  Vec(Drawn) drawn;      /* the data sets whose examples the graph is given */
  Field *field;          /* the data field whose expression is walked; NULL */
  const DataSet *set;    /* the data set that it belongs to */
  Vec(SourceRow) rows;   /* what that set's fields without a formula say */
  Str assumed;           /* a part of the source that the field's formula reads as what the field is; NULL */
  struct TestWalk *test; /* the `test` block that is walked; NULL */
  const Type *result; /* what the body that is walked is declared to return, or NULL: `return` takes ranges from it */
} Elaborator;

/* ---- values (value.c) ---- */
Value *value_new(Elaborator *x, ValueKind kind, Span at);
Value *value_int(Elaborator *x, Dim *d, Span at);
Value *value_real(Elaborator *x, double v, Span at);
Value *value_flag(Elaborator *x, bool v, Span at);
Value *value_scalar(Elaborator *x, Expr *e, Span at);
Value *value_index(Elaborator *x, Form *f, Dim *bound, Span at); /* an index's value: weak i32 */
Value *value_node(Elaborator *x, Node *n, Span at);              /* the whole tensor (rank 0: its read) */
bool value_is_number(const Value *v);                            /* INT, REAL or a tensor */
DType weak_dtype(Elaborator *x, const Value *v); /* of a number that adapts, left alone: i64 where i32 is too small */
bool values_alike(const Value *a, const Value *b); /* tensors of one type and shape */
bool literal_fits(int64_t c, DType t);
Value *value_cast(Elaborator *x, const Value *v, DType t,
                  Span at);                                      /* each element of a tensor; NULL after a message */
Value *value_as_next(Elaborator *x, Value *v, DType t, Span at); /* of a state of type t; NULL after a message */
/* Whether v is a tensor of numbers all of which were written out. */
bool literal_is_written(Elaborator *x, const Value *v);
/* Such a tensor as one of t, where that is a float; else v itself. */
Value *literal_as(Elaborator *x, Value *v, DType t, Span at);
/* `[a, b, c]` of these: a vector where they are numbers, a tensor where they are of one shape; else an array of them.
 * NULL after a message. */
Value *literal_array(Elaborator *x, const Ast *a, Value **items);
/* Element i of an array that was written out. */
Value *literal_element(Elaborator *x, const Value *v, int i);
/* v as what is written there, where a mistake in it is then said; NULL for NULL. */
Value *value_at(Elaborator *x, const Value *v, Span at);
/* What a name's value is at this moment: of a parameter or a state what it has become. */
Value *value_settled(Elaborator *x, Value *v, Span at);
bool value_is_form(const Value *v); /* INT, or a scalar that is an index expression */
Dim *limit_of_either(Elaborator *x, const Value *a,
                     const Value *b);                         /* what both integers are below; NULL: not known */
Dim *limit_of_all(Elaborator *x, int n, Value *const *items); /* what all integers are below; NULL: not known */
Form *value_form(Elaborator *x, const Value *v);              /* of any integer scalar: data where it is no form */
DType float_default(const Elaborator *x); /* of a real that stands alone: f32, or f64 by --precision */

/* The element of v at the forms `at` (v->rank of them), as a scalar expression. */
Expr *value_element(Elaborator *x, const Value *v, Form **at);
/* v with its first n dimensions taken by forms: a row, a scalar. */
Value *value_take(Elaborator *x, const Value *v, int n, Form **at);
/* A tensor of the given dimensions from a scalar expression over vars (and over the stack). */
Value *value_tensor(Elaborator *x, int rank, Var **vars, Expr *body, Span at);
/* v as a tensor over vars (indices just taken off the stack) and then its own dimensions. */
Value *value_abstract(Elaborator *x, Value *v, int n, Var **vars);
Value *value_zeros(Elaborator *x, const Value *v); /* of v's type and shape */
/* The node that is v, wholly: no index of the stack in it (grad, outputs, stores). */
Node *value_whole(Elaborator *x, Value *v);
/* v as type t: compile-time numbers and weak scalars become t; a tensor must have it already. NULL after a message.
 */
Value *value_coerce(Elaborator *x, Value *v, DType t, Span at);
/* Any run-time form of a compile-time number: integers i32 (i64 if need be), reals the default float. */
Value *value_runtime(Elaborator *x, Value *v);

void value_describe(Elaborator *x, Buf *out, const Value *v); /* `f32[B, 64]`, as in messages */
const char *value_type_text(Elaborator *x, const Value *v);
const char *shape_text(Elaborator *x, int rank, Dim **shape);
bool rank_fits(Elaborator *x, int rank, Span at); /* false after a message: more than MAX_RANK dimensions */
/* The indices of a tensor [vars..., v's shape]: `all` of them, and as forms `at` those of v. False as rank_fits. */
bool indices_over(Elaborator *x, const Value *v, int n, Var *const *vars, Var **all, Form **at);
void stack_push(Elaborator *x, Var *v, Expr *place);

/* ---- names (env.c, scope.c) ---- */
Env *env_bind(Elaborator *x, Env *up, Str name, Value *v, Span at);
Env *env_find(Env *e, Str name);
Value *name_lookup(Elaborator *x, Env *e, Str name,
                   Span at);                                /* locals, file, imports, library; NULL after a message */
Value *name_find(Elaborator *x, Env *e, Str name, Span at); /* the same; NULL without a message where there is none */
/* A message that nothing defines the name; NULL where it was said of another place in the file, which is then added
 * to it. */
const char *row_name(int i);                         /* of the functions that are rows of scalar.def; NULL: no more */
bool name_exists(Elaborator *x, Env *e, Str name);   /* reductions aside */
bool said_unknown(Elaborator *x, Str name, Span at); /* whether it was */
Diag *say_unknown(Elaborator *x, DiagCode code, Str name, Span at, const char *message);
/* The same of what is defined at `defined` and wrong: one message for all places of one use. */
Diag *say_of_definition(Elaborator *x, DiagCode code, Span at, Span defined, const char *message);
/* The same of v, which has a kind or elements that do not fit at `at`: one message, if it is defined elsewhere. */
Diag *say_of_value(Elaborator *x, DiagCode code, Span at, const Value *v, const char *message);
Value *decl_value(Elaborator *x, Decl *d, Span at);
Decl *decl_find(Elaborator *x, Module *m, Str name);
Decl *module_find(const Module *m, Str name); /* in this file alone; NULL */
void module_add(Elaborator *x, Module *m, Decl *d);
const char *closest_name(Elaborator *x, Env *e, Str name); /* for "did you mean"; NULL */
typedef struct Nearest { /* a search for the name that was meant, among candidates of any kind */
  Str name;
  int limit;         /* letters apart: nearer ones only, and of two as near the one that begins in the name's case */
  const char *found; /* NULL: none so far */
  bool longer;       /* of two as near the longer one: letters are left out more often than added */
} Nearest;
void nearest_consider(Nearest *n, const char *candidate);  /* the name itself and NULL do not count */
bool mentions(const Ast *a, Str name);                     /* anywhere in the tree */
bool mentions_from(const Ast *a, Str name, uint32_t from); /* at a place of the text from `from` on */
bool ast_calls(const Ast *a);                              /* something: only what is called writes a state */
bool is_dimension_name(Str s);                             /* ALL_CAPS */

/* ---- types (types.c) ---- */
#define MAX_ELEMENTS ((int64_t)1 << 48)
/* Whether an extent is `least` or more: known, or of an entry's open dimensions required when it is called. False
 * after a message. */
bool extent_holds(Elaborator *x, Dim *d, int64_t least, Span at);
/* What a declared result tells its indices of their ranges, in *t; NULL in *known: nothing. False after a message. */
bool expected_result(Elaborator *x, Env *e, Ast *type, Type *t, Type **known);
bool size_fits(Elaborator *x, int rank, Dim *const *shape, Span at); /* false after a message: over MAX_ELEMENTS */
bool dimension_is_open(Elaborator *x, Env *e, const Ast *a);         /* a name of one that nothing binds */
Decl *type_decl(Elaborator *x, const Ast *type);
bool type_resolve(Elaborator *x, Env *e, Ast *type, Type *out); /* every dimension bound; false after a message */
int type_rank(const Ast *type, bool *pack);                     /* dimensions that it writes, a pack not counted */
/* Binds what the signature's type leaves unbound (dimensions, float, num, ..S) to what v has after its first `lift`
 * dimensions, and checks the rest. Gives v converted (numbers to tensors), or NULL after a message. */
Value *type_match(Elaborator *x, Env **e, Ast *param, Value *v, int lift, Span at, const char *what);
/* Of a tensor for the type: its dimensions that the type names, and nothing else; a value that does not fit binds
 * none.
 */
void type_bind_names(Elaborator *x, Env **e, Ast *type, const Value *v, int lift, Span at);
bool type_check_result(Elaborator *x, Env *e, Ast *type, Value **v, Span at, const char *what);
/* Whether v is known to be below `bound`, NULL being none; false after a message. */
bool bound_holds(Elaborator *x, const Value *v, Dim *bound, Span at, const char *what);
/* v for the definition `E = v`: a dimension's name means that a division leaves no rest. NULL after a message. */
Value *dimension_value(Elaborator *x, Env *e, const Ast *define, Value *v);
/* A number, or in generic code a symbol, the same for the same; NULL: it is not known to be an integer. */
Dim *dim_power(Elaborator *x, Dim *base, Dim *exponent);
Dim *dim_of(Elaborator *x, Env *e, Ast *a);                        /* a dimension expression; NULL after a message */
Dim *not_known_to_divide(Elaborator *x, Dim *n, Dim *by, Span at); /* NULL, after a message */
DType dtype_of_name(const Elaborator *x, Str name, bool *ok);      /* f32 is f64 under --precision f64 */

/* where.c: what a signature requires. Names that it has and nothing binds become symbols in *e, of which it is then
 * known; a call tests it with the dimensions bound in e. False after a message; `where` may be NULL. */
bool is_int_parameter(const Ast *param); /* bound in *e, too, by where_learn */
bool where_learn(Elaborator *x, Env **e, const Ast *params, Ast *where);
bool where_test(Elaborator *x, Env *e, Ast *where, Span at, Str name);

/* pack.c: of an entry's argument `f32[..S]` how many dimensions there are is known when it is called. */
Value *pack_new(Elaborator *x, const Ast *a); /* what ..S stands for: one dimension, of all their elements */
Value *pack_of_one(Elaborator *x, const Ast *a, Str name); /* the same in generic code, where one stands for any */
int pack_of(const Elaborator *x, const Dim *d);            /* its place in `packs`; -1: it is none */
/* False after a message: one of v's dimensions from `first` to `end` - 1 is such a run, and it would have to be
 * known. */
bool rank_known(Elaborator *x, const Value *v, int first, int end, Span at);

/* ---- expressions (expr.c, index.c, call.c) ---- */
Value *elaborate_expr(Elaborator *x, Env *e, Ast *a);
Value *elaborate_expr_as(Elaborator *x, Env *e, Ast *a,
                         const Type *expected); /* a shape that indices may take ranges from */
Value *elaborate_tuple(Elaborator *x, Env *e, AstList *items, const Type *expected, Span at);
Value *elaborate_binary(Elaborator *x, Op op, Value *a, Value *b, Span at);
Value *elaborate_scalar_row(Elaborator *x, ScalarOp op, int n, Value **args, Span at);
Value *value_either(Elaborator *x, Value *when, Value *then, Value *otherwise, Span at); /* `if when then ...` */
Value *elaborate_index(Elaborator *x, Env *e, Ast *a, Ast *otherwise);
Value *elaborate_comprehension(Elaborator *x, Env *e, AstList *items, Ast *body, const Type *expected, Span at);
Value *elaborate_apply(Elaborator *x, Env *e, Ast *a);
Value *call_order(Elaborator *x, Env *e, Ast *a);
Value *call_grad(Elaborator *x, Env *e, Ast *a); /* derivative.c */
Value *call_jvp(Elaborator *x, Env *e, Ast *a);
Value *call_reshape(Elaborator *x, Env *e, Ast *a, Value *piped); /* arrange.c */
Value *call_concat(Elaborator *x, Env *e, Ast *a, Value *piped);
Value *call_stack(Elaborator *x, Env *e, Ast *a, Value *piped);
/* Tensors of one type and shape as one, with one more dimension: the axis. NULL after a message. */
Value *value_stack(Elaborator *x, int n, Value **parts, int axis, Span at);
Value *call_iota(Elaborator *x, Env *e, Ast *a, Value *piped);
Value *call_split(Elaborator *x, Env *e, Ast *a, Value *piped);
Value *value_as_vector(Elaborator *x, const Value *v, int n, Span at); /* v with its first n dimensions as one */
Form *flat_place(Elaborator *x, int rank, Dim **shape, Form **at);     /* where in it; NULL: a stride is no number */
Value *call_len(Elaborator *x, Env *e, Ast *a);                        /* length.c */
/* The length of v with its first n dimensions taken: NULL where there is none, or it is one of these. */
Value *length_taken(Elaborator *x, const Value *v, int n, Form **at);
int indices_used(Elaborator *x, const Value *v, Var **out); /* of the stack, by v, outermost first; how many */
/* v as a node over indices of the stack, and then its own dimensions; NULL after a message. */
Node *node_over(Elaborator *x, Value *v, int n, Var **vars);
/* own.c: a call of a function that says what its derivative is, its parameters being bound in e; `body` makes its
 * value. */
Value *call_own(Elaborator *x, Function *f, Env *e, Span at, Value *(*body)(Elaborator *, Function *, Env *, Span));
Value *elaborate_call(Elaborator *x, Env *e, Ast *a, Value *piped);
bool is_broken(const Elaborator *x, const Ast *a);   /* generic code found a mistake in it */
bool is_other_name(const Ast *name, const Value *v); /* v is a model, and that a second name of it: `m = M` */
Value *say_no_instance(Elaborator *x, Env *e, const Ast *name, const Value *v); /* NULL */
/* A message of the same words of which this place is a part: one mistake that is met again. NULL. */
Diag *same_cause(Elaborator *x, DiagCode code, Span place, const char *message);
Value *elaborate_draw(Elaborator *x, Env *e, Ast *dist, const Type *t, Str path, Span at);
Value *reduce_whole(Elaborator *x, Reducer r, Value *v, Span at);
Value *reduce_vars(Elaborator *x, Reducer r, int n, Var **vars, Expr *body, Span at);
Value *reduce_call(Elaborator *x, Str name, Value *v, Span at, bool *is); /* sum(v), ...; *is: name is such a word */

Frame *frame_enter(Elaborator *x, Str name); /* the frame before, to be put back */
Str frame_path(Elaborator *x, Str name);
void say_calls(Elaborator *x, Diag *d);                 /* the places of the calls that led here, innermost first */
void say_calls_around(Elaborator *x, Diag *d, Span at); /* of those that `at` is not in */

typedef struct CallArg {
  Str name;
  Value *value;
  Span span, name_span; /* of the value; of the name, or else the value */
} CallArg;
Value *call_function(Elaborator *x, Function *f, int n, CallArg *args, Span at);
/* The value of a call that was made already, which a report repeats, `given` by parameter; NULL: it is another one.
 */
Value *call_made(Elaborator *x, const Function *f, CallArg *const *given);
/* Remembers a call that wrote states, for the reports that repeat it; `first`: how many there were when it began. */
void call_remember(Elaborator *x, const Function *f, CallArg *const *given, int first, Value *v);
void apply_pending(Elaborator *x, int mark); /* the next values from `mark` on take effect */
Value *call_value(Elaborator *x, Value *callee, int n, CallArg *args, Span at);
Expr *place_of(Elaborator *x, Var *v, Span at); /* of an index over the batch: the example's place; else NULL */
/* Binds compile-time parameters of a model, optimizer or metric head. */
Env *bind_parameters(Elaborator *x, Env *outer, Ast *params, int n, CallArg *args, Span at, Str name);
bool is_reduction(Str name);                                 /* sum, mean, ..., count */
bool name_is_function(Elaborator *x, Str name);              /* of the file, the library, or built in */
Value *row_function(Elaborator *x, Str name, Span at);       /* tanh, as a value; NULL: no such row */
Value *reduction_function(Elaborator *x, Str name, Span at); /* sum, as a value; NULL: no such reduction */
CallArg *elaborate_args(Elaborator *x, Env *e, Ast *args, Value *piped, int *n); /* piped: comes first; or NULL */

/* ---- what messages offer (suggest.c): a help and its fix, where the text is the user's ---- */
void say_state_twice(Elaborator *x, Str name, Span at, Span first);
bool is_primary(const Ast *a); /* indices or a point may follow it: `x[i]`, `f(x)`, and anything in brackets */
const char *article(Str name); /* "a" or "an" */
const char *statement_title(Elaborator *x,
                            const Ast *a);         /* "`return`", or "`a, b = …`" where it begins with no word */
const char *written(const Elaborator *x, Span at); /* the source's text there */
bool is_users(const Elaborator *x, Span at);       /* and not the library's */
const char *function_title(const Elaborator *x,
                           const Function *f); /* its name; of a layer's `forward`, the layer's */
/* Messages since number `before` that lie in the library lead with the use of it, at `at`. */
void blame_use(Elaborator *x, int before, Span at, Str name);
/* The place that says what the dimension `a` of a signature is: an argument's, or where it stands. */
void place_of_dim(Elaborator *x, Diag *d, Env *e, const Ast *a, Dim *is);
const char *foreign_help(Str name); /* what is meant by a name of other libraries; NULL */
void suggest_around(Elaborator *x, Diag *d, Span at, const char *before, const char *after);
void suggest_reshape(Elaborator *x, Diag *d, Span at, const Ast *type, int n, Dim **have);
void suggest_call(Elaborator *x, Diag *d, Span at, const char *function);
/* For a message about the operation a of l and r: its operands' types, and what was meant. */
void suggest_operands(Elaborator *x, Env *e, Ast *a, Value *l, Value *r, Diag *d);
void suggest_guard(Elaborator *x, Diag *d, Ast *read); /* (read else 0) */
void suggest_index_of_index(Elaborator *x, Env *e, Diag *d, Ast *read, Ast *item, const Value *base, const Value *v);
void suggest_reduction(Elaborator *x, Env *e, Diag *d, Ast *call, const Value *v, int64_t axis);
void suggest_kept(Elaborator *x, Diag *d, Ast *apply, Str index);        /* [i] => f(i: ...) */
void suggest_rest(Elaborator *x, Diag *d, Span at, const char *divisor); /* k % n */
void suggest_function(Elaborator *x, Diag *d, Ast *call);
/* For `a, b, c, d = split(x, 4)`, which gives another number of parts. */
void suggest_parts(Elaborator *x, Diag *d, const Ast *call, const Value *v, int wanted);
void suggest_element(Elaborator *x, Diag *d, Ast *call);
/* For messages since number `before`: where f is `matmul`, and a vector was given. */
void suggest_product(Elaborator *x, int before, const Function *f, int n, const CallArg *args);

/* ---- structures (structure.c) ---- */
bool value_is_structure(const Value *v);               /* or an instance, or an array of such */
Value *structure_of(Elaborator *x, Value *v, Span at); /* its parameters at this moment */
Value *structure_with(Elaborator *x, const Value *like, Value **items, Span at); /* other values for the same */
Value *structure_state_now(Elaborator *x, const Value *state, Span at);
Value *structure_member(Elaborator *x, Value *s, Str name, Span at);
Value *structure_item(Elaborator *x, Value *s, int i, Span at); /* of an array's */
/* A function of the instance, or `forward` for NULL, with these parameters. */
Value *structure_call(Elaborator *x, Value *s, Function *f, int n, CallArg *args, Span at);
bool structures_agree(Elaborator *x, const Value *a, const Value *b, Span at); /* false after a message */
typedef Value *LeafFunction(Elaborator *x, int n, Value **args, const void *cx, Span at);
/* f of each parameter's values, where at least one argument is a structure; others are numbers. */
Value *structure_map(Elaborator *x, int n, Value **args, LeafFunction *f, const void *cx, Span at);
Value *structure_reduce(Elaborator *x, Str word, Value *v, Span at);
bool structure_is_of(const Value *v, const Decl *model);
/* As type_match, for a structure. */
Value *structure_match(Elaborator *x, Env **e, Ast *type, Value *v, Span at, const char *what);
bool structure_next(Elaborator *x, Value *target, Value *v, Ast *a); /* `a` is `target <- v` */

/* ---- statements (stmt.c) ---- */
bool give_next(Elaborator *x, InstanceMember *state, Value *v, Span at); /* when the call returns; false: a message */
bool same_state(const Elaborator *x, const InstanceMember *a, const InstanceMember *b);
/* Walks statements; *e grows. Gives the returned value through *result, if a return was reached. False after an
 * error. */
bool elaborate_block(Elaborator *x, Env **e, Ast *block, Value **result);
/* After an inner block: `outer` with what the block made of its names. */
Env *leave_block(Elaborator *x, Env *outer, Env *inner);
/* Begins a body: the names by which it derives. A number that was computed is a node of its own under such a name, so
 * that what is made of it depends on it. Gives the names of the body around, to be put back. */
StrList variables_enter(Elaborator *x, Env **e, const Ast *body);
/* v as the value of such a name, of others v itself; `own`: it was computed, though it may be what it was made of. */
Value *value_as_variable(Elaborator *x, Str name, Value *v, bool own);
bool is_path(const Ast *a); /* a name, or a path from one: what something can depend on */
/* What a block that fails would define is no mistake of its own. */
Env *bind_failed(Elaborator *x, Env *e, const Ast *block);
bool elaborate_statement(Elaborator *x, Env **e, Ast *s, Value **result);
/* What `a, b = e` takes apart: a value of as many parts; NULL after a message. `keeps`: a loop keeps them. */
Value *unpacked(Elaborator *x, Env *e, Ast *s, bool keeps);
/* Counts a call or a turn; false, the first time with a message, where they are too many, or nested too deep. */
bool one_more(Elaborator *x, Span at, Str name);
void check_function(Elaborator *x,
                    const Ast *a); /* its head: each parameter once, nothing that is not compiled yet */

/* ---- scan.c, repeat.c ---- */
void repeat_carry_state(Elaborator *x, int tensor, Span at); /* a model's state is read in a repeat */
bool in_repeat(const Elaborator *x);                         /* the statement at hand stands in the body of one */
bool elaborate_scan(Elaborator *x, Env **e, Ast *s);
bool scan_state(Elaborator *x, Env **e, Ast *s);              /* `state` in its body */
bool scan_next(Elaborator *x, Env *e, Ast *s, bool *is);      /* `s <- e`; *is: s is a loop's state */
bool scan_has_state(const Elaborator *x, const Env *b);       /* b names a state of the loop at hand */
bool scan_keeps(const Elaborator *x, Env *e, const Ast *s);   /* `y[t] = e`: an index of it is the step */
bool scan_keep(Elaborator *x, Env **e, Ast *s, Value *given); /* given: the step's value; NULL: s says it */
bool scan_redefines(Elaborator *x, Str name, Span at); /* true after a message: a name from outside of the loop */
bool branch_defines(const Ast *branch, Str name);      /* whether it does, or is left by `return` */
/* Whether a condition that is `truth` says that two numbers, symbols in generic code, are one. */
bool says_equal(const Ast *c, bool truth);
void say_no_value(Elaborator *x, const Ast *a); /* `name: type` stands in data only */
Value *elaborate_body(Elaborator *x, Env *e, Ast *body, const Type *expected, Span at);

/* ---- definitions outside of functions (definition.c) ---- */
typedef struct Outside Outside; /* where the walk was */
struct Outside {
  Vec(StackVar) stack;
  int steps, repeats;
  Loop *loop;
  Repeat *repeat;
  Module *module;
  bool generic;
};
/* The walk goes to a definition of module m, which sees no index and no loop of where it is used, but for those that
 * a model's state which it reads has a copy for; and comes back. */
Outside step_outside(Elaborator *x, Module *m, bool generic);
void step_back(Elaborator *x, const Outside *o);
bool outlives_graph(const Value *v); /* it is no node of the graph it was made for */
/* What `a`, a member of `in` or a definition of a file (NULL), with the full name `path`, is defined to be. */
Value *defined_value(Elaborator *x, Instance *in, Env *e, Ast *a, Str path);
/* v, which `a` defines in i, as what it is in each graph. */
Value *value_of_each_graph(Elaborator *x, const Value *v, Instance *i, Ast *a);
Value *value_again(Elaborator *x, struct Again *a); /* in this graph, with parameters as they are at this moment */

/* ---- choices between statements at run time (either.c) ---- */
typedef struct SideWalk { /* what states a side; its names grow */
  bool (*walk)(Elaborator *x, Env **e, void *cx);
  void *cx;
} SideWalk;
/* Does what `then` does where `when` holds at run time, else what `otherwise` does. */
bool choose_at_run_time(Elaborator *x, Env **e, Value *when, const SideWalk *then, const SideWalk *otherwise,
                        Span at);
bool is_run_time_truth(Elaborator *x, const Value *c, Span at); /* c is one that decides; false after a message */
bool repeat_if(Elaborator *x, Env **e, const Ast *s, const Value *c); /* an `if` in a repeat's body */

/* ---- models (model.c) ---- */
Value *instance_new(Elaborator *x, ModelDecl *m, int n, CallArg *args, Str path, Span at);
Value *instance_member(Elaborator *x, Instance *i, Str name, Span at);
/* Of an `if` around members: a block, an `if`, or NULL; false after a message. */
bool members_taken(Elaborator *x, Env *e, Ast *a, Ast **taken);
Value *instance_call(Elaborator *x, Instance *i, int n, CallArg *args, Span at);
/* All trained parameters below v (an instance, an array, or a parameter's own value), as indices into
 * Program.tensors. */
typedef Vec(int) IntList;
/* What stands right of `name = Model(...)`, `[...]`, `... * n`, a member of `in` or a file's (NULL): `path` is its
 * full name. */
Value *instances_named(Elaborator *x, const Instance *in, Env *e, const Ast *a, Str path);
/* `from` after a definition of v, which is named `path`: start.c. */
void start_from(Elaborator *x, Env *e, const Ast *a, const Value *v, Str path);
/* `frozen` (an instance or several: not trained, and not `training`) and `nodecay` after a definition. */
void mark_as_said(Elaborator *x, const Ast *a, Value *v);
void instance_params(Elaborator *x, Instance *i, IntList *out);
void value_params(Elaborator *x, Value *v, IntList *out);
Value *tensor_current(Elaborator *x, int tensor, Span at); /* a parameter's or state's value at this moment */
Value *tensor_assign(Elaborator *x, int tensor, Value *v); /* its value from now on; gives what was assigned before */
/* What a parameter that is `now` was when `value` was computed: the newest that it depends on; `now` if on none. */
Node *tensor_when(Elaborator *x, Node *value, Node *now);
Node *tensor_source(const Elaborator *x, int tensor); /* in this graph; NULL: nothing has used it */
int tensor_declare(Elaborator *x, Str name, TensorRole role, const Type *t, Span at);
Type tensor_type(Elaborator *x, int tensor); /* its bound with it */
int tensor_find(Elaborator *x, Str name);    /* -1 */

/* ---- files (elaborate.c, import.c) ---- */
Decl *decl_add(Elaborator *x, struct Module *m, DeclKind kind, Ast *a); /* NULL after a message */
struct Module *module_load(Elaborator *x, Str path, const char *text, size_t n, bool library, Str prefix);
void import_file(Elaborator *x, struct Module *m, Ast *a);
void imported_twice(Elaborator *x, struct Module *m); /* names that m has from two files */
Str file_identity(Elaborator *x, Str path); /* one text for all ways to name a file; the path where there is none */
Decl *decl_brought(const struct Module *m, Str name);              /* of those that an import of m brings; NULL */
Decl *decl_of_path(Elaborator *x, struct Module *m, const Ast *a); /* `name`, or `file.name`; NULL: it is none */
Str decl_full_name(Elaborator *x, const Decl *d); /* in the program: of instances, data, hyper values */
Value *file_member(Elaborator *x, struct Module *file, Str name, Span at);
Str path_beside(Elaborator *x, const struct Module *m, Str path); /* a relative path begins at m's folder */
Str path_at_run_time(Elaborator *x, Str path); /* one that the program reads: from where it runs, or --folder */
bool file_read(Str path, Buf *out);            /* all of a file; false: it cannot be read */
void program_mix(Elaborator *x, const void *bytes, size_t n); /* into Program.hash */

/* ---- graphs (elaborate.c) ---- */
typedef struct GraphState GraphState;
Graph *graph_begin(Elaborator *x, Str name,
                   GraphState **saved); /* a new graph; the state of the one before is kept */
void graph_end(Elaborator *x, GraphState *saved);
Node *graph_named_input(Elaborator *x, const char *name, DType t, int rank, Dim **shape,
                        Span at); /* one node a name */
void generic_check(Elaborator *x, Function *f);
typedef struct Check { /* of generic code: a graph, and what its walk allocates, which are thrown away */
  Arena *arena;
  GraphState *saved;
  Module *module;
  bool generic;
} Check;
Check check_begin(Elaborator *x, Module *m);
void check_end(Elaborator *x, const Check *c);

bool metric_streams(const Ast *metric);    /* it has states: metric.c */
void check_metric(Elaborator *x, Decl *d); /* as generic code */
/* A value that stands for any argument of this parameter; NULL where there is no such thing (fn, a model's instance).
 */
Value *any_argument(Elaborator *x, Env **e, Ast *p);
/* A first value as a tensor of type t: a number fills it. NULL after a message. */
Value *value_filling(Elaborator *x, Value *v, const Type *t, Str name, Span at);
/* A number that is written where a tensor of type t is declared, as that; else v. NULL after a message. */
Value *value_filled(Elaborator *x, Value *v, const Type *t);

/* ---- test.c ---- */
void elaborate_test(Elaborator *x, Decl *d);
bool test_assert(Elaborator *x, Env *e, Ast *a);
Value *test_drawn(Elaborator *x, Value *v, Str name); /* a draw of the block, as the test reads it */

/* ---- declarations (data.c, train.c, entry.c, hyper.c) ---- */
void elaborate_hyper(Elaborator *x, Decl *d);
Value *hyper_value(Elaborator *x, Decl *d, Span at); /* at run time */
Value *defined_by_option(Elaborator *x, Decl *d);    /* -D NAME=value; NULL: there is none */
void elaborate_data(Elaborator *x, Decl *d);
void elaborate_train(Elaborator *x, Decl *d);
void elaborate_entry(Elaborator *x, Decl *d);
typedef struct SourceOptions { /* what says how rows become examples, and texts tokens; start with `lower` set */
  VocabularyFiles files;
  int64_t rows_ahead, size;
  Ast *named, *merges, *lowercase, *special, *begin, *end, *stride, *horizon; /* where they are said; NULL */
} SourceOptions;
/* The options of `text("train.txt", ...)` (text.c), into *o and *d; false after a message. */
bool source_option(Elaborator *x, SourceOptions *o, DataSet *d, Ast *option, bool *is);
/* What no option said, and the vocabulary. */
bool source_complete(Elaborator *x, const SourceOptions *o, DataSet *d, Ast *from);
bool has_tokens(const DataSet *d);                              /* its one column is tokens */
Env *text_names(Elaborator *x, const DataSet *d, Span at);      /* what its fields see: V, the vocabulary's size */
Value *data_column(Elaborator *x, Env *e, Ast *call, bool *is); /* column(...), columns(...) in a field */
Value *data_part(Elaborator *x, Str name, Span at);             /* the source's part of a name, in a field */
Value *data_raw_part(Elaborator *x, RawColumn c, int rank, Dim **shape,
                     Span at);                       /* as an input of the field's graph */
bool has_images(const DataSet *d);                   /* they are pictures: images.c */
Value *image_part(Elaborator *x, Str name, Span at); /* `pixels`, `class` */
/* resize(pixels, height, width), or with pixels before a |>, in a field; *is: it is that. */
Value *image_resized(Elaborator *x, Env *e, const Ast *piped, const Ast *call, bool *is);
Dim *field_dim(Elaborator *x, const Field *f, int i);
Env *data_names(Elaborator *x, const DataSet *d, Span at);
Value *data_input(Elaborator *x, int data, int field, Dim *examples, Span at);
void check_augmented(Elaborator *x, const DataSet *d, const Ast *a); /* that the names are fields */
Value *data_field(Elaborator *x, DataDecl *d, Str name, Span at);    /* `digits.x` at file level */
void say_no_function(Elaborator *x, Env *e, const Ast *call);        /* in a field's formula */
bool field_failed(const DataDecl *d, Str name);
Str data_with_field(Elaborator *x, Str name); /* of those whose examples are at hand; NULL: none */

#endif
