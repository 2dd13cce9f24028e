/* env.c - names in scope. Each binding points to the one before it, so that blocks, functions and loops share what is
 * around them. A body may have a hundred thousand names: every STEP-th binding also holds an index of all up to
 * itself, a trie by the hash of the name, of which only the paths to the new names are copied (Bagwell, "Ideal hash
 * trees", 2001, without the compressed nodes). A search looks at fewer than STEP bindings and one path. */
#include "frontend/value.h"

enum { STEP = 32, FAN_BITS = 4, FAN = 1 << FAN_BITS };

struct EnvIndex {
  const Env *owner; /* the binding that it was made for, which may still change it */
  uint32_t leaves;  /* bit i: slots[i] is a binding, not an index of the hash's next bits */
  void *slots[FAN];
};

/* Different for different names: a product with an odd number, mixed. */
static uint64_t name_hash(Str name) { return hash_mix(0, (uint64_t)(uintptr_t)name); }

static EnvIndex *owned(Elaborator *x, const Env *owner, EnvIndex *i) {
  if (i && i->owner == owner) return i;
  EnvIndex *copy = NEW(x->arena, EnvIndex);
  if (i) *copy = *i;
  copy->owner = owner;
  return copy;
}

/* `i` with a binding added, which hides another of its name. */
static EnvIndex *insert(Elaborator *x, const Env *owner, EnvIndex *i, Env *e, uint64_t hash, int depth) {
  i = owned(x, owner, i);
  unsigned at = (unsigned)(hash >> depth) & (FAN - 1), bit = 1u << at;
  Env *old = i->leaves & bit ? i->slots[at] : NULL;
  if (!i->slots[at] || (old && old->name == e->name)) {
    i->slots[at] = e;
    i->leaves |= bit;
    return i;
  }
  EnvIndex *below = old ? insert(x, owner, NULL, old, name_hash(old->name), depth + FAN_BITS) : i->slots[at];
  i->slots[at] = insert(x, owner, below, e, hash, depth + FAN_BITS);
  i->leaves &= ~bit;
  return i;
}

static Env *search(const EnvIndex *i, Str name) {
  for (uint64_t hash = name_hash(name); i; hash >>= FAN_BITS) {
    unsigned at = (unsigned)hash & (FAN - 1);
    if (i->leaves & 1u << at) {
      Env *e = i->slots[at];
      return e->name == name ? e : NULL;
    }
    i = i->slots[at];
  }
  return NULL;
}

static void make_index(Elaborator *x, Env *e) {
  Env *fresh[STEP]; /* since the last index, newest first */
  int n = 0;
  Env *k = e;
  for (; k && !k->index; k = k->up) fresh[n++] = k;
  EnvIndex *all = k ? k->index : NULL;
  while (n > 0) {
    Env *one = fresh[--n];
    if (one->name) all = insert(x, e, all, one, name_hash(one->name), 0);
  }
  e->index = all;
}

Env *env_bind(Elaborator *x, Env *up, Str name, Value *v, Span at) {
  Env *e = NEW(x->arena, Env);
  *e = (Env){.up = up, .name = name, .value = v, .span = at, .depth = up ? up->depth + 1 : 1};
  if (e->depth % STEP == 0) make_index(x, e);
  return e;
}

Env *env_find(Env *e, Str name) {
  for (; e && !e->index; e = e->up)
    if (e->name == name) return e;
  return e ? search(e->index, name) : NULL;
}
