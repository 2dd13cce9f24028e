/* arena_check.h - whether the planned memory of a run is what it uses. Where NNRT_CHECK_ARENA is defined (debug
 * builds; the archive that tests/memory links with) the arena is filled with a pattern before each run and looked at
 * after it: a value that is read before it is made is NaN, and the highest byte that changed is the high-water mark.
 * Elsewhere both calls are nothing. */
#ifndef NNRT_ARENA_CHECK_H
#define NNRT_ARENA_CHECK_H

#include <stdint.h>

struct NnrtRun;

#ifdef NNRT_CHECK_ARENA
enum { NNRT_ARENA_GUARD = 4096 }; /* bytes after the plan, which nothing may touch */
void nnrt_arena_prepare(struct NnrtRun *r);
/* Ends the process where the mark is above the plan. NNRT_ARENA_LOG names a file that gets a line `GRAPH PLANNED
 * MARK` for each run whose plan differs from that of the line before. */
void nnrt_arena_check(struct NnrtRun *r);
#else
enum { NNRT_ARENA_GUARD = 0 };
static inline void nnrt_arena_prepare(struct NnrtRun *r) { (void)r; }
static inline void nnrt_arena_check(struct NnrtRun *r) { (void)r; }
#endif

#endif
