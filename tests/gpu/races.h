/* races.h - who read and wrote each word of shared and of the device's memory while a kernel runs, and whether that
 * was in an order: two threads of a block have to meet in between, two blocks may not share what one of them writes.
 * Shared memory that nobody of the block wrote is not to be read, nor is the device's of which it was told that
 * nobody wrote it.
 *
 * The C compiler calls races_read and races_write: kernels' text is compiled as for its own detector of races
 * (-fsanitize=thread), the functions of which are here. What primitives do for a thread they say themselves. */
#ifndef NNC_TESTS_GPU_RACES_H
#define NNC_TESTS_GPU_RACES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RACES_WARPS = 32 };

typedef struct Times { /* by warp: what happened there before this time happened before */
  uint32_t of[RACES_WARPS];
} Times;

void races_begin(void);              /* a launch */
void races_block(int block);         /* one of its blocks */
void races_met(int first, int last); /* these threads, all of whole warps, waited for each other */
void races_release(Times *t);        /* what the running thread did so far is known to who acquires */
void races_acquire(const Times *t);

/* By a thread of the block. The kernel's own accesses are of the thread that runs. */
void races_read(int thread, const void *at, size_t bytes);
void races_write(int thread, const void *at, size_t bytes);

/* Of the device's memory: nobody wrote it so far; or (false) somebody did, or it is no memory any more. Kernels' own
 * writes need not be told. */
void races_unwritten(const void *at, size_t bytes, bool unwritten);
bool races_is_written(const void *at, size_t bytes);

#endif
