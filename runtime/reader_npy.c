/* reader_npy.c - NumPy's arrays as a source; see arrays.h. */
#include "runtime/arrays.h"

static int open_npy(NnrtSource *s, NnrtError *e) { return nnrt_arrays_open(s, nnrt_npy_open, e); }

const NnrtReader nnrt_reader_npy = {.name = "npy",
                                    .open = open_npy,
                                    .close = nnrt_arrays_close,
                                    .view = nnrt_arrays_view,
                                    .read = nnrt_arrays_read,
                                    .place = nnrt_arrays_place};
