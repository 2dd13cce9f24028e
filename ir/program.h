/* program.h - a whole program below the language: tensors that live, data sets, training, entries, and the graphs
 * that compute them. The frontend makes it, the passes rewrite its graphs, codegen/tables.c writes it as the tables
 * of runtime/nnrt.h.
 *
 * Names of graph inputs: a data field `digits.x` ([B, ...], or [N, ...] in `stats`), an entry's argument `x` ([B,
 * ...]), a source's column `raw.<k>` ([B] or [B, width ...]), and `$seed` (i64, mixed), `$step` `$steps` `$epoch`
 * (i32), `$place` (i64 [B]: each example's place in its data set; `$place.NAME`, where that is not
 * the first that a training draws from). Outputs: a loss by its name, a report by its name
 * (`accuracy`) or, where it is collected, its arguments
 * (`accuracy.0`, ...), a field `value`, an entry's results by name, a gradient `grad/<param>`, which is an input of
 * `update` too; of what a step measures if a condition holds, that condition as `$when.<name>`, a bool. */
#ifndef NNC_IR_PROGRAM_H
#define NNC_IR_PROGRAM_H

#include "ir/graph.h"

typedef enum TensorRole {
  ROLE_param,
  ROLE_frozen,
  ROLE_state,
  ROLE_optimizer,
  ROLE_statistic,
  ROLE_hyper
} TensorRole;

typedef struct ProgramTensor {
  Str name; /* `net.fc1.weight`, `state/<name>`, `opt/<param>/<slot>`, `data/<name>`, `hyper/<name>`: as in
               checkpoints and graphs */
  TensorRole role;
  DType dtype;
  int rank;
  int64_t *shape;
  int64_t bound; /* state of integers: below it, and not negative; 0: any */
  bool nodecay;  /* param: left out of weight decay */
  Span span;
} ProgramTensor;

typedef struct RawColumn { /* what a field reads of its source: graph input `raw.<k>` of Field.graph */
  DType dtype;
  int from, to; /* columns from .. to-1 by number; from -1: by name */
  Str name;     /* header name, the array's name in an npy or idx source, a text's `tokens`; NULL: by number */
  bool single;  /* one column as a scalar (column(n)), not a row of to - from */
  bool text;    /* of a csv: cells are texts, read as tokens */
  bool length;  /* how much of it an example has, where examples differ in that */
} RawColumn;

typedef struct Field {
  Str name;
  DType dtype;
  int rank; /* of one example */
  int64_t *shape;
  Dim *open; /* the first dimension where each example has its own, a symbol of the data set; shape[0] is then -1 for
                its first, -2 for its second, ... */
  int64_t bound; /* i32<bound>; 0: none */
  Vec(RawColumn) raw;
  Graph *graph; /* raw.<k> [B, ...] -> value [B, shape...] */
  int length;   /* the field `$length.<name>`, which follows: how many of the first dimension are there; 0: all */
  Span span;
} Field;

typedef struct OpenDim { /* `S` in a field's type */
  Str name;
  Dim *dim;
} OpenDim;

typedef struct ColumnFile { /* `from npy(x = "train-x.npy")` */
  Str column, path;
} ColumnFile;

typedef struct DataSet {
  Str name;
  Str format; /* its reader's name: csv, npy, idx, text, tokens, safetensors, images */
  Str path;   /* NULL where files go by column */
  Vec(ColumnFile) files;
  int64_t window, stride; /* rows (tokens) of an example, and from one example to the next; 0: a row each */
  Str tokenizer;          /* how texts are cut into tokens; NULL: there are none */
  const void *vocabulary; /* its block of bytes */
  size_t vocabulary_bytes;
  bool whole; /* its file says all of how texts are cut */
  int tokens;
  Vec(OpenDim) open;
  Vec(Field) fields;
  Graph *stats; /* fields of the training part [N, ...] -> stores of ROLE_statistic; NULL: none */
  Span span;
} DataSet;

