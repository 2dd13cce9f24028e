/* graph.h - the typed graph of tensor comprehensions: what the frontend makes, the passes rewrite, the backends are
 * given.
 *
 * A Graph is one function of the program (a train step, an evaluation, an entry, one data field). Its nodes stand in
 * topological order. A node's value is a tensor: dtype, and a shape of Dims.
 *
 * A loop is no graph of its own but a system of recurrence equations in this one: every value of its body is a comp
 * over all steps, of which the step is one more index (the first, or after those of the loops around), and what goes
 * from step to step is a `carry`, the only kind of node that closes a cycle:
 *
 *   up:    carry[0] = init, carry[t + 1] = next[t]; a step t reads carry[t], the last value is carry[T]
 *   down:  carry[T] = init, carry[t] = next[t];     a step t reads carry[t + 1], the last value is carry[0]
 *
 * A loop may have one carry that *counts*: at a step that leaves it as it is no carry of the loop changes, and none
 * will at any later step. So such steps may be left out, but for one. What the members would have been there is read
 * by nobody but where it decides nothing.
 *
 * A body's part that depends on no carry is an ordinary comp for that very reason, and passes work on the members of
 * a cycle as on any comp. (Karp, Miller, Winograd 1967; Mauras 1989, ALPHA.) */
#ifndef NNC_IR_GRAPH_H
#define NNC_IR_GRAPH_H

#include "ir/expr.h"
#include "lang/diag.h"

typedef enum NodeKind {
#define ROW(name, what) NODE_##name,
#include "ir/node.def"
#undef ROW
  NODE_COUNT
} NodeKind;

typedef enum Reducer {
#define ROW(name, what) RED_##name,
#include "ir/reducer.def"
#undef ROW
  RED_COUNT
} Reducer;
const char *reducer_name(Reducer r);
bool reducer_identity(Reducer r, DType t,
                      double *value); /* what it is over nothing; false: there is no such number */
const char *node_kind_name(NodeKind k);

/* A cycle of nodes through carries, found by graph_renew. Its nodes stand together, the carries first, the others in
 * an order in which one step can compute them; loops inside it likewise. Whatever a member reads of another, it reads
 * at its own step, so the rows of one step need those of earlier steps only. */
typedef struct Scan {
  struct Scan *up; /* the loop around it, or NULL */
  int axis;        /* result index of the members that is the step; a scatter has it in at[axis] */
  Dim *steps;
  bool down;       /* the steps go from the last to the first */
  int first, last; /* nodes of the graph */
} Scan;

struct Node {
  NodeKind kind;
  int id; /* position in graph->nodes */
  DType dtype;
  int rank;
  Dim **shape;
  Span span; /* the source it came from, through every pass */
  Str name;  /* input, param, state: its full name; others: a name of the user's for messages, or NULL */

  /* comp: result indices have slots 0 .. rank-1 and extents `shape`; reduction indices slots rank .. rank+nred-1.
   * argmax and argmin give the row-major position over all reduction indices, the first among equals, NaN wins; dtype
   * i32. scatter: result[at(v)] += body(v) for all v; its nred indices have slots 0 .. nred-1; at[] has rank forms.
   * One of reducer max, i32, has the largest of the body's values, none of which is negative, and -1 where there is
   * none. sort: body is the key of an element, over the result's indices; result[.., j] is the position along the
   * last dimension of the element that comes j-th, i32. Equal keys keep their order, NaN counts as the largest
   * number.
   */
  int nred;
  Dim **red;
  Reducer reducer; /* RED_none: a map, nred == 0 */
  Expr *body;
  Form **at;
  bool descending; /* sort: the largest key first */

  int nin;   /* operands beside what the body reads */
  Node **in; /* grad: scalar, variable; jvp: value, variable, direction; store: value, target; carry: init, next (none
                until graph_close) */
  int axis;  /* carry: the dimension of the steps, extent steps + 1; init lacks it, next's is steps */
  bool down; /* carry */
  bool counts;     /* carry of i32: of a repeat, the turns taken; see above */
  Scan *scan;      /* the innermost that it is a member of, or NULL */
  int stream;      /* comp: the number of the stream that it is a part of, 0: of none; pass_stream.c */
  unsigned folded; /* bit i: along dimension i, steps of a loop, two rows are kept: fold.c, for the scheduler */
  int64_t pitch;   /* elements from row to row of the last dimension in memory, 0: as many as a row has; pitch.c */
  void *data;      /* const: dense row-major elements of dtype; all extents are numbers */
  bool trained;    /* param: false if frozen */
  Node *forward;   /* scratch for one pass: what this node became */
  int mark;        /* scratch for one pass */
};

