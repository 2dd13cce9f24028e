/* math.h - vectors for every row of scalar.def. */
#ifndef NNC_CODEGEN_CPU_MATH_H
#define NNC_CODEGEN_CPU_MATH_H

#include "codegen/cpu/build.h"

/* The value of row op over a[0..arity-1], whose lanes agree (or are scalars; then so is the result). `arg` is the
 * dtype of a[0], or of a[1] for select; `result` that of the value. Bools are i1; integers and floats have their own
 * width. */
Value emit_scalar(Build *b, ScalarOp op, DType arg, DType result, Value *a);

/* A uniform draw for each lane (runtime/philox.h): key = seed ^ the draw's, i64; step i32; place and element i64. */
Value emit_random(Build *b, DType t, Value key, Value step, Value place, Value element);

/* f16 and bf16 (narrow.c): f32 in registers, rounded after each operation; i16 in memory. */
bool dtype_is_narrow(DType t);
Value narrow_widen(Build *b, DType t, Value bits);
Value narrow_round(Build *b, DType t, Value x);
Value narrow_bits(Build *b, DType t, Value x);

Type type_of(Build *b, DType t, int lanes);     /* in a register: bool is i1 */
Type memory_type(Build *b, DType t, int lanes); /* in memory: bool is i8 */
bool dtype_is_signed(DType t);

#endif
