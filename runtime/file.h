/* file.h - whole files: read as one block, and written so that a reader (or a crash at any moment) finds either the
 * old content or the new one, never a part. */
#ifndef NNRT_FILE_H
#define NNRT_FILE_H

#include "runtime/error.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct NnrtFile {
  const unsigned char *data; /* never NULL after success */
  size_t size;
  bool mapped;
} NnrtFile;

/* Maps a regular file, or reads all of a pipe ("-" is standard input). NNRT_EDATA when it can't be read. */
int nnrt_file_open(NnrtFile *f, const char *path, NnrtError *e);
void nnrt_file_close(NnrtFile *f);

/* One piece of a file to be written. */
typedef struct NnrtSlice {
  const void *data;
  size_t size;
} NnrtSlice;

/* Writes the slices, in order, as `path`: into "path.tmp" beside it, synced, renamed, the folder synced. On any
 * failure the temporary file is gone, the old `path` is as it was and the message names `path` (NNRT_EFAIL). Only
 * where syncing the folder fails is the new content, whole, already in place. */
int nnrt_file_write(const char *path, const NnrtSlice *slices, int n, NnrtError *e);

/* write(2) until all is out: short writes and EINTR. false with errno set. */
bool nnrt_write_all(int fd, const void *data, size_t size);

#endif
