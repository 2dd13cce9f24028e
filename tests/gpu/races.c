/* races.c - see races.h. A word has a cell: the last write, the last read, and the last read of another thread. An
 * access is a thread and how often its block and its warp had met; of two in one block the earlier is before the
 * later where one of these counts has changed. Neighbouring bytes of a word may be of different threads: the cell
 * knows which bytes each of its accesses was of. */
#include "tests/gpu/races.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/gpu/simulator.h"

enum { WORD = 4, PAGE_BITS = 12, WORDS = (1 << PAGE_BITS) / WORD };

typedef struct Access {
  uint32_t time;          /* 0: none */
  uint16_t thread, bytes; /* bytes: a bit for each of the word */
  int block;
} Access;

typedef struct Cell {
  Access write, read, other;
} Cell;

typedef struct Page {
  uintptr_t number;
  uint64_t launch;          /* that its cells are of */
  Cell *cell;               /* of each word; NULL: no kernel came here yet */
  uint8_t unwritten[WORDS]; /* a bit for each byte of which nobody knows the value */
} Page;

static struct {
  Page **pages; /* by hash */
  size_t n, capacity;
  Page *last;
  uint64_t launch;
  bool marked; /* something was unwritten */
  int block;
  Times known[RACES_WARPS];
} races;

void races_begin(void) { races.launch++; }

void races_block(int block) {
  races.block = block;
  memset(races.known, 0, sizeof races.known);
  for (int w = 0; w < RACES_WARPS; w++) races.known[w].of[w] = 1;
}

static void join(Times *t, const Times *other) {
  for (int w = 0; w < RACES_WARPS; w++)
    if (t->of[w] < other->of[w]) t->of[w] = other->of[w];
}

void races_met(int first, int last) {
  Times all = {0};
  for (int w = first / WARP; w < last / WARP; w++) races.known[w].of[w]++;
  for (int w = first / WARP; w < last / WARP; w++) join(&all, &races.known[w]);
  for (int w = first / WARP; w < last / WARP; w++) races.known[w] = all;
}

void races_release(Times *t) {
  int w = simulated_thread() / WARP;
  races.known[w].of[w]++;
  join(t, &races.known[w]);
}

void races_acquire(const Times *t) { join(&races.known[simulated_thread() / WARP], t); }

/* ---- cells ---- */

static size_t slot_of(uintptr_t number) {
  size_t i = number * 0x9e3779b97f4a7c15u >> 20;
  while (races.pages[i % races.capacity] && races.pages[i % races.capacity]->number != number) i++;
  return i % races.capacity;
}

static void grow(void) {
  Page **old = races.pages;
  size_t n = races.capacity;
  races.capacity = n ? 2 * n : 256;
  races.pages = calloc(races.capacity, sizeof *races.pages);
  if (!races.pages) abort();
  for (size_t i = 0; i < n; i++)
    if (old[i]) races.pages[slot_of(old[i]->number)] = old[i];
  free(old);
}

static Page *page_of(uintptr_t number) {
  if (races.last && races.last->number == number) return races.last;
  if (2 * races.n >= races.capacity) grow();
  Page **p = &races.pages[slot_of(number)];
  if (!*p) {
    *p = calloc(1, sizeof **p);
    if (!*p) abort();
    races.n++;
    (*p)->number = number;
  }
  return races.last = *p;
}

static Cell *cell_of(Page *p, size_t word) {
  if (!p->cell && !(p->cell = calloc(WORDS, sizeof *p->cell))) abort();
  if (p->launch != races.launch) memset(p->cell, 0, WORDS * sizeof *p->cell);
  p->launch = races.launch;
  return &p->cell[word];
}

/* ---- what has a value ---- */

/* The bytes of word w that lie in [at, end). */
static uint8_t bytes_of(uintptr_t w, const char *at, const char *end) {
  uintptr_t first = w * WORD < (uintptr_t)at ? (uintptr_t)at : w * WORD, last = (w + 1) * WORD;
  if (last > (uintptr_t)end) last = (uintptr_t)end;
  return (uint8_t)(((1 << (last - first)) - 1) << (first - w * WORD));
}

void races_unwritten(const void *where, size_t bytes, bool unwritten) {
  const char *at = where, *end = at + bytes;
  races.marked = races.marked || unwritten;
  for (uintptr_t w = (uintptr_t)at / WORD; races.marked && w * WORD < (uintptr_t)end; w++) {
    uint8_t *marks = &page_of(w / WORDS)->unwritten[w % WORDS], own = bytes_of(w, at, end);
    *marks = (uint8_t)(unwritten ? *marks | own : *marks & ~own);
  }
}

