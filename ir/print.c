/* print.c - the graph's text, written; see text.h. A subexpression that is used twice is named (t0 = ...;), so the
 * text is as long as the graph is large. The order of terms does not depend on the order of building, so a text that
 * is read back prints the same. */
#include "ir/scalar.h"
#include "ir/text.h"
#include "ir/table.h"

#include <ctype.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Printer {
  Buf *out;
  int rank;              /* slots from here are the reduction's */
  const PtrMap *symbols; /* DimAtom to name; NULL: their own */
  const PtrMap *lets;    /* Expr to the text that names it; NULL: none */
} Printer;

enum { UNKNOWN = DT_COUNT };

static void print_expr(Printer *p, const Expr *e, int expected);
static void print_form(Printer *p, const Form *f);

static const char *symbol_name(void *cx, const DimAtom *a) {
  const Printer *p = cx;
  const char *name = p->symbols ? ptrmap_get(p->symbols, a) : NULL;
  return name ? name : a->name;
}

static void print_dim(Printer *p, const Dim *d) { dim_print_with(p->out, d, symbol_name, p); }

/* ---- forms ---- */

static void print_slot(Printer *p, int slot) {
  if (slot < p->rank) buf_printf(p->out, "i%d", slot);
  else buf_printf(p->out, "r%d", slot - p->rank);
}

static void print_atom(Printer *p, const Atom *a) {
  switch (a->kind) {
  case ATOM_VAR: print_slot(p, a->var->slot); break;
  case ATOM_DATA: print_expr(p, a->data, UNKNOWN); break;
  case ATOM_DIM: {
    bool plain = a->dim->terms[0].n == 1 && a->dim->terms[0].atoms[0]->name;
    if (!plain) buf_puts(p->out, "(");
    print_dim(p, a->dim);
    if (!plain) buf_puts(p->out, ")");
    break;
  }
  case ATOM_DIV: {
    bool plain = a->form->n == 1 && a->form->c0 == 0 && a->form->terms[0].coefficient == 1;
    buf_puts(p->out, plain ? "(" : "((");
    print_form(p, a->form);
    buf_printf(p->out, "%s // %lld)", plain ? "" : ")", (long long)a->divisor);
    break;
  }
  }
}

typedef struct PrintedTerm {
  int64_t coefficient;
  AtomKind kind;
  int slot;
  char *text;
} PrintedTerm;

static int compare_printed(const void *x, const void *y) {
  const PrintedTerm *a = x, *b = y;
  if (a->kind != b->kind) return (int)a->kind - (int)b->kind;
  return a->slot != b->slot ? a->slot - b->slot : strcmp(a->text, b->text);
}

static void print_coefficient(Buf *out, int64_t c, bool first, bool times) {
  uint64_t size = c < 0 ? 0 - (uint64_t)c : (uint64_t)c;
  buf_puts(out, first ? (c < 0 ? "-" : "") : c < 0 ? " - " : " + ");
  if (!times) buf_printf(out, "%llu", (unsigned long long)size);
  else if (size != 1) buf_printf(out, "%llu*", (unsigned long long)size);
}

static void print_form(Printer *p, const Form *f) {
  PrintedTerm *terms = calloc((size_t)f->n + 1, sizeof *terms);
  for (int i = 0; i < f->n; i++) {
    Atom *a = f->terms[i].atom;
    Buf text = {0};
    Printer sub = *p;
    sub.out = &text;
    print_atom(&sub, a);
    terms[i] = (PrintedTerm){f->terms[i].coefficient, a->kind, a->kind == ATOM_VAR ? a->var->slot : 0, text.text};
  }
  if (f->n > 1) qsort(terms, (size_t)f->n, sizeof *terms, compare_printed);
  for (int i = 0; i < f->n; i++) {
    print_coefficient(p->out, terms[i].coefficient, i == 0, true);
    buf_puts(p->out, terms[i].text);
    free(terms[i].text);
  }
  free(terms);
  if (f->c0 || !f->n) print_coefficient(p->out, f->c0, f->n == 0, false);
}

/* ---- expressions ---- */

