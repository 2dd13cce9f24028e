/* stream_graph.h - attention as a graph's text, in many shapes: for passes, the scheduler and both backends. */
#ifndef NNC_TESTS_UNIT_STREAM_GRAPH_H
#define NNC_TESTS_UNIT_STREAM_GRAPH_H

#include "lang/arena.h"

typedef enum StreamMask { MASK_none, MASK_causal, MASK_window, MASK_lengths, MASK_some } StreamMask;

typedef struct StreamCase {
  const char *name, *dtype; /* bf16: what is given, as factors of f32 */
  int heads, shared;        /* heads of queries; how many of these have the keys and values of one */
  int queries, keys, width, values;
  StreamMask mask;
  bool bias, derived;  /* a bias for each query and key, which is an input; the gradients by q, k, v */
  const char *factors; /* the type to which products round them, or NULL */
  bool projected;      /* products are made of the results: their gradients are products, too */
} StreamCase;

extern const StreamCase stream_cases[];
extern const int stream_case_count;
const char *stream_text(Arena *a, const StreamCase *c);

#endif
