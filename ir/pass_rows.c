/* pass_rows.c - what changes a table only in the rows to which scatters add is computed for these rows.
 *
 *   dw = scatter [key(r), d] += v[r, d]                      a gradient that is 0 but for rows that data names
 *   any[i] = any(d: dw[i, d] != 0)
 *   w' = select(any[i], next[i, d], w[i, d])                 next reads w[i, d], dw[i, d], ...
 *
 * becomes, with a place k for each row that is named, as often as it is named,
 *
 *   slot = scatter [key[k]] max= k                           the last place of a row, -1 where no place names it
 *   dw'  = scatter [slot[key(r)], d] += v[r, d]
 *   any'[k], next'[k, d]                                     the same of row key[k]: dw' for dw, w[key[k], d] for w
 *   w' = select(slot[i] >= 0 and any'[slot[i]], next'[slot[i], d], w[i, d])
 *
 * in which only the last line has an element for each of the table's: a kernel that passes over rows where it changes
 * nothing (kernel.h). Every sum adds the same terms in the same order. Of a row's places one is in slot, the others'
 * dw' is 0. A sum over all of a table of what is 0 where dw is goes over the places too: the norm of a gradient.
 *
 * In, out: a graph without grad. After scatter, whose sums these are too; before fuse, while the update of a row is a
 * few maps that read their own row. */
#include "ir/cost.h"
#include "ir/pass.h"
#include "ir/table.h"

enum { ROWS_A_PLACE = 4, SHORTEST_ROW = 8 };

typedef Vec(Node *) NodeList;

typedef struct Table { /* rows that the same scatters name */
  struct Rows *p;
  Dim *rows, *places;
  NodeList sources; /* the scatters, in order */
  Node *key, *slot; /* NULL: the table stays as it is */
  bool *needs;      /* by node id: depends on a source */
  Node **at_places; /* by node id: its rows at the places */
} Table;

typedef struct Rows {
  Graph *g;
  Arena *scratch;
  int n;        /* nodes of the graph as it was given */
  bool *sparse; /* by node id: 0, or false, in rows to which no scatter adds */
  Vec(Table *) tables;
} Rows;

/* ---- what is 0 in most rows ---- */

typedef struct Zero {
  const Rows *p;
  Form *row;
} Zero;

static Expr *zero_of_read(void *cx, Expr *read) {
  const Zero *z = cx;
  const Node *n = read->node;
  bool zero = n->rank && n->id < z->p->n && z->p->sparse[n->id] && read->at[0] == z->row;
  return zero ? expr_real(z->p->g->ir, read->dtype, 0) : NULL;
}

/* Whether e is 0 where all that it reads of sparse tensors in row `row` is. */
static bool is_zero_with(const Rows *p, Expr *e, Var *row) {
  Zero z = {p, form_var(p->g->ir, row)};
  Expr *zero = expr_map(&(ExprMap){.ir = p->g->ir, .read = zero_of_read, .cx = &z}, e);
  return zero != e && expr_is_number(zero, 0);
}

static bool is_sparse(const Rows *p, const Node *n) {
  if (!n->rank || n->scan) return false;
  if (n->kind == NODE_scatter) return n->reducer == RED_sum && form_has_data(n->at[0]);
  bool keeps = n->reducer == RED_none || n->reducer == RED_sum || n->reducer == RED_any;
  return n->kind == NODE_comp && keeps && is_zero_with(p, n->body, node_result_var(p->g, n, 0));
}

static void add_sources(const Rows *p, const Node *n, Var *row, NodeList *sources);

static void add_source(const Rows *p, Node *n, NodeList *sources) {
  if (n->kind != NODE_scatter) {
    add_sources(p, n, node_result_var(p->g, n, 0), sources);
    return;
  }
  for (int i = 0; i < sources->n; i++)
    if (sources->at[i] == n) return;
  vec_push(p->scratch, sources, n);
}

/* The scatters that decide which values of `row` may have something in n. */
static void add_sources(const Rows *p, const Node *n, Var *row, NodeList *sources) {
  ExprList reads = node_reads(p->scratch, n);
  for (int i = 0; i < reads.n; i++) {
    Node *x = reads.at[i]->node;
    if (x->rank && x->id < p->n && p->sparse[x->id] && reads.at[i]->at[0] == form_var(p->g->ir, row))
      add_source(p, x, sources);
  }
}