static void print_real(Buf *out, double v, bool narrow) {
  char text[40];
  if (isnan(v)) buf_puts(out, "nan");
  else if (isinf(v)) buf_puts(out, v < 0 ? "-inf" : "inf");
  if (!isfinite(v)) return;
  for (int digits = 1; digits <= 17; digits++) {
    snprintf(text, sizeof text, "%.*g", digits, v);
    double back = strtod(text, NULL);
    if (back == v || (narrow && (float)back == (float)v)) break;
  }
  buf_puts(out, text);
}

static void print_number(Buf *out, DType t, double real, int64_t integer) {
  if (t == DT_bool) buf_puts(out, integer ? "true" : "false");
  else if (dtype_is_float(t)) print_real(out, real, t != DT_f64);
  else buf_printf(out, "%lld", (long long)integer);
}

static bool is_literal(const Expr *e) { return e->kind == EXPR_CONST && e->dtype != DT_bool; }

static void print_forms(Printer *p, Form *const *at, int n) {
  for (int i = 0; i < n; i++) {
    if (i) buf_puts(p->out, ", ");
    print_form(p, at[i]);
  }
}

/* The operands from `first` on are of one type; a number among them is printed bare if the reader can tell it. */
static void print_alike(Printer *p, const Expr *e, int first, int expected) {
  bool known = expected == (int)e->arg[first]->dtype;
  for (int i = first; i < e->n; i++) known |= !is_literal(e->arg[i]);
  for (int i = first; i < e->n; i++) {
    if (i) buf_puts(p->out, ", ");
    print_expr(p, e->arg[i], !is_literal(e->arg[i]) ? expected : known ? (int)e->arg[i]->dtype : UNKNOWN);
  }
}

static void print_op(Printer *p, const Expr *e, int expected) {
  buf_printf(p->out, "%s(", scalar_rows[e->op].name);
  switch (scalar_rows[e->op].rule) {
  case RULE_CAST:
    buf_printf(p->out, "%s, ", dtype_name(e->dtype));
    print_expr(p, e->arg[0], UNKNOWN);
    break;
  case RULE_SELECT:
    print_expr(p, e->arg[0], DT_bool);
    print_alike(p, e, 1, expected);
    break;
  case RULE_COMPARE:
  case RULE_FLOAT_TO_BOOL: print_alike(p, e, 0, UNKNOWN); break;
  default: print_alike(p, e, 0, expected); break;
  }
  buf_puts(p->out, ")");
}

static void print_random(Printer *p, const Expr *e) {
  buf_printf(p->out, "random(%s, 0x%llx, ", dtype_name(e->dtype), (unsigned long long)e->key);
  for (int i = 0; i < 3; i++) {
    print_expr(p, e->arg[i], DT_i64);
    buf_puts(p->out, ", ");
  }
  print_form(p, e->form);
  buf_puts(p->out, ")");
}

static void print_unnamed(Printer *p, const Expr *e, int expected) {
  switch (e->kind) {
  case EXPR_CONST:
    print_number(p->out, e->dtype, e->real, e->integer);
    if (is_literal(e) && expected != (int)e->dtype) buf_printf(p->out, ":%s", dtype_name(e->dtype));
    return;
  case EXPR_READ:
    buf_printf(p->out, "%%%d[", e->node->id);
    print_forms(p, e->at, e->node->rank);
    buf_puts(p->out, "]");
    return;
  case EXPR_RANDOM: print_random(p, e); return;
  case EXPR_OP: print_op(p, e, expected); return;
  default:
    buf_printf(p->out, "%s(", e->kind == EXPR_GE0 ? "ge0" : e->kind == EXPR_EQ0 ? "eq0" : dtype_name(e->dtype));
    print_form(p, e->form);
    buf_puts(p->out, ")");
  }
}

static void print_expr(Printer *p, const Expr *e, int expected) {
  const char *name = p->lets ? ptrmap_get(p->lets, e) : NULL;
  if (name) buf_puts(p->out, name);
  else print_unnamed(p, e, expected);
}

