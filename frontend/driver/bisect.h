/* bisect.h - nnc --bisect: which run of which pass breaks a program. */
#ifndef NNC_FRONTEND_DRIVER_BISECT_H
#define NNC_FRONTEND_DRIVER_BISECT_H

#include "frontend/driver/options.h"

/* Without a command (o->rest) each graph is interpreted, at the program's first values and drawn inputs in f64, as
 * -O0 has it and behind the passes. With one, programs are built and the command decides, as in `git bisect run`;
 * $PROGRAM is what was built. Says what it found on stdout; 0 if nothing, EXIT_PROGRAM if there is a fault. */
int bisect_file(Session *s, Options *o);

#endif
