/* bench_kernels.c - `bench --kernels`: the time of each launch of a graph, and for sums of products the rate, beside
 * the peak of multiply-adds that the same process reached meanwhile. The least of many times counts: what another
 * process took from one of them says nothing about the kernel. */
#include "runtime/bench.h"
#include "runtime/progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { LEAST_PASSES = 3 };

void nnrt_bench_kernels_head(char format) {
  if (format == 'm')
    printf("| %-16s | %-20s | %-11s | %5s | %12s | %8s | %6s |\n|---|---|---|---|---|---|---|\n", "case", "kernel",
           "kind", "line", "least us", "GFLOP/s", "peak");
  if (format == 'c') puts("case,batch,threads,kernel,kind,line,least_us,gflops,peak_gflops");
}

static void report(const NnrtKernelBench *b, const NnrtLaunch *l, double us, double flops, double peak) {
  double rate = flops / us * 1e-3;
  if (b->format == 'm')
    printf("| %-16s | %-20s | %-11s | %5lld | %12.2f | %8.1f | %4.0f %% |\n", b->name, l->name, l->kind,
           (long long)l->line, us, rate, peak > 0 ? 100 * rate / peak : 0);
  if (b->format == 'c')
    printf("%s,%lld,%d,%s,%s,%lld,%.3f,%.2f,%.2f\n", b->name, (long long)b->batch, b->threads, l->name, l->kind,
           (long long)l->line, us, rate, peak);
  fflush(stdout);
  if (b->format != 'j') return;
  NnrtLine *line = &b->cli->line;
  nnrt_line_open(line, NULL, '{');
  nnrt_line_string(line, "event", "kernel");
  nnrt_line_string(line, "case", b->name);
  nnrt_line_integer(line, "batch", b->batch);
  nnrt_line_integer(line, "threads", b->threads);
  nnrt_line_string(line, "kernel", l->name);
  nnrt_line_string(line, "kind", l->kind);
  nnrt_line_integer(line, "line", l->line);
  nnrt_line_real(line, "least_us", us, true);
  nnrt_line_real(line, "gflops", rate, true);
  nnrt_line_real(line, "peak_gflops", peak, true);
  nnrt_line_close(line, '}');
  nnrt_cli_print_line(b->cli);
}

/* One thread's own time, in which others do not count; that of the clock where several work together. */
static double seconds(bool alone) {
  struct timespec t;
  clock_gettime(alone ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* One pass over the launches; returns the peak seen between them. */
static double time_launches(NnrtRun *r, double *least, double peak, bool alone) {
  for (int64_t i = 0; i < r->graph->n_launches; i++) {
    double start = seconds(alone);
    nnrt_run_launch(r, i, 0);
    double us = 1e6 * (seconds(alone) - start), now = nnrt_peak(r->model->program);
    if (us < least[i]) least[i] = us;
    if (now > peak) peak = now;
  }
  return peak;
}

int nnrt_bench_kernels(const NnrtKernelBench *b, NnrtError *e) {
  NnrtRun *r = b->run;
  int64_t n = r->graph->n_launches;
  double *least = malloc(((size_t)n + 1) * sizeof *least), peak = 0;
  if (!least) return nnrt_fail_memory(e, (unsigned long long)n * sizeof *least, "timings");
  for (int64_t i = 0; i < n; i++) least[i] = 1e15;
  double end = nnrt_seconds() + b->seconds;
  for (int pass = 0; pass < LEAST_PASSES || nnrt_seconds() < end; pass++)
    peak = time_launches(r, least, peak, b->threads == 1);
  for (int64_t i = 0; i < n; i++) {
    const NnrtLaunch *l = &r->graph->launches[i];
    report(b, l, least[i], (double)nnrt_poly(l->flops, l->n_flops, r->dims), peak * b->threads);
  }
  free(least);
  return NNRT_OK;
}
