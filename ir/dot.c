/* dot.c - what --emit=dot shows: kernels, and the tensors that go from one to another, as a graph for Graphviz. */
#include "ir/cost.h"
#include "ir/kernel.h"

typedef struct Dot {
  Buf *out;
  const Schedule *s;
  const Sources *sources;
  Arena *arena;
  int graph;    /* its number, for names */
  bool *source; /* by node id: it has a box already */
} Dot;

static const char *type_of(const Dot *d, const Node *n) {
  Buf b = {0};
  node_type_print(&b, n);
  const char *s = arena_strndup(d->arena, b.text, b.n);
  buf_free(&b);
  return s;
}

static const Kernel *kernel_of(const Dot *d, const Node *n) {
  for (int k = 0; k < d->s->kernels.n; k++)
    for (int m = 0; m < d->s->kernels.at[k]->members.n; m++)
      if (d->s->kernels.at[k]->members.at[m].node == n) return d->s->kernels.at[k];
  return NULL;
}

static void print_kernel(const Dot *d, const Kernel *k) {
  Span at = sources_user_place(d->sources, k->span);
  const Source *source = sources_get(d->sources, at.source);
  buf_printf(d->out, "    k%d_%d [label=\"%d %s ", d->graph, k->id, k->id, kernel_kind_name(k->kind));
  dims_print(d->out, k->ngrid, k->grid);
  int line, column;
  if (source) source_position(source, at.begin, &line, &column);
  if (source) buf_printf(d->out, "\\n%s:%d", source->path, line);
  buf_puts(d->out, "\"]\n");
}

/* A tensor that no kernel makes: its box, once, and the arrow from it. */
static void print_source(Dot *d, const Node *n, const Kernel *to) {
  if (n->kind == NODE_const || !n->name) return;
  if (!d->source[n->id])
    buf_printf(d->out, "    n%d_%d [shape=ellipse, label=\"%s\\n%s\"]\n", d->graph, n->id, n->name, type_of(d, n));
  d->source[n->id] = true;
  buf_printf(d->out, "    n%d_%d -> k%d_%d\n", d->graph, n->id, d->graph, to->id);
}

/* An arrow from the kernel of n to another, with what goes over it; of a whole, from the kernels of its parts. */
static void print_arrow(Dot *d, const Node *n, const Kernel *to) {
  const Kernel *from = kernel_of(d, n);
  if (from && from != to)
    buf_printf(d->out, "    k%d_%d -> k%d_%d [label=\"%s\"]\n", d->graph, from->id, d->graph, to->id, type_of(d, n));
  if (from) return;
  bool whole = false;
  for (int i = 0; i < d->s->parts.n; i++) {
    if (d->s->parts.at[i].whole != n) continue;
    whole = true;
    if (d->s->parts.at[i].node != n) print_arrow(d, d->s->parts.at[i].node, to);
  }
  if (!whole) print_source(d, n, to);
}

static void print_reads(Dot *d, const Kernel *k) {
  Vec(const Node *) seen = {0};
  for (int m = 0; m < k->members.n; m++) {
    ExprList reads = node_reads(d->arena, k->members.at[m].node);
    for (int i = 0; i < reads.n; i++) {
      bool known = false;
      for (int j = 0; j < seen.n; j++) known |= seen.at[j] == reads.at[i]->node;
      if (known) continue;
      vec_push(d->arena, &seen, reads.at[i]->node);
      print_arrow(d, reads.at[i]->node, k);
    }
  }
}

static void print_outputs(const Dot *d) {
  for (int i = 0; i < d->s->graph->outputs.n; i++) {
    const Output *o = &d->s->graph->outputs.at[i];
    const Kernel *k = kernel_of(d, o->node);
    if (!k) continue;
    buf_printf(d->out, "    o%d_%d [shape=ellipse, style=bold, label=\"%s\"]\n", d->graph, i, o->name);
    buf_printf(d->out, "    k%d_%d -> o%d_%d [label=\"%s\"]\n", d->graph, k->id, d->graph, i, type_of(d, o->node));
  }
}

void schedule_dot(Buf *out, const Schedule *s, int number, const Sources *sources) {
  Dot d = {.out = out, .s = s, .sources = sources, .arena = arena_new(), .graph = number};
  d.source = NEW_ARRAY(d.arena, bool, s->graph->nodes.n + 1);
  buf_printf(out, "  subgraph cluster_%d {\n    label=\"%s\"\n", number, s->graph->name);
  for (int k = 0; k < s->kernels.n; k++) print_kernel(&d, s->kernels.at[k]);
  for (int k = 0; k < s->kernels.n; k++) print_reads(&d, s->kernels.at[k]);
  print_outputs(&d);
  buf_puts(out, "  }\n");
  arena_free(d.arena);
}