typedef struct Report {
  Str name;
  Graph *graph;  /* collected: inputs `0`, `1`, ... [N, ...] -> output `value`; NULL: the step's output, averaged over
                    examples */
  Graph *first;  /* streams: -> outputs `0`, `1`, ..., its states at first, which the step and eval graphs read as
                    `metric.<name>.<k>`; `graph` has them as inputs. NULL: it does not */
  int arguments; /* collected: how many outputs `name.k` the step and eval graphs have */
  Span span;
} Report;

typedef struct Train {
  Str name;                           /* NULL for the only one */
  Vec(int) data;                      /* into Program.data; the first says what an epoch is */
  int64_t epochs, steps, batch, seed; /* steps, epochs: 0 where not set */
  int64_t accumulate;                 /* steps whose gradients make one update */
  double clip_norm;                   /* of a gradient; 0: any */
  double validate;                    /* fraction; 0: none */
  int64_t folds;                      /* each validates a training by the others; 0: none */
  int validate_data, test_data;       /* data sets; -1: none */
  bool shuffle;
  DType products; /* what factors of products are rounded to; f64: not at all */
  Vec(Str) losses;
  Vec(Report) reports;
  Str stall; /* `stop when NAME stalls N`; NULL: none */
  int64_t stall_epochs;
  bool conditional; /* a step decides at run time what it changes */
  Graph *begin;     /* -> stores of the training's states, which are made of weights; NULL: of none */
  Graph *step;      /* fields, $... -> losses, reports; stores */
  Graph *eval;      /* fields, $... -> losses, reports, with training = false */
  Graph *grads;  /* fields, $... -> losses, reports, grad/<param>: for --save-grads, and for the pieces of a batch */
  Graph *update; /* grad/<param>, $... -> stores: after the pieces; NULL where `whole` says why there are none */
  Str whole;     /* why a batch is not to be taken in pieces, a clause; NULL: it may be */
  Span span;
} Train;

/* Of a dimension that is known when the entry is called; below it the pack of that number, counted from -2 down: any
 * run of dimensions, which the graph has as one. */
enum { ARGUMENT_OPEN = -1 };

typedef struct Argument {
  Str name;
  DType dtype;
  int rank;       /* of one example */
  int64_t *shape; /* or ARGUMENT_OPEN, or less */
  int64_t bound;
  int data, field; /* read from a FILE through this field; -1: only as a tensor (--input) */
  int text;        /* tokens of this data set's vocabulary, a text; -1: numbers */
} Argument;

typedef struct EntryPoint {
  Str name;
  bool sample, keep;       /* keep: the states that its graph stores stay for the calls after it */
  Vec(Argument) arguments; /* graph inputs */
  Vec(Argument) results; /* graph outputs; after those of the source, for each text with a length, `$length.<name>` */
  int shown;             /* those of the source */
  Graph *graph;
  Span span;
} EntryPoint;

typedef struct Start { /* an instance whose first values come from a file */
  Str instance, path;
  Vec(Str) skip; /* parts of it that do not; names without the instance's */
  Span span;
} Start;

typedef struct Assertion { /* output `assert.<k>`; where it compares two, they are `assert.<k>.0` and `.1` */
  int sides;
  Span span;
} Assertion;

typedef struct Test { /* see frontend/test.c */
  Str name;
  Graph *graph;
  Vec(Assertion) asserts;
  Vec(Str) leaves;    /* what is varied: inputs and parameters */
  Vec(Span) computed; /* where what is derived was written */
  Span span;
} Test;

typedef struct Program {
  Ir *ir;
  Str name;      /* the source's name without folder and .nn */
  uint64_t hash; /* of all sources */
  Vec(ProgramTensor) tensors;
  Vec(Start) starts;
  Graph *init; /* $seed -> stores of every param, state and optimizer slot */
  Vec(DataSet) data;
  Vec(Train) train;
  Vec(EntryPoint) entries;
  Vec(Test) tests; /* no part of what is compiled */
} Program;

/* Calls f for every graph of p. */
void program_graphs(Program *p, void (*f)(void *cx, Graph *g), void *cx);

#endif
