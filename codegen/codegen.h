/* codegen.h - from kernels to objects and programs: what the driver and the tables of a program may use. No header of
 * LLVM is needed to include it.
 *
 *   CpuModule *m = cpu_module_new(arena, "mlp", "native", 2, &error);
 *   Schedule *s = schedule(graph, cpu_module_target(m), ...);
 *   for each kernel k of s:  cpu_emit_kernel(m, s, k);      k->vector, k->why, k->scratch are set
 *   cpu_global(m, "nnrt_program", cpu_struct(m, fields, n), 64);
 *   error = cpu_module_write(m, CPU_OBJECT, &buf); */
#ifndef NNC_CODEGEN_CODEGEN_H
#define NNC_CODEGEN_CODEGEN_H

#include "ir/kernel.h"

typedef struct CpuModule CpuModule;

/* What -march=NAME means to the scheduler: `native` (this machine), x86-64-v2, x86-64-v3, x86-64-v4. Returns NULL, or
 * a sentence that lists the names. */
const char *cpu_target(const char *march, Target *t);

/* Begins to get ready for the first module, while the caller does other things, other than to fork. */
void cpu_llvm_begin(void);
/* Waits for what was begun: a library may not be loaded while the process ends. */
void cpu_llvm_end(void);

/* An empty module for one object. `level` is -O: 0 is the same code, translated with less care. On a mistake (an
 * unknown march, LLVM without x86) returns NULL and a sentence in *error. */
CpuModule *cpu_module_new(Arena *a, const char *name, const char *march, int level, const char **error);
/* Another module for the same program, at its own level, with a context and an arena of its own: the two can be
 * translated at the same time. A kernel that one of those beside each other has is made in none of the others, nor
 * what kernels call. */
CpuModule *cpu_module_beside(CpuModule *m, const char *march, int level);
void cpu_module_free(CpuModule *m);
int64_t cpu_module_size(const CpuModule *m); /* instructions of kernels so far, to share out work */
const Target *cpu_module_target(const CpuModule *m);

/* Adds the function k->symbol (once: kernels of equal symbol are the same code):
 *
 *   void symbol(void *const *buffers, const int64_t *dims, int64_t begin, int64_t end, void *scratch)
 *
 * buffers: addresses of k->operands in order, each aligned to 64 bytes; dims: values of s->dims; units [begin, end)
 * of k->units; scratch: k->scratch bytes, aligned to 64, private to the caller. Sets k->vector, k->why and k->scratch
 * (what the code needs, which may be more than the schedule asked for). */
void cpu_emit_kernel(CpuModule *m, const Schedule *s, Kernel *k);

typedef enum CpuForm { CPU_LLVM, CPU_ASSEMBLY, CPU_OBJECT } CpuForm;

/* Verifies, optimises (once) and appends the module in the given form to out. NULL, or LLVM's message wrapped. */
const char *cpu_module_write(CpuModule *m, CpuForm form, Buf *out);

/* Objects made by as many threads as there are processors, while other modules are written. */
typedef struct CpuTeam CpuTeam;
CpuTeam *cpu_team_new(Arena *a);                  /* `a` is used by the caller's thread alone */
void cpu_team_give(CpuTeam *t, CpuModule *m);     /* m is the team's until it has finished */
const char *cpu_team_finish(CpuTeam *t);          /* waits for all, helping; again is free. NULL, or a message */
const Buf *cpu_module_object(const CpuModule *m); /* after that; freed with the module */

/* ---- constants, for tables ---- */

typedef struct CpuConst CpuConst; /* a constant of some type; lives as long as the module */

CpuConst *cpu_int(CpuModule *m, int64_t v); /* int64_t */
CpuConst *cpu_int32(CpuModule *m, int32_t v);
CpuConst *cpu_double(CpuModule *m, double v);
CpuConst *cpu_null(CpuModule *m); /* a NULL pointer */
CpuConst *cpu_string(CpuModule *m,
                     const char *text); /* pointer to the text; cpu_null for NULL; equal texts are one */
CpuConst *cpu_bytes(CpuModule *m, const void *data, size_t n, unsigned align); /* pointer to a copy */
CpuConst *cpu_symbol(CpuModule *m,
                     const char *symbol); /* pointer to a function of this module or of another object */
CpuConst *cpu_struct(CpuModule *m, CpuConst **fields, int n);  /* the value, laid out as C does */
CpuConst *cpu_array(CpuModule *m, CpuConst **elements, int n); /* the value; all of one type; n > 0 */
/* A read-only global that holds the value; its address. name NULL: private, else visible to the linker. */
CpuConst *cpu_global(CpuModule *m, const char *name, CpuConst *value, unsigned align);

#endif
