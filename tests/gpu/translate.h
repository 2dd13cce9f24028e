/* translate.h - kernels' text as a shared object that calls the simulator. */
#ifndef NNC_TESTS_GPU_TRANSLATE_H
#define NNC_TESTS_GPU_TRANSLATE_H

#include <stdbool.h>
#include <stddef.h>

/* Writes it to `path`. NULL, or a sentence. */
const char *simulated_translate(const char *text, size_t n, const char *path);

/* Whether what kernels read and write is told to races.c. */
bool simulated_tells(void);

/* Loads it, from a file that is gone again: *code is for dlsym. NULL, or a sentence, which dlerror may own. */
const char *simulated_load(const char *text, size_t n, void **code);

#endif
