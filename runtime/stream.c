/* stream.c - see stream.h. */
#include "runtime/stream.h"
#include "runtime/order.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* By the order of their hashes, examples from *from on and before *to are held back. */
static int held_range(const NnrtStream *s, NnrtHeld held, int64_t *from, int64_t *to, NnrtError *e) {
  int64_t n = s->data.count;
  *from = 0;
  *to = held.fold ? 0 : (int64_t)((double)n * held.fraction);
  if (!held.fold) return NNRT_OK;
  if (n < held.folds)
    return nnrt_fail(e, NNRT_EDATA, "data %s: %lld folds, and only %lld examples", s->data.table->name,
                     (long long)held.folds, (long long)n);
  *from = (int64_t)((__int128)n * (held.fold - 1) / held.folds);
  *to = (int64_t)((__int128)n * held.fold / held.folds);
  return NNRT_OK;
}

int nnrt_stream_divide(NnrtStream *s, uint64_t seed, NnrtHeld held, bool first, NnrtError *e) {
  int64_t all = s->data.count, other = s->other.count, from = 0, to = 0;
  s->index = s->data.index;
  s->pass = -1;
  snprintf(s->name, sizeof s->name, first ? "shuffle" : "shuffle.%.140s", s->data.table->name);
  s->places = malloc(((size_t)all + (size_t)other) * sizeof *s->places);
  s->order = malloc((size_t)all * sizeof *s->order);
  if (!s->places || !s->order) return nnrt_fail_memory(e, (unsigned long long)all * 16, "the order of the data");
  int status = other ? NNRT_OK : held_range(s, held, &from, &to, e);
  if (status == NNRT_OK) status = nnrt_split(seed, all, from, to, s->places, e);
  if (status != NNRT_OK) return status;
  s->held = to - from;
  s->n = all - s->held;
  if (other) s->held = other;
  for (int64_t i = 0; i < other; i++) s->places[s->n + i] = i;
  if (s->n > 0) return NNRT_OK;
  return nnrt_fail(e, NNRT_EDATA, "data %s: no examples are left for training", s->data.table->name);
}

void nnrt_stream_close(NnrtStream *s) {
  if (s->data.table) nnrt_data_close(&s->data);
  if (s->other.table) nnrt_data_close(&s->other);
  free(s->places);
  free(s->order);
  *s = (NnrtStream){0};
}

static void begin_pass(NnrtStream *s, uint64_t seed, bool shuffle, int64_t pass) {
  if (pass == s->pass) return;
  memcpy(s->order, s->places, (size_t)s->n * sizeof *s->order);
  if (shuffle) nnrt_shuffle(seed, s->name, pass + 1, s->n, s->order);
  s->pass = pass;
}

void nnrt_stream_take(NnrtStream *s, uint64_t seed, bool shuffle, int64_t first, int64_t n, int64_t *places) {
  for (int64_t done = 0, m; done < n; done += m) {
    int64_t at = (first + done) % s->n;
    m = s->n - at < n - done ? s->n - at : n - done;
    begin_pass(s, seed, shuffle, (first + done) / s->n);
    memcpy(places + done, s->order + at, (size_t)m * sizeof *places);
  }
}

NnrtShare nnrt_stream_validation(const NnrtStream *s) {
  return (NnrtShare){
      .data = s->other.table ? &s->other : &s->data, .index = s->index, .places = s->places + s->n, .n = s->held};
}
