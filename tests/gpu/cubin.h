/* cubin.h - what the machine code of a kernel is made of. The format of instructions is not published; that each has
 * 16 bytes, the lowest 12 bits of which say what it does, holds for all that NVRTC makes code for. */
#ifndef NNC_TESTS_GPU_CUBIN_H
#define NNC_TESTS_GPU_CUBIN_H

#include <stddef.h>

enum { OPCODES = 1 << 12 };

/* Adds to count[opcode] the instructions of the kernel `symbol`, or of all where that is NULL. The number of
 * instructions; -1 where it is no cubin, or has no such kernel. */
int cubin_count(const void *cubin, size_t n, const char *symbol, int count[OPCODES]);

#endif
