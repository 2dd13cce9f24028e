/* ast.c - the tables of ast.def, generic children, and the printer of --emit=ast. */
#include "lang/ast.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
  const char *word, *roles;
} kinds[] = {
#define AST(kind, word, roles, meaning) {word, roles},
#include "lang/ast.def"
};

static const struct {
  const char *name;
  size_t offset;
  int slot;
} role_rows[] = {
#define ROLE(field, slot) {#field, offsetof(Ast, field), slot},
#include "lang/ast.def"
};

static const struct {
  const char *spelling;
  int tightness;
} ops[] = {
#define OP(name, spelling, tightness) {spelling, tightness},
#include "lang/ast.def"
};

const char *ast_word(AstKind kind) { return kinds[kind].word; }
const char *op_spelling(Op op) { return ops[op].spelling; }
int op_tightness(Op op) { return ops[op].tightness; }

/* The next role of a kind's list: its length in *n, NULL at the end. `items` is a role like the others. */
static const char *next_role(const char **list, size_t *n) {
  while (**list == ' ' || **list == '?') (*list)++;
  const char *role = *list;
  *n = strcspn(role, " ?");
  *list += *n;
  return *n ? role : NULL;
}

static bool is_items(const char *role, size_t n) { return n == 5 && !memcmp(role, "items", 5); }

static Ast *role_child(const Ast *node, const char *role, size_t n) {
  for (size_t i = 0; i < sizeof role_rows / sizeof *role_rows; i++)
    if (strlen(role_rows[i].name) == n && !memcmp(role_rows[i].name, role, n))
      return *(Ast *const *)((const char *)node + role_rows[i].offset);
  return NULL;
}

/* ---- --emit=ast */

typedef struct Printer {
  Buf *out;
  PositionCursor begin, end;
} Printer;

/* The shortest text that reads back as the same number, with a point or exponent so that it looks real. */
static void print_real(Buf *out, double v) {
  char text[40];
  for (int digits = 1; digits <= 17; digits++) {
    snprintf(text, sizeof text, "%.*g", digits, v);
    if (strtod(text, NULL) == v) break;
  }
  bool plain = !strpbrk(text, ".einf");
  buf_printf(out, " %s%s", text, plain ? ".0" : "");
}

static void print_text(Buf *out, const char *s) {
  buf_puts(out, " \"");
  for (; *s; s++) {
    if (*s == '\n') buf_puts(out, "\\n");
    else if (*s == '\t') buf_puts(out, "\\t");
    else if (*s == '"' || *s == '\\') buf_printf(out, "\\%c", *s);
    else buf_write(out, s, 1);
  }
  buf_puts(out, "\"");
}

static void print_flags(Buf *out, uint32_t flags) {
  static const struct {
    AstFlags flag;
    const char *word;
  } words[] = {{AST_DRAW, "~"},    {AST_FROZEN, "frozen"}, {AST_NODECAY, "nodecay"},
               {AST_KEEP, "keep"}, {AST_SAMPLE, "sample"}, {AST_BRACKETS, "()"}};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (flags & words[i].flag) buf_printf(out, " %s", words[i].word);
}

static void print_span(Printer *p, Span s) {
  if (!s.source) return;
  position_seek(&p->begin, s.begin);
  position_seek(&p->end, s.end);
  buf_printf(p->out, "  %d:%d-", p->begin.line, p->begin.column);
  if (p->begin.line != p->end.line) buf_printf(p->out, "%d:", p->end.line);
  buf_printf(p->out, "%d", p->end.column);
}

static void print_head(Printer *p, const Ast *n) {
  Buf *out = p->out;
  buf_puts(out, ast_word(n->kind));
  if (n->op) buf_printf(out, " %s", op_spelling(n->op));
  if (n->name) buf_printf(out, " %s", n->name);
  if (n->kind == AST_INTEGER || n->kind == AST_BOOL) buf_printf(out, " %" PRId64, n->integer);
  else if (n->kind == AST_REAL) print_real(out, n->real);
  else if (n->text) print_text(out, n->text);
  print_flags(out, n->flags);
  if (n->kind != AST_FILE) print_span(p, n->span);
  if (n->doc) {
    buf_puts(out, "  ##");
    print_text(out, n->doc);
  }
  buf_puts(out, "\n");
}

static void print_node(Printer *p, const Ast *n, const char *role, size_t role_length, int indent) {
  buf_printf(p->out, "%*s", indent, "");
  if (role) buf_printf(p->out, "%.*s: ", (int)role_length, role);
  print_head(p, n);
  const char *list = kinds[n->kind].roles, *child_role;
  size_t length;
  while ((child_role = next_role(&list, &length))) {
    const Ast *child = is_items(child_role, length) ? NULL : role_child(n, child_role, length);
    if (child) print_node(p, child, child_role, length, indent + 2);
    if (!is_items(child_role, length)) continue;
    for (int i = 0; i < n->items.n; i++) print_node(p, n->items.at[i], NULL, 0, indent + 2);
  }
}

void ast_print(Buf *out, const Ast *root, const Sources *sources) {
  PositionCursor start = {.source = sources_get(sources, root->span.source), .line = 1, .column = 1};
  Printer p = {out, start, start};
  print_node(&p, root, NULL, 0, 0);
}