/* ---- places ---- */

/* The loops over which the source's row goes, an open one first; -1: places cannot be counted through. */
static int loops_of_row(const Rows *p, const Node *source, Var **loops) {
  int n = 0, open = 0;
  for (int i = 0; i < source->nred; i++) {
    Var *v = node_reduction_var(p->g, source, i);
    if (!form_uses(source->at[0], v)) continue;
    loops[n++] = v;
    if (dim_is_const(v->extent, NULL)) continue;
    loops[n - 1] = loops[0];
    loops[0] = v;
    open++;
  }
  return open > 1 ? -1 : n;
}

static Dim *places_of(const Rows *p, const Node *source) {
  Var **loops = NEW_ARRAY(p->scratch, Var *, source->nred + 1);
  int n = loops_of_row(p, source, loops);
  Dim *places = dim_const(p->g->ir, 1);
  for (int i = 0; i < n; i++) places = dim_mul(p->g->ir, places, loops[i]->extent);
  return n < 0 ? NULL : places;
}

typedef struct Moves { /* an index that becomes a form, by number */
  int n;
  Var **from;
  Form **to;
} Moves;

static Form *moved(void *cx, Var *v) {
  const Moves *m = cx;
  for (int i = 0; i < m->n; i++)
    if (m->from[i] == v) return m->to[i];
  return NULL;
}

/* The row that the source's place number `place` names. */
static Expr *row_at(const Rows *p, const Node *source, Form *place) {
  Ir *ir = p->g->ir;
  Moves m = {.from = NEW_ARRAY(p->scratch, Var *, source->nred + 1),
             .to = NEW_ARRAY(p->scratch, Form *, source->nred + 1)};
  m.n = loops_of_row(p, source, m.from);
  for (int i = m.n - 1; i >= 0; i--) {
    int64_t extent = i ? dim_value(m.from[i]->extent) : 0;
    m.to[i] = i ? form_mod(ir, place, extent) : place;
    if (i) place = form_floordiv(ir, place, extent);
  }
  return expr_index(ir, DT_i32, form_map(&(ExprMap){.ir = ir, .var = moved, .cx = &m}, source->at[0]));
}

/* key[k] and slot[i]. */
static void name_places(Table *t) {
  Graph *g = t->p->g;
  Ir *ir = g->ir;
  Span span = t->sources.at[0]->span;
  Var *k = var_fresh(ir, t->places);
  Dim *before = dim_const(ir, 0);
  Expr *key = NULL;
  for (int i = 0; i < t->sources.n; i++) {
    Form *place = form_sub(ir, form_var(ir, k), form_dim(ir, before));
    Expr *row = row_at(t->p, t->sources.at[i], place);
    key = key ? expr_select(ir, expr_ge0(ir, place), row, key) : row;
    before = dim_add(ir, before, places_of(t->p, t->sources.at[i]));
  }
  t->key = graph_comp(g, 1, &k, RED_none, 0, NULL, key, span);
  Form *row = form_data(ir, expr_read_vars(ir, t->key, &k));
  t->slot = graph_scatter_max(g, 1, &t->rows, 1, &k, &row, expr_index(ir, DT_i32, form_var(ir, k)), span);
}

/* ---- tables ---- */

typedef struct Needs {
  Table *t;
  int node;
} Needs;

static void look_at_operand(void *cx, Node *operand) {
  Needs *n = cx;
  if (operand->id < n->node && n->t->needs[operand->id]) n->t->needs[n->node] = true;
}

static void find_needs(Table *t) {
  for (int i = 0; i < t->sources.n; i++) t->needs[t->sources.at[i]->id] = true;
  for (int i = 0; i < t->p->n; i++) node_operands(t->p->g->nodes.at[i], look_at_operand, &(Needs){t, i});
}

/* Whether there are few places beside rows, and rows long enough to be passed over. */
static bool is_worth_it(Table *t) {
  const Node *first = t->sources.at[0];
  t->places = dim_const(t->p->g->ir, 0);
  for (int i = 0; i < t->sources.n; i++) {
    Dim *places = places_of(t->p, t->sources.at[i]);
    if (!places) return false;
    t->places = dim_add(t->p->g->ir, t->places, places);
  }
  int64_t rows = dim_nominal(t->rows);
  return rows >= ROWS_A_PLACE * dim_nominal(t->places) &&
         node_result_count(first) >= (double)SHORTEST_ROW * (double)rows;
}

