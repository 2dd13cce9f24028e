/* gpu_tile.h - the model by which tiles of a product are chosen on a GPU: by codegen/cuda/ for the product that it
 * writes, and by pass_share for those that it compares. Times are counted in multiplications of one multiprocessor;
 * they only compare alternatives. */
#ifndef NNC_IR_GPU_TILE_H
#define NNC_IR_GPU_TILE_H

typedef struct GpuTarget {
  int processors; /* that have a block each */
} GpuTarget;

extern const GpuTarget gpu_h100;

/* Products in the time in which one line of a tile comes, by who multiplies: units for matrices, or a group of four
 * warps. */
enum { GPU_EDGE = 32, GPU_EDGE_OF_GROUP = 64 };

typedef struct GpuProduct {
  double batch, m, n;
} GpuProduct;

typedef struct GpuTile {
  int m, n;
  double time; /* for each step of K */
} GpuTile;

/* Of the sizes in lines_m and lines_n, each ended by 0, those of the least time: products against what the tile's
 * edges bring, as often as blocks take turns. */
GpuTile gpu_choose_tile(const GpuTarget *g, const GpuProduct *p, const int *lines_m, const int *lines_n, int edge);

/* Rows of tiles that blocks which run together take, so that what they read of both operands is least. */
int gpu_band(const GpuTarget *g, const GpuTile *t);

#endif
