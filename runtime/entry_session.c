/* entry_session.c - the states of a `keep entry` as a safetensors file: those that its graph stores. A file of
 * another program is refused. */
#include "runtime/checkpoint.h"
#include "runtime/entry.h"

#include <errno.h>
#include <unistd.h>

static int begin(NnrtEntryCall *x, const char *path) {
  const NnrtGraph *g = x->run.graph;
  NnrtSafetensors s;
  if (access(path, F_OK) != 0 && errno == ENOENT) return NNRT_OK; /* the first run makes it */
  int status = nnrt_safetensors_open(&s, path, x->error);
  if (status != NNRT_OK) return status;
  status = nnrt_states_load(&x->model, g->stored, g->n_stored, &s, x->error);
  nnrt_safetensors_close(&s);
  return status;
}

static int end(NnrtEntryCall *x, const char *path) {
  const NnrtGraph *g = x->run.graph;
  return nnrt_states_save(&x->model, g->stored, g->n_stored, path, x->error);
}

const NnrtSession nnrt_session = {begin, end};
