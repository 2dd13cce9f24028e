/* random_program.h - a generator of .nn programs from a seed: functions that are mapped, models with parameters and
 * options, index notation with conditions, windows and guards, loops, choices, the library's functions, derivatives;
 * over all of it an entry, or a training with several minimize. And of wrong ones, by one mutation each. */
#ifndef NNC_TESTS_UNIT_RANDOM_PROGRAM_H
#define NNC_TESTS_UNIT_RANDOM_PROGRAM_H

#include <stdbool.h>
#include <stdint.h>

#include "lang/arena.h"

typedef enum RandomProgramKind {
  RANDOM_ANY,       /* comparisons, extremes, integers too; the entry `e` */
  RANDOM_GRADIENTS, /* smooth: results `loss` and `d0`, `d1`, ..., its derivative by each argument `x0`, `x1`, ... */
  RANDOM_TRAINING   /* the body is a function of one example; `train` minimizes it over parts of a model */
} RandomProgramKind;

enum { RANDOM_RANK = 4, RANDOM_TENSORS = 80 };

typedef struct RandomTensor { /* every argument and definition of the body, in order */
  char name[16];
  int rank, dim[RANDOM_RANK];
} RandomTensor;

typedef struct RandomProgram {
  Buf text;
  int n;
  RandomTensor tensors[RANDOM_TENSORS];
} RandomProgram;

/* Writes a program. Float arguments are x0, x1, ...; values stay within a few units for arguments of about 1. */
void random_program(RandomProgram *out, uint64_t seed, RandomProgramKind kind);

/* Writes the program with one change: a token, a line, a dimension, a name, ... *what says which. The answer is
 * whether the result is certainly no program; else it may be one. */
bool random_mutation(Buf *out, const RandomProgram *program, uint64_t seed, const char **what);

#endif
