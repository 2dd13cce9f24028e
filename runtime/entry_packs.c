/* entry_packs.c - see NnrtPacks in entry.h. In an argument's table -2, -3, ... stand for the packs. */
#include "runtime/entry.h"

#include <string.h>

static bool is_pack(int64_t extent) { return extent < -1; }

/* Where v's pack is, of which there is at most one; -1: there is none. */
static int place_of_pack(const NnrtArgument *table) {
  for (int i = 0; i < table->n_shape; i++)
    if (is_pack(table->shape[i])) return i;
  return -1;
}

/* An argument that says what the pack stands for; NULL: none was given yet. */
static const NnrtEntryValue *given(const NnrtEntryCall *x, int64_t pack) {
  for (int k = 0; k < x->n_arguments; k++) {
    const NnrtArgument *t = x->arguments[k].table;
    int at = place_of_pack(t);
    if (at >= 0 && t->shape[at] == pack && x->arguments[k].file) return &x->arguments[k];
  }
  return NULL;
}

static int refuse(const NnrtEntryCall *x, const NnrtEntryValue *v, const NnrtEntryValue *other, const char *file) {
  char own[128], others[128];
  nnrt_shape_text(v->pack_shape, v->pack_rank, own, sizeof own);
  nnrt_shape_text(other->pack_shape, other->pack_rank, others, sizeof others);
  return nnrt_fail(x->error, NNRT_EDATA, "%s: %s has the dimensions %s where those of %s are %s", file, v->name, own,
                   other->name, others);
}

/* Whether no result has too many dimensions, as far as packs are known. */
static int results_fit(const NnrtEntryCall *x) {
  for (int k = 0; k < x->n_results; k++) {
    const NnrtEntryValue *v = &x->results[k], *of;
    int64_t rank = v->table->n_shape;
    for (int i = 0; i < v->table->n_shape; i++)
      if (is_pack(v->table->shape[i]) && (of = given(x, v->table->shape[i]))) rank += of->pack_rank - 1;
    if (rank > NNRT_MAX_RANK)
      return nnrt_fail(x->error, NNRT_EDATA, "%s has %d dimensions then, and a tensor at most %d", v->name, (int)rank,
                       NNRT_MAX_RANK);
  }
  return NNRT_OK;
}

static int fold(NnrtEntryCall *x, NnrtEntryValue *v, const NnrtArray **array, const char *file) {
  NnrtArray *a = &x->folded;
  *a = **array;
  int at = place_of_pack(v->table), after = (int)v->table->n_shape - at - 1, n = a->rank - at - after;
  if (at < 0) return NNRT_OK;
  if (n < 0)
    return nnrt_fail(x->error, NNRT_EDATA, "%s: %s has at least %d dimensions, the file %d", file, v->name,
                     at + after, a->rank);
  v->pack_rank = n;
  memcpy(v->pack_shape, a->shape + at, (size_t)n * sizeof *a->shape);
  v->file = NULL; /* this one does not count */
  const NnrtEntryValue *other = given(x, v->table->shape[at]);
  v->file = file;
  bool same = !other || other->pack_rank == n;
  int64_t elements = 1;
  for (int i = 0; i < n; i++) {
    same = same && (!other || other->pack_shape[i] == v->pack_shape[i]);
    elements *= v->pack_shape[i];
  }
  if (!same) return refuse(x, v, other, file);
  memmove(a->shape + at + 1, a->shape + at + n, (size_t)after * sizeof *a->shape);
  a->shape[at] = elements;
  a->rank = at + 1 + after;
  *array = a;
  return results_fit(x);
}

static int shape(const NnrtEntryCall *x, const NnrtEntryValue *v, int64_t shape[NNRT_MAX_RANK]) {
  int rank = 0;
  for (int i = 0; i < v->rank; i++) {
    const NnrtEntryValue *of = is_pack(v->table->shape[i]) ? given(x, v->table->shape[i]) : NULL;
    if (of) memcpy(shape + rank, of->pack_shape, (size_t)of->pack_rank * sizeof *shape);
    else shape[rank] = v->shape[i];
    rank += of ? of->pack_rank : 1;
  }
  return rank;
}

const NnrtPacks nnrt_packs = {fold, shape};
