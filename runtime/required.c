/* required.c - see NnrtRequired in run.h. */
#include "runtime/run.h"

#include <stdio.h>
#include <string.h>

static bool mentions(const NnrtRequirement *q, int64_t dim) {
  const int64_t *at = q->slack + 1;
  for (int64_t i = 0; i < q->slack[0]; i++) {
    int64_t factors = at[1];
    at += 2;
    for (; factors-- > 0; at++)
      if (*at == dim) return true;
  }
  return false;
}

static int test(const NnrtRun *r, NnrtError *e) {
  const NnrtGraph *g = r->graph;
  for (int64_t i = 0; i < g->n_requires; i++) {
    const NnrtRequirement *q = &g->requires[i];
    if (nnrt_poly(q->slack, q->n_slack, r->dims) >= 0) continue;
    char values[160] = "";
    for (int k = 0; k < r->n_open; k++) {
      size_t n = strlen(values);
      const NnrtDim *d = &g->dims[k];
      if (mentions(q, k))
        snprintf(values + n, sizeof values - n, "%s%s is %lld", n ? ", " : "", d->name,
                 (long long)(d->scale * r->dims[k] + d->rest));
    }
    return nnrt_fail(e, NNRT_EDATA, "`%s` is required, but %s", q->text, values);
  }
  return NNRT_OK;
}

const NnrtRequired nnrt_required = {test};
