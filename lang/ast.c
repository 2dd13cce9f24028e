/* ast.c - the tables of ast.def, generic children, and the printer of --emit=ast. */
#include "lang/ast.h"

#include <stddef.h>
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

static int role_count(const Ast *node) {
  const char *list = kinds[node->kind].roles, *role;
  size_t n;
  int count = 0;
  while ((role = next_role(&list, &n))) count += !is_items(role, n);
  return count;
}

int ast_child_count(const Ast *n) { return role_count(n) + n->items.n; }

Ast *ast_child(const Ast *node, int i) {
  const char *list = kinds[node->kind].roles, *role;
  size_t n;
  int roles = 0;
  while ((role = next_role(&list, &n))) {
    if (is_items(role, n)) continue;
    if (roles++ == i) return role_child(node, role, n);
  }
  return node->items.at[i - roles];
}