void expr_print_ranked(Buf *out, const Expr *e, int rank) {
  print_expr(&(Printer){.out = out, .rank = rank}, e, UNKNOWN);
}
void form_print_ranked(Buf *out, const Form *f, int rank) { print_form(&(Printer){.out = out, .rank = rank}, f); }
void expr_print(Buf *out, const Expr *e) { expr_print_ranked(out, e, INT_MAX); }
void form_print(Buf *out, const Form *f) { form_print_ranked(out, f, INT_MAX); }

/* ---- bodies: shared subexpressions first ---- */

typedef struct Sharing {
  Arena *scratch;
  PtrMap uses; /* Expr to its number of uses, as a pointer */
  PtrMap *lets;
  Printer *p;
  int n;
} Sharing;

static void count_use(Sharing *s, const Expr *e) {
  ptrmap_put(&s->uses, e, (void *)((uintptr_t)ptrmap_get(&s->uses, e) + 1));
}

static void count_form(Sharing *s, const Form *f) {
  for (int i = 0; i < f->n; i++) {
    if (f->terms[i].atom->kind == ATOM_DATA) count_use(s, f->terms[i].atom->data);
    if (f->terms[i].atom->kind == ATOM_DIV) count_form(s, f->terms[i].atom->form);
  }
}

static void count_arguments(void *cx, Expr *e) {
  Sharing *s = cx;
  for (int i = 0; i < e->n; i++) count_use(s, e->arg[i]);
  if (e->form) count_form(s, e->form);
  if (e->kind == EXPR_READ)
    for (int i = 0; i < e->node->rank; i++) count_form(s, e->at[i]);
}

static void name_shared(void *cx, Expr *e) {
  Sharing *s = cx;
  bool shared = (e->kind == EXPR_OP || e->kind == EXPR_RANDOM) && (uintptr_t)ptrmap_get(&s->uses, e) > 1;
  if (!shared) return;
  char *name = arena_printf(s->scratch, "t%d", s->n++);
  buf_printf(s->p->out, "%s = ", name);
  print_unnamed(s->p, e, UNKNOWN);
  buf_puts(s->p->out, "; ");
  ptrmap_put(s->lets, e, name);
}

static void print_body(Printer *p, Expr *body, int expected) {
  PtrMap lets = {0};
  Sharing s = {.scratch = arena_new(), .lets = &lets, .p = p};
  expr_visit(body, count_arguments, &s);
  p->lets = &lets;
  expr_visit(body, name_shared, &s);
  print_expr(p, body, expected);
  p->lets = NULL;
  ptrmap_free(&lets);
  ptrmap_free(&s.uses);
  arena_free(s.scratch);
}

/* ---- nodes ---- */

static void print_type(Printer *p, const Node *n) {
  buf_printf(p->out, "%s[", dtype_name(n->dtype));
  for (int i = 0; i < n->rank; i++) {
    if (i) buf_puts(p->out, ", ");
    print_dim(p, n->shape[i]);
  }
  buf_puts(p->out, "]");
}

static void print_extents(Printer *p, const Node *n) {
  for (int i = 0; i < n->nred; i++) {
    buf_printf(p->out, "%sr%d < ", i ? ", " : "", i);
    print_dim(p, n->red[i]);
  }
}

static void print_comp(Printer *p, const Node *n) {
  buf_puts(p->out, "comp ");
  print_type(p, n);
  if (n->stream) buf_printf(p->out, " stream %d", n->stream);
  buf_puts(p->out, " [");
  for (int i = 0; i < n->rank; i++) buf_printf(p->out, "%si%d", i ? ", " : "", i);
  buf_puts(p->out, "] ");
  p->rank = n->rank;
  if (!n->nred) {
    print_body(p, n->body, (int)n->dtype);
    return;
  }
  buf_printf(p->out, "%s(", reducer_name(n->reducer));
  print_extents(p, n);
  buf_puts(p->out, ": ");
  bool position = n->reducer == RED_argmax || n->reducer == RED_argmin;
  print_body(p, n->body, position ? UNKNOWN : (int)n->dtype);
  buf_puts(p->out, ")");
}

