/* random_program.h - a generator of .nn programs from a seed: functions that are mapped, models with parameters,
 * index notation with conditions, windows and guards, loops, choices, the library's functions, an entry over all of
 * it. */
#ifndef NNC_TESTS_UNIT_RANDOM_PROGRAM_H
#define NNC_TESTS_UNIT_RANDOM_PROGRAM_H

#include <stdbool.h>
#include <stdint.h>

#include "lang/arena.h"

typedef enum RandomProgramKind {
  RANDOM_ANY,       /* comparisons, extremes, integers too */
  RANDOM_GRADIENTS, /* smooth: results `loss` and `d0`, `d1`, ..., its derivative by each argument `x0`, `x1`, ... */
  RANDOM_WRONG      /* of any kind, but for one statement with a wrong dimension, type or name */
} RandomProgramKind;

/* Writes a program with the entry `e`. Its float arguments are x0, x1, ...; values stay within a few units for
 * arguments of about 1. */
void random_program(Buf *out, uint64_t seed, RandomProgramKind kind);

#endif
