/* lanes.h - neighbours along an index that a thread has at once, its lanes: what of theirs lies side by side in
 * memory comes and goes by accesses of up to 16 bytes, between which each lane's values are computed from registers.
 * Inside codegen/cuda/ only.
 *
 *   Lanes l = lanes_along(t, v);
 *   lanes_store(...), lanes_read(...)        for all that the lanes use
 *   if (lanes_choose(&l) > 1) lanes_open(&l, first);
 *   ...                                      text at v, as if there were one
 *   if (l.width > 1) lanes_close(&l);
 *
 * Between open and close text_place gives a lane's register for a result that was told. Before open nothing may be
 * written at v: it would be known for every lane. */
#ifndef NNC_CODEGEN_CUDA_LANES_H
#define NNC_CODEGEN_CUDA_LANES_H

#include "codegen/cuda/text.h"

typedef struct Beside { /* values of all lanes */
  const Node *node;
  Form **at;
  Expr *read; /* NULL: a result, of a buffer or of a row that is kept */
  const Buffer *buffer;
  const char *unless; /* of a result that is read too: the condition under which it is not */
  bool runs;
  const char *name; /* of the registers */
} Beside;

struct Lanes {
  Text *t;
  Var *var, *first; /* first: the first lane's */
  int width;
  Vec(Beside) beside;
  Vec(const Node *) made;
  const char *lane;
};

Lanes lanes_along(Text *t, Var *v);
void lanes_make(Lanes *l, const Node *n); /* n is computed by the lanes: not to be read before */
void lanes_read(Lanes *l, Expr *x);       /* every read of x; x may be NULL */
/* unless: the results are added to what is there, but where this condition holds; NULL: they are not. */
void lanes_store(Lanes *l, const Buffer *b, const Node *n, Form **at, const char *unless);
int lanes_choose(Lanes *l);
void lanes_open(Lanes *l, const char *first); /* first: a multiple of the width */
void lanes_close(Lanes *l);
/* The lane's register of the result n[at...], or NULL. */
const char *lanes_place(const Lanes *l, const Node *n, Form **at);

/* `bytes` side by side, a power of two from 4 on: both addresses are multiples of 16, or of as many. */
void text_move(Text *t, const char *to, const char *from, int bytes);

#endif
