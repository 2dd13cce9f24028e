/* compile.h - a program through its stages, one call each, so that a driver can stop after any and show what it made:
 *
 *     Compilation *c = compile_begin(arena, program, diags, &options);
 *     compile_passes(c)       the graphs rewritten: derive, simplify, fuse
 *     compile_schedules(c)    kernels, buffers and places
 *     compile_code(c)         every kernel once, in one module or several; the program's tables
 *     compile_objects(c, &objects)
 *     compile_end(c) */
#ifndef NNC_CODEGEN_COMPILE_H
#define NNC_CODEGEN_COMPILE_H

#include "codegen/codegen.h"
#include "codegen/cuda/cuda.h"
#include "codegen/tables.h"

typedef struct CompileOptions {
  PipelineOptions passes; /* passes.level is -O for all stages */
  const char *march;
  const char *only;    /* an entry's name; NULL: the whole program */
  int64_t memory;      /* bytes that the plan of a training graph may have; 0: any */
  const char *version; /* nnc's, for the build id */
  int64_t
      micro_batch; /* examples of a piece, unless the program's option says otherwise; -1: auto, 0: whole batches */
  const Sources *sources;
  bool tf32;    /* Schedule.tf32 */
  bool objects; /* are made while kernels are still emitted, of several modules; else one module has everything */
} CompileOptions;

typedef Vec(Buf) Objects;

typedef struct Compilation {
  Arena *arena;
  const Program *program;
  DiagSink *diags;
  const CompileOptions *options;
  GraphList graphs;          /* those that the program needs */
  Vec(Schedule *) schedules; /* one for each graph, in order */
  Vec(CpuModule *) modules;  /* the first has the tables */
  CpuTeam *team;             /* that translates them; NULL: none does */
  CudaProgram *kernels;      /* of GPUs; NULL: none */
  Vec(NnrtCudaImage) images; /* code for GPUs, the best first; none: the program runs on the processor alone */
  NnrtProgram *tables;
} Compilation;

/* Everything lives in `a`, but for the modules, which compile_end frees. `o` must outlive the compilation. */
Compilation *compile_begin(Arena *a, const Program *p, DiagSink *diags, const CompileOptions *o);

/* Runs the pipeline on every graph. False: the sink has errors. */
bool compile_passes(Compilation *c);

/* Makes and plans schedules for the target that `march` names, within options->memory; the sink has an error where
 * that can't be. NULL, or a sentence about an unknown march or a program that trains nothing. */
const char *compile_schedules(Compilation *c);

/* Makes the modules, emits every kernel and then the tables, which hold what emission found out. NULL or a sentence.
 */
const char *compile_code(Compilation *c);

/* The objects of all modules, which live until compile_end. NULL, or a message. */
const char *compile_objects(Compilation *c, Objects *objects);

void compile_end(Compilation *c);

#endif
