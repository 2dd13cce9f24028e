/* plan_memory.c - offsets for all buffers of the arena: two whose live ranges meet never share a byte, whatever the
 * values of open dimensions, and the peak is exact.
 *
 * Every buffer's size is a number times a *unit*: the number 1, a monomial of open dimensions (`B`), or, where that
 * fits badly, the size itself rounded up. Buffers of one unit are placed among each other as if the unit were a byte:
 * largest first, each into the smallest gap that is free during its life (Pisarchyk and Lee 2020, arXiv:2001.03288,
 * greedy by size). The units' regions then follow one another, so offsets are sums of products that are never
 * negative and disjointness does not depend on any value. */
#include "ir/kernel.h"

#include "lang/diag.h"

#include <stdlib.h>

enum { ALIGNMENT = 64 };

typedef struct Slot { /* a buffer, with all that take over its memory one after the other */
  Buffer *buffer;
  int64_t size, offset; /* in the region's units */
  int64_t used;         /* of size, before rounding */
  int first, last;
} Slot;

typedef struct Region {
  Dim *unit;
  Vec(Slot) slots;
  int64_t peak;
} Region;

typedef struct Plan {
  Schedule *s;
  Ir *ir;
  Vec(Region) regions;
} Plan;

static int64_t round_up(int64_t v) { return (v + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT; }

/* The product of open dimensions in d, if d is one term; NULL else. A number's is the number 1. */
static Dim *monomial_of(Ir *ir, Dim *d) {
  if (d->n == 0) return dim_const(ir, 1);
  if (d->n != 1 || d->terms[0].coefficient < 0) return NULL;
  return dim_exact_div(ir, d, dim_const(ir, d->terms[0].coefficient));
}

/* Splits a size into number and unit. Rounding the number to the alignment wastes up to 63 bytes for each value of
 * the monomial; where that is more than a quarter, the whole size is the unit. */
static Slot slot_for(Plan *p, Buffer *b, Dim **unit) {
  Dim *bytes = b->bytes;
  Dim *monomial = monomial_of(p->ir, bytes);
  int64_t number = bytes->n == 1 ? bytes->terms[0].coefficient : 0;
  bool exact = monomial == dim_const(p->ir, 1);
  if (monomial && (exact || round_up(number) - number <= number / 4)) {
    *unit = monomial;
    return (Slot){.buffer = b, .size = round_up(number), .used = number, .first = b->first, .last = b->last};
  }
  *unit = dim_round_up(p->ir, bytes, ALIGNMENT);
  return (Slot){.buffer = b, .size = 1, .used = 1, .first = b->first, .last = b->last};
}

static Region *region_of(Plan *p, Dim *unit) {
  for (int i = 0; i < p->regions.n; i++)
    if (p->regions.at[i].unit == unit) return &p->regions.at[i];
  vec_push(p->s->arena, &p->regions, (Region){.unit = unit});
  return &p->regions.at[p->regions.n - 1];
}

/* An empty buffer may lie anywhere: it shares no byte with another. */
static bool lives_meet(const Slot *a, const Slot *b) {
  return a->size && b->size && a->first <= b->last && b->first <= a->last;
}

static int by_size(const void *a, const void *b) {
  const Slot *x = a, *y = b;
  if (x->size != y->size) return x->size < y->size ? 1 : -1;
  return x->buffer->id - y->buffer->id;
}

/* The least offset at or after `from` that overlaps nothing placed so far; *gap is the room there. */
static int64_t next_gap(const Region *r, int placed, const Slot *slot, int64_t from, int64_t *gap) {
  for (bool moved = true; moved;) {
    moved = false;
    for (int i = 0; i < placed; i++) {
      const Slot *other = &r->slots.at[i];
      if (!lives_meet(other, slot)) continue;
      if (other->offset <= from && from < other->offset + other->size) {
        from = other->offset + other->size;
        moved = true;
      }
    }
  }
  *gap = INT64_MAX;
  for (int i = 0; i < placed; i++) {
    const Slot *other = &r->slots.at[i];
    if (lives_meet(other, slot) && other->offset >= from && other->offset - from < *gap) *gap = other->offset - from;
  }
  return from;
}

static void place_slot(Region *r, int index) {
  Slot *slot = &r->slots.at[index];
  int64_t best = INT64_MAX, gap;
  for (int64_t at = next_gap(r, index, slot, 0, &gap);; at = next_gap(r, index, slot, at + gap, &gap)) {
    if (gap >= slot->size && gap < best) {
      best = gap;
      slot->offset = at;
    }
    if (gap == INT64_MAX) {
      if (best == INT64_MAX) slot->offset = at;
      break;
    }
  }
  if (slot->offset + slot->size > r->peak) r->peak = slot->offset + slot->size;
}

static Buffer *first_owner(Buffer *b) {
  while (b->over) b = b->over;
  return b;
}

/* Where the region's last buffer ends: its slot need not be filled up to the alignment. */
static Dim *end_of_region(const Plan *p, const Region *r, Dim *base) {
  const Slot *last = NULL;
  for (int i = 0; i < r->slots.n; i++) {
    const Slot *slot = &r->slots.at[i];
    if (!last || slot->offset + slot->used > last->offset + last->used) last = slot;
  }
  return last ? dim_add(p->ir, last->buffer->offset, last->buffer->bytes) : base;
}

static Dim *place_region(Plan *p, Region *r, Dim *base) {
  qsort(r->slots.at, (size_t)r->slots.n, sizeof *r->slots.at, by_size);
  for (int i = 0; i < r->slots.n; i++) place_slot(r, i);
  for (int i = 0; i < r->slots.n; i++) {
    Dim *offset = dim_mul(p->ir, r->unit, dim_const(p->ir, r->slots.at[i].offset));
    r->slots.at[i].buffer->offset = dim_add(p->ir, base, offset);
  }
  return dim_add(p->ir, base, dim_mul(p->ir, r->unit, dim_const(p->ir, r->peak)));
}

static Slot *slot_of(Plan *p, const Buffer *b) {
  for (int i = 0; i < p->regions.n; i++)
    for (int k = 0; k < p->regions.at[i].slots.n; k++)
      if (p->regions.at[i].slots.at[k].buffer == b) return &p->regions.at[i].slots.at[k];
  ice("plan_memory: buffer %d has no slot", b->id);
}

static void add_slot(Plan *p, Buffer *b) {
  Dim *unit;
  Slot slot = slot_for(p, b, &unit);
  vec_push(p->s->arena, &region_of(p, unit)->slots, slot);
}

/* A value over another one's memory prolongs that one's life, and lies where it lies. */
static void each_heir(Plan *p, void (*f)(Plan *p, Buffer *heir, Buffer *owner)) {
  for (int i = 0; i < p->s->buffers.n; i++)
    if (p->s->buffers.at[i]->over) f(p, p->s->buffers.at[i], first_owner(p->s->buffers.at[i]));
}

static void prolong(Plan *p, Buffer *heir, Buffer *owner) {
  Slot *slot = slot_of(p, owner);
  if (heir->last > slot->last) slot->last = heir->last;
}

static void follow(Plan *p, Buffer *heir, Buffer *owner) {
  (void)p;
  heir->offset = owner->offset;
}

void plan_memory(Schedule *s) {
  Plan p = {.s = s, .ir = s->graph->ir};
  for (int i = 0; i < s->buffers.n; i++)
    if (s->buffers.at[i]->place == BUFFER_arena && !s->buffers.at[i]->over) add_slot(&p, s->buffers.at[i]);
  each_heir(&p, prolong);
  Dim *base = dim_const(p.ir, 0);
  s->arena_bytes = base;
  for (int numbers = 0; numbers <= 1; numbers++) /* the region that is never empty comes last: it ends the arena */
    for (int i = 0; i < p.regions.n; i++) {
      Region *r = &p.regions.at[i];
      if (dim_is_const(r->unit, NULL) != (numbers == 1)) continue;
      Dim *next = place_region(&p, r, base);
      s->arena_bytes = end_of_region(&p, r, base);
      base = next;
    }
  each_heir(&p, follow);
  if (dim_overflowed(base)) ice("plan_memory: the arena's size does not fit 64 bits");
}
