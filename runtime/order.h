/* order.h - which examples, in which order: functions of the seed alone. */
#ifndef NNRT_ORDER_H
#define NNRT_ORDER_H

#include "runtime/error.h"

#include <stdint.h>

/* Shuffles order[0 .. n) by Fisher-Yates with the draws of this name at step `epoch`. */
void nnrt_shuffle(uint64_t seed, const char *name, int64_t epoch, int64_t n, int64_t *order);

/* Splits the places 0 .. n-1: in the order of their hashes of (seed, place) those from `from` on and before `to` are
 * for validation. Both lists come in rising order: order[0 .. n - (to - from)) for training, then the others. */
int nnrt_split(uint64_t seed, int64_t n, int64_t from, int64_t to, int64_t *order, NnrtError *e);

#endif
