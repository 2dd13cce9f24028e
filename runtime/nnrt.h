/* nnrt.h - what a generated program is: tables that nnc writes and the runtime reads.
 *
 * nnc writes one NnrtProgram as constants beside the kernels' code; the runtime's services (training, evaluation,
 * entries) work from it alone. Every table is one FIELDS list below: from it come the C struct and the description by
 * which codegen/constants.c writes it, so the two cannot differ. F(KIND, name, T) is a field; the kinds:
 *
 * - STRING: const char *, NULL for none
 * - INT: int64_t; REAL: double
 * - INTS: int64_t n_name; const int64_t *name
 * - BYTES: int64_t n_name; const void *name, aligned to 64
 * - TABLES: int64_t n_name; const T *name
 * - KERNEL: NnrtKernel *; while nnc prepares tables it holds the symbol's text instead
 * - VERB: NnrtVerb *; likewise. Only verbs that a table names are linked
 * - ENDS: NnrtEnds *; likewise, NULL for none
 * - SERVICE: const T *, a constant of the runtime; likewise, so that what no table names is not linked
 *
 * A *poly* is an INTS field: a polynomial over a graph's dims: the number of terms, then for each term its
 * coefficient, the number of factors, the factors' indices into NnrtGraph.dims (repeated for powers). An INT that is
 * an index has -1 for none. */
#ifndef NNRT_NNRT_H
#define NNRT_NNRT_H

#include "runtime/dtype.h"
#include "runtime/error.h"

/* A kernel: `buffers` in the order of its launch's list; `dims` the open dimensions' values; units [begin, end) of
 * its launch; `scratch` the calling thread's own, 64-byte aligned, of the launch's scratch bytes. Units do not depend
 * on each other. */
typedef void NnrtKernel(void *const *buffers, const int64_t *dims, int64_t begin, int64_t end, void *scratch);

struct NnrtProgram;
struct NnrtCli;
struct NnrtRun;
struct NnrtLoop;
struct NnrtReader;
struct NnrtTokenizer;
struct NnrtTexts;
struct NnrtLengths;
struct NnrtRequired;
/* Asked after each step of a loop: whether the ones after it may be left out. If so, their rows are written. */
typedef bool NnrtEnds(const struct NnrtRun *r, const struct NnrtLoop *l, int64_t steps, int64_t step);
/* A verb of the command line (`train`, ...): returns the process's exit code. cli is the parsed command line. */
typedef int NnrtVerb(const struct NnrtProgram *p, struct NnrtCli *cli);

typedef enum NnrtPlace { NNRT_INPUT, NNRT_PARAM, NNRT_STATE, NNRT_CONST, NNRT_ARENA } NnrtPlace; /* = BufferClass */
typedef enum NnrtRole {
  NNRT_ROLE_PARAM,
  NNRT_ROLE_FROZEN,
  NNRT_ROLE_STATE,
  NNRT_ROLE_OPTIMIZER,
  NNRT_ROLE_STATISTIC,
  NNRT_ROLE_HYPER
} NnrtRole;

/* Kernels are given the values of all dims of their graph. The first are open dimensions, which the caller states;
 * each of the rest is a quotient floor(dividend / divisor) of polys over the dims before it. */
#define NNRT_DIM_FIELDS(F)                                                                                           \
  F(STRING, name, ) /* "B" for the batch (in `stats` and metrics: "N"); NULL for a quotient */                       \
  F(INT, scale, )   /* what is called so is scale * this + rest */                                                   \
  F(INT, rest, )                                                                                                     \
  F(INT, lower, )                                                                                                    \
  F(INT, upper, )                                                                                                    \
  F(INTS, dividend, ) /* poly; none for an open dimension */                                                         \
  F(INTS, divisor, )

/* A place for a tensor during a run. */
#define NNRT_BUFFER_FIELDS(F)                                                                                        \
  F(INT, place, )   /* NnrtPlace */                                                                                  \
  F(INT, index, )   /* INPUT: into inputs of the graph; PARAM, STATE: into variables; CONST: into constants */       \
  F(INTS, bytes, )  /* poly */                                                                                       \
  F(INTS, offset, ) /* poly: ARENA only */

#define NNRT_LAUNCH_FIELDS(F)                                                                                        \
  F(KERNEL, kernel, )                                                                                                \
  F(STRING, name, ) /* this, kind, line and flops: for `bench`; not in a program without it */                       \
  F(STRING, kind, )                                                                                                  \
  F(INT, line, )     /* of the source */                                                                             \
  F(INTS, buffers, ) /* into NnrtGraph.buffers */                                                                    \
  F(INTS, units, )   /* poly; in a loop, of one step: step s has the units from s * units on */                      \
  F(INT, grain, )    /* units in a chunk */                                                                          \
  F(INTS, work, )    /* poly: estimated nanoseconds on one thread */                                                 \
  F(INTS, flops, )   /* poly: multiplications and additions of a sum of products; 0 for other kernels */             \
  F(INTS, scratch, ) /* poly: bytes for each thread */

