/* run.h - nnc run: a program's verbs straight from its source. */
#ifndef NNC_FRONTEND_DRIVER_RUN_H
#define NNC_FRONTEND_DRIVER_RUN_H

#include "frontend/driver/build.h"

/* What runs is the source, wherever one stands: its data lie beside it. */
void data_beside_source(Session *s, BuildOptions *o);

/* nnc run FILE -- arguments: builds into the cache folder ($XDG_CACHE_HOME/nnc, ~/.cache/nnc), unless the same build
 * is there, and becomes the program (data files with relative paths lie beside the source): returns only an exit code
 * of failure. argv[0] is replaced by the program's name.
 */
int run_file(Session *s, BuildOptions *o, int argc, char **argv);

/* nnc run --interpret FILE -- arguments: the same program in this process, its graphs run by the reference
 * interpreter. Slow; for tests and for looking at what a program means. Returns the program's exit code. */
int run_interpreted(Session *s, BuildOptions *o, int argc, char **argv);

/* Where builds are kept; NULL: the environment does not say. */
const char *cache_folder(Arena *a);

#endif
