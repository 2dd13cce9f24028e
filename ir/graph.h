/* graph.h - the typed graph of tensor comprehensions: what the frontend makes, the passes rewrite, the backends are
 * given.
 *
 * A Graph is one function of the program (a train step, an evaluation, an entry, one data field). Its nodes stand in
 * topological order. A node's value is a tensor: dtype, and a shape of Dims. */
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
const char *node_kind_name(NodeKind k);

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
   */
  int nred;
  Dim **red;
  Reducer reducer; /* RED_none: a map, nred == 0 */
  Expr *body;
  Form **at;

  int nin;       /* operands beside what the body reads */
  Node **in;     /* grad: scalar, variable; store: value, target */
  void *data;    /* const: dense row-major elements of dtype; all extents are numbers */
  bool trained;  /* param: false if frozen */
  Node *forward; /* scratch for one pass: what this node became */
  int mark;      /* scratch for one pass */
};

typedef struct Output {
  Str name;
  Node *node;
} Output;

typedef struct Graph {
  Ir *ir;
  Arena *arena;
  Str name;
  Vec(Node *) nodes;
  Vec(Output) outputs; /* what the caller sees */
  Vec(Node *) stores;  /* NODE_store nodes, in order */
  DimAtom *batch;      /* the symbol of B, where the graph has one; NULL else. Other open dims may occur too */
} Graph;

Graph *graph_new(Ir *ir, Str name);

/* Builders append to the graph. shape is copied. */
Node *graph_input(Graph *g, Str name, DType t, int rank, Dim **shape, Span at);
Node *graph_param(Graph *g, Str name, DType t, int rank, Dim **shape, Span at);
Node *graph_state(Graph *g, Str name, DType t, int rank, Dim **shape, Span at);
Node *graph_const(Graph *g, DType t, int rank, Dim **shape, const void *data, Span at); /* copies the data */
Node *graph_grad(Graph *g, Node *scalar, Node *variable, Span at);
Node *graph_store(Graph *g, Node *target, Node *value, Span at);
void graph_output(Graph *g, Str name, Node *n);

/* A comprehension: `result` and `reduced` are the Vars that body uses (any distinct slots); they are renamed to
 * positions. A map has RED_none and nreduced 0. Reduction over no index at all returns body for sum, max, min, prod.
 */
Node *graph_comp(Graph *g, int rank, Var **result, Reducer r, int nreduced, Var **reduced, Expr *body, Span at);
Node *graph_scatter(Graph *g, DType t, int rank, Dim **shape, int nvars, Var **vars, Form **at, Expr *value,
                    Span at_span);

/* The Var of result index i (comp), of reduction index i (comp, scatter). */
Var *node_result_var(const Graph *g, const Node *n, int i);
Var *node_reduction_var(const Graph *g, const Node *n, int i);
/* body of a comp with its result indices replaced by `at` (a map's body: substitution is fusion). */
Expr *node_body_at(Graph *g, const Node *n, Form **at);

/* Calls f for each node that n depends on directly (reads in the body and in forms, in[]); may repeat. */
void node_operands(const Node *n, void (*f)(void *cx, Node *operand), void *cx);

/* Makes g->nodes again from what outputs and stores need, in topological order, ids renewed. Every node whose
 * `forward` is set is replaced by it in all reads and operands (chains are followed). Resets forward and mark.
 * Returns whether anything changed. Passes build new nodes with the builders above, set forward, and call this. */
bool graph_renew(Graph *g);

/* ---- text: prints and reads back to the same graph ---- */
void graph_print(Buf *out, const Graph *g);
Graph *graph_read(Ir *ir, const char *text, size_t n, char error[256]); /* NULL and a message with its line */

/* ---- verifier: NULL if g keeps every rule of this header, else a sentence about the first fault ---- */
const char *graph_verify(Graph *g);

#endif
