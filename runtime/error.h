/* error.h - how a runtime call says that it failed. Every call that can fail returns a status and, where the caller
 * gave an NnrtError, leaves one line of text in it. Nothing here prints, exits or allocates.
 * The statuses are the exit codes of generated programs, so that cli.c need not translate. */
#ifndef NNRT_ERROR_H
#define NNRT_ERROR_H

enum {
  NNRT_OK = 0,
  NNRT_EFAIL = 1,     /* the system refused: a file can't be written, say */
  NNRT_EUSAGE = 2,    /* the command line is wrong */
  NNRT_EDATA = 3,     /* data or a checkpoint is missing, corrupt or does not fit */
  NNRT_EDIVERGED = 4, /* a value was not finite */
  NNRT_EDEVICE = 5,   /* device missing, memory out, processor too old */
  NNRT_EASSERT = 6,   /* an --assert failed */
  NNRT_EINVAL = 70,   /* the caller broke the function's contract: a defect of ours */
  NNRT_STOPPED = 75,  /* stopped by a signal; saved; go on with --resume */
};

typedef struct NnrtError {
  int status;
  char text[512]; /* one line, no newline, no full stop; "" after success */
} NnrtError;

/* Sets `e` (which may be NULL) and returns `status`. A text that does not fit is cut, never mid-character. The text
 * may hold control characters of the user's files; they are replaced by '?', so that a message is always one line. */
int nnrt_fail(NnrtError *e, int status, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* nnrt_fail with NNRT_EDEVICE and "out of memory (N bytes for WHAT)". */
int nnrt_fail_memory(NnrtError *e, unsigned long long bytes, const char *what);

#endif
