/* sample.h - a small whole program made by hand, below the language: a linear regression on three inputs that a csv
 * file holds, with momentum, standardised by the training part's mean. */
#ifndef NNC_TESTS_UNIT_CODEGEN_SAMPLE_H
#define NNC_TESTS_UNIT_CODEGEN_SAMPLE_H

#include "ir/program.h"

Program *sample_program(Arena *a);

/* Writes points.csv (n rows a,b,c,y) into `folder`. */
void sample_data(const char *folder, int n);

#endif
