/* explain.c - see explain.h. A line's kernels are those with a member that comes from it; what the library computes
 * counts for the line that used it (Span.use). Why two kernels are two is found from what they became: the rules are
 * those of pass_fuse.c and group.c, asked once more about the pair. */
#include "ir/explain.h"

#include "ir/classify.h"
#include "ir/cost.h"

#include <string.h>

typedef struct Explained {
  Buf *out;
  const Sources *sources;
  const char *path;
  const Schedule *s;
  Arena *arena;
} Explained;

/* The line of this file that n comes from; 0: of none. */
static int line_of(const Explained *x, const Node *n) {
  Span at = sources_user_place(x->sources, n->span);
  const Source *source = sources_get(x->sources, at.source);
  int line, column;
  if (!source || strcmp(source->path, x->path)) return 0;
  source_position(source, at.begin, &line, &column);
  return line;
}

static bool has_line(const Explained *x, const Kernel *k, int line) {
  for (int i = 0; i < k->members.n; i++)
    if (line_of(x, k->members.at[i].node) == line) return true;
  return false;
}

/* ---- what it costs ---- */

static void count_operation(void *cx, Expr *e) {
  bool free = e->kind != EXPR_OP || e->op == OP_cast || e->op == OP_stop || e->op == OP_select;
  *(int64_t *)cx += !free;
}

/* Operations on numbers: those of the body at every point, and one more where it is reduced. */
static Dim *operations(const Schedule *s, const Kernel *k) {
  Ir *ir = s->graph->ir;
  Dim *all = dim_const(ir, 0);
  for (int m = 0; m < k->members.n; m++) {
    const Node *n = k->members.at[m].node;
    int64_t each = n->reducer != RED_none;
    if (n->body) expr_visit(n->body, count_operation, &each);
    Dim *count = dim_const(ir, each);
    for (int i = 0; i < n->rank && n->kind != NODE_scatter; i++) count = dim_mul(ir, count, n->shape[i]);
    for (int i = 0; i < n->nred; i++) count = dim_mul(ir, count, n->red[i]);
    all = dim_add(ir, all, count);
  }
  return all;
}

static Dim *bytes(const Schedule *s, const Kernel *k, bool written) {
  Dim *sum = dim_const(s->graph->ir, 0);
  for (int i = 0; i < k->operands.n; i++)
    if (kernel_writes(k, k->operands.at[i]) == written) sum = dim_add(s->graph->ir, sum, k->operands.at[i]->bytes);
  return sum;
}

/* ---- why two kernels are two ---- */

static const Expr *read_of(const Explained *x, const Node *reader, const Node *n) {
  ExprList reads = node_reads(x->arena, reader);
  for (int i = 0; i < reads.n; i++)
    if (reads.at[i]->node == n) return reads.at[i];
  return NULL;
}

static bool same_grid(const Kernel *a, const Kernel *b) {
  bool same = a->ngrid == b->ngrid;
  for (int i = 0; same && i < a->ngrid; i++) same = a->grid[i] == b->grid[i];
  return same;
}

static bool same_conditions(const Kernel *a, const Kernel *b) {
  bool same = a->guards.n == b->guards.n;
  for (int i = 0; same && i < a->guards.n; i++) {
    const KernelGuard *g = &a->guards.at[i], *h = &b->guards.at[i];
    same = a->operands.at[g->operand] == b->operands.at[h->operand] && g->value == h->value;
  }
  return same;
}

static bool is_product(const Kernel *k, const Node *n) {
  for (int i = 0; k->contraction && i <= k->beside.n; i++)
    if (k->members.at[i].node == n) return true;
  return false;
}

static const char *reason(const Explained *x, const Kernel *k, const Node *n, const Kernel *other, const Node *reader,
                          const Expr *read) {
  if (!same_conditions(k, other)) return "does not run under the same conditions";
  if (k->loop != other->loop) return "runs step by step, and this does not, or not in the same loop";
  if (is_product(other, reader)) return "packs it as an operand of its sums, and reads each of its values many times";
  if (reader->kind == NODE_scatter || reader->kind == NODE_sort) return "needs all of it before it begins";
  if (reader->nred && !same_grid(k, other)) return "sums over it: here it would be made once, there for every term";
  if (!read_is_identity(x->s->graph, reader, read)) return "reads it at other places than this writes";
  if (!same_grid(k, other)) return "runs over other indices";
  (void)n;
  return "waits for another kernel between the two, or is as large as a kernel may be";
}

static void print_reader(const Explained *x, const Kernel *k, const Node *n) {
  for (int i = 0; i < x->s->kernels.n; i++) {
    const Kernel *other = x->s->kernels.at[i];
    for (int m = 0; m < other->members.n && other != k; m++) {
      const Node *reader = other->members.at[m].node;
      const Expr *read = read_of(x, reader, n);
      if (!read) continue;
      buf_printf(x->out, "; kernel %d %s", i, reason(x, k, n, other, reader, read));
      return;
    }
  }
}

