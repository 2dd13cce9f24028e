/* start.h - instances whose first values come from files: `net = Net() from "base.safetensors"`, `--weights net=F`.
 */
#ifndef NNRT_START_H
#define NNRT_START_H

#include "runtime/cli.h"

/* Is this value of --weights NAME=FILE for an instance of the program? */
bool nnrt_start_is_part(const NnrtProgram *p, const char *weights);

/* Fills the program's instances that start from files, and those that --weights names. A file's names are those of
 * the instance's parameters, perhaps below one name that all of the file's share; floats are converted. Parameters
 * must be there, states may be. NNRT_EDATA names the file and the tensor. */
int nnrt_start_load(NnrtCli *c, NnrtModel *m);

#endif
