/* pieces.h - a batch in pieces (--micro-batch): the gradients of each piece's loss are added up by the pieces' shares
 * of the batch, and one update follows. The loss is a mean over examples, or nnc would have said why not. */
#ifndef NNRT_PIECES_H
#define NNRT_PIECES_H

#include "runtime/feed.h"

typedef struct NnrtPieces {
  int64_t size; /* examples in a piece; 0: batches are whole */
  NnrtRun update;
  int n;             /* gradients */
  int *port;         /* of each, the output of graph `grads` */
  void **sum;        /* of each, what the update reads */
  int64_t *elements; /* of each */
} NnrtPieces;

/* The size of pieces that --micro-batch or the table asks for, at most `batch`; 0: none. `asked`: the option, or
 * NULL. */
int nnrt_pieces_size(const NnrtProgram *p, const NnrtTrain *t, const char *asked, int64_t batch, int64_t *size,
                     NnrtError *e);
/* f is the feed of graph `grads`, which also gives the update its step and epoch. After a failure: close. */
int nnrt_pieces_open(NnrtPieces *p, NnrtModel *m, const NnrtTrain *t, int64_t size, NnrtFeed *f, NnrtError *e);
void nnrt_pieces_close(NnrtPieces *p);

/* Takes over the gradients that f has just computed, times this share; `first`: they are the first of the batch. */
void nnrt_pieces_add(NnrtPieces *p, const NnrtFeed *f, double share, bool first);
/* The update of a batch of n examples. */
int nnrt_pieces_update(NnrtPieces *p, int64_t n, NnrtError *e);

#endif