/* Launches first .. last, run in order once for each step; loops inside it come later in the list. The steps of a
 * loop in a loop are counted on: at step s of the outer one they are s * steps .. s * steps + steps - 1. */
#define NNRT_LOOP_FIELDS(F)                                                                                          \
  F(INT, first, )                                                                                                    \
  F(INT, last, )                                                                                                     \
  F(INTS, steps, ) /* poly */                                                                                        \
  F(INT, down, )   /* from the last step to the first */                                                             \
  F(ENDS, ends, )  /* the function nnrt_loop_ends, in a loop that may end early, which is none in another loop */    \
  F(INT, counts, ) /* the buffer of the counts, two rows: equal ones end the loop */                                 \
  F(INTS, rows, )  /* buffers with all rows of the loop, each with the number of rows that it has beyond the steps */

/* A named tensor at a graph's edge. */
#define NNRT_PORT_FIELDS(F)                                                                                          \
  F(STRING, name, ) /* as ir/program.h states */                                                                     \
  F(INT, dtype, )                                                                                                    \
  F(TABLES, shape, NnrtPoly)                                                                                         \
  F(INT, buffer, ) /* into NnrtGraph.buffers; an input that nothing reads: -1 */

#define NNRT_POLY_FIELDS(F) F(INTS, terms, )

#define NNRT_REQUIREMENT_FIELDS(F) /* of open dimensions */                                                          \
  F(STRING, text, )                /* as in the source */                                                            \
  F(INTS, slack, )                 /* poly: not to be negative */

#define NNRT_GRAPH_FIELDS(F)                                                                                         \
  F(STRING, name, )                                                                                                  \
  F(TABLES, dims, NnrtDim)                                                                                           \
  F(TABLES, buffers, NnrtBuffer)                                                                                     \
  F(TABLES, inputs, NnrtPort)                                                                                        \
  F(TABLES, outputs, NnrtPort)                                                                                       \
  F(TABLES, launches, NnrtLaunch)                                                                                    \
  F(TABLES, loops, NnrtLoop)                                                                                         \
  F(INTS, arena, ) /* poly: bytes, the exact peak */                                                                 \
  F(TABLES, requires, NnrtRequirement)                                                                               \
  F(SERVICE, required, NnrtRequired) /* tests them; NULL: there are none */                                          \
  F(INTS, stored, )                  /* variables that a run writes */                                               \
  F(INT, flops, )                    /* floating-point operations of the sums of products, every open dimension 1 */

#define NNRT_BLOB_FIELDS(F) F(BYTES, data, )

/* A tensor that lives: parameter, state, optimizer slot, statistic. */
#define NNRT_VARIABLE_FIELDS(F)                                                                                      \
  F(STRING, name, ) /* as in checkpoints */                                                                          \
  F(INT, role, )    /* NnrtRole */                                                                                   \
  F(INT, dtype, )                                                                                                    \
  F(INTS, shape, )                                                                                                   \
  F(INT, bound, ) /* integers: 0 <= value < bound; 0: any */

#define NNRT_START_FIELDS(F) /* an instance whose first values come from a file */                                   \
  F(STRING, instance, )                                                                                              \
  F(STRING, path, )                                                                                                  \
  F(TABLES, skip, NnrtName) /* parts that do not; names without the instance's */

#define NNRT_COLUMN_FIELDS(F) /* what a field reads of its source: input `raw.<k>` of the field's graph */           \
  F(INT, dtype, )                                                                                                    \
  F(INT, from, ) /* -1: by name */                                                                                   \
  F(INT, to, )                                                                                                       \
  F(STRING, name, )                                                                                                  \
  F(INT, single, ) /* a scalar for each example, not a row of to - from */                                           \
  F(INT, length, ) /* how much of it an example has */                                                               \
  F(INT, text, )   /* its cells are texts, read as tokens */

#define NNRT_FIELD_FIELDS(F)                                                                                         \
  F(STRING, name, )                                                                                                  \
  F(INT, dtype, )                                                                                                    \
  F(INTS, shape, ) /* of one example; first -k: the k-th of sizes that are each example's own */                     \
  F(INT, bound, )  /* integers are in [0, bound); 0: any */                                                          \
  F(TABLES, raw, NnrtColumn)                                                                                         \
  F(INT, graph, )                                                                                                    \
  F(INT, length, ) /* the field that says how long each example is; 0: none */

#define NNRT_FILE_FIELDS(F)                                                                                          \
  F(STRING, column, )                                                                                                \
  F(STRING, path, )

