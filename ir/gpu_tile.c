/* gpu_tile.c - see gpu_tile.h. The model is DeepGEMM's in its simplest form: what a block multiplies and what it
 * brings, times the rounds of blocks, of which the last may be nearly empty. */
#include "ir/gpu_tile.h"

#include <math.h>

const GpuTarget gpu_h100 = {.processors = 132};

/* How often blocks take turns. */
static double rounds(const GpuTarget *g, const GpuProduct *p, int m, int n) {
  return ceil(ceil(p->m / m) * ceil(p->n / n) * p->batch / g->processors);
}

GpuTile gpu_choose_tile(const GpuTarget *g, const GpuProduct *p, const int *lines_m, const int *lines_n, int edge) {
  GpuTile best = {0};
  for (const int *m = lines_m; *m; m++)
    for (const int *n = lines_n; *n; n++) {
      double time = rounds(g, p, *m, *n) * (*m * *n + edge * (*m + *n));
      if (best.m == 0 || time < best.time) best = (GpuTile){*m, *n, time};
    }
  return best;
}

/* So many rows and as many columns of tiles, of all that run together, are a square of the result. */
int gpu_band(const GpuTarget *g, const GpuTile *t) {
  int rows = (int)lround(sqrt((double)g->processors * t->n / t->m));
  return rows > 1 ? rows : 1;
}
