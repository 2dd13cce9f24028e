/* pass_dce.c - dead code. In, out: a graph in topological order. Keeps what outputs and stores need; the walk is
 * graph_renew's, by which the other passes end as well, so this pass is for graphs that none of them has touched. */
#include "ir/pass.h"

bool pass_dce(Graph *g, PassContext *cx) {
  (void)cx;
  return graph_renew(g);
}
