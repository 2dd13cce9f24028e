/* reader_idx.c - MNIST's arrays as a source; see arrays.h. */
#include "runtime/arrays.h"

static int open_idx(NnrtSource *s, NnrtError *e) { return nnrt_arrays_open(s, nnrt_idx_open, e); }

const NnrtReader nnrt_reader_idx = {.name = "idx",
                                    .open = open_idx,
                                    .close = nnrt_arrays_close,
                                    .view = nnrt_arrays_view,
                                    .read = nnrt_arrays_read,
                                    .place = nnrt_arrays_place};
