/* mutate.h - programs that are nearly right: one to three changes of a program's tokens or lines. */
#ifndef NNC_TESTS_FUZZ_MUTATE_H
#define NNC_TESTS_FUZZ_MUTATE_H

#include <stdint.h>
#include <string.h>

#include "lang/arena.h"

/* Appends text[0..n), changed as `seed` says, to out: tokens left out, doubled, exchanged, replaced by others of the
 * program or of the language; numbers and types changed; lines left out, doubled, exchanged. */
void program_mutate(Buf *out, const char *text, size_t n, uint64_t seed);

#endif
