/* nvrtc.h - CUDA C to code for GPUs by NVIDIA's NVRTC, a library that is loaded when it is needed: no header or file
 * of NVIDIA's is part of nnc, which is built and works without. */
#ifndef NNC_CODEGEN_CUDA_NVRTC_H
#define NNC_CODEGEN_CUDA_NVRTC_H

#include "lang/arena.h"

typedef struct Nvrtc Nvrtc;

/* Loads `path`, or where that is NULL: $NNC_NVRTC; what the system finds by its name; where `./bootstrap cuda` puts
 * it. NULL, or a sentence that says what to install. */
const char *nvrtc_open(Arena *a, const char *path, Nvrtc **out);
void nvrtc_close(Nvrtc *n);
int nvrtc_version(const Nvrtc *n); /* 1000 * major + 10 * minor, as drivers say theirs */

/* Translates for an architecture: `sm_90a` gives machine code, `compute_80` PTX, which drivers translate for what
 * came later. Where ptx is not NULL, sm_80 gives the PTX of compute_80, too, which costs nothing. What the assembler
 * says of each kernel (registers, spills) is appended to log. NULL, or a sentence. */
const char *nvrtc_translate(Nvrtc *n, const char *text, const char *arch, Buf *code, Buf *ptx, Buf *log);

typedef struct CudaUse { /* of a kernel, as the assembler says it */
  const char *symbol;
  int registers, stack, spilled; /* the last two: bytes */
} CudaUse;
typedef Vec(CudaUse) CudaUses;
CudaUses nvrtc_uses(Arena *a, const char *log);

#endif
