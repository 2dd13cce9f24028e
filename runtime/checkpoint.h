/* checkpoint.h - a model as a safetensors file: every variable under its name, and where the training stands as text.
 */
#ifndef NNRT_CHECKPOINT_H
#define NNRT_CHECKPOINT_H

#include "runtime/run.h"
#include "runtime/safetensors.h"

/* Variable i of the program, as the model has it: the elements stay the model's. */
NnrtTensor nnrt_checkpoint_tensor(const NnrtModel *m, int64_t i);

/* Writes all variables, and `extra` tensors beside them, durably. */
int nnrt_checkpoint_save(const NnrtModel *m, const char *path, const NnrtTensor *extra, int n_extra,
                         const NnrtMeta *meta, int n_meta, NnrtError *e);

typedef enum NnrtLoad {
  NNRT_LOAD_ALL,    /* to resume: every variable must be there */
  NNRT_LOAD_MODEL,  /* to evaluate or predict: all but optimizer slots */
  NNRT_LOAD_WEIGHTS /* to train from: parameters must be there; states and statistics where they are; no hyper values
                     */
} NnrtLoad;

/* Copies tensors of an open file into the model, by name, converted between floats. Without LOAD_ALL a name may also
 * lack the first part (`fc1.weight` for `net.fc1.weight`) where all parameters share it. Nothing is copied unless all
 * fits. NNRT_EDATA names the file and the tensor. */
int nnrt_checkpoint_load(NnrtModel *m, const NnrtSafetensors *s, NnrtLoad what, NnrtError *e);

/* Whether an open file's tensor is one for the variable: its shape, its type, `exact` or any float for a float, and
 * its bound. */
int nnrt_checkpoint_fits(const NnrtSafetensors *s, const NnrtVariable *v, const NnrtTensor *t, bool exact,
                         NnrtError *e);
/* Some variables, each under its name; which[n]: their places among the program's. Of a file, nothing is copied
 * unless all of them are there and fit exactly. */
int nnrt_states_load(NnrtModel *m, const int64_t *which, int64_t n, const NnrtSafetensors *s, NnrtError *e);
int nnrt_states_save(const NnrtModel *m, const int64_t *which, int64_t n, const char *path, NnrtError *e);

/* Puts the elements of such a tensor into the variable's memory, in its type. */
int nnrt_checkpoint_take(const NnrtSafetensors *s, const NnrtVariable *v, const NnrtTensor *t, void *to,
                         NnrtError *e);

#endif
