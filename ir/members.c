/* members.c - a kernel's members at a grid position: which of their indices are the grid's and which the row's, where
 * their elements lie, and which of them share one loop over the row. Both backends write their loops by it. */
#include "ir/classify.h"
#include "ir/cost.h"
#include "ir/kernel.h"

int reducer_width(Reducer r) { return r == RED_argmax || r == RED_argmin ? 2 : 1; }

bool member_reduces(const Member *m) { return m->node->nred > 0 && !m->summed; }

int member_grid_index(const Kernel *k, const Member *m, int slot) {
  for (int i = 0; i < k->ngrid; i++)
    if (m->grid_slot[i] == slot) return i;
  return -1;
}

bool member_in_row(const Kernel *k, const Member *m, int slot) {
  return member_grid_index(k, m, slot) < 0 && slot != m->block_slot;
}

int member_row_rank(const Kernel *k, const Member *m) {
  return m->node->rank - k->ngrid + m->node->nred - (m->block_slot >= 0);
}

Dim **member_row_extents(Arena *a, const Kernel *k, const Member *m) {
  const Node *n = m->node;
  Dim **extent = NEW_ARRAY(a, Dim *, member_row_rank(k, m) + 1);
  int r = 0;
  for (int i = 0; i < n->rank + n->nred; i++)
    if (member_in_row(k, m, i)) extent[r++] = i < n->rank ? n->shape[i] : n->red[i - n->rank];
  return extent;
}

Form **member_slots(Ir *ir, Arena *a, const Kernel *k, const Member *m, Form **grid, Form **row) {
  const Node *n = m->node;
  Form **at = NEW_ARRAY(a, Form *, n->rank + n->nred + 1);
  for (int i = 0, r = 0; i < n->rank + n->nred; i++) {
    int g = member_grid_index(k, m, i);
    at[i] = g >= 0 ? grid[g] : member_in_row(k, m, i) && row ? row[r++] : NULL;
  }
  if (m->block_slot < 0) return at;
  at[m->block_slot] = form_floordiv(ir, grid[k->cut], k->block);
  at[m->grid_slot[k->cut]] = form_mod(ir, grid[k->cut], k->block);
  return at;
}

Form **fresh_forms(Ir *ir, Arena *a, int n, Dim **extent) {
  Form **at = NEW_ARRAY(a, Form *, n + 1);
  for (int i = 0; i < n; i++) at[i] = form_var(ir, var_fresh(ir, extent[i]));
  return at;
}

/* ---- positions that are passed over ---- */

/* The condition of select(condition, value, what is in m's buffer). */
static Expr *member_condition(const Schedule *s, const Kernel *k, const Member *m) {
  Expr *e = m->node->body;
  if (m->storage != STORE_buffer || schedule_part(s, m->node) || !expr_is_op(e, OP_select)) return NULL;
  const Expr *old = e->arg[2];
  bool kept = old->kind == EXPR_READ && read_is_identity(s->graph, m->node, old) && !schedule_part(s, old->node);
  return kept && kernel_buffer(s, k, old->node) == m->buffer ? e->arg[0] : NULL;
}

Expr *kernel_condition(const Schedule *s, const Kernel *k) {
  Expr *all = NULL;
  for (int i = 0; i < k->members.n; i++) {
    Expr *own = k->kind == KERNEL_map ? member_condition(s, k, &k->members.at[i]) : NULL;
    if (!own || (all && own != all)) return NULL;
    all = own;
  }
  return all;
}

/* ---- bodies at a position ---- */

static Form *slot_form(void *cx, Var *v) { return ((Form **)cx)[v->slot]; }

Expr *expr_at_slots(Ir *ir, Expr *body, Form **at) {
  return expr_map(&(ExprMap){.ir = ir, .var = slot_form, .cx = at}, body);
}

Form *form_at_slots(Ir *ir, Form *f, Form **at) {
  return form_map(&(ExprMap){.ir = ir, .var = slot_form, .cx = at}, f);
}

const Node *schedule_layout(const Schedule *s, const Node *n, Form ***at) {
  const Part *part = schedule_part(s, n);
  const Node *whole = part ? part->whole : n;
  if (!part && !n->folded) return n;
  Ir *ir = s->graph->ir;
  Form **place = NEW_ARRAY(s->arena, Form *, whole->rank + 1);
  for (int i = 0; i < whole->rank; i++) {
    place[i] = part ? form_at_slots(ir, part->at[i], *at) : (*at)[i];
    if (whole->folded >> i & 1) place[i] = form_mod(ir, place[i], 2);
  }
  *at = place;
  return whole;
}

/* ---- loops over the row ---- */

