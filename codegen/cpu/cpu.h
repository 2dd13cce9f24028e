/* cpu.h - code for processors: one LLVM module for a program's kernels, tables and main().
 *
 *     Target target;                                   what the scheduler must know of the processor
 *     CpuModule *m = cpu_module_new(a, &options, &target, error);
 *     for each schedule s: for each kernel k: cpu_emit_kernel(m, s, k);
 *     cpu_emit_tables(m, tables);
 *     cpu_write(m, CPU_OBJECT, &out, error);
 *
 * Only codegen/cpu/ includes LLVM's headers. */
#ifndef NNC_CODEGEN_CPU_CPU_H
#define NNC_CODEGEN_CPU_CPU_H

#include "ir/kernel.h"
#include "runtime/nnrt.h"

typedef struct CpuModule CpuModule;

typedef struct CpuOptions {
  const char *march; /* native, x86-64-v2, -v3, -v4, or a processor's name */
  int level;         /* -O0 .. -O3 */
  const char *name;  /* the module's */
} CpuOptions;

typedef enum CpuOutput { CPU_LLVM, CPU_ASSEMBLY, CPU_OBJECT } CpuOutput;

/* NULL, and a sentence in `error`, where `march` is unknown. Fills `target`. The module is freed with
 * cpu_module_free. */
CpuModule *cpu_module_new(Arena *a, const CpuOptions *o, Target *target, char error[256]);
void cpu_module_free(CpuModule *m);

/* Processor features that the code needs, separated by commas, as NnrtProgram.cpu wants them. */
const char *cpu_features(const CpuModule *m);

/* Emits k as the function k->symbol (an NnrtKernel), unless a kernel of that symbol was emitted before; sets
 * k->vector and k->why. `dims` come in the order of s->dims. */
void cpu_emit_kernel(CpuModule *m, const Schedule *s, Kernel *k);

/* Adds the constant `nnrt_program` and main() (constants.h). */
void cpu_emit_tables(CpuModule *m, const NnrtProgram *p);

/* Runs LLVM's passes once, then appends the text or the object file to `out`. */
bool cpu_write(CpuModule *m, CpuOutput kind, Buf *out, char error[256]);

#endif