static bool same_sources(const NodeList *a, const NodeList *b) {
  if (a->n != b->n) return false;
  for (int i = 0; i < a->n; i++)
    if (a->at[i] != b->at[i]) return false;
  return true;
}

static Table *table_of(Rows *p, Dim *rows, const NodeList *sources) {
  for (int i = 0; i < p->tables.n; i++)
    if (p->tables.at[i]->rows == rows && same_sources(&p->tables.at[i]->sources, sources)) return p->tables.at[i];
  Table *t = NEW(p->scratch, Table);
  *t = (Table){.p = p, .rows = rows, .sources = *sources};
  vec_push(p->scratch, &p->tables, t);
  if (!is_worth_it(t)) return t;
  t->needs = NEW_ARRAY(p->scratch, bool, p->n);
  t->at_places = NEW_ARRAY(p->scratch, Node *, p->n);
  find_needs(t);
  name_places(t);
  return t;
}

/* ---- rows at their places ---- */

typedef struct Move { /* index `from`, a row, becomes the row of a place */
  Table *t;
  Var *from;
  Form *row, *place;
} Move;

static Node *at_places(Table *t, Node *n);

static Form *moved_row(void *cx, Var *v) {
  const Move *m = cx;
  return v == m->from ? m->row : NULL;
}

static Expr *moved_read(void *cx, Expr *read) {
  const Move *m = cx;
  if (!read->node->rank || read->at[0] != m->row) return NULL;
  Node *n = at_places(m->t, read->node);
  if (!n) return NULL;
  Form **at = NEW_ARRAY(m->t->p->scratch, Form *, n->rank);
  for (int i = 0; i < n->rank; i++) at[i] = i ? read->at[i] : m->place;
  return expr_read(m->t->p->g->ir, n, at);
}

/* e with the row `from` as that of place k. */
static Expr *move(Table *t, Expr *e, Var *from, Var *k) {
  Ir *ir = t->p->g->ir;
  Move m = {t, from, form_data(ir, expr_read_vars(ir, t->key, &k)), form_var(ir, k)};
  return expr_map(&(ExprMap){.ir = ir, .var = moved_row, .read = moved_read, .cx = &m}, e);
}

/* A comp like n, of which index `slot`, a row, goes over the places, with this body. */
static Node *moved_comp(Table *t, const Node *n, int slot, Expr *body) {
  Graph *g = t->p->g;
  Var **vars = NEW_ARRAY(t->p->scratch, Var *, n->rank + n->nred + 1), *k = var_fresh(g->ir, t->places);
  Var *from = node_slot_var(g, n, slot);
  for (int i = 0; i < n->rank + n->nred; i++) vars[i] = i == slot ? k : node_slot_var(g, n, i);
  return graph_comp(g, n->rank, vars, n->reducer, n->nred, vars + n->rank, move(t, body, from, k), n->span);
}

static Node *moved_scatter(Table *t, const Node *n) {
  Graph *g = t->p->g;
  Form **at = NEW_ARRAY(t->p->scratch, Form *, n->rank);
  Dim **shape = NEW_ARRAY(t->p->scratch, Dim *, n->rank);
  Var **vars = NEW_ARRAY(t->p->scratch, Var *, n->nred + 1);
  for (int i = 0; i < n->nred; i++) vars[i] = node_reduction_var(g, n, i);
  for (int i = 0; i < n->rank; i++) at[i] = n->at[i], shape[i] = n->shape[i];
  at[0] = form_data(g->ir, expr_read(g->ir, t->slot, (Form *[]){n->at[0]}));
  shape[0] = t->places;
  return graph_scatter(g, n->dtype, n->rank, shape, n->nred, vars, at, n->body, n->span);
}

static bool is_source(const Table *t, const Node *n) {
  for (int i = 0; i < t->sources.n; i++)
    if (t->sources.at[i] == n) return true;
  return false;
}

/* n's rows at the places; NULL: they are read where they are. */
static Node *at_places(Table *t, Node *n) {
  if (n->id >= t->p->n || n->shape[0] != t->rows || n->scan) return NULL;
  if (t->at_places[n->id]) return t->at_places[n->id];
  Node *c = NULL;
  if (is_source(t, n)) c = moved_scatter(t, n);
  else if (n->kind == NODE_comp && (t->needs[n->id] || node_is_map(n))) c = moved_comp(t, n, 0, n->body);
  return t->at_places[n->id] = c;
}

