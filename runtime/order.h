/* order.h - which examples, in which order: functions of the seed alone. */
#ifndef NNRT_ORDER_H
#define NNRT_ORDER_H

#include "runtime/error.h"

#include <stdint.h>

/* Shuffles order[0 .. n) by Fisher-Yates with the draws of this name at step `epoch`. */
void nnrt_shuffle(uint64_t seed, const char *name, int64_t epoch, int64_t n, int64_t *order);

/* Splits the places 0 .. n-1: the floor(n * fraction) with the smallest hash of (seed, place) are for validation.
 * Both lists come in rising order: order[0 .. n - v) for training, then v for validation. *validation = v. */
int nnrt_split(uint64_t seed, int64_t n, double fraction, int64_t *order, int64_t *validation, NnrtError *e);

#endif
