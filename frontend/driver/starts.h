/* starts.h - the weights of files that a program starts from, where nnc itself evaluates it. */
#ifndef NNC_FRONTEND_DRIVER_STARTS_H
#define NNC_FRONTEND_DRIVER_STARTS_H

#include "ir/interpret.h"
#include "ir/program.h"

/* What `from "…safetensors"` gives takes the place of first values in `in`. NULL, or a sentence that names the file.
 */
const char *starts_read(Arena *a, const Program *p, Interpretation *in);

#endif
