/* parse.c - the parser: whatever the text, it gives a tree that can be walked, and messages that can be shown. A text
 * without a mistake prints as a tree, and is formatted once for all; no message lies outside the text. Seeds:
 * tests/golden, tests/errors. */
#include "frontend/render.h"
#include "lang/format.h"
#include "lang/parse.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void walk(const Ast *n) {
  if (n->span.source && n->span.begin > n->span.end) ice("a span ends before it begins");
  for (int i = 0; i < ast_child_count(n); i++)
    if (ast_child(n, i)) walk(ast_child(n, i));
}

static void check_places(const DiagSink *sink, size_t size) {
  for (int i = 0; i < sink->all.n; i++)
    for (int k = 0; k < sink->all.at[i]->labels.n; k++)
      if (sink->all.at[i]->labels.at[k].span.end > size + 1) ice("a message lies outside of the text");
}

/* Formatting the formatted text changes nothing. */
static void check_format(Arena *a, StrTable *names, Sources *sources, uint32_t source) {
  Buf once = {0}, twice = {0};
  format_source(&once, a, names, sources, source);
  uint32_t again = sources_add(sources, "fuzz.nn", once.text ? once.text : "", once.n);
  format_source(&twice, a, names, sources, again);
  if (once.n != twice.n || (once.n && memcmp(once.text, twice.text, once.n) != 0))
    ice("formatted twice is not formatted once");
  buf_free(&once);
  buf_free(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Arena *a = arena_new();
  StrTable *names = str_table_new(a);
  Sources sources = {.arena = a};
  DiagSink sink = {.arena = a};
  uint32_t source = sources_add(&sources, str_internz(names, "fuzz.nn"), (const char *)data, size);
  Ast *file = parse_source(a, names, &sources, source, &sink);
  walk(file);
  check_places(&sink, size);
  Buf text = {0};
  for (int format = RENDER_HUMAN; format <= RENDER_JSON; format++)
    render_diags(&text, &sink, &sources, &(RenderOptions){.format = (RenderFormat)format});
  if (!sink.errors) {
    ast_print(&text, file, &sources);
    check_format(a, names, &sources, source);
  }
  buf_free(&text);
  arena_free(a);
  return 0;
}
