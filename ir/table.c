/* table.c - see table.h. Open addressing; at most three quarters, of the maps at most half of the slots are used. */
#include "ir/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *intern_find(const InternTable *t, uint64_t hash, bool (*same)(const void *key, const void *object),
                  const void *key) {
  if (!t->size) return NULL;
  for (size_t i = hash & (t->size - 1); t->slots[i].object; i = (i + 1) & (t->size - 1))
    if (t->slots[i].hash == hash && same(key, t->slots[i].object)) return t->slots[i].object;
  return NULL;
}

static void place(InternTable *t, InternSlot s) {
  size_t i = s.hash & (t->size - 1);
  while (t->slots[i].object) i = (i + 1) & (t->size - 1);
  t->slots[i] = s;
}

void intern_add(InternTable *t, Arena *a, uint64_t hash, void *object) {
  if (4 * (t->used + 1) > 3 * t->size) {
    InternTable old = *t;
    t->size = old.size ? 2 * old.size : 64;
    t->slots = NEW_ARRAY(a, InternSlot, t->size);
    for (size_t i = 0; i < old.size; i++)
      if (old.slots[i].object) place(t, old.slots[i]);
    arena_drop(a, old.slots, old.size * sizeof *old.slots);
  }
  t->used++;
  place(t, (InternSlot){hash, object});
}

static PtrSlot *ptr_slot(const PtrMap *m, const void *key) {
  size_t i = (size_t)hash_mix((uintptr_t)key >> 4, 0) & (m->size - 1);
  while (m->slots[i].key && m->slots[i].key != key) i = (i + 1) & (m->size - 1);
  return &m->slots[i];
}

void *ptrmap_get(const PtrMap *m, const void *key) { return m->size ? ptr_slot(m, key)->value : NULL; }

static void ptrmap_grow(PtrMap *m) {
  PtrMap old = *m;
  m->size = old.size ? 4 * old.size : 16;
  size_t bytes = m->size * sizeof *m->slots;
  m->slots = malloc(bytes); /* not calloc, which is slower where the block is small */
  if (!m->slots) {
    fputs("nnc: out of memory\n", stderr);
    exit(70);
  }
  memset(m->slots, 0, bytes);
  for (size_t i = 0; i < old.size; i++)
    if (old.slots[i].key) *ptr_slot(m, old.slots[i].key) = old.slots[i];
  ptrmap_free(&old);
}

void ptrmap_put(PtrMap *m, const void *key, void *value) {
  if (2 * (m->used + 1) > m->size) ptrmap_grow(m);
  PtrSlot *s = ptr_slot(m, key);
  if (!s->key) m->used++;
  *s = (PtrSlot){key, value};
}

void ptrmap_free(PtrMap *m) {
  free(m->slots);
  *m = (PtrMap){0};
}
