/* graph.c - the reader of graph texts: whatever the text, it gives a graph or a message; a graph that the
 * verifier passes prints and reads back to the same text. Seeds: tests/graphs. */
#include "ir/graph.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Arena *a = arena_new();
  Ir *ir = ir_new(a, str_table_new(a));
  char error[256] = "";
  Graph *g = graph_read(ir, (const char *)data, size, error);
  if (g && !graph_verify(g)) {
    Buf text = {0}, again = {0};
    graph_print(&text, g);
    Graph *h = graph_read(ir_new(a, str_table_new(a)), text.text, text.n, error);
    if (!h) ice("what was printed does not read back: %s", error);
    graph_print(&again, h);
    if (strcmp(text.text, again.text) != 0) ice("what was printed reads back as another text");
    buf_free(&text);
    buf_free(&again);
  } else if (!g && !error[0]) {
    ice("a text is refused without a message");
  }
  arena_free(a);
  return 0;
}
