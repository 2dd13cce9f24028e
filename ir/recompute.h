/* recompute.h - less memory for more work: values that wait long are computed again where they are needed. */
#ifndef NNC_IR_RECOMPUTE_H
#define NNC_IR_RECOMPUTE_H

#include "ir/kernel.h"

typedef struct MemoryFit {
  int64_t planned;    /* bytes, before anything was changed */
  int64_t reached;    /* bytes, of the schedule as it is now */
  int recomputed;     /* kernels that run a second time */
  Buffer *largest[3]; /* of those that the peak holds still, largest first; NULL: there are no more */
} MemoryFit;

/* Makes s need at most `budget` bytes of arena where every open dimension is `size`, and plans it again: kernels are
 * added that run as one before them does, into other buffers, so every bit stays. False: it can't be reached, and s
 * is the best that was found. */
bool recompute_to_fit(Schedule *s, int64_t budget, int64_t size, MemoryFit *fit);

#endif
