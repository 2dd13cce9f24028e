/* table.c - see table.h. Open addressing, at most half full. */
#include "ir/table.h"

#include <stdio.h>
#include <stdlib.h>

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
  if (2 * (t->used + 1) > t->size) {
    InternTable old = *t;
    t->size = old.size ? 2 * old.size : 64;
    t->slots = NEW_ARRAY(a, InternSlot, t->size);
    for (size_t i = 0; i < old.size; i++)
      if (old.slots[i].object) place(t, old.slots[i]);
  }
  t->used++;
  place(t, (InternSlot){hash, object});
}

static size_t ptr_slot(const PtrMap *m, const void *key) {
  size_t i = (size_t)hash_mix((uintptr_t)key >> 4, 0) & (m->size - 1);
  while (m->keys[i] && m->keys[i] != key) i = (i + 1) & (m->size - 1);
  return i;
}

void *ptrmap_get(const PtrMap *m, const void *key) { return m->size ? m->values[ptr_slot(m, key)] : NULL; }

void ptrmap_put(PtrMap *m, const void *key, void *value) {
  if (2 * (m->used + 1) > m->size) {
    PtrMap old = *m;
    m->size = old.size ? 2 * old.size : 64;
    m->keys = calloc(m->size, sizeof *m->keys);
    m->values = calloc(m->size, sizeof *m->values);
    if (!m->keys || !m->values) {
      fputs("nnc: out of memory\n", stderr);
      exit(70);
    }
    for (size_t i = 0; i < old.size; i++) {
      if (!old.keys[i]) continue;
      size_t at = ptr_slot(m, old.keys[i]);
      m->keys[at] = old.keys[i];
      m->values[at] = old.values[i];
    }
    ptrmap_free(&old);
  }
  size_t at = ptr_slot(m, key);
  if (!m->keys[at]) m->used++;
  m->keys[at] = key;
  m->values[at] = value;
}

void ptrmap_free(PtrMap *m) {
  free(m->keys);
  free(m->values);
  *m = (PtrMap){0};
}