/* ---- what goes over places instead of rows ---- */

/* The parts of e, an `and` of conditions: *rest are those that do not read `sparse` as a condition on `row`. */
static Expr *row_condition(const Rows *p, Expr *e, Var *row, Expr **rest) {
  if (expr_is_op(e, OP_and)) {
    Expr *a = row_condition(p, e->arg[0], row, rest);
    if (!a) return row_condition(p, e->arg[1], row, rest);
    *rest = expr_and(p->g->ir, *rest, e->arg[1]);
    return a;
  }
  bool reads = e->kind == EXPR_READ && e->node->rank == 1 && e->node->id < p->n && p->sparse[e->node->id];
  if (reads && e->at[0] == form_var(p->g->ir, row)) return e;
  *rest = expr_and(p->g->ir, *rest, e);
  return NULL;
}

static Table *table_of_condition(Rows *p, const Node *condition) {
  NodeList sources = {0};
  add_sources(p, condition, node_result_var(p->g, condition, 0), &sources);
  return sources.n ? table_of(p, condition->shape[0], &sources) : NULL;
}

/* What a table's rows become: n is select(condition of the row, next, a value of the table). */
static Node *changed_rows(Rows *p, const Node *n) {
  Graph *g = p->g;
  Ir *ir = g->ir;
  if (!node_is_map(n) || n->rank < 2 || n->scan || !expr_is_op(n->body, OP_select)) return NULL;
  Expr *rest = NULL, *read = row_condition(p, n->body->arg[0], node_result_var(g, n, 0), &rest);
  Table *t = read ? table_of_condition(p, read->node) : NULL;
  if (!t || !t->slot || n->shape[0] != t->rows) return NULL;
  Expr *next = rest ? expr_select(ir, rest, n->body->arg[1], n->body->arg[2]) : n->body->arg[1];
  Node *named = at_places(t, read->node), *there = moved_comp(t, n, 0, next);
  Var **vars = NEW_ARRAY(p->scratch, Var *, n->rank);
  for (int i = 0; i < n->rank; i++) vars[i] = node_result_var(g, n, i);
  Expr *slot = expr_read_vars(ir, t->slot, vars);
  Form **at = form_vars(ir, n->rank, vars);
  at[0] = form_data(ir, slot);
  Expr *where = expr_and(ir, expr_ge0(ir, at[0]), expr_read(ir, named, at));
  Expr *body = expr_select(ir, where, expr_read(ir, there, at), n->body->arg[2]);
  return graph_comp(g, n->rank, vars, RED_none, 0, NULL, body, n->span);
}

/* A sum over rows of what is 0 in those that no place names. */
static Node *sum_of_places(Rows *p, const Node *n) {
  if (n->kind != NODE_comp || n->reducer != RED_sum || n->scan) return NULL;
  for (int i = 0; i < p->tables.n; i++)
    for (int j = 0; j < n->nred; j++) {
      Table *t = p->tables.at[i];
      Var *row = node_reduction_var(p->g, n, j);
      NodeList sources = {0};
      if (!t->slot || row->extent != t->rows || !is_zero_with(p, n->body, row)) continue;
      add_sources(p, n, row, &sources);
      bool all = true;
      for (int k = 0; k < sources.n; k++) all = all && is_source(t, sources.at[k]);
      if (all) return moved_comp(t, n, n->rank + j, n->body);
    }
  return NULL;
}

bool pass_rows(Graph *g, PassContext *cx) {
  (void)cx;
  Rows p = {.g = g, .scratch = arena_new(), .n = g->nodes.n};
  bool changed = false;
  p.sparse = NEW_ARRAY(p.scratch, bool, p.n);
  for (int i = 0; i < p.n; i++) p.sparse[i] = is_sparse(&p, g->nodes.at[i]);
  for (int turn = 0; turn < 2; turn++) /* the tables are those whose rows change */
    for (int i = 0; i < p.n; i++) {
      Node *old = g->nodes.at[i], *n = turn ? sum_of_places(&p, old) : changed_rows(&p, old);
      if (!n) continue;
      n->name = old->name;
      old->forward = n;
      changed = true;
    }
  arena_free(p.scratch);
  return changed && graph_renew(g);
}