static void print_sort(Printer *p, const Node *n) {
  buf_puts(p->out, "sort ");
  print_type(p, n);
  buf_puts(p->out, " [");
  for (int i = 0; i < n->rank; i++) buf_printf(p->out, "%si%d", i ? ", " : "", i);
  buf_puts(p->out, n->descending ? "] descending " : "] ascending ");
  p->rank = n->rank;
  print_body(p, n->body, UNKNOWN);
}

static void print_scatter(Printer *p, const Node *n) {
  buf_puts(p->out, "scatter ");
  print_type(p, n);
  buf_puts(p->out, " (");
  print_extents(p, n);
  buf_puts(p->out, ") [");
  p->rank = 0;
  print_forms(p, n->at, n->rank);
  buf_puts(p->out, n->reducer == RED_max ? "] max= " : "] += ");
  print_body(p, n->body, (int)n->dtype);
}

static void print_const(Printer *p, const Node *n) {
  int64_t count = 1;
  for (int i = 0; i < n->rank; i++) count *= dim_value(n->shape[i]);
  buf_puts(p->out, "const ");
  print_type(p, n);
  buf_puts(p->out, " {");
  for (int64_t i = 0; i < count; i++) {
    if (i) buf_puts(p->out, ", ");
    if (dtype_is_float(n->dtype)) print_number(p->out, n->dtype, dtype_load_real(n->dtype, n->data, i), 0);
    else print_number(p->out, n->dtype, 0, dtype_load_int(n->dtype, n->data, i));
  }
  buf_puts(p->out, "}");
}

static void print_carry(Printer *p, const Node *n) {
  buf_puts(p->out, "carry ");
  print_type(p, n);
  buf_printf(p->out, " axis %d %s%s init %%%d next %%%d", n->axis, n->down ? "down" : "up",
             n->counts ? " counts" : "", n->in[0]->id, n->in[1]->id);
}

static void print_custom(Printer *p, const Node *n) {
  buf_printf(p->out, "custom %%%d with %%%d (", n->in[0]->id, n->in[1]->id);
  for (int i = 2; i < n->nin; i += 2)
    buf_printf(p->out, "%s%%%d: %%%d", i > 2 ? ", " : "", n->in[i]->id, n->in[i + 1]->id);
  buf_puts(p->out, ")");
}

static void print_node(Printer *p, const Node *n) {
  buf_printf(p->out, "%%%d = ", n->id);
  switch (n->kind) {
  case NODE_comp: print_comp(p, n); break;
  case NODE_scatter: print_scatter(p, n); break;
  case NODE_sort: print_sort(p, n); break;
  case NODE_const: print_const(p, n); break;
  case NODE_carry: print_carry(p, n); break;
  case NODE_grad: buf_printf(p->out, "grad %%%d by %%%d", n->in[0]->id, n->in[1]->id); return;
  case NODE_jvp: buf_printf(p->out, "jvp %%%d by %%%d along %%%d", n->in[0]->id, n->in[1]->id, n->in[2]->id); return;
  case NODE_custom: print_custom(p, n); return;
  case NODE_adjoint:
    buf_puts(p->out, "adjoint ");
    print_type(p, n);
    return;
  case NODE_store: buf_printf(p->out, "store %s = %%%d", n->in[1]->name, n->in[0]->id); return;
  default:
    buf_printf(p->out, "%s %s : ", node_kind_name(n->kind), n->name);
    print_type(p, n);
    if (n->kind == NODE_param && !n->trained) buf_puts(p->out, " frozen");
    return;
  }
  if (n->name) buf_printf(p->out, "  # %s", n->name);
}

/* ---- the graph's open dimensions, each with a name of its own ---- */

typedef Vec(const DimAtom *) Atoms;

static void collect_symbols(Arena *a, Atoms *all, const Dim *d) {
  for (int i = 0; i < d->n; i++)
    for (int j = 0; j < d->terms[i].n; j++) {
      const DimAtom *s = d->terms[i].atoms[j];
      bool known = !s->name;
      for (int k = 0; k < all->n && !known; k++) known = all->at[k] == s;
      if (!known) vec_push(a, all, s);
      if (s->name) continue;
      collect_symbols(a, all, s->a);
      collect_symbols(a, all, s->b);
    }
}

