/* loop_ends.c - whether a loop that counts its turns may end after a step: no example's count has changed in it.
 *
 * Every later step would leave each state as it is, so the last rows of these hold already, two being kept. Where all
 * rows are kept, those of the steps left out are made like the last one that was computed: whoever reads them decides
 * nothing by them, but an index among them has to be inside. */
#include "runtime/run.h"

#include <string.h>

static int64_t bytes_of(const NnrtRun *r, int64_t buffer) {
  const NnrtBuffer *b = &r->graph->buffers[buffer];
  return nnrt_poly(b->bytes, b->n_bytes, r->dims);
}

bool nnrt_loop_ends(const NnrtRun *r, const NnrtLoop *l, int64_t steps, int64_t step) {
  const char *counts = r->buffers[l->counts];
  int64_t half = bytes_of(r, l->counts) / 2;
  if (memcmp(counts, counts + half, (size_t)half) != 0) return false;
  for (int64_t i = 0; i < l->n_rows; i += 2) {
    int64_t rows = steps + l->rows[i + 1], row = bytes_of(r, l->rows[i]) / rows;
    char *base = r->buffers[l->rows[i]];
    for (int64_t k = step + l->rows[i + 1]; k + 1 < rows; k++)
      memcpy(base + (k + 1) * row, base + k * row, (size_t)row);
  }
  return true;
}
