/* streams.c - see streams.h. */
#include "tests/gpu/streams.h"

#include <stdlib.h>

static struct {
  Stream *first;
  uint64_t seed, random;
  Perform *perform;
  int status; /* the first failure: the device is of no use after it */
} streams;

void streams_begin(uint64_t seed, Perform *perform) {
  streams.seed = seed;
  streams.random = seed * 2654435761u + 88172645463325252u;
  streams.perform = perform;
}

int streams_status(void) { return streams.status; }

/* Below n. */
static int drawn(int n) {
  streams.random ^= streams.random << 13, streams.random ^= streams.random >> 7,
      streams.random ^= streams.random << 17;
  return (int)(streams.random % (uint64_t)n);
}

/* ---- queues ---- */

static void append(Operations *all, Operation *o) {
  if (!all->first) all->end = &all->first;
  *all->end = o;
  all->end = &o->next;
}

Operation *operation_new(OperationKind kind) {
  Operation *o = calloc(1, sizeof *o);
  if (!o) abort();
  o->kind = kind;
  return o;
}

static void operation_free(Operation *o) {
  free(o->arguments);
  free(o->owned);
  free(o);
}

void operations_free(Operations *all) {
  for (Operation *o = all->first, *next; o; o = next) {
    next = o->next;
    operation_free(o);
  }
  all->first = NULL;
}

Stream *stream_new(void) {
  Stream *s = calloc(1, sizeof *s);
  if (!s) abort();
  s->next = streams.first;
  return streams.first = s;
}

Stream *stream_of(void *handle) {
  static Stream *usual;
  if (handle) return handle;
  return usual ? usual : (usual = stream_new());
}

bool streams_capture(void) {
  for (Stream *s = streams.first; s; s = s->next)
    if (s->captured) return true;
  return false;
}

/* ---- what happens ---- */

static bool is_ready(const Stream *s) {
  const Operation *o = s->waiting.first;
  return o && (o->kind != WAIT || o->event->done >= o->version);
}

static void perform(Operation *o) {
  if (o->kind == RECORD) o->event->done++;
  else if (o->kind != WAIT && !streams.status) streams.status = streams.perform(o);
}

int graph_perform(Graph *g) {
  int status = 0;
  for (Operation *o = g->all.first; o && !status; o = o->next)
    if (o->kind != RECORD && o->kind != WAIT) status = streams.perform(o);
  return status;
}

/* One of the operations that may happen; false where there is none. */
static bool step(void) {
  int n = 0;
  for (Stream *s = streams.first; s; s = s->next) n += is_ready(s);
  if (n == 0) return false;
  int chosen = drawn(n);
  for (Stream *s = streams.first; s; s = s->next) {
    if (!is_ready(s) || chosen-- > 0) continue;
    Operation *o = s->waiting.first;
    s->waiting.first = o->next;
    perform(o);
    operation_free(o);
    return true;
  }
  return false;
}

int stream_drain(Stream *only) {
  bool more = true;
  while (more) {
    more = false;
    for (Stream *s = streams.first; s; s = s->next) more = more || (s->waiting.first && (!only || s == only));
    if (more && !step()) abort(); /* a wait for what was asked for later: stream_add has none */
  }
  return streams.status;
}

int event_drain(Event *e) {
  for (int version = e->recorded; e->done < version;)
    if (!step()) abort();
  return streams.status;
}

/* ---- graphs ---- */

void capture_begin(Stream *s) {
  static int captures;
  s->captured = calloc(1, sizeof *s->captured);
  if (!s->captured) abort();
  s->captured->capture = ++captures;
}

Graph *capture_end(Stream *s) {
  Graph *g = s->captured;
  for (Stream *x = streams.first; x; x = x->next)
    if (x->captured == g) x->captured = NULL;
  return g;
}

/* The graph that an event was made part of, while it is captured. */
static Graph *graph_of(const Event *e) {
  for (Stream *s = streams.first; s && e->capture; s = s->next)
    if (s->captured && s->captured->capture == e->capture) return s->captured;
  return NULL;
}

int stream_add(Stream *s, Operation *o) {
  if (o->kind == WAIT && !s->captured) s->captured = graph_of(o->event); /* it takes part */
  if (o->kind == RECORD) o->event->capture = s->captured ? s->captured->capture : 0;
  if (s->captured) {
    append(&s->captured->all, o);
    return 0;
  }
  if (o->kind == RECORD) o->event->recorded++;
  if (o->kind == WAIT) o->version = o->event->recorded;
  append(&s->waiting, o);
  if (streams.seed == 0) return stream_drain(s);
  while (drawn(4) == 0 && step()) {}
  return streams.status;
}
