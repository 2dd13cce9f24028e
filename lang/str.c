/* str.c - see str.h. An open-addressed table of pointers; FNV-1a over the bytes. */
#include "lang/str.h"

#include <string.h>

typedef struct Slot {
  uint64_t hash;
  Str text;
  size_t n;
} Slot;

struct StrTable {
  Arena *arena;
  Slot *slots;
  size_t used, size; /* size is a power of two */
};

static uint64_t hash_bytes(const char *s, size_t n) {
  uint64_t h = 14695981039346656037u;
  for (size_t i = 0; i < n; i++) h = (h ^ (unsigned char)s[i]) * 1099511628211u;
  return h;
}

StrTable *str_table_new(Arena *a) {
  StrTable *t = NEW(a, StrTable);
  t->arena = a;
  t->size = 1024;
  t->slots = NEW_ARRAY(a, Slot, t->size);
  return t;
}

static Slot *find(StrTable *t, uint64_t h, const char *s, size_t n) {
  for (size_t i = h & (t->size - 1);; i = (i + 1) & (t->size - 1)) {
    Slot *p = &t->slots[i];
    if (!p->text || (p->hash == h && p->n == n && !memcmp(p->text, s, n))) return p;
  }
}

static void grow(StrTable *t) {
  Slot *old = t->slots;
  size_t n = t->size;
  t->size *= 2;
  t->slots = NEW_ARRAY(t->arena, Slot, t->size);
  for (size_t i = 0; i < n; i++)
    if (old[i].text) *find(t, old[i].hash, old[i].text, old[i].n) = old[i];
  arena_drop(t->arena, old, n * sizeof *old);
}

Str str_intern(StrTable *t, const char *s, size_t n) {
  if (2 * t->used >= t->size) grow(t);
  uint64_t h = hash_bytes(s, n);
  Slot *p = find(t, h, s, n);
  if (!p->text) {
    *p = (Slot){h, arena_strndup(t->arena, s, n), n};
    t->used++;
  }
  return p->text;
}

Str str_internz(StrTable *t, const char *s) { return str_intern(t, s, strlen(s)); }

Str str_internf(StrTable *t, const char *format, ...) {
  Buf b = {0};
  va_list args;
  va_start(args, format);
  buf_vprintf(&b, format, args);
  va_end(args);
  Str s = str_intern(t, b.text ? b.text : "", b.n);
  buf_free(&b);
  return s;
}
