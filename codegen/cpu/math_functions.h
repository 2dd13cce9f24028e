/* math_functions.h - elementary functions of f32 and f64 lanes, within the ulp of their rows in scalar.def, over all
 * floats: denormals, infinities, NaN and huge arguments. */
#ifndef NNC_CODEGEN_CPU_MATH_FUNCTIONS_H
#define NNC_CODEGEN_CPU_MATH_FUNCTIONS_H

#include "codegen/cpu/build.h"

Value math_exp(Build *b, Value x);
Value math_expm1(Build *b, Value x);
Value math_log(Build *b, Value x);
Value math_log1p(Build *b, Value x);
Value math_pow(Build *b, Value x, Value y);
Value math_sin(Build *b, Value x);
Value math_cos(Build *b, Value x);
Value math_tan(Build *b, Value x);
Value math_atan(Build *b, Value x);
Value math_tanh(Build *b, Value x);
Value math_sigmoid(Build *b, Value x);
Value math_softplus(Build *b, Value x); /* log(1 + exp(x)) */
Value math_erf(Build *b, Value x);
Value math_normal_icdf(Build *b, Value p);

#endif