typedef struct Plan {
  const Schedule *s;
  const Kernel *k;
  Arena *a;
  Form **grid; /* a grid position */
  int most_members, most_accumulators;
  RowLoop run;
  int accumulators;
  RowLoops done;
} Plan;

typedef struct Search {
  const Node *node;
  const Expr *allowed; /* NULL: any read of node counts */
  bool found;
} Search;

static void look_for_read(void *cx, Expr *x) {
  Search *s = cx;
  if (x->kind == EXPR_READ && x->node == s->node && x != s->allowed) s->found = true;
}

static bool reads_other_than(Expr *body, const Node *node, const Expr *allowed) {
  Search s = {node, allowed, false};
  expr_visit(body, look_for_read, &s);
  return s.found;
}

int member_product(const Kernel *k, int member) {
  if (member <= k->beside.n) return member;
  for (int i = 0; i < member && k->beside.n; i++)
    if (member_reads(&k->members.at[member], k->members.at[i].node)) return member_product(k, i);
  return 0;
}

bool member_reads(const Member *reader, const Node *node) { return reads_other_than(reader->node->body, node, NULL); }

static const Member *member_of(const Plan *p, int i) { return &p->k->members.at[p->run.members[i]]; }

static bool same_extents(int n, Dim **a, Dim **b) {
  for (int i = 0; i < n; i++)
    if (a[i] != b[i]) return false;
  return true;
}

/* m may join: its row is the same, and it reads the loop's members only where they have just been computed. */
static bool takes(Plan *p, const Member *m) {
  Ir *ir = p->s->graph->ir;
  int nd = member_row_rank(p->k, m);
  if (p->run.n == 0) return true;
  if (p->run.n == p->most_members || p->accumulators >= p->most_accumulators || nd != p->run.nd ||
      !same_extents(nd, p->run.extent, member_row_extents(p->a, p->k, m)))
    return false;
  Form **row = fresh_forms(ir, p->a, nd, p->run.extent);
  Expr *body = expr_at_slots(ir, m->node->body, member_slots(ir, p->a, p->k, m, p->grid, row));
  for (int i = 0; i < p->run.n; i++) {
    const Member *other = member_of(p, i);
    if (member_reduces(other) && member_reads(m, other->node)) return false;
    Expr *own = NULL;
    if (!member_reduces(other)) own = expr_read(ir, other->node, member_slots(ir, p->a, p->k, other, p->grid, row));
    if (reads_other_than(body, other->node, own)) return false;
  }
  return true;
}

static void flush(Plan *p) {
  if (p->run.n) vec_push(p->a, &p->done, p->run);
  p->run = (RowLoop){0};
  p->accumulators = 0;
}

static void add(Plan *p, int i) {
  const Member *m = &p->k->members.at[i];
  if (p->run.n == 0) {
    p->run.members = NEW_ARRAY(p->a, int, p->k->members.n);
    p->run.nd = member_row_rank(p->k, m);
    p->run.extent = member_row_extents(p->a, p->k, m);
  }
  p->run.members[p->run.n++] = i;
  if (member_reduces(m)) p->accumulators += reducer_width(m->node->reducer);
}

/* A plain value, which must come after the loop that is open where it reads of it, or writes over a value, a
 * parameter's, that the loop still has to read. */
static void add_plain(Plan *p, int i) {
  const Member *m = &p->k->members.at[i];
  bool waits = false;
  for (int j = 0; j < p->run.n; j++) {
    waits = waits || member_reads(m, member_of(p, j)->node);
    if (m->buffer && m->buffer->node != m->node) waits = waits || member_reads(member_of(p, j), m->buffer->node);
  }
  if (waits) flush(p);
  RowLoop open = p->run;
  int accumulators = p->accumulators;
  p->run = (RowLoop){0};
  add(p, i);
  flush(p);
  p->run = open;
  p->accumulators = accumulators;
}

RowLoops kernel_row_loops(const Schedule *s, const Kernel *k, int most_members, int most_accumulators) {
  Plan p = {.s = s, .k = k, .a = s->arena, .most_members = most_members, .most_accumulators = most_accumulators};
  p.grid = fresh_forms(s->graph->ir, p.a, k->ngrid, k->grid);
  int levels = 0;
  for (int i = 0; i < k->members.n; i++)
    if (k->members.at[i].level > levels) levels = k->members.at[i].level;
  for (int level = 0; level <= levels; level++, flush(&p))
    for (int i = 0; i < k->members.n; i++) {
      const Member *m = &k->members.at[i];
      if (m->level != level) continue;
      if (member_row_rank(k, m) == 0) {
        add_plain(&p, i);
        continue;
      }
      if (!takes(&p, m)) flush(&p);
      add(&p, i);
    }
  return p.done;
}