#define NNRT_DATA_FIELDS(F)                                                                                          \
  F(STRING, name, )                                                                                                  \
  F(SERVICE, reader, NnrtReader)                                                                                     \
  F(STRING, path, )                                                                                                  \
  F(TABLES, files, NnrtColumnFile)                                                                                   \
  F(INT, window, ) /* see NnrtSourceOptions */                                                                       \
  F(INT, stride, )                                                                                                   \
  F(SERVICE, tokenizer, NnrtTokenizer) /* NULL: none */                                                              \
  F(BYTES, vocabulary, )               /* see tokenizer.h */                                                         \
  F(INT, tokens, )                                                                                                   \
  F(TABLES, fields, NnrtField)                                                                                       \
  F(INT, stats, ) /* graph: fields of the training part -> statistics, stored */

#define NNRT_REPORT_FIELDS(F)                                                                                        \
  F(STRING, name, )                                                                                                  \
  F(INT, graph, ) /* collected: inputs `0`, `1`, ... over the whole set -> `value`; -1: averaged over examples */    \
  F(INT, first, ) /* streams: -> its states at first, `0`, `1`, ...; inputs `metric.name.k` of step and eval */      \
  F(INT, arguments, ) /* its states, or, collected: outputs `name.k` of step and eval */

#define NNRT_TRAIN_FIELDS(F)                                                                                         \
  F(STRING, name, )                                                                                                  \
  F(INTS, data, )  /* what a batch is drawn from; the first says what an epoch is */                                 \
  F(INT, epochs, ) /* 0: not set */                                                                                  \
  F(INT, steps, )                                                                                                    \
  F(INT, batch, )                                                                                                    \
  F(INT, seed, )                                                                                                     \
  F(REAL, validate, )                                                                                                \
  F(INT, folds, ) /* 0: none */                                                                                      \
  F(INT, validate_data, )                                                                                            \
  F(INT, test_data, )                                                                                                \
  F(INT, shuffle, )                                                                                                  \
  F(TABLES, losses, NnrtName)                                                                                        \
  F(TABLES, reports, NnrtReport)                                                                                     \
  F(STRING, stall, )                                                                                                 \
  F(INT, stall_epochs, )                                                                                             \
  F(INT, begin, ) /* graph: weights -> its states, stored; -1: none is made of weights */                            \
  F(INT, step, )  /* graph */                                                                                        \
  F(INT, eval, )                                                                                                     \
  F(INT, grads, )                                                                                                    \
  F(INT, update, )      /* from the sum of the pieces' gradients; -1: a batch is not taken in pieces */              \
  F(STRING, whole, )    /* why not */                                                                                \
  F(INT, memory, )      /* nnc --mem: bytes; 0: not given */                                                         \
  F(INT, micro_batch, ) /* nnc --micro-batch: examples of a piece; -1: auto, 0: not given */

#define NNRT_NAME_FIELDS(F) F(STRING, text, )

#define NNRT_ARGUMENT_FIELDS(F)                                                                                      \
  F(STRING, name, )                                                                                                  \
  F(INT, dtype, )                                                                                                    \
  F(INTS, shape, ) /* of one example */                                                                              \
  F(INT, bound, )                                                                                                    \
  F(INT, data, ) /* read from a FILE through this field of this data set; -1: only as a tensor */                    \
  F(INT, field, )                                                                                                    \
  F(INT, text, ) /* tokens of this data set's vocabulary; -1: numbers */

#define NNRT_ENTRY_FIELDS(F)                                                                                         \
  F(STRING, name, )                                                                                                  \
  F(TABLES, arguments, NnrtArgument)                                                                                 \
  F(TABLES, results, NnrtArgument)                                                                                   \
  F(INT, shown, ) /* the first so many results; each other, `$length.NAME`, is how much of a text is there */        \
  F(SERVICE, texts, NnrtTexts)     /* NULL: no argument or result is a text */                                       \
  F(SERVICE, lengths, NnrtLengths) /* NULL: no argument's examples differ in length */                               \
  F(SERVICE, packs, NnrtPacks)     /* NULL: every argument has a number of dimensions */                             \
  F(SERVICE, session, NnrtSession) /* NULL: each call begins with the states of the weights */                       \
  F(INT, graph, )

#define NNRT_VERB_FIELDS(F)                                                                                          \
  F(STRING, name, )                                                                                                  \
  F(STRING, purpose, )                                                                                               \
  F(VERB, run, )                                                                                                     \
  F(INT, entry, ) /* for the verbs that are entries */

