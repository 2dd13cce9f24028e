/* output.h - files that nnc reads and writes. What it writes appears whole or not at all: a temporary name beside the
 * file, then a rename. Functions return NULL, or a sentence that names the file, in the arena. */
#ifndef NNC_FRONTEND_DRIVER_OUTPUT_H
#define NNC_FRONTEND_DRIVER_OUTPUT_H

#include "lang/arena.h"

/* "-" is stdout. */
const char *output_write(Arena *a, const char *path, const void *bytes, size_t n);

/* A name beside `path` for a file that is being made; output_start makes it, empty; output_finish gives it its name,
 * output_drop removes it. */
const char *output_temporary(Arena *a, const char *path);
const char *output_start(Arena *a, const char *temporary, const char *path);
const char *output_finish(Arena *a, const char *temporary, const char *path);
void output_drop(const char *temporary);

/* Whether what is written to `path` would take the place of that file, by this or another name. */
bool output_is(const char *path, const char *file);

/* The whole file, a NUL after it. */
const char *input_read(Arena *a, const char *path, char **text, size_t *n);

/* Makes a folder and those above it. */
const char *output_folder(Arena *a, const char *path);

#endif
