/* pending.c - functions that are being written; a line goes when its function is there (the link then fails on it). */
#include "lang/diag.h"

#define PENDING(name)                                                                                                 \
  void name(void);                                                                                                    \
  void name(void) { ice(#name " is not there yet"); }
PENDING(nnrt_main)
PENDING(nnrt_verb_train)
PENDING(nnrt_verb_eval)
PENDING(nnrt_verb_entry)
PENDING(nnrt_verb_bench)
PENDING(nnrt_verb_info)
