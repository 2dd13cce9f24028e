/* streams.h - what was asked of the simulated driver and is not done yet: queues, events, graphs.
 *
 * Streams are queues. What is at the head of a queue may happen at any moment, whatever the others' heads are, until
 * the host waits for it: at once where the seed is 0, else at moments and in an order that are drawn. So a wait that
 * is missing, for an event or of the host, shows as wrong numbers. */
#ifndef NNC_TESTS_GPU_STREAMS_H
#define NNC_TESTS_GPU_STREAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Function {
  void (*call)(void **arguments);
  int count;        /* of arguments, 8 bytes each */
  unsigned allowed; /* bytes of shared memory */
} Function;

typedef struct Event {
  int recorded, done; /* how often it was asked for, and came */
  int capture;        /* number of the graph that it was made part of; 0 */
} Event;

typedef enum OperationKind { LAUNCH, COPY, FILL, GRAPH, RECORD, WAIT } OperationKind;

typedef struct Operation {
  struct Operation *next;
  OperationKind kind;
  Function *function;
  unsigned blocks, threads, shared;
  uint64_t *arguments;
  char *to;
  const char *from;
  char *owned; /* a copy of what it reads, or NULL */
  size_t bytes;
  uint32_t value; /* FILL: bytes / 4 times */
  struct Graph *graph;
  Event *event;
  int version; /* WAIT: of the event */
} Operation;

typedef struct Operations {
  Operation *first, **end;
} Operations;

typedef struct Graph {
  Operations all;
  int capture; /* its number */
} Graph;

typedef struct Stream {
  struct Stream *next;
  Operations waiting;
  Graph *captured; /* what it is asked for becomes part of it; NULL */
} Stream;

/* Does one operation, with the device's memory open: 0 or the status that the driver has from then on. */
typedef int Perform(Operation *o);
void streams_begin(uint64_t seed, Perform *perform);

Stream *stream_new(void);
Stream *stream_of(void *handle); /* NULL is the first */
/* Owns o from then on. The driver's status. */
int stream_add(Stream *s, Operation *o);
Operation *operation_new(OperationKind kind);
/* Until nothing is left in the stream, or in any where it is NULL; until the event has come. */
int stream_drain(Stream *s);
int event_drain(Event *e);
bool streams_capture(void); /* whether any is captured */
void capture_begin(Stream *s);
Graph *capture_end(Stream *s); /* NULL: there was none */
int streams_status(void);
void operations_free(Operations *all);
/* Does what a graph has. */
int graph_perform(Graph *g);

#endif
