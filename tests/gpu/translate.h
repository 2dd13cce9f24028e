/* translate.h - kernels' text as a shared object that calls the simulator. */
#ifndef NNC_TESTS_GPU_TRANSLATE_H
#define NNC_TESTS_GPU_TRANSLATE_H

#include <stddef.h>

/* Writes it to `path`. NULL, or a sentence. */
const char *simulated_translate(const char *text, size_t n, const char *path);

#endif
