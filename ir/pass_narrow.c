/* pass_narrow.c - narrow factors: where a graph wants its products in a narrow type (Graph.products), the two
 * factors of each sum of products are rounded to it. Products and sums stay as wide as they are, and so does all that
 * is no product of matrices: parameters, reductions of a row, losses, an optimizer's step. This is what units for
 * matrices in bf16 compute.
 *
 * It decides by indices alone, not by sizes, and runs at every level: it changes what a graph means. After derive,
 * whose products are rounded likewise; before what rewrites bodies, so that every level rounds the same. But streams
 * and pass exchange may round a row's exponentials before they are divided by their sum, where this says after.
 * (Micikevicius and others 2018, arXiv:1710.03740; Kalamkar and others 2019, arXiv:1905.12322.) */
#include "ir/classify.h"
#include "ir/pass.h"

bool pass_narrow(Graph *g, PassContext *cx) {
  (void)cx;
  bool changed = false;
  if (g->products == DT_f64) return false;
  for (int i = 0, n = g->nodes.n; i < n; i++) {
    Node *node = g->nodes.at[i];
    Expr *body = node->kind == NODE_comp && node->dtype == DT_f32 ? product_rounded(g, node, g->products) : NULL;
    if (!body) continue;
    node->forward = graph_with_body(g, node, body, NULL);
    node->forward->name = node->name;
    changed = true;
  }
  if (changed) graph_renew(g);
  return changed;
}