typedef struct Output {
  Str name;
  Node *node;
} Output;

typedef struct Requirement { /* of an entry's open dimensions, tested when it is called */
  Str text;                  /* as it is written */
  Dim *slack;                /* what is not to be negative */
} Requirement;

typedef struct Graph {
  Ir *ir;
  Arena *arena;
  Str name;
  Vec(Node *) nodes;
  Vec(Output) outputs; /* what the caller sees */
  Vec(Node *) stores;  /* NODE_store nodes, in order */
  Vec(Scan *) scans;   /* outer ones first */
  Vec(Requirement) requires;
  uint32_t use;   /* while it is built: the user's place from which nodes are made (Span.use) */
  DType products; /* what factors of products are rounded to: pass_narrow; f64, the widest: they are not */
  DimAtom *batch; /* the symbol of B, where the graph has one; NULL else. Other open dims may occur too */
} Graph;

Graph *graph_new(Ir *ir, Str name);

/* Builders append to the graph. shape is copied. */
Node *graph_input(Graph *g, Str name, DType t, int rank, Dim **shape, Span at);
Node *graph_param(Graph *g, Str name, DType t, int rank, Dim **shape, Span at);
Node *graph_state(Graph *g, Str name, DType t, int rank, Dim **shape, Span at);
Node *graph_const(Graph *g, DType t, int rank, Dim **shape, const void *data, Span at); /* copies the data */
Node *graph_grad(Graph *g, Node *scalar, Node *variable, Span at);
Node *graph_jvp(Graph *g, Node *value, Node *variable, Node *direction, Span at);
/* A value whose derivative was given, not to be found: n tensors it depends on, and the derivative by each, which may
 * read `adjoint`. That is made first, of the value's type and shape. */
Node *graph_adjoint(Graph *g, DType t, int rank, Dim **shape, Span at);
Node *graph_custom(Graph *g, Node *value, Node *adjoint, int n, Node *const *variables, Node *const *derivatives,
                   Span at);
Node *graph_store(Graph *g, Node *target, Node *value, Span at);
void graph_output(Graph *g, Str name, Node *n);
/* A carry without operands: graph_close gives it these when the loop's body is made. */
Node *graph_carry(Graph *g, DType t, int rank, Dim **shape, int axis, bool down, Span at);
void graph_close(Graph *g, Node *carry, Node *init, Node *next);
const char *carry_fault(Graph *g, const Node *carry); /* NULL: type and shapes of its operands fit */

/* A comprehension: `result` and `reduced` are the Vars that body uses (any distinct slots); they are renamed to
 * positions. A map has RED_none and nreduced 0. Reduction over no index at all returns body for sum, max, min, prod.
 */
Node *graph_filled(Graph *g, DType t, int rank, Dim *const *shape, double value, Span at); /* a number everywhere */
Node *graph_comp(Graph *g, int rank, Var **result, Reducer r, int nreduced, Var **reduced, Expr *body, Span at);
Node *graph_scatter(Graph *g, DType t, int rank, Dim **shape, int nvars, Var **vars, Form **at, Expr *value,
                    Span at_span);
Node *graph_scatter_max(Graph *g, int rank, Dim **shape, int nvars, Var **vars, Form **at, Expr *value, Span at_span);

Node *graph_sort(Graph *g, int rank, Var **result, bool descending, Expr *key, Span at);

/* The same node with other operands and reads: map is given each node that it depends on. Not of a source. */
Node *graph_copy(Graph *g, const Node *n, Node *(*map)(void *cx, Node *operand), void *cx);
/* The same node with another body, over its own slots, and other places if it is a scatter; of the same stream. */
Node *graph_with_body(Graph *g, const Node *n, Expr *body, Form **at);