static const char *output_name(const Graph *g, const Node *n) {
  for (int i = 0; i < g->outputs.n; i++)
    if (g->outputs.at[i].node == n) return g->outputs.at[i].name;
  for (int i = 0; i < g->stores.n; i++)
    if (g->stores.at[i]->in[0] == n) return g->stores.at[i]->in[1]->name;
  return NULL;
}

static void print_result(const Explained *x, const Kernel *k, const Member *m) {
  const Buffer *b = m->buffer;
  buf_puts(x->out, "      ");
  node_type_print(x->out, m->node);
  const char *name = output_name(x->s->graph, m->node);
  if (m->storage == STORE_register) {
    buf_puts(x->out, " stays in registers\n");
    return;
  }
  if (m->storage == STORE_row) {
    buf_puts(x->out, " is kept for one row at a time\n");
    return;
  }
  buf_puts(x->out, b->place == BUFFER_arena ? " in memory, " : " in place, ");
  dim_print(x->out, b->bytes);
  buf_puts(x->out, " bytes");
  if (b->place == BUFFER_arena && !b->over) {
    buf_puts(x->out, " at ");
    dim_print(x->out, b->offset);
  }
  if (name) buf_printf(x->out, ": %s", name);
  print_reader(x, k, m->node);
  buf_puts(x->out, "\n");
}

/* ---- a kernel, a line ---- */

static void print_together(const Explained *x, const Kernel *k, int line) {
  int listed[64], n = 0;
  for (int m = 0; m < k->members.n && n < 64; m++) {
    int other = line_of(x, k->members.at[m].node);
    bool known = !other || other == line;
    for (int i = 0; i < n; i++) known |= listed[i] == other;
    int at = n;
    for (; !known && at > 0 && listed[at - 1] > other; at--) listed[at] = listed[at - 1];
    if (!known) listed[at] = other, n++;
  }
  for (int i = 0; i < n; i++)
    buf_printf(x->out, "%s %d", i ? "," : n > 1 ? ", together with lines" : ", together with line", listed[i]);
}

static void print_conditions(const Explained *x, const Kernel *k) {
  for (int i = 0; i < k->guards.n; i++) {
    const Node *condition = k->operands.at[k->guards.at[i].operand]->node;
    buf_printf(x->out, "      %s the condition of line %d %s", i ? "and" : "runs only where", line_of(x, condition),
               k->guards.at[i].value ? "holds\n" : "does not hold\n");
  }
}

static void print_kernel(const Explained *x, const Kernel *k, int line) {
  Buf *out = x->out;
  buf_printf(out, "    %s kernel %d: %s over ", x->s->graph->name, k->id, kernel_kind_name(k->kind));
  dims_print(out, k->ngrid, k->grid);
  if (k->contraction) {
    for (int i = 0; i <= k->beside.n; i++) {
      const Node *n = k->members.at[i].node;
      buf_puts(out, i ? " and " : ", sums over ");
      dims_print(out, n->nred, n->red);
    }
    buf_printf(out, " in tiles of %d by %d vectors", k->contraction->mr, k->contraction->nr);
  }
  if (k->stream)
    buf_printf(out, ", %d rows at a time, %d kernels after each other", k->stream->rows, k->stream->steps.n);
  print_together(x, k, line);
  buf_puts(out, "\n      ");
  dim_print(out, operations(x->s, k));
  buf_puts(out, " operations, reads ");
  dim_print(out, bytes(x->s, k, false));
  buf_puts(out, " bytes, writes ");
  dim_print(out, bytes(x->s, k, true));
  buf_printf(out, ", %d numbers at a time", k->vector);
  if (k->why) buf_printf(out, " (%s)", k->why);
  buf_puts(out, "\n");
  print_conditions(x, k);
  for (int m = 0; m < k->members.n; m++)
    if (line_of(x, k->members.at[m].node) == line) print_result(x, k, &k->members.at[m]);
}

static bool explain_line(Explained *x, int n, Schedule *const *schedules, const Source *source, int line) {
  bool any = false;
  for (int i = 0; i < n; i++) {
    x->s = schedules[i];
    for (int k = 0; k < x->s->kernels.n; k++) {
      if (!has_line(x, x->s->kernels.at[k], line)) continue;
      uint32_t begin = source->line_starts[line - 1];
      if (!any)
        buf_printf(x->out, "%s:%d: %.*s\n", x->path, line, (int)strcspn(source->text + begin, "\n"),
                   source->text + begin);
      any = true;
      print_kernel(x, x->s->kernels.at[k], line);
    }
  }
  return any;
}

bool explain_lines(Buf *out, int n, Schedule *const *schedules, const Sources *sources, const char *path, int line) {
  Explained x = {.out = out, .sources = sources, .arena = arena_new()};
  bool any = false;
  for (int i = 0; i < sources->all.n; i++) {
    const Source *source = sources->all.at[i];
    bool asked = !strcmp(source->path, path) || (!line && !source->library);
    x.path = source->path;
    for (int l = line ? line : 1; asked && l <= (line ? line : source->lines) && l <= source->lines; l++)
      any |= explain_line(&x, n, schedules, source, l);
  }
  arena_free(x.arena);
  return any;
}