bool races_is_written(const void *where, size_t bytes) {
  const char *at = where, *end = at + bytes;
  for (uintptr_t w = (uintptr_t)at / WORD; races.marked && w * WORD < (uintptr_t)end; w++)
    if (page_of(w / WORDS)->unwritten[w % WORDS] & bytes_of(w, at, end)) return false;
  return true;
}

/* ---- order ---- */

static bool is_before(const Access *x, const Access *now) {
  if (x->block != now->block) return false;
  return x->thread == now->thread || races.known[now->thread / WARP].of[x->thread / WARP] > x->time;
}

static bool clashes(const Access *x, const Access *now, bool shared) {
  if (!x->time || !(x->bytes & now->bytes) || (shared && x->block != now->block)) return false;
  return !is_before(x, now);
}

static void tell(const Access *x, const char *did, const Access *now, const char *does, const void *at, bool shared) {
  char text[200], place[60] = "the device's memory";
  if (shared) snprintf(place, sizeof place, "shared memory at byte %d", (int)((const char *)at - simulated_shared()));
  if (x->block != now->block)
    snprintf(text, sizeof text, "thread %d %s %s that block %d %s", now->thread, does, place, x->block, did);
  else
    snprintf(text, sizeof text, "thread %d %s %s that thread %d %s, without a meeting in between", now->thread, does,
             place, x->thread, did);
  simulated_fault(text);
}

static void read_word(Cell *c, const Access *now, const void *at, bool shared) {
  if (clashes(&c->write, now, shared)) tell(&c->write, "wrote", now, "reads", at, shared);
  if (shared && (!c->write.time || c->write.block != now->block))
    simulated_fault("shared memory that nobody wrote is read");
  if (c->read.thread != now->thread || c->read.block != now->block) c->other = c->read;
  c->read = *now;
}

static void write_word(Cell *c, const Access *now, const void *at, bool shared) {
  if (clashes(&c->write, now, shared)) tell(&c->write, "wrote", now, "writes", at, shared);
  if (clashes(&c->read, now, shared)) tell(&c->read, "read", now, "writes", at, shared);
  if (clashes(&c->other, now, shared)) tell(&c->other, "read", now, "writes", at, shared);
  c->write = *now;
}

static void access_words(int thread, const void *where, size_t bytes, bool writes) {
  if (simulated_is_stack(where)) return;
  const char *at = where, *shared = simulated_shared(), *end = at + bytes;
  bool is_shared = at >= shared && at < shared + simulated_shared_bytes();
  Access now = {races.known[thread / WARP].of[thread / WARP], (uint16_t)thread, 0, races.block};
  if (!writes && !races_is_written(at, bytes)) simulated_fault("the device's memory that nobody wrote is read");
  if (writes) races_unwritten(at, bytes, false);
  for (uintptr_t w = (uintptr_t)at / WORD; w * WORD < (uintptr_t)end; w++) {
    now.bytes = bytes_of(w, at, end);
    const char *first = w * WORD < (uintptr_t)at ? at : (const char *)(w * WORD);
    (writes ? write_word : read_word)(cell_of(page_of(w / WORDS), w % WORDS), &now, first, is_shared);
  }
}

void races_read(int thread, const void *at, size_t bytes) { access_words(thread, at, bytes, false); }
void races_write(int thread, const void *at, size_t bytes) { access_words(thread, at, bytes, true); }

/* ---- what the compiler calls ---- */

void __tsan_init(void);
void __tsan_init(void) {}

#define CALLED(name, how, bytes)                                                                                     \
  void name(void *at);                                                                                               \
  void name(void *at) { how(simulated_thread(), at, bytes); }
#define CALLED_ALL(bytes)                                                                                            \
  CALLED(__tsan_read##bytes, races_read, bytes)                                                                      \
  CALLED(__tsan_write##bytes, races_write, bytes)                                                                    \
  CALLED(__tsan_unaligned_read##bytes, races_read, bytes)                                                            \
  CALLED(__tsan_unaligned_write##bytes, races_write, bytes)
CALLED_ALL(1)
CALLED_ALL(2)
CALLED_ALL(4)
CALLED_ALL(8)
CALLED_ALL(16)

void __tsan_read_range(void *at, long bytes);
void __tsan_read_range(void *at, long bytes) { races_read(simulated_thread(), at, (size_t)bytes); }
void __tsan_write_range(void *at, long bytes);
void __tsan_write_range(void *at, long bytes) { races_write(simulated_thread(), at, (size_t)bytes); }
