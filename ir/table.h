/* table.h - two hash tables: one that interns objects (hash-consing), one from pointers to pointers. */
#ifndef NNC_IR_TABLE_H
#define NNC_IR_TABLE_H

#include "lang/arena.h"

typedef struct InternSlot {
  uint64_t hash;
  void *object; /* NULL: free */
} InternSlot;

typedef struct InternTable { /* zeroed: empty */
  InternSlot *slots;
  size_t used, size; /* size is 0 or a power of two */
} InternTable;

/* The object in the table that `same` calls equal to key, or NULL. */
void *intern_find(const InternTable *t, uint64_t hash, bool (*same)(const void *key, const void *object),
                  const void *key);
/* Adds an object that intern_find did not find. */
void intern_add(InternTable *t, Arena *a, uint64_t hash, void *object);

static inline uint64_t hash_mix(uint64_t h, uint64_t value) {
  h = (h ^ value) * 0x9e3779b97f4a7c15u;
  return h ^ (h >> 29);
}

typedef struct PtrSlot {
  const void *key; /* NULL: free */
  void *value;
} PtrSlot;

/* A map for the length of one pass over a graph; on the heap, freed by its user. */
typedef struct PtrMap { /* zeroed: empty */
  PtrSlot *slots;
  size_t used, size;
} PtrMap;

void *ptrmap_get(const PtrMap *m, const void *key); /* NULL if absent */
void ptrmap_put(PtrMap *m, const void *key, void *value);
void ptrmap_free(PtrMap *m);

#endif
