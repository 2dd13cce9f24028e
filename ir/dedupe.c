/* dedupe.c - the same symbol for kernels that are the same code: twelve equal layers are compiled once.
 *
 * A kernel's code depends on its members' bodies, with operands by number and not by name, on the shapes and types of
 * what is read, on storage and place, on how the grid is cut, and on the places of open dimensions among the
 * schedule's. All that is written as one text, each distinct subexpression once, and the symbol is a hash of it. With
 * 64 bits, two symbols of one program that are equal by chance are not a concern. */
#include "ir/scheduler.h"

#include <inttypes.h>

typedef struct Writer {
  Buf text;
  const Schedule *s;
  const Kernel *k;
  Vec(const Expr *) seen;
} Writer;

static void write_dim(Writer *w, const Dim *d);
static void write_expr(Writer *w, const Expr *e);

static void write_dim_atom(Writer *w, const DimAtom *a) {
  for (int i = 0; a->name && i < w->s->dims.n; i++)
    if (w->s->dims.at[i] == a) buf_printf(&w->text, "d%d", i);
  if (a->name) return;
  buf_puts(&w->text, "(");
  write_dim(w, a->a);
  buf_puts(&w->text, "/");
  write_dim(w, a->b);
  buf_puts(&w->text, ")");
}

static void write_dim(Writer *w, const Dim *d) {
  for (int i = 0; i < d->n; i++) {
    buf_printf(&w->text, "+%" PRId64, d->terms[i].coefficient);
    for (int j = 0; j < d->terms[i].n; j++) write_dim_atom(w, d->terms[i].atoms[j]);
  }
}

static void write_shape(Writer *w, int n, Dim **shape) {
  for (int i = 0; i < n; i++) {
    buf_puts(&w->text, i ? "," : "[");
    write_dim(w, shape[i]);
  }
  buf_puts(&w->text, "]");
}

static void write_form(Writer *w, const Form *f) {
  buf_printf(&w->text, "{%" PRId64, f->c0);
  for (int i = 0; i < f->n; i++) {
    const Atom *a = f->terms[i].atom;
    buf_printf(&w->text, "+%" PRId64, f->terms[i].coefficient);
    switch (a->kind) {
    case ATOM_VAR: buf_printf(&w->text, "v%d", a->var->slot); break;
    case ATOM_DIM: write_dim(w, a->dim); break;
    case ATOM_DATA: write_expr(w, a->data); break;
    case ATOM_DIV:
      write_form(w, a->form);
      buf_printf(&w->text, "/%" PRId64, a->divisor);
      break;
    }
  }
  buf_puts(&w->text, "}");
}

/* Which steps' rows are in memory, how far apart rows are, and where a part lies in its whole. */
static void write_place(Writer *w, const Node *n) {
  const Part *part = schedule_part(w->s, n);
  unsigned folded = part ? part->whole->folded : n->folded;
  if (folded) buf_printf(&w->text, " folded %x", folded);
  if (n->pitch) buf_printf(&w->text, " pitch %" PRId64, n->pitch);
  if (!part) return;
  buf_puts(&w->text, " in ");
  write_shape(w, part->whole->rank, part->whole->shape);
  for (int i = 0; i < part->whole->rank; i++) write_form(w, part->at[i]);
}

/* What is read: another member, or an operand, by number. */
static void write_source(Writer *w, const Node *n) {
  for (int i = 0; i < w->k->members.n; i++)
    if (w->k->members.at[i].node == n) buf_printf(&w->text, "m%d", i);
  const Buffer *b = kernel_buffer(w->s, w->k, n);
  for (int i = 0; b && i < w->k->operands.n; i++)
    if (w->k->operands.at[i] == b) buf_printf(&w->text, "o%d", i);
  write_shape(w, n->rank, n->shape);
  write_place(w, n);
}

/* A subexpression's number, where it was written before. */
static bool write_again(Writer *w, const Expr *e) {
  for (int i = 0; i < w->seen.n; i++)
    if (w->seen.at[i] == e) {
      buf_printf(&w->text, "#%d ", i);
      return true;
    }
  vec_push(w->s->arena, &w->seen, e);
  return false;
}

