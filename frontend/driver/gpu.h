/* gpu.h - kernels for GPUs: their text, and what NVRTC makes of it. */
#ifndef NNC_FRONTEND_DRIVER_GPU_H
#define NNC_FRONTEND_DRIVER_GPU_H

#include "frontend/driver/build.h"

/* Reports kernels with more arguments than a GPU takes. 0 or an exit code. */
int gpu_check(Session *s, const Compilation *c);

/* Adds to c->images the code of all kernels for each architecture of --sm. What was made before of the same text, for
 * the same architecture, by the same NVRTC comes from the cache folder. 0 or an exit code. */
int gpu_translate(Session *s, const BuildOptions *o, Compilation *c);

#endif
