/* bench.h - the parts of the verb `bench`. */
#ifndef NNRT_BENCH_H
#define NNRT_BENCH_H

#include "runtime/cli.h"

/* GFLOP/s of about a millisecond of nothing but multiply-adds in registers, on the calling thread and by its own
 * time, in the widest vectors that the program may use; 0 where they are not known. */
double nnrt_peak(const NnrtProgram *p);

/* Times the launches of a run that has been bound and has run before, each on its own and in order, again and again
 * for about `seconds`; prints a line for each with the least time. The peak is measured between them, so that both
 * meet the same clock. */
typedef struct NnrtKernelBench {
  NnrtCli *cli;
  NnrtRun *run;
  const char *name; /* of the case */
  int64_t batch;
  int threads;
  char format; /* 'm' md, 'c' csv, 'j' json */
  double seconds;
} NnrtKernelBench;
int nnrt_bench_kernels(const NnrtKernelBench *b, NnrtError *e);
void nnrt_bench_kernels_head(char format);

#endif
