/* schedule_print.c - what --emit=kernels and --emit=plan show. */
#include "ir/cost.h"
#include "ir/kernel.h"

#include <inttypes.h>

static void print_place(Buf *out, Span span, const Sources *sources) {
  const Source *source = sources ? sources_get(sources, span.source) : NULL;
  if (!source) {
    buf_puts(out, "-");
    return;
  }
  int line, column;
  source_position(source, span.begin, &line, &column);
  buf_printf(out, "%s:%d", source->path, line);
}

static void print_contraction(Buf *out, const Kernel *k) {
  const Contraction *c = k->contraction;
  for (int i = 0; i <= k->beside.n; i++) {
    const Node *n = k->members.at[i].node;
    buf_puts(out, i ? " and " : " k ");
    dims_print(out, n->nred, n->red);
  }
  buf_printf(out, " tile %dx%d", c->mr, c->nr);
}

/* Bytes read and written, each operand once. */
static Dim *bytes_moved(const Schedule *s, const Kernel *k) {
  Dim *bytes = dim_const(s->graph->ir, 0);
  for (int i = 0; i < k->operands.n; i++) bytes = dim_add(s->graph->ir, bytes, k->operands.at[i]->bytes);
  return bytes;
}

static int count_stored(const Kernel *k) {
  int n = 0;
  for (int i = 0; i < k->members.n; i++) n += k->members.at[i].buffer != NULL;
  return n;
}

/* Whether a body only moves values: reads and numbers, chosen by conditions on indices, perhaps converted. */
static bool only_moves(const Expr *e) {
  if (e->kind == EXPR_OP && (e->op == OP_cast || e->op == OP_stop)) return only_moves(e->arg[0]);
  if (e->kind == EXPR_OP && e->op == OP_select)
    return !e->arg[0]->reads && only_moves(e->arg[1]) && only_moves(e->arg[2]);
  return e->kind == EXPR_READ || e->kind == EXPR_CONST;
}

/* Results that are nothing but values from elsewhere. */
static int count_copies(const Kernel *k) {
  int n = 0;
  for (int i = 0; i < k->members.n; i++) {
    const Node *node = k->members.at[i].node;
    n += k->members.at[i].buffer && node->reducer == RED_none && node->kind == NODE_comp && node->body->reads &&
         only_moves(node->body);
  }
  return n;
}

static int loop_depth(const Schedule *s, int loop) {
  int n = 0;
  for (; loop >= 0; loop = s->loops.at[loop].up) n++;
  return n;
}

static void print_kernel(Buf *out, const Schedule *s, const Kernel *k, const Sources *sources) {
  buf_printf(out, "%3d %*s%-11s grid ", k->id, 2 * loop_depth(s, k->loop), "", kernel_kind_name(k->kind));
  dims_print(out, k->ngrid, k->grid);
  if (k->contraction) print_contraction(out, k);
  buf_printf(out, " members %d stored %d copies %d vector %d bytes ", k->members.n, count_stored(k), count_copies(k),
             k->vector);
  dim_print(out, bytes_moved(s, k));
  buf_puts(out, " at ");
  print_place(out, k->span, sources);
  for (int i = 0; i < k->guards.n; i++) {
    buf_printf(out, " if%s ", k->guards.at[i].value ? "" : " not");
    print_place(out, k->operands.at[k->guards.at[i].operand]->node->span, sources);
  }
  buf_printf(out, " %s", k->symbol);
  if (k->why) buf_printf(out, " (%s)", k->why);
  buf_puts(out, "\n");
}

static void print_loop(Buf *out, const Schedule *s, const KernelLoop *l) {
  buf_printf(out, "    %*sloop %d..%d ", 2 * loop_depth(s, l->up), "", l->first, l->last);
  dim_print(out, l->steps);
  buf_printf(out, " steps %s\n", l->down ? "down" : "up");
}

void schedule_print(Buf *out, const Schedule *s, const Sources *sources) {
  buf_printf(out, "graph %s: %d kernels\n", s->graph->name, s->kernels.n);
  for (int i = 0, l = 0; i < s->kernels.n; i++) {
    for (; l < s->loops.n && s->loops.at[l].first == i; l++) print_loop(out, s, &s->loops.at[l]);
    print_kernel(out, s, s->kernels.at[i], sources);
  }
}

static const char *class_name(BufferClass c) {
  static const char *const names[] = {"input", "param", "state", "const", "arena"};
  return names[c];
}

static void print_buffer(Buf *out, const Schedule *s, const Buffer *b) {
  Dim *kept[16];
  for (int i = 0; i < b->node->rank; i++) kept[i] = node_kept_extent(s->graph->ir, b->node, i);
  buf_printf(out, "%3d %s %s", b->id, class_name(b->place), dtype_name(b->node->dtype));
  dims_print(out, b->node->rank, kept);
  buf_puts(out, " bytes ");
  dim_print(out, b->bytes);
  if (b->place == BUFFER_arena) {
    buf_puts(out, " offset ");
    dim_print(out, b->offset);
    buf_printf(out, " kernels %d..%d", b->first, b->last);
  }
  if (b->node->name) buf_printf(out, " %s", b->node->name);
  buf_puts(out, "\n");
}

void plan_print(Buf *out, const Schedule *s) {
  buf_printf(out, "graph %s: arena ", s->graph->name);
  dim_print(out, s->arena_bytes);
  buf_puts(out, " bytes\n");
  for (int i = 0; i < s->buffers.n; i++) print_buffer(out, s, s->buffers.at[i]);
}
