/* pool.h - threads that share out the chunks of one job at a time. Which thread does a chunk is chance; what the
 * chunks are is the caller's choice and does not depend on the number of threads, so neither do results. */
#ifndef NNRT_POOL_H
#define NNRT_POOL_H

#include "runtime/error.h"

#include <stdint.h>

typedef struct NnrtPool NnrtPool;

/* Chunk `chunk` of a job; `thread` in [0, threads) is the calling thread's number, for memory of its own. */
typedef void NnrtChunk(void *context, int64_t chunk, int thread);

int nnrt_processors(void); /* that the process may use */

/* threads >= 1, the caller's included; 0: as many as the process may use processors. With 1 nothing is started. */
int nnrt_pool_open(NnrtPool **pool, int threads, NnrtError *e);
void nnrt_pool_close(NnrtPool *pool); /* NULL is allowed */
int nnrt_pool_threads(const NnrtPool *pool);

/* Calls f for chunks 0 .. chunks-1 (below 2^32), each once, and returns when all are done. Only the thread that
 * opened the pool may call it, and not from inside a chunk. One chunk is run by the caller itself. */
void nnrt_pool_run(NnrtPool *pool, NnrtChunk *f, void *context, int64_t chunks);

#endif
