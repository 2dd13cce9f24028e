/* simulator.h - runs a kernel's text as the device might: one fiber for each thread of a block, block after block.
 *
 * A fiber runs until it ends or comes to a primitive in which threads take part together: then it waits for the
 * others, and the last one to arrive does it for all. In between any fiber may be next, which is what the seed
 * chooses: in order, in the opposite order, at random, or one warp as far ahead of the others as it gets. Shared
 * memory begins as NaN, and ends at a page that cannot be touched. */
#ifndef NNC_TESTS_GPU_SIMULATOR_H
#define NNC_TESTS_GPU_SIMULATOR_H

#include <stdbool.h>
#include <stdint.h>

typedef struct SimulatedLaunch {
  void (*call)(void **arguments); /* runs the kernel for one thread */
  void **arguments;
  int blocks, threads; /* threads: a multiple of 32 */
  int64_t shared;      /* bytes for a block */
  uint64_t seed;       /* 0: in order */
} SimulatedLaunch;

enum { SIMULATED_THREADS = 1024, WARP = 32, WARPGROUP = 128 };

/* NULL, or what the threads wait for that will never be (a deadlock, or a warp of which not all take part). The text
 * lives until the next call. */
const char *simulate(const SimulatedLaunch *launch);

/* ---- for the primitives' twins (primitives.c) ---- */
int simulated_thread(void);
uint64_t simulated_seed(void);
int simulated_block(void);
int simulated_blocks(void);
char *simulated_shared(void);
int64_t simulated_shared_bytes(void);
bool simulated_is_stack(const void *at); /* of the thread that runs */
/* Waits until all threads of the warp, or the block, are here; then op is called once, for the threads [first, last),
 * whose arguments are argument(thread). */
typedef void Together(int first, int last);
void simulated_meeting(bool whole_block, const char *what, void *argument, Together *op);
void simulated_group_meeting(const char *what, void *argument, Together *op); /* of the group of four warps */
void *simulated_argument(int thread);
/* Waits until somebody calls simulated_wake with the same `on`. */
void simulated_wait(const void *on, const char *what);
void simulated_wake(const void *on);
/* The launch has failed: what is wrong, of which the first is reported. The threads go on. */
void simulated_fault(const char *what);
/* Whether [at, at + bytes) is shared memory and begins at a multiple of `align`; else that is a fault. */
bool simulated_is_shared(const void *at, int64_t bytes, int64_t align);
/* No copy and no product goes on (copies.c, warpgroups.c): before the threads of a block begin. */
void simulated_copies_begin(int threads);
void simulated_groups_begin(void);
/* Bytes of shared memory that this thread wrote as threads do, and that other units do not see before nn_written. */
void simulated_unseen(int thread, const void *at, int64_t bytes);
bool simulated_is_seen(const void *at, int64_t bytes);
void simulated_made_known(const void *at, int64_t bytes);
/* Boxes (boxes.c): one of those that are on their way comes, if there is any; its bytes are there (warpgroups.c). */
bool simulated_boxes_come(void);
void simulated_boxes_begin(void);
void simulated_boxes_end(void); /* of a block */
void simulated_arrived(void *barrier, int bytes);
void simulated_hand_over(void *barrier); /* what the thread did is known to who waits there */
/* Where shared memory's byte `offset` is; and the other way. */
char *simulated_at(int64_t offset);
int64_t simulated_offset(const void *at);

#endif