typedef struct FormSymbols {
  Arena *a;
  Atoms *all;
} FormSymbols;

static void collect_in_form(FormSymbols *f, const Form *form) {
  for (int i = 0; i < form->n; i++) {
    const Atom *a = form->terms[i].atom;
    if (a->kind == ATOM_DIM) collect_symbols(f->a, f->all, a->dim);
    if (a->kind == ATOM_DIV) collect_in_form(f, a->form);
  }
}

static void collect_in_expr(void *cx, Expr *e) {
  if (e->form) collect_in_form(cx, e->form);
  if (e->kind == EXPR_READ)
    for (int i = 0; i < e->node->rank; i++) collect_in_form(cx, e->at[i]);
}

static int compare_symbols(const void *a, const void *b) {
  return (*(const DimAtom *const *)a)->id - (*(const DimAtom *const *)b)->id;
}

static void graph_symbols(Arena *a, const Graph *g, Atoms *all) {
  FormSymbols f = {a, all};
  if (g->batch) vec_push(a, all, g->batch);
  for (int i = 0; i < g->nodes.n; i++) {
    const Node *n = g->nodes.at[i];
    for (int k = 0; k < n->rank; k++) collect_symbols(a, all, n->shape[k]);
    for (int k = 0; k < n->nred; k++) collect_symbols(a, all, n->red[k]);
    if (n->body) expr_visit(n->body, collect_in_expr, &f);
    if (n->at)
      for (int k = 0; k < n->rank; k++) collect_in_form(&f, n->at[k]);
  }
  if (all->n > 1) qsort(all->at, (size_t)all->n, sizeof *all->at, compare_symbols);
}

/* Names that mean something else in a form. */
static bool is_reserved(const char *s) {
  ScalarOp op;
  DType t;
  if (scalar_from_name(s, &op) || dtype_from_name(s, &t) || !strcmp(s, "random")) return true;
  if (!strchr("irt", s[0]) || !s[1]) return false;
  for (s++; *s; s++)
    if (!isdigit((unsigned char)*s)) return false;
  return true;
}

static void name_symbols(Arena *a, const Atoms *all, PtrMap *names) {
  for (int i = 0; i < all->n; i++) {
    int same = 1;
    for (int k = 0; k < i; k++) same += !strcmp(all->at[k]->name, all->at[i]->name);
    const char *name = all->at[i]->name;
    if (same > 1) name = arena_printf(a, "%s_%d", name, same);
    else if (is_reserved(name)) name = arena_printf(a, "%s_", name);
    ptrmap_put(names, all->at[i], (void *)name);
  }
}

void graph_print(Buf *out, const Graph *g) {
  Arena *scratch = arena_new();
  Atoms symbols = {0};
  PtrMap names = {0};
  graph_symbols(scratch, g, &symbols);
  name_symbols(scratch, &symbols, &names);
  Printer p = {.out = out, .symbols = &names};
  buf_printf(out, "graph %s\n", g->name ? g->name : "_");
  if (g->products != DT_f64) buf_printf(out, "products %s\n", dtype_name(g->products));
  for (int i = 0; i < symbols.n; i++) {
    const DimAtom *s = symbols.at[i];
    buf_printf(out, "dim %s >= %lld", symbol_name(&p, s), (long long)s->lower);
    if (s->upper < INT64_MAX) buf_printf(out, " <= %lld", (long long)s->upper);
    buf_puts(out, s == g->batch ? " batch\n" : "\n");
  }
  for (int i = 0; i < g->nodes.n; i++) {
    print_node(&p, g->nodes.at[i]);
    buf_puts(out, "\n");
  }
  for (int i = 0; i < g->outputs.n; i++)
    buf_printf(out, "output %s = %%%d\n", g->outputs.at[i].name, g->outputs.at[i].node->id);
  ptrmap_free(&names);
  arena_free(scratch);
}

void node_type_print(Buf *out, const Node *n) {
  buf_puts(out, dtype_name(n->dtype));
  if (n->rank) dims_print(out, n->rank, n->shape);
}
