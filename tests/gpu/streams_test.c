/* streams_test.c - what streams.c does is legal, and all that is legal happens: with an event the second stream is
 * after the first whatever is drawn; without one it is before it sometimes. Copies are the operations. */
#include "tests/gpu/streams.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int bad, fails_at, performed;

static void expect(bool holds, const char *what) {
  if (!holds) printf("%s\n", what), bad++;
}

static int perform(Operation *o) {
  if (++performed == fails_at) return 7;
  if (o->kind == GRAPH) return graph_perform(o->graph);
  memcpy(o->to, o->from, o->bytes);
  return 0;
}

static void copy(Stream *s, int *to, const int *from) {
  Operation *o = operation_new(COPY);
  o->to = (char *)to;
  o->from = (const char *)from;
  o->bytes = sizeof *to;
  stream_add(s, o);
}

static void add_event(Stream *s, OperationKind kind, Event *e) {
  Operation *o = operation_new(kind);
  o->event = e;
  stream_add(s, o);
}

/* x goes to y on the first stream, y to z on the second: z, if the first was first. */
static int passed_on(Stream *first, Stream *second, Event *e) {
  int x = 1, y = 0, z = 0;
  copy(first, &y, &x);
  if (e) add_event(first, RECORD, e), add_event(second, WAIT, e);
  copy(second, &z, &y);
  stream_drain(NULL);
  return z;
}

int main(void) {
  Stream *a = stream_new(), *b = stream_new();
  Event e = {0};
  int with = 0, without = 0, before_wait = 0, x = 1, y, after[2] = {0};
  streams_begin(0, perform);
  expect(passed_on(a, b, NULL) == 1, "seed 0 is not in order");
  for (uint64_t seed = 1; seed <= 64; seed++) {
    streams_begin(seed, perform);
    with += passed_on(a, b, &e);
    without += passed_on(a, b, NULL);
    y = 0;
    copy(a, &y, &x);
    before_wait += y;
    stream_drain(a);
    expect(y == 1, "a copy is not there after a wait for its stream");
    y = 0;
    copy(a, &y, &x);
    add_event(a, RECORD, &e);
    event_drain(&e);
    expect(y == 1, "a copy is not there after a wait for an event behind it");
  }
  expect(with == 64, "an event is not waited for");
  expect(without > 8 && without < 56, "two streams are always in one order");
  expect(before_wait > 8 && before_wait < 56, "a copy is always there, or never, before it is waited for");

  /* Two streams of one graph, by an event; it may be replayed. */
  capture_begin(a);
  copy(a, &after[0], &x);
  add_event(a, RECORD, &e);
  add_event(b, WAIT, &e);
  copy(b, &after[1], &after[0]);
  Graph *g = capture_end(a);
  expect(!streams_capture(), "a stream is captured after its graph ended");
  for (int i = 0; i < 2; i++) {
    Operation *o = operation_new(GRAPH);
    o->graph = g;
    after[0] = after[1] = 0;
    stream_add(a, o);
    stream_drain(a);
    expect(after[1] == 1, "a graph lacks what its second stream was asked for");
  }
  operations_free(&g->all);
  free(g);

  fails_at = performed + 1;
  copy(a, &y, &x);
  expect(stream_drain(a) == 7 && streams_status() == 7, "a failure is not known after a wait");
  copy(b, &y, &x);
  expect(stream_drain(b) == 7, "a failure is forgotten");
  printf("%d faults\n", bad);
  return bad != 0;
}