static void write_expr(Writer *w, const Expr *e) {
  if (write_again(w, e)) return;
  buf_printf(&w->text, "%d:%s:", (int)e->kind, dtype_name(e->dtype));
  if (e->kind == EXPR_CONST) buf_printf(&w->text, "%a:%" PRId64, e->real, e->integer);
  if (e->kind == EXPR_OP) buf_printf(&w->text, "op%d", (int)e->op);
  if (e->kind == EXPR_RANDOM) buf_printf(&w->text, "%" PRIx64, e->key);
  if (e->kind == EXPR_READ) write_source(w, e->node);
  for (int i = 0; e->kind == EXPR_READ && i < e->node->rank; i++) write_form(w, e->at[i]);
  if (e->form) write_form(w, e->form);
  for (int i = 0; i < (e->kind == EXPR_RANDOM ? 3 : e->n); i++)
    if (e->arg[i]) write_expr(w, e->arg[i]);
  buf_puts(&w->text, ";");
}

static void write_member(Writer *w, const Member *m) {
  const Node *n = m->node;
  buf_printf(&w->text, "\nmember %s %s%s storage %d level %d block %d slots", dtype_name(n->dtype),
             reducer_name(n->reducer),
             n->descending ? " descending"
             : m->summed   ? " summed"
                           : "",
             (int)m->storage, m->level, m->block_slot);
  for (int i = 0; i < w->k->ngrid; i++) buf_printf(&w->text, " %d", m->grid_slot[i]);
  write_shape(w, n->rank, n->shape);
  write_shape(w, n->nred, n->red);
  write_place(w, n);
  for (int i = 0; i < w->k->operands.n; i++)
    if (w->k->operands.at[i] == m->buffer) buf_printf(&w->text, " o%d ", i);
  for (int i = 0; n->at && i < n->rank; i++) write_form(w, n->at[i]);
  write_expr(w, n->body);
}

static uint64_t fnv1a(const Buf *b) {
  uint64_t h = 0xcbf29ce484222325u;
  for (size_t i = 0; i < b->n; i++) h = (h ^ (unsigned char)b->text[i]) * 0x100000001b3u;
  return h;
}

static void name_kernel(const Schedule *s, Kernel *k);

/* A stream's code calls that of its steps. */
static void write_steps(Writer *w) {
  for (int i = 0; w->k->stream && i < w->k->stream->steps.n; i++) {
    const StreamStep *step = &w->k->stream->steps.at[i];
    name_kernel(w->s, step->kernel);
    buf_printf(&w->text, " step %s", step->kernel->symbol);
    for (int j = 0; j < step->kernel->operands.n; j++) buf_printf(&w->text, " %d", step->operand[j]);
  }
}

static void name_kernel(const Schedule *s, Kernel *k) {
  Writer w = {.s = s, .k = k};
  buf_printf(&w.text, "%s grid", kernel_kind_name(k->kind));
  write_shape(&w, k->ngrid, k->grid);
  buf_printf(&w.text, " operands %d cut %d block %" PRId64 " times %d taps %d", k->operands.n, k->cut, k->block,
             k->times, k->taps);
  for (int i = 0; i < k->operands.n; i++) buf_printf(&w.text, " %s", dtype_name(k->operands.at[i]->node->dtype));
  for (int i = 0; i < k->guards.n; i++)
    buf_printf(&w.text, " if o%d is %d", k->guards.at[i].operand, k->guards.at[i].value);
  for (int i = 0; i < k->members.n; i++) write_member(&w, &k->members.at[i]);
  write_steps(&w);
  k->symbol = arena_printf(s->arena, "nn_%s_%016" PRIx64, kernel_kind_name(k->kind), fnv1a(&w.text));
  buf_free(&w.text);
}

void name_kernels(Schedule *s) {
  for (int i = 0; i < s->kernels.n; i++) name_kernel(s, s->kernels.at[i]);
}