#define NNRT_PROGRAM_FIELDS(F)                                                                                       \
  F(STRING, name, )                                                                                                  \
  F(STRING, build, ) /* hash of the sources, and nnc's version */                                                    \
  F(STRING, cpu, )   /* features that must be present, separated by commas; "" for none */                           \
  F(TABLES, variables, NnrtVariable)                                                                                 \
  F(TABLES, starts, NnrtStart)                                                                                       \
  F(TABLES, constants, NnrtBlob)                                                                                     \
  F(TABLES, graphs, NnrtGraph)                                                                                       \
  F(INT, init, ) /* graph: $seed -> every variable but statistics, stored */                                         \
  F(TABLES, data, NnrtData)                                                                                          \
  F(TABLES, train, NnrtTrain)                                                                                        \
  F(TABLES, entries, NnrtEntry)                                                                                      \
  F(TABLES, verbs, NnrtVerbRow)

/* In the order of dependence: TABLE(struct, its fields). */
#define NNRT_TABLES(TABLE)                                                                                           \
  TABLE(NnrtDim, NNRT_DIM_FIELDS)                                                                                    \
  TABLE(NnrtRequirement, NNRT_REQUIREMENT_FIELDS)                                                                    \
  TABLE(NnrtPoly, NNRT_POLY_FIELDS)                                                                                  \
  TABLE(NnrtBuffer, NNRT_BUFFER_FIELDS)                                                                              \
  TABLE(NnrtLaunch, NNRT_LAUNCH_FIELDS)                                                                              \
  TABLE(NnrtLoop, NNRT_LOOP_FIELDS)                                                                                  \
  TABLE(NnrtPort, NNRT_PORT_FIELDS)                                                                                  \
  TABLE(NnrtGraph, NNRT_GRAPH_FIELDS)                                                                                \
  TABLE(NnrtBlob, NNRT_BLOB_FIELDS)                                                                                  \
  TABLE(NnrtVariable, NNRT_VARIABLE_FIELDS)                                                                          \
  TABLE(NnrtName, NNRT_NAME_FIELDS)                                                                                  \
  TABLE(NnrtStart, NNRT_START_FIELDS)                                                                                \
  TABLE(NnrtColumn, NNRT_COLUMN_FIELDS)                                                                              \
  TABLE(NnrtField, NNRT_FIELD_FIELDS)                                                                                \
  TABLE(NnrtColumnFile, NNRT_FILE_FIELDS)                                                                            \
  TABLE(NnrtData, NNRT_DATA_FIELDS)                                                                                  \
  TABLE(NnrtReport, NNRT_REPORT_FIELDS)                                                                              \
  TABLE(NnrtTrain, NNRT_TRAIN_FIELDS)                                                                                \
  TABLE(NnrtArgument, NNRT_ARGUMENT_FIELDS)                                                                          \
  TABLE(NnrtEntry, NNRT_ENTRY_FIELDS)                                                                                \
  TABLE(NnrtVerbRow, NNRT_VERB_FIELDS)                                                                               \
  TABLE(NnrtProgram, NNRT_PROGRAM_FIELDS)

#define NNRT_DECLARE_STRING(name, T) const char *name;
#define NNRT_DECLARE_INT(name, T)    int64_t name;
#define NNRT_DECLARE_REAL(name, T)   double name;
#define NNRT_DECLARE_INTS(name, T)                                                                                   \
  int64_t n_##name;                                                                                                  \
  const int64_t *name;
#define NNRT_DECLARE_BYTES(name, T)                                                                                  \
  int64_t n_##name;                                                                                                  \
  const void *name;
#define NNRT_DECLARE_TABLES(name, T)                                                                                 \
  int64_t n_##name;                                                                                                  \
  const T *name;
#define NNRT_DECLARE_KERNEL(name, T)      NnrtKernel *name;
#define NNRT_DECLARE_VERB(name, T)        NnrtVerb *name;
#define NNRT_DECLARE_ENDS(name, T)        NnrtEnds *name;
#define NNRT_DECLARE_SERVICE(name, T)     const struct T *name;
#define NNRT_DECLARE_FIELD(kind, name, T) NNRT_DECLARE_##kind(name, T)
#define NNRT_DECLARE_TABLE(T, FIELDS)                                                                                \
  typedef struct T {                                                                                                 \
    FIELDS(NNRT_DECLARE_FIELD)                                                                                       \
  } T;
NNRT_TABLES(NNRT_DECLARE_TABLE)

/* What every generated program's main() is: finds the verb in p->verbs and runs it (cli.c). */
int nnrt_main(const NnrtProgram *p, int argc, char **argv);

/* The verbs' functions, each in a file of its own. */
NnrtEnds nnrt_loop_ends; /* loop_ends.c */
NnrtVerb nnrt_verb_train, nnrt_verb_eval, nnrt_verb_entry, nnrt_verb_entry_started, nnrt_verb_bench, nnrt_verb_info;

#endif
