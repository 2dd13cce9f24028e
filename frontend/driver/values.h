/* values.h - what a program's graphs are evaluated with where no run of it gives values: its first parameters and
 * states, from a seed that is always the same. */
#ifndef NNC_FRONTEND_DRIVER_VALUES_H
#define NNC_FRONTEND_DRIVER_VALUES_H

#include "frontend/driver/session.h"
#include "ir/interpret.h"
#include "ir/pass.h"
#include "ir/program.h"

enum { VALUES_SEED = 1 };

Tensor *values_find(Interpretation *in, Str name); /* of what is given; NULL */
const Tensor *values_output(const Graph *g, const Interpretation *in, const char *name);
double values_element(const Tensor *t, int64_t i); /* NaN where its type is none that programs compute in */

/* Evaluates g; *in then has the values of its nodes. NULL, or a sentence. */
const char *values_evaluate(Graph *g, Interpretation *in, const Interpretation *given);

/* Gives *in the seed, the step and every parameter and state but statistics of data. Runs the passes on the graph of
 * first values. NULL, or a sentence. */
const char *values_first(Session *s, Program *p, const PipelineOptions *passes, Interpretation *in);

#endif
