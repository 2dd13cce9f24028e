/* rundir.h - the folder of a training run: args.json, metrics.csv, metrics.jsonl and the checkpoints. A run is never
 * overwritten; resuming one cuts its logs back to the checkpoint's step and goes on. */
#ifndef NNRT_RUNDIR_H
#define NNRT_RUNDIR_H

#include "runtime/json.h"

typedef struct NnrtLog { /* a file that only grows; lines wait in memory until nnrt_rundir_flush or 64 KiB of them */
  int fd;
  NnrtLine text;
  char *path;
} NnrtLog;

typedef struct NnrtRunDir {
  char *path;
  NnrtLog jsonl, csv;
} NnrtRunDir;

/* Makes `given`, or runs/MODEL/N with the next N, and points runs/MODEL/latest to the latter. NNRT_EFAIL if `given`
 * already holds a run. After a failure there is nothing to close. */
int nnrt_rundir_create(NnrtRunDir *d, const char *model, const char *given, NnrtError *e);

/* Opens `given`, or runs/MODEL/latest where it is NULL or "". NNRT_EDATA if there is none. The logs are opened by
 * nnrt_rundir_cut, when the step is known. */
int nnrt_rundir_resume(NnrtRunDir *d, const char *model, const char *given, NnrtError *e);
int nnrt_rundir_cut(NnrtRunDir *d, int64_t step, NnrtError *e);

/* Writes what waits. */
int nnrt_rundir_flush(NnrtRunDir *d, NnrtError *e);
void nnrt_rundir_close(NnrtRunDir *d);

/* The end of a line in log->text: it goes out when enough have gathered. */
int nnrt_log_end_line(NnrtLog *l, NnrtError *e);

/* "DIR/file" in text. */
char *nnrt_rundir_file(const NnrtRunDir *d, const char *file, char *text, size_t room);

#endif