/* Asks for a derivative, or says what it is: pass_derive replaces it. */
bool node_asks(const Node *n);

/* How many slots of a node's body are result indices: none of a scatter. */
int node_result_slots(const Node *n);
/* The Var of result index i (comp, sort), of reduction index i (comp, scatter). */
Var *node_result_var(const Graph *g, const Node *n, int i);
Var *node_reduction_var(const Graph *g, const Node *n, int i);
Var *node_slot_var(const Graph *g, const Node *n, int slot); /* of a comp: either */
bool node_same_type(const Node *a, const Node *b);           /* of elements, and the same shape */
static inline bool node_is_map(const Node *n) { return n->kind == NODE_comp && n->reducer == RED_none; }
bool map_is_same(const Node *a, const Node *b); /* of two maps: they have the same elements, all from one body */
/* Whether e uses one of n's slots in [first, last). */
bool node_slots_used(const Graph *g, const Node *n, const Expr *e, int first, int last);
/* body of a comp with its result indices replaced by `at` (a map's body: substitution is fusion). */
Expr *node_body_at(Graph *g, const Node *n, Form **at);

/* Of a node in loops: how many of its first indices are steps. 0: it is in none. */
int node_times(const Node *n);
bool scan_holds(const Scan *l, const Node *n);   /* n is a member, or a member of a loop inside */
Scan *scan_common(const Node *a, const Node *b); /* the innermost that holds both, or NULL */
Scan *
carry_scan(const Node *carry); /* the loop that it closes; NULL: its operands are there before it, a mere shift */
/* How much of dimension i is in memory: all; two rows, of which row r is number r % 2; or rows with a gap after each.
 */
Dim *node_kept_extent(Ir *ir, const Node *n, int i);
/* A carry's rows: of the first value and of the last, what a step t reads and what it writes. `t` may be NULL for
 * the first two. */
Form *carry_row_first(Ir *ir, const Node *carry);
Form *carry_row_last(Ir *ir, const Node *carry);
Form *carry_row_read(Ir *ir, const Node *carry, Form *t);
Form *carry_row_written(Ir *ir, const Node *carry, Form *t);

/* Calls f for each node that n depends on directly (reads in the body and in forms, in[]); may repeat. */
void node_operands(const Node *n, void (*f)(void *cx, Node *operand), void *cx);

/* Visits the open dimensions that a node's shape, reductions and body mention, or a dim: one as often as it stands
 * there. */
typedef void SymbolVisit(void *cx, DimAtom *symbol);
void node_symbols(const Node *n, SymbolVisit *visit, void *cx);
void dim_symbols(const Dim *d, SymbolVisit *visit, void *cx);

/* Makes g->nodes again from what outputs and stores need, in topological order, ids renewed. Every node whose
 * `forward` is set is replaced by it in all reads and operands (chains are followed). Resets forward and mark.
 * Returns whether anything changed. Passes build new nodes with the builders above, set forward, and call this. */
bool graph_renew(Graph *g);

/* All nodes, those that nobody needs too, in topological order with ids renewed: while a graph is built, a carry that
 * a derivative made may have its first value behind it. */
void graph_put_in_order(Graph *g);

/* Finds g->scans and every node's, without changing the order. graph_renew and graph_read do so themselves. */
void graph_find_scans(Graph *g);
/* The same for the nodes `n`, as a list in an order as Scan states, operands first. What is no loop keeps its order
 * as far as it can. */
typedef Vec(Node *) NodeOrder;
NodeOrder scans_order(Graph *g, int count, Node **nodes);
void scans_place(Graph *g); /* sets first and last of the loops just found, once the nodes have their places */

/* ---- text: prints and reads back to the same graph ---- */
void graph_print(Buf *out, const Graph *g);
void node_type_print(Buf *out, const Node *n);                          /* `f32[B, 4]`, `f32` */
Graph *graph_read(Ir *ir, const char *text, size_t n, char error[256]); /* NULL and a message with its line */

/* ---- verifier: NULL if g keeps every rule of this header, else a sentence about the first fault ---- */
const char *graph_verify(Graph *g);

#endif
