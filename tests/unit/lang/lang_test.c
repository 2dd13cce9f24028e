/* lang_test.c - the parts of lang/ that golden files do not show: positions, tables, closest names, exact spans. */
#include "lang/closest.h"
#include "lang/lex.h"
#include "lang/parse.h"
#include "tests/unit/unit.h"

#include <string.h>

typedef struct Parsed {
  Arena *arena;
  Sources sources;
  DiagSink sink;
  const Source *source;
  Ast *file;
} Parsed;

static Parsed parse(const char *text) {
  Arena *a = arena_new();
  Parsed p = {.arena = a, .sources = {.arena = a}, .sink = {.arena = a}};
  StrTable *names = str_table_new(a);
  uint32_t number = sources_add(&p.sources, str_internz(names, "t.nn"), text, strlen(text));
  p.source = sources_get(&p.sources, number);
  p.file = parse_source(a, names, &p.sources, number, &p.sink);
  return p;
}

/* A cursor that goes to and fro is where source_position says. */
static void cursor_positions(void **state) {
  (void)state;
  Parsed p = parse("a = 1\n\n# ünïcode → text\n  b = \"größe\"  \n\n");
  PositionCursor c = {.source = p.source, .line = 1, .column = 1};
  uint32_t offset = 0;
  for (int i = 0; i < 2000; i++) {
    offset = (offset * 31 + 17 * (uint32_t)i + 7) % (uint32_t)(p.source->n + 1);
    int line, column;
    source_position(p.source, offset, &line, &column);
    position_seek(&c, offset);
    assert_int_equal(c.line, line);
    assert_int_equal(c.column, column);
  }
  arena_free(p.arena);
}

static void closest(void **state) {
  (void)state;
  const char *names[] = {"model", "metric", "entry", "if"};
  assert_string_equal(name_closest("modle", names, 4), "model");
  assert_string_equal(name_closest("entri", names, 4), "entry");
  assert_null(name_closest("banana", names, 4));
  assert_null(name_closest("", names, 4));
  assert_null(name_closest("x", names, 4));
}

/* Every token of the grammar has a row in token.def, and every operator and kind its word. */
static void tables(void **state) {
  (void)state;
  for (int kind = 1; kind < token_kinds(); kind++)
    assert_true(token_kind_name(kind) || kind == T_CHOICE || kind == T_NEGATION); /* these only rank rules */
  for (int kind = 0; kind < AST_KIND_COUNT; kind++) assert_true(strlen(ast_word((AstKind)kind)) > 0);
  for (int op = 1; op < OP_COUNT; op++) assert_true(op_tightness((Op)op) > 0);
}

static void spans_at(const Parsed *p, Span s, const char *text) {
  assert_int_equal(s.end - s.begin, strlen(text));
  assert_memory_equal(p->source->text + s.begin, text, strlen(text));
}

static void spans(void **state) {
  (void)state;
  Parsed p = parse("fn f(x: f32[N], k: i32<3> = 2) -> f32[N] = (x + k)*y.w[1:]  |> g(a = 1)");
  assert_int_equal(p.sink.errors, 0);
  const Ast *f = p.file->items.at[0], *pipe = f->body, *product = pipe->left;
  spans_at(&p, f->name_span, "f");
  spans_at(&p, f->params->span, "(x: f32[N], k: i32<3> = 2)");
  spans_at(&p, f->params->items.at[1]->type->name_span, "i32");
  spans_at(&p, f->params->items.at[1]->span, "k: i32<3> = 2");
  spans_at(&p, f->type->span, "f32[N]");
  spans_at(&p, product->span, "(x + k)*y.w[1:]");
  spans_at(&p, product->left->span, "(x + k)");
  spans_at(&p, product->right->base->name_span, "w");
  spans_at(&p, product->right->items.at[0]->span, "1:");
  spans_at(&p, pipe->right->args->items.at[0]->name_span, "a");
  arena_free(p.arena);
}

/* After a mistake the statements around it are in the tree. */
static void recovery(void **state) {
  (void)state;
  Parsed p = parse("a = 1\nb = (2 +\nc = 3\nmodel M {\n  d = 4 5\n  e = 6\n}\nf = )\ng = 7\n");
  assert_int_equal(p.sink.errors, 3);
  assert_int_equal(p.file->items.n, 4);
  assert_string_equal(p.file->items.at[1]->name, "c");
  const Ast *m = p.file->items.at[2];
  assert_int_equal(m->kind, AST_MODEL);
  assert_int_equal(m->body->items.n, 1);
  assert_string_equal(p.file->items.at[3]->name, "g");
  arena_free(p.arena);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(cursor_positions), cmocka_unit_test(closest),
      cmocka_unit_test(tables),           cmocka_unit_test(spans),
      cmocka_unit_test(recovery),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
